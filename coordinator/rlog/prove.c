#include "coordinator/rlog/prove.h"

#include "common/base/cleanup.h"

#include <errno.h>

struct making {
    const struct proving *proving;
    struct proof proof;
    uint32_t index; /* of the event that comes, in its segment */
    int r;
};

static int on_event(struct flz_view event, void *data)
{
    struct making *making = data;
    if (making->index++ != making->proof.path.index)
        return 0;
    if (event.len > PROOF_EVENT_MAX)
        return PROVE_E_LARGE;
    flz_buf_add_view(&making->proof.bytes, event);
    return flz_buf_error(&making->proof.bytes);
}

/* The segment that holds the event. */
static int begin(struct making *making, const struct segment *segment, struct flz_view bytes)
{
    uint32_t index = (uint32_t)(making->proving->event - segment->first_event);
    if (segment_header(bytes).len == 0)
        return PROVE_E_OLD;
    int r = segment_prove(bytes, index, &making->proof.path);
    if (r == 0)
        r = segment_each(bytes, on_event, making);
    making->proof.event = making->proving->event;
    return r;
}

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct making *making = data;
    struct flz_buf *headers = &making->proof.headers;
    if (making->proving->stop && atomic_load(making->proving->stop)) {
        making->r = flz_fail(-ECANCELED);
        return 1;
    }
    if (segment->first_event + segment->count <= making->proving->event && headers->len == 0)
        return 0;
    if (headers->len == 0)
        making->r = begin(making, segment, bytes);
    if (making->r == 0) {
        flz_buf_add_view(headers, segment_header(bytes));
        making->r = flz_buf_error(headers);
    }
    return making->r != 0 || proof_headers_count(&making->proof) == PROOF_HEADERS_MAX;
}

static int fail_read(enum rlog_result result)
{
    return flz_fail(result == RLOG_CORRUPT ? -EUCLEAN : -EIO);
}

int prove_event(struct rlog *log, const struct proving *proving, struct proof *ret_proof,
                struct flz_msg *msg)
{
    struct making making = {.proving = proving};
    uint64_t from;
    enum rlog_result result = rlog_find_event(log, proving->event, &from, msg);
    if (result != RLOG_OK)
        return fail_read(result);
    if (from == 0)
        return PROVE_E_ABSENT;
    result = rlog_each(log, from, on_segment, &making, msg);
    if (result != RLOG_OK && making.r == 0)
        making.r = fail_read(result);
    if (making.r == 0 && making.proof.headers.len == 0)
        making.r = PROVE_E_ABSENT;
    if (making.r != 0) {
        proof_deinit(&making.proof);
        return making.r;
    }
    *ret_proof = making.proof;
    return 0;
}
