#include "common/sys/metrics.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/sys/clock.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SERIES_MAX_DEFAULT 64
#define KEY_MAX (METRICS_LABELS_MAX * METRICS_VALUE_MAX)
#define NUMBER_MAX 40
#define UTF8_LEN_MAX 4

static const double bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30};

#define BOUNDS (sizeof bounds / sizeof bounds[0])

struct histogram {
    uint64_t counts[BOUNDS + 1]; /* each bucket alone; the last is what lies beyond the bounds */
    double sum;
};

/* The values of the labels, each with its NUL, one behind the other. */
struct key {
    char bytes[KEY_MAX];
    size_t len;
};

struct series {
    char *key; /* owned; NULL without labels */
    size_t key_len;
    uint64_t total;
    double value;
    struct histogram *histogram; /* owned */
};

struct family {
    const struct metrics_family *description;
    unsigned labels;
    unsigned series_max;
    struct series *series; /* owned */
    size_t n;
    size_t capacity;
};

struct metrics {
    pthread_mutex_t lock; /* over all below */
    struct family *families;
    size_t n;
    uint64_t dropped;
    double start_time_s; /* of the process; 0 when unknown */
};

/* ---- Label values ---- */

/* Cut at a character's edge; one byte that is no UTF-8 would make a scraper refuse the page. */
static void add_value(struct key *key, const char *value)
{
    size_t start = key->len;
    for (const char *s = value ? value : ""; *s;) {
        size_t n = flz_utf8_len(s, strnlen(s, UTF8_LEN_MAX));
        size_t step = n ? n : 1;
        if (key->len - start + step >= METRICS_VALUE_MAX)
            break;
        memcpy(key->bytes + key->len, n ? s : "?", step);
        key->len += step;
        s += step;
    }
    key->bytes[key->len++] = '\0';
}

static unsigned count_labels(const struct metrics_family *description)
{
    unsigned n = 0;
    while (n < METRICS_LABELS_MAX && description->labels[n])
        n++;
    return n;
}

/* ---- Series ---- */

static void series_deinit(struct series *series)
{
    free(series->key);
    free(series->histogram);
}

static int make_series(struct family *family, const struct key *key)
{
    void *array = family->series;
    if (flz_grow(&array, &family->capacity, family->n + 1, sizeof *family->series) < 0)
        return -ENOMEM;
    family->series = array;
    struct series series = {.key_len = key->len};
    if (key->len > 0)
        series.key = malloc(key->len);
    if (family->description->type == METRICS_HISTOGRAM)
        series.histogram = calloc(1, sizeof *series.histogram);
    if ((key->len > 0 && !series.key) ||
        (family->description->type == METRICS_HISTOGRAM && !series.histogram)) {
        series_deinit(&series);
        return -ENOMEM;
    }
    if (key->len > 0)
        memcpy(series.key, key->bytes, key->len);
    family->series[family->n++] = series;
    return 0;
}

/* The series of these label values, made when it is new; NULL when there is no place for it. */
static struct series *find(struct metrics *metrics, size_t index, enum metrics_type type,
                           const char *const *labels)
{
    assert(index < metrics->n);
    struct family *family = &metrics->families[index];
    assert(family->description->type == type);
    assert(family->labels == 0 || labels);
    struct key key = {.len = 0};
    for (unsigned i = 0; i < family->labels; i++)
        add_value(&key, labels[i]);
    for (size_t i = 0; i < family->n; i++) {
        struct series *series = &family->series[i];
        if (series->key_len == key.len &&
            (key.len == 0 || memcmp(series->key, key.bytes, key.len) == 0))
            return series;
    }
    if (family->n < family->series_max && make_series(family, &key) == 0)
        return &family->series[family->n - 1];
    metrics->dropped++;
    return NULL;
}

void metrics_add(struct metrics *metrics, size_t family, const char *const *labels,
                 uint64_t amount)
{
    if (!metrics)
        return;
    (void)pthread_mutex_lock(&metrics->lock);
    struct series *series = find(metrics, family, METRICS_COUNTER, labels);
    if (series)
        series->total += amount;
    (void)pthread_mutex_unlock(&metrics->lock);
}

void metrics_set_total(struct metrics *metrics, size_t family, const char *const *labels,
                       uint64_t total)
{
    if (!metrics)
        return;
    (void)pthread_mutex_lock(&metrics->lock);
    struct series *series = find(metrics, family, METRICS_COUNTER, labels);
    if (series && series->total < total)
        series->total = total;
    (void)pthread_mutex_unlock(&metrics->lock);
}

