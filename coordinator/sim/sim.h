/*
 * The simulator: a coordinator's core (coordinator/core, the very code that runs in production)
 * under a virtual clock, with a crowd of accounts, modelled nodes and modelled mail providers. All
 * that a network does in months happens in seconds, in the order of the virtual time: accounts are
 * registered and probed, each offset cohort's day is planned an hour before its midnight, tasks are
 * ordered, done and reported.
 *
 * The same scenario, counts and seed give the same result, hash included, on every machine with the
 * same time zones: nothing depends on the clock, on addresses of memory, on the locale, or on
 * floating point.
 */
#pragma once

#include "coordinator/sim/harvest.h"

#include <stdatomic.h>

#define SIM_ACCOUNTS_MAX 1000000
#define SIM_DAYS_MAX 366
#define SIM_ACCOUNT_DAYS_MAX 36600000 /* what may take hours and some ten GiB */

struct sim_options {
    const struct scenario *scenario; /* borrowed */
    uint32_t accounts;               /* 2 to SIM_ACCOUNTS_MAX */
    uint32_t days;                   /* 1 to SIM_DAYS_MAX; accounts * days is bounded, too */
    uint64_t seed;
    const atomic_bool *stop; /* true: end soon with -ECANCELED. Borrowed; may be NULL */
    /* May be NULL: a UTC date has begun. */
    void (*on_date)(void *data, int32_t date);
    /* May be NULL: a message has left; its receipt is about to be reported. For tests. */
    void (*on_send)(void *data, const struct coord *core, const struct flz_receipt *receipt,
                    int64_t now);
    void *data;
};

/* 0 and the result, which the caller deinits. -ECANCELED; -ENOMEM; -EPROTO: the core refused what
 * the simulator gave it (msg), which is a fault of one of the two. */
int sim_run(const struct sim_options *options, struct tz *tz, struct harvest *ret_harvest,
            struct flz_msg *msg);
