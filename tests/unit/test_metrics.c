#include "common/sys/metrics.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SENT, UP, LAG, PLAIN, STATE, WAIT, COUNT };

static const struct metrics_family families[COUNT] = {
    [SENT] = {"fluenzr_messages_sent_total", "Messages by provider\nand \\ outcome.",
              METRICS_COUNTER, .labels = {"provider", "outcome"}, .series_max = 3},
    [UP] = {"fluenzr_up", "Whether it is up.", METRICS_GAUGE},
    [LAG] = {"fluenzr_loop_lag_seconds", "How late the loop is.", METRICS_HISTOGRAM},
    [PLAIN] = {"fluenzr_turns_total", "Turns of the loop.", METRICS_COUNTER},
    [STATE] = {"fluenzr_accounts", "Accounts by state.", METRICS_GAUGE, .labels = {"state"}},
    [WAIT] = {"fluenzr_wait_seconds", "Waiting by kind.", METRICS_HISTOGRAM, .labels = {"kind"}},
};

static struct metrics *metrics;
static struct flz_buf page;

static const char *expose(void)
{
    flz_buf_reset(&page);
    flz_buf_add_byte(&page, '\n'); /* so that each line has one before it */
    metrics_expose(metrics, &page);
    assert_int_equal(flz_buf_error(&page), 0);
    return flz_buf_str(&page);
}

/* The page holds this text right behind the start of a line. */
static void assert_line(const char *line)
{
    char text[512];
    (void)snprintf(text, sizeof text, "\n%s\n", line);
    if (!strstr(expose(), text))
        fail_msg("no line \"%s\" in\n%s", line, expose());
}

static void assert_no(const char *text)
{
    assert_null(strstr(expose(), text));
}

static int setup(void **state)
{
    return metrics_new(families, COUNT, &metrics);
}

static int teardown(void **state)
{
    metrics = metrics_free(metrics);
    flz_buf_deinit(&page);
    return 0;
}

static void families_without_labels_start_at_zero(void **state)
{
    assert_line("fluenzr_up 0");
    assert_line("fluenzr_turns_total 0");
    assert_line("fluenzr_loop_lag_seconds_count 0");
    assert_line("# TYPE fluenzr_messages_sent_total counter");
    assert_line("# HELP fluenzr_messages_sent_total Messages by provider\\nand \\\\ outcome.");
    assert_no("fluenzr_messages_sent_total{");
}

static void counters_add_up_and_never_fall(void **state)
{
    metrics_add(metrics, SENT, METRICS_LABELS("smtp", "accepted"), 2);
    metrics_add(metrics, SENT, METRICS_LABELS("smtp", "accepted"), 3);
    metrics_add(metrics, SENT, METRICS_LABELS("smtp", "deferred"), 0);
    assert_line("fluenzr_messages_sent_total{provider=\"smtp\",outcome=\"accepted\"} 5");
    assert_line("fluenzr_messages_sent_total{provider=\"smtp\",outcome=\"deferred\"} 0");
    metrics_set_total(metrics, PLAIN, METRICS_NO_LABELS, UINT64_C(9007199254740993));
    metrics_set_total(metrics, PLAIN, METRICS_NO_LABELS, 7);
    assert_line("fluenzr_turns_total 9007199254740993");
}

