#include "coordinator/server_private.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/admin.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "common/sys/service.h"
#include "coordinator/aside.h"
#include "coordinator/days.h"
#include "coordinator/desk.h"
#include "coordinator/door.h"
#include "coordinator/families.h"
#include "coordinator/keeper.h"
#include "coordinator/meters.h"
#include "coordinator/run.h"
#include "coordinator/watch.h"
#include "coordinator/web.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define TICK_MS_MIN 10
#define TICK_MS_MAX 1000
#define HOUSEKEEPING_MS 10000
#define HELD_BACK_MS 250 /* until it is looked again whether there is room to decide */
/* A lab's clock stands still for work this late, or a message whose slot ends so soon: real ms. */
#define LAB_LATE_MS 2000
#define LAB_MARGIN_MS 1500

/* ---- Rows ---- */

static bool is_archive(enum row_kind kind)
{
    return kind == ROW_DAY_OLD || kind == ROW_EXCHANGE_OLD || kind == ROW_TALLY_OLD;
}

static void row_key(enum row_kind kind, const void *row, struct flz_buf *key)
{
    flz_buf_add_byte(key, (uint8_t)kind);
    flz_row_key(kind, row, key);
}

static int put_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct store_batch *rider = data;
    enum family family = is_archive(kind) ? FAMILY_ARCHIVE : FAMILY_ROWS;
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    row_key(kind, row, &key);
    int r = flz_buf_error(&key);
    if (r < 0)
        return r;
    if (deleted) {
        store_delete(rider, family, flz_buf_view(&key));
        return 0;
    }
    r = flz_encode_row(kind, row, &value);
    if (r < 0)
        return r;
    store_put(rider, family, flz_buf_view(&key), flz_buf_view(&value));
    return 0;
}

static int on_stored_row(struct flz_view key, struct flz_view value, void *data)
{
    struct server *server = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    enum row_kind kind = key.len > 0 ? (enum row_kind)key.data[0] : 0;
    int r = flz_decode_row(kind, value, &arena, &row);
    return r < 0 ? r : coord_load_row(server->core, kind, &row);
}

struct each_row {
    enum row_kind kind;
    int (*on_row)(const void *row, void *data);
    void *data;
};

static int on_each_row(struct flz_view key, struct flz_view value, void *data)
{
    struct each_row *each = data;
    (void)key;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    int r = flz_decode_row(each->kind, value, &arena, &row);
    return r < 0 ? r : each->on_row(&row, each->data);
}

int server_each_row(struct server *server, enum row_kind kind,
                    int (*on_row)(const void *row, void *data), void *data)
{
    struct each_row each = {.kind = kind, .on_row = on_row, .data = data};
    uint8_t prefix = (uint8_t)kind;
    return store_each(server->store, is_archive(kind) ? FAMILY_ARCHIVE : FAMILY_ROWS, FLZ_VIEW_NULL,
                      (struct flz_view){.data = &prefix, .len = 1}, on_each_row, &each);
}

int server_each_old_day(struct server *server, uint32_t account,
                        int (*on_row)(const void *row, void *data), void *data)
{
    struct each_row each = {.kind = ROW_DAY_OLD, .on_row = on_row, .data = data};
    _cleanup_(flz_buf_deinit) struct flz_buf prefix = FLZ_BUF_NULL;
    flz_buf_add_byte(&prefix, ROW_DAY_OLD);
    flz_buf_add_be32(&prefix, account);
    int r = flz_buf_error(&prefix);
    return r < 0 ? r
                 : store_each(server->store, FAMILY_ARCHIVE, FLZ_VIEW_NULL, flz_buf_view(&prefix),
                              on_each_row, &each);
}

/* ---- Deciding and committing ---- */

static int64_t clock_now(struct server *server)
{
    int64_t now = timekeeper_now(&server->clock);
    /* The log's time never goes back, whatever the clocks did between two lives. */
    int64_t newest = coord_network(server->core)->now;
    return now > newest ? now : newest;
}

static int add_events(struct server *server, const struct coord_update *update, int64_t now)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    for (size_t i = 0; i < update->events_count; i++) {
        flz_buf_reset(&bytes);
        int r = flz_encode_event(&update->events[i], &bytes);
        if (r < 0)
            return r;
        committer_add(server->committer, flz_buf_view(&bytes), now);
        metrics_add(server->metrics, METER_EVENTS,
                    METRICS_LABELS(flz_event_name(update->events[i].type)), 1);
    }
    return 0;
}

