/*
 * What a simulation comes to: counters by date, phase and provider, partners, and a hash. Volumes
 * and placement are the coordinator's own counters (struct row_day); the rest is read from the
 * plans' events, and from what the modelled nodes and providers did.
 */
#pragma once

#include "coordinator/core/coord.h"
#include "coordinator/core/plan.h"
#include "coordinator/core/ramp.h"
#include "coordinator/sim/crowd.h"
#include "coordinator/sim/fleetsim.h"

#define HARVEST_PHASES (RAMP_RECOVERY + 1)
#define HARVEST_REASONS 16 /* room for each enum plan_reason */
#define HARVEST_STATES (HEALTH_STATE_MAX + 1)
#define HARVEST_WEEK 7

/* Sums over accounts' days: of a date, of a phase, of all. */
struct harvest_volume {
    uint64_t accounts; /* accounts' days that were planned */
    uint64_t quota;
    uint64_t planned;
    uint64_t sent;
    uint64_t replied;
    uint64_t inbox;
    uint64_t junk;
    uint64_t other;
    uint64_t missing;
    uint64_t unobserved;
    uint64_t rejected;
    uint64_t expired;
    uint64_t dropped;
    uint64_t ambiguous; /* indeterminate ones, too */
    uint64_t rescued;
    uint64_t opened;
    uint64_t credited;
    uint64_t shortfall; /* messages wanted and not planned */
};

/* Of one local date. */
struct harvest_day {
    int32_t date;
    uint32_t joined; /* accounts registered for it */
    uint32_t left;
    uint32_t unready;                 /* looks that found an account not reachable */
    uint32_t entered[HARVEST_PHASES]; /* accounts whose first day in the phase it is */
    uint32_t health[HARVEST_STATES];  /* accounts as a whole that came to this state of health */
    struct harvest_volume all;
    struct harvest_volume phases[HARVEST_PHASES];
    uint64_t shortfalls[HARVEST_REASONS]; /* messages, by enum plan_reason */
};

/* What one provider did, as the recipient's. */
struct harvest_provider {
    uint64_t taken;
    uint64_t refused;
    uint64_t blocked;
    uint64_t inbox;
    uint64_t junk;
    uint64_t weeks[2][2]; /* first and last seven days: inbox, junk */
};

/* How many different accounts an account wrote to or heard from. */
struct harvest_partners {
    uint32_t least;
    uint32_t median;
    uint32_t most;
    uint64_t one_node;   /* exchanges within one node */
    uint64_t same_owner; /* and of one owner */
    uint64_t exchanges;
};

struct harvest {
    struct crowd crowd; /* owned */
    int32_t from;
    uint32_t days_count;
    struct harvest_day *days; /* owned */
    struct harvest_volume all;
    struct harvest_provider providers[SCENARIO_PROVIDERS_MAX];
    struct harvest_partners partners;
    uint64_t events[EVENT_TYPE_MAX + 1];
    uint64_t deferred;
    uint32_t
        unplanned; /* accounts that never had a day planned: nobody to write to, or not ready */
    char hash[33];
    /* While it runs. */
    uint8_t *phases; /* owned; [account][day], 0: no planned day */
    uint64_t *pairs; /* owned; high handle in the low half */
    size_t pairs_count;
    size_t pairs_capacity;
    uint64_t mixed;
};

#define HARVEST_NULL ((struct harvest){.days = NULL})

/* Takes the crowd, whose owner it becomes. 0 or -ENOMEM (the crowd is unchanged). */
int harvest_init(struct harvest *harvest, struct crowd *crowd, int32_t from, uint32_t days);
void harvest_deinit(struct harvest *harvest);

/* An event of the core, in its order; a plan's parts before they are sealed. 0 or -ENOMEM. */
int harvest_event(struct harvest *harvest, const struct coord *core, const struct event *event);

/* A day's counters, once, when nothing changes them any more. */
void harvest_row(struct harvest *harvest, const struct row_day *day);

/* What a message came to, at the local date it counts on. */
void harvest_message(struct harvest *harvest, const struct fleetsim_event *what, uint32_t placement,
                     int64_t at);

/* The entry of the date; NULL: not one of the days that are foreseen. */
struct harvest_day *harvest_day(const struct harvest *harvest, int32_t date);

/* After all of it: sums, partners, the hash. 0 or -ENOMEM. */
int harvest_finish(struct harvest *harvest);

/* Of each phase, over all days. */
void harvest_phases(const struct harvest *harvest,
                    struct harvest_volume ret_volumes[HARVEST_PHASES]);
