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

static void refused(struct fx *fx, struct coord_command command, const char *words)
{
    fx_step(fx, command);
    assert_true(fx->update.refused);
    assert_int_equal(fx->update.events_count, 0);
    if (!strstr(fx->update.message.text, words))
        fail_msg("\"%s\" lacks \"%s\"", fx->update.message.text, words);
}

static void a_token_joins_one_node_once(void **state)
{
    struct fx *fx = *state;
    refused(fx, fx_join(2), "not known");
    fx_step(fx, fx_invite(2));
    assert_false(fx->update.refused);
    fx_step(fx, fx_join(2));
    assert_int_equal(fx->update.handle, 2);
    assert_int_equal(coord_invite(fx->core, 2)->state, INVITE_USED);

    /* The answer was lost: the same certificate again. */
    fx_step(fx, fx_join(2));
    assert_false(fx->update.refused);
    assert_int_equal(fx->update.handle, 2);
    assert_int_equal(fx->update.events_count, 0);

    struct coord_command other = fx_join(2);
    other.join.certificate = fx_digest(8, 99);
    refused(fx, other, "used already");
}

static void joins_that_do_not_fit_their_invite_are_refused(void **state)
{
    struct fx *fx = *state;
    fx_step(fx, fx_invite(3));
    struct coord_command join = fx_join(3);
    join.join.real_now = 101;
    refused(fx, join, "ended");
    join = fx_join(3);
    join.join.node = fx_id(33);
    refused(fx, join, "names node");
    join = fx_join(3);
    memcpy(join.join.curve_key.b, fx_digest(6, 1).b, 32);
    refused(fx, join, "transport key");
    fx_step(fx, fx_join(3));
    assert_false(fx->update.refused);
}

static void invites_that_can_never_join_are_refused(void **state)
{
    struct fx *fx = *state;
    struct coord_command invite = fx_invite(0);
    invite.invite.token = fx_digest(7, 50);
    refused(fx, invite, "has joined already");
    invite = fx_invite(5);
    invite.invite.real_now = 100;
    refused(fx, invite, "ended before");
    invite = fx_invite(5);
    invite.invite.token = fx_digest(7, 0);
    refused(fx, invite, "known already");
    invite = fx_invite(5);
    invite.invite.name[0] = '\0';
    refused(fx, invite, "name");
}

static void a_revoked_nodes_name_can_be_invited_again(void **state)
{
    struct fx *fx = *state;
    fx_step(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 0});
    refused(fx, fx_join(0), "was revoked");
    struct coord_command invite = fx_invite(0);
    invite.invite.node = fx_id(40);
    invite.invite.token = fx_digest(7, 40);
    fx_step(fx, invite);
    assert_false(fx->update.refused);
    refused(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 0}, "revoked already");
    refused(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 9}, "no such node");
}

/* ---- Revocations, as they are handed on ---- */

static void revoke(struct fx *fx, uint32_t node, const char *words)
{
    /* The caller's bytes are gone when the events are written. */
    char *bytes = strdup(words);
    assert_non_null(bytes);
    fx_step(fx, (struct coord_command){
                    .kind = COORD_REVOKE, .node = node, .revocation = flz_view_str(bytes)});
    memset(bytes, '#', strlen(words));
    free(bytes);
    assert_false(fx->update.refused);
}

static void revocations_are_numbered_and_kept(void **state)
{
    struct fx *fx = *state;
    struct flz_view got[3];
    assert_int_equal(coord_revocations(fx->core, 0, got, 3), 0);
    revoke(fx, 1, "second node");
    revoke(fx, 0, "first node");
    struct coord *restarted = fx_core();
    assert_int_equal(coord_load_row(restarted, ROW_NETWORK, coord_network(fx->core)), 0);
    for (uint32_t i = 0; i < coord_node_count(fx->core); i++)
        assert_int_equal(coord_load_row(restarted, ROW_NODE, coord_node(fx->core, i)), 0);
    const struct coord *cores[] = {fx->core, fx->follower, restarted};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(coord_revocations(cores[i], 0, got, 3), 2);
        assert_true(flz_view_equal(got[0], flz_view_str("second node")));
        assert_true(flz_view_equal(got[1], flz_view_str("first node")));
        assert_int_equal(coord_revocations(cores[i], 0, got, 1), 1);
        assert_true(flz_view_equal(got[0], flz_view_str("second node")));
        assert_int_equal(coord_revocations(cores[i], 1, got, 3), 1);
        assert_true(flz_view_equal(got[0], flz_view_str("first node")));
        assert_int_equal(coord_revocations(cores[i], 2, got, 3), 0);
        assert_int_equal(coord_revocations(cores[i], UINT64_MAX, got, 3), 0);
    }
    (void)coord_free(restarted);
}

#define MANY 1100 /* exchanges: more than one step looks at */

