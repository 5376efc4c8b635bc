/*
 * The coordinator's doors, from outside: the real program, enrolled with the real commands, spoken
 * to by a peer that also lies.
 */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "node/enrol.h"
#include "node/identity.h"
#include "proto/codec.h"
#include "tests/lib/tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MS 10000
#define SILENCE_MS 700

struct world {
    char dir[64];
    char bin[512];
    int port_nodes, port_enrol, port_http;
    pid_t coordinator;
};

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* Runs a shell line with $D (the folder) and $B (the programs); returns its exit code. */
static int run(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int run(const struct world *world, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)setenv("D", world->dir, 1);
    (void)setenv("B", world->bin, 1);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_config(const struct world *world, const char *more)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    char path[128];
    flz_buf_printf(&text,
                   "state_dir: %s/state\nidentity_dir: %s/net/coordinator\n"
                   "content_dir: %s/deploy/content\nlisten:\n"
                   "  nodes: tcp://127.0.0.1:%d\n  enrol: tcp://127.0.0.1:%d\n"
                   "  admin: ipc://%s/coord.sock\n  http: 127.0.0.1:%d\n"
                   "allow_unlocked_memory: true\n%s",
                   world->dir, world->dir, getenv("FLZ_SOURCE"), world->port_nodes,
                   world->port_enrol, world->dir, world->port_http, more);
    (void)snprintf(path, sizeof path, "%s/coord.yaml", world->dir);
    assert_int_equal(fsutil_write(path, 0600, flz_buf_view(&text), NULL), 0);
}

static void start(struct world *world, const char *option)
{
    char config[128], log[128], program[600];
    (void)snprintf(config, sizeof config, "%s/coord.yaml", world->dir);
    (void)snprintf(log, sizeof log, "%s/coord.log", world->dir);
    (void)snprintf(program, sizeof program, "%s/fluenzr-coordinator", world->bin);
    world->coordinator = fork();
    assert_true(world->coordinator >= 0);
    if (world->coordinator == 0) {
        if (freopen(log, "a", stderr))
            (void)execl(program, program, "--config", config, option, (char *)NULL);
        _exit(127);
    }
    /* Ready when its administration answers. */
    for (int i = 0; i < 200; i++) {
        if (run(world, "$B/fluenzrctl -i $D/net/admin --timeout 1s status >/dev/null 2>&1") != 69)
            return;
        (void)usleep(50000);
    }
    fail_msg("the coordinator did not start; see %s", log);
}

static void stop(struct world *world, int number)
{
    int status;
    if (world->coordinator <= 0)
        return;
    (void)kill(world->coordinator, number);
    (void)waitpid(world->coordinator, &status, 0);
    if (number == SIGTERM)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world->coordinator = 0;
}

static struct world *open_world(void)
{
    struct world *world = calloc(1, sizeof *world);
    (void)snprintf(world->dir, sizeof world->dir, "/tmp/flz-coordinator-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    (void)snprintf(world->bin, sizeof world->bin, "%s", getenv("FLZ_BIN"));
    world->port_nodes = free_port();
    world->port_enrol = free_port();
    world->port_http = free_port();
    assert_int_equal(run(world,
                         "$B/fluenzrctl init --dir $D/net --name test --contact stop@test.test "
                         "--nodes-endpoint tcp://127.0.0.1:%d --enrol-endpoint tcp://127.0.0.1:%d "
                         "--admin-endpoint ipc://$D/coord.sock >/dev/null 2>&1",
                         world->port_nodes, world->port_enrol),
                     0);
    write_config(world, "");
    return world;
}

static void close_world(struct world *world)
{
    stop(world, SIGTERM);
    assert_int_equal(run(world, "rm -rf \"$D\""), 0);
    free(world);
}

static int setup(void **state)
{
    struct world *world = open_world();
    start(world, NULL);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    close_world(*state);
    return 0;
}

/* ---- A node of our own ---- */

static int enrol_as(const struct world *world, const char *name, struct flz_msg *msg)
{
    char dir[128], token[128];
    (void)snprintf(dir, sizeof dir, "%s/%s", world->dir, name);
    (void)snprintf(token, sizeof token, "%s/token", world->dir);
    return enrol(dir, token, ANSWER_MS, msg);
}

static void invite(const struct world *world, const char *name)
{
    assert_int_equal(run(world,
                         "rm -f $D/token; $B/fluenzrctl -i $D/net/admin node invite %s "
                         "--out $D/token >/dev/null 2>&1",
                         name),
                     0);
}

static struct identity joined(const struct world *world, const char *name)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct identity identity;
    char dir[128];
    invite(world, name);
    if (enrol_as(world, name, &msg) < 0)
        fail_msg("%s", msg.text);
    (void)snprintf(dir, sizeof dir, "%s/%s", world->dir, name);
    assert_int_equal(identity_load(dir, &identity, &msg), 0);
    return identity;
}

