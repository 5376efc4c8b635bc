/* Accounts. They come by their nodes' reports; here they are seen, explained, and let go. */
#include "coordinator/desk_private.h"

#include "coordinator/words.h"

#include <stdio.h>
#include <string.h>

static void fill_subject(struct desk *desk, uint32_t account, struct desk_change *change)
{
    (void)snprintf(change->subject, sizeof change->subject, "account/%s",
                   flz_id_str(coord_account(desk->view.core, account)->id));
}

void desk_account_ls(struct desk *desk)
{
    struct view_account_filter filter = {.node = COORD_NONE,
                                         .domain = admin_argument(desk->call, "domain"),
                                         .phase = admin_argument(desk->call, "phase"),
                                         .unready = admin_argument(desk->call, "unready") != NULL,
                                         .all = admin_argument(desk->call, "all") != NULL,
                                         .page = VIEW_WHOLE};
    if (filter.phase && words_find(words_phase, filter.phase) == 0) {
        desk_bad_input(desk, "there is no such phase", "phases: start, ramp, maintain, recovery");
        return;
    }
    filter.health = admin_argument(desk->call, "health");
    if (filter.health && words_find(flz_health_name, filter.health) == 0 &&
        strcmp(filter.health, flz_health_name(HEALTH_HEALTHY)) != 0) {
        desk_bad_input(desk, "there is no such state of health",
                       "states: healthy, watch, throttled, quarantined, blocked");
        return;
    }
    if (admin_argument(desk->call, "node")) {
        filter.node = desk_need_node(desk, "node");
        if (filter.node == COORD_NONE)
            return;
    }
    desk_answer(desk, view_accounts(&desk->view, &filter));
}

/* Each of these is about one account that the caller may see. */
static void show(struct desk *desk, json_t *(*document)(const struct view *view, uint32_t account))
{
    uint32_t account = desk_need_account(desk, "account");
    if (account != COORD_NONE && desk_may_account(desk, account, false))
        desk_answer(desk, document(&desk->view, account));
}

void desk_account_show(struct desk *desk)
{
    show(desk, view_account);
}

void desk_account_why(struct desk *desk)
{
    if (!admin_argument(desk->call, "with")) {
        show(desk, view_account_why);
        return;
    }
    uint32_t account = desk_need_account(desk, "account");
    if (account == COORD_NONE || !desk_may_account(desk, account, false))
        return;
    uint32_t with = desk_need_account(desk, "with");
    if (with != COORD_NONE && desk_may_account(desk, with, false))
        desk_answer(desk, view_account_pair(&desk->view, account, with));
}

void desk_account_reachable(struct desk *desk)
{
    show(desk, view_account_reachable);
}

void desk_account_export(struct desk *desk)
{
    show(desk, view_account_export);
}

void desk_account_rm(struct desk *desk)
{
    uint32_t account = desk_need_account(desk, "account");
    if (account == COORD_NONE || !desk_may_account(desk, account, true))
        return;
    struct desk_change change = {.remove = account,
                                 .done = "its consent has ended and it is removed; its history "
                                         "stays under its id until it is erased"};
    fill_subject(desk, account, &change);
    struct coord_command command = {.kind = COORD_END_CONSENT, .account = account};
    desk_change(desk, &command, &change);
}

void desk_account_clear(struct desk *desk)
{
    uint32_t account = desk_need_account(desk, "account");
    if (account == COORD_NONE || !desk_may_account(desk, account, true))
        return;
    struct desk_change change = {.remove = COORD_NONE,
                                 .done = "its health holds it back no more; what was seen until "
                                         "today is not held against it again"};
    fill_subject(desk, account, &change);
    struct coord_command command = {.kind = COORD_CLEAR, .clear = {.account = account}};
    (void)snprintf(command.clear.by, sizeof command.clear.by, "%s", admin_who(desk->call));
    desk_change(desk, &command, &change);
}

void desk_account_erase(struct desk *desk)
{
    uint32_t account = desk_need_account(desk, "account");
    if (account == COORD_NONE || !desk_may_account(desk, account, true))
        return;
    struct desk_change change = {.remove = COORD_NONE,
                                 .done = "address, owner and consent are erased: the key they were "
                                         "sealed under is gone, from backups' contents too"};
    fill_subject(desk, account, &change);
    desk_change_erase(desk, account, &change);
}
