/* The network as a whole: status, plan, exchanges, counters, events, policy, pauses, suppressions,
 * its clock. */
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/desk_private.h"
#include "coordinator/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATS_DAYS_DEFAULT 7

static void copy_who(struct desk *desk, char ret_by[static FLZ_NAME_MAX])
{
    (void)snprintf(ret_by, FLZ_NAME_MAX, "%s", admin_who(desk->call));
}

/* ---- Looking ---- */

void desk_status(struct desk *desk)
{
    size_t critical = 0;
    json_t *document = view_status(&desk->view, &critical);
    if (!document)
        desk_answer(desk, NULL);
    else
        admin_answer(desk->call, critical ? ADMIN_FAILED : ADMIN_OK, document, NULL);
}

void desk_version(struct desk *desk)
{
    desk_answer(desk, view_version(&desk->view));
}

static void refuse_event_type(struct desk *desk)
{
    struct flz_msg hint = FLZ_MSG_NULL;
    size_t len = 0;
    for (uint32_t type = 1; type <= EVENT_TYPE_MAX && len < sizeof hint.text; type++)
        if (flz_event_name(type)[0] != '?')
            len += (size_t)snprintf(hint.text + len, sizeof hint.text - len, "%s%s",
                                    len ? " " : "types: ", flz_event_name(type));
    desk_bad_input(desk, "there is no such type of event", hint.text);
}

void desk_events(struct desk *desk)
{
    struct view_event_query query = {.after = 0};
    uint64_t limit;
    const char *after = admin_argument(desk->call, "after");
    const char *type = admin_argument(desk->call, "type");
    if (!desk_may(desk, "network", false) ||
        !desk_number(desk, "limit", VIEW_LIMIT_MAX, VIEW_LIMIT_DEFAULT, &limit))
        return;
    query.limit = (size_t)limit;
    if (after && flz_parse_u64(after, INT64_MAX, &query.after) < 0) {
        desk_bad_input(desk, "after is the number of an event", "");
        return;
    }
    if (type)
        query.type = words_find(flz_event_name, type);
    if (type && query.type == 0)
        refuse_event_type(desk);
    else
        desk_answer(desk, view_events(&desk->view, &query));
}

/* An account that may be named: COORD_NONE when it is not. False: refused. */
static bool optional_account(struct desk *desk, uint32_t *ret_account)
{
    *ret_account = COORD_NONE;
    if (!admin_argument(desk->call, "account"))
        return true;
    *ret_account = desk_need_account(desk, "account");
    return *ret_account != COORD_NONE;
}

static bool find_slicing(const char *word, enum view_stats_by *ret_by)
{
    static const char *const words[] = {
        [VIEW_BY_DAY] = "day",
        [VIEW_BY_ACCOUNT] = "account",
        [VIEW_BY_TOWARDS] = "towards",
        [VIEW_BY_PROVIDER] = "provider",
        [VIEW_BY_DOMAIN] = "domain",
        [VIEW_BY_OWNER] = "owner",
        [VIEW_BY_NODE] = "node",
        [VIEW_BY_SCENARIO] = "scenario",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], word) == 0) {
            *ret_by = (enum view_stats_by)i;
            return true;
        }
    }
    return false;
}

void desk_stats(struct desk *desk)
{
    struct view_stats_query query = {.by = VIEW_BY_DAY, .page = VIEW_WHOLE};
    uint64_t days;
    const char *by = admin_argument(desk->call, "by");
    if (!desk_date(desk, "from", &query.from) || !desk_date(desk, "to", &query.to) ||
        !desk_number(desk, "days", VIEW_STATS_DAYS_MAX, STATS_DAYS_DEFAULT, &days) ||
        !optional_account(desk, &query.account))
        return;
    if (by && !find_slicing(by, &query.by)) {
        desk_bad_input(
            desk,
            "--by takes day, account, towards, provider, domain, owner, node or scenario", "");
        return;
    }
    if (!query.to)
        query.to = (int32_t)(desk->view.now / FLZ_DAY_MS);
    if (!query.from)
        query.from = query.to - (int32_t)days + 1;
    if (query.from > query.to || query.to - query.from >= VIEW_STATS_DAYS_MAX)
        desk_bad_input(desk, "from is not after to, and at most 400 days before it", "");
    else
        desk_answer(desk, query.by >= VIEW_BY_TOWARDS ? view_slices(&desk->view, &query)
                                                      : view_stats(&desk->view, &query));
}

