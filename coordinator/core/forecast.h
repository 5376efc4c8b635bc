/*
 * The forecast of an account: what its ramp would have it send, sending day by sending day, if each
 * is met and the pool carries it. Days off are no sending days, and a long row of them is felt. The
 * same functions as the planner's; nothing else is foreseen.
 */
#pragma once

#include "common/base/dayoff.h"
#include "coordinator/core/ramp.h"

struct forecast {
    struct ramp_settings settings;
    struct policy policy;
    struct ramp_state state; /* zero: an account that has sent nothing */
    struct flz_days_off days_off;
    int32_t date; /* the next calendar day to look at */
};

struct forecast_day {
    int32_t date;
    uint32_t number; /* of the sending day, from 1 */
    enum ramp_phase phase;
    struct ramp_band band;
    uint32_t quota;
    uint32_t inbound;             /* received, at most */
    struct ramp_band prospecting; /* advised, besides */
};

/* The next sending day, on `date` or after it; moves on behind it. `settings.days` has a day; days
 * off are passed over for FLZ_AWAY_MAX years at most. */
struct forecast_day forecast_next(struct forecast *forecast);
