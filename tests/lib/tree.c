#include "tests/lib/tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define COPY_CHUNK ((size_t)1 << 20)
#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t) /* EXT4_IOC_SHUTDOWN */
#define EXT4_NO_LOG_FLUSH 2

char *tree_new(const char *name)
{
    const char *tmp = getenv("TMPDIR");
    char path[256];
    (void)snprintf(path, sizeof path, "%s/fluenzr-%s-XXXXXX", tmp ? tmp : "/tmp", name);
    return mkdtemp(path) ? strdup(path) : NULL;
}

static void remove_entry(const char *folder, const char *name)
{
    char path[1024];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        tree_remove(path);
    else
        (void)unlink(path);
}

void tree_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_entry(path, e->d_name);
    (void)closedir(dir);
    if (rmdir(path) < 0 && errno == EBUSY) {
        tree_unmount(path);
        (void)rmdir(path);
    }
}

void tree_free(char *path)
{
    if (path)
        tree_remove(path);
    free(path);
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n = -1;
    if (in >= 0 && out >= 0)
        do
            n = sendfile(out, in, NULL, COPY_CHUNK);
        while (n > 0);
    int r = n < 0 ? -errno : 0;
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    return r;
}

int tree_copy(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    int r = dir ? 0 : -errno;
    if (r == 0 && mkdir(to, 0700) < 0)
        r = -errno;
    for (struct dirent *e; r == 0 && (e = readdir(dir));) {
        char source[1024], target[1024];
        if (e->d_type == DT_DIR)
            continue;
        (void)snprintf(source, sizeof source, "%s/%s", from, e->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, e->d_name);
        r = copy_file(source, target);
    }
    if (dir)
        (void)closedir(dir);
    return r;
}

static bool begins_or_ends(const char *name, const char *part)
{
    size_t n = strlen(name), m = strlen(part);
    return n >= m && (memcmp(name, part, m) == 0 || memcmp(name + n - m, part, m) == 0);
}

bool tree_find(const char *folder, const char *part, char *ret_path, size_t size)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    bool found = false;
    for (int i = 0; i < n; i++) {
        if (!found && begins_or_ends(names[i]->d_name, part)) {
            (void)snprintf(ret_path, size, "%s/%s", folder, names[i]->d_name);
            found = true;
        }
        free(names[i]);
    }
    free(names);
    return found;
}

void tree_flip(const char *path, off_t offset, int bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert(fd >= 0);
    assert(pread(fd, &byte, 1, offset) == 1);
    byte ^= (uint8_t)(1u << bit);
    assert(pwrite(fd, &byte, 1, offset) == 1);
    (void)close(fd);
}

void tree_fill(const char *path, uint64_t leave)
{
    static char block[65536];
    struct statvfs st;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert(fd >= 0);
    while (fstatvfs(fd, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize > leave)
        if (write(fd, block, sizeof block) <= 0)
            break;
    (void)fsync(fd);
    (void)close(fd);
}

/* ---- Small disks ---- */

static int run(char *const argv[])
{
    pid_t pid;
    int status;
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (r != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        errno = r ? r : EPERM;
        return -1;
    }
    return 0;
}

static void image_of(const char *path, char image[static 600])
{
    (void)snprintf(image, 600, "%s.image", path);
}

static int make_image(const char *image, unsigned mebibytes)
{
    int fd = open(image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    int r = ftruncate(fd, (off_t)mebibytes << 20);
    (void)close(fd);
    char *argv[] = {(char *)"mkfs.ext4", (char *)"-q", (char *)"-F", (char *)"-m", (char *)"0",
                    (char *)image, NULL};
    return r < 0 ? r : run(argv);
}

int tree_remount(const char *path)
{
    char image[600];
    image_of(path, image);
    char *argv[] = {(char *)"mount", (char *)"-o", (char *)"loop", image, (char *)path, NULL};
    return run(argv);
}

int tree_mount(const char *path, const char *type, unsigned mebibytes)
{
    char text[600];
    if (strcmp(type, "tmpfs") == 0) {
        (void)snprintf(text, sizeof text, "size=%um,mode=700", mebibytes);
        return mount("tmpfs", path, "tmpfs", 0, text);
    }
    image_of(path, text);
    return make_image(text, mebibytes) < 0 ? -1 : tree_remount(path);
}

void tree_unmount(const char *path)
{
    if (umount2(path, 0) < 0) /* a failed test may have left files open */
        (void)umount2(path, MNT_DETACH);
}

int tree_power_cut(const char *path)
{
    uint32_t how = EXT4_NO_LOG_FLUSH;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int r = ioctl(fd, EXT4_SHUTDOWN, &how);
    (void)close(fd);
    return r;
}
