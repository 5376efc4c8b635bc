/* Accounts with their passwords: to the node's own socket, on its own host. The bytes stay in
 * memory that is wiped, from the file to the socket. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CSV_BYTES_MAX FLZ_ADMIN_BODY_MAX
#define ROW_BYTES_MAX 16384
#define PASSWORD_MAX 1024
#define RETRY_POLL_MS 300
#define RETRY_WAIT_MS 60000

/* Locked memory between guard pages, wiped when it is freed. */
struct private_bytes {
    uint8_t *data;
    size_t len;
    size_t size;
};

static void private_deinit(struct private_bytes *bytes)
{
    sodium_free(bytes->data);
    *bytes = (struct private_bytes){.data = NULL};
}

static int private_init(struct private_bytes *bytes, size_t size)
{
    bytes->data = sodium_malloc(size);
    bytes->size = size;
    return bytes->data ? 0 : flz_fail(-ENOMEM);
}

static int read_whole(int fd, struct private_bytes *bytes)
{
    for (;;) {
        ssize_t n = read(fd, bytes->data + bytes->len, bytes->size - bytes->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return flz_fail(-errno);
        if (n == 0)
            return 0;
        bytes->len += (size_t)n;
        if (bytes->len == bytes->size)
            return flz_fail(-EFBIG);
    }
}

static int read_private(const char *path, struct private_bytes *bytes, struct flz_msg *msg)
{
    int r = fsutil_check_private(path, msg);
    if (r == 0)
        r = private_init(bytes, CSV_BYTES_MAX + 1);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    r = fd < 0 ? flz_fail(-errno) : read_whole(fd, bytes);
    if (fd >= 0)
        (void)close(fd);
    if (r == -EFBIG)
        flz_msg_set(msg, "%s: more than %d KiB; import it in several files", path,
                    CSV_BYTES_MAX / 1024);
    else if (r < 0)
        flz_msg_set(msg, "%s: %s", path, strerror(-r));
    return r;
}

const char *ask_node_endpoint(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    const char *named = arguments_get(arguments, "node-endpoint");
    const char *environment = getenv("FLUENZR_NODE_ENDPOINT");
    return named           ? named
           : ctl->endpoint ? ctl->endpoint
           : environment   ? environment
                           : CTL_NODE_ENDPOINT;
}

/* What is to be done for those that were taken and cannot be used yet. */
static void show_next(const struct ctl *ctl, const json_t *commands)
{
    size_t i;
    json_t *command;
    if (json_array_size(commands) > 0)
        talk(ctl,
             "Somebody has to sign in for %zu of them, on this host:", json_array_size(commands));
    json_array_foreach((json_t *)(uintptr_t)commands, i, command)
        talk(ctl, "  %s", json_string_value(command));
}

static void show_verdicts(const struct ctl *ctl, const struct answer *answer)
{
    static const struct show_column columns[] = {
        {"LINE", "line", SHOW_RIGHT, false},       {"ADDRESS", "address", SHOW_PLAIN, false},
        {"VERDICT", "verdict", SHOW_PLAIN, false}, {"FIRST SLOT", "firstSlot", SHOW_TIME, false},
        {"TEXT", "text", SHOW_PLAIN, false},       {"ACCOUNT", "account", SHOW_PLAIN, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    if (!answer->json)
        return;
    if (ctl->output == CTL_JSON) {
        show_json(answer->json);
        return;
    }
    if (!ctl->quiet)
        show_table(ctl, json_object_get(answer->json, "rows"), columns);
    talk(ctl, "%s", answer->message);
    if (show_integer(answer->json, "taken") > 0)
        talk(ctl, "FIRST SLOT: from when on its hours let it send (UTC); where that is now, what "
                  "is left of today is planned when its node has logged in");
    if (show_string(answer->json, "note")[0])
        talk(ctl, "note: %s", show_string(answer->json, "note"));
    show_next(ctl, json_object_get(answer->json, "next"));
}

/* Sends the CSV with what the command line says of consent. */
static int import(const struct ctl *ctl, const struct ctl_arguments *arguments,
                  const struct private_bytes *csv, const char *consent_by)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account import",
                      .body = {.data = csv->data, .len = csv->len},
                      .node_endpoint = ask_node_endpoint(ctl, arguments),
                      .timeout_ms = CTL_TIMEOUT_IMPORT_MS};
    ask_add(&ask, "consent-by", consent_by);
    ask_add_option(&ask, arguments, "consent-until");
    ask_add_option(&ask, arguments, "consent");
    ask_add_option(&ask, arguments, "accept");
    ask_add_option(&ask, arguments, "dry-run");
    int code = ask_do(ctl, &ask, &answer);
    show_verdicts(ctl, &answer);
    return code;
}

static int check_options(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    const char *accept = arguments_get(arguments, "accept");
    if (accept && strcmp(accept, "ask") != 0)
        return talk_usage(ctl,
                          "--accept ask: you have the mail provider's permission where its policy "
                          "asks for it",
                          "one cannot accept '%s'", accept);
    return 0;
}

int cmd_account_import(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(private_deinit) struct private_bytes csv = {.data = NULL};
    struct flz_msg msg = FLZ_MSG_NULL;
    const char *consent_by = arguments_get(arguments, "consent-by");
    int code = check_options(ctl, arguments);
    if (code != 0)
        return code;
    if (!consent_by || !*consent_by)
        return talk_usage(ctl,
                          "no account is warmed without its owner's consent; whoever recorded it "
                          "stands by it",
                          "say who gave the owners' consent: --consent-by NAME");
    int r = read_private(arguments->words[0], &csv, &msg);
    if (r == -EPERM)
        return talk_fail(ctl, ADMIN_NOT_PERMITTED, "FILE_NOT_PRIVATE", msg.text,
                         "the file holds passwords: only its owner may read it");
    if (r < 0)
        return talk_fail(ctl, r == -EFBIG ? ADMIN_USAGE : ADMIN_FAILED, "FILE", msg.text, "");
    return import(ctl, arguments, &csv, consent_by);
}

/* ---- account add ---- */

struct field {
    const char *column;
    const char *question;
    const char *fallback; /* NULL: must be answered */
};

static const struct field fields[] = {
    {"owner", "Owner (person or company)", ""},
    {"provider", "Provider (microsoft365 …), empty to find it by the servers", ""},
    {"smtp", "SMTP server (smtps://host:465, smtp://host:587)", NULL},
    {"imap", "IMAP server (imaps://host:993, imap://host:143)", NULL},
    {"user", "User name, empty for the address", ""},
    {"timezone", "Time zone of its owner", "UTC"},
    {"hours", "Hours", "08:00-18:00"},
    {"days", "Days", "Mon-Fri"},
    {"intensity", "Intensity (low, medium, high)", "medium"},
    {"profile", "Profile (new, existing, low_use, recovery)", "new"},
    {"language", "Language (en, fr)", "en"},
    {"volume", "The owner's own messages a day", "0"},
    {"holidays", "Country whose holidays it keeps (FR, DE, US …), empty for none", ""},
};

#define FIELDS_COUNT (sizeof fields / sizeof *fields)

static bool add_bytes(struct private_bytes *csv, const void *data, size_t len)
{
    if (csv->size - csv->len < len)
        return false;
    memcpy(csv->data + csv->len, data, len);
    csv->len += len;
    return true;
}

/* RFC 4180: in quotes, a quote doubled. */
static bool add_field(struct private_bytes *csv, struct flz_view value, char end)
{
    bool fits = add_bytes(csv, "\"", 1);
    for (size_t i = 0; i < value.len; i++)
        fits = fits && (value.data[i] != '"' || add_bytes(csv, "\"", 1)) &&
               add_bytes(csv, &value.data[i], 1);
    return fits && add_bytes(csv, "\"", 1) && add_bytes(csv, &end, 1);
}

static int get_password(const struct ctl *ctl, const struct ctl_arguments *arguments,
                        struct flz_secret *ret_password)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    const char *path = arguments_get(arguments, "password-file");
    int r = path ? fsutil_read_secret(path, PASSWORD_MAX, ret_password, &msg)
                 : talk_ask_secret("Password (not shown)", ret_password);
    if (r == -ENOTTY)
        return talk_usage(ctl, "a password never stands on a command line",
                          "without a terminal the password comes from --password-file FILE (0600)");
    if (r < 0)
        return talk_fail(ctl, r == -EPERM ? ADMIN_NOT_PERMITTED : ADMIN_FAILED, "PASSWORD",
                         msg.text[0] ? msg.text : strerror(-r), "");
    size_t len = ret_password->len;
    while (path && len > 0 &&
           (ret_password->data[len - 1] == '\n' || ret_password->data[len - 1] == '\r'))
        len--;
    if (len == 0)
        return talk_usage(ctl, "", "the password is empty");
    flz_secret_truncate(ret_password, len);
    return 0;
}

