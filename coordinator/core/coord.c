/* The two doors, and the looks into the core. */
#include "coordinator/core/state.h"

#include "common/base/hash.h"
#include "common/base/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int coord_new(struct flz_id network, struct flz_view id_key, const struct policy *policy,
              struct coord **ret_core)
{
    struct coord *core = calloc(1, sizeof *core);
    if (!core)
        return flz_fail(-ENOMEM);
    core->network.id = network;
    core->policy = *policy;
    core->contacts_free = COORD_NONE;
    core->id_key_len = id_key.len < sizeof core->id_key ? id_key.len : sizeof core->id_key;
    if (core->id_key_len > 0)
        memcpy(core->id_key, id_key.data, core->id_key_len);
    *ret_core = core;
    return 0;
}

static void nodes_free(struct coord *core)
{
    for (size_t i = 0; i < core->nodes_count; i++) {
        free((void *)(uintptr_t)core->nodes[i].row.packs);
        free((void *)(uintptr_t)core->nodes[i].row.revocation.data);
        flz_heap_deinit(&core->nodes[i].waiting);
        flz_map_deinit(&core->nodes[i].held);
    }
    free(core->nodes);
}

static void maps_free(struct coord *core)
{
    struct flz_map *maps[] = {
        &core->nodes_by_id,         &core->nodes_by_curve,  &core->accounts_by_id,
        &core->accounts_by_address, &core->names_by_digest, &core->presence,
        &core->invites_by_token,    &core->suppressed,      &core->contacts_by_pair,
        &core->days_by_key,         &core->live_by_id,      &core->tallies_by_key,
        &core->standings_by_key,    &core->alerts_open,
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        flz_map_deinit(maps[i]);
}

struct coord *coord_free(struct coord *core)
{
    if (!core)
        return NULL;
    nodes_free(core);
    maps_free(core);
    for (size_t i = 0; i < core->live_count; i++)
        free(core->live[i]);
    for (size_t i = 0; i < STATE_NAME_KINDS; i++)
        free(core->names[i].items);
    fold_pending_deinit(core);
    flz_arena_deinit(&core->step_arena);
    flz_heap_deinit(&core->due);
    free((void *)(uintptr_t)core->network.forgotten);
    void *const arrays[] = {
        core->accounts,     core->invites,      core->settings, core->pauses,
        core->suppressions, core->contacts,     core->days,     core->days_free,
        core->live,         core->changes,      core->events,   core->orders,
        core->tallies,      core->tallies_free, core->alerts,   core->standings};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(core);
    return NULL;
}

/* ---- Deciding ---- */

int coord_emit(struct coord *core, struct event event)
{
    event.at = core->clock;
    event.report_node = core->report_node;
    event.report_seq = core->report_seq;
    core->report_node = 0;
    core->report_seq = 0;
    int r = flz_grow((void **)&core->events, &core->events_capacity, core->events_count + 1,
                     sizeof *core->events);
    if (r < 0)
        return r;
    core->events[core->events_count++] = event;
    return fold_event(core, &event);
}

int coord_order(struct coord *core, struct coord_order order)
{
    order.attempt = state_task(state_live(core, order.exchange), order.turn, order.kind)->attempt;
    int r = flz_grow((void **)&core->orders, &core->orders_capacity, core->orders_count + 1,
                     sizeof *core->orders);
    if (r == 0)
        core->orders[core->orders_count++] = order;
    return r;
}

static int tick(struct coord *core)
{
    int r = pause_expire(core);
    return r < 0 ? r : exchange_tick(core);
}

static int decide(struct coord *core, const struct coord_command *command,
                  struct coord_update *update)
{
    switch (command->kind) {
    case COORD_LEAD: return fleet_lead(core, command, update);
    case COORD_INVITE: return fleet_invite(core, command, update);
    case COORD_JOIN: return fleet_join(core, command, update);
    case COORD_HELLO: return fleet_hello(core, command, update);
    case COORD_CREDIT: return fleet_credit(core, command);
    case COORD_REPORT: return report_take(core, command, update);
    case COORD_TICK: return tick(core);
    case COORD_PLAN: return planning_plan(core, command, update);
    case COORD_PAUSE: return pause_set(core, command, update);
    case COORD_RESUME: return pause_end(core, command, update);
    case COORD_REVOKE: return fleet_revoke(core, command, update);
    case COORD_END_CONSENT: return roster_end_consent(core, command, update);
    case COORD_REMOVE: return roster_remove(core, command, update);
    case COORD_SUPPRESS: return roster_suppress(core, command, update);
    case COORD_UNSUPPRESS: return roster_unsuppress(core, command, update);
    case COORD_SET_POLICY: return pause_policy(core, command, update);
    case COORD_CLEAR: return standing_clear(core, command, update);
    case COORD_ALERT: return alert_notice(core, &command->alert);
    case COORD_ALERT_ACK: return alert_ack(core, command, update);
    }
    return flz_fail(-EINVAL);
}

/* Entries that another wake-up time has replaced: without them coord_next() tells the truth. */
static void drop_stale(struct coord *core)
{
    struct flz_heap_entry entry;
    while (flz_heap_peek(&core->due, &entry)) {
        const struct live *x = state_live(core, (uint32_t)entry.item);
        if (x && x->wake == entry.at)
            return;
        (void)flz_heap_pop_due(&core->due, FLZ_NEVER, &entry);
    }
}

int coord_step(struct coord *core, const struct coord_command *command,
               struct coord_update *ret_update)
{
    flz_arena_deinit(&core->step_arena);
    core->events_count = 0;
    core->orders_count = 0;
    core->report_node = 0;
    core->report_seq = 0;
    core->clock = command->now > core->network.now ? command->now : core->network.now;

    struct coord_update update = {.handle = COORD_NONE};
    int r = decide(core, command, &update);
    if (r < 0)
        return r;
    drop_stale(core);
    update.events = core->events;
    update.events_count = core->events_count;
    update.orders = core->orders;
    update.orders_count = core->orders_count;
    *ret_update = update;
    return 0;
}

int coord_apply(struct coord *core, const struct event *event)
{
    return fold_event(core, event);
}

int64_t coord_next(const struct coord *core)
{
    struct flz_heap_entry entry;
    int64_t next = pause_next(core);
    if (flz_heap_peek(&core->due, &entry) && entry.at < next)
        next = entry.at;
    return next;
}

/* ---- Tasks ---- */

struct flz_id coord_task_id(struct flz_id exchange, uint32_t turn, uint32_t kind, uint32_t attempt)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "fluenzr/task/v1");
    flz_hash_add(&hash, exchange.b, sizeof exchange.b);
    flz_hash_add_u64(&hash, turn);
    flz_hash_add_u64(&hash, kind);
    flz_hash_add_u64(&hash, attempt);
    return flz_hash_id(&hash);
}

