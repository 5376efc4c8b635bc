/*
 * The coordinator's metrics: one registry, one enum. Counters and histograms are fed where things
 * happen, through the registry made here; what the core knows anyway is read at the scrape
 * (meters_collect). Labels are bounded and never hold an address.
 */
#pragma once

#include "common/sys/metrics.h"

#include <stddef.h>
#include <stdint.h>

struct server;

enum meter {
    /* Fed where it happens. */
    METER_BUS_MESSAGES, /* direction=in|out, type=hello, reports … (flz_kind_name) */
    METER_BUS_ERRORS,   /* reason=decode|auth|replay */
    METER_STORE_WRITE,  /* histogram: one group commit */
    METER_STORE_ERRORS,
    METER_LOOP_LAG, /* histogram: how late a timer of the loop came */
    METER_LATENESS, /* histogram: issue after a task became due, real seconds */
    METER_LEASES,   /* reason=join|renew|expire|revoke */
    METER_EVENTS,   /* type=flz_event_name() */
    METER_TASKS,    /* kind=send|reply|…, outcome=sent|…: receipts taken */
    /* Read at the scrape. */
    METER_BUILD_INFO,
    METER_LEADER,
    METER_EPOCH,
    METER_UPTIME,
    METER_NETWORK_TIME,
    METER_CLOCK_RATE,
    METER_SEQ,
    METER_READY,
    METER_HELD_BACK,
    METER_DISK_FREE,
    METER_CLOCK_STEP,
    METER_NODES,
    METER_NODE_UP,
    METER_NODE_HEARTBEAT,
    METER_NODE_ACCOUNTS,
    METER_NODE_CREDIT,
    METER_NODE_OPEN,
    METER_ACCOUNTS,
    METER_ACCOUNTS_PHASE,
    METER_HEALTH,
    METER_EXCHANGES,
    METER_DUE,
    METER_DAY_PLANNED,
    METER_DAY_WANTED,
    METER_DAY_UNPLANNED,
    METER_DAY_MESSAGES,
    METER_DAY_PLACEMENTS,
    METER_DAY_ENGAGEMENTS,
    METER_PAUSES,
    METER_SUPPRESSIONS,
    METER_ALERTS,
    METER_HTTP_REQUESTS,
    METER_LOG_MESSAGES,
    METERS_COUNT,
};

/* 0 or -ENOMEM. Freed by metrics_free(). */
int meters_new(struct metrics **ret_metrics);

/*
 * Where the walks over accounts and exchanges stand. One scrape looks at METERS_LOOKS_MAX of each
 * at most, and what a walk counts is published when it is through: with more accounts than that the
 * numbers of accounts are some scrapes old, and a scrape takes no longer.
 */
#define METERS_LOOKS_MAX 50000

struct meters_sums;

struct meters_walk {
    size_t looks; /* METERS_LOOKS_MAX */
    uint32_t account;
    uint32_t exchange;
    double exchange_states[8]; /* by enum row_exchange_state */
    struct meters_sums *sums;  /* owned */
};

#define METERS_WALK_NULL ((struct meters_walk){.looks = METERS_LOOKS_MAX})

/* Brings all that is read at the scrape up to date. */
void meters_collect(struct metrics *metrics, struct server *server, struct meters_walk *walk);
void meters_walk_deinit(struct meters_walk *walk);
