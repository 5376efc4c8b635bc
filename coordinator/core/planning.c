/*
 * The plan command: closes the senders' earlier days, gathers who may take part, has the planner
 * draw, and writes the draw into the log as parts and a seal.
 */
#include "coordinator/core/state.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/time.h"
#include "coordinator/core/domain.h"
#include "coordinator/core/plan.h"
#include "coordinator/core/ramp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A time at which an account sends. */
struct busy {
    uint32_t account;
    int64_t at;
};

struct planning {
    struct coord *core;
    const struct coord_command *command;
    struct plan_account *accounts;
    const struct coord_civil **civil; /* of each of `accounts` */
    size_t accounts_count;
    struct plan_contact *contacts;
    size_t contacts_count;
    size_t contacts_capacity;
    struct plan_pack *packs;
    struct busy *busy;
    size_t busy_count;
    size_t busy_capacity;
    int64_t *busy_times;
    char (*languages)[8];
    uint32_t languages_count;
    uint32_t *cuts; /* of each of `accounts`: messages that its domain's own ramp withholds */
    struct flz_map groups; /* receivers by language, and by its owners and domains */
    struct plan_output output;
};

static void planning_deinit(struct planning *p)
{
    free(p->accounts);
    free(p->civil);
    free(p->contacts);
    free(p->packs);
    free(p->busy);
    free(p->busy_times);
    free(p->languages);
    free(p->cuts);
    flz_map_deinit(&p->groups);
    plan_output_deinit(&p->output);
}

/* ---- Closing days ---- */

static struct ramp_settings settings_of(const struct row_account *row)
{
    return (struct ramp_settings){
        .intensity = row->intensity,
        .target = row->target,
        .profile = row->profile,
        .days = row->days,
    };
}

static struct ramp_state ramp_of(const struct row_account *row)
{
    return (struct ramp_state){
        .day = row->ramp_day,
        .reference = row->ramp_reference,
        .last_quota = row->ramp_last_quota,
        .last_date = row->ramp_last_date,
    };
}

static int close_day(struct coord *core, uint32_t account, int32_t before)
{
    const struct row_account *row = &core->accounts[account].row;
    if (row->planned_date == 0 || row->planned_date <= row->closed_date ||
        row->planned_date >= before)
        return 0;
    const struct day_state *day = state_find_day(core, account, row->planned_date);
    if (!day)
        return 0;
    /* The next day is planned before this one's midnight: what is still under way then counts. */
    uint32_t committed = day->row.committed;
    if (core->clock < day->row.window_end)
        committed += day->row.reserved;

    struct ramp_settings settings = settings_of(row);
    struct ramp_state state = ramp_of(row);
    bool met;
    struct ramp_state next = ramp_close(&state, &settings, &core->policy, row->planned_date,
                                        day->row.quota, committed, day->row.possible, &met);
    struct event event = {
        .type = EVENT_DAY_CLOSED,
        .day_closed = {.account = account,
                       .date = row->planned_date,
                       .quota = day->row.quota,
                       .committed = committed,
                       .possible = day->row.possible,
                       .met = met,
                       .ramp_day = next.day,
                       .ramp_reference = next.reference,
                       .ramp_last_quota = next.last_quota,
                       .ramp_last_date = next.last_date},
    };
    return coord_emit(core, event);
}

/* ---- Who takes part ---- */

static uint32_t language_of(struct planning *p, const char *language)
{
    if (p->core->policy.cross_language)
        return 0;
    for (uint32_t i = 0; i < p->languages_count; i++)
        if (strncmp(p->languages[i], language, sizeof p->languages[i]) == 0)
            return i;
    memcpy(p->languages[p->languages_count], language, sizeof *p->languages);
    return p->languages_count++;
}

/* A pause matters to the plan when it lasts over the day's hours; a shorter one lets slots wait. */
static bool open_gate(struct gate gate, const struct coord_civil *civil)
{
    return !gate.reason ||
           (!gate.lasting && gate.reason == VOID_PAUSED && gate.until < civil->windows[0].end);
}

static bool takes_part(const struct coord *core, const struct coord_civil *civil, uint32_t action)
{
    return open_gate(roster_may_act(core, civil->account, action), civil) &&
           !roster_ready(core, &core->accounts[civil->account]).reason;
}

