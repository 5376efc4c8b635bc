#include "coordinator/backlog.h"

#include "common/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

static void release(struct backlog *backlog, struct backlog_frame *frame)
{
    backlog->bytes -= frame->payload.len;
    flz_buf_deinit(&frame->payload);
}

void backlog_deinit(struct backlog *backlog)
{
    for (size_t i = backlog->head; i < backlog->count; i++)
        release(backlog, &backlog->frames[i]);
    free(backlog->frames);
    *backlog = (struct backlog){.bytes_max = backlog->bytes_max};
}

static size_t frames_of(const struct backlog *backlog, uint32_t node)
{
    size_t n = 0;
    for (size_t i = backlog->head; i < backlog->count; i++)
        n += backlog->frames[i].node == node;
    return n;
}

/* Moves what is left to the beginning once as much was taken. */
static void compact(struct backlog *backlog)
{
    if (backlog->head == 0 || backlog->head * 2 < backlog->count)
        return;
    backlog->count -= backlog->head;
    memmove(backlog->frames, backlog->frames + backlog->head,
            backlog->count * sizeof *backlog->frames);
    backlog->head = 0;
}

int backlog_add(struct backlog *backlog, uint32_t node, struct flz_view payload, size_t next)
{
    size_t max = backlog->bytes_max ? backlog->bytes_max : BACKLOG_BYTES_MAX;
    if (frames_of(backlog, node) >= BACKLOG_NODE_MAX)
        return BACKLOG_E_NODE;
    if (payload.len > max - backlog->bytes)
        return BACKLOG_E_FULL;
    compact(backlog);
    int r = flz_grow((void **)&backlog->frames, &backlog->capacity, backlog->count + 1,
                     sizeof *backlog->frames);
    if (r < 0)
        return r;
    struct backlog_frame frame = {.node = node, .payload = FLZ_BUF_NULL, .next = next};
    flz_buf_add_view(&frame.payload, payload);
    r = flz_buf_error(&frame.payload);
    if (r < 0) {
        flz_buf_deinit(&frame.payload);
        return r;
    }
    backlog->frames[backlog->count++] = frame;
    backlog->bytes += frame.payload.len;
    return 0;
}

struct backlog_frame *backlog_first(struct backlog *backlog)
{
    return backlog_is_empty(backlog) ? NULL : &backlog->frames[backlog->head];
}

void backlog_drop_first(struct backlog *backlog)
{
    if (backlog_is_empty(backlog))
        return;
    release(backlog, &backlog->frames[backlog->head++]);
    compact(backlog);
}

void backlog_forget(struct backlog *backlog, uint32_t node)
{
    size_t kept = backlog->head;
    for (size_t i = backlog->head; i < backlog->count; i++) {
        if (backlog->frames[i].node == node)
            release(backlog, &backlog->frames[i]);
        else
            backlog->frames[kept++] = backlog->frames[i];
    }
    backlog->count = kept;
}

bool backlog_is_empty(const struct backlog *backlog)
{
    return backlog->head == backlog->count;
}

bool backlog_has(const struct backlog *backlog, uint32_t node)
{
    return frames_of(backlog, node) > 0;
}