int server_step(struct server *server, struct coord_command *command,
                struct coord_update *ret_update)
{
    if (server->lost)
        return flz_fail(-ECANCELED);
    command->now = clock_now(server);
    int r = coord_step(server->core, command, ret_update);
    if (r == 0)
        r = add_events(server, ret_update, command->now);
    if (r < 0) {
        flz_log_failure(server->log, "decision_failed", r, NULL);
        server->lost = true;
        server_stop(server, EX_SOFTWARE);
    }
    return r;
}

int server_after_commit(struct server *server, void (*on_release)(void *data, int r), void *data)
{
    if (server->outputs_head > 1024 && server->outputs_head * 2 > server->outputs_count) {
        server->outputs_count -= server->outputs_head;
        memmove(server->outputs, server->outputs + server->outputs_head,
                server->outputs_count * sizeof *server->outputs);
        server->outputs_head = 0;
    }
    int r = flz_grow((void **)&server->outputs, &server->outputs_capacity,
                     server->outputs_count + 1, sizeof *server->outputs);
    if (r < 0)
        return r;
    server->outputs[server->outputs_count++] = (struct output){
        .group = committer_group(server->committer), .on_release = on_release, .data = data};
    return 0;
}

/* ---- Admission ---- */

enum admission server_admission(const struct server *server, struct flz_msg *ret_why)
{
    const struct committer *committer = server->committer;
    struct admission_facts facts = {
        .dir = server->config->state_dir,
        .free_bytes = store_free_bytes(server->store),
        .free_min = STORE_FREE_MIN,
        .waits_for = committer_waits_for(committer),
        .crowded = committer_is_crowded(committer),
        .has_room = committer_has_room(committer),
    };
    return admission_of(&facts, ret_why);
}

bool server_admits(const struct server *server, enum coord_command_kind kind)
{
    struct flz_msg why;
    return admission_admits(server_admission(server, &why), kind);
}

/* Says so when it changed. */
static bool is_open(struct server *server)
{
    struct flz_msg why;
    enum admission admission = server_admission(server, &why);
    if (admission != server->admission && admission == ADMISSION_OPEN)
        flz_log(server->log, FLZ_LOG_NOTICE, "going_on", "reason=%s", "there is room to write");
    else if (admission != server->admission)
        flz_log(server->log, FLZ_LOG_WARNING, "held_back", "reason=%s", why.text);
    server->admission = admission;
    return admission == ADMISSION_OPEN;
}

/* ---- Commits ---- */

static void on_committed(uint64_t group, uint64_t last_event, int64_t took_us, void *data)
{
    struct server *server = data;
    server->seq = last_event;
    metrics_observe(server->metrics, METER_STORE_WRITE, METRICS_NO_LABELS, (double)took_us / 1e6);
    while (server->outputs_head < server->outputs_count &&
           server->outputs[server->outputs_head].group <= group) {
        struct output output = server->outputs[server->outputs_head++];
        output.on_release(output.data, 0);
    }
    if (server->admission != ADMISSION_OPEN)
        server_wake(server);
}

static int on_close(struct store_batch *rider, void *data)
{
    struct server *server = data;
    timekeeper_save(&server->clock, rider);
    return coord_take_rows(server->core, put_row, rider);
}

static void on_lost(enum rlog_result result, void *data)
{
    struct server *server = data;
    /* Memory is ahead of the log. The safest way to drop it is to end: what the log holds is loaded
     * by the next life, and nothing that was not committed has left. */
    flz_log(server->log, FLZ_LOG_ERROR, "log_lost", "result=%s", rlog_result_str(result));
    metrics_add(server->metrics, METER_STORE_ERRORS, METRICS_NO_LABELS, 1);
    server->lost = true;
    server_stop(server, result == RLOG_FENCED ? EX_TEMPFAIL : EX_IOERR);
}

static void on_kept(const struct committer_kept *kept, void *data)
{
    struct server *server = data;
    if (server->keeper) /* else the process ends */
        keeper_told(server->keeper, kept);
}

