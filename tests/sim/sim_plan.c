/*
 * The planner's campaign: random pools of every shape through many days, every plan checked.
 *
 *     sim_plan                    the short form (about 10 s with sanitizers), as in ctest
 *     sim_plan --pools N          N pools of each shape
 *     sim_plan --long             5,000 of each shape, for nights
 *     sim_plan --shape S --seed N one pool, to look at
 */
#include "tests/sim/plan_world.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct campaign {
    uint64_t pools;
    uint64_t seed;
    int shape; /* -1: all */
};

static int run_shape(const struct campaign *campaign, enum world_shape shape)
{
    uint64_t quota = 0;
    uint64_t sent = 0;
    uint64_t firsts = 0;
    uint64_t answered = 0;
    for (uint64_t seed = campaign->seed; seed < campaign->seed + campaign->pools; seed++) {
        struct world_settings settings = {
            .shape = shape,
            .seed = seed,
            .days = 10,
            .faults = seed % 2 == 0,
            .steady = seed % 3 == 0,
            .cooldown = shape == WORLD_LAB ? 2 : 0,
        };
        struct world_result result;
        struct flz_msg msg = FLZ_MSG_NULL;
        if (world_run(&settings, &result, &msg) < 0) {
            printf("FAILED: %s\n", msg.text);
            return 1;
        }
        quota += result.quota;
        sent += result.sent;
        firsts += result.firsts;
        answered += result.answered;
    }
    printf("%-12s pools %llu  messages %llu  fill %.2f %%  answered %.1f %%\n",
           world_shape_name(shape), (unsigned long long)campaign->pools, (unsigned long long)sent,
           quota ? 100.0 * (double)sent / (double)quota : 100.0,
           firsts ? 100.0 * (double)answered / (double)firsts : 0.0);
    return 0;
}

static int find_shape(const char *name)
{
    for (int shape = 0; shape < WORLD_SHAPES; shape++)
        if (strcmp(name, world_shape_name((enum world_shape)shape)) == 0)
            return shape;
    fprintf(stderr, "unknown shape '%s'\n", name);
    exit(64);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"pools", required_argument, NULL, 'p'}, {"seed", required_argument, NULL, 's'},
        {"shape", required_argument, NULL, 'h'}, {"long", no_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    struct campaign campaign = {.pools = 6, .seed = 1, .shape = -1};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            campaign.pools = strtoull(optarg, NULL, 10);
        else if (option == 'l')
            campaign.pools = 5000;
        else if (option == 's')
            campaign.seed = strtoull(optarg, NULL, 10);
        else if (option == 'h')
            campaign.shape = find_shape(optarg);
        else
            return 64;
    }
    for (int shape = 0; shape < WORLD_SHAPES; shape++)
        if ((campaign.shape < 0 || campaign.shape == shape) &&
            run_shape(&campaign, (enum world_shape)shape) != 0)
            return 1;
    return 0;
}
