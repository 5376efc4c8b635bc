/*
 * The core's memory, seen by the core alone: the rows it keeps, indexes over them, and volatile
 * facts (credit, wake-up times) that no event and no row holds.
 *
 * Only fold.c changes rows; everything else reads them, decides, and emits events.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/heap.h"
#include "common/base/map.h"
#include "common/base/time.h"
#include "coordinator/core/coord.h"

#define STATE_DAYS_KEPT 16 /* dates behind the newest planned one that stay in memory */
/* After a restored backup: a day over the time for which nodes keep their reports (outbox.h). */
#define STATE_RECOVERY_MS (31 * FLZ_DAY_MS)
#define STATE_NAME_KINDS (NAME_PROVIDER + 1)

struct node_state {
    struct row_node row;
    bool dirty;
    uint32_t paused; /* handle + 1 of the pause in force on it; 0 = none. So below, too */
    /* Volatile. */
    uint32_t credit;
    uint32_t open;           /* tasks open at it: derived from the exchanges */
    struct flz_heap waiting; /* exchanges waiting for credit, by when they were due */
    struct flz_map held;     /* open tasks its HELLO named, until its reports caught up */
    uint64_t resync_seq;     /* 0 = nothing to catch up */
};

struct account_state {
    struct row_account row;
    bool dirty;
    uint32_t paused;
    uint32_t contacts; /* first of its contacts as `from`, or COORD_NONE */
    /* Volatile. */
    uint32_t changes; /* how often its owner or node changed its settings */
    /* Its hours of the newest plan that named it. */
    struct coord_window hours;
};

struct name_state {
    struct row_name row;
    bool dirty;
    uint32_t paused;
};

struct invite_state {
    struct row_invite row;
    bool dirty;
};

struct setting_state {
    struct row_setting row;
    bool dirty;
};

/* Entries below stay, not live, until their deletion was taken. */
struct pause_state {
    struct row_pause row;
    bool dirty;
    bool live;
};

struct suppression_state {
    struct row_suppression row;
    bool dirty;
    bool live;
};

/* Not live, with dirty: to be deleted. */
struct alert_state {
    struct row_alert row;
    bool dirty;
    bool live;
};

struct contact_state {
    struct row_contact row;
    bool dirty;
    bool live;
    uint32_t next; /* of the same `from`, or of the free list */
};

struct day_state {
    struct row_day row;
    bool dirty;
    bool live;      /* false with dirty: to be archived; false alone: free */
    uint32_t turns; /* of live exchanges that count in it */
};

/* Not live with dirty: to be deleted, and archived unless it is a day's; without: free. */
struct tally_state {
    struct row_tally row;
    bool dirty;
    bool live;
};

struct standing_state {
    struct row_standing row;
    bool dirty;
};

/* A live exchange. row.turns points at turns. */
struct live {
    struct row_exchange row;
    bool dirty;
    bool waiting[2]; /* stands in the waiting list of the sender's, the partner's node */
    int64_t wake;    /* the one valid entry in the heap; FLZ_NEVER: none */
    struct row_turn turns[];
};

struct name_list {
    struct name_state *items;
    size_t count;
    size_t capacity;
};

/* A changed row: kind and index; take sorts them by key. */
struct change {
    enum row_kind kind;
    uint32_t index;
};

/* Parts of a plan that has no seal yet. */
struct pending_plan {
    uint32_t plan;
    uint32_t parts;
    int32_t date;
    struct flz_arena arena;
    struct event_plan_account *accounts;
    size_t accounts_count;
    size_t accounts_capacity;
    struct event_plan_exchange *exchanges;
    size_t exchanges_count;
    size_t exchanges_capacity;
};

struct coord {
    struct row_network network;
    bool network_dirty;
    struct policy policy;
    uint8_t id_key[64];
    size_t id_key_len;

    struct node_state *nodes;
    size_t nodes_count;
    size_t nodes_capacity;
    struct flz_map nodes_by_id;
    struct flz_map nodes_by_curve;

    struct account_state *accounts;
    size_t accounts_count;
    size_t accounts_capacity;
    struct flz_map accounts_by_id;
    struct flz_map accounts_by_address;

    struct name_list names[STATE_NAME_KINDS];
    struct flz_map names_by_digest; /* keyed by kind and digest */
    struct flz_map presence;        /* (name, node) → live accounts there */

