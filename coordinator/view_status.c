/* The network on one screen, and what is wrong with it. */
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "coordinator/core/ramp.h"
#include "coordinator/identity.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Accounts whose pool a status counts. Each costs a walk over all, so there are fewer of them where
 * the walks are long. */
#define POOL_SAMPLE 32
#define POOL_LOOKS_MAX 500000

#define PHASES (RAMP_RECOVERY + 1)

/* What one walk over the accounts finds. */
struct census {
    size_t live;
    size_t phase[PHASES];
    size_t readiness[VIEW_READINESS_COUNT];
    size_t overdone;       /* whose owners send more of their own than is advised */
    uint32_t overdone_one; /* an account of these */
    uint32_t example[VIEW_READINESS_COUNT]; /* an account of each */
    uint32_t owner;                         /* of all of them, or COORD_NONE */
    uint32_t domain;
};

static struct census take_census(const struct view *view)
{
    struct census census = {.live = 0};
    for (uint32_t i = 0; i < coord_account_count(view->core); i++) {
        const struct row_account *row = coord_account(view->core, i);
        if (row->state != ACCOUNT_LIVE || !view_sees_account(view, i))
            continue;
        enum view_readiness readiness = view_readiness(view, i);
        census.owner = census.live == 0 || census.owner == row->owner ? row->owner : COORD_NONE;
        census.domain = census.live == 0 || census.domain == row->domain ? row->domain : COORD_NONE;
        census.live++;
        census.phase[view_phase(view, row)]++;
        census.readiness[readiness]++;
        census.example[readiness] = i;
        if (row->volume > 0 && row->volume > view_prospecting(view, row).high) {
            census.overdone++;
            census.overdone_one = i;
        }
    }
    return census;
}

/* ---- Problems ---- */

struct problems {
    json_t *critical;
    json_t *warning;
};

struct problem {
    const char *code;
    const char *subject;
    const char *next;
};

