#include "coordinator/rlog/committer.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define RETRY_MS 1000 /* a full disk, or a log that is away: the same group again */

struct group {
    uint64_t number;
    struct segment_builder builder;
    struct store_batch *rider;
    int64_t at;
};

struct committer {
    struct committer_options options;
    const struct committer_events *events;
    void *data;
    struct group gathering;
    struct group committing;
    struct segment header; /* of the group under way */
    int64_t at;            /* of the newest segment with events */
    struct flz_buf bytes;  /* of its segment */
    uv_work_t work;
    uv_timer_t *retry; /* owned; freed in its close callback */
    uv_idle_t *soon;   /* owned likewise: closes the group at the end of this turn of the loop */
    bool under_way;
    bool waiting; /* for the retry */
    bool lost;
    enum rlog_result result;  /* the pool thread's, while work is queued */
    enum rlog_result refusal; /* of the group under way so far; RLOG_OK: none */
    uint64_t started_ns;
    uv_work_t keep_work;
    struct committer_keep keep;
    struct committer_kept kept;
    bool keep_wanted;
    bool keeping; /* no group is under way meanwhile */
};

static void close_group(struct committer *committer);

/* ---- The group under way ---- */

/* Pool thread. An unknown outcome is resolved here, before anybody is told anything. Only "not
 * committed" makes it good: of a committed segment nobody knows whether its rider was written, and
 * the next rider would hide what is missing. Then the rows are loaded anew. */
static void on_work(uv_work_t *work)
{
    struct committer *committer = work->data;
    committer->result = rlog_append(committer->options.log, committer->options.epoch,
                                    flz_buf_view(&committer->bytes), committer->committing.rider);
    if (committer->result != RLOG_UNKNOWN)
        return;
    bool committed = true;
    enum rlog_result resolved = rlog_resolve(committer->options.log, committer->header.seq,
                                             committer->header.nonce, &committed);
    if (resolved == RLOG_OK && !committed)
        committer->result = RLOG_UNAVAILABLE;
}

static void finish(struct committer *committer);

static void on_work_done(uv_work_t *work, int status)
{
    (void)status;
    finish(work->data);
}

static void on_retry(uv_timer_t *timer)
{
    struct committer *committer = timer->data;
    committer->waiting = false;
    (void)uv_queue_work(committer->options.loop, &committer->work, on_work, on_work_done);
}

static void tell(struct committer *committer)
{
    struct rlog_bounds *bounds = &committer->options.bounds;
    if (committer->header.seq > 0) {
        bounds->last = committer->header.seq;
        bounds->last_event = committer->header.first_event + committer->header.count - 1;
        bounds->head = committer->header.digest;
    }
    uint64_t group = committer->committing.number;
    segment_builder_reset(&committer->committing.builder);
    store_batch_clear(committer->committing.rider);
    committer->under_way = false;
    committer->refusal = RLOG_OK;
    committer->events->on_committed(group, bounds->last_event,
                                    (int64_t)(uv_hrtime() - committer->started_ns) / 1000,
                                    committer->data);
}

static void start_keep(struct committer *committer);

/* Between two groups. */
static void go_on(struct committer *committer)
{
    if (committer->keep_wanted)
        start_keep(committer);
    else if (committer->gathering.number > committer->committing.number)
        close_group(committer);
}

static void finish(struct committer *committer)
{
    switch (committer->result) {
    case RLOG_OK:
        tell(committer);
        go_on(committer);
        return;
    case RLOG_FULL:
    case RLOG_UNAVAILABLE:
        /* Nothing happened: nothing has left, nothing is lost, everybody waits. */
        committer->refusal = committer->result;
        committer->waiting = true;
        (void)uv_timer_start(committer->retry, on_retry, RETRY_MS, 0);
        return;
    case RLOG_FENCED:
    case RLOG_CONFLICT:
    case RLOG_UNKNOWN:
    case RLOG_CORRUPT: break;
    }
    committer->lost = true;
    committer->under_way = false;
    committer->events->on_lost(committer->result, committer->data);
}

static int prepare(struct committer *committer)
{
    struct group *group = &committer->committing;
    const struct rlog_bounds *bounds = &committer->options.bounds;
    int r = committer->events->on_close(group->rider, committer->data);
    if (r < 0)
        return r;
    committer->header = (struct segment){
        .seq = bounds->last + 1,
        .epoch = committer->options.epoch,
        .generation = bounds->generation,
        .first_event = bounds->last_event + 1,
        .at = group->at ? group->at : committer->at, /* a group of rows alone has no time */
        .previous = bounds->head,
    };
    committer->at = committer->header.at;
    randombytes_buf(committer->header.nonce.b, sizeof committer->header.nonce.b);
    flz_buf_reset(&committer->bytes);
    return segment_finish(&group->builder, &committer->header, &committer->bytes);
}

/* The gathering group is closed and goes on its way; a new one gathers. */
static void close_group(struct committer *committer)
{
    if (committer->under_way || committer->keeping || committer->lost)
        return;
    struct group group = committer->committing;
    committer->committing = committer->gathering;
    committer->gathering = group;
    committer->gathering.number = committer->committing.number;
    committer->gathering.at = 0;
    committer->under_way = true;
    committer->started_ns = uv_hrtime();
    committer->header.seq = 0; /* nothing written yet */
    if (committer->committing.builder.count == 0 &&
        store_batch_count(committer->committing.rider) == 0) {
        tell(committer); /* nothing to write: what it waited for is committed */
        return;
    }
    if (prepare(committer) < 0) {
        committer->lost = true;
        committer->events->on_lost(RLOG_UNAVAILABLE, committer->data);
        return;
    }
    committer->work.data = committer;
    (void)uv_queue_work(committer->options.loop, &committer->work, on_work, on_work_done);
}

