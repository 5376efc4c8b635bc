/*
 * The committer over the model log: what it tells, in which order, and what it does when the log
 * answers other than OK. The numbers are those of DESIGN 10: I3 what is told is in the log, I17 the
 * log is dense.
 */
#include "common/base/cleanup.h"
#include "common/base/rng.h"
#include "coordinator/rlog/committer.h"
#include "coordinator/rlog/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define TOLD_MAX 512

struct told {
    uint64_t group;
    uint64_t last_event;
    uint64_t segments; /* in the log, when it was told */
};

struct fx {
    uv_loop_t loop;
    struct rlog_model *model;
    struct rlog *log;
    struct committer *committer;
    struct told told[TOLD_MAX];
    size_t told_count;
    enum rlog_result lost;
    int losses;
    int closes;
    int close_answer;
    void (*on_first_close)(struct fx *fx); /* while the first group is under way */
    uint64_t noted;                        /* by on_first_close */
    bool rows_on_close;
    size_t rows; /* that riders brought into the model */
    uint64_t added;
    struct committer_kept kept;
    int keeps;
};

/* ---- What is told ---- */

static struct rlog_bounds bounds_of(struct fx *fx)
{
    struct rlog_bounds bounds;
    assert_int_equal(rlog_bounds(fx->log, &bounds), RLOG_OK);
    return bounds;
}

static int on_close(struct store_batch *rider, void *data)
{
    struct fx *fx = data;
    if (fx->closes++ == 0 && fx->on_first_close)
        fx->on_first_close(fx);
    if (fx->rows_on_close)
        store_put(rider, 0, flz_view_str("row"), flz_view_str("value"));
    return fx->close_answer;
}

static void on_committed(uint64_t group, uint64_t last_event, int64_t took_us, void *data)
{
    struct fx *fx = data;
    assert_true(took_us >= 0);
    assert_true(fx->told_count < TOLD_MAX);
    assert_int_equal(bounds_of(fx).last_event, last_event); /* I3 */
    fx->told[fx->told_count++] =
        (struct told){.group = group, .last_event = last_event, .segments = bounds_of(fx).last};
}

static void on_lost(enum rlog_result result, void *data)
{
    struct fx *fx = data;
    fx->lost = result;
    fx->losses++;
}

static void on_kept(const struct committer_kept *kept, void *data)
{
    struct fx *fx = data;
    fx->kept = *kept;
    fx->keeps++;
}

static const struct committer_events events = {
    .on_close = on_close, .on_committed = on_committed, .on_lost = on_lost, .on_kept = on_kept};

static void on_rider(const struct store_batch *rider, void *data)
{
    struct fx *fx = data;
    fx->rows += store_batch_count(rider);
}

/* ---- A world ---- */

static void open_fx(struct fx *fx, struct rlog_model_options options)
{
    struct flz_msg msg;
    options.on_rider = on_rider;
    options.data = fx;
    assert_int_equal(uv_loop_init(&fx->loop), 0);
    assert_int_equal(rlog_model_new(&options, &fx->model), 0);
    assert_int_equal(rlog_model_open(fx->model, &fx->log), 0);
    struct committer_options with = {.loop = &fx->loop, .log = fx->log};
    assert_int_equal(rlog_campaign(fx->log, "test", &with.epoch, &msg), RLOG_OK);
    with.bounds = bounds_of(fx);
    assert_int_equal(committer_new(&with, &events, fx, &fx->committer), 0);
}

static void close_fx(struct fx *fx)
{
    fx->committer = committer_free(fx->committer);
    (void)uv_run(&fx->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fx->loop), 0);
    fx->log = rlog_close(fx->log);
    fx->model = rlog_model_free(fx->model);
}

static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    open_fx(fx, (struct rlog_model_options){.seed = 1});
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    close_fx(fx);
    free(fx);
    return 0;
}

/* Events carry their number, so that the log can be compared with what was added. */
static void add(struct fx *fx, int count)
{
    for (int i = 0; i < count; i++) {
        uint8_t bytes[8];
        flz_put_be64(bytes, ++fx->added);
        committer_add(fx->committer, (struct flz_view){bytes, sizeof bytes}, (int64_t)fx->added);
    }
}

