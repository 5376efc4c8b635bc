#include "coordinator/rlog/model.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t seq;
    struct flz_buf bytes; /* empty: dropped */
};

struct rlog_model {
    struct rlog_model_options options;
    struct flz_rng rng;
    struct rlog_bounds bounds;
    struct entry *entries; /* owned; archived ones, then bounds.first … bounds.last */
    size_t count;
    size_t capacity;
    enum rlog_model_fault *script; /* owned */
    size_t script_count;
    size_t script_at;
    unsigned away;
    uint64_t met[RLOG_MODEL_FAULTS];
    uint64_t riders;
};

struct model_log {
    struct rlog log; /* first */
    struct rlog_model *model; /* borrowed */
};

static struct rlog_model *model_of(struct rlog *log)
{
    return ((struct model_log *)(void *)log)->model;
}

/* ---- Faults ---- */

static bool is_away(struct rlog_model *model)
{
    if (model->away == 0)
        return false;
    model->away--;
    return true;
}

static enum rlog_model_fault draw(struct rlog_model *model)
{
    unsigned at = (unsigned)flz_rng_below(&model->rng, 1000);
    for (int fault = RLOG_MODEL_NONE + 1; fault < RLOG_MODEL_FAULTS; fault++) {
        if (at < model->options.per_mille[fault])
            return (enum rlog_model_fault)fault;
        at -= model->options.per_mille[fault];
    }
    return RLOG_MODEL_NONE;
}

static enum rlog_model_fault next_fault(struct rlog_model *model)
{
    enum rlog_model_fault fault =
        model->script_at < model->script_count ? model->script[model->script_at++] : draw(model);
    model->met[fault]++;
    return fault;
}

/* ---- The log ---- */

static enum rlog_result campaign(struct rlog *log, const char *self, uint64_t *ret_epoch,
                                 struct flz_msg *msg)
{
    struct rlog_model *model = model_of(log);
    (void)self;
    if (is_away(model)) {
        flz_msg_set(msg, "the log is away");
        return RLOG_UNAVAILABLE;
    }
    *ret_epoch = ++model->bounds.epoch;
    return RLOG_OK;
}

static enum rlog_result renew(struct rlog *log, uint64_t epoch)
{
    struct rlog_model *model = model_of(log);
    if (is_away(model))
        return RLOG_UNAVAILABLE;
    return epoch == model->bounds.epoch ? RLOG_OK : RLOG_FENCED;
}

static bool follows(const struct rlog_bounds *bounds, const struct segment *segment)
{
    return segment->seq == bounds->last + 1 && segment->first_event == bounds->last_event + 1 &&
           segment->epoch == bounds->epoch &&
           flz_id_equal(segment->generation, bounds->generation) &&
           flz_digest_equal(segment->previous, bounds->head);
}

static enum rlog_result keep(struct rlog_model *model, const struct segment *segment,
                             struct flz_view bytes, const struct store_batch *rider)
{
    struct flz_buf copy = FLZ_BUF_NULL;
    flz_buf_add_view(&copy, bytes);
    if (flz_buf_error(&copy) < 0 || flz_grow((void **)&model->entries, &model->capacity,
                                             model->count + 1, sizeof *model->entries) < 0) {
        flz_buf_deinit(&copy);
        return RLOG_UNAVAILABLE;
    }
    model->entries[model->count++] = (struct entry){.seq = segment->seq, .bytes = copy};
    struct rlog_bounds *bounds = &model->bounds;
    bounds->first = bounds->first ? bounds->first : segment->seq;
    bounds->last = segment->seq;
    bounds->last_event = segment->first_event + segment->count - 1;
    bounds->head = segment->digest;
    if (rider) {
        model->riders++;
        if (model->options.on_rider)
            model->options.on_rider(rider, model->options.data);
    }
    return RLOG_OK;
}

static enum rlog_result append(struct rlog *log, uint64_t epoch, struct flz_view bytes,
                               const struct store_batch *rider)
{
    struct rlog_model *model = model_of(log);
    struct segment segment;
    if (is_away(model))
        return RLOG_UNAVAILABLE;
    enum rlog_model_fault fault = next_fault(model);
    if (fault == RLOG_MODEL_FENCED)
        model->bounds.epoch++;
    if (epoch != model->bounds.epoch)
        return RLOG_FENCED;
    if (segment_parse(bytes, &segment) < 0 || !follows(&model->bounds, &segment))
        return RLOG_CONFLICT;
    switch (fault) {
    case RLOG_MODEL_NONE: return keep(model, &segment, bytes, rider);
    case RLOG_MODEL_UNKNOWN_DONE: (void)keep(model, &segment, bytes, rider); return RLOG_UNKNOWN;
    case RLOG_MODEL_UNKNOWN_BARE: (void)keep(model, &segment, bytes, NULL); return RLOG_UNKNOWN;
    case RLOG_MODEL_UNKNOWN_LOST: return RLOG_UNKNOWN;
    case RLOG_MODEL_UNAVAILABLE: return RLOG_UNAVAILABLE;
    case RLOG_MODEL_FULL: return RLOG_FULL;
    case RLOG_MODEL_CORRUPT: return RLOG_CORRUPT;
    case RLOG_MODEL_FENCED:
    case RLOG_MODEL_CONFLICT:
    case RLOG_MODEL_FAULTS: break;
    }
    return RLOG_CONFLICT;
}

