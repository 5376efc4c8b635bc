#include "coordinator/core/plan.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "coordinator/core/pair.h"
#include "coordinator/core/pool.h"
#include "coordinator/core/scarcity.h"
#include "coordinator/core/seat.h"

#include <errno.h>
#include <stdlib.h>

#define NO_EXCHANGE UINT32_MAX
#define NO_ACCOUNT UINT32_MAX

/* Up to so many candidates are all weighed; of more, a few are drawn. */
#define WEIGH_ALL_MAX 64
#define WEIGH_SOME 4
#define WEIGH_SOME_SCARCE 12 /* where some can be written to by few, who must be met to be chosen */
/* When none of the few will do, so many are asked in turn. */
#define ASK_MAX 512
/* To tell a full pool from an empty one, so many accounts are looked at. */
#define EXPLAIN_MAX 4096
/* Work for making room by moving earlier exchanges: so many candidates looked at, all together.
 * In a pool that cannot carry its quotas every sender would search in vain; it is not let. */
#define REPAIR_BUDGET_EACH 1000
#define REPAIR_BUDGET_LEAST 200000
/* A pool this large drops who can receive no more before each round. */
#define COMPACT_MIN 2048

/* Weights of a choice; the smallest sum wins. */
#define WEIGHT_FULLNESS 1000 /* × received today ÷ what it may receive */
#define WEIGHT_SCARCE 4000  /* off × scarcity: whom few can write to goes before all else */
#define WEIGHT_SAME_NODE 300 /* an exchange within one node earns no score */
#define WEIGHT_WAITED_DAY 15 /* off for each day since the last first message, */
#define WAITED_DAYS_MAX 14   /* up to two weeks; never written to counts as such */
#define WEIGHT_ITS_TURN 150  /* off when the partner wrote last */
#define WEIGHT_CHANCE 60     /* a seeded draw below this */

struct drawing {
    const struct plan_input *input; /* borrowed */
    struct flz_rng rng;
    struct seats seats;
    struct pool pool;
    struct scarcity scarcity;
    struct pair_history history;
    struct plan_output output;
    uint32_t *senders;          /* owned: still drawing */
    size_t senders_count;
    enum plan_reason *reasons;  /* owned, one an account */
    uint32_t *same_owner_left;  /* owned, one an account */
    uint32_t *received_first;   /* owned: newest exchange towards each account */
    uint32_t *received_next;    /* owned, one an exchange: the next older towards the same */
    size_t received_capacity;
    uint64_t repair_budget;
};

/* What a candidate is, for a first message at a given time. */
enum verdict {
    VERDICT_FIT,
    VERDICT_STRANGER, /* itself, its domain or owner, or never in its hours in time */
    VERDICT_COOLING,
    VERDICT_STARTED,
    VERDICT_FULL,
};

/* Candidates met in vain, by verdict. */
struct tally {
    size_t counts[VERDICT_FULL + 1];
};

void plan_output_deinit(struct plan_output *output)
{
    free(output->exchanges);
    free(output->shortfalls);
    *output = PLAN_OUTPUT_NULL;
}

static void drawing_deinit(struct drawing *drawing)
{
    seats_deinit(&drawing->seats);
    pool_deinit(&drawing->pool);
    scarcity_deinit(&drawing->scarcity);
    pair_history_deinit(&drawing->history);
    plan_output_deinit(&drawing->output);
    free(drawing->senders);
    free(drawing->reasons);
    free(drawing->same_owner_left);
    free(drawing->received_first);
    free(drawing->received_next);
}

/* ---- Whom ---- */

static bool strangers(const struct drawing *drawing, uint32_t from, uint32_t to, bool same_owner)
{
    const struct plan_account *a = &drawing->input->accounts[from];
    const struct plan_account *b = &drawing->input->accounts[to];
    return from == to || a->domain == b->domain || (a->owner == b->owner) != same_owner;
}

