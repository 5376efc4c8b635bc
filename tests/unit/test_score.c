#include "coordinator/core/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct score_facts steady = {.volume = 10, .volume_before = 10};

/* A day on which `inbox` and `junk` messages were found, everything else as it should be. */
static struct row_tally day(uint32_t inbox, uint32_t junk)
{
    uint32_t n = inbox + junk;
    return (struct row_tally){.sent = n,
                              .inbox = inbox,
                              .junk = junk,
                              .due = n,
                              .done = n,
                              .verdicts = n,
                              .spf = n,
                              .dkim = n,
                              .dmarc = n};
}

static struct score score_of_day(struct row_tally tally)
{
    struct score_sums sums = {.seen = 0};
    score_add(&sums, &tally, 0);
    return score_of(&sums, &steady);
}

/* Computed by hand from the published formula. */
static void golden_scores(void **state)
{
    static const struct {
        uint32_t inbox, junk, value;
    } golden[] = {
        {40, 0, 96},   /* P = 0.912: 45 · 0.912 + 55 */
        {400, 0, 100}, /* P = 0.990 */
        {38, 2, 93},   /* P = 0.835 */
        {30, 10, 75},  /* P = 0.598: 82, capped at the share */
        {20, 20, 50},  /* capped */
        {10, 30, 35},  /* 20 + 60 · 0.25 */
        {0, 40, 20},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct score score = score_of_day(day(golden[i].inbox, golden[i].junk));
        assert_true(score.known);
        assert_int_equal(score.value, golden[i].value);
    }
}

static void placement_caps_whatever_else_is_good(void **state)
{
    for (uint32_t n = 20; n < 2000; n += 7) {
        assert_true(score_of_day(day(0, n)).value <= 20);
        assert_true(score_of_day(day(n, n)).value <= 50);
        uint32_t before = 0;
        for (uint32_t inbox = 0; inbox <= n; inbox++) {
            uint32_t value = score_of_day(day(inbox, n - inbox)).value;
            assert_true(value >= before); /* a message more in the inbox never costs */
            before = value;
        }
    }
}

static void few_observations_make_no_score(void **state)
{
    assert_false(score_of_day(day(19, 0)).known);
    assert_true(score_of_day(day(20, 0)).known);
}

static void what_nobody_saw_is_no_observation(void **state)
{
    struct row_tally seen = day(30, 5);
    struct score before = score_of_day(seen);
    seen.unobserved = 1000;
    seen.other = 1000;
    struct score after = score_of_day(seen);
    assert_int_equal(after.seen, before.seen);
    assert_int_equal(after.value, before.value);
    assert_false(score_of_day((struct row_tally){.unobserved = 100}).known);
}

/* Missing is worse than nothing: it counts against placement like Junk. */
static void missing_counts_like_junk(void **state)
{
    struct row_tally missing = day(30, 0);
    missing.missing = 10;
    assert_int_equal(score_of_day(missing).inbox.low, score_of_day(day(30, 10)).inbox.low);
}

static void refusals_and_bounces_cost_up_to_five_percent(void **state)
{
    struct row_tally tally = day(400, 0);
    tally.refused_hard = 10; /* 2.4 % of what was tried: about half of D */
    assert_int_equal(score_of_day(tally).part[SCORE_DELIVERY], 512200);
    tally.bounced = 40;
    assert_int_equal(score_of_day(tally).part[SCORE_DELIVERY], 0);
    assert_int_equal(score_of_day(tally).value, 80);
}

static void unknown_parts_weigh_nothing(void **state)
{
    struct row_tally tally = day(400, 0);
    tally.verdicts = tally.spf = tally.dkim = tally.dmarc = 0;
    struct score score = score_of_day(tally);
    assert_false(score.has_part[SCORE_AUTHENTICATION]);
    assert_int_equal(score.value, 99);
    tally.verdicts = 400; /* seen, and all failed */
    score = score_of_day(tally);
    assert_true(score.has_part[SCORE_AUTHENTICATION]);
    assert_int_equal(score.value, 85);
}

static void complaints_cost_fifteen_each(void **state)
{
    struct row_tally tally = day(400, 0);
    tally.complaints = 2;
    assert_int_equal(score_of_day(tally).value, 70);
    tally.complaints = 200;
    assert_int_equal(score_of_day(tally).value, 0);
}

static void leaps_of_the_volume_cost(void **state)
{
    static const struct {
        uint32_t before, now, cadence;
    } leaps[] = {{20, 25, 1000000}, {20, 15, 1000000}, {20, 35, 333334},
                 {20, 40, 0},       {1, 2, 1000000},   {20, 0, 0}};
    struct score_sums sums = {.seen = 0};
    struct row_tally tally = day(40, 0);
    score_add(&sums, &tally, 0);
    for (size_t i = 0; i < sizeof leaps / sizeof *leaps; i++) {
        struct score_facts facts = {.volume = leaps[i].now, .volume_before = leaps[i].before};
        assert_int_equal(score_of(&sums, &facts).part[SCORE_CADENCE], leaps[i].cadence);
    }
    assert_false(score_of(&sums, &(struct score_facts){.volume = 9}).has_part[SCORE_CADENCE]);
}

static void idle_scores_fade_by_half_in_thirty_days(void **state)
{
    struct score_sums sums = {.seen = 0};
    struct row_tally tally = day(400, 0);
    score_add(&sums, &tally, 0);
    struct score_facts facts = steady;
    uint32_t fresh = score_of(&sums, &facts).value;
    facts.idle_days = SCORE_IDLE_FREE;
    assert_int_equal(score_of(&sums, &facts).value, fresh);
    facts.idle_days = SCORE_IDLE_FREE + SCORE_IDLE_HALF;
    assert_int_equal(score_of(&sums, &facts).value, fresh / 2);
    facts.idle_days = SCORE_IDLE_FREE + 2 * SCORE_IDLE_HALF;
    assert_int_equal(score_of(&sums, &facts).value, fresh / 4);
    facts.idle_days = UINT32_MAX;
    assert_int_equal(score_of(&sums, &facts).value, 0);
}

static void old_observations_weigh_half_every_three_days(void **state)
{
    struct score_sums sums = {.seen = 0};
    struct row_tally bad = day(0, 40);
    struct row_tally good = day(40, 0);
    score_add(&sums, &good, 0);
    score_add(&sums, &bad, 6);
    assert_int_equal(sums.inbox, 40 * WILSON_ONE);
    assert_int_equal(sums.junk, 10 * WILSON_ONE);
    assert_int_equal(sums.seen, 80);
    assert_int_equal(score_of(&sums, &steady).inbox.share, 800000);
    score_add(&sums, &bad, 400);
    assert_int_equal(sums.junk, 10 * WILSON_ONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_scores),
        cmocka_unit_test(placement_caps_whatever_else_is_good),
        cmocka_unit_test(few_observations_make_no_score),
        cmocka_unit_test(what_nobody_saw_is_no_observation),
        cmocka_unit_test(missing_counts_like_junk),
        cmocka_unit_test(refusals_and_bounces_cost_up_to_five_percent),
        cmocka_unit_test(unknown_parts_weigh_nothing),
        cmocka_unit_test(complaints_cost_fifteen_each),
        cmocka_unit_test(leaps_of_the_volume_cost),
        cmocka_unit_test(idle_scores_fade_by_half_in_thirty_days),
        cmocka_unit_test(old_observations_weigh_half_every_three_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
