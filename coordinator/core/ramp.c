#include "coordinator/core/ramp.h"

#include "proto/record.h"

#define DAYS_A_WEEK 7
#define MET_PERCENT 80
#define MAINTAIN_HIGH 30      /* of the published band of `maintain`: 20 to 30 */
#define PROSPECTING_BESIDE 20 /* warming messages a day that the published advice stands beside */

/* The bands of the phases `start` and `ramp`, by what `maintain` sends (mission tables B.1,
 * B.2). */
struct band {
    uint32_t target;
    uint32_t start_low;
    uint32_t start_high;
    uint32_t ramp_low;
    uint32_t ramp_high;
};

static const struct band bands[] = {
    {.target = 1, .start_low = 1, .start_high = 1, .ramp_low = 1, .ramp_high = 1},
    {.target = 10, .start_low = 3, .start_high = 6, .ramp_low = 6, .ramp_high = 10}, /* low */
    {.target = 20, .start_low = 5, .start_high = 10, .ramp_low = 15, .ramp_high = 20}, /* medium */
    {.target = 30, .start_low = 5, .start_high = 10, .ramp_low = 15, .ramp_high = 25}, /* high */
    {.target = POLICY_DAILY_CEILING, .start_low = 5, .start_high = 10, .ramp_low = 15,
     .ramp_high = 25},
};

static const struct ramp_profile profiles[] = {
    {.profile = FLZ_PROFILE_NEW,
     .weeks = 4,
     .own_after = 2,
     .text = "a mailbox or domain that has hardly sent before",
     .source = "warm-up tables: weeks 1-2 5-10 a day, weeks 3-4 15-25, then 20-30; growth within "
               "25 % a day (Tipimail)"},
    {.profile = FLZ_PROFILE_EXISTING,
     .from = 10,
     .weeks = 4,
     .text = "a mailbox in daily use, warmed beside its owner's own mail",
     .source = "warm-up tables: established accounts 4-6 weeks, warming beside prospecting"},
    {.profile = FLZ_PROFILE_LOW_USE,
     .from = 10,
     .days = 10,
     .text = "a mailbox that is known but little used",
     .source = "warm-up tables: little used accounts 1-2 weeks, 10 to 20 a day"},
    {.profile = FLZ_PROFILE_RECOVERY,
     .from = 10,
     .target_max = 30,
     .weeks = 5,
     .own_after = 5,
     .text = "a mailbox whose reputation was damaged",
     .source = "warm-up tables: damaged accounts 4-6 weeks, up to 30 a day, no prospecting"},
};

#define PROFILES_COUNT (sizeof profiles / sizeof *profiles)

