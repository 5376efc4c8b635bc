#include "coordinator/desk.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/desk_private.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    desk_verb run;
} verbs[] = {
    {"status", desk_status},
    {"version", desk_version},
    {"alert ls", desk_alert_ls},
    {"alert show", desk_alert_show},
    {"alert ack", desk_alert_ack},
    {"events", desk_events},
    {"stats", desk_stats},
    {"audit verify", desk_audit_verify},
    {"audit prove", desk_audit_prove},
    {"audit aggregates", desk_audit_aggregates},
    {"backup create", desk_backup_create},
    {"backup verify", desk_backup_verify},
    {"plan show", desk_plan_show},
    {"exchange ls", desk_exchange_ls},
    {"exchange show", desk_exchange_show},
    {"policy ls", desk_policy_ls},
    {"policy set", desk_policy_set},
    {"policy replay", desk_policy_replay},
    {"pause", desk_pause},
    {"pause ls", desk_pause_ls},
    {"resume", desk_resume},
    {"suppress ls", desk_suppress_ls},
    {"suppress add", desk_suppress_add},
    {"suppress rm", desk_suppress_rm},
    {"clock confirm", desk_clock_confirm},
    {"node invite", desk_node_invite},
    {"node ls", desk_node_ls},
    {"node show", desk_node_show},
    {"node revoke", desk_node_revoke},
    {"account ls", desk_account_ls},
    {"account show", desk_account_show},
    {"account why", desk_account_why},
    {"account reachable", desk_account_reachable},
    {"account export", desk_account_export},
    {"account erase", desk_account_erase},
    {"account rm", desk_account_rm},
    {"account clear", desk_account_clear},
};

void desk_on_call(struct admin_call *call, void *server)
{
    struct desk desk = {.call = call, .server = server};
    size_t i = 0;
    while (i < sizeof verbs / sizeof *verbs && strcmp(verbs[i].name, admin_verb(call)) != 0)
        i++;
    if (i == sizeof verbs / sizeof *verbs) {
        admin_refuse(call, ADMIN_USAGE, "UNKNOWN_VERB", "this coordinator knows no such verb",
                     "fluenzrctl and coordinator may be of different versions: fluenzrctl version");
        return;
    }
    /* The scope lives as long as the call, which an answer ends. */
    char scope[sizeof(((struct flz_certificate *)0)->scope)];
    (void)snprintf(scope, sizeof scope, "%s", admin_scope(call));
    if (view_init(&desk.view, server, scope, true) < 0)
        admin_refuse(call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
    else
        verbs[i].run(&desk);
    view_deinit(&desk.view);
}

void desk_answer(struct desk *desk, json_t *document)
{
    if (document)
        admin_answer(desk->call, ADMIN_OK, document, NULL);
    else
        admin_refuse(desk->call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
}

void desk_bad_input(struct desk *desk, const char *message, const char *hint)
{
    admin_refuse(desk->call, ADMIN_USAGE, "BAD_INPUT", message, hint);
}

bool desk_may(struct desk *desk, const char *target, bool changes)
{
    if (admin_may(desk->call, target, changes))
        return true;
    char text[FLZ_MSG_MAX];
    (void)snprintf(text, sizeof text, "%s may not %s %s", admin_who(desk->call),
                   changes ? "change" : "see", target);
    admin_refuse(desk->call, ADMIN_NOT_PERMITTED, "NOT_PERMITTED", text,
                 "use the certificate of an administrator (-i ADMIN_DIR)");
    return false;
}

bool desk_may_account(struct desk *desk, uint32_t account, bool changes)
{
    const struct row_account *row = coord_account(desk->view.core, account);
    const struct row_node *node = coord_node(desk->view.core, row->node);
    const struct person *person = persons_find(server_persons(desk->server), account);
    char target[FLZ_OWNER_MAX + 8];
    (void)snprintf(target, sizeof target, "owner/%s", person ? person->owner : "");
    if (person && admin_may(desk->call, target, changes))
        return true;
    (void)snprintf(target, sizeof target, "node/%s", node ? node->name : "");
    return desk_may(desk, target, changes);
}

const char *desk_need(struct desk *desk, const char *key, const char *hint)
{
    const char *value = admin_argument(desk->call, key);
    if (value && *value)
        return value;
    char text[FLZ_MSG_MAX];
    (void)snprintf(text, sizeof text, "%s is missing", key);
    desk_bad_input(desk, text, hint);
    return NULL;
}

static void refuse_absent(struct desk *desk, const char *what, const char *name, const char *hint)
{
    char text[FLZ_MSG_MAX];
    (void)snprintf(text, sizeof text, "no %s %s here", what, name);
    admin_refuse(desk->call, ADMIN_FAILED, "NOT_FOUND", text, hint);
}

uint32_t desk_need_account(struct desk *desk, const char *key)
{
    const char *text = desk_need(desk, key, "an account is named by its address or id");
    uint32_t account = text ? view_find_account(&desk->view, text) : COORD_NONE;
    if (text && account == COORD_NONE)
        refuse_absent(desk, "account", text, "fluenzrctl account ls --all");
    return account;
}

uint32_t desk_need_node(struct desk *desk, const char *key)
{
    const char *text = desk_need(desk, key, "a node is named by its name or id");
    uint32_t node = text ? view_find_node(&desk->view, text) : COORD_NONE;
    if (text && node == COORD_NONE)
        refuse_absent(desk, "node", text, "fluenzrctl node ls");
    return node;
}

bool desk_until(struct desk *desk, const char *key, int64_t fallback, int64_t *ret_until)
{
    const char *text = admin_argument(desk->call, key);
    int64_t duration = 0;
    if (text && (flz_parse_duration_ms(text, &duration) < 0 || duration <= 0)) {
        char message[FLZ_MSG_MAX];
        (void)snprintf(message, sizeof message, "--%s is a duration: 90s, 15m, 2h, 3d", key);
        desk_bad_input(desk, message, "");
        return false;
    }
    *ret_until = text ? desk->view.now + duration : fallback;
    return true;
}

bool desk_number(struct desk *desk, const char *key, uint64_t max, uint64_t fallback,
                 uint64_t *ret_value)
{
    const char *text = admin_argument(desk->call, key);
    uint64_t value = fallback;
    if (text && (flz_parse_u64(text, max, &value) < 0 || value == 0)) {
        char message[FLZ_MSG_MAX];
        (void)snprintf(message, sizeof message, "%s is a number from 1 to %llu", key,
                       (unsigned long long)max);
        desk_bad_input(desk, message, "");
        return false;
    }
    *ret_value = value;
    return true;
}

bool desk_date(struct desk *desk, const char *key, int32_t *ret_date)
{
    const char *text = admin_argument(desk->call, key);
    int32_t date = 0;
    if (text && flz_date_parse(text, &date) < 0) {
        char message[FLZ_MSG_MAX];
        (void)snprintf(message, sizeof message, "%s is a date like 2027-05-31", key);
        desk_bad_input(desk, message, "");
        return false;
    }
    *ret_date = date;
    return true;
}
