#include "common/sys/daemon.h"
#include "coordinator/config.h"
#include "coordinator/run.h"

#include <argp.h>
#include <stdbool.h>

const char *argp_program_version = "fluenzr-coordinator " FLZ_VERSION;

static struct config config;
static bool arg_restored;

static const struct argp_option options[] = {
    {"restored", 'r', NULL, 0,
     "the state folder came from a backup: begin a new log generation, and send nothing for a day",
     0},
    {0},
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    (void)state;
    if (key != 'r')
        return ARGP_ERR_UNKNOWN;
    arg_restored = true;
    return 0;
}

static int on_run(struct flz_log *log)
{
    return coordinator_run(&config, arg_restored, log);
}

int main(int argc, char **argv)
{
    const struct argp more = {.options = options, .parser = on_option};
    const struct daemon daemon = {
        .name = "fluenzr-coordinator",
        .about = "The coordinator of a FluenzR network: pairs accounts, issues signed exchange "
                 "tasks to nodes, and records their outcomes.",
        .config_path = "/etc/fluenzr/fluenzr-coordinator.yaml",
        .keys = coordinator_config_keys,
        .keys_count = coordinator_config_keys_count,
        .config = &config,
        .settings = &config.daemon,
        .more = &more,
        .on_run = on_run,
    };
    return daemon_main(&daemon, argc, argv);
}
