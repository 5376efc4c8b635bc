/*
 * A priority queue of (time, item): what is due first comes out first; equal times come out in
 * the order of their items, so the order is the same on every machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flz_heap_entry {
    int64_t at;
    uint64_t item;
};

struct flz_heap {
    struct flz_heap_entry *entries; /* owned */
    size_t count;
    size_t capacity;
};

#define FLZ_HEAP_NULL ((struct flz_heap){.entries = NULL})

void flz_heap_deinit(struct flz_heap *heap);

/* 0 or -ENOMEM (unchanged). The same item may stand in it several times. */
int flz_heap_push(struct flz_heap *heap, int64_t at, uint64_t item);

/* The first entry without taking it; false when empty. */
bool flz_heap_peek(const struct flz_heap *heap, struct flz_heap_entry *ret_entry);

/* Takes the first entry when it is due (at <= now); false when none is. */
bool flz_heap_pop_due(struct flz_heap *heap, int64_t now, struct flz_heap_entry *ret_entry);
