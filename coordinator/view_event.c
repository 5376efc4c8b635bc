/* Events: the log, in the words of documents. */
#include "common/base/time.h"
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include <string.h>

static void put_account(const struct view *view, json_t *json, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    if (!row)
        return;
    view_put(json, "account", view_id(row->id));
    view_put_text(json, "address", view_address(view, account));
}

static void put_node(const struct view *view, json_t *json, uint32_t node)
{
    view_put_text(json, "node", view_node_name(view, node));
}

/* Exchanges of the past have no handle any more: then the number alone tells. */
static void put_task(const struct view *view, json_t *json, const struct event_issued *task)
{
    const struct row_exchange *x = coord_exchange(view->core, task->exchange);
    view_put(json, "exchange", x ? view_id(x->id) : json_null());
    view_put_int(json, "exchangeHandle", task->exchange);
    view_put_int(json, "turn", task->turn);
    view_put_text(json, "task", words_task_kind(task->kind));
}

static void put_receipt(const struct view *view, json_t *json, const struct flz_receipt *receipt,
                        uint32_t fault, const char *effect)
{
    view_put(json, "exchange", view_id(receipt->exchange));
    view_put(json, "taskId", view_id(receipt->task));
    view_put_int(json, "turn", receipt->turn);
    view_put_text(json, "task", words_task_kind(receipt->kind));
    view_put_text(json, "outcome", words_outcome(receipt->outcome));
    view_put_text(json, "reason", words_reason(receipt->reason));
    view_put_text(json, "placement", words_placement(receipt->placement));
    view_put_text(json, "effect", effect);
    view_put_text(json, "fault", flz_fault_name(fault));
    view_put_int(json, "replyCode", receipt->reply_code);
    if (receipt->refusal) {
        view_put_text(json, "refusal", words_refusal(receipt->refusal));
        view_put_text(json, "rule", receipt->rule);
    }
    view_put_text(json, "text", receipt->text);
    view_put(json, "happenedAt", view_time(receipt->at));
    uint32_t account = coord_find_account(view->core, receipt->account);
    if (account != COORD_NONE)
        put_account(view, json, account);
}

static void put_pause(json_t *json, const struct event_paused *event)
{
    view_put(json, "target", view_target(&event->target));
    view_put_text(json, "text", event->reason);
    view_put(json, "until", view_time(event->until));
    view_put_text(json, "by", event->by);
}

static void put_day(const struct view *view, json_t *json, const struct event_day_closed *event)
{
    put_account(view, json, event->account);
    view_put(json, "date", view_date(event->date));
    view_put_int(json, "quota", event->quota);
    view_put_int(json, "committed", event->committed);
    view_put_int(json, "possible", event->possible);
    view_put_bool(json, "met", event->met);
    view_put_int(json, "day", event->ramp_day);
    view_put_int(json, "level", event->ramp_reference);
    view_put(json, "sentDate", view_date(event->ramp_sent_date));
}

static void put_probe(const struct view *view, json_t *json, const struct event_probe *event)
{
    put_account(view, json, event->account);
    view_put_bool(json, "loginOk", event->login_ok);
    view_put_text(json, "reason", words_reason(event->reason));
    view_put_text(json, "text", event->text);
    view_put_int(json, "quotaPermille", event->quota_permille);
    view_put_bool(json, "mxChanged", event->mx_changed);
}

static void put_plan(json_t *json, const struct event_plan_seal *event)
{
    view_put_int(json, "plan", event->plan);
    view_put(json, "date", view_date(event->date));
    view_put_int(json, "accounts", event->accounts);
    view_put_int(json, "exchanges", event->exchanges);
    view_put_int(json, "messages", event->messages);
    view_put(json, "hash", view_digest(event->hash));
}

static void put_void(const struct view *view, json_t *json, const struct event_void *event)
{
    put_task(view, json,
             &(struct event_issued){
                 .exchange = event->exchange, .turn = event->turn, .kind = event->kind});
    view_put_text(json, "reason", flz_void_name(event->reason));
    view_put_text(json, "fault", flz_fault_name(event->fault));
}

static void put_presumed(const struct view *view, json_t *json, const struct event_presumed *event)
{
    put_task(view, json,
             &(struct event_issued){
                 .exchange = event->exchange, .turn = event->turn, .kind = event->kind});
    view_put_text(json, "outcome", words_outcome(event->outcome));
    view_put_text(json, "reason", words_reason(event->reason));
    view_put_text(json, "fault", flz_fault_name(event->fault));
}

