#include "common/sys/fsutil.h"

#include "common/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_SIZE 4096

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* Marks the birth of -errno and says which path it happened to. */
static int fail(const char *path, const char *what, struct flz_msg *msg)
{
    int code = errno;
    if (code == ELOOP)
        flz_msg_set(msg, "%s: a symbolic link; name the file itself", path);
    else
        flz_msg_set(msg, "%s: %s: %s", path, what, strerror(code));
    return flz_fail(-code);
}

static int read_all(int fd, const char *path, size_t max, struct flz_buf *buf, struct flz_msg *msg)
{
    size_t total = 0;
    for (;;) {
        uint8_t *p = flz_buf_reserve(buf, 16384);
        if (!p)
            return flz_fail(-ENOMEM);
        ssize_t n = read(fd, p, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(path, "cannot read", msg);
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > max) {
            flz_msg_set(msg, "%s: larger than %zu bytes", path, max);
            return flz_fail(-EFBIG);
        }
        buf->len += (size_t)n;
    }
}

int fsutil_read(const char *path, size_t max, struct flz_buf *buf, struct flz_msg *msg)
{
    _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(path, "cannot open", msg);
    return read_all(fd, path, max, buf, msg);
}

#define CLOSED_TO_OTHERS 077
#define CLOSED_BUT_TO_GROUP_READERS 037

/* `closed`: the rights that nobody may have. */
static int check_private_fd(int fd, const char *path, mode_t closed, struct flz_msg *msg)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return fail(path, "cannot look at it", msg);
    if (!S_ISREG(st.st_mode)) {
        flz_msg_set(msg, "%s: not a regular file", path);
        return flz_fail(-EPERM);
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        flz_msg_set(msg, "%s: belongs to another user; it must be ours or root's", path);
        return flz_fail(-EPERM);
    }
    if (st.st_mode & closed) {
        flz_msg_set(msg, "%s: others may read it (mode %03o); run: chmod 600 %s", path,
                    st.st_mode & 0777, path);
        return flz_fail(-EPERM);
    }
    return 0;
}

int fsutil_check_private(const char *path, struct flz_msg *msg)
{
    _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return fail(path, "cannot open", msg);
    return check_private_fd(fd, path, CLOSED_TO_OTHERS, msg);
}

/* Reads straight into guarded memory: the bytes never stand in the heap. */
static int read_guarded(int fd, const char *path, size_t max, struct flz_secret *ret_secret,
                        struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    size_t size = max < FLZ_SECRET_MAX ? max : FLZ_SECRET_MAX;
    int r = flz_secret_new(size, &secret);
    if (r < 0)
        return r;
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, secret.data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(path, "cannot read", msg);
        if (n == 0)
            break;
        len += (size_t)n;
        if (len == size) {
            flz_msg_set(msg, "%s: larger than %zu bytes", path, size - 1);
            return flz_fail(-EFBIG);
        }
    }
    flz_secret_truncate(&secret, len);
    *ret_secret = secret;
    secret = FLZ_SECRET_NULL;
    return 0;
}

static int read_private(const char *path, mode_t closed, size_t max, struct flz_secret *ret_secret,
                        struct flz_msg *msg)
{
    _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return fail(path, "cannot open", msg);
    int r = check_private_fd(fd, path, closed, msg);
    if (r < 0)
        return r;
    return read_guarded(fd, path, max + 1, ret_secret, msg);
}

int fsutil_read_secret(const char *path, size_t max, struct flz_secret *ret_secret,
                       struct flz_msg *msg)
{
    return read_private(path, CLOSED_TO_OTHERS, max, ret_secret, msg);
}

int fsutil_read_credential(const char *path, size_t max, struct flz_secret *ret_secret,
                           struct flz_msg *msg)
{
    return read_private(path, CLOSED_BUT_TO_GROUP_READERS, max, ret_secret, msg);
}

int fsutil_sync_dir(const char *path)
{
    _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return flz_fail(-errno);
    return 0;
}

static int sync_parent(const char *path, struct flz_msg *msg)
{
    char copy[PATH_SIZE];
    (void)snprintf(copy, sizeof copy, "%s", path);
    int r = fsutil_sync_dir(dirname(copy));
    if (r < 0)
        flz_msg_set(msg, "%s: cannot sync its folder: %s", path, strerror(-r));
    return r;
}

static int write_all(int fd, struct flz_view bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
    return fsync(fd);
}

static int write_temporary(const char *path, mode_t mode, struct flz_view bytes, char *temporary,
                           struct flz_msg *msg)
{
    (void)snprintf(temporary, PATH_SIZE, "%s.new-XXXXXX", path);
    _cleanup_(close_fd) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fail(path, "cannot make a file beside it", msg);
    if (fchmod(fd, mode) < 0 || write_all(fd, bytes) < 0) {
        int r = fail(path, "cannot write", msg);
        (void)unlink(temporary);
        return r;
    }
    return 0;
}

