/* The exchange's state table (PROTOCOL.md), row by row. Node 0 sends turn 0, node 1 receives it. */
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

/* Up to the order of SEND and FIND. */
static struct fx *ordered(void **state, uint32_t turns)
{
    struct fx *fx = *state;
    fx_plan(fx, turns);
    fx_tick(fx, AT(1, 0));
    return fx;
}

static void a_whole_exchange_is_sent_found_rescued_opened_answered_and_tidied(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 2);
    assert_int_equal(fx_day(fx, 0)->reserved, 1);
    assert_int_equal(fx_day(fx, 1)->reserved, 1);
    fx_tick(fx, AT(0, 59));
    assert_int_equal(fx->update.orders_count, 0);
    fx_tick(fx, AT(1, 0));
    assert_int_equal(fx->update.orders_count, 2);
    assert_true(fx_ordered(fx, FLZ_TASK_SEND, 0) && fx_ordered(fx, FLZ_TASK_FIND, 0));

    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_day(fx, 0)->committed, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
    fx_say_junk(fx, 1, 0);
    assert_int_equal(fx_day(fx, 0)->junk, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 1);
    assert_int_equal(fx->update.orders_count, 0); /* not yet in its hours */
    fx_tick(fx, AT(2, 0));
    assert_int_equal(fx->update.orders_count, 1);
    assert_true(fx_ordered(fx, FLZ_TASK_UNSPAM, 0));
    fx_say(fx, 1, FLZ_TASK_UNSPAM, 0, FLZ_OUTCOME_DONE);
    assert_true(fx_ordered(fx, FLZ_TASK_OPEN, 0));
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_DONE);
    assert_int_equal(fx_day(fx, 1)->rescues, 1);
    assert_int_equal(fx_day(fx, 0)->opened, 1);

    fx_tick(fx, AT(5, 0));
    assert_true(fx_ordered(fx, FLZ_TASK_REPLY, 1) && fx_ordered(fx, FLZ_TASK_FIND, 1));
    fx_say(fx, 0, FLZ_TASK_FIND, 1, FLZ_OUTCOME_FOUND); /* before the sender's word */
    assert_int_equal(fx_day(fx, 1)->credited, 0);
    fx_say(fx, 1, FLZ_TASK_REPLY, 1, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_day(fx, 1)->credited, 1);
    assert_int_equal(fx_day(fx, 1)->replied, 1);
    fx_tick(fx, AT(6, 0));
    fx_say(fx, 0, FLZ_TASK_OPEN, 1, FLZ_OUTCOME_NOOP);
    assert_int_equal(fx_events(fx, EVENT_SETTLED), 1);

    fx_tick(fx, AT(6, 30));
    assert_int_equal(fx->update.orders_count, 2);
    fx_say(fx, 0, FLZ_TASK_TIDY, 0, FLZ_OUTCOME_DONE);
    fx_say(fx, 1, FLZ_TASK_TIDY, 1, FLZ_OUTCOME_DONE);
    assert_int_equal(fx_events(fx, EVENT_ENDED), 1);
    assert_null(coord_exchange(fx->core, fx->exchange));
    assert_int_equal(coord_next(fx->core), FLZ_NEVER);
    assert_int_equal(fx_day(fx, COORD_NONE)->sent, 2);
    assert_int_equal(fx_day(fx, COORD_NONE)->credited, 2);
    assert_int_equal(coord_node_open(fx->core, 0) + coord_node_open(fx->core, 1), 0);
}

