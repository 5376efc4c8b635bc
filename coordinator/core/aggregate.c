/*
 * Counters are the sum over the turns: a turn's part is a function of its state alone. Every change
 * of a turn takes its old part out and puts its new one in, so that the sums equal the fold of the
 * log whatever order receipts and corrections come in.
 */
#include "coordinator/core/state.h"

#include <errno.h>

#define COUNTERS                                                                                   \
    ((offsetof(struct row_day, complaints) - offsetof(struct row_day, planned)) /                  \
         sizeof(uint32_t) +                                                                        \
     1)

bool aggregate_sent(const struct row_turn *t)
{
    if (t->send.state != TASK_ENDED)
        return false;
    if (t->send.outcome == FLZ_OUTCOME_SENT)
        return true;
    return (t->send.outcome == FLZ_OUTCOME_AMBIGUOUS ||
            t->send.outcome == FLZ_OUTCOME_INDETERMINATE) &&
           t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND;
}

bool aggregate_credited(const struct row_exchange *x, const struct row_turn *t)
{
    return !x->one_node && aggregate_sent(t) && t->sender_witness && !t->find.presumed &&
           t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND &&
           t->send.node != t->find.node;
}

static void count_send(const struct row_turn *t, struct row_day *day)
{
    day->issued = t->send.issued_at != 0;
    if (t->send.state == TASK_WAITS || t->send.state == TASK_OPEN) {
        day->reserved = 1;
        return;
    }
    if (t->send.state == TASK_VOID) {
        day->dropped = 1;
        return;
    }
    if (aggregate_sent(t)) {
        day->sent = day->committed = 1;
        return;
    }
    switch (t->send.outcome) {
    case FLZ_OUTCOME_AMBIGUOUS: day->ambiguous = day->committed = 1; break;
    case FLZ_OUTCOME_INDETERMINATE: day->indeterminate = day->committed = 1; break;
    case FLZ_OUTCOME_REJECTED: day->rejected = 1; break;
    case FLZ_OUTCOME_WITHDRAWN: day->withdrawn = 1; break;
    case FLZ_OUTCOME_EXPIRED: day->expired = 1; break;
    default: day->declined = 1; break;
    }
}

static void count_placement(const struct row_turn *t, struct row_day *sender,
                            struct row_day *recipient)
{
    if (t->find.outcome == FLZ_OUTCOME_FOUND) {
        sender->inbox = t->placement == FLZ_PLACEMENT_INBOX;
        sender->junk = t->placement == FLZ_PLACEMENT_JUNK;
        sender->other = t->placement == FLZ_PLACEMENT_OTHER;
        recipient->received = 1;
    } else if (t->find.outcome == FLZ_OUTCOME_MISSING) {
        /* What came back was not lost, and its sender is not to blame for the recipient's address:
         * it counts as bounced. */
        sender->missing = t->bounce == BOUNCE_NONE;
    } else {
        sender->unobserved = 1;
    }
}

void aggregate_turn(const struct row_exchange *x, uint32_t turn, struct row_day *ret_sender,
                    struct row_day *ret_recipient)
{
    const struct row_turn *t = &x->turns[turn];
    struct row_day sender = {.planned = 1};
    struct row_day recipient = {.inbound = t->send.state != TASK_VOID};
    count_send(t, &sender);
    bool sent = aggregate_sent(t);
    if (sent && t->find.state == TASK_ENDED)
        count_placement(t, &sender, &recipient);
    if (sent && t->unspam.state == TASK_ENDED && t->unspam.outcome == FLZ_OUTCOME_DONE)
        sender.rescued = recipient.rescues = 1;
    if (sent && t->open.state == TASK_ENDED &&
        (t->open.outcome == FLZ_OUTCOME_DONE || t->open.outcome == FLZ_OUTCOME_NOOP))
        sender.opened = recipient.opens = 1;
    if (sent) {
        sender.bounced_hard = t->bounce >= BOUNCE_HARD;
        sender.bounced_soft = t->bounce == BOUNCE_SOFT;
        sender.complaints = t->complained;
    }
    sender.replied = sent && turn > 0;
    sender.credited = aggregate_credited(x, t);
    *ret_sender = sender;
    *ret_recipient = recipient;
}

static void add(struct row_day *sum, const struct row_day *part, bool minus)
{
    uint32_t *to = &sum->planned;
    const uint32_t *from = &part->planned;
    for (size_t i = 0; i < COUNTERS; i++)
        to[i] = minus ? to[i] - from[i] : to[i] + from[i];
}

void aggregate_add(struct row_day *sum, const struct row_day *part)
{
    add(sum, part, false);
}

static int count(struct coord *core, uint32_t account, int32_t date, const struct row_day *part,
                 bool minus)
{
    struct day_state *day = state_day(core, account, date);
    if (!day)
        return flz_fail(-ENOMEM);
    add(&day->row, part, minus);
    return state_touch(core, ROW_DAY, (uint32_t)(day - core->days), &day->dirty);
}

static int count_turn(struct coord *core, const struct live *x, uint32_t turn, bool minus)
{
    struct row_day sender;
    struct row_day recipient;
    aggregate_turn(&x->row, turn, &sender, &recipient);
    const struct row_turn *t = &x->turns[turn];
    int r = count(core, exchange_sender(&x->row, turn), t->date, &sender, minus);
    if (r == 0)
        r = count(core, exchange_recipient(&x->row, turn), t->open_date, &recipient, minus);
    add(&sender, &recipient, false);
    if (r == 0)
        r = count(core, COORD_NONE, t->date, &sender, minus);
    return r < 0 ? r : tally_count(core, x, turn, minus);
}

int aggregate_take(struct coord *core, const struct live *x, uint32_t turn)
{
    return count_turn(core, x, turn, true);
}

int aggregate_put(struct coord *core, const struct live *x, uint32_t turn)
{
    return count_turn(core, x, turn, false);
}

int aggregate_hold(struct coord *core, const struct live *x, int32_t change)
{
    for (uint32_t i = 0; i < x->row.turns_count; i++) {
        const struct row_turn *t = &x->turns[i];
        const struct {
            uint32_t account;
            int32_t date;
        } days[] = {
            {exchange_sender(&x->row, i), t->date},
            {exchange_recipient(&x->row, i), t->open_date},
            {COORD_NONE, t->date},
        };
        for (size_t j = 0; j < 3; j++) {
            struct day_state *day = state_day(core, days[j].account, days[j].date);
            if (!day)
                return flz_fail(-ENOMEM);
            day->turns += (uint32_t)change;
        }
    }
    return 0;
}
