/*
 * Segments from a damaged disk or another coordinator. The input is read as it is, and once more
 * with its own digest put right, so that what lies behind the digest is reached.
 */
#include "common/base/hash.h"
#include "coordinator/rlog/segment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct flz_view bytes;
    const struct segment *segment;
    uint32_t count;
};

static int on_event(struct flz_view event, void *data)
{
    struct seen *seen = data;
    struct segment_proof proof;
    assert(event.data >= seen->bytes.data);
    assert(event.data + event.len <= seen->bytes.data + seen->bytes.len);
    if (seen->count < 2) { /* each proof reads the whole segment */
        assert(segment_prove(seen->bytes, seen->count, &proof) == 0);
        assert(segment_check_proof(event, &proof, &seen->segment->root));
    }
    seen->count++;
    return 0;
}

/* What is accepted holds what it says, and its proofs hold. */
static void check(struct flz_view bytes)
{
    struct segment segment;
    struct segment_proof proof;
    if (segment_parse(bytes, &segment) < 0) {
        assert(segment_prove(bytes, 0, &proof) < 0);
        return;
    }
    struct flz_view header = segment_header(bytes);
    struct segment alone;
    assert(header.len == 0 || (segment_parse_header(header, &alone) == 0 &&
                               flz_digest_equal(alone.digest, segment.digest)));
    struct seen seen = {.bytes = bytes, .segment = &segment};
    assert(segment_each(bytes, on_event, &seen) == 0);
    assert(seen.count == segment.count);
    assert(segment_prove(bytes, segment.count, &proof) < 0);
}

/* Puts the digest right, for either version. */
static void reseal(uint8_t *bytes, size_t size)
{
    bool is_v1 = bytes[3] == '1' || size < SEGMENT_HEADER_LEN + 32;
    struct flz_digest digest =
        flz_digest_of((struct flz_view){bytes, is_v1 ? size - 32 : SEGMENT_HEADER_LEN});
    memcpy(bytes + size - 32, digest.b, 32);
}

static void check_rebuilt(const uint8_t *data, size_t size)
{
    struct segment_builder builder = {.count = 0};
    struct segment header = {.seq = size, .epoch = 1, .first_event = 1}, parsed;
    struct flz_buf bytes = FLZ_BUF_NULL;
    for (size_t at = 0; at < size; at += 1 + data[at] % 64u) {
        size_t len = data[at] % 64u;
        segment_add(&builder, (struct flz_view){data + at, len < size - at ? len : size - at});
    }
    if (segment_finish(&builder, &header, &bytes) == 0) {
        check(flz_buf_view(&bytes));
        assert(segment_parse(flz_buf_view(&bytes), &parsed) == 0);
        assert(flz_digest_equal(parsed.root, header.root));
    }
    flz_buf_deinit(&bytes);
    segment_builder_deinit(&builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check((struct flz_view){data, size});
    check_rebuilt(data, size);
    if (size < 32)
        return 0;
    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    reseal(copy, size);
    check((struct flz_view){copy, size});
    free(copy);
    return 0;
}
