#include "coordinator/sim/fleetsim.h"

#include "common/base/cleanup.h"
#include "common/base/heap.h"
#include "common/base/time.h"
#include "coordinator/sim/lot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS (15 * FLZ_MINUTE_MS)
#define DELAY_MS (2 * FLZ_MINUTE_MS) /* at most, from when a task may be done */
#define LOOK_MS (5 * FLZ_MINUTE_MS)  /* from a message's slot to the first look for it */
#define RESERVE 1024

struct task {
    struct coord_order order;
    uint32_t next_free;
};

/* A message on its way: a turn of a live exchange. */
struct message {
    int64_t arrives; /* 0: not sent */
    uint32_t placement;
};

struct slot {
    struct message turns[FLZ_TURNS_MAX];
};

struct fleetsim {
    struct mailsim *mail;
    const struct crowd *crowd;
    uint64_t seed;
    struct flz_heap due; /* of tasks, by index */
    struct task *tasks;
    size_t tasks_count;
    size_t tasks_capacity;
    uint32_t tasks_free; /* first of the free ones; COORD_NONE: none */
    /* A ring over the handles of live exchanges: [first, first + size). */
    struct slot *slots;
    size_t slots_size; /* a power of two */
    uint32_t first;
    uint64_t deferred;
};

FLZ_DEFINE_FREEP(struct fleetsim, fleetsim_free)

int fleetsim_new(struct mailsim *mail, const struct crowd *crowd, uint64_t seed,
                 struct fleetsim **ret_fleet)
{
    _cleanup_(fleetsim_freep) struct fleetsim *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        return flz_fail(-ENOMEM);
    *fleet = (struct fleetsim){
        .mail = mail, .crowd = crowd, .seed = seed, .due = FLZ_HEAP_NULL, .tasks_free = COORD_NONE};
    fleet->slots = calloc(RESERVE, sizeof *fleet->slots);
    if (!fleet->slots)
        return flz_fail(-ENOMEM);
    fleet->slots_size = RESERVE;
    *ret_fleet = steal_ptr(&fleet);
    return 0;
}

struct fleetsim *fleetsim_free(struct fleetsim *fleet)
{
    if (!fleet)
        return NULL;
    flz_heap_deinit(&fleet->due);
    free(fleet->tasks);
    free(fleet->slots);
    free(fleet);
    return NULL;
}

int64_t fleetsim_next(const struct fleetsim *fleet)
{
    struct flz_heap_entry entry;
    return flz_heap_peek(&fleet->due, &entry) ? entry.at : FLZ_NEVER;
}

uint64_t fleetsim_deferred(const struct fleetsim *fleet)
{
    return fleet->deferred;
}

/* ---- Messages on their way ---- */

static struct slot *slot_at(const struct fleetsim *fleet, uint32_t exchange)
{
    return &fleet->slots[exchange & (fleet->slots_size - 1)];
}

static int grow_slots(struct fleetsim *fleet, uint32_t exchange)
{
    size_t size = fleet->slots_size;
    while (exchange - fleet->first >= size)
        size *= 2;
    struct slot *slots = calloc(size, sizeof *slots);
    if (!slots)
        return flz_fail(-ENOMEM);
    for (uint32_t i = 0; i < fleet->slots_size; i++)
        slots[(fleet->first + i) & (size - 1)] = *slot_at(fleet, fleet->first + i);
    free(fleet->slots);
    fleet->slots = slots;
    fleet->slots_size = size;
    return 0;
}

/* Room for the exchange's messages; what has ended before it makes room. */
static int reserve_slot(struct fleetsim *fleet, const struct coord *core, uint32_t exchange)
{
    while (fleet->first < exchange && !coord_exchange(core, fleet->first))
        *slot_at(fleet, fleet->first++) = (struct slot){.turns = {{0}}};
    return exchange - fleet->first < fleet->slots_size ? 0 : grow_slots(fleet, exchange);
}

/* ---- Orders ---- */

static int put_task(struct fleetsim *fleet, int64_t at, const struct coord_order *order)
{
    uint32_t i = fleet->tasks_free;
    if (i == COORD_NONE) {
        int r = flz_grow((void **)&fleet->tasks, &fleet->tasks_capacity, fleet->tasks_count + 1,
                         sizeof *fleet->tasks);
        if (r < 0)
            return r;
        i = (uint32_t)fleet->tasks_count++;
    } else {
        fleet->tasks_free = fleet->tasks[i].next_free;
    }
    fleet->tasks[i] = (struct task){.order = *order};
    return flz_heap_push(&fleet->due, at, i);
}

