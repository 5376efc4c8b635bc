#include "common/sys/store.h"

#include "common/base/cleanup.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "common/sys/store_check.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_BUFFER_DEFAULT (4u << 20)
#define WAL_MAX (32u << 20)
#define BLOCK_CACHE_SIZE (16u << 20)
#define OPEN_FILES_MAX 256
#define OPEN_FREE_MIN (2u << 20) /* bytes */
#define WAL_RECOVERY_TOLERATE_TORN_TAIL 0
#define INFO_LOG_HEADER_ONLY 5

struct store {
    char path[4096];
    char ballast[4200];
    struct store_options options;
    char *names[STORE_FAMILIES_MAX]; /* owned */
    /* Readers hold it shared; reopening after a full disk holds it alone. */
    pthread_rwlock_t lock;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *families[STORE_FAMILIES_MAX];
    rocksdb_options_t *db_options;
    rocksdb_cache_t *cache;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options[2]; /* by sync */
    bool full;                                /* the last write met a full disk */
    bool ballasted;                           /* the ballast lies there */
    atomic_bool broken;
    int64_t looked_boot; /* when free space was last looked at */
    uint64_t free_bytes; /* as it was found then */
};

/* Operations in our own form: RocksDB's batches are bound to an open database's families, ours
 * outlive a reopening. */
struct store_op {
    uint8_t family;
    bool is_delete;
    uint32_t key;
    uint32_t value;
};

struct store_batch {
    struct flz_buf bytes; /* keys and values, one after another, in the order of the operations */
    struct store_op *ops; /* owned */
    size_t count;
    size_t capacity;
    bool failed;
};

/* ---- Errors ---- */

/* Takes RocksDB's message and gives it a name. */
static int name_error(char *error, struct flz_msg *msg)
{
    _cleanup_(flz_freep) char *owned = error;
    flz_msg_set(msg, "%s", owned);
    if (strncmp(owned, "Corruption", 10) == 0 ||
        (strstr(owned, "MANIFEST-") && strstr(owned, "No such file")))
        return flz_fail(-EUCLEAN);
    if (strstr(owned, "While lock file") || strstr(owned, "lock hold by current process"))
        return flz_fail(-EBUSY);
    /* A write that met a full disk was not done; a sync that did may have been, in part. */
    if ((strstr(owned, "No space left") || strstr(owned, "Disk quota exceeded")) &&
        !strstr(owned, "While fdatasync") && !strstr(owned, "While fsync"))
        return STORE_E_FULL;
    return flz_fail(-EIO);
}

/* ---- Opening ---- */

static size_t buffer_size(const struct store *store)
{
    return store->options.write_buffer_size ? store->options.write_buffer_size
                                            : WRITE_BUFFER_DEFAULT;
}

static void make_options(struct store *store)
{
    store->cache = rocksdb_cache_create_lru(BLOCK_CACHE_SIZE);
    store->table_options = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(store->table_options, store->cache);
    rocksdb_block_based_options_set_filter_policy(store->table_options,
                                                  rocksdb_filterpolicy_create_bloom_full(10));

    rocksdb_options_t *o = store->db_options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, WAL_RECOVERY_TOLERATE_TORN_TAIL);
    rocksdb_options_set_info_log_level(o, INFO_LOG_HEADER_ONLY);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_max_log_file_size(o, 1u << 20);
    rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_max_total_wal_size(o, WAL_MAX);
    rocksdb_options_set_write_buffer_size(o, buffer_size(store));
    rocksdb_options_set_block_based_table_factory(o, store->table_options);

    store->read_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(store->read_options, 1);
    for (int sync = 0; sync < 2; sync++) {
        store->write_options[sync] = rocksdb_writeoptions_create();
        rocksdb_writeoptions_set_sync(store->write_options[sync], (unsigned char)sync);
    }
}

/* RocksDB writes its info log while it opens, at any level, and aborts the process when that
 * fails. */
