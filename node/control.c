#include "node/control.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/admin.h"
#include "common/sys/clock.h"
#include "common/sys/http.h"
#include "common/sys/metrics.h"
#include "node/check.h"
#include "node/discover.h"
#include "node/row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Microsoft's refresh tokens end when nobody has used them for so long (AADSTS700082); each use
 * gives a new one. */
#define TOKEN_IDLE_MS (90 * FLZ_DAY_MS)

enum metric {
    METRIC_BUILD,
    METRIC_ACCOUNTS,
    METRIC_JOBS,
    METRIC_OUTBOX,
    METRIC_LINK,
    METRIC_LEASE,
    METRIC_ADMITS,
    METRIC_DISK_FREE,
    METRIC_SENT,
    METRIC_FOUND,
    METRIC_ENGAGED,
    METRIC_SESSIONS,
    METRIC_VISITS,
    METRIC_TOKENS,
    METRIC_INCIDENTS,
    METRIC_INCIDENTS_OPEN,
    METRIC_LOG_MESSAGES,
    METRIC_COUNT,
};

static const struct metrics_family families[METRIC_COUNT] = {
    [METRIC_BUILD] = {"fluenzr_build_info", "Version of this program; always 1.", METRICS_GAUGE,
                      .labels = {"version", "role"}},
    [METRIC_ACCOUNTS] = {"fluenzr_accounts", "Accounts of this node by state.", METRICS_GAUGE,
                         .labels = {"state"}},
    [METRIC_JOBS] = {"fluenzr_jobs_open", "Tasks accepted and not ended.", METRICS_GAUGE},
    [METRIC_OUTBOX] = {"fluenzr_reports_pending", "Reports that are not acknowledged.",
                       METRICS_GAUGE},
    [METRIC_LINK] = {"fluenzr_coordinator_up", "1 when the coordinator has welcomed this node.",
                     METRICS_GAUGE},
    [METRIC_LEASE] = {"fluenzr_lease_seconds", "Real time for which this node may still act.",
                      METRICS_GAUGE},
    [METRIC_ADMITS] = {"fluenzr_journal_admits",
                       "1 while the journal takes new tasks; 0 on a nearly full disk.",
                       METRICS_GAUGE},
    [METRIC_DISK_FREE] = {"fluenzr_disk_free_bytes", "Bytes free where the journal is.",
                          METRICS_GAUGE},
    [METRIC_SENT] = {"fluenzr_messages_sent_total", "Messages by how they ended.", METRICS_COUNTER,
                     .labels = {"outcome"}},
    [METRIC_FOUND] = {"fluenzr_messages_received_total", "Messages looked for, by where they lay.",
                      METRICS_COUNTER, .labels = {"placement"}},
    [METRIC_ENGAGED] = {"fluenzr_engagements_total", "Actions carried out in mailboxes.",
                        METRICS_COUNTER, .labels = {"action"}},
    [METRIC_SESSIONS] = {"fluenzr_smtp_sessions_total", "SMTP sessions by result.", METRICS_COUNTER,
                         .labels = {"result"}},
    [METRIC_VISITS] = {"fluenzr_imap_visits_total", "IMAP visits by result.", METRICS_COUNTER,
                       .labels = {"result"}},
    [METRIC_LOG_MESSAGES] = {"fluenzr_log_messages_total", "Log lines by level.", METRICS_COUNTER,
                             .labels = {"level"}},
    [METRIC_INCIDENTS] = {"fluenzr_provider_incidents_total",
                          "Times that a fifth of a provider's accounts failed at once.",
                          METRICS_COUNTER},
    [METRIC_INCIDENTS_OPEN] = {"fluenzr_provider_incidents_open",
                               "Providers of which one account at a time tries for all.",
                               METRICS_GAUGE},
    [METRIC_TOKENS] = {"fluenzr_token_requests_total",
                       "Access tokens asked for at a sign-in server, by result.", METRICS_COUNTER,
                       .labels = {"result"}},
};

struct control {
    struct control_parts parts;
    struct admin *admin;
    struct http *http;
    struct metrics *metrics;
    struct import_parts import;
    struct import *imports;   /* under way */
    struct check *checks;     /* likewise */
    struct discover *discovers;
    struct waiting *waiting;  /* calls, likewise */
};

