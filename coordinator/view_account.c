/* Accounts: what they are, whether they may be written to, and all that is held of one. */
#include "coordinator/core/ramp.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include "common/base/text.h"
#include "common/base/time.h"

#include <stdio.h>
#include <string.h>

static json_t *hours_json(const struct row_account *row)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%02u:%02u-%02u:%02u", row->start_minute / 60 % 100,
                   row->start_minute % 60, row->end_minute / 60 % 100, row->end_minute % 60);
    return json_string(text);
}

static json_t *days_json(uint32_t days)
{
    static const char *const names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    json_t *list = json_array();
    for (unsigned i = 0; i < 7; i++)
        if (days & (1u << i))
            (void)json_array_append_new(list, json_string(names[i]));
    return list;
}

/* The next date on which it may send, from `date` on; 0: none within its calendar. */
static int32_t next_sending_day(const struct row_account *row, int32_t date)
{
    int32_t end = date + FLZ_AWAY_MAX * FLZ_AWAY_DAYS_MAX;
    for (; date < end; date++)
        if ((row->days >> flz_date_weekday(date) & 1) && !flz_is_day_off(&row->days_off, date))
            return date;
    return 0;
}

static json_t *days_off_json(const struct row_account *row, int32_t today)
{
    char away[FLZ_AWAY_TEXT_MAX];
    flz_away_format(row->days_off.away, away);
    json_t *json = json_object();
    view_put_text(json, "holidays", row->days_off.holidays);
    view_put_text(json, "blackout", away);
    view_put_text(json, "today", view_day_off(row, today));
    view_put(json, "nextSendingDay", view_date(next_sending_day(row, today)));
    return json;
}

static json_t *consent_json(const struct view *view, const struct row_account *row)
{
    const struct person *person =
        view->names ? persons_find(server_persons(view->server), row->handle) : NULL;
    json_t *json = json_object();
    view_put_text(json, "by", person ? person->consent_by : "");
    view_put(json, "given", view_time(row->consent_given));
    view_put(json, "until", view_time(row->consent_until));
    view_put(json, "ended", view_time(row->consent_ended));
    view_put(json, "actions", view_bits(row->consent_actions, words_action));
    return json;
}

static json_t *probe_json(const struct row_account *row)
{
    if (row->probe_at == 0)
        return json_null();
    json_t *json = json_object();
    view_put(json, "at", view_time(row->probe_at));
    view_put_bool(json, "loginOk", row->login_ok);
    view_put_text(json, "reason", words_reason(row->probe_reason));
    view_put(json, "troubleSince", view_time(row->trouble_at));
    view_put_int(json, "refusedLogins", row->tries);
    view_put(json, "nextTryAt", view_time(row->next_try_at));
    view_put(json, "quotaPermille",
             row->quota_permille > 1000 ? json_null() : json_integer(row->quota_permille));
    view_put_bool(json, "mxChanged", row->mx_changed);
    view_put_bool(json, "optOut", row->opt_out);
    view_put_bool(json, "denied", row->denied);
    return json;
}

/* The node has given up until somebody acts: refused passwords, or a sign-in that is over. */
bool view_asks_person(const struct row_account *row)
{
    return row->tries >= FLZ_LOGIN_TRIES_MAX ||
           (row->probe_reason == FLZ_REASON_LOGIN && row->next_try_at == 0);
}

void view_trouble(const struct row_account *row, struct flz_msg *ret_msg)
{
    char text[FLZ_TIME_TEXT_MAX];
    *ret_msg = FLZ_MSG_NULL;
    if (row->probe_at == 0 || row->login_ok)
        return;
    flz_time_format(row->next_try_at, text);
    if (row->tries >= FLZ_LOGIN_TRIES_MAX)
        flz_msg_set(ret_msg, "login refused %u times, not tried again by itself", row->tries);
    else if (view_asks_person(row))
        flz_msg_set(ret_msg, "somebody has to sign in, not tried again by itself");
    else if (row->tries > 0)
        flz_msg_set(ret_msg, "login refused %u of %u, next try at %s", row->tries,
                    FLZ_LOGIN_TRIES_MAX, text);
    else if (row->next_try_at)
        flz_msg_set(ret_msg, "no login, next try at %s", text);
    else
        flz_msg_set(ret_msg, "no login");
}

