/*
 * Plain ramps: how a domain's own, real mail may grow from day to day, by tables that others have
 * published for it. Nothing of the network is in it: no warming, no partner, no account; so it
 * serves those who cannot be warmed, too. Integers only.
 *
 * Whichever table it is, a day is a most, and the next one follows only when bounces and complaints
 * of the day before allow it.
 */
#pragma once

#include "coordinator/core/policy.h"

#include <stddef.h>
#include <stdint.h>

struct plain_table {
    const char *name;
    const uint32_t *steps; /* messages of each sending day, ascending; none: by the share alone */
    size_t steps_count;
    uint32_t percent; /* most growth a day behind the last step; 0: the policy's own */
    const char *text;
    const char *source;
};

/* All tables, the most careful first; static. */
const struct plain_table *plain_tables(size_t *ret_count);
/* NULL: there is no table of that name. */
const struct plain_table *plain_find(const char *name);

/* Messages on the next sending day of a domain that sent `level` on the one before (0: none). */
uint64_t plain_next(const struct plain_table *table, uint64_t level, const struct policy *policy);

/* Whom to write to on a sending day (from 1) of a ramp with so many days a week: receivers judge
 * the first weeks by what these do with the mail. */
const char *plain_audience(uint32_t number, uint32_t days_a_week);