static struct entry *entry_of(struct rlog_model *model, uint64_t seq)
{
    if (model->count == 0 || seq < model->entries[0].seq || seq > model->bounds.last)
        return NULL;
    struct entry *entry = &model->entries[seq - model->entries[0].seq];
    return entry->bytes.len > 0 ? entry : NULL;
}

static enum rlog_result resolve(struct rlog *log, uint64_t seq, struct flz_id nonce,
                                bool *ret_committed)
{
    struct rlog_model *model = model_of(log);
    struct segment segment;
    if (is_away(model))
        return RLOG_UNAVAILABLE;
    const struct entry *entry = seq < model->bounds.first ? NULL : entry_of(model, seq);
    if (!entry) {
        *ret_committed = false;
        return RLOG_OK;
    }
    if (segment_parse(flz_buf_view(&entry->bytes), &segment) < 0)
        return RLOG_CORRUPT;
    *ret_committed = flz_id_equal(segment.nonce, nonce);
    return RLOG_OK;
}

static enum rlog_result damaged(uint64_t seq, const char *how, struct flz_msg *msg)
{
    flz_msg_set(msg, "segment %llu %s", (unsigned long long)seq, how);
    return RLOG_CORRUPT;
}

/* Those between the two. */
static enum rlog_result read_between(struct rlog_model *model, uint64_t from, uint64_t last,
                                     rlog_on_segment on_segment, void *data, struct flz_msg *msg)
{
    for (uint64_t seq = from; seq <= last; seq++) {
        struct segment segment;
        const struct entry *entry = entry_of(model, seq);
        if (!entry)
            return damaged(seq, "is missing", msg);
        struct flz_view bytes = flz_buf_view(&entry->bytes);
        if (segment_parse(bytes, &segment) < 0 || segment.seq != seq)
            return damaged(seq, "is damaged", msg);
        if (on_segment(&segment, bytes, data) != 0)
            return RLOG_OK;
    }
    return RLOG_OK;
}

static enum rlog_result read_segments(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                                      void *data, struct flz_msg *msg)
{
    struct rlog_model *model = model_of(log);
    const struct rlog_bounds *bounds = &model->bounds;
    if (is_away(model)) {
        flz_msg_set(msg, "the log is away");
        return RLOG_UNAVAILABLE;
    }
    if (bounds->first == 0)
        return RLOG_OK;
    return read_between(model, from > bounds->first ? from : bounds->first, bounds->last,
                        on_segment, data, msg);
}

static enum rlog_result read_archived(struct rlog *log, uint64_t from, rlog_on_segment on_segment,
                                      void *data, struct flz_msg *msg)
{
    struct rlog_model *model = model_of(log);
    const struct rlog_bounds *bounds = &model->bounds;
    if (is_away(model)) {
        flz_msg_set(msg, "the log is away");
        return RLOG_UNAVAILABLE;
    }
    return read_between(model, from > bounds->forgotten.seq ? from : bounds->forgotten.seq + 1,
                        bounds->trimmed.seq, on_segment, data, msg);
}

static enum rlog_result bounds(struct rlog *log, struct rlog_bounds *ret_bounds)
{
    struct rlog_model *model = model_of(log);
    if (is_away(model))
        return RLOG_UNAVAILABLE;
    *ret_bounds = model->bounds;
    return RLOG_OK;
}

static int on_trimmed(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(struct rlog_mark *)data = rlog_mark_of(segment);
    return 0;
}

static enum rlog_result trim(struct rlog *log, uint64_t epoch, uint64_t below, struct flz_msg *msg)
{
    struct rlog_model *model = model_of(log);
    struct rlog_bounds *bounds = &model->bounds;
    struct rlog_mark trimmed = bounds->trimmed;
    if (is_away(model)) {
        flz_msg_set(msg, "the log is away");
        return RLOG_UNAVAILABLE;
    }
    if (epoch != bounds->epoch)
        return RLOG_FENCED;
    /* The newest segment stays: the next one is chained to it. */
    if (below > bounds->last)
        below = bounds->last;
    if (below <= bounds->first)
        return RLOG_OK;
    enum rlog_result result =
        read_between(model, bounds->first, below - 1, on_trimmed, &trimmed, msg);
    if (result == RLOG_OK) {
        bounds->trimmed = trimmed;
        bounds->first = below;
    }
    return result;
}

