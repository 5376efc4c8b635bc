/* When servers may be tried, and whose fault it is when they fail. */
#include "node/core/shaping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE_MS 60000LL
#define LINES 20

struct fx {
    struct shaping shaping;
    struct shaping_line lines[LINES];
    struct shaping_clock clock;
    uint32_t failures[LINES]; /* as the shell counts them in an account's record */
};

static void begin(struct fx *fx, size_t lines)
{
    memset(fx, 0, sizeof *fx);
    fx->clock = (struct shaping_clock){.boot_now = 1000000, .rate_milli = 1000};
    for (size_t i = 0; i < lines; i++) {
        fx->lines[i].owner = &fx->failures[i];
        assert_int_equal(shaping_join(&fx->shaping, flz_id_of_u64(1), &fx->lines[i]), 0);
    }
}

static void end(struct fx *fx)
{
    shaping_deinit(&fx->shaping);
}

static struct shaping_service *service(struct fx *fx)
{
    return fx->shaping.services[0];
}

static void pass(struct fx *fx, int64_t ms)
{
    fx->clock.boot_now += ms;
}

static enum shaping_answer ask(struct fx *fx, size_t i)
{
    return shaping_may_connect(&fx->lines[i], fx->failures[i] == 2, fx->clock);
}

/* What the shell does with a refused login. */
static enum shaping_blame refuse(struct fx *fx, size_t i)
{
    struct shaping_failure failure = {.refused = true, .wait_ms = 5 * MINUTE_MS};
    shaping_opened(&fx->lines[i]);
    shaping_closed(&fx->lines[i]);
    enum shaping_blame blame = shaping_failed(&fx->lines[i], failure, fx->clock);
    fx->failures[i] += blame == SHAPING_CHARGED;
    if (blame != SHAPING_OPENED)
        return blame;
    for (struct shaping_line *line = service(fx)->failing.first; line; line = line->next)
        *(uint32_t *)line->owner -= shaping_forgive(line);
    return blame;
}

static bool let_in(struct fx *fx, size_t i)
{
    shaping_opened(&fx->lines[i]);
    bool ends = shaping_worked(&fx->lines[i], fx->clock);
    shaping_closed(&fx->lines[i]);
    fx->failures[i] = 0;
    return ends;
}

static int turn_of(struct fx *fx, size_t lines)
{
    int whose = -1;
    for (size_t i = 0; i < lines; i++)
        if (shaping_has_turn(&fx->lines[i], fx->clock)) {
            assert_int_equal(whose, -1); /* one at a time */
            whose = (int)i;
        }
    return whose;
}

/* Everybody is let in a while ago, then the first `n` are refused within a minute. */
static void have_incident(struct fx *fx, size_t lines, size_t n)
{
    begin(fx, lines);
    for (size_t i = 0; i < lines; i++)
        (void)let_in(fx, i);
    pass(fx, 60 * MINUTE_MS);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(refuse(fx, i), i + 1 < n ? SHAPING_CHARGED : SHAPING_OPENED);
        pass(fx, 1000);
    }
}

static void failing_server_is_left_alone_longer_and_longer(void **state)
{
    (void)state;
    static const int64_t minutes[] = {1, 5, 15, 60, 60};
    struct fx fx;
    begin(&fx, 1);
    for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
        assert_int_equal(ask(&fx, 0), SHAPING_YES);
        (void)shaping_failed(&fx.lines[0], (struct shaping_failure){.floor_ms = 10}, fx.clock);
        pass(&fx, minutes[i] * MINUTE_MS - 1);
        assert_int_equal(ask(&fx, 0), SHAPING_WAITS);
        pass(&fx, 1);
    }
    (void)let_in(&fx, 0);
    (void)shaping_failed(&fx.lines[0], (struct shaping_failure){.floor_ms = 10}, fx.clock);
    assert_int_equal(shaping_next(&fx.lines[0]), fx.clock.boot_now + MINUTE_MS);
    end(&fx);
}

static void labs_wait_by_their_clock_above_a_floor(void **state)
{
    (void)state;
    struct fx fx;
    begin(&fx, 1);
    fx.clock.rate_milli = 100000;
    (void)shaping_failed(&fx.lines[0], (struct shaping_failure){.floor_ms = 10}, fx.clock);
    assert_int_equal(shaping_next(&fx.lines[0]), fx.clock.boot_now + 600);
    fx.clock.rate_milli = 100000000;
    (void)shaping_failed(&fx.lines[0], (struct shaping_failure){.floor_ms = 10}, fx.clock);
    assert_int_equal(shaping_next(&fx.lines[0]), fx.clock.boot_now + 10);
    end(&fx);
}

