/* Commands that ask for a document and show it: lists as tables, things as lines. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"

#include <stdio.h>
#include <string.h>

static void show_list(const struct ctl *ctl, const json_t *document,
                      const struct show_column *columns)
{
    const json_t *items = json_object_get(document, "items");
    if (ctl->output == CTL_JSON)
        show_json(document);
    else if (json_array_size(items) == 0)
        talk(ctl, "none");
    else
        show_table(ctl, items, columns);
}

/* Asks, and shows the list. */
static int list(const struct ctl *ctl, const struct ask *ask, const struct show_column *columns)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    int code = ask_do(ctl, ask, &answer);
    if (answer.json)
        show_list(ctl, answer.json, columns);
    return code;
}

/* Asks, and gives out the thing when it is to be shown for people; NULL: it was shown, or failed.
 */
static const json_t *fetch(const struct ctl *ctl, const struct ask *ask, struct answer *answer,
                           int *ret_code)
{
    *ret_code = ask_do(ctl, ask, answer);
    if (!answer->json)
        return NULL;
    if (ctl->output != CTL_JSON)
        return json_object_get(answer->json, "item");
    show_json(answer->json);
    return NULL;
}

static int thing(const struct ctl *ctl, const char *verb, const char *key, const char *name,
                 const char *const *skip)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = verb};
    int code;
    ask_add(&ask, key, name);
    const json_t *item = fetch(ctl, &ask, &answer, &code);
    if (item)
        show_item(item, skip);
    return code;
}

/* ---- Nodes ---- */

int cmd_node_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"NODE", "name", SHOW_PLAIN, false},
        {"STATE", "state", SHOW_PLAIN, false},
        {"CONNECTED", "connected", SHOW_PLAIN, false},
        {"ACCOUNTS", "accounts", SHOW_RIGHT, false},
        {"OPEN", "openTasks", SHOW_RIGHT, false},
        {"CREDIT", "credit", SHOW_RIGHT, false},
        {"SEEN", "seenAt", SHOW_TIME, false},
        {"JOINED", "joinedAt", SHOW_TIME, true},
        {"LOSSES", "journalLosses", SHOW_RIGHT, true},
        {"ID", "id", SHOW_PLAIN, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct ask ask = {.verb = "node ls"};
    return list(ctl, &ask, columns);
}

int cmd_node_show(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    return thing(ctl, "node show", "name", arguments->words[0], NULL);
}

/* ---- Accounts ---- */

/* What a node tells of its accounts; the rest only the coordinator knows. */
static const struct show_column columns_at_node[] = {
    {"ADDRESS", "address", SHOW_PLAIN, false},
    {"OWNER", "owner", SHOW_PLAIN, true},
    {"PROVIDER", "provider", SHOW_PLAIN, true},
    {"STATE", "state", SHOW_PLAIN, false},
    {"LOGIN", "login", SHOW_PLAIN, false},
    {"PROBED", "probed", SHOW_TIME, false},
    {"NEXT TRY", "next_try", SHOW_TIME, false},
    {"TROUBLE", "trouble", SHOW_PLAIN, false},
    {"NEEDS", "needs_auth", SHOW_PLAIN, false},
    {"VERDICT", "verdict", SHOW_PLAIN, true},
    {"CONSENT UNTIL", "consent_until", SHOW_TIME, true},
    {"SMTP", "smtp", SHOW_PLAIN, true},
    {"IMAP", "imap", SHOW_PLAIN, true},
    {"ID", "id", SHOW_PLAIN, true},
    {NULL, NULL, SHOW_PLAIN, false},
};

