/*
 * The store against damage: what was acknowledged is there after a reopening, or the opening or the
 * reading is refused by name. FLZ_LONG=1 tries every byte and bit instead of a sample.
 */
#include "common/base/cleanup.h"
#include "common/base/rng.h"
#include "common/sys/store.h"
#include "tests/lib/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS, NAMES, FAMILIES };

static const char *const families[] = {"rows", "names"};

static const struct store_options options = {
    .families = families, .families_count = FAMILIES, .no_ballast = true};

FLZ_DEFINE_FREEP(struct store_batch, store_batch_free)

static bool is_long(void)
{
    return getenv("FLZ_LONG") != NULL;
}

static int setup(void **state)
{
    *state = tree_new("store");
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    tree_free(*state);
    return 0;
}

/* A path below the test's folder, from a ring of 4. */
static const char *below(void **state, const char *name)
{
    static char ring[4][512];
    static int at;
    char *path = ring[at++ % 4];
    (void)snprintf(path, sizeof ring[0], "%s/%s", (const char *)*state, name);
    return path;
}

static struct store *open_store(const char *path)
{
    struct store *store = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = store_open(path, &options, &store, &msg);
    if (r < 0)
        fail_msg("%s: %d", msg.text, r);
    return store;
}

static void put(struct store *store, size_t family, const char *key, const char *value)
{
    _cleanup_(store_batch_freep) struct store_batch *batch = NULL;
    assert_int_equal(store_batch_new(&batch), 0);
    store_put(batch, family, flz_view_str(key), flz_view_str(value));
    assert_int_equal(store_write(store, batch, true), 0);
}

static void assert_value(struct store *store, size_t family, const char *key, const char *value)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = store_get(store, family, flz_view_str(key), &buf);
    if (!value) {
        assert_int_equal(r, STORE_E_ABSENT);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(flz_buf_str(&buf), value);
}

/* ---- Round trips ---- */

static void what_was_put_is_there_after_reopening(void **state)
{
    const char *path = below(state, "s");
    struct store *store = open_store(path);
    put(store, ROWS, "a", "1");
    put(store, NAMES, "a", "2");
    put(store, ROWS, "empty", "");
    assert_value(store, ROWS, "a", "1");
    assert_null(store_close(store));

    store = open_store(path);
    assert_value(store, ROWS, "a", "1");
    assert_value(store, NAMES, "a", "2");
    assert_value(store, ROWS, "empty", "");
    assert_value(store, ROWS, "b", NULL);
    assert_value(store, NAMES, "empty", NULL);
    assert_false(store_is_broken(store));
    (void)store_close(store);
}

static void a_value_is_appended_to_the_buffer(void **state)
{
    struct store *store = open_store(below(state, "s"));
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    put(store, ROWS, "k", "tail");
    flz_buf_add_str(&buf, "head-");
    assert_int_equal(store_get(store, ROWS, flz_view_str("k"), &buf), 0);
    assert_string_equal(flz_buf_str(&buf), "head-tail");
    (void)store_close(store);
}

static void a_batch_acts_in_its_order(void **state)
{
    struct store *store = open_store(below(state, "s"));
    _cleanup_(store_batch_freep) struct store_batch *batch = NULL, *other = NULL;
    assert_int_equal(store_batch_new(&batch), 0);
    assert_int_equal(store_batch_new(&other), 0);
    put(store, ROWS, "gone", "x");
    store_put(batch, ROWS, flz_view_str("k"), flz_view_str("first"));
    store_delete(batch, ROWS, flz_view_str("gone"));
    store_delete(batch, ROWS, flz_view_str("k"));
    store_put(other, ROWS, flz_view_str("k"), flz_view_str("second"));
    store_put(other, NAMES, flz_view_str("k"), flz_view_str("third"));
    store_batch_copy(batch, other);
    assert_int_equal(store_batch_count(other), 2);
    assert_int_equal(store_batch_count(batch), 5);
    assert_int_equal(store_write(store, batch, false), 0);
    assert_value(store, ROWS, "gone", NULL);
    assert_value(store, ROWS, "k", "second");
    assert_value(store, NAMES, "k", "third");

    store_batch_clear(batch);
    assert_int_equal(store_batch_count(batch), 0);
    assert_int_equal(store_write(store, batch, true), 0);
    (void)store_close(store);
}

