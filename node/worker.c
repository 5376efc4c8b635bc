#include "node/worker.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/attest.h"
#include "node/core/compose.h"
#include "proto/xheader.h"
#include "node/refusal.h"
#include "node/render.h"
#include "node/sender.h"
#include "node/visitor.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define WAKE_JOBS_MAX 2000   /* jobs moved to desks in one turn of the loop */
#define DESK_BACKOFF_MS 2000 /* after a session that failed; doubles up to */
#define DESK_BACKOFF_MS_MAX 900000
#define LOGIN_BACKOFF_FLOOR_MS 500 /* real time after a refused login, however fast a lab is */
#define GATE_WAIT_MS 2000          /* until a job is looked at again whose gate may open */
#define DOMAIN_WAIT_MS 300         /* until DNS may have answered */
#define PROBE_FLOOR_MS 2000        /* real time between looks at an account's servers */
#define LOGIN_FLOOR_MS 60000       /* real time between SMTP logins for a probe's sake */
#define VISIT_FLOOR_MS 1000        /* what is left of the lease must be worth a visit */
#define DAYS_KEPT 15               /* local dates whose dots are remembered */
#define RETENTION_MS (14 * FLZ_DAY_MS) /* filed messages; then they go, if the owner agreed */
#define TIMER_MS_MAX 1000
#define PROBE_RETRIES 4

/* Network time after the first, second … refused login in a row. Somebody waits for the word on an
 * account that never worked here; one that did is more likely to meet its server's bad day. */
static const int64_t login_backoff_ms[2][FLZ_LOGIN_TRIES_MAX - 1] = {
    {FLZ_MINUTE_MS, 5 * FLZ_MINUTE_MS},
    {5 * FLZ_MINUTE_MS, 15 * FLZ_MINUTE_MS},
};

/* Network time from a probe that failed otherwise to the next; the last one stays. */
static const int64_t probe_backoff_ms[PROBE_RETRIES] = {FLZ_MINUTE_MS, 5 * FLZ_MINUTE_MS,
                                                        15 * FLZ_MINUTE_MS, FLZ_HOUR_MS};

/* Jobs waiting for one session. */
struct queue {
    struct job **jobs; /* owned array, borrowed jobs */
    size_t count;
    size_t capacity;
};

/* Which job the visit jobs [first, first + n) of the running visit belong to. */
struct errand {
    struct job *job; /* NULL: the probe, the sweep, or settled */
    bool sweep;
    size_t first;
    size_t n;
    size_t settled;
    uint32_t turns[FLZ_TURNS_MAX];  /* the message that each of them is about */
    struct visit_outcome *outcomes; /* n of them, owned */
};

/* How one of an account's two servers has been of late. */
struct line {
    int64_t wait_boot; /* nothing is tried before it */
    int64_t backoff_ms;
    bool ok;         /* the newest login succeeded … */
    int64_t ok_boot; /* … at this boot time */
    bool refused;    /* the newest login was refused */
    bool doubted;    /* one access token was refused since: the next refusal counts */
    bool no_token;   /* the trouble is that there is no access token: no server was asked */
    enum flz_reason trouble;
    char text[FLZ_REPLY_TEXT_MAX]; /* protocol, host, port, stage, and the server's words */
};

/* A dot that waits for its record; the journal holds the pointer, the worker the list. */
struct dot_wait {
    struct worker *worker; /* NULL: the worker has gone */
    struct flz_id account;
    uint64_t token;
    struct dot_wait *next;
};

/* Serves one account. */
struct desk {
    struct worker *worker;
    struct flz_id account;
    struct queue send;
    struct queue visit;

    struct sender *sender;
    struct job *sending; /* the transaction under way */
    uint64_t dot_token;  /* of the DOT record asked for last; tells a late answer */
    bool dot_waits;      /* the engine holds a dot until the record is durable */
    bool login_only;     /* the session was opened to see whether it logs in */

    struct visitor *visitor;
    struct errand *errands; /* owned */
    size_t errands_count;
    bool probing; /* the visit ends with a look at the account itself */
    int64_t sweep_before; /* what is older is removed by this visit */
    int32_t sweep_today;
    int32_t sweep_date; /* the local date on which our folder was swept last, in this process */

    struct line smtp;
    struct line imap;
    bool worked;            /* a server of it has taken a login since this process began */
    int64_t probe_boot;     /* when its servers were last looked at; 0 = never */
    uint32_t probes_failed; /* in a row */
};

struct worker {
    struct worker_parts parts;
    struct link *link;
    struct attest_nodes *nodes; /* owned */
    struct book book;
    struct desk **desks; /* owned */
    size_t desks_count;
    size_t desks_capacity;
    struct flz_map desk_of;
    uv_timer_t *timer;       /* owned; freed in its close callback */
    uv_idle_t *soon;         /* owned likewise: a wake asked for within a callback */
    struct flz_id *open_ids; /* owned; for HELLO */
    size_t open_ids_capacity;
    struct dot_wait *waits; /* owned by the journal's callbacks */
    uint64_t dot_tokens;
    bool draining; /* nothing new is begun */
    struct worker_stats stats;
};

/* ---- Time and authority ---- */

static struct job_clock clock_of(struct worker *worker)
{
    struct job_clock clock = {.boot_now = flz_boottime_ms(), .rate_milli = 1000};
    if (worker->link) {
        clock.rate_milli = link_rate_milli(worker->link);
        if (link_now(worker->link, &clock.network_now) != 0)
            clock.network_now = 0;
    }
    return clock;
}

/* Before the first pulse nobody knows whether this is a lab: what is sent is looked at again. */
static struct attest_time attest_time_of(struct worker *worker)
{
    struct job_clock clock = clock_of(worker);
    bool civil = clock.network_now > 0 && clock.rate_milli == NETCLOCK_RATE_ONE;
    return (struct attest_time){.now = clock.network_now, .civil = civil};
}

