/*
 * The coordinator's core against model nodes that do everything nodes may do: any outcome, late,
 * twice, never; lost frames and acks; reconnects with and without their journal; revocation,
 * pauses, owners who say stop. The leader is killed at random commits, its uncommitted steps are
 * discarded.
 *
 * After every commit a follower that only applies the (encoded, decoded) events must yield the same
 * rows, byte for byte. A restored run puts an older backup of the store back in mid-run, under a
 * new log generation, after two more accounts were registered. At the end: faults stop, everything
 * ends, the whole log folded from nothing gives the same store, the counters are recomputed from
 * the exchanges, and the world's own messages are held against the ledger, one by one.
 *
 *     sim_coord [FIRST_SEED [COUNT [DAYS [KILLS [SWAPS [RESTORED]]]]]]   (of a thousand steps)
 *
 * RESTORED 0: no restored runs; 1: those alone.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "common/base/time.h"
#include "coordinator/core/plan.h"
#include "coordinator/core/replay.h"
#include "coordinator/core/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 4
#define ACCOUNTS 24
#define LATE_ACCOUNTS 2 /* of restored runs: registered behind the backup */
#define TASKS_MAX 40000
#define START_DATE 20500
#define WINDOW_START_MINUTE 540
#define WINDOW_END_MINUTE 1080