/* What one command decides must fit into one segment of the log, however large the network is. */
static void a_revocation_of_much_is_spread_over_ticks(void **state)
{
    struct fx *fx = *state;
    for (int i = 0; i < MANY; i++)
        fx_plan_pair(fx, 0, 1, 1);
    fx_step(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 0});
    assert_int_equal(fx_events(fx, EVENT_REVOKED), 1);
    assert_int_equal(fx_events(fx, EVENT_ENDED), 1000);
    assert_int_equal(coord_next(fx->core), fx->now);
    fx_tick(fx, fx->now);
    assert_int_equal(fx_events(fx, EVENT_ENDED), MANY - 1000);
    assert_int_equal(fx->update.orders_count, 0); /* I11 */
}

/* Whatever it says, a node holds no more open than it may: what is decided when its journal is
 * lost, or it is revoked, is bounded by that. */
static void credit_is_bounded_by_what_a_node_may_hold(void **state)
{
    struct fx *fx = *state;
    fx_step(fx, (struct coord_command){.kind = COORD_CREDIT, .node = 0, .credit = UINT32_MAX});
    assert_int_equal(coord_node_credit(fx->core, 0), FLZ_OPEN_TASKS_MAX);
    fx_plan(fx, 1);
    fx_tick(fx, AT(1, 0));
    assert_int_equal(coord_node_open(fx->core, 0), 1);
    fx_step(fx, (struct coord_command){.kind = COORD_CREDIT, .node = 0, .credit = UINT32_MAX});
    assert_int_equal(coord_node_credit(fx->core, 0), FLZ_OPEN_TASKS_MAX - 1);
}

static void nodes_are_found_by_id_and_key(void **state)
{
    struct fx *fx = *state;
    struct coord_command join = fx_join(1);
    assert_int_equal(coord_find_node(fx->core, fx_id(1)), 1);
    assert_int_equal(coord_find_node(fx->core, fx_id(9)), COORD_NONE);
    assert_int_equal(coord_find_node_by_curve(fx->core, join.join.curve_key), 1);
    join.join.curve_key.b[31] ^= 1;
    assert_int_equal(coord_find_node_by_curve(fx->core, join.join.curve_key), COORD_NONE);
}

static void reports_are_taken_once_and_in_order(void **state)
{
    struct fx *fx = *state;
    struct flz_report probe = fx_probe(fx, 0);
    fx_report(fx, 0, probe);
    assert_int_equal(coord_node(fx->core, 0)->report_seq, fx->seqs[0]);
    fx->seqs[0]--;
    fx_report(fx, 0, probe);
    assert_true(fx->update.report_known);
    assert_int_equal(fx->update.events_count, 0);
    fx->seqs[0]++;
    fx_report(fx, 0, probe);
    assert_true(fx->update.report_gap);
    assert_int_equal(fx->update.events_count, 0);
    fx->seqs[0]--;

    fx->incarnations[0] = fx_id(99);
    fx_report(fx, 0, probe);
    assert_true(fx->update.refused);
    assert_int_equal(fx->update.events_count, 0);
}

static void an_account_verdict_is_repeated_with_its_report(void **state)
{
    struct fx *fx = *state;
    fx_report(fx, 0, fx_account(0));
    fx->seqs[0]--;
    fx_report(fx, 0, fx_account(0));
    assert_true(fx->update.report_known);
    assert_int_equal(fx->update.handle, 0);
}

static void an_unknown_kind_of_report_is_taken_and_refused(void **state)
{
    struct fx *fx = *state;
    fx_report(fx, 0, (struct flz_report){.kind = 77});
    assert_true(fx->update.refused);
    assert_int_equal(fx_events(fx, EVENT_REPORT_REFUSED), 1);
    assert_int_equal(coord_node(fx->core, 0)->report_seq, fx->seqs[0]);
}

static void time_never_goes_back(void **state)
{
    struct fx *fx = *state;
    fx->now = AT(5, 0);
    fx_report(fx, 0, fx_probe(fx, 0));
    fx->now = AT(4, 0);
    fx_report(fx, 0, fx_probe(fx, 0));
    assert_int_equal(fx->update.events[0].at, AT(5, 0));
    struct event old = fx->update.events[0];
    old.at = AT(4, 0);
    assert_int_equal(coord_apply(fx->follower, &old), -EPROTO);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(a_token_joins_one_node_once),
        CLAIM(joins_that_do_not_fit_their_invite_are_refused),
        CLAIM(invites_that_can_never_join_are_refused),
        CLAIM(a_revoked_nodes_name_can_be_invited_again),
        CLAIM(revocations_are_numbered_and_kept),
        CLAIM(a_revocation_of_much_is_spread_over_ticks),
        CLAIM(credit_is_bounded_by_what_a_node_may_hold),
        CLAIM(nodes_are_found_by_id_and_key),
        CLAIM(reports_are_taken_once_and_in_order),
        CLAIM(an_account_verdict_is_repeated_with_its_report),
        CLAIM(an_unknown_kind_of_report_is_taken_and_refused),
        CLAIM(time_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
