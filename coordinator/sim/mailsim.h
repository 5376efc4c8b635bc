/*
 * The mail providers of a simulated network, as a model: each takes, defers, refuses or loses what
 * comes in, and puts it into the inbox or into Junk by what it thinks of the sender. That is its
 * standing, 0 (never seen) to 1000 (known well), one of the account and one of its domain:
 *
 *   up      with each message opened, and twice as much with each one rescued from Junk or
 *           answered: by a share of what is missing to 1000
 *   down    while no mail comes: after `forget_days` without any, to 0
 *   down    when the domain overshoots: sends more in a day than `growth_percent` over its level
 *           and more than `growth_floor`. What is beyond is refused, and the domain with it, for
 *           `block_hours`
 *
 * A domain's level at a provider rises to each day's volume, and sinks by a quarter of the
 * difference. Nothing here claims that a real provider does so; the point is that a plan is judged
 * by something that rewards steadiness and engagement, and punishes haste.
 *
 * Integers only; every draw depends on the message alone (lot.h).
 */
#pragma once

#include "coordinator/sim/crowd.h"

#include <stdbool.h>

struct mailsim;

/* Scenario and crowd are borrowed for its life. 0 or -ENOMEM. */
int mailsim_new(const struct scenario *scenario, const struct crowd *crowd,
                struct mailsim **ret_mail);
struct mailsim *mailsim_free(struct mailsim *mail);

/* A message on its way to the recipient's provider. */
struct mailsim_message {
    uint32_t from; /* places in the crowd */
    uint32_t to;
    uint64_t lot; /* its own */
    int64_t at;
};

enum mailsim_verdict {
    MAILSIM_TAKEN,
    MAILSIM_DEFERRED, /* try again later */
    MAILSIM_REFUSED,
    MAILSIM_BLOCKED, /* refused, since its domain has overshot */
};

struct mailsim_answer {
    enum mailsim_verdict verdict;
    int64_t arrives;    /* TAKEN; FLZ_NEVER: it is lost */
    uint32_t placement; /* TAKEN: enum flz_placement */
};

/* Times never go back by more than a day, over all calls. */
struct mailsim_answer mailsim_send(struct mailsim *mail, const struct mailsim_message *message);

/* The recipient has opened the message (weight 1), rescued or answered it (2). */
void mailsim_engage(struct mailsim *mail, uint32_t from, uint32_t to, int64_t at, uint32_t weight);

/* Until when the provider, or the node, is down at this time; 0: it is not. */
int64_t mailsim_provider_down(const struct mailsim *mail, uint32_t provider, int64_t at);
int64_t mailsim_node_down(const struct mailsim *mail, uint32_t node, int64_t at);
