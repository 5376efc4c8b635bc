#include "common/sys/secret.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * One arena for all secrets: sodium_malloc() of each one would need three mappings each and does
 * not report a failed lock. First fit over a list of blocks; a free block joins its free
 * neighbours.
 */
#define ALIGN 16u

struct block {
    uint32_t size; /* of the payload, a multiple of ALIGN */
    uint32_t used; /* 1 or 0 */
    uint64_t unused;
};

static_assert(sizeof(struct block) % ALIGN == 0, "payloads are aligned");

/* The one arena of the process, as the address space is one. */
static struct {
    pthread_mutex_t lock;
    uint8_t *base;
    bool locked;
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct block *first_block(void)
{
    return (struct block *)(void *)arena.base;
}

static struct block *next_block(struct block *block)
{
    uint8_t *next = (uint8_t *)(block + 1) + block->size;
    return next < arena.base + FLZ_SECRET_ARENA ? (struct block *)(void *)next : NULL;
}

/* Guard pages around, locked, left out of core files and of children. */
static int make_arena(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, FLZ_SECRET_ARENA + 2 * page, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return flz_fail(-ENOMEM);
    uint8_t *base = map + page;
    if (mprotect(base, FLZ_SECRET_ARENA, PROT_READ | PROT_WRITE) < 0) {
        (void)munmap(map, FLZ_SECRET_ARENA + 2 * page);
        return flz_fail(-ENOMEM);
    }
    arena.locked = mlock(base, FLZ_SECRET_ARENA) == 0;
    (void)madvise(base, FLZ_SECRET_ARENA, MADV_DONTDUMP);
    (void)madvise(base, FLZ_SECRET_ARENA, MADV_DONTFORK);
    arena.base = base;
    *first_block() = (struct block){.size = FLZ_SECRET_ARENA - sizeof(struct block)};
    return 0;
}

int flz_secret_harden(bool allow_unlocked, struct flz_msg *msg)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (sodium_init() < 0) {
        flz_msg_set(msg, "libsodium cannot start: no random source");
        return flz_fail(-EIO);
    }
    (void)pthread_mutex_lock(&arena.lock);
    int r = arena.base ? 0 : make_arena();
    bool locked = arena.locked;
    (void)pthread_mutex_unlock(&arena.lock);
    if (r < 0) {
        flz_msg_set(msg, "no memory for secrets");
        return r;
    }
    if (!locked && !allow_unlocked) {
        flz_msg_set(msg, "the memory for secrets cannot be locked; raise LimitMEMLOCK (ulimit -l) "
                         "to at least %u KiB, or allow unlocked memory in the configuration",
                    FLZ_SECRET_ARENA / 1024);
        return flz_fail(-ENOMEM);
    }
    return 0;
}

static struct block *find_block(uint32_t size)
{
    for (struct block *block = first_block(); block; block = next_block(block))
        if (!block->used && block->size >= size)
            return block;
    return NULL;
}

static void split_block(struct block *block, uint32_t size)
{
    if (block->size < size + sizeof(struct block) + ALIGN)
        return;
    uint32_t rest = block->size - size - (uint32_t)sizeof(struct block);
    block->size = size;
    *next_block(block) = (struct block){.size = rest};
}

int flz_secret_new(size_t len, struct flz_secret *ret_secret)
{
    if (len == 0 || len > FLZ_SECRET_MAX)
        return flz_fail(-EINVAL);
    uint32_t size = ((uint32_t)len + ALIGN - 1) / ALIGN * ALIGN;
    (void)pthread_mutex_lock(&arena.lock);
    /* A program that was not hardened (a tool, a test) gets its arena at the first secret. */
    struct block *block = NULL;
    if (arena.base || make_arena() == 0)
        block = find_block(size);
    if (block) {
        split_block(block, size);
        block->used = 1;
        memset(block + 1, 0, block->size);
    }
    (void)pthread_mutex_unlock(&arena.lock);
    if (!block)
        return flz_fail(-ENOMEM);
    *ret_secret = (struct flz_secret){.data = (uint8_t *)(block + 1), .len = len};
    return 0;
}

static void join_free_blocks(void)
{
    for (struct block *block = first_block(); block;) {
        struct block *next = next_block(block);
        if (next && !block->used && !next->used)
            block->size += next->size + (uint32_t)sizeof(struct block);
        else
            block = next;
    }
}

void flz_secret_deinit(struct flz_secret *secret)
{
    if (secret->data) {
        (void)pthread_mutex_lock(&arena.lock);
        struct block *block = (struct block *)(void *)secret->data - 1;
        sodium_memzero(secret->data, block->size);
        block->used = 0;
        join_free_blocks();
        (void)pthread_mutex_unlock(&arena.lock);
    }
    *secret = FLZ_SECRET_NULL;
}

void flz_wipe_free(void *memory)
{
    if (!memory)
        return;
    sodium_memzero(memory, malloc_usable_size(memory));
    free(memory);
}

void flz_wipe_buf(struct flz_buf *buf)
{
    if (buf->data)
        sodium_memzero(buf->data, buf->size);
    flz_buf_deinit(buf);
}

int flz_secret_copy(struct flz_view bytes, struct flz_secret *ret_secret)
{
    if (bytes.len == 0) {
        *ret_secret = FLZ_SECRET_NULL;
        return 0;
    }
    int r = flz_secret_new(bytes.len, ret_secret);
    if (r < 0)
        return r;
    memcpy(ret_secret->data, bytes.data, bytes.len);
    return 0;
}

int flz_secret_random(size_t len, struct flz_secret *ret_secret)
{
    int r = flz_secret_new(len, ret_secret);
    if (r < 0)
        return r;
    randombytes_buf(ret_secret->data, len);
    return 0;
}

void flz_secret_truncate(struct flz_secret *secret, size_t len)
{
    if (len >= secret->len)
        return;
    sodium_memzero(secret->data + len, secret->len - len);
    secret->len = len;
    if (len == 0)
        flz_secret_deinit(secret);
}

struct flz_view flz_secret_view(const struct flz_secret *secret)
{
    return (struct flz_view){.data = secret->data, .len = secret->len};
}

bool flz_secret_equal(const struct flz_secret *a, const struct flz_secret *b)
{
    return a->len == b->len && (a->len == 0 || sodium_memcmp(a->data, b->data, a->len) == 0);
}

int flz_secret_read_line(int fd, size_t max, struct flz_secret *ret_secret)
{
    struct flz_secret line;
    int r = flz_secret_new(max, &line);
    if (r < 0)
        return r;
    size_t len = 0;
    for (;;) {
        uint8_t byte;
        ssize_t n = read(fd, &byte, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = flz_fail(-errno);
        if (n <= 0 || byte == '\n')
            break;
        if (len == max) {
            r = flz_fail(-EMSGSIZE);
            break;
        }
        line.data[len++] = byte;
    }
    if (r < 0) {
        flz_secret_deinit(&line);
        return r;
    }
    flz_secret_truncate(&line, len);
    *ret_secret = line;
    return 0;
}
