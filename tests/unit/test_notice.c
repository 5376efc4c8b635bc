/* Bounces, complaints, automatic replies, and refusals that demand something at once. Node 0 sends
 * turn 0 of account 0 to account 1 at node 1. */
#include "tests/unit/coord_fixture.h"

static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    fx_init(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fx_deinit(*state);
    free(*state);
    return 0;
}

static struct flz_report notice(const struct fx *fx, uint32_t kind, uint32_t turn)
{
    const struct row_exchange *x = coord_exchange(fx->core, fx->exchange);
    struct flz_report report = {.kind = kind,
                                .notice = {.turn = turn,
                                           .at = fx->now,
                                           .reply_code = 550,
                                           .enhanced = "5.1.1",
                                           .rule = "no-mailbox",
                                           .text = "no such user",
                                           .refusal = FLZ_REFUSAL_SUSPEND,
                                           .reason = FLZ_REASON_RECIPIENT}};
    report.notice.exchange = x->id;
    report.notice.account = coord_account(fx->core, exchange_sender(x, turn))->id;
    report.notice.peer = coord_account(fx->core, exchange_recipient(x, turn))->id;
    return report;
}

static uint32_t effect(const struct fx *fx)
{
    return fx->update.events[0].noticed.effect;
}

/* Sent, and not looked for yet. */
static struct fx *sent(void **state, uint32_t turns)
{
    struct fx *fx = *state;
    fx_plan(fx, turns);
    fx_tick(fx, AT(1, 0));
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    return fx;
}

static bool suppressed(const struct fx *fx, uint32_t account)
{
    return coord_is_suppressed(fx->core, coord_account(fx->core, account)->address);
}

static void hard_bounce_suspends_the_recipient_and_blames_no_sender(void **state)
{
    struct fx *fx = sent(state, 2);
    fx_report(fx, 0, notice(fx, FLZ_REPORT_BOUNCE, 0));
    assert_int_equal(effect(fx), NOTICE_TAKEN);
    assert_int_equal(fx_events(fx, EVENT_SUPPRESSED), 1);
    assert_true(suppressed(fx, 1));
    assert_false(suppressed(fx, 0));
    const struct row_suppression *row = coord_suppression(fx->core, 0);
    assert_int_equal(row->kind, SUPPRESSED_BOUNCE);
    assert_string_equal(row->reason, "550 5.1.1 no-mailbox: no such user");
    assert_int_equal(fx_day(fx, 0)->bounced_hard, 1);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(coord_pause_count(fx->core), 0);
    /* It was not lost: what came back is not missing. */
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_MISSING);
    assert_int_equal(fx_day(fx, 0)->missing, 0);
    assert_int_equal(fx_day(fx, COORD_NONE)->bounced_hard, 1);
    /* Nodes hear of it, for as long as something ordered before may wait there. */
    struct flz_id told[4];
    assert_int_equal(coord_suppressed_accounts(fx->core, told, 4), 1);
    assert_true(flz_id_equal(told[0], coord_account(fx->core, 1)->id));
    fx_tick(fx, fx->now + 9 * FLZ_DAY_MS);
    assert_int_equal(coord_suppressed_accounts(fx->core, told, 4), 0);
}

static void soft_bounce_counts_and_suspends_nobody(void **state)
{
    struct fx *fx = sent(state, 1);
    struct flz_report report = notice(fx, FLZ_REPORT_BOUNCE, 0);
    report.notice.refusal = FLZ_REFUSAL_SOFT;
    fx_report(fx, 0, report);
    assert_int_equal(effect(fx), NOTICE_TAKEN);
    assert_int_equal(fx_day(fx, 0)->bounced_soft, 1);
    assert_int_equal(coord_suppression_count(fx->core), 0);
    /* A later one that is hard takes its place; the same again changes nothing. */
    report.notice.refusal = FLZ_REFUSAL_HARD;
    fx_report(fx, 0, report);
    assert_int_equal(effect(fx), NOTICE_TAKEN);
    assert_int_equal(fx_day(fx, 0)->bounced_soft, 0);
    assert_int_equal(fx_day(fx, 0)->bounced_hard, 1);
    fx_report(fx, 0, report);
    assert_int_equal(effect(fx), NOTICE_REPEATED);
    assert_int_equal(fx_day(fx, 0)->bounced_hard, 1);
}

