#include "common/base/time.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Days and civil dates after Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms". */
int32_t flz_date_of_civil(int year, int month, int mday)
{
    year -= month <= 2;
    int era = (year >= 0 ? year : year - 399) / 400;
    int yoe = year - era * 400;
    int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + mday - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

void flz_date_civil(int32_t day, int *ret_year, int *ret_month, int *ret_mday)
{
    int64_t shifted = (int64_t)day + 719468;
    int era = (int)((shifted >= 0 ? shifted : shifted - 146096) / 146097);
    int doe = (int)(shifted - (int64_t)era * 146097);
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (5 * doy + 2) / 153;
    *ret_mday = doy - (153 * mp + 2) / 5 + 1;
    *ret_month = mp < 10 ? mp + 3 : mp - 9;
    *ret_year = yoe + era * 400 + (*ret_month <= 2);
}

int flz_date_weekday(int32_t day)
{
    /* 1970-01-01 was a Thursday. */
    int w = (int)(((int64_t)day + 3) % 7);
    return w < 0 ? w + 7 : w;
}

void flz_date_format(int32_t day, char ret_text[static FLZ_TIME_TEXT_MAX])
{
    int year, month, mday;
    flz_date_civil(day, &year, &month, &mday);
    (void)snprintf(ret_text, FLZ_TIME_TEXT_MAX, "%04d-%02d-%02d", year, month, mday);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

void flz_time_format(int64_t ms, char ret_text[static FLZ_TIME_TEXT_MAX])
{
    int64_t day = floor_div(ms, FLZ_DAY_MS);
    /* FLZ_NEVER and its like: the last day that has a number. */
    if (day > INT32_MAX || day < INT32_MIN)
        day = ms > 0 ? INT32_MAX : INT32_MIN;
    int64_t rest = ms % FLZ_DAY_MS + (ms % FLZ_DAY_MS < 0 ? FLZ_DAY_MS : 0);
    int year, month, mday;
    flz_date_civil((int32_t)day, &year, &month, &mday);
    (void)snprintf(ret_text, FLZ_TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month,
                   mday, (int)(rest / FLZ_HOUR_MS), (int)(rest / FLZ_MINUTE_MS % 60),
                   (int)(rest / 1000 % 60), (int)(rest % 1000));
}

/* Reads exactly n digits. */
static int digits(const char **text, int n, int *ret_value)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return -EINVAL;
        v = v * 10 + (c - '0');
    }
    *text += n;
    *ret_value = v;
    return 0;
}

static int literal(const char **text, char c)
{
    if (**text != c)
        return -EINVAL;
    (*text)++;
    return 0;
}

static int parse_date(const char **text, int32_t *ret_day)
{
    int year, month, mday;
    if (digits(text, 4, &year) < 0 || literal(text, '-') < 0 || digits(text, 2, &month) < 0 ||
        literal(text, '-') < 0 || digits(text, 2, &mday) < 0)
        return -EINVAL;
    int32_t day = flz_date_of_civil(year, month, mday);
    int y, m, d;
    flz_date_civil(day, &y, &m, &d);
    /* A date that does not come back as itself (30 February) is none. */
    if (month < 1 || month > 12 || y != year || m != month || d != mday)
        return -EINVAL;
    *ret_day = day;
    return 0;
}

int flz_date_parse(const char *text, int32_t *ret_day)
{
    int32_t day;
    if (parse_date(&text, &day) < 0 || *text)
        return flz_fail(-EINVAL);
    *ret_day = day;
    return 0;
}

int flz_time_parse(const char *text, int64_t *ret_ms)
{
    int32_t day;
    int hour, minute, second, milli = 0;
    if (parse_date(&text, &day) < 0 || literal(&text, 'T') < 0 || digits(&text, 2, &hour) < 0 ||
        literal(&text, ':') < 0 || digits(&text, 2, &minute) < 0 || literal(&text, ':') < 0 ||
        digits(&text, 2, &second) < 0)
        return flz_fail(-EINVAL);
    if (*text == '.' && (literal(&text, '.') < 0 || digits(&text, 3, &milli) < 0))
        return flz_fail(-EINVAL);
    if (strcmp(text, "Z") != 0 || hour > 23 || minute > 59 || second > 59)
        return flz_fail(-EINVAL);
    *ret_ms = day * FLZ_DAY_MS + hour * FLZ_HOUR_MS + minute * FLZ_MINUTE_MS +
              second * FLZ_SECOND_MS + milli;
    return 0;
}

static int weekday_of(const char *name)
{
    static const char names[] = "montuewedthufrisatsun";
    for (int i = 0; i < 7; i++)
        if (strncasecmp(name, names + (size_t)3 * (size_t)i, 3) == 0)
            return i;
    return -1;
}

int flz_weekdays_parse(const char *text, uint32_t *ret_mask)
{
    uint32_t mask = 0;
    while (*text) {
        int first = weekday_of(text), last = first;
        text += first < 0 ? 0 : 3;
        if (first >= 0 && *text == '-') {
            last = weekday_of(text + 1);
            text += last < 0 ? 0 : 4;
        }
        if (first < 0 || last < 0 || (*text && *text != ','))
            return flz_fail(-EINVAL);
        for (int day = first; day != last; day = (day + 1) % 7)
            mask |= 1u << day;
        mask |= 1u << last;
        text += *text == ',';
    }
    if (!mask)
        return flz_fail(-EINVAL);
    *ret_mask = mask;
    return 0;
}