static json_t *account_json(const struct view *view, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    enum view_readiness readiness = view_readiness(view, account);
    json_t *json = json_object();
    view_put(json, "id", view_id(row->id));
    view_put_text(json, "address", view_address(view, account));
    view_put_text(json, "owner", view_owner(view, account));
    view_put_text(json, "domain", view_name(view, NAME_DOMAIN, row->domain));
    view_put_text(json, "provider", view_name(view, NAME_PROVIDER, row->provider));
    view_put_text(json, "node", view_node_name(view, row->node));
    view_put_text(json, "state", words_account_state(row->state));
    view_put_bool(json, "ready", readiness == VIEW_READY);
    view_put_text(json, "readiness", view_readiness_word(readiness));
    struct flz_msg trouble;
    view_trouble(row, &trouble);
    view_put_text(json, "trouble", trouble.text);
    view_put_text(json, "said", row->trouble);
    view_put_text(json, "phase", words_phase(view_phase(view, row)));
    view_put_int(json, "day", row->ramp_day);
    view_put_int(json, "level", row->ramp_reference);
    view_put_text(json, "language", row->language);
    view_put_text(json, "zone", row->zone);
    view_put(json, "hours", hours_json(row));
    view_put(json, "days", days_json(row->days));
    view_put_text(json, "intensity", words_intensity(row->intensity));
    view_put(json, "target", row->target ? json_integer(row->target) : json_null());
    view_put_text(json, "profile", words_profile(row->profile));
    view_put_int(json, "volume", row->volume);
    view_put_score(view, json, account);
    json_t *today = json_object();
    int32_t date = view_today(view, account);
    view_put(today, "date", view_date(date));
    view_put_counters(today, coord_day(view->core, account, date));
    view_put(json, "today", today);
    return json;
}

/* What may be sent today besides warming: advice, and what the owner declared. */
static json_t *prospecting_json(const struct view *view, const struct row_account *row)
{
    struct ramp_band band = view_prospecting(view, row);
    json_t *json = json_object();
    view_put_int(json, "advisedLow", band.low);
    view_put_int(json, "advisedHigh", band.high);
    view_put_int(json, "declared", row->volume);
    view_put_bool(json, "aboveAdvice", row->volume > band.high);
    return json;
}

/* Everything of the list, and what only one account is asked for. */
static json_t *account_full(const struct view *view, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    json_t *json = account_json(view, account);
    view_put_int(json, "binding", row->generation);
    view_put(json, "registeredAt", view_time(row->registered_at));
    view_put(json, "boundAt", view_time(row->bound_at));
    view_put(json, "beginsAt", view_time(row->begins_at));
    view_put(json, "consent", consent_json(view, row));
    view_put(json, "probe", probe_json(row));
    view_put(json, "daysOff", days_off_json(row, view_today(view, account)));
    view_put(json, "prospecting", prospecting_json(view, row));
    view_put(json, "reputation", view_reputation(view, account));
    view_put(json, "plannedDate", view_date(row->planned_date));
    view_put(json, "closedDate", view_date(row->closed_date));
    view_put(json, "firstSlot", view_time(server_first_slot(view->server, account)));
    return json;
}

/* Whether the text stands in one of the words by which people know an account. */
static bool is_named(const struct view *view, uint32_t account, const char *text)
{
    const struct row_account *row = coord_account(view->core, account);
    const char *const words[] = {
        flz_id_str(row->id),
        view_name(view, NAME_DOMAIN, row->domain),
        view_address(view, account),
        view_owner(view, account),
        view_node_name(view, row->node),
        view_name(view, NAME_PROVIDER, row->provider),
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(words[i], text))
            return true;
    return false;
}