static enum verdict judge(const struct drawing *drawing, uint32_t from, uint32_t to, int64_t at,
                          bool same_owner, struct pair_fact *ret_fact)
{
    if (strangers(drawing, from, to, same_owner))
        return VERDICT_STRANGER;
    int day = seat_open_day(&drawing->seats, to, at);
    if (day < 0)
        return VERDICT_STRANGER;
    *ret_fact = pair_look(&drawing->history, from, to);
    if (ret_fact->state == PAIR_COOLING)
        return VERDICT_COOLING;
    if (ret_fact->state == PAIR_STARTED)
        return VERDICT_STARTED;
    return drawing->seats.seats[to].inbound[day] > 0 ? VERDICT_FIT : VERDICT_FULL;
}

/* How little a fitting candidate is wanted. */
static int64_t weigh(struct drawing *drawing, uint32_t from, uint32_t to, int64_t at,
                     const struct pair_fact *fact)
{
    const struct plan_input *input = drawing->input;
    const struct plan_account *b = &input->accounts[to];
    int day = seat_open_day(&drawing->seats, to, at);
    int64_t most = day == 0 ? b->inbound_max
                            : (int64_t)b->quota[day] * input->policy->inbound_percent / 100;
    int64_t weight = WEIGHT_FULLNESS * (most - drawing->seats.seats[to].inbound[day]) / most;

    int64_t waited = fact->wrote == PAIR_NEVER ? WAITED_DAYS_MAX : input->date - fact->wrote;
    weight -= WEIGHT_WAITED_DAY * (waited < WAITED_DAYS_MAX ? waited : WAITED_DAYS_MAX);
    if (fact->answered != PAIR_NEVER && fact->answered > fact->wrote)
        weight -= WEIGHT_ITS_TURN;
    if (b->node == input->accounts[from].node)
        weight += WEIGHT_SAME_NODE;
    weight -= WEIGHT_SCARCE * (int64_t)drawing->scarcity.permille[to] / SCARCITY_MAX;
    return weight + (int64_t)flz_rng_below(&drawing->rng, WEIGHT_CHANCE);
}

/* The best so far of the candidates met. */
struct choice {
    uint32_t account;
    int64_t weight;
};

static void consider(struct drawing *drawing, uint32_t from, uint32_t to, int64_t at,
                     struct choice *choice, struct tally *tally)
{
    struct pair_fact fact;
    enum verdict verdict = judge(drawing, from, to, at, false, &fact);
    tally->counts[verdict]++;
    if (verdict != VERDICT_FIT)
        return;

    int64_t weight = weigh(drawing, from, to, at, &fact);
    if (choice->account == NO_ACCOUNT || weight < choice->weight)
        *choice = (struct choice){.account = to, .weight = weight};
}

/* A partner for a first message at a time, or NO_ACCOUNT; `tally` says what was met. */
static uint32_t pick(struct drawing *drawing, uint32_t from, int64_t at, struct tally *tally)
{
    struct pool_view view = pool_candidates(&drawing->pool, from);
    struct choice choice = {.account = NO_ACCOUNT};
    if (view.count <= WEIGH_ALL_MAX) {
        for (size_t i = 0; i < view.count; i++)
            consider(drawing, from, pool_at(&view, i), at, &choice, tally);
        return choice.account;
    }

    size_t some = drawing->scarcity.any ? WEIGH_SOME_SCARCE : WEIGH_SOME;
    for (size_t i = 0; i < some; i++) {
        size_t position = flz_rng_below(&drawing->rng, view.count);
        consider(drawing, from, pool_at(&view, position), at, &choice, tally);
    }
    size_t start = flz_rng_below(&drawing->rng, view.count);
    for (size_t i = 0; i < view.count && i < ASK_MAX && choice.account == NO_ACCOUNT; i++)
        consider(drawing, from, pool_at(&view, (start + i) % view.count), at, &choice, tally);
    return choice.account;
}

/* ---- What is said, and when ---- */

