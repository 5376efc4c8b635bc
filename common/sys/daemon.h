/*
 * A daemon's beginning: its arguments (--config, --check, --show, and what it adds), its settings,
 * no core files and locked memory, its log. Then it runs. Each daemon's main() is a struct daemon.
 */
#pragma once

#include "common/sys/config.h"
#include "common/sys/log.h"

#include <stdbool.h>

struct argp;

/* What every daemon can be told. Stands in its settings' struct, as `daemon`. */
struct daemon_settings {
    int log_level;  /* enum flz_log_level */
    int log_format; /* enum flz_log_format */
    bool allow_unlocked_memory;
};

/* The keys of them, for a table of keys of `type`, whose member `daemon` holds the settings. */
#define DAEMON_KEYS(type)                                                                          \
    {"log.level", CONFIG_ENUM, offsetof(type, daemon.log_level), .fallback = "info",               \
     .words = flz_log_level_words, .help = "error, warning, notice, info or debug"},               \
    {"log.format", CONFIG_ENUM, offsetof(type, daemon.log_format), .fallback = "logfmt",           \
     .words = flz_log_format_words, .help = "logfmt or json"},                                     \
    {"allow_unlocked_memory", CONFIG_BOOL, offsetof(type, daemon.allow_unlocked_memory),           \
     .fallback = "false", .help = "run even if secrets could be swapped out"}

struct daemon {
    const char *name;        /* of the program, as it speaks of itself */
    const char *about;       /* a sentence for --help */
    const char *config_path; /* where the settings are unless --config says otherwise */
    const struct config_key *keys;
    size_t keys_count;
    void *config;                           /* the struct that the keys fill */
    const struct daemon_settings *settings; /* within it */
    const struct argp *more;                /* further options; NULL: none */
    /* What no table of keys can say of the settings; 0 or negative (msg). NULL: nothing. */
    int (*on_check)(struct flz_msg *msg);
    /* The daemon itself, with its settings read: 0 when it was asked to stop, else a code of
     * sysexits.h, whose reason was logged. */
    int (*on_run)(struct flz_log *log);
};

/* main() of a daemon: its exit code. */
int daemon_main(const struct daemon *daemon, int argc, char **argv);