static void found_message_cannot_bounce(void **state)
{
    struct fx *fx = sent(state, 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_report(fx, 0, notice(fx, FLZ_REPORT_BOUNCE, 0));
    assert_int_equal(effect(fx), NOTICE_CONTRADICTED);
    assert_false(suppressed(fx, 1));
    assert_int_equal(fx_day(fx, 0)->bounced_hard, 0);
}

/* N1: nobody but the node of the message's sender, and of nothing that was not sent. */
static void strangers_and_wrong_messages_are_evidence_only(void **state)
{
    struct fx *fx = sent(state, 2);
    struct flz_report right = notice(fx, FLZ_REPORT_BOUNCE, 0), wrong = right;
    fx_report(fx, 1, wrong); /* the recipient's node */
    assert_int_equal(effect(fx), NOTICE_UNKNOWN);
    wrong = notice(fx, FLZ_REPORT_BOUNCE, 1); /* a turn that was not sent, by the other side */
    fx_report(fx, 1, wrong);
    assert_int_equal(effect(fx), NOTICE_UNKNOWN);
    wrong = right;
    wrong.notice.turn = FLZ_TURNS_MAX;
    fx_report(fx, 0, wrong);
    assert_int_equal(effect(fx), NOTICE_UNKNOWN);
    wrong = right;
    wrong.notice.peer = right.notice.account;
    fx_report(fx, 0, wrong);
    assert_int_equal(effect(fx), NOTICE_UNKNOWN);
    wrong = right;
    wrong.notice.exchange = fx_id(4711); /* ended long ago, or never was: the two have met */
    wrong.notice.peer = fx_id(4712);     /* … this one is nobody */
    fx_report(fx, 0, wrong);
    assert_int_equal(effect(fx), NOTICE_UNKNOWN);
    assert_int_equal(coord_suppression_count(fx->core), 0);
    assert_int_equal(fx_day(fx, 0)->bounced_hard, 0);
    fx_report(fx, 0, right);
    assert_int_equal(effect(fx), NOTICE_TAKEN);
}

static void late_notice_is_heeded_and_counted_nowhere(void **state)
{
    struct fx *fx = sent(state, 1);
    struct flz_report late = notice(fx, FLZ_REPORT_COMPLAINT, 0);
    late.notice.exchange = fx_id(4711);
    fx_report(fx, 0, late);
    assert_int_equal(effect(fx), NOTICE_LATE);
    assert_true(suppressed(fx, 1));
    assert_int_equal(fx_day(fx, 0)->complaints, 0);
}

static void complaint_suppresses_who_complains_once(void **state)
{
    struct fx *fx = sent(state, 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_report(fx, 0, notice(fx, FLZ_REPORT_COMPLAINT, 0));
    assert_int_equal(effect(fx), NOTICE_TAKEN);
    assert_int_equal(coord_suppression(fx->core, 0)->kind, SUPPRESSED_COMPLAINT);
    assert_true(suppressed(fx, 1));
    assert_int_equal(fx_day(fx, 0)->complaints, 1);
    fx_report(fx, 0, notice(fx, FLZ_REPORT_COMPLAINT, 0));
    assert_int_equal(effect(fx), NOTICE_REPEATED);
    assert_int_equal(fx_day(fx, 0)->complaints, 1);
    assert_int_equal(coord_suppression_count(fx->core), 1);
}

static void machine_that_answers_is_not_written_to_for_a_while(void **state)
{
    struct fx *fx = sent(state, 1);
    struct flz_report report = notice(fx, FLZ_REPORT_AUTOREPLY, 0);
    report.notice.refusal = FLZ_REFUSAL_NONE;
    fx_report(fx, 0, report);
    assert_int_equal(effect(fx), NOTICE_TAKEN);
    const struct row_account *row = coord_account(fx->core, 1);
    assert_int_equal(row->answers_until, fx->now + 7 * FLZ_DAY_MS);
    assert_string_equal(row->answers, "no such user");
    assert_int_equal(coord_suppression_count(fx->core), 0);
    /* Who wrote to it goes on; it can still send. */
    assert_int_equal(coord_account(fx->core, 0)->answers_until, 0);
    struct coord_why why;
    coord_explain(fx->core, 1, fx->now, &why);
    bool told = false;
    for (size_t i = 0; i < why.lines_count; i++)
        told |= strstr(why.lines[i].text, "a machine answered there") != NULL;
    assert_true(told);
    struct coord_command resume = {
        .kind = COORD_RESUME,
        .now = fx->now,
        .pause = {.target = {.scope = FLZ_SCOPE_ACCOUNT, .account = row->id}, .by = "ops"}};
    fx_step(fx, resume);
    assert_int_equal(fx_events(fx, EVENT_OPENED), 1);
    assert_int_equal(coord_account(fx->core, 1)->answers_until, 0);
    fx_step(fx, resume);
    assert_true(fx->update.refused);
}

static void nothing_is_sent_to_a_machine_that_answers(void **state)
{
    struct fx *fx = sent(state, 1);
    fx_report(fx, 0, notice(fx, FLZ_REPORT_AUTOREPLY, 0));
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_MISSING);
    fx_plan_pair(fx, 2, 1, 1);
    fx_tick(fx, AT(1, 30));
    assert_false(fx_ordered(fx, FLZ_TASK_SEND, 0));
    fx_tick(fx, AT(23, 0));
    assert_false(fx_ordered(fx, FLZ_TASK_SEND, 0));
    assert_int_equal(fx_events(fx, EVENT_VOID) > 0, true);
}

static struct flz_report refused(const struct fx *fx, uint32_t refusal)
{
    struct flz_report report = fx_said(fx, FLZ_TASK_SEND, 0, FLZ_OUTCOME_REJECTED);
    report.receipt.reason =
        refusal == FLZ_REFUSAL_STOP ? FLZ_REASON_SPAM_BLOCK : FLZ_REASON_RECIPIENT;
    report.receipt.refusal = refusal;
    report.receipt.reply_code = 550;
    (void)snprintf(report.receipt.enhanced, sizeof report.receipt.enhanced, "5.7.515");
    (void)snprintf(report.receipt.rule, sizeof report.receipt.rule, "stop-unauthenticated");
    (void)snprintf(report.receipt.text, sizeof report.receipt.text, "Access denied");
    return report;
}

static void refusal_that_means_stop_pauses_the_sender(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    fx_tick(fx, AT(1, 0));
    fx_report(fx, 0, refused(fx, FLZ_REFUSAL_STOP));
    assert_int_equal(fx_events(fx, EVENT_PAUSED), 1);
    const struct row_pause *pause = coord_pause(fx->core, 0);
    assert_int_equal(pause->target.scope, FLZ_SCOPE_ACCOUNT);
    assert_int_equal(pause->subject, 0);
    assert_int_equal(pause->until, FLZ_NEVER);
    assert_string_equal(pause->reason, "550 5.7.515 stop-unauthenticated: Access denied");
    assert_int_equal(coord_suppression_count(fx->core), 0);
}

static void refusal_at_once_suspends_as_a_bounce_does(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    fx_tick(fx, AT(1, 0));
    fx_report(fx, 0, refused(fx, FLZ_REFUSAL_SUSPEND));
    assert_true(suppressed(fx, 1));
    assert_int_equal(coord_suppression(fx->core, 0)->kind, SUPPRESSED_BOUNCE);
    assert_int_equal(coord_pause_count(fx->core), 0);
}

static void refusal_of_another_kind_has_no_consequence(void **state)
{
    for (uint32_t refusal = FLZ_REFUSAL_NONE; refusal <= FLZ_REFUSAL_HARD; refusal++) {
        struct fx fx;
        fx_init(&fx);
        fx_plan(&fx, 1);
        fx_tick(&fx, AT(1, 0));
        fx_report(&fx, 0, refused(&fx, refusal));
        assert_int_equal(coord_suppression_count(fx.core), 0);
        assert_int_equal(coord_pause_count(fx.core), 0);
        fx_deinit(&fx);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(hard_bounce_suspends_the_recipient_and_blames_no_sender),
        TEST(soft_bounce_counts_and_suspends_nobody),
        TEST(found_message_cannot_bounce),
        TEST(strangers_and_wrong_messages_are_evidence_only),
        TEST(late_notice_is_heeded_and_counted_nowhere),
        TEST(complaint_suppresses_who_complains_once),
        TEST(machine_that_answers_is_not_written_to_for_a_while),
        TEST(nothing_is_sent_to_a_machine_that_answers),
        TEST(refusal_that_means_stop_pauses_the_sender),
        TEST(refusal_at_once_suspends_as_a_bounce_does),
        TEST(refusal_of_another_kind_has_no_consequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
