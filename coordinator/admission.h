/*
 * Admission: whether the coordinator may decide something new now. What is decided must become
 * durable before anything leaves, and gathers in memory until then: a full or slow disk therefore
 * holds the deciding back, before memory grows or a group outgrows its segment. Nothing is refused
 * for good, nothing ends: what waits goes on by itself when there is room (I14, I19).
 */
#pragma once

#include "common/base/error.h"
#include "coordinator/core/coord.h"
#include "coordinator/rlog/rlog.h"

#include <stdbool.h>
#include <stdint.h>

/* Free bytes kept for what stops the network, below those kept from everything else. */
#define ADMISSION_RESCUE_FREE_MIN (64u << 20)

enum admission {
    ADMISSION_OPEN,
    ADMISSION_RESCUE, /* held back, but for what stops something or lets a node be heard */
    ADMISSION_CLOSED, /* held back, and no room for that either */
};

/* What it is judged by. */
struct admission_facts {
    const char *dir;     /* of the log: borrowed */
    uint64_t free_bytes; /* on its disk */
    uint64_t free_min;   /* below it nothing new is decided */
    enum rlog_result waits_for; /* committer_waits_for() */
    bool crowded;               /* committer_is_crowded() */
    bool has_room;              /* committer_has_room() */
};

/* *ret_why: what stands in the way and what to do, in words; "" when open. */
enum admission admission_of(const struct admission_facts *facts, struct flz_msg *ret_why);

/* Whether such a command may be decided. Commands that make no event always may. */
bool admission_admits(enum admission admission, enum coord_command_kind kind);
