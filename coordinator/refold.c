#include "coordinator/refold.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"
#include "common/sys/store.h"
#include "coordinator/families.h"
#include "coordinator/rlog/segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4352

struct refold {
    const struct refold_place *place;
    const atomic_bool *stop;
    struct refold_result *result;
    uint64_t next; /* number of the event that comes */
    uint64_t last; /* the last to be folded */
    int failed;    /* of a callback */
    int (*on_event)(struct refold *refold, uint64_t number, const struct event *event);
    int (*on_segment)(struct refold *refold); /* behind one; may be NULL */
    /* VERIFY: */
    struct coord *core;
    struct store *copy;
    struct flz_map rows; /* digest of kind and key → index of its value's */
    struct flz_id *values;
    size_t values_count;
    size_t values_capacity;
};

static void refold_deinit(struct refold *refold)
{
    refold->core = coord_free(refold->core);
    refold->copy = store_close(refold->copy);
    flz_map_deinit(&refold->rows);
    free(refold->values);
}

/* ---- The walk ---- */

static int on_bytes(struct flz_view bytes, void *data)
{
    struct refold *refold = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event event;
    uint64_t number = refold->next++;
    if (number > refold->last)
        return 0;
    refold->failed = flz_decode_event(bytes, &arena, &event);
    if (refold->failed == 0)
        refold->failed = refold->on_event(refold, number, &event);
    if (refold->failed < 0)
        flz_msg_set(&refold->result->msg, "event %llu does not fit: %s",
                    (unsigned long long)number, strerror(-refold->failed));
    refold->result->events++;
    return refold->failed < 0;
}

static int on_log_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct refold *refold = data;
    if (atomic_load(refold->stop)) {
        refold->failed = flz_fail(-ECANCELED);
        flz_msg_set(&refold->result->msg, "the coordinator is stopping");
        return 1;
    }
    if (refold->next == 0 && segment->first_event != 1) {
        refold->result->outcome = REFOLD_TRIMMED;
        flz_msg_set(&refold->result->msg, "the log is kept from event %llu on",
                    (unsigned long long)segment->first_event);
        return 1;
    }
    if (segment->first_event > refold->last)
        return 1;
    refold->next = segment->first_event;
    if (segment_each(bytes, on_bytes, refold) == 0 && refold->failed == 0 && refold->on_segment)
        refold->failed = refold->on_segment(refold);
    return refold->failed < 0;
}

/* True when all of it was folded. */
static bool walk(struct refold *refold)
{
    struct refold_result *result = refold->result;
    result->outcome = REFOLD_SAME;
    enum rlog_result r = rlog_each(refold->place->log, 0, on_log_segment, refold, &result->msg);
    if (r != RLOG_OK || refold->failed < 0)
        result->outcome = REFOLD_FAILED;
    return result->outcome == REFOLD_SAME;
}

/* ---- Verifying ---- */

static bool is_aggregate(enum row_kind kind)
{
    return kind == ROW_DAY || kind == ROW_DAY_OLD || kind == ROW_TALLY || kind == ROW_TALLY_OLD ||
           kind == ROW_STANDING;
}

static struct flz_id digest_of(struct flz_view bytes)
{
    struct flz_digest digest = flz_digest_of(bytes);
    struct flz_id id;
    memcpy(id.b, digest.b, sizeof id.b);
    return id;
}

static int note_row(struct refold *refold, struct flz_id key, struct flz_id value)
{
    uint32_t i = flz_map_get(&refold->rows, key);
    if (i == FLZ_MAP_NONE) {
        i = (uint32_t)refold->values_count;
        int r = flz_grow((void **)&refold->values, &refold->values_capacity,
                         refold->values_count + 1, sizeof *refold->values);
        if (r == 0)
            r = flz_map_set(&refold->rows, key, i);
        if (r < 0)
            return r;
        refold->values_count++;
    }
    refold->values[i] = value;
    return 0;
}

static int on_folded(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct refold *refold = data;
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    if (!is_aggregate(kind))
        return 0;
    flz_buf_add_byte(&key, (uint8_t)kind);
    flz_row_key(kind, row, &key);
    int r = flz_buf_error(&key);
    if (r == 0 && !deleted)
        r = flz_encode_row(kind, row, &value);
    if (r < 0)
        return r;
    if (!deleted)
        return note_row(refold, digest_of(flz_buf_view(&key)), digest_of(flz_buf_view(&value)));
    flz_map_remove(&refold->rows, digest_of(flz_buf_view(&key)));
    return 0;
}

static int fold_event_of(struct refold *refold, uint64_t number, const struct event *event)
{
    (void)number;
    return coord_apply(refold->core, event);
}

static int take_rows(struct refold *refold)
{
    return coord_take_rows(refold->core, on_folded, refold);
}

