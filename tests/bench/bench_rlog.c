/*
 * How fast the embedded log commits: `bench_rlog [FOLDER [SECONDS]]`. For groups of 1, 16 and 128
 * events of 256 bytes, each with a rider of one row, the median of five runs: synced appends and
 * events a second, and events a CPU second. What the disk's own sync takes is told first: no log
 * that syncs each group appends more often than that.
 */
#include "coordinator/rlog/rlog.h"
#include "tests/lib/chain.h"
#include "tests/lib/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RUNS 5
#define EVENT_SIZE 256

enum { LOG, META, ROWS, FAMILIES };

static const char *const families[] = {"log", "meta", "rows"};

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double values[static RUNS])
{
    qsort(values, RUNS, sizeof *values, compare);
    return values[RUNS / 2];
}

/* Writes and syncs as many bytes as a group of one takes, again and again. */
static double syncs_a_second(const char *folder, double duration)
{
    char path[600], block[512] = {0};
    (void)snprintf(path, sizeof path, "%s/sync", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0;
    double start = seconds(CLOCK_MONOTONIC), now = start;
    long n = 0;
    for (; now - start < duration; n++, now = seconds(CLOCK_MONOTONIC))
        if (write(fd, block, sizeof block) < 0 || fdatasync(fd) < 0)
            break;
    (void)close(fd);
    return (double)n / (now - start);
}

struct figures {
    double appends[RUNS];
    double events[RUNS];
    double events_cpu[RUNS];
};

static int append_for(struct rlog *log, struct chain *chain, struct store_batch *rider,
                      uint32_t group, double duration, struct figures *figures, int run)
{
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), now = start;
    long n = 0;
    for (; now - start < duration; n++, now = seconds(CLOCK_MONOTONIC)) {
        struct flz_view bytes = chain_make(chain, group, EVENT_SIZE);
        struct flz_view key = {chain->header.nonce.b, 8};
        store_batch_clear(rider);
        store_put(rider, ROWS, key, key);
        enum rlog_result result = rlog_append(log, chain->bounds.epoch, bytes, rider);
        if (result != RLOG_OK) {
            (void)fprintf(stderr, "append: %s\n", rlog_result_str(result));
            return -1;
        }
        chain_advance(chain);
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    figures->appends[run] = (double)n / (now - start);
    figures->events[run] = (double)n * group / (now - start);
    figures->events_cpu[run] = (double)n * group / cpu;
    return 0;
}

static int bench(struct rlog *log, double duration)
{
    static const uint32_t groups[] = {1, 16, 128};
    struct chain chain = {.nonce = 0};
    struct store_batch *rider = NULL;
    uint64_t epoch;
    int r = store_batch_new(&rider);
    if (r == 0 && (rlog_campaign(log, "bench", &epoch, NULL) != RLOG_OK ||
                   rlog_bounds(log, &chain.bounds) != RLOG_OK))
        r = -1;
    for (size_t i = 0; r == 0 && i < sizeof groups / sizeof *groups; i++) {
        struct figures figures;
        for (int run = 0; r == 0 && run < RUNS; run++)
            r = append_for(log, &chain, rider, groups[i], duration, &figures, run);
        if (r == 0)
            (void)printf("group=%u event_bytes=%d appends_per_s=%.0f events_per_s=%.0f "
                         "events_per_cpu_s=%.0f\n",
                         groups[i], EVENT_SIZE, median(figures.appends), median(figures.events),
                         median(figures.events_cpu));
    }
    chain_deinit(&chain);
    (void)store_batch_free(rider);
    return r;
}

int main(int argc, char **argv)
{
    double duration = argc > 2 ? atof(argv[2]) : 1.0;
    char *made = argc > 1 ? NULL : tree_new("bench");
    const char *folder = made ? made : argv[1];
    char path[600];
    struct store *store = NULL;
    struct rlog *log = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    struct store_options options = {
        .families = families, .families_count = FAMILIES, .no_ballast = true};
    if (!folder)
        return 1;
    (void)printf("syncs_per_s=%.0f\n", syncs_a_second(folder, duration));
    (void)snprintf(path, sizeof path, "%s/store", folder);
    int r = store_open(path, &options, &store, &msg);
    if (r == 0) {
        struct rlog_embedded_options embedded = {
            .store = store, .family_log = LOG, .family_meta = META};
        r = rlog_embedded_open(&embedded, &log, &msg);
    }
    if (r < 0)
        (void)fprintf(stderr, "%s\n", msg.text);
    else
        r = bench(log, duration);
    (void)rlog_close(log);
    (void)store_close(store);
    tree_free(made);
    return r < 0;
}
