#include "node/outbox.h"
#include "tests/unit/node_fixture.h"

#include "common/base/time.h"

#include <errno.h>

static void on_ready(void *data)
{
    ++*(unsigned *)data;
}

static struct outbox *open_outbox(struct nfx *fx, unsigned *ready)
{
    struct outbox *outbox = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (outbox_open(fx->journal, on_ready, ready, &outbox, &msg) < 0)
        fail_msg("%s", msg.text);
    return outbox;
}

static void add(struct outbox *outbox, int64_t at)
{
    struct flz_report report = {.kind = FLZ_REPORT_RECEIPT,
                                .receipt = {.task = {.b = {1}},
                                            .exchange = {.b = {2}},
                                            .account = {.b = {3}},
                                            .kind = FLZ_TASK_SEND,
                                            .outcome = FLZ_OUTCOME_SENT,
                                            .at = at}};
    uint64_t newest = outbox_newest(outbox);
    assert_int_equal(outbox_add(outbox, &report), 0);
    assert_int_equal(report.seq, newest + 1);
}

/* The next frame's first and last seq; 0 when there is none. */
static size_t next(struct outbox *outbox, uint64_t *first, uint64_t *last)
{
    const struct flz_report *reports;
    size_t n = outbox_next(outbox, &reports);
    *first = n ? reports[0].seq : 0;
    *last = n ? reports[n - 1].seq : 0;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(reports[i].seq, *first + i);
    return n;
}

static void nothing_is_sent_before_it_is_durable(void **state)
{
    struct nfx *fx = *state;
    unsigned ready = 0;
    uint64_t first, last;
    struct outbox *outbox = open_outbox(fx, &ready);
    add(outbox, 1);
    assert_int_equal(next(outbox, &first, &last), 0);
    add(outbox, 2);
    while (ready < 1)
        (void)uv_run(&fx->loop, UV_RUN_ONCE);
    nfx_sync(fx);
    assert_int_equal(next(outbox, &first, &last), 2);
    assert_int_equal(first, 1);
    assert_int_equal(next(outbox, &first, &last), 0);
    nfx_close(fx);
    (void)outbox_free(outbox);
}

static void at_most_four_frames_are_out(void **state)
{
    struct nfx *fx = *state;
    unsigned ready = 0, frames = 0;
    uint64_t first, last, expected = 1;
    struct outbox *outbox = open_outbox(fx, &ready);
    for (int i = 0; i < 1100; i++)
        add(outbox, i);
    nfx_sync(fx);
    nfx_sync(fx);
    for (; next(outbox, &first, &last) > 0; frames++) {
        assert_int_equal(first, expected);
        expected = last + 1;
    }
    assert_int_equal(frames, OUTBOX_FRAMES_MAX);
    assert_int_equal(outbox_in_flight(outbox), OUTBOX_FRAMES_MAX);
    assert_int_equal(outbox_ack(outbox, 1), 0); /* part of a frame frees none */
    assert_int_equal(next(outbox, &first, &last), 0);
    assert_int_equal(outbox_ack(outbox, expected - 1), 0);
    assert_true(next(outbox, &first, &last) > 0);
    assert_int_equal(first, expected);
    assert_int_equal(outbox_ack(outbox, 1101), -EPROTO);
    assert_int_equal(outbox_pending(outbox), 1100 - (expected - 1));
    nfx_close(fx);
    (void)outbox_free(outbox);
}

static void sequence_goes_on_after_a_restart(void **state)
{
    struct nfx *fx = *state;
    unsigned ready = 0;
    uint64_t first, last;
    struct outbox *outbox = open_outbox(fx, &ready);
    for (int i = 0; i < 10; i++)
        add(outbox, i);
    nfx_sync(fx);
    assert_int_equal(next(outbox, &first, &last), 10);
    assert_int_equal(outbox_ack(outbox, 4), 0);
    nfx_close(fx);
    (void)outbox_free(outbox);
    nfx_open(fx);
    outbox = open_outbox(fx, &ready);
    assert_int_equal(outbox_newest(outbox), 10);
    assert_int_equal(outbox_acked(outbox), 4);
    assert_int_equal(outbox_rewind(outbox, 4), 0);
    assert_int_equal(next(outbox, &first, &last), 6);
    assert_int_equal(first, 5);
    add(outbox, 10);
    assert_int_equal(outbox_newest(outbox), 11);
    nfx_close(fx);
    (void)outbox_free(outbox);
}