/* How many archived entries, from the oldest on, are older than `before`. */
static size_t count_old(const struct rlog_model *model, int64_t before, struct rlog_mark *mark)
{
    size_t count = 0;
    struct segment segment;
    while (count < model->count && model->entries[count].seq < model->bounds.first &&
           segment_parse(flz_buf_view(&model->entries[count].bytes), &segment) == 0 &&
           segment.at < before) {
        *mark = rlog_mark_of(&segment);
        count++;
    }
    return count;
}

static enum rlog_result forget(struct rlog *log, uint64_t epoch, int64_t before,
                               struct flz_msg *msg)
{
    struct rlog_model *model = model_of(log);
    if (is_away(model)) {
        flz_msg_set(msg, "the log is away");
        return RLOG_UNAVAILABLE;
    }
    if (epoch != model->bounds.epoch)
        return RLOG_FENCED;
    size_t gone = count_old(model, before, &model->bounds.forgotten);
    for (size_t i = 0; i < gone; i++)
        flz_buf_deinit(&model->entries[i].bytes);
    if (gone > 0) {
        model->count -= gone;
        memmove(model->entries, model->entries + gone, model->count * sizeof *model->entries);
    }
    return RLOG_OK;
}

struct finding {
    uint64_t event;
    uint64_t seq;
};

static int on_find(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct finding *finding = data;
    (void)bytes;
    if (segment->first_event + segment->count <= finding->event)
        return 0;
    finding->seq = segment->seq;
    return 1;
}

static enum rlog_result find_archived(struct rlog *log, uint64_t event, uint64_t *ret_seq)
{
    struct finding finding = {.event = event};
    enum rlog_result result = read_archived(log, 0, on_find, &finding, NULL);
    if (result == RLOG_OK)
        *ret_seq = finding.seq;
    return result;
}

static struct rlog *close_log(struct rlog *log)
{
    free(log);
    return NULL;
}

static const struct rlog_ops ops = {
    .name = "model",
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

/* ---- The model ---- */

int rlog_model_new(const struct rlog_model_options *options, struct rlog_model **ret_model)
{
    unsigned sum = 0;
    for (int fault = 0; fault < RLOG_MODEL_FAULTS; fault++)
        sum += options->per_mille[fault];
    assert(sum <= 1000);
    struct rlog_model *model = calloc(1, sizeof *model);
    if (!model)
        return flz_fail(-ENOMEM);
    model->options = *options;
    flz_rng_init(&model->rng, flz_view_str("rlog model"), options->seed);
    rlog_model_new_generation(model);
    *ret_model = model;
    return 0;
}

struct rlog_model *rlog_model_free(struct rlog_model *model)
{
    if (!model)
        return NULL;
    for (size_t i = 0; i < model->count; i++)
        flz_buf_deinit(&model->entries[i].bytes);
    free(model->entries);
    free(model->script);
    free(model);
    return NULL;
}

int rlog_model_open(struct rlog_model *model, struct rlog **ret_log)
{
    struct model_log *log = calloc(1, sizeof *log);
    if (!log)
        return flz_fail(-ENOMEM);
    *log = (struct model_log){.log.ops = &ops, .model = model};
    *ret_log = &log->log;
    return 0;
}

int rlog_model_script(struct rlog_model *model, const enum rlog_model_fault *faults, size_t count)
{
    enum rlog_model_fault *script = calloc(count + 1, sizeof *script);
    if (!script)
        return flz_fail(-ENOMEM);
    if (count > 0)
        memcpy(script, faults, count * sizeof *script);
    free(model->script);
    model->script = script;
    model->script_count = count;
    model->script_at = 0;
    return 0;
}

void rlog_model_away(struct rlog_model *model, unsigned count)
{
    model->away = count;
}

void rlog_model_calm(struct rlog_model *model)
{
    memset(model->options.per_mille, 0, sizeof model->options.per_mille);
    model->script_count = 0;
    model->script_at = 0;
    model->away = 0;
}

uint64_t rlog_model_met(const struct rlog_model *model, enum rlog_model_fault fault)
{
    return model->met[fault];
}

uint64_t rlog_model_riders(const struct rlog_model *model)
{
    return model->riders;
}

int rlog_model_flip(struct rlog_model *model, uint64_t seq, size_t byte, unsigned bit)
{
    struct entry *entry = entry_of(model, seq);
    if (!entry || byte >= entry->bytes.len)
        return flz_fail(-ENOENT);
    entry->bytes.data[byte] ^= (uint8_t)(1u << bit % 8);
    return 0;
}

int rlog_model_drop(struct rlog_model *model, uint64_t seq)
{
    struct entry *entry = entry_of(model, seq);
    if (!entry)
        return flz_fail(-ENOENT);
    flz_buf_reset(&entry->bytes);
    return 0;
}

void rlog_model_new_generation(struct rlog_model *model)
{
    for (size_t i = 0; i < sizeof model->bounds.generation.b; i++)
        model->bounds.generation.b[i] = (uint8_t)flz_rng_below(&model->rng, 256);
}
