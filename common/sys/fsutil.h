/*
 * Files, durably: what is written is on the disk, under its name, when the call returns.
 * A message that is given (may be NULL) says which path and why.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/secret.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    FSUTIL_E_LOCKED = 1, /* another process holds the lock */
};

/* Appends the whole file. 0, -EFBIG when it is larger than `max` bytes, -errno. */
int fsutil_read(const char *path, size_t max, struct flz_buf *buf, struct flz_msg *msg);

/*
 * Reads a secret file, which must be a regular file (no link), owned by us or root, and not
 * accessible to group or others. 0, -EPERM for that, -EFBIG, -errno.
 */
int fsutil_read_secret(const char *path, size_t max, struct flz_secret *ret_secret,
                       struct flz_msg *msg);

/*
 * The same for a file that the service manager gives (systemd.exec(5), CREDENTIALS): it is opened
 * to our user by an access list, whose mask shows as the rights of the group.
 */
int fsutil_read_credential(const char *path, size_t max, struct flz_secret *ret_secret,
                           struct flz_msg *msg);

/* 0 when `path` is a regular file, ours or root's, closed to group and others; -EPERM, -errno. */
int fsutil_check_private(const char *path, struct flz_msg *msg);

/* Write-new, fsync, rename over `path`, fsync of the folder. 0 or -errno (the old file stays). */
int fsutil_write(const char *path, mode_t mode, struct flz_view bytes, struct flz_msg *msg);

/* The same, but -EEXIST when there is a file of that name. */
int fsutil_write_new(const char *path, mode_t mode, struct flz_view bytes, struct flz_msg *msg);

/* Removes the name durably; no error when it is absent. */
int fsutil_remove(const char *path, struct flz_msg *msg);

/* Makes the folder and its missing parents. An existing one is left as it is. */
int fsutil_mkdir(const char *path, mode_t mode, struct flz_msg *msg);

/*
 * Copies a folder of files and folders, durably. A file for whose name `is_final` says true, since
 * it is never written to again, becomes a hard link where the file system can. What is there
 * already under its name is left. Adds the files' sizes to *bytes. 0 or -errno.
 */
int fsutil_copy_tree(const char *from, const char *to, bool (*is_final)(const char *name),
                     uint64_t *bytes, struct flz_msg *msg);

/* Removes a folder with all that is in it; follows no link. No error when it is absent. */
int fsutil_remove_tree(const char *path, struct flz_msg *msg);

int fsutil_sync_dir(const char *path);

/*
 * Takes an exclusive lock on a file, which is made if missing and holds our process id. The lock
 * lasts until the descriptor is closed by the caller. 0, FSUTIL_E_LOCKED, -errno.
 */
int fsutil_lock(const char *path, int *ret_fd, struct flz_msg *msg);

/* Bytes an unprivileged process may still write on the file system of `path`. 0 or -errno. */
int fsutil_free_bytes(const char *path, uint64_t *ret_bytes);
