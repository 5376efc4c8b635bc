/*
 * Any bytes as the value of X-FluenzR: refused, or written again and read as the same.
 */
#include "proto/xheader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct flz_address from = {"a@example.org"}, to = {"b@example.org"};
    struct xheader header, back;
    char value[XHEADER_VALUE_MAX], again[XHEADER_VALUE_MAX];
    uint8_t bytes[XHEADER_SIGNED_MAX];
    size_t len = 0;
    if (xheader_parse((struct flz_view){.data = data, .len = size}, &header) < 0)
        return 0;
    demand(xheader_signed_bytes(&header, &from, &to, bytes, &len) == 0);
    demand(len > 0 && len <= sizeof bytes);
    demand(xheader_format(&header, value) == 0);
    demand(xheader_parse(flz_view_str(value), &back) == 0);
    demand(xheader_format(&back, again) == 0);
    demand(strcmp(value, again) == 0);
    return 0;
}
