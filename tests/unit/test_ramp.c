#include "coordinator/core/forecast.h"

#include "common/base/rng.h"
#include "common/base/time.h"
#include "proto/vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MONDAY_TO_FRIDAY 0x1f
#define EVERY_DAY 0x7f
#define ROW_END 0

/* Sends the whole quota of each day and expects the row, ended by ROW_END. */
static void expect_row(struct ramp_settings settings, struct ramp_state state, const uint32_t *row)
{
    struct policy policy = policy_default();
    for (int32_t date = 1; *row != ROW_END; date++, row++) {
        uint32_t quota = ramp_quota(&state, &settings, &policy, UINT32_MAX);
        if (quota != *row)
            print_error("sending day %d\n", date);
        assert_int_equal(quota, *row);
        bool met;
        state = ramp_close(&state, &settings, &policy, date, quota, quota, quota, &met);
        assert_true(met);
    }
}

#define ROW(...) ((const uint32_t[]){__VA_ARGS__, ROW_END})

static struct ramp_settings settings_of(uint32_t intensity, uint32_t days)
{
    return (struct ramp_settings){
        .intensity = intensity, .profile = FLZ_PROFILE_NEW, .days = days};
}

static void medium_at_seven_days_reads_the_published_row(void **state)
{
    expect_row(settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY), (struct ramp_state){0},
               ROW(5, 5, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 10, 10, 12, 15, 16, 16, 17, 17, 17, 18, 18,
                   18, 19, 19, 20, 20, 20, 20));
}

static void medium_at_monday_to_friday_reads_the_published_row(void **state)
{
    expect_row(settings_of(FLZ_INTENSITY_MEDIUM, MONDAY_TO_FRIDAY), (struct ramp_state){0},
               ROW(5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 12, 15, 16, 17, 18, 18, 19, 19, 20, 20, 20, 20));
}

static void low_reads_the_published_row(void **state)
{
    expect_row(settings_of(FLZ_INTENSITY_LOW, EVERY_DAY), (struct ramp_state){0},
               ROW(3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 10,
                   10, 10, 10));
}

static void high_reads_the_published_row(void **state)
{
    expect_row(settings_of(FLZ_INTENSITY_HIGH, EVERY_DAY), (struct ramp_state){0},
               ROW(5, 5, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 10, 10, 12, 15, 17, 17, 18, 19, 20, 20, 21,
                   22, 23, 23, 24, 25, 30, 30));
}

static void low_use_climbs_from_10_to_20_in_10_sending_days(void **state)
{
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY);
    settings.profile = FLZ_PROFILE_LOW_USE;
    expect_row(settings, (struct ramp_state){0},
               ROW(10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 20, 20));
}

static void existing_climbs_from_10_to_its_target_in_four_weeks(void **state)
{
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_HIGH, EVERY_DAY);
    settings.profile = FLZ_PROFILE_EXISTING;
    expect_row(settings, (struct ramp_state){0},
               ROW(10, 11, 11, 12, 13, 14, 14, 15, 16, 17, 17, 18, 19, 20, 20, 21, 22, 23, 23, 24,
                   25, 26, 26, 27, 28, 29, 29, 30, 30));
}

static void recovery_climbs_from_the_last_good_level(void **state)
{
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(0, EVERY_DAY);
    settings.profile = FLZ_PROFILE_RECOVERY;
    settings.target = 40;
    struct ramp_state fresh = {0};
    struct ramp_state known = {.reference = 24};
    assert_int_equal(ramp_phase(&fresh, &settings), RAMP_RECOVERY);
    assert_int_equal(ramp_quota(&fresh, &settings, &policy, UINT32_MAX), 10);
    assert_int_equal(ramp_quota(&known, &settings, &policy, UINT32_MAX), 24);
    bool met;
    for (int32_t date = 1; date <= 35; date++) {
        uint32_t quota = ramp_quota(&known, &settings, &policy, UINT32_MAX);
        known = ramp_close(&known, &settings, &policy, date, quota, quota, quota, &met);
    }
    assert_int_equal(known.reference, 30);
    assert_int_equal(ramp_phase(&known, &settings), RAMP_MAINTAIN);
    assert_int_equal(ramp_quota(&known, &settings, &policy, UINT32_MAX), 30);
}

