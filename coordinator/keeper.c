#include "coordinator/keeper.h"

#include "coordinator/server_private.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_BYTES (4u << 20) /* commits wait while so much is moved */
#define EVERY_MS 60000
#define SOON_MS 500 /* while there is more to move */

struct keeper {
    struct server *server;
    uv_timer_t timer;
};

/* A lab's network time runs ahead: so does its keeping. */
static void on_timer(uv_timer_t *timer)
{
    struct keeper *keeper = timer->data;
    struct server *server = keeper->server;
    const struct config *config = server->config;
    int64_t now = server_now(server);
    /* A nearly full disk has no room for a copy in the archive; to forget makes some. */
    int64_t before = store_admits(server->store) ? now - config->keep_log_ms : INT64_MIN;
    struct committer_keep keep = {
        .log = {.before = before, .bytes_max = CHUNK_BYTES},
        .archive_before = config->keep_archive_ms > 0 ? now - config->keep_archive_ms : INT64_MIN,
    };
    committer_keep(server->committer, &keep);
}

void keeper_told(struct keeper *keeper, const struct committer_kept *kept)
{
    if (kept->result != RLOG_OK)
        flz_log(keeper->server->log, FLZ_LOG_WARNING, "log_not_trimmed",
                "result=%s reason=%s hint=%s", rlog_result_str(kept->result), kept->msg.text,
                "it is tried again every minute; look at the disk");
    (void)uv_timer_start(&keeper->timer, on_timer, kept->more ? SOON_MS : EVERY_MS, EVERY_MS);
}

int keeper_open(struct server *server, struct keeper **ret_keeper)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return flz_fail(-ENOMEM);
    keeper->server = server;
    (void)uv_timer_init(&server->loop, &keeper->timer);
    keeper->timer.data = keeper;
    (void)uv_timer_start(&keeper->timer, on_timer, SOON_MS, EVERY_MS);
    *ret_keeper = keeper;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct keeper *keeper_close(struct keeper *keeper)
{
    if (keeper)
        uv_close((uv_handle_t *)&keeper->timer, on_closed);
    return NULL;
}
