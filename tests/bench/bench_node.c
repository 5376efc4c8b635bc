/*
 * The whole fluenzr-node, as a process of its own:
 *
 *   bench_node memory ACCOUNTS...            its memory with so many idle accounts
 *   bench_node send SESSIONS [MESSAGES]      messages a second with so many sending accounts
 *
 * From the top of the tree. The coordinator is played by the bench (tests/lib/coordfake.h), with
 * real sockets and signatures. Each account logs in to a Dovecot of the bench's own and to the
 * submission server before it counts. Numbers of accounts must rise; after the last the node is
 * left idle for a minute.
 *
 * `send` hands out SEND tasks, as many as an account may send on a day, day after day, and counts
 * the receipts that came back: rendered, journalled before and after the dot with synced commits,
 * reported, acknowledged. The server is the tests' scripted one (tests/lib/mailworld.h): TLS, AUTH,
 * pipelining, a thread a session; it throws the mail away. The node opens at most 64 sessions.
 */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/admin.h"
#include "common/sys/clock.h"
#include "tests/bench/dovecot.h"
#include "tests/lib/coordfake.h"
#include "tests/lib/mailworld.h"
#include "tests/lib/testcert.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS_MAX 1000 /* of one import */
#define WAIT_MS (4 * 60 * 1000)
#define SETTLE_MS 3000
#define IDLE_MS 65000 /* the node's housekeeping has come round */
#define DOMAIN_ACCOUNTS 4
#define TABLE_SEND "SMTP, the whole node"
#define DAY_CAP 50 /* compiled into the node */

struct bench {
    char certs[64];
    char folder[BENCH_PATH_MAX];
    struct dovecot dovecot;
    struct mailworld *world;
    struct coordfake *coord;
    pid_t node;
    unsigned accounts;
};

static size_t expected; /* receipts */

static const char *path_of(const struct bench *bench, const char *name)
{
    static char paths[4][BENCH_PATH_MAX + 32];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", bench->folder, name);
    return path;
}

static void wait_for(struct bench *bench, bool (*on_true)(void *data), const char *what)
{
    if (coordfake_wait(bench->coord, WAIT_MS, on_true, bench))
        return;
    char line[BENCH_PATH_MAX + 64];
    (void)snprintf(line, sizeof line, "tail -n 20 %s >&2", path_of(bench, "log"));
    if (system(line) != 0)
        (void)fputs("the node's log cannot be read\n", stderr);
    (void)fprintf(stderr, "%zu accounts, %zu receipts of %zu\n", bench->coord->accounts_count,
                  bench->coord->receipts_count, expected);
    bench_need(false, what);
}

/* ---- The node ---- */

static void write_config(struct bench *bench)
{
    char text[4096], *content = realpath("deploy/content", NULL);
    _cleanup_(flz_buf_deinit) struct flz_buf token = FLZ_BUF_NULL;
    const char *folder = bench->folder;
    bench_need(content != NULL, "deploy/content");
    (void)snprintf(text, sizeof text,
                   "state_dir: %s/state\njoin_token_file: %s/token\ncontent_dir: %s\n"
                   "providers_file: %s/providers.yaml\nca_file: %s\n"
                   "admin:\n  listen: ipc://%s/node.sock\nhttp:\n  listen: 127.0.0.1:0\n"
                   "dns:\n  servers: 127.0.0.1:%u\nvault:\n  name: %s/vault.key\n"
                   "bus:\n  heartbeat: 100ms\nallow_unlocked_memory: true\n",
                   folder, folder, content, folder, testcert_path(bench->certs, TESTCERT_CA),
                   folder, mailworld_dns_port(bench->world), folder);
    bench_write(path_of(bench, "node.yaml"), text);
    bench_write(path_of(bench, "providers.yaml"),
                "providers:\n  unknown:\n    policy: allow\nreplies: []\n");
    coordfake_token(bench->coord, &token);
    bench_write(path_of(bench, "token"), flz_buf_str(&token));
    free(content);
}

static bool is_up(void *data)
{
    const struct bench *bench = data;
    struct stat st;
    return bench->coord->heartbeats > 0 && stat(path_of(bench, "node.sock"), &st) == 0;
}

static void start_node(struct bench *bench)
{
    char config[BENCH_PATH_MAX + 32];
    (void)snprintf(config, sizeof config, "%s", path_of(bench, "node.yaml"));
    const char *const argv[] = {NODE_PROGRAM, "--config", config, NULL};
    bench->coord->heartbeats = 0;
    bench->node = bench_start(path_of(bench, "log"), argv);
    wait_for(bench, is_up, "starting the node");
}