static struct bus_client *connect_as(const struct identity *identity)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct bus_client *client;
    struct bus_target target = {.endpoint = identity->endpoint,
                                .server = &identity->coordinator_key,
                                .own = &identity->curve};
    if (bus_client_open(&target, ANSWER_MS, &client, &msg) != 0)
        fail_msg("%s", msg.text);
    return client;
}

static void say(struct bus_client *client, struct flz_signer signer, enum flz_kind kind,
                const struct flz_codec *codec, const void *frame)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    assert_int_equal(flz_encode(codec, frame, &payload), 0);
    assert_int_equal(flz_seal_signed(kind, flz_buf_view(&payload), &signer, &bytes), 0);
    assert_int_equal(bus_client_send(client, flz_buf_view(&bytes)), 0);
}

static struct flz_hello hello_of(const struct identity *identity, uint64_t seq)
{
    struct flz_hello hello = {
        .header = {.network = identity->trust.network, .node = identity->node, .seq = seq},
        .incarnation = {.b = {7}},
        .boot_ms = flz_boottime_ms(),
        .credit = 10,
    };
    return hello;
}

static struct flz_heartbeat heartbeat_of(const struct identity *identity, uint64_t seq)
{
    return (struct flz_heartbeat){
        .header = {.network = identity->trust.network, .node = identity->node, .seq = seq},
        .boot_ms = flz_boottime_ms(),
        .credit = 10,
    };
}

/* The kind of the next frame, its payload in `arena`; 0 when none comes in time. The signature must
 * be the coordinator's. */
static uint32_t hear(struct bus_client *client, const struct identity *identity, int timeout_ms,
                     struct flz_arena *arena, struct flz_view *ret_payload)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signed frame;
    if (bus_client_receive(client, timeout_ms, &bytes) != 0)
        return 0;
    assert_int_equal(flz_open_signed(flz_buf_view(&bytes), arena, &frame), 0);
    assert_int_equal(flz_verify_signed(&frame, &identity->issuers[0].key), 0);
    *ret_payload = frame.payload;
    return frame.kind;
}

static struct flz_welcome welcomed(struct bus_client *client, const struct identity *identity)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_hello hello = hello_of(identity, 1);
    struct flz_welcome welcome;
    struct flz_view payload;
    say(client, identity_signer(identity), FLZ_KIND_HELLO, &flz_codec_hello, &hello);
    assert_int_equal(hear(client, identity, ANSWER_MS, &arena, &payload), FLZ_KIND_WELCOME);
    assert_int_equal(flz_decode(&flz_codec_welcome, payload, &arena, &welcome), 0);
    assert_true(welcome.accepted);
    return welcome;
}

/* ---- Claims ---- */

static void a_token_enrols_one_node_once(void **state)
{
    const struct world *world = *state;
    struct flz_msg msg = FLZ_MSG_NULL;
    invite(world, "n1");
    assert_int_equal(enrol_as(world, "n1", &msg), 0);
    assert_int_equal(enrol_as(world, "thief", &msg), -EACCES);
    assert_non_null(strstr(msg.text, "refused"));
    /* Whose answer was lost may ask again with the same certificate. */
    assert_int_equal(run(world, "rm $D/n1/identity/trust.yaml"), 0);
    assert_int_equal(enrol_as(world, "n1", &msg), 0);
}

static void a_damaged_token_is_refused_with_words(void **state)
{
    const struct world *world = *state;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(run(world, "echo flzjoin1_AAAA > $D/token; chmod 600 $D/token"), 0);
    assert_int_equal(enrol_as(world, "n2", &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "not a join token"));
    assert_int_equal(run(world, "chmod 644 $D/token"), 0);
    assert_int_equal(enrol_as(world, "n2", &msg), -EPERM);
}