static uint32_t scenarios_of(const struct drawing *drawing, uint32_t language)
{
    uint32_t count = 0;
    for (size_t i = 0; i < drawing->input->packs_count; i++)
        if (drawing->input->packs[i].language == language)
            count += drawing->input->packs[i].scenarios;
    return count;
}

/* Draws pack and scenario; returns the scenario's turns. The language has at least one scenario. */
static uint32_t draw_content(struct drawing *drawing, uint32_t language,
                             struct plan_exchange *exchange)
{
    uint32_t at = (uint32_t)flz_rng_below(&drawing->rng, scenarios_of(drawing, language));
    const struct plan_pack *pack = drawing->input->packs;
    for (; pack->language != language || at >= pack->scenarios; pack++)
        if (pack->language == language)
            at -= pack->scenarios;
    exchange->pack = pack->digest;
    exchange->scenario = at;
    exchange->seed = flz_rng_next(&drawing->rng);
    uint32_t turns = pack->turns[at] > 1 ? pack->turns[at] : 1;
    return turns < FLZ_TURNS_MAX ? turns : FLZ_TURNS_MAX;
}

/* Who sends a turn, and who opens it. */
struct direction {
    uint32_t from;
    uint32_t to;
};

static struct direction direction_of(uint32_t from, uint32_t to, uint32_t turn)
{
    if (turn % 2 == 0)
        return (struct direction){.from = from, .to = to};
    return (struct direction){.from = to, .to = from};
}

/* Draws the next turn of an exchange and reserves it. 0, -ENOMEM, or 1: there is no room for it. */
static int add_reply(struct drawing *drawing, uint32_t from, uint32_t to,
                     struct plan_exchange *exchange)
{
    uint32_t n = exchange->turns_count;
    struct direction way = direction_of(from, to, n);
    struct plan_turn turn = {0};
    if (!seat_reply(&drawing->seats, way.from, &exchange->turns[n - 1], &drawing->rng, &turn))
        return 1;
    int day = seat_open_day(&drawing->seats, way.to, turn.send_at);
    if (day < 0 || drawing->seats.seats[way.to].inbound[day] == 0)
        return 1;

    seat_open(&drawing->seats, way.to, day, &drawing->rng, &turn);
    int r = seat_reserve(&drawing->seats, way.from, way.to, &turn, true);
    if (r < 0)
        return r;
    seat_open_before(&drawing->seats, way.from, &turn, &drawing->rng, &exchange->turns[n - 1]);
    exchange->turns[exchange->turns_count++] = turn;
    return 0;
}

static int add_replies(struct drawing *drawing, uint32_t from, uint32_t to, uint32_t turns_max,
                       struct plan_exchange *exchange)
{
    uint64_t percent = (uint64_t)drawing->input->policy->reply_percent;
    while (exchange->turns_count < turns_max && flz_rng_below(&drawing->rng, 100) < percent) {
        int r = add_reply(drawing, from, to, exchange);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    return 0;
}

/* Draws a whole exchange whose first message goes at `at` on the sender's date; `to` fits. */
static int draw_exchange(struct drawing *drawing, uint32_t from, uint32_t to, int64_t at,
                         struct plan_exchange *ret_exchange)
{
    const struct plan_account *sender = &drawing->input->accounts[from];
    struct plan_exchange exchange = {
        .from = sender->handle,
        .to = drawing->input->accounts[to].handle,
        .same_owner = sender->owner == drawing->input->accounts[to].owner,
        .turns_count = 1,
    };
    uint32_t turns_max = draw_content(drawing, sender->language, &exchange);
    seat_turn(&drawing->seats, from, 0, at, &exchange.turns[0]);
    seat_open(&drawing->seats, to, seat_open_day(&drawing->seats, to, at), &drawing->rng,
              &exchange.turns[0]);
    int r = seat_reserve(&drawing->seats, from, to, &exchange.turns[0], false);
    if (r < 0)
        return r;