/* ---- Accounts ---- */

static const char *member_state(const struct member *member)
{
    if (member->record.released)
        return "released";
    if (member->record.login_failures >= FLZ_LOGIN_TRIES_MAX || member->record.needs_auth[0])
        return "needs_auth";
    if (!member->record.accepted)
        return member->record.verdict[0] ? "refused" : "registering";
    if (member->probe.at && !member->probe.login_ok)
        return "degraded";
    return "ok";
}

static json_t *member_json(const struct member *member)
{
    const struct flz_account *account = &member->record.account;
    const struct flz_probe *probe = &member->probe;
    char until[FLZ_TIME_TEXT_MAX], probed[FLZ_TIME_TEXT_MAX] = "", next[FLZ_TIME_TEXT_MAX] = "";
    char token_at[FLZ_TIME_TEXT_MAX] = "", token_until[FLZ_TIME_TEXT_MAX] = "";
    char away[FLZ_AWAY_TEXT_MAX];
    flz_away_format(account->days_off.away, away);
    flz_time_format(account->consent.until, until);
    if (probe->at)
        flz_time_format(probe->at, probed);
    if (probe->next_at)
        flz_time_format(probe->next_at, next);
    if (member->record.token_at > 0) {
        flz_time_format(member->record.token_at, token_at);
        flz_time_format(member->record.token_at + TOKEN_IDLE_MS, token_until);
    }
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:b,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "id",
        flz_id_str(account->id), "address", account->address, "owner", account->owner, "provider",
        account->provider, "state", member_state(member), "smtp", member->record.smtp_url, "imap",
        member->record.imap_url, "verdict", member->record.verdict, "trouble", member->probe.text,
        "consent_until", until, "login_failures", (json_int_t)member->record.login_failures,
        "probed", probed, "login_ok", probe->login_ok, "next_try", next, "login",
        member->record.login == MEMBER_LOGIN_TOKEN ? "oauth" : "password", "needs_auth",
        member->record.needs_auth, "token_at", token_at, "token_until", token_until, "holidays",
        account->days_off.holidays, "blackout", away);
}

static void list_accounts(struct control *control, struct admin_call *call)
{
    json_t *items = json_array();
    for (size_t i = 0; i < members_count(control->parts.members); i++)
        json_array_append_new(items, member_json(members_at(control->parts.members, i)));
    admin_answer(call, ADMIN_OK,
                 json_pack("{s:s,s:s,s:o}", "apiVersion", "fluenzr/v1", "kind", "NodeAccountList",
                           "items", items),
                 NULL);
}

static struct member *find_member(struct control *control, const char *name)
{
    struct flz_address address;
    struct flz_id id;
    if (flz_id_parse(name, &id) == 0)
        return members_find(control->parts.members, id);
    if (flz_address_parse(name, &address) == 0)
        return members_find_address(control->parts.members, &address);
    return NULL;
}

/* The account that a call names; NULL after the call was refused. */
static struct member *need_member(struct control *control, struct admin_call *call)
{
    const char *name = admin_argument(call, "account");
    struct member *member = name ? find_member(control, name) : NULL;
    if (!member)
        admin_refuse(call, ADMIN_FAILED, "NOT_FOUND", "this node has no such account",
                     "which node has it: fluenzrctl account show ADDRESS");
    return member;
}

static void show_account(struct control *control, struct admin_call *call)
{
    const struct member *member = need_member(control, call);
    if (member)
        admin_answer(call, ADMIN_OK,
                     json_pack("{s:s,s:s,s:o}", "apiVersion", "fluenzr/v1", "kind", "NodeAccount",
                               "item", member_json(member)),
                     NULL);
}

/* A call that waits for the journal, which outlives the door it came by. */
struct waiting {
    struct control *control; /* NULL: the door is closed, the call was answered */
    struct admin_call *call;
    const char *done; /* what is answered then */
    struct waiting *next;
};

