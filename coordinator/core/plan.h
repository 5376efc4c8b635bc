/*
 * The day's plan: who writes to whom, when, and with how many turns, drawn once for one planning
 * unit (a local date of one UTC-offset cohort). Pure: the same input gives the same plan. It
 * answers a choice for each message, or a reason for none.
 *
 * Hard rules (coordinator/DESIGN.md), never broken; checkers and tests cite their numbers:
 *
 *  P1  eligible members only; never the same account or domain
 *  P2  never the same owner, except the flagged share that policy allows when nobody else is left
 *  P3  a new first message the same way only after the cooldown: cooldown_days sending days of the
 *      sender's week, the new day included (1: not twice on a day; 5: Monday → next Monday)
 *  P4  a pair starts at most one exchange a day, whichever begins
 *  P5  what arrives on a recipient's day: at most inbound_max, on later days inbound_percent of
 *      its quota
 *  P6  sends inside the sender's hours, opens inside the recipient's, not before now, within
 *      action_deadline of the message; each turn after the opening of the one before. A second
 *      window for late opens: the recipient's next hours that begin within action_deadline
 *  P7  same language; a pack and a scenario of that language with at least as many turns
 *  P8  spacing between any two messages of one account, replies and earlier plans included
 *  P9  quota of each sender on each of its days, replies included; each reply stands in its
 *      replier's day, or is not planned
 *  P10 every time within PLAN_DAYS
 *
 * How it chooses: an account's day is spread over its hours into as many slots as its quota
 * leaves. Accounts stand in the order of the pool (pool.h), and rounds go through the senders in
 * that order, earliest slot first; each looks at a few candidates that stand as far ahead of it as
 * those of its neighbour stand ahead of its neighbour (circulant offsets, drawn anew each round).
 * So everybody is met equally often, and a large pool is read in a few sequential streams. Of the
 * candidates it takes the one that the named weights (weigh.h) prefer. Turns are drawn at once: a
 * reply on the replier's own day of this unit takes one of its slots, on a later day (or in another
 * unit) it reserves a free time there, at most half of that day's quota. When none of the few will
 * do, more are asked in turn; when a sender finds nobody left, exchanges drawn earlier are moved to
 * other partners to make room, then same-owner partners serve if allowed. A message is counted as
 * received on the recipient's day of `open_date`.
 */
#pragma once

#include "common/base/buf.h"
#include "coordinator/core/policy.h"
#include "proto/vocab.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_DAYS 4 /* the planned date and the three after it */

/* One account as the planner sees it. Days are the account's own local dates date, date + 1, … */
struct plan_account {
    uint32_t handle;
    uint32_t node;
    uint32_t domain;
    uint32_t owner;
    uint32_t provider;
    uint32_t language; /* as in plan_pack; equal = same language */
    uint32_t tier;     /* of trust, by health: 0 = plain; near tiers are preferred as partners */
    uint32_t days;     /* bit mask of its sending days, bit 0 = Monday; 0 = every day. For P3 */
    bool sends;        /* draw first messages for it in this unit */
    bool receives;     /* may be written to: consent, probe, not paused, not suppressed */
    uint32_t quota[PLAN_DAYS];    /* messages it may send on its date + i, replies included */
    uint32_t reserved[PLAN_DAYS]; /* of these already reserved (replies planned earlier) */
    uint32_t inbound_max; /* messages it may still receive on its date (first ones and replies) */
    /* Of what inbound_percent allows on later days: expected already, or withheld by the band of
     * its phase or by its domain. [0] is not read. */
    uint32_t inbound_taken[PLAN_DAYS];
    int64_t window_start[PLAN_DAYS];
    int64_t window_end[PLAN_DAYS]; /* equal: no window that day */
    const int64_t *busy;           /* times at which it already sends, ascending; borrowed */
    size_t busy_count;
};

/* The newest first message from one account to another, sorted by (from, to). Needed as long as
 * plan_cooled() says no; older ones do no harm: they tell who was not written to for longest. */
struct plan_contact {
    uint32_t from;
    uint32_t to;
    int32_t date; /* the sender's local date of that first message */
};

struct plan_pack {
    struct flz_digest digest;
    uint32_t language;
    uint32_t scenarios;
    const uint8_t *turns;
};

struct plan_input {
    int32_t date;
    int64_t now; /* nothing is planned before it */
    const struct policy *policy;
    const struct plan_account *accounts; /* ascending handle */
    size_t accounts_count;
    const struct plan_contact *contacts; /* within the cooldown, and today's */
    size_t contacts_count;
    const struct plan_pack *packs;
    size_t packs_count;
    uint64_t seed;
    const atomic_bool *cancelled; /* borrowed; may be NULL. True: the draw ends soon */
};