int cmd_account_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"ADDRESS", "address", SHOW_PLAIN, false},
        {"OWNER", "owner", SHOW_PLAIN, true},
        {"NODE", "node", SHOW_PLAIN, false},
        {"PROVIDER", "provider", SHOW_PLAIN, true},
        {"PHASE", "phase", SHOW_PLAIN, false},
        {"DAY", "day", SHOW_RIGHT, false},
        {"READY", "readiness", SHOW_PLAIN, false},
        {"TROUBLE", "trouble", SHOW_PLAIN, false},
        {"SAID", "said", SHOW_PLAIN, true},
        {"HEALTH", "health", SHOW_PLAIN, false},
        {"SCORE", "score", SHOW_RIGHT, false},
        {"OF", "scoreBasis", SHOW_PLAIN, true},
        {"QUOTA", "today.quota", SHOW_RIGHT, false},
        {"SENT", "today.sent", SHOW_RIGHT, false},
        {"INBOX", "today.inbox", SHOW_RIGHT, false},
        {"JUNK", "today.junk", SHOW_RIGHT, false},
        {"RESCUED", "today.rescued", SHOW_RIGHT, false},
        {"OPENED", "today.opened", SHOW_RIGHT, false},
        {"ZONE", "zone", SHOW_PLAIN, true},
        {"HOURS", "hours", SHOW_PLAIN, true},
        {"LANGUAGE", "language", SHOW_PLAIN, true},
        {"STATE", "state", SHOW_PLAIN, true},
        {"ID", "id", SHOW_PLAIN, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct ask ask = {.verb = "account ls",
                      .node_endpoint = arguments_get(arguments, "node-endpoint")};
    ask_add_option(&ask, arguments, "node");
    ask_add_option(&ask, arguments, "domain");
    ask_add_option(&ask, arguments, "phase");
    ask_add_option(&ask, arguments, "health");
    ask_add_option(&ask, arguments, "unready");
    ask_add_option(&ask, arguments, "all");
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    int code = ask_do(ctl, &ask, &answer);
    if (answer.json)
        show_list(ctl, answer.json,
                  strcmp(show_string(answer.json, "kind"), "NodeAccountList") == 0 ? columns_at_node
                                                                                   : columns);
    return code;
}

int cmd_account_show(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    return thing(ctl, "account show", "account", arguments->words[0], NULL);
}

static void show_lines(const json_t *lines)
{
    size_t i;
    json_t *line;
    json_array_foreach(lines, i, line)
    {
        (void)fputs("  ", stdout);
        show_text(json_string_value(line));
        (void)fputc('\n', stdout);
    }
}

int cmd_account_why(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const char *const skip[] = {"why", "sends", "may", "with", "id", "address", NULL};
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account why"};
    int code;
    ask_add(&ask, "account", arguments->words[0]);
    ask_add_option(&ask, arguments, "with");
    const json_t *item = fetch(ctl, &ask, &answer, &code);
    if (!item)
        return code;
    const json_t *with = json_object_get(item, "with");
    show_text(show_string(item, "address"));
    (void)printf(" (account/%s)\n", show_string(item, "id"));
    if (with) {
        (void)fputs("may it write to ", stdout);
        show_text(show_string(with, "address"));
        (void)printf("?  %s\n", json_is_true(json_object_get(item, "may")) ? "yes" : "NO");
    } else {
        (void)printf("sends now?  %s\n",
                     json_is_true(json_object_get(item, "sends")) ? "yes" : "NO");
    }
    show_lines(json_object_get(item, "why"));
    show_item(item, skip);
    return code;
}

int cmd_account_reachable(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    return thing(ctl, "account reachable", "account", arguments->words[0], NULL);
}

/* An export is for programs, whatever -o says. */
int cmd_account_export(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account export"};
    ask_add(&ask, "account", arguments->words[0]);
    int code = ask_do(ctl, &ask, &answer);
    if (answer.json)
        show_json(answer.json);
    return code;
}

/* ---- Plan, exchanges, counters ---- */

int cmd_plan_show(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"ADDRESS", "address", SHOW_PLAIN, false},
        {"DATE", "date", SHOW_PLAIN, false},
        {"PHASE", "phase", SHOW_PLAIN, false},
        {"QUOTA", "quota", SHOW_RIGHT, false},
        {"PLANNED", "planned", SHOW_RIGHT, false},
        {"SENT", "sent", SHOW_RIGHT, false},
        {"DROPPED", "dropped", SHOW_RIGHT, false},
        {"SHORT", "shortfall", SHOW_RIGHT, false},
        {"BECAUSE", "shortfallReason", SHOW_PLAIN, false},
        {"UNTIL", "waitsUntil", SHOW_PLAIN, false},
        {"OFF", "dayOff", SHOW_PLAIN, false},
        {"FROM", "windowStart", SHOW_TIME, false},
        {"TO", "windowEnd", SHOW_TIME, false},
        {"NODE", "node", SHOW_PLAIN, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    static const struct show_column messages[] = {
        {"SEND AT", "sendAt", SHOW_TIME, false},     {"TO", "to", SHOW_PLAIN, false},
        {"TURN", "turn", SHOW_RIGHT, false},         {"STATE", "state", SHOW_PLAIN, false},
        {"OUTCOME", "outcome", SHOW_PLAIN, false},   {"FOUND", "placement", SHOW_PLAIN, false},
        {"EXCHANGE", "exchange", SHOW_PLAIN, false}, {NULL, NULL, SHOW_PLAIN, false},
    };
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "plan show"};
    ask_add_option(&ask, arguments, "date");
    ask_add(&ask, "account", arguments->words_count ? arguments->words[0] : NULL);
    if (!arguments->words_count)
        return list(ctl, &ask, columns);
    int code = ask_do(ctl, &ask, &answer);
    const json_t *items = json_object_get(answer.json, "items");
    if (answer.json && ctl->output == CTL_JSON) {
        show_json(answer.json);
    } else if (answer.json) {
        show_table(ctl, items, columns);
        const json_t *list_of = json_object_get(json_array_get(items, 0), "messages");
        (void)fputc('\n', stdout);
        show_table(ctl, list_of, messages);
    }
    return code;
}

