#include "tests/lib/coordfake.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/content/content.h"
#include "proto/xheader.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACK "deploy/content/en.pack"

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "coordfake: %s\n", what);
    abort();
}

struct flz_id coordfake_id(void)
{
    struct flz_id id;
    randombytes_buf(id.b, sizeof id.b);
    return id;
}

static struct flz_signer signer_of(const struct keys_sign_pair *key)
{
    return (struct flz_signer){
        .key = key->public_key, .on_sign = keys_on_sign, .data = (void *)(uintptr_t)key};
}

static void seal(enum flz_kind kind, const struct flz_codec *codec, const void *object,
                 const struct keys_sign_pair *key, struct flz_buf *buf)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = signer_of(key);
    must(flz_encode(codec, object, &payload) == 0, "encode");
    must(flz_seal_signed(kind, flz_buf_view(&payload), &signer, buf) == 0, "seal");
}

/* ---- Time ---- */

int64_t coordfake_now(const struct coordfake *fake)
{
    return COORDFAKE_NETWORK_START + fake->jump_ms +
           (flz_boottime_ms() - fake->base_boot) * fake->rate_milli / 1000;
}

/* ---- Sending ---- */

void coordfake_send(struct coordfake *fake, enum flz_kind kind, const struct flz_codec *codec,
                    const void *frame, const struct keys_sign_pair *key)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    seal(kind, codec, frame, key, &bytes);
    if (fake->has_peer)
        (void)bus_send(fake->nodes, &fake->peer, flz_buf_view(&bytes));
}

struct flz_frame_header coordfake_header(struct coordfake *fake)
{
    return (struct flz_frame_header){.network = fake->network,
                                     .node = fake->node,
                                     .epoch = fake->epoch,
                                     .generation = fake->generation,
                                     .seq = ++fake->seq};
}

void coordfake_order(struct coordfake *fake, const struct flz_task *tasks, size_t n)
{
    struct flz_view certificate = flz_buf_view(&fake->node_certificate);
    struct flz_tasks frame = {.header = coordfake_header(fake),
                              .tasks = tasks,
                              .tasks_count = n,
                              .certificates = &certificate,
                              .certificates_count = 1};
    coordfake_send(fake, FLZ_KIND_TASKS, &flz_codec_tasks, &frame, &fake->issuer);
}

/* ---- Answers ---- */

static void on_hello(struct coordfake *fake, struct flz_view payload)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    must(flz_decode(&flz_codec_hello, payload, &arena, &fake->hello) == 0, "hello");
    fake->hellos++;
    if (!flz_id_equal(fake->incarnation, fake->hello.incarnation))
        fake->acked = 0;
    fake->incarnation = fake->hello.incarnation;
    struct flz_welcome welcome = {.header = coordfake_header(fake),
                                  .accepted = !fake->refuses,
                                  .report_acked = fake->acked,
                                  .incarnation = fake->incarnation};
    if (fake->refuses)
        (void)snprintf(welcome.text, sizeof welcome.text, "this node was revoked");
    coordfake_send(fake, FLZ_KIND_WELCOME, &flz_codec_welcome, &welcome, &fake->issuer);
}

static void on_heartbeat(struct coordfake *fake, struct flz_view payload)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    must(flz_decode(&flz_codec_heartbeat, payload, &arena, &fake->heartbeat) == 0, "heartbeat");
    fake->heartbeats++;
    if (fake->deaf)
        return;
    int64_t now = coordfake_now(fake);
    struct flz_pulse pulse = {
        .header = coordfake_header(fake),
        .echo_boot_ms = fake->heartbeat.boot_ms,
        .lease_ms = fake->lease_ms,
        .network_now = now,
        .rate_milli = fake->rate_milli,
        .horizon = now + 30 * fake->rate_milli,
        .revocation_version = fake->revocations,
        .pauses = &fake->pause,
        .pauses_count = fake->pause.scope ? 1 : 0,
        .suppressed = &fake->suppressed,
        .suppressed_count = flz_id_is_null(fake->suppressed) ? 0 : 1,
    };
    coordfake_send(fake, FLZ_KIND_PULSE, &flz_codec_pulse, &pulse, &fake->issuer);
}

