/*
 * Memory of the real fluenzr-coordinator: `bench_coordinator ACCOUNTS...`, from the top of the
 * tree. For each number a new network: initialised and enrolled with the real commands, two nodes
 * played by the bench that report the accounts, each signed as a node signs it, and then that they
 * can be logged in to, so that the coordinator plans their day. The nodes take no task.
 *
 * Samples: memory without accounts, with all reported, with the day planned, and after a restart.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "node/enrol.h"
#include "node/identity.h"
#include "proto/codec.h"
#include "tests/bench/bench.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODES 2
#define DOMAIN_ACCOUNTS 4 /* of each domain and owner: a domain ramps as a whole */
#define FRAME_REPORTS 150
#define ANSWER_MS 30000
#define SETTLE_S 3
#define PLANNED_S 8      /* without another plan: all is planned */
#define PLANNED_MAX_S 180

struct node {
    struct identity identity;
    struct bus_client *client;
    uint64_t seq;     /* of its frames */
    uint64_t reports; /* newest written */
};

struct bench {
    char folder[BENCH_PATH_MAX];
    uint16_t port_nodes, port_enrol;
    pid_t coordinator;
    struct node nodes[NODES];
    int64_t now; /* network time */
    double base_kib;
    unsigned accounts;
};

/* ---- The coordinator ---- */

/* Runs a shell line with $D (the folder) and $B (the programs). */
static int run(const struct bench *bench, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int run(const struct bench *bench, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)setenv("D", bench->folder, 1);
    (void)setenv("B", BIN_FOLDER, 1);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_config(const struct bench *bench)
{
    char text[4096], path[BENCH_PATH_MAX + 32], *content = realpath("deploy/content", NULL);
    const char *folder = bench->folder;
    bench_need(content != NULL, "deploy/content");
    (void)snprintf(text, sizeof text,
                   "state_dir: %s/state\nidentity_dir: %s/net/coordinator\ncontent_dir: %s\n"
                   "listen:\n  nodes: tcp://127.0.0.1:%u\n  enrol: tcp://127.0.0.1:%u\n"
                   "  admin: ipc://%s/coord.sock\n  http: 127.0.0.1:%u\n"
                   "allow_unlocked_memory: true\n",
                   folder, folder, content, bench->port_nodes, bench->port_enrol, folder,
                   bench_port());
    (void)snprintf(path, sizeof path, "%s/coord.yaml", folder);
    bench_write(path, text);
    free(content);
}

static void start(struct bench *bench)
{
    char config[BENCH_PATH_MAX + 32], log[BENCH_PATH_MAX + 32];
    (void)snprintf(config, sizeof config, "%s/coord.yaml", bench->folder);
    (void)snprintf(log, sizeof log, "%s/log", bench->folder);
    const char *const argv[] = {BIN_FOLDER "/fluenzr-coordinator", "--config", config, NULL};
    bench->coordinator = bench_start(log, argv);
    int exit_code = 69;
    for (int i = 0; i < 600 && exit_code == 69; i++) {
        (void)usleep(50000);
        exit_code =
            run(bench, "$B/fluenzrctl -i $D/net/admin --timeout 1s status >/dev/null 2>&1");
    }
    bench_need(exit_code != 69, "starting the coordinator");
}

static void need_coordinator(const struct bench *bench)
{
    if (waitpid(bench->coordinator, NULL, WNOHANG) == 0)
        return;
    (void)run(bench, "tail -n 5 $D/log >&2");
    bench_need(false, "keeping the coordinator alive");
}

static void tell(struct bench *bench, const char *when)
{
    char row[96];
    (void)sleep(SETTLE_S);
    need_coordinator(bench);
    double kib = bench_memory_kib(bench->coordinator);
    (void)snprintf(row, sizeof row, "%u accounts, %s", bench->accounts, when);
    bench_sample("Coordinator", row, "MiB", kib / 1024);
    bench_sample("Coordinator", row, "KiB per account",
                 (kib - bench->base_kib) / bench->accounts);
}

/* ---- The nodes ---- */

static void say(const struct node *node, enum flz_kind kind, const struct flz_codec *codec,
                const void *frame)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = identity_signer(&node->identity);
    bench_need(flz_encode(codec, frame, &payload) == 0 &&
                   flz_seal_signed(kind, flz_buf_view(&payload), &signer, &bytes) == 0 &&
                   bus_client_send(node->client, flz_buf_view(&bytes)) == 0,
               "saying something");
}

