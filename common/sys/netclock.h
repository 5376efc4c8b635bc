/*
 * Network time: the leader makes it, followers estimate it from the leader's pulses. Pure
 * arithmetic: every clock reading is an argument (`boot` is flz_boottime_ms(), `real` is
 * flz_realtime_ms()). All times are milliseconds. Both forms are monotone.
 *
 * The rate is 1000 (network milliseconds per real second) everywhere but in a lab. At rate 1000 the
 * leader follows UTC as long as UTC and elapsed boot time agree within an hour; a larger step is
 * refused, and time goes on by boot time, until an operator confirms it. At any other rate network
 * time is base + elapsed x rate, and the leader may hold it for a while, so that a fast lab waits
 * for its own work.
 */
#pragma once

#include "common/base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define NETCLOCK_RATE_ONE 1000
#define NETCLOCK_RATE_MAX 100000000 /* 100 000 times real time */
#define NETCLOCK_STEP_MAX_MS FLZ_HOUR_MS
#define NETCLOCK_HOLD_MAX_MS (10 * FLZ_SECOND_MS)
#define NETCLOCK_SAMPLES 8

struct netclock_leader {
    int64_t base_network;
    int64_t base_boot;
    int64_t newest; /* largest time handed out */
    uint32_t rate_milli;
    bool held;
    bool hold_spent; /* the hold ran into its limit; resume re-arms it */
    int64_t held_since_boot;
    int64_t refused_step_ms; /* real time minus expected time when it was refused; 0 = none */
};

/* What a clock showed, without its promise never to go back, and when. */
struct netclock_reading {
    int64_t shown;
    int64_t boot; /* -1 when unknown, or of another boot than ours */
};

struct netclock_leader_options {
    uint32_t rate_milli; /* 1..NETCLOCK_RATE_MAX; 0 means NETCLOCK_RATE_ONE */
    int64_t newest;      /* newest network time of an earlier life; 0 when there was none */
    struct netclock_reading before; /* of an earlier life; shown = 0: `newest`, at a time unknown */
    int64_t lab_start; /* first network time of a lab without an earlier life; 0 = real */
};

/*
 * Starts the clock. At rate one it begins at real time if that lies within an hour of what `before`
 * lets expect (boot known), or is not more than an hour earlier (unknown); else at the expected
 * time, with the step refused. At another rate it begins at `newest`. 0 or -EINVAL.
 */
int netclock_leader_init(struct netclock_leader *clock, struct netclock_leader_options options,
                         int64_t boot, int64_t real);

/* The network time. Never smaller than an earlier answer. */
int64_t netclock_leader_now(struct netclock_leader *clock, int64_t boot, int64_t real);

/* For the next life's options. */
struct netclock_reading netclock_leader_read(struct netclock_leader *clock, int64_t boot,
                                             int64_t real);

/* A real-time step that waits for confirmation, in ms (signed); 0 when none does. */
int64_t netclock_leader_refused_step(const struct netclock_leader *clock);

/* The operator confirms: network time goes to real time (forward at once; backward by standing
 * still until real time has caught up). */
void netclock_leader_confirm(struct netclock_leader *clock, int64_t boot, int64_t real);

/*
 * Stands still from now on, at most NETCLOCK_HOLD_MAX_MS of real time; then time goes on by itself
 * and further holds are refused until netclock_leader_resume(). True when time stands still.
 * Refused (false) at rate one.
 */
bool netclock_leader_hold(struct netclock_leader *clock, int64_t boot);

/* Goes on from where it stood, without a jump, and re-arms the hold. */
void netclock_leader_resume(struct netclock_leader *clock, int64_t boot);

/* Real ms until network time reaches `at` (rounded up; 0 when it has). While held: the rest of the
 * hold is counted in. */
int64_t netclock_leader_wait_ms(struct netclock_leader *clock, int64_t at, int64_t boot,
                                int64_t real);

/* What a pulse says, with the two boot times that the follower itself measured. */
struct netclock_pulse {
    int64_t network_now;
    int64_t horizon; /* network time not to be passed before the next pulse; FLZ_NEVER = none */
    uint32_t rate_milli;
    int64_t sent_boot;     /* own boot time when the heartbeat left (echoed by the leader) */
    int64_t received_boot; /* own boot time when the pulse came */
};

struct netclock_sample {
    int64_t network; /* estimate at received_boot */
    int64_t received_boot;
    int64_t rtt;
};

/* All zero is the empty follower, which knows no time. */
struct netclock_follower {
    struct netclock_sample samples[NETCLOCK_SAMPLES];
    uint32_t count; /* of the samples in use */
    uint32_t next;  /* the slot that the next one takes */
    uint32_t rate_milli;
    int64_t horizon;
    int64_t newest_sent_boot;
    int64_t newest; /* largest time handed out */
};

#define NETCLOCK_FOLLOWER_NULL ((struct netclock_follower){.count = 0})

enum {
    NETCLOCK_E_UNKNOWN = 1, /* no pulse yet */
    NETCLOCK_E_STALE,       /* an older heartbeat's answer, or impossible boot times: not used */
};

/*
 * Takes a pulse. The sample with the least round trip of the last NETCLOCK_SAMPLES gives the time;
 * samples which the new one contradicts (the leader held or stepped its clock) are dropped. 0,
 * NETCLOCK_E_STALE (unchanged), or -EINVAL for a rate out of range (unchanged).
 */
int netclock_follower_pulse(struct netclock_follower *clock, const struct netclock_pulse *pulse);

/* min(estimate, horizon), monotone. 0 or NETCLOCK_E_UNKNOWN (nothing written). */
int netclock_follower_now(struct netclock_follower *clock, int64_t boot, int64_t *ret_network);
