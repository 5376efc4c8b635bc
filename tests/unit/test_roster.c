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

static void refused(struct fx *fx, uint32_t node, struct flz_report report, const char *words)
{
    fx_report(fx, node, report);
    assert_true(fx->update.refused);
    assert_int_equal(fx->update.events_count, 1);
    assert_int_equal(fx->update.events[0].type, EVENT_REPORT_REFUSED);
    if (!strstr(fx->update.message.text, words))
        fail_msg("\"%s\" lacks \"%s\"", fx->update.message.text, words);
}

static void settings_out_of_bounds_are_refused_by_name(void **state)
{
    struct fx *fx = *state;
    struct flz_report r = fx_account(5);
#define BAD(change, words)                                                                         \
    r = fx_account(5);                                                                             \
    r.account.change;                                                                              \
    refused(fx, 0, r, words)
    BAD(start_minute = 1440, "hours");
    BAD(end_minute = 1441, "hours");
    BAD(end_minute = 0, "hours");
    BAD(days = 0, "days");
    BAD(days = 128, "days");
    BAD(target = 41, "target");
    BAD(intensity = 4, "intensity");
    BAD(intensity = 0, "intensity");
    BAD(profile = 0, "profile");
    BAD(profile = 5, "profile");
    BAD(language[0] = '\0', "language");
    BAD(zone[0] = '\0', "zone");
    BAD(provider[0] = '\0', "provider");
    BAD(days_off.holidays[0] = 'Q', "no calendar of holidays");
    BAD(days_off.away[3].last = -1, "blackout");
    BAD(days_off.away[0].last = FLZ_AWAY_DAYS_MAX, "blackout");
    BAD(consent.actions = 0, "consent");
    BAD(consent.until = 5, "consent");
    assert_int_equal(coord_account_count(fx->core), 3);
}

static void the_same_node_changes_its_account(void **state)
{
    struct fx *fx = *state;
    struct flz_report r = fx_account(0);
    r.account.target = 7;
    fx_report(fx, 0, r);
    assert_false(fx->update.refused);
    assert_int_equal(fx->update.handle, 0);
    assert_int_equal(coord_account(fx->core, 0)->target, 7);
    assert_int_equal(coord_account(fx->core, 0)->generation, 1);
    assert_true(coord_account(fx->core, 0)->login_ok);
}

/* It is taken, and warming is not lowered for it. */
static void declared_prospecting_above_the_advice_is_warned_of(void **state)
{
    struct fx *fx = *state;
    struct flz_report r = fx_account(0);
    struct coord_why why;
    r.account.volume = 30;
    fx_report(fx, 0, r);
    assert_false(fx->update.refused);
    assert_non_null(
        strstr(fx->update.message.text, "30 own messages a day are declared, at most 0"));
    bool said = false;
    coord_explain(fx->core, 0, fx->now, &why);
    for (size_t i = 0; i < why.lines_count; i++)
        said = said || strstr(why.lines[i].text, "sends 30 messages a day of his own");
    assert_true(said);

    r.account.profile = FLZ_PROFILE_EXISTING;
    r.account.volume = 10;
    fx_report(fx, 0, r);
    assert_string_equal(fx->update.message.text, "");
}

static void hours_too_short_for_the_target_are_warned_of(void **state)
{
    struct fx *fx = *state;
    struct flz_report r = fx_account(0);
    r.account.start_minute = 1410; /* across midnight: an hour */
    r.account.end_minute = 30;
    fx_report(fx, 0, r);
    assert_false(fx->update.refused);
    assert_non_null(strstr(fx->update.message.text, "room for 6 messages a day"));
    r.account.target = 6;
    fx_report(fx, 0, r);
    assert_string_equal(fx->update.message.text, "");
}

static void an_address_of_another_node_needs_its_release(void **state)
{
    struct fx *fx = *state;
    refused(fx, 1, fx_account(0),
            "belongs to node n0: give it up there first (on that node's host: "
            "fluenzrctl account release ADDRESS");
    fx_plan(fx, 1);
    fx_tick(fx, AT(1, 0)); /* a send is under way at node 0 */
    fx_report(fx, 0, (struct flz_report){.kind = FLZ_REPORT_RELEASE, .released = fx_id(100)});
    assert_false(fx->update.refused);

    struct flz_report r = fx_account(0);
    r.account.id = fx_id(555); /* known before: it keeps its id */
    struct flz_digest address = fx_digest(1, 0);
    r.seq = ++fx->seqs[1];
    struct coord_command command = {
        .kind = COORD_REPORT,
        .node = 1,
        .report = {.incarnation = fx->incarnations[1],
                   .report = &r,
                   .address = address,
                   .domain = fx_digest(2, 0),
                   .owner = fx_digest(3, 0),
                   .domain_name = "d0.example"},
    };
    fx_step(fx, command);
    assert_false(fx->update.refused);
    const struct row_account *row = coord_account(fx->core, 0);
    assert_int_equal(row->node, 1);
    assert_int_equal(row->generation, 2);
    assert_true(flz_id_equal(row->id, fx_id(100)));
    assert_int_equal(row->begins_at, AT(1, 45));
    assert_int_equal(row->probe_at, 0);
    assert_int_equal(coord_find_account(fx->core, fx_id(555)), COORD_NONE);
    /* The old node still says what became of its send. */
    fx_say(fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
    assert_int_equal(fx_effect(fx), EFFECT_TAKEN);
}

static void an_account_of_a_revoked_node_may_move(void **state)
{
    struct fx *fx = *state;
    fx_step(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 0});
    fx_report(fx, 1, fx_account(0));
    assert_false(fx->update.refused);
    assert_int_equal(coord_account(fx->core, 0)->node, 1);
}