static const struct committer_events committer_events = {
    .on_close = on_close,
    .on_committed = on_committed,
    .on_lost = on_lost,
    .on_kept = on_kept,
};

/* Orders wait for their events' commit. */
struct issue {
    struct server *server;
    size_t count;
    struct coord_order orders[];
};

static void on_issued(void *data, int r)
{
    struct issue *issue = data;
    if (r == 0)
        door_order(issue->server->door, issue->orders, issue->count);
    free(issue);
}

int server_issue(struct server *server, const struct coord_update *update)
{
    if (update->orders_count == 0)
        return 0;
    struct issue *issue = malloc(sizeof *issue + update->orders_count * sizeof issue->orders[0]);
    if (!issue)
        return flz_fail(-ENOMEM);
    issue->server = server;
    issue->count = update->orders_count;
    memcpy(issue->orders, update->orders, update->orders_count * sizeof issue->orders[0]);
    int r = server_after_commit(server, on_issued, issue);
    if (r < 0)
        free(issue);
    return r;
}

/* ---- Commands of the desk ---- */

struct submission {
    struct server *server;
    struct server_result result;
    server_on_done on_done;
    void *data;
    bool refresh;
};

static void on_submitted(void *data, int r)
{
    struct submission *submission = data;
    submission->result.r = r;
    if (r == 0 && submission->refresh) {
        metrics_add(submission->server->metrics, METER_LEASES, METRICS_LABELS("revoke"), 1);
        door_refresh(submission->server->door);
    }
    if (submission->on_done)
        submission->on_done(&submission->result, submission->data);
    free(submission);
}

static int submit(struct server *server, struct coord_command *command, uint32_t erase,
                  server_on_done on_done, void *data)
{
    struct coord_update update;
    if (!server_admits(server, command->kind))
        return -ENOSPC;
    int r = server_step(server, command, &update);
    if (r == 0)
        r = server_issue(server, &update);
    if (r < 0)
        return r;
    if (erase != COORD_NONE && !update.refused)
        persons_erase(server->persons, erase, committer_rider(server->committer));
    struct submission *submission = calloc(1, sizeof *submission);
    if (!submission)
        return flz_fail(-ENOMEM);
    *submission = (struct submission){
        .server = server,
        .result = {.refused = update.refused, .handle = update.handle, .message = update.message},
        .on_done = on_done,
        .data = data,
        .refresh = command->kind == COORD_REVOKE,
    };
    r = server_after_commit(server, on_submitted, submission);
    if (r < 0)
        free(submission);
    server_wake(server);
    return r;
}

int server_submit(struct server *server, struct coord_command *command, server_on_done on_done,
                  void *data)
{
    return submit(server, command, COORD_NONE, on_done, data);
}

int server_erase(struct server *server, uint32_t account, server_on_done on_done, void *data)
{
    struct coord_command command = {.kind = COORD_REMOVE, .account = account};
    return submit(server, &command, account, on_done, data);
}

int server_confirm_clock(struct server *server, const char *by, server_on_done on_done, void *data)
{
    struct flz_msg why;
    if (server->lost)
        return flz_fail(-ECANCELED);
    if (server_admission(server, &why) != ADMISSION_OPEN)
        return -ENOSPC;
    struct submission *submission = calloc(1, sizeof *submission);
    if (!submission)
        return flz_fail(-ENOMEM);
    *submission = (struct submission){.server = server, .on_done = on_done, .data = data};
    int r = server_after_commit(server, on_submitted, submission);
    if (r < 0) {
        free(submission);
        return r;
    }
    flz_log(server->log, FLZ_LOG_NOTICE, "clock_confirmed", "step_ms=%lld by=%s",
            (long long)timekeeper_refused_step_ms(&server->clock), by);
    timekeeper_confirm(&server->clock);
    timekeeper_save(&server->clock, committer_rider(server->committer));
    server_wake(server);
    return 0;
}

/* ---- Time ---- */

/* A lab's clock waits for its work (DESIGN: at most ten seconds each time). */
static void hold_clock(struct server *server, int64_t now)
{
    int64_t rate = server_rate_milli(server);
    if (rate == NETCLOCK_RATE_ONE)
        return;
    timekeeper_hold(&server->clock, coord_presses(server->core, now, LAB_LATE_MS * rate / 1000,
                                                  LAB_MARGIN_MS * rate / 1000));
}

