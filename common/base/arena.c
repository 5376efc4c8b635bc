#include "common/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 8192

struct flz_arena_chunk {
    struct flz_arena_chunk *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) uint8_t data[];
};

void flz_arena_deinit(struct flz_arena *arena)
{
    while (arena->chunks) {
        struct flz_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}

static struct flz_arena_chunk *add_chunk(struct flz_arena *arena, size_t n)
{
    size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;
    struct flz_arena_chunk *chunk = calloc(1, sizeof *chunk + size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *flz_arena_alloc(struct flz_arena *arena, size_t n)
{
    if (n > SIZE_MAX / 4)
        return NULL;
    n = (n + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    struct flz_arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < n)
        chunk = add_chunk(arena, n);
    if (!chunk)
        return NULL;
    void *p = chunk->data + chunk->used;
    chunk->used += n;
    return p;
}

struct flz_view flz_arena_copy(struct flz_arena *arena, struct flz_view view)
{
    uint8_t *data = view.len > 0 ? flz_arena_alloc(arena, view.len) : NULL;
    if (!data)
        return FLZ_VIEW_NULL;
    memcpy(data, view.data, view.len);
    return (struct flz_view){.data = data, .len = view.len};
}
