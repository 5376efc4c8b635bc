#include "common/base/time.h"
#include "coordinator/run.h"
#include "tests/sim/world/programs.h"
#include "tests/sim/world/world.h"

#include <stdio.h>
#include <stdlib.h>

int program_coordinator(const char *folder, bool restored, struct flz_log *log)
{
    struct config *config = calloc(1, sizeof *config);
    WORLD_MUST(config, "memory");
    *config = (struct config){.listen_nodes = "tcp://127.0.0.1:7400",
                              .listen_enrol = "tcp://127.0.0.1:7401",
                              .listen_admin = "ipc:///coordinator.sock",
                              .listen_http = "127.0.0.1:7480",
                              .content_dir = "deploy/content",
                              .lease_ms = PROGRAM_LEASE_MS,
                              .heartbeat_ms = PROGRAM_HEARTBEAT_MS,
                              .lab_clock_rate_milli = 1000,
                              .keep_log_ms = 400 * FLZ_DAY_MS};
    (void)snprintf(config->state_dir, sizeof config->state_dir, "%s/state", folder);
    (void)snprintf(config->identity_dir, sizeof config->identity_dir, "%s/coordinator", folder);
    return coordinator_run(config, restored, log);
}
