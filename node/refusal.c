#include "node/refusal.h"

#include "common/base/text.h"
#include "node/core/classify.h"

#include <string.h>

static enum classify_provider provider_of(const char *provider)
{
    if (strcmp(provider, "microsoft365") == 0 || strcmp(provider, "outlook") == 0)
        return CLASSIFY_MICROSOFT;
    return strcmp(provider, "yahoo") == 0 ? CLASSIFY_YAHOO : CLASSIFY_ANY;
}

static enum flz_reason reason_of(enum classify_class class)
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

enum flz_reason refusal_of_result(const char *provider, const struct smtp_result *result)
{
    struct classify_input input = classify_input_of(provider_of(provider), result);
    return reason_of(classify(&input).class);
}

static enum flz_reason reason_of_end(enum conn_end end)
{
    switch (end) {
    case CONN_END_DENIED: return FLZ_REASON_POLICY;
    case CONN_END_GREETING:
    case CONN_END_PROTOCOL: return FLZ_REASON_PROTOCOL;
    case CONN_END_NONE:
    case CONN_END_RESOLVE:
    case CONN_END_REFUSED:
    case CONN_END_TIMEOUT:
    case CONN_END_EXPIRED:
    case CONN_END_NAME:
    case CONN_END_UNTRUSTED:
    case CONN_END_TLS:
    case CONN_END_STARTTLS:
    case CONN_END_CLOSED:
    case CONN_END_RESET:
    case CONN_END_LOCAL: break;
    }
    return FLZ_REASON_NETWORK;
}

enum flz_reason refusal_of_session(const char *provider, enum conn_end end,
                                   const struct smtp_result *result, bool *ret_permanent)
{
    if (end != CONN_END_NONE) {
        *ret_permanent = end == CONN_END_DENIED;
        return reason_of_end(end);
    }
    struct classify_input input = classify_input_of(provider_of(provider), result);
    struct classify_verdict verdict = classify(&input);
    *ret_permanent = verdict.hard;
    return reason_of(verdict.class);
}

enum flz_reason refusal_of_visit(enum visit_end end, enum conn_end conn)
{
    switch (end) {
    case VISIT_END_DONE: return FLZ_REASON_NONE;
    case VISIT_END_GMAIL: return FLZ_REASON_POLICY;
    case VISIT_END_LOGIN_REFUSED: return FLZ_REASON_LOGIN;
    case VISIT_END_UNAVAILABLE: return FLZ_REASON_RATE;
    case VISIT_END_CLOSED: return conn == CONN_END_NONE ? FLZ_REASON_NETWORK : reason_of_end(conn);
    case VISIT_END_TIMED_OUT: return FLZ_REASON_NETWORK;
    case VISIT_END_CLEAR_TEXT:
    case VISIT_END_NO_MECHANISM:
    case VISIT_END_NO_FOLDERS:
    case VISIT_END_PROTOCOL:
    case VISIT_END_NO_MEMORY: break;
    }
    return FLZ_REASON_PROTOCOL;
}
