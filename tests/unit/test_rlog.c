/*
 * What every backend of the log promises: each case runs against the embedded backend and against
 * the model; the cases below "one backend" are about what only that one has.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "coordinator/rlog/model.h"
#include "coordinator/rlog/rlog.h"
#include "tests/lib/chain.h"
#include "tests/lib/tree.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOG, META, ROWS, FAMILIES };

static const char *const families[] = {"log", "meta", "rows"};

struct fx {
    bool is_model;
    char *folder;
    char archive[512];
    struct store *store;
    struct rlog_model *model;
    struct rlog *log;
    uint64_t epoch;
    struct chain chain;
    struct store_batch *rider;
    struct flz_msg msg;
};

/* ---- Backends ---- */

static struct rlog_embedded_options embedded_options(struct fx *fx)
{
    return (struct rlog_embedded_options){
        .store = fx->store, .family_log = LOG, .family_meta = META, .archive = fx->archive};
}

static void open_store(struct fx *fx)
{
    char path[512];
    struct store_options options = {
        .families = families, .families_count = FAMILIES, .no_ballast = true};
    (void)snprintf(path, sizeof path, "%s/store", fx->folder);
    if (store_open(path, &options, &fx->store, &fx->msg) < 0)
        fail_msg("%s", fx->msg.text);
}

static int try_open(struct fx *fx)
{
    if (fx->is_model)
        return rlog_model_open(fx->model, &fx->log);
    struct rlog_embedded_options options = embedded_options(fx);
    return rlog_embedded_open(&options, &fx->log, &fx->msg);
}

/* As the coordinator after its end: all that is in memory is gone. */
static void close_all(struct fx *fx)
{
    fx->log = rlog_close(fx->log);
    fx->store = store_close(fx->store);
}

static void reopen(struct fx *fx)
{
    close_all(fx);
    if (!fx->is_model)
        open_store(fx);
    if (try_open(fx) != 0)
        fail_msg("%s", fx->msg.text);
}

static void new_generation(struct fx *fx)
{
    if (fx->is_model)
        rlog_model_new_generation(fx->model);
    else
        assert_int_equal(rlog_embedded_new_generation(fx->log), 0);
}

static void become_writer(struct fx *fx)
{
    assert_int_equal(rlog_campaign(fx->log, "test", &fx->epoch, &fx->msg), RLOG_OK);
    assert_int_equal(rlog_bounds(fx->log, &fx->chain.bounds), RLOG_OK);
}

static int set_up(void **state, bool is_model)
{
    struct rlog_model_options options = {.seed = 1};
    struct fx *fx = calloc(1, sizeof *fx);
    assert_non_null(fx);
    fx->is_model = is_model;
    fx->folder = tree_new("rlog");
    assert_non_null(fx->folder);
    (void)snprintf(fx->archive, sizeof fx->archive, "%s/archive", fx->folder);
    assert_int_equal(rlog_model_new(&options, &fx->model), 0);
    assert_int_equal(store_batch_new(&fx->rider), 0);
    reopen(fx);
    become_writer(fx);
    *state = fx;
    return 0;
}

static int set_up_embedded(void **state)
{
    return set_up(state, false);
}

static int set_up_model(void **state)
{
    return set_up(state, true);
}

static int tear_down(void **state)
{
    struct fx *fx = *state;
    close_all(fx);
    (void)rlog_model_free(fx->model);
    (void)store_batch_free(fx->rider);
    chain_deinit(&fx->chain);
    tree_free(fx->folder);
    free(fx);
    return 0;
}

/* ---- Helpers ---- */

static enum rlog_result append(struct fx *fx, uint32_t events)
{
    struct flz_view bytes = chain_make(&fx->chain, events, 20);
    enum rlog_result result = rlog_append(fx->log, fx->epoch, bytes, NULL);
    if (result == RLOG_OK)
        chain_advance(&fx->chain);
    return result;
}

static void append_many(struct fx *fx, int segments)
{
    for (int i = 0; i < segments; i++)
        assert_int_equal(append(fx, 1 + (uint32_t)i % 3), RLOG_OK);
}

static void assert_bounds(struct fx *fx, uint64_t first, uint64_t last)
{
    struct rlog_bounds bounds;
    assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
    assert_int_equal(bounds.first, first);
    assert_int_equal(bounds.last, last);
    assert_int_equal(bounds.last_event, fx->chain.bounds.last_event);
    assert_true(flz_digest_equal(bounds.head, fx->chain.bounds.head));
}

struct seen {
    uint64_t first, last, count, events;
    uint64_t stop_at;
};

static int on_event(struct flz_view event, void *data)
{
    struct seen *seen = data;
    seen->events++;
    assert_true(event.len == 20);
    return 0;
}

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct seen *seen = data;
    if (seen->count++ == 0)
        seen->first = segment->seq;
    else
        assert_int_equal(segment->seq, seen->last + 1);
    seen->last = segment->seq;
    assert_int_equal(segment_each(bytes, on_event, seen), 0);
    return segment->seq == seen->stop_at ? 42 : 0;
}

static void assert_reads(struct fx *fx, uint64_t from, uint64_t first, uint64_t last)
{
    struct seen seen = {.first = 0};
    assert_int_equal(rlog_read(fx->log, from, on_segment, &seen, &fx->msg), RLOG_OK);
    assert_int_equal(seen.first, first);
    assert_int_equal(seen.last, last);
    assert_int_equal(seen.count, first ? last - first + 1 : 0);
}

static void assert_archived(struct fx *fx, uint64_t from, uint64_t first, uint64_t last)
{
    struct seen seen = {.first = 0};
    if (rlog_read_archived(fx->log, from, on_segment, &seen, &fx->msg) != RLOG_OK)
        fail_msg("%s", fx->msg.text);
    assert_int_equal(seen.first, first);
    assert_int_equal(seen.last, last);
    assert_int_equal(seen.count, first ? last - first + 1 : 0);
}

/* Archive and log as one. */
static void assert_each(struct fx *fx, uint64_t from, uint64_t first, uint64_t last)
{
    struct seen seen = {.first = 0};
    if (rlog_each(fx->log, from, on_segment, &seen, &fx->msg) != RLOG_OK)
        fail_msg("%s", fx->msg.text);
    assert_int_equal(seen.first, first);
    assert_int_equal(seen.last, last);
    assert_int_equal(seen.count, first ? last - first + 1 : 0);
}

static void trim(struct fx *fx, uint64_t below)
{
    if (rlog_trim(fx->log, fx->epoch, below, &fx->msg) != RLOG_OK)
        fail_msg("%s", fx->msg.text);
}

static void assert_verifies(struct fx *fx)
{
    if (rlog_verify(fx->log, &fx->msg) != RLOG_OK)
        fail_msg("%s", fx->msg.text);
}

/* Makes the next segment with one thing changed, and appends it. */
enum wrong { SEQ, SEQ_LOW, EPOCH, GENERATION, FIRST_EVENT, PREVIOUS, DAMAGED, RIGHT };

