#include "coordinator/rlog/archive.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/sys/fsutil.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FORMAT "%020llu-%020llu.segments"
#define NAME_SIZE 64
#define PATH_SIZE 4096
#define ROW_VERSION 1
#define ROW_LEN (1 + 5 * 8 + 2 * 32)

static const char row_prefix[] = "archive/";
#define KEY_LEN (sizeof row_prefix - 1 + 8)

/* ---- Names and rows ---- */

static void name_of(const struct archive_file *file, char name[static NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, NAME_FORMAT, (unsigned long long)file->first,
                   (unsigned long long)file->last);
}

static void path_of(const struct archive *archive, const char *name, char path[static PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/%s", archive->folder, name);
}

/* 0 or -EINVAL: not the name of a file of the archive. */
static int parse_name(const char *name, struct archive_file *ret_file)
{
    unsigned long long first, last;
    char again[NAME_SIZE];
    if (sscanf(name, "%20llu-%20llu", &first, &last) != 2)
        return -EINVAL;
    struct archive_file file = {.first = first, .last = last};
    name_of(&file, again);
    if (strcmp(name, again) != 0)
        return -EINVAL;
    *ret_file = file;
    return 0;
}

static struct flz_view row_key(uint64_t last, uint8_t key[static KEY_LEN])
{
    memcpy(key, row_prefix, KEY_LEN - 8);
    flz_put_be64(key + KEY_LEN - 8, last);
    return (struct flz_view){.data = key, .len = KEY_LEN};
}

static void save_row(const struct archive_file *file, uint8_t row[static ROW_LEN])
{
    row[0] = ROW_VERSION;
    flz_put_be64(row + 1, file->first);
    flz_put_be64(row + 9, file->first_event);
    flz_put_be64(row + 17, file->last_event);
    flz_put_be64(row + 25, (uint64_t)file->at);
    flz_put_be64(row + 33, file->size);
    memcpy(row + 41, file->digest.b, 32);
    memcpy(row + 73, file->head.b, 32);
}

/* 0 or -EUCLEAN. */
static int load_row(struct flz_view key, struct flz_view row, struct archive_file *ret_file)
{
    if (key.len != KEY_LEN || row.len != ROW_LEN || row.data[0] != ROW_VERSION)
        return flz_fail(-EUCLEAN);
    struct archive_file file = {
        .first = flz_be64(row.data + 1),
        .last = flz_be64(key.data + KEY_LEN - 8),
        .first_event = flz_be64(row.data + 9),
        .last_event = flz_be64(row.data + 17),
        .at = (int64_t)flz_be64(row.data + 25),
        .size = flz_be64(row.data + 33),
    };
    memcpy(file.digest.b, row.data + 41, 32);
    memcpy(file.head.b, row.data + 73, 32);
    *ret_file = file;
    return 0;
}

struct rows {
    int (*on_file)(const struct archive_file *file, void *data);
    void *data;
};

static int on_row(struct flz_view key, struct flz_view value, void *data)
{
    struct rows *rows = data;
    struct archive_file file;
    int r = load_row(key, value, &file);
    return r < 0 ? r : rows->on_file(&file, rows->data);
}

static int each_file_from(const struct archive *archive, uint64_t seq, struct rows *rows)
{
    uint8_t key[KEY_LEN];
    return store_each(archive->store, archive->family, row_key(seq, key), flz_view_str(row_prefix),
                      on_row, rows);
}

int archive_each_file(const struct archive *archive,
                      int (*on_file)(const struct archive_file *file, void *data), void *data)
{
    struct rows rows = {.on_file = on_file, .data = data};
    return each_file_from(archive, 0, &rows);
}

static int on_found(const struct archive_file *file, void *data)
{
    *(struct archive_file *)data = *file;
    return 1;
}

int archive_find(const struct archive *archive, uint64_t seq, struct archive_file *ret_file)
{
    struct rows rows = {.on_file = on_found, .data = ret_file};
    int r = each_file_from(archive, seq, &rows);
    return r == 0 ? ARCHIVE_E_NONE : r == 1 ? 0 : r;
}

/* ---- Writing ---- */

int archive_add(const struct archive *archive, struct archive_file *file, struct flz_view bytes,
                struct store_batch *batch, struct flz_msg *msg)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    uint8_t key[KEY_LEN], row[ROW_LEN];
    int r = fsutil_mkdir(archive->folder, 0700, msg);
    if (r < 0)
        return r;
    name_of(file, name);
    path_of(archive, name, path);
    file->size = bytes.len;
    file->digest = flz_digest_of(bytes);
    r = fsutil_write(path, 0600, bytes, msg);
    if (r < 0)
        return r;
    save_row(file, row);
    store_put(batch, archive->family, row_key(file->last, key),
              (struct flz_view){.data = row, .len = sizeof row});
    return 0;
}

