#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/desk.h"
#include "node/refusal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REPORTS_FLOOR_MS 2000 /* real time between looks for reports, however fast a lab is */
#define REPORTS_AGE_MS (3 * FLZ_DAY_MS) /* real time; older mail is no news */
#define RETENTION_MS (14 * FLZ_DAY_MS) /* filed messages; then they go, if the owner agreed */

void desk_free_errands(struct desk *desk)
{
    for (size_t i = 0; i < desk->errands_count; i++)
        free(desk->errands[i].outcomes);
    free(desk->errands);
    desk->errands = NULL;
    desk->errands_count = 0;
}

static struct errand *errand_of(struct desk *desk, size_t visit_job)
{
    for (size_t i = 0; i < desk->errands_count; i++)
        if (visit_job >= desk->errands[i].first &&
            visit_job < desk->errands[i].first + desk->errands[i].n)
            return &desk->errands[i];
    return NULL;
}

/* A message in our own folder: one of the network's, of this account, and old enough? */
static bool may_be_removed(struct desk *desk, const struct header *header)
{
    struct worker *worker = desk->worker;
    const struct member *member = members_find(worker->parts.members, desk->account);
    struct flz_msg why = FLZ_MSG_NULL;
    if (!member)
        return false;
    bool old = attest_kept_header(worker->parts.identity, member->record.account.address,
                                  desk->sweep_before, header, worker_attest_time(worker), &why);
    if (!old)
        flz_log(worker->parts.log, FLZ_LOG_NOTICE, "message_kept", "account=%s reason=%s",
                flz_id_str(desk->account), why.text);
    return old;
}

static void swept(struct desk *desk, const struct visit_outcome *outcome)
{
    struct worker *worker = desk->worker;
    worker->stats.removed += outcome->removed;
    if (outcome->reason == VISIT_REASON_SESSION)
        return;
    /* The rest is left to the account's next visit; what does not go today is tried tomorrow. */
    if (!outcome->more || outcome->removed == 0)
        desk->sweep_date = desk->sweep_today;
    enum flz_log_level level = outcome->result == VISIT_FAILED ? FLZ_LOG_WARNING
                               : outcome->result == VISIT_DONE ? FLZ_LOG_INFO
                                                               : FLZ_LOG_DEBUG;
    flz_log(worker->parts.log, level, "mailbox_swept",
            "account=%s removed=%u more=%d reason=%d text=%s", flz_id_str(desk->account),
            outcome->removed, outcome->more, (int)outcome->reason, outcome->text);
}

static bool on_verify(struct visitor *visitor, size_t visit_job, const struct header *header,
                      void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    const struct errand *errand = errand_of(desk, visit_job);
    if (errand && errand->sweep)
        return may_be_removed(desk, header);
    if (!errand || !errand->job)
        return false;
    struct flz_msg why = FLZ_MSG_NULL;
    bool ours = attest_found_header(worker->parts.identity, &errand->job->record.task,
                                    errand->turns[visit_job - errand->first], header,
                                    worker_attest_time(worker), &why);
    if (!ours)
        flz_log(worker->parts.log, FLZ_LOG_NOTICE, "message_not_ours", "task=%s reason=%s",
                flz_id_str(errand->job->record.task.id), why.text);
    return ours;
}

static void on_outcome(struct visitor *visitor, const struct visit_outcome *outcome, void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    struct errand *errand = errand_of(desk, outcome->job);
    if (!errand)
        return;
    if (errand->sweep) {
        swept(desk, outcome);
        return;
    }
    if (errand->reports) {
        if (outcome->reason != VISIT_REASON_SESSION)
            memcpy(desk->marks, outcome->marks, sizeof desk->marks);
        return;
    }
    if (!errand->job) {
        if (outcome->reason != VISIT_REASON_SESSION) {
            desk->probing = false;
            desk_line_worked(desk, &desk->imap);
            /* Not asked at all: the account changed meanwhile, and is looked at anew. */
            if (desk->smtp.shape.ok || desk->smtp.trouble != FLZ_REASON_NONE)
                desk_report_probe(desk, desk->smtp.shape.ok, outcome);
        }
        return;
    }
    errand->outcomes[outcome->job - errand->first] = *outcome;
    if (++errand->settled < errand->n)
        return;
    for (size_t i = 0; i < errand->n; i++)
        if (errand->outcomes[i].reason == VISIT_REASON_SESSION)
            return; /* on_end puts it back */

    struct job *job = steal_ptr(&errand->job);
    errand->n = 0;
    struct flz_receipt receipt;
    bool was_open = job->record.state != JOB_ENDED;
    enum job_next next =
        job_visited(job, errand->outcomes, errand->settled, worker_clock(worker), &receipt);
    job->active = false;
    worker_settle(worker, job, next, was_open, &receipt);
}