static void a_definite_failure_releases_the_quota_and_ends_the_exchange(void **state)
{
    static const struct {
        uint32_t outcome;
        uint32_t reason;
        uint32_t fault;
    } rows[] = {
        {FLZ_OUTCOME_REJECTED, FLZ_REASON_SPAM_BLOCK, FAULT_SENDER},
        {FLZ_OUTCOME_REJECTED, FLZ_REASON_RECIPIENT, FAULT_RECIPIENT},
        {FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT, FAULT_SENDER_NODE},
        {FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_PAUSED, FAULT_OWNER},
        {FLZ_OUTCOME_DECLINED, FLZ_REASON_NO_ATTESTATION, FAULT_NETWORK},
        {FLZ_OUTCOME_FAILED, FLZ_REASON_LOGIN, FAULT_SENDER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fx fx;
        fx_init(&fx);
        fx_plan(&fx, 2);
        fx_tick(&fx, AT(1, 0));
        struct flz_report report = fx_said(&fx, FLZ_TASK_SEND, 0, rows[i].outcome);
        report.receipt.reason = rows[i].reason;
        fx_report(&fx, 0, report);
        assert_int_equal(fx.update.events[0].receipt.fault, rows[i].fault);
        assert_int_equal(fx_events(&fx, EVENT_ENDED), 1);
        assert_int_equal(fx_day(&fx, 0)->reserved, 0);
        assert_int_equal(fx_day(&fx, 0)->committed, 0);
        assert_int_equal(fx_day(&fx, 1)->reserved, 0);
        assert_int_equal(fx_day(&fx, 1)->dropped, 1);
        assert_null(coord_exchange(fx.core, fx.exchange));
        assert_int_equal(coord_node_open(fx.core, 1), 0);
        fx_deinit(&fx);
    }
}

static void an_ambiguous_send_that_is_found_counts_as_sent_and_is_credited(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_AMBIGUOUS);
    assert_int_equal(fx_day(fx, 0)->ambiguous, 1);
    assert_int_equal(fx_day(fx, 0)->committed, 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    assert_int_equal(fx_day(fx, 0)->ambiguous, 0);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 1);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_effect(fx), EFFECT_FOLLOWED);
    assert_int_equal(fx_day(fx, 0)->committed, 1);
}

static void an_ambiguous_send_never_found_is_indeterminate_and_stays_counted(void **state)
{
    struct fx *fx = ordered(state, 2);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_AMBIGUOUS);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_MISSING);
    assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_INDETERMINATE);
    assert_true(fx_turn(fx, 0)->send.presumed);
    assert_int_equal(fx_day(fx, 0)->indeterminate, 1);
    assert_int_equal(fx_day(fx, 0)->committed, 1);
    assert_int_equal(fx_day(fx, 0)->missing, 0); /* nobody knows that it was sent */
    assert_int_equal(fx_turn(fx, 1)->send.state, TASK_VOID);
    /* The node finds it in its Sent folder after all. */
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_effect(fx), EFFECT_CORRECTED);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->missing, 1);
}

static void a_late_arrival_corrects_a_missing_one(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    fx->now = AT(8, 0);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_MISSING);
    assert_int_equal(fx_day(fx, 0)->missing, 1);
    assert_int_equal(fx_events(fx, EVENT_SETTLED), 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    assert_int_equal(fx_effect(fx), EFFECT_CORRECTED);
    assert_int_equal(fx_day(fx, 0)->missing, 0);
    assert_int_equal(fx_day(fx, 0)->inbox, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 1);
    assert_int_equal(fx_turn(fx, 0)->open.state, TASK_VOID);
}

static void the_first_word_wins_and_a_second_is_evidence(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_effect(fx), EFFECT_REPEATED);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_REJECTED);
    assert_int_equal(fx_effect(fx), EFFECT_EQUIVOCATION);
    assert_int_equal(coord_node(fx->core, 0)->equivocations, 1);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_SENT);
}

static void receipts_that_fit_no_task_change_nothing(void **state)
{
    struct fx *fx = ordered(state, 2);
    struct flz_report good = fx_said(fx, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    struct flz_report bad[7];
    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].receipt.task.b[3] ^= 1;
    bad[1].receipt.exchange.b[3] ^= 1;
    bad[2].receipt.attempt = 1;
    bad[3].receipt.outcome = FLZ_OUTCOME_FOUND;
    bad[4].receipt.outcome = 4000;
    bad[5].receipt.account = fx_id(101);
    bad[6] = fx_said(fx, FLZ_TASK_REPLY, 1, FLZ_OUTCOME_SENT); /* never ordered */
    for (size_t i = 0; i < 7; i++) {
        fx_report(fx, 0, bad[i]);
        assert_int_equal(fx_effect(fx), EFFECT_UNKNOWN);
        assert_int_equal(fx->update.events_count, 1);
    }
    fx_report(fx, 1, good); /* of a node that was not asked */
    assert_int_equal(fx_effect(fx), EFFECT_UNKNOWN);
    assert_int_equal(fx_turn(fx, 0)->send.state, TASK_OPEN);
}