static enum rlog_result append_wrong(struct fx *fx, enum wrong wrong)
{
    struct chain odd = {.bounds = fx->chain.bounds, .nonce = 1000};
    odd.bounds.last += wrong == SEQ;
    odd.bounds.last -= wrong == SEQ_LOW;
    odd.bounds.epoch += wrong == EPOCH;
    odd.bounds.generation.b[3] ^= wrong == GENERATION;
    odd.bounds.last_event += wrong == FIRST_EVENT;
    odd.bounds.head.b[7] ^= wrong == PREVIOUS;
    struct flz_view bytes = chain_make(&odd, 2, 20);
    if (wrong == DAMAGED)
        odd.bytes.data[bytes.len / 2] ^= 4;
    enum rlog_result result = rlog_append(fx->log, fx->epoch, bytes, NULL);
    chain_deinit(&odd);
    return result;
}

/* ---- Every backend ---- */

static void a_new_log_is_empty(void **state)
{
    struct fx *fx = *state;
    struct rlog_bounds bounds;
    assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
    assert_int_equal(bounds.first, 0);
    assert_int_equal(bounds.last, 0);
    assert_int_equal(bounds.last_event, 0);
    assert_false(flz_id_is_null(bounds.generation));
    assert_reads(fx, 0, 0, 0);
    assert_reads(fx, 5, 0, 0);
    assert_verifies(fx);
}

static void a_campaign_makes_a_higher_epoch(void **state)
{
    struct fx *fx = *state;
    uint64_t before = fx->epoch;
    for (int i = 0; i < 3; i++) {
        become_writer(fx);
        assert_true(fx->epoch > before);
        before = fx->epoch;
    }
    assert_int_equal(fx->chain.bounds.epoch, fx->epoch);
}

static void an_epoch_is_never_given_twice_across_reopening(void **state)
{
    struct fx *fx = *state;
    uint64_t before = fx->epoch;
    reopen(fx);
    become_writer(fx);
    assert_true(fx->epoch > before);
}

static void a_campaign_needs_no_segment_to_fence(void **state)
{
    struct fx *fx = *state;
    uint64_t old = fx->epoch;
    become_writer(fx);
    fx->epoch = old;
    assert_int_equal(append(fx, 1), RLOG_FENCED);
    assert_bounds(fx, 0, 0);
}

static void renew_tells_who_is_the_writer(void **state)
{
    struct fx *fx = *state;
    uint64_t old = fx->epoch;
    assert_int_equal(rlog_renew(fx->log, old), RLOG_OK);
    become_writer(fx);
    assert_int_equal(rlog_renew(fx->log, old), RLOG_FENCED);
    assert_int_equal(rlog_renew(fx->log, fx->epoch), RLOG_OK);
    assert_int_equal(rlog_renew(fx->log, fx->epoch + 1), RLOG_FENCED);
}

static void an_old_epoch_is_fenced_whatever_it_writes(void **state)
{
    struct fx *fx = *state;
    uint64_t old = fx->epoch;
    append_many(fx, 2);
    become_writer(fx);
    append_many(fx, 1);
    uint64_t current = fx->epoch;
    fx->epoch = old;
    for (int wrong = SEQ; wrong <= RIGHT; wrong++)
        assert_int_equal(append_wrong(fx, (enum wrong)wrong), RLOG_FENCED);
    fx->epoch = 0;
    assert_int_equal(append_wrong(fx, RIGHT), RLOG_FENCED);
    fx->epoch = current + 1;
    assert_int_equal(append_wrong(fx, RIGHT), RLOG_FENCED);
    assert_bounds(fx, 1, 3);
}

static void an_old_epoch_trims_nothing(void **state)
{
    struct fx *fx = *state;
    uint64_t old = fx->epoch;
    append_many(fx, 5);
    become_writer(fx);
    assert_int_equal(rlog_trim(fx->log, old, 3, &fx->msg), RLOG_FENCED);
    assert_bounds(fx, 1, 5);
}

static void appended_segments_are_read_in_order(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 10);
    assert_bounds(fx, 1, 10);
    struct seen seen = {.first = 0};
    assert_int_equal(rlog_read(fx->log, 0, on_segment, &seen, &fx->msg), RLOG_OK);
    assert_int_equal(seen.count, 10);
    assert_int_equal(seen.events, fx->chain.bounds.last_event);
}

static int on_same(const struct segment *segment, struct flz_view bytes, void *data)
{
    struct fx *fx = data;
    assert_true(flz_view_equal(bytes, flz_buf_view(&fx->chain.bytes)));
    assert_true(flz_digest_equal(segment->digest, fx->chain.header.digest));
    assert_int_equal(segment->at, fx->chain.header.at);
    return 0;
}

static void what_is_read_is_what_was_appended(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 3);
    assert_int_equal(rlog_read(fx->log, 3, on_same, fx, &fx->msg), RLOG_OK);
}

static void segments_are_dense(void **state)
{
    struct fx *fx = *state;
    assert_int_equal(append_wrong(fx, SEQ), RLOG_CONFLICT);
    append_many(fx, 2);
    assert_int_equal(append_wrong(fx, SEQ), RLOG_CONFLICT);
    assert_int_equal(append_wrong(fx, SEQ_LOW), RLOG_CONFLICT);
    assert_bounds(fx, 1, 2);
    assert_int_equal(append_wrong(fx, RIGHT), RLOG_OK);
}

static void segments_are_chained(void **state)
{
    struct fx *fx = *state;
    assert_int_equal(append_wrong(fx, PREVIOUS), RLOG_CONFLICT);
    append_many(fx, 2);
    assert_int_equal(append_wrong(fx, PREVIOUS), RLOG_CONFLICT);
    assert_bounds(fx, 1, 2);
}

static void events_are_dense(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 2);
    assert_int_equal(append_wrong(fx, FIRST_EVENT), RLOG_CONFLICT);
    assert_bounds(fx, 1, 2);
}

static void a_segment_of_another_epoch_is_refused(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 2);
    assert_int_equal(append_wrong(fx, EPOCH), RLOG_CONFLICT);
    assert_bounds(fx, 1, 2);
}

static void a_segment_of_another_generation_is_refused(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 2);
    assert_int_equal(append_wrong(fx, GENERATION), RLOG_CONFLICT);
    assert_bounds(fx, 1, 2);
}

static void a_damaged_segment_is_refused(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 2);
    assert_int_equal(append_wrong(fx, DAMAGED), RLOG_CONFLICT);
    assert_int_equal(rlog_append(fx->log, fx->epoch, FLZ_VIEW_NULL, NULL), RLOG_CONFLICT);
    assert_bounds(fx, 1, 2);
}

static void the_same_segment_twice_is_a_conflict(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 1);
    assert_int_equal(
        rlog_append(fx->log, fx->epoch, flz_buf_view(&fx->chain.bytes), NULL), RLOG_CONFLICT);
    assert_bounds(fx, 1, 1);
}

static void a_refused_append_leaves_the_log_usable(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 1);
    for (int wrong = SEQ; wrong < RIGHT; wrong++)
        assert_int_equal(append_wrong(fx, (enum wrong)wrong), RLOG_CONFLICT);
    append_many(fx, 2);
    assert_bounds(fx, 1, 3);
    assert_verifies(fx);
}

static void a_segment_without_events_is_a_segment(void **state)
{
    struct fx *fx = *state;
    assert_int_equal(append(fx, 0), RLOG_OK);
    assert_bounds(fx, 1, 1);
    assert_int_equal(append(fx, 2), RLOG_OK);
    assert_int_equal(append(fx, 0), RLOG_OK);
    assert_int_equal(append(fx, 1), RLOG_OK);
    assert_int_equal(fx->chain.bounds.last_event, 3);
    reopen(fx);
    assert_bounds(fx, 1, 4);
    assert_verifies(fx);
}

