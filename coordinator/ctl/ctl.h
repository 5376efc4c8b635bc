/*
 * fluenzrctl: what its files share. Data goes to stdout, talk to stderr; each command returns one
 * of the documented exit codes (enum admin_exit). A command finds its words in `arguments` and its
 * global options in `ctl`; it leaves nothing behind but its output.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/admin.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CTL_TIMEOUT_MS 10000
#define CTL_TIMEOUT_AUDIT_MS 3600000  /* all that was ever written is read */
#define CTL_TIMEOUT_IMPORT_MS 180000 /* names are looked up, and servers answer slowly */
#define CTL_WORDS_MAX 8
#define CTL_OPTIONS_MAX 32
#define CTL_NODE_ENDPOINT "ipc:///run/fluenzr/node.sock"

enum ctl_output { CTL_TABLE, CTL_WIDE, CTL_JSON };

struct ctl {
    enum ctl_output output;
    bool quiet; /* lists: names only; changes: nothing */
    bool color;
    const char *endpoint;  /* -e; NULL: as the context says */
    const char *admin_dir; /* -i; NULL: the usual places */
    int timeout_ms;
    bool timeout_given;
};

/* ---- Words and options of the command line (arguments.c) ---- */

struct ctl_option {
    const char *name;  /* "reason": --reason */
    const char *value; /* "TEXT"; NULL: a flag */
    const char *help;
};

struct ctl_command;

struct ctl_arguments {
    const struct ctl_command *command;
    const char *words[CTL_WORDS_MAX];
    size_t words_count;
    struct {
        const struct ctl_option *option;
        const char *value; /* "" for a flag */
    } options[CTL_OPTIONS_MAX];
    size_t options_count;
    bool help;
};

struct ctl_command {
    const char *name;  /* "node invite" */
    const char *words; /* "NAME", "TARGET" …; "" when there are none */
    size_t words_min;
    size_t words_max;
    const char *summary;              /* one line */
    const char *details;              /* more, with examples; "" */
    const struct ctl_option *options; /* ended by a NULL name; NULL: none */
    int (*run)(struct ctl *ctl, const struct ctl_arguments *arguments);
};

/* All commands, in the order of the help. */
const struct ctl_command *ctl_commands(size_t *ret_count);
const struct ctl_option *ctl_global_options(void);

/* Reads the command line. 0, or an exit code after the reason was told. */
int arguments_parse(struct ctl *ctl, int argc, char **argv, struct ctl_arguments *ret_arguments);

/* An option's value, "" for a flag that was given; NULL when absent. */
const char *arguments_get(const struct ctl_arguments *arguments, const char *name);

/* ---- Talk (talk.c) ---- */

/* Tells what went wrong (as one JSON object with -o json) and returns `code`. hint may be "". */
int talk_fail(const struct ctl *ctl, enum admin_exit code, const char *error, const char *message,
              const char *hint);
__attribute__((format(printf, 3, 4))) int talk_usage(const struct ctl *ctl, const char *hint,
                                                     const char *format, ...);
/* A line on stderr, unless -q or -o json. */
__attribute__((format(printf, 2, 3))) void talk(const struct ctl *ctl, const char *format, ...);

/* Asks on the terminal; the answer is owned, `fallback` (may be NULL) when it is empty. NULL: there
 * is no terminal, or its end. */
char *talk_ask(const char *question, const char *fallback);
/* Without echo. 0 or negative. */
int talk_ask_secret(const char *question, struct flz_secret *ret_secret);
bool talk_is_terminal(void);
/* True for --yes, or when the person types it. */
bool talk_confirm(const struct ctl_arguments *arguments, const char *question);

/* ---- Who asks, and where (context.c) ---- */

struct context {
    char dir[256];
    struct flz_trust trust;
    char name[FLZ_NAME_MAX];
    char contact[FLZ_ADDRESS_MAX];
    char admin_endpoint[FLZ_ENDPOINT_MAX];
    char node_endpoint[FLZ_ENDPOINT_MAX];
    char enrol_endpoint[FLZ_ENDPOINT_MAX];
    struct flz_curve_public coordinator_key;
    struct keys_sign_pair key;
    struct flz_buf certificate; /* Signed(CERTIFICATE); owned */
    struct flz_certificate facts;
};

#define CONTEXT_NULL ((struct context){.dir = ""})

/* Reads the admin folder: -i, $FLUENZR_ADMIN, ~/.config/fluenzr/admin, /etc/fluenzr/admin. 0, or an
 * exit code after the reason was told. */
int context_load(const struct ctl *ctl, struct context *ret_context);
void context_deinit(struct context *context);
struct flz_signer context_signer(const struct context *context);

/* ---- Requests (ask.c) ---- */

#define ASK_ARGUMENTS_MAX 24

struct ask {
    const char *verb;
    struct {
        const char *key;
        const char *value; /* NULL: left out */
    } arguments[ASK_ARGUMENTS_MAX];
    size_t arguments_count;
    struct flz_view body;
    const struct context *context; /* NULL: it is loaded */
    const char *node_endpoint;     /* not NULL: a node's socket, without a certificate */
    int timeout_ms;                /* 0: as the command line says */
    bool silent;                   /* do not tell failures */
};