static void restored_coordinator_is_told_all_again(void **state)
{
    struct nfx *fx = *state;
    unsigned ready = 0;
    uint64_t first, last;
    struct outbox *outbox = open_outbox(fx, &ready);
    for (int i = 0; i < 8; i++)
        add(outbox, i);
    nfx_sync(fx);
    assert_int_equal(outbox_rewind(outbox, 6), 0);
    add(outbox, 8); /* gathered, not yet on the disk when the coordinator comes back */
    assert_int_equal(outbox_rewind(outbox, 2), 0);
    assert_int_equal(outbox_acked(outbox), 2);
    assert_int_equal(outbox_pending(outbox), 7);
    nfx_sync(fx);
    nfx_sync(fx);
    assert_int_equal(next(outbox, &first, &last), 7);
    assert_int_equal(first, 3);
    assert_int_equal(last, 9);
    assert_int_equal(outbox_rewind(outbox, 99), -EPROTO);
    nfx_close(fx);
    (void)outbox_free(outbox);
}

static void old_acknowledged_reports_are_forgotten(void **state)
{
    struct nfx *fx = *state;
    unsigned ready = 0;
    struct outbox *outbox = open_outbox(fx, &ready);
    for (int i = 0; i < 6; i++)
        add(outbox, i * FLZ_DAY_MS);
    nfx_sync(fx);
    assert_int_equal(outbox_ack(outbox, 4), 0);
    outbox_prune(outbox, OUTBOX_KEEP_MS + 3 * FLZ_DAY_MS); /* older than day 3: 1, 2, 3 */
    nfx_sync(fx);
    assert_int_equal(outbox_rewind(outbox, 3), 0);
    assert_int_equal(outbox_pending(outbox), 3);
    nfx_close(fx);
    (void)outbox_free(outbox);
}

static void an_account_is_remembered_as_long_as_what_followed_it(void **state)
{
    struct nfx *fx = *state;
    unsigned ready = 0;
    struct outbox *outbox = open_outbox(fx, &ready);
    assert_int_equal(outbox_first(outbox), 1);
    add(outbox, FLZ_DAY_MS);
    struct flz_report account = {.kind = FLZ_REPORT_ACCOUNT,
                                 .account = {.id = {.b = {7}}, .consent = {.given = 1}}};
    struct flz_report release = {.kind = FLZ_REPORT_RELEASE, .released = {.b = {7}}};
    assert_int_equal(outbox_add(outbox, &account), 0);
    assert_int_equal(outbox_add(outbox, &release), 0);
    nfx_sync(fx);
    assert_int_equal(outbox_ack(outbox, 3), 0);
    outbox_prune(outbox, OUTBOX_KEEP_MS + 2 * FLZ_DAY_MS);
    nfx_sync(fx);
    assert_int_equal(outbox_first(outbox), 2);
    add(outbox, 3 * FLZ_DAY_MS);
    nfx_sync(fx);
    assert_int_equal(outbox_ack(outbox, 4), 0);
    outbox_prune(outbox, OUTBOX_KEEP_MS + 3 * FLZ_DAY_MS);
    nfx_sync(fx);
    assert_int_equal(outbox_first(outbox), 2);
    outbox_prune(outbox, OUTBOX_KEEP_MS + 4 * FLZ_DAY_MS);
    nfx_sync(fx);
    assert_int_equal(outbox_first(outbox), 5);
    nfx_close(fx);
    (void)outbox_free(outbox);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nfx_setup, nfx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_sent_before_it_is_durable),   TEST(at_most_four_frames_are_out),
        TEST(an_account_is_remembered_as_long_as_what_followed_it),
        TEST(sequence_goes_on_after_a_restart),       TEST(restored_coordinator_is_told_all_again),
        TEST(old_acknowledged_reports_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
