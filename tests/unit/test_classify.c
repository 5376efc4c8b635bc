/* The rules that are shipped (deploy/providers.yaml), and the engine that reads them. */
#include "node/core/classify.h"
#include "node/providers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct providers *providers;

static struct classify_verdict classified(const struct classify_input *input)
{
    return classify(providers_replies(providers), input);
}

/* Reads a reply as the engine does, and classifies it. */
static struct classify_verdict classify_reply(const char *provider, enum smtp_stage stage,
                                              const char *text)
{
    struct smtp_result result = {.stage = stage};
    struct reply_parser parser;
    struct flz_view in = flz_view_str(text);
    reply_parser_init(&parser);
    int r = REPLY_LINE;
    while (r == REPLY_LINE)
        r = reply_parser_step(&parser, &in);
    assert_int_equal(r, REPLY_DONE);
    result.reply = parser.reply;
    struct classify_input input = classify_input_of(provider, &result);
    return classified(&input);
}

static void replies_fall_into_their_class(void **state)
{
    static const struct {
        const char *provider;
        enum smtp_stage stage;
        const char *reply;
        const char *class;
        const char *scope;
        bool hard;
    } rows[] = {
#define ANY ""
#define MICROSOFT "microsoft365"
#define YAHOO "yahoo"
#define ROW(p, s, ...) {p, SMTP_STAGE_##s, __VA_ARGS__}
        ROW(ANY, DOT, "250 2.0.0 Ok: queued, not spam\r\n", "accepted", "nothing", false),
        ROW(ANY, AUTH, "535 5.7.8 Error: authentication failed\r\n", "auth-failed", "account",
            true),
        ROW(ANY, AUTH, "454 4.7.0 Temporary authentication failure\r\n", "auth-temporary",
            "account", false),
        ROW(ANY, AUTH, "421 4.7.0 Too many errors\r\n", "rate-limit", "account", false),
        ROW(ANY, AUTH, "535 5.7.8 token expired\r\n", "auth-expired", "account", true),
        ROW(ANY, AUTH, "534 5.7.9 mechanism is too weak\r\n", "auth-disabled", "account", true),
        ROW(ANY, MAIL, "530 5.7.0 Authentication required\r\n", "auth-failed", "account", true),
        ROW(ANY, MAIL,
            "553 5.7.1 <a@a.test>: Sender address rejected: not owned by user b@a.test\r\n",
            "sender-refused", "account", true),
        ROW(ANY, RCPT, "550 5.1.1 <nouser@a.test>: Recipient address rejected: User unknown\r\n",
            "unknown-recipient", "mailbox", true),
        ROW(ANY, RCPT, "550 no such user here\r\n", "unknown-recipient", "mailbox", true),
        ROW(ANY, RCPT, "550 sorry\r\n", "unknown-recipient", "mailbox", true),
        ROW(ANY, RCPT, "452 4.2.2 Mailbox full\r\n", "recipient-full", "mailbox", false),
        ROW(ANY, RCPT, "552 5.2.2 over quota\r\n", "recipient-full", "mailbox", false),
        ROW(ANY, DOT, "552 user is over quota\r\n", "recipient-full", "mailbox", false),
        ROW(ANY, MAIL, "452 4.2.2 Mailbox full\r\n", "sender-full", "account", false),
        ROW(ANY, RCPT, "550 5.2.1 mailbox disabled\r\n", "recipient-disabled", "mailbox", true),
        ROW(ANY, RCPT, "556 5.1.10 recipient takes no mail\r\n", "bad-domain", "mailbox", true),
        ROW(ANY, RCPT, "450 4.2.0 Greylisted, try later\r\n", "greylisted", "message", false),
        ROW(ANY, RCPT, "450 4.2.0 tempfail\r\n", "greylisted", "message", false),
        ROW(ANY, RCPT, "421 4.7.0 Try again later\r\n", "rate-limit", "account", false),
        ROW(ANY, RCPT, "421 4.7.28 unusual rate of mail\r\n", "rate-limit", "account", false),
        ROW(ANY, MAIL, "421 4.3.2 Service shutting down\r\n", "server-busy", "session", false),
        ROW(ANY, DATA, "451 4.3.0 queue file write error\r\n", "server-busy", "session", false),
        ROW(ANY, DATA, "451 oops\r\n", "server-busy", "message", false),
        ROW(ANY, DOT, "550 5.7.1 Message rejected as spam\r\n", "spam", "account", true),
        ROW(ANY, DOT, "550 5.7.1 refused by policy\r\n", "policy", "account", true),
        ROW(ANY, DOT, "550 5.7.26 unauthenticated mail\r\n", "unauthenticated", "provider", true),
        ROW(ANY, DOT, "550-5.7.1 This domain fails DMARC\r\n550 5.7.1 see help\r\n",
            "unauthenticated", "provider", true),
        ROW(ANY, GREETING,
            "554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org\r\n",
            "blocklisted", "provider", true),
        ROW(ANY, GREETING, "554 no\r\n", "policy", "provider", true),
        ROW(ANY, GREETING, "421 busy\r\n", "server-busy", "session", false),
        ROW(ANY, DOT, "552 5.3.4 Message too big\r\n", "too-big", "message", true),
        ROW(ANY, DOT, "554 5.6.0 malformed\r\n", "content", "message", true),
        ROW(ANY, MAIL, "503 5.5.1 sequence\r\n", "protocol", "session", true),
        ROW(ANY, MAIL, "550 5.4.5 Daily sending quota exceeded\r\n", "quota-spent", "account",
            false),
        ROW(ANY, DOT, "554 whatever\r\n", "refused", "message", true),
        ROW(ANY, DOT, "455 whatever\r\n", "refused", "message", false),
        ROW(MICROSOFT, DOT, "432 4.3.2 Concurrent connections limit exceeded\r\n", "rate-limit",
            "account", false),
        ROW(MICROSOFT, AUTH,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
            "Tenant.\r\n",
            "auth-disabled", "account", true),
        ROW(MICROSOFT, AUTH,
            "550 5.7.30 Basic authentication is not supported for Client Submission.\r\n",
            "auth-disabled", "account", true),
        ROW(ANY, AUTH, "550 5.7.30 REQUIRETLS support required\r\n", "auth-failed", "account",
            true),
        ROW(MICROSOFT, AUTH, "535 5.7.3 Authentication unsuccessful\r\n", "auth-failed", "account",
            true),
        ROW(MICROSOFT, DOT, "550 5.7.515 Access denied, sending domain does not meet\r\n",
            "unauthenticated", "provider", true),
        ROW(MICROSOFT, DOT, "550 5.7.233 tenant limit\r\n", "quota-spent", "provider", false),
        ROW(MICROSOFT, DOT,
            "554 5.2.252 SendAsDenied; a@a.test not allowed to send as b@b.test\r\n",
            "sender-refused", "account", true),
        ROW(MICROSOFT, GREETING, "421 4.3.2 Service not active, Server busy\r\n", "rate-limit",
            "account", false),
        ROW(YAHOO, GREETING, "421 4.7.0 [TSS04] Messages temporarily deferred\r\n", "rate-limit",
            "provider", false),
        ROW(ANY, GREETING, "421 4.7.0 [TSS04] Messages temporarily deferred\r\n", "rate-limit",
            "account", false),
#undef ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct classify_verdict v = classify_reply(rows[i].provider, rows[i].stage, rows[i].reply);
        if (strcmp(classify_class_words[v.class], rows[i].class) != 0)
            print_error("%s → rule %s\n", rows[i].reply, v.rule);
        assert_string_equal(classify_class_words[v.class], rows[i].class);
        assert_string_equal(classify_scope_words[v.scope], rows[i].scope);
        assert_int_equal(v.hard, rows[i].hard);
        assert_true(v.hard || v.backoff_ms > 0 || v.class == CLASSIFY_ACCEPTED);
    }
}

