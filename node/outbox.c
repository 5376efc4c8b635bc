#include "node/outbox.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES_MAX (FLZ_FRAME_SIZE_MAX / 2)
#define PRUNE_BATCH 500

static const char meta_acked[] = "report_acked";

enum { STORED_ENOUGH = 1 }; /* on_stored(): what follows is in memory */

/* One report that is not acknowledged; encoded, as in the journal. */
struct entry {
    uint64_t seq;
    uint8_t *bytes; /* owned */
    size_t len;
};

struct outbox {
    struct journal *journal;
    void (*on_ready)(void *data);
    void *data;

    struct entry *entries; /* owned; ascending seq, the first `head` ones are acknowledged */
    size_t head;
    size_t count;
    size_t capacity;

    uint64_t newest;  /* written */
    uint64_t durable; /* on the disk: may be sent */
    uint64_t acked;
    uint64_t sent;                          /* newest one sent on this connection */
    uint64_t frame_ends[OUTBOX_FRAMES_MAX]; /* last seq of each frame in flight */
    size_t frames;

    /* While reports are read from the journal. */
    uint64_t last; /* the last one wanted; 0 = all */
    size_t stored; /* read so far */

    struct flz_arena arena; /* of the batch handed out */
    uint64_t syncing;       /* the newest seq when the running journal_sync() was asked for */
};

static struct flz_view seq_key(uint64_t seq, uint8_t key[static 8])
{
    flz_put_be64(key, seq);
    return (struct flz_view){.data = key, .len = 8};
}

static void drop_entries(struct outbox *outbox)
{
    for (size_t i = outbox->head; i < outbox->count; i++)
        free(outbox->entries[i].bytes);
    outbox->head = outbox->count = 0;
}

static int append_entry(struct outbox *outbox, uint64_t seq, struct flz_view bytes)
{
    if (outbox->head > 1024 && outbox->head * 2 > outbox->count) {
        outbox->count -= outbox->head;
        memmove(outbox->entries, outbox->entries + outbox->head,
                outbox->count * sizeof *outbox->entries);
        outbox->head = 0;
    }
    int r = flz_grow((void **)&outbox->entries, &outbox->capacity, outbox->count + 1,
                     sizeof *outbox->entries);
    if (r < 0)
        return r;
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    if (!copy)
        return flz_fail(-ENOMEM);
    memcpy(copy, bytes.data, bytes.len);
    outbox->entries[outbox->count++] = (struct entry){.seq = seq, .bytes = copy, .len = bytes.len};
    return 0;
}

static int on_stored(struct flz_view key, struct flz_view value, void *data)
{
    struct outbox *outbox = data;
    if (key.len != 8)
        return flz_fail(-EBADMSG);
    uint64_t seq = flz_be64(key.data);
    if (outbox->last > 0 && seq > outbox->last)
        return STORED_ENOUGH;
    if (seq > outbox->newest)
        outbox->newest = seq;
    int r = append_entry(outbox, seq, value);
    outbox->stored += r == 0;
    return r;
}

static int load_from(struct outbox *outbox, uint64_t first)
{
    uint8_t key[8];
    drop_entries(outbox);
    return journal_range(outbox->journal, JOURNAL_REPORTS, seq_key(first, key), FLZ_VIEW_NULL,
                         on_stored, outbox);
}

int outbox_open(struct journal *journal, void (*on_ready)(void *data), void *data,
                struct outbox **ret_outbox, struct flz_msg *msg)
{
    _cleanup_(flz_freep) struct outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox)
        return flz_fail(-ENOMEM);
    outbox->journal = journal;
    outbox->on_ready = on_ready;
    outbox->data = data;

    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    int r = journal_get(journal, JOURNAL_META, flz_view_str(meta_acked), &buf);
    if (r == 0 && buf.len == 8)
        outbox->acked = flz_be64(buf.data);
    else if (r != JOURNAL_E_ABSENT) {
        flz_msg_set(msg, "the journal's record '%s' cannot be read", meta_acked);
        return r < 0 ? r : flz_fail(-EBADMSG);
    }
    outbox->newest = outbox->acked;
    r = load_from(outbox, outbox->acked + 1);
    if (r < 0) {
        flz_msg_set(msg, "the journal's reports cannot be read");
        return r;
    }
    outbox->durable = outbox->sent = outbox->newest;
    *ret_outbox = steal_ptr(&outbox);
    return 0;
}

