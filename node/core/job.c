#include "node/core/job.h"

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Intervals between looks and attempts: network time, but never less than their real floor. */
static const int64_t look_network_ms[] = {
    FLZ_MINUTE_MS,      2 * FLZ_MINUTE_MS,  5 * FLZ_MINUTE_MS, 10 * FLZ_MINUTE_MS,
    20 * FLZ_MINUTE_MS, 40 * FLZ_MINUTE_MS, FLZ_HOUR_MS,
};
#define LOOK_FLOOR_MS 400
#define RETRY_FLOOR_MS 1000

static int64_t interval_ms(uint32_t n, int64_t rate_milli, int64_t floor_ms)
{
    size_t last = sizeof look_network_ms / sizeof *look_network_ms - 1;
    int64_t network = look_network_ms[n < last ? n : last];
    int64_t real = network * 1000 / rate_milli;
    /* The floor grows with the tries too, so that a fast lab does not hammer a slow server. */
    int64_t floor = floor_ms * (n < 4 ? n + 1 : 5);
    return real > floor ? real : floor;
}

/* The consent bits a task needs of the account that acts. */
static uint32_t actions_of(const struct flz_task *task)
{
    switch ((enum flz_task_kind)task->kind) {
    case FLZ_TASK_SEND: return FLZ_ACTION_SEND;
    case FLZ_TASK_REPLY: return FLZ_ACTION_REPLY;
    case FLZ_TASK_OPEN: return FLZ_ACTION_OPEN;
    case FLZ_TASK_UNSPAM:
    case FLZ_TASK_TIDY: return FLZ_ACTION_MOVE;
    case FLZ_TASK_FIND: break;
    }
    return 0;
}

/* ---- Admission and gate ---- */

enum flz_reason job_admit(const struct flz_task *task, const struct journal_member *member,
                          int64_t network_now)
{
    if (!member || member->released)
        return FLZ_REASON_UNKNOWN_ACCOUNT;
    if (task->kind < FLZ_TASK_SEND || task->kind > FLZ_TASK_KIND_MAX || task->turn >= FLZ_TURNS_MAX)
        return FLZ_REASON_PROTOCOL;
    if (task->not_before >= task->not_after ||
        task->not_after - task->not_before > JOB_SLOT_MAX_MS || task->not_after <= network_now)
        return FLZ_REASON_SLOT;
    const struct flz_consent *consent = &member->account.consent;
    if (consent->until <= network_now ||
        (consent->actions & actions_of(task)) != actions_of(task))
        return FLZ_REASON_NO_CONSENT;
    /* The order must be about this mailbox: what we send is from it, what we look for is to it. */
    const char *own = flz_task_kind_sends(task->kind) ? task->from : task->to;
    if (task->kind != FLZ_TASK_TIDY && !flz_ascii_equal_nocase(own, member->account.address))
        return FLZ_REASON_UNKNOWN_ACCOUNT;
    return FLZ_REASON_NONE;
}

enum flz_reason job_gate_check(const struct flz_task *task, const struct job_gate *gate)
{
    int64_t now = gate->clock.network_now;
    if (gate->given_up)
        return FLZ_REASON_RESTORED;
    if (!gate->clock_known || !gate->accepted || gate->clock.boot_now >= gate->lease_end_boot)
        return FLZ_REASON_LEASE;
    if (gate->paused)
        return FLZ_REASON_PAUSED;
    if (now < task->not_before || (flz_task_kind_sends(task->kind) && now >= task->not_after))
        return FLZ_REASON_SLOT;
    if (gate->consent.until <= now ||
        (gate->consent.actions & actions_of(task)) != actions_of(task))
        return FLZ_REASON_NO_CONSENT;
    if (gate->own_refused)
        return FLZ_REASON_POLICY;
    if (!flz_task_kind_sends(task->kind))
        return FLZ_REASON_NONE;
    if (gate->peer_revoked)
        return FLZ_REASON_REVOKED;
    if (gate->peer_suppressed)
        return FLZ_REASON_SUPPRESSED;
    /* Who was cut off lately is not known yet: authority is not complete, and is waited for. */
    if (gate->revocations_lacking)
        return FLZ_REASON_LEASE;
    if (gate->peer_refused)
        return FLZ_REASON_POLICY;
    if (!gate->in_hours || gate->local_date != task->local_date)
        return FLZ_REASON_SLOT;
    if (gate->dots_today >= task->day_cap || gate->dots_today >= JOB_DAY_CEILING)
        return FLZ_REASON_CAP;
    return FLZ_REASON_NONE;
}