static uint64_t arg_seed;
static uint32_t arg_swaps = 20; /* of a thousand commits */
static int32_t arg_cooldown = 1;
static uint32_t arg_kills = 3;  /* of a thousand steps, before and after the commit each */

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            struct flz_origin origin_ = flz_error_origin();                                        \
            (void)fprintf(stderr, "seed %llu: %s:%d: %s: ", (unsigned long long)arg_seed,          \
                          __FILE__, __LINE__, #condition);                                         \
            (void)fprintf(stderr, __VA_ARGS__);                                                    \
            (void)fprintf(stderr, " (last error %d at %s:%d)\n", origin_.code,                     \
                          origin_.file ? origin_.file : "-", origin_.line);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- The store: rows by (kind, key), as bytes ---- */

struct entry {
    struct flz_buf key; /* kind, key */
    struct flz_buf value;
};

struct store {
    struct entry *entries; /* sorted */
    size_t count;
    size_t capacity;
};

static int compare_entry(const struct entry *entry, struct flz_view key)
{
    size_t n = entry->key.len < key.len ? entry->key.len : key.len;
    int r = memcmp(entry->key.data, key.data, n);
    return r ? r : (entry->key.len > key.len) - (entry->key.len < key.len);
}

static size_t store_find(const struct store *store, struct flz_view key, bool *ret_found)
{
    size_t low = 0;
    size_t high = store->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_entry(&store->entries[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < store->count && compare_entry(&store->entries[low], key) == 0;
    return low;
}

static void store_remove(struct store *store, size_t at)
{
    flz_buf_deinit(&store->entries[at].key);
    flz_buf_deinit(&store->entries[at].value);
    memmove(&store->entries[at], &store->entries[at + 1],
            (store->count - at - 1) * sizeof *store->entries);
    store->count--;
}

static struct entry *store_put(struct store *store, struct flz_view key)
{
    bool found;
    size_t at = store_find(store, key, &found);
    if (found)
        return &store->entries[at];
    CHECK(flz_grow((void **)&store->entries, &store->capacity, store->count + 1,
                   sizeof *store->entries) == 0,
          "memory");
    memmove(&store->entries[at + 1], &store->entries[at],
            (store->count - at) * sizeof *store->entries);
    store->count++;
    store->entries[at] = (struct entry){.key = FLZ_BUF_NULL, .value = FLZ_BUF_NULL};
    flz_buf_add_view(&store->entries[at].key, key);
    return &store->entries[at];
}

static void store_copy(const struct store *from, struct store *to)
{
    for (size_t i = 0; i < from->count; i++) {
        struct entry *entry = store_put(to, flz_buf_view(&from->entries[i].key));
        flz_buf_add_view(&entry->value, flz_buf_view(&from->entries[i].value));
    }
}

static void store_deinit(struct store *store)
{
    while (store->count > 0)
        store_remove(store, store->count - 1);
    free(store->entries);
    *store = (struct store){.count = 0};
}

static bool store_equal(const struct store *a, const struct store *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!flz_view_equal(flz_buf_view(&a->entries[i].key), flz_buf_view(&b->entries[i].key)) ||
            !flz_view_equal(flz_buf_view(&a->entries[i].value), flz_buf_view(&b->entries[i].value)))
            return false;
    return true;
}

/* I8: a planned day's reservations and sent messages never pass its quota. */
static void check_row(enum row_kind kind, const void *row)
{
    const struct row_day *day = row;
    if (kind == ROW_DAY && day->planned_day)
        CHECK(day->reserved + day->committed <= day->quota, "account %u date %d: %u + %u > %u",
              day->account, day->date, day->reserved, day->committed, day->quota);
    if (kind == ROW_DAY)
        CHECK(day->reserved < 100000 && day->sent < 100000, "a counter fell below zero");
}

static int on_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct store *store = data;
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    flz_buf_add_byte(&key, (uint8_t)kind);
    flz_row_key(kind, row, &key);
    if (deleted) {
        bool found;
        size_t at = store_find(store, flz_buf_view(&key), &found);
        if (found)
            store_remove(store, at);
        return 0;
    }
    check_row(kind, row);
    struct entry *entry = store_put(store, flz_buf_view(&key));
    flz_buf_reset(&entry->value);
    return flz_encode_row(kind, row, &entry->value);
}

/* ---- Model nodes ---- */

struct task {
    struct flz_id id;
    struct flz_id exchange;
    struct flz_id account;
    struct flz_id peer;
    struct flz_buf voucher;
    uint32_t node;
    uint32_t kind;
    uint32_t turn;
    uint32_t attempt;
    int64_t not_before;
    int64_t not_after;
    int64_t deadline;
    int64_t act_at;
    uint32_t message; /* index */
    bool ended;
    bool follows; /* AMBIGUOUS, a last word is due */
};

/* A message of the world: one (exchange, turn). */
struct message {
    struct flz_id exchange;
    uint32_t turn;
    uint32_t from;
    int32_t date;
    uint32_t dots;
    int64_t arrives; /* FLZ_NEVER: lost */
    uint32_t placement;
    bool sender_said;
    uint32_t sender_node;
    bool finder_said;
    uint32_t finder_node;
    bool in_ledger;
};

/* A first message that left. */
struct first {
    struct flz_id from;
    struct flz_id to;
    int32_t date;
};

struct model_report {
    struct flz_report report;
};

struct model {
    uint32_t handle;
    struct flz_id id;
    struct flz_id incarnation;
    struct flz_map tasks;         /* id → index, of this journal */
    struct model_report *reports; /* seq - 1 */
    size_t reports_count;
    size_t reports_capacity;
    uint64_t acked;
    uint64_t generation;
    bool connected;
    bool revoked;
};

struct world {
    struct flz_rng rng;
    struct coord *leader;
    struct coord *follower;
    struct store store;
    struct store mirror;
    struct flz_buf *log;
    size_t log_count;
    size_t log_capacity;
    int64_t now;
    uint64_t epoch;
    uint64_t generation;
    struct model models[NODES];
    struct task *tasks;
    size_t tasks_count;
    struct message *messages;
    size_t messages_count;
    struct flz_map messages_by_key;
    uint32_t serial;
    bool faults;
    size_t commits;
    size_t kills;
    size_t receipts;
    size_t reslots;
    struct first *firsts;
    size_t firsts_count;
    /* Restored runs. */
    int64_t backup_at; /* FLZ_NEVER: never */
    int64_t restore_at;
    bool backed_up;
    bool long_forgotten; /* over some hours of sending */
    bool fragile; /* nodes are not harmed while they alone know what was forgotten */
    uint32_t late;
    struct store backup;
    size_t backup_log;
    size_t recovered;
    size_t forgotten_accounts;
};

static bool chance(struct world *w, uint32_t percent)
{
    return flz_rng_below(&w->rng, 100) < percent;
}

static bool fault(struct world *w, uint32_t permille)
{
    return w->faults && flz_rng_below(&w->rng, 1000) < permille;
}

static struct flz_id new_id(struct world *w)
{
    struct flz_id id = flz_id_of_u64(++w->serial);
    id.b[0] = 0xaa;
    return id;
}

static struct flz_digest digest(uint32_t kind, uint64_t n)
{
    uint8_t bytes[12];
    flz_put_be32(bytes, kind);
    flz_put_be64(bytes + 4, n);
    return flz_digest_of((struct flz_view){.data = bytes, .len = sizeof bytes});
}

static struct policy sim_policy(void)
{
    struct policy policy = policy_default();
    policy.cooldown_days = arg_cooldown;
    return policy;
}

static struct coord *new_core(void)
{
    struct policy policy = sim_policy();
    struct coord *core;
    CHECK(coord_new(flz_id_of_u64(77), flz_view_str("key"), &policy, &core) == 0, "memory");
    return core;
}

/* ---- Commit, kill, load ---- */

static struct coord *load(const struct store *store)
{
    struct coord *core = new_core();
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    for (size_t i = 0; i < store->count; i++) {
        const struct entry *entry = &store->entries[i];
        enum row_kind kind = entry->key.data[0];
        union row row;
        CHECK(flz_decode_row(kind, flz_buf_view(&entry->value), &arena, &row) == 0, "kind %d",
              kind);
        CHECK(coord_load_row(core, kind, &row) == 0, "kind %d", kind);
    }
    return core;
}

/* The coordinator took this receipt: who bears witness to what. */
static void witness(struct world *w, uint32_t node, const struct flz_receipt *receipt)
{
    struct flz_id key = receipt->exchange;
    key.b[15] ^= (uint8_t)(receipt->turn + 1);
    uint32_t i = flz_map_get(&w->messages_by_key, key);
    if (i == FLZ_MAP_NONE)
        return;
    struct message *message = &w->messages[i];
    bool send = receipt->kind == FLZ_TASK_SEND || receipt->kind == FLZ_TASK_REPLY;
    if (send &&
        (receipt->outcome == FLZ_OUTCOME_SENT || receipt->outcome == FLZ_OUTCOME_AMBIGUOUS ||
         receipt->outcome == FLZ_OUTCOME_INDETERMINATE)) {
        message->sender_said = true;
        message->sender_node = node;
    }
    if (receipt->kind == FLZ_TASK_FIND && receipt->outcome == FLZ_OUTCOME_FOUND) {
        message->finder_said = true;
        message->finder_node = node;
    }
}

static void note(struct world *w, const struct event *event)
{
    if (event->type == EVENT_RECEIPT)
        witness(w, event->report_node, &event->receipt.receipt);
    if (event->type == EVENT_RECOVERED)
        witness(w, event->recovered.node, &event->recovered.receipt);
}

static void append(struct world *w, const struct event *event)
{
    note(w, event);
    const struct event_plan_exchange *plan = &event->recovered.plan;
    w->recovered += event->type == EVENT_RECOVERED;
    w->forgotten_accounts += event->type == EVENT_RECOVERED && plan->turns_count > 0 &&
                             (plan->from >= coord_account_count(w->follower) ||
                              plan->to >= coord_account_count(w->follower));
    w->reslots += event->type == EVENT_RESLOTTED;
    CHECK(flz_grow((void **)&w->log, &w->log_capacity, w->log_count + 1, sizeof *w->log) == 0,
          "memory");
    struct flz_buf *bytes = &w->log[w->log_count++];
    *bytes = FLZ_BUF_NULL;
    CHECK(flz_encode_event(event, bytes) == 0, "event %s", flz_event_name(event->type));
    CHECK(bytes->len <= FLZ_EVENT_SIZE_MAX, "event of %zu bytes", bytes->len);

    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event back;
    CHECK(flz_decode_event(flz_buf_view(bytes), &arena, &back) == 0, "event %s",
          flz_event_name(event->type));
    CHECK(coord_apply(w->follower, &back) == 0, "the follower refuses %s",
          flz_event_name(event->type));
}

static void commit(struct world *w, const struct coord_update *update)
{
    int64_t last = coord_network(w->follower)->now;
    for (size_t i = 0; i < update->events_count; i++) {
        CHECK(update->events[i].at >= last, "time went back");
        last = update->events[i].at;
        append(w, &update->events[i]);
    }
    CHECK(coord_take_rows(w->leader, on_row, &w->store) == 0, "take");
    CHECK(coord_take_rows(w->follower, on_row, &w->mirror) == 0, "take");
    w->commits++;
    if (w->commits % 64 == 0 || update->events_count > 20)
        CHECK(store_equal(&w->store, &w->mirror), "follower and leader differ");
}

static void lead(struct world *w);
static void hello(struct world *w, struct model *m);
static void take_orders(struct world *w, const struct coord_update *update);

static void reload(struct world *w)
{
    w->leader = coord_free(w->leader);
    w->leader = load(&w->store);
    w->kills++;
    for (uint32_t i = 0; i < NODES; i++)
        w->models[i].connected = false;
}

/* Another core, loaded from the rows of this commit, takes over in mid-run: only credit is lost,
 * which nodes tell again with each heartbeat. */
static void swap(struct world *w)
{
    struct coord *old = w->leader;
    w->leader = load(&w->store);
    for (uint32_t i = 0; i < coord_node_count(old); i++) {
        struct coord_command command = {
            .kind = COORD_CREDIT, .now = w->now, .node = i, .credit = coord_node_credit(old, i)};
        struct coord_update update;
        CHECK(coord_step(w->leader, &command, &update) == 0, "credit");
        CHECK(coord_node_open(old, i) == coord_node_open(w->leader, i), "open tasks differ");
    }
    (void)coord_free(old);
    w->kills++;
}

/* One decision; sometimes the leader dies before or after its commit. false: it was lost. */
static bool step(struct world *w, struct coord_command *command, struct coord_update *update)
{
    command->now = w->now;
    CHECK(coord_step(w->leader, command, update) == 0, "step %d", command->kind);
    if (fault(w, arg_kills)) {
        reload(w);
        lead(w);
        return false;
    }
    commit(w, update);
    if (fault(w, arg_kills)) {
        reload(w);
        lead(w);
        return false;
    }
    take_orders(w, update);
    if (w->faults && flz_rng_below(&w->rng, 1000) < arg_swaps) {
        /* The caller still looks at the update: its events and orders go, the rest stays. */
        swap(w);
        update->events = NULL;
        update->orders = NULL;
    }
    return true;
}

static void lead(struct world *w)
{
    struct coord_command command = {
        .kind = COORD_LEAD,
        .now = w->now,
        .lead = {.epoch = ++w->epoch, .generation = flz_id_of_u64(w->generation)},
    };
    struct coord_update update;
    CHECK(coord_step(w->leader, &command, &update) == 0 && !update.refused, "lead");
    commit(w, &update);
}

/* ---- What nodes do ---- */

static struct message *message_of(struct world *w, const struct task *task)
{
    return &w->messages[task->message];
}

static uint32_t message_index(struct world *w, const struct coord_order *order,
                              const struct row_exchange *x)
{
    struct flz_id key = x->id;
    key.b[15] ^= (uint8_t)(order->turn + 1);
    uint32_t i = flz_map_get(&w->messages_by_key, key);
    if (i != FLZ_MAP_NONE)
        return i;
    i = (uint32_t)w->messages_count++;
    CHECK(i < TASKS_MAX, "too many messages");
    uint64_t lot = flz_rng_below(&w->rng, 100);
    w->messages[i] = (struct message){
        .exchange = x->id,
        .turn = order->turn,
        .from = exchange_sender(x, order->turn),
        .date = x->turns[order->turn].date,
        .arrives = FLZ_NEVER,
        .placement = lot < 50   ? FLZ_PLACEMENT_INBOX
                     : lot < 90 ? FLZ_PLACEMENT_JUNK
                                : FLZ_PLACEMENT_OTHER,
    };
    CHECK(flz_map_set(&w->messages_by_key, key, i) == 0, "memory");
    return i;
}

/* Week-ends of some, and three weeks away for one: days without hours. */
static bool is_day_off(uint32_t account, int32_t date)
{
    int32_t day = date - START_DATE;
    return account == 5 ? day >= 2 && day < 23
                        : account % 4 == 1 && (day + (int32_t)account) % 7 < 2;
}

/* I20: a slot lies in the hours of who acts. */
static void check_hours(const struct coord_task *said, uint32_t kind)
{
    if (kind == FLZ_TASK_FIND || kind == FLZ_TASK_TIDY)
        return;
    int64_t day = said->not_before / FLZ_DAY_MS * FLZ_DAY_MS;
    CHECK(said->not_before >= day + WINDOW_START_MINUTE * FLZ_MINUTE_MS &&
              said->not_after <= day + WINDOW_END_MINUTE * FLZ_MINUTE_MS,
          "a task of kind %u outside hours", kind);
    CHECK(!is_day_off(said->account, (int32_t)(day / FLZ_DAY_MS)), "a task of kind %u on a day off",
          kind);
}

static void accept_task(struct world *w, const struct coord_order *order)
{
    const struct row_exchange *x = coord_exchange(w->leader, order->exchange);
    struct coord_task said;
    if (!x || coord_task(w->leader, order, &said) < 0)
        return;
    check_hours(&said, order->kind);
    struct model *m = &w->models[order->node];
    if (!m->connected || fault(w, 20) || flz_map_get(&m->tasks, said.id) != FLZ_MAP_NONE)
        return;
    uint32_t i = (uint32_t)w->tasks_count++;
    CHECK(i < TASKS_MAX * 6, "too many tasks");
    struct task *task = &w->tasks[i];
    *task = (struct task){
        .id = said.id,
        .exchange = x->id,
        .account = coord_account(w->leader, said.account)->id,
        .peer = coord_account(w->leader, said.peer)->id,
        .voucher = FLZ_BUF_NULL,
        .node = order->node,
        .kind = order->kind,
        .turn = order->turn,
        .attempt = said.attempt,
        .not_before = said.not_before,
        .not_after = said.not_after,
        .deadline = said.deadline,
    };
    struct event_plan_turn turns[FLZ_TURNS_MAX];
    struct flz_voucher voucher;
    CHECK(coord_voucher(w->leader, order, turns, &voucher) == 0 &&
              flz_encode_voucher(&voucher, &task->voucher) == 0,
          "no voucher");
    if (order->kind != FLZ_TASK_TIDY)
        task->message = message_index(w, order, x);
    int64_t begin = task->not_before > w->now ? task->not_before : w->now;
    task->act_at = begin + flz_rng_between(&w->rng, 0, (chance(w, 20) ? 60 : 3) * FLZ_MINUTE_MS);
    CHECK(flz_map_set(&m->tasks, task->id, i) == 0, "memory");
}

static void take_orders(struct world *w, const struct coord_update *update)
{
    struct coord_order orders[4096];
    size_t n = update->orders_count < 4096 ? update->orders_count : 4096;
    if (n > 0)
        memcpy(orders, update->orders, n * sizeof *orders);
    for (size_t i = 0; i < n; i++)
        accept_task(w, &orders[i]);
}

static void write_report(struct model *m, struct flz_report report)
{
    CHECK(flz_grow((void **)&m->reports, &m->reports_capacity, m->reports_count + 1,
                   sizeof *m->reports) == 0,
          "memory");
    report.seq = m->reports_count + 1;
    m->reports[m->reports_count++].report = report;
}

static void say(struct world *w, struct task *task, uint32_t outcome, uint32_t reason)
{
    struct flz_report report = {
        .kind = FLZ_REPORT_RECEIPT,
        .receipt = {.task = task->id,
                    .exchange = task->exchange,
                    .account = task->account,
                    .kind = task->kind,
                    .turn = task->turn,
                    .attempt = task->attempt,
                    .outcome = outcome,
                    .reason = reason,
                    .at = w->now,
                    .voucher = flz_buf_view(&task->voucher)},
    };
    if (outcome == FLZ_OUTCOME_FOUND)
        report.receipt.placement = message_of(w, task)->placement;
    write_report(&w->models[task->node], report);
}

static void dot(struct world *w, struct task *task)
{
    struct message *message = message_of(w, task);
    message->dots++;
    CHECK(message->dots == 1, "I1: two dots for one message");
    CHECK(w->models[task->node].generation != w->generation ||
              w->now >= coord_network(w->leader)->quiet_until,
          "sent on the day of a restored log");
    if (task->turn == 0)
        w->firsts[w->firsts_count++] =
            (struct first){.from = task->account, .to = task->peer, .date = message->date};
    if (!chance(w, 6))
        message->arrives = w->now + flz_rng_between(&w->rng, 1000, 10 * FLZ_MINUTE_MS);
    if (chance(w, 3) && message->arrives != FLZ_NEVER)
        message->arrives += 9 * FLZ_HOUR_MS;
}

static void act_send(struct world *w, struct task *task)
{
    uint64_t lot = flz_rng_below(&w->rng, 100);
    task->ended = true;
    if (w->now > task->not_after) {
        say(w, task, FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT);
    } else if (lot < 86 || !w->faults) {
        dot(w, task);
        say(w, task, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    } else if (lot < 89) {
        say(w, task, FLZ_OUTCOME_REJECTED, FLZ_REASON_SPAM_BLOCK);
    } else if (lot < 91) {
        say(w, task, FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_PAUSED);
    } else if (lot < 93) {
        say(w, task, FLZ_OUTCOME_DECLINED, FLZ_REASON_CAP);
    } else {
        if (chance(w, 60))
            dot(w, task);
        task->ended = false;
        task->follows = true;
        task->act_at = w->now + flz_rng_between(&w->rng, FLZ_MINUTE_MS, 12 * FLZ_HOUR_MS);
        say(w, task, FLZ_OUTCOME_AMBIGUOUS, FLZ_REASON_NETWORK);
    }
}

static void act_find(struct world *w, struct task *task)
{
    struct message *message = message_of(w, task);
    if (fault(w, 10)) {
        task->ended = true;
        say(w, task, FLZ_OUTCOME_UNOBSERVED, FLZ_REASON_LOGIN);
    } else if (message->arrives <= w->now) {
        task->ended = true;
        say(w, task, FLZ_OUTCOME_FOUND, FLZ_REASON_NONE);
    } else if (w->now > task->deadline && !task->follows) {
        say(w, task, FLZ_OUTCOME_MISSING, FLZ_REASON_NONE);
        /* Late mail is a correction. */
        task->follows = true;
        task->act_at = w->now + 4 * FLZ_HOUR_MS;
    } else if (task->follows) {
        task->ended = true;
    } else {
        task->act_at = w->now + flz_rng_between(&w->rng, FLZ_MINUTE_MS, 20 * FLZ_MINUTE_MS);
    }
}

static void act(struct world *w, struct task *task)
{
    if (task->follows && (task->kind == FLZ_TASK_SEND || task->kind == FLZ_TASK_REPLY)) {
        bool found = message_of(w, task)->dots > 0 && chance(w, 50);
        task->ended = true;
        say(w, task, found ? FLZ_OUTCOME_SENT : FLZ_OUTCOME_INDETERMINATE, FLZ_REASON_NETWORK);
    } else if (task->kind == FLZ_TASK_SEND || task->kind == FLZ_TASK_REPLY) {
        act_send(w, task);
    } else if (task->kind == FLZ_TASK_FIND) {
        act_find(w, task);
    } else {
        task->ended = true;
        if (w->now > task->not_after)
            say(w, task, FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT);
        else if (fault(w, 40))
            say(w, task, FLZ_OUTCOME_FAILED, FLZ_REASON_PROTOCOL);
        else
            say(w, task, chance(w, 10) ? FLZ_OUTCOME_NOOP : FLZ_OUTCOME_DONE, FLZ_REASON_NONE);
    }
    /* A node that lies: a second, different word. Evidence, without effect. */
    if (task->ended && fault(w, 5))
        say(w, task, task->kind == FLZ_TASK_SEND ? FLZ_OUTCOME_REJECTED : FLZ_OUTCOME_FAILED,
            FLZ_REASON_PROTOCOL);
}

static void act_all(struct world *w)
{
    for (uint32_t i = 0; i < w->tasks_count; i++) {
        struct task *task = &w->tasks[i];
        const struct model *m = &w->models[task->node];
        if (task->ended || task->act_at > w->now || m->revoked ||
            flz_map_get(&m->tasks, task->id) != i)
            continue;
        act(w, task);
    }
}

/* ---- Talking ---- */

/* A new log generation: what was ordered before and has not left never does. */
static void give_up_sends(struct world *w, struct model *m)
{
    m->generation = w->generation;
    for (uint32_t i = 0; i < w->tasks_count; i++) {
        struct task *task = &w->tasks[i];
        bool send = task->kind == FLZ_TASK_SEND || task->kind == FLZ_TASK_REPLY;
        if (task->node != m->handle || !send || task->ended || task->follows ||
            flz_map_get(&m->tasks, task->id) != i)
            continue;
        task->ended = true;
        say(w, task, FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_RESTORED);
    }
}

static void hello(struct world *w, struct model *m)
{
    _cleanup_(flz_freep) struct flz_id *open = calloc(w->tasks_count + 1, sizeof *open);
    size_t n = 0;
    for (uint32_t i = 0; i < w->tasks_count; i++)
        if (w->tasks[i].node == m->handle && !w->tasks[i].ended &&
            flz_map_get(&m->tasks, w->tasks[i].id) == i)
            open[n++] = w->tasks[i].id;
    struct coord_command command = {
        .kind = COORD_HELLO,
        .node = m->handle,
        .hello = {.incarnation = m->incarnation,
                  .report_seq = m->reports_count,
                  .credit = 200,
                  .open = open,
                  .open_count = n},
    };
    m->connected = true;
    struct coord_update update;
    if (!step(w, &command, &update)) {
        m->connected = false;
        return;
    }
    if (update.refused) {
        CHECK(m->revoked, "hello refused: %s", update.message.text);
        m->connected = false;
        return;
    }
    m->acked = coord_node(w->leader, m->handle)->report_seq;
    if (m->generation != w->generation)
        give_up_sends(w, m);
}

static bool send_report(struct world *w, struct model *m, uint64_t seq)
{
    const struct flz_report *report = &m->reports[seq - 1].report;
    struct coord_command command = {
        .kind = COORD_REPORT,
        .node = m->handle,
        .report = {.incarnation = m->incarnation, .report = report},
    };
    if (report->kind == FLZ_REPORT_ACCOUNT) {
        uint64_t n = flz_be64(report->account.id.b + 8) - 1000;
        command.report.address = digest(1, n);
        command.report.domain = digest(2, n % 6);
        command.report.owner = digest(3, n % 6);
        (void)snprintf(command.report.domain_name, sizeof command.report.domain_name, "d%u.example",
                       (unsigned)(n % 6));
    }
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_voucher voucher;
    if (report->kind == FLZ_REPORT_RECEIPT && report->receipt.voucher.len > 0) {
        CHECK(flz_decode_voucher(report->receipt.voucher, &arena, &voucher) == 0, "voucher");
        command.report.voucher = &voucher;
    }
    struct coord_update update;
    if (!step(w, &command, &update))
        return false;
    if (m->revoked) {
        CHECK(update.refused && update.events_count == 0, "I11: a revoked node was heard");
        return false;
    }
    CHECK(!update.report_gap, "gap at %llu", (unsigned long long)seq);
    CHECK(!update.report_known || update.events_count == 0, "I9: a repetition had an effect");
    w->receipts += !update.report_known && report->kind == FLZ_REPORT_RECEIPT;
    return true;
}

static void report_all(struct world *w, struct model *m)
{
    while (m->connected && m->acked < m->reports_count) {
        uint64_t seq = m->acked + 1;
        if (!send_report(w, m, seq))
            return;
        if (fault(w, 30)) /* the ack is lost: said again */
            continue;
        m->acked = seq;
        if (fault(w, 10) && !send_report(w, m, seq))
            return;
    }
}

static void lose_journal(struct world *w, struct model *m)
{
    m->incarnation = new_id(w);
    flz_map_deinit(&m->tasks);
    m->reports_count = 0;
    m->acked = 0;
    m->connected = false;
}

static void probe_all(struct world *w, struct model *m)
{
    for (uint32_t i = 0; i < ACCOUNTS + w->late; i++) {
        if (i % NODES != m->handle)
            continue;
        struct flz_report report = {
            .kind = FLZ_REPORT_PROBE,
            .probe = {.account = flz_id_of_u64(1000 + i),
                      .at = w->now,
                      .login_ok = !fault(w, 30),
                      .quota_permille = 1001,
                      .mx = digest(4, i)},
        };
        write_report(m, report);
    }
}

static void credit_all(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++) {
        struct coord_command command = {
            .kind = COORD_CREDIT, .node = i, .credit = w->models[i].connected ? 50 : 0};
        struct coord_update update;
        (void)step(w, &command, &update);
    }
}

/* ---- The administrator, the owners ---- */

static void plan(struct world *w, int32_t date)
{
    struct coord_civil civil[ACCOUNTS + LATE_ACCOUNTS];
    size_t n = 0;
    for (uint32_t i = 0; i < coord_account_count(w->leader); i++) {
        struct coord_civil c = {.account = i, .sends = !is_day_off(i, date)};
        for (int day = 0; day < COORD_WINDOW_DAYS; day++) {
            int64_t midnight = (date + day) * FLZ_DAY_MS;
            if (is_day_off(i, date + day))
                continue;
            c.windows[day] = (struct coord_window){
                .start = midnight + WINDOW_START_MINUTE * FLZ_MINUTE_MS,
                .end = midnight + WINDOW_END_MINUTE * FLZ_MINUTE_MS,
            };
        }
        civil[n++] = c;
    }
    struct coord_pack pack = {.digest = digest(9, 1), .language = "en", .scenarios = 3};
    memset(pack.turns, 4, 3);
    struct coord_command command = {
        .kind = COORD_PLAN,
        .plan = {.date = date,
                 .civil = civil,
                 .civil_count = n,
                 .packs = &pack,
                 .packs_count = 1,
                 .seed = flz_rng_next(&w->rng)},
    };
    struct coord_update update;
    while (!step(w, &command, &update))
        ;
}

static void pause_something(struct world *w)
{
    struct coord_command command = {
        .kind = chance(w, 60) ? COORD_PAUSE : COORD_RESUME,
        .pause = {.until = w->now + flz_rng_between(&w->rng, FLZ_MINUTE_MS, 5 * FLZ_HOUR_MS),
                  .reason = "test",
                  .by = "sim"},
    };
    struct flz_pause *target = &command.pause.target;
    target->scope = (uint32_t)flz_rng_between(&w->rng, FLZ_SCOPE_NETWORK, FLZ_SCOPE_NODE);
    if (target->scope == FLZ_SCOPE_DOMAIN)
        (void)snprintf(target->name, sizeof target->name, "d2.example");
    if (target->scope == FLZ_SCOPE_PROVIDER)
        (void)snprintf(target->name, sizeof target->name, "smtp");
    if (target->scope == FLZ_SCOPE_NODE)
        (void)snprintf(target->name, sizeof target->name, "n1");
    if (target->scope == FLZ_SCOPE_ACCOUNT)
        target->account = flz_id_of_u64(1000 + flz_rng_below(&w->rng, ACCOUNTS));
    struct coord_update update;
    (void)step(w, &command, &update);
}

static void end_something(struct world *w)
{
    struct coord_command command = {.kind = COORD_END_CONSENT,
                                    .account = (uint32_t)flz_rng_below(&w->rng, ACCOUNTS)};
    if (chance(w, 30))
        command.kind = COORD_REMOVE;
    struct coord_update update;
    (void)step(w, &command, &update);
}

static void suppress_something(struct world *w)
{
    struct coord_command command = {
        .kind = chance(w, 50) ? COORD_SUPPRESS : COORD_UNSUPPRESS,
        .suppress = {.address = digest(1, flz_rng_below(&w->rng, ACCOUNTS)), .by = "sim"},
    };
    struct coord_update update;
    (void)step(w, &command, &update);
}

static void revoke(struct world *w, uint32_t node)
{
    struct coord_command command = {
        .kind = COORD_REVOKE, .node = node, .revocation = flz_view_str("signed")};
    struct coord_update update;
    while (!step(w, &command, &update))
        ;
    w->models[node].revoked = true;
    w->models[node].connected = false;
}

static void disturb(struct world *w)
{
    if (fault(w, 3))
        pause_something(w);
    if (fault(w, 2))
        suppress_something(w);
    if (fault(w, 1) && chance(w, 30))
        end_something(w);
    for (uint32_t i = 0; i < NODES; i++) {
        if (fault(w, 10))
            w->models[i].connected = false;
        if (!w->fragile && fault(w, 2))
            lose_journal(w, &w->models[i]);
    }
    if (!w->fragile && fault(w, 1) && chance(w, 40) && !w->models[3].revoked)
        revoke(w, 3);
}

/* ---- A run ---- */

static void join_all(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++) {
        struct model *m = &w->models[i];
        *m = (struct model){.handle = i,
                            .id = new_id(w),
                            .incarnation = new_id(w),
                            .generation = w->generation};
        struct coord_command invite = {
            .kind = COORD_INVITE,
            .invite = {.node = m->id, .token = digest(7, i), .not_after = 100, .real_now = 1},
        };
        (void)snprintf(invite.invite.name, sizeof invite.invite.name, "n%u", i);
        struct coord_update update;
        while (!step(w, &invite, &update))
            ;
        struct coord_command join = {
            .kind = COORD_JOIN,
            .join = {.node = m->id,
                     .token = digest(7, i),
                     .certificate = digest(8, i),
                     .real_now = 2},
        };
        memcpy(join.join.name, invite.invite.name, sizeof join.join.name);
        memcpy(join.join.curve_key.b, digest(6, i).b, 32);
        while (!step(w, &join, &update))
            ;
        CHECK(!update.refused && coord_find_node(w->leader, m->id) == i, "join: %s",
              update.message.text);
    }
}

