#include "tests/lib/tree.h"
#include "tests/unit/node_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

static struct flz_view view(const char *s)
{
    return flz_view_str(s);
}

static void expect_held(struct nfx *fx, const char *key, const char *want)
{
    struct flz_buf buf = FLZ_BUF_NULL;
    int r = journal_get(fx->journal, JOURNAL_META, view(key), &buf);
    assert_int_equal(r, want ? 0 : JOURNAL_E_ABSENT);
    if (want)
        assert_string_equal(flz_buf_str(&buf), want);
    flz_buf_deinit(&buf);
}

static int on_pair(struct flz_view key, struct flz_view value, void *data)
{
    char *all = data;
    (void)sprintf(all + strlen(all), "%.*s=%.*s ", (int)key.len, (const char *)key.data,
                  (int)value.len, (const char *)value.data);
    return 0;
}

static void what_is_put_is_read_at_once_and_after_a_restart(void **state)
{
    struct nfx *fx = *state;
    struct flz_id incarnation = journal_incarnation(fx->journal);
    journal_put(fx->journal, JOURNAL_META, view("a"), view("1"));
    expect_held(fx, "a", "1");
    nfx_sync(fx);
    expect_held(fx, "a", "1");
    journal_put(fx->journal, JOURNAL_META, view("a"), view("2"));
    journal_put(fx->journal, JOURNAL_META, view("b"), view("3"));
    journal_delete(fx->journal, JOURNAL_META, view("a"));
    expect_held(fx, "a", NULL);
    nfx_close(fx); /* writes what was gathered */
    nfx_open(fx);
    expect_held(fx, "a", NULL);
    expect_held(fx, "b", "3");
    assert_true(flz_id_equal(incarnation, journal_incarnation(fx->journal)));
    assert_true(journal_admits(fx->journal));
}

static void ranges_come_in_key_order(void **state)
{
    struct nfx *fx = *state;
    char all[256] = "";
    journal_put(fx->journal, JOURNAL_DAYS, view("b2"), view("y"));
    journal_put(fx->journal, JOURNAL_DAYS, view("a1"), view("x"));
    journal_put(fx->journal, JOURNAL_DAYS, view("b1"), view("z"));
    nfx_sync(fx);
    assert_int_equal(journal_each(fx->journal, JOURNAL_DAYS, on_pair, all), 0);
    assert_string_equal(all, "a1=x b1=z b2=y ");
    all[0] = '\0';
    assert_int_equal(journal_range(fx->journal, JOURNAL_DAYS, view("b2"), view("b"), on_pair, all),
                     0);
    assert_string_equal(all, "b2=y ");
}

static void answers_come_in_order_and_only_when_durable(void **state)
{
    struct nfx *fx = *state;
    struct nfx_answer answers[3] = {{0}};
    journal_put(fx->journal, JOURNAL_META, view("a"), view("1"));
    journal_sync(fx->journal, nfx_on_durable, &answers[0]);
    journal_put(fx->journal, JOURNAL_META, view("b"), view("2"));
    journal_sync(fx->journal, nfx_on_durable, &answers[1]);
    journal_sync(fx->journal, nfx_on_durable, &answers[2]); /* nothing new: still answered */
    assert_int_equal(answers[0].count, 0);
    while (answers[2].count == 0) {
        (void)uv_run(&fx->loop, UV_RUN_ONCE);
        assert_true(answers[0].count >= answers[1].count);
        assert_true(answers[1].count >= answers[2].count);
    }
    for (int i = 0; i < 3; i++)
        assert_true(answers[i].count == 1 && answers[i].r == 0);
}

static void closing_answers_who_waits(void **state)
{
    struct nfx *fx = *state;
    struct nfx_answer answers[2] = {{0}};
    journal_put(fx->journal, JOURNAL_META, view("a"), view("1"));
    journal_sync(fx->journal, nfx_on_durable, &answers[0]);
    journal_put(fx->journal, JOURNAL_META, view("b"), view("2"));
    journal_sync(fx->journal, nfx_on_durable, &answers[1]);
    nfx_close(fx);
    assert_true(answers[0].count == 1 && answers[0].r == 0);
    assert_true(answers[1].count == 1 && answers[1].r == 0);
    nfx_open(fx);
    expect_held(fx, "b", "2");
}