static void a_batch_tells_what_it_would_make_of_a_key(void **state)
{
    _cleanup_(store_batch_freep) struct store_batch *batch = NULL;
    struct flz_view value = FLZ_VIEW_NULL;
    (void)state;
    assert_int_equal(store_batch_new(&batch), 0);
    struct flz_view k = flz_view_str("k");
    assert_int_equal(store_batch_find(batch, ROWS, k, &value), STORE_E_ABSENT);
    store_put(batch, ROWS, k, flz_view_str("one"));
    store_put(batch, NAMES, k, flz_view_str("other"));
    assert_int_equal(store_batch_find(batch, ROWS, k, &value), 0);
    assert_true(flz_view_equal(value, flz_view_str("one")));
    assert_int_equal(store_batch_find(batch, ROWS, flz_view_str("kk"), &value), STORE_E_ABSENT);
    store_delete(batch, ROWS, k);
    assert_int_equal(store_batch_find(batch, ROWS, k, &value), STORE_E_DELETED);
    assert_int_equal(store_batch_find(batch, NAMES, k, &value), 0);
    store_put(batch, ROWS, k, flz_view_str("two"));
    assert_int_equal(store_batch_find(batch, ROWS, k, &value), 0);
    assert_true(flz_view_equal(value, flz_view_str("two")));
}

/* ---- Iteration ---- */

struct seen {
    char text[256];
    int stop_after;
    int answer;
};

static int on_seen(struct flz_view key, struct flz_view value, void *data)
{
    struct seen *seen = data;
    size_t n = strlen(seen->text);
    (void)snprintf(seen->text + n, sizeof seen->text - n, "%.*s=%.*s ", (int)key.len,
                   (const char *)key.data, (int)value.len, (const char *)value.data);
    return seen->stop_after > 0 && --seen->stop_after == 0 ? seen->answer : 0;
}

static void assert_walk(struct store *store, const char *first, const char *prefix,
                        const char *expected)
{
    struct seen seen = {.stop_after = 0};
    assert_int_equal(
        store_each(store, ROWS, flz_view_str(first), flz_view_str(prefix), on_seen, &seen), 0);
    assert_string_equal(seen.text, expected);
}

static void iteration_is_ordered_and_bounded_by_first_and_prefix(void **state)
{
    struct store *store = open_store(below(state, "s"));
    put(store, ROWS, "b2", "4");
    put(store, ROWS, "a", "1");
    put(store, ROWS, "b", "2");
    put(store, ROWS, "c", "5");
    put(store, ROWS, "b1", "3");
    put(store, NAMES, "b9", "no");
    assert_walk(store, "", "", "a=1 b=2 b1=3 b2=4 c=5 ");
    assert_walk(store, "b1", "", "b1=3 b2=4 c=5 ");
    assert_walk(store, "b1", "b", "b1=3 b2=4 ");
    assert_walk(store, "", "b", "b=2 b1=3 b2=4 ");
    assert_walk(store, "", "d", "");
    assert_walk(store, "z", "", "");
    (void)store_close(store);
}

static void iteration_ends_with_the_callers_answer(void **state)
{
    struct store *store = open_store(below(state, "s"));
    put(store, ROWS, "a", "1");
    put(store, ROWS, "b", "2");
    struct seen seen = {.stop_after = 1, .answer = 7};
    assert_int_equal(store_each(store, ROWS, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_seen, &seen), 7);
    assert_string_equal(seen.text, "a=1 ");
    seen = (struct seen){.stop_after = 2, .answer = -EPROTO};
    assert_int_equal(store_each(store, ROWS, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_seen, &seen),
                     -EPROTO);
    (void)store_close(store);
}

