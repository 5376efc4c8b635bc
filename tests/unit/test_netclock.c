#include "common/sys/netclock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UTC INT64_C(1795000000000)
#define BOOT INT64_C(500000)

static struct netclock_leader leader;

static void start(uint32_t rate, int64_t stored, int64_t stored_boot, int64_t boot, int64_t real)
{
    struct netclock_leader_options options = {
        .rate_milli = rate, .newest = stored, .before = {.shown = stored, .boot = stored_boot}};
    assert_int_equal(netclock_leader_init(&leader, options, boot, real), 0);
}

/* ---- Leader at rate one ---- */

static void the_leader_follows_utc(void **state)
{
    start(0, 0, -1, BOOT, UTC);
    assert_int_equal(leader.rate_milli, NETCLOCK_RATE_ONE);
    assert_int_equal(netclock_leader_now(&leader, BOOT, UTC), UTC);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 1000, UTC + 1003), UTC + 1003);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 2000, UTC + 2000 + FLZ_MINUTE_MS),
                     UTC + 2000 + FLZ_MINUTE_MS);
}

static void a_small_step_back_makes_time_stand_still(void **state)
{
    start(0, 0, -1, BOOT, UTC);
    int64_t first = netclock_leader_now(&leader, BOOT, UTC);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 1000, UTC - 29000), first);
    assert_int_equal(netclock_leader_refused_step(&leader), 0);
    assert_int_equal(netclock_leader_wait_ms(&leader, first + 5, BOOT + 1000, UTC - 29000), 29005);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 31000, UTC + 1000), first + 1000);
}

static void a_large_step_is_refused_until_confirmed(void **state)
{
    for (int sign = 1; sign >= -1; sign -= 2) {
        int64_t step = sign * (NETCLOCK_STEP_MAX_MS + 1);
        start(0, 0, -1, BOOT, UTC);
        assert_int_equal(netclock_leader_now(&leader, BOOT, UTC), UTC);
        assert_int_equal(netclock_leader_now(&leader, BOOT + 100, UTC + 100 + step), UTC + 100);
        assert_int_equal(netclock_leader_refused_step(&leader), step);
        assert_int_equal(netclock_leader_wait_ms(&leader, UTC + 150, BOOT + 100, UTC + 100 + step),
                         50);
        assert_int_equal(netclock_leader_now(&leader, BOOT + 200, UTC + 200 + step), UTC + 200);
        netclock_leader_confirm(&leader, BOOT + 300, UTC + 300 + step);
        assert_int_equal(netclock_leader_refused_step(&leader), 0);
        assert_int_equal(netclock_leader_now(&leader, BOOT + 300, UTC + 300 + step),
                         sign > 0 ? UTC + 300 + step : UTC + 200);
    }
    /* Confirmed backward: it goes on when UTC has caught up. */
    int64_t caught = NETCLOCK_STEP_MAX_MS + 500;
    assert_int_equal(netclock_leader_now(&leader, BOOT + caught, UTC + 499), UTC + 499);
}

static void a_refused_step_that_is_taken_back_is_forgotten(void **state)
{
    start(0, 0, -1, BOOT, UTC);
    (void)netclock_leader_now(&leader, BOOT + 100, UTC + FLZ_DAY_MS);
    assert_int_not_equal(netclock_leader_refused_step(&leader), 0);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 200, UTC + 201), UTC + 201);
    assert_int_equal(netclock_leader_refused_step(&leader), 0);
}

static void an_hour_exactly_is_no_large_step(void **state)
{
    start(0, 0, -1, BOOT, UTC);
    int64_t now = UTC + NETCLOCK_STEP_MAX_MS;
    assert_int_equal(netclock_leader_now(&leader, BOOT, now), now);
}

static void the_start_believes_what_the_stored_time_lets_expect(void **state)
{
    /* The same boot: an hour either way of stored + elapsed. */
    start(0, UTC, BOOT, BOOT + 1000, UTC + 900);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 1000, UTC + 900), UTC + 900);
    start(0, UTC, BOOT, BOOT + 1000, UTC + FLZ_DAY_MS);
    assert_int_equal(netclock_leader_refused_step(&leader), FLZ_DAY_MS - 1000);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 2000, UTC + FLZ_DAY_MS), UTC + 2000);
    /* Another boot: any later time, and an hour before. */
    start(0, UTC, -1, BOOT, UTC + FLZ_DAY_MS);
    assert_int_equal(netclock_leader_now(&leader, BOOT, UTC + FLZ_DAY_MS), UTC + FLZ_DAY_MS);
    start(0, UTC, BOOT + 1, BOOT, UTC + FLZ_DAY_MS);
    assert_int_equal(netclock_leader_refused_step(&leader), 0);
    start(0, UTC, -1, BOOT, UTC - FLZ_MINUTE_MS);
    assert_int_equal(netclock_leader_refused_step(&leader), 0);
    assert_int_equal(netclock_leader_now(&leader, BOOT, UTC - FLZ_MINUTE_MS), UTC);
    start(0, UTC, -1, BOOT, UTC - FLZ_DAY_MS);
    assert_int_equal(netclock_leader_refused_step(&leader), -FLZ_DAY_MS);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 5, UTC - FLZ_DAY_MS + 5), UTC + 5);
}

