/*
 * The real fluenzr-node, as a process of its own, between a coordinator that the test plays, mail
 * servers and DNS on loopback. What left for the world is counted at the servers, not believed.
 */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/admin.h"
#include "common/sys/clock.h"
#include "common/sys/config.h"
#include "common/sys/fsutil.h"
#include "proto/xheader.h"
#include "tests/lib/coordfake.h"
#include "tests/lib/imapfake.h"
#include "tests/lib/mailworld.h"
#include "tests/lib/testcert.h"
#include "tests/lib/tokenserver.h"
#include "tests/lib/tree.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ADA "ada@a.test"
#define BOB "bob@b.test"
#define LAB_RATE 100000   /* a hundred times real time */
#define FAST_RATE 1000000 /* a thousand times */

struct fx {
    char certs[64];
    char dir[64];
    struct mailworld *world;
    struct coordfake *coord;
    struct tokenserver *login; /* NULL: no account signs in */
    size_t ada, bob;
    pid_t node;
    bool small; /* its state lies on a small disk */
};

/* ---- Files ---- */

static const char *path_of(const struct fx *fx, const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", fx->dir, name);
    return path;
}

static void write_file(const struct fx *fx, const char *name, const char *text)
{
    int fd = open(path_of(fx, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

/* The providers of this test, and what servers' answers mean as it is shipped. */
static void write_providers(struct fx *fx)
{
    _cleanup_(flz_buf_deinit) struct flz_buf shipped = FLZ_BUF_NULL, text = FLZ_BUF_NULL;
    assert_int_equal(fsutil_read("deploy/providers.yaml", CONFIG_FILE_MAX, &shipped, NULL), 0);
    const char *replies = strstr(flz_buf_str(&shipped), "\nreplies:");
    assert_non_null(replies);
    flz_buf_add_str(&text, "providers:\n  unknown:\n    policy: allow\n"
                           "  lab:\n    policy: allow\n    login: microsoft\n");
    flz_buf_add_str(&text, replies);
    write_file(fx, "providers.yaml", flz_buf_str(&text));
}

static void write_config(struct fx *fx)
{
    char text[4096], *content = realpath("deploy/content", NULL);
    _cleanup_(flz_buf_deinit) struct flz_buf token = FLZ_BUF_NULL;
    assert_non_null(content);
    (void)snprintf(text, sizeof text,
                   "state_dir: %s/state\njoin_token_file: %s/token\ncontent_dir: %s\n"
                   "providers_file: %s/providers.yaml\nca_file: %s\n"
                   "admin:\n  listen: ipc://%s/node.sock\nhttp:\n  listen: 127.0.0.1:0\n"
                   "dns:\n  servers: 127.0.0.1:%u\nvault:\n  name: %s/vault.key\n"
                   "bus:\n  heartbeat: 100ms\n"
                   "mail:\n  connect_timeout: 5s\n  reply_timeout: 2s\n"
                   "log:\n  level: debug\nallow_unlocked_memory: true\n",
                   fx->dir, fx->dir, content, fx->dir, testcert_path(fx->certs, TESTCERT_CA),
                   fx->dir, mailworld_dns_port(fx->world), fx->dir);
    if (fx->login)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text),
                       "oauth:\n  microsoft:\n    client_id: %s\n"
                       "    authority: https://127.0.0.1:%u\n",
                       "11111111-2222-3333-4444-555555555555", tokenserver_port(fx->login));
    write_file(fx, "node.yaml", text);
    write_providers(fx);
    coordfake_token(fx->coord, &token);
    write_file(fx, "token", flz_buf_str(&token));
    free(content);
}

/* ---- The node ---- */

static void start_node(struct fx *fx)
{
    fx->node = fork();
    assert_true(fx->node >= 0);
    if (fx->node > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(path_of(fx, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)dup2(log, STDERR_FILENO);
    (void)execl(NODE_PROGRAM, NODE_PROGRAM, "--config", path_of(fx, "node.yaml"), (char *)NULL);
    _exit(127);
}

static void kill_node(struct fx *fx)
{
    (void)kill(fx->node, SIGKILL);
    assert_int_equal(waitpid(fx->node, NULL, 0), fx->node);
    fx->node = 0;
    fx->coord->has_peer = false;
}

/* Ends it as the service manager does; it must end well: no leak, no error of the sanitizers. */
static void stop_node(struct fx *fx)
{
    int status = -1;
    int64_t until = flz_boottime_ms() + 20000;
    (void)kill(fx->node, SIGTERM);
    pid_t ended = 0;
    while (ended == 0 && flz_boottime_ms() < until) {
        coordfake_run(fx->coord, 10);
        ended = waitpid(fx->node, &status, WNOHANG);
    }
    if (ended == 0)
        (void)kill(fx->node, SIGKILL);
    fx->node = 0;
    fx->coord->has_peer = false;
    assert_true(ended > 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void show_log(const struct fx *fx)
{
    char line[4096];
    FILE *file = fopen(path_of(fx, "log"), "re");
    while (file && fgets(line, sizeof line, file))
        (void)fputs(line, stderr);
    if (file)
        (void)fclose(file);
}

static unsigned log_count(const struct fx *fx, const char *text)
{
    char line[4096];
    unsigned count = 0;
    FILE *file = fopen(path_of(fx, "log"), "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, text) != NULL;
    (void)fclose(file);
    return count;
}

static bool log_has(const struct fx *fx, const char *text)
{
    return log_count(fx, text) > 0;
}

#define WAIT_FOR(fx, ms, condition)                                                                \
    do {                                                                                           \
        int64_t until_ = flz_boottime_ms() + (ms);                                                 \
        while (!(condition) && flz_boottime_ms() < until_)                                         \
            coordfake_run((fx)->coord, 10);                                                        \
        if (!(condition)) {                                                                        \
            show_log(fx);                                                                          \
            fail_msg("%s:%d: not within %d ms: %s", __FILE__, __LINE__, (int)(ms), #condition);    \
        }                                                                                          \
    } while (0)

/* ---- Its administration ---- */

/* Asks the node's own socket; the answer's JSON lands in `json`. Returns the exit code. */
static unsigned ask(struct fx *fx, const char *verb, const struct flz_argument *arguments, size_t n,
                    const char *body, struct flz_buf *json)
{
    char endpoint[192];
    struct flz_msg msg = FLZ_MSG_NULL;
    struct bus_client *client = NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL, bytes = FLZ_BUF_NULL,
                                             answer = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_admin_request request = {.id = coordfake_id(),
                                        .sent = flz_realtime_ms(),
                                        .arguments = arguments,
                                        .arguments_count = n,
                                        .body = flz_view_str(body)};
    struct flz_signer signer = {
        .key = fx->coord->admin.public_key, .on_sign = keys_on_sign, .data = &fx->coord->admin};
    (void)snprintf(request.verb, sizeof request.verb, "%s", verb);
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", path_of(fx, "node.sock"));
    assert_int_equal(flz_encode(&flz_codec_admin_request, &request, &payload), 0);
    assert_int_equal(flz_seal_signed(FLZ_KIND_ADMIN, flz_buf_view(&payload), &signer, &bytes), 0);
    struct bus_target target = {.endpoint = endpoint};
    assert_int_equal(bus_client_open(&target, 5000, &client, &msg), 0);
    assert_int_equal(bus_client_send(client, flz_buf_view(&bytes)), 0);
    int64_t until = flz_boottime_ms() + 30000;
    int r = BUS_E_TIMEOUT;
    while (r == BUS_E_TIMEOUT && flz_boottime_ms() < until) {
        coordfake_run(fx->coord, 10);
        r = bus_client_receive(client, 10, &answer);
    }
    (void)bus_client_close(client);
    assert_int_equal(r, 0);
    struct flz_signed message;
    struct flz_admin_reply reply;
    assert_int_equal(flz_open_signed(flz_buf_view(&answer), &arena, &message), 0);
    assert_int_equal(flz_decode(&flz_codec_admin_reply, message.payload, &arena, &reply), 0);
    if (json) {
        flz_buf_add_view(json, reply.json);
        flz_buf_add_str(json, reply.message);
    }
    return reply.exit_code;
}

static struct flz_argument argument(const char *key, const char *value)
{
    struct flz_argument a = {.value = flz_view_str(value)};
    (void)snprintf(a.key, sizeof a.key, "%s", key);
    return a;
}

static unsigned import(struct fx *fx, const char *rows, struct flz_buf *json)
{
    char body[8192];
    struct flz_argument arguments[] = {argument("consent-by", "the owner")};
    (void)snprintf(body, sizeof body, "address,smtp,imap,user,password,hours,days\n%s", rows);
    return ask(fx, "account import", arguments, 1, body, json);
}

static const char *row(struct fx *fx, const char *address, size_t account)
{
    static char rows[4][512];
    static unsigned next;
    char *text = rows[next++ % 4];
    (void)snprintf(text, sizeof rows[0],
                   "%s,smtps://127.0.0.1:%u,imaps://127.0.0.1:%u," IMAPFAKE_USER
                   ",\"warm \"\"pass\\1\",00:00-24:00,Mon-Sun\n",
                   address, mailworld_smtp_port(fx->world),
                   mailworld_imap_port(fx->world, account));
    return text;
}

static bool probed(const struct fx *fx, const char *address)
{
    const struct flz_probe *probe = coordfake_probe(fx->coord, address);
    return probe && probe->login_ok;
}

/* A node that is enrolled and has taken both accounts. */
static void take_both(struct fx *fx)
{
    char rows[1024];
    struct stat st;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0);
    WAIT_FOR(fx, 5000, stat(path_of(fx, "node.sock"), &st) == 0);
    (void)snprintf(rows, sizeof rows, "%s%s", row(fx, ADA, fx->ada), row(fx, BOB, fx->bob));
    if (import(fx, rows, NULL) != ADMIN_OK) {
        show_log(fx);
        fail_msg("the accounts were not taken");
    }
}

/* … and serves them. */
static void settle_in(struct fx *fx)
{
    take_both(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA) && probed(fx, BOB));
}

static struct fx *open_fx(const char *cert)
{
    struct fx *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    testcert_make(fx->certs);
    (void)snprintf(fx->dir, sizeof fx->dir, "/tmp/fluenzr-node-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    fx->world = mailworld_start(testcert_path(fx->certs, cert));
    fx->coord = coordfake_new();
    fx->coord->rate_milli = LAB_RATE;
    return fx;
}

static int setup_behind(void **state, const char *cert)
{
    struct fx *fx = open_fx(cert);
    fx->ada = mailworld_add(fx->world, ADA);
    fx->bob = mailworld_add(fx->world, BOB);
    write_config(fx);
    *state = fx;
    return 0;
}

static int setup(void **state)
{
    return setup_behind(state, TESTCERT_GOOD);
}

/* The servers' certificate is Google's, whatever they are called. */
static int setup_google(void **state)
{
    return setup_behind(state, TESTCERT_BOTH);
}

static bool is_token(const char *user, const char *token, void *data)
{
    return tokenserver_is_good(data, user, token);
}

/* The same with an account that signs in by OAuth: ADA. */
static int setup_login(void **state)
{
    struct fx *fx = open_fx(TESTCERT_GOOD);
    fx->login = tokenserver_start(testcert_path(fx->certs, TESTCERT_GOOD));
    tokenserver_person(fx->login, ADA, 3600);
    fx->ada = mailworld_add_token(fx->world, ADA, is_token, fx->login);
    fx->bob = mailworld_add(fx->world, BOB);
    write_config(fx);
    *state = fx;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)remove(path);
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    if (fx->node > 0) {
        (void)kill(fx->node, SIGKILL);
        (void)waitpid(fx->node, NULL, 0);
    }
    fx->coord = coordfake_free(fx->coord);
    fx->world = mailworld_stop(fx->world);
    fx->login = tokenserver_stop(fx->login);
    testcert_remove(fx->certs);
    (void)nftw(fx->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fx);
    return 0;
}

/* ---- Orders ---- */

static const struct flz_receipt *receipt(const struct fx *fx, const struct flz_task *task, size_t n)
{
    return coordfake_receipt(fx->coord, task->id, n);
}

/* Orders one task and waits for its first receipt. */
static struct flz_receipt do_task(struct fx *fx, struct flz_task task)
{
    coordfake_order(fx->coord, &task, 1);
    WAIT_FOR(fx, 20000, receipt(fx, &task, 0));
    return *receipt(fx, &task, 0);
}

static struct flz_task task(struct fx *fx, enum flz_task_kind kind, struct flz_id exchange,
                            uint32_t turn, const char *from, const char *to)
{
    return coordfake_task(fx->coord, kind, exchange, turn, from, to);
}

static void expect(struct fx *fx, struct flz_receipt got, enum flz_outcome outcome,
                   enum flz_reason reason)
{
    if (got.outcome == outcome && got.reason == reason)
        return;
    show_log(fx);
    fail_msg("outcome %u reason %u (%s), not %u and %u", got.outcome, got.reason, got.text, outcome,
             reason);
}

static unsigned dots(struct fx *fx)
{
    return mailworld_counts(fx->world).dots;
}

static void no_violation(struct fx *fx)
{
    assert_string_equal(mailworld_violation(fx->world, fx->ada), "");
    assert_string_equal(mailworld_violation(fx->world, fx->bob), "");
}

/* ---- Tests ---- */

static void node_enrols_once_and_keeps_its_accounts(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    assert_int_equal(fx->coord->joins, 1);
    struct flz_id ada = coordfake_account(fx->coord, ADA)->id;
    struct flz_id incarnation = fx->coord->incarnation;
    stop_node(fx);
    unsigned hellos = fx->coord->hellos;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->hellos > hellos);
    assert_int_equal(fx->coord->joins, 1);
    assert_true(flz_id_equal(incarnation, fx->coord->incarnation));
    /* The same rows again change nothing and keep the ids. */
    assert_int_equal(import(fx, row(fx, ADA, fx->ada), NULL), ADMIN_OK);
    assert_true(flz_id_equal(ada, coordfake_account(fx->coord, ADA)->id));
    stop_node(fx);
    assert_false(log_has(fx, "pass"));
}

static void import_gives_each_row_its_verdict(void **state)
{
    struct fx *fx = *state;
    struct stat st;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0 && stat(path_of(fx, "node.sock"), &st) == 0);
    mailworld_dns(fx->world, "b.test", false);
    char rows[2048];
    (void)snprintf(rows, sizeof rows, "%s%s%s%s", row(fx, ADA, fx->ada), row(fx, BOB, fx->bob),
                   row(fx, "someone@gmail.com", fx->bob), row(fx, "postmaster@a.test", fx->ada));
    assert_int_equal(import(fx, rows, &json), ADMIN_PARTLY);
    const char *text = flz_buf_str(&json);
    assert_non_null(strstr(text, "p=deny"));
    assert_non_null(strstr(text, "Google's terms"));
    assert_non_null(strstr(text, "role"));
    assert_non_null(strstr(text, "1 of 4 rows taken"));
    /* Its hours are the whole week: from now on. Nobody else has any. */
    const char *first = strstr(text, "\"firstSlot\":\"20");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"firstSlot\":\"20"));
    assert_int_equal(fx->coord->accounts_count, 1);
    stop_node(fx);
}

static void an_address_that_stands_twice_is_refused_on_both_lines(void **state)
{
    struct fx *fx = *state;
    struct stat st;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0 && stat(path_of(fx, "node.sock"), &st) == 0);
    char rows[2048];
    (void)snprintf(rows, sizeof rows, "%s%s%s", row(fx, ADA, fx->ada), row(fx, BOB, fx->bob),
                   row(fx, "Ada@A.test", fx->ada));
    assert_int_equal(import(fx, rows, &json), ADMIN_PARTLY);
    assert_non_null(strstr(flz_buf_str(&json), "this address stands on line 4, too"));
    assert_non_null(strstr(flz_buf_str(&json), "this address stands on line 2, too"));
    assert_non_null(strstr(flz_buf_str(&json), "1 of 3 rows taken"));
    assert_null(coordfake_account(fx->coord, ADA));
    assert_non_null(coordfake_account(fx->coord, BOB));
    stop_node(fx);
}

