#include "coordinator/rlog/archive.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/sys/fsutil.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_FORMAT "%020llu-%020llu.segments"
#define PATH_SIZE 4096

int archive_write(const char *folder, uint64_t first, uint64_t last, struct flz_view bytes,
                  struct flz_msg *msg)
{
    char path[PATH_SIZE];
    int r = fsutil_mkdir(folder, 0700, msg);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof path, "%s/" NAME_FORMAT, folder, (unsigned long long)first,
                   (unsigned long long)last);
    return fsutil_write(path, 0600, bytes, msg);
}

struct walk {
    const char *folder;
    uint64_t from;
    rlog_on_segment on_segment;
    void *data;
    struct flz_msg *msg;
    struct segment before;
    bool any;
};

static bool follows(const struct segment *before, const struct segment *segment)
{
    return segment->seq == before->seq + 1 &&
           segment->first_event == before->first_event + before->count &&
           flz_digest_equal(segment->previous, before->digest);
}

static int on_segment_bytes(struct walk *walk, const char *name, struct flz_view bytes)
{
    struct segment segment;
    if (segment_parse(bytes, &segment) < 0) {
        flz_msg_set(walk->msg, "%s: the segment after %llu is damaged", name,
                    (unsigned long long)walk->before.seq);
        return flz_fail(-EUCLEAN);
    }
    if (walk->any && segment.seq <= walk->before.seq)
        return 0;
    if (walk->any && !follows(&walk->before, &segment)) {
        flz_msg_set(walk->msg, "%s: segment %llu does not follow segment %llu", name,
                    (unsigned long long)segment.seq, (unsigned long long)walk->before.seq);
        return flz_fail(-EUCLEAN);
    }
    walk->before = segment;
    walk->any = true;
    return segment.seq < walk->from ? 0 : walk->on_segment(&segment, bytes, walk->data);
}

static int read_file(struct walk *walk, const char *name)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", walk->folder, name);
    int r = fsutil_read(path, ARCHIVE_FILE_MAX, &buf, walk->msg);
    if (r < 0)
        return r;
    struct flz_view rest = flz_buf_view(&buf);
    while (r == 0 && rest.len > 0) {
        if (rest.len < 4 || flz_be32(rest.data) > rest.len - 4) {
            flz_msg_set(walk->msg, "%s: ends within the segment after %llu", name,
                        (unsigned long long)walk->before.seq);
            return flz_fail(-EUCLEAN);
        }
        struct flz_view bytes = {.data = rest.data + 4, .len = flz_be32(rest.data)};
        rest = (struct flz_view){.data = bytes.data + bytes.len, .len = rest.len - 4 - bytes.len};
        r = on_segment_bytes(walk, name, bytes);
    }
    return r;
}

/* Also says no to what a crash left half written, which has a longer name. */
static int is_archive(const struct dirent *entry)
{
    unsigned long long first, last;
    char name[64];
    if (sscanf(entry->d_name, "%20llu-%20llu", &first, &last) != 2)
        return 0;
    (void)snprintf(name, sizeof name, NAME_FORMAT, first, last);
    return strcmp(entry->d_name, name) == 0;
}

/* Files whose segments all lie before `from` are not read. */
static bool is_before(const char *name, uint64_t from)
{
    unsigned long long first, last;
    return sscanf(name, "%20llu-%20llu", &first, &last) == 2 && last < from;
}

int archive_each(const char *folder, uint64_t from, rlog_on_segment on_segment, void *data,
                 struct flz_msg *msg)
{
    struct walk walk = {
        .folder = folder, .from = from, .on_segment = on_segment, .data = data, .msg = msg};
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_archive, alphasort);
    if (n < 0)
        return errno == ENOENT ? 0 : flz_fail(-errno);
    int r = 0;
    for (int i = 0; i < n; i++) {
        if (r == 0 && !is_before(entries[i]->d_name, from))
            r = read_file(&walk, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return r;
}
