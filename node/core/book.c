#include "node/core/book.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct job *job_free(struct job *job)
{
    if (job)
        flz_arena_deinit(&job->arena);
    free(job);
    return NULL;
}
FLZ_DEFINE_FREEP(struct job, job_free)

void book_deinit(struct book *book)
{
    for (size_t i = 0; i < book->count; i++)
        (void)job_free(book->jobs[i]);
    free(book->jobs);
    free(book->spare);
    flz_map_deinit(&book->by_id);
    flz_map_deinit(&book->by_act);
    flz_heap_deinit(&book->by_network);
    flz_heap_deinit(&book->by_boot);
    *book = BOOK_NULL;
}

/* A place for one more job: that of a removed one, or a new one at the end. An old entry of a heap
 * may then name the new job, which does no harm: whether a job is due is looked at again. */
static int find_place(struct book *book, uint32_t *ret_index)
{
    if (book->spare_count > 0) {
        *ret_index = book->spare[book->spare_count - 1];
        return 0;
    }
    if (book->count >= BOOK_JOBS_MAX)
        return flz_fail(-ENOSPC);
    int r = flz_grow((void **)&book->jobs, &book->capacity, book->count + 1, sizeof *book->jobs);
    /* Room for its removal is made now, so that removing cannot fail. */
    if (r == 0)
        r = flz_grow((void **)&book->spare, &book->spare_capacity, book->count + 1,
                     sizeof *book->spare);
    *ret_index = (uint32_t)book->count;
    return r;
}

/* Names (x, n) and the kind of act. */
static bool act_key(const struct flz_task *task, struct flz_id *ret_key)
{
    uint32_t act = task->kind == FLZ_TASK_REPLY ? FLZ_TASK_SEND : task->kind;
    if (act != FLZ_TASK_SEND && act != FLZ_TASK_UNSPAM && act != FLZ_TASK_OPEN)
        return false;
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add(&hash, task->exchange.b, sizeof task->exchange.b);
    flz_hash_add(&hash, (const uint8_t[]){(uint8_t)task->turn, (uint8_t)act}, 2);
    struct flz_digest digest = flz_hash_digest(&hash);
    memcpy(ret_key->b, digest.b, sizeof ret_key->b);
    return true;
}

struct job *book_find_act(const struct book *book, const struct flz_task *task)
{
    struct flz_id key;
    if (!act_key(task, &key))
        return NULL;
    uint32_t index = flz_map_get(&book->by_act, key);
    struct job *job = index == FLZ_MAP_NONE ? NULL : book->jobs[index];
    return job && job_has_acted(job) ? job : NULL;
}

/* A later attempt takes the place of one that ended without acting. */
static int index_act(struct book *book, const struct flz_task *task, uint32_t index)
{
    struct flz_id key;
    if (!act_key(task, &key) || book_find_act(book, task))
        return 0;
    return flz_map_set(&book->by_act, key, index);
}

int book_load(struct book *book, struct flz_view record, struct job **ret_job)
{
    _cleanup_(job_freep) struct job *job = calloc(1, sizeof *job);
    if (!job)
        return flz_fail(-ENOMEM);
    int r = flz_decode(&flz_codec_job, record, &job->arena, &job->record);
    if (r < 0)
        return r;
    if (job->record.version != JOURNAL_VERSION || job->record.state < JOB_ACCEPTED ||
        job->record.state > JOB_ENDED || flz_id_is_null(job->record.task.id))
        return flz_fail(-EBADMSG);
    if (book_find(book, job->record.task.id))
        return flz_fail(-EEXIST);

    uint32_t index = 0;
    r = find_place(book, &index);
    if (r < 0)
        return r;
    r = flz_map_set(&book->by_id, job->record.task.id, index);
    if (r < 0)
        return r;
    r = index_act(book, &job->record.task, index);
    if (r < 0) {
        flz_map_remove(&book->by_id, job->record.task.id);
        return r;
    }
    if (index < book->count)
        book->spare_count--;
    else
        book->count++;
    book->open += job->record.state != JOB_ENDED;
    *ret_job = job;
    book->jobs[index] = steal_ptr(&job);
    return 0;
}

/* The copy is made by writing the record and reading it back: what is in memory is then what a
 * restart would read. */
static int add(struct book *book, const struct journal_job *record, struct job **ret_job)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = flz_encode(&flz_codec_job, record, &buf);
    if (r < 0)
        return r;
    return book_load(book, flz_buf_view(&buf), ret_job);
}

int book_add(struct book *book, const struct flz_task *task, struct job **ret_job)
{
    struct journal_job record = {.version = JOURNAL_VERSION, .task = *task, .state = JOB_ACCEPTED};
    return add(book, &record, ret_job);
}

int book_decline(struct book *book, const struct flz_task *task, enum flz_reason reason,
                 int64_t network_now, struct job **ret_job)
{
    struct journal_job record = {
        .version = JOURNAL_VERSION,
        .task = *task,
        .state = JOB_ENDED,
        .outcome = FLZ_OUTCOME_DECLINED,
        .reason = reason,
        .ended_at = network_now,
    };
    return add(book, &record, ret_job);
}

struct job *book_find(const struct book *book, struct flz_id task)
{
    uint32_t index = flz_map_get(&book->by_id, task);
    return index == FLZ_MAP_NONE ? NULL : book->jobs[index];
}

struct job *book_at(const struct book *book, size_t index)
{
    assert(index < book->count);
    return book->jobs[index];
}

int book_schedule(struct book *book, struct job *job)
{
    uint32_t index = flz_map_get(&book->by_id, job->record.task.id);
    assert(index != FLZ_MAP_NONE);
    int64_t due = job_due(job);
    return due == FLZ_NEVER ? 0 : flz_heap_push(&book->by_network, due, index);
}

struct job *book_pop_due(struct book *book, struct job_clock clock)
{
    struct flz_heap_entry entry;
    while (flz_heap_pop_due(&book->by_boot, clock.boot_now, &entry) ||
           flz_heap_pop_due(&book->by_network, clock.network_now, &entry)) {
        struct job *job = book->jobs[entry.item];
        /* An entry may be old: the job may have gone, be at work, or be due later by now. */
        if (!job || job->active || job_due(job) > clock.network_now)
            continue;
        if (job->wait_boot > clock.boot_now) {
            if (flz_heap_push(&book->by_boot, job->wait_boot, entry.item) < 0)
                return job; /* out of memory: rather too early than never */
            continue;
        }
        return job;
    }
    return NULL;
}

void book_next(const struct book *book, int64_t *ret_network, int64_t *ret_boot)
{
    struct flz_heap_entry entry;
    *ret_network = flz_heap_peek(&book->by_network, &entry) ? entry.at : FLZ_NEVER;
    *ret_boot = flz_heap_peek(&book->by_boot, &entry) ? entry.at : FLZ_NEVER;
}

void book_ended(struct book *book, struct job *job)
{
    assert(job->record.state == JOB_ENDED);
    assert(book->open > 0);
    book->open--;
}

void book_remove(struct book *book, struct job *job)
{
    uint32_t index = flz_map_get(&book->by_id, job->record.task.id);
    assert(index != FLZ_MAP_NONE);
    book->open -= job->record.state != JOB_ENDED;
    assert(!job->active);
    struct flz_id key;
    flz_map_remove(&book->by_id, job->record.task.id);
    if (act_key(&job->record.task, &key) && flz_map_get(&book->by_act, key) == index)
        flz_map_remove(&book->by_act, key);
    book->jobs[index] = job_free(job);
    book->spare[book->spare_count++] = index;
}
