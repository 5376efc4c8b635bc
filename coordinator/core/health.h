/*
 * Health: what placement, complaints and a provider's words do to a sender's volume, towards the
 * recipients of one provider or as a whole. Pure: facts and the state before give the state after,
 * so that a decision can be made again from what was recorded with it.
 *
 *     healthy ──► watch ──► throttled ──► quarantined ──► blocked     worse: any number of steps
 *     healthy ◄── watch ◄── throttled ◄── quarantined ◄── blocked     better: one step at a time
 *
 *   rule              when                                              state        for
 *   few-in-junk       fewer than 20 seen in 7 days; of those of the     watch        2 days
 *                     newest 48 h 2 or more, and 20 %, in Junk
 *   complaint         one in 7 days                                     watch        3 days
 *   spam-watch        lower bound of the share in Junk, 7 days, ≥ 10 %  watch        2 days
 *   spam-throttle     … ≥ 15 %                                          throttled    3 days
 *   spam-quarantine   … ≥ 20 %                                          quarantined  7 days
 *   spam-block        … ≥ 40 %                                          blocked      30 days
 *   spam-catastrophe  … ≥ 80 %                                          blocked      90 days
 *   complaints        two or more in 7 days                             quarantined  7 days
 *   provider-code     a provider's policy code that names the sender    blocked      until cleared
 *
 * The way back: `fresh`, 20 newer observations with less than the share of `watch` in Junk, at any
 * time; or `expired`, the time is over and the window no longer says so (else it is said again).
 * What was seen before a step back is not held against the sender a second time. A person may
 * clear a state.
 *
 *   state, rule                     messages a day (of the level it had when it left `healthy`)
 *   few-in-junk, complaint          the level: no growth
 *   watch, throttled                ¾, ½
 *   quarantined, blocked            the floor, 5
 *   all these of spam, while the    the level: Junk inside our own pool is what the warming is
 *   account starts or recovers      for, and rescues are its cure
 *   complaints, provider-code       none
 *
 * Never below the floor except to none. Answers to members' messages go on, except with none.
 */
#pragma once

#include "coordinator/core/policy.h"
#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_DAYS 7
#define HEALTH_NO_CAP UINT32_MAX

struct health_state {
    uint32_t state; /* enum row_health_state */
    uint32_t rule;  /* enum row_health_rule: that led to it */
    int64_t until;  /* FLZ_NEVER: until a person clears it */
    /* Observations of messages before these dates do not count: for getting worse; for `fresh`. */
    int32_t window_date;
    int32_t fresh_date;
    uint32_t level; /* messages a day when it was healthy last */
};

struct health_facts {
    int64_t now;
    int32_t date; /* today */
    uint32_t seen; /* of the window: in the inbox or in Junk */
    uint32_t junk;
    uint32_t seen_recent; /* of the newest 48 h of it */
    uint32_t junk_recent;
    uint32_t seen_fresh; /* since fresh_date */
    uint32_t junk_fresh;
    uint32_t complaints;
    bool code;      /* the provider has just refused the sender by name */
    uint32_t level; /* messages a day, of the days on which any went */
};

/* The state after; false: it is the state before. */
bool health_decide(const struct health_state *before, const struct health_facts *facts,
                   const struct policy *policy, struct health_state *ret_after);

/* A person's word: healthy; what was seen until today is judged. */
struct health_state health_cleared(const struct health_state *before, int32_t date);

/* Messages a day; HEALTH_NO_CAP: health leaves it alone. `tender`: it starts or recovers. */
uint32_t health_cap(const struct health_state *state, bool tender, const struct policy *policy);

/* Whether the codes of a refusal ("5.7.515") are a provider's policy against the sender. */
bool health_is_policy_code(const char *enhanced);

/* Lower bound of the share in Junk, in millionths. */
uint32_t health_junk_low(uint32_t junk, uint32_t seen);
