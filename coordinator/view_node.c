/* Nodes and invites. */
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/sys/clock.h"

#include <stdlib.h>

/* What one walk over the accounts finds of each node. */
struct tally {
    size_t live;
    size_t ready;
    size_t login_failures;
};

static void count(const struct view *view, uint32_t account, struct tally *tallies)
{
    const struct row_account *row = coord_account(view->core, account);
    if (row->state != ACCOUNT_LIVE || row->node >= coord_node_count(view->core))
        return;
    struct tally *tally = &tallies[row->node];
    tally->live++;
    tally->ready += view_readiness(view, account) == VIEW_READY;
    tally->login_failures += row->probe_at != 0 && !row->login_ok;
}

/* One for each node; NULL when memory is refused. Owned by the caller. */
static struct tally *take_tallies(const struct view *view)
{
    struct tally *tallies = calloc(coord_node_count(view->core) + 1, sizeof *tallies);
    for (uint32_t i = 0; tallies && i < coord_account_count(view->core); i++)
        count(view, i, tallies);
    return tallies;
}

static json_t *node_json(const struct view *view, uint32_t node, const struct tally *tallies)
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
    view_put_int(json, "accounts", tallies ? (int64_t)tallies[node].live : 0);
    view_put_int(json, "ready", tallies ? (int64_t)tallies[node].ready : 0);
    view_put_int(json, "loginFailures", tallies ? (int64_t)tallies[node].login_failures : 0);
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
    _cleanup_(flz_freep) struct tally *tallies = take_tallies(view);
    json_t *json = node_json(view, node, tallies);
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
    _cleanup_(flz_freep) struct tally *tallies = take_tallies(view);
    for (uint32_t i = 0; i < coord_node_count(view->core); i++)
        if (view_sees_node(view, i))
            (void)json_array_append_new(items, node_json(view, i, tallies));
    for (uint32_t i = 0; view_sees_all(view) && i < coord_invite_count(view->core); i++) {
        const struct row_invite *invite = coord_invite(view->core, i);
        if (invite && invite->state == INVITE_OPEN)
            (void)json_array_append_new(items, invite_json(invite, flz_realtime_ms()));
    }
    return view_list(view, "NodeList", items);
}
