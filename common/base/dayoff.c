#include "common/base/dayoff.h"

#include "common/base/text.h"
#include "common/base/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum rule {
    RULE_FIXED,  /* day `n` of the month */
    RULE_EASTER, /* `n` days after Easter Sunday */
    RULE_NTH,    /* the `n`-th such weekday of the month; 5: the last */
    RULE_UP_TO,  /* the last such weekday up to day `n` of the month */
};

/* A holiday that falls on a weekend may be kept on another day, too. */
enum shift {
    SHIFT_NONE,
    SHIFT_MONDAY,  /* Saturday and Sunday: the next Monday */
    SHIFT_TWO,     /* Saturday and Sunday: two days later (two holidays in a row) */
    SHIFT_NEAREST, /* Saturday: Friday; Sunday: Monday */
    SHIFT_BEFORE,  /* Sunday: kept on Saturday instead */
};

enum weekday { MON, TUE, WED, THU, FRI, SAT, SUN };

struct holiday {
    char country[FLZ_COUNTRY_MAX];
    enum rule rule;
    int month;
    int n;
    enum weekday weekday;
    enum shift shift;
    const char *name;
};

#define FIXED(country_, month_, day_, name_)                                                       \
    {                                                                                              \
        .country = (country_), .rule = RULE_FIXED, .month = (month_), .n = (day_), .name = (name_) \
    }
#define MOVED(country_, month_, day_, shift_, name_)                                               \
    {                                                                                              \
        .country = (country_), .rule = RULE_FIXED, .month = (month_), .n = (day_),                 \
        .shift = (shift_), .name = (name_)                                                         \
    }
#define EASTER(country_, days_, name_)                                                             \
    {                                                                                              \
        .country = (country_), .rule = RULE_EASTER, .n = (days_), .name = (name_)                  \
    }
#define NTH(country_, month_, weekday_, n_, name_)                                                 \
    {                                                                                              \
        .country = (country_), .rule = RULE_NTH, .month = (month_), .n = (n_),                     \
        .weekday = (weekday_), .name = (name_)                                                     \
    }
#define LAST 5

/* Sources: AT Arbeitsruhegesetz 7; BE law of 4 January 1974; CA Canada Labour Code 166, as federal
 * offices move them; CH what all cantons keep; DE what all Länder keep; ES what the whole country
 * keeps; FR Code du travail L3133-1; GB bank holidays of England and Wales; LU Code du travail
 * L232-2; NL Algemene termijnenwet 3, without Good Friday; US 5 U.S.C. 6103. */