static void task_times(const struct coord *core, struct live *x, const struct coord_order *order,
                       struct coord_task *task)
{
    const struct row_turn *t = order->kind == FLZ_TASK_TIDY ? NULL : &x->turns[order->turn];
    switch (order->kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY:
        task->not_before = t->send_at;
        task->not_after = t->send_until;
        task->local_date = t->date;
        task->day_cap = t->day_cap;
        break;
    case FLZ_TASK_FIND:
        task->not_before = t->send_at + core->policy.find_delay_ms;
        task->deadline = exchange_find_deadline(core, t);
        task->not_after = exchange_find_until(core, t);
        break;
    case FLZ_TASK_UNSPAM:
    case FLZ_TASK_OPEN:
        task->not_before = t->open_at;
        task->not_after = t->open_until;
        break;
    default:
        task->not_before = x->row.tidy_at;
        task->not_after = x->row.tidy_at + core->policy.action_deadline_ms;
        break;
    }
}

bool coord_stands(const struct coord *core, const struct coord_order *order)
{
    struct live *x = state_live(core, order->exchange);
    const struct row_task *row = x ? state_task(x, order->turn, order->kind) : NULL;
    return row && row->state == TASK_OPEN && row->attempt == order->attempt;
}

int coord_task(const struct coord *core, const struct coord_order *order,
               struct coord_task *ret_task)
{
    struct live *x = state_live(core, order->exchange);
    const struct row_task *row = x ? state_task(x, order->turn, order->kind) : NULL;
    if (!row)
        return -ENOENT;
    bool tidy = order->kind == FLZ_TASK_TIDY;
    bool send = order->kind == FLZ_TASK_SEND || order->kind == FLZ_TASK_REPLY;
    uint32_t turn = tidy ? 0 : order->turn;
    struct coord_task task = {
        .sender = exchange_sender(&x->row, turn),
        .recipient = exchange_recipient(&x->row, turn),
        .id = coord_task_id(x->row.id, order->turn, order->kind, row->attempt),
        .attempt = row->attempt,
        .expires = x->row.expires,
    };
    if (tidy)
        task.account = order->turn == 0 ? x->row.from : x->row.to;
    else
        task.account = send ? task.sender : task.recipient;
    task.peer = task.account == x->row.from ? x->row.to : x->row.from;
    task_times(core, x, order, &task);
    *ret_task = task;
    return 0;
}