static void the_last_key_of_a_family_is_told(void **state)
{
    struct store *store = open_store(below(state, "s"));
    _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL, value = FLZ_BUF_NULL;
    assert_int_equal(store_last(store, ROWS, &key, &value), STORE_E_ABSENT);
    put(store, ROWS, "a", "1");
    put(store, ROWS, "c", "3");
    put(store, NAMES, "z", "9");
    assert_int_equal(store_last(store, ROWS, &key, &value), 0);
    assert_string_equal(flz_buf_str(&key), "c");
    assert_string_equal(flz_buf_str(&value), "3");
    flz_buf_reset(&key);
    assert_int_equal(store_last(store, NAMES, &key, NULL), 0);
    assert_string_equal(flz_buf_str(&key), "z");
    (void)store_close(store);
}

/* ---- One process at a time ---- */

static int hold(const char *path)
{
    struct store *store;
    char byte;
    if (store_open(path, &options, &store, NULL) < 0)
        return 1;
    if (write(STDOUT_FILENO, "h", 1) != 1 || read(STDIN_FILENO, &byte, 1) < 0)
        return 1;
    (void)store_close(store);
    return 0;
}

static void a_second_process_is_refused(void **state)
{
    const char *path = below(state, "s");
    int in[2], out[2], status;
    pid_t pid;
    char byte;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    char *argv[] = {(char *)"test_store", (char *)"--hold", (char *)path, NULL};
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(read(out[0], &byte, 1), 1);

    struct store *store = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(store_open(path, &options, &store, &msg), -EBUSY);
    assert_non_null(strstr(msg.text, path));

    assert_int_equal(write(in[1], "q", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        (void)close(in[i]);
        (void)close(out[i]);
    }
    store = open_store(path);
    assert_int_equal(store_open(path, &options, &store, &msg), -EBUSY);
    (void)store_close(store);
}

static void a_missing_parent_is_told(void **state)
{
    struct store *store = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_true(store_open(below(state, "no/such/s"), &options, &store, &msg) < 0);
    assert_non_null(strstr(msg.text, "no/such/s"));
}

static void a_family_may_join_later(void **state)
{
    const char *path = below(state, "s");
    static const char *const more[] = {"rows", "names", "later"};
    struct store_options wider = options;
    struct store *store = open_store(path);
    put(store, ROWS, "a", "1");
    (void)store_close(store);
    wider.families = more;
    wider.families_count = 3;
    assert_int_equal(store_open(path, &wider, &store, NULL), 0);
    put(store, 2, "x", "y");
    assert_value(store, ROWS, "a", "1");
    assert_value(store, 2, "x", "y");
    (void)store_close(store);
}

/* ---- Checkpoints ---- */

static void a_checkpoint_is_a_store_of_that_moment(void **state)
{
    const char *path = below(state, "s"), *copy = below(state, "copy");
    struct store *store = open_store(path);
    struct flz_msg msg = FLZ_MSG_NULL;
    put(store, ROWS, "a", "1");
    assert_int_equal(store_checkpoint(store, copy, &msg), 0);
    put(store, ROWS, "a", "2");
    assert_true(store_checkpoint(store, copy, &msg) < 0);
    assert_true(msg.text[0] != '\0');
    struct store *other = open_store(copy);
    assert_value(other, ROWS, "a", "1");
    assert_value(store, ROWS, "a", "2");
    (void)store_close(other);
    (void)store_close(store);
}

/* ---- Damage ---- */

#define RECORDS 160

struct made {
    char path[512];
    char wal[512];
    off_t ends[RECORDS]; /* size of the WAL after each record */
};

static void record_value(int i, char value[static 100])
{
    (void)snprintf(value, 100, "value %d %.*s", i, 20 + i % 60,
                   "the quick brown fox jumps over the lazy dog, the quick brown fox jumps over");
}

/* A store of RECORDS synced batches that are in the WAL alone, or all in tables too. */
static void make_records(void **state, struct made *made)
{
    (void)snprintf(made->path, sizeof made->path, "%s", below(state, "made"));
    struct store *store = open_store(made->path);
    for (int i = 0; i < RECORDS; i++) {
        char key[16], value[100];
        struct stat st;
        (void)snprintf(key, sizeof key, "%05d", i);
        record_value(i, value);
        put(store, i % FAMILIES, key, value);
        if (i == 0)
            assert_true(tree_find(made->path, ".log", made->wal, sizeof made->wal));
        assert_int_equal(stat(made->wal, &st), 0);
        made->ends[i] = st.st_size;
    }
    (void)store_close(store);
}

struct tally {
    int next; /* the record expected next in each family, interleaved */
    size_t family;
    int wrong;
};

static int on_record(struct flz_view key, struct flz_view view, void *data)
{
    struct tally *tally = data;
    char name[16], value[100];
    (void)snprintf(name, sizeof name, "%05d", tally->next);
    record_value(tally->next, value);
    if (!flz_view_equal(key, flz_view_str(name)) || !flz_view_equal(view, flz_view_str(value)))
        tally->wrong++;
    tally->next += FAMILIES;
    return 0;
}

/* Reads all: 0 when the first `count` records are there as written and nothing else, -EUCLEAN when
 * the store says it is damaged, 1 when it silently shows something else. */
static int read_records(struct store *store, int count)
{
    for (size_t family = 0; family < FAMILIES; family++) {
        struct tally tally = {.next = (int)family, .family = family};
        int r = store_each(store, family, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_record, &tally);
        if (r < 0)
            return r;
        int expected = count - (int)family + FAMILIES - 1;
        if (tally.wrong > 0 || (tally.next - (int)family) / FAMILIES != expected / FAMILIES)
            return 1;
    }
    return 0;
}

static int open_and_read(const char *path, int count, struct flz_msg *msg)
{
    struct store *store = NULL;
    int r = store_open(path, &options, &store, msg);
    if (r < 0)
        return r;
    r = read_records(store, count);
    (void)store_close(store);
    return r;
}

static void a_torn_tail_costs_what_was_torn_and_nothing_else(void **state)
{
    static struct made made;
    make_records(state, &made);
    const char *copy = below(state, "copy");
    char wal[600];
    (void)snprintf(wal, sizeof wal, "%s%s", copy, made.wal + strlen(made.path));
    off_t end = made.ends[RECORDS - 1];
    int step = is_long() ? 1 : 29, tried = 0;
    for (off_t cut = end; cut > end - 4096 && cut >= 0; cut -= step, tried++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        int whole = 0;
        while (whole < RECORDS && made.ends[whole] <= cut)
            whole++;
        assert_int_equal(tree_copy(made.path, copy), 0);
        assert_int_equal(truncate(wal, cut), 0);
        int r = open_and_read(copy, whole, &msg);
        if (r != 0)
            fail_msg("cut at %ld of %ld: %d %s", (long)cut, (long)end, r, msg.text);
        tree_remove(copy);
    }
    print_message("%d cuts\n", tried);
}

/* Flips one bit of a copy's file and reads: intact, refused by name, or (fails) silently other. */
static void flip_and_read(void **state, const char *made, const char *file, off_t offset, int bit,
                          int tallies[2])
{
    const char *copy = below(state, "copy");
    char path[600];
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(tree_copy(made, copy), 0);
    (void)snprintf(path, sizeof path, "%s%s", copy, file + strlen(made));
    tree_flip(path, offset, bit);
    int r = open_and_read(copy, RECORDS, &msg);
    if (r == 0)
        tallies[0]++;
    else if (r == -EUCLEAN)
        tallies[1]++;
    else
        fail_msg("%s, byte %ld bit %d: %d %s", strrchr(file, '/'), (long)offset, bit, r, msg.text);
    tree_remove(copy);
}

static void flip_everywhere(void **state, const char *made, const char *suffix, int samples)
{
    char file[512];
    struct stat st;
    struct flz_rng rng;
    int tallies[2] = {0, 0};
    assert_true(tree_find(made, suffix, file, sizeof file));
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size > 0);
    flz_rng_init(&rng, flz_view_str(suffix), 1);
    if (is_long())
        samples *= 20;
    for (int i = 0; i < samples; i++) {
        off_t offset = (off_t)flz_rng_below(&rng, (uint64_t)st.st_size);
        flip_and_read(state, made, file, offset, (int)flz_rng_below(&rng, 8), tallies);
    }
    print_message("%s: %d flips without effect, %d refused\n", suffix, tallies[0], tallies[1]);
}

