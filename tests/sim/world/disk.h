/*
 * Disks: what stands in for RocksDB (common/sys/store.h). One store a process, which outlives it.
 * A synced write is durable; what was written and not synced is lost from some point on when the
 * process dies. A disk fills up, fails a write whose fate nobody knows, is lost, or is set back.
 */
#pragma once

#include "common/base/buf.h"
#include "common/sys/store.h"
#include "tests/sim/world/world.h"

struct disk;

/* The disk of a process, by the name of the store's path; NULL before its first opening. */
struct disk *disk_of(const struct proc *proc);

/* Bytes free that the programs see. Below `full` no write is taken. */
void disk_set_free(struct proc *proc, uint64_t bytes, bool full);
bool disk_is_full(const struct proc *proc);
/* A write has failed in this life. */
bool disk_is_broken(const struct proc *proc);

/* The next write fails; it may have happened or not. */
void disk_fail_next(struct proc *proc);
void disk_mend(struct proc *proc);

/* A copy of all that is on it, and its return. The process must not run. */
struct disk *disk_copy(const struct proc *proc);
void disk_put_back(struct proc *proc, const struct disk *copy);
void disk_wipe(struct proc *proc);

/* What would still be there after a crash. Families by name. The value is borrowed until the next
 * write. */
bool disk_durable(const struct proc *proc, const char *family, struct flz_view key,
                  struct flz_view *ret_value);
/* Each pair, synced or not, in the order of the keys. */
void disk_each(const struct proc *proc, const char *family,
               void (*on_pair)(struct flz_view key, struct flz_view value, void *data), void *data);
