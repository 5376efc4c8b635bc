/*
 * The client side of one SMTP session (RFC 5321, RFC 4954, RFC 2920, RFC 3461): bytes in, bytes
 * out. No socket, no clock, no secret kept. One session carries any number of transactions, each
 * with one recipient, and holds the final dot of each back until it is told to let it go.
 *
 *                 smtp_init
 *                     │
 *     ┌───────────────▼──────────────┐ refused   ┌────────────────────────────────────────┐
 *     │ GREETING → EHLO              │──────────▶│ CLOSED: nothing more is said or read.  │
 *     └───────────────┬──────────────┘           │ Reached from everywhere by a 421, by   │
 *           SMTP_E_READY                         │ what no SMTP server says, by a reply   │
 *     ┌───────────────▼──────────────┐ quit      │ nobody asked for, by smtp_lost().      │
 *     │ IDLE                         │──────────▶└────────────────────────────────────────┘
 *     └─┬──▲──────────┬──────────▲───┘
 *       │  │ READY    │smtp_send │ SMTP_E_DONE: smtp_result() has the verdict
 *  smtp_auth          ▼          │
 *  smtp_noop   MAIL→RCPT→DATA ───┤ refused, or
 *  smtp_reset         │ 354      │
 *     │               ▼          │
 *     ▼          HELD: SMTP_E_DOT│ smtp_drop: NOT_SENT
 *   one command       │ smtp_release_dot
 *                     ▼          │
 *                    DOT ────────┘ 2xx ACCEPTED · 4xx 5xx REFUSED · anything else UNKNOWN
 *
 * How to drive it, on any transport:
 *
 *     for each piece of input `in`, and once with an empty one after each order given:
 *         while ((e = smtp_step(smtp, &in)) != SMTP_E_MORE) handle e (negative: -ENOMEM)
 *         send smtp_output(smtp); smtp_taken(smtp, its length)
 *         arm the clock with smtp_timeout_ms(smtp); when it runs out or the connection ends:
 *             handle smtp_lost(smtp)
 *
 * Invariants (asserted, and cited by the tests):
 *   S1 The octets CRLF "." CRLF leave only after smtp_release_dot() of this very transaction.
 *   S2 The verdict is UNKNOWN only if the dot was taken and no complete reply followed.
 *   S3 No AUTH line is made on a connection that is not encrypted.
 *   S4 Once taken, octets that held a secret are wiped; the secret itself is never kept.
 *   S5 No CR or LF from outside enters a command line.
 *   S6 A reply that answers no command of ours ends the session.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "node/core/reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMTP_AUTH_LINE_MAX 12288            /* RFC 4954 section 4, CRLF included */
#define SMTP_BODY_MAX ((size_t)1024 * 1024) /* octets of one message */
#define SMTP_BODY_LINE_MAX 1000             /* RFC 5321 4.5.3.1.6, CRLF included */
#define SMTP_NAME_MAX 256                   /* EHLO name, user name; with NUL */
#define SMTP_ENVID_MAX 100                  /* RFC 3461 4.4 */
#define SMTP_COMMAND_MAX 600                /* MAIL or RCPT with the parameters we use; with NUL */

enum smtp_stage {
    SMTP_STAGE_CONNECT, /* not used by the engine: the connection itself, for classify */
    SMTP_STAGE_GREETING,
    SMTP_STAGE_EHLO,
    SMTP_STAGE_AUTH,
    SMTP_STAGE_IDLE,
    SMTP_STAGE_MAIL,
    SMTP_STAGE_RCPT,
    SMTP_STAGE_DATA,
    SMTP_STAGE_BODY,    /* 354 was read; the dot is held */
    SMTP_STAGE_DOT,     /* the dot was released */
    SMTP_STAGE_COMMAND, /* NOOP, RSET */
    SMTP_STAGE_QUIT,
    SMTP_STAGE_CLOSED,
};

enum smtp_verdict {
    SMTP_NONE,         /* no transaction ended */
    SMTP_ACCEPTED,     /* 2xx after the dot */
    SMTP_REFUSED_TEMP, /* a complete 4xx: definitely not taken */
    SMTP_REFUSED_PERM, /* a complete 5xx: definitely not taken */
    SMTP_NOT_SENT,     /* it ended before the dot: a retry is safe */
    SMTP_UNKNOWN,      /* the dot may have left and nothing complete came back: never retry */
};

