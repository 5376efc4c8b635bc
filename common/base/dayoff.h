/*
 * Days off: the dates on which an account neither sends nor opens though its week says so. They are
 * the public holidays of a country, and the ranges of dates in which its owner is away. Plain
 * dates; which hours a day has is civil time (common/sys/tz.h).
 *
 * The calendars are a table of rules (dayoff.c) that coordinator and nodes share. They hold what is
 * a holiday in the whole country; what only some of its regions keep is for the owner to name.
 */
#pragma once

#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define FLZ_COUNTRY_MAX 4 /* "FR" */
#define FLZ_AWAY_MAX 4    /* ranges of dates; over a year ahead they are hardly known */
#define FLZ_AWAY_DAYS_MAX 366
#define FLZ_AWAY_TEXT_MAX 96 /* FLZ_AWAY_MAX ranges as text */

/* Both ends included; {0, 0}: none. */
struct flz_date_range {
    int32_t first;
    int32_t last;
};

/* All zero: no day is off. */
struct flz_days_off {
    char holidays[FLZ_COUNTRY_MAX]; /* an ISO 3166 country that has a calendar here, or "" */
    struct flz_date_range away[FLZ_AWAY_MAX];
};

bool flz_is_day_off(const struct flz_days_off *off, int32_t date);

/* The holiday's English name; NULL: none on that date, or no calendar of that country. */
const char *flz_holiday_name(const char *country, int32_t date);

/* Whether the country has a calendar: 0, or -EINVAL with the list of those that have one. */
int flz_holidays_check(const char *country, struct flz_msg *msg);

/* "2026-12-24..2027-01-02,2027-05-14" (commas, semicolons or spaces between ranges; "" or "none" is
 * none). 0, or -EINVAL: no such date, an end before its beginning, a range of more than
 * FLZ_AWAY_DAYS_MAX days, more than FLZ_AWAY_MAX ranges; msg says which. */
int flz_away_parse(const char *text, struct flz_date_range ret_away[static FLZ_AWAY_MAX],
                   struct flz_msg *msg);

/* The same text of them; "" when there are none. */
void flz_away_format(const struct flz_date_range away[static FLZ_AWAY_MAX],
                     char ret_text[static FLZ_AWAY_TEXT_MAX]);
