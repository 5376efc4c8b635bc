#include "tests/sim/world/watch.h"

#include "common/base/cleanup.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "coordinator/core/state.h"
#include "proto/codec.h"
#include "proto/journal.h"
#include "tests/sim/world/books.h"
#include "tests/sim/world/disk.h"
#include "tests/sim/world/network.h"
#include "tests/sim/world/post.h"
#include "tests/sim/world/programs.h"
#include "tests/sim/world/stand.h"
#include "tests/sim/world/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define ORDERS_MAX 40000
#define PAUSES_MAX 16
#define TOLERANCE_MS 60000 /* of a node's network time against the one reckoned here */
/* The quiet day is counted by the coordinator's clock, which may be wrong by a little. */
#define QUIET_TOLERANCE_MS (2 * FLZ_HOUR_MS)
#define SPACING_MS (10 * FLZ_MINUTE_MS)
#define READY_MS 10000
#define OPEN_MINUTE (9 * 60)
#define CLOSE_MINUTE (18 * 60)

/* What a node may know, by the frames that it had to believe. */
struct mind {
    uint64_t life;
    uint64_t epoch;
    uint64_t seq;
    struct flz_id generation;
    int64_t lease_end; /* on its boot clock */
    bool knows_time;
    int64_t network; /* at … */
    int64_t at_boot; /* … this boot time */
    struct flz_pause pauses[PAUSES_MAX];
    size_t pauses_count;
    struct flz_id revoked[NETWORK_NODES];
    size_t revoked_count;
    bool lies;
    bool lost;
};

struct watch_counts watch_counts;
struct flz_view (*watch_tamper)(size_t node, const struct flz_reports *frame,
                                struct flz_view bytes);

static struct mind minds[NETWORK_NODES];
static struct watch_order *orders;
static size_t orders_count;
static struct flz_map order_of_task;
static struct flz_map order_of_message; /* exchange and turn */
static struct flz_map row_of_exchange;  /* its handle */
static int64_t quiet_until;
static struct flz_id new_generation;
static int64_t spaced[POST_ACCOUNTS_MAX]; /* when the newest message of an account was issued */
static uint64_t last_life[WORLD_PROCS_MAX];

/* ---- Orders ---- */

static struct flz_id message_key(struct flz_id exchange, uint32_t turn)
{
    exchange.b[15] ^= (uint8_t)(turn + 1);
    return exchange;
}

const struct watch_order *watch_task(struct flz_id task)
{
    uint32_t i = flz_map_get(&order_of_task, task);
    return i == FLZ_MAP_NONE ? NULL : &orders[i];
}

const struct watch_order *watch_message(struct flz_id exchange, uint32_t turn)
{
    uint32_t i = flz_map_get(&order_of_message, message_key(exchange, turn));
    return i == FLZ_MAP_NONE ? NULL : &orders[i];
}

const struct watch_order *watch_sent_by(const char *message_id)
{
    for (size_t i = orders_count; i-- > 0;)
        if (flz_task_kind_sends(orders[i].kind) && strcmp(orders[i].message_id, message_id) == 0)
            return &orders[i];
    return NULL;
}

static size_t account_of(const char *address)
{
    size_t i = 0;
    while (i < post_count() && strcmp(post_address(i), address) != 0)
        i++;
    return i;
}

static int zone_minutes(size_t account)
{
    return account % 4 == 3 ? 60 : 0; /* Europe/Paris in March, network.c */
}

/* I20: within the hours of who acts; a little of a minute is forgiven to clocks. */
static void check_hours(const struct watch_order *order, size_t account, int64_t at)
{
    int64_t local = at + zone_minutes(account) * FLZ_MINUTE_MS;
    int64_t minute = local % FLZ_DAY_MS / FLZ_MINUTE_MS;
    if (minute + 1 < OPEN_MINUTE || minute - 1 >= CLOSE_MINUTE)
        world_fail("I20", "account %zu acts outside its hours (kind %u, minute %lld)", account,
                   order->kind, (long long)minute);
}

/* ---- The coordinator's disk ---- */

struct row_search {
    struct flz_id exchange;
    uint32_t handle;
    bool found;
};

