#include "tests/cli/world.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/rng.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "coordinator/rlog/model.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 8
#define ACCOUNTS_MAX 64
#define EVENTS_MAX 65536
#define ROWS_MAX 16384
#define ORDERS_MAX 4096

struct server {
    struct coord *core;
    struct coordinator_identity identity;
    struct person persons[ACCOUNTS_MAX];
    bool known[ACCOUNTS_MAX];
    bool connected[NODES_MAX];
    struct flz_id incarnations[NODES_MAX];
    uint64_t seqs[NODES_MAX];
    struct flz_buf events[EVENTS_MAX];
    size_t events_count;
    struct {
        enum row_kind kind;
        struct flz_buf key;
        struct flz_buf row;
    } rows[ROWS_MAX];
    size_t rows_count;
    struct coord_order orders[ORDERS_MAX]; /* given and not answered */
    size_t orders_count;
    struct flz_rng rng;
    int64_t now;
    int64_t started;
    bool broken;
    enum admission admission;
    bool damaged;
    int64_t refused_step_ms;
};

static struct flz_id id_of(uint32_t kind, uint32_t n)
{
    struct flz_id id = flz_id_of_u64(n);
    id.b[0] = 1;
    id.b[1] = (uint8_t)kind;
    return id;
}

static struct flz_digest digest_of(const char *text)
{
    return flz_digest_of(flz_view_str(text));
}

static void plan(struct server *world, int32_t date);

/* ---- Stepping ---- */

static int keep_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct server *world = data;
    struct flz_buf key = FLZ_BUF_NULL;
    flz_row_key(kind, row, &key);
    size_t i = 0;
    while (i < world->rows_count &&
           (world->rows[i].kind != kind ||
            !flz_view_equal(flz_buf_view(&world->rows[i].key), flz_buf_view(&key))))
        i++;
    assert(i < ROWS_MAX);
    if (i == world->rows_count) {
        world->rows_count++;
        world->rows[i].kind = kind;
        world->rows[i].key = key;
    } else {
        flz_buf_deinit(&key);
    }
    flz_buf_reset(&world->rows[i].row);
    return deleted ? 0 : flz_encode_row(kind, row, &world->rows[i].row);
}

static struct coord_update step(struct server *world, struct coord_command command)
{
    struct coord_update update;
    command.now = world->now;
    int r = coord_step(world->core, &command, &update);
    assert(r == 0);
    for (size_t i = 0; i < update.events_count; i++) {
        assert(world->events_count < EVENTS_MAX);
        r = flz_encode_event(&update.events[i], &world->events[world->events_count++]);
        assert(r == 0);
    }
    for (size_t i = 0; i < update.orders_count && world->orders_count < ORDERS_MAX; i++)
        world->orders[world->orders_count++] = update.orders[i];
    r = coord_take_rows(world->core, keep_row, world);
    assert(r == 0);
    return update;
}

/* ---- coordinator/server.h ---- */

int server_submit(struct server *world, struct coord_command *command, server_on_done on_done,
                  void *data)
{
    if (world->broken)
        return -EIO;
    if (!admission_admits(world->admission, command->kind))
        return -ENOSPC;
    struct coord_update update = step(world, *command);
    struct server_result result = {
        .refused = update.refused, .handle = update.handle, .message = update.message};
    if (on_done)
        on_done(&result, data);
    return 0;
}

int server_erase(struct server *world, uint32_t account, server_on_done on_done, void *data)
{
    struct coord_command command = {.kind = COORD_REMOVE, .account = account};
    world->known[account] = false;
    return server_submit(world, &command, on_done, data);
}

const struct coord *server_core(const struct server *world)
{
    return world->core;
}

struct persons *server_persons(struct server *world)
{
    return (struct persons *)world;
}

const struct person *persons_find(const struct persons *persons, uint32_t account)
{
    const struct server *world = (const struct server *)persons;
    return account < ACCOUNTS_MAX && world->known[account] ? &world->persons[account] : NULL;
}