static bool has_authority(struct worker *worker, struct job_clock clock)
{
    return worker->link && clock.network_now > 0 && link_accepted(worker->link) &&
           clock.boot_now < link_lease_end_boot(worker->link);
}

/* ---- The journal ---- */

static struct flz_view day_key(struct flz_id account, int32_t date, uint8_t key[static 20])
{
    memcpy(key, account.b, 16);
    flz_put_be32(key + 16, (uint32_t)date);
    return (struct flz_view){.data = key, .len = 20};
}

static uint32_t dots_on(struct worker *worker, struct flz_id account, int32_t date)
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

static void count_dot(struct worker *worker, const struct job *job, int change)
{
    const struct flz_task *task = &job->record.task;
    uint32_t dots = dots_on(worker, task->account, task->local_date);
    struct journal_day day = {.dots = change > 0 ? dots + 1 : dots > 0 ? dots - 1 : 0};
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    uint8_t key[20];
    if (flz_encode(&flz_codec_day_count, &day, &buf) == 0)
        journal_put(worker->parts.journal, JOURNAL_DAYS,
                    day_key(task->account, task->local_date, key), flz_buf_view(&buf));
}

static struct flz_view id_view(const struct flz_id *id)
{
    return (struct flz_view){.data = id->b, .len = sizeof id->b};
}

static int save_job(struct worker *worker, const struct job *job)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = flz_encode(&flz_codec_job, &job->record, &buf);
    if (r < 0)
        return r;
    journal_put(worker->parts.journal, JOURNAL_JOBS, id_view(&job->record.task.id),
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

static void report(struct worker *worker, const struct flz_receipt *receipt)
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

/* Stores what became of a job, reports it, and puts it where time will find it again. The record
 * is gathered before its report, and both before anything else is: no commit parts them. */
static void settle(struct worker *worker, struct job *job, enum job_next next, bool was_open,
                   const struct flz_receipt *receipt)
{
    if (was_open && job->record.state == JOB_ENDED)
        book_ended(&worker->book, job);
    int r = save_job(worker, job);
    if (r < 0)
        flz_log_failure(worker->parts.log, "job_not_saved", r, NULL);
    if (next == JOB_REPORT) {
        job->reported = true;
        report(worker, receipt);
    }
    if (!job->active)
        (void)book_schedule(&worker->book, job);
}

/* ---- Desks ---- */

static struct desk *desk_of(struct worker *worker, struct flz_id account)
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
    worker->desks[worker->desks_count++] = desk;
    return desk;
}

static int enqueue(struct queue *queue, struct job *job)
{
    int r =
        flz_grow((void **)&queue->jobs, &queue->capacity, queue->count + 1, sizeof *queue->jobs);
    if (r < 0)
        return r;
    queue->jobs[queue->count++] = job;
    job->active = true;
    return 0;
}

static struct job *dequeue(struct queue *queue)
{
    if (queue->count == 0)
        return NULL;
    struct job *job = queue->jobs[0];
    queue->count--;
    memmove(queue->jobs, queue->jobs + 1, queue->count * sizeof *queue->jobs);
    return job;
}

/* Gives a job back to the book without an outcome. */
static void put_back(struct worker *worker, struct job *job)
{
    job->active = false;
    (void)book_schedule(&worker->book, job);
}

static void put_back_all(struct worker *worker, struct queue *queue)
{
    struct job *job;
    while ((job = dequeue(queue)))
        put_back(worker, job);
}

/* Network time as the real time that it takes. */
static int64_t real_ms(struct worker *worker, int64_t network_ms, int64_t floor_ms)
{
    int64_t real = network_ms * 1000 / clock_of(worker).rate_milli;
    return real > floor_ms ? real : floor_ms;
}

/* How long a server is left alone that has just failed. */
static int64_t next_backoff_ms(struct desk *desk, const struct line *line, enum flz_reason reason)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    uint32_t tries = member ? member->record.login_failures : 0;
    if (reason == FLZ_REASON_LOGIN)
        return real_ms(desk->worker,
                       login_backoff_ms[desk->worked][tries < FLZ_LOGIN_TRIES_MAX - 1 ? tries : 1],
                       LOGIN_BACKOFF_FLOOR_MS);
    int64_t backoff = line->backoff_ms == 0 ? DESK_BACKOFF_MS : line->backoff_ms * 2;
    return backoff < DESK_BACKOFF_MS_MAX ? backoff : DESK_BACKOFF_MS_MAX;
}

static void line_failed(struct desk *desk, struct line *line, enum flz_reason reason,
                        const char *text)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    bool imap = line == &desk->imap;
    line->backoff_ms = next_backoff_ms(desk, line, reason);
    line->wait_boot = flz_boottime_ms() + line->backoff_ms;
    line->ok = false;
    line->refused = reason == FLZ_REASON_LOGIN;
    line->no_token = false;
    line->trouble = reason;
    struct flz_msg msg;
    flz_msg_set(&msg, "%s", text);
    if (member) {
        struct endpoint endpoint = imap ? member_imap(member) : member_smtp(member);
        flz_msg_wrap(&msg, "%s %.100s:%u", imap ? "IMAP" : "SMTP", endpoint.host, endpoint.port);
    }
    job_set_words(line->text, sizeof line->text, msg.text);
}

/* A login succeeded. The count of refused ones starts again when neither server refuses: one good
 * server must not hide that the other is asked in vain. */
static void line_worked(struct desk *desk, struct line *line)
{
    *line = (struct line){.ok = true, .ok_boot = flz_boottime_ms()};
    desk->worked = true;
    struct member *member = members_find(desk->worker->parts.members, desk->account);
    if (member && member->record.login_failures > 0 && !desk->smtp.refused && !desk->imap.refused) {
        member->record.login_failures = 0;
        (void)members_save(desk->worker->parts.members, member);
    }
}

