#include "tests/sim/world/world.h"

#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_SIZE ((size_t)2 << 20)
#define RESTART_MS_MIN 500
#define RESTART_MS_MAX 40000
#define LINE_MAX_LEN 400

struct world world;

/* ---- Chance ---- */

void world_init(uint64_t seed, int64_t now)
{
    world = (struct world){.seed = seed, .now = now, .started = now};
    flz_rng_init(&world.rng, flz_view_str("faultsim"), seed);
    flz_rng_init(&world.random, flz_view_str("faultsim processes"), seed);
}

bool world_chance(uint32_t permille)
{
    return flz_rng_below(&world.rng, 1000) < permille;
}

bool world_mishap(uint32_t per_million)
{
    return world.faults && per_million > 0 && flz_rng_below(&world.rng, 1000000) < per_million;
}

int64_t world_between(int64_t low, int64_t high)
{
    return flz_rng_between(&world.rng, low, high);
}

/* ---- The narrative ---- */

static char lines[WORLD_LINES_KEPT][LINE_MAX_LEN];
static size_t lines_count;

__attribute__((format(printf, 2, 0)))
static void add_line(const char *who, const char *format, va_list args)
{
    char *line = lines[lines_count++ % WORLD_LINES_KEPT];
    char time[FLZ_TIME_TEXT_MAX];
    flz_time_format(world.now, time);
    int n = snprintf(line, LINE_MAX_LEN, "%.2s. %.12s  %-11s  ", time + 8, time + 11, who);
    (void)vsnprintf(line + n, LINE_MAX_LEN - (size_t)n, format, args);
    if (world.verbose)
        (void)fprintf(stderr, "%s\n", line);
}

void world_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_line(world.current ? world.current->name : "-", format, args);
    va_end(args);
}

void world_fail(const char *invariant, const char *format, ...)
{
    struct flz_origin origin = flz_error_origin();
    va_list args;
    size_t first = lines_count > WORLD_LINES_KEPT ? lines_count - WORLD_LINES_KEPT : 0;
    (void)fflush(stdout);
    for (size_t i = first; i < lines_count && !world.verbose; i++)
        (void)fprintf(stderr, "%s\n", lines[i % WORLD_LINES_KEPT]);
    (void)fprintf(stderr, "seed %llu: %s does not hold: ", (unsigned long long)world.seed,
                  invariant);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "; drawn: %s", world.drawn ? world.drawn : "");
    (void)fprintf(stderr, " (last error %d at %s:%d)\n", origin.code,
                  origin.file ? origin.file : "-", origin.line);
    _exit(1);
}

/* ---- What happens when ---- */

struct happening {
    int64_t at;
    uint64_t order;
    world_fn run;
    void *data;
    struct proc *proc; /* NULL: the world's own */
    uint64_t life;
};

static struct happening *heap;
static size_t heap_count;
static size_t heap_capacity;
static uint64_t heap_order;