static void an_ended_consent_needs_a_newer_one(void **state)
{
    struct fx *fx = *state;
    fx->now = AT(3, 0);
    fx_step(fx, (struct coord_command){.kind = COORD_END_CONSENT, .account = 0});
    refused(fx, 0, fx_account(0), "said stop");
    struct flz_report r = fx_account(0);
    r.account.consent.given = AT(3, 1);
    fx->now = AT(3, 2);
    fx_report(fx, 0, r);
    assert_false(fx->update.refused);
    assert_int_equal(coord_account(fx->core, 0)->consent_ended, 0);
}

static void suppressed_addresses_neither_register_nor_write_nor_receive(void **state)
{
    struct fx *fx = *state;
    fx_plan(fx, 1);
    struct coord_command suppress = {.kind = COORD_SUPPRESS,
                                     .suppress = {.address = fx_digest(1, 1), .reason = "asked"}};
    fx_step(fx, suppress);
    assert_int_equal(fx->update.events[1].voided.reason, VOID_SUPPRESSED);
    assert_int_equal(coord_suppression_count(fx->core), 1);
    fx_step(fx, suppress);
    assert_true(fx->update.refused);
    refused(fx, 1, fx_account(1), "suppression list");
    suppress.kind = COORD_UNSUPPRESS;
    fx_step(fx, suppress);
    assert_int_equal(coord_suppression_count(fx->core), 0);
    fx_step(fx, suppress);
    assert_true(fx->update.refused);
}

static void a_changed_mx_must_be_seen_twice(void **state)
{
    struct fx *fx = *state;
    struct flz_report probe = fx_probe(fx, 1);
    probe.probe.mx = fx_digest(4, 77);
    fx_report(fx, 1, probe);
    assert_true(coord_account(fx->core, 1)->mx_changed);
    fx_report(fx, 1, probe);
    assert_false(coord_account(fx->core, 1)->mx_changed);
}

static void a_probe_of_a_strangers_account_is_refused(void **state)
{
    struct fx *fx = *state;
    refused(fx, 1, fx_probe(fx, 0), "not of this node");
    refused(fx, 1, (struct flz_report){.kind = FLZ_REPORT_RELEASE, .released = fx_id(100)},
            "not of this node");
}

static void a_probe_from_the_future_stays_no_longer_fresh(void **state)
{
    struct fx *fx = *state;
    struct flz_report probe = fx_probe(fx, 0);
    probe.probe.at = FLZ_NEVER;
    fx_report(fx, 0, probe);
    assert_int_equal(coord_account(fx->core, 0)->probe_at, fx->now);
}

static struct flz_report refused_probe(const struct fx *fx, uint32_t tries, int64_t next_at)
{
    struct flz_report probe = fx_probe(fx, 0);
    probe.probe.login_ok = false;
    probe.probe.reason = FLZ_REASON_LOGIN;
    probe.probe.tries = tries;
    probe.probe.next_at = next_at;
    (void)snprintf(probe.probe.text, sizeof probe.probe.text, "SMTP mx:587: auth: 535 no, %u",
                   tries);
    return probe;
}

