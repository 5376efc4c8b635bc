#include "common/sys/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>

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

struct flz_id service_boot_id(void)
{
    struct flz_id id = FLZ_ID_NULL;
    sd_id128_t boot;
    if (sd_id128_get_boot(&boot) == 0)
        memcpy(id.b, boot.bytes, sizeof id.b);
    return id;
}
