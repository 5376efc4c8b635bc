#include "common/base/hash.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(sizeof(struct flz_hash) >= sizeof(crypto_generichash_state), "hash state fits");

static crypto_generichash_state *state(struct flz_hash *hash)
{
    return (crypto_generichash_state *)(void *)hash->state;
}

void flz_hash_init_keyed(struct flz_hash *hash, struct flz_view key, size_t out_len)
{
    assert(key.len <= crypto_generichash_KEYBYTES_MAX);
    assert(out_len >= 16);
    int r = crypto_generichash_init(state(hash), key.data, key.len, out_len);
    assert(r == 0);
}

void flz_hash_init(struct flz_hash *hash)
{
    flz_hash_init_keyed(hash, FLZ_VIEW_NULL, sizeof(struct flz_digest));
}

void flz_hash_add(struct flz_hash *hash, const void *data, size_t len)
{
    (void)crypto_generichash_update(state(hash), data, len);
}

void flz_hash_add_piece(struct flz_hash *hash, const void *data, size_t len)
{
    uint8_t prefix[4];
    flz_put_be32(prefix, (uint32_t)len);
    flz_hash_add(hash, prefix, sizeof prefix);
    flz_hash_add(hash, data, len);
}

void flz_hash_add_u64(struct flz_hash *hash, uint64_t v)
{
    uint8_t b[8];
    flz_put_be64(b, v);
    flz_hash_add(hash, b, sizeof b);
}

struct flz_digest flz_hash_digest(struct flz_hash *hash)
{
    struct flz_digest digest;
    (void)crypto_generichash_final(state(hash), digest.b, sizeof digest.b);
    return digest;
}

struct flz_id flz_hash_id(struct flz_hash *hash)
{
    struct flz_id id;
    (void)crypto_generichash_final(state(hash), id.b, sizeof id.b);
    return id;
}

struct flz_digest flz_digest_of(struct flz_view data)
{
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add(&hash, data.data, data.len);
    return flz_hash_digest(&hash);
}

void flz_hash_init_id(struct flz_hash *hash, struct flz_view key, const char *domain)
{
    flz_hash_init_keyed(hash, key, sizeof(struct flz_id));
    flz_hash_add_piece(hash, domain, strlen(domain));
}

bool flz_digest_equal(struct flz_digest a, struct flz_digest b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}
