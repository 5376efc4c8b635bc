#include "coordinator/sim/mailsim.h"

#include "common/base/time.h"
#include "coordinator/sim/lot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct scenario scenario;
static struct crowd crowd;
static struct mailsim *mail;
static uint64_t serial;

static int set_up(void **state)
{
    scenario_default(&scenario);
    scenario.providers_count = 1;
    scenario.providers[0].refuse_permille = scenario.providers[0].lose_permille = 0;
    serial = 0;
    return crowd_make(&scenario, 40, 1, &crowd) < 0 || mailsim_new(&scenario, &crowd, &mail) < 0;
}

static int tear_down(void **state)
{
    mail = mailsim_free(mail);
    crowd_deinit(&crowd);
    return 0;
}

static int64_t day(int32_t n)
{
    return (scenario.from + n) * FLZ_DAY_MS + 9 * FLZ_HOUR_MS;
}

static struct mailsim_answer send_at(int64_t at)
{
    struct mailsim_message message = {.from = 0, .to = 39, .lot = lot_mix(++serial), .at = at};
    return mailsim_send(mail, &message);
}

/* Of so many messages of a day; each is opened, or none. */
static uint32_t junk(int32_t n, uint32_t count, bool opened)
{
    uint32_t junk = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct mailsim_answer answer = send_at(day(n));
        assert_int_equal(answer.verdict, MAILSIM_TAKEN);
        assert_true(answer.arrives > day(n));
        junk += answer.placement == FLZ_PLACEMENT_JUNK;
        if (opened)
            mailsim_engage(mail, 0, 39, day(n), 1);
    }
    return junk;
}

static void engagement_brings_a_sender_out_of_junk(void **state)
{
    uint32_t at_first = 0, unopened = 0, later = 0;
    for (int32_t n = 0; n < 10; n++)
        unopened += junk(n, 20, false);
    assert_in_range(unopened, 90, 130); /* 55 % of 200 */
    for (int32_t n = 10; n < 20; n++)
        at_first += junk(n, 20, true);
    for (int32_t n = 20; n < 30; n++)
        later += junk(n, 20, true);
    assert_true(at_first < unopened / 2);
    assert_true(later < 15);
}

static void who_is_silent_is_forgotten(void **state)
{
    for (int32_t n = 0; n < 10; n++)
        (void)junk(n, 20, true);
    assert_in_range(junk(10 + 31, 20, false), 5, 17);
}

static void haste_is_blocked_and_costs(void **state)
{
    assert_int_equal(junk(0, 20, true) <= 20, true);
    (void)junk(1, 40, true); /* 20 and 100 % */
    for (int i = 0; i < 80; i++)
        assert_int_equal(send_at(day(2)).verdict, MAILSIM_TAKEN);
    assert_int_equal(send_at(day(2)).verdict, MAILSIM_BLOCKED);
    assert_int_equal(send_at(day(2) + FLZ_HOUR_MS).verdict, MAILSIM_BLOCKED);
    assert_int_equal(send_at(day(3) - 1).verdict, MAILSIM_BLOCKED);
    assert_int_equal(send_at(day(3)).verdict, MAILSIM_TAKEN);
}

static void a_provider_takes_so_many_a_minute(void **state)
{
    scenario.providers[0].rate_per_minute = 2;
    assert_int_equal(send_at(day(0)).verdict, MAILSIM_TAKEN);
    assert_int_equal(send_at(day(0)).verdict, MAILSIM_TAKEN);
    assert_int_equal(send_at(day(0)).verdict, MAILSIM_DEFERRED);
    assert_int_equal(send_at(day(0) + FLZ_MINUTE_MS).verdict, MAILSIM_TAKEN);
}

static void refusals_and_losses_are_as_many_as_said(void **state)
{
    uint32_t refused = 0, lost = 0;
    scenario.providers[0].refuse_permille = 100;
    scenario.providers[0].lose_permille = 100;
    scenario.providers[0].growth_floor = 100000;
    for (int i = 0; i < 2000; i++) {
        struct mailsim_answer answer = send_at(day(0));
        refused += answer.verdict == MAILSIM_REFUSED;
        lost += answer.verdict == MAILSIM_TAKEN && answer.arrives == FLZ_NEVER;
    }
    assert_in_range(refused, 150, 250);
    assert_in_range(lost, 130, 230);
}

static void an_outage_lasts_as_long_as_said(void **state)
{
    scenario.outages_count = 2;
    scenario.outages[0] = (struct scenario_outage){
        .provider = 0, .node = SCENARIO_NOBODY, .from = day(1), .until = day(2)};
    scenario.outages[1] = (struct scenario_outage){
        .provider = SCENARIO_NOBODY, .node = 3, .from = day(1), .until = day(3)};
    assert_true(mailsim_provider_down(mail, 0, day(1) - 1) == 0);
    assert_true(mailsim_provider_down(mail, 0, day(1)) == day(2));
    assert_true(mailsim_provider_down(mail, 0, day(2)) == 0);
    assert_true(mailsim_node_down(mail, 3, day(2)) == day(3));
    assert_true(mailsim_node_down(mail, 2, day(2)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(engagement_brings_a_sender_out_of_junk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_silent_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(haste_is_blocked_and_costs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_provider_takes_so_many_a_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_and_losses_are_as_many_as_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_outage_lasts_as_long_as_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
