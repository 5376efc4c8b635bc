#include "common/base/dayoff.h"

#include "common/base/time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int32_t date(const char *text)
{
    int32_t day;
    assert_int_equal(flz_date_parse(text, &day), 0);
    return day;
}

static const char *const countries[] = {"AT", "BE", "CA", "CH", "DE", "ES",
                                        "FR", "GB", "LU", "NL", "US"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Exactly these days of a year, from the first of January on. */
static void expect_year(const char *country, int year, const char *const *dates)
{
    for (int32_t day = flz_date_of_civil(year, 1, 1); day < flz_date_of_civil(year + 1, 1, 1);
         day++) {
        char text[FLZ_TIME_TEXT_MAX];
        flz_date_format(day, text);
        bool expected = *dates && strcmp(*dates, text) == 0;
        if ((flz_holiday_name(country, day) != NULL) != expected)
            fail_msg("%s %s: %s", country, text, expected ? "no holiday" : "a holiday");
        dates += expected;
    }
    assert_null(*dates);
}

#define YEAR(country, year, ...)                                                                   \
    expect_year(country, year, (const char *const[]){__VA_ARGS__, NULL})

/* As the countries' own calendars for these years have them. */
static void years_read_as_published(void **state)
{
    (void)state;
    YEAR("FR", 2026, "2026-01-01", "2026-04-06", "2026-05-01", "2026-05-08", "2026-05-14",
         "2026-05-25", "2026-07-14", "2026-08-15", "2026-11-01", "2026-11-11", "2026-12-25");
    YEAR("DE", 2027, "2027-01-01", "2027-03-26", "2027-03-29", "2027-05-01", "2027-05-06",
         "2027-05-17", "2027-10-03", "2027-12-25", "2027-12-26");
    YEAR("CH", 2026, "2026-01-01", "2026-05-14", "2026-08-01", "2026-12-25");
    /* Christmas on a Saturday: both are kept again on Monday and Tuesday. */
    YEAR("GB", 2027, "2027-01-01", "2027-03-26", "2027-03-29", "2027-05-03", "2027-05-31",
         "2027-08-30", "2027-12-25", "2027-12-26", "2027-12-27", "2027-12-28");
    /* New Year's Day on a Saturday: kept on Monday. */
    YEAR("GB", 2028, "2028-01-01", "2028-01-03", "2028-04-14", "2028-04-17", "2028-05-01",
         "2028-05-29", "2028-08-28", "2028-12-25", "2028-12-26");
    /* Independence Day 2026 is a Saturday: kept on the Friday before. */
    YEAR("US", 2026, "2026-01-01", "2026-01-19", "2026-02-16", "2026-05-25", "2026-06-19",
         "2026-07-03", "2026-07-04", "2026-09-07", "2026-10-12", "2026-11-11", "2026-11-26",
         "2026-12-25");
    /* New Year's Day 2022 was a Saturday: kept in the old year. */
    YEAR("US", 2021, "2021-01-01", "2021-01-18", "2021-02-15", "2021-05-31", "2021-06-18",
         "2021-06-19", "2021-07-04", "2021-07-05", "2021-09-06", "2021-10-11", "2021-11-11",
         "2021-11-25", "2021-12-24", "2021-12-25", "2021-12-31");
    YEAR("CA", 2026, "2026-01-01", "2026-04-03", "2026-05-18", "2026-07-01", "2026-09-07",
         "2026-09-30", "2026-10-12", "2026-11-11", "2026-12-25", "2026-12-26", "2026-12-28");
    /* King's Day on a Sunday is kept on Saturday, and only then. */
    YEAR("NL", 2025, "2025-01-01", "2025-04-21", "2025-04-26", "2025-05-29", "2025-06-09",
         "2025-12-25", "2025-12-26");
}

static void easter_falls_where_the_church_has_it(void **state)
{
    static const char *const sundays[] = {
        "2000-04-23", "2008-03-23", "2011-04-24", "2019-04-21", "2024-03-31", "2025-04-20",
        "2026-04-05", "2027-03-28", "2028-04-16", "2029-04-01", "2030-04-21", "2038-04-25",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(sundays); i++)
        assert_string_equal(flz_holiday_name("DE", date(sundays[i]) + 1), "Easter Monday");
}

static void no_calendar_is_empty_or_absurd(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(countries); i++) {
        assert_int_equal(flz_holidays_check(countries[i], NULL), 0);
        for (int year = 2020; year < 2080; year++) {
            int n = 0, working = 0;
            for (int32_t day = flz_date_of_civil(year, 1, 1);
                 day < flz_date_of_civil(year + 1, 1, 1); day++) {
                bool off = flz_holiday_name(countries[i], day) != NULL;
                n += off;
                working += off && flz_date_weekday(day) < 5;
            }
            assert_in_range(n, 4, 16);
            assert_in_range(working, 2, 13);
        }
    }
}