static void a_message_found_though_rejected_is_marked_and_not_counted(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_REJECTED);
    assert_true(fx_turn(fx, 0)->contradicted);
    assert_int_equal(fx_day(fx, 0)->sent, 0);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
    assert_int_equal(fx_day(fx, 0)->inbox, 0);
}

static void silence_ends_everything_in_time(void **state)
{
    struct fx *fx = ordered(state, 3);
    for (int i = 0; i < 200 && coord_next(fx->core) != FLZ_NEVER; i++)
        fx_tick(fx, coord_next(fx->core));
    assert_null(coord_exchange(fx->core, fx->exchange));
    assert_true(fx->now < AT(24 * 5, 0));
    assert_int_equal(fx_day(fx, 0)->indeterminate, 1);
    assert_int_equal(fx_day(fx, 0)->reserved, 0);
    assert_int_equal(fx_day(fx, 1)->dropped, 1);
}

static void a_silent_sender_whose_message_was_found_counts_without_credit(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_tick(fx, AT(10, 0));
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
    assert_true(fx_turn(fx, 0)->send.presumed);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_effect(fx), EFFECT_CORRECTED);
    assert_int_equal(fx_day(fx, 0)->credited, 1);
}

static void an_exchange_within_one_node_earns_no_credit(void **state)
{
    struct fx *fx = *state;
    fx_plan_pair(fx, 0, 2, 1);
    fx_tick(fx, AT(1, 0));
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    fx_say(fx, 0, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->received, 0);
    assert_int_equal(fx_day(fx, 2)->received, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
}

static void a_failed_rescue_still_opens_and_a_failed_open_ends_the_conversation(void **state)
{
    struct fx *fx = ordered(state, 2);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    fx_say_junk(fx, 1, 0);
    fx_tick(fx, AT(2, 0));
    fx_say(fx, 1, FLZ_TASK_UNSPAM, 0, FLZ_OUTCOME_FAILED);
    assert_true(fx_ordered(fx, FLZ_TASK_OPEN, 0));
    assert_int_equal(fx_day(fx, 0)->rescued, 0);
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_FAILED);
    assert_int_equal(fx_turn(fx, 1)->send.state, TASK_VOID);
    assert_int_equal(fx_turn(fx, 1)->send.reason, VOID_EARLIER);
    assert_int_equal(fx_events(fx, EVENT_SETTLED), 1);
}

/* One message, sent at hour 1, to be opened from hour 2 to 4, or from hour 26 to 30. */
static struct fx *ordered_with_second_hours(void **state, uint32_t turns)
{
    struct fx *fx = *state;
    fx->reopens = true;
    fx = ordered(state, turns);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    return fx;
}

/* The second hours have been moved to, and the message is rescued and opened in them. */
static void assert_opened_next_morning(struct fx *fx)
{
    assert_int_equal(fx_turn(fx, 0)->open_at, AT(26, 0));
    assert_int_equal(fx_turn(fx, 0)->open_until, AT(30, 0));
    assert_int_equal(fx_turn(fx, 0)->reopen_at, 0);
    assert_int_equal(coord_next(fx->core), AT(26, 0));
    fx_tick(fx, AT(26, 0));
    assert_true(fx_ordered(fx, FLZ_TASK_UNSPAM, 0));
    fx_say(fx, 1, FLZ_TASK_UNSPAM, 0, FLZ_OUTCOME_DONE);
    assert_true(fx_ordered(fx, FLZ_TASK_OPEN, 0));
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_DONE);
    assert_int_equal(fx_day(fx, 0)->rescued, 1);
    assert_int_equal(fx_day(fx, 0)->opened, 1);
    assert_int_equal(fx_day(fx, 1)->opens, 1);
    assert_int_equal(fx_day(fx, 1)->received, 1);
    assert_int_equal(fx_events(fx, EVENT_SETTLED), 1);
}