static const struct row_task *task_row(const struct row_exchange *x,
                                       const struct coord_order *order)
{
    const struct row_turn *t = &x->turns[order->kind == FLZ_TASK_TIDY ? 0 : order->turn];
    switch (order->kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY: return &t->send;
    case FLZ_TASK_FIND: return &t->find;
    case FLZ_TASK_UNSPAM: return &t->unspam;
    case FLZ_TASK_OPEN: return &t->open;
    default: return order->side == 0 ? &x->tidy_from : &x->tidy_to;
    }
}

static int64_t not_before(const struct row_exchange *x, const struct coord_order *order)
{
    const struct row_turn *t = &x->turns[order->kind == FLZ_TASK_TIDY ? 0 : order->turn];
    switch (order->kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY: return t->send_at;
    case FLZ_TASK_FIND: return t->send_at + LOOK_MS;
    case FLZ_TASK_TIDY: return x->tidy_at;
    default: return t->open_at;
    }
}

int fleetsim_order(struct fleetsim *fleet, const struct coord *core,
                   const struct coord_order *order)
{
    const struct row_exchange *x = coord_exchange(core, order->exchange);
    int64_t now = coord_network(core)->now, at = x ? not_before(x, order) : now;
    if (!x)
        return 0;
    int r = reserve_slot(fleet, core, order->exchange);
    if (r < 0)
        return r;
    uint64_t about = (uint64_t)order->turn << 8 | order->kind;
    uint64_t lot = lot_draw(fleet->seed ^ x->seed, LOT_DELAY, about);
    at = (at > now ? at : now) + FLZ_SECOND_MS + (int64_t)lot_below(lot, DELAY_MS);
    return put_task(fleet, at, order);
}

/* ---- Acting ---- */

/* A task on the desk. `said` is what its order says. */
struct act {
    struct fleetsim *fleet;
    const struct row_exchange *x;
    const struct coord_order *order;
    struct coord_task said;
    struct message *message; /* not of TIDY */
    int64_t now;
    int64_t again; /* 0: it is over */
    struct flz_receipt *receipt;
    struct fleetsim_event *event;
};

static void end(struct act *act, uint32_t outcome, uint32_t reason)
{
    act->receipt->outcome = outcome;
    act->receipt->reason = reason;
}

static uint32_t provider_of(const struct act *act, uint32_t account)
{
    return act->fleet->crowd->accounts[account].provider;
}

static void refuse(struct act *act, bool blocked)
{
    act->event->blocked = blocked;
    act->receipt->reply_code = 550;
    end(act, FLZ_OUTCOME_REJECTED, blocked ? FLZ_REASON_SPAM_BLOCK : FLZ_REASON_RECIPIENT);
}