static void arm_tick(struct server *server);

/* What time brings; nothing while it is held back: what is due then stays due. */
static int decide(struct server *server)
{
    struct coord_command command = {.kind = COORD_TICK};
    struct coord_update update;
    if (!is_open(server))
        return 0;
    int r = door_go_on(server->door);
    if (r == 0)
        r = server_step(server, &command, &update);
    if (r == 0)
        r = server_issue(server, &update);
    if (r == 0)
        days_run(server->days, command.now);
    return r;
}

static void run_tick(struct server *server)
{
    if (decide(server) < 0)
        return;
    hold_clock(server, clock_now(server));
    arm_tick(server);
}

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    int64_t late = flz_boottime_ms() - server->tick_boot;
    metrics_observe(server->metrics, METER_LOOP_LAG, METRICS_NO_LABELS,
                    late > 0 ? (double)late / 1000 : 0);
    run_tick(server);
}

static void arm_tick(struct server *server)
{
    int64_t next = coord_next(server->core);
    int64_t wait = TICK_MS_MAX;
    if (next != FLZ_NEVER) {
        int64_t real = timekeeper_wait_ms(&server->clock, next);
        wait = real < wait ? real : wait;
    }
    if (server_rate_milli(server) != NETCLOCK_RATE_ONE && wait > 50)
        wait = 50; /* a lab's clock is looked after closely */
    if (door_has_backlog(server->door))
        wait = 0;
    int64_t least = server->admission == ADMISSION_OPEN ? TICK_MS_MIN : HELD_BACK_MS;
    wait = wait > least ? wait : least;
    server->tick_boot = flz_boottime_ms() + wait;
    (void)uv_timer_start(&server->tick, on_tick, (uint64_t)wait, 0);
}

void server_wake(struct server *server)
{
    if (!server->handles || server->lost)
        return;
    server->tick_boot = flz_boottime_ms() + TICK_MS_MIN;
    (void)uv_timer_start(&server->tick, on_tick, TICK_MS_MIN, 0);
}

/* A node that is not heard takes nothing: what is due for it waits in the core. */
static void withdraw_credit(struct server *server)
{
    for (uint32_t node = 0; node < coord_node_count(server->core) && !server->lost; node++) {
        struct coord_command command = {.kind = COORD_CREDIT, .node = node};
        struct coord_update update;
        if (door_connected(server->door, node) || coord_node_credit(server->core, node) == 0)
            continue;
        metrics_add(server->metrics, METER_LEASES, METRICS_LABELS("expire"), 1);
        (void)server_step(server, &command, &update);
    }
}

static bool is_ending(const struct server *server)
{
    return server->lost || store_is_broken(server->store);
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct server *server = timer->data;
    withdraw_credit(server);
    /* A full disk makes it unready, but a restart would not empty the disk. */
    if (!is_ending(server))
        service_notify("WATCHDOG=1");
    int64_t step = timekeeper_refused_step_ms(&server->clock);
    if (step != 0)
        flz_log(server->log, FLZ_LOG_ERROR, "clock_step_refused", "step_ms=%lld hint=%s",
                (long long)step,
                "network time goes on without it; set this host's clock right or, if it is, "
                "fluenzrctl clock confirm");
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    flz_log(server->log, FLZ_LOG_NOTICE, "stopping", "signal=%d", number);
    service_notify("STOPPING=1");
    server_stop(server, 0);
}

void server_stop(struct server *server, int exit_code)
{
    server->exit_code = exit_code;
    uv_stop(&server->loop);
}

/* ---- Opening ---- */

/* A folder that came from a backup says so, or whoever started us does. */
static int begin_generation(struct server *server, struct flz_msg *msg)
{
    char mark[4200];
    (void)snprintf(mark, sizeof mark, "%s/" BACKUP_MARK, server->config->state_dir);
    server->restored = server->restored || access(mark, F_OK) == 0;
    if (!server->restored)
        return 0;
    int r = rlog_embedded_new_generation(server->rlog);
    if (r < 0) {
        flz_msg_set(msg, "the new log generation could not be written: %s", strerror(-r));
        return r;
    }
    return fsutil_remove(mark, msg);
}