void desk_plan_show(struct desk *desk)
{
    struct view_plan_query query = {.page = VIEW_WHOLE};
    if (desk_date(desk, "date", &query.date) && optional_account(desk, &query.account))
        desk_answer(desk, view_plan(&desk->view, &query));
}

void desk_exchange_ls(struct desk *desk)
{
    struct view_exchange_filter filter = {.ended = admin_argument(desk->call, "all") != NULL,
                                          .before = COORD_NONE};
    uint64_t limit;
    if (!optional_account(desk, &filter.account) ||
        !desk_number(desk, "limit", VIEW_LIMIT_MAX, VIEW_LIMIT_DEFAULT, &limit))
        return;
    filter.limit = (size_t)limit;
    desk_answer(desk, view_exchanges(&desk->view, &filter));
}

void desk_exchange_show(struct desk *desk)
{
    const char *text = desk_need(desk, "exchange", "fluenzrctl exchange ls");
    struct flz_id id;
    if (!text)
        return;
    if (flz_id_parse(text, &id) < 0) {
        desk_bad_input(desk, "an exchange is named by its id, 32 hex digits",
                       "fluenzrctl exchange ls");
        return;
    }
    json_t *document = view_exchange(&desk->view, id);
    if (document)
        desk_answer(desk, document);
    else
        admin_refuse(desk->call, ADMIN_FAILED, "NOT_FOUND", "no such exchange here",
                     "fluenzrctl exchange ls --all");
}

void desk_policy_ls(struct desk *desk)
{
    desk_answer(desk, view_policy(&desk->view));
}

void desk_pause_ls(struct desk *desk)
{
    if (desk_may(desk, "network", false))
        desk_answer(desk, view_pauses(&desk->view));
}

void desk_suppress_ls(struct desk *desk)
{
    if (desk_may(desk, "network", false))
        desk_answer(desk, view_suppressions(&desk->view));
}

/* ---- Policy ---- */

/* "20", or "30m" for keys that end in _ms. */
static int parse_value(const char *key, const char *text, int64_t *ret_value)
{
    uint64_t number;
    if (flz_parse_u64(text, INT64_MAX, &number) == 0) {
        *ret_value = (int64_t)number;
        return 0;
    }
    return strstr(key, "_ms") ? flz_parse_duration_ms(text, ret_value) : -EINVAL;
}

void desk_policy_set(struct desk *desk)
{
    struct desk_change change = {.remove = COORD_NONE};
    struct coord_command command = {.kind = COORD_SET_POLICY};
    if (!desk_may(desk, "network", true))
        return;
    const char *key = desk_need(desk, "key", "fluenzrctl policy ls");
    const char *value = key ? desk_need(desk, "value", "fluenzrctl policy ls") : NULL;
    if (!value)
        return;
    if (parse_value(key, value, &command.policy.value) < 0 ||
        flz_text_copy(command.policy.key, sizeof command.policy.key, key) < 0) {
        desk_bad_input(desk, "a value is a whole number; for a time also 30m, 6h, 3d",
                       "fluenzrctl policy ls");
        return;
    }
    /* The core checks as well; this way a slip is told with the bounds, at once. */
    struct policy probe = *coord_policy(desk->view.core);
    struct flz_msg msg = FLZ_MSG_NULL;
    if (policy_set(&probe, key, command.policy.value, &msg) < 0 || policy_check(&probe, &msg) < 0) {
        desk_bad_input(desk, msg.text, "fluenzrctl policy ls");
        return;
    }
    copy_who(desk, command.policy.by);
    (void)snprintf(change.subject, sizeof change.subject, "policy/%s", key);
    (void)snprintf(change.done, sizeof change.done,
                   "%s is now %lld; plans made from now on obey it", key,
                   (long long)command.policy.value);
    desk_change(desk, &command, &change);
}