struct plan_turn {
    int64_t send_at;      /* planned time of the message */
    int64_t send_until;   /* its slot ends: min(send_at + send_slot, window end) */
    int64_t open_at;      /* when the recipient may be shown to have opened it */
    int64_t open_until;   /* end of that day's hours, or of the action deadline */
    int64_t reopen_at;    /* the same in the recipient's next hours, should these be too late: */
    int64_t reopen_until; /* a message found after them; 0: none begin before the deadline */
    int32_t date;         /* the sender's local date the message counts in */
    int32_t open_date;    /* the recipient's local date it is received in, of open_at */
    uint32_t day_cap;     /* quota of that sender on that date */
};

struct plan_exchange {
    uint32_t from;
    uint32_t to;
    struct flz_digest pack;
    uint32_t scenario;
    uint64_t seed;
    bool same_owner;      /* flagged: policy allowed it, and nobody else was left */
    uint32_t turns_count; /* 1 … FLZ_TURNS_MAX */
    struct plan_turn turns[FLZ_TURNS_MAX];
};

/*
 * An exchange and a turn as the output keeps them: a million accounts' day has some twenty million
 * messages. What is not here follows from the input (plan_exchange_at).
 */
struct plan_packed {
    uint32_t from; /* index of the account in the input */
    uint32_t to;
    uint32_t turns;    /* index of the first in output.turns */
    uint16_t scenario; /* among all of its language, in the order of the packs */
    uint8_t turns_count;
    bool same_owner;
};

struct plan_packed_turn {
    uint32_t send; /* times in ms after output.epoch */
    uint32_t open;
    uint32_t reopen;  /* 0: none */
    uint8_t day;      /* 0 … PLAN_DAYS - 1, of the sender */
    uint8_t open_day; /* of the recipient */
    uint8_t reopen_day;
};

/* Why an account got fewer first messages than its quota left room for. */
enum plan_reason {
    PLAN_FULL,          /* none is missing */
    PLAN_NO_WINDOW,     /* its hours of that date are over or none */
    PLAN_NO_PARTNER,    /* no eligible partner at all */
    PLAN_COOLDOWN,      /* eligible partners, but all within the cooldown or already chosen today */
    PLAN_INBOUND_FULL,  /* partners may receive no more */
    PLAN_NO_ROOM,       /* no free time at the spacing */
    PLAN_NO_CONTENT,    /* no content pack of its language */
    PLAN_DOMAIN,        /* its domain may not send more that day (domain.h): not plan_day's word */
    PLAN_HEALTH,        /* its health holds it back (health.h): likewise */
};

struct plan_shortfall {
    uint32_t account;
    uint32_t wanted;  /* messages its quota leaves room for */
    uint32_t planned; /* own messages planned on its date: first ones, and replies drawn here */
    enum plan_reason reason;
};

/* Owned arrays; plan_output_deinit frees them. */
struct plan_output {
    int64_t epoch;
    struct plan_packed *exchanges;
    size_t exchanges_count;
    size_t exchanges_capacity;
    struct plan_packed_turn *turns; /* those of moved exchanges lie there as well, unused */
    size_t turns_count;
    size_t turns_capacity;
    struct plan_shortfall *shortfalls; /* one for each account with `sends`, ascending handle */
    size_t shortfalls_count;
    size_t shortfalls_capacity;
};

#define PLAN_OUTPUT_NULL ((struct plan_output){.exchanges = NULL})

void plan_output_deinit(struct plan_output *output);

/* Whether a first message of `contact_date` no longer bars another of `date` the same way (P3).
 * `days`: the sender's mask of sending days, 0 = every day. */
bool plan_cooled(uint32_t days, int32_t contact_date, int32_t date, int64_t cooldown_days);

/* The most first messages a day that so many eligible partners carry for one account in the long
 * run: each once a cooldown (P3), and on every other day where that is one day, since a pair that
 * one begins the other cannot begin (P4). At least 1 where there is a partner. */
uint32_t plan_pool_max(const struct policy *policy, uint32_t partners);

/* The other way round: the partners that so many first messages a day need. */
uint32_t plan_pool_need(const struct policy *policy, uint32_t messages);

/* Draws the plan. Exchanges come in the order they were drawn. 0, -ENOMEM or -ECANCELED (ret_output
 * is unchanged). */
int plan_day(const struct plan_input *input, struct plan_output *ret_output);

/* An exchange of the output, below exchanges_count, in full. The input is the one it was drawn
 * from; its contacts, busy times and `now` are not read. */
void plan_exchange_at(const struct plan_input *input, const struct plan_output *output,
                      size_t index, struct plan_exchange *ret_exchange);