static void tell_row(struct refold *refold, struct flz_view key, const char *what)
{
    char hex[129];
    size_t n = key.len < 64 ? key.len : 64;
    if (refold->result->different++ > 0)
        return;
    flz_hex_encode(key.data, n, hex);
    flz_msg_set(&refold->result->msg, "row %s %s", hex, what);
}

static int on_stored(struct flz_view key, struct flz_view value, void *data)
{
    struct refold *refold = data;
    if (atomic_load(refold->stop))
        return flz_fail(-ECANCELED);
    if (key.len == 0 || !is_aggregate((enum row_kind)key.data[0]))
        return 0;
    struct flz_id id = digest_of(key);
    uint32_t i = flz_map_get(&refold->rows, id);
    refold->result->rows++;
    if (i == FLZ_MAP_NONE)
        tell_row(refold, key, "follows from no event");
    else if (!flz_id_equal(refold->values[i], digest_of(value)))
        tell_row(refold, key, "is not what the log makes of it");
    if (i != FLZ_MAP_NONE)
        flz_map_remove(&refold->rows, id);
    return 0;
}

static int open_copy(struct refold *refold, const char *path)
{
    struct flz_msg *msg = &refold->result->msg;
    struct store_options options = {
        .families = family_names, .families_count = FAMILIES, .no_ballast = true};
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    struct segment newest;
    int r = fsutil_remove_tree(path, msg);
    if (r == 0)
        r = store_checkpoint(refold->place->store, path, msg);
    if (r == 0)
        r = store_open(path, &options, &refold->copy, msg);
    if (r == 0)
        r = store_last(refold->copy, FAMILY_LOG, &key, &value);
    if (r == 0)
        r = segment_parse(flz_buf_view(&value), &newest);
    if (r == 0)
        refold->last = newest.first_event + newest.count - 1;
    return r > 0 ? flz_fail(-ENODATA) : r;
}

static int compare_rows(struct refold *refold)
{
    static const enum family families[] = {FAMILY_ROWS, FAMILY_ARCHIVE};
    int r = 0;
    for (size_t i = 0; r == 0 && i < 2; i++)
        r = store_each(refold->copy, families[i], FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_stored, refold);
    if (r < 0)
        return r;
    if (refold->rows.count > 0 && refold->result->different == 0)
        flz_msg_set(&refold->result->msg, "%zu rows that the log makes are not there",
                    refold->rows.count);
    refold->result->different += refold->rows.count;
    if (refold->result->different > 0)
        refold->result->outcome = REFOLD_DIFFERENT;
    return 0;
}

static void verify(struct refold *refold)
{
    char path[PATH_SIZE];
    struct refold_result *result = refold->result;
    (void)snprintf(path, sizeof path, "%s/refold", refold->place->state_dir);
    refold->on_event = fold_event_of;
    refold->on_segment = take_rows;
    int r = coord_new(refold->place->network, FLZ_VIEW_NULL, &refold->place->policy, &refold->core);
    if (r == 0)
        r = open_copy(refold, path);
    if (r == 0 && walk(refold))
        r = compare_rows(refold);
    refold->copy = store_close(refold->copy);
    (void)fsutil_remove_tree(path, NULL);
    if (r == 0)
        return;
    result->outcome = REFOLD_FAILED;
    if (!result->msg.text[0])
        flz_msg_set(&result->msg, "%s", strerror(-r));
}

/* ---- Replaying ---- */

static int replay_event_of(struct refold *refold, uint64_t number, const struct event *event)
{
    return replay_event(refold->result->replay, number, event);
}

static void replay(struct refold *refold, const struct refold_request *request)
{
    struct refold_result *result = refold->result;
    struct replay_options options = {.network = refold->place->network,
                                     .base = &refold->place->policy,
                                     .since = request->since};
    refold->last = UINT64_MAX;
    refold->on_event = replay_event_of;
    if (replay_new(&options, &result->replay) < 0)
        return;
    for (size_t i = 0; i < request->keys_count; i++) {
        const struct refold_key *key = &request->keys[i];
        if (replay_policy(result->replay, key->name, key->value, &result->msg) < 0) {
            result->outcome = REFOLD_REFUSED;
            return;
        }
    }
    if (walk(refold) && replay_result(result->replay)->differences_all > 0)
        result->outcome = REFOLD_DIFFERENT;
}

void refold_run(const struct refold_place *place, const struct refold_request *request,
                const atomic_bool *stop, struct refold_result *ret_result)
{
    *ret_result = (struct refold_result){.outcome = REFOLD_FAILED};
    _cleanup_(refold_deinit) struct refold refold = {
        .place = place, .stop = stop, .result = ret_result, .rows = FLZ_MAP_NULL};
    if (request->kind == REFOLD_VERIFY)
        verify(&refold);
    else
        replay(&refold, request);
}

void refold_result_deinit(struct refold_result *result)
{
    result->replay = replay_free(result->replay);
}
