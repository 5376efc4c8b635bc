#include "coordinator/core/weigh.h"

#include "common/base/time.h"
#include "coordinator/core/scarcity.h"

#define WEIGHT_FULLNESS 1000
#define WEIGHT_SCARCITY 4000 /* before all else */
#define WEIGHT_TURN 150
#define WEIGHT_WAITED_DAY 15
#define WAITED_DAYS_MAX 14 /* never written to counts as such */
#define WEIGHT_NODE 300
#define WEIGHT_DOMAIN 120
#define WEIGHT_PROVIDER 400
#define WEIGHT_HOUR 20
#define HOURS_MAX 24
#define WEIGHT_TIER 250
#define TIERS_MAX 4
#define WEIGHT_CHANCE 60

static uint64_t domain_bit(const struct seat *seat)
{
    return UINT64_C(1) << (seat->domain * UINT32_C(0x9e3779b1) >> 26);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t weigh_fullness(const struct weigh_case *c)
{
    int most = c->to->inbound_most[c->open_day];
    return WEIGHT_FULLNESS * (most - c->to->inbound[c->open_day]) / most;
}

static int64_t weigh_history(const struct weigh_case *c)
{
    const struct pair_fact *fact = &c->fact;
    int64_t waited = fact->wrote == PAIR_NEVER ? WAITED_DAYS_MAX : c->date - fact->wrote;
    int64_t weight = -WEIGHT_WAITED_DAY * least(waited, WAITED_DAYS_MAX);
    if (fact->answered != PAIR_NEVER && fact->answered > fact->wrote)
        weight -= WEIGHT_TURN;
    return weight;
}

/* The share of others with and without this one, held against floor and ceiling. */
static int64_t weigh_provider(const struct weigh_case *c)
{
    int64_t firsts = c->habit->firsts + 1;
    int64_t others = c->habit->others;
    if (c->from->provider == c->to->provider)
        return others * 100 < c->policy->provider_other_floor * firsts ? WEIGHT_PROVIDER : 0;
    return (others + 1) * 100 > c->policy->provider_other_ceiling * firsts ? WEIGHT_PROVIDER : 0;
}

static int64_t tiers_apart(const struct weigh_case *c)
{
    int apart = c->from->tier - c->to->tier;
    return least(apart < 0 ? -apart : apart, TIERS_MAX);
}

int64_t weigh(const struct weigh_case *c, struct flz_rng *rng)
{
    int64_t weight = weigh_fullness(c) + weigh_history(c) + weigh_provider(c);
    weight -= WEIGHT_SCARCITY * c->to->scarcity / SCARCITY_MAX;
    if (c->from->node == c->to->node)
        weight += WEIGHT_NODE;
    if (c->habit->domains & domain_bit(c->to))
        weight += WEIGHT_DOMAIN;
    weight += WEIGHT_HOUR * least(c->open_wait_ms / FLZ_HOUR_MS, HOURS_MAX);
    weight += WEIGHT_TIER * tiers_apart(c);
    return weight + (int64_t)flz_rng_below(rng, WEIGHT_CHANCE);
}

void weigh_note(struct weigh_habit *habit, const struct seat *from, const struct seat *to)
{
    habit->domains |= domain_bit(to);
    habit->firsts++;
    habit->others += from->provider != to->provider;
}
