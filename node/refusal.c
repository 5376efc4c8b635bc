#include "node/refusal.h"

struct classify_verdict refusal_of_result(const struct classify_rules *rules, const char *provider,
                                          const struct smtp_result *result)
{
    struct classify_input input = classify_input_of(provider, result);
    return classify(rules, &input);
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

enum flz_reason refusal_of_session(const struct classify_rules *rules, const char *provider,
                                   enum conn_end end, const struct smtp_result *result)
{
    return end != CONN_END_NONE ? reason_of_end(end)
                                : classify_reason(refusal_of_result(rules, provider, result).class);
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