static void an_unknown_key_is_not_let_in(void **state)
{
    const struct world *world = *state;
    _cleanup_(identity_deinit) struct identity identity = joined(world, "n3");
    _cleanup_(keys_curve_deinit) struct keys_curve_pair stranger = KEYS_CURVE_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    struct bus_client *client;
    assert_int_equal(keys_curve_generate(&stranger), 0);
    struct bus_target target = {.endpoint = identity.endpoint,
                                .server = &identity.coordinator_key,
                                .own = &stranger};
    assert_int_equal(bus_client_open(&target, 3000, &client, &msg), BUS_E_UNREACHABLE);
}

static void a_forged_hello_is_not_answered(void **state)
{
    const struct world *world = *state;
    _cleanup_(identity_deinit) struct identity identity = joined(world, "n4");
    _cleanup_(keys_sign_deinit) struct keys_sign_pair forger = KEYS_SIGN_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view payload;
    struct bus_client *client = connect_as(&identity);
    struct flz_hello hello = hello_of(&identity, 1);
    assert_int_equal(keys_sign_generate(&forger), 0);
    struct flz_signer signer = {
        .key = forger.public_key, .on_sign = keys_on_sign, .data = &forger};
    say(client, signer, FLZ_KIND_HELLO, &flz_codec_hello, &hello);
    assert_int_equal(hear(client, &identity, SILENCE_MS, &arena, &payload), 0);

    hello.header.network.b[0] ^= 1;
    say(client, identity_signer(&identity), FLZ_KIND_HELLO, &flz_codec_hello, &hello);
    assert_int_equal(hear(client, &identity, SILENCE_MS, &arena, &payload), 0);
    (void)welcomed(client, &identity);
    (void)bus_client_close(client);
}

static void a_heartbeat_is_answered_once(void **state)
{
    const struct world *world = *state;
    _cleanup_(identity_deinit) struct identity identity = joined(world, "n5");
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view payload;
    struct flz_pulse pulse;
    struct bus_client *client = connect_as(&identity);
    struct flz_heartbeat heartbeat = heartbeat_of(&identity, 5);
    say(client, identity_signer(&identity), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, &identity, SILENCE_MS, &arena, &payload), 0); /* not welcomed */
    (void)welcomed(client, &identity);
    say(client, identity_signer(&identity), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, &identity, ANSWER_MS, &arena, &payload), FLZ_KIND_PULSE);
    assert_int_equal(flz_decode(&flz_codec_pulse, payload, &arena, &pulse), 0);
    assert_true(pulse.echo_boot_ms == heartbeat.boot_ms);
    assert_true(pulse.lease_ms > 0 && pulse.lease_ms <= 15 * 60000);
    assert_true(pulse.rate_milli == 1000);
    say(client, identity_signer(&identity), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, &identity, SILENCE_MS, &arena, &payload), 0); /* replayed */
    (void)bus_client_close(client);
}

static void a_killed_coordinator_knows_its_nodes(void **state)
{
    struct world *world = *state;
    _cleanup_(identity_deinit) struct identity identity = joined(world, "n6");
    struct bus_client *client = connect_as(&identity);
    struct flz_welcome before = welcomed(client, &identity);
    (void)bus_client_close(client);

    stop(world, SIGKILL);
    start(world, NULL);
    client = connect_as(&identity);
    struct flz_welcome after = welcomed(client, &identity);
    assert_true(after.header.epoch > before.header.epoch);
    assert_true(flz_id_equal(after.header.generation, before.header.generation));
    (void)bus_client_close(client);

    stop(world, SIGTERM);
    start(world, "--restored");
    client = connect_as(&identity);
    struct flz_welcome restored = welcomed(client, &identity);
    assert_false(flz_id_equal(restored.header.generation, before.header.generation));
    (void)bus_client_close(client);
    stop(world, SIGTERM);
    start(world, NULL);
}

static void a_revoked_node_is_cut_off(void **state)
{
    const struct world *world = *state;
    _cleanup_(identity_deinit) struct identity identity = joined(world, "n7");
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view payload;
    struct bus_client *client = connect_as(&identity);
    (void)welcomed(client, &identity);
    assert_int_equal(
        run(world, "$B/fluenzrctl -i $D/net/admin node revoke n7 --yes >/dev/null 2>&1"),
        0);
    /* On the connection that still stands: not one more answer. */
    struct flz_heartbeat heartbeat = heartbeat_of(&identity, 50);
    say(client, identity_signer(&identity), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, &identity, SILENCE_MS, &arena, &payload), 0);
    (void)bus_client_close(client);
}