static void register_accounts(struct world *w, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        struct flz_report report = {
            .kind = FLZ_REPORT_ACCOUNT,
            .account = {.id = flz_id_of_u64(1000 + i),
                        .provider = "smtp",
                        .zone = "Etc/UTC",
                        .start_minute = WINDOW_START_MINUTE,
                        .end_minute = WINDOW_END_MINUTE,
                        .days = 127,
                        .intensity = FLZ_INTENSITY_MEDIUM,
                        .profile = FLZ_PROFILE_NEW,
                        .language = "en",
                        .consent = {.given = 1, .until = FLZ_NEVER, .actions = 31}},
        };
        write_report(&w->models[i % NODES], report);
    }
}

/* ---- A backup, and its return ---- */

static void back_up(struct world *w)
{
    store_copy(&w->store, &w->backup);
    w->backup_log = w->log_count;
    w->backed_up = true;
    w->fragile = true;
    w->late = LATE_ACCOUNTS;
    register_accounts(w, ACCOUNTS, ACCOUNTS + LATE_ACCOUNTS);
    for (uint32_t i = 0; i < NODES; i++)
        if (!w->models[i].revoked)
            probe_all(w, &w->models[i]);
}

/* Whose word the log has, as far as it still goes. */
static void recount_witnesses(struct world *w)
{
    for (size_t i = 0; i < w->messages_count; i++)
        w->messages[i].sender_said = w->messages[i].finder_said = false;
    for (size_t i = 0; i < w->log_count; i++) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct event event;
        CHECK(flz_decode_event(flz_buf_view(&w->log[i]), &arena, &event) == 0, "decode");
        note(w, &event);
    }
}

