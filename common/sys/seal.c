#include "common/sys/seal.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"
#include "common/sys/keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NONCE_LEN 24
#define TAG_LEN 16
#define WRAPPED_LEN (SEAL_KEY_LEN + TAG_LEN)
#define PARAMETERS_MAX 512
#define PASSPHRASE_MEMORY (256u << 20)
#define MEMORY_MAX (UINT64_C(4) << 30)
#define OPS_MAX 64

static const char magic[] = "FZS1";
const char *const seal_source_words[] = {"credential", "file", "passphrase", NULL};

void seal_key_deinit(struct seal_key *key)
{
    flz_secret_deinit(&key->secret);
}

int seal_key_of_secret(struct flz_secret *secret, struct seal_key *ret_key)
{
    if (secret->len != SEAL_KEY_LEN)
        return flz_fail(-EINVAL);
    /* The name must not tell the key: a keyed hash of nothing but its purpose. */
    struct flz_hash hash;
    flz_hash_init_keyed(&hash, flz_secret_view(secret), sizeof(struct flz_digest));
    flz_hash_add(&hash, "fluenzr/seal-id/v1", 18);
    struct flz_digest digest = flz_hash_digest(&hash);
    struct seal_key key = {.secret = *secret};
    memcpy(key.id.b, digest.b, sizeof key.id.b);
    *secret = FLZ_SECRET_NULL;
    *ret_key = key;
    return 0;
}

int seal_key_generate(struct seal_key *ret_key)
{
    struct flz_secret secret = FLZ_SECRET_NULL;
    int r = flz_secret_random(SEAL_KEY_LEN, &secret);
    return r < 0 ? r : seal_key_of_secret(&secret, ret_key);
}

/* ---- Where a KEK comes from ---- */

/* The argon2id parameters: "fluenzr-kdf v1 argon2id <ops> <memory> <salt base64url>". */
struct parameters {
    unsigned long long ops;
    size_t memory;
    uint8_t salt[crypto_pwhash_SALTBYTES];
};

static int read_parameters(const char *path, struct parameters *ret_parameters,
                           struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf salt = FLZ_BUF_NULL;
    int r = fsutil_read(path, PARAMETERS_MAX, &text, msg);
    if (r < 0)
        return r;
    struct parameters p;
    char encoded[64];
    if (sscanf(flz_buf_str(&text), "fluenzr-kdf v1 argon2id %llu %zu %63s", &p.ops, &p.memory,
               encoded) != 3 ||
        flz_base64url_decode(flz_view_str(encoded), &salt) < 0 || salt.len != sizeof p.salt ||
        p.memory > MEMORY_MAX || p.memory < crypto_pwhash_MEMLIMIT_MIN || p.ops > OPS_MAX ||
        p.ops < crypto_pwhash_OPSLIMIT_MIN) {
        flz_msg_set(msg, "%s: not a parameter file of argon2id", path);
        return flz_fail(-EINVAL);
    }
    memcpy(p.salt, salt.data, sizeof p.salt);
    *ret_parameters = p;
    return 0;
}

static int open_passphrase(const struct seal_source *source, struct flz_secret *ret_secret,
                           struct flz_msg *msg)
{
    struct parameters p;
    int r = read_parameters(source->name, &p, msg);
    if (r < 0)
        return r;
    if (!source->passphrase || source->passphrase->len == 0) {
        flz_msg_set(msg, "a passphrase is needed to open the vault");
        return flz_fail(-EINVAL);
    }
    r = flz_secret_new(SEAL_KEY_LEN, ret_secret);
    if (r < 0)
        return r;
    if (crypto_pwhash(ret_secret->data, SEAL_KEY_LEN, (const char *)source->passphrase->data,
                      source->passphrase->len, p.salt, p.ops, p.memory,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        flz_secret_deinit(ret_secret);
        flz_msg_set(msg, "no memory for argon2id (%zu MiB)", p.memory >> 20);
        return flz_fail(-ENOMEM);
    }
    return 0;
}

static int credential_path(const char *name, char path[static 4096], struct flz_msg *msg)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (!dir) {
        flz_msg_set(msg, "no credential '%s': the service manager gave none (LoadCredential=)",
                    name);
        return flz_fail(-ENOENT);
    }
    (void)snprintf(path, 4096, "%s/%s", dir, name);
    return 0;
}

