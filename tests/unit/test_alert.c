#include "tests/unit/coord_fixture.h"

static int setup(void **state)
{
    static struct fx fx;
    fx_init(&fx);
    *state = &fx;
    return 0;
}

static int teardown(void **state)
{
    fx_deinit(*state);
    return 0;
}

static const struct alert_notice lost = {
    .code = ALERT_NODE_LOST,
    .scope = FLZ_SCOPE_NODE,
    .subject = 1,
    .holds = true,
    .severity = ALERT_CRITICAL,
    .count = 8,
    .example = 2,
    .value = 400000,
};

static void notice(struct fx *fx, struct alert_notice notice)
{
    fx_step(fx, (struct coord_command){.kind = COORD_ALERT, .alert = notice});
}

static void over(struct fx *fx, struct alert_notice of)
{
    of.holds = false;
    notice(fx, of);
}

static void ack(struct fx *fx, uint32_t alert, int64_t silent_until)
{
    fx_step(fx, (struct coord_command){.kind = COORD_ALERT_ACK,
                                       .alert_ack = {.alert = alert,
                                                     .silent_until = silent_until,
                                                     .by = "ann",
                                                     .reason = "looking"}});
}

static const struct row_alert *open_one(const struct fx *fx)
{
    return coord_alert_open(fx->core, lost.code, lost.scope, lost.subject);
}

static void what_holds_is_one_alert_until_it_is_over(void **state)
{
    struct fx *fx = *state;
    over(fx, lost);
    assert_int_equal(fx->update.events_count, 0);
    notice(fx, lost);
    assert_int_equal(fx_events(fx, EVENT_ALERT_OPENED), 1);
    notice(fx, lost);
    assert_int_equal(fx->update.events_count, 0);
    assert_int_equal(open_one(fx)->handle, 1);
    assert_int_equal(open_one(fx)->opened_at, fx->now);

    over(fx, lost);
    assert_int_equal(fx_events(fx, EVENT_ALERT_RESOLVED), 1);
    assert_null(open_one(fx));
    assert_int_equal(coord_alert_by_handle(fx->core, 1)->resolved_at, fx->now);
    notice(fx, lost);
    assert_int_equal(open_one(fx)->handle, 2);
    assert_int_equal(coord_alert_count(fx->core), 2);
}

static void only_what_matters_updates_it(void **state)
{
    struct fx *fx = *state;
    struct alert_notice now = lost;
    notice(fx, now);
    now.value += 60000;
    now.count = 10; /* a quarter more */
    notice(fx, now);
    assert_int_equal(fx->update.events_count, 0);
    now.count = 11;
    assert_true(coord_alert_is_news(fx->core, &now));
    notice(fx, now);
    assert_int_equal(fx_events(fx, EVENT_ALERT_UPDATED), 1);
    assert_int_equal(open_one(fx)->count, 11);
    assert_int_equal(open_one(fx)->value, lost.value + 60000);
    now.severity = ALERT_WARNING;
    notice(fx, now);
    assert_int_equal(fx_events(fx, EVENT_ALERT_UPDATED), 1);
    assert_int_equal(open_one(fx)->severity, ALERT_WARNING);
}

static void each_code_and_subject_has_its_own(void **state)
{
    struct fx *fx = *state;
    struct alert_notice other = lost;
    notice(fx, lost);
    other.subject = 0;
    notice(fx, other);
    other.code = ALERT_LOGIN;
    notice(fx, other);
    other.scope = FLZ_SCOPE_ACCOUNT;
    notice(fx, other);
    assert_int_equal(coord_alert_count(fx->core), 4);
    over(fx, other);
    assert_non_null(coord_alert_open(fx->core, ALERT_LOGIN, FLZ_SCOPE_NODE, 0));
}

