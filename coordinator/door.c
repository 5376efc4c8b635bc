#include "coordinator/door.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "coordinator/backlog.h"
#include "coordinator/days.h"
#include "coordinator/dress.h"
#include "coordinator/families.h"
#include "coordinator/meters.h"
#include "coordinator/words.h"
#include "proto/cert.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTED_MS 30000
#define GO_ON_FRAMES 16  /* of the backlog that are taken in one turn of the loop */
#define ORDERS_MAX 50000 /* waiting for one node; beyond, its next hello brings them again */

struct orders {
    struct coord_order *all; /* owned */
    size_t head;
    size_t count;
    size_t capacity;
};

/* What is known of a node in this life; by handle. */
struct peer {
    struct bus_peer way;
    bool welcomed;
    bool greeting;        /* its HELLO is being committed */
    int64_t heard_boot;   /* 0: never */
    uint64_t revocations; /* how many it has, by its newest HEARTBEAT */
    uint64_t seq_in;      /* since its HELLO */
    uint64_t seq_out;     /* in this epoch */
    uint64_t acked;       /* newest report it was told to be durable */
    size_t acks_due;      /* acknowledgements that wait for their commit */
    bool cut;             /* a frame of it could not be kept: nothing is taken before its HELLO */
    struct orders orders;
    struct flz_buf certificate; /* Signed(NODE); owned */
};

struct door {
    struct server *server;
    struct bus_socket *nodes;
    struct bus_socket *enrol;
    struct backlog backlog;
    struct peer *peers; /* owned */
    size_t peers_count;
    size_t peers_capacity;
};

static struct peer *peer_at(struct door *door, uint32_t node)
{
    size_t before = door->peers_count;
    if (flz_grow((void **)&door->peers, &door->peers_capacity, (size_t)node + 1,
                 sizeof *door->peers) < 0)
        return NULL;
    if (door->peers_count <= node) {
        door->peers_count = (size_t)node + 1;
        memset(door->peers + before, 0, (door->peers_count - before) * sizeof *door->peers);
    }
    return &door->peers[node];
}

static void count(struct door *door, const char *direction, uint32_t kind)
{
    const char *name = flz_kind_name(kind);
    metrics_add(door->server->metrics, METER_BUS_MESSAGES,
                METRICS_LABELS(direction, name ? name : "?"), 1);
}

/* ---- Sending ---- */

static struct flz_frame_header next_header(struct door *door, uint32_t node)
{
    const struct row_node *row = coord_node(door->server->core, node);
    return (struct flz_frame_header){
        .network = door->server->identity.trust.network,
        .node = row->id,
        .epoch = door->server->epoch,
        .generation = door->server->generation,
        .seq = ++door->peers[node].seq_out,
    };
}

/* Signs and queues one frame. 0, a BUS_E_ outcome, or negative. */
static int send_frame(struct door *door, uint32_t node, enum flz_kind kind,
                      const struct flz_codec *codec, const void *frame)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = server_signer(door->server);
    int r = flz_encode(codec, frame, &payload);
    if (r == 0)
        r = flz_seal_signed(kind, flz_buf_view(&payload), &signer, &bytes);
    if (r < 0)
        return r;
    r = bus_send(door->nodes, &door->peers[node].way, flz_buf_view(&bytes));
    if (r == 0)
        count(door, "out", kind);
    return r;
}

static struct flz_view certificate_of(uint32_t node, void *data)
{
    struct door *door = data;
    return node < door->peers_count ? flz_buf_view(&door->peers[node].certificate) : FLZ_VIEW_NULL;
}

/* One frame being filled. */
struct frame {
    struct flz_arena arena;
    struct flz_task *tasks;
    size_t tasks_count;
    struct flz_view certificates[FLZ_FRAME_TASKS_MAX];
    size_t certificates_count;
    size_t bytes; /* about */
};

static void add_certificate(struct frame *frame, struct flz_view certificate)
{
    if (certificate.len == 0)
        return;
    for (size_t i = 0; i < frame->certificates_count; i++)
        if (flz_view_equal(frame->certificates[i], certificate))
            return;
    frame->certificates[frame->certificates_count++] = certificate;
    frame->bytes += certificate.len + 8;
}

/* How late an order leaves, in real time. */
static void observe_lateness(struct door *door, const struct flz_task *task)
{
    struct server *server = door->server;
    int64_t late = server_now(server) - task->not_before;
    metrics_observe(server->metrics, METER_LATENESS, METRICS_NO_LABELS,
                    late > 0 ? (double)late / (double)server_rate_milli(server) : 0);
}

