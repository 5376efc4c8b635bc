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
 * Threads: one writing operation (campaign, append, trim) at a time, from any thread; reading,
 * bounds and renew may come from another thread meanwhile.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/store.h"
#include "coordinator/rlog/segment.h"

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

struct rlog_bounds {
    uint64_t first; /* oldest segment kept; 0: none */
    uint64_t last;  /* newest; 0: none */
    uint64_t last_event;
    uint64_t epoch;
    struct flz_id generation;
    struct flz_digest head; /* digest of the newest segment */
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
    /* Moves segments below `below` into the archive (or drops them, where there is none). */
    enum rlog_result (*trim)(struct rlog *log, uint64_t epoch, uint64_t below, struct flz_msg *msg);
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

static inline struct rlog *rlog_close(struct rlog *log)
{
    return log ? log->ops->close(log) : NULL;
}

const char *rlog_result_str(enum rlog_result result);

/* Walks the whole log: density, chain, digests. RLOG_OK, or RLOG_CORRUPT and msg names the first
 * bad segment. */
enum rlog_result rlog_verify(struct rlog *log, struct flz_msg *msg);

/* ---- The embedded backend: the coordinator's own store ---- */

struct rlog_embedded_options {
    struct store *store;    /* borrowed */
    size_t family_log;      /* be64 seq → segment */
    size_t family_meta;     /* epoch, generation */
    const char *archive;    /* folder for trimmed segments; NULL: they are dropped */
};

/* Checks the newest segments of what is there. 0 or negative (-EUCLEAN: msg names the segment). */
int rlog_embedded_open(const struct rlog_embedded_options *options, struct rlog **ret_log,
                       struct flz_msg *msg);

/* A restored backup begins a new generation: frames and epochs of the old one are refused by nodes
 * from then on. Before the first campaign. 0 or negative. */
int rlog_embedded_new_generation(struct rlog *log);