static int decode_row(enum row_kind kind, struct flz_view value, struct flz_arena *arena,
                      union row *ret_row)
{
    int r = flz_decode_row(kind, value, arena, ret_row);
    WORLD_MUST(r == 0, "a row of kind %d cannot be read", (int)kind);
    return r;
}

static void on_exchange_row(struct flz_view key, struct flz_view value, void *data)
{
    struct row_search *search = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    if (key.data[0] != ROW_EXCHANGE && key.data[0] != ROW_EXCHANGE_OLD)
        return;
    (void)decode_row(key.data[0], value, &arena, &row);
    (void)flz_map_set(&row_of_exchange, row.exchange.id, row.exchange.handle);
    search->found = search->found || flz_id_equal(row.exchange.id, search->exchange);
}

/* The durable row of an exchange; false: there is none. */
static bool durable_exchange(struct flz_id exchange, struct flz_arena *arena,
                             struct row_exchange *ret_row)
{
    struct flz_view value;
    if (flz_map_get(&row_of_exchange, exchange) == FLZ_MAP_NONE) {
        struct row_search search = {.exchange = exchange};
        disk_each(network.coordinator, "rows", on_exchange_row, &search);
        disk_each(network.coordinator, "archive", on_exchange_row, &search);
    }
    uint32_t handle = flz_map_get(&row_of_exchange, exchange);
    static const enum row_kind kinds[] = {ROW_EXCHANGE, ROW_EXCHANGE_OLD};
    for (size_t i = 0; i < 2 && handle != FLZ_MAP_NONE; i++) {
        uint8_t key[5] = {(uint8_t)kinds[i]};
        flz_put_be32(key + 1, handle);
        if (!disk_durable(network.coordinator, i ? "archive" : "rows",
                          (struct flz_view){.data = key, .len = sizeof key}, &value))
            continue;
        union row row;
        (void)decode_row(kinds[i], value, arena, &row);
        *ret_row = row.exchange;
        return flz_id_equal(row.exchange.id, exchange);
    }
    return false;
}

/* A node's durable row; false: it has none. */
static bool durable_node(size_t node, struct flz_arena *arena, struct row_node *ret_row)
{
    struct flz_view value;
    for (uint32_t handle = 0; handle < NETWORK_NODES; handle++) {
        uint8_t key[5] = {ROW_NODE};
        union row row;
        flz_put_be32(key + 1, handle);
        if (!disk_durable(network.coordinator, "rows",
                          (struct flz_view){.data = key, .len = sizeof key}, &value))
            continue;
        (void)decode_row(ROW_NODE, value, arena, &row);
        if (!flz_id_equal(row.node.id, network.node_ids[node]))
            continue;
        *ret_row = row.node;
        return true;
    }
    return false;
}

static bool is_revoked(size_t node)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct row_node row;
    return durable_node(node, &arena, &row) && row.state == NODE_REVOKED;
}

static const struct row_task *row_task_of(const struct row_exchange *x, const struct flz_task *task)
{
    const struct row_turn *turn = task->turn < x->turns_count ? &x->turns[task->turn] : NULL;
    switch ((enum flz_task_kind)task->kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY: return turn ? &turn->send : NULL;
    case FLZ_TASK_FIND: return turn ? &turn->find : NULL;
    case FLZ_TASK_UNSPAM: return turn ? &turn->unspam : NULL;
    case FLZ_TASK_OPEN: return turn ? &turn->open : NULL;
    case FLZ_TASK_TIDY: return task->turn == 0 ? &x->tidy_from : &x->tidy_to;
    }
    return NULL;
}

/* ---- What the coordinator sends ---- */

static void check_spacing(const struct watch_order *order, int64_t issued_at)
{
    int64_t *last = &spaced[order->account];
    if (*last > 0 && issued_at - *last < SPACING_MS)
        world_fail("I20", "account %zu: messages ordered %lld s apart", order->account,
                   (long long)(issued_at - *last) / 1000);
    *last = issued_at;
}