static void fill_days(const struct coord *core, const struct coord_civil *civil, int32_t date,
                      struct plan_account *a)
{
    const struct row_account *row = &core->accounts[a->handle].row;
    struct ramp_settings settings = settings_of(row);
    struct ramp_state state = ramp_of(row);
    uint32_t expected = ramp_quota(&state, &settings, &core->policy, UINT32_MAX);
    for (int i = 0; i < PLAN_DAYS; i++) {
        const struct day_state *day = state_find_day(core, a->handle, date + i);
        a->window_start[i] = civil->windows[i].start;
        a->window_end[i] = civil->windows[i].end;
        a->quota[i] = day && day->row.planned_day ? day->row.quota : expected;
        a->reserved[i] = day ? day->row.reserved + day->row.committed : 0;
        a->inbound_taken[i] = day ? day->row.inbound : 0;
        /* A new binding begins when the old node's slots have ended. */
        if (a->window_start[i] < row->begins_at)
            a->window_start[i] =
                row->begins_at < a->window_end[i] ? row->begins_at : a->window_end[i];
    }
}

static void add_account(struct planning *p, const struct coord_civil *civil)
{
    struct coord *core = p->core;
    struct account_state *account = &core->accounts[civil->account];
    const struct row_account *row = &account->row;
    int32_t date = p->command->plan.date;
    account->hours = civil->windows[0];
    struct plan_account *a = &p->accounts[p->accounts_count];
    *a = (struct plan_account){
        .handle = civil->account,
        .node = row->node,
        .domain = row->domain,
        .owner = row->owner,
        .provider = row->provider,
        .language = language_of(p, row->language),
        .days = row->days,
        .sends =
            civil->sends && row->planned_date < date && takes_part(core, civil, FLZ_ACTION_SEND),
        .receives = takes_part(core, civil, FLZ_ACTION_OPEN),
    };
    /* Who has withheld its consent to answer answers nothing: no room for replies. */
    fill_days(core, civil, date, a);
    bool answers = (row->consent_actions & FLZ_ACTION_REPLY) != 0;
    for (int i = 0; i < PLAN_DAYS && !answers; i++)
        if (i > 0 || !a->sends)
            a->quota[i] = 0;
    p->civil[p->accounts_count++] = civil;
}

static int compare_civil(const void *a, const void *b)
{
    uint32_t x = (*(const struct coord_civil *const *)a)->account;
    uint32_t y = (*(const struct coord_civil *const *)b)->account;
    return (x > y) - (x < y);
}

static int add_accounts(struct planning *p)
{
    size_t n = p->command->plan.civil_count;
    _cleanup_(flz_freep) const struct coord_civil **sorted = calloc(n + 1, sizeof *sorted);
    p->accounts = calloc(n + 1, sizeof *p->accounts);
    p->civil = calloc(n + 1, sizeof *p->civil);
    p->languages = calloc(n + p->command->plan.packs_count + 1, sizeof *p->languages);
    if (!sorted || !p->accounts || !p->civil || !p->languages)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &p->command->plan.civil[i];
    if (n > 1)
        qsort(sorted, n, sizeof *sorted, compare_civil);

    for (size_t i = 0; i < n; i++) {
        const struct account_state *account = state_account(p->core, sorted[i]->account);
        bool twice = i > 0 && sorted[i]->account == sorted[i - 1]->account;
        if (!account || twice || account->row.state != ACCOUNT_LIVE)
            continue;
        int r =
            sorted[i]->sends ? close_day(p->core, sorted[i]->account, p->command->plan.date) : 0;
        if (r < 0)
            return r;
        add_account(p, sorted[i]);
    }
    return 0;
}

/* ---- The pool ---- */

static struct flz_id group_key(uint32_t language, uint32_t owner, uint32_t domain)
{
    struct flz_id id = state_pair_key(owner, domain);
    flz_put_be32(id.b, language + 1);
    return id;
}

static uint32_t group(const struct planning *p, uint32_t language, uint32_t owner, uint32_t domain)
{
    uint32_t n = flz_map_get(&p->groups, group_key(language, owner, domain));
    return n == FLZ_MAP_NONE ? 0 : n;
}

