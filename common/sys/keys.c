#include "common/sys/keys.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define FILE_TEXT_MAX 4096
#define HEADER "fluenzr-key v1 "
#define SEED_LEN 32

/* ---- Pairs ---- */

static int sign_from_seed(const uint8_t *seed, struct keys_sign_pair *ret_pair)
{
    struct keys_sign_pair pair = KEYS_SIGN_NULL;
    int r = flz_secret_new(crypto_sign_SECRETKEYBYTES, &pair.secret);
    if (r < 0)
        return r;
    (void)crypto_sign_seed_keypair(pair.public_key.b, pair.secret.data, seed);
    pair.id = keys_sign_id(pair.public_key);
    *ret_pair = pair;
    return 0;
}

int keys_sign_generate(struct keys_sign_pair *ret_pair)
{
    _cleanup_(flz_secret_deinit) struct flz_secret seed = FLZ_SECRET_NULL;
    int r = flz_secret_random(SEED_LEN, &seed);
    return r < 0 ? r : sign_from_seed(seed.data, ret_pair);
}

static int curve_from_secret(struct flz_secret *secret, struct keys_curve_pair *ret_pair)
{
    struct keys_curve_pair pair = {.secret = *secret};
    if (crypto_scalarmult_base(pair.public_key.b, pair.secret.data) != 0)
        return flz_fail(-EINVAL);
    *secret = FLZ_SECRET_NULL;
    *ret_pair = pair;
    return 0;
}

int keys_curve_generate(struct keys_curve_pair *ret_pair)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    int r = flz_secret_random(SEED_LEN, &secret);
    return r < 0 ? r : curve_from_secret(&secret, ret_pair);
}

void keys_sign_deinit(struct keys_sign_pair *pair)
{
    flz_secret_deinit(&pair->secret);
}

void keys_curve_deinit(struct keys_curve_pair *pair)
{
    flz_secret_deinit(&pair->secret);
}

/* ---- Files ---- */

static int decode_base64url(struct flz_view text, struct flz_secret *ret_secret)
{
    _cleanup_(flz_wipe_buf) struct flz_buf bytes = FLZ_BUF_NULL;
    /* All the room at once: a buffer that moves leaves its old bytes behind. */
    if (!flz_buf_reserve(&bytes, text.len))
        return flz_fail(-ENOMEM);
    int r = flz_base64url_decode(text, &bytes);
    return r < 0 ? r : flz_secret_copy(flz_buf_view(&bytes), ret_secret);
}

static int parse_file(const char *path, struct flz_view text, const char *kind, size_t len,
                      struct flz_secret *ret_secret, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret key = FLZ_SECRET_NULL;
    char header[128];
    int n = snprintf(header, sizeof header, HEADER "%s\n", kind);
    if (text.len <= (size_t)n || memcmp(text.data, header, (size_t)n) != 0) {
        flz_msg_set(msg, "%s: not a key file of kind '%s'", path, kind);
        return flz_fail(-EINVAL);
    }
    text.data += n;
    text.len -= (size_t)n;
    while (text.len > 0 && text.data[text.len - 1] <= ' ')
        text.len--;
    if (decode_base64url(text, &key) < 0 || key.len != len) {
        flz_msg_set(msg, "%s: the key is damaged", path);
        return flz_fail(-EINVAL);
    }
    *ret_secret = key;
    key = FLZ_SECRET_NULL;
    return 0;
}

int keys_secret_load(const char *path, const char *kind, size_t len, struct flz_secret *ret_secret,
                     struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret file = FLZ_SECRET_NULL;
    int r = fsutil_read_secret(path, FILE_TEXT_MAX, &file, msg);
    return r < 0 ? r : parse_file(path, flz_secret_view(&file), kind, len, ret_secret, msg);
}

int keys_secret_load_credential(const char *path, const char *kind, size_t len,
                                struct flz_secret *ret_secret, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret file = FLZ_SECRET_NULL;
    int r = fsutil_read_credential(path, FILE_TEXT_MAX, &file, msg);
    return r < 0 ? r : parse_file(path, flz_secret_view(&file), kind, len, ret_secret, msg);
}

int keys_secret_save(const char *path, const char *kind, const struct flz_secret *secret,
                     struct flz_msg *msg)
{
    _cleanup_(flz_wipe_buf) struct flz_buf text = FLZ_BUF_NULL;
    /* All the room at once: a buffer that moves leaves its old bytes behind. */
    (void)flz_buf_reserve(&text, FILE_TEXT_MAX);
    flz_buf_printf(&text, HEADER "%s\n", kind);
    flz_base64url_encode(flz_secret_view(secret), &text);
    flz_buf_add_byte(&text, '\n');
    int r = flz_buf_error(&text);
    return r < 0 ? r : fsutil_write_new(path, 0600, flz_buf_view(&text), msg);
}