static bool has_room_to_open(const struct store *store)
{
    uint64_t free_bytes;
    (void)mkdir(store->path, 0700); /* a failure is told by the opening */
    return fsutil_free_bytes(store->path, &free_bytes) < 0 || free_bytes >= OPEN_FREE_MIN;
}

static int open_db(struct store *store, struct flz_msg *msg)
{
    if (!has_room_to_open(store)) {
        flz_msg_set(msg, "No space left on device");
        return flz_fail(-ENOSPC);
    }
    const char *names[STORE_FAMILIES_MAX + 1] = {"default"};
    const rocksdb_options_t *options[STORE_FAMILIES_MAX + 1];
    rocksdb_column_family_handle_t *handles[STORE_FAMILIES_MAX + 1];
    size_t n = store->options.families_count;
    for (size_t i = 0; i <= n; i++) {
        options[i] = store->db_options;
        if (i < n)
            names[i + 1] = store->names[i];
    }
    char *error = NULL;
    store->db = rocksdb_open_column_families(store->db_options, store->path, (int)n + 1, names,
                                             options, handles, &error);
    if (error) {
        store->db = NULL;
        int r = name_error(error, msg);
        return r == STORE_E_FULL ? flz_fail(-ENOSPC) : r;
    }
    rocksdb_column_family_handle_destroy(handles[0]);
    for (size_t i = 0; i < n; i++)
        store->families[i] = handles[i + 1];
    return 0;
}

static void close_db(struct store *store)
{
    if (!store->db)
        return;
    for (size_t i = 0; i < store->options.families_count; i++)
        rocksdb_column_family_handle_destroy(store->families[i]);
    rocksdb_close(store->db);
    store->db = NULL;
}

/* ---- The ballast ---- */

static bool is_ballasted(const struct store *store, uint64_t size)
{
    struct stat st;
    return stat(store->ballast, &st) == 0 && (uint64_t)st.st_size >= size;
}

/* Best effort. */
static void make_ballast(struct store *store)
{
    if (store->options.no_ballast)
        return;
    uint64_t size = 2 * (WAL_MAX + (uint64_t)buffer_size(store)), free_bytes;
    store->ballasted = is_ballasted(store, size);
    /* On a disk with little room it would take what is to be written now. */
    if (store->ballasted || fsutil_free_bytes(store->path, &free_bytes) < 0 ||
        free_bytes < 2 * size)
        return;
    int fd = open(store->ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    store->ballasted = posix_fallocate(fd, 0, (off_t)size) == 0;
    if (!store->ballasted)
        (void)unlink(store->ballast);
    (void)close(fd);
}

/* Recovery writes before it can free: this is what the ballast is kept for. */
static int open_db_on_ballast(struct store *store, struct flz_msg *msg)
{
    int r = open_db(store, msg);
    if (r != -ENOSPC || unlink(store->ballast) < 0)
        return r;
    store->ballasted = false;
    return open_db(store, msg);
}

FLZ_DEFINE_FREEP(struct store, store_close)

int store_open(const char *path, const struct store_options *options, struct store **ret_store,
               struct flz_msg *msg)
{
    assert(options->families_count <= STORE_FAMILIES_MAX);
    _cleanup_(store_closep) struct store *store = calloc(1, sizeof *store);
    if (!store)
        return flz_fail(-ENOMEM);
    (void)pthread_rwlock_init(&store->lock, NULL);
    (void)snprintf(store->path, sizeof store->path, "%s", path);
    (void)snprintf(store->ballast, sizeof store->ballast, "%s.ballast", path);
    store->options = *options;
    for (size_t i = 0; i < options->families_count; i++) {
        store->names[i] = strdup(options->families[i]);
        if (!store->names[i])
            return flz_fail(-ENOMEM);
    }
    make_options(store);
    int r = store_check(path, msg);
    if (r == 0)
        r = open_db_on_ballast(store, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "%s", path);
        return r;
    }
    make_ballast(store);
    *ret_store = steal_ptr(&store);
    return 0;
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    close_db(store);
    for (size_t i = 0; i < STORE_FAMILIES_MAX; i++)
        free(store->names[i]);
    if (store->db_options) {
        rocksdb_writeoptions_destroy(store->write_options[0]);
        rocksdb_writeoptions_destroy(store->write_options[1]);
        rocksdb_readoptions_destroy(store->read_options);
        rocksdb_options_destroy(store->db_options);
        rocksdb_block_based_options_destroy(store->table_options);
        rocksdb_cache_destroy(store->cache);
    }
    (void)pthread_rwlock_destroy(&store->lock);
    free(store);
    return NULL;
}

