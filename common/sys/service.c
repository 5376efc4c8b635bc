#include "common/sys/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

void service_notify(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)sd_notify(0, text);
}

int64_t service_watchdog_ms(void)
{
    uint64_t limit_us;
    return sd_watchdog_enabled(0, &limit_us) > 0 ? (int64_t)(limit_us / 2000) : 0;
}
