/*
 * A writer of the log is ended at each call that changes a file, in its first run and again in its
 * recovery: what it had acknowledged is there, whole, chained, with its riders and its archive, and
 * it goes on. The same for calls that fail, and for power cuts of a disk of its own.
 *
 * `crash_rlog [SEED]`; FLZ_LONG=1: every point instead of a sample. This process itself never opens
 * a store: writers and readers are its children.
 */
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "coordinator/rlog/rlog.h"
#include "tests/crash/killer.h"
#include "tests/lib/chain.h"
#include "tests/lib/tree.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENTS 40
#define TRIM_EVERY 9
#define FORGET_BEHIND 20
#define CHILD_SECONDS 60

enum { LOG, META, ROWS, FAMILIES };

static const char *const families[] = {"log", "meta", "rows"};

enum { WORKER_DONE = 0, WORKER_REFUSED = 3, READER_WRONG = 4 };

/* What writer and parent share: it outlives a SIGKILL. */
struct shared {
    atomic_uint_fast64_t acked;
    atomic_uint_fast64_t calls;
};

static struct shared *shared;
static int passed, failed, skipped;
static uint64_t calls_without_fault;

struct world {
    struct store *store;
    struct rlog *log;
    char archive[600];
};

static int open_world(const char *folder, struct world *world, struct flz_msg *msg)
{
    char path[600];
    struct store_options options = {.families = families,
                                    .families_count = FAMILIES,
                                    .write_buffer_size = 64u << 10, /* so that tables are written */
                                    .no_ballast = true};
    (void)snprintf(path, sizeof path, "%s/store", folder);
    (void)snprintf(world->archive, sizeof world->archive, "%s/archive", folder);
    int r = store_open(path, &options, &world->store, msg);
    if (r < 0)
        return r;
    struct rlog_embedded_options log = {.store = world->store,
                                        .family_log = LOG,
                                        .family_meta = META,
                                        .archive = world->archive};
    return rlog_embedded_open(&log, &world->log, msg);
}

/* ---- The writer ---- */

static void fill_rider(struct store_batch *rider, uint64_t seq)
{
    uint8_t key[8];
    flz_put_be64(key, seq);
    struct flz_view view = {key, sizeof key};
    store_batch_clear(rider);
    store_put(rider, ROWS, view, view);
    store_put(rider, ROWS, flz_view_str("applied"), view);
}

static int append_next(struct world *world, struct chain *chain, struct store_batch *rider)
{
    struct flz_view bytes = chain_make(chain, 1 + chain->bounds.last % 5, 1500);
    fill_rider(rider, chain->header.seq);
    if (rlog_append(world->log, chain->bounds.epoch, bytes, rider) != RLOG_OK)
        return WORKER_REFUSED;
    chain_advance(chain);
    atomic_store(&shared->acked, chain->header.seq);
    return WORKER_DONE;
}

/* Trims, and forgets what is far behind: segment n is of the time 1000 n. */
static enum rlog_result keep_some(struct world *world, const struct chain *chain,
                                  struct flz_msg *msg)
{
    uint64_t last = chain->bounds.last, epoch = chain->bounds.epoch;
    enum rlog_result result = rlog_trim(world->log, epoch, last - 3, msg);
    if (result == RLOG_OK && last > FORGET_BEHIND)
        result = rlog_forget(world->log, epoch, 1000 * (int64_t)(last - FORGET_BEHIND), msg);
    return result;
}

static int write_log(const char *folder, uint64_t until)
{
    struct world world = {.store = NULL};
    struct chain chain = {.nonce = 0};
    struct store_batch *rider = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    uint64_t epoch;
    if (open_world(folder, &world, &msg) != 0 || store_batch_new(&rider) < 0 ||
        rlog_campaign(world.log, "crash", &epoch, &msg) != RLOG_OK ||
        rlog_bounds(world.log, &chain.bounds) != RLOG_OK)
        return WORKER_REFUSED;
    /* A segment that was committed but not acknowledged may be found: from now on it counts. */
    if (chain.bounds.last > atomic_load(&shared->acked))
        atomic_store(&shared->acked, chain.bounds.last);
    int r = WORKER_DONE;
    while (r == WORKER_DONE && chain.bounds.last < until) {
        r = append_next(&world, &chain, rider);
        if (r == WORKER_DONE && chain.bounds.last % TRIM_EVERY == 0 &&
            keep_some(&world, &chain, &msg) != RLOG_OK)
            r = WORKER_REFUSED;
    }
    (void)rlog_close(world.log);
    (void)store_close(world.store);
    (void)store_batch_free(rider);
    chain_deinit(&chain);
    return r;
}

