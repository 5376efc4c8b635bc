/*
 * What others said of our messages after a server had taken them, as found in a mailbox: delivery
 * reports, complaints, machines that answered. A report is a claim of anybody; it is heeded only
 * when it names a message that this node was ordered to send, by something the network issued:
 * the envelope id (the task's), the X-FluenzR header with the very signature of the order, or the
 * Message-ID, which nobody can guess. All else is passed over; nothing is changed in the mailbox.
 */
#include "common/base/text.h"
#include "node/core/arf.h"
#include "node/core/dsn.h"
#include "node/desk.h"
#include "proto/xheader.h"

#include <stdlib.h>
#include <string.h>

enum noticed { NOTICED_SOFT = 1, NOTICED_HARD = 2, NOTICED_COMPLAINT = 4, NOTICED_ANSWER = 8 };

/* ---- Which message ---- */

static bool was_sent(const struct job *job)
{
    return job && flz_task_kind_sends(job->record.task.kind) && job->record.dot_at > 0;
}

static struct job *by_envelope(struct worker *worker, const char *envelope_id)
{
    struct flz_id id;
    if (strlen(envelope_id) != FLZ_ID_HEX_LEN || flz_id_parse(envelope_id, &id) < 0)
        return NULL;
    struct job *job = book_find(&worker->book, id);
    return was_sent(job) ? job : NULL;
}

static struct job *by_header(struct worker *worker, const struct header *header)
{
    struct xheader x;
    if (header->doubled || xheader_parse(flz_view_str(header->x_fluenzr), &x) < 0 ||
        !flz_id_equal(x.network, worker->parts.identity->trust.network))
        return NULL;
    struct flz_task task = {.kind = x.step == 0 ? FLZ_TASK_SEND : FLZ_TASK_REPLY,
                            .exchange = x.exchange,
                            .turn = x.step};
    struct job *job = book_find_act(&worker->book, &task);
    /* Bytes that only a coordinator could make, and that left in this message alone. */
    return was_sent(job) && memcmp(&job->record.task.mail_signature, &x.signature,
                                   sizeof x.signature) == 0
               ? job
               : NULL;
}

static struct job *by_message_id(struct worker *worker, const char *message_id)
{
    for (size_t i = 0; message_id[0] && i < worker->book.count; i++) {
        struct job *job = book_at(&worker->book, i);
        if (was_sent(job) && strcmp(job->record.task.message_id, message_id) == 0)
            return job;
    }
    return NULL;
}

static struct job *find_message(struct worker *worker, const char *envelope_id,
                                const struct header *original)
{
    struct job *job = by_envelope(worker, envelope_id);
    if (!job && original)
        job = by_header(worker, original);
    if (!job && original)
        job = by_message_id(worker, original->message_id);
    if (!job && original)
        job = by_message_id(worker, original->original_message_id);
    return job;
}

/* ---- Telling ---- */

static void tell(struct worker *worker, struct job *job, enum flz_report_kind kind,
                 enum noticed noticed, struct flz_notice *notice)
{
    const struct flz_task *task = &job->record.task;
    if (job->noticed & noticed)
        return; /* told in this life; the coordinator knows it after another one, too */
    job->noticed |= noticed;
    notice->exchange = task->exchange;
    notice->account = task->account;
    notice->peer = task->peer_account;
    notice->turn = task->turn;
    notice->at = worker_clock(worker).network_now;
    struct flz_report entry = {.kind = kind, .notice = *notice};
    int r = outbox_add(worker->parts.outbox, &entry);
    if (r < 0)
        flz_log_failure(worker->parts.log, "report_failed", r, NULL);
    flz_log(worker->parts.log, FLZ_LOG_NOTICE, "message_noticed",
            "task=%s account=%s kind=%u refusal=%u rule=%s code=%u enhanced=%s text=%s",
            flz_id_str(task->id), flz_id_str(task->account), (unsigned)kind,
            (unsigned)notice->refusal, notice->rule, (unsigned)notice->reply_code,
            notice->enhanced, notice->text);
}

/* The provider of the server that refused, else of the one that reports. */
static const char *provider_of(struct worker *worker, const struct dsn *dsn,
                               const struct dsn_recipient *recipient)
{
    const char *host = recipient->remote_mta[0] ? recipient->remote_mta : dsn->reporting_mta;
    const struct provider *provider = providers_of_host(worker->parts.providers, host);
    return provider ? provider->name : "";
}

