#include "node/worker.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAKE_JOBS_MAX 2000 /* jobs moved to desks in one turn of the loop */
#define DAYS_KEPT 15       /* local dates whose dots are remembered */
#define TIMER_MS_MAX 1000

/* ---- Time and authority ---- */

struct job_clock worker_clock(struct worker *worker)
{
    struct job_clock clock = {.boot_now = flz_boottime_ms(), .rate_milli = 1000};
    if (worker->link) {
        clock.rate_milli = link_rate_milli(worker->link);
        if (link_now(worker->link, &clock.network_now) != 0)
            clock.network_now = 0;
    }
    return clock;
}

struct shaping_clock worker_shaping_clock(struct worker *worker)
{
    struct job_clock clock = worker_clock(worker);
    return (struct shaping_clock){.boot_now = clock.boot_now, .rate_milli = clock.rate_milli};
}

/* Before the first pulse nobody knows whether this is a lab: what is sent is looked at again. */
struct attest_time worker_attest_time(struct worker *worker)
{
    struct job_clock clock = worker_clock(worker);
    bool civil = clock.network_now > 0 && clock.rate_milli == NETCLOCK_RATE_ONE;
    return (struct attest_time){.now = clock.network_now, .civil = civil};
}

bool worker_has_authority(struct worker *worker, struct job_clock clock)
{
    return worker->link && clock.network_now > 0 && link_accepted(worker->link) &&
           clock.boot_now < link_lease_end_boot(worker->link);
}

int64_t worker_real_ms(struct worker *worker, int64_t network_ms, int64_t floor_ms)
{
    int64_t real = network_ms * 1000 / worker_clock(worker).rate_milli;
    return real > floor_ms ? real : floor_ms;
}

/* ---- The loop ---- */

void worker_wait_for(struct worker *worker, struct job *job, int64_t ms)
{
    job->wait_boot = flz_boottime_ms() + ms;
    (void)book_schedule(&worker->book, job);
}

/* What its gate says of a due job before any connection is made for it. True: it may go on. */
static bool passes_gate(struct worker *worker, struct job *job, const struct member *member)
{
    struct job_gate gate;
    switch (worker_fill_gate(worker, job, member, &gate)) {
    case 0: break;
    case DOMAINS_E_ASKED: worker_wait_for(worker, job, DOMAIN_WAIT_MS); return false;
    default: worker_wait_for(worker, job, GATE_WAIT_MS); return false;
    }
    enum flz_reason reason = job_gate_check(&job->record.task, &gate);
    if (reason == FLZ_REASON_NONE)
        return true;
    if (job->record.state != JOB_ACCEPTED) {
        /* It only looks, or marks what was answered: a closed gate puts it off. */
        bool passing = reason == FLZ_REASON_PAUSED || reason == FLZ_REASON_LEASE;
        if (passing)
            worker_wait_for(worker, job, GATE_WAIT_MS);
        return !passing;
    }
    struct flz_receipt receipt;
    enum job_next next = job_withdraw(job, reason, gate.clock, &receipt);
    worker_settle(worker, job, next, true, &receipt);
    return false;
}

/* One due job: ended by time, held back by its gate, or put on its account's desk. */
static void take_due(struct worker *worker, struct job *job, struct job_clock clock)
{
    struct flz_receipt receipt;
    bool was_open = job->record.state != JOB_ENDED;
    if (job_expire(job, clock, &receipt) == JOB_REPORT) {
        worker_settle(worker, job, JOB_REPORT, was_open, &receipt);
        return;
    }
    if (!job_wants_session(job) && !job_wants_visit(job)) {
        /* What it still wanted was given up. */
        worker_settle(worker, job, JOB_GO_ON, was_open, NULL);
        return;
    }
    struct member *member = members_find(worker->parts.members, job->record.task.account);
    if (!member) {
        worker_wait_for(worker, job, GATE_WAIT_MS);
        return;
    }
    if (!passes_gate(worker, job, member))
        return;
    struct desk *desk = desk_find(worker, job->record.task.account);
    int r = desk ? desk_enqueue(job_wants_session(job) ? &desk->send : &desk->visit, job) : -ENOMEM;
    if (r < 0)
        worker_wait_for(worker, job, GATE_WAIT_MS);
}

static void make_desks(struct worker *worker)
{
    for (size_t i = 0; i < members_count(worker->parts.members); i++)
        (void)desk_find(worker, members_at(worker->parts.members, i)->record.account.id);
}

