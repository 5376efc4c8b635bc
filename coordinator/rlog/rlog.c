#include "coordinator/rlog/rlog.h"

#include "common/base/hash.h"

#include <errno.h>

const char *rlog_result_str(enum rlog_result result)
{
    switch (result) {
    case RLOG_OK: return "ok";
    case RLOG_FENCED: return "fenced";
    case RLOG_CONFLICT: return "conflict";
    case RLOG_UNKNOWN: return "unknown";
    case RLOG_UNAVAILABLE: return "unavailable";
    case RLOG_FULL: return "full";
    case RLOG_CORRUPT: return "corrupt";
    }
    return "?";
}

struct walk {
    struct rlog_bounds bounds;
    struct segment before;
    bool any;
    bool failed;
    struct flz_msg *msg;
};

static bool begins(const struct segment *segment)
{
    struct flz_digest none = {.b = {0}};
    return segment->first_event == 1 && flz_digest_equal(segment->previous, none);
}

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct walk *walk = data;
    (void)bytes;
    const char *why = NULL;
    if (!walk->any && segment->seq != walk->bounds.first)
        why = "comes where the oldest should be";
    else if (!walk->any && segment->seq == 1 && !begins(segment))
        why = "does not begin the log";
    else if (walk->any && segment->seq != walk->before.seq + 1)
        why = "does not follow the one before it";
    else if (walk->any && !flz_digest_equal(segment->previous, walk->before.digest))
        why = "is not chained to the one before it";
    else if (walk->any && segment->first_event != walk->before.first_event + walk->before.count)
        why = "skips or repeats events";
    else if (walk->any && segment->epoch < walk->before.epoch)
        why = "has a lower epoch than the one before it";
    if (why) {
        flz_msg_set(walk->msg, "segment %llu %s", (unsigned long long)segment->seq, why);
        walk->failed = true;
        return flz_fail(-EUCLEAN);
    }
    walk->before = *segment;
    walk->any = true;
    return segment->seq == walk->bounds.last; /* what is appended meanwhile is not looked at */
}

static enum rlog_result walk_once(struct rlog *log, uint64_t *ret_first, struct flz_msg *msg)
{
    struct walk walk = {.msg = msg};
    const struct rlog_bounds *bounds = &walk.bounds;
    enum rlog_result result = rlog_bounds(log, &walk.bounds);
    *ret_first = bounds->first;
    if (result != RLOG_OK || bounds->last == 0)
        return result;
    result = rlog_read(log, bounds->first, on_segment, &walk, msg);
    if (result != RLOG_OK || walk.failed)
        return walk.failed ? RLOG_CORRUPT : result;
    if (walk.before.seq != bounds->last) {
        flz_msg_set(msg, "the log ends at segment %llu, not at %llu",
                    (unsigned long long)walk.before.seq, (unsigned long long)bounds->last);
        return RLOG_CORRUPT;
    }
    if (!flz_digest_equal(walk.before.digest, bounds->head)) {
        flz_msg_set(msg, "segment %llu is not the one that was appended",
                    (unsigned long long)bounds->last);
        return RLOG_CORRUPT;
    }
    return RLOG_OK;
}

enum rlog_result rlog_verify(struct rlog *log, struct flz_msg *msg)
{
    for (;;) {
        struct rlog_bounds now;
        uint64_t first;
        enum rlog_result result = walk_once(log, &first, msg);
        /* What is trimmed meanwhile is not missing. */
        if (result != RLOG_CORRUPT || rlog_bounds(log, &now) != RLOG_OK || now.first == first)
            return result;
    }
}