static void who_looks_at_it_is_told_and_what_is_over_is_not_looked_at(void **state)
{
    struct fx *fx = *state;
    ack(fx, 1, 0);
    assert_true(fx->update.refused);
    notice(fx, lost);
    ack(fx, 1, fx->now);
    assert_true(fx->update.refused);
    assert_non_null(strstr(fx->update.message.text, "before it begins"));
    ack(fx, 1, fx->now + FLZ_HOUR_MS);
    assert_false(fx->update.refused);
    assert_string_equal(open_one(fx)->acked_by, "ann");
    assert_string_equal(open_one(fx)->reason, "looking");
    assert_int_equal(open_one(fx)->silent_until, fx->now + FLZ_HOUR_MS);
    over(fx, lost);
    ack(fx, 1, 0);
    assert_true(fx->update.refused);
    assert_non_null(strstr(fx->update.message.text, "is over"));
}

static void there_are_never_more_than_may_be(void **state)
{
    struct fx *fx = *state;
    struct alert_notice many = lost;
    for (many.subject = 0; many.subject <= ALERTS_OPEN_MAX; many.subject++) {
        struct coord_command command = {.kind = COORD_ALERT, .now = fx->now, .alert = many};
        assert_int_equal(coord_step(fx->core, &command, &fx->update), 0);
        for (size_t i = 0; i < fx->update.events_count; i++)
            fx_follow(fx, &fx->update.events[i]);
    }
    assert_int_equal(fx->update.events_count, 0);
    assert_int_equal(coord_alert_count(fx->core), ALERTS_OPEN_MAX);
    fx_same(fx);

    for (many.subject = 0; many.subject <= ALERTS_RESOLVED_KEPT; many.subject++)
        over(fx, many);
    assert_null(coord_alert_by_handle(fx->core, 1));
    assert_non_null(coord_alert_by_handle(fx->core, 2));
    assert_int_equal(coord_alert_count(fx->core), ALERTS_OPEN_MAX - 1);
    notice(fx, lost);
    assert_int_equal(open_one(fx)->handle, ALERTS_OPEN_MAX + 1);
}

static int load_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    assert_false(deleted);
    return kind == ROW_ALERT ? coord_load_row(data, kind, row) : 0;
}

static void rows_bring_them_back(void **state)
{
    struct fx *fx = *state;
    struct alert_notice other = lost;
    other.subject = 0;
    struct coord_command commands[] = {{.kind = COORD_ALERT, .now = fx->now, .alert = lost},
                                       {.kind = COORD_ALERT, .now = fx->now, .alert = other},
                                       {.kind = COORD_ALERT, .now = fx->now, .alert = lost}};
    commands[2].alert.holds = false;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        assert_int_equal(coord_step(fx->core, &commands[i], &fx->update), 0);
    struct coord *again = fx_core();
    assert_int_equal(coord_take_rows(fx->core, load_row, again), 0);
    assert_int_equal(coord_alert_count(again), 2);
    assert_null(coord_alert_open(again, lost.code, lost.scope, lost.subject));
    assert_non_null(coord_alert_open(again, other.code, other.scope, other.subject));
    (void)coord_free(again);
}

static void events_that_do_not_fit_are_refused(void **state)
{
    struct fx *fx = *state;
    struct event events[] = {
        {.type = EVENT_ALERT_OPENED, .alert = {.alert = 2, .code = ALERT_LOGIN}},
        {.type = EVENT_ALERT_OPENED, .alert = {.alert = 1, .code = 0}},
        {.type = EVENT_ALERT_OPENED, .alert = {.alert = 1, .code = ROW_ALERT_CODE_MAX + 1}},
        {.type = EVENT_ALERT_UPDATED, .alert = {.alert = 1}},
        {.type = EVENT_ALERT_RESOLVED, .alert = {.alert = 1}},
        {.type = EVENT_ALERT_ACKED, .alert_acked = {.alert = 1}},
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        assert_int_equal(coord_apply(fx->follower, &events[i]), -EPROTO);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(what_holds_is_one_alert_until_it_is_over),
        CLAIM(only_what_matters_updates_it),
        CLAIM(each_code_and_subject_has_its_own),
        CLAIM(who_looks_at_it_is_told_and_what_is_over_is_not_looked_at),
        CLAIM(there_are_never_more_than_may_be),
        CLAIM(rows_bring_them_back),
        CLAIM(events_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