static void on_durable(int r, void *data)
{
    struct waiting *waiting = data;
    struct admin_call *call = waiting->call;
    struct control *control = waiting->control;
    const char *done = waiting->done;
    if (control) {
        struct waiting **at = &control->waiting;
        while (*at != waiting)
            at = &(*at)->next;
        *at = waiting->next;
    }
    free(waiting);
    if (!control)
        return;
    if (r < 0)
        admin_refuse(call, ADMIN_FAILED, "JOURNAL", strerror(-r), "");
    else
        admin_answer(call, ADMIN_OK, NULL, done);
}

/* Answers the call when what was gathered is durable. `r`: how gathering it went; `waiting` is
 * taken over. */
static void answer_when_durable(struct control *control, struct admin_call *call, int r,
                                struct waiting *waiting, const char *done)
{
    if (r < 0) {
        free(waiting);
        admin_refuse(call, ADMIN_FAILED, "JOURNAL", strerror(-r), "");
        return;
    }
    *waiting =
        (struct waiting){.control = control, .call = call, .done = done, .next = control->waiting};
    control->waiting = waiting;
    journal_sync(control->parts.journal, on_durable, waiting);
}

static struct waiting *need_waiting(struct admin_call *call)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        admin_refuse(call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
    return waiting;
}

static void remove_account(struct control *control, struct admin_call *call)
{
    struct member *member = need_member(control, call);
    struct waiting *waiting = member ? need_waiting(call) : NULL;
    if (!waiting)
        return;
    tokens_forget(control->parts.tokens, member);
    /* Gathered together: it is gone here exactly when the coordinator will be told. */
    struct flz_report report = {.kind = FLZ_REPORT_RELEASE, .released = member->record.account.id};
    int r = members_remove(control->parts.members, member->record.account.id);
    if (r == 0)
        r = outbox_add(control->parts.outbox, &report);
    answer_when_durable(control, call, r, waiting,
                        "the account is released; its secret is deleted");
}

/* Reads the settings that the call names into the account. False: it was refused. */
static bool take_settings(struct control *control, struct admin_call *call,
                          struct flz_account *account)
{
    const char *names[ROW_SETTINGS];
    struct flz_msg msg = FLZ_MSG_NULL;
    size_t taken = 0;
    row_settings(names);
    for (size_t i = 0; i < ROW_SETTINGS; i++) {
        const char *value = admin_argument(call, names[i]);
        if (value && row_set(names[i], value, control->parts.tz, account, &msg) < 0) {
            admin_refuse(call, ADMIN_USAGE, "BAD_INPUT", msg.text, "fluenzrctl account set --help");
            return false;
        }
        taken += value != NULL;
    }
    if (taken == 0)
        admin_refuse(call, ADMIN_USAGE, "BAD_INPUT", "no setting is named",
                     "fluenzrctl account set --help");
    return taken > 0;
}

/* Settings hold here when they are durable; the coordinator plans by them once it has heard. */
static void set_account(struct control *control, struct admin_call *call)
{
    struct member *member = need_member(control, call);
    if (!member)
        return;
    struct flz_account account = member->record.account;
    struct waiting *waiting = take_settings(control, call, &account) ? need_waiting(call) : NULL;
    if (!waiting)
        return;
    struct flz_account before = member->record.account;
    member->record.account = account;
    int r = control_report(control, member);
    if (r < 0)
        member->record.account = before;
    answer_when_durable(control, call, r, waiting,
                        "the settings are stored; the coordinator is told");
}

/* A person has mended the credentials, or wants them tried: the count of failures starts again. */
static void retry_account(struct control *control, struct admin_call *call)
{
    struct member *member = need_member(control, call);
    if (!member)
        return;
    if (member->record.login == MEMBER_LOGIN_TOKEN && member->record.token_at == 0) {
        admin_refuse(call, ADMIN_FAILED, "NEEDS_AUTH", "nobody has signed in yet",
                     "fluenzrctl account reauth ADDRESS");
        return;
    }
    member->record.login_failures = 0;
    member->record.needs_auth[0] = '\0';
    member->probe = (struct flz_probe){.at = 0};
    (void)members_save(control->parts.members, member);
    worker_account_changed(control->parts.worker, member->record.account.id);
    admin_answer(call, ADMIN_OK, NULL,
                 link_welcomed(control->parts.link)
                     ? "the login will be tried again now"
                     : "the login will be tried again when the coordinator has welcomed this node");
}

