#include "coordinator/config.h"

#include "common/base/time.h"
#include "common/sys/netclock.h"

#include <stddef.h>

const struct config_key coordinator_config_keys[] = {
    {"state_dir", CONFIG_PATH, offsetof(struct config, state_dir),
     .fallback = "/var/lib/fluenzr", .help = "log and store"},
    {"identity_dir", CONFIG_PATH, offsetof(struct config, identity_dir),
     .fallback = "/etc/fluenzr/coordinator", .help = "keys made by 'fluenzrctl init'"},
    {"content_dir", CONFIG_PATH, offsetof(struct config, content_dir),
     .fallback = "/usr/share/fluenzr/content", .help = "content packs, the same as the nodes'"},
    {"listen.nodes", CONFIG_TEXT, offsetof(struct config, listen_nodes),
     .fallback = "tcp://0.0.0.0:7400", .help = "members, by CURVE"},
    {"listen.enrol", CONFIG_TEXT, offsetof(struct config, listen_enrol),
     .fallback = "tcp://0.0.0.0:7401", .help = "nodes with a join token"},
    {"listen.admin", CONFIG_TEXT, offsetof(struct config, listen_admin),
     .fallback = "ipc:///run/fluenzr/coordinator.sock", .help = "fluenzrctl, mode 0600"},
    {"listen.http", CONFIG_TEXT, offsetof(struct config, listen_http),
     .fallback = "127.0.0.1:7480", .help = "/metrics, /livez, /readyz, /api/v1"},
    {"bus.lease", CONFIG_DURATION, offsetof(struct config, lease_ms), .fallback = "15m",
     .min = 5 * FLZ_SECOND_MS, .max = 15 * FLZ_MINUTE_MS,
     .help = "how long a node may act after its last answered heartbeat"},
    {"bus.heartbeat", CONFIG_DURATION, offsetof(struct config, heartbeat_ms), .fallback = "5s",
     .min = 100, .max = FLZ_MINUTE_MS, .help = "that nodes keep; bounds a lab's clock"},
    {"keep.log", CONFIG_DURATION, offsetof(struct config, keep_log_ms), .fallback = "14d",
     .min = FLZ_DAY_MS, .max = 3650 * FLZ_DAY_MS,
     .help = "how long events stay in the log before they are archived"},
    {"keep.archive", CONFIG_DURATION, offsetof(struct config, keep_archive_ms), .fallback = "400d",
     .max = 36500 * FLZ_DAY_MS,
     .help = "how long they can be shown and proved; 0d: for ever"},
    {"lab.clock_rate_milli", CONFIG_INT, offsetof(struct config, lab_clock_rate_milli),
     .fallback = "1000", .min = NETCLOCK_RATE_ONE, .max = NETCLOCK_RATE_MAX,
     .help = "network milliseconds per real second; other than 1000 in labs only"},
    {"lab.start", CONFIG_TEXT, offsetof(struct config, lab_start), .fallback = "",
     .help = "network time at the first start of a lab: 2026-01-05T06:00:00Z"},
    DAEMON_KEYS(struct config),
};

const size_t coordinator_config_keys_count =
    sizeof coordinator_config_keys / sizeof *coordinator_config_keys;