static void accounts_of_one_owner_are_told_to_find_no_partner_here(void **state)
{
    struct fx *fx = *state;
    struct stat st;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0 && stat(path_of(fx, "node.sock"), &st) == 0);
    struct flz_argument arguments[] = {argument("consent-by", "the owner"),
                                       argument("dry-run", "")};
    static const struct {
        const char *owners[2];
        const char *second;
        const char *note; /* NULL: none */
    } cases[] = {
        {{"Acme", "Else"}, "bob@b.test", NULL},
        {{"Acme", "ACME"}, "bob@b.test", "2 accounts of this node share one owner"},
        {{"", ""}, "bob@a.test", "2 accounts of this node are of one domain"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
        char body[2048];
        (void)snprintf(body, sizeof body,
                       "owner,address,smtp,imap,user,password,hours,days\n%s,%s%s,%s",
                       cases[i].owners[0], row(fx, ADA, fx->ada), cases[i].owners[1],
                       row(fx, cases[i].second, fx->bob));
        assert_int_equal(ask(fx, "account import", arguments, 2, body, &json), ADMIN_OK);
        if (cases[i].note)
            assert_non_null(strstr(flz_buf_str(&json), cases[i].note));
        else
            assert_non_null(strstr(flz_buf_str(&json), "\"note\":null"));
    }
    stop_node(fx);
}

static void account_takes_the_id_the_network_knows(void **state)
{
    struct fx *fx = *state;
    struct stat st;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0 && stat(path_of(fx, "node.sock"), &st) == 0);
    struct flz_id known = coordfake_id();
    fx->coord->renames_to = known;
    assert_int_equal(import(fx, row(fx, ADA, fx->ada), NULL), ADMIN_OK);
    fx->coord->renames_to = FLZ_ID_NULL;
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    assert_true(flz_id_equal(known, coordfake_account(fx->coord, ADA)->id));
    stop_node(fx);
    assert_false(log_has(fx, "secret cannot be used")); /* no session began under the first id */
    start_node(fx);                                     /* its secret opens under the new id, too */
    fx->coord->probes_count = 0;
    WAIT_FOR(fx, 20000, fx->coord->probes_count > 0);
    assert_true(flz_id_equal(known, coordfake_account(fx->coord, ADA)->id));
    assert_true(probed(fx, ADA));
    stop_node(fx);
}

static void whole_exchange_leaves_two_tidy_mailboxes(void **state)
{
    struct fx *fx = *state;
    struct flz_id x = coordfake_id();
    settle_in(fx);
    mailworld_faults(fx->world, (struct mailworld_faults){.copy_to_sent = true});
    struct flz_task first = task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB);
    expect(fx, do_task(fx, first), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    struct flz_receipt found = do_task(fx, task(fx, FLZ_TASK_FIND, x, 0, ADA, BOB));
    expect(fx, found, FLZ_OUTCOME_FOUND, FLZ_REASON_NONE);
    assert_int_equal(found.placement, FLZ_PLACEMENT_INBOX);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_OPEN, x, 0, ADA, BOB)), FLZ_OUTCOME_DONE,
           FLZ_REASON_NONE);
    struct flz_task second = task(fx, FLZ_TASK_REPLY, x, 1, BOB, ADA);
    expect(fx, do_task(fx, second), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    assert_int_equal(mailworld_count(fx->world, fx->ada, "INBOX", "In-Reply-To: <"), 1);
    WAIT_FOR(fx, 20000, strstr(mailworld_dump(fx->world, fx->bob), "\\Answered"));
    found = do_task(fx, task(fx, FLZ_TASK_FIND, x, 1, BOB, ADA));
    assert_int_equal(found.placement, FLZ_PLACEMENT_INBOX);

    /* TIDY's turn is its side; its references are the messages of all turns. */
    static struct flz_text all[2];
    memcpy(all[0].text, first.message_id, sizeof all[0].text);
    memcpy(all[1].text, second.message_id, sizeof all[1].text);
    struct flz_task tidy = task(fx, FLZ_TASK_TIDY, x, 0, BOB, ADA);
    tidy.references = all;
    tidy.references_count = 2;
    expect(fx, do_task(fx, tidy), FLZ_OUTCOME_DONE, FLZ_REASON_NONE);
    struct flz_task other = task(fx, FLZ_TASK_TIDY, x, 1, ADA, BOB);
    other.references = all;
    other.references_count = 2;
    expect(fx, do_task(fx, other), FLZ_OUTCOME_DONE, FLZ_REASON_NONE);
    assert_int_equal(mailworld_count(fx->world, fx->ada, "FluenzR", "X-FluenzR"), 2);
    assert_int_equal(mailworld_count(fx->world, fx->bob, "FluenzR", "X-FluenzR"), 2);
    assert_int_equal(mailworld_count(fx->world, fx->bob, "INBOX", "X-FluenzR"), 0);
    assert_int_equal(dots(fx), 2);
    no_violation(fx);
    stop_node(fx);
}

static void junk_is_rescued_and_never_filed(void **state)
{
    struct fx *fx = *state;
    struct flz_id x = coordfake_id();
    settle_in(fx);
    mailworld_deliver(fx->world, fx->bob, "Junk",
                      "From: a@x.test\r\nSubject: foreign\r\nMessage-ID: <1@x.test>\r\n\r\n");
    mailworld_faults(fx->world, (struct mailworld_faults){.to_junk = true});
    struct flz_task first = task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB);
    expect(fx, do_task(fx, first), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    assert_int_equal(do_task(fx, task(fx, FLZ_TASK_FIND, x, 0, ADA, BOB)).placement,
                     FLZ_PLACEMENT_JUNK);
    static struct flz_text all[1];
    memcpy(all[0].text, first.message_id, sizeof all[0].text);
    struct flz_task tidy = task(fx, FLZ_TASK_TIDY, x, 1, ADA, BOB);
    tidy.references = all;
    tidy.references_count = 1;
    expect(fx, do_task(fx, tidy), FLZ_OUTCOME_NOOP, FLZ_REASON_NONE);
    assert_int_equal(mailworld_count(fx->world, fx->bob, "Junk", "X-FluenzR"), 1);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_UNSPAM, x, 0, ADA, BOB)), FLZ_OUTCOME_DONE,
           FLZ_REASON_NONE);
    assert_int_equal(mailworld_count(fx->world, fx->bob, "INBOX", "X-FluenzR"), 1);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_UNSPAM, x, 0, ADA, BOB)), FLZ_OUTCOME_DECLINED,
           FLZ_REASON_REPEATED);
    assert_int_equal(mailworld_count(fx->world, fx->bob, "Junk", "foreign"), 1);
    no_violation(fx);
    stop_node(fx);
}

/* Kills the node when the server has read the dot and not answered. */
static struct flz_task kill_behind_the_dot(struct fx *fx, bool accept)
{
    mailworld_faults(fx->world, (struct mailworld_faults){.drop_at = MAILWORLD_DOT,
                                                          .times = 1,
                                                          .hang = true,
                                                          .accept = accept,
                                                          .copy_to_sent = accept});
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &send, 1);
    WAIT_FOR(fx, 20000, dots(fx) == 1);
    kill_node(fx);
    start_node(fx);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_AMBIGUOUS, FLZ_REASON_NONE);
    return send;
}

static void killed_behind_an_accepted_dot_it_is_found_and_never_sent_again(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task send = kill_behind_the_dot(fx, true);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 1));
    expect(fx, *receipt(fx, &send, 1), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    coordfake_order(fx->coord, &send, 1); /* whatever the coordinator says */
    coordfake_run(fx->coord, 1500);
    assert_int_equal(dots(fx), 1);
    assert_null(receipt(fx, &send, 2));
    stop_node(fx);
}

static void killed_behind_a_lost_dot_it_is_looked_for_and_never_sent_again(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task send = kill_behind_the_dot(fx, false);
    fx->coord->jump_ms = 49 * FLZ_HOUR_MS;
    WAIT_FOR(fx, 40000, receipt(fx, &send, 1));
    expect(fx, *receipt(fx, &send, 1), FLZ_OUTCOME_INDETERMINATE, FLZ_REASON_NONE);
    assert_int_equal(dots(fx), 1);
    stop_node(fx);
}

static void connection_lost_before_the_dot_is_tried_again(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    static const enum mailworld_stage stages[] = {MAILWORLD_GREETING, MAILWORLD_EHLO,
                                                  MAILWORLD_AUTH,     MAILWORLD_MAIL,
                                                  MAILWORLD_RCPT,     MAILWORLD_DATA};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        mailworld_faults(fx->world, (struct mailworld_faults){.drop_at = stages[i], .times = 1});
        struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
        expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
        assert_int_equal(dots(fx), i + 1);
    }
    stop_node(fx);
}

static void connection_lost_around_the_dot_is_never_tried_again(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    mailworld_faults(fx->world, (struct mailworld_faults){.drop_at = MAILWORLD_DOT, .times = 1});
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    assert_int_equal(got.outcome, FLZ_OUTCOME_AMBIGUOUS);
    assert_int_equal(dots(fx), 1);
    /* In the body the record of the dot may have been written or not: it was not sent either way,
     * or it is in doubt because the dot was on its way. */
    mailworld_faults(fx->world, (struct mailworld_faults){.drop_at = MAILWORLD_BODY, .times = 1});
    got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    if (got.outcome == FLZ_OUTCOME_SENT)
        assert_int_equal(dots(fx), 2);
    else
        assert_int_equal(dots(fx), 1);
    assert_true(got.outcome == FLZ_OUTCOME_SENT || got.outcome == FLZ_OUTCOME_WITHDRAWN ||
                got.outcome == FLZ_OUTCOME_AMBIGUOUS);
    stop_node(fx);
}

