/*
 * The day's plan: who writes to whom, when, and with how many turns, drawn once for one planning
 * unit (a local date of one UTC-offset cohort). Pure: the same input gives the same plan. It answers
 * a choice for each message, or a reason for none.
 *
 * Hard rules (DESIGN 5), never broken: eligible members only; never the same account, domain or
 * owner; a new first message the same way only after the cooldown; a pair starts at most one
 * exchange a day; inbound at most inbound_percent of the recipient's own quota; inside the hours of
 * both; same language; spacing between two messages of one account, replies included; quota of each
 * sender on its day, replies included and reserved.
 */
#pragma once

#include "common/base/buf.h"
#include "coordinator/core/policy.h"
#include "proto/vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_DAYS 4 /* the planned date and the three after it */

/* Busy minutes of one account: times of messages it already sends, sorted; owned by the caller. */
struct plan_account {
    uint32_t handle;
    uint32_t node;
    uint32_t domain;
    uint32_t owner;
    uint32_t provider;
    uint32_t language; /* index into plan_input.packs order of languages; equal = same language */
    bool sends;        /* draw first messages for it in this unit */
    bool receives;     /* may be written to: consent, probe, not paused, not suppressed */
    uint32_t quota[PLAN_DAYS];    /* messages it may send on its date + i, replies included */
    uint32_t reserved[PLAN_DAYS]; /* of these already reserved (replies planned earlier) */
    uint32_t inbound_max;         /* messages it may still receive on its date (first ones and replies) */
    int64_t window_start[PLAN_DAYS];
    int64_t window_end[PLAN_DAYS]; /* equal: no window that day */
    const int64_t *busy;          /* times at which it already sends, ascending; borrowed */
    size_t busy_count;
};

/* The newest first messages, for the cooldown: from wrote to `to` first, on sending day index `day`
 * (the sender's count of sending days), sorted by (from, to). */
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
};

struct plan_turn {
    int64_t send_at;    /* planned time of the message */
    int64_t send_until; /* its slot ends: min(send_at + send_slot, window end) */
    int64_t open_at;    /* when the recipient may be shown to have opened it */
    int64_t open_until;
    int32_t date;       /* the sender's local date the message counts in */
    uint32_t day_cap;   /* quota of that sender on that date */
};

struct plan_exchange {
    uint32_t from;
    uint32_t to;
    struct flz_digest pack;
    uint32_t scenario;
    uint64_t seed;
    uint32_t turns_count; /* 1 … FLZ_TURNS_MAX */
    struct plan_turn turns[FLZ_TURNS_MAX];
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
};

struct plan_shortfall {
    uint32_t account;
    uint32_t wanted;  /* messages its quota leaves room for */
    uint32_t planned; /* own first messages planned */
    enum plan_reason reason;
};

/* Owned arrays; plan_output_deinit frees them. */
struct plan_output {
    struct plan_exchange *exchanges;
    size_t exchanges_count;
    size_t exchanges_capacity;
    struct plan_shortfall *shortfalls; /* one for each account with `sends`, ascending handle */
    size_t shortfalls_count;
    size_t shortfalls_capacity;
};

#define PLAN_OUTPUT_NULL ((struct plan_output){.exchanges = NULL})

void plan_output_deinit(struct plan_output *output);

/* Draws the plan. 0 or -ENOMEM (ret_output is unchanged). */
int plan_day(const struct plan_input *input, struct plan_output *ret_output);
