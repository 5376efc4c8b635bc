#include "coordinator/sim/scenario.h"

#include "common/base/time.h"
#include "coordinator/sim/crowd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct tz *tz;
static struct flz_msg msg;
static struct scenario scenario;

static int set_up(void **state)
{
    return tz_new(&tz);
}

static int tear_down(void **state)
{
    tz = tz_free(tz);
    return 0;
}

/* Reads the text as a file "s.yaml", in a folder of its own. */
static int read_text(const char *text)
{
    char dir[] = "/tmp/test_scenario.XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/s.yaml", dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    msg = FLZ_MSG_NULL;
    int r = scenario_load(path, tz, &scenario, &msg);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    return r;
}

static void refuses(const char *text, const char *why)
{
    assert_int_equal(read_text(text), -EINVAL);
    if (!strstr(msg.text, why))
        fail_msg("'%s' does not say '%s'", msg.text, why);
}

static void the_shipped_file_says_what_holds_without_it(void **state)
{
    struct scenario *usual = calloc(1, sizeof *usual);
    assert_non_null(usual);
    scenario_default(usual);
    memset(&scenario, 0, sizeof scenario);
    assert_int_equal(scenario_load("deploy/conf/scenario.yaml", tz, &scenario, &msg), 0);
    assert_memory_equal(&scenario, usual, sizeof scenario);
    free(usual);
}

static void a_file_changes_what_it_names(void **state)
{
    assert_int_equal(read_text("nodes: 3\nhours: 20:30-04:00\npool:\n  big_owner_percent: 30\n"
                               "zones: {Asia/Kolkata: 1}\npolicy: {spacing_ms: 15m, "
                               "cooldown_days: 2}\nproviders: {a: {weight: 2}, b: {}}\n"
                               "outages:\n  - {provider: b, day: 2, hour: 3, for: 90m}\n"),
                     0);
    assert_int_equal(scenario.nodes, 3);
    assert_int_equal(scenario.start_minute, 20 * 60 + 30);
    assert_int_equal(scenario.end_minute, 4 * 60);
    assert_int_equal(scenario.big_owner_percent, 30);
    assert_int_equal(scenario.accounts_per_domain, 4);
    assert_int_equal(scenario.zones.count, 1);
    assert_int_equal(scenario.policy.spacing_ms, 15 * FLZ_MINUTE_MS);
    assert_int_equal(scenario.policy.cooldown_days, 2);
    assert_int_equal(scenario.providers_count, 2);
    assert_int_equal(scenario.outages_count, 1);
    assert_int_equal(scenario.outages[0].provider, 1);
    int64_t from = (scenario.from + 1) * FLZ_DAY_MS + 3 * FLZ_HOUR_MS;
    assert_true(scenario.outages[0].from == from);
    assert_true(scenario.outages[0].until == from + 90 * FLZ_MINUTE_MS);
    assert_int_equal(read_text("# nothing\n"), 0);
}

