/* The day's plan, and what became of days. */
#include "common/base/time.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_DAYS 14 /* as many dates behind the newest planned one as surely stay in memory */

/* ---- Plan ---- */

static json_t *message_json(const struct view *view, const struct row_exchange *x, size_t turn)
{
    const struct row_turn *t = &x->turns[turn];
    json_t *json = json_object();
    view_put(json, "exchange", view_id(x->id));
    view_put_int(json, "turn", (int64_t)turn);
    view_put_text(json, "to", view_address(view, turn % 2 == 0 ? x->to : x->from));
    view_put(json, "sendAt", view_time(t->send_at));
    view_put(json, "sendUntil", view_time(t->send_until));
    view_put_text(json, "state", words_task_state(t->send.state));
    view_put_text(json, "outcome",
                  t->send.state == TASK_ENDED ? words_outcome(t->send.outcome) : "");
    view_put_text(json, "placement", words_placement(t->placement));
    return json;
}

static int64_t send_at_of(const struct view *view, uint32_t exchange, size_t turn)
{
    return coord_exchange(view->core, exchange)->turns[turn].send_at;
}

struct slot_ref {
    uint32_t exchange;
    uint32_t turn;
    int64_t at;
};

static int by_time(const void *a, const void *b)
{
    const struct slot_ref *left = a;
    const struct slot_ref *right = b;
    return left->at < right->at ? -1 : left->at > right->at;
}

/* The account's messages of a date, in their order of time. */
static json_t *messages_json(const struct view *view, uint32_t account, int32_t date)
{
    struct slot_ref slots[256];
    size_t count = 0;
    for (size_t i = 0; i < coord_exchange_limit(view->core); i++) {
        const struct row_exchange *x = coord_exchange(view->core, (uint32_t)i);
        for (size_t turn = 0; x && turn < x->turns_count; turn++)
            if ((turn % 2 == 0 ? x->from : x->to) == account && x->turns[turn].date == date &&
                count < sizeof slots / sizeof *slots)
                slots[count++] = (struct slot_ref){(uint32_t)i, (uint32_t)turn,
                                                   send_at_of(view, (uint32_t)i, turn)};
    }
    qsort(slots, count, sizeof *slots, by_time);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            list, message_json(view, coord_exchange(view->core, slots[i].exchange), slots[i].turn));
    return list;
}

static json_t *plan_json(const struct view *view, uint32_t account, int32_t date)
{
    const struct row_account *row = coord_account(view->core, account);
    const struct row_day *day = coord_day(view->core, account, date);
    json_t *json = json_object();
    view_put(json, "account", view_id(row->id));
    view_put_text(json, "address", view_address(view, account));
    view_put_text(json, "node", view_node_name(view, row->node));
    view_put_text(json, "phase", words_phase(view_phase(view, row)));
    view_put(json, "date", view_date(date));
    view_put_bool(json, "isPlanned", day && day->planned_day);
    view_put_counters(json, day);
    view_put_text(json, "shortfallReason", words_shortfall(day ? day->shortfall_reason : 0));
    view_put(json, "waitsUntil", view_date(day ? day->waits_until : 0));
    view_put_text(json, "dayOff", view_day_off(row, date));
    bool hours = day && day->window_start != day->window_end;
    view_put(json, "windowStart", hours ? view_time(day->window_start) : json_null());
    view_put(json, "windowEnd", hours ? view_time(day->window_end) : json_null());
    return json;
}

static void add_plan(const struct view *view, const struct view_plan_query *query, uint32_t account,
                     json_t *items)
{
    const struct row_account *row = coord_account(view->core, account);
    if (row->state != ACCOUNT_LIVE || !view_sees_account(view, account))
        return;
    int32_t own = query->date ? query->date : view_today(view, account);
    json_t *json = plan_json(view, account, own);
    if (query->account != COORD_NONE)
        view_put(json, "messages", messages_json(view, account, own));
    (void)json_array_append_new(items, json);
}

json_t *view_plan(const struct view *view, const struct view_plan_query *query)
{
    json_t *items = json_array();
    struct view_walk walk = view_walk(&query->page);
    if (query->account != COORD_NONE) {
        add_plan(view, query, query->account, items);
        return view_list(view, "PlanList", items);
    }
    while (view_walk_goes_on(&walk, items, coord_account_count(view->core)))
        add_plan(view, query, view_walk_step(&walk), items);
    return view_page_list(view, "PlanList", &walk, items);
}

