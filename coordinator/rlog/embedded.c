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
#define FORGET_FILES_MAX 64        /* forgotten at once */
#define MARK_LEN (3 * 8 + 32)

static const char meta_epoch[] = "epoch";
static const char meta_generation[] = "generation";
static const char meta_trimmed[] = "trimmed";
static const char meta_forgotten[] = "forgotten";

struct embedded {
    struct rlog log; /* first */
    struct rlog_embedded_options options;
    char *archive; /* owned: options.archive */
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

static struct archive archive_of(const struct embedded *embedded)
{
    return (struct archive){.store = embedded->options.store,
                            .family = embedded->options.family_meta,
                            .folder = embedded->options.archive};
}

static void put_mark(struct embedded *embedded, const char *name, const struct rlog_mark *mark)
{
    uint8_t value[MARK_LEN];
    flz_put_be64(value, mark->seq);
    flz_put_be64(value + 8, mark->last_event);
    flz_put_be64(value + 16, mark->epoch);
    memcpy(value + 24, mark->digest.b, 32);
    store_put(embedded->batch, embedded->options.family_meta, flz_view_str(name),
              (struct flz_view){.data = value, .len = sizeof value});
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
    uint64_t next; /* the segment that must come */
    struct rlog_mark before; /* seq = next - 1: what it must follow; else it may be any */
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

static int on_pair(struct flz_view key, struct flz_view value, void *data)
{
    struct reading *reading = data;
    struct segment segment;
    uint64_t seq = key.len == 8 ? flz_be64(key.data) : 0;
    if (seq != reading->next)
        return name_damage(reading, reading->next, "is missing");
    if (segment_parse(value, &segment) < 0 || segment.seq != seq)
        return name_damage(reading, seq, "is damaged");
    const char *why = reading->before.seq + 1 == seq
                          ? rlog_mark_refuses(&reading->before, &segment)
                          : NULL;
    if (why)
        return name_damage(reading, seq, why);
    reading->before = rlog_mark_of(&segment);
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
    else if (r == 0 && reading->next <= bounds.last)
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
        struct rlog_bounds bounds = bounds_of(embedded);
        if (bounds.last == 0 || from > bounds.last)
            return RLOG_OK;
        from = from < bounds.first ? bounds.first : from;
        struct reading reading = {.on_segment = on_segment,
                                  .data = data,
                                  .msg = msg,
                                  .next = from,
                                  .before = bounds.trimmed};
        enum rlog_result result = read_once(embedded, &reading);
        /* What was trimmed since it was asked for is not missing. */
        if (result != RLOG_CORRUPT || reading.any || !is_trimmed(embedded, from))
            return result;
    }
}

struct archived {
    rlog_on_segment on_segment;
    void *data;
    uint64_t next;
};

static int on_archived(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct archived *archived = data;
    archived->next = segment->seq + 1;
    return archived->on_segment(segment, bytes, archived->data) == 0 ? 0 : 1;
}

static bool is_forgotten(struct embedded *embedded, uint64_t seq)
{
    HOLD(&embedded->writing); /* as above */
    return embedded->bounds.forgotten.seq >= seq;
}

static enum rlog_result read_archived(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                                      void *data, struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    struct archive archive = archive_of(embedded);
    struct archived archived = {.on_segment = on_segment, .data = data, .next = from};
    for (;;) {
        struct rlog_bounds bounds = bounds_of(embedded);
        struct archive_file file;
        if (archived.next <= bounds.forgotten.seq)
            archived.next = bounds.forgotten.seq + 1;
        if (archived.next > bounds.trimmed.seq)
            return RLOG_OK;
        int r = archive_find(&archive, archived.next, &file);
        if (r == ARCHIVE_E_NONE || (r == 0 && file.first > archived.next)) {
            flz_msg_set(msg, "archive: segment %llu is missing",
                        (unsigned long long)archived.next);
            r = flz_fail(-EUCLEAN);
        } else if (r == 0) {
            r = archive_read(&archive, &file, archived.next, on_archived, &archived, msg);
        }
        if (r < 0 && is_forgotten(embedded, archived.next))
            continue;
        if (r != 0)
            return r > 0 ? RLOG_OK : r == -EUCLEAN ? RLOG_CORRUPT : RLOG_UNAVAILABLE;
    }
}

struct finding {
    uint64_t event;
    uint64_t seq;
};

static int on_file_with_event(const struct archive_file *file, void *data)
{
    struct finding *finding = data;
    if (file->last_event < finding->event)
        return 0;
    finding->seq = file->first;
    return 1;
}

static enum rlog_result find_archived(struct rlog *log, uint64_t event, uint64_t *ret_seq)
{
    struct archive archive = archive_of(embedded_of(log));
    struct finding finding = {.event = event};
    int r = archive_each_file(&archive, on_file_with_event, &finding);
    if (r < 0)
        return r == -EUCLEAN ? RLOG_CORRUPT : RLOG_UNAVAILABLE;
    *ret_seq = finding.seq;
    return RLOG_OK;
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
    struct archive_file file;
    struct rlog_mark last;
};

static int on_trimmed(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct trimming *trimming = data;
    struct archive_file *file = &trimming->file;
    uint8_t key[8];
    if (segment->seq >= trimming->below || trimming->archive.len > TRIM_BYTES_MAX)
        return 1;
    if (file->first == 0) {
        file->first = segment->seq;
        file->first_event = segment->first_event;
        file->at = segment->at;
    }
    file->at = segment->at > file->at ? segment->at : file->at;
    trimming->last = rlog_mark_of(segment);
    flz_buf_add_be32(&trimming->archive, (uint32_t)bytes.len);
    flz_buf_add_view(&trimming->archive, bytes);
    store_delete(trimming->embedded->batch, trimming->embedded->options.family_log,
                 seq_key(segment->seq, key));
    return flz_buf_error(&trimming->archive);
}

/* The archive's file is on the disk before the segments go, and its row is written as they go. */
static int archive_segments(struct trimming *trimming, struct flz_msg *msg)
{
    struct embedded *embedded = trimming->embedded;
    struct archive archive = archive_of(embedded);
    struct archive_file *file = &trimming->file;
    if (!archive.folder) {
        put_mark(embedded, meta_forgotten, &trimming->last);
        return 0;
    }
    file->last = trimming->last.seq;
    file->last_event = trimming->last.last_event;
    file->head = trimming->last.digest;
    return archive_add(&archive, file, flz_buf_view(&trimming->archive), embedded->batch, msg);
}

static enum rlog_result move_segments(struct trimming *trimming, struct flz_msg *msg)
{
    struct embedded *embedded = trimming->embedded;
    int r = flz_buf_error(&trimming->archive);
    if (r == 0)
        r = archive_segments(trimming, msg);
    if (r < 0)
        return r == -ENOSPC ? RLOG_FULL : RLOG_UNAVAILABLE;
    put_mark(embedded, meta_trimmed, &trimming->last);
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result == RLOG_OK) {
        struct rlog_bounds next = embedded->bounds;
        next.first = trimming->last.seq + 1;
        next.trimmed = trimming->last;
        if (!embedded->options.archive)
            next.forgotten = trimming->last;
        set_bounds(embedded, &next);
    }
    return result;
}