const struct coordinator_identity *server_identity(const struct server *world)
{
    return &world->identity;
}

struct flz_log *server_log(struct server *world)
{
    return NULL;
}

int64_t server_now(struct server *world)
{
    return world->now;
}

int64_t server_rate_milli(const struct server *world)
{
    return 1000;
}

int64_t server_started_boot(const struct server *world)
{
    return world->started;
}

uint64_t server_seq(const struct server *world)
{
    return world->events_count;
}

bool server_node_connected(const struct server *world, uint32_t node)
{
    return node < NODES_MAX && world->connected[node];
}

int64_t server_node_heard_boot(const struct server *world, uint32_t node)
{
    return node < NODES_MAX && world->connected[node] ? flz_boottime_ms() - 1000 : 0;
}

int server_each_row(struct server *world, enum row_kind kind,
                    int (*on_row)(const void *row, void *data), void *data)
{
    for (size_t i = 0; i < world->rows_count; i++) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        union row row;
        if (world->rows[i].kind != kind || world->rows[i].row.len == 0)
            continue;
        int r = flz_decode_row(kind, flz_buf_view(&world->rows[i].row), &arena, &row);
        if (r == 0)
            r = on_row(&row, data);
        if (r != 0)
            return r;
    }
    return 0;
}

struct one_account {
    uint32_t account;
    int (*on_row)(const void *row, void *data);
    void *data;
};

static int on_day(const void *row, void *data)
{
    const struct one_account *one = data;
    const struct row_day *day = row;
    return day->account == one->account ? one->on_row(row, one->data) : 0;
}

int server_each_old_day(struct server *world, uint32_t account,
                        int (*on_row)(const void *row, void *data), void *data)
{
    struct one_account one = {.account = account, .on_row = on_row, .data = data};
    return server_each_row(world, ROW_DAY_OLD, on_day, &one);
}

int server_each_event(struct server *world, uint64_t from_seq,
                      int (*on_event)(uint64_t seq, const struct event *event, void *data),
                      void *data)
{
    for (uint64_t seq = from_seq; seq <= world->events_count; seq++) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct event event;
        int r = flz_decode_event(flz_buf_view(&world->events[seq - 1]), &arena, &event);
        if (r == 0)
            r = on_event(seq, &event, data);
        if (r != 0)
            return r;
    }
    return 0;
}

enum admission server_admission(const struct server *world, struct flz_msg *ret_why)
{
    *ret_why = FLZ_MSG_NULL;
    if (world->admission != ADMISSION_OPEN)
        flz_msg_set(ret_why, "the disk of the coordinator is nearly full");
    return world->admission;
}

/* The events so far, one a segment. */
static void fill_log(const struct server *world, struct rlog *log)
{
    struct segment header = {.seq = 0};
    struct rlog_bounds bounds;
    struct flz_msg msg;
    enum rlog_result result = rlog_campaign(log, "world", &header.epoch, &msg);
    for (size_t i = 0; i < world->events_count && result == RLOG_OK; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        struct segment_builder builder = {.count = 0};
        (void)rlog_bounds(log, &bounds);
        header.seq = bounds.last + 1;
        header.generation = bounds.generation;
        header.first_event = bounds.last_event + 1;
        header.previous = bounds.head;
        segment_add(&builder, flz_buf_view(&world->events[i]));
        int r = segment_finish(&builder, &header, &bytes);
        assert(r == 0);
        result = rlog_append(log, header.epoch, flz_buf_view(&bytes), NULL);
        segment_builder_deinit(&builder);
    }
    assert(result == RLOG_OK);
}