/* Until nothing is left to be done; a retry takes a second of it. */
static void settle(struct fx *fx)
{
    (void)uv_run(&fx->loop, UV_RUN_DEFAULT);
}

static int on_event(struct flz_view event, void *data)
{
    uint64_t *next = data;
    assert_int_equal(event.len, 8);
    assert_int_equal(flz_be64(event.data), ++*next);
    return 0;
}

static int on_segment(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)segment;
    return segment_each(bytes, on_event, data);
}

/* I17: dense, chained, and the events that were added, in their order, none twice. */
static void assert_log(struct fx *fx, uint64_t count)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    uint64_t seen = 0;
    assert_int_equal(rlog_verify(fx->log, &msg), RLOG_OK);
    assert_int_equal(rlog_read(fx->log, 1, on_segment, &seen, &msg), RLOG_OK);
    assert_int_equal(seen, count);
}

static void script(struct fx *fx, enum rlog_model_fault fault)
{
    assert_int_equal(rlog_model_script(fx->model, &fault, 1), 0);
}

/* ---- The way of all groups ---- */

static void what_one_turn_brings_is_one_segment(void **state)
{
    struct fx *fx = *state;
    add(fx, 3);
    uint64_t group = committer_group(fx->committer);
    settle(fx);
    assert_int_equal(fx->told_count, 1);
    assert_int_equal(fx->told[0].group, group);
    assert_int_equal(fx->told[0].last_event, 3);
    assert_int_equal(bounds_of(fx).last, 1);
    assert_log(fx, 3);
}

static void nothing_is_told_before_it_is_committed(void **state)
{
    struct fx *fx = *state;
    add(fx, 1);
    assert_int_equal(fx->told_count, 0);
    settle(fx);
    assert_int_equal(fx->told_count, 1);
}

static void add_twice(struct fx *fx)
{
    add(fx, 2);
    fx->noted = committer_group(fx->committer);
    add(fx, 3);
    assert_int_equal(committer_group(fx->committer), fx->noted);
}

static void while_one_group_is_under_way_the_next_gathers(void **state)
{
    struct fx *fx = *state;
    fx->on_first_close = add_twice;
    add(fx, 1);
    uint64_t first = committer_group(fx->committer);
    settle(fx);
    assert_int_equal(fx->noted, first + 1);
    assert_int_equal(fx->told_count, 2);
    assert_int_equal(fx->told[0].last_event, 1);
    assert_int_equal(fx->told[1].last_event, 6);
    assert_int_equal(fx->told[1].segments, 2);
    assert_log(fx, 6);
}