/* The next frame of this kind; others are passed over. */
static void hear(const struct node *node, enum flz_kind kind, const struct flz_codec *codec,
                 struct flz_arena *arena, void *ret_frame)
{
    for (;;) {
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        struct flz_signed message;
        bench_need(bus_client_receive(node->client, ANSWER_MS, &bytes) == 0 &&
                       flz_open_signed(flz_buf_view(&bytes), arena, &message) == 0,
                   "hearing the coordinator");
        if (message.kind != kind)
            continue;
        bench_need(flz_decode(codec, message.payload, arena, ret_frame) == 0, "decoding");
        return;
    }
}

static struct flz_frame_header header_of(struct node *node)
{
    return (struct flz_frame_header){.network = node->identity.trust.network,
                                     .node = node->identity.node,
                                     .seq = ++node->seq};
}

static const struct flz_id incarnation = {.b = {7}};

static void join(struct bench *bench, unsigned number)
{
    struct node *node = &bench->nodes[number];
    struct flz_msg msg = FLZ_MSG_NULL;
    char dir[BENCH_PATH_MAX + 32], token[BENCH_PATH_MAX + 32];
    (void)snprintf(dir, sizeof dir, "%s/n%u", bench->folder, number);
    (void)snprintf(token, sizeof token, "%s/token%u", bench->folder, number);
    *node = (struct node){.seq = 0};
    bench_need(run(bench,
                   "$B/fluenzrctl -i $D/net/admin node invite n%u --out $D/token%u >/dev/null 2>&1",
                   number, number) == 0,
               "inviting a node");
    bench_need(enrol(dir, token, ANSWER_MS, &msg) == 0 &&
                   identity_load(dir, &node->identity, &msg) == 0,
               msg.text);
    struct bus_target target = {.endpoint = node->identity.endpoint,
                                .server = &node->identity.coordinator_key,
                                .own = &node->identity.curve};
    bench_need(bus_client_open(&target, ANSWER_MS, &node->client, &msg) == 0, msg.text);
}

static void greet(struct bench *bench, struct node *node)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_welcome welcome;
    struct flz_pulse pulse;
    struct flz_hello hello = {
        .header = header_of(node), .incarnation = incarnation, .boot_ms = flz_boottime_ms()};
    say(node, FLZ_KIND_HELLO, &flz_codec_hello, &hello);
    hear(node, FLZ_KIND_WELCOME, &flz_codec_welcome, &arena, &welcome);
    bench_need(welcome.accepted, welcome.text);
    struct flz_heartbeat heartbeat = {.header = header_of(node), .boot_ms = flz_boottime_ms()};
    say(node, FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    hear(node, FLZ_KIND_PULSE, &flz_codec_pulse, &arena, &pulse);
    bench->now = pulse.network_now;
}

/* ---- The accounts ---- */

static struct flz_id account_id(unsigned account)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "bench/account");
    flz_hash_add_u64(&hash, account);
    return flz_hash_id(&hash);
}

static struct flz_view attest(const struct node *node, const struct flz_account *account,
                              struct flz_arena *arena)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_address address;
    struct flz_signer signer = identity_signer(&node->identity);
    bench_need(flz_address_parse(account->address, &address) == 0, account->address);
    struct flz_attestation attestation = {.network = node->identity.trust.network,
                                          .node = node->identity.node,
                                          .account = account->id,
                                          .address = flz_address_digest(&address),
                                          .consent_until = account->consent.until,
                                          .actions = account->consent.actions};
    bench_need(flz_encode(&flz_codec_attestation, &attestation, &payload) == 0 &&
                   flz_seal_signed(FLZ_KIND_ATTESTATION, flz_buf_view(&payload), &signer,
                                   &bytes) == 0,
               "an attestation");
    uint8_t *copy = flz_arena_alloc(arena, bytes.len);
    bench_need(copy != NULL, "memory");
    memcpy(copy, bytes.data, bytes.len);
    return (struct flz_view){.data = copy, .len = bytes.len};
}

static void fill_account(const struct bench *bench, const struct node *node, unsigned number,
                         struct flz_arena *arena, struct flz_report *report)
{
    struct flz_account *account = &report->account;
    report->kind = FLZ_REPORT_ACCOUNT;
    *account = (struct flz_account){.id = account_id(number),
                                    .provider = "smtp",
                                    .zone = "Etc/UTC",
                                    .end_minute = 1440,
                                    .days = 127,
                                    .intensity = FLZ_INTENSITY_MEDIUM,
                                    .profile = FLZ_PROFILE_NEW,
                                    .language = "en",
                                    .consent = {.given = bench->now,
                                                .until = bench->now + 180 * FLZ_DAY_MS,
                                                .actions = 31,
                                                .by = "the owner"}};
    (void)snprintf(account->address, sizeof account->address, "person%u@domain%u.test", number,
                   number / DOMAIN_ACCOUNTS);
    (void)snprintf(account->owner, sizeof account->owner, "owner%u",
                   number / DOMAIN_ACCOUNTS);
    account->attestation = attest(node, account, arena);
}