static void test_account(struct control *control, struct admin_call *call)
{
    const struct control_parts *parts = &control->parts;
    struct check_parts check = {
        .loop = parts->loop,
        .pool = parts->pool,
        .members = parts->members,
        .domains = parts->domains,
        .tokens = parts->tokens,
        .ehlo_name = parts->ehlo_name,
        .connect_timeout_ms = parts->connect_timeout_ms,
        .running = &control->checks,
    };
    const struct member *member = need_member(control, call);
    if (member)
        check_start(&check, member, call);
}

static void discover_account(struct control *control, struct admin_call *call)
{
    struct discover_parts parts = {
        .loop = control->parts.loop,
        .dns = control->parts.dns,
        .domains = control->parts.domains,
        .providers = control->parts.providers,
        .running = &control->discovers,
    };
    discover_start(&parts, call);
}

/* Rules for an owner who wants the network's messages filed as they arrive. They go by our header,
 * which anybody can write: so they only file, and call nothing good. */
static void filter_account(struct control *control, struct admin_call *call)
{
    const struct member *member = need_member(control, call);
    if (!member)
        return;
    const char *address = member->record.account.address;
    struct flz_buf sieve = FLZ_BUF_NULL, outlook = FLZ_BUF_NULL, powershell = FLZ_BUF_NULL;
    char words[64];
    (void)snprintf(words, sizeof words, "net=%s",
                   flz_id_str(control->parts.identity->trust.network));
    flz_buf_printf(&sieve,
                   "require [\"fileinto\", \"mailbox\"];\n"
                   "# \"INBOX.FluenzR\" where folders lie below INBOX.\n"
                   "if header :contains \"X-FluenzR\" \"%s\" {\n"
                   "    fileinto :create \"FluenzR\";\n"
                   "    stop;\n"
                   "}\n",
                   words);
    flz_buf_printf(&outlook,
                   "condition: with specific words in the message header: %s\n"
                   "action:    move it to the folder FluenzR\n"
                   "action:    stop processing more rules\n",
                   words);
    flz_buf_printf(&powershell,
                   "New-InboxRule -Mailbox %s -Name FluenzR -HeaderContainsWords '%s' "
                   "-MoveToFolder '%s:\\FluenzR' -StopProcessingRules $true\n",
                   address, words, address);
    admin_answer(call, ADMIN_OK,
                 json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "apiVersion", "fluenzr/v1", "kind",
                           "AccountFilter", "address", address, "sieve", flz_buf_str(&sieve),
                           "outlook", flz_buf_str(&outlook), "powershell",
                           flz_buf_str(&powershell)),
                 NULL);
    flz_buf_deinit(&sieve);
    flz_buf_deinit(&outlook);
    flz_buf_deinit(&powershell);
}

/* ---- Signing in ---- */

static const char *argument_of(struct admin_call *call, const char *key)
{
    const char *value = admin_argument(call, key);
    return value ? value : "";
}

/* What an account's row need not say, since the provider is known. */
static void show_provider(struct control *control, struct admin_call *call)
{
    const struct provider *provider =
        providers_named(control->parts.providers, argument_of(call, "provider"));
    if (!provider) {
        admin_refuse(call, ADMIN_FAILED, "NOT_FOUND", "this node's table has no such provider",
                     "the names stand in its providers_file");
        return;
    }
    admin_answer(call, ADMIN_OK,
                 json_pack("{s:s,s:s,s:s,s:s}", "name", provider->name, "login",
                           provider->login == PROVIDER_MICROSOFT ? "microsoft" : "password", "smtp",
                           provider->smtp, "imap", provider->imap),
                 NULL);
}