int cmd_exchange_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"EXCHANGE", "id", SHOW_PLAIN, false},        {"STATE", "state", SHOW_PLAIN, false},
        {"FROM", "from.address", SHOW_PLAIN, false},  {"TO", "to.address", SHOW_PLAIN, false},
        {"BEGINS", "firstSendAt", SHOW_TIME, false},  {"MESSAGES", "messages", SHOW_PLAIN, false},
        {"ONE NODE", "oneNode", SHOW_PLAIN, true},    {"SAME OWNER", "sameOwner", SHOW_PLAIN, true},
        {"RECOVERED", "recovered", SHOW_PLAIN, true}, {NULL, NULL, SHOW_PLAIN, false},
    };
    struct ask ask = {.verb = "exchange ls"};
    ask_add_option(&ask, arguments, "account");
    ask_add_option(&ask, arguments, "limit");
    ask_add_option(&ask, arguments, "all");
    return list(ctl, &ask, columns);
}

static void show_turn(const json_t *turn)
{
    (void)printf("\nmessage %lld  ", (long long)show_integer(turn, "turn"));
    show_text(show_string(turn, "from"));
    (void)fputs(" -> ", stdout);
    show_text(show_string(turn, "to"));
    (void)printf("  %s  at %s\n", show_string(turn, "message"), show_string(turn, "sendAt"));
    const char *name;
    json_t *task;
    json_object_foreach(json_object_get(turn, "tasks"), name, task)
    {
        (void)printf("  %-7s %-6s %-14s", name, show_string(task, "state"),
                     show_string(task, "outcome"));
        const char *reason = show_string(task, "reason");
        if (reason[0] && strcmp(reason, "none") != 0)
            (void)printf(" %s", reason);
        if (show_string(task, "fault")[0])
            (void)printf(" (%s)", show_string(task, "fault"));
        if (show_string(task, "endedAt")[0])
            (void)printf(" %s", show_string(task, "endedAt"));
        (void)fputc('\n', stdout);
    }
}

int cmd_exchange_show(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const char *const skip[] = {"conversation", "messages", NULL};
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "exchange show"};
    int code;
    ask_add(&ask, "exchange", arguments->words[0]);
    const json_t *item = fetch(ctl, &ask, &answer, &code);
    if (!item)
        return code;
    show_item(item, skip);
    size_t i;
    json_t *turn;
    json_array_foreach(json_object_get(item, "conversation"), i, turn) show_turn(turn);
    return code;
}

#define SLICE_COLUMNS_MAX 32

/* The columns that the things have: they are named by one or two of several keys. */
static void show_slices(const struct ctl *ctl, const json_t *document,
                        const struct show_column *columns)
{
    struct show_column shown[SLICE_COLUMNS_MAX] = {{NULL}};
    const json_t *first = json_array_get(json_object_get(document, "items"), 0);
    for (size_t n = 0; columns->title && n < SLICE_COLUMNS_MAX - 1; columns++)
        if (json_object_get(first, columns->path))
            shown[n++] = *columns;
    show_list(ctl, document, shown);
}