static void refusals_are_told_apart(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    mailworld_faults(fx->world,
                     (struct mailworld_faults){.drop_at = MAILWORLD_RCPT,
                                               .times = 1,
                                               .reply = "550 5.1.1 no such user here\r\n"});
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_REJECTED, FLZ_REASON_RECIPIENT);
    assert_int_equal(got.reply_code, 550);
    assert_int_equal(got.refusal, FLZ_REFUSAL_SUSPEND);
    assert_string_equal(got.rule, "no-mailbox");
    assert_int_equal(got.dot_at, 0);
    mailworld_faults(fx->world, (struct mailworld_faults){
                                    .drop_at = MAILWORLD_DOT,
                                    .times = 1,
                                    .reply = "554 5.7.1 <ada@a.test> spam message refused\r\n"});
    got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_REJECTED, FLZ_REASON_SPAM_BLOCK);
    assert_null(strstr(got.text, "ada@"));
    assert_int_equal(got.refusal, FLZ_REFUSAL_HARD);
    assert_true(got.dot_at > 0);
    mailworld_faults(fx->world,
                     (struct mailworld_faults){.drop_at = MAILWORLD_MAIL,
                                               .times = 1,
                                               .reply = "451 4.7.1 greylisted, later\r\n"});
    got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

/* ---- Once only: each stage of SMTP failing in each way ---- */

enum way {
    WAY_TEMP,
    WAY_PERM,
    WAY_DROP,
    WAY_RESET,
    WAY_HANG,
    WAY_GARBAGE,
    WAY_FLOOD,
    WAY_DRIP,
    WAYS
};
static const struct {
    const char *name;
    struct mailworld_faults faults;
} ways[WAYS] = {
    [WAY_TEMP] = {"4xx", {.reply = "451 4.3.0 not now\r\n"}},
    [WAY_PERM] = {"5xx", {.reply = "550 5.7.1 no\r\n"}},
    [WAY_DROP] = {"drop", {.reply = NULL}},
    [WAY_RESET] = {"reset", {.reset = true}},
    [WAY_HANG] = {"hang", {.hang = true}},
    [WAY_GARBAGE] = {"garbage", {.reply = "SSH-2.0-OpenSSH_9.2\r\n"}},
    [WAY_FLOOD] = {"flood", {.flood = true}},
    [WAY_DRIP] = {"drip", {.drip = true}},
};

/* May a send that met this end so? */
static bool may_end(enum mailworld_stage stage, enum way way, enum flz_outcome outcome)
{
    if (stage == MAILWORLD_QUIT || way == WAY_DRIP)
        return outcome == FLZ_OUTCOME_SENT;
    if (stage == MAILWORLD_DOT)
        return outcome == (way <= WAY_PERM ? FLZ_OUTCOME_REJECTED : FLZ_OUTCOME_AMBIGUOUS);
    /* The dot's record may have been written when the body broke off, or not; and what is said too
     * early may be heard as the answer to the dot. */
    if (stage == MAILWORLD_BODY)
        return outcome == FLZ_OUTCOME_SENT || outcome == FLZ_OUTCOME_WITHDRAWN ||
               outcome == FLZ_OUTCOME_AMBIGUOUS ||
               (way <= WAY_PERM && outcome == FLZ_OUTCOME_REJECTED);
    if (way == WAY_PERM && stage >= MAILWORLD_MAIL)
        return outcome == FLZ_OUTCOME_REJECTED;
    return outcome == FLZ_OUTCOME_SENT;
}

/* One send that meets the fault once. True when it is in doubt. */
static bool meet(struct fx *fx, struct flz_task send, enum mailworld_stage stage, enum way way)
{
    struct mailworld_faults faults = ways[way].faults;
    struct mailworld_counts before = mailworld_counts(fx->world);
    faults.drop_at = stage;
    faults.times = 1;
    mailworld_faults(fx->world, faults);
    struct flz_receipt got = do_task(fx, send);
    if (stage == MAILWORLD_QUIT)
        coordfake_run(fx->coord, 200); /* it comes behind the receipt */
    mailworld_faults(fx->world, (struct mailworld_faults){.times = 0});
    struct mailworld_counts after = mailworld_counts(fx->world);
    unsigned seen = after.dots - before.dots;
    if (!may_end(stage, way, (enum flz_outcome)got.outcome) || seen > 1 ||
        (got.outcome == FLZ_OUTCOME_SENT && seen != 1)) {
        show_log(fx);
        fail_msg("%s at stage %d: outcome %u (%s), %u dots", ways[way].name, stage, got.outcome,
                 got.text, seen);
    }
    return got.outcome == FLZ_OUTCOME_AMBIGUOUS;
}

/* A third of the cases before the dot, and all at it; the rest with FLZ_LONG=1. */
static bool is_chosen(enum mailworld_stage stage, enum way way)
{
    bool none = way == WAY_DRIP && (stage == MAILWORLD_BODY || stage == MAILWORLD_DATA);
    return !none && (getenv("FLZ_LONG") || stage == MAILWORLD_DOT || (stage + (int)way) % 3 == 0);
}

static void whatever_the_server_does_a_dot_leaves_once(void **state)
{
    struct fx *fx = *state;
    struct flz_task doubtful[WAYS * 2];
    size_t doubts = 0;
    /* A fresh day: no send is over midnight when it is tried again. */
    fx->coord->jump_ms = FLZ_DAY_MS - COORDFAKE_NETWORK_START % FLZ_DAY_MS;
    settle_in(fx);
    unsigned turn = 0, first = dots(fx);
    for (int stage = MAILWORLD_GREETING; stage <= MAILWORLD_QUIT; stage++)
        for (int way = 0; way < WAYS; way++) {
            bool ada = turn++ % 2 == 0; /* neither has a day's worth of them */
            if (!is_chosen((enum mailworld_stage)stage, (enum way)way))
                continue;
            struct flz_task send =
                task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ada ? ADA : BOB, ada ? BOB : ADA);
            send.day_cap = 50;
            if (meet(fx, send, (enum mailworld_stage)stage, (enum way)way))
                doubtful[doubts++] = send;
        }
    assert_true(doubts >= 5); /* the dot, in five ways */
    unsigned seen = dots(fx) - first;
    /* What is in doubt is looked for, never sent again, and ends. */
    fx->coord->jump_ms += 49 * FLZ_HOUR_MS;
    for (size_t i = 0; i < doubts; i++) {
        WAIT_FOR(fx, 40000, receipt(fx, &doubtful[i], 1));
        assert_int_equal(receipt(fx, &doubtful[i], 1)->outcome, FLZ_OUTCOME_INDETERMINATE);
    }
    assert_int_equal(dots(fx) - first, seen);
    no_violation(fx);
    stop_node(fx);
}

/* "5.7.515" and the like: the account begins nothing more, before any pause has come. */
static void account_told_to_stop_stops_at_once(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    mailworld_faults(fx->world, (struct mailworld_faults){
                                    .drop_at = MAILWORLD_DOT,
                                    .times = 1,
                                    .reply = "550 5.7.515 Access denied, sending domain\r\n"});
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_REJECTED, FLZ_REASON_SPAM_BLOCK);
    assert_int_equal(got.refusal, FLZ_REFUSAL_STOP);
    assert_string_equal(got.rule, "stop-unauthenticated");
    struct flz_task next = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &next, 1);
    coordfake_run(fx->coord, 1500);
    assert_null(receipt(fx, &next, 0));
    assert_int_equal(dots(fx), 1);
    /* The others of this node go on. */
    got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, BOB, ADA));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static bool refused(const struct fx *fx, const char *address, uint32_t tries)
{
    const struct flz_probe *probe = coordfake_probe(fx->coord, address);
    return probe && !probe->login_ok && probe->tries == tries;
}

static void a_refused_login_is_told_at_once_and_tried_thrice(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument who[] = {argument("account", ADA)};
    char said[128];
    fx->coord->rate_milli = FAST_RATE;
    mailworld_faults(fx->world, (struct mailworld_faults){.refuse_login = true});
    take_both(fx);
    WAIT_FOR(fx, 5000, refused(fx, ADA, 1));
    const struct flz_probe *probe = coordfake_probe(fx->coord, ADA);
    (void)snprintf(said, sizeof said, "SMTP 127.0.0.1:%u: auth: 535 5.7.8 authentication failed",
                   mailworld_smtp_port(fx->world));
    assert_string_equal(probe->text, said);
    assert_true(probe->next_at > probe->at);
    assert_int_equal(ask(fx, "account show", who, 1, "", &json), ADMIN_OK);
    assert_non_null(strstr(flz_buf_str(&json), said));

    WAIT_FOR(fx, 10000, refused(fx, ADA, 3) && refused(fx, BOB, 3));
    assert_int_equal(coordfake_probe(fx->coord, ADA)->next_at, 0);
    mailworld_faults(fx->world, (struct mailworld_faults){.times = 0});
    coordfake_run(fx->coord, 3000);
    assert_int_equal(mailworld_counts(fx->world).logins, 6);
    assert_int_equal(ask(fx, "account retry", who, 1, "", NULL), ADMIN_OK);
    WAIT_FOR(fx, 5000, probed(fx, ADA));
    assert_int_equal(coordfake_probe(fx->coord, ADA)->tries, 0);
    stop_node(fx);
}

static void googles_servers_get_no_password_whatever_they_are_called(void **state)
{
    struct fx *fx = *state;
    take_both(fx);
    WAIT_FOR(fx, 5000, refused(fx, ADA, 0) && refused(fx, BOB, 0));
    assert_non_null(strstr(coordfake_probe(fx->coord, ADA)->text,
                           "certificate is of google.com: Gmail and Google Workspace are not"));
    assert_int_equal(mailworld_counts(fx->world).logins, 0);
    stop_node(fx);
}

static void a_server_that_was_away_is_asked_again_soon(void **state)
{
    struct fx *fx = *state;
    fx->coord->rate_milli = FAST_RATE; /* a probe each 43 s when nothing is amiss */
    mailworld_faults(fx->world, (struct mailworld_faults){.drop_at = MAILWORLD_AUTH, .times = 2});
    take_both(fx);
    WAIT_FOR(fx, 5000, coordfake_probe(fx->coord, ADA));
    assert_true(refused(fx, ADA, 0));
    assert_true(coordfake_probe(fx->coord, ADA)->next_at > coordfake_probe(fx->coord, ADA)->at);
    WAIT_FOR(fx, 10000, probed(fx, ADA) && probed(fx, BOB));
    stop_node(fx);
}

static void third_refused_login_is_the_last(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    settle_in(fx);
    fx->coord->rate_milli = FAST_RATE; /* refused logins wait for the network's minutes */
    coordfake_run(fx->coord, 500);
    WAIT_FOR(fx, 5000, probed(fx, ADA));
    unsigned before = mailworld_counts(fx->world).logins;
    mailworld_faults(fx->world, (struct mailworld_faults){.refuse_login = true});
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.not_after = coordfake_now(fx->coord) + 2 * FLZ_HOUR_MS;
    coordfake_order(fx->coord, &send, 1);
    WAIT_FOR(fx, 30000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_EXPIRED, FLZ_REASON_LOGIN);
    coordfake_run(fx->coord, 3000);
    assert_int_equal(mailworld_counts(fx->world).logins, before + 3);
    assert_int_equal(ask(fx, "account ls", NULL, 0, "", &json), ADMIN_OK);
    assert_non_null(strstr(flz_buf_str(&json), "needs_auth"));
    /* A person mends it. */
    mailworld_faults(fx->world, (struct mailworld_faults){.times = 0});
    struct flz_argument who[] = {argument("account", ADA)};
    assert_int_equal(ask(fx, "account retry", who, 1, "", NULL), ADMIN_OK);
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

/* Six accounts at one provider; the servers of all refuse for far longer than three tries take. */
static void a_providers_bad_hour_costs_no_account_its_login(void **state)
{
    struct fx *fx = *state;
    char rows[4096] = "";
    struct stat st;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    static const char *const others[] = {"cyd@c.test", "dan@d.test", "eve@e.test", "fay@f.test"};
    const char *all[] = {ADA, BOB, others[0], others[1], others[2], others[3]};
    size_t accounts[6] = {fx->ada, fx->bob};
    for (size_t i = 2; i < 6; i++)
        accounts[i] = mailworld_add(fx->world, all[i]);
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0);
    WAIT_FOR(fx, 5000, stat(path_of(fx, "node.sock"), &st) == 0);
    for (size_t i = 0; i < 6; i++)
        (void)strcat(rows, row(fx, all[i], accounts[i]));
    assert_int_equal(import(fx, rows, NULL), ADMIN_OK);
    for (size_t i = 0; i < 6; i++)
        WAIT_FOR(fx, 20000, probed(fx, all[i]));
    fx->coord->rate_milli = FAST_RATE; /* an hour in 3.6 s */
    coordfake_run(fx->coord, 500);

    unsigned before = mailworld_counts(fx->world).logins;
    mailworld_faults(fx->world, (struct mailworld_faults){.refuse_login = true});
    for (size_t i = 0; i < 6; i++) {
        struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, all[i], all[(i + 1) % 6]);
        coordfake_order(fx->coord, &send, 1);
    }
    WAIT_FOR(fx, 10000, log_has(fx, "provider_incident "));
    coordfake_run(fx->coord, 9000); /* two and a half hours */
    unsigned tried = mailworld_counts(fx->world).logins - before;
    assert_true(tried > 6 && tried < 6 + 2 + 8); /* and few of them ask meanwhile */
    assert_int_equal(ask(fx, "account ls", NULL, 0, "", &json), ADMIN_OK);
    assert_null(strstr(flz_buf_str(&json), "\"state\":\"needs_auth\""));
    assert_non_null(strstr(flz_buf_str(&json), "provider incident, "));

    /* It is over: all go on, and nobody was asked for anything. */
    fx->coord->probes_count = 0;
    mailworld_faults(fx->world, (struct mailworld_faults){.times = 0});
    for (size_t i = 0; i < 6; i++)
        WAIT_FOR(fx, 20000, probed(fx, all[i]));
    assert_true(log_has(fx, "provider_incident_over"));
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

