/*
 * Repeatable draws from a seed (xoshiro256**, seeded through BLAKE2b). For plans and tests; never
 * for keys, which come from the operating system.
 */
#pragma once

#include "common/base/buf.h"

#include <stdint.h>

struct flz_rng {
    uint64_t s[4];
};

/* The same seed bytes and number give the same sequence on every machine. */
void flz_rng_init(struct flz_rng *rng, struct flz_view seed, uint64_t number);

uint64_t flz_rng_next(struct flz_rng *rng);

/* Uniform in [0, bound); bound > 0. */
uint64_t flz_rng_below(struct flz_rng *rng, uint64_t bound);

/* Uniform in [low, high]. */
int64_t flz_rng_between(struct flz_rng *rng, int64_t low, int64_t high);
