/*
 * The archive: segments that were trimmed from the log, in files of { length u32 · segment } named
 * by the first and last of them. A crash between the writing and the trimming leaves two files that
 * begin with the same segment; a reader takes each segment once.
 */
#pragma once

#include "coordinator/rlog/rlog.h"

#include <stdint.h>

#define ARCHIVE_FILE_MAX (64u << 20)

/* Durably. 0 or -errno. */
int archive_write(const char *folder, uint64_t first, uint64_t last, struct flz_view bytes,
                  struct flz_msg *msg);

/*
 * Each archived segment from `from` on, in order, until on_segment answers other than 0. Segments
 * are dense and chained. 0 (also for a folder that is missing), that answer, -EUCLEAN: msg names
 * file and segment; -errno.
 */
int archive_each(const char *folder, uint64_t from, rlog_on_segment on_segment, void *data,
                 struct flz_msg *msg);