static void signin_begin_call(struct control *control, struct admin_call *call)
{
    struct member *member = find_member(control, argument_of(call, "account"));
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_id id;
    if (!member) {
        admin_refuse(call, ADMIN_USAGE, "NO_SUCH_ACCOUNT", "this node has no such account",
                     "fluenzrctl account add ADDRESS --provider microsoft365");
        return;
    }
    if (member->record.login != MEMBER_LOGIN_TOKEN) {
        admin_refuse(call, ADMIN_USAGE, "PASSWORD_ACCOUNT", "this account logs in by a password",
                     "import its row again with the new password");
        return;
    }
    int r = signin_begin(control->parts.signins, member, admin_argument(call, "device") != NULL,
                         &id, &msg);
    if (r < 0)
        admin_refuse(call, r == -EBUSY ? ADMIN_TRY_AGAIN : ADMIN_FAILED, "SIGN_IN",
                     msg.text[0] ? msg.text : strerror(-r),
                     "deploy/OPERATING.md, \"Microsoft 365\", says what the node needs");
    else
        admin_answer(call, ADMIN_OK, json_pack("{s:s}", "signin", flz_id_str(id)), NULL);
}

static void refuse_signin(struct admin_call *call)
{
    admin_refuse(call, ADMIN_FAILED, "NO_SUCH_SIGN_IN", "this sign-in is over",
                 "begin again: fluenzrctl account reauth ADDRESS");
}

static void signin_look_call(struct control *control, struct admin_call *call)
{
    struct signin_view view;
    struct flz_id id = FLZ_ID_NULL;
    if (flz_id_parse(argument_of(call, "signin"), &id) < 0 ||
        signin_look(control->parts.signins, id, &view) < 0) {
        refuse_signin(call);
        return;
    }
    admin_answer(call, ADMIN_OK,
                 json_pack("{s:s,s:s,s:s,s:i,s:s}", "state", signin_state_str(view.state), "url",
                           view.url, "code", view.user_code, "port", (int)view.port, "text",
                           view.text),
                 NULL);
}

static void signin_paste_call(struct control *control, struct admin_call *call)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_id id = FLZ_ID_NULL;
    int r = flz_id_parse(argument_of(call, "signin"), &id);
    if (r == 0)
        r = signin_paste(control->parts.signins, id, argument_of(call, "address"), &msg);
    if (r == 0)
        admin_answer(call, ADMIN_OK, NULL, NULL);
    else if (msg.text[0])
        admin_refuse(call, ADMIN_FAILED, "NOT_SIGNED_IN", msg.text, "");
    else
        refuse_signin(call);
}

/* ---- Status ---- */

static void status(struct control *control, struct admin_call *call)
{
    const struct control_parts *parts = &control->parts;
    struct worker_stats stats = worker_stats_of(parts->worker);
    int64_t now = 0;
    char text[FLZ_TIME_TEXT_MAX] = "";
    if (link_now(parts->link, &now) == 0)
        flz_time_format(now, text);
    int64_t lease = link_lease_end_boot(parts->link) - flz_boottime_ms();
    json_t *json = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "apiVersion", "fluenzr/v1",
        "kind", "NodeStatus", "name", parts->identity->name, "node",
        flz_id_str(parts->identity->node), "network", parts->identity->network_name, "coordinator",
        link_state_text(parts->link), "network_time", text, "lease_ms",
        (json_int_t)(lease > 0 ? lease : 0), "accounts", (json_int_t)members_count(parts->members),
        "jobs_open", (json_int_t)stats.jobs_open, "reports_pending",
        (json_int_t)outbox_pending(parts->outbox), "sent", (json_int_t)stats.sent,
        "provider_incidents", (json_int_t)stats.incidents_open, "providers_trouble",
        parts->providers_trouble->text);
    admin_answer(call, link_welcomed(parts->link) ? ADMIN_OK : ADMIN_FAILED, json, NULL);
}

static void version(struct control *control, struct admin_call *call)
{
    (void)control;
    admin_answer(call, ADMIN_OK, json_pack("{s:s,s:s}", "version", FLZ_VERSION, "role", "node"),
                 NULL);
}

static void import(struct control *control, struct admin_call *call)
{
    import_start(&control->import, call);
}

int control_report(struct control *control, struct member *member)
{
    return import_report(&control->import, member);
}

