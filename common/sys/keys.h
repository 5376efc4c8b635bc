/*
 * Key pairs: Ed25519 for signatures, X25519 for CURVE. Two kinds, never converted into each other.
 *
 * Key file (0600, refused when group or others may read it), two lines:
 *     fluenzr-key v1 <kind>
 *     base64url of the bytes
 * with kind `sign` (32-byte Ed25519 seed), `curve` (32-byte X25519 secret), or for symmetric keys
 * the name given by their user.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/sys/secret.h"

#include <stdbool.h>

#define KEYS_Z85_LEN 40
#define KEYS_TEXT_MAX 48 /* base64url of 32 bytes, with the NUL and to spare */

struct keys_sign_pair {
    struct flz_sign_public public_key;
    struct flz_key_id id;
    struct flz_secret secret; /* 64 bytes, as libsodium keeps them */
};

struct keys_curve_pair {
    struct flz_curve_public public_key;
    struct flz_secret secret; /* 32 bytes */
};

#define KEYS_SIGN_NULL ((struct keys_sign_pair){.secret = {.data = NULL}})
#define KEYS_CURVE_NULL ((struct keys_curve_pair){.secret = {.data = NULL}})

/* 0 or -ENOMEM (secret memory is full). */
int keys_sign_generate(struct keys_sign_pair *ret_pair);
int keys_curve_generate(struct keys_curve_pair *ret_pair);

void keys_sign_deinit(struct keys_sign_pair *pair);
void keys_curve_deinit(struct keys_curve_pair *pair);

/* 0, -EPERM (others may read the file), -EINVAL (not such a key file), -errno. */
int keys_sign_load(const char *path, struct keys_sign_pair *ret_pair, struct flz_msg *msg);
int keys_curve_load(const char *path, struct keys_curve_pair *ret_pair, struct flz_msg *msg);

/* Never overwrites: 0, -EEXIST, -errno. */
int keys_sign_save(const char *path, const struct keys_sign_pair *pair, struct flz_msg *msg);
int keys_curve_save(const char *path, const struct keys_curve_pair *pair, struct flz_msg *msg);

/* Symmetric keys under a kind of their own ("seal", "network", …) and of a stated length. */
int keys_secret_load(const char *path, const char *kind, size_t len, struct flz_secret *ret_secret,
                     struct flz_msg *msg);
/* The same from a file that the service manager gives (fsutil_read_credential()). */
int keys_secret_load_credential(const char *path, const char *kind, size_t len,
                                struct flz_secret *ret_secret, struct flz_msg *msg);
int keys_secret_save(const char *path, const char *kind, const struct flz_secret *secret,
                     struct flz_msg *msg);

/* The short name of a signing key: the first 8 bytes of its BLAKE2b-256. */
struct flz_key_id keys_sign_id(struct flz_sign_public public_key);

/*
 * Ed25519 over the 32 bytes of a digest. The digest covers the domain prefix "fluenzr/<kind>/v1\0"
 * and the bytes (the envelope makes it).
 */
struct flz_signature keys_sign_digest(const struct keys_sign_pair *pair, struct flz_digest digest);
bool keys_verify_digest(struct flz_sign_public public_key, struct flz_digest digest,
                        struct flz_signature signature);

/* The same as a callback: `pair` is a const struct keys_sign_pair *. Always 0. */
int keys_on_sign(const struct flz_digest *digest, struct flz_signature *ret_signature, void *pair);

/* Public keys as text: base64url without padding, 43 characters; with a final NUL. */
void keys_sign_format(struct flz_sign_public key, char ret_text[static KEYS_TEXT_MAX]);
int keys_sign_parse(const char *text, struct flz_sign_public *ret_key);
void keys_curve_format(struct flz_curve_public key, char ret_text[static KEYS_TEXT_MAX]);
int keys_curve_parse(const char *text, struct flz_curve_public *ret_key);

/* Z85 (ZeroMQ RFC 32), as ZeroMQ tools print CURVE keys. 0 or -EINVAL. */
void keys_curve_to_z85(struct flz_curve_public key, char ret_text[static KEYS_Z85_LEN + 1]);
int keys_curve_of_z85(const char *text, struct flz_curve_public *ret_key);