static void free_deserted(struct worker *worker)
{
    for (size_t i = worker->desks_count; i-- > 0;) {
        struct desk *desk = worker->desks[i];
        if (!desk_is_deserted(desk))
            continue;
        flz_map_remove(&worker->desk_of, desk->account);
        desk_free(desk);
        struct desk *last = worker->desks[--worker->desks_count];
        if (i == worker->desks_count)
            continue;
        worker->desks[i] = last;
        /* Setting a key that is there allocates nothing. */
        (void)flz_map_set(&worker->desk_of, last->account, (uint32_t)i);
    }
}

static void run(struct worker *worker)
{
    struct job_clock clock = worker_clock(worker);
    if (!worker_has_authority(worker, clock) || worker->draining)
        return;
    struct job *job;
    for (int n = 0; n < WAKE_JOBS_MAX && (job = book_pop_due(&worker->book, clock)); n++)
        take_due(worker, job, clock);
    make_desks(worker);
    for (size_t i = 0; i < worker->desks_count; i++) {
        struct desk *desk = worker->desks[i];
        desk_expire_waiting(desk, &desk->send, &desk->smtp, clock);
        desk_expire_waiting(desk, &desk->visit, &desk->imap, clock);
        desk_serve(desk);
    }
    free_deserted(worker);
    journal_flush(worker->parts.journal);
}

static void arm(struct worker *worker);

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
    arm(timer->data);
}

static void on_soon(uv_idle_t *idle)
{
    (void)uv_idle_stop(idle);
    run(idle->data);
    arm(idle->data);
}

static void arm(struct worker *worker)
{
    struct job_clock clock = worker_clock(worker);
    int64_t network, boot;
    book_next(&worker->book, &network, &boot);
    int64_t wait = TIMER_MS_MAX;
    if (clock.network_now > 0 && network != FLZ_NEVER) {
        int64_t real = (network - clock.network_now) * 1000 / clock.rate_milli;
        wait = real < wait ? real : wait;
    }
    if (boot != FLZ_NEVER && boot - clock.boot_now < wait)
        wait = boot - clock.boot_now;
    (void)uv_timer_start(worker->timer, on_timer, wait > 10 ? (uint64_t)wait : 10, 0);
}

void worker_wake(struct worker *worker)
{
    (void)uv_idle_start(worker->soon, on_soon);
}

/* ---- Accepting ---- */

/* The task is remembered before its receipt leaves: should it come again (its receipt was under
 * way), it is known, and what was said of it stays true. */
static void decline(struct worker *worker, const struct flz_task *task, enum flz_reason reason,
                    const char *text)
{
    struct job *job;
    int r = book_decline(&worker->book, task, reason, worker_clock(worker).network_now, &job);
    if (r == 0)
        r = worker_save_job(worker, job);
    if (r < 0) {
        flz_log_failure(worker->parts.log, "task_not_declined", r, NULL);
        return; /* the coordinator offers it again after the next hello */
    }
    job->reported = true;
    struct flz_receipt receipt = {
        .task = task->id,
        .exchange = task->exchange,
        .account = task->account,
        .kind = task->kind,
        .turn = task->turn,
        .attempt = task->attempt,
        .outcome = FLZ_OUTCOME_DECLINED,
        .reason = reason,
        .at = worker_clock(worker).network_now,
        .local_date = task->local_date,
        .arrival_ms = -1,
        .voucher = task->voucher,
    };
    (void)snprintf(receipt.text, sizeof receipt.text, "%s", text);
    worker_report(worker, &receipt);
}

static void accept_task(struct worker *worker, const struct flz_tasks *frame,
                        const struct flz_task *task)
{
    if (book_find(&worker->book, task->id))
        return; /* known: what became of it is in the outbox, or on its way */
    struct member *member = members_find(worker->parts.members, task->account);
    int64_t now = worker_clock(worker).network_now;
    enum flz_reason reason = job_admit(task, member ? &member->record : NULL, now);
    struct flz_msg why = FLZ_MSG_NULL;
    if (reason == FLZ_REASON_NONE)
        reason = attest_task(worker->parts.identity, worker->nodes, frame, task,
                             worker_attest_time(worker), &why);
    if (reason == FLZ_REASON_NONE && flz_task_kind_sends(task->kind) &&
        worker_peer_is_revoked(worker, task)) {
        reason = FLZ_REASON_REVOKED;
        flz_msg_set(&why, "the recipient's node was revoked");
    }
    if (reason == FLZ_REASON_NONE && book_find_act(&worker->book, task)) {
        reason = FLZ_REASON_REPEATED;
        flz_msg_set(&why, "another task has acted on this message");
    }
    if (reason != FLZ_REASON_NONE) {
        decline(worker, task, reason, why.text);
        return;
    }
    struct job *job;
    int r = book_add(&worker->book, task, &job);
    if (r == 0)
        r = worker_save_job(worker, job);
    if (r < 0) {
        /* Not accepted: the coordinator offers it again after the next hello. */
        flz_log_failure(worker->parts.log, "task_not_accepted", r, NULL);
        return;
    }
    job->since_boot = flz_boottime_ms();
    (void)book_schedule(&worker->book, job);
}