/* A climb: from one level to another within so many sending days, `done` of them met. */
struct climb {
    uint32_t from;
    uint32_t to;
    uint32_t days;
    uint32_t done;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The value at `at` of `span` on the line from `from` to `to`, rounded half up. */
static uint32_t line(uint32_t from, uint32_t to, uint32_t at, uint32_t span)
{
    if (span == 0)
        return to;
    uint64_t rest = span - at;
    return (uint32_t)((2 * (from * rest + (uint64_t)to * at) + span) / (2 * (uint64_t)span));
}

static uint32_t days_a_week(const struct ramp_settings *settings)
{
    uint32_t mask = settings->days & ((1u << DAYS_A_WEEK) - 1);
    return mask ? (uint32_t)__builtin_popcount(mask) : 1;
}

static uint32_t target_of(const struct ramp_settings *settings)
{
    if (settings->target)
        return min_u32(settings->target, POLICY_DAILY_CEILING);
    switch (settings->intensity) {
    case FLZ_INTENSITY_LOW:
        return 10;
    case FLZ_INTENSITY_HIGH:
        return 30;
    default:
        return 20;
    }
}

/* A free target lies between two of the published rows; so do its bands. */
static struct band band_of(uint32_t target)
{
    const struct band *below = bands;
    while (below[1].target < target)
        below++;
    const struct band *above = below + 1;
    uint32_t at = target - below->target;
    uint32_t span = above->target - below->target;
    return (struct band){
        .target = target,
        .start_low = line(below->start_low, above->start_low, at, span),
        .start_high = line(below->start_high, above->start_high, at, span),
        .ramp_low = line(below->ramp_low, above->ramp_low, at, span),
        .ramp_high = line(below->ramp_high, above->ramp_high, at, span),
    };
}

const struct ramp_profile *ramp_profiles(size_t *ret_count)
{
    *ret_count = PROFILES_COUNT;
    return profiles;
}

const struct ramp_profile *ramp_profile(const struct ramp_settings *settings)
{
    for (size_t i = 0; i < PROFILES_COUNT; i++)
        if (profiles[i].profile == settings->profile)
            return &profiles[i];
    return &profiles[0];
}

/* Sending days until it maintains its target. */
static uint32_t warm_up_days(const struct ramp_settings *settings)
{
    const struct ramp_profile *profile = ramp_profile(settings);
    return profile->days ? profile->days : profile->weeks * days_a_week(settings);
}

/* The same of a profile that climbs in one piece; 0 for `new`. */
static uint32_t climb_days(const struct ramp_settings *settings)
{
    return ramp_profile(settings)->from ? warm_up_days(settings) : 0;
}

/* ---- Silence ---- */

uint32_t ramp_idle_days(const struct ramp_state *state, int32_t date)
{
    int32_t sent = state->sent_date ? state->sent_date : state->last_date;
    return sent != 0 && date > sent ? (uint32_t)(date - sent) : 0;
}

struct ramp_state ramp_resume(const struct ramp_state *state, const struct ramp_settings *settings,
                              int32_t date)
{
    struct ramp_state next = *state;
    uint32_t idle = ramp_idle_days(state, date);
    if (idle <= RAMP_IDLE_FREE_DAYS || state->reference == 0)
        return next;
    if (idle >= RAMP_IDLE_RESTART_DAYS) {
        next.day = 0;
        next.reference = 0;
        return next;
    }
    uint32_t span = RAMP_IDLE_RESTART_DAYS - RAMP_IDLE_FREE_DAYS;
    uint32_t left = RAMP_IDLE_RESTART_DAYS - idle;
    next.day = min_u32(state->day, warm_up_days(settings)) * left / span;
    next.reference = max_u32(line(0, state->reference, left, span), 1);
    return next;
}

struct ramp_settings ramp_settings_of(const struct row_account *row)
{
    return (struct ramp_settings){.intensity = row->intensity,
                                  .target = row->target,
                                  .profile = row->profile,
                                  .days = row->days};
}

struct ramp_state ramp_state_on(const struct row_account *row, int32_t date)
{
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = {.day = row->ramp_day,
                               .reference = row->ramp_reference,
                               .last_quota = row->ramp_last_quota,
                               .last_date = row->ramp_last_date,
                               .sent_date = row->ramp_sent_date};
    return ramp_resume(&state, &settings, date);
}

/* ---- The curve ---- */

enum ramp_phase ramp_phase(const struct ramp_state *state, const struct ramp_settings *settings)
{
    uint32_t week = days_a_week(settings);
    uint32_t climb = climb_days(settings);
    if (climb) {
        if (state->day >= climb)
            return RAMP_MAINTAIN;
        return settings->profile == FLZ_PROFILE_RECOVERY ? RAMP_RECOVERY : RAMP_RAMP;
    }
    if (state->day < 2 * week)
        return RAMP_START;
    return state->day < 4 * week ? RAMP_RAMP : RAMP_MAINTAIN;
}

uint32_t ramp_goal(const struct ramp_settings *settings)
{
    uint32_t target = target_of(settings);
    uint32_t max = ramp_profile(settings)->target_max;
    return max ? min_u32(target, max) : target;
}

static struct climb climb_of(const struct ramp_state *state, const struct ramp_settings *settings,
                             enum ramp_phase phase)
{
    uint32_t goal = ramp_goal(settings);
    uint32_t days = climb_days(settings);
    uint32_t half = 2 * days_a_week(settings);
    struct band band = band_of(goal);