/* What the node's table of providers, and DNS, spare the person. */
struct preset {
    bool servers;
    bool signs_in; /* there is no password */
};

/* What was found of an address's servers: suggestions, by column. */
static const char *found_of(const json_t *found, const char *column)
{
    const char *value = found ? show_string(found, column) : "";
    /* "unknown" is what the table says of whom it does not know. */
    return strcmp(column, "provider") == 0 && strcmp(value, "unknown") == 0 ? "" : value;
}

/* Asks the node where the servers of an address are, and shows what it says. NULL: it did not. */
static json_t *discover(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account discover",
                      .node_endpoint = ask_node_endpoint(ctl, arguments),
                      .silent = true};
    if (arguments_get(arguments, "smtp") && arguments_get(arguments, "imap"))
        return NULL;
    ask_add(&ask, "address", arguments->words[0]);
    if (ask_do(ctl, &ask, &answer) != ADMIN_OK || !answer.json)
        return NULL;
    const json_t *json = answer.json;
    if (show_string(json, "mx")[0])
        talk(ctl, "found: mail of %s goes to %s; provider %s (%s)", show_string(json, "domain"),
             show_string(json, "mx"), show_string(json, "provider"), show_string(json, "policy"));
    if (show_string(json, "smtp")[0])
        talk(ctl, "found: SMTP %s (by %s)", show_string(json, "smtp"),
             show_string(json, "smtp_by"));
    if (show_string(json, "imap")[0])
        talk(ctl, "found: IMAP %s (by %s)", show_string(json, "imap"),
             show_string(json, "imap_by"));
    return json_incref(answer.json);
}