/* The clock of a process that starts where `leader` is. */
static void restart(int64_t boot, int64_t real)
{
    struct netclock_leader_options options = {
        .newest = netclock_leader_now(&leader, boot, real),
        .before = netclock_leader_read(&leader, boot, real),
    };
    assert_int_equal(netclock_leader_init(&leader, options, boot, real), 0);
}

static void a_restart_is_no_confirmation(void **state)
{
    for (int sign = 1; sign >= -1; sign -= 2) {
        int64_t step = sign * FLZ_DAY_MS;
        start(0, 0, -1, BOOT, UTC);
        (void)netclock_leader_now(&leader, BOOT + 100, UTC + 100 + step);
        restart(BOOT + 200, UTC + 200 + step);
        assert_int_equal(netclock_leader_now(&leader, BOOT + 300, UTC + 300 + step), UTC + 300);
        assert_int_equal(netclock_leader_refused_step(&leader), step);
    }
}

static void a_confirmation_outlives_a_restart(void **state)
{
    for (int sign = 1; sign >= -1; sign -= 2) {
        int64_t step = sign * FLZ_DAY_MS;
        start(0, 0, -1, BOOT, UTC);
        (void)netclock_leader_now(&leader, BOOT + 100, UTC + 100 + step);
        netclock_leader_confirm(&leader, BOOT + 100, UTC + 100 + step);
        restart(BOOT + 200, UTC + 200 + step);
        assert_int_equal(netclock_leader_refused_step(&leader), 0);
        /* Backward: it still stands where it was, and goes on when UTC has caught up. */
        assert_int_equal(netclock_leader_now(&leader, BOOT + 300, UTC + 300 + step),
                         sign > 0 ? UTC + 300 + step : UTC + 100);
    }
    assert_int_equal(netclock_leader_now(&leader, BOOT + 300 + FLZ_DAY_MS, UTC + 300), UTC + 300);
}

static void impossible_options_are_refused(void **state)
{
    struct netclock_leader_options options = {.rate_milli = NETCLOCK_RATE_MAX + 1};
    assert_int_equal(netclock_leader_init(&leader, options, BOOT, UTC), -EINVAL);
    options = (struct netclock_leader_options){.newest = -1};
    assert_int_equal(netclock_leader_init(&leader, options, BOOT, UTC), -EINVAL);
}

/* ---- Leader of a lab ---- */

static void a_lab_runs_at_its_rate(void **state)
{
    start(60000, UTC, BOOT - 5000, BOOT, UTC + FLZ_DAY_MS);
    assert_int_equal(netclock_leader_now(&leader, BOOT, 0), UTC);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 1000, 0), UTC + FLZ_MINUTE_MS);
    assert_int_equal(netclock_leader_wait_ms(&leader, UTC + 2 * FLZ_MINUTE_MS, BOOT + 1000, 0),
                     1000);
    assert_int_equal(netclock_leader_wait_ms(&leader, UTC + FLZ_MINUTE_MS + 1, BOOT + 1000, 0), 1);
    assert_int_equal(netclock_leader_wait_ms(&leader, UTC, BOOT + 1000, 0), 0);
    assert_int_equal(netclock_leader_wait_ms(&leader, FLZ_NEVER, BOOT + 1000, 0), FLZ_NEVER);
    struct netclock_leader_options options = {.rate_milli = 500, .lab_start = 77};
    assert_int_equal(netclock_leader_init(&leader, options, BOOT, UTC), 0);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 7, UTC), 80);
}

static void a_hold_ends_by_itself_and_is_then_spent(void **state)
{
    start(10000, UTC, -1, BOOT, UTC);
    int64_t held = netclock_leader_now(&leader, BOOT + 100, 0);
    assert_true(netclock_leader_hold(&leader, BOOT + 100));
    assert_true(netclock_leader_hold(&leader, BOOT + 5000));
    assert_int_equal(netclock_leader_now(&leader, BOOT + 100 + NETCLOCK_HOLD_MAX_MS - 1, 0), held);
    assert_int_equal(netclock_leader_wait_ms(&leader, held + 10, BOOT + 5100, 0),
                     NETCLOCK_HOLD_MAX_MS - 5000 + 1);
    /* Noticed late: it went on where the limit was. */
    assert_int_equal(netclock_leader_now(&leader, BOOT + 100 + NETCLOCK_HOLD_MAX_MS + 50, 0),
                     held + 500);
    assert_false(netclock_leader_hold(&leader, BOOT + 60000));
    netclock_leader_resume(&leader, BOOT + 60000);
    assert_true(netclock_leader_hold(&leader, BOOT + 60001));
}

