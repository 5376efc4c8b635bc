/*
 * The coordinator's core: everything it decides, and nothing else. No clock, no randomness, no
 * file, no socket, no global, no floating point; the same commands in the same order give the same
 * events, rows and orders on every machine.
 *
 * Two doors (coordinator/DESIGN.md):
 *
 *     coord_step(core, command, update)   decides: turns a command into events that carry their
 *                                         results, applies them to memory, and lists what may leave
 *                                         once they are committed
 *     coord_apply(core, event)            folds one event into memory; never decides
 *
 * The shell commits update->events, together with the rows that coord_take_rows() then yields, and
 * only after that acts on update->orders and update->verdicts. After any commit result but OK it
 * frees the core and loads a new one from the rows (coord_load_row) and the later events
 * (coord_apply).
 *
 * Names inside the core are dense u32 handles, given by the event that registers them and never
 * reused. Addresses and owners stand outside, in the shell's side table: the core knows digests.
 */
#pragma once

#include "common/base/error.h"
#include "coordinator/core/alert.h"
#include "coordinator/core/policy.h"
#include "coordinator/core/score.h"
#include "proto/record.h"
#include "proto/vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COORD_NONE UINT32_MAX /* no handle */

struct coord;
struct planning;

/* id_key keys the derivation of exchange ids (DESIGN 4); borrowed during the call. 0 or -ENOMEM. */
int coord_new(struct flz_id network, struct flz_view id_key, const struct policy *policy,
              struct coord **ret_core);
struct coord *coord_free(struct coord *core);

/* ---- The deciding door ---- */

enum coord_command_kind {
    COORD_LEAD,        /* this coordinator took office: epoch, generation */
    COORD_INVITE,      /* an administrator signed an invite */
    COORD_JOIN,        /* a node presented its certificate (already verified by the shell) */
    COORD_HELLO,       /* a node connected: what it holds */
    COORD_CREDIT,      /* how many tasks a node can take; volatile, makes no event */
    COORD_REPORT,      /* one report of a node, in its order */
    COORD_TICK,        /* time passed: issue what is due, end what is over */
    COORD_PLAN,        /* plan a day, or what is left of it */
    COORD_PAUSE,
    COORD_RESUME,
    COORD_REVOKE,      /* a node */
    COORD_END_CONSENT, /* of an account: its owner said stop */
    COORD_REMOVE,      /* an account; its history stays under its handle */
    COORD_SUPPRESS,    /* an address digest must not be written to */
    COORD_UNSUPPRESS,
    COORD_SET_POLICY,  /* one key of the policy */
    COORD_CLEAR,       /* an account's health: a person has looked */
    COORD_ALERT,       /* something that people should look at holds, or holds no more */
    COORD_ALERT_ACK,   /* somebody looks at it */
};

/* A UTC interval [start, end) in which an account is in its hours; start == end: none that day. */
struct coord_window {
    int64_t start;
    int64_t end;
};

#define COORD_WINDOW_DAYS 4 /* the planned date and the three after it: actions end within 72 h */

/* What the shell knows of an account's civil time for one plan: windows of date, date+1, … as the
 * account's own local dates. */
struct coord_civil {
    uint32_t account;
    bool sends; /* in this planning unit: its day is planned now; else only a possible partner */
    struct coord_window windows[COORD_WINDOW_DAYS];
};

struct coord_command {
    enum coord_command_kind kind;
    int64_t now; /* network time, stamped by the leader; never before that of the last command */

    uint32_t node; /* HELLO, CREDIT, REPORT, REVOKE */