static void ways_to_end_without_a_reply_fall_into_their_class(void **state)
{
    static const struct {
        const char *end;
        const char *server_text;
        const char *class;
        bool hard;
    } rows[] = {
        {"expired", "", "tls", true},
        {"wrong-name", "", "tls", true},
        {"untrusted", "", "tls", true},
        {"starttls", "250 hi", "tls", true},
        {"tls", "", "tls", false},
        {"resolve", "", "network", false},
        {"refused", "", "network", false},
        {"timeout", "", "network", false},
        {"closed", "", "network", false},
        {"reset", "", "network", false},
        {"local", "", "network", false},
        {"protocol", "SSH-2.0", "protocol", false},
        {"greeting", "421 4.7.0 too many connections", "rate-limit", false},
        {"greeting", "554 5.7.1 listed at spamhaus", "blocklisted", true},
        {"greeting", "550-first of more", "policy", true},
        {"greeting", "* BYE too many connections", "server-busy", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct classify_input input = classify_input_of_connect(
            "", rows[i].end, rows[i].server_text, "words with spam in them");
        struct classify_verdict v = classified(&input);
        assert_string_equal(classify_class_words[v.class], rows[i].class);
        assert_int_equal(v.hard, rows[i].hard);
    }
}

static void a_session_without_a_decisive_reply_is_network_or_protocol(void **state)
{
    struct smtp_result result = {.stage = SMTP_STAGE_DOT, .reason = "connection lost"};
    result.reply.code = 550; /* kept along, but not what decided */
    struct classify_input input = classify_input_of("microsoft365", &result);
    assert_int_equal(classified(&input).class, CLASSIFY_NETWORK);
    result.reason = "NUL in a reply";
    input = classify_input_of("microsoft365", &result);
    assert_int_equal(classified(&input).class, CLASSIFY_PROTOCOL);
    assert_int_equal(classified(&input).scope, CLASSIFY_SESSION);
}

static void every_code_and_stage_has_an_answer(void **state)
{
    static const char *const names[] = {"", "microsoft365", "yahoo"};
    for (size_t provider = 0; provider < 3; provider++)
        for (uint32_t stage = SMTP_STAGE_CONNECT; stage <= CLASSIFY_STAGE_REPORT; stage++)
            for (int code = 400; code < 600; code++) {
                struct classify_input input = {
                    .provider = names[provider], .stage = stage, .code = code, .text = ""};
                struct classify_verdict v = classified(&input);
                assert_int_not_equal(v.class, CLASSIFY_ACCEPTED);
                assert_int_not_equal(v.scope, CLASSIFY_NOTHING);
                assert_non_null(v.rule);
                if (code < 500)
                    assert_false(v.hard);
            }
}

/* What a bounce quotes; the provider is that of the server that wrote it. */
static void bounces_and_codes_say_what_to_do(void **state)
{
    static const struct {
        const char *provider;
        uint32_t stage;
        int code;
        struct reply_enhanced enhanced;
        const char *text;
        const char *class;
        enum flz_refusal refusal;
        enum flz_reason reason;
    } rows[] = {
#define REPORT CLASSIFY_STAGE_REPORT
        {"",
         REPORT,
         550,
         {5, 1, 1},
         "550 5.1.1 User unknown",
         "unknown-recipient",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"",
         REPORT,
         500,
         {5, 0, 0},
         "550 no such user here",
         "unknown-recipient",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"",
         REPORT,
         550,
         {0},
         "Unrouteable address",
         "bad-domain",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"",
         REPORT,
         552,
         {5, 2, 2},
         "552 5.2.2 mailbox full",
         "recipient-full",
         FLZ_REFUSAL_SOFT,
         FLZ_REASON_RECIPIENT},
        {"",
         REPORT,
         400,
         {4, 4, 7},
         "delivery expired",
         "server-busy",
         FLZ_REFUSAL_SOFT,
         FLZ_REASON_RATE},
        {"",
         REPORT,
         500,
         {5, 1, 2},
         "no such host",
         "bad-domain",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"microsoft365",
         REPORT,
         550,
         {5, 1, 10},
         "RESOLVER.ADR.RecipientNotFound",
         "unknown-recipient",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"",
         REPORT,
         556,
         {5, 1, 10},
         "domain takes no mail",
         "bad-domain",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"",
         REPORT,
         550,
         {5, 7, 1},
         "message looks like spam",
         "spam",
         FLZ_REFUSAL_HARD,
         FLZ_REASON_SPAM_BLOCK},
        {"",
         REPORT,
         550,
         {5, 7, 515},
         "Access denied",
         "unauthenticated",
         FLZ_REFUSAL_STOP,
         FLZ_REASON_SPAM_BLOCK},
        {"",
         SMTP_STAGE_DOT,
         550,
         {5, 7, 501},
         "spam abuse detected",
         "spam",
         FLZ_REFUSAL_STOP,
         FLZ_REASON_SPAM_BLOCK},
        {"microsoft365",
         SMTP_STAGE_DOT,
         550,
         {5, 1, 8},
         "bad outbound sender",
         "spam",
         FLZ_REFUSAL_STOP,
         FLZ_REASON_SPAM_BLOCK},
        {"",
         SMTP_STAGE_MAIL,
         550,
         {5, 1, 8},
         "bad sender",
         "sender-refused",
         FLZ_REFUSAL_STOP,
         FLZ_REASON_SPAM_BLOCK},
        {"",
         SMTP_STAGE_MAIL,
         450,
         {4, 1, 8},
         "Domain not found",
         "sender-refused",
         FLZ_REFUSAL_SOFT,
         FLZ_REASON_SPAM_BLOCK},
        {"",
         SMTP_STAGE_RCPT,
         450,
         {4, 2, 1},
         "try later",
         "recipient-disabled",
         FLZ_REFUSAL_SOFT,
         FLZ_REASON_RECIPIENT},
        {"",
         SMTP_STAGE_RCPT,
         550,
         {5, 2, 1},
         "inactive",
         "recipient-disabled",
         FLZ_REFUSAL_SUSPEND,
         FLZ_REASON_RECIPIENT},
        {"",
         SMTP_STAGE_DOT,
         250,
         {2, 0, 0},
         "queued",
         "accepted",
         FLZ_REFUSAL_NONE,
         FLZ_REASON_NONE},
#undef REPORT
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct classify_input input = {.provider = rows[i].provider,
                                       .stage = rows[i].stage,
                                       .code = rows[i].code,
                                       .enhanced = rows[i].enhanced,
                                       .text = rows[i].text};
        struct classify_verdict v = classified(&input);
        if (strcmp(classify_class_words[v.class], rows[i].class) != 0)
            print_error("row %zu: %s → rule %s\n", i, rows[i].text, v.rule);
        assert_string_equal(classify_class_words[v.class], rows[i].class);
        assert_int_equal(classify_refusal(&v), rows[i].refusal);
        assert_int_equal(classify_reason(v.class), rows[i].reason);
    }
}

/* Without a rule the first digit decides. */
static void what_no_rule_knows_goes_by_its_first_digit(void **state)
{
    static const struct {
        int code;
        enum flz_refusal refusal;
    } rows[] = {{250, FLZ_REFUSAL_NONE},
                {451, FLZ_REFUSAL_SOFT},
                {550, FLZ_REFUSAL_HARD},
                {0, FLZ_REFUSAL_SOFT}};
    struct classify_rules none = {.count = 0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct classify_input input = {.provider = "", .code = rows[i].code, .text = "spam"};
        struct classify_verdict v = classify(&none, &input);
        assert_int_equal(classify_refusal(&v), rows[i].refusal);
        assert_true(v.rule[0]);
    }
}

static int load(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = providers_load("deploy/providers.yaml", &providers, &msg);
    if (r < 0)
        print_error("%s\n", msg.text);
    return r;
}

static int unload(void **state)
{
    providers = providers_free(providers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_fall_into_their_class),
        cmocka_unit_test(ways_to_end_without_a_reply_fall_into_their_class),
        cmocka_unit_test(a_session_without_a_decisive_reply_is_network_or_protocol),
        cmocka_unit_test(every_code_and_stage_has_an_answer),
        cmocka_unit_test(bounces_and_codes_say_what_to_do),
        cmocka_unit_test(what_no_rule_knows_goes_by_its_first_digit),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
