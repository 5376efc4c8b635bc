/*
 * The shipped content packs, and small ones written in a test.
 */
#pragma once

#include "common/base/buf.h"
#include "common/content/content.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURE_HEAD                                                                               \
    "fluenzr-pack 1\nlanguage = en\nfooter = Of {network}, see {contact}\n"                        \
    "attribution = {to_name} wrote:\n"

static inline struct content_pack *fixture_parse(const char *text)
{
    struct content_pack *pack = NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = content_parse(flz_view_str(text), "test.pack", &pack, &msg);
    if (r < 0)
        fail_msg("%s", msg.text);
    return pack;
}

/* "fr" or "en", from the tree the tests run in. */
static inline struct content_pack *fixture_pack(const char *language)
{
    char path[64];
    (void)snprintf(path, sizeof path, "deploy/content/%s.pack", language);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, CONTENT_PACK_BYTES_MAX + 1);
    assert_non_null(text);
    assert_true(fread(text, 1, CONTENT_PACK_BYTES_MAX, file) > 0);
    (void)fclose(file);
    struct content_pack *pack = fixture_parse(text);
    free(text);
    return pack;
}
