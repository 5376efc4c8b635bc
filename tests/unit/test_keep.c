#include "coordinator/keep.h"

#include "common/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool gives(const struct keep *keep, int64_t now, const char *text)
{
    _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
    bool given = keep_get(keep, now, &body);
    assert_string_equal(flz_buf_str(&body), given ? text : "");
    return given;
}

static void a_dear_answer_is_given_until_it_is_old(void **state)
{
    _cleanup_(keep_deinit) struct keep keep = KEEP_NULL;
    assert_false(gives(&keep, 0, ""));
    keep_put(&keep, flz_view_str("dear"), 1000, 1100);
    assert_true(gives(&keep, 1100, "dear"));
    assert_true(gives(&keep, 1000 + 100 * KEEP_FACTOR - 1, "dear"));
    assert_false(gives(&keep, 1000 + 100 * KEEP_FACTOR, ""));
}

static void a_cheap_answer_is_not_kept_and_ends_the_one_before(void **state)
{
    _cleanup_(keep_deinit) struct keep keep = KEEP_NULL;
    keep_put(&keep, flz_view_str("dear"), 1000, 1100);
    keep_put(&keep, flz_view_str("cheap"), 1200, 1200 + KEEP_FROM_MS - 1);
    assert_false(gives(&keep, 1201, ""));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dear_answer_is_given_until_it_is_old),
        cmocka_unit_test(a_cheap_answer_is_not_kept_and_ends_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
