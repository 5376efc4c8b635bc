/*
 * What else an operating system and its libraries do for the programs: clocks, logs (which become
 * the narrative), DNS, the administrators' door, random numbers and signatures. Signatures here are
 * digests: good against mishaps, worth nothing against malice, and fast.
 */
#pragma once

#include "common/base/buf.h"
#include "tests/sim/world/world.h"

#define STAND_ARGUMENTS_MAX 8

/* Before anything else. */
void stand_init(void);

/* No octets that leave a process, and no line of its log, may hold this. */
#define STAND_SECRET "warm \"pass\\1"

/* A request at a process's administration door. Texts are copied. */
struct stand_request {
    const char *verb;
    const char *keys[STAND_ARGUMENTS_MAX];
    const char *values[STAND_ARGUMENTS_MAX];
    struct flz_view body;
    /* Called from the process. A request whose process dies is never answered. */
    void (*on_answer)(int code, const char *message, void *data);
    void *data;
};

/* False: nobody is at the door now. */
bool stand_ask(struct proc *proc, const struct stand_request *request);

/* Whether DNS answers. */
extern bool stand_dns_fails;

/* What the coordinator's administration door was given: its server. */
void *stand_desk_data(const struct proc *proc);