static int group_add(struct planning *p, uint32_t language, uint32_t owner, uint32_t domain)
{
    return flz_map_set(&p->groups, group_key(language, owner, domain),
                       group(p, language, owner, domain) + 1);
}

static int count_groups(struct planning *p)
{
    int r = 0;
    for (size_t i = 0; i < p->accounts_count && r == 0; i++) {
        const struct plan_account *a = &p->accounts[i];
        if (!a->receives)
            continue;
        r = group_add(p, a->language, COORD_NONE, COORD_NONE);
        if (r == 0)
            r = group_add(p, a->language, a->owner, COORD_NONE);
        if (r == 0)
            r = group_add(p, a->language, COORD_NONE, a->domain);
        if (r == 0)
            r = group_add(p, a->language, a->owner, a->domain);
    }
    return r;
}

/* Receivers of its language that are neither of its owner nor of its domain. */
static uint32_t eligible(const struct planning *p, const struct plan_account *a)
{
    return group(p, a->language, COORD_NONE, COORD_NONE) -
           group(p, a->language, a->owner, COORD_NONE) -
           group(p, a->language, COORD_NONE, a->domain) +
           group(p, a->language, a->owner, a->domain);
}

static uint32_t pool_max(const struct coord *core, uint32_t partners)
{
    uint32_t max = partners / (uint32_t)core->policy.cooldown_days;
    return max == 0 && partners > 0 ? 1 : max;
}

/* The quota of the day; what earlier plans promised for it stands. */
static void set_quotas(struct planning *p)
{
    for (size_t i = 0; i < p->accounts_count; i++) {
        struct plan_account *a = &p->accounts[i];
        const struct row_account *row = &p->core->accounts[a->handle].row;
        uint32_t partners = eligible(p, a);
        if (a->sends && partners == 0 && p->core->policy.same_owner_percent == 0)
            a->sends = false;
        if (a->sends) {
            struct ramp_settings settings = settings_of(row);
            struct ramp_state state = ramp_of(row);
            uint32_t bound = partners > 0 ? pool_max(p->core, partners) : 1;
            uint32_t quota = ramp_quota(&state, &settings, &p->core->policy, bound);
            a->quota[0] = quota > a->reserved[0] ? quota : a->reserved[0];
        }
    }
}

/* ---- The domain's own ramp ---- */

/* The level an account has come to, if that is not long ago. */
static uint32_t level_of(const struct row_account *row, int32_t date)
{
    return date - row->ramp_last_date <= DOMAIN_LEVEL_DAYS ? row->ramp_reference : 0;
}

static void add_levels(const struct planning *p, struct domain_level *levels)
{
    int32_t date = p->command->plan.date;
    for (size_t i = 0; i < p->accounts_count; i++) {
        const struct plan_account *a = &p->accounts[i];
        const struct row_account *row = &p->core->accounts[a->handle].row;
        struct domain_level *level = &levels[row->domain];
        level->sent += level_of(row, date);
        level->declared += row->volume;
        if (a->sends || row->planned_date != date)
            continue;
        level->planned += a->quota[0];
        level->starts += row->ramp_reference == 0 && a->quota[0] > 0;
    }
}

static int divide_domains(struct planning *p)
{
    size_t domains = p->core->names[NAME_DOMAIN].count, count = 0;
    _cleanup_(flz_freep) struct domain_level *levels = calloc(domains + 1, sizeof *levels);
    _cleanup_(flz_freep) struct domain_share *shares =
        calloc(p->accounts_count + 1, sizeof *shares);
    p->cuts = calloc(p->accounts_count + 1, sizeof *p->cuts);
    if (!levels || !shares || !p->cuts)
        return flz_fail(-ENOMEM);
    add_levels(p, levels);
    for (size_t i = 0; i < p->accounts_count; i++) {
        const struct plan_account *a = &p->accounts[i];
        if (a->sends)
            shares[count++] = (struct domain_share){
                .domain = a->domain,
                .level = p->core->accounts[a->handle].row.ramp_reference,
                .promised = a->reserved[0],
                .quota = a->quota[0]};
    }
    domain_divide(shares, count, levels, &p->core->policy);
    const struct domain_share *share = shares;
    for (size_t i = 0; i < p->accounts_count; i++) {
        struct plan_account *a = &p->accounts[i];
        if (!a->sends)
            continue;
        p->cuts[i] = a->quota[0] - share->given;
        a->quota[0] = share++->given;
    }
    return 0;
}

