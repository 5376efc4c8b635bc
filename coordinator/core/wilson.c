#include "coordinator/core/wilson.h"

#define Z_SQUARED UINT64_C(251763) /* 1.96², in units of WILSON_ONE */

/* The largest root whose square is at most v. */
static uint64_t square_root(uint64_t v)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 62; bit > 0; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

/* part of whole in millionths, rounded; large ones lose low bits. */
static uint32_t millionths(uint64_t part, uint64_t whole)
{
    while (whole > UINT64_MAX / SHARE_ONE / 2) {
        part >>= 1;
        whole >>= 1;
    }
    return (uint32_t)((part * SHARE_ONE + whole / 2) / whole);
}

/* 4 k (n − k) / n. For large n the factors lose low bits, so that their product fits. */
static uint64_t spread(uint64_t hits, uint64_t n)
{
    unsigned shift = 0;
    while (n >> shift >= UINT64_C(1) << 30)
        shift++;
    uint64_t k = hits >> shift;
    uint64_t all = n >> shift;
    return 4 * k * (all - k) / all << shift;
}

/* z √(z² + spread): the root of z² times the bracket; of large ones to fewer bits. */
static uint64_t half_width(uint64_t hits, uint64_t n)
{
    uint64_t bracket = Z_SQUARED + spread(hits, n);
    unsigned shift = 0;
    while (bracket >> 2 * shift >= UINT64_C(1) << 45)
        shift++;
    return square_root((bracket >> 2 * shift) * Z_SQUARED) << shift;
}

struct wilson wilson_interval(uint64_t hits, uint64_t n)
{
    if (n == 0)
        return (struct wilson){.share = 0, .low = 0, .high = SHARE_ONE};
    if (hits > n)
        hits = n;
    while (n > WILSON_N_MAX) {
        hits >>= 1;
        n >>= 1;
    }
    uint64_t centre = 2 * hits + Z_SQUARED;
    uint64_t whole = 2 * (n + Z_SQUARED);
    uint64_t half = half_width(hits, n);
    return (struct wilson){
        .share = millionths(hits, n),
        .low = half < centre ? millionths(centre - half, whole) : 0,
        .high = centre + half < whole ? millionths(centre + half, whole) : SHARE_ONE,
    };
}
