/*
 * A segment of the log: the events of one group commit, chained to the segment before by its
 * digest. Big-endian, version 2:
 *
 *     "FZL2" · seq u64 · epoch u64 · generation 16 · first event u64 · events u32
 *     · network time i64 · nonce 16 · previous digest 32 · root 32
 *     · { length u32 · bytes } per event · digest 32
 *
 * `digest` is BLAKE2b-256 of the header, which is all before the events: these are covered by the
 * root in it, so that headers alone show how segments follow each other. Of version 1, "FZL1",
 * which is read and not written any more, it is the digest of all bytes before it. `root` is the
 * Merkle root over the events (leaf: BLAKE2b-256 of 0x00 ‖ event, node: of 0x01 ‖ left ‖ right, an
 * odd one moves up), so that one event can be shown to be in the log without the others.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_HEADER_LEN 136
#define SEGMENT_EVENTS_MAX 65536
#define SEGMENT_SIZE_MAX (16u << 20)
#define SEGMENT_PATH_MAX 20 /* digests in a proof: log2 of the events, and some */

struct segment {
    uint64_t seq; /* dense from 1 */
    uint64_t epoch;
    struct flz_id generation;
    uint64_t first_event; /* dense from 1 over the whole log */
    uint32_t count;
    int64_t at;             /* network time of its newest event */
    struct flz_id nonce;    /* of its writer: tells one's own append after an unknown outcome */
    struct flz_digest previous; /* digest of the segment before; zero for the first */
    struct flz_digest root;
    struct flz_digest digest;
};

/* A segment being gathered. All zero is empty. */
struct segment_builder {
    struct flz_buf events; /* { length · bytes } */
    uint32_t count;
    struct flz_digest *leaves; /* owned */
    size_t leaves_capacity;
    bool failed;
};

void segment_builder_deinit(struct segment_builder *builder);
void segment_builder_reset(struct segment_builder *builder);
void segment_add(struct segment_builder *builder, struct flz_view event);

/* Writes the segment's bytes: `header` names seq, epoch, generation, first_event, at, nonce and
 * previous; count, root and digest are filled in. 0, -ENOMEM, -EMSGSIZE. */
int segment_finish(const struct segment_builder *builder, struct segment *header,
                   struct flz_buf *ret_bytes);

/* Reads and checks bytes: lengths, count, root and digest. 0 or -EBADMSG. */
int segment_parse(struct flz_view bytes, struct segment *ret_segment);

/* The header of parsed bytes; empty for version 1, whose header proves nothing. Borrows `bytes`. */
struct flz_view segment_header(struct flz_view bytes);
/* Reads a header alone; its digest follows from it. 0 or -EBADMSG. */
int segment_parse_header(struct flz_view header, struct segment *ret_segment);

/* Each event of parsed bytes, in order, until on_event answers other than 0. */
int segment_each(struct flz_view bytes, int (*on_event)(struct flz_view event, void *data),
                 void *data);

/* A proof that event number `index` (0 …) is in the segment: the digests beside its way to the
 * root. */
struct segment_proof {
    uint32_t index;
    uint32_t count;
    uint32_t path_count;
    struct flz_digest path[SEGMENT_PATH_MAX];
};

/* 0, -ERANGE (no such event) or -EBADMSG. */
int segment_prove(struct flz_view bytes, uint32_t index, struct segment_proof *ret_proof);
/* True when the proof leads from the event to the root. The place of the event is proved only when
 * `count` is the segment's own, which the caller compares. */
bool segment_check_proof(struct flz_view event, const struct segment_proof *proof,
                         const struct flz_digest *root);