/* The next frame of a kind; others are passed over. */
static void hear_kind(struct bus_client *client, const struct identity *identity, uint32_t want,
                      struct flz_arena *arena, struct flz_view *ret_payload)
{
    uint32_t kind;
    while ((kind = hear(client, identity, ANSWER_MS, arena, ret_payload)) != want)
        assert_int_not_equal(kind, 0);
}

static void assert_revokes(const struct identity *identity, struct flz_view payload, uint64_t from,
                           struct flz_id node)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_revocations frame;
    struct flz_revocation revocation;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(flz_decode(&flz_codec_revocations, payload, &arena, &frame), 0);
    assert_int_equal(frame.from, from);
    assert_int_equal(frame.revocations_count, 1);
    if (flz_cert_check_revocation(&identity->trust, frame.revocations[0], &revocation, &msg) < 0)
        fail_msg("%s", msg.text);
    assert_true(flz_id_equal(revocation.node, node));
}

static void a_revocation_is_told_at_once_and_to_whoever_lacks_it(void **state)
{
    struct world *world = *state;
    _cleanup_(identity_deinit) struct identity stays = joined(world, "n8");
    _cleanup_(identity_deinit) struct identity goes = joined(world, "n9");
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view payload;
    struct flz_pulse pulse;
    struct bus_client *client = connect_as(&stays);
    (void)welcomed(client, &stays);
    struct flz_heartbeat heartbeat = heartbeat_of(&stays, 5);
    say(client, identity_signer(&stays), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    hear_kind(client, &stays, FLZ_KIND_PULSE, &arena, &payload);
    assert_int_equal(flz_decode(&flz_codec_pulse, payload, &arena, &pulse), 0);
    uint64_t before = pulse.revocation_version;
    heartbeat = heartbeat_of(&stays, 6);
    heartbeat.revocation_version = before;
    say(client, identity_signer(&stays), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, &stays, ANSWER_MS, &arena, &payload), FLZ_KIND_PULSE);

    assert_int_equal(
        run(world, "$B/fluenzrctl -i $D/net/admin node revoke n9 --yes >/dev/null 2>&1"), 0);
    assert_int_equal(hear(client, &stays, ANSWER_MS, &arena, &payload), FLZ_KIND_REVOCATIONS);
    assert_revokes(&stays, payload, before, goes.node);
    (void)bus_client_close(client);

    /* It is in the log: another life tells it too, before the pulse that speaks of it. */
    stop(world, SIGKILL);
    start(world, NULL);
    client = connect_as(&stays);
    (void)welcomed(client, &stays);
    say(client, identity_signer(&stays), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, &stays, ANSWER_MS, &arena, &payload), FLZ_KIND_REVOCATIONS);
    assert_revokes(&stays, payload, before, goes.node);
    assert_int_equal(hear(client, &stays, ANSWER_MS, &arena, &payload), FLZ_KIND_PULSE);
    assert_int_equal(flz_decode(&flz_codec_pulse, payload, &arena, &pulse), 0);
    assert_int_equal(pulse.revocation_version, before + 1);
    (void)bus_client_close(client);
}

static void a_second_coordinator_on_the_same_state_does_not_start(void **state)
{
    const struct world *world = *state;
    assert_int_equal(run(world, "timeout 20 $B/fluenzr-coordinator --config $D/coord.yaml "
                                "2>$D/second.log"),
                     75);
    assert_int_equal(run(world, "grep -q start_failed $D/second.log"), 0);
}

static void a_configuration_that_cannot_be_is_refused(void **state)
{
    const struct world *world = *state;
    assert_int_equal(run(world, "{ cat $D/coord.yaml; echo 'lisen: x'; } > $D/bad.yaml; "
                                "$B/fluenzr-coordinator --check --config $D/bad.yaml 2>$D/bad.log"),
                     78);
    assert_int_equal(run(world, "grep -q \"bad.yaml:10:1: unknown key 'lisen'\" $D/bad.log"), 0);
}