static void put_health(const struct view *view, json_t *json, const struct event_health *event)
{
    put_account(view, json, event->account);
    view_put(json, "provider",
             event->provider == COORD_NONE
                 ? json_null()
                 : view_text(view_name(view, NAME_PROVIDER, event->provider)));
    view_put_text(json, "before", flz_health_name(event->before));
    view_put_text(json, "state", flz_health_name(event->state));
    view_put_text(json, "rule", flz_rule_name(event->rule));
    view_put(json, "until", view_time(event->until));
    view_put_int(json, "seen", event->seen);
    view_put_int(json, "junk", event->junk);
    view_put(json, "junkShareLow", json_real((double)event->low / SHARE_ONE));
    view_put_int(json, "freshSeen", event->fresh_seen);
    view_put_int(json, "freshJunk", event->fresh_junk);
    view_put_int(json, "complaints", event->complaints);
    view_put_int(json, "level", event->level);
    view_put(json, "evidence", view_id(event->evidence));
    view_put_text(json, "by", event->by);
}

static void put_exchange(const struct view *view, json_t *json, uint32_t exchange)
{
    const struct row_exchange *x = coord_exchange(view->core, exchange);
    view_put(json, "exchange", x ? view_id(x->id) : json_null());
    view_put_int(json, "exchangeHandle", exchange);
}

static void put_alert(const struct view *view, json_t *json, const struct event_alert *e)
{
    view_put_int(json, "alert", e->alert);
    view_put_text(json, "code", alert_name(e->code));
    view_put_text(json, "severity", e->severity == ALERT_CRITICAL ? "critical" : "warning");
    if (e->scope == FLZ_SCOPE_NODE)
        put_node(view, json, e->subject);
    else if (e->scope == FLZ_SCOPE_ACCOUNT)
        put_account(view, json, e->subject);
    view_put_int(json, "accounts", e->count);
}

/* Who sent the message, whose address it is about, and in which words. */
static void put_noticed(const struct view *view, json_t *json, const struct event *event)
{
    const struct event_noticed *e = &event->noticed;
    const struct flz_notice *notice = &e->notice;
    view_put(json, "exchange", view_id(notice->exchange));
    view_put_int(json, "turn", notice->turn);
    view_put_text(json, "effect", words_notice(e->effect));
    uint32_t account = coord_find_account(view->core, notice->account);
    if (account != COORD_NONE)
        put_account(view, json, account);
    const struct row_account *recipient = coord_account(view->core, e->recipient);
    view_put(json, "recipient", recipient ? view_id(recipient->id) : json_null());
    if (event->type == EVENT_BOUNCED) {
        view_put_text(json, "refusal", words_refusal(notice->refusal));
        view_put_text(json, "reason", words_reason(notice->reason));
        view_put_int(json, "replyCode", notice->reply_code);
        view_put_text(json, "enhanced", notice->enhanced);
        view_put_text(json, "rule", notice->rule);
    }
    if (event->type == EVENT_ANSWERED)
        view_put(json, "until", view_time(e->until));
    view_put_text(json, "text", notice->text);
}

