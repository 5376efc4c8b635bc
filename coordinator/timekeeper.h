/*
 * The timekeeper: the coordinator's network time (common/sys/netclock.h), fed with this host's
 * clocks, and its memory in the store. What the clock showed goes into the batch of each commit, so
 * that a restart is no way to have a step of the host's clock believed, and none to lose an
 * administrator's word that it is right.
 */
#pragma once

#include "common/base/error.h"
#include "common/base/id.h"
#include "common/sys/netclock.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_batch;

struct timekeeper {
    struct netclock_leader clock;
    struct flz_id boot; /* of the machine */
};

struct timekeeper_options {
    struct store *store;
    int64_t newest; /* network time of the newest event; 0: none */
    int64_t rate_milli;
    const char *lab_start; /* RFC 3339, or "" */
};

/* 0; -EINVAL (msg): lab_start is no time; -EUCLEAN (msg): the store's memory is damaged. */
int timekeeper_start(struct timekeeper *keeper, const struct timekeeper_options *options,
                     struct flz_msg *msg);

/* Puts what the clock shows into a batch. */
void timekeeper_save(struct timekeeper *keeper, struct store_batch *batch);

/* Network time; never smaller than an earlier answer. */
int64_t timekeeper_now(struct timekeeper *keeper);

/* Real ms until network time reaches `at`. */
int64_t timekeeper_wait_ms(struct timekeeper *keeper, int64_t at);

/* In a lab: time stands still while `hold`, ten seconds at most each time. */
void timekeeper_hold(struct timekeeper *keeper, bool hold);
bool timekeeper_is_held(const struct timekeeper *keeper);

/* A step of the host's clock that waits for an administrator's word, in ms (signed); 0: none. */
int64_t timekeeper_refused_step_ms(const struct timekeeper *keeper);

/* That word: network time follows the host's clock. timekeeper_save() makes it last. */
void timekeeper_confirm(struct timekeeper *keeper);
