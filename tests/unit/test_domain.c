#include "coordinator/core/domain.h"

#include "common/base/rng.h"
#include "coordinator/core/plan.h"
#include "tests/unit/coord_fixture.h"

#define SHARES_MAX 40

static struct policy policy(void)
{
    return policy_default();
}

/* ---- The rules alone ---- */

static void a_new_domain_begins_with_20_and_grows_by_a_quarter(void **state)
{
    struct policy p = policy();
    static const struct {
        uint64_t sent, declared, limit;
    } rows[] = {{0, 0, 20},  {10, 0, 20},   {16, 0, 20},  {17, 0, 21}, {100, 0, 125}, {40, 60, 65},
                {0, 40, 20}, {0, 400, 100}, {20, 10, 27}, {0, 16, 20}, {0, 100, 25}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct domain_level level = {.sent = rows[i].sent, .declared = rows[i].declared};
        assert_int_equal(domain_limit(&level, &p), rows[i].limit);
    }
}

static void at_most_three_begin_on_a_day_in_their_order(void **state)
{
    struct policy p = policy();
    struct domain_level level = {0};
    struct domain_share shares[5];
    for (size_t i = 0; i < 5; i++)
        shares[i] = (struct domain_share){.quota = 5};
    domain_divide(shares, 5, &level, &p);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(shares[i].given, i < 3 ? 5 : 0);
    assert_int_equal(level.planned, 15);
    assert_int_equal(level.starts, 3);

    /* Another unit of the same day finds nothing left to begin with. */
    struct domain_share late = {.quota = 5};
    domain_divide(&late, 1, &level, &p);
    assert_int_equal(late.given, 0);
}

static void a_level_is_kept_before_anybody_grows_or_begins(void **state)
{
    struct policy p = policy();
    struct domain_level level = {.sent = 40};
    struct domain_share shares[] = {
        {.quota = 5}, {.level = 20, .quota = 25}, {.level = 20, .quota = 25}};
    domain_divide(shares, 3, &level, &p); /* 50 in all */
    assert_int_equal(shares[1].given, 25);
    assert_int_equal(shares[2].given, 25);
    assert_int_equal(shares[0].given, 0);

    /* Beyond its limit already: nobody is put down. */
    level = (struct domain_level){.sent = 10, .planned = 30};
    struct domain_share old = {.level = 12, .quota = 15};
    domain_divide(&old, 1, &level, &p);
    assert_int_equal(old.given, 12);
}

static void a_promised_answer_is_given_and_is_a_beginning(void **state)
{
    struct policy p = policy();
    struct domain_level level = {.starts = 3};
    struct domain_share shares[] = {{.quota = 5, .promised = 2}, {.quota = 5}};
    domain_divide(shares, 2, &level, &p);
    assert_int_equal(shares[0].given, 5);
    assert_int_equal(shares[1].given, 0);
    assert_int_equal(level.starts, 4);
}

/* D1 to D3 over random domains, growing for weeks; everybody has begun in the end. */
static void random_domains_never_jump_and_never_starve(void **state)
{
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct flz_rng rng;
        flz_rng_init(&rng, flz_view_str("domain"), seed);
        struct policy p = policy();
        p.domain_starts = 1 + (int64_t)flz_rng_below(&rng, 5);
        p.domain_start = 5 + (int64_t)flz_rng_below(&rng, 40);
        size_t count = 1 + flz_rng_below(&rng, SHARES_MAX);
        uint32_t levels[SHARES_MAX] = {0};
        for (int day = 0; day < 120; day++) {
            struct domain_level level = {0};
            struct domain_share shares[SHARES_MAX];
            uint64_t kept = 0;
            for (size_t i = 0; i < count; i++) {
                level.sent += levels[i];
                uint32_t want = levels[i] ? levels[i] + (levels[i] / 4 ? levels[i] / 4 : 1) : 5;
                shares[i] =
                    (struct domain_share){.level = levels[i], .quota = want < 20 ? want : 20};
                kept += shares[i].quota < levels[i] ? shares[i].quota : levels[i];
            }
            uint64_t limit = domain_limit(&level, &p), total = 0;
            domain_divide(shares, count, &level, &p);
            uint32_t starts = 0;
            for (size_t i = 0; i < count; i++) {
                total += shares[i].given;
                starts += levels[i] == 0 && shares[i].given > 0;
                assert_true(shares[i].given <= shares[i].quota);
                assert_true(shares[i].given >= levels[i]);
                levels[i] = shares[i].given;
            }
            assert_int_equal(total, level.planned);
            assert_true(total <= limit || total == kept);
            assert_true(starts <= (uint64_t)p.domain_starts);
        }
        for (size_t i = 0; i < count; i++)
            assert_int_equal(levels[i], 20);
    }
}

