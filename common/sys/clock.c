#include "common/sys/clock.h"

#include <time.h>

static int64_t now_ms(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t flz_boottime_ms(void)
{
    return now_ms(CLOCK_BOOTTIME);
}

int64_t flz_realtime_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}