static void a_hold_is_resumed_without_a_jump(void **state)
{
    start(10000, UTC, -1, BOOT, UTC);
    assert_true(netclock_leader_hold(&leader, BOOT + 100));
    int64_t held = netclock_leader_now(&leader, BOOT + 2000, 0);
    assert_int_equal(held, UTC + 1000);
    netclock_leader_resume(&leader, BOOT + 3000);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 3000, 0), held);
    assert_int_equal(netclock_leader_now(&leader, BOOT + 3010, 0), held + 100);
}

static void real_time_is_never_held(void **state)
{
    start(0, 0, -1, BOOT, UTC);
    assert_false(netclock_leader_hold(&leader, BOOT));
    assert_int_equal(netclock_leader_now(&leader, BOOT + 9, UTC + 9), UTC + 9);
}

static void the_fastest_clock_does_not_overflow(void **state)
{
    start(NETCLOCK_RATE_MAX, UTC, -1, BOOT, UTC);
    int64_t now = netclock_leader_now(&leader, BOOT + 100 * 365 * FLZ_DAY_MS, 0);
    assert_true(now > UTC);
    assert_int_equal(netclock_leader_now(&leader, INT64_MAX, 0), FLZ_NEVER);
}

/* ---- Follower ---- */

static struct netclock_follower follower;

static int pulse(int64_t sent, int64_t received, int64_t network, int64_t horizon, uint32_t rate)
{
    struct netclock_pulse p = {network, horizon, rate, sent, received};
    return netclock_follower_pulse(&follower, &p);
}

static int64_t now_at(int64_t boot)
{
    int64_t now = -1;
    assert_int_equal(netclock_follower_now(&follower, boot, &now), 0);
    return now;
}

static int reset(void **state)
{
    follower = NETCLOCK_FOLLOWER_NULL;
    return 0;
}

static void without_a_pulse_the_time_is_unknown(void **state)
{
    int64_t now = 7;
    assert_int_equal(netclock_follower_now(&follower, BOOT, &now), NETCLOCK_E_UNKNOWN);
    assert_int_equal(now, 7);
}

static void half_the_round_trip_is_added(void **state)
{
    assert_int_equal(pulse(BOOT, BOOT + 100, UTC, FLZ_NEVER, 1000), 0);
    assert_int_equal(now_at(BOOT + 100), UTC + 50);
    assert_int_equal(now_at(BOOT + 1100), UTC + 1050);
}

static void the_least_round_trip_gives_the_time(void **state)
{
    assert_int_equal(pulse(BOOT, BOOT + 10, UTC + 5, FLZ_NEVER, 1000), 0);
    for (int i = 1; i < NETCLOCK_SAMPLES; i++) {
        int64_t sent = BOOT + i * 10000;
        /* All the delay on one way: the middle is 400 ms wrong. */
        assert_int_equal(pulse(sent, sent + 800, UTC + i * 10000, FLZ_NEVER, 1000), 0);
        assert_int_equal(now_at(sent + 800), UTC + i * 10000 + 800);
    }
    /* The eighth after it pushes it out. */
    int64_t sent = BOOT + NETCLOCK_SAMPLES * 10000;
    assert_int_equal(pulse(sent, sent + 800, UTC + NETCLOCK_SAMPLES * 10000, FLZ_NEVER, 1000), 0);
    assert_int_equal(now_at(sent + 800), UTC + NETCLOCK_SAMPLES * 10000 + 400);
}

static void a_pulse_that_contradicts_older_ones_replaces_them(void **state)
{
    assert_int_equal(pulse(BOOT, BOOT + 10, UTC, FLZ_NEVER, 10000), 0);
    assert_int_equal(pulse(BOOT + 1000, BOOT + 1020, UTC + 10000, FLZ_NEVER, 10000), 0);
    assert_int_equal(follower.count, 2);
    /* The leader held its clock for 5 s: the new pulse is 50 s of network time behind. */
    assert_int_equal(pulse(BOOT + 7000, BOOT + 7100, UTC + 20000, FLZ_NEVER, 10000), 0);
    assert_int_equal(follower.count, 1);
    assert_int_equal(now_at(BOOT + 7100), UTC + 20500);
}