void archive_delete_row(const struct archive *archive, const struct archive_file *file,
                        struct store_batch *batch)
{
    uint8_t key[KEY_LEN];
    store_delete(batch, archive->family, row_key(file->last, key));
}

int archive_remove(const struct archive *archive, const struct archive_file *file)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    name_of(file, name);
    path_of(archive, name, path);
    return fsutil_remove(path, NULL);
}

/* ---- Reading ---- */

/* Cuts the next segment off; -EUCLEAN when the lengths do not fit. */
static int next_segment(struct flz_view *rest, struct flz_view *ret_bytes)
{
    if (rest->len < 4 || flz_be32(rest->data) > rest->len - 4)
        return -EUCLEAN;
    struct flz_view bytes = {.data = rest->data + 4, .len = flz_be32(rest->data)};
    rest->data = bytes.data + bytes.len;
    rest->len -= 4 + bytes.len;
    *ret_bytes = bytes;
    return 0;
}

static int name_damage(const struct archive_file *file, uint64_t seq, const char *how,
                       struct flz_msg *msg)
{
    char name[NAME_SIZE];
    name_of(file, name);
    flz_msg_set(msg, "archive file %s: segment %llu %s", name, (unsigned long long)seq, how);
    return flz_fail(-EUCLEAN);
}

/* The file is not as it was written: where does it begin to differ? */
static int name_first_damage(const struct archive_file *file, struct flz_view rest,
                             struct flz_msg *msg)
{
    struct rlog_mark before = {.seq = 0};
    for (uint64_t seq = file->first; seq <= file->last; seq++) {
        struct flz_view bytes;
        struct segment segment;
        if (next_segment(&rest, &bytes) < 0 || segment_parse(bytes, &segment) < 0 ||
            segment.seq != seq)
            return name_damage(file, seq, "is damaged", msg);
        const char *why = before.seq > 0 ? rlog_mark_refuses(&before, &segment) : NULL;
        if (why)
            return name_damage(file, seq, why, msg);
        before = rlog_mark_of(&segment);
    }
    return name_damage(file, file->first, "and those after it are not those that were written",
                       msg);
}

static int load_file(const struct archive *archive, const struct archive_file *file,
                     struct flz_buf *buf, struct flz_msg *msg)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    name_of(file, name);
    path_of(archive, name, path);
    int r = fsutil_read(path, ARCHIVE_FILE_MAX, buf, msg);
    if (r == -ENOENT)
        return name_damage(file, file->first, "is missing with its file", msg);
    if (r < 0 && r != -EFBIG)
        return r;
    struct flz_view bytes = flz_buf_view(buf);
    if (r == -EFBIG || !flz_digest_equal(flz_digest_of(bytes), file->digest))
        return name_first_damage(file, bytes, msg);
    return 0;
}

