/*
 * Durable task life cycles through one coordinator:
 * `bench_lifecycle FOLDER [NODES [WINDOW [SECONDS [bare]]]]`.
 *
 * One life cycle: the task's order is in the log (synced) → it leaves in a signed TASKS frame → the
 * node verifies the frame and answers in a signed REPORTS frame → the coordinator verifies it,
 * takes the receipt, and has it in the log (synced) → the signed ACK reaches the node.
 *
 * The core, the committer, the embedded log, the dressing of tasks, codec, signatures and the bus
 * (ROUTER and DEALER, CURVE) are the product's own. The server is a process of its own, whose CPU
 * time is told apart; NODES nodes share the other process and only answer. Each node has at most
 * WINDOW tasks in hand. The tasks are those of ordinary exchanges of one message: SEND, FIND, OPEN,
 * TIDY on both sides. Time stands: everything is due, and credit alone decides the pace.
 *
 * `bare` leaves out the signature that each SEND carries for the header of its message, to tell
 * what that one costs; its digest is still made. No program of the product can: here the linker
 * puts a function of this file in the place of keys_sign_digest() (--wrap).
 *
 * One line: nodes, window, life cycles, seconds, life cycles a second and a server CPU second.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/time.h"
#include "common/sys/bus.h"
#include "common/sys/keys.h"
#include "coordinator/dress.h"
#include "coordinator/families.h"
#include "coordinator/rlog/committer.h"
#include "proto/codec.h"
#include "proto/envelope.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define NODES_MAX 64
#define ACCOUNTS 50 /* of each node */
#define EXCHANGES 60000
#define DATE 20500
#define DUE (DATE * FLZ_DAY_MS + 9 * FLZ_HOUR_MS)
#define WARM_MS 1000
#define ATTESTATION_BYTES 330 /* about what a real one takes */

static uint32_t nodes_count = 32;
static uint32_t window = 100;
static int64_t seconds = 4;
static bool bare;

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_lifecycle: %s failed\n", what);
    exit(1);
}

static struct flz_id id_of(uint32_t kind, uint32_t n)
{
    struct flz_id id = flz_id_of_u64(n);
    id.b[0] = (uint8_t)kind;
    return id;
}

static struct flz_digest digest_of(uint32_t kind, uint32_t n)
{
    uint8_t bytes[8];
    flz_put_be32(bytes, kind);
    flz_put_be32(bytes + 4, n);
    return flz_digest_of((struct flz_view){.data = bytes, .len = sizeof bytes});
}

/* ---- The header's signature, which may be left out ---- */

struct flz_signature __real_keys_sign_digest(const struct keys_sign_pair *pair,
                                             struct flz_digest digest);
struct flz_signature __wrap_keys_sign_digest(const struct keys_sign_pair *pair,
                                             struct flz_digest digest);

/* The one caller outside keys.c is dress.c, for the header: frames are signed as ever. */
struct flz_signature __wrap_keys_sign_digest(const struct keys_sign_pair *pair,
                                             struct flz_digest digest)
{
    return bare ? (struct flz_signature){{0}} : __real_keys_sign_digest(pair, digest);
}

/* ---- What both processes know ---- */

/* Secrets do not pass a fork: each process makes its own, and tells the public halves. */
struct node_public {
    struct flz_curve_public curve;
    struct flz_sign_public sign;
};

static struct node_public node_public[NODES_MAX];

struct meeting {
    char endpoint[BUS_ENDPOINT_MAX];
    struct flz_curve_public curve;
    struct flz_sign_public sign;
};

static int send_signed(struct bus_socket *socket, const struct bus_peer *peer, enum flz_kind kind,
                       const struct flz_codec *codec, const void *frame,
                       const struct keys_sign_pair *pair)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = {
        .key = pair->public_key, .on_sign = keys_on_sign, .data = (void *)(uintptr_t)pair};
    int r = flz_encode(codec, frame, &payload);
    if (r == 0)
        r = flz_seal_signed(kind, flz_buf_view(&payload), &signer, &bytes);
    return r == 0 ? bus_send(socket, peer, flz_buf_view(&bytes)) : r;
}