static bool is_wanted(const struct view *view, uint32_t account,
                      const struct view_account_filter *filter)
{
    const struct row_account *row = coord_account(view->core, account);
    if (!view_sees_account(view, account) || (row->state != ACCOUNT_LIVE && !filter->all))
        return false;
    if (filter->node != COORD_NONE && row->node != filter->node)
        return false;
    if (filter->domain && strcmp(view_name(view, NAME_DOMAIN, row->domain), filter->domain) != 0)
        return false;
    if (filter->phase && strcmp(words_phase(view_phase(view, row)), filter->phase) != 0)
        return false;
    if (filter->health && strcmp(flz_health_name(view_health(view, account)), filter->health) != 0)
        return false;
    if (filter->text && !is_named(view, account, filter->text))
        return false;
    if (!filter->unready && !filter->readiness)
        return true;
    enum view_readiness readiness = view_readiness(view, account);
    return filter->readiness ? strcmp(view_readiness_word(readiness), filter->readiness) == 0
                             : readiness != VIEW_READY;
}

/* What is in memory anyway: a day says too little of an account that sends five messages. */
static json_t *recent_json(const struct view *view, uint32_t account)
{
    struct row_day sum = {.account = account};
    int32_t today = view_today(view, account);
    for (int32_t date = today - VIEW_RECENT_DAYS + 1; date <= today; date++) {
        const struct row_day *day = coord_day(view->core, account, date);
        if (day)
            view_add_day(&sum, day);
    }
    json_t *json = json_object();
    view_put_int(json, "days", VIEW_RECENT_DAYS);
    view_put_counters(json, &sum);
    return json;
}

json_t *view_accounts(const struct view *view, const struct view_account_filter *filter)
{
    json_t *items = json_array();
    struct view_walk walk = view_walk(&filter->page);
    while (view_walk_goes_on(&walk, items, coord_account_count(view->core))) {
        uint32_t account = view_walk_step(&walk);
        if (!is_wanted(view, account, filter))
            continue;
        json_t *json = account_json(view, account);
        if (filter->recent)
            view_put(json, "recent", recent_json(view, account));
        (void)json_array_append_new(items, json);
    }
    return view_page_list(view, "AccountList", &walk, items);
}

json_t *view_account(const struct view *view, uint32_t account)
{
    return view_document(view, "Account", account_full(view, account));
}

static json_t *pool_json(const struct view *view, uint32_t account)
{
    struct coord_pool pool;
    coord_pool_of(view->core, account, view->now, &pool);
    json_t *json = json_object();
    view_put_int(json, "eligible", pool.eligible);
    view_put_int(json, "ceiling", pool.ceiling);
    json_t *excluded = json_object();
    view_put_int(excluded, "owner", pool.excluded_owner);
    view_put_int(excluded, "domain", pool.excluded_domain);
    view_put_int(excluded, "language", pool.excluded_language);
    view_put_int(excluded, "hours", pool.excluded_hours);
    view_put_int(excluded, "unready", pool.excluded_unready);
    view_put(json, "excluded", excluded);
    return json;
}

static json_t *identity_json(const struct view *view, uint32_t account)
{
    json_t *json = json_object();
    view_put(json, "id", view_id(coord_account(view->core, account)->id));
    view_put_text(json, "address", view_address(view, account));
    return json;
}

/* What the core cannot know: which date it is there. */
static void put_day_off(const struct view *view, uint32_t account, json_t *lines)
{
    const struct row_account *row = coord_account(view->core, account);
    int32_t today = view_today(view, account);
    int32_t next = next_sending_day(row, today);
    char text[FLZ_TIME_TEXT_MAX] = "no known date";
    const char *off = view_day_off(row, today);
    if (row->state != ACCOUNT_LIVE || next == today)
        return;
    if (next)
        flz_date_format(next, text);
    (void)json_array_append_new(
        lines, json_sprintf("today is no sending day of it%s%s%s: the next one is %s",
                            off[0] ? " (" : "", off, off[0] ? ")" : "", text));
}