static void a_flipped_bit_in_the_wal_is_never_silent(void **state)
{
    static struct made made;
    make_records(state, &made);
    flip_everywhere(state, made.path, ".log", 60);
}

/* The header of a record (checksum 4, length 2, type 1) is where a reader can be misled: each bit
 * of the first, a middle and the last one. */
static void a_flipped_bit_in_a_wal_header_is_never_silent(void **state)
{
    static struct made made;
    int tallies[2] = {0, 0};
    make_records(state, &made);
    const off_t starts[] = {made.ends[0], made.ends[RECORDS / 2], made.ends[RECORDS - 2]};
    for (size_t i = 0; i < 3; i++)
        for (int bit = 0; bit < 7 * 8; bit++)
            flip_and_read(state, made.path, made.wal, starts[i] + bit / 8, bit % 8, tallies);
    print_message("headers: %d flips without effect, %d refused\n", tallies[0], tallies[1]);
}

static void a_flipped_bit_in_tables_and_manifest_is_never_silent(void **state)
{
    static struct made made;
    make_records(state, &made);
    (void)store_close(open_store(made.path)); /* recovery puts the records into tables */
    flip_everywhere(state, made.path, ".sst", 80);
    flip_everywhere(state, made.path, "MANIFEST-", 80);
    flip_everywhere(state, made.path, "CURRENT", 20);
}