static void who_waits_is_told_for_how_long(void **state)
{
    struct policy p = policy();
    struct domain_level level = {.sent = 100};
    struct domain_share shares[11] = {{.level = 20, .quota = 22}};
    (void)state;
    for (size_t i = 1; i < 11; i++)
        shares[i] = (struct domain_share){.quota = 5};
    shares[10].quota = 0; /* its pool carries nothing: it waits for that, not for its domain */
    domain_divide(shares, 11, &level, &p);
    static const uint32_t waits[11] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 0};
    for (size_t i = 0; i < 11; i++)
        assert_int_equal(shares[i].waits, waits[i]);

    /* Growth that the domain withholds comes on the next day at the earliest. */
    level = (struct domain_level){.sent = 10};
    struct domain_share grown[] = {{.level = 12, .quota = 15}, {.level = 8, .quota = 10}};
    domain_divide(grown, 2, &level, &p);
    assert_int_equal(grown[0].given, 12);
    assert_int_equal(grown[0].waits, 1);
    assert_int_equal(grown[1].waits, 1);
}

/* D4 over random domains: never more than the cap, nobody above its own room, and no room wasted.
 */
static void a_domain_receives_no_more_than_its_cap(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct flz_rng rng;
        flz_rng_init(&rng, flz_view_str("inbound"), seed);
        struct policy p = policy();
        p.domain_inbound = 1 + (int64_t)flz_rng_below(&rng, 300);
        struct domain_mailbox mailboxes[SHARES_MAX];
        uint32_t own[SHARES_MAX];
        struct domain_inbound sums[3] = {{.taken = flz_rng_below(&rng, 200)}};
        uint64_t rooms[3] = {0}, given[3] = {0};
        uint64_t taken = sums[0].taken;
        for (size_t i = 0; i < SHARES_MAX; i++) {
            own[i] = (uint32_t)flz_rng_below(&rng, 40);
            mailboxes[i] =
                (struct domain_mailbox){.domain = (uint32_t)flz_rng_below(&rng, 3), .room = own[i]};
            rooms[mailboxes[i].domain] += own[i];
        }
        domain_receive(mailboxes, SHARES_MAX, sums, (uint32_t)seed, &p);
        for (size_t i = 0; i < SHARES_MAX; i++) {
            assert_true(mailboxes[i].room <= own[i]);
            given[mailboxes[i].domain] += mailboxes[i].room;
        }
        for (size_t i = 0; i < 3; i++) {
            uint64_t cap = (uint64_t)p.domain_inbound, before = i == 0 ? taken : 0;
            uint64_t left = cap > before ? cap - before : 0;
            assert_int_equal(given[i], left < rooms[i] ? left : rooms[i]);
        }
    }
}

/* A cap far below the number of mailboxes does not always choose the same ones. */
static void what_a_cap_leaves_goes_around(void **state)
{
    struct policy p = policy();
    bool served[SHARES_MAX] = {false};
    (void)state;
    p.domain_inbound = 3;
    for (uint32_t turn = FX_DATE; turn < FX_DATE + 60; turn++) {
        struct domain_mailbox mailboxes[SHARES_MAX];
        struct domain_inbound sum = {0};
        for (size_t i = 0; i < SHARES_MAX; i++)
            mailboxes[i] = (struct domain_mailbox){.room = 7};
        domain_receive(mailboxes, SHARES_MAX, &sum, turn, &p);
        for (size_t i = 0; i < SHARES_MAX; i++)
            served[i] = served[i] || mailboxes[i].room > 0;
    }
    for (size_t i = 0; i < SHARES_MAX; i++)
        assert_true(served[i]);
}

/* ---- In the plan ---- */

static void plan(struct fx *fx, int32_t date)
{
    struct coord_civil civil[16];
    size_t count = coord_account_count(fx->core);
    for (uint32_t i = 0; i < count; i++) {
        civil[i] = (struct coord_civil){.account = i, .sends = true};
        for (int d = 0; d < COORD_WINDOW_DAYS; d++)
            civil[i].windows[d] = (struct coord_window){.start = (date + d) * FLZ_DAY_MS,
                                                        .end = (date + d + 1) * FLZ_DAY_MS};
    }
    struct coord_pack pack = {.language = "en", .scenarios = 2, .turns = {1, 1}};
    fx_step(fx, (struct coord_command){.kind = COORD_PLAN,
                                       .plan = {.date = date,
                                                .civil = civil,
                                                .civil_count = count,
                                                .packs = &pack,
                                                .packs_count = 1,
                                                .seed = 1}});
}

