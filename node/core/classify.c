#include "node/core/classify.h"

#include "common/base/text.h"
#include "common/base/time.h"

#include <string.h>

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

/* Takes the next alternative of a "|" list; false behind the last. */
static bool next_word(const char **list, const char **ret_word, size_t *ret_len)
{
    if (!**list)
        return false;
    *ret_word = *list;
    *ret_len = strcspn(*list, "|");
    *list += *ret_len + ((*list)[*ret_len] == '|');
    return true;
}

static bool words_fit(const char *words, const char *text)
{
    const char *word;
    size_t len;
    bool any = !words[0];
    while (!any && next_word(&words, &word, &len))
        any = contains(text, word, len);
    return any;
}

static bool end_fits(const char *ends, const char *end)
{
    const char *word;
    size_t len;
    bool any = !ends[0];
    while (!any && end && next_word(&ends, &word, &len))
        any = strlen(end) == len && strncmp(end, word, len) == 0;
    return any;
}

static bool number_fits(int wanted, int got)
{
    return wanted == CLASSIFY_X || wanted == got;
}

static bool code_fits(int wanted, int got)
{
    return wanted == CLASSIFY_X        ? got != 0
           : wanted > 0 && wanted < 10 ? got / 100 == wanted
                                       : got == wanted;
}

static bool enhanced_fits(const struct classify_rule *rule, struct reply_enhanced got)
{
    bool any = rule->enhanced_count == 0;
    for (size_t i = 0; i < rule->enhanced_count; i++) {
        const struct classify_enhanced *wanted = &rule->enhanced[i];
        any |= number_fits(wanted->class, got.class) && number_fits(wanted->subject, got.subject) &&
               number_fits(wanted->detail, got.detail);
    }
    return any;
}

static bool provider_fits(const struct classify_rule *rule, const char *provider)
{
    bool any = rule->providers_count == 0;
    for (size_t i = 0; i < rule->providers_count; i++)
        any |= strcmp(rule->providers[i], provider) == 0;
    return any;
}

static bool rule_fits(const struct classify_rule *rule, const struct classify_input *input)
{
    return provider_fits(rule, input->provider) &&
           (rule->stages == 0 || rule->stages & CLASSIFY_AT(input->stage)) &&
           code_fits(rule->code, input->code) && enhanced_fits(rule, input->enhanced) &&
           words_fit(rule->words, input->text) && end_fits(rule->ends, input->end);
}

/* What every answer means that no rule knows (RFC 5321 4.2.1). */
static struct classify_verdict by_first_digit(int code)
{
    switch (code / 100) {
    case 2: return (struct classify_verdict){.class = CLASSIFY_ACCEPTED, .rule = "accepted"};
    case 4:
        return (struct classify_verdict){.class = CLASSIFY_REFUSED,
                                         .scope = CLASSIFY_MESSAGE,
                                         .backoff_ms = 30 * FLZ_MINUTE_MS,
                                         .rule = "later"};
    case 5:
        return (struct classify_verdict){
            .class = CLASSIFY_REFUSED, .scope = CLASSIFY_MESSAGE, .hard = true, .rule = "refused"};
    default: break;
    }
    return (struct classify_verdict){.class = CLASSIFY_PROTOCOL,
                                     .scope = CLASSIFY_SESSION,
                                     .backoff_ms = 15 * FLZ_MINUTE_MS,
                                     .rule = "no-reply"};
}

struct classify_verdict classify(const struct classify_rules *rules,
                                 const struct classify_input *input)
{
    /* A reply that accepts is not searched for bad words. */
    size_t i = input->code / 100 == 2 ? rules->count : 0;
    while (i < rules->count && !rule_fits(&rules->rules[i], input))
        i++;
    if (i == rules->count)
        return by_first_digit(input->code);
    const struct classify_rule *rule = &rules->rules[i];
    return (struct classify_verdict){
        .class = rule->is,
        .scope = rule->scope,
        .hard = rule->hard,
        .action = rule->action,
        .backoff_ms = rule->backoff_ms,
        .rule = rule->id,
    };
}

