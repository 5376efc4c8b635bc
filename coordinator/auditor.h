/*
 * The auditor: runs audits on the pool thread, one at a time, while the loop goes on.
 */
#pragma once

#include "coordinator/audit.h"

struct uv_loop_s;
struct auditor;

typedef void (*auditor_on_done)(const struct audit_result *result, void *data);

/* `log` is borrowed, and read from the pool thread. 0 or -ENOMEM. */
int auditor_open(struct uv_loop_s *loop, struct rlog *log, struct auditor **ret_auditor);
/* Ends the audit under way, which is told so. */
struct auditor *auditor_close(struct auditor *auditor);

/* on_done is called once, later; the result ends with the call. 0 or -EBUSY. */
int auditor_start(struct auditor *auditor, const struct audit_request *request,
                  auditor_on_done on_done, void *data);
