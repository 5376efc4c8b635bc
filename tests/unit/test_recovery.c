/*
 * A log restored from a backup. Two networks begin alike: `lost` goes on as it did behind the
 * backup, `fx` is the one put back, which hears from the nodes what became of the other.
 */
#include "tests/unit/coord_fixture.h"

/* What a node says of a task that the lost log ordered, and the voucher it kept of it. */
struct word {
    struct flz_report report;
    struct flz_voucher voucher;
    struct event_plan_turn turns[FLZ_TURNS_MAX];
};

static void word_of(const struct fx *lost, uint32_t kind, uint32_t turn, uint32_t outcome,
                    struct word *ret_word)
{
    struct coord_order order = {.exchange = lost->exchange, .turn = turn, .kind = kind};
    *ret_word = (struct word){.report = fx_said(lost, kind, turn, outcome)};
    assert_int_equal(coord_voucher(lost->core, &order, ret_word->turns, &ret_word->voucher), 0);
}

static void tell(struct fx *fx, uint32_t node, const struct word *word)
{
    fx->voucher = &word->voucher;
    fx_report(fx, node, word->report);
    fx->voucher = NULL;
    uint32_t known = coord_find_exchange(fx->core, word->report.receipt.exchange);
    if (known != COORD_NONE)
        fx->exchange = known;
}

static bool recovered(const struct fx *fx)
{
    return fx_events(fx, EVENT_RECOVERED) == 1;
}

static void lead(struct fx *fx, uint64_t epoch, uint32_t generation)
{
    fx_step(fx, (struct coord_command){
                    .kind = COORD_LEAD,
                    .lead = {.epoch = epoch, .generation = fx_id(generation)}});
    assert_false(fx->update.refused);
}

static struct fx lost;

/* The lost log planned an exchange and ordered its first SEND and FIND at 1:00; the backup, of the
 * night before, is put back at `now`. */
static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    fx_init(fx);
    fx_init(&lost);
    fx_plan(&lost, 2);
    fx_tick(&lost, AT(1, 0));
    assert_true(fx_ordered(&lost, FLZ_TASK_SEND, 0) && fx_ordered(&lost, FLZ_TASK_FIND, 0));
    fx->now = AT(1, 30);
    lead(fx, 2, 51);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    fx_deinit(fx);
    fx_deinit(&lost);
    free(fx);
    return 0;
}

/* The lost log went on: another exchange of the same pair. */
static void order_another(void)
{
    fx_plan_pair(&lost, 0, 1, 1);
    fx_tick(&lost, AT(1, 40));
    assert_true(fx_ordered(&lost, FLZ_TASK_SEND, 0));
}

static uint32_t contact_date(const struct fx *fx, uint32_t from, uint32_t to)
{
    uint32_t i = flz_map_get(&fx->core->contacts_by_pair, state_pair_key(from, to));
    return i == FLZ_MAP_NONE ? 0 : (uint32_t)fx->core->contacts[i].row.date;
}

static void a_forgotten_message_is_in_the_ledger_again(void **state)
{
    struct fx *fx = *state;
    struct word sent, found;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    word_of(&lost, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND, &found);
    assert_int_equal(contact_date(fx, 0, 1), 0);
    tell(fx, 0, &sent);
    assert_true(recovered(fx));
    assert_int_equal(contact_date(fx, 0, 1), FX_DATE);
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
    assert_int_equal(coord_account(fx->core, 0)->issued_at, AT(1, 0));
    /* What was under way goes on: it is looked for, and opened in its hours. */
    assert_true(fx_ordered(fx, FLZ_TASK_FIND, 0));
    tell(fx, 1, &found);
    assert_int_equal(fx_day(fx, 0)->inbox, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 1);
    assert_int_equal(fx_day(fx, 1)->received, 1);
    assert_int_equal(coord_day(fx->core, COORD_NONE, FX_DATE)->sent, 1);
    assert_true(coord_exchange(fx->core, fx->exchange)->recovered);
    fx_tick(fx, AT(2, 0));
    assert_true(fx_ordered(fx, FLZ_TASK_OPEN, 0));
    fx_say(fx, 1, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_DONE);
    assert_int_equal(fx_day(fx, 0)->opened, 1);
    /* The planned reply was not sent, and never is. */
    assert_int_equal(fx_turn(fx, 1)->send.state, TASK_VOID);
    assert_int_equal(fx_turn(fx, 1)->send.reason, VOID_RESTORED);
    assert_int_equal(coord_exchange(fx->core, fx->exchange)->state, EXCHANGE_SETTLED);
}

