/*
 * The plan command: closes the senders' earlier days, copies who may take part, and leads a
 * planning through its phases.
 */
#include "coordinator/core/planning_private.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int planning_new(const struct planning_options *options, struct planning **ret_planning)
{
    struct planning *p = calloc(1, sizeof *p);
    size_t n = options->packs_count;
    struct coord_pack *packs = calloc(n + 1, sizeof *packs);
    if (!p || !packs) {
        free(p);
        free(packs);
        return flz_fail(-ENOMEM);
    }
    if (n > 0)
        memcpy(packs, options->packs, n * sizeof *packs);
    p->options = *options;
    p->packs = packs;
    p->options.packs = packs;
    p->output = PLAN_OUTPUT_NULL;
    *ret_planning = p;
    return 0;
}

struct planning *planning_free(struct planning *p)
{
    if (!p)
        return NULL;
    free(p->packs);
    free(p->candidates);
    free(p->busy);
    free(p->contacts);
    free(p->accounts);
    free(p->plan_packs);
    free(p->order);
    plan_output_deinit(&p->output);
    free(p);
    return NULL;
}

FLZ_DEFINE_FREEP(struct planning, planning_free)

enum planning_phase planning_phase(const struct planning *p)
{
    return p->phase;
}

void planning_cancel(struct planning *p)
{
    atomic_store(&p->cancelled, true);
}

size_t planning_sealed_exchanges(const struct planning *p)
{
    return p->sealed_exchanges;
}

uint32_t planning_sealed_messages(const struct planning *p)
{
    return p->sealed_messages;
}

/* ---- Closing days ---- */

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

    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = ramp_state_on(row, row->planned_date);
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
                       .ramp_last_date = next.last_date,
                       .ramp_sent_date = next.sent_date},
    };
    int r = coord_emit(core, event);
    return r < 0 ? r : standing_day_closed(core, account);
}

/* ---- The copy: who takes part ---- */

/* A pause matters to the plan when it lasts over the day's hours; a shorter one lets slots wait. */
static bool open_gate(struct gate gate, int64_t hours_end)
{
    return !gate.reason ||
           (!gate.lasting && gate.reason == VOID_PAUSED && gate.until < hours_end);
}

bool planning_takes_part(const struct coord *core, uint32_t account, int64_t hours_end,
                         uint32_t action)
{
    return open_gate(roster_may_act(core, account, action), hours_end) &&
           !roster_ready(core, &core->accounts[account]).reason;
}

