/* A log and a store as the coordinator writes them: held against each other, and replayed. */
#include "coordinator/refold.h"

#include "common/sys/store.h"
#include "coordinator/families.h"
#include "coordinator/rlog/segment.h"
#include "tests/lib/tree.h"
#include "tests/unit/coord_fixture.h"

struct world {
    struct fx fx;
    char *folder;
    struct store *store;
    struct rlog *log;
    uint64_t epoch;
    struct rlog_bounds bounds;
    struct segment_builder builder;
};

static int on_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct store_batch *rider = data;
    bool old = kind == ROW_DAY_OLD || kind == ROW_EXCHANGE_OLD || kind == ROW_TALLY_OLD;
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    flz_buf_add_byte(&key, (uint8_t)kind);
    flz_row_key(kind, row, &key);
    if (deleted) {
        store_delete(rider, FAMILY_ROWS, flz_buf_view(&key));
        return 0;
    }
    assert_int_equal(flz_encode_row(kind, row, &value), 0);
    store_put(rider, old ? FAMILY_ARCHIVE : FAMILY_ROWS, flz_buf_view(&key), flz_buf_view(&value));
    return 0;
}

/* What the leader has decided since, as one segment with its rows: those of the whole core, which
 * a second fold of the same events makes. */
static void commit(struct world *w, struct coord *leader)
{
    struct segment header = {.seq = w->bounds.last + 1,
                             .epoch = w->epoch,
                             .generation = w->bounds.generation,
                             .first_event = w->bounds.last_event + 1,
                             .at = w->fx.now,
                             .previous = w->bounds.head};
    struct store_batch *rider;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    assert_int_equal(store_batch_new(&rider), 0);
    assert_int_equal(coord_take_rows(leader, on_row, rider), 0);
    assert_int_equal(segment_finish(&w->builder, &header, &bytes), 0);
    assert_int_equal(rlog_append(w->log, w->epoch, flz_buf_view(&bytes), rider), RLOG_OK);
    (void)store_batch_free(rider);
    segment_builder_reset(&w->builder);
    assert_int_equal(rlog_bounds(w->log, &w->bounds), RLOG_OK);
}

static void keep(struct world *w, struct coord *leader, const struct event *event)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    assert_int_equal(flz_encode_event(event, &bytes), 0);
    segment_add(&w->builder, flz_buf_view(&bytes));
    assert_int_equal(coord_apply(leader, event), 0);
}

static void open_log(struct world *w)
{
    char path[512], archive[512];
    struct flz_msg msg = FLZ_MSG_NULL;
    struct store_options options = {
        .families = family_names, .families_count = FAMILIES, .no_ballast = true};
    (void)snprintf(path, sizeof path, "%s/store", w->folder);
    (void)snprintf(archive, sizeof archive, "%s/archive", w->folder);
    if (store_open(path, &options, &w->store, &msg) < 0)
        fail_msg("%s", msg.text);
    struct rlog_embedded_options log = {.store = w->store,
                                        .family_log = FAMILY_LOG,
                                        .family_meta = FAMILY_META,
                                        .archive = archive};
    assert_int_equal(rlog_embedded_open(&log, &w->log, &msg), 0);
    assert_int_equal(rlog_campaign(w->log, "test", &w->epoch, &msg), RLOG_OK);
    assert_int_equal(rlog_bounds(w->log, &w->bounds), RLOG_OK);
}

struct listening {
    struct world *world;
    struct coord *leader;
};

static void on_event(const struct event *event, void *data)
{
    struct listening *listening = data;
    keep(listening->world, listening->leader, event);
}

/* Two messages in Junk: days, tallies, a standing. */
static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->folder = tree_new("refold");
    assert_non_null(w->folder);
    open_log(w);
    struct coord *leader = fx_core();
    struct listening listening = {.world = w, .leader = leader};
    fx_init_heard(&w->fx, on_event, &listening);
    for (int i = 0; i < 2; i++)
        fx_plan(&w->fx, 1);
    for (uint32_t x = 0; x < 2; x++) {
        fx_tick(&w->fx, AT(1, 10 * (int)x));
        w->fx.exchange = x;
        fx_say(&w->fx, 0, FLZ_TASK_SEND, 0, FLZ_OUTCOME_SENT);
        fx_say_junk(&w->fx, 1, 0);
    }
    w->fx.on_event = NULL;
    commit(w, leader);
    (void)coord_free(leader);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    segment_builder_deinit(&w->builder);
    (void)rlog_close(w->log);
    (void)store_close(w->store);
    fx_deinit(&w->fx);
    tree_free(w->folder);
    free(w);
    return 0;
}

