#include "tests/sim/world/disk.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MAX WORLD_PROCS_MAX
#define FREE_BYTES (UINT64_C(64) << 30)

struct pair {
    struct flz_buf key;
    struct flz_buf value;
};

struct family {
    char name[32];
    struct pair *pairs; /* sorted */
    size_t count;
    size_t capacity;
};

/* What an unsynced write has changed, to be undone; newest last. */
struct change {
    size_t write; /* changes of one batch are undone together */
    size_t family;
    struct flz_buf key;
    bool was_there;
    struct flz_buf value;
};

struct disk {
    const struct proc *proc;
    struct family families[STORE_FAMILIES_MAX];
    size_t families_count;
    struct change *changes;
    size_t changes_count;
    size_t changes_capacity;
    size_t writes;
    uint64_t free_bytes;
    bool full;
    bool fails;
    bool broken;
};

struct store {
    struct disk *disk;
    bool broken;
    uint64_t free_min;
};

static struct disk disks[DISKS_MAX];

struct disk *disk_of(const struct proc *proc)
{
    for (size_t i = 0; i < DISKS_MAX; i++)
        if (disks[i].proc == proc)
            return &disks[i];
    return NULL;
}

static struct disk *own_disk(const struct proc *proc)
{
    struct disk *disk = disk_of(proc);
    if (disk)
        return disk;
    disk = disk_of(NULL);
    WORLD_MUST(disk, "too many disks");
    disk->proc = proc;
    disk->free_bytes = FREE_BYTES;
    return disk;
}

/* ---- Pairs ---- */

static int compare(struct flz_view a, struct flz_view b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n > 0 ? memcmp(a.data, b.data, n) : 0;
    return r ? r : (a.len > b.len) - (a.len < b.len);
}

