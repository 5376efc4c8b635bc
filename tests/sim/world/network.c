#include "tests/sim/world/network.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"
#include "common/sys/log.h"
#include "coordinator/certfile.h"
#include "coordinator/ctl/ctl.h"
#include "coordinator/identity.h"
#include "coordinator/run.h"
#include "proto/codec.h"
#include "tests/sim/world/post.h"
#include "tests/sim/world/programs.h"
#include "tests/sim/world/stand.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS_MAX 200
#define ASK_AGAIN_MS 90000
#define NAME "Simulated"
#define CONTACT "stop@fluenzr.test"
#define NODES_ENDPOINT "tcp://127.0.0.1:7400"
#define ENROL_ENDPOINT "tcp://127.0.0.1:7401"
#define PATH_LEN 256

struct network network;

static void path_in(char ret_path[static PATH_LEN], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void path_in(char ret_path[static PATH_LEN], const char *format, ...)
{
    va_list args;
    int n = snprintf(ret_path, PATH_LEN, "%s/", world.folder);
    va_start(args, format);
    (void)vsnprintf(ret_path + n, PATH_LEN - (size_t)n, format, args);
    va_end(args);
}

/* ---- Keys, as `init` makes them ---- */

static void read_certificate(const char *path, struct flz_buf *bytes)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    WORLD_MUST(certfile_load(path, bytes, &msg) == 0, "%s", msg.text);
}

static void certify(const char *name, const struct keys_sign_pair *key, enum flz_role role,
                    struct flz_buf *bytes)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    char path[PATH_LEN];
    struct folder_certificate wanted = {.root = &network.root,
                                        .network = network.trust.network,
                                        .key = key->public_key,
                                        .role = role,
                                        .scope = "network",
                                        .name = name,
                                        .days = 400};
    if (role == FLZ_ROLE_ISSUER)
        wanted.curve_key = network.curve.public_key;
    path_in(path, role == FLZ_ROLE_ISSUER ? "coordinator/issuer.cert" : "admin.cert");
    WORLD_MUST(folder_write_certificate(path, &wanted, &msg) == 0, "%s", msg.text);
    read_certificate(path, bytes);
}

static void make_keys(void)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    char path[PATH_LEN];
    WORLD_MUST(keys_sign_generate(&network.root) == 0 && keys_sign_generate(&network.admin) == 0 &&
                   keys_sign_generate(&network.issuer) == 0 &&
                   keys_curve_generate(&network.curve) == 0 &&
                   flz_secret_random(IDENTITY_NETWORK_KEY_LEN, &secret) == 0,
               "keys");
    randombytes_buf(network.trust.network.b, sizeof network.trust.network.b);
    network.trust.root = network.root.public_key;

    path_in(path, "coordinator");
    WORLD_MUST(fsutil_mkdir(path, 0700, &msg) == 0, "%s", msg.text);
    struct folder_network words = {.trust = network.trust, .name = NAME, .contact = CONTACT};
    WORLD_MUST(folder_write_network(path, &words, &msg) == 0, "%s", msg.text);
    path_in(path, "coordinator/issuer.sign");
    WORLD_MUST(keys_sign_save(path, &network.issuer, &msg) == 0, "%s", msg.text);
    path_in(path, "coordinator/coordinator.curve");
    WORLD_MUST(keys_curve_save(path, &network.curve, &msg) == 0, "%s", msg.text);
    path_in(path, "coordinator/network.key");
    WORLD_MUST(keys_secret_save(path, IDENTITY_NETWORK_KEY, &secret, &msg) == 0, "%s", msg.text);
    path_in(path, "coordinator/persons.key");
    struct seal_source persons = {.kind = SEAL_SOURCE_FILE, .name = path};
    WORLD_MUST(seal_key_create(&persons, &msg) == 0, "%s", msg.text);
    certify("coordinator", &network.issuer, FLZ_ROLE_ISSUER, &network.issuer_certificate);
    certify("administrator", &network.admin, FLZ_ROLE_ADMIN, &network.admin_certificate);
}

static struct flz_signer admin_signer(void)
{
    return (struct flz_signer){
        .key = network.admin.public_key, .on_sign = keys_on_sign, .data = &network.admin};
}

static void seal(enum flz_kind kind, const struct flz_codec *codec, const void *object,
                 struct flz_buf *bytes)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = admin_signer();
    WORLD_MUST(flz_encode(codec, object, &payload) == 0 &&
                   flz_seal_signed(kind, flz_buf_view(&payload), &signer, bytes) == 0,
               "sealing");
}

/* ---- What people ask for ---- */

struct order {
    struct proc *proc;
    char verb[32];
    char texts[8][512];
    struct stand_request request;
    struct flz_buf body;
    int64_t asked_at;
    bool answered;
};