static void take(struct act *act, const struct mailsim_answer *answer)
{
    act->event->sent = true;
    act->message->arrives = answer->arrives;
    act->message->placement = answer->placement;
    act->receipt->reply_code = 250;
    act->receipt->dot_at = act->now;
    act->receipt->local_date = act->said.local_date;
    end(act, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    /* To answer is the best that a recipient can do for who wrote before. */
    if (act->order->turn > 0)
        mailsim_engage(act->fleet->mail, act->said.recipient, act->said.sender, act->now, 2);
}

static void defer(struct act *act, uint32_t reason)
{
    act->fleet->deferred++;
    act->again = act->now + RETRY_MS;
    if (act->again <= act->said.not_after)
        return;
    act->again = 0;
    end(act, FLZ_OUTCOME_EXPIRED, reason);
}

static void send(struct act *act)
{
    struct fleetsim *fleet = act->fleet;
    if (act->now > act->said.not_after) {
        end(act, FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT);
        return;
    }
    if (mailsim_provider_down(fleet->mail, provider_of(act, act->said.sender), act->now) ||
        mailsim_provider_down(fleet->mail, provider_of(act, act->said.recipient), act->now)) {
        defer(act, FLZ_REASON_NETWORK);
        return;
    }
    struct mailsim_message message = {
        .from = act->said.sender,
        .to = act->said.recipient,
        .lot = lot_draw(fleet->seed ^ act->x->seed, LOT_PLACE, act->order->turn),
        .at = act->now};
    struct mailsim_answer answer = mailsim_send(fleet->mail, &message);
    switch (answer.verdict) {
    case MAILSIM_TAKEN: take(act, &answer); break;
    case MAILSIM_DEFERRED: defer(act, FLZ_REASON_RATE); break;
    case MAILSIM_REFUSED: refuse(act, false); break;
    case MAILSIM_BLOCKED: refuse(act, true); break;
    }
}

static void find(struct act *act)
{
    const struct message *message = act->message;
    int64_t down =
        mailsim_provider_down(act->fleet->mail, provider_of(act, act->said.recipient), act->now);
    if (message->arrives && message->arrives <= act->now && !down) {
        act->event->found = true;
        act->receipt->placement = message->placement;
        act->receipt->arrival_ms = -1;
        end(act, FLZ_OUTCOME_FOUND, FLZ_REASON_NONE);
    } else if (act->now > act->said.deadline) {
        end(act, down ? FLZ_OUTCOME_UNOBSERVED : FLZ_OUTCOME_MISSING,
            down ? FLZ_REASON_NETWORK : FLZ_REASON_NONE);
    } else {
        act->again = act->now + RETRY_MS;
        if (message->arrives > act->now && message->arrives < act->again)
            act->again = message->arrives;
    }
}

static void touch(struct act *act)
{
    int64_t down =
        mailsim_provider_down(act->fleet->mail, provider_of(act, act->said.account), act->now);
    if (down && down <= act->said.not_after) {
        act->again = down;
        return;
    }
    if (down || act->now > act->said.not_after) {
        end(act, FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT);
        return;
    }
    if (act->order->kind != FLZ_TASK_TIDY)
        mailsim_engage(act->fleet->mail, act->said.sender, act->said.recipient, act->now,
                       act->order->kind == FLZ_TASK_UNSPAM ? 2 : 1);
    end(act, FLZ_OUTCOME_DONE, FLZ_REASON_NONE);
}

static void begin_receipt(struct act *act, const struct coord *core)
{
    *act->event = (struct fleetsim_event){.from = act->said.sender, .to = act->said.recipient};
    struct flz_receipt *receipt = act->receipt;
    receipt->task = act->said.id;
    receipt->exchange = act->x->id;
    receipt->account = coord_account(core, act->said.account)->id;
    receipt->kind = act->order->kind;
    receipt->turn = act->order->turn;
    receipt->attempt = act->said.attempt;
    receipt->placement = FLZ_PLACEMENT_NONE;
    receipt->at = act->now;
    receipt->dot_at = 0;
    receipt->local_date = 0;
    receipt->reply_code = 0;
    receipt->arrival_ms = 0;
}

static void act_now(struct act *act)
{
    act->again = mailsim_node_down(act->fleet->mail, act->order->node, act->now);
    if (act->again)
        return;
    switch (act->order->kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY: send(act); break;
    case FLZ_TASK_FIND: find(act); break;
    default: touch(act); break;
    }
}

static void drop_task(struct fleetsim *fleet, uint32_t i)
{
    fleet->tasks[i].next_free = fleet->tasks_free;
    fleet->tasks_free = i;
}

int fleetsim_act(struct fleetsim *fleet, const struct coord *core, int64_t now, uint32_t *ret_node,
                 struct flz_receipt *ret_receipt, struct fleetsim_event *ret_event)
{
    struct flz_heap_entry entry;
    if (!flz_heap_pop_due(&fleet->due, now, &entry))
        return FLEETSIM_E_IDLE;
    uint32_t i = (uint32_t)entry.item;
    const struct coord_order *order = &fleet->tasks[i].order;
    struct act act = {.fleet = fleet,
                      .x = coord_exchange(core, order->exchange),
                      .order = order,
                      .now = now,
                      .receipt = ret_receipt,
                      .event = ret_event};
    /* What the core gave up meanwhile waits for nobody's word. */
    if (!act.x || task_row(act.x, order)->state != TASK_OPEN ||
        coord_task(core, order, &act.said) < 0) {
        drop_task(fleet, i);
        return FLEETSIM_E_IDLE;
    }
    if (order->kind != FLZ_TASK_TIDY)
        act.message = &slot_at(fleet, order->exchange)->turns[order->turn];
    begin_receipt(&act, core);
    act_now(&act);
    if (act.again) {
        int r = flz_heap_push(&fleet->due, act.again, i);
        return r < 0 ? r : FLEETSIM_E_IDLE;
    }
    *ret_node = order->node;
    drop_task(fleet, i);
    return 0;
}