static void on_visitor_end(struct visitor *visitor, enum visit_end end, enum conn_end conn,
                           const char *text, void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    desk->visitor = visitor_free(visitor);
    shaping_closed(&desk->imap.shape);
    worker->stats.visits_open--;
    enum flz_reason reason = refusal_of_visit(end, conn);
    bool forgiven = desk_forgive_token(desk, &desk->imap, &reason);
    if (reason == FLZ_REASON_NONE) {
        desk_line_worked(desk, &desk->imap);
    } else {
        worker->stats.visit_failures++;
        desk_line_failed(desk, &desk->imap, reason, text);
        flz_log(worker->parts.log, FLZ_LOG_WARNING, "visit_failed",
                "account=%s end=%d conn=%s reason=%u text=%s", flz_id_str(desk->account), (int)end,
                conn_end_str(conn), (unsigned)reason, desk->imap.text);
        if (desk->probing && !forgiven)
            desk_report_probe(desk, false, NULL);
    }
    for (size_t i = 0; i < desk->errands_count; i++) {
        struct job *job = desk->errands[i].job;
        if (!job)
            continue;
        struct flz_receipt receipt;
        bool was_open = job->record.state != JOB_ENDED;
        enum job_next next =
            job_no_session(job, reason ? reason : FLZ_REASON_PROTOCOL, false,
                           reason ? desk->imap.text : text, worker_clock(worker), &receipt);
        job->active = false;
        worker_settle(worker, job, next, was_open, &receipt);
    }
    desk_free_errands(desk);
    desk->probing = false;
    worker_wake(worker);
}

static int on_visitor_secret(struct visitor *visitor, struct flz_secret *ret_secret, void *userdata)
{
    return desk_secret(userdata, ret_secret);
}

static void on_report(struct visitor *visitor, bool whole, struct flz_view bytes, void *userdata)
{
    struct desk *desk = userdata;
    if (whole)
        desk_take_report(desk->worker, &desk->account, bytes);
    else
        desk_take_answer(desk->worker, &desk->account, bytes);
}

static const struct visitor_events visitor_events = {
    .on_secret = on_visitor_secret,
    .on_verify = on_verify,
    .on_report = on_report,
    .on_outcome = on_outcome,
    .on_end = on_visitor_end,
};

/* Adds the visit jobs of one job; one that has none (nothing to file) is settled at once. */
static void add_errand(struct desk *desk, struct job *job, struct job_clock clock,
                       struct visit_job *jobs, size_t *count)
{
    struct worker *worker = desk->worker;
    size_t n = job_visits(job, clock, jobs + *count, VISIT_JOBS_MAX - *count);
    if (n == 0 && job->record.task.kind != FLZ_TASK_TIDY) {
        desk_put_back(worker, job); /* what it wanted is over */
        return;
    }
    if (n == 0) {
        struct flz_receipt receipt;
        enum job_next next = job_visited(job, NULL, 0, clock, &receipt);
        job->active = false;
        worker_settle(worker, job, next, true, &receipt);
        return;
    }
    assert(n <= FLZ_TURNS_MAX);
    struct errand errand = {.job = job, .first = *count, .n = n};
    errand.outcomes = calloc(n, sizeof *errand.outcomes);
    if (!errand.outcomes) {
        job->wait_boot = clock.boot_now + GATE_WAIT_MS;
        desk_put_back(worker, job);
        return;
    }
    for (size_t i = 0; i < n; i++)
        errand.turns[i] = jobs[*count + i].look.step;
    desk->errands[desk->errands_count++] = errand;
    *count += n;
}

/*
 * Retention: once on each local day, in a visit that is made anyway, what is older than 14 days is
 * removed from our own folder; only with the owner's consent to that, and never of an account that
 * is stopped.
 */