static void restore(struct world *w)
{
    while (w->log_count > w->backup_log)
        flz_buf_deinit(&w->log[--w->log_count]);
    store_deinit(&w->store);
    store_deinit(&w->mirror);
    store_copy(&w->backup, &w->store);
    store_copy(&w->backup, &w->mirror);
    (void)coord_free(w->follower);
    w->follower = load(&w->store);
    w->restore_at = FLZ_NEVER;
    w->recovered = w->forgotten_accounts = 0;
    w->generation++;
    reload(w);
    recount_witnesses(w);
    w->epoch = coord_network(w->leader)->epoch;
    lead(w);
}

static bool all_told(const struct world *w)
{
    bool told = w->backed_up && w->restore_at == FLZ_NEVER;
    for (uint32_t i = 0; i < NODES; i++) {
        const struct model *m = &w->models[i];
        told = told && (m->revoked ||
                        (m->generation == w->generation && m->acked == m->reports_count));
    }
    return told;
}

static void keep_backup(struct world *w)
{
    if (!w->backed_up && w->now >= w->backup_at)
        back_up(w);
    if (w->now >= w->restore_at)
        restore(w);
    if (w->fragile && all_told(w))
        w->fragile = false;
}

static void minute(struct world *w)
{
    keep_backup(w);
    disturb(w);
    act_all(w);
    for (uint32_t i = 0; i < NODES; i++) {
        struct model *m = &w->models[i];
        if (!m->connected && (!w->faults || chance(w, 30)))
            hello(w, m);
        if (m->revoked && m->acked < m->reports_count)
            (void)send_report(w, m, m->acked + 1);
        if (!w->faults || chance(w, 40))
            report_all(w, m);
    }
    if (chance(w, 50))
        credit_all(w);
    struct coord_command tick = {.kind = COORD_TICK};
    struct coord_update update;
    for (int i = 0; i < 50 && coord_next(w->leader) <= w->now; i++)
        (void)step(w, &tick, &update);
}

