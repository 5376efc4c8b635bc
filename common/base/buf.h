/*
 * Bytes: a borrowed view, and a growable buffer that owns its memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes; the owner is named where a view is handed out. data may be NULL when len is 0. */
struct flz_view {
    const uint8_t *data;
    size_t len;
};

#define FLZ_VIEW_NULL ((struct flz_view){.data = NULL, .len = 0})

/* A view of the bytes of a C string without its final NUL; borrows `s`. */
struct flz_view flz_view_str(const char *s);

/* Same length and same bytes. Not constant time. */
bool flz_view_equal(struct flz_view a, struct flz_view b);

/*
 * A growable buffer. `data` is owned and may move on each append. After a refused allocation the
 * buffer is marked `failed`, further appends do nothing, and flz_buf_error() says -ENOMEM: a
 * builder may append many pieces and test once.
 */
struct flz_buf {
    uint8_t *data;
    size_t len;
    size_t size;
    bool failed;
};

#define FLZ_BUF_NULL ((struct flz_buf){.data = NULL})

void flz_buf_deinit(struct flz_buf *buf);

/* Forgets the content, keeps the memory. */
void flz_buf_reset(struct flz_buf *buf);

/* 0, or -ENOMEM when an append was refused since init or reset. */
int flz_buf_error(const struct flz_buf *buf);

/* Makes room for `n` more bytes; returns where they go, or NULL. `len` is unchanged. */
uint8_t *flz_buf_reserve(struct flz_buf *buf, size_t n);

void flz_buf_add(struct flz_buf *buf, const void *data, size_t n);
void flz_buf_add_view(struct flz_buf *buf, struct flz_view view);
void flz_buf_add_str(struct flz_buf *buf, const char *s);
void flz_buf_add_byte(struct flz_buf *buf, uint8_t byte);
void flz_buf_add_be32(struct flz_buf *buf, uint32_t v);
void flz_buf_add_be64(struct flz_buf *buf, uint64_t v);
void flz_buf_printf(struct flz_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first `n` bytes (n <= len). */
void flz_buf_consume(struct flz_buf *buf, size_t n);

/* The content; valid until the next change of `buf`. */
struct flz_view flz_buf_view(const struct flz_buf *buf);

/* The content as a C string (a NUL is kept behind the last byte); "" after a refused allocation. */
const char *flz_buf_str(struct flz_buf *buf);

/* Big-endian reads; the caller has checked the length. */
uint32_t flz_be32(const uint8_t *p);
uint64_t flz_be64(const uint8_t *p);
void flz_put_be32(uint8_t *p, uint32_t v);
void flz_put_be64(uint8_t *p, uint64_t v);

/*
 * Grows an array: on success *array has room for at least `need` elements of `size` bytes and
 * *capacity says how many. Returns 0 or -ENOMEM (the array is unchanged).
 */
int flz_grow(void **array, size_t *capacity, size_t need, size_t size);