/* Takes orders from the queue while they fit. */
static void fill_frame(struct door *door, struct orders *orders, struct frame *frame)
{
    struct dresser dresser = {.core = door->server->core,
                              .persons = door->server->persons,
                              .identity = &door->server->identity,
                              .on_certificate = certificate_of,
                              .data = door};
    while (orders->head < orders->count && frame->tasks_count < FLZ_FRAME_TASKS_MAX &&
           frame->bytes < FLZ_FRAME_SIZE_MAX / 2) {
        struct flz_task *task = &frame->tasks[frame->tasks_count];
        struct flz_view certificate;
        int r = dress_task(&dresser, &orders->all[orders->head++], &frame->arena, task,
                           &certificate);
        if (r < 0)
            continue; /* void by now */
        observe_lateness(door, task);
        add_certificate(frame, certificate);
        frame->bytes += 1200 + task->attestation.len + task->voucher.len;
        frame->tasks_count++;
    }
    if (orders->head == orders->count)
        orders->head = orders->count = 0;
}

static int send_tasks(struct door *door, uint32_t node, const struct frame *frame)
{
    struct flz_tasks tasks = {
        .header = next_header(door, node),
        .tasks = frame->tasks,
        .tasks_count = frame->tasks_count,
        .certificates = frame->certificates,
        .certificates_count = frame->certificates_count,
    };
    return send_frame(door, node, FLZ_KIND_TASKS, &flz_codec_tasks, &tasks);
}

static void flush(struct door *door, uint32_t node)
{
    struct peer *peer = &door->peers[node];
    while (peer->welcomed && peer->orders.head < peer->orders.count) {
        size_t head = peer->orders.head, all = peer->orders.count;
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct frame *frame = flz_arena_alloc(&arena, sizeof *frame);
        if (!frame)
            return;
        frame->tasks = flz_arena_alloc(&arena, FLZ_FRAME_TASKS_MAX * sizeof *frame->tasks);
        if (!frame->tasks)
            return;
        fill_frame(door, &peer->orders, frame);
        int r = frame->tasks_count > 0 ? send_tasks(door, node, frame) : 0;
        flz_arena_deinit(&frame->arena);
        if (r == 0)
            continue;
        if (r == BUS_E_FULL) {
            /* They stay in this node's own queue; its next heartbeat tries again. */
            peer->orders.head = head;
            peer->orders.count = all;
            return;
        }
        peer->welcomed = false;
        peer->orders.head = peer->orders.count = 0;
        flz_log(door->server->log, FLZ_LOG_WARNING, "tasks_not_sent", "node=%u result=%d", node, r);
        return;
    }
}

void door_order(struct door *door, const struct coord_order *orders, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct peer *peer = peer_at(door, orders[i].node);
        /* A node that is not here gets them after its hello: the core knows what it lacks. */
        if (!peer || !peer->welcomed || peer->orders.count - peer->orders.head >= ORDERS_MAX ||
            flz_grow((void **)&peer->orders.all, &peer->orders.capacity, peer->orders.count + 1,
                     sizeof *peer->orders.all) < 0)
            continue;
        peer->orders.all[peer->orders.count++] = orders[i];
    }
    for (uint32_t node = 0; node < door->peers_count; node++)
        flush(door, node);
}

/* ---- HELLO ---- */

struct greeting {
    struct door *door;
    uint32_t node;
    struct flz_id incarnation;
    struct coord_order *orders; /* owned */
    size_t orders_count;
};

static void welcome(struct door *door, uint32_t node, struct flz_id incarnation, const char *why)
{
    struct flz_welcome frame = {
        .header = next_header(door, node),
        .accepted = why == NULL,
        .report_acked = coord_node(door->server->core, node)->report_seq,
        .incarnation = incarnation,
    };
    if (why)
        (void)snprintf(frame.text, sizeof frame.text, "%s", why);
    (void)send_frame(door, node, FLZ_KIND_WELCOME, &flz_codec_welcome, &frame);
}

static void on_greeted(void *data, int r)
{
    struct greeting *greeting = data;
    struct door *door = greeting->door;
    struct peer *peer = &door->peers[greeting->node];
    peer->greeting = false;
    if (r == 0) {
        peer->welcomed = true;
        peer->acked = coord_node(door->server->core, greeting->node)->report_seq;
        peer->orders.head = peer->orders.count = 0;
        metrics_add(door->server->metrics, METER_LEASES, METRICS_LABELS("join"), 1);
        welcome(door, greeting->node, greeting->incarnation, NULL);
        door_order(door, greeting->orders, greeting->orders_count);
    }
    free(greeting->orders);
    free(greeting);
}

