/*
 * Reading IMAP responses, and the encodings beside them: mutf7, base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/cleanup.h"
#include "node/core/base64.h"
#include "node/core/imap_parse.h"
#include "node/core/mutf7.h"

#include <errno.h>
#include <string.h>

/* A reader of a copy of the text; the buffer is the test's to free. */
static struct imap_reader reader_of(struct flz_buf *buf, const char *text)
{
    flz_buf_reset(buf);
    flz_buf_add_str(buf, text);
    flz_buf_add_str(buf, "\r\n");
    return imap_reader_of(buf);
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    uint32_t n;
    uint64_t big;
    struct imap_reader r = reader_of(&buf, "4294967295");
    assert_true(imap_read_number(&r, &n));
    assert_int_equal(n, UINT32_MAX);
    r = reader_of(&buf, "4294967296");
    assert_false(imap_read_number(&r, &n));
    r = reader_of(&buf, "18446744073709551616");
    assert_false(imap_read_number64(&r, &big));
    r = reader_of(&buf, "x");
    assert_false(imap_read_number(&r, &n));
}

static void strings_are_unescaped_and_literals_counted(void **state)
{
    (void)state;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct flz_view text;
    bool nil;
    struct imap_reader r = reader_of(&buf, "\"a\\\"b\\\\c\" {5}\r\n\"x)\r\n nil");
    assert_true(imap_read_string(&r, &text, &nil));
    assert_true(flz_view_equal(text, flz_view_str("a\"b\\c")));
    assert_true(imap_read_char(&r, ' '));
    assert_true(imap_read_string(&r, &text, &nil));
    assert_true(flz_view_equal(text, flz_view_str("\"x)\r\n")));
    assert_true(imap_read_char(&r, ' ') && imap_read_string(&r, &text, &nil) && nil);
    static const char *const bad[] = {"\"abc", "{9}\r\nabc", "{x}", "{1} a", "atom", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = reader_of(&buf, bad[i]);
        assert_false(imap_read_string(&r, &text, &nil));
    }
}

static void lists_tell_attributes_delimiter_and_name(void **state)
{
    (void)state;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct imap_list list;
    struct imap_reader r = reader_of(&buf, "(\\HasNoChildren \\junk) \"/\" \"Junk Mail\"");
    assert_int_equal(imap_parse_list(&r, &list), 0);
    assert_int_equal(list.attributes, IMAP_ATTR_JUNK);
    assert_int_equal(list.delimiter, '/');
    assert_string_equal(list.name, "Junk Mail");
    r = reader_of(&buf, "(\\NonExistent) NIL {3}\r\na b");
    assert_int_equal(imap_parse_list(&r, &list), 0);
    assert_int_equal(list.attributes, IMAP_ATTR_NOSELECT);
    assert_int_equal(list.delimiter, 0);
    assert_string_equal(list.name, "a b");
    r = reader_of(&buf, "() \"\\\\\" INBOX");
    assert_int_equal(imap_parse_list(&r, &list), 0);
    assert_int_equal(list.delimiter, '\\');
    /* A name with a line end cannot be sent back. */
    r = reader_of(&buf, "() \"/\" {4}\r\na\r\nb");
    assert_int_equal(imap_parse_list(&r, &list), IMAP_PARSE_E_UNUSABLE);
    static const char *const bad[] = {"", "(", "()", "() \"/\"", "() \"//\" a", "x \"/\" a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = reader_of(&buf, bad[i]);
        assert_int_equal(imap_parse_list(&r, &list), -EPROTO);
    }
}