static void a_large_segment_is_kept_whole(void **state)
{
    struct fx *fx = *state;
    struct flz_view bytes = chain_make(&fx->chain, 2000, 1000);
    assert_int_equal(rlog_append(fx->log, fx->epoch, bytes, NULL), RLOG_OK);
    chain_advance(&fx->chain);
    reopen(fx);
    assert_int_equal(rlog_read(fx->log, 1, on_same, fx, &fx->msg), RLOG_OK);
    assert_bounds(fx, 1, 1);
}

static void reading_begins_in_the_middle(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 9);
    assert_reads(fx, 0, 1, 9);
    assert_reads(fx, 1, 1, 9);
    assert_reads(fx, 5, 5, 9);
    assert_reads(fx, 9, 9, 9);
    assert_reads(fx, 10, 0, 0);
    assert_reads(fx, UINT64_MAX, 0, 0);
}

static void reading_ends_when_it_is_told_to(void **state)
{
    struct fx *fx = *state;
    struct seen seen = {.stop_at = 4};
    append_many(fx, 9);
    assert_int_equal(rlog_read(fx->log, 2, on_segment, &seen, &fx->msg), RLOG_OK);
    assert_int_equal(seen.first, 2);
    assert_int_equal(seen.last, 4);
}

static void reading_does_not_change_the_log(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 4);
    assert_reads(fx, 2, 2, 4);
    assert_bounds(fx, 1, 4);
    append_many(fx, 1);
    assert_reads(fx, 2, 2, 5);
}

static void resolve_tells_ones_own_append_from_others(void **state)
{
    struct fx *fx = *state;
    struct flz_id other = {.b = {9}};
    bool committed = true;
    assert_int_equal(rlog_resolve(fx->log, 1, other, &committed), RLOG_OK);
    assert_false(committed);
    append_many(fx, 2);
    assert_int_equal(rlog_resolve(fx->log, 2, fx->chain.header.nonce, &committed), RLOG_OK);
    assert_true(committed);
    assert_int_equal(rlog_resolve(fx->log, 1, fx->chain.header.nonce, &committed), RLOG_OK);
    assert_false(committed);
    assert_int_equal(rlog_resolve(fx->log, 2, other, &committed), RLOG_OK);
    assert_false(committed);
    assert_int_equal(rlog_resolve(fx->log, 3, fx->chain.header.nonce, &committed), RLOG_OK);
    assert_false(committed);
}

static void all_is_there_after_reopening(void **state)
{
    struct fx *fx = *state;
    struct rlog_bounds before, after;
    append_many(fx, 90); /* more than are checked at opening */
    assert_int_equal(rlog_bounds(fx->log, &before), RLOG_OK);
    reopen(fx);
    assert_int_equal(rlog_bounds(fx->log, &after), RLOG_OK);
    assert_memory_equal(&before, &after, sizeof before);
    assert_reads(fx, 0, 1, 90);
    assert_verifies(fx);
}

static void a_reopened_log_goes_on_where_it_ended(void **state)
{
    struct fx *fx = *state;
    for (int i = 0; i < 5; i++) {
        append_many(fx, 3);
        reopen(fx);
        become_writer(fx);
    }
    assert_bounds(fx, 1, 15);
    assert_verifies(fx);
}

static void after_reopening_the_old_writer_is_fenced(void **state)
{
    struct fx *fx = *state;
    uint64_t old = fx->epoch;
    append_many(fx, 2);
    reopen(fx);
    become_writer(fx);
    fx->epoch = old;
    assert_int_equal(append_wrong(fx, RIGHT), RLOG_FENCED);
}

static void trimming_moves_the_first_segment_up(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 10);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 4, &fx->msg), RLOG_OK);
    assert_bounds(fx, 4, 10);
    assert_reads(fx, 0, 4, 10);
    assert_reads(fx, 2, 4, 10);
    assert_reads(fx, 6, 6, 10);
    assert_verifies(fx);
    reopen(fx);
    assert_bounds(fx, 4, 10);
    assert_verifies(fx);
}

static void trimming_twice_is_trimming_once(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 6);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rlog_trim(fx->log, fx->epoch, 4, &fx->msg), RLOG_OK);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 2, &fx->msg), RLOG_OK);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 0, &fx->msg), RLOG_OK);
    assert_bounds(fx, 4, 6);
}

static void trimming_leaves_the_newest_segment(void **state)
{
    struct fx *fx = *state;
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 9, &fx->msg), RLOG_OK);
    append_many(fx, 6);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, UINT64_MAX, &fx->msg), RLOG_OK);
    assert_bounds(fx, 6, 6);
    append_many(fx, 2);
    reopen(fx);
    assert_bounds(fx, 6, 8);
    assert_verifies(fx);
}

static void a_trimmed_log_goes_on(void **state)
{
    struct fx *fx = *state;
    for (int i = 1; i <= 5; i++) {
        append_many(fx, 4);
        assert_int_equal(
            rlog_trim(fx->log, fx->epoch, (uint64_t)(4 * i - 1), &fx->msg), RLOG_OK);
        reopen(fx);
        become_writer(fx);
    }
    assert_bounds(fx, 19, 20);
    assert_verifies(fx);
}

static void resolve_of_a_trimmed_segment_is_no(void **state)
{
    struct fx *fx = *state;
    bool committed = true;
    append_many(fx, 1);
    struct flz_id nonce = fx->chain.header.nonce;
    append_many(fx, 4);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 3, &fx->msg), RLOG_OK);
    assert_int_equal(rlog_resolve(fx->log, 1, nonce, &committed), RLOG_OK);
    assert_false(committed);
}

static void what_is_trimmed_is_in_the_archive(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 12);
    assert_archived(fx, 0, 0, 0);
    trim(fx, 4);
    assert_archived(fx, 0, 1, 3);
    trim(fx, 9);
    assert_archived(fx, 0, 1, 8);
    assert_archived(fx, 5, 5, 8);
    assert_archived(fx, 9, 0, 0);
    reopen(fx);
    assert_archived(fx, 0, 1, 8);
    struct seen seen = {.stop_at = 2};
    assert_int_equal(rlog_read_archived(fx->log, 0, on_segment, &seen, &fx->msg), RLOG_OK);
    assert_int_equal(seen.last, 2);
}

static void archive_and_log_are_read_as_one(void **state)
{
    struct fx *fx = *state;
    assert_each(fx, 0, 0, 0);
    append_many(fx, 12);
    trim(fx, 4);
    trim(fx, 9);
    assert_each(fx, 0, 1, 12);
    assert_each(fx, 3, 3, 12);
    assert_each(fx, 8, 8, 12);
    assert_each(fx, 9, 9, 12);
    assert_each(fx, 13, 0, 0);
    struct seen seen = {.stop_at = 10};
    assert_int_equal(rlog_each(fx->log, 2, on_segment, &seen, &fx->msg), RLOG_OK);
    assert_int_equal(seen.last, 10);
    assert_int_equal(seen.count, 9);
}