/* ---- The reader ---- */

/* Each file is of the archive's own, and none is half written. */
static int on_entry(const struct dirent *entry)
{
    const char *end = strstr(entry->d_name, ".segments");
    return entry->d_name[0] != '.' && (!end || strcmp(end, ".segments") != 0);
}

static bool is_clean(const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, on_entry, NULL);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return n <= 0;
}

static int complain(const char *what, const struct flz_msg *msg)
{
    (void)fprintf(stderr, "  %s: %s\n", what, msg->text);
    return READER_WRONG;
}

static int check_rows(const struct world *world, uint64_t last, struct flz_msg *msg)
{
    struct flz_buf buf = FLZ_BUF_NULL;
    int r = 0;
    for (uint64_t seq = 1; r == 0 && seq <= last + 1; seq++) {
        uint8_t key[8];
        flz_put_be64(key, seq);
        flz_buf_reset(&buf);
        r = store_get(world->store, ROWS, (struct flz_view){key, 8}, &buf);
        flz_msg_set(msg, "row %llu: %d", (unsigned long long)seq, r);
    }
    bool is_right = r == STORE_E_ABSENT; /* of the first segment that is not there */
    if (is_right && last > 0) {
        flz_buf_reset(&buf);
        is_right = store_get(world->store, ROWS, flz_view_str("applied"), &buf) == 0 &&
                   buf.len == 8 && flz_be64(buf.data) == last;
        flz_msg_set(msg, "the applied number is not %llu", (unsigned long long)last);
    }
    flz_buf_deinit(&buf);
    return is_right ? 0 : READER_WRONG;
}

/* Between `low` and `high` segments must be there. */
static int read_log(const char *folder, uint64_t low, uint64_t high)
{
    struct world world = {.store = NULL};
    struct flz_msg msg = FLZ_MSG_NULL;
    struct rlog_bounds bounds;
    if (open_world(folder, &world, &msg) != 0)
        return complain("cannot be opened", &msg);
    if (rlog_bounds(world.log, &bounds) != RLOG_OK || rlog_verify(world.log, &msg) != RLOG_OK)
        return complain("log", &msg);
    if (bounds.last < low || bounds.last > high) {
        flz_msg_set(&msg, "%llu to %llu expected, %llu there", (unsigned long long)low,
                    (unsigned long long)high, (unsigned long long)bounds.last);
        return complain("count", &msg);
    }
    if (check_rows(&world, bounds.last, &msg) != 0)
        return complain("riders", &msg);
    if (!is_clean(world.archive)) {
        flz_msg_set(&msg, "half-written files are left");
        return complain("archive", &msg);
    }
    (void)rlog_close(world.log);
    (void)store_close(world.store);
    return 0;
}

/* ---- Children ---- */

struct plan {
    const char *folder;
    enum killer_way way;
    uint64_t at; /* 0: nothing is counted */
    uint64_t until;
};

static pid_t start_writer(const struct plan *plan)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)alarm(CHILD_SECONDS);
    if (plan->at > 0)
        killer_arm(plan->folder, plan->way, plan->at);
    int r = write_log(plan->folder, plan->until);
    killer_disarm();
    atomic_store(&shared->calls, killer_count());
    _exit(r);
}

static int wait_for(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static int run_writer(const struct plan *plan)
{
    return wait_for(start_writer(plan));
}

static bool is_between(const char *folder, uint64_t low, uint64_t high)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(CHILD_SECONDS);
        _exit(read_log(folder, low, high));
    }
    return wait_for(pid) == 0;
}

