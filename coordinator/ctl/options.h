/*
 * Options that several commands read alike: numbers, and the days on which somebody sends. Each
 * answers 0, or the exit code of a usage error that it has told.
 */
#pragma once

#include "common/base/dayoff.h"
#include "coordinator/ctl/ctl.h"

#include <stdbool.h>
#include <stdint.h>

/* A number from `low` to `high`; *ret_value is untouched when the option is absent. */
int options_number(const struct ctl *ctl, const struct ctl_arguments *arguments, const char *name,
                   uint32_t low, uint32_t high, uint32_t *ret_value);

struct options_calendar {
    uint32_t days; /* mask of sending days, at least one */
    struct flz_days_off days_off;
    int32_t date; /* the first day: --from, or today in UTC */
    int32_t end;  /* the first one behind the last: --for */
};

/* --days, --holidays, --blackout, --from, --for. */
int options_calendar(const struct ctl *ctl, const struct ctl_arguments *arguments,
                     struct options_calendar *ret_calendar);

bool options_is_sending_day(const struct options_calendar *calendar, int32_t date);
