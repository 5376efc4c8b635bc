#include "coordinator/meters.h"

#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "coordinator/core/plan.h"
#include "coordinator/server.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include <stdlib.h>
#include <string.h>

#define NODES_SERIES_MAX 256

#define COUNTER METRICS_COUNTER
#define GAUGE METRICS_GAUGE
#define HISTOGRAM METRICS_HISTOGRAM

static const struct metrics_family families[METERS_COUNT] = {
    [METER_BUS_MESSAGES] = {"fluenzr_bus_messages_total", "Messages on the bus, by kind.", COUNTER,
                            .labels = {"direction", "type"}},
    [METER_BUS_ERRORS] = {"fluenzr_bus_errors_total", "Messages that were not taken.", COUNTER,
                          .labels = {"reason"}},
    [METER_STORE_WRITE] = {"fluenzr_store_write_duration_seconds",
                           "Duration of one group commit, fsync included.", HISTOGRAM},
    [METER_STORE_ERRORS] = {"fluenzr_store_errors_total", "Commits that the store refused.",
                            COUNTER},
    [METER_LOOP_LAG] = {"fluenzr_loop_lag_seconds", "How late the loop's timers came.", HISTOGRAM},
    [METER_LATENESS] = {"fluenzr_scheduler_lateness_seconds",
                        "Real time from when a task became due until it was issued.", HISTOGRAM},
    [METER_LEASES] = {"fluenzr_lease_transitions_total", "What became of the nodes' leases.",
                      COUNTER, .labels = {"reason"}},
    [METER_EVENTS] = {"fluenzr_events_total", "Events committed to the log.", COUNTER,
                      .labels = {"type"}},
    [METER_TASKS] = {"fluenzr_tasks_total", "Receipts taken, by task and outcome.", COUNTER,
                     .labels = {"kind", "outcome"}, .series_max = 96},
    [METER_BUILD_INFO] = {"fluenzr_build_info", "Always 1; the labels tell the build.", GAUGE,
                          .labels = {"version", "role"}},
    [METER_LEADER] = {"fluenzr_coordinator_is_leader", "1 while this coordinator leads.", GAUGE},
    [METER_EPOCH] = {"fluenzr_coordinator_epoch", "Epoch that this coordinator leads in.", GAUGE},
    [METER_UPTIME] = {"fluenzr_coordinator_uptime_seconds", "Real time since the start.", GAUGE},
    [METER_NETWORK_TIME] = {"fluenzr_network_time_seconds", "Network time, as Unix time.", GAUGE},
    [METER_CLOCK_RATE] = {"fluenzr_network_clock_rate",
                          "Network seconds per real second; 1 except in a lab.", GAUGE},
    [METER_SEQ] = {"fluenzr_log_sequence", "Sequence number of the newest committed event.", GAUGE},
    [METER_READY] = {"fluenzr_coordinator_ready", "1 when /readyz answers 200.", GAUGE},
    [METER_HELD_BACK] = {"fluenzr_coordinator_held_back",
                         "1 while nothing new is decided, for want of disk.", GAUGE},
    [METER_DISK_FREE] = {"fluenzr_disk_free_bytes", "Bytes free where the log and the store are.",
                         GAUGE},
    [METER_CLOCK_STEP] = {"fluenzr_network_clock_refused_step_seconds",
                          "A step of the host's clock that waits for an administrator's word; 0 "
                          "when none does.",
                          GAUGE},
    [METER_NODES] = {"fluenzr_nodes", "Nodes by state.", GAUGE, .labels = {"state"}},
    [METER_NODE_UP] = {"fluenzr_node_up", "1 while the node is connected.", GAUGE,
                       .labels = {"node"}, .series_max = NODES_SERIES_MAX},
    [METER_NODE_HEARTBEAT] = {"fluenzr_node_last_heartbeat_timestamp_seconds",
                              "When the node was last heard, as Unix time.", GAUGE,
                              .labels = {"node"}, .series_max = NODES_SERIES_MAX},
    [METER_NODE_ACCOUNTS] = {"fluenzr_node_accounts", "Live accounts bound to the node.", GAUGE,
                             .labels = {"node"}, .series_max = NODES_SERIES_MAX},
    [METER_NODE_CREDIT] = {"fluenzr_node_credit", "Tasks the node can still take.", GAUGE,
                           .labels = {"node"}, .series_max = NODES_SERIES_MAX},
    [METER_NODE_OPEN] = {"fluenzr_node_open_tasks", "Tasks issued to the node and not reported.",
                         GAUGE, .labels = {"node"}, .series_max = NODES_SERIES_MAX},
    [METER_ACCOUNTS] = {"fluenzr_accounts", "Live accounts by readiness to be written to.", GAUGE,
                        .labels = {"state"}},
    [METER_ACCOUNTS_PHASE] = {"fluenzr_accounts_by_phase", "Live accounts by phase.", GAUGE,
                              .labels = {"phase"}},
    [METER_HEALTH] = {"fluenzr_sender_health",
                      "Senders towards one provider's recipients that have left healthy, by state.",
                      GAUGE, .labels = {"state"}},
    [METER_EXCHANGES] = {"fluenzr_exchanges", "Exchanges that have not ended, by state.", GAUGE,
                         .labels = {"state"}},
    [METER_DUE] = {"fluenzr_scheduler_due_actions", "Tasks due now and not reported.", GAUGE},
    [METER_DAY_PLANNED] = {"fluenzr_sends_planned",
                           "Messages planned for today (UTC date of network time).", GAUGE},
    [METER_DAY_WANTED] = {"fluenzr_sends_wanted",
                          "Messages that the curves of the accounts planned for today ask for.",
                          GAUGE},
    [METER_DAY_UNPLANNED] = {"fluenzr_sends_unplanned",
                             "Messages that today's quotas allow and the plan left out, by reason.",
                             GAUGE, .labels = {"reason"}},
    [METER_DAY_MESSAGES] = {"fluenzr_day_messages", "Today's messages by outcome.", GAUGE,
                            .labels = {"outcome"}},
    [METER_DAY_PLACEMENTS] = {"fluenzr_day_placements",
                              "Today's messages by where they were found.", GAUGE,
                              .labels = {"placement"}},
    [METER_DAY_ENGAGEMENTS] = {"fluenzr_day_engagements",
                               "What recipients did with today's messages.", GAUGE,
                               .labels = {"action"}},
    [METER_PAUSES] = {"fluenzr_pauses", "Pauses in force, by scope.", GAUGE, .labels = {"scope"}},
    [METER_SUPPRESSIONS] = {"fluenzr_suppressed_addresses", "Addresses that are not written to.",
                            GAUGE},
    [METER_ALERTS] = {"fluenzr_alerts", "Open alerts by code.", GAUGE, .labels = {"code"}},
    [METER_HTTP_REQUESTS] = {"fluenzr_http_requests_total", "Answers by status class.", COUNTER,
                             .labels = {"code"}},
    [METER_LOG_MESSAGES] = {"fluenzr_log_messages_total", "Log lines by level.", COUNTER,
                            .labels = {"level"}},
};

