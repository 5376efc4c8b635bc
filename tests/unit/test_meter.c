/* How many messages went in a minute, an hour, a day, and when one more may. */
#include "common/base/rng.h"
#include "node/core/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 1800000000000LL
#define MINUTE_MS 60000LL
#define EVENTS 400

static void nothing_is_limited_by_default(void **state)
{
    (void)state;
    struct meter meter = {0};
    struct meter_limits none = {0};
    meter_count(&meter, UINT32_MAX, NOW);
    meter_count(&meter, 1, NOW);
    assert_int_equal(meter_next(&meter, &none, NOW), NOW);
}

static void the_limit_holds_in_every_stretch(void **state)
{
    (void)state;
    static const int64_t lengths[METER_STRETCHES] = {MINUTE_MS, 60 * MINUTE_MS, 1440 * MINUTE_MS};
    struct flz_rng rng;
    flz_rng_init(&rng, FLZ_VIEW_NULL, 7);
    for (int stretch = 0; stretch < METER_STRETCHES; stretch++) {
        struct meter meter = {0};
        struct meter_limits limits = {0};
        int64_t at[EVENTS], now = NOW;
        limits.most[stretch] = 5;
        for (size_t i = 0; i < EVENTS; i++) {
            now += flz_rng_between(&rng, 0, lengths[stretch] / 3);
            int64_t next = meter_next(&meter, &limits, now);
            assert_true(next >= now);
            /* It is the first such time, and never more than a stretch and a slot away. */
            assert_true(next <= now + lengths[stretch] + lengths[stretch] / 12);
            assert_int_equal(meter_next(&meter, &limits, next), next);
            if (next > now)
                assert_int_equal(meter_next(&meter, &limits, next - 1), next);
            now = next;
            meter_count(&meter, 1, now);
            at[i] = now;
            if (i >= 5)
                assert_true(at[i] - at[i - 5] >= lengths[stretch]);
        }
    }
}

static void the_tightest_limit_counts(void **state)
{
    (void)state;
    struct meter meter = {0};
    struct meter_limits limits = {.most = {[METER_MINUTE] = 2, [METER_HOUR] = 3}};
    meter_count(&meter, 2, NOW);
    int64_t next = meter_next(&meter, &limits, NOW);
    assert_true(next >= NOW + MINUTE_MS && next <= NOW + 2 * MINUTE_MS);
    meter_count(&meter, 1, next);
    assert_true(meter_next(&meter, &limits, next) >= NOW + 60 * MINUTE_MS);
}

static void what_is_recalled_counts_in_the_day_alone(void **state)
{
    (void)state;
    struct meter meter = {0};
    struct meter_limits limits = {.most = {[METER_MINUTE] = 2, [METER_HOUR] = 3, [METER_DAY] = 10}};
    meter_count_day(&meter, 9, NOW);
    assert_int_equal(meter_next(&meter, &limits, NOW), NOW);
    meter_count(&meter, 1, NOW);
    assert_true(meter_next(&meter, &limits, NOW) >= NOW + 1440 * MINUTE_MS);
}

static void each_key_has_a_meter_of_its_own(void **state)
{
    (void)state;
    struct meters meters = {.items = NULL};
    struct meter *first = meters_find(&meters, flz_id_of_u64(0));
    for (uint64_t i = 1; i < 100; i++)
        assert_true(meters_find(&meters, flz_id_of_u64(i)) != first);
    assert_ptr_equal(meters_find(&meters, flz_id_of_u64(0)), first);
    assert_int_equal(meters.count, 100);
    meters_deinit(&meters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_limited_by_default),
        cmocka_unit_test(the_limit_holds_in_every_stretch),
        cmocka_unit_test(the_tightest_limit_counts),
        cmocka_unit_test(what_is_recalled_counts_in_the_day_alone),
        cmocka_unit_test(each_key_has_a_meter_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