    pair_start(&drawing->history, from, to);
    r = add_replies(drawing, from, to, turns_max, &exchange);
    if (r < 0)
        return r;
    *ret_exchange = exchange;
    return 0;
}

/* ---- The list of exchanges ---- */

static uint32_t index_of(const struct drawing *drawing, uint32_t handle)
{
    const struct plan_account *accounts = drawing->input->accounts;
    size_t low = 0;
    size_t high = drawing->input->accounts_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (accounts[middle].handle <= handle)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void link_received(struct drawing *drawing, uint32_t to, uint32_t exchange)
{
    drawing->received_next[exchange] = drawing->received_first[to];
    drawing->received_first[to] = exchange;
}

static void unlink_received(struct drawing *drawing, uint32_t to, uint32_t exchange)
{
    uint32_t *link = &drawing->received_first[to];
    while (*link != exchange)
        link = &drawing->received_next[*link];
    *link = drawing->received_next[exchange];
}

static int add_exchange(struct drawing *drawing, uint32_t from, uint32_t to, int64_t at)
{
    struct plan_output *output = &drawing->output;
    size_t need = output->exchanges_count + 1;
    int r = flz_grow((void **)&output->exchanges, &output->exchanges_capacity, need,
                     sizeof(*output->exchanges));
    if (r == 0)
        r = flz_grow((void **)&drawing->received_next, &drawing->received_capacity, need,
                     sizeof(*drawing->received_next));
    if (r < 0)
        return r;
    r = draw_exchange(drawing, from, to, at, &output->exchanges[output->exchanges_count]);
    if (r < 0)
        return r;
    link_received(drawing, to, (uint32_t)output->exchanges_count++);
    return 0;
}

/* Takes an exchange back from `from` and `to`, and draws it again towards `other` at its time. */
static int move_exchange(struct drawing *drawing, uint32_t index, uint32_t to, uint32_t other)
{
    struct plan_exchange *exchange = &drawing->output.exchanges[index];
    uint32_t from = index_of(drawing, exchange->from);
    int64_t at = exchange->turns[0].send_at;
    for (uint32_t turn = 0; turn < exchange->turns_count; turn++) {
        struct direction way = direction_of(from, to, turn);
        seat_give_back(&drawing->seats, way.from, way.to, &exchange->turns[turn], turn > 0);
    }
    pair_undo(&drawing->history, from, to);
    unlink_received(drawing, to, index);

    int r = draw_exchange(drawing, from, other, at, exchange);
    if (r < 0)
        return r;
    link_received(drawing, other, index);
    return 0;
}

/* ---- Making room ---- */

static uint64_t tally_total(const struct tally *tally)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= VERDICT_FULL; i++)
        total += tally->counts[i];
    return total;
}

static void spend(struct drawing *drawing, uint64_t looks)
{
    drawing->repair_budget -= looks < drawing->repair_budget ? looks : drawing->repair_budget;
}

/* The exchange that `from` started towards `to` in this plan. */
static uint32_t find_started(const struct drawing *drawing, uint32_t from, uint32_t to)
{
    uint32_t handle = drawing->input->accounts[from].handle;
    uint32_t index = drawing->received_first[to];
    while (index != NO_EXCHANGE && drawing->output.exchanges[index].from != handle)
        index = drawing->received_next[index];
    return index;
}

/* Moves an exchange towards `to` elsewhere. 0, -ENOMEM, or 1: its sender has nobody else. */
static int try_move(struct drawing *drawing, uint32_t index, uint32_t to)
{
    const struct plan_exchange *exchange = &drawing->output.exchanges[index];
    if (exchange->same_owner)
        return 1;
    struct tally tally = {0};
    uint32_t sender = index_of(drawing, exchange->from);
    uint32_t other = pick(drawing, sender, exchange->turns[0].send_at, &tally);
    spend(drawing, tally_total(&tally));
    return other == NO_ACCOUNT ? 1 : move_exchange(drawing, index, to, other);
}

