/*
 * The backlog: report frames that nodes have sent and that cannot be taken yet, because nothing is
 * decided while the disk is full or slow. They are kept as they came, in the order they came,
 * within bounds; what is not kept its node sends again after its next HELLO.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKLOG_NODE_MAX 4          /* frames of one node: as many as it may leave unacknowledged */
#define BACKLOG_BYTES_MAX (64u << 20) /* of all nodes */

enum {
    BACKLOG_E_NODE = 1, /* this node has BACKLOG_NODE_MAX frames here already */
    BACKLOG_E_FULL,     /* BACKLOG_BYTES_MAX would be passed */
};

struct backlog_frame {
    uint32_t node;
    struct flz_buf payload; /* REPORTS, believed */
    size_t next;            /* of its reports: those before it are taken */
};

/* All zero is empty. */
struct backlog {
    struct backlog_frame *frames; /* owned: a queue */
    size_t head;
    size_t count; /* its end */
    size_t capacity;
    size_t bytes;
    size_t bytes_max; /* 0: BACKLOG_BYTES_MAX */
};

void backlog_deinit(struct backlog *backlog);

/* Keeps a copy of the frame behind all others. 0, BACKLOG_E_NODE, BACKLOG_E_FULL, -ENOMEM. */
int backlog_add(struct backlog *backlog, uint32_t node, struct flz_view payload, size_t next);

/* The oldest frame, until the next call; NULL: there is none. */
struct backlog_frame *backlog_first(struct backlog *backlog);
void backlog_drop_first(struct backlog *backlog);

/* Drops what a node has here: it begins anew. */
void backlog_forget(struct backlog *backlog, uint32_t node);

bool backlog_is_empty(const struct backlog *backlog);
bool backlog_has(const struct backlog *backlog, uint32_t node);