static struct flz_id key_of(const char *address)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "coordfake/address");
    flz_hash_add(&hash, address, strlen(address));
    return flz_hash_id(&hash);
}

static size_t slot_of(struct coordfake *fake, const char *address)
{
    uint32_t slot = flz_map_get(&fake->accounts_by_address, key_of(address));
    if (slot != FLZ_MAP_NONE)
        return slot;
    must(fake->accounts_count < COORDFAKE_ACCOUNTS_MAX, "too many accounts");
    must(flz_map_set(&fake->accounts_by_address, key_of(address),
                     (uint32_t)fake->accounts_count) == 0,
         "memory");
    return fake->accounts_count++;
}

static void take_account(struct coordfake *fake, const struct flz_report *report,
                         struct flz_verdict *verdict)
{
    size_t i = slot_of(fake, report->account.address);
    must(flz_map_set(&fake->accounts_by_id, report->account.id, (uint32_t)i) == 0, "memory");
    fake->accounts[i] = report->account;
    flz_buf_reset(&fake->attestations[i]);
    flz_buf_add_view(&fake->attestations[i], report->account.attestation);
    fake->accounts[i].attestation = flz_buf_view(&fake->attestations[i]);
    *verdict = (struct flz_verdict){.seq = report->seq,
                                    .accepted = !fake->refuses_accounts,
                                    .account = flz_id_is_null(fake->renames_to) ? report->account.id
                                                                                : fake->renames_to};
    if (fake->refuses_accounts)
        (void)snprintf(verdict->text, sizeof verdict->text, "%s", fake->refuses_accounts);
}

static void take_probe(struct coordfake *fake, const struct flz_probe *probe)
{
    uint32_t i = flz_map_get(&fake->accounts_by_id, probe->account);
    fake->probes_count++;
    if (i != FLZ_MAP_NONE)
        fake->probes[i] = *probe;
}

static void on_reports(struct coordfake *fake, struct flz_view payload)
{
    static struct flz_verdict verdicts[FLZ_FRAME_REPORTS_MAX];
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_reports reports;
    must(flz_decode(&flz_codec_reports, payload, &arena, &reports) == 0, "reports");
    struct flz_ack ack = {.incarnation = fake->incarnation, .verdicts = verdicts};
    if (fake->keeps_reports)
        return;
    for (size_t i = 0; i < reports.reports_count; i++) {
        const struct flz_report *report = &reports.reports[i];
        if (report->seq <= fake->acked)
            continue;
        must(report->seq == fake->acked + 1, "the reports have a gap");
        fake->acked = report->seq;
        switch ((enum flz_report_kind)report->kind) {
        case FLZ_REPORT_RECEIPT:
            must(fake->receipts_count < COORDFAKE_RECEIPTS_MAX, "too many receipts");
            fake->receipts[fake->receipts_count] = report->receipt;
            fake->receipts[fake->receipts_count++].voucher = FLZ_VIEW_NULL;
            flz_buf_reset(&fake->voucher);
            flz_buf_add_view(&fake->voucher, report->receipt.voucher);
            break;
        case FLZ_REPORT_ACCOUNT: take_account(fake, report, &verdicts[ack.verdicts_count++]); break;
        case FLZ_REPORT_PROBE: take_probe(fake, &report->probe); break;
        case FLZ_REPORT_BOUNCE:
        case FLZ_REPORT_COMPLAINT:
        case FLZ_REPORT_AUTOREPLY:
            fake->notices[fake->notices_count++ % COORDFAKE_NOTICES_MAX] = *report;
            break;
        case FLZ_REPORT_RELEASE: fake->releases++; break;
        }
    }
    ack.header = coordfake_header(fake);
    ack.report_seq = fake->acked;
    coordfake_send(fake, FLZ_KIND_ACK, &flz_codec_ack, &ack, &fake->issuer);
}

