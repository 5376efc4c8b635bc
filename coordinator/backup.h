/*
 * Backups of the state folder, taken while the coordinator works: a checkpoint of the store and the
 * files of the archive, as hard links where possible, in a folder below STATE/backup. A backup is
 * opened and read, as a start would, before it counts as one. It is put back by copying it to where
 * the state folder was: it holds a mark (BACKUP_MARK) by which the next start knows that it came
 * from a backup, and begins a new log generation.
 */
#pragma once

#include "coordinator/rlog/rlog.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

#define BACKUP_FOLDER "backup"             /* below the state folder */
#define BACKUP_MARK "restored-from-backup" /* a file in each backup */
#define BACKUP_KEEP_DEFAULT 7
#define BACKUP_KEEP_MAX 1000
#define BACKUP_NAME_MAX 32

enum backup_kind {
    BACKUP_CREATE, /* and check; then the oldest beyond `keep` are removed */
    BACKUP_VERIFY, /* check `name` again */
};

struct backup_request {
    enum backup_kind kind;
    char name[BACKUP_NAME_MAX]; /* "2026-11-30T230412Z"; a new one's is made of `real_now` */
    unsigned keep;              /* 1 … BACKUP_KEEP_MAX, this one among them */
    int64_t real_now;
};

enum backup_outcome {
    BACKUP_DONE,
    BACKUP_DAMAGED, /* msg says where */
    BACKUP_ABSENT,  /* no backup of this name */
    BACKUP_FAILED,  /* msg: stopped, or the disk refused */
};

struct backup_result {
    enum backup_outcome outcome;
    struct flz_msg msg;
    char name[BACKUP_NAME_MAX];
    struct rlog_bounds bounds; /* of its log */
    uint64_t rows;             /* read one by one */
    uint64_t bytes; /* of its files; those that are links take no room of their own yet */
};

struct backup_place {
    struct store *store;   /* borrowed; read from the calling thread */
    const char *state_dir; /* borrowed */
};

/* Blocks; any thread, one at a time. Ends soon when *stop becomes true. */
void backup_run(const struct backup_place *place, const struct backup_request *request,
                const atomic_bool *stop, struct backup_result *ret_result);