static void phases_end_after_two_and_four_weeks_of_sending_days(void **state)
{
    for (uint32_t n = 1; n <= 7; n++) {
        struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, (1u << n) - 1);
        struct ramp_state at = {.day = 2 * n - 1};
        assert_int_equal(ramp_phase(&at, &settings), RAMP_START);
        at.day = 2 * n;
        assert_int_equal(ramp_phase(&at, &settings), RAMP_RAMP);
        at.day = 4 * n - 1;
        assert_int_equal(ramp_phase(&at, &settings), RAMP_RAMP);
        at.day = 4 * n;
        assert_int_equal(ramp_phase(&at, &settings), RAMP_MAINTAIN);
    }
}

static void every_target_keeps_its_phase_bands_in_order(void **state)
{
    uint32_t last_first = 0;
    for (uint32_t target = 1; target <= 40; target++) {
        struct ramp_settings settings = settings_of(0, EVERY_DAY);
        settings.target = target;
        uint32_t before = 0;
        for (uint32_t day = 0; day < 40; day++) {
            struct ramp_state at = {.day = day, .reference = before};
            uint32_t want = ramp_target(&at, &settings);
            assert_in_range(want, before ? before : 1, target);
            if (day < 14)
                assert_true(want <= 10);
            if (day < 28)
                assert_true(want <= 25);
            before = want;
        }
        assert_int_equal(before, target);
        uint32_t first = ramp_target(&(struct ramp_state){0}, &settings);
        assert_true(first >= last_first);
        last_first = first;
    }
}

static void eighty_percent_meets_a_day_and_less_does_not_advance(void **state)
{
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY);
    struct ramp_state at = {.day = 10, .reference = 10};
    bool met;
    struct ramp_state next = ramp_close(&at, &settings, &policy, 1, 10, 8, 10, &met);
    assert_true(met);
    assert_int_equal(next.day, 11);
    next = ramp_close(&at, &settings, &policy, 1, 10, 7, 10, &met);
    assert_false(met);
    assert_int_equal(next.day, 10);
    assert_int_equal(next.reference, 8); /* 10 - max(1, 25 %), though 7 were sent */
    next = ramp_close(&at, &settings, &policy, 1, 10, 4, 5, &met);
    assert_true(met); /* of what was possible */
    next = ramp_close(&at, &settings, &policy, 1, 10, 0, 0, &met);
    assert_false(met); /* nothing possible is not a sending day */
}

static void a_date_is_closed_once(void **state)
{
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY);
    struct ramp_state at = {0};
    bool met;
    at = ramp_close(&at, &settings, &policy, 7, 5, 5, 5, &met);
    struct ramp_state again = ramp_close(&at, &settings, &policy, 7, 5, 5, 5, &met);
    assert_false(met);
    assert_memory_equal(&again, &at, sizeof(at));
}

static void who_was_given_nothing_has_not_begun(void **state)
{
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY);
    struct ramp_state at = {0};
    bool met;
    for (int32_t date = 1; date <= 3; date++)
        at = ramp_close(&at, &settings, &policy, date, 0, 0, 0, &met);
    assert_false(met);
    assert_int_equal(at.reference, 0);
    assert_int_equal(at.day, 0);
    assert_int_equal(at.last_date, 3);
    at.last_date = 0;
    expect_row(settings, at, ROW(5, 5, 6, 6, 7));
}

static void who_sent_nothing_on_its_first_day_has_not_begun(void **state)
{
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY);
    struct ramp_state at = {0};
    bool met;
    (void)state;
    at = ramp_close(&at, &settings, &policy, 1, 5, 0, 5, &met);
    assert_int_equal(at.reference, 0);
    assert_int_equal(ramp_idle_days(&at, 60), 59);
    at.last_date = 0;
    expect_row(settings, at, ROW(5, 5, 6, 6, 7));
}

/* ---- Silence ---- */