static void set_inbound(struct planning *p)
{
    for (size_t i = 0; i < p->accounts_count; i++) {
        struct plan_account *a = &p->accounts[i];
        uint32_t inbound = (uint32_t)((int64_t)a->quota[0] * p->core->policy.inbound_percent / 100);
        a->inbound_max = inbound > a->inbound_taken[0] ? inbound - a->inbound_taken[0] : 0;
    }
}

/* ---- Busy times, contacts, packs ---- */

static int add_busy(struct planning *p, const struct live *x)
{
    for (uint32_t i = 0; i < x->row.turns_count; i++) {
        const struct row_turn *t = &x->turns[i];
        if (t->send.state == TASK_VOID || t->send_at < p->core->clock - p->core->policy.spacing_ms)
            continue;
        int r = flz_grow((void **)&p->busy, &p->busy_capacity, p->busy_count + 1, sizeof *p->busy);
        if (r < 0)
            return r;
        p->busy[p->busy_count++] =
            (struct busy){.account = exchange_sender(&x->row, i), .at = t->send_at};
    }
    return 0;
}

static int compare_busy(const void *a, const void *b)
{
    const struct busy *x = a;
    const struct busy *y = b;
    if (x->account != y->account)
        return x->account < y->account ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int gather_busy(struct planning *p)
{
    for (size_t i = 0; i < p->core->live_count; i++) {
        int r = p->core->live[i] ? add_busy(p, p->core->live[i]) : 0;
        if (r < 0)
            return r;
    }
    if (p->busy_count > 1)
        qsort(p->busy, p->busy_count, sizeof *p->busy, compare_busy);
    p->busy_times = calloc(p->busy_count + 1, sizeof *p->busy_times);
    if (!p->busy_times)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < p->busy_count; i++)
        p->busy_times[i] = p->busy[i].at;

    size_t at = 0;
    for (size_t i = 0; i < p->accounts_count; i++) {
        struct plan_account *a = &p->accounts[i];
        while (at < p->busy_count && p->busy[at].account < a->handle)
            at++;
        a->busy = &p->busy_times[at];
        while (at < p->busy_count && p->busy[at].account == a->handle) {
            at++;
            a->busy_count++;
        }
    }
    return 0;
}

static int compare_contact(const void *a, const void *b)
{
    const struct plan_contact *x = a;
    const struct plan_contact *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static int gather_contacts(struct planning *p)
{
    for (size_t i = 0; i < p->core->contacts_count; i++) {
        const struct contact_state *contact = &p->core->contacts[i];
        if (!contact->live)
            continue;
        int r = flz_grow((void **)&p->contacts, &p->contacts_capacity, p->contacts_count + 1,
                         sizeof *p->contacts);
        if (r < 0)
            return r;
        p->contacts[p->contacts_count++] = (struct plan_contact){
            .from = contact->row.from, .to = contact->row.to, .date = contact->row.date};
    }
    if (p->contacts_count > 1)
        qsort(p->contacts, p->contacts_count, sizeof *p->contacts, compare_contact);
    return 0;
}

static int gather_packs(struct planning *p)
{
    size_t n = p->command->plan.packs_count;
    p->packs = calloc(n + 1, sizeof *p->packs);
    if (!p->packs)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++)
        p->packs[i] = (struct plan_pack){
            .digest = p->command->plan.packs[i].digest,
            .language = language_of(p, p->command->plan.packs[i].language),
            .scenarios = p->command->plan.packs[i].scenarios,
            .turns = p->command->plan.packs[i].turns,
        };
    return 0;
}

static int draw(struct planning *p)
{
    const struct coord *core = p->core;
    struct plan_input input = {
        .date = p->command->plan.date,
        .now = core->clock > core->network.quiet_until ? core->clock : core->network.quiet_until,
        .policy = &core->policy,
        .accounts = p->accounts,
        .accounts_count = p->accounts_count,
        .contacts = p->contacts,
        .contacts_count = p->contacts_count,
        .packs = p->packs,
        .packs_count = p->command->plan.packs_count,
        .seed = p->command->plan.seed,
    };
    return plan_day(&input, &p->output);
}

