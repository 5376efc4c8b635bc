#include "coordinator/rlog/rlog.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "coordinator/rlog/archive.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_SEGMENTS 64 /* newest ones read at open */
#define TRIM_BYTES_MAX (32u << 20) /* archived and deleted at once */

static const char meta_epoch[] = "epoch";
static const char meta_generation[] = "generation";

struct embedded {
    struct rlog log; /* first */
    struct rlog_embedded_options options;
    pthread_mutex_t writing;   /* one write at a time; taken before `lock` */
    struct store_batch *batch; /* of the write under way */
    pthread_mutex_t lock;
    struct rlog_bounds bounds; /* written under both, read under either */
};

static struct embedded *embedded_of(struct rlog *log)
{
    return (struct embedded *)(void *)log;
}

static struct flz_view seq_key(uint64_t seq, uint8_t key[static 8])
{
    flz_put_be64(key, seq);
    return (struct flz_view){.data = key, .len = 8};
}

/* What a store's answer means for the log. A write that failed for good may have reached the
 * disk. */
static enum rlog_result result_of_write(int r)
{
    if (r == 0)
        return RLOG_OK;
    return r == STORE_E_FULL ? RLOG_FULL : RLOG_UNKNOWN;
}

static struct rlog_bounds bounds_of(struct embedded *embedded)
{
    (void)pthread_mutex_lock(&embedded->lock);
    struct rlog_bounds bounds = embedded->bounds;
    (void)pthread_mutex_unlock(&embedded->lock);
    return bounds;
}

static void set_bounds(struct embedded *embedded, const struct rlog_bounds *bounds)
{
    (void)pthread_mutex_lock(&embedded->lock);
    embedded->bounds = *bounds;
    (void)pthread_mutex_unlock(&embedded->lock);
}

static void unlock(pthread_mutex_t **mutex)
{
    (void)pthread_mutex_unlock(*mutex);
}

/* Until the end of the scope. */
#define HOLD(mutex)                                                                                \
    _cleanup_(unlock) pthread_mutex_t *held_ = (mutex);                                            \
    (void)pthread_mutex_lock(held_)

/* ---- Appending ---- */

static enum rlog_result campaign(struct rlog *log, const char *self, uint64_t *ret_epoch,
                                 struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    (void)self; /* RocksDB's lock keeps other processes out; there is nobody to be told */
    HOLD(&embedded->writing);
    struct rlog_bounds next = embedded->bounds;
    uint8_t value[8];
    next.epoch++;
    store_batch_clear(embedded->batch);
    store_put(embedded->batch, embedded->options.family_meta, flz_view_str(meta_epoch),
              seq_key(next.epoch, value));
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result != RLOG_OK) {
        flz_msg_set(msg, "the new epoch could not be written: %s", rlog_result_str(result));
        return result;
    }
    set_bounds(embedded, &next);
    *ret_epoch = next.epoch;
    return RLOG_OK;
}

static enum rlog_result renew(struct rlog *log, uint64_t epoch)
{
    return epoch == bounds_of(embedded_of(log)).epoch ? RLOG_OK : RLOG_FENCED;
}

static bool follows(const struct rlog_bounds *bounds, const struct segment *segment)
{
    return segment->seq == bounds->last + 1 &&
           segment->first_event == bounds->last_event + 1 &&
           flz_id_equal(segment->generation, bounds->generation) &&
           flz_digest_equal(segment->previous, bounds->head);
}

static enum rlog_result append(struct rlog *log, uint64_t epoch, struct flz_view bytes,
                               const struct store_batch *rider)
{
    struct embedded *embedded = embedded_of(log);
    HOLD(&embedded->writing);
    struct rlog_bounds next = embedded->bounds;
    struct segment segment;
    uint8_t key[8];
    if (epoch != next.epoch)
        return RLOG_FENCED;
    if (segment_parse(bytes, &segment) < 0 || segment.epoch != epoch ||
        !follows(&next, &segment))
        return RLOG_CONFLICT;
    store_batch_clear(embedded->batch);
    store_put(embedded->batch, embedded->options.family_log, seq_key(segment.seq, key), bytes);
    if (rider)
        store_batch_copy(embedded->batch, rider);
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result != RLOG_OK)
        return result;
    next.first = next.first ? next.first : segment.seq;
    next.last = segment.seq;
    next.last_event = segment.first_event + segment.count - 1;
    next.head = segment.digest;
    set_bounds(embedded, &next);
    return RLOG_OK;
}