/* After so many days without mail: level and phase of a medium account that maintains 20. */
static void silence_takes_the_ramp_back_in_proportion(void **state)
{
    static const struct {
        int32_t idle;
        uint32_t reference, day;
        enum ramp_phase phase;
    } rows[] = {
        {0, 20, 300, RAMP_MAINTAIN}, {3, 20, 300, RAMP_MAINTAIN}, {7, 20, 300, RAMP_MAINTAIN},
        {8, 19, 19, RAMP_RAMP},      {12, 16, 15, RAMP_RAMP},     {19, 10, 9, RAMP_START},
        {29, 1, 0, RAMP_START},      {30, 0, 0, RAMP_START},      {400, 0, 0, RAMP_START},
    };
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, MONDAY_TO_FRIDAY);
    struct ramp_state at = {
        .day = 300, .reference = 20, .last_quota = 20, .last_date = 1000, .sent_date = 1000};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ramp_state next = ramp_resume(&at, &settings, 1000 + rows[i].idle);
        assert_int_equal(next.reference, rows[i].reference);
        assert_int_equal(next.day, rows[i].day);
        assert_int_equal(ramp_phase(&next, &settings), rows[i].phase);
    }
    /* As good as new: the published beginning. */
    struct ramp_state again = ramp_resume(&at, &settings, 1030);
    again.last_date = 0;
    expect_row(settings, again, ROW(5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 12));
    /* Days that were planned and sent nothing are silence, too. */
    at.last_date = 1029;
    assert_int_equal(ramp_resume(&at, &settings, 1030).reference, 0);
    /* A log from before the date of the last mail was kept. */
    at.sent_date = 0;
    assert_int_equal(ramp_resume(&at, &settings, 1030).reference, 20);
    assert_int_equal(ramp_quota(&at, &settings, &policy, UINT32_MAX), 20);
}

/* Never above what was, the less the longer, and never below one before it starts again. */
static void silence_never_raises_a_level(void **state)
{
    (void)state;
    for (uint32_t level = 1; level <= 50; level++)
        for (uint32_t profile = FLZ_PROFILE_NEW; profile <= FLZ_PROFILE_RECOVERY; profile++) {
            struct ramp_settings settings = {
                .target = 40, .profile = profile, .days = MONDAY_TO_FRIDAY};
            struct ramp_state at = {
                .day = level, .reference = level, .last_date = 50, .sent_date = 50};
            uint32_t before = level, day = level;
            for (int32_t date = 51; date < 90; date++) {
                struct ramp_state next = ramp_resume(&at, &settings, date);
                assert_true(next.reference <= before && next.day <= day);
                assert_int_equal(next.reference > 0, date < 50 + RAMP_IDLE_RESTART_DAYS);
                before = next.reference;
                day = next.day;
            }
        }
}

static void received_mail_keeps_to_the_band_of_its_phase(void **state)
{
    static const struct {
        uint32_t intensity, target, day, quota, most;
    } rows[] = {
        {FLZ_INTENSITY_MEDIUM, 0, 0, 5, 7},
        {FLZ_INTENSITY_MEDIUM, 0, 9, 10, 10},
        {FLZ_INTENSITY_MEDIUM, 0, 12, 16, 20},
        {FLZ_INTENSITY_MEDIUM, 0, 30, 20, 30},
        {FLZ_INTENSITY_LOW, 0, 0, 3, 4},
        {FLZ_INTENSITY_LOW, 0, 8, 6, 6},
        {FLZ_INTENSITY_LOW, 0, 30, 10, 15},
        {FLZ_INTENSITY_HIGH, 0, 30, 30, 30},
        {0, 40, 30, 40, 40},
        {FLZ_INTENSITY_MEDIUM, 0, 0, 12, 12},
        {FLZ_INTENSITY_MEDIUM, 0, 0, 0, 0},
    };
    struct policy policy = policy_default();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ramp_settings settings = settings_of(rows[i].intensity, MONDAY_TO_FRIDAY);
        settings.target = rows[i].target;
        struct ramp_state at = {.day = rows[i].day, .reference = rows[i].quota};
        assert_int_equal(ramp_inbound(&at, &settings, &policy, rows[i].quota), rows[i].most);
    }
}

static void every_profile_stands_in_the_table_with_its_source(void **state)
{
    size_t count;
    const struct ramp_profile *profiles = ramp_profiles(&count);
    (void)state;
    assert_int_equal(count, FLZ_PROFILE_RECOVERY);
    for (uint32_t i = 0; i < count; i++) {
        struct ramp_settings settings = {.profile = profiles[i].profile, .days = EVERY_DAY};
        assert_int_equal(profiles[i].profile, FLZ_PROFILE_NEW + i);
        assert_ptr_equal(ramp_profile(&settings), &profiles[i]);
        assert_true(strlen(profiles[i].text) > 20 && strlen(profiles[i].source) > 20);
        assert_true((profiles[i].days == 0) != (profiles[i].weeks == 0));
    }
    struct ramp_settings none = {.profile = 0};
    assert_ptr_equal(ramp_profile(&none), &profiles[0]);
}