/* ---- Keeping ---- */

/* Pool thread. */
static void on_keep(uv_work_t *work)
{
    struct committer *committer = work->data;
    struct rlog *log = committer->options.log;
    uint64_t epoch = committer->options.epoch;
    const struct committer_keep *keep = &committer->keep;
    struct committer_kept kept = {.more = false};
    kept.result = rlog_trim_old(log, epoch, &keep->log, &kept.more, &kept.msg);
    if (kept.result == RLOG_OK && keep->archive_before != INT64_MIN)
        kept.result = rlog_forget(log, epoch, keep->archive_before, &kept.msg);
    committer->kept = kept;
}

static void on_keep_done(uv_work_t *work, int status)
{
    struct committer *committer = work->data;
    struct committer_kept kept = committer->kept;
    (void)status;
    committer->keeping = false;
    go_on(committer);
    committer->events->on_kept(&kept, committer->data);
}

static void start_keep(struct committer *committer)
{
    committer->keep_wanted = false;
    committer->keeping = true;
    committer->keep_work.data = committer;
    (void)uv_queue_work(committer->options.loop, &committer->keep_work, on_keep, on_keep_done);
}

void committer_keep(struct committer *committer, const struct committer_keep *keep)
{
    if (committer->lost || committer->keeping || committer->keep_wanted)
        return;
    committer->keep = *keep;
    committer->keep_wanted = true;
    if (!committer->under_way)
        start_keep(committer);
}

/* ---- The gathering group ---- */

static void on_soon(uv_idle_t *idle)
{
    struct committer *committer = idle->data;
    (void)uv_idle_stop(idle);
    if (committer->gathering.number > committer->committing.number)
        close_group(committer);
}

void committer_add(struct committer *committer, struct flz_view event, int64_t at)
{
    segment_add(&committer->gathering.builder, event);
    committer->gathering.at = at;
    (void)committer_group(committer);
}

struct store_batch *committer_rider(struct committer *committer)
{
    (void)committer_group(committer);
    return committer->gathering.rider;
}

uint64_t committer_group(struct committer *committer)
{
    if (committer->gathering.number <= committer->committing.number)
        committer->gathering.number = committer->committing.number + 1;
    /* Closed when this turn of the loop is over, so that all it brought shares one sync. */
    if (!committer->under_way && !committer->keeping && !committer->lost)
        (void)uv_idle_start(committer->soon, on_soon);
    return committer->gathering.number;
}

static bool holds(const struct group *group, size_t events, size_t bytes)
{
    return group->builder.count >= events || group->builder.events.len >= bytes ||
           store_batch_bytes(group->rider) >= bytes;
}

bool committer_is_crowded(const struct committer *committer)
{
    return holds(&committer->gathering, COMMITTER_EVENTS_CROWDED, COMMITTER_BYTES_CROWDED);
}

bool committer_has_room(const struct committer *committer)
{
    return !holds(&committer->gathering, COMMITTER_EVENTS_ROOM, COMMITTER_BYTES_ROOM);
}

enum rlog_result committer_waits_for(const struct committer *committer)
{
    return committer->refusal;
}

/* ---- Life ---- */

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static int start(struct committer *committer)
{
    int r = store_batch_new(&committer->gathering.rider);
    if (r == 0)
        r = store_batch_new(&committer->committing.rider);
    if (r < 0)
        return r;
    committer->retry = calloc(1, sizeof *committer->retry);
    committer->soon = calloc(1, sizeof *committer->soon);
    if (!committer->retry || !committer->soon) {
        free(committer->retry);
        free(committer->soon);
        committer->retry = NULL;
        committer->soon = NULL;
        return flz_fail(-ENOMEM);
    }
    (void)uv_timer_init(committer->options.loop, committer->retry);
    (void)uv_idle_init(committer->options.loop, committer->soon);
    committer->retry->data = committer;
    committer->soon->data = committer;
    return 0;
}

FLZ_DEFINE_FREEP(struct committer, committer_free)

int committer_new(const struct committer_options *options, const struct committer_events *events,
                  void *data, struct committer **ret_committer)
{
    _cleanup_(committer_freep) struct committer *committer = calloc(1, sizeof *committer);
    if (!committer)
        return flz_fail(-ENOMEM);
    committer->options = *options;
    committer->events = events;
    committer->data = data;
    int r = start(committer);
    if (r < 0)
        return r;
    *ret_committer = steal_ptr(&committer);
    return 0;
}

struct committer *committer_free(struct committer *committer)
{
    if (!committer)
        return NULL;
    if (committer->retry)
        (void)uv_timer_stop(committer->retry);
    committer->keep_wanted = false;
    while (committer->keeping ||
           (committer->under_way && !committer->waiting && !committer->lost))
        (void)uv_run(committer->options.loop, UV_RUN_ONCE);
    segment_builder_deinit(&committer->gathering.builder);
    segment_builder_deinit(&committer->committing.builder);
    (void)store_batch_free(committer->gathering.rider);
    (void)store_batch_free(committer->committing.rider);
    flz_buf_deinit(&committer->bytes);
    if (committer->retry)
        uv_close((uv_handle_t *)committer->retry, free_handle);
    if (committer->soon)
        uv_close((uv_handle_t *)committer->soon, free_handle);
    free(committer);
    return NULL;
}
