/* The draw: from the copy alone, on whatever thread. */
#include "coordinator/core/planning_private.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "coordinator/core/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- The draw: what it needs beside the copy ---- */

struct draw {
    struct planning *p;
    struct plan_account *accounts; /* borrowed from the planning, as the packs are */
    struct plan_pack *packs;
    int64_t *busy_times;
    char (*languages)[8];
    uint32_t languages_count;
    struct flz_map groups; /* receivers by language, and by its owners and domains */
};

static void draw_deinit(struct draw *d)
{
    free(d->busy_times);
    free(d->languages);
    flz_map_deinit(&d->groups);
}

static uint32_t language_of(struct draw *d, const char *language)
{
    if (d->p->policy.cross_language)
        return 0;
    for (uint32_t i = 0; i < d->languages_count; i++)
        if (strncmp(d->languages[i], language, sizeof d->languages[i]) == 0)
            return i;
    memcpy(d->languages[d->languages_count], language, sizeof *d->languages);
    return d->languages_count++;
}

static int compare_candidate(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return (x->plan.handle > y->plan.handle) - (x->plan.handle < y->plan.handle);
}

/* In the order of handles, each once: the first that was given. */
static void sort_candidates(struct planning *p)
{
    size_t kept = 0;
    bool sorted = true;
    for (size_t i = 1; i < p->candidates_count && sorted; i++)
        sorted = p->candidates[i - 1].plan.handle < p->candidates[i].plan.handle;
    if (sorted)
        return;
    qsort(p->candidates, p->candidates_count, sizeof *p->candidates, compare_candidate);
    for (size_t i = 0; i < p->candidates_count; i++)
        if (kept == 0 || p->candidates[kept - 1].plan.handle != p->candidates[i].plan.handle)
            p->candidates[kept++] = p->candidates[i];
    p->candidates_count = kept;
}

/* ---- The pool ---- */
static struct flz_id group_key(uint32_t language, uint32_t owner, uint32_t domain)
{
    struct flz_id id = state_pair_key(owner, domain);
    flz_put_be32(id.b, language + 1);
    return id;
}

static uint32_t group(const struct draw *d, uint32_t language, uint32_t owner, uint32_t domain)
{
    uint32_t n = flz_map_get(&d->groups, group_key(language, owner, domain));
    return n == FLZ_MAP_NONE ? 0 : n;
}

static int group_add(struct draw *d, uint32_t language, uint32_t owner, uint32_t domain)
{
    return flz_map_set(&d->groups, group_key(language, owner, domain),
                       group(d, language, owner, domain) + 1);
}

static int count_groups(struct draw *d)
{
    int r = 0;
    for (size_t i = 0; i < d->p->candidates_count && r == 0; i++) {
        const struct plan_account *a = &d->accounts[i];
        if (!a->receives)
            continue;
        r = group_add(d, a->language, COORD_NONE, COORD_NONE);
        if (r == 0)
            r = group_add(d, a->language, a->owner, COORD_NONE);
        if (r == 0)
            r = group_add(d, a->language, COORD_NONE, a->domain);
        if (r == 0)
            r = group_add(d, a->language, a->owner, a->domain);
    }
    return r;
}

/* Receivers of its language that are neither of its owner nor of its domain. */
static uint32_t eligible(const struct draw *d, const struct plan_account *a)
{
    return group(d, a->language, COORD_NONE, COORD_NONE) -
           group(d, a->language, a->owner, COORD_NONE) -
           group(d, a->language, COORD_NONE, a->domain) +
           group(d, a->language, a->owner, a->domain);
}

/* The quota of the day; what earlier plans promised for it stands. */
static void set_quotas(struct draw *d)
{
    const struct policy *policy = &d->p->policy;
    for (size_t i = 0; i < d->p->candidates_count; i++) {
        struct plan_account *a = &d->accounts[i];
        struct candidate *c = &d->p->candidates[i];
        uint32_t partners = eligible(d, a);
        if (a->sends && partners == 0 && policy->same_owner_percent == 0)
            a->sends = false;
        if (a->sends) {
            uint32_t bound = partners > 0 ? plan_pool_max(policy, partners) : 1;
            uint32_t quota = ramp_quota(&c->ramp, &c->settings, policy, bound);
            uint32_t left = quota < c->health_cap ? quota : c->health_cap;
            a->quota[0] = left > a->reserved[0] ? left : a->reserved[0];
            c->held = quota > a->quota[0] ? quota - a->quota[0] : 0;
        }
    }
}

/* ---- The domain's own ramp ---- */