struct answer {
    int code; /* exit code of the reply, or of what kept it away */
    char error[FLZ_NAME_MAX];
    char message[FLZ_MSG_BYTES_MAX];
    json_t *json; /* owned; NULL when there is none */
};

#define ANSWER_NULL ((struct answer){.json = NULL})

void ask_add(struct ask *ask, const char *key, const char *value);
/* The same with the option of that name, if it was given. */
void ask_add_option(struct ask *ask, const struct ctl_arguments *arguments, const char *name);

/* Sends and waits. Returns the exit code; failures are told. A document may come with a code that
 * is not 0 (status: 1 with problems). */
int ask_do(const struct ctl *ctl, const struct ask *ask, struct answer *ret_answer);
void answer_deinit(struct answer *answer);

/* Where this host's node is asked: --node-endpoint, -e, the environment, or its usual socket. */
const char *ask_node_endpoint(const struct ctl *ctl, const struct ctl_arguments *arguments);

/* Lets a person sign in for an account of a node (cmd_reauth.c). An exit code. */
int sign_in(const struct ctl *ctl, const char *node_endpoint, const char *address, bool device);

/* ---- Showing (show.c) ---- */

enum show_cell {
    SHOW_PLAIN,
    SHOW_RIGHT,
    SHOW_PERCENT, /* of 1 */
    SHOW_TIME,    /* to the minute */
    SHOW_BAND,    /* an object with `low` and `high` */
};

struct show_column {
    const char *title; /* NULL ends the list */
    const char *path;  /* "today.sent" */
    enum show_cell cell;
    bool wide; /* with -o wide only */
};

/* The document as JSON. */
void show_json(const json_t *document);
/* A list as a table; -q prints the first column alone, one a line. */
void show_table(const struct ctl *ctl, const json_t *items, const struct show_column *columns);
/* A list of flat things as CSV (RFC 4180), named by the first one's keys. */
void show_csv(const json_t *items);
/* A thing as "key  value" lines, nested objects indented. Keys in `skip` (ended by NULL) are left
 * out. */
void show_item(const json_t *item, const char *const *skip);
/* Text from outside, with its control characters made visible, to stdout. */
void show_text(const char *text);
/* The value at a dotted path; NULL when absent. */
const json_t *show_path(const json_t *json, const char *path);
const char *show_string(const json_t *json, const char *path); /* "" when absent */
int64_t show_integer(const json_t *json, const char *path);    /* 0 when absent */

/* ---- Folders of keys (folder.c) ---- */

/* What context.yaml and network.yaml are written from. */
struct folder_network {
    struct flz_trust trust;
    const char *name;
    const char *contact;
    const char *admin_endpoint;
    const char *node_endpoint;
    const char *enrol_endpoint;
    struct flz_curve_public coordinator_key;
};

/* Paths: `name` below `dir`; -ENAMETOOLONG. */
int folder_path(const char *dir, const char *name, char *ret_path, size_t size);
int folder_write_network(const char *dir, const struct folder_network *network,
                         struct flz_msg *msg);
int folder_write_context(const char *dir, const struct folder_network *network,
                         struct flz_msg *msg);

struct folder_certificate {
    const struct keys_sign_pair *root;
    struct flz_id network;
    struct flz_sign_public key;
    struct flz_curve_public curve_key;
    uint32_t role;
    const char *scope;
    const char *name;
    int64_t days;
};

/* Makes a certificate, and writes it to a file of base64url. 0 or negative (msg). */
int folder_write_certificate(const char *path, const struct folder_certificate *wanted,
                             struct flz_msg *msg);

/* ---- Commands (cmd_*.c) ---- */

int cmd_init(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_status(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_wait(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_version(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_node_invite(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_node_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_node_show(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_node_revoke(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_audit_verify(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_audit_prove(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_audit_check(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_backup_create(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_backup_verify(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_import(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_reauth(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_add(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_set(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_retry(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_test(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_filter(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_release(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_show(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_why(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_reachable(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_export(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_erase(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_clear(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_account_rm(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_plan_preview(struct ctl *ctl, const struct ctl_arguments *arguments); /* cmd_preview.c */
int cmd_plan_profiles(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_plan_ramp(struct ctl *ctl, const struct ctl_arguments *arguments); /* cmd_ramp.c */
int cmd_simulate(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_plan_show(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_exchange_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_exchange_show(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_stats(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_alert_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_alert_show(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_alert_ack(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_events(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_pause(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_pause_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_resume(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_suppress_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_suppress_export(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_suppress_add(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_suppress_rm(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_clock_confirm(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_policy_ls(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_policy_replay(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_policy_set(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_key_show(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_key_certify(struct ctl *ctl, const struct ctl_arguments *arguments);
int cmd_completion(struct ctl *ctl, const struct ctl_arguments *arguments); /* help.c */
int cmd_help(struct ctl *ctl, const struct ctl_arguments *arguments);

/* Prints a command's help, or the overview (NULL). */
void help_print(FILE *to, const struct ctl_command *command);
