#include "coordinator/core/scarcity.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"

#include <errno.h>
#include <stdlib.h>

struct sums {
    uint64_t sends;
    uint64_t receives;
};

/* What an account may receive on the first day on which it looks. */
static uint64_t inbound_of(const struct seats *seats, uint32_t place)
{
    const struct seat *seat = &seats->seats[place];
    const struct seat_hours *hours = &seats->hours[seat->hours];
    for (int day = 0; day < PLAN_DAYS; day++)
        if (hours->first[day] <= hours->last[day])
            return seat->inbound[day];
    return 0;
}

static void add(struct sums *sums, const struct seats *seats, uint32_t place)
{
    sums->sends += seats->seats[place].slots_count;
    sums->receives += inbound_of(seats, place);
}

/* One and a half times what it may receive, or more, is plenty; nothing at all is SCARCITY_MAX. */
static uint16_t permille_of(uint64_t others_send, uint64_t receives)
{
    uint64_t plenty = receives * 3 / 2;
    if (others_send >= plenty)
        return 0;
    return (uint16_t)(SCARCITY_MAX - others_send * SCARCITY_MAX / plenty);
}

static int take_order(struct seats *seats, enum pool_order_kind kind, bool *any)
{
    const struct pool *pool = seats->pool;
    const struct pool_order *order = &pool->orders[kind];
    _cleanup_(flz_freep) struct sums *groups = calloc(order->groups + (size_t)1, sizeof *groups);
    _cleanup_(flz_freep) struct sums *buckets = calloc(pool->buckets + (size_t)1, sizeof *buckets);
    if (!groups || !buckets)
        return flz_fail(-ENOMEM);
    for (uint32_t place = 0; place < pool->count; place++) {
        add(&groups[order->group[place]], seats, place);
        add(&buckets[pool->bucket[place]], seats, place);
    }
    for (uint32_t place = 0; place < pool->count; place++) {
        const struct sums *group = &groups[order->group[place]];
        uint64_t others = buckets[pool->bucket[place]].sends - group->sends;
        uint16_t permille = permille_of(others, group->receives);
        if (permille > seats->seats[place].scarcity)
            seats->seats[place].scarcity = permille;
        *any = *any || permille > 0;
    }
    return 0;
}

int scarcity_set(struct seats *seats, bool *ret_any)
{
    bool any = false;
    int r = take_order(seats, POOL_BY_DOMAIN, &any);
    if (r == 0)
        r = take_order(seats, POOL_BY_OWNER, &any);
    if (r == 0)
        *ret_any = any;
    return r;
}