static void the_finder_alone_proves_it_and_earns_no_credit(void **state)
{
    struct fx *fx = *state;
    struct word sent, found;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    word_of(&lost, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND, &found);
    tell(fx, 1, &found);
    assert_true(recovered(fx));
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->inbox, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 0);
    assert_int_equal(fx_turn(fx, 0)->send.outcome, FLZ_OUTCOME_AMBIGUOUS);
    assert_true(fx_turn(fx, 0)->send.presumed);
    tell(fx, 0, &sent);
    assert_true(recovered(fx));
    assert_int_equal(fx_day(fx, 0)->sent, 1);
    assert_int_equal(fx_day(fx, 0)->credited, 1);
    /* Told again, it is no news. */
    tell(fx, 0, &sent);
    assert_int_equal(fx_effect(fx), EFFECT_REPEATED);
    sent.report.receipt.outcome = FLZ_OUTCOME_REJECTED;
    tell(fx, 0, &sent);
    assert_int_equal(fx_effect(fx), EFFECT_EQUIVOCATION);
}

static void what_was_opened_and_never_found_comes_to_an_end(void **state)
{
    struct fx *fx = *state;
    struct word sent, opened;
    fx_say(&lost, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND);
    fx_tick(&lost, AT(2, 0));
    assert_true(fx_ordered(&lost, FLZ_TASK_OPEN, 0));
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    word_of(&lost, FLZ_TASK_OPEN, 0, FLZ_OUTCOME_DONE, &opened);
    tell(fx, 0, &sent);
    tell(fx, 1, &opened);
    assert_true(recovered(fx));
    assert_int_equal(fx_turn(fx, 0)->open.state, TASK_ENDED);
    fx_say(fx, 1, FLZ_TASK_FIND, 0, FLZ_OUTCOME_UNOBSERVED);
    assert_int_equal(fx_turn(fx, 0)->unspam.state, TASK_VOID);
    assert_int_equal(coord_exchange(fx->core, fx->exchange)->state, EXCHANGE_SETTLED);
}

static void a_message_that_never_left_is_not_counted(void **state)
{
    struct fx *fx = *state;
    struct word withdrawn;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_WITHDRAWN, &withdrawn);
    withdrawn.report.receipt.reason = FLZ_REASON_RESTORED;
    tell(fx, 0, &withdrawn);
    assert_true(recovered(fx));
    assert_int_equal(fx_day(fx, 0)->sent, 0);
    assert_int_equal(fx_day(fx, 0)->withdrawn, 1);
    assert_int_equal(fx_day(fx, 0)->committed + fx_day(fx, 0)->reserved, 0);
    assert_int_equal(fx_turn(fx, 0)->find.state, TASK_VOID);
    assert_int_equal(fx_turn(fx, 0)->send.fault, FAULT_NETWORK);
}

static void refused(struct fx *fx, const struct word *word)
{
    uint32_t exchanges = coord_network(fx->core)->exchanges;
    tell(fx, 0, word);
    assert_int_equal(fx_effect(fx), EFFECT_UNKNOWN);
    assert_int_equal(coord_network(fx->core)->exchanges, exchanges);
    assert_int_equal(fx_day(fx, 0)->sent, 0);
}