static void fill_days(const struct planning *p, const struct coord *core,
                      const struct coord_civil *civil, struct candidate *c)
{
    struct plan_account *a = &c->plan;
    const struct row_account *row = &core->accounts[a->handle].row;
    uint32_t expected = ramp_quota(&c->ramp, &c->settings, &p->policy, UINT32_MAX);
    for (int i = 0; i < PLAN_DAYS; i++) {
        const struct day_state *day = state_find_day(core, a->handle, p->options.date + i);
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
    /* Who has withheld its consent to answer answers nothing: no room for replies. */
    for (int i = 0; i < PLAN_DAYS && !c->answers; i++)
        if (i > 0 || !a->sends)
            a->quota[i] = 0;
}

static struct candidate copy_account(const struct planning *p, struct coord *core,
                                     const struct coord_civil *civil)
{
    struct account_state *account = &core->accounts[civil->account];
    const struct row_account *row = &account->row;
    int64_t end = civil->windows[0].end;
    account->hours = civil->windows[0];
    /* A day without hours is no day of its ramp: nothing is planned, and so nothing closed. */
    bool has_hours = civil->windows[0].start < end;
    struct candidate c = {
        .plan = {.handle = civil->account,
                 .node = row->node,
                 .domain = row->domain,
                 .owner = row->owner,
                 .provider = row->provider,
                 .days = row->days,
                 .sends = civil->sends && has_hours && row->planned_date < p->options.date &&
                          planning_takes_part(core, civil->account, end, FLZ_ACTION_SEND),
                 .receives = planning_takes_part(core, civil->account, end, FLZ_ACTION_OPEN) &&
                             row->answers_until < end},
        .answers = (row->consent_actions & FLZ_ACTION_REPLY) != 0,
        .changes = account->changes,
        .settings = ramp_settings_of(row),
        .ramp = ramp_state_on(row, p->options.date),
        .hours = civil->windows[0],
        .volume = row->volume,
        .planned = row->planned_date == p->options.date,
        .health_cap = standing_cap(core, civil->account, COORD_NONE),
    };
    memcpy(c.language, row->language, sizeof c.language);
    fill_days(p, core, civil, &c);
    return c;
}

static int copy_accounts(struct planning *p, struct coord *core, const struct coord_civil *civil,
                         size_t count)
{
    int r = flz_grow((void **)&p->candidates, &p->candidates_capacity, p->candidates_count + count,
                     sizeof *p->candidates);
    for (size_t i = 0; i < count && r == 0; i++) {
        const struct account_state *account = state_account(core, civil[i].account);
        if (!account || account->row.state != ACCOUNT_LIVE)
            continue;
        r = civil[i].sends ? close_day(core, civil[i].account, p->options.date) : 0;
        if (r == 0)
            p->candidates[p->candidates_count++] = copy_account(p, core, &civil[i]);
    }
    return r;
}

/* ---- The copy: busy times and contacts ---- */

static int copy_busy(struct planning *p, const struct live *x)
{
    for (uint32_t i = 0; i < x->row.turns_count; i++) {
        const struct row_turn *t = &x->turns[i];
        if (t->send.state == TASK_VOID || t->send_at < p->now - p->policy.spacing_ms)
            continue;
        int r = flz_grow((void **)&p->busy, &p->busy_capacity, p->busy_count + 1, sizeof *p->busy);
        if (r < 0)
            return r;
        p->busy[p->busy_count++] =
            (struct busy){.account = exchange_sender(&x->row, i), .at = t->send_at};
    }
    return 0;
}

/* By handle: the window over live handles may move between two steps. *ret_more: not all yet. */
static int copy_exchanges(struct planning *p, const struct coord *core, bool *ret_more)
{
    uint32_t end = core->live_base + (uint32_t)core->live_count;
    uint32_t at = p->next_exchange > core->live_base ? p->next_exchange : core->live_base;
    uint32_t last = end - at < PLANNING_EXCHANGES_STEP ? end : at + PLANNING_EXCHANGES_STEP;
    for (; at < last; at++) {
        const struct live *x = state_live(core, at);
        int r = x ? copy_busy(p, x) : 0;
        if (r < 0)
            return r;
    }
    p->next_exchange = at;
    *ret_more = at < end;
    return 0;
}

static int copy_contacts(struct planning *p, const struct coord *core, bool *ret_more)
{
    size_t left = core->contacts_count - p->next_contact;
    size_t n = left < PLANNING_CONTACTS_STEP ? left : PLANNING_CONTACTS_STEP;
    int r = flz_grow((void **)&p->contacts, &p->contacts_capacity, p->contacts_count + n,
                     sizeof *p->contacts);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct contact_state *contact = &core->contacts[p->next_contact++];
        if (contact->live)
            p->contacts[p->contacts_count++] = (struct plan_contact){
                .from = contact->row.from, .to = contact->row.to, .date = contact->row.date};
    }
    *ret_more = left > n;
    return r;
}

/* ---- The command ---- */

static int copy_step(struct planning *p, struct coord *core, const struct coord_command *command)
{
    size_t n = command->plan.civil_count;
    bool more = true;
    int r = 0;
    p->policy = core->policy;
    p->now = core->clock > core->network.quiet_until ? core->clock : core->network.quiet_until;
    switch (p->phase) {
    case PLANNING_ACCOUNTS:
        more = n > 0;
        r = copy_accounts(p, core, command->plan.civil, n);
        break;
    case PLANNING_EXCHANGES: r = copy_exchanges(p, core, &more); break;
    case PLANNING_CONTACTS: r = copy_contacts(p, core, &more); break;
    case PLANNING_DRAW:
    case PLANNING_SEAL:
    case PLANNING_OVER: more = true; break;
    }
    if (r == 0 && !more)
        p->phase++;
    return r;
}

static int planning_step(struct planning *p, struct coord *core,
                         const struct coord_command *command)
{
    return p->phase == PLANNING_SEAL ? planning_seal(p, core) : copy_step(p, core, command);
}

/* All of it in one step. */
static int plan_at_once(struct coord *core, const struct coord_command *command,
                        struct planning **ret_planning)
{
    struct planning_options options = {.date = command->plan.date,
                                       .packs = command->plan.packs,
                                       .packs_count = command->plan.packs_count,
                                       .seed = command->plan.seed};
    _cleanup_(planning_freep) struct planning *p = NULL;
    struct coord_command rest = {.kind = COORD_PLAN};
    int r = planning_new(&options, &p);
    if (r == 0 && command->plan.civil_count > 0)
        r = planning_step(p, core, command);
    while (r == 0 && p->phase != PLANNING_OVER)
        r = p->phase == PLANNING_DRAW ? planning_draw(p) : planning_step(p, core, &rest);
    if (r < 0)
        return r;
    *ret_planning = steal_ptr(&p);
    return 0;
}

int planning_plan(struct coord *core, const struct coord_command *command,
                  struct coord_update *update)
{
    _cleanup_(planning_freep) struct planning *own = NULL;
    struct planning *p = command->plan.planning;
    int r = p ? planning_step(p, core, command) : plan_at_once(core, command, &own);
    if (r < 0)
        return r;
    p = p ? p : own;
    flz_msg_set(&update->message, "%zu exchanges, %u messages planned", p->sealed_exchanges,
                p->sealed_messages);
    return 0;
}
