/*
 * A loop, a folder and a journal for tests of what the node keeps.
 */
#pragma once

#include "node/journal.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct nfx {
    uv_loop_t loop;
    char dir[64];
    struct journal *journal;
};

static inline void nfx_open(struct nfx *fx)
{
    char path[96];
    struct flz_msg msg = FLZ_MSG_NULL;
    (void)snprintf(path, sizeof path, "%s/journal", fx->dir);
    if (journal_open(&fx->loop, path, &fx->journal, &msg) < 0)
        fail_msg("%s", msg.text);
}

static inline void nfx_close(struct nfx *fx)
{
    fx->journal = journal_close(fx->journal);
}

static inline int nfx_setup(void **state)
{
    struct nfx *fx = calloc(1, sizeof *fx);
    if (!fx || uv_loop_init(&fx->loop) < 0)
        return -1;
    (void)snprintf(fx->dir, sizeof fx->dir, "/tmp/fluenzr-journal-XXXXXX");
    if (!mkdtemp(fx->dir))
        return -1;
    nfx_open(fx);
    *state = fx;
    return 0;
}

static inline int nfx_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    (void)remove(path);
    return 0;
}

static inline int nfx_teardown(void **state)
{
    struct nfx *fx = *state;
    nfx_close(fx);
    (void)uv_run(&fx->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&fx->loop);
    (void)nftw(fx->dir, nfx_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(fx);
    return 0;
}

/* Counts answers; the newest code. */
struct nfx_answer {
    unsigned count;
    int r;
};

static inline void nfx_on_durable(int r, void *data)
{
    struct nfx_answer *answer = data;
    answer->count++;
    answer->r = r;
}

/* Runs the loop until what was gathered is on the disk. */
static inline void nfx_sync(struct nfx *fx)
{
    struct nfx_answer answer = {.count = 0};
    journal_sync(fx->journal, nfx_on_durable, &answer);
    while (answer.count == 0)
        (void)uv_run(&fx->loop, UV_RUN_ONCE);
    assert_int_equal(answer.r, 0);
}
