#include "node/core/reply.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Feeds a text in pieces of `chunk` octets; returns the last step. */
static int feed(struct reply_parser *parser, const char *text, size_t len, size_t chunk)
{
    int r = REPLY_MORE;
    for (size_t at = 0; at < len;) {
        size_t n = len - at < chunk ? len - at : chunk;
        struct flz_view in = {.data = (const uint8_t *)text + at, .len = n};
        at += n;
        while (in.len > 0) {
            r = reply_parser_step(parser, &in);
            if (r < 0 || r == REPLY_DONE)
                return r;
        }
    }
    return r;
}

static void replies_are_read_the_same_in_every_cut(void **state)
{
    static const struct {
        const char *in;
        int code;
        const char *enhanced;
        uint32_t lines;
        const char *text;
    } rows[] = {
        {"250 ok\r\n", 250, "", 1, "ok"},
        {"250\r\n", 250, "", 1, ""},
        {"250 \r\n", 250, "", 1, ""},
        {"250 ok\n", 250, "", 1, "ok"},
        {"550 5.1.1 no such user\r\n", 550, "5.1.1", 1, "5.1.1 no such user"},
        {"550 5.1.10\r\n", 550, "5.1.10", 1, "5.1.10"},
        {"550-5.7.1 first\r\n550 5.7.1 second\r\n", 550, "5.7.1", 2, "5.7.1 first\n5.7.1 second"},
        {"550-first\r\n550-5.7.26 second\r\n550 third\r\n", 550, "5.7.26", 3,
         "first\n5.7.26 second\nthird"},
        {"550 4.1.1 wrong class\r\n", 550, "", 1, "4.1.1 wrong class"},
        {"550 5.1 short\r\n", 550, "", 1, "5.1 short"},
        {"550 5.1.1234 long\r\n", 550, "", 1, "5.1.1234 long"},
        {"550 5.1.1: colon\r\n", 550, "", 1, "5.1.1: colon"},
        {"354 3.1.1 none\r\n", 354, "", 1, "3.1.1 none"},
        {"599-\r\n599 \r\n", 599, "", 2, "\n"},
        {"250 tab\there \x1b[31m \x7f\r\n", 250, "", 1, "tab?here ?[31m ?"},
        {"250 caf\xc3\xa9 \xe2\x82\xac\r\n", 250, "", 1, "caf\xc3\xa9 \xe2\x82\xac"},
        {"250 caf\xe9 \xc0\xaf \xed\xa0\x80 \xc2\x85\r\n", 250, "", 1, "caf? ?? ??? ??"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].in);
        for (size_t chunk = 1; chunk <= len; chunk++) {
            struct reply_parser parser;
            char enhanced[16];
            reply_parser_init(&parser);
            assert_false(reply_parser_inside(&parser));
            assert_int_equal(feed(&parser, rows[i].in, len, chunk), REPLY_DONE);
            assert_false(reply_parser_inside(&parser));
            assert_int_equal(parser.reply.code, rows[i].code);
            assert_int_equal(parser.reply.lines, rows[i].lines);
            assert_false(parser.reply.cut);
            reply_enhanced_format(parser.reply.enhanced, enhanced);
            assert_string_equal(enhanced, rows[i].enhanced);
            assert_string_equal(parser.reply.text, rows[i].text);
        }
    }
}