int fsutil_write(const char *path, mode_t mode, struct flz_view bytes, struct flz_msg *msg)
{
    char temporary[PATH_SIZE];
    int r = write_temporary(path, mode, bytes, temporary, msg);
    if (r < 0)
        return r;
    if (rename(temporary, path) < 0) {
        r = fail(path, "cannot be replaced", msg);
        (void)unlink(temporary);
        return r;
    }
    return sync_parent(path, msg);
}

int fsutil_write_new(const char *path, mode_t mode, struct flz_view bytes, struct flz_msg *msg)
{
    char temporary[PATH_SIZE];
    int r = write_temporary(path, mode, bytes, temporary, msg);
    if (r < 0)
        return r;
    /* link(2) refuses an existing name, which rename(2) would replace. */
    if (link(temporary, path) < 0)
        r = fail(path, "cannot be made", msg);
    (void)unlink(temporary);
    return r < 0 ? r : sync_parent(path, msg);
}

int fsutil_remove(const char *path, struct flz_msg *msg)
{
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : fail(path, "cannot be removed", msg);
    return sync_parent(path, msg);
}

int fsutil_mkdir(const char *path, mode_t mode, struct flz_msg *msg)
{
    char part[PATH_SIZE];
    if (strlen(path) >= sizeof part) {
        flz_msg_set(msg, "%s: the path is too long", path);
        return flz_fail(-ENAMETOOLONG);
    }
    for (const char *end = path; *end;) {
        end = strchrnul(end + 1, '/');
        (void)snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
        if (mkdir(part, mode) == 0) {
            int r = sync_parent(part, msg);
            if (r < 0)
                return r;
        } else if (errno != EEXIST) {
            return fail(part, "cannot make the folder", msg);
        }
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return fail(path, "cannot look at it", msg);
    if (!S_ISDIR(st.st_mode)) {
        flz_msg_set(msg, "%s: is not a folder", path);
        return flz_fail(-ENOTDIR);
    }
    return 0;
}

int fsutil_lock(const char *path, int *ret_fd, struct flz_msg *msg)
{
    _cleanup_(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(path, "cannot open", msg);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return fail(path, "cannot lock", msg);
        flz_msg_set(msg, "%s: another process holds it", path);
        return FSUTIL_E_LOCKED;
    }
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return fail(path, "cannot write", msg);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int fsutil_free_bytes(const char *path, uint64_t *ret_bytes)
{
    struct statvfs vfs;
    if (statvfs(path, &vfs) < 0)
        return flz_fail(-errno);
    *ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return 0;
}

/* ---- Trees ---- */

static int copy_bytes(int from, int to, const char *path, struct flz_msg *msg)
{
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, 1 << 24, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(path, "cannot be copied", msg);
        if (n == 0)
            return fsync(to) < 0 ? fail(path, "cannot be synced", msg) : 0;
    }
}

static int copy_file(const char *from, const char *to, struct flz_msg *msg)
{
    struct stat st;
    _cleanup_(close_fd) int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0 || fstat(in, &st) < 0)
        return fail(from, "cannot open", msg);
    _cleanup_(close_fd) int out =
        open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
    if (out < 0)
        return errno == EEXIST ? 0 : fail(to, "cannot be made", msg);
    return copy_bytes(in, out, to, msg);
}

struct copying {
    const char *from;
    const char *to;
    bool (*is_final)(const char *name);
    uint64_t *bytes;
};

static int copy_entry(const struct copying *copying, const char *name, struct flz_msg *msg)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    struct stat st;
    if ((size_t)snprintf(from, sizeof from, "%s/%s", copying->from, name) >= sizeof from ||
        (size_t)snprintf(to, sizeof to, "%s/%s", copying->to, name) >= sizeof to)
        return flz_fail(-ENAMETOOLONG);
    if (lstat(from, &st) < 0) /* removed meanwhile */
        return errno == ENOENT ? 0 : fail(from, "cannot look at it", msg);
    if (S_ISDIR(st.st_mode))
        return fsutil_copy_tree(from, to, copying->is_final, copying->bytes, msg);
    *copying->bytes += (uint64_t)st.st_size;
    if (copying->is_final(name) && link(from, to) == 0)
        return 0;
    return errno == EEXIST && copying->is_final(name) ? 0 : copy_file(from, to, msg);
}

int fsutil_copy_tree(const char *from, const char *to, bool (*is_final)(const char *name),
                     uint64_t *bytes, struct flz_msg *msg)
{
    struct copying copying = {.from = from, .to = to, .is_final = is_final, .bytes = bytes};
    int r = fsutil_mkdir(to, 0700, msg);
    if (r < 0)
        return r;
    DIR *folder = opendir(from);
    if (!folder)
        return fail(from, "cannot be read", msg);
    for (struct dirent *entry; r == 0 && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = copy_entry(&copying, entry->d_name, msg);
    (void)closedir(folder);
    return r < 0 ? r : fsutil_sync_dir(to);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int fsutil_remove_tree(const char *path, struct flz_msg *msg)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
        return fail(path, "cannot be removed", msg);
    return 0;
}