int server_audit(struct server *world, const struct audit_request *request,
                 void (*on_done)(const struct audit_result *result, void *data), void *data)
{
    struct rlog_model_options options = {.seed = 1};
    struct audit_result audited;
    struct rlog_model *model;
    struct rlog *log;
    atomic_bool stop = false;
    if (world->broken)
        return -EBUSY;
    int r = rlog_model_new(&options, &model);
    assert(r == 0);
    r = rlog_model_open(model, &log);
    assert(r == 0);
    fill_log(world, log);
    if (world->damaged)
        (void)rlog_model_flip(model, 2, 50, 1);
    audit_run(log, request, &stop, &audited);
    on_done(&audited, data);
    audit_result_deinit(&audited);
    (void)rlog_close(log);
    (void)rlog_model_free(model);
    return 0;
}

int server_refold(struct server *world, const struct refold_request *request,
                  void (*on_done)(const struct refold_result *result, void *data), void *data)
{
    struct replay_options options = {.base = coord_policy(world->core)};
    struct refold_result result = {.outcome = REFOLD_SAME, .events = 17, .rows = 42};
    if (world->broken)
        return -EBUSY;
    int r = replay_new(&options, &result.replay);
    assert(r == 0);
    for (size_t i = 0; i < request->keys_count && result.outcome == REFOLD_SAME; i++)
        if (replay_policy(result.replay, request->keys[i].name, request->keys[i].value,
                          &result.msg) < 0)
            result.outcome = REFOLD_REFUSED;
    on_done(&result, data);
    result.replay = replay_free(result.replay);
    return 0;
}

int server_backup(struct server *world, const struct backup_request *request,
                  void (*on_done)(const struct backup_result *result, void *data), void *data)
{
    struct backup_result result = {.name = "2026-11-23T100000Z",
                                   .rows = 42,
                                   .bytes = 4711,
                                   .bounds = {.last = 3, .last_event = 17}};
    if (world->broken)
        return -EBUSY;
    if (world->admission != ADMISSION_OPEN)
        return -ENOSPC;
    if (request->kind == BACKUP_VERIFY && strcmp(request->name, result.name) != 0)
        result.outcome = BACKUP_ABSENT;
    else if (world->damaged)
        result.outcome = BACKUP_DAMAGED;
    if (world->damaged)
        flz_msg_set(&result.msg, "log: segment 2 is damaged");
    on_done(&result, data);
    return 0;
}

const char *server_state_dir(const struct server *world)
{
    return "/var/lib/fluenzr";
}

int server_ready(const struct server *world, struct flz_msg *msg)
{
    if (!world->broken)
        return server_admission(world, msg) == ADMISSION_OPEN ? 0 : -ENOSPC;
    flz_msg_set(msg, "the log refuses: no space left on the device");
    return -EIO;
}

uint64_t server_free_bytes(const struct server *world)
{
    return UINT64_C(64) << 30;
}

int64_t server_refused_step_ms(const struct server *world)
{
    return world->refused_step_ms;
}

int server_confirm_clock(struct server *world, const char *by, server_on_done on_done, void *data)
{
    struct server_result result = {.r = 0};
    if (world->admission != ADMISSION_OPEN)
        return -ENOSPC;
    if (world->refused_step_ms > 0)
        world->now += world->refused_step_ms;
    world->refused_step_ms = 0;
    on_done(&result, data);
    return 0;
}

int64_t server_first_slot(const struct server *world, uint32_t account)
{
    int64_t first = FLZ_NEVER;
    for (size_t i = 0; i < coord_exchange_limit(world->core); i++) {
        const struct row_exchange *x = coord_exchange(world->core, (uint32_t)i);
        if (x && x->from == account && x->turns[0].send_at < first)
            first = x->turns[0].send_at;
    }
    return first;
}

/* ---- Building ---- */

