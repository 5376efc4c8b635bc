/*
 * A planning in pieces: the same plan as in one step, in bounded instalments, and held against what
 * has happened between its copy and its seal.
 */
#include "coordinator/core/planning.h"
#include "coordinator/core/ramp.h"
#include "coord_fixture.h"

#define MANY 700 /* accounts: more than one instalment takes */

struct piece {
    size_t parts;
    size_t seals;
    size_t exchanges;
    size_t events;
};

static const struct coord_pack pack = {.language = "en", .scenarios = 2, .turns = {3, 3}};

static void fill_civil(struct coord_civil *civil, uint32_t account, int32_t date)
{
    *civil = (struct coord_civil){.account = account, .sends = true};
    for (int d = 0; d < COORD_WINDOW_DAYS; d++)
        civil->windows[d] = (struct coord_window){.start = (date + d) * FLZ_DAY_MS,
                                                  .end = (date + d + 1) * FLZ_DAY_MS};
}

static struct planning *begin(int32_t date)
{
    struct planning *planning;
    struct planning_options options = {
        .date = date, .packs = &pack, .packs_count = 1, .seed = 7};
    assert_int_equal(planning_new(&options, &planning), 0);
    return planning;
}

static void step(struct fx *fx, struct planning *planning, const struct coord_civil *civil,
                 size_t count)
{
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.planning = planning;
    command.plan.civil = civil;
    command.plan.civil_count = count;
    fx_step(fx, command);
}

/* Copies accounts first … count - 1, in pieces of `size`, and draws. */
static void draw(struct fx *fx, struct planning *planning, int32_t date, size_t size)
{
    struct coord_civil civil[PLANNING_ACCOUNTS_STEP];
    uint32_t account = 0;
    size_t n = 1;
    while (n > 0) {
        for (n = 0; n < size && account < coord_account_count(fx->core); n++)
            fill_civil(&civil[n], account++, date);
        step(fx, planning, civil, n);
    }
    while (planning_phase(planning) != PLANNING_DRAW)
        step(fx, planning, NULL, 0);
    assert_int_equal(fx->update.events_count, 0);
    assert_int_equal(planning_draw(planning), 0);
    assert_int_equal(planning_phase(planning), PLANNING_SEAL);
}

static struct piece seal(struct fx *fx, struct planning *planning)
{
    step(fx, planning, NULL, 0);
    struct piece piece = {.parts = fx_events(fx, EVENT_PLAN_PART),
                          .seals = fx_events(fx, EVENT_PLAN_SEAL),
                          .events = fx->update.events_count};
    for (size_t i = 0; i < fx->update.events_count; i++)
        if (fx->update.events[i].type == EVENT_PLAN_SEAL)
            piece.exchanges += fx->update.events[i].plan_seal.exchanges;
    return piece;
}

static void seal_all(struct fx *fx, struct planning *planning)
{
    while (planning_phase(planning) != PLANNING_OVER)
        (void)seal(fx, planning);
}

static void plan_day_of(struct fx *fx, int32_t date)
{
    struct planning *planning = begin(date);
    draw(fx, planning, date, 2);
    seal_all(fx, planning);
    (void)planning_free(planning);
}

static void add_accounts(struct fx *fx, uint32_t count)
{
    for (uint32_t n = 3; n < count; n++) {
        fx_report(fx, n % 2, fx_account(n));
        fx_report(fx, n % 2, fx_probe(fx, n));
    }
}

static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
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

/* ---- Claims ---- */

static void add_event(struct flz_buf *events, const struct event *event)
{
    assert_int_equal(flz_encode_event(event, events), 0);
}

/* I10: what is drawn depends on the copy and the seed, not on how the copy was made. */
static void pieces_give_the_plan_of_one_step(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf whole = FLZ_BUF_NULL, pieces = FLZ_BUF_NULL;
    struct fx twin;
    struct coord_civil civil[20];
    fx_init(&twin);
    add_accounts(fx, 20);
    add_accounts(&twin, 20);
    for (uint32_t i = 0; i < 20; i++)
        fill_civil(&civil[i], i, FX_DATE);
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.date = FX_DATE;
    command.plan.civil = civil;
    command.plan.civil_count = 20;
    command.plan.packs = &pack;
    command.plan.packs_count = 1;
    command.plan.seed = 7;
    fx_step(&twin, command);
    for (size_t i = 0; i < twin.update.events_count; i++)
        add_event(&whole, &twin.update.events[i]);

    struct planning *planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, 3);
    while (planning_phase(planning) != PLANNING_OVER) {
        (void)seal(fx, planning);
        for (size_t i = 0; i < fx->update.events_count; i++)
            add_event(&pieces, &fx->update.events[i]);
    }
    assert_true(whole.len > 0);
    assert_true(flz_view_equal(flz_buf_view(&whole), flz_buf_view(&pieces)));
    (void)planning_free(planning);
    fx_deinit(&twin);
}