static void time_stops_at_the_horizon_and_never_goes_back(void **state)
{
    assert_int_equal(pulse(BOOT, BOOT, UTC, UTC + 1000, 1000), 0);
    assert_int_equal(now_at(BOOT + 5000), UTC + 1000);
    assert_int_equal(pulse(BOOT + 6000, BOOT + 6000, UTC + 900, UTC + 950, 1000), 0);
    assert_int_equal(now_at(BOOT + 6000), UTC + 1000);
    assert_int_equal(pulse(BOOT + 7000, BOOT + 7000, UTC + 1900, UTC + 9950, 1000), 0);
    assert_int_equal(now_at(BOOT + 7000), UTC + 1900);
}

static void late_and_impossible_pulses_change_nothing(void **state)
{
    assert_int_equal(pulse(BOOT, BOOT + 10, UTC, FLZ_NEVER, 1000), 0);
    struct netclock_follower before = follower;
    assert_int_equal(pulse(BOOT - 1, BOOT + 20, UTC, FLZ_NEVER, 1000), NETCLOCK_E_STALE);
    assert_int_equal(pulse(BOOT + 50, BOOT + 40, UTC, FLZ_NEVER, 1000), NETCLOCK_E_STALE);
    assert_int_equal(pulse(-5, BOOT, UTC, FLZ_NEVER, 1000), NETCLOCK_E_STALE);
    assert_int_equal(pulse(BOOT + 50, BOOT + 60, UTC, FLZ_NEVER, 0), -EINVAL);
    assert_int_equal(pulse(BOOT + 50, BOOT + 60, UTC, FLZ_NEVER, NETCLOCK_RATE_MAX + 1), -EINVAL);
    assert_memory_equal(&before, &follower, sizeof before);
}

static void a_new_rate_forgets_the_old_samples(void **state)
{
    assert_int_equal(pulse(BOOT, BOOT + 2, UTC, FLZ_NEVER, 1000), 0);
    assert_int_equal(pulse(BOOT + 10, BOOT + 20, UTC + 5, FLZ_NEVER, 60000), 0);
    assert_int_equal(follower.count, 1);
    assert_int_equal(now_at(BOOT + 21), UTC + 5 + 300 + 60);
}

/* Leader and follower over links of every delay: the follower is never more than half a round
 * trip off, and both are monotone, across holds. */
static void both_ends_agree_to_half_a_round_trip(void **state)
{
    uint64_t seed = 42;
    start(5000, UTC, -1, BOOT, UTC);
    int64_t boot = BOOT, shown = 0, made = 0;
    for (int i = 0; i < 2000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int64_t there = (int64_t)(seed >> 33) % 40, back = (int64_t)(seed >> 43) % 40;
        if (seed >> 60 == 0)
            (void)netclock_leader_hold(&leader, boot);
        else if (seed >> 60 == 1)
            netclock_leader_resume(&leader, boot);
        int64_t stamp = netclock_leader_now(&leader, boot + there, 0);
        assert_true(stamp >= made);
        made = stamp;
        assert_int_equal(pulse(boot, boot + there + back, stamp, stamp + 5 * 1100, 5000), 0);
        boot += there + back;
        int64_t now = now_at(boot);
        assert_true(now >= shown);
        shown = now;
        struct netclock_leader copy = leader;
        int64_t error = now - netclock_leader_now(&copy, boot, 0);
        if (!leader.held) /* held: it shows a time that will come, up to the horizon */
            assert_true(error <= 5 * 1100 && error >= -5 * 100);
        boot += 1000;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leader_follows_utc),
        cmocka_unit_test(a_small_step_back_makes_time_stand_still),
        cmocka_unit_test(a_large_step_is_refused_until_confirmed),
        cmocka_unit_test(a_refused_step_that_is_taken_back_is_forgotten),
        cmocka_unit_test(an_hour_exactly_is_no_large_step),
        cmocka_unit_test(the_start_believes_what_the_stored_time_lets_expect),
        cmocka_unit_test(a_restart_is_no_confirmation),
        cmocka_unit_test(a_confirmation_outlives_a_restart),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(a_lab_runs_at_its_rate),
        cmocka_unit_test(a_hold_ends_by_itself_and_is_then_spent),
        cmocka_unit_test(a_hold_is_resumed_without_a_jump),
        cmocka_unit_test(real_time_is_never_held),
        cmocka_unit_test(the_fastest_clock_does_not_overflow),
        cmocka_unit_test_setup(without_a_pulse_the_time_is_unknown, reset),
        cmocka_unit_test_setup(half_the_round_trip_is_added, reset),
        cmocka_unit_test_setup(the_least_round_trip_gives_the_time, reset),
        cmocka_unit_test_setup(a_pulse_that_contradicts_older_ones_replaces_them, reset),
        cmocka_unit_test_setup(time_stops_at_the_horizon_and_never_goes_back, reset),
        cmocka_unit_test_setup(late_and_impossible_pulses_change_nothing, reset),
        cmocka_unit_test_setup(a_new_rate_forgets_the_old_samples, reset),
        cmocka_unit_test_setup(both_ends_agree_to_half_a_round_trip, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