static int greet(struct door *door, uint32_t node, const struct flz_hello *hello)
{
    struct coord_command command = {.kind = COORD_HELLO, .node = node};
    command.hello.incarnation = hello->incarnation;
    command.hello.report_seq = hello->report_seq;
    command.hello.report_first = hello->report_first;
    command.hello.credit = hello->credit;
    command.hello.open = hello->open;
    command.hello.open_count = hello->open_count;
    command.hello.packs = hello->packs;
    command.hello.packs_count = hello->packs_count;
    struct coord_update update;
    int r = server_step(door->server, &command, &update);
    if (r < 0)
        return r;
    if (update.refused) {
        welcome(door, node, hello->incarnation, update.message.text);
        return 0;
    }
    struct greeting *greeting = calloc(1, sizeof *greeting);
    if (!greeting)
        return flz_fail(-ENOMEM);
    *greeting = (struct greeting){
        .door = door, .node = node, .incarnation = hello->incarnation};
    if (update.orders_count > 0) {
        greeting->orders = calloc(update.orders_count, sizeof *greeting->orders);
        if (!greeting->orders) {
            free(greeting);
            return flz_fail(-ENOMEM);
        }
        memcpy(greeting->orders, update.orders, update.orders_count * sizeof *greeting->orders);
        greeting->orders_count = update.orders_count;
    }
    door->peers[node].greeting = true;
    flz_log(door->server->log, FLZ_LOG_NOTICE, "node_hello",
            "node=%u name=%s open=%zu missing=%zu reports=%llu version=%s", node,
            coord_node(door->server->core, node)->name, hello->open_count, update.orders_count,
            (unsigned long long)hello->report_seq, hello->version);
    return server_after_commit(door->server, on_greeted, greeting);
}

static const char *on_hello(struct door *door, uint32_t node, const struct flz_hello *hello)
{
    struct peer *peer = &door->peers[node];
    if (peer->greeting)
        return NULL; /* asked twice: one answer is on its way */
    peer->welcomed = false;
    peer->seq_in = hello->header.seq;
    peer->cut = false;
    backlog_forget(&door->backlog, node); /* it sends all again that was not acknowledged */
    struct flz_msg why;
    if (!admission_admits(server_admission(door->server, &why), COORD_HELLO)) {
        welcome(door, node, hello->incarnation, why.text);
        return NULL;
    }
    if (server_rate_milli(door->server) != NETCLOCK_RATE_ONE && !hello->endpoints_loopback) {
        welcome(door, node, hello->incarnation,
                "this network runs a lab's clock, and a node with real mail servers must not");
        return NULL;
    }
    return greet(door, node, hello) < 0 ? "no memory" : NULL;
}

/* ---- Acknowledging ---- */

static void send_ack(struct door *door, uint32_t node, struct flz_ack ack)
{
    ack.header = next_header(door, node);
    (void)send_frame(door, node, FLZ_KIND_ACK, &flz_codec_ack, &ack);
}

/* Its reports are here, and wait for the disk: it need not begin anew. The last number again
 * acknowledges nothing. */
static void say_patience(struct door *door, uint32_t node)
{
    const struct peer *peer = &door->peers[node];
    if (peer->cut || (peer->acks_due == 0 && !backlog_has(&door->backlog, node)))
        return;
    send_ack(door, node,
             (struct flz_ack){.incarnation = coord_node(door->server->core, node)->incarnation,
                              .report_seq = peer->acked});
}

/* ---- HEARTBEAT ---- */

/* The next of those it lacks. Its next heartbeat, which follows at once, asks for more. */
static void send_revocations(struct door *door, uint32_t node)
{
    struct flz_view revocations[FLZ_FRAME_REVOCATIONS_MAX];
    uint64_t from = door->peers[node].revocations;
    size_t n = coord_revocations(door->server->core, from, revocations, FLZ_FRAME_REVOCATIONS_MAX);
    if (n == 0)
        return;
    struct flz_revocations frame = {.header = next_header(door, node),
                                    .from = from,
                                    .revocations = revocations,
                                    .revocations_count = n};
    (void)send_frame(door, node, FLZ_KIND_REVOCATIONS, &flz_codec_revocations, &frame);
}

