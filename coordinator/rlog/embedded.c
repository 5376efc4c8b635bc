#include "coordinator/rlog/rlog.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_SEGMENTS 64 /* newest ones read at open */

static const char meta_epoch[] = "epoch";
static const char meta_generation[] = "generation";

struct embedded {
    struct rlog log; /* first */
    struct rlog_embedded_options options;
    struct rlog_bounds bounds;
    struct store_batch *batch; /* of the append under way */
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

/* What a store's answer means for the log. A write that failed for good may have reached the disk. */
static enum rlog_result result_of_write(int r)
{
    if (r == 0)
        return RLOG_OK;
    return r == STORE_E_FULL ? RLOG_FULL : RLOG_UNKNOWN;
}

/* ---- Appending ---- */

static enum rlog_result campaign(struct rlog *log, const char *self, uint64_t *ret_epoch,
                                 struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    (void)self; /* RocksDB's lock keeps other processes out; there is nobody to be told */
    uint8_t value[8];
    store_batch_clear(embedded->batch);
    store_put(embedded->batch, embedded->options.family_meta, flz_view_str(meta_epoch),
              seq_key(embedded->bounds.epoch + 1, value));
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result != RLOG_OK) {
        flz_msg_set(msg, "the new epoch could not be written: %s", rlog_result_str(result));
        return result;
    }
    *ret_epoch = ++embedded->bounds.epoch;
    return RLOG_OK;
}

static enum rlog_result renew(struct rlog *log, uint64_t epoch)
{
    return epoch == embedded_of(log)->bounds.epoch ? RLOG_OK : RLOG_FENCED;
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
    struct segment segment;
    uint8_t key[8];
    if (epoch != embedded->bounds.epoch)
        return RLOG_FENCED;
    if (segment_parse(bytes, &segment) < 0 || segment.epoch != epoch ||
        !follows(&embedded->bounds, &segment))
        return RLOG_CONFLICT;
    store_batch_clear(embedded->batch);
    store_put(embedded->batch, embedded->options.family_log, seq_key(segment.seq, key), bytes);
    if (rider)
        store_batch_copy(embedded->batch, rider);
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result != RLOG_OK)
        return result;
    embedded->bounds.first = embedded->bounds.first ? embedded->bounds.first : segment.seq;
    embedded->bounds.last = segment.seq;
    embedded->bounds.last_event = segment.first_event + segment.count - 1;
    embedded->bounds.head = segment.digest;
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
    bool corrupt;
};

static int on_pair(struct flz_view key, struct flz_view value, void *data)
{
    struct reading *reading = data;
    struct segment segment;
    if (key.len != 8 || segment_parse(value, &segment) < 0 || segment.seq != flz_be64(key.data)) {
        reading->corrupt = true;
        flz_msg_set(reading->msg, "segment %llu is damaged",
                    key.len == 8 ? (unsigned long long)flz_be64(key.data) : 0);
        return flz_fail(-EUCLEAN);
    }
    return reading->on_segment(&segment, value, reading->data);
}

static enum rlog_result read_segments(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                                      void *data, struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    struct reading reading = {.on_segment = on_segment, .data = data, .msg = msg};
    uint8_t key[8];
    int r = store_each(embedded->options.store, embedded->options.family_log, seq_key(from, key),
                       FLZ_VIEW_NULL, on_pair, &reading);
    if (r == -EUCLEAN || reading.corrupt) {
        if (msg && !msg->text[0])
            flz_msg_set(msg, "the store's own checksum of a block does not fit");
        return RLOG_CORRUPT;
    }
    /* Another answer of on_segment ends the reading; it is the caller's own. */
    return RLOG_OK;
}

static enum rlog_result bounds(struct rlog *log, struct rlog_bounds *ret_bounds)
{
    *ret_bounds = embedded_of(log)->bounds;
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
    if (segment->seq >= trimming->below)
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
static int write_archive(const struct trimming *trimming, struct flz_msg *msg)
{
    char path[4096];
    const char *folder = trimming->embedded->options.archive;
    if (!folder)
        return 0;
    int r = fsutil_mkdir(folder, 0700, msg);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof path, "%s/%020llu-%020llu.segments", folder,
                   (unsigned long long)trimming->first, (unsigned long long)trimming->last);
    return fsutil_write(path, 0600, flz_buf_view(&trimming->archive), msg);
}