static void take_order(size_t node, const struct flz_task *task)
{
    WORLD_MUST(orders_count < ORDERS_MAX, "too many orders");
    struct watch_order *order = &orders[orders_count];
    size_t from = account_of(task->from), to = account_of(task->to);
    *order = (struct watch_order){.task = task->id,
                                  .exchange = task->exchange,
                                  .kind = task->kind,
                                  .turn = task->turn,
                                  .attempt = task->attempt,
                                  .node = node,
                                  .account = flz_task_kind_sends(task->kind) ? from : to,
                                  .from = from,
                                  .to = to,
                                  .not_before = task->not_before,
                                  .not_after = task->not_after,
                                  .local_date = task->local_date,
                                  .day_cap = task->day_cap};
    (void)snprintf(order->message_id, sizeof order->message_id, "%s", task->message_id);
    (void)flz_map_set(&order_of_task, task->id, (uint32_t)orders_count);
    if (flz_task_kind_sends(task->kind))
        (void)flz_map_set(&order_of_message, message_key(task->exchange, task->turn),
                          (uint32_t)orders_count);
    orders_count++;
    watch_counts.orders++;
}

static void check_task(size_t node, const struct flz_task *task)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct row_exchange x;
    if (!durable_exchange(task->exchange, &arena, &x))
        world_fail("I5", "a task of an exchange that is not on the disk leaves");
    const struct row_task *row = row_task_of(&x, task);
    if (!row || row->attempt < task->attempt ||
        (row->attempt == task->attempt && row->state == TASK_WAITS))
        world_fail("I5",
                   "task %s leaves before its order is on the disk (kind %u, attempt %u; "
                   "there: state %u, attempt %u)",
                   flz_id_str(task->id), task->kind, task->attempt, row ? row->state : 9,
                   row ? row->attempt : 0);
    if (flz_map_get(&order_of_task, task->id) != FLZ_MAP_NONE)
        return; /* ordered again */
    take_order(node, task);
    const struct watch_order *order = &orders[orders_count - 1];
    if (task->kind != FLZ_TASK_FIND && task->kind != FLZ_TASK_TIDY) {
        check_hours(order, order->account, task->not_before);
        check_hours(order, order->account, task->not_after);
    }
    if (!flz_task_kind_sends(task->kind))
        return;
    check_spacing(order, row->issued_at);
    if (order->from == order->to || order->from / 2 == order->to / 2)
        world_fail("I20", "accounts of one domain write to each other");
    if (task->day_cap > 50)
        world_fail("I8", "a cap of %u messages a day", task->day_cap);
}

static void check_tasks(size_t node, const struct flz_tasks *frame)
{
    if (is_revoked(node))
        world_fail("I11", "tasks for a revoked node");
    for (size_t i = 0; i < frame->tasks_count; i++)
        check_task(node, &frame->tasks[i]);
}

static void check_acknowledged(size_t node, uint64_t seq, struct flz_id incarnation)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct row_node row;
    watch_counts.acks++;
    if (!durable_node(node, &arena, &row))
        world_fail("I3", "an acknowledgement to a node that is not on the disk");
    if (!flz_id_is_null(incarnation) && flz_id_equal(row.incarnation, incarnation) &&
        row.report_seq < seq)
        world_fail("I3", "report %llu is acknowledged, %llu is on the disk",
                   (unsigned long long)seq, (unsigned long long)row.report_seq);
}

/* One frame, opened: of the coordinator or of a node. */
struct opened {
    struct flz_arena arena;
    struct flz_signed message;
    union {
        struct flz_frame_header header;
        struct flz_welcome welcome;
        struct flz_pulse pulse;
        struct flz_tasks tasks;
        struct flz_ack ack;
        struct flz_revocations revocations;
        struct flz_reports reports;
        struct flz_heartbeat heartbeat;
    };
};

static bool open_frame(struct flz_view bytes, struct opened *opened)
{
    static const struct flz_codec *const codecs[FLZ_KIND_MAX + 1] = {
        [FLZ_KIND_WELCOME] = &flz_codec_welcome, [FLZ_KIND_PULSE] = &flz_codec_pulse,
        [FLZ_KIND_TASKS] = &flz_codec_tasks,     [FLZ_KIND_ACK] = &flz_codec_ack,
        [FLZ_KIND_REPORTS] = &flz_codec_reports, [FLZ_KIND_REVOCATIONS] = &flz_codec_revocations,
    };
    *opened = (struct opened){.arena = FLZ_ARENA_NULL};
    if (flz_open_signed(bytes, &opened->arena, &opened->message) < 0 ||
        !codecs[opened->message.kind])
        return false;
    return flz_decode(codecs[opened->message.kind], opened->message.payload, &opened->arena,
                      &opened->header) == 0;
}

