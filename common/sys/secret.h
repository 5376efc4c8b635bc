/*
 * Secrets: bytes in one locked arena between guard pages, left out of core files, wiped when they
 * are released. They have no printed form and are never copied into plain memory but by the
 * libraries that need them.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLZ_SECRET_MAX 65536                  /* bytes of one secret */
#define FLZ_SECRET_ARENA (4u << 20)           /* bytes of all of them together */

struct flz_secret {
    uint8_t *data; /* owned; in the arena */
    size_t len;
};

#define FLZ_SECRET_NULL ((struct flz_secret){.data = NULL})

/*
 * Call first in main(): no core files, no ptrace by others, arena made and locked. When the memory
 * cannot be locked: -ENOMEM with a message that names the limit, or 0 if `allow_unlocked`.
 */
int flz_secret_harden(bool allow_unlocked, struct flz_msg *msg);

/* `len` zero bytes (1..FLZ_SECRET_MAX). 0 or -ENOMEM when the arena is full. */
int flz_secret_new(size_t len, struct flz_secret *ret_secret);

/* A copy of bytes. `len` 0 gives the null secret. 0 or -ENOMEM. */
int flz_secret_copy(struct flz_view bytes, struct flz_secret *ret_secret);

/* Random bytes from the operating system. 0 or -ENOMEM. */
int flz_secret_random(size_t len, struct flz_secret *ret_secret);

/* Wipes and releases; leaves the null secret. */
void flz_secret_deinit(struct flz_secret *secret);

/* Shortens (len <= secret->len); what is cut off is wiped. */
void flz_secret_truncate(struct flz_secret *secret, size_t len);

/* The bytes, borrowed until the secret is released. */
struct flz_view flz_secret_view(const struct flz_secret *secret);

/* In constant time for equal lengths. */
bool flz_secret_equal(const struct flz_secret *a, const struct flz_secret *b);

/* free() that wipes first, for the allocators of libraries through whose hands a secret passes. */
void flz_wipe_free(void *memory);

/* Wipes all the room of a buffer that held a secret, and releases it. What fills such a buffer has
 * it made large enough before: one that moves leaves its old bytes behind. */
void flz_wipe_buf(struct flz_buf *buf);

/*
 * Reads one line (up to end of line or file, at most `max` bytes) from a descriptor; the end of
 * line is not part of it. 0, -EMSGSIZE, -errno. For passphrases from a pipe or a terminal.
 */
int flz_secret_read_line(int fd, size_t max, struct flz_secret *ret_secret);