    union {
        struct {
            uint64_t epoch;
            struct flz_id generation;
        } lead;
        struct {
            struct flz_id node;
            char name[FLZ_NAME_MAX];
            struct flz_digest token; /* of the invite's token key */
            int64_t not_after;       /* real time */
            int64_t real_now;
        } invite;
        struct {
            struct flz_id node;
            char name[FLZ_NAME_MAX];
            struct flz_digest token;
            struct flz_digest certificate;
            struct flz_sign_public sign_key;
            struct flz_curve_public curve_key;
            int64_t real_now;
        } join;
        struct {
            struct flz_id incarnation;
            uint64_t report_seq;
            uint64_t report_first; /* the oldest it still has; 0: untold */
            uint32_t credit;
            const struct flz_id *open; /* borrowed */
            size_t open_count;
            const struct flz_digest *packs;
            size_t packs_count;
        } hello;
        uint32_t credit;
        struct {
            struct flz_id incarnation;
            const struct flz_report *report; /* borrowed */
            /* RECEIPT: its voucher, decoded; NULL: it has none that can be read. Borrowed. */
            const struct flz_voucher *voucher;
            /* ACCOUNT reports: digests the shell made, and the id an address known before has. */
            struct flz_digest address;
            struct flz_digest domain;
            struct flz_digest owner;
            char domain_name[FLZ_DOMAIN_MAX];
        } report;
        struct {
            /* A planning under way (planning.h), one piece of it; NULL: all of a new one in this
             * step, as `date` … `seed` say. Borrowed. */
            struct planning *planning;
            const struct coord_civil *civil; /* borrowed; of accounts that may take part */
            size_t civil_count;
            int32_t date; /* local date of the senders of this unit */
            const struct coord_pack *packs; /* content packs both nodes may have; borrowed */
            size_t packs_count;
            uint64_t seed;
        } plan;
        struct {
            struct flz_pause target;
            char reason[FLZ_REPLY_TEXT_MAX];
            int64_t until; /* FLZ_NEVER: until resumed */
            char by[FLZ_NAME_MAX];
        } pause;
        uint32_t account; /* END_CONSENT, REMOVE */
        struct flz_view revocation; /* REVOKE: Signed(REVOCATION), checked by the shell; borrowed */
        struct {
            struct flz_digest address;
            char reason[FLZ_REPLY_TEXT_MAX];
            char by[FLZ_NAME_MAX];
            uint32_t kind; /* enum row_suppressed */
        } suppress;
        struct {
            char key[FLZ_NAME_MAX];
            int64_t value;
            char by[FLZ_NAME_MAX];
        } policy;
        struct {
            uint32_t account;
            char by[FLZ_NAME_MAX];
        } clear;
        struct alert_notice alert;
        struct {
            uint32_t alert;
            int64_t silent_until; /* 0: acknowledged, no more */
            char by[FLZ_NAME_MAX];
            char reason[FLZ_REPLY_TEXT_MAX];
        } alert_ack;
    };
};

/* A content pack as the planner needs it. */
struct coord_pack {
    struct flz_digest digest;
    char language[8];
    uint32_t scenarios;            /* how many */
    uint8_t turns[64]; /* turns of each scenario, at most FLZ_TURNS_MAX; scenarios <= 64 */
};

/* A task to be dressed (addresses, Message-IDs, attestation) and sent once the events are
 * committed. */
struct coord_order {
    uint32_t node;
    uint32_t exchange; /* handle of a live exchange: coord_exchange() */
    uint32_t turn;
    uint32_t kind; /* enum flz_task_kind */
    uint32_t side; /* TIDY: 0 = the initiator's mailbox, 1 = the partner's */
    uint32_t attempt;
};

struct coord_update {
    struct event *events; /* owned by the core, valid until the next step */
    size_t events_count;
    struct coord_order *orders;
    size_t orders_count;
    bool refused;               /* INVITE, JOIN, REPORT, admin commands: see message */
    uint32_t handle;            /* JOIN: node; REPORT of an ACCOUNT: account */
    bool report_known;          /* REPORT: a repetition; acknowledge again, nothing changed */
    bool report_gap;            /* REPORT: seq is beyond the next expected; not taken */
    struct flz_msg message;     /* for people, when refused; or advice */
};

/*
 * One decision. On success *ret_update borrows from the core until the next step. 0, or -ENOMEM,
 * after which the core must be discarded and loaded again.
 */
int coord_step(struct coord *core, const struct coord_command *command,
               struct coord_update *ret_update);

/* When to give the next COORD_TICK (network time), or FLZ_NEVER. */
int64_t coord_next(const struct coord *core);

/* Tasks issued, due now (slot begun) and not yet reported, without FINDs that wait for arrival: a
 * lab's clock waits for these. */
