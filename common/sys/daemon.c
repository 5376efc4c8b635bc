#include "common/sys/daemon.h"

#include "common/base/cleanup.h"
#include "common/sys/secret.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum mode { MODE_RUN, MODE_CHECK, MODE_SHOW };

struct arguments {
    const char *config_path;
    enum mode mode;
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "configuration", 0},
    {"check", 'n', NULL, 0, "read the configuration, say whether it is good, and end", 0},
    {"show", 's', NULL, 0, "print the effective configuration with its sources, and end", 0},
    {0},
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c': arguments->config_path = arg; return 0;
    case 'n': arguments->mode = MODE_CHECK; return 0;
    case 's': arguments->mode = MODE_SHOW; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(const struct daemon *daemon, int argc, char **argv, struct arguments *ret)
{
    char doc[1024];
    (void)snprintf(doc, sizeof doc,
                   "%s\vThe configuration is %s unless -c names another.\n\n"
                   "Exit codes: 0 stopped as asked, 64 usage, 70 and 74 failures, 75 try again, "
                   "78 configuration.",
                   daemon->about, daemon->config_path);
    const struct argp_child children[] = {{.argp = daemon->more}, {0}};
    const struct argp argp = {.options = options,
                              .parser = on_option,
                              .doc = doc,
                              .children = daemon->more ? children : NULL};
    *ret = (struct arguments){.config_path = daemon->config_path};
    argp_err_exit_status = EX_USAGE;
    return argp_parse(&argp, argc, argv, 0, NULL, ret);
}

static int say(const struct daemon *daemon, const struct flz_msg *msg)
{
    (void)fprintf(stderr, "%s: %s\n", daemon->name, msg->text);
    return EX_CONFIG;
}

static int show(const struct daemon *daemon, const char *path)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    _cleanup_(flz_freep) struct config_source *sources =
        calloc(daemon->keys_count, sizeof *sources);
    if (!sources)
        return EX_OSERR;
    if (config_load(path, daemon->keys, daemon->keys_count, daemon->config, sources, &msg) < 0)
        return say(daemon, &msg);
    config_dump(path, daemon->keys, daemon->keys_count, daemon->config, sources, &text);
    if (flz_buf_error(&text) < 0)
        return EX_OSERR;
    return fputs(flz_buf_str(&text), stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : EX_OK;
}

static int run(const struct daemon *daemon)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    const struct daemon_settings *settings = daemon->settings;
    if (flz_secret_harden(settings->allow_unlocked_memory, &msg) < 0)
        return say(daemon, &msg);
    struct flz_log log;
    flz_log_init(&log, STDERR_FILENO, (enum flz_log_level)settings->log_level,
                 (enum flz_log_format)settings->log_format);
    return daemon->on_run(&log);
}

int daemon_main(const struct daemon *daemon, int argc, char **argv)
{
    struct arguments arguments;
    if (parse(daemon, argc, argv, &arguments) != 0)
        return EX_USAGE;
    if (arguments.mode == MODE_SHOW)
        return show(daemon, arguments.config_path);

    struct flz_msg msg = FLZ_MSG_NULL;
    if (config_load(arguments.config_path, daemon->keys, daemon->keys_count, daemon->config, NULL,
                    &msg) < 0)
        return say(daemon, &msg);
    if (daemon->on_check && daemon->on_check(&msg) < 0) {
        flz_msg_wrap(&msg, "%s", arguments.config_path);
        return say(daemon, &msg);
    }
    if (arguments.mode == MODE_RUN)
        return run(daemon);
    (void)printf("%s: good\n", arguments.config_path);
    return EX_OK;
}