/* Frees one place of `to`, which can receive no more on the day of a message at `at`. */
static int free_inbound(struct drawing *drawing, uint32_t to, int64_t at)
{
    int32_t date = drawing->input->date + seat_open_day(&drawing->seats, to, at);
    uint32_t index = drawing->received_first[to];
    while (index != NO_EXCHANGE && drawing->repair_budget > 0) {
        uint32_t next = drawing->received_next[index];
        if (drawing->output.exchanges[index].turns[0].open_date == date) {
            int r = try_move(drawing, index, to);
            if (r <= 0)
                return r;
        }
        index = next;
    }
    return 1;
}

/* Makes `to` fit for a first message from `from`, if one move can. 0, -ENOMEM, or 1. */
static int make_fit(struct drawing *drawing, uint32_t from, uint32_t to, int64_t at)
{
    struct pair_fact fact;
    enum verdict verdict = judge(drawing, from, to, at, false, &fact);
    int r = 1;
    if (verdict == VERDICT_FULL) {
        r = free_inbound(drawing, to, at);
    } else if (verdict == VERDICT_STARTED) {
        /* It wrote first today: it may write to somebody else instead. */
        uint32_t index = find_started(drawing, to, from);
        if (index != NO_EXCHANGE)
            r = try_move(drawing, index, from);
    }
    if (r != 0)
        return r;
    /* The move may have taken what it freed, or the cooldown bars this way as well. */
    return judge(drawing, from, to, at, false, &fact) == VERDICT_FIT ? 0 : 1;
}

/* Finds a partner for a sender that has none left, by moving one earlier exchange of others.
 * 0 or -ENOMEM; *ret_to is NO_ACCOUNT when there is none. */
static int repair(struct drawing *drawing, uint32_t from, int64_t at, uint32_t *ret_to)
{
    struct pool_view view = pool_candidates(&drawing->pool, from);
    size_t start = view.count ? flz_rng_below(&drawing->rng, view.count) : 0;
    *ret_to = NO_ACCOUNT;
    for (size_t i = 0; i < view.count && i < ASK_MAX && drawing->repair_budget > 0; i++) {
        spend(drawing, 1);
        uint32_t to = pool_at(&view, (start + i) % view.count);
        int r = make_fit(drawing, from, to, at);
        if (r < 0)
            return r;
        if (r == 0) {
            *ret_to = to;
            return 0;
        }
    }
    return 0;
}

static uint32_t pick_same_owner(struct drawing *drawing, uint32_t from, int64_t at)
{
    if (drawing->same_owner_left[from] == 0)
        return NO_ACCOUNT;
    struct pool_view view = pool_same_owner(&drawing->pool, from);
    size_t start = view.count ? flz_rng_below(&drawing->rng, view.count) : 0;
    for (size_t i = 0; i < view.count && i < ASK_MAX; i++) {
        struct pair_fact fact;
        uint32_t to = pool_at(&view, (start + i) % view.count);
        if (judge(drawing, from, to, at, true, &fact) == VERDICT_FIT) {
            drawing->same_owner_left[from]--;
            return to;
        }
    }
    return NO_ACCOUNT;
}

/* ---- Rounds ---- */

/* Whether somebody it could write to has left the pool because he can receive no more today. */
static bool met_full(struct drawing *drawing, uint32_t from, int64_t at)
{
    size_t n = drawing->input->accounts_count;
    size_t start = flz_rng_below(&drawing->rng, n);
    for (size_t i = 0; i < n && i < EXPLAIN_MAX; i++) {
        struct pair_fact fact;
        uint32_t to = (uint32_t)((start + i) % n);
        if (drawing->pool.bucket[to] == drawing->pool.bucket[from] &&
            drawing->input->accounts[to].receives &&
            judge(drawing, from, to, at, false, &fact) == VERDICT_FULL)
            return true;
    }
    return false;
}