/* The level an account has come to, if that is not long ago. */
static uint32_t level_of(const struct candidate *c, int32_t date)
{
    return date - c->ramp.last_date <= DOMAIN_LEVEL_DAYS ? c->ramp.reference : 0;
}

static void add_levels(const struct draw *d, struct domain_level *levels)
{
    for (size_t i = 0; i < d->p->candidates_count; i++) {
        const struct plan_account *a = &d->accounts[i];
        const struct candidate *c = &d->p->candidates[i];
        struct domain_level *level = &levels[a->domain];
        level->sent += level_of(c, d->p->options.date);
        level->declared += c->volume;
        if (a->sends || !c->planned)
            continue;
        level->planned += a->quota[0];
        level->starts += c->ramp.reference == 0 && a->quota[0] > 0;
    }
}

static size_t domains_of(const struct draw *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->p->candidates_count; i++)
        n = d->accounts[i].domain >= n ? (size_t)d->accounts[i].domain + 1 : n;
    return n;
}

static int divide_domains(struct draw *d)
{
    struct planning *p = d->p;
    size_t count = 0;
    _cleanup_(flz_freep) struct domain_level *levels = calloc(domains_of(d) + 1, sizeof *levels);
    _cleanup_(flz_freep) struct domain_share *shares =
        calloc(p->candidates_count + 1, sizeof *shares);
    if (!levels || !shares)
        return flz_fail(-ENOMEM);
    add_levels(d, levels);
    for (size_t i = 0; i < p->candidates_count; i++) {
        const struct plan_account *a = &d->accounts[i];
        if (a->sends)
            shares[count++] = (struct domain_share){.domain = a->domain,
                                                    .level = p->candidates[i].ramp.reference,
                                                    .promised = a->reserved[0],
                                                    .quota = a->quota[0]};
    }
    domain_divide(shares, count, levels, &p->policy);
    const struct domain_share *share = shares;
    for (size_t i = 0; i < p->candidates_count; i++) {
        struct plan_account *a = &d->accounts[i];
        if (!a->sends)
            continue;
        p->candidates[i].cut = a->quota[0] - share->given;
        p->candidates[i].waits = share->waits;
        a->quota[0] = share++->given;
    }
    return 0;
}

/* ---- What may be received ---- */

static uint32_t minus(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0;
}

/* By its quota and the band of its phase, without what is expected already. */
static uint32_t inbound_room(const struct draw *d, size_t i, int day)
{
    const struct plan_account *a = &d->accounts[i];
    const struct candidate *c = &d->p->candidates[i];
    uint32_t most = ramp_inbound(&c->ramp, &c->settings, &d->p->policy, a->quota[day]);
    return a->receives ? minus(most, a->inbound_taken[day]) : 0;
}

static void set_room(const struct draw *d, struct plan_account *a, int day, uint32_t room)
{
    int64_t percent = d->p->policy.inbound_percent;
    if (day == 0)
        a->inbound_max = room;
    else
        a->inbound_taken[day] = minus((uint32_t)((int64_t)a->quota[day] * percent / 100), room);
}

/* On one of the plan's days, each account by its own dates. */
static void set_inbound_of(struct draw *d, int day, struct domain_mailbox *mailboxes,
                           struct domain_inbound *sums)
{
    size_t count = d->p->candidates_count;
    for (size_t i = 0; i < count; i++) {
        const struct plan_account *a = &d->accounts[i];
        mailboxes[i] =
            (struct domain_mailbox){.domain = a->domain, .room = inbound_room(d, i, day)};
        sums[a->domain].taken += a->inbound_taken[day];
    }
    domain_receive(mailboxes, count, sums, (uint32_t)(d->p->options.date + day), &d->p->policy);
    for (size_t i = 0; i < count; i++)
        set_room(d, &d->accounts[i], day, mailboxes[i].room);
}

static int set_inbound(struct draw *d)
{
    size_t domains = domains_of(d) + 1;
    _cleanup_(flz_freep) struct domain_mailbox *mailboxes =
        calloc(d->p->candidates_count + 1, sizeof *mailboxes);
    _cleanup_(flz_freep) struct domain_inbound *sums = calloc(domains, sizeof *sums);
    if (!mailboxes || !sums)
        return flz_fail(-ENOMEM);
    for (int day = 0; day < PLAN_DAYS; day++) {
        memset(sums, 0, domains * sizeof *sums);
        set_inbound_of(d, day, mailboxes, sums);
    }
    return 0;
}

/* ---- Busy times, contacts, packs ---- */