static void a_line_of_no_service_climbs_its_ladder(void **state)
{
    (void)state;
    struct fx fx = {.clock = {.boot_now = 5000, .rate_milli = 1000}};
    assert_int_equal(refuse(&fx, 0), SHAPING_CHARGED);
    assert_int_equal(ask(&fx, 0), SHAPING_WAITS);
    pass(&fx, 5 * MINUTE_MS);
    assert_int_equal(ask(&fx, 0), SHAPING_YES);
    assert_false(let_in(&fx, 0));
    assert_false(shaping_has_turn(&fx.lines[0], fx.clock));
}

static void connections_of_a_service_are_counted(void **state)
{
    (void)state;
    struct fx fx;
    begin(&fx, 3);
    service(&fx)->limits.connections = 2;
    shaping_opened(&fx.lines[0]);
    assert_int_equal(ask(&fx, 2), SHAPING_YES);
    shaping_opened(&fx.lines[1]);
    shaping_opened(&fx.lines[1]);
    assert_int_equal(ask(&fx, 2), SHAPING_FULL);
    shaping_leave(&fx.lines[1]);
    shaping_closed(&fx.lines[1]);
    assert_int_equal(ask(&fx, 2), SHAPING_YES);
    assert_int_equal(service(&fx)->open, 1);
    end(&fx);
}

static void a_fifth_that_fails_is_the_providers_fault(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, LINES, 5);
    for (size_t i = 0; i < LINES; i++) {
        assert_int_equal(fx.failures[i], 0); /* what was charged is given back */
        assert_int_equal(ask(&fx, i), SHAPING_INCIDENT);
    }
    end(&fx);
}

static void fewer_than_five_or_a_fifth_are_no_incident(void **state)
{
    (void)state;
    struct fx fx;
    begin(&fx, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(refuse(&fx, i), SHAPING_CHARGED);
    end(&fx);
    struct shaping_line more[6];
    begin(&fx, LINES);
    for (size_t i = 0; i < 6; i++) { /* 26 lines: five are less than a fifth */
        more[i] = (struct shaping_line){.owner = NULL};
        assert_int_equal(shaping_join(&fx.shaping, flz_id_of_u64(1), &more[i]), 0);
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(refuse(&fx, i), SHAPING_CHARGED);
    assert_int_equal(refuse(&fx, 5), SHAPING_OPENED);
    end(&fx);
}

static void failures_of_an_hour_are_no_incident(void **state)
{
    (void)state;
    struct fx fx;
    begin(&fx, LINES);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(refuse(&fx, i), SHAPING_CHARGED);
        pass(&fx, 4 * MINUTE_MS); /* four within any quarter of an hour */
    }
    end(&fx);
}

static void one_account_tries_for_all_another_each_time(void **state)
{
    (void)state;
    static const int64_t minutes[] = {1, 5, 15, 60, 60};
    struct fx fx;
    bool tried[LINES] = {false};
    have_incident(&fx, LINES, 5);
    pass(&fx, -1000);
    for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
        pass(&fx, minutes[i] * MINUTE_MS - 1);
        assert_int_equal(turn_of(&fx, LINES), -1);
        pass(&fx, 1);
        int whose = turn_of(&fx, LINES);
        assert_true(whose >= 0 && !tried[whose]);
        assert_true(whose >= 5); /* one that worked when it was last tried */
        tried[whose] = true;
        assert_int_equal(ask(&fx, (size_t)whose), SHAPING_YES);
        assert_int_equal(refuse(&fx, (size_t)whose), SHAPING_NOT_CHARGED);
        assert_int_equal(fx.failures[whose], 0);
    }
    end(&fx);
}

static void whoever_does_not_take_the_turn_loses_it(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, LINES, 5);
    pass(&fx, MINUTE_MS);
    int first = turn_of(&fx, LINES);
    pass(&fx, SHAPING_TURN_MS);
    int second = turn_of(&fx, LINES);
    assert_true(first >= 5 && second >= 0 && second < 5); /* one of the others */
    shaping_opened(&fx.lines[second]); /* it has begun: nobody else does, however long it takes */
    pass(&fx, 10 * SHAPING_TURN_MS);
    assert_int_equal(turn_of(&fx, LINES), second);
    shaping_leave(&fx.lines[second]);
    assert_true(turn_of(&fx, LINES) >= 0);
    end(&fx);
}

static void first_success_lets_all_go_on(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, LINES, 5);
    pass(&fx, MINUTE_MS);
    assert_true(let_in(&fx, (size_t)turn_of(&fx, LINES)));
    for (size_t i = 0; i < LINES; i++)
        assert_int_equal(ask(&fx, i), SHAPING_YES);
    assert_int_equal(turn_of(&fx, LINES), -1);
    end(&fx);
}