/* What smtp_step() and smtp_lost() report. */
enum smtp_event {
    SMTP_E_MORE,    /* nothing: the input is used up */
    SMTP_E_READY,   /* EHLO, AUTH, NOOP or RSET succeeded; the session is idle */
    SMTP_E_REFUSED, /* EHLO, AUTH, NOOP or RSET was refused: see smtp_result(); the session is idle
                       (after a refused EHLO only QUIT is left) */
    SMTP_E_SECRET,  /* AUTH has come to the secret: call smtp_secret() now; a long one is asked for
                       twice */
    SMTP_E_DOT,     /* all but the dot is in the output; call smtp_release_dot() or smtp_drop() */
    SMTP_E_DONE,    /* the transaction ended: see smtp_result(); idle or closed: smtp_alive() */
    SMTP_E_CLOSED,  /* the session is over, close the connection: see smtp_result(), which after
                       an SMTP_E_DONE is still that of the transaction. Reported once; further
                       input is thrown away */
};

/* Mechanisms, as bits. */
enum smtp_mechanism {
    SMTP_AUTH_PLAIN = 1,
    SMTP_AUTH_LOGIN = 2,
    SMTP_AUTH_XOAUTH2 = 4,
    SMTP_AUTH_OAUTHBEARER = 8,
};

struct smtp_options {
    const char *ehlo_name;  /* a host name or address literal of visible ASCII; copied */
    bool encrypted;         /* the transport is TLS; without it no mechanism is ever offered */
    bool greeted;           /* the greeting has been read by the transport already: node/io/conn
                               over smtp:// and smtps:// reads greeting, EHLO, STARTTLS and the EHLO
                               after it. The engine sends a fresh EHLO of its own in any case. */
    int64_t timeout_ms_max; /* each time-out is at most this; 0: as RFC 5321 4.5.3.2 says */
};

/* What the server announced in its newest EHLO answer. */
struct smtp_capabilities {
    bool pipelining;
    bool size;
    bool eight_bit;
    bool dsn;
    bool enhanced;
    uint64_t size_max;   /* with `size`: octets, 0 = no limit told */
    unsigned mechanisms; /* bits of smtp_mechanism; 0 on a connection that is not encrypted */
    unsigned offered;    /* the same as the server spelt it, encrypted or not: for messages only */
};

/* One transaction. Everything is borrowed during smtp_send() only. */
struct smtp_message {
    const struct flz_address *from;
    const struct flz_address *to;
    struct flz_view body; /* CRLF line ends, no dot-stuffing; a missing last CRLF is added */
    const char *envid;    /* [A-Za-z0-9.@_-]{1,100} or NULL: DSN envelope id, where announced */
};

/* How a transaction, a command or the session ended. */
struct smtp_result {
    enum smtp_verdict verdict; /* SMTP_NONE for the session's own commands when they succeed */
    enum smtp_stage stage;     /* where it ended */
    struct reply reply;        /* the decisive reply; code 0 when there was none */
    const char *reason;  /* static text for what is no reply ("lost", "NUL in a reply"), or NULL */
    char challenge[256]; /* AUTH: the server's decoded error challenge (XOAUTH2 JSON), or "" */
};

/* The engine. Plain storage, about 5 KB and what waits in its buffers; the fields are its own. */
struct smtp {
    enum smtp_stage stage;
    enum smtp_event pending; /* to be reported before any input is read */
    struct smtp_capabilities capabilities;
    struct smtp_result result;
    struct reply_parser parser;
    struct flz_buf out;  /* owned: octets not yet taken */
    struct flz_buf body; /* owned: the dot-stuffed body until 354 */
    int64_t timeout_ms_max;
    char ehlo_name[SMTP_NAME_MAX];
    char user[SMTP_NAME_MAX];
    char mail_line[SMTP_COMMAND_MAX]; /* the commands of this transaction */
    char rcpt_line[SMTP_COMMAND_MAX];
    enum smtp_mechanism mechanism;
    uint8_t auth_step;
    bool auth_bare; /* AUTH went without an initial response, which is too long for its line */
    bool encrypted;
    bool authenticated;
    bool ehlo_ok;
    bool needs_reset;    /* a refused transaction is still open at the server */
    bool in_transaction; /* from smtp_send() to SMTP_E_DONE */
    bool pipelined;      /* the transaction's commands have all been written */
    bool refused;        /* MAIL, RCPT or DATA was refused; result holds it */
    bool dot_in_out;     /* the dot is in `out`, not taken */
    bool secret_in_out;  /* `out` is to be wiped when taken */
};

/* Starts a session; options are copied. Allocates nothing. The first output (EHLO) is there at once
 * when options->greeted, else after the greeting. */
void smtp_init(struct smtp *smtp, const struct smtp_options *options);

/* Wipes and frees. Accepts a zeroed struct, and twice. */
void smtp_deinit(struct smtp *smtp);

