#include "common/base/map.h"

#include "common/base/buf.h"
#include "common/base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_DELETED };

struct flz_map_slot {
    struct flz_id id;
    uint32_t value;
    uint8_t state;
};

void flz_map_deinit(struct flz_map *map)
{
    free(map->slots);
    *map = FLZ_MAP_NULL;
}

static uint64_t mix(struct flz_id id)
{
    /* Ids are digests, except those made of small numbers: a finalizer spreads both. */
    uint64_t h = flz_be64(id.b) ^ (flz_be64(id.b + 8) * 0x9e3779b97f4a7c15u);
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static struct flz_map_slot *find(const struct flz_map *map, struct flz_id id)
{
    if (map->size == 0)
        return NULL;
    for (size_t i = mix(id);; i++) {
        struct flz_map_slot *slot = &map->slots[i & (map->size - 1)];
        if (slot->state == SLOT_FREE)
            return NULL;
        if (slot->state == SLOT_LIVE && flz_id_equal(slot->id, id))
            return slot;
    }
}

static void place(struct flz_map *map, struct flz_id id, uint32_t value)
{
    size_t i = mix(id);
    while (map->slots[i & (map->size - 1)].state == SLOT_LIVE)
        i++;
    struct flz_map_slot *slot = &map->slots[i & (map->size - 1)];
    map->used += slot->state == SLOT_FREE;
    map->count++;
    *slot = (struct flz_map_slot){.id = id, .value = value, .state = SLOT_LIVE};
}

static int rehash(struct flz_map *map)
{
    size_t size = 16;
    while (size < (map->count + 1) * 2)
        size *= 2;
    struct flz_map bigger = {.slots = calloc(size, sizeof *bigger.slots), .size = size};
    if (!bigger.slots)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < map->size; i++)
        if (map->slots[i].state == SLOT_LIVE)
            place(&bigger, map->slots[i].id, map->slots[i].value);
    flz_map_deinit(map);
    *map = bigger;
    return 0;
}

int flz_map_set(struct flz_map *map, struct flz_id id, uint32_t value)
{
    struct flz_map_slot *slot = find(map, id);
    if (slot) {
        slot->value = value;
        return 0;
    }
    if ((map->used + 1) * 4 > map->size * 3) {
        int r = rehash(map);
        if (r < 0)
            return r;
    }
    place(map, id, value);
    return 0;
}

uint32_t flz_map_get(const struct flz_map *map, struct flz_id id)
{
    const struct flz_map_slot *slot = find(map, id);
    return slot ? slot->value : FLZ_MAP_NONE;
}

void flz_map_remove(struct flz_map *map, struct flz_id id)
{
    struct flz_map_slot *slot = find(map, id);
    if (!slot)
        return;
    slot->state = SLOT_DELETED;
    map->count--;
}

struct flz_id flz_id_of_u64(uint64_t v)
{
    struct flz_id id = FLZ_ID_NULL;
    flz_put_be64(id.b + 8, v);
    return id;
}
