#include "tests/unit/coord_fixture.h"

static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    fx_init(fx);
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

static struct row_tally day_of(const struct fx *fx, uint32_t scope, uint32_t subject,
                               uint32_t object)
{
    struct row_tally cell = {.scope = scope,
                             .subject = subject,
                             .object = object,
                             .span = TALLY_DAY,
                             .date = FX_DATE};
    const struct row_tally *row = tally_find(fx->core, &cell);
    return row ? *row : (struct row_tally){.scope = 0};
}

/* The first message of account 0 arrives in Junk, is rescued and opened; account 1 answers. */
static void play(struct fx *fx)
{
    fx_plan(fx, 2);
    fx_tick(fx, AT(1, 0));
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    struct flz_report found = fx_said(fx, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    found.receipt.placement = FLZ_PLACEMENT_JUNK;
    found.receipt.authentication = FLZ_AUTH_SPF_PASS | FLZ_AUTH_DKIM_FAIL | FLZ_AUTH_DMARC_PASS;
    fx_report(fx, 1, found);
    fx_tick(fx, AT(2, 0));
    fx_say(fx, 1, FLZ_TASK_UNSPAM, 0, FLZ_OUTCOME_DONE);
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_DONE);
    fx_tick(fx, AT(5, 0));
}

static void each_scope_counts_the_message_once(void **state)
{
    struct fx *fx = *state;
    play(fx);
    const struct row_tally rows[] = {
        day_of(fx, TALLY_ACCOUNT, 0, 0),
        day_of(fx, TALLY_DOMAIN, coord_account(fx->core, 0)->domain, 0),
        day_of(fx, TALLY_NODE, 0, 0),
    };
    for (size_t i = 0; i < 3; i++) {
        const struct row_tally *t = &rows[i];
        assert_int_equal(t->planned, 1);
        assert_int_equal(t->issued, 1);
        assert_int_equal(t->sent, 1);
        assert_int_equal(t->junk, 1);
        assert_int_equal(t->inbox + t->other + t->missing + t->unobserved, 0);
        assert_int_equal(t->rescued, 1);
        assert_int_equal(t->opened, 1);
        assert_int_equal(t->due, 2);
        assert_int_equal(t->done, 2);
        assert_int_equal(t->verdicts, 1);
        assert_int_equal(t->spf + t->dmarc, 2);
        assert_int_equal(t->dkim, 0);
    }
    /* Both messages of the exchange. */
    assert_int_equal(day_of(fx, TALLY_PAIR, 0, 0).planned, 2);
    assert_int_equal(day_of(fx, TALLY_SCENARIO, 0, 0).planned, 2);
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 1, 0).issued, 1); /* ordered, not sent yet */
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 1, 0).sent, 0);
    fx_say(fx, 1, FLZ_TASK_REPLY, 1, FLZ_OUTCOME_SENT);
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 1, 0).replied, 1);
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 0, 0).replied, 0);
}

static void refusals_are_hard_or_soft(void **state)
{
    static const struct {
        uint32_t code, reason, hard, soft;
    } refusals[] = {
        {550, FLZ_REASON_RECIPIENT, 1, 0},  {554, FLZ_REASON_SPAM_BLOCK, 1, 0},
        {451, FLZ_REASON_RECIPIENT, 0, 1},  {550, FLZ_REASON_RATE, 0, 1},
        {535, FLZ_REASON_LOGIN, 0, 1},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct row_turn turn = {.send = {.state = TASK_ENDED,
                                         .outcome = FLZ_OUTCOME_REJECTED,
                                         .reply_code = refusals[i].code,
                                         .reason = refusals[i].reason}};
        struct row_tally part;
        tally_turn(&turn, false, &part);
        assert_int_equal(part.refused_hard, refusals[i].hard);
        assert_int_equal(part.refused_soft, refusals[i].soft);
        assert_int_equal(part.issued, 0);
    }
}

/* The provider of an account is another one by the time its message is found: the message stays
 * where it was counted, and no counter falls below zero. */
static void a_message_stays_with_the_providers_it_was_planned_under(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    fx_tick(fx, AT(1, 0));
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    struct flz_report report = fx_account(1);
    (void)snprintf(report.account.provider, sizeof report.account.provider, "other");
    fx_report(fx, 1, report);
    assert_int_equal(coord_account(fx->core, 1)->provider, 1);
    fx_say_junk(fx, 1, 0);
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 0, 0).junk, 1);
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 0, 1).planned, 0);
    /* What is planned now counts under the new one, each message its own way. */
    fx_plan(fx, 2);
    assert_int_equal(day_of(fx, TALLY_ACCOUNT, 0, 1).planned, 1);
    assert_int_equal(day_of(fx, TALLY_PAIR, 0, 1).planned, 1);
    assert_int_equal(day_of(fx, TALLY_PAIR, 1, 0).planned, 1);
}

/* An empty plan for a later date: what is old enough is put away. */
static void plan_nothing(struct fx *fx, int32_t date)
{
    const struct event event = {
        .type = EVENT_PLAN_SEAL,
        .at = fx->now,
        .plan_seal = {.plan = coord_network(fx->core)->plans, .date = date},
    };
    assert_int_equal(coord_apply(fx->core, &event), 0);
    fx_follow(fx, &event);
    fx_same(fx);
}

