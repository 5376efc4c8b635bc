/*
 * What servers say of a message after it was taken (bounces, complaints, machines that answer), and
 * what some refusals demand at once. The rules:
 *
 *  N1  Only the node of a message's sender tells of it, and only of one that it said it had sent.
 *  N2  A hard bounce suspends the recipient's address; nothing of it is held against the sender.
 *  N3  A complaint suppresses the address of who complains, and counts on the sender's day.
 *  N4  A machine that answers is not written to for a while; that ends by time, or by an
 *      administrator's word, and holds nothing else of its account.
 *  N5  What was found is in its mailbox: a bounce of it is evidence against who says so.
 *  N6  A refusal that means stop pauses the sending account until a person resumes it.
 */
#include "coordinator/core/state.h"

#include "common/base/time.h"

#include <stdio.h>
#include <string.h>

#define ANSWERS_MS (7 * FLZ_DAY_MS) /* how long a machine that answered is not written to */

/* ---- Consequences ---- */

/* "550 5.1.1 no-mailbox: no such user" */
static void say(char ret_text[static FLZ_REPLY_TEXT_MAX], uint32_t code, const char *enhanced,
                const char *rule, const char *text)
{
    char number[16] = "";
    if (code)
        (void)snprintf(number, sizeof number, "%u ", (unsigned)code);
    (void)snprintf(ret_text, FLZ_REPLY_TEXT_MAX, "%s%s%s%s%s%s", number, enhanced,
                   enhanced[0] ? " " : "", rule, rule[0] ? ": " : "", text);
}

static int suppress(struct coord *core, uint32_t account, enum row_suppressed kind,
                    const char *reason)
{
    const struct row_account *row = &core->accounts[account].row;
    struct event event = {.type = EVENT_SUPPRESSED,
                          .suppressed = {.address = row->address, .kind = kind}};
    if (state_is_suppressed(core, row->address))
        return 0;
    (void)snprintf(event.suppressed.reason, sizeof event.suppressed.reason, "%s", reason);
    (void)snprintf(event.suppressed.by, sizeof event.suppressed.by, "%s",
                   kind == SUPPRESSED_BOUNCE ? "bounce" : "complaint");
    int r = coord_emit(core, event);
    return r < 0 ? r : exchange_advance_all(core, account);
}

static int follow(struct coord *core, uint32_t refusal, uint32_t sender, uint32_t recipient,
                  const char *reason)
{
    if (refusal == FLZ_REFUSAL_SUSPEND)
        return suppress(core, recipient, SUPPRESSED_BOUNCE, reason);
    if (refusal == FLZ_REFUSAL_STOP)
        return pause_stop_account(core, sender, reason, "server");
    return 0;
}

int notice_refused(struct coord *core, uint32_t exchange, const struct flz_receipt *receipt)
{
    const struct live *x = state_live(core, exchange);
    char reason[FLZ_REPLY_TEXT_MAX];
    if (!x || receipt->outcome != FLZ_OUTCOME_REJECTED)
        return 0;
    say(reason, receipt->reply_code, receipt->enhanced, receipt->rule, receipt->text);
    return follow(core, receipt->refusal, exchange_sender(&x->row, receipt->turn),
                  exchange_recipient(&x->row, receipt->turn), reason);
}

/* ---- Notices ---- */

static bool was_sent(const struct row_turn *t)
{
    return t->send.state == TASK_ENDED &&
           (t->send.outcome == FLZ_OUTCOME_SENT || t->send.outcome == FLZ_OUTCOME_AMBIGUOUS ||
            t->send.outcome == FLZ_OUTCOME_INDETERMINATE);
}

static bool was_found(const struct row_turn *t)
{
    return t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND;
}

uint32_t notice_bounce(const struct flz_notice *notice)
{
    if (notice->refusal == FLZ_REFUSAL_SUSPEND)
        return BOUNCE_GONE;
    return notice->refusal >= FLZ_REFUSAL_HARD ? BOUNCE_HARD : BOUNCE_SOFT;
}

