#include "coordinator/core/pool.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sort_item {
    uint32_t bucket;
    uint32_t group; /* domain or owner */
    uint64_t shuffle;
    uint32_t account;
};

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_items(const void *left, const void *right)
{
    const struct sort_item *a = left;
    const struct sort_item *b = right;
    int r = compare_u64(a->bucket, b->bucket);
    if (r == 0)
        r = compare_u64(a->group, b->group);
    if (r == 0)
        r = compare_u64(a->shuffle, b->shuffle);
    return r != 0 ? r : compare_u64(a->account, b->account);
}

/* A number of its own for each (seed, account), in no relation to its handle (splitmix64). */
static uint64_t shuffled(uint64_t seed, uint32_t account)
{
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15) * (account + UINT64_C(1));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int compare_u32(const void *left, const void *right)
{
    return compare_u64(*(const uint32_t *)left, *(const uint32_t *)right);
}

/* Numbers the languages in ascending order. */
static int find_buckets(struct pool *pool)
{
    const struct plan_input *input = pool->input;
    size_t n = input->accounts_count;
    uint32_t *languages = calloc(n + 1, sizeof(*languages));
    pool->bucket = calloc(n + 1, sizeof(*pool->bucket));
    if (!languages || !pool->bucket) {
        free(languages);
        return flz_fail(-ENOMEM);
    }

    for (size_t i = 0; i < n; i++)
        languages[i] = input->policy->cross_language ? 0 : input->accounts[i].language;
    memcpy(pool->bucket, languages, n * sizeof(*languages));
    qsort(languages, n, sizeof(*languages), compare_u32);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || languages[i] != languages[i - 1])
            languages[pool->buckets++] = languages[i];
    for (size_t i = 0; i < n; i++) {
        uint32_t *found = bsearch(&pool->bucket[i], languages, pool->buckets, sizeof(*languages),
                                  compare_u32);
        pool->bucket[i] = (uint32_t)(found - languages);
    }
    free(languages);
    return 0;
}

static bool receives(const struct plan_account *account)
{
    for (int day = 0; day < PLAN_DAYS; day++)
        if (account->window_end[day] > account->window_start[day])
            return account->receives;
    return false;
}

/* Groups of all accounts, receivers or not: a sender that does not receive has a range as well. */
static void fill_order(struct pool *pool, struct pool_order *order, size_t *ret_bucket_groups,
                       const struct sort_item *items)
{
    const struct plan_input *input = pool->input;
    size_t kept = 0;
    for (size_t i = 0; i < input->accounts_count; i++) {
        const struct sort_item *item = &items[i];
        if (i == 0 || item->bucket != items[i - 1].bucket)
            ret_bucket_groups[item->bucket] = order->groups;
        if (i == 0 || item->bucket != items[i - 1].bucket || item->group != items[i - 1].group)
            order->begins[order->groups++] = kept;
        order->group[item->account] = (uint32_t)(order->groups - 1);
        if (receives(&input->accounts[item->account]))
            order->accounts[kept++] = item->account;
    }
    order->begins[order->groups] = kept;
    ret_bucket_groups[pool->buckets] = order->groups;
}

static int init_order(struct pool *pool, enum pool_order_kind kind)
{
    const struct plan_input *input = pool->input;
    size_t n = input->accounts_count;
    struct pool_order *order = &pool->orders[kind];
    struct sort_item *items = calloc(n + 1, sizeof(*items));
    order->accounts = calloc(n + 1, sizeof(*order->accounts));
    order->group = calloc(n + 1, sizeof(*order->group));
    order->begins = calloc(n + 1, sizeof(*order->begins));
    pool->bucket_groups[kind] = calloc(pool->buckets + (size_t)1, sizeof(size_t));
    if (!items || !order->accounts || !order->group || !order->begins ||
        !pool->bucket_groups[kind]) {
        free(items);
        return flz_fail(-ENOMEM);
    }

    for (size_t i = 0; i < n; i++)
        items[i] = (struct sort_item){
            .bucket = pool->bucket[i],
            .group = kind == POOL_BY_DOMAIN ? input->accounts[i].domain : input->accounts[i].owner,
            .shuffle = shuffled(input->seed, input->accounts[i].handle),
            .account = (uint32_t)i,
        };
    qsort(items, n, sizeof(*items), compare_items);
    fill_order(pool, order, pool->bucket_groups[kind], items);
    free(items);
    return 0;
}

int pool_init(struct pool *pool, const struct plan_input *input)
{
    *pool = POOL_NULL;
    pool->input = input;
    int r = find_buckets(pool);
    if (r == 0)
        r = init_order(pool, POOL_BY_DOMAIN);
    if (r == 0)
        r = init_order(pool, POOL_BY_OWNER);
    if (r < 0)
        pool_deinit(pool);
    return r;
}

void pool_deinit(struct pool *pool)
{
    for (int kind = 0; kind < 2; kind++) {
        free(pool->orders[kind].accounts);
        free(pool->orders[kind].group);
        free(pool->orders[kind].begins);
        free(pool->bucket_groups[kind]);
    }
    free(pool->bucket);
    *pool = POOL_NULL;
}

static void compact_order(struct pool_order *order, bool (*keep)(void *, uint32_t), void *data)
{
    size_t kept = 0;
    size_t from = 0;
    for (size_t group = 0; group < order->groups; group++) {
        size_t end = order->begins[group + 1];
        order->begins[group] = kept;
        for (; from < end; from++)
            if (keep(data, order->accounts[from]))
                order->accounts[kept++] = order->accounts[from];
    }
    order->begins[order->groups] = kept;
}

void pool_compact(struct pool *pool, bool (*keep)(void *data, uint32_t account), void *data)
{
    compact_order(&pool->orders[POOL_BY_DOMAIN], keep, data);
    compact_order(&pool->orders[POOL_BY_OWNER], keep, data);
}

static size_t group_size(const struct pool_order *order, uint32_t account)
{
    size_t group = order->group[account];
    return order->begins[group + 1] - order->begins[group];
}

struct pool_view pool_candidates(const struct pool *pool, uint32_t account)
{
    bool owner = group_size(&pool->orders[POOL_BY_OWNER], account) >
                 group_size(&pool->orders[POOL_BY_DOMAIN], account);
    enum pool_order_kind kind = owner ? POOL_BY_OWNER : POOL_BY_DOMAIN;
    const struct pool_order *order = &pool->orders[kind];
    const size_t *bucket = &pool->bucket_groups[kind][pool->bucket[account]];
    size_t begin = order->begins[bucket[0]];
    size_t end = order->begins[bucket[1]];
    size_t own = group_size(order, account);
    return (struct pool_view){
        .accounts = order->accounts + begin,
        .before = order->begins[order->group[account]] - begin,
        .left_out = own,
        .count = end - begin - own,
    };
}

struct pool_view pool_same_owner(const struct pool *pool, uint32_t account)
{
    const struct pool_order *order = &pool->orders[POOL_BY_OWNER];
    size_t own = group_size(order, account);
    return (struct pool_view){
        .accounts = order->accounts + order->begins[order->group[account]],
        .before = own,
        .left_out = 0,
        .count = own,
    };
}

uint32_t pool_at(const struct pool_view *view, size_t position)
{
    return view->accounts[position < view->before ? position : position + view->left_out];
}