/*
 * A refused access token may have run out, or have been taken back, before its time: the first one
 * costs a new token only. When a server refuses that one as well, the login is refused.
 */
static bool forgive_token(struct desk *desk, struct line *line, enum flz_reason *reason)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    if (*reason != FLZ_REASON_LOGIN || !member || member->record.login != MEMBER_LOGIN_TOKEN)
        return false;
    tokens_refused(worker->parts.tokens, member);
    if (line->doubted)
        return false;
    line->doubted = true;
    *reason = FLZ_REASON_NETWORK;
    flz_log(worker->parts.log, FLZ_LOG_NOTICE, "token_refused", "account=%s",
            flz_id_str(desk->account));
    return true;
}

static void login_failed(struct desk *desk, const struct line *line)
{
    struct member *member = members_find(desk->worker->parts.members, desk->account);
    if (!member || !line->refused)
        return;
    member->record.login_failures++;
    (void)members_save(desk->worker->parts.members, member);
    flz_log(desk->worker->parts.log, FLZ_LOG_WARNING, "login_refused",
            "account=%s tries=%u text=%s", flz_id_str(desk->account), member->record.login_failures,
            line->text);
}

/* ---- The gate ---- */

static const char *domain_of(const char *address)
{
    const char *at = strchr(address, '@');
    return at ? at + 1 : "";
}

/* Does this domain refuse? Unknown counts as refusing: the job waits, and the look-up is under way.
 */
static int domain_refuses(struct worker *worker, const char *address, bool *ret_refuses)
{
    char domain[FLZ_DOMAIN_MAX];
    const struct domain_facts *facts;
    if (flz_text_copy(domain, sizeof domain, domain_of(address)) < 0)
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
        if (tz_window(worker->parts.tz, account->zone, date, hours, &window) == 0 &&
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

/* Was the node that vouches for this recipient cut off since? Who cannot be named is not written
 * to. */
static bool peer_is_revoked(struct worker *worker, const struct flz_task *task)
{
    struct flz_id node;
    return attest_signer(task, &node) != FLZ_REASON_NONE ||
           (worker->link && link_is_revoked(worker->link, node));
}

/* Fills the gate for a job; DOMAINS_E_ASKED or _FAILED: a domain is not known yet. */
static int fill_gate(struct worker *worker, const struct job *job, const struct member *member,
                     struct job_gate *ret_gate)
{
    const struct flz_task *task = &job->record.task;
    const struct flz_account *account = &member->record.account;
    struct job_clock clock = clock_of(worker);
    struct job_gate gate = {
        .clock = clock,
        .clock_known = clock.network_now > 0,
        .accepted = worker->link && link_accepted(worker->link),
        .lease_end_boot = worker->link ? link_lease_end_boot(worker->link) : 0,
        .paused = worker->link && link_paused(worker->link, account->id, account->provider,
                                              domain_of(account->address)),
        .consent = account->consent,
        .given_up = job->record.given_up,
    };
    if (member->record.released)
        gate.consent.until = 0;
    if (is_to_send(job)) {
        gate.peer_revoked = peer_is_revoked(worker, task);
        gate.revocations_lacking = worker->link && !link_knows_revocations(worker->link);
    }
    int r = domain_refuses(worker, account->address, &gate.own_refused);
    if (r == 0 && is_to_send(job))
        r = domain_refuses(worker, task->to, &gate.peer_refused);
    if (r != 0)
        return r;
    fill_hours(worker, &member->record, clock.network_now, &gate);
    gate.dots_today = dots_on(worker, account->id, task->local_date);
    if (job->record.state == JOB_DOT && gate.dots_today > 0)
        gate.dots_today--; /* its own */
    *ret_gate = gate;
    return 0;
}

/* ---- Sending ---- */

static void desk_serve(struct desk *desk);

static void withdraw(struct desk *desk, struct job *job, enum flz_reason reason)
{
    struct worker *worker = desk->worker;
    struct flz_receipt receipt;
    bool had_dot = job->record.state == JOB_DOT;
    enum job_next next = job_withdraw(job, reason, clock_of(worker), &receipt);
    if (had_dot && next == JOB_REPORT)
        count_dot(worker, job, -1);
    job->active = false;
    settle(worker, job, next, true, &receipt);
}

/* Renders the message of a send. The bytes depend on the task alone, so a retry is the same. */
static int render_job(struct worker *worker, const struct job *job, const struct member *member,
                      struct flz_buf *bytes, struct flz_msg *msg)
{
    const struct flz_task *task = &job->record.task;
    struct flz_address from, to;
    const struct content_pack *pack = packs_find(worker->parts.packs, task->pack);
    if (!pack) {
        flz_msg_set(msg, "the content pack of this task is not on this node");
        return flz_fail(-ENOENT);
    }
    if (flz_address_parse(task->from, &from) < 0 || flz_address_parse(task->to, &to) < 0) {
        flz_msg_set(msg, "the task's addresses are malformed");
        return flz_fail(-EINVAL);
    }
    struct message_parent parent = MESSAGE_PARENT_NULL;
    (void)flz_text_copy(parent.message_id, sizeof parent.message_id, task->in_reply_to);
    for (size_t i = 0; i < task->references_count; i++)
        message_parent_add(&parent, flz_view_str(task->references[i].text));

    int offset = 0;
    (void)tz_offset_minutes(worker->parts.tz, member->record.account.zone, task->mail_time,
                            &offset);
    struct compose_input input = {
        .pack = pack,
        .scenario = task->scenario,
        .step = task->turn,
        .seed = task->seed,
        .from = &from,
        .to = &to,
        .message_id = task->message_id,
        .parent = task->turn > 0 ? &parent : NULL,
        .date_ms = task->mail_time,
        .utc_offset_minutes = offset,
        .quote = true,
        .footer = true,
        .network = worker->parts.identity->network_name,
        .contact = worker->parts.identity->contact,
    };
    struct message_fields fields;
    int r = compose_message(&input, &fields, msg);
    if (r < 0)
        return r;
    r = attest_mail_header(worker->parts.identity, task, &from, &to, attest_time_of(worker),
                           fields.x_fluenzr, msg);
    if (r < 0)
        return r;
    return render_message(&fields, bytes, msg);
}

/* A message that can never be made: the task is declined, not retried. */
static void decline_open(struct desk *desk, struct job *job, enum flz_reason reason,
                         const char *text)
{
    struct worker *worker = desk->worker;
    struct flz_receipt receipt;
    job->record.reason = reason;
    (void)job_no_session(job, reason, true, text, clock_of(worker), &receipt);
    receipt.outcome = FLZ_OUTCOME_DECLINED;
    job->active = false;
    settle(worker, job, JOB_REPORT, true, &receipt);
}

/* Starts the transaction of one job; false when the job was settled or put back instead. */
static bool start_message(struct desk *desk, struct job *job)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_gate gate;
    if (worker->draining || !member || fill_gate(worker, job, member, &gate) != 0) {
        job->wait_boot = flz_boottime_ms() + DOMAIN_WAIT_MS;
        put_back(worker, job);
        return false;
    }
    enum flz_reason reason = job_gate_check(&job->record.task, &gate);
    if (reason != FLZ_REASON_NONE) {
        withdraw(desk, job, reason);
        return false;
    }
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = render_job(worker, job, member, &bytes, &msg);
    if (r < 0) {
        decline_open(desk, job, FLZ_REASON_CONTENT, msg.text);
        return false;
    }
    struct flz_digest content = flz_digest_of(flz_buf_view(&bytes));
    static const struct flz_digest none;
    if (!flz_digest_equal(job->record.content, none) &&
        !flz_digest_equal(job->record.content, content)) {
        decline_open(desk, job, FLZ_REASON_CONTENT,
                     "the message would differ from the one prepared before");
        return false;
    }
    job->record.content = content;
    struct flz_address from, to;
    (void)flz_address_parse(job->record.task.from, &from);
    (void)flz_address_parse(job->record.task.to, &to);
    r = sender_send(desk->sender, &from, &to, flz_buf_view(&bytes),
                    flz_id_str(job->record.task.id));
    if (r == -EPIPE || r == -ENOMEM) {
        job->wait_boot = flz_boottime_ms() + GATE_WAIT_MS;
        put_back(worker, job);
        return false;
    }
    if (r < 0) {
        decline_open(desk, job, FLZ_REASON_PROTOCOL, "the server's limits forbid this message");
        return false;
    }
    desk->sending = job;
    return true;
}

static void on_ready(struct sender *sender, void *userdata)
{
    struct desk *desk = userdata;
    line_worked(desk, &desk->smtp);
    struct job *job;
    while ((job = dequeue(&desk->send)))
        if (start_message(desk, job))
            return;
    sender_quit(sender);
}

static void forget_wait(struct dot_wait *wait)
{
    struct dot_wait **at = &wait->worker->waits;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
}

/* May the dot of this desk leave, now that its record is on the disk? */
static bool may_release(struct desk *desk)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_gate gate;
    return !worker->draining && member && fill_gate(worker, desk->sending, member, &gate) == 0 &&
           job_gate_check(&desk->sending->record.task, &gate) == FLZ_REASON_NONE;
}

