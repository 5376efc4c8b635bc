/*
 * Times: network time is int64 milliseconds since 1970-01-01 UTC (DESIGN 4); local dates are days
 * since 1970-01-01. No clock is read here.
 */
#pragma once

#include <stdint.h>

#define FLZ_SECOND_MS INT64_C(1000)
#define FLZ_MINUTE_MS (60 * FLZ_SECOND_MS)
#define FLZ_HOUR_MS (60 * FLZ_MINUTE_MS)
#define FLZ_DAY_MS (24 * FLZ_HOUR_MS)

#define FLZ_TIME_TEXT_MAX 32

/* No time: later than any. */
#define FLZ_NEVER INT64_MAX

/* RFC 3339 UTC with milliseconds: "2026-11-22T08:15:00.000Z". */
void flz_time_format(int64_t ms, char ret_text[static FLZ_TIME_TEXT_MAX]);

/* RFC 3339 UTC ("Z" only), seconds or milliseconds. 0 or -EINVAL. */
int flz_time_parse(const char *text, int64_t *ret_ms);

/* "2026-11-22" of a day number, and back. */
void flz_date_format(int32_t day, char ret_text[static FLZ_TIME_TEXT_MAX]);
int flz_date_parse(const char *text, int32_t *ret_day);

/* Civil date of a day number (proleptic Gregorian). */
void flz_date_civil(int32_t day, int *ret_year, int *ret_month, int *ret_mday);
int32_t flz_date_of_civil(int year, int month, int mday);

/* 0 = Monday … 6 = Sunday. */
int flz_date_weekday(int32_t day);

/* "Mon-Fri", "Mon,Wed", "Sat-Mon" as a bit mask, bit 0 = Monday. 0, or -EINVAL: not a list of
 * days, or an empty one. */
int flz_weekdays_parse(const char *text, uint32_t *ret_mask);