static struct preset get_preset(const struct ctl *ctl, const struct ctl_arguments *arguments,
                                const char *provider)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "provider show",
                      .node_endpoint = ask_node_endpoint(ctl, arguments),
                      .silent = true};
    ask_add(&ask, "provider", provider);
    if (!*provider || ask_do(ctl, &ask, &answer) != ADMIN_OK || !answer.json)
        return (struct preset){.servers = false};
    return (struct preset){
        .servers = *show_string(answer.json, "smtp") && *show_string(answer.json, "imap"),
        .signs_in = strcmp(show_string(answer.json, "login"), "microsoft") == 0,
    };
}

/* The value of a column: from its option, or asked, or its fallback. NULL: told as missing. */
static char *get_field(const struct ctl *ctl, const struct ctl_arguments *arguments,
                       const struct field *field, const char *found)
{
    const char *given = arguments_get(arguments, field->column);
    if (given)
        return strdup(given);
    /* Only a person may take what was found: DNS can be forged. */
    const char *suggested = *found ? found : field->fallback;
    char *asked = talk_is_terminal() ? talk_ask(field->question, suggested) : NULL;
    if (asked && (*asked || field->fallback))
        return asked;
    free(asked);
    if (field->fallback)
        return strdup(field->fallback);
    (void)talk_usage(ctl, field->question, "without a terminal '%s' needs --%s",
                     arguments->command->name, field->column);
    return NULL;
}