int cmd_stats(struct ctl *ctl, const struct ctl_arguments *arguments)
{
#define STATS_COLUMNS                                                                              \
    {"PLANNED", "planned", SHOW_RIGHT, false}, {"SENT", "sent", SHOW_RIGHT, false},                \
        {"REJECTED", "rejected", SHOW_RIGHT, false}, {"INBOX", "inbox", SHOW_RIGHT, false},        \
        {"JUNK", "junk", SHOW_RIGHT, false}, {"JUNK%", "junkShare", SHOW_PERCENT, false},          \
        {"MISSING", "missing", SHOW_RIGHT, false}, {"RESCUED", "rescued", SHOW_RIGHT, false},      \
        {"OPENED", "opened", SHOW_RIGHT, false}, {"REPLIED", "replied", SHOW_RIGHT, false},        \
        {"CREDITED", "credited", SHOW_RIGHT, false}, {"AMBIGUOUS", "ambiguous", SHOW_RIGHT, true}, \
        {"UNOBSERVED", "unobserved", SHOW_RIGHT, true}, {"DROPPED", "dropped", SHOW_RIGHT, true},  \
    {                                                                                              \
        NULL, NULL, SHOW_PLAIN, false                                                              \
    }
    static const struct show_column by_day[] = {{"DATE", "date", SHOW_PLAIN, false}, STATS_COLUMNS};
    static const struct show_column by_account[] = {{"ADDRESS", "address", SHOW_PLAIN, false},
                                                    STATS_COLUMNS};
    static const struct show_column slices[] = {
        {"DOMAIN", "domain", SHOW_PLAIN, false},
        {"OWNER", "owner", SHOW_PLAIN, false},
        {"NODE", "node", SHOW_PLAIN, false},
        {"PACK", "pack", SHOW_PLAIN, false},
        {"SCENARIO", "scenario", SHOW_RIGHT, false},
        {"PROVIDER", "provider", SHOW_PLAIN, false},
        {"TOWARDS", "towards", SHOW_PLAIN, false},
        {"PLANNED", "planned", SHOW_RIGHT, false},
        {"SENT", "sent", SHOW_RIGHT, false},
        {"REFUSED", "refusedHard", SHOW_RIGHT, false},
        {"INBOX", "inbox", SHOW_RIGHT, false},
        {"JUNK", "junk", SHOW_RIGHT, false},
        {"JUNK%", "junkShare", SHOW_PERCENT, false},
        {"FROM", "junkShareLow", SHOW_PERCENT, false},
        {"TO", "junkShareHigh", SHOW_PERCENT, false},
        {"MISSING", "missing", SHOW_RIGHT, false},
        {"RESCUED", "rescued", SHOW_RIGHT, false},
        {"OPENED", "opened", SHOW_RIGHT, false},
        {"REPLIED", "replied", SHOW_RIGHT, false},
        {"DMARC", "dmarc", SHOW_RIGHT, true},
        {"VERDICTS", "verdicts", SHOW_RIGHT, true},
        {"UNOBSERVED", "unobserved", SHOW_RIGHT, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    const char *by = arguments_get(arguments, "by");
    struct ask ask = {.verb = "stats"};
    ask_add(&ask, "by", by);
    ask_add_option(&ask, arguments, "days");
    ask_add_option(&ask, arguments, "from");
    ask_add_option(&ask, arguments, "to");
    ask_add_option(&ask, arguments, "account");
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    int code = ask_do(ctl, &ask, &answer);
    if (!answer.json)
        return code;
    if (arguments_get(arguments, "csv") && ctl->output != CTL_JSON)
        show_csv(json_object_get(answer.json, "items"));
    else if (strcmp(show_string(answer.json, "kind"), "SliceList") == 0)
        show_slices(ctl, answer.json, slices);
    else
        show_list(ctl, answer.json, by && strcmp(by, "account") == 0 ? by_account : by_day);
    return code;
}

int cmd_alert_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"NUMBER", "number", SHOW_RIGHT, false},     {"SEVERITY", "severity", SHOW_PLAIN, false},
        {"CODE", "code", SHOW_PLAIN, false},         {"SUBJECT", "subject", SHOW_PLAIN, false},
        {"STATE", "state", SHOW_PLAIN, false},       {"SINCE", "openedAt", SHOW_TIME, false},
        {"MESSAGE", "message", SHOW_PLAIN, false},   {"NEXT", "next", SHOW_PLAIN, true},
        {"RESOLVED", "resolvedAt", SHOW_TIME, true}, {"BY", "by", SHOW_PLAIN, true},
        {"REASON", "reason", SHOW_PLAIN, true},      {NULL, NULL, SHOW_PLAIN, false},
    };
    struct ask ask = {.verb = "alert ls"};
    ask_add_option(&ask, arguments, "all");
    return list(ctl, &ask, columns);
}