/* What is known beforehand stands at 0 from the start, so that rate() sees the first event. */
static void begin_series(struct metrics *metrics)
{
    static const char *const bus_errors[] = {"decode", "auth", "replay"};
    static const char *const leases[] = {"join", "renew", "expire", "revoke"};
    for (size_t i = 0; i < sizeof bus_errors / sizeof *bus_errors; i++)
        metrics_add(metrics, METER_BUS_ERRORS, METRICS_LABELS(bus_errors[i]), 0);
    for (size_t i = 0; i < sizeof leases / sizeof *leases; i++)
        metrics_add(metrics, METER_LEASES, METRICS_LABELS(leases[i]), 0);
    for (uint32_t type = 1; type <= EVENT_TYPE_MAX; type++)
        if (flz_event_name(type)[0] != '?')
            metrics_add(metrics, METER_EVENTS, METRICS_LABELS(flz_event_name(type)), 0);
    static const uint32_t sends[] = {FLZ_OUTCOME_SENT, FLZ_OUTCOME_REJECTED, FLZ_OUTCOME_AMBIGUOUS};
    for (size_t i = 0; i < sizeof sends / sizeof *sends; i++) {
        const char *outcome = words_outcome(sends[i]);
        metrics_add(metrics, METER_TASKS, METRICS_LABELS(words_task_kind(FLZ_TASK_SEND), outcome),
                    0);
        metrics_add(metrics, METER_TASKS, METRICS_LABELS(words_task_kind(FLZ_TASK_REPLY), outcome),
                    0);
    }
    metrics_set(metrics, METER_BUILD_INFO, METRICS_LABELS(FLZ_VERSION, "coordinator"), 1);
}

