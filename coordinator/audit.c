#include "coordinator/audit.h"

#include "common/base/cleanup.h"
#include "proto/codec.h"
#include "proto/record.h"

#include <errno.h>
#include <string.h>

/* ---- The receipt of a task ---- */

struct search {
    const struct flz_id *task;
    const atomic_bool *stop;
    uint64_t next;  /* number of the event that comes */
    uint64_t found; /* 0: none yet */
};

static int on_event(struct flz_view bytes, void *data)
{
    struct search *search = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event event;
    uint64_t number = search->next++;
    if (!memmem(bytes.data, bytes.len, search->task->b, sizeof search->task->b))
        return 0;
    int r = flz_decode_event(bytes, &arena, &event);
    if (r == 0 && event.type == EVENT_RECEIPT &&
        flz_id_equal(event.receipt.receipt.task, *search->task))
        search->found = number;
    return r;
}

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct search *search = data;
    if (atomic_load(search->stop))
        return 1;
    if (!memmem(bytes.data, bytes.len, search->task->b, sizeof search->task->b))
        return 0;
    search->next = segment->first_event;
    return segment_each(bytes, on_event, search);
}

static enum audit_outcome outcome_of(enum rlog_result result)
{
    switch (result) {
    case RLOG_OK: return AUDIT_DONE;
    case RLOG_CORRUPT: return AUDIT_DAMAGED;
    case RLOG_FENCED:
    case RLOG_CONFLICT:
    case RLOG_UNKNOWN:
    case RLOG_UNAVAILABLE:
    case RLOG_FULL: break;
    }
    return AUDIT_FAILED;
}

/* ---- Running ---- */

static void prove(struct rlog *log, uint64_t event, const atomic_bool *stop,
                  struct audit_result *result)
{
    struct proving proving = {.event = event, .stop = stop};
    switch (prove_event(log, &proving, &result->proof, &result->msg)) {
    case 0: result->outcome = AUDIT_DONE; break;
    case PROVE_E_ABSENT: result->outcome = AUDIT_ABSENT; break;
    case PROVE_E_OLD: result->outcome = AUDIT_OLD; break;
    case PROVE_E_LARGE: result->outcome = AUDIT_LARGE; break;
    case -EUCLEAN: result->outcome = AUDIT_DAMAGED; break;
    default: result->outcome = AUDIT_FAILED; break;
    }
}

static void prove_task(struct rlog *log, const struct audit_request *request,
                       const atomic_bool *stop, struct audit_result *result)
{
    struct search search = {.task = &request->task, .stop = stop};
    result->outcome = outcome_of(rlog_each(log, 0, on_segment, &search, &result->msg));
    if (result->outcome != AUDIT_DONE)
        return;
    if (atomic_load(stop))
        result->outcome = AUDIT_FAILED;
    else if (search.found == 0)
        result->outcome = AUDIT_ABSENT;
    else
        prove(log, search.found, stop, result);
}

void audit_run(struct rlog *log, const struct audit_request *request, const atomic_bool *stop,
               struct audit_result *ret_result)
{
    struct audit_result result = AUDIT_RESULT_NULL;
    switch (request->kind) {
    case AUDIT_VERIFY:
        result.outcome = outcome_of(rlog_verify_until(log, stop, &result.bounds, &result.msg));
        break;
    case AUDIT_EVENT: prove(log, request->event, stop, &result); break;
    case AUDIT_TASK: prove_task(log, request, stop, &result); break;
    }
    if (result.outcome == AUDIT_FAILED && atomic_load(stop))
        flz_msg_set(&result.msg, "the coordinator is stopping");
    *ret_result = result;
}

void audit_result_deinit(struct audit_result *result)
{
    proof_deinit(&result->proof);
}
