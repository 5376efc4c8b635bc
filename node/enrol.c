#include "node/enrol.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "common/sys/keys.h"
#include "proto/cert.h"
#include "proto/codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_TEXT_MAX 16384

/* Everything gathered on the way; deinit accepts any half of it. */
struct enrolment {
    char dir[4096];
    struct flz_arena arena;
    struct flz_join_token token;
    struct keys_sign_pair sign;
    struct keys_curve_pair curve;
    struct flz_buf certificate;
    struct flz_msg *msg;
};

static void enrolment_deinit(struct enrolment *e)
{
    keys_sign_deinit(&e->sign);
    keys_curve_deinit(&e->curve);
    flz_buf_deinit(&e->certificate);
    sodium_memzero(e->token.token_seed, sizeof e->token.token_seed);
    flz_arena_deinit(&e->arena);
}

static void path_of(const struct enrolment *e, const char *name, char path[static 4200])
{
    (void)snprintf(path, 4200, "%s/%s", e->dir, name);
}

static int read_token(struct enrolment *e, const char *token_file)
{
    _cleanup_(flz_secret_deinit) struct flz_secret text = FLZ_SECRET_NULL;
    _cleanup_(flz_wipe_buf) struct flz_buf bytes = FLZ_BUF_NULL;
    int r = fsutil_read_secret(token_file, TOKEN_TEXT_MAX, &text, e->msg);
    if (r < 0)
        return r;
    struct flz_view line = flz_secret_view(&text);
    while (line.len > 0 && line.data[line.len - 1] <= ' ')
        line.len--;
    size_t prefix = sizeof FLZ_JOIN_TOKEN_PREFIX - 1;
    if (!flz_buf_reserve(&bytes, line.len))
        return flz_fail(-ENOMEM);
    if (line.len <= prefix || memcmp(line.data, FLZ_JOIN_TOKEN_PREFIX, prefix) != 0 ||
        flz_base64url_decode(
            (struct flz_view){.data = line.data + prefix, .len = line.len - prefix}, &bytes) < 0 ||
        flz_decode(&flz_codec_join_token, flz_buf_view(&bytes), &e->arena, &e->token) < 0) {
        flz_msg_set(e->msg,
                    "%s: not a join token; copy the whole line that 'fluenzrctl node "
                    "invite' printed",
                    token_file);
        r = flz_fail(-EINVAL);
    }
    return r;
}

/* Loads the key pair of an interrupted enrolment, or makes one. */
static int own_keys(struct enrolment *e)
{
    char path[4200];
    path_of(e, "node.sign", path);
    int r = access(path, F_OK) == 0 ? keys_sign_load(path, &e->sign, e->msg)
                                    : keys_sign_generate(&e->sign);
    if (r == 0 && access(path, F_OK) != 0)
        r = keys_sign_save(path, &e->sign, e->msg);
    if (r < 0)
        return r;
    path_of(e, "node.curve", path);
    r = access(path, F_OK) == 0 ? keys_curve_load(path, &e->curve, e->msg)
                                : keys_curve_generate(&e->curve);
    if (r == 0 && access(path, F_OK) != 0)
        r = keys_curve_save(path, &e->curve, e->msg);
    return r;
}

/* The token's key pair lives for this one signature. */
struct token_key {
    unsigned char secret[crypto_sign_SECRETKEYBYTES];
};

static int on_token_sign(const struct flz_digest *digest, struct flz_signature *ret_signature,
                         void *data)
{
    const struct token_key *key = data;
    return crypto_sign_detached(ret_signature->b, NULL, digest->b, sizeof digest->b, key->secret) ==
                   0
               ? 0
               : flz_fail(-EIO);
}