/* ---- Into the log ---- */

static struct flz_digest hash_of(const struct planning *p)
{
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add_piece(&hash, "fluenzr/plan/v1", 15);
    flz_hash_add(&hash, p->core->network.id.b, sizeof p->core->network.id.b);
    flz_hash_add(&hash, p->core->network.generation.b, sizeof p->core->network.generation.b);
    flz_hash_add_u64(&hash, p->core->network.plans);
    flz_hash_add_u64(&hash, (uint64_t)p->command->plan.date);
    flz_hash_add_u64(&hash, (uint64_t)p->core->clock);
    flz_hash_add_u64(&hash, p->command->plan.seed);
    for (size_t i = 0; i < p->output.exchanges_count; i++) {
        const struct plan_exchange *x = &p->output.exchanges[i];
        flz_hash_add_u64(&hash, (uint64_t)x->from << 32 | x->to);
        flz_hash_add_u64(&hash, x->seed);
        for (uint32_t turn = 0; turn < x->turns_count; turn++)
            flz_hash_add_u64(&hash, (uint64_t)x->turns[turn].send_at);
    }
    return flz_hash_digest(&hash);
}

static struct flz_id exchange_id(const struct planning *p, struct flz_digest plan, size_t n)
{
    struct flz_hash hash;
    struct flz_view key = {.data = p->core->id_key, .len = p->core->id_key_len};
    flz_hash_init_id(&hash, key, "fluenzr/exchange/v1");
    flz_hash_add(&hash, plan.b, sizeof plan.b);
    flz_hash_add_u64(&hash, p->output.exchanges[n].from);
    flz_hash_add_u64(&hash, n);
    return flz_hash_id(&hash);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The last moment at which anybody may act on the exchange's messages. */
static int64_t expiry(const struct coord *core, const struct plan_exchange *x)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < x->turns_count; i++) {
        struct row_turn turn = {.send_until = x->turns[i].send_until};
        last = later(last, later(x->turns[i].open_until, x->turns[i].reopen_until));
        last = later(last, exchange_find_until(core, &turn));
    }
    return last + core->policy.tidy_delay_ms + core->policy.action_deadline_ms;
}

static int fill_exchange(struct planning *p, struct flz_digest plan, size_t n,
                         struct event_plan_exchange *ret_exchange)
{
    const struct plan_exchange *x = &p->output.exchanges[n];
    struct event_plan_turn *turns =
        flz_arena_alloc(&p->core->step_arena, x->turns_count * sizeof *turns);
    if (!turns)
        return flz_fail(-ENOMEM);
    for (uint32_t i = 0; i < x->turns_count; i++)
        turns[i] = (struct event_plan_turn){
            .send_at = x->turns[i].send_at,
            .send_until = x->turns[i].send_until,
            .open_at = x->turns[i].open_at,
            .open_until = x->turns[i].open_until,
            .date = x->turns[i].date,
            .open_date = x->turns[i].open_date,
            .day_cap = x->turns[i].day_cap,
            .reopen_at = x->turns[i].reopen_at,
            .reopen_until = x->turns[i].reopen_until,
        };
    *ret_exchange = (struct event_plan_exchange){
        .id = exchange_id(p, plan, n),
        .from = x->from,
        .to = x->to,
        .one_node = p->core->accounts[x->from].row.node == p->core->accounts[x->to].row.node,
        .same_owner = x->same_owner,
        .pack = x->pack,
        .scenario = x->scenario,
        .seed = x->seed,
        .expires = expiry(p->core, x),
        .turns = turns,
        .turns_count = x->turns_count,
    };
    return 0;
}

