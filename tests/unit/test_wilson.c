#include "coordinator/core/wilson.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct wilson of(uint64_t hits, uint64_t n)
{
    return wilson_interval(hits * WILSON_ONE, n * WILSON_ONE);
}

/* Published values: 20 of 200, 2 of 20, 4 of 20; none and all of ten. */
static void known_intervals_are_met(void **state)
{
    static const struct {
        uint64_t hits, n;
        uint32_t low, high; /* thousandths */
    } known[] = {{20, 200, 66, 149}, {2, 20, 28, 301}, {4, 20, 81, 416},
                 {0, 10, 0, 278},    {10, 10, 722, 1000}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct wilson w = of(known[i].hits, known[i].n);
        assert_int_equal((w.low + 500) / 1000, known[i].low);
        assert_int_equal((w.high + 500) / 1000, known[i].high);
    }
}

static void nothing_seen_may_be_anything(void **state)
{
    struct wilson w = of(0, 0);
    assert_int_equal(w.low, 0);
    assert_int_equal(w.high, SHARE_ONE);
    assert_int_equal(of(5, 3).share, SHARE_ONE); /* more hits than observations are all of them */
}

/* Against the formula in floating point, over eleven orders of magnitude. */
static void fixed_point_stays_near_the_formula(void **state)
{
    for (uint64_t n = 1; n < UINT64_C(200000000000); n = n * 7 / 3 + 1) {
        for (uint64_t part = 0; part <= 16; part++) {
            uint64_t hits = n < UINT64_MAX / 16 ? n * part / 16 : n / 16 * part;
            struct wilson w = of(hits, n > 4000000000 ? 4000000000 : n);
            double k = (double)(hits > 4000000000 ? 4000000000 : hits);
            double all = (double)(n > 4000000000 ? 4000000000 : n), z = 1.96;
            double half = z * sqrt(z * z + 4 * k * (all - k) / all);
            double low = (2 * k + z * z - half) / (2 * (all + z * z));
            double high = (2 * k + z * z + half) / (2 * (all + z * z));
            assert_true(fabs(low * SHARE_ONE - w.low) < 12);
            assert_true(fabs(high * SHARE_ONE - w.high) < 12);
            assert_true(w.low <= w.share && w.share <= w.high);
        }
    }
}

static void more_observations_narrow_it(void **state)
{
    for (uint64_t n = 10; n < 100000; n *= 2) {
        struct wilson few = of(n / 5, n);
        struct wilson many = of(2 * n / 5, 2 * n);
        assert_true(many.high - many.low < few.high - few.low);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_intervals_are_met),
        cmocka_unit_test(nothing_seen_may_be_anything),
        cmocka_unit_test(fixed_point_stays_near_the_formula),
        cmocka_unit_test(more_observations_narrow_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
