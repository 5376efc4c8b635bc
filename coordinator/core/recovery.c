/*
 * What a log restored from a backup has forgotten, and how receipts bring it back. Each task
 * travels with a voucher, sealed under the network's key, and its receipt hands the voucher back: a
 * coordinator that never heard of the task finds in it that it ordered the task itself, when, in
 * which log generation, and the exchange's plan.
 *
 * A receipt is recovered when the seal is ours, its generation was given up, the task was ordered
 * behind the end of what this log has of that generation, and this log never ordered it. Nothing
 * that lived when the log was restored, or was recovered since, leaves memory before such receipts
 * are no longer taken: none begins an exchange twice.
 */
#include "coordinator/core/state.h"

#include "common/base/hash.h"

#include <errno.h>
#include <string.h>

static const struct row_forgotten *newest(const struct coord *core)
{
    size_t n = core->network.forgotten_count;
    return n > 0 ? &core->network.forgotten[n - 1] : NULL;
}

/* ---- Vouchers ---- */

static void add_id(struct flz_hash *hash, struct flz_id id)
{
    flz_hash_add(hash, id.b, sizeof id.b);
}

static void add_turn(struct flz_hash *hash, const struct event_plan_turn *t)
{
    const int64_t values[] = {t->send_at,   t->send_until, t->open_at,   t->open_until,  t->date,
                              t->open_date, t->day_cap,    t->reopen_at, t->reopen_until};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        flz_hash_add_u64(hash, (uint64_t)values[i]);
}

static struct flz_id seal_of(const struct coord *core, struct flz_id task, struct flz_id account,
                             const struct flz_voucher *voucher)
{
    const struct event_plan_exchange *plan = &voucher->plan;
    struct flz_hash hash;
    flz_hash_init_id(&hash, (struct flz_view){.data = core->id_key, .len = core->id_key_len},
                     "fluenzr/voucher/v1");
    add_id(&hash, task);
    add_id(&hash, account);
    add_id(&hash, voucher->generation);
    flz_hash_add_u64(&hash, (uint64_t)voucher->issued_at);
    add_id(&hash, voucher->from);
    add_id(&hash, voucher->to);
    flz_hash_add_u64(&hash, (uint64_t)voucher->planned_at);
    flz_hash_add_u64(&hash, (uint64_t)plan->one_node << 1 | plan->same_owner);
    flz_hash_add(&hash, plan->pack.b, sizeof plan->pack.b);
    flz_hash_add_u64(&hash, plan->scenario);
    flz_hash_add_u64(&hash, plan->seed);
    flz_hash_add_u64(&hash, (uint64_t)plan->expires);
    flz_hash_add_u64(&hash, plan->turns_count);
    for (size_t i = 0; i < plan->turns_count; i++)
        add_turn(&hash, &plan->turns[i]);
    return flz_hash_id(&hash);
}

static void carry_plan(const struct coord *core, const struct row_exchange *x,
                       struct event_plan_turn turns[static FLZ_TURNS_MAX],
                       struct flz_voucher *voucher)
{
    for (size_t i = 0; i < x->turns_count; i++) {
        const struct row_turn *t = &x->turns[i];
        turns[i] = (struct event_plan_turn){
            .send_at = t->send_at,
            .send_until = t->send_until,
            .open_at = t->open_at,
            .open_until = t->open_until,
            .date = t->date,
            .open_date = t->open_date,
            .day_cap = t->day_cap,
            .reopen_at = t->reopen_at,
            .reopen_until = t->reopen_until,
        };
    }
    voucher->from = core->accounts[x->from].row.id;
    voucher->to = core->accounts[x->to].row.id;
    voucher->planned_at = x->planned_at;
    voucher->plan = (struct event_plan_exchange){
        .one_node = x->one_node,
        .same_owner = x->same_owner,
        .pack = x->pack,
        .scenario = x->scenario,
        .seed = x->seed,
        .expires = x->expires,
        .turns = turns,
        .turns_count = x->turns_count,
    };
}

int coord_voucher(const struct coord *core, const struct coord_order *order,
                  struct event_plan_turn turns[static FLZ_TURNS_MAX],
                  struct flz_voucher *ret_voucher)
{
    struct live *x = state_live(core, order->exchange);
    const struct row_task *row = x ? state_task(x, order->turn, order->kind) : NULL;
    struct coord_task task;
    if (!row || coord_task(core, order, &task) < 0)
        return -ENOENT;
    struct flz_voucher voucher = {
        .generation = core->network.generation,
        .issued_at = row->issued_at,
    };
    if (flz_task_kind_sends(order->kind) || order->kind == FLZ_TASK_FIND)
        carry_plan(core, &x->row, turns, &voucher);
    voucher.seal = seal_of(core, task.id, core->accounts[task.account].row.id, &voucher);
    *ret_voucher = voucher;
    return 0;
}

