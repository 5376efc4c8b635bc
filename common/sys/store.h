/*
 * The store: RocksDB with the options that were measured to be safe, and with its errors given
 * names.
 *
 * WAL recovery mode 0 (a torn tail is dropped, anything else is corruption by name: the default
 * would silently drop acknowledged data behind one flipped bit); info log at its quietest, since
 * its writer aborts the process on a full disk; paranoid checks; bounded memory. A ballast file of
 * twice the WAL and memtable keeps room for recovery when the disk fills: it is given up only
 * when the store cannot be opened without, and made again when space has returned.
 *
 * Threads: one at a time writes, from any thread; reads may come from another thread meanwhile.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_FAMILIES_MAX 32
#define STORE_FREE_MIN (256u << 20) /* bytes free below which store_admits() says no */

enum {
    STORE_E_ABSENT = 1, /* no such key */
    STORE_E_FULL,       /* the disk is full: nothing was written; try again when there is room */
    STORE_E_DELETED,    /* store_batch_find(): the batch deletes it */
};

struct store;
struct store_batch;

struct store_options {
    const char *const *families; /* names, in the order of the caller's enum; created if missing */
    size_t families_count;       /* at most STORE_FAMILIES_MAX */
    size_t write_buffer_size;    /* bytes of memtable per family; 0: 4 MiB */
    uint64_t free_min;           /* 0: STORE_FREE_MIN */
    bool no_ballast;             /* for tests */
};

/*
 * Opens, or makes, the store in the folder `path` (whose parent exists). 0; -EBUSY: another process
 * has it; -EUCLEAN: corruption, msg says where; -ENOSPC; negative.
 */
int store_open(const char *path, const struct store_options *options, struct store **ret_store,
               struct flz_msg *msg);
struct store *store_close(struct store *store);

/* ---- Writing ---- */

int store_batch_new(struct store_batch **ret_batch);
struct store_batch *store_batch_free(struct store_batch *batch);
void store_batch_clear(struct store_batch *batch);
void store_put(struct store_batch *batch, size_t family, struct flz_view key,
               struct flz_view value);
void store_delete(struct store_batch *batch, size_t family, struct flz_view key);
size_t store_batch_count(const struct store_batch *batch); /* puts and deletes */
size_t store_batch_bytes(const struct store_batch *batch);
/* Appends all of `from`, which is left as it is. */
void store_batch_copy(struct store_batch *batch, const struct store_batch *from);

/* What the batch would make of a key: 0 and the value (a view into the batch), STORE_E_DELETED, or
 * STORE_E_ABSENT when it does not touch it. Looks at every operation, newest last. */
int store_batch_find(const struct store_batch *batch, size_t family, struct flz_view key,
                     struct flz_view *ret_value);

/*
 * Writes the batch whole or not at all; with `sync` it is on the disk when 0 is returned. 0,
 * STORE_E_FULL, or negative: then the store is broken (a failed fsync may have lost what it
 * promised), every later write fails, and the process must end and recover. The batch is unchanged.
 */
int store_write(struct store *store, const struct store_batch *batch, bool sync);

/* ---- Reading: what was written, synced or not ---- */

/* Appends the value to `buf`. 0, STORE_E_ABSENT, negative. */
int store_get(struct store *store, size_t family, struct flz_view key, struct flz_buf *buf);

/* Calls on_pair for each key of the family from `first` on that begins with `prefix` (both may be
 * empty), in key order, until it answers other than 0. The views live during the call. Returns 0,
 * that answer, or -EUCLEAN. */
typedef int (*store_on_pair)(struct flz_view key, struct flz_view value, void *data);
int store_each(struct store *store, size_t family, struct flz_view first, struct flz_view prefix,
               store_on_pair on_pair, void *data);

/* The last key of a family, appended to `key` (and its value to `value`, which may be NULL). 0,
 * STORE_E_ABSENT, negative. */
int store_last(struct store *store, size_t family, struct flz_buf *key, struct flz_buf *value);

/* ---- Keeping ---- */

/* A consistent copy, by hard links where possible, in a folder that must not exist. 0 or
 * negative. */
int store_checkpoint(struct store *store, const char *path, struct flz_msg *msg);

/* False while less than free_min is free on the store's disk. Looks at most once a second. */
bool store_admits(struct store *store);

/* Bytes free on the store's disk, 0 when that cannot be told. Looks at most once a second. */
uint64_t store_free_bytes(struct store *store);

/* True once a write has failed for good. */
bool store_is_broken(const struct store *store);