static void a_large_unit_is_sealed_in_bounded_instalments(void **state)
{
    struct fx *fx = *state;
    add_accounts(fx, MANY);
    struct planning *planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, PLANNING_ACCOUNTS_STEP);
    size_t instalments = 0, exchanges = 0;
    while (planning_phase(planning) != PLANNING_OVER) {
        struct piece piece = seal(fx, planning);
        bool last = planning_phase(planning) == PLANNING_OVER;
        assert_int_equal(piece.seals, 1);
        assert_int_equal(piece.events, piece.parts + 1);
        assert_true(piece.exchanges < PLANNING_SEAL_EXCHANGES + 50);
        assert_int_equal(fx->update.events[piece.parts].plan_seal.more, !last);
        instalments++;
        exchanges += piece.exchanges;
    }
    assert_true(instalments >= 2);
    assert_int_equal(exchanges, planning_sealed_exchanges(planning));
    assert_int_equal(coord_network(fx->core)->plans, instalments);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(coord_account(fx->core, i)->planned_date, FX_DATE);
        assert_true(fx_day(fx, i)->reserved <= fx_day(fx, i)->quota);
    }
    (void)planning_free(planning);
}

/* A crash between two instalments: who was not sealed is planned anew, who was is not. */
static void what_was_not_sealed_is_planned_again(void **state)
{
    struct fx *fx = *state;
    add_accounts(fx, MANY);
    struct planning *planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, PLANNING_ACCOUNTS_STEP);
    size_t first = seal(fx, planning).exchanges;
    (void)planning_free(planning);
    assert_int_equal(coord_account(fx->core, MANY - 1)->planned_date, 0);
    planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, PLANNING_ACCOUNTS_STEP);
    seal_all(fx, planning);
    assert_true(first > 0 && planning_sealed_exchanges(planning) > 0);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(coord_account(fx->core, i)->planned_date, FX_DATE);
        assert_true(fx_day(fx, i)->reserved <= fx_day(fx, i)->quota);
    }
    (void)planning_free(planning);
}

/* ---- What happened since the copy ---- */

static bool takes_part(const struct fx *fx, uint32_t account)
{
    for (uint32_t i = 0; i < coord_exchange_limit(fx->core); i++) {
        const struct row_exchange *x = coord_exchange(fx->core, i);
        if (x && (x->from == account || x->to == account))
            return true;
    }
    return false;
}

static void release(struct fx *fx)
{
    fx_report(fx, 0, (struct flz_report){.kind = FLZ_REPORT_RELEASE, .released = fx_id(100)});
}

static void end_consent(struct fx *fx)
{
    fx_step(fx, (struct coord_command){.kind = COORD_END_CONSENT, .account = 0});
}

static void suppress(struct fx *fx)
{
    fx_step(fx, (struct coord_command){.kind = COORD_SUPPRESS,
                                       .suppress = {.address = fx_digest(1, 0)}});
}

static void pause_account(struct fx *fx)
{
    fx_step(fx, (struct coord_command){
                    .kind = COORD_PAUSE,
                    .pause = {.target = {.scope = FLZ_SCOPE_ACCOUNT, .account = fx_id(100)},
                              .until = FLZ_NEVER}});
}

static void fail_login(struct fx *fx)
{
    struct flz_report probe = fx_probe(fx, 0);
    probe.probe.login_ok = false;
    fx_report(fx, 0, probe);
}

static void change_hours(struct fx *fx)
{
    struct flz_report account = fx_account(0);
    account.account.start_minute = 600;
    fx_report(fx, 0, account);
}

static void revoke_node(struct fx *fx)
{
    fx_step(fx, (struct coord_command){.kind = COORD_REVOKE, .node = 0});
}