/* ---- Pauses ---- */

/* Splits "node/n1"; the account's id or address is looked up. False: refused. */
static bool read_target(struct desk *desk, struct flz_pause *ret_target, uint32_t *ret_account)
{
    static const char hint[] = "targets: network, node/N, provider/P, domain/D, account/A";
    const char *text = desk_need(desk, "target", hint);
    if (!text)
        return false;
    char word[FLZ_NAME_MAX] = "";
    size_t len = strcspn(text, "/");
    const char *name = text[len] ? text + len + 1 : "";
    if (len < sizeof word)
        memcpy(word, text, len);
    struct flz_pause target = {.scope = words_find(words_scope, word)};
    bool named = target.scope != FLZ_SCOPE_NETWORK;
    *ret_account = COORD_NONE;
    if (target.scope == 0 || named != (name[0] != '\0') ||
        (target.scope != FLZ_SCOPE_ACCOUNT &&
         flz_text_copy(target.name, sizeof target.name, name) < 0)) {
        desk_bad_input(desk, "this is not a target", hint);
        return false;
    }
    if (target.scope == FLZ_SCOPE_DOMAIN)
        flz_ascii_lower_str(target.name);
    if (target.scope == FLZ_SCOPE_ACCOUNT) {
        *ret_account = desk_need_account(desk, "target");
        if (*ret_account == COORD_NONE)
            return false;
        target.account = coord_account(desk->view.core, *ret_account)->id;
    }
    *ret_target = target;
    return true;
}

/* An operator stops what is his: his node and its accounts; the rest is the administrator's. */
static bool may_target(struct desk *desk, const struct flz_pause *target, uint32_t account)
{
    char name[FLZ_DOMAIN_MAX + 8];
    if (account != COORD_NONE)
        return desk_may_account(desk, account, true);
    (void)snprintf(name, sizeof name, "node/%s", target->name);
    return desk_may(desk, target->scope == FLZ_SCOPE_NODE ? name : "network", true);
}

static bool read_pause(struct desk *desk, struct coord_command *command, struct desk_change *change)
{
    uint32_t account;
    if (!read_target(desk, &command->pause.target, &account) ||
        !may_target(desk, &command->pause.target, account))
        return false;
    copy_who(desk, command->pause.by);
    (void)snprintf(change->subject, sizeof change->subject, "%s",
                   admin_argument(desk->call, "target"));
    return true;
}

void desk_pause(struct desk *desk)
{
    struct coord_command command = {.kind = COORD_PAUSE, .pause = {.until = FLZ_NEVER}};
    struct desk_change change = {.remove = COORD_NONE};
    if (!read_pause(desk, &command, &change))
        return;
    const char *reason = desk_need(desk, "reason", "--reason TEXT tells others why");
    if (!reason)
        return;
    (void)snprintf(command.pause.reason, sizeof command.pause.reason, "%s", reason);
    char until[FLZ_TIME_TEXT_MAX] = "it is resumed";
    if (!desk_until(desk, "for", FLZ_NEVER, &command.pause.until))
        return;
    if (command.pause.until != FLZ_NEVER)
        flz_time_format(command.pause.until, until);
    (void)snprintf(change.done, sizeof change.done, "paused until %s; undo: fluenzrctl resume %s",
                   until, change.subject);
    desk_change(desk, &command, &change);
}

