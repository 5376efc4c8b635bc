#include "node/feedback.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "node/desk.h"

#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX 1024
#define REPORTS_AGE_MS (3 * FLZ_DAY_MS) /* real time; older mail is no news */

struct feedback {
    struct feedback_parts parts;
    struct endpoint endpoint;
    uv_timer_t *timer; /* owned; freed in its close callback */
    struct visitor *visitor;
    struct visit_mark marks[VISIT_PLACES];
};

/* The file's first line. */
static int on_secret(struct visitor *visitor, struct flz_secret *ret_secret, void *userdata)
{
    struct feedback *feedback = userdata;
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = fsutil_read_credential(feedback->parts.config->feedback_password_file, PASSWORD_MAX,
                                   ret_secret, &msg);
    if (r < 0) {
        flz_log_failure(feedback->parts.log, "feedback_password", r, &msg);
        return r;
    }
    struct flz_view bytes = flz_secret_view(ret_secret);
    size_t len = 0;
    while (len < bytes.len && bytes.data[len] != '\n' && bytes.data[len] != '\r')
        len++;
    flz_secret_truncate(ret_secret, len);
    return 0;
}

/* Nothing is acted on here. */
static bool on_verify(struct visitor *visitor, size_t job, const struct header *header,
                      void *userdata)
{
    return false;
}

static void on_report(struct visitor *visitor, bool whole, struct flz_view bytes, void *userdata)
{
    struct feedback *feedback = userdata;
    if (whole)
        desk_take_report(feedback->parts.worker, NULL, bytes);
}

static void on_outcome(struct visitor *visitor, const struct visit_outcome *outcome, void *userdata)
{
    struct feedback *feedback = userdata;
    if (outcome->reason != VISIT_REASON_SESSION)
        memcpy(feedback->marks, outcome->marks, sizeof feedback->marks);
}

static void on_end(struct visitor *visitor, enum visit_end end, enum conn_end conn,
                   const char *text, void *userdata)
{
    struct feedback *feedback = userdata;
    feedback->visitor = visitor_free(visitor);
    if (end != VISIT_END_DONE)
        flz_log(feedback->parts.log, FLZ_LOG_WARNING, "feedback_failed", "end=%d conn=%s text=%s",
                (int)end, conn_end_str(conn), text);
}

static const struct visitor_events visitor_events = {
    .on_secret = on_secret,
    .on_verify = on_verify,
    .on_report = on_report,
    .on_outcome = on_outcome,
    .on_end = on_end,
};

static void on_timer(uv_timer_t *timer)
{
    struct feedback *feedback = timer->data;
    const struct config *config = feedback->parts.config;
    struct worker *worker = feedback->parts.worker;
    /* What is read is to be told at once: not without a lease. */
    if (feedback->visitor || !worker_has_authority(worker, worker_clock(worker)))
        return;
    struct visit_job job = {.kind = VISIT_REPORTS,
                            .search_all = true,
                            .look.arrived_after_ms = flz_realtime_ms() - REPORTS_AGE_MS};
    memcpy(job.marks, feedback->marks, sizeof job.marks);
    struct visitor_options options = {
        .endpoint = feedback->endpoint,
        .user = config->feedback_user,
        .connect_timeout_ms = config->connect_timeout_ms,
        .version = FLZ_VERSION,
    };
    int r = visitor_new(feedback->parts.pool, feedback->parts.loop, &options, &job, 1,
                        &visitor_events, feedback, &feedback->visitor);
    if (r < 0)
        flz_log_failure(feedback->parts.log, "feedback_failed", r, NULL);
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

FLZ_DEFINE_FREEP(struct feedback, feedback_free)

int feedback_open(const struct feedback_parts *parts, struct feedback **ret_feedback,
                  struct flz_msg *msg)
{
    if (!parts->config->feedback_imap[0]) {
        *ret_feedback = NULL;
        return 0;
    }
    _cleanup_(feedback_freep) struct feedback *feedback = calloc(1, sizeof *feedback);
    uv_timer_t *timer = calloc(1, sizeof *timer);
    if (!feedback || !timer) {
        free(timer);
        return flz_fail(-ENOMEM);
    }
    (void)uv_timer_init(parts->loop, timer);
    timer->data = feedback;
    feedback->timer = timer;
    feedback->parts = *parts;
    int r = endpoint_parse(parts->config->feedback_imap, &feedback->endpoint, msg);
    if (r < 0)
        return r;
    uint64_t every = (uint64_t)parts->config->feedback_every_ms;
    (void)uv_timer_start(timer, on_timer, every < 1000 ? every : 1000, every);
    *ret_feedback = steal_ptr(&feedback);
    return 0;
}

struct feedback *feedback_free(struct feedback *feedback)
{
    if (!feedback)
        return NULL;
    (void)visitor_free(feedback->visitor);
    if (feedback->timer)
        uv_close((uv_handle_t *)feedback->timer, free_timer);
    free(feedback);
    return NULL;
}