static void on_sent_down(size_t node, struct flz_view bytes)
{
    struct opened opened;
    if (open_frame(bytes, &opened)) {
        if (opened.message.kind == FLZ_KIND_TASKS)
            check_tasks(node, &opened.tasks);
        else if (opened.message.kind == FLZ_KIND_ACK)
            check_acknowledged(node, opened.ack.report_seq, opened.ack.incarnation);
        else if (opened.message.kind == FLZ_KIND_WELCOME && opened.welcome.accepted)
            check_acknowledged(node, opened.welcome.report_acked, opened.welcome.incarnation);
    }
    flz_arena_deinit(&opened.arena);
}

/* ---- What a node sends ---- */

static void check_reports(size_t node, const struct flz_reports *frame)
{
    for (size_t i = 0; i < frame->reports_count; i++) {
        struct flz_view value;
        uint8_t key[8];
        flz_put_be64(key, frame->reports[i].seq);
        if (!disk_durable(network.nodes[node], "reports",
                          (struct flz_view){.data = key, .len = sizeof key}, &value))
            world_fail("I3", "report %llu leaves before it is on its node's disk",
                       (unsigned long long)frame->reports[i].seq);
    }
}

static void check_secret(struct flz_view bytes, const char *where)
{
    if (memmem(bytes.data, bytes.len, STAND_SECRET, sizeof STAND_SECRET - 1))
        world_fail("I12", "a password %s", where);
}

static struct flz_view on_sent(struct proc *from, struct proc *to, struct flz_view bytes)
{
    size_t node = network_index_of(from == network.coordinator ? to : from);
    check_secret(bytes, "on the wire");
    if (from == network.coordinator) {
        on_sent_down(node, bytes);
        return bytes;
    }
    struct opened opened;
    if (open_frame(bytes, &opened) && opened.message.kind == FLZ_KIND_REPORTS) {
        check_reports(node, &opened.reports);
        if (minds[node].lies)
            bytes = watch_tamper(node, &opened.reports, bytes);
    }
    flz_arena_deinit(&opened.arena);
    return bytes;
}

/* ---- What a node has to believe ---- */

static int64_t boot_of(const struct proc *proc)
{
    int64_t elapsed = world.now - world.started;
    return proc->boot_base + elapsed + elapsed * proc->drift_ppm / 1000000;
}

/* The link's own rules, told again: node/DESIGN.md, "Reports". */
static bool believes(struct mind *mind, const struct flz_frame_header *header, bool welcome)
{
    bool anew = header->epoch > mind->epoch || !flz_id_equal(header->generation, mind->generation);
    if (anew && !welcome)
        return false;
    if (anew) {
        if (!flz_id_equal(header->generation, mind->generation))
            mind->revoked_count = 0;
        mind->epoch = header->epoch;
        mind->generation = header->generation;
        mind->seq = header->seq;
        return true;
    }
    if (header->epoch < mind->epoch || header->seq <= mind->seq)
        return false;
    mind->seq = header->seq;
    return true;
}

static void take_pulse(struct mind *mind, const struct proc *proc, const struct flz_pulse *pulse)
{
    int64_t boot = boot_of(proc);
    if (pulse->echo_boot_ms > boot)
        return;
    int64_t lease_end = pulse->echo_boot_ms + pulse->lease_ms;
    if (lease_end > mind->lease_end)
        mind->lease_end = lease_end;
    mind->knows_time = true;
    mind->network = pulse->network_now;
    mind->at_boot = boot;
    mind->pauses_count = pulse->pauses_count < PAUSES_MAX ? pulse->pauses_count : PAUSES_MAX;
    for (size_t i = 0; i < mind->pauses_count; i++)
        mind->pauses[i] = pulse->pauses[i];
}