static void trouble_lasts_from_the_first_failed_login_to_the_next_good_one(void **state)
{
    struct fx *fx = *state;
    const struct row_account *row = coord_account(fx->core, 0);
    assert_int_equal(row->trouble_at, 0);
    int64_t since = fx->now += FLZ_MINUTE_MS;
    fx_report(fx, 0, refused_probe(fx, 1, fx->now + FLZ_MINUTE_MS));
    fx->now += FLZ_MINUTE_MS;
    fx_report(fx, 0, refused_probe(fx, 2, fx->now + 5 * FLZ_MINUTE_MS));
    assert_int_equal(row->trouble_at, since);
    assert_int_equal(row->next_try_at, fx->now + 5 * FLZ_MINUTE_MS);
    assert_string_equal(row->trouble, "SMTP mx:587: auth: 535 no, 2");
    struct coord_why why;
    coord_explain(fx->core, 0, fx->now, &why);
    assert_non_null(strstr(why.lines[1].text, "auth: 535 no, 2"));
    assert_non_null(strstr(why.lines[2].text, "login refused 2 of 3; node n0 tries again at"));
    assert_int_equal(why.ask_again, row->next_try_at);

    fx_report(fx, 0, refused_probe(fx, 3, 0));
    coord_explain(fx->core, 0, fx->now, &why);
    assert_non_null(strstr(why.lines[2].text, "account retry ADDRESS"));
    fx_report(fx, 0, fx_probe(fx, 0));
    assert_int_equal(row->trouble_at, 0);
    assert_int_equal(row->tries, 0);
    assert_string_equal(row->trouble, "");
}

static void why_says_what_stands_in_the_way(void **state)
{
    struct fx *fx = *state;
    struct coord_why why;
    coord_explain(fx->core, 0, fx->now, &why);
    assert_string_equal(why.lines[0].text, "no day of it was planned yet");
    assert_non_null(strstr(why.lines[2].text, "2 eligible partners carry 1 messages a day"));
    /* Five a day, and a cooldown of five days: 25 partners. */
    assert_non_null(strstr(why.lines[3].text, "too small by 4 messages a day: 23 more such"));
    coord_explain(fx->core, 0, fx->now + 25 * FLZ_HOUR_MS, &why);
    assert_non_null(strstr(why.lines[0].text, "last logged in to it 25 hours ago"));
    fx_step(fx, (struct coord_command){.kind = COORD_END_CONSENT, .account = 0});
    coord_explain(fx->core, 0, fx->now, &why);
    assert_non_null(strstr(why.lines[0].text, "ended the consent"));
    assert_false(why.sends);
    coord_explain(fx->core, 99, fx->now, &why);
    assert_string_equal(why.lines[0].text, "no such account");
}

static void policy_is_set_within_its_bounds(void **state)
{
    struct fx *fx = *state;
    struct coord_command set = {.kind = COORD_SET_POLICY,
                                .policy = {.key = "cooldown_days", .value = 2, .by = "me"}};
    fx_step(fx, set);
    assert_int_equal(coord_policy(fx->core)->cooldown_days, 2);
    set.policy.value = 0;
    fx_step(fx, set);
    assert_true(fx->update.refused);
    (void)strcpy(set.policy.key, "cooldown_day");
    fx_step(fx, set);
    assert_true(fx->update.refused);
    assert_int_equal(coord_policy(fx->core)->cooldown_days, 2);
}

/* ---- Planning ---- */

static void plan(struct fx *fx, int32_t date)
{
    struct coord_civil civil[3];
    for (uint32_t i = 0; i < 3; i++) {
        civil[i] = (struct coord_civil){.account = 2 - i, .sends = true};
        for (int d = 0; d < COORD_WINDOW_DAYS; d++)
            civil[i].windows[d] = (struct coord_window){.start = (date + d) * FLZ_DAY_MS,
                                                        .end = (date + d + 1) * FLZ_DAY_MS};
    }
    struct coord_pack pack = {.language = "en", .scenarios = 2, .turns = {3, 3}};
    fx_step(fx, (struct coord_command){.kind = COORD_PLAN,
                                       .plan = {.date = date,
                                                .civil = civil,
                                                .civil_count = 3,
                                                .packs = &pack,
                                                .packs_count = 1,
                                                .seed = 1}});
}

static void a_date_is_planned_once_and_closes_the_one_before(void **state)
{
    struct fx *fx = *state;
    plan(fx, FX_DATE);
    assert_int_equal(fx_events(fx, EVENT_PLAN_PART), 1);
    assert_int_equal(fx_events(fx, EVENT_PLAN_SEAL), 1);
    assert_int_equal(coord_account(fx->core, 0)->planned_date, FX_DATE);
    assert_true(fx_day(fx, 0)->planned_day);
    assert_true(fx_day(fx, 0)->reserved <= fx_day(fx, 0)->quota);
    assert_true(coord_exchange_limit(fx->core) > 0);
    plan(fx, FX_DATE);
    assert_int_equal(fx->update.events_count, 0);

    fx->now = AT(23, 0);
    for (uint32_t n = 0; n < 3; n++)
        fx_report(fx, n % 2, fx_probe(fx, n));
    plan(fx, FX_DATE + 1);
    assert_int_equal(fx_events(fx, EVENT_DAY_CLOSED), 3);
    assert_true(fx_day(fx, 0)->closed);
    assert_int_equal(coord_account(fx->core, 0)->closed_date, FX_DATE);
    assert_int_equal(coord_account(fx->core, 0)->ramp_last_date, FX_DATE);
}