static const char *on_heartbeat(struct door *door, uint32_t node,
                                const struct flz_heartbeat *heartbeat)
{
    struct server *server = door->server;
    struct coord_command command = {
        .kind = COORD_CREDIT, .node = node, .credit = heartbeat->credit};
    struct coord_update update;
    if (server_step(server, &command, &update) < 0 || server_issue(server, &update) < 0)
        return "no memory";

    /* Before the pulse that speaks of them: a node that lacks some sends nothing. */
    door->peers[node].revocations = heartbeat->revocation_version;
    send_revocations(door, node);

    static struct flz_pause pauses[4096];
    static struct flz_id suppressed[FLZ_SUPPRESSED_MAX];
    int64_t now = server_now(server);
    int64_t rate = server_rate_milli(server);
    /* At the world's pace the lease bounds everything; a lab's clock runs away within seconds, so
     * it may run on by two beats only, and not at all while it is held. */
    int64_t ahead = 2 * server->config->heartbeat_ms * rate / 1000;
    if (rate == NETCLOCK_RATE_ONE)
        ahead = server->config->lease_ms;
    else if (timekeeper_is_held(&server->clock))
        ahead = 0;
    struct flz_pulse pulse = {
        .header = next_header(door, node),
        .echo_boot_ms = heartbeat->boot_ms,
        .lease_ms = server->config->lease_ms,
        .network_now = now,
        .rate_milli = rate,
        .horizon = now + ahead,
        .revocation_version = coord_network(server->core)->revocation_version,
        .pauses = pauses,
        .pauses_count = coord_node_pauses(server->core, node, now, pauses,
                                          sizeof pauses / sizeof *pauses),
        .suppressed = suppressed,
        .suppressed_count =
            coord_suppressed_accounts(server->core, suppressed, FLZ_SUPPRESSED_MAX),
    };
    (void)send_frame(door, node, FLZ_KIND_PULSE, &flz_codec_pulse, &pulse);
    metrics_add(server->metrics, METER_LEASES, METRICS_LABELS("renew"), 1);
    say_patience(door, node);
    flush(door, node);
    return NULL;
}

/* ---- REPORTS ---- */

struct acknowledgement {
    struct door *door;
    uint32_t node;
    struct flz_id incarnation;
    uint64_t seq;
    struct flz_verdict *verdicts; /* owned */
    size_t verdicts_count;
};

static void on_reported(void *data, int r)
{
    struct acknowledgement *ack = data;
    struct peer *peer = &ack->door->peers[ack->node];
    peer->acks_due--;
    if (r == 0) {
        peer->acked = ack->seq;
        send_ack(ack->door, ack->node,
                 (struct flz_ack){.incarnation = ack->incarnation,
                                  .report_seq = ack->seq,
                                  .verdicts = ack->verdicts,
                                  .verdicts_count = ack->verdicts_count});
    }
    free(ack->verdicts);
    free(ack);
}

/* A name's digest, keyed, so that the log tells nobody which domains and owners there are. */
static struct flz_digest name_digest(const struct server *server, const char *kind,
                                     const char *name)
{
    char lower[FLZ_OWNER_MAX + FLZ_DOMAIN_MAX];
    (void)snprintf(lower, sizeof lower, "%s", name);
    flz_ascii_lower_str(lower);
    struct flz_hash hash;
    flz_hash_init_keyed(&hash, flz_secret_view(&server->identity.network_key),
                        sizeof(struct flz_digest));
    flz_hash_add_piece(&hash, kind, strlen(kind));
    flz_hash_add_piece(&hash, lower, strlen(lower));
    return flz_hash_digest(&hash);
}

/* What the core needs to know of an account's words. -EINVAL: the address is none. */
static int fill_account(const struct server *server, const struct flz_account *account,
                        struct coord_command *command)
{
    struct flz_address address;
    int r = flz_address_parse(account->address, &address);
    if (r < 0)
        return r;
    const char *domain = flz_address_domain(&address);
    command->report.address = flz_address_digest(&address);
    command->report.domain = name_digest(server, "domain", domain);
    command->report.owner =
        name_digest(server, "owner", account->owner[0] ? account->owner : domain);
    return flz_text_copy(command->report.domain_name, sizeof command->report.domain_name, domain);
}

/* An attestation that would not convince a sending node is not taken. */
static const char *check_attestation(struct door *door, uint32_t node,
                                     const struct flz_account *account, struct flz_msg *msg)
{
    struct server *server = door->server;
    struct flz_node_identity identity;
    struct flz_attestation attestation;
    struct flz_address address;
    if (flz_address_parse(account->address, &address) < 0)
        return "the address is malformed";
    if (flz_address_is_role(&address))
        return "role addresses are never warmed";
    if (tz_check(server->tz, account->zone, msg) < 0) {
        flz_msg_wrap(msg, "the coordinator's host has another list of time zones");
        return msg->text;
    }
    if (flz_cert_check_node(&server->identity.trust, certificate_of(node, door), &identity, msg) <
            0 ||
        flz_cert_check_attestation(&server->identity.trust, account->attestation, &identity,
                                   &address, 0, server_now(server), &attestation, msg) < 0)
        return msg->text;
    return NULL;
}