static void run_day(struct world *w, int32_t date)
{
    w->now = date * FLZ_DAY_MS + 6 * FLZ_HOUR_MS;
    for (uint32_t i = 0; i < NODES; i++)
        if (!w->models[i].revoked)
            probe_all(w, &w->models[i]);
    for (int i = 0; i < 8; i++)
        minute(w);
    plan(w, date);
    int64_t end = (date + 1) * FLZ_DAY_MS + 6 * FLZ_HOUR_MS;
    while (w->now < end) {
        int64_t hour = w->now / FLZ_HOUR_MS % 24;
        w->now +=
            hour >= 8 && hour < 19 ? flz_rng_between(&w->rng, 30000, 240000) : 20 * FLZ_MINUTE_MS;
        minute(w);
    }
}

/* ---- At the end ---- */

static struct message *find_message(struct world *w, struct flz_id exchange, uint32_t turn)
{
    exchange.b[15] ^= (uint8_t)(turn + 1);
    uint32_t i = flz_map_get(&w->messages_by_key, exchange);
    return i == FLZ_MAP_NONE ? NULL : &w->messages[i];
}

/* I2, I18: the ledger's word on each message against the world's. */
static void check_exchange(struct world *w, const struct row_exchange *x, size_t *counts)
{
    CHECK(x->state == EXCHANGE_ENDED, "I13: an exchange is still live");
    for (uint32_t i = 0; i < x->turns_count; i++) {
        const struct row_turn *t = &x->turns[i];
        struct message *message = find_message(w, x->id, i);
        uint32_t dots = message ? message->dots : 0;
        CHECK(!message || !message->in_ledger, "a message that the ledger has twice");
        if (message)
            message->in_ledger = true;
        bool committed = aggregate_sent(t) || (t->send.state == TASK_ENDED &&
                                               (t->send.outcome == FLZ_OUTCOME_INDETERMINATE ||
                                                t->send.outcome == FLZ_OUTCOME_AMBIGUOUS));
        CHECK(dots == 0 || committed || t->contradicted,
              "a message that the ledger does not count");
        CHECK(!aggregate_sent(t) || dots == 1, "the ledger counts a message that never was");
        if (aggregate_credited(x, t)) {
            CHECK(message->sender_said && message->finder_said &&
                      message->sender_node != message->finder_node,
                  "I18: credit from one side");
            counts[0]++;
        }
        counts[1] += aggregate_sent(t);
        counts[2] += t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND;
        counts[3] += i > 0 && aggregate_sent(t);
        counts[4] += t->unspam.state == TASK_ENDED && t->unspam.outcome == FLZ_OUTCOME_DONE;
        counts[5]++;
    }
}

