/*
 * A job: one task in the node's hands, and every decision about it. Pure: times, counts and what
 * the servers said come in as data; new states and receipts go out. proto/journal.h shows its
 * states; the shell makes each change durable before it acts on it.
 *
 * Invariants
 *  J1  A dot is released only for a job whose DOT record is durable, and once at most.
 *  J2  A job whose dot may have left is never attempted again: it is looked for.
 *  J3  A send passes job_gate() before its DOT record and again after it.
 *  J4  A message is acted on once for each kind of act, whatever ids its tasks have.
 *  J5  Every job ends: each answer below is an end, or a time to go on that lies before its limit.
 */
#pragma once

#include "common/base/arena.h"
#include "node/core/smtp.h"
#include "node/core/visit.h"
#include "proto/journal.h"

#include <stdbool.h>

#define JOB_DAY_CEILING 50                    /* compiled in: dots of one account on one date */
#define JOB_SLOT_MAX_MS (8 * 24 * 3600000LL)  /* a task's slot; longer ones are declined */
#define JOB_AMBIGUOUS_MS (48 * 3600000LL)     /* network time a dot in doubt is looked for */
#define JOB_ANSWER_TRIES_MAX 5
#define JOB_ACTION_TRIES_MAX 5
#define JOB_AMBIGUOUS_LOOKS_MIN 3
/* Real time that a mailbox task has at least, however fast a lab's clock runs: neither its slot's
 * end nor the arrival deadline counts before. */
#define JOB_REAL_FLOOR_MS 8000

/* Copies a server's words for people, cut to `size`: addresses blanked, since they travel and are
 * kept for long; control characters become blanks. */
void job_set_words(char *field, size_t size, const char *words);

struct job {
    struct journal_job record;
    struct flz_arena arena; /* holds what the task points to */
    bool active;            /* a session or visit has it */
    bool reported;          /* its newest receipt is in the outbox */
    uint32_t noticed;       /* SEND, REPLY: what others said of it and was told (desk_report.c) */
    uint32_t looks;         /* FIND, AMBIGUOUS: looks that saw nothing */
    int64_t since_boot;     /* boot time from which this process has held it */
    int64_t wait_boot;      /* boot time before which it is left alone (back-off between looks) */
};

/* Real floors and the rate, for intervals that a lab's clock must not shrink to nothing. */
struct job_clock {
    int64_t network_now;
    int64_t boot_now;
    int64_t rate_milli;
};

/* What must hold at the moment of a dot. */
struct job_gate {
    struct job_clock clock;
    bool clock_known;         /* a pulse was received in this life */
    int64_t lease_end_boot;   /* boot time until which the node may act */
    bool accepted;            /* the coordinator's newest word on this node is that it belongs */
    bool paused;              /* network, provider, domain, account or node */
    bool in_hours;            /* the account's own hours and days, by its own zone */
    int32_t local_date;       /* of the account, now */
    uint32_t dots_today;      /* DOT records of the account on task.local_date, this one excluded */
    struct flz_consent consent;
    bool own_refused;         /* opt-out or provider policy of the account's own domain */
    bool peer_refused;        /* opt-out of the recipient's domain */
    bool peer_revoked;        /* the node that vouches for the recipient was cut off */
    bool peer_suppressed;     /* nobody writes to the recipient any more */
    bool revocations_lacking; /* there are some that this node does not know yet */
    bool given_up;            /* the log that ordered it was */
};

/* May this task act now? FLZ_REASON_NONE, or what forbids it. Mailbox tasks pass a gate too; the
 * end of their slot is job_expire()'s business, which knows the real floor. */
enum flz_reason job_gate_check(const struct flz_task *task, const struct job_gate *gate);

/* Is this a task we would ever carry out for this account? FLZ_REASON_NONE, or why not. */
enum flz_reason job_admit(const struct flz_task *task, const struct journal_member *member,
                          int64_t network_now);

/* The log that ordered it was given up. True when it changed: a message that has not left must not
 * any more, and is due to be withdrawn. Looks and acts go on: what left is to be found. */
bool job_give_up(struct job *job);

/* What follows from something that happened to a job. */
enum job_next {
    JOB_GO_ON,  /* job->wait_boot says when; no receipt */
    JOB_REPORT, /* *ret_receipt is to be reported; see job->record.state for whether it ended */
};

/* The slot is over, or its limit: what becomes of a job that was not done. JOB_GO_ON: not over, or
 * nothing to report (an \Answered that nobody could set is given up silently). */
enum job_next job_expire(struct job *job, struct job_clock clock, struct flz_receipt *ret_receipt);

/* The state before the dot: call, make durable, check the gate again. */
void job_begin_dot(struct job *job, struct job_clock clock);

/* The gate forbids it, or its second check failed and the dot was not taken. What passes (lease,
 * pause) is waited for, but not behind a DOT record. */
enum job_next job_withdraw(struct job *job, enum flz_reason reason, struct job_clock clock,
                           struct flz_receipt *ret_receipt);

/* A transaction ended with a verdict; `reason` is what the refusal, if it is one, was classed
 * as. */
enum job_next job_sent(struct job *job, const struct smtp_result *result, enum flz_reason reason,
                       struct job_clock clock, struct flz_receipt *ret_receipt);

/* A session never came to a transaction: connection, TLS, login. `text` is words for people. */
enum job_next job_no_session(struct job *job, enum flz_reason reason, bool permanent,
                             const char *text, struct job_clock clock,
                             struct flz_receipt *ret_receipt);

/* A restart found this job: one in DOT becomes AMBIGUOUS. True when it changed: the receipt is to
 * be reported. */
bool job_resume(struct job *job, struct job_clock clock, struct flz_receipt *ret_receipt);

/* The visit job that serves this job now: how many (0 … VISIT jobs of `max`), in ret_jobs. A TIDY
 * has one per message of the exchange. */
size_t job_visits(const struct job *job, struct job_clock clock, struct visit_job *ret_jobs,
                  size_t max);

/* All visit jobs of one job were settled; `outcomes` are theirs in the same order. */
enum job_next job_visited(struct job *job, const struct visit_outcome *outcomes, size_t n,
                          struct job_clock clock, struct flz_receipt *ret_receipt);

/* True when the job has work left for its mailbox or its SMTP server. */
bool job_wants_visit(const struct job *job);
bool job_wants_session(const struct job *job);

/* Network time at which it wants to be looked at next. */
int64_t job_due(const struct job *job);

/* Did it act on its message, or may it still? What ended without (its slot passed, it was withdrawn
 * or refused) leaves the message to another attempt. */
bool job_has_acted(const struct job *job);

/* May it be forgotten at `network_now`? (ended, reported, and past all replay windows) */
bool job_is_past(const struct job *job, int64_t network_now);