void desk_resume(struct desk *desk)
{
    struct coord_command command = {.kind = COORD_RESUME};
    struct desk_change change = {.remove = COORD_NONE, .done = "resumed"};
    if (read_pause(desk, &command, &change))
        desk_change(desk, &command, &change);
}

/* ---- Suppressions ---- */

/* An address, or for `rm` the digest that `ls` shows. False: refused. */
static bool read_address(struct desk *desk, struct flz_digest *ret_digest)
{
    const char *text = desk_need(desk, "address", "an address, or the digest of 'suppress ls'");
    struct flz_address address;
    if (!text)
        return false;
    if (flz_address_parse(text, &address) == 0)
        *ret_digest = flz_address_digest(&address);
    else if (strlen(text) != 2 * sizeof ret_digest->b ||
             flz_hex_decode(text, strlen(text), ret_digest->b) < 0) {
        desk_bad_input(desk, "this is neither an address nor a digest", "");
        return false;
    }
    return true;
}

/* Whose wish it is: `operator` when nothing is said. Bounces and complaints are no person's. */
static bool read_kind(struct desk *desk, uint32_t *ret_kind)
{
    const char *kind = admin_argument(desk->call, "kind");
    *ret_kind = SUPPRESSED_OPERATOR;
    if (kind && strcmp(kind, "owner") == 0)
        *ret_kind = SUPPRESSED_OWNER;
    else if (kind && kind[0] && strcmp(kind, "operator") != 0) {
        desk_bad_input(desk, "there is no such kind of suppression", "--kind operator or owner");
        return false;
    }
    return true;
}

void desk_suppress_add(struct desk *desk)
{
    struct coord_command command = {.kind = COORD_SUPPRESS};
    struct desk_change change = {.remove = COORD_NONE,
                                 .done = "suppressed: this address is not written to any more"};
    if (!desk_may(desk, "network", true) || !read_address(desk, &command.suppress.address))
        return;
    const char *reason = desk_need(desk, "reason", "--reason TEXT tells others why");
    if (!reason || !read_kind(desk, &command.suppress.kind))
        return;
    (void)snprintf(command.suppress.reason, sizeof command.suppress.reason, "%s", reason);
    copy_who(desk, command.suppress.by);
    (void)snprintf(change.subject, sizeof change.subject, "suppression");
    desk_change(desk, &command, &change);
}

void desk_suppress_rm(struct desk *desk)
{
    struct coord_command command = {.kind = COORD_UNSUPPRESS};
    struct desk_change change = {.remove = COORD_NONE, .done = "taken off the suppression list"};
    if (!desk_may(desk, "network", true) || !read_address(desk, &command.suppress.address))
        return;
    copy_who(desk, command.suppress.by);
    (void)snprintf(change.subject, sizeof change.subject, "suppression");
    desk_change(desk, &command, &change);
}

/* ---- The clock ---- */

void desk_clock_confirm(struct desk *desk)
{
    struct desk_change change = {.remove = COORD_NONE, .subject = "clock"};
    if (!desk_may(desk, "network", true))
        return;
    int64_t step = server_refused_step_ms(desk->server);
    if (step == 0) {
        admin_refuse(desk->call, ADMIN_FAILED, "NOT_REFUSED",
                     "network time follows the coordinator's clock: there is nothing to confirm",
                     "");
        return;
    }
    char now[FLZ_TIME_TEXT_MAX];
    flz_time_format(desk->view.now, now);
    if (step > 0)
        (void)snprintf(change.done, sizeof change.done,
                       "network time goes forward by %lld min and follows the coordinator's clock",
                       (long long)(step / FLZ_MINUTE_MS));
    else
        (void)snprintf(change.done, sizeof change.done,
                       "network time never goes back: it stands still at %s until the "
                       "coordinator's clock is there, %lld min from now",
                       now, (long long)(-step / FLZ_MINUTE_MS));
    desk_change_clock(desk, &change);
}