static enum rlog_result trim(struct rlog *log, uint64_t epoch, uint64_t below, struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    if (epoch != embedded->bounds.epoch)
        return RLOG_FENCED;
    /* The newest segment stays: the next one is chained to it. */
    if (below > embedded->bounds.last)
        below = embedded->bounds.last;
    struct trimming trimming = {.embedded = embedded, .below = below};
    store_batch_clear(embedded->batch);
    enum rlog_result result = read_segments(log, embedded->bounds.first, on_trimmed, &trimming, msg);
    int r = 0;
    if (result == RLOG_OK && trimming.last > 0) {
        r = write_archive(&trimming, msg);
        if (r == 0)
            result = result_of_write(store_write(embedded->options.store, embedded->batch, true));
        if (r == 0 && result == RLOG_OK)
            embedded->bounds.first = trimming.last + 1;
    }
    flz_buf_deinit(&trimming.archive);
    if (r < 0)
        return r == -ENOSPC ? RLOG_FULL : RLOG_UNAVAILABLE;
    return result;
}

/* ---- Opening ---- */

static int load_meta(struct embedded *embedded)
{
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    struct store *store = embedded->options.store;
    int r = store_get(store, embedded->options.family_meta, flz_view_str(meta_epoch), &value);
    if (r < 0)
        return r;
    if (r == 0 && value.len == 8)
        embedded->bounds.epoch = flz_be64(value.data);
    flz_buf_reset(&value);
    r = store_get(store, embedded->options.family_meta, flz_view_str(meta_generation), &value);
    if (r < 0)
        return r;
    if (r == STORE_E_ABSENT)
        return rlog_embedded_new_generation(&embedded->log);
    if (value.len != sizeof embedded->bounds.generation.b)
        return flz_fail(-EUCLEAN);
    memcpy(embedded->bounds.generation.b, value.data, value.len);
    return 0;
}

static int on_first(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(uint64_t *)data = segment->seq;
    return 1;
}

static int on_tail(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct rlog_bounds *bounds = data;
    (void)bytes;
    if (bounds->last > 0 && (segment->seq != bounds->last + 1 ||
                             segment->first_event != bounds->last_event + 1 ||
                             !flz_digest_equal(segment->previous, bounds->head)))
        return flz_fail(-EUCLEAN);
    bounds->last = segment->seq;
    bounds->last_event = segment->first_event + segment->count - 1;
    bounds->head = segment->digest;
    return 0;
}

static int load_tail(struct embedded *embedded, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    int r = store_last(embedded->options.store, embedded->options.family_log, &key, NULL);
    if (r == STORE_E_ABSENT)
        return 0;
    if (r < 0 || key.len != 8)
        return r < 0 ? r : flz_fail(-EUCLEAN);
    uint64_t last = flz_be64(key.data);
    if (read_segments(&embedded->log, 0, on_first, &embedded->bounds.first, msg) != RLOG_OK)
        return flz_fail(-EUCLEAN);
    uint64_t from = last > CHECK_SEGMENTS ? last - CHECK_SEGMENTS : 1;
    if (from < embedded->bounds.first)
        from = embedded->bounds.first;
    if (read_segments(&embedded->log, from, on_tail, &embedded->bounds, msg) != RLOG_OK)
        return flz_fail(-EUCLEAN);
    if (embedded->bounds.last != last) {
        flz_msg_set(msg, "segment %llu does not follow the one before it",
                    (unsigned long long)embedded->bounds.last + 1);
        return flz_fail(-EUCLEAN);
    }
    return 0;
}

static struct rlog *close_log(struct rlog *log)
{
    struct embedded *embedded = embedded_of(log);
    (void)store_batch_free(embedded->batch);
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
    int r = store_batch_new(&embedded->batch);
    if (r == 0)
        r = load_meta(embedded);
    if (r == 0)
        r = load_tail(embedded, msg);
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
    struct flz_id generation;
    randombytes_buf(generation.b, sizeof generation.b);
    store_batch_clear(embedded->batch);
    store_put(embedded->batch, embedded->options.family_meta, flz_view_str(meta_generation),
              (struct flz_view){.data = generation.b, .len = sizeof generation.b});
    int r = store_write(embedded->options.store, embedded->batch, true);
    if (r == 0)
        embedded->bounds.generation = generation;
    return r == STORE_E_FULL ? flz_fail(-ENOSPC) : r;
}
