/*
 * Reading the header block of a message that strangers may have written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/hash.h"
#include "node/core/header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct header parse(const char *block)
{
    struct header header;
    header_parse(flz_view_str(block), &header);
    return header;
}

static void fields_are_unfolded_and_found_whatever_the_case(void **state)
{
    (void)state;
    struct header h = parse("Authentication-Results: mx; spf=pass\r\n"
                            "Authentication-Results: forged; spf=fail\r\n"
                            "FROM: \"Bob, the (first)\" <Bob@B.test> (x)\r\n"
                            "to: ada@a.test\r\n"
                            "SubJect: one\r\n\ttwo\r\n  three\r\n"
                            "Message-id :\r\n <m@b.test>\r\n"
                            "X-Microsoft-Original-Message-ID: <o@b.test>\r\n"
                            "X-FluenzR: v=1; net=ab\r\n cd\r\n"
                            "Auto-Submitted: Auto-Generated; x=y\r\n"
                            "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
                            "\r\nSubject: not a header\r\nFrom: x@y.test\r\n");
    assert_string_equal(h.from, "Bob@b.test");
    assert_string_equal(h.to, "ada@a.test");
    assert_string_equal(h.subject, "one two  three");
    assert_string_equal(h.message_id, "m@b.test");
    assert_string_equal(h.original_message_id, "o@b.test");
    assert_string_equal(h.x_fluenzr, "v=1; net=ab cd");
    assert_string_equal(h.auto_submitted, "auto-generated");
    assert_string_equal(h.authentication, "mx; spf=pass");
    assert_true(h.has_date);
    assert_int_equal(h.date_ms, INT64_C(880127706000));
    assert_false(h.doubled);
}

static void doubled_fields_are_said_to_be(void **state)
{
    (void)state;
    assert_true(parse("From: a@b.test\r\nFrom: c@d.test\r\n").doubled);
    assert_true(parse("X-FluenzR: a\r\nX-FluenzR: b\r\n").doubled);
    assert_true(parse("To: a@b.test\r\nTo: a@b.test\r\n").doubled);
    assert_true(parse("Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n").doubled);
    assert_false(parse("Subject: a\r\nSubject: b\r\n").doubled);
    assert_string_equal(parse("From: a@b.test\r\nFrom: c@d.test\r\n").from, "a@b.test");
}

static void only_one_plain_address_counts(void **state)
{
    (void)state;
    static const char *const none[] = {"From: a@b.test, c@d.test\r\n",
                                       "From: group: a@b.test;\r\n",
                                       "From: <a@b.test> <c@d.test>\r\n",
                                       "From: \"a@b.test\r\n",
                                       "From: a@b.test (never closed\r\n",
                                       "From: <a@b.test\r\n",
                                       "From: a@b.test>\r\n",
                                       "From: \"q\"@b.test\r\n",
                                       "From: a\r\n",
                                       "From: <>\r\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_string_equal(parse(none[i]).from, "");
    assert_string_equal(parse("From: (c \\) (n)) a@b.test\r\n").from, "a@b.test");
    assert_string_equal(parse("From: \"<x@y.test>\" <a@b.test>\r\n").from, "a@b.test");
    assert_string_equal(parse("From: =?utf-8?q?B=C3=A9a?= <a@b.test>\r\n").from, "a@b.test");
}

static void strange_blocks_are_survived(void **state)
{
    (void)state;
    char *block = malloc(1 << 20);
    memset(block, 'a', 1 << 20);
    memcpy(block, "Subject: ", 9);
    struct header h;
    header_parse((struct flz_view){(uint8_t *)block, 1 << 20}, &h);
    assert_int_equal(strlen(h.subject), HEADER_SUBJECT_MAX - 1);
    memcpy(block, "X-FluenzR", 9);
    block[9] = ':';
    header_parse((struct flz_view){(uint8_t *)block, 1 << 20}, &h);
    assert_string_equal(h.x_fluenzr, "");
    memset(block, '\n', 1 << 20);
    header_parse((struct flz_view){(uint8_t *)block, 1 << 20}, &h);
    free(block);
    assert_string_equal(parse("").from, "");
    assert_string_equal(parse(" : \r\n:\r\nno colon\r\nFrom").subject, "");
    assert_string_equal(parse("Message-ID: <a b@c>\r\n").message_id, "");
    assert_string_equal(parse("Subject: a\x01\x1b[0mb\r\n").subject, "a  [0mb");
}

static void subjects_are_the_same_encoded_or_not(void **state)
{
    (void)state;
    static const char *const same[] = {
        "Réunion de l'équipe à 10 h",
        "  Réunion  de l'équipe à\r\n 10 h ",
        "=?utf-8?Q?R=C3=A9union_de_l'=C3=A9quipe_=C3=A0?= 10 h",
        "=?UTF-8?B?UsOpdW5pb24gZGUgbCfDqXF1aXBl?=\r\n =?UTF-8?B?IMOgIDEwIGg=?=",
        "=?iso-8859-1*fr?q?R=E9union_de_l'=E9quipe_=E0_10_h?=",
    };
    struct flz_digest first = header_subject_digest(flz_view_str(same[0]));
    assert_true(flz_digest_equal(first, flz_digest_of(flz_view_str(same[0]))));
    for (size_t i = 1; i < sizeof same / sizeof *same; i++)
        assert_true(flz_digest_equal(header_subject_digest(flz_view_str(same[i])), first));
    static const char *const other[] = {"Réunion de l'équipe à 11 h", "",
                                        "=?utf-9?Q?R=C3=A9union?=", "=?utf-8?Q?broken"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(flz_digest_equal(header_subject_digest(flz_view_str(other[i])), first));
}

static void dates_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"Fri, 21 Nov 1997 09:55:06 -0600", INT64_C(880127706000)},
        {"21 Nov 97 09:55 CST", INT64_C(880127700000)},
        {"Thu, 1 Jan 1970 00:00:00 GMT (UTC)", 0},
        {"Sun,\r\n 22 Nov 2026 08:00:00 +0530", INT64_C(1795314600000)},
    };
    int64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(header_parse_date(flz_view_str(good[i].text), &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "Fri, 21 Nov",
                                      "99 Nov 1997 09:55:06 GMT",
                                      "21 Xyz 1997 09:55:06 GMT",
                                      "21 Nov 1997 25:00:00 GMT"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(header_parse_date(flz_view_str(bad[i]), &ms), -EINVAL);
}

static void verdicts_of_authentication_are_read(void **state)
{
    (void)state;
    assert_int_equal(header_authentication("mx.a.test; spf=pass smtp.mailfrom=b; dkim=fail; "
                                           "dkim=pass header.d=b; dmarc=pass"),
                     HEADER_AUTH_SPF_PASS | HEADER_AUTH_DKIM_PASS | HEADER_AUTH_DMARC_PASS);
    assert_int_equal(header_authentication("mx; spf=softfail; dkim=none; dmarc=fail"),
                     HEADER_AUTH_SPF_FAIL | HEADER_AUTH_DMARC_FAIL);
    assert_int_equal(header_authentication("mx; spf=passing; none"), 0);
    assert_int_equal(header_authentication("spf=pass"), 0); /* no server's name before it */
    assert_int_equal(header_authentication(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_unfolded_and_found_whatever_the_case),
        cmocka_unit_test(doubled_fields_are_said_to_be),
        cmocka_unit_test(only_one_plain_address_counts),
        cmocka_unit_test(strange_blocks_are_survived),
        cmocka_unit_test(subjects_are_the_same_encoded_or_not),
        cmocka_unit_test(dates_are_read_as_they_are_written),
        cmocka_unit_test(verdicts_of_authentication_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