int seal_key_open(const struct seal_source *source, struct seal_key *ret_key, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    char path[4096];
    int r = 0;
    switch (source->kind) {
    case SEAL_SOURCE_CREDENTIAL:
        r = credential_path(source->name, path, msg);
        if (r == 0)
            r = keys_secret_load_credential(path, "seal", SEAL_KEY_LEN, &secret, msg);
        break;
    case SEAL_SOURCE_FILE:
        r = keys_secret_load(source->name, "seal", SEAL_KEY_LEN, &secret, msg);
        break;
    case SEAL_SOURCE_PASSPHRASE: r = open_passphrase(source, &secret, msg); break;
    }
    return r < 0 ? r : seal_key_of_secret(&secret, ret_key);
}

static int create_parameters(const char *path, struct flz_msg *msg)
{
    uint8_t salt[crypto_pwhash_SALTBYTES];
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    randombytes_buf(salt, sizeof salt);
    flz_buf_printf(&text, "fluenzr-kdf v1 argon2id %llu %u ",
                   (unsigned long long)crypto_pwhash_OPSLIMIT_MODERATE, PASSPHRASE_MEMORY);
    flz_base64url_encode((struct flz_view){.data = salt, .len = sizeof salt}, &text);
    flz_buf_add_byte(&text, '\n');
    return fsutil_write_new(path, 0600, flz_buf_view(&text), msg);
}

int seal_key_create(const struct seal_source *source, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    int r;
    switch (source->kind) {
    case SEAL_SOURCE_FILE:
        r = flz_secret_random(SEAL_KEY_LEN, &secret);
        return r < 0 ? r : keys_secret_save(source->name, "seal", &secret, msg);
    case SEAL_SOURCE_PASSPHRASE: return create_parameters(source->name, msg);
    case SEAL_SOURCE_CREDENTIAL: break;
    }
    flz_msg_set(msg, "a credential is made by the service manager: systemd-creds encrypt");
    return flz_fail(-EOPNOTSUPP);
}

/* ---- Boxes ---- */

static int fill_key_aad(const struct seal_key *kek, struct flz_view aad, struct flz_buf *out)
{
    flz_buf_add(out, "fluenzr/seal-key/v1", 20);
    flz_buf_add(out, kek->id.b, sizeof kek->id.b);
    flz_buf_add_view(out, aad);
    return flz_buf_error(out);
}

static int fill_box_aad(struct flz_view aad, struct flz_buf *out)
{
    flz_buf_add(out, "fluenzr/seal-box/v1", 20);
    flz_buf_add_view(out, aad);
    return flz_buf_error(out);
}

/* Appends nonce and ciphertext. */
static int close_box(const struct flz_secret *key, struct flz_view aad, struct flz_view plain,
                     struct flz_buf *out)
{
    uint8_t *p = flz_buf_reserve(out, NONCE_LEN + plain.len + TAG_LEN);
    if (!p)
        return flz_fail(-ENOMEM);
    randombytes_buf(p, NONCE_LEN);
    unsigned long long len;
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(p + NONCE_LEN, &len, plain.data, plain.len,
                                                     aad.data, aad.len, NULL, p, key->data);
    out->len += NONCE_LEN + (size_t)len;
    return 0;
}

