#include "common/sys/tz.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct tz *tz;

static int32_t date(const char *text)
{
    int32_t day;
    assert_int_equal(flz_date_parse(text, &day), 0);
    return day;
}

static int minute(const char *clock)
{
    int hour, min;
    assert_int_equal(sscanf(clock, "%d:%d", &hour, &min), 2);
    return hour * 60 + min;
}

static void assert_window(struct tz_window window, const char *start, const char *end)
{
    char text[FLZ_TIME_TEXT_MAX];
    flz_time_format(window.start, text);
    assert_string_equal(text, start);
    flz_time_format(window.end, text);
    assert_string_equal(text, end);
}

static void expect(const char *zone, const char *day, const char *from, const char *to,
                   const char *start, const char *end)
{
    struct tz_hours hours = {minute(from), minute(to), TZ_ALL_DAYS};
    struct tz_window window;
    assert_int_equal(tz_window(tz, zone, date(day), hours, &window), 0);
    assert_window(window, start, end);
}

static void expect_day(const char *zone, const char *day, const char *start, const char *end)
{
    struct tz_window window;
    assert_int_equal(tz_day(tz, zone, date(day), &window), 0);
    assert_window(window, start, end);
}

static void windows_follow_the_offset_of_their_date(void **state)
{
    expect("Europe/Paris", "2026-01-15", "08:00", "18:30", "2026-01-15T07:00:00.000Z",
           "2026-01-15T17:30:00.000Z");
    expect("Europe/Paris", "2026-07-15", "08:00", "18:30", "2026-07-15T06:00:00.000Z",
           "2026-07-15T16:30:00.000Z");
    expect("Asia/Kathmandu", "2026-07-15", "09:00", "17:00", "2026-07-15T03:15:00.000Z",
           "2026-07-15T11:15:00.000Z");
    expect("America/New_York", "2050-07-01", "09:00", "24:00", "2050-07-01T13:00:00.000Z",
           "2050-07-02T04:00:00.000Z");
    expect("UTC", "2026-07-15", "22:00", "06:00", "2026-07-15T22:00:00.000Z",
           "2026-07-16T06:00:00.000Z");
    expect("UTC", "2026-07-15", "08:00", "08:00", "2026-07-15T08:00:00.000Z",
           "2026-07-16T08:00:00.000Z");
}

static void a_time_in_the_gap_means_the_jump(void **state)
{
    expect("Europe/Berlin", "2026-03-29", "02:30", "04:00", "2026-03-29T01:00:00.000Z",
           "2026-03-29T02:00:00.000Z");
    expect("Australia/Lord_Howe", "2026-10-04", "02:10", "03:00", "2026-10-03T15:30:00.000Z",
           "2026-10-03T16:00:00.000Z");
}

static void a_time_that_comes_twice_means_the_second(void **state)
{
    expect("Europe/Berlin", "2026-10-25", "02:30", "04:00", "2026-10-25T01:30:00.000Z",
           "2026-10-25T03:00:00.000Z");
    expect("Europe/Berlin", "2026-10-25", "01:00", "02:30", "2026-10-24T23:00:00.000Z",
           "2026-10-25T01:30:00.000Z");
    /* Dublin calls its winter "daylight saving". */
    expect("Europe/Dublin", "2026-10-25", "01:30", "04:00", "2026-10-25T01:30:00.000Z",
           "2026-10-25T04:00:00.000Z");
    expect("Australia/Lord_Howe", "2026-04-05", "01:45", "03:00", "2026-04-04T15:15:00.000Z",
           "2026-04-04T16:30:00.000Z");
}

static void a_window_swallowed_by_the_jump_is_off(void **state)
{
    struct tz_hours hours = {minute("02:10"), minute("02:50"), TZ_ALL_DAYS};
    struct tz_window window = {7, 8};
    assert_int_equal(tz_window(tz, "Europe/Berlin", date("2026-03-29"), hours, &window), TZ_E_OFF);
    hours = (struct tz_hours){minute("08:00"), minute("18:00"), TZ_ALL_DAYS};
    assert_int_equal(tz_window(tz, "Pacific/Apia", date("2011-12-30"), hours, &window), TZ_E_OFF);
    assert_int_equal(window.start, 7);
}