enum flz_reason classify_reason(enum classify_class class)
{
    switch (class) {
    case CLASSIFY_ACCEPTED: return FLZ_REASON_NONE;
    case CLASSIFY_AUTH_FAILED:
    case CLASSIFY_AUTH_EXPIRED:
    case CLASSIFY_AUTH_DISABLED: return FLZ_REASON_LOGIN;
    case CLASSIFY_UNKNOWN_RECIPIENT:
    case CLASSIFY_RECIPIENT_DISABLED:
    case CLASSIFY_RECIPIENT_FULL:
    case CLASSIFY_BAD_DOMAIN: return FLZ_REASON_RECIPIENT;
    case CLASSIFY_SENDER_FULL: return FLZ_REASON_MAILBOX_FULL;
    case CLASSIFY_RATE_LIMIT:
    case CLASSIFY_QUOTA_SPENT:
    case CLASSIFY_GREYLISTED:
    case CLASSIFY_AUTH_TEMPORARY:
    case CLASSIFY_SERVER_BUSY: return FLZ_REASON_RATE;
    case CLASSIFY_SPAM:
    case CLASSIFY_BLOCKLISTED:
    case CLASSIFY_UNAUTHENTICATED:
    case CLASSIFY_POLICY:
    case CLASSIFY_SENDER_REFUSED: return FLZ_REASON_SPAM_BLOCK;
    case CLASSIFY_NETWORK:
    case CLASSIFY_TLS: return FLZ_REASON_NETWORK;
    case CLASSIFY_TOO_BIG:
    case CLASSIFY_CONTENT:
    case CLASSIFY_PROTOCOL:
    case CLASSIFY_REFUSED: break;
    }
    return FLZ_REASON_PROTOCOL;
}

enum flz_refusal classify_refusal(const struct classify_verdict *verdict)
{
    if (verdict->class == CLASSIFY_ACCEPTED)
        return FLZ_REFUSAL_NONE;
    switch (verdict->action) {
    case CLASSIFY_SUSPEND: return FLZ_REFUSAL_SUSPEND;
    case CLASSIFY_STOP: return FLZ_REFUSAL_STOP;
    case CLASSIFY_GO_ON: break;
    }
    return verdict->hard ? FLZ_REFUSAL_HARD : FLZ_REFUSAL_SOFT;
}

struct classify_input classify_input_of(const char *provider, const struct smtp_result *result)
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

struct classify_input classify_input_of_connect(const char *provider, const char *end,
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

const char *const classify_class_words[] = {
    [CLASSIFY_ACCEPTED] = "accepted",
    [CLASSIFY_AUTH_FAILED] = "auth-failed",
    [CLASSIFY_AUTH_EXPIRED] = "auth-expired",
    [CLASSIFY_AUTH_DISABLED] = "auth-disabled",
    [CLASSIFY_AUTH_TEMPORARY] = "auth-temporary",
    [CLASSIFY_UNKNOWN_RECIPIENT] = "unknown-recipient",
    [CLASSIFY_RECIPIENT_DISABLED] = "recipient-disabled",
    [CLASSIFY_RECIPIENT_FULL] = "recipient-full",
    [CLASSIFY_SENDER_FULL] = "sender-full",
    [CLASSIFY_BAD_DOMAIN] = "bad-domain",
    [CLASSIFY_SENDER_REFUSED] = "sender-refused",
    [CLASSIFY_RATE_LIMIT] = "rate-limit",
    [CLASSIFY_QUOTA_SPENT] = "quota-spent",
    [CLASSIFY_GREYLISTED] = "greylisted",
    [CLASSIFY_SPAM] = "spam",
    [CLASSIFY_BLOCKLISTED] = "blocklisted",
    [CLASSIFY_UNAUTHENTICATED] = "unauthenticated",
    [CLASSIFY_POLICY] = "policy",
    [CLASSIFY_TOO_BIG] = "too-big",
    [CLASSIFY_CONTENT] = "content",
    [CLASSIFY_SERVER_BUSY] = "server-busy",
    [CLASSIFY_NETWORK] = "network",
    [CLASSIFY_TLS] = "tls",
    [CLASSIFY_PROTOCOL] = "protocol",
    [CLASSIFY_REFUSED] = "refused",
    NULL,
};

const char *const classify_scope_words[] = {
    [CLASSIFY_NOTHING] = "nothing",
    [CLASSIFY_MESSAGE] = "message",
    [CLASSIFY_MAILBOX] = "mailbox",
    [CLASSIFY_SESSION] = "session",
    [CLASSIFY_ACCOUNT] = "account",
    [CLASSIFY_PROVIDER] = "provider",
    NULL,
};

const char *const classify_action_words[] = {
    [CLASSIFY_GO_ON] = "go-on",
    [CLASSIFY_SUSPEND] = "suspend",
    [CLASSIFY_STOP] = "stop",
    NULL,
};