/* ---- The server ---- */

struct released {
    uint64_t group;
    struct coord_order order;
};

struct due_ack {
    uint64_t group;
    uint32_t node;
    uint64_t seq;
};

struct server {
    uv_loop_t loop;
    uv_idle_t soon;
    struct bus *bus;
    struct bus_socket *socket;
    struct store *store;
    struct rlog *rlog;
    struct committer *committer;
    struct coord *core;
    struct persons *persons;
    struct coordinator_identity identity;
    struct bus_peer peers[NODES_MAX];
    uint64_t seq_out[NODES_MAX];
    int64_t now;
    struct released *orders;
    size_t orders_count, orders_capacity;
    struct due_ack *acks;
    size_t acks_count, acks_capacity;
};

static int put_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct store_batch *rider = data;
    bool archived = kind == ROW_DAY_OLD || kind == ROW_EXCHANGE_OLD || kind == ROW_TALLY_OLD;
    enum family family = archived ? FAMILY_ARCHIVE : FAMILY_ROWS;
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    flz_buf_add_byte(&key, (uint8_t)kind);
    flz_row_key(kind, row, &key);
    if (deleted) {
        store_delete(rider, family, flz_buf_view(&key));
        return 0;
    }
    int r = flz_encode_row(kind, row, &value);
    if (r == 0)
        store_put(rider, family, flz_buf_view(&key), flz_buf_view(&value));
    return r;
}

static int on_close(struct store_batch *rider, void *data)
{
    struct server *server = data;
    return coord_take_rows(server->core, put_row, rider);
}

static void add_event(struct server *server, const struct event *event)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    need(flz_encode_event(event, &bytes) == 0, "encoding an event");
    committer_add(server->committer, flz_buf_view(&bytes), server->now);
}

static void step(struct server *server, struct coord_command *command)
{
    struct coord_update update;
    command->now = server->now;
    need(coord_step(server->core, command, &update) == 0 && !update.refused, "a step");
    for (size_t i = 0; i < update.events_count; i++)
        add_event(server, &update.events[i]);
    if (update.orders_count == 0)
        return;
    need(flz_grow((void **)&server->orders, &server->orders_capacity,
                  server->orders_count + update.orders_count, sizeof *server->orders) == 0,
         "memory");
    for (size_t i = 0; i < update.orders_count; i++)
        server->orders[server->orders_count++] = (struct released){
            .group = committer_group(server->committer), .order = update.orders[i]};
}

static struct flz_frame_header header_to(struct server *server, uint32_t node)
{
    return (struct flz_frame_header){.network = server->identity.trust.network,
                                     .node = id_of(1, node),
                                     .epoch = 1,
                                     .seq = ++server->seq_out[node]};
}

static struct flz_view certificate_of(uint32_t node, void *data)
{
    static uint8_t bytes[NODES_MAX][400];
    bytes[node][0] = (uint8_t)node;
    return (struct flz_view){.data = bytes[node], .len = sizeof bytes[node]};
}

static void send_tasks(struct server *server, uint32_t node, const struct coord_order *orders,
                       size_t n)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    static struct flz_task tasks[FLZ_FRAME_TASKS_MAX];
    struct flz_view certificates[NODES_MAX];
    bool with[NODES_MAX] = {false};
    struct dresser dresser = {.core = server->core,
                              .persons = server->persons,
                              .identity = &server->identity,
                              .on_certificate = certificate_of};
    struct flz_tasks frame = {
        .header = header_to(server, node), .tasks = tasks, .certificates = certificates};
    for (size_t i = 0; i < n; i++) {
        struct flz_view certificate;
        need(dress_task(&dresser, &orders[i], &arena, &tasks[frame.tasks_count], &certificate) == 0,
             "dressing");
        frame.tasks_count++;
        if (certificate.len > 0 && !with[certificate.data[0]]) {
            with[certificate.data[0]] = true;
            certificates[frame.certificates_count++] = certificate;
        }
    }
    need(send_signed(server->socket, &server->peers[node], FLZ_KIND_TASKS, &flz_codec_tasks, &frame,
                     &server->identity.issuer) == 0,
         "sending tasks");
}