/* The mark is what the next segment follows. */
static void the_bounds_say_what_was_trimmed(void **state)
{
    struct fx *fx = *state;
    struct rlog_bounds bounds;
    append_many(fx, 5);
    struct rlog_mark mark = rlog_mark_of(&fx->chain.header);
    append_many(fx, 3);
    trim(fx, 6);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
        assert_int_equal(bounds.trimmed.seq, 5);
        assert_int_equal(bounds.trimmed.last_event, mark.last_event);
        assert_int_equal(bounds.trimmed.epoch, mark.epoch);
        assert_true(flz_digest_equal(bounds.trimmed.digest, mark.digest));
        assert_int_equal(bounds.forgotten.seq, 0);
        reopen(fx);
    }
}

/* Segment n of a chain is of the time 1000 n. */
static void old_files_are_forgotten(void **state)
{
    struct fx *fx = *state;
    struct rlog_bounds bounds;
    append_many(fx, 12);
    for (uint64_t below = 4; below <= 10; below += 3)
        trim(fx, below);
    assert_int_equal(rlog_forget(fx->log, fx->epoch, 1000, &fx->msg), RLOG_OK);
    assert_archived(fx, 0, 1, 9);
    assert_int_equal(rlog_forget(fx->log, fx->epoch, 6001, &fx->msg), RLOG_OK);
    for (int i = 0; i < 2; i++) {
        assert_archived(fx, 0, 7, 9);
        assert_each(fx, 0, 7, 12);
        assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
        assert_int_equal(bounds.forgotten.seq, 6);
        assert_verifies(fx);
        reopen(fx);
    }
    become_writer(fx);
    assert_int_equal(rlog_forget(fx->log, fx->epoch, INT64_MAX, &fx->msg), RLOG_OK);
    assert_archived(fx, 0, 0, 0);
    assert_each(fx, 0, 10, 12);
    assert_bounds(fx, 10, 12);
    assert_verifies(fx);
}

static void an_old_epoch_forgets_nothing(void **state)
{
    struct fx *fx = *state;
    uint64_t old = fx->epoch;
    append_many(fx, 5);
    trim(fx, 4);
    become_writer(fx);
    assert_int_equal(rlog_forget(fx->log, old, INT64_MAX, &fx->msg), RLOG_FENCED);
    assert_archived(fx, 0, 1, 3);
}

static int on_holder(const struct segment *segment, struct flz_view bytes, void *data)
{
    uint64_t *event = data;
    (void)bytes;
    if (segment->first_event + segment->count <= *event)
        return 0;
    *event = segment->first_event <= *event ? 0 : *event;
    return 1;
}

static void assert_finds(struct fx *fx, uint64_t event)
{
    uint64_t seq = 0;
    assert_int_equal(rlog_find_event(fx->log, event, &seq, &fx->msg), RLOG_OK);
    assert_true(seq > 0);
    assert_int_equal(rlog_each(fx->log, seq, on_holder, &event, &fx->msg), RLOG_OK);
    assert_int_equal(event, 0);
}

static void every_event_is_found_wherever_it_is(void **state)
{
    struct fx *fx = *state;
    uint64_t seq = 9;
    assert_int_equal(rlog_find_event(fx->log, 1, &seq, &fx->msg), RLOG_OK);
    assert_int_equal(seq, 0);
    for (uint32_t i = 0; i < 60; i++) /* some have no event */
        assert_int_equal(append(fx, i % 4), RLOG_OK);
    uint64_t events = fx->chain.bounds.last_event;
    for (uint64_t event = 1; event <= events; event++)
        assert_finds(fx, event);
    trim(fx, 10);
    trim(fx, 31);
    assert_int_equal(rlog_forget(fx->log, fx->epoch, 10000, &fx->msg), RLOG_OK);
    struct rlog_bounds bounds;
    assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
    assert_int_equal(bounds.forgotten.seq, 9);
    for (uint64_t event = bounds.forgotten.last_event + 1; event <= events; event++)
        assert_finds(fx, event);
    assert_int_equal(rlog_find_event(fx->log, bounds.forgotten.last_event, &seq, &fx->msg),
                     RLOG_OK);
    assert_int_equal(seq, 0);
    assert_int_equal(rlog_find_event(fx->log, events + 1, &seq, &fx->msg), RLOG_OK);
    assert_int_equal(seq, 0);
}

/* Ten segments, some hundred bytes each. */
static void what_is_old_is_trimmed_some_at_a_time(void **state)
{
    struct fx *fx = *state;
    struct rlog_keep keep = {.before = 8000, .bytes_max = 1000};
    bool more = false;
    int chunks = 0;
    append_many(fx, 10);
    do {
        assert_int_equal(rlog_trim_old(fx->log, fx->epoch, &keep, &more, &fx->msg), RLOG_OK);
        chunks++;
        assert_verifies(fx);
    } while (more);
    assert_true(chunks > 1 && chunks < 7);
    assert_bounds(fx, 8, 10); /* 8 is of the time 8000 */
    keep = (struct rlog_keep){.before = INT64_MAX, .bytes_max = 1};
    assert_int_equal(rlog_trim_old(fx->log, fx->epoch, &keep, &more, &fx->msg), RLOG_OK);
    assert_bounds(fx, 9, 10);
    assert_true(more);
    assert_int_equal(rlog_trim_old(fx->log, fx->epoch - 1, &keep, &more, &fx->msg), RLOG_FENCED);
    assert_each(fx, 0, 1, 10);
}

static void verifying_ends_when_it_is_told_to(void **state)
{
    struct fx *fx = *state;
    atomic_bool stop = true;
    struct rlog_bounds bounds = {.last = 77};
    append_many(fx, 3);
    assert_int_equal(rlog_verify_until(fx->log, &stop, &bounds, &fx->msg), RLOG_UNAVAILABLE);
    assert_int_equal(bounds.last, 77);
    atomic_store(&stop, false);
    assert_int_equal(rlog_verify_until(fx->log, &stop, &bounds, &fx->msg), RLOG_OK);
    assert_int_equal(bounds.last, 3);
    assert_true(flz_digest_equal(bounds.head, fx->chain.bounds.head));
}

/* Whatever was trimmed, forgotten, and when it was opened again: all that is kept is there. */
static void history_is_whole_whatever_is_done_to_it(void **state)
{
    struct fx *fx = *state;
    struct flz_rng rng;
    struct rlog_bounds bounds;
    flz_rng_init(&rng, flz_view_str("history"), 7);
    for (int i = 0; i < 150; i++) {
        uint64_t last = fx->chain.bounds.last;
        switch (flz_rng_below(&rng, 5)) {
        case 0: trim(fx, last > 0 ? 1 + flz_rng_below(&rng, last) : 0); break;
        case 1:
            assert_int_equal(rlog_forget(fx->log, fx->epoch,
                                         (int64_t)flz_rng_below(&rng, 500 * last + 1), &fx->msg),
                             RLOG_OK);
            break;
        case 2:
            reopen(fx);
            become_writer(fx);
            break;
        default: append_many(fx, 3); break;
        }
        assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
        assert_true(bounds.forgotten.seq <= bounds.trimmed.seq);
        if (bounds.last > 0)
            assert_int_equal(bounds.first, bounds.trimmed.seq + 1);
        assert_each(fx, 0, bounds.last > 0 ? bounds.forgotten.seq + 1 : 0, bounds.last);
        assert_verifies(fx);
    }
    assert_true(bounds.forgotten.seq > 0);
}

