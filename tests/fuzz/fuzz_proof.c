/*
 * Proofs that somebody hands over: number u64 · index u32 · count u32 · digests u8 · event u8 · the
 * digests · the event · headers. Read as they are, and once more as a right proof with these bytes
 * laid over it, which must then lead elsewhere.
 */
#include "common/base/hash.h"
#include "coordinator/rlog/proof.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIXED 18
#define EVENTS 5

static void read_proof(const uint8_t *data, size_t size, struct proof *proof)
{
    size_t digests = data[16] % (SEGMENT_PATH_MAX + 1), event = data[17];
    proof->event = flz_be64(data);
    proof->path.index = flz_be32(data + 8);
    proof->path.count = flz_be32(data + 12);
    proof->path.path_count = data[16]; /* also more than there can be */
    data += FIXED;
    size -= FIXED;
    digests = digests * 32 <= size ? digests : size / 32;
    memcpy(proof->path.path, data, digests * 32);
    data += digests * 32;
    size -= digests * 32;
    event = event < size ? event : size;
    flz_buf_add(&proof->bytes, data, event);
    flz_buf_add(&proof->headers, data + event, size - event);
}

/* Event 13 of a log, which is number 2 (from 0) of its segment. */
static struct segment make(struct proof *proof)
{
    struct segment_builder builder = {.count = 0};
    struct segment header = {.seq = 4, .epoch = 1, .first_event = 11};
    struct flz_buf bytes = FLZ_BUF_NULL;
    for (uint8_t i = 0; i < EVENTS; i++)
        segment_add(&builder, (struct flz_view){.data = &i, .len = 1});
    int r = segment_finish(&builder, &header, &bytes);
    assert(r == 0);
    r = segment_prove(flz_buf_view(&bytes), 2, &proof->path);
    assert(r == 0);
    proof->event = 13;
    flz_buf_add_byte(&proof->bytes, 2);
    flz_buf_add_view(&proof->headers, segment_header(flz_buf_view(&bytes)));
    flz_buf_deinit(&bytes);
    segment_builder_deinit(&builder);
    return header;
}

static void check_changed(const uint8_t *data, size_t size)
{
    struct proof proof = {.event = 0};
    struct segment header = make(&proof), last;
    uint8_t *parts[] = {proof.headers.data, proof.bytes.data, proof.path.path[0].b};
    size_t lens[] = {proof.headers.len, proof.bytes.len, 32 * (size_t)proof.path.path_count};
    for (size_t i = 0; i + 2 < size; i += 3) {
        size_t part = data[i] % 3;
        parts[part][data[i + 1] % lens[part]] ^= data[i + 2];
    }
    struct proof right = {.event = 0};
    (void)make(&right);
    bool changed = memcmp(parts[0], right.headers.data, lens[0]) != 0 ||
                   memcmp(parts[1], right.bytes.data, lens[1]) != 0 ||
                   memcmp(parts[2], right.path.path[0].b, lens[2]) != 0;
    bool holds = !proof_check(&proof, &last) && flz_digest_equal(last.digest, header.digest);
    assert(holds == !changed);
    proof_deinit(&proof);
    proof_deinit(&right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proof proof = {.event = 0};
    struct segment last;
    check_changed(data, size);
    if (size < FIXED)
        return 0;
    read_proof(data, size, &proof);
    if (!proof_check(&proof, &last))
        assert(proof.headers.len > 0 && proof.headers.len % SEGMENT_HEADER_LEN == 0);
    proof_deinit(&proof);
    return 0;
}
