#include "coordinator/backup.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/sys/fsutil.h"
#include "common/sys/store.h"
#include "coordinator/families.h"
#include "proto/codec.h"
#include "proto/record.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * In STATE/backup: NAME are backups; ".new" is one that is being made, ".check" a copy of one that
 * is being read. What an end in the middle leaves of these is removed before they are made again.
 */
#define NEW ".new"
#define CHECK ".check"
#define ARCHIVE "archive"
#define STORE "store"
#define PATH_SIZE 4352

static const char mark_text[] =
    "This folder is a backup of a coordinator's state. Where this file lies in a state folder, "
    "the\n"
    "next start begins a new generation of the log, and then removes it.\n";

struct paths {
    char live_archive[PATH_SIZE];
    char folder[PATH_SIZE];
    char made[PATH_SIZE]; /* the one that is being made */
    char copy[PATH_SIZE];
};

static struct paths paths_of(const struct backup_place *place)
{
    struct paths paths;
    (void)snprintf(paths.live_archive, PATH_SIZE, "%s/" ARCHIVE, place->state_dir);
    (void)snprintf(paths.folder, PATH_SIZE, "%s/" BACKUP_FOLDER, place->state_dir);
    (void)snprintf(paths.made, PATH_SIZE, "%s/" BACKUP_FOLDER "/" NEW, place->state_dir);
    (void)snprintf(paths.copy, PATH_SIZE, "%s/" BACKUP_FOLDER "/" CHECK, place->state_dir);
    return paths;
}

