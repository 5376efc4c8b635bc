/*
 * A world of which the programs see nothing but its edge: time, processes, what they say. The
 * coordinator and the nodes run in it whole, from coordinator_run() and node_run() on; their
 * operating system is the files beside this one, which stand in for libuv (loop.c), RocksDB
 * (disk.c), ZeroMQ (wire.c), libcurl and mail servers (post.c), and the rest (stand.c).
 *
 * One thread. Each process is a coroutine; it runs until its loop sleeps, and the world goes on
 * with whatever is due first. Everything follows from the seed: the same seed, the same run.
 *
 * There is one world in a process of ours, as there is one operating system: `world`. Each seed
 * runs in a process of its own, which ends with it, so what a killed process held is never freed.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/rng.h"
#include "common/base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_PROCS_MAX 6
#define WORLD_LINES_KEPT 60 /* of the narrative, told when something fails */

struct loop; /* of a process: loop.c */
struct proc;

typedef void (*world_fn)(void *data);

struct proc {
    char name[16];
    int (*on_main)(struct proc *proc);
    bool alive;
    uint64_t life;        /* counts its starts; what was meant for an earlier one is dropped */
    int exit_code;        /* of the life before */
    int64_t wake_at;      /* world time; FLZ_NEVER: it sleeps until something arrives */
    int64_t frozen_until; /* the machine stands still, or is very slow */
    int64_t started_at;
    int64_t ready_at; /* 0: it has not said that it is ready, in this life */
    /* Its clocks, as its machine shows them. */
    int64_t boot_base; /* boot time when the world began */
    uint64_t boots;    /* of its machine, since the world began */
    int64_t drift_ppm;
    int64_t skew_ms;   /* real time */
    struct loop *loop; /* of this life */
    void *fiber;
    bool ordered_down; /* not started again by itself */
};

struct world {
    uint64_t seed;
    struct flz_rng rng;    /* of the world's course */
    struct flz_rng random; /* what the processes draw */
    int64_t now;           /* ms since 1970, true time */
    int64_t started;
    struct proc procs[WORLD_PROCS_MAX];
    size_t procs_count;
    struct proc *current;               /* NULL: the world itself runs */
    bool faults;                        /* may anything go wrong now? */
    const char *drawn;                  /* what may go wrong, in words */
    bool verbose;                       /* the whole narrative, as it happens */
    uint32_t crash_ppm;                 /* of each step: the process dies there */
    uint32_t slow_ppm;                  /* of each piece of work: it takes seconds */
    void (*on_exit)(struct proc *proc); /* it ended by itself */
    uint64_t steps;
    uint64_t crashes;
    char folder[128]; /* of real files: keys, settings */
};

extern struct world world;

void world_init(uint64_t seed, int64_t now);

/* ---- Chance ---- */

bool world_chance(uint32_t permille);    /* whatever happens */
bool world_mishap(uint32_t per_million); /* only while there may be faults */
int64_t world_between(int64_t low, int64_t high);

/* ---- What happens when ---- */

/* Runs it at that time, in the world. */
void world_at(int64_t at, world_fn run, void *data);
/* Runs it at that time within the process's loop, unless the process has died by then. */
void world_post(struct proc *proc, int64_t at, world_fn run, void *data);

void world_run_until(int64_t until);

/* ---- Processes ---- */

struct proc *world_add(const char *name, int (*on_main)(struct proc *proc));
void world_start(struct proc *proc);
/* It dies here and now, wherever it was; never returns when it is the one that runs. What it had
 * not synced is lost, its connections end. */
void world_kill(struct proc *proc, const char *why);
/* A point between two effects on the outside, where a process may die. */
void world_step(const char *what);
/* The process that runs sleeps until `until`, or until something arrives for it. */
void world_sleep(int64_t until);
/* Something arrived. */
void world_wake(struct proc *proc);

/* ---- The narrative ---- */

void world_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An invariant does not hold: tells the seed and the narrative, and ends with 1. */
_Noreturn void world_fail(const char *invariant, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define WORLD_MUST(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            world_fail("the simulator", __VA_ARGS__);                                              \
    } while (0)

/* ---- Between the files of the world ---- */

struct loop *loop_new(void);
bool loop_has_news(const struct loop *loop); /* something arrived that was not handed over */
void loop_push(struct loop *loop, world_fn run, void *data);
/* Without a loop: sleeps until something arrives, and takes it. */
void loop_drain(int64_t until);

void disk_crashed(struct proc *proc);
void wire_crashed(struct proc *proc);
void post_crashed(struct proc *proc);
void stand_crashed(struct proc *proc);