static void on_dot_durable(int r, void *data)
{
    struct dot_wait *wait = data;
    struct worker *worker = wait->worker;
    struct flz_id account = wait->account;
    uint64_t token = wait->token;
    if (worker)
        forget_wait(wait);
    free(wait);
    if (!worker)
        return;
    uint32_t index = flz_map_get(&worker->desk_of, account);
    struct desk *desk = index == FLZ_MAP_NONE ? NULL : worker->desks[index];
    /* The connection may have gone while the record was written: the job was settled then. */
    if (!desk || !desk->dot_waits || desk->dot_token != token || !desk->sender)
        return;
    desk->dot_waits = false;
    if (r == 0 && may_release(desk))
        sender_release(desk->sender);
    else
        sender_withdraw(desk->sender);
}

static void on_dot(struct sender *sender, void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    struct job *job = desk->sending;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_gate gate;
    struct dot_wait *wait = calloc(1, sizeof *wait);
    if (!wait || worker->draining || !member || fill_gate(worker, job, member, &gate) != 0 ||
        job_gate_check(&job->record.task, &gate) != FLZ_REASON_NONE) {
        free(wait);
        sender_withdraw(sender);
        return;
    }
    job_begin_dot(job, gate.clock);
    count_dot(worker, job, +1);
    int r = save_job(worker, job);
    if (r < 0) {
        free(wait);
        sender_withdraw(sender);
        return;
    }
    desk->dot_token = ++worker->dot_tokens;
    *wait = (struct dot_wait){.worker = worker,
                              .account = desk->account,
                              .token = desk->dot_token,
                              .next = worker->waits};
    worker->waits = wait;
    desk->dot_waits = true;
    journal_sync(worker->parts.journal, on_dot_durable, wait);
}

static void on_result(struct sender *sender, const struct smtp_result *result, void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    struct job *job = steal_ptr(&desk->sending);
    desk->dot_waits = false;
    assert(job);
    struct member *member = members_find(worker->parts.members, desk->account);
    enum flz_reason reason =
        refusal_of_result(member ? member->record.account.provider : "", result);
    bool had_dot = job->record.state == JOB_DOT;
    struct flz_receipt receipt;
    enum job_next next = job_sent(job, result, reason, clock_of(worker), &receipt);
    if (had_dot && next == JOB_REPORT && receipt.outcome != FLZ_OUTCOME_SENT &&
        receipt.outcome != FLZ_OUTCOME_AMBIGUOUS)
        count_dot(worker, job, -1);
    job->active = false;
    settle(worker, job, next, true, &receipt);
}

