/*
 * The node's own doors: the socket of fluenzrctl (`account import|ls|set|rm|retry|test`,
 * `account filter|discover`,
 * `signin begin|look|paste`, `status`) and HTTP
 * (/metrics, /livez, /readyz).
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/bus.h"
#include "common/sys/log.h"
#include "common/sys/tz.h"
#include "node/import.h"
#include "node/journal.h"
#include "node/signin.h"
#include "node/worker.h"

struct control;

/* Everything is borrowed while it is open. */
struct control_parts {
    struct uv_loop_s *loop;
    struct flz_log *log;
    struct bus *bus;
    const struct identity *identity;
    struct link *link;
    struct worker *worker;
    struct members *members;
    struct outbox *outbox;
    struct domains *domains;
    struct dns *dns; /* `account discover` asks it */
    const struct providers *providers;
    const struct flz_msg *providers_trouble; /* why its file could not be read anew, or "" */
    struct tokens *tokens;
    struct signins *signins;
    struct journal *journal;
    struct conn_pool *pool; /* `account test` connects by it */
    const char *ehlo_name;
    int64_t connect_timeout_ms;
    struct tz *tz;
    const char *listen_admin;
    const char *listen_http;
};

int control_open(const struct control_parts *parts, struct control **ret_control,
                 struct flz_msg *msg);
/* Calls under way are answered "stopping". Before journal_close(). */
struct control *control_close(struct control *control);

/* Reports an account anew, with a fresh attestation. 0 or negative. */
int control_report(struct control *control, struct member *member);
