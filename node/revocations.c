#include "node/revocations.h"

#include "common/base/cleanup.h"
#include "common/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char meta_version[] = "revocations";
static const char meta_prefix[] = "revoked:"; /* ‖ node id → be64 of its time */
#define PREFIX_LEN (sizeof meta_prefix - 1)

struct revocations {
    struct journal *journal;       /* borrowed */
    const struct flz_trust *trust; /* borrowed */
    struct flz_map nodes;
    uint64_t version;
};

/* ---- In the journal ---- */

static int on_stored(struct flz_view key, struct flz_view value, void *data)
{
    struct revocations *revocations = data;
    struct flz_id node;
    if (key.len != PREFIX_LEN + sizeof node.b || value.len != 8)
        return flz_fail(-EBADMSG);
    memcpy(node.b, key.data + PREFIX_LEN, sizeof node.b);
    return flz_map_set(&revocations->nodes, node, 0);
}

static int load(struct revocations *revocations)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct flz_view prefix = flz_view_str(meta_prefix);
    int r = journal_get(revocations->journal, JOURNAL_META, flz_view_str(meta_version), &buf);
    if (r < 0)
        return r;
    if (r == 0 && buf.len == 8)
        revocations->version = flz_be64(buf.data);
    return journal_range(revocations->journal, JOURNAL_META, prefix, prefix, on_stored,
                         revocations);
}

static void save_version(struct revocations *revocations)
{
    uint8_t version[8];
    flz_put_be64(version, revocations->version);
    journal_put(revocations->journal, JOURNAL_META, flz_view_str(meta_version),
                (struct flz_view){.data = version, .len = sizeof version});
}

static void save_node(struct revocations *revocations, const struct flz_revocation *revocation)
{
    uint8_t key[PREFIX_LEN + sizeof revocation->node.b], at[8];
    memcpy(key, meta_prefix, PREFIX_LEN);
    memcpy(key + PREFIX_LEN, revocation->node.b, sizeof revocation->node.b);
    flz_put_be64(at, (uint64_t)revocation->at);
    journal_put(revocations->journal, JOURNAL_META,
                (struct flz_view){.data = key, .len = sizeof key},
                (struct flz_view){.data = at, .len = sizeof at});
}

/* ---- Taking ---- */

/* Checks every one that is new; `ret_new` has room for a frame's. */
static int check_all(const struct revocations *revocations, const struct flz_view *views, size_t n,
                     struct flz_revocation *ret_new, size_t *ret_count, struct flz_msg *msg)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (views[i].len == 0)
            continue;
        int r = flz_cert_check_revocation(revocations->trust, views[i], &ret_new[count], msg);
        if (r < 0)
            return r;
        count += !revocations_has(revocations, ret_new[count].node);
    }
    if (revocations->nodes.count + count > FLZ_REVOCATIONS_MAX) {
        flz_msg_set(msg, "more than %d revocations", FLZ_REVOCATIONS_MAX);
        return flz_fail(-E2BIG);
    }
    *ret_count = count;
    return 0;
}

int revocations_take(struct revocations *revocations, const struct flz_revocations *frame,
                     struct flz_msg *msg)
{
    if (frame->from > revocations->version)
        return REVOCATIONS_E_GAP;
    uint64_t known = revocations->version - frame->from;
    if (known >= frame->revocations_count)
        return 0;
    size_t n = frame->revocations_count - (size_t)known, count = 0;
    _cleanup_(flz_freep) struct flz_revocation *fresh = calloc(n, sizeof *fresh);
    if (!fresh)
        return flz_fail(-ENOMEM);
    int r = check_all(revocations, frame->revocations + known, n, fresh, &count, msg);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = flz_map_set(&revocations->nodes, fresh[i].node, 0);
    if (r < 0)
        return r; /* what memory refused to number is numbered by the next frame */
    for (size_t i = 0; i < count; i++)
        save_node(revocations, &fresh[i]);
    revocations->version += n;
    save_version(revocations);
    journal_flush(revocations->journal);
    return 0;
}

void revocations_restart(struct revocations *revocations)
{
    revocations->version = 0;
    save_version(revocations);
}

/* ---- Looking ---- */

uint64_t revocations_version(const struct revocations *revocations)
{
    return revocations->version;
}

bool revocations_has(const struct revocations *revocations, struct flz_id node)
{
    return flz_map_get(&revocations->nodes, node) != FLZ_MAP_NONE;
}

/* ---- Life ---- */

FLZ_DEFINE_FREEP(struct revocations, revocations_free)

int revocations_open(struct journal *journal, const struct flz_trust *trust,
                     struct revocations **ret_revocations, struct flz_msg *msg)
{
    _cleanup_(revocations_freep) struct revocations *revocations = calloc(1, sizeof *revocations);
    if (!revocations)
        return flz_fail(-ENOMEM);
    revocations->journal = journal;
    revocations->trust = trust;
    int r = load(revocations);
    if (r < 0) {
        flz_msg_set(msg, "the journal's record of revoked nodes cannot be read");
        return r;
    }
    *ret_revocations = steal_ptr(&revocations);
    return 0;
}

struct revocations *revocations_free(struct revocations *revocations)
{
    if (!revocations)
        return NULL;
    flz_map_deinit(&revocations->nodes);
    free(revocations);
    return NULL;
}