static void send_probe(struct desk *desk, bool login_ok, const struct visit_outcome *outcome);

static void on_sender_end(struct sender *sender, bool ready, enum conn_end end,
                          const struct smtp_result *result, const struct flz_msg *msg,
                          void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    desk->sender = sender_free(sender);
    worker->stats.sessions_open--;
    desk->login_only = false;
    if (!ready) {
        struct member *member = members_find(worker->parts.members, desk->account);
        bool permanent = false;
        enum flz_reason reason = refusal_of_session(member ? member->record.account.provider : "",
                                                    end, result, &permanent);
        bool forgiven = forgive_token(desk, &desk->smtp, &reason);
        worker->stats.session_failures++;
        line_failed(desk, &desk->smtp, reason, msg->text);
        login_failed(desk, &desk->smtp);
        flz_log(worker->parts.log, FLZ_LOG_WARNING, "session_failed",
                "account=%s end=%s reason=%u text=%s", flz_id_str(desk->account), conn_end_str(end),
                (unsigned)reason, desk->smtp.text);
        struct job *job;
        while ((job = dequeue(&desk->send))) {
            struct flz_receipt receipt;
            enum job_next next =
                job_no_session(job, reason, false, desk->smtp.text, clock_of(worker), &receipt);
            job->active = false;
            settle(worker, job, next, true, &receipt);
        }
        if (!forgiven)
            send_probe(desk, false, NULL);
    } else {
        put_back_all(worker, &desk->send);
    }
    worker_wake(worker);
}

/* What the account logs in with: its password, or the access token of the hour. */
static int desk_secret(struct desk *desk, struct flz_secret *ret_secret)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    if (member && member->record.login == MEMBER_LOGIN_TOKEN)
        return tokens_get(worker->parts.tokens, member, ret_secret);
    return members_secret(worker->parts.members, desk->account, ret_secret);
}

static int on_sender_secret(struct sender *sender, struct flz_secret *ret_secret, void *userdata)
{
    return desk_secret(userdata, ret_secret);
}

static const struct sender_events sender_events = {
    .on_ready = on_ready,
    .on_secret = on_sender_secret,
    .on_dot = on_dot,
    .on_result = on_result,
    .on_end = on_sender_end,
};

static void open_session(struct desk *desk, const struct member *member)
{
    struct worker *worker = desk->worker;
    struct sender_options options = {
        .endpoint = member_smtp(member),
        .ehlo_name = worker->parts.ehlo_name,
        .user = member->record.user,
        .token = member->record.login == MEMBER_LOGIN_TOKEN,
        .connect_timeout_ms = worker->parts.connect_timeout_ms,
    };
    int r = sender_new(worker->parts.pool, worker->parts.loop, &options, &sender_events, desk,
                       &desk->sender);
    if (r < 0) {
        desk->login_only = false;
        line_failed(desk, &desk->smtp, FLZ_REASON_NETWORK, "no connection could be started");
        return;
    }
    worker->stats.sessions++;
    worker->stats.sessions_open++;
}

/* ---- Visiting ---- */

static void free_errands(struct desk *desk)
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
                                  desk->sweep_before, header, attest_time_of(worker), &why);
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
                                    attest_time_of(worker), &why);
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
    if (!errand->job) {
        if (outcome->reason != VISIT_REASON_SESSION) {
            desk->probing = false;
            line_worked(desk, &desk->imap);
            /* Not asked at all: the account changed meanwhile, and is looked at anew. */
            if (desk->smtp.ok || desk->smtp.trouble != FLZ_REASON_NONE)
                send_probe(desk, desk->smtp.ok, outcome);
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
        job_visited(job, errand->outcomes, errand->settled, clock_of(worker), &receipt);
    job->active = false;
    settle(worker, job, next, was_open, &receipt);
}

static void on_visitor_end(struct visitor *visitor, enum visit_end end, enum conn_end conn,
                           const char *text, void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    desk->visitor = visitor_free(visitor);
    worker->stats.visits_open--;
    enum flz_reason reason = refusal_of_visit(end, conn);
    bool forgiven = forgive_token(desk, &desk->imap, &reason);
    if (reason == FLZ_REASON_NONE) {
        line_worked(desk, &desk->imap);
    } else {
        worker->stats.visit_failures++;
        line_failed(desk, &desk->imap, reason, text);
        login_failed(desk, &desk->imap);
        flz_log(worker->parts.log, FLZ_LOG_WARNING, "visit_failed",
                "account=%s end=%d conn=%s reason=%u text=%s", flz_id_str(desk->account), (int)end,
                conn_end_str(conn), (unsigned)reason, desk->imap.text);
        if (desk->probing && !forgiven)
            send_probe(desk, false, NULL);
    }
    for (size_t i = 0; i < desk->errands_count; i++) {
        struct job *job = desk->errands[i].job;
        if (!job)
            continue;
        struct flz_receipt receipt;
        bool was_open = job->record.state != JOB_ENDED;
        enum job_next next =
            job_no_session(job, reason ? reason : FLZ_REASON_PROTOCOL, false,
                           reason ? desk->imap.text : text, clock_of(worker), &receipt);
        job->active = false;
        settle(worker, job, next, was_open, &receipt);
    }
    free_errands(desk);
    desk->probing = false;
    worker_wake(worker);
}

static int on_visitor_secret(struct visitor *visitor, struct flz_secret *ret_secret, void *userdata)
{
    return desk_secret(userdata, ret_secret);
}

static const struct visitor_events visitor_events = {
    .on_secret = on_visitor_secret,
    .on_verify = on_verify,
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
        put_back(worker, job); /* what it wanted is over */
        return;
    }
    if (n == 0) {
        struct flz_receipt receipt;
        enum job_next next = job_visited(job, NULL, 0, clock, &receipt);
        job->active = false;
        settle(worker, job, next, true, &receipt);
        return;
    }
    assert(n <= FLZ_TURNS_MAX);
    struct errand errand = {.job = job, .first = *count, .n = n};
    errand.outcomes = calloc(n, sizeof *errand.outcomes);
    if (!errand.outcomes) {
        job->wait_boot = clock.boot_now + DESK_BACKOFF_MS;
        put_back(worker, job);
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
        link_paused(worker->link, account->id, account->provider, domain_of(account->address)) ||
        domain_refuses(worker, account->address, &refused) != 0 || refused)
        return false;
    int32_t today;
    if (tz_local_day(worker->parts.tz, account->zone, clock.network_now, &today) < 0)
        return false;
    desk->sweep_today = today;
    desk->sweep_before = clock.network_now - RETENTION_MS;
    return today != desk->sweep_date;
}