static size_t find(const struct family *family, struct flz_view key, bool *ret_found)
{
    size_t low = 0, high = family->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(flz_buf_view(&family->pairs[middle].key), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < family->count && compare(flz_buf_view(&family->pairs[low].key), key) == 0;
    return low;
}

static void put(struct family *family, struct flz_view key, struct flz_view value)
{
    bool found;
    size_t at = find(family, key, &found);
    if (!found) {
        WORLD_MUST(flz_grow((void **)&family->pairs, &family->capacity, family->count + 1,
                            sizeof *family->pairs) == 0,
                   "memory");
        memmove(&family->pairs[at + 1], &family->pairs[at],
                (family->count - at) * sizeof *family->pairs);
        family->count++;
        family->pairs[at] = (struct pair){.key = FLZ_BUF_NULL, .value = FLZ_BUF_NULL};
        flz_buf_add_view(&family->pairs[at].key, key);
    }
    flz_buf_reset(&family->pairs[at].value);
    flz_buf_add_view(&family->pairs[at].value, value);
}

static void erase(struct family *family, struct flz_view key)
{
    bool found;
    size_t at = find(family, key, &found);
    if (!found)
        return;
    flz_buf_deinit(&family->pairs[at].key);
    flz_buf_deinit(&family->pairs[at].value);
    memmove(&family->pairs[at], &family->pairs[at + 1],
            (family->count - at - 1) * sizeof *family->pairs);
    family->count--;
}

/* ---- What is not synced ---- */

static void remember(struct disk *disk, size_t family, struct flz_view key)
{
    bool found;
    size_t at = find(&disk->families[family], key, &found);
    WORLD_MUST(flz_grow((void **)&disk->changes, &disk->changes_capacity, disk->changes_count + 1,
                        sizeof *disk->changes) == 0,
               "memory");
    struct change *change = &disk->changes[disk->changes_count++];
    *change = (struct change){.write = disk->writes, .family = family, .was_there = found};
    flz_buf_add_view(&change->key, key);
    if (found)
        flz_buf_add_view(&change->value, flz_buf_view(&disk->families[family].pairs[at].value));
}

static void forget_changes(struct disk *disk, size_t keep)
{
    while (disk->changes_count > keep) {
        struct change *change = &disk->changes[--disk->changes_count];
        flz_buf_deinit(&change->key);
        flz_buf_deinit(&change->value);
    }
}

static void undo_last(struct disk *disk)
{
    struct change *change = &disk->changes[disk->changes_count - 1];
    if (change->was_there)
        put(&disk->families[change->family], flz_buf_view(&change->key),
            flz_buf_view(&change->value));
    else
        erase(&disk->families[change->family], flz_buf_view(&change->key));
    forget_changes(disk, disk->changes_count - 1);
}

void disk_crashed(struct proc *proc)
{
    struct disk *disk = disk_of(proc);
    if (!disk)
        return;
    if (disk->changes_count > 0) {
        size_t first = disk->changes[0].write;
        size_t kept = (size_t)world_between((int64_t)first, (int64_t)disk->writes);
        world_say("writes of %s that were not synced are lost", proc->name);
        while (disk->changes_count > 0 && disk->changes[disk->changes_count - 1].write >= kept)
            undo_last(disk);
    }
    forget_changes(disk, 0);
}

/* ---- From outside ---- */

void disk_set_free(struct proc *proc, uint64_t bytes, bool full)
{
    struct disk *disk = own_disk(proc);
    disk->free_bytes = bytes ? bytes : FREE_BYTES;
    disk->full = full;
}

bool disk_is_full(const struct proc *proc)
{
    const struct disk *disk = disk_of(proc);
    return disk && disk->full;
}

bool disk_is_broken(const struct proc *proc)
{
    const struct disk *disk = disk_of(proc);
    return disk && disk->broken;
}

void disk_fail_next(struct proc *proc)
{
    own_disk(proc)->fails = true;
}

void disk_mend(struct proc *proc)
{
    own_disk(proc)->fails = false;
}

static void clear(struct disk *disk)
{
    for (size_t i = 0; i < disk->families_count; i++) {
        struct family *family = &disk->families[i];
        for (size_t k = 0; k < family->count; k++) {
            flz_buf_deinit(&family->pairs[k].key);
            flz_buf_deinit(&family->pairs[k].value);
        }
        family->count = 0;
    }
    forget_changes(disk, 0);
}

static void copy_families(const struct disk *from, struct disk *to)
{
    to->families_count = from->families_count;
    for (size_t i = 0; i < from->families_count; i++) {
        memcpy(to->families[i].name, from->families[i].name, sizeof to->families[i].name);
        for (size_t k = 0; k < from->families[i].count; k++)
            put(&to->families[i], flz_buf_view(&from->families[i].pairs[k].key),
                flz_buf_view(&from->families[i].pairs[k].value));
    }
}

struct disk *disk_copy(const struct proc *proc)
{
    struct disk *copy = calloc(1, sizeof *copy);
    WORLD_MUST(copy && disk_of(proc), "nothing to copy");
    copy_families(disk_of(proc), copy);
    return copy;
}

void disk_put_back(struct proc *proc, const struct disk *copy)
{
    struct disk *disk = own_disk(proc);
    clear(disk);
    copy_families(copy, disk);
}

void disk_wipe(struct proc *proc)
{
    clear(own_disk(proc));
}

static size_t family_named(const struct disk *disk, const char *name)
{
    size_t i = 0;
    while (i < disk->families_count && strcmp(disk->families[i].name, name) != 0)
        i++;
    return i;
}

bool disk_durable(const struct proc *proc, const char *family, struct flz_view key,
                  struct flz_view *ret_value)
{
    struct disk *disk = disk_of(proc);
    size_t f = disk ? family_named(disk, family) : 0;
    bool found;
    if (!disk || f == disk->families_count)
        return false;
    for (size_t i = 0; i < disk->changes_count; i++) {
        const struct change *change = &disk->changes[i];
        if (change->family != f || compare(flz_buf_view(&change->key), key) != 0)
            continue;
        *ret_value = flz_buf_view(&change->value);
        return change->was_there;
    }
    size_t at = find(&disk->families[f], key, &found);
    if (found)
        *ret_value = flz_buf_view(&disk->families[f].pairs[at].value);
    return found;
}

void disk_each(const struct proc *proc, const char *family,
               void (*on_pair)(struct flz_view key, struct flz_view value, void *data), void *data)
{
    const struct disk *disk = disk_of(proc);
    size_t f = disk ? family_named(disk, family) : 0;
    for (size_t i = 0; disk && f < disk->families_count && i < disk->families[f].count; i++)
        on_pair(flz_buf_view(&disk->families[f].pairs[i].key),
                flz_buf_view(&disk->families[f].pairs[i].value), data);
}

/* ---- common/sys/store.h ---- */

int store_open(const char *path, const struct store_options *options, struct store **ret_store,
               struct flz_msg *msg)
{
    (void)path, (void)msg;
    struct disk *disk = own_disk(world.current);
    disk->broken = false;
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < options->families_count; i++) {
        WORLD_MUST(i == disk->families_count ||
                       strcmp(disk->families[i].name, options->families[i]) == 0,
                   "families differ");
        if (i < disk->families_count)
            continue;
        (void)snprintf(disk->families[i].name, sizeof disk->families[i].name, "%s",
                       options->families[i]);
        disk->families_count++;
    }
    *store = (struct store){.disk = disk,
                            .free_min = options->free_min ? options->free_min : STORE_FREE_MIN};
    *ret_store = store;
    return 0;
}

