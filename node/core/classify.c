#include "node/core/classify.h"

#include "common/base/text.h"
#include "common/base/time.h"

#include <string.h>

/* Stages as bits; ANY is none of them. */
#define AT(stage) (1U << (stage))
#define ANY 0U
#define HELLO (AT(SMTP_STAGE_CONNECT) | AT(SMTP_STAGE_GREETING) | AT(SMTP_STAGE_EHLO))
#define AUTH AT(SMTP_STAGE_AUTH)
#define MAIL AT(SMTP_STAGE_MAIL)
#define RCPT AT(SMTP_STAGE_RCPT)
#define BODY (AT(SMTP_STAGE_DATA) | AT(SMTP_STAGE_BODY) | AT(SMTP_STAGE_DOT))

#define X -1 /* any number */

#define MIN FLZ_MINUTE_MS
#define HOUR FLZ_HOUR_MS

struct rule {
    const char *id;
    enum classify_provider provider;
    unsigned stages;
    int code; /* 3 digits, one digit for all its codes, or X */
    int class;
    int subject;
    int detail;
    const char *words; /* alternatives, "|" between; one must be in the text, whatever the case */
    enum classify_class is;
    enum classify_scope scope;
    bool hard;
    int64_t backoff_ms;
};

/*
 * First match wins. Sources: RFC 3463, 4954, 5321, 7372, 7505; Microsoft's and Yahoo's pages on
 * SMTP errors. Vendors reuse codes, so the sentence decides before the number, and a vendor's rule
 * before a general one.
 */