int keys_sign_load(const char *path, struct keys_sign_pair *ret_pair, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret seed = FLZ_SECRET_NULL;
    int r = keys_secret_load(path, "sign", SEED_LEN, &seed, msg);
    return r < 0 ? r : sign_from_seed(seed.data, ret_pair);
}

int keys_curve_load(const char *path, struct keys_curve_pair *ret_pair, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    int r = keys_secret_load(path, "curve", SEED_LEN, &secret, msg);
    return r < 0 ? r : curve_from_secret(&secret, ret_pair);
}

int keys_sign_save(const char *path, const struct keys_sign_pair *pair, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret seed = FLZ_SECRET_NULL;
    int r = flz_secret_new(SEED_LEN, &seed);
    if (r < 0)
        return r;
    (void)crypto_sign_ed25519_sk_to_seed(seed.data, pair->secret.data);
    return keys_secret_save(path, "sign", &seed, msg);
}

int keys_curve_save(const char *path, const struct keys_curve_pair *pair, struct flz_msg *msg)
{
    return keys_secret_save(path, "curve", &pair->secret, msg);
}

/* ---- Signing ---- */

struct flz_key_id keys_sign_id(struct flz_sign_public public_key)
{
    struct flz_digest digest =
        flz_digest_of((struct flz_view){.data = public_key.b, .len = sizeof public_key.b});
    struct flz_key_id id;
    memcpy(id.b, digest.b, sizeof id.b);
    return id;
}

struct flz_signature keys_sign_digest(const struct keys_sign_pair *pair, struct flz_digest digest)
{
    struct flz_signature signature;
    (void)crypto_sign_detached(signature.b, NULL, digest.b, sizeof digest.b, pair->secret.data);
    return signature;
}

bool keys_verify_digest(struct flz_sign_public public_key, struct flz_digest digest,
                        struct flz_signature signature)
{
    return crypto_sign_verify_detached(signature.b, digest.b, sizeof digest.b, public_key.b) == 0;
}

int keys_on_sign(const struct flz_digest *digest, struct flz_signature *ret_signature, void *pair)
{
    *ret_signature = keys_sign_digest(pair, *digest);
    return 0;
}

/* ---- Texts ---- */

static void format_key(const uint8_t *key, char ret_text[static KEYS_TEXT_MAX])
{
    (void)sodium_bin2base64(ret_text, KEYS_TEXT_MAX, key, 32,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static int parse_key(const char *text, uint8_t *ret_key)
{
    uint8_t key[32];
    size_t len;
    if (sodium_base642bin(key, sizeof key, text, strlen(text), NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        len != sizeof key)
        return flz_fail(-EINVAL);
    memcpy(ret_key, key, sizeof key);
    return 0;
}

void keys_sign_format(struct flz_sign_public key, char ret_text[static KEYS_TEXT_MAX])
{
    format_key(key.b, ret_text);
}

int keys_sign_parse(const char *text, struct flz_sign_public *ret_key)
{
    return parse_key(text, ret_key->b);
}

void keys_curve_format(struct flz_curve_public key, char ret_text[static KEYS_TEXT_MAX])
{
    format_key(key.b, ret_text);
}

int keys_curve_parse(const char *text, struct flz_curve_public *ret_key)
{
    return parse_key(text, ret_key->b);
}

/* ZeroMQ RFC 32. */
static const char z85[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}"
    "@%$#";

void keys_curve_to_z85(struct flz_curve_public key, char ret_text[static KEYS_Z85_LEN + 1])
{
    for (int i = 0; i < 8; i++) {
        uint32_t word = flz_be32(key.b + 4 * i);
        for (int j = 4; j >= 0; j--, word /= 85)
            ret_text[5 * i + j] = z85[word % 85];
    }
    ret_text[KEYS_Z85_LEN] = '\0';
}

int keys_curve_of_z85(const char *text, struct flz_curve_public *ret_key)
{
    struct flz_curve_public key;
    if (strlen(text) != KEYS_Z85_LEN)
        return flz_fail(-EINVAL);
    for (int i = 0; i < 8; i++) {
        uint64_t word = 0;
        for (int j = 0; j < 5; j++) {
            const char *at = strchr(z85, text[5 * i + j]);
            if (!at)
                return flz_fail(-EINVAL);
            word = word * 85 + (uint64_t)(at - z85);
        }
        if (word > UINT32_MAX)
            return flz_fail(-EINVAL);
        flz_put_be32(key.b + 4 * i, (uint32_t)word);
    }
    *ret_key = key;
    return 0;
}