static void fill_probe(const struct bench *bench, const struct node *node, unsigned number,
                       struct flz_arena *arena, struct flz_report *report)
{
    report->kind = FLZ_REPORT_PROBE;
    report->probe = (struct flz_probe){.account = account_id(number),
                                       .at = bench->now,
                                       .login_ok = true,
                                       .quota_permille = 1001,
                                       .mx = {.b = {1}}};
}

typedef void (*fill_fn)(const struct bench *bench, const struct node *node, unsigned number,
                        struct flz_arena *arena, struct flz_report *report);

/* Reports of a node's accounts from `first` on, one frame; waits for its acknowledgement. */
static void report_frame(struct bench *bench, unsigned which, unsigned first, fill_fn fill)
{
    static struct flz_report reports[FRAME_REPORTS];
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct node *node = &bench->nodes[which];
    struct flz_reports frame = {.incarnation = incarnation, .reports = reports};
    for (unsigned i = first; i < bench->accounts && frame.reports_count < FRAME_REPORTS;
         i += NODES) {
        struct flz_report *report = &reports[frame.reports_count++];
        *report = (struct flz_report){.seq = ++node->reports};
        fill(bench, node, i, &arena, report);
    }
    if (frame.reports_count == 0)
        return;
    frame.header = header_of(node);
    say(node, FLZ_KIND_REPORTS, &flz_codec_reports, &frame);
    struct flz_ack ack = {.report_seq = 0};
    while (ack.report_seq < node->reports)
        hear(node, FLZ_KIND_ACK, &flz_codec_ack, &arena, &ack);
    for (size_t i = 0; i < ack.verdicts_count; i++)
        bench_need(ack.verdicts[i].accepted, ack.verdicts[i].text);
}

static void report_all(struct bench *bench, fill_fn fill)
{
    for (unsigned first = 0; first < bench->accounts; first += NODES * FRAME_REPORTS)
        for (unsigned which = 0; which < NODES; which++)
            report_frame(bench, which, first + which, fill);
}

/* Plans follow each other while accounts become ready; returns when none has come for a while. */
static void wait_for_plan(const struct bench *bench)
{
    int quiet = 0, before = -1;
    for (int s = 0; s < PLANNED_MAX_S && quiet < PLANNED_S; s++) {
        (void)sleep(1);
        /* The exit code of this line is the number of plans, as far as it can be told. */
        int plans = run(bench, "exit $(( $(grep -c day_planned $D/log) %% 250 ))");
        quiet = plans > 0 && plans == before ? quiet + 1 : 0;
        before = plans;
    }
    bench_need(quiet == PLANNED_S, "planning");
    bench_need(run(bench, "grep day_planned $D/log | tail -n 1 >&2") == 0, "planning");
}

/* ---- */

static void bench_one(unsigned accounts)
{
    static struct bench bench;
    bench = (struct bench){.accounts = accounts};
    bench_folder(bench.folder);
    bench.port_nodes = bench_port();
    bench.port_enrol = bench_port();
    bench_need(run(&bench,
                   "$B/fluenzrctl init --dir $D/net --name bench --contact stop@bench.test "
                   "--nodes-endpoint tcp://127.0.0.1:%d --enrol-endpoint tcp://127.0.0.1:%d "
                   "--admin-endpoint ipc://$D/coord.sock >/dev/null 2>&1",
                   bench.port_nodes, bench.port_enrol) == 0,
               "fluenzrctl init");
    write_config(&bench);
    start(&bench);
    for (unsigned i = 0; i < NODES; i++) {
        join(&bench, i);
        greet(&bench, &bench.nodes[i]);
    }
    (void)sleep(SETTLE_S);
    bench.base_kib = bench_memory_kib(bench.coordinator);
    bench_sample("Coordinator", "no account", "MiB", bench.base_kib / 1024);
    report_all(&bench, fill_account);
    tell(&bench, "reported");
    report_all(&bench, fill_probe);
    wait_for_plan(&bench);
    tell(&bench, "a day planned");
    for (unsigned i = 0; i < NODES; i++) {
        (void)bus_client_close(bench.nodes[i].client);
        identity_deinit(&bench.nodes[i].identity);
    }
    bench_stop(bench.coordinator);
    start(&bench);
    tell(&bench, "a day planned, started again");
    bench_stop(bench.coordinator);
    bench_remove(bench.folder);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_coordinator ACCOUNTS...\n");
        return 64;
    }
    bench_need(sodium_init() >= 0, "libsodium");
    for (int i = 1; i < argc; i++)
        bench_one(bench_number(argv[i], 200000));
    return 0;
}