static const struct holiday holidays[] = {
    FIXED("AT", 1, 1, "New Year's Day"),
    FIXED("AT", 1, 6, "Epiphany"),
    EASTER("AT", 1, "Easter Monday"),
    FIXED("AT", 5, 1, "Labour Day"),
    EASTER("AT", 39, "Ascension Day"),
    EASTER("AT", 50, "Whit Monday"),
    EASTER("AT", 60, "Corpus Christi"),
    FIXED("AT", 8, 15, "Assumption Day"),
    FIXED("AT", 10, 26, "National Day"),
    FIXED("AT", 11, 1, "All Saints' Day"),
    FIXED("AT", 12, 8, "Immaculate Conception"),
    FIXED("AT", 12, 25, "Christmas Day"),
    FIXED("AT", 12, 26, "St Stephen's Day"),

    FIXED("BE", 1, 1, "New Year's Day"),
    EASTER("BE", 1, "Easter Monday"),
    FIXED("BE", 5, 1, "Labour Day"),
    EASTER("BE", 39, "Ascension Day"),
    EASTER("BE", 50, "Whit Monday"),
    FIXED("BE", 7, 21, "National Day"),
    FIXED("BE", 8, 15, "Assumption Day"),
    FIXED("BE", 11, 1, "All Saints' Day"),
    FIXED("BE", 11, 11, "Armistice Day"),
    FIXED("BE", 12, 25, "Christmas Day"),

    MOVED("CA", 1, 1, SHIFT_MONDAY, "New Year's Day"),
    EASTER("CA", -2, "Good Friday"),
    {.country = "CA",
     .rule = RULE_UP_TO,
     .month = 5,
     .n = 24,
     .weekday = MON,
     .name = "Victoria Day"},
    MOVED("CA", 7, 1, SHIFT_MONDAY, "Canada Day"),
    NTH("CA", 9, MON, 1, "Labour Day"),
    MOVED("CA", 9, 30, SHIFT_MONDAY, "National Day for Truth and Reconciliation"),
    NTH("CA", 10, MON, 2, "Thanksgiving Day"),
    MOVED("CA", 11, 11, SHIFT_MONDAY, "Remembrance Day"),
    MOVED("CA", 12, 25, SHIFT_TWO, "Christmas Day"),
    MOVED("CA", 12, 26, SHIFT_TWO, "Boxing Day"),

    FIXED("CH", 1, 1, "New Year's Day"),
    EASTER("CH", 39, "Ascension Day"),
    FIXED("CH", 8, 1, "National Day"),
    FIXED("CH", 12, 25, "Christmas Day"),

    FIXED("DE", 1, 1, "New Year's Day"),
    EASTER("DE", -2, "Good Friday"),
    EASTER("DE", 1, "Easter Monday"),
    FIXED("DE", 5, 1, "Labour Day"),
    EASTER("DE", 39, "Ascension Day"),
    EASTER("DE", 50, "Whit Monday"),
    FIXED("DE", 10, 3, "Day of German Unity"),
    FIXED("DE", 12, 25, "Christmas Day"),
    FIXED("DE", 12, 26, "Second Christmas Day"),

    FIXED("ES", 1, 1, "New Year's Day"),
    FIXED("ES", 1, 6, "Epiphany"),
    EASTER("ES", -2, "Good Friday"),
    FIXED("ES", 5, 1, "Labour Day"),
    FIXED("ES", 8, 15, "Assumption Day"),
    FIXED("ES", 10, 12, "National Day"),
    FIXED("ES", 11, 1, "All Saints' Day"),
    FIXED("ES", 12, 6, "Constitution Day"),
    FIXED("ES", 12, 8, "Immaculate Conception"),
    FIXED("ES", 12, 25, "Christmas Day"),

    FIXED("FR", 1, 1, "New Year's Day"),
    EASTER("FR", 1, "Easter Monday"),
    FIXED("FR", 5, 1, "Labour Day"),
    FIXED("FR", 5, 8, "Victory Day"),
    EASTER("FR", 39, "Ascension Day"),
    EASTER("FR", 50, "Whit Monday"),
    FIXED("FR", 7, 14, "National Day"),
    FIXED("FR", 8, 15, "Assumption Day"),
    FIXED("FR", 11, 1, "All Saints' Day"),
    FIXED("FR", 11, 11, "Armistice Day"),
    FIXED("FR", 12, 25, "Christmas Day"),

    MOVED("GB", 1, 1, SHIFT_MONDAY, "New Year's Day"),
    EASTER("GB", -2, "Good Friday"),
    EASTER("GB", 1, "Easter Monday"),
    NTH("GB", 5, MON, 1, "Early May Bank Holiday"),
    NTH("GB", 5, MON, LAST, "Spring Bank Holiday"),
    NTH("GB", 8, MON, LAST, "Summer Bank Holiday"),
    MOVED("GB", 12, 25, SHIFT_TWO, "Christmas Day"),
    MOVED("GB", 12, 26, SHIFT_TWO, "Boxing Day"),

    FIXED("LU", 1, 1, "New Year's Day"),
    EASTER("LU", 1, "Easter Monday"),
    FIXED("LU", 5, 1, "Labour Day"),
    FIXED("LU", 5, 9, "Europe Day"),
    EASTER("LU", 39, "Ascension Day"),
    EASTER("LU", 50, "Whit Monday"),
    FIXED("LU", 6, 23, "National Day"),
    FIXED("LU", 8, 15, "Assumption Day"),
    FIXED("LU", 11, 1, "All Saints' Day"),
    FIXED("LU", 12, 25, "Christmas Day"),
    FIXED("LU", 12, 26, "St Stephen's Day"),

    FIXED("NL", 1, 1, "New Year's Day"),
    EASTER("NL", 1, "Easter Monday"),
    MOVED("NL", 4, 27, SHIFT_BEFORE, "King's Day"),
    EASTER("NL", 39, "Ascension Day"),
    EASTER("NL", 50, "Whit Monday"),
    FIXED("NL", 12, 25, "Christmas Day"),
    FIXED("NL", 12, 26, "Second Christmas Day"),

    MOVED("US", 1, 1, SHIFT_NEAREST, "New Year's Day"),
    NTH("US", 1, MON, 3, "Birthday of Martin Luther King, Jr."),
    NTH("US", 2, MON, 3, "Washington's Birthday"),
    NTH("US", 5, MON, LAST, "Memorial Day"),
    MOVED("US", 6, 19, SHIFT_NEAREST, "Juneteenth"),
    MOVED("US", 7, 4, SHIFT_NEAREST, "Independence Day"),
    NTH("US", 9, MON, 1, "Labor Day"),
    NTH("US", 10, MON, 2, "Columbus Day"),
    MOVED("US", 11, 11, SHIFT_NEAREST, "Veterans Day"),
    NTH("US", 11, THU, 4, "Thanksgiving Day"),
    MOVED("US", 12, 25, SHIFT_NEAREST, "Christmas Day"),
};