/*
 * Reads *input up to the next event and moves it behind the bytes used. Returns an enum smtp_event,
 * or -ENOMEM (the session is closed; smtp_result() is filled as by smtp_lost()). SMTP_E_MORE only
 * with the input used up; after any other event call again with the rest.
 */
int smtp_step(struct smtp *smtp, struct flz_view *input);

/* Octets to send; valid until the next call. Whoever sends them says so with smtp_taken(). */
struct flz_view smtp_output(const struct smtp *smtp);
void smtp_taken(struct smtp *smtp, size_t n);

/* How long the server may now take for its next reply, in ms; -1: no limit (idle, or the secret is
 * waited for). */
int64_t smtp_timeout_ms(const struct smtp *smtp);

/*
 * The orders below are for an idle session (smtp_idle()); they write to the output. -EPIPE: the
 * session is closed, its EHLO was refused, or octets nobody asked for have arrived (it is closed
 * now; the next step says so). An order to a session that is busy is our own mistake and asserted.
 */

/*
 * AUTH with a mechanism of capabilities.mechanisms (else -EINVAL, as for a user name with control
 * characters or too long). The secret is asked for by SMTP_E_SECRET. Ends in SMTP_E_READY or
 * SMTP_E_REFUSED.
 */
int smtp_auth(struct smtp *smtp, enum smtp_mechanism mechanism, const char *user);

/*
 * The best mechanism the server announced for a password or for a bearer token, or 0:
 * PLAIN before LOGIN, XOAUTH2 before OAUTHBEARER.
 */
enum smtp_mechanism smtp_choose(const struct smtp *smtp, bool token);

/*
 * Answers SMTP_E_SECRET: password or bearer token, borrowed for the call; encoded into the output,
 * which is wiped when taken. `host` and `port` are what OAUTHBEARER names (RFC 7628; may be NULL
 * and 0). 0; -EINVAL (NUL in a password, a token of other octets than RFC 6750 allows); -EMSGSIZE
 * (line above SMTP_AUTH_LINE_MAX); -ENOMEM. After a failure nothing secret was written, and the
 * session is closed.
 */
int smtp_secret(struct smtp *smtp, struct flz_view secret, const char *host, uint16_t port);

/* Named outcomes of smtp_send(): nothing was written, the session is idle as before. */
enum {
    SMTP_E_TOO_BIG = 1, /* above the SIZE the server announced */
    SMTP_E_8BIT = 2,    /* octets above 127, and the server does not announce 8BITMIME */
};

/*
 * Starts a transaction: MAIL, RCPT and DATA in one write where PIPELINING is announced, else one
 * by one. 0, a named outcome, -EINVAL (a body with a bare CR or LF, a NUL, a line above
 * SMTP_BODY_LINE_MAX, or above SMTP_BODY_MAX; nothing written), -ENOMEM (nothing written), -EPIPE.
 */
int smtp_send(struct smtp *smtp, const struct smtp_message *message);

/* After SMTP_E_DOT: puts the dot into the output. 0, or -EPIPE: the session was closed since. */
int smtp_release_dot(struct smtp *smtp);

/*
 * Gives the transaction up. Before the dot was taken: verdict NOT_SENT; after it: UNKNOWN. The
 * session is closed in both cases, what is in the output is forgotten, and the connection must be
 * closed without flushing. Returns SMTP_E_DONE, or SMTP_E_CLOSED when no transaction was open; no
 * event follows.
 */
enum smtp_event smtp_drop(struct smtp *smtp);

/* The connection ended or a time-out ran out. `reason` is a static text for smtp_result().
 * Returns like smtp_drop(). */
enum smtp_event smtp_lost(struct smtp *smtp, const char *reason);

/* MAIL alone, to see whether this sender is taken; ends in READY or REFUSED. smtp_reset() is to
 * follow: no message is sent. */
int smtp_try_mail(struct smtp *smtp, const struct flz_address *from);

/* Session commands; each ends in READY or REFUSED, smtp_quit() in CLOSED. */
int smtp_noop(struct smtp *smtp);
int smtp_reset(struct smtp *smtp);
int smtp_quit(struct smtp *smtp);

/* True while the session can be used again after what is going on. */
bool smtp_alive(const struct smtp *smtp);
bool smtp_idle(const struct smtp *smtp);
/* True after a successful AUTH. */
bool smtp_authenticated(const struct smtp *smtp);

/* Borrowed; valid until the next order or step. */
const struct smtp_result *smtp_result(const struct smtp *smtp);
const struct smtp_capabilities *smtp_capabilities(const struct smtp *smtp);

/* Lower-case words for logs: "rcpt", "not-sent". Static. */
const char *smtp_stage_str(enum smtp_stage stage);
const char *smtp_verdict_str(enum smtp_verdict verdict);
