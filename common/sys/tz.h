/*
 * Civil time per zone (IANA names), turned into UTC so that the cores need no time zone.
 *
 * Where the local clock jumps: a local time in the gap (Berlin 2026-03-29 02:30) means the instant
 * of the jump (03:00+02:00); a local time that comes twice (2026-10-25 02:30) means the second,
 * standard reading (+01:00).
 */
#pragma once

#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TZ_NAME_MAX 64
#define TZ_DAY_MINUTES 1440
#define TZ_ALL_DAYS 0x7f

/* Day masks: bit 0 is Monday. */
#define TZ_DAY(weekday) (1u << (weekday))

/* Zones once used stay loaded. One thread at a time. */
struct tz;

int tz_new(struct tz **ret_tz);
struct tz *tz_free(struct tz *tz);

/* 0, or -EINVAL with "unknown time zone … (did you mean …?)". */
int tz_check(struct tz *tz, const char *zone, struct flz_msg *msg);

/* Forgets the loaded zones when the system's zone data has changed. True when it did. */
bool tz_refresh(struct tz *tz);

/* UTC milliseconds, [start, end). */
struct tz_window {
    int64_t start;
    int64_t end;
};

struct tz_hours {
    int start_minute; /* 0..1439 of the local day */
    int end_minute;   /* 1..1440; at or before start_minute: on the next local day */
    unsigned days;    /* mask of the weekdays on which a window begins */
};

enum {
    TZ_E_OFF = 1, /* the weekday is not in the mask, or a jump of the clock swallowed the window */
};

/* The window that begins on local date `day` (days since 1970-01-01). 0, TZ_E_OFF, -EINVAL. */
int tz_window(struct tz *tz, const char *zone, int32_t day, struct tz_hours hours,
              struct tz_window *ret_window);

/* The window that is open at an instant or, when none is, the next one. 0; TZ_E_OFF: none within
 * eight days; -EINVAL. */
int tz_next_window(struct tz *tz, const char *zone, int64_t at, struct tz_hours hours,
                   struct tz_window *ret_window);

/* The whole local day: from its first instant to the first of the next day. 0 or -EINVAL. */
int tz_day(struct tz *tz, const char *zone, int32_t day, struct tz_window *ret_window);

/* The local date of an instant. 0 or -EINVAL. */
int tz_local_day(struct tz *tz, const char *zone, int64_t at, int32_t *ret_day);

/* Local minus UTC, in minutes (seconds of historic offsets cut off), at an instant. 0 or
 * -EINVAL. */
int tz_offset_minutes(struct tz *tz, const char *zone, int64_t at, int *ret_minutes);