static void what_is_no_reply_is_refused_in_every_cut(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *error;
    } rows[] = {
#define ROW(t, e) {t, sizeof(t) - 1, e}
        ROW("hello\r\n", "reply line without a code"),
        ROW("\r\n", "reply line without a code"),
        ROW("25\r\n", "reply line without a code"),
        ROW("250ok\r\n", "reply line without a code"),
        ROW("250\tok\r\n", "reply line without a code"),
        ROW(" 250 ok\r\n", "reply line without a code"),
        ROW("150 ok\r\n", "reply code out of range"),
        ROW("650 ok\r\n", "reply code out of range"),
        ROW("250-a\r\n550 b\r\n", "another code inside a reply of several lines"),
        ROW("250-a\r\n\r\n", "reply line without a code"),
        ROW("250 o\0k\r\n", "NUL in a reply"),
        ROW("250 a\rb\r\n", "CR inside a reply line"),
        ROW("250 a\r\r\n", "CR inside a reply line"),
        ROW("HTTP/1.1 400 Bad Request\r\n", "reply line without a code"),
#undef ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t chunk = 1; chunk <= rows[i].len; chunk++) {
            struct reply_parser parser;
            reply_parser_init(&parser);
            assert_int_equal(feed(&parser, rows[i].in, rows[i].len, chunk), -EPROTO);
            assert_string_equal(parser.error, rows[i].error);
        }
}

static void a_line_of_2048_octets_is_read_and_cut_and_one_more_is_refused(void **state)
{
    char line[REPLY_LINE_MAX + 8];
    for (int more = 0; more <= 1; more++) {
        struct reply_parser parser;
        memset(line, 'x', sizeof(line));
        memcpy(line, "250 ", 4);
        size_t len = REPLY_LINE_MAX + (size_t)more;
        memcpy(line + len - 2, "\r\n", 2);
        reply_parser_init(&parser);
        assert_int_equal(feed(&parser, line, len, 7), more ? -EPROTO : REPLY_DONE);
        if (!more) {
            assert_true(parser.reply.cut);
            assert_int_equal(strlen(parser.line), REPLY_WORDS_MAX - 1);
        }
    }
}

static void a_reply_of_100_lines_is_read_and_one_more_is_refused(void **state)
{
    for (int more = 0; more <= 1; more++) {
        struct reply_parser parser;
        int r = REPLY_LINE;
        reply_parser_init(&parser);
        for (int i = 0; i < REPLY_LINES_MAX - 1 + more; i++) {
            assert_int_equal(r, REPLY_LINE);
            r = feed(&parser, "250-a line of the reply\r\n", 25, 25);
        }
        assert_int_equal(r, REPLY_LINE);
        r = feed(&parser, "250 last\r\n", 10, 10);
        assert_int_equal(r, more ? -EPROTO : REPLY_DONE);
        if (!more) {
            assert_true(parser.reply.cut);
            assert_int_equal(strlen(parser.reply.text), REPLY_TEXT_MAX - 1);
        }
    }
}

static void half_a_reply_is_inside(void **state)
{
    struct reply_parser parser;
    reply_parser_init(&parser);
    assert_int_equal(feed(&parser, "2", 1, 1), REPLY_MORE);
    assert_true(reply_parser_inside(&parser));
    assert_int_equal(feed(&parser, "50-a\r\n", 6, 6), REPLY_LINE);
    assert_true(reply_parser_inside(&parser));
    assert_int_equal(feed(&parser, "250 b\r\n", 7, 7), REPLY_DONE);
    assert_false(reply_parser_inside(&parser));
}

static void two_replies_in_one_piece_come_out_one_by_one(void **state)
{
    struct reply_parser parser;
    struct flz_view in = flz_view_str("550 5.1.1 no\r\n250 ok\r\n");
    reply_parser_init(&parser);
    assert_int_equal(reply_parser_step(&parser, &in), REPLY_DONE);
    assert_int_equal(parser.reply.code, 550);
    assert_int_equal(reply_parser_step(&parser, &in), REPLY_DONE);
    assert_int_equal(parser.reply.code, 250);
    assert_int_equal(parser.reply.enhanced.class, 0);
    assert_string_equal(parser.reply.text, "ok");
    assert_int_equal(in.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_the_same_in_every_cut),
        cmocka_unit_test(what_is_no_reply_is_refused_in_every_cut),
        cmocka_unit_test(a_line_of_2048_octets_is_read_and_cut_and_one_more_is_refused),
        cmocka_unit_test(a_reply_of_100_lines_is_read_and_one_more_is_refused),
        cmocka_unit_test(half_a_reply_is_inside),
        cmocka_unit_test(two_replies_in_one_piece_come_out_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