/* Has the node read a providers file with this entry of an unknown provider? */
static void reload(struct fx *fx, const char *unknown, const char *event)
{
    char text[1024];
    unsigned before = log_count(fx, event);
    (void)snprintf(text, sizeof text, "providers:\n  unknown:\n%sreplies: []\n", unknown);
    write_file(fx, "providers.yaml", text);
    (void)kill(fx->node, SIGHUP);
    WAIT_FOR(fx, 5000, log_count(fx, event) > before);
}

static void providers_are_read_anew_while_it_runs(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    settle_in(fx);
    reload(fx, "    policy: allow\n    shape: {account: {hour: 2}, messages: 1}\n",
           "providers_reloaded");
    struct flz_task sends[3];
    for (size_t i = 0; i < 3; i++)
        sends[i] = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    unsigned sessions = mailworld_counts(fx->world).connections;
    coordfake_order(fx->coord, sends, 3);
    WAIT_FOR(fx, 10000, dots(fx) == 2);
    coordfake_run(fx->coord, 3000);
    assert_int_equal(dots(fx), 2);
    assert_int_equal(mailworld_counts(fx->world).connections, sessions + 2);

    /* A mistake changes nothing, and is told where it is. */
    reload(fx, "    policy: allow\n    shape: {acount: {hour: 9}}\n", "providers_not_reloaded");
    coordfake_run(fx->coord, 1000);
    assert_int_equal(dots(fx), 2);
    (void)ask(fx, "status", NULL, 0, "", &json);
    assert_non_null(strstr(flz_buf_str(&json), "providers.yaml:4:"));

    reload(fx, "    policy: allow\n", "providers_reloaded");
    WAIT_FOR(fx, 10000, dots(fx) == 3);

    reload(fx, "    policy: deny\n", "providers_reloaded");
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_POLICY);
    assert_int_equal(dots(fx), 3);
    stop_node(fx);
}

static void a_test_tells_stage_by_stage_what_works(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument who[] = {argument("account", ADA)};
    settle_in(fx);
    assert_int_equal(ask(fx, "account test", who, 1, "", &json), ADMIN_OK);
    const char *at = flz_buf_str(&json);
    static const char *const said[] = {
        "DNS",         "mail.a.test",   "SMTP TCP",  "SMTP TLS",   "TLSv1.3",
        "/CN=FluenzR", "good until",    "SMTP EHLO", "AUTH PLAIN", "SMTP AUTH",
        "SMTP MAIL",   "SMTP RSET",     "IMAP TLS",  "IMAP login", "folders",
        "Sent: Sent",  "FluenzR (made", "Junk",      "quota",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) { /* in this order */
        at = strstr(at, said[i]);
        if (!at)
            fail_msg("no %s: %s", said[i], flz_buf_str(&json));
    }
    assert_int_equal(dots(fx), 0);
    no_violation(fx);

    /* One server's refusal does not hide the other's health, and is told in its words. */
    flz_buf_deinit(&json);
    mailworld_faults(fx->world, (struct mailworld_faults){.drop_at = MAILWORLD_MAIL,
                                                          .times = 1,
                                                          .reply = "553 5.7.1 not yours\r\n"});
    assert_int_equal(ask(fx, "account test", who, 1, "", &json), ADMIN_FAILED);
    assert_non_null(strstr(flz_buf_str(&json), "553 5.7.1 not yours"));
    assert_non_null(strstr(flz_buf_str(&json), "\"quota\""));

    /* It counts for nothing else: a login it finds refused is not charged to the account. */
    flz_buf_deinit(&json);
    mailworld_faults(fx->world,
                     (struct mailworld_faults){.refuse_login = true, .refuse_imap_login = true});
    assert_int_equal(ask(fx, "account test", who, 1, "", &json), ADMIN_FAILED);
    assert_non_null(strstr(flz_buf_str(&json), "535 5.7.8 authentication failed"));
    assert_non_null(strstr(flz_buf_str(&json), "[AUTHENTICATIONFAILED] wrong"));
    flz_buf_deinit(&json);
    assert_int_equal(ask(fx, "account show", who, 1, "", &json), ADMIN_OK);
    assert_non_null(strstr(flz_buf_str(&json), "\"login_failures\":0"));
    stop_node(fx);
}

static void servers_are_found_by_dns_and_by_the_table(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument who[] = {argument("address", "New@C.test")};
    take_both(fx);
    assert_int_equal(ask(fx, "account discover", who, 1, "", &json), ADMIN_OK);
    static const char *const said[] = {
        "\"mx\":\"mail.c.test\"",
        "\"provider\":\"unknown\"",
        "\"smtp\":\"smtp://mail.example.test:587\"",
        "\"smtp_by\":\"srv\"",
        "\"imap\":\"imaps://mail.example.test:993\"",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (!strstr(flz_buf_str(&json), said[i]))
            fail_msg("no %s: %s", said[i], flz_buf_str(&json));

    /* Without name servers the table is all there is, and the call ends all the same. */
    flz_buf_deinit(&json);
    mailworld_dns(fx->world, NULL, true);
    struct flz_argument other[] = {argument("address", "new@d.test")};
    assert_int_equal(ask(fx, "account discover", other, 1, "", &json), ADMIN_OK);
    assert_non_null(strstr(flz_buf_str(&json), "\"smtp\":\"\""));
    assert_int_equal(ask(fx, "account discover", NULL, 0, "", NULL), ADMIN_USAGE);
    stop_node(fx);
}

static void owners_are_given_rules_of_their_own(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument who[] = {argument("account", ADA)};
    char header[128];
    take_both(fx);
    assert_int_equal(ask(fx, "account filter", who, 1, "", &json), ADMIN_OK);
    (void)snprintf(header, sizeof header, "header :contains \\\"X-FluenzR\\\" \\\"net=%s\\\"",
                   flz_id_str(fx->coord->network));
    assert_non_null(strstr(flz_buf_str(&json), header));
    stop_node(fx);
}

static void good_smtp_hides_no_refusing_imap(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    fx->coord->rate_milli = FAST_RATE;
    coordfake_run(fx->coord, 500);
    mailworld_faults(fx->world, (struct mailworld_faults){.refuse_imap_login = true});
    struct flz_task find = task(fx, FLZ_TASK_FIND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &find, 1);
    WAIT_FOR(fx, 20000, mailworld_counts(fx->world).imap_refused >= 1);
    for (int i = 0; i < 16 && mailworld_counts(fx->world).imap_refused <= 6; i++) {
        struct flz_task tasks[] = {task(fx, FLZ_TASK_SEND, coordfake_id(), 0, BOB, ADA),
                                   task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB),
                                   task(fx, FLZ_TASK_FIND, coordfake_id(), 0, ADA, BOB),
                                   task(fx, FLZ_TASK_FIND, coordfake_id(), 0, BOB, ADA)};
        coordfake_order(fx->coord, tasks, 4);
        coordfake_run(fx->coord, 700);
    }
    assert_true(mailworld_counts(fx->world).imap_refused <= 6); /* three of each account */
    stop_node(fx);
}

static void lease_that_lapses_means_silence(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    fx->coord->lease_ms = 1500;
    coordfake_run(fx->coord, 500);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.not_before = coordfake_now(fx->coord) + 3 * LAB_RATE; /* in three seconds */
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 300);
    fx->coord->deaf = true;
    coordfake_run(fx->coord, 5000);
    assert_int_equal(dots(fx), 0);
    fx->coord->deaf = false;
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static void refused_node_is_silent_at_once(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    /* Its lease runs for a quarter of an hour yet. */
    fx->coord->refuses = true;
    struct flz_welcome no = {.header = coordfake_header(fx->coord),
                             .incarnation = fx->coord->incarnation};
    coordfake_send(fx->coord, FLZ_KIND_WELCOME, &flz_codec_welcome, &no, &fx->coord->issuer);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 2000);
    assert_int_equal(mailworld_counts(fx->world).mails, 0);
    /* It says hello again and again, and is told another reason: each is logged once. */
    unsigned hellos = fx->coord->hellos;
    WAIT_FOR(fx, 20000, fx->coord->hellos >= hellos + 3);
    coordfake_run(fx->coord, 200);
    assert_int_equal(log_count(fx, "refused_by_coordinator"), 2);
    assert_int_equal(log_count(fx, "this node was revoked"), 1);
    stop_node(fx);
}

static void paused_account_waits(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    fx->coord->pause = (struct flz_pause){.scope = FLZ_SCOPE_ACCOUNT,
                                          .account = coordfake_account(fx->coord, ADA)->id};
    coordfake_run(fx->coord, 400);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 3000);
    assert_int_equal(mailworld_counts(fx->world).mails, 0);
    assert_null(receipt(fx, &send, 0));
    fx->coord->pause.scope = 0;
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static unsigned set_blackout(struct fx *fx, const char *dates, struct flz_buf *json)
{
    struct flz_argument arguments[] = {argument("account", ADA), argument("blackout", dates)};
    return ask(fx, "account set", arguments, 2, "", json);
}

/* The node itself holds to the days off that its owner named, whatever is ordered. */
static void nothing_is_sent_on_a_day_off(void **state)
{
    struct fx *fx = *state;
    char first[FLZ_TIME_TEXT_MAX], last[FLZ_TIME_TEXT_MAX], dates[80];
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    settle_in(fx);
    int32_t today = (int32_t)(coordfake_now(fx->coord) / FLZ_DAY_MS);
    flz_date_format(today - 1, first);
    flz_date_format(today + 2, last);
    (void)snprintf(dates, sizeof dates, "%s..%s", first, last);
    assert_int_equal(set_blackout(fx, dates, NULL), ADMIN_OK);
    WAIT_FOR(fx, 5000, coordfake_account(fx->coord, ADA)->days_off.away[0].first == today - 1);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB)),
           FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_SLOT);
    assert_int_equal(mailworld_counts(fx->world).mails, 0);

    /* A file that has no such column leaves it as it is. */
    assert_int_equal(import(fx, row(fx, ADA, fx->ada), NULL), ADMIN_OK);
    assert_int_equal(coordfake_account(fx->coord, ADA)->days_off.away[0].last, today + 2);
    assert_int_equal(set_blackout(fx, "tomorrow", &json), ADMIN_USAGE);
    assert_non_null(strstr(flz_buf_str(&json), "no range of dates"));
    struct flz_argument who[] = {argument("account", ADA)};
    assert_int_equal(ask(fx, "account set", who, 1, "", NULL), ADMIN_USAGE);

    assert_int_equal(set_blackout(fx, "none", NULL), ADMIN_OK);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB)),
           FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static void cap_of_the_day_holds_at_the_node(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task one = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    one.day_cap = 1;
    expect(fx, do_task(fx, one), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    kill_node(fx); /* the count is kept */
    start_node(fx);
    struct flz_task two = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    two.day_cap = 1;
    unsigned beats = fx->coord->heartbeats;
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > beats + 2);
    expect(fx, do_task(fx, two), FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_CAP);
    assert_int_equal(dots(fx), 1);
    stop_node(fx);
}