    struct invite_state *invites;
    size_t invites_count;
    size_t invites_capacity;
    struct flz_map invites_by_token;

    struct setting_state *settings;
    size_t settings_count;
    size_t settings_capacity;

    struct pause_state *pauses;
    size_t pauses_count;
    size_t pauses_capacity;
    uint32_t network_paused;

    struct suppression_state *suppressions;
    size_t suppressions_count;
    size_t suppressions_capacity;
    struct flz_map suppressed; /* address → index */

    struct alert_state *alerts; /* by handle */
    size_t alerts_count;
    size_t alerts_capacity;
    size_t alerts_resolved;
    struct flz_map alerts_open; /* code, scope and subject → handle */

    struct contact_state *contacts;
    size_t contacts_count;
    size_t contacts_capacity;
    uint32_t contacts_free;
    struct flz_map contacts_by_pair;

    struct day_state *days;
    size_t days_count;
    size_t days_capacity;
    uint32_t *days_free; /* indexes */
    size_t days_free_count;
    size_t days_free_capacity;
    struct flz_map days_by_key;

    struct tally_state *tallies;
    size_t tallies_count;
    size_t tallies_capacity;
    uint32_t *tallies_free; /* indexes */
    size_t tallies_free_count;
    size_t tallies_free_capacity;
    struct flz_map tallies_by_key;

    struct standing_state *standings;
    size_t standings_count;
    size_t standings_capacity;
    struct flz_map standings_by_key; /* account and provider */
    size_t standings_in[HEALTH_STATE_MAX + 1];

    struct live **live; /* of handle live_base + i; NULL = ended */
    size_t live_count;
    size_t live_capacity;
    size_t live_ended; /* of these, the first ones: known to have ended */
    uint32_t live_base;
    struct flz_map live_by_id;

    struct pending_plan pending;

    struct change *changes;
    size_t changes_count;
    size_t changes_capacity;

    struct flz_heap due; /* exchanges by their wake-up time */

    /* The update of the step under way. */
    int64_t clock; /* its time: never before that of the newest event */
    struct flz_arena step_arena;
    struct event *events;
    size_t events_count;
    size_t events_capacity;
    struct coord_order *orders;
    size_t orders_count;
    size_t orders_capacity;
    /* While a REPORT is taken: the event that takes it carries these. */
    uint32_t report_node;
    uint64_t report_seq;
};

/* ---- Indexes (state.c) ---- */

struct node_state *state_node(const struct coord *core, uint32_t node);
struct account_state *state_account(const struct coord *core, uint32_t account);
struct name_state *state_name(const struct coord *core, enum row_name_kind kind, uint32_t handle);
struct live *state_live(const struct coord *core, uint32_t exchange);
struct pause_state *state_pause(const struct coord *core, uint32_t pause);

/* A key for a digest in a map: its first 16 bytes, the kind mixed in. */
struct flz_id state_digest_key(struct flz_digest digest, uint32_t kind);
struct flz_id state_pair_key(uint32_t high, uint32_t low);

uint32_t state_find_name(const struct coord *core, enum row_name_kind kind,
                         struct flz_digest digest);
/* The domain or provider of this text, or COORD_NONE; the newest joined node of this name. */
uint32_t state_find_text(const struct coord *core, enum row_name_kind kind, const char *text);
uint32_t state_find_node_name(const struct coord *core, const char *name);
bool state_is_suppressed(const struct coord *core, struct flz_digest address);
/* Its entry in the suppression list, or NULL. */
const struct row_suppression *state_suppression(const struct coord *core,
                                                struct flz_digest address);
uint32_t state_presence(const struct coord *core, enum row_name_kind kind, uint32_t name,
                        uint32_t node);

/* The day's row; made with zeros when it is not there. NULL: -ENOMEM. */
struct day_state *state_day(struct coord *core, uint32_t account, int32_t date);
const struct day_state *state_find_day(const struct coord *core, uint32_t account, int32_t date);
void state_day_free(struct coord *core, uint32_t index);

/* Notes that a row changed (once, by its dirty mark). 0 or -ENOMEM. */
int state_touch(struct coord *core, enum row_kind kind, uint32_t index, bool *dirty);

/* An exchange's parts. Side 0 = from, 1 = to. */
static inline uint32_t exchange_sender(const struct row_exchange *x, uint32_t turn)
{
    return turn % 2 == 0 ? x->from : x->to;
}