/* Whatever is in the folder of an ended life cannot be told from a backup: so it is marked. */
static void a_backup_is_made_beside_the_work_read_and_put_back(void **state)
{
    struct world *world = *state;
    static const char generation[] = "$B/fluenzrctl -i $D/net/admin -o json status | "
                                     "grep -o '\"generation\": \"[0-9a-f]*\"' >$D/generation.%d";
    assert_int_equal(run(world, generation, 1), 0);
    assert_int_equal(run(world, "$B/fluenzrctl -q -i $D/net/admin pause network --reason before"),
                     0);
    assert_int_equal(run(world, "$B/fluenzrctl -q -i $D/net/admin backup create >$D/path && "
                                "test -e \"$(cat $D/path)/restored-from-backup\""),
                     0);
    assert_int_equal(run(world, "$B/fluenzrctl -q -i $D/net/admin resume network && "
                                "$B/fluenzrctl -q -i $D/net/admin backup verify "
                                "\"$(basename $(cat $D/path))\" >/dev/null"),
                     0);

    /* Reading it has left it as it was; another one, whose tables were not, is told from it. */
    assert_int_equal(run(world, "cd $D/state/backup && test \"$(ls -A)\" = \"$(basename $(cat "
                                "$D/path))\" && cp -a \"$(cat $D/path)\" 2026-01-01T000000Z && "
                                "for f in 2026-01-01T000000Z/store/*.sst; do printf XXXXXXXX | "
                                "dd of=$f bs=1 seek=20 conv=notrunc 2>/dev/null; done"),
                     0);
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin backup verify 2026-01-01T000000Z "
                                "2>$D/damage"),
                     2);
    (void)usleep(1100000); /* names tell seconds */
    assert_int_equal(run(world, "$B/fluenzrctl -q -i $D/net/admin backup create --keep 2 >$D/path2 "
                                "&& test $(ls $D/state/backup | wc -l) = 2 && "
                                "test -e \"$(cat $D/path)\" && test -e \"$(cat $D/path2)\""),
                     0);

    stop(world, SIGKILL);
    assert_int_equal(run(world, "mv $D/state $D/lost && "
                                "cp -a \"$D/lost/backup/$(basename $(cat $D/path))\" $D/state"),
                     0);
    start(world, NULL);
    assert_int_equal(run(world, generation, 2), 0);
    assert_int_equal(run(world, "! cmp -s $D/generation.1 $D/generation.2 && "
                                "test ! -e $D/state/restored-from-backup && "
                                "$B/fluenzrctl -i $D/net/admin status | grep -q 'restored from' && "
                                "$B/fluenzrctl -i $D/net/admin pause ls | grep -q before"),
                     0);
    stop(world, SIGKILL);
    start(world, NULL);
    assert_int_equal(run(world, generation, 3), 0);
    assert_int_equal(run(world, "cmp $D/generation.2 $D/generation.3 && "
                                "$B/fluenzrctl -i $D/net/admin audit verify >/dev/null"),
                     0);
}

/* A clock that makes a day of each second: what was done before a restart is old after it. */
static void old_events_are_archived_and_still_shown(void **state)
{
    struct world *world = *state;
    stop(world, SIGTERM);
    write_config(world, "lab:\n  clock_rate_milli: 100000000\nkeep:\n  log: 1d\n");
    start(world, NULL);
    assert_int_equal(run(world, "$B/fluenzrctl -q -i $D/net/admin pause network --reason old"), 0);
    (void)usleep(2500000);
    /* A restarted lab goes on from the newest event's time. */
    assert_int_equal(run(world, "$B/fluenzrctl -q -i $D/net/admin resume network"), 0);
    stop(world, SIGTERM);
    start(world, NULL);
    assert_int_equal(run(world, "for i in $(seq 100); do ls $D/state/archive/*.segments && exit 0; "
                                "sleep 0.1; done >/dev/null 2>&1; exit 1"),
                     0);
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin events --limit 1000 >$D/events && "
                                "grep -q ' 1 .*lead' $D/events && "
                                "grep -q 'paused .*text=old' $D/events"),
                     0);
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin audit verify >/dev/null && "
                                "$B/fluenzrctl -q -i $D/net/admin audit prove 1 --out $D/proof && "
                                "$B/fluenzrctl -i $D/net/admin audit check $D/proof >/dev/null"),
                     0);
    stop(world, SIGTERM);
    assert_int_equal(run(world, "rm $D/state/archive/*.segments"), 0);
    start(world, NULL);
    assert_int_equal(run(world, "grep -q 'archive_damaged.*[.]segments' $D/coord.log"), 0);
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin audit verify 2>$D/audit"), 2);
    assert_int_equal(run(world, "grep -q 'segment 1 is missing' $D/audit"), 0);
}