int meters_new(struct metrics **ret_metrics)
{
    int r = metrics_new(families, METERS_COUNT, ret_metrics);
    if (r == 0)
        begin_series(*ret_metrics);
    return r;
}

/* ---- At the scrape ---- */

/* What the walk over the accounts under way has found. */
struct meters_sums {
    double readiness[VIEW_READINESS_COUNT];
    double phases[RAMP_RECOVERY + 1];
    double wanted;
    double unplanned[PLAN_HEALTH + 1];
    size_t nodes;
    double by_node[]; /* `nodes` of them */
};

static void look_at_account(const struct view *view, uint32_t account, struct meters_sums *sums)
{
    const struct row_account *row = coord_account(view->core, account);
    if (row->state != ACCOUNT_LIVE)
        return;
    const struct row_day *day = coord_day(view->core, account, (int32_t)(view->now / FLZ_DAY_MS));
    sums->readiness[view_readiness(view, account)]++;
    sums->phases[view_phase(view, row)]++;
    if (row->node < sums->nodes)
        sums->by_node[row->node]++;
    if (!day || !day->planned_day)
        return;
    sums->wanted += view_curve(view, row);
    if (day->shortfall_reason <= PLAN_HEALTH)
        sums->unplanned[day->shortfall_reason] += day->shortfall;
}

static void publish_accounts(struct metrics *metrics, const struct view *view,
                             const struct meters_sums *sums)
{
    for (enum view_readiness i = VIEW_READY; i < VIEW_READINESS_COUNT; i++)
        metrics_set(metrics, METER_ACCOUNTS, METRICS_LABELS(view_readiness_word(i)),
                    sums->readiness[i]);
    for (uint32_t i = RAMP_START; i <= RAMP_RECOVERY; i++)
        metrics_set(metrics, METER_ACCOUNTS_PHASE, METRICS_LABELS(words_phase(i)), sums->phases[i]);
    for (uint32_t i = HEALTH_WATCH; i <= HEALTH_STATE_MAX; i++)
        metrics_set(metrics, METER_HEALTH, METRICS_LABELS(flz_health_name(i)),
                    (double)coord_standings_in(view->core, i));
    for (uint32_t i = PLAN_FULL + 1; i <= PLAN_HEALTH; i++)
        metrics_set(metrics, METER_DAY_UNPLANNED, METRICS_LABELS(words_shortfall(i)),
                    sums->unplanned[i]);
    metrics_set(metrics, METER_DAY_WANTED, METRICS_NO_LABELS, sums->wanted);
    metrics_clear(metrics, METER_NODE_ACCOUNTS);
    for (uint32_t i = 0; i < sums->nodes; i++)
        metrics_set(metrics, METER_NODE_ACCOUNTS, METRICS_LABELS(view_node_name(view, i)),
                    sums->by_node[i]);
}

static void collect_accounts(struct metrics *metrics, const struct view *view,
                             struct meters_walk *walk)
{
    size_t nodes = coord_node_count(view->core);
    size_t end = coord_account_count(view->core);
    if (walk->account == 0) {
        free(walk->sums);
        walk->sums = calloc(1, sizeof *walk->sums + nodes * sizeof *walk->sums->by_node);
        if (!walk->sums)
            return;
        walk->sums->nodes = nodes;
    }
    for (size_t looks = 0; looks < walk->looks && walk->account < end; looks++)
        look_at_account(view, walk->account++, walk->sums);
    if (walk->account < end)
        return;
    publish_accounts(metrics, view, walk->sums);
    walk->account = 0;
}

