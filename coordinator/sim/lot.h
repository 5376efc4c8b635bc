/*
 * Lots: draws that depend on what they are about and on nothing that was drawn before, so that one
 * more account, or another order of events, leaves all others as they were.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The finalizer of splitmix64: every bit of the input reaches every bit of the output. */
static inline uint64_t lot_mix(uint64_t v)
{
    v += 0x9e3779b97f4a7c15u;
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
    v = (v ^ v >> 27) * 0x94d049bb133111ebu;
    return v ^ v >> 31;
}

/* What a lot is about; each subject has draws of its own. */
enum lot_subject {
    LOT_CROWD = 1,
    LOT_PLAN,
    LOT_LOGIN,
    LOT_LEAVE,
    LOT_DELAY,
    LOT_REFUSED,
    LOT_LOST,
    LOT_TRAVEL,
    LOT_PLACE,
};

static inline uint64_t lot_draw(uint64_t seed, enum lot_subject subject, uint64_t about)
{
    return lot_mix(lot_mix(seed ^ (uint64_t)subject << 56) ^ about);
}

/* Uniform in [0, bound), but for 2^-32 of a bias; bound at most 2^32. */
static inline uint64_t lot_below(uint64_t lot, uint64_t bound)
{
    return (lot >> 32) * bound >> 32;
}

static inline bool lot_permille(uint64_t lot, int64_t permille)
{
    return (int64_t)lot_below(lot, 1000) < permille;
}
