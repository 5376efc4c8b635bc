/*
 * The book: all jobs of a node, by task id, and which of them time has made due. Pure container;
 * what becomes of a job is decided in job.h.
 */
#pragma once

#include "common/base/heap.h"
#include "common/base/map.h"
#include "node/core/job.h"

#include <stddef.h>

#define BOOK_JOBS_MAX 200000 /* open and remembered; no credit is given beyond */

struct book {
    struct job **jobs; /* owned; NULL where one was removed */
    size_t count;
    size_t capacity;
    uint32_t *spare; /* owned; places of removed jobs, used again */
    size_t spare_count;
    size_t spare_capacity;
    size_t open; /* not ended */
    struct flz_map by_id;
    struct flz_map by_act; /* exchange, turn and kind of act */
    struct flz_heap by_network; /* (network time, index): a job's not_before, deadline … */
    struct flz_heap by_boot;    /* (boot time, index): back-off between looks */
};

#define BOOK_NULL ((struct book){.jobs = NULL})

void book_deinit(struct book *book);

/* Takes a copy of a task. 0, -EEXIST (known), -ENOSPC (BOOK_JOBS_MAX) or -ENOMEM. *ret_job is owned
 * by the book. */
int book_add(struct book *book, const struct flz_task *task, struct job **ret_job);

/* The same for a task that is not taken: known from now on, and ended. It may come again when what
 * spoke against it is over; its receipt says that it was not done, so it never will be. */
int book_decline(struct book *book, const struct flz_task *task, enum flz_reason reason,
                 int64_t network_now, struct job **ret_job);

/* Takes a stored record (bytes of flz_codec_job). 0, -EBADMSG, -EEXIST, -ENOSPC, -ENOMEM. */
int book_load(struct book *book, struct flz_view record, struct job **ret_job);

struct job *book_find(const struct book *book, struct flz_id task);

/*
 * A job that acted, or may yet act, on the message that this task is about, in the same way:
 * sending it (SEND, REPLY), UNSPAM, OPEN. NULL: none, or a kind that may be repeated (FIND changes
 * nothing, what TIDY filed lies where it files to).
 */
struct job *book_find_act(const struct book *book, const struct flz_task *task);

/* By index, 0 … count-1; NULL where one was removed. */
struct job *book_at(const struct book *book, size_t index);

/* Puts a job where time will find it again: by job_due() and job->wait_boot. */
int book_schedule(struct book *book, struct job *job);

/* The next job that is due by both clocks and not active; NULL when none is. It must be scheduled
 * again once its turn is over. */
struct job *book_pop_due(struct book *book, struct job_clock clock);

/* When the next one may be due: network time and boot time (FLZ_NEVER: none). */
void book_next(const struct book *book, int64_t *ret_network, int64_t *ret_boot);

/* Counts a job out of the open ones (its state became JOB_ENDED). */
void book_ended(struct book *book, struct job *job);

/* Frees the job; it must not be active. */
void book_remove(struct book *book, struct job *job);
