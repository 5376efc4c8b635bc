/*
 * The desk's own: what the verbs of desk_*.c share. A verb is a function of this type; it answers
 * its call exactly once, or hands it to desk_change().
 */
#pragma once

#include "common/sys/admin.h"
#include "coordinator/server.h"
#include "coordinator/view.h"

#include <stdbool.h>

/* Lives during the verb; `view` has the caller's scope. */
struct desk {
    struct admin_call *call;
    struct server *server;
    struct view view;
};

typedef void (*desk_verb)(struct desk *desk);

/* desk_network.c */
void desk_status(struct desk *desk);
void desk_version(struct desk *desk);
void desk_events(struct desk *desk);
void desk_stats(struct desk *desk);
void desk_plan_show(struct desk *desk);
void desk_exchange_ls(struct desk *desk);
void desk_exchange_show(struct desk *desk);
void desk_policy_ls(struct desk *desk);
void desk_policy_set(struct desk *desk);
void desk_pause(struct desk *desk);
void desk_pause_ls(struct desk *desk);
void desk_resume(struct desk *desk);
void desk_suppress_ls(struct desk *desk);
void desk_suppress_add(struct desk *desk);
void desk_suppress_rm(struct desk *desk);
void desk_clock_confirm(struct desk *desk);

/* desk_alert.c */
void desk_alert_ls(struct desk *desk);
void desk_alert_show(struct desk *desk);
void desk_alert_ack(struct desk *desk);

/* desk_audit.c */
void desk_audit_verify(struct desk *desk);
void desk_audit_prove(struct desk *desk);

/* desk_refold.c */
void desk_audit_aggregates(struct desk *desk);
void desk_policy_replay(struct desk *desk);

/* desk_backup.c */
void desk_backup_create(struct desk *desk);
void desk_backup_verify(struct desk *desk);

/* desk_node.c */
void desk_node_invite(struct desk *desk);
void desk_node_ls(struct desk *desk);
void desk_node_show(struct desk *desk);
void desk_node_revoke(struct desk *desk);

/* desk_account.c */
void desk_account_ls(struct desk *desk);
void desk_account_show(struct desk *desk);
void desk_account_why(struct desk *desk);
void desk_account_reachable(struct desk *desk);
void desk_account_export(struct desk *desk);
void desk_account_erase(struct desk *desk);
void desk_account_rm(struct desk *desk);
void desk_account_clear(struct desk *desk);

/* ---- Shared (desk.c) ---- */

/* Answers with a document (stolen); NULL: memory was refused. */
void desk_answer(struct desk *desk, json_t *document);

/* Refuses with ADMIN_USAGE and BAD_INPUT. */
void desk_bad_input(struct desk *desk, const char *message, const char *hint);

/* When the duration that the argument `key` gives is over, in network time; `fallback` when it is
 * absent. False: refused. */
bool desk_until(struct desk *desk, const char *key, int64_t fallback, int64_t *ret_until);

/* True when the caller may; else the call is refused and false. */
bool desk_may(struct desk *desk, const char *target, bool changes);
bool desk_may_account(struct desk *desk, uint32_t account, bool changes);

/* The argument; when it is absent or empty the call is refused and NULL. */
const char *desk_need(struct desk *desk, const char *key, const char *hint);

/* The account, node that the argument `key` names; COORD_NONE and refused when there is none. */
uint32_t desk_need_account(struct desk *desk, const char *key);
uint32_t desk_need_node(struct desk *desk, const char *key);

/* 1 … `max`, `fallback` when absent. False: refused. */
bool desk_number(struct desk *desk, const char *key, uint64_t max, uint64_t fallback,
                 uint64_t *ret_value);
/* A date, 0 when absent. False: refused. */
bool desk_date(struct desk *desk, const char *key, int32_t *ret_date);

/* ---- Changes (desk_change.c) ---- */

/* How to go on when a change is committed: the next one, or -1 for no more. */
struct desk_change {
    struct admin_call *call;
    struct server *server;
    char subject[FLZ_ADDRESS_MAX + 16]; /* what was changed, for the answer */
    char done[FLZ_MSG_MAX];             /* what to say when it is done */
    uint32_t remove;                    /* an account to remove after it; COORD_NONE: none */
    bool halfway;                       /* that is what is being done now */
};

/*
 * Submits the command; answers the call when it is committed: a document of kind "Change" and the
 * words of `change`, or the core's refusal. Call and server are filled in.
 */
void desk_change(struct desk *desk, struct coord_command *command,
                 const struct desk_change *change);

/* The same for server_erase(). */
void desk_change_erase(struct desk *desk, uint32_t account, const struct desk_change *change);

/* The same for server_confirm_clock(). */
void desk_change_clock(struct desk *desk, const struct desk_change *change);