/* All columns in their order; false: one is missing, and was told. */
static bool get_fields(const struct ctl *ctl, const struct ctl_arguments *arguments,
                       char **ret_values, struct preset *ret_preset)
{
    *ret_preset = (struct preset){.servers = false};
    json_t *found = discover(ctl, arguments);
    bool all = true;
    for (size_t i = 0; all && i < FIELDS_COUNT; i++) {
        bool server = fields[i].fallback == NULL;
        bool spared = server && ret_preset->servers && !arguments_get(arguments, fields[i].column);
        ret_values[i] = spared ? strdup("")
                               : get_field(ctl, arguments, &fields[i],
                                           found_of(found, fields[i].column));
        all = ret_values[i] != NULL;
        if (all && strcmp(fields[i].column, "provider") == 0)
            *ret_preset = get_preset(ctl, arguments, ret_values[i]);
    }
    json_decref(found);
    return all;
}

static int build_row(const struct ctl *ctl, const struct ctl_arguments *arguments,
                     struct private_bytes *csv, bool *ret_signs_in)
{
    _cleanup_(flz_secret_deinit) struct flz_secret password = FLZ_SECRET_NULL;
    char *values[FIELDS_COUNT] = {NULL};
    static const char header[] = "address,password,owner,provider,smtp,imap,user,timezone,hours,"
                                 "days,intensity,profile,language,volume,holidays\n";
    struct preset preset;
    size_t i;
    int code = get_fields(ctl, arguments, values, &preset) ? 0 : ADMIN_USAGE;
    if (code == 0 && !preset.signs_in)
        code = get_password(ctl, arguments, &password);
    *ret_signs_in = preset.signs_in;
    bool fits = code == 0 && add_bytes(csv, header, sizeof header - 1) &&
                add_field(csv, flz_view_str(arguments->words[0]), ',') &&
                add_field(csv, flz_secret_view(&password), ',');
    for (i = 0; fits && i < FIELDS_COUNT; i++)
        fits = add_field(csv, flz_view_str(values[i]), i + 1 < FIELDS_COUNT ? ',' : '\n');
    for (i = 0; i < FIELDS_COUNT; i++)
        free(values[i]);
    return code == 0 && !fits ? talk_usage(ctl, "", "the values are too long") : code;
}

static char *get_consent(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct field by = {
        "consent-by", "Who gave the owner's consent to send, open, reply and move mail", NULL};
    return get_field(ctl, arguments, &by, "");
}

int cmd_account_add(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(private_deinit) struct private_bytes csv = {.data = NULL};
    struct flz_address address;
    int code = check_options(ctl, arguments);
    if (code != 0)
        return code;
    if (flz_address_parse(arguments->words[0], &address) < 0)
        return talk_usage(ctl, "", "'%s' is not an address", arguments->words[0]);
    if (private_init(&csv, ROW_BYTES_MAX) < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NO_MEMORY", "out of memory that can be locked",
                         "raise ulimit -l");
    _cleanup_(flz_freep) char *consent_by = get_consent(ctl, arguments);
    if (!consent_by)
        return ADMIN_USAGE;
    bool signs_in = false;
    code = build_row(ctl, arguments, &csv, &signs_in);
    if (code == 0)
        code = import(ctl, arguments, &csv, consent_by);
    /* Without a person at the terminal the list of what to do next has said it. */
    if (code == 0 && signs_in && talk_is_terminal() && !arguments_get(arguments, "dry-run"))
        code = sign_in(ctl, ask_node_endpoint(ctl, arguments), address.text,
                       arguments_get(arguments, "device") != NULL);
    return code;
}

