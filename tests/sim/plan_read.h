/*
 * A plan in full: what plan_day() packs, unpacked into one list that tests may look at, and break.
 */
#pragma once

#include "coordinator/core/plan.h"

/* Owned arrays; plan_read_deinit frees them. */
struct plan_read {
    struct plan_exchange *exchanges;
    size_t exchanges_count;
    struct plan_shortfall *shortfalls;
    size_t shortfalls_count;
};

#define PLAN_READ_NULL ((struct plan_read){.exchanges = NULL})

/* Unpacks a plan and copies its shortfalls. Aborts when memory is short. */
void plan_read_of(const struct plan_input *input, const struct plan_output *output,
                  struct plan_read *ret_read);

/* Draws the day's plan and unpacks it; what plan_day() returns. */
int plan_read_day(const struct plan_input *input, struct plan_read *ret_read);
void plan_read_deinit(struct plan_read *read);