static void only_a_voucher_of_ours_of_a_forgotten_time_is_believed(void **state)
{
    struct fx *fx = *state;
    struct word good, bad;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &good);
    good.voucher.plan.turns = good.turns;

    bad = good;
    bad.voucher.seal.b[3] ^= 1;
    refused(fx, &bad);
    bad = good;
    bad.voucher.issued_at++;
    refused(fx, &bad);
    bad = good;
    bad.voucher.generation = fx_id(51); /* the generation in force forgets nothing */
    refused(fx, &bad);
    bad = good;
    bad.voucher.to = fx_id(102);
    refused(fx, &bad);
    bad = good;
    bad.turns[0].date--; /* the same turns, by good's plan */
    bad.voucher.plan.turns = bad.turns;
    refused(fx, &bad);
    bad = good;
    bad.report.receipt.account = fx_id(102);
    refused(fx, &bad);
    bad = good;
    bad.report.receipt.turn = 1;
    refused(fx, &bad);
    bad = good;
    bad.report.receipt.outcome = FLZ_OUTCOME_FOUND;
    refused(fx, &bad);

    fx->voucher = NULL;
    fx_report(fx, 0, good.report); /* a node of old kept none */
    assert_int_equal(fx_effect(fx), EFFECT_UNKNOWN);
    tell(fx, 0, &good);
    assert_true(recovered(fx));
}

static void a_log_that_was_not_restored_recovers_nothing(void **state)
{
    (void)state;
    struct word sent;
    struct fx other;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    fx_init(&other);
    other.now = AT(1, 30);
    refused(&other, &sent);
    /* Nor one that has what came before its end: this task it ended, and put away. */
    fx_tick(&other, AT(2, 0));
    lead(&other, 2, 51);
    refused(&other, &sent);
    fx_deinit(&other);
}

static void what_comes_after_a_month_is_evidence_only(void **state)
{
    struct fx *fx = *state;
    struct word sent;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    fx->now = AT(1, 30) + STATE_RECOVERY_MS;
    refused(fx, &sent);
}

static void a_generation_never_heard_of_is_forgotten_too(void **state)
{
    struct fx *fx = *state;
    struct word sent;
    struct fx second;
    /* The lost log itself began with a restored backup that this one never saw. */
    fx_init(&second);
    lead(&second, 2, 52);
    fx_plan(&second, 1);
    second.core->network.quiet_until = second.follower->network.quiet_until = 0;
    fx_tick(&second, AT(1, 0));
    word_of(&second, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    tell(fx, 0, &sent);
    assert_true(recovered(fx));
    /* And restored once more, by a log that knows both. */
    fx->now = AT(1, 31);
    lead(fx, 3, 53);
    assert_int_equal(coord_network(fx->core)->forgotten_count, 2);
    order_another();
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    tell(fx, 0, &sent);
    assert_true(recovered(fx));
    fx_deinit(&second);
}

/* The backup has the plan, and not the orders. */
static void a_planned_message_was_sent_behind_the_backup(void **state)
{
    (void)state;
    struct fx fx;
    struct word sent, found;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    word_of(&lost, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND, &found);
    fx_init(&fx);
    fx_plan(&fx, 2);
    fx.now = AT(1, 30);
    lead(&fx, 2, 51);
    assert_int_equal(fx_turn(&fx, 0)->send.state, TASK_WAITS);
    /* Its slot passes: nobody has told yet. */
    fx_tick(&fx, AT(1, 46));
    assert_int_equal(fx_turn(&fx, 0)->send.state, TASK_VOID);
    assert_int_equal(fx_day(&fx, 0)->committed, 0);
    uint32_t exchanges = coord_network(fx.core)->exchanges;
    tell(&fx, 0, &sent);
    assert_true(recovered(&fx));
    assert_int_equal(coord_network(fx.core)->exchanges, exchanges);
    assert_int_equal(fx_day(&fx, 0)->sent, 1);
    assert_int_equal(fx_turn(&fx, 0)->find.state, TASK_OPEN);
    tell(&fx, 1, &found);
    assert_int_equal(fx_effect(&fx), EFFECT_TAKEN); /* this log has ordered it too, by now */
    assert_int_equal(fx_day(&fx, 0)->credited, 1);
    fx_deinit(&fx);
}

static void nothing_ends_while_it_may_be_spoken_of(void **state)
{
    struct fx *fx = *state;
    struct word sent, found;
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_WITHDRAWN, &sent);
    tell(fx, 0, &sent);
    uint32_t exchange = fx->exchange;
    fx_tick(fx, AT(100, 0));
    assert_non_null(coord_exchange(fx->core, exchange));
    assert_int_equal(coord_next(fx->core), AT(1, 30) + STATE_RECOVERY_MS);
    /* The other node speaks weeks later, and is heard, of the same exchange. */
    fx->now = AT(480, 0);
    word_of(&lost, FLZ_TASK_FIND, 0, FLZ_OUTCOME_FOUND, &found);
    tell(fx, 1, &found);
    assert_int_equal(fx->exchange, exchange);
    assert_int_equal(fx_turn(fx, 0)->find.outcome, FLZ_OUTCOME_FOUND);
    assert_int_equal(fx_day(fx, 0)->sent, 0); /* its own node says so */
    fx_tick(fx, AT(1, 30) + STATE_RECOVERY_MS);
    fx_tick(fx, AT(1, 31) + STATE_RECOVERY_MS);
    assert_null(coord_exchange(fx->core, exchange));
}

