#include "common/sys/store_check.h"

#include "common/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE 32768u
#define HEADER_SIZE 7u
#define TYPE_LAST 4 /* 1 full, 2 first, 3 middle, 4 last; those above are of recycled logs */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}

static uint32_t masked_crc32c(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A record that points behind the end of the file is torn, unless one bit of its length makes it
 * whole: then it was whole. */
static bool is_whole_but_for_its_length(const uint8_t *record, size_t have)
{
    uint32_t length = (uint32_t)record[4] | (uint32_t)record[5] << 8;
    for (int bit = 0; bit < 16; bit++) {
        uint32_t other = length ^ (UINT32_C(1) << bit);
        if (HEADER_SIZE + other <= have && masked_crc32c(record + 6, 1 + other) == le32(record))
            return true;
    }
    return false;
}

static bool is_zero(const uint8_t *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* Checks a block of which `have` bytes are there. Returns the offset of the damage, or -1. */
static int64_t check_block(const uint8_t *block, size_t have)
{
    size_t at = 0;
    while (at + HEADER_SIZE <= have) {
        const uint8_t *record = block + at;
        size_t length = (size_t)record[4] | (size_t)record[5] << 8;
        uint8_t type = record[6];
        if (type == 0 && length == 0)
            return is_zero(record, have - at) ? -1 : (int64_t)at;
        if (type == 0 || type > TYPE_LAST || at + HEADER_SIZE + length > BLOCK_SIZE)
            return (int64_t)at;
        if (at + HEADER_SIZE + length > have)
            return is_whole_but_for_its_length(record, have - at) ? (int64_t)at : -1;
        at += HEADER_SIZE + length;
    }
    return -1;
}

static ssize_t read_block(int fd, uint8_t block[static BLOCK_SIZE], off_t offset)
{
    size_t have = 0;
    while (have < BLOCK_SIZE) {
        ssize_t n = pread(fd, block + have, BLOCK_SIZE - have, offset + (off_t)have);
        if (n < 0 && errno != EINTR)
            return flz_fail(-errno);
        if (n == 0)
            break;
        have += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)have;
}

static int check_file(int folder, const char *name, struct flz_msg *msg)
{
    uint8_t block[BLOCK_SIZE];
    _cleanup_(close_fd) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return flz_fail(-errno);
    for (off_t offset = 0;; offset += BLOCK_SIZE) {
        ssize_t have = read_block(fd, block, offset);
        if (have <= 0)
            return (int)have;
        int64_t damage = check_block(block, (size_t)have);
        if (damage >= 0) {
            flz_msg_set(msg, "%s: the record at byte %lld is damaged", name,
                        (long long)offset + (long long)damage);
            return flz_fail(-EUCLEAN);
        }
    }
}

/* The folder's files, as far as they tell that a store was there. */
struct found {
    bool current;
    bool data;
};

static int check_entry(int folder, const char *name, struct found *found, struct flz_msg *msg)
{
    size_t n = strlen(name);
    bool is_table = n > 4 && strcmp(name + n - 4, ".sst") == 0;
    bool is_wal = n > 4 && strcmp(name + n - 4, ".log") == 0;
    found->current = found->current || strcmp(name, "CURRENT") == 0;
    found->data = found->data || is_table || is_wal;
    if (!is_wal && strncmp(name, "MANIFEST-", 9) != 0)
        return 0;
    return check_file(folder, name, msg);
}

int store_check(const char *folder, struct flz_msg *msg)
{
    struct found found = {.current = false};
    int r = 0;
    _cleanup_(close_dir) DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : flz_fail(-errno);
    while (r == 0) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        r = check_entry(dirfd(dir), entry->d_name, &found, msg);
    }
    if (r == 0 && errno)
        r = flz_fail(-errno);
    if (r == 0 && found.data && !found.current) {
        flz_msg_set(msg, "CURRENT is missing beside data");
        r = flz_fail(-EUCLEAN);
    }
    return r;
}