static void stop_node(struct bench *bench)
{
    pid_t ended = 0;
    (void)kill(bench->node, SIGTERM);
    while (ended == 0) {
        coordfake_run(bench->coord, 10);
        ended = waitpid(bench->node, NULL, WNOHANG);
    }
    bench->node = 0;
    bench->coord->has_peer = false;
}

/* ---- Its accounts ---- */

static void address_of(unsigned account, char ret_address[static 64])
{
    (void)snprintf(ret_address, 64, "person%u@domain%u.test", account,
                   account / DOMAIN_ACCOUNTS);
}

static void add_row(const struct bench *bench, unsigned account, struct flz_buf *rows)
{
    char address[64];
    address_of(account, address);
    flz_buf_printf(rows,
                   "%s,smtps://localhost:%u,imaps://localhost:%u,shared," DOVECOT_PASSWORD
                   ",00:00-24:00,Mon-Sun\n",
                   address, mailworld_smtp_port(bench->world), (unsigned)bench->dovecot.port);
}

static void ask_import(struct bench *bench, struct flz_buf *rows)
{
    char endpoint[BENCH_PATH_MAX + 32];
    struct flz_msg msg = FLZ_MSG_NULL;
    struct bus_client *client = NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL, bytes = FLZ_BUF_NULL,
                                             answer = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_argument consent = {.key = "consent-by", .value = flz_view_str("the owner")};
    struct flz_admin_request request = {.verb = "account import",
                                        .id = coordfake_id(),
                                        .sent = flz_realtime_ms(),
                                        .arguments = &consent,
                                        .arguments_count = 1,
                                        .body = flz_buf_view(rows)};
    struct keys_sign_pair *admin = &bench->coord->admin;
    struct flz_signer signer = {.key = admin->public_key, .on_sign = keys_on_sign, .data = admin};
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", path_of(bench, "node.sock"));
    struct bus_target target = {.endpoint = endpoint};
    bench_need(flz_encode(&flz_codec_admin_request, &request, &payload) == 0 &&
                   flz_seal_signed(FLZ_KIND_ADMIN, flz_buf_view(&payload), &signer, &bytes) == 0 &&
                   bus_client_open(&target, 5000, &client, &msg) == 0 &&
                   bus_client_send(client, flz_buf_view(&bytes)) == 0,
               "asking the node");
    int r = BUS_E_TIMEOUT;
    for (int i = 0; r == BUS_E_TIMEOUT && i < 6000; i++) {
        coordfake_run(bench->coord, 5);
        r = bus_client_receive(client, 5, &answer);
    }
    (void)bus_client_close(client);
    struct flz_signed message;
    struct flz_admin_reply reply;
    bench_need(r == 0 && flz_open_signed(flz_buf_view(&answer), &arena, &message) == 0 &&
                   flz_decode(&flz_codec_admin_reply, message.payload, &arena, &reply) == 0,
               "the node's answer");
    bench_need(reply.exit_code == ADMIN_OK, reply.message);
}

static bool are_probed(void *data)
{
    const struct bench *bench = data;
    static size_t seen;
    const struct coordfake *coord = bench->coord;
    if (coord->accounts_count < bench->accounts)
        return false;
    for (; seen < bench->accounts; seen++)
        if (coord->probes[seen].at == 0)
            return false;
    return true;
}

/* Until there are so many, each seen by its servers once. */
static void add_accounts(struct bench *bench, unsigned accounts)
{
    while (bench->accounts < accounts) {
        _cleanup_(flz_buf_deinit) struct flz_buf rows = FLZ_BUF_NULL;
        flz_buf_add_str(&rows, "address,smtp,imap,user,password,hours,days\n");
        for (unsigned i = 0; i < ROWS_MAX && bench->accounts < accounts; i++)
            add_row(bench, bench->accounts++, &rows);
        ask_import(bench, &rows);
    }
    wait_for(bench, are_probed, "the accounts' logins");
}

/* ---- Memory ---- */


static void tell_memory(struct bench *bench, const char *when, double base_kib)
{
    char row[64];
    double kib = bench_memory_kib(bench->node);
    (void)snprintf(row, sizeof row, "%u accounts%s", bench->accounts, when);
    bench_sample("Node", row, "MiB", kib / 1024);
    bench_sample("Node", row, "KiB per account", (kib - base_kib) / bench->accounts);
}

static void bench_memory(struct bench *bench, unsigned *accounts, int n)
{
    start_node(bench);
    coordfake_run(bench->coord, SETTLE_MS);
    double base = bench_memory_kib(bench->node);
    bench_sample("Node", "no account", "MiB", base / 1024);
    for (int i = 0; i < n; i++) {
        add_accounts(bench, accounts[i]);
        coordfake_run(bench->coord, SETTLE_MS);
        tell_memory(bench, ", just logged in", base);
    }
    coordfake_run(bench->coord, IDLE_MS);
    tell_memory(bench, ", idle for a minute", base);
    stop_node(bench);
}