struct server *world_new(struct coordinator_identity *identity)
{
    struct server *world = calloc(1, sizeof *world);
    struct policy policy = policy_default();
    assert(world);
    world->now = WORLD_NOW - 12 * FLZ_HOUR_MS;
    world->started = flz_boottime_ms() - 5000;
    (void)snprintf(world->identity.name, sizeof world->identity.name, "world");
    (void)snprintf(world->identity.contact, sizeof world->identity.contact, "stop@world.test");
    if (identity) {
        world->identity = *identity;
        *identity = COORDINATOR_IDENTITY_NULL;
    }
    int r = coord_new(id_of(9, 9), flz_view_str("key"), &policy, &world->core);
    assert(r == 0);
    (void)step(world, (struct coord_command){.kind = COORD_LEAD,
                                             .lead = {.epoch = 1, .generation = id_of(8, 1)}});
    world->now = WORLD_NOW;
    flz_rng_init(&world->rng, flz_view_str("world"), 7);
    return world;
}

struct server *world_free(struct server *world)
{
    for (size_t i = 0; i < world->events_count; i++)
        flz_buf_deinit(&world->events[i]);
    for (size_t i = 0; i < world->rows_count; i++) {
        flz_buf_deinit(&world->rows[i].key);
        flz_buf_deinit(&world->rows[i].row);
    }
    world->core = coord_free(world->core);
    coordinator_identity_deinit(&world->identity);
    free(world);
    return NULL;
}

uint32_t world_add_node(struct server *world, const char *name, bool connected)
{
    uint32_t n = (uint32_t)coord_node_count(world->core);
    struct coord_command invite = {.kind = COORD_INVITE,
                                   .invite = {.node = id_of(1, n),
                                              .token = digest_of(name),
                                              .not_after = FLZ_NEVER - 1,
                                              .real_now = 1}};
    struct coord_command join = {
        .kind = COORD_JOIN, .join = {.node = id_of(1, n), .token = digest_of(name), .real_now = 2}};
    (void)snprintf(invite.invite.name, sizeof invite.invite.name, "%s", name);
    (void)snprintf(join.join.name, sizeof join.join.name, "%s", name);
    memcpy(join.join.curve_key.b, digest_of(name).b, sizeof join.join.curve_key.b);
    (void)step(world, invite);
    struct coord_update update = step(world, join);
    assert(!update.refused && update.handle == n);
    world->incarnations[n] = id_of(2, n);
    world->connected[n] = connected;
    (void)step(world, (struct coord_command){
                          .kind = COORD_HELLO,
                          .node = n,
                          .hello = {.incarnation = world->incarnations[n], .credit = 100}});
    return n;
}

static struct coord_update report(struct server *world, uint32_t node, struct flz_report *report)
{
    report->seq = ++world->seqs[node];
    struct coord_command command = {
        .kind = COORD_REPORT,
        .node = node,
        .report = {.incarnation = world->incarnations[node], .report = report}};
    struct flz_address address;
    if (report->kind == FLZ_REPORT_ACCOUNT &&
        flz_address_parse(report->account.address, &address) == 0) {
        const char *domain = flz_address_domain(&address);
        command.report.address = flz_address_digest(&address);
        command.report.domain = digest_of(domain);
        command.report.owner = digest_of(report->account.owner);
        (void)snprintf(command.report.domain_name, sizeof command.report.domain_name, "%s", domain);
    }
    return step(world, command);
}

uint32_t world_add_account(struct server *world, uint32_t node, const char *address,
                           const char *owner)
{
    struct flz_report message = {
        .kind = FLZ_REPORT_ACCOUNT,
        .account = {.id = id_of(3, (uint32_t)coord_account_count(world->core)),
                    .provider = "smtp",
                    .zone = "UTC",
                    .end_minute = 1440,
                    .days = 127,
                    .intensity = FLZ_INTENSITY_MEDIUM,
                    .profile = FLZ_PROFILE_NEW,
                    .language = "en",
                    .volume = 40,
                    .consent = {.given = 1, .until = WORLD_NOW + 100 * FLZ_DAY_MS, .actions = 15}}};
    (void)snprintf(message.account.address, sizeof message.account.address, "%s", address);
    (void)snprintf(message.account.owner, sizeof message.account.owner, "%s", owner);
    struct coord_update update = report(world, node, &message);
    assert(!update.refused && update.handle < ACCOUNTS_MAX);
    struct person *person = &world->persons[update.handle];
    (void)snprintf(person->address, sizeof person->address, "%s", address);
    (void)snprintf(person->owner, sizeof person->owner, "%s", owner);
    (void)snprintf(person->consent_by, sizeof person->consent_by, "the test");
    world->known[update.handle] = true;
    return update.handle;
}

