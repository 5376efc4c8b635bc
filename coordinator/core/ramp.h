/*
 * The ramp: how many messages an account may send on its next sending day. Integers only.
 *
 * Phases in weeks (mission tables, B.1, B.2): start (weeks 1–2), ramp (weeks 3–4), maintain, or
 * recovery; boundaries at 2 × and 4 × the sending days of a week. Presets low 10, medium 20, high 30
 * a day. The reference level follows what was committed, within ±max(1, growth_percent) a sending
 * day; a day that was not met (below 80 % of what was possible) does not advance the phase.
 */
#pragma once

#include "coordinator/core/policy.h"

#include <stdbool.h>
#include <stdint.h>

enum ramp_phase { RAMP_START = 1, RAMP_RAMP = 2, RAMP_MAINTAIN = 3, RAMP_RECOVERY = 4 };

/* What the ramp remembers of an account. All zero: a new one. */
struct ramp_state {
    uint32_t day;       /* sending days met so far */
    uint32_t reference; /* r: the level that ±25 % is taken from; 0 before the first day */
    uint32_t last_quota;
    int32_t last_date;  /* of the last closed sending day; 0 = none */
};

struct ramp_settings {
    uint32_t intensity; /* enum flz_intensity; 0 with target */
    uint32_t target;    /* 1–40; 0 = by intensity */
    uint32_t profile;   /* enum flz_profile */
    uint32_t days;      /* bit mask of sending days: how many a week */
};

enum ramp_phase ramp_phase(const struct ramp_state *state, const struct ramp_settings *settings);

/* The curve's own value for the next sending day, before bounds: what the phase wants. */
uint32_t ramp_target(const struct ramp_state *state, const struct ramp_settings *settings);

/* The quota of the next sending day: curve, ±growth bound, ceilings. `pool_max`: what the pool can
 * carry (UINT32_MAX: no bound); a pool below the curve lowers it (an exemption, downwards only). */
uint32_t ramp_quota(const struct ramp_state *state, const struct ramp_settings *settings,
                    const struct policy *policy, uint32_t pool_max);

/* Closes a sending day: `quota` as it was planned, `committed` messages sent, `possible` = what pool
 * and health allowed. Returns the next state; `*ret_met` says whether the day counted. */
struct ramp_state ramp_close(const struct ramp_state *state, const struct ramp_settings *settings,
                             const struct policy *policy, int32_t date, uint32_t quota,
                             uint32_t committed, uint32_t possible, bool *ret_met);
