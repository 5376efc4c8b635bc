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
    struct segment before;
    bool any;
    struct flz_msg *msg;
};

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct walk *walk = data;
    (void)bytes;
    const char *why = NULL;
    if (walk->any && segment->seq != walk->before.seq + 1)
        why = "does not follow the one before it";
    else if (walk->any && !flz_digest_equal(segment->previous, walk->before.digest))
        why = "is not chained to the one before it";
    else if (walk->any && segment->first_event != walk->before.first_event + walk->before.count)
        why = "skips or repeats events";
    else if (walk->any && segment->epoch < walk->before.epoch)
        why = "has a lower epoch than the one before it";
    if (why) {
        flz_msg_set(walk->msg, "segment %llu %s", (unsigned long long)segment->seq, why);
        return flz_fail(-EUCLEAN);
    }
    walk->before = *segment;
    walk->any = true;
    return 0;
}

enum rlog_result rlog_verify(struct rlog *log, struct flz_msg *msg)
{
    struct walk walk = {.msg = msg};
    struct rlog_bounds bounds;
    enum rlog_result result = rlog_bounds(log, &bounds);
    if (result == RLOG_OK && bounds.last > 0)
        result = rlog_read(log, bounds.first, on_segment, &walk, msg);
    if (result == RLOG_OK && bounds.last > 0 && walk.before.seq != bounds.last) {
        flz_msg_set(msg, "the log ends at segment %llu, not at %llu",
                    (unsigned long long)walk.before.seq, (unsigned long long)bounds.last);
        result = RLOG_CORRUPT;
    }
    return result;
}