/* ---- Sending ---- */

static bool are_received(void *data)
{
    const struct bench *bench = data;
    return bench->coord->receipts_count >= expected;
}

static struct flz_task *make_tasks(struct bench *bench, unsigned senders, unsigned each)
{
    struct flz_task *tasks = calloc((size_t)senders * each, sizeof *tasks);
    char from[64], to[64];
    bench_need(tasks != NULL, "memory");
    for (unsigned i = 0; i < senders * each; i++) {
        address_of(i % senders, from);
        address_of(senders + i % senders, to);
        tasks[i] = coordfake_task(bench->coord, FLZ_TASK_SEND, coordfake_id(), 0, from, to);
        tasks[i].day_cap = DAY_CAP;
    }
    return tasks;
}

static void order(struct bench *bench, const struct flz_task *tasks, size_t n)
{
    for (size_t i = 0; i < n; i += 100)
        coordfake_order(bench->coord, tasks + i, n - i < 100 ? n - i : 100);
}

/* One day's messages of all senders: seconds from the order to the last receipt. */
static double send_day(struct bench *bench, unsigned senders, unsigned each)
{
    struct flz_task *tasks = make_tasks(bench, senders, each);
    bench->coord->receipts_count = 0;
    expected = (size_t)senders * each;
    double start = bench_now();
    order(bench, tasks, expected);
    wait_for(bench, are_received, "receipts");
    double took = bench_now() - start;
    for (size_t i = 0; i < expected; i++)
        bench_need(bench->coord->receipts[i].outcome == FLZ_OUTCOME_SENT,
                   bench->coord->receipts[i].text);
    free(tasks);
    /* Another day, so that nobody's cap is reached. */
    bench->coord->jump_ms += FLZ_DAY_MS;
    coordfake_run(bench->coord, 300);
    return took;
}

static void bench_send(struct bench *bench, unsigned senders, unsigned messages)
{
    char row[64];
    double wall = 0, cpu = 0;
    unsigned sent = 0;
    start_node(bench);
    add_accounts(bench, 2 * senders);
    mailworld_faults(bench->world, (struct mailworld_faults){.swallow = true});
    (void)send_day(bench, senders, 2); /* warm */
    while (sent < messages) {
        double before = bench_cpu(bench->node);
        wall += send_day(bench, senders, DAY_CAP - 5);
        cpu += bench_cpu(bench->node) - before;
        sent += senders * (DAY_CAP - 5);
    }
    (void)snprintf(row, sizeof row, "%u session%s", senders, senders == 1 ? "" : "s");
    bench_sample(TABLE_SEND, row, "the whole node, messages/s", sent / wall);
    bench_sample(TABLE_SEND, row, "node CPU ms per message", 1000 * cpu / sent);
    stop_node(bench);
}

/* ---- */

static bool set_up(struct bench *bench)
{
    testcert_make(bench->certs);
    if (!dovecot_start(&bench->dovecot, testcert_path(bench->certs, TESTCERT_GOOD)))
        return false;
    bench_folder(bench->folder);
    bench->world = mailworld_start(testcert_path(bench->certs, TESTCERT_GOOD));
    bench->coord = coordfake_new();
    /* A lab's time: the fake's certificates are dated in ours, its network lives in another. */
    bench->coord->rate_milli = 2000;
    write_config(bench);
    return true;
}

static void tear_down(struct bench *bench)
{
    bench->coord = coordfake_free(bench->coord);
    bench->world = mailworld_stop(bench->world);
    dovecot_stop(&bench->dovecot);
    bench_remove(bench->folder);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    unsigned numbers[8];
    int n = argc - 2;
    bool send = argc > 2 && strcmp(argv[1], "send") == 0;
    if (n < 1 || n > (send ? 2 : 8) || (!send && strcmp(argv[1], "memory") != 0)) {
        (void)fprintf(stderr, "usage: bench_node memory ACCOUNTS...\n"
                              "       bench_node send SESSIONS [MESSAGES]\n");
        return 64;
    }
    for (int i = 0; i < n; i++)
        numbers[i] = bench_number(argv[i + 2], 20000);
    bool ready = set_up(&bench);
    if (ready && send)
        bench_send(&bench, numbers[0], n > 1 ? numbers[1] : 1000);
    else if (ready)
        bench_memory(&bench, numbers, n);
    if (ready)
        tear_down(&bench);
    testcert_remove(bench.certs);
    return ready ? 0 : 1;
}
