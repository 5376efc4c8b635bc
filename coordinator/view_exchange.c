/* Exchanges: conversations, message by message, task by task. */
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include <string.h>

static json_t *side_json(const struct view *view, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    json_t *json = json_object();
    view_put(json, "id", row ? view_id(row->id) : json_null());
    view_put_text(json, "address", view_address(view, account));
    view_put_text(json, "node", row ? view_node_name(view, row->node) : "");
    return json;
}

/* The last word on a message, in one word. What a look ended with is a word on the message only
 * when the look was one: a recipient's node that declined, or had no time, says nothing of a
 * message that was sent. */
static const char *turn_word(const struct row_turn *t)
{
    if (t->placement != FLZ_PLACEMENT_NONE)
        return words_placement(t->placement);
    if (t->send.state != TASK_ENDED)
        return words_task_state(t->send.state);
    if (t->send.outcome != FLZ_OUTCOME_SENT || t->find.state != TASK_ENDED)
        return words_outcome(t->send.outcome);
    bool missing = t->find.outcome == FLZ_OUTCOME_MISSING;
    return words_outcome(missing ? FLZ_OUTCOME_MISSING : FLZ_OUTCOME_UNOBSERVED);
}

static json_t *summary_json(const struct view *view, const struct row_exchange *x)
{
    json_t *json = json_object();
    view_put(json, "id", view_id(x->id));
    view_put_text(json, "state", words_exchange_state(x->state));
    view_put(json, "from", side_json(view, x->from));
    view_put(json, "to", side_json(view, x->to));
    view_put_int(json, "turns", (int64_t)x->turns_count);
    json_t *words = json_array();
    for (size_t i = 0; i < x->turns_count; i++)
        (void)json_array_append_new(words, json_string(turn_word(&x->turns[i])));
    view_put(json, "messages", words);
    view_put_bool(json, "oneNode", x->one_node);
    view_put_bool(json, "sameOwner", x->same_owner);
    view_put_bool(json, "recovered", x->recovered);
    view_put(json, "plannedAt", view_time(x->planned_at));
    view_put(json, "firstSendAt", view_time(x->turns_count ? x->turns[0].send_at : 0));
    view_put(json, "endedAt", view_time(x->ended_at));
    return json;
}

static json_t *task_json(const struct view *view, const struct row_task *task)
{
    json_t *json = json_object();
    view_put_text(json, "state", words_task_state(task->state));
    if (task->state == TASK_ENDED) {
        view_put_text(json, "outcome", words_outcome(task->outcome));
        view_put_text(json, "reason", words_reason(task->reason));
        view_put_bool(json, "presumed", task->presumed);
    } else if (task->state == TASK_VOID) {
        view_put_text(json, "reason", flz_void_name(task->reason));
    }
    if (task->fault != FAULT_NONE)
        view_put_text(json, "fault", flz_fault_name(task->fault));
    if (task->reply_code)
        view_put_int(json, "replyCode", task->reply_code);
    if (task->issued_at) {
        view_put_text(json, "node", view_node_name(view, task->node));
        view_put_int(json, "attempt", task->attempt);
    }
    view_put(json, "issuedAt", view_time(task->issued_at));
    view_put(json, "endedAt", view_time(task->ended_at));
    return json;
}

static json_t *turn_json(const struct view *view, const struct row_exchange *x, size_t i)
{
    const struct row_turn *t = &x->turns[i];
    json_t *json = json_object();
    view_put_int(json, "turn", (int64_t)i);
    view_put_text(json, "message", turn_word(t));
    view_put_text(json, "from", view_address(view, i % 2 == 0 ? x->from : x->to));
    view_put_text(json, "to", view_address(view, i % 2 == 0 ? x->to : x->from));
    view_put(json, "sendAt", view_time(t->send_at));
    view_put(json, "sendUntil", view_time(t->send_until));
    view_put(json, "openAt", view_time(t->open_at));
    view_put(json, "openUntil", view_time(t->open_until));
    view_put(json, "reopenAt", view_time(t->reopen_at));
    view_put(json, "reopenUntil", view_time(t->reopen_until));
    view_put(json, "date", view_date(t->date));
    view_put(json, "openDate", view_date(t->open_date));
    view_put_int(json, "dayCap", t->day_cap);
    view_put_text(json, "placement", words_placement(t->placement));
    view_put(json, "authentication", view_bits(t->authentication, words_authentication));
    view_put(json, "arrivalMs", t->arrival_ms > 0 ? json_integer(t->arrival_ms) : json_null());
    view_put_bool(json, "senderWitness", t->sender_witness);
    view_put_bool(json, "contradicted", t->contradicted);
    json_t *tasks = json_object();
    view_put(tasks, words_task_kind(i == 0 ? FLZ_TASK_SEND : FLZ_TASK_REPLY),
             task_json(view, &t->send));
    view_put(tasks, words_task_kind(FLZ_TASK_FIND), task_json(view, &t->find));
    view_put(tasks, words_task_kind(FLZ_TASK_UNSPAM), task_json(view, &t->unspam));
    view_put(tasks, words_task_kind(FLZ_TASK_OPEN), task_json(view, &t->open));
    view_put(json, "tasks", tasks);
    return json;
}