static inline uint32_t exchange_recipient(const struct row_exchange *x, uint32_t turn)
{
    return turn % 2 == 0 ? x->to : x->from;
}

/* The task, or NULL when kind and turn name none. */
struct row_task *state_task(struct live *x, uint32_t turn, uint32_t kind);

/* Puts a live exchange into memory: 0 or -ENOMEM. `turns` are copied. */
int state_live_add(struct coord *core, const struct row_exchange *row);
void state_live_free(struct coord *core, uint32_t exchange);

/* When to look at it again; FLZ_NEVER: not by time. */
int state_wake(struct coord *core, struct live *x, int64_t at);

/* ---- Folding (fold.c) ---- */

int fold_event(struct coord *core, const struct event *event);

/* ---- Emitting (coord.c) ---- */

/* Appends the event to the update, stamped, and folds it. 0 or negative. */
int coord_emit(struct coord *core, struct event event);
int coord_order(struct coord *core, struct coord_order order);

/* Adds `change` to the count of the account's domain and provider at its node. 0 or -ENOMEM. */
int state_presence_add(struct coord *core, const struct row_account *account, int32_t change);

/* ---- Counters (aggregate.c) ---- */

/* What one turn adds to its sender's, its recipient's day; counters only, all else zero. */
void aggregate_turn(const struct row_exchange *x, uint32_t turn, struct row_day *ret_sender,
                    struct row_day *ret_recipient);

/* Whether the turn's message counts as sent for good: 250 by its node, or found by the other. */
bool aggregate_sent(const struct row_turn *t);
/* Both witnesses, from two nodes, agree. */
bool aggregate_credited(const struct row_exchange *x, const struct row_turn *t);

/* Takes the turn's part out of its days (before a change), puts it in (after it). 0 or -ENOMEM. */
int aggregate_take(struct coord *core, const struct live *x, uint32_t turn);
int aggregate_put(struct coord *core, const struct live *x, uint32_t turn);
/* Counts the live turns of a day, which keep it from being archived: change +1 or -1. */
int aggregate_hold(struct coord *core, const struct live *x, int32_t change);

/* Adds the counters of `part` to `sum`. */
void aggregate_add(struct row_day *sum, const struct row_day *part);

/* ---- Tallies (tally.c) ---- */

#define TALLY_SPANS_SPARE 14 /* days that weeks and months stay longer: the score asks for 28 */

/* What one turn adds to each of its cells; counters only, all else zero. */
void tally_turn(const struct row_turn *t, bool is_reply, struct row_tally *ret_part);
/* The cells, a day's each, in which a turn counts: how many. */
size_t tally_cells(const struct row_exchange *x, uint32_t turn, uint32_t sender_domain,
                   struct row_tally ret_cells[static TALLY_SCOPE_MAX]);
/* Puts the turn's part into its cells, or takes it out. 0 or -ENOMEM. */
int tally_count(struct coord *core, const struct live *x, uint32_t turn, bool minus);
/* Adds the counters of `part` to `sum`. */
void tally_add(struct row_tally *sum, const struct row_tally *part);
bool tally_is_empty(const struct row_tally *tally);
/* The first date of the span that the date lies in. */
int32_t tally_first(enum row_tally_span span, int32_t date);

/* The row of this scope, subject, object, span and date; NULL: all zero, or archived. */
const struct row_tally *tally_find(const struct coord *core, const struct row_tally *cell);
/* Adds up the cell's days of from … to; the weeks that touch them, which hold only days that are
 * no rows of their own any more. */
void tally_sum(const struct coord *core, struct row_tally cell, int32_t from, int32_t to,
               struct row_tally *sum);
void tally_sum_weeks(const struct coord *core, struct row_tally cell, int32_t from, int32_t to,
                     struct row_tally *sum);

/* Days before `first` that have left with their row_day become weeks and months, and old ones of
 * these leave. 0 or -ENOMEM. */
int tally_archive(struct coord *core, int32_t first);
int tally_load(struct coord *core, const struct row_tally *row);
/* Gives the slot of one that left back. */
void tally_free(struct coord *core, uint32_t index);

/* ---- What loading shares with folding (fold.c): puts a row into memory. 0, -EPROTO, -ENOMEM ----
 */

