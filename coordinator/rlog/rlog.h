/*
 * The rlog: a fenced, totally ordered, hash-chained log, and the one seam between one machine and
 * many (coordinator/DESIGN.md). A segment is appended together with its rider, the batch of rows
 * that follows from its events: the embedded backend writes both in one synced batch; a distributed
 * one commits the segment and then writes the rider locally.
 *
 * Every operation answers one of enum rlog_result. After RLOG_UNKNOWN the caller asks
 * rlog_resolve() before anything else; after any append result but OK it drops its memory and loads
 * again. Lower epochs never write: the campaign that made a higher one has fenced them off.
 *
 * Threads: one writing operation (campaign, append, trim, forget) at a time, from any thread;
 * reading, bounds and renew may come from other threads meanwhile.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/store.h"
#include "coordinator/rlog/segment.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum rlog_result {
    RLOG_OK = 0,
    RLOG_FENCED = 1,      /* another writer has a higher epoch: step down */
    RLOG_CONFLICT = 2,    /* the segment does not follow the newest one */
    RLOG_UNKNOWN = 3,     /* it may or may not have been committed: resolve */
    RLOG_UNAVAILABLE = 4, /* nothing happened; try again later */
    RLOG_FULL = 5,        /* no room; nothing happened; try again when there is */
    RLOG_CORRUPT = 6,     /* what is stored is damaged; msg of the call that found it names it */
};

/* A segment, as what comes after it must know it. All zero: before the first. */
struct rlog_mark {
    uint64_t seq;
    uint64_t last_event;
    uint64_t epoch;
    struct flz_digest digest;
};

/*
 * What is kept, in order:
 *
 *     (forgotten) ≤ forgotten.seq < archived ≤ trimmed.seq < log, from first to last
 */
struct rlog_bounds {
    uint64_t first; /* oldest segment in the log; 0: none */
    uint64_t last;  /* newest; 0: none */
    uint64_t last_event;
    uint64_t epoch;
    struct flz_id generation;
    struct flz_digest head; /* digest of the newest segment */
    struct rlog_mark trimmed;   /* the newest that was trimmed: what `first` follows */
    struct rlog_mark forgotten; /* the newest that is kept nowhere any more */
};

struct rlog;

typedef int (*rlog_on_segment)(const struct segment *segment, struct flz_view bytes, void *data);

struct rlog_ops {
    const char *name;
    /* Becomes the writer: a new epoch, larger than all before. */
    enum rlog_result (*campaign)(struct rlog *log, const char *self, uint64_t *ret_epoch,
                                 struct flz_msg *msg);
    /* Is this epoch still the newest? Liveness only; safety is in append. */
    enum rlog_result (*renew)(struct rlog *log, uint64_t epoch);
    /* Exactly the next segment, of this epoch. `rider` may be NULL. From any one thread. */
    enum rlog_result (*append)(struct rlog *log, uint64_t epoch, struct flz_view bytes,
                               const struct store_batch *rider);
    /* After UNKNOWN: was segment `seq` with this nonce committed? */
    enum rlog_result (*resolve)(struct rlog *log, uint64_t seq, struct flz_id nonce,
                                bool *ret_committed);
    /* Committed segments from `from` on, in order, until on_segment answers other than 0. */
    enum rlog_result (*read)(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                             void *data, struct flz_msg *msg);
    enum rlog_result (*bounds)(struct rlog *log, struct rlog_bounds *ret_bounds);
    /* Moves segments below `below` into the archive (or forgets them, where there is none). */
    enum rlog_result (*trim)(struct rlog *log, uint64_t epoch, uint64_t below, struct flz_msg *msg);
    /* As read, of what was trimmed and is not forgotten. */
    enum rlog_result (*read_archived)(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                                      void *data, struct flz_msg *msg);
    /* Drops from the archive what is older than `before`, network time; a backend may keep some of
     * it, to drop whole files only. */
    enum rlog_result (*forget)(struct rlog *log, uint64_t epoch, int64_t before,
                               struct flz_msg *msg);
    /* The first archived segment of the file, or whatever the archive is made of, that holds the
     * event; 0 when it is not archived. */
    enum rlog_result (*find_archived)(struct rlog *log, uint64_t event, uint64_t *ret_seq);
    struct rlog *(*close)(struct rlog *log);
};

/* What a backend's struct begins with. */
struct rlog {
    const struct rlog_ops *ops;
};

/* Short forms. */
static inline enum rlog_result rlog_campaign(struct rlog *log, const char *self,
                                             uint64_t *ret_epoch, struct flz_msg *msg)
{
    return log->ops->campaign(log, self, ret_epoch, msg);
}