static void namespaces_tell_ours_and_theirs(void **state)
{
    (void)state;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct imap_namespace n;
    struct imap_reader r = reader_of(
        &buf, "((\"INBOX.\" \".\" \"X-PARAM\" (\"a\" \"b\"))(\"\" \".\")) ((\"Other.\" \".\")) "
              "((\"Shared.\" \".\"))");
    assert_int_equal(imap_parse_namespace(&r, &n), 0);
    assert_string_equal(n.prefix, "INBOX.");
    assert_int_equal(n.delimiter, '.');
    assert_int_equal(n.n_foreign, 2);
    assert_string_equal(n.foreign[1], "Shared.");
    r = reader_of(&buf, "((\"\" \"/\")) NIL NIL");
    assert_int_equal(imap_parse_namespace(&r, &n), 0);
    assert_string_equal(n.prefix, "");
    assert_int_equal(n.n_foreign, 0);
    r = reader_of(&buf, "((\"\" \"/\") NIL");
    assert_int_equal(imap_parse_namespace(&r, &n), -EPROTO);
}

static void quotas_tell_storage(void **state)
{
    (void)state;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct imap_quota quota;
    struct imap_reader r = reader_of(&buf, "\"\" (MESSAGE 5 100 STORAGE 10 512000)");
    assert_int_equal(imap_parse_quota(&r, &quota), 0);
    assert_true(quota.has_storage);
    assert_int_equal(quota.used_kib, 10);
    assert_int_equal(quota.limit_kib, 512000);
    r = reader_of(&buf, "root ()");
    assert_int_equal(imap_parse_quota(&r, &quota), 0);
    assert_false(quota.has_storage);
    r = reader_of(&buf, "root (STORAGE 1)");
    assert_int_equal(imap_parse_quota(&r, &quota), -EPROTO);
}

static void status_texts_tell_code_and_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum imap_code code;
        const char *words;
    } cases[] = {
        {" done", IMAP_CODE_NONE, "done"},
        {" [AUTHENTICATIONFAILED] no", IMAP_CODE_AUTHENTICATIONFAILED, "no"},
        {" [overquota] full", IMAP_CODE_OVERQUOTA, "full"},
        {" [X-NEW (a b)] hm", IMAP_CODE_OTHER, "hm"},
        {" [UIDVALIDITY x] hm", IMAP_CODE_OTHER, "hm"},
        {" [BROKEN", IMAP_CODE_OTHER, ""},
        {" []", IMAP_CODE_OTHER, ""},
        {"", IMAP_CODE_NONE, ""},
        {" a\tb\x1b[31m\xff", IMAP_CODE_NONE, "a?b?[31m?"},
        {" d\xc3\xa9j\xc3\xa0", IMAP_CODE_NONE, "d\xc3\xa9j\xc3\xa0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
        struct imap_reader r = reader_of(&buf, cases[i].text);
        struct imap_status_text status;
        imap_parse_status_text(&r, &status);
        assert_int_equal(status.code, cases[i].code);
        assert_string_equal(status.text, cases[i].words);
    }
}

static void copyuid_of_many_tells_none(void **state)
{
    (void)state;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct imap_status_text status;
    struct imap_reader r = reader_of(&buf, " [COPYUID 9 1:2 5:6] x");
    imap_parse_status_text(&r, &status);
    assert_int_equal(status.copy_uid, 0);
    r = reader_of(&buf, " [COPYUID 9 1 5] x");
    imap_parse_status_text(&r, &status);
    assert_int_equal(status.copy_uid, 5);
    assert_int_equal(status.copy_uidvalidity, 9);
    r = reader_of(&buf, " [CAPABILITY IMAP4rev1 MOVE] x");
    imap_parse_status_text(&r, &status);
    assert_int_equal(status.capabilities, IMAP_CAP_IMAP4REV1 | IMAP_CAP_MOVE);
}