void world_probe(struct server *world, uint32_t account, bool login_ok)
{
    const struct row_account *row = coord_account(world->core, account);
    struct flz_report message = {
        .kind = FLZ_REPORT_PROBE,
        .probe = {.account = row->id,
                  .at = world->now,
                  .login_ok = login_ok,
                  .reason = login_ok ? 0 : FLZ_REASON_LOGIN,
                  .quota_permille = 1001,
                  .mx = digest_of("mx"),
                  .next_at = login_ok ? 0 : world->now + 5 * FLZ_MINUTE_MS}};
    (void)report(world, row->node, &message);
}

void world_rename(struct server *world, uint32_t account, const char *address, const char *owner)
{
    struct person *person = &world->persons[account];
    (void)snprintf(person->address, sizeof person->address, "%s", address);
    (void)snprintf(person->owner, sizeof person->owner, "%s", owner);
}

void world_refuse(struct server *world, uint32_t account, uint32_t tries)
{
    const struct row_account *row = coord_account(world->core, account);
    bool last = tries == FLZ_LOGIN_TRIES_MAX || tries == 0;
    struct flz_report message = {.kind = FLZ_REPORT_PROBE,
                                 .probe = {.account = row->id,
                                           .at = world->now,
                                           .reason = FLZ_REASON_LOGIN,
                                           .text = "SMTP mail.alpha.test:587: auth: 535 5.7.8 "
                                                   "Authentication failed",
                                           .quota_permille = 1001,
                                           .mx = digest_of("mx"),
                                           .tries = tries,
                                           .next_at = last ? 0 : world->now + 5 * FLZ_MINUTE_MS}};
    (void)report(world, row->node, &message);
}

void world_plan(struct server *world)
{
    plan(world, WORLD_DATE);
}

static void plan(struct server *world, int32_t date)
{
    struct coord_civil civil[ACCOUNTS_MAX];
    struct coord_pack pack = {.digest = digest_of("pack"), .language = "en", .scenarios = 8};
    memset(pack.turns, 3, sizeof pack.turns);
    size_t count = coord_account_count(world->core);
    for (uint32_t i = 0; i < count; i++) {
        civil[i] = (struct coord_civil){.account = i, .sends = true};
        for (int day = 0; day < COORD_WINDOW_DAYS; day++)
            civil[i].windows[day] = (struct coord_window){.start = (date + day) * FLZ_DAY_MS,
                                                          .end = (date + day + 1) * FLZ_DAY_MS};
    }
    (void)step(world, (struct coord_command){.kind = COORD_PLAN,
                                             .plan = {.date = date,
                                                      .civil = civil,
                                                      .civil_count = count,
                                                      .packs = &pack,
                                                      .packs_count = 1,
                                                      .seed = 7}});
}

static void say(struct server *world, struct coord_order order, uint32_t outcome,
                uint32_t placement)
{
    struct coord_task task;
    int r = coord_task(world->core, &order, &task);
    assert(r == 0);
    struct flz_report message = {
        .kind = FLZ_REPORT_RECEIPT,
        .receipt = {.task = task.id,
                    .exchange = coord_exchange(world->core, order.exchange)->id,
                    .account = coord_account(world->core, task.account)->id,
                    .turn = order.turn,
                    .kind = order.kind,
                    .attempt = task.attempt,
                    .outcome = outcome,
                    .placement = placement,
                    .local_date = task.local_date,
                    .reply_code = outcome == FLZ_OUTCOME_SENT ? 250 : 0,
                    .at = world->now}};
    (void)report(world, coord_account(world->core, task.account)->node, &message);
}

