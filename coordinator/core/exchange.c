/*
 * The exchange: from a plan row to tasks, as time comes and receipts arrive. One function looks at
 * the state of an exchange and does all that is to be done now; it is called whenever something
 * about it changed or its time came, and it is idempotent. PROTOCOL.md, "The exchange", is the
 * table.
 *
 *     turn i:  SEND/REPLY ──┬── FIND ── UNSPAM ── OPEN ── turn i + 1
 *                           └ witness  └ witness
 */
#include "coordinator/core/state.h"

#include "common/base/time.h"

#include <errno.h>

#define POLL_MS (5 * FLZ_MINUTE_MS) /* while something that tells no end stands in the way */
#define REPORT_SPARE_MS FLZ_HOUR_MS /* over a task's end, for its report to arrive */
#define FIND_SPARE_MS FLZ_HOUR_MS   /* over the arrival deadline, for the last, full search */
#define TICK_BATCH 1000             /* exchanges looked at in one step */

static uint32_t send_kind(uint32_t turn)
{
    return turn == 0 ? FLZ_TASK_SEND : FLZ_TASK_REPLY;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t exchange_find_deadline(const struct coord *core, const struct row_turn *t)
{
    return t->send_until + core->policy.arrival_deadline_ms;
}

int64_t exchange_find_until(const struct coord *core, const struct row_turn *t)
{
    return exchange_find_deadline(core, t) + FIND_SPARE_MS + core->policy.grace_ms;
}

static int64_t tidy_until(const struct coord *core, const struct live *x)
{
    return x->row.tidy_at + core->policy.action_deadline_ms;
}

/* When the coordinator stops waiting for the node's word on a task. */
static int64_t patience_of(const struct coord *core, const struct live *x, uint32_t turn,
                           uint32_t kind)
{
    int64_t spare = REPORT_SPARE_MS + core->policy.grace_ms;
    if (kind == FLZ_TASK_TIDY)
        return tidy_until(core, x) + spare;
    const struct row_turn *t = &x->turns[turn];
    /* A silent sender is given as long as its message is looked for: the find may still tell. */
    if (flz_task_kind_sends(kind) || kind == FLZ_TASK_FIND)
        return exchange_find_until(core, t) + spare;
    /* Its word is worth waiting for as long as there are second hours to do it in. */
    return later(t->open_until, t->reopen_until) + spare;
}

/* ---- Emitting ---- */

static int issue(struct coord *core, struct live *x, uint32_t turn, uint32_t kind, uint32_t node)
{
    struct event event = {
        .type = EVENT_ISSUED,
        .issued = {.exchange = x->row.handle,
                   .turn = turn,
                   .kind = kind,
                   .node = node,
                   .attempt = state_task(x, turn, kind)->attempt},
    };
    if (flz_task_kind_sends(kind)) {
        const struct row_turn *t = &x->turns[turn];
        const struct day_state *day = state_find_day(core, exchange_sender(&x->row, turn), t->date);
        event.issued.day_cap = day && day->row.planned_day ? day->row.quota : t->day_cap;
    }
    int r = coord_emit(core, event);
    if (r < 0)
        return r;
    core->nodes[node].credit--;
    struct coord_order order = {
        .node = node,
        .exchange = x->row.handle,
        .turn = turn,
        .kind = kind,
        .side = kind == FLZ_TASK_TIDY ? turn : 0,
    };
    return coord_order(core, order);
}

int exchange_presume(struct coord *core, const struct live *x, struct event_presumed presumed)
{
    presumed.exchange = x->row.handle;
    return coord_emit(core, (struct event){.type = EVENT_PRESUMED, .presumed = presumed});
}

static int give_up(struct coord *core, const struct live *x, struct event_void voided)
{
    voided.exchange = x->row.handle;
    return coord_emit(core, (struct event){.type = EVENT_VOID, .voided = voided});
}

/* ---- Credit ---- */

/* True when the node can take a task now; else the exchange waits at it. */
static int has_credit(struct coord *core, struct live *x, uint32_t account, bool *ret_has)
{
    uint32_t handle = core->accounts[account].row.node;
    struct node_state *node = &core->nodes[handle];
    *ret_has = node->credit > 0;
    bool *waiting = &x->waiting[account == x->row.from ? 0 : 1];
    if (*ret_has || *waiting)
        return 0;
    int r = flz_heap_push(&node->waiting, core->clock, x->row.handle);
    *waiting = r == 0;
    return r;
}

/* ---- One turn ---- */

/* What advancing an exchange works on; `wake`: the earliest time at which something may change. */
struct step {
    struct coord *core;
    struct live *x;
    uint32_t turn;
    struct row_turn *t;
    uint32_t sender;
    uint32_t recipient;
    int64_t wake;
};

static void wake_at(struct step *s, int64_t at)
{
    s->wake = earlier(s->wake, at > s->core->clock ? at : s->core->clock + 1);
}

static bool task_over(const struct row_task *task)
{
    return task->state == TASK_ENDED || task->state == TASK_VOID;
}

static bool was_done(const struct row_task *task)
{
    return task->state == TASK_ENDED &&
           (task->outcome == FLZ_OUTCOME_DONE || task->outcome == FLZ_OUTCOME_NOOP);
}

static bool was_found(const struct row_turn *t)
{
    return t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND;
}

/* Sent, or not known not to be. */
static bool maybe_sent(const struct row_turn *t)
{
    if (t->send.state != TASK_ENDED)
        return t->send.state == TASK_OPEN;
    return t->send.outcome == FLZ_OUTCOME_SENT || t->send.outcome == FLZ_OUTCOME_AMBIGUOUS ||
           t->send.outcome == FLZ_OUTCOME_INDETERMINATE;
}

static bool turn_over(const struct row_turn *t)
{
    return task_over(&t->send) && task_over(&t->find) && task_over(&t->unspam) &&
           task_over(&t->open) &&
           !(t->send.state == TASK_ENDED && t->send.outcome == FLZ_OUTCOME_AMBIGUOUS &&
             !was_found(t));
}

/* What stands in the way of this SEND or REPLY now, its slot apart. */
static struct gate send_gate(const struct step *s)
{
    const struct coord *core = s->core;
    const struct account_state *sender = &core->accounts[s->sender];
    uint32_t action = s->turn == 0 ? FLZ_ACTION_SEND : FLZ_ACTION_REPLY;
    struct gate gate = roster_may_send(core, s->sender, s->recipient, action);
    if (gate.reason && gate.lasting)
        return gate;
    if (core->clock < core->network.quiet_until)
        return (struct gate){
            .reason = VOID_RESTORED, .fault = FAULT_NETWORK, .until = core->network.quiet_until};
    if (gate.reason)
        return gate;
    if (core->clock < sender->row.begins_at)
        return (struct gate){
            .reason = VOID_LATE, .fault = FAULT_OWNER, .until = sender->row.begins_at};
    /* Messages delayed by a pause or a silent node are never bunched. */
    int64_t apart = sender->row.issued_at + core->policy.spacing_ms;
    if (sender->row.issued_at && core->clock < apart)
        return (struct gate){.reason = VOID_SPACING, .fault = FAULT_NETWORK, .until = apart};
    return (struct gate){.reason = VOID_NONE};
}

static int void_send(struct step *s, uint32_t reason, uint32_t fault)
{
    struct event_void voided = {
        .turn = s->turn, .kind = send_kind(s->turn), .reason = reason, .fault = fault};
    return give_up(s->core, s->x, voided);
}

/* The message before must have been opened; without that there is no reply to it. */
static int wait_for_earlier(struct step *s, bool *ret_wait)
{
    *ret_wait = false;
    if (s->turn == 0)
        return 0;
    const struct row_turn *before = s->t - 1;
    *ret_wait = !was_done(&before->open);
    if (!*ret_wait)
        return 0;
    if (task_over(&before->open))
        return void_send(s, VOID_EARLIER, before->open.fault);
    if (s->core->clock > s->t->send_until)
        return void_send(s, VOID_EARLIER, FAULT_RECIPIENT_NODE);
    wake_at(s, s->t->send_until + 1);
    return 0;
}

static int send_now(struct step *s)
{
    bool has;
    int r = has_credit(s->core, s->x, s->sender, &has);
    if (r < 0)
        return r;
    if (has)
        return issue(s->core, s->x, s->turn, send_kind(s->turn),
                     s->core->accounts[s->sender].row.node);
    wake_at(s, s->t->send_until + 1);
    return 0;
}

static int send_waits(struct step *s)
{
    struct gate gate = send_gate(s);
    if (gate.reason && gate.lasting)
        return void_send(s, gate.reason, gate.fault);
    bool wait;
    int r = wait_for_earlier(s, &wait);
    if (r < 0 || wait || s->t->send.state != TASK_WAITS)
        return r;

    if (s->core->clock > s->t->send_until)
        return void_send(s, gate.reason ? gate.reason : VOID_LATE,
                         gate.reason ? gate.fault : FAULT_SENDER_NODE);
    if (s->core->clock < s->t->send_at) {
        wake_at(s, s->t->send_at);
        return 0;
    }
    if (gate.reason) {
        wake_at(s, earlier(earlier(gate.until, s->core->clock + POLL_MS), s->t->send_until + 1));
        return 0;
    }
    if (standing_bars(s->core, &s->x->row, s->turn))
        return void_send(s, VOID_HEALTH, FAULT_SENDER);
    return send_now(s);
}

/* Ends a SEND or REPLY whose node does not tell: counted as sent if anything speaks for it. */
static int send_silent(struct step *s)
{
    uint32_t kind = send_kind(s->turn);
    int64_t patience = patience_of(s->core, s->x, s->turn, kind);
    if (s->core->clock <= patience) {
        wake_at(s, patience + 1);
        return 0;
    }
    struct event_presumed presumed = {
        .turn = s->turn,
        .kind = kind,
        .outcome = was_found(s->t) ? FLZ_OUTCOME_AMBIGUOUS : FLZ_OUTCOME_INDETERMINATE,
        .reason = FLZ_REASON_NETWORK,
        .fault = FAULT_SENDER_NODE,
    };
    return exchange_presume(s->core, s->x, presumed);
}

static int advance_send(struct step *s)
{
    switch ((enum row_task_state)s->t->send.state) {
    case TASK_WAITS: return send_waits(s);
    case TASK_OPEN: return send_silent(s);
    case TASK_ENDED:
    case TASK_VOID: break;
    }
    return 0;
}

static int find_unobserved(struct step *s, uint32_t reason, uint32_t fault)
{
    struct event_presumed presumed = {
        .turn = s->turn,
        .kind = FLZ_TASK_FIND,
        .outcome = FLZ_OUTCOME_UNOBSERVED,
        .reason = reason,
        .fault = fault,
    };
    return exchange_presume(s->core, s->x, presumed);
}

static int find_waits(struct step *s)
{
    struct gate gate = roster_may_act(s->core, s->recipient, FLZ_ACTION_OPEN);
    if (gate.reason && gate.lasting)
        return find_unobserved(
            s, gate.reason == VOID_REVOKED ? FLZ_REASON_REVOKED : FLZ_REASON_NO_CONSENT,
            gate.fault);
    int64_t patience = exchange_find_until(s->core, s->t);
    if (s->core->clock > patience)
        return find_unobserved(s, gate.reason ? FLZ_REASON_PAUSED : FLZ_REASON_NETWORK,
                               gate.reason ? gate.fault : FAULT_RECIPIENT_NODE);
    wake_at(s, patience + 1);
    if (gate.reason) {
        wake_at(s, earlier(gate.until, s->core->clock + POLL_MS));
        return 0;
    }
    bool has;
    int r = has_credit(s->core, s->x, s->recipient, &has);
    if (r < 0 || !has)
        return r;
    return issue(s->core, s->x, s->turn, FLZ_TASK_FIND, s->core->accounts[s->recipient].row.node);
}

static int advance_find(struct step *s)
{
    if (task_over(&s->t->find) || s->t->send.state == TASK_WAITS)
        return 0;
    if (!maybe_sent(s->t)) {
        struct event_void voided = {
            .turn = s->turn,
            .kind = FLZ_TASK_FIND,
            .reason = VOID_NEEDLESS,
            .fault = s->t->send.fault,
        };
        return give_up(s->core, s->x, voided);
    }
    if (s->t->find.state == TASK_WAITS)
        return find_waits(s);
    int64_t patience = patience_of(s->core, s->x, s->turn, FLZ_TASK_FIND);
    if (s->core->clock > patience)
        return find_unobserved(s, FLZ_REASON_NETWORK, FAULT_RECIPIENT_NODE);
    wake_at(s, patience + 1);
    return 0;
}

static int reslot(struct step *s)
{
    struct event event = {
        .type = EVENT_RESLOTTED,
        .reslotted = {.exchange = s->x->row.handle,
                      .turn = s->turn,
                      .open_at = s->t->reopen_at,
                      .open_until = s->t->reopen_until},
    };
    return coord_emit(s->core, event);
}

/* From when on a task ordered now would come too late for the turn's hours. */
static int64_t too_late(const struct step *s)
{
    return s->t->reopen_at ? s->t->open_until - s->core->policy.find_delay_ms : s->t->open_until;
}

static bool has_second_hours(const struct step *s)
{
    return s->t->reopen_at && s->core->clock <= s->t->reopen_until;
}

/* UNSPAM and OPEN: in the recipient's hours; found too late for these, in the next ones, once. */
static int mailbox_waits(struct step *s, uint32_t kind)
{
    uint32_t action = kind == FLZ_TASK_UNSPAM ? FLZ_ACTION_MOVE : FLZ_ACTION_OPEN;
    struct gate gate = roster_may_act(s->core, s->recipient, action);
    struct event_void voided = {
        .turn = s->turn, .kind = kind, .reason = gate.reason, .fault = gate.fault};
    if (gate.reason && gate.lasting)
        return give_up(s->core, s->x, voided);
    if (s->core->clock > too_late(s) && has_second_hours(s)) {
        int r = reslot(s);
        if (r < 0)
            return r;
    }
    if (s->core->clock > s->t->open_until) {
        if (!gate.reason) {
            voided.reason = VOID_LATE;
            voided.fault = FAULT_RECIPIENT_NODE;
        }
        return give_up(s->core, s->x, voided);
    }
    if (s->core->clock < s->t->open_at) {
        wake_at(s, s->t->open_at);
        return 0;
    }
    wake_at(s, too_late(s) + 1);
    if (gate.reason) {
        wake_at(s, earlier(gate.until, s->core->clock + POLL_MS));
        return 0;
    }
    bool has;
    int r = has_credit(s->core, s->x, s->recipient, &has);
    if (r < 0 || !has)
        return r;
    return issue(s->core, s->x, s->turn, kind, s->core->accounts[s->recipient].row.node);
}

/* Its node says that it could not be done in the first hours, and it may be in the second. */
static bool expired_early(const struct step *s, const struct row_task *task, uint32_t kind)
{
    uint32_t action = kind == FLZ_TASK_UNSPAM ? FLZ_ACTION_MOVE : FLZ_ACTION_OPEN;
    return task->state == TASK_ENDED && task->outcome == FLZ_OUTCOME_EXPIRED && !task->presumed &&
           has_second_hours(s) && !roster_may_act(s->core, s->recipient, action).lasting;
}

static int advance_mailbox(struct step *s, uint32_t kind)
{
    const struct row_task *task = state_task(s->x, s->turn, kind);
    if (expired_early(s, task, kind)) {
        int r = reslot(s);
        if (r < 0)
            return r;
    }
    if (task_over(task))
        return 0;
    if (task->state == TASK_WAITS)
        return mailbox_waits(s, kind);
    int64_t patience = patience_of(s->core, s->x, s->turn, kind);
    if (s->core->clock <= patience) {
        wake_at(s, patience + 1);
        return 0;
    }
    struct event_presumed presumed = {
        .turn = s->turn,
        .kind = kind,
        .outcome = FLZ_OUTCOME_EXPIRED,
        .reason = FLZ_REASON_NETWORK,
        .fault = FAULT_RECIPIENT_NODE,
    };
    return exchange_presume(s->core, s->x, presumed);
}

/* The find is over. Not found: nothing to open, and a message that may have been sent never was
 * seen. */
static int advance_unfound(struct step *s)
{
    int r = 0;
    if (s->t->send.state == TASK_ENDED && s->t->send.outcome == FLZ_OUTCOME_AMBIGUOUS) {
        struct event_presumed presumed = {
            .turn = s->turn,
            .kind = send_kind(s->turn),
            .outcome = FLZ_OUTCOME_INDETERMINATE,
            .reason = s->t->send.reason,
            .fault = FAULT_SENDER_NODE,
        };
        r = exchange_presume(s->core, s->x, presumed);
    }
    if (r < 0 || (task_over(&s->t->open) && task_over(&s->t->unspam)))
        return r;
    /* Its node may have said before, of a lost log, that it opened what it did not find. */
    struct event_void voided = {
        .turn = s->turn,
        .kind = task_over(&s->t->open) ? FLZ_TASK_UNSPAM : FLZ_TASK_OPEN,
        .reason = VOID_EARLIER,
        .fault = s->t->find.fault,
    };
    return give_up(s->core, s->x, voided);
}

static int advance_turn(struct step *s)
{
    int r = advance_send(s);
    if (r == 0)
        r = advance_find(s);
    if (r < 0 || s->t->find.state != TASK_ENDED)
        return r;
    if (!was_found(s->t))
        return advance_unfound(s);

    /* A rescue that failed is told, and the message is opened where it lies: its reader saw it. */
    r = advance_mailbox(s, FLZ_TASK_UNSPAM);
    if (r < 0 || !task_over(&s->t->unspam))
        return r;
    return advance_mailbox(s, FLZ_TASK_OPEN);
}

/* ---- The end ---- */

static bool any_sent(const struct live *x)
{
    for (size_t i = 0; i < x->row.turns_count; i++)
        if (x->turns[i].send.state == TASK_ENDED && maybe_sent(&x->turns[i]))
            return true;
    return false;
}

static int settle(struct step *s)
{
    struct coord *core = s->core;
    const struct live *x = s->x;
    bool tidy = any_sent(x);
    int64_t until;
    if (!tidy && recovery_keeps(core, x, &until)) {
        wake_at(s, until);
        return 0;
    }
    struct event event = {
        .type = tidy ? EVENT_SETTLED : EVENT_ENDED,
    };
    if (tidy)
        event.settled = (struct event_settled){.exchange = x->row.handle,
                                               .tidy_at = core->clock + core->policy.tidy_delay_ms};
    else
        event.ended = (struct event_ended){.exchange = x->row.handle};
    return coord_emit(core, event);
}

static int tidy_waits(struct step *s, uint32_t side, uint32_t account)
{
    struct coord *core = s->core;
    struct gate gate = roster_may_act(core, account, FLZ_ACTION_MOVE);
    struct event_void voided = {
        .turn = side, .kind = FLZ_TASK_TIDY, .reason = gate.reason, .fault = gate.fault};
    if (gate.reason && gate.lasting)
        return give_up(core, s->x, voided);
    if (core->clock > tidy_until(core, s->x)) {
        if (!gate.reason)
            voided.reason = VOID_LATE;
        return give_up(core, s->x, voided);
    }
    if (core->clock < s->x->row.tidy_at) {
        wake_at(s, s->x->row.tidy_at);
        return 0;
    }
    wake_at(s, tidy_until(core, s->x) + 1);
    if (gate.reason) {
        wake_at(s, earlier(gate.until, core->clock + POLL_MS));
        return 0;
    }
    bool has;
    int r = has_credit(core, s->x, account, &has);
    return r < 0 || !has ? r
                         : issue(core, s->x, side, FLZ_TASK_TIDY, core->accounts[account].row.node);
}

static int advance_tidy(struct step *s, uint32_t side)
{
    const struct row_task *task = state_task(s->x, side, FLZ_TASK_TIDY);
    uint32_t account = side == 0 ? s->x->row.from : s->x->row.to;
    if (task_over(task))
        return 0;
    if (task->state == TASK_WAITS)
        return tidy_waits(s, side, account);
    int64_t patience = patience_of(s->core, s->x, side, FLZ_TASK_TIDY);
    if (s->core->clock <= patience) {
        wake_at(s, patience + 1);
        return 0;
    }
    struct event_presumed presumed = {
        .turn = side,
        .kind = FLZ_TASK_TIDY,
        .outcome = FLZ_OUTCOME_EXPIRED,
        .reason = FLZ_REASON_NETWORK,
        .fault = side == 0 ? FAULT_SENDER_NODE : FAULT_RECIPIENT_NODE,
    };
    return exchange_presume(s->core, s->x, presumed);
}

static int advance_settled(struct step *s)
{
    int r = advance_tidy(s, 0);
    if (r == 0)
        r = advance_tidy(s, 1);
    if (r < 0 || !task_over(&s->x->row.tidy_from) || !task_over(&s->x->row.tidy_to))
        return r;
    int64_t until;
    if (recovery_keeps(s->core, s->x, &until)) {
        wake_at(s, until);
        return 0;
    }
    struct event event = {.type = EVENT_ENDED, .ended = {.exchange = s->x->row.handle}};
    return coord_emit(s->core, event);
}

static int advance_live(struct step *s)
{
    bool over = true;
    for (uint32_t i = 0; i < s->x->row.turns_count; i++) {
        s->turn = i;
        s->t = &s->x->turns[i];
        s->sender = exchange_sender(&s->x->row, i);
        s->recipient = exchange_recipient(&s->x->row, i);
        int r = advance_turn(s);
        if (r < 0)
            return r;
        over = over && turn_over(s->t);
    }
    return over ? settle(s) : 0;
}

int exchange_advance(struct coord *core, uint32_t exchange)
{
    struct live *x = state_live(core, exchange);
    if (!x)
        return 0;
    struct step s = {.core = core, .x = x, .wake = FLZ_NEVER};
    int r = 0;
    if (x->row.state == EXCHANGE_LIVE)
        r = advance_live(&s);
    if (r == 0 && x->row.state == EXCHANGE_SETTLED)
        r = advance_settled(&s);
    if (r < 0 || x->row.state == EXCHANGE_ENDED)
        return r;
    return state_wake(core, x, s.wake);
}

int exchange_advance_all(struct coord *core, uint32_t account)
{
    size_t looked = 0;
    for (size_t i = 0; i < core->live_count; i++) {
        struct live *x = core->live[i];
        if (!x || (account != COORD_NONE && x->row.from != account && x->row.to != account))
            continue;
        int r = looked++ < TICK_BATCH ? exchange_advance(core, x->row.handle)
                                      : state_wake(core, x, core->clock);
        if (r < 0)
            return r;
    }
    return 0;
}

int exchange_tick(struct coord *core)
{
    struct flz_heap_entry entry;
    for (int i = 0; i < TICK_BATCH && flz_heap_pop_due(&core->due, core->clock, &entry); i++) {
        struct live *x = state_live(core, (uint32_t)entry.item);
        if (!x || x->wake != entry.at)
            continue;
        x->wake = FLZ_NEVER;
        int r = exchange_advance(core, (uint32_t)entry.item);
        if (r < 0)
            return r;
    }
    return 0;
}
