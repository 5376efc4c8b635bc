/*
 * A replay: the log folded once more, and each decision about health and about closed days made
 * again on the way, by the tallies and rows as they were then: with the policy as it was, which
 * gives every decision as it was recorded, or with other values of some keys. What was sent and
 * where it was found stays as it was: this tells what would have been decided, not what would have
 * come of it.
 */
#pragma once

#include "coordinator/core/coord.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_DIFFERENCES_MAX 500 /* told one by one; all are counted */

/* A decision, as it was recorded and as it would be; REPLAY_UNDECIDED: none was made. */
#define REPLAY_UNDECIDED UINT32_MAX

struct replay_difference {
    uint64_t event; /* number of the event that asked for it */
    int64_t at;
    uint32_t account;
    bool is_day;
    /* Of health: */
    uint32_t provider;
    uint32_t state; /* enum row_health_state, recorded */
    uint32_t rule;
    uint32_t other_state;
    uint32_t other_rule;
    /* Of a closed day: whether it counts, and the level it leads to. */
    int32_t date;
    bool met;
    bool other_met;
    uint32_t level;
    uint32_t other_level;
};

struct replay_result {
    uint64_t events; /* folded */
    uint64_t health; /* decisions about health since the date: recorded … */
    uint64_t health_other; /* … and made now */
    uint64_t health_same;
    uint64_t days; /* closed since the date */
    uint64_t days_same;
    uint64_t entered[HEALTH_STATE_MAX + 1]; /* states that were entered, recorded and now */
    uint64_t entered_other[HEALTH_STATE_MAX + 1];
    struct replay_difference differences[REPLAY_DIFFERENCES_MAX];
    size_t differences_count;
    uint64_t differences_all;
};

struct replay_options {
    struct flz_id network;
    const struct policy *base; /* in force where no setting says otherwise; borrowed */
    int64_t since;             /* decisions before it are taken as they were recorded */
};

struct replay;

int replay_new(const struct replay_options *options, struct replay **ret_replay);
struct replay *replay_free(struct replay *replay);

/* Before the first event: another value of one key, over all that was set. As policy_set(). */
int replay_policy(struct replay *replay, const char *key, int64_t value, struct flz_msg *msg);

/* Folds the next event, from the log's first. 0, -ENOMEM, or -EPROTO. */
int replay_event(struct replay *replay, uint64_t number, const struct event *event);

/* After the last event; borrowed. */
const struct replay_result *replay_result(struct replay *replay);