static void on_node_message(struct bus_socket *socket, const struct bus_message *bytes, void *data)
{
    struct coordfake *fake = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    must(flz_open_signed(bytes->bytes, &arena, &message) == 0, "an unsigned message");
    fake->peer = bytes->peer;
    fake->has_peer = true;
    switch (message.kind) {
    case FLZ_KIND_HELLO: on_hello(fake, message.payload); break;
    case FLZ_KIND_HEARTBEAT: on_heartbeat(fake, message.payload); break;
    case FLZ_KIND_REPORTS: on_reports(fake, message.payload); break;
    default: must(false, "a kind that nodes do not send");
    }
}

static void on_join(struct bus_socket *socket, const struct bus_message *bytes, void *data)
{
    struct coordfake *fake = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf answer = FLZ_BUF_NULL;
    struct flz_signed message;
    struct flz_join join;
    struct flz_node_identity node;
    struct flz_msg msg;
    struct flz_trust trust = {.network = fake->network, .root = fake->root.public_key};
    must(flz_open_signed(bytes->bytes, &arena, &message) == 0 && message.kind == FLZ_KIND_JOIN &&
             flz_decode(&flz_codec_join, message.payload, &arena, &join) == 0,
         "join");
    must(flz_cert_check_node(&trust, join.node_certificate, &node, &msg) == 0, msg.text);
    must(flz_verify_signed(&message, &node.sign_key) == 0, "join's signature");
    fake->joins++;
    flz_buf_reset(&fake->node_certificate);
    flz_buf_add_view(&fake->node_certificate, join.node_certificate);
    must(bus_allow(fake->nodes, &node.curve_key, 1) == 0, "allow");
    struct flz_joined joined = {.accepted = true, .issuers = fake->issuers, .issuers_count = 1};
    seal(FLZ_KIND_JOINED, &flz_codec_joined, &joined, &fake->issuer, &answer);
    (void)bus_send(socket, &bytes->peer, flz_buf_view(&answer));
}

/* ---- Life ---- */

static void certify(struct coordfake *fake, const struct keys_sign_pair *key, enum flz_role role,
                    struct flz_buf *buf)
{
    int64_t now = flz_realtime_ms();
    struct flz_certificate certificate = {.network = fake->network,
                                          .key = key->public_key,
                                          .curve_key = fake->curve.public_key,
                                          .role = role,
                                          .scope = "network",
                                          .name = "test",
                                          .serial = 1,
                                          .not_before = now - FLZ_HOUR_MS,
                                          .not_after = now + FLZ_DAY_MS};
    seal(FLZ_KIND_CERTIFICATE, &flz_codec_certificate, &certificate, &fake->root, buf);
}

struct coordfake *coordfake_new(void)
{
    struct coordfake *fake = calloc(1, sizeof *fake);
    struct flz_msg msg = FLZ_MSG_NULL;
    must(fake && uv_loop_init(&fake->loop) == 0, "loop");
    fake->receipts = calloc(COORDFAKE_RECEIPTS_MAX, sizeof *fake->receipts);
    fake->accounts = calloc(COORDFAKE_ACCOUNTS_MAX, sizeof *fake->accounts);
    fake->attestations = calloc(COORDFAKE_ACCOUNTS_MAX, sizeof *fake->attestations);
    fake->probes = calloc(COORDFAKE_ACCOUNTS_MAX, sizeof *fake->probes);
    must(fake->receipts && fake->accounts && fake->attestations && fake->probes, "memory");
    must(keys_sign_generate(&fake->root) == 0 && keys_sign_generate(&fake->issuer) == 0 &&
             keys_sign_generate(&fake->admin) == 0 && keys_curve_generate(&fake->curve) == 0,
         "keys");
    fake->network = coordfake_id();
    fake->node = coordfake_id();
    fake->generation = coordfake_id();
    fake->epoch = 1;
    fake->lease_ms = 15 * FLZ_MINUTE_MS;
    fake->rate_milli = 1000;
    fake->base_boot = flz_boottime_ms();
    certify(fake, &fake->issuer, FLZ_ROLE_ISSUER, &fake->issuer_certificate);
    certify(fake, &fake->admin, FLZ_ROLE_ADMIN, &fake->admin_certificate);
    fake->issuers[0] = flz_buf_view(&fake->issuer_certificate);
    must(bus_new(&fake->loop, NULL, NULL, &fake->bus, &msg) == 0, msg.text);
    struct bus_callbacks nodes = {.on_message = on_node_message, .data = fake};
    struct bus_callbacks doors = {.on_message = on_join, .data = fake};
    must(bus_listen_curve(fake->bus, "tcp://127.0.0.1:*", &fake->curve, nodes, &fake->nodes,
                          &msg) == 0 &&
             bus_listen_open_curve(fake->bus, "tcp://127.0.0.1:*", &fake->curve, doors,
                                   &fake->doors, &msg) == 0,
         msg.text);
    return fake;
}

