#include "coordinator/rlog/proof.h"

#include "common/base/hash.h"

void proof_deinit(struct proof *proof)
{
    flz_buf_deinit(&proof->bytes);
    flz_buf_deinit(&proof->headers);
}

size_t proof_headers_count(const struct proof *proof)
{
    return proof->headers.len / SEGMENT_HEADER_LEN;
}

/* 0 or -EBADMSG. */
static int read_nth(const struct proof *proof, size_t n, struct segment *ret_segment)
{
    return segment_parse_header(
        (struct flz_view){.data = proof->headers.data + n * SEGMENT_HEADER_LEN,
                          .len = SEGMENT_HEADER_LEN},
        ret_segment);
}

static bool is_chained(const struct segment *before, const struct segment *segment)
{
    return segment->seq == before->seq + 1 && segment->epoch >= before->epoch &&
           segment->first_event == before->first_event + before->count &&
           flz_digest_equal(segment->previous, before->digest);
}

const char *proof_check(const struct proof *proof, struct segment *ret_last)
{
    struct segment segment, last;
    size_t count = proof_headers_count(proof);
    if (count == 0 || count > PROOF_HEADERS_MAX || proof->headers.len % SEGMENT_HEADER_LEN != 0)
        return "the headers are not whole";
    if (read_nth(proof, 0, &segment) < 0)
        return "the first header cannot be read";
    if (proof->path.count != segment.count ||
        proof->event != segment.first_event + proof->path.index)
        return "the event has another place in its segment";
    if (!segment_check_proof(flz_buf_view(&proof->bytes), &proof->path, &segment.root))
        return "the event does not lead to the root of its segment";
    last = segment;
    for (size_t i = 1; i < count; i++) {
        if (read_nth(proof, i, &segment) < 0 || !is_chained(&last, &segment))
            return "the headers do not follow each other";
        last = segment;
    }
    *ret_last = last;
    return NULL;
}
