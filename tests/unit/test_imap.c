/*
 * The IMAP machine against scripts: each dialogue is delivered whole, byte by byte, and cut at
 * every place. M1…M7 are the invariants of node/core/imap.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "node/core/imap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPS "IMAP4rev1 SASL-IR AUTH=PLAIN MOVE UIDPLUS"

static struct imap *machine(bool tls, bool greeted)
{
    struct imap_options options = {.tag_prefix = "abcd", .tls = tls, .greeted = greeted};
    struct imap *imap = imap_new(&options);
    assert_non_null(imap);
    return imap;
}

static int feed(struct imap *imap, const char *text)
{
    return imap_feed(imap, flz_view_str(text));
}

/* The next event, which must be of this type. */
static struct imap_event next(struct imap *imap, enum imap_event_type type)
{
    struct imap_event event;
    int r = imap_next(imap, &event);
    if (r < 0 || event.type != type)
        fail_msg("r %d, event %d, wanted %d: %s", r, event.type, type, imap_error(imap));
    return event;
}

static void sent(struct imap *imap, const char *text)
{
    struct flz_view out = imap_output(imap);
    if (out.len != strlen(text) || memcmp(out.data, text, out.len) != 0)
        fail_msg("sent '%.*s', wanted '%s'", (int)out.len, (const char *)out.data, text);
    imap_sent(imap, out.len);
}

static struct imap *ready(const char *capabilities, bool tls)
{
    char line[256];
    struct imap *imap = machine(tls, true);
    sent(imap, "abcd1 CAPABILITY\r\n");
    (void)snprintf(line, sizeof line, "* CAPABILITY %s\r\nabcd1 OK done\r\n", capabilities);
    assert_int_equal(feed(imap, line), 0);
    (void)next(imap, IMAP_EVENT_READY);
    return imap;
}

static const struct imap_login password = {
    .user = "ada@a.test", .host = "mail.a.test", .port = 143};
static const struct imap_login bearer = {
    .kind = IMAP_LOGIN_BEARER, .user = "ada@a.test", .host = "mail.a.test", .port = 143};

