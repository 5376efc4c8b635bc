#include "coordinator/core/domain.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint32_t smaller(uint32_t a, uint64_t b)
{
    return a < b ? a : (uint32_t)b;
}

uint64_t domain_limit(const struct domain_level *level, const struct policy *policy)
{
    uint64_t all = level->sent + level->declared;
    uint64_t grown = all + larger(all * (uint64_t)policy->growth_percent / 100, 1);
    uint64_t most = larger((uint64_t)policy->domain_start, grown);
    return most > level->declared ? most - level->declared : 0;
}

static uint64_t left(const struct domain_level *level, const struct policy *policy)
{
    uint64_t limit = domain_limit(level, policy);
    return limit > level->planned ? limit - level->planned : 0;
}

static void give(struct domain_share *share, struct domain_level *level, uint32_t more)
{
    share->given += more;
    level->planned += more;
}

static void keep(struct domain_share *share, struct domain_level *level)
{
    uint32_t kept = smaller(share->quota, share->level);
    give(share, level, kept > share->promised ? kept : share->promised);
    level->starts += share->level == 0 && share->promised > 0;
}

static void grow(struct domain_share *share, struct domain_level *level,
                 const struct policy *policy)
{
    if (share->given > 0)
        give(share, level, smaller(share->quota - share->given, left(level, policy)));
}

static void start(struct domain_share *share, struct domain_level *level,
                  const struct policy *policy)
{
    if (share->given > 0 || level->starts >= (uint64_t)policy->domain_starts)
        return;
    give(share, level, smaller(share->quota, left(level, policy)));
    level->starts += share->given > 0;
}

void domain_divide(struct domain_share *shares, size_t count, struct domain_level *levels,
                   const struct policy *policy)
{
    for (size_t i = 0; i < count; i++)
        keep(&shares[i], &levels[shares[i].domain]);
    for (size_t i = 0; i < count; i++)
        grow(&shares[i], &levels[shares[i].domain], policy);
    for (size_t i = 0; i < count; i++)
        start(&shares[i], &levels[shares[i].domain], policy);
}