/* ---- What may be recovered ---- */

bool recovery_is_on(const struct coord *core)
{
    return newest(core) && core->clock < newest(core)->until;
}

/* Ordered in a generation that was given up, behind what this log has of it. */
static bool is_forgotten(const struct coord *core, const struct flz_voucher *voucher)
{
    const struct row_network *network = &core->network;
    if (!recovery_is_on(core) || flz_id_is_null(voucher->generation) ||
        flz_id_equal(voucher->generation, network->generation))
        return false;
    for (size_t i = 0; i < network->forgotten_count; i++) {
        const struct row_forgotten *f = &network->forgotten[i];
        if (flz_id_equal(f->generation, voucher->generation))
            return core->clock < f->until && voucher->issued_at >= f->from;
    }
    /* One that this log never heard of: all of it is forgotten. */
    return true;
}

static bool is_ours(const struct coord *core, const struct flz_receipt *receipt,
                    const struct flz_voucher *voucher)
{
    struct flz_id task =
        coord_task_id(receipt->exchange, receipt->turn, receipt->kind, receipt->attempt);
    return flz_id_equal(task, receipt->task) &&
           flz_id_equal(voucher->seal, seal_of(core, receipt->task, receipt->account, voucher));
}

static bool has_room_for(const struct flz_voucher *voucher, const struct flz_receipt *receipt)
{
    return receipt->kind != FLZ_TASK_TIDY && voucher->plan.turns_count <= FLZ_TURNS_MAX &&
           receipt->turn < voucher->plan.turns_count;
}

bool recovery_applies(const struct coord *core, const struct coord_command *command)
{
    const struct flz_receipt *receipt = &command->report.report->receipt;
    const struct flz_voucher *voucher = command->report.voucher;
    if (!voucher || !is_forgotten(core, voucher) || !report_makes_sense(receipt) ||
        !is_ours(core, receipt, voucher))
        return false;
    struct live *x = state_live(core, coord_find_exchange(core, receipt->exchange));
    if (!x)
        return has_room_for(voucher, receipt);
    const struct row_task *task = state_task(x, receipt->turn, receipt->kind);
    return task && (task->issued_at == 0 || receipt->attempt > task->attempt);
}

bool recovery_keeps(const struct coord *core, const struct live *x, int64_t *ret_until)
{
    if (!recovery_is_on(core) ||
        (!x->row.recovered && x->row.planned_at > newest(core)->restored_at))
        return false;
    *ret_until = newest(core)->until;
    return true;
}

/* ---- Recovering ---- */

/* The plan, with the handles that its accounts have or get here. */
static int adopt_plan(struct coord *core, const struct flz_voucher *voucher,
                      struct event_recovered *e)
{
    size_t n = voucher->plan.turns_count;
    struct event_plan_turn *turns = flz_arena_alloc(&core->step_arena, n * sizeof *turns);
    if (!turns)
        return flz_fail(-ENOMEM);
    memcpy(turns, voucher->plan.turns, n * sizeof *turns);
    uint32_t next = (uint32_t)core->accounts_count;
    uint32_t from = coord_find_account(core, voucher->from);
    uint32_t to = coord_find_account(core, voucher->to);
    e->from = voucher->from;
    e->to = voucher->to;
    e->planned_at = voucher->planned_at;
    e->plan = voucher->plan;
    e->plan.turns = turns;
    e->plan.from = from != COORD_NONE ? from : next++;
    e->plan.to = to != COORD_NONE ? to : next;
    return 0;
}

int recovery_take(struct coord *core, const struct coord_command *command)
{
    const struct flz_voucher *voucher = command->report.voucher;
    struct event event = {.type = EVENT_RECOVERED};
    struct event_recovered *e = &event.recovered;
    e->receipt = command->report.report->receipt;
    e->receipt.voucher = FLZ_VIEW_NULL;
    e->node = command->node;
    e->fault = report_fault(&e->receipt);
    e->issued_at = voucher->issued_at;
    e->exchange = coord_find_exchange(core, e->receipt.exchange);
    if (e->exchange == COORD_NONE) {
        e->exchange = core->network.exchanges;
        int r = adopt_plan(core, voucher, e);
        if (r < 0)
            return r;
    }
    uint32_t exchange = e->exchange;
    int r = coord_emit(core, event);
    return r < 0 ? r : exchange_advance(core, exchange);
}
