/*
 * A planning: one unit's day on its way from the core's memory into the log. What is drawn from is
 * copied out of the core in pieces; the draw itself sees the copy alone, and may take its time on
 * another thread; what it drew comes back in instalments, each one held against the core as it is
 * then. Every piece is one step of COORD_PLAN, bounded, so that whoever steps stays free for
 * others.
 *
 *     ACCOUNTS ──► EXCHANGES ──► CONTACTS ──► DRAW ──► SEAL ──► OVER
 *       │ a piece of civil times each; an empty one ends it: planning_step
 *                    └──────────────┴ planning_step    │        └ nothing is left to be sealed
 *                                                      └ planning_draw, then planning_step
 *
 * An instalment is a plan of its own (PLAN_PART and PLAN_SEAL): some senders' days with the
 * exchanges they begin. What happened since the copy was made is looked for in it:
 *
 *   again when it is sealed     a sender that is planned already, left, changed (settings, node,
 *                               consent), is paused over its hours, suppressed or unready: its day
 *                               stays unplanned, and is planned when it is looked at next; a
 *                               recipient in such a state, or met since (cooldown): the exchange
 *                               is left out, and the sender's `possible` is less by it
 *   by the exchange's gates     whatever comes later (PROTOCOL.md): pauses, ends of consent,
 *                               revocations, spacing, restored logs
 *   not at all                  settings of the policy: a plan follows those of its copy
 *
 * Quotas, inbound counts and busy times can only be taken by plans, and there is one planning at a
 * time: whoever steps sees to that.
 */
#pragma once

#include "coordinator/core/coord.h"

enum planning_phase {
    PLANNING_ACCOUNTS,
    PLANNING_EXCHANGES,
    PLANNING_CONTACTS,
    PLANNING_DRAW,
    PLANNING_SEAL,
    PLANNING_OVER,
};

/* What one step looks at, at most. */
#define PLANNING_ACCOUNTS_STEP 500 /* civil times given with one step of ACCOUNTS */
#define PLANNING_EXCHANGES_STEP 4000
#define PLANNING_CONTACTS_STEP 20000
/* An instalment ends with the sender whose exchanges or whose own day reach one of these. */
#define PLANNING_SEAL_EXCHANGES 500
#define PLANNING_SEAL_ACCOUNTS 500

struct planning_options {
    int32_t date;                   /* local date of the senders of this unit */
    const struct coord_pack *packs; /* content packs both nodes may have; copied */
    size_t packs_count;
    uint64_t seed;
};

struct planning;

int planning_new(const struct planning_options *options, struct planning **ret_planning);
struct planning *planning_free(struct planning *planning);

enum planning_phase planning_phase(const struct planning *planning);

/* Draws, from DRAW to SEAL. Touches nothing but the planning: any thread, while no other does. The
 * same copy and seed give the same plan. 0, -ENOMEM, -ECANCELED. */
int planning_draw(struct planning *planning);

/* Has a draw under way on another thread end soon. */
void planning_cancel(struct planning *planning);

/* What was sealed so far. */
size_t planning_sealed_exchanges(const struct planning *planning);
uint32_t planning_sealed_messages(const struct planning *planning);
