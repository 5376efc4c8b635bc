#include "coordinator/core/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Whatever was sent before: always more, and never more than its table or share says. */
static void every_table_climbs_and_never_jumps_off_it(void **state)
{
    struct policy policy = policy_default();
    size_t count;
    const struct plain_table *tables = plain_tables(&count);
    (void)state;
    for (size_t t = 0; t < count; t++) {
        const struct plain_table *table = &tables[t];
        assert_ptr_equal(plain_find(table->name), table);
        assert_true(strlen(table->text) > 10 && strlen(table->source) > 10);
        for (uint64_t level = 0; level < 300000; level = level * 9 / 8 + 1) {
            uint64_t next = plain_next(table, level, &policy);
            bool on_step = false;
            for (size_t i = 0; i < table->steps_count; i++)
                on_step = on_step || table->steps[i] == next;
            assert_true(next > level);
            assert_true(on_step || next <= 20 || next * 100 <= level * 140);
        }
    }
    assert_null(plain_find("fast"));
}

static void the_steady_one_is_the_domains_own_ramp(void **state)
{
    static const uint64_t days[] = {20, 25, 31, 38, 47, 58, 72, 90, 112, 140, 175};
    struct policy policy = policy_default();
    uint64_t level = 0;
    (void)state;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        level = plain_next(plain_find("steady"), level, &policy);
        assert_int_equal(level, days[i]);
    }
}

static void the_engaged_come_first(void **state)
{
    (void)state;
    assert_non_null(strstr(plain_audience(5, 5), "30 days"));
    assert_non_null(strstr(plain_audience(6, 5), "90 days"));
    assert_non_null(strstr(plain_audience(11, 5), "180 days"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_climbs_and_never_jumps_off_it),
        cmocka_unit_test(the_steady_one_is_the_domains_own_ramp),
        cmocka_unit_test(the_engaged_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