static void judge(struct door *door, const struct flz_report *report, bool accepted,
                  uint32_t handle, const char *text, struct acknowledgement *ack)
{
    const struct row_account *account =
        accepted ? coord_account(door->server->core, handle) : NULL;
    struct flz_verdict *verdict = &ack->verdicts[ack->verdicts_count++];
    *verdict = (struct flz_verdict){.seq = report->seq,
                                    .accepted = accepted,
                                    .account = account ? account->id : report->account.id};
    (void)snprintf(verdict->text, sizeof verdict->text, "%s", text);
}

/* Its servers were last seen to work. */
static bool is_ready(const struct coord *core, struct flz_id id)
{
    const struct row_account *account = coord_account(core, coord_find_account(core, id));
    return account && account->probe_at > 0 && account->login_ok;
}

/* 0: taken; 1: a gap, nothing behind it is taken; negative. */
static int take_report(struct door *door, uint32_t node, const struct flz_report *report,
                       struct acknowledgement *ack)
{
    struct server *server = door->server;
    struct coord_command command = {.kind = COORD_REPORT, .node = node};
    command.report.incarnation = ack->incarnation;
    command.report.report = report;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_voucher voucher;
    if (report->receipt.voucher.len > 0 && coord_network(server->core)->forgotten_count > 0 &&
        flz_decode_voucher(report->receipt.voucher, &arena, &voucher) == 0)
        command.report.voucher = &voucher;
    struct flz_report refused = *report;
    struct flz_msg msg = FLZ_MSG_NULL;
    bool is_account = report->kind == FLZ_REPORT_ACCOUNT;
    const char *why = is_account ? check_attestation(door, node, &report->account, &msg) : NULL;
    if (why) {
        /* Its place in the sequence is taken all the same, with an account that cannot be. */
        flz_log(server->log, FLZ_LOG_WARNING, "account_refused", "node=%u reason=%s", node, why);
        refused.account.consent.actions = 0;
        refused.account.consent.until = 0;
        command.report.report = &refused;
    }
    if (is_account && fill_account(server, &report->account, &command) < 0)
        memset(&command.report.address, 0, sizeof command.report.address);
    bool ready_before = is_ready(server->core, report->probe.account);
    struct coord_update update;
    int r = server_step(server, &command, &update);
    if (r == 0)
        r = server_issue(server, &update); /* tasks the node lacked until its reports were taken */
    if (r < 0 || update.report_gap)
        return r < 0 ? r : 1;
    if (report->kind == FLZ_REPORT_RECEIPT && !update.report_known)
        metrics_add(server->metrics, METER_TASKS,
                    METRICS_LABELS(words_task_kind(report->receipt.kind),
                                   words_outcome(report->receipt.outcome)),
                    1);
    if (is_account) {
        bool accepted = !update.refused && !why;
        judge(door, report, accepted, update.handle, why ? why : update.message.text, ack);
        if (accepted && !update.report_known)
            r = persons_put(server->persons, update.handle, &report->account,
                            committer_rider(server->committer));
    }
    if (is_account || (report->kind == FLZ_REPORT_PROBE && !ready_before &&
                       is_ready(server->core, report->probe.account)))
        days_changed(server->days);
    return r;
}

static struct acknowledgement *ack_free(struct acknowledgement *ack)
{
    if (ack)
        free(ack->verdicts);
    free(ack);
    return NULL;
}

FLZ_DEFINE_FREEP(struct acknowledgement, ack_free)

/* Takes reports of the frame from *next on, as long as something may be decided, and has those
 * acknowledged; *next is the first that was not taken. 0 or negative. */
static int take_reports(struct door *door, uint32_t node, const struct flz_reports *frame,
                        size_t *next)
{
    _cleanup_(ack_freep) struct acknowledgement *ack = calloc(1, sizeof *ack);
    if (!ack)
        return flz_fail(-ENOMEM);
    *ack = (struct acknowledgement){.door = door, .node = node, .incarnation = frame->incarnation};
    ack->verdicts = calloc(frame->reports_count + 1, sizeof *ack->verdicts);
    int r = ack->verdicts ? 0 : flz_fail(-ENOMEM);
    size_t first = *next, i = first;
    for (; r == 0 && i < frame->reports_count && server_admits(door->server, COORD_REPORT); i++)
        r = take_report(door, node, &frame->reports[i], ack);
    if (r < 0)
        return r;
    *next = r > 0 ? frame->reports_count : i; /* nothing behind a gap is taken */
    if (i == first && i < frame->reports_count)
        return 0;
    ack->seq = coord_node(door->server->core, node)->report_seq;
    r = server_after_commit(door->server, on_reported, ack);
    if (r < 0)
        return r;
    door->peers[node].acks_due++;
    (void)steal_ptr(&ack);
    server_wake(door->server);
    return 0;
}

