/* Alerts: looking at them, and saying that one does. */
#include "common/base/time.h"
#include "coordinator/desk_private.h"

#include <stdio.h>

void desk_alert_ls(struct desk *desk)
{
    desk_answer(desk, view_alerts(&desk->view, admin_argument(desk->call, "all") != NULL));
}

/* The document of the alert that is named, and its number; NULL: refused. */
static json_t *need_alert(struct desk *desk, uint32_t *ret_alert)
{
    uint64_t number = 0;
    if (!desk_need(desk, "alert", "an alert is named by its number: fluenzrctl alert ls") ||
        !desk_number(desk, "alert", UINT32_MAX, 0, &number))
        return NULL;
    json_t *document = view_alert(&desk->view, (uint32_t)number);
    if (!document)
        admin_refuse(desk->call, ADMIN_FAILED, "NOT_FOUND", "no such alert here",
                     "fluenzrctl alert ls --all");
    *ret_alert = (uint32_t)number;
    return document;
}

void desk_alert_show(struct desk *desk)
{
    uint32_t alert;
    json_t *document = need_alert(desk, &alert);
    if (document)
        desk_answer(desk, document);
}

/* Whoever may change what an alert is about may say that he looks at it. */
static bool may_ack(struct desk *desk, const struct row_alert *row)
{
    char target[FLZ_NAME_MAX + 8];
    if (row->scope == FLZ_SCOPE_ACCOUNT)
        return desk_may_account(desk, row->subject, true);
    const struct row_node *node =
        row->scope == FLZ_SCOPE_NODE ? coord_node(desk->view.core, row->subject) : NULL;
    (void)snprintf(target, sizeof target, "node/%s", node ? node->name : "");
    return desk_may(desk, node ? target : "network", true);
}

void desk_alert_ack(struct desk *desk)
{
    struct coord_command command = {.kind = COORD_ALERT_ACK};
    struct desk_change change = {.remove = COORD_NONE, .done = "acknowledged"};
    json_t *document = need_alert(desk, &command.alert_ack.alert);
    if (!document)
        return;
    json_decref(document);
    if (!may_ack(desk, coord_alert_by_handle(desk->view.core, command.alert_ack.alert)))
        return;
    const char *reason = desk_need(desk, "reason", "--reason TEXT tells others what you do");
    if (!reason || !desk_until(desk, "for", 0, &command.alert_ack.silent_until))
        return;
    (void)snprintf(command.alert_ack.reason, sizeof command.alert_ack.reason, "%s", reason);
    (void)snprintf(command.alert_ack.by, sizeof command.alert_ack.by, "%s", admin_who(desk->call));
    (void)snprintf(change.subject, sizeof change.subject, "alert/%u", command.alert_ack.alert);
    if (command.alert_ack.silent_until) {
        char until[FLZ_TIME_TEXT_MAX];
        flz_time_format(command.alert_ack.silent_until, until);
        (void)snprintf(change.done, sizeof change.done, "silenced until %s", until);
    }
    desk_change(desk, &command, &change);
}