static void a_forecast_leaves_days_off_out(void **state)
{
    struct forecast forecast = {.settings = settings_of(FLZ_INTENSITY_MEDIUM, MONDAY_TO_FRIDAY),
                                .policy = policy_default(),
                                .days_off = {.holidays = "FR"}};
    (void)state;
    assert_int_equal(flz_date_parse("2026-05-04", &forecast.date), 0); /* a Monday */
    static const char *const dates[] = {"2026-05-04", "2026-05-05", "2026-05-06", "2026-05-07",
                                        "2026-05-11", "2026-05-12", "2026-05-13", "2026-05-15"};
    static const uint32_t quotas[] = {5, 6, 7, 7, 8, 8, 9, 9};
    for (size_t i = 0; i < 8; i++) {
        char text[FLZ_TIME_TEXT_MAX];
        struct forecast_day day = forecast_next(&forecast);
        flz_date_format(day.date, text);
        assert_string_equal(text, dates[i]);
        assert_int_equal(day.number, i + 1);
        assert_int_equal(day.quota, quotas[i]);
    }
    /* A month away: it starts again. */
    forecast.days_off.away[0] =
        (struct flz_date_range){.first = forecast.date, .last = forecast.date + 30};
    struct forecast_day day = forecast_next(&forecast);
    assert_int_equal(day.number, 1);
    assert_int_equal(day.quota, 5);
}

static void a_small_pool_cuts_at_once_and_is_climbed_out_of_by_the_bound(void **state)
{
    struct policy policy = policy_default();
    struct ramp_settings settings = settings_of(FLZ_INTENSITY_MEDIUM, EVERY_DAY);
    struct ramp_state at = {.day = 50, .reference = 20};
    bool met;
    assert_int_equal(ramp_quota(&at, &settings, &policy, 3), 3);
    assert_int_equal(ramp_quota(&at, &settings, &policy, 0), 0);
    for (int32_t date = 1; date <= 20; date++)
        at = ramp_close(&at, &settings, &policy, date, 3, 3, 3, &met);
    assert_true(met);
    assert_int_equal(at.reference, 3);
    at.last_date = 0;
    expect_row(settings, at, ROW(4, 5, 6, 7, 8, 10, 12, 15, 18, 20, 20));
}