/* What cannot be taken now is taken later, in its order. */
static const char *keep_reports(struct door *door, uint32_t node, struct flz_view payload,
                                size_t next)
{
    int r = backlog_add(&door->backlog, node, payload, next);
    if (r == 0)
        return NULL;
    door->peers[node].cut = true;
    if (r == BACKLOG_E_NODE)
        return "more reports than may be unacknowledged";
    flz_log(door->server->log, FLZ_LOG_WARNING, "reports_not_kept", "node=%u reason=%s", node,
            "too many wait for the disk; the node sends them again");
    return NULL;
}

static const char *on_reports(struct door *door, uint32_t node, const struct flz_reports *frame,
                              struct flz_view payload)
{
    size_t next = 0;
    if (door->peers[node].cut)
        return NULL; /* behind one that is missing; it sends all again after its HELLO */
    if (backlog_is_empty(&door->backlog) && take_reports(door, node, frame, &next) < 0)
        return "no memory";
    return next < frame->reports_count ? keep_reports(door, node, payload, next) : NULL;
}

/* The oldest frame of the backlog. 0: taken; 1: it goes on waiting; negative. */
static int take_kept(struct door *door, struct backlog_frame *kept)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_reports frame;
    if (!door->peers[kept->node].welcomed)
        return 0; /* revoked meanwhile */
    int r = flz_decode(&flz_codec_reports, flz_buf_view(&kept->payload), &arena, &frame);
    if (r == 0)
        r = take_reports(door, kept->node, &frame, &kept->next);
    return r < 0 ? r : kept->next < frame.reports_count;
}

int door_go_on(struct door *door)
{
    for (int i = 0; i < GO_ON_FRAMES && !backlog_is_empty(&door->backlog); i++) {
        int r = take_kept(door, backlog_first(&door->backlog));
        if (r != 0)
            return r < 0 ? r : 0;
        backlog_drop_first(&door->backlog);
    }
    return 0;
}

bool door_has_backlog(const struct door *door)
{
    return !backlog_is_empty(&door->backlog);
}

/* ---- Believing ---- */

/* A node's frame, decoded; each kind begins with the header. */
union node_frame {
    struct flz_frame_header header;
    struct flz_hello hello;
    struct flz_heartbeat heartbeat;
    struct flz_reports reports;
};

static int decode_frame(const struct flz_signed *message, struct flz_arena *arena,
                        union node_frame *ret_frame)
{
    static const struct flz_codec *const codecs[] = {
        [FLZ_KIND_HELLO] = &flz_codec_hello,
        [FLZ_KIND_HEARTBEAT] = &flz_codec_heartbeat,
        [FLZ_KIND_REPORTS] = &flz_codec_reports,
    };
    /* A hello lists all open tasks of its node, and may be as large as a message can. */
    bool too_long = message->kind != FLZ_KIND_HELLO && message->payload.len > FLZ_FRAME_SIZE_MAX;
    if (message->kind >= sizeof codecs / sizeof *codecs || !codecs[message->kind] || too_long)
        return flz_fail(-EBADMSG);
    return flz_decode(codecs[message->kind], message->payload, arena, ret_frame);
}

static const char *handle_frame(struct door *door, uint32_t node, const struct flz_signed *message,
                                struct flz_arena *arena)
{
    const struct row_node *row = coord_node(door->server->core, node);
    union node_frame frame = {.header = {.seq = 0}};
    if (flz_verify_signed(message, &row->sign_key) < 0)
        return "a signature that does not verify";
    if (decode_frame(message, arena, &frame) < 0)
        return "a kind that nodes do not send, or not readable";
    if (!flz_id_equal(frame.header.network, door->server->identity.trust.network) ||
        !flz_id_equal(frame.header.node, row->id))
        return "another network's or node's frame";
    struct peer *peer = &door->peers[node];
    if (message->kind == FLZ_KIND_HELLO)
        return on_hello(door, node, &frame.hello);
    if (!peer->welcomed)
        return "a frame before the welcome";
    if (frame.header.seq <= peer->seq_in)
        return "a repeated frame";
    peer->seq_in = frame.header.seq;
    return message->kind == FLZ_KIND_HEARTBEAT ? on_heartbeat(door, node, &frame.heartbeat)
                                               : on_reports(door, node, &frame.reports,
                                                            message->payload);
}