static void a_missing_current_is_never_taken_for_an_empty_store(void **state)
{
    static struct made made;
    char path[600];
    make_records(state, &made);
    (void)snprintf(path, sizeof path, "%s/CURRENT", made.path);
    assert_int_equal(unlink(path), 0);
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(open_and_read(made.path, RECORDS, &msg), -EUCLEAN);
    assert_non_null(strstr(msg.text, "CURRENT"));
}

static void corruption_is_not_taken_for_a_lock(void **state)
{
    static struct made made;
    char file[512];
    make_records(state, &made);
    (void)store_close(open_store(made.path));
    assert_true(tree_find(made.path, ".sst", file, sizeof file));
    tree_flip(file, 100, 3);
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(open_and_read(made.path, RECORDS, &msg), -EUCLEAN);
}

/* ---- A full disk ---- */

#define BLOCK 65536

/* What no compression makes smaller. */
static struct flz_view block_of(int i)
{
    static uint64_t block[BLOCK / 8];
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("block"), (uint64_t)i);
    for (size_t at = 0; at < BLOCK / 8; at++)
        block[at] = flz_rng_next(&rng);
    return (struct flz_view){.data = (const uint8_t *)block, .len = BLOCK};
}

static int write_block(struct store *store, int i)
{
    _cleanup_(store_batch_freep) struct store_batch *batch = NULL;
    char key[16];
    (void)snprintf(key, sizeof key, "%05d", i);
    assert_int_equal(store_batch_new(&batch), 0);
    store_put(batch, ROWS, flz_view_str(key), block_of(i));
    return store_write(store, batch, true);
}

static int on_block(struct flz_view key, struct flz_view value, void *data)
{
    int *count = data;
    char name[16];
    (void)snprintf(name, sizeof name, "%05d", *count);
    assert_true(flz_view_equal(key, flz_view_str(name)));
    assert_true(flz_view_equal(value, block_of(*count)));
    (*count)++;
    return 0;
}

static void assert_blocks(struct store *store, int count)
{
    int seen = 0;
    assert_int_equal(store_each(store, ROWS, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_block, &seen), 0);
    assert_int_equal(seen, count);
}

