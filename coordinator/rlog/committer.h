/*
 * The committer: group commit to an rlog on the libuv thread pool. One group is under way while the
 * next gathers; the loop never waits for the disk. What must not leave before its events are
 * durable is told by on_committed, group by group, in order.
 */
#pragma once

#include "common/base/error.h"
#include "coordinator/rlog/rlog.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct committer;

/* A group is one segment, and its rows follow from all that memory holds: it cannot be divided.
 * What gathers far beyond these while the disk is full or slow would not fit in the end. */
#define COMMITTER_EVENTS_CROWDED (SEGMENT_EVENTS_MAX / 4)
#define COMMITTER_BYTES_CROWDED (SEGMENT_SIZE_MAX / 4)
/* Up to here a group still takes one more decision, if it must be taken. */
#define COMMITTER_EVENTS_ROOM (SEGMENT_EVENTS_MAX / 2)
#define COMMITTER_BYTES_ROOM (SEGMENT_SIZE_MAX / 2)

/* What the log keeps, and what its archive. */
struct committer_keep {
    struct rlog_keep log;
    int64_t archive_before; /* older files are forgotten; INT64_MIN: none */
};

struct committer_kept {
    enum rlog_result result;
    bool more; /* to trim: ask again soon */
    struct flz_msg msg;
};

struct committer_events {
    /* A group closes: put the rows that its events, and all before them, changed into the rider. */
    int (*on_close)(struct store_batch *rider, void *data);
    /* Group `group` is committed; `last_event` is the newest event's number. */
    void (*on_committed)(uint64_t group, uint64_t last_event, int64_t took_us, void *data);
    /* The log refused for good (fenced, conflict, corrupt), or it is unknown what of the group was
     * written: memory and store may differ, and memory must be dropped and loaded again. Called
     * once; nothing is committed any more. */
    void (*on_lost)(enum rlog_result result, void *data);
    /* What committer_keep() asked for was done or, for the reason in msg, not. */
    void (*on_kept)(const struct committer_kept *kept, void *data);
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

/* Trims and forgets, on the pool thread between two groups; what gathers meanwhile waits, so that
 * keep->log.bytes_max bounds the wait. Told by on_kept, once; nothing when the log is lost before.
 * One at a time: a second request before that is dropped. */
void committer_keep(struct committer *committer, const struct committer_keep *keep);

/* True when the gathering group is large enough: decide nothing new until on_committed. A single
 * decision may go beyond; one beyond SEGMENT_EVENTS_MAX or SEGMENT_SIZE_MAX is lost. */
bool committer_is_crowded(const struct committer *committer);

/* True while the gathering group takes one more decision that must not wait for the disk. */
bool committer_has_room(const struct committer *committer);

/* RLOG_OK; or why the group under way is not written yet, and is tried again every second:
 * RLOG_FULL, RLOG_UNAVAILABLE. */
enum rlog_result committer_waits_for(const struct committer *committer);