/* The metrics' word for a frame that was not believed. */
static const char *reason_of(const char *why)
{
    if (strstr(why, "repeated"))
        return "replay";
    return strstr(why, "not readable") || strstr(why, "not a signed") ? "decode" : "auth";
}

static void on_node_message(struct bus_socket *socket, const struct bus_message *message,
                            void *data)
{
    struct door *door = data;
    struct server *server = door->server;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed frame;
    const char *why = "not a signed message";
    if (server->lost)
        return;
    uint32_t node = coord_find_node_by_curve(server->core, message->key);
    struct peer *peer = node == COORD_NONE ? NULL : peer_at(door, node);
    if (!peer) {
        why = "a key that is no node's";
    } else if (flz_open_signed(message->bytes, &arena, &frame) == 0) {
        count(door, "in", frame.kind);
        peer->way = message->peer;
        peer->heard_boot = flz_boottime_ms();
        why = handle_frame(door, node, &frame, &arena);
    }
    if (why) {
        metrics_add(server->metrics, METER_BUS_ERRORS, METRICS_LABELS(reason_of(why)), 1);
        flz_log(server->log, FLZ_LOG_WARNING, "frame_refused", "node=%u reason=%s bytes=%zu", node,
                why, message->bytes.len);
    }
}

/* ---- Enrolment ---- */

struct joining {
    struct door *door;
    struct bus_peer way;
    uint32_t node;
};

static void answer_join(struct door *door, const struct bus_peer *way, const char *why)
{
    struct server *server = door->server;
    struct flz_view issuer = flz_buf_view(&server->identity.issuer_cert);
    struct flz_joined joined = {
        .accepted = why == NULL, .issuers = &issuer, .issuers_count = why ? 0 : 1};
    (void)snprintf(joined.text, sizeof joined.text, "%s", why ? why : "");
    (void)snprintf(joined.network_name, sizeof joined.network_name, "%s", server->identity.name);
    (void)snprintf(joined.contact, sizeof joined.contact, "%s", server->identity.contact);
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = server_signer(server);
    if (flz_encode(&flz_codec_joined, &joined, &payload) == 0 &&
        flz_seal_signed(FLZ_KIND_JOINED, flz_buf_view(&payload), &signer, &bytes) == 0)
        (void)bus_send(door->enrol, way, flz_buf_view(&bytes));
}

static void on_joined(void *data, int r)
{
    struct joining *joining = data;
    if (r == 0) {
        door_refresh(joining->door);
        answer_join(joining->door, &joining->way, NULL);
        flz_log(joining->door->server->log, FLZ_LOG_NOTICE, "node_joined", "node=%u name=%s",
                joining->node, coord_node(joining->door->server->core, joining->node)->name);
    }
    free(joining);
}

static int keep_certificate(struct door *door, uint32_t node, struct flz_view certificate)
{
    struct peer *peer = peer_at(door, node);
    uint8_t key[4];
    if (!peer)
        return flz_fail(-ENOMEM);
    flz_buf_reset(&peer->certificate);
    flz_buf_add_view(&peer->certificate, certificate);
    flz_put_be32(key, node);
    store_put(committer_rider(door->server->committer), FAMILY_NODES,
              (struct flz_view){.data = key, .len = sizeof key}, certificate);
    return flz_buf_error(&peer->certificate);
}

/* NULL when the join is being committed; else why not, for the node's operator. */
static const char *join(struct door *door, const struct bus_message *message,
                        struct flz_arena *arena, struct flz_msg *msg)
{
    struct server *server = door->server;
    if (!admission_admits(server_admission(server, msg), COORD_JOIN))
        return msg->text;
    struct flz_signed signed_join;
    struct flz_join request;
    struct flz_node_identity identity;
    if (flz_open_signed(message->bytes, arena, &signed_join) < 0 ||
        signed_join.kind != FLZ_KIND_JOIN ||
        flz_decode(&flz_codec_join, signed_join.payload, arena, &request) < 0)
        return "the request cannot be read";
    if (flz_cert_check_node(&server->identity.trust, request.node_certificate, &identity, msg) < 0)
        return msg->text;
    if (flz_verify_signed(&signed_join, &identity.sign_key) < 0 ||
        memcmp(identity.curve_key.b, message->key.b, sizeof message->key.b) != 0)
        return "the request was not made with the keys of its certificate";
    struct flz_view token = {.data = identity.token_key.b, .len = sizeof identity.token_key.b};
    struct coord_command command = {.kind = COORD_JOIN};
    command.join.node = identity.node;
    memcpy(command.join.name, identity.name, sizeof command.join.name);
    command.join.token = flz_digest_of(token);
    command.join.certificate = identity.digest;
    command.join.sign_key = identity.sign_key;
    command.join.curve_key = identity.curve_key;
    command.join.real_now = flz_realtime_ms();
    struct coord_update update;
    if (server_step(server, &command, &update) < 0)
        return "the coordinator is out of memory";
    if (update.refused) {
        *msg = update.message;
        return msg->text;
    }
    struct joining *joining = calloc(1, sizeof *joining);
    if (!joining || keep_certificate(door, update.handle, request.node_certificate) < 0) {
        free(joining);
        return "the coordinator is out of memory";
    }
    *joining = (struct joining){.door = door, .way = message->peer, .node = update.handle};
    return server_after_commit(server, on_joined, joining) < 0 ? "the coordinator is out of memory"
                                                               : NULL;
}