static void the_days_that_may_still_change_are_not_put_away(void **state)
{
    struct fx *fx = *state;
    const struct event events[] = {
        {.type = EVENT_PLAN_PART, .at = fx->now, .plan_part = {.date = FX_DATE + 30}},
        {.type = EVENT_PLAN_SEAL, .at = fx->now, .plan_seal = {.parts = 1, .date = FX_DATE + 30}},
    };
    state_day(fx->core, 0, FX_DATE)->row.opens = 7;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(coord_apply(fx->core, &events[i]), 0);
    assert_non_null(coord_day(fx->core, 0, FX_DATE));
    assert_int_equal(coord_day(fx->core, 0, FX_DATE)->opens, 7);
}

static void room_is_made_for_what_the_forgotten_plan_allowed(void **state)
{
    struct fx *fx = *state;
    struct word sent;
    fx_plan_pair(fx, 0, 1, 1);
    assert_int_equal(fx_day(fx, 0)->quota, 5);
    state_day(fx->core, 0, FX_DATE)->row.quota = 1;
    state_day(fx->follower, 0, FX_DATE)->row.quota = 1;
    order_another();
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    tell(fx, 0, &sent);
    assert_true(recovered(fx));
    assert_int_equal(fx_day(fx, 0)->reserved + fx_day(fx, 0)->committed, 2);
    assert_int_equal(fx_day(fx, 0)->quota, 2);
}

