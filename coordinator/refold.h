/*
 * Folding the whole log once more, beside the loop: to hold the stored aggregates against it, or to
 * ask what another policy would have decided (core/replay.h). It needs the log from its first
 * event, and about as much memory as the coordinator itself.
 *
 * Held against the fold is a checkpoint of the store, in STATE/refold while it is read: rows and
 * log of one moment. Of aggregates these are all: days, tallies, standings, archived ones too.
 */
#pragma once

#include "coordinator/core/replay.h"
#include "coordinator/rlog/rlog.h"

#include <stdatomic.h>

#define REFOLD_KEYS_MAX 64

struct store;

enum refold_kind { REFOLD_VERIFY, REFOLD_REPLAY };

struct refold_key {
    char name[FLZ_NAME_MAX];
    int64_t value;
};

struct refold_request {
    enum refold_kind kind;
    /* REPLAY: */
    int64_t since;
    struct refold_key keys[REFOLD_KEYS_MAX];
    size_t keys_count;
};

struct refold_place {
    struct rlog *log;      /* borrowed, as the next two; read from the calling thread */
    struct store *store;
    const char *state_dir;
    struct flz_id network;
    struct policy policy;  /* in force where no setting says otherwise */
};

enum refold_outcome {
    REFOLD_SAME,
    REFOLD_DIFFERENT, /* VERIFY: msg names the first row; REPLAY: see the replay's result */
    REFOLD_REFUSED,   /* REPLAY: msg says which key */
    REFOLD_TRIMMED,   /* the log's beginning is forgotten */
    REFOLD_FAILED,    /* msg */
};

struct refold_result {
    enum refold_outcome outcome;
    struct flz_msg msg;
    uint64_t events;
    uint64_t rows;         /* VERIFY: compared … */
    uint64_t different;    /* … and not equal, missing, or of no event */
    struct replay *replay; /* REPLAY; owned */
};

/* Blocks; any thread, one at a time. Ends soon when *stop becomes true. */
void refold_run(const struct refold_place *place, const struct refold_request *request,
                const atomic_bool *stop, struct refold_result *ret_result);
void refold_result_deinit(struct refold_result *result);
