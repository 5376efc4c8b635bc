/* Reports of nodes: each taken once, in order; and what a receipt does to its task. */
#include "coordinator/core/state.h"

#include <errno.h>
#include <string.h>

/* Bits of the outcomes that a kind of task can have. */
static uint32_t outcomes_of(uint32_t kind)
{
    uint32_t refused =
        1u << FLZ_OUTCOME_EXPIRED | 1u << FLZ_OUTCOME_WITHDRAWN | 1u << FLZ_OUTCOME_DECLINED;
    switch (kind) {
    case FLZ_TASK_SEND:
    case FLZ_TASK_REPLY:
        return refused | 1u << FLZ_OUTCOME_SENT | 1u << FLZ_OUTCOME_REJECTED |
               1u << FLZ_OUTCOME_AMBIGUOUS | 1u << FLZ_OUTCOME_INDETERMINATE |
               1u << FLZ_OUTCOME_FAILED;
    case FLZ_TASK_FIND:
        return refused | 1u << FLZ_OUTCOME_FOUND | 1u << FLZ_OUTCOME_MISSING |
               1u << FLZ_OUTCOME_UNOBSERVED | 1u << FLZ_OUTCOME_FAILED;
    case FLZ_TASK_UNSPAM:
    case FLZ_TASK_OPEN:
    case FLZ_TASK_TIDY:
        return refused | 1u << FLZ_OUTCOME_DONE | 1u << FLZ_OUTCOME_NOOP | 1u << FLZ_OUTCOME_FAILED;
    default: return 0;
    }
}

uint32_t report_fault(const struct flz_receipt *receipt)
{
    bool send = flz_task_kind_sends(receipt->kind);
    switch (receipt->outcome) {
    case FLZ_OUTCOME_SENT:
    case FLZ_OUTCOME_FOUND:
    case FLZ_OUTCOME_DONE:
    case FLZ_OUTCOME_NOOP: return FAULT_NONE;
    default: break;
    }
    switch (receipt->reason) {
    case FLZ_REASON_NO_CONSENT:
    case FLZ_REASON_PAUSED:
    case FLZ_REASON_REVOKED:
    case FLZ_REASON_SUPPRESSED:
    case FLZ_REASON_GONE: return FAULT_OWNER;
    case FLZ_REASON_RECIPIENT: return FAULT_RECIPIENT;
    case FLZ_REASON_RESTORED:
    case FLZ_REASON_NO_ATTESTATION: return FAULT_NETWORK;
    case FLZ_REASON_LOGIN:
    case FLZ_REASON_MAILBOX_FULL:
    case FLZ_REASON_SPAM_BLOCK:
    case FLZ_REASON_POLICY:
    case FLZ_REASON_RATE: return send ? FAULT_SENDER : FAULT_RECIPIENT;
    default: return send ? FAULT_SENDER_NODE : FAULT_RECIPIENT_NODE;
    }
}

bool report_makes_sense(const struct flz_receipt *receipt)
{
    bool placed = receipt->placement >= FLZ_PLACEMENT_INBOX &&
                  receipt->placement <= FLZ_PLACEMENT_OTHER;
    return receipt->outcome < 32 && (outcomes_of(receipt->kind) >> receipt->outcome & 1) &&
           (receipt->outcome != FLZ_OUTCOME_FOUND || placed);
}

static bool fits(const struct live *x, const struct row_task *task, uint32_t node,
                 const struct coord *core, const struct flz_receipt *receipt)
{
    struct flz_id id = coord_task_id(x->row.id, receipt->turn, receipt->kind, receipt->attempt);
    struct coord_order order = {
        .exchange = x->row.handle, .turn = receipt->turn, .kind = receipt->kind};
    struct coord_task said;
    return task->issued_at != 0 && task->node == node && task->attempt == receipt->attempt &&
           flz_id_equal(id, receipt->task) && report_makes_sense(receipt) &&
           coord_task(core, &order, &said) == 0 &&
           flz_id_equal(core->accounts[said.account].row.id, receipt->account);
}

/* The node says that the message left it, or may have. */
static bool has_left(const struct flz_receipt *receipt)
{
    return receipt->outcome == FLZ_OUTCOME_SENT || receipt->outcome == FLZ_OUTCOME_AMBIGUOUS ||
           receipt->outcome == FLZ_OUTCOME_INDETERMINATE;
}