static int compare_busy(const void *a, const void *b)
{
    const struct busy *x = a;
    const struct busy *y = b;
    if (x->account != y->account)
        return x->account < y->account ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void set_busy(struct draw *d)
{
    const struct planning *p = d->p;
    size_t at = 0;
    for (size_t i = 0; i < p->candidates_count; i++) {
        struct plan_account *a = &d->accounts[i];
        while (at < p->busy_count && p->busy[at].account < a->handle)
            at++;
        a->busy = &d->busy_times[at];
        while (at < p->busy_count && p->busy[at].account == a->handle) {
            at++;
            a->busy_count++;
        }
    }
}

static int compare_contact(const void *a, const void *b)
{
    const struct plan_contact *x = a;
    const struct plan_contact *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static void set_packs(struct draw *d)
{
    for (size_t i = 0; i < d->p->options.packs_count; i++)
        d->packs[i] = (struct plan_pack){
            .digest = d->p->packs[i].digest,
            .language = language_of(d, d->p->packs[i].language),
            .scenarios = d->p->packs[i].scenarios,
            .turns = d->p->packs[i].turns,
        };
}

static int prepare(struct draw *d)
{
    struct planning *p = d->p;
    sort_candidates(p);
    d->accounts = p->accounts = calloc(p->candidates_count + 1, sizeof *d->accounts);
    d->packs = p->plan_packs = calloc(p->options.packs_count + 1, sizeof *d->packs);
    d->busy_times = calloc(p->busy_count + 1, sizeof *d->busy_times);
    d->languages = calloc(p->candidates_count + p->options.packs_count + 1, sizeof *d->languages);
    if (!d->accounts || !d->packs || !d->busy_times || !d->languages)
        return flz_fail(-ENOMEM);
    if (p->busy_count > 1)
        qsort(p->busy, p->busy_count, sizeof *p->busy, compare_busy);
    for (size_t i = 0; i < p->busy_count; i++)
        d->busy_times[i] = p->busy[i].at;
    if (p->contacts_count > 1)
        qsort(p->contacts, p->contacts_count, sizeof *p->contacts, compare_contact);
    for (size_t i = 0; i < p->candidates_count; i++) {
        d->accounts[i] = p->candidates[i].plan;
        d->accounts[i].language = language_of(d, p->candidates[i].language);
    }
    set_busy(d);
    set_packs(d);
    int r = count_groups(d);
    if (r < 0)
        return r;
    set_quotas(d);
    r = divide_domains(d);
    return r < 0 ? r : set_inbound(d);
}

/* ---- What was drawn, by its senders ---- */

struct candidate *planning_candidate(const struct planning *p, uint32_t handle)
{
    size_t low = 0, high = p->candidates_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (p->candidates[middle].plan.handle <= handle)
            low = middle;
        else
            high = middle;
    }
    return &p->candidates[low];
}

/* Puts the exchanges in the order of their senders, and keeps what was drawn for each of these. */
static int keep_draw(struct draw *d)
{
    struct planning *p = d->p;
    size_t n = p->output.exchanges_count, day = 0, first = 0;
    p->order = calloc(n + 1, sizeof *p->order);
    if (!p->order)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++)
        p->candidates[p->output.exchanges[i].from].count++;
    for (size_t i = 0; i < p->candidates_count; i++) {
        struct candidate *c = &p->candidates[i];
        c->plan.sends = d->accounts[i].sends;
        c->plan.quota[0] = d->accounts[i].quota[0];
        c->day = (uint32_t)day;
        day += c->plan.sends;
        c->first = first;
        first += c->count;
        c->count = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct candidate *c = &p->candidates[p->output.exchanges[i].from];
        p->order[c->first + c->count++] = (uint32_t)i;
    }
    return 0;
}

static void drop_copy(struct planning *p)
{
    free(p->busy);
    free(p->contacts);
    p->busy = NULL;
    p->contacts = NULL;
    p->busy_count = p->busy_capacity = p->contacts_count = p->contacts_capacity = 0;
}

int planning_draw(struct planning *p)
{
    _cleanup_(draw_deinit) struct draw d = {.p = p, .groups = FLZ_MAP_NULL};
    int r = prepare(&d);
    if (r < 0)
        return r;
    p->input = (struct plan_input){
        .date = p->options.date,
        .now = p->now,
        .policy = &p->policy,
        .accounts = d.accounts,
        .accounts_count = p->candidates_count,
        .contacts = p->contacts,
        .contacts_count = p->contacts_count,
        .packs = d.packs,
        .packs_count = p->options.packs_count,
        .seed = p->options.seed,
        .cancelled = &p->cancelled,
    };
    r = plan_day(&p->input, &p->output);
    if (r == 0)
        r = keep_draw(&d);
    if (r < 0)
        return r;
    drop_copy(p);
    p->phase = PLANNING_SEAL;
    return 0;
}
