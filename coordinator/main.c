#include "common/sys/log.h"
#include "common/sys/secret.h"
#include "coordinator/config.h"
#include "coordinator/run.h"

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

const char *argp_program_version = "fluenzr-coordinator " FLZ_VERSION;
static const char *arg_config = "/etc/fluenzr/fluenzr-coordinator.yaml";
static bool arg_check;
static bool arg_show;
static bool arg_restored;

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "configuration (default /etc/fluenzr/fluenzr-coordinator.yaml)", 0},
    {"check", 'n', NULL, 0, "read the configuration, say whether it is good, and end", 0},
    {"show", 's', NULL, 0, "print the effective configuration with its sources, and end", 0},
    {"restored", 'r', NULL, 0,
     "the state folder came from a backup: begin a new log generation, and send nothing for a day",
     0},
    {0},
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'c': arg_config = arg; return 0;
    case 'n': arg_check = true; return 0;
    case 's': arg_show = true; return 0;
    case 'r': arg_restored = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = on_option,
    .doc = "The coordinator of a FluenzR network: pairs accounts, issues signed exchange tasks to "
           "nodes, and records their outcomes.\v"
           "Exit codes: 0 stopped as asked, 64 usage, 70 and 74 failures, 75 try again, "
           "78 configuration.",
};

static int show(void)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_buf buf = FLZ_BUF_NULL;
    int r = coordinator_config_show(arg_config, &buf, &msg);
    if (r < 0)
        (void)fprintf(stderr, "fluenzr-coordinator: %s\n", msg.text);
    else
        (void)fputs(flz_buf_str(&buf), stdout);
    flz_buf_deinit(&buf);
    return r < 0 ? EX_CONFIG : EX_OK;
}

int main(int argc, char **argv)
{
    argp_err_exit_status = EX_USAGE;
    (void)argp_parse(&argp, argc, argv, 0, NULL, NULL);
    if (arg_show)
        return show();

    struct flz_msg msg = FLZ_MSG_NULL;
    static struct config config;
    if (coordinator_config_load(arg_config, &config, &msg) < 0) {
        (void)fprintf(stderr, "fluenzr-coordinator: %s\n", msg.text);
        return EX_CONFIG;
    }
    if (arg_check) {
        (void)printf("%s: good\n", arg_config);
        return EX_OK;
    }
    if (flz_secret_harden(config.allow_unlocked_memory, &msg) < 0) {
        (void)fprintf(stderr, "fluenzr-coordinator: %s\n", msg.text);
        return EX_CONFIG;
    }
    struct flz_log log;
    flz_log_init(&log, STDERR_FILENO, (enum flz_log_level)config.log_level,
                 (enum flz_log_format)config.log_format);
    return coordinator_run(&config, arg_restored, &log);
}