/* A task's word after an earlier one. */
static enum event_effect second_word(const struct live *x, const struct row_task *task,
                                     const struct flz_receipt *receipt)
{
    /* What may have left has not: that is not for a journal to say that was lost meanwhile, nor of
     * a message that was found. */
    if (task->presumed && task->outcome == FLZ_OUTCOME_AMBIGUOUS && !has_left(receipt))
        return EFFECT_MOOT;
    if (task->presumed)
        return EFFECT_CORRECTED;
    if (task->outcome == receipt->outcome) {
        bool moved = receipt->outcome == FLZ_OUTCOME_FOUND &&
                     x->turns[receipt->turn].placement != receipt->placement;
        return moved ? EFFECT_EQUIVOCATION : EFFECT_REPEATED;
    }
    if (task->outcome == FLZ_OUTCOME_AMBIGUOUS &&
        (receipt->outcome == FLZ_OUTCOME_SENT || receipt->outcome == FLZ_OUTCOME_INDETERMINATE))
        return EFFECT_FOLLOWED;
    if (receipt->kind == FLZ_TASK_FIND && receipt->outcome == FLZ_OUTCOME_FOUND &&
        (task->outcome == FLZ_OUTCOME_MISSING || task->outcome == FLZ_OUTCOME_UNOBSERVED))
        return EFFECT_CORRECTED;
    return EFFECT_EQUIVOCATION;
}

static enum event_effect effect_of(const struct coord *core, struct live *x, uint32_t node,
                                   const struct flz_receipt *receipt)
{
    struct row_task *task = x ? state_task(x, receipt->turn, receipt->kind) : NULL;
    if (!task || !fits(x, task, node, core, receipt))
        return EFFECT_UNKNOWN;
    switch ((enum row_task_state)task->state) {
    case TASK_OPEN: return EFFECT_TAKEN;
    case TASK_ENDED: return second_word(x, task, receipt);
    case TASK_VOID: return EFFECT_MOOT;
    case TASK_WAITS: break;
    }
    return EFFECT_UNKNOWN;
}

static int take_receipt(struct coord *core, const struct coord_command *command)
{
    if (recovery_applies(core, command))
        return recovery_take(core, command);
    const struct flz_receipt *receipt = &command->report.report->receipt;
    uint32_t exchange = coord_find_exchange(core, receipt->exchange);
    struct event event = {
        .type = EVENT_RECEIPT,
        .receipt = {.exchange = exchange,
                    .effect = effect_of(core, state_live(core, exchange), command->node, receipt),
                    .fault = report_fault(receipt),
                    .receipt = *receipt},
    };
    event.receipt.receipt.voucher = FLZ_VIEW_NULL; /* the log has what it says */
    int r = coord_emit(core, event);
    if (r < 0)
        return r;
    event.at = core->clock;
    r = standing_heard(core, &event);
    if (r == 0 && event.receipt.effect == EFFECT_TAKEN)
        r = notice_refused(core, exchange, receipt);
    return r < 0 ? r : exchange_advance(core, exchange);
}

/* A repetition: its answer was lost, so an account's verdict is given again. */
static void answer_again(const struct coord *core, const struct coord_command *command,
                         struct coord_update *update)
{
    update->report_known = true;
    if (command->report.report->kind != FLZ_REPORT_ACCOUNT)
        return;
    uint32_t account = coord_find_address(core, command->report.address);
    const struct row_account *row = coord_account(core, account);
    if (row && row->state == ACCOUNT_LIVE && row->node == command->node) {
        update->handle = account;
        return;
    }
    update->refused = true;
    flz_msg_set(&update->message, "this account was refused: register it again to hear why");
}

static int take(struct coord *core, const struct coord_command *command,
                struct coord_update *update)
{
    switch (command->report.report->kind) {
    case FLZ_REPORT_RECEIPT: return take_receipt(core, command);
    case FLZ_REPORT_ACCOUNT: return roster_register(core, command, update);
    case FLZ_REPORT_PROBE: return roster_probe(core, command, update);
    case FLZ_REPORT_RELEASE: return roster_release(core, command, update);
    case FLZ_REPORT_BOUNCE:
    case FLZ_REPORT_COMPLAINT:
    case FLZ_REPORT_AUTOREPLY: return notice_take(core, command);
    default:
        return roster_refuse(core, command->report.report, update,
                             "this coordinator does not know reports of kind %u",
                             command->report.report->kind);
    }
}

int report_take(struct coord *core, const struct coord_command *command,
                struct coord_update *update)
{
    const struct node_state *node = state_node(core, command->node);
    uint64_t seq = command->report.report->seq;
    update->refused = true;
    if (!node || node->row.state != NODE_JOINED) {
        flz_msg_set(&update->message, "this node is not known here, or was revoked");
        return 0;
    }
    if (!flz_id_equal(node->row.incarnation, command->report.incarnation)) {
        flz_msg_set(&update->message, "this is not the journal that node %s last said hello with",
                    node->row.name);
        return 0;
    }
    update->refused = false;
    if (seq <= node->row.report_seq) {
        answer_again(core, command, update);
        return 0;
    }
    update->report_gap = seq > node->row.report_seq + 1;
    if (update->report_gap) {
        flz_msg_set(&update->message, "report %llu came, %llu is expected", (unsigned long long)seq,
                    (unsigned long long)node->row.report_seq + 1);
        return 0;
    }

    core->report_node = command->node;
    core->report_seq = seq;
    int r = take(core, command, update);
    return r < 0 ? r : fleet_caught_up(core, command->node);
}