/* ---- account retry ---- */

/* What a look at both servers found. */
static int show_login(const struct ctl *ctl, const json_t *document)
{
    const json_t *item = json_object_get(document, "item");
    bool ok = json_is_true(json_object_get(item, "login_ok"));
    const char *next = show_string(item, "next_try");
    if (ctl->output == CTL_JSON) {
        show_json(document);
        return ok ? 0 : ADMIN_FAILED;
    }
    show_text(show_string(item, "address"));
    (void)fputs(ok ? ": logged in at both servers" : ": no login", stdout);
    if (!ok) {
        (void)fputs("; what was said: ", stdout);
        show_text(show_string(item, "trouble"));
    }
    (void)fputc('\n', stdout);
    if (!ok && next[0])
        talk(ctl, "the node tries again at %s", next);
    else if (!ok && show_string(item, "needs_auth")[0])
        talk(ctl, "the node does not try again by itself: fluenzrctl account reauth %s",
             show_string(item, "address"));
    else if (!ok)
        talk(ctl, "the node does not try again by itself: correct user or password and import the "
                  "row again");
    return ok ? 0 : ADMIN_FAILED;
}

/* Asks the node again and again until the account is as wanted: then true, with the document in
 * *ret_answer. False: the time is over, or, with *ret_code, an answer failed. */
static bool wait_for(const struct ctl *ctl, struct ask *look, int64_t wait_ms,
                     bool (*is_there)(const json_t *document), struct answer *ret_answer,
                     int *ret_code)
{
    int64_t end = flz_boottime_ms() + wait_ms;
    const struct timespec pause = {.tv_nsec = RETRY_POLL_MS * 1000000L};
    *ret_code = 0;
    while (flz_boottime_ms() < end && nanosleep(&pause, NULL) == 0) {
        _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
        *ret_code = ask_do(ctl, look, &answer);
        if (*ret_code != 0)
            return false;
        if (!is_there(answer.json))
            continue;
        *ret_answer = answer;
        answer = ANSWER_NULL;
        return true;
    }
    return false;
}

static bool was_probed(const json_t *document)
{
    return show_string(document, "item.probed")[0] != '\0';
}

int cmd_account_retry(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer order = ANSWER_NULL;
    _cleanup_(answer_deinit) struct answer found = ANSWER_NULL;
    struct ask retry = {.verb = "account retry",
                        .node_endpoint = ask_node_endpoint(ctl, arguments)};
    ask_add(&retry, "account", arguments->words[0]);
    int code = ask_do(ctl, &retry, &order);
    if (code != 0)
        return code;
    talk(ctl, "%s", order.message);
    struct ask look = retry;
    look.verb = "account show";
    if (wait_for(ctl, &look, ctl->timeout_given ? ctl->timeout_ms : RETRY_WAIT_MS, was_probed,
                 &found, &code))
        return show_login(ctl, found.json);
    return code ? code
                : talk_fail(ctl, ADMIN_WAIT_TIMEOUT, "WAIT_TIMEOUT",
                            "no result yet; it is still tried",
                            "fluenzrctl account why ADDRESS; a longer wait: --timeout 5m");
}

/* ---- account set ---- */

/* What the coordinator said of the settings that the node has told it. */
static int show_verdict(const struct ctl *ctl, const json_t *document)
{
    const char *state = show_string(document, "item.state");
    const char *verdict = show_string(document, "item.verdict");
    if (strcmp(state, "refused") == 0)
        return talk_fail(ctl, ADMIN_FAILED, "REFUSED", verdict,
                         "the node holds by the new settings, the coordinator by the old ones");
    if (ctl->output == CTL_JSON)
        show_json(document);
    else
        talk(ctl, "the coordinator has taken them%s%s", verdict[0] ? ": " : "", verdict);
    return 0;
}