void worker_accept(struct worker *worker, const struct flz_tasks *tasks)
{
    if (!journal_admits(worker->parts.journal)) {
        flz_log(worker->parts.log, FLZ_LOG_WARNING, "tasks_not_accepted",
                "count=%zu reason=\"the disk is nearly full\"", tasks->tasks_count);
        return;
    }
    for (size_t i = 0; i < tasks->tasks_count; i++)
        accept_task(worker, tasks, &tasks->tasks[i]);
    journal_flush(worker->parts.journal);
    worker_wake(worker);
}

size_t worker_open_ids(struct worker *worker, const struct flz_id **ret_ids)
{
    size_t n = 0;
    if (flz_grow((void **)&worker->open_ids, &worker->open_ids_capacity, worker->book.open + 1,
                 sizeof *worker->open_ids) < 0)
        return 0;
    for (size_t i = 0; i < worker->book.count && n < FLZ_OPEN_TASKS_MAX; i++) {
        const struct job *job = book_at(&worker->book, i);
        if (job && job->record.state != JOB_ENDED)
            worker->open_ids[n++] = job->record.task.id;
    }
    *ret_ids = worker->open_ids;
    return n;
}

uint32_t worker_credit(const struct worker *worker)
{
    size_t taken = worker->book.open;
    size_t remembered = worker->book.count - worker->book.spare_count;
    if (!journal_admits(worker->parts.journal) || worker->draining ||
        taken >= worker->parts.credit_max ||
        remembered + worker->parts.credit_max > BOOK_JOBS_MAX ||
        outbox_pending(worker->parts.outbox) > OUTBOX_PENDING_MAX)
        return 0;
    return worker->parts.credit_max - (uint32_t)taken;
}

/* Days long past: (worker, the first date kept). */
struct old_days {
    struct worker *worker;
    int32_t first;
};

static int on_day(struct flz_view key, struct flz_view value, void *data)
{
    const struct old_days *old = data;
    if (key.len != 20 || (int32_t)flz_be32(key.data + 16) < old->first)
        journal_delete(old->worker->parts.journal, JOURNAL_DAYS, key);
    return 0;
}

void worker_prune(struct worker *worker, int64_t network_now)
{
    for (size_t i = 0; i < worker->book.count; i++) {
        struct job *job = book_at(&worker->book, i);
        if (!job || job->active || !job_is_past(job, network_now))
            continue;
        journal_delete(worker->parts.journal, JOURNAL_JOBS, worker_id_view(&job->record.task.id));
        book_remove(&worker->book, job);
    }
    struct old_days old = {.worker = worker,
                           .first = (int32_t)(network_now / FLZ_DAY_MS) - DAYS_KEPT};
    (void)journal_each(worker->parts.journal, JOURNAL_DAYS, on_day, &old);
    journal_flush(worker->parts.journal);
}

void worker_account_changed(struct worker *worker, struct flz_id account)
{
    uint32_t index = flz_map_get(&worker->desk_of, account);
    if (index != FLZ_MAP_NONE) {
        struct desk *desk = worker->desks[index];
        const struct member *member = members_find(worker->parts.members, account);
        if (member)
            desk_join_services(desk, member);
        shaping_urge(&desk->smtp.shape);
        shaping_urge(&desk->imap.shape);
        desk->stop_boot = 0;
        desk->reports_boot = 0;
        desk->probe_boot = 0;
        desk->probes_failed = 0;
        desk->worked = false;
    }
    worker_wake(worker);
}

void worker_providers_changed(struct worker *worker)
{
    for (size_t i = 0; i < worker->desks_count; i++) {
        const struct member *member =
            members_find(worker->parts.members, worker->desks[i]->account);
        if (member)
            desk_shape(worker->desks[i], member);
    }
    worker_wake(worker);
}