int archive_read(const struct archive *archive, const struct archive_file *file, uint64_t from,
                 rlog_on_segment on_segment, void *data, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = load_file(archive, file, &buf, msg);
    struct flz_view rest = flz_buf_view(&buf);
    while (r == 0 && rest.len > 0) {
        struct flz_view bytes;
        struct segment segment;
        if (next_segment(&rest, &bytes) < 0 || segment_parse(bytes, &segment) < 0)
            return name_first_damage(file, flz_buf_view(&buf), msg);
        if (segment.seq >= from)
            r = on_segment(&segment, bytes, data);
    }
    return r;
}

/* ---- Looking after it ---- */

struct check {
    const struct archive *archive;
    uint64_t next;       /* the segment that must come */
    uint64_t next_event; /* and its first event */
    struct archive_file newest;
    struct flz_msg *msg;
};

static int on_checked(const struct archive_file *file, void *data)
{
    struct check *check = data;
    char name[NAME_SIZE], path[PATH_SIZE];
    struct stat st;
    name_of(file, name);
    path_of(check->archive, name, path);
    if (file->first != check->next || file->first_event != check->next_event ||
        file->last < file->first)
        flz_msg_set(check->msg, "archive: segment %llu is missing",
                    (unsigned long long)check->next);
    else if (stat(path, &st) < 0)
        flz_msg_set(check->msg, "archive file %s: %s", name, strerror(errno));
    else if ((uint64_t)st.st_size != file->size)
        flz_msg_set(check->msg, "archive file %s has %llu bytes, %llu were written", name,
                    (unsigned long long)st.st_size, (unsigned long long)file->size);
    else {
        check->next = file->last + 1;
        check->next_event = file->last_event + 1;
        check->newest = *file;
        return 0;
    }
    return ARCHIVE_E_DAMAGED;
}

static int check_newest(const struct check *check, const struct rlog_mark *trimmed)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    const struct archive_file *newest = &check->newest;
    if (check->next != trimmed->seq + 1 || check->next_event != trimmed->last_event + 1) {
        flz_msg_set(check->msg, "archive: segment %llu is missing",
                    (unsigned long long)check->next);
        return ARCHIVE_E_DAMAGED;
    }
    if (newest->last == 0)
        return 0;
    int r = load_file(check->archive, newest, &buf, check->msg);
    if (r == 0 && !flz_digest_equal(newest->head, trimmed->digest))
        r = name_damage(newest, newest->last, "is not the one that was trimmed last", check->msg);
    return r == -EUCLEAN ? ARCHIVE_E_DAMAGED : r;
}

int archive_check(const struct archive *archive, const struct rlog_mark *forgotten,
                  const struct rlog_mark *trimmed, struct flz_msg *msg)
{
    struct check check = {.archive = archive,
                          .next = forgotten->seq + 1,
                          .next_event = forgotten->last_event + 1,
                          .msg = msg};
    int r = archive_each_file(archive, on_checked, &check);
    if (r == -EUCLEAN) {
        flz_msg_set(msg, "archive: the row of a file behind segment %llu cannot be read",
                    (unsigned long long)check.next);
        return ARCHIVE_E_DAMAGED;
    }
    return r == 0 ? check_newest(&check, trimmed) : r;
}

static bool has_row(const struct archive *archive, const struct archive_file *file)
{
    struct archive_file found;
    return archive_find(archive, file->last, &found) == 0 && found.last == file->last &&
           found.first == file->first;
}

static bool is_left_over(const struct archive *archive, const char *name,
                         const struct rlog_bounds *bounds)
{
    struct archive_file file;
    if (strstr(name, ".segments.new-"))
        return true;
    if (parse_name(name, &file) < 0 || has_row(archive, &file))
        return false;
    return file.last <= bounds->forgotten.seq ||
           (file.first >= bounds->first && file.last <= bounds->last);
}

void archive_sweep(const struct archive *archive, const struct rlog_bounds *bounds)
{
    DIR *folder = opendir(archive->folder);
    if (!folder)
        return;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char path[PATH_SIZE];
        path_of(archive, entry->d_name, path);
        if (is_left_over(archive, entry->d_name, bounds))
            (void)unlink(path);
    }
    (void)closedir(folder);
}