int cmd_alert_show(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const char *const skip[] = {NULL};
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "alert show"};
    int code;
    ask_add(&ask, "alert", arguments->words[0]);
    const json_t *item = fetch(ctl, &ask, &answer, &code);
    if (item)
        show_item(item, skip);
    return code;
}

/* ---- Rules ---- */

int cmd_pause_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"TARGET", "target", SHOW_PLAIN, false}, {"UNTIL", "until", SHOW_TIME, false},
        {"BY", "by", SHOW_PLAIN, false},         {"REASON", "reason", SHOW_PLAIN, false},
        {"SINCE", "at", SHOW_TIME, true},        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct ask ask = {.verb = "pause ls"};
    return list(ctl, &ask, columns);
}

int cmd_suppress_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"DIGEST", "digest", SHOW_PLAIN, false}, {"ADDRESS", "address", SHOW_PLAIN, false},
        {"KIND", "kind", SHOW_PLAIN, false},     {"SINCE", "at", SHOW_TIME, false},
        {"BY", "by", SHOW_PLAIN, false},         {"REASON", "reason", SHOW_PLAIN, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct ask ask = {.verb = "suppress ls"};
    return list(ctl, &ask, columns);
}

/* One field of CSV (RFC 4180): quoted always, quotes doubled. What a spreadsheet would take for a
 * formula begins with a blank instead. */
static void put_csv(struct flz_buf *buf, const char *text, bool last)
{
    flz_buf_add_byte(buf, '"');
    if (text[0] && strchr("=+-@", text[0]))
        flz_buf_add_byte(buf, ' ');
    for (; *text; text++) {
        if (*text == '"')
            flz_buf_add_byte(buf, '"');
        flz_buf_add_byte(buf, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : (uint8_t)*text);
    }
    flz_buf_add_str(buf, last ? "\"\r\n" : "\",");
}

int cmd_suppress_export(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const char *const keys[] = {"digest", "address", "kind", "at", "by", "reason"};
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf csv = FLZ_BUF_NULL;
    struct ask ask = {.verb = "suppress ls"};
    int code = ask_do(ctl, &ask, &answer);
    if (!answer.json)
        return code;
    if (ctl->output == CTL_JSON) {
        show_json(answer.json);
        return code;
    }
    flz_buf_add_str(&csv, "digest,address,kind,since,by,reason\r\n");
    const json_t *items = json_object_get(answer.json, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            put_csv(&csv, show_string(json_array_get(items, i), keys[k]),
                    k == sizeof keys / sizeof *keys - 1);
    (void)fputs(flz_buf_str(&csv), stdout);
    return code;
}

/* 21600000 ms are easier read as 6h. */
static void put_duration(json_t *item, const char *key)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{FLZ_DAY_MS, "d"},
                 {FLZ_HOUR_MS, "h"},
                 {FLZ_MINUTE_MS, "m"},
                 {FLZ_SECOND_MS, "s"},
                 {1, "ms"}};
    char text[32];
    int64_t ms = json_integer_value(json_object_get(item, key));
    size_t i = 0;
    while (units[i].ms > 1 && (ms == 0 || ms % units[i].ms != 0))
        i++;
    (void)snprintf(text, sizeof text, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
    (void)json_object_set_new(item, key, json_string(text));
}

int cmd_policy_ls(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"KEY", "key", SHOW_PLAIN, false},         {"VALUE", "value", SHOW_RIGHT, false},
        {"DEFAULT", "default", SHOW_RIGHT, false}, {"LOW", "low", SHOW_RIGHT, false},
        {"HIGH", "high", SHOW_RIGHT, false},       {"MEANING", "text", SHOW_PLAIN, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    static const char *const values[] = {"value", "default", "low", "high"};
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "policy ls"};
    int code = ask_do(ctl, &ask, &answer);
    if (!answer.json)
        return code;
    if (ctl->output == CTL_JSON) {
        show_json(answer.json);
        return code;
    }
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(answer.json, "items"), i,
                       item) for (size_t k = 0; k < 4 && strstr(show_string(item, "key"), "_ms");
                                  k++) put_duration(item, values[k]);
    show_table(ctl, json_object_get(answer.json, "items"), columns);
    return code;
}