static struct order orders[ORDERS_MAX];
static size_t orders_count;

static void on_answer(int code, const char *message, void *data)
{
    struct order *order = data;
    (void)message;
    if (code != 75) /* try again */
        order->answered = true;
}

static void ask(void *data)
{
    struct order *order = data;
    if (order->answered)
        return;
    (void)stand_ask(order->proc, &order->request);
    world_at(world.now + ASK_AGAIN_MS, ask, order);
}

static struct order *new_order(struct proc *proc, const char *verb)
{
    WORLD_MUST(orders_count < ORDERS_MAX, "too many orders");
    struct order *order = &orders[orders_count++];
    *order = (struct order){.proc = proc};
    (void)snprintf(order->verb, sizeof order->verb, "%s", verb);
    order->request =
        (struct stand_request){.verb = order->verb, .on_answer = on_answer, .data = order};
    return order;
}

static void add_argument(struct order *order, const char *key, const char *value)
{
    size_t i = 0;
    while (order->request.keys[i])
        i++;
    WORLD_MUST(i < 4 && strlen(value) < sizeof order->texts[0], "too many arguments");
    (void)snprintf(order->texts[2 * i], sizeof order->texts[0], "%s", key);
    (void)snprintf(order->texts[2 * i + 1], sizeof order->texts[0], "%s", value);
    order->request.keys[i] = order->texts[2 * i];
    order->request.values[i] = order->texts[2 * i + 1];
}

static void issue(struct order *order)
{
    order->request.body = flz_buf_view(&order->body);
    ask(order);
}

bool network_waits(void)
{
    for (size_t i = 0; i < orders_count; i++)
        if (!orders[i].answered)
            return true;
    return false;
}

void network_order(const char *verb, const char *key, const char *value, const char *duration)
{
    struct order *order = new_order(network.coordinator, verb);
    add_argument(order, key, value);
    add_argument(order, "reason", "a simulated reason");
    if (duration)
        add_argument(order, "for", duration);
    issue(order);
}

void network_revoke(size_t node)
{
    struct order *order = new_order(network.coordinator, "node revoke");
    struct flz_revocation revocation = {.network = network.trust.network,
                                        .node = network.node_ids[node],
                                        .at = world.now,
                                        .admin_certificate =
                                            flz_buf_view(&network.admin_certificate)};
    add_argument(order, "name", network.nodes[node]->name);
    seal(FLZ_KIND_REVOCATION, &flz_codec_revocation, &revocation, &order->body);
    issue(order);
}

struct proc *network_node_of(size_t account)
{
    return network.nodes[account % NETWORK_NODES];
}

size_t network_index_of(const struct proc *proc)
{
    size_t i = 0;
    while (i < NETWORK_NODES && network.nodes[i] != proc)
        i++;
    return i;
}

void network_import(size_t node)
{
    static const char header[] = "address,owner,provider,smtp,imap,user,password,timezone,hours,"
                                 "days,intensity,profile,language\n";
    struct order *order = new_order(network.nodes[node], "account import");
    flz_buf_add_str(&order->body, header);
    for (size_t i = node; i < post_count(); i += NETWORK_NODES)
        flz_buf_printf(&order->body,
                       "%s,owner%zu,hosted,smtps://smtp%zu.test:465,imaps://imap%zu.test:993,"
                       "ada@a.test,\"warm \"\"pass\\1\",%s,09:00-18:00,Mon-Sun,high,%s,en\n",
                       post_address(i), i, i, i, i % 4 == 3 ? "Europe/Paris" : "Etc/UTC",
                       i % 5 == 4 ? "existing" : "new");
    add_argument(order, "consent-by", "the simulator");
    add_argument(order, "accept", "ask");
    issue(order);
}

void network_retry(size_t account)
{
    struct order *order = new_order(network_node_of(account), "account retry");
    add_argument(order, "account", post_address(account));
    issue(order);
}

void network_node_key(size_t node, struct keys_sign_pair *ret_key)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    char path[PATH_LEN];
    path_in(path, "%s/identity/node.sign", network.nodes[node]->name);
    WORLD_MUST(keys_sign_load(path, ret_key, &msg) == 0, "%s", msg.text);
}

/* ---- Inviting ---- */

