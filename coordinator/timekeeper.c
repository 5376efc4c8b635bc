#include "coordinator/timekeeper.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/service.h"
#include "common/sys/store.h"
#include "coordinator/families.h"

#include <errno.h>
#include <string.h>

/* In FAMILY_META: version u8 ‖ boot id ‖ be64 boot time ‖ be64 what the clock showed then. */
#define MEMORY_VERSION 1
#define MEMORY_LEN (1 + 16 + 8 + 8)

static const char memory_key[] = "clock";

static int load(struct timekeeper *keeper, struct store *store, struct netclock_reading *ret,
                struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf memory = FLZ_BUF_NULL;
    *ret = (struct netclock_reading){.boot = -1};
    int r = store_get(store, FAMILY_META, flz_view_str(memory_key), &memory);
    if (r == STORE_E_ABSENT)
        return 0;
    if (r == 0 && (memory.len != MEMORY_LEN || memory.data[0] != MEMORY_VERSION))
        r = flz_fail(-EUCLEAN);
    if (r < 0) {
        flz_msg_set(msg, "what the network's clock showed last cannot be read: %s", strerror(-r));
        return r;
    }
    struct flz_id boot;
    memcpy(boot.b, memory.data + 1, sizeof boot.b);
    bool same = !flz_id_is_null(boot) && flz_id_equal(boot, keeper->boot);
    *ret = (struct netclock_reading){
        .shown = (int64_t)flz_be64(memory.data + 25),
        .boot = same ? (int64_t)flz_be64(memory.data + 17) : -1,
    };
    return 0;
}

int timekeeper_start(struct timekeeper *keeper, const struct timekeeper_options *options,
                     struct flz_msg *msg)
{
    struct netclock_leader_options leader = {.rate_milli = (uint32_t)options->rate_milli,
                                             .newest = options->newest};
    if (options->lab_start[0] && flz_time_parse(options->lab_start, &leader.lab_start) < 0) {
        flz_msg_set(msg, "lab.start: '%s' is not a time; write 2026-01-05T06:00:00Z",
                    options->lab_start);
        return flz_fail(-EINVAL);
    }
    keeper->boot = service_boot_id();
    int r = load(keeper, options->store, &leader.before, msg);
    return r < 0 ? r
                 : netclock_leader_init(&keeper->clock, leader, flz_boottime_ms(),
                                        flz_realtime_ms());
}

void timekeeper_save(struct timekeeper *keeper, struct store_batch *batch)
{
    uint8_t memory[MEMORY_LEN] = {MEMORY_VERSION};
    struct netclock_reading reading =
        netclock_leader_read(&keeper->clock, flz_boottime_ms(), flz_realtime_ms());
    memcpy(memory + 1, keeper->boot.b, sizeof keeper->boot.b);
    flz_put_be64(memory + 17, (uint64_t)reading.boot);
    flz_put_be64(memory + 25, (uint64_t)reading.shown);
    store_put(batch, FAMILY_META, flz_view_str(memory_key),
              (struct flz_view){.data = memory, .len = sizeof memory});
}

int64_t timekeeper_now(struct timekeeper *keeper)
{
    return netclock_leader_now(&keeper->clock, flz_boottime_ms(), flz_realtime_ms());
}

int64_t timekeeper_wait_ms(struct timekeeper *keeper, int64_t at)
{
    return netclock_leader_wait_ms(&keeper->clock, at, flz_boottime_ms(), flz_realtime_ms());
}

void timekeeper_hold(struct timekeeper *keeper, bool hold)
{
    if (hold)
        (void)netclock_leader_hold(&keeper->clock, flz_boottime_ms());
    else
        netclock_leader_resume(&keeper->clock, flz_boottime_ms());
}

bool timekeeper_is_held(const struct timekeeper *keeper)
{
    return keeper->clock.held;
}

int64_t timekeeper_refused_step_ms(const struct timekeeper *keeper)
{
    return netclock_leader_refused_step(&keeper->clock);
}

void timekeeper_confirm(struct timekeeper *keeper)
{
    netclock_leader_confirm(&keeper->clock, flz_boottime_ms(), flz_realtime_ms());
}