static struct row_day *day_at(struct row_day *days, size_t *count, uint32_t account, int32_t date)
{
    for (size_t i = 0; i < *count; i++)
        if (days[i].account == account && days[i].date == date)
            return &days[i];
    CHECK(*count < 4000, "too many days");
    days[*count] = (struct row_day){.account = account, .date = date};
    return &days[(*count)++];
}

/* I4: the counters are the sum over all turns of all exchanges. */
static void sum_exchange(const struct row_exchange *x, struct row_day *days, size_t *count)
{
    for (uint32_t i = 0; i < x->turns_count; i++) {
        struct row_day sender;
        struct row_day recipient;
        aggregate_turn(x, i, &sender, &recipient);
        aggregate_add(day_at(days, count, exchange_sender(x, i), x->turns[i].date), &sender);
        aggregate_add(day_at(days, count, exchange_recipient(x, i), x->turns[i].open_date),
                      &recipient);
        aggregate_add(day_at(days, count, COORD_NONE, x->turns[i].date), &sender);
        aggregate_add(day_at(days, count, COORD_NONE, x->turns[i].date), &recipient);
    }
}

/* The account's counters towards each provider are the sum over its turns: days, and the months
 * that closed days were added to. */
static void check_tallies(const struct world *w)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct row_tally sums[TALLY_SCOPE_MAX + 1] = {{.scope = 0}};
    union row row;
    for (size_t i = 0; i < w->store.count; i++) {
        enum row_kind kind = w->store.entries[i].key.data[0];
        bool tally = kind == ROW_TALLY || kind == ROW_TALLY_OLD;
        if (!tally && kind != ROW_EXCHANGE && kind != ROW_EXCHANGE_OLD)
            continue;
        CHECK(flz_decode_row(kind, flz_buf_view(&w->store.entries[i].value), &arena, &row) == 0,
              "decode");
        if (tally && row.tally.span != TALLY_WEEK)
            tally_add(&sums[row.tally.scope], &row.tally);
        for (uint32_t turn = 0; !tally && turn < row.exchange.turns_count; turn++) {
            struct row_tally cells[TALLY_SCOPE_MAX];
            struct row_tally part;
            tally_turn(&row.exchange.turns[turn], turn > 0, &part);
            size_t n = tally_cells(&row.exchange, turn, 0, cells);
            struct row_tally negative = {.scope = 0};
            for (uint32_t *c = &negative.planned, *p = &part.planned; c <= &negative.dmarc;)
                *c++ = 0 - *p++;
            for (size_t k = 0; k < n; k++)
                tally_add(&sums[cells[k].scope], &negative);
        }
    }
    for (uint32_t scope = TALLY_ACCOUNT; scope <= TALLY_SCOPE_MAX; scope++)
        CHECK(tally_is_empty(&sums[scope]), "I4: tallies of scope %u", scope);
}

