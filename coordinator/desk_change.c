/* Changes: the call waits for the commit. */
#include "common/base/cleanup.h"
#include "coordinator/desk_private.h"
#include "coordinator/view_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void on_done(const struct server_result *result, void *data);

/* What its first half has done already is said: of an account that is removed, its consent. */
static void fail(const struct desk_change *change, int r)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    const char *done = change->halfway ? "its consent has ended, but it is not removed"
                                       : "nothing was changed";
    if (r == -ENOSPC && server_admission(change->server, &msg) != ADMISSION_OPEN) {
        flz_msg_wrap(&msg, "%s", done);
        admin_refuse(change->call, ADMIN_TRY_AGAIN, "HELD_BACK", msg.text,
                     "try again when fluenzrctl status shows no such problem; to stop all nodes "
                     "within their leases, stop the coordinator");
        return;
    }
    flz_msg_set(&msg, "the coordinator's log did not take it (%s); %s", strerror(-r), done);
    admin_refuse(change->call, ADMIN_TRY_AGAIN, "NOT_COMMITTED", msg.text,
                 "look at the coordinator's log and its disk, then try again");
}

static void answer(struct desk_change *change, const struct server_result *result)
{
    json_t *item = json_object();
    view_put_text(item, "verb", admin_verb(change->call));
    view_put_text(item, "subject", change->subject);
    view_put_text(item, "message", change->done);
    view_put_text(item, "advice", result->message.text);
    struct view view = {.server = change->server};
    admin_answer(change->call, ADMIN_OK, view_document(&view, "Change", item), change->done);
}

/* The second half of "account rm": the consent has ended, the account goes. */
static bool removes_next(struct desk_change *change)
{
    if (change->remove == COORD_NONE)
        return false;
    struct coord_command command = {.kind = COORD_REMOVE, .account = change->remove};
    change->remove = COORD_NONE;
    change->halfway = true;
    int r = server_submit(change->server, &command, on_done, change);
    if (r < 0) {
        fail(change, r);
        free(change);
    }
    return true;
}

static void on_done(const struct server_result *result, void *data)
{
    struct desk_change *change = data;
    /* A consent that ended earlier keeps no account from being removed. */
    bool moot = result->refused && change->remove != COORD_NONE;
    if (result->r == 0 && (!result->refused || moot) && removes_next(change))
        return;
    if (result->r < 0)
        fail(change, result->r);
    else if (result->refused)
        admin_refuse(change->call, ADMIN_FAILED, "REFUSED", result->message.text, "");
    else
        answer(change, result);
    free(change);
}

static struct desk_change *keep(struct desk *desk, const struct desk_change *change)
{
    struct desk_change *own = malloc(sizeof *own);
    if (!own) {
        admin_refuse(desk->call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
        return NULL;
    }
    *own = *change;
    own->call = desk->call;
    own->server = desk->server;
    return own;
}

/* `r`: what the server said to it; below 0 it will not be told any more. */
static void submitted(struct desk_change *own, int r)
{
    if (r < 0) {
        fail(own, r);
        free(own);
    }
}

void desk_change(struct desk *desk, struct coord_command *command, const struct desk_change *change)
{
    struct desk_change *own = keep(desk, change);
    if (own)
        submitted(own, server_submit(desk->server, command, on_done, own));
}

void desk_change_erase(struct desk *desk, uint32_t account, const struct desk_change *change)
{
    struct desk_change *own = keep(desk, change);
    if (own)
        submitted(own, server_erase(desk->server, account, on_done, own));
}

void desk_change_clock(struct desk *desk, const struct desk_change *change)
{
    struct desk_change *own = keep(desk, change);
    if (own)
        submitted(own, server_confirm_clock(desk->server, admin_who(desk->call), on_done, own));
}
