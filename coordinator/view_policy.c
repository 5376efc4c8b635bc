/* Policy, pauses, suppressions. */
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include "common/base/time.h"

json_t *view_policy(const struct view *view)
{
    size_t count;
    const struct policy_key *keys = policy_keys(&count);
    struct policy fallback = policy_for_rate(policy_default(), server_rate_milli(view->server));
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *json = json_object();
        view_put_text(json, "key", keys[i].name);
        view_put_int(json, "value", policy_get(coord_policy(view->core), &keys[i]));
        view_put_int(json, "default", policy_get(&fallback, &keys[i]));
        view_put_int(json, "low", keys[i].low);
        view_put_int(json, "high", keys[i].high);
        view_put_text(json, "text", keys[i].text);
        (void)json_array_append_new(items, json);
    }
    return view_list(view, "PolicyList", items);
}

json_t *view_pauses(const struct view *view)
{
    json_t *items = json_array();
    for (size_t i = 0; i < coord_pause_count(view->core); i++) {
        const struct row_pause *pause = coord_pause(view->core, i);
        json_t *json = json_object();
        view_put(json, "target", view_target(&pause->target));
        view_put_text(json, "reason", pause->reason);
        view_put_text(json, "by", pause->by);
        view_put(json, "at", view_time(pause->at));
        view_put(json, "until", view_time(pause->until));
        (void)json_array_append_new(items, json);
    }
    return view_list(view, "PauseList", items);
}

/* The list holds digests: whom it keeps from being written to is told only of members. */
json_t *view_suppressions(const struct view *view)
{
    json_t *items = json_array();
    for (size_t i = 0; i < coord_suppression_count(view->core); i++) {
        const struct row_suppression *row = coord_suppression(view->core, i);
        uint32_t account = coord_find_address(view->core, row->address);
        json_t *json = json_object();
        view_put(json, "digest", view_digest(row->address));
        view_put_text(json, "address", account == COORD_NONE ? "" : view_address(view, account));
        view_put_text(json, "kind", words_suppressed(row->kind));
        view_put_text(json, "reason", row->reason);
        view_put_text(json, "by", row->by);
        view_put(json, "at", view_time(row->at));
        (void)json_array_append_new(items, json);
    }
    return view_list(view, "SuppressionList", items);
}