static void check_store(struct world *w)
{
    _cleanup_(flz_freep) struct row_day *days = calloc(4000, sizeof *days);
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    size_t count = 0;
    size_t counts[6] = {0};
    union row row;
    for (size_t i = 0; i < w->store.count; i++) {
        enum row_kind kind = w->store.entries[i].key.data[0];
        if (kind != ROW_EXCHANGE && kind != ROW_EXCHANGE_OLD)
            continue;
        CHECK(flz_decode_row(kind, flz_buf_view(&w->store.entries[i].value), &arena, &row) == 0,
              "decode");
        check_exchange(w, &row.exchange, counts);
        sum_exchange(&row.exchange, days, &count);
    }
    for (size_t i = 0; i < w->store.count; i++) {
        enum row_kind kind = w->store.entries[i].key.data[0];
        if (kind != ROW_DAY && kind != ROW_DAY_OLD)
            continue;
        CHECK(flz_decode_row(kind, flz_buf_view(&w->store.entries[i].value), &arena, &row) == 0,
              "decode");
        const struct row_day *want = day_at(days, &count, row.day.account, row.day.date);
        CHECK(memcmp(&want->planned, &row.day.planned,
                     sizeof *want - offsetof(struct row_day, planned)) == 0,
              "I4: account %u date %d", row.day.account, row.day.date);
        CHECK(row.day.reserved == 0, "I13: quota reserved for nothing");
    }
    check_tallies(w);
    (void)printf(
        "seed %llu: %zu events, %zu commits, %zu kills, %zu receipts; %zu turns, %zu sent, "
        "%zu replies, %zu found, %zu reslotted, %zu rescued, %zu credited\n",
        (unsigned long long)arg_seed, w->log_count, w->commits, w->kills, w->receipts, counts[5],
        counts[1], counts[3], counts[2], w->reslots, counts[4], counts[0]);
    CHECK(counts[1] > 60 && counts[0] > 40 && counts[3] > 0 && w->reslots > 0,
          "too little happened");
}

