/*
 * The dashboard's files (coordinator/web/), as bytes of the program. The table is made at build
 * time by cmake/embed.cmake.
 */
#pragma once

#include "common/base/buf.h"

#include <stddef.h>

struct web_file {
    const char *path; /* "/", "/app.js" … */
    const char *content_type;
    const char *etag; /* with its quotes */
    struct flz_view bytes;
};

extern const struct web_file web_files[];
extern const size_t web_files_count;
