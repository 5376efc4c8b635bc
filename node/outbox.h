/*
 * The outbox: what the node reports, as a dense sequence from 1 within the journal's incarnation.
 * A report is in the journal before it is sent, sent until it is acknowledged, and kept
 * OUTBOX_KEEP_MS after that, so that a coordinator restored from a backup can be told again.
 */
#pragma once

#include "node/journal.h"
#include "proto/vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_KEEP_MS (30 * 24 * 3600000LL) /* network time */
#define OUTBOX_FRAMES_MAX 4                  /* frames sent and not yet acknowledged */
#define OUTBOX_PENDING_MAX 50000 /* reports not acknowledged: no credit is given beyond */

struct outbox;

/* Loads the unacknowledged reports. `on_ready` comes when new ones have become durable. */
int outbox_open(struct journal *journal, void (*on_ready)(void *data), void *data,
                struct outbox **ret_outbox, struct flz_msg *msg);
struct outbox *outbox_free(struct outbox *outbox);

/* Gives the report the next seq and journals it, in one group with what was gathered before. The
 * seq is written to report->seq. 0 or -ENOMEM. */
int outbox_add(struct outbox *outbox, struct flz_report *report);

uint64_t outbox_newest(const struct outbox *outbox); /* seq of the newest written; 0: none */
uint64_t outbox_acked(const struct outbox *outbox);
/* The oldest one that can still be handed in, or the next to be written; 0: it cannot be read. */
uint64_t outbox_first(const struct outbox *outbox);
size_t outbox_pending(const struct outbox *outbox);
size_t outbox_in_flight(const struct outbox *outbox); /* frames sent and not acknowledged */

/* A new connection: nothing is in flight any more; go on from `acked` + 1, even where that lies
 * before what was acknowledged earlier (kept reports are read again). 0 or negative. */
int outbox_rewind(struct outbox *outbox, uint64_t acked);

/* The next reports to send, at most FLZ_FRAME_REPORTS_MAX and about FLZ_FRAME_SIZE_MAX / 2 bytes;
 * 0 when there are none or OUTBOX_FRAMES_MAX frames are out. Borrowed until the next call. */
size_t outbox_next(struct outbox *outbox, const struct flz_report **ret_reports);

/* Cumulative. An ack beyond what was written is ignored and returns -EPROTO. */
int outbox_ack(struct outbox *outbox, uint64_t seq);

/* Forgets acknowledged reports whose time has passed. */
void outbox_prune(struct outbox *outbox, int64_t network_now);
