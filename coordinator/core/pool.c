#include "coordinator/core/pool.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In a large pool, an owner that holds less than a part of its bucket is met seldom enough to be
 * tested for: reading in the order of domains is worth more. */
#define OWNER_TEST_PART 16

/* What the pool is sorted by: the most telling word first. */
#define KEY_WORDS 3
struct sort_item {
    uint32_t key[KEY_WORDS]; /* language, group, shuffle */
    uint32_t account;
    bool receives;
};

/* A number of its own for each (seed, account), in no relation to its handle (splitmix64). */
static uint32_t shuffled(uint64_t seed, uint32_t account)
{
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15) * (account + UINT64_C(1));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z ^ z >> 31);
}

/* One stable pass over one byte of the key. false: all are equal there, nothing was moved. */
static bool sort_pass(const struct sort_item *from, struct sort_item *to, uint32_t count, int word,
                      int shift)
{
    uint32_t begins[256] = {0};
    for (uint32_t i = 0; i < count; i++)
        begins[from[i].key[word] >> shift & 0xff]++;
    if (count == 0 || begins[from[0].key[word] >> shift & 0xff] == count)
        return false;
    uint32_t sum = 0;
    for (int digit = 0; digit < 256; digit++) {
        uint32_t n = begins[digit];
        begins[digit] = sum;
        sum += n;
    }
    for (uint32_t i = 0; i < count; i++)
        to[begins[from[i].key[word] >> shift & 0xff]++] = from[i];
    return true;
}

/* Sorts by radix, least byte first; `items` has room for twice as many. Returns the half that
 * holds the result. */
static struct sort_item *sort_items(struct sort_item *items, uint32_t count)
{
    struct sort_item *from = items;
    struct sort_item *to = items + count;
    for (int word = KEY_WORDS - 1; word >= 0; word--)
        for (int shift = 0; shift < 32; shift += 8)
            if (sort_pass(from, to, count, word, shift)) {
                struct sort_item *swap = from;
                from = to;
                to = swap;
            }
    return from;
}

static bool receives(const struct plan_account *account)
{
    for (int day = 0; day < PLAN_DAYS; day++)
        if (account->window_end[day] > account->window_start[day])
            return account->receives;
    return false;
}

static void fill_items(const struct plan_input *input, enum pool_order_kind kind,
                       struct sort_item *items)
{
    for (uint32_t i = 0; i < input->accounts_count; i++) {
        const struct plan_account *a = &input->accounts[i];
        items[i] = (struct sort_item){
            .key = {input->policy->cross_language ? 0 : a->language,
                    kind == POOL_BY_DOMAIN ? a->domain : a->owner,
                    shuffled(input->seed, a->handle)},
            .account = i,
            .receives = receives(a),
        };
    }
}

/* Places, and buckets in ascending order of their languages. */
static void set_places(struct pool *pool, const struct sort_item *items)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        if (i == 0 || items[i].key[0] != items[i - 1].key[0])
            pool->bucket_begins[pool->buckets++] = i;
        pool->account[i] = items[i].account;
        pool->place[items[i].account] = i;
        pool->bucket[i] = pool->buckets - 1;
    }
    pool->bucket_begins[pool->buckets] = pool->count;
}

/* Groups of all accounts, receivers or not: a sender that does not receive has a range as well. */
static void fill_order(struct pool *pool, enum pool_order_kind kind, const struct sort_item *items)
{
    struct pool_order *order = &pool->orders[kind];
    uint32_t kept = 0;
    uint32_t bucket = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        bool new_bucket = i == 0 || items[i].key[0] != items[i - 1].key[0];
        if (new_bucket)
            pool->bucket_groups[kind][bucket++] = order->groups;
        if (new_bucket || items[i].key[1] != items[i - 1].key[1])
            order->begins[order->groups++] = kept;
        uint32_t place = pool->place[items[i].account];
        order->group[place] = order->groups - 1;
        if (items[i].receives)
            order->places[kept++] = place;
    }
    order->begins[order->groups] = kept;
    pool->bucket_groups[kind][bucket] = order->groups;
}

static int init_order(struct pool *pool, enum pool_order_kind kind)
{
    struct pool_order *order = &pool->orders[kind];
    size_t n = pool->count + (size_t)1;
    _cleanup_(flz_freep) struct sort_item *items = calloc(2 * n, sizeof *items);
    order->places = calloc(n, sizeof *order->places);
    order->group = calloc(n, sizeof *order->group);
    order->begins = calloc(n, sizeof *order->begins);
    if (!items || !order->places || !order->group || !order->begins)
        return flz_fail(-ENOMEM);
    fill_items(pool->input, kind, items);
    const struct sort_item *sorted = sort_items(items, pool->count);
    if (kind == POOL_BY_DOMAIN)
        set_places(pool, sorted);
    pool->bucket_groups[kind] = calloc(pool->buckets + (size_t)1, sizeof(uint32_t));
    if (!pool->bucket_groups[kind])
        return flz_fail(-ENOMEM);
    fill_order(pool, kind, sorted);
    return 0;
}

