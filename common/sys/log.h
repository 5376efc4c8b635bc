/*
 * The log: one event, one line, to one descriptor, as logfmt or JSON lines.
 *
 *     flz_log(log, FLZ_LOG_INFO, "task_sent", "task=%s account=%s took_ms=%d", id, account, ms);
 *
 * The format is a list of `key=value` fields parted by single spaces. The values are formatted and
 * then quoted as needed, so that no text from outside can forge a field or a line. A literal value
 * with spaces stands in double quotes: `hint="try again"`. Conversions: %s %.*s %c %d %i %u %x %f
 * with the usual flags and the lengths h, l, ll, z, j. There is no way to print a struct
 * flz_secret, and no line names an address: an account is told by its id.
 *
 * A sink is passed by hand. It may be used by several threads: a line is one write.
 */
#pragma once

#include "common/base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FLZ_LOG_LINE_MAX 4096 /* longer lines are cut and say so: truncated=true */

enum flz_log_level {
    FLZ_LOG_ERROR,
    FLZ_LOG_WARNING,
    FLZ_LOG_NOTICE,
    FLZ_LOG_INFO,
    FLZ_LOG_DEBUG,
    FLZ_LOG_LEVELS,
};

enum flz_log_format {
    FLZ_LOG_LOGFMT,
    FLZ_LOG_JSON,
};

/* The words of the configuration, in the order of the enums; NULL-terminated. */
extern const char *const flz_log_level_words[];
extern const char *const flz_log_format_words[];

struct flz_log {
    int fd; /* borrowed */
    enum flz_log_level level;
    enum flz_log_format format;
    bool priority_prefix;                     /* "<6>" before each line, as the journal reads it */
    atomic_uint_fast64_t count[FLZ_LOG_LEVELS]; /* lines by level, those not written included */
};

/*
 * `fd` is borrowed and stays open as long as the log. The priority prefix is set when the
 * descriptor is the journal's stream ($JOURNAL_STREAM).
 */
void flz_log_init(struct flz_log *log, int fd, enum flz_log_level level,
                  enum flz_log_format format);

/* Writes one line. `log` may be NULL: nothing is written. `fields` may be "". */
void flz_log(struct flz_log *log, enum flz_log_level level, const char *event, const char *fields,
             ...) __attribute__((format(printf, 4, 5)));

/*
 * A failure as FLZ_LOG_ERROR: `error=` the text of -r, `at=` file:line of its birth (when the
 * newest failure of this thread is `r`), and `message=` the text of `msg` (may be NULL).
 */
void flz_log_failure(struct flz_log *log, const char *event, int r, const struct flz_msg *msg);