static void take_revocations(struct mind *mind, const struct flz_revocations *frame)
{
    for (size_t i = 0; i < frame->revocations_count; i++) {
        struct flz_revocation revocation;
        struct flz_msg msg;
        if (frame->from + i == mind->revoked_count && mind->revoked_count < NETWORK_NODES &&
            flz_cert_check_revocation(&network.trust, frame->revocations[i], &revocation, &msg) ==
                0)
            mind->revoked[mind->revoked_count++] = revocation.node;
    }
}

static void on_taken(struct proc *from, struct proc *to, struct flz_view bytes)
{
    struct opened opened;
    if (from != network.coordinator)
        return;
    struct mind *mind = &minds[network_index_of(to)];
    if (mind->life != to->life) {
        mind->life = to->life;
        mind->seq = 0;
        mind->lease_end = 0;
        mind->knows_time = false;
        mind->pauses_count = 0;
    }
    if (open_frame(bytes, &opened) &&
        flz_verify_signed(&opened.message, &network.issuer.public_key) == 0 &&
        believes(mind, &opened.header, opened.message.kind == FLZ_KIND_WELCOME)) {
        if (opened.message.kind == FLZ_KIND_PULSE)
            take_pulse(mind, to, &opened.pulse);
        else if (opened.message.kind == FLZ_KIND_REVOCATIONS)
            take_revocations(mind, &opened.revocations);
    }
    flz_arena_deinit(&opened.arena);
}

static void on_arrives(struct proc *from, struct proc *to, struct flz_view bytes)
{
    (void)from, (void)to, (void)bytes;
}

/* ---- A final dot ---- */

/* J1: its record is on the disk. */
static void check_record(const struct watch_order *order)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view value;
    struct journal_job job;
    struct flz_view key = {.data = order->task.b, .len = sizeof order->task.b};
    if (!disk_durable(network.nodes[order->node], "jobs", key, &value) ||
        flz_decode(&flz_codec_job, value, &arena, &job) < 0)
        world_fail("I1", "a dot leaves, and its task is not on the disk");
    if (job.state != JOB_DOT)
        world_fail("I1", "a dot leaves before its record is on the disk (state %u)", job.state);
}

static bool is_paused(const struct mind *mind, const struct watch_order *order)
{
    const char *domain = strchr(post_address(order->account), '@') + 1;
    for (size_t i = 0; i < mind->pauses_count; i++) {
        const struct flz_pause *pause = &mind->pauses[i];
        if (pause->scope == FLZ_SCOPE_NETWORK || pause->scope == FLZ_SCOPE_NODE ||
            (pause->scope == FLZ_SCOPE_DOMAIN && strcmp(pause->name, domain) == 0))
            return true;
    }
    return false;
}

static void check_authority(const struct mind *mind, const struct proc *proc,
                            const struct watch_order *order)
{
    int64_t boot = boot_of(proc);
    if (!mind->knows_time || boot >= mind->lease_end)
        world_fail("I7", "a dot without a lease, %lld s behind its end",
                   (long long)(boot - mind->lease_end) / 1000);
    int64_t now = mind->network + (boot - mind->at_boot);
    if (now - TOLERANCE_MS >= order->not_after || now + TOLERANCE_MS < order->not_before)
        world_fail("I7", "a dot outside its slot");
    check_hours(order, order->account, now);
    if (is_paused(mind, order))
        world_fail("I11", "a dot in spite of a pause");
    for (size_t i = 0; i < mind->revoked_count; i++)
        if (flz_id_equal(mind->revoked[i], network.node_ids[order->to % NETWORK_NODES]))
            world_fail("I11", "a dot to an account of a revoked node");
    if (!flz_id_is_null(new_generation) && flz_id_equal(mind->generation, new_generation) &&
        now + QUIET_TOLERANCE_MS < quiet_until)
        world_fail("I20", "a dot on the day of a restored log");
}

static void on_dot(struct proc *proc, const char *message_id)
{
    struct watch_order *order = (struct watch_order *)watch_sent_by(message_id);
    world_say("the final dot of <%.12s…>", message_id);
    watch_counts.dots++;
    if (!order)
        world_fail("I5", "a message that nobody ordered");
    if (order->node != network_index_of(proc))
        world_fail("I5", "a message that another node was to send");
    if (++order->dots > 1)
        world_fail("I1", "a second final dot");
    check_record(order);
    check_authority(&minds[order->node], proc, order);
}