static void gauges_take_any_number(void **state)
{
    static const struct {
        double value;
        const char *line;
    } cases[] = {
        {1, "fluenzr_up 1"},        {-2.5, "fluenzr_up -2.5"},     {0.1, "fluenzr_up 0.1"},
        {NAN, "fluenzr_up NaN"},    {INFINITY, "fluenzr_up +Inf"}, {-INFINITY, "fluenzr_up -Inf"},
        {1e21, "fluenzr_up 1e+21"}, {1763800000.123, "fluenzr_up 1763800000.123"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metrics_set(metrics, UP, METRICS_NO_LABELS, cases[i].value);
        assert_line(cases[i].line);
    }
    metrics_set(metrics, UP, METRICS_NO_LABELS, 0.1 + 0.2);
    assert_line("fluenzr_up 0.30000000000000004");
}

static void buckets_are_cumulative(void **state)
{
    static const double seconds[] = {0.001, 0.005, 0.006, 0.3, 31};
    for (size_t i = 0; i < 5; i++)
        metrics_observe(metrics, LAG, METRICS_NO_LABELS, seconds[i]);
    assert_line("fluenzr_loop_lag_seconds_bucket{le=\"0.005\"} 2");
    assert_line("fluenzr_loop_lag_seconds_bucket{le=\"0.01\"} 3");
    assert_line("fluenzr_loop_lag_seconds_bucket{le=\"0.5\"} 4");
    assert_line("fluenzr_loop_lag_seconds_bucket{le=\"30\"} 4");
    assert_line("fluenzr_loop_lag_seconds_bucket{le=\"+Inf\"} 5");
    assert_line("fluenzr_loop_lag_seconds_sum 31.312");
    assert_line("fluenzr_loop_lag_seconds_count 5");
    metrics_observe(metrics, WAIT, METRICS_LABELS("a"), 2);
    assert_line("fluenzr_wait_seconds_bucket{kind=\"a\",le=\"2.5\"} 1");
    assert_line("fluenzr_wait_seconds_count{kind=\"a\"} 1");
}

static void series_beyond_the_limit_are_dropped_and_counted(void **state)
{
    for (int i = 0; i < 5; i++)
        metrics_add(metrics, SENT, METRICS_LABELS((const char *[]){"a", "b", "c", "d", "e"}[i], ""),
                    1);
    assert_line("fluenzr_metrics_dropped_series_total 2");
    assert_no("provider=\"d\"");
    metrics_add(metrics, SENT, METRICS_LABELS("c", ""), 1);
    assert_line("fluenzr_messages_sent_total{provider=\"c\",outcome=\"\"} 2");
}

static void neighbouring_labels_do_not_run_together(void **state)
{
    metrics_add(metrics, SENT, METRICS_LABELS("ab", "c"), 1);
    metrics_add(metrics, SENT, METRICS_LABELS("a", "bc"), 1);
    assert_line("fluenzr_messages_sent_total{provider=\"ab\",outcome=\"c\"} 1");
    assert_line("fluenzr_messages_sent_total{provider=\"a\",outcome=\"bc\"} 1");
}

static void label_values_are_escaped_and_made_valid(void **state)
{
    metrics_set(metrics, STATE, METRICS_LABELS("a\"b\\c\nd"), 1);
    assert_line("fluenzr_accounts{state=\"a\\\"b\\\\c\\nd\"} 1");
    metrics_set(metrics, STATE, METRICS_LABELS("caf\303\251 \360\237\230\200"), 2);
    assert_line("fluenzr_accounts{state=\"caf\303\251 \360\237\230\200\"} 2");
    /* A lone continuation, an overlong NUL, a surrogate, a cut sequence, a code beyond the last. */
    metrics_set(metrics, STATE, METRICS_LABELS("x\200\300\200\355\240\200\364\220\200\200\303"), 3);
    assert_line("fluenzr_accounts{state=\"x???????????\"} 3");
    metrics_set(metrics, STATE, METRICS_LABELS(NULL), 4);
    assert_line("fluenzr_accounts{state=\"\"} 4");
}

static void long_label_values_are_cut_at_a_character(void **state)
{
    char value[2 * METRICS_VALUE_MAX];
    memset(value, 'x', sizeof value);
    memcpy(value + METRICS_VALUE_MAX - 2, "\303\251", 3);
    metrics_set(metrics, STATE, METRICS_LABELS(value), 1);
    char line[512];
    (void)snprintf(line, sizeof line, "fluenzr_accounts{state=\"%.*s\"} 1", METRICS_VALUE_MAX - 2,
                   value);
    assert_line(line);
}

static void a_cleared_gauge_is_empty_and_usable(void **state)
{
    for (int round = 0; round < 3; round++) {
        metrics_set(metrics, STATE, METRICS_LABELS("a"), 1);
        metrics_set(metrics, STATE, METRICS_LABELS("b"), 1);
        metrics_clear(metrics, STATE);
        assert_no("fluenzr_accounts{");
    }
    metrics_set(metrics, STATE, METRICS_LABELS("c"), 1);
    assert_line("fluenzr_accounts{state=\"c\"} 1");
    assert_line("fluenzr_metrics_dropped_series_total 0");
}

static void the_process_describes_itself(void **state)
{
    static const char *const names[] = {
        "process_cpu_seconds_total",     "process_open_fds",
        "process_max_fds",               "process_virtual_memory_bytes",
        "process_resident_memory_bytes", "process_start_time_seconds",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char start[64];
        (void)snprintf(start, sizeof start, "\n%s ", names[i]);
        const char *found = strstr(expose(), start);
        assert_non_null(found);
        assert_true(strtod(found + strlen(start), NULL) >= 0);
    }
    double began = strtod(strstr(expose(), "\nprocess_start_time_seconds ") + 28, NULL);
    assert_true(fabs(began - (double)time(NULL)) < 120);
}

static void no_registry_is_no_fault(void **state)
{
    metrics_add(NULL, SENT, METRICS_LABELS("a", "b"), 1);
    metrics_set_total(NULL, PLAIN, METRICS_NO_LABELS, 1);
    metrics_set(NULL, UP, METRICS_NO_LABELS, 1);
    metrics_observe(NULL, LAG, METRICS_NO_LABELS, 1);
    metrics_clear(NULL, STATE);
    metrics_expose(NULL, &page);
    assert_int_equal(page.len, 0);
    assert_null(metrics_free(NULL));
}

#define THREADS 4
#define ROUNDS 5000

static void *work(void *data)
{
    for (int i = 0; i < ROUNDS; i++) {
        metrics_add(metrics, SENT, METRICS_LABELS("smtp", i % 2 ? "accepted" : "deferred"), 1);
        metrics_observe(metrics, LAG, METRICS_NO_LABELS, 0.02);
    }
    return NULL;
}

static void threads_may_share_it(void **state)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    (void)expose();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_line("fluenzr_messages_sent_total{provider=\"smtp\",outcome=\"accepted\"} 10000");
    assert_line("fluenzr_loop_lag_seconds_count 20000");
}