#define HOLIDAYS_COUNT (sizeof holidays / sizeof *holidays)

/* ---- Reckoning ---- */

/* Easter Sunday of the Gregorian calendar (the anonymous algorithm, Nature 1876). */
static int32_t easter(int year)
{
    int a = year % 19, b = year / 100, c = year % 100;
    int d = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    int e = (32 + 2 * (b % 4) + 2 * (c / 4) - d - c % 4) % 7;
    int f = d + e - 7 * ((a + 11 * d + 22 * e) / 451) + 114;
    return flz_date_of_civil(year, f / 31, f % 31 + 1);
}

/* The first such weekday on the date or after it. */
static int32_t next_weekday(int32_t date, int weekday)
{
    return date + (weekday - flz_date_weekday(date) + 7) % 7;
}

static int32_t last_weekday(int32_t date, int weekday)
{
    return date - (flz_date_weekday(date) - weekday + 7) % 7;
}

static int32_t nth_weekday(const struct holiday *h, int year)
{
    if (h->n < LAST)
        return next_weekday(flz_date_of_civil(year, h->month, 1), (int)h->weekday) + 7 * (h->n - 1);
    int32_t next = h->month == 12 ? flz_date_of_civil(year + 1, 1, 1)
                                  : flz_date_of_civil(year, h->month + 1, 1);
    return last_weekday(next - 1, (int)h->weekday);
}

/* By its rule, wherever that falls. */
static int32_t nominal(const struct holiday *h, int year)
{
    switch (h->rule) {
    case RULE_EASTER: return easter(year) + h->n;
    case RULE_NTH: return nth_weekday(h, year);
    case RULE_UP_TO: return last_weekday(flz_date_of_civil(year, h->month, h->n), (int)h->weekday);
    case RULE_FIXED: break;
    }
    return flz_date_of_civil(year, h->month, h->n);
}

/* Where it is kept when it falls on a weekend. */
static int32_t kept(const struct holiday *h, int32_t date)
{
    int weekday = flz_date_weekday(date);
    if (weekday < SAT)
        return date;
    switch (h->shift) {
    case SHIFT_MONDAY: return next_weekday(date, MON);
    case SHIFT_TWO: return date + 2;
    case SHIFT_NEAREST: return weekday == SAT ? date - 1 : date + 1;
    case SHIFT_BEFORE: return weekday == SUN ? date - 1 : date;
    case SHIFT_NONE: break;
    }
    return date;
}

static bool is_on(const struct holiday *h, int32_t date, int year)
{
    int32_t at = nominal(h, year);
    return kept(h, at) == date || (at == date && h->shift != SHIFT_BEFORE);
}