static void a_fault_is_told_with_its_place(void **state)
{
    refuses("nodes: 3\npol: {}\n", "s.yaml:2:");
    refuses("zone: {UTC: 1}\n", "unknown key 'zone' (did you mean 'zones'?)");
    refuses("pool: {acounts_per_domain: 4}\n", "did you mean");
    refuses("pool: {accounts_per_domain: 0}\n", "s.yaml:1:");
    refuses("pool: {big_owner_percent: 60, big_domain_percent: 60}\n", "more than 100");
    refuses("zones: {Europe/Pariss: 1}\n", "Europe/Paris");
    refuses("zones: {}\n", "zones is a mapping");
    refuses("languages: {en: 0}\n", "all 0");
    refuses("languages: {en: -1}\n", "is a number");
    refuses("profiles: {nww: 1}\n", "unknown profile 'nww' (did you mean 'new'?)");
    refuses("intensities: {max: 1}\n", "unknown intensity");
    refuses("weeks: {Mon-Foo: 1}\n", "list of days");
    refuses("hours: 8-18\n", "08:00-18:00");
    refuses("hours: 08:00-08:00\n", "08:00-18:00");
    refuses("hours: 24:00-08:00\n", "08:00-18:00");
    refuses("from: 2026-02-30\n", "no date");
    refuses("nodes: 1\n", "nodes is a number");
    refuses("policy: {cooldwn_days: 3}\n", "did you mean 'cooldown_days'?");
    refuses("policy: {growth_percent: 60}\n", "must be between");
    refuses("policy: {spacing_ms: soon}\n", "duration");
    refuses("policy: 5\n", "mapping of rules");
    refuses("providers: {}\n", "providers is a mapping");
    refuses("providers: {a: {weight: 0}}\n", "weights of all");
    refuses("providers: {a: {engagements: 0}}\n", "s.yaml:1:");
    refuses("providers: {a: {engagement: 5}}\n", "did you mean 'engagements'?");
    refuses("outages: [{provider: smpt, day: 1, for: 1h}]\n", "did you mean 'smtp'?");
    refuses("outages: [{day: 1, for: 1h}]\n", "a provider or a node");
    refuses("outages: [{provider: smtp, node: 1, day: 1, for: 1h}]\n", "a provider or a node");
    refuses("outages: [{node: 21, day: 1, for: 1h}]\n", "there are 20");
    refuses("outages: [{node: 1, for: 1h}]\n", "day");
    refuses("outages: {}\n", "is a list");
    refuses("- 1\n", "a mapping of keys is needed");
    assert_int_equal(scenario_load("/nowhere/s.yaml", tz, &scenario, &msg), -ENOENT);
}

/* ---- Who is drawn ---- */

static void count_crowd(const struct crowd *crowd, uint32_t *ret_first, uint32_t *ret_alone)
{
    uint32_t first = 0, alone = 0;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct crowd_account *a = &crowd->accounts[i];
        assert_true(i == 0 || a->joins >= crowd->accounts[i - 1].joins);
        assert_true(a->domain < crowd->domains && a->owner < crowd->owners);
        first += a->joins == 0;
        alone += a->owner == 0;
    }
    *ret_first = first;
    *ret_alone = alone;
}

static void a_crowd_is_what_the_scenario_says(void **state)
{
    struct crowd crowd = CROWD_NULL, again = CROWD_NULL;
    uint32_t first, alone;
    scenario_default(&scenario);
    scenario.big_owner_percent = 30;
    scenario.first_day_percent = 40;
    assert_int_equal(crowd_make(&scenario, 10000, 7, &crowd), 0);
    assert_int_equal(crowd_make(&scenario, 10000, 7, &again), 0);
    assert_memory_equal(crowd.accounts, again.accounts, 10000 * sizeof *crowd.accounts);
    count_crowd(&crowd, &first, &alone);
    assert_int_equal(alone, 3000);
    /* An owner joins as a whole: a few more than the share may be there. */
    assert_in_range(first, 4000, 4000 + 100);
    assert_in_range(crowd.domains, 10000 / 4 - 200, 10000 / 4 + 200);
    assert_int_equal(crowd.accounts[9999].joins, 14);
    crowd_deinit(&crowd);
    crowd_deinit(&again);
}

static void a_big_domain_has_as_many_owners(void **state)
{
    struct crowd crowd = CROWD_NULL;
    scenario_default(&scenario);
    scenario.big_domain_percent = 100;
    assert_int_equal(crowd_make(&scenario, 50, 7, &crowd), 0);
    assert_int_equal(crowd.domains, 1);
    assert_int_equal(crowd.owners, 50);
    crowd_deinit(&crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_file_says_what_holds_without_it),
        cmocka_unit_test(a_file_changes_what_it_names),
        cmocka_unit_test(a_fault_is_told_with_its_place),
        cmocka_unit_test(a_crowd_is_what_the_scenario_says),
        cmocka_unit_test(a_big_domain_has_as_many_owners),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
