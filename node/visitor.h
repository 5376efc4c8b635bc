/*
 * A visitor: carries one visit (node/core/visit.h) to one account's IMAP server over node/io/conn.
 * It decides nothing and stores nothing.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/secret.h"
#include "node/core/visit.h"
#include "node/endpoint.h"
#include "node/io/conn.h"

struct visitor;

struct visitor_events {
    /* The login has come to the secret. As sender_events.on_secret. */
    int (*on_secret)(struct visitor *visitor, struct flz_secret *ret_secret, void *userdata);
    /* A message that looks like the one job `job` seeks: true when it is truly ours (V1). */
    bool (*on_verify)(struct visitor *visitor, size_t job, const struct header *header,
                      void *userdata);
    /* A message that may be a report (VISIT_E_REPORT); borrowed. */
    void (*on_report)(struct visitor *visitor, bool whole, struct flz_view bytes, void *userdata);
    /* A job is settled; borrowed. */
    void (*on_outcome)(struct visitor *visitor, const struct visit_outcome *outcome,
                       void *userdata);
    /* The visit is over; the last callback. `conn` tells a connection that never opened from a
     * session's end; `text` is words for people: stage and the server's text. */
    void (*on_end)(struct visitor *visitor, enum visit_end end, enum conn_end conn,
                   const char *text, void *userdata);
};

struct visitor_options {
    struct endpoint endpoint;
    const char *user; /* copied */
    bool token;       /* the secret is an access token, not a password */
    int64_t connect_timeout_ms;
    int64_t wall_ms_max; /* 0: VISIT_WALL_MS_MAX */
    const char *version;
};

/* Begins the visit of `n` jobs (copied). 0 or negative. */
int visitor_new(struct conn_pool *pool, struct uv_loop_s *loop,
                const struct visitor_options *options, const struct visit_job *jobs, size_t n,
                const struct visitor_events *events, void *userdata, struct visitor **ret_visitor);

/* Who is at the other end; -ENOTCONN when it is not connected. */
int visitor_peer(const struct visitor *visitor, struct conn_peer *ret_peer);

/* Frees; no callback follows. Allowed in on_end and whenever no callback of it is running. */
struct visitor *visitor_free(struct visitor *visitor);