static const char *below(const char *folder, const char *name, char path[static PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

/* ---- Checking ---- */

struct check {
    const atomic_bool *stop;
    struct store *store;
    struct rlog *log;
    uint64_t rows;
};

static void check_deinit(struct check *check)
{
    (void)rlog_close(check->log);
    (void)store_close(check->store);
}

static int on_row(struct flz_view key, struct flz_view value, void *data)
{
    struct check *check = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    union row row;
    if (atomic_load(check->stop))
        return flz_fail(-ECANCELED);
    check->rows++;
    return flz_decode_row(key.len > 0 ? (enum row_kind)key.data[0] : 0, value, &arena, &row);
}

/* Opens what a start would open, reads what it would read, and walks the whole log. */
static int read_copy(const char *copy, struct check *check, struct backup_result *result)
{
    char path[PATH_SIZE], archive[PATH_SIZE];
    struct store_options options = {
        .families = family_names, .families_count = FAMILIES, .no_ballast = true};
    int r = store_open(below(copy, STORE, path), &options, &check->store, &result->msg);
    if (r < 0)
        return r;
    struct rlog_embedded_options log = {.store = check->store,
                                        .family_log = FAMILY_LOG,
                                        .family_meta = FAMILY_META,
                                        .archive = below(copy, ARCHIVE, archive)};
    r = rlog_embedded_open(&log, &check->log, &result->msg);
    if (r != 0)
        return r == RLOG_E_ARCHIVE ? flz_fail(-EUCLEAN) : r;
    enum rlog_result walked =
        rlog_verify_until(check->log, check->stop, &result->bounds, &result->msg);
    if (walked != RLOG_OK)
        return flz_fail(walked == RLOG_CORRUPT ? -EUCLEAN : -EIO);
    static const enum family families[] = {FAMILY_ROWS, FAMILY_ARCHIVE};
    for (size_t i = 0; r == 0 && i < sizeof families / sizeof *families; i++)
        r = store_each(check->store, families[i], FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_row, check);
    if (r < 0 && r != -ECANCELED)
        flz_msg_set(&result->msg, "row %llu cannot be read: %s", (unsigned long long)check->rows,
                    strerror(-r));
    return r;
}

/* What is never written to again. */
static bool is_final(const char *name)
{
    const char *end = strrchr(name, '.');
    return end && (strcmp(end, ".sst") == 0 || strcmp(end, ".segments") == 0);
}

/* Of a copy, since whatever opens a store writes to it. */
static int check_backup(const struct paths *paths, const char *backup, const atomic_bool *stop,
                        struct backup_result *result)
{
    int r = fsutil_remove_tree(paths->copy, &result->msg);
    if (r == 0)
        r = fsutil_copy_tree(backup, paths->copy, is_final, &result->bytes, &result->msg);
    if (r == 0) {
        _cleanup_(check_deinit) struct check check = {.stop = stop};
        r = read_copy(paths->copy, &check, result);
        result->rows = check.rows;
    }
    (void)fsutil_remove_tree(paths->copy, NULL);
    return r;
}

/* ---- Making ---- */

/* The archive is linked before and behind the checkpoint: whatever this names is among them, be it
 * moved there or forgotten meanwhile. What it does not name is removed at its opening. */
static int link_archive(const struct paths *paths, struct flz_msg *msg)
{
    char to[PATH_SIZE];
    uint64_t bytes;
    if (access(paths->live_archive, F_OK) < 0)
        return 0;
    return fsutil_copy_tree(paths->live_archive, below(paths->made, ARCHIVE, to), is_final, &bytes,
                            msg);
}

static int make(const struct backup_place *place, const struct paths *paths, struct flz_msg *msg)
{
    char path[PATH_SIZE];
    int r = fsutil_mkdir(paths->folder, 0700, msg);
    if (r == 0)
        r = fsutil_remove_tree(paths->made, msg);
    if (r == 0)
        r = fsutil_mkdir(paths->made, 0700, msg);
    if (r == 0)
        r = link_archive(paths, msg);
    if (r == 0)
        r = store_checkpoint(place->store, below(paths->made, STORE, path), msg);
    if (r == 0)
        r = link_archive(paths, msg);
    if (r == 0)
        r = fsutil_write(below(paths->made, BACKUP_MARK, path), 0600, flz_view_str(mark_text), msg);
    return r;
}

/* "2026-11-30T23:04:12.345Z" without what file names and shells dislike. */
static void make_name(int64_t now, char ret_name[static BACKUP_NAME_MAX])
{
    char text[FLZ_TIME_TEXT_MAX];
    flz_time_format(now, text);
    (void)snprintf(ret_name, BACKUP_NAME_MAX, "%.13s%.2s%.2sZ", text, text + 14, text + 17);
}

/* ---- Which there are ---- */

static bool is_name(const char *name)
{
    static const char form[] = "dddd-dd-ddTddddddZ";
    if (strlen(name) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? name[i] < '0' || name[i] > '9' : name[i] != form[i])
            return false;
    return true;
}

static int on_entry(const struct dirent *entry)
{
    return is_name(entry->d_name);
}

/* Names sort as their times do. */
static int remove_oldest(const struct paths *paths, unsigned keep, struct flz_msg *msg)
{
    struct dirent **entries;
    char path[PATH_SIZE];
    int r = 0;
    int count = scandir(paths->folder, &entries, on_entry, alphasort);
    if (count < 0)
        return flz_fail(-errno);
    for (int i = 0; i < count; i++) {
        if (r == 0 && (unsigned)(count - i) > keep)
            r = fsutil_remove_tree(below(paths->folder, entries[i]->d_name, path), msg);
        free(entries[i]);
    }
    free(entries);
    return r;
}

static int create(const struct backup_place *place, const struct paths *paths,
                  const struct backup_request *request, const atomic_bool *stop,
                  struct backup_result *result)
{
    char path[PATH_SIZE];
    make_name(request->real_now, result->name);
    int r = make(place, paths, &result->msg);
    if (r == 0)
        r = check_backup(paths, paths->made, stop, result);
    if (r == 0 && rename(paths->made, below(paths->folder, result->name, path)) < 0) {
        flz_msg_set(&result->msg, "%s: %s", path, strerror(errno));
        r = flz_fail(-errno);
    }
    if (r < 0) {
        (void)fsutil_remove_tree(paths->made, NULL);
        return r;
    }
    r = fsutil_sync_dir(paths->folder);
    return r < 0 ? r : remove_oldest(paths, request->keep, &result->msg);
}

void backup_run(const struct backup_place *place, const struct backup_request *request,
                const atomic_bool *stop, struct backup_result *ret_result)
{
    const struct paths paths = paths_of(place);
    char path[PATH_SIZE];
    int r;
    *ret_result = (struct backup_result){.outcome = BACKUP_FAILED};
    if (request->kind == BACKUP_CREATE) {
        r = create(place, &paths, request, stop, ret_result);
    } else {
        (void)snprintf(ret_result->name, BACKUP_NAME_MAX, "%s", request->name);
        if (!is_name(request->name) || access(below(paths.folder, request->name, path), F_OK) < 0) {
            ret_result->outcome = BACKUP_ABSENT;
            return;
        }
        r = check_backup(&paths, path, stop, ret_result);
    }
    if (r == 0)
        ret_result->outcome = BACKUP_DONE;
    else if (r == -EUCLEAN || r == -EBADMSG || r == -EPROTO)
        ret_result->outcome = BACKUP_DAMAGED;
    if (r < 0 && !ret_result->msg.text[0])
        flz_msg_set(&ret_result->msg, "%s",
                    r == -ECANCELED ? "the coordinator is ending" : strerror(-r));
}
