#include "common/sys/fsutil.h"

#include "common/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct flz_msg msg;

static int setup(void **state)
{
    (void)snprintf(dir, sizeof dir, "/tmp/fluenzr-fsutil-XXXXXX");
    msg = FLZ_MSG_NULL;
    return mkdtemp(dir) ? 0 : -1;
}

/* Nothing of ours may be left but what the test names. */
static int teardown(void **state)
{
    static const char *const names[] = {"a", "b", "link", "p/q/r", "p/q", "p"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)remove(path);
    }
    return rmdir(dir);
}

static const char *in_dir(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void assert_content(const char *path, const char *text)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    assert_int_equal(fsutil_read(path, 1000, &buf, &msg), 0);
    assert_string_equal(flz_buf_str(&buf), text);
}

static int mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void what_is_written_is_read(void **state)
{
    mode_t mask = umask(077);
    assert_int_equal(fsutil_write(in_dir("a"), 0640, flz_view_str("one"), &msg), 0);
    (void)umask(mask);
    assert_content(in_dir("a"), "one");
    assert_int_equal(mode_of(in_dir("a")), 0640);
    assert_int_equal(fsutil_write(in_dir("a"), 0600, flz_view_str("two"), &msg), 0);
    assert_content(in_dir("a"), "two");
    assert_int_equal(mode_of(in_dir("a")), 0600);
    assert_int_equal(fsutil_write(in_dir("a"), 0600, FLZ_VIEW_NULL, &msg), 0);
    assert_content(in_dir("a"), "");
}

static void a_new_file_replaces_none(void **state)
{
    assert_int_equal(fsutil_write_new(in_dir("a"), 0600, flz_view_str("one"), &msg), 0);
    assert_int_equal(fsutil_write_new(in_dir("a"), 0600, flz_view_str("two"), &msg), -EEXIST);
    assert_non_null(strstr(msg.text, in_dir("a")));
    assert_content(in_dir("a"), "one");
    assert_int_equal(symlink("nowhere", in_dir("link")), 0);
    assert_int_equal(fsutil_write_new(in_dir("link"), 0600, flz_view_str("two"), &msg), -EEXIST);
}

static void a_failed_write_leaves_nothing_behind(void **state)
{
    assert_int_equal(fsutil_mkdir(in_dir("a"), 0700, &msg), 0);
    assert_true(fsutil_write(in_dir("a"), 0600, flz_view_str("x"), &msg) < 0);
    assert_int_equal(fsutil_write(in_dir("none/a"), 0600, flz_view_str("x"), &msg), -ENOENT);
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.';
    assert_int_equal(closedir(folder), 0);
    assert_int_equal(n, 1);
}

static void reading_is_bounded(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf big = FLZ_BUF_NULL;
    for (int i = 0; i < 10000; i++)
        flz_buf_add_str(&big, "12345");
    assert_int_equal(fsutil_write(in_dir("a"), 0600, flz_buf_view(&big), &msg), 0);
    assert_int_equal(fsutil_read(in_dir("a"), 50000, &buf, &msg), 0);
    assert_true(flz_view_equal(flz_buf_view(&buf), flz_buf_view(&big)));
    assert_int_equal(fsutil_read(in_dir("a"), 49999, &buf, &msg), -EFBIG);
    assert_non_null(strstr(msg.text, "49999"));
    assert_int_equal(fsutil_read("/dev/zero", 100000, &buf, &msg), -EFBIG);
    assert_int_equal(fsutil_read(in_dir("b"), 10, &buf, &msg), -ENOENT);
    assert_int_equal(fsutil_read(dir, 10, &buf, NULL), -EISDIR);
}

static void secrets_are_read_from_private_files_only(void **state)
{
    struct flz_secret secret = FLZ_SECRET_NULL;
    static const mode_t bad[] = {0640, 0604, 0610, 0601, 0666};
    assert_int_equal(fsutil_write(in_dir("a"), 0600, flz_view_str("secret"), &msg), 0);
    assert_int_equal(fsutil_read_secret(in_dir("a"), 6, &secret, &msg), 0);
    assert_true(flz_view_equal(flz_secret_view(&secret), flz_view_str("secret")));
    flz_secret_deinit(&secret);
    assert_int_equal(fsutil_read_secret(in_dir("a"), 5, &secret, &msg), -EFBIG);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chmod(in_dir("a"), bad[i]), 0);
        assert_int_equal(fsutil_read_secret(in_dir("a"), 100, &secret, &msg), -EPERM);
        assert_int_equal(fsutil_check_private(in_dir("a"), &msg), -EPERM);
    }
    assert_int_equal(chmod(in_dir("a"), 0400), 0);
    assert_int_equal(fsutil_check_private(in_dir("a"), &msg), 0);
    assert_int_equal(symlink("a", in_dir("link")), 0);
    assert_int_equal(fsutil_read_secret(in_dir("link"), 100, &secret, &msg), -ELOOP);
    assert_non_null(strstr(msg.text, "a symbolic link; name the file itself"));
    assert_int_equal(fsutil_check_private(dir, &msg), -EPERM);
    /* A pipe must not make us wait for a writer. */
    assert_int_equal(mkfifo(in_dir("b"), 0600), 0);
    assert_int_equal(fsutil_read_secret(in_dir("b"), 100, &secret, &msg), -EPERM);
    if (geteuid() == 0) {
        assert_int_equal(chown(in_dir("a"), 65534, 65534), 0);
        assert_int_equal(fsutil_check_private(in_dir("a"), &msg), -EPERM);
    }
    assert_null(secret.data);
}