static enum event_notice effect_on(const struct row_turn *t, uint32_t type,
                                   const struct flz_notice *notice)
{
    if (!was_sent(t))
        return NOTICE_UNKNOWN;
    if (type == EVENT_BOUNCED && was_found(t))
        return NOTICE_CONTRADICTED;
    bool known = type == EVENT_BOUNCED ? t->bounce >= notice_bounce(notice) : t->complained;
    return type != EVENT_ANSWERED && known ? NOTICE_REPEATED : NOTICE_TAKEN;
}

/* Its exchange is not live any more; the two did write to each other of late. */
static bool have_met(const struct coord *core, uint32_t a, uint32_t b)
{
    return flz_map_get(&core->contacts_by_pair, state_pair_key(a, b)) != FLZ_MAP_NONE ||
           flz_map_get(&core->contacts_by_pair, state_pair_key(b, a)) != FLZ_MAP_NONE;
}

static void look_up(const struct coord *core, uint32_t node, uint32_t type, struct event_noticed *e)
{
    const struct flz_notice *notice = &e->notice;
    uint32_t sender = coord_find_account(core, notice->account);
    uint32_t recipient = coord_find_account(core, notice->peer);
    e->exchange = coord_find_exchange(core, notice->exchange);
    e->recipient = COORD_NONE;
    e->effect = NOTICE_UNKNOWN;
    if (sender == COORD_NONE || recipient == COORD_NONE || core->accounts[sender].row.node != node)
        return;
    const struct live *x = state_live(core, e->exchange);
    if (!x && have_met(core, sender, recipient))
        e->effect = NOTICE_LATE;
    else if (x && notice->turn < x->row.turns_count &&
             exchange_sender(&x->row, notice->turn) == sender &&
             exchange_recipient(&x->row, notice->turn) == recipient)
        e->effect = effect_on(&x->turns[notice->turn], type, notice);
    if (e->effect != NOTICE_UNKNOWN)
        e->recipient = recipient;
}

/* N3; the sender's health is looked at with it. */
static int complained(struct coord *core, const struct event_noticed *e, uint32_t sender,
                      const char *reason)
{
    int r = suppress(core, e->recipient, SUPPRESSED_COMPLAINT, reason);
    if (r < 0 || e->effect != NOTICE_TAKEN)
        return r;
    return standing_complained(core, sender, e->notice.exchange);
}

static uint32_t type_of(uint32_t kind)
{
    return kind == FLZ_REPORT_BOUNCE      ? EVENT_BOUNCED
           : kind == FLZ_REPORT_COMPLAINT ? EVENT_COMPLAINED
                                          : EVENT_ANSWERED;
}

int notice_take(struct coord *core, const struct coord_command *command)
{
    const struct flz_report *report = command->report.report;
    const struct flz_notice *notice = &report->notice;
    struct event event = {.type = type_of(report->kind), .noticed = {.notice = *notice}};
    look_up(core, command->node, event.type, &event.noticed);
    bool heeded = event.noticed.effect == NOTICE_TAKEN || event.noticed.effect == NOTICE_LATE;
    if (heeded && event.type == EVENT_ANSWERED)
        event.noticed.until = core->clock + ANSWERS_MS;
    int r = coord_emit(core, event);
    if (r < 0 || !heeded)
        return r;

    char reason[FLZ_REPLY_TEXT_MAX];
    say(reason, notice->reply_code, notice->enhanced, notice->rule, notice->text);
    uint32_t sender = coord_find_account(core, notice->account);
    if (event.type == EVENT_BOUNCED)
        r = follow(core, notice->refusal, sender, event.noticed.recipient, reason);
    else if (event.type == EVENT_COMPLAINED)
        r = complained(core, &event.noticed, sender, reason);
    else
        r = exchange_advance_all(core, event.noticed.recipient);
    return r < 0 ? r : exchange_advance(core, event.noticed.exchange);
}