static void what_is_found_after_hours_is_opened_next_morning(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx->now = AT(4, 1);
    fx_say_junk(fx, 1, 0);
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 1);
    assert_int_equal(fx_events(fx, EVENT_VOID), 0);
    assert_int_equal(fx->update.orders_count, 0);
    assert_opened_next_morning(fx);
}

static void what_is_found_as_the_hours_end_is_left_for_the_next(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx->now = AT(4, 0) - 30 * FLZ_SECOND_MS; /* find_delay is a minute */
    fx_say_junk(fx, 1, 0);
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 1);
    assert_opened_next_morning(fx);

    struct fx other; /* nothing to be left for: it is tried */
    fx_init(&other);
    fx_plan(&other, 1);
    fx_tick(&other, AT(1, 0));
    fx_say(&other, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    other.now = AT(4, 0) - 30 * FLZ_SECOND_MS;
    fx_say(&other, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    assert_true(fx_ordered(&other, FLZ_TASK_OPEN, 0));
    fx_deinit(&other);
}

static void no_credit_to_the_end_of_the_hours_is_made_good_in_the_next(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_say_junk(fx, 1, 0);
    fx_step(fx, (struct coord_command){.kind = COORD_CREDIT, .node = 1, .credit = 0});
    fx_tick(fx, AT(2, 0));
    assert_int_equal(fx->update.orders_count, 0);
    fx_tick(fx, coord_next(fx->core));
    assert_true(fx->now >= AT(3, 59) && fx->now <= AT(4, 0));
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 1);
    fx_step(fx, (struct coord_command){.kind = COORD_CREDIT, .node = 1, .credit = 9});
    assert_int_equal(coord_next(fx->core), fx->now); /* what waited for credit is looked at */
    fx_tick(fx, fx->now);
    assert_opened_next_morning(fx);
}

static void what_expired_at_its_node_is_tried_once_more(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_say_junk(fx, 1, 0);
    fx_tick(fx, AT(2, 0));
    assert_int_equal(fx->update.orders_count, 1);
    struct coord_order order = fx->update.orders[0];
    assert_true(coord_stands(fx->core, &order));
    struct flz_report first = fx_said(fx, FLZ_TASK_UNSPAM, 0, FLZ_OUTCOME_EXPIRED);
    fx->now = AT(9, 0); /* long after the hours, and heard all the same */
    fx_tick(fx, AT(9, 0));
    assert_int_equal(fx_turn(fx, 0)->unspam.state, TASK_OPEN);
    fx_report(fx, 1, first);
    assert_int_equal(fx_effect(fx), EFFECT_TAKEN);
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 1);
    assert_int_equal(fx_turn(fx, 0)->unspam.state, TASK_WAITS);
    assert_int_equal(fx_turn(fx, 0)->unspam.attempt, 1);
    assert_int_equal(fx_turn(fx, 0)->open.attempt, 0);
    assert_int_equal(coord_node_open(fx->core, 1), 0);
    /* Should the order still wait for its commit, nothing leaves: not the next attempt either. */
    assert_false(coord_stands(fx->core, &order));
    fx_report(fx, 1, first); /* of an attempt that is over */
    assert_int_equal(fx_effect(fx), EFFECT_UNKNOWN);
    assert_opened_next_morning(fx);
    assert_false(coord_stands(fx->core, &order));
}

static void what_expires_in_the_second_hours_too_is_over(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 2);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_tick(fx, AT(2, 0));
    struct flz_id first = fx_said(fx, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_EXPIRED).receipt.task;
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_EXPIRED);
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 1);
    fx_tick(fx, AT(6, 0)); /* the answer's slot has passed unread */
    assert_int_equal(fx_turn(fx, 1)->send.state, TASK_VOID);
    assert_int_equal(fx_turn(fx, 1)->send.reason, VOID_EARLIER);
    assert_int_equal(fx_day(fx, 1)->reserved, 0);
    fx_tick(fx, AT(26, 0));
    assert_true(fx_ordered(fx, FLZ_TASK_OPEN, 0));
    struct flz_report second = fx_said(fx, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_EXPIRED);
    assert_int_equal(second.receipt.attempt, 1);
    assert_false(flz_id_equal(first, second.receipt.task));
    fx_report(fx, 1, second);
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 0);
    assert_int_equal(fx_events(fx, EVENT_SETTLED), 1);
}