/* Whether an issued task's report is waited for with the clock: once an opening's hours are long
 * over, its node is silent, and is only waited for because there are second hours. */
static bool awaited(const struct coord *core, const struct coord_order *order,
                    const struct coord_task *task, int64_t now)
{
    bool mailbox = order->kind == FLZ_TASK_UNSPAM || order->kind == FLZ_TASK_OPEN;
    return !mailbox || now <= task->not_after + FLZ_HOUR_MS + core->policy.grace_ms;
}

static size_t due_of(const struct coord *core, struct live *x, uint32_t turn, int64_t now)
{
    static const uint32_t kinds[] = {FLZ_TASK_SEND,   FLZ_TASK_REPLY, FLZ_TASK_FIND,
                                     FLZ_TASK_UNSPAM, FLZ_TASK_OPEN,  FLZ_TASK_TIDY};
    size_t n = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct row_task *row = state_task(x, turn, kinds[i]);
        if (!row || row->state != TASK_OPEN)
            continue;
        struct coord_order order = {.exchange = x->row.handle, .turn = turn, .kind = kinds[i]};
        struct coord_task task = {.account = 0};
        task_times(core, x, &order, &task);
        int64_t due = kinds[i] == FLZ_TASK_FIND ? task.deadline : task.not_before;
        n += due <= now && awaited(core, &order, &task, now);
    }
    return n;
}

/* A task that was ordered late, since the step before it took its time, is not late by that. */
static bool task_presses(const struct coord *core, struct live *x, const struct coord_order *order,
                         int64_t now, int64_t late_ms, int64_t margin_ms)
{
    const struct row_task *row = state_task(x, order->turn, order->kind);
    struct coord_task task = {.account = 0};
    task_times(core, x, order, &task);
    if (!awaited(core, order, &task, now))
        return false;
    bool send = order->kind == FLZ_TASK_SEND || order->kind == FLZ_TASK_REPLY;
    int64_t due = order->kind == FLZ_TASK_FIND ? task.deadline : task.not_before;
    int64_t since = due > row->issued_at ? due : row->issued_at;
    return since + late_ms <= now || (send && due <= now && task.not_after - margin_ms <= now);
}

bool coord_presses(const struct coord *core, int64_t now, int64_t late_ms, int64_t margin_ms)
{
    for (size_t i = 0; i < core->live_count; i++) {
        struct live *x = core->live[i];
        for (uint32_t turn = 0; x && turn < FLZ_TURNS_MAX; turn++) {
            for (uint32_t kind = FLZ_TASK_SEND; kind <= FLZ_TASK_KIND_MAX; kind++) {
                const struct row_task *row = state_task(x, turn, kind);
                struct coord_order order = {.exchange = x->row.handle, .turn = turn, .kind = kind};
                if (row && row->state == TASK_OPEN &&
                    task_presses(core, x, &order, now, late_ms, margin_ms))
                    return true;
            }
        }
    }
    return false;
}

size_t coord_due_unreported(const struct coord *core, int64_t now)
{
    size_t n = 0;
    for (size_t i = 0; i < core->live_count; i++) {
        struct live *x = core->live[i];
        /* Two rounds at least: TIDY has two sides, whatever the number of turns. */
        for (uint32_t turn = 0; x && turn < FLZ_TURNS_MAX; turn++)
            n += due_of(core, x, turn, now);
    }
    return n;
}

/* ---- Looking ---- */

const struct policy *coord_policy(const struct coord *core)
{
    return &core->policy;
}

const struct row_network *coord_network(const struct coord *core)
{
    return &core->network;
}

size_t coord_node_count(const struct coord *core)
{
    return core->nodes_count;
}

const struct row_node *coord_node(const struct coord *core, uint32_t node)
{
    const struct node_state *state = state_node(core, node);
    return state ? &state->row : NULL;
}