static void a_new_generation_refuses_the_old_one(void **state)
{
    struct fx *fx = *state;
    struct flz_id old = fx->chain.bounds.generation;
    append_many(fx, 3);
    reopen(fx);
    new_generation(fx);
    become_writer(fx);
    assert_false(flz_id_equal(fx->chain.bounds.generation, old));
    assert_int_equal(append_wrong(fx, GENERATION), RLOG_CONFLICT);
    append_many(fx, 2);
    assert_bounds(fx, 1, 5);
    assert_verifies(fx);
}

static void a_new_generation_outlives_reopening(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 1);
    new_generation(fx);
    become_writer(fx);
    struct flz_id generation = fx->chain.bounds.generation;
    reopen(fx);
    become_writer(fx);
    assert_true(flz_id_equal(fx->chain.bounds.generation, generation));
    append_many(fx, 1);
}

static void results_have_names(void **state)
{
    (void)state;
    assert_string_equal(rlog_result_str(RLOG_OK), "ok");
    for (int i = RLOG_OK; i <= RLOG_CORRUPT; i++)
        assert_string_not_equal(rlog_result_str((enum rlog_result)i), "?");
    assert_string_equal(rlog_result_str((enum rlog_result)99), "?");
}

/* ---- Damage ---- */

static void raw_get(struct fx *fx, uint64_t seq, struct flz_buf *bytes)
{
    uint8_t key[8];
    flz_put_be64(key, seq);
    assert_int_equal(store_get(fx->store, LOG, (struct flz_view){key, 8}, bytes), 0);
}

static void raw_put(struct fx *fx, size_t family, struct flz_view key, const struct flz_view *value)
{
    store_batch_clear(fx->rider);
    if (value)
        store_put(fx->rider, family, key, *value);
    else
        store_delete(fx->rider, family, key);
    assert_int_equal(store_write(fx->store, fx->rider, true), 0);
}

static void raw_log(struct fx *fx, uint64_t seq, const struct flz_view *value)
{
    uint8_t key[8];
    flz_put_be64(key, seq);
    raw_put(fx, LOG, (struct flz_view){key, 8}, value);
}

static void damage(struct fx *fx, uint64_t seq, size_t byte)
{
    if (fx->is_model) {
        assert_int_equal(rlog_model_flip(fx->model, seq, byte, 3), 0);
        return;
    }
    struct flz_buf bytes = FLZ_BUF_NULL;
    raw_get(fx, seq, &bytes);
    bytes.data[byte] ^= 8;
    struct flz_view view = flz_buf_view(&bytes);
    raw_log(fx, seq, &view);
    flz_buf_deinit(&bytes);
}

static void drop(struct fx *fx, uint64_t seq)
{
    if (fx->is_model)
        assert_int_equal(rlog_model_drop(fx->model, seq), 0);
    else
        raw_log(fx, seq, NULL);
}

static void assert_names(struct fx *fx, enum rlog_result result, const char *name)
{
    assert_int_equal(result, RLOG_CORRUPT);
    if (!strstr(fx->msg.text, name))
        fail_msg("\"%s\" lacks \"%s\"", fx->msg.text, name);
}

static void verify_names_the_first_damaged_segment(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 9);
    damage(fx, 7, 140);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), "segment 7 ");
    damage(fx, 3, 0);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), "segment 3 ");
    damage(fx, 1, 100);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), "segment 1 ");
}

static void verify_names_a_missing_segment(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 9);
    drop(fx, 9);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), "segment 9 ");
    drop(fx, 5);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), "segment 5 ");
    drop(fx, 1);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), "segment 1 ");
}

static void reading_stops_at_damage(void **state)
{
    struct fx *fx = *state;
    struct seen seen = {.first = 0};
    append_many(fx, 9);
    damage(fx, 6, 50);
    assert_names(fx, rlog_read(fx->log, 2, on_segment, &seen, &fx->msg), "segment 6 ");
    assert_int_equal(seen.last, 5);
    seen = (struct seen){.first = 0};
    assert_int_equal(rlog_read(fx->log, 7, on_segment, &seen, &fx->msg), RLOG_OK);
    drop(fx, 8);
    seen = (struct seen){.first = 0};
    assert_names(fx, rlog_read(fx->log, 7, on_segment, &seen, &fx->msg), "segment 8 ");
    assert_int_equal(seen.last, 7);
}

static void resolve_of_a_damaged_segment_is_corrupt(void **state)
{
    struct fx *fx = *state;
    bool committed;
    append_many(fx, 2);
    damage(fx, 2, 60);
    assert_int_equal(
        rlog_resolve(fx->log, 2, fx->chain.header.nonce, &committed), RLOG_CORRUPT);
}

static void what_is_damaged_is_not_trimmed(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 6);
    damage(fx, 3, 60);
    assert_names(fx, rlog_trim(fx->log, fx->epoch, 5, &fx->msg), "segment 3 ");
    assert_bounds(fx, 1, 6);
    assert_reads(fx, 4, 4, 6);
}

/* ---- Embedded only ---- */

static void assert_no_open(struct fx *fx, const char *name)
{
    fx->log = rlog_close(fx->log);
    fx->msg = FLZ_MSG_NULL;
    assert_int_equal(try_open(fx), -EUCLEAN);
    fx->log = NULL;
    if (!strstr(fx->msg.text, name))
        fail_msg("\"%s\" lacks \"%s\"", fx->msg.text, name);
}

static void opening_names_damage_in_the_newest_segments(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 80);
    damage(fx, 80, 60);
    assert_no_open(fx, "segment 80 ");
    damage(fx, 30, 60);
    assert_no_open(fx, "segment 30 ");
}

static void opening_names_a_missing_segment(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 20);
    drop(fx, 11);
    assert_no_open(fx, "segment 11 ");
}

static void opening_refuses_a_segment_of_another_log(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 5);
    struct chain odd = {.bounds = fx->chain.bounds};
    odd.bounds.head.b[0] ^= 1;
    struct flz_view bytes = chain_make(&odd, 1, 20);
    raw_log(fx, 6, &bytes);
    chain_deinit(&odd);
    assert_no_open(fx, "segment 6 ");
}

static void opening_refuses_lost_meta_data(void **state)
{
    struct fx *fx = *state;
    struct flz_buf value = FLZ_BUF_NULL;
    append_many(fx, 2);
    assert_int_equal(store_get(fx->store, META, flz_view_str("epoch"), &value), 0);
    struct flz_view view = flz_buf_view(&value), cut = {view.data, 7};
    raw_put(fx, META, flz_view_str("epoch"), &cut);
    assert_no_open(fx, "epoch");
    raw_put(fx, META, flz_view_str("epoch"), NULL);
    assert_no_open(fx, "epoch");
    raw_put(fx, META, flz_view_str("epoch"), &view);
    raw_put(fx, META, flz_view_str("generation"), NULL);
    assert_no_open(fx, "generation");
    flz_buf_deinit(&value);
}

static void add_row(struct fx *fx, const char *key)
{
    store_put(fx->rider, ROWS, flz_view_str(key), flz_view_str("1"));
}

static bool has_row(struct fx *fx, const char *key)
{
    struct flz_buf value = FLZ_BUF_NULL;
    int r = store_get(fx->store, ROWS, flz_view_str(key), &value);
    flz_buf_deinit(&value);
    return r == 0;
}