static void who_said_stop_has_no_second_hours(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_say_junk(fx, 1, 0);
    fx_step(fx, (struct coord_command){.kind = COORD_END_CONSENT, .account = 1});
    assert_int_equal(fx_turn(fx, 0)->open.reason, VOID_CONSENT);
    fx_tick(fx, AT(5, 0));
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 0);
}

static void after_the_second_hours_nothing_is_opened(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_say_junk(fx, 1, 0);
    fx_tick(fx, AT(30, 1)); /* an outage over both */
    assert_int_equal(fx_events(fx, EVENT_RESLOTTED), 0);
    assert_int_equal(fx_turn(fx, 0)->open.reason, VOID_LATE);
    assert_int_equal(fx_turn(fx, 0)->open.fault, FAULT_RECIPIENT_NODE);
}

static void a_paused_evening_is_made_good_in_the_morning(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_say_junk(fx, 1, 0);
    fx_step(fx, (struct coord_command){
                    .kind = COORD_PAUSE,
                    .pause = {.target = {.scope = FLZ_SCOPE_NODE, .name = "n1"},
                              .reason = "test",
                              .until = AT(20, 0),
                              .by = "me"}});
    assert_false(fx->update.refused);
    for (int i = 0; i < 200 && fx->now < AT(20, 0); i++) {
        fx_tick(fx, coord_next(fx->core));
        assert_int_equal(fx->update.orders_count, 0);
    }
    assert_opened_next_morning(fx);
}

static void the_lab_waits_for_openings_in_their_hours_only(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_tick(fx, AT(2, 0));
    assert_int_equal(coord_due_unreported(fx->core, AT(2, 0)), 1);
    assert_true(coord_presses(fx->core, AT(4, 30), FLZ_MINUTE_MS, 0));
    assert_int_equal(coord_due_unreported(fx->core, AT(9, 0)), 0); /* its node is silent */
    assert_false(coord_presses(fx->core, AT(9, 0), FLZ_MINUTE_MS, 0));
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_EXPIRED);
    fx_tick(fx, AT(26, 0));
    assert_int_equal(coord_due_unreported(fx->core, AT(26, 0)), 1);
    assert_true(coord_presses(fx->core, AT(26, 30), FLZ_MINUTE_MS, 0));
}

/* Each step of a conversation may be late by what came before; it presses by its own delay. */
static void the_lab_waits_for_what_its_node_keeps_not_for_what_was_ordered_late(void **state)
{
    struct fx *fx = ordered_with_second_hours(state, 1);
    fx_tick(fx, AT(3, 0)); /* the opening was planned for 2:00 */
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    assert_int_equal(fx_turn(fx, 0)->open.issued_at, AT(3, 0));
    assert_false(coord_presses(fx->core, AT(3, 9), 10 * FLZ_MINUTE_MS, 0));
    assert_true(coord_presses(fx->core, AT(3, 10), 10 * FLZ_MINUTE_MS, 0));
}

