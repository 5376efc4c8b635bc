/*
 * The Wilson score interval: between which bounds a share lies with 95 % confidence, when `hits`
 * of `n` were seen. Fixed point; counts may be fractions, as when old observations weigh less.
 *
 *     centre ± half-width,  (2k + z² ± z √(z² + 4k(n − k)/n)) / 2(n + z²),  z = 1.96
 *
 * Two of 20 are 10 %, and lie between 2.8 % and 30.1 %: bare percentages of small numbers tell
 * little, so what follows from them follows from a bound.
 */
#pragma once

#include <stdint.h>

#define WILSON_ONE UINT64_C(65536)  /* one observation */
#define WILSON_N_MAX (UINT64_C(1) << 48) /* 4 billion observations: more are taken as that many */
#define SHARE_ONE 1000000 /* a share of 1, in millionths */

/* Millionths, rounded to the nearest. */
struct wilson {
    uint32_t share; /* hits of n; 0 without observations */
    uint32_t low;
    uint32_t high;
};

/* Observations in units of WILSON_ONE; hits beyond n count as n. Without observations: 0 … 1. */
struct wilson wilson_interval(uint64_t hits, uint64_t n);
