/*
 * The machine's clocks, in milliseconds. Network time is made of them in netclock.h.
 */
#pragma once

#include <stdint.h>

/* CLOCK_BOOTTIME: elapsed time, suspend included; for leases, back-off and time-outs. */
int64_t flz_boottime_ms(void);

/* CLOCK_REALTIME: UTC since 1970; may step. */
int64_t flz_realtime_ms(void);