static void collect_node(struct metrics *metrics, const struct view *view, uint32_t node)
{
    const char *const labels[] = {view_node_name(view, node)};
    int64_t heard = server_node_heard_boot(view->server, node);
    metrics_set(metrics, METER_NODE_UP, labels, server_node_connected(view->server, node));
    metrics_set(metrics, METER_NODE_CREDIT, labels, coord_node_credit(view->core, node));
    metrics_set(metrics, METER_NODE_OPEN, labels, coord_node_open(view->core, node));
    if (heard)
        metrics_set(metrics, METER_NODE_HEARTBEAT, labels,
                    (double)(flz_realtime_ms() - (flz_boottime_ms() - heard)) / 1000);
}

static void collect_nodes(struct metrics *metrics, const struct view *view)
{
    static const enum meter per_node[] = {METER_NODE_UP, METER_NODE_CREDIT, METER_NODE_OPEN,
                                          METER_NODE_HEARTBEAT};
    double states[NODE_REVOKED + 1] = {0};
    for (size_t i = 0; i < sizeof per_node / sizeof *per_node; i++)
        metrics_clear(metrics, per_node[i]);
    for (uint32_t i = 0; i < coord_node_count(view->core); i++) {
        const struct row_node *row = coord_node(view->core, i);
        states[row->state == NODE_REVOKED ? NODE_REVOKED : NODE_JOINED]++;
        if (row->state == NODE_JOINED)
            collect_node(metrics, view, i);
    }
    for (uint32_t i = NODE_JOINED; i <= NODE_REVOKED; i++)
        metrics_set(metrics, METER_NODES, METRICS_LABELS(words_node_state(i)), states[i]);
}

static void collect_exchanges(struct metrics *metrics, const struct view *view,
                              struct meters_walk *walk)
{
    size_t end = coord_exchange_limit(view->core);
    if (walk->exchange == 0)
        memset(walk->exchange_states, 0, sizeof walk->exchange_states);
    for (size_t looks = 0; looks < walk->looks && walk->exchange < end; looks++) {
        const struct row_exchange *x = coord_exchange(view->core, walk->exchange++);
        if (x && x->state < EXCHANGE_ENDED)
            walk->exchange_states[x->state]++;
    }
    metrics_set(metrics, METER_DUE, METRICS_NO_LABELS,
                (double)coord_due_unreported(view->core, view->now));
    if (walk->exchange < end)
        return;
    for (uint32_t i = EXCHANGE_LIVE; i < EXCHANGE_ENDED; i++)
        metrics_set(metrics, METER_EXCHANGES, METRICS_LABELS(words_exchange_state(i)),
                    walk->exchange_states[i]);
    walk->exchange = 0;
}

static void collect_day(struct metrics *metrics, const struct view *view)
{
    const struct row_day zero = {.account = 0};
    const struct row_day *day =
        coord_day(view->core, COORD_NONE, (int32_t)(view->now / FLZ_DAY_MS));
    const struct row_day *d = day ? day : &zero;
    const struct {
        enum meter meter;
        const char *label;
        uint32_t value;
    } values[] = {
        {METER_DAY_MESSAGES, "sent", d->sent},
        {METER_DAY_MESSAGES, "rejected", d->rejected},
        {METER_DAY_MESSAGES, "withdrawn", d->withdrawn},
        {METER_DAY_MESSAGES, "expired", d->expired},
        {METER_DAY_MESSAGES, "declined", d->declined},
        {METER_DAY_MESSAGES, "ambiguous", d->ambiguous},
        {METER_DAY_MESSAGES, "indeterminate", d->indeterminate},
        {METER_DAY_MESSAGES, "credited", d->credited},
        {METER_DAY_PLACEMENTS, "inbox", d->inbox},
        {METER_DAY_PLACEMENTS, "junk", d->junk},
        {METER_DAY_PLACEMENTS, "other", d->other},
        {METER_DAY_PLACEMENTS, "missing", d->missing},
        {METER_DAY_PLACEMENTS, "unobserved", d->unobserved},
        {METER_DAY_ENGAGEMENTS, "open", d->opened},
        {METER_DAY_ENGAGEMENTS, "reply", d->replied},
        {METER_DAY_ENGAGEMENTS, "unspam", d->rescued},
    };
    metrics_set(metrics, METER_DAY_PLANNED, METRICS_NO_LABELS, d->planned);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        metrics_set(metrics, values[i].meter, METRICS_LABELS(values[i].label), values[i].value);
}

