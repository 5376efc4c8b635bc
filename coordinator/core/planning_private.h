/*
 * The inside of a planning, shared by the files that make it up: planning.c (the copy, the
 * command), planning_draw.c, planning_seal.c.
 */
#pragma once

#include "coordinator/core/plan.h"
#include "coordinator/core/planning.h"
#include "coordinator/core/ramp.h"
#include "coordinator/core/state.h"

#include <stdatomic.h>

/* A time at which an account sends. */
struct busy {
    uint32_t account;
    int64_t at;
};

/* An account as it was copied: what the planner sees, and what its quota is computed from. */
struct candidate {
    struct plan_account plan;
    char language[8];
    bool answers;
    uint32_t changes; /* of its settings: account_state.changes */
    struct ramp_settings settings;
    struct ramp_state ramp;
    struct coord_window hours; /* of the date */
    uint32_t volume;           /* that its owner declared to send besides */
    bool planned;              /* its day has a plan already */
    uint32_t health_cap;       /* messages that its health leaves it, to all (health.h) */
    uint32_t held;             /* of the draw: messages that its health withholds */
    uint32_t cut;              /* of the draw: messages that its domain's own ramp withholds */
    uint32_t waits;            /* likewise: days for which it does so at least */
    uint32_t day;              /* of the draw: its shortfall, when it sends */
    size_t first;              /* its exchanges in `order` */
    size_t count;
};

struct planning {
    enum planning_phase phase;
    struct planning_options options; /* packs: own */
    struct coord_pack *packs;
    struct policy policy;
    int64_t now;
    struct candidate *candidates;
    size_t candidates_count;
    size_t candidates_capacity;
    struct busy *busy;
    size_t busy_count;
    size_t busy_capacity;
    struct plan_contact *contacts;
    size_t contacts_count;
    size_t contacts_capacity;
    uint32_t next_exchange; /* to be looked at: a handle */
    size_t next_contact;
    struct plan_account *accounts; /* owned: as they were drawn with, one a candidate */
    struct plan_pack *plan_packs;  /* owned */
    struct plan_input input;       /* of the draw: for plan_exchange_at() */
    struct plan_output output;
    uint32_t *order;    /* owned: the exchanges by sender, as drawn within one */
    size_t next_sender; /* to be sealed: a candidate */
    size_t sealed_exchanges;
    uint32_t sealed_messages;
    atomic_bool cancelled;
};

/* The account's gates leave it room to act on its day, whose hours end then. */
bool planning_takes_part(const struct coord *core, uint32_t account, int64_t hours_end,
                         uint32_t action);

/* The candidate of this handle, which is one. */
struct candidate *planning_candidate(const struct planning *planning, uint32_t handle);

/* Seals the next instalment. 0 or -ENOMEM. */
int planning_seal(struct planning *planning, struct coord *core);
