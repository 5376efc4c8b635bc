/*
 * The fault simulation: coordinator and nodes, whole and real, in the world of tests/sim/world,
 * where things go wrong as the seed says. A day of faults; then they stop, and everything has to
 * end and the books have to agree. What must hold stands in world/watch.h, what goes wrong in
 * world/trouble.c.
 *
 *     faultsim [--first N] [--seeds N] [--hours H] [--jobs N] [--only KIND,KIND]
 *              [--dose N] [--stop] [--verbose]
 *     faultsim --kinds
 *
 * --dose: so many times as much of each kind; --stop: at the first seed that fails.
 *
 * Run at the top of the tree. One line a seed. The first invariant that does not hold ends its seed
 * with the last events, in words; then the exit code is 1. The same seed is the same run:
 * `faultsim --first SEED --verbose` tells all of it.
 */
#include "common/base/text.h"
#include "tests/sim/world/books.h"
#include "tests/sim/world/network.h"
#include "tests/sim/world/post.h"
#include "tests/sim/world/stand.h"
#include "tests/sim/world/trouble.h"
#include "tests/sim/world/watch.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS INT64_C(1803895200000) /* 2027-03-01T10:00:00Z, a Monday */
#define CALM_HOURS 6
#define AFTER_DAYS_MAX 14
#define JOBS_MAX 64

static uint64_t arg_first = 1;
static uint64_t arg_seeds = 1;
static uint64_t arg_hours = 24;
static uint64_t arg_jobs = 1;
static uint64_t arg_dose = 1;
static const char *arg_only;
static bool arg_stop;
static bool arg_verbose;

static void run_hours(uint64_t hours)
{
    int64_t end = world.now + (int64_t)hours * FLZ_HOUR_MS;
    while (world.now < end) {
        world_run_until(world.now + FLZ_HOUR_MS);
        watch_hour();
    }
}

static void run_seed(uint64_t seed)
{
    world_init(seed, START_MS);
    world.verbose = arg_verbose;
    (void)snprintf(world.folder, sizeof world.folder, "/tmp/faultsim.%d", (int)getpid());
    if (mkdir(world.folder, 0700) < 0) {
        perror(world.folder);
        _exit(2);
    }
    stand_init();
    watch_init();
    network_begin();
    trouble_begin(world.now + (int64_t)arg_hours * FLZ_HOUR_MS, arg_only, (uint32_t)arg_dose);
    run_hours(arg_hours);
    trouble_end();
    run_hours(CALM_HOURS);
    /* Nobody is written to any more; what was sent is looked for, opened and filed. */
    for (size_t i = 0; i < post_count(); i++)
        network_order("suppress add", "address", post_address(i), NULL);
    for (int i = 0; i < AFTER_DAYS_MAX * 4; i++) {
        run_hours(6);
        if (watch_is_over())
            break;
    }
    watch_end();
    (void)printf("seed %llu: %zu orders, %zu sent (%zu replies), %zu found, %zu rescued, "
                 "%zu credited, %zu in doubt, %zu presumed, %zu recovered, %llu crashes; %s\n",
                 (unsigned long long)seed, watch_counts.orders, books_counts.sent,
                 books_counts.replies, books_counts.found, books_counts.rescued,
                 books_counts.credited, books_counts.ambiguous, books_counts.presumed,
                 books_counts.recovered, (unsigned long long)world.crashes, trouble_drawn());
}

/* A process of its own for each seed; its folder is removed from here. */
static void remove_folder(pid_t pid)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf /tmp/faultsim.%d", (int)pid);
    if (system(command) != 0)
        perror(command);
}

static int reap(void)
{
    int status = 0;
    pid_t pid = wait(&status);
    if (pid < 0)
        return 1;
    remove_folder(pid);
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "a seed ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static int run_seeds(void)
{
    uint64_t running = 0, failed = 0;
    for (uint64_t i = 0; i < arg_seeds && !(arg_stop && failed); i++) {
        if (running == arg_jobs) {
            failed += (uint64_t)reap();
            running--;
        }
        (void)fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            run_seed(arg_first + i);
            (void)fflush(NULL);
            _exit(0);
        }
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        running++;
    }
    for (; running > 0; running--)
        failed += (uint64_t)reap();
    (void)printf("%llu seeds, %llu failed\n", (unsigned long long)arg_seeds,
                 (unsigned long long)failed);
    return failed > 0;
}

static int tell_kinds(void)
{
    for (size_t i = 0; i < trouble_kinds(); i++)
        (void)puts(trouble_name(i));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"first", required_argument, NULL, 'f'}, {"seeds", required_argument, NULL, 's'},
        {"hours", required_argument, NULL, 'h'}, {"jobs", required_argument, NULL, 'j'},
        {"only", required_argument, NULL, 'o'},  {"dose", required_argument, NULL, 'd'},
        {"stop", no_argument, NULL, 't'},        {"verbose", no_argument, NULL, 'v'},
        {"kinds", no_argument, NULL, 'k'},       {0},
    };
    int r = 0, option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1 && r == 0) {
        switch (option) {
        case 'f': r = flz_parse_u64(optarg, INT64_MAX, &arg_first); break;
        case 's': r = flz_parse_u64(optarg, 1000000, &arg_seeds); break;
        case 'h': r = flz_parse_u64(optarg, 1000, &arg_hours); break;
        case 'j': r = flz_parse_u64(optarg, JOBS_MAX, &arg_jobs); break;
        case 'o': arg_only = optarg; break;
        case 'd': r = flz_parse_u64(optarg, 100, &arg_dose); break;
        case 't': arg_stop = true; break;
        case 'v': arg_verbose = true; break;
        case 'k': return tell_kinds();
        default: r = -EINVAL;
        }
    }
    if (r < 0 || optind < argc || arg_jobs == 0) {
        (void)fprintf(stderr, "faultsim: see the top of tests/sim/faultsim.c\n");
        return 64;
    }
    return run_seeds();
}