bool job_give_up(struct job *job)
{
    bool before_dot = job->record.state == JOB_ACCEPTED || job->record.state == JOB_DOT;
    if (!flz_task_kind_sends(job->record.task.kind) || !before_dot || job->record.given_up)
        return false;
    job->record.given_up = true;
    return true;
}

/* ---- Receipts ---- */

static void end(struct job *job, int64_t now)
{
    job->record.state = JOB_ENDED;
    job->record.ended_at = now;
}

static void fill_receipt(const struct job *job, enum flz_outcome outcome, int64_t at,
                         struct flz_receipt *ret_receipt)
{
    const struct journal_job *record = &job->record;
    *ret_receipt = (struct flz_receipt){
        .task = record->task.id,
        .exchange = record->task.exchange,
        .account = record->task.account,
        .kind = record->task.kind,
        .turn = record->task.turn,
        .attempt = record->task.attempt,
        .outcome = outcome,
        .reason = outcome == FLZ_OUTCOME_SENT ? FLZ_REASON_NONE : record->reason,
        .at = at,
        .dot_at = record->dot_at,
        .local_date = record->task.local_date,
        .reply_code = record->reply_code,
        .arrival_ms = -1,
        .voucher = record->task.voucher,
    };
    memcpy(ret_receipt->enhanced, record->enhanced, sizeof record->enhanced);
    memcpy(ret_receipt->text, record->text, sizeof record->text);
}

static enum job_next end_with(struct job *job, enum flz_outcome outcome, int64_t now,
                              struct flz_receipt *ret_receipt)
{
    end(job, now);
    job->record.outcome = outcome;
    fill_receipt(job, outcome, now, ret_receipt);
    return JOB_REPORT;
}

static enum job_next try_again(struct job *job, struct job_clock clock, int64_t floor_ms)
{
    job->wait_boot = clock.boot_now + interval_ms(job->record.tries, clock.rate_milli, floor_ms);
    job->record.tries++;
    return JOB_GO_ON;
}

void job_set_words(char *field, size_t size, const char *words)
{
    static const char blank[] = "[address]";
    size_t n = 0;
    while (*words && n + 1 < size) {
        size_t word = strcspn(words, " \t\r\n<>(),;:\"'");
        size_t take = word > 0 ? word : 1;
        const char *from = word > 0 && memchr(words, '@', word) ? blank : words;
        size_t len = from == blank ? sizeof blank - 1 : take;
        for (size_t i = 0; i < len && n + 1 < size; i++)
            field[n++] = (unsigned char)from[i] < 0x20 ? ' ' : from[i];
        words += take;
    }
    field[n] = '\0';
}

static void set_text(struct job *job, const char *text)
{
    job_set_words(job->record.text, sizeof job->record.text, text);
}

static void set_reply(struct job *job, const struct smtp_result *result, enum flz_reason reason)
{
    const struct reply *reply = &result->reply;
    job->record.reason = reason;
    job->record.reply_code = (uint32_t)reply->code;
    job->record.enhanced[0] = '\0';
    if (reply->enhanced.class)
        (void)snprintf(job->record.enhanced, sizeof job->record.enhanced, "%u.%u.%u",
                       reply->enhanced.class % 10u, reply->enhanced.subject % 1000u,
                       reply->enhanced.detail % 1000u);
    char text[REPLY_TEXT_MAX + 64];
    (void)snprintf(text, sizeof text, "%s: %s", smtp_stage_str(result->stage),
                   reply->code      ? reply->text
                   : result->reason ? result->reason
                                    : "no reply");
    set_text(job, text);
}