static void on_enrol_message(struct bus_socket *socket, const struct bus_message *message,
                             void *data)
{
    struct door *door = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (door->server->lost)
        return;
    const char *why = join(door, message, &arena, &msg);
    if (!why)
        return;
    flz_log(door->server->log, FLZ_LOG_WARNING, "join_refused", "reason=%s", why);
    answer_join(door, &message->peer, why);
}

/* ---- Life ---- */

void door_refresh(struct door *door)
{
    const struct coord *core = door->server->core;
    size_t n = coord_node_count(core), allowed = 0;
    struct flz_curve_public *keys = calloc(n ? n : 1, sizeof *keys);
    if (!keys)
        return; /* the old list stays: nobody new gets in */
    for (uint32_t i = 0; i < n; i++) {
        const struct row_node *node = coord_node(core, i);
        if (node->state == NODE_JOINED)
            keys[allowed++] = node->curve_key;
        else if (i < door->peers_count)
            door->peers[i].welcomed = false;
        if (node->state != NODE_JOINED)
            backlog_forget(&door->backlog, i);
    }
    (void)bus_allow(door->nodes, keys, allowed);
    free(keys);
    /* A revocation is told at once, not when somebody asks. */
    for (uint32_t i = 0; i < door->peers_count; i++)
        if (door->peers[i].welcomed)
            send_revocations(door, i);
}

static int on_certificate(struct flz_view key, struct flz_view value, void *data)
{
    struct door *door = data;
    struct peer *peer = key.len == 4 ? peer_at(door, flz_be32(key.data)) : NULL;
    if (!peer)
        return flz_fail(-EBADMSG);
    flz_buf_add_view(&peer->certificate, value);
    return flz_buf_error(&peer->certificate);
}

FLZ_DEFINE_FREEP(struct door, door_close)

int door_open(struct server *server, struct door **ret_door, struct flz_msg *msg)
{
    _cleanup_(door_closep) struct door *door = calloc(1, sizeof *door);
    if (!door)
        return flz_fail(-ENOMEM);
    door->server = server;
    int r = store_each(server->store, FAMILY_NODES, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_certificate,
                       door);
    struct bus_callbacks nodes = {.on_message = on_node_message, .data = door};
    struct bus_callbacks enrol = {.on_message = on_enrol_message, .data = door};
    if (r == 0)
        r = bus_listen_curve(server->bus, server->config->listen_nodes, &server->identity.curve,
                             nodes, &door->nodes, msg);
    if (r == 0)
        r = bus_listen_open_curve(server->bus, server->config->listen_enrol,
                                  &server->identity.curve, enrol, &door->enrol, msg);
    if (r < 0)
        return r;
    door_refresh(door);
    *ret_door = steal_ptr(&door);
    return 0;
}

struct door *door_close(struct door *door)
{
    if (!door)
        return NULL;
    (void)bus_close(door->nodes);
    (void)bus_close(door->enrol);
    for (size_t i = 0; i < door->peers_count; i++) {
        free(door->peers[i].orders.all);
        flz_buf_deinit(&door->peers[i].certificate);
    }
    free(door->peers);
    backlog_deinit(&door->backlog);
    free(door);
    return NULL;
}

bool door_connected(const struct door *door, uint32_t node)
{
    return node < door->peers_count && door->peers[node].welcomed &&
           flz_boottime_ms() - door->peers[node].heard_boot < CONNECTED_MS;
}

int64_t door_heard_boot(const struct door *door, uint32_t node)
{
    return node < door->peers_count ? door->peers[node].heard_boot : 0;
}
