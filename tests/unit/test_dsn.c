#include "node/core/dsn.h"

#include "common/base/cleanup.h"
#include "tests/unit/report_fixture.h"

#include <string.h>

static void reports_of_known_servers_are_read(void **state)
{
    static const struct {
        const char *name;
        bool standard;
        enum dsn_action action;
        int code;
        const char *enhanced;
        const char *words; /* in the text */
        const char *remote_mta;
    } rows[] = {
        {"postfix", true, DSN_FAILED, 550, "5.1.1", "User unknown in virtual", "mx.b.test"},
        {"postfix-delayed", true, DSN_DELAYED, 0, "4.4.1", "Connection timed out", ""},
        {"exim", true, DSN_FAILED, 550, "5.2.1", "is inactive. 550 5.2.1 See", "mx.b.test"},
        {"exim-text", false, DSN_FAILED, 550, "5.1.1", "no such user here", ""},
        {"qmail", false, DSN_FAILED, 0, "5.1.1", "no mailbox here by that name", ""},
        {"yahoo", false, DSN_FAILED, 0, "", "doesn't have a b.test account", ""},
        {"exchange", true, DSN_FAILED, 550, "5.1.10", "RecipientNotFound", ""},
        {"gmail-like", true, DSN_FAILED, 550, "5.1.1", "does not exist", "mx.b.test"},
    };
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct dsn dsn;
        char name[64], enhanced[16];
        (void)snprintf(name, sizeof name, "fuzz_dsn/%s.eml", rows[i / 2].name);
        if (!dsn_parse(report_read(name, i % 2, &buf), &dsn))
            fail_msg("%s is no report", name);
        const struct dsn_recipient *recipient = &dsn.recipients[0];
        print_message("%s: %d %s\n", name, recipient->code, recipient->text);
        assert_int_equal(dsn.recipients_count, 1);
        assert_int_equal(dsn.standard, rows[i / 2].standard);
        assert_string_equal(recipient->address, "bob@b.test");
        assert_int_equal(recipient->action, rows[i / 2].action);
        assert_int_equal(recipient->code, rows[i / 2].code);
        reply_enhanced_format(recipient->enhanced, enhanced);
        assert_string_equal(enhanced, rows[i / 2].enhanced);
        assert_non_null(strstr(recipient->text, rows[i / 2].words));
        assert_string_equal(recipient->remote_mta, rows[i / 2].remote_mta);
        assert_true(dsn.has_original);
        assert_string_equal(dsn.original.message_id, REPORT_ID);
        assert_string_equal(dsn.original.from, "ada@a.test");
        assert_string_equal(dsn.original.to, "bob@b.test");
        assert_true(strlen(dsn.original.x_fluenzr) > 200);
    }
}

static void envelope_id_and_reporter_are_kept(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct dsn dsn;
    assert_true(dsn_parse(report_read("fuzz_dsn/postfix.eml", true, &buf), &dsn));
    assert_string_equal(dsn.envelope_id, "202122232425262728292a2b2c2d2e2f");
    assert_string_equal(dsn.reporting_mta, "mail.a.test");
    assert_string_equal(dsn.recipients[0].original, "bob@b.test");
    assert_true(dsn_parse(report_read("fuzz_dsn/exchange.eml", true, &buf), &dsn));
    assert_string_equal(dsn.reporting_mta, "db9pr02mb0001.eurprd02.prod.outlook.com");
}

/* Whatever is missing at its end, a report that was cut still says what was read of it. */
static void report_that_was_cut_says_what_is_left_of_it(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct dsn dsn;
    struct flz_view whole = report_read("fuzz_dsn/postfix.eml", true, &buf);
    bool read = false;
    for (size_t len = 0; len <= whole.len; len++) {
        bool now = dsn_parse((struct flz_view){whole.data, len}, &dsn);
        assert_true(now || !read);
        read = now;
    }
    assert_true(read);
    assert_true(dsn_parse(report_read("fuzz_dsn/many.eml", false, &buf), &dsn));
    assert_int_equal(dsn.recipients_count, DSN_RECIPIENTS_MAX);
    assert_false(dsn.has_original);
}

static void what_is_no_delivery_report_is_none(void **state)
{
    static const char *const names[] = {"fuzz_dsn/full-dovecot.eml", "fuzz_dsn/noise.eml",
                                        "fuzz_arf/yahoo.eml", "fuzz_arf/jmrp.eml"};
    static const char *const texts[] = {
        "",
        "\n",
        "Subject: hello\n\nHow are you?\n",
        "Subject: hello\n\n<bob@b.test>:\nis not here\n", /* no message came back */
        ("Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status"
         "\n\nReporting-MTA: dns; a.test\n\nFinal-Recipient: rfc822; bob@b.test\n\n--x--\n"),
    };
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct dsn dsn;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(dsn_parse(report_read(names[i], true, &buf), &dsn));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(dsn_parse(flz_view_str(texts[i]), &dsn));
}

static void strange_addresses_and_controls_stay_outside(void **state)
{
    static const char text[] =
        "Content-Type: multipart/report; report-type=delivery-status; boundary=\"x y\"\r\n\r\n"
        "--x y\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; a..test\r\n\r\n"
        "Final-Recipient: rfc822; \"bob\"@b.test\r\nAction: FAILED (really)\r\n"
        "Status: 9.9.9\r\nDiagnostic-Code: smtp; 999 \x01\x7f\xc3\xa9 no\r\n"
        "Remote-MTA: dns; <script>\r\n--x y--\r\n";
    struct dsn dsn;
    assert_true(dsn_parse(flz_view_str(text), &dsn));
    assert_string_equal(dsn.reporting_mta, "");
    assert_string_equal(dsn.recipients[0].address, "");
    assert_int_equal(dsn.recipients[0].code, 0);
    assert_int_equal(dsn.recipients[0].enhanced.class, 0);
    assert_string_equal(dsn.recipients[0].remote_mta, "");
    for (const char *p = dsn.recipients[0].text; *p; p++)
        assert_in_range(*p, 0x20, 0x7e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_known_servers_are_read),
        cmocka_unit_test(envelope_id_and_reporter_are_kept),
        cmocka_unit_test(report_that_was_cut_says_what_is_left_of_it),
        cmocka_unit_test(what_is_no_delivery_report_is_none),
        cmocka_unit_test(strange_addresses_and_controls_stay_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