static void the_rider_is_written_with_its_segment_only(void **state)
{
    struct fx *fx = *state;
    add_row(fx, "a");
    struct flz_view bytes = chain_make(&fx->chain, 1, 20);
    assert_int_equal(rlog_append(fx->log, fx->epoch, bytes, fx->rider), RLOG_OK);
    assert_int_equal(store_batch_count(fx->rider), 1);
    assert_true(has_row(fx, "a"));
    store_batch_clear(fx->rider);
    add_row(fx, "b");
    assert_int_equal(rlog_append(fx->log, fx->epoch, bytes, fx->rider), RLOG_CONFLICT);
    assert_int_equal(rlog_append(fx->log, fx->epoch + 1, bytes, fx->rider), RLOG_FENCED);
    assert_false(has_row(fx, "b"));
    reopen(fx);
    assert_true(has_row(fx, "a"));
    assert_false(has_row(fx, "b"));
}

static bool archive_has(struct fx *fx, const char *part)
{
    char path[600];
    return tree_find(fx->archive, part, path, sizeof path);
}

static void put_file(struct fx *fx, const char *name)
{
    char path[700];
    (void)snprintf(path, sizeof path, "%s/%s", fx->archive, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("half", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#define NAME(first, last) "000000000000000000" first "-000000000000000000" last ".segments"

static void without_an_archive_trimmed_segments_are_dropped(void **state)
{
    struct fx *fx = *state;
    struct rlog_bounds bounds;
    append_many(fx, 5);
    fx->log = rlog_close(fx->log);
    struct rlog_embedded_options options = embedded_options(fx);
    options.archive = NULL;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rlog_embedded_open(&options, &fx->log, &fx->msg), 0);
        become_writer(fx);
        trim(fx, 4);
        assert_bounds(fx, 4, 5);
        assert_archived(fx, 0, 0, 0);
        assert_each(fx, 0, 4, 5);
        assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
        assert_int_equal(bounds.forgotten.seq, 3);
        assert_verifies(fx);
        fx->log = rlog_close(fx->log);
    }
}

/* As after a crash: a file half written, a file whose segments are still in the log, a file that
 * was forgotten. */
static void what_a_crash_left_is_swept_at_opening(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 12);
    trim(fx, 3);
    trim(fx, 6);
    assert_int_equal(rlog_forget(fx->log, fx->epoch, 2001, &fx->msg), RLOG_OK);
    put_file(fx, NAME("06", "07") ".new-xyz");
    put_file(fx, NAME("06", "09"));
    put_file(fx, NAME("01", "02"));
    put_file(fx, NAME("06", "40")); /* of a later time than a restored store */
    put_file(fx, "README");
    reopen(fx);
    assert_false(archive_has(fx, ".segments.new-"));
    assert_false(archive_has(fx, NAME("06", "09")));
    assert_false(archive_has(fx, NAME("01", "02")));
    assert_true(archive_has(fx, NAME("03", "05")));
    assert_true(archive_has(fx, NAME("06", "40")));
    assert_true(archive_has(fx, "README"));
    assert_each(fx, 0, 3, 12);
    assert_verifies(fx);
}

static void forgotten_files_are_gone(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 12);
    trim(fx, 3);
    trim(fx, 6);
    assert_true(archive_has(fx, NAME("01", "02")));
    assert_int_equal(rlog_forget(fx->log, fx->epoch, 2001, &fx->msg), RLOG_OK);
    assert_false(archive_has(fx, NAME("01", "02")));
    assert_true(archive_has(fx, NAME("03", "05")));
}

static void path_in_archive(struct fx *fx, const char *name, char path[static 600])
{
    assert_true(tree_find(fx->archive, name, path, 600));
}

/* Names the first bad segment, and delivers nothing of the file it is in. */
static void assert_archive_damage(struct fx *fx, const char *name, uint64_t last_good)
{
    struct seen seen = {.first = 0};
    assert_names(fx, rlog_each(fx->log, 0, on_segment, &seen, &fx->msg), name);
    assert_int_equal(seen.last, last_good);
    assert_names(fx, rlog_verify(fx->log, &fx->msg), name);
}

static void the_archive_names_its_first_damage(void **state)
{
    struct fx *fx = *state;
    char path[600];
    append_many(fx, 12);
    for (uint64_t below = 4; below <= 10; below += 3)
        trim(fx, below);
    path_in_archive(fx, NAME("04", "06"), path);
    tree_flip(path, 60, 2);
    assert_archive_damage(fx, NAME("04", "06") ": segment 4 ", 3);
    tree_flip(path, 60, 2);
    tree_flip(path, 400, 2);
    assert_archive_damage(fx, NAME("04", "06") ": segment 5 ", 3);
    tree_flip(path, 400, 2);
    assert_verifies(fx);
    assert_int_equal(truncate(path, 100), 0);
    assert_archive_damage(fx, NAME("04", "06") ": segment 4 ", 3);
    assert_int_equal(unlink(path), 0);
    assert_archive_damage(fx, NAME("04", "06") ": segment 4 is missing", 3);
}

/* Whole and chained in itself, but another history. */
static void a_forged_file_is_damage(void **state)
{
    struct fx *fx = *state;
    struct flz_buf forged = FLZ_BUF_NULL;
    struct chain odd = {.nonce = 5000};
    char path[600];
    append_many(fx, 6);
    odd.bounds = fx->chain.bounds;
    odd.bounds.last = odd.bounds.last_event = 0;
    odd.bounds.head = (struct flz_digest){.b = {0}};
    trim(fx, 4);
    for (int i = 0; i < 3; i++) {
        struct flz_view bytes = chain_make(&odd, 2, 20);
        flz_buf_add_be32(&forged, (uint32_t)bytes.len);
        flz_buf_add_view(&forged, bytes);
        chain_advance(&odd);
    }
    path_in_archive(fx, NAME("01", "03"), path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(forged.data, 1, forged.len, file), forged.len);
    assert_int_equal(fclose(file), 0);
    assert_archive_damage(fx, "segment 1 and those after it are not those", 0);
    flz_buf_deinit(&forged);
    chain_deinit(&odd);
}

static void assert_opens_with(struct fx *fx, const char *name)
{
    fx->log = rlog_close(fx->log);
    fx->msg = FLZ_MSG_NULL;
    assert_int_equal(try_open(fx), RLOG_E_ARCHIVE);
    if (!strstr(fx->msg.text, name))
        fail_msg("\"%s\" lacks \"%s\"", fx->msg.text, name);
    become_writer(fx); /* the log itself is good */
    append_many(fx, 1);
}

static void opening_names_what_the_archive_lacks(void **state)
{
    struct fx *fx = *state;
    char path[600];
    append_many(fx, 12);
    for (uint64_t below = 4; below <= 10; below += 3)
        trim(fx, below);
    path_in_archive(fx, NAME("07", "09"), path);
    tree_flip(path, 60, 2); /* the newest one is read whole */
    assert_opens_with(fx, NAME("07", "09") ": segment 7 ");
    tree_flip(path, 60, 2);
    path_in_archive(fx, NAME("04", "06"), path);
    assert_int_equal(truncate(path, 100), 0);
    assert_opens_with(fx, NAME("04", "06"));
    path_in_archive(fx, NAME("01", "03"), path);
    assert_int_equal(unlink(path), 0);
    assert_opens_with(fx, NAME("01", "03"));
}