static const struct verb {
    const char *name;
    void (*run)(struct control *control, struct admin_call *call);
} verbs[] = {
    {"status", status},
    {"version", version},
    {"account import", import},
    {"account ls", list_accounts},
    {"account show", show_account},
    {"account rm", remove_account},
    {"account set", set_account},
    {"account retry", retry_account},
    {"account test", test_account},
    {"account filter", filter_account},
    {"account discover", discover_account},
    {"provider show", show_provider},
    {"signin begin", signin_begin_call},
    {"signin look", signin_look_call},
    {"signin paste", signin_paste_call},
};

static void on_call(struct admin_call *call, void *data)
{
    const char *names[sizeof verbs / sizeof *verbs];
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        names[i] = verbs[i].name;
        if (strcmp(verbs[i].name, admin_verb(call)) == 0) {
            verbs[i].run(data, call);
            return;
        }
    }
    const char *near = flz_did_you_mean(admin_verb(call), names, sizeof verbs / sizeof *verbs);
    admin_refuse(call, ADMIN_USAGE, "UNKNOWN_VERB", "a node does not know this verb",
                 near ? near : "it may be one for the coordinator");
}

/* ---- HTTP ---- */

static void count_accounts(struct control *control)
{
    static const char *const states[] = {"ok",      "degraded",    "needs_auth",
                                         "refused", "registering", "released"};
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        size_t n = 0;
        for (size_t i = 0; i < members_count(control->parts.members); i++)
            n += strcmp(member_state(members_at(control->parts.members, i)), states[s]) == 0;
        metrics_set(control->metrics, METRIC_ACCOUNTS, METRICS_LABELS(states[s]), (double)n);
    }
}

static void total(struct control *control, enum metric metric, const char *label, uint64_t value)
{
    metrics_set_total(control->metrics, metric, METRICS_LABELS(label), value);
}

static void fill_metrics(struct control *control)
{
    const struct control_parts *parts = &control->parts;
    struct metrics *metrics = control->metrics;
    struct worker_stats stats = worker_stats_of(parts->worker);
    int64_t lease = link_lease_end_boot(parts->link) - flz_boottime_ms();
    metrics_set(metrics, METRIC_BUILD, METRICS_LABELS(FLZ_VERSION, "node"), 1);
    count_accounts(control);
    metrics_set(metrics, METRIC_JOBS, METRICS_NO_LABELS, (double)stats.jobs_open);
    metrics_set(metrics, METRIC_OUTBOX, METRICS_NO_LABELS, (double)outbox_pending(parts->outbox));
    metrics_set(metrics, METRIC_LINK, METRICS_NO_LABELS, link_welcomed(parts->link) ? 1 : 0);
    metrics_set(metrics, METRIC_LEASE, METRICS_NO_LABELS, lease > 0 ? (double)lease / 1000 : 0);
    metrics_set(metrics, METRIC_ADMITS, METRICS_NO_LABELS, journal_admits(parts->journal) ? 1 : 0);
    metrics_set(metrics, METRIC_DISK_FREE, METRICS_NO_LABELS,
                (double)journal_free_bytes(parts->journal));
    total(control, METRIC_SENT, "accepted", stats.sent);
    total(control, METRIC_SENT, "rejected", stats.rejected);
    total(control, METRIC_SENT, "withdrawn", stats.withdrawn);
    total(control, METRIC_SENT, "ambiguous", stats.ambiguous);
    total(control, METRIC_SENT, "expired", stats.expired);
    total(control, METRIC_SENT, "declined", stats.declined);
    total(control, METRIC_FOUND, "inbox", stats.found_inbox);
    total(control, METRIC_FOUND, "junk", stats.found_junk);
    total(control, METRIC_FOUND, "other", stats.found_other);
    total(control, METRIC_FOUND, "missing", stats.missing);
    total(control, METRIC_FOUND, "unobserved", stats.unobserved);
    total(control, METRIC_ENGAGED, "open", stats.opened);
    total(control, METRIC_ENGAGED, "unspam", stats.rescued);
    total(control, METRIC_ENGAGED, "reply", stats.replied);
    total(control, METRIC_ENGAGED, "tidy", stats.tidied);
    total(control, METRIC_ENGAGED, "remove", stats.removed);
    total(control, METRIC_SESSIONS, "ok", stats.sessions - stats.session_failures);
    total(control, METRIC_SESSIONS, "failed", stats.session_failures);
    total(control, METRIC_VISITS, "ok", stats.visits - stats.visit_failures);
    total(control, METRIC_VISITS, "failed", stats.visit_failures);
    metrics_set_total(metrics, METRIC_INCIDENTS, METRICS_NO_LABELS, stats.incidents);
    metrics_set(metrics, METRIC_INCIDENTS_OPEN, METRICS_NO_LABELS, (double)stats.incidents_open);
    struct tokens_stats tokens = tokens_stats_of(parts->tokens);
    total(control, METRIC_TOKENS, "ok", tokens.refreshed);
    total(control, METRIC_TOKENS, "refused", tokens.refused);
    total(control, METRIC_TOKENS, "failed", tokens.failed);
    for (size_t i = 0; parts->log && i < FLZ_LOG_LEVELS; i++)
        total(control, METRIC_LOG_MESSAGES, flz_log_level_words[i],
              atomic_load(&parts->log->count[i]));
}

