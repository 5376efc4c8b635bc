/* What was drawn, into the log: in instalments, each held against the core as it is by then. */
#include "coordinator/core/planning_private.h"

#include "common/base/hash.h"
#include "coordinator/core/health.h"

#include <errno.h>

/* ---- An instalment ---- */

/* What of the draw still holds: senders' days, and exchanges. */
struct instalment {
    struct planning *p;
    struct coord *core;
    struct event_plan_account *accounts;
    size_t accounts_count;
    struct plan_exchange *exchanges;
    size_t exchanges_count;
    uint32_t messages;
};

/* The account is what it was when it was copied, and may act. */
static bool still_takes_part(const struct instalment *in, const struct candidate *c,
                             uint32_t action)
{
    const struct account_state *account = &in->core->accounts[c->plan.handle];
    return account->changes == c->changes &&
           planning_takes_part(in->core, c->plan.handle, c->hours.end, action);
}

static bool still_holds(const struct instalment *in, const struct plan_exchange *x)
{
    const struct coord *core = in->core;
    uint32_t contact = flz_map_get(&core->contacts_by_pair, state_pair_key(x->from, x->to));
    bool bars = contact != FLZ_MAP_NONE &&
                fold_contact_bars(core, &core->contacts[contact].row, in->p->options.date);
    return !bars && still_takes_part(in, planning_candidate(in->p, x->to), FLZ_ACTION_OPEN);
}

/* The n-th of its sending days behind the date; 0 for none. */
static int32_t sending_day_behind(const struct candidate *c, int32_t date, uint32_t n)
{
    uint32_t days = c->settings.days & 0x7f;
    if (n == 0 || days == 0)
        return 0;
    uint32_t a_week = (uint32_t)__builtin_popcount(days);
    date += 7 * (int32_t)((n - 1) / a_week);
    for (n = (n - 1) % a_week + 1; n > 0; n -= days >> flz_date_weekday(date) & 1)
        date++;
    return date;
}

/* Messages of a sender's day, of the exchanges that it began, that will not be. */
struct losses {
    uint32_t changed; /* since the copy was made */
    uint32_t held;    /* by its health */
};

static struct event_plan_account account_day(const struct planning *p, const struct candidate *c,
                                             struct losses losses)
{
    const struct plan_account *a = &c->plan;
    const struct plan_shortfall *s = &p->output.shortfalls[c->day];
    uint32_t dropped = losses.changed + losses.held;
    uint32_t planned = s->planned > dropped ? s->planned - dropped : 0;
    uint32_t wanted = s->wanted + c->cut + c->held;
    uint32_t reason = s->reason;
    if (losses.held + c->held > 0)
        reason = PLAN_HEALTH;
    else if (reason == PLAN_FULL)
        reason = c->cut > 0 ? PLAN_DOMAIN : dropped > 0 ? PLAN_NO_PARTNER : PLAN_FULL;
    return (struct event_plan_account){
        .account = a->handle,
        .quota = a->quota[0],
        .possible = a->reserved[0] + planned,
        .shortfall = wanted > planned ? wanted - planned : 0,
        .shortfall_reason = reason,
        .waits_until = reason == PLAN_DOMAIN ? sending_day_behind(c, p->options.date, c->waits) : 0,
        .window_start = c->hours.start,
        .window_end = c->hours.end,
    };
}

/* Its own messages on the day that the exchange would have been. */
static uint32_t own_messages(const struct plan_exchange *x, int32_t date)
{
    uint32_t n = 0;
    for (uint32_t turn = 0; turn < x->turns_count; turn += 2)
        n += x->turns[turn].date == date;
    return n;
}

/*
 * Whether the sender's health towards the recipient's provider leaves no room for another exchange
 * beside those kept since `first`. What it leaves goes to recipients that rescue.
 */
static bool is_held_back(const struct instalment *in, const struct plan_exchange *x, size_t first)
{
    const struct account_state *accounts = in->core->accounts;
    uint32_t provider = accounts[x->to].row.provider;
    uint32_t cap = standing_cap(in->core, x->from, provider);
    uint32_t kept = own_messages(x, in->p->options.date);
    if (cap == HEALTH_NO_CAP)
        return false;
    for (size_t i = first; i < in->exchanges_count; i++)
        if (accounts[in->exchanges[i].to].row.provider == provider)
            kept += own_messages(&in->exchanges[i], in->p->options.date);
    return kept > cap || !(accounts[x->to].row.consent_actions & FLZ_ACTION_MOVE);
}

static void add_sender(struct instalment *in, const struct candidate *c)
{
    struct planning *p = in->p;
    const struct row_account *row = &in->core->accounts[c->plan.handle].row;
    if (row->planned_date >= p->options.date || !still_takes_part(in, c, FLZ_ACTION_SEND))
        return;
    struct losses losses = {.changed = 0};
    size_t first = in->exchanges_count;
    for (size_t i = 0; i < c->count; i++) {
        struct plan_exchange *x = &in->exchanges[in->exchanges_count];
        plan_exchange_at(&p->input, &p->output, p->order[c->first + i], x);
        bool holds = still_holds(in, x);
        if (!holds || is_held_back(in, x, first)) {
            *(holds ? &losses.held : &losses.changed) += own_messages(x, p->options.date);
            continue;
        }
        in->exchanges_count++;
        in->messages += x->turns_count;
    }
    in->accounts[in->accounts_count++] = account_day(p, c, losses);
}