static void whoever_left_since_the_copy_is_not_planned(void **state)
{
    void (*const happens[])(struct fx *fx) = {release,       end_consent, suppress,   revoke_node,
                                              pause_account, fail_login,  change_hours};
    (void)state;
    for (size_t i = 0; i < sizeof happens / sizeof *happens; i++) {
        struct fx fx;
        fx_init(&fx);
        add_accounts(&fx, 12);
        struct planning *planning = begin(FX_DATE);
        draw(&fx, planning, FX_DATE, 5);
        happens[i](&fx);
        seal_all(&fx, planning);
        assert_false(takes_part(&fx, 0));
        assert_int_equal(coord_account(fx.core, 0)->planned_date, 0);
        assert_int_equal(coord_account(fx.core, 1)->planned_date, FX_DATE);
        assert_true(happens[i] == revoke_node || takes_part(&fx, 1));
        (void)planning_free(planning);
        fx_deinit(&fx);
    }
}

/* What was left out is not held against the account: its day can still be met. */
static void a_partner_who_left_lowers_what_was_possible(void **state)
{
    struct fx *fx = *state;
    struct planning *planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, 5);
    revoke_node(fx); /* accounts 0 and 2: all that account 1 could write to */
    seal_all(fx, planning);
    const struct row_day *day = fx_day(fx, 1);
    assert_true(day->planned_day);
    assert_int_equal(day->possible, 0);
    assert_true(day->shortfall > 0);
    (void)planning_free(planning);
}

/* P3, P9: a planning that was overtaken by another seals nothing twice. */
static void an_overtaken_planning_seals_nothing(void **state)
{
    struct fx *fx = *state;
    struct planning *planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, 5);
    plan_day_of(fx, FX_DATE);
    size_t exchanges = coord_exchange_limit(fx->core);
    uint32_t plans = coord_network(fx->core)->plans;
    assert_true(exchanges > 0);
    seal_all(fx, planning);
    assert_int_equal(coord_network(fx->core)->plans, plans);
    assert_int_equal(coord_exchange_limit(fx->core), exchanges);
    assert_int_equal(planning_sealed_exchanges(planning), 0);
    (void)planning_free(planning);
}

static void a_pair_that_has_met_since_is_left_out(void **state)
{
    struct fx *fx = *state;
    struct planning *planning = begin(FX_DATE);
    draw(fx, planning, FX_DATE, 5);
    for (uint32_t from = 0; from < 3; from++)
        for (uint32_t to = 0; to < 3; to++)
            if (from != to)
                fx_plan_pair(fx, from, to, 1);
    /* fx_plan_pair plans the sender's day as well: as if it had not. */
    for (uint32_t i = 0; i < 3; i++)
        fx->core->accounts[i].row.planned_date = fx->follower->accounts[i].row.planned_date = 0;
    seal_all(fx, planning);
    assert_int_equal(planning_sealed_exchanges(planning), 0);
    (void)planning_free(planning);
}

/* ---- Days off ---- */

/* Plans the date in one step; account 0 has no hours behind FX_DATE until `back`. `in_unit`: the
 * shell gives it as a sender all the same. */
static void plan_without(struct fx *fx, int32_t date, int32_t back, bool in_unit)
{
    struct coord_civil civil[12];
    size_t count = coord_account_count(fx->core);
    for (uint32_t i = 0; i < count; i++) {
        fill_civil(&civil[i], i, date);
        civil[i].sends = i > 0 || in_unit || date <= FX_DATE || date >= back;
        for (int d = 0; d < COORD_WINDOW_DAYS && i == 0; d++)
            if (date + d > FX_DATE && date + d < back)
                civil[i].windows[d] = (struct coord_window){.start = 0};
    }
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.date = date;
    command.plan.civil = civil;
    command.plan.civil_count = count;
    command.plan.packs = &pack;
    command.plan.packs_count = 1;
    fx->now = (date - 1) * FLZ_DAY_MS + 23 * FLZ_HOUR_MS;
    for (uint32_t i = 0; i < count; i++)
        fx_report(fx, i % 2, fx_probe(fx, i));
    fx_step(fx, command);
}

static void set_level(struct fx *fx, uint32_t account, uint32_t level)
{
    struct coord *cores[] = {fx->core, fx->follower};
    for (size_t i = 0; i < 2; i++) {
        struct row_account *row = &cores[i]->accounts[account].row;
        row->ramp_day = 50;
        row->ramp_reference = level;
        row->ramp_last_date = row->ramp_sent_date = FX_DATE - 1;
    }
}