static void repeated_and_forged_frames_do_nothing(void **state)
{
    struct fx *fx = *state;
    struct coordfake *coord = fx->coord;
    settle_in(fx);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    struct flz_view certificate = flz_buf_view(&coord->node_certificate);
    struct flz_tasks good = {.header = coordfake_header(coord),
                             .tasks = &send,
                             .tasks_count = 1,
                             .certificates = &certificate,
                             .certificates_count = 1};
    /* Wrong in one way each: nothing may come of them. */
    struct keys_sign_pair stranger = KEYS_SIGN_NULL;
    assert_int_equal(keys_sign_generate(&stranger), 0);
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &good, &stranger);
    struct keys_sign_pair liar = stranger; /* under the coordinator's name */
    liar.public_key = coord->issuer.public_key;
    liar.id = coord->issuer.id;
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &good, &liar);
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &good, &coord->admin);
    coordfake_send(coord, FLZ_KIND_REPORTS, &flz_codec_tasks, &good, &coord->issuer);
    struct flz_tasks bad = good;
    bad.header.network = coordfake_id();
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &bad, &coord->issuer);
    bad = good;
    bad.header.node = coordfake_id();
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &bad, &coord->issuer);
    bad = good;
    bad.header.epoch = 0;
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &bad, &coord->issuer);
    bad = good;
    bad.header.epoch = 9; /* a new epoch is opened by a WELCOME only */
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &bad, &coord->issuer);
    bad = good;
    bad.header.generation = coordfake_id();
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &bad, &coord->issuer);
    bad = good;
    bad.header.seq = 1;
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &bad, &coord->issuer);
    keys_sign_deinit(&stranger);
    coordfake_run(coord, 1500);
    assert_null(receipt(fx, &send, 0));
    assert_int_equal(dots(fx), 0);

    good.header = coordfake_header(coord);
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &good, &coord->issuer);
    coordfake_send(coord, FLZ_KIND_TASKS, &flz_codec_tasks, &good, &coord->issuer);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    coordfake_order(coord, &send, 1);
    coordfake_run(coord, 1500);
    assert_int_equal(dots(fx), 1);
    assert_null(receipt(fx, &send, 1));
    stop_node(fx);
}

static void stranger_is_never_written_to(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    /* A coordinator's valid signature on the mail header is not enough. */
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    (void)snprintf(send.to, sizeof send.to, "victim@elsewhere.test");
    coordfake_sign_mail(fx->coord, &send);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_DECLINED, FLZ_REASON_NO_ATTESTATION);
    send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.mail_signature.b[5] ^= 1;
    expect(fx, do_task(fx, send), FLZ_OUTCOME_DECLINED, FLZ_REASON_PROTOCOL);
    send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.account = coordfake_id();
    expect(fx, do_task(fx, send), FLZ_OUTCOME_DECLINED, FLZ_REASON_UNKNOWN_ACCOUNT);
    send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    memset(&send.pack, 7, sizeof send.pack);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_DECLINED, FLZ_REASON_CONTENT);
    assert_int_equal(dots(fx), 0);
    stop_node(fx);
}

static void domain_that_refuses_is_heeded(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    kill_node(fx); /* what DNS said is forgotten */
    mailworld_dns(fx->world, "b.test", false);
    start_node(fx);
    unsigned beats = fx->coord->heartbeats;
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > beats + 2);
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_POLICY);
    assert_int_equal(dots(fx), 0);
    stop_node(fx);
}

static void dead_dns_makes_no_logins(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    kill_node(fx);
    mailworld_dns(fx->world, NULL, true);
    start_node(fx);
    unsigned beats = fx->coord->heartbeats;
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > beats + 2);
    unsigned before = mailworld_counts(fx->world).connections;
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 3000);
    assert_int_equal(mailworld_counts(fx->world).connections, before);
    assert_null(receipt(fx, &send, 0));
    stop_node(fx);
}

static void lost_journal_is_a_new_incarnation(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_id old = fx->coord->incarnation;
    stop_node(fx);
    (void)nftw(path_of(fx, "state/journal"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    unsigned hellos = fx->coord->hellos;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->hellos > hellos);
    assert_false(flz_id_equal(old, fx->coord->incarnation));
    assert_int_equal(fx->coord->hello.report_seq, 0);
    stop_node(fx);
}

static void restored_coordinator_is_told_again(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
    /* A backup from before the receipt, with an epoch of its own and another generation. */
    uint64_t acked = fx->coord->acked;
    fx->coord->acked = acked - 1;
    fx->coord->receipts_count = 0;
    fx->coord->epoch = 1;
    fx->coord->generation = coordfake_id();
    fx->coord->seq = 0;
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->acked >= acked);
    unsigned beats = fx->coord->heartbeats;
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > beats + 2);
    struct flz_task again = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    expect(fx, do_task(fx, again), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static void sends_of_a_log_given_up_never_leave(void **state)
{
    struct fx *fx = *state;
    static const char voucher[] = "to be handed back as it is";
    settle_in(fx);
    unsigned before = dots(fx);
    struct flz_id x = coordfake_id();
    struct flz_task send = task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB);
    struct flz_task find = task(fx, FLZ_TASK_FIND, coordfake_id(), 0, ADA, BOB);
    send.not_before = find.not_before = send.not_after - FLZ_MINUTE_MS;
    send.voucher = flz_view_str(voucher);
    coordfake_order(fx->coord, &send, 1);
    coordfake_order(fx->coord, &find, 1);
    coordfake_run(fx->coord, 1000);
    stop_node(fx);
    fx->coord->generation = coordfake_id();
    fx->coord->seq = 0;
    start_node(fx);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_RESTORED);
    assert_string_equal(flz_buf_str(&fx->coord->voucher), voucher);
    assert_int_equal(dots(fx), before);
    /* What left is still to be found: looks go on. */
    assert_null(receipt(fx, &find, 0));
    assert_int_equal(fx->coord->hello.open_count, 2);
    /* The next log's own sends leave. */
    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB)), FLZ_OUTCOME_SENT,
           FLZ_REASON_NONE);
    stop_node(fx);
}

static void unacknowledged_reports_survive_a_kill(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    fx->coord->keeps_reports = true;
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &send, 1);
    WAIT_FOR(fx, 20000, mailworld_counts(fx->world).accepted == 1);
    coordfake_run(fx->coord, 500);
    kill_node(fx);
    fx->coord->keeps_reports = false;
    start_node(fx);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    assert_int_equal(dots(fx), 1);
    stop_node(fx);
}

static void removed_account_is_released_and_forgotten(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    settle_in(fx);
    struct flz_argument who[] = {argument("account", ADA)};
    assert_int_equal(ask(fx, "account rm", who, 1, "", NULL), ADMIN_OK);
    WAIT_FOR(fx, 20000, fx->coord->releases == 1);
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_DECLINED, FLZ_REASON_UNKNOWN_ACCOUNT);
    assert_int_equal(ask(fx, "account ls", NULL, 0, "", &json), ADMIN_OK);
    assert_null(strstr(flz_buf_str(&json), ADA));
    stop_node(fx);
}

/* What spoke against it may be over when the order comes again; its receipt says that it was not
 * done, so it stays undone. */
static void declined_order_that_comes_again_is_not_carried_out(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.mail_signature.b[5] ^= 1;
    expect(fx, do_task(fx, send), FLZ_OUTCOME_DECLINED, FLZ_REASON_PROTOCOL);
    send.mail_signature.b[5] ^= 1;
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 1500);
    assert_null(receipt(fx, &send, 1));
    stop_node(fx);
    start_node(fx);
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 1500);
    assert_null(receipt(fx, &send, 1));
    assert_int_equal(dots(fx), 0);
    stop_node(fx);
}

static void stop_waits_for_what_is_behind_its_dot(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task sends[8];
    for (size_t i = 0; i < 8; i++)
        sends[i] = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, i % 2 ? ADA : BOB, i % 2 ? BOB : ADA);
    coordfake_order(fx->coord, sends, 8);
    WAIT_FOR(fx, 20000, dots(fx) > 0);
    stop_node(fx);
    struct mailworld_counts counts = mailworld_counts(fx->world);
    assert_int_equal(counts.dots, counts.accepted);
    start_node(fx);
    for (size_t i = 0; i < 8; i++) {
        WAIT_FOR(fx, 20000, receipt(fx, &sends[i], 0));
        assert_true(receipt(fx, &sends[i], 0)->outcome == FLZ_OUTCOME_SENT ||
                    receipt(fx, &sends[i], 0)->outcome == FLZ_OUTCOME_WITHDRAWN);
    }
    stop_node(fx);
}

static void a_message_is_acted_on_once_whatever_its_tasks_are_called(void **state)
{
    struct fx *fx = *state;
    struct flz_id x = coordfake_id(), late = coordfake_id();
    settle_in(fx);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB)), FLZ_OUTCOME_SENT,
           FLZ_REASON_NONE);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB)), FLZ_OUTCOME_DECLINED,
           FLZ_REASON_REPEATED);
    struct flz_task open = task(fx, FLZ_TASK_OPEN, x, 0, ADA, BOB);
    expect(fx, do_task(fx, open), FLZ_OUTCOME_DONE, FLZ_REASON_NONE);
    stop_node(fx);
    start_node(fx);
    unsigned heartbeats = fx->coord->heartbeats;
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > heartbeats);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_OPEN, x, 0, ADA, BOB)), FLZ_OUTCOME_DECLINED,
           FLZ_REASON_REPEATED);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB)), FLZ_OUTCOME_DECLINED,
           FLZ_REASON_REPEATED);
    assert_int_equal(dots(fx), 1);
    /* What ended without an act may be tried once more. */
    struct flz_task expires = task(fx, FLZ_TASK_OPEN, late, 0, ADA, BOB);
    expires.not_after = coordfake_now(fx->coord) + FLZ_MINUTE_MS;
    expect(fx, do_task(fx, expires), FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT);
    struct flz_task again = task(fx, FLZ_TASK_OPEN, late, 0, ADA, BOB);
    again.not_after = coordfake_now(fx->coord) + FLZ_MINUTE_MS;
    expect(fx, do_task(fx, again), FLZ_OUTCOME_EXPIRED, FLZ_REASON_SLOT);
    no_violation(fx);
    stop_node(fx);
}

/* Lets this account's owner agree to these actions. */
static void agree(struct fx *fx, const char *address, size_t account, const char *actions)
{
    char body[1024];
    struct flz_argument arguments[] = {argument("consent-by", "the owner"),
                                       argument("consent", actions)};
    (void)snprintf(body, sizeof body, "address,smtp,imap,user,password,hours,days\n%s",
                   row(fx, address, account));
    assert_int_equal(ask(fx, "account import", arguments, 2, body, NULL), ADMIN_OK);
}