static int make_certificate(struct enrolment *e)
{
    struct flz_node_certificate node = {
        .admin_certificate = e->token.admin_certificate,
        .invite = e->token.invite,
        .sign_key = e->sign.public_key,
        .curve_key = e->curve.public_key,
        .created = flz_realtime_ms(),
    };
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    int r = flz_encode(&flz_codec_node_certificate, &node, &payload);
    if (r < 0)
        return r;
    struct token_key key;
    struct flz_signer signer = {.on_sign = on_token_sign, .data = &key};
    (void)crypto_sign_seed_keypair(signer.key.b, key.secret, e->token.token_seed);
    r = flz_seal_signed(FLZ_KIND_NODE, flz_buf_view(&payload), &signer, &e->certificate);
    sodium_memzero(&key, sizeof key);
    return r;
}

static int write_line(const struct enrolment *e, const char *name, struct flz_view bytes)
{
    char path[4200];
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    flz_base64url_encode(bytes, &text);
    flz_buf_add_byte(&text, '\n');
    path_of(e, name, path);
    return fsutil_write(path, 0600, flz_buf_view(&text), e->msg);
}

/* Whether `certificate` was made with this token: it proves who may present it again. */
static bool is_of_token(const struct enrolment *e, const struct flz_buf *certificate)
{
    struct flz_node_identity identity;
    struct flz_sign_public token;
    struct token_key key;
    struct flz_trust trust = {.network = e->token.network, .root = e->token.root};
    (void)crypto_sign_seed_keypair(token.b, key.secret, e->token.token_seed);
    sodium_memzero(&key, sizeof key);
    return flz_cert_check_node(&trust, flz_buf_view(certificate), &identity, NULL) == 0 &&
           memcmp(identity.token_key.b, token.b, sizeof token.b) == 0 &&
           memcmp(identity.sign_key.b, e->sign.public_key.b, sizeof token.b) == 0 &&
           memcmp(identity.curve_key.b, e->curve.public_key.b, sizeof token.b) == 0;
}

/* The certificate of an interrupted enrolment with this same token; false: there is none. */
static bool load_certificate(struct enrolment *e)
{
    char path[4200];
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    path_of(e, "node.cert", path);
    if (access(path, F_OK) != 0 || fsutil_read(path, TOKEN_TEXT_MAX, &text, NULL) < 0)
        return false;
    while (text.len > 0 && text.data[text.len - 1] <= ' ')
        text.len--;
    if (flz_base64url_decode(flz_buf_view(&text), &e->certificate) == 0 &&
        is_of_token(e, &e->certificate))
        return true;
    flz_buf_reset(&e->certificate);
    return false;
}

/* An interrupted enrolment presents the very same certificate: the token is burned only once. A
 * certificate that another token made is of no use any more. */
static int own_certificate(struct enrolment *e)
{
    if (load_certificate(e))
        return 0;
    struct flz_node_identity identity;
    struct flz_trust trust = {.network = e->token.network, .root = e->token.root};
    int r = make_certificate(e);
    if (r == 0)
        r = flz_cert_check_node(&trust, flz_buf_view(&e->certificate), &identity, e->msg);
    if (r < 0) {
        flz_msg_wrap(e->msg, "this token cannot enrol this node");
        return r;
    }
    return write_line(e, "node.cert", flz_buf_view(&e->certificate));
}

static int ask(struct enrolment *e, int timeout_ms, struct flz_buf *answer)
{
    struct flz_join join = {.node_certificate = flz_buf_view(&e->certificate)};
    (void)flz_text_copy(join.version, sizeof join.version, FLZ_VERSION);
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_signer signer = {
        .key = e->sign.public_key, .on_sign = keys_on_sign, .data = &e->sign};
    int r = flz_encode(&flz_codec_join, &join, &payload);
    if (r == 0)
        r = flz_seal_signed(FLZ_KIND_JOIN, flz_buf_view(&payload), &signer, &bytes);
    if (r < 0)
        return r;
    struct bus_target target = {
        .endpoint = e->token.enrol_endpoint, .server = &e->token.coordinator_key, .own = &e->curve};
    r = bus_request(&target, flz_buf_view(&bytes), timeout_ms, answer, e->msg);
    if (r == BUS_E_TIMEOUT || r == BUS_E_UNREACHABLE) {
        flz_msg_set(e->msg,
                    "no answer from the coordinator at %s; is it running, and is the port "
                    "open? enrol again when it is",
                    e->token.enrol_endpoint);
        return flz_fail(-EAGAIN);
    }
    return flz_fold(r);
}

