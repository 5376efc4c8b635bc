/*
 * Pairs: who wrote to whom first, and when; what that allows today. A view over the contacts of the
 * input plus the pairs started by the plan being drawn. Accounts are indexes into the input.
 */
#pragma once

#include "coordinator/core/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIR_NEVER INT32_MIN

struct pair_history {
    const struct plan_input *input; /* borrowed */
    size_t *begins;    /* owned: contacts of account i are [begins[2 i], begins[2 i + 1]) */
    uint64_t *today;   /* owned: open-addressed set of unordered pairs; 0 = free */
    size_t today_size; /* a power of two */
};

#define PAIR_HISTORY_NULL ((struct pair_history){.input = NULL})

enum pair_state {
    PAIR_FREE,
    PAIR_COOLING, /* P3 */
    PAIR_STARTED, /* P4 */
};

/* What is known of a pair in one direction. */
struct pair_fact {
    enum pair_state state;
    int32_t wrote;    /* date of the newest first message this way, or PAIR_NEVER */
    int32_t answered; /* the other way */
};

/* `starts_max`: the most pairs that will be started. 0 or -ENOMEM. */
int pair_history_init(struct pair_history *history, const struct plan_input *input,
                      size_t starts_max);
void pair_history_deinit(struct pair_history *history);

struct pair_fact pair_look(const struct pair_history *history, uint32_t from, uint32_t to);

/* Marks a pair as started today by this plan, and takes that back. */
void pair_start(struct pair_history *history, uint32_t from, uint32_t to);
void pair_undo(struct pair_history *history, uint32_t from, uint32_t to);