static void release_orders(struct server *server, uint64_t group)
{
    static struct coord_order orders[NODES_MAX][FLZ_FRAME_TASKS_MAX];
    size_t counts[NODES_MAX] = {0};
    size_t kept = 0;
    for (size_t i = 0; i < server->orders_count; i++) {
        struct released *released = &server->orders[i];
        uint32_t node = released->order.node;
        if (released->group > group || counts[node] == FLZ_FRAME_TASKS_MAX)
            server->orders[kept++] = *released;
        else
            orders[node][counts[node]++] = released->order;
    }
    server->orders_count = kept;
    for (uint32_t node = 0; node < nodes_count; node++)
        if (counts[node] > 0)
            send_tasks(server, node, orders[node], counts[node]);
}

static void release_acks(struct server *server, uint64_t group)
{
    size_t kept = 0;
    for (size_t i = 0; i < server->acks_count; i++) {
        struct due_ack ack = server->acks[i];
        if (ack.group > group) {
            server->acks[kept++] = ack;
            continue;
        }
        struct flz_ack frame = {.header = header_to(server, ack.node),
                                .incarnation = id_of(2, ack.node),
                                .report_seq = ack.seq};
        need(send_signed(server->socket, &server->peers[ack.node], FLZ_KIND_ACK, &flz_codec_ack,
                         &frame, &server->identity.issuer) == 0,
             "sending an ack");
    }
    server->acks_count = kept;
}

static void on_committed(uint64_t group, uint64_t last_event, int64_t took_us, void *data)
{
    release_acks(data, group);
    release_orders(data, group);
}

static void on_lost(enum rlog_result result, void *data)
{
    need(false, rlog_result_str(result));
}

static const struct committer_events committer_events = {
    .on_close = on_close, .on_committed = on_committed, .on_lost = on_lost};

static void on_soon(uv_idle_t *idle)
{
    struct server *server = idle->data;
    if (coord_next(server->core) > server->now) {
        (void)uv_idle_stop(idle);
        return;
    }
    step(server, &(struct coord_command){.kind = COORD_TICK});
}

static void give_credit(struct server *server, uint32_t node)
{
    uint32_t open = coord_node_open(server->core, node);
    step(server, &(struct coord_command){.kind = COORD_CREDIT,
                                         .node = node,
                                         .credit = window > open ? window - open : 0});
    (void)uv_idle_start(&server->soon, on_soon);
}

static void take_reports(struct server *server, uint32_t node, const struct flz_reports *frame)
{
    for (size_t i = 0; i < frame->reports_count; i++)
        step(server, &(struct coord_command){.kind = COORD_REPORT,
                                             .node = node,
                                             .report = {.incarnation = frame->incarnation,
                                                        .report = &frame->reports[i]}});
    need(flz_grow((void **)&server->acks, &server->acks_capacity, server->acks_count + 1,
                  sizeof *server->acks) == 0,
         "memory");
    server->acks[server->acks_count++] =
        (struct due_ack){.group = committer_group(server->committer),
                         .node = node,
                         .seq = frame->reports[frame->reports_count - 1].seq};
}

static void on_node(struct bus_socket *socket, const struct bus_message *message, void *data)
{
    struct server *server = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed envelope;
    uint32_t node = coord_find_node_by_curve(server->core, message->key);
    need(node < nodes_count && flz_open_signed(message->bytes, &arena, &envelope) == 0 &&
             flz_verify_signed(&envelope, &node_public[node].sign) == 0,
         "believing a frame");
    server->peers[node] = message->peer;
    if (envelope.kind == FLZ_KIND_REPORTS) {
        struct flz_reports frame;
        need(flz_decode(&flz_codec_reports, envelope.payload, &arena, &frame) == 0, "decoding");
        take_reports(server, node, &frame);
    }
    give_credit(server, node);
}

/* ---- The server's world ---- */