static bool was_judged(const json_t *document)
{
    return strcmp(show_string(document, "item.state"), "registering") != 0;
}

int cmd_account_set(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const char *const settings[] = {"timezone", "hours",  "days",     "intensity", "profile",
                                           "language", "volume", "holidays", "blackout"};
    _cleanup_(answer_deinit) struct answer order = ANSWER_NULL;
    _cleanup_(answer_deinit) struct answer found = ANSWER_NULL;
    struct ask ask = {.verb = "account set", .node_endpoint = ask_node_endpoint(ctl, arguments)};
    struct ask look = {.verb = "account show", .node_endpoint = ask.node_endpoint};
    ask_add(&ask, "account", arguments->words[0]);
    ask_add(&look, "account", arguments->words[0]);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ask_add_option(&ask, arguments, settings[i]);
    int code = ask_do(ctl, &ask, &order);
    if (code != 0)
        return code;
    talk(ctl, "%s", order.message);
    if (wait_for(ctl, &look, ctl->timeout_ms, was_judged, &found, &code))
        return show_verdict(ctl, found.json);
    if (code != 0)
        return code;
    talk(ctl, "the coordinator has not answered yet; it plans by them once it has heard");
    return 0;
}

/* ---- account test, account filter ---- */

int cmd_account_test(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"STAGE", "stage", SHOW_PLAIN, false},
        {"OK", "result", SHOW_PLAIN, false},
        {"MS", "ms", SHOW_RIGHT, false},
        {"WHAT WAS FOUND OR SAID", "text", SHOW_PLAIN, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account test",
                      .node_endpoint = ask_node_endpoint(ctl, arguments),
                      .timeout_ms = CTL_TIMEOUT_IMPORT_MS};
    ask_add(&ask, "account", arguments->words[0]);
    int code = ask_do(ctl, &ask, &answer);
    if (answer.json && ctl->output == CTL_JSON) {
        show_json(answer.json);
    } else if (answer.json) {
        size_t i;
        json_t *stage;
        json_array_foreach(json_object_get(answer.json, "stages"), i, stage)(void)
            json_object_set_new(
                stage, "result",
                json_string(json_is_true(json_object_get(stage, "ok")) ? "yes" : "NO"));
        show_table(ctl, json_object_get(answer.json, "stages"), columns);
    }
    return code;
}

int cmd_account_filter(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account filter", .node_endpoint = ask_node_endpoint(ctl, arguments)};
    ask_add(&ask, "account", arguments->words[0]);
    int code = ask_do(ctl, &ask, &answer);
    if (code != 0)
        return code;
    if (ctl->output == CTL_JSON) {
        show_json(answer.json);
        return 0;
    }
    static const char *const parts[][2] = {
        {"# Sieve (RFC 5228): where the owner's filters are kept.", "sieve"},
        {"# Outlook: Rules, New Rule, apply to messages I receive.", "outlook"},
        {"# Exchange Online, by its administrator.", "powershell"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        (void)printf("%s%s\n\n%s", i > 0 ? "\n" : "", parts[i][0],
                     show_string(answer.json, parts[i][1]));
    return 0;
}

/* ---- account release ---- */

int cmd_account_release(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "account rm", .node_endpoint = ask_node_endpoint(ctl, arguments)};
    char question[FLZ_MSG_MAX];
    (void)snprintf(question, sizeof question,
                   "%s: delete its password and give it up at this node? (yes/no)",
                   arguments->words[0]);
    if (!talk_confirm(arguments, question))
        return talk_fail(ctl, ADMIN_USAGE, "NOT_CONFIRMED", "aborted, no changes made",
                         "without a terminal: --yes");
    ask_add(&ask, "account", arguments->words[0]);
    int code = ask_do(ctl, &ask, &answer);
    if (code == 0)
        talk(ctl, "%s", answer.message);
    return code;
}
