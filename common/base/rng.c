#include "common/base/rng.h"

#include "common/base/hash.h"

#include <assert.h>

void flz_rng_init(struct flz_rng *rng, struct flz_view seed, uint64_t number)
{
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add_piece(&hash, seed.data, seed.len);
    flz_hash_add_u64(&hash, number);
    struct flz_digest digest = flz_hash_digest(&hash);
    for (int i = 0; i < 4; i++)
        rng->s[i] = flz_be64(digest.b + 8 * i);
}

static uint64_t rotl(uint64_t v, int k)
{
    return v << k | v >> (64 - k);
}

uint64_t flz_rng_next(struct flz_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* Lemire, "Fast random integer generation in an interval" (2019): a multiplication, and a division
 * only for the few draws that might favour a value. */
uint64_t flz_rng_below(struct flz_rng *rng, uint64_t bound)
{
    assert(bound > 0);
    unsigned __int128 product = (unsigned __int128)flz_rng_next(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t least = -bound % bound;
        while ((uint64_t)product < least)
            product = (unsigned __int128)flz_rng_next(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

int64_t flz_rng_between(struct flz_rng *rng, int64_t low, int64_t high)
{
    assert(low <= high);
    uint64_t width = (uint64_t)high - (uint64_t)low;
    uint64_t draw = width == UINT64_MAX ? flz_rng_next(rng) : flz_rng_below(rng, width + 1);
    return (int64_t)((uint64_t)low + draw);
}
