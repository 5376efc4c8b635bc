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

/* ---- Marks ---- */

struct rlog_mark rlog_mark_of(const struct segment *segment)
{
    return (struct rlog_mark){.seq = segment->seq,
                              .last_event = segment->first_event + segment->count - 1,
                              .epoch = segment->epoch,
                              .digest = segment->digest};
}

const char *rlog_mark_refuses(const struct rlog_mark *before, const struct segment *segment)
{
    if (segment->seq != before->seq + 1)
        return "does not follow the one before it";
    if (!flz_digest_equal(segment->previous, before->digest))
        return before->seq == 0 ? "does not begin the log" : "is not chained to the one before it";
    if (segment->first_event != before->last_event + 1)
        return "skips or repeats events";
    if (segment->epoch < before->epoch)
        return "has a lower epoch than the one before it";
    return NULL;
}

/* ---- Archive and log as one ---- */

#define EACH_BYTES (16u << 20) /* read at once: a reader holds on to what the store would let go */

struct each {
    rlog_on_segment on_segment;
    void *data;
    uint64_t next;
    size_t bytes; /* since reading began anew */
    bool answered; /* on_segment ended it */
};

static int on_each(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct each *each = data;
    if (segment->seq != each->next)
        return 1; /* what was to come has moved into the archive: it is looked for again */
    each->next++;
    each->bytes += bytes.len;
    each->answered = each->on_segment(segment, bytes, each->data) != 0;
    return each->answered || each->bytes >= EACH_BYTES;
}

enum rlog_result rlog_each(struct rlog *log, uint64_t from, rlog_on_segment on_segment, void *data,
                           struct flz_msg *msg)
{
    struct each each = {.on_segment = on_segment, .data = data, .next = from};
    for (;;) {
        struct rlog_bounds bounds;
        enum rlog_result result = rlog_bounds(log, &bounds);
        if (result != RLOG_OK)
            return result;
        if (each.next <= bounds.forgotten.seq)
            each.next = bounds.forgotten.seq + 1;
        if (each.next > bounds.last)
            return RLOG_OK;
        each.bytes = 0;
        bool is_archived = each.next <= bounds.trimmed.seq;
        result = is_archived ? rlog_read_archived(log, each.next, on_each, &each, msg)
                             : rlog_read(log, each.next, on_each, &each, msg);
        if (result != RLOG_OK || each.answered)
            return result;
    }
}

/* ---- Finding ---- */

static int on_header(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(struct segment *)data = *segment;
    return 1;
}

/* The newest segment of the log that does not begin behind the event. */
static enum rlog_result find_in_log(struct rlog *log, const struct rlog_bounds *bounds,
                                    uint64_t event, uint64_t *ret_seq, struct flz_msg *msg)
{
    uint64_t low = bounds->first, high = bounds->last;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        struct segment segment = {.seq = 0};
        enum rlog_result result = rlog_read(log, middle, on_header, &segment, msg);
        if (result != RLOG_OK)
            return result;
        if (segment.first_event <= event)
            low = middle;
        else
            high = middle - 1;
    }
    *ret_seq = low;
    return RLOG_OK;
}

enum rlog_result rlog_find_event(struct rlog *log, uint64_t event, uint64_t *ret_seq,
                                 struct flz_msg *msg)
{
    struct rlog_bounds bounds;
    enum rlog_result result = rlog_bounds(log, &bounds);
    if (result != RLOG_OK)
        return result;
    if (event > bounds.last_event || event <= bounds.forgotten.last_event) {
        *ret_seq = 0;
        return RLOG_OK;
    }
    if (event <= bounds.trimmed.last_event)
        return log->ops->find_archived(log, event, ret_seq);
    return find_in_log(log, &bounds, event, ret_seq, msg);
}

/* ---- Verifying ---- */

struct walk {
    const atomic_bool *stop;
    struct rlog_bounds bounds;
    struct rlog_mark before;
    bool failed;
    struct flz_msg *msg;
};

static bool is_stopped(const struct walk *walk)
{
    return walk->stop && atomic_load(walk->stop);
}

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct walk *walk = data;
    (void)bytes;
    const char *why = rlog_mark_refuses(&walk->before, segment);
    if (why) {
        flz_msg_set(walk->msg, "segment %llu %s", (unsigned long long)segment->seq, why);
        walk->failed = true;
        return flz_fail(-EUCLEAN);
    }
    walk->before = rlog_mark_of(segment);
    /* What is appended meanwhile is not looked at. */
    return segment->seq == walk->bounds.last || is_stopped(walk);
}

static enum rlog_result walk_once(struct rlog *log, struct walk *walk)
{
    const struct rlog_bounds *bounds = &walk->bounds;
    enum rlog_result result = rlog_bounds(log, &walk->bounds);
    walk->before = bounds->forgotten;
    if (result != RLOG_OK || bounds->last == 0)
        return result;
    result = rlog_each(log, bounds->forgotten.seq + 1, on_segment, walk, walk->msg);
    if (result != RLOG_OK || walk->failed)
        return walk->failed ? RLOG_CORRUPT : result;
    if (is_stopped(walk)) {
        flz_msg_set(walk->msg, "ended before the end");
        return RLOG_UNAVAILABLE;
    }
    if (walk->before.seq != bounds->last) {
        flz_msg_set(walk->msg, "the log ends at segment %llu, not at %llu",
                    (unsigned long long)walk->before.seq, (unsigned long long)bounds->last);
        return RLOG_CORRUPT;
    }
    if (!flz_digest_equal(walk->before.digest, bounds->head)) {
        flz_msg_set(walk->msg, "segment %llu is not the one that was appended",
                    (unsigned long long)bounds->last);
        return RLOG_CORRUPT;
    }
    return RLOG_OK;
}

enum rlog_result rlog_verify_until(struct rlog *log, const atomic_bool *stop,
                                   struct rlog_bounds *ret_bounds, struct flz_msg *msg)
{
    for (;;) {
        struct walk walk = {.stop = stop, .msg = msg};
        struct rlog_bounds now;
        enum rlog_result result = walk_once(log, &walk);
        /* What is forgotten meanwhile is not missing. */
        if (result == RLOG_CORRUPT && rlog_bounds(log, &now) == RLOG_OK &&
            now.forgotten.seq != walk.bounds.forgotten.seq)
            continue;
        if (result == RLOG_OK && ret_bounds)
            *ret_bounds = walk.bounds;
        return result;
    }
}

/* ---- Trimming by age ---- */

struct old {
    const struct rlog_keep *keep;
    size_t bytes;
    uint64_t below; /* 0: nothing is old */
    bool more;
};

static int on_old(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct old *old = data;
    if (segment->at >= old->keep->before)
        return 1;
    if (old->bytes > 0 && old->bytes + bytes.len > old->keep->bytes_max) {
        old->more = true;
        return 1;
    }
    old->bytes += bytes.len;
    old->below = segment->seq + 1;
    return 0;
}

enum rlog_result rlog_trim_old(struct rlog *log, uint64_t epoch, const struct rlog_keep *keep,
                               bool *ret_more, struct flz_msg *msg)
{
    struct old old = {.keep = keep};
    enum rlog_result result = rlog_read(log, 0, on_old, &old, msg);
    if (result == RLOG_OK && old.below > 0)
        result = rlog_trim(log, epoch, old.below, msg);
    if (result == RLOG_OK)
        *ret_more = old.more;
    return result;
}
