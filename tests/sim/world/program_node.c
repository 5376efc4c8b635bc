#include "common/base/time.h"
#include "common/sys/seal.h"
#include "node/server.h"
#include "tests/sim/world/programs.h"
#include "tests/sim/world/world.h"

#include <stdio.h>
#include <stdlib.h>

int program_node(const char *folder, const char *name, struct flz_log *log)
{
    struct config *config = calloc(1, sizeof *config);
    WORLD_MUST(config, "memory");
    *config = (struct config){.content_dir = "deploy/content",
                              .providers_file = "deploy/providers.yaml",
                              .listen_admin = "ipc:///node.sock",
                              .listen_http = "127.0.0.1:7481",
                              .vault_source = SEAL_SOURCE_FILE,
                              .heartbeat_ms = PROGRAM_HEARTBEAT_MS,
                              .connect_timeout_ms = 10000,
                              .probe_age_ms = 12 * FLZ_HOUR_MS,
                              .credit = 200};
    (void)snprintf(config->state_dir, sizeof config->state_dir, "%s/%s", folder, name);
    (void)snprintf(config->ehlo_name, sizeof config->ehlo_name, "%s.test", name);
    (void)snprintf(config->vault_name, sizeof config->vault_name, "%s/%s.vault", folder, name);
    (void)snprintf(config->join_token_file, sizeof config->join_token_file, "%s/%s.token", folder,
                   name);
    return node_run(config, log);
}
