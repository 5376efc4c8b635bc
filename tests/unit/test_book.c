#include "common/base/time.h"
#include "node/core/book.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct flz_task task_of(uint32_t n, int64_t not_before)
{
    struct flz_task task = {.exchange = {.b = {2}},
                            .account = {.b = {3}},
                            .kind = FLZ_TASK_SEND,
                            .not_before = not_before,
                            .not_after = not_before + FLZ_HOUR_MS,
                            .from = "ada@a.test",
                            .to = "bob@b.test"};
    memcpy(task.id.b, &(uint32_t){n + 1}, sizeof n);
    return task;
}

static struct job *add(struct book *book, uint32_t n, int64_t not_before)
{
    struct job *job = NULL;
    struct flz_task task = task_of(n, not_before);
    assert_int_equal(book_add(book, &task, &job), 0);
    assert_int_equal(book_schedule(book, job), 0);
    return job;
}

static struct job *pop(struct book *book, int64_t network, int64_t boot)
{
    return book_pop_due(book, (struct job_clock){network, boot, 1000});
}

static void jobs_come_when_both_clocks_say_so(void **state)
{
    struct book book = BOOK_NULL;
    struct job *late = add(&book, 1, 200), *early = add(&book, 2, 100);
    int64_t network, boot;
    book_next(&book, &network, &boot);
    assert_int_equal(network, 100);
    assert_int_equal(boot, FLZ_NEVER);
    assert_null(pop(&book, 99, 0));
    early->wait_boot = 50;
    assert_null(pop(&book, 100, 10)); /* it moves to the other clock */
    book_next(&book, &network, &boot);
    assert_int_equal(network, 200);
    assert_int_equal(boot, 50);
    assert_ptr_equal(pop(&book, 150, 50), early);
    assert_null(pop(&book, 150, 50)); /* until it is scheduled again */
    assert_int_equal(book_schedule(&book, early), 0);
    early->active = true;
    assert_ptr_equal(pop(&book, 300, 60), late);
    assert_null(pop(&book, 300, 60));
    book_deinit(&book);
}

static void known_task_is_not_taken_twice(void **state)
{
    struct book book = BOOK_NULL;
    struct job *job = add(&book, 1, 100);
    struct job *other = NULL;
    struct flz_task task = task_of(1, 900);
    assert_int_equal(book_add(&book, &task, &other), -EEXIST);
    assert_null(other);
    assert_ptr_equal(book_find(&book, task.id), job);
    assert_int_equal(book.open, 1);
    book_deinit(&book);
}

static void declined_task_is_known_and_ended(void **state)
{
    struct book book = BOOK_NULL;
    struct job *job = NULL, *other = NULL;
    struct flz_task task = task_of(1, 100);
    task.kind = FLZ_TASK_SEND;
    assert_int_equal(book_decline(&book, &task, FLZ_REASON_UNKNOWN_ACCOUNT, 50, &job), 0);
    assert_int_equal(book.open, 0);
    assert_int_equal(job->record.state, JOB_ENDED);
    assert_int_equal(job->record.outcome, FLZ_OUTCOME_DECLINED);
    assert_ptr_equal(book_find(&book, task.id), job);
    assert_int_equal(book_add(&book, &task, &other), -EEXIST);
    assert_null(book_find_act(&book, &task)); /* another task may send the message */
    assert_int_equal(book_schedule(&book, job), 0);
    assert_null(pop(&book, 1000, 1000));
    book_deinit(&book);
}

/* Adds a task of this kind about (x, n), unless one has acted. NULL: one has. */
static struct job *act(struct book *book, uint32_t id, uint32_t kind, uint8_t exchange,
                       uint32_t turn)
{
    struct job *job = NULL;
    struct flz_task task = task_of(id, 100);
    task.kind = kind;
    task.exchange.b[0] = exchange;
    task.turn = turn;
    if (book_find_act(book, &task))
        return NULL;
    assert_int_equal(book_add(book, &task, &job), 0);
    return job;
}

static void end(struct book *book, struct job *job, enum flz_outcome outcome)
{
    job->record.state = JOB_ENDED;
    job->record.outcome = outcome;
    book_ended(book, job);
}