static void internal_dates_become_utc(void **state)
{
    (void)state;
    int64_t ms;
    assert_int_equal(imap_parse_internaldate(flz_view_str("17-Jul-1996 02:44:25 -0700"), &ms), 0);
    assert_int_equal(ms, INT64_C(837596665000));
    assert_int_equal(imap_parse_internaldate(flz_view_str(" 1-jan-1970 00:00:00 +0000"), &ms), 0);
    assert_int_equal(ms, 0);
    static const char *const bad[] = {"",
                                      "17-Jul-1996 02:44:25",
                                      "17-Xxx-1996 02:44:25 -0700",
                                      "32-Jul-1996 02:44:25 -0700",
                                      "17-Jul-1996 24:44:25 -0700",
                                      "17-Jul-1996 02:44:25 -0700 x",
                                      "17-Jul-1996 02:44:25 00700"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(imap_parse_internaldate(flz_view_str(bad[i]), &ms), -EINVAL);
}

static void mailbox_names_travel_in_modified_utf7(void **state)
{
    (void)state;
    static const struct {
        const char *utf8, *wire;
    } cases[] = {
        {"INBOX", "INBOX"},
        {"", ""},
        {"A&B", "A&-B"},
        {"Courrier indésirable", "Courrier ind&AOk-sirable"},
        {"~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
        {"😀x", "&2D3eAA-x"},
        {"éé", "&AOkA6Q-"},
    };
    char text[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mutf7_encode(cases[i].utf8, text, sizeof text), 0);
        assert_string_equal(text, cases[i].wire);
        assert_int_equal(mutf7_decode(cases[i].wire, text, sizeof text), 0);
        assert_string_equal(text, cases[i].utf8);
    }
    static const char *const bad_utf8[] = {"\xff", "\xc0\x80", "\xed\xa0\x80",
                                           "\xc3", "a\nb",     "a\x7f"};
    for (size_t i = 0; i < sizeof bad_utf8 / sizeof *bad_utf8; i++)
        assert_int_equal(mutf7_encode(bad_utf8[i], text, sizeof text), -EINVAL);
    /* Not closed, not base64, an ASCII letter in a run, half a pair, bits left over. */
    static const char *const bad_wire[] = {"&AOk",  "&A=-",  "&AEE-", "&2D0-",
                                           "&3gA-", "&AOl-", "\t"};
    for (size_t i = 0; i < sizeof bad_wire / sizeof *bad_wire; i++)
        assert_int_equal(mutf7_decode(bad_wire[i], text, sizeof text), -EINVAL);
    assert_int_equal(mutf7_encode("abcdef", text, 6), -ENAMETOOLONG);
    assert_int_equal(mutf7_decode("abcdef", text, 6), -ENAMETOOLONG);
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    uint8_t data[256], back[260];
    char text[BASE64_LEN(256)];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 3);
    for (size_t n = 0; n <= sizeof data; n++) {
        size_t len;
        base64_encode((struct flz_view){data, n}, text);
        assert_int_equal(
            base64_decode((struct flz_view){(uint8_t *)text, BASE64_LEN(n)}, back, &len), 0);
        assert_int_equal(len, n);
        assert_memory_equal(back, data, n);
    }
    base64_encode((struct flz_view){(const uint8_t *)"\xfb\xff\xfe", 3}, text);
    assert_memory_equal(text, "+//+", 4);
    size_t len;
    assert_int_equal(base64_decode(flz_view_str("a"), back, &len), -EINVAL);
    assert_int_equal(base64_decode(flz_view_str("ab c"), back, &len), -EINVAL);
    assert_int_equal(base64_decode(flz_view_str("YQ"), back, &len), 0);
    assert_int_equal(len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(strings_are_unescaped_and_literals_counted),
        cmocka_unit_test(lists_tell_attributes_delimiter_and_name),
        cmocka_unit_test(namespaces_tell_ours_and_theirs),
        cmocka_unit_test(quotas_tell_storage),
        cmocka_unit_test(status_texts_tell_code_and_words),
        cmocka_unit_test(copyuid_of_many_tells_none),
        cmocka_unit_test(internal_dates_become_utc),
        cmocka_unit_test(mailbox_names_travel_in_modified_utf7),
        cmocka_unit_test(base64_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