static void a_plan_lets_three_accounts_of_a_domain_begin_and_says_why(void **state)
{
    struct fx fx;
    fx_init(&fx);
    for (uint32_t n = 10; n < 15; n++) {
        fx_report(&fx, n % 2, fx_account(n));
        fx_report(&fx, n % 2, fx_probe(&fx, n));
    }
    fx_step(&fx,
            (struct coord_command){.kind = COORD_SET_POLICY,
                                   .policy = {.key = "cooldown_days", .value = 1, .by = "me"}});
    plan(&fx, FX_DATE);
    uint32_t first = coord_account_count(fx.core) - 5, begun = 0;
    for (uint32_t i = first; i < first + 5; i++) {
        const struct row_day *day = coord_day(fx.core, i, FX_DATE);
        assert_non_null(day);
        assert_true(day->planned_day);
        begun += day->quota > 0;
        if (day->quota > 0)
            continue;
        assert_int_equal(day->shortfall_reason, PLAN_DOMAIN);
        assert_true(day->shortfall > 0);
        assert_int_equal(day->waits_until, FX_DATE + 1);
        struct coord_why why;
        coord_explain(fx.core, i, fx.now, &why);
        bool said = false;
        for (size_t l = 0; l < why.lines_count; l++)
            said = said || (strstr(why.lines[l].text, "its domain ramps as well") &&
                            strstr(why.lines[l].text, "not before 2026-"));
        assert_true(said);
    }
    assert_int_equal(begun, 3);

    fx.now = AT(23, 0);
    for (uint32_t n = 0; n < 3; n++)
        fx_report(&fx, n % 2, fx_probe(&fx, n));
    for (uint32_t n = 10; n < 15; n++)
        fx_report(&fx, n % 2, fx_probe(&fx, n));
    plan(&fx, FX_DATE + 1);
    for (uint32_t i = first + 3; i < first + 5; i++) {
        assert_int_equal(coord_account(fx.core, i)->ramp_reference, 0);
        assert_true(coord_day(fx.core, i, FX_DATE + 1)->quota > 0);
    }
    fx_same(&fx);
    fx_deinit(&fx);
}

static void a_domains_cap_holds_in_the_plan(void **state)
{
    struct fx fx;
    uint32_t inbound = 0, all = 0;
    (void)state;
    fx_init(&fx);
    for (uint32_t n = 10; n < 15; n++) { /* of one domain */
        fx_report(&fx, n % 2, fx_account(n));
        fx_report(&fx, n % 2, fx_probe(&fx, n));
    }
    fx_step(&fx,
            (struct coord_command){.kind = COORD_SET_POLICY,
                                   .policy = {.key = "cooldown_days", .value = 1, .by = "me"}});
    fx_step(&fx,
            (struct coord_command){.kind = COORD_SET_POLICY,
                                   .policy = {.key = "domain_inbound", .value = 2, .by = "me"}});
    plan(&fx, FX_DATE);
    for (uint32_t i = 0; i < coord_exchange_limit(fx.core); i++) {
        const struct row_exchange *x = coord_exchange(fx.core, i);
        bool to_domain = x->to >= 3;
        all++;
        inbound += to_domain && x->turns[0].open_date == FX_DATE;
    }
    assert_true(all > inbound);
    assert_int_equal(inbound, 2);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_domain_begins_with_20_and_grows_by_a_quarter),
        cmocka_unit_test(at_most_three_begin_on_a_day_in_their_order),
        cmocka_unit_test(a_level_is_kept_before_anybody_grows_or_begins),
        cmocka_unit_test(a_promised_answer_is_given_and_is_a_beginning),
        cmocka_unit_test(random_domains_never_jump_and_never_starve),
        cmocka_unit_test(who_waits_is_told_for_how_long),
        cmocka_unit_test(a_domain_receives_no_more_than_its_cap),
        cmocka_unit_test(what_a_cap_leaves_goes_around),
        cmocka_unit_test(a_domains_cap_holds_in_the_plan),
        cmocka_unit_test(a_plan_lets_three_accounts_of_a_domain_begin_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
