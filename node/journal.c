#include "node/journal.h"

#include "common/base/cleanup.h"
#include "common/sys/store.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FULL_RETRY_MS 1000

static const char *const family_names[JOURNAL_FAMILIES] = {
    [JOURNAL_JOBS] = "jobs",       [JOURNAL_REPORTS] = "reports", [JOURNAL_MEMBERS] = "members",
    [JOURNAL_SECRETS] = "secrets", [JOURNAL_DAYS] = "days",       [JOURNAL_META] = "meta",
};

static const char meta_incarnation[] = "incarnation";

struct waiter {
    void (*on_durable)(int r, void *data);
    void *data;
};

struct waiters {
    struct waiter *all; /* owned */
    size_t count;
    size_t capacity;
};

/*
 * Two groups: one is being committed on the pool thread, the next one gathers. A reader sees the
 * store and, before it, what is gathered or under way, so that what was put is read back at once.
 */
struct journal {
    struct uv_loop_s *loop;
    struct store *store;
    struct flz_id incarnation;
    struct store_batch *gathering;
    struct store_batch *committing;
    struct waiters gathering_waiters;
    struct waiters committing_waiters;
    uv_work_t work;
    uv_timer_t *retry; /* owned; freed in its close callback */
    bool committing_now;
    bool waiting; /* for room: the group under way is not on the pool thread now */
    bool closing;
    int result; /* of the pool thread; read when it has called back */
    bool broken;
    void (*on_broken)(int r, void *data);
    void *broken_data;
};

/* ---- Commit ---- */

static void commit(struct journal *journal);
static void on_work_done(uv_work_t *work, int status);

static void call_waiters(struct waiters *waiters, int r)
{
    struct waiters called = *waiters;
    *waiters = (struct waiters){.all = NULL};
    for (size_t i = 0; i < called.count; i++)
        called.all[i].on_durable(r, called.all[i].data);
    free(called.all);
}

static void on_work(uv_work_t *work)
{
    struct journal *journal = work->data;
    journal->result = store_write(journal->store, journal->committing, true);
}

static void on_retry(uv_timer_t *timer)
{
    struct journal *journal = timer->data;
    journal->waiting = false;
    (void)uv_queue_work(journal->loop, &journal->work, on_work, on_work_done);
}

static void break_journal(struct journal *journal, int r)
{
    journal->broken = true;
    call_waiters(&journal->gathering_waiters, r);
    if (journal->on_broken)
        journal->on_broken(r, journal->broken_data);
}

static void finish_commit(struct journal *journal)
{
    int r = journal->result;
    if (r == STORE_E_FULL) {
        /* Nothing was written and nothing is lost: the same group is tried until there is room.
         * Whoever waits for it waits on, so no dot leaves and nothing is reported meanwhile. */
        journal->waiting = true;
        (void)uv_timer_start(journal->retry, on_retry, FULL_RETRY_MS, 0);
        return;
    }
    journal->committing_now = false;
    store_batch_clear(journal->committing);
    call_waiters(&journal->committing_waiters, r);
    if (r < 0) {
        break_journal(journal, r);
        return;
    }
    if (store_batch_count(journal->gathering) > 0 || journal->gathering_waiters.count > 0)
        commit(journal);
}

static void on_work_done(uv_work_t *work, int status)
{
    (void)status;
    finish_commit(work->data);
}

static void commit(struct journal *journal)
{
    if (journal->committing_now || journal->broken || journal->closing)
        return;
    struct store_batch *batch = journal->committing;
    journal->committing = journal->gathering;
    journal->gathering = batch;
    struct waiters waiters = journal->committing_waiters;
    journal->committing_waiters = journal->gathering_waiters;
    journal->gathering_waiters = waiters;
    journal->committing_now = true;
    journal->work.data = journal;
    (void)uv_queue_work(journal->loop, &journal->work, on_work, on_work_done);
}

void journal_put(struct journal *journal, enum journal_family family, struct flz_view key,
                 struct flz_view value)
{
    store_put(journal->gathering, family, key, value);
}

void journal_delete(struct journal *journal, enum journal_family family, struct flz_view key)
{
    store_delete(journal->gathering, family, key);
}

void journal_sync(struct journal *journal, void (*on_durable)(int r, void *data), void *data)
{
    struct waiters *waiters = &journal->gathering_waiters;
    if (journal->broken || journal->closing ||
        flz_grow((void **)&waiters->all, &waiters->capacity, waiters->count + 1,
                 sizeof *waiters->all) < 0) {
        on_durable(-EIO, data);
        return;
    }
    waiters->all[waiters->count++] = (struct waiter){.on_durable = on_durable, .data = data};
    commit(journal);
}

void journal_flush(struct journal *journal)
{
    if (store_batch_count(journal->gathering) > 0 && !journal->closing)
        commit(journal);
}

/* ---- Reading ---- */