static void opening_names_a_lost_row_of_the_archive(void **state)
{
    struct fx *fx = *state;
    uint8_t key[16] = "archive/";
    append_many(fx, 12);
    for (uint64_t below = 4; below <= 10; below += 3)
        trim(fx, below);
    flz_put_be64(key + 8, 6);
    raw_put(fx, META, (struct flz_view){key, 16}, NULL);
    assert_opens_with(fx, "segment 4 is missing");
    assert_archive_damage(fx, "segment 4 is missing", 3);
    flz_put_be64(key + 8, 9);
    struct flz_view bad = flz_view_str("?");
    raw_put(fx, META, (struct flz_view){key, 16}, &bad);
    assert_opens_with(fx, "segment 4");
}

static void opening_names_a_lost_beginning(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 90);
    drop(fx, 1);
    assert_no_open(fx, "segment 1 ");
}

static void opening_names_a_lost_beginning_after_a_trim(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 90);
    trim(fx, 8);
    drop(fx, 8);
    assert_no_open(fx, "segment 8 ");
    for (uint64_t seq = 9; seq <= 90; seq++)
        drop(fx, seq);
    assert_no_open(fx, "segment 8 ");
}

/* The first segment kept must follow the last one trimmed. */
static void opening_refuses_a_beginning_of_another_log(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 5);
    struct chain odd = {.bounds = fx->chain.bounds};
    append_many(fx, 1);
    trim(fx, 6);
    odd.bounds.head.b[0] ^= 1;
    struct flz_view bytes = chain_make(&odd, 1, 20);
    raw_log(fx, 6, &bytes);
    chain_deinit(&odd);
    assert_no_open(fx, "segment 6 ");
}

static void an_archive_that_cannot_be_written_trims_nothing(void **state)
{
    struct fx *fx = *state;
    append_many(fx, 9);
    FILE *file = fopen(fx->archive, "we"); /* a file where the folder should be */
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 5, &fx->msg), RLOG_UNAVAILABLE);
    assert_true(fx->msg.text[0] != '\0');
    assert_bounds(fx, 1, 9);
    assert_int_equal(unlink(fx->archive), 0);
    trim(fx, 5);
    assert_archived(fx, 0, 1, 4);
}

struct reader {
    struct rlog *log;
    atomic_bool end;
    int walks, wrong;
    struct flz_msg msg;
};

static int on_oldest(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)segment;
    (void)bytes;
    (void)data;
    return 1;
}

static void *walk_again_and_again(void *data)
{
    struct reader *reader = data;
    while (!atomic_load(&reader->end)) {
        bool is_whole = reader->walks++ % 50 == 0;
        enum rlog_result result =
            is_whole ? rlog_verify(reader->log, &reader->msg)
                     : rlog_read(reader->log, 0, on_oldest, NULL, &reader->msg);
        if (!is_whole && result == RLOG_OK)
            result = rlog_each(reader->log, 0, on_oldest, NULL, &reader->msg);
        reader->wrong += result != RLOG_OK;
    }
    return NULL;
}

static void what_is_trimmed_meanwhile_is_not_missing(void **state)
{
    struct fx *fx = *state;
    struct reader reader = {.log = fx->log};
    pthread_t thread;
    append_many(fx, 200);
    assert_int_equal(pthread_create(&thread, NULL, walk_again_and_again, &reader), 0);
    for (uint64_t below = 2; below <= 200; below++) {
        trim(fx, below);
        if (below > 20)
            assert_int_equal(rlog_forget(fx->log, fx->epoch, 1000 * (int64_t)(below - 20),
                                         &fx->msg), RLOG_OK);
    }
    atomic_store(&reader.end, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reader.walks > 0);
    if (reader.wrong > 0)
        fail_msg("%d of %d: %s", reader.wrong, reader.walks, reader.msg.text);
}

static void a_large_trim_makes_bounded_files(void **state)
{
    struct fx *fx = *state;
    char path[600];
    for (int i = 0; i < 14; i++) {
        struct flz_view bytes = chain_make(&fx->chain, 4000, 1000);
        assert_int_equal(rlog_append(fx->log, fx->epoch, bytes, NULL), RLOG_OK);
        chain_advance(&fx->chain);
    }
    assert_verifies(fx);
    trim(fx, 14);
    assert_bounds(fx, 14, 14);
    assert_verifies(fx);
    assert_false(tree_find(fx->archive, "00000000000000000001-00000000000000000013", path,
                           sizeof path));
    assert_true(tree_find(fx->archive, "-00000000000000000013.segments", path, sizeof path));
}

/* ---- Model only ---- */

static void two_coordinators_fence_each_other(void **state)
{
    struct fx *fx = *state;
    struct rlog *other;
    uint64_t epoch;
    append_many(fx, 2);
    assert_int_equal(rlog_model_open(fx->model, &other), 0);
    assert_int_equal(rlog_campaign(other, "other", &epoch, &fx->msg), RLOG_OK);
    assert_int_equal(append(fx, 1), RLOG_FENCED);
    assert_int_equal(rlog_renew(fx->log, fx->epoch), RLOG_FENCED);
    struct chain chain = {.nonce = 500};
    assert_int_equal(rlog_bounds(other, &chain.bounds), RLOG_OK);
    assert_int_equal(rlog_append(other, epoch, chain_make(&chain, 1, 20), NULL), RLOG_OK);
    chain_advance(&chain);
    chain_deinit(&chain);
    (void)rlog_close(other);
    become_writer(fx);
    append_many(fx, 1);
    assert_bounds(fx, 1, 4);
    assert_verifies(fx);
}

static void a_script_is_met_in_its_order(void **state)
{
    struct fx *fx = *state;
    static const enum rlog_model_fault script[] = {
        RLOG_MODEL_CONFLICT, RLOG_MODEL_UNAVAILABLE, RLOG_MODEL_FULL,   RLOG_MODEL_CORRUPT,
        RLOG_MODEL_NONE,     RLOG_MODEL_UNKNOWN_LOST, RLOG_MODEL_FENCED};
    static const enum rlog_result results[] = {RLOG_CONFLICT, RLOG_UNAVAILABLE, RLOG_FULL,
                                               RLOG_CORRUPT,  RLOG_OK,          RLOG_UNKNOWN,
                                               RLOG_FENCED};
    assert_int_equal(rlog_model_script(fx->model, script, 7), 0);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(append(fx, 1), results[i]);
    assert_bounds(fx, 1, 1);
    assert_int_equal(append(fx, 1), RLOG_FENCED); /* the other writer's epoch stays */
    become_writer(fx);
    append_many(fx, 1);
    assert_int_equal(rlog_model_met(fx->model, RLOG_MODEL_FULL), 1);
}

