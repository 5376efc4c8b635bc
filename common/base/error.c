#include "common/base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Diagnostics only: no decision ever reads it, so the cores stay deterministic. */
static _Thread_local struct flz_origin origin;

int flz_fail_at(int code, const char *file, int line)
{
    assert(code < 0);
    origin = (struct flz_origin){.file = file, .line = line, .code = code};
    return code;
}

int flz_fold_at(int r, const char *file, int line)
{
    return r > 0 ? flz_fail_at(-ENOTRECOVERABLE, file, line) : r;
}

struct flz_origin flz_error_origin(void)
{
    return origin;
}

void flz_msg_set(struct flz_msg *msg, const char *format, ...)
{
    if (!msg)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(msg->text, sizeof msg->text, format, args);
    va_end(args);
}

void flz_msg_wrap(struct flz_msg *msg, const char *format, ...)
{
    if (!msg)
        return;
    struct flz_msg inner = *msg;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(msg->text, sizeof msg->text, format, args);
    va_end(args);
    size_t n = strlen(msg->text);
    (void)snprintf(msg->text + n, sizeof msg->text - n, ": %s", inner.text);
}