static void an_unknown_country_is_told_which_there_are(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    (void)state;
    assert_int_equal(flz_holidays_check("XX", &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "'XX'"));
    for (size_t i = 0; i < COUNT(countries); i++)
        assert_non_null(strstr(msg.text, countries[i]));
    assert_int_equal(flz_holidays_check("", &msg), -EINVAL);
    assert_null(flz_holiday_name("XX", date("2026-12-25")));
}

static void ranges_of_dates_are_read_and_written(void **state)
{
    static const char text[] = "2026-12-24..2027-01-02,2027-05-14";
    struct flz_days_off off = {.holidays = ""};
    struct flz_msg msg = FLZ_MSG_NULL;
    char back[FLZ_AWAY_TEXT_MAX];
    (void)state;
    assert_int_equal(flz_away_parse("2026-12-24..2027-01-02; 2027-05-14", off.away, &msg), 0);
    flz_away_format(off.away, back);
    assert_string_equal(back, text);
    assert_false(flz_is_day_off(&off, date("2026-12-23")));
    assert_true(flz_is_day_off(&off, date("2026-12-24")));
    assert_true(flz_is_day_off(&off, date("2027-01-02")));
    assert_false(flz_is_day_off(&off, date("2027-01-03")));
    assert_true(flz_is_day_off(&off, date("2027-05-14")));
    assert_int_equal(flz_away_parse("none", off.away, &msg), 0);
    flz_away_format(off.away, back);
    assert_string_equal(back, "");
    assert_false(flz_is_day_off(&off, 0)); /* an empty range is none, whatever the date */
    memcpy(off.holidays, "FR", 3);
    assert_true(flz_is_day_off(&off, date("2026-07-14")));
    assert_false(flz_is_day_off(&off, date("2026-07-15")));
}

static void a_full_list_of_ranges_fits_its_text(void **state)
{
    struct flz_date_range away[FLZ_AWAY_MAX];
    struct flz_msg msg = FLZ_MSG_NULL;
    char text[FLZ_AWAY_TEXT_MAX], back[FLZ_AWAY_TEXT_MAX];
    size_t len = 0;
    (void)state;
    for (int i = 0; i < FLZ_AWAY_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s2026-0%d-01..2026-0%d-28",
                                i ? "," : "", i + 1, i + 1);
    assert_int_equal(flz_away_parse(text, away, &msg), 0);
    flz_away_format(away, back);
    assert_string_equal(back, text);
}

static void what_is_no_range_is_refused_in_words(void **state)
{
    static const char *const bad[] = {
        "tomorrow",
        "2026-02-30",
        "2027-01-02..2026-12-24",
        "2026-01-01..2027-01-02",
        "2026-12-24...",
        "..",
        "1970-01-01",
        "2026-12-24..",
        "2026-12-24-2027-01-02-and-a-very-long-text-behind-it",
    };
    struct flz_date_range away[FLZ_AWAY_MAX] = {{.first = 7, .last = 9}};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        assert_int_equal(flz_away_parse(bad[i], away, &msg), -EINVAL);
        assert_non_null(strstr(msg.text, "range"));
        assert_int_equal(away[0].last, 9);
    }
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(
        flz_away_parse("2026-01-01 2026-01-02 2026-01-03 2026-01-04 2026-01-05", away, &msg),
        -EINVAL);
    assert_non_null(strstr(msg.text, "more than 4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(years_read_as_published),
        cmocka_unit_test(easter_falls_where_the_church_has_it),
        cmocka_unit_test(no_calendar_is_empty_or_absurd),
        cmocka_unit_test(an_unknown_country_is_told_which_there_are),
        cmocka_unit_test(ranges_of_dates_are_read_and_written),
        cmocka_unit_test(a_full_list_of_ranges_fits_its_text),
        cmocka_unit_test(what_is_no_range_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