static void an_unknown_outcome_is_resolved(void **state)
{
    struct fx *fx = *state;
    static const enum rlog_model_fault script[] = {
        RLOG_MODEL_UNKNOWN_DONE, RLOG_MODEL_UNKNOWN_BARE, RLOG_MODEL_UNKNOWN_LOST};
    uint64_t riders = 0;
    assert_int_equal(rlog_model_script(fx->model, script, 3), 0);
    for (int i = 0; i < 3; i++) {
        bool committed = i == 2;
        struct flz_view bytes = chain_make(&fx->chain, 1, 20);
        assert_int_equal(rlog_append(fx->log, fx->epoch, bytes, fx->rider), RLOG_UNKNOWN);
        assert_int_equal(rlog_resolve(fx->log, fx->chain.header.seq, fx->chain.header.nonce,
                                      &committed), RLOG_OK);
        assert_int_equal(committed, i < 2);
        if (committed)
            chain_advance(&fx->chain);
        riders += i == 0;
        assert_int_equal(rlog_model_riders(fx->model), riders);
    }
    append_many(fx, 1);
    assert_bounds(fx, 1, 3);
    assert_verifies(fx);
}

static void a_log_that_is_away_does_nothing(void **state)
{
    struct fx *fx = *state;
    struct rlog_bounds bounds;
    struct seen seen = {.first = 0};
    uint64_t epoch = 77;
    bool committed;
    append_many(fx, 3);
    rlog_model_away(fx->model, 8);
    assert_int_equal(rlog_campaign(fx->log, "x", &epoch, &fx->msg), RLOG_UNAVAILABLE);
    assert_int_equal(epoch, 77);
    assert_int_equal(append(fx, 1), RLOG_UNAVAILABLE);
    assert_int_equal(rlog_renew(fx->log, fx->epoch), RLOG_UNAVAILABLE);
    assert_int_equal(rlog_resolve(fx->log, 1, fx->chain.header.nonce, &committed),
                     RLOG_UNAVAILABLE);
    assert_int_equal(rlog_read(fx->log, 0, on_segment, &seen, &fx->msg), RLOG_UNAVAILABLE);
    assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_UNAVAILABLE);
    assert_int_equal(rlog_trim(fx->log, fx->epoch, 2, &fx->msg), RLOG_UNAVAILABLE);
    assert_int_equal(rlog_verify(fx->log, &fx->msg), RLOG_UNAVAILABLE);
    assert_bounds(fx, 1, 3);
    append_many(fx, 1);
}

/* A writer that does as it should, among all faults: what it believes committed is the log. */
static void among_all_faults_nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rlog_model_options options = {
            .seed = seed, .per_mille = {[RLOG_MODEL_FENCED] = 60, 60, 60, 60, 60, 60, 60, 60}};
        struct fx fx = {.is_model = true};
        assert_int_equal(rlog_model_new(&options, &fx.model), 0);
        assert_int_equal(rlog_model_open(fx.model, &fx.log), 0);
        become_writer(&fx);
        for (int i = 0; i < 500; i++) {
            bool committed = false;
            enum rlog_result result = append(&fx, 1);
            if (result == RLOG_UNKNOWN) {
                assert_int_equal(rlog_resolve(fx.log, fx.chain.header.seq, fx.chain.header.nonce,
                                              &committed), RLOG_OK);
                if (committed)
                    chain_advance(&fx.chain);
            } else if (result == RLOG_FENCED) {
                become_writer(&fx);
            }
            assert_bounds(&fx, fx.chain.bounds.last > 0, fx.chain.bounds.last);
        }
        assert_verifies(&fx);
        for (int fault = 0; fault < RLOG_MODEL_FAULTS; fault++)
            assert_true(rlog_model_met(fx.model, (enum rlog_model_fault)fault) > 0);
        rlog_model_calm(fx.model);
        append_many(&fx, 10);
        (void)rlog_close(fx.log);
        (void)rlog_model_free(fx.model);
        chain_deinit(&fx.chain);
    }
}

#define embedded(name) {"embedded: " #name, name, set_up_embedded, tear_down, NULL}
#define model(name) {"model: " #name, name, set_up_model, tear_down, NULL}
#define both(name) embedded(name), model(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        both(a_new_log_is_empty),
        both(a_campaign_makes_a_higher_epoch),
        both(an_epoch_is_never_given_twice_across_reopening),
        both(a_campaign_needs_no_segment_to_fence),
        both(renew_tells_who_is_the_writer),
        both(an_old_epoch_is_fenced_whatever_it_writes),
        both(an_old_epoch_trims_nothing),
        both(appended_segments_are_read_in_order),
        both(what_is_read_is_what_was_appended),
        both(segments_are_dense),
        both(segments_are_chained),
        both(events_are_dense),
        both(a_segment_of_another_epoch_is_refused),
        both(a_segment_of_another_generation_is_refused),
        both(a_damaged_segment_is_refused),
        both(the_same_segment_twice_is_a_conflict),
        both(a_refused_append_leaves_the_log_usable),
        both(a_segment_without_events_is_a_segment),
        both(a_large_segment_is_kept_whole),
        both(reading_begins_in_the_middle),
        both(reading_ends_when_it_is_told_to),
        both(reading_does_not_change_the_log),
        both(resolve_tells_ones_own_append_from_others),
        both(all_is_there_after_reopening),
        both(a_reopened_log_goes_on_where_it_ended),
        both(after_reopening_the_old_writer_is_fenced),
        both(trimming_moves_the_first_segment_up),
        both(trimming_twice_is_trimming_once),
        both(trimming_leaves_the_newest_segment),
        both(a_trimmed_log_goes_on),
        both(resolve_of_a_trimmed_segment_is_no),
        both(what_is_trimmed_is_in_the_archive),
        both(archive_and_log_are_read_as_one),
        both(the_bounds_say_what_was_trimmed),
        both(old_files_are_forgotten),
        both(an_old_epoch_forgets_nothing),
        both(every_event_is_found_wherever_it_is),
        both(what_is_old_is_trimmed_some_at_a_time),
        both(verifying_ends_when_it_is_told_to),
        both(history_is_whole_whatever_is_done_to_it),
        both(a_new_generation_refuses_the_old_one),
        both(a_new_generation_outlives_reopening),
        both(results_have_names),
        both(verify_names_the_first_damaged_segment),
        both(verify_names_a_missing_segment),
        both(reading_stops_at_damage),
        both(resolve_of_a_damaged_segment_is_corrupt),
        both(what_is_damaged_is_not_trimmed),
        embedded(opening_names_damage_in_the_newest_segments),
        embedded(opening_names_a_missing_segment),
        embedded(opening_refuses_a_segment_of_another_log),
        embedded(opening_refuses_lost_meta_data),
        embedded(the_rider_is_written_with_its_segment_only),
        embedded(without_an_archive_trimmed_segments_are_dropped),
        embedded(what_a_crash_left_is_swept_at_opening),
        embedded(forgotten_files_are_gone),
        embedded(the_archive_names_its_first_damage),
        embedded(a_forged_file_is_damage),
        embedded(opening_names_what_the_archive_lacks),
        embedded(opening_names_a_lost_row_of_the_archive),
        embedded(opening_names_a_lost_beginning),
        embedded(opening_names_a_lost_beginning_after_a_trim),
        embedded(opening_refuses_a_beginning_of_another_log),
        embedded(an_archive_that_cannot_be_written_trims_nothing),
        embedded(what_is_trimmed_meanwhile_is_not_missing),
        embedded(a_large_trim_makes_bounded_files),
        model(two_coordinators_fence_each_other),
        model(a_script_is_met_in_its_order),
        model(an_unknown_outcome_is_resolved),
        model(a_log_that_is_away_does_nothing),
        model(among_all_faults_nothing_is_lost_or_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
