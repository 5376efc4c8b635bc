#include "common/base/error.h"
#include "common/base/text.h"
#include "node/desk.h"

#include <errno.h>
#include <string.h>

const char *worker_domain_of(const char *address)
{
    const char *at = strchr(address, '@');
    return at ? at + 1 : "";
}

/* Unknown counts as refusing: the job waits, and the look-up is under way. */
int worker_domain_refuses(struct worker *worker, const char *address, bool *ret_refuses)
{
    char domain[FLZ_DOMAIN_MAX];
    const struct domain_facts *facts;
    if (flz_text_copy(domain, sizeof domain, worker_domain_of(address)) < 0)
        return flz_fail(-EINVAL);
    flz_ascii_lower_str(domain);
    int r = domains_look(worker->parts.domains, domain, &facts);
    if (r != 0)
        return r;
    *ret_refuses = facts->opt_out || facts->google || domains_is_google_address(domain);
    return 0;
}

static void fill_hours(struct worker *worker, const struct journal_member *record, int64_t now,
                       struct job_gate *gate)
{
    const struct flz_account *account = &record->account;
    struct tz_hours hours = {.start_minute = (int)account->start_minute,
                             .end_minute = (int)account->end_minute,
                             .days = account->days};
    int32_t today;
    if (tz_local_day(worker->parts.tz, account->zone, now, &today) < 0)
        return;
    /* A window across midnight belongs to the date on which it began. */
    for (int32_t date = today; date >= today - 1; date--) {
        struct tz_window window;
        if (!flz_is_day_off(&account->days_off, date) &&
            tz_window(worker->parts.tz, account->zone, date, hours, &window) == 0 &&
            now >= window.start && now < window.end) {
            gate->in_hours = true;
            gate->local_date = date;
            return;
        }
    }
}

static bool is_to_send(const struct job *job)
{
    return job_wants_session(job) || job->record.state == JOB_DOT;
}

/* Who cannot be named is not written to. */
bool worker_peer_is_revoked(struct worker *worker, const struct flz_task *task)
{
    struct flz_id node;
    return attest_signer(task, &node) != FLZ_REASON_NONE ||
           (worker->link && link_is_revoked(worker->link, node));
}

/* What the providers table says of it, as its desk knows. */
static bool is_denied(const struct worker *worker, struct flz_id account)
{
    uint32_t index = flz_map_get(&worker->desk_of, account);
    return index != FLZ_MAP_NONE && worker->desks[index]->denied;
}

int worker_fill_gate(struct worker *worker, const struct job *job, const struct member *member,
                     struct job_gate *ret_gate)
{
    const struct flz_task *task = &job->record.task;
    const struct flz_account *account = &member->record.account;
    struct job_clock clock = worker_clock(worker);
    struct job_gate gate = {
        .clock = clock,
        .clock_known = clock.network_now > 0,
        .accepted = worker->link && link_accepted(worker->link),
        .lease_end_boot = worker->link ? link_lease_end_boot(worker->link) : 0,
        .paused = worker->link && link_paused(worker->link, account->id, account->provider,
                                              worker_domain_of(account->address)),
        .consent = account->consent,
        .given_up = job->record.given_up,
    };
    if (member->record.released)
        gate.consent.until = 0;
    if (is_to_send(job)) {
        gate.peer_revoked = worker_peer_is_revoked(worker, task);
        gate.peer_suppressed = worker->link && link_suppressed(worker->link, task->peer_account);
        gate.revocations_lacking = worker->link && !link_knows_revocations(worker->link);
    }
    int r = worker_domain_refuses(worker, account->address, &gate.own_refused);
    gate.own_refused = gate.own_refused || is_denied(worker, account->id);
    if (r == 0 && is_to_send(job))
        r = worker_domain_refuses(worker, task->to, &gate.peer_refused);
    if (r != 0)
        return r;
    fill_hours(worker, &member->record, clock.network_now, &gate);
    gate.dots_today = worker_dots_on(worker, account->id, task->local_date);
    if (job->record.state == JOB_DOT && gate.dots_today > 0)
        gate.dots_today--; /* its own */
    *ret_gate = gate;
    return 0;
}