/* Fills the disk behind the store, writes until it is full, and checks that it stays so, that what
 * was acknowledged is read meanwhile, and that it goes on when there is room. */
static void fill_and_resume(const char *disk, bool ballast)
{
    char path[600], filler[600];
    struct store_options small = options;
    struct store *store = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    int count = 0, r = 0;
    small.no_ballast = !ballast;
    small.write_buffer_size = 1u << 20;
    small.free_min = 8u << 20;
    (void)snprintf(path, sizeof path, "%s/s", disk);
    (void)snprintf(filler, sizeof filler, "%s/filler", disk);
    if (store_open(path, &small, &store, &msg) < 0)
        fail_msg("%s", msg.text);
    assert_true(store_admits(store));
    assert_int_equal(write_block(store, count++), 0);
    tree_fill(filler, 6u << 20);
    (void)usleep(1050 * 1000);
    assert_false(store_admits(store));
    while ((r = write_block(store, count)) == 0 && count < 4000)
        count++;
    assert_int_equal(r, STORE_E_FULL);
    assert_false(store_is_broken(store));
    assert_blocks(store, count);
    for (int i = 0; i < 5; i++) {
        while ((r = write_block(store, count)) == 0 && count < 4000)
            count++;
        assert_int_equal(r, STORE_E_FULL);
        assert_blocks(store, count);
    }
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(write_block(store, count++), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(write_block(store, count++), 0);
    assert_blocks(store, count);
    (void)store_close(store);
    assert_int_equal(store_open(path, &small, &store, &msg), 0);
    assert_blocks(store, count);
    (void)store_close(store);
}

/* A file system of its own, in memory or on a loop device; skips loudly where that is not
 * allowed. */
static void on_small_disk(void **state, const char *type, bool ballast)
{
    const char *disk = below(state, "disk");
    assert_int_equal(mkdir(disk, 0700), 0);
    if (tree_mount(disk, type, ballast ? 240 : 96) < 0) {
        print_message("SKIPPED: no small %s can be mounted here (%s)\n", type, strerror(errno));
        skip();
    }
    fill_and_resume(disk, ballast);
    tree_unmount(disk);
}

static const struct store_options ballasted = {.families = families, .families_count = FAMILIES};

static struct store *open_ballasted(const char *path)
{
    struct store *store = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (store_open(path, &ballasted, &store, &msg) < 0)
        fail_msg("%s", msg.text);
    return store;
}

/* A process of its own writes blocks from `count` on until the disk is full, and ends as by a
 * kill. */
static int fill(const char *path, const char *count)
{
    struct store *store = open_ballasted(path);
    int i = atoi(count), r;
    while ((r = write_block(store, i)) == 0)
        i++;
    char text[16];
    int n = snprintf(text, sizeof text, "%d", i);
    _exit(r == STORE_E_FULL && write(STDOUT_FILENO, text, (size_t)n) == n ? 0 : 1);
}

static int fill_and_die(const char *path, int count)
{
    int out[2], status;
    pid_t pid;
    char text[16] = "";
    (void)snprintf(text, sizeof text, "%d", count);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    char *argv[] = {(char *)"test_store", (char *)"--fill", (char *)path, text, NULL};
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(out[1]);
    char answer[16] = "";
    assert_true(read(out[0], answer, sizeof answer - 1) > 0);
    (void)close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return atoi(answer);
}

/* However often it dies while there is no room, it opens, and all is there: the first time on its
 * ballast, though somebody else has taken all that was left, then on what it left free itself. */
static void a_full_disk_never_keeps_a_store_from_opening(void **state)
{
    const char *disk = below(state, "disk");
    char path[600], filler[600], rest[600];
    int count = 0;
    assert_int_equal(mkdir(disk, 0700), 0);
    if (tree_mount(disk, "ext4", 320) < 0) {
        print_message("SKIPPED: no small ext4 can be mounted here (%s)\n", strerror(errno));
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/s", disk);
    (void)snprintf(filler, sizeof filler, "%s/filler", disk);
    (void)snprintf(rest, sizeof rest, "%s/rest", disk);
    (void)store_close(open_ballasted(path));
    tree_fill(filler, 30u << 20);
    for (int life = 0; life < 4; life++) {
        int before = count;
        count = fill_and_die(path, count);
        assert_true(life > 1 || count > before); /* what recovery does not need is of use */
        if (life == 0)
            tree_fill(rest, 0);
        struct store *store = open_ballasted(path);
        assert_blocks(store, count);
        (void)store_close(store);
    }
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(unlink(rest), 0);
    struct store *store = open_ballasted(path);
    assert_int_equal(write_block(store, count++), 0);
    assert_blocks(store, count);
    (void)store_close(store);
    tree_unmount(disk);
}

static void a_full_tmpfs_refuses_and_resumes(void **state)
{
    on_small_disk(state, "tmpfs", false);
}

static void a_full_ext4_refuses_and_resumes(void **state)
{
    on_small_disk(state, "ext4", false);
}

static void with_ballast_a_full_disk_resumes(void **state)
{
    on_small_disk(state, "ext4", true);
}

static void a_store_on_a_full_disk_is_refused_without_an_abort(void **state)
{
    const char *disk = below(state, "disk");
    char path[600], filler[600];
    struct store *store = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(mkdir(disk, 0700), 0);
    if (tree_mount(disk, "tmpfs", 24) < 0) {
        print_message("SKIPPED: no small tmpfs can be mounted here (%s)\n", strerror(errno));
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/s", disk);
    (void)snprintf(filler, sizeof filler, "%s/filler", disk);
    for (int round = 0; round < 2; round++) { /* a new store, then one that is there */
        tree_fill(filler, 0);
        assert_int_equal(store_open(path, &options, &store, &msg), -ENOSPC);
        assert_non_null(strstr(msg.text, path));
        assert_int_equal(unlink(filler), 0);
        store = open_store(path);
        put(store, ROWS, "a", "1");
        (void)store_close(store);
    }
    tree_unmount(disk);
}

static void the_ballast_is_twice_what_recovery_writes(void **state)
{
    const char *path = below(state, "s");
    struct store_options with = options;
    struct store *store = NULL;
    struct stat st;
    with.no_ballast = false;
    assert_int_equal(store_open(path, &with, &store, NULL), 0);
    assert_int_equal(stat(below(state, "s.ballast"), &st), 0);
    assert_true(st.st_size >= 2 * (off_t)((32u << 20) + (4u << 20)));
    assert_true(st.st_blocks * 512 >= st.st_size);
    (void)store_close(store);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--hold") == 0)
        return hold(argv[2]);
    if (argc == 4 && strcmp(argv[1], "--fill") == 0)
        return fill(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        test(what_was_put_is_there_after_reopening),
        test(a_value_is_appended_to_the_buffer),
        test(a_batch_acts_in_its_order),
        test(a_batch_tells_what_it_would_make_of_a_key),
        test(iteration_is_ordered_and_bounded_by_first_and_prefix),
        test(iteration_ends_with_the_callers_answer),
        test(the_last_key_of_a_family_is_told),
        test(a_second_process_is_refused),
        test(a_missing_parent_is_told),
        test(a_family_may_join_later),
        test(a_checkpoint_is_a_store_of_that_moment),
        test(a_torn_tail_costs_what_was_torn_and_nothing_else),
        test(a_flipped_bit_in_the_wal_is_never_silent),
        test(a_flipped_bit_in_a_wal_header_is_never_silent),
        test(a_flipped_bit_in_tables_and_manifest_is_never_silent),
        test(a_missing_current_is_never_taken_for_an_empty_store),
        test(corruption_is_not_taken_for_a_lock),
        test(a_full_tmpfs_refuses_and_resumes),
        test(a_full_ext4_refuses_and_resumes),
        test(with_ballast_a_full_disk_resumes),
        test(a_full_disk_never_keeps_a_store_from_opening),
        test(a_store_on_a_full_disk_is_refused_without_an_abort),
        test(the_ballast_is_twice_what_recovery_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
