#include "coordinator/auditor.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct auditor {
    uv_loop_t *loop;
    struct rlog *log;
    uv_work_t work;
    struct audit_request request;
    struct audit_result result;
    auditor_on_done on_done;
    void *data;
    atomic_bool stop;
    bool busy;
};

/* Pool thread. */
static void on_work(uv_work_t *work)
{
    struct auditor *auditor = work->data;
    audit_run(auditor->log, &auditor->request, &auditor->stop, &auditor->result);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct auditor *auditor = work->data;
    (void)status;
    auditor->busy = false;
    auditor->on_done(&auditor->result, auditor->data);
    audit_result_deinit(&auditor->result);
}

int auditor_start(struct auditor *auditor, const struct audit_request *request,
                  auditor_on_done on_done, void *data)
{
    if (auditor->busy)
        return flz_fail(-EBUSY);
    auditor->request = *request;
    auditor->result = AUDIT_RESULT_NULL;
    auditor->on_done = on_done;
    auditor->data = data;
    auditor->busy = true;
    auditor->work.data = auditor;
    (void)uv_queue_work(auditor->loop, &auditor->work, on_work, on_work_done);
    return 0;
}

int auditor_open(struct uv_loop_s *loop, struct rlog *log, struct auditor **ret_auditor)
{
    struct auditor *auditor = calloc(1, sizeof *auditor);
    if (!auditor)
        return flz_fail(-ENOMEM);
    auditor->loop = loop;
    auditor->log = log;
    *ret_auditor = auditor;
    return 0;
}

struct auditor *auditor_close(struct auditor *auditor)
{
    if (!auditor)
        return NULL;
    atomic_store(&auditor->stop, true);
    while (auditor->busy)
        (void)uv_run(auditor->loop, UV_RUN_ONCE);
    free(auditor);
    return NULL;
}