static struct refold_result run(struct world *w, struct refold_request request)
{
    atomic_bool stop = false;
    struct refold_place place = {.log = w->log,
                                 .store = w->store,
                                 .state_dir = w->folder,
                                 .network = fx_id(9),
                                 .policy = policy_default()};
    struct refold_result result;
    refold_run(&place, &request, &stop, &result);
    return result;
}

static void rows_are_what_the_log_makes(void **state)
{
    struct world *w = *state;
    struct refold_result result = run(w, (struct refold_request){.kind = REFOLD_VERIFY});
    if (result.outcome != REFOLD_SAME)
        fail_msg("%s", result.msg.text);
    assert_int_equal(result.events, w->bounds.last_event);
    assert_true(result.rows > 8); /* three days, five tallies, a standing */
    refold_result_deinit(&result);
}

/* One tally's row: deleted, or counting a message more. */
static void change_row(struct world *w, bool deletes)
{
    struct row_tally row = {.scope = TALLY_PAIR, .span = TALLY_DAY, .date = FX_DATE};
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf value = FLZ_BUF_NULL;
    struct store_batch *batch;
    flz_buf_add_byte(&key, ROW_TALLY);
    flz_row_key(ROW_TALLY, &row, &key);
    assert_int_equal(store_get(w->store, FAMILY_ROWS, flz_buf_view(&key), &value), 0);
    flz_buf_reset(&value);
    row.sent = 3;
    assert_int_equal(flz_encode_row(ROW_TALLY, &row, &value), 0);
    assert_int_equal(store_batch_new(&batch), 0);
    if (deletes)
        store_delete(batch, FAMILY_ROWS, flz_buf_view(&key));
    else
        store_put(batch, FAMILY_ROWS, flz_buf_view(&key), flz_buf_view(&value));
    assert_int_equal(store_write(w->store, batch, true), 0);
    (void)store_batch_free(batch);
}

static void a_changed_row_is_named(void **state)
{
    struct world *w = *state;
    change_row(w, false);
    struct refold_result result = run(w, (struct refold_request){.kind = REFOLD_VERIFY});
    assert_int_equal(result.outcome, REFOLD_DIFFERENT);
    assert_int_equal(result.different, 1);
    assert_non_null(strstr(result.msg.text, "row 0e03")); /* a tally of a pair */
    refold_result_deinit(&result);
}

static void a_missing_row_is_missed(void **state)
{
    struct world *w = *state;
    change_row(w, true);
    struct refold_result result = run(w, (struct refold_request){.kind = REFOLD_VERIFY});
    assert_int_equal(result.outcome, REFOLD_DIFFERENT);
    assert_int_equal(result.different, 1);
    refold_result_deinit(&result);
}

static void the_same_policy_decides_the_same(void **state)
{
    struct refold_result result = run(*state, (struct refold_request){.kind = REFOLD_REPLAY});
    assert_int_equal(result.outcome, REFOLD_SAME);
    assert_int_equal(replay_result(result.replay)->health, 1);
    assert_int_equal(replay_result(result.replay)->health_same, 1);
    refold_result_deinit(&result);
}

/* The one decision, a hold with two of two in Junk, is none where all that is seen is enough. */
static void another_policy_is_told_where_it_differs(void **state)
{
    struct refold_request request = {
        .kind = REFOLD_REPLAY,
        .keys = {{.name = "health_seen_min", .value = 10}, {.name = "spacing_ms", .value = 1}},
        .keys_count = 2};
    struct refold_result result = run(*state, request);
    assert_int_equal(result.outcome, REFOLD_REFUSED);
    assert_non_null(strstr(result.msg.text, "spacing_ms must be between"));
    refold_result_deinit(&result);

    request.keys_count = 1;
    request.since = AT(2, 0); /* all before it is taken as it was */
    result = run(*state, request);
    assert_int_equal(result.outcome, REFOLD_SAME);
    assert_int_equal(replay_result(result.replay)->health, 0);
    refold_result_deinit(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_what_the_log_makes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_row_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_row_is_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_policy_decides_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(another_policy_is_told_where_it_differs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
