/* Health in the core: what receipts lead to, and what that does to the day. */
#include "tests/unit/coord_fixture.h"

#include "coordinator/core/health.h"

static void set_policy(struct fx *fx, const char *key, int64_t value)
{
    struct coord_command command = {.kind = COORD_SET_POLICY, .policy = {.value = value}};
    (void)snprintf(command.policy.key, sizeof command.policy.key, "%s", key);
    fx_step(fx, command);
    assert_false(fx->update.refused);
}

/* Exchanges from account 0 to account 1, handles 0 …, are all to be sent from 1:00 to 1:45. */
static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    fx_init(fx);
    set_policy(fx, "health_floor", 1);
    for (int i = 0; i < 4; i++)
        fx_plan(fx, 2);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    fx_deinit(fx);
    free(fx);
    return 0;
}

/* The message of exchange `x` goes, at ten minutes' distance from the one before. */
static void send(struct fx *fx, uint32_t x, bool junk)
{
    fx_tick(fx, AT(1, 10 * (int)x));
    fx->exchange = x;
    assert_int_equal(fx_turn(fx, 0)->send.state, TASK_OPEN);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    if (junk)
        fx_say_junk(fx, 1, 0);
    else
        fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
}

static void is_dropped(struct fx *fx, uint32_t x)
{
    fx_tick(fx, AT(1, 10 * (int)x));
    struct coord_order order = {.exchange = x, .kind = FLZ_TASK_SEND};
    struct coord_task task;
    size_t voided = 0;
    for (size_t i = 0; i < fx->update.events_count; i++)
        voided += fx->update.events[i].type == EVENT_VOID &&
                  fx->update.events[i].voided.exchange == x &&
                  fx->update.events[i].voided.reason == VOID_HEALTH;
    assert_int_equal(voided, 1);
    assert_int_equal(coord_task(fx->core, &order, &task), -ENOENT); /* nothing of it is left */
}

static void a_cut_reaches_what_is_planned_for_today(void **state)
{
    struct fx *fx = *state;
    send(fx, 0, true);
    assert_int_equal(fx_events(fx, EVENT_HEALTH), 0); /* one in Junk is no news */
    send(fx, 1, true);
    assert_int_equal(fx_events(fx, EVENT_HEALTH), 1);
    const struct row_standing *row = coord_standing(fx->core, 0, 0);
    assert_int_equal(row->state, HEALTH_WATCH);
    assert_int_equal(row->rule, RULE_FEW_IN_JUNK);
    assert_int_equal(row->level, 2);
    assert_int_equal(row->junk, 2);
    assert_int_equal(row->seen, 2);
    assert_true(flz_id_equal(row->evidence, coord_exchange(fx->core, 1)->id));
    is_dropped(fx, 2);
}

static void states_are_told_and_change_nothing_where_policy_says_so(void **state)
{
    struct fx *fx = *state;
    set_policy(fx, "health_acts", 0);
    send(fx, 0, true);
    send(fx, 1, true);
    assert_int_equal(coord_standing(fx->core, 0, 0)->state, HEALTH_WATCH);
    send(fx, 2, false);
}

static void good_placement_makes_no_event(void **state)
{
    struct fx *fx = *state;
    for (uint32_t x = 0; x < 4; x++)
        send(fx, x, x == 1);
    assert_null(coord_standing(fx->core, 0, 0));
}

static void a_providers_code_stops_all_and_a_person_lets_go(void **state)
{
    struct fx *fx = *state;
    send(fx, 0, false);
    fx_tick(fx, AT(1, 10));
    fx->exchange = 1;
    struct flz_report refused = fx_said(fx, FLZ_TASK_SEND, 0, FLZ_OUTCOME_REJECTED);
    refused.receipt.reply_code = 550;
    refused.receipt.reason = FLZ_REASON_SPAM_BLOCK;
    (void)snprintf(refused.receipt.enhanced, sizeof refused.receipt.enhanced, "5.7.515");
    fx_report(fx, 0, refused);
    const struct row_standing *row = coord_standing(fx->core, 0, COORD_NONE);
    assert_int_equal(row->state, HEALTH_BLOCKED);
    assert_int_equal(row->rule, RULE_PROVIDER_CODE);
    assert_int_equal(row->until, FLZ_NEVER);
    is_dropped(fx, 2);

    struct coord_command clear = {.kind = COORD_CLEAR, .clear = {.account = 0, .by = "ann"}};
    fx_step(fx, clear);
    assert_false(fx->update.refused);
    assert_int_equal(coord_standing(fx->core, 0, COORD_NONE)->state, HEALTH_HEALTHY);
    assert_string_equal(fx->update.events[0].health.by, "ann");
    fx_plan(fx, 2);
    send(fx, 4, false);
    fx_step(fx, clear);
    assert_true(fx->update.refused); /* nothing is held back */
    clear.clear.account = 77;
    fx_step(fx, clear);
    assert_true(fx->update.refused);
}

/* What it answers was sent to it: a promise, kept unless it may send nothing. */
static void answers_go_on_unless_all_is_stopped(void **state)
{
    struct fx *fx = *state;
    const struct row_standing held = {.account = 1, .state = HEALTH_BLOCKED,
                                      .rule = RULE_SPAM_BLOCK, .level = 1};
    const struct row_standing stopped = {.account = 1,
                                         .provider = COORD_NONE,
                                         .state = HEALTH_BLOCKED,
                                         .rule = RULE_PROVIDER_CODE,
                                         .until = FLZ_NEVER};
    const struct row_exchange *x = coord_exchange(fx->core, 0);
    assert_int_equal(coord_load_row(fx->core, ROW_STANDING, &held), 0);
    assert_false(standing_bars(fx->core, x, 1));
    assert_int_equal(coord_load_row(fx->core, ROW_STANDING, &stopped), 0);
    assert_true(standing_bars(fx->core, x, 1));
    assert_false(standing_bars(fx->core, x, 0)); /* the other's message goes */
}

static void a_standing_of_nobody_is_not_loaded(void **state)
{
    struct fx *fx = *state;
    const struct row_standing rows[] = {{.account = 77},
                                        {.account = 0, .provider = 9},
                                        {.account = 0, .state = HEALTH_STATE_MAX + 1}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(coord_load_row(fx->core, ROW_STANDING, &rows[i]), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cut_reaches_what_is_planned_for_today, setup, teardown),
        cmocka_unit_test_setup_teardown(states_are_told_and_change_nothing_where_policy_says_so,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(good_placement_makes_no_event, setup, teardown),
        cmocka_unit_test_setup_teardown(a_providers_code_stops_all_and_a_person_lets_go, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(answers_go_on_unless_all_is_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_standing_of_nobody_is_not_loaded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