/* The issuers whose certificates the root signed; at least the one that answered. */
static int keep_issuers(struct enrolment *e, const struct flz_joined *joined,
                        const struct flz_signed *message)
{
    struct flz_trust trust = {.network = e->token.network, .root = e->token.root};
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    bool answered = false;
    for (size_t i = 0; i < joined->issuers_count; i++) {
        struct flz_certificate certificate;
        int r = flz_cert_check(&trust, joined->issuers[i], flz_realtime_ms(), &certificate, e->msg);
        if (r < 0)
            return r;
        answered = answered || (certificate.role == FLZ_ROLE_ISSUER &&
                                flz_verify_signed(message, &certificate.key) == 0);
        flz_base64url_encode(joined->issuers[i], &text);
        flz_buf_add_byte(&text, '\n');
    }
    if (!answered) {
        flz_msg_set(e->msg, "the answer was not signed by a coordinator of this network");
        return flz_fail(-EKEYREJECTED);
    }
    char path[4200];
    path_of(e, "issuers", path);
    return fsutil_write(path, 0600, flz_buf_view(&text), e->msg);
}

static int keep_trust(struct enrolment *e)
{
    char root[KEYS_TEXT_MAX], coordinator[KEYS_TEXT_MAX], path[4200];
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    keys_sign_format(e->token.root, root);
    keys_curve_format(e->token.coordinator_key, coordinator);
    flz_buf_printf(&text,
                   "# Made by enrolment. Whom this node believes, and where to find it.\n"
                   "network: \"%s\"\nroot: \"%s\"\nname: \"%s\"\ncontact: \"%s\"\n"
                   "endpoint: \"%s\"\ncoordinator: \"%s\"\n",
                   flz_id_str(e->token.network), root, e->token.network_name, e->token.contact,
                   e->token.node_endpoint, coordinator);
    path_of(e, "trust.yaml", path);
    /* Written last: its presence says that the node is enrolled. */
    return fsutil_write(path, 0600, flz_buf_view(&text), e->msg);
}

static int take_answer(struct enrolment *e, struct flz_view bytes)
{
    struct flz_signed message;
    struct flz_joined joined;
    if (flz_open_signed(bytes, &e->arena, &message) < 0 || message.kind != FLZ_KIND_JOINED ||
        flz_decode(&flz_codec_joined, message.payload, &e->arena, &joined) < 0) {
        flz_msg_set(e->msg, "the coordinator's answer cannot be read");
        return flz_fail(-EBADMSG);
    }
    if (!joined.accepted) {
        flz_msg_set(e->msg, "the coordinator refused this node: %s", joined.text);
        return flz_fail(-EACCES);
    }
    int r = keep_issuers(e, &joined, &message);
    return r < 0 ? r : keep_trust(e);
}

int enrol(const char *state_dir, const char *token_file, int timeout_ms, struct flz_msg *msg)
{
    _cleanup_(enrolment_deinit) struct enrolment e = {
        .sign = KEYS_SIGN_NULL, .curve = KEYS_CURVE_NULL, .msg = msg};
    _cleanup_(flz_buf_deinit) struct flz_buf answer = FLZ_BUF_NULL;
    (void)snprintf(e.dir, sizeof e.dir, "%s/identity", state_dir);
    int r = fsutil_mkdir(e.dir, 0700, msg);
    if (r == 0)
        r = read_token(&e, token_file);
    if (r == 0)
        r = own_keys(&e);
    if (r == 0)
        r = own_certificate(&e);
    if (r == 0)
        r = ask(&e, timeout_ms, &answer);
    if (r == 0)
        r = take_answer(&e, flz_buf_view(&answer));
    return r;
}
