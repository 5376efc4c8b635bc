/*
 * The ramp: how many messages an account may send on its next sending day. Integers only.
 *
 * Phases in weeks (mission tables): start (weeks 1–2), ramp (weeks 3–4), maintain, or recovery;
 * boundaries at 2 × and 4 × the sending days of a week. Presets low 10, medium 20, high 30 a day.
 *
 * The curve of a phase is the straight line through its band, rounded half up. With fewer than
 * seven sending days a week there are fewer steps for the same rise, and a day that rounding or a
 * bound left behind is made good: the day wants at least its equal share of what remains. Medium
 * reads
 *
 *   7 days a week   5 5 6 6 7 7 7 8 8 8 9 9 10 10 | 12 15 16 16 17 17 17 18 18 18 19 19 20 20 | 20
 *   Monday–Friday   5 6 7 7 8 8 9 9 10 10 | 12 15 16 17 18 18 19 19 20 20 | 20
 *
 * (12 and 15 where the band begins at 15: growth is bound to 25 % a day.) Other profiles climb in
 * one piece: low_use from 10 to its target in 10 sending days, existing from 10 to its target in
 * four weeks, recovery from the last good level, or 10, to its target (at most 30) in five weeks.
 *
 * The reference level r follows what was committed, clamped to r ± max(1, growth_percent) after
 * each sending day, and never falls below 1; a quota is at most r + max(1, growth_percent), and a
 * planned decline at most as steep. What the pool cannot carry is cut at once: downwards only. A
 * day that was not met (below 80 % of what was possible, or nothing possible) does not advance the
 * phase. An account that has not begun, and was given nothing, has still not begun.
 */
#pragma once

#include "coordinator/core/policy.h"

#include <stdbool.h>
#include <stdint.h>

enum ramp_phase { RAMP_START = 1, RAMP_RAMP = 2, RAMP_MAINTAIN = 3, RAMP_RECOVERY = 4 };

/* What the ramp remembers of an account. All zero: a new one. Whoever changes an account's
 * profile sets `day` to 0 and keeps `reference`: the new curve begins, and is climbed from the
 * old level. */
struct ramp_state {
    uint32_t day;       /* sending days met so far */
    uint32_t reference; /* r: the level that ±25 % is taken from; 0 before the first day */
    uint32_t last_quota;
    int32_t last_date;  /* of the last closed sending day; 0 = none */
};

struct ramp_settings {
    uint32_t intensity; /* enum flz_intensity; 0 with target, or for medium */
    uint32_t target;    /* 1–40; 0 = by intensity */
    uint32_t profile;   /* enum flz_profile; 0 = new */
    uint32_t days;      /* bit mask of sending days: how many a week; none counts as one */
};

/* Messages a day, both ends included. */
struct ramp_band {
    uint32_t low;
    uint32_t high;
};

enum ramp_phase ramp_phase(const struct ramp_state *state, const struct ramp_settings *settings);

/* The curve's own value for the next sending day, before bounds: what the phase wants. At least
 * 1. */
uint32_t ramp_target(const struct ramp_state *state, const struct ramp_settings *settings);

/* What the phase of the next sending day is to send: its published band. */
struct ramp_band ramp_band(const struct ramp_state *state, const struct ramp_settings *settings);

/* What the owner may send besides, of his own: 0–10 in weeks 1 and 2, 20–50 in weeks 3 and 4,
 * 50–100 later (mission tables B.1), beside 20 warming messages a day; beside fewer
 * proportionally less. None from a new account's first two weeks, and none from a recovering
 * one. Advice: it lowers no quota. */
struct ramp_band ramp_prospecting(const struct ramp_state *state,
                                  const struct ramp_settings *settings);

/* The quota of the next sending day: curve, ±growth bound, ceilings. `pool_max`: what the pool can
 * carry (UINT32_MAX: no bound); a pool below the curve lowers it (an exemption, downwards only). */
uint32_t ramp_quota(const struct ramp_state *state, const struct ramp_settings *settings,
                    const struct policy *policy, uint32_t pool_max);

/* Closes a sending day: `quota` as it was planned, `committed` messages sent, `possible` = what
 * pool and health allowed. Returns the next state; `*ret_met` says whether the day counted. A
 * date not after the last closed one changes nothing. */
struct ramp_state ramp_close(const struct ramp_state *state, const struct ramp_settings *settings,
                             const struct policy *policy, int32_t date, uint32_t quota,
                             uint32_t committed, uint32_t possible, bool *ret_met);
