/* Status on one screen, waiting for it to be good, versions. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/sys/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WAIT_POLL_MS 500
#define WAIT_DEFAULT_MS 60000

/* ---- Status ---- */

static void show_head(const json_t *item)
{
    (void)fputs("network ", stdout);
    show_text(show_string(item, "network"));
    (void)printf("   epoch %" PRId64 "   up %.0f s   network time %s", show_integer(item, "epoch"),
                 json_number_value(json_object_get(item, "uptimeSeconds")),
                 show_string(item, "networkTime"));
    double rate = json_number_value(json_object_get(item, "rate"));
    if (rate != 1.0)
        (void)printf("   LAB CLOCK: %.0f x", rate);
    (void)fputc('\n', stdout);
}

static void show_accounts(const json_t *item)
{
    const char *word;
    json_t *count;
    (void)printf("\naccounts  %" PRId64 " live, %" PRId64 " ready",
                 show_integer(item, "accounts.live"), show_integer(item, "accounts.ready"));
    json_object_foreach((json_t *)(uintptr_t)show_path(item, "accounts.byPhase"), word,
                        count) if (json_integer_value(count))(void)
        printf("   %s %" JSON_INTEGER_FORMAT, word, json_integer_value(count));
    (void)printf("\ntasks     %" PRId64 " open, %" PRId64 " due\n",
                 show_integer(item, "tasks.open"), show_integer(item, "tasks.dueUnreported"));
}

static void show_today(const json_t *item)
{
    static const char *const keys[] = {"planned", "sent",   "inbox",   "junk",    "missing",
                                       "rescued", "opened", "replied", "rejected"};
    const json_t *today = json_object_get(item, "today");
    if (!json_is_object(today))
        return;
    (void)printf("today     %s", show_string(today, "date"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        (void)printf("   %s %" PRId64, keys[i], show_integer(today, keys[i]));
    (void)fputc('\n', stdout);
}

/* Problems come last: that is where eyes are when the prompt returns. */
static void show_problems(const struct ctl *ctl, const json_t *problems)
{
    size_t i;
    json_t *problem;
    (void)printf("\n%s\n", json_array_size(problems) ? "problems" : "no problems");
    json_array_foreach((json_t *)(uintptr_t)problems, i, problem)
    {
        bool critical = strcmp(show_string(problem, "severity"), "critical") == 0;
        const char *color = !ctl->color ? "" : critical ? "\033[31m" : "\033[33m";
        (void)printf("  %s%-4s%s ", color, critical ? "CRIT" : "WARN", ctl->color ? "\033[0m" : "");
        show_text(show_string(problem, "subject"));
        (void)fputs(": ", stdout);
        show_text(show_string(problem, "message"));
        (void)fputs("\n       next: ", stdout);
        show_text(show_string(problem, "next"));
        (void)fputc('\n', stdout);
    }
}

static void show_status(const struct ctl *ctl, const json_t *item)
{
    static const struct show_column columns[] = {
        {"NODE", "name", SHOW_PLAIN, false},
        {"STATE", "state", SHOW_PLAIN, false},
        {"CONNECTED", "connected", SHOW_PLAIN, false},
        {"ACCOUNTS", "accounts", SHOW_RIGHT, false},
        {"OPEN", "openTasks", SHOW_RIGHT, false},
        {"CREDIT", "credit", SHOW_RIGHT, false},
        {"HEARD", "heardSecondsAgo", SHOW_RIGHT, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    const json_t *nodes = json_object_get(item, "nodes");
    show_head(item);
    if (json_array_size(nodes)) {
        (void)fputc('\n', stdout);
        show_table(ctl, nodes, columns);
    }
    show_accounts(item);
    show_today(item);
    show_problems(ctl, json_object_get(item, "problems"));
}

int cmd_status(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "status"};
    int code = ask_do(ctl, &ask, &answer);
    if (answer.json && ctl->output == CTL_JSON)
        show_json(answer.json);
    else if (answer.json && !ctl->quiet)
        show_status(ctl, json_object_get(answer.json, "item"));
    return code;
}

/* ---- Wait ---- */

/* Every node that joined is connected, every live account may be written to. */
static bool is_ready(const json_t *item)
{
    size_t i;
    json_t *node;
    size_t joined = 0;
    json_array_foreach(json_object_get(item, "nodes"), i, node)
    {
        if (strcmp(show_string(node, "state"), "joined") != 0)
            continue;
        joined++;
        if (!json_is_true(json_object_get(node, "connected")))
            return false;
    }
    int64_t live = show_integer(item, "accounts.live");
    return joined > 0 && live > 0 && show_integer(item, "accounts.ready") == live;
}

static bool is_idle(const json_t *item)
{
    return show_integer(item, "tasks.open") == 0 && show_integer(item, "tasks.dueUnreported") == 0;
}

/* A coordinator that is not there yet may come; whatever else is wrong, waiting does not help. */
static bool may_pass(const struct answer *answer)
{
    return answer->json || answer->code == ADMIN_UNREACHABLE || answer->code == ADMIN_TRY_AGAIN;
}

int cmd_wait(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    const char *what = arguments_get(arguments, "for");
    bool ready = !what || strcmp(what, "ready") == 0;
    if (!ready && strcmp(what, "idle") != 0)
        return talk_usage(ctl, "wait --for ready, wait --for idle", "one cannot wait for '%s'",
                          what);
    int64_t end = flz_boottime_ms() + (ctl->timeout_given ? ctl->timeout_ms : WAIT_DEFAULT_MS);
    const struct timespec pause = {.tv_nsec = WAIT_POLL_MS * 1000000L};
    struct ask ask = {.verb = "status", .silent = true};
    struct ctl each = *ctl;
    each.timeout_given = false;
    each.timeout_ms = 2000;
    bool answered;
    do {
        _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
        (void)ask_do(&each, &ask, &answer);
        if (!may_pass(&answer))
            return answer.message[0] ? talk_fail(ctl, (enum admin_exit)answer.code, answer.error,
                                                 answer.message, "")
                                     : answer.code;
        const json_t *item = json_object_get(answer.json, "item");
        answered = item != NULL;
        if (item && (ready ? is_ready(item) : is_idle(item)))
            return 0;
    } while (flz_boottime_ms() < end && nanosleep(&pause, NULL) == 0);
    return talk_fail(ctl, ADMIN_WAIT_TIMEOUT, "WAIT_TIMEOUT",
                     answered ? "waited in vain"
                              : "waited in vain: the coordinator does not answer",
                     "fluenzrctl status tells what is missing");
}

/* ---- Version ---- */

int cmd_version(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    bool asks = arguments_get(arguments, "coordinator") != NULL;
    struct ask ask = {.verb = "version"};
    int code = asks ? ask_do(ctl, &ask, &answer) : 0;
    const char *coordinator = show_string(answer.json, "item.version");
    if (ctl->output == CTL_JSON) {
        json_t *json = json_pack("{s:s,s:s,s:i,s:{s:s,s:s?}}", "apiVersion", "fluenzr/v1", "kind",
                                 "Version", "revision", 0, "item", "fluenzrctl", FLZ_VERSION,
                                 "coordinator", coordinator[0] ? coordinator : NULL);
        show_json(json);
        json_decref(json);
        return code;
    }
    (void)printf("fluenzrctl %s\n", FLZ_VERSION);
    if (coordinator[0]) {
        (void)fputs("fluenzr-coordinator ", stdout);
        show_text(coordinator);
        (void)fputc('\n', stdout);
    }
    return code;
}