/* ---- Sending ---- */

void job_begin_dot(struct job *job, struct job_clock clock)
{
    assert(job->record.state == JOB_ACCEPTED);
    job->record.state = JOB_DOT;
    job->record.dot_at = clock.network_now;
}

/* What forbids a dot for now only: the job waits for it to pass, inside its slot. */
static bool is_passing(enum flz_reason reason)
{
    return reason == FLZ_REASON_LEASE || reason == FLZ_REASON_PAUSED;
}

enum job_next job_withdraw(struct job *job, enum flz_reason reason, struct job_clock clock,
                           struct flz_receipt *ret_receipt)
{
    assert(job->record.state == JOB_ACCEPTED || job->record.state == JOB_DOT);
    job->record.reason = reason;
    if (job->record.state == JOB_ACCEPTED && is_passing(reason))
        return try_again(job, clock, RETRY_FLOOR_MS);
    /* The DOT record stands but the dot was never taken: definitely not sent, and not tried again,
     * since a second DOT record could not be told from the first after a crash. */
    return end_with(job, FLZ_OUTCOME_WITHDRAWN, clock.network_now, ret_receipt);
}

static enum job_next refused(struct job *job, bool permanent, struct job_clock clock,
                             struct flz_receipt *ret_receipt)
{
    if (permanent || job->record.state == JOB_DOT)
        return end_with(job, FLZ_OUTCOME_REJECTED, clock.network_now, ret_receipt);
    return try_again(job, clock, RETRY_FLOOR_MS);
}

enum job_next job_sent(struct job *job, const struct smtp_result *result, enum flz_reason reason,
                       struct job_clock clock, struct flz_receipt *ret_receipt)
{
    set_reply(job, result, reason);
    switch (result->verdict) {
    case SMTP_ACCEPTED:
        assert(job->record.state == JOB_DOT);
        job->record.answer_pending = job->record.task.kind == FLZ_TASK_REPLY;
        job->record.tries = 0;
        return end_with(job, FLZ_OUTCOME_SENT, clock.network_now, ret_receipt);
    case SMTP_REFUSED_TEMP: return refused(job, false, clock, ret_receipt);
    case SMTP_REFUSED_PERM: return refused(job, true, clock, ret_receipt);
    case SMTP_NOT_SENT:
        if (job->record.state == JOB_DOT)
            return end_with(job, FLZ_OUTCOME_WITHDRAWN, clock.network_now, ret_receipt);
        return try_again(job, clock, RETRY_FLOOR_MS);
    case SMTP_UNKNOWN:
        assert(job->record.state == JOB_DOT);
        job->record.state = JOB_AMBIGUOUS;
        job->looks = 0;
        job->wait_boot = clock.boot_now + interval_ms(0, clock.rate_milli, RETRY_FLOOR_MS);
        fill_receipt(job, FLZ_OUTCOME_AMBIGUOUS, clock.network_now, ret_receipt);
        return JOB_REPORT;
    case SMTP_NONE: break;
    }
    assert(!"a transaction without a verdict");
    return JOB_GO_ON;
}

enum job_next job_no_session(struct job *job, enum flz_reason reason, bool permanent,
                             const char *text, struct job_clock clock,
                             struct flz_receipt *ret_receipt)
{
    job->record.reason = reason;
    set_text(job, text);
    if (permanent && job->record.state == JOB_ACCEPTED &&
        flz_task_kind_sends(job->record.task.kind))
        return end_with(job, FLZ_OUTCOME_REJECTED, clock.network_now, ret_receipt);
    return try_again(job, clock, RETRY_FLOOR_MS);
}

bool job_resume(struct job *job, struct job_clock clock, struct flz_receipt *ret_receipt)
{
    if (job->record.state != JOB_DOT)
        return false;
    job->record.state = JOB_AMBIGUOUS;
    job->record.reason = FLZ_REASON_NONE;
    /* No pulse has told this process the clock's rate yet. */
    job->wait_boot = clock.boot_now + RETRY_FLOOR_MS;
    set_text(job, "the node stopped between the final dot and its answer");
    fill_receipt(job, FLZ_OUTCOME_AMBIGUOUS,
                 clock.network_now > 0 ? clock.network_now : job->record.dot_at, ret_receipt);
    return true;
}