/* As if the host's clock had jumped ahead by months, within one boot of the machine. */
static void a_refused_step_lasts_until_it_is_confirmed(void **state)
{
    struct world *world = *state;
    static const char refused[] = "$B/fluenzrctl -i $D/net/admin -o json status >$D/status.json; "
                                  "grep -q CLOCK_REFUSED $D/status.json";
    stop(world, SIGTERM);
    assert_int_equal(run(world, "rm -r $D/state"), 0);
    write_config(world, "lab:\n  clock_rate_milli: 1001\n  start: 2026-01-05T06:00:00Z\n");
    start(world, NULL);
    stop(world, SIGTERM);
    write_config(world, "");
    start(world, NULL);
    assert_int_equal(run(world, refused), 0);
    stop(world, SIGKILL);
    start(world, NULL);
    assert_int_equal(run(world, refused), 0); /* a restart is no word of an administrator */
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin clock confirm --yes >$D/said && "
                                "grep -q 'goes forward by' $D/said"),
                     0);
    assert_int_equal(run(world, refused), 1);
    stop(world, SIGKILL);
    start(world, NULL);
    assert_int_equal(run(world, refused), 1); /* and his word outlives one */
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin audit verify >/dev/null"), 0);
}

/* ---- A full disk (I14, I19) ---- */

#define DISK_MIB 480

static const char *state_dir(const struct world *world)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/state", world->dir);
    return path;
}

static int setup_small(void **state)
{
    struct world *world = open_world();
    assert_int_equal(fsutil_mkdir(state_dir(world), 0700, NULL), 0);
    if (tree_mount(state_dir(world), "tmpfs", DISK_MIB) == 0) /* only root can */
        start(world, NULL);
    *state = world;
    return 0;
}

static int teardown_small(void **state)
{
    struct world *world = *state;
    stop(world, SIGTERM);
    tree_unmount(state_dir(world));
    close_world(world);
    return 0;
}

/* Leaves so much free, and gives the coordinator time to see it. */
static void fill(const struct world *world, unsigned free_mib)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/filler%u", state_dir(world), free_mib);
    tree_fill(path, (uint64_t)free_mib << 20);
    (void)usleep(1500000);
}

/* A report that asks for nothing: the account is unknown. */
static void tell_report(struct bus_client *client, const struct identity *identity, uint64_t seq,
                        uint64_t report_seq)
{
    struct flz_report report = {.seq = report_seq, .kind = FLZ_REPORT_RELEASE};
    struct flz_reports frame = {
        .header = {.network = identity->trust.network, .node = identity->node, .seq = seq},
        .incarnation = {.b = {7}},
        .reports = &report,
        .reports_count = 1,
    };
    say(client, identity_signer(identity), FLZ_KIND_REPORTS, &flz_codec_reports, &frame);
}

/* The report acknowledged by the next ACK, whatever else comes before it. */
static uint64_t acked(struct bus_client *client, const struct identity *identity)
{
    for (;;) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct flz_view payload;
        struct flz_ack ack;
        uint32_t kind = hear(client, identity, ANSWER_MS, &arena, &payload);
        assert_int_not_equal(kind, 0);
        if (kind != FLZ_KIND_ACK)
            continue;
        assert_int_equal(flz_decode(&flz_codec_ack, payload, &arena, &ack), 0);
        return ack.report_seq;
    }
}

/* The heartbeat is answered; behind the pulse comes the last acknowledgement again. */
static void assert_patience(struct bus_client *client, const struct identity *identity,
                            uint64_t seq, uint64_t report_seq)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view payload;
    struct flz_heartbeat heartbeat = heartbeat_of(identity, seq);
    say(client, identity_signer(identity), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, identity, ANSWER_MS, &arena, &payload), FLZ_KIND_PULSE);
    assert_int_equal(acked(client, identity), report_seq);
}

