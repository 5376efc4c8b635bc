/*
 * Segments and their proofs.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "coordinator/rlog/segment.h"
#include "tests/lib/chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A copy of exactly that size, so that a read behind its end is seen. */
static uint8_t *exact_copy(struct flz_view bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.len);
    return copy;
}

static void the_layout_is_golden(void **state)
{
    _cleanup_(segment_builder_deinit) struct segment_builder builder = {.count = 0};
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct segment header = {.seq = 2, .epoch = 3, .first_event = 5, .at = 0x0102030405060708};
    (void)state;
    memset(header.generation.b, 0x11, sizeof header.generation.b);
    memset(header.nonce.b, 0x22, sizeof header.nonce.b);
    memset(header.previous.b, 0x33, sizeof header.previous.b);
    segment_add(&builder, flz_view_str("one"));
    assert_int_equal(segment_finish(&builder, &header, &bytes), 0);
    assert_int_equal(bytes.len, 136 + 4 + 3 + 32);
    const uint8_t *p = bytes.data;
    assert_memory_equal(p, "FZL2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\x11", 21);
    assert_memory_equal(p + 36, "\0\0\0\0\0\0\0\5\0\0\0\1\1\2\3\4\5\6\7\x08\x22", 21);
    assert_memory_equal(p + 72, header.previous.b, 32);
    struct flz_digest root = flz_digest_of((struct flz_view){(const uint8_t *)"\0one", 4});
    assert_memory_equal(p + 104, root.b, 32);
    assert_memory_equal(p + 136, "\0\0\0\3one", 7);
    struct flz_digest digest = flz_digest_of((struct flz_view){p, SEGMENT_HEADER_LEN});
    assert_memory_equal(p + bytes.len - 32, digest.b, 32);
    assert_true(flz_digest_equal(header.root, root));
    assert_true(flz_digest_equal(header.digest, digest));
}

/* Version 1 as it was written: one digest over all of it. */
static void the_old_layout_is_read(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 3, 20);
    _cleanup_(flz_freep) uint8_t *old = exact_copy(bytes);
    struct flz_view view = {old, bytes.len};
    struct segment segment;
    (void)state;
    memcpy(old, "FZL1", 4);
    assert_int_equal(segment_parse(view, &segment), -EBADMSG);
    struct flz_digest digest = flz_digest_of((struct flz_view){old, bytes.len - 32});
    memcpy(old + bytes.len - 32, digest.b, 32);
    assert_int_equal(segment_parse(view, &segment), 0);
    assert_int_equal(segment.count, 3);
    assert_true(flz_digest_equal(segment.digest, digest));
    assert_int_equal(segment_header(view).len, 0);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        old[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(segment_parse(view, &segment), -EBADMSG);
        old[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_header_alone_is_believed_for_its_digest(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 3, 20);
    struct flz_view header = segment_header(bytes);
    struct segment whole, segment;
    (void)state;
    assert_int_equal(header.len, SEGMENT_HEADER_LEN);
    assert_int_equal(segment_parse(bytes, &whole), 0);
    _cleanup_(flz_freep) uint8_t *copy = exact_copy(header);
    struct flz_view view = {copy, header.len};
    assert_int_equal(segment_parse_header(view, &segment), 0);
    assert_int_equal(segment.seq, whole.seq);
    assert_int_equal(segment.count, 3);
    assert_true(flz_digest_equal(segment.root, whole.root));
    assert_true(flz_digest_equal(segment.digest, whole.digest));
    copy[100] ^= 1;
    assert_int_equal(segment_parse_header(view, &segment), 0);
    assert_false(flz_digest_equal(segment.digest, whole.digest));
    view.len--;
    assert_int_equal(segment_parse_header(view, &segment), -EBADMSG);
    view.len++;
    copy[3] = '1';
    assert_int_equal(segment_parse_header(view, &segment), -EBADMSG);
}

static int count_event(struct flz_view event, void *data)
{
    uint64_t *next = data;
    assert_int_equal(event.len, 24);
    assert_int_equal(flz_be64(event.data), *next);
    (*next)++;
    return 0;
}

static void what_was_finished_is_parsed(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    (void)state;
    for (uint32_t count = 0; count < 40; count++) {
        struct segment segment;
        uint64_t next = chain.bounds.last_event + 1;
        struct flz_view bytes = chain_make(&chain, count, 24);
        assert_int_equal(segment_parse(bytes, &segment), 0);
        assert_int_equal(segment.seq, chain.header.seq);
        assert_int_equal(segment.count, count);
        assert_int_equal(segment.first_event, next);
        assert_int_equal(segment.at, chain.header.at);
        assert_true(flz_digest_equal(segment.digest, chain.header.digest));
        assert_true(flz_digest_equal(segment.previous, chain.bounds.head));
        assert_int_equal(segment_each(bytes, count_event, &next), 0);
        assert_int_equal(next, segment.first_event + count);
        chain_advance(&chain);
    }
}

static void a_finished_segment_is_appended_to_the_buffer(void **state)
{
    _cleanup_(segment_builder_deinit) struct segment_builder builder = {.count = 0};
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct segment header = {.seq = 1, .first_event = 1}, parsed;
    (void)state;
    flz_buf_add_str(&bytes, "before");
    segment_add(&builder, flz_view_str("one"));
    assert_int_equal(segment_finish(&builder, &header, &bytes), 0);
    assert_memory_equal(bytes.data, "before", 6);
    flz_buf_consume(&bytes, 6);
    assert_int_equal(segment_parse(flz_buf_view(&bytes), &parsed), 0);
}

static void each_flipped_bit_is_refused(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 3, 20);
    _cleanup_(flz_freep) uint8_t *copy = exact_copy(bytes);
    struct segment segment;
    (void)state;
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (segment_parse((struct flz_view){copy, bytes.len}, &segment) != -EBADMSG)
            fail_msg("bit %zu", bit);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void each_cut_and_a_tail_are_refused(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 3, 20);
    struct segment segment;
    (void)state;
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *copy = exact_copy((struct flz_view){bytes.data, len});
        assert_int_equal(segment_parse((struct flz_view){copy, len}, &segment), -EBADMSG);
        free(copy);
    }
    flz_buf_add_byte(&chain.bytes, 0);
    assert_int_equal(segment_parse(flz_buf_view(&chain.bytes), &segment), -EBADMSG);
}