uint32_t coord_find_node(const struct coord *core, struct flz_id id)
{
    return flz_map_get(&core->nodes_by_id, id);
}

uint32_t coord_find_node_by_curve(const struct coord *core, struct flz_curve_public key)
{
    struct flz_id id;
    memcpy(id.b, key.b, sizeof id.b);
    uint32_t node = flz_map_get(&core->nodes_by_curve, id);
    if (node == COORD_NONE || memcmp(core->nodes[node].row.curve_key.b, key.b, sizeof key.b) != 0)
        return COORD_NONE;
    return node;
}

uint32_t coord_node_credit(const struct coord *core, uint32_t node)
{
    const struct node_state *state = state_node(core, node);
    return state ? state->credit : 0;
}

uint32_t coord_node_open(const struct coord *core, uint32_t node)
{
    const struct node_state *state = state_node(core, node);
    return state ? state->open : 0;
}

size_t coord_revocations(const struct coord *core, uint64_t from, struct flz_view *ret_revocations,
                         size_t max)
{
    uint64_t all = core->network.revocation_version;
    if (from >= all)
        return 0;
    size_t count = all - from < max ? (size_t)(all - from) : max;
    for (size_t i = 0; i < count; i++)
        ret_revocations[i] = FLZ_VIEW_NULL;
    for (size_t i = 0; i < core->nodes_count; i++) {
        const struct row_node *row = &core->nodes[i].row;
        if (row->revocation_version > from && row->revocation_version - from <= count)
            ret_revocations[row->revocation_version - from - 1] = row->revocation;
    }
    return count;
}

size_t coord_account_count(const struct coord *core)
{
    return core->accounts_count;
}

const struct row_account *coord_account(const struct coord *core, uint32_t account)
{
    const struct account_state *state = state_account(core, account);
    return state ? &state->row : NULL;
}

uint32_t coord_find_account(const struct coord *core, struct flz_id id)
{
    return flz_map_get(&core->accounts_by_id, id);
}

uint32_t coord_find_address(const struct coord *core, struct flz_digest address)
{
    return flz_map_get(&core->accounts_by_address, state_digest_key(address, 0));
}

const struct row_exchange *coord_exchange(const struct coord *core, uint32_t exchange)
{
    const struct live *x = state_live(core, exchange);
    return x ? &x->row : NULL;
}

uint32_t coord_find_exchange(const struct coord *core, struct flz_id id)
{
    uint32_t exchange = flz_map_get(&core->live_by_id, id);
    return state_live(core, exchange) ? exchange : COORD_NONE;
}

size_t coord_exchange_limit(const struct coord *core)
{
    return (size_t)core->live_base + core->live_count;
}

const struct row_day *coord_day(const struct coord *core, uint32_t account, int32_t date)
{
    const struct day_state *day = state_find_day(core, account, date);
    return day ? &day->row : NULL;
}

const struct row_name *coord_name(const struct coord *core, enum row_name_kind kind,
                                  uint32_t handle)
{
    const struct name_state *name = state_name(core, kind, handle);
    return name ? &name->row : NULL;
}

size_t coord_invite_count(const struct coord *core)
{
    return core->invites_count;
}

const struct row_invite *coord_invite(const struct coord *core, uint32_t invite)
{
    return invite < core->invites_count ? &core->invites[invite].row : NULL;
}

/* Ended pauses and suppressions leave the arrays with the next coord_take_rows; they are passed
 * over until then. */
size_t coord_pause_count(const struct coord *core)
{
    size_t n = 0;
    for (size_t i = 0; i < core->pauses_count; i++)
        n += core->pauses[i].live;
    return n;
}

const struct row_pause *coord_pause(const struct coord *core, size_t index)
{
    for (size_t i = 0; i < core->pauses_count; i++)
        if (core->pauses[i].live && index-- == 0)
            return &core->pauses[i].row;
    return NULL;
}

size_t coord_suppression_count(const struct coord *core)
{
    return core->suppressed.count;
}

const struct row_suppression *coord_suppression(const struct coord *core, size_t index)
{
    for (size_t i = 0; i < core->suppressions_count; i++)
        if (core->suppressions[i].live && index-- == 0)
            return &core->suppressions[i].row;
    return NULL;
}

bool coord_is_suppressed(const struct coord *core, struct flz_digest address)
{
    return state_is_suppressed(core, address);
}
