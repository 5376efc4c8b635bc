/*
 * Errors: how a function says how it went.
 *
 *   0         done
 *   negative  -Exxx, fatal for this operation, passed up untouched
 *   positive  a named outcome of that one function (STORE_E_ABSENT), which its caller handles and
 *             never passes on
 *
 * `return flz_fail(-errno)` marks the birth of a negative code and remembers file and line, so that
 * whoever reports it can say where it came from; `flz_fold(r)` turns an unhandled positive outcome
 * into a fatal -ENOTRECOVERABLE.
 *
 * A text that a person will read goes into a bounded `struct flz_msg`, and is wrapped on the way
 * up.
 */
#pragma once

#include <stddef.h>

#define FLZ_MSG_MAX 512

/* A bounded message for people. Empty is FLZ_MSG_NULL. */
struct flz_msg {
    char text[FLZ_MSG_MAX];
};

#define FLZ_MSG_NULL ((struct flz_msg){.text = ""})

/* Where the newest negative code of this thread was born. Borrowed: static strings. */
struct flz_origin {
    const char *file;
    int line;
    int code;
};

#define flz_fail(code) flz_fail_at((code), __FILE__, __LINE__)
#define flz_fold(r) flz_fold_at((r), __FILE__, __LINE__)

/* Remembers the origin and returns `code`, which must be negative. */
int flz_fail_at(int code, const char *file, int line);

/* Passes 0 and negative codes; turns an unhandled positive outcome into -ENOTRECOVERABLE. */
int flz_fold_at(int r, const char *file, int line);

/* The origin of the newest failure of this thread. */
struct flz_origin flz_error_origin(void);

/* Sets the message (printf form); a longer text is cut. `msg` may be NULL: nothing is written. */
void flz_msg_set(struct flz_msg *msg, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "<text>: " before the message already there. `msg` may be NULL. */
void flz_msg_wrap(struct flz_msg *msg, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