static void without_credit_nothing_is_ordered_and_the_slot_lapses(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 2);
    fx_step(fx, (struct coord_command){.kind = COORD_CREDIT, .node = 0, .credit = 0});
    assert_int_equal(fx->update.events_count, 0);
    fx_tick(fx, AT(1, 0));
    assert_int_equal(fx->update.orders_count, 0);
    fx->now = AT(1, 20);
    fx_step(fx, (struct coord_command){.kind = COORD_CREDIT, .node = 0, .credit = 1});
    assert_true(coord_next(fx->core) <= fx->now);
    fx_tick(fx, AT(1, 20));
    assert_true(fx_ordered(fx, FLZ_TASK_SEND, 0));
    assert_int_equal(coord_node_credit(fx->core, 0), 0);

    struct fx late;
    fx_init(&late);
    fx_plan(&late, 2);
    fx_step(&late, (struct coord_command){.kind = COORD_CREDIT, .node = 0, .credit = 0});
    fx_tick(&late, AT(1, 0));
    fx_tick(&late, AT(1, 46));
    assert_int_equal(fx_events(&late, EVENT_VOID), 1);
    assert_int_equal(late.update.events[0].voided.reason, VOID_LATE);
    assert_int_equal(late.update.events[0].voided.fault, FAULT_SENDER_NODE);
    assert_int_equal(fx_day(&late, 0)->reserved, 0);
    assert_int_equal(fx_events(&late, EVENT_ENDED), 1);
    fx_deinit(&late);
}

static void a_late_message_is_never_bunched_with_another(void **state)
{
    struct fx *fx = *state;
    fx_plan_pair(fx, 0, 1, 1);
    uint32_t first = fx->exchange;
    fx_plan_pair(fx, 0, 1, 1);
    fx_tick(fx, AT(1, 0));
    assert_int_equal(fx->update.orders_count, 2);
    assert_int_equal(fx->update.orders[0].exchange, first);
    fx_tick(fx, AT(1, 9));
    assert_int_equal(fx->update.orders_count, 0);
    fx_tick(fx, AT(1, 10));
    assert_true(fx_ordered(fx, FLZ_TASK_SEND, 0));
}

static void an_end_of_consent_voids_what_is_planned_at_once(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 2);
    fx_step(fx, (struct coord_command){.kind = COORD_END_CONSENT, .account = 1});
    assert_int_equal(fx_events(fx, EVENT_VOID), 1);
    assert_int_equal(fx->update.events[1].voided.reason, VOID_CONSENT);
    assert_int_equal(fx->update.events[1].voided.fault, FAULT_OWNER);
    assert_int_equal(fx_day(fx, 0)->reserved, 0);
    fx_step(fx, (struct coord_command){.kind = COORD_END_CONSENT, .account = 1});
    assert_true(fx->update.refused);
}

static void after_a_lost_journal_sends_are_ambiguous_and_the_rest_is_ordered_again(void **state)
{
    struct fx *fx = ordered(state, 2);
    fx->incarnations[0] = fx_id(70);
    fx->seqs[0] = 0;
    fx_hello(fx, 0, 100);
    assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_AMBIGUOUS);
    assert_int_equal(fx->update.orders_count, 0);
    assert_int_equal(coord_node(fx->core, 0)->losses, 1);
    fx->incarnations[1] = fx_id(71);
    fx->seqs[1] = 0;
    fx_hello(fx, 1, 100);
    assert_int_equal(fx->update.orders_count, 1);
    assert_true(fx_ordered(fx, FLZ_TASK_FIND, 0));
    assert_int_equal(fx_events(fx, EVENT_PRESUMED), 0);
}

/* An order on its way reaches the new journal, which knows no account yet. */
static void a_lost_journal_cannot_say_that_nothing_left(void **state)
{
    static const enum flz_outcome words[] = {FLZ_OUTCOME_DECLINED, FLZ_OUTCOME_EXPIRED,
                                             FLZ_OUTCOME_WITHDRAWN, FLZ_OUTCOME_FAILED};
    struct fx *fx = ordered(state, 1);
    fx->incarnations[0] = fx_id(70);
    fx->seqs[0] = 0;
    fx_hello(fx, 0, 100);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        fx_say(fx, 0, FLZ_TASK_SEND, 0, words[i]);
        assert_int_equal(fx_effect(fx), EFFECT_MOOT);
        assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_AMBIGUOUS);
        assert_int_equal(fx_day(fx, 0)->committed, 1);
    }
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT); /* seen in its Sent folder */
    assert_int_equal(fx_effect(fx), EFFECT_CORRECTED);
}

