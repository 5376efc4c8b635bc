/*
 * Ends, or fails, the process at the Nth call that changes files: write, pwrite, writev, fsync,
 * fdatasync, rename, unlink, ftruncate, fallocate, mkdir, link, and open with O_CREAT. The
 * program's own definitions come before libc's, also for the libraries it loads.
 *
 * Only calls on paths and descriptors below the armed folder count.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum killer_way {
    KILLER_COUNT, /* nothing happens; calls are counted */
    KILLER_KILL,  /* SIGKILL in place of the call */
    KILLER_TEAR,  /* half of a write, then SIGKILL; as KILLER_KILL where nothing can be torn */
    KILLER_EIO,   /* that one call fails with EIO */
    KILLER_FSYNC, /* the Nth sync fails with EIO; only syncs are counted */
};

/* Counts from now on, and acts at call number `at` (1 …). */
void killer_arm(const char *folder, enum killer_way way, uint64_t at);
void killer_disarm(void);
uint64_t killer_count(void);
