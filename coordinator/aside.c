#include "coordinator/aside.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

struct aside {
    uv_loop_t *loop;
    uv_work_t request;
    struct aside_work work;
    atomic_bool stop;
    bool busy;
};

/* Pool thread. */
static void on_work(uv_work_t *request)
{
    struct aside *aside = request->data;
    aside->work.run(aside->work.data, &aside->stop);
}

static void on_work_done(uv_work_t *request, int status)
{
    struct aside *aside = request->data;
    (void)status;
    aside->busy = false;
    aside->work.on_done(aside->work.data);
}

int aside_start(struct aside *aside, const struct aside_work *work)
{
    if (aside->busy)
        return flz_fail(-EBUSY);
    aside->work = *work;
    aside->busy = true;
    aside->request.data = aside;
    (void)uv_queue_work(aside->loop, &aside->request, on_work, on_work_done);
    return 0;
}

int aside_open(struct uv_loop_s *loop, struct aside **ret_aside)
{
    struct aside *aside = calloc(1, sizeof *aside);
    if (!aside)
        return flz_fail(-ENOMEM);
    aside->loop = loop;
    *ret_aside = aside;
    return 0;
}

struct aside *aside_close(struct aside *aside)
{
    if (!aside)
        return NULL;
    atomic_store(&aside->stop, true);
    while (aside->busy)
        (void)uv_run(aside->loop, UV_RUN_ONCE);
    free(aside);
    return NULL;
}