/* A waiter that writes again while the journal closes: it is refused, not waited for. */
static void on_durable_again(int r, void *data)
{
    struct nfx *fx = data;
    struct nfx_answer answer = {.count = 0};
    assert_int_equal(r, 0);
    journal_put(fx->journal, JOURNAL_META, view("late"), view("1"));
    journal_sync(fx->journal, nfx_on_durable, &answer);
    assert_true(answer.count == 1 && answer.r < 0);
}

static void closing_journal_takes_no_new_waiter(void **state)
{
    struct nfx *fx = *state;
    journal_put(fx->journal, JOURNAL_META, view("a"), view("1"));
    journal_sync(fx->journal, on_durable_again, fx);
    nfx_close(fx);
    nfx_open(fx);
    expect_held(fx, "a", "1");
}

static void second_process_is_turned_away(void **state)
{
    struct nfx *fx = *state;
    char path[96];
    struct journal *other = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    (void)snprintf(path, sizeof path, "%s/journal", fx->dir);
    assert_int_equal(journal_open(&fx->loop, path, &other, &msg), -EBUSY);
    (void)uv_run(&fx->loop, UV_RUN_NOWAIT);
}

static void lost_journal_has_another_incarnation(void **state)
{
    struct nfx *fx = *state;
    struct flz_id old = journal_incarnation(fx->journal);
    char path[96];
    nfx_close(fx);
    (void)snprintf(path, sizeof path, "%s/journal", fx->dir);
    (void)nftw(path, nfx_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    nfx_open(fx);
    assert_false(flz_id_equal(old, journal_incarnation(fx->journal)));
}

/* ---- A full disk ---- */

#define SMALL_MIB 480
#define BIG ((size_t)1 << 20)
#define BIGS 16 /* more than what was set aside for the store's own log */

static int setup_small(void **state)
{
    (void)nfx_setup(state);
    struct nfx *fx = *state;
    nfx_close(fx);
    (void)tree_mount(fx->dir, "tmpfs", SMALL_MIB); /* only root can */
    nfx_open(fx);
    return 0;
}

static int teardown_small(void **state)
{
    struct nfx *fx = *state;
    nfx_close(fx);
    tree_unmount(fx->dir);
    nfx_open(fx);
    return nfx_teardown(state);
}

/* Turns the loop for so long, or until it was answered. */
static void turn(struct nfx *fx, const struct nfx_answer *answer, int ms)
{
    for (; ms > 0 && answer->count == 0; ms -= 10) {
        (void)uv_run(&fx->loop, UV_RUN_NOWAIT);
        (void)usleep(10000);
    }
}

/* Whoever waits for a record waits on, so no dot leaves; nothing is lost, and nothing ends. */
static void a_full_disk_is_waited_out(void **state)
{
    struct nfx *fx = *state;
    struct nfx_answer answer = {.count = 0};
    struct flz_buf held = FLZ_BUF_NULL;
    struct statfs fs;
    char filler[96];
    if (statfs(fx->dir, &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
        fs.f_blocks > (SMALL_MIB << 20) / 4096)
        skip();
    char *big = malloc(BIG);
    assert_non_null(big);
    (void)snprintf(filler, sizeof filler, "%s/filler", fx->dir);
    tree_fill(filler, 0);
    for (size_t i = 0; i < BIGS; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "%zu", i);
        memset(big, (int)('a' + i), BIG);
        journal_put(fx->journal, JOURNAL_META, view(key), (struct flz_view){(uint8_t *)big, BIG});
    }
    free(big);
    journal_sync(fx->journal, nfx_on_durable, &answer);
    turn(fx, &answer, 2500);
    assert_int_equal(answer.count, 0);
    assert_false(journal_admits(fx->journal));
    assert_int_equal(unlink(filler), 0);
    turn(fx, &answer, 10000);
    assert_true(answer.count == 1 && answer.r == 0);
    nfx_close(fx);
    nfx_open(fx);
    assert_int_equal(journal_get(fx->journal, JOURNAL_META, view("15"), &held), 0);
    assert_int_equal(held.len, BIG);
    assert_int_equal(held.data[BIG - 1], 'a' + 15);
    flz_buf_deinit(&held);
    assert_true(journal_admits(fx->journal));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, nfx_setup, nfx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_read_at_once_and_after_a_restart),
        TEST(ranges_come_in_key_order),
        TEST(answers_come_in_order_and_only_when_durable),
        TEST(closing_answers_who_waits),
        TEST(closing_journal_takes_no_new_waiter),
        TEST(second_process_is_turned_away),
        TEST(lost_journal_has_another_incarnation),
        cmocka_unit_test_setup_teardown(a_full_disk_is_waited_out, setup_small, teardown_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
