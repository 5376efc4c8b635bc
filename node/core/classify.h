/*
 * What an answer of a mail server means, given at once or in a bounce: its class, how much it
 * spoils, what to do, and how long to stay away. The rules are data (deploy/providers.yaml,
 * node/replies.h) over (provider, stage, code, enhanced code, words), first match wins; rules of a
 * provider stand before the general ones, for vendors use the same codes for other things. What
 * they say is an observation to slow down or stop on, never a way around a refusal.
 */
#pragma once

#include "common/base/buf.h"
#include "node/core/smtp.h"
#include "proto/vocab.h"

#include <stdint.h>

#define CLASSIFY_RULES_MAX 500
#define CLASSIFY_PROVIDERS_MAX 4 /* of one rule */
#define CLASSIFY_CODES_MAX 12    /* enhanced codes of one rule */
#define CLASSIFY_WORDS_MAX 384   /* its words, joined, bytes with the NUL */

enum classify_class {
    CLASSIFY_ACCEPTED,
    CLASSIFY_AUTH_FAILED,    /* wrong or revoked credentials */
    CLASSIFY_AUTH_EXPIRED,   /* a token that has run out: refresh it */
    CLASSIFY_AUTH_DISABLED,  /* submission or basic auth switched off by an administrator */
    CLASSIFY_AUTH_TEMPORARY, /* the server cannot check credentials now */
    CLASSIFY_UNKNOWN_RECIPIENT,
    CLASSIFY_RECIPIENT_DISABLED,
    CLASSIFY_RECIPIENT_FULL, /* the recipient's mailbox is full */
    CLASSIFY_SENDER_FULL,    /* the account's own mailbox is full */
    CLASSIFY_BAD_DOMAIN,     /* the recipient's domain does not exist or takes no mail */
    CLASSIFY_SENDER_REFUSED, /* the account may not send as this address */
    CLASSIFY_RATE_LIMIT,     /* too many messages or connections */
    CLASSIFY_QUOTA_SPENT,    /* the day's sending allowance */
    CLASSIFY_GREYLISTED,
    CLASSIFY_SPAM,            /* content or reputation */
    CLASSIFY_BLOCKLISTED,     /* the host's address or the domain is listed */
    CLASSIFY_UNAUTHENTICATED, /* SPF, DKIM, DMARC or reverse DNS */
    CLASSIFY_POLICY,          /* any other policy */
    CLASSIFY_TOO_BIG,
    CLASSIFY_CONTENT,     /* the message is malformed in the server's eyes */
    CLASSIFY_SERVER_BUSY, /* trouble of the server's own */
    CLASSIFY_NETWORK,     /* resolve, refused, timeout, reset, closed */
    CLASSIFY_TLS,         /* certificate, handshake, STARTTLS */
    CLASSIFY_PROTOCOL,    /* not what RFC 5321 allows */
    CLASSIFY_REFUSED,     /* a refusal no rule knows */
};

/* How much is spoiled: everything up to this word. */
enum classify_scope {
    CLASSIFY_NOTHING,
    CLASSIFY_MESSAGE,  /* this message; others may pass */
    CLASSIFY_MAILBOX,  /* the recipient's mailbox */
    CLASSIFY_SESSION,  /* this connection; a new one may do */
    CLASSIFY_ACCOUNT,  /* the sending account */
    CLASSIFY_PROVIDER, /* the whole host at this provider */
};

enum classify_action {
    CLASSIFY_GO_ON,   /* leave what is spoiled alone as long as the rule says, then go on */
    CLASSIFY_SUSPEND, /* the recipient's address is gone: write to it no more */
    CLASSIFY_STOP,    /* the sending account stops until a person has looked */
};

/* Where an answer was given: the SMTP stages, and the report that came later. */
#define CLASSIFY_STAGE_REPORT (SMTP_STAGE_CLOSED + 1)
#define CLASSIFY_AT(stage) (1U << (stage))

#define CLASSIFY_X -1 /* any number */

struct classify_enhanced {
    int class; /* 0: the answer has no enhanced code */
    int subject;
    int detail;
};

/* One rule; an answer fits it when every part does. Plain data. */
struct classify_rule {
    char id[FLZ_RULE_MAX];
    /* Names of the providers table. None: whatever the provider. */
    char providers[CLASSIFY_PROVIDERS_MAX][FLZ_NAME_MAX];
    size_t providers_count;
    uint32_t stages; /* CLASSIFY_AT() bits; 0: whatever the stage */
    int code; /* 3 digits, one digit for all its codes, 0: there was none, or CLASSIFY_X: any */
    struct classify_enhanced enhanced[CLASSIFY_CODES_MAX]; /* alternatives; none: whatever it is */
    size_t enhanced_count;
    char words[CLASSIFY_WORDS_MAX]; /* alternatives in lower case, "|" between; one must be in the
                                       text, whatever its case. "": any text */
    char ends[CLASSIFY_WORDS_MAX];  /* likewise, one is the way a connection ended. "": any */
    enum classify_class is;
    enum classify_scope scope;
    bool hard;
    enum classify_action action;
    int64_t backoff_ms;
};

struct classify_rules {
    const struct classify_rule *rules;
    size_t count;
};

/* One observation. Borrowed for the call. */
struct classify_input {
    const char *provider; /* a name of the providers table; not NULL */
    uint32_t stage;       /* enum smtp_stage, or CLASSIFY_STAGE_REPORT */
    int code;             /* 0: no reply */
    struct reply_enhanced enhanced;
    const char *text; /* reply text, or the words of the failure; not NULL */
    const char *end;  /* how a connection ended that never opened, else NULL */
};

struct classify_verdict {
    enum classify_class class;
    enum classify_scope scope;
    bool hard; /* waiting alone will not help */
    enum classify_action action;
    int64_t backoff_ms; /* suggested pause of what is spoiled; 0: none, or (hard) until a person
                           or a changed fact says otherwise */
    const char *rule;   /* the rule's id, for logs and evidence: "ms-5.7.30"; borrowed from it */
};

/* Always answers: by the code's first digit alone ("accepted", "later", "refused", "no-reply") when
 * no rule fits. */
struct classify_verdict classify(const struct classify_rules *rules,
                                 const struct classify_input *input);

/* The verdict in the words of receipts: what was refused, and whose trouble that is. */
enum flz_reason classify_reason(enum classify_class class);
enum flz_refusal classify_refusal(const struct classify_verdict *verdict);

/* The observation behind a result of the engine. The text is borrowed from `result`. */
struct classify_input classify_input_of(const char *provider, const struct smtp_result *result);

/*
 * The observation behind a connection that never opened: `end` is the word for how it ended
 * ("expired", "greeting": conn_end_str()), `server_text` the last line of the server or "", `words`
 * the message. A refusing line of an SMTP server is read as a reply to the connection. All
 * borrowed.
 */
struct classify_input classify_input_of_connect(const char *provider, const char *end,
                                                const char *server_text, const char *words);

/* "auth-failed", "account", "suspend": for logs and the table; each list ends with NULL. */
extern const char *const classify_class_words[];
extern const char *const classify_scope_words[];
extern const char *const classify_action_words[];