static size_t gather_errands(struct desk *desk, const struct member *member,
                             struct visit_job *jobs, bool probe)
{
    struct job_clock clock = clock_of(desk->worker);
    size_t count = 0;
    desk->errands = calloc(VISIT_JOBS_MAX, sizeof *desk->errands);
    if (!desk->errands)
        return 0;
    /* Five visit jobs are the most that one task has; two places are for probe and sweep. */
    while (desk->visit.count > 0 && count + FLZ_TURNS_MAX + 2 <= VISIT_JOBS_MAX)
        add_errand(desk, dequeue(&desk->visit), clock, jobs, &count);
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
    return count;
}

/* A visit ends with the lease at the latest. */
static int64_t visit_wall_ms(struct worker *worker)
{
    int64_t left = link_lease_end_boot(worker->link) - flz_boottime_ms();
    return left < VISIT_WALL_MS_MAX ? left : VISIT_WALL_MS_MAX;
}

static void open_visit(struct desk *desk, const struct member *member, bool probe)
{
    struct worker *worker = desk->worker;
    _cleanup_(flz_freep) struct visit_job *jobs = calloc(VISIT_JOBS_MAX, sizeof *jobs);
    size_t n = jobs ? gather_errands(desk, member, jobs, probe) : 0;
    if (n == 0) {
        free_errands(desk);
        desk->probing = false;
        return;
    }
    struct visitor_options options = {
        .endpoint = member_imap(member),
        .user = member->record.user,
        .token = member->record.login == MEMBER_LOGIN_TOKEN,
        .connect_timeout_ms = worker->parts.connect_timeout_ms,
        .wall_ms_max = visit_wall_ms(worker),
        .version = FLZ_VERSION,
    };
    int r = visitor_new(worker->parts.pool, worker->parts.loop, &options, jobs, n, &visitor_events,
                        desk, &desk->visitor);
    if (r < 0) {
        line_failed(desk, &desk->imap, FLZ_REASON_NETWORK, "no connection could be started");
        for (size_t i = 0; i < desk->errands_count; i++)
            if (desk->errands[i].job)
                put_back(worker, desk->errands[i].job);
        free_errands(desk);
        desk->probing = false;
        return;
    }
    worker->stats.visits++;
    worker->stats.visits_open++;
}

/* ---- Probes: can the account's servers be used, and does its domain still agree ---- */

/* The trouble a probe tells: the server that refuses the login, else whichever fails. */
static const struct line *troubled_line(const struct desk *desk)
{
    if (desk->imap.refused || desk->smtp.trouble == FLZ_REASON_NONE)
        return &desk->imap;
    return &desk->smtp;
}

static int64_t probe_every_ms(struct worker *worker, int64_t floor_ms)
{
    return real_ms(worker, worker->parts.probe_age_ms_max / 2, floor_ms);
}

/* Boot time from which its servers are looked at again. A server that refused the login sets the
 * time itself. */
static int64_t probe_due_boot(struct desk *desk)
{
    const struct line *line = troubled_line(desk);
    if (desk->probe_boot == 0)
        return 0;
    if (desk->probes_failed == 0)
        return desk->probe_boot + probe_every_ms(desk->worker, PROBE_FLOOR_MS);
    if (line->refused)
        return line->wait_boot;
    uint32_t step = desk->probes_failed < PROBE_RETRIES ? desk->probes_failed : PROBE_RETRIES;
    return desk->probe_boot + real_ms(desk->worker, probe_backoff_ms[step - 1], PROBE_FLOOR_MS);
}

/* Network time of the next look after one that failed; 0 = none by itself. */
static int64_t next_try(struct desk *desk, const struct member *member, struct job_clock clock)
{
    if (desk->probes_failed == 0 || member->record.login_failures >= FLZ_LOGIN_TRIES_MAX ||
        member->record.needs_auth[0])
        return 0;
    int64_t wait = probe_due_boot(desk) - clock.boot_now;
    return clock.network_now + (wait > 0 ? wait : 0) * clock.rate_milli / 1000;
}

/* Reports what was seen. Without DNS nothing is reported: an MX that nobody could ask for is no
 * changed one, and whoever cannot ask is likely cut off himself. */