static void prometheus_accepts_the_page(void **state)
{
    if (access("/usr/bin/promtool", X_OK) < 0)
        skip();
    metrics_add(metrics, SENT, METRICS_LABELS("a\"\\\n\377", "accepted"), 1);
    metrics_observe(metrics, WAIT, METRICS_LABELS("a"), 2);
    FILE *promtool = popen("/usr/bin/promtool check metrics", "we");
    assert_non_null(promtool);
    (void)expose();
    assert_int_equal(fwrite(page.data, 1, page.len, promtool), page.len);
    assert_int_equal(pclose(promtool), 0);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FRESH(families_without_labels_start_at_zero),
        FRESH(counters_add_up_and_never_fall),
        FRESH(gauges_take_any_number),
        FRESH(buckets_are_cumulative),
        FRESH(series_beyond_the_limit_are_dropped_and_counted),
        FRESH(neighbouring_labels_do_not_run_together),
        FRESH(label_values_are_escaped_and_made_valid),
        FRESH(long_label_values_are_cut_at_a_character),
        FRESH(a_cleared_gauge_is_empty_and_usable),
        FRESH(the_process_describes_itself),
        FRESH(no_registry_is_no_fault),
        FRESH(threads_may_share_it),
        FRESH(prometheus_accepts_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