/* Messages of the owner's own: the published table, beside a phase and a target. */
static void prospecting_is_advised_by_week_and_never_to_the_weak(void **state)
{
    static const struct {
        uint32_t profile, target, week, low, high;
    } rows[] = {
        {FLZ_PROFILE_NEW, 20, 0, 0, 0},        {FLZ_PROFILE_NEW, 20, 1, 0, 0},
        {FLZ_PROFILE_NEW, 20, 2, 20, 50},      {FLZ_PROFILE_NEW, 30, 4, 50, 100},
        {FLZ_PROFILE_NEW, 10, 4, 25, 50},      {FLZ_PROFILE_EXISTING, 20, 1, 0, 10},
        {FLZ_PROFILE_EXISTING, 20, 3, 20, 50}, {FLZ_PROFILE_EXISTING, 40, 9, 50, 100},
        {FLZ_PROFILE_LOW_USE, 20, 0, 0, 10},   {FLZ_PROFILE_RECOVERY, 20, 0, 0, 0},
        {FLZ_PROFILE_RECOVERY, 20, 4, 0, 0},   {FLZ_PROFILE_RECOVERY, 20, 5, 50, 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ramp_settings settings = {
            .target = rows[i].target, .profile = rows[i].profile, .days = MONDAY_TO_FRIDAY};
        struct ramp_state at = {.day = 5 * rows[i].week, .reference = 1};
        struct ramp_band band = ramp_prospecting(&at, &settings);
        assert_int_equal(band.low, rows[i].low);
        assert_int_equal(band.high, rows[i].high);
    }
}

static void a_forecast_walks_the_sending_days(void **state)
{
    struct forecast forecast = {
        .settings = settings_of(FLZ_INTENSITY_MEDIUM, 0x05), /* Monday, Wednesday */
        .policy = policy_default(),
        .date = 4, /* Monday 1970-01-05 */
    };
    static const int32_t dates[] = {4, 6, 11, 13, 18};
    for (size_t i = 0; i < 5; i++) {
        struct forecast_day day = forecast_next(&forecast);
        assert_int_equal(day.date, dates[i]);
        assert_int_equal(day.number, i + 1);
        assert_int_equal(day.phase, i < 4 ? RAMP_START : RAMP_RAMP);
        assert_int_equal(day.band.low, i < 4 ? 5 : 15);
        assert_int_equal(day.band.high, i < 4 ? 10 : 20);
    }
}

/* Random accounts, random outcomes. */
static void random_outcomes_never_break_the_bounds(void **state)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct flz_rng rng;
        flz_rng_init(&rng, flz_view_str("ramp"), seed);
        struct policy policy = policy_default();
        policy.ceiling_per_day = 1 + (int64_t)flz_rng_below(&rng, 50);
        policy.growth_percent = 1 + (int64_t)flz_rng_below(&rng, 25);
        struct ramp_settings settings = {
            .intensity = 1 + (uint32_t)flz_rng_below(&rng, 3),
            .target = flz_rng_below(&rng, 2) ? (uint32_t)flz_rng_below(&rng, 41) : 0,
            .profile = 1 + (uint32_t)flz_rng_below(&rng, 4),
            .days = (uint32_t)flz_rng_below(&rng, 128),
        };
        struct ramp_state at = {0};
        bool met;
        for (int32_t date = 1; date <= 200; date++) {
            uint32_t pool = flz_rng_below(&rng, 8) ? UINT32_MAX : (uint32_t)flz_rng_below(&rng, 9);
            uint32_t quota = ramp_quota(&at, &settings, &policy, pool);
            uint32_t r = at.reference;
            uint32_t step = r * (uint32_t)policy.growth_percent / 100;
            step = step ? step : 1;
            assert_true(quota <= (uint32_t)policy.ceiling_per_day && quota <= 50 && quota <= pool);
            assert_true(r == 0 || quota <= r + step);
            assert_true(pool < UINT32_MAX || quota >= 1);
            assert_true(r == 0 || quota + step >= r || quota == pool ||
                        quota == (uint32_t)policy.ceiling_per_day);
            uint32_t committed = (uint32_t)flz_rng_below(&rng, quota + 1);
            if (flz_rng_below(&rng, 3))
                committed = quota;
            uint32_t day = at.day;
            at = ramp_close(&at, &settings, &policy, date, quota, committed, quota, &met);
            assert_int_equal(at.day, day + met);
            assert_int_equal(met, quota > 0 && committed * 10 >= quota * 8);
            assert_true(at.reference >= 1 || (r == 0 && committed == 0));
            assert_true(r == 0 || (at.reference <= r + step && at.reference + step >= r));
        }
        /* When trouble ends, it climbs to its goal and stays. */
        policy = policy_default();
        for (int32_t date = 201; date <= 300; date++) {
            at = ramp_resume(&at, &settings, date);
            uint32_t quota = ramp_quota(&at, &settings, &policy, UINT32_MAX);
            at = ramp_close(&at, &settings, &policy, date, quota, quota, quota, &met);
            assert_true(met);
        }
        uint32_t goal = settings.target      ? settings.target
                        : settings.intensity == 1 ? 10
                        : settings.intensity == 2 ? 20
                                                  : 30;
        if (settings.profile == FLZ_PROFILE_RECOVERY && goal > 30)
            goal = 30;
        assert_int_equal(ramp_quota(&at, &settings, &policy, UINT32_MAX), goal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medium_at_seven_days_reads_the_published_row),
        cmocka_unit_test(medium_at_monday_to_friday_reads_the_published_row),
        cmocka_unit_test(low_reads_the_published_row),
        cmocka_unit_test(high_reads_the_published_row),
        cmocka_unit_test(low_use_climbs_from_10_to_20_in_10_sending_days),
        cmocka_unit_test(existing_climbs_from_10_to_its_target_in_four_weeks),
        cmocka_unit_test(recovery_climbs_from_the_last_good_level),
        cmocka_unit_test(phases_end_after_two_and_four_weeks_of_sending_days),
        cmocka_unit_test(every_target_keeps_its_phase_bands_in_order),
        cmocka_unit_test(eighty_percent_meets_a_day_and_less_does_not_advance),
        cmocka_unit_test(a_date_is_closed_once),
        cmocka_unit_test(who_was_given_nothing_has_not_begun),
        cmocka_unit_test(who_sent_nothing_on_its_first_day_has_not_begun),
        cmocka_unit_test(silence_takes_the_ramp_back_in_proportion),
        cmocka_unit_test(silence_never_raises_a_level),
        cmocka_unit_test(received_mail_keeps_to_the_band_of_its_phase),
        cmocka_unit_test(every_profile_stands_in_the_table_with_its_source),
        cmocka_unit_test(a_forecast_leaves_days_off_out),
        cmocka_unit_test(a_small_pool_cuts_at_once_and_is_climbed_out_of_by_the_bound),
        cmocka_unit_test(prospecting_is_advised_by_week_and_never_to_the_weak),
        cmocka_unit_test(a_forecast_walks_the_sending_days),
        cmocka_unit_test(random_outcomes_never_break_the_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
