/*
 * Civil time of accounts, remembered for one look at all of them: thousands share a time zone,
 * hours, days and days off, and asking the zone for each would hold the loop.
 */
#pragma once

#include "common/base/cleanup.h"
#include "common/sys/tz.h"
#include "coordinator/core/coord.h"

struct civil;

/* A planning unit: one local date of one UTC-offset cohort. */
struct civil_unit {
    int32_t date;
    int offset_minutes;
};

/* `tz` is borrowed. */
int civil_new(struct tz *tz, struct civil **ret_civil);
struct civil *civil_free(struct civil *civil);
FLZ_DEFINE_FREEP(struct civil, civil_free)

/* A new look, at the instant `at`: what was remembered of another is forgotten. */
void civil_look(struct civil *civil, int64_t at);

/* The unit that the instant falls into for the account, and when its day ends. 0 or negative. */
int civil_unit_of(struct civil *civil, const struct row_account *account,
                  struct civil_unit *ret_unit, int64_t *ret_day_end);

/* Its hours on `date` and the days after it; a day without hours, or off, has start == end. 0 or
 * negative. */
int civil_windows(struct civil *civil, const struct row_account *account, int32_t date,
                  struct coord_window ret_windows[COORD_WINDOW_DAYS]);

/* How many kinds of accounts (zone, hours, days, days off) this look has met. */
size_t civil_kinds(const struct civil *civil);