static int open_store(struct server *server, struct flz_msg *msg)
{
    char path[4200], archive[4200];
    const struct config *config = server->config;
    int r = fsutil_mkdir(config->state_dir, 0700, msg);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof path, "%s/store", config->state_dir);
    (void)snprintf(archive, sizeof archive, "%s/archive", config->state_dir);
    struct store_options options = {.families = family_names, .families_count = FAMILIES};
    r = store_open(path, &options, &server->store, msg);
    if (r < 0)
        return r;
    struct rlog_embedded_options log = {.store = server->store,
                                        .family_log = FAMILY_LOG,
                                        .family_meta = FAMILY_META,
                                        .archive = archive};
    r = rlog_embedded_open(&log, &server->rlog, msg);
    if (r == RLOG_E_ARCHIVE) { /* work goes on; only the past cannot be shown any more */
        flz_log(server->log, FLZ_LOG_ERROR, "archive_damaged", "reason=%s hint=%s", msg->text,
                "put the files of the folder archive back from a backup");
        *msg = FLZ_MSG_NULL;
        r = 0;
    }
    return r < 0 ? r : begin_generation(server, msg);
}

static int load_core(struct server *server, struct flz_msg *msg)
{
    struct policy policy = policy_for_rate(policy_default(), server->config->lab_clock_rate_milli);
    int r = coord_new(server->identity.trust.network,
                      flz_secret_view(&server->identity.network_key), &policy, &server->core);
    if (r == 0)
        r = store_each(server->store, FAMILY_ROWS, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_stored_row,
                       server);
    if (r < 0) {
        flz_msg_set(msg, "the stored rows cannot be loaded: %s", strerror(-r));
        return r;
    }
    return persons_open(server->store, &server->identity.persons_key, &server->persons, msg);
}

static int start_clock(struct server *server, struct flz_msg *msg)
{
    struct timekeeper_options options = {
        .store = server->store,
        .newest = coord_network(server->core)->now,
        .rate_milli = server->config->lab_clock_rate_milli,
        .lab_start = server->config->lab_start,
    };
    return timekeeper_start(&server->clock, &options, msg);
}

/* Takes office: a new epoch fences everybody before us, and the log says so. */
static int take_office(struct server *server, struct flz_msg *msg)
{
    enum rlog_result result = rlog_campaign(server->rlog, "embedded", &server->epoch, msg);
    struct rlog_bounds bounds;
    if (result != RLOG_OK || rlog_bounds(server->rlog, &bounds) != RLOG_OK) {
        flz_msg_wrap(msg, "taking office: %s", rlog_result_str(result));
        return flz_fail(result == RLOG_FULL ? -ENOSPC : -EIO);
    }
    server->generation = bounds.generation;
    server->seq = bounds.last_event;
    struct committer_options options = {
        .loop = &server->loop, .log = server->rlog, .epoch = server->epoch, .bounds = bounds};
    int r = committer_new(&options, &committer_events, server, &server->committer);
    if (r < 0)
        return r;
    struct coord_command command = {.kind = COORD_LEAD};
    command.lead.epoch = server->epoch;
    command.lead.generation = server->generation;
    struct coord_update update;
    r = server_step(server, &command, &update);
    return r < 0 ? r : server_issue(server, &update);
}

/* Nobody could be let in, or kept out, any more. */
static void on_bus_fault(struct bus *bus, const char *what, void *data)
{
    struct server *server = data;
    flz_log(server->log, FLZ_LOG_ERROR, "bus_fault", "reason=%s", what);
    server_stop(server, EX_SOFTWARE);
}

static int open_doors(struct server *server, struct flz_msg *msg)
{
    const struct config *config = server->config;
    struct admin_options admin = {.trust = &server->identity.trust,
                                  .signer = server_signer(server)};
    int r = bus_new(&server->loop, on_bus_fault, server, &server->bus, msg);
    if (r == 0)
        r = days_open(server, &server->days, msg);
    if (r == 0)
        r = keeper_open(server, &server->keeper);
    if (r == 0)
        r = aside_open(&server->loop, &server->aside);
    if (r == 0)
        r = watch_new(server, &server->watch);
    if (r == 0)
        r = door_open(server, &server->door, msg);
    if (r == 0)
        r = admin_new(server->bus, config->listen_admin, &server->identity.curve, server->log,
                      &admin, desk_on_call, server, &server->admin, msg);
    if (r == 0)
        r = web_new(&server->loop, config->listen_http, server, server->metrics, &server->web, msg);
    return r;
}