struct store *store_close(struct store *store)
{
    free(store);
    return NULL;
}

struct op {
    size_t family;
    size_t key_at, key_len;
    size_t value_at, value_len;
    bool deletes;
};

struct store_batch {
    struct op *ops;
    size_t count;
    size_t capacity;
    struct flz_buf bytes;
};

int store_batch_new(struct store_batch **ret_batch)
{
    *ret_batch = calloc(1, sizeof **ret_batch);
    return *ret_batch ? 0 : flz_fail(-ENOMEM);
}

struct store_batch *store_batch_free(struct store_batch *batch)
{
    if (batch) {
        free(batch->ops);
        flz_buf_deinit(&batch->bytes);
    }
    free(batch);
    return NULL;
}

void store_batch_clear(struct store_batch *batch)
{
    batch->count = 0;
    flz_buf_reset(&batch->bytes);
}

static void add_op(struct store_batch *batch, size_t family, struct flz_view key,
                   struct flz_view value, bool deletes)
{
    WORLD_MUST(
        flz_grow((void **)&batch->ops, &batch->capacity, batch->count + 1, sizeof *batch->ops) == 0,
        "memory");
    size_t at = batch->bytes.len;
    flz_buf_add_view(&batch->bytes, key);
    flz_buf_add_view(&batch->bytes, value);
    batch->ops[batch->count++] = (struct op){.family = family,
                                             .key_at = at,
                                             .key_len = key.len,
                                             .value_at = at + key.len,
                                             .value_len = value.len,
                                             .deletes = deletes};
}

void store_put(struct store_batch *batch, size_t family, struct flz_view key, struct flz_view value)
{
    add_op(batch, family, key, value, false);
}

void store_delete(struct store_batch *batch, size_t family, struct flz_view key)
{
    add_op(batch, family, key, FLZ_VIEW_NULL, true);
}

size_t store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

size_t store_batch_bytes(const struct store_batch *batch)
{
    return batch->bytes.len + batch->count * 16;
}

static struct flz_view key_of(const struct store_batch *batch, const struct op *op)
{
    return (struct flz_view){.data = batch->bytes.data + op->key_at, .len = op->key_len};
}

static struct flz_view value_of(const struct store_batch *batch, const struct op *op)
{
    return (struct flz_view){.data = batch->bytes.data + op->value_at, .len = op->value_len};
}

