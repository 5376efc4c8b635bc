#include "coordinator/view.h"

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/tz.h"
#include "coordinator/core/ramp.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MAILBOX_FULL_PERMILLE 950
#define QUOTA_UNKNOWN 1001 /* the server tells none */

/* ---- Values ---- */

void view_put(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

void view_put_int(json_t *object, const char *key, int64_t value)
{
    view_put(object, key, json_integer(value));
}

void view_put_bool(json_t *object, const char *key, bool value)
{
    view_put(object, key, json_boolean(value));
}

void view_put_text(json_t *object, const char *key, const char *text)
{
    view_put(object, key, view_text(text));
}

json_t *view_text(const char *text)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    char ascii[FLZ_MSG_MAX];
    (void)snprintf(ascii, sizeof ascii, "%s", text);
    for (char *c = ascii; *c; c++)
        if ((unsigned char)*c > 0x7e)
            *c = '?';
    return json_string(ascii);
}

json_t *view_time(int64_t ms)
{
    if (ms == 0 || ms == FLZ_NEVER)
        return json_null();
    char text[FLZ_TIME_TEXT_MAX];
    flz_time_format(ms, text);
    return json_string(text);
}

json_t *view_date(int32_t date)
{
    if (date == 0)
        return json_null();
    char text[FLZ_TIME_TEXT_MAX];
    flz_date_format(date, text);
    return json_string(text);
}

json_t *view_id(struct flz_id id)
{
    return flz_id_is_null(id) ? json_null() : json_string(flz_id_str(id));
}

json_t *view_digest(struct flz_digest digest)
{
    char hex[2 * sizeof digest.b + 1];
    flz_hex_encode(digest.b, sizeof digest.b, hex);
    return json_string(hex);
}

json_t *view_bits(uint32_t bits, const char *(*word)(uint32_t bit))
{
    json_t *list = json_array();
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if ((bits & bit) && word(bit))
            (void)json_array_append_new(list, json_string(word(bit)));
    return list;
}

json_t *view_target(const struct flz_pause *target)
{
    char text[FLZ_DOMAIN_MAX + 16];
    const char *word = words_scope(target->scope);
    if (target->scope == FLZ_SCOPE_NETWORK)
        return json_string(word);
    (void)snprintf(text, sizeof text, "%s/%s", word,
                   target->scope == FLZ_SCOPE_ACCOUNT ? flz_id_str(target->account) : target->name);
    return view_text(text);
}

/* ---- Names ---- */

const char *view_address(const struct view *view, uint32_t account)
{
    const struct person *person =
        view->names ? persons_find(server_persons(view->server), account) : NULL;
    return person ? person->address : "";
}

const char *view_owner(const struct view *view, uint32_t account)
{
    const struct person *person =
        view->names ? persons_find(server_persons(view->server), account) : NULL;
    return person ? person->owner : "";
}

const char *view_node_name(const struct view *view, uint32_t node)
{
    const struct row_node *row = coord_node(view->core, node);
    return row ? row->name : "";
}

const char *view_name(const struct view *view, enum row_name_kind kind, uint32_t handle)
{
    const struct row_name *row = coord_name(view->core, kind, handle);
    return row ? row->text : "";
}

/* ---- Scope ---- */

int view_init(struct view *view, struct server *server, const char *scope, bool names)
{
    *view = (struct view){.server = server,
                          .core = server_core(server),
                          .scope = scope,
                          .names = names,
                          .now = server_now(server)};
    return tz_new(&view->tz);
}

void view_deinit(struct view *view)
{
    if (view->tz)
        view->tz = tz_free(view->tz);
}

bool view_sees_all(const struct view *view)
{
    return view->scope[0] == '\0';
}

/* The name behind "node/" or "owner/"; NULL when the scope is of another kind. */
static const char *scope_name(const struct view *view, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(view->scope, kind, len) == 0 ? view->scope + len : NULL;
}

bool view_sees_node(const struct view *view, uint32_t node)
{
    const char *name = scope_name(view, "node/");
    return view_sees_all(view) || (name && strcmp(view_node_name(view, node), name) == 0);
}

bool view_sees_account(const struct view *view, uint32_t account)
{
    if (view_sees_all(view))
        return true;
    const struct row_account *row = coord_account(view->core, account);
    const char *owner = scope_name(view, "owner/");
    if (!row)
        return false;
    if (!owner)
        return view_sees_node(view, row->node);
    const struct person *person = persons_find(server_persons(view->server), account);
    return person && strcmp(person->owner, owner) == 0;
}

uint32_t view_find_account(const struct view *view, const char *text)
{
    struct flz_id id;
    struct flz_address address;
    uint32_t account = COORD_NONE;
    if (strncmp(text, "account/", 8) == 0)
        text += 8;
    if (flz_id_parse(text, &id) == 0)
        account = coord_find_account(view->core, id);
    else if (flz_address_parse(text, &address) == 0)
        account = coord_find_address(view->core, flz_address_digest(&address));
    return account != COORD_NONE && view_sees_account(view, account) ? account : COORD_NONE;
}

