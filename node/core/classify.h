/*
 * What an answer of a mail server means: its class, how much it spoils, and how long to stay away.
 * A data table over (provider, stage, code, enhanced code, words), first match wins; rules of a
 * provider stand before the general ones, for vendors use the same codes for other things. What the
 * table says is an observation to slow down or stop on, never a way around a refusal.
 */
#pragma once

#include "common/base/buf.h"
#include "node/core/smtp.h"

#include <stdint.h>

/* Providers with rules of their own; all others are CLASSIFY_ANY. */
enum classify_provider {
    CLASSIFY_ANY,
    CLASSIFY_MICROSOFT, /* Exchange Online and Outlook.com */
    CLASSIFY_YAHOO,
};

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

/* One observation. Borrowed for the call. */
struct classify_input {
    enum classify_provider provider;
    enum smtp_stage stage;
    int code; /* 0: no reply */
    struct reply_enhanced enhanced;
    const char *text; /* reply text, or the words of the failure; not NULL */
    const char *end;  /* how a connection ended that never opened, else NULL */
};

struct classify_verdict {
    enum classify_class class;
    enum classify_scope scope;
    bool hard;          /* waiting alone will not help */
    int64_t backoff_ms; /* suggested pause of what is spoiled; 0: none, or (hard) until a person
                           or a changed fact says otherwise */
    const char *rule;   /* static id of the rule, for logs and evidence: "ms-5.7.30" */
};

/* Always answers; CLASSIFY_REFUSED by the code's first digit when no rule fits. */
struct classify_verdict classify(const struct classify_input *input);

/* The observation behind a result of the engine. The text is borrowed from `result`. */
struct classify_input classify_input_of(enum classify_provider provider,
                                        const struct smtp_result *result);

/*
 * The observation behind a connection that never opened: `end` is the word for how it ended
 * ("expired", "greeting": conn_end_str()), `server_text` the last line of the server or "", `words`
 * the message. A refusing line of an SMTP server is read as a reply to the connection. All
 * borrowed.
 */
struct classify_input classify_input_of_connect(enum classify_provider provider, const char *end,
                                                const char *server_text, const char *words);

/* The provider with rules of its own behind an MX or host name, by suffix. */
enum classify_provider classify_provider_of(const char *host);

/* "auth-failed", "account": for logs and the wire. Static. */
const char *classify_class_str(enum classify_class class);
const char *classify_scope_str(enum classify_scope scope);