static bool is_before(const struct happening *a, const struct happening *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void add_happening(struct happening happening)
{
    WORLD_MUST(flz_grow((void **)&heap, &heap_capacity, heap_count + 1, sizeof *heap) == 0,
               "memory");
    happening.order = ++heap_order;
    happening.at = happening.at < world.now ? world.now : happening.at;
    size_t i = heap_count++;
    for (; i > 0 && is_before(&happening, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = happening;
}

static struct happening take_happening(void)
{
    struct happening top = heap[0], last = heap[--heap_count];
    size_t i = 0;
    for (size_t child = 1; child < heap_count; child = 2 * i + 1) {
        if (child + 1 < heap_count && is_before(&heap[child + 1], &heap[child]))
            child++;
        if (!is_before(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    if (heap_count > 0)
        heap[i] = last;
    return top;
}

void world_at(int64_t at, world_fn run, void *data)
{
    add_happening((struct happening){.at = at, .run = run, .data = data});
}

void world_post(struct proc *proc, int64_t at, world_fn run, void *data)
{
    add_happening(
        (struct happening){.at = at, .run = run, .data = data, .proc = proc, .life = proc->life});
}

static void happen(const struct happening *happening)
{
    if (!happening->proc) {
        happening->run(happening->data);
        return;
    }
    if (!happening->proc->alive || happening->proc->life != happening->life)
        return;
    loop_push(happening->proc->loop, happening->run, happening->data);
    world_wake(happening->proc);
}

/* ---- Coroutines ---- */

struct fiber {
    ucontext_t context;
    void *stack;
    void *shadow; /* the sanitizer's own stack of this fiber */
};

static ucontext_t world_context;
static void *world_shadow;
static const void *world_stack;
static size_t world_stack_size;

static void before_switch(void **shadow, const void *stack, size_t size)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(shadow, stack, size);
#else
    (void)shadow, (void)stack, (void)size;
#endif
}

static void after_switch(void *shadow, const void **stack, size_t *size)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(shadow, stack, size);
#else
    (void)shadow, (void)stack, (void)size;
#endif
}

/* Back to the world. For good: the fiber is never entered again, and its stack is given back. */
static void leave(struct fiber *fiber, bool for_good)
{
    before_switch(for_good ? NULL : &fiber->shadow, world_stack, world_stack_size);
    (void)swapcontext(&fiber->context, &world_context);
    after_switch(fiber->shadow, &world_stack, &world_stack_size);
}

static void died(struct proc *proc, const char *why);

static void run_fiber(void)
{
    after_switch(NULL, &world_stack, &world_stack_size);
    struct proc *proc = world.current;
    struct fiber *fiber = proc->fiber;
    proc->exit_code = proc->on_main(proc);
    world_say("ends with %d", proc->exit_code);
    if (world.on_exit)
        world.on_exit(proc);
    died(proc, NULL);
    leave(fiber, true);
}

static void enter(struct proc *proc)
{
    struct fiber *fiber = proc->fiber;
    world.current = proc;
    proc->wake_at = FLZ_NEVER;
    before_switch(&world_shadow, fiber->stack, STACK_SIZE);
    (void)swapcontext(&world_context, &fiber->context);
    after_switch(world_shadow, NULL, NULL);
    world.current = NULL;
    if (proc->alive)
        return;
    (void)munmap(fiber->stack, STACK_SIZE);
    free(fiber);
    proc->fiber = NULL;
}

struct proc *world_add(const char *name, int (*on_main)(struct proc *proc))
{
    WORLD_MUST(world.procs_count < WORLD_PROCS_MAX, "too many processes");
    struct proc *proc = &world.procs[world.procs_count++];
    *proc = (struct proc){.on_main = on_main, .wake_at = FLZ_NEVER};
    (void)snprintf(proc->name, sizeof proc->name, "%s", name);
    proc->boot_base = world_between(FLZ_HOUR_MS, 40 * FLZ_DAY_MS);
    return proc;
}

static void start_later(void *data)
{
    struct proc *proc = data;
    if (!proc->alive && !proc->ordered_down)
        world_start(proc);
}

void world_start(struct proc *proc)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    WORLD_MUST(fiber && !proc->alive, "no start of %s", proc->name);
    fiber->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    WORLD_MUST(fiber->stack != MAP_FAILED && getcontext(&fiber->context) == 0, "memory");
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_SIZE;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, run_fiber, 0);
    proc->fiber = fiber;
    proc->alive = true;
    proc->life++;
    proc->started_at = world.now;
    proc->ready_at = 0;
    proc->loop = loop_new();
    proc->wake_at = world.now;
    world_say("%s starts, for the %llu. time", proc->name, (unsigned long long)proc->life);
}

static void died(struct proc *proc, const char *why)
{
    if (why)
        world_say("%s dies: %s", proc->name, why);
    proc->alive = false;
    proc->wake_at = FLZ_NEVER;
    wire_crashed(proc);
    post_crashed(proc);
    stand_crashed(proc);
    if (why)
        disk_crashed(proc);
    if (!proc->ordered_down)
        world_at(world.now + world_between(RESTART_MS_MIN, RESTART_MS_MAX), start_later, proc);
}

void world_kill(struct proc *proc, const char *why)
{
    struct fiber *fiber = proc->fiber;
    if (!proc->alive)
        return;
    world.crashes++;
    died(proc, why);
    if (world.current == proc)
        leave(fiber, true);
    (void)munmap(fiber->stack, STACK_SIZE);
    free(fiber);
    proc->fiber = NULL;
}

void world_step(const char *what)
{
    if (!world.current)
        return;
    world.steps++;
    if (world_mishap(world.crash_ppm))
        world_kill(world.current, what);
}

void world_sleep(int64_t until)
{
    struct proc *proc = world.current;
    proc->wake_at = until > proc->frozen_until ? until : proc->frozen_until;
    if (loop_has_news(proc->loop))
        world_wake(proc);
    leave(proc->fiber, false);
}

void world_wake(struct proc *proc)
{
    int64_t at = world.now > proc->frozen_until ? world.now : proc->frozen_until;
    proc->wake_at = at < proc->wake_at ? at : proc->wake_at;
}

/* ---- The course of the world ---- */

static struct proc *first_to_wake(void)
{
    struct proc *first = NULL;
    for (size_t i = 0; i < world.procs_count; i++) {
        struct proc *proc = &world.procs[i];
        if (proc->alive && proc != world.current && (!first || proc->wake_at < first->wake_at))
            first = proc;
    }
    return first;
}

void world_run_until(int64_t until)
{
    for (;;) {
        struct proc *proc = first_to_wake();
        int64_t wake = proc ? proc->wake_at : FLZ_NEVER;
        int64_t next = heap_count > 0 && heap[0].at <= wake ? heap[0].at : wake;
        if (next > until)
            break;
        world.now = next > world.now ? next : world.now;
        if (heap_count > 0 && heap[0].at <= wake) {
            struct happening happening = take_happening();
            happen(&happening);
        } else {
            enter(proc);
        }
    }
    world.now = until;
}