static const struct rule rules[] = {
    /* Microsoft. 5.7.139 and 5.7.30 name several things: the sentence tells which. */
    {"ms-auth-tenant", CLASSIFY_MICROSOFT, AUTH, X, X, X, X,
     "disabled for the tenant|disabled for the mailbox", CLASSIFY_AUTH_DISABLED, CLASSIFY_ACCOUNT,
     true, 0},
    {"ms-5.7.139", CLASSIFY_MICROSOFT, AUTH, X, 5, 7, 139, NULL, CLASSIFY_AUTH_DISABLED,
     CLASSIFY_ACCOUNT, true, 0},
    {"ms-basic-auth", CLASSIFY_MICROSOFT, ANY, X, X, X, X, "basic authentication",
     CLASSIFY_AUTH_DISABLED, CLASSIFY_ACCOUNT, true, 0},
    {"ms-5.7.30", CLASSIFY_MICROSOFT, ANY, X, 5, 7, 30, NULL, CLASSIFY_AUTH_DISABLED,
     CLASSIFY_ACCOUNT, true, 0},
    {"ms-concurrent", CLASSIFY_MICROSOFT, ANY, 432, X, X, X, NULL, CLASSIFY_RATE_LIMIT,
     CLASSIFY_ACCOUNT, false, 5 * MIN},
    {"ms-tenant-quota", CLASSIFY_MICROSOFT, ANY, X, 5, 7, 232, NULL, CLASSIFY_QUOTA_SPENT,
     CLASSIFY_PROVIDER, false, 12 * HOUR},
    {"ms-tenant-quota", CLASSIFY_MICROSOFT, ANY, X, 5, 7, 233, NULL, CLASSIFY_QUOTA_SPENT,
     CLASSIFY_PROVIDER, false, 12 * HOUR},
    {"ms-mailbox-quota", CLASSIFY_MICROSOFT, ANY, X, X, X, X,
     "submission quota exceeded|recipient limit|message limit exceeded|5.2.121|5.2.122",
     CLASSIFY_QUOTA_SPENT, CLASSIFY_ACCOUNT, false, 12 * HOUR},
    {"ms-send-as", CLASSIFY_MICROSOFT, ANY, X, X, X, X, "sendasdenied|send as",
     CLASSIFY_SENDER_REFUSED, CLASSIFY_ACCOUNT, true, 0},
    {"ms-suspended", CLASSIFY_MICROSOFT, ANY, X, 5, 1, 8, NULL, CLASSIFY_SPAM, CLASSIFY_ACCOUNT,
     true, 0},
    {"ms-tenant-blocked", CLASSIFY_MICROSOFT, ANY, X, 5, 7, 705, NULL, CLASSIFY_SPAM,
     CLASSIFY_PROVIDER, true, 0},
    {"ms-authentication", CLASSIFY_MICROSOFT, ANY, X, 5, 7, 515, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"ms-listed", CLASSIFY_MICROSOFT, ANY, X, X, X, X,
     "block list|blocked using|banned sending ip|(s3140)|(s3150)", CLASSIFY_BLOCKLISTED,
     CLASSIFY_PROVIDER, true, 2 * HOUR},
    {"ms-busy", CLASSIFY_MICROSOFT, ANY, 4, X, X, X, "server busy", CLASSIFY_RATE_LIMIT,
     CLASSIFY_ACCOUNT, false, 15 * MIN},
    {"ms-rate", CLASSIFY_MICROSOFT, ANY, 4, X, X, X, "temporarily rate limited|exceeded",
     CLASSIFY_RATE_LIMIT, CLASSIFY_PROVIDER, false, 90 * MIN},

    /* Yahoo and AOL. */
    {"yahoo-ts04", CLASSIFY_YAHOO, ANY, 4, X, X, X, "[ts04]|[tss04]", CLASSIFY_RATE_LIMIT,
     CLASSIFY_PROVIDER, false, 2 * HOUR},
    {"yahoo-tss05", CLASSIFY_YAHOO, ANY, 4, X, X, X, "[tss05]", CLASSIFY_RATE_LIMIT,
     CLASSIFY_PROVIDER, false, 4 * HOUR},
    {"yahoo-listed", CLASSIFY_YAHOO, ANY, 5, X, X, X, "[bl21]|[bl22]|[bl23]", CLASSIFY_BLOCKLISTED,
     CLASSIFY_PROVIDER, true, 12 * HOUR},

    /* A connection that never opened: no reply, the way it ended. */
    {"tls-expired", CLASSIFY_ANY, HELLO, 0, X, X, X, "=expired", CLASSIFY_TLS, CLASSIFY_ACCOUNT,
     true, 0},
    {"tls-name", CLASSIFY_ANY, HELLO, 0, X, X, X, "=wrong-name", CLASSIFY_TLS, CLASSIFY_ACCOUNT,
     true, 0},
    {"tls-untrusted", CLASSIFY_ANY, HELLO, 0, X, X, X, "=untrusted", CLASSIFY_TLS, CLASSIFY_ACCOUNT,
     true, 0},
    {"tls-starttls", CLASSIFY_ANY, HELLO, 0, X, X, X, "=starttls", CLASSIFY_TLS, CLASSIFY_ACCOUNT,
     true, 0},
    {"tls-handshake", CLASSIFY_ANY, HELLO, 0, X, X, X, "=tls", CLASSIFY_TLS, CLASSIFY_SESSION,
     false, 15 * MIN},
    {"net-resolve", CLASSIFY_ANY, HELLO, 0, X, X, X, "=resolve", CLASSIFY_NETWORK, CLASSIFY_ACCOUNT,
     false, 15 * MIN},
    {"net-refused", CLASSIFY_ANY, HELLO, 0, X, X, X, "=refused", CLASSIFY_NETWORK, CLASSIFY_ACCOUNT,
     false, 5 * MIN},
    {"net-connect", CLASSIFY_ANY, HELLO, 0, X, X, X, "=timeout|=closed|=reset|=local",
     CLASSIFY_NETWORK, CLASSIFY_SESSION, false, 5 * MIN},
    {"greeting-refused", CLASSIFY_ANY, HELLO, 0, X, X, X, "=greeting", CLASSIFY_SERVER_BUSY,
     CLASSIFY_SESSION, false, 15 * MIN},
    {"protocol-connect", CLASSIFY_ANY, HELLO, 0, X, X, X, "=protocol", CLASSIFY_PROTOCOL,
     CLASSIFY_ACCOUNT, false, 30 * MIN},

    /* A session that ended without a decisive reply: by its words. */
    {"net-lost", CLASSIFY_ANY, ANY, 0, X, X, X, "lost|time-out|timeout|closed|reset|given up",
     CLASSIFY_NETWORK, CLASSIFY_SESSION, false, 1 * MIN},
    {"protocol", CLASSIFY_ANY, ANY, 0, X, X, X, NULL, CLASSIFY_PROTOCOL, CLASSIFY_SESSION, false,
     15 * MIN},

    /* AUTH (RFC 4954 section 6). An account is not tried again with credentials once refused. */
    {"auth-temporary", CLASSIFY_ANY, AUTH, 454, X, X, X, NULL, CLASSIFY_AUTH_TEMPORARY,
     CLASSIFY_ACCOUNT, false, 15 * MIN},
    {"auth-rate", CLASSIFY_ANY, AUTH, 4, X, X, X,
     "too many|rate limit|limit exceeded|try again later", CLASSIFY_RATE_LIMIT, CLASSIFY_ACCOUNT,
     false, 30 * MIN},
    {"auth-busy", CLASSIFY_ANY, AUTH, 4, X, X, X, NULL, CLASSIFY_AUTH_TEMPORARY, CLASSIFY_ACCOUNT,
     false, 15 * MIN},
    {"auth-expired", CLASSIFY_ANY, AUTH, 535, X, X, X, "expired|token|xoauth2|\"status\":\"401\"",
     CLASSIFY_AUTH_EXPIRED, CLASSIFY_ACCOUNT, true, 0},
    {"auth-disabled", CLASSIFY_ANY, AUTH, X, X, X, X, "disabled|not enabled|not permitted",
     CLASSIFY_AUTH_DISABLED, CLASSIFY_ACCOUNT, true, 0},
    {"auth-mechanism", CLASSIFY_ANY, AUTH, 504, X, X, X, NULL, CLASSIFY_AUTH_DISABLED,
     CLASSIFY_ACCOUNT, true, 0},
    {"auth-weak", CLASSIFY_ANY, AUTH, 534, X, X, X, NULL, CLASSIFY_AUTH_DISABLED, CLASSIFY_ACCOUNT,
     true, 0},
    {"auth-failed", CLASSIFY_ANY, AUTH, 5, X, X, X, NULL, CLASSIFY_AUTH_FAILED, CLASSIFY_ACCOUNT,
     true, 0},
    {"auth-required", CLASSIFY_ANY, ANY, 530, X, X, X, NULL, CLASSIFY_AUTH_FAILED, CLASSIFY_ACCOUNT,
     true, 0},
    {"auth-5.7.8", CLASSIFY_ANY, ANY, X, 5, 7, 8, NULL, CLASSIFY_AUTH_FAILED, CLASSIFY_ACCOUNT,
     true, 0},

    /* Lists of senders: the sentence names them, whatever the code. */
    {"listed", CLASSIFY_ANY, ANY, X, X, X, X,
     "spamhaus|spamcop|barracuda|sorbs|blocklist|blacklist|block list|dnsbl|(rbl)|rbl:|by rbl| "
     "rbl ",
     CLASSIFY_BLOCKLISTED, CLASSIFY_PROVIDER, true, 12 * HOUR},

    /* Rates. */
    {"greylisted", CLASSIFY_ANY, ANY, 4, X, X, X, "greylist|graylist|grey-list|postgrey",
     CLASSIFY_GREYLISTED, CLASSIFY_MESSAGE, false, 10 * MIN},
    {"day-quota", CLASSIFY_ANY, ANY, X, X, X, X,
     "daily sending quota|daily limit|daily message|per day|hourly|per hour", CLASSIFY_QUOTA_SPENT,
     CLASSIFY_ACCOUNT, false, 12 * HOUR},
    {"rate-words", CLASSIFY_ANY, ANY, 4, X, X, X,
     "rate limit|ratelimit|too many|too fast|throttl|slow down|concurrent|limit exceeded",
     CLASSIFY_RATE_LIMIT, CLASSIFY_ACCOUNT, false, 30 * MIN},
    {"rate-5xx", CLASSIFY_ANY, ANY, 5, X, X, X,
     "rate limit|ratelimit|too many messages|sending limit", CLASSIFY_RATE_LIMIT, CLASSIFY_ACCOUNT,
     false, 2 * HOUR},
    {"too-many-recipients", CLASSIFY_ANY, RCPT, X, X, 5, 3, NULL, CLASSIFY_RATE_LIMIT,
     CLASSIFY_ACCOUNT, false, 30 * MIN},
    {"rate-432", CLASSIFY_ANY, ANY, 432, X, X, X, NULL, CLASSIFY_RATE_LIMIT, CLASSIFY_ACCOUNT,
     false, 5 * MIN},
    {"mail-flood", CLASSIFY_ANY, ANY, X, X, 7, 28, NULL, CLASSIFY_RATE_LIMIT, CLASSIFY_ACCOUNT,
     false, 2 * HOUR},

    /* SPF, DKIM, DMARC, reverse DNS (RFC 7372, RFC 7489). */
    {"authentication-20", CLASSIFY_ANY, ANY, X, X, 7, 20, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"authentication-21", CLASSIFY_ANY, ANY, X, X, 7, 21, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"authentication-22", CLASSIFY_ANY, ANY, X, X, 7, 22, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"authentication-23", CLASSIFY_ANY, ANY, X, X, 7, 23, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"authentication-24", CLASSIFY_ANY, ANY, X, X, 7, 24, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, false, 2 * HOUR},
    {"authentication-25", CLASSIFY_ANY, ANY, X, X, 7, 25, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"authentication-26", CLASSIFY_ANY, ANY, X, X, 7, 26, NULL, CLASSIFY_UNAUTHENTICATED,
     CLASSIFY_PROVIDER, true, 0},
    {"null-mx-sender", CLASSIFY_ANY, ANY, X, X, 7, 27, NULL, CLASSIFY_SENDER_REFUSED,
     CLASSIFY_ACCOUNT, true, 0},
    {"authentication-words", CLASSIFY_ANY, ANY, X, X, X, X,
     "dmarc|spf |dkim|reverse dns|ptr record", CLASSIFY_UNAUTHENTICATED, CLASSIFY_PROVIDER, true,
     0},

    /* The sender. */
    {"not-owner", CLASSIFY_ANY, MAIL | RCPT | BODY, X, X, X, X,
     "not owned by|sender address rejected|send as|sender verify|not allowed to send as",
     CLASSIFY_SENDER_REFUSED, CLASSIFY_ACCOUNT, true, 0},
    {"sender-5.1.7", CLASSIFY_ANY, ANY, X, X, 1, 7, NULL, CLASSIFY_SENDER_REFUSED, CLASSIFY_ACCOUNT,
     true, 0},
    {"sender-5.1.8", CLASSIFY_ANY, ANY, X, X, 1, 8, NULL, CLASSIFY_SENDER_REFUSED, CLASSIFY_ACCOUNT,
     true, 0},
    {"sender-full", CLASSIFY_ANY, MAIL, X, X, 2, 2, NULL, CLASSIFY_SENDER_FULL, CLASSIFY_ACCOUNT,
     false, 6 * HOUR},

    /* The recipient. */
    {"mailbox-full", CLASSIFY_ANY, ANY, X, X, 2, 2, NULL, CLASSIFY_RECIPIENT_FULL, CLASSIFY_MAILBOX,
     false, 6 * HOUR},
    {"mailbox-full-words", CLASSIFY_ANY, RCPT | BODY, X, X, X, X,
     "mailbox full|mailbox is full|over quota|overquota|quota exceeded", CLASSIFY_RECIPIENT_FULL,
     CLASSIFY_MAILBOX, false, 6 * HOUR},
    {"mailbox-disabled", CLASSIFY_ANY, ANY, X, X, 2, 1, NULL, CLASSIFY_RECIPIENT_DISABLED,
     CLASSIFY_MAILBOX, true, 0},
    {"no-mailbox", CLASSIFY_ANY, ANY, X, 5, 1, 1, NULL, CLASSIFY_UNKNOWN_RECIPIENT,
     CLASSIFY_MAILBOX, true, 0},
    {"no-mailbox-yet", CLASSIFY_ANY, ANY, X, 4, 1, 1, NULL, CLASSIFY_UNKNOWN_RECIPIENT,
     CLASSIFY_MAILBOX, false, 1 * HOUR},
    {"no-domain", CLASSIFY_ANY, ANY, X, 5, 1, 2, NULL, CLASSIFY_BAD_DOMAIN, CLASSIFY_MAILBOX, true,
     0},
    {"null-mx", CLASSIFY_ANY, ANY, X, 5, 1, 10, NULL, CLASSIFY_BAD_DOMAIN, CLASSIFY_MAILBOX, true,
     0},
    {"moved", CLASSIFY_ANY, ANY, X, 5, 1, 6, NULL, CLASSIFY_UNKNOWN_RECIPIENT, CLASSIFY_MAILBOX,
     true, 0},
    {"no-mailbox-words", CLASSIFY_ANY, RCPT | BODY, 5, X, X, X,
     "user unknown|unknown user|no such user|does not exist|unknown recipient|user not found|"
     "mailbox unavailable|invalid recipient|no mailbox|recipient rejected",
     CLASSIFY_UNKNOWN_RECIPIENT, CLASSIFY_MAILBOX, true, 0},

    /* The message. */
    {"spam-words", CLASSIFY_ANY, ANY, X, X, X, X, "spam|unsolicited|bulk mail|junk|reputation",
     CLASSIFY_SPAM, CLASSIFY_ACCOUNT, true, 24 * HOUR},
    {"too-big", CLASSIFY_ANY, ANY, X, X, 3, 4, NULL, CLASSIFY_TOO_BIG, CLASSIFY_MESSAGE, true, 0},
    {"too-big-5.2.3", CLASSIFY_ANY, ANY, X, X, 2, 3, NULL, CLASSIFY_TOO_BIG, CLASSIFY_MESSAGE, true,
     0},
    {"content-6", CLASSIFY_ANY, ANY, X, 5, 6, X, NULL, CLASSIFY_CONTENT, CLASSIFY_MESSAGE, true, 0},

    /* Policy: a 5.7 of the server, and its softer kind. */
    {"policy", CLASSIFY_ANY, ANY, X, 5, 7, X, NULL, CLASSIFY_POLICY, CLASSIFY_ACCOUNT, true,
     24 * HOUR},
    {"policy-later", CLASSIFY_ANY, ANY, X, 4, 7, X, NULL, CLASSIFY_RATE_LIMIT, CLASSIFY_ACCOUNT,
     false, 30 * MIN},

    /* The server. */
    {"shutting-down", CLASSIFY_ANY, ANY, 421, X, X, X, NULL, CLASSIFY_SERVER_BUSY, CLASSIFY_SESSION,
     false, 5 * MIN},
    {"system", CLASSIFY_ANY, ANY, X, 4, 3, X, NULL, CLASSIFY_SERVER_BUSY, CLASSIFY_SESSION, false,
     15 * MIN},
    {"network", CLASSIFY_ANY, ANY, X, 4, 4, X, NULL, CLASSIFY_SERVER_BUSY, CLASSIFY_SESSION, false,
     15 * MIN},
    {"local-error", CLASSIFY_ANY, ANY, 451, X, X, X, NULL, CLASSIFY_SERVER_BUSY, CLASSIFY_MESSAGE,
     false, 30 * MIN},
    {"protocol-5.5", CLASSIFY_ANY, ANY, X, 5, 5, X, NULL, CLASSIFY_PROTOCOL, CLASSIFY_SESSION, true,
     0},

    /* Codes alone. */
    {"rcpt-550", CLASSIFY_ANY, RCPT, 550, 0, X, X, NULL, CLASSIFY_UNKNOWN_RECIPIENT,
     CLASSIFY_MAILBOX, true, 0},
    {"rcpt-553", CLASSIFY_ANY, RCPT, 553, 0, X, X, NULL, CLASSIFY_UNKNOWN_RECIPIENT,
     CLASSIFY_MAILBOX, true, 0},
    {"rcpt-450", CLASSIFY_ANY, RCPT, 450, X, X, X, NULL, CLASSIFY_GREYLISTED, CLASSIFY_MESSAGE,
     false, 30 * MIN},
    {"storage-452", CLASSIFY_ANY, ANY, 452, X, X, X, NULL, CLASSIFY_SERVER_BUSY, CLASSIFY_MESSAGE,
     false, 30 * MIN},
    {"size-552", CLASSIFY_ANY, ANY, 552, X, X, X, NULL, CLASSIFY_TOO_BIG, CLASSIFY_MESSAGE, true,
     0},
    {"syntax", CLASSIFY_ANY, ANY, 500, X, X, X, NULL, CLASSIFY_PROTOCOL, CLASSIFY_SESSION, true, 0},
    {"syntax-501", CLASSIFY_ANY, ANY, 501, X, X, X, NULL, CLASSIFY_PROTOCOL, CLASSIFY_SESSION, true,
     0},
    {"not-implemented", CLASSIFY_ANY, ANY, 502, X, X, X, NULL, CLASSIFY_PROTOCOL, CLASSIFY_SESSION,
     true, 0},
    {"bad-sequence", CLASSIFY_ANY, ANY, 503, X, X, X, NULL, CLASSIFY_PROTOCOL, CLASSIFY_SESSION,
     true, 0},
    {"no-service", CLASSIFY_ANY, HELLO, 5, X, X, X, NULL, CLASSIFY_POLICY, CLASSIFY_PROVIDER, true,
     12 * HOUR},
    {"busy-greeting", CLASSIFY_ANY, HELLO, 4, X, X, X, NULL, CLASSIFY_SERVER_BUSY, CLASSIFY_SESSION,
     false, 15 * MIN},
    {"later", CLASSIFY_ANY, ANY, 4, X, X, X, NULL, CLASSIFY_REFUSED, CLASSIFY_MESSAGE, false,
     30 * MIN},
    {"refused", CLASSIFY_ANY, ANY, 5, X, X, X, NULL, CLASSIFY_REFUSED, CLASSIFY_MESSAGE, true, 0},
    {"accepted", CLASSIFY_ANY, ANY, 2, X, X, X, NULL, CLASSIFY_ACCEPTED, CLASSIFY_NOTHING, false,
     0},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

static bool contains(const char *text, const char *word, size_t len)
{
    size_t n = strlen(text);
    for (size_t at = 0; at + len <= n; at++) {
        size_t i = 0;
        while (i < len && flz_ascii_lower(text[at + i]) == word[i])
            i++;
        if (i == len)
            return true;
    }
    return false;
}

/* "=word" is the way the connection ended, whole; any other word may stand anywhere in the text. */
static bool words_fit(const struct rule *rule, const struct classify_input *input)
{
    for (const char *p = rule->words; p;) {
        size_t len = strcspn(p, "|");
        bool fits = p[0] == '=' ? input->end && strlen(input->end) == len - 1 &&
                                      strncmp(input->end, p + 1, len - 1) == 0
                                : contains(input->text, p, len);
        if (fits)
            return true;
        p = p[len] == '|' ? p + len + 1 : NULL;
    }
    return !rule->words;
}

static bool number_fits(int wanted, int got)
{
    return wanted == X || wanted == got;
}

static bool code_fits(int wanted, int got)
{
    return wanted == X ? got != 0 : wanted > 0 && wanted < 10 ? got / 100 == wanted : got == wanted;
}

static bool rule_fits(const struct rule *rule, const struct classify_input *input)
{
    return (rule->provider == CLASSIFY_ANY || rule->provider == input->provider) &&
           (rule->stages == ANY || rule->stages & AT(input->stage)) &&
           code_fits(rule->code, input->code) && number_fits(rule->class, input->enhanced.class) &&
           number_fits(rule->subject, input->enhanced.subject) &&
           number_fits(rule->detail, input->enhanced.detail) && words_fit(rule, input);
}

struct classify_verdict classify(const struct classify_input *input)
{
    /* A reply that accepts is not searched for bad words. */
    size_t i = input->code / 100 == 2 ? RULES - 1 : 0;
    while (i < RULES - 1 && !rule_fits(&rules[i], input))
        i++;
    return (struct classify_verdict){
        .class = rules[i].is,
        .scope = rules[i].scope,
        .hard = rules[i].hard,
        .backoff_ms = rules[i].backoff_ms,
        .rule = rules[i].id,
    };
}

struct classify_input classify_input_of(enum classify_provider provider,
                                        const struct smtp_result *result)
{
    struct classify_input input = {
        .provider = provider,
        .stage = result->stage,
        .code = result->reply.code,
        .enhanced = result->reply.enhanced,
        .text = result->reply.text,
    };
    if (result->reason) { /* it ended for what is no reply, even if one was kept along with it */
        input.code = 0;
        input.enhanced = (struct reply_enhanced){.class = 0};
        input.text = result->reason;
    }
    return input;
}

struct classify_input classify_input_of_connect(enum classify_provider provider, const char *end,
                                                const char *server_text, const char *words)
{
    struct classify_input input = {
        .provider = provider, .stage = SMTP_STAGE_CONNECT, .text = words, .end = end};
    struct reply_parser parser;
    struct flz_view line = flz_view_str(server_text);
    struct flz_view end_of_line = flz_view_str("\n");
    reply_parser_init(&parser);
    if (strcmp(end, "greeting") != 0 || reply_parser_step(&parser, &line) != REPLY_MORE ||
        reply_parser_step(&parser, &end_of_line) < REPLY_LINE)
        return input;
    /* It refused the connection by a reply: that is what counts. */
    input.stage = SMTP_STAGE_GREETING;
    input.code = parser.reply.code;
    input.enhanced = parser.reply.enhanced;
    input.text = server_text;
    input.end = NULL;
    return input;
}

static const struct {
    const char *suffix;
    enum classify_provider provider;
} hosts[] = {
    {"mail.protection.outlook.com", CLASSIFY_MICROSOFT},
    {"olc.protection.outlook.com", CLASSIFY_MICROSOFT},
    {"mx.microsoft", CLASSIFY_MICROSOFT},
    {"office365.com", CLASSIFY_MICROSOFT},
    {"smtp-mail.outlook.com", CLASSIFY_MICROSOFT},
    {"yahoodns.net", CLASSIFY_YAHOO},
    {"mail.yahoo.com", CLASSIFY_YAHOO},
    {"smtp.aol.com", CLASSIFY_YAHOO},
};

enum classify_provider classify_provider_of(const char *host)
{
    size_t n = strlen(host);
    if (n > 0 && host[n - 1] == '.')
        n--;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t len = strlen(hosts[i].suffix);
        size_t same = 0;
        while (same < len && same < n &&
               flz_ascii_lower(host[n - 1 - same]) == hosts[i].suffix[len - 1 - same])
            same++;
        if (same == len && (n == len || host[n - len - 1] == '.'))
            return hosts[i].provider;
    }
    return CLASSIFY_ANY;
}