/* Both nodes are in the backup, the accounts are not. */
static void an_account_known_from_receipts_takes_its_place_when_registered(void **state)
{
    (void)state;
    struct fx fx = {.core = fx_core(), .follower = fx_core(), .now = AT(0, 0)};
    struct word sent;
    lead(&fx, 1, 50);
    for (uint32_t node = 0; node < 2; node++) {
        fx.incarnations[node] = fx_id(60 + node);
        fx_step(&fx, fx_invite(node));
        fx_step(&fx, fx_join(node));
        fx_hello(&fx, node, 100);
    }
    fx.now = AT(1, 30);
    lead(&fx, 2, 51);
    fx_report(&fx, 0, fx_account(0));
    word_of(&lost, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT, &sent);
    tell(&fx, 0, &sent);
    assert_true(recovered(&fx));
    assert_int_equal(fx_day(&fx, 0)->sent, 1);
    const struct row_account *other = coord_account(fx.core, 1);
    assert_int_equal(other->state, ACCOUNT_FORGOTTEN);
    assert_int_equal(coord_find_account(fx.core, fx_id(101)), 1);

    struct coord_why why;
    coord_explain(fx.core, 1, fx.now, &why);
    assert_false(why.sends);
    assert_non_null(strstr(why.lines[0].text, "has not registered it again"));
    fx_step(&fx, (struct coord_command){.kind = COORD_REMOVE, .account = 1});
    assert_true(fx.update.refused);
    /* It is waited for. */
    fx_tick(&fx, AT(1, 50));
    assert_int_equal(fx_turn(&fx, 0)->find.state, TASK_WAITS);

    fx_report(&fx, 1, fx_account(1));
    assert_false(fx.update.refused);
    assert_int_equal(fx.update.handle, 1);
    assert_int_equal(coord_find_address(fx.core, fx_digest(1, 1)), 1);
    assert_int_equal(coord_account(fx.core, 1)->generation, 1);
    assert_int_equal(coord_account(fx.core, 1)->registered_at, AT(1, 50));
    assert_true(fx_ordered(&fx, FLZ_TASK_FIND, 0));
    fx_deinit(&fx);
}

static void a_restored_log_orders_no_send_again(void **state)
{
    (void)state;
    /* The backup has the order of 1:00; node 0 never got it. */
    lost.now = AT(1, 10);
    lead(&lost, 2, 51);
    fx_hello(&lost, 0, 100);
    assert_false(fx_ordered(&lost, FLZ_TASK_SEND, 0));
    fx_hello(&lost, 1, 100);
    assert_true(fx_ordered(&lost, FLZ_TASK_FIND, 0));
    assert_int_equal(fx_turn(&lost, 0)->send.state, TASK_OPEN);
}

/* A backup older than what nodes keep: they go on with the oldest report that they have. */
static void reports_that_a_node_has_forgotten_are_not_waited_for(void **state)
{
    struct fx *fx = *state;
    struct coord_command hello = {
        .kind = COORD_HELLO,
        .node = 0,
        .hello = {.incarnation = fx->incarnations[0], .report_seq = 40, .report_first = 20},
    };
    fx_step(fx, hello);
    assert_int_equal(coord_node(fx->core, 0)->report_seq, 19);
    assert_int_equal(coord_node(fx->core, 0)->losses, 0);
    fx->seqs[0] = 19;
    fx_report(fx, 0, fx_probe(fx, 0));
    assert_false(fx->update.report_gap || fx->update.refused);
    assert_int_equal(coord_node(fx->core, 0)->report_seq, 20);
    fx_step(fx, hello); /* nothing is asked for twice */
    assert_int_equal(coord_node(fx->core, 0)->report_seq, 20);
    hello.hello.report_first = 99; /* more than it wrote: not believed */
    fx_step(fx, hello);
    assert_int_equal(coord_node(fx->core, 0)->report_seq, 20);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(a_forgotten_message_is_in_the_ledger_again),
        CLAIM(the_finder_alone_proves_it_and_earns_no_credit),
        CLAIM(what_was_opened_and_never_found_comes_to_an_end),
        CLAIM(a_message_that_never_left_is_not_counted),
        CLAIM(only_a_voucher_of_ours_of_a_forgotten_time_is_believed),
        CLAIM(a_log_that_was_not_restored_recovers_nothing),
        CLAIM(what_comes_after_a_month_is_evidence_only),
        CLAIM(a_generation_never_heard_of_is_forgotten_too),
        CLAIM(a_planned_message_was_sent_behind_the_backup),
        CLAIM(nothing_ends_while_it_may_be_spoken_of),
        CLAIM(the_days_that_may_still_change_are_not_put_away),
        CLAIM(room_is_made_for_what_the_forgotten_plan_allowed),
        CLAIM(an_account_known_from_receipts_takes_its_place_when_registered),
        CLAIM(a_restored_log_orders_no_send_again),
        CLAIM(reports_that_a_node_has_forgotten_are_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