size_t coord_due_unreported(const struct coord *core, int64_t now);

/* True when some of that work presses: due and at its node for `late_ms` or longer, or a message
 * whose slot ends within `margin_ms`. Network ms. A lab's clock stands still for it. */
bool coord_presses(const struct coord *core, int64_t now, int64_t late_ms, int64_t margin_ms);

/* ---- The folding door ---- */

/* Folds one event (of the log, in its order). 0, -ENOMEM, or -EPROTO when the event does not fit
 * the state: the log and the rows do not belong together. */
int coord_apply(struct coord *core, const struct event *event);

/* A row to store: kind and key name it, `row` is one of the structs of proto/record.h. */
typedef int (*coord_row_fn)(void *data, enum row_kind kind, const void *row, bool deleted);

/* Yields each row changed since the last call once, in the order of (kind, key), and marks it
 * clean. 0 or the first negative answer of on_row. */
int coord_take_rows(struct coord *core, coord_row_fn on_row, void *data);

/* Puts a stored row back into a fresh core; rows come in the order of (kind, key). */
int coord_load_row(struct coord *core, enum row_kind kind, const void *row);

/* ---- Looking (all borrowed until the next step or apply) ---- */

const struct policy *coord_policy(const struct coord *core);
const struct row_network *coord_network(const struct coord *core);

size_t coord_node_count(const struct coord *core);
const struct row_node *coord_node(const struct coord *core, uint32_t node);
uint32_t coord_find_node(const struct coord *core, struct flz_id id);
uint32_t coord_find_node_by_curve(const struct coord *core, struct flz_curve_public key);
/* Volatile facts of a node: credit it gave, tasks open there. */
uint32_t coord_node_credit(const struct coord *core, uint32_t node);
uint32_t coord_node_open(const struct coord *core, uint32_t node);

/* Revocations from + 1, from + 2 …, at most `max`: how many, and each one's Signed(REVOCATION), an
 * empty view for one whose event holds none. */
size_t coord_revocations(const struct coord *core, uint64_t from, struct flz_view *ret_revocations,
                         size_t max);

size_t coord_account_count(const struct coord *core);
const struct row_account *coord_account(const struct coord *core, uint32_t account);
uint32_t coord_find_account(const struct coord *core, struct flz_id id);
uint32_t coord_find_address(const struct coord *core, struct flz_digest address);

/* Live exchanges have handles; ended ones live in rows only. NULL when there is none. */
const struct row_exchange *coord_exchange(const struct coord *core, uint32_t exchange);
uint32_t coord_find_exchange(const struct coord *core, struct flz_id id);
size_t coord_exchange_limit(const struct coord *core); /* one above the highest live handle */

/* The day's counters of an account, or of the network (account = COORD_NONE). NULL when all zero,
 * or when the date is so far behind the newest plan (16 days) that its row is in the archive alone.
 */
const struct row_day *coord_day(const struct coord *core, uint32_t account, int32_t date);

/* Tallies in memory by index, in no promised order, up to the limit; NULL: none there. */
const struct row_tally *coord_tally(const struct coord *core, size_t index);
size_t coord_tally_limit(const struct coord *core);
/* Adds the counters of `part` to `sum`. */
void coord_tally_add(struct row_tally *sum, const struct row_tally *part);

/* A score on a date, towards a provider's recipients or (COORD_NONE) all. Where seven days hold too
 * few observations, 28 days of its own and the seven of its domain say something, and are to be
 * shown as what they are. A domain has no cadence, and is never idle. */
enum coord_score_basis { COORD_SCORE_OWN, COORD_SCORE_LONG, COORD_SCORE_DOMAIN };
struct coord_score_query {
    uint32_t account;
    uint32_t provider;
    int32_t date;
    enum coord_score_basis basis;
};
void coord_score(const struct coord *core, const struct coord_score_query *query,
                 struct score *ret_score);

/* A sender's health towards a provider's recipients, or (COORD_NONE) all; NULL: it was always
 * healthy. Messages a day that it leaves; UINT32_MAX: any. */
const struct row_standing *coord_standing(const struct coord *core, uint32_t account,
                                          uint32_t provider);