/* Takes a copy of the list. */
int fold_forgotten_set(struct coord *core, const struct row_forgotten *forgotten, size_t count);
int fold_node_add(struct coord *core, const struct row_node *row);
int fold_node_packs(struct node_state *node, const struct flz_digest *packs, size_t count);
int fold_node_revocation(struct node_state *node, struct flz_view revocation); /* copied */
int fold_name_add(struct coord *core, const struct row_name *row);
int fold_account_add(struct coord *core, const struct row_account *row);
int fold_pause_add(struct coord *core, const struct row_pause *row);
int fold_suppression_add(struct coord *core, const struct row_suppression *row);
int fold_setting_add(struct coord *core, const struct row_setting *row, uint32_t *ret_index);
int fold_contact_add(struct coord *core, const struct row_contact *row, uint32_t *ret_index);
void fold_pending_deinit(struct coord *core);

/* True while the contact bars a new first message the same way on `date`. */
bool fold_contact_bars(const struct coord *core, const struct row_contact *contact, int32_t date);

/* ---- Deciding: one noun a file ---- */

/* Whether something stands in the way, whose doing it is, and when it may be over. */
struct gate {
    uint32_t reason; /* enum row_void; VOID_NONE: open */
    uint32_t fault;  /* enum row_fault */
    bool lasting;    /* will not pass by waiting */
    int64_t until;   /* when to ask again, if not lasting */
};

/* roster.c: may the account act (enum flz_action bits), and may it be written to, at core->clock.
 */
struct gate roster_may_act(const struct coord *core, uint32_t account, uint32_t actions);
struct gate roster_may_send(const struct coord *core, uint32_t from, uint32_t to, uint32_t action);
/* Ready to be written to: fresh login, quota, unchanged MX, no denial. */
struct gate roster_ready(const struct coord *core, const struct account_state *account);

/* How many messages the account's hours have room for, at the spacing. */
uint32_t roster_hours_room(const struct coord *core, const struct row_account *row);

int roster_register(struct coord *core, const struct coord_command *command,
                    struct coord_update *update);
int roster_probe(struct coord *core, const struct coord_command *command,
                 struct coord_update *update);
int roster_release(struct coord *core, const struct coord_command *command,
                   struct coord_update *update);
int roster_end_consent(struct coord *core, const struct coord_command *command,
                       struct coord_update *update);
int roster_remove(struct coord *core, const struct coord_command *command,
                  struct coord_update *update);
int roster_suppress(struct coord *core, const struct coord_command *command,
                    struct coord_update *update);
int roster_unsuppress(struct coord *core, const struct coord_command *command,
                      struct coord_update *update);
