#include "node/core/meter.h"

#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

static const int64_t slot_ms[METER_STRETCHES] = {
    [METER_MINUTE] = 60000 / (METER_SLOTS - 1),
    [METER_HOUR] = 3600000 / (METER_SLOTS - 1),
    [METER_DAY] = 86400000 / (METER_SLOTS - 1),
};

static void count_in(struct meter_ring *ring, uint32_t n, int64_t slot)
{
    if (slot - ring->newest >= METER_SLOTS)
        memset(ring->counts, 0, sizeof ring->counts);
    for (int64_t s = ring->newest + 1; s <= slot && s < ring->newest + METER_SLOTS; s++)
        ring->counts[s % METER_SLOTS] = 0;
    if (slot > ring->newest)
        ring->newest = slot;
    uint32_t *count = &ring->counts[ring->newest % METER_SLOTS];
    *count = n < UINT32_MAX - *count ? *count + n : UINT32_MAX;
}

void meter_count(struct meter *meter, uint32_t n, int64_t now)
{
    for (int i = 0; i < METER_STRETCHES; i++)
        count_in(&meter->rings[i], n, now / slot_ms[i]);
}

void meter_count_day(struct meter *meter, uint32_t n, int64_t now)
{
    count_in(&meter->rings[METER_DAY], n, now / slot_ms[METER_DAY]);
}

/* The first slot in which the counts of those before it, and its own, are fewer than `most`. */
static int64_t free_slot(const struct meter_ring *ring, uint32_t most, int64_t slot)
{
    uint64_t sum = 0;
    int64_t oldest = ring->newest - METER_SLOTS + 1;
    if (slot < ring->newest)
        slot = ring->newest;
    for (int64_t s = slot - METER_SLOTS + 1; s <= ring->newest; s++)
        sum += s >= oldest && s >= 0 ? ring->counts[s % METER_SLOTS] : 0;
    while (sum >= most) {
        int64_t leaves = slot - METER_SLOTS + 1;
        sum -= leaves >= oldest && leaves >= 0 ? ring->counts[leaves % METER_SLOTS] : 0;
        slot++;
    }
    return slot;
}

int64_t meter_next(const struct meter *meter, const struct meter_limits *limits, int64_t now)
{
    int64_t next = now;
    for (int i = 0; i < METER_STRETCHES; i++) {
        if (limits->most[i] == 0)
            continue;
        int64_t slot = free_slot(&meter->rings[i], limits->most[i], now / slot_ms[i]);
        if (slot * slot_ms[i] > next)
            next = slot * slot_ms[i];
    }
    return next;
}

void meters_deinit(struct meters *meters)
{
    for (size_t i = 0; i < meters->count; i++)
        free(meters->items[i]);
    free(meters->items);
    flz_map_deinit(&meters->by_key);
    *meters = (struct meters){.items = NULL};
}

struct meter *meters_find(struct meters *meters, struct flz_id key)
{
    uint32_t index = flz_map_get(&meters->by_key, key);
    if (index != FLZ_MAP_NONE)
        return meters->items[index];
    struct meter *meter = calloc(1, sizeof *meter);
    if (!meter ||
        flz_grow((void **)&meters->items, &meters->capacity, meters->count + 1,
                 sizeof(struct meter *)) < 0 ||
        flz_map_set(&meters->by_key, key, (uint32_t)meters->count) < 0) {
        free(meter);
        return NULL;
    }
    meters->items[meters->count++] = meter;
    return meter;
}