static void put_details(const struct view *view, json_t *json, const struct event *event)
{
    switch ((enum event_type)event->type) {
    case EVENT_LEAD:
        view_put_int(json, "epoch", (int64_t)event->lead.epoch);
        view_put(json, "generation", view_id(event->lead.generation));
        break;
    case EVENT_INVITED:
        view_put_text(json, "node", event->invited.name);
        view_put(json, "until", view_time(event->invited.not_after));
        break;
    case EVENT_JOINED: put_node(view, json, event->joined.node); break;
    case EVENT_HELLO:
        put_node(view, json, event->hello.node);
        view_put_bool(json, "journalLost", event->hello.lost);
        break;
    case EVENT_ACCOUNT:
        put_account(view, json, event->account.account);
        put_node(view, json, event->account.node);
        view_put_int(json, "binding", event->account.generation);
        break;
    case EVENT_PROBE: put_probe(view, json, &event->probe); break;
    case EVENT_RELEASED: put_account(view, json, event->released.account); break;
    case EVENT_REPORT_REFUSED:
        view_put_text(json, "report", words_report_kind(event->report_refused.kind));
        view_put(json, "account", view_id(event->report_refused.account));
        view_put_text(json, "text", event->report_refused.text);
        break;
    case EVENT_RECEIPT:
        put_receipt(view, json, &event->receipt.receipt, event->receipt.fault,
                    words_effect(event->receipt.effect));
        break;
    case EVENT_RECOVERED:
        put_receipt(view, json, &event->recovered.receipt, event->recovered.fault, "recovered");
        view_put(json, "orderedAt", view_time(event->recovered.issued_at));
        break;
    case EVENT_PLAN_PART:
        view_put_int(json, "plan", event->plan_part.plan);
        view_put_int(json, "part", event->plan_part.part);
        view_put(json, "date", view_date(event->plan_part.date));
        view_put_int(json, "accounts", (int64_t)event->plan_part.accounts_count);
        view_put_int(json, "exchanges", (int64_t)event->plan_part.exchanges_count);
        break;
    case EVENT_PLAN_SEAL: put_plan(json, &event->plan_seal); break;
    case EVENT_ISSUED:
        put_task(view, json, &event->issued);
        put_node(view, json, event->issued.node);
        break;
    case EVENT_PRESUMED: put_presumed(view, json, &event->presumed); break;
    case EVENT_VOID: put_void(view, json, &event->voided); break;
    case EVENT_SETTLED: put_exchange(view, json, event->settled.exchange); break;
    case EVENT_ENDED: put_exchange(view, json, event->ended.exchange); break;
    case EVENT_RESLOTTED:
        put_exchange(view, json, event->reslotted.exchange);
        view_put_int(json, "turn", event->reslotted.turn);
        view_put(json, "openAt", view_time(event->reslotted.open_at));
        view_put(json, "openUntil", view_time(event->reslotted.open_until));
        break;
    case EVENT_HEALTH: put_health(view, json, &event->health); break;
    case EVENT_DAY_CLOSED: put_day(view, json, &event->day_closed); break;
    case EVENT_PAUSED: put_pause(json, &event->paused); break;
    case EVENT_RESUMED: view_put_text(json, "by", event->resumed.by); break;
    case EVENT_REVOKED: put_node(view, json, event->revoked.node); break;
    case EVENT_CONSENT_ENDED: put_account(view, json, event->consent_ended.account); break;
    case EVENT_REMOVED: put_account(view, json, event->removed.account); break;
    case EVENT_SUPPRESSED:
        view_put(json, "digest", view_digest(event->suppressed.address));
        view_put_text(json, "kind", words_suppressed(event->suppressed.kind));
        view_put_text(json, "text", event->suppressed.reason);
        view_put_text(json, "by", event->suppressed.by);
        break;
    case EVENT_BOUNCED:
    case EVENT_COMPLAINED:
    case EVENT_ANSWERED: put_noticed(view, json, event); break;
    case EVENT_OPENED:
        put_account(view, json, event->opened.account);
        view_put_text(json, "by", event->opened.by);
        break;
    case EVENT_UNSUPPRESSED:
        view_put(json, "digest", view_digest(event->unsuppressed.address));
        view_put_text(json, "by", event->unsuppressed.by);
        break;
    case EVENT_ALERT_OPENED:
    case EVENT_ALERT_UPDATED: put_alert(view, json, &event->alert); break;
    case EVENT_ALERT_RESOLVED: view_put_int(json, "alert", event->alert.alert); break;
    case EVENT_ALERT_ACKED:
        view_put_int(json, "alert", event->alert_acked.alert);
        view_put(json, "silentUntil", view_time(event->alert_acked.silent_until));
        view_put_text(json, "text", event->alert_acked.reason);
        view_put_text(json, "by", event->alert_acked.by);
        break;
    case EVENT_SETTING:
        view_put_text(json, "key", event->setting.key);
        view_put_int(json, "value", event->setting.value);
        view_put_text(json, "by", event->setting.by);
        break;
    }
}

struct reading {
    const struct view *view;
    const struct view_event_query *query;
    json_t *items;
};

static int on_event(uint64_t seq, const struct event *event, void *data)
{
    struct reading *reading = data;
    const struct view_event_query *query = reading->query;
    if (query->type && event->type != query->type)
        return 0;
    json_t *json = json_object();
    view_put_int(json, "seq", (int64_t)seq);
    view_put(json, "at", view_time(event->at));
    view_put_text(json, "type", flz_event_name(event->type));
    put_details(reading->view, json, event);
    (void)json_array_append_new(reading->items, json);
    if (json_array_size(reading->items) <= query->limit)
        return 0;
    /* Going on from a seq, the oldest are wanted first; without one, the newest. */
    if (query->after) {
        (void)json_array_remove(reading->items, query->limit);
        return 1;
    }
    (void)json_array_remove(reading->items, 0);
    return 0;
}

/* How far behind the end to begin when the newest of one type are wanted: a bound on the reading.
 */
#define TYPE_REACH 50000

json_t *view_events(const struct view *view, const struct view_event_query *query)
{
    struct reading reading = {.view = view, .query = query, .items = json_array()};
    uint64_t newest = server_seq(view->server);
    uint64_t reach = query->type ? TYPE_REACH : query->limit;
    uint64_t from = query->after ? query->after + 1 : newest > reach ? newest - reach + 1 : 1;
    (void)server_each_event(view->server, from, on_event, &reading);
    return view_list(view, "EventList", reading.items);
}
