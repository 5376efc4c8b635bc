/*
 * Work aside: what takes long and may block (walking the log, copying the store) runs on the pool
 * thread, one piece at a time, while the loop goes on.
 */
#pragma once

#include <stdatomic.h>

struct uv_loop_s;
struct aside;

struct aside_work {
    /* On the pool thread; ends soon when *stop becomes true. */
    void (*run)(void *data, const atomic_bool *stop);
    /* On the loop's, once, afterwards. */
    void (*on_done)(void *data);
    void *data;
};

/* 0 or -ENOMEM. */
int aside_open(struct uv_loop_s *loop, struct aside **ret_aside);
/* Stops what is under way, which is told by on_done. */
struct aside *aside_close(struct aside *aside);

/* 0; -EBUSY: something is under way. */
int aside_start(struct aside *aside, const struct aside_work *work);