static void a_rolled_back_journal_is_a_lost_one(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx->seqs[0] -= 1;
    fx_hello(fx, 0, 100);
    assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_AMBIGUOUS);
    assert_int_equal(coord_node(fx->core, 0)->report_seq, fx->seqs[0]);
    fx_report(fx, 0, fx_probe(fx, 0)); /* goes on behind what the node knows */
    assert_false(fx->update.refused || fx->update.report_known || fx->update.report_gap);
}

static void a_reconnected_node_gets_what_it_lacks_after_its_reports(void **state)
{
    struct fx *fx = ordered(state, 1);
    fx_hello(fx, 0, 100);
    assert_int_equal(fx->update.orders_count, 1);
    assert_true(fx_ordered(fx, FLZ_TASK_SEND, 0));

    /* It names the task: nothing is ordered again. */
    struct flz_id open = fx_said(fx, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT).receipt.task;
    struct coord_command hello = {
        .kind = COORD_HELLO,
        .node = 0,
        .hello = {.incarnation = fx->incarnations[0],
                  .report_seq = fx->seqs[0],
                  .credit = 9,
                  .open = &open,
                  .open_count = 1},
    };
    fx_step(fx, hello);
    assert_int_equal(fx->update.orders_count, 0);

    /* It names it no more, but holds a report: that one ends the task. */
    hello.hello.open_count = 0;
    hello.hello.report_seq = fx->seqs[0] + 1;
    fx_step(fx, hello);
    assert_int_equal(fx->update.orders_count, 0);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx->update.orders_count, 0);
}

static void a_revoked_node_is_not_heard_and_its_sends_are_looked_for(void **state)
{
    struct fx *fx = ordered(state, 2);
    struct flz_report said = fx_said(fx, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    fx_step(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 0});
    assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_AMBIGUOUS);
    assert_int_equal(fx_turn(fx, 0)->find.state, TASK_OPEN);
    assert_int_equal(fx_turn(fx, 1)->send.state, TASK_VOID);
    assert_int_equal(coord_network(fx->core)->revocation_version, 1);
    fx_report(fx, 0, said);
    assert_true(fx->update.refused);
    assert_int_equal(fx->update.events_count, 0);
    fx_hello(fx, 0, 5);
    assert_true(fx->update.refused);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
}

static void a_pause_holds_orders_and_slots_lapse_in_it(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    struct coord_command pause = {
        .kind = COORD_PAUSE,
        .pause = {.target = {.scope = FLZ_SCOPE_DOMAIN, .name = "d1.example"},
                  .reason = "test",
                  .until = AT(1, 20),
                  .by = "me"},
    };
    fx_step(fx, pause);
    assert_false(fx->update.refused);
    fx_tick(fx, AT(1, 0));
    assert_int_equal(fx->update.orders_count, 0);
    struct flz_pause pauses[4];
    assert_int_equal(coord_node_pauses(fx->core, 0, fx->now, pauses, 4), 0);
    assert_int_equal(coord_node_pauses(fx->core, 1, fx->now, pauses, 4), 1);
    assert_int_equal(coord_next(fx->core) <= AT(1, 20), 1);
    fx_tick(fx, AT(1, 20));
    assert_int_equal(fx_events(fx, EVENT_RESUMED), 1);
    assert_true(fx_ordered(fx, FLZ_TASK_SEND, 0));

    struct fx other;
    fx_init(&other);
    fx_plan(&other, 1);
    pause.pause.target = (struct flz_pause){.scope = FLZ_SCOPE_NETWORK};
    pause.pause.until = FLZ_NEVER;
    fx_step(&other, pause);
    fx_tick(&other, AT(1, 46));
    assert_int_equal(other.update.events[0].voided.reason, VOID_PAUSED);
    pause.kind = COORD_RESUME;
    fx_step(&other, pause);
    assert_int_equal(coord_pause_count(other.core), 0);
    fx_step(&other, pause);
    assert_true(other.update.refused);
    fx_deinit(&other);
}