json_t *view_exchange_full(const struct view *view, const struct row_exchange *x)
{
    json_t *json = summary_json(view, x);
    view_put(json, "pack", view_digest(x->pack));
    view_put_int(json, "scenario", x->scenario);
    view_put(json, "expires", view_time(x->expires));
    view_put(json, "tidyAt", view_time(x->tidy_at));
    json_t *turns = json_array();
    for (size_t i = 0; i < x->turns_count; i++)
        (void)json_array_append_new(turns, turn_json(view, x, i));
    view_put(json, "conversation", turns);
    view_put(json, "tidyFrom", task_json(view, &x->tidy_from));
    view_put(json, "tidyTo", task_json(view, &x->tidy_to));
    return json;
}

static bool sees(const struct view *view, const struct row_exchange *x)
{
    return view_sees_account(view, x->from) || view_sees_account(view, x->to);
}

/* ---- Lists: newest first ---- */

struct listing {
    const struct view *view;
    const struct view_exchange_filter *filter;
    json_t *items;
};

static bool is_wanted(const struct listing *listing, const struct row_exchange *x)
{
    uint32_t account = listing->filter->account;
    return (account == COORD_NONE || x->from == account || x->to == account) &&
           sees(listing->view, x);
}

/* Archives come oldest first: the newest `limit` stay. */
static int on_old(const void *row, void *data)
{
    struct listing *listing = data;
    if (!is_wanted(listing, row))
        return 0;
    (void)json_array_insert_new(listing->items, 0, summary_json(listing->view, row));
    if (json_array_size(listing->items) > listing->filter->limit)
        (void)json_array_remove(listing->items, json_array_size(listing->items) - 1);
    return 0;
}

/* Returns before which exchange the next part begins; null = the live ones are all told. */
static struct flz_id add_live(const struct listing *listing, json_t *items)
{
    const struct view_exchange_filter *filter = listing->filter;
    struct flz_id last = FLZ_ID_NULL;
    size_t looks = 0;
    size_t at = coord_exchange_limit(listing->view->core);
    at = at < filter->before ? at : filter->before;
    while (at > 0 && json_array_size(items) < filter->limit &&
           (filter->looks == 0 || looks < filter->looks)) {
        const struct row_exchange *x = coord_exchange(listing->view->core, (uint32_t)--at);
        if (!x)
            continue;
        looks++;
        last = x->id;
        if (is_wanted(listing, x))
            (void)json_array_append_new(items, summary_json(listing->view, x));
    }
    return at > 0 ? last : FLZ_ID_NULL;
}

json_t *view_exchanges(const struct view *view, const struct view_exchange_filter *filter)
{
    struct listing listing = {.view = view, .filter = filter, .items = json_array()};
    json_t *items = json_array();
    struct flz_id next = add_live(&listing, items);
    if (filter->ended && json_array_size(items) < filter->limit)
        (void)server_each_row(view->server, ROW_EXCHANGE_OLD, on_old, &listing);
    size_t i;
    json_t *old;
    json_array_foreach(listing.items, i, old) if (json_array_size(items) < filter->limit)(void)
        json_array_append(items, old);
    json_decref(listing.items);
    json_t *document = view_list(view, "ExchangeList", items);
    view_put(document, "next", view_id(next));
    return document;
}

/* ---- One ---- */

struct search {
    const struct view *view;
    struct flz_id id;
    json_t *found;
};

static int on_candidate(const void *row, void *data)
{
    struct search *search = data;
    const struct row_exchange *x = row;
    if (!flz_id_equal(x->id, search->id) || !sees(search->view, x))
        return 0;
    search->found = view_exchange_full(search->view, x);
    return 1;
}

json_t *view_exchange(const struct view *view, struct flz_id exchange)
{
    struct search search = {.view = view, .id = exchange};
    uint32_t handle = coord_find_exchange(view->core, exchange);
    const struct row_exchange *live =
        handle == COORD_NONE ? NULL : coord_exchange(view->core, handle);
    if (live)
        (void)on_candidate(live, &search);
    else
        (void)server_each_row(view->server, ROW_EXCHANGE_OLD, on_candidate, &search);
    return view_document(view, "Exchange", search.found);
}
