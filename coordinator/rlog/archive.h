/*
 * The archive: the segments that were trimmed from the log, in files of { length u32 · segment }
 * that are named by the first and last of them. Which files there are, and what they hold, stands
 * in the store, in a row for each file; it is written in the batch that takes the segments out of
 * the log. So each segment is in one place at any time: a file without a row is what a crash left.
 *
 * Threads: as in rlog.h; adding, forgetting and sweeping are writing.
 */
#pragma once

#include "coordinator/rlog/rlog.h"

#include <stdint.h>

#define ARCHIVE_FILE_MAX (64u << 20) /* bytes */

enum {
    ARCHIVE_E_NONE = 1,    /* no such file */
    ARCHIVE_E_DAMAGED = 2, /* something is missing or was changed: msg names it */
};

/* All borrowed. */
struct archive {
    struct store *store;
    size_t family;      /* where the rows are, under keys "archive/" ‖ be64 last */
    const char *folder; /* made when it is needed */
};

/* A row: version u8 · first, first event, last event, at, size u64 · digest 32 · head 32. */
struct archive_file {
    uint64_t first; /* segments */
    uint64_t last;
    uint64_t first_event;
    uint64_t last_event;
    int64_t at;    /* network time of its newest event */
    uint64_t size; /* bytes */
    struct flz_digest digest; /* of its bytes */
    struct flz_digest head;   /* of its last segment */
};

/* Writes the file, durably, and puts its row into the batch. size and digest are filled in. 0 or
 * -errno. */
int archive_add(const struct archive *archive, struct archive_file *file, struct flz_view bytes,
                struct store_batch *batch, struct flz_msg *msg);

/* The file that holds segment `seq`, or the first behind it. 0, ARCHIVE_E_NONE, negative. */
int archive_find(const struct archive *archive, uint64_t seq, struct archive_file *ret_file);

/* Each file in order until on_file answers other than 0. 0, that answer, negative. */
int archive_each_file(const struct archive *archive,
                      int (*on_file)(const struct archive_file *file, void *data), void *data);

/*
 * The segments of a file from `from` on, in order, until on_segment answers other than 0. All of
 * the file is checked first: its digest, and on a difference each segment. 0, that answer,
 * -EUCLEAN: msg names file and segment; -errno.
 */
int archive_read(const struct archive *archive, const struct archive_file *file, uint64_t from,
                 rlog_on_segment on_segment, void *data, struct flz_msg *msg);

/* Puts the deletion of a file's row into the batch; archive_remove() removes it after the batch is
 * written. */
void archive_delete_row(const struct archive *archive, const struct archive_file *file,
                        struct store_batch *batch);
int archive_remove(const struct archive *archive, const struct archive_file *file);

/*
 * Looks whether the files are those that the log says: rows without a gap between the two marks,
 * a file of the right size for each, the newest as it was written. 0, ARCHIVE_E_DAMAGED, negative.
 */
int archive_check(const struct archive *archive, const struct rlog_mark *forgotten,
                  const struct rlog_mark *trimmed, struct flz_msg *msg);

/* Removes what a crash left: half-written files, forgotten ones, and those whose segments are all
 * still in the log. Others that have no row are left alone: they may be of a later time than a
 * restored store. */
void archive_sweep(const struct archive *archive, const struct rlog_bounds *bounds);
