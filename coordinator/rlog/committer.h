/*
 * The committer: group commit to an rlog on the libuv thread pool. One group is under way while the
 * next gathers; the loop never waits for the disk. What must not leave before its events are durable
 * is told by on_committed, group by group, in order.
 */
#pragma once

#include "common/base/error.h"
#include "coordinator/rlog/rlog.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct committer;

struct committer_events {
    /* A group closes: put the rows that its events, and all before them, changed into the rider. */
    int (*on_close)(struct store_batch *rider, void *data);
    /* Group `group` is committed; `last_event` is the newest event's number. */
    void (*on_committed)(uint64_t group, uint64_t last_event, int64_t took_us, void *data);
    /* The log refused for good (fenced, conflict, corrupt, or an outcome nobody can know): memory is
     * ahead of the log and must be dropped. Called once; nothing is committed any more. */
    void (*on_lost)(enum rlog_result result, void *data);
};

struct committer_options {
    struct uv_loop_s *loop;
    struct rlog *log;       /* borrowed; used by the pool thread while a group is under way */
    uint64_t epoch;
    struct rlog_bounds bounds; /* of the log now: what the first segment follows */
};

int committer_new(const struct committer_options *options, const struct committer_events *events,
                  void *data, struct committer **ret_committer);

/* Waits for the group under way. What gathers is dropped: nothing of it has left. */
struct committer *committer_free(struct committer *committer);

/* Adds an event to the gathering group. */
void committer_add(struct committer *committer, struct flz_view event, int64_t at);

/* More for the gathering group's rider, beyond what on_close adds (side tables). Borrowed. */
struct store_batch *committer_rider(struct committer *committer);

/* The number of the gathering group: what waits for it is told by on_committed(group). Asks for its
 * commit, also when it has no event (it is then told after the group before it). */
uint64_t committer_group(struct committer *committer);

uint64_t committer_last_event(const struct committer *committer); /* committed */