struct outbox *outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return NULL;
    drop_entries(outbox);
    free(outbox->entries);
    flz_arena_deinit(&outbox->arena);
    free(outbox);
    return NULL;
}

static void sync_again(struct outbox *outbox);

static void on_durable(int r, void *data)
{
    struct outbox *outbox = data;
    uint64_t synced = outbox->syncing;
    outbox->syncing = 0;
    /* Negative: the journal is broken or closing, and nothing more is ever sent. */
    if (r < 0)
        return;
    outbox->durable = synced;
    if (outbox->newest > outbox->durable)
        sync_again(outbox);
    outbox->on_ready(outbox->data);
}

static void sync_again(struct outbox *outbox)
{
    if (outbox->syncing)
        return;
    outbox->syncing = outbox->newest;
    journal_sync(outbox->journal, on_durable, outbox);
}

int outbox_add(struct outbox *outbox, struct flz_report *report)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    report->seq = outbox->newest + 1;
    int r = flz_encode(&flz_codec_report, report, &buf);
    if (r < 0)
        return r;
    r = append_entry(outbox, report->seq, flz_buf_view(&buf));
    if (r < 0)
        return r;

    uint8_t key[8];
    journal_put(outbox->journal, JOURNAL_REPORTS, seq_key(report->seq, key), flz_buf_view(&buf));
    outbox->newest = report->seq;
    sync_again(outbox);
    return 0;
}

uint64_t outbox_newest(const struct outbox *outbox)
{
    return outbox->newest;
}

uint64_t outbox_acked(const struct outbox *outbox)
{
    return outbox->acked;
}

static int on_first(struct flz_view key, struct flz_view value, void *data)
{
    uint64_t *first = data;
    if (key.len != 8)
        return flz_fail(-EBADMSG);
    *first = flz_be64(key.data);
    return STORED_ENOUGH;
}

uint64_t outbox_first(const struct outbox *outbox)
{
    uint8_t key[8];
    uint64_t first = outbox->acked + 1; /* what is not on the disk yet is not acknowledged */
    int r = journal_range(outbox->journal, JOURNAL_REPORTS, seq_key(0, key), FLZ_VIEW_NULL,
                          on_first, &first);
    return r < 0 ? 0 : first;
}

size_t outbox_in_flight(const struct outbox *outbox)
{
    return outbox->frames;
}

size_t outbox_pending(const struct outbox *outbox)
{
    return (size_t)(outbox->newest - outbox->acked);
}

/* Puts the kept reports (acked, outbox->acked] in front of those in memory, which may be newer than
 * what the disk has. */
static int load_kept(struct outbox *outbox, uint64_t acked)
{
    struct outbox kept = {.journal = outbox->journal, .last = outbox->acked};
    uint8_t key[8];
    int r = journal_range(outbox->journal, JOURNAL_REPORTS, seq_key(acked + 1, key), FLZ_VIEW_NULL,
                          on_stored, &kept);
    r = r == STORED_ENOUGH ? 0 : r;
    for (size_t i = outbox->head; i < outbox->count && r == 0; i++) {
        r = flz_grow((void **)&kept.entries, &kept.capacity, kept.count + 1, sizeof *kept.entries);
        if (r == 0)
            kept.entries[kept.count++] = outbox->entries[i];
    }
    if (r < 0) {
        kept.count = kept.count < kept.stored ? kept.count : kept.stored;
        drop_entries(&kept);
        free(kept.entries);
        return r;
    }
    free(outbox->entries);
    outbox->entries = kept.entries;
    outbox->head = 0;
    outbox->count = kept.count;
    outbox->capacity = kept.capacity;
    outbox->acked = acked;
    return 0;
}

int outbox_rewind(struct outbox *outbox, uint64_t acked)
{
    outbox->frames = 0;
    int r = acked < outbox->acked ? load_kept(outbox, acked) : outbox_ack(outbox, acked);
    if (r < 0)
        return r;
    outbox->sent = outbox->acked;
    return 0;
}