static int control(const struct world *world, const char *words)
{
    return run(world, "$B/fluenzrctl -i $D/net/admin %s >>$D/control.log 2>&1", words);
}

static void nearly_full(const struct world *world, struct bus_client *client,
                        const struct identity *identity)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    invite(world, "n2");
    fill(world, 150);
    tell_report(client, identity, 3, 2);
    tell_report(client, identity, 4, 3);
    assert_patience(client, identity, 5, 1);
    assert_int_equal(control(world, "resume network"), 75);
    assert_int_equal(run(world, "grep -q 'nothing was changed.*nearly full' $D/control.log"), 0);
    assert_int_equal(control(world, "pause network --reason disk"), 0);
    assert_int_equal(enrol_as(world, "n2", &msg), -EACCES);
    assert_non_null(strstr(msg.text, "nearly full"));
    assert_int_equal(run(world, "$B/fluenzrctl -i $D/net/admin -o json status >$D/status.json; "
                                "grep -q HELD_BACK $D/status.json"),
                     0);
    assert_int_equal(run(world, "curl -s 127.0.0.1:%d/readyz?verbose | grep -q 'nearly full'",
                         world->port_http),
                     0);
}

static void fuller_still(const struct world *world, struct bus_client *client,
                         const struct identity *identity)
{
    fill(world, 20);
    assert_int_equal(control(world, "pause network --reason disk"), 75);
    tell_report(client, identity, 6, 4);
    tell_report(client, identity, 7, 5);
    tell_report(client, identity, 8, 6); /* a fifth: more than a node may leave unacknowledged */
    struct flz_heartbeat heartbeat = heartbeat_of(identity, 9);
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_view payload;
    say(client, identity_signer(identity), FLZ_KIND_HEARTBEAT, &flz_codec_heartbeat, &heartbeat);
    assert_int_equal(hear(client, identity, ANSWER_MS, &arena, &payload), FLZ_KIND_PULSE);
    assert_int_equal(hear(client, identity, SILENCE_MS, &arena, &payload), 0);
    assert_int_equal(waitpid(world->coordinator, NULL, WNOHANG), 0); /* it lives */
}

static void a_full_disk_is_waited_out(void **state)
{
    const struct world *world = *state;
    if (!world->coordinator)
        skip();
    _cleanup_(identity_deinit) struct identity identity = joined(world, "n1");
    struct bus_client *client = connect_as(&identity);
    (void)welcomed(client, &identity);
    tell_report(client, &identity, 2, 1);
    assert_int_equal(acked(client, &identity), 1);

    nearly_full(world, client, &identity);
    fuller_still(world, client, &identity);

    assert_int_equal(run(world, "rm $D/state/filler*"), 0);
    /* In order, on the same connection, without a word of the node. */
    for (uint64_t seq = 2; seq <= 5; seq++)
        assert_int_equal(acked(client, &identity), seq);
    assert_int_equal(control(world, "resume network"), 0);
    assert_int_equal(run(world, "grep -q going_on $D/coord.log"), 0);
    (void)bus_client_close(client);
}

int main(void)
{
    if (!getenv("FLZ_BIN") || !getenv("FLZ_SOURCE")) {
        (void)fprintf(stderr, "FLZ_BIN and FLZ_SOURCE name the programs and the sources\n");
        return 1;
    }
    if (sodium_init() < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_enrols_one_node_once),
        cmocka_unit_test(a_damaged_token_is_refused_with_words),
        cmocka_unit_test(an_unknown_key_is_not_let_in),
        cmocka_unit_test(a_forged_hello_is_not_answered),
        cmocka_unit_test(a_heartbeat_is_answered_once),
        cmocka_unit_test(a_killed_coordinator_knows_its_nodes),
        cmocka_unit_test(a_revoked_node_is_cut_off),
        cmocka_unit_test(a_revocation_is_told_at_once_and_to_whoever_lacks_it),
        cmocka_unit_test(a_second_coordinator_on_the_same_state_does_not_start),
        cmocka_unit_test(a_configuration_that_cannot_be_is_refused),
        cmocka_unit_test(a_backup_is_made_beside_the_work_read_and_put_back),
        cmocka_unit_test(a_refused_step_lasts_until_it_is_confirmed),
        cmocka_unit_test(old_events_are_archived_and_still_shown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_waited_out, setup_small, teardown_small),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