static void invite(size_t node)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct order *order = new_order(network.coordinator, "node invite");
    _cleanup_(flz_buf_deinit) struct flz_buf certificate = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    struct flz_join_token token = {.network = network.trust.network,
                                   .root = network.root.public_key,
                                   .admin_certificate = flz_buf_view(&network.admin_certificate),
                                   .coordinator_key = network.curve.public_key,
                                   .enrol_endpoint = ENROL_ENDPOINT,
                                   .node_endpoint = NODES_ENDPOINT,
                                   .network_name = NAME,
                                   .contact = CONTACT};
    struct flz_invite words = {.network = network.trust.network,
                               .not_after = world.now + FLZ_DAY_MS};
    struct keys_sign_pair key;
    char path[PATH_LEN];
    WORLD_MUST(keys_sign_generate(&key) == 0, "keys");
    randombytes_buf(words.node.b, sizeof words.node.b);
    network.node_ids[node] = words.node;
    (void)snprintf(words.name, sizeof words.name, "%s", network.nodes[node]->name);
    words.token_key = key.public_key;
    memcpy(token.token_seed, key.secret.data, sizeof token.token_seed);
    seal(FLZ_KIND_INVITE, &flz_codec_invite, &words, &order->body);
    token.invite = flz_buf_view(&order->body);
    WORLD_MUST(flz_encode(&flz_codec_join_token, &token, &payload) == 0, "token");
    flz_buf_add_str(&text, FLZ_JOIN_TOKEN_PREFIX);
    flz_base64url_encode(flz_buf_view(&payload), &text);
    flz_buf_add_byte(&text, '\n');
    path_in(path, "%s.token", words.name);
    WORLD_MUST(fsutil_write_new(path, 0600, flz_buf_view(&text), &msg) == 0, "%s", msg.text);
    flz_base64url_encode(flz_buf_view(&network.admin_certificate), &certificate);
    WORLD_MUST(strlen(flz_buf_str(&certificate)) < sizeof order->texts[0], "certificate");
    add_argument(order, "name", words.name);
    add_argument(order, "certificate", flz_buf_str(&certificate));
    keys_sign_deinit(&key);
    issue(order);
}

/* ---- Running the programs ---- */

static int coordinator_main(struct proc *proc)
{
    struct flz_log *log = calloc(1, sizeof *log);
    bool restored = network.restored;
    (void)proc;
    WORLD_MUST(log, "memory");
    flz_log_init(log, -1, FLZ_LOG_INFO, FLZ_LOG_LOGFMT);
    network.restored = false;
    return program_coordinator(world.folder, restored, log);
}

static int node_main(struct proc *proc)
{
    struct flz_log *log = calloc(1, sizeof *log);
    WORLD_MUST(log, "memory");
    flz_log_init(log, -1, FLZ_LOG_INFO, FLZ_LOG_LOGFMT);
    return program_node(world.folder, proc->name, log);
}

static void wait_for_answers(const char *what)
{
    for (int i = 0; i < 600 && network_waits(); i++)
        world_run_until(world.now + FLZ_SECOND_MS);
    WORLD_MUST(!network_waits(), "%s: no answer", what);
}

static void wait_for_ready(const struct proc *proc)
{
    for (int i = 0; i < 60 && proc->ready_at == 0; i++)
        world_run_until(world.now + FLZ_SECOND_MS);
    WORLD_MUST(proc->ready_at > 0, "%s does not become ready", proc->name);
}

static void make_mailboxes(void)
{
    char text[512];
    for (size_t i = 0; i < NETWORK_ACCOUNTS; i++) {
        (void)snprintf(text, sizeof text, "person%zu@d%zu.test", i, i / 2);
        size_t account = post_add(text);
        (void)snprintf(text, sizeof text,
                       "From: stranger@elsewhere.test\r\nTo: %s\r\nSubject: Lunch?\r\n"
                       "Message-ID: <foreign-%zu@elsewhere.test>\r\n"
                       "Date: Mon, 01 Mar 2027 08:00:00 +0000\r\n\r\n",
                       post_address(account), i);
        post_put_foreign(account, i % 2 ? "Junk" : "INBOX", text);
    }
}

void network_begin(void)
{
    char name[16];
    make_keys();
    make_mailboxes();
    network.coordinator = world_add("coordinator", coordinator_main);
    world_start(network.coordinator);
    wait_for_ready(network.coordinator);
    struct order *policy = new_order(network.coordinator, "policy set");
    char days[8];
    (void)snprintf(days, sizeof days, "%d", NETWORK_COOLDOWN_DAYS);
    add_argument(policy, "key", "cooldown_days");
    add_argument(policy, "value", days);
    issue(policy);
    for (size_t i = 0; i < NETWORK_NODES; i++) {
        (void)snprintf(name, sizeof name, "n%zu", i + 1);
        network.nodes[i] = world_add(name, node_main);
        invite(i);
    }
    wait_for_answers("inviting");
    for (size_t i = 0; i < NETWORK_NODES; i++) {
        world_start(network.nodes[i]);
        wait_for_ready(network.nodes[i]);
        network_import(i);
    }
    wait_for_answers("importing");
}