int pool_init(struct pool *pool, const struct plan_input *input)
{
    *pool = POOL_NULL;
    pool->input = input;
    pool->count = (uint32_t)input->accounts_count;
    size_t n = pool->count + (size_t)1;
    pool->account = calloc(n, sizeof *pool->account);
    pool->place = calloc(n, sizeof *pool->place);
    pool->bucket = calloc(n, sizeof *pool->bucket);
    pool->bucket_begins = calloc(n, sizeof *pool->bucket_begins);
    bool room = pool->account && pool->place && pool->bucket && pool->bucket_begins;
    int r = room ? init_order(pool, POOL_BY_DOMAIN) : flz_fail(-ENOMEM);
    if (r == 0)
        r = init_order(pool, POOL_BY_OWNER);
    if (r < 0)
        pool_deinit(pool);
    return r;
}

void pool_deinit(struct pool *pool)
{
    for (int kind = 0; kind < 2; kind++) {
        free(pool->orders[kind].places);
        free(pool->orders[kind].group);
        free(pool->orders[kind].begins);
        free(pool->bucket_groups[kind]);
    }
    free(pool->account);
    free(pool->place);
    free(pool->bucket);
    free(pool->bucket_begins);
    *pool = POOL_NULL;
}

static uint32_t compact_order(struct pool_order *order, bool (*keep)(void *, uint32_t), void *data)
{
    uint32_t kept = 0;
    uint32_t from = 0;
    for (uint32_t group = 0; group < order->groups; group++) {
        uint32_t end = order->begins[group + 1];
        order->begins[group] = kept;
        for (; from < end; from++)
            if (keep(data, order->places[from]))
                order->places[kept++] = order->places[from];
    }
    order->begins[order->groups] = kept;
    return from - kept;
}

void pool_compact(struct pool *pool, bool (*keep)(void *data, uint32_t place), void *data)
{
    pool->dropped += compact_order(&pool->orders[POOL_BY_DOMAIN], keep, data);
    (void)compact_order(&pool->orders[POOL_BY_OWNER], keep, data);
}

static uint32_t group_size(const struct pool_order *order, uint32_t place)
{
    uint32_t group = order->group[place];
    return order->begins[group + 1] - order->begins[group];
}

struct pool_view pool_candidates(const struct pool *pool, uint32_t place)
{
    uint32_t owner = group_size(&pool->orders[POOL_BY_OWNER], place);
    enum pool_order_kind kind = POOL_BY_DOMAIN;
    const uint32_t bucket = pool->bucket[place];
    if (owner > group_size(&pool->orders[POOL_BY_DOMAIN], place) &&
        (pool->count < POOL_LARGE_MIN ||
         owner > (pool->bucket_begins[bucket + 1] - pool->bucket_begins[bucket]) / OWNER_TEST_PART))
        kind = POOL_BY_OWNER;
    const struct pool_order *order = &pool->orders[kind];
    const uint32_t *groups = &pool->bucket_groups[kind][bucket];
    uint32_t begin = order->begins[groups[0]];
    uint32_t end = order->begins[groups[1]];
    uint32_t own = group_size(order, place);
    return (struct pool_view){
        .places = order->places + begin,
        .before = order->begins[order->group[place]] - begin,
        .left_out = own,
        .count = end - begin - own,
        .position = place - pool->bucket_begins[bucket],
    };
}

struct pool_view pool_same_owner(const struct pool *pool, uint32_t place)
{
    const struct pool_order *order = &pool->orders[POOL_BY_OWNER];
    uint32_t own = group_size(order, place);
    return (struct pool_view){
        .places = order->places + order->begins[order->group[place]],
        .before = own,
        .left_out = 0,
        .count = own,
    };
}

uint32_t pool_at(const struct pool_view *view, uint32_t position)
{
    return view->places[position < view->before ? position : position + view->left_out];
}

uint32_t pool_ahead(const struct pool_view *view, uint32_t share)
{
    /* The ring with what is left out: neighbours of two groups look at neighbours. */
    uint64_t ring = (uint64_t)view->count + view->left_out;
    uint64_t ahead = view->position + (share * ring >> 32);
    if (ahead >= view->count)
        ahead -= view->count; /* once around, nearly always */
    return (uint32_t)(ahead < view->count ? ahead : ahead % view->count);
}