/* Puts a fitting digest behind changed bytes: what is left to refuse them is the structure. */
static int parse_resealed(uint8_t *bytes, size_t len)
{
    struct segment segment;
    bool is_v1 = memcmp(bytes, "FZL1", 4) == 0;
    struct flz_digest digest =
        flz_digest_of((struct flz_view){bytes, is_v1 ? len - 32 : SEGMENT_HEADER_LEN});
    memcpy(bytes + len - 32, digest.b, 32);
    return segment_parse((struct flz_view){bytes, len}, &segment);
}

static void lengths_and_counts_that_do_not_fit_are_refused(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 2, 20);
    static const struct {
        size_t at;
        uint32_t value;
    } cases[] = {{44, 1}, {44, 3}, {44, 0}, {44, UINT32_MAX}, {44, SEGMENT_EVENTS_MAX + 1},
                 {136, 19}, {136, 21}, {136, UINT32_MAX}, {136, 44}, {160, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(flz_freep) uint8_t *copy = exact_copy(bytes);
        flz_put_be32(copy + cases[i].at, cases[i].value);
        assert_int_equal(parse_resealed(copy, bytes.len), -EBADMSG);
    }
    _cleanup_(flz_freep) uint8_t *copy = exact_copy(bytes);
    copy[140] ^= 1; /* an event that the root does not hold */
    assert_int_equal(parse_resealed(copy, bytes.len), -EBADMSG);
    copy[140] ^= 1;
    assert_int_equal(parse_resealed(copy, bytes.len), 0);
}

static void too_many_events_and_bytes_are_refused(void **state)
{
    _cleanup_(segment_builder_deinit) struct segment_builder builder = {.count = 0};
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct segment header = {.seq = 1, .first_event = 1};
    (void)state;
    for (int i = 0; i < SEGMENT_EVENTS_MAX; i++)
        segment_add(&builder, FLZ_VIEW_NULL);
    assert_int_equal(segment_finish(&builder, &header, &bytes), 0);
    segment_add(&builder, FLZ_VIEW_NULL);
    assert_int_equal(segment_finish(&builder, &header, &bytes), -ENOMEM);
    segment_builder_reset(&builder);
    segment_add(&builder, flz_buf_view(&bytes));
    assert_int_equal(segment_finish(&builder, &header, &bytes), 0);

    _cleanup_(flz_freep) uint8_t *large = calloc(1, SEGMENT_SIZE_MAX);
    segment_builder_reset(&builder);
    segment_add(&builder, (struct flz_view){large, SEGMENT_SIZE_MAX - 4});
    assert_int_equal(segment_finish(&builder, &header, &bytes), 0);
    segment_add(&builder, FLZ_VIEW_NULL);
    assert_int_equal(segment_finish(&builder, &header, &bytes), -EMSGSIZE);
}