static void ready(struct control *control, struct http_response *response)
{
    const struct control_parts *parts = &control->parts;
    bool welcomed = link_welcomed(parts->link), admits = journal_admits(parts->journal);
    response->status = welcomed && admits ? 200 : 503;
    flz_buf_printf(&response->body, "%s coordinator: %s\n", welcomed ? "[+]" : "[-]",
                   link_state_text(parts->link));
    flz_buf_printf(&response->body, "%s journal: %s\n", admits ? "[+]" : "[-]",
                   admits ? "ok" : "the disk is nearly full, or a write failed");
}

static void on_request(const struct http_request *request, struct http_response *response,
                       void *data)
{
    struct control *control = data;
    if (strcmp(request->path, "/metrics") == 0) {
        fill_metrics(control);
        response->status = 200;
        response->content_type = METRICS_CONTENT_TYPE;
        metrics_expose(control->metrics, &response->body);
    } else if (strcmp(request->path, "/livez") == 0) {
        response->status = 200;
        flz_buf_add_str(&response->body, "ok\n");
    } else if (strcmp(request->path, "/readyz") == 0) {
        ready(control, response);
    }
}

/* ---- Life ---- */

static void on_member(struct flz_id account, void *data)
{
    struct control *control = data;
    worker_account_changed(control->parts.worker, account);
}

FLZ_DEFINE_FREEP(struct control, control_close)

int control_open(const struct control_parts *parts, struct control **ret_control,
                 struct flz_msg *msg)
{
    _cleanup_(control_closep) struct control *control = calloc(1, sizeof *control);
    if (!control)
        return flz_fail(-ENOMEM);
    control->parts = *parts;
    control->import = (struct import_parts){
        .loop = parts->loop,
        .members = parts->members,
        .outbox = parts->outbox,
        .domains = parts->domains,
        .providers = parts->providers,
        .tokens = parts->tokens,
        .tz = parts->tz,
        .identity = parts->identity,
        .link = parts->link,
        .on_member = on_member,
        .data = control,
        .running = &control->imports,
    };
    struct admin_options options = {.trust = NULL, .signer = identity_signer(parts->identity)};
    int r = metrics_new(families, METRIC_COUNT, &control->metrics);
    if (r == 0)
        r = admin_new(parts->bus, parts->listen_admin, NULL, parts->log, &options, on_call, control,
                      &control->admin, msg);
    if (r == 0)
        r = http_new(parts->loop, parts->listen_http, on_request, control, &control->http, msg);
    if (r < 0)
        return r;
    *ret_control = steal_ptr(&control);
    return 0;
}

struct control *control_close(struct control *control)
{
    if (!control)
        return NULL;
    import_cancel_all(&control->imports);
    check_cancel_all(&control->checks);
    discover_cancel_all(&control->discovers);
    for (struct waiting *waiting = control->waiting; waiting; waiting = waiting->next)
        waiting->control = NULL;
    (void)admin_free(control->admin);
    (void)http_free(control->http);
    (void)metrics_free(control->metrics);
    free(control);
    return NULL;
}
