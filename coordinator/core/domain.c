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
    uint64_t beside = grown > level->declared ? grown - level->declared : 0;
    return larger((uint64_t)policy->domain_start, beside);
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
    if (share->given > 0 || share->quota == 0)
        return;
    if (level->starts < (uint64_t)policy->domain_starts)
        give(share, level, smaller(share->quota, left(level, policy)));
    level->starts += share->given > 0;
    if (share->given == 0)
        share->waits = 1 + level->waiting++ / (uint32_t)policy->domain_starts;
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
    for (size_t i = 0; i < count; i++)
        if (shares[i].given < shares[i].quota && shares[i].waits == 0)
            shares[i].waits = 1;
}

/* Cuts [0, room) into `left` parts, as even as can be: how many of them end below `at`. */
static uint64_t parts_below(const struct domain_inbound *sum, uint64_t at, uint64_t left,
                            uint32_t turn)
{
    uint64_t phase = turn * UINT64_C(2654435761) % sum->room;
    return (at * left + phase) / sum->room;
}

void domain_receive(struct domain_mailbox *mailboxes, size_t count, struct domain_inbound *sums,
                    uint32_t turn, const struct policy *policy)
{
    for (size_t i = 0; i < count; i++)
        sums[mailboxes[i].domain].room += mailboxes[i].room;
    for (size_t i = 0; i < count; i++) {
        struct domain_mailbox *mailbox = &mailboxes[i];
        struct domain_inbound *sum = &sums[mailbox->domain];
        uint64_t most = (uint64_t)policy->domain_inbound;
        uint64_t left = most > sum->taken ? most - sum->taken : 0;
        if (sum->room <= left)
            continue;
        uint64_t end = sum->given + mailbox->room;
        mailbox->room = (uint32_t)(parts_below(sum, end, left, turn) -
                                   parts_below(sum, sum->given, left, turn));
        sum->given = end;
    }
}