void metrics_set(struct metrics *metrics, size_t family, const char *const *labels, double value)
{
    if (!metrics)
        return;
    (void)pthread_mutex_lock(&metrics->lock);
    struct series *series = find(metrics, family, METRICS_GAUGE, labels);
    if (series)
        series->value = value;
    (void)pthread_mutex_unlock(&metrics->lock);
}

void metrics_observe(struct metrics *metrics, size_t family, const char *const *labels,
                     double seconds)
{
    if (!metrics)
        return;
    (void)pthread_mutex_lock(&metrics->lock);
    struct series *series = find(metrics, family, METRICS_HISTOGRAM, labels);
    if (series) {
        size_t i = 0;
        while (i < BOUNDS && seconds > bounds[i])
            i++;
        series->histogram->counts[i]++;
        series->histogram->sum += seconds;
    }
    (void)pthread_mutex_unlock(&metrics->lock);
}

static void clear(struct family *family)
{
    for (size_t i = 0; i < family->n; i++)
        series_deinit(&family->series[i]);
    family->n = 0;
}

void metrics_clear(struct metrics *metrics, size_t family)
{
    if (!metrics)
        return;
    assert(family < metrics->n);
    (void)pthread_mutex_lock(&metrics->lock);
    clear(&metrics->families[family]);
    (void)pthread_mutex_unlock(&metrics->lock);
}

/* ---- The process itself, from /proc ---- */

struct usage {
    double cpu_s;
    uint64_t start_ticks; /* since boot */
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
};

/* proc(5), /proc/PID/stat: the name in brackets may hold anything, so reading begins behind it. */
static bool read_usage(struct usage *ret_usage)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    uint64_t user, system, start, size, pages;
    if (!rest || sscanf(rest + 1,
                        " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                        " %*d %*d %*d %*d %*d %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
                        &user, &system, &start, &size, &pages) != 5)
        return false;
    *ret_usage = (struct usage){
        .cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK),
        .start_ticks = start,
        .virtual_bytes = size,
        .resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE),
    };
    return true;
}

static double read_start_time(void)
{
    struct usage usage;
    if (!read_usage(&usage))
        return 0;
    double since_boot_s = (double)usage.start_ticks / (double)sysconf(_SC_CLK_TCK);
    return (double)(flz_realtime_ms() - flz_boottime_ms()) / 1000 + since_boot_s;
}

static bool count_fds(uint64_t *ret_n)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return false;
    uint64_t n = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    (void)closedir(dir);
    *ret_n = n - 1; /* the one that counts is not counted */
    return true;
}

/* ---- Text format 0.0.4 ---- */

static void add_escaped(struct flz_buf *buf, const char *s, bool quotes)
{
    for (; *s; s++) {
        if (*s == '\n') {
            flz_buf_add_str(buf, "\\n");
            continue;
        }
        if (*s == '\\' || (quotes && *s == '"'))
            flz_buf_add_byte(buf, '\\');
        flz_buf_add_byte(buf, (uint8_t)*s);
    }
}

/* The shortest of the usual spellings that reads back as itself, in the C locale's form. */
static void add_double(struct flz_buf *buf, double value)
{
    char text[NUMBER_MAX];
    if (isnan(value) || isinf(value)) {
        flz_buf_add_str(buf, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    (void)snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        (void)snprintf(text, sizeof text, "%.17g", value);
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    flz_buf_add_str(buf, text);
}

static void add_head(struct flz_buf *buf, const char *name, const char *help, const char *type)
{
    flz_buf_printf(buf, "# HELP %s ", name);
    add_escaped(buf, help, false);
    flz_buf_printf(buf, "\n# TYPE %s %s\n", name, type);
}

/* "name_suffix{label="value",le="0.5"} ", up to the number. */
static void add_name(struct flz_buf *buf, const struct family *family, const struct series *series,
                     const char *suffix, const char *le)
{
    flz_buf_printf(buf, "%s%s", family->description->name, suffix);
    const char *value = series->key;
    const char *before = "{";
    for (unsigned i = 0; i < family->labels; i++) {
        flz_buf_printf(buf, "%s%s=\"", before, family->description->labels[i]);
        add_escaped(buf, value, true);
        flz_buf_add_byte(buf, '"');
        value += strlen(value) + 1;
        before = ",";
    }
    if (le)
        flz_buf_printf(buf, "%sle=\"%s\"", before, le);
    flz_buf_add_str(buf, family->labels || le ? "} " : " ");
}

static void expose_histogram(struct flz_buf *buf, const struct family *family,
                             const struct series *series)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf le = FLZ_BUF_NULL;
        add_double(&le, i < BOUNDS ? bounds[i] : INFINITY);
        count += series->histogram->counts[i];
        add_name(buf, family, series, "_bucket", flz_buf_str(&le));
        flz_buf_printf(buf, "%" PRIu64 "\n", count);
    }
    add_name(buf, family, series, "_sum", NULL);
    add_double(buf, series->histogram->sum);
    flz_buf_add_byte(buf, '\n');
    add_name(buf, family, series, "_count", NULL);
    flz_buf_printf(buf, "%" PRIu64 "\n", count);
}