/* ---- When ---- */

int64_t job_due(const struct job *job)
{
    switch ((enum job_state)job->record.state) {
    case JOB_ACCEPTED: return job->record.given_up ? 0 : job->record.task.not_before;
    case JOB_AMBIGUOUS: return job->record.dot_at;
    case JOB_DOT: return FLZ_NEVER;
    case JOB_ENDED: break;
    }
    return job->record.answer_pending ? job->record.ended_at : FLZ_NEVER;
}

static bool had_real_floor(const struct job *job, struct job_clock clock)
{
    return clock.boot_now - job->since_boot >= JOB_REAL_FLOOR_MS;
}

/* Looked for long enough; twice as long when nobody could look. */
static bool doubt_is_over(const struct job *job, struct job_clock clock)
{
    int64_t since = clock.network_now - job->record.dot_at;
    return since >= JOB_AMBIGUOUS_MS &&
           (job->looks >= JOB_AMBIGUOUS_LOOKS_MIN ||
            (since >= 2 * JOB_AMBIGUOUS_MS && had_real_floor(job, clock)));
}

enum job_next job_expire(struct job *job, struct job_clock clock, struct flz_receipt *ret_receipt)
{
    struct journal_job *record = &job->record;
    if (record->state == JOB_AMBIGUOUS && doubt_is_over(job, clock))
        return end_with(job, FLZ_OUTCOME_INDETERMINATE, clock.network_now, ret_receipt);
    if (record->state == JOB_ENDED && clock.network_now >= record->task.expires)
        record->answer_pending = false;
    if (record->state != JOB_ACCEPTED || clock.network_now < record->task.not_after)
        return JOB_GO_ON;
    if (!flz_task_kind_sends(record->task.kind) && !had_real_floor(job, clock))
        return JOB_GO_ON;
    if (record->reason == FLZ_REASON_NONE)
        record->reason = FLZ_REASON_SLOT;
    enum flz_outcome outcome =
        record->task.kind == FLZ_TASK_FIND ? FLZ_OUTCOME_UNOBSERVED : FLZ_OUTCOME_EXPIRED;
    return end_with(job, outcome, clock.network_now, ret_receipt);
}

bool job_has_acted(const struct job *job)
{
    if (job->record.state != JOB_ENDED)
        return true;
    switch (job->record.outcome) {
    case FLZ_OUTCOME_EXPIRED:
    case FLZ_OUTCOME_WITHDRAWN:
    case FLZ_OUTCOME_REJECTED:
    case FLZ_OUTCOME_DECLINED: return false;
    default: return true;
    }
}

bool job_is_past(const struct job *job, int64_t network_now)
{
    const struct flz_task *task = &job->record.task;
    int64_t last = task->expires > task->not_after ? task->expires : task->not_after;
    return job->record.state == JOB_ENDED && !job->record.answer_pending && job->reported &&
           network_now > last + JOB_AMBIGUOUS_MS;
}

/* ---- Mailboxes ---- */

bool job_wants_session(const struct job *job)
{
    return job->record.state == JOB_ACCEPTED && flz_task_kind_sends(job->record.task.kind);
}

bool job_wants_visit(const struct job *job)
{
    if (job->record.state == JOB_AMBIGUOUS || job->record.answer_pending)
        return true;
    return job->record.state == JOB_ACCEPTED && !flz_task_kind_sends(job->record.task.kind);
}