/* The next senders' days; *ret_end is the candidate behind them. */
static int gather(struct instalment *in, size_t *ret_end)
{
    struct planning *p = in->p;
    size_t end = p->next_sender, accounts = 0, exchanges = 0;
    while (end < p->candidates_count && accounts < PLANNING_SEAL_ACCOUNTS &&
           exchanges < PLANNING_SEAL_EXCHANGES) {
        accounts += p->candidates[end].plan.sends;
        exchanges += p->candidates[end++].count;
    }
    struct flz_arena *arena = &in->core->step_arena;
    in->accounts = flz_arena_alloc(arena, (accounts + 1) * sizeof *in->accounts);
    in->exchanges = flz_arena_alloc(arena, (exchanges + 1) * sizeof *in->exchanges);
    if (!in->accounts || !in->exchanges)
        return flz_fail(-ENOMEM);
    for (size_t i = p->next_sender; i < end; i++)
        if (p->candidates[i].plan.sends)
            add_sender(in, &p->candidates[i]);
    *ret_end = end;
    return 0;
}

/* ---- Into the log ---- */

static struct flz_digest hash_of(const struct instalment *in)
{
    const struct coord *core = in->core;
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add_piece(&hash, "fluenzr/plan/v1", 15);
    flz_hash_add(&hash, core->network.id.b, sizeof core->network.id.b);
    flz_hash_add(&hash, core->network.generation.b, sizeof core->network.generation.b);
    flz_hash_add_u64(&hash, core->network.plans);
    flz_hash_add_u64(&hash, (uint64_t)in->p->options.date);
    flz_hash_add_u64(&hash, (uint64_t)core->clock);
    flz_hash_add_u64(&hash, in->p->options.seed);
    for (size_t i = 0; i < in->exchanges_count; i++) {
        const struct plan_exchange *x = &in->exchanges[i];
        flz_hash_add_u64(&hash, (uint64_t)x->from << 32 | x->to);
        flz_hash_add_u64(&hash, x->seed);
        for (uint32_t turn = 0; turn < x->turns_count; turn++)
            flz_hash_add_u64(&hash, (uint64_t)x->turns[turn].send_at);
    }
    return flz_hash_digest(&hash);
}

static struct flz_id exchange_id(const struct instalment *in, struct flz_digest plan, size_t n)
{
    struct flz_hash hash;
    struct flz_view key = {.data = in->core->id_key, .len = in->core->id_key_len};
    flz_hash_init_id(&hash, key, "fluenzr/exchange/v1");
    flz_hash_add(&hash, plan.b, sizeof plan.b);
    flz_hash_add_u64(&hash, in->exchanges[n].from);
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

static int fill_exchange(const struct instalment *in, struct flz_digest plan, size_t n,
                         struct event_plan_exchange *ret_exchange)
{
    const struct plan_exchange *x = &in->exchanges[n];
    struct event_plan_turn *turns =
        flz_arena_alloc(&in->core->step_arena, x->turns_count * sizeof *turns);
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
        .id = exchange_id(in, plan, n),
        .from = x->from,
        .to = x->to,
        .one_node = in->core->accounts[x->from].row.node == in->core->accounts[x->to].row.node,
        .same_owner = x->same_owner,
        .pack = x->pack,
        .scenario = x->scenario,
        .seed = x->seed,
        .expires = expiry(in->core, x),
        .turns = turns,
        .turns_count = x->turns_count,
    };
    return 0;
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

static int emit_part(const struct instalment *in, struct flz_digest plan, struct cut *cut,
                     uint32_t part)
{
    struct event event = {
        .type = EVENT_PLAN_PART,
        .plan_part = {.plan = in->core->network.plans, .part = part, .date = in->p->options.date},
    };
    struct event_plan_part *e = &event.plan_part;
    e->accounts = in->accounts + cut->account;
    e->accounts_count = least(in->accounts_count - cut->account, FLZ_PLAN_ACCOUNTS_MAX);
    cut->account += e->accounts_count;
    e->exchanges_count = least(in->exchanges_count - cut->exchange, FLZ_PLAN_EXCHANGES_MAX);
    struct event_plan_exchange *exchanges =
        flz_arena_alloc(&in->core->step_arena, (e->exchanges_count + 1) * sizeof *exchanges);
    if (!exchanges)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < e->exchanges_count; i++) {
        int r = fill_exchange(in, plan, cut->exchange++, &exchanges[i]);
        if (r < 0)
            return r;
    }
    e->exchanges = exchanges;
    return coord_emit(in->core, event);
}

static int emit_instalment(const struct instalment *in, bool more)
{
    struct flz_digest plan = hash_of(in);
    struct cut cut = {.account = 0};
    uint32_t part = 0;
    while (cut.account < in->accounts_count || cut.exchange < in->exchanges_count) {
        int r = emit_part(in, plan, &cut, part++);
        if (r < 0)
            return r;
    }
    struct event event = {
        .type = EVENT_PLAN_SEAL,
        .plan_seal = {.plan = in->core->network.plans,
                      .parts = part,
                      .date = in->p->options.date,
                      .hash = plan,
                      .accounts = (uint32_t)in->accounts_count,
                      .exchanges = (uint32_t)in->exchanges_count,
                      .messages = in->messages,
                      .more = more},
    };
    return coord_emit(in->core, event);
}

static bool is_sealed(const struct planning *p, size_t from)
{
    while (from < p->candidates_count && !p->candidates[from].plan.sends)
        from++;
    return from == p->candidates_count;
}

int planning_seal(struct planning *p, struct coord *core)
{
    struct instalment in = {.p = p, .core = core};
    size_t end = p->next_sender;
    int r = gather(&in, &end);
    bool more = r == 0 && !is_sealed(p, end);
    if (r == 0 && in.accounts_count > 0)
        r = emit_instalment(&in, more);
    if (r < 0)
        return r;
    p->next_sender = end;
    p->sealed_exchanges += in.exchanges_count;
    p->sealed_messages += in.messages;
    if (!more)
        p->phase = PLANNING_OVER;
    return 0;
}
