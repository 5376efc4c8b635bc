/* libuv, as far as the programs use it: timers, idle handles, work, closing, and its loop. */
#include "tests/sim/world/world.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HANDLES_MAX 512
/* The programs' longest tick, and how much later a calm world wakes them. */
#define IDLE_TICK_MS 1000
#define IDLE_TICK_LATE_MS 9000
#define WORK_MS_MIN 1
#define WORK_MS_MAX 12

struct news {
    world_fn run;
    void *data;
    struct news *next;
};

struct loop {
    uv_timer_t *timers[HANDLES_MAX]; /* active ones */
    size_t timers_count;
    uv_idle_t *idles[HANDLES_MAX]; /* active ones */
    size_t idles_count;
    uv_handle_t *closing[HANDLES_MAX];
    size_t closing_count;
    size_t open;    /* handles initialised and not closed */
    size_t working; /* requests whose callback is still to come */
    struct news *first;
    struct news **last;
    uint64_t order;
    bool stop;
};

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    WORLD_MUST(loop, "memory");
    loop->last = &loop->first;
    return loop;
}

bool loop_has_news(const struct loop *loop)
{
    return loop->first != NULL;
}

void loop_push(struct loop *loop, world_fn run, void *data)
{
    struct news *news = malloc(sizeof *news);
    WORLD_MUST(news, "memory");
    *news = (struct news){.run = run, .data = data};
    *loop->last = news;
    loop->last = &news->next;
}

static struct loop *own(void)
{
    WORLD_MUST(world.current, "libuv outside of a process");
    return world.current->loop;
}

/* ---- Handles ---- */

static void remove_pointer(void *array, size_t *count, const void *pointer)
{
    void **all = array;
    for (size_t i = 0; i < *count; i++) {
        if (all[i] != pointer)
            continue;
        memmove(&all[i], &all[i + 1], (*count - i - 1) * sizeof *all);
        (*count)--;
        return;
    }
}

static void add_pointer(void *array, size_t *count, void *pointer)
{
    WORLD_MUST(*count < HANDLES_MAX, "too many handles");
    ((void **)array)[(*count)++] = pointer;
}

int uv_loop_init(uv_loop_t *loop)
{
    memset(loop, 0, sizeof *loop);
    return 0;
}

int uv_loop_close(uv_loop_t *loop)
{
    (void)loop;
    return 0;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *handle)
{
    void *data = handle->data;
    memset(handle, 0, sizeof *handle);
    handle->data = data;
    handle->loop = loop;
    handle->type = UV_TIMER;
    own()->open++;
    return 0;
}

int uv_timer_stop(uv_timer_t *handle)
{
    struct loop *loop = own();
    remove_pointer(loop->timers, &loop->timers_count, handle);
    return 0;
}

int uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    struct loop *loop = own();
    remove_pointer(loop->timers, &loop->timers_count, handle);
    handle->timer_cb = cb;
    handle->timeout = (uint64_t)world.now + timeout;
    handle->repeat = repeat;
    handle->start_id = timeout;
    add_pointer(loop->timers, &loop->timers_count, handle);
    return 0;
}

int uv_idle_init(uv_loop_t *loop, uv_idle_t *handle)
{
    void *data = handle->data;
    memset(handle, 0, sizeof *handle);
    handle->data = data;
    handle->loop = loop;
    handle->type = UV_IDLE;
    own()->open++;
    return 0;
}

int uv_idle_stop(uv_idle_t *handle)
{
    struct loop *loop = own();
    remove_pointer(loop->idles, &loop->idles_count, handle);
    return 0;
}

int uv_idle_start(uv_idle_t *handle, uv_idle_cb cb)
{
    struct loop *loop = own();
    remove_pointer(loop->idles, &loop->idles_count, handle);
    handle->idle_cb = cb;
    add_pointer(loop->idles, &loop->idles_count, handle);
    return 0;
}

int uv_signal_init(uv_loop_t *loop, uv_signal_t *handle)
{
    memset(handle, 0, sizeof *handle);
    handle->loop = loop;
    handle->type = UV_SIGNAL;
    own()->open++;
    return 0;
}

int uv_signal_start(uv_signal_t *handle, uv_signal_cb cb, int signum)
{
    (void)handle, (void)cb, (void)signum;
    return 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb cb)
{
    struct loop *loop = own();
    remove_pointer(loop->timers, &loop->timers_count, handle);
    remove_pointer(loop->idles, &loop->idles_count, handle);
    handle->close_cb = cb;
    add_pointer(loop->closing, &loop->closing_count, handle);
}

/* ---- Work: on another thread in the real world, later in this one ---- */

struct labour {
    uv_work_t *work;
    uv_work_cb run;
    uv_after_work_cb done;
};