/* `box` is nonce and ciphertext. 0 or SEAL_E_DAMAGED or negative. */
static int open_box(const struct flz_secret *key, struct flz_view aad, struct flz_view box,
                    struct flz_secret *ret_plain)
{
    if (box.len < NONCE_LEN + TAG_LEN)
        return SEAL_E_DAMAGED;
    size_t len = box.len - NONCE_LEN - TAG_LEN;
    struct flz_secret plain = FLZ_SECRET_NULL;
    int r = len > 0 ? flz_secret_new(len, &plain) : 0;
    if (r < 0)
        return r;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain.data, NULL, NULL, box.data + NONCE_LEN,
                                                   box.len - NONCE_LEN, aad.data, aad.len, box.data,
                                                   key->data) != 0) {
        flz_secret_deinit(&plain);
        return SEAL_E_DAMAGED;
    }
    *ret_plain = plain;
    return 0;
}

static int add_wrapped(const struct seal_key *kek, struct flz_view aad,
                       const struct flz_secret *data_key, struct flz_buf *out)
{
    _cleanup_(flz_buf_deinit) struct flz_buf key_aad = FLZ_BUF_NULL;
    int r = fill_key_aad(kek, aad, &key_aad);
    if (r < 0)
        return r;
    flz_buf_add(out, magic, 4);
    flz_buf_add(out, kek->id.b, sizeof kek->id.b);
    return close_box(&kek->secret, flz_buf_view(&key_aad), flz_secret_view(data_key), out);
}

int seal_close(const struct seal_key *kek, struct flz_view aad, struct flz_view plain,
               struct flz_buf *ret_blob)
{
    _cleanup_(flz_secret_deinit) struct flz_secret data_key = FLZ_SECRET_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf box_aad = FLZ_BUF_NULL;
    if (plain.len > SEAL_PLAIN_MAX)
        return flz_fail(-EMSGSIZE);
    size_t start = ret_blob->len;
    int r = flz_secret_random(SEAL_KEY_LEN, &data_key);
    if (r == 0)
        r = fill_box_aad(aad, &box_aad);
    if (r == 0)
        r = add_wrapped(kek, aad, &data_key, ret_blob);
    if (r == 0)
        r = close_box(&data_key, flz_buf_view(&box_aad), plain, ret_blob);
    if (r < 0)
        ret_blob->len = start;
    return r;
}

int seal_blob_key(struct flz_view blob, struct flz_key_id *ret_id)
{
    if (blob.len < SEAL_OVERHEAD || memcmp(blob.data, magic, 4) != 0)
        return SEAL_E_DAMAGED;
    memcpy(ret_id->b, blob.data + 4, sizeof ret_id->b);
    return 0;
}

static int unwrap(const struct seal_key *kek, struct flz_view aad, struct flz_view blob,
                  struct flz_secret *ret_data_key, struct flz_view *ret_box)
{
    _cleanup_(flz_buf_deinit) struct flz_buf key_aad = FLZ_BUF_NULL;
    struct flz_key_id id;
    int r = seal_blob_key(blob, &id);
    if (r != 0)
        return r;
    if (memcmp(id.b, kek->id.b, sizeof id.b) != 0)
        return SEAL_E_KEY;
    r = fill_key_aad(kek, aad, &key_aad);
    if (r < 0)
        return r;
    struct flz_view wrapped = {.data = blob.data + 12, .len = NONCE_LEN + WRAPPED_LEN};
    r = open_box(&kek->secret, flz_buf_view(&key_aad), wrapped, ret_data_key);
    *ret_box = (struct flz_view){.data = wrapped.data + wrapped.len,
                                 .len = blob.len - 12 - wrapped.len};
    return r;
}

int seal_open(const struct seal_key *kek, struct flz_view aad, struct flz_view blob,
              struct flz_secret *ret_plain)
{
    _cleanup_(flz_secret_deinit) struct flz_secret data_key = FLZ_SECRET_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf box_aad = FLZ_BUF_NULL;
    struct flz_view box;
    int r = unwrap(kek, aad, blob, &data_key, &box);
    if (r == 0)
        r = fill_box_aad(aad, &box_aad);
    if (r != 0)
        return r;
    return open_box(&data_key, flz_buf_view(&box_aad), box, ret_plain);
}
