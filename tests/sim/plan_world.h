/*
 * A world for the planner: a random pool of accounts and a ledger that lives through many days,
 * unit by unit, as the coordinator would: it plans each (date, UTC offset) with what is known then,
 * books what comes out, and closes days with the ramp. Each plan passes plan_check(); at the end
 * the ledger itself is checked against the rules once more, across units and days.
 */
#pragma once

#include "common/base/error.h"
#include "coordinator/core/plan.h"

#include <stdbool.h>
#include <stdint.h>

enum world_shape {
    WORLD_EASY,      /* many domains and owners, a few zones */
    WORLD_LAB,       /* 48 accounts, 12 domains of as many owners, two languages, three zones */
    WORLD_BIG_OWNER, /* one owner holds 45 % of the accounts, on many domains */
    WORLD_BIG_DOMAIN, /* one domain holds 45 % */
    WORLD_TWO_DOMAINS,
    WORLD_ROUND_THE_EARTH, /* 24 offsets, some half hours, hours across midnight */
    WORLD_TINY,      /* 2 to 12 accounts */
    WORLD_ODD_ONE,   /* one account speaks a language of its own, one owner has every third */
    WORLD_HOPELESS,  /* one domain, or one owner */
    WORLD_NARROW,    /* short hours, high quotas, few days a week */
    WORLD_SHAPES,
};

struct world_settings {
    enum world_shape shape;
    uint64_t seed;
    size_t accounts; /* 0 = by shape and seed */
    int days;
    int64_t cooldown; /* 0 = by seed */
    bool faults;      /* accounts drop out for days; units are planned late */
    bool steady;      /* every account in `maintain` at its target from the first day */
};

struct world_result {
    uint64_t quota; /* sum over closed days */
    uint64_t sent;
    uint64_t firsts; /* first messages of all plans */
    uint64_t replies;
    uint64_t answered; /* exchanges with at least one reply */
    uint64_t hash;     /* of all plans */
    uint64_t same_owner;
    double fill;
};

/* 0, or -EPROTO with a line: seed, shape and what is broken. */
int world_run(const struct world_settings *settings, struct world_result *ret_result,
              struct flz_msg *ret_msg);

const char *world_shape_name(enum world_shape shape);
