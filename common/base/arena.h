/*
 * An arena: many small allocations freed at once. What a decoder hands out lives in one.
 */
#pragma once

#include "common/base/buf.h"

#include <stddef.h>

struct flz_arena {
    struct flz_arena_chunk *chunks; /* owned, newest first */
};

#define FLZ_ARENA_NULL ((struct flz_arena){.chunks = NULL})

/* Frees everything handed out. */
void flz_arena_deinit(struct flz_arena *arena);

/* Zeroed memory, aligned for any type, valid until deinit. NULL when the allocation is refused. */
void *flz_arena_alloc(struct flz_arena *arena, size_t n);

/* A copy of `view` in the arena; a null view when `view` is empty or memory is refused. */
struct flz_view flz_arena_copy(struct flz_arena *arena, struct flz_view view);