/* ---- Now and then ---- */

void watch_restored(int64_t until)
{
    quiet_until = until;
    flz_map_deinit(&row_of_exchange);
    memset(spaced, 0, sizeof spaced);
    new_generation = FLZ_ID_NULL;
}

void watch_liar(size_t node)
{
    minds[node].lies = true;
}

bool watch_is_liar(size_t node)
{
    return minds[node].lies;
}

void watch_lost(size_t node)
{
    minds[node].lost = true;
    minds[node].epoch = 0;
    minds[node].generation = FLZ_ID_NULL;
    minds[node].revoked_count = 0;
}

static void on_day_row(struct flz_view key, struct flz_view value, void *data)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    (void)data;
    if (key.data[0] != ROW_DAY)
        return;
    (void)decode_row(ROW_DAY, value, &arena, &row);
    if (row.day.planned_day && row.day.reserved + row.day.committed > row.day.quota)
        world_fail("I8", "account %u, date %d: %u reserved, %u committed, quota %u",
                   row.day.account, row.day.date, row.day.reserved, row.day.committed,
                   row.day.quota);
}

static void on_network_row(struct flz_view key, struct flz_view value, void *data)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    (void)data;
    if (key.data[0] != ROW_NETWORK)
        return;
    (void)decode_row(ROW_NETWORK, value, &arena, &row);
    if (quiet_until > 0)
        new_generation = row.network.generation;
}

static void check_starts(void)
{
    for (size_t i = 0; i < world.procs_count; i++) {
        struct proc *proc = &world.procs[i];
        bool late = proc->alive && proc->life > 1 && proc->ready_at == 0 &&
                    world.now - proc->started_at > READY_MS && !disk_is_full(proc) &&
                    proc->frozen_until < proc->started_at;
        if (late)
            world_fail("I15", "%s is not ready %lld s after its start", proc->name,
                       (long long)(world.now - proc->started_at) / 1000);
        if (proc->ready_at > 0 && last_life[i] != proc->life) {
            last_life[i] = proc->life;
            if (proc->life > 1 && proc->ready_at - proc->started_at > READY_MS &&
                proc->frozen_until < proc->started_at)
                world_fail("I15", "%s took %lld s to start", proc->name,
                           (long long)(proc->ready_at - proc->started_at) / 1000);
        }
    }
}

/* A program ends of a broken disk, a lost office or its own start; never of its own decisions, nor
 * of a disk that is merely full. */
static void on_exit_of(struct proc *proc)
{
    if (proc->exit_code == EX_SOFTWARE || proc->exit_code == EX_CONFIG)
        world_fail("I10", "%s gives up, with %d", proc->name, proc->exit_code);
    if (proc->ready_at > 0 && disk_is_full(proc) && !disk_is_broken(proc) &&
        proc->exit_code == EX_IOERR)
        world_fail("I19", "%s ends because its disk is full", proc->name);
}

void watch_hour(void)
{
    disk_each(network.coordinator, "rows", on_day_row, NULL);
    disk_each(network.coordinator, "rows", on_network_row, NULL);
    check_starts();
}

/* ---- The end ---- */

static bool tells; /* what is not over yet */

static void tell_exchange(const struct row_exchange *x)
{
    world_say("not over: exchange %s of %u and %u, state %u, tidy %u %u", flz_id_str(x->id),
              x->from, x->to, x->state, x->tidy_from.state, x->tidy_to.state);
    for (size_t i = 0; i < x->turns_count; i++)
        world_say("  turn %zu: send %u/%u find %u/%u unspam %u/%u open %u/%u", i,
                  x->turns[i].send.state, x->turns[i].send.outcome, x->turns[i].find.state,
                  x->turns[i].find.outcome, x->turns[i].unspam.state, x->turns[i].unspam.outcome,
                  x->turns[i].open.state, x->turns[i].open.outcome);
}

