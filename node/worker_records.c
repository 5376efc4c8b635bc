#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "node/desk.h"
#include "proto/codec.h"

#include <string.h>

static struct flz_view day_key(struct flz_id account, int32_t date, uint8_t key[static 20])
{
    memcpy(key, account.b, 16);
    flz_put_be32(key + 16, (uint32_t)date);
    return (struct flz_view){.data = key, .len = 20};
}

uint32_t worker_dots_on(struct worker *worker, struct flz_id account, int32_t date)
{
    uint8_t key[20];
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct journal_day day;
    if (journal_get(worker->parts.journal, JOURNAL_DAYS, day_key(account, date, key), &buf) != 0)
        return 0;
    /* A count that cannot be read is a full one: rather silence than too much. */
    return flz_decode(&flz_codec_day_count, flz_buf_view(&buf), &arena, &day) == 0
               ? day.dots
               : JOB_DAY_CEILING;
}

void worker_count_dot(struct worker *worker, const struct job *job, int change)
{
    const struct flz_task *task = &job->record.task;
    uint32_t dots = worker_dots_on(worker, task->account, task->local_date);
    struct journal_day day = {.dots = change > 0 ? dots + 1 : dots > 0 ? dots - 1 : 0};
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    uint8_t key[20];
    if (flz_encode(&flz_codec_day_count, &day, &buf) == 0)
        journal_put(worker->parts.journal, JOURNAL_DAYS,
                    day_key(task->account, task->local_date, key), flz_buf_view(&buf));
}

struct flz_view worker_id_view(const struct flz_id *id)
{
    return (struct flz_view){.data = id->b, .len = sizeof id->b};
}

int worker_save_job(struct worker *worker, const struct job *job)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = flz_encode(&flz_codec_job, &job->record, &buf);
    if (r < 0)
        return r;
    journal_put(worker->parts.journal, JOURNAL_JOBS, worker_id_view(&job->record.task.id),
                flz_buf_view(&buf));
    return 0;
}

static void count_receipt(struct worker_stats *stats, const struct flz_receipt *receipt)
{
    switch ((enum flz_outcome)receipt->outcome) {
    case FLZ_OUTCOME_SENT:
        stats->sent++;
        stats->replied += receipt->kind == FLZ_TASK_REPLY;
        break;
    case FLZ_OUTCOME_REJECTED: stats->rejected++; break;
    case FLZ_OUTCOME_EXPIRED: stats->expired++; break;
    case FLZ_OUTCOME_WITHDRAWN: stats->withdrawn++; break;
    case FLZ_OUTCOME_AMBIGUOUS: stats->ambiguous++; break;
    case FLZ_OUTCOME_DECLINED: stats->declined++; break;
    case FLZ_OUTCOME_FOUND:
        stats->found_inbox += receipt->placement == FLZ_PLACEMENT_INBOX;
        stats->found_junk += receipt->placement == FLZ_PLACEMENT_JUNK;
        stats->found_other += receipt->placement == FLZ_PLACEMENT_OTHER;
        break;
    case FLZ_OUTCOME_MISSING: stats->missing++; break;
    case FLZ_OUTCOME_UNOBSERVED: stats->unobserved++; break;
    case FLZ_OUTCOME_DONE:
    case FLZ_OUTCOME_NOOP:
        stats->opened += receipt->kind == FLZ_TASK_OPEN;
        stats->rescued += receipt->kind == FLZ_TASK_UNSPAM;
        stats->tidied += receipt->kind == FLZ_TASK_TIDY;
        break;
    case FLZ_OUTCOME_FAILED: stats->failed++; break;
    case FLZ_OUTCOME_INDETERMINATE: break;
    }
}

void worker_report(struct worker *worker, const struct flz_receipt *receipt)
{
    struct flz_report entry = {.kind = FLZ_REPORT_RECEIPT, .receipt = *receipt};
    int r = outbox_add(worker->parts.outbox, &entry);
    if (r < 0)
        flz_log_failure(worker->parts.log, "report_failed", r, NULL);
    count_receipt(&worker->stats, receipt);
    flz_log(worker->parts.log, FLZ_LOG_INFO, "task_outcome",
            "task=%s exchange=%s account=%s kind=%u turn=%u outcome=%u reason=%u placement=%u "
            "code=%u text=%s",
            flz_id_str(receipt->task), flz_id_str(receipt->exchange), flz_id_str(receipt->account),
            receipt->kind, receipt->turn, receipt->outcome, receipt->reason, receipt->placement,
            receipt->reply_code, receipt->text);
}

/* The record is gathered before its report, and both before anything else is: no commit parts
 * them. */
void worker_settle(struct worker *worker, struct job *job, enum job_next next, bool was_open,
                   const struct flz_receipt *receipt)
{
    if (was_open && job->record.state == JOB_ENDED)
        book_ended(&worker->book, job);
    int r = worker_save_job(worker, job);
    if (r < 0)
        flz_log_failure(worker->parts.log, "job_not_saved", r, NULL);
    if (next == JOB_REPORT) {
        job->reported = true;
        worker_report(worker, receipt);
    }
    if (!job->active)
        (void)book_schedule(&worker->book, job);
}
