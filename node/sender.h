/*
 * A sender: one SMTP session of one account, carrying its due messages one after another over one
 * connection. It joins node/io/conn to the smtp engine; it decides nothing and stores nothing.
 *
 * The final dot of each message is held back: on_dot says that everything but the dot has been
 * sent, and the owner answers, now or after its journal is durable, with sender_release() or
 * sender_withdraw().
 */
#pragma once

#include "common/base/address.h"
#include "common/base/error.h"
#include "common/sys/secret.h"
#include "node/core/smtp.h"
#include "node/endpoint.h"
#include "node/io/conn.h"

struct sender;

struct sender_events {
    /* The session is logged in and idle: give a message with sender_send(), or sender_quit(). Comes
     * after login and after each on_result that leaves the session alive. */
    void (*on_ready)(struct sender *sender, void *userdata);
    /* AUTH has come to the secret: fill *ret_secret (wiped by the sender after use). 0 or negative:
     * the session then ends. */
    int (*on_secret)(struct sender *sender, struct flz_secret *ret_secret, void *userdata);
    void (*on_dot)(struct sender *sender, void *userdata);
    /* The transaction's end; `result` is borrowed. */
    void (*on_result)(struct sender *sender, const struct smtp_result *result, void *userdata);
    /*
     * The session is over; the last callback. `ready` tells whether it ever came to on_ready. For a
     * session that never did: `end` is the connection's end, or CONN_END_NONE with `result` when
     * the server refused EHLO or AUTH. `msg` says it in words: stage and the server's text.
     */
    void (*on_end)(struct sender *sender, bool ready, enum conn_end end,
                   const struct smtp_result *result, const struct flz_msg *msg, void *userdata);
};

struct sender_options {
    struct endpoint endpoint;
    const char *ehlo_name; /* copied */
    const char *user;      /* copied */
    bool token;            /* the secret is an access token, not a password */
    int64_t connect_timeout_ms;
    int64_t timeout_ms_max; /* for each reply; 0: as RFC 5321 says, ten minutes after the dot */
};

/* Begins to connect. `events` is borrowed while the sender lives. 0 or negative. */
int sender_new(struct conn_pool *pool, struct uv_loop_s *loop, const struct sender_options *options,
               const struct sender_events *events, void *userdata, struct sender **ret_sender);

/* In on_ready (or while idle since): starts a message; `bytes` are copied. A negative code means
 * that nothing was written: -EINVAL (a body no server may get), -EMSGSIZE (above the server's
 * limit, or 8-bit text it does not take), -ENOMEM, with the session as before; -EPIPE: it is over,
 * on_end follows. */
int sender_send(struct sender *sender, const struct flz_address *from, const struct flz_address *to,
                struct flz_view bytes, const char *envid);

/* For a check: MAIL alone, and RSET; on_ready follows each that is taken, else on_end. As
 * smtp_try_mail() and smtp_reset(). */
int sender_try_mail(struct sender *sender, const struct flz_address *from);
int sender_reset(struct sender *sender);

/* Who is at the other end (-ENOTCONN when it is not connected), and what it offers. */
int sender_peer(const struct sender *sender, struct conn_peer *ret_peer);
const struct smtp_capabilities *sender_capabilities(const struct sender *sender);

/* After on_dot. Release: the dot leaves, on_result follows. Withdraw: the connection is dropped
 * without the dot; on_result (NOT_SENT) and on_end follow. */
void sender_release(struct sender *sender);
void sender_withdraw(struct sender *sender);

/* Says QUIT, or drops a session that is not idle; on_end follows. */
void sender_quit(struct sender *sender);

/* Frees; no callback follows. Allowed in on_end and whenever no callback of it is running. */
struct sender *sender_free(struct sender *sender);