uint32_t view_find_node(const struct view *view, const char *text)
{
    struct flz_id id;
    uint32_t node = COORD_NONE;
    if (strncmp(text, "node/", 5) == 0)
        text += 5;
    if (flz_id_parse(text, &id) == 0)
        node = coord_find_node(view->core, id);
    for (size_t i = coord_node_count(view->core); node == COORD_NONE && i-- > 0;)
        if (strcmp(view_node_name(view, (uint32_t)i), text) == 0)
            node = (uint32_t)i;
    return node != COORD_NONE && view_sees_node(view, node) ? node : COORD_NONE;
}

int32_t view_today(const struct view *view, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    int32_t day;
    if (row && tz_local_day(view->tz, row->zone, view->now, &day) == 0)
        return day;
    return (int32_t)(view->now / FLZ_DAY_MS);
}

/* ---- Readiness ---- */

static const char *const readiness_words[VIEW_READINESS_COUNT] = {
    [VIEW_READY] = "ready",
    [VIEW_GONE] = "gone",
    [VIEW_NODE_GONE] = "node-revoked",
    [VIEW_CONSENT] = "no-consent",
    [VIEW_SUPPRESSED] = "suppressed",
    [VIEW_ANSWERS] = "automatic-replies",
    [VIEW_PAUSED] = "paused",
    [VIEW_NODE_AWAY] = "node-not-connected",
    [VIEW_UNPROBED] = "no-login-yet",
    [VIEW_STALE] = "login-too-old",
    [VIEW_TROUBLE] = "login-failed",
    [VIEW_LOGIN] = "login-refused",
    [VIEW_NEEDS_AUTH] = "needs-auth",
    [VIEW_FULL] = "mailbox-full",
    [VIEW_MX_CHANGED] = "mx-changed",
    [VIEW_OPT_OUT] = "domain-refuses",
    [VIEW_DENIED] = "provider-refused",
};

const char *view_readiness_word(enum view_readiness readiness)
{
    return readiness_words[readiness];
}

static bool is_paused(const struct view *view, const struct row_account *row)
{
    for (size_t i = 0; i < coord_pause_count(view->core); i++) {
        const struct row_pause *pause = coord_pause(view->core, i);
        uint32_t subject = pause->target.scope == FLZ_SCOPE_PROVIDER  ? row->provider
                           : pause->target.scope == FLZ_SCOPE_DOMAIN  ? row->domain
                           : pause->target.scope == FLZ_SCOPE_ACCOUNT ? row->handle
                                                                      : row->node;
        if (pause->until > view->now &&
            (pause->target.scope == FLZ_SCOPE_NETWORK || pause->subject == subject))
            return true;
    }
    return false;
}

static enum view_readiness probe_readiness(const struct view *view, const struct row_account *row)
{
    if (row->denied)
        return VIEW_DENIED;
    if (row->opt_out)
        return VIEW_OPT_OUT;
    if (row->probe_at == 0)
        return VIEW_UNPROBED;
    if (!row->login_ok)
        return view_asks_person(row) ? VIEW_NEEDS_AUTH : row->tries > 0 ? VIEW_LOGIN : VIEW_TROUBLE;
    if (row->mx_changed)
        return VIEW_MX_CHANGED;
    if (row->quota_permille >= MAILBOX_FULL_PERMILLE && row->quota_permille < QUOTA_UNKNOWN)
        return VIEW_FULL;
    return view->now - row->probe_at > coord_policy(view->core)->probe_age_ms_max ? VIEW_STALE
                                                                                  : VIEW_READY;
}

enum view_readiness view_readiness(const struct view *view, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    if (!row || row->state != ACCOUNT_LIVE)
        return VIEW_GONE;
    const struct row_node *node = coord_node(view->core, row->node);
    if (!node || node->state != NODE_JOINED)
        return VIEW_NODE_GONE;
    if (row->consent_ended || view->now > row->consent_until || view->now < row->consent_given ||
        !(row->consent_actions & FLZ_ACTION_OPEN))
        return VIEW_CONSENT;
    if (coord_is_suppressed(view->core, row->address))
        return VIEW_SUPPRESSED;
    enum view_readiness probe = probe_readiness(view, row);
    if (probe != VIEW_READY)
        return probe == VIEW_UNPROBED && !server_node_connected(view->server, row->node)
                   ? VIEW_NODE_AWAY
                   : probe;
    if (is_paused(view, row))
        return VIEW_PAUSED;
    if (row->answers_until > view->now)
        return VIEW_ANSWERS;
    return server_node_connected(view->server, row->node) ? VIEW_READY : VIEW_NODE_AWAY;
}

const char *view_day_off(const struct row_account *row, int32_t date)
{
    const char *holiday =
        row->days_off.holidays[0] ? flz_holiday_name(row->days_off.holidays, date) : NULL;
    if (holiday)
        return holiday;
    return flz_is_day_off(&row->days_off, date) ? "blackout" : "";
}

/* By the date in Greenwich: a day more or less of silence is no matter here, and a zone for each of
 * many accounts would be. */
