/*
 * Makes segments that follow each other, for tests of the log.
 */
#pragma once

#include "coordinator/rlog/rlog.h"

#include <stdint.h>

struct chain {
    struct rlog_bounds bounds; /* what the next segment follows */
    uint64_t nonce;            /* of the newest made */
    struct segment header;     /* of the newest made */
    struct flz_buf bytes;      /* owned: of the newest made */
};

void chain_deinit(struct chain *chain);

/* Makes the segment that follows chain->bounds, with `count` events of `size` bytes, whose content
 * follows from their numbers. The view lives until the next call. */
struct flz_view chain_make(struct chain *chain, uint32_t count, size_t size);

/* The segment made last was committed: the next one follows it. */
void chain_advance(struct chain *chain);
