/* Keys made of one byte, for tests of what is signed. */
#pragma once

#include "proto/envelope.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct test_key {
    struct flz_sign_public key;
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
};

static inline struct test_key test_key(uint8_t seed)
{
    struct test_key k;
    uint8_t seeds[crypto_sign_SEEDBYTES];
    memset(seeds, seed, sizeof seeds);
    assert_int_equal(crypto_sign_seed_keypair(k.key.b, k.secret, seeds), 0);
    return k;
}

static inline int test_on_sign(const struct flz_digest *digest, struct flz_signature *ret_signature,
                               void *data)
{
    const struct test_key *k = data;
    return crypto_sign_detached(ret_signature->b, NULL, digest->b, sizeof digest->b, k->secret);
}

static inline struct flz_signer test_signer(struct test_key *k)
{
    return (struct flz_signer){.key = k->key, .on_sign = test_on_sign, .data = k};
}
