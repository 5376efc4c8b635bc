/*
 * The inside of the coordinator's server, shared by the files that make it up: server.c (core, log,
 * life), door.c (what nodes say), days.c (which day is planned when).
 */
#pragma once

#include "common/sys/bus.h"
#include "common/sys/store.h"
#include "common/sys/tz.h"
#include "coordinator/identity.h"
#include "coordinator/rlog/committer.h"
#include "coordinator/server.h"
#include "coordinator/timekeeper.h"

#include <uv.h>

struct door;
struct aside;
struct days;
struct keeper;

/* What waits for a group's commit, in the order it was asked for. */
struct output {
    uint64_t group;
    void (*on_release)(void *data, int r); /* r: 0 committed; negative: it never will be */
    void *data;
};

struct server {
    const struct config *config;
    struct flz_log *log;
    uv_loop_t loop;
    bool loop_made;
    struct coordinator_identity identity;
    bool identified;
    struct store *store;
    struct rlog *rlog;
    struct coord *core;
    struct persons *persons;
    struct committer *committer;
    struct timekeeper clock;
    struct tz *tz;
    struct metrics *metrics;
    struct bus *bus;
    struct door *door;
    struct days *days;
    struct keeper *keeper;
    struct aside *aside;
    struct watch *watch;
    struct admin *admin;
    struct web *web;

    struct output *outputs; /* owned: a queue */
    size_t outputs_head;
    size_t outputs_count;
    size_t outputs_capacity;

    uint64_t epoch;
    uint64_t seq; /* newest committed event */
    struct flz_id generation;
    int64_t started_boot;
    uv_timer_t tick;
    int64_t tick_boot; /* when it should come */
    uv_timer_t housekeeping;
    uv_timer_t watching;
    uv_signal_t signals[2];
    bool handles;
    bool restored; /* the state folder came from a backup */
    enum admission admission; /* as it was told last */
    bool lost; /* memory is ahead of the log: nothing more is decided */
    int exit_code;
};

/*
 * One decision, its events put into the gathering group. *ret_update borrows from the core until
 * the next step. 0 or negative: then the process ends, memory being worth nothing.
 */
int server_step(struct server *server, struct coord_command *command,
                struct coord_update *ret_update);

/* Whether a command of this kind may be decided now. */
bool server_admits(const struct server *server, enum coord_command_kind kind);

/* Sends an update's orders once its events are committed. 0 or -ENOMEM. */
int server_issue(struct server *server, const struct coord_update *update);

/* Calls on_release when what was decided so far is committed. 0 or -ENOMEM. */
int server_after_commit(struct server *server, void (*on_release)(void *data, int r), void *data);

/* Time may have made something due: looks again soon. */
void server_wake(struct server *server);

void server_stop(struct server *server, int exit_code);

struct flz_signer server_signer(const struct server *server);