static unsigned sweeps_of(const struct fx *fx, struct flz_id account)
{
    char line[4096];
    unsigned n = 0;
    FILE *file = fopen(path_of(fx, "log"), "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        n += strstr(line, "mailbox_swept") && strstr(line, flz_id_str(account));
    (void)fclose(file);
    return n;
}

/* A message from ADA to BOB that both have filed. */
static void file_one(struct fx *fx)
{
    static struct flz_text all[1];
    struct flz_id x = coordfake_id();
    mailworld_faults(fx->world, (struct mailworld_faults){.copy_to_sent = true});
    struct flz_task send = task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    memcpy(all[0].text, send.message_id, sizeof all[0].text);
    struct flz_task tidy[] = {task(fx, FLZ_TASK_TIDY, x, 0, BOB, ADA),
                              task(fx, FLZ_TASK_TIDY, x, 1, ADA, BOB)};
    for (size_t i = 0; i < 2; i++) {
        tidy[i].references = all;
        tidy[i].references_count = 1;
        expect(fx, do_task(fx, tidy[i]), FLZ_OUTCOME_DONE, FLZ_REASON_NONE);
    }
}

/* Has both accounts probed, by a visit each. */
static void visit_both(struct fx *fx)
{
    unsigned probes = fx->coord->probes_count;
    struct flz_argument ada[] = {argument("account", ADA)}, bob[] = {argument("account", BOB)};
    assert_int_equal(ask(fx, "account retry", ada, 1, "", NULL), ADMIN_OK);
    assert_int_equal(ask(fx, "account retry", bob, 1, "", NULL), ADMIN_OK);
    WAIT_FOR(fx, 20000, fx->coord->probes_count >= probes + 2);
}

static void jump_to(struct fx *fx, int64_t ms)
{
    unsigned heartbeats = fx->coord->heartbeats;
    fx->coord->jump_ms = ms;
    WAIT_FOR(fx, 5000, fx->coord->heartbeats > heartbeats + 2);
}

static void filed_messages_go_after_14_days_if_the_owner_agreed(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    agree(fx, ADA, fx->ada, "send,open,reply,move,delete");
    agree(fx, BOB, fx->bob, "send,open,reply,move");
    struct flz_id ada = coordfake_account(fx->coord, ADA)->id;
    struct flz_id bob = coordfake_account(fx->coord, BOB)->id;
    file_one(fx);
    mailworld_deliver(fx->world, fx->ada, "FluenzR",
                      "From: a@x.test\r\nSubject: foreign\r\nMessage-ID: <1@x.test>\r\n\r\n");
    jump_to(fx, 13 * FLZ_DAY_MS);
    unsigned before = sweeps_of(fx, ada);
    visit_both(fx);
    assert_int_equal(sweeps_of(fx, ada), before + 1);
    assert_int_equal(mailworld_count(fx->world, fx->ada, "FluenzR", "X-FluenzR"), 1);
    jump_to(fx, 14 * FLZ_DAY_MS + FLZ_HOUR_MS);
    visit_both(fx);
    visit_both(fx);
    assert_int_equal(sweeps_of(fx, ada), before + 2); /* once a day */
    assert_int_equal(mailworld_count(fx->world, fx->ada, "FluenzR", "X-FluenzR"), 0);
    assert_int_equal(mailworld_count(fx->world, fx->ada, "FluenzR", "foreign"), 1);
    assert_int_equal(mailworld_count(fx->world, fx->bob, "FluenzR", "X-FluenzR"), 1);
    assert_int_equal(sweeps_of(fx, bob), 0);
    no_violation(fx);
    stop_node(fx);
}

/* A delivery report into an account's INBOX: by these ids, of this recipient. */
static void put_bounce(struct fx *fx, size_t account, const char *envelope_id, const char *header,
                       const char *recipient, const char *words)
{
    char text[4096];
    (void)snprintf(text, sizeof text,
                   "From: MAILER-DAEMON@a.test\r\nSubject: Undelivered\r\n"
                   "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                   "\tboundary=\"b\"\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
                   "Reporting-MTA: dns; mx.a.test\r\n%s%s%s\r\n"
                   "Final-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: 5.0.0\r\n"
                   "Diagnostic-Code: smtp; %s\r\n\r\n--b\r\n"
                   "Content-Type: text/rfc822-headers\r\n\r\n%s\r\n--b--\r\n",
                   envelope_id[0] ? "Original-Envelope-Id: " : "", envelope_id,
                   envelope_id[0] ? "\r\n" : "", recipient, words, header);
    mailworld_deliver(fx->world, account, "INBOX", text);
}

/* The X-FluenzR that a message left with; `forged`: with another signature. */
static void header_of(const struct fx *fx, const struct flz_task *task, bool forged,
                      char *ret_header, size_t size)
{
    char value[XHEADER_VALUE_MAX];
    struct xheader x = {.network = fx->coord->network,
                        .exchange = task->exchange,
                        .step = task->turn,
                        .time_ms = task->mail_time,
                        .expiry_ms = task->expires,
                        .key = task->mail_key,
                        .signature = task->mail_signature};
    assert_int_equal(flz_text_copy(x.message_id, sizeof x.message_id, task->message_id), 0);
    x.signature.b[0] ^= forged;
    assert_int_equal(xheader_format(&x, value), 0);
    (void)snprintf(ret_header, size, "X-FluenzR: %s\r\n", value);
}

static const struct flz_notice *notice(const struct fx *fx, unsigned n, uint32_t kind)
{
    const struct flz_report *report = &fx->coord->notices[n];
    assert_true(fx->coord->notices_count > n);
    assert_int_equal(report->kind, kind);
    return &report->notice;
}

static void only_reports_of_messages_that_were_ordered_are_heeded(void **state)
{
    struct fx *fx = *state;
    char header[2048];
    settle_in(fx);
    struct flz_id x = coordfake_id();
    struct flz_task send = task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    /* Forged: ids of nobody, another network's header; and the right one in another's mailbox. */
    put_bounce(fx, fx->ada, flz_id_str(coordfake_id()), "Message-ID: <forged@a.test>\r\n", BOB,
               "550 5.1.1 no such user");
    put_bounce(fx, fx->ada, "",
               "X-FluenzR: v=1; net=000102030405060708090a0b0c0d0e0f;\r\n"
               " x=101112131415161718191a1b1c1d1e1f; n=0; t=1; e=2; m=a@a.test; k=0011223344556677;"
               "\r\n s=AAAA\r\nMessage-ID: <a@a.test>\r\n", BOB, "550 5.1.1 no such user");
    header_of(fx, &send, true, header, sizeof header);
    put_bounce(fx, fx->ada, "", header, BOB, "550 5.1.1 no such user");
    put_bounce(fx, fx->bob, flz_id_str(send.id), "", BOB, "550 5.1.1 no such user");
    mailworld_deliver(fx->world, fx->ada, "INBOX",
                      "From: a@x.test\r\nContent-Type: text/plain\r\nSubject: private\r\n\r\n");
    visit_both(fx);
    coordfake_run(fx->coord, 300);
    assert_int_equal(fx->coord->notices_count, 0);

    (void)snprintf(header, sizeof header, "Message-ID: <%s>\r\n", send.message_id);
    put_bounce(fx, fx->ada, "", header, "BOB@b.test",
               "550 5.1.1 <bob@b.test>: User unknown in virtual mailbox table");
    visit_both(fx);
    WAIT_FOR(fx, 5000, fx->coord->notices_count == 1);
    const struct flz_notice *got = notice(fx, 0, FLZ_REPORT_BOUNCE);
    assert_true(flz_id_equal(got->exchange, x));
    assert_true(flz_id_equal(got->account, send.account));
    assert_true(flz_id_equal(got->peer, send.peer_account));
    assert_int_equal(got->refusal, FLZ_REFUSAL_SUSPEND);
    assert_int_equal(got->reason, FLZ_REASON_RECIPIENT);
    assert_int_equal(got->reply_code, 550);
    assert_string_equal(got->enhanced, "5.1.1");
    assert_string_equal(got->rule, "no-mailbox");
    assert_null(strstr(got->text, "bob@"));
    /* The same again, by another id of it: known. */
    put_bounce(fx, fx->ada, flz_id_str(send.id), "", BOB, "550 5.1.1 no such user");
    /* A machine answers it; a person does not count. */
    (void)snprintf(header, sizeof header,
                   "From: bob@b.test\r\nIn-Reply-To: <%s>\r\nSubject: Re\r\n\r\n", send.message_id);
    mailworld_deliver(fx->world, fx->ada, "INBOX", header);
    visit_both(fx);
    coordfake_run(fx->coord, 300);
    assert_int_equal(fx->coord->notices_count, 1);
    (void)snprintf(header, sizeof header,
                   "From: bob@b.test\r\nIn-Reply-To: <%s>\r\nAuto-Submitted: auto-replied\r\n"
                   "Subject: I am away\r\n\r\n",
                   send.message_id);
    mailworld_deliver(fx->world, fx->ada, "INBOX", header);
    visit_both(fx);
    WAIT_FOR(fx, 5000, fx->coord->notices_count == 2);
    got = notice(fx, 1, FLZ_REPORT_AUTOREPLY);
    assert_string_equal(got->text, "Auto-Submitted: auto-replied");
    assert_true(flz_id_equal(got->peer, send.peer_account));
    assert_int_equal(mailworld_count(fx->world, fx->ada, "INBOX", "Undelivered"), 5);
    no_violation(fx);
    stop_node(fx);
}

/* Complaints come to a mailbox of the node's own, whose messages of no account are read. */
static void complaints_come_to_the_feedback_mailbox(void **state)
{
    struct fx *fx = *state;
    char text[4096];
    int fd = open(path_of(fx, "node.yaml"), O_WRONLY | O_APPEND | O_CLOEXEC);
    size_t own = mailworld_add_own(fx->world, "fbl@a.test");
    write_file(fx, "fbl.password", IMAPFAKE_PASSWORD "\n");
    (void)snprintf(text, sizeof text,
                   "feedback:\n  imap: imaps://127.0.0.1:%u\n  user: " IMAPFAKE_USER "\n"
                   "  password_file: %s\n  every: 200ms\n",
                   mailworld_imap_port(fx->world, own), path_of(fx, "fbl.password"));
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
    settle_in(fx);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    mailworld_deliver(fx->world, own, "INBOX", "Subject: spam\r\n\r\nbuy\r\n");
    (void)snprintf(text, sizeof text,
                   "Content-Type: multipart/report; report-type=feedback-report; boundary=q\r\n\r\n"
                   "--q\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
                   "User-Agent: Loop/1.0\r\nReporting-MTA: dns; fbl.test\r\n"
                   "Original-Rcpt-To: redacted@b.test\r\n\r\n--q\r\n"
                   "Content-Type: text/rfc822-headers\r\n\r\nTo: [redacted]\r\n"
                   "Message-ID: <%s>\r\n\r\n--q--\r\n",
                   send.message_id);
    mailworld_deliver(fx->world, own, "INBOX", text);
    WAIT_FOR(fx, 5000, fx->coord->notices_count == 1);
    const struct flz_notice *got = notice(fx, 0, FLZ_REPORT_COMPLAINT);
    assert_true(flz_id_equal(got->account, send.account));
    assert_true(flz_id_equal(got->peer, send.peer_account));
    assert_string_equal(got->text, "abuse, told by Loop/1.0 fbl.test");
    assert_string_equal(mailworld_violation(fx->world, own), "");
    assert_int_equal(mailworld_count(fx->world, own, "INBOX", "Subject"), 1);
    assert_false(log_has(fx, IMAPFAKE_PASSWORD));
    stop_node(fx);
}

static void nobody_suppressed_is_written_to(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    fx->coord->suppressed = coordfake_account(fx->coord, BOB)->id;
    jump_to(fx, 0); /* some pulses later */
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_SUPPRESSED);
    assert_int_equal(dots(fx), 0);
    got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, BOB, ADA));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static void bounce_that_means_stop_stops_the_account(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    put_bounce(fx, fx->ada, flz_id_str(send.id), "", BOB,
               "550 5.7.515 Access denied, sending domain does not meet the requirements");
    visit_both(fx);
    WAIT_FOR(fx, 5000, fx->coord->notices_count == 1);
    assert_int_equal(notice(fx, 0, FLZ_REPORT_BOUNCE)->refusal, FLZ_REFUSAL_STOP);
    assert_true(log_has(fx, "account_stopped"));
    /* Of an address behind a forwarding nothing is learnt of the recipient's own. */
    send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, BOB, ADA);
    expect(fx, do_task(fx, send), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    char header[2048];
    header_of(fx, &send, false, header, sizeof header);
    put_bounce(fx, fx->bob, "", header, "elsewhere@c.test", "550 5.1.1 no such user");
    visit_both(fx);
    WAIT_FOR(fx, 5000, fx->coord->notices_count == 2);
    assert_int_equal(notice(fx, 1, FLZ_REPORT_BOUNCE)->refusal, FLZ_REFUSAL_SOFT);
    stop_node(fx);
}

static void a_paused_mailbox_is_not_swept(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    agree(fx, ADA, fx->ada, "send,open,reply,move,delete");
    struct flz_id ada = coordfake_account(fx->coord, ADA)->id;
    file_one(fx);
    unsigned before = sweeps_of(fx, ada);
    fx->coord->pause = (struct flz_pause){.scope = FLZ_SCOPE_ACCOUNT, .account = ada};
    jump_to(fx, 15 * FLZ_DAY_MS);
    visit_both(fx);
    assert_int_equal(sweeps_of(fx, ada), before);
    assert_int_equal(mailworld_count(fx->world, fx->ada, "FluenzR", "X-FluenzR"), 1);
    fx->coord->pause = (struct flz_pause){.scope = 0};
    jump_to(fx, 15 * FLZ_DAY_MS);
    visit_both(fx);
    assert_int_equal(mailworld_count(fx->world, fx->ada, "FluenzR", "X-FluenzR"), 0);
    stop_node(fx);
}

/* A send to a member that another node vouches for. */
static struct flz_receipt send_elsewhere(struct fx *fx, struct flz_id node)
{
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order_elsewhere(fx->coord, send, node);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    return *receipt(fx, &send, 0);
}