static void join(struct server *server, uint32_t node)
{
    struct coord_command invite = {.kind = COORD_INVITE,
                                   .invite = {.node = id_of(1, node),
                                              .token = digest_of(7, node),
                                              .not_after = 100,
                                              .real_now = 1}};
    (void)snprintf(invite.invite.name, sizeof invite.invite.name, "n%u", node);
    step(server, &invite);
    struct coord_command join = {.kind = COORD_JOIN,
                                 .join = {.node = id_of(1, node),
                                          .token = digest_of(7, node),
                                          .certificate = digest_of(8, node),
                                          .sign_key = node_public[node].sign,
                                          .curve_key = node_public[node].curve,
                                          .real_now = 2}};
    memcpy(join.join.name, invite.invite.name, sizeof join.join.name);
    step(server, &join);
    step(server, &(struct coord_command){.kind = COORD_HELLO,
                                         .node = node,
                                         .hello = {.incarnation = id_of(2, node)}});
}

static void report(struct server *server, uint32_t node, struct flz_report *report,
                   uint32_t account)
{
    report->seq = coord_node(server->core, node)->report_seq + 1;
    struct coord_command command = {
        .kind = COORD_REPORT,
        .node = node,
        .report = {.incarnation = id_of(2, node),
                   .report = report,
                   .address = digest_of(3, account),
                   .domain = digest_of(4, account % 97),
                   .owner = digest_of(5, account % 97)},
    };
    (void)snprintf(command.report.domain_name, sizeof command.report.domain_name, "d%u.example",
                   account % 97);
    step(server, &command);
}

static void add_account(struct server *server, uint32_t node, uint32_t account)
{
    static uint8_t attestation[ATTESTATION_BYTES];
    struct flz_report entry = {
        .kind = FLZ_REPORT_ACCOUNT,
        .account = {.id = id_of(3, account),
                    .provider = "smtp",
                    .zone = "Etc/UTC",
                    .end_minute = 1440,
                    .days = 127,
                    .intensity = FLZ_INTENSITY_MEDIUM,
                    .profile = FLZ_PROFILE_NEW,
                    .language = "en",
                    .consent = {.given = 1, .until = FLZ_NEVER, .actions = 31},
                    .attestation = {.data = attestation, .len = sizeof attestation}},
    };
    (void)snprintf(entry.account.address, sizeof entry.account.address, "person%u@d%u.example",
                   account, account % 97);
    (void)snprintf(entry.account.owner, sizeof entry.account.owner, "o%u", account % 97);
    report(server, node, &entry, account);
    need(persons_put(server->persons, account, &entry.account,
                     committer_rider(server->committer)) == 0,
         "a person");
    struct flz_report probe = {.kind = FLZ_REPORT_PROBE,
                               .probe = {.account = id_of(3, account),
                                         .at = server->now,
                                         .login_ok = true,
                                         .quota_permille = 1001,
                                         .mx = digest_of(6, account)}};
    report(server, node, &probe, account);
}

static struct event_plan_exchange exchange_of(uint32_t i, const struct event_plan_turn *turn)
{
    uint32_t from = i % nodes_count, round = i / nodes_count;
    uint32_t to = (from + 1 + round % (nodes_count - 1)) % nodes_count;
    return (struct event_plan_exchange){
        .id = id_of(9, i),
        .from = from * ACCOUNTS + round % ACCOUNTS,
        .to = to * ACCOUNTS + (round * 7 + 3) % ACCOUNTS,
        .pack = digest_of(10, 0),
        .scenario = i % 60,
        .seed = i * UINT64_C(0x9e3779b97f4a7c15),
        .expires = DUE + 8 * FLZ_DAY_MS,
        .turns = turn,
        .turns_count = 1,
    };
}