/* A week-end: nothing is planned, nothing is closed, and no level sinks. */
static void a_day_without_hours_moves_no_ramp(void **state)
{
    struct fx *fx = *state;
    set_level(fx, 0, 20);
    for (int32_t date = FX_DATE + 1; date <= FX_DATE + 2; date++) {
        plan_without(fx, date, FX_DATE + 3, true);
        assert_null(coord_day(fx->core, 0, date));
        assert_int_equal(coord_account(fx->core, 0)->planned_date, 0);
        assert_int_equal(coord_account(fx->core, 1)->planned_date, date);
    }
    plan_without(fx, FX_DATE + 3, FX_DATE + 3, true);
    assert_int_equal(coord_account(fx->core, 0)->planned_date, FX_DATE + 3);
    assert_int_equal(coord_account(fx->core, 0)->ramp_reference, 20);
    assert_int_equal(coord_account(fx->core, 0)->ramp_day, 50);
}

/* A day of the account's own, with nothing in it. */
static void plan_empty_day(struct fx *fx, uint32_t account)
{
    const struct event_plan_account days[] = {{.account = account, .quota = 20, .possible = 20}};
    uint32_t plan = coord_network(fx->core)->plans;
    const struct event events[] = {
        {.type = EVENT_PLAN_PART,
         .at = fx->now,
         .plan_part = {.plan = plan, .date = FX_DATE, .accounts = days, .accounts_count = 1}},
        {.type = EVENT_PLAN_SEAL,
         .at = fx->now,
         .plan_seal = {.plan = plan, .parts = 1, .date = FX_DATE, .accounts = 1}},
    };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(coord_apply(fx->core, &events[i]), 0);
        fx_follow(fx, &events[i]);
    }
}

/* Three weeks away: its last day waits to be closed however old it gets, is closed when the first
 * one after them is planned, and silence takes its share of what that leaves. */
static void a_long_absence_closes_its_last_day_and_goes_on_lower(void **state)
{
    struct fx *fx = *state;
    struct coord_why why;
    bool said = false;
    set_level(fx, 0, 20);
    plan_empty_day(fx, 0);
    for (int32_t date = FX_DATE + 1; date <= FX_DATE + 21; date++) {
        plan_without(fx, date, FX_DATE + 22, false);
        assert_null(coord_day(fx->core, 0, date)); /* nobody writes to it either */
    }
    assert_non_null(coord_day(fx->core, 0, FX_DATE));
    assert_false(coord_day(fx->core, 0, FX_DATE)->closed);
    coord_explain(fx->core, 0, fx->now, &why);
    for (size_t i = 0; i < why.lines_count; i++)
        said = said || strstr(why.lines[i].text, "21 days: it goes on at 8 a day instead of 20");
    assert_true(said);

    plan_without(fx, FX_DATE + 22, FX_DATE + 22, false);
    const struct row_account *row = coord_account(fx->core, 0);
    assert_int_equal(row->closed_date, FX_DATE);
    assert_int_equal(row->ramp_sent_date, FX_DATE - 1);
    assert_int_equal(row->ramp_reference, 15);
    assert_int_equal(row->ramp_day, 50);
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state now = ramp_state_on(row, FX_DATE + 22);
    assert_int_equal(now.reference, 5); /* 15 · 7 / 23 */
    assert_int_equal(ramp_phase(&now, &settings), RAMP_START);

    /* Closed, it may go to the archive. */
    plan_without(fx, FX_DATE + 23, FX_DATE + 22, false);
    assert_null(coord_day(fx->core, 0, FX_DATE));
}

static void a_cancelled_draw_ends(void **state)
{
    struct fx *fx = *state;
    struct coord_civil civil[3];
    struct planning *planning = begin(FX_DATE);
    for (uint32_t i = 0; i < 3; i++)
        fill_civil(&civil[i], i, FX_DATE);
    step(fx, planning, civil, 3);
    while (planning_phase(planning) != PLANNING_DRAW)
        step(fx, planning, NULL, 0);
    planning_cancel(planning);
    assert_int_equal(planning_draw(planning), -ECANCELED);
    assert_int_equal(planning_phase(planning), PLANNING_DRAW);
    (void)planning_free(planning);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(pieces_give_the_plan_of_one_step),
        CLAIM(a_large_unit_is_sealed_in_bounded_instalments),
        CLAIM(what_was_not_sealed_is_planned_again),
        cmocka_unit_test(whoever_left_since_the_copy_is_not_planned),
        CLAIM(a_partner_who_left_lowers_what_was_possible),
        CLAIM(an_overtaken_planning_seals_nothing),
        CLAIM(a_pair_that_has_met_since_is_left_out),
        CLAIM(a_day_without_hours_moves_no_ramp),
        CLAIM(a_long_absence_closes_its_last_day_and_goes_on_lower),
        CLAIM(a_cancelled_draw_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