const char *flz_holiday_name(const char *country, int32_t date)
{
    int year, month, day;
    flz_date_civil(date, &year, &month, &day);
    for (size_t i = 0; i < HOLIDAYS_COUNT; i++) {
        const struct holiday *h = &holidays[i];
        /* New Year's Day may be kept in the old year. */
        if (strcmp(h->country, country) == 0 && (is_on(h, date, year) || is_on(h, date, year + 1)))
            return h->name;
    }
    return NULL;
}

bool flz_is_day_off(const struct flz_days_off *off, int32_t date)
{
    for (size_t i = 0; i < FLZ_AWAY_MAX; i++) {
        const struct flz_date_range *range = &off->away[i];
        if (range->last != 0 && date >= range->first && date <= range->last)
            return true;
    }
    return off->holidays[0] && flz_holiday_name(off->holidays, date);
}

/* ---- Words ---- */

int flz_holidays_check(const char *country, struct flz_msg *msg)
{
    char known[HOLIDAYS_COUNT * FLZ_COUNTRY_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < HOLIDAYS_COUNT; i++) {
        if (strcmp(holidays[i].country, country) == 0)
            return 0;
        if (i == 0 || strcmp(holidays[i].country, holidays[i - 1].country) != 0)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", len ? " " : "",
                                    holidays[i].country);
    }
    flz_msg_set(msg, "there is no calendar of holidays of '%.20s'; there are: %s", country, known);
    return flz_fail(-EINVAL);
}

/* "2026-12-24..2027-01-02", or one date. 0 or -EINVAL. */
static int parse_range(char *text, struct flz_date_range *ret_range)
{
    char *dots = strstr(text, "..");
    if (dots)
        *dots = '\0';
    struct flz_date_range range;
    int r = flz_date_parse(text, &range.first);
    if (r == 0)
        r = flz_date_parse(dots ? dots + 2 : text, &range.last);
    if (r < 0 || range.last < range.first || range.first <= 0 ||
        range.last - range.first >= FLZ_AWAY_DAYS_MAX)
        return flz_fail(-EINVAL);
    *ret_range = range;
    return 0;
}

int flz_away_parse(const char *text, struct flz_date_range ret_away[static FLZ_AWAY_MAX],
                   struct flz_msg *msg)
{
    static const char between[] = ",; ";
    struct flz_date_range away[FLZ_AWAY_MAX] = {{0}};
    size_t n = 0;
    const char *at = strcmp(text, "none") == 0 ? "" : text;
    while (*(at += strspn(at, between))) {
        char range[32] = "";
        size_t len = strcspn(at, between);
        if (n == FLZ_AWAY_MAX) {
            flz_msg_set(msg, "'%.60s' are more than %d ranges of dates", text, FLZ_AWAY_MAX);
            return flz_fail(-EINVAL);
        }
        if (len < sizeof range)
            memcpy(range, at, len);
        if (parse_range(range, &away[n++]) < 0) {
            flz_msg_set(msg,
                        "'%.*s' is no range of dates of a year at most; write "
                        "2026-12-24..2027-01-02",
                        (int)(len < 60 ? len : 60), at);
            return flz_fail(-EINVAL);
        }
        at += len;
    }
    memcpy(ret_away, away, sizeof away);
    return 0;
}

void flz_away_format(const struct flz_date_range away[static FLZ_AWAY_MAX],
                     char ret_text[static FLZ_AWAY_TEXT_MAX])
{
    size_t len = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < FLZ_AWAY_MAX; i++) {
        char first[FLZ_TIME_TEXT_MAX], last[FLZ_TIME_TEXT_MAX];
        if (away[i].last == 0)
            continue;
        flz_date_format(away[i].first, first);
        flz_date_format(away[i].last, last);
        bool one = away[i].first == away[i].last;
        len += (size_t)snprintf(ret_text + len, FLZ_AWAY_TEXT_MAX - len, "%s%s%s%s", len ? "," : "",
                                first, one ? "" : "..", one ? "" : last);
    }
}