/* ---- Proofs ---- */

struct nth {
    uint32_t index;
    struct flz_view event;
};

static int on_nth(struct flz_view event, void *data)
{
    struct nth *nth = data;
    nth->event = event;
    return nth->index-- == 0;
}

static void each_event_of_each_count_is_proved(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    (void)state;
    for (uint32_t count = 1; count <= 70; count++) {
        struct flz_view bytes = chain_make(&chain, count, 12);
        for (uint32_t i = 0; i < count; i++) {
            struct segment_proof proof;
            struct nth nth = {.index = i};
            assert_int_equal(segment_each(bytes, on_nth, &nth), 1);
            assert_int_equal(segment_prove(bytes, i, &proof), 0);
            assert_true(segment_check_proof(nth.event, &proof, &chain.header.root));
        }
    }
}

static void a_proof_fits_its_event_and_place_only(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 21, 12);
    struct segment_proof proof, forged;
    struct nth nth = {.index = 13}, other = {.index = 12};
    struct flz_digest root = chain.header.root;
    (void)state;
    (void)segment_each(bytes, on_nth, &nth);
    (void)segment_each(bytes, on_nth, &other);
    assert_int_equal(segment_prove(bytes, 13, &proof), 0);
    assert_true(segment_check_proof(nth.event, &proof, &root));
    assert_false(segment_check_proof(other.event, &proof, &root));
    for (uint32_t index = 0; index < 24; index++) {
        forged = proof;
        forged.index = index;
        assert_int_equal(segment_check_proof(nth.event, &forged, &root), index == 13);
    }
    for (uint32_t i = 0; i < proof.path_count * 256; i += 37) {
        forged = proof;
        forged.path[i / 256].b[i / 8 % 32] ^= (uint8_t)(1u << i % 8);
        assert_false(segment_check_proof(nth.event, &forged, &root));
    }
    for (uint32_t n = 0; n < SEGMENT_PATH_MAX + 3; n++) {
        forged = proof;
        forged.path_count = n;
        assert_int_equal(segment_check_proof(nth.event, &forged, &root), n == proof.path_count);
    }
    root.b[0] ^= 1;
    assert_false(segment_check_proof(nth.event, &proof, &root));
}

static void an_inner_node_is_no_event(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 4, 12);
    struct segment_proof proof, forged = {.index = 0, .count = 2, .path_count = 1};
    uint8_t pair[64];
    (void)state;
    /* The two leaves of the left half, shown as one event of a tree of two. */
    assert_int_equal(segment_prove(bytes, 0, &proof), 0);
    memcpy(pair + 32, proof.path[0].b, 32);
    forged.path[0] = proof.path[1];
    assert_int_equal(segment_prove(bytes, 1, &proof), 0);
    memcpy(pair, proof.path[0].b, 32);
    assert_false(segment_check_proof((struct flz_view){pair, 64}, &forged, &chain.header.root));
}

static void there_is_no_proof_of_what_is_not_there(void **state)
{
    _cleanup_(chain_deinit) struct chain chain = {.nonce = 0};
    struct flz_view bytes = chain_make(&chain, 4, 12);
    struct segment_proof proof;
    (void)state;
    assert_int_equal(segment_prove(bytes, 4, &proof), -ERANGE);
    assert_int_equal(segment_prove(bytes, UINT32_MAX, &proof), -ERANGE);
    chain.bytes.data[150] ^= 1;
    assert_int_equal(segment_prove(bytes, 0, &proof), -EBADMSG);
    bytes = chain_make(&chain, 0, 0);
    assert_int_equal(segment_prove(bytes, 0, &proof), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_golden),
        cmocka_unit_test(the_old_layout_is_read),
        cmocka_unit_test(a_header_alone_is_believed_for_its_digest),
        cmocka_unit_test(what_was_finished_is_parsed),
        cmocka_unit_test(a_finished_segment_is_appended_to_the_buffer),
        cmocka_unit_test(each_flipped_bit_is_refused),
        cmocka_unit_test(each_cut_and_a_tail_are_refused),
        cmocka_unit_test(lengths_and_counts_that_do_not_fit_are_refused),
        cmocka_unit_test(too_many_events_and_bytes_are_refused),
        cmocka_unit_test(each_event_of_each_count_is_proved),
        cmocka_unit_test(a_proof_fits_its_event_and_place_only),
        cmocka_unit_test(an_inner_node_is_no_event),
        cmocka_unit_test(there_is_no_proof_of_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