const char *classify_class_str(enum classify_class class)
{
    switch (class) {
    case CLASSIFY_ACCEPTED: return "accepted";
    case CLASSIFY_AUTH_FAILED: return "auth-failed";
    case CLASSIFY_AUTH_EXPIRED: return "auth-expired";
    case CLASSIFY_AUTH_DISABLED: return "auth-disabled";
    case CLASSIFY_AUTH_TEMPORARY: return "auth-temporary";
    case CLASSIFY_UNKNOWN_RECIPIENT: return "unknown-recipient";
    case CLASSIFY_RECIPIENT_DISABLED: return "recipient-disabled";
    case CLASSIFY_RECIPIENT_FULL: return "recipient-full";
    case CLASSIFY_SENDER_FULL: return "sender-full";
    case CLASSIFY_BAD_DOMAIN: return "bad-domain";
    case CLASSIFY_SENDER_REFUSED: return "sender-refused";
    case CLASSIFY_RATE_LIMIT: return "rate-limit";
    case CLASSIFY_QUOTA_SPENT: return "quota-spent";
    case CLASSIFY_GREYLISTED: return "greylisted";
    case CLASSIFY_SPAM: return "spam";
    case CLASSIFY_BLOCKLISTED: return "blocklisted";
    case CLASSIFY_UNAUTHENTICATED: return "unauthenticated";
    case CLASSIFY_POLICY: return "policy";
    case CLASSIFY_TOO_BIG: return "too-big";
    case CLASSIFY_CONTENT: return "content";
    case CLASSIFY_SERVER_BUSY: return "server-busy";
    case CLASSIFY_NETWORK: return "network";
    case CLASSIFY_TLS: return "tls";
    case CLASSIFY_PROTOCOL: return "protocol";
    case CLASSIFY_REFUSED: break;
    }
    return "refused";
}

const char *classify_scope_str(enum classify_scope scope)
{
    switch (scope) {
    case CLASSIFY_MESSAGE: return "message";
    case CLASSIFY_MAILBOX: return "mailbox";
    case CLASSIFY_SESSION: return "session";
    case CLASSIFY_ACCOUNT: return "account";
    case CLASSIFY_PROVIDER: return "provider";
    case CLASSIFY_NOTHING: break;
    }
    return "nothing";
}