static void only_the_weekdays_of_the_mask_count(void **state)
{
    struct tz_hours hours = {minute("08:00"), minute("18:00"), TZ_DAY(0) | TZ_DAY(4)};
    struct tz_window window;
    for (int i = 0; i < 7; i++) { /* 2026-06-01 is a Monday */
        int r = tz_window(tz, "Europe/Paris", date("2026-06-01") + i, hours, &window);
        assert_int_equal(r, i == 0 || i == 4 ? 0 : TZ_E_OFF);
    }
}

static void the_next_window_is_the_open_one_or_the_one_after(void **state)
{
    static const struct {
        const char *at, *from, *to, *start, *end;
    } rows[] = {
        /* Friday: before it, in it, at its end; then Monday. */
        {"2026-01-16T06:59:59Z", "08:00", "18:00", "2026-01-16T07:00:00.000Z",
         "2026-01-16T17:00:00.000Z"},
        {"2026-01-16T07:00:00Z", "08:00", "18:00", "2026-01-16T07:00:00.000Z",
         "2026-01-16T17:00:00.000Z"},
        {"2026-01-16T17:00:00Z", "08:00", "18:00", "2026-01-19T07:00:00.000Z",
         "2026-01-19T17:00:00.000Z"},
        /* Saturday, in what Friday began. */
        {"2026-01-17T00:30:00Z", "20:00", "02:00", "2026-01-16T19:00:00.000Z",
         "2026-01-17T01:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tz_hours hours = {minute(rows[i].from), minute(rows[i].to), 0x1f};
        struct tz_window window;
        int64_t at;
        assert_int_equal(flz_time_parse(rows[i].at, &at), 0);
        assert_int_equal(tz_next_window(tz, "Europe/Paris", at, hours, &window), 0);
        assert_window(window, rows[i].start, rows[i].end);
    }
    struct tz_hours never = {480, 1080, 0};
    struct tz_window window;
    assert_int_equal(tz_next_window(tz, "Europe/Paris", 0, never, &window), TZ_E_OFF);
    assert_int_equal(tz_next_window(tz, "Europe/Nowhere", 0, never, &window), -EINVAL);
}

static void days_begin_and_end_at_local_midnight(void **state)
{
    expect_day("Europe/Paris", "2026-03-29", "2026-03-28T23:00:00.000Z",
               "2026-03-29T22:00:00.000Z");
    expect_day("Europe/Paris", "2026-10-25", "2026-10-24T22:00:00.000Z",
               "2026-10-25T23:00:00.000Z");
    /* Beirut jumps from midnight to one: the day begins at the jump. */
    expect_day("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00.000Z",
               "2026-03-29T21:00:00.000Z");
    /* Havana's midnight comes twice: the day begins with the first. */
    expect_day("America/Havana", "2025-11-02", "2025-11-02T04:00:00.000Z",
               "2025-11-03T05:00:00.000Z");
    expect("America/Havana", "2025-11-01", "08:00", "24:00", "2025-11-01T12:00:00.000Z",
           "2025-11-02T04:00:00.000Z");
    expect_day("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00.000Z",
               "2011-12-30T10:00:00.000Z");
}

/* For every day of several years: no gap between neighbours, and each of its hours is on it. */
static void days_tile_time(void **state)
{
    static const char *const zones[] = {
        "Europe/Dublin", "America/Havana", "Africa/Casablanca", "Australia/Lord_Howe",
        "America/Santiago", "Asia/Tehran", "Pacific/Chatham", "Antarctica/Troll", "UTC",
    };
    for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
        struct tz_window day, next;
        assert_int_equal(tz_day(tz, zones[z], date("2024-01-01"), &day), 0);
        for (int32_t d = date("2024-01-01"); d < date("2028-01-01"); d++, day = next) {
            assert_int_equal(tz_day(tz, zones[z], d + 1, &next), 0);
            assert_int_equal(day.end, next.start);
            for (int64_t at = day.start; at < day.end; at += FLZ_HOUR_MS / 2) {
                int32_t local;
                assert_int_equal(tz_local_day(tz, zones[z], at, &local), 0);
                assert_int_equal(local, d);
            }
        }
    }
}

