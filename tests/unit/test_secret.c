#include "common/sys/secret.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct flz_view view(const char *text)
{
    return flz_view_str(text);
}

static void a_secret_is_zero_when_made_and_wiped_when_released(void **state)
{
    struct flz_secret secret = FLZ_SECRET_NULL;
    assert_int_equal(flz_secret_new(100, &secret), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(secret.data[i], 0);
    memset(secret.data, 0xaa, 100);
    const uint8_t *at = secret.data;
    flz_secret_deinit(&secret);
    assert_null(secret.data);
    assert_int_equal(secret.len, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(at[i], 0);
    flz_secret_deinit(&secret);
}

static void sizes_are_bounded(void **state)
{
    struct flz_secret secret = FLZ_SECRET_NULL;
    assert_int_equal(flz_secret_new(0, &secret), -EINVAL);
    assert_int_equal(flz_secret_new(FLZ_SECRET_MAX + 1, &secret), -EINVAL);
    assert_null(secret.data);
    assert_int_equal(flz_secret_new(FLZ_SECRET_MAX, &secret), 0);
    flz_secret_deinit(&secret);
    assert_int_equal(flz_secret_copy(FLZ_VIEW_NULL, &secret), 0);
    assert_null(secret.data);
}

#define MANY 70

static void a_full_arena_says_so_and_recovers(void **state)
{
    for (int round = 0; round < 3; round++) {
        struct flz_secret secrets[MANY];
        int n = 0, r = 0;
        while (n < MANY && (r = flz_secret_new(FLZ_SECRET_MAX, &secrets[n])) == 0)
            n++;
        assert_int_equal(r, -ENOMEM);
        assert_in_range(n, 60, 64);
        /* Released in an order that leaves holes first. */
        for (int i = 0; i < n; i += 2)
            flz_secret_deinit(&secrets[i]);
        for (int i = 1; i < n; i += 2)
            flz_secret_deinit(&secrets[i]);
    }
}

/* Many sizes in and out: none overlaps another, and all of the arena comes back. */
static void blocks_do_not_overlap(void **state)
{
    static struct flz_secret secrets[256];
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        struct flz_secret *secret = &secrets[(seed >> 33) % 256];
        uint8_t mark = (uint8_t)(secret - secrets);
        for (size_t j = 0; j < secret->len; j++)
            assert_int_equal(secret->data[j], mark);
        flz_secret_deinit(secret);
        if (seed >> 63)
            continue;
        assert_int_equal(flz_secret_new(1 + (seed >> 45) % 2000, secret), 0);
        assert_int_equal((uintptr_t)secret->data % 16, 0);
        memset(secret->data, mark, secret->len);
    }
    for (int i = 0; i < 256; i++)
        flz_secret_deinit(&secrets[i]);
    a_full_arena_says_so_and_recovers(state);
}

static void what_is_cut_off_is_wiped(void **state)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    assert_int_equal(flz_secret_copy(view("hunter2hunter2"), &secret), 0);
    flz_secret_truncate(&secret, 7);
    assert_int_equal(secret.len, 7);
    assert_memory_equal(secret.data, "hunter2\0\0\0\0\0\0\0", 14);
    flz_secret_truncate(&secret, 0);
    assert_null(secret.data);
}

static void equality_looks_at_all_bytes(void **state)
{
    _cleanup_(flz_secret_deinit) struct flz_secret a = FLZ_SECRET_NULL;
    _cleanup_(flz_secret_deinit) struct flz_secret b = FLZ_SECRET_NULL;
    assert_true(flz_secret_equal(&a, &b));
    assert_int_equal(flz_secret_random(32, &a), 0);
    assert_false(flz_secret_equal(&a, &b));
    assert_int_equal(flz_secret_copy(flz_secret_view(&a), &b), 0);
    assert_true(flz_secret_equal(&a, &b));
    b.data[31] ^= 1;
    assert_false(flz_secret_equal(&a, &b));
}

static int read_from(const char *text, size_t max, struct flz_secret *ret_secret)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    (void)close(ends[1]);
    int r = flz_secret_read_line(ends[0], max, ret_secret);
    (void)close(ends[0]);
    return r;
}

static void one_line_is_read(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"pass word\nrest\n", "pass word"}, {"no end", "no end"}, {"12345678\n", "12345678"}};
    struct flz_secret secret = FLZ_SECRET_NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_from(cases[i].text, 9, &secret), 0);
        assert_true(flz_view_equal(flz_secret_view(&secret), view(cases[i].line)));
        flz_secret_deinit(&secret);
    }
    assert_int_equal(read_from("1234567890\n", 9, &secret), -EMSGSIZE);
    assert_int_equal(read_from("\n", 9, &secret), 0);
    assert_null(secret.data);
    assert_int_equal(flz_secret_read_line(-1, 9, &secret), -EBADF);
}

static void *churn(void *data)
{
    static char refused[] = "refused", overlap[] = "overlap";
    for (int i = 0; i < 3000; i++) {
        struct flz_secret secret;
        if (flz_secret_new(1 + (size_t)i % 500, &secret) < 0)
            return refused;
        memset(secret.data, i, secret.len);
        for (size_t j = 0; j < secret.len; j++)
            if (secret.data[j] != (uint8_t)i)
                return overlap;
        flz_secret_deinit(&secret);
    }
    return NULL;
}

static void threads_may_share_the_arena(void **state)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 3; i++) {
        void *fault;
        assert_int_equal(pthread_join(threads[i], &fault), 0);
        assert_null(fault);
    }
}

/* In children, since it cannot be undone: exit codes tell. */
static int in_child(int (*run)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int harden(void)
{
    struct rlimit core;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (flz_secret_harden(true, &msg) < 0 || getrlimit(RLIMIT_CORE, &core) < 0)
        return 1;
    return core.rlim_max == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2;
}

static int harden_unlockable(void)
{
    struct rlimit none = {0, 0};
    struct flz_msg msg = FLZ_MSG_NULL;
    if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
        return 3;
    if (flz_secret_harden(false, &msg) != -ENOMEM || !strstr(msg.text, "LimitMEMLOCK"))
        return 1;
    /* A second call must not forget that the memory is not locked. */
    if (flz_secret_harden(false, &msg) != -ENOMEM)
        return 2;
    return flz_secret_harden(true, &msg) == 0 ? 0 : 4;
}

static void a_hardened_process_leaves_no_core(void **state)
{
    assert_int_equal(in_child(harden), 0);
}

static void memory_that_cannot_be_locked_is_refused(void **state)
{
    if (geteuid() != 0)
        skip();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizers answer mlock() themselves */
#endif
    assert_int_equal(in_child(harden_unlockable), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_cannot_be_locked_is_refused), /* before there is an arena */
        cmocka_unit_test(a_hardened_process_leaves_no_core),
        cmocka_unit_test(a_secret_is_zero_when_made_and_wiped_when_released),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(a_full_arena_says_so_and_recovers),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(what_is_cut_off_is_wiped),
        cmocka_unit_test(equality_looks_at_all_bytes),
        cmocka_unit_test(one_line_is_read),
        cmocka_unit_test(threads_may_share_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