uint32_t coord_health_cap(const struct coord *core, uint32_t account, uint32_t provider);
/* How many such are in a state that is not healthy. */
size_t coord_standings_in(const struct coord *core, uint32_t state);

/* Accounts whose address was suppressed of late, the newest first: what may have been ordered to
 * them before is to be withdrawn. Returns how many. */
size_t coord_suppressed_accounts(const struct coord *core, struct flz_id *ret_accounts, size_t max);

/* Pauses in force at `now` that touch this node's accounts, at most `max`: what a node's pulse
 * says; a neighbour's are not its business. */
size_t coord_node_pauses(const struct coord *core, uint32_t node, int64_t now,
                         struct flz_pause *ret_pauses, size_t max);

/* Why an account sends, or does not, at `now`: one line a rule, in words, most telling first. */
struct coord_why {
    struct flz_msg lines[32];
    size_t lines_count;
    bool sends;
    int64_t ask_again; /* when the answer may change */
};
void coord_explain(const struct coord *core, uint32_t account, int64_t now,
                   struct coord_why *ret_why);

/* Why the one may, or may not, begin an exchange with the other; `sends`: nothing bars it. */
void coord_explain_pair(const struct coord *core, uint32_t from, uint32_t to, int64_t now,
                        struct coord_why *ret_why);

/* What the pool can carry: eligible partners, the ceiling it sets (plan_pool_max), for this account
 * today. */
struct coord_pool {
    uint32_t eligible;
    uint32_t ceiling; /* messages a day */
    uint32_t excluded_owner;
    uint32_t excluded_domain;
    uint32_t excluded_language;
    uint32_t excluded_hours;
    uint32_t excluded_unready; /* no fresh login, quota or MX */
};
void coord_pool_of(const struct coord *core, uint32_t account, int64_t now,
                   struct coord_pool *ret_pool);

/* ---- The tasks of an exchange ---- */

/* BLAKE2b-128(exchange ‖ turn ‖ kind ‖ attempt). TIDY's `turn` is its side. */
struct flz_id coord_task_id(struct flz_id exchange, uint32_t turn, uint32_t kind, uint32_t attempt);

/* What a task of a live exchange says: who acts, for which message, and when. */
struct coord_task {
    uint32_t account; /* acts */
    uint32_t peer;
    uint32_t sender;  /* of the message of this turn */
    uint32_t recipient;
    struct flz_id id;
    uint32_t attempt;
    int64_t not_before;
    int64_t not_after;
    int64_t deadline; /* FIND: absence is `missing` after it; else 0 */
    int64_t expires;
    int32_t local_date; /* SEND, REPLY */
    uint32_t day_cap;   /* SEND, REPLY */
};

/* Is the order still one? Memory runs ahead of the disk: while its commit was waited for, its task
 * may have ended, and may wait to be ordered as another attempt, which is not committed yet. */
bool coord_stands(const struct coord *core, const struct coord_order *order);

/* 0, or -ENOENT when the order's exchange has ended. */
int coord_task(const struct coord *core, const struct coord_order *order,
               struct coord_task *ret_task);

/* What the order's task is to be remembered by, should the log be restored from an older backup;
 * `turns` holds what the voucher's plan points to. 0, or -ENOENT as above. */
int coord_voucher(const struct coord *core, const struct coord_order *order,
                  struct event_plan_turn turns[static FLZ_TURNS_MAX],
                  struct flz_voucher *ret_voucher);

/* ---- More to look at ---- */

/* A domain, owner or provider by its handle within that kind; NULL when there is none. */
const struct row_name *coord_name(const struct coord *core, enum row_name_kind kind,
                                  uint32_t handle);

size_t coord_invite_count(const struct coord *core);
const struct row_invite *coord_invite(const struct coord *core, uint32_t invite);

/* Pauses in force, in the order they were made: index 0 … count - 1. */
size_t coord_pause_count(const struct coord *core);
const struct row_pause *coord_pause(const struct coord *core, size_t index);

/* Suppressed addresses, in no promised order. */
size_t coord_suppression_count(const struct coord *core);
const struct row_suppression *coord_suppression(const struct coord *core, size_t index);
bool coord_is_suppressed(const struct coord *core, struct flz_digest address);