/* ---- Batches ---- */

int store_batch_new(struct store_batch **ret_batch)
{
    struct store_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return flz_fail(-ENOMEM);
    *ret_batch = batch;
    return 0;
}

struct store_batch *store_batch_free(struct store_batch *batch)
{
    if (!batch)
        return NULL;
    flz_buf_deinit(&batch->bytes);
    free(batch->ops);
    free(batch);
    return NULL;
}

void store_batch_clear(struct store_batch *batch)
{
    flz_buf_reset(&batch->bytes);
    batch->count = 0;
    batch->failed = false;
}

static void add_op(struct store_batch *batch, size_t family, bool is_delete, struct flz_view key,
                   struct flz_view value)
{
    int r = flz_grow((void **)&batch->ops, &batch->capacity, batch->count + 1, sizeof *batch->ops);
    if (r < 0 || key.len > UINT32_MAX || value.len > UINT32_MAX) {
        batch->failed = true;
        return;
    }
    batch->ops[batch->count++] = (struct store_op){.family = (uint8_t)family,
                                                   .is_delete = is_delete,
                                                   .key = (uint32_t)key.len,
                                                   .value = (uint32_t)value.len};
    flz_buf_add_view(&batch->bytes, key);
    flz_buf_add_view(&batch->bytes, value);
}

void store_put(struct store_batch *batch, size_t family, struct flz_view key, struct flz_view value)
{
    add_op(batch, family, false, key, value);
}

void store_delete(struct store_batch *batch, size_t family, struct flz_view key)
{
    add_op(batch, family, true, key, FLZ_VIEW_NULL);
}

size_t store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

size_t store_batch_bytes(const struct store_batch *batch)
{
    return batch->bytes.len;
}

void store_batch_copy(struct store_batch *batch, const struct store_batch *from)
{
    if (flz_grow((void **)&batch->ops, &batch->capacity, batch->count + from->count,
                 sizeof *batch->ops) < 0) {
        batch->failed = true;
    } else if (from->count > 0) {
        memcpy(batch->ops + batch->count, from->ops, from->count * sizeof *batch->ops);
        batch->count += from->count;
        flz_buf_add_view(&batch->bytes, flz_buf_view(&from->bytes));
    }
    batch->failed = batch->failed || from->failed;
}

int store_batch_find(const struct store_batch *batch, size_t family, struct flz_view key,
                     struct flz_view *ret_value)
{
    const uint8_t *at = batch->bytes.data;
    int found = STORE_E_ABSENT;
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_op *op = &batch->ops[i];
        if (op->family == family && op->key == key.len && memcmp(at, key.data, key.len) == 0) {
            found = op->is_delete ? STORE_E_DELETED : 0;
            *ret_value = (struct flz_view){.data = at + op->key, .len = op->value};
        }
        at += op->key + op->value;
    }
    return found;
}

static void fill_writebatch(const struct store *store, const struct store_batch *batch,
                            rocksdb_writebatch_t *out)
{
    const char *at = (const char *)batch->bytes.data;
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_op *op = &batch->ops[i];
        rocksdb_column_family_handle_t *family = store->families[op->family];
        if (op->is_delete)
            rocksdb_writebatch_delete_cf(out, family, at, op->key);
        else
            rocksdb_writebatch_put_cf(out, family, at, op->key, at + op->key, op->value);
        at += op->key + op->value;
    }
}