    if (phase == RAMP_MAINTAIN)
        return (struct climb){.from = goal, .to = goal, .days = 1, .done = 0};
    if (days)
        return (struct climb){.from = min_u32(ramp_profile(settings)->from, goal),
                              .to = goal,
                              .days = days,
                              .done = state->day};
    if (phase == RAMP_START)
        return (struct climb){
            .from = band.start_low, .to = band.start_high, .days = half, .done = state->day};
    return (struct climb){
        .from = band.ramp_low, .to = band.ramp_high, .days = half, .done = state->day - half};
}

struct ramp_band ramp_band(const struct ramp_state *state, const struct ramp_settings *settings)
{
    struct climb climb = climb_of(state, settings, ramp_phase(state, settings));
    return (struct ramp_band){.low = climb.from, .high = climb.to};
}

struct ramp_band ramp_prospecting(const struct ramp_state *state,
                                  const struct ramp_settings *settings)
{
    static const struct ramp_band advice[] = {{0, 10}, {20, 50}, {50, 100}};
    uint32_t fortnight = state->day / (2 * days_a_week(settings));
    if (state->day < ramp_profile(settings)->own_after * days_a_week(settings))
        return (struct ramp_band){0};

    uint32_t beside = min_u32(ramp_goal(settings), PROSPECTING_BESIDE);
    struct ramp_band band = advice[min_u32(fortnight, 2)];
    return (struct ramp_band){.low = band.low * beside / PROSPECTING_BESIDE,
                              .high = band.high * beside / PROSPECTING_BESIDE};
}

/* The equal share of what remains, for each of the days left, today included; rounded half up. */
static uint32_t share(uint32_t reference, const struct climb *climb)
{
    uint32_t left = climb->days - climb->done;
    if (reference >= climb->to)
        return climb->to;
    return line(reference, climb->to, 1, left);
}

uint32_t ramp_target(const struct ramp_state *state, const struct ramp_settings *settings)
{
    enum ramp_phase phase = ramp_phase(state, settings);
    struct climb climb = climb_of(state, settings, phase);

    /* A recovery begins at the level it finds, not at the foot of a line. */
    if (phase == RAMP_RECOVERY && state->reference > 0)
        return max_u32(share(state->reference, &climb), 1);

    uint32_t want = line(climb.from, climb.to, climb.done, climb.days - 1);
    if (state->reference > 0 && days_a_week(settings) < DAYS_A_WEEK)
        want = max_u32(want, share(state->reference, &climb));
    return max_u32(want, 1);
}

static uint32_t step_of(uint32_t reference, const struct policy *policy)
{
    uint64_t step = (uint64_t)reference * (uint64_t)policy->growth_percent / 100;
    return max_u32((uint32_t)step, 1);
}

static uint32_t clamp_to_step(uint32_t value, uint32_t reference, const struct policy *policy)
{
    uint32_t step = step_of(reference, policy);
    uint32_t low = reference > step ? reference - step : 1;
    return min_u32(max_u32(value, low), reference + step);
}

uint32_t ramp_quota(const struct ramp_state *state, const struct ramp_settings *settings,
                    const struct policy *policy, uint32_t pool_max)
{
    uint32_t quota = ramp_target(state, settings);
    if (state->reference > 0)
        quota = clamp_to_step(quota, state->reference, policy);
    quota = min_u32(quota, (uint32_t)policy->ceiling_per_day);
    quota = min_u32(quota, POLICY_DAILY_CEILING);
    return min_u32(quota, pool_max);
}

uint32_t ramp_inbound(const struct ramp_state *state, const struct ramp_settings *settings,
                      const struct policy *policy, uint32_t quota)
{
    uint64_t most = (uint64_t)quota * (uint64_t)policy->inbound_percent / 100;
    uint32_t high = ramp_band(state, settings).high;
    if (ramp_phase(state, settings) == RAMP_MAINTAIN)
        high = max_u32(high, MAINTAIN_HIGH);
    return min_u32((uint32_t)most, max_u32(high, quota));
}

struct ramp_state ramp_close(const struct ramp_state *state, const struct ramp_settings *settings,
                             const struct policy *policy, int32_t date, uint32_t quota,
                             uint32_t committed, uint32_t possible, bool *ret_met)
{
    struct ramp_state next = *state;
    *ret_met = false;
    if (state->last_date != 0 && date <= state->last_date)
        return next;

    next.last_date = date;
    if (state->reference == 0 && committed == 0)
        return next;
    if (committed > 0)
        next.sent_date = date;
    uint64_t wanted = min_u32(quota, possible);
    *ret_met = wanted > 0 && (uint64_t)committed * 100 >= wanted * MET_PERCENT;
    if (*ret_met)
        next.day++;

    /* The first day has no level before it: its own curve serves as one. */
    uint32_t reference = state->reference ? state->reference : ramp_target(state, settings);
    next.reference = clamp_to_step(committed, reference, policy);
    next.last_quota = quota;
    return next;
}
