/*
 * A hash map from a 16-byte id to a u32 (a dense handle or an index). Open addressing; never
 * iterated, so its order can decide nothing. Numbers are stored under flz_id_of_u64().
 */
#pragma once

#include "common/base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLZ_MAP_NONE UINT32_MAX

struct flz_map {
    struct flz_map_slot *slots; /* owned */
    size_t size;                /* a power of two, or 0 */
    size_t used;                /* live and deleted slots */
    size_t count;               /* live entries */
};

#define FLZ_MAP_NULL ((struct flz_map){.slots = NULL})

void flz_map_deinit(struct flz_map *map);

/* Sets id → value (value < FLZ_MAP_NONE), replacing an older value. 0 or -ENOMEM (unchanged). */
int flz_map_set(struct flz_map *map, struct flz_id id, uint32_t value);

/* The value, or FLZ_MAP_NONE. */
uint32_t flz_map_get(const struct flz_map *map, struct flz_id id);

/* Removes the entry if there is one. */
void flz_map_remove(struct flz_map *map, struct flz_id id);

struct flz_id flz_id_of_u64(uint64_t v);
