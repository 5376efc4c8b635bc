/*
 * The pool: who may be written to, kept in an order from which a partner of another domain, or of
 * another owner, is drawn without looking at one's own. Accounts of one language form a bucket;
 * within it they stand by domain, and once more by owner, so that what an account must not draw is
 * one range. Accounts are indexes into the input.
 */
#pragma once

#include "coordinator/core/plan.h"

#include <stddef.h>
#include <stdint.h>

/* One order of all receivers: grouped by (bucket, domain) or (bucket, owner). */
struct pool_order {
    uint32_t *accounts; /* owned: receivers still in the pool */
    uint32_t *group;    /* owned: the group of each account of the input */
    size_t *begins;     /* owned: where each group begins in `accounts`; one more closes the last */
    size_t groups;
};

struct pool {
    const struct plan_input *input; /* borrowed */
    uint32_t *bucket;               /* owned: the bucket of each account of the input */
    uint32_t buckets;
    size_t *bucket_groups[2]; /* owned: the first group of each bucket in each order, and the end */
    struct pool_order orders[2];
};

enum pool_order_kind { POOL_BY_DOMAIN, POOL_BY_OWNER };

/* A run of candidates with one range left out: positions [0, count) without holes. */
struct pool_view {
    const uint32_t *accounts;
    size_t before; /* positions below it lie at accounts[i], others at accounts[i + left_out] */
    size_t left_out;
    size_t count;
};

/* An empty pool, which pool_deinit accepts. */
#define POOL_NULL ((struct pool){.input = NULL})

/* All receivers with a window. The seed decides the order within a group. 0 or -ENOMEM. */
int pool_init(struct pool *pool, const struct plan_input *input);
void pool_deinit(struct pool *pool);

/* Keeps only those of whom `keep` says yes. */
void pool_compact(struct pool *pool, bool (*keep)(void *data, uint32_t account), void *data);

/* Candidates for an account: its language, without the larger of its own domain and its own owner;
 * the other one is for the caller to test. Valid until the next compaction. */
struct pool_view pool_candidates(const struct pool *pool, uint32_t account);

/* Receivers of the same language and owner, the account itself included. */
struct pool_view pool_same_owner(const struct pool *pool, uint32_t account);

/* The candidate at a position below view.count. */
uint32_t pool_at(const struct pool_view *view, size_t position);
