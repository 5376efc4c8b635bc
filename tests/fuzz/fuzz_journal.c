/* A job's record as a damaged disk might give it: refused, or a job that a restart can go on with.
 */
#include "common/base/time.h"
#include "node/core/book.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void go_on(struct book *book, struct job *job)
{
    struct job_clock clock = {
        .network_now = INT64_C(1803880800000), .boot_now = 100000, .rate_milli = 1000};
    struct flz_receipt receipt;
    struct visit_job visits[FLZ_TURNS_MAX];
    bool was_open = job->record.state != JOB_ENDED;
    (void)job_resume(job, clock, &receipt);
    assert(job->record.state != JOB_DOT);
    assert(book_schedule(book, job) == 0);
    assert(job_visits(job, clock, visits, FLZ_TURNS_MAX) <= FLZ_TURNS_MAX);
    (void)job_expire(job, clock, &receipt);
    if (was_open && job->record.state == JOB_ENDED)
        book_ended(book, job);
    (void)book_pop_due(book, clock);
    (void)job_is_past(job, clock.network_now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct book book = BOOK_NULL;
    struct job *job = NULL;
    if (book_load(&book, (struct flz_view){.data = data, .len = size}, &job) == 0)
        go_on(&book, job);
    book_deinit(&book);
    return 0;
}
