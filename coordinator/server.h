/*
 * The coordinator's server: the one thread that feeds the core. It stamps network time, turns what
 * arrives (frames, requests, timers) into commands, commits what the core decided, and lets out
 * (tasks, acknowledgements, answers) only what is committed.
 *
 *   nodes ──frames──► fleetd ┐                                   ┌─► tasks, acks
 *   admin ──calls───► desk   ├─► server_submit ─► coord_step ─► committer ─► outputs
 *   clock ──ticks───► clock  ┘        (one group commit under way while the next gathers)
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/log.h"
#include "common/sys/metrics.h"
#include "coordinator/admission.h"
#include "coordinator/audit.h"
#include "coordinator/backup.h"
#include "coordinator/refold.h"
#include "coordinator/config.h"
#include "coordinator/core/coord.h"
#include "coordinator/persons.h"

#include <stdbool.h>
#include <stdint.h>

struct server;

/* What became of a submitted command, told once its events are committed (r = 0), or will never be
 * (negative: the log refused; nothing happened). */
struct server_result {
    int r;
    bool refused;          /* the core said no: message */
    uint32_t handle;
    struct flz_msg message; /* for people; "" if there is nothing to say */
};
typedef void (*server_on_done)(const struct server_result *result, void *data);

/* Whether something new may be decided now, and if not, why, in words. */
enum admission server_admission(const struct server *server, struct flz_msg *ret_why);

/* Gives a command to the core; `now` is stamped here. on_done may be NULL. 0; -ENOSPC: commands of
 * its kind are held back now (server_admission), and nothing was changed; negative. */
int server_submit(struct server *server, struct coord_command *command, server_on_done on_done,
                  void *data);

const struct coord *server_core(const struct server *server);
struct persons *server_persons(struct server *server);
struct flz_log *server_log(struct server *server);
int64_t server_now(struct server *server); /* network time */
int64_t server_rate_milli(const struct server *server);
int64_t server_started_boot(const struct server *server);
uint64_t server_seq(const struct server *server); /* newest committed event */

/* Is a node connected (welcomed, heartbeat within 30 s)? And when it was last heard, boot time ms;
 * 0 = never in this life. */
bool server_node_connected(const struct server *server, uint32_t node);
int64_t server_node_heard_boot(const struct server *server, uint32_t node);

/* Reads stored rows of one kind in key order (archives too); views live during the call. */
int server_each_row(struct server *server, enum row_kind kind,
                    int (*on_row)(const void *row, void *data), void *data);

/* The archived days of one account (COORD_NONE: of the network) alone, in the same way. */
int server_each_old_day(struct server *server, uint32_t account,
                        int (*on_row)(const void *row, void *data), void *data);

/* The store's and log's own health, for readyz: 0, or a sentence why not. */
int server_ready(const struct server *server, struct flz_msg *msg);

/* Bytes free on the state's disk; 0 when that cannot be told. */
uint64_t server_free_bytes(const struct server *server);
/* A step of the host's clock that waits for confirmation, in ms (signed); 0: none does. */
int64_t server_refused_step_ms(const struct server *server);
/* `by` says that the host's clock is right: network time follows it. 0; -ENOSPC as server_submit();
 * negative. */
int server_confirm_clock(struct server *server, const char *by, server_on_done on_done, void *data);

/* Runs an audit beside the loop; on_done is called once. 0; -EBUSY: one, or a backup, is under way;
 * -ENOMEM. */
int server_audit(struct server *server, const struct audit_request *request,
                 void (*on_done)(const struct audit_result *result, void *data), void *data);

/* The same for a backup; also -ENOSPC: held back, as server_submit(). */
int server_backup(struct server *server, const struct backup_request *request,
                  void (*on_done)(const struct backup_result *result, void *data), void *data);
/* The same for a fold of the whole log. */
int server_refold(struct server *server, const struct refold_request *request,
                  void (*on_done)(const struct refold_result *result, void *data), void *data);
const char *server_state_dir(const struct server *server);

/* First planned send of an account from now on, network time; FLZ_NEVER: none planned. */
int64_t server_first_slot(const struct server *server, uint32_t account);

/* An invite for a node was signed by an administrator's key at the client; see admin verb
 * "node invite". Everything else of the admin surface goes through server_submit(). */

struct coordinator_identity;
const struct coordinator_identity *server_identity(const struct server *server);

/*
 * Reads committed events in their order, from `from_seq` on, until on_event answers anything but 0.
 * The event lives during the call. 0, that answer, or negative.
 */
int server_each_event(struct server *server, uint64_t from_seq,
                      int (*on_event)(uint64_t seq, const struct event *event, void *data),
                      void *data);

/* COORD_REMOVE, and in the same commit the person behind the account is erased (persons_erase). */
int server_erase(struct server *server, uint32_t account, server_on_done on_done, void *data);
