/*
 * The node's feedback mailbox: one of the operator's own, to which providers' feedback loops, and
 * whoever else reports, write about the messages of this node's accounts. All of it is read, by
 * PEEK and EXAMINE, and nothing in it is changed; what is heeded is decided as for reports in an
 * account's mailbox (desk_report.c).
 */
#pragma once

#include "common/base/error.h"
#include "node/config.h"
#include "node/worker.h"

struct feedback;

/* Everything is borrowed while it lives. */
struct feedback_parts {
    struct uv_loop_s *loop;
    struct flz_log *log;
    struct conn_pool *pool;
    struct worker *worker;
    const struct config *config;
};

/* Begins to look there. 0, with NULL when the configuration names none; or negative (msg). */
int feedback_open(const struct feedback_parts *parts, struct feedback **ret_feedback,
                  struct flz_msg *msg);
/* Before worker_free(). */
struct feedback *feedback_free(struct feedback *feedback);
