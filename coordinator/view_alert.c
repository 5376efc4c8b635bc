/* Alerts: what people should look at, in words. */
#include "coordinator/view_json.h"
#include "coordinator/words.h"

#include "common/base/time.h"

#include <stdio.h>
#include <stdlib.h>

static bool sees(const struct view *view, const struct row_alert *row)
{
    switch (row->scope) {
    case FLZ_SCOPE_ACCOUNT: return view_sees_account(view, row->subject);
    case FLZ_SCOPE_NODE: return view_sees_node(view, row->subject);
    default: return view_sees_all(view);
    }
}

static void name_subject(const struct view *view, const struct row_alert *row, struct flz_msg *name)
{
    const struct row_account *account = coord_account(view->core, row->subject);
    if (row->scope == FLZ_SCOPE_NODE)
        flz_msg_set(name, "node/%s", view_node_name(view, row->subject));
    else if (row->scope != FLZ_SCOPE_ACCOUNT || !account)
        flz_msg_set(name, "network");
    else if (view_address(view, row->subject)[0])
        flz_msg_set(name, "account/%s", view_address(view, row->subject));
    else
        flz_msg_set(name, "account/%s", flz_id_str(account->id));
}

/* "its login is refused", or of many "12 accounts: login is refused". */
static void say(const struct row_alert *row, struct flz_msg *message, const char *text)
{
    if (row->scope == FLZ_SCOPE_NODE)
        flz_msg_set(message, "%u accounts: %s", row->count, text);
    else
        flz_msg_set(message, "%s", text);
}

static void word_login(const struct view *view, const struct row_alert *row,
                       struct flz_msg *message)
{
    const struct row_account *account =
        row->example ? coord_account(view->core, row->example - 1) : NULL;
    struct flz_msg text = FLZ_MSG_NULL;
    flz_msg_set(&text, "%s%s%s",
                row->severity == ALERT_CRITICAL ? "a person has to sign in"
                : row->value > 0                ? "the login is refused"
                                                : "the mail servers cannot be used",
                account && account->trouble[0] ? ": " : "", account ? account->trouble : "");
    say(row, message, text.text);
}

static void word_message(const struct view *view, const struct row_alert *row,
                         struct flz_msg *message)
{
    long long value = (long long)row->value;
    struct flz_msg text = FLZ_MSG_NULL;
    switch ((enum row_alert_code)row->code) {
    case ALERT_NODE_LOST:
        flz_msg_set(message, "the node is not heard; nothing of its %u accounts is sent",
                    row->count);
        break;
    case ALERT_LOGIN: word_login(view, row, message); break;
    case ALERT_MAILBOX_FULL:
        flz_msg_set(&text, "the mailbox is full (%lld %%)", value / 10);
        say(row, message, text.text);
        break;
    case ALERT_IDLE: say(row, message, "nothing was sent on a day that was planned"); break;
    case ALERT_DISK: flz_msg_set(message, "the coordinator decides nothing new"); break;
    case ALERT_CLOCK:
        flz_msg_set(message,
                    "the coordinator's clock jumped by %lld s; network time goes on "
                    "without it",
                    value / 1000);
        break;
    case ALERT_DNS:
        say(row, message,
            "DNS says no: another MX, an opt-out, or a provider that is "
            "refused");
        break;
    case ALERT_HEALTH:
        say(row, message,
            value == 0 ? "the sender's health stops it" : "the sender's health cuts what it sends");
        break;
    }
}

static const char *next_of(const struct row_alert *row)
{
    switch ((enum row_alert_code)row->code) {
    case ALERT_NODE_LOST: return "look at that host: systemctl status fluenzr-node";
    case ALERT_LOGIN:
        return row->severity == ALERT_CRITICAL
                   ? "correct user or password and import the row again; or, on the node's host: "
                     "fluenzrctl account retry ADDRESS (Microsoft 365: account reauth ADDRESS)"
                   : "fluenzrctl account why ADDRESS; the node tries again by itself";
    case ALERT_MAILBOX_FULL: return "make room in the mailbox";
    case ALERT_DISK: return "free space on the coordinator's host (df -h): fluenzrctl status";
    case ALERT_CLOCK: return "set that host's clock right, or: fluenzrctl clock confirm";
    case ALERT_IDLE:
    case ALERT_DNS:
    case ALERT_HEALTH: break;
    }
    return row->scope == FLZ_SCOPE_NODE ? "fluenzrctl account ls --unready"
                                        : "fluenzrctl account why ADDRESS";
}

static bool is_silent(const struct view *view, const struct row_alert *row)
{
    return row->silent_until > view->now;
}

static const char *state_of(const struct view *view, const struct row_alert *row)
{
    if (row->resolved_at)
        return "resolved";
    return is_silent(view, row) ? "silenced" : row->acked_at ? "acknowledged" : "open";
}

static json_t *alert_json(const struct view *view, const struct row_alert *row)
{
    struct flz_msg subject = FLZ_MSG_NULL;
    struct flz_msg message = FLZ_MSG_NULL;
    name_subject(view, row, &subject);
    word_message(view, row, &message);
    json_t *json = json_object();
    view_put_int(json, "number", row->handle);
    view_put_text(json, "severity", row->severity == ALERT_CRITICAL ? "critical" : "warning");
    view_put_text(json, "code", alert_name(row->code));
    view_put_text(json, "subject", subject.text);
    view_put_text(json, "state", state_of(view, row));
    view_put_text(json, "message", message.text);
    view_put_text(json, "next", row->resolved_at ? "" : next_of(row));
    view_put_int(json, "accounts", row->count);
    view_put(json, "openedAt", view_time(row->opened_at));
    view_put(json, "updatedAt", view_time(row->updated_at));
    view_put(json, "resolvedAt", view_time(row->resolved_at));
    view_put(json, "acknowledgedAt", view_time(row->acked_at));
    view_put(json, "silentUntil", view_time(row->silent_until));
    view_put_text(json, "by", row->acked_by);
    view_put_text(json, "reason", row->reason);
    return json;
}

json_t *view_alerts(const struct view *view, bool all)
{
    json_t *items = json_array();
    for (size_t i = coord_alert_count(view->core); i-- > 0;) {
        const struct row_alert *row = coord_alert(view->core, i);
        if (row && sees(view, row) && (all || (!row->resolved_at && !is_silent(view, row))))
            (void)json_array_append_new(items, alert_json(view, row));
    }
    return view_list(view, "AlertList", items);
}

json_t *view_alert(const struct view *view, uint32_t alert)
{
    const struct row_alert *row = coord_alert_by_handle(view->core, alert);
    return row && sees(view, row) ? view_document(view, "Alert", alert_json(view, row)) : NULL;
}
