/* Backups: verbs that copy the state, and read copies. They are answered when that is done. */
#include "common/sys/clock.h"
#include "coordinator/desk_private.h"
#include "coordinator/view_json.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
    struct admin_call *call;
    struct server *server;
};

static json_t *document(const struct waiting *waiting, const struct backup_result *result)
{
    struct view view = {.server = waiting->server};
    char path[PATH_MAX];
    json_t *item = json_object();
    (void)snprintf(path, sizeof path, "%s/" BACKUP_FOLDER "/%s", server_state_dir(waiting->server),
                   result->name);
    view_put_text(item, "name", result->name);
    view_put_text(item, "path", path);
    view_put_text(item, "result", "whole");
    view_put_int(item, "bytes", (int64_t)result->bytes);
    view_put_int(item, "rows", (int64_t)result->rows);
    view_put_int(item, "headSegment", (int64_t)result->bounds.last);
    view_put_int(item, "headEvent", (int64_t)result->bounds.last_event);
    view_put(item, "headDigest", view_digest(result->bounds.head));
    return view_document(&view, "Backup", item);
}

static void on_done(const struct backup_result *result, void *data)
{
    struct waiting *waiting = data;
    switch (result->outcome) {
    case BACKUP_DONE: admin_answer(waiting->call, ADMIN_OK, document(waiting, result), NULL); break;
    case BACKUP_DAMAGED:
        admin_refuse(waiting->call, ADMIN_DIFFERENCE, "DAMAGED", result->msg.text,
                     "this is no backup: make a new one; fluenzrctl audit verify");
        break;
    case BACKUP_ABSENT:
        admin_refuse(waiting->call, ADMIN_FAILED, "NOT_FOUND", "no backup of this name here",
                     "'backup create' told its name; it is a folder below the state's 'backup'");
        break;
    case BACKUP_FAILED:
        admin_refuse(waiting->call, ADMIN_TRY_AGAIN, "NOT_MADE", result->msg.text,
                     "look at the coordinator's log and its disk, then try again");
        break;
    }
    free(waiting);
}

static void start(struct desk *desk, const struct backup_request *request)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct waiting *waiting = malloc(sizeof *waiting);
    int r = waiting ? 0 : -ENOMEM;
    if (waiting) {
        *waiting = (struct waiting){.call = desk->call, .server = desk->server};
        r = server_backup(desk->server, request, on_done, waiting);
    }
    if (r == 0)
        return;
    free(waiting);
    if (r == -ENOSPC && server_admission(desk->server, &msg) != ADMISSION_OPEN)
        admin_refuse(desk->call, ADMIN_TRY_AGAIN, "HELD_BACK", msg.text,
                     "a backup needs room, too: make it first");
    else if (r == -EBUSY)
        admin_refuse(desk->call, ADMIN_TRY_AGAIN, "BUSY", "another backup or audit is under way",
                     "one reads the log at a time: try again when it is done");
    else
        admin_refuse(desk->call, ADMIN_FAILED, "NO_MEMORY", strerror(-r), "");
}

void desk_backup_create(struct desk *desk)
{
    struct backup_request request = {.kind = BACKUP_CREATE, .real_now = flz_realtime_ms()};
    uint64_t keep;
    if (!desk_may(desk, "network", true) ||
        !desk_number(desk, "keep", BACKUP_KEEP_MAX, BACKUP_KEEP_DEFAULT, &keep))
        return;
    request.keep = (unsigned)keep;
    start(desk, &request);
}

void desk_backup_verify(struct desk *desk)
{
    struct backup_request request = {.kind = BACKUP_VERIFY};
    if (!desk_may(desk, "network", false))
        return;
    const char *name = desk_need(desk, "name", "the name of a backup, as 'backup create' told it");
    if (!name)
        return;
    (void)snprintf(request.name, sizeof request.name, "%s", name);
    start(desk, &request);
}