/* I2: no message left that the ledger does not know, and no pair was written to too soon. */
static void check_messages(const struct world *w)
{
    size_t unknown = 0;
    for (size_t i = 0; i < w->messages_count; i++)
        unknown += w->messages[i].dots > 0 && !w->messages[i].in_ledger;
    CHECK(unknown == 0, "%zu messages that the ledger does not know", unknown);
    for (size_t i = 0; i < w->firsts_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct first *a = &w->firsts[i];
            const struct first *b = &w->firsts[j];
            if (!flz_id_equal(a->from, b->from) || !flz_id_equal(a->to, b->to))
                continue;
            CHECK(plan_cooled(127, a->date < b->date ? a->date : b->date,
                              a->date < b->date ? b->date : a->date, arg_cooldown),
                  "written to again on %d, after %d", a->date, b->date);
        }
    }
    if (w->backed_up)
        (void)printf("  restored: %zu receipts recovered, %zu accounts known from them first\n",
                     w->recovered, w->forgotten_accounts);
    CHECK(!w->long_forgotten || w->recovered > 0, "nothing was recovered");
}

/* I10: the whole log, folded from nothing, gives the store; so does a reload. */
static void check_fold(struct world *w)
{
    struct store store = {.count = 0};
    struct coord *core = new_core();
    for (size_t i = 0; i < w->log_count; i++) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct event event;
        CHECK(flz_decode_event(flz_buf_view(&w->log[i]), &arena, &event) == 0, "decode");
        CHECK(coord_apply(core, &event) == 0, "apply event %zu", i);
    }
    CHECK(coord_take_rows(core, on_row, &store) == 0, "take");
    CHECK(store_equal(&store, &w->store), "the fold of the log is not the store");
    (void)coord_free(core);
    store_deinit(&store);
}

static struct replay *replay_log(const struct world *w, const char *key, int64_t value)
{
    struct policy policy = sim_policy();
    struct replay_options options = {.network = flz_id_of_u64(77), .base = &policy};
    struct replay *replay;
    CHECK(replay_new(&options, &replay) == 0, "memory");
    if (key)
        CHECK(replay_policy(replay, key, value, NULL) == 0, "%s", key);
    for (size_t i = 0; i < w->log_count; i++) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct event event;
        CHECK(flz_decode_event(flz_buf_view(&w->log[i]), &arena, &event) == 0, "decode");
        CHECK(replay_event(replay, i + 1, &event) == 0, "replay event %zu", i);
    }
    return replay;
}

/* What another policy would have decided otherwise, in all runs: of one seed it may be nothing. */
static uint64_t decided_otherwise;

/* The policy as it was decides as it did, each time. */
static void check_replay(const struct world *w)
{
    struct replay *same = replay_log(w, NULL, 0);
    const struct replay_result *result = replay_result(same);
    CHECK(result->differences_all == 0, "event %llu is decided otherwise, of %llu differences",
          (unsigned long long)result->differences[0].event,
          (unsigned long long)result->differences_all);
    CHECK(result->health == result->health_same && result->health == result->health_other &&
              result->days == result->days_same && result->days > 0,
          "a decision is not made again");
    (void)printf("  replayed: %llu decisions about health, %llu days\n",
                 (unsigned long long)result->health, (unsigned long long)result->days);
    CHECK(result->health > 0, "nothing was decided about health");
    (void)replay_free(same);
    struct replay *other = replay_log(w, "health_seen_min", 10);
    decided_otherwise += replay_result(other)->differences_all;
    (void)replay_free(other);
}

static void run(uint64_t seed, int32_t days, bool restored)
{
    arg_seed = seed;
    struct world w = {.faults = true,
                      .now = START_DATE * FLZ_DAY_MS,
                      .generation = 5,
                      .backup_at = FLZ_NEVER,
                      .restore_at = FLZ_NEVER};
    flz_rng_init(&w.rng, flz_view_str(restored ? "sim_coord restored" : "sim_coord"), seed);
    if (restored) {
        w.backup_at = w.now + flz_rng_between(&w.rng, 8 * FLZ_HOUR_MS, 40 * FLZ_HOUR_MS);
        w.restore_at = w.backup_at + flz_rng_between(&w.rng, FLZ_HOUR_MS, 36 * FLZ_HOUR_MS);
        w.long_forgotten = w.restore_at - w.backup_at > 20 * FLZ_HOUR_MS;
    }
    arg_cooldown = restored ? 3 : 1;
    w.firsts = calloc(TASKS_MAX, sizeof *w.firsts);
    w.tasks = calloc(TASKS_MAX * 6, sizeof *w.tasks);
    w.messages = calloc(TASKS_MAX, sizeof *w.messages);
    w.leader = new_core();
    w.follower = new_core();
    w.store.count = 0;
    struct store *stores[] = {&w.store, &w.mirror, &w.backup};
    lead(&w);
    join_all(&w);
    register_accounts(&w, 0, ACCOUNTS);
    for (int32_t i = 0; i < days; i++)
        run_day(&w, START_DATE + i);

    w.faults = false;
    for (int i = 0; i < 40 * 24 && coord_next(w.leader) != FLZ_NEVER; i++) {
        w.now += FLZ_HOUR_MS;
        minute(&w);
    }
    CHECK(store_equal(&w.store, &w.mirror), "follower and leader differ");
    check_store(&w);
    check_messages(&w);
    check_fold(&w);
    check_replay(&w);

    (void)coord_free(w.leader);
    (void)coord_free(w.follower);
    for (size_t i = 0; i < 3; i++)
        store_deinit(stores[i]);
    for (size_t i = 0; i < w.tasks_count; i++)
        flz_buf_deinit(&w.tasks[i].voucher);
    for (size_t i = 0; i < w.log_count; i++)
        flz_buf_deinit(&w.log[i]);
    for (size_t i = 0; i < NODES; i++) {
        flz_map_deinit(&w.models[i].tasks);
        free(w.models[i].reports);
    }
    flz_map_deinit(&w.messages_by_key);
    free(w.log);
    free(w.firsts);
    free(w.tasks);
    free(w.messages);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 4;
    int32_t days = argc > 3 ? (int32_t)strtol(argv[3], NULL, 10) : 4;
    if (argc > 4)
        arg_kills = (uint32_t)strtoul(argv[4], NULL, 10);
    if (argc > 5)
        arg_swaps = (uint32_t)strtoul(argv[5], NULL, 10);
    unsigned long restored = argc > 6 ? strtoul(argv[6], NULL, 10) : 2;
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (restored != 1)
            run(seed, days, false);
        if (restored != 0)
            run(seed, days, true);
    }
    CHECK(decided_otherwise > 0 || count < 4, "another policy decides the same in %llu seeds",
          (unsigned long long)count);
    return 0;
}