static struct classify_verdict judge(struct worker *worker, const struct dsn *dsn,
                                     const struct dsn_recipient *recipient)
{
    struct classify_input input = {
        .provider = provider_of(worker, dsn, recipient),
        .stage = CLASSIFY_STAGE_REPORT,
        .code = recipient->code,
        .enhanced = recipient->enhanced,
        .text = recipient->text,
    };
    /* Failed without a number is failed for good: that is what a report of failure says. */
    if (input.code == 0)
        input.code = recipient->enhanced.class ? recipient->enhanced.class * 100 : 500;
    return classify(providers_replies(worker->parts.providers), &input);
}

static bool is_recipient(const struct dsn_recipient *recipient, const char *to)
{
    return flz_ascii_equal_nocase(recipient->original[0] ? recipient->original : recipient->address,
                                  to);
}

static void tell_bounce(struct worker *worker, struct job *job, const struct dsn *dsn,
                        const struct dsn_recipient *recipient)
{
    struct classify_verdict verdict = judge(worker, dsn, recipient);
    struct flz_notice notice = {
        .refusal = classify_refusal(&verdict),
        .reason = classify_reason(verdict.class),
        .reply_code = (uint32_t)recipient->code,
    };
    char enhanced[16];
    reply_enhanced_format(recipient->enhanced, enhanced);
    (void)flz_text_copy(notice.enhanced, sizeof notice.enhanced, enhanced);
    (void)flz_text_copy(notice.rule, sizeof notice.rule, verdict.rule);
    job_set_words(notice.text, sizeof notice.text, recipient->text);
    /* Somebody else's address, behind a forwarding of the recipient's: no word on his own. */
    if (!is_recipient(recipient, job->record.task.to))
        notice.refusal = FLZ_REFUSAL_SOFT;
    tell(worker, job, FLZ_REPORT_BOUNCE,
         notice.refusal >= FLZ_REFUSAL_HARD ? NOTICED_HARD : NOTICED_SOFT, &notice);
    if (notice.refusal == FLZ_REFUSAL_STOP)
        desk_stop(worker, &job->record.task.account, notice.rule, notice.text);
}

/* Of another account than the one in whose mailbox it lies: somebody put it there. */
static bool is_misplaced(const struct job *job, const struct flz_id *account)
{
    return !job || (account && !flz_id_equal(job->record.task.account, *account));
}

static bool take_dsn(struct worker *worker, const struct flz_id *account, struct flz_view message)
{
    struct dsn dsn;
    if (!dsn_parse(message, &dsn))
        return false;
    struct job *job =
        find_message(worker, dsn.envelope_id, dsn.has_original ? &dsn.original : NULL);
    if (is_misplaced(job, account))
        return true;
    for (size_t i = 0; i < dsn.recipients_count; i++)
        if (dsn.recipients[i].action == DSN_FAILED)
            tell_bounce(worker, job, &dsn, &dsn.recipients[i]);
    return true;
}

static void take_arf(struct worker *worker, const struct flz_id *account, struct flz_view message)
{
    struct arf arf;
    if (!arf_parse(message, &arf) || !arf_is_complaint(&arf))
        return;
    struct job *job =
        find_message(worker, arf.envelope_id, arf.has_original ? &arf.original : NULL);
    if (is_misplaced(job, account))
        return;
    struct flz_notice notice = {.refusal = FLZ_REFUSAL_NONE};
    struct flz_msg words;
    flz_msg_set(&words, "%s, told by %s %s", arf_type_str(arf.type), arf.user_agent, arf.reporter);
    job_set_words(notice.text, sizeof notice.text, words.text);
    tell(worker, job, FLZ_REPORT_COMPLAINT, NOTICED_COMPLAINT, &notice);
}

void desk_take_report(struct worker *worker, const struct flz_id *account, struct flz_view message)
{
    if (!take_dsn(worker, account, message))
        take_arf(worker, account, message);
}

void desk_take_answer(struct worker *worker, const struct flz_id *account, struct flz_view block)
{
    struct header header;
    header_parse(block, &header);
    struct job *job = by_message_id(worker, header.in_reply_to);
    if (is_misplaced(job, account) || header.x_fluenzr[0])
        return;
    struct flz_notice notice = {.refusal = FLZ_REFUSAL_NONE};
    job_set_words(notice.text, sizeof notice.text, header.automatic);
    tell(worker, job, FLZ_REPORT_AUTOREPLY, NOTICED_ANSWER, &notice);
}
