#include "coordinator/words.h"

#include "coordinator/core/plan.h"
#include "coordinator/core/ramp.h"
#include "proto/record.h"
#include "proto/vocab.h"

#include <stddef.h>
#include <string.h>

#define WORDS_MAX 64 /* larger than any value of a table */

/* Defines words_NAME() over a table indexed by the enum. */
#define TABLE(name, ...)                                                                           \
    const char *words_##name(uint32_t value)                                                       \
    {                                                                                              \
        static const char *const words[] = {__VA_ARGS__};                                          \
        const char *word = value < sizeof words / sizeof *words ? words[value] : NULL;             \
        return word ? word : "?";                                                                  \
    }

TABLE(task_kind, [FLZ_TASK_SEND] = "send", [FLZ_TASK_REPLY] = "reply", [FLZ_TASK_FIND] = "find",
      [FLZ_TASK_UNSPAM] = "unspam", [FLZ_TASK_OPEN] = "open", [FLZ_TASK_TIDY] = "tidy")

TABLE(outcome, [0] = "none", [FLZ_OUTCOME_SENT] = "sent", [FLZ_OUTCOME_REJECTED] = "rejected",
      [FLZ_OUTCOME_EXPIRED] = "expired", [FLZ_OUTCOME_WITHDRAWN] = "withdrawn",
      [FLZ_OUTCOME_AMBIGUOUS] = "ambiguous", [FLZ_OUTCOME_INDETERMINATE] = "indeterminate",
      [FLZ_OUTCOME_DECLINED] = "declined", [FLZ_OUTCOME_FOUND] = "found",
      [FLZ_OUTCOME_MISSING] = "missing", [FLZ_OUTCOME_UNOBSERVED] = "unobserved",
      [FLZ_OUTCOME_DONE] = "done", [FLZ_OUTCOME_NOOP] = "noop", [FLZ_OUTCOME_FAILED] = "failed")

TABLE(placement, [FLZ_PLACEMENT_NONE] = "none", [FLZ_PLACEMENT_INBOX] = "inbox",
      [FLZ_PLACEMENT_JUNK] = "junk", [FLZ_PLACEMENT_OTHER] = "other")

TABLE(reason, [FLZ_REASON_NONE] = "none", [FLZ_REASON_UNKNOWN_ACCOUNT] = "unknown-account",
      [FLZ_REASON_NO_CONSENT] = "no-consent", [FLZ_REASON_NO_ATTESTATION] = "no-attestation",
      [FLZ_REASON_CAP] = "cap", [FLZ_REASON_SLOT] = "slot", [FLZ_REASON_LEASE] = "lease",
      [FLZ_REASON_PAUSED] = "paused", [FLZ_REASON_REVOKED] = "revoked",
      [FLZ_REASON_CONTENT] = "content", [FLZ_REASON_POLICY] = "policy",
      [FLZ_REASON_LOGIN] = "login", [FLZ_REASON_MAILBOX_FULL] = "mailbox-full",
      [FLZ_REASON_RECIPIENT] = "recipient", [FLZ_REASON_SPAM_BLOCK] = "spam-block",
      [FLZ_REASON_RATE] = "rate", [FLZ_REASON_NETWORK] = "network",
      [FLZ_REASON_PROTOCOL] = "protocol", [FLZ_REASON_JOURNAL] = "journal",
      [FLZ_REASON_GONE] = "gone", [FLZ_REASON_SUPPRESSED] = "suppressed",
      [FLZ_REASON_REPEATED] = "repeated", [FLZ_REASON_RESTORED] = "restored")

TABLE(
    report_kind, [FLZ_REPORT_RECEIPT] = "receipt", [FLZ_REPORT_ACCOUNT] = "account",
    [FLZ_REPORT_PROBE] = "probe", [FLZ_REPORT_RELEASE] = "release", [FLZ_REPORT_BOUNCE] = "bounce",
    [FLZ_REPORT_COMPLAINT] = "complaint", [FLZ_REPORT_AUTOREPLY] = "automatic-reply")

TABLE(refusal, [FLZ_REFUSAL_NONE] = "none", [FLZ_REFUSAL_SOFT] = "soft",
      [FLZ_REFUSAL_HARD] = "hard", [FLZ_REFUSAL_SUSPEND] = "suspend", [FLZ_REFUSAL_STOP] = "stop")