static enum rlog_result resolve(struct rlog *log, uint64_t seq, struct flz_id nonce,
                                bool *ret_committed)
{
    struct embedded *embedded = embedded_of(log);
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct segment segment;
    uint8_t key[8];
    /* After a failed sync what the store shows may not be on the disk: only a new process knows. */
    if (store_is_broken(embedded->options.store))
        return RLOG_UNAVAILABLE;
    int r = store_get(embedded->options.store, embedded->options.family_log, seq_key(seq, key),
                      &bytes);
    if (r < 0)
        return RLOG_UNAVAILABLE;
    if (r == STORE_E_ABSENT) {
        *ret_committed = false;
        return RLOG_OK;
    }
    if (segment_parse(flz_buf_view(&bytes), &segment) < 0)
        return RLOG_CORRUPT;
    *ret_committed = flz_id_equal(segment.nonce, nonce);
    return RLOG_OK;
}

/* ---- Reading ---- */

struct reading {
    rlog_on_segment on_segment;
    void *data;
    struct flz_msg *msg;
    uint64_t next; /* the segment that must come; 0: whichever is the oldest */
    struct segment before;
    bool any;
    bool damaged;
    bool answered; /* on_segment ended it */
};

static int name_damage(struct reading *reading, uint64_t seq, const char *how)
{
    reading->damaged = true;
    flz_msg_set(reading->msg, "segment %llu %s", (unsigned long long)seq, how);
    return flz_fail(-EUCLEAN);
}

static bool is_chained(const struct segment *before, const struct segment *segment)
{
    return segment->first_event == before->first_event + before->count &&
           segment->epoch >= before->epoch &&
           flz_digest_equal(segment->previous, before->digest);
}

static int on_pair(struct flz_view key, struct flz_view value, void *data)
{
    struct reading *reading = data;
    struct segment segment;
    uint64_t seq = key.len == 8 ? flz_be64(key.data) : 0;
    if (reading->next > 0 && seq != reading->next)
        return name_damage(reading, reading->next, "is missing");
    if (segment_parse(value, &segment) < 0 || segment.seq != seq)
        return name_damage(reading, seq, "is damaged");
    if (reading->any && !is_chained(&reading->before, &segment))
        return name_damage(reading, seq, "does not follow the one before it");
    reading->before = segment;
    reading->any = true;
    reading->next = seq + 1;
    int r = reading->on_segment(&segment, value, reading->data);
    reading->answered = r != 0;
    return r;
}

/* From reading->next on. */
static enum rlog_result read_once(struct embedded *embedded, struct reading *reading)
{
    struct rlog_bounds bounds = bounds_of(embedded);
    uint64_t from = reading->next;
    uint8_t key[8];
    int r = store_each(embedded->options.store, embedded->options.family_log, seq_key(from, key),
                       FLZ_VIEW_NULL, on_pair, reading);
    if (reading->answered)
        return RLOG_OK; /* the answer is the caller's own */
    if (r == -EUCLEAN && !reading->damaged)
        (void)name_damage(reading, reading->next,
                          "cannot be read: a block's checksum does not fit");
    else if (r == 0 && bounds.last > 0 && from <= bounds.last && reading->next <= bounds.last)
        (void)name_damage(reading, reading->next, "is missing");
    else if (r < 0 && !reading->damaged)
        return RLOG_UNAVAILABLE;
    return reading->damaged ? RLOG_CORRUPT : RLOG_OK;
}

static bool is_trimmed(struct embedded *embedded, uint64_t seq)
{
    HOLD(&embedded->writing); /* a trim under way has deleted before it moves the bounds */
    return embedded->bounds.first > seq;
}

static enum rlog_result read_segments(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                                      void *data, struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    for (;;) {
        uint64_t first = bounds_of(embedded).first;
        from = from < first ? first : from;
        struct reading reading = {
            .on_segment = on_segment, .data = data, .msg = msg, .next = from};
        enum rlog_result result = read_once(embedded, &reading);
        /* What was trimmed since it was asked for is not missing. */
        if (result != RLOG_CORRUPT || reading.any || !is_trimmed(embedded, from))
            return result;
    }
}

