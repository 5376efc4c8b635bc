#include "coordinator/sim/crowd.h"

#include "common/base/rng.h"

#include <errno.h>
#include <stdlib.h>

/* An owner, or a domain, while its accounts are drawn. */
struct maker {
    const struct scenario *scenario;
    struct flz_rng rng;
    struct crowd *crowd;
    struct crowd_account next; /* what the next account has from its owner and domain */
    uint64_t in_domain;        /* accounts still to come in this domain */
    uint64_t of_owner;         /* domains still to come of this owner */
};

static uint8_t pick(struct maker *m, const struct scenario_shares *shares)
{
    return (uint8_t)scenario_pick(shares, flz_rng_below(&m->rng, scenario_sum(shares)));
}

static uint8_t pick_provider(struct maker *m)
{
    const struct scenario *s = m->scenario;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->providers_count; i++)
        sum += (uint64_t)s->providers[i].weight;
    uint64_t lot = flz_rng_below(&m->rng, sum);
    uint8_t i = 0;
    while (i + 1u < s->providers_count && lot >= (uint64_t)s->providers[i].weight)
        lot -= (uint64_t)s->providers[i++].weight;
    return i;
}

/* 1 to twice the mean, less 1. */
static uint64_t around(struct maker *m, int64_t mean)
{
    return 1 + flz_rng_below(&m->rng, (uint64_t)mean * 2 - 1);
}

static uint32_t join_day(const struct scenario *s, uint32_t place, uint32_t count)
{
    uint64_t first = (uint64_t)count * (uint64_t)s->first_day_percent / 100;
    if (place < first || first >= count)
        return 0;
    return 1 + (uint32_t)((place - first) * (uint64_t)s->growth_days / (count - first));
}

static void new_owner(struct maker *m, uint32_t place)
{
    const struct scenario *s = m->scenario;
    m->next.owner = m->crowd->owners++;
    m->next.node = (uint32_t)flz_rng_below(&m->rng, (uint64_t)s->nodes);
    m->next.language = pick(m, &s->languages);
    m->next.zone = pick(m, &s->zones);
    m->next.joins = join_day(s, place, m->crowd->count);
    m->of_owner = around(m, s->domains_per_owner);
}

static void new_domain(struct maker *m)
{
    m->next.domain = m->crowd->domains++;
    m->next.provider = pick_provider(m);
    m->in_domain = around(m, m->scenario->accounts_per_domain);
}

static void add_account(struct maker *m, uint32_t place)
{
    struct crowd_account *account = &m->crowd->accounts[place];
    *account = m->next;
    account->week = pick(m, &m->scenario->weeks);
    account->intensity = pick(m, &m->scenario->intensities);
    account->profile = pick(m, &m->scenario->profiles);
}

/* [from, end): many owners' accounts in one domain. */
static void make_big_domain(struct maker *m, uint32_t from, uint32_t end)
{
    if (from < end)
        new_domain(m);
    for (uint32_t place = from; place < end; place++) {
        new_owner(m, place);
        add_account(m, place);
    }
}

/* `alone`: all of one owner. */
static void make_owners(struct maker *m, uint32_t from, uint32_t end, bool alone)
{
    m->in_domain = m->of_owner = 0;
    for (uint32_t place = from; place < end; place++) {
        if (m->in_domain == 0 && m->of_owner == 0 && (!alone || place == from))
            new_owner(m, place);
        if (m->in_domain == 0) {
            new_domain(m);
            m->of_owner -= m->of_owner > 0;
        }
        add_account(m, place);
        m->in_domain--;
    }
}

int crowd_make(const struct scenario *scenario, uint32_t count, uint64_t seed,
               struct crowd *ret_crowd)
{
    struct crowd crowd = {.accounts = calloc(count + 1u, sizeof *crowd.accounts), .count = count};
    if (!crowd.accounts)
        return flz_fail(-ENOMEM);
    struct maker m = {.scenario = scenario, .crowd = &crowd};
    flz_rng_init(&m.rng, flz_view_str("fluenzr/crowd/v1"), seed);
    uint32_t owned = (uint32_t)((uint64_t)count * (uint64_t)scenario->big_owner_percent / 100);
    uint32_t big = (uint32_t)((uint64_t)count * (uint64_t)scenario->big_domain_percent / 100);
    make_owners(&m, 0, owned, true);
    make_big_domain(&m, owned, owned + big);
    make_owners(&m, owned + big, count, false);
    *ret_crowd = crowd;
    return 0;
}

void crowd_deinit(struct crowd *crowd)
{
    free(crowd->accounts);
    *crowd = CROWD_NULL;
}