struct coordfake *coordfake_free(struct coordfake *fake)
{
    if (!fake)
        return NULL;
    (void)bus_free(fake->bus);
    (void)uv_run(&fake->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&fake->loop);
    keys_sign_deinit(&fake->root);
    keys_sign_deinit(&fake->issuer);
    keys_sign_deinit(&fake->admin);
    keys_curve_deinit(&fake->curve);
    flz_buf_deinit(&fake->issuer_certificate);
    flz_buf_deinit(&fake->admin_certificate);
    flz_buf_deinit(&fake->node_certificate);
    flz_buf_deinit(&fake->voucher);
    for (size_t i = 0; i < fake->accounts_count; i++)
        flz_buf_deinit(&fake->attestations[i]);
    flz_map_deinit(&fake->accounts_by_id);
    flz_map_deinit(&fake->accounts_by_address);
    free(fake->attestations);
    free(fake->receipts);
    free(fake->accounts);
    free(fake->probes);
    free(fake);
    return NULL;
}

void coordfake_token(struct coordfake *fake, struct flz_buf *text)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf invite_bytes = FLZ_BUF_NULL;
    struct flz_join_token token = {.network = fake->network,
                                   .root = fake->root.public_key,
                                   .admin_certificate = flz_buf_view(&fake->admin_certificate),
                                   .coordinator_key = fake->curve.public_key,
                                   .network_name = "Test",
                                   .contact = "stop@coordinator.test"};
    unsigned char secret[crypto_sign_SECRETKEYBYTES];
    struct flz_invite invite = {.network = fake->network,
                                .node = fake->node,
                                .name = "n1",
                                .not_after = flz_realtime_ms() + FLZ_HOUR_MS};
    randombytes_buf(token.token_seed, sizeof token.token_seed);
    (void)crypto_sign_seed_keypair(invite.token_key.b, secret, token.token_seed);
    seal(FLZ_KIND_INVITE, &flz_codec_invite, &invite, &fake->admin, &invite_bytes);
    token.invite = flz_buf_view(&invite_bytes);
    (void)snprintf(token.enrol_endpoint, sizeof token.enrol_endpoint, "%s",
                   bus_endpoint(fake->doors));
    (void)snprintf(token.node_endpoint, sizeof token.node_endpoint, "%s",
                   bus_endpoint(fake->nodes));
    must(flz_encode(&flz_codec_join_token, &token, &bytes) == 0, "token");
    flz_buf_add_str(text, FLZ_JOIN_TOKEN_PREFIX);
    flz_base64url_encode(flz_buf_view(&bytes), text);
    flz_buf_add_byte(text, '\n');
}

/* ---- Running ---- */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

