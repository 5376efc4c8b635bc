/*
 * An audit: one walk through log and archive, which verifies them or finds and proves an event. It
 * may take minutes; the server runs it aside.
 */
#pragma once

#include "coordinator/rlog/prove.h"

enum audit_kind {
    AUDIT_VERIFY, /* all that is kept */
    AUDIT_EVENT,  /* proves event number `event` */
    AUDIT_TASK,   /* proves the newest RECEIPT of `task` */
};

struct audit_request {
    enum audit_kind kind;
    uint64_t event;
    struct flz_id task;
};

enum audit_outcome {
    AUDIT_DONE,    /* verified: bounds; proved: proof */
    AUDIT_DAMAGED, /* msg names the first bad segment */
    AUDIT_ABSENT,  /* nothing of this kind is kept */
    AUDIT_OLD,     /* written before headers carried the chain */
    AUDIT_LARGE,   /* larger than a proof can be */
    AUDIT_FAILED,  /* msg: stopped, or the disk does not read */
};

struct audit_result {
    enum audit_outcome outcome;
    struct flz_msg msg;
    struct rlog_bounds bounds; /* as they were found to be good */
    struct proof proof;        /* owned */
};

#define AUDIT_RESULT_NULL ((struct audit_result){.outcome = AUDIT_FAILED})

/* Blocks; any thread. Ends soon when *stop becomes true. */
void audit_run(struct rlog *log, const struct audit_request *request, const atomic_bool *stop,
               struct audit_result *ret_result);
void audit_result_deinit(struct audit_result *result);