static int open_all(struct server *server, struct flz_msg *msg)
{
    int r = coordinator_identity_load(server->config->identity_dir, flz_realtime_ms(),
                                      &server->identity, msg);
    server->identified = r == 0;
    if (r == 0)
        r = meters_new(&server->metrics);
    if (r == 0)
        r = tz_new(&server->tz);
    if (r == 0)
        r = open_store(server, msg);
    if (r == 0)
        r = load_core(server, msg);
    if (r == 0)
        r = start_clock(server, msg);
    if (r == 0)
        r = take_office(server, msg);
    if (r == 0)
        r = open_doors(server, msg);
    return r;
}

static void on_watching(uv_timer_t *timer)
{
    struct server *server = timer->data;
    int64_t wait;
    if (server->lost)
        return;
    int r = watch_step(server->watch, flz_boottime_ms(), &wait);
    if (r < 0) {
        flz_log_failure(server->log, "watch_failed", r, NULL);
        wait = HOUSEKEEPING_MS;
    }
    (void)uv_timer_start(timer, on_watching, (uint64_t)wait, 0);
}

static void start_handles(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        (void)uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        (void)uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
    (void)uv_timer_init(&server->loop, &server->tick);
    (void)uv_timer_init(&server->loop, &server->housekeeping);
    (void)uv_timer_init(&server->loop, &server->watching);
    server->tick.data = server->housekeeping.data = server->watching.data = server;
    int64_t watchdog = service_watchdog_ms();
    uint64_t every =
        watchdog > 0 && watchdog < HOUSEKEEPING_MS ? (uint64_t)watchdog : HOUSEKEEPING_MS;
    (void)uv_timer_start(&server->housekeeping, on_housekeeping, every, every);
    (void)uv_timer_start(&server->watching, on_watching, HOUSEKEEPING_MS, 0);
    server->handles = true;
    arm_tick(server);
}

static void server_deinit(struct server *server)
{
    if (server->handles) {
        uv_close((uv_handle_t *)&server->signals[0], NULL);
        uv_close((uv_handle_t *)&server->signals[1], NULL);
        uv_close((uv_handle_t *)&server->tick, NULL);
        uv_close((uv_handle_t *)&server->housekeeping, NULL);
        uv_close((uv_handle_t *)&server->watching, NULL);
        server->handles = false;
    }
    days_stop(server->days);
    server->keeper = keeper_close(server->keeper);
    server->aside = aside_close(server->aside);
    server->watch = watch_free(server->watch);
    (void)committer_free(server->committer);
    /* What still waits was never committed: nobody is told that it was. */
    for (size_t i = server->outputs_head; i < server->outputs_count; i++)
        server->outputs[i].on_release(server->outputs[i].data, -ECANCELED);
    free(server->outputs);
    (void)web_free(server->web);
    (void)admin_free(server->admin);
    (void)door_close(server->door);
    (void)days_close(server->days);
    (void)bus_free(server->bus);
    (void)persons_free(server->persons);
    (void)coord_free(server->core);
    (void)rlog_close(server->rlog);
    (void)store_close(server->store);
    (void)tz_free(server->tz);
    (void)metrics_free(server->metrics);
    if (server->identified)
        coordinator_identity_deinit(&server->identity);
    if (server->loop_made) {
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&server->loop);
    }
}