static void expose_series(struct flz_buf *buf, const struct family *family,
                          const struct series *series)
{
    switch (family->description->type) {
    case METRICS_HISTOGRAM: expose_histogram(buf, family, series); return;
    case METRICS_COUNTER:
        add_name(buf, family, series, "", NULL);
        flz_buf_printf(buf, "%" PRIu64 "\n", series->total);
        return;
    case METRICS_GAUGE:
        add_name(buf, family, series, "", NULL);
        add_double(buf, series->value);
        flz_buf_add_byte(buf, '\n');
        return;
    }
}

static void expose_family(struct flz_buf *buf, const struct family *family)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct metrics_family *description = family->description;
    add_head(buf, description->name, description->help, types[description->type]);
    for (size_t i = 0; i < family->n; i++)
        expose_series(buf, family, &family->series[i]);
}

static void expose_number(struct flz_buf *buf, const char *name, const char *help,
                          const char *type, double value)
{
    add_head(buf, name, help, type);
    flz_buf_printf(buf, "%s ", name);
    add_double(buf, value);
    flz_buf_add_byte(buf, '\n');
}

static void expose_process(struct flz_buf *buf, double start_time_s)
{
    struct usage usage;
    if (read_usage(&usage)) {
        expose_number(buf, "process_cpu_seconds_total", "User and system CPU time spent.",
                      "counter", usage.cpu_s);
        expose_number(buf, "process_virtual_memory_bytes", "Virtual memory size.", "gauge",
                      (double)usage.virtual_bytes);
        expose_number(buf, "process_resident_memory_bytes", "Resident memory size.", "gauge",
                      (double)usage.resident_bytes);
    }
    if (start_time_s > 0)
        expose_number(buf, "process_start_time_seconds", "Start time since 1970 UTC.", "gauge",
                      start_time_s);
    uint64_t fds;
    if (count_fds(&fds))
        expose_number(buf, "process_open_fds", "Open file descriptors.", "gauge", (double)fds);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        expose_number(buf, "process_max_fds", "Limit of open file descriptors.", "gauge",
                      (double)limit.rlim_cur);
}

void metrics_expose(struct metrics *metrics, struct flz_buf *buf)
{
    if (!metrics)
        return;
    (void)pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->n; i++)
        expose_family(buf, &metrics->families[i]);
    uint64_t dropped = metrics->dropped;
    (void)pthread_mutex_unlock(&metrics->lock);
    expose_number(buf, "fluenzr_metrics_dropped_series_total",
                  "Updates lost because their family has no room for another series.", "counter",
                  (double)dropped);
    expose_process(buf, metrics->start_time_s);
}

/* ---- Life ---- */

static int init_family(struct family *family, const struct metrics_family *description)
{
    family->description = description;
    family->labels = count_labels(description);
    family->series_max = description->series_max;
    if (family->series_max == 0)
        family->series_max = family->labels ? SERIES_MAX_DEFAULT : 1;
    struct key none = {.len = 0};
    return family->labels ? 0 : make_series(family, &none);
}

int metrics_new(const struct metrics_family *families, size_t n, struct metrics **ret_metrics)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return flz_fail(-ENOMEM);
    (void)pthread_mutex_init(&metrics->lock, NULL);
    metrics->families = calloc(n ? n : 1, sizeof *metrics->families);
    int r = metrics->families ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < n; i++) {
        metrics->n = i + 1;
        r = init_family(&metrics->families[i], &families[i]);
    }
    if (r < 0) {
        (void)metrics_free(metrics);
        return flz_fail(r);
    }
    metrics->start_time_s = read_start_time();
    *ret_metrics = metrics;
    return 0;
}

struct metrics *metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return NULL;
    for (size_t i = 0; i < metrics->n; i++) {
        clear(&metrics->families[i]);
        free(metrics->families[i].series);
    }
    free(metrics->families);
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
    return NULL;
}
