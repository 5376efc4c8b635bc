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
 * one piece, as their table says (ramp_profiles): low_use from 10 to its target in 10 sending days,
 * existing from 10 to its target in four weeks, recovery from the last good level, or 10, to its
 * target (at most 30) in five weeks.
 *
 * The reference level r follows what was committed, clamped to r ± max(1, growth_percent) after
 * each sending day, and never falls below 1; a quota is at most r + max(1, growth_percent), and a
 * planned decline at most as steep. What the pool cannot carry is cut at once: downwards only. A
 * day that was not met (below 80 % of what was possible, or nothing possible) does not advance the
 * phase. An account that has not begun, and sent nothing, has still not begun.
 *
 * Who has sent nothing for long is no longer known. After 30 days the ramp starts again; after more
 * than a week, level and phase are taken back in proportion (ramp_resume). A day off is no sending
 * day and moves nothing; a long row of them is silence like any other.
 */
#pragma once

#include "coordinator/core/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ramp_phase { RAMP_START = 1, RAMP_RAMP = 2, RAMP_MAINTAIN = 3, RAMP_RECOVERY = 4 };

/* What the ramp remembers of an account. All zero: a new one. Whoever changes an account's
 * profile sets `day` to 0 and keeps `reference`: the new curve begins, and is climbed from the
 * old level. */
struct ramp_state {
    uint32_t day;       /* sending days met so far */
    uint32_t reference; /* r: the level that ±25 % is taken from; 0 before the first day */
    uint32_t last_quota;
    int32_t last_date; /* of the last closed sending day; 0 = none */
    int32_t sent_date; /* of the last one on which something was sent; 0: not told, last_date */
};

#define RAMP_IDLE_FREE_DAYS 7     /* who sends on one day a week is not idle in between */
#define RAMP_IDLE_RESTART_DAYS 30 /* SendGrid warms up again after so many days without mail */

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

struct row_account;
struct ramp_settings ramp_settings_of(const struct row_account *row);
/* The row's ramp as it is taken up on `date` (ramp_resume). */
struct ramp_state ramp_state_on(const struct row_account *row, int32_t date);

/* How a kind of account is warmed. What the climb ends at is the account's own target. */
struct ramp_profile {
    uint32_t profile;    /* enum flz_profile */
    uint32_t from;       /* first day's messages, if the target is no less; 0: by the bands */
    uint32_t target_max; /* 0: only the ceilings bound it */
    uint32_t days;       /* sending days of its climb; 0: by the next */
    uint32_t weeks;      /* weeks of sending days */
    uint32_t own_after;  /* weeks before any prospecting of the owner's own is advised */
    const char *text;    /* which accounts it is for */
    const char *source;
};

/* All profiles, in the order of enum flz_profile; static. */
const struct ramp_profile *ramp_profiles(size_t *ret_count);
/* The profile of these settings; never NULL (`new`). */
const struct ramp_profile *ramp_profile(const struct ramp_settings *settings);

/*
 * The ramp as it is taken up again on `date`: unchanged when something was sent within
 * RAMP_IDLE_FREE_DAYS, not begun after RAMP_IDLE_RESTART_DAYS; in between level and phase are taken
 * back by the share of that time that has passed. Quotas, phases and closes of a date begin here.
 */
struct ramp_state ramp_resume(const struct ramp_state *state, const struct ramp_settings *settings,
                              int32_t date);

/* Days since something was sent, on `date`; 0 when nothing ever was. */
uint32_t ramp_idle_days(const struct ramp_state *state, int32_t date);

enum ramp_phase ramp_phase(const struct ramp_state *state, const struct ramp_settings *settings);

/* The curve's own value for the next sending day, before bounds: what the phase wants. At least
 * 1. */
uint32_t ramp_target(const struct ramp_state *state, const struct ramp_settings *settings);

/* What it is to send in the end, and maintain. */
uint32_t ramp_goal(const struct ramp_settings *settings);

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

/*
 * Messages it may receive on a day on which it may send `quota`: inbound_percent of that, and not
 * beyond the upper end of what its phase sends and receives (maintain: 30, or its target), unless
 * its quota is.
 */
uint32_t ramp_inbound(const struct ramp_state *state, const struct ramp_settings *settings,
                      const struct policy *policy, uint32_t quota);

/* Closes a sending day: `quota` as it was planned, `committed` messages sent, `possible` = what
 * pool and health allowed. Returns the next state; `*ret_met` says whether the day counted. A
 * date not after the last closed one changes nothing. */
struct ramp_state ramp_close(const struct ramp_state *state, const struct ramp_settings *settings,
                             const struct policy *policy, int32_t date, uint32_t quota,
                             uint32_t committed, uint32_t possible, bool *ret_met);
