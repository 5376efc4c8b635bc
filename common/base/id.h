/*
 * Ids and keys of fixed size. Each kind of key is its own struct, so that the compiler refuses a
 * mix-up. Ids are public; secrets live in struct flz_secret (common/sys/secret.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FLZ_ID_HEX_LEN 32

/* 16 bytes, made by a shell or derived (DESIGN 4). All zero is FLZ_ID_NULL: no id. */
struct flz_id {
    uint8_t b[16];
};

#define FLZ_ID_NULL ((struct flz_id){.b = {0}})

/* A BLAKE2b-256 digest. */
struct flz_digest {
    uint8_t b[32];
};

/* An Ed25519 public key, and its short name (first 8 bytes of BLAKE2b-256 of the key). */
struct flz_sign_public {
    uint8_t b[32];
};
struct flz_key_id {
    uint8_t b[8];
};
struct flz_signature {
    uint8_t b[64];
};

/* An X25519 public key (CURVE). */
struct flz_curve_public {
    uint8_t b[32];
};

bool flz_id_equal(struct flz_id a, struct flz_id b);
bool flz_id_is_null(struct flz_id id);

/* Lower-case hex with a final NUL. */
void flz_id_format(struct flz_id id, char hex[static FLZ_ID_HEX_LEN + 1]);

/* A view into a static ring of 8 texts of this thread, for log lines and messages. */
const char *flz_id_str(struct flz_id id);

/* Exactly 32 hex digits. 0 or -EINVAL. */
int flz_id_parse(const char *hex, struct flz_id *ret_id);
