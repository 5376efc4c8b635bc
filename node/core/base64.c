#include "node/core/base64.h"

#include "common/base/error.h"

#include <errno.h>

/* 0..63 to its character by arithmetic alone, in constant time. */
static char digit(uint32_t v)
{
    uint32_t c = 'A' + v;
    c += (uint32_t)((int32_t)(25 - v) >> 31) & ('a' - 'A' - 26);
    c -= (uint32_t)((int32_t)(51 - v) >> 31) & ('a' - '0' + 26);
    c -= (uint32_t)((int32_t)(61 - v) >> 31) & ('0' - '+' + 10);
    c += (uint32_t)((int32_t)(62 - v) >> 31) & ('/' - '+' - 1);
    return (char)c;
}

void base64_encode(struct flz_view data, char *ret_text)
{
    for (size_t i = 0; i < data.len; i += 3) {
        size_t n = data.len - i;
        uint32_t v = (uint32_t)data.data[i] << 16;
        if (n > 1)
            v |= (uint32_t)data.data[i + 1] << 8;
        if (n > 2)
            v |= data.data[i + 2];
        *ret_text++ = digit(v >> 18);
        *ret_text++ = digit(v >> 12 & 63);
        *ret_text++ = n > 1 ? digit(v >> 6 & 63) : '=';
        *ret_text++ = n > 2 ? digit(v & 63) : '=';
    }
}

static int value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct flz_view text, uint8_t *ret_data, size_t *ret_len)
{
    size_t len = text.len;
    for (int padding = 0; padding < 2 && len > 0 && text.data[len - 1] == '='; padding++)
        len--;
    if (len % 4 == 1)
        return flz_fail(-EINVAL);

    uint32_t bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int v = value(text.data[i]);
        if (v < 0)
            return flz_fail(-EINVAL);
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 > 0)
            ret_data[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    *ret_len = n;
    return 0;
}
