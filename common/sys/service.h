/*
 * The service manager: readiness, status line, watchdog, boot. Does nothing when there is none.
 */
#pragma once

#include "common/base/id.h"

#include <stdint.h>

/* "READY=1", "STOPPING=1", "STATUS=…", "WATCHDOG=1" (sd_notify(3)). */
void service_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Interval at which the watchdog wants to hear from us (half its limit), in ms; 0 = no watchdog. */
int64_t service_watchdog_ms(void);

/* Which boot of this machine we are in, and CLOCK_BOOTTIME counts from; FLZ_ID_NULL when that
 * cannot be told (sd_id128_get_boot(3)). */
struct flz_id service_boot_id(void);
