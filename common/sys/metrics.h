/*
 * Metrics: a registry over a static table of families, and the Prometheus text format 0.0.4.
 * Labels are bounded: each family has a limit of series; what goes beyond is dropped and counted in
 * fluenzr_metrics_dropped_series_total. No label ever holds an address.
 *
 *     enum { M_SENT, M_UP, M_COUNT };
 *     static const struct metrics_family families[M_COUNT] = {
 *         [M_SENT] = {"fluenzr_messages_sent_total", "Messages …", METRICS_COUNTER,
 *                     .labels = {"provider", "outcome"}, .series_max = 64},
 *         …
 *     metrics_add(metrics, M_SENT, METRICS_LABELS("smtp", "accepted"), 1);
 *
 * May be used by several threads.
 */
#pragma once

#include "common/base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define METRICS_LABELS_MAX 4
#define METRICS_VALUE_MAX 128 /* bytes of a label value; longer ones are cut */

#define METRICS_LABELS(...) ((const char *const[]){__VA_ARGS__})
#define METRICS_NO_LABELS NULL

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_family {
    const char *name; /* counters end in _total, times in _seconds */
    const char *help;
    enum metrics_type type;
    const char *labels[METRICS_LABELS_MAX]; /* NULL behind the last */
    unsigned series_max;                    /* 0 means 1 without labels, else 64 */
};

struct metrics;

/* `families` is borrowed for the life of the registry. Families without labels start at 0.
 * 0 or -ENOMEM. */
int metrics_new(const struct metrics_family *families, size_t n, struct metrics **ret_metrics);
struct metrics *metrics_free(struct metrics *metrics);

/*
 * `labels` has as many values as the family has labels. All of them accept `metrics` NULL. A
 * series is made by its first use; add 0 to make known ones visible from the start.
 */
void metrics_add(struct metrics *metrics, size_t family, const char *const *labels,
                 uint64_t amount);                                                  /* counter */
void metrics_set_total(struct metrics *metrics, size_t family, const char *const *labels,
                       uint64_t total);            /* counter kept elsewhere; never decreases */
void metrics_set(struct metrics *metrics, size_t family, const char *const *labels,
                 double value);                                                     /* gauge */
void metrics_observe(struct metrics *metrics, size_t family, const char *const *labels,
                     double seconds);                                               /* histogram */

/* Forgets all series of a gauge family, before it is set anew from a list. */
void metrics_clear(struct metrics *metrics, size_t family);

/* Appends the exposition, the process_* families included. */
void metrics_expose(struct metrics *metrics, struct flz_buf *buf);

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