static void nobody_of_a_revoked_node_is_written_to(void **state)
{
    struct fx *fx = *state;
    struct flz_id n2 = coordfake_id(), n3 = coordfake_id();
    settle_in(fx);
    expect(fx, send_elsewhere(fx, n2), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    /* Accepted before, due after. */
    struct flz_task waits = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    waits.not_before = coordfake_now(fx->coord) + 10 * FLZ_MINUTE_MS;
    coordfake_order_elsewhere(fx->coord, waits, n2);
    coordfake_run(fx->coord, 300);
    assert_null(receipt(fx, &waits, 0));
    coordfake_revoke(fx->coord, n2, 1, &fx->coord->admin);
    WAIT_FOR(fx, 5000, fx->coord->heartbeat.revocation_version == 1);
    expect(fx, send_elsewhere(fx, n2), FLZ_OUTCOME_DECLINED, FLZ_REASON_REVOKED);
    WAIT_FOR(fx, 20000, receipt(fx, &waits, 0));
    expect(fx, *receipt(fx, &waits, 0), FLZ_OUTCOME_WITHDRAWN, FLZ_REASON_REVOKED);
    expect(fx, send_elsewhere(fx, n3), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    assert_int_equal(dots(fx), 2);

    /* It is remembered, whatever a coordinator says later; nor does one make a revocation. */
    stop_node(fx);
    start_node(fx);
    unsigned heartbeats = fx->coord->heartbeats;
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > heartbeats);
    assert_int_equal(fx->coord->heartbeat.revocation_version, 1);
    coordfake_revoke(fx->coord, n3, 2, &fx->coord->issuer);
    expect(fx, send_elsewhere(fx, n2), FLZ_OUTCOME_DECLINED, FLZ_REASON_REVOKED);
    expect(fx, send_elsewhere(fx, n3), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    assert_true(log_has(fx, "revocation_refused"));
    stop_node(fx);
}

static void without_all_revocations_nothing_is_sent(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    fx->coord->revocations = 1;
    unsigned heartbeats = fx->coord->heartbeats;
    WAIT_FOR(fx, 5000, fx->coord->heartbeats > heartbeats + 1);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    coordfake_order(fx->coord, &send, 1);
    coordfake_run(fx->coord, 1500);
    assert_null(receipt(fx, &send, 0));
    assert_int_equal(dots(fx), 0);
    coordfake_revoke(fx->coord, coordfake_id(), 1, &fx->coord->admin);
    WAIT_FOR(fx, 20000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

static void a_revoked_node_sends_nothing_itself(void **state)
{
    struct fx *fx = *state;
    settle_in(fx);
    coordfake_revoke(fx->coord, fx->coord->node, 1, &fx->coord->admin);
    WAIT_FOR(fx, 5000, fx->coord->heartbeat.revocation_version == 1);
    coordfake_order_elsewhere(fx->coord, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB),
                              coordfake_id());
    coordfake_run(fx->coord, 1500);
    assert_int_equal(dots(fx), 0);
    stop_node(fx);
}

/* ---- Accounts that sign in ---- */

/* A row without a password; both accounts are taken, and one of them waits for a person. */
static void settle_in_login(struct fx *fx)
{
    char body[2048];
    struct stat st;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument arguments[] = {argument("consent-by", "the owner")};
    start_node(fx);
    WAIT_FOR(fx, 20000, fx->coord->heartbeats > 0);
    WAIT_FOR(fx, 5000, stat(path_of(fx, "node.sock"), &st) == 0);
    (void)snprintf(body, sizeof body,
                   "address,provider,smtp,imap,user,password,hours,days\n"
                   "%s,lab,smtps://127.0.0.1:%u,imaps://127.0.0.1:%u,,,00:00-24:00,Mon-Sun\n"
                   "%s,,smtps://127.0.0.1:%u,imaps://127.0.0.1:%u," IMAPFAKE_USER
                   ",\"warm \"\"pass\\1\",00:00-24:00,Mon-Sun\n",
                   ADA, mailworld_smtp_port(fx->world), mailworld_imap_port(fx->world, fx->ada),
                   BOB, mailworld_smtp_port(fx->world), mailworld_imap_port(fx->world, fx->bob));
    if (ask(fx, "account import", arguments, 1, body, &json) != ADMIN_OK) {
        show_log(fx);
        fail_msg("the accounts were not taken: %s", flz_buf_str(&json));
    }
    assert_non_null(strstr(flz_buf_str(&json), "fluenzrctl account reauth " ADA));
    assert_null(strstr(flz_buf_str(&json), "fluenzrctl account reauth " BOB));
    WAIT_FOR(fx, 20000, probed(fx, BOB));
}

/* The value of a key in JSON of which the test knows that it holds no escapes. */
static char *value_of(struct flz_buf *json, const char *key)
{
    static char values[4][4096];
    static unsigned next;
    char *value = values[next++ % 4], mark[64];
    (void)snprintf(mark, sizeof mark, "\"%s\":", key);
    const char *at = strstr(flz_buf_str(json), mark);
    value[0] = '\0';
    at = at ? strchr(at + strlen(mark), '"') : NULL;
    if (at) {
        size_t len = strcspn(at + 1, "\"");
        assert_true(len < sizeof values[0]);
        memcpy(value, at + 1, len);
        value[len] = '\0';
    }
    return value;
}

static struct flz_argument begin_sign_in(struct fx *fx, const char *address, bool device)
{
    static char id[33];
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument arguments[] = {argument("account", address), argument("device", "yes")};
    if (ask(fx, "signin begin", arguments, device ? 2 : 1, "", &json) != ADMIN_OK)
        fail_msg("%s", flz_buf_str(&json));
    (void)snprintf(id, sizeof id, "%s", value_of(&json, "signin"));
    return argument("signin", id);
}

static const char *look(struct fx *fx, const struct flz_argument *id, const char *key)
{
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    assert_int_equal(ask(fx, "signin look", id, 1, "", &json), ADMIN_OK);
    return value_of(&json, key);
}

static unsigned paste(struct fx *fx, struct flz_argument id, const char *address)
{
    struct flz_argument arguments[] = {id, argument("address", address)};
    return ask(fx, "signin paste", arguments, 2, "", NULL);
}

static bool is_state(struct fx *fx, const struct flz_argument *id, const char *state)
{
    return strcmp(look(fx, id, "state"), state) == 0;
}

/* A whole sign-in, by hand. */
static void sign_in(struct fx *fx)
{
    char redirect[TOKENSERVER_ADDRESS_MAX];
    struct flz_argument id = begin_sign_in(fx, ADA, false);
    assert_true(tokenserver_browse(fx->login, look(fx, &id, "url"), false, redirect));
    assert_int_equal(paste(fx, id, redirect), ADMIN_OK);
    WAIT_FOR(fx, 10000, is_state(fx, &id, "done") || is_state(fx, &id, "failed"));
    assert_string_equal(look(fx, &id, "text"), "");
    assert_true(is_state(fx, &id, "done"));
}

static bool account_says(struct fx *fx, const char *text)
{
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    assert_int_equal(ask(fx, "account ls", NULL, 0, "", &json), ADMIN_OK);
    return strstr(flz_buf_str(&json), text) != NULL;
}

/* What the person's browser does at the end. */
static void visit_loopback(const char *address, char *answer, size_t size)
{
    char request[TOKENSERVER_ADDRESS_MAX + 128];
    const char *colon = strchr(address + 7, ':'), *path = strchr(address + 7, '/');
    assert_true(colon && path);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(write(fd, request, (size_t)n), n);
    size_t len = 0;
    ssize_t got;
    while (len + 1 < size && (got = read(fd, answer + len, size - 1 - len)) > 0)
        len += (size_t)got;
    answer[len] = '\0';
    (void)close(fd);
}

static void signed_in_by_a_browser_it_sends_and_receives(void **state)
{
    struct fx *fx = *state;
    char redirect[TOKENSERVER_ADDRESS_MAX], page[8192];
    struct flz_id x = coordfake_id();
    tokenserver_person(fx->login, ADA, 8); /* a token lasts for six seconds at most */
    settle_in_login(fx);
    assert_true(account_says(fx, "nobody has signed in yet"));
    assert_false(probed(fx, ADA));
    struct flz_argument id = begin_sign_in(fx, ADA, false);
    assert_true(tokenserver_browse(fx->login, look(fx, &id, "url"), false, redirect));
    visit_loopback(redirect, page, sizeof page);
    assert_non_null(strstr(page, "Signed in"));
    WAIT_FOR(fx, 10000, is_state(fx, &id, "done"));
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    assert_false(account_says(fx, "needs_auth\",")); /* as a state */

    expect(fx, do_task(fx, task(fx, FLZ_TASK_SEND, x, 0, ADA, BOB)), FLZ_OUTCOME_SENT,
           FLZ_REASON_NONE);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_FIND, x, 0, ADA, BOB)), FLZ_OUTCOME_FOUND,
           FLZ_REASON_NONE);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_OPEN, x, 0, ADA, BOB)), FLZ_OUTCOME_DONE,
           FLZ_REASON_NONE);
    coordfake_run(fx->coord, 8500); /* its token has run out meanwhile */
    expect(fx, do_task(fx, task(fx, FLZ_TASK_REPLY, x, 1, BOB, ADA)), FLZ_OUTCOME_SENT,
           FLZ_REASON_NONE);
    expect(fx, do_task(fx, task(fx, FLZ_TASK_FIND, x, 1, BOB, ADA)), FLZ_OUTCOME_FOUND,
           FLZ_REASON_NONE);
    assert_true(tokenserver_counts(fx->login).refreshes >= 1);
    assert_int_equal(tokenserver_counts(fx->login).replayed, 0);
    assert_int_equal(tokenserver_counts(fx->login).unsound, 0);
    assert_int_equal(mailworld_counts(fx->world).tokens_refused, 0);
    no_violation(fx);
    stop_node(fx);
}

static void signed_in_by_a_device_it_logs_in(void **state)
{
    struct fx *fx = *state;
    settle_in_login(fx);
    struct flz_argument id = begin_sign_in(fx, ADA, true);
    WAIT_FOR(fx, 10000, is_state(fx, &id, "waiting"));
    assert_string_equal(look(fx, &id, "code"), "ABCD-1234");
    assert_string_equal(look(fx, &id, "url"), "https://login.test/device");
    coordfake_run(fx->coord, 2500); /* it asks now and then, and is told to wait */
    assert_false(is_state(fx, &id, "done"));
    assert_true(tokenserver_counts(fx->login).requests >= 2);
    tokenserver_approve(fx->login);
    WAIT_FOR(fx, 10000, is_state(fx, &id, "done"));
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    stop_node(fx);
}

static void a_test_of_an_account_that_signs_in_tells_of_its_token(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_buf_deinit) struct flz_buf json = FLZ_BUF_NULL;
    struct flz_argument who[] = {argument("account", ADA)};
    settle_in_login(fx);
    assert_int_equal(ask(fx, "account test", who, 1, "", &json), ADMIN_FAILED);
    assert_non_null(strstr(flz_buf_str(&json), "nobody has signed in yet"));
    sign_in(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    flz_buf_deinit(&json);
    assert_int_equal(ask(fx, "account test", who, 1, "", &json), ADMIN_OK);
    assert_non_null(strstr(flz_buf_str(&json), "\"access token\""));
    stop_node(fx);
}

static void another_identity_changes_nothing(void **state)
{
    struct fx *fx = *state;
    char redirect[TOKENSERVER_ADDRESS_MAX];
    settle_in_login(fx);
    tokenserver_person(fx->login, "eve@a.test", 3600);
    struct flz_argument id = begin_sign_in(fx, ADA, false);
    assert_true(tokenserver_browse(fx->login, look(fx, &id, "url"), false, redirect));
    assert_int_equal(paste(fx, id, redirect), ADMIN_OK);
    WAIT_FOR(fx, 10000, is_state(fx, &id, "failed"));
    assert_non_null(strstr(look(fx, &id, "text"), "eve@a.test signed in"));
    assert_true(account_says(fx, "nobody has signed in yet"));
    /* Nor does one who declines, nor a grant that would not last or not suffice. */
    tokenserver_person(fx->login, ADA, 3600);
    id = begin_sign_in(fx, ADA, false);
    assert_true(tokenserver_browse(fx->login, look(fx, &id, "url"), true, redirect));
    assert_int_equal(paste(fx, id, redirect), ADMIN_FAILED);
    assert_true(is_state(fx, &id, "waiting"));
    assert_int_equal(paste(fx, id, "http://localhost/?code=x&state=y"), ADMIN_FAILED);
    tokenserver_grants(fx->login, false, NULL);
    assert_true(tokenserver_browse(fx->login, look(fx, &id, "url"), false, redirect));
    assert_int_equal(paste(fx, id, redirect), ADMIN_OK);
    WAIT_FOR(fx, 10000, is_state(fx, &id, "failed"));
    assert_non_null(strstr(look(fx, &id, "text"), "no refresh token"));
    tokenserver_grants(fx->login, true, "https://outlook.office.com/IMAP.AccessAsUser.All");
    id = begin_sign_in(fx, ADA, false);
    assert_true(tokenserver_browse(fx->login, look(fx, &id, "url"), false, redirect));
    assert_int_equal(paste(fx, id, redirect), ADMIN_OK);
    WAIT_FOR(fx, 10000, is_state(fx, &id, "failed"));
    assert_non_null(strstr(look(fx, &id, "text"), "SMTP.Send"));
    assert_true(account_says(fx, "nobody has signed in yet"));
    assert_int_equal(mailworld_counts(fx->world).tokens, 0);
    stop_node(fx);
    assert_false(log_has(fx, "eve@"));
}

