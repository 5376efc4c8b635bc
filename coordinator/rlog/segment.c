#include "coordinator/rlog/segment.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"

#include <errno.h>
#include <string.h>

static const char magic[] = "FZL2";
static const char magic_v1[] = "FZL1";

/* ---- The Merkle tree ---- */

static struct flz_digest leaf_of(struct flz_view event)
{
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add(&hash, "\0", 1);
    flz_hash_add(&hash, event.data, event.len);
    return flz_hash_digest(&hash);
}

static struct flz_digest node_of(const struct flz_digest *left, const struct flz_digest *right)
{
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add(&hash, "\1", 1);
    flz_hash_add(&hash, left->b, sizeof left->b);
    flz_hash_add(&hash, right->b, sizeof right->b);
    return flz_hash_digest(&hash);
}

/* One level up, in place; returns how many are left. */
static size_t fold_level(struct flz_digest *digests, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        digests[out++] = node_of(&digests[i], &digests[i + 1]);
    if (n % 2)
        digests[out++] = digests[n - 1];
    return out;
}

static struct flz_digest root_of(struct flz_digest *digests, size_t n)
{
    struct flz_digest none = {.b = {0}};
    while (n > 1)
        n = fold_level(digests, n);
    return n == 1 ? digests[0] : none;
}

/* ---- Building ---- */

void segment_builder_deinit(struct segment_builder *builder)
{
    flz_buf_deinit(&builder->events);
    free(builder->leaves);
    *builder = (struct segment_builder){.count = 0};
}

void segment_builder_reset(struct segment_builder *builder)
{
    flz_buf_reset(&builder->events);
    builder->count = 0;
    builder->failed = false;
}

void segment_add(struct segment_builder *builder, struct flz_view event)
{
    if (builder->count == SEGMENT_EVENTS_MAX ||
        flz_grow((void **)&builder->leaves, &builder->leaves_capacity, builder->count + 1u,
                 sizeof *builder->leaves) < 0) {
        builder->failed = true;
        return;
    }
    builder->leaves[builder->count++] = leaf_of(event);
    flz_buf_add_be32(&builder->events, (uint32_t)event.len);
    flz_buf_add_view(&builder->events, event);
}

static void add_header(const struct segment *header, struct flz_buf *buf)
{
    flz_buf_add(buf, magic, 4);
    flz_buf_add_be64(buf, header->seq);
    flz_buf_add_be64(buf, header->epoch);
    flz_buf_add(buf, header->generation.b, sizeof header->generation.b);
    flz_buf_add_be64(buf, header->first_event);
    flz_buf_add_be32(buf, header->count);
    flz_buf_add_be64(buf, (uint64_t)header->at);
    flz_buf_add(buf, header->nonce.b, sizeof header->nonce.b);
    flz_buf_add(buf, header->previous.b, sizeof header->previous.b);
    flz_buf_add(buf, header->root.b, sizeof header->root.b);
}

int segment_finish(const struct segment_builder *builder, struct segment *header,
                   struct flz_buf *ret_bytes)
{
    if (builder->failed || flz_buf_error(&builder->events) < 0)
        return flz_fail(-ENOMEM);
    if (builder->events.len > SEGMENT_SIZE_MAX)
        return flz_fail(-EMSGSIZE);
    _cleanup_(flz_freep) struct flz_digest *digests = calloc(builder->count + 1u, sizeof *digests);
    if (!digests)
        return flz_fail(-ENOMEM);
    if (builder->count > 0)
        memcpy(digests, builder->leaves, builder->count * sizeof *digests);
    header->count = builder->count;
    header->root = root_of(digests, builder->count);

    size_t start = ret_bytes->len;
    add_header(header, ret_bytes);
    flz_buf_add_view(ret_bytes, flz_buf_view(&builder->events));
    int r = flz_buf_error(ret_bytes);
    if (r < 0)
        return r;
    header->digest = flz_digest_of(
        (struct flz_view){.data = ret_bytes->data + start, .len = SEGMENT_HEADER_LEN});
    flz_buf_add(ret_bytes, header->digest.b, sizeof header->digest.b);
    return flz_buf_error(ret_bytes);
}

/* ---- Reading ---- */

static void read_header(const uint8_t *p, struct segment *segment)
{
    p += 4;
    segment->seq = flz_be64(p);
    segment->epoch = flz_be64(p + 8);
    memcpy(segment->generation.b, p + 16, 16);
    segment->first_event = flz_be64(p + 32);
    segment->count = flz_be32(p + 40);
    segment->at = (int64_t)flz_be64(p + 44);
    memcpy(segment->nonce.b, p + 52, 16);
    memcpy(segment->previous.b, p + 68, 32);
    memcpy(segment->root.b, p + 100, 32);
}

/* The events' part of bytes whose frame was checked. */
static struct flz_view body_of(struct flz_view bytes)
{
    return (struct flz_view){.data = bytes.data + SEGMENT_HEADER_LEN,
                             .len = bytes.len - SEGMENT_HEADER_LEN - 32};
}