static size_t count_rows(const struct fx *fx, uint32_t span)
{
    size_t n = 0;
    for (size_t i = 0; i < coord_tally_limit(fx->core); i++) {
        const struct row_tally *row = coord_tally(fx->core, i);
        n += row && row->span == span;
    }
    return n;
}

/* The exchange ends, and its sender's day is taken into the ramp. */
static void end_all(struct fx *fx)
{
    for (int hour = 6; coord_exchange(fx->core, fx->exchange) && hour < 400; hour++)
        fx_tick(fx, AT(hour, 0));
    assert_null(coord_exchange(fx->core, fx->exchange));
    const struct event closed = {
        .type = EVENT_DAY_CLOSED, .at = fx->now, .day_closed = {.account = 0, .date = FX_DATE}};
    assert_int_equal(coord_apply(fx->core, &closed), 0);
    fx_follow(fx, &closed);
}

static void closed_days_become_weeks_and_months(void **state)
{
    struct fx *fx = *state;
    play(fx);
    plan_nothing(fx, FX_DATE + STATE_DAYS_KEPT + 5);
    assert_true(count_rows(fx, TALLY_DAY) > 0); /* its exchange lives */
    assert_int_equal(count_rows(fx, TALLY_WEEK), 0);
    end_all(fx);
    struct row_tally day = day_of(fx, TALLY_ACCOUNT, 0, 0);
    plan_nothing(fx, FX_DATE + STATE_DAYS_KEPT);
    assert_true(count_rows(fx, TALLY_WEEK) > 0);
    assert_int_equal(count_rows(fx, TALLY_DAY), 0);

    struct row_tally cell = {.scope = TALLY_ACCOUNT, .span = TALLY_WEEK};
    cell.date = tally_first(TALLY_WEEK, FX_DATE);
    const struct row_tally *week = tally_find(fx->core, &cell);
    assert_non_null(week);
    assert_memory_equal(&week->planned, &day.planned,
                        sizeof day - offsetof(struct row_tally, planned));
    cell.span = TALLY_MONTH;
    cell.date = tally_first(TALLY_MONTH, FX_DATE);
    const struct row_tally *month = tally_find(fx->core, &cell);
    assert_non_null(month);
    assert_memory_equal(&month->planned, &day.planned,
                        sizeof day - offsetof(struct row_tally, planned));

    struct row_tally sum = {.scope = 0};
    tally_sum_weeks(fx->core, (struct row_tally){.scope = TALLY_ACCOUNT}, FX_DATE, FX_DATE, &sum);
    assert_int_equal(sum.junk, 1);
}

struct archive {
    size_t deleted;
    size_t archived;
};

static int on_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct archive *archive = data;
    archive->deleted += kind == ROW_TALLY && deleted;
    archive->archived += kind == ROW_TALLY_OLD;
    return 0;
}

static void old_weeks_and_months_leave_memory(void **state)
{
    struct fx *fx = *state;
    play(fx);
    end_all(fx);
    plan_nothing(fx, FX_DATE + STATE_DAYS_KEPT + 5);
    size_t rows = count_rows(fx, TALLY_WEEK) + count_rows(fx, TALLY_MONTH);
    const struct event event = {
        .type = EVENT_PLAN_SEAL,
        .at = fx->now,
        .plan_seal = {.plan = coord_network(fx->core)->plans, .date = FX_DATE + 80},
    };
    struct archive archive = {.deleted = 0};
    assert_int_equal(coord_apply(fx->core, &event), 0);
    assert_int_equal(coord_take_rows(fx->core, on_row, &archive), 0);
    assert_int_equal(archive.archived, rows);
    assert_int_equal(archive.deleted, rows);
    assert_int_equal(count_rows(fx, TALLY_WEEK) + count_rows(fx, TALLY_MONTH), 0);
}

static void dates_fall_into_their_week_and_month(void **state)
{
    assert_int_equal(tally_first(TALLY_WEEK, 4), 4);  /* Monday, 1970-01-05 */
    assert_int_equal(tally_first(TALLY_WEEK, 10), 4); /* Sunday */
    assert_int_equal(tally_first(TALLY_WEEK, 11), 11);
    assert_int_equal(tally_first(TALLY_MONTH, 30), 0);
    assert_int_equal(tally_first(TALLY_MONTH, 31), 31);
    assert_int_equal(tally_first(TALLY_DAY, 31), 31);
}

static void a_tally_of_no_scope_is_not_loaded(void **state)
{
    struct fx *fx = *state;
    const struct row_tally rows[] = {{.scope = 0, .span = TALLY_DAY},
                                     {.scope = TALLY_SCOPE_MAX + 1, .span = TALLY_DAY},
                                     {.scope = TALLY_NODE, .span = 0},
                                     {.scope = TALLY_NODE, .span = TALLY_MONTH + 1}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(coord_load_row(fx->core, ROW_TALLY, &rows[i]), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_scope_counts_the_message_once, setup, teardown),
        cmocka_unit_test(refusals_are_hard_or_soft),
        cmocka_unit_test_setup_teardown(a_message_stays_with_the_providers_it_was_planned_under,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(closed_days_become_weeks_and_months, setup, teardown),
        cmocka_unit_test_setup_teardown(old_weeks_and_months_leave_memory, setup, teardown),
        cmocka_unit_test(dates_fall_into_their_week_and_month),
        cmocka_unit_test_setup_teardown(a_tally_of_no_scope_is_not_loaded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