void store_batch_copy(struct store_batch *batch, const struct store_batch *from)
{
    for (size_t i = 0; i < from->count; i++)
        add_op(batch, from->ops[i].family, key_of(from, &from->ops[i]),
               value_of(from, &from->ops[i]), from->ops[i].deletes);
}

int store_batch_find(const struct store_batch *batch, size_t family, struct flz_view key,
                     struct flz_view *ret_value)
{
    for (size_t i = batch->count; i-- > 0;) {
        const struct op *op = &batch->ops[i];
        if (op->family != family || compare(key_of(batch, op), key) != 0)
            continue;
        if (op->deletes)
            return STORE_E_DELETED;
        *ret_value = value_of(batch, op);
        return 0;
    }
    return STORE_E_ABSENT;
}

static void apply(struct disk *disk, const struct store_batch *batch, bool sync)
{
    disk->writes++;
    for (size_t i = 0; i < batch->count; i++) {
        const struct op *op = &batch->ops[i];
        if (!sync)
            remember(disk, op->family, key_of(batch, op));
        if (op->deletes)
            erase(&disk->families[op->family], key_of(batch, op));
        else
            put(&disk->families[op->family], key_of(batch, op), value_of(batch, op));
    }
    if (sync)
        forget_changes(disk, 0);
}

int store_write(struct store *store, const struct store_batch *batch, bool sync)
{
    struct disk *disk = store->disk;
    world_step("before a write");
    if (store->broken)
        return flz_fail(-EIO);
    if (disk->full)
        return STORE_E_FULL;
    if (disk->fails) {
        disk->fails = false;
        store->broken = disk->broken = true;
        bool happened = world_chance(500);
        if (happened)
            apply(disk, batch, true);
        world_say("a write fails; it %s", happened ? "has happened" : "has not happened");
        return flz_fail(-EIO);
    }
    apply(disk, batch, sync);
    world_step("after a write");
    return 0;
}

int store_get(struct store *store, size_t family, struct flz_view key, struct flz_buf *buf)
{
    bool found;
    size_t at = find(&store->disk->families[family], key, &found);
    if (!found)
        return STORE_E_ABSENT;
    flz_buf_add_view(buf, flz_buf_view(&store->disk->families[family].pairs[at].value));
    return flz_buf_error(buf);
}

int store_each(struct store *store, size_t family, struct flz_view first, struct flz_view prefix,
               store_on_pair on_pair, void *data)
{
    const struct family *f = &store->disk->families[family];
    bool found;
    size_t at = find(f, compare(first, prefix) > 0 ? first : prefix, &found);
    for (; at < f->count; at++) {
        struct flz_view key = flz_buf_view(&f->pairs[at].key);
        if (key.len < prefix.len || (prefix.len > 0 && memcmp(key.data, prefix.data, prefix.len)))
            break;
        int r = on_pair(key, flz_buf_view(&f->pairs[at].value), data);
        if (r != 0)
            return r;
    }
    return 0;
}

int store_last(struct store *store, size_t family, struct flz_buf *key, struct flz_buf *value)
{
    const struct family *f = &store->disk->families[family];
    if (f->count == 0)
        return STORE_E_ABSENT;
    flz_buf_add_view(key, flz_buf_view(&f->pairs[f->count - 1].key));
    if (value)
        flz_buf_add_view(value, flz_buf_view(&f->pairs[f->count - 1].value));
    return 0;
}

int store_checkpoint(struct store *store, const char *path, struct flz_msg *msg)
{
    (void)store, (void)path;
    flz_msg_set(msg, "this disk makes no copies");
    return flz_fail(-ENOTSUP);
}

bool store_admits(struct store *store)
{
    return store->disk->free_bytes >= store->free_min;
}

uint64_t store_free_bytes(struct store *store)
{
    return store->disk->free_bytes;
}

bool store_is_broken(const struct store *store)
{
    return store->broken;
}
