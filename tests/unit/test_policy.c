#include "coordinator/core/policy.h"

#include "common/base/time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void defaults_are_the_published_ones(void **state)
{
    struct policy p = policy_default();
    assert_int_equal(p.cooldown_days, 5);
    assert_int_equal(p.ceiling_per_day, 40);
    assert_int_equal(p.spacing_ms, 600000);
    assert_int_equal(p.reply_percent, 30);
    assert_int_equal(p.inbound_percent, 150);
    assert_int_equal(p.growth_percent, 25);
    assert_int_equal(p.same_owner_percent, 0);
    assert_int_equal(p.arrival_deadline_ms, 6 * FLZ_HOUR_MS);
    assert_int_equal(p.action_deadline_ms, 72 * FLZ_HOUR_MS);
    assert_int_equal(p.probe_age_ms_max, 24 * FLZ_HOUR_MS);
    assert_int_equal(p.tidy_delay_ms, 30 * FLZ_MINUTE_MS);
    assert_int_equal(p.find_delay_ms, 60000);
    assert_int_equal(p.cross_language, 0);
    assert_int_equal(p.domain_start, 20);
    assert_int_equal(p.domain_starts, 3);
}

static void every_key_is_listed_once_with_its_default_within_bounds(void **state)
{
    size_t count;
    const struct policy_key *keys = policy_keys(&count);
    struct policy p = policy_default();
    assert_int_equal(count * sizeof(int64_t), sizeof(struct policy));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(keys[i].offset, i * sizeof(int64_t));
        assert_true(strlen(keys[i].text) > 10);
        int64_t value = policy_get(&p, &keys[i]);
        assert_true(value >= keys[i].low && value <= keys[i].high);
    }
}

static void set_takes_the_bounds_and_refuses_one_beyond(void **state)
{
    size_t count;
    const struct policy_key *keys = policy_keys(&count);
    for (size_t i = 0; i < count; i++) {
        struct policy p = policy_default();
        int64_t before = policy_get(&p, &keys[i]);
        struct flz_msg msg = FLZ_MSG_NULL;
        assert_int_equal(policy_set(&p, keys[i].name, keys[i].low - 1, &msg), -ERANGE);
        assert_non_null(strstr(msg.text, keys[i].name));
        assert_int_equal(policy_set(&p, keys[i].name, keys[i].high + 1, NULL), -ERANGE);
        assert_int_equal(policy_get(&p, &keys[i]), before);
        assert_int_equal(policy_set(&p, keys[i].name, keys[i].low, &msg), 0);
        assert_int_equal(policy_get(&p, &keys[i]), keys[i].low);
        assert_int_equal(policy_set(&p, keys[i].name, keys[i].high, &msg), 0);
        assert_int_equal(policy_get(&p, &keys[i]), keys[i].high);
    }
}

static void promises_cannot_be_set_away(void **state)
{
    struct policy p = policy_default();
    assert_int_equal(policy_set(&p, "cooldown_days", 0, NULL), -ERANGE);
    assert_int_equal(policy_set(&p, "ceiling_per_day", POLICY_DAILY_CEILING + 1, NULL), -ERANGE);
    assert_int_equal(policy_set(&p, "reply_percent", 51, NULL), -ERANGE);
    assert_int_equal(policy_set(&p, "growth_percent", 26, NULL), -ERANGE);
    assert_int_equal(policy_set(&p, "inbound_percent", 151, NULL), -ERANGE);
    assert_int_equal(policy_set(&p, "same_owner_percent", 21, NULL), -ERANGE);
    assert_int_equal(policy_set(&p, "spacing_ms", 599999, NULL), -ERANGE);
}

static void an_unknown_key_says_which_was_meant(void **state)
{
    struct policy p = policy_default();
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(policy_set(&p, "cooldown_day", 3, &msg), -ENOENT);
    assert_non_null(strstr(msg.text, "did you mean 'cooldown_days'"));
    assert_int_equal(policy_set(&p, "zzzzzzzzzzz", 3, &msg), -ENOENT);
    assert_null(strstr(msg.text, "did you mean"));
}