static enum plan_reason reason_of(struct drawing *drawing, uint32_t from, int64_t at,
                                  const struct tally *tally)
{
    if (tally->counts[VERDICT_FULL] > 0)
        return PLAN_INBOUND_FULL;
    if (tally->counts[VERDICT_COOLING] + tally->counts[VERDICT_STARTED] > 0)
        return PLAN_COOLDOWN;
    return met_full(drawing, from, at) ? PLAN_INBOUND_FULL : PLAN_NO_PARTNER;
}

/* One first message of one sender. 0 or -ENOMEM; *ret_more says whether it may draw again. */
static int draw_one(struct drawing *drawing, uint32_t from, bool *ret_more)
{
    *ret_more = false;
    const struct seat_slot *slot = seat_next_slot(&drawing->seats, from);
    if (!slot)
        return 0;

    struct tally tally = {0};
    int64_t at = slot->at;
    uint32_t to = pick(drawing, from, at, &tally);
    if (to == NO_ACCOUNT) {
        int r = repair(drawing, from, at, &to);
        if (r < 0)
            return r;
        /* What was moved may now be answered by this very sender, in this slot. */
        if (slot->used) {
            *ret_more = true;
            return 0;
        }
    }
    if (to == NO_ACCOUNT)
        to = pick_same_owner(drawing, from, at);
    if (to == NO_ACCOUNT) {
        drawing->reasons[from] = reason_of(drawing, from, at, &tally);
        return 0;
    }
    *ret_more = true;
    return add_exchange(drawing, from, to, at);
}

static void shuffle_senders(struct drawing *drawing)
{
    for (size_t i = drawing->senders_count; i > 1; i--) {
        size_t j = flz_rng_below(&drawing->rng, i);
        uint32_t swap = drawing->senders[i - 1];
        drawing->senders[i - 1] = drawing->senders[j];
        drawing->senders[j] = swap;
    }
}

static bool can_receive(void *data, uint32_t account)
{
    const struct drawing *drawing = data;
    for (int day = 0; day < PLAN_DAYS; day++)
        if (drawing->seats.seats[account].inbound[day] > 0)
            return true;
    return false;
}

/* One first message of each sender that has one left to draw. */
static int draw_round(struct drawing *drawing)
{
    const atomic_bool *cancelled = drawing->input->cancelled;
    size_t kept = 0;
    shuffle_senders(drawing);
    if (drawing->input->accounts_count >= COMPACT_MIN)
        pool_compact(&drawing->pool, can_receive, drawing);
    for (size_t i = 0; i < drawing->senders_count; i++) {
        bool more;
        if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
            return -ECANCELED;
        int r = draw_one(drawing, drawing->senders[i], &more);
        if (r < 0)
            return r;
        if (more)
            drawing->senders[kept++] = drawing->senders[i];
    }
    drawing->senders_count = kept;
    return 0;
}

/* Why a sender cannot begin at all, or PLAN_FULL. */
static enum plan_reason bar_of(const struct drawing *drawing, uint32_t account)
{
    const struct plan_account *a = &drawing->input->accounts[account];
    const struct seat *seat = &drawing->seats.seats[account];
    if (seat->wanted == 0)
        return PLAN_FULL;
    if (a->window_end[0] <= a->window_start[0] || a->window_end[0] <= drawing->input->now)
        return PLAN_NO_WINDOW;
    if (scenarios_of(drawing, a->language) == 0)
        return PLAN_NO_CONTENT;
    return seat->slots_count < seat->wanted ? PLAN_NO_ROOM : PLAN_FULL;
}

static void find_senders(struct drawing *drawing)
{
    const struct plan_input *input = drawing->input;
    for (uint32_t i = 0; i < input->accounts_count; i++) {
        if (!input->accounts[i].sends)
            continue;
        drawing->reasons[i] = bar_of(drawing, i);
        drawing->same_owner_left[i] =
            input->accounts[i].quota[0] * (uint32_t)input->policy->same_owner_percent / 100;
        bool begins = drawing->reasons[i] == PLAN_FULL || drawing->reasons[i] == PLAN_NO_ROOM;
        if (begins && drawing->seats.seats[i].slots_count > 0)
            drawing->senders[drawing->senders_count++] = i;
    }
}

