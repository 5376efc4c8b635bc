/*
 * Sealed blobs: XChaCha20-Poly1305 under a data key of their own, which is wrapped by a key
 * encryption key (KEK). Rotation re-wraps the data key and leaves the sealed bytes alone.
 *
 * Blob, version 1:
 *     "FZS1" · 8 bytes KEK id · 24 nonce · 48 wrapped data key · 24 nonce · ciphertext + 16 tag
 * The wrapping authenticates "fluenzr/seal-key/v1\0" · KEK id · AAD; the box
 * "fluenzr/seal-box/v1\0" · AAD. The AAD says what the blob is for (node id, account id, version),
 * so that a blob moved to another place does not open.
 *
 * A KEK comes from a systemd credential, from a key file outside the data folder, or from a
 * passphrase by argon2id, whose salt and cost stand in a parameter file beside the store.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/sys/secret.h"

#include <stdbool.h>

#define SEAL_KEY_LEN 32
#define SEAL_OVERHEAD (4 + 8 + 24 + 48 + 24 + 16)
#define SEAL_PLAIN_MAX 65536

enum {
    SEAL_E_KEY = 1, /* sealed under another KEK */
    SEAL_E_DAMAGED, /* cut, altered, of an unknown version, or sealed for another AAD */
};

struct seal_key {
    struct flz_key_id id;
    struct flz_secret secret; /* SEAL_KEY_LEN bytes */
};

#define SEAL_KEY_NULL ((struct seal_key){.secret = {.data = NULL}})

enum seal_source_kind {
    SEAL_SOURCE_CREDENTIAL, /* `name` in $CREDENTIALS_DIRECTORY */
    SEAL_SOURCE_FILE,       /* `name` is the path of a key file of kind "seal" */
    SEAL_SOURCE_PASSPHRASE, /* `name` is the path of the argon2id parameter file */
};

/* The words of the configuration, in the order of the enum; NULL-terminated. */
extern const char *const seal_source_words[];

struct seal_source {
    enum seal_source_kind kind;
    const char *name;                    /* borrowed */
    const struct flz_secret *passphrase; /* borrowed; for SEAL_SOURCE_PASSPHRASE */
};

/*
 * Opens the KEK. A credential holds a key file's text. The passphrase form takes 256 MiB and about
 * a second. 0, -ENOENT, -EPERM, -EINVAL, -ENOMEM, -errno.
 */
int seal_key_open(const struct seal_source *source, struct seal_key *ret_key, struct flz_msg *msg);

/* Makes the source ready: a new key file, or new parameters. -EEXIST when there is one already;
 * -EOPNOTSUPP for a credential, which the service manager makes. */
int seal_key_create(const struct seal_source *source, struct flz_msg *msg);

/* A fresh random key; for data keys kept as blobs of their own, and for tests. 0 or -ENOMEM. */
int seal_key_generate(struct seal_key *ret_key);

/* Takes SEAL_KEY_LEN bytes over from `secret`, which becomes null. -EINVAL for another length. */
int seal_key_of_secret(struct flz_secret *secret, struct seal_key *ret_key);

void seal_key_deinit(struct seal_key *key);

/* Appends the blob. 0, -EMSGSIZE (more than SEAL_PLAIN_MAX bytes), -ENOMEM. */
int seal_close(const struct seal_key *kek, struct flz_view aad, struct flz_view plain,
               struct flz_buf *ret_blob);

/* Opens a blob into guarded memory (null secret for an empty plain text). 0, SEAL_E_KEY,
 * SEAL_E_DAMAGED, -ENOMEM. */
int seal_open(const struct seal_key *kek, struct flz_view aad, struct flz_view blob,
              struct flz_secret *ret_plain);

/* The KEK a blob names. 0 or SEAL_E_DAMAGED. */
int seal_blob_key(struct flz_view blob, struct flz_key_id *ret_id);