/* How the message of turn `turn` is known in the mailbox; the task names turn task->turn's. */
static struct visit_look look_for(const struct flz_task *task, uint32_t turn,
                                  const char *message_id, const char *from)
{
    struct visit_look look = {
        .exchange = task->exchange,
        .step = turn,
        /* The Date field is the composer's network time: a task's message is at most a slot old,
         * one of its exchange may be a week. When it arrived is real time, which network time says
         * nothing about in a lab: arrived_after_ms stays unknown. */
        .date_first_ms = task->not_before - 8 * FLZ_DAY_MS,
        .date_last_ms = task->expires + FLZ_DAY_MS,
    };
    (void)flz_text_copy(look.message_id, sizeof look.message_id, message_id);
    if (from)
        (void)flz_text_copy(look.from, sizeof look.from, from);
    return look;
}

static enum visit_job_kind visit_kind(const struct job *job)
{
    if (job->record.state == JOB_AMBIGUOUS)
        return VISIT_SENTFIND;
    switch ((enum flz_task_kind)job->record.task.kind) {
    case FLZ_TASK_UNSPAM: return VISIT_UNSPAM;
    case FLZ_TASK_OPEN: return VISIT_OPEN;
    case FLZ_TASK_TIDY: return VISIT_TIDY;
    case FLZ_TASK_REPLY: return VISIT_ANSWERED;
    case FLZ_TASK_FIND:
    case FLZ_TASK_SEND: break;
    }
    return VISIT_FIND;
}

static size_t tidy_visits(const struct job *job, struct visit_job *ret_jobs, size_t max)
{
    const struct flz_task *task = &job->record.task;
    size_t n = 0;
    for (uint32_t turn = 0; turn < task->references_count && n < max; turn++) {
        if (task->references[turn].text[0] == '\0')
            continue;
        ret_jobs[n++] = (struct visit_job){
            .id = task->id,
            .kind = VISIT_TIDY,
            .look = look_for(task, turn, task->references[turn].text, NULL),
            .in_sent = turn % 2 == task->turn,
        };
    }
    return n;
}

size_t job_visits(const struct job *job, struct job_clock clock, struct visit_job *ret_jobs,
                  size_t max)
{
    const struct flz_task *task = &job->record.task;
    if (!job_wants_visit(job) || max == 0)
        return 0;
    if (task->kind == FLZ_TASK_TIDY)
        return tidy_visits(job, ret_jobs, max);

    struct visit_job *visit = &ret_jobs[0];
    *visit = (struct visit_job){.id = task->id, .kind = visit_kind(job)};
    if (visit->kind == VISIT_ANSWERED)
        visit->look = look_for(task, task->turn - 1, task->in_reply_to, task->to);
    else
        visit->look = look_for(task, task->turn, task->message_id, task->from);
    visit->search_all =
        visit->kind == VISIT_FIND && (task->search_all || clock.network_now >= task->deadline);
    return 1;
}

static uint32_t placement_of(enum visit_placement placement)
{
    switch (placement) {
    case VISIT_PLACEMENT_INBOX: return FLZ_PLACEMENT_INBOX;
    case VISIT_PLACEMENT_JUNK: return FLZ_PLACEMENT_JUNK;
    case VISIT_PLACEMENT_OTHER: return FLZ_PLACEMENT_OTHER;
    case VISIT_PLACEMENT_UNOBSERVED:
    case VISIT_PLACEMENT_MISSING: break;
    }
    return FLZ_PLACEMENT_NONE;
}

static enum job_next look_again(struct job *job, struct job_clock clock)
{
    job->wait_boot = clock.boot_now + interval_ms(job->looks, clock.rate_milli, LOOK_FLOOR_MS);
    job->looks++;
    return JOB_GO_ON;
}

static enum job_next found(struct job *job, const struct visit_outcome *outcome,
                           struct job_clock clock, struct flz_receipt *ret_receipt)
{
    struct journal_job *record = &job->record;
    record->placement = placement_of(outcome->placement);
    record->reason = FLZ_REASON_NONE;
    record->text[0] = '\0';
    (void)flz_text_copy(record->message_id_seen, sizeof record->message_id_seen,
                        outcome->message_id);
    (void)end_with(job, FLZ_OUTCOME_FOUND, clock.network_now, ret_receipt);
    ret_receipt->placement = record->placement;
    ret_receipt->authentication = header_authentication(outcome->authentication);
    if (outcome->authentication[0])
        ret_receipt->evidence = flz_digest_of(flz_view_str(outcome->authentication));
    memcpy(ret_receipt->message_id_seen, record->message_id_seen, sizeof record->message_id_seen);
    return JOB_REPORT;
}

