#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "node/core/compose.h"
#include "node/desk.h"
#include "node/refusal.h"
#include "node/render.h"
#include "proto/xheader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define STOP_MS (15 * 60 * 1000) /* a lease: a node that hears of no pause until then is silent */

static void withdraw(struct desk *desk, struct job *job, enum flz_reason reason)
{
    struct worker *worker = desk->worker;
    struct flz_receipt receipt;
    bool had_dot = job->record.state == JOB_DOT;
    enum job_next next = job_withdraw(job, reason, worker_clock(worker), &receipt);
    if (had_dot && next == JOB_REPORT)
        worker_count_dot(worker, job, -1);
    job->active = false;
    worker_settle(worker, job, next, true, &receipt);
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
    r = attest_mail_header(worker->parts.identity, task, &from, &to, worker_attest_time(worker),
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
    (void)job_no_session(job, reason, true, text, worker_clock(worker), &receipt);
    receipt.outcome = FLZ_OUTCOME_DECLINED;
    job->active = false;
    worker_settle(worker, job, JOB_REPORT, true, &receipt);
}

/* Real time until the rates of the account, its domain and its provider let one more message go. */
static int64_t rate_wait_ms(struct desk *desk, const struct member *member, struct job_clock clock)
{
    int64_t wait = desk_rate_next(desk, member, clock.network_now) - clock.network_now;
    return wait > 0 ? worker_real_ms(desk->worker, wait, DOMAIN_WAIT_MS) : 0;
}

/* The server wants a new connection after so many messages. */
static bool session_is_used_up(const struct desk *desk)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    uint32_t most = member ? desk_limits(desk, member)->messages : 0;
    return most > 0 && desk->session_messages >= most;
}

/* Starts the transaction of one job; false when the job was settled or put back instead. */
static bool start_message(struct desk *desk, struct job *job)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_gate gate;
    if (worker->draining || !member || flz_boottime_ms() < desk->stop_boot ||
        worker_fill_gate(worker, job, member, &gate) != 0) {
        job->wait_boot = flz_boottime_ms() + DOMAIN_WAIT_MS;
        desk_put_back(worker, job);
        return false;
    }
    enum flz_reason reason = job_gate_check(&job->record.task, &gate);
    if (reason != FLZ_REASON_NONE) {
        withdraw(desk, job, reason);
        return false;
    }
    int64_t wait = rate_wait_ms(desk, member, gate.clock);
    if (wait > 0) {
        job->wait_boot = gate.clock.boot_now + wait;
        desk_put_back(worker, job);
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
        desk_put_back(worker, job);
        return false;
    }
    if (r < 0) {
        decline_open(desk, job, FLZ_REASON_PROTOCOL, "the server's limits forbid this message");
        return false;
    }
    desk->sending = job;
    desk->session_messages++;
    desk_rate_count(desk, member, gate.clock.network_now);
    return true;
}