static void plan(struct server *server, uint32_t first)
{
    static struct event_plan_exchange exchanges[FLZ_PLAN_EXCHANGES_MAX];
    struct event_plan_turn turn = {.send_at = DUE,
                                   .send_until = DUE + 6 * FLZ_HOUR_MS,
                                   .open_at = DUE,
                                   .open_until = DUE + 9 * FLZ_HOUR_MS,
                                   .date = DATE,
                                   .open_date = DATE,
                                   .day_cap = 50};
    for (uint32_t i = 0; i < FLZ_PLAN_EXCHANGES_MAX; i++)
        exchanges[i] = exchange_of(first + i, &turn);
    uint32_t number = coord_network(server->core)->plans;
    const struct event events[] = {
        {.type = EVENT_PLAN_PART,
         .at = server->now,
         .plan_part = {.plan = number,
                       .date = DATE,
                       .exchanges = exchanges,
                       .exchanges_count = FLZ_PLAN_EXCHANGES_MAX}},
        {.type = EVENT_PLAN_SEAL,
         .at = server->now,
         .plan_seal = {.plan = number,
                       .parts = 1,
                       .date = DATE,
                       .exchanges = FLZ_PLAN_EXCHANGES_MAX}},
    };
    for (size_t i = 0; i < 2; i++) {
        need(coord_apply(server->core, &events[i]) == 0, "a plan");
        add_event(server, &events[i]);
    }
}

