/*
 * The nodes of a simulated network: what they were ordered to do and have not done yet, and the
 * messages on their way. A node does its tasks some minutes after they may be done, tries again
 * what was deferred, is silent while it is down, and says the truth.
 *
 * It acts on the mail providers (mailsim.h), and hands out what a node would report.
 */
#pragma once

#include "coordinator/core/coord.h"
#include "coordinator/sim/mailsim.h"

struct fleetsim;

/* All borrowed for its life but the core, which each call names. 0 or -ENOMEM. */
int fleetsim_new(struct mailsim *mail, const struct crowd *crowd, uint64_t seed,
                 struct fleetsim **ret_fleet);
struct fleetsim *fleetsim_free(struct fleetsim *fleet);

/* Takes an order of the core. 0 or -ENOMEM. */
int fleetsim_order(struct fleetsim *fleet, const struct coord *core,
                   const struct coord_order *order);

/* When to act next, or FLZ_NEVER. */
int64_t fleetsim_next(const struct fleetsim *fleet);

/* A message's fate, told once, with the receipt that says so. */
struct fleetsim_event {
    uint32_t from; /* places in the crowd */
    uint32_t to;
    bool sent;    /* or not: refused, blocked, expired */
    bool blocked; /* its domain had overshot */
    bool found;   /* see the receipt's placement; neither: missing, or unobserved */
};

enum {
    FLEETSIM_E_IDLE = 1, /* nothing is due, or what was due is put off */
};

/* Does the next task that is due at `now`. 0: ret_node reports the receipt (borrowed texts: none),
 * of which ret_event tells more when it is a message's. FLEETSIM_E_IDLE, -ENOMEM. */
int fleetsim_act(struct fleetsim *fleet, const struct coord *core, int64_t now, uint32_t *ret_node,
                 struct flz_receipt *ret_receipt, struct fleetsim_event *ret_event);

/* Messages that had to be tried again so far. */
uint64_t fleetsim_deferred(const struct fleetsim *fleet);
