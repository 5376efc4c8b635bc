/*
 * Where senders stand: facts out of the tallies for health.c to decide by, what it decided as an
 * event, and what follows from it for the day and the plan.
 */
#include "coordinator/core/state.h"

#include "coordinator/core/health.h"
#include "coordinator/core/ramp.h"

#include <errno.h>
#include <string.h>

static int32_t later(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* ---- Rows ---- */

const struct row_standing *standing_find(const struct coord *core, uint32_t account,
                                         uint32_t provider)
{
    uint32_t i = flz_map_get(&core->standings_by_key, state_pair_key(account, provider));
    return i == FLZ_MAP_NONE ? NULL : &core->standings[i].row;
}

int standing_set(struct coord *core, const struct row_standing *row, uint32_t *ret_index)
{
    bool total = row->provider == COORD_NONE;
    if (!state_account(core, row->account) || row->state > HEALTH_STATE_MAX ||
        (!total && !state_name(core, NAME_PROVIDER, row->provider)))
        return flz_fail(-EPROTO);
    struct flz_id key = state_pair_key(row->account, row->provider);
    uint32_t i = flz_map_get(&core->standings_by_key, key);
    if (i == FLZ_MAP_NONE) {
        i = (uint32_t)core->standings_count;
        int r = flz_grow((void **)&core->standings, &core->standings_capacity,
                         core->standings_count + 1, sizeof *core->standings);
        if (r == 0)
            r = flz_map_set(&core->standings_by_key, key, i);
        if (r < 0)
            return r;
        core->standings[core->standings_count++] = (struct standing_state){.dirty = false};
        core->standings_in[HEALTH_HEALTHY]++;
    }
    core->standings_in[core->standings[i].row.state]--;
    core->standings[i].row = *row;
    core->standings_in[row->state]++;
    *ret_index = i;
    return 0;
}

int standing_fold(struct coord *core, const struct event *event)
{
    const struct event_health *e = &event->health;
    struct row_standing row = {
        .account = e->account,
        .provider = e->provider,
        .state = e->state,
        .rule = e->rule,
        .since = event->at,
        .until = e->until,
        .window_date = e->window_date,
        .fresh_date = e->fresh_date,
        .level = e->level,
        .seen = e->seen,
        .junk = e->junk,
        .low = e->low,
        .complaints = e->complaints,
        .evidence = e->evidence,
    };
    uint32_t i;
    int r = standing_set(core, &row, &i);
    return r < 0 ? r : state_touch(core, ROW_STANDING, i, &core->standings[i].dirty);
}

/* ---- Facts ---- */

/* Adds what the account sent to the provider, or to all, on the dates. */
static void sum(const struct coord *core, uint32_t account, uint32_t provider, int32_t from,
                int32_t to, struct row_tally *ret_sum)
{
    *ret_sum = (struct row_tally){.scope = TALLY_ACCOUNT, .subject = account};
    uint32_t first = provider == COORD_NONE ? 0 : provider;
    uint32_t end = provider == COORD_NONE ? (uint32_t)core->names[NAME_PROVIDER].count : first + 1;
    for (uint32_t i = first; i < end; i++) {
        struct row_tally cell = {.scope = TALLY_ACCOUNT, .subject = account, .object = i};
        tally_sum(core, cell, from, to, ret_sum);
    }
}

/* Messages a day, of the days on which any went; rounded up. */
static uint32_t level_of(const struct coord *core, uint32_t account, uint32_t provider,
                         int32_t date)
{
    uint32_t messages = 0;
    uint32_t days = 0;
    for (int32_t i = 0; i < HEALTH_DAYS; i++) {
        struct row_tally day;
        sum(core, account, provider, date - i, date - i, &day);
        messages += day.issued;
        days += day.issued > 0;
    }
    return days > 0 ? (messages + days - 1) / days : 0;
}

static struct health_facts facts_of(const struct coord *core, const struct standing_question *q,
                                    const struct health_state *before)
{
    /* Local dates may be ahead of UTC by one. */
    int32_t date = (int32_t)(q->now / FLZ_DAY_MS);
    int32_t from = later(date - HEALTH_DAYS + 1, before->window_date);
    struct row_tally window;
    struct row_tally recent;
    struct row_tally fresh;
    sum(core, q->account, q->provider, from, date + 1, &window);
    sum(core, q->account, q->provider, later(date - 1, from), date + 1, &recent);
    sum(core, q->account, q->provider, later(date - HEALTH_DAYS + 1, before->fresh_date), date + 1,
        &fresh);
    struct health_facts facts = {
        .now = q->now,
        .date = date,
        .code = q->code,
        .level = level_of(core, q->account, q->provider, date),
    };
    if (q->provider == COORD_NONE) {
        facts.complaints = window.complaints;
        return facts;
    }
    facts.seen = window.inbox + window.junk;
    facts.junk = window.junk;
    facts.seen_recent = recent.inbox + recent.junk;
    facts.junk_recent = recent.junk;
    facts.seen_fresh = fresh.inbox + fresh.junk;
    facts.junk_fresh = fresh.junk;
    return facts;
}

struct health_state standing_state(const struct row_standing *row)
{
    if (!row)
        return (struct health_state){.state = HEALTH_HEALTHY};
    return (struct health_state){
        .state = row->state,
        .rule = row->rule,
        .until = row->until,
        .window_date = row->window_date,
        .fresh_date = row->fresh_date,
        .level = row->level,
    };
}

static struct event_health event_of(const struct standing_question *q, uint32_t before,
                                    const struct health_state *after,
                                    const struct health_facts *facts)
{
    return (struct event_health){
        .account = q->account,
        .provider = q->provider,
        .before = before,
        .state = after->state,
        .rule = after->rule,
        .until = after->until,
        .window_date = after->window_date,
        .fresh_date = after->fresh_date,
        .level = after->level,
        .seen = facts->seen,
        .junk = facts->junk,
        .low = health_junk_low(facts->junk, facts->seen),
        .fresh_seen = facts->seen_fresh,
        .fresh_junk = facts->junk_fresh,
        .complaints = facts->complaints,
        .evidence = q->evidence,
    };
}

bool standing_judge(const struct coord *core, const struct standing_question *q,
                    const struct policy *policy, const struct health_state *before,
                    struct event_health *ret_event)
{
    struct health_facts facts = facts_of(core, q, before);
    struct health_state after;
    if (!health_decide(before, &facts, policy, &after))
        return false;
    *ret_event = event_of(q, before->state, &after, &facts);
    return true;
}

/* ---- When it is asked ---- */

static int look(struct coord *core, const struct standing_question *q)
{
    struct health_state before = standing_state(standing_find(core, q->account, q->provider));
    struct event event = {.type = EVENT_HEALTH};
    if (!standing_judge(core, q, &core->policy, &before, &event.health))
        return 0;
    return coord_emit(core, event);
}

bool standing_question_of(const struct coord *core, const struct event *event,
                          struct standing_question *ret_question)
{
    const struct event_receipt *e = &event->receipt;
    if (event->type != EVENT_RECEIPT ||
        (e->effect != EFFECT_TAKEN && e->effect != EFFECT_CORRECTED))
        return false;
    const struct live *x = state_live(core, e->exchange);
    if (!x || e->receipt.turn >= x->row.turns_count)
        return false;
    bool even = e->receipt.turn % 2 == 0;
    uint32_t provider = even ? x->row.to_provider : x->row.from_provider;
    bool found = e->receipt.kind == FLZ_TASK_FIND && e->receipt.outcome == FLZ_OUTCOME_FOUND;
    bool refused = flz_task_kind_sends(e->receipt.kind) &&
                   e->receipt.outcome == FLZ_OUTCOME_REJECTED &&
                   health_is_policy_code(e->receipt.enhanced);
    *ret_question = (struct standing_question){
        .account = exchange_sender(&x->row, e->receipt.turn),
        .provider = refused ? COORD_NONE : provider - 1,
        .now = event->at,
        .code = refused,
        .evidence = x->row.id,
    };
    return refused || (found && provider != 0);
}

int standing_heard(struct coord *core, const struct event *event)
{
    struct standing_question q;
    return standing_question_of(core, event, &q) ? look(core, &q) : 0;
}

int standing_complained(struct coord *core, uint32_t account, struct flz_id evidence)
{
    struct standing_question q = {
        .account = account, .provider = COORD_NONE, .now = core->clock, .evidence = evidence};
    return look(core, &q);
}

bool standing_nth(const struct coord *core, uint32_t n, uint32_t *ret_provider)
{
    *ret_provider = n == 0 ? COORD_NONE : n - 1;
    return n <= core->names[NAME_PROVIDER].count;
}

int standing_day_closed(struct coord *core, uint32_t account)
{
    struct standing_question q = {.account = account, .now = core->clock};
    for (uint32_t n = 0; standing_nth(core, n, &q.provider); n++) {
        const struct row_standing *row = standing_find(core, account, q.provider);
        int r = row && row->state != HEALTH_HEALTHY ? look(core, &q) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int standing_clear(struct coord *core, const struct coord_command *command,
                   struct coord_update *update)
{
    bool any = false;
    int32_t date = (int32_t)(core->clock / FLZ_DAY_MS);
    struct standing_question q = {.account = command->clear.account, .now = core->clock};
    if (!state_account(core, q.account)) {
        update->refused = true;
        flz_msg_set(&update->message, "no such account");
        return 0;
    }
    for (uint32_t n = 0; standing_nth(core, n, &q.provider); n++) {
        const struct row_standing *row = standing_find(core, q.account, q.provider);
        if (!row || row->state == HEALTH_HEALTHY)
            continue;
        struct health_state before = standing_state(row);
        struct health_state after = health_cleared(&before, date);
        struct health_facts facts = facts_of(core, &q, &before);
        struct event event = {.type = EVENT_HEALTH,
                              .health = event_of(&q, before.state, &after, &facts)};
        memcpy(event.health.by, command->clear.by, sizeof event.health.by);
        int r = coord_emit(core, event);
        if (r < 0)
            return r;
        any = true;
    }
    update->refused = !any;
    if (!any)
        flz_msg_set(&update->message, "its health holds nothing back");
    return any ? exchange_advance_all(core, q.account) : 0;
}

/* ---- What follows from it ---- */

static bool is_tender(const struct row_account *row)
{
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = ramp_state_on(row, row->planned_date);
    enum ramp_phase phase = ramp_phase(&state, &settings);
    return phase == RAMP_START || phase == RAMP_RECOVERY;
}

uint32_t standing_cap(const struct coord *core, uint32_t account, uint32_t provider)
{
    const struct row_standing *row = standing_find(core, account, provider);
    if (!row)
        return HEALTH_NO_CAP;
    struct health_state state = standing_state(row);
    return health_cap(&state, is_tender(&core->accounts[account].row), &core->policy);
}

bool standing_stops(const struct coord *core, uint32_t account)
{
    return standing_cap(core, account, COORD_NONE) == 0;
}

static bool is_spent(const struct coord *core, uint32_t account, uint32_t provider, int32_t date)
{
    uint32_t cap = standing_cap(core, account, provider);
    struct row_tally day;
    if (cap == HEALTH_NO_CAP)
        return false;
    sum(core, account, provider, date, date, &day);
    return day.issued >= cap;
}

bool standing_bars(const struct coord *core, const struct row_exchange *x, uint32_t turn)
{
    uint32_t sender = exchange_sender(x, turn);
    int32_t date = x->turns[turn].date;
    if (turn > 0)
        return standing_stops(core, sender);
    return is_spent(core, sender, COORD_NONE, date) ||
           (x->to_provider != 0 && is_spent(core, sender, x->to_provider - 1, date));
}

const struct row_standing *coord_standing(const struct coord *core, uint32_t account,
                                          uint32_t provider)
{
    return standing_find(core, account, provider);
}

uint32_t coord_health_cap(const struct coord *core, uint32_t account, uint32_t provider)
{
    return standing_cap(core, account, provider);
}

size_t coord_standings_in(const struct coord *core, uint32_t state)
{
    return core->standings_in[state];
}
