#include "common/sys/log.h"

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct flz_log logs[2]; /* by format */
static int ends[2];            /* a pipe: read, write */
static char got[65536];

static int setup(void **state)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    for (int i = 0; i < 2; i++)
        flz_log_init(&logs[i], ends[1], FLZ_LOG_INFO, (enum flz_log_format)i);
    return 0;
}

static int teardown(void **state)
{
    (void)close(ends[0]);
    return close(ends[1]);
}

/* What was written since the last call. */
static const char *read_log(void)
{
    ssize_t n = read(ends[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    return got;
}

/* The fields of the logfmt line, behind its time. */
static const char *fields(void)
{
    const char *line = read_log();
    assert_memory_equal(line, "ts=", 3);
    int64_t ms;
    char time[25] = "";
    memcpy(time, line + 3, 24);
    assert_int_equal(flz_time_parse(time, &ms), 0);
    return line + 28;
}

static json_t *object(void)
{
    json_error_t error;
    json_t *json = json_loads(read_log(), 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, got);
    return json;
}

static void a_line_holds_its_fields_in_order(void **state)
{
    flz_log(&logs[0], FLZ_LOG_INFO, "sent", "task=%s n=%d share=%.2f big=%lld size=%zu", "t1", -7,
            0.5, 1LL << 60, sizeof(int64_t));
    assert_string_equal(fields(), "level=info event=sent task=t1 n=-7 share=0.50 "
                                  "big=1152921504606846976 size=8\n");
    flz_log(&logs[0], FLZ_LOG_ERROR, "bare", "a=b");
    assert_non_null(strstr(fields(), "event=bare a=b\n"));
    flz_log(&logs[0], FLZ_LOG_NOTICE, "mixed",
            "at=%s:%d hint=\"try %s again\" cut=%.*s hex=%x c=%c", "a.c", 12, "it", 2, "abcdef",
            255u, 'x');
    assert_string_equal(fields(), "level=notice event=mixed at=a.c:12 hint=\"try it again\" cut=ab "
                                  "hex=ff c=x\n");
}

static void json_lines_keep_the_types(void **state)
{
    flz_log(&logs[1], FLZ_LOG_WARNING, "sent", "task=%s n=%d id=%s share=%.1f hex=%x none=%s",
            "t\"1", 7, "42", 0.5, 0x10u, "");
    json_t *json = object();
    assert_string_equal(json_string_value(json_object_get(json, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(json, "event")), "sent");
    assert_string_equal(json_string_value(json_object_get(json, "task")), "t\"1");
    assert_int_equal(json_integer_value(json_object_get(json, "n")), 7);
    assert_string_equal(json_string_value(json_object_get(json, "id")), "42");
    assert_true(json_real_value(json_object_get(json, "share")) == 0.5);
    assert_string_equal(json_string_value(json_object_get(json, "hex")), "10");
    assert_string_equal(json_string_value(json_object_get(json, "none")), "");
    json_decref(json);
}

static void no_value_can_forge_a_field_or_a_line(void **state)
{
    static const char *const evil[] = {
        "a b=c",       "x\nts=2026 level=error",
        "\"",          "\\\"",
        "a=b",         "",
        "\r\n",        "\033[2J",
        "\302\233 2J", "caf\303\251",
        "\377\376",    "\355\240\200",
        "\t",          "\177",
        " ",
    };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        flz_log(&logs[0], FLZ_LOG_INFO, "e", "v=%s end=1", evil[i]);
        const char *line = fields();
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_string_equal(line + strlen(line) - 7, " end=1\n");
        assert_null(strpbrk(line, "\r\t\033\177"));
        assert_null(strstr(line, "\302\233"));
        for (size_t at = 0, n; at < strlen(line); at += n) {
            n = flz_utf8_len(line + at, strlen(line + at));
            assert_true(n > 0);
        }
        flz_log(&logs[1], FLZ_LOG_INFO, "e", "v=%s end=1", evil[i]);
        json_t *json = object();
        assert_int_equal(json_object_size(json), 5);
        json_decref(json);
    }
    flz_log(&logs[0], FLZ_LOG_INFO, "e", "v=%s", "caf\303\251");
    assert_string_equal(fields(), "level=info event=e v=caf\303\251\n");
}

/* Whatever is cut, the line is one line, says that it is cut, and can be read. */
static void a_long_line_is_cut_and_says_so(void **state)
{
    static char value[FLZ_LOG_LINE_MAX + 100];
    static const char *const fill[] = {"x", "\"", "\n", "\303\251", "\001", "\377"};
    for (size_t f = 0; f < sizeof fill / sizeof fill[0]; f++) {
        for (size_t n = 600; n < FLZ_LOG_LINE_MAX; n += n < 3900 ? 97 : 1) {
            size_t step = strlen(fill[f]);
            value[0] = '\0';
            for (size_t i = 0; i + step < n; i += step)
                memcpy(value + i, fill[f], step + 1);
            flz_log(&logs[0], FLZ_LOG_INFO, "e", "before=%d v=%s after=%s n=%d", 1, value, "z", 77);
            const char *line = fields();
            size_t len = strlen(got);
            assert_true(len <= FLZ_LOG_LINE_MAX);
            assert_ptr_equal(strchr(line, '\n'), got + len - 1);
            bool cut = strstr(line, " truncated=true\n") != NULL;
            assert_int_equal(cut, strstr(line, " n=77") == NULL);
            flz_log(&logs[1], FLZ_LOG_INFO, "e", "before=%d v=%s after=%s n=%d", 1, value, "z", 77);
            json_t *json = object();
            cut = json_is_true(json_object_get(json, "truncated"));
            assert_int_equal(cut, json_object_get(json, "n") == NULL);
            json_decref(json);
        }
    }
}

static void levels_above_the_limit_are_counted_only(void **state)
{
    flz_log(&logs[0], FLZ_LOG_DEBUG, "quiet", "a=%d", 1);
    assert_string_equal(read_log(), "");
    assert_int_equal(logs[0].count[FLZ_LOG_DEBUG], 1);
    flz_log(NULL, FLZ_LOG_ERROR, "nobody", "a=%d", 1);
    for (int i = 0; i < FLZ_LOG_LEVELS; i++)
        assert_non_null(flz_log_level_words[i]);
    assert_null(flz_log_level_words[FLZ_LOG_LEVELS]);
}

static void failures_say_where_they_were_born(void **state)
{
    struct flz_msg msg = {"conf.yaml:3: no such key"};
    int line = __LINE__ + 1;
    int r = flz_fail(-ENOENT);
    flz_log_failure(&logs[0], "config_failed", r, &msg);
    char expected[256];
    (void)snprintf(expected, sizeof expected,
                   "test_log.c:%d message=\"conf.yaml:3: no such key\"\n", line);
    assert_non_null(strstr(fields(), expected));
    flz_log_failure(&logs[0], "other", -EIO, NULL);
    assert_non_null(strstr(fields(), "at=?:0 message=\"\""));
}

static void the_journal_gets_priorities(void **state)
{
    struct stat st;
    char stream[64];
    struct flz_log log;
    assert_int_equal(fstat(ends[1], &st), 0);
    (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    flz_log_init(&log, ends[1], FLZ_LOG_INFO, FLZ_LOG_JSON);
    flz_log(&log, FLZ_LOG_ERROR, "e", "a=%d", 1);
    assert_memory_equal(read_log(), "<3>{\"ts\":", 9);
    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    flz_log_init(&log, ends[1], FLZ_LOG_INFO, FLZ_LOG_JSON);
    flz_log(&log, FLZ_LOG_ERROR, "e", "a=%d", 1);
    assert_memory_equal(read_log(), "{\"ts\":", 6);
    (void)unsetenv("JOURNAL_STREAM");
}

#define THREADS 4
#define LINES 50

static void *work(void *data)
{
    for (int i = 0; i < LINES; i++)
        flz_log(&logs[0], FLZ_LOG_INFO, "turn", "thread=%s i=%d", (const char *)data, i);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[THREADS];
    static const char *const names[THREADS] = {"aaaa", "bbbb", "cccc", "dddd"};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)read_log();
    int lines = 0;
    char *rest = got;
    for (char *line; (line = strsep(&rest, "\n")) && *line; lines++) {
        char name[5] = "";
        int i;
        assert_int_equal(
            sscanf(strchr(line, ' '), " level=info event=turn thread=%4s i=%d", name, &i), 2);
        assert_in_range(i, 0, LINES - 1);
    }
    assert_int_equal(lines, THREADS * LINES);
    assert_int_equal(logs[0].count[FLZ_LOG_INFO], THREADS * LINES);
}

#define PIPED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        PIPED(a_line_holds_its_fields_in_order),
        PIPED(json_lines_keep_the_types),
        PIPED(no_value_can_forge_a_field_or_a_line),
        PIPED(a_long_line_is_cut_and_says_so),
        PIPED(levels_above_the_limit_are_counted_only),
        PIPED(failures_say_where_they_were_born),
        PIPED(the_journal_gets_priorities),
        PIPED(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