/* Cuts the next event off; -EBADMSG when the lengths do not fit. */
static int next_event(struct flz_view *body, struct flz_view *ret_event)
{
    if (body->len < 4)
        return -EBADMSG;
    uint32_t len = flz_be32(body->data);
    if (len > body->len - 4)
        return -EBADMSG;
    *ret_event = (struct flz_view){.data = body->data + 4, .len = len};
    body->data += 4 + len;
    body->len -= 4 + len;
    return 0;
}

/* The leaves of all events; the caller frees them. */
static int read_leaves(struct flz_view body, uint32_t count, struct flz_digest **ret_leaves)
{
    _cleanup_(flz_freep) struct flz_digest *leaves = calloc(count + 1u, sizeof *leaves);
    if (!leaves)
        return flz_fail(-ENOMEM);
    for (uint32_t i = 0; i < count; i++) {
        struct flz_view event;
        if (next_event(&body, &event) < 0)
            return flz_fail(-EBADMSG);
        leaves[i] = leaf_of(event);
    }
    if (body.len > 0)
        return flz_fail(-EBADMSG);
    *ret_leaves = steal_ptr(&leaves);
    return 0;
}

static bool is_v1(struct flz_view bytes)
{
    return memcmp(bytes.data, magic_v1, 4) == 0;
}

struct flz_view segment_header(struct flz_view bytes)
{
    if (is_v1(bytes))
        return FLZ_VIEW_NULL;
    return (struct flz_view){.data = bytes.data, .len = SEGMENT_HEADER_LEN};
}

int segment_parse_header(struct flz_view header, struct segment *ret_segment)
{
    struct segment segment;
    if (header.len != SEGMENT_HEADER_LEN || memcmp(header.data, magic, 4) != 0)
        return flz_fail(-EBADMSG);
    read_header(header.data, &segment);
    if (segment.count > SEGMENT_EVENTS_MAX)
        return flz_fail(-EBADMSG);
    segment.digest = flz_digest_of(header);
    *ret_segment = segment;
    return 0;
}

int segment_parse(struct flz_view bytes, struct segment *ret_segment)
{
    struct segment segment;
    if (bytes.len < SEGMENT_HEADER_LEN + 32 ||
        bytes.len > SEGMENT_SIZE_MAX + SEGMENT_HEADER_LEN + 32 ||
        (memcmp(bytes.data, magic, 4) != 0 && !is_v1(bytes)))
        return flz_fail(-EBADMSG);
    read_header(bytes.data, &segment);
    if (segment.count > SEGMENT_EVENTS_MAX)
        return flz_fail(-EBADMSG);
    memcpy(segment.digest.b, bytes.data + bytes.len - 32, 32);
    struct flz_digest digest = flz_digest_of((struct flz_view){
        .data = bytes.data, .len = is_v1(bytes) ? bytes.len - 32 : SEGMENT_HEADER_LEN});
    if (!flz_digest_equal(digest, segment.digest))
        return flz_fail(-EBADMSG);
    _cleanup_(flz_freep) struct flz_digest *leaves = NULL;
    int r = read_leaves(body_of(bytes), segment.count, &leaves);
    if (r < 0)
        return r;
    if (!flz_digest_equal(root_of(leaves, segment.count), segment.root))
        return flz_fail(-EBADMSG);
    *ret_segment = segment;
    return 0;
}

int segment_each(struct flz_view bytes, int (*on_event)(struct flz_view event, void *data),
                 void *data)
{
    struct flz_view body = body_of(bytes), event;
    while (body.len > 0) {
        int r = next_event(&body, &event);
        if (r == 0)
            r = on_event(event, data);
        if (r != 0)
            return r;
    }
    return 0;
}

/* ---- Proofs ---- */

int segment_prove(struct flz_view bytes, uint32_t index, struct segment_proof *ret_proof)
{
    struct segment segment;
    int r = segment_parse(bytes, &segment);
    if (r < 0)
        return r;
    if (index >= segment.count)
        return flz_fail(-ERANGE);
    _cleanup_(flz_freep) struct flz_digest *level = NULL;
    r = read_leaves(body_of(bytes), segment.count, &level);
    if (r < 0)
        return r;
    struct segment_proof proof = {.index = index, .count = segment.count};
    size_t at = index;
    for (size_t n = segment.count; n > 1; at /= 2) {
        size_t beside = at ^ 1;
        if (beside < n)
            proof.path[proof.path_count++] = level[beside];
        n = fold_level(level, n);
    }
    *ret_proof = proof;
    return 0;
}

bool segment_check_proof(struct flz_view event, const struct segment_proof *proof,
                         const struct flz_digest *root)
{
    struct flz_digest digest = leaf_of(event);
    size_t at = proof->index, used = 0;
    if (proof->index >= proof->count || proof->path_count > SEGMENT_PATH_MAX)
        return false;
    for (size_t n = proof->count; n > 1; n = (n + 1) / 2, at /= 2) {
        if ((at ^ 1) >= n)
            continue; /* the odd one moves up alone */
        if (used == proof->path_count)
            return false;
        const struct flz_digest *beside = &proof->path[used++];
        digest = at % 2 ? node_of(beside, &digest) : node_of(&digest, beside);
    }
    return used == proof->path_count && flz_digest_equal(digest, *root);
}