static void folders_are_made_with_their_parents(void **state)
{
    assert_int_equal(fsutil_mkdir(in_dir("p//q/r/"), 0750, &msg), 0);
    assert_int_equal(fsutil_mkdir(in_dir("p/q/r"), 0700, &msg), 0);
    assert_int_equal(mode_of(in_dir("p/q")) & 0700, 0700);
    assert_int_equal(fsutil_write(in_dir("a"), 0600, flz_view_str("x"), &msg), 0);
    assert_int_equal(fsutil_mkdir(in_dir("a"), 0700, &msg), -ENOTDIR);
    assert_int_equal(fsutil_mkdir(in_dir("a/b"), 0700, &msg), -ENOTDIR);
    assert_int_equal(fsutil_mkdir("", 0700, &msg), -ENOENT);
    char path[5000];
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(fsutil_mkdir(path, 0700, &msg), -ENAMETOOLONG);
}

static void removing_is_idempotent(void **state)
{
    assert_int_equal(fsutil_write(in_dir("a"), 0600, flz_view_str("x"), &msg), 0);
    assert_int_equal(fsutil_remove(in_dir("a"), &msg), 0);
    assert_int_equal(access(in_dir("a"), F_OK), -1);
    assert_int_equal(fsutil_remove(in_dir("a"), &msg), 0);
    assert_true(fsutil_remove(dir, &msg) < 0);
    assert_int_equal(fsutil_sync_dir(dir), 0);
    assert_int_equal(fsutil_sync_dir(in_dir("none")), -ENOENT);
}

static void a_lock_has_one_holder(void **state)
{
    int fd = -1, other = -1;
    char pid[32];
    assert_int_equal(fsutil_lock(in_dir("a"), &fd, &msg), 0);
    (void)snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    assert_content(in_dir("a"), pid);
    assert_int_equal(fsutil_lock(in_dir("a"), &other, &msg), FSUTIL_E_LOCKED);
    assert_int_equal(other, -1);
    /* It ends with its holder, and a child that was forked does not inherit it by execve. */
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fsutil_lock(in_dir("a"), &other, &msg), 0);
    assert_int_equal(close(other), 0);
}

static void free_space_is_told(void **state)
{
    uint64_t bytes = 0;
    assert_int_equal(fsutil_free_bytes(dir, &bytes), 0);
    assert_true(bytes > 0);
    assert_int_equal(fsutil_free_bytes(in_dir("none"), &bytes), -ENOENT);
}

/* In a child, since limits stay: a write refused by the size limit, as by a full disk. */
static void a_refused_write_leaves_the_old_file(void **state)
{
    assert_int_equal(fsutil_write(in_dir("a"), 0600, flz_view_str("old"), &msg), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static uint8_t bytes[8192];
        struct flz_view large = {bytes, sizeof bytes};
        struct rlimit limit = {4096, 4096};
        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
            _exit(2);
        _exit(fsutil_write(in_dir("a"), 0600, large, &msg) == -EFBIG ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_content(in_dir("a"), "old");
}

static bool ends_in_b(const char *name)
{
    return name[strlen(name) - 1] == 'b';
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(fsutil_write(path, 0640, flz_view_str(text), &msg), 0);
}

static void a_tree_is_copied_and_removed_whole(void **state)
{
    struct stat a, b;
    uint64_t bytes = 0;
    assert_int_equal(fsutil_mkdir(in_dir("p/q"), 0700, &msg), 0);
    write_text(in_dir("p/a"), "may change");
    write_text(in_dir("p/q/b"), "never will");
    assert_int_equal(fsutil_copy_tree(in_dir("p"), in_dir("r"), ends_in_b, &bytes, &msg), 0);
    assert_int_equal(bytes, 20);
    assert_int_equal(stat(in_dir("p/a"), &a) | stat(in_dir("r/a"), &b), 0);
    assert_true(a.st_ino != b.st_ino && b.st_size == 10 && (b.st_mode & 0777) == 0640);
    assert_int_equal(stat(in_dir("p/q/b"), &a) | stat(in_dir("r/q/b"), &b), 0);
    assert_true(a.st_ino == b.st_ino);

    /* Again: what came since is added, the rest stays. */
    write_text(in_dir("p/c"), "new");
    write_text(in_dir("p/a"), "has changed");
    assert_int_equal(fsutil_copy_tree(in_dir("p"), in_dir("r"), ends_in_b, &bytes, &msg), 0);
    assert_int_equal(stat(in_dir("r/c"), &a) | stat(in_dir("r/a"), &b), 0);
    assert_true(a.st_size == 3 && b.st_size == 10);

    assert_int_equal(symlink(in_dir("p"), in_dir("r/link")), 0);
    assert_int_equal(fsutil_remove_tree(in_dir("r"), &msg), 0);
    assert_int_equal(access(in_dir("r"), F_OK), -1);
    assert_int_equal(access(in_dir("p/a"), F_OK), 0);
    assert_int_equal(fsutil_remove_tree(in_dir("r"), &msg), 0);
    assert_int_equal(fsutil_copy_tree(in_dir("r"), in_dir("b"), ends_in_b, &bytes, &msg), -ENOENT);
    assert_int_equal(fsutil_remove_tree(in_dir("p"), &msg), 0);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_DIR(a_tree_is_copied_and_removed_whole),
        IN_DIR(what_is_written_is_read),
        IN_DIR(a_new_file_replaces_none),
        IN_DIR(a_failed_write_leaves_nothing_behind),
        IN_DIR(reading_is_bounded),
        IN_DIR(secrets_are_read_from_private_files_only),
        IN_DIR(folders_are_made_with_their_parents),
        IN_DIR(removing_is_idempotent),
        IN_DIR(a_lock_has_one_holder),
        IN_DIR(free_space_is_told),
        IN_DIR(a_refused_write_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
