/* Nodes and invites. */
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include "common/base/time.h"
#include "common/sys/clock.h"

static size_t accounts_of(const struct view *view, uint32_t node)
{
    size_t count = 0;
    for (size_t i = 0; i < coord_account_count(view->core); i++) {
        const struct row_account *row = coord_account(view->core, (uint32_t)i);
        count += row->node == node && row->state == ACCOUNT_LIVE;
    }
    return count;
}

static json_t *node_json(const struct view *view, uint32_t node)
{
    const struct row_node *row = coord_node(view->core, node);
    int64_t heard = server_node_heard_boot(view->server, node);
    json_t *json = json_object();
    view_put_text(json, "name", row->name);
    view_put(json, "id", view_id(row->id));
    view_put_text(json, "state", words_node_state(row->state));
    view_put_bool(json, "connected", server_node_connected(view->server, node));
    view_put(json, "heardSecondsAgo",
             heard ? json_real((double)(flz_boottime_ms() - heard) / 1000) : json_null());
    view_put_int(json, "accounts", (int64_t)accounts_of(view, node));
    view_put_int(json, "openTasks", coord_node_open(view->core, node));
    view_put_int(json, "credit", coord_node_credit(view->core, node));
    view_put(json, "joinedAt", view_time(row->joined_at));
    view_put(json, "seenAt", view_time(row->seen_at));
    view_put(json, "revokedAt", view_time(row->revoked_at));
    view_put_int(json, "journalLosses", row->losses);
    view_put_int(json, "equivocations", row->equivocations);
    return json;
}

json_t *view_node(const struct view *view, uint32_t node)
{
    const struct row_node *row = coord_node(view->core, node);
    json_t *json = node_json(view, node);
    view_put(json, "certificate", view_digest(row->certificate));
    view_put(json, "incarnation", view_id(row->incarnation));
    view_put_int(json, "reportSeq", (int64_t)row->report_seq);
    json_t *packs = json_array();
    for (size_t i = 0; i < row->packs_count; i++)
        (void)json_array_append_new(packs, view_digest(row->packs[i]));
    view_put(json, "packs", packs);
    return view_document(view, "Node", json);
}

/* An open invite is a node to be. */
static json_t *invite_json(const struct row_invite *row, int64_t real_now)
{
    json_t *json = json_object();
    view_put_text(json, "name", row->name);
    view_put(json, "id", view_id(row->node));
    view_put_text(json, "state", row->not_after > real_now ? "invited" : "invite-ended");
    view_put_bool(json, "connected", false);
    view_put_int(json, "accounts", 0);
    view_put_int(json, "openTasks", 0);
    view_put_int(json, "credit", 0);
    view_put(json, "inviteEnds", view_time(row->not_after));
    return json;
}

json_t *view_nodes(const struct view *view)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < coord_node_count(view->core); i++)
        if (view_sees_node(view, i))
            (void)json_array_append_new(items, node_json(view, i));
    for (uint32_t i = 0; view_sees_all(view) && i < coord_invite_count(view->core); i++) {
        const struct row_invite *invite = coord_invite(view->core, i);
        if (invite && invite->state == INVITE_OPEN)
            (void)json_array_append_new(items, invite_json(invite, flz_realtime_ms()));
    }
    return view_list(view, "NodeList", items);
}