/* Takes the report under way without effect, and tells why. */
int roster_refuse(struct coord *core, const struct flz_report *report, struct coord_update *update,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* alert.c */
int alert_notice(struct coord *core, const struct alert_notice *notice);
int alert_ack(struct coord *core, const struct coord_command *command, struct coord_update *update);
int alert_fold(struct coord *core, const struct event *event);
int alert_load(struct coord *core, const struct row_alert *row);
/* Drops those whose deletion was taken. */
void alert_sweep(struct coord *core);

/* explain.c: one more line of the answer, while there is room. */
void why_say(struct coord_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* pause.c */
uint32_t pause_of_account(const struct coord *core, const struct account_state *account);
int pause_set(struct coord *core, const struct coord_command *command, struct coord_update *update);
int pause_end(struct coord *core, const struct coord_command *command, struct coord_update *update);
int pause_expire(struct coord *core);
/* Pauses an account until somebody resumes it, unless it is paused already. */
int pause_stop_account(struct coord *core, uint32_t account, const char *reason, const char *by);
int64_t pause_next(const struct coord *core);
int pause_policy(struct coord *core, const struct coord_command *command,
                 struct coord_update *update);

/* fleet.c */
int fleet_lead(struct coord *core, const struct coord_command *command,
               struct coord_update *update);
int fleet_invite(struct coord *core, const struct coord_command *command,
                 struct coord_update *update);
int fleet_join(struct coord *core, const struct coord_command *command,
               struct coord_update *update);
int fleet_hello(struct coord *core, const struct coord_command *command,
                struct coord_update *update);
int fleet_credit(struct coord *core, const struct coord_command *command);
int fleet_revoke(struct coord *core, const struct coord_command *command,
                 struct coord_update *update);
/* After a report was taken: orders what a reconnected node lacks once its reports caught up. */
int fleet_caught_up(struct coord *core, uint32_t node);

/* report.c */
int report_take(struct coord *core, const struct coord_command *command,
                struct coord_update *update);
/* Whether a task of this kind can end so. */
bool report_makes_sense(const struct flz_receipt *receipt);
/* Whose trouble a failure is. */
uint32_t report_fault(const struct flz_receipt *receipt);

/* notice.c: bounces, complaints, automatic replies; and what a refusal demands at once. */
int notice_take(struct coord *core, const struct coord_command *command);
/* What a bounce leaves in its turn: enum row_bounce. */
uint32_t notice_bounce(const struct flz_notice *notice);
int notice_refused(struct coord *core, uint32_t exchange, const struct flz_receipt *receipt);

/* recovery.c: receipts of what a restored log has forgotten. */
bool recovery_is_on(const struct coord *core);
/* Whether the receipt is of a task that this log should have ordered and did not; then takes it. */
bool recovery_applies(const struct coord *core, const struct coord_command *command);
int recovery_take(struct coord *core, const struct coord_command *command);
/* Whether the exchange must not end yet, since forgotten receipts may speak of it; until when. */
bool recovery_keeps(const struct coord *core, const struct live *x, int64_t *ret_until);

/* standing.c: health, and what follows from it (health.h). */

/* What is asked of a sender's health towards a provider's recipients, or (COORD_NONE) all. */
struct standing_question {
    uint32_t account;
    uint32_t provider;
    int64_t now;
    bool code; /* its provider refused it by a policy code */
    struct flz_id evidence;
};

struct health_state;

const struct row_standing *standing_find(const struct coord *core, uint32_t account,
                                         uint32_t provider);
/* NULL: healthy. */
struct health_state standing_state(const struct row_standing *row);
/* The decision, by the tallies as they are: false when there is none. Changes nothing, so that
 * another policy and another state before can be asked about. */
bool standing_judge(const struct coord *core, const struct standing_question *question,
                    const struct policy *policy, const struct health_state *before,
                    struct event_health *ret_event);
/* Whether an event that was folded asks about a sender's health, and what. */
bool standing_question_of(const struct coord *core, const struct event *event,
                          struct standing_question *ret_question);
/* The standings an account may have, by number; false behind the last. */
bool standing_nth(const struct coord *core, uint32_t n, uint32_t *ret_provider);

/* Look, and emit what was decided: after a receipt; after a complaint was counted; when a day of
 * the account closes (time alone). 0 or -ENOMEM. */
int standing_heard(struct coord *core, const struct event *event);
int standing_complained(struct coord *core, uint32_t account, struct flz_id evidence);
int standing_day_closed(struct coord *core, uint32_t account);
int standing_clear(struct coord *core, const struct coord_command *command,
                   struct coord_update *update);

/* Messages a day; HEALTH_NO_CAP. */
uint32_t standing_cap(const struct coord *core, uint32_t account, uint32_t provider);
/* It may send nothing, answers included. */
bool standing_stops(const struct coord *core, uint32_t account);
/* The turn's message may not go: its day has had what health leaves. */
bool standing_bars(const struct coord *core, const struct row_exchange *x, uint32_t turn);

/* Puts the row into memory: 0, -EPROTO, -ENOMEM. */
int standing_set(struct coord *core, const struct row_standing *row, uint32_t *ret_index);
int standing_fold(struct coord *core, const struct event *event);

/* exchange.c: does all that is to be done now for it, and says when to look again. */
int exchange_advance(struct coord *core, uint32_t exchange);
/* The same for each live exchange of an account (COORD_NONE: all); what is too much for one step
 * is woken, and looked at by the ticks that follow. */
int exchange_advance_all(struct coord *core, uint32_t account);
int exchange_tick(struct coord *core);
/* Says what became of a task of which no word is waited for any more; the exchange is filled in. */
int exchange_presume(struct coord *core, const struct live *x, struct event_presumed presumed);
/* After it absence is `missing`; and the end of looking. */
int64_t exchange_find_deadline(const struct coord *core, const struct row_turn *t);
int64_t exchange_find_until(const struct coord *core, const struct row_turn *t);

/* planning.c */
int planning_plan(struct coord *core, const struct coord_command *command,
                  struct coord_update *update);