int coordinator_run(const struct config *config, bool restored, struct flz_log *log)
{
    _cleanup_(server_deinit) struct server server = {
        .config = config, .log = log, .restored = restored, .started_boot = flz_boottime_ms()};
    struct flz_msg msg = FLZ_MSG_NULL;
    if (uv_loop_init(&server.loop) < 0)
        return EX_OSERR;
    server.loop_made = true;
    int r = open_all(&server, &msg);
    if (r < 0) {
        flz_log_failure(log, "start_failed", r, &msg);
        return r == -EBUSY || r == -ENOSPC || r == -EADDRINUSE || r == -EPROTO ? EX_TEMPFAIL
                                                                               : EX_CONFIG;
    }
    start_handles(&server);
    flz_log(log, FLZ_LOG_NOTICE, "ready",
            "network=%s epoch=%llu generation=%s seq=%llu accounts=%zu nodes=%zu version=%s",
            server.identity.name, (unsigned long long)server.epoch, flz_id_str(server.generation),
            (unsigned long long)server.seq, coord_account_count(server.core),
            coord_node_count(server.core), FLZ_VERSION);
    if (server.restored)
        flz_log(log, FLZ_LOG_WARNING, "restored",
                "generation=%s hint=\"nothing is sent for 25 hours; nodes tell what was sent since "
                "the backup; enter again what was decided since: revocations, removals, erasures, "
                "suppressions, pauses, settings, invites\"",
                flz_id_str(server.generation));
    service_notify("READY=1");
    (void)uv_run(&server.loop, UV_RUN_DEFAULT);
    return server.exit_code;
}

/* ---- Looking ---- */

const struct coord *server_core(const struct server *server)
{
    return server->core;
}

struct persons *server_persons(struct server *server)
{
    return server->persons;
}

struct flz_log *server_log(struct server *server)
{
    return server->log;
}

const struct coordinator_identity *server_identity(const struct server *server)
{
    return &server->identity;
}

struct flz_signer server_signer(const struct server *server)
{
    return coordinator_identity_signer(&server->identity);
}

int64_t server_now(struct server *server)
{
    return clock_now(server);
}

int64_t server_rate_milli(const struct server *server)
{
    return server->config->lab_clock_rate_milli;
}

int64_t server_started_boot(const struct server *server)
{
    return server->started_boot;
}

uint64_t server_seq(const struct server *server)
{
    return server->seq;
}

bool server_node_connected(const struct server *server, uint32_t node)
{
    return door_connected(server->door, node);
}

int64_t server_node_heard_boot(const struct server *server, uint32_t node)
{
    return door_heard_boot(server->door, node);
}

int server_ready(const struct server *server, struct flz_msg *msg)
{
    if (is_ending(server)) {
        flz_msg_set(msg, "the log refused a write; the process is ending");
        return flz_fail(-EIO);
    }
    return server_admission(server, msg) == ADMISSION_OPEN ? 0 : -ENOSPC;
}

uint64_t server_free_bytes(const struct server *server)
{
    return store_free_bytes(server->store);
}

int64_t server_refused_step_ms(const struct server *server)
{
    return timekeeper_refused_step_ms(&server->clock);
}

/* ---- Aside ---- */

struct audit_aside {
    struct rlog *log;
    struct audit_request request;
    struct audit_result result;
    void (*on_done)(const struct audit_result *result, void *data);
    void *data;
};

static void run_audit(void *data, const atomic_bool *stop)
{
    struct audit_aside *audit = data;
    audit_run(audit->log, &audit->request, stop, &audit->result);
}

static void on_audited(void *data)
{
    struct audit_aside *audit = data;
    audit->on_done(&audit->result, audit->data);
    audit_result_deinit(&audit->result);
    free(audit);
}

int server_audit(struct server *server, const struct audit_request *request,
                 void (*on_done)(const struct audit_result *result, void *data), void *data)
{
    struct audit_aside *audit = malloc(sizeof *audit);
    if (!audit)
        return flz_fail(-ENOMEM);
    *audit = (struct audit_aside){.log = server->rlog,
                                  .request = *request,
                                  .result = AUDIT_RESULT_NULL,
                                  .on_done = on_done,
                                  .data = data};
    int r = aside_start(server->aside, &(struct aside_work){run_audit, on_audited, audit});
    if (r < 0)
        free(audit);
    return r;
}

struct backup_aside {
    struct backup_place place;
    struct backup_request request;
    struct backup_result result;
    void (*on_done)(const struct backup_result *result, void *data);
    void *data;
};

static void run_backup(void *data, const atomic_bool *stop)
{
    struct backup_aside *backup = data;
    backup_run(&backup->place, &backup->request, stop, &backup->result);
}

static void on_backed_up(void *data)
{
    struct backup_aside *backup = data;
    backup->on_done(&backup->result, backup->data);
    free(backup);
}