static const struct plan_shortfall *shortfall_of(const struct planning *p, uint32_t account)
{
    for (size_t low = 0, high = p->output.shortfalls_count; low < high;) {
        size_t middle = (low + high) / 2;
        const struct plan_shortfall *s = &p->output.shortfalls[middle];
        if (s->account == account)
            return s;
        if (s->account < account)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static struct event_plan_account account_day(const struct planning *p, size_t i)
{
    const struct plan_account *a = &p->accounts[i];
    const struct plan_shortfall *s = shortfall_of(p, a->handle);
    uint32_t planned = s ? s->planned : 0;
    uint32_t wanted = (s ? s->wanted : 0) + p->cuts[i];
    uint32_t reason = s ? (uint32_t)s->reason : PLAN_FULL;
    return (struct event_plan_account){
        .account = a->handle,
        .quota = a->quota[0],
        .possible = a->reserved[0] + planned,
        .shortfall = wanted > planned ? wanted - planned : 0,
        .shortfall_reason = reason == PLAN_FULL && p->cuts[i] > 0 ? PLAN_DOMAIN : reason,
        .window_start = p->civil[i]->windows[0].start,
        .window_end = p->civil[i]->windows[0].end,
    };
}

/* Where the next part begins. */
struct cut {
    size_t account; /* index into the senders' days */
    size_t exchange;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int emit_part(struct planning *p, const struct event_plan_account *days, size_t days_count,
                     struct flz_digest plan, struct cut *cut, uint32_t part)
{
    struct event event = {
        .type = EVENT_PLAN_PART,
        .plan_part = {.plan = p->core->network.plans, .part = part, .date = p->command->plan.date},
    };
    struct event_plan_part *e = &event.plan_part;
    e->accounts = days + cut->account;
    e->accounts_count = least(days_count - cut->account, FLZ_PLAN_ACCOUNTS_MAX);
    cut->account += e->accounts_count;
    e->exchanges_count = least(p->output.exchanges_count - cut->exchange, FLZ_PLAN_EXCHANGES_MAX);
    struct event_plan_exchange *exchanges =
        flz_arena_alloc(&p->core->step_arena, (e->exchanges_count + 1) * sizeof *exchanges);
    if (!exchanges)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < e->exchanges_count; i++) {
        int r = fill_exchange(p, plan, cut->exchange++, &exchanges[i]);
        if (r < 0)
            return r;
    }
    e->exchanges = exchanges;
    return coord_emit(p->core, event);
}

static uint32_t messages_of(const struct plan_output *output)
{
    uint32_t n = 0;
    for (size_t i = 0; i < output->exchanges_count; i++)
        n += output->exchanges[i].turns_count;
    return n;
}

static int emit_plan(struct planning *p)
{
    struct event_plan_account *days =
        flz_arena_alloc(&p->core->step_arena, (p->accounts_count + 1) * sizeof *days);
    if (!days)
        return flz_fail(-ENOMEM);
    size_t days_count = 0;
    for (size_t i = 0; i < p->accounts_count; i++)
        if (p->accounts[i].sends)
            days[days_count++] = account_day(p, i);
    if (days_count == 0)
        return 0;

    struct flz_digest plan = hash_of(p);
    struct cut cut = {.account = 0};
    uint32_t part = 0;
    while (cut.account < days_count || cut.exchange < p->output.exchanges_count) {
        int r = emit_part(p, days, days_count, plan, &cut, part++);
        if (r < 0)
            return r;
    }
    struct event event = {
        .type = EVENT_PLAN_SEAL,
        .plan_seal = {.plan = p->core->network.plans,
                      .parts = part,
                      .date = p->command->plan.date,
                      .hash = plan,
                      .accounts = (uint32_t)days_count,
                      .exchanges = (uint32_t)p->output.exchanges_count,
                      .messages = messages_of(&p->output)},
    };
    return coord_emit(p->core, event);
}

int planning_plan(struct coord *core, const struct coord_command *command,
                  struct coord_update *update)
{
    _cleanup_(planning_deinit) struct planning p = {
        .core = core, .command = command, .groups = FLZ_MAP_NULL, .output = PLAN_OUTPUT_NULL};
    int r = add_accounts(&p);
    if (r == 0)
        r = count_groups(&p);
    if (r < 0)
        return r;
    set_quotas(&p);
    r = divide_domains(&p);
    if (r < 0)
        return r;
    set_inbound(&p);
    r = gather_busy(&p);
    if (r == 0)
        r = gather_contacts(&p);
    if (r == 0)
        r = gather_packs(&p);
    if (r == 0)
        r = draw(&p);
    if (r == 0)
        r = emit_plan(&p);
    if (r < 0)
        return r;
    flz_msg_set(&update->message, "%zu exchanges, %u messages planned", p.output.exchanges_count,
                messages_of(&p.output));
    return 0;
}
