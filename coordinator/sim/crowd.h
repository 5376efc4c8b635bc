/*
 * The crowd: who takes part in a simulated network, drawn from a scenario's shares. An owner has
 * some domains, speaks one language, lives in one time zone and has all its accounts at one node;
 * a domain has some accounts and its mail with one provider; week, intensity and profile are each
 * account's own. Owners join with all that is theirs. The first accounts may be a big owner's, or
 * in a big domain, if the scenario has one.
 */
#pragma once

#include "coordinator/sim/scenario.h"

struct crowd_account {
    uint32_t domain; /* dense from 0; owners as well */
    uint32_t owner;
    uint32_t node;
    uint32_t joins; /* day, 0 = the first */
    uint8_t provider;
    uint8_t language; /* these five: index into the scenario's shares */
    uint8_t zone;
    uint8_t week;
    uint8_t intensity;
    uint8_t profile;
};

struct crowd {
    struct crowd_account *accounts; /* owned; in the order in which they join */
    uint32_t count;
    uint32_t domains;
    uint32_t owners;
};

#define CROWD_NULL ((struct crowd){.accounts = NULL})

/* The same scenario, count and seed give the same crowd. 0 or -ENOMEM. */
int crowd_make(const struct scenario *scenario, uint32_t count, uint64_t seed,
               struct crowd *ret_crowd);
void crowd_deinit(struct crowd *crowd);
