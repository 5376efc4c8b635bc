/* Verbs that fold the whole log once more. They are answered when that is done. */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/desk_private.h"
#include "coordinator/view_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
    struct admin_call *call;
    struct server *server;
    struct refold_request request;
};

/* ---- Documents ---- */

static json_t *state_json(uint32_t state)
{
    return state == REPLAY_UNDECIDED ? json_null() : json_string(flz_health_name(state));
}

static json_t *difference_json(const struct view *view, const struct replay_difference *d)
{
    const struct row_account *row = coord_account(view->core, d->account);
    json_t *json = json_object();
    view_put_int(json, "event", (int64_t)d->event);
    view_put(json, "at", view_time(d->at));
    view_put(json, "account", row ? view_id(row->id) : json_null());
    view_put_text(json, "address", view_address(view, d->account));
    view_put_text(json, "decision", d->is_day ? "day" : "health");
    if (d->is_day) {
        view_put(json, "date", view_date(d->date));
        view_put_bool(json, "met", d->met);
        view_put_bool(json, "otherMet", d->other_met);
        view_put_int(json, "level", d->level);
        view_put_int(json, "otherLevel", d->other_level);
        return json;
    }
    view_put_text(json, "provider", view_name(view, NAME_PROVIDER, d->provider));
    view_put(json, "state", state_json(d->state));
    view_put_text(json, "rule", flz_rule_name(d->rule));
    view_put(json, "otherState", state_json(d->other_state));
    view_put_text(json, "otherRule", flz_rule_name(d->other_rule));
    return json;
}

static json_t *entered_json(const uint64_t *entered)
{
    json_t *json = json_object();
    for (uint32_t i = HEALTH_HEALTHY; i <= HEALTH_STATE_MAX; i++)
        view_put_int(json, flz_health_name(i), (int64_t)entered[i]);
    return json;
}

static json_t *replay_json(const struct waiting *waiting, const struct replay_result *result)
{
    struct view view = {.server = waiting->server,
                        .core = server_core(waiting->server),
                        .scope = "",
                        .names = true};
    json_t *policy = json_object();
    for (size_t i = 0; i < waiting->request.keys_count; i++)
        view_put_int(policy, waiting->request.keys[i].name, waiting->request.keys[i].value);
    json_t *differences = json_array();
    for (size_t i = 0; i < result->differences_count; i++)
        (void)json_array_append_new(differences,
                                    difference_json(&view, &result->differences[i]));
    json_t *item = json_object();
    view_put(item, "policy", policy);
    view_put(item, "since", view_time(waiting->request.since));
    view_put_int(item, "events", (int64_t)result->events);
    view_put_int(item, "healthDecisions", (int64_t)result->health);
    view_put_int(item, "healthOther", (int64_t)result->health_other);
    view_put_int(item, "healthSame", (int64_t)result->health_same);
    view_put_int(item, "daysClosed", (int64_t)result->days);
    view_put_int(item, "daysSame", (int64_t)result->days_same);
    view_put(item, "entered", entered_json(result->entered));
    view_put(item, "enteredOther", entered_json(result->entered_other));
    view_put_int(item, "different", (int64_t)result->differences_all);
    view_put(item, "differences", differences);
    return view_document(&view, "Replay", item);
}

static json_t *verified_json(const struct waiting *waiting, const struct refold_result *result)
{
    struct view view = {.server = waiting->server};
    json_t *item = json_object();
    view_put_text(item, "result", "whole");
    view_put_int(item, "events", (int64_t)result->events);
    view_put_int(item, "rows", (int64_t)result->rows);
    return view_document(&view, "AggregatesAudit", item);
}

static void on_done(const struct refold_result *result, void *data)
{
    struct waiting *waiting = data;
    bool replays = waiting->request.kind == REFOLD_REPLAY;
    bool same = result->outcome == REFOLD_SAME;
    switch (result->outcome) {
    case REFOLD_SAME:
    case REFOLD_DIFFERENT:
        if (replays)
            admin_answer(waiting->call, same ? ADMIN_OK : ADMIN_DIFFERENCE,
                         replay_json(waiting, replay_result(result->replay)), NULL);
        else if (same)
            admin_answer(waiting->call, ADMIN_OK, verified_json(waiting, result), NULL);
        else
            admin_refuse(waiting->call, ADMIN_DIFFERENCE, "DIFFERENT", result->msg.text,
                         "aggregates are not what the log makes of them: put a backup back");
        break;
    case REFOLD_REFUSED:
        admin_refuse(waiting->call, ADMIN_USAGE, "BAD_POLICY", result->msg.text,
                     "fluenzrctl policy ls");
        break;
    case REFOLD_TRIMMED:
        admin_refuse(waiting->call, ADMIN_FAILED, "TRIMMED", result->msg.text,
                     "a fold needs the log from its first event");
        break;
    case REFOLD_FAILED:
        admin_refuse(waiting->call, ADMIN_TRY_AGAIN, "NOT_READ", result->msg.text,
                     "look at the coordinator's log and its disk");
        break;
    }
    free(waiting);
}

static void start(struct desk *desk, const struct refold_request *request)
{
    struct waiting *waiting = malloc(sizeof *waiting);
    if (!waiting) {
        admin_refuse(desk->call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
        return;
    }
    *waiting = (struct waiting){.call = desk->call, .server = desk->server, .request = *request};
    if (server_refold(desk->server, request, on_done, waiting) < 0) {
        free(waiting);
        admin_refuse(desk->call, ADMIN_TRY_AGAIN, "BUSY", "another audit or backup is under way",
                     "one walks the log at a time: try again when it is done");
    }
}

/* ---- Verbs ---- */

void desk_audit_aggregates(struct desk *desk)
{
    if (desk_may(desk, "network", false))
        start(desk, &(struct refold_request){.kind = REFOLD_VERIFY});
}

/* A line "key value"; empty ones and what begins with # say nothing. */
static bool read_line(struct desk *desk, char *line, struct refold_request *request)
{
    struct refold_key *key = &request->keys[request->keys_count];
    uint64_t value;
    char *rest = line + strspn(line, " \t");
    char *name = strsep(&rest, " \t:");
    if (name[0] == '\0' || name[0] == '#')
        return true;
    while (rest && (*rest == ' ' || *rest == '\t' || *rest == ':'))
        rest++;
    if (rest)
        rest[strcspn(rest, " \t\r")] = '\0';
    if (request->keys_count == REFOLD_KEYS_MAX ||
        flz_text_copy(key->name, sizeof key->name, name) < 0 || !rest ||
        flz_parse_u64(rest, INT64_MAX, &value) < 0) {
        desk_bad_input(desk, "a policy file has lines \"key: value\", whole numbers, times in ms",
                       "fluenzrctl policy ls -o json shows keys and values");
        return false;
    }
    key->value = (int64_t)value;
    request->keys_count++;
    return true;
}

void desk_policy_replay(struct desk *desk)
{
    struct refold_request request = {.kind = REFOLD_REPLAY};
    struct flz_view body = admin_body(desk->call);
    int32_t since = 0;
    if (!desk_may(desk, "network", false) || !desk_date(desk, "since", &since))
        return;
    request.since = since * FLZ_DAY_MS;
    _cleanup_(flz_freep) char *text = body.len ? strndup((const char *)body.data, body.len) : NULL;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (!read_line(desk, line, &request))
            return;
    start(desk, &request);
}