static void withdraw_waiting_dots(struct worker *worker)
{
    for (size_t i = 0; i < worker->desks_count; i++)
        if (worker->desks[i]->dot_waits)
            sender_withdraw(worker->desks[i]->sender);
}

void worker_give_up_sends(struct worker *worker)
{
    for (size_t i = 0; i < worker->book.count; i++) {
        struct job *job = book_at(&worker->book, i);
        if (!job || !job_give_up(job))
            continue;
        int r = worker_save_job(worker, job);
        if (r < 0)
            flz_log_failure(worker->parts.log, "job_not_saved", r, NULL);
        if (!job->active)
            (void)book_schedule(&worker->book, job);
    }
    withdraw_waiting_dots(worker);
    worker_wake(worker);
}

/* ---- Stopping ---- */

void worker_drain(struct worker *worker)
{
    worker->draining = true;
    withdraw_waiting_dots(worker);
}

bool worker_is_drained(const struct worker *worker)
{
    for (size_t i = 0; i < worker->desks_count; i++) {
        const struct desk *desk = worker->desks[i];
        if (desk->sending && desk->sending->record.state == JOB_DOT)
            return false;
    }
    return true;
}

/* ---- Life ---- */

static int on_stored_job(struct flz_view key, struct flz_view value, void *data)
{
    struct worker *worker = data;
    struct job *job;
    int r = book_load(&worker->book, value, &job);
    if (r < 0)
        return r;
    job->since_boot = flz_boottime_ms();
    /* A job that ended had its report in the same commit. */
    job->reported = job->record.state == JOB_ENDED;
    struct flz_receipt receipt;
    if (job_resume(job, worker_clock(worker), &receipt))
        worker_settle(worker, job, JOB_REPORT, true, &receipt);
    else
        (void)book_schedule(&worker->book, job);
    return 0;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static int start_handles(struct worker *worker)
{
    worker->timer = calloc(1, sizeof *worker->timer);
    worker->soon = calloc(1, sizeof *worker->soon);
    if (!worker->timer || !worker->soon) {
        free(worker->timer);
        free(worker->soon);
        worker->timer = NULL;
        worker->soon = NULL;
        return flz_fail(-ENOMEM);
    }
    (void)uv_timer_init(worker->parts.loop, worker->timer);
    (void)uv_idle_init(worker->parts.loop, worker->soon);
    worker->timer->data = worker;
    worker->soon->data = worker;
    return 0;
}

FLZ_DEFINE_FREEP(struct worker, worker_free)

int worker_open(const struct worker_parts *parts, struct worker **ret_worker, struct flz_msg *msg)
{
    _cleanup_(worker_freep) struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return flz_fail(-ENOMEM);
    worker->parts = *parts;
    worker->nodes = attest_nodes_new();
    if (!worker->nodes)
        return flz_fail(-ENOMEM);
    int r = start_handles(worker);
    if (r < 0)
        return r;
    r = journal_each(parts->journal, JOURNAL_JOBS, on_stored_job, worker);
    if (r < 0) {
        flz_msg_set(msg, "a job in the journal cannot be read");
        return r;
    }
    arm(worker);
    *ret_worker = steal_ptr(&worker);
    return 0;
}

struct worker *worker_free(struct worker *worker)
{
    if (!worker)
        return NULL;
    for (struct dot_wait *wait = worker->waits; wait; wait = wait->next)
        wait->worker = NULL;
    for (size_t i = 0; i < worker->desks_count; i++)
        desk_free(worker->desks[i]);
    free(worker->desks);
    flz_map_deinit(&worker->desk_of);
    shaping_deinit(&worker->shaping);
    meters_deinit(&worker->meters);
    book_deinit(&worker->book);
    free(worker->open_ids);
    worker->nodes = attest_nodes_free(worker->nodes);
    if (worker->timer)
        uv_close((uv_handle_t *)worker->timer, free_handle);
    if (worker->soon)
        uv_close((uv_handle_t *)worker->soon, free_handle);
    free(worker);
    return NULL;
}

void worker_set_link(struct worker *worker, struct link *link)
{
    worker->link = link;
}

struct worker_stats worker_stats_of(const struct worker *worker)
{
    struct worker_stats stats = worker->stats;
    stats.jobs_open = worker->book.open;
    for (size_t i = 0; i < worker->shaping.count; i++)
        stats.incidents_open += worker->shaping.services[i]->incident;
    return stats;
}