static void on_live_row(struct flz_view key, struct flz_view value, void *data)
{
    bool *over = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    if (key.data[0] != ROW_EXCHANGE)
        return;
    (void)decode_row(ROW_EXCHANGE, value, &arena, &row);
    /* A restored log keeps what is over for a month: PROTOCOL.md, "A restored log". */
    bool kept = quiet_until > 0 && row.exchange.state == EXCHANGE_SETTLED &&
                row.exchange.tidy_from.state > TASK_OPEN && row.exchange.tidy_to.state > TASK_OPEN;
    for (size_t i = 0; kept && i < row.exchange.turns_count; i++)
        kept = row.exchange.turns[i].find.state > TASK_OPEN;
    if (quiet_until > 0 && row.exchange.state == EXCHANGE_LIVE) {
        kept = true;
        for (size_t i = 0; i < row.exchange.turns_count; i++) {
            const struct row_turn *turn = &row.exchange.turns[i];
            kept = kept && turn->send.state > TASK_OPEN && turn->find.state > TASK_OPEN &&
                   turn->unspam.state > TASK_OPEN && turn->open.state > TASK_OPEN;
        }
    }
    if (row.exchange.state == EXCHANGE_ENDED || kept)
        return;
    *over = false;
    if (tells)
        tell_exchange(&row.exchange);
}

static void on_job(struct flz_view key, struct flz_view value, void *data)
{
    bool *over = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct journal_job job;
    (void)key;
    WORLD_MUST(flz_decode(&flz_codec_job, value, &arena, &job) == 0, "a job cannot be read");
    if (job.state == JOB_ENDED)
        return;
    *over = false;
    if (tells)
        world_say("not over: task %s, kind %u, state %u, of account %s", flz_id_str(job.task.id),
                  job.task.kind, job.state, flz_id_str(job.task.account));
}

bool watch_is_over(void)
{
    bool over = !network_waits();
    disk_each(network.coordinator, "rows", on_live_row, &over);
    for (size_t i = 0; i < NETWORK_NODES; i++)
        if (!is_revoked(i)) /* it may not act any more */
            disk_each(network.nodes[i], "jobs", on_job, &over);
    return over;
}

static void on_any_pair(struct flz_view key, struct flz_view value, void *data)
{
    (void)key;
    check_secret(value, data);
}

static void check_disks(void)
{
    static const char *const families[] = {"jobs", "reports", "members", "secrets", "meta"};
    static const char *const others[] = {"log", "rows", "archive", "persons", "nodes", "meta"};
    for (size_t i = 0; i < NETWORK_NODES; i++)
        for (size_t f = 0; f < sizeof families / sizeof *families; f++)
            disk_each(network.nodes[i], families[f], on_any_pair, (void *)(uintptr_t) "on a disk");
    for (size_t f = 0; f < sizeof others / sizeof *others; f++)
        disk_each(network.coordinator, others[f], on_any_pair, (void *)(uintptr_t) "on a disk");
}

/* I21: the strangers' messages lie where they lay, unread. */
static void check_foreign(void)
{
    char line[200];
    for (size_t i = 0; i < post_count(); i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf dump = FLZ_BUF_NULL;
        if (post_violation(i)[0])
            world_fail("I21", "at the mailbox of account %zu: %s", i, post_violation(i));
        post_dump(i, &dump);
        (void)snprintf(line, sizeof line, "%s | Message-ID: <foreign-%zu@elsewhere.test> | \n",
                       i % 2 ? "Junk" : "INBOX", i);
        if (!strstr(flz_buf_str(&dump), line))
            world_fail("I21", "a stranger's message was touched at account %zu:\n%s", i,
                       flz_buf_str(&dump));
    }
}

void watch_end(void)
{
    watch_hour();
    tells = true;
    if (!watch_is_over())
        world_fail("I13", "something has not ended");
    check_disks();
    check_foreign();
    books_check();
}

void watch_init(void)
{
    orders = calloc(ORDERS_MAX, sizeof *orders);
    WORLD_MUST(orders, "memory");
    wire_watch =
        (struct wire_watch){.on_sent = on_sent, .on_arrives = on_arrives, .on_taken = on_taken};
    post_on_dot = on_dot;
    world.on_exit = on_exit_of;
}