bool coordfake_wait(struct coordfake *fake, int ms, bool (*on_true)(void *data), void *data)
{
    uv_timer_t tick;
    int64_t until = flz_boottime_ms() + ms;
    bool is_true = false;
    (void)uv_timer_init(&fake->loop, &tick);
    (void)uv_timer_start(&tick, on_tick, 5, 5);
    while (!(is_true = on_true && on_true(data)) && flz_boottime_ms() < until)
        (void)uv_run(&fake->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(&fake->loop, UV_RUN_NOWAIT);
    return is_true;
}

void coordfake_run(struct coordfake *fake, int ms)
{
    (void)coordfake_wait(fake, ms, NULL, NULL);
}

/* ---- Looking ---- */

const struct flz_account *coordfake_account(const struct coordfake *fake, const char *address)
{
    uint32_t i = flz_map_get(&fake->accounts_by_address, key_of(address));
    return i == FLZ_MAP_NONE ? NULL : &fake->accounts[i];
}

const struct flz_probe *coordfake_probe(const struct coordfake *fake, const char *address)
{
    const struct flz_account *account = coordfake_account(fake, address);
    const struct flz_probe *probe = account ? &fake->probes[account - fake->accounts] : NULL;
    return probe && probe->at ? probe : NULL;
}

const struct flz_receipt *coordfake_receipt(const struct coordfake *fake, struct flz_id task,
                                            size_t n)
{
    for (size_t i = 0; i < fake->receipts_count; i++)
        if (flz_id_equal(fake->receipts[i].task, task) && n-- == 0)
            return &fake->receipts[i];
    return NULL;
}

/* ---- Tasks ---- */

static struct flz_digest pack_digest(void)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    char chunk[4096];
    FILE *file = fopen(PACK, "re");
    must(file != NULL, PACK);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        flz_buf_add(&bytes, chunk, n);
    (void)fclose(file);
    return flz_digest_of(flz_buf_view(&bytes));
}

/* The Message-ID of a turn; the same whichever task asks. */
static void message_id_of(struct flz_id exchange, uint32_t turn, const char *from, char *ret_id)
{
    static const uint8_t key[32] = "the test's key for message ids.";
    struct flz_id id = exchange;
    id.b[0] = (uint8_t)(id.b[0] + turn);
    xheader_message_id_of((struct flz_view){.data = key, .len = sizeof key}, id,
                          strchr(from, '@') + 1, ret_id);
}

/* Who sent turn `other`, when turn `turn` goes from `from` to `to`. */
static const char *sender_of(uint32_t other, uint32_t turn, const char *from, const char *to)
{
    return other % 2 == turn % 2 ? from : to;
}

void coordfake_sign_mail(struct coordfake *fake, struct flz_task *task)
{
    struct flz_address from, to;
    struct flz_digest digest;
    struct xheader header = {.network = fake->network,
                             .exchange = task->exchange,
                             .step = task->turn,
                             .time_ms = task->mail_time,
                             .expiry_ms = task->expires,
                             .key = task->mail_key};
    (void)snprintf(header.message_id, sizeof header.message_id, "%s", task->message_id);
    must(flz_address_parse(task->from, &from) == 0 && flz_address_parse(task->to, &to) == 0 &&
             xheader_digest(&header, &from, &to, &digest) == 0,
         "the mail header's fields");
    must(keys_on_sign(&digest, &task->mail_signature, &fake->issuer) == 0, "sign");
}

struct flz_task coordfake_task(struct coordfake *fake, enum flz_task_kind kind,
                               struct flz_id exchange, uint32_t turn, const char *from,
                               const char *to)
{
    static struct flz_text references[16][FLZ_TURNS_MAX]; /* a ring: tasks of one frame */
    static size_t ring;
    struct flz_text *texts = references[ring++ % 16];
    bool sends = kind == FLZ_TASK_SEND || kind == FLZ_TASK_REPLY;
    const struct flz_account *actor = coordfake_account(fake, sends ? from : to);
    const struct flz_account *peer = coordfake_account(fake, sends ? to : from);
    int64_t now = coordfake_now(fake);
    struct flz_task task = {
        .id = coordfake_id(),
        .exchange = exchange,
        .account = actor ? actor->id : FLZ_ID_NULL,
        .peer_account = peer ? peer->id : FLZ_ID_NULL,
        .kind = kind,
        .turn = turn,
        .turns = 3,
        .not_before = now - FLZ_MINUTE_MS,
        .not_after = now + 8 * FLZ_HOUR_MS,
        .deadline = now + 6 * FLZ_HOUR_MS,
        .expires = COORDFAKE_NETWORK_START + 7 * FLZ_DAY_MS,
        .pack = pack_digest(),
        .seed = 7,
        .local_date = (int32_t)(now / FLZ_DAY_MS),
        .day_cap = 20,
        .mail_time = now,
        .mail_key = fake->issuer.id,
        .references = texts,
    };
    (void)snprintf(task.from, sizeof task.from, "%s", from);
    (void)snprintf(task.to, sizeof task.to, "%s", to);
    message_id_of(exchange, turn, from, task.message_id);
    for (uint32_t i = 0; i < turn; i++)
        message_id_of(exchange, i, sender_of(i, turn, from, to), texts[i].text);
    task.references_count = turn;
    if (turn > 0)
        memcpy(task.in_reply_to, texts[turn - 1].text, sizeof task.in_reply_to);
    if (sends && peer) {
        task.attestation = peer->attestation;
        task.attestation_signer = flz_digest_of(flz_buf_view(&fake->node_certificate));
    }
    if (sends)
        coordfake_sign_mail(fake, &task);
    return task;
}