static void send_probe(struct desk *desk, bool login_ok, const struct visit_outcome *outcome)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_clock clock = clock_of(worker);
    const struct domain_facts *facts;
    if (!member || clock.network_now == 0)
        return;
    const char *domain = domain_of(member->record.account.address);
    if (domains_look(worker->parts.domains, domain, &facts) != 0)
        return;
    const struct line *line = troubled_line(desk);
    struct flz_report entry = {.kind = FLZ_REPORT_PROBE};
    struct flz_probe *probe = &entry.probe;
    *probe = (struct flz_probe){
        .account = desk->account,
        .at = clock.network_now,
        .login_ok = login_ok && outcome,
        .reason = line->trouble,
        .quota_permille = 1001,
        .mx = facts->mx,
        .opt_out = facts->opt_out,
        .denied = facts->google || domains_is_google_address(domain),
        .tries = member->record.login_failures,
    };
    memcpy(probe->text, line->text, sizeof probe->text);
    if (outcome && outcome->probe.has_quota && outcome->probe.quota_limit_kib > 0) {
        uint64_t permille = outcome->probe.quota_used_kib * 1000 / outcome->probe.quota_limit_kib;
        probe->quota_permille = permille > 1000 ? 1000 : (uint32_t)permille;
    }
    desk->probe_boot = clock.boot_now;
    desk->probes_failed = probe->login_ok ? 0 : desk->probes_failed + 1;
    probe->next_at = next_try(desk, member, clock);
    member->probe = *probe;
    int r = outbox_add(worker->parts.outbox, &entry);
    if (r < 0)
        flz_log_failure(worker->parts.log, "report_failed", r, NULL);
    flz_log(worker->parts.log, FLZ_LOG_INFO, "account_probed",
            "account=%s login_ok=%d quota_permille=%u opt_out=%d denied=%d text=%s",
            flz_id_str(desk->account), probe->login_ok, probe->quota_permille, probe->opt_out,
            probe->denied, probe->text);
}

static bool wants_probe(struct desk *desk, const struct member *member)
{
    const struct domain_facts *facts;
    const char *domain = domain_of(member->record.account.address);
    if (member->record.released || desk->probing || desk->login_only ||
        domains_look(desk->worker->parts.domains, domain, &facts) != 0)
        return false;
    return flz_boottime_ms() >= probe_due_boot(desk);
}

/* A probe speaks for both servers; one that has just been logged in to need not be asked again. */
static bool wants_login(const struct desk *desk)
{
    return !desk->smtp.ok ||
           flz_boottime_ms() - desk->smtp.ok_boot >= probe_every_ms(desk->worker, LOGIN_FLOOR_MS);
}

/* ---- Access tokens ---- */

/* No server can be asked: what is told of both of them is that there is no token. */
static void token_failed(struct desk *desk, enum flz_reason reason, const char *text)
{
    struct line *lines[] = {&desk->smtp, &desk->imap};
    struct flz_msg msg;
    flz_msg_set(&msg, "sign-in: %s", text);
    for (size_t i = 0; i < 2; i++) {
        lines[i]->ok = false;
        lines[i]->no_token = true;
        lines[i]->trouble = reason;
        job_set_words(lines[i]->text, sizeof lines[i]->text, msg.text);
    }
    send_probe(desk, false, NULL);
}

void worker_token_news(struct worker *worker, struct member *member, enum flz_reason reason,
                       const char *text)
{
    struct desk *desk = desk_of(worker, member->record.account.id);
    if (desk && reason != FLZ_REASON_NONE)
        token_failed(desk, reason, text);
    else if (desk && desk->imap.no_token)
        desk->probe_boot = 0; /* what was told is over */
    worker_wake(worker);
}

/* May a server of this account be asked? What it takes is fetched if it is not there. */
static bool has_secret(struct desk *desk, struct member *member, bool probe)
{
    if (member->record.login != MEMBER_LOGIN_TOKEN)
        return true;
    int r = tokens_want(desk->worker->parts.tokens, member);
    /* Known before this start, or since the row was taken: told once, and again as probes are. */
    if (r == TOKENS_E_NEEDS_AUTH && probe)
        token_failed(desk, FLZ_REASON_LOGIN, member->record.needs_auth);
    return r == 0;
}

/* ---- Serving ---- */

static bool may_open(const struct line *line, size_t open, int64_t boot_now)
{
    return open < WORKER_SESSIONS_MAX && boot_now >= line->wait_boot;
}

static void desk_serve(struct desk *desk)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_clock clock = clock_of(worker);
    if (!member) {
        put_back_all(worker, &desk->send);
        put_back_all(worker, &desk->visit);
        return;
    }
    /* Three refused logins: a person is asked, since a fourth may lock the account. */
    if (!has_authority(worker, clock) || worker->draining ||
        member->record.login_failures >= FLZ_LOGIN_TRIES_MAX)
        return;
    /* Not before the network has said by which id it knows the account: a session begun under
     * another one would find its secret gone. */
    if (!member->record.accepted && !member->record.verdict[0])
        return;
    bool probe = wants_probe(desk, member);
    bool login = probe && wants_login(desk);
    bool session = !desk->sender && (desk->send.count > 0 || login) &&
                   may_open(&desk->smtp, worker->stats.sessions_open, clock.boot_now);
    bool visit = !desk->visitor && (desk->visit.count > 0 || (probe && !login)) &&
                 visit_wall_ms(worker) >= VISIT_FLOOR_MS &&
                 may_open(&desk->imap, worker->stats.visits_open, clock.boot_now);
    if ((!session && !visit) || !has_secret(desk, member, probe))
        return;
    if (session) {
        desk->login_only = desk->send.count == 0;
        open_session(desk, member);
    }
    /* The probe's visit comes after its session: it reports on both. */
    if (visit)
        open_visit(desk, member, probe && !login);
}

static void wait_for(struct worker *worker, struct job *job, int64_t ms)
{
    job->wait_boot = flz_boottime_ms() + ms;
    (void)book_schedule(&worker->book, job);
}