static void collect_pauses(struct metrics *metrics, const struct view *view)
{
    double scopes[FLZ_SCOPE_NODE + 1] = {0};
    for (size_t i = 0; i < coord_pause_count(view->core); i++) {
        uint32_t scope = coord_pause(view->core, i)->target.scope;
        if (scope <= FLZ_SCOPE_NODE)
            scopes[scope]++;
    }
    for (uint32_t i = FLZ_SCOPE_NETWORK; i <= FLZ_SCOPE_NODE; i++)
        metrics_set(metrics, METER_PAUSES, METRICS_LABELS(words_scope(i)), scopes[i]);
    metrics_set(metrics, METER_SUPPRESSIONS, METRICS_NO_LABELS,
                (double)coord_suppression_count(view->core));
    double alerts[ROW_ALERT_CODE_MAX + 1] = {0};
    for (size_t i = 0; i < coord_alert_count(view->core); i++) {
        const struct row_alert *row = coord_alert(view->core, i);
        if (row && !row->resolved_at)
            alerts[row->code]++;
    }
    for (uint32_t code = 1; code <= ROW_ALERT_CODE_MAX; code++)
        metrics_set(metrics, METER_ALERTS, METRICS_LABELS(alert_name(code)), alerts[code]);
}

static void collect_server(struct metrics *metrics, struct server *server)
{
    const struct row_network *network = coord_network(server_core(server));
    struct flz_msg msg = FLZ_MSG_NULL;
    bool ready = server_ready(server, &msg) == 0;
    bool held_back = server_admission(server, &msg) != ADMISSION_OPEN;
    struct flz_log *log = server_log(server);
    metrics_set(metrics, METER_READY, METRICS_NO_LABELS, ready);
    metrics_set(metrics, METER_HELD_BACK, METRICS_NO_LABELS, held_back);
    metrics_set(metrics, METER_LEADER, METRICS_NO_LABELS, network->epoch > 0);
    metrics_set(metrics, METER_EPOCH, METRICS_NO_LABELS, (double)network->epoch);
    metrics_set(metrics, METER_SEQ, METRICS_NO_LABELS, (double)server_seq(server));
    metrics_set(metrics, METER_NETWORK_TIME, METRICS_NO_LABELS, (double)server_now(server) / 1000);
    metrics_set(metrics, METER_CLOCK_RATE, METRICS_NO_LABELS,
                (double)server_rate_milli(server) / 1000);
    metrics_set(metrics, METER_UPTIME, METRICS_NO_LABELS,
                (double)(flz_boottime_ms() - server_started_boot(server)) / 1000);
    metrics_set(metrics, METER_DISK_FREE, METRICS_NO_LABELS, (double)server_free_bytes(server));
    metrics_set(metrics, METER_CLOCK_STEP, METRICS_NO_LABELS,
                (double)server_refused_step_ms(server) / 1000);
    for (size_t i = 0; log && i < FLZ_LOG_LEVELS; i++)
        metrics_set_total(metrics, METER_LOG_MESSAGES, METRICS_LABELS(flz_log_level_words[i]),
                          atomic_load(&log->count[i]));
}

void meters_collect(struct metrics *metrics, struct server *server, struct meters_walk *walk)
{
    struct view view;
    collect_server(metrics, server);
    if (view_init(&view, server, "", false) < 0)
        return;
    collect_nodes(metrics, &view);
    collect_accounts(metrics, &view, walk);
    collect_exchanges(metrics, &view, walk);
    collect_day(metrics, &view);
    collect_pauses(metrics, &view);
    view_deinit(&view);
}

void meters_walk_deinit(struct meters_walk *walk)
{
    free(walk->sums);
    *walk = METERS_WALK_NULL;
}