static void expelled_account_is_signed_in_again_and_stays_the_same(void **state)
{
    struct fx *fx = *state;
    tokenserver_person(fx->login, ADA, 4);
    settle_in_login(fx);
    sign_in(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    struct flz_id id = coordfake_account(fx->coord, ADA)->id;
    tokenserver_expel(fx->login);
    coordfake_run(fx->coord, 4500);
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.not_after = coordfake_now(fx->coord) + 20 * FLZ_MINUTE_MS;
    coordfake_order(fx->coord, &send, 1);
    WAIT_FOR(fx, 30000, receipt(fx, &send, 0));
    expect(fx, *receipt(fx, &send, 0), FLZ_OUTCOME_EXPIRED, FLZ_REASON_LOGIN);
    assert_true(account_says(fx, "AADSTS700082"));
    WAIT_FOR(fx, 10000, !probed(fx, ADA)); /* the coordinator knows */
    unsigned requests = tokenserver_counts(fx->login).requests;
    coordfake_run(fx->coord, 1500);
    assert_int_equal(tokenserver_counts(fx->login).requests, requests); /* nobody is bothered */
    tokenserver_person(fx->login, ADA, 3600);
    sign_in(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    assert_true(flz_id_equal(id, coordfake_account(fx->coord, ADA)->id));
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    stop_node(fx);
}

/* T2 from outside: at the moment at which a mail server sees the new access token, the refresh
 * token that came with it is on the disk. */
static void killed_when_its_token_is_used_it_knows_the_newest_refresh_token(void **state)
{
    struct fx *fx = *state;
    tokenserver_person(fx->login, ADA, 2);
    settle_in_login(fx);
    sign_in(fx);
    for (int i = 0; i < 4; i++) {
        unsigned refreshes = tokenserver_counts(fx->login).refreshes;
        coordfake_run(fx->coord, 2200); /* the token runs out; a probe may renew it meanwhile */
        unsigned tokens = mailworld_counts(fx->world).tokens;
        struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
        coordfake_order(fx->coord, &send, 1);
        WAIT_FOR(fx, 20000, mailworld_counts(fx->world).tokens > tokens);
        kill_node(fx);
        assert_true(tokenserver_counts(fx->login).refreshes > refreshes);
        unsigned hellos = fx->coord->hellos;
        start_node(fx);
        WAIT_FOR(fx, 20000, fx->coord->hellos > hellos);
    }
    fx->coord->probes_count = 0;
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    assert_int_equal(tokenserver_counts(fx->login).replayed, 0);
    stop_node(fx);
}

static void token_taken_back_costs_a_new_one_only(void **state)
{
    struct fx *fx = *state;
    settle_in_login(fx);
    sign_in(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    unsigned refreshes = tokenserver_counts(fx->login).refreshes;
    tokenserver_revoke(fx->login);
    struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    assert_int_equal(mailworld_counts(fx->world).tokens_refused, 1);
    assert_int_equal(tokenserver_counts(fx->login).refreshes, refreshes + 1);
    assert_false(account_says(fx, "\"login_failures\":1"));
    assert_true(probed(fx, ADA)); /* nobody was alarmed */
    /* A server that refuses fresh ones as well refuses the login: three times, and no more. */
    fx->coord->rate_milli = FAST_RATE;
    coordfake_run(fx->coord, 500);
    mailworld_faults(fx->world, (struct mailworld_faults){.refuse_login = true});
    struct flz_task send = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    send.not_after = coordfake_now(fx->coord) + 12 * FLZ_HOUR_MS;
    coordfake_order(fx->coord, &send, 1);
    WAIT_FOR(fx, 40000, account_says(fx, "\"login_failures\":3"));
    coordfake_run(fx->coord, 3000);
    assert_int_equal(mailworld_counts(fx->world).tokens_refused, 1 + 1 + 3);
    stop_node(fx);
}

/* Does any file of the node's hold a token that was ever given out? */
static struct fx *searching;
static int search_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    size_t size = (size_t)st->st_size;
    if (flag != FTW_F || size == 0)
        return 0;
    char *bytes = calloc(1, size + 1);
    FILE *file = fopen(path, "re");
    assert_true(bytes && file);
    size = fread(bytes, 1, size, file);
    (void)fclose(file);
    for (size_t i = 0; i < size; i++) /* the search ends at a NUL */
        bytes[i] = bytes[i] ? bytes[i] : ' ';
    bool gave = tokenserver_gave(searching->login, bytes);
    free(bytes);
    if (gave)
        fail_msg("%s holds a token", path);
    return 0;
}

static void no_token_is_written_anywhere(void **state)
{
    struct fx *fx = *state;
    tokenserver_person(fx->login, ADA, 2);
    settle_in_login(fx);
    sign_in(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    coordfake_run(fx->coord, 2500);
    tokenserver_revoke(fx->login);
    (void)do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
    tokenserver_expel(fx->login);
    coordfake_run(fx->coord, 2500);
    stop_node(fx);
    assert_true(tokenserver_counts(fx->login).refreshes > 0);
    searching = fx;
    (void)nftw(fx->dir, search_one, 16, FTW_PHYS);
}

/* Looks through what the node's process has in memory; false when the system does not allow it. */
static bool search_memory(struct fx *fx, bool *ret_found)
{
    char path[64], line[512];
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)fx->node);
    FILE *maps = fopen(path, "re");
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)fx->node);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    size_t seen = 0;
    *ret_found = false;
    while (maps && mem >= 0 && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w' ||
            to - from > (256ul << 20)) /* larger ones are the sanitizers' */
            continue;
        char *bytes = malloc(to - from);
        assert_non_null(bytes);
        ssize_t n = pread(mem, bytes, to - from, (off_t)from);
        if (n > 0 && tokenserver_finds_spent(fx->login, bytes, (size_t)n)) {
            *ret_found = true;
            print_message("a token that was used up is at %s", line);
        }
        seen += n > 0 ? (size_t)n : 0;
        free(bytes);
    }
    if (maps)
        (void)fclose(maps);
    if (mem >= 0)
        (void)close(mem);
    return seen > 0;
}

static void used_up_tokens_leave_no_trace_in_memory(void **state)
{
    struct fx *fx = *state;
    bool found;
    tokenserver_person(fx->login, ADA, 2);
    settle_in_login(fx);
    sign_in(fx);
    WAIT_FOR(fx, 20000, probed(fx, ADA));
    for (int i = 0; i < 3; i++) {
        coordfake_run(fx->coord, 2100);
        struct flz_receipt got = do_task(fx, task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB));
        expect(fx, got, FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    }
    assert_true(tokenserver_counts(fx->login).refreshes >= 3);
    coordfake_run(fx->coord, 300);
    /* The newest ones are all that may be there. */
    if (!search_memory(fx, &found))
        skip();
    assert_false(found);
    stop_node(fx);
}

/* ---- A full disk ---- */

#define DISK_MIB 480

static int setup_small(void **state)
{
    (void)setup(state);
    struct fx *fx = *state;
    assert_int_equal(mkdir(path_of(fx, "state"), 0700), 0);
    fx->small = tree_mount(path_of(fx, "state"), "tmpfs", DISK_MIB) == 0; /* only root can */
    return 0;
}

static int teardown_small(void **state)
{
    struct fx *fx = *state;
    if (fx->node > 0)
        kill_node(fx);
    if (fx->small)
        tree_unmount(path_of(fx, "state"));
    return teardown(state);
}

/* What is at hand is finished with the room that was kept for it; nothing new is taken. */
static void a_nearly_full_disk_takes_no_new_orders(void **state)
{
    struct fx *fx = *state;
    if (!fx->small)
        skip();
    settle_in(fx);
    struct flz_task early = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, ADA, BOB);
    struct flz_task late = task(fx, FLZ_TASK_SEND, coordfake_id(), 0, BOB, ADA);
    early.not_before = coordfake_now(fx->coord) + 4 * fx->coord->rate_milli;
    early.not_after = late.not_after = early.not_before + 60 * fx->coord->rate_milli;
    coordfake_order(fx->coord, &early, 1);
    coordfake_run(fx->coord, 300);
    tree_fill(path_of(fx, "state/filler"), 150u << 20);
    coordfake_run(fx->coord, 1500); /* it is looked at once a second */
    coordfake_order(fx->coord, &late, 1);
    WAIT_FOR(fx, 5000, log_has(fx, "tasks_not_accepted"));
    WAIT_FOR(fx, 20000, receipt(fx, &early, 0));
    expect(fx, *receipt(fx, &early, 0), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    coordfake_run(fx->coord, 1000);
    assert_null(receipt(fx, &late, 0));

    assert_int_equal(unlink(path_of(fx, "state/filler")), 0);
    coordfake_run(fx->coord, 1500);
    expect(fx, do_task(fx, late), FLZ_OUTCOME_SENT, FLZ_REASON_NONE);
    assert_int_equal(dots(fx), 2);
    stop_node(fx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_LOGIN(name) cmocka_unit_test_setup_teardown(name, setup_login, teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(node_enrols_once_and_keeps_its_accounts),
        TEST(import_gives_each_row_its_verdict),
        TEST(an_address_that_stands_twice_is_refused_on_both_lines),
        TEST(accounts_of_one_owner_are_told_to_find_no_partner_here),
        TEST(account_takes_the_id_the_network_knows),
        TEST(whole_exchange_leaves_two_tidy_mailboxes),
        TEST(junk_is_rescued_and_never_filed),
        TEST(killed_behind_an_accepted_dot_it_is_found_and_never_sent_again),
        TEST(killed_behind_a_lost_dot_it_is_looked_for_and_never_sent_again),
        TEST(connection_lost_before_the_dot_is_tried_again),
        TEST(connection_lost_around_the_dot_is_never_tried_again),
        TEST(refusals_are_told_apart),
        TEST(whatever_the_server_does_a_dot_leaves_once),
        TEST(account_told_to_stop_stops_at_once),
        TEST(only_reports_of_messages_that_were_ordered_are_heeded),
        TEST(bounce_that_means_stop_stops_the_account),
        TEST(nobody_suppressed_is_written_to),
        TEST(complaints_come_to_the_feedback_mailbox),
        TEST(a_refused_login_is_told_at_once_and_tried_thrice),
        cmocka_unit_test_setup_teardown(googles_servers_get_no_password_whatever_they_are_called,
                                        setup_google, teardown),
        cmocka_unit_test_setup_teardown(a_nearly_full_disk_takes_no_new_orders, setup_small,
                                        teardown_small),
        TEST(a_server_that_was_away_is_asked_again_soon),
        TEST(third_refused_login_is_the_last),
        TEST(a_providers_bad_hour_costs_no_account_its_login),
        TEST(providers_are_read_anew_while_it_runs),
        TEST(a_test_tells_stage_by_stage_what_works),
        TEST(servers_are_found_by_dns_and_by_the_table),
        TEST(owners_are_given_rules_of_their_own),
        TEST(good_smtp_hides_no_refusing_imap),
        TEST(lease_that_lapses_means_silence),
        TEST(refused_node_is_silent_at_once),
        TEST(paused_account_waits),
        TEST(nothing_is_sent_on_a_day_off),
        TEST(cap_of_the_day_holds_at_the_node),
        TEST(repeated_and_forged_frames_do_nothing),
        TEST(stranger_is_never_written_to),
        TEST(a_message_is_acted_on_once_whatever_its_tasks_are_called),
        TEST(filed_messages_go_after_14_days_if_the_owner_agreed),
        TEST(a_paused_mailbox_is_not_swept),
        TEST(nobody_of_a_revoked_node_is_written_to),
        TEST(without_all_revocations_nothing_is_sent),
        TEST(a_revoked_node_sends_nothing_itself),
        TEST(domain_that_refuses_is_heeded),
        TEST(dead_dns_makes_no_logins),
        TEST(lost_journal_is_a_new_incarnation),
        TEST(restored_coordinator_is_told_again),
        TEST(sends_of_a_log_given_up_never_leave),
        TEST(unacknowledged_reports_survive_a_kill),
        TEST(removed_account_is_released_and_forgotten),
        TEST(declined_order_that_comes_again_is_not_carried_out),
        TEST(stop_waits_for_what_is_behind_its_dot),
        TEST_LOGIN(signed_in_by_a_browser_it_sends_and_receives),
        TEST_LOGIN(signed_in_by_a_device_it_logs_in),
        TEST_LOGIN(a_test_of_an_account_that_signs_in_tells_of_its_token),
        TEST_LOGIN(another_identity_changes_nothing),
        TEST_LOGIN(expelled_account_is_signed_in_again_and_stays_the_same),
        TEST_LOGIN(killed_when_its_token_is_used_it_knows_the_newest_refresh_token),
        TEST_LOGIN(token_taken_back_costs_a_new_one_only),
        TEST_LOGIN(no_token_is_written_anywhere),
        TEST_LOGIN(used_up_tokens_leave_no_trace_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