static void who_is_not_ready_is_planned_when_it_is(void **state)
{
    struct fx *fx = *state;
    struct flz_report probe = fx_probe(fx, 0);
    probe.probe.login_ok = false;
    fx_report(fx, 0, probe);
    plan(fx, FX_DATE);
    assert_int_equal(coord_account(fx->core, 0)->planned_date, 0);
    assert_int_equal(fx_day(fx, 0)->inbound, 0);
    assert_int_equal(coord_account(fx->core, 1)->planned_date, FX_DATE);
    fx_report(fx, 0, fx_probe(fx, 0));
    plan(fx, FX_DATE);
    assert_int_equal(coord_account(fx->core, 0)->planned_date, FX_DATE);
}

static void parts_without_their_seal_are_void(void **state)
{
    struct fx *fx = *state;
    struct event part = {.type = EVENT_PLAN_PART,
                         .at = fx->now,
                         .plan_part = {.plan = 0, .part = 0, .date = FX_DATE}};
    const struct event_plan_account days[] = {{.account = 0, .quota = 99}};
    part.plan_part.accounts = days;
    part.plan_part.accounts_count = 1;
    assert_int_equal(coord_apply(fx->core, &part), 0);
    fx_follow(fx, &part);
    plan(fx, FX_DATE); /* the next one's part 0 drops it */
    assert_int_not_equal(fx_day(fx, 0)->quota, 99);
    struct event seal = {.type = EVENT_PLAN_SEAL,
                         .at = fx->now,
                         .plan_seal = {.plan = 1, .parts = 1, .date = FX_DATE}};
    assert_int_equal(coord_apply(fx->core, &seal), -EPROTO);
}

/* The line that says it, or NULL. */
static const char *pair_line(const struct fx *fx, uint32_t from, uint32_t to, const char *text,
                             struct coord_why *ret_why)
{
    coord_explain_pair(fx->core, from, to, fx->now, ret_why);
    for (size_t i = 0; i < ret_why->lines_count; i++)
        if (strstr(ret_why->lines[i].text, text))
            return ret_why->lines[i].text;
    return NULL;
}

static void a_pair_is_told_rule_by_rule_why_it_may_meet_or_not(void **state)
{
    struct fx *fx = *state;
    struct coord_why why;
    assert_non_null(pair_line(fx, 0, 0, "nobody writes to himself", &why));
    assert_false(why.sends);
    assert_non_null(pair_line(fx, 0, 1, "nothing bars it", &why));
    assert_true(why.sends);
    struct flz_report french = fx_account(2);
    memcpy(french.account.language, "fr", 3);
    fx_report(fx, 0, french);
    assert_non_null(pair_line(fx, 0, 2, "one writes en, the other fr", &why));
    assert_false(why.sends);

    fx_plan(fx, 1); /* 0 writes to 1 */
    assert_non_null(pair_line(fx, 0, 1, "it began an exchange with it on", &why));
    assert_false(why.sends);
    assert_int_equal(why.ask_again, (FX_DATE + 5) * FLZ_DAY_MS);
    assert_non_null(pair_line(fx, 1, 0, "a pair begins one a day", &why));
    assert_false(why.sends);
    struct flz_report refused = refused_probe(fx, 3, 0);
    fx_report(fx, 0, refused);
    assert_non_null(pair_line(fx, 1, 0, "may not be written to", &why));
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(a_pair_is_told_rule_by_rule_why_it_may_meet_or_not),
        CLAIM(settings_out_of_bounds_are_refused_by_name),
        CLAIM(the_same_node_changes_its_account),
        CLAIM(declared_prospecting_above_the_advice_is_warned_of),
        CLAIM(hours_too_short_for_the_target_are_warned_of),
        CLAIM(an_address_of_another_node_needs_its_release),
        CLAIM(an_account_of_a_revoked_node_may_move),
        CLAIM(an_ended_consent_needs_a_newer_one),
        CLAIM(suppressed_addresses_neither_register_nor_write_nor_receive),
        CLAIM(a_changed_mx_must_be_seen_twice),
        CLAIM(a_probe_of_a_strangers_account_is_refused),
        CLAIM(a_probe_from_the_future_stays_no_longer_fresh),
        CLAIM(trouble_lasts_from_the_first_failed_login_to_the_next_good_one),
        CLAIM(why_says_what_stands_in_the_way),
        CLAIM(policy_is_set_within_its_bounds),
        CLAIM(a_date_is_planned_once_and_closes_the_one_before),
        CLAIM(who_is_not_ready_is_planned_when_it_is),
        CLAIM(parts_without_their_seal_are_void),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