static void local_days_turn_at_midnight(void **state)
{
    int64_t at;
    int32_t day;
    assert_int_equal(flz_time_parse("2026-07-14T22:00:00Z", &at), 0);
    assert_int_equal(tz_local_day(tz, "Europe/Paris", at - 1, &day), 0);
    assert_int_equal(day, date("2026-07-14"));
    assert_int_equal(tz_local_day(tz, "Europe/Paris", at, &day), 0);
    assert_int_equal(day, date("2026-07-15"));
    assert_int_equal(tz_local_day(tz, "America/New_York", -1, &day), 0);
    assert_int_equal(day, -1);
}

static void offsets_are_local_minus_utc(void **state)
{
    int minutes;
    int64_t at;
    assert_int_equal(flz_time_parse("2026-07-14T22:00:00Z", &at), 0);
    assert_int_equal(tz_offset_minutes(tz, "America/St_Johns", at, &minutes), 0);
    assert_int_equal(minutes, -150);
    assert_int_equal(tz_offset_minutes(tz, "Asia/Kathmandu", at, &minutes), 0);
    assert_int_equal(minutes, 345);
}

static void unknown_zones_are_refused_with_a_hint(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(tz_check(tz, "Europe/Pairs", &msg), -EINVAL);
    assert_string_equal(msg.text,
                        "unknown time zone \"Europe/Pairs\" (did you mean \"Europe/Paris\"?)");
    assert_int_equal(tz_check(tz, "europe/paris", &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "\"Europe/Paris\"?"));
    assert_int_equal(tz_check(tz, "Asia/Katmandu", &msg), 0); /* an alias */
    static const char *const others[] = {
        "", "+02:00", "EST5EDT,M3.2.0,M11.1.0", "../zoneinfo/UTC", "/etc/localtime", "localtime",
        "right/UTC", "posix/UTC", "tzdata.zi", "Europe", "iso3166.tab",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(tz_check(tz, others[i], i % 2 ? &msg : NULL), -EINVAL);
}

static void impossible_arguments_are_refused(void **state)
{
    struct tz_window window;
    struct tz_hours hours = {-1, 100, TZ_ALL_DAYS};
    assert_int_equal(tz_window(tz, "UTC", 0, hours, &window), -EINVAL);
    hours = (struct tz_hours){0, 1441, TZ_ALL_DAYS};
    assert_int_equal(tz_window(tz, "UTC", 0, hours, &window), -EINVAL);
    hours = (struct tz_hours){1440, 1, TZ_ALL_DAYS};
    assert_int_equal(tz_window(tz, "UTC", 0, hours, &window), -EINVAL);
    hours = (struct tz_hours){0, 1440, TZ_ALL_DAYS};
    assert_int_equal(tz_window(tz, "UTC", INT32_MAX, hours, &window), -EINVAL);
    assert_int_equal(tz_day(tz, "UTC", INT32_MIN, &window), -EINVAL);
    int32_t day;
    assert_int_equal(tz_local_day(tz, "UTC", INT64_MAX, &day), -EINVAL);
}

static void nothing_is_forgotten_without_a_change(void **state)
{
    assert_false(tz_refresh(tz));
    assert_null(tz_free(NULL));
}

static int setup(void **state)
{
    return tz_new(&tz);
}

static int teardown(void **state)
{
    tz = tz_free(tz);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_follow_the_offset_of_their_date),
        cmocka_unit_test(a_time_in_the_gap_means_the_jump),
        cmocka_unit_test(a_time_that_comes_twice_means_the_second),
        cmocka_unit_test(a_window_swallowed_by_the_jump_is_off),
        cmocka_unit_test(only_the_weekdays_of_the_mask_count),
        cmocka_unit_test(the_next_window_is_the_open_one_or_the_one_after),
        cmocka_unit_test(days_begin_and_end_at_local_midnight),
        cmocka_unit_test(days_tile_time),
        cmocka_unit_test(local_days_turn_at_midnight),
        cmocka_unit_test(offsets_are_local_minus_utc),
        cmocka_unit_test(unknown_zones_are_refused_with_a_hint),
        cmocka_unit_test(impossible_arguments_are_refused),
        cmocka_unit_test(nothing_is_forgotten_without_a_change),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