/* One more than was acknowledged may be there: written, and its writer did not live to say so. */
static bool is_right(const char *folder)
{
    uint64_t acked = atomic_load(&shared->acked);
    return is_between(folder, acked, acked + 1);
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void tell(bool right, const char *what, uint64_t at, uint64_t again, int status)
{
    passed += right;
    failed += !right;
    if (!right)
        (void)fprintf(stderr, "FAILED: %s at call %llu, then %llu (status %x)\n", what,
                      (unsigned long long)at, (unsigned long long)again, (unsigned)status);
}

/* ---- Kills and failures ---- */

static uint64_t count_calls(void)
{
    char *folder = tree_new("crash");
    struct plan plan = {
        .folder = folder, .way = KILLER_COUNT, .at = UINT64_MAX, .until = SEGMENTS};
    int status = run_writer(&plan);
    bool right = status == 0 && is_right(folder);
    tell(right, "no fault", 0, 0, status);
    tree_free(folder);
    return atomic_load(&shared->calls);
}

static void kill_at(enum killer_way way, uint64_t at, uint64_t again)
{
    char *folder = tree_new("crash");
    atomic_store(&shared->acked, 0);
    struct plan plan = {.folder = folder, .way = way, .at = at, .until = SEGMENTS};
    int status = run_writer(&plan);
    /* RocksDB's threads make a few calls more or less: the last ones may not be reached. */
    bool right = was_killed(status) || (status == 0 && at + 10 > calls_without_fault);
    plan.at = again; /* in recovery, or soon after */
    if (right)
        (void)run_writer(&plan);
    right = right && is_right(folder);
    plan.at = 0;
    plan.until = SEGMENTS + 5;
    if (right)
        status = run_writer(&plan);
    right = right && status == 0 && is_right(folder) &&
            atomic_load(&shared->acked) == SEGMENTS + 5;
    tell(right, way == KILLER_TEAR ? "torn" : "killed", at, again, status);
    tree_free(folder);
}

/* The call fails: the writer refuses or goes on, but never acknowledges what is not there. */
static void fail_at(enum killer_way way, uint64_t at)
{
    char *folder = tree_new("crash");
    atomic_store(&shared->acked, 0);
    struct plan plan = {.folder = folder, .way = way, .at = at, .until = SEGMENTS};
    int status = run_writer(&plan);
    bool right = WIFEXITED(status) && (WEXITSTATUS(status) == WORKER_DONE ||
                                       WEXITSTATUS(status) == WORKER_REFUSED);
    right = right && is_right(folder);
    plan.at = 0;
    if (right)
        status = run_writer(&plan);
    right = right && status == 0 && is_right(folder);
    tell(right, way == KILLER_EIO ? "call fails" : "sync fails", at, 0, status);
    tree_free(folder);
}

/* ---- Power cuts ---- */

/* What counts as acknowledged was so before the cut: a sync that is under way when ext4 is shut
 * down may be told to be done, which no process would hear when the power goes. */
static bool cut_once(const char *disk, uint64_t acked_before_cut)
{
    struct plan plan = {.folder = disk, .until = UINT64_MAX};
    pid_t pid = start_writer(&plan);
    for (int i = 0; i < 20000 && atomic_load(&shared->acked) < acked_before_cut; i++)
        (void)usleep(500);
    uint64_t low = atomic_load(&shared->acked);
    bool is_cut = tree_power_cut(disk) == 0;
    (void)kill(pid, SIGKILL);
    (void)wait_for(pid);
    uint64_t high = atomic_load(&shared->acked) + 1;
    atomic_store(&shared->acked, low);
    tree_unmount(disk);
    return is_cut && low >= acked_before_cut && tree_remount(disk) == 0 &&
           is_between(disk, low, high);
}

static void power_cuts(struct flz_rng *rng, int cuts)
{
    char *folder = tree_new("power");
    char disk[300];
    (void)snprintf(disk, sizeof disk, "%s/disk", folder);
    if (mkdir(disk, 0700) < 0 || tree_mount(disk, "ext4", 256) < 0) {
        (void)printf("SKIPPED: power cuts need a loop device and ext4 (%s)\n", strerror(errno));
        skipped++;
        tree_free(folder);
        return;
    }
    atomic_store(&shared->acked, 0);
    for (int i = 0; i < cuts; i++) {
        uint64_t at = atomic_load(&shared->acked) + 1 + flz_rng_below(rng, 60);
        bool right = cut_once(disk, at);
        tell(right, "power cut", at, 0, 0);
        if (!right)
            break;
    }
    tree_unmount(disk);
    tree_free(folder);
}

int main(int argc, char **argv)
{
    bool is_long = getenv("FLZ_LONG") != NULL;
    struct flz_rng rng;
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    flz_rng_init(&rng, flz_view_str("crash"), seed);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    uint64_t calls = calls_without_fault = count_calls();
    uint64_t step = is_long ? 1 : calls / 24 + 1;
    (void)printf("%llu calls, seed %llu\n", (unsigned long long)calls, (unsigned long long)seed);
    for (uint64_t at = 1 + flz_rng_below(&rng, step); at <= calls; at += step) {
        kill_at(KILLER_KILL, at, 1 + flz_rng_below(&rng, 60));
        kill_at(KILLER_TEAR, at, 1 + flz_rng_below(&rng, 60));
    }
    for (uint64_t at = 1 + flz_rng_below(&rng, step); at <= calls; at += 2 * step)
        fail_at(KILLER_EIO, at);
    for (uint64_t at = 1; at <= SEGMENTS + 10; at += is_long ? 1 : 6)
        fail_at(KILLER_FSYNC, at);
    power_cuts(&rng, is_long ? 50 : 6);
    (void)printf("crash_rlog: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
