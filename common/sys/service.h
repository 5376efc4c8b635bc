/*
 * The service manager: readiness, status line, watchdog. Does nothing when there is none.
 */
#pragma once

#include <stdint.h>

/* "READY=1", "STOPPING=1", "STATUS=…", "WATCHDOG=1" (sd_notify(3)). */
void service_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Interval at which the watchdog wants to hear from us (half its limit), in ms; 0 = no watchdog. */
int64_t service_watchdog_ms(void);
