/*
 * The pool: all accounts in one order, by language (bucket), domain, and a seeded shuffle. Where an
 * account stands there is its *place*; what is drawn with lies in arrays by place, so that
 * neighbours in the pool are neighbours in memory. Receivers stand in that order and once more by
 * owner, so that what an account must not draw, its own domain or its own owner, is one range.
 */
#pragma once

#include "coordinator/core/plan.h"

#include <stddef.h>
#include <stdint.h>

#define POOL_NOBODY UINT32_MAX /* no place */
/* From so many accounts on, memory is far away: what is exact in a smaller pool costs too much. */
#define POOL_LARGE_MIN 4096

/* One order of all receivers: grouped by (bucket, domain) or (bucket, owner). */
struct pool_order {
    uint32_t *places; /* owned: receivers still in the pool */
    uint32_t *group;  /* owned: the group of each place */
    uint32_t *begins; /* owned: where each group begins in `places`; one more closes the last */
    uint32_t groups;
};

enum pool_order_kind { POOL_BY_DOMAIN, POOL_BY_OWNER };

struct pool {
    const struct plan_input *input; /* borrowed */
    uint32_t count;                 /* of all accounts, receivers or not */
    uint32_t *account;              /* owned: the index in the input of each place */
    uint32_t *place;                /* owned: the place of each account of the input */
    uint32_t *bucket;               /* owned: the bucket of each place */
    uint32_t buckets;
    uint32_t *bucket_begins;    /* owned: its first place; one more closes the last */
    uint32_t *bucket_groups[2]; /* owned: its first group in each order; the same */
    struct pool_order orders[2];
    uint32_t dropped; /* by pool_compact, of all */
};

/* A run of candidates with one range left out: positions [0, count) without holes. */
struct pool_view {
    const uint32_t *places;
    uint32_t before; /* positions below it lie at places[i], others at places[i + left_out] */
    uint32_t left_out;
    uint32_t count;
    uint32_t position; /* where the asker stands; may be count or more */
};

/* An empty pool, which pool_deinit accepts. */
#define POOL_NULL ((struct pool){.input = NULL})

/* All receivers with a window. The seed decides the order within a group. 0 or -ENOMEM. */
int pool_init(struct pool *pool, const struct plan_input *input);
void pool_deinit(struct pool *pool);

/* Keeps only those of whom `keep` says yes. */
void pool_compact(struct pool *pool, bool (*keep)(void *data, uint32_t place), void *data);

/* Candidates for an account: its language, without the larger of its own domain and its own owner;
 * the other one is for the caller to test. Valid until the next compaction. */
struct pool_view pool_candidates(const struct pool *pool, uint32_t place);

/* Receivers of the same language and owner, the account itself included. */
struct pool_view pool_same_owner(const struct pool *pool, uint32_t place);

/* The candidate at a position below view.count. */
uint32_t pool_at(const struct pool_view *view, uint32_t position);

/* The position that stands `share` / 2^32 of the view ahead of the asker, around its end: with one
 * share for all, each receiver is met by as many. */
uint32_t pool_ahead(const struct pool_view *view, uint32_t share);