/* ---- Writing ---- */

static int write_once(struct store *store, const struct store_batch *batch, bool sync)
{
    rocksdb_writebatch_t *out = rocksdb_writebatch_create();
    char *error = NULL;
    fill_writebatch(store, batch, out);
    rocksdb_write(store->db, store->write_options[sync], out, &error);
    rocksdb_writebatch_destroy(out);
    return error ? name_error(error, NULL) : 0;
}

/* Recovery writes what the WALs hold into tables. */
static uint64_t wal_bytes(const struct store *store)
{
    uint64_t sum = 0;
    DIR *dir = opendir(store->path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t n = strlen(entry->d_name);
        struct stat st;
        if (n > 4 && strcmp(entry->d_name + n - 4, ".log") == 0 &&
            fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
            sum += (uint64_t)st.st_size;
    }
    if (dir)
        (void)closedir(dir);
    return sum;
}

static bool has_room_to_recover(const struct store *store)
{
    uint64_t free_bytes;
    return fsutil_free_bytes(store->path, &free_bytes) < 0 ||
           free_bytes >= wal_bytes(store) + 4 * (uint64_t)buffer_size(store);
}

/* After a full disk RocksDB refuses all writes until it is opened anew. As long as there is no room
 * for that it stays open for reading. */
static int reopen(struct store *store)
{
    if (!has_room_to_recover(store))
        return STORE_E_FULL;
    (void)pthread_rwlock_wrlock(&store->lock);
    close_db(store);
    struct flz_msg msg;
    int r = open_db_on_ballast(store, &msg);
    (void)pthread_rwlock_unlock(&store->lock);
    if (r == -ENOSPC)
        return STORE_E_FULL;
    if (r == 0) {
        store->full = false;
        make_ballast(store);
    }
    return r;
}

int store_write(struct store *store, const struct store_batch *batch, bool sync)
{
    if (atomic_load(&store->broken))
        return flz_fail(-EIO);
    if (batch->failed || flz_buf_error(&batch->bytes) < 0)
        return flz_fail(-ENOMEM);
    int r = store->full ? reopen(store) : 0;
    /* Once the ballast is gone, what it kept room for is not written over. */
    if (r == 0 && !store->ballasted && !store->options.no_ballast && !has_room_to_recover(store))
        r = STORE_E_FULL;
    if (r == 0 && store->db)
        r = write_once(store, batch, sync);
    else if (r == 0)
        r = flz_fail(-EIO);
    store->full = store->full || r == STORE_E_FULL;
    if (r < 0)
        atomic_store(&store->broken, true);
    return r;
}

/* ---- Reading ---- */

int store_get(struct store *store, size_t family, struct flz_view key, struct flz_buf *buf)
{
    (void)pthread_rwlock_rdlock(&store->lock);
    int r = store->db ? 0 : flz_fail(-EIO);
    rocksdb_pinnableslice_t *slice = NULL;
    if (r == 0) {
        char *error = NULL;
        slice = rocksdb_get_pinned_cf(store->db, store->read_options, store->families[family],
                                      (const char *)key.data, key.len, &error);
        if (error)
            r = name_error(error, NULL);
        else if (!slice)
            r = STORE_E_ABSENT;
    }
    if (slice) {
        size_t len;
        const char *value = rocksdb_pinnableslice_value(slice, &len);
        flz_buf_add(buf, value, len);
        rocksdb_pinnableslice_destroy(slice);
        r = flz_buf_error(buf);
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return r;
}

static struct flz_view view_of(const char *data, size_t len)
{
    return (struct flz_view){.data = (const uint8_t *)data, .len = len};
}

static int walk(rocksdb_iterator_t *it, struct flz_view prefix, store_on_pair on_pair, void *data)
{
    for (; rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t key_len, value_len;
        const char *key = rocksdb_iter_key(it, &key_len);
        if (key_len < prefix.len || (prefix.len > 0 && memcmp(key, prefix.data, prefix.len) != 0))
            break;
        const char *value = rocksdb_iter_value(it, &value_len);
        int r = on_pair(view_of(key, key_len), view_of(value, value_len), data);
        if (r != 0)
            return r;
    }
    char *error = NULL;
    rocksdb_iter_get_error(it, &error);
    return error ? name_error(error, NULL) : 0;
}

int store_each(struct store *store, size_t family, struct flz_view first, struct flz_view prefix,
               store_on_pair on_pair, void *data)
{
    (void)pthread_rwlock_rdlock(&store->lock);
    int r = store->db ? 0 : flz_fail(-EIO);
    if (r == 0) {
        rocksdb_iterator_t *it = rocksdb_create_iterator_cf(store->db, store->read_options,
                                                            store->families[family]);
        struct flz_view from = first.len > 0 ? first : prefix;
        if (from.len > 0)
            rocksdb_iter_seek(it, (const char *)from.data, from.len);
        else
            rocksdb_iter_seek_to_first(it);
        r = walk(it, prefix, on_pair, data);
        rocksdb_iter_destroy(it);
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return r;
}

int store_last(struct store *store, size_t family, struct flz_buf *key, struct flz_buf *value)
{
    (void)pthread_rwlock_rdlock(&store->lock);
    int r = store->db ? 0 : flz_fail(-EIO);
    if (r == 0) {
        rocksdb_iterator_t *it = rocksdb_create_iterator_cf(store->db, store->read_options,
                                                            store->families[family]);
        char *error = NULL;
        rocksdb_iter_seek_to_last(it);
        r = STORE_E_ABSENT;
        if (rocksdb_iter_valid(it)) {
            size_t len;
            const char *data = rocksdb_iter_key(it, &len);
            flz_buf_add(key, data, len);
            data = rocksdb_iter_value(it, &len);
            if (value)
                flz_buf_add(value, data, len);
            r = flz_buf_error(key) < 0 || !value ? flz_buf_error(key) : flz_buf_error(value);
        }
        rocksdb_iter_get_error(it, &error);
        if (error)
            r = name_error(error, NULL);
        rocksdb_iter_destroy(it);
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return r;
}

/* ---- Keeping ---- */

int store_checkpoint(struct store *store, const char *path, struct flz_msg *msg)
{
    char *error = NULL;
    (void)pthread_rwlock_rdlock(&store->lock);
    if (store->db) {
        rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(store->db, &error);
        if (!error)
            rocksdb_checkpoint_create(checkpoint, path, 0, &error);
        if (checkpoint)
            rocksdb_checkpoint_object_destroy(checkpoint);
    }
    bool is_open = store->db != NULL;
    (void)pthread_rwlock_unlock(&store->lock);
    if (!is_open) {
        flz_msg_set(msg, "the store is closed until its disk has room");
        return flz_fail(-ENOSPC);
    }
    if (!error)
        return 0;
    int r = name_error(error, msg);
    return r == STORE_E_FULL ? flz_fail(-ENOSPC) : r;
}

uint64_t store_free_bytes(struct store *store)
{
    int64_t now = flz_boottime_ms();
    if (store->looked_boot == 0 || now - store->looked_boot >= 1000) {
        store->looked_boot = now;
        if (fsutil_free_bytes(store->path, &store->free_bytes) < 0)
            store->free_bytes = 0;
    }
    return store->free_bytes;
}

bool store_admits(struct store *store)
{
    uint64_t min = store->options.free_min ? store->options.free_min : STORE_FREE_MIN;
    return store_free_bytes(store) >= min && !atomic_load(&store->broken);
}

bool store_is_broken(const struct store *store)
{
    return atomic_load(&store->broken);
}