/* ---- Stats ---- */

/* One sum for each date, or for each account of a page. */
struct sums {
    const struct view *view;
    const struct view_stats_query *query;
    uint32_t first;       /* account of rows[0] */
    struct row_day *rows; /* owned */
    size_t count;
};

static void add_to(struct sums *sums, const struct row_day *day)
{
    const struct view_stats_query *query = sums->query;
    if (day->date < query->from || day->date > query->to)
        return;
    size_t at = query->by == VIEW_BY_DAY ? (size_t)(day->date - query->from)
                                         : (size_t)day->account - sums->first;
    if (at < sums->count)
        view_add_day(&sums->rows[at], day);
}

/* Whether the days of one account, or of the network, are all that is asked for. The network's own
 * days count each message once, and serve the sum over everything. */
static bool is_single(const struct view *view, const struct view_stats_query *query)
{
    return query->account != COORD_NONE || (query->by == VIEW_BY_DAY && view_sees_all(view));
}

static bool is_wanted(const struct sums *sums, uint32_t account)
{
    if (is_single(sums->view, sums->query))
        return account == sums->query->account;
    return account != COORD_NONE && view_sees_account(sums->view, account);
}

static int on_archived(const void *row, void *data)
{
    struct sums *sums = data;
    const struct row_day *day = row;
    if (is_wanted(sums, day->account) && !coord_day(sums->view->core, day->account, day->date))
        add_to(sums, day);
    return 0;
}

static void sum_memory(struct sums *sums, uint32_t account)
{
    if (!is_wanted(sums, account))
        return;
    for (int32_t date = sums->query->from; date <= sums->query->to; date++) {
        const struct row_day *day = coord_day(sums->view->core, account, date);
        if (day)
            add_to(sums, day);
    }
}

static void sum(struct sums *sums)
{
    const struct view *view = sums->view;
    const struct view_stats_query *query = sums->query;
    bool single = is_single(view, query);
    uint32_t end = (uint32_t)coord_account_count(view->core);
    if (query->by == VIEW_BY_ACCOUNT && sums->count < end - sums->first)
        end = sums->first + (uint32_t)sums->count;
    if (single)
        sum_memory(sums, query->account);
    for (uint32_t i = sums->first; !single && i < end; i++)
        sum_memory(sums, i);
    if (query->from >= coord_network(view->core)->newest_date - MEMORY_DAYS)
        return;
    if (single)
        (void)server_each_old_day(view->server, query->account, on_archived, sums);
    else
        (void)server_each_row(view->server, ROW_DAY_OLD, on_archived, sums);
}

static json_t *sums_json(const struct sums *sums)
{
    const struct view *view = sums->view;
    json_t *items = json_array();
    for (size_t i = 0; i < sums->count; i++) {
        json_t *json = json_object();
        uint32_t account = sums->first + (uint32_t)i;
        if (sums->query->by == VIEW_BY_DAY) {
            view_put(json, "date", view_date(sums->query->from + (int32_t)i));
        } else if (!is_wanted(sums, account)) {
            json_decref(json);
            continue;
        } else {
            view_put(json, "account", view_id(coord_account(view->core, account)->id));
            view_put_text(json, "address", view_address(view, account));
        }
        view_put_counters(json, &sums->rows[i]);
        (void)json_array_append_new(items, json);
    }
    return items;
}

json_t *view_stats(const struct view *view, const struct view_stats_query *query)
{
    struct sums sums = {.view = view, .query = query};
    struct view_walk walk = view_walk(&query->page);
    sums.count = (size_t)(query->to - query->from + 1);
    if (query->by == VIEW_BY_ACCOUNT) {
        size_t accounts = coord_account_count(view->core);
        sums.first = walk.at;
        sums.count = accounts > walk.at ? accounts - walk.at : 0;
        if (query->page.limit && query->page.limit < sums.count)
            sums.count = query->page.limit;
        walk.at += (uint32_t)sums.count;
    }
    sums.rows = calloc(sums.count + 1, sizeof *sums.rows);
    if (!sums.rows)
        return NULL;
    sum(&sums);
    json_t *items = sums_json(&sums);
    free(sums.rows);
    return view_page_list(view, "StatsList", &walk, items);
}
