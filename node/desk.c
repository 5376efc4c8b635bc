#include "node/desk.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VISIT_FLOOR_MS 1000 /* what is left of the lease must be worth a visit */

struct desk *desk_find(struct worker *worker, struct flz_id account)
{
    uint32_t index = flz_map_get(&worker->desk_of, account);
    if (index != FLZ_MAP_NONE)
        return worker->desks[index];
    struct desk *desk = calloc(1, sizeof *desk);
    if (!desk ||
        flz_grow((void **)&worker->desks, &worker->desks_capacity, worker->desks_count + 1,
                 sizeof *worker->desks) < 0 ||
        flz_map_set(&worker->desk_of, account, (uint32_t)worker->desks_count) < 0) {
        free(desk);
        return NULL;
    }
    desk->worker = worker;
    desk->account = account;
    const struct member *member = members_find(worker->parts.members, account);
    if (member)
        desk_join_services(desk, member);
    worker->desks[worker->desks_count++] = desk;
    return desk;
}

int desk_enqueue(struct queue *queue, struct job *job)
{
    int r =
        flz_grow((void **)&queue->jobs, &queue->capacity, queue->count + 1, sizeof *queue->jobs);
    if (r < 0)
        return r;
    queue->jobs[queue->count++] = job;
    job->active = true;
    return 0;
}

struct job *desk_dequeue(struct queue *queue)
{
    if (queue->count == 0)
        return NULL;
    struct job *job = queue->jobs[0];
    queue->count--;
    memmove(queue->jobs, queue->jobs + 1, queue->count * sizeof *queue->jobs);
    return job;
}

void desk_put_back(struct worker *worker, struct job *job)
{
    job->active = false;
    (void)book_schedule(&worker->book, job);
}

void desk_put_back_all(struct worker *worker, struct queue *queue)
{
    struct job *job;
    while ((job = desk_dequeue(queue)))
        desk_put_back(worker, job);
}

void desk_free(struct desk *desk)
{
    (void)sender_free(desk->sender);
    (void)visitor_free(desk->visitor);
    shaping_leave(&desk->smtp.shape);
    shaping_leave(&desk->imap.shape);
    desk_free_errands(desk);
    free(desk->send.jobs);
    free(desk->visit.jobs);
    free(desk);
}

bool desk_is_deserted(const struct desk *desk)
{
    return !desk->sender && !desk->visitor && desk->send.count == 0 && desk->visit.count == 0 &&
           !members_find(desk->worker->parts.members, desk->account);
}

void desk_expire_waiting(struct desk *desk, struct queue *queue, const struct line *line,
                         struct job_clock clock)
{
    struct worker *worker = desk->worker;
    size_t kept = 0;
    for (size_t i = 0; i < queue->count; i++) {
        struct job *job = queue->jobs[i];
        struct flz_receipt receipt;
        bool was_open = job->record.state != JOB_ENDED;
        if (line->trouble != FLZ_REASON_NONE && job->record.state == JOB_ACCEPTED)
            job->record.reason = line->trouble;
        if (job_expire(job, clock, &receipt) == JOB_GO_ON) {
            queue->jobs[kept++] = job;
            continue;
        }
        job->active = false;
        worker_settle(worker, job, JOB_REPORT, was_open, &receipt);
    }
    queue->count = kept;
}

/* In an incident one account at a time tries for all, whether it has work or not. */
static bool has_turn(struct desk *desk, struct line *line, const struct member *member)
{
    return !member->record.released &&
           shaping_has_turn(&line->shape, worker_shaping_clock(desk->worker));
}

void desk_serve(struct desk *desk)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_clock clock = worker_clock(worker);
    if (!member) {
        desk_put_back_all(worker, &desk->send);
        desk_put_back_all(worker, &desk->visit);
        return;
    }
    /* Three refused logins: a person is asked, since a fourth may lock the account. */
    if (!worker_has_authority(worker, clock) || worker->draining ||
        member->record.login_failures >= FLZ_LOGIN_TRIES_MAX)
        return;
    desk_rate_recall(desk, member, clock.network_now);
    /* Not before the network has said by which id it knows the account: a session begun under
     * another one would find its secret gone. */
    if (!member->record.accepted && !member->record.verdict[0])
        return;
    bool probe = desk_wants_probe(desk, member);
    bool login = (probe && desk_wants_login(desk)) || has_turn(desk, &desk->smtp, member);
    /* The probe's visit comes after its session: it reports on both. */
    bool look = (probe && !login) || has_turn(desk, &desk->imap, member);
    bool due = desk->send.count > 0 &&
               desk_rate_next(desk, member, clock.network_now) <= clock.network_now;
    bool session = !desk->sender && clock.boot_now >= desk->stop_boot && (due || login) &&
                   desk_may_open(desk, &desk->smtp, member, worker->stats.sessions_open);
    bool visit = !desk->visitor && (desk->visit.count > 0 || look) &&
                 desk_visit_wall_ms(worker) >= VISIT_FLOOR_MS &&
                 desk_may_open(desk, &desk->imap, member, worker->stats.visits_open);
    if ((!session && !visit) || !desk_has_secret(desk, member, probe))
        return;
    if (session) {
        desk->login_only = desk->send.count == 0;
        desk_open_session(desk, member);
    }
    if (visit)
        desk_open_visit(desk, member, look);
}
