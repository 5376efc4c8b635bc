/* Reports as servers write them: the seeds of the fuzzers, with LF or CRLF for line ends. */
#pragma once

#include "common/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define REPORT_ID "abcdefghijklmnopqrstuvwxyz234567@a.test" /* of the message they are about */

/* Reads tests/fuzz/corpus/<name> into `buf`, which is emptied. */
static inline struct flz_view report_read(const char *name, bool crlf, struct flz_buf *buf)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s: cannot be read", path);
    flz_buf_deinit(buf);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        if (c == '\n' && crlf)
            flz_buf_add_byte(buf, '\r');
        flz_buf_add_byte(buf, (uint8_t)c);
    }
    (void)fclose(file);
    return flz_buf_view(buf);
}