__attribute__((format(printf, 3, 4))) static void add(json_t *list, struct problem problem,
                                                      const char *format, ...)
{
    char text[FLZ_MSG_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *json = json_object();
    view_put_text(json, "code", problem.code);
    view_put_text(json, "subject", problem.subject);
    view_put_text(json, "message", text);
    view_put_text(json, "next", problem.next);
    (void)json_array_append_new(list, json);
}

static void add_node_problems(const struct view *view, struct problems *problems)
{
    size_t joined = 0;
    for (uint32_t i = 0; i < coord_node_count(view->core); i++) {
        const struct row_node *row = coord_node(view->core, i);
        if (row->state != NODE_JOINED || !view_sees_node(view, i))
            continue;
        joined++;
        char subject[FLZ_NAME_MAX + 8];
        (void)snprintf(subject, sizeof subject, "node/%s", row->name);
        if (server_node_connected(view->server, i))
            continue;
        int64_t heard = server_node_heard_boot(view->server, i);
        struct problem problem = {"NODE_NOT_CONNECTED", subject,
                                  "look at that host: systemctl status fluenzr-node"};
        if (heard)
            add(problems->critical, problem, "no heartbeat for %lld s; nothing of it is sent",
                (long long)((flz_boottime_ms() - heard) / 1000));
        else
            add(problems->critical, problem, "not heard since the coordinator started");
    }
    if (joined == 0 && view_sees_all(view))
        add(problems->critical,
            (struct problem){"NO_NODE", "network", "fluenzrctl node invite NAME --out FILE"},
            "no node has joined");
}

static void add_pairing_problems(const struct view *view, const struct census *census,
                                 struct problems *problems)
{
    int64_t share = coord_policy(view->core)->same_owner_percent;
    if (census->live == 0) {
        add(problems->critical,
            (struct problem){"NO_ACCOUNT", "network",
                             "fluenzrctl account import FILE.csv, on a node's host"},
            "no account is registered");
    } else if (census->domain != COORD_NONE) {
        add(problems->critical,
            (struct problem){"ONE_DOMAIN", "network", "import accounts of other domains"},
            "all %zu accounts are of one domain: nothing can be paired", census->live);
    } else if (census->owner != COORD_NONE && share == 0) {
        add(problems->critical,
            (struct problem){"ONE_OWNER", "network",
                             "import accounts of other owners; or an administrator may allow a "
                             "share of pairs within one owner: fluenzrctl policy set "
                             "same_owner_percent 20"},
            "all %zu accounts share one owner: nothing can be paired (policy key "
            "same_owner_percent is 0, 20 at most)",
            census->live);
    } else if (census->owner != COORD_NONE) {
        add(problems->warning,
            (struct problem){"ONE_OWNER", "network", "import accounts of other owners"},
            "all %zu accounts share one owner: at most %lld %% of each quota can be used",
            census->live, (long long)share);
    }
}

static const char *readiness_next(enum view_readiness readiness)
{
    switch (readiness) {
    case VIEW_CONSENT: return "ask the owner; import again with --consent-until";
    case VIEW_PAUSED: return "fluenzrctl resume TARGET, when the reason is gone";
    case VIEW_NODE_AWAY: return "look at the node's host: systemctl status fluenzr-node";
    case VIEW_NODE_GONE: return "import the account at another node";
    case VIEW_UNPROBED: return "wait for the node's first login: fluenzrctl wait --for ready";
    case VIEW_STALE: return "look at the node's log: its logins come every few hours";
    case VIEW_TROUBLE:
    case VIEW_LOGIN: return "fluenzrctl account why ADDRESS; the node tries again by itself";
    case VIEW_NEEDS_AUTH:
        return "correct user or password and import the row again; or, on the node's host: "
               "fluenzrctl account retry ADDRESS (Microsoft 365: account reauth ADDRESS)";
    case VIEW_FULL: return "make room in the mailbox";
    case VIEW_MX_CHANGED: return "check the domain's MX; import the row again to confirm it";
    case VIEW_SUPPRESSED: return "fluenzrctl account why ADDRESS; fluenzrctl suppress rm ADDRESS";
    case VIEW_ANSWERS:
        return "have the automatic reply leave out mail marked Auto-Submitted; then fluenzrctl "
               "resume account/ADDRESS";
    case VIEW_OPT_OUT:
    case VIEW_DENIED: return "fluenzrctl account rm ADDRESS";
    case VIEW_READY:
    case VIEW_GONE:
    case VIEW_READINESS_COUNT: break;
    }
    return "fluenzrctl account why ADDRESS";
}

#define SUBJECT_MAX (FLZ_ADDRESS_MAX + 16)

static void account_subject(const struct view *view, uint32_t account,
                            char ret_subject[static SUBJECT_MAX])
{
    const char *address = view_address(view, account);
    (void)snprintf(ret_subject, SUBJECT_MAX, "account/%s",
                   address[0] ? address : flz_id_str(coord_account(view->core, account)->id));
}

static void add_unready_problems(const struct view *view, const struct census *census,
                                 struct problems *problems)
{
    for (enum view_readiness i = VIEW_READY + 1; i < VIEW_READINESS_COUNT; i++) {
        if (census->readiness[i] == 0)
            continue;
        if (i == VIEW_PAUSED && view_sees_all(view))
            continue; /* each pause is a problem of its own */
        char subject[SUBJECT_MAX];
        const struct row_account *row = coord_account(view->core, census->example[i]);
        account_subject(view, census->example[i], subject);
        struct flz_msg trouble;
        view_trouble(row, &trouble);
        add(problems->warning, (struct problem){"UNREADY", subject, readiness_next(i)},
            "%zu of %zu accounts cannot be written to: %s%s%s%s%s", census->readiness[i],
            census->live, view_readiness_word(i), trouble.text[0] ? "; this one: " : "",
            trouble.text, row->trouble[0] ? ": " : "", row->trouble);
    }
}

/* Looks at some ready accounts, spread over all: does the pool carry what the ramp wants? */
static void add_pool_problem(const struct view *view, const struct census *census,
                             struct problems *problems)
{
    size_t ready = census->readiness[VIEW_READY];
    size_t sample = POOL_LOOKS_MAX / (coord_account_count(view->core) + 1) + 1;
    size_t stride = ready / (sample < POOL_SAMPLE ? sample : POOL_SAMPLE) + 1;
    size_t seen = 0;
    size_t looked = 0;
    size_t small = 0;
    struct coord_pool worst = {.ceiling = UINT32_MAX};
    for (uint32_t i = 0; ready > 0 && i < coord_account_count(view->core); i++) {
        if (!view_sees_account(view, i) || view_readiness(view, i) != VIEW_READY ||
            seen++ % stride != 0)
            continue;
        struct coord_pool pool;
        coord_pool_of(view->core, i, view->now, &pool);
        looked++;
        if (pool.ceiling >= view_curve(view, coord_account(view->core, i)))
            continue;
        small++;
        if (pool.ceiling < worst.ceiling)
            worst = pool;
    }
    if (small > 0)
        add(problems->warning,
            (struct problem){"POOL_SMALL", "network",
                             "import accounts of more domains and owners, or lower cooldown_days: "
                             "fluenzrctl policy ls"},
            "the pool is too small for %zu of %zu accounts looked at: %u eligible partners and a "
            "cooldown of %lld days carry %u messages a day",
            small, looked, worst.eligible, (long long)coord_policy(view->core)->cooldown_days,
            worst.ceiling);
}

static void add_prospecting_problem(const struct view *view, const struct census *census,
                                    struct problems *problems)
{
    if (census->overdone == 0)
        return;
    const struct row_account *row = coord_account(view->core, census->overdone_one);
    char subject[SUBJECT_MAX];
    account_subject(view, census->overdone_one, subject);
    add(problems->warning,
        (struct problem){"PROSPECTING", subject,
                         "send fewer of your own until its ramp is further: fluenzrctl account "
                         "show ADDRESS says how many are advised"},
        "the owners of %zu of %zu accounts declare more mail of their own than is advised; this "
        "one %u a day, at most %u are. Warming goes on all the same",
        census->overdone, census->live, row->volume, view_prospecting(view, row).high);
}

static void add_pause_problems(const struct view *view, struct problems *problems)
{
    char text[FLZ_TIME_TEXT_MAX];
    for (size_t i = 0; i < coord_pause_count(view->core); i++) {
        const struct row_pause *pause = coord_pause(view->core, i);
        json_t *target = view_target(&pause->target);
        char next[FLZ_MSG_MAX];
        (void)snprintf(next, sizeof next, "fluenzrctl resume %s", json_string_value(target));
        if (pause->until == FLZ_NEVER)
            (void)flz_text_copy(text, sizeof text, "it is resumed");
        else
            flz_time_format(pause->until, text);
        if (view_sees_all(view))
            add(problems->warning, (struct problem){"PAUSED", json_string_value(target), next},
                "paused by %s until %s: %s", pause->by, text, pause->reason);
        json_decref(target);
    }
    int64_t quiet = coord_network(view->core)->quiet_until;
    if (quiet <= view->now)
        return;
    flz_time_format(quiet, text);
    struct problem problem = {
        "QUIET", "network",
        "wait: nodes tell what was sent; enter again what was decided since: revocations, "
        "removals, erasures, suppressions, pauses, settings"};
    add(problems->warning, problem,
        "the log was restored from a backup: nothing is sent before %s", text);
}

static void add_clock_problem(const struct view *view, struct problems *problems)
{
    int64_t step = server_refused_step_ms(view->server);
    if (step != 0)
        add(problems->critical,
            (struct problem){"CLOCK_REFUSED", "coordinator",
                             "set that host's clock right (timedatectl); or, if it is right: "
                             "fluenzrctl clock confirm"},
            "the clock of the coordinator's host jumped %lld min %s; network time goes on without",
            (long long)((step < 0 ? -step : step) / FLZ_MINUTE_MS), step < 0 ? "back" : "ahead");
}

static json_t *problems_json(const struct view *view, const struct census *census,
                             size_t *ret_critical)
{
    struct problems problems = {.critical = json_array(), .warning = json_array()};
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = server_ready(view->server, &msg);
    if (r == -ENOSPC)
        add(problems.critical,
            (struct problem){"HELD_BACK", "coordinator",
                             "free space on the coordinator's host (df -h); nothing is lost, and "
                             "nodes go on with what they hold"},
            "nothing new is decided: %s", msg.text);
    else if (r != 0)
        add(problems.critical,
            (struct problem){"NOT_READY", "coordinator", "look at the coordinator's log"}, "%s",
            msg.text);
    add_clock_problem(view, &problems);
    add_node_problems(view, &problems);
    add_pairing_problems(view, census, &problems);
    add_unready_problems(view, census, &problems);
    add_pool_problem(view, census, &problems);
    add_prospecting_problem(view, census, &problems);
    add_pause_problems(view, &problems);
    if (ret_critical)
        *ret_critical = json_array_size(problems.critical);
    size_t i;
    json_t *json;
    json_array_foreach(problems.critical, i, json) view_put_text(json, "severity", "critical");
    json_array_foreach(problems.warning, i, json) view_put_text(json, "severity", "warning");
    (void)json_array_extend(problems.critical, problems.warning);
    json_decref(problems.warning);
    return problems.critical;
}

/* ---- Status ---- */

static json_t *accounts_json(const struct census *census)
{
    json_t *phases = json_object();
    for (uint32_t i = RAMP_START; i < PHASES; i++)
        view_put_int(phases, words_phase(i), (int64_t)census->phase[i]);
    json_t *readiness = json_object();
    for (enum view_readiness i = VIEW_READY; i < VIEW_READINESS_COUNT; i++)
        view_put_int(readiness, view_readiness_word(i), (int64_t)census->readiness[i]);
    json_t *json = json_object();
    view_put_int(json, "live", (int64_t)census->live);
    view_put_int(json, "ready", (int64_t)census->readiness[VIEW_READY]);
    view_put(json, "byPhase", phases);
    view_put(json, "byReadiness", readiness);
    return json;
}

static json_t *today_json(const struct view *view)
{
    int32_t date = (int32_t)(view->now / FLZ_DAY_MS);
    json_t *json = json_object();
    view_put(json, "date", view_date(date));
    view_put_counters(json, coord_day(view->core, COORD_NONE, date));
    return json;
}

static json_t *tasks_json(const struct view *view)
{
    int64_t open = 0;
    for (uint32_t i = 0; i < coord_node_count(view->core); i++)
        open += coord_node_open(view->core, i);
    json_t *json = json_object();
    view_put_int(json, "open", open);
    view_put_int(json, "dueUnreported", (int64_t)coord_due_unreported(view->core, view->now));
    return json;
}

json_t *view_status(const struct view *view, size_t *ret_critical)
{
    const struct coordinator_identity *identity = server_identity(view->server);
    const struct row_network *network = coord_network(view->core);
    struct census census = take_census(view);
    json_t *json = json_object();
    view_put_text(json, "network", identity->name);
    view_put(json, "id", view_id(network->id));
    view_put_text(json, "contact", identity->contact);
    view_put_text(json, "version", FLZ_VERSION);
    view_put_int(json, "epoch", (int64_t)network->epoch);
    view_put(json, "generation", view_id(network->generation));
    view_put_int(json, "revocationVersion", (int64_t)network->revocation_version);
    view_put(json, "networkTime", view_time(view->now));
    view_put(json, "rate", json_real((double)server_rate_milli(view->server) / 1000));
    view_put(json, "uptimeSeconds",
             json_real((double)(flz_boottime_ms() - server_started_boot(view->server)) / 1000));
    view_put(json, "newestDate", view_date(network->newest_date));
    json_t *nodes = view_nodes(view);
    view_put(json, "nodes", json_incref(json_object_get(nodes, "items")));
    json_decref(nodes);
    view_put(json, "accounts", accounts_json(&census));
    view_put(json, "tasks", tasks_json(view));
    /* The network's counters are everybody's business, but not one owner's. */
    view_put(json, "today", view_sees_all(view) ? today_json(view) : json_null());
    view_put(json, "problems", problems_json(view, &census, ret_critical));
    return view_document(view, "Status", json);
}
