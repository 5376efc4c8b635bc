/*
 * One connection to a mail server: TCP, then TLS or STARTTLS with verification, then bytes both
 * ways. By libcurl's CONNECT_ONLY in multi handles driven by the libuv loop. It is given no
 * credentials and speaks no command behind the connection set-up.
 *
 * What libcurl has said and read when on_open comes (measured on 7.88.1):
 *   smtps://  TLS, greeting, EHLO
 *   smtp://   greeting, EHLO, STARTTLS, TLS, EHLO
 *   imaps://  TLS, greeting, CAPABILITY
 *   imap://   greeting, CAPABILITY, STARTTLS, TLS, CAPABILITY
 * so an engine starts with an EHLO or CAPABILITY of its own and expects no greeting. Bytes that the
 * server sent in front of that first command of ours without being asked are not seen.
 *
 * Always: certificate chain and host name verified against the CA file, TLS 1.2 or newer, no
 * proxy, no netrc, no redirect, no DNS cache across pools. A server that does not offer STARTTLS,
 * or refuses it, or sends bytes behind its answer to it, is not talked to (CONN_END_STARTTLS).
 *
 * Threads: none of ours; libcurl resolves names in threads of its own unless `ip` is given.
 * SIGPIPE is set to be ignored when the first pool is made.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct conn;
struct conn_pool;

#define CONN_SEND_MAX ((size_t)8 * 1024 * 1024) /* octets of one connection waiting to be sent */
#define CONN_SHARD_MAX 500                      /* connections of one multi handle */

enum conn_scheme {
    CONN_SMTPS, /* implicit TLS */
    CONN_SMTP,  /* STARTTLS, required */
    CONN_IMAPS,
    CONN_IMAP,
    CONN_SMTP_PLAIN, /* no TLS: refused (-EPERM) unless `ip` is a loopback address; for benches */
};

/* How a connection ended. */
enum conn_end {
    CONN_END_NONE,
    CONN_END_RESOLVE,   /* the name has no address */
    CONN_END_REFUSED,   /* nobody listens, or no route */
    CONN_END_TIMEOUT,   /* connect_timeout_ms ran out before on_open */
    CONN_END_EXPIRED,   /* the certificate is expired or not yet valid */
    CONN_END_NAME,      /* the certificate is for another name */
    CONN_END_UNTRUSTED, /* the chain does not lead to the CA file, is self-signed or malformed */
    CONN_END_DENIED,    /* the certificate has a name that conn_pool_deny() refuses */
    CONN_END_TLS,       /* any other failure of the TLS handshake or of a record later */
    CONN_END_STARTTLS,  /* not offered, or refused */
    CONN_END_GREETING,  /* the server's greeting or EHLO answer was a refusal: msg has its text */
    CONN_END_PROTOCOL,  /* it does not speak the protocol */
    CONN_END_CLOSED,    /* by the peer */
    CONN_END_RESET,     /* by the peer, or by the network */
    CONN_END_LOCAL,     /* memory, descriptors or the CA file on our side */
};

struct conn_options {
    enum conn_scheme scheme;
    const char *host; /* the name that is verified, and resolved unless `ip` is given */
    uint16_t port;
    const char *ip;        /* numeric address to connect to, v4 or v6 without brackets; or NULL */
    const char *ehlo_name; /* what libcurl's own EHLO says; NULL: "localhost" */
    int64_t connect_timeout_ms; /* until on_open; 1 … 600,000 */
};

/*
 * Callbacks come from the loop, never from inside conn_open() or conn_send(). Each may close the
 * connection. After on_closed no other follows; the conn must still be given to conn_close().
 */
struct conn_events {
    void (*on_open)(struct conn *conn, void *userdata);
    /* Borrowed during the call. */
    void (*on_data)(struct conn *conn, struct flz_view data, void *userdata);
    /* Octets had to wait, and now all have gone to the kernel; may be NULL. */
    void (*on_drained)(struct conn *conn, void *userdata);
    /* `msg` says it in words, those of OpenSSL or of the server included; borrowed. */
    void (*on_closed)(struct conn *conn, enum conn_end end, const struct flz_msg *msg,
                      void *userdata);
};

/* What `account test` shows. */
struct conn_peer {
    char address[64];  /* numeric */
    const char *tls;   /* "TLSv1.3", static; NULL without TLS */
    char subject[128]; /* of the leaf certificate */
    char issuer[128];
    int64_t expires_ms; /* since 1970; 0 without TLS */
    int64_t resolve_ms; /* how long it took to find the address, then … */
    int64_t connect_ms; /* … to connect, then … */
    int64_t tls_ms;     /* … for TLS, and before it what STARTTLS takes */
};

struct conn_limits {
    size_t conns_max; /* open and opening; 0: 100,000 */
    size_t shard_max; /* 0: CONN_SHARD_MAX */
};

/*
 * `ca_file`: PEM, copied; read by libcurl at the first connection and again when a day old.
 * -ENOENT or -EACCES when it cannot be read now, -ENOMEM. The loop is borrowed until
 * conn_pool_free().
 */
int conn_pool_new(struct uv_loop_s *loop, const char *ca_file, const struct conn_limits *limits,
                  struct conn_pool **ret_pool);

/*
 * All connections must have been closed. Its handles are closed on the loop; the loop must run once
 * more (uv_run) before uv_loop_close(). Returns NULL.
 */
struct conn_pool *conn_pool_free(struct conn_pool *pool);

/*
 * Servers whose certificate has a name that `denies` says yes to are not talked to, whatever they
 * are called here (CONN_END_DENIED); "*.a.test" is asked as "a.test". `why` is told; borrowed.
 */
void conn_pool_deny(struct conn_pool *pool, bool (*denies)(const char *name), const char *why);

/* Connections not yet closed by conn_close(). */
size_t conn_pool_count(const struct conn_pool *pool);

/*
 * Begins to connect. Options are copied; `events` is borrowed while the connection lives. 0;
 * -EINVAL (host, ip, port or EHLO name malformed); -EPERM (CONN_SMTP_PLAIN elsewhere than
 * loopback); -EMFILE (conns_max); -ENOMEM.
 */
int conn_open(struct conn_pool *pool, const struct conn_options *options,
              const struct conn_events *events, void *userdata, struct conn **ret_conn);

/*
 * Sends, or keeps and sends when the socket allows. The octets are copied as far as they wait, and
 * the copies wiped when they are sent or forgotten: secrets may go this way. 0; -ENOTCONN (not
 * open, or ended, and nothing of these octets can reach the peer; on_closed follows); -ENOBUFS
 * (CONN_SEND_MAX; nothing was taken); -ENOMEM (nothing was taken).
 */
int conn_send(struct conn *conn, struct flz_view data);

/* Octets given to conn_send() that wait. */
size_t conn_pending(const struct conn *conn);

/* 0, or -ENOTCONN before on_open. */
int conn_peer_info(const struct conn *conn, struct conn_peer *ret_peer);

/* Ends the connection at once: what waits to be sent is forgotten, no callback follows. Frees;
 * accepts NULL; returns NULL. */
struct conn *conn_close(struct conn *conn);

/* The last line the server said during the set-up, "421 4.7.0 Too many connections" or "* BYE …",
 * or
 * "" when the set-up succeeded or nothing was said. Borrowed until conn_close(). */
const char *conn_server_text(const struct conn *conn);

/* "expired", "starttls" …: for logs. Static. */
const char *conn_end_str(enum conn_end end);
