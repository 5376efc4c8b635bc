#include "node/core/arf.h"

#include "common/base/cleanup.h"
#include "tests/unit/report_fixture.h"

#include <string.h>

static void complaints_of_known_loops_are_read(void **state)
{
    static const struct {
        const char *name;
        const char *type;
        bool complaint;
        const char *recipient;
        const char *reporter;
        const char *to; /* of the message it is about: loops blank it */
    } rows[] = {
        {"yahoo", "abuse", true, "bob@b.test", "a.test", "bob@b.test"},
        {"blanked", "abuse", true, "redacted@b.test", "fbl.test", ""},
        {"not-spam", "not-spam", false, "", "", "bob@b.test"},
        {"jmrp", "abuse", true, "bob@b.test", "", "bob@b.test"},
    };
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct arf arf;
        char name[64];
        (void)snprintf(name, sizeof name, "fuzz_arf/%s.eml", rows[i / 2].name);
        if (!arf_parse(report_read(name, i % 2, &buf), &arf))
            fail_msg("%s is no report", name);
        print_message("%s: %s\n", name, arf.user_agent);
        assert_string_equal(arf_type_str(arf.type), rows[i / 2].type);
        assert_int_equal(arf_is_complaint(&arf), rows[i / 2].complaint);
        assert_string_equal(arf.recipient, rows[i / 2].recipient);
        assert_string_equal(arf.reporter, rows[i / 2].reporter);
        assert_true(arf.user_agent[0]);
        assert_true(arf.has_original);
        assert_string_equal(arf.original.message_id, REPORT_ID);
        assert_string_equal(arf.original.from, "ada@a.test");
        assert_string_equal(arf.original.to, rows[i / 2].to);
    }
}

static void unknown_kind_of_feedback_counts_as_a_complaint(void **state)
{
    static const char text[] = "Content-Type: multipart/report; boundary=q\n\n--q\n"
                               "Content-Type: message/feedback-report\n\n"
                               "Feedback-Type: something-new\n--q--\n";
    struct arf arf;
    assert_true(arf_parse(flz_view_str(text), &arf));
    assert_int_equal(arf.type, ARF_OTHER);
    assert_true(arf_is_complaint(&arf));
    assert_false(arf.has_original);
}

static void what_is_no_feedback_report_is_none(void **state)
{
    static const char *const names[] = {"fuzz_arf/no-part.eml", "fuzz_dsn/postfix.eml",
                                        "fuzz_dsn/exchange.eml", "fuzz_dsn/qmail.eml"};
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct arf arf;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(arf_parse(report_read(names[i], true, &buf), &arf));
    assert_false(arf_parse(FLZ_VIEW_NULL, &arf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaints_of_known_loops_are_read),
        cmocka_unit_test(unknown_kind_of_feedback_counts_as_a_complaint),
        cmocka_unit_test(what_is_no_feedback_report_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
