/*
 * Times of one account's messages: an agenda of what it sends, ascending, any two at least the
 * spacing apart; even spreads over its free time, and the first free time from a wish on.
 * All times are network milliseconds; ranges include both ends.
 */
#pragma once

#include "common/base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slot_agenda {
    int64_t *times; /* owned, ascending */
    size_t count;
    size_t capacity;
};

#define SLOT_AGENDA_NULL ((struct slot_agenda){.times = NULL})

struct slot_range {
    int64_t first;
    int64_t last; /* below first: empty */
};

void slot_agenda_deinit(struct slot_agenda *agenda);

/* Adds a time (already known to be free). 0 or -ENOMEM (unchanged). */
int slot_take(struct slot_agenda *agenda, int64_t at);

/* Takes a time out that was added. */
void slot_release(struct slot_agenda *agenda, int64_t at);

/* The first time in the range that is `spacing` away from all others; false when there is none. */
bool slot_find(const struct slot_agenda *agenda, struct slot_range range, int64_t spacing,
               int64_t *ret_at);

/*
 * Spreads up to `want` times evenly over the free parts of the range, each moved by a seeded share
 * of its own stretch so that accounts do not march in step, and at least `spacing` from each other
 * and from the agenda, which is not changed. `ret_times` has room for `want`; ascending. Returns
 * how many found room.
 */
size_t slot_spread(const struct slot_agenda *agenda, struct slot_range range, int64_t spacing,
                   size_t want, struct flz_rng *rng, int64_t *ret_times);