static struct ramp_state ramp_now(const struct view *view, const struct row_account *row)
{
    return ramp_state_on(row, (int32_t)(view->now / FLZ_DAY_MS));
}

enum ramp_phase view_phase(const struct view *view, const struct row_account *row)
{
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = ramp_now(view, row);
    return ramp_phase(&state, &settings);
}

uint32_t view_curve(const struct view *view, const struct row_account *row)
{
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = ramp_now(view, row);
    return ramp_target(&state, &settings);
}

struct ramp_band view_prospecting(const struct view *view, const struct row_account *row)
{
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = ramp_now(view, row);
    return ramp_prospecting(&state, &settings);
}

/* ---- Documents ---- */

static json_t *wrap(const struct view *view, const char *kind, const char *key, json_t *content)
{
    if (!content)
        return NULL;
    json_t *document = json_object();
    view_put_text(document, "apiVersion", "fluenzr/v1");
    view_put_text(document, "kind", kind);
    view_put_int(document, "revision", (int64_t)server_seq(view->server));
    view_put(document, key, content);
    return document;
}

json_t *view_document(const struct view *view, const char *kind, json_t *item)
{
    return wrap(view, kind, "item", item);
}

json_t *view_list(const struct view *view, const char *kind, json_t *items)
{
    return wrap(view, kind, "items", items);
}

/* ---- Pages ---- */

struct view_walk view_walk(const struct view_page *page)
{
    return (struct view_walk){.page = *page, .at = page->after == COORD_NONE ? 0 : page->after + 1};
}

bool view_walk_goes_on(const struct view_walk *walk, const json_t *items, size_t end)
{
    size_t limit = walk->page.limit ? walk->page.limit : SIZE_MAX;
    size_t looks = walk->page.looks ? walk->page.looks : SIZE_MAX;
    return walk->at < end && json_array_size(items) < limit && walk->looks < looks;
}

uint32_t view_walk_step(struct view_walk *walk)
{
    walk->looks++;
    return walk->at++;
}

json_t *view_page_list(const struct view *view, const char *kind, const struct view_walk *walk,
                       json_t *items)
{
    const struct row_account *last = walk->at > 0 && walk->at < coord_account_count(view->core)
                                         ? coord_account(view->core, walk->at - 1)
                                         : NULL;
    json_t *document = view_list(view, kind, items);
    view_put(document, "next", last ? view_id(last->id) : json_null());
    return document;
}

json_t *view_version(const struct view *view)
{
    json_t *item = json_object();
    view_put_text(item, "program", "fluenzr-coordinator");
    view_put_text(item, "version", FLZ_VERSION);
    return view_document(view, "Version", item);
}

/* ---- Counters ---- */

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define COUNTER(name_, field)                                                                      \
    {                                                                                              \
        name_, offsetof(struct row_day, field)                                                     \
    }
    COUNTER("quota", quota),
    COUNTER("possible", possible),
    COUNTER("shortfall", shortfall),
    COUNTER("planned", planned),
    COUNTER("reserved", reserved),
    COUNTER("committed", committed),
    COUNTER("dropped", dropped),
    COUNTER("issued", issued),
    COUNTER("sent", sent),
    COUNTER("rejected", rejected),
    COUNTER("withdrawn", withdrawn),
    COUNTER("expired", expired),
    COUNTER("declined", declined),
    COUNTER("ambiguous", ambiguous),
    COUNTER("indeterminate", indeterminate),
    COUNTER("inbox", inbox),
    COUNTER("junk", junk),
    COUNTER("other", other),
    COUNTER("missing", missing),
    COUNTER("unobserved", unobserved),
    COUNTER("rescued", rescued),
    COUNTER("opened", opened),
    COUNTER("replied", replied),
    COUNTER("credited", credited),
    COUNTER("inbound", inbound),
    COUNTER("received", received),
    COUNTER("opens", opens),
    COUNTER("rescues", rescues),
    COUNTER("bouncedHard", bounced_hard),
    COUNTER("bouncedSoft", bounced_soft),
    COUNTER("complaints", complaints),
#undef COUNTER
};

#define COUNTERS_COUNT (sizeof counters / sizeof *counters)

static uint32_t *counter_in(struct row_day *day, size_t i)
{
    return (uint32_t *)(void *)((uint8_t *)day + counters[i].offset);
}

void view_put_counters(json_t *object, const struct row_day *day)
{
    struct row_day zero = {.account = 0};
    struct row_day copy = day ? *day : zero;
    for (size_t i = 0; i < COUNTERS_COUNT; i++)
        view_put_int(object, counters[i].name, *counter_in(&copy, i));
    /* Of the messages whose end is known; nobody's guess when there are none. */
    uint32_t seen = copy.inbox + copy.junk + copy.other + copy.missing;
    view_put(object, "junkShare", seen ? json_real((double)copy.junk / seen) : json_null());
}

void view_add_day(struct row_day *sum, const struct row_day *day)
{
    struct row_day copy = *day;
    for (size_t i = 0; i < COUNTERS_COUNT; i++)
        *counter_in(sum, i) += *counter_in(&copy, i);
}
