#include "common/base/buf.h"

#include "common/base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flz_view flz_view_str(const char *s)
{
    return (struct flz_view){.data = (const uint8_t *)s, .len = strlen(s)};
}

bool flz_view_equal(struct flz_view a, struct flz_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

void flz_buf_deinit(struct flz_buf *buf)
{
    free(buf->data);
    *buf = FLZ_BUF_NULL;
}

void flz_buf_reset(struct flz_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

int flz_buf_error(const struct flz_buf *buf)
{
    return buf->failed ? flz_fail(-ENOMEM) : 0;
}

uint8_t *flz_buf_reserve(struct flz_buf *buf, size_t n)
{
    if (buf->failed || n > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4)
        goto fail;
    /* One more byte than asked for, so that flz_buf_str() always finds room for its NUL. */
    size_t need = buf->len + n + 1;
    if (need > buf->size) {
        size_t size = buf->size < 64 ? 64 : buf->size;
        while (size < need)
            size *= 2;
        uint8_t *data = realloc(buf->data, size);
        if (!data)
            goto fail;
        buf->data = data;
        buf->size = size;
    }
    return buf->data + buf->len;
fail:
    buf->failed = true;
    return NULL;
}

void flz_buf_add(struct flz_buf *buf, const void *data, size_t n)
{
    uint8_t *p = flz_buf_reserve(buf, n);
    if (!p || n == 0)
        return;
    memcpy(p, data, n);
    buf->len += n;
}

void flz_buf_add_view(struct flz_buf *buf, struct flz_view view)
{
    flz_buf_add(buf, view.data, view.len);
}

void flz_buf_add_str(struct flz_buf *buf, const char *s)
{
    flz_buf_add(buf, s, strlen(s));
}

void flz_buf_add_byte(struct flz_buf *buf, uint8_t byte)
{
    flz_buf_add(buf, &byte, 1);
}

void flz_buf_add_be32(struct flz_buf *buf, uint32_t v)
{
    uint8_t b[4];
    flz_put_be32(b, v);
    flz_buf_add(buf, b, sizeof b);
}

void flz_buf_add_be64(struct flz_buf *buf, uint64_t v)
{
    uint8_t b[8];
    flz_put_be64(b, v);
    flz_buf_add(buf, b, sizeof b);
}

void flz_buf_printf(struct flz_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);

    uint8_t *p = flz_buf_reserve(buf, (size_t)n);
    if (p) {
        (void)vsnprintf((char *)p, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

void flz_buf_consume(struct flz_buf *buf, size_t n)
{
    assert(n <= buf->len);
    if (n == 0)
        return;
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
}

struct flz_view flz_buf_view(const struct flz_buf *buf)
{
    return (struct flz_view){.data = buf->data, .len = buf->len};
}

const char *flz_buf_str(struct flz_buf *buf)
{
    if (!flz_buf_reserve(buf, 0))
        return "";
    buf->data[buf->len] = '\0';
    return (const char *)buf->data;
}

uint32_t flz_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t flz_be64(const uint8_t *p)
{
    return (uint64_t)flz_be32(p) << 32 | flz_be32(p + 4);
}

void flz_put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void flz_put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

int flz_grow(void **array, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return 0;
    if (need > SIZE_MAX / 4)
        return flz_fail(-ENOMEM);
    size_t n = *capacity < 8 ? 8 : *capacity;
    while (n < need)
        n *= 2;
    void *grown = reallocarray(*array, n, size);
    if (!grown)
        return flz_fail(-ENOMEM);
    *array = grown;
    *capacity = n;
    return 0;
}
