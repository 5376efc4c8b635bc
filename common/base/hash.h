/*
 * BLAKE2b (RFC 7693), by libsodium: digests, and ids derived from what they name.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/id.h"

#include <stddef.h>

/* A running BLAKE2b. Opaque storage large enough for libsodium's state. */
struct flz_hash {
    _Alignas(64) uint8_t state[384];
};

void flz_hash_init(struct flz_hash *hash);

/* `out_len` 16..64 bytes; `key` 0..64 bytes. */
void flz_hash_init_keyed(struct flz_hash *hash, struct flz_view key, size_t out_len);
void flz_hash_add(struct flz_hash *hash, const void *data, size_t len);
/* A length-prefixed piece (be32 length, bytes), so that neighbouring pieces cannot run together. */
void flz_hash_add_piece(struct flz_hash *hash, const void *data, size_t len);
void flz_hash_add_u64(struct flz_hash *hash, uint64_t v);
struct flz_digest flz_hash_digest(struct flz_hash *hash);
/* For a hash begun with out_len 16. */
struct flz_id flz_hash_id(struct flz_hash *hash);

/* BLAKE2b-256 of one piece. */
struct flz_digest flz_digest_of(struct flz_view data);

/* Starts a derivation of a 16-byte id: BLAKE2b-128 keyed with `key`, over "domain" as a piece. */
void flz_hash_init_id(struct flz_hash *hash, struct flz_view key, const char *domain);

bool flz_digest_equal(struct flz_digest a, struct flz_digest b);
