/*
 * A proof that an event is in the log, which anybody can check without it: the event's bytes, its
 * way to the root of its segment, and the headers from that segment to a later one, each chained to
 * the one before. Whoever knows the digest of the last header, or believes who states it, knows
 * that the event is in the log, at this place, unchanged.
 */
#pragma once

#include "coordinator/rlog/segment.h"

#include <stdbool.h>
#include <stdint.h>

#define PROOF_HEADERS_MAX 1000 /* in one proof: what they take stays below a message's size */
#define PROOF_EVENT_MAX (256u << 10)

struct proof {
    uint64_t event; /* its number in the log */
    struct flz_buf bytes; /* of the event; owned */
    struct segment_proof path;
    struct flz_buf headers; /* SEGMENT_HEADER_LEN bytes each; owned */
};

void proof_deinit(struct proof *proof);
size_t proof_headers_count(const struct proof *proof);

/* NULL, and what the last header says; or why it proves nothing, in words. */
const char *proof_check(const struct proof *proof, struct segment *ret_last);
