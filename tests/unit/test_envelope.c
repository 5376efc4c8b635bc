#include "proto/envelope.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "tests/unit/sign_fixture.h"

#include <errno.h>
#include <stdlib.h>

static const char payload[] = "what is said";

static void sealed(uint8_t seed, enum flz_kind kind, struct flz_buf *buf)
{
    struct test_key k = test_key(seed);
    struct flz_signer signer = test_signer(&k);
    assert_int_equal(flz_seal_signed(kind, flz_view_str(payload), &signer, buf), 0);
}

static void what_was_sealed_opens_and_verifies(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    sealed(1, FLZ_KIND_TASKS, &buf);
    struct flz_signed message;
    assert_int_equal(flz_open_signed(flz_buf_view(&buf), &arena, &message), 0);
    assert_int_equal(message.kind, FLZ_KIND_TASKS);
    assert_true(flz_view_equal(message.payload, flz_view_str(payload)));
    struct test_key k = test_key(1);
    assert_int_equal(flz_verify_signed(&message, &k.key), 0);
    k = test_key(2);
    assert_int_equal(flz_verify_signed(&message, &k.key), -EKEYREJECTED);
}

static void the_prefix_is_what_the_protocol_says(void **state)
{
    /* BLAKE2b-256 of "fluenzr/tasks/v1\0what is said" */
    struct flz_digest want;
    uint8_t bytes[] = "fluenzr/tasks/v1\0what is said";
    assert_int_equal(crypto_generichash(want.b, 32, bytes, sizeof bytes - 1, NULL, 0), 0);
    struct flz_digest digest = flz_signed_digest(FLZ_KIND_TASKS, flz_view_str(payload));
    assert_memory_equal(digest.b, want.b, 32);
}

static void one_kind_never_passes_for_another(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    sealed(1, FLZ_KIND_REPORTS, &buf);
    struct flz_signed message;
    assert_int_equal(flz_open_signed(flz_buf_view(&buf), &arena, &message), 0);
    struct test_key k = test_key(1);
    for (uint32_t kind = 1; kind <= FLZ_KIND_MAX; kind++) {
        message.kind = kind;
        assert_int_equal(flz_verify_signed(&message, &k.key),
                         kind == FLZ_KIND_REPORTS ? 0 : -EKEYREJECTED);
        for (uint32_t other = 1; other < kind; other++)
            assert_string_not_equal(flz_kind_name(kind), flz_kind_name(other));
    }
    assert_null(flz_kind_name(0));
    assert_null(flz_kind_name(FLZ_KIND_MAX + 1));
}

static void every_flipped_bit_is_noticed(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    sealed(1, FLZ_KIND_ACK, &buf);
    struct test_key k = test_key(1);
    for (size_t bit = 0; bit < buf.len * 8; bit++) {
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        struct flz_signed message;
        buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int r = flz_open_signed(flz_buf_view(&buf), &arena, &message);
        if (r == 0 && message.kind == FLZ_KIND_ACK)
            r = flz_verify_signed(&message, &k.key);
        else
            r = -EKEYREJECTED;
        assert_int_not_equal(r, 0);
        buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void what_is_too_long_or_of_no_kind_is_refused(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct test_key k = test_key(1);
    struct flz_signer signer = test_signer(&k);
    _cleanup_(flz_freep) uint8_t *big = calloc(1, FLZ_SIGNED_PAYLOAD_MAX + 1);
    struct flz_view view = {.data = big, .len = FLZ_SIGNED_PAYLOAD_MAX + 1};
    assert_int_equal(flz_seal_signed(FLZ_KIND_ADMIN, view, &signer, &buf), -EMSGSIZE);
    sealed(1, FLZ_KIND_HELLO, &buf);
    buf.data[1] = 99; /* field 1, kind */
    struct flz_signed message;
    assert_int_equal(flz_open_signed(flz_buf_view(&buf), &arena, &message), -EBADMSG);
    assert_int_equal(flz_open_signed(FLZ_VIEW_NULL, &arena, &message), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_and_verifies),
        cmocka_unit_test(the_prefix_is_what_the_protocol_says),
        cmocka_unit_test(one_kind_never_passes_for_another),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(what_is_too_long_or_of_no_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