static void values_that_contradict_one_another_are_told_apart(void **state)
{
    static const struct {
        const char *key;
        int64_t value;
        const char *words;
    } rows[] = {
        {"arrival_deadline_ms", 5 * FLZ_MINUTE_MS, NULL},
        {"find_delay_ms", FLZ_HOUR_MS, NULL},
        {"send_slot_ms", 6 * FLZ_HOUR_MS, NULL},
        {"spacing_ms", FLZ_HOUR_MS, "lower ceiling_per_day first"},
        {"action_deadline_ms", FLZ_HOUR_MS, "arrival_deadline_ms must not be above"},
    };
    struct policy p = policy_default();
    struct flz_msg msg = FLZ_MSG_NULL;
    (void)state;
    assert_int_equal(policy_check(&p, &msg), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy changed = p;
        assert_int_equal(policy_set(&changed, rows[i].key, rows[i].value, &msg), 0);
        assert_int_equal(policy_check(&changed, &msg), rows[i].words ? -EINVAL : 0);
        if (rows[i].words)
            assert_non_null(strstr(msg.text, rows[i].words));
    }
    p.find_delay_ms = FLZ_HOUR_MS;
    p.arrival_deadline_ms = FLZ_HOUR_MS;
    assert_int_equal(policy_check(&p, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "find_delay_ms must be below"));
    p = policy_default();
    p.send_slot_ms = 6 * FLZ_HOUR_MS;
    p.arrival_deadline_ms = p.action_deadline_ms = 5 * FLZ_HOUR_MS;
    assert_int_equal(policy_check(&p, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "send_slot_ms must be below"));
    /* The last message of a day begins before its midnight. */
    p = policy_default();
    p.ceiling_per_day = 7;
    p.spacing_ms = 4 * FLZ_HOUR_MS;
    assert_int_equal(policy_check(&p, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "at most 6 messages"));
    p.ceiling_per_day = 6;
    assert_int_equal(policy_check(&p, &msg), 0);
}

/* At each rate that a lab may run at, what it computes fits together. */
static void no_lab_contradicts_itself(void **state)
{
    (void)state;
    for (int64_t rate = 1000; rate <= 20000000; rate += rate / 3) {
        struct policy p = policy_for_rate(policy_default(), rate);
        struct flz_msg msg = FLZ_MSG_NULL;
        if (policy_check(&p, &msg) < 0)
            fail_msg("rate %lld: %s", (long long)rate, msg.text);
    }
}

static void rate_one_changes_nothing(void **state)
{
    struct policy p = policy_default();
    struct policy same = policy_for_rate(p, 1000);
    assert_memory_equal(&p, &same, sizeof(p));
}

static void a_fast_lab_keeps_real_floors(void **state)
{
    struct policy p = policy_for_rate(policy_default(), 5760 * 1000); /* a day in 15 s */
    assert_int_equal(p.arrival_deadline_ms, 5760 * 45 * FLZ_SECOND_MS);
    assert_int_equal(p.probe_age_ms_max, 5760 * 120 * FLZ_SECOND_MS);
    assert_int_equal(p.send_slot_ms, 5760 * 8 * FLZ_SECOND_MS);
    assert_int_equal(p.action_deadline_ms, 5760 * 60 * FLZ_SECOND_MS);
    assert_int_equal(p.find_delay_ms, 5760 * 300);
    assert_int_equal(p.grace_ms, 5760 * 10 * FLZ_SECOND_MS);
    assert_int_equal(p.spacing_ms, 10 * FLZ_MINUTE_MS);
    assert_int_equal(p.tidy_delay_ms, 30 * FLZ_MINUTE_MS);
    struct policy slow = policy_for_rate(policy_default(), 1001);
    assert_int_equal(slow.grace_ms, 10010);
    assert_int_equal(slow.arrival_deadline_ms, 6 * FLZ_HOUR_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_published_ones),
        cmocka_unit_test(every_key_is_listed_once_with_its_default_within_bounds),
        cmocka_unit_test(set_takes_the_bounds_and_refuses_one_beyond),
        cmocka_unit_test(promises_cannot_be_set_away),
        cmocka_unit_test(an_unknown_key_says_which_was_meant),
        cmocka_unit_test(values_that_contradict_one_another_are_told_apart),
        cmocka_unit_test(no_lab_contradicts_itself),
        cmocka_unit_test(rate_one_changes_nothing),
        cmocka_unit_test(a_fast_lab_keeps_real_floors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