int server_backup(struct server *server, const struct backup_request *request,
                  void (*on_done)(const struct backup_result *result, void *data), void *data)
{
    struct flz_msg why;
    if (server_admission(server, &why) != ADMISSION_OPEN)
        return -ENOSPC;
    struct backup_aside *backup = malloc(sizeof *backup);
    if (!backup)
        return flz_fail(-ENOMEM);
    *backup = (struct backup_aside){
        .place = {.store = server->store, .state_dir = server->config->state_dir},
        .request = *request,
        .on_done = on_done,
        .data = data};
    int r = aside_start(server->aside, &(struct aside_work){run_backup, on_backed_up, backup});
    if (r < 0)
        free(backup);
    return r;
}

struct refold_aside {
    struct refold_place place;
    struct refold_request request;
    struct refold_result result;
    void (*on_done)(const struct refold_result *result, void *data);
    void *data;
};

static void run_refold(void *data, const atomic_bool *stop)
{
    struct refold_aside *refold = data;
    refold_run(&refold->place, &refold->request, stop, &refold->result);
}

static void on_refolded(void *data)
{
    struct refold_aside *refold = data;
    refold->on_done(&refold->result, refold->data);
    refold_result_deinit(&refold->result);
    free(refold);
}

int server_refold(struct server *server, const struct refold_request *request,
                  void (*on_done)(const struct refold_result *result, void *data), void *data)
{
    struct refold_aside *refold = malloc(sizeof *refold);
    if (!refold)
        return flz_fail(-ENOMEM);
    *refold = (struct refold_aside){
        .place = {.log = server->rlog,
                  .store = server->store,
                  .state_dir = server->config->state_dir,
                  .network = coord_network(server->core)->id,
                  .policy = policy_for_rate(policy_default(), server_rate_milli(server))},
        .request = *request,
        .on_done = on_done,
        .data = data};
    int r = aside_start(server->aside, &(struct aside_work){run_refold, on_refolded, refold});
    if (r < 0)
        free(refold);
    return r;
}

const char *server_state_dir(const struct server *server)
{
    return server->config->state_dir;
}

int64_t server_first_slot(const struct server *server, uint32_t account)
{
    int64_t first = FLZ_NEVER;
    for (uint32_t i = 0; i < coord_exchange_limit(server->core); i++) {
        const struct row_exchange *exchange = coord_exchange(server->core, i);
        for (size_t turn = 0; exchange && turn < exchange->turns_count; turn++) {
            const struct row_turn *t = &exchange->turns[turn];
            uint32_t sender = turn % 2 ? exchange->to : exchange->from;
            if (sender == account && t->send.state == TASK_WAITS && t->send_at < first)
                first = t->send_at;
        }
    }
    return first;
}

/* ---- Reading the log ---- */

struct each_event {
    uint64_t from;
    uint64_t seq; /* of the next event */
    int (*on_event)(uint64_t seq, const struct event *event, void *data);
    void *data;
    int result;
};

static int on_log_event(struct flz_view bytes, void *data)
{
    struct each_event *each = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event event;
    uint64_t seq = each->seq++;
    if (seq < each->from)
        return 0;
    int r = flz_decode_event(bytes, &arena, &event);
    return r < 0 ? r : each->on_event(seq, &event, each->data);
}

static int on_log_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct each_event *each = data;
    if (segment->first_event + segment->count <= each->from)
        return 0;
    each->seq = segment->first_event;
    each->result = segment_each(bytes, on_log_event, each);
    return each->result;
}

int server_each_event(struct server *server, uint64_t from_seq,
                      int (*on_event)(uint64_t seq, const struct event *event, void *data),
                      void *data)
{
    struct each_event each = {.from = from_seq, .on_event = on_event, .data = data};
    struct flz_msg msg = FLZ_MSG_NULL;
    uint64_t from;
    enum rlog_result result = rlog_find_event(server->rlog, from_seq, &from, &msg);
    if (result == RLOG_OK && from_seq <= server->seq) /* from == 0: forgotten; the rest is shown */
        result = rlog_each(server->rlog, from, on_log_segment, &each, &msg);
    if (result != RLOG_OK) {
        flz_log(server->log, FLZ_LOG_ERROR, "log_not_read", "from=%llu reason=%s",
                (unsigned long long)from_seq, msg.text);
        return flz_fail(result == RLOG_CORRUPT ? -EUCLEAN : -EIO);
    }
    return each.result;
}