static void on_ready(struct sender *sender, void *userdata)
{
    struct desk *desk = userdata;
    desk_line_worked(desk, &desk->smtp);
    struct job *job;
    while (!session_is_used_up(desk) && (job = desk_dequeue(&desk->send)))
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
    return !worker->draining && member &&
           worker_fill_gate(worker, desk->sending, member, &gate) == 0 &&
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
    if (!wait || worker->draining || !member || worker_fill_gate(worker, job, member, &gate) != 0 ||
        job_gate_check(&job->record.task, &gate) != FLZ_REASON_NONE) {
        free(wait);
        sender_withdraw(sender);
        return;
    }
    job_begin_dot(job, gate.clock);
    worker_count_dot(worker, job, +1);
    int r = worker_save_job(worker, job);
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

void desk_stop(struct worker *worker, const struct flz_id *account, const char *rule,
               const char *text)
{
    struct desk *desk = desk_find(worker, *account);
    if (!desk)
        return;
    desk->stop_boot = flz_boottime_ms() + STOP_MS;
    flz_log(worker->parts.log, FLZ_LOG_WARNING, "account_stopped", "account=%s rule=%s text=%s",
            flz_id_str(*account), rule, text);
}

static void refused(struct desk *desk, const struct classify_verdict *verdict,
                    struct flz_receipt *receipt)
{
    receipt->refusal = classify_refusal(verdict);
    (void)flz_text_copy(receipt->rule, sizeof receipt->rule, verdict->rule);
    if (receipt->refusal == FLZ_REFUSAL_STOP)
        desk_stop(desk->worker, &desk->account, receipt->rule, receipt->text);
}

static void on_result(struct sender *sender, const struct smtp_result *result, void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    struct job *job = steal_ptr(&desk->sending);
    desk->dot_waits = false;
    assert(job);
    struct member *member = members_find(worker->parts.members, desk->account);
    struct classify_verdict verdict =
        refusal_of_result(providers_replies(worker->parts.providers),
                          member ? member->record.account.provider : "", result);
    bool had_dot = job->record.state == JOB_DOT;
    struct flz_receipt receipt;
    enum job_next next =
        job_sent(job, result, classify_reason(verdict.class), worker_clock(worker), &receipt);
    if (next == JOB_REPORT && receipt.outcome == FLZ_OUTCOME_REJECTED)
        refused(desk, &verdict, &receipt);
    if (had_dot && next == JOB_REPORT && receipt.outcome != FLZ_OUTCOME_SENT &&
        receipt.outcome != FLZ_OUTCOME_AMBIGUOUS)
        worker_count_dot(worker, job, -1);
    job->active = false;
    worker_settle(worker, job, next, true, &receipt);
}

static void on_sender_end(struct sender *sender, bool ready, enum conn_end end,
                          const struct smtp_result *result, const struct flz_msg *msg,
                          void *userdata)
{
    struct desk *desk = userdata;
    struct worker *worker = desk->worker;
    desk->sender = sender_free(sender);
    shaping_closed(&desk->smtp.shape);
    worker->stats.sessions_open--;
    desk->login_only = false;
    if (!ready) {
        struct member *member = members_find(worker->parts.members, desk->account);
        enum flz_reason reason =
            refusal_of_session(providers_replies(worker->parts.providers),
                               member ? member->record.account.provider : "", end, result);
        bool forgiven = desk_forgive_token(desk, &desk->smtp, &reason);
        worker->stats.session_failures++;
        desk_line_failed(desk, &desk->smtp, reason, msg->text);
        flz_log(worker->parts.log, FLZ_LOG_WARNING, "session_failed",
                "account=%s end=%s reason=%u text=%s", flz_id_str(desk->account), conn_end_str(end),
                (unsigned)reason, desk->smtp.text);
        struct job *job;
        while ((job = desk_dequeue(&desk->send))) {
            struct flz_receipt receipt;
            enum job_next next =
                job_no_session(job, reason, false, desk->smtp.text, worker_clock(worker), &receipt);
            job->active = false;
            worker_settle(worker, job, next, true, &receipt);
        }
        if (!forgiven)
            desk_report_probe(desk, false, NULL);
    } else {
        desk_put_back_all(worker, &desk->send);
    }
    worker_wake(worker);
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

void desk_open_session(struct desk *desk, const struct member *member)
{
    struct worker *worker = desk->worker;
    struct sender_options options = {
        .endpoint = member_smtp(member),
        .ehlo_name = worker->parts.ehlo_name,
        .user = member->record.user,
        .token = member->record.login == MEMBER_LOGIN_TOKEN,
        .connect_timeout_ms = worker->parts.connect_timeout_ms,
        .timeout_ms_max = worker->parts.reply_timeout_ms,
    };
    int r = sender_new(worker->parts.pool, worker->parts.loop, &options, &sender_events, desk,
                       &desk->sender);
    if (r < 0) {
        desk->login_only = false;
        desk_line_failed(desk, &desk->smtp, FLZ_REASON_NETWORK, "no connection could be started");
        return;
    }
    shaping_opened(&desk->smtp.shape);
    desk->session_messages = 0;
    worker->stats.sessions++;
    worker->stats.sessions_open++;
}