static enum rlog_result bounds(struct rlog *log, struct rlog_bounds *ret_bounds)
{
    *ret_bounds = bounds_of(embedded_of(log));
    return RLOG_OK;
}

/* ---- Trimming ---- */

struct trimming {
    struct embedded *embedded;
    uint64_t below;
    struct flz_buf archive; /* { length u32 · segment } */
    uint64_t first, last;
};

static int on_trimmed(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct trimming *trimming = data;
    uint8_t key[8];
    if (segment->seq >= trimming->below || trimming->archive.len > TRIM_BYTES_MAX)
        return 1;
    trimming->first = trimming->first ? trimming->first : segment->seq;
    trimming->last = segment->seq;
    flz_buf_add_be32(&trimming->archive, (uint32_t)bytes.len);
    flz_buf_add_view(&trimming->archive, bytes);
    store_delete(trimming->embedded->batch, trimming->embedded->options.family_log,
                 seq_key(segment->seq, key));
    return flz_buf_error(&trimming->archive);
}

/* The archive is on the disk, under the name of what it holds, before the segments go. */
static enum rlog_result move_segments(struct trimming *trimming, struct flz_msg *msg)
{
    struct embedded *embedded = trimming->embedded;
    const char *folder = embedded->options.archive;
    int r = flz_buf_error(&trimming->archive);
    if (r == 0 && folder)
        r = archive_write(folder, trimming->first, trimming->last,
                          flz_buf_view(&trimming->archive), msg);
    if (r < 0)
        return r == -ENOSPC ? RLOG_FULL : RLOG_UNAVAILABLE;
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result == RLOG_OK) {
        struct rlog_bounds next = embedded->bounds;
        next.first = trimming->last + 1;
        set_bounds(embedded, &next);
    }
    return result;
}

static enum rlog_result trim_some(struct trimming *trimming, struct flz_msg *msg)
{
    struct embedded *embedded = trimming->embedded;
    trimming->first = trimming->last = 0;
    flz_buf_reset(&trimming->archive);
    store_batch_clear(embedded->batch);
    struct reading reading = {
        .on_segment = on_trimmed, .data = trimming, .msg = msg, .next = embedded->bounds.first};
    enum rlog_result result = read_once(embedded, &reading);
    if (result == RLOG_OK && trimming->last > 0)
        result = move_segments(trimming, msg);
    return result;
}

static enum rlog_result trim(struct rlog *log, uint64_t epoch, uint64_t below, struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    HOLD(&embedded->writing);
    if (epoch != embedded->bounds.epoch)
        return RLOG_FENCED;
    /* The newest segment stays: the next one is chained to it. */
    if (below > embedded->bounds.last)
        below = embedded->bounds.last;
    struct trimming trimming = {.embedded = embedded, .below = below};
    enum rlog_result result = RLOG_OK;
    while (result == RLOG_OK && embedded->bounds.first < below)
        result = trim_some(&trimming, msg);
    flz_buf_deinit(&trimming.archive);
    return result;
}

/* ---- Opening ---- */

/* 0, STORE_E_ABSENT, negative. */
static int load_value(struct embedded *embedded, const char *name, void *ret_value, size_t len,
                      struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    int r = store_get(embedded->options.store, embedded->options.family_meta, flz_view_str(name),
                      &value);
    if (r == 0 && value.len != len)
        r = flz_fail(-EUCLEAN);
    if (r < 0)
        flz_msg_set(msg, "the %s cannot be read", name);
    else if (r == 0)
        memcpy(ret_value, value.data, len);
    return r;
}

static int load_meta(struct embedded *embedded, struct flz_msg *msg)
{
    uint8_t epoch[8] = {0};
    int r = load_value(embedded, meta_epoch, epoch, sizeof epoch, msg);
    if (r < 0)
        return r;
    embedded->bounds.epoch = flz_be64(epoch);
    r = load_value(embedded, meta_generation, embedded->bounds.generation.b,
                   sizeof embedded->bounds.generation.b, msg);
    if (r != STORE_E_ABSENT)
        return r;
    if (embedded->bounds.last > 0) {
        flz_msg_set(msg, "the generation is missing");
        return flz_fail(-EUCLEAN);
    }
    return rlog_embedded_new_generation(&embedded->log);
}

