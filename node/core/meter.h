/*
 * Meters. A meter tells how many messages went one way in the last minute, hour and day, and when
 * one more may go. It never lets more through than the limit in any stretch of that length: each
 * stretch is cut into twelve slots, and a count leaves with its whole slot, up to a twelfth of the
 * stretch late. Plain data, empty when zeroed.
 */
#pragma once

#include "common/base/id.h"
#include "common/base/map.h"

#include <stddef.h>
#include <stdint.h>

#define METER_SLOTS 13 /* twelve, and the one that has begun */

enum meter_stretch { METER_MINUTE, METER_HOUR, METER_DAY, METER_STRETCHES };

/* Messages at most, by stretch; 0 = as many as come. */
struct meter_limits {
    uint32_t most[METER_STRETCHES];
};

struct meter {
    struct meter_ring {
        int64_t newest; /* number of the newest slot that was counted in */
        uint32_t counts[METER_SLOTS];
    } rings[METER_STRETCHES];
};

/* `n` more went at `now` (ms, of a clock that begins after 0 and does not go back; counts of a
 * later time than `now` stay where they are). */
void meter_count(struct meter *meter, uint32_t n, int64_t now);

/* The same for what went at some time of the day that is not known: it counts in the day alone. */
void meter_count_day(struct meter *meter, uint32_t n, int64_t now);

/* The first time, from `now` on, at which one more may go. */
int64_t meter_next(const struct meter *meter, const struct meter_limits *limits, int64_t now);

/* The meters of many. */
struct meters {
    struct meter **items; /* owned array of owned */
    size_t count, capacity;
    struct flz_map by_key;
};

void meters_deinit(struct meters *meters);

/* The one under that key, made if it is new; it stays where it is. NULL without memory. */
struct meter *meters_find(struct meters *meters, struct flz_id key);