static size_t first_unsent(const struct outbox *outbox)
{
    size_t low = outbox->head, high = outbox->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (outbox->entries[middle].seq <= outbox->sent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t outbox_next(struct outbox *outbox, const struct flz_report **ret_reports)
{
    if (outbox->frames == OUTBOX_FRAMES_MAX)
        return 0;
    flz_arena_deinit(&outbox->arena);
    outbox->arena = FLZ_ARENA_NULL;

    size_t first = first_unsent(outbox), n = 0, bytes = 0;
    for (size_t i = first; i < outbox->count && n < FLZ_FRAME_REPORTS_MAX; i++, n++) {
        bytes += outbox->entries[i].len;
        if (outbox->entries[i].seq > outbox->durable || bytes > FRAME_BYTES_MAX)
            break;
    }
    struct flz_report *reports =
        n > 0 ? flz_arena_alloc(&outbox->arena, n * sizeof *reports) : NULL;
    if (!reports)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const struct entry *entry = &outbox->entries[first + i];
        int r = flz_decode(&flz_codec_report,
                           (struct flz_view){.data = entry->bytes, .len = entry->len},
                           &outbox->arena, &reports[i]);
        assert(r == 0 || r == -ENOMEM);
        if (r < 0)
            return 0;
    }
    outbox->sent = reports[n - 1].seq;
    outbox->frame_ends[outbox->frames++] = outbox->sent;
    *ret_reports = reports;
    return n;
}

int outbox_ack(struct outbox *outbox, uint64_t seq)
{
    if (seq > outbox->newest)
        return flz_fail(-EPROTO);
    while (outbox->frames > 0 && outbox->frame_ends[0] <= seq) {
        outbox->frames--;
        memmove(outbox->frame_ends, outbox->frame_ends + 1,
                outbox->frames * sizeof *outbox->frame_ends);
    }
    if (seq <= outbox->acked)
        return 0;
    outbox->acked = seq;
    while (outbox->head < outbox->count && outbox->entries[outbox->head].seq <= seq)
        free(outbox->entries[outbox->head++].bytes);

    uint8_t value[8];
    /* Not synced: losing it only makes us offer some reports once more. */
    journal_put(outbox->journal, JOURNAL_META, flz_view_str(meta_acked), seq_key(seq, value));
    return 0;
}

struct prune {
    struct outbox *outbox;
    int64_t before;
    uint64_t untimed; /* the first one passed over; 0: none */
    size_t n;
};

/* When it was written; 0: it does not say. */
static int64_t report_time(const struct flz_report *report)
{
    switch ((enum flz_report_kind)report->kind) {
    case FLZ_REPORT_RECEIPT: return report->receipt.at;
    case FLZ_REPORT_PROBE: return report->probe.at;
    case FLZ_REPORT_BOUNCE:
    case FLZ_REPORT_COMPLAINT:
    case FLZ_REPORT_AUTOREPLY: return report->notice.at;
    case FLZ_REPORT_ACCOUNT:
    case FLZ_REPORT_RELEASE: break;
    }
    return 0;
}

static int on_old(struct flz_view key, struct flz_view value, void *data)
{
    struct prune *prune = data;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_report report;
    uint64_t seq = flz_be64(key.data);
    if (seq > prune->outbox->acked || prune->n >= PRUNE_BATCH ||
        flz_decode(&flz_codec_report, value, &arena, &report) < 0 ||
        report_time(&report) >= prune->before)
        return -ECANCELED; /* they are in order of time: nothing older follows */
    if (prune->untimed == 0)
        prune->untimed = seq;
    /* What tells no time is as old as the next one that does. */
    if (report_time(&report) == 0)
        return 0;
    for (uint64_t old = prune->untimed; old <= seq; old++, prune->n++) {
        uint8_t old_key[8];
        journal_delete(prune->outbox->journal, JOURNAL_REPORTS, seq_key(old, old_key));
    }
    prune->untimed = 0;
    return 0;
}

void outbox_prune(struct outbox *outbox, int64_t network_now)
{
    struct prune prune = {.outbox = outbox, .before = network_now - OUTBOX_KEEP_MS};
    uint8_t key[8];
    (void)journal_range(outbox->journal, JOURNAL_REPORTS, seq_key(0, key), FLZ_VIEW_NULL, on_old,
                        &prune);
}