static void nobody_is_written_to_who_is_not_ready(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    struct flz_report probe = fx_probe(fx, 1);
    probe.probe.login_ok = false;
    fx_report(fx, 1, probe);
    fx_tick(fx, AT(1, 0));
    assert_int_equal(fx->update.orders_count, 0);
    fx_tick(fx, AT(1, 46));
    assert_int_equal(fx->update.events[0].voided.reason, VOID_UNREADY);
    assert_int_equal(fx->update.events[0].voided.fault, FAULT_RECIPIENT);
}

static void after_a_restored_backup_nothing_is_sent_for_a_day(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    fx_step(fx, (struct coord_command){.kind = COORD_LEAD,
                                       .lead = {.epoch = 2, .generation = fx_id(51)}});
    fx_tick(fx, AT(1, 0));
    assert_int_equal(fx->update.orders_count, 0);
    fx_tick(fx, AT(1, 46));
    assert_int_equal(fx->update.events[0].voided.reason, VOID_RESTORED);
    fx_step(fx, (struct coord_command){.kind = COORD_LEAD,
                                       .lead = {.epoch = 2, .generation = fx_id(51)}});
    assert_true(fx->update.refused);
}

static void the_lab_waits_for_what_is_due_and_not_for_mail_to_arrive(void **state)
{
    struct fx *fx = ordered(state, 1);
    assert_int_equal(coord_due_unreported(fx->core, AT(1, 0)), 1);
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(coord_due_unreported(fx->core, AT(1, 0)), 0);
    assert_int_equal(coord_due_unreported(fx->core, AT(9, 0)), 1);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(a_whole_exchange_is_sent_found_rescued_opened_answered_and_tidied),
        cmocka_unit_test(a_definite_failure_releases_the_quota_and_ends_the_exchange),
        CLAIM(an_ambiguous_send_that_is_found_counts_as_sent_and_is_credited),
        CLAIM(an_ambiguous_send_never_found_is_indeterminate_and_stays_counted),
        CLAIM(a_late_arrival_corrects_a_missing_one),
        CLAIM(the_first_word_wins_and_a_second_is_evidence),
        CLAIM(receipts_that_fit_no_task_change_nothing),
        CLAIM(a_message_found_though_rejected_is_marked_and_not_counted),
        CLAIM(silence_ends_everything_in_time),
        CLAIM(a_silent_sender_whose_message_was_found_counts_without_credit),
        CLAIM(an_exchange_within_one_node_earns_no_credit),
        CLAIM(a_failed_rescue_still_opens_and_a_failed_open_ends_the_conversation),
        CLAIM(what_is_found_after_hours_is_opened_next_morning),
        CLAIM(what_is_found_as_the_hours_end_is_left_for_the_next),
        CLAIM(no_credit_to_the_end_of_the_hours_is_made_good_in_the_next),
        CLAIM(what_expired_at_its_node_is_tried_once_more),
        CLAIM(what_expires_in_the_second_hours_too_is_over),
        CLAIM(who_said_stop_has_no_second_hours),
        CLAIM(after_the_second_hours_nothing_is_opened),
        CLAIM(a_paused_evening_is_made_good_in_the_morning),
        CLAIM(the_lab_waits_for_openings_in_their_hours_only),
        CLAIM(the_lab_waits_for_what_its_node_keeps_not_for_what_was_ordered_late),
        CLAIM(without_credit_nothing_is_ordered_and_the_slot_lapses),
        CLAIM(a_late_message_is_never_bunched_with_another),
        CLAIM(an_end_of_consent_voids_what_is_planned_at_once),
        CLAIM(after_a_lost_journal_sends_are_ambiguous_and_the_rest_is_ordered_again),
        CLAIM(a_lost_journal_cannot_say_that_nothing_left),
        CLAIM(a_rolled_back_journal_is_a_lost_one),
        CLAIM(a_reconnected_node_gets_what_it_lacks_after_its_reports),
        CLAIM(a_revoked_node_is_not_heard_and_its_sends_are_looked_for),
        CLAIM(a_pause_holds_orders_and_slots_lapse_in_it),
        CLAIM(nobody_is_written_to_who_is_not_ready),
        CLAIM(after_a_restored_backup_nothing_is_sent_for_a_day),
        CLAIM(the_lab_waits_for_what_is_due_and_not_for_mail_to_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