static inline enum rlog_result rlog_renew(struct rlog *log, uint64_t epoch)
{
    return log->ops->renew(log, epoch);
}

static inline enum rlog_result rlog_append(struct rlog *log, uint64_t epoch, struct flz_view bytes,
                                           const struct store_batch *rider)
{
    return log->ops->append(log, epoch, bytes, rider);
}

static inline enum rlog_result rlog_resolve(struct rlog *log, uint64_t seq, struct flz_id nonce,
                                            bool *ret_committed)
{
    return log->ops->resolve(log, seq, nonce, ret_committed);
}

static inline enum rlog_result rlog_read(struct rlog *log, uint64_t from,
                                         rlog_on_segment on_segment, void *data,
                                         struct flz_msg *msg)
{
    return log->ops->read(log, from, on_segment, data, msg);
}

static inline enum rlog_result rlog_bounds(struct rlog *log, struct rlog_bounds *ret_bounds)
{
    return log->ops->bounds(log, ret_bounds);
}

static inline enum rlog_result rlog_trim(struct rlog *log, uint64_t epoch, uint64_t below,
                                         struct flz_msg *msg)
{
    return log->ops->trim(log, epoch, below, msg);
}

static inline enum rlog_result rlog_read_archived(struct rlog *log, uint64_t from,
                                                  rlog_on_segment on_segment, void *data,
                                                  struct flz_msg *msg)
{
    return log->ops->read_archived(log, from, on_segment, data, msg);
}

static inline enum rlog_result rlog_forget(struct rlog *log, uint64_t epoch, int64_t before,
                                           struct flz_msg *msg)
{
    return log->ops->forget(log, epoch, before, msg);
}

static inline struct rlog *rlog_close(struct rlog *log)
{
    return log ? log->ops->close(log) : NULL;
}

const char *rlog_result_str(enum rlog_result result);

struct rlog_mark rlog_mark_of(const struct segment *segment);
/* Why the segment cannot come after the mark, in words behind "segment 7 "; NULL: it can. */
const char *rlog_mark_refuses(const struct rlog_mark *before, const struct segment *segment);

/* The archive and the log as one: segments from `from` on that are not forgotten, in order, until
 * on_segment answers other than 0. Trimming meanwhile does not matter. */
enum rlog_result rlog_each(struct rlog *log, uint64_t from, rlog_on_segment on_segment, void *data,
                           struct flz_msg *msg);

/* The segment, archived or not, from which on an event is found: its own, or one before it. 0:
 * forgotten, or not there yet. Reads a few segments. */
enum rlog_result rlog_find_event(struct rlog *log, uint64_t event, uint64_t *ret_seq,
                                 struct flz_msg *msg);

/*
 * Walks the archive and the log: density, chain, digests. RLOG_OK; RLOG_CORRUPT and msg names the
 * first bad segment; RLOG_UNAVAILABLE when *stop (may be NULL) became true. *ret_bounds (may be
 * NULL): what was found to be good.
 */
enum rlog_result rlog_verify_until(struct rlog *log, const atomic_bool *stop,
                                   struct rlog_bounds *ret_bounds, struct flz_msg *msg);

static inline enum rlog_result rlog_verify(struct rlog *log, struct flz_msg *msg)
{
    return rlog_verify_until(log, NULL, NULL, msg);
}

/* What the log itself keeps: the archive has the rest. */
struct rlog_keep {
    int64_t before;   /* segments whose newest event is older, network time, are trimmed … */
    size_t bytes_max; /* … about so many bytes of them at once */
};

/* Trims by age. *ret_more: there is more to trim. */
enum rlog_result rlog_trim_old(struct rlog *log, uint64_t epoch, const struct rlog_keep *keep,
                               bool *ret_more, struct flz_msg *msg);

/* ---- The embedded backend: the coordinator's own store ---- */

struct rlog_embedded_options {
    struct store *store;    /* borrowed */
    size_t family_log;      /* be64 seq → segment */
    size_t family_meta;     /* epoch, generation, marks, files of the archive */
    const char *archive;    /* folder for trimmed segments; NULL: they are dropped */
};

/*
 * Checks that nothing is missing and that the newest segments are whole, and removes what a trim
 * left that was ended midway. 0; RLOG_E_ARCHIVE: the log is open, but something of its archive is
 * missing or was changed, which msg names; negative (-EUCLEAN: msg names the segment).
 */
enum { RLOG_E_ARCHIVE = 1 };
int rlog_embedded_open(const struct rlog_embedded_options *options, struct rlog **ret_log,
                       struct flz_msg *msg);

/* A restored backup begins a new generation: frames and epochs of the old one are refused by nodes
 * from then on. Before the first campaign. 0 or negative. */
int rlog_embedded_new_generation(struct rlog *log);
