#include "tests/sim/plan_flow.h"

#include "common/base/cleanup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define UNSEEN UINT32_MAX

/* Nodes: senders 0 … n-1, recipients n … 2n-1. A sender is left by what it could still use, a
 * recipient back to who uses it. */
struct flow {
    size_t n;
    size_t words;
    uint64_t *free_to; /* n rows of n bits: to whom a sender may write, and does not yet */
    uint64_t *used_by; /* the same: who writes to a recipient */
    uint32_t *supply;  /* what a sender still has */
    uint32_t *demand;  /* what a recipient still takes */
    uint32_t *level;   /* 2n */
    uint32_t *next;    /* 2n: word to go on with */
    uint32_t *queue;   /* 2n */
};

static void *make(size_t count, size_t size)
{
    void *p = calloc(count + 1, size);
    assert(p);
    return p;
}

static uint64_t *row(const struct flow *flow, uint64_t *bits, size_t i)
{
    return bits + i * flow->words;
}

static void flip(uint64_t *bits, size_t i)
{
    bits[i / 64] ^= UINT64_C(1) << (i % 64);
}

/* ---- The pool as a graph ---- */

static bool cooling(const struct plan_input *input, const struct plan_account *from,
                    const struct plan_account *to)
{
    size_t low = 0, high = input->contacts_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct plan_contact *c = &input->contacts[middle];
        if (c->from < from->handle || (c->from == from->handle && c->to < to->handle))
            low = middle + 1;
        else
            high = middle;
    }
    const struct plan_contact *c = &input->contacts[low];
    return low < input->contacts_count && c->from == from->handle && c->to == to->handle &&
           !plan_cooled(from->days, c->date, input->date, input->policy->cooldown_days);
}

static bool may_write(const struct plan_input *input, size_t from, size_t to)
{
    const struct plan_account *a = &input->accounts[from], *b = &input->accounts[to];
    return from != to && b->receives && a->domain != b->domain && a->owner != b->owner &&
           (a->language == b->language || input->policy->cross_language) && !cooling(input, a, b);
}

static bool speaks(const struct plan_input *input, const struct plan_account *account)
{
    for (size_t i = 0; i < input->packs_count; i++)
        if (input->packs[i].language == account->language && input->packs[i].scenarios > 0)
            return true;
    return false;
}

static uint32_t supply_of(const struct plan_input *input, const struct plan_account *a)
{
    if (!a->sends || !speaks(input, a) || a->window_end[0] <= a->window_start[0] ||
        a->quota[0] < a->reserved[0])
        return 0;
    return a->quota[0] - a->reserved[0];
}

static uint32_t demand_of(const struct plan_input *input, const struct plan_account *a)
{
    uint32_t demand = a->window_end[0] > a->window_start[0] ? a->inbound_max : 0;
    for (int day = 1; day < PLAN_DAYS; day++) {
        uint32_t most = a->quota[day] * (uint32_t)input->policy->inbound_percent / 100;
        if (a->window_end[day] > a->window_start[day] && most > a->inbound_taken[day])
            demand += most - a->inbound_taken[day];
    }
    return demand;
}

static void build(struct flow *flow, const struct plan_input *input)
{
    for (size_t i = 0; i < flow->n; i++) {
        flow->supply[i] = supply_of(input, &input->accounts[i]);
        flow->demand[i] = demand_of(input, &input->accounts[i]);
        for (size_t j = 0; flow->supply[i] > 0 && j < flow->n; j++)
            if (may_write(input, i, j))
                flip(row(flow, flow->free_to, i), j);
    }
}

/* ---- Dinic ---- */

/* Bits by which a node goes on, and where they lead. */
static uint64_t *ways(const struct flow *flow, uint32_t node)
{
    return node < flow->n ? row(flow, flow->free_to, node)
                          : row(flow, flow->used_by, node - flow->n);
}

static uint32_t target(const struct flow *flow, uint32_t node, size_t bit)
{
    return (uint32_t)(node < flow->n ? flow->n + bit : bit);
}

/* Levels from all senders with supply; true when a recipient with demand is reached. */
static bool find_levels(struct flow *flow)
{
    size_t head = 0, tail = 0;
    bool reached = false;
    memset(flow->level, 0xff, 2 * flow->n * sizeof *flow->level);
    memset(flow->next, 0, 2 * flow->n * sizeof *flow->next);
    for (uint32_t i = 0; i < flow->n; i++)
        if (flow->supply[i] > 0) {
            flow->level[i] = 0;
            flow->queue[tail++] = i;
        }
    while (head < tail) {
        uint32_t node = flow->queue[head++];
        if (node >= flow->n && flow->demand[node - flow->n] > 0)
            reached = true;
        const uint64_t *bits = ways(flow, node);
        for (size_t w = 0; w < flow->words; w++)
            for (uint64_t word = bits[w]; word; word &= word - 1) {
                uint32_t to = target(flow, node, w * 64 + (size_t)__builtin_ctzll(word));
                if (flow->level[to] == UNSEEN) {
                    flow->level[to] = flow->level[node] + 1;
                    flow->queue[tail++] = to;
                }
            }
    }
    return reached;
}

static void use(struct flow *flow, size_t from, size_t to)
{
    flip(row(flow, flow->used_by, to), from);
    flip(row(flow, flow->free_to, from), to);
}

/* One message more on a path through `node`; its depth is bounded by the number of nodes. */
static bool push(struct flow *flow, uint32_t node)
{
    if (node >= flow->n && flow->demand[node - flow->n] > 0) {
        flow->demand[node - flow->n]--;
        return true;
    }
    const uint64_t *bits = ways(flow, node);
    for (; flow->next[node] < flow->words; flow->next[node]++) {
        uint64_t word = bits[flow->next[node]];
        for (; word; word &= word - 1) {
            size_t bit = (size_t)flow->next[node] * 64 + (size_t)__builtin_ctzll(word);
            uint32_t to = target(flow, node, bit);
            if (flow->level[to] != flow->level[node] + 1 || !push(flow, to))
                continue;
            use(flow, node < flow->n ? node : bit, node < flow->n ? bit : node - flow->n);
            return true;
        }
    }
    flow->level[node] = UNSEEN; /* no way on from here in this phase */
    return false;
}

static uint64_t fill(struct flow *flow)
{
    uint64_t total = 0;
    while (find_levels(flow))
        for (uint32_t i = 0; i < flow->n; i++)
            for (; flow->supply[i] > 0 && push(flow, i); flow->supply[i]--)
                total++;
    return total;
}

static void flow_deinit(struct flow *flow)
{
    free(flow->used_by);
    free(flow->free_to);
    free(flow->supply);
    free(flow->demand);
    free(flow->level);
    free(flow->next);
    free(flow->queue);
}

uint64_t plan_flow_max(const struct plan_input *input)
{
    size_t n = input->accounts_count, words = (n + 63) / 64;
    _cleanup_(flow_deinit) struct flow flow = {
        .n = n,
        .words = words,
        .used_by = make(n * words, sizeof(uint64_t)),
        .free_to = make(n * words, sizeof(uint64_t)),
        .supply = make(n, sizeof(uint32_t)),
        .demand = make(n, sizeof(uint32_t)),
        .level = make(2 * n, sizeof(uint32_t)),
        .next = make(2 * n, sizeof(uint32_t)),
        .queue = make(2 * n, sizeof(uint32_t)),
    };
    build(&flow, input);
    return fill(&flow);
}