int journal_each(struct journal *journal, enum journal_family family,
                 int (*on_pair)(struct flz_view key, struct flz_view value, void *data), void *data)
{
    return store_each(journal->store, family, FLZ_VIEW_NULL, FLZ_VIEW_NULL, on_pair, data);
}

int journal_range(struct journal *journal, enum journal_family family, struct flz_view first,
                  struct flz_view prefix,
                  int (*on_pair)(struct flz_view key, struct flz_view value, void *data),
                  void *data)
{
    return store_each(journal->store, family, first, prefix, on_pair, data);
}

int journal_get(struct journal *journal, enum journal_family family, struct flz_view key,
                struct flz_buf *buf)
{
    /* The newest first: what gathers, what is under way, what is stored. */
    const struct store_batch *batches[] = {journal->gathering,
                                           journal->committing_now ? journal->committing : NULL};
    for (size_t i = 0; i < 2; i++) {
        struct flz_view value;
        switch (batches[i] ? store_batch_find(batches[i], family, key, &value) : STORE_E_ABSENT) {
        case 0: flz_buf_add_view(buf, value); return flz_buf_error(buf);
        case STORE_E_DELETED: return JOURNAL_E_ABSENT;
        default: break;
        }
    }
    int r = store_get(journal->store, family, key, buf);
    return r == STORE_E_ABSENT ? JOURNAL_E_ABSENT : r;
}

bool journal_admits(const struct journal *journal)
{
    return !journal->broken && store_admits(journal->store);
}

uint64_t journal_free_bytes(const struct journal *journal)
{
    return store_free_bytes(journal->store);
}

struct flz_id journal_incarnation(const struct journal *journal)
{
    return journal->incarnation;
}

void journal_on_broken(struct journal *journal, void (*on_broken)(int r, void *data), void *data)
{
    journal->on_broken = on_broken;
    journal->broken_data = data;
}

/* ---- Life ---- */

static int load_incarnation(struct journal *journal)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = journal_get(journal, JOURNAL_META, flz_view_str(meta_incarnation), &buf);
    if (r < 0)
        return r;
    if (r == 0) {
        if (buf.len != sizeof journal->incarnation.b)
            return flz_fail(-EBADMSG);
        memcpy(journal->incarnation.b, buf.data, buf.len);
        return 0;
    }
    randombytes_buf(journal->incarnation.b, sizeof journal->incarnation.b);
    journal_put(
        journal, JOURNAL_META, flz_view_str(meta_incarnation),
        (struct flz_view){.data = journal->incarnation.b, .len = sizeof journal->incarnation.b});
    r = store_write(journal->store, journal->gathering, true);
    store_batch_clear(journal->gathering);
    return r == STORE_E_FULL ? flz_fail(-ENOSPC) : r;
}

static int start(struct journal *journal, const char *path, struct flz_msg *msg)
{
    struct store_options options = {.families = family_names, .families_count = JOURNAL_FAMILIES};
    int r = store_open(path, &options, &journal->store, msg);
    if (r == 0)
        r = store_batch_new(&journal->gathering);
    if (r == 0)
        r = store_batch_new(&journal->committing);
    if (r < 0)
        return r;
    journal->retry = calloc(1, sizeof *journal->retry);
    if (!journal->retry)
        return flz_fail(-ENOMEM);
    (void)uv_timer_init(journal->loop, journal->retry);
    journal->retry->data = journal;
    r = load_incarnation(journal);
    if (r < 0)
        flz_msg_set(msg, "%s: the journal's own record cannot be read or written: %s", path,
                    strerror(-r));
    return r;
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

FLZ_DEFINE_FREEP(struct journal, journal_close)

int journal_open(struct uv_loop_s *loop, const char *path, struct journal **ret_journal,
                 struct flz_msg *msg)
{
    _cleanup_(journal_closep) struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return flz_fail(-ENOMEM);
    journal->loop = loop;
    int r = start(journal, path, msg);
    if (r < 0)
        return r;
    *ret_journal = steal_ptr(&journal);
    return 0;
}

struct journal *journal_close(struct journal *journal)
{
    if (!journal)
        return NULL;
    journal->closing = true;
    if (journal->retry)
        (void)uv_timer_stop(journal->retry);
    /* A commit on the pool thread cannot be called back: the loop is run until it is over. On a
     * full disk the group under way stays unwritten, as after a crash. */
    while (journal->committing_now && !journal->waiting)
        (void)uv_run(journal->loop, UV_RUN_ONCE);
    int r = journal->committing_now || journal->broken ? flz_fail(-ENOSPC) : 0;
    if (r == 0 && journal->gathering)
        r = store_write(journal->store, journal->gathering, true);
    call_waiters(&journal->committing_waiters, r > 0 ? -ENOSPC : r);
    call_waiters(&journal->gathering_waiters, r > 0 ? -ENOSPC : r);
    (void)store_batch_free(journal->gathering);
    (void)store_batch_free(journal->committing);
    (void)store_close(journal->store);
    if (journal->retry)
        uv_close((uv_handle_t *)journal->retry, free_timer);
    free(journal);
    return NULL;
}