/* Moving an exchange may have given a slot back to somebody who had drawn all of his. */
static void recall_senders(struct drawing *drawing)
{
    for (uint32_t i = 0; i < drawing->input->accounts_count; i++) {
        bool begins = drawing->reasons[i] == PLAN_FULL || drawing->reasons[i] == PLAN_NO_ROOM;
        if (begins && seat_next_slot(&drawing->seats, i))
            drawing->senders[drawing->senders_count++] = i;
    }
}

/* Ends: each draw adds an exchange, of which there are no more than slots, or bars its sender, or
 * has spent of what may be spent on repairs. */
static int draw_all(struct drawing *drawing)
{
    do {
        while (drawing->senders_count > 0) {
            int r = draw_round(drawing);
            if (r < 0)
                return r;
        }
        recall_senders(drawing);
    } while (drawing->senders_count > 0);
    return 0;
}

static int list_shortfalls(struct drawing *drawing)
{
    const struct plan_input *input = drawing->input;
    struct plan_output *output = &drawing->output;
    for (size_t i = 0; i < input->accounts_count; i++) {
        const struct seat *seat = &drawing->seats.seats[i];
        if (!input->accounts[i].sends)
            continue;
        int r = flz_grow((void **)&output->shortfalls, &output->shortfalls_capacity,
                         output->shortfalls_count + 1, sizeof(*output->shortfalls));
        if (r < 0)
            return r;
        output->shortfalls[output->shortfalls_count++] = (struct plan_shortfall){
            .account = input->accounts[i].handle,
            .wanted = seat->wanted,
            .planned = seat->sent,
            .reason = seat->sent == seat->wanted ? PLAN_FULL : drawing->reasons[i],
        };
    }
    return 0;
}

static int drawing_init(struct drawing *drawing, const struct plan_input *input)
{
    size_t n = input->accounts_count + 1;
    uint8_t seed[8];
    flz_put_be64(seed, input->seed);
    flz_rng_init(&drawing->rng, (struct flz_view){.data = seed, .len = sizeof(seed)},
                 (uint64_t)(int64_t)input->date);
    drawing->input = input;
    drawing->repair_budget = REPAIR_BUDGET_LEAST + (uint64_t)REPAIR_BUDGET_EACH * n;
    drawing->senders = calloc(n, sizeof(*drawing->senders));
    drawing->reasons = calloc(n, sizeof(*drawing->reasons));
    drawing->same_owner_left = calloc(n, sizeof(*drawing->same_owner_left));
    drawing->received_first = calloc(n, sizeof(*drawing->received_first));
    if (!drawing->senders || !drawing->reasons || !drawing->same_owner_left ||
        !drawing->received_first)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++)
        drawing->received_first[i] = NO_EXCHANGE;

    int r = seats_init(&drawing->seats, input, &drawing->rng);
    if (r == 0)
        r = pool_init(&drawing->pool, input);
    if (r == 0)
        r = scarcity_init(&drawing->scarcity, &drawing->pool, &drawing->seats);
    if (r == 0)
        r = pair_history_init(&drawing->history, input, drawing->seats.slots_count);
    return r;
}

int plan_day(const struct plan_input *input, struct plan_output *ret_output)
{
    _cleanup_(drawing_deinit) struct drawing drawing = {
        .seats = SEATS_NULL,
        .pool = POOL_NULL,
        .scarcity = SCARCITY_NULL,
        .history = PAIR_HISTORY_NULL,
        .output = PLAN_OUTPUT_NULL,
    };
    int r = drawing_init(&drawing, input);
    if (r < 0)
        return r;

    find_senders(&drawing);
    r = draw_all(&drawing);
    if (r == 0)
        r = list_shortfalls(&drawing);
    if (r < 0)
        return r;
    *ret_output = drawing.output;
    drawing.output = PLAN_OUTPUT_NULL;
    return 0;
}