/* What its gate says of a due job before any connection is made for it. True: it may go on. */
static bool passes_gate(struct worker *worker, struct job *job, const struct member *member)
{
    struct job_gate gate;
    switch (fill_gate(worker, job, member, &gate)) {
    case 0: break;
    case DOMAINS_E_ASKED: wait_for(worker, job, DOMAIN_WAIT_MS); return false;
    default: wait_for(worker, job, GATE_WAIT_MS); return false;
    }
    enum flz_reason reason = job_gate_check(&job->record.task, &gate);
    if (reason == FLZ_REASON_NONE)
        return true;
    if (job->record.state != JOB_ACCEPTED) {
        /* It only looks, or marks what was answered: a closed gate puts it off. */
        bool passing = reason == FLZ_REASON_PAUSED || reason == FLZ_REASON_LEASE;
        if (passing)
            wait_for(worker, job, GATE_WAIT_MS);
        return !passing;
    }
    struct flz_receipt receipt;
    enum job_next next = job_withdraw(job, reason, gate.clock, &receipt);
    settle(worker, job, next, true, &receipt);
    return false;
}

/* One due job: ended by time, held back by its gate, or put on its account's desk. */
static void take_due(struct worker *worker, struct job *job, struct job_clock clock)
{
    struct flz_receipt receipt;
    bool was_open = job->record.state != JOB_ENDED;
    if (job_expire(job, clock, &receipt) == JOB_REPORT) {
        settle(worker, job, JOB_REPORT, was_open, &receipt);
        return;
    }
    if (!job_wants_session(job) && !job_wants_visit(job)) {
        settle(worker, job, JOB_GO_ON, was_open, NULL); /* what it still wanted was given up */
        return;
    }
    struct member *member = members_find(worker->parts.members, job->record.task.account);
    if (!member) {
        wait_for(worker, job, GATE_WAIT_MS);
        return;
    }
    if (!passes_gate(worker, job, member))
        return;
    struct desk *desk = desk_of(worker, job->record.task.account);
    int r = desk ? enqueue(job_wants_session(job) ? &desk->send : &desk->visit, job) : -ENOMEM;
    if (r < 0)
        wait_for(worker, job, GATE_WAIT_MS);
}

/* Jobs whose account rests (back-off, refused login) still end with their slot. */
static void expire_waiting(struct desk *desk, struct queue *queue, const struct line *line,
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
        settle(worker, job, JOB_REPORT, was_open, &receipt);
    }
    queue->count = kept;
}

static void make_desks(struct worker *worker)
{
    for (size_t i = 0; i < members_count(worker->parts.members); i++)
        (void)desk_of(worker, members_at(worker->parts.members, i)->record.account.id);
}

static void free_desk(struct desk *desk)
{
    (void)sender_free(desk->sender);
    (void)visitor_free(desk->visitor);
    free_errands(desk);
    free(desk->send.jobs);
    free(desk->visit.jobs);
    free(desk);
}

/* The account was given up, and nothing of it is under way any more. */
static bool is_deserted(const struct desk *desk)
{
    return !desk->sender && !desk->visitor && desk->send.count == 0 && desk->visit.count == 0 &&
           !members_find(desk->worker->parts.members, desk->account);
}

static void free_deserted(struct worker *worker)
{
    for (size_t i = worker->desks_count; i-- > 0;) {
        struct desk *desk = worker->desks[i];
        if (!is_deserted(desk))
            continue;
        flz_map_remove(&worker->desk_of, desk->account);
        free_desk(desk);
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
    struct job_clock clock = clock_of(worker);
    if (!has_authority(worker, clock) || worker->draining)
        return;
    struct job *job;
    for (int n = 0; n < WAKE_JOBS_MAX && (job = book_pop_due(&worker->book, clock)); n++)
        take_due(worker, job, clock);
    make_desks(worker);
    for (size_t i = 0; i < worker->desks_count; i++) {
        struct desk *desk = worker->desks[i];
        expire_waiting(desk, &desk->send, &desk->smtp, clock);
        expire_waiting(desk, &desk->visit, &desk->imap, clock);
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
    struct job_clock clock = clock_of(worker);
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
    int r = book_decline(&worker->book, task, reason, clock_of(worker).network_now, &job);
    if (r == 0)
        r = save_job(worker, job);
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
        .at = clock_of(worker).network_now,
        .local_date = task->local_date,
        .arrival_ms = -1,
        .voucher = task->voucher,
    };
    (void)snprintf(receipt.text, sizeof receipt.text, "%s", text);
    report(worker, &receipt);
}

static void accept_task(struct worker *worker, const struct flz_tasks *frame,
                        const struct flz_task *task)
{
    if (book_find(&worker->book, task->id))
        return; /* known: what became of it is in the outbox, or on its way */
    struct member *member = members_find(worker->parts.members, task->account);
    int64_t now = clock_of(worker).network_now;
    enum flz_reason reason = job_admit(task, member ? &member->record : NULL, now);
    struct flz_msg why = FLZ_MSG_NULL;
    if (reason == FLZ_REASON_NONE)
        reason = attest_task(worker->parts.identity, worker->nodes, frame, task,
                             attest_time_of(worker), &why);
    if (reason == FLZ_REASON_NONE && flz_task_kind_sends(task->kind) &&
        peer_is_revoked(worker, task)) {
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
        r = save_job(worker, job);
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
        journal_delete(worker->parts.journal, JOURNAL_JOBS, id_view(&job->record.task.id));
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
        desk->smtp = desk->imap = (struct line){.ok = false};
        desk->probe_boot = 0;
        desk->probes_failed = 0;
        desk->worked = false;
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
        int r = save_job(worker, job);
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
    if (job_resume(job, clock_of(worker), &receipt))
        settle(worker, job, JOB_REPORT, true, &receipt);
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
        free_desk(worker->desks[i]);
    free(worker->desks);
    flz_map_deinit(&worker->desk_of);
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
    return stats;
}