static int on_first(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(uint64_t *)data = segment->seq;
    return 1;
}

static int on_tail(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(struct segment *)data = *segment;
    return 0;
}

static int load_tail(struct embedded *embedded, uint64_t *ret_epoch, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    struct rlog_bounds *bounds = &embedded->bounds;
    struct segment tail = {.seq = 0};
    int r = store_last(embedded->options.store, embedded->options.family_log, &key, NULL);
    if (r == STORE_E_ABSENT)
        return 0;
    if (r < 0 || key.len != 8) {
        flz_msg_set(msg, "the newest segment cannot be read");
        return r < 0 ? r : flz_fail(-EUCLEAN);
    }
    uint64_t last = flz_be64(key.data);
    uint64_t from = last > CHECK_SEGMENTS ? last - CHECK_SEGMENTS : 1;
    enum rlog_result result = read_segments(&embedded->log, 0, on_first, &bounds->first, msg);
    if (result == RLOG_OK)
        result = read_segments(&embedded->log, from, on_tail, &tail, msg);
    if (result != RLOG_OK)
        return flz_fail(result == RLOG_CORRUPT ? -EUCLEAN : -EIO);
    bounds->last = tail.seq;
    bounds->last_event = tail.first_event + tail.count - 1;
    bounds->head = tail.digest;
    *ret_epoch = tail.epoch;
    return 0;
}

static int check_epoch(const struct embedded *embedded, uint64_t newest, struct flz_msg *msg)
{
    if (newest <= embedded->bounds.epoch)
        return 0;
    flz_msg_set(msg, "the newest segment is of epoch %llu, and the last known is %llu",
                (unsigned long long)newest, (unsigned long long)embedded->bounds.epoch);
    return flz_fail(-EUCLEAN);
}

static struct rlog *close_log(struct rlog *log)
{
    struct embedded *embedded = embedded_of(log);
    (void)store_batch_free(embedded->batch);
    (void)pthread_mutex_destroy(&embedded->lock);
    (void)pthread_mutex_destroy(&embedded->writing);
    free(embedded);
    return NULL;
}

static const struct rlog_ops ops = {
    .name = "embedded",
    .campaign = campaign,
    .renew = renew,
    .append = append,
    .resolve = resolve,
    .read = read_segments,
    .bounds = bounds,
    .trim = trim,
    .close = close_log,
};

int rlog_embedded_open(const struct rlog_embedded_options *options, struct rlog **ret_log,
                       struct flz_msg *msg)
{
    struct embedded *embedded = calloc(1, sizeof *embedded);
    if (!embedded)
        return flz_fail(-ENOMEM);
    embedded->log.ops = &ops;
    embedded->options = *options;
    uint64_t newest_epoch = 0;
    (void)pthread_mutex_init(&embedded->writing, NULL);
    (void)pthread_mutex_init(&embedded->lock, NULL);
    int r = store_batch_new(&embedded->batch);
    if (r == 0)
        r = load_tail(embedded, &newest_epoch, msg);
    if (r == 0)
        r = load_meta(embedded, msg);
    if (r == 0)
        r = check_epoch(embedded, newest_epoch, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "log");
        (void)close_log(&embedded->log);
        return r;
    }
    *ret_log = &embedded->log;
    return 0;
}

int rlog_embedded_new_generation(struct rlog *log)
{
    struct embedded *embedded = embedded_of(log);
    HOLD(&embedded->writing);
    struct rlog_bounds next = embedded->bounds;
    struct flz_id generation;
    randombytes_buf(generation.b, sizeof generation.b);
    store_batch_clear(embedded->batch);
    store_put(embedded->batch, embedded->options.family_meta, flz_view_str(meta_generation),
              (struct flz_view){.data = generation.b, .len = sizeof generation.b});
    int r = store_write(embedded->options.store, embedded->batch, true);
    next.generation = generation;
    if (r == 0)
        set_bounds(embedded, &next);
    return r == STORE_E_FULL ? flz_fail(-ENOSPC) : r;
}
