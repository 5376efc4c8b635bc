/*
 * The rlog in memory, which answers what it is told to: for tests and the simulator. The model is
 * what all coordinators share (as a distributed backend's servers are); each opens its own log on
 * it, and closing a log leaves the model as it is, as a crash does.
 *
 * Threads: none; all of a model's logs are used from one thread at a time.
 */
#pragma once

#include "coordinator/rlog/rlog.h"

#include <stdint.h>

enum rlog_model_fault {
    RLOG_MODEL_NONE,
    RLOG_MODEL_FENCED,        /* another writer has campaigned meanwhile */
    RLOG_MODEL_CONFLICT,      /* refused; nothing is written */
    RLOG_MODEL_UNKNOWN_DONE,  /* written with its rider, and answered UNKNOWN */
    RLOG_MODEL_UNKNOWN_BARE,  /* written, its rider is lost, and answered UNKNOWN */
    RLOG_MODEL_UNKNOWN_LOST,  /* not written, and answered UNKNOWN */
    RLOG_MODEL_UNAVAILABLE,   /* nothing happens */
    RLOG_MODEL_FULL,          /* nothing happens */
    RLOG_MODEL_CORRUPT,       /* refused; nothing is written */
    RLOG_MODEL_FAULTS,
};

struct rlog_model;

struct rlog_model_options {
    uint64_t seed; /* of the faults that are drawn, and of the generations */
    /* Out of a thousand appends, how many meet each fault; the sum is at most 1000. */
    uint16_t per_mille[RLOG_MODEL_FAULTS];
    /* Each rider that is written, in order. May be NULL: they are only counted. */
    void (*on_rider)(const struct store_batch *rider, void *data);
    void *data;
};

int rlog_model_new(const struct rlog_model_options *options, struct rlog_model **ret_model);
/* All logs on it have been closed. */
struct rlog_model *rlog_model_free(struct rlog_model *model);

/* A coordinator's log on the model. 0 or -ENOMEM. */
int rlog_model_open(struct rlog_model *model, struct rlog **ret_log);

/* The next appends meet these, one each, instead of what is drawn. Replaces what is left of the
 * script before. 0 or -ENOMEM. */
int rlog_model_script(struct rlog_model *model, const enum rlog_model_fault *faults, size_t count);

/* The next `count` operations of any kind answer UNAVAILABLE. */
void rlog_model_away(struct rlog_model *model, unsigned count);

/* From now on nothing is drawn: faults have ended. */
void rlog_model_calm(struct rlog_model *model);

/* How often a fault was met; [RLOG_MODEL_NONE] counts the appends that met none. */
uint64_t rlog_model_met(const struct rlog_model *model, enum rlog_model_fault fault);
uint64_t rlog_model_riders(const struct rlog_model *model);

/* Flips one bit of a stored segment, or takes it out. 0 or -ENOENT. */
int rlog_model_flip(struct rlog_model *model, uint64_t seq, size_t byte, unsigned bit);
int rlog_model_drop(struct rlog_model *model, uint64_t seq);

/* As rlog_embedded_new_generation(). */
void rlog_model_new_generation(struct rlog_model *model);