static void settle_commits(struct server *server)
{
    while (uv_run(&server->loop, UV_RUN_NOWAIT) &&
           committer_group(server->committer) > 0 &&
           store_batch_count(committer_rider(server->committer)) > 0)
        ;
    for (int i = 0; i < 50; i++) {
        (void)uv_run(&server->loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
}

static void fill(struct server *server)
{
    server->now = DUE - FLZ_HOUR_MS;
    step(server, &(struct coord_command){.kind = COORD_LEAD, .lead = {.epoch = 1}});
    for (uint32_t node = 0; node < nodes_count; node++) {
        join(server, node);
        for (uint32_t i = 0; i < ACCOUNTS; i++)
            add_account(server, node, node * ACCOUNTS + i);
    }
    settle_commits(server);
    for (uint32_t i = 0; i < EXCHANGES; i += FLZ_PLAN_EXCHANGES_MAX) {
        plan(server, i);
        settle_commits(server);
    }
    server->now = DUE;
    /* Everything falls due; nobody has credit yet. */
    while (coord_next(server->core) <= server->now)
        step(server, &(struct coord_command){.kind = COORD_TICK});
}

static void open_log(struct server *server, const char *folder)
{
    static const char *const families[FAMILIES] = {
        [FAMILY_LOG] = "log",         [FAMILY_META] = "meta",       [FAMILY_ROWS] = "rows",
        [FAMILY_ARCHIVE] = "archive", [FAMILY_PERSONS] = "persons", [FAMILY_KEYS] = "keys",
        [FAMILY_NODES] = "nodes"};
    struct flz_msg msg = FLZ_MSG_NULL;
    struct store_options store = {.families = families, .families_count = FAMILIES};
    need(store_open(folder, &store, &server->store, &msg) == 0, msg.text);
    struct rlog_embedded_options log = {
        .store = server->store, .family_log = FAMILY_LOG, .family_meta = FAMILY_META};
    need(rlog_embedded_open(&log, &server->rlog, &msg) == 0, msg.text);
    struct committer_options options = {.loop = &server->loop, .log = server->rlog};
    need(rlog_campaign(server->rlog, "bench", &options.epoch, &msg) == RLOG_OK &&
             rlog_bounds(server->rlog, &options.bounds) == RLOG_OK &&
             committer_new(&options, &committer_events, server, &server->committer) == 0 &&
             persons_open(server->store, &server->identity.persons_key, &server->persons, &msg) ==
                 0,
         "the log");
}

static void make_identity(struct server *server)
{
    struct coordinator_identity *identity = &server->identity;
    identity->trust.network = id_of(8, 0);
    need(keys_sign_generate(&identity->issuer) == 0 && keys_curve_generate(&identity->curve) == 0 &&
             flz_secret_random(IDENTITY_NETWORK_KEY_LEN, &identity->network_key) == 0 &&
             seal_key_generate(&identity->persons_key) == 0,
         "keys");
}

static _Noreturn void serve(const char *folder, int in, int out)
{
    static struct server server;
    struct flz_msg msg = FLZ_MSG_NULL;
    struct policy policy = policy_default();
    policy.spacing_ms = 0; /* the accounts of this world have no day to spread over */
    policy.tidy_delay_ms = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    need(flz_secret_harden(true, &msg) == 0, msg.text);
    need(read(in, node_public, sizeof node_public) == (ssize_t)sizeof node_public, "the nodes");
    make_identity(&server);
    need(uv_loop_init(&server.loop) == 0 && uv_idle_init(&server.loop, &server.soon) == 0, "loop");
    server.soon.data = &server;
    open_log(&server, folder);
    need(coord_new(server.identity.trust.network, flz_secret_view(&server.identity.network_key),
                   &policy, &server.core) == 0,
         "the core");
    fill(&server);
    struct bus_callbacks callbacks = {.on_message = on_node, .data = &server};
    need(bus_new(&server.loop, NULL, NULL, &server.bus, &msg) == 0 &&
             bus_listen_curve(server.bus, "tcp://127.0.0.1:*", &server.identity.curve, callbacks,
                              &server.socket, &msg) == 0,
         msg.text);
    struct flz_curve_public allowed[NODES_MAX];
    for (uint32_t i = 0; i < nodes_count; i++)
        allowed[i] = node_public[i].curve;
    need(bus_allow(server.socket, allowed, nodes_count) == 0, "the allow-list");
    struct meeting meeting = {.curve = server.identity.curve.public_key,
                              .sign = server.identity.issuer.public_key};
    (void)snprintf(meeting.endpoint, sizeof meeting.endpoint, "%s", bus_endpoint(server.socket));
    need(write(out, &meeting, sizeof meeting) == (ssize_t)sizeof meeting, "the pipe");
    (void)uv_run(&server.loop, UV_RUN_DEFAULT);
    _exit(0);
}

/* ---- The nodes ---- */

struct node {
    uint32_t number;
    struct bus_socket *socket;
    uint64_t seq_out;
    uint64_t reports; /* newest written */
    uint64_t acked;
};

static struct {
    struct keys_curve_pair curve;
    struct keys_sign_pair sign;
} node_keys[NODES_MAX];

static struct meeting meeting;
static uint64_t acked_total;

static uint32_t outcome_of(uint32_t kind)
{
    return kind == FLZ_TASK_SEND   ? FLZ_OUTCOME_SENT
           : kind == FLZ_TASK_FIND ? FLZ_OUTCOME_FOUND
                                   : FLZ_OUTCOME_DONE;
}

static void answer(struct node *node, const struct flz_tasks *tasks)
{
    static struct flz_report reports[FLZ_FRAME_REPORTS_MAX];
    for (size_t i = 0; i < tasks->tasks_count; i++) {
        const struct flz_task *task = &tasks->tasks[i];
        reports[i] = (struct flz_report){
            .seq = ++node->reports,
            .kind = FLZ_REPORT_RECEIPT,
            .receipt = {.task = task->id,
                        .exchange = task->exchange,
                        .account = task->account,
                        .kind = task->kind,
                        .turn = task->turn,
                        .attempt = task->attempt,
                        .outcome = outcome_of(task->kind),
                        .placement = task->kind == FLZ_TASK_FIND ? FLZ_PLACEMENT_INBOX
                                                                 : FLZ_PLACEMENT_NONE,
                        .at = DUE},
        };
    }
    struct flz_reports frame = {
        .header = {.network = id_of(8, 0),
                   .node = id_of(1, node->number),
                   .epoch = 1,
                   .seq = ++node->seq_out},
        .incarnation = id_of(2, node->number),
        .reports = reports,
        .reports_count = tasks->tasks_count};
    need(send_signed(node->socket, NULL, FLZ_KIND_REPORTS, &flz_codec_reports, &frame,
                     &node_keys[node->number].sign) == 0,
         "reporting");
}

static void on_server(struct bus_socket *socket, const struct bus_message *message, void *data)
{
    struct node *node = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed envelope;
    need(flz_open_signed(message->bytes, &arena, &envelope) == 0 &&
             flz_verify_signed(&envelope, &meeting.sign) == 0,
         "believing the coordinator");
    struct flz_tasks tasks;
    struct flz_ack ack;
    if (envelope.kind == FLZ_KIND_TASKS) {
        need(flz_decode(&flz_codec_tasks, envelope.payload, &arena, &tasks) == 0, "decoding");
        answer(node, &tasks);
        return;
    }
    need(flz_decode(&flz_codec_ack, envelope.payload, &arena, &ack) == 0, "decoding");
    acked_total += ack.report_seq - node->acked;
    node->acked = ack.report_seq;
}

static void on_state(struct bus_socket *socket, enum bus_state state, void *data)
{
    struct node *node = data;
    struct flz_heartbeat heartbeat = {
        .header = {.network = id_of(8, 0),
                   .node = id_of(1, node->number),
                   .epoch = 1,
                   .seq = ++node->seq_out}};
    if (state == BUS_UP)
        need(send_signed(socket, NULL, FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat,
                         &node_keys[node->number].sign) == 0,
             "a heartbeat");
}

static double cpu_of(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    const char *rest = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
    if (file)
        (void)fclose(file);
    if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void on_alarm(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_loop(uv_loop_t *loop, uv_timer_t *timer, int64_t ms)
{
    (void)uv_timer_start(timer, on_alarm, (uint64_t)ms, 0);
    (void)uv_run(loop, UV_RUN_DEFAULT);
}

static void drive(pid_t server)
{
    static struct node nodes[NODES_MAX];
    uv_loop_t loop;
    uv_timer_t timer;
    struct bus *bus;
    struct flz_msg msg = FLZ_MSG_NULL;
    need(uv_loop_init(&loop) == 0 && uv_timer_init(&loop, &timer) == 0 &&
             bus_new(&loop, NULL, NULL, &bus, &msg) == 0,
         "the nodes' loop");
    for (uint32_t i = 0; i < nodes_count; i++) {
        nodes[i] = (struct node){.number = i, .reports = 2 * ACCOUNTS, .acked = 2 * ACCOUNTS};
        struct bus_callbacks callbacks = {
            .on_message = on_server, .on_state = on_state, .data = &nodes[i]};
        need(bus_connect_curve(bus, meeting.endpoint, meeting.curve, &node_keys[i].curve, callbacks,
                               &nodes[i].socket, &msg) == 0,
             msg.text);
    }
    run_loop(&loop, &timer, WARM_MS);
    uint64_t before = acked_total, start = uv_hrtime();
    double cpu = cpu_of(server);
    run_loop(&loop, &timer, seconds * 1000);
    double wall = (double)(uv_hrtime() - start) / 1e9;
    double n = (double)(acked_total - before);
    cpu = cpu_of(server) - cpu;
    (void)printf("fluenzr%s nodes %u window %u: %.0f life cycles in %.2f s: %.0f/s, %.0f per "
                 "server CPU second%s\n",
                 bare ? " without header signatures" : "", nodes_count, window, n, wall, n / wall,
                 n / cpu, acked_total + 5000 > 5ul * EXCHANGES ? " (ran out of work)" : "");
}

static void make_keys(void)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    need(flz_secret_harden(true, &msg) == 0, msg.text);
    for (uint32_t i = 0; i < nodes_count; i++) {
        need(keys_curve_generate(&node_keys[i].curve) == 0 &&
                 keys_sign_generate(&node_keys[i].sign) == 0,
             "keys");
        node_public[i].curve = node_keys[i].curve.public_key;
        node_public[i].sign = node_keys[i].sign.public_key;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_lifecycle FOLDER [NODES [WINDOW [SECONDS [bare]]]]\n");
        return 64;
    }
    nodes_count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : nodes_count;
    window = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : window;
    seconds = argc > 4 ? strtol(argv[4], NULL, 10) : seconds;
    bare = argc > 5 && strcmp(argv[5], "bare") == 0;
    need(nodes_count >= 2 && nodes_count <= NODES_MAX, "reading the number of nodes");
    int there[2], back[2];
    need(pipe(there) == 0 && pipe(back) == 0, "a pipe");
    pid_t server = fork();
    need(server >= 0, "a process");
    if (server == 0)
        serve(argv[1], there[0], back[1]);
    make_keys();
    need(close(back[1]) == 0 &&
             write(there[1], node_public, sizeof node_public) == (ssize_t)sizeof node_public &&
             read(back[0], &meeting, sizeof meeting) == (ssize_t)sizeof meeting,
         "the server");
    drive(server);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    return 0;
}
