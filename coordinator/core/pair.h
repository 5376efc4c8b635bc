/*
 * Pairs: who wrote to whom first, and when; what that allows today. A view over the contacts of the
 * input, and for each account a filter of those that it must not write to now: a negative answer of
 * the filter is certain and costs one cache line, a positive one is looked up. Accounts are places
 * of the pool.
 */
#pragma once

#include "coordinator/core/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIR_NEVER INT32_MIN

#define PAIR_FILTER_WORDS 8 /* one cache line */
#define PAIR_OWED 5

/* Who wrote first to an account within the last days, and may wait for a turn. */
struct pair_owed {
    uint32_t places[PAIR_OWED]; /* or POOL_NOBODY */
};

struct pair_history {
    const struct plan_input *input; /* borrowed */
    const struct pool *pool;        /* borrowed */
    uint32_t *begins; /* owned: contacts of account i are [begins[2 i], begins[2 i + 1]) */
    uint64_t (*filters)[PAIR_FILTER_WORDS]; /* owned, one a place */
    struct pair_owed *owed;                 /* owned, one a place */
    bool thinned;                           /* owed: some of many */
};

#define PAIR_HISTORY_NULL ((struct pair_history){.input = NULL})

enum pair_state {
    PAIR_FREE,
    PAIR_COOLING, /* P3 */
    PAIR_STARTED, /* P4: by an earlier plan of today */
};

/* What is known of a pair in one direction. */
struct pair_fact {
    enum pair_state state;
    int32_t wrote;    /* date of the newest first message this way, or PAIR_NEVER */
    int32_t answered; /* the other way */
};

/* 0 or -ENOMEM. */
int pair_history_init(struct pair_history *history, const struct pool *pool);
void pair_history_deinit(struct pair_history *history);

/* Of the contacts alone: what this plan itself started is its caller's to know. */
struct pair_fact pair_look(const struct pair_history *history, uint32_t from, uint32_t to);

/* An account, in both ways that it is known here. */
struct pair_end {
    uint32_t place;
    uint32_t handle;
};

/* false: no contact and no start of today bars the account at `from` from writing to that of this
 * handle. */
bool pair_may_be_barred(const struct pair_history *history, uint32_t from, uint32_t handle);

/* Has both be told of each other by pair_may_be_barred, from now on. */
void pair_start(struct pair_history *history, struct pair_end from, struct pair_end to);
