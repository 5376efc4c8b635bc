/*
 * What makes one partner better than another where the hard rules allow both. Each weight has a
 * name and a size; the candidate with the smallest sum is chosen. None of them ever forbids.
 *
 *   fullness   received today ÷ what it may receive: everybody receives in proportion to what it
 *              sends, and inbound is planned as carefully as outbound
 *   scarcity   few others can write to it (scarcity.h)
 *   turn       it wrote last: what one sends it also receives, and the conversation goes on
 *   waited     days since the last first message this way
 *   node       on the same node: such an exchange earns no score
 *   domain     its domain was written to by this sender today
 *   provider   the sender's share of partners at other providers is below the policy's floor, or
 *              above its ceiling
 *   hours      it opens the message hours later: replies should come the same or the next day
 *   tier       steps between both accounts' tiers of trust
 *   chance     a seeded draw, so that equals share
 */
#pragma once

#include "common/base/rng.h"
#include "coordinator/core/pair.h"
#include "coordinator/core/policy.h"
#include "coordinator/core/seat.h"

#include <stdint.h>

/* What a sender has chosen today. */
struct weigh_habit {
    uint64_t domains; /* of its partners, by a bit of their hash */
    uint8_t firsts;   /* partners chosen */
    uint8_t others;   /* of these, with another provider */
};

/* A partner that the rules allow, for a first message at a given time. */
struct weigh_case {
    const struct policy *policy;
    int32_t date;
    const struct seat *from;
    const struct seat *to;
    const struct weigh_habit *habit; /* of the sender */
    struct pair_fact fact;
    int open_day;
    int64_t open_wait_ms; /* from the message to the first moment it can be opened */
};

/* How little it is wanted. */
int64_t weigh(const struct weigh_case *c, struct flz_rng *rng);

/* The sender has chosen it. */
void weigh_note(struct weigh_habit *habit, const struct seat *from, const struct seat *to);