/* Of twenty, five have a wrong password: they are found out in the end. */
static void wrong_passwords_are_no_incident_for_ever(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, LINES, 5);
    pass(&fx, MINUTE_MS);
    assert_true(let_in(&fx, (size_t)turn_of(&fx, LINES)));
    for (int tries = 0; tries < 3; tries++) {
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(ask(&fx, i), SHAPING_YES);
            assert_int_equal(refuse(&fx, i), SHAPING_CHARGED);
        }
        pass(&fx, 5 * MINUTE_MS);
        (void)let_in(&fx, 10);
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fx.failures[i], 3);
    end(&fx);
}

/* A provider that comes back for a moment and fails again: nobody's last try is spent on that. */
static void last_try_waits_until_others_are_let_in(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, 10, 5);
    pass(&fx, MINUTE_MS);
    assert_true(let_in(&fx, (size_t)turn_of(&fx, 10)));
    pass(&fx, MINUTE_MS);
    for (int tries = 0; tries < 2; tries++) {
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(ask(&fx, i), SHAPING_YES);
            assert_int_equal(refuse(&fx, i), SHAPING_CHARGED);
        }
        pass(&fx, 60 * MINUTE_MS);
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(&fx, i), SHAPING_DOUBTS);
    (void)let_in(&fx, 9);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(&fx, i), SHAPING_YES);
    end(&fx);
}

static void doubt_ends_after_a_day(void **state)
{
    (void)state;
    struct fx fx;
    begin(&fx, LINES);
    assert_int_equal(refuse(&fx, 0), SHAPING_CHARGED);
    pass(&fx, 5 * MINUTE_MS);
    assert_int_equal(refuse(&fx, 0), SHAPING_CHARGED);
    pass(&fx, 60 * MINUTE_MS);
    assert_int_equal(ask(&fx, 0), SHAPING_DOUBTS);
    (void)let_in(&fx, 1);
    assert_int_equal(ask(&fx, 0), SHAPING_YES);
    (void)let_in(&fx, 0);
    assert_int_equal(refuse(&fx, 0), SHAPING_CHARGED);
    fx.failures[0] = 2;
    pass(&fx, SHAPING_DOUBT_MS - 1);
    assert_int_equal(ask(&fx, 0), SHAPING_DOUBTS);
    pass(&fx, 1);
    assert_int_equal(ask(&fx, 0), SHAPING_YES);
    end(&fx);
}

static void a_person_is_heeded_even_in_an_incident(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, LINES, 5);
    shaping_urge(&fx.lines[2]);
    assert_int_equal(ask(&fx, 2), SHAPING_YES);
    assert_int_equal(refuse(&fx, 2), SHAPING_NOT_CHARGED);
    assert_int_equal(ask(&fx, 2), SHAPING_INCIDENT); /* once */
    shaping_urge(&fx.lines[2]);
    assert_true(let_in(&fx, 2));
    end(&fx);
}

/* Another incident soon after the last does not begin with the shortest waits again. */
static void incidents_in_a_row_climb_one_ladder(void **state)
{
    (void)state;
    struct fx fx;
    have_incident(&fx, LINES, 5);
    pass(&fx, MINUTE_MS);
    assert_true(let_in(&fx, (size_t)turn_of(&fx, LINES)));
    for (size_t i = 10; i < 15; i++)
        (void)refuse(&fx, i);
    assert_true(service(&fx)->incident);
    assert_int_equal(shaping_next(&fx.lines[0]), fx.clock.boot_now + 5 * MINUTE_MS);
    pass(&fx, 5 * MINUTE_MS);
    assert_true(let_in(&fx, (size_t)turn_of(&fx, LINES)));
    pass(&fx, 60 * MINUTE_MS);
    for (size_t i = 0; i < LINES; i++)
        (void)let_in(&fx, i);
    for (size_t i = 0; i < 5; i++)
        (void)refuse(&fx, i);
    assert_int_equal(shaping_next(&fx.lines[0]), fx.clock.boot_now + MINUTE_MS);
    end(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_server_is_left_alone_longer_and_longer),
        cmocka_unit_test(labs_wait_by_their_clock_above_a_floor),
        cmocka_unit_test(a_line_of_no_service_climbs_its_ladder),
        cmocka_unit_test(connections_of_a_service_are_counted),
        cmocka_unit_test(a_fifth_that_fails_is_the_providers_fault),
        cmocka_unit_test(fewer_than_five_or_a_fifth_are_no_incident),
        cmocka_unit_test(failures_of_an_hour_are_no_incident),
        cmocka_unit_test(one_account_tries_for_all_another_each_time),
        cmocka_unit_test(whoever_does_not_take_the_turn_loses_it),
        cmocka_unit_test(first_success_lets_all_go_on),
        cmocka_unit_test(wrong_passwords_are_no_incident_for_ever),
        cmocka_unit_test(last_try_waits_until_others_are_let_in),
        cmocka_unit_test(doubt_ends_after_a_day),
        cmocka_unit_test(a_person_is_heeded_even_in_an_incident),
        cmocka_unit_test(incidents_in_a_row_climb_one_ladder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
