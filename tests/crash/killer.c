#include "tests/crash/killer.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    char folder[512];
    enum killer_way way;
    uint64_t at;
    atomic_bool armed;
    atomic_uint_fast64_t count;
} killer;

void killer_arm(const char *folder, enum killer_way way, uint64_t at)
{
    (void)snprintf(killer.folder, sizeof killer.folder, "%s", folder);
    killer.way = way;
    killer.at = at;
    atomic_store(&killer.count, 0);
    atomic_store(&killer.armed, true);
}

void killer_disarm(void)
{
    atomic_store(&killer.armed, false);
}

uint64_t killer_count(void)
{
    return atomic_load(&killer.count);
}

/* ---- Which calls count ---- */

/* A failing write of its info log aborts RocksDB 7.8: loud, and nothing that was acknowledged is
 * lost, but not what is asked here. */
static bool is_failed_log(const char *path)
{
    const char *name = strrchr(path, '/');
    return killer.way == KILLER_EIO && name && strcmp(name, "/LOG") == 0;
}

static bool is_below(const char *path)
{
    size_t n = strlen(killer.folder);
    return strncmp(path, killer.folder, n) == 0 && !is_failed_log(path);
}

static bool is_fd_below(int fd)
{
    char link[64], path[1024];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return is_below(path);
}

enum verdict { PASS, TEAR, FAIL };

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static enum verdict judge(bool can_tear, bool is_sync)
{
    if (killer.way == KILLER_FSYNC && !is_sync)
        return PASS;
    if (atomic_fetch_add(&killer.count, 1) + 1 != killer.at || killer.way == KILLER_COUNT)
        return PASS;
    if (killer.way == KILLER_EIO || killer.way == KILLER_FSYNC) {
        errno = EIO;
        return FAIL;
    }
    if (killer.way == KILLER_KILL || !can_tear)
        die();
    return TEAR;
}

static enum verdict judge_fd(int fd, bool can_tear, bool is_sync)
{
    return atomic_load(&killer.armed) && is_fd_below(fd) ? judge(can_tear, is_sync) : PASS;
}

static enum verdict judge_path(const char *path)
{
    return atomic_load(&killer.armed) && is_below(path) ? judge(false, false) : PASS;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ---- The calls ---- */

ssize_t write(int fd, const void *data, size_t n)
{
    enum verdict verdict = judge_fd(fd, n > 1, false);
    if (verdict == FAIL)
        return -1;
    ssize_t r = REAL(write)(fd, data, verdict == TEAR ? n / 2 : n);
    if (verdict == TEAR)
        die();
    return r;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
    enum verdict verdict = judge_fd(fd, n > 1, false);
    if (verdict == FAIL)
        return -1;
    ssize_t r = REAL(pwrite)(fd, data, verdict == TEAR ? n / 2 : n, offset);
    if (verdict == TEAR)
        die();
    return r;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset)
{
    return pwrite(fd, data, n, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return judge_fd(fd, false, false) == FAIL ? -1 : REAL(writev)(fd, parts, count);
}

int fsync(int fd)
{
    return judge_fd(fd, false, true) == FAIL ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return judge_fd(fd, false, true) == FAIL ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return judge_fd(fd, false, false) == FAIL ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t n)
{
    return judge_fd(fd, false, false) == FAIL ? -1 : REAL(fallocate)(fd, mode, offset, n);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t n)
{
    return fallocate(fd, mode, offset, n);
}

int rename(const char *from, const char *to)
{
    return judge_path(to) == FAIL ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return judge_path(path) == FAIL ? -1 : REAL(unlink)(path);
}

int link(const char *from, const char *to)
{
    return judge_path(to) == FAIL ? -1 : REAL(link)(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    return judge_path(path) == FAIL ? -1 : REAL(mkdir)(path, mode);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if ((flags & O_CREAT) && judge_path(path) == FAIL)
        return -1;
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return open(path, flags | O_LARGEFILE, mode);
}