static void message_is_acted_on_once_by_tasks_of_any_id(void **state)
{
    struct book book = BOOK_NULL;
    struct job *open = act(&book, 1, FLZ_TASK_OPEN, 2, 0);
    assert_non_null(open);
    assert_null(act(&book, 2, FLZ_TASK_OPEN, 2, 0)); /* it may yet act */
    assert_non_null(act(&book, 3, FLZ_TASK_OPEN, 2, 1));
    assert_non_null(act(&book, 4, FLZ_TASK_OPEN, 3, 0));
    assert_non_null(act(&book, 5, FLZ_TASK_UNSPAM, 2, 0));
    assert_non_null(act(&book, 6, FLZ_TASK_REPLY, 2, 1));
    assert_null(act(&book, 7, FLZ_TASK_SEND, 2, 1)); /* one message is sent by either kind */
    assert_non_null(act(&book, 8, FLZ_TASK_FIND, 2, 0));
    assert_non_null(act(&book, 9, FLZ_TASK_FIND, 2, 0));
    end(&book, open, FLZ_OUTCOME_DONE);
    assert_null(act(&book, 10, FLZ_TASK_OPEN, 2, 0));
    book_remove(&book, open);
    assert_non_null(act(&book, 11, FLZ_TASK_OPEN, 9, 0)); /* in the place that became free */
    assert_non_null(act(&book, 12, FLZ_TASK_OPEN, 2, 0));
    book_deinit(&book);
}

static void attempt_that_did_not_act_leaves_room_for_another(void **state)
{
    struct book book = BOOK_NULL;
    static const enum flz_outcome idle[] = {FLZ_OUTCOME_EXPIRED, FLZ_OUTCOME_WITHDRAWN};
    for (uint32_t i = 0; i < 2; i++) {
        struct job *job = act(&book, 1 + i, FLZ_TASK_UNSPAM, 2, 0);
        assert_non_null(job);
        end(&book, job, idle[i]);
    }
    struct job *acted = act(&book, 3, FLZ_TASK_UNSPAM, 2, 0);
    assert_non_null(acted);
    end(&book, acted, FLZ_OUTCOME_FAILED); /* tried: nothing is tried twice */
    assert_null(act(&book, 4, FLZ_TASK_UNSPAM, 2, 0));
    assert_ptr_equal(book_find_act(&book, &acted->record.task), acted);
    book_deinit(&book);
}

static void record_reads_back_as_it_was(void **state)
{
    struct book book = BOOK_NULL, other = BOOK_NULL;
    struct flz_buf bytes = FLZ_BUF_NULL;
    struct job *job = add(&book, 1, 100), *read = NULL;
    job->record.state = JOB_AMBIGUOUS;
    job->record.dot_at = 77;
    assert_int_equal(flz_encode(&flz_codec_job, &job->record, &bytes), 0);
    assert_int_equal(book_load(&other, flz_buf_view(&bytes), &read), 0);
    assert_int_equal(read->record.state, JOB_AMBIGUOUS);
    assert_int_equal(read->record.dot_at, 77);
    assert_string_equal(read->record.task.to, "bob@b.test");
    assert_int_equal(other.open, 1);

    struct journal_job bad = job->record;
    bad.version = JOURNAL_VERSION + 1;
    flz_buf_reset(&bytes);
    assert_int_equal(flz_encode(&flz_codec_job, &bad, &bytes), 0);
    assert_int_equal(book_load(&other, flz_buf_view(&bytes), &read), -EBADMSG);
    bad = job->record;
    bad.state = 9;
    flz_buf_reset(&bytes);
    assert_int_equal(flz_encode(&flz_codec_job, &bad, &bytes), 0);
    assert_int_equal(book_load(&other, flz_buf_view(&bytes), &read), -EBADMSG);
    flz_buf_deinit(&bytes);
    book_deinit(&book);
    book_deinit(&other);
}

/* A node runs for years: places of forgotten jobs are used again, and the old entries of the heaps
 * do no harm to whoever has moved in. */
static void places_are_used_again(void **state)
{
    struct book book = BOOK_NULL;
    for (uint32_t n = 0; n < 5000; n++) {
        struct job *job = add(&book, n, n % 3 ? 100 : 1000000);
        if (n % 2)
            assert_int_equal(book_schedule(&book, job), 0); /* a second entry */
        job->record.state = JOB_ENDED;
        book_ended(&book, job);
        book_remove(&book, job);
        struct flz_task task = task_of(n, 0);
        assert_null(book_find(&book, task.id));
    }
    assert_true(book.count <= 2);
    assert_int_equal(book.open, 0);
    struct job *job = add(&book, 9999, 500);
    assert_null(pop(&book, 499, 0));
    assert_ptr_equal(pop(&book, 500, 0), job);
    assert_null(pop(&book, 500, 0));
    book_deinit(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_when_both_clocks_say_so),
        cmocka_unit_test(known_task_is_not_taken_twice),
        cmocka_unit_test(declined_task_is_known_and_ended),
        cmocka_unit_test(message_is_acted_on_once_by_tasks_of_any_id),
        cmocka_unit_test(attempt_that_did_not_act_leaves_room_for_another),
        cmocka_unit_test(record_reads_back_as_it_was),
        cmocka_unit_test(places_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