static struct imap *logged_in(void)
{
    struct imap *imap = ready(CAPS, true);
    assert_int_equal(imap_login(imap, &password), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    assert_int_equal(imap_login_secret(imap, flz_view_str("pw")), 0);
    sent(imap, "abcd2 AUTHENTICATE PLAIN AGFkYUBhLnRlc3QAcHc=\r\n");
    assert_int_equal(feed(imap, "abcd2 OK [CAPABILITY " CAPS "] in\r\n"), 0);
    (void)next(imap, IMAP_EVENT_DONE);
    assert_true(imap_is_reusable(imap));
    return imap;
}

/* The machine is dead with this code after this input. */
static void dies(struct imap *imap, const char *input, int code)
{
    struct imap_event event = {.type = IMAP_EVENT_NONE};
    int r = feed(imap, input);
    while (r == 0) {
        r = imap_next(imap, &event);
        if (r == 0 && event.type == IMAP_EVENT_NONE)
            break;
    }
    if (r != code)
        fail_msg("%d, wanted %d, after '%s'", r, code, input);
    assert_string_not_equal(imap_error(imap), "");
    assert_int_equal(feed(imap, "* OK more\r\n"), code);
    assert_false(imap_is_idle(imap));
    (void)imap_free(imap);
}

/* ---- Greeting ---- */

static void the_greeting_is_followed_by_fresh_capabilities(void **state)
{
    (void)state;
    struct imap *imap = machine(true, false);
    assert_int_equal(imap_output(imap).len, 0);
    assert_int_equal(feed(imap, "* OK [CAPABILITY IMAP4rev1 X-LIES] hi {4}\r\n"), 0);
    (void)next(imap, IMAP_EVENT_NONE);
    sent(imap, "abcd1 CAPABILITY\r\n");
    assert_int_equal(feed(imap, "* CAPABILITY IMAP4rev1 MOVE\r\nabcd1 OK x\r\n"), 0);
    (void)next(imap, IMAP_EVENT_READY);
    assert_int_equal(imap_capabilities(imap), IMAP_CAP_IMAP4REV1 | IMAP_CAP_MOVE);
    (void)imap_free(imap);
}

static void strange_greetings_end_the_session(void **state)
{
    (void)state;
    dies(machine(true, false), "* PREAUTH hello root\r\n", -EPROTO);
    dies(machine(true, false), "220 smtp.a.test ESMTP\r\n", -EPROTO);
    dies(machine(true, false), "* 12 EXISTS\r\n", -EPROTO);
    dies(machine(true, false), "+ go\r\n", -EPROTO);
    dies(machine(true, true), "* CAPABILITY IMAP4\r\nabcd1 OK x\r\n", -EPROTO);
    dies(machine(true, true), "* CAPABILITY IMAP4rev1\r\nabcd1 NO x\r\n", -EPROTO);
    struct imap *imap = machine(true, false);
    assert_int_equal(feed(imap, "* BYE [UNAVAILABLE] later\r\n"), 0);
    struct imap_event event = next(imap, IMAP_EVENT_BYE);
    assert_int_equal(event.result.code, IMAP_CODE_UNAVAILABLE);
    assert_string_equal(event.result.text, "later");
    assert_false(imap_is_idle(imap));
    (void)imap_free(imap);
}

/* ---- Login ---- */

static void no_login_without_tls(void **state)
{
    (void)state;
    struct imap *imap = ready(CAPS, false);
    assert_int_equal(imap_login(imap, &password), IMAP_E_NO_TLS);
    assert_int_equal(imap_output(imap).len, 0);
    (void)imap_free(imap);
}

static void a_login_command_is_quoted_or_a_literal(void **state)
{
    (void)state;
    struct imap *imap = ready("IMAP4rev1", true);
    assert_int_equal(imap_login(imap, &password), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    (void)next(imap, IMAP_EVENT_NONE); /* asked once */
    assert_int_equal(imap_login_secret(imap, flz_view_str("a\"b\\c")), 0);
    sent(imap, "abcd2 LOGIN \"ada@a.test\" \"a\\\"b\\\\c\"\r\n");
    (void)imap_free(imap);

    imap = ready("IMAP4rev1", true);
    assert_int_equal(imap_login(imap, &password), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    assert_int_equal(imap_login_secret(imap, flz_view_str("m\xc3\xa9")), 0);
    sent(imap, "abcd2 LOGIN \"ada@a.test\" {3}\r\n");
    assert_int_equal(feed(imap, "+ go\r\n"), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    assert_int_equal(imap_login_secret(imap, flz_view_str("m\xc3\xa9")), 0);
    sent(imap, "m\xc3\xa9\r\n");
    assert_int_equal(feed(imap, "* CAPABILITY IMAP4rev1\r\nabcd2 OK in\r\n"), 0);
    (void)next(imap, IMAP_EVENT_DONE);
    (void)imap_free(imap);

    imap = ready("IMAP4rev1", true);
    const struct imap_login user = {.user = "\xc3\xa9ve"};
    assert_int_equal(imap_login(imap, &user), 0);
    (void)next(imap, IMAP_EVENT_NONE);
    sent(imap, "abcd2 LOGIN {4}\r\n");
    assert_int_equal(feed(imap, "+ go\r\n"), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    sent(imap, "\xc3\xa9ve ");
    assert_int_equal(imap_login_secret(imap, flz_view_str("pw")), 0);
    sent(imap, "\"pw\"\r\n");
    (void)imap_free(imap);
}

static void the_mechanism_follows_what_is_announced(void **state)
{
    (void)state;
    struct imap *imap = ready("IMAP4rev1 LOGINDISABLED", true);
    assert_int_equal(imap_login(imap, &password), IMAP_E_NO_MECHANISM);
    assert_int_equal(imap_login(imap, &bearer), IMAP_E_NO_MECHANISM);
    (void)imap_free(imap);

    imap = ready("IMAP4rev1 AUTH=PLAIN", true); /* no SASL-IR */
    assert_int_equal(imap_login(imap, &password), 0);
    (void)next(imap, IMAP_EVENT_NONE);
    sent(imap, "abcd2 AUTHENTICATE PLAIN\r\n");
    assert_int_equal(feed(imap, "+ \r\n"), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    assert_int_equal(imap_login_secret(imap, flz_view_str("pw")), 0);
    sent(imap, "AGFkYUBhLnRlc3QAcHc=\r\n");
    (void)imap_free(imap);
}

static void a_refused_token_is_answered_and_its_reason_told(void **state)
{
    (void)state;
    static const struct {
        const char *capabilities, *command, *answer;
    } cases[] = {
        {"IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2",
         "abcd2 AUTHENTICATE XOAUTH2 dXNlcj1hZGFAYS50ZXN0AWF1dGg9QmVhcmVyIHRvawEB\r\n", "\r\n"},
        {"IMAP4rev1 SASL-IR AUTH=OAUTHBEARER",
         "abcd2 AUTHENTICATE OAUTHBEARER "
         "bixhPWFkYUBhLnRlc3QsAWhvc3Q9bWFpbC5hLnRlc3QBcG9ydD0xNDMBYXV0aD1CZWFyZXIgdG9rAQE=\r\n",
         "AQ==\r\n"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct imap *imap = ready(cases[i].capabilities, true);
        assert_int_equal(imap_login(imap, &bearer), 0);
        (void)next(imap, IMAP_EVENT_SECRET);
        assert_int_equal(imap_login_secret(imap, flz_view_str("tok")), 0);
        sent(imap, cases[i].command);
        assert_int_equal(feed(imap, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n"), 0);
        (void)next(imap, IMAP_EVENT_NONE);
        sent(imap, cases[i].answer);
        assert_int_equal(feed(imap, "abcd2 NO [AUTHENTICATIONFAILED] no\r\n"), 0);
        struct imap_event event = next(imap, IMAP_EVENT_DONE);
        assert_int_equal(event.result.status, IMAP_STATUS_NO);
        assert_string_equal(event.result.text, "no: {\"status\":\"401\"}");
        (void)imap_free(imap);
    }
}

static void secrets_that_would_break_the_line_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a\rb", "a\nb", "a\001b"};
    for (size_t i = 0; i < 4; i++) {
        struct imap *imap = ready(CAPS, true);
        assert_int_equal(imap_login(imap, &password), 0);
        (void)next(imap, IMAP_EVENT_SECRET);
        size_t before = imap_output(imap).len;
        assert_int_equal(imap_login_secret(imap, flz_view_str(bad[i])), -EINVAL);
        assert_int_equal(imap_output(imap).len, before);
        (void)imap_free(imap);
    }
    static const char *const users[] = {"", "a\r\nb", "a\x7f"};
    for (size_t i = 0; i < 3; i++) {
        struct imap *imap = ready(CAPS, true);
        const struct imap_login login = {.user = users[i]};
        assert_int_equal(imap_login(imap, &login), -EINVAL);
        (void)imap_free(imap);
    }
}

static void output_that_has_left_is_wiped(void **state)
{
    (void)state;
    struct imap *imap = ready("IMAP4rev1", true);
    assert_int_equal(imap_login(imap, &password), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    assert_int_equal(imap_login_secret(imap, flz_view_str("Passw0rd-of-ada")), 0);
    struct flz_view out = imap_output(imap);
    imap_sent(imap, out.len);
    for (size_t i = 0; i < out.len; i++)
        assert_int_equal(out.data[i], 0);
    (void)imap_free(imap);
}

static void an_ok_before_the_secret_left_is_not_believed(void **state)
{
    (void)state;
    struct imap *imap = ready("IMAP4rev1 AUTH=PLAIN", true);
    assert_int_equal(imap_login(imap, &password), 0);
    dies(imap, "abcd2 OK welcome\r\n", -EPROTO);
    imap = ready(CAPS, true);
    assert_int_equal(imap_login(imap, &password), 0);
    dies(imap, "+ \r\n+ \r\n+ \r\n", -EPROTO);
}

static void capabilities_are_asked_for_again_after_login(void **state)
{
    (void)state;
    struct imap *imap = ready(CAPS, true);
    assert_int_equal(imap_login(imap, &password), 0);
    (void)next(imap, IMAP_EVENT_SECRET);
    assert_int_equal(imap_login_secret(imap, flz_view_str("pw")), 0);
    imap_sent(imap, imap_output(imap).len);
    assert_int_equal(feed(imap, "abcd2 OK in\r\n"), 0);
    (void)next(imap, IMAP_EVENT_NONE);
    sent(imap, "abcd3 CAPABILITY\r\n");
    assert_int_equal(feed(imap, "* CAPABILITY IMAP4rev1 QUOTA\r\nabcd3 OK x\r\n"), 0);
    struct imap_event event = next(imap, IMAP_EVENT_DONE);
    assert_string_equal(event.result.text, "in");
    assert_int_equal(imap_capabilities(imap), IMAP_CAP_IMAP4REV1 | IMAP_CAP_QUOTA);
    (void)imap_free(imap);
}

/* ---- Commands ---- */

static void commands_are_written_as_the_grammar_wants(void **state)
{
    (void)state;
    struct imap *imap = logged_in();
    const struct imap_search_key keys[] = {
        {"Message-ID", "<a@b>"}, {"X-FluenzR", "x=1"}, {"Message-ID", "c\"d"}};
    const uint32_t uids[] = {1, 5, 4294967295u};
    unsigned tag = 2;
    char wanted[512];
#define CHECK(call, text)                                                                          \
    do {                                                                                           \
        assert_int_equal((call), 0);                                                               \
        (void)snprintf(wanted, sizeof wanted, "abcd%u %s\r\n", ++tag, text);                       \
        sent(imap, wanted);                                                                        \
        assert_false(imap_is_idle(imap));                                                          \
        (void)snprintf(wanted, sizeof wanted, "abcd%u OK x\r\n", tag);                             \
        assert_int_equal(feed(imap, wanted), 0);                                                   \
        (void)next(imap, IMAP_EVENT_DONE);                                                         \
    } while (0)
    CHECK(imap_id(imap, "FluenzR", "1"), "ID (\"name\" \"FluenzR\" \"version\" \"1\")");
    CHECK(imap_namespace(imap), "NAMESPACE");
    CHECK(imap_list(imap, false), "LIST \"\" \"*\"");
    CHECK(imap_list(imap, true), "LIST \"\" \"*\" RETURN (SPECIAL-USE)");
    CHECK(imap_select(imap, "a\\b", true), "EXAMINE \"a\\\\b\"");
    CHECK(imap_select(imap, "INBOX", false), "SELECT \"INBOX\"");
    CHECK(imap_mailbox_status(imap, "x"), "STATUS \"x\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)");
    CHECK(imap_search(imap, keys, 1), "UID SEARCH HEADER \"Message-ID\" \"<a@b>\"");
    CHECK(imap_search(imap, keys, 3),
          "UID SEARCH OR HEADER \"Message-ID\" \"<a@b>\" OR HEADER \"X-FluenzR\" \"x=1\" HEADER "
          "\"Message-ID\" \"c\\\"d\"");
    CHECK(imap_search_since(imap, 20779), "UID SEARCH SINCE 22-Nov-2026");
    CHECK(imap_fetch_uids(imap, uids, 3, NULL),
          "UID FETCH 1,5,4294967295 (UID FLAGS INTERNALDATE RFC822.SIZE)");
    CHECK(imap_fetch_range(imap, 1, 9, "From To"),
          "FETCH 1:9 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To)])");
    CHECK(imap_store_add(imap, 7, IMAP_FLAG_SEEN | IMAP_FLAG_NOTJUNK),
          "UID STORE 7 +FLAGS (\\Seen $NotJunk)");
    CHECK(imap_store_remove(imap, 7, IMAP_FLAG_JUNK), "UID STORE 7 -FLAGS ($Junk)");
    CHECK(imap_move(imap, 7, "INBOX"), "UID MOVE 7 \"INBOX\"");
    CHECK(imap_copy(imap, 7, "INBOX"), "UID COPY 7 \"INBOX\"");
    CHECK(imap_expunge(imap, 7), "UID EXPUNGE 7");
    CHECK(imap_create(imap, "x"), "CREATE \"x\"");
    CHECK(imap_subscribe(imap, "x"), "SUBSCRIBE \"x\"");
    CHECK(imap_quota(imap, "INBOX"), "GETQUOTAROOT \"INBOX\"");
    CHECK(imap_noop(imap), "NOOP");
    CHECK(imap_logout(imap), "LOGOUT");
    assert_false(imap_is_reusable(imap));
    (void)imap_free(imap);
}

static void strings_with_line_ends_never_leave(void **state)
{
    (void)state;
    static const char *const bad[] = {"a\r\nb2 LOGOUT", "a\nb", "\r", "x\r"};
    for (size_t i = 0; i < 4; i++) {
        struct imap *imap = logged_in();
        const struct imap_search_key key = {"Message-ID", bad[i]};
        assert_int_equal(imap_select(imap, bad[i], true), -EINVAL);
        assert_int_equal(imap_create(imap, bad[i]), -EINVAL);
        assert_int_equal(imap_move(imap, 1, bad[i]), -EINVAL);
        assert_int_equal(imap_search(imap, &key, 1), -EINVAL);
        assert_int_equal(imap_id(imap, bad[i], "1"), -EINVAL);
        assert_int_equal(imap_output(imap).len, 0);
        assert_true(imap_is_idle(imap));
        (void)imap_free(imap);
    }
}

static void eight_bit_names_leave_as_literals(void **state)
{
    (void)state;
    struct imap *imap = logged_in();
    assert_int_equal(imap_move(imap, 3, "\xc3\xa9t\xc3\xa9"), 0);
    sent(imap, "abcd3 UID MOVE 3 {5}\r\n");
    assert_int_equal(feed(imap, "* OK wait\r\n+ go\r\n"), 0);
    (void)next(imap, IMAP_EVENT_NONE);
    sent(imap, "\xc3\xa9t\xc3\xa9\r\n");
    assert_int_equal(feed(imap, "abcd3 NO no\r\n"), 0);
    (void)next(imap, IMAP_EVENT_DONE);
    assert_true(imap_is_idle(imap)); /* NO harms nothing (M7) */
    (void)imap_free(imap);
}

static void select_tells_the_mailbox_and_copyuid_the_copy(void **state)
{
    (void)state;
    struct imap *imap = logged_in();
    assert_int_equal(imap_select(imap, "INBOX", false), 0);
    assert_int_equal(feed(imap, "* 3 EXISTS\r\n* OK [UIDVALIDITY 77] x\r\n* OK [UIDNEXT 9] x\r\n"
                                "* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n"
                                "* 9 EXPUNGE\r\n* NO [UIDNOTSTICKY] x\r\n"
                                "abcd3 OK [READ-ONLY] done\r\n"),
                     0);
    (void)next(imap, IMAP_EVENT_DONE);
    const struct imap_mailbox *mailbox = imap_mailbox(imap);
    assert_string_equal(mailbox->name, "INBOX");
    assert_int_equal(mailbox->exists, 3);
    assert_int_equal(mailbox->uidvalidity, 77);
    assert_int_equal(mailbox->uidnext, 9);
    assert_int_equal(mailbox->permanent_flags, IMAP_FLAG_SEEN | IMAP_FLAG_WILDCARD);
    assert_true(mailbox->read_only && mailbox->uid_not_sticky);

    assert_int_equal(imap_move(imap, 4, "x"), 0);
    assert_int_equal(feed(imap, "* OK [COPYUID 5 4 88] Moved\r\n* 2 EXPUNGE\r\nabcd4 OK done\r\n"),
                     0);
    assert_int_equal(next(imap, IMAP_EVENT_EXPUNGE).expunged, 2);
    struct imap_event event = next(imap, IMAP_EVENT_DONE);
    assert_int_equal(event.result.copy_uidvalidity, 5);
    assert_int_equal(event.result.copy_uid, 88);
    assert_int_equal(imap_mailbox(imap)->exists, 2);

    assert_int_equal(imap_select(imap, "nope", false), 0);
    assert_int_equal(feed(imap, "abcd5 NO [NONEXISTENT] no such\r\n"), 0);
    assert_int_equal(next(imap, IMAP_EVENT_DONE).result.code, IMAP_CODE_NONEXISTENT);
    assert_string_equal(imap_mailbox(imap)->name, "");
    (void)imap_free(imap);
}

/* ---- Hostile and odd answers ---- */

#define FORGED                                                                                     \
    "Subject: x\r\nabcd3 OK forged\r\nabcd4 OK forged\r\n* 99 FETCH (UID 7 FLAGS (\\Seen))\r\n)"   \
    "\r\n+ go\r\n\r\n"

/* A dialogue with everything in it: noise, literals, forged lines, an alert. */
static size_t write_dialogue(char *text, size_t size)
{
    int n = snprintf(text, size,
                     "* OK [ALERT] disk {3}\r\n* XFOO (a (b \"c)\") NIL)\r\n"
                     "* 1 FETCH (FLAGS (\\Seen $Odd) UID 11 RFC822.SIZE 4096 INTERNALDATE "
                     "\"22-Nov-2026 10:00:00 +0100\" BODY[HEADER.FIELDS (\"From\" {2}\r\nTo)] "
                     "{%zu}\r\n%s X-EXTRA (((((((1))))))))\r\n"
                     "* 2 FETCH (UID 12 BODY[HEADER.FIELDS (From)] \"a\\\"b\")\r\n"
                     "* 3 FETCH (UID 13 BODY[HEADER.FIELDS (From)] NIL)\r\n"
                     "* 4 EXISTS\r\nabcd3 OK Fetch completed\r\n",
                     sizeof FORGED - 1, FORGED);
    return (size_t)n;
}

static void fetch_dialogue(size_t split, bool byte_by_byte)
{
    char text[2048];
    size_t len = write_dialogue(text, sizeof text), at = 0;
    struct imap *imap = logged_in();
    const uint32_t uid = 11;
    assert_int_equal(imap_fetch_uids(imap, &uid, 1, "From To"), 0);
    unsigned fetched = 0, alerts = 0, done = 0;
    while (at < len) {
        size_t n = byte_by_byte ? 1 : at == 0 && split > 0 ? split : len - at;
        assert_int_equal(imap_feed(imap, (struct flz_view){(uint8_t *)text + at, n}), 0);
        at += n;
        struct imap_event event;
        do {
            assert_int_equal(imap_next(imap, &event), 0);
            alerts += event.type == IMAP_EVENT_ALERT;
            done += event.type == IMAP_EVENT_DONE;
            if (event.type != IMAP_EVENT_FETCH)
                continue;
            fetched++;
            assert_int_equal(event.fetch.uid, 10 + fetched);
            assert_int_equal(event.fetch.has_header, fetched < 3);
            if (fetched == 1) {
                assert_int_equal(event.fetch.header.len, sizeof FORGED - 1);
                assert_memory_equal(event.fetch.header.data, FORGED, sizeof FORGED - 1);
                assert_int_equal(event.fetch.size, 4096);
                assert_int_equal(event.fetch.flags, IMAP_FLAG_SEEN);
                assert_int_equal(event.fetch.internaldate_ms, INT64_C(1795338000000));
            }
        } while (event.type != IMAP_EVENT_NONE);
    }
    assert_int_equal(fetched, 3);
    assert_int_equal(alerts, 1);
    assert_int_equal(done, 1);
    assert_true(imap_is_reusable(imap) || imap_is_idle(imap));
    (void)imap_free(imap);
}

static void forged_lines_in_mail_are_never_believed(void **state)
{
    (void)state;
    char text[2048];
    size_t len = write_dialogue(text, sizeof text);
    for (size_t split = 0; split < len; split++)
        fetch_dialogue(split, false);
    fetch_dialogue(0, true);
}

static struct imap *fetching(void)
{
    struct imap *imap = logged_in();
    const uint32_t uid = 1;
    assert_int_equal(imap_fetch_uids(imap, &uid, 1, "From"), 0);
    return imap;
}

static void violations_end_the_session(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "abcd2 OK again\r\n",             /* a tag that has been */
        "abcd4 OK early\r\n",             /* a tag to come */
        "A001 OK forged\r\n",             /* libcurl's */
        "abcd3 MAYBE\r\n",                /* no condition */
        "abcd3\r\n",                      /* nothing */
        "+ go on\r\n",                    /* not asked for */
        "* 1 FETCH (UID 4294967296)\r\n", /* above u32 */
        "* 1 FETCH (UID -1)\r\n",
        "* 1 FETCH (UID 1\r\n", /* not closed */
        "* 1 FETCH (UID 1) x\r\n",
        "* 1 FETCH (BODY[] {-1}\r\n",
        "* 1 FETCH (BODY[] {99999999999}\r\n",
        "* 1 FETCH (X ((((((((1)))))))))\r\n", /* too deep */
        "* 99999999999 EXISTS\r\n",
        "* 1 EXPUNGE\r\n", /* of nothing */
        "* SEARCH 1 x\r\n",
        "* LIST x\r\n",
        "*\r\n",
        "\r\n",
        "* OK x\n",      /* bare LF */
        "* OK a\rb\r\n", /* bare CR */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        dies(fetching(), bad[i], -EPROTO);
    struct imap *imap = fetching();
    assert_int_equal(imap_feed(imap, (struct flz_view){(const uint8_t *)"* OK \0\r\n", 8}), 0);
    dies(imap, "", -EPROTO);
}

static void bombs_are_refused(void **state)
{
    (void)state;
    static const char *const bombs[] = {"2147483648", "4294967296", "4194305", "9999999999"};
    for (size_t i = 0; i < 4; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "* 1 FETCH (UID 1 BODY[HEADER] {%s}\r\n", bombs[i]);
        dies(fetching(), line, -EMSGSIZE);
    }
    char *line = malloc(IMAP_LINE_MAX + 2);
    memset(line, 'a', IMAP_LINE_MAX + 1);
    line[IMAP_LINE_MAX + 1] = '\0';
    dies(fetching(), line, -EMSGSIZE);
    free(line);

    struct imap *imap = fetching();
    struct imap_event event;
    int r = 0;
    for (unsigned i = 0; i <= IMAP_UNTAGGED_MAX && r == 0; i++) {
        assert_int_equal(feed(imap, "* OK x\r\n"), 0);
        r = imap_next(imap, &event);
    }
    assert_int_equal(r, -EMSGSIZE);
    (void)imap_free(imap);
}

static void a_session_is_bounded_in_bytes(void **state)
{
    (void)state;
    struct imap_options options = {.tag_prefix = "abcd", .greeted = true, .input_max = 1000};
    struct imap *imap = imap_new(&options);
    int r = 0;
    for (unsigned i = 0; r == 0; i++) {
        assert_true(i < 101);
        r = feed(imap, "* OK 345\r\n");
    }
    assert_int_equal(r, -EMSGSIZE);
    (void)imap_free(imap);
}

static void a_literal_that_is_too_long_is_read_past(void **state)
{
    (void)state;
    struct imap *imap = fetching();
    char start[128], piece[1001];
    size_t n = IMAP_LITERAL_MAX + 1000;
    (void)snprintf(start, sizeof start, "* 1 FETCH (UID 1 BODY[HEADER] {%zu}\r\n", n);
    assert_int_equal(feed(imap, start), 0);
    memset(piece, ')', 1000);
    piece[1000] = '\0';
    for (size_t i = 0; i < n / 1000; i++)
        assert_int_equal(feed(imap, piece), 0);
    piece[n % 1000] = '\0';
    assert_int_equal(feed(imap, piece), 0);
    assert_int_equal(feed(imap, " FLAGS (\\Seen))\r\nabcd3 OK x\r\n"), 0);
    struct imap_event event = next(imap, IMAP_EVENT_FETCH);
    assert_false(event.fetch.has_header);
    assert_true(event.fetch.has_flags);
    (void)next(imap, IMAP_EVENT_DONE);
    assert_true(imap_is_idle(imap));
    (void)imap_free(imap);
}

static void a_bye_ends_it_and_logout_expects_one(void **state)
{
    (void)state;
    struct imap *imap = fetching();
    assert_int_equal(feed(imap, "* BYE killed\r\nabcd3 OK late\r\n"), 0);
    (void)next(imap, IMAP_EVENT_BYE);
    (void)next(imap, IMAP_EVENT_NONE);
    assert_int_equal(feed(imap, "anything"), 0);
    (void)imap_free(imap);

    imap = logged_in();
    assert_int_equal(imap_logout(imap), 0);
    assert_true(imap_timeout_ms(imap) < 10000);
    assert_int_equal(feed(imap, "* BYE bye\r\nabcd3 OK done\r\n"), 0);
    (void)next(imap, IMAP_EVENT_DONE);
    (void)imap_free(imap);
}

static void a_rearmed_session_counts_from_nothing(void **state)
{
    (void)state;
    struct imap *imap = logged_in();
    assert_true(imap_input_left(imap) < IMAP_INPUT_MAX);
    imap_rearm(imap, 0);
    assert_int_equal(imap_input_left(imap), IMAP_INPUT_MAX);
    assert_int_equal(imap_noop(imap), 0);
    sent(imap, "abcd3 NOOP\r\n");
    assert_int_equal(feed(imap, "abcd3 OK x\r\n"), 0);
    (void)next(imap, IMAP_EVENT_DONE);
    (void)imap_free(imap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_is_followed_by_fresh_capabilities),
        cmocka_unit_test(strange_greetings_end_the_session),
        cmocka_unit_test(no_login_without_tls),
        cmocka_unit_test(a_login_command_is_quoted_or_a_literal),
        cmocka_unit_test(the_mechanism_follows_what_is_announced),
        cmocka_unit_test(a_refused_token_is_answered_and_its_reason_told),
        cmocka_unit_test(secrets_that_would_break_the_line_are_refused),
        cmocka_unit_test(output_that_has_left_is_wiped),
        cmocka_unit_test(an_ok_before_the_secret_left_is_not_believed),
        cmocka_unit_test(capabilities_are_asked_for_again_after_login),
        cmocka_unit_test(commands_are_written_as_the_grammar_wants),
        cmocka_unit_test(strings_with_line_ends_never_leave),
        cmocka_unit_test(eight_bit_names_leave_as_literals),
        cmocka_unit_test(select_tells_the_mailbox_and_copyuid_the_copy),
        cmocka_unit_test(forged_lines_in_mail_are_never_believed),
        cmocka_unit_test(violations_end_the_session),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(a_session_is_bounded_in_bytes),
        cmocka_unit_test(a_literal_that_is_too_long_is_read_past),
        cmocka_unit_test(a_bye_ends_it_and_logout_expects_one),
        cmocka_unit_test(a_rearmed_session_counts_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