static enum job_next looked(struct job *job, const struct visit_outcome *outcome,
                            struct job_clock clock, struct flz_receipt *ret_receipt)
{
    if (outcome->result == VISIT_DONE)
        return found(job, outcome, clock, ret_receipt);
    if (outcome->placement == VISIT_PLACEMENT_MISSING &&
        clock.network_now >= job->record.task.deadline && had_real_floor(job, clock))
        return end_with(job, FLZ_OUTCOME_MISSING, clock.network_now, ret_receipt);
    if (outcome->reason != VISIT_REASON_ABSENT)
        set_text(job, outcome->text);
    return look_again(job, clock);
}

static enum job_next looked_in_sent(struct job *job, const struct visit_outcome *outcome,
                                    struct job_clock clock, struct flz_receipt *ret_receipt)
{
    if (outcome->result == VISIT_DONE)
        return end_with(job, FLZ_OUTCOME_SENT, clock.network_now, ret_receipt);
    return look_again(job, clock);
}

static enum job_next answered(struct job *job, const struct visit_outcome *outcome,
                              struct job_clock clock)
{
    bool over = outcome->result != VISIT_FAILED || job->record.tries >= JOB_ANSWER_TRIES_MAX ||
                clock.network_now >= job->record.task.expires;
    if (over)
        job->record.answer_pending = false;
    else
        (void)try_again(job, clock, RETRY_FLOOR_MS);
    return JOB_GO_ON;
}

static enum job_next acted(struct job *job, const struct visit_outcome *outcomes, size_t n,
                           struct job_clock clock, struct flz_receipt *ret_receipt)
{
    bool changed = false, failed = false, gone = false;
    for (size_t i = 0; i < n; i++) {
        const struct visit_outcome *outcome = &outcomes[i];
        /* A copy in Sent that the server never made is nothing to file, and nothing is ever filed
         * straight out of Junk: what was not rescued stays where its provider put it. */
        bool absent =
            outcome->reason == VISIT_REASON_ABSENT || outcome->reason == VISIT_REASON_NO_FOLDER;
        bool in_junk =
            outcome->reason == VISIT_REASON_NOT_SO && outcome->placement == VISIT_PLACEMENT_JUNK;
        bool nothing = job->record.task.kind == FLZ_TASK_TIDY && (absent || in_junk);
        changed = changed || outcome->result == VISIT_DONE;
        gone = gone || (absent && !nothing);
        if (outcome->result == VISIT_FAILED && !nothing) {
            failed = true;
            set_text(job, outcome->text);
        }
    }
    if (!failed) {
        job->record.reason = FLZ_REASON_NONE;
        return end_with(job, changed ? FLZ_OUTCOME_DONE : FLZ_OUTCOME_NOOP, clock.network_now,
                        ret_receipt);
    }
    if (job->record.tries < JOB_ACTION_TRIES_MAX)
        return try_again(job, clock, RETRY_FLOOR_MS);
    job->record.reason = gone ? FLZ_REASON_GONE : FLZ_REASON_PROTOCOL;
    return end_with(job, FLZ_OUTCOME_FAILED, clock.network_now, ret_receipt);
}

enum job_next job_visited(struct job *job, const struct visit_outcome *outcomes, size_t n,
                          struct job_clock clock, struct flz_receipt *ret_receipt)
{
    if (job->record.state == JOB_AMBIGUOUS)
        return looked_in_sent(job, &outcomes[0], clock, ret_receipt);
    if (job->record.answer_pending)
        return answered(job, &outcomes[0], clock);
    if (job->record.task.kind == FLZ_TASK_FIND)
        return looked(job, &outcomes[0], clock, ret_receipt);
    return acted(job, outcomes, n, clock, ret_receipt);
}