TABLE(notice, [NOTICE_TAKEN] = "taken", [NOTICE_REPEATED] = "repeated", [NOTICE_LATE] = "late",
      [NOTICE_CONTRADICTED] = "contradicted", [NOTICE_UNKNOWN] = "unknown")

TABLE(suppressed, [SUPPRESSED_OPERATOR] = "operator", [SUPPRESSED_BOUNCE] = "hard-bounce",
      [SUPPRESSED_COMPLAINT] = "complaint", [SUPPRESSED_OWNER] = "owner")

TABLE(task_state, [TASK_WAITS] = "waits", [TASK_OPEN] = "open", [TASK_ENDED] = "ended",
      [TASK_VOID] = "void")

TABLE(exchange_state, [EXCHANGE_LIVE] = "live", [EXCHANGE_SETTLED] = "settled",
      [EXCHANGE_ENDED] = "ended")

TABLE(account_state, [ACCOUNT_LIVE] = "live", [ACCOUNT_RELEASED] = "released",
      [ACCOUNT_REMOVED] = "removed", [ACCOUNT_FORGOTTEN] = "forgotten")

TABLE(node_state, [NODE_JOINED] = "joined", [NODE_REVOKED] = "revoked")

TABLE(phase, [RAMP_START] = "start", [RAMP_RAMP] = "ramp", [RAMP_MAINTAIN] = "maintain",
      [RAMP_RECOVERY] = "recovery")

TABLE(intensity, [0] = "custom", [FLZ_INTENSITY_LOW] = "low", [FLZ_INTENSITY_MEDIUM] = "medium",
      [FLZ_INTENSITY_HIGH] = "high")

TABLE(profile, [0] = "new", [FLZ_PROFILE_NEW] = "new", [FLZ_PROFILE_EXISTING] = "existing",
      [FLZ_PROFILE_LOW_USE] = "low_use", [FLZ_PROFILE_RECOVERY] = "recovery")

TABLE(shortfall, [PLAN_FULL] = "none", [PLAN_NO_WINDOW] = "no-hours",
      [PLAN_NO_PARTNER] = "no-partner", [PLAN_COOLDOWN] = "cooldown",
      [PLAN_INBOUND_FULL] = "inbound-full", [PLAN_NO_ROOM] = "no-room",
      [PLAN_NO_CONTENT] = "no-content", [PLAN_DOMAIN] = "domain-ramp",
      [PLAN_HEALTH] = "health")

TABLE(scope, [FLZ_SCOPE_NETWORK] = "network", [FLZ_SCOPE_PROVIDER] = "provider",
      [FLZ_SCOPE_DOMAIN] = "domain", [FLZ_SCOPE_ACCOUNT] = "account", [FLZ_SCOPE_NODE] = "node")

TABLE(effect, [EFFECT_TAKEN] = "taken", [EFFECT_REPEATED] = "repeated",
      [EFFECT_FOLLOWED] = "followed", [EFFECT_CORRECTED] = "corrected",
      [EFFECT_EQUIVOCATION] = "equivocation", [EFFECT_UNKNOWN] = "unknown", [EFFECT_MOOT] = "moot")

const char *words_action(uint32_t bit)
{
    switch (bit) {
    case FLZ_ACTION_SEND: return "send";
    case FLZ_ACTION_OPEN: return "open";
    case FLZ_ACTION_REPLY: return "reply";
    case FLZ_ACTION_MOVE: return "move";
    case FLZ_ACTION_DELETE: return "delete";
    default: return NULL;
    }
}

const char *words_authentication(uint32_t bit)
{
    switch (bit) {
    case FLZ_AUTH_SPF_PASS: return "spf-pass";
    case FLZ_AUTH_SPF_FAIL: return "spf-fail";
    case FLZ_AUTH_DKIM_PASS: return "dkim-pass";
    case FLZ_AUTH_DKIM_FAIL: return "dkim-fail";
    case FLZ_AUTH_DMARC_PASS: return "dmarc-pass";
    case FLZ_AUTH_DMARC_FAIL: return "dmarc-fail";
    default: return NULL;
    }
}

uint32_t words_find(const char *(*table)(uint32_t value), const char *word)
{
    for (uint32_t value = 1; value < WORDS_MAX; value++)
        if (strcmp(table(value), word) == 0 && strcmp(word, "?") != 0)
            return value;
    return 0;
}