static void on_labour_done(void *data)
{
    struct labour *labour = data;
    own()->working--;
    labour->done(labour->work, 0);
    free(labour);
}

static void on_labour(void *data)
{
    struct labour *labour = data;
    world_step("before a piece of work");
    labour->run(labour->work);
    world_step("after a piece of work");
    world_post(world.current, world.now + (world_chance(100) ? world_between(1, 30) : 0),
               on_labour_done, labour);
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done)
{
    (void)loop;
    struct labour *labour = malloc(sizeof *labour);
    WORLD_MUST(labour, "memory");
    *labour = (struct labour){.work = work, .run = run, .done = done};
    own()->working++;
    /* A slow disk, now and then for seconds. */
    int64_t ms = world_between(WORK_MS_MIN, WORK_MS_MAX);
    if (world_mishap(world.slow_ppm))
        ms = world_between(200, 20000);
    world_post(world.current, world.now + ms, on_labour, labour);
    return 0;
}

int uv_cancel(uv_req_t *req)
{
    (void)req;
    return UV_EBUSY;
}

uint64_t uv_hrtime(void)
{
    return (uint64_t)world.now * 1000000u;
}

void uv_update_time(uv_loop_t *loop)
{
    (void)loop;
}

/* ---- The loop ---- */

void uv_stop(uv_loop_t *uv)
{
    (void)uv;
    own()->stop = true;
}

static uv_timer_t *due_timer(const struct loop *loop)
{
    uv_timer_t *due = NULL;
    for (size_t i = 0; i < loop->timers_count; i++)
        if (loop->timers[i]->timeout <= (uint64_t)world.now &&
            (!due || loop->timers[i]->timeout < due->timeout))
            due = loop->timers[i];
    return due;
}

static bool run_timers(struct loop *loop)
{
    bool ran = false;
    uv_timer_t *timer;
    for (size_t n = loop->timers_count; n > 0 && (timer = due_timer(loop)) && !loop->stop; n--) {
        remove_pointer(loop->timers, &loop->timers_count, timer);
        if (timer->repeat > 0)
            (void)uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat);
        timer->timer_cb(timer);
        ran = true;
    }
    return ran;
}

static bool run_idles(struct loop *loop)
{
    uv_idle_t *idles[HANDLES_MAX];
    size_t n = loop->idles_count;
    memcpy(idles, loop->idles, n * sizeof *idles);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < loop->idles_count; j++)
            if (loop->idles[j] == idles[i]) {
                idles[i]->idle_cb(idles[i]);
                break;
            }
    return n > 0;
}

static bool run_news(struct loop *loop)
{
    struct news *news = loop->first;
    if (!news)
        return false;
    loop->first = news->next;
    if (!loop->first)
        loop->last = &loop->first;
    world_fn run = news->run;
    void *data = news->data;
    free(news);
    run(data);
    return true;
}

void loop_drain(int64_t until)
{
    if (!loop_has_news(own()))
        world_sleep(until);
    while (run_news(own()))
        ;
}

static bool run_closing(struct loop *loop)
{
    bool ran = loop->closing_count > 0;
    while (loop->closing_count > 0) {
        uv_handle_t *handle = loop->closing[0];
        remove_pointer(loop->closing, &loop->closing_count, handle);
        loop->open--;
        if (handle->close_cb)
            handle->close_cb(handle);
    }
    return ran;
}

/* When the loop has to go on by itself. Nobody is served by a tick each second of a calm night, so
 * such a one may come late, as on a busy machine. */
static int64_t next_wake(const struct loop *loop)
{
    int64_t next = loop->idles_count > 0 || loop->closing_count > 0 ? world.now : FLZ_NEVER;
    for (size_t i = 0; i < loop->timers_count; i++) {
        const uv_timer_t *timer = loop->timers[i];
        int64_t at = (int64_t)timer->timeout;
        if (timer->start_id == IDLE_TICK_MS)
            at += IDLE_TICK_LATE_MS;
        next = at < next ? at : next;
    }
    return next;
}

int uv_run(uv_loop_t *uv, uv_run_mode mode)
{
    (void)uv;
    struct loop *loop = own();
    for (;;) {
        bool ran = run_timers(loop);
        ran = run_idles(loop) || ran;
        ran = run_news(loop) || ran;
        ran = run_closing(loop) || ran;
        if (loop->stop) {
            loop->stop = false;
            return loop->open > 0;
        }
        if (loop->open == 0 && loop->working == 0 && !loop->first)
            return 0;
        if (mode == UV_RUN_NOWAIT || (mode == UV_RUN_ONCE && ran))
            return 1;
        if (!loop->first)
            world_sleep(next_wake(loop));
        else if (world.current->frozen_until > world.now)
            world_sleep(world.current->frozen_until);
    }
}