static bool wants_sweep(struct desk *desk, const struct member *member, struct job_clock clock)
{
    struct worker *worker = desk->worker;
    const struct flz_account *account = &member->record.account;
    bool refused = true;
    if (member->record.released || account->consent.until <= clock.network_now ||
        !(account->consent.actions & FLZ_ACTION_DELETE) ||
        link_paused(worker->link, account->id, account->provider,
                    worker_domain_of(account->address)) ||
        worker_domain_refuses(worker, account->address, &refused) != 0 || refused)
        return false;
    int32_t today;
    if (tz_local_day(worker->parts.tz, account->zone, clock.network_now, &today) < 0)
        return false;
    desk->sweep_today = today;
    desk->sweep_before = clock.network_now - RETENTION_MS;
    return today != desk->sweep_date;
}

/* Once an hour of network time, in a visit that is made anyway; while its owner's consent lives. */
static bool wants_reports(struct desk *desk, const struct member *member, struct job_clock clock)
{
    if (member->record.released || member->record.account.consent.until <= clock.network_now ||
        clock.boot_now < desk->reports_boot)
        return false;
    desk->reports_boot =
        clock.boot_now + worker_real_ms(desk->worker, FLZ_HOUR_MS, REPORTS_FLOOR_MS);
    return true;
}

static size_t gather_errands(struct desk *desk, const struct member *member, struct visit_job *jobs,
                             bool probe)
{
    struct job_clock clock = worker_clock(desk->worker);
    size_t count = 0;
    desk->errands = calloc(VISIT_JOBS_MAX, sizeof *desk->errands);
    if (!desk->errands)
        return 0;
    /* Five visit jobs are the most that one task has; three places are for probe, sweep and
     * reports. */
    while (desk->visit.count > 0 && count + FLZ_TURNS_MAX + 3 <= VISIT_JOBS_MAX)
        add_errand(desk, desk_dequeue(&desk->visit), clock, jobs, &count);
    if (probe) {
        jobs[count] = (struct visit_job){.kind = VISIT_PROBE};
        desk->errands[desk->errands_count++] = (struct errand){.first = count++, .n = 1};
        desk->probing = true;
    }
    if (count > 0 && wants_sweep(desk, member, clock)) {
        jobs[count] = (struct visit_job){.kind = VISIT_SWEEP, .before_ms = desk->sweep_before};
        desk->errands[desk->errands_count++] =
            (struct errand){.sweep = true, .first = count++, .n = 1};
    }
    if (count > 0 && wants_reports(desk, member, clock)) {
        jobs[count] = (struct visit_job){
            .kind = VISIT_REPORTS, .look.arrived_after_ms = flz_realtime_ms() - REPORTS_AGE_MS};
        memcpy(jobs[count].marks, desk->marks, sizeof desk->marks);
        desk->errands[desk->errands_count++] =
            (struct errand){.reports = true, .first = count++, .n = 1};
    }
    return count;
}

int64_t desk_visit_wall_ms(struct worker *worker)
{
    int64_t left = link_lease_end_boot(worker->link) - flz_boottime_ms();
    return left < VISIT_WALL_MS_MAX ? left : VISIT_WALL_MS_MAX;
}

void desk_open_visit(struct desk *desk, const struct member *member, bool probe)
{
    struct worker *worker = desk->worker;
    _cleanup_(flz_freep) struct visit_job *jobs = calloc(VISIT_JOBS_MAX, sizeof *jobs);
    size_t n = jobs ? gather_errands(desk, member, jobs, probe) : 0;
    if (n == 0) {
        desk_free_errands(desk);
        desk->probing = false;
        return;
    }
    struct visitor_options options = {
        .endpoint = member_imap(member),
        .user = member->record.user,
        .token = member->record.login == MEMBER_LOGIN_TOKEN,
        .connect_timeout_ms = worker->parts.connect_timeout_ms,
        .wall_ms_max = desk_visit_wall_ms(worker),
        .version = FLZ_VERSION,
    };
    int r = visitor_new(worker->parts.pool, worker->parts.loop, &options, jobs, n, &visitor_events,
                        desk, &desk->visitor);
    if (r < 0) {
        desk_line_failed(desk, &desk->imap, FLZ_REASON_NETWORK, "no connection could be started");
        for (size_t i = 0; i < desk->errands_count; i++)
            if (desk->errands[i].job)
                desk_put_back(worker, desk->errands[i].job);
        desk_free_errands(desk);
        desk->probing = false;
        return;
    }
    shaping_opened(&desk->imap.shape);
    worker->stats.visits++;
    worker->stats.visits_open++;
}
