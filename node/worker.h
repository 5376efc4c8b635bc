/*
 * The worker: carries the node's jobs out. It takes what time has made due from the book, gathers
 * it per account (a desk), and serves each desk by at most one SMTP session and one IMAP visit at a
 * time, within the node's limits. Every change of a job is journalled before the effect that
 * depends on it; every end is reported through the outbox.
 *
 *      link ──tasks──► worker_accept ─► book ─due─► desk ─► sender / visitor ─► job.h decides
 *                                                                      │
 *                               outbox ◄── receipts ◄──────────────────┘
 */
#pragma once

#include "common/sys/log.h"
#include "common/sys/tz.h"
#include "node/core/book.h"
#include "node/domains.h"
#include "node/identity.h"
#include "node/io/conn.h"
#include "node/journal.h"
#include "node/link.h"
#include "node/members.h"
#include "node/outbox.h"
#include "node/packs.h"
#include "node/providers.h"
#include "node/tokens.h"

#define WORKER_SESSIONS_MAX 64 /* SMTP sessions and IMAP visits at a time, each kind */

struct worker;

/* Everything is borrowed while the worker lives. */
struct worker_parts {
    struct uv_loop_s *loop;
    struct flz_log *log;
    struct journal *journal;
    struct outbox *outbox;
    struct members *members;
    const struct providers *providers;
    struct domains *domains;
    struct packs *packs;
    struct tz *tz;
    struct conn_pool *pool;
    struct tokens *tokens;
    const struct identity *identity;
    const char *ehlo_name;
    int64_t connect_timeout_ms;
    int64_t reply_timeout_ms; /* of an SMTP server, where RFC 5321 gives it longer */
    uint32_t credit_max;      /* open tasks this node takes */
    int64_t probe_age_ms_max; /* an account's servers are looked at again after half of it */
};

/* Loads the jobs from the journal: those found in DOT become AMBIGUOUS. 0 or negative (msg). */
int worker_open(const struct worker_parts *parts, struct worker **ret_worker, struct flz_msg *msg);
/* Sessions end at once, without callbacks. Before journal_close(). */
struct worker *worker_free(struct worker *worker);

/* The link is made after the worker (it asks for credit and open tasks). */
void worker_set_link(struct worker *worker, struct link *link);

/* Takes a believed frame of tasks. Known ids are passed over; refused ones are reported
 * DECLINED. */
void worker_accept(struct worker *worker, const struct flz_tasks *tasks);

/* The coordinator's log was restored from a backup: what was to be sent, and has not left, never
 * does. Durable before anything gathered later is. */
void worker_give_up_sends(struct worker *worker);

/* An account was taken in, changed, or is to be tried again: what was known of its servers is
 * forgotten. */
void worker_account_changed(struct worker *worker, struct flz_id account);

/* The providers table was read anew. */
void worker_providers_changed(struct worker *worker);

/* tokens_parts.on_news: the account can go on, or why it cannot. */
void worker_token_news(struct worker *worker, struct member *member, enum flz_reason reason,
                       const char *text);

/* Begins nothing new; a dot that waits for its record is withdrawn. What is behind its dot may
 * still get its answer: wait for worker_is_drained(), a few seconds at most, before the end. */
void worker_drain(struct worker *worker);
bool worker_is_drained(const struct worker *worker);

/* Something may have become due: a pulse, a new member, a domain known. Cheap; may be called
 * often. */
void worker_wake(struct worker *worker);

/* Forgets ended jobs that no replay can reach any more, and the counts of days long past. */
void worker_prune(struct worker *worker, int64_t network_now);

/* For HELLO. */
size_t worker_open_ids(struct worker *worker, const struct flz_id **ret_ids);
uint32_t worker_credit(const struct worker *worker);

/* Counters for metrics and status. */
struct worker_stats {
    uint64_t sent, rejected, withdrawn, ambiguous;
    uint64_t found_inbox, found_junk, found_other, missing, unobserved;
    uint64_t opened, rescued, replied, tidied, removed, declined, expired, failed;
    uint64_t sessions, session_failures, visits, visit_failures, incidents;
    size_t jobs_open, sessions_open, visits_open, incidents_open;
};
struct worker_stats worker_stats_of(const struct worker *worker);