/* ---- Other nodes ---- */

void coordfake_revoke(struct coordfake *fake, struct flz_id node, uint64_t number,
                      const struct keys_sign_pair *key)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_revocation revocation = {.network = fake->network,
                                        .node = node,
                                        .at = flz_realtime_ms(),
                                        .admin_certificate =
                                            flz_buf_view(&fake->admin_certificate)};
    seal(FLZ_KIND_REVOCATION, &flz_codec_revocation, &revocation, key, &bytes);
    struct flz_view view = flz_buf_view(&bytes);
    struct flz_revocations frame = {.header = coordfake_header(fake),
                                    .from = number - 1,
                                    .revocations = &view,
                                    .revocations_count = 1};
    coordfake_send(fake, FLZ_KIND_REVOCATIONS, &flz_codec_revocations, &frame, &fake->issuer);
}

/* Signed(NODE) of a node with the keys `token` and `sign`. */
static void certify_node(struct coordfake *fake, struct flz_id node,
                         const struct keys_sign_pair *token, const struct keys_sign_pair *sign,
                         struct flz_buf *buf)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_invite invite = {.network = fake->network,
                                .node = node,
                                .name = "n2",
                                .token_key = token->public_key,
                                .not_after = flz_realtime_ms() + FLZ_HOUR_MS};
    seal(FLZ_KIND_INVITE, &flz_codec_invite, &invite, &fake->admin, &bytes);
    struct flz_node_certificate certificate = {
        .admin_certificate = flz_buf_view(&fake->admin_certificate),
        .invite = flz_buf_view(&bytes),
        .sign_key = sign->public_key,
        .curve_key = {.b = {5}},
        .created = flz_realtime_ms()};
    seal(FLZ_KIND_NODE, &flz_codec_node_certificate, &certificate, token, buf);
}

void coordfake_order_elsewhere(struct coordfake *fake, struct flz_task task, struct flz_id node)
{
    _cleanup_(keys_sign_deinit) struct keys_sign_pair token = KEYS_SIGN_NULL;
    _cleanup_(keys_sign_deinit) struct keys_sign_pair sign = KEYS_SIGN_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf certificate = FLZ_BUF_NULL, attestation = FLZ_BUF_NULL;
    struct flz_address to;
    must(keys_sign_generate(&token) == 0 && keys_sign_generate(&sign) == 0 &&
             flz_address_parse(task.to, &to) == 0,
         "keys");
    certify_node(fake, node, &token, &sign, &certificate);
    struct flz_attestation claim = {.network = fake->network,
                                    .node = node,
                                    .account = task.peer_account,
                                    .address = flz_address_digest(&to),
                                    .consent_until = task.expires,
                                    .actions = FLZ_ACTION_OPEN};
    seal(FLZ_KIND_ATTESTATION, &flz_codec_attestation, &claim, &sign, &attestation);
    struct flz_view view = flz_buf_view(&certificate);
    task.attestation = flz_buf_view(&attestation);
    task.attestation_signer = flz_digest_of(view);
    struct flz_tasks frame = {.header = coordfake_header(fake),
                              .tasks = &task,
                              .tasks_count = 1,
                              .certificates = &view,
                              .certificates_count = 1};
    coordfake_send(fake, FLZ_KIND_TASKS, &flz_codec_tasks, &frame, &fake->issuer);
}
