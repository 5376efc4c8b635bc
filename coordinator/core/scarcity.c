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
static uint64_t inbound_of(const struct seats *seats, uint32_t account)
{
    const struct plan_account *a = &seats->input->accounts[account];
    for (int day = 0; day < PLAN_DAYS; day++)
        if (a->window_end[day] > a->window_start[day])
            return seats->seats[account].inbound[day];
    return 0;
}

static void add(struct sums *sums, const struct seats *seats, uint32_t account)
{
    sums->sends += seats->seats[account].slots_count;
    sums->receives += inbound_of(seats, account);
}

/* One and a half times what it may receive, or more, is plenty; nothing at all is SCARCITY_MAX. */
static uint32_t permille_of(uint64_t others_send, uint64_t receives)
{
    uint64_t plenty = receives * 3 / 2;
    if (others_send >= plenty)
        return 0;
    return (uint32_t)(SCARCITY_MAX - others_send * SCARCITY_MAX / plenty);
}

static int take_order(struct scarcity *scarcity, const struct pool *pool,
                      const struct seats *seats, enum pool_order_kind kind)
{
    const struct pool_order *order = &pool->orders[kind];
    size_t n = seats->input->accounts_count;
    _cleanup_(flz_freep) struct sums *groups = calloc(order->groups + 1, sizeof *groups);
    _cleanup_(flz_freep) struct sums *buckets = calloc(pool->buckets + (size_t)1, sizeof *buckets);
    if (!groups || !buckets)
        return flz_fail(-ENOMEM);
    for (uint32_t i = 0; i < n; i++) {
        add(&groups[order->group[i]], seats, i);
        add(&buckets[pool->bucket[i]], seats, i);
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct sums *group = &groups[order->group[i]];
        uint32_t permille =
            permille_of(buckets[pool->bucket[i]].sends - group->sends, group->receives);
        if (permille > scarcity->permille[i])
            scarcity->permille[i] = permille;
        scarcity->any = scarcity->any || permille > 0;
    }
    return 0;
}

int scarcity_init(struct scarcity *scarcity, const struct pool *pool, const struct seats *seats)
{
    *scarcity = SCARCITY_NULL;
    scarcity->permille = calloc(seats->input->accounts_count + 1, sizeof *scarcity->permille);
    if (!scarcity->permille)
        return flz_fail(-ENOMEM);
    int r = take_order(scarcity, pool, seats, POOL_BY_DOMAIN);
    if (r == 0)
        r = take_order(scarcity, pool, seats, POOL_BY_OWNER);
    if (r < 0)
        scarcity_deinit(scarcity);
    return r;
}

void scarcity_deinit(struct scarcity *scarcity)
{
    free(scarcity->permille);
    *scarcity = SCARCITY_NULL;
}
