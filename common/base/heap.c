#include "common/base/heap.h"

#include "common/base/buf.h"

#include <stdlib.h>

void flz_heap_deinit(struct flz_heap *heap)
{
    free(heap->entries);
    *heap = FLZ_HEAP_NULL;
}

static bool before(struct flz_heap_entry a, struct flz_heap_entry b)
{
    return a.at != b.at ? a.at < b.at : a.item < b.item;
}

int flz_heap_push(struct flz_heap *heap, int64_t at, uint64_t item)
{
    int r = flz_grow((void **)&heap->entries, &heap->capacity, heap->count + 1,
                     sizeof *heap->entries);
    if (r < 0)
        return r;

    struct flz_heap_entry entry = {.at = at, .item = item};
    size_t i = heap->count++;
    while (i > 0 && before(entry, heap->entries[(i - 1) / 2])) {
        heap->entries[i] = heap->entries[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->entries[i] = entry;
    return 0;
}

bool flz_heap_peek(const struct flz_heap *heap, struct flz_heap_entry *ret_entry)
{
    if (heap->count == 0)
        return false;
    *ret_entry = heap->entries[0];
    return true;
}

bool flz_heap_pop_due(struct flz_heap *heap, int64_t now, struct flz_heap_entry *ret_entry)
{
    if (heap->count == 0 || heap->entries[0].at > now)
        return false;
    *ret_entry = heap->entries[0];

    struct flz_heap_entry last = heap->entries[--heap->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap->entries[child + 1], heap->entries[child]))
            child++;
        if (!before(heap->entries[child], last))
            break;
        heap->entries[i] = heap->entries[child];
        i = child;
    }
    heap->entries[i] = last;
    return true;
}