json_t *view_account_why(const struct view *view, uint32_t account)
{
    struct coord_why why;
    coord_explain(view->core, account, view->now, &why);
    json_t *json = identity_json(view, account);
    view_put(json, "at", view_time(view->now));
    view_put_bool(json, "sends", why.sends);
    view_put_text(json, "readiness", view_readiness_word(view_readiness(view, account)));
    json_t *lines = json_array();
    put_day_off(view, account, lines);
    for (size_t i = 0; i < why.lines_count; i++)
        (void)json_array_append_new(lines, view_text(why.lines[i].text));
    view_put(json, "why", lines);
    view_put(json, "askAgain", view_time(why.ask_again));
    view_put(json, "firstSlot", view_time(server_first_slot(view->server, account)));
    view_put(json, "pool", pool_json(view, account));
    return view_document(view, "AccountWhy", json);
}

json_t *view_account_pair(const struct view *view, uint32_t account, uint32_t with)
{
    struct coord_why why;
    coord_explain_pair(view->core, account, with, view->now, &why);
    json_t *json = identity_json(view, account);
    view_put(json, "with", identity_json(view, with));
    view_put(json, "at", view_time(view->now));
    view_put_bool(json, "may", why.sends);
    json_t *lines = json_array();
    for (size_t i = 0; i < why.lines_count; i++)
        (void)json_array_append_new(lines, view_text(why.lines[i].text));
    view_put(json, "why", lines);
    view_put(json, "askAgain", view_time(why.ask_again));
    return view_document(view, "AccountPair", json);
}

json_t *view_account_reachable(const struct view *view, uint32_t account)
{
    enum view_readiness readiness = view_readiness(view, account);
    json_t *json = identity_json(view, account);
    view_put_bool(json, "reachable", readiness == VIEW_READY);
    view_put_text(json, "readiness", view_readiness_word(readiness));
    view_put(json, "pool", pool_json(view, account));
    return view_document(view, "AccountReachable", json);
}

/* ---- Export ---- */

struct export
{
    const struct view *view;
    uint32_t account;
    json_t *days;
    json_t *exchanges;
};

static int on_day(const void *row, void *data)
{
    struct export *export = data;
    const struct row_day *day = row;
    if (day->account != export->account)
        return 0;
    json_t *json = json_object();
    view_put(json, "date", view_date(day->date));
    view_put_bool(json, "closed", day->closed);
    view_put_bool(json, "met", day->met);
    view_put_counters(json, day);
    (void)json_array_append_new(export->days, json);
    return 0;
}

static int on_exchange(const void *row, void *data)
{
    struct export *export = data;
    const struct row_exchange *x = row;
    if (x->from == export->account || x->to == export->account)
        (void)json_array_append_new(export->exchanges, view_exchange_full(export->view, x));
    return 0;
}

/* The other side of an exchange is another person: it is named by its id alone. */
json_t *view_account_export(const struct view *view, uint32_t account)
{
    struct view blind = *view;
    blind.names = false;
    struct export export = {
        .view = &blind, .account = account, .days = json_array(), .exchanges = json_array()};
    json_t *json = account_full(view, account);
    view_put(json, "addressDigest", view_digest(coord_account(view->core, account)->address));
    int r = server_each_row(view->server, ROW_DAY_OLD, on_day, &export);
    if (r == 0)
        r = server_each_row(view->server, ROW_DAY, on_day, &export);
    if (r == 0)
        r = server_each_row(view->server, ROW_EXCHANGE_OLD, on_exchange, &export);
    if (r == 0)
        r = server_each_row(view->server, ROW_EXCHANGE, on_exchange, &export);
    view_put(json, "history", export.days);
    view_put(json, "exchanges", export.exchanges);
    view_put_bool(json, "complete", r == 0);
    return view_document(view, "AccountExport", json);
}
