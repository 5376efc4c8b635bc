/*
 * The administration door of a daemon: requests of fluenzrctl (proto/admin.proto) on a bus socket,
 * each one Signed by an admin key, answered once, now or later. This file opens and checks; what a
 * verb does is the daemon's business.
 *
 * Who may ask: on the coordinator, whoever holds a certificate of the root with role ADMIN,
 * OPERATOR (scope "node/NAME") or VIEWER ("owner/NAME"). On a node's own ipc socket (mode 0600)
 * whoever can open it acts for the node.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/bus.h"
#include "common/sys/keys.h"
#include "common/sys/log.h"
#include "proto/cert.h"
#include "proto/vocab.h"

#include <jansson.h>
#include <stdbool.h>

#define ADMIN_SKEW_MS (5 * 60 * 1000) /* a request older or younger than this is refused */
#define ADMIN_CALLS_MAX 64            /* open at a time */

/* Documented exit codes of fluenzrctl (DESIGN 8). */
enum admin_exit {
    ADMIN_OK = 0,
    ADMIN_FAILED = 1,
    ADMIN_DIFFERENCE = 2,
    ADMIN_PARTLY = 3,
    ADMIN_WAIT_TIMEOUT = 4,
    ADMIN_USAGE = 64,
    ADMIN_UNREACHABLE = 69,
    ADMIN_TRY_AGAIN = 75,
    ADMIN_NOT_PERMITTED = 77,
    ADMIN_CONFIG = 78,
};

struct admin;
struct admin_call;

/* Handles one request; must end in exactly one admin_answer() or admin_refuse(), now or later. */
typedef void (*admin_on_call)(struct admin_call *call, void *data);

struct admin_options {
    const struct flz_trust *trust; /* NULL: a node's own socket, no certificate is asked for */
    struct flz_signer signer;      /* signs the answers */
};

/* Listens on "ipc:///path" (or "tcp://…", by CURVE with `curve`, which may be NULL for ipc). */
int admin_new(struct bus *bus, const char *endpoint, const struct keys_curve_pair *curve,
              struct flz_log *log, const struct admin_options *options, admin_on_call on_call,
              void *data, struct admin **ret_admin, struct flz_msg *msg);
struct admin *admin_free(struct admin *admin); /* open calls are answered "stopping" */

/* ---- A call; valid until it is answered ---- */

const char *admin_verb(const struct admin_call *call);
/* An argument as text; NULL when absent. Lives as long as the call. */
const char *admin_argument(const struct admin_call *call, const char *key);
struct flz_view admin_body(const struct admin_call *call);
/* Who asks: name of the certificate, or "local". */
const char *admin_who(const struct admin_call *call);
/* True when the caller may act on `target` ("network", "node/n1", "owner/acme"). A VIEWER never
 * changes anything: `changes` says whether the verb does. */
bool admin_may(const struct admin_call *call, const char *target, bool changes);
/* The scope a caller is bound to, "" for the whole network: what lists are filtered by. */
const char *admin_scope(const struct admin_call *call);

/* Answers with a document (stolen; may be NULL) and words for people (may be NULL). */
void admin_answer(struct admin_call *call, enum admin_exit code, json_t *json, const char *message);
/* Refuses: a machine word, what is wrong, what to do next (hint may be ""). */
void admin_refuse(struct admin_call *call, enum admin_exit code, const char *error,
                  const char *message, const char *hint);