void world_settle_first(struct server *world, uint32_t exchange, uint32_t placement)
{
    const struct row_exchange *x = coord_exchange(world->core, exchange);
    world->now = x->turns[0].send_at;
    (void)step(world, (struct coord_command){.kind = COORD_TICK});
    say(world, (struct coord_order){.exchange = exchange, .kind = FLZ_TASK_SEND}, FLZ_OUTCOME_SENT,
        FLZ_PLACEMENT_NONE);
    world->now += 10 * FLZ_MINUTE_MS;
    (void)step(world, (struct coord_command){.kind = COORD_TICK});
    say(world, (struct coord_order){.exchange = exchange, .kind = FLZ_TASK_FIND}, FLZ_OUTCOME_FOUND,
        placement);
}

/* ---- Living ---- */

/* A node answers what it can do by now; a look comes after the message. */
static bool is_due(const struct server *world, const struct coord_order *order,
                   const struct coord_task *task)
{
    const struct row_exchange *x = coord_exchange(world->core, order->exchange);
    return world->connected[coord_account(world->core, task->account)->node] &&
           task->not_before <= world->now &&
           (order->kind != FLZ_TASK_FIND || x->turns[order->turn].send.state == TASK_ENDED);
}

static void answer(struct server *world, struct coord_order order, uint64_t junk_percent)
{
    uint64_t lot = flz_rng_below(&world->rng, 100);
    switch (order.kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY:
        say(world, order, lot < 1 ? FLZ_OUTCOME_REJECTED : FLZ_OUTCOME_SENT, FLZ_PLACEMENT_NONE);
        return;
    case FLZ_TASK_FIND:
        say(world, order, FLZ_OUTCOME_FOUND,
            lot < junk_percent ? FLZ_PLACEMENT_JUNK : FLZ_PLACEMENT_INBOX);
        return;
    default: say(world, order, FLZ_OUTCOME_DONE, FLZ_PLACEMENT_NONE);
    }
}

static void answer_all(struct server *world, uint64_t junk_percent)
{
    for (size_t i = 0; i < world->orders_count;) {
        struct coord_order order = world->orders[i];
        struct coord_task task;
        bool gone = coord_task(world->core, &order, &task) < 0;
        if (!gone && !is_due(world, &order, &task)) {
            i++;
            continue;
        }
        world->orders[i] = world->orders[--world->orders_count];
        if (!gone)
            answer(world, order, junk_percent);
    }
}

static void tick(struct server *world, uint64_t junk_percent)
{
    for (uint32_t node = 0; node < coord_node_count(world->core); node++)
        if (world->connected[node])
            (void)step(world,
                       (struct coord_command){.kind = COORD_CREDIT, .node = node, .credit = 1000});
    (void)step(world, (struct coord_command){.kind = COORD_TICK});
    answer_all(world, junk_percent);
}

void world_live(struct server *world, int days, int64_t hours)
{
    for (int day = 0; day <= days; day++) {
        int64_t end = (WORLD_DATE + day) * FLZ_DAY_MS + (day < days ? 23 : hours) * FLZ_HOUR_MS;
        uint64_t junk_percent = (uint64_t)(60 / (day / 2 + 1));
        plan(world, WORLD_DATE + day);
        while (world->now < end) {
            world->now += 5 * FLZ_MINUTE_MS;
            tick(world, junk_percent);
        }
        for (uint32_t i = 0; i < coord_account_count(world->core); i++)
            if (world->connected[coord_account(world->core, i)->node])
                world_probe(world, i, coord_account(world->core, i)->login_ok);
    }
}

void world_disconnect(struct server *world, uint32_t node)
{
    world->connected[node] = false;
}

void world_damage(struct server *world)
{
    world->damaged = true;
}

void world_break(struct server *world)
{
    world->broken = true;
}

void world_refuse_step(struct server *world, int64_t step_ms)
{
    world->refused_step_ms = step_ms;
}

void world_hold_back(struct server *world, enum admission admission)
{
    world->admission = admission;
}