static void groups_are_told_in_their_order(void **state)
{
    struct fx *fx = *state;
    for (int i = 0; i < 100; i++) {
        add(fx, 1 + i % 3);
        (void)committer_group(fx->committer);
        (void)uv_run(&fx->loop, i % 2 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    }
    settle(fx);
    for (size_t i = 1; i < fx->told_count; i++)
        assert_int_equal(fx->told[i].group, fx->told[i - 1].group + 1);
    assert_log(fx, fx->added);
}

static void ask_for_a_group(struct fx *fx)
{
    fx->noted = committer_group(fx->committer);
}

static void a_group_without_events_waits_for_the_one_before(void **state)
{
    struct fx *fx = *state;
    fx->on_first_close = ask_for_a_group;
    add(fx, 1);
    settle(fx);
    assert_int_equal(fx->told_count, 2);
    assert_int_equal(fx->told[1].group, fx->noted);
    assert_int_equal(fx->told[1].last_event, 1);
    assert_int_equal(bounds_of(fx).last, 1);
}

static int on_time(const struct segment *segment, struct flz_view bytes, void *data)
{
    (void)bytes;
    *(int64_t *)data = segment->at;
    return 0;
}

/* What keeps and forgets segments asks for their time: theirs is that of the events before. */
static void rows_alone_have_the_time_of_what_they_follow(void **state)
{
    struct fx *fx = *state;
    struct flz_msg msg = FLZ_MSG_NULL;
    int64_t at = 0;
    add(fx, 3);
    settle(fx);
    store_put(committer_rider(fx->committer), 0, flz_view_str("k"), flz_view_str("v"));
    settle(fx);
    assert_int_equal(bounds_of(fx).last, 2);
    assert_int_equal(rlog_read(fx->log, 2, on_time, &at, &msg), RLOG_OK);
    assert_int_equal(at, 3);
    assert_log(fx, 3);
}

static void rows_alone_are_committed(void **state)
{
    struct fx *fx = *state;
    store_put(committer_rider(fx->committer), 0, flz_view_str("k"), flz_view_str("v"));
    settle(fx);
    assert_int_equal(fx->told_count, 1);
    assert_int_equal(fx->rows, 1);
    assert_int_equal(bounds_of(fx).last_event, 0);
}

static void each_group_brings_its_rows_once(void **state)
{
    struct fx *fx = *state;
    fx->rows_on_close = true;
    for (int i = 0; i < 5; i++) {
        add(fx, 1);
        store_put(committer_rider(fx->committer), 0, flz_view_str("k"), flz_view_str("v"));
        settle(fx);
    }
    assert_int_equal(fx->closes, 5);
    assert_int_equal(fx->rows, 10);
}

/* ---- When nothing happened ---- */

static void what_did_not_happen_is_tried_again(void **state)
{
    struct fx *fx = *state;
    const enum rlog_model_fault faults[] = {RLOG_MODEL_FULL, RLOG_MODEL_UNAVAILABLE,
                                            RLOG_MODEL_UNKNOWN_LOST};
    assert_int_equal(rlog_model_script(fx->model, faults, 3), 0);
    fx->rows_on_close = true;
    add(fx, 2);
    settle(fx);
    assert_int_equal(fx->losses, 0);
    assert_int_equal(fx->told_count, 1);
    assert_int_equal(fx->closes, 1); /* the same group, not a new one */
    assert_int_equal(fx->rows, 1);
    assert_int_equal(bounds_of(fx).last, 1);
    assert_log(fx, 2);
}

static void on_stop(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* For a while, whatever else the loop waits for. */
static void run_for(struct fx *fx, uint64_t ms)
{
    uv_timer_t timer;
    assert_int_equal(uv_timer_init(&fx->loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_stop, ms, 0), 0);
    (void)uv_run(&fx->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&fx->loop, UV_RUN_NOWAIT);
}

static void what_gathers_while_the_disk_is_full_follows_when_it_is_not(void **state)
{
    struct fx *fx = *state;
    const enum rlog_model_fault faults[] = {RLOG_MODEL_FULL, RLOG_MODEL_FULL};
    assert_int_equal(rlog_model_script(fx->model, faults, 2), 0);
    add(fx, 1);
    run_for(fx, 50);
    add(fx, 4);
    run_for(fx, 50);
    assert_int_equal(fx->told_count, 0);
    settle(fx);
    assert_int_equal(fx->told_count, 2);
    assert_int_equal(bounds_of(fx).last, 2);
    assert_log(fx, 5);
}

static void a_crowded_group_says_so_and_is_committed(void **state)
{
    struct fx *fx = *state;
    assert_false(committer_is_crowded(fx->committer));
    add(fx, COMMITTER_EVENTS_CROWDED);
    assert_true(committer_is_crowded(fx->committer));
    settle(fx);
    assert_false(committer_is_crowded(fx->committer));
    assert_log(fx, COMMITTER_EVENTS_CROWDED);
    _cleanup_(flz_freep) uint8_t *large = calloc(1, COMMITTER_BYTES_CROWDED);
    committer_add(fx->committer, (struct flz_view){large, COMMITTER_BYTES_CROWDED}, 1);
    assert_true(committer_is_crowded(fx->committer));
    settle(fx);
    assert_int_equal(fx->losses, 0);
    assert_false(committer_is_crowded(fx->committer));
}

/* ---- What is kept ---- */

static const struct committer_keep keep_newest = {
    .log = {.before = INT64_MAX, .bytes_max = 1u << 20}, .archive_before = INT64_MIN};

/* So many groups of one event each. */
static void commit_groups(struct fx *fx, int count)
{
    for (int i = 0; i < count; i++) {
        add(fx, 1);
        settle(fx);
    }
}

static void an_idle_log_is_trimmed(void **state)
{
    struct fx *fx = *state;
    commit_groups(fx, 5);
    committer_keep(fx->committer, &keep_newest);
    settle(fx);
    assert_int_equal(fx->keeps, 1);
    assert_int_equal(fx->kept.result, RLOG_OK);
    assert_false(fx->kept.more);
    assert_int_equal(bounds_of(fx).first, 5);
    commit_groups(fx, 1);
    assert_int_equal(bounds_of(fx).last, 6);
}

/* Busy, it is trimmed after the group under way, and before the next. */
static void a_busy_log_is_trimmed_between_two_groups(void **state)
{
    struct fx *fx = *state;
    commit_groups(fx, 3);
    add(fx, 1);
    while (fx->closes < 4)
        (void)uv_run(&fx->loop, UV_RUN_ONCE);
    committer_keep(fx->committer, &keep_newest); /* the fourth is under way */
    committer_keep(fx->committer, &keep_newest); /* dropped */
    add(fx, 1);                                  /* the fifth gathers */
    settle(fx);
    assert_int_equal(fx->keeps, 1);
    assert_int_equal(bounds_of(fx).first, 4);
    assert_int_equal(bounds_of(fx).last, 5);
    assert_int_equal(fx->told_count, 5);
}

static void a_trim_that_fails_is_told_and_harms_nothing(void **state)
{
    struct fx *fx = *state;
    commit_groups(fx, 3);
    rlog_model_away(fx->model, 1);
    committer_keep(fx->committer, &keep_newest);
    settle(fx);
    assert_int_equal(fx->keeps, 1);
    assert_int_equal(fx->kept.result, RLOG_UNAVAILABLE);
    assert_true(fx->kept.msg.text[0] != '\0');
    assert_int_equal(fx->losses, 0);
    commit_groups(fx, 1);
    committer_keep(fx->committer, &keep_newest);
    settle(fx);
    assert_int_equal(fx->kept.result, RLOG_OK);
    assert_int_equal(bounds_of(fx).first, 4);
}

static void a_large_backlog_is_trimmed_in_steps(void **state)
{
    struct fx *fx = *state;
    struct committer_keep keep = keep_newest;
    keep.log.bytes_max = 1;
    commit_groups(fx, 4);
    for (int i = 1; i <= 3; i++) {
        committer_keep(fx->committer, &keep);
        settle(fx);
        assert_int_equal(fx->keeps, i);
        assert_int_equal(bounds_of(fx).first, 1 + i);
    }
    committer_keep(fx->committer, &keep);
    settle(fx);
    assert_int_equal(bounds_of(fx).first, 4);
}

/* Event n is of the time n. */
static void what_is_old_in_the_archive_is_forgotten(void **state)
{
    struct fx *fx = *state;
    struct committer_keep keep = keep_newest;
    keep.log.before = 5;
    keep.archive_before = 3;
    commit_groups(fx, 6);
    committer_keep(fx->committer, &keep);
    settle(fx);
    assert_int_equal(fx->kept.result, RLOG_OK);
    assert_int_equal(bounds_of(fx).first, 5);
    assert_int_equal(bounds_of(fx).forgotten.seq, 2);
}

static void the_end_waits_for_a_trim(void **state)
{
    struct fx *fx = *state;
    commit_groups(fx, 3);
    committer_keep(fx->committer, &keep_newest);
    fx->committer = committer_free(fx->committer);
    assert_int_equal(bounds_of(fx).first, 3);
}

/* What a server does that asks before it decides: as much as is admitted, and no more. */
static void pour(struct fx *fx)
{
    while (!committer_is_crowded(fx->committer))
        add(fx, 100);
}

/* I14, I19: for as long as it lasts, and whatever is asked of it. */
static void a_disk_that_stays_full_bounds_what_gathers_and_loses_nothing(void **state)
{
    struct fx *fx = *state;
    enum rlog_model_fault faults[5];
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        faults[i] = i % 2 ? RLOG_MODEL_UNAVAILABLE : RLOG_MODEL_FULL;
    assert_int_equal(rlog_model_script(fx->model, faults, 5), 0);
    add(fx, 1);
    run_for(fx, 50);
    assert_int_equal(committer_waits_for(fx->committer), RLOG_FULL);
    for (int i = 0; i < 100; i++) {
        pour(fx);
        run_for(fx, 20);
        assert_int_equal(fx->told_count, 0);
        assert_true(committer_has_room(fx->committer));
    }
    uint64_t added = fx->added;
    assert_true(added < COMMITTER_EVENTS_CROWDED + 200);
    assert_int_not_equal(committer_waits_for(fx->committer), RLOG_OK);
    settle(fx);
    assert_int_equal(rlog_model_met(fx->model, RLOG_MODEL_FULL), 3);
    assert_int_equal(fx->losses, 0);
    assert_int_equal(committer_waits_for(fx->committer), RLOG_OK);
    assert_false(committer_is_crowded(fx->committer));
    assert_int_equal(fx->told[fx->told_count - 1].last_event, added);
    assert_log(fx, added);
}

/* ---- When memory is ahead of the log ---- */

static void assert_lost(struct fx *fx, enum rlog_result result, uint64_t segments)
{
    settle(fx);
    assert_int_equal(fx->losses, 1);
    assert_int_equal(fx->lost, result);
    assert_int_equal(fx->told_count, 0);
    add(fx, 1); /* nothing is committed any more */
    (void)committer_group(fx->committer);
    settle(fx);
    assert_int_equal(fx->losses, 1);
    assert_int_equal(fx->told_count, 0);
    assert_int_equal(bounds_of(fx).last, segments);
}

static void a_refusal_for_good_is_told_once_and_ends_it(void **state)
{
    static const struct {
        enum rlog_model_fault fault;
        enum rlog_result result;
    } refusals[] = {
        {RLOG_MODEL_FENCED, RLOG_FENCED},
        {RLOG_MODEL_CONFLICT, RLOG_CONFLICT},
        {RLOG_MODEL_CORRUPT, RLOG_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct fx *fx = calloc(1, sizeof *fx);
        open_fx(fx, (struct rlog_model_options){.seed = i});
        script(fx, refusals[i].fault);
        add(fx, 1);
        assert_lost(fx, refusals[i].result, 0);
        close_fx(fx);
        free(fx);
    }
}

/* The segment is there, but nobody knows of its rider: rows and log may differ until they are
 * loaded anew, and a later rider would hide that. */
static void an_unknown_append_that_was_committed_is_loaded_anew(void **state)
{
    static const enum rlog_model_fault faults[] = {RLOG_MODEL_UNKNOWN_BARE,
                                                   RLOG_MODEL_UNKNOWN_DONE};
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct fx *fx = calloc(1, sizeof *fx);
        open_fx(fx, (struct rlog_model_options){.seed = i});
        fx->rows_on_close = true;
        script(fx, faults[i]);
        add(fx, 1);
        assert_lost(fx, RLOG_UNKNOWN, 1);
        assert_log(fx, 1);
        close_fx(fx);
        free(fx);
    }
}

static void rows_that_cannot_be_made_end_it(void **state)
{
    struct fx *fx = *state;
    fx->close_answer = -12;
    add(fx, 1);
    assert_lost(fx, RLOG_UNAVAILABLE, 0);
}

static void a_group_too_large_for_a_segment_ends_it(void **state)
{
    struct fx *fx = *state;
    _cleanup_(flz_freep) uint8_t *large = calloc(1, SEGMENT_SIZE_MAX);
    committer_add(fx->committer, (struct flz_view){large, SEGMENT_SIZE_MAX}, 1);
    assert_lost(fx, RLOG_UNAVAILABLE, 0);
}

/* ---- The end ---- */

static void the_end_tells_the_group_under_way(void **state)
{
    struct fx *fx = *state;
    add(fx, 1);
    for (int i = 0; i < 1000 && fx->closes == 0; i++)
        (void)uv_run(&fx->loop, UV_RUN_NOWAIT);
    fx->committer = committer_free(fx->committer);
    assert_int_equal(bounds_of(fx).last_event, 1);
    assert_int_equal(fx->told_count, 1);
}

static void the_end_drops_what_gathers(void **state)
{
    struct fx *fx = *state;
    add(fx, 1);
    settle(fx);
    add(fx, 1);
    fx->committer = committer_free(fx->committer);
    assert_int_equal(bounds_of(fx).last_event, 1);
    assert_int_equal(fx->told_count, 1);
}

static void the_end_does_not_wait_for_a_disk_that_is_full(void **state)
{
    struct fx *fx = *state;
    script(fx, RLOG_MODEL_FULL);
    add(fx, 1);
    run_for(fx, 50);
    uint64_t before = uv_hrtime();
    fx->committer = committer_free(fx->committer);
    assert_true(uv_hrtime() - before < 500 * 1000 * 1000);
    assert_int_equal(fx->told_count, 0);
}

/* ---- All faults at once ---- */

/* Faults that end a committer are followed by another over the same log, as after a restart. */
static void begin_again(struct fx *fx)
{
    struct flz_msg msg;
    struct committer_options with = {.loop = &fx->loop, .log = fx->log};
    (void)committer_free(fx->committer);
    fx->losses = 0;
    fx->told_count = 0;
    assert_int_equal(rlog_campaign(fx->log, "test", &with.epoch, &msg), RLOG_OK);
    with.bounds = bounds_of(fx);
    fx->added = with.bounds.last_event; /* memory is loaded from the log */
    assert_int_equal(committer_new(&with, &events, fx, &fx->committer), 0);
}

static void among_all_faults_what_was_told_is_in_the_log(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct fx *fx = calloc(1, sizeof *fx);
        struct rlog_model_options options = {.seed = seed};
        options.per_mille[RLOG_MODEL_FENCED] = 30;
        options.per_mille[RLOG_MODEL_CONFLICT] = 30;
        options.per_mille[RLOG_MODEL_CORRUPT] = 30;
        options.per_mille[RLOG_MODEL_UNKNOWN_DONE] = 60;
        options.per_mille[RLOG_MODEL_UNKNOWN_BARE] = 60;
        open_fx(fx, options);
        uint64_t told = 0, turns = 0;
        for (int i = 0; i < 400; i++) {
            add(fx, 1 + i % 4);
            (void)uv_run(&fx->loop, i % 3 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
            if (fx->told_count > 0)
                told = fx->told[fx->told_count - 1].last_event;
            if (fx->losses == 0 && fx->told_count < TOLD_MAX / 2)
                continue;
            begin_again(fx);
            assert_true(fx->added >= told);
            turns++;
        }
        settle(fx);
        assert_true(turns > 0);
        assert_true(bounds_of(fx).last_event >= told);
        assert_log(fx, bounds_of(fx).last_event);
        close_fx(fx);
        free(fx);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_one_turn_brings_is_one_segment),
        test(nothing_is_told_before_it_is_committed),
        test(while_one_group_is_under_way_the_next_gathers),
        test(groups_are_told_in_their_order),
        test(a_group_without_events_waits_for_the_one_before),
        test(rows_alone_have_the_time_of_what_they_follow),
        test(rows_alone_are_committed),
        test(each_group_brings_its_rows_once),
        test(what_did_not_happen_is_tried_again),
        test(what_gathers_while_the_disk_is_full_follows_when_it_is_not),
        test(a_crowded_group_says_so_and_is_committed),
        test(an_idle_log_is_trimmed),
        test(a_busy_log_is_trimmed_between_two_groups),
        test(a_trim_that_fails_is_told_and_harms_nothing),
        test(a_large_backlog_is_trimmed_in_steps),
        test(what_is_old_in_the_archive_is_forgotten),
        test(the_end_waits_for_a_trim),
        test(a_disk_that_stays_full_bounds_what_gathers_and_loses_nothing),
        cmocka_unit_test(a_refusal_for_good_is_told_once_and_ends_it),
        cmocka_unit_test(an_unknown_append_that_was_committed_is_loaded_anew),
        test(rows_that_cannot_be_made_end_it),
        test(a_group_too_large_for_a_segment_ends_it),
        test(the_end_tells_the_group_under_way),
        test(the_end_drops_what_gathers),
        test(the_end_does_not_wait_for_a_disk_that_is_full),
        cmocka_unit_test(among_all_faults_what_was_told_is_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