static enum rlog_result trim_some(struct trimming *trimming, struct flz_msg *msg)
{
    struct embedded *embedded = trimming->embedded;
    trimming->file = (struct archive_file){.first = 0};
    flz_buf_reset(&trimming->archive);
    store_batch_clear(embedded->batch);
    struct reading reading = {.on_segment = on_trimmed,
                              .data = trimming,
                              .msg = msg,
                              .next = embedded->bounds.first,
                              .before = embedded->bounds.trimmed};
    enum rlog_result result = read_once(embedded, &reading);
    if (result == RLOG_OK && trimming->file.first > 0)
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

/* ---- Forgetting ---- */

struct forgetting {
    struct embedded *embedded;
    int64_t before;
    struct archive_file files[FORGET_FILES_MAX];
    size_t count;
};

static int on_forgotten(const struct archive_file *file, void *data)
{
    struct forgetting *forgetting = data;
    if (file->at >= forgetting->before || forgetting->count == FORGET_FILES_MAX)
        return 1;
    struct archive archive = archive_of(forgetting->embedded);
    archive_delete_row(&archive, file, forgetting->embedded->batch);
    forgetting->files[forgetting->count++] = *file;
    return 0;
}

static struct rlog_mark mark_of_file(const struct archive_file *file)
{
    /* The epoch does not matter: what comes next has it or a higher one. */
    return (struct rlog_mark){
        .seq = file->last, .last_event = file->last_event, .digest = file->head};
}

/* The log says that they are gone before they go. */
static enum rlog_result forget_files(struct forgetting *forgetting)
{
    struct embedded *embedded = forgetting->embedded;
    struct archive archive = archive_of(embedded);
    struct rlog_bounds next = embedded->bounds;
    next.forgotten = mark_of_file(&forgetting->files[forgetting->count - 1]);
    put_mark(embedded, meta_forgotten, &next.forgotten);
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
    if (result != RLOG_OK)
        return result;
    set_bounds(embedded, &next);
    for (size_t i = 0; i < forgetting->count; i++)
        (void)archive_remove(&archive, &forgetting->files[i]); /* else at the next opening */
    return RLOG_OK;
}

static enum rlog_result forget(struct rlog *log, uint64_t epoch, int64_t before,
                               struct flz_msg *msg)
{
    struct embedded *embedded = embedded_of(log);
    struct archive archive = archive_of(embedded);
    struct forgetting forgetting = {.embedded = embedded, .before = before};
    HOLD(&embedded->writing);
    if (epoch != embedded->bounds.epoch)
        return RLOG_FENCED;
    store_batch_clear(embedded->batch);
    int r = archive_each_file(&archive, on_forgotten, &forgetting);
    if (r < 0) {
        flz_msg_set(msg, "the rows of the archive cannot be read");
        return r == -EUCLEAN ? RLOG_CORRUPT : RLOG_UNAVAILABLE;
    }
    return forgetting.count > 0 ? forget_files(&forgetting) : RLOG_OK;
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

/* All zero when it is absent. */
static int load_mark(struct embedded *embedded, const char *name, struct rlog_mark *mark,
                     struct flz_msg *msg)
{
    uint8_t value[MARK_LEN] = {0};
    int r = load_value(embedded, name, value, sizeof value, msg);
    if (r < 0)
        return r;
    mark->seq = flz_be64(value);
    mark->last_event = flz_be64(value + 8);
    mark->epoch = flz_be64(value + 16);
    memcpy(mark->digest.b, value + 24, 32);
    return 0;
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

static int on_tail(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(struct segment *)data = *segment;
    return 0;
}

static int on_first(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)segment;
    (void)bytes;
    (void)data;
    return 1;
}

/* 0, STORE_E_ABSENT, negative. */
static int find_last(struct embedded *embedded, uint64_t *ret_seq, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    int r = store_last(embedded->options.store, embedded->options.family_log, &key, NULL);
    if (r == 0 && key.len != 8)
        r = flz_fail(-EUCLEAN);
    if (r < 0)
        flz_msg_set(msg, "the newest segment cannot be read");
    if (r == 0)
        *ret_seq = flz_be64(key.data);
    return r;
}

/* The oldest segment must be there, and follow what was trimmed; so must the newest ones. */
static int load_tail(struct embedded *embedded, uint64_t *ret_epoch, struct flz_msg *msg)
{
    struct rlog_bounds *bounds = &embedded->bounds;
    struct segment tail = {.seq = 0};
    uint64_t last = 0;
    int r = find_last(embedded, &last, msg);
    if (r < 0)
        return r;
    if (last <= bounds->trimmed.seq) {
        if (r == STORE_E_ABSENT && bounds->trimmed.seq == 0)
            return 0;
        flz_msg_set(msg, "segment %llu is missing", (unsigned long long)bounds->trimmed.seq + 1);
        return flz_fail(-EUCLEAN);
    }
    bounds->first = bounds->trimmed.seq + 1;
    bounds->last = last;
    uint64_t from = last > CHECK_SEGMENTS ? last - CHECK_SEGMENTS : 1;
    enum rlog_result result = read_segments(&embedded->log, 0, on_first, NULL, msg);
    if (result == RLOG_OK)
        result = read_segments(&embedded->log, from, on_tail, &tail, msg);
    if (result != RLOG_OK)
        return flz_fail(result == RLOG_CORRUPT ? -EUCLEAN : -EIO);
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
    free(embedded->archive);
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
    .read_archived = read_archived,
    .forget = forget,
    .find_archived = find_archived,
    .close = close_log,
};

static int load(struct embedded *embedded, struct flz_msg *msg)
{
    uint64_t newest_epoch = 0;
    const char *folder = embedded->options.archive;
    embedded->archive = folder ? strdup(folder) : NULL;
    embedded->options.archive = embedded->archive;
    if (folder && !embedded->archive)
        return flz_fail(-ENOMEM);
    int r = store_batch_new(&embedded->batch);
    if (r == 0)
        r = load_mark(embedded, meta_trimmed, &embedded->bounds.trimmed, msg);
    if (r == 0)
        r = load_mark(embedded, meta_forgotten, &embedded->bounds.forgotten, msg);
    if (r == 0)
        r = load_tail(embedded, &newest_epoch, msg);
    if (r == 0)
        r = load_meta(embedded, msg);
    return r == 0 ? check_epoch(embedded, newest_epoch, msg) : r;
}

/* 0, RLOG_E_ARCHIVE, negative. */
static int open_archive(struct embedded *embedded, struct flz_msg *msg)
{
    const struct rlog_bounds *bounds = &embedded->bounds;
    struct archive archive = archive_of(embedded);
    if (!archive.folder)
        return 0;
    archive_sweep(&archive, bounds);
    int r = archive_check(&archive, &bounds->forgotten, &bounds->trimmed, msg);
    return r == ARCHIVE_E_DAMAGED ? RLOG_E_ARCHIVE : r;
}

int rlog_embedded_open(const struct rlog_embedded_options *options, struct rlog **ret_log,
                       struct flz_msg *msg)
{
    struct embedded *embedded = calloc(1, sizeof *embedded);
    if (!embedded)
        return flz_fail(-ENOMEM);
    embedded->log.ops = &ops;
    embedded->options = *options;
    (void)pthread_mutex_init(&embedded->writing, NULL);
    (void)pthread_mutex_init(&embedded->lock, NULL);
    int r = load(embedded, msg);
    if (r == 0)
        r = open_archive(embedded, msg);
    if (r != 0)
        flz_msg_wrap(msg, "log");
    if (r < 0) {
        (void)close_log(&embedded->log);
        return r;
    }
    *ret_log = &embedded->log;
    return r;
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
