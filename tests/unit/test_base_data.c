/* The containers: buffers, arenas, maps, heaps, draws. */
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/heap.h"
#include "common/base/map.h"
#include "common/base/rng.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- Refused allocations ---- */

static int allocations_left = -1; /* -1: no limit */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool refused(void)
{
    if (allocations_left < 0)
        return false;
    return allocations_left-- <= 0 ? (allocations_left = 0, true) : false;
}

void *__wrap_malloc(size_t n)
{
    return refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return refused() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return refused() ? NULL : __real_reallocarray(p, n, size);
}

/* ---- Buffers ---- */

static void a_buffer_grows_and_shrinks(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    assert_string_equal(flz_buf_str(&buf), "");
    for (int i = 0; i < 1000; i++)
        flz_buf_printf(&buf, "%03d,", i);
    assert_int_equal(buf.len, 4000);
    assert_memory_equal(flz_buf_str(&buf) + 3996, "999,", 5);
    flz_buf_consume(&buf, 3996);
    assert_string_equal(flz_buf_str(&buf), "999,");
    flz_buf_consume(&buf, 4);
    flz_buf_consume(&buf, 0);
    assert_int_equal(buf.len, 0);
    flz_buf_add(&buf, NULL, 0);
    flz_buf_add_view(&buf, FLZ_VIEW_NULL);
    flz_buf_add_be32(&buf, 0x01020304);
    flz_buf_add_be64(&buf, 0x05060708090a0b0c);
    assert_memory_equal(buf.data, "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
    assert_int_equal(flz_be32(buf.data), 0x01020304);
    assert_true(flz_be64(buf.data + 4) == 0x05060708090a0b0c);
    flz_buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_true(flz_view_equal(flz_buf_view(&buf), FLZ_VIEW_NULL));
}

static void a_refused_append_is_remembered(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    flz_buf_add_str(&buf, "kept");
    allocations_left = 0;
    assert_null(flz_buf_reserve(&buf, 1000));
    allocations_left = -1;
    assert_int_equal(flz_buf_error(&buf), -ENOMEM);
    flz_buf_add_str(&buf, "lost");
    assert_int_equal(buf.len, 4);
    assert_string_equal(flz_buf_str(&buf), "");
    flz_buf_reset(&buf);
    flz_buf_add_str(&buf, "again");
    assert_int_equal(flz_buf_error(&buf), 0);
    assert_string_equal(flz_buf_str(&buf), "again");
    assert_null(flz_buf_reserve(&buf, SIZE_MAX));
    flz_buf_deinit(&buf);
    flz_buf_deinit(&buf);
}

static void an_array_grows_or_stays(void **state)
{
    void *array = NULL;
    size_t capacity = 0;
    assert_int_equal(flz_grow(&array, &capacity, 1, 8), 0);
    assert_true(capacity >= 1);
    void *before = array;
    size_t capacity_before = capacity;
    assert_int_equal(flz_grow(&array, &capacity, SIZE_MAX, 8), -ENOMEM);
    assert_int_equal(flz_grow(&array, &capacity, SIZE_MAX / 2 + 2, 1), -ENOMEM);
    allocations_left = 0;
    assert_int_equal(flz_grow(&array, &capacity, 1000, 8), -ENOMEM);
    allocations_left = -1;
    assert_ptr_equal(array, before);
    assert_int_equal(capacity, capacity_before);
    free(array);
}

/* ---- Arenas ---- */

static void arena_memory_is_zero_aligned_and_apart(void **state)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    uint8_t *pieces[500];
    size_t sizes[500];
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = i % 50 == 49 ? 20000 : i % 37;
        pieces[i] = flz_arena_alloc(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], 0);
        if (sizes[i] > 0)
            memset(pieces[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], (uint8_t)i);
    assert_null(flz_arena_alloc(&arena, SIZE_MAX));
}

static void an_arena_copies_or_says_no(void **state)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    allocations_left = 0;
    assert_null(flz_arena_alloc(&arena, 10));
    assert_null(flz_arena_copy(&arena, flz_view_str("text")).data);
    allocations_left = -1;
    struct flz_view copy = flz_arena_copy(&arena, flz_view_str("text"));
    assert_true(flz_view_equal(copy, flz_view_str("text")));
    assert_null(flz_arena_copy(&arena, flz_view_str("")).data);
    flz_arena_deinit(&arena);
    assert_null(arena.chunks);
}

/* ---- Maps ---- */

#define KEYS 2000

/* Against the plainest map there is. */
static void a_map_agrees_with_an_array(void **state)
{
    _cleanup_(flz_map_deinit) struct flz_map map = FLZ_MAP_NULL;
    static uint32_t plain[KEYS];
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("map"), 1);
    for (size_t i = 0; i < KEYS; i++)
        plain[i] = FLZ_MAP_NONE;
    size_t count = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t key = flz_rng_below(&rng, KEYS);
        struct flz_id id = flz_id_of_u64(key);
        if (flz_rng_below(&rng, 3) > 0) {
            uint32_t value = (uint32_t)flz_rng_below(&rng, FLZ_MAP_NONE);
            assert_int_equal(flz_map_set(&map, id, value), 0);
            count += plain[key] == FLZ_MAP_NONE;
            plain[key] = value;
        } else {
            flz_map_remove(&map, id);
            count -= plain[key] != FLZ_MAP_NONE;
            plain[key] = FLZ_MAP_NONE;
        }
        uint64_t other = flz_rng_below(&rng, KEYS);
        assert_int_equal(flz_map_get(&map, flz_id_of_u64(other)), plain[other]);
        assert_int_equal(map.count, count);
        assert_true(map.size <= 8 * KEYS);
    }
}

static void a_map_without_memory_is_unchanged(void **state)
{
    _cleanup_(flz_map_deinit) struct flz_map map = FLZ_MAP_NULL;
    assert_int_equal(flz_map_get(&map, flz_id_of_u64(1)), FLZ_MAP_NONE);
    flz_map_remove(&map, flz_id_of_u64(1));
    allocations_left = 0;
    assert_int_equal(flz_map_set(&map, flz_id_of_u64(1), 1), -ENOMEM);
    allocations_left = -1;
    uint64_t n = 0;
    int r = 0;
    for (; n < 100; n++) {
        allocations_left = n < 10 ? -1 : 0;
        r = flz_map_set(&map, flz_id_of_u64(n), (uint32_t)n);
        allocations_left = -1;
        if (r < 0)
            break;
    }
    assert_int_equal(r, -ENOMEM);
    assert_int_equal(map.count, n);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(flz_map_get(&map, flz_id_of_u64(i)), i);
    assert_int_equal(flz_map_get(&map, flz_id_of_u64(n)), FLZ_MAP_NONE);
}

/* ---- Heaps ---- */

static void a_heap_gives_what_is_due_in_order(void **state)
{
    _cleanup_(flz_heap_deinit) struct flz_heap heap = FLZ_HEAP_NULL;
    struct flz_rng rng;
    struct flz_heap_entry entry, last = {INT64_MIN, 0};
    flz_rng_init(&rng, flz_view_str("heap"), 1);
    assert_false(flz_heap_peek(&heap, &entry));
    assert_false(flz_heap_pop_due(&heap, INT64_MAX, &entry));
    for (int i = 0; i < 5000; i++)
        assert_int_equal(flz_heap_push(&heap, flz_rng_between(&rng, -300, 300),
                                       flz_rng_below(&rng, 1000)), 0);
    assert_true(flz_heap_peek(&heap, &entry));
    assert_false(flz_heap_pop_due(&heap, entry.at - 1, &entry));
    size_t n = 0;
    for (; flz_heap_pop_due(&heap, 0, &entry); n++) {
        assert_true(entry.at > last.at || (entry.at == last.at && entry.item >= last.item));
        assert_true(entry.at <= 0);
        last = entry;
    }
    for (; flz_heap_pop_due(&heap, INT64_MAX, &entry); n++)
        assert_true(entry.at > 0);
    assert_int_equal(n, 5000);
    allocations_left = 0;
    for (size_t i = 0; i < heap.capacity; i++)
        assert_int_equal(flz_heap_push(&heap, 0, 0), 0);
    assert_int_equal(flz_heap_push(&heap, 0, 0), -ENOMEM);
    allocations_left = -1;
    assert_int_equal(heap.count, heap.capacity);
}

/* ---- Draws and digests ---- */

static void the_same_seed_draws_the_same(void **state)
{
    struct flz_rng a, b;
    flz_rng_init(&a, flz_view_str("seed"), 7);
    flz_rng_init(&b, flz_view_str("seed"), 7);
    for (int i = 0; i < 100; i++)
        assert_true(flz_rng_next(&a) == flz_rng_next(&b));
    flz_rng_init(&b, flz_view_str("seed"), 8);
    assert_true(flz_rng_next(&a) != flz_rng_next(&b));
    /* The sequence is part of what plans are made from: it must not change between versions. */
    flz_rng_init(&a, flz_view_str("golden"), 1);
    assert_true(flz_rng_next(&a) == UINT64_C(0x90f8d4029e0a54a));
}

static void draws_are_even_and_within_bounds(void **state)
{
    struct flz_rng rng;
    unsigned counts[10] = {0};
    flz_rng_init(&rng, flz_view_str("even"), 1);
    for (int i = 0; i < 100000; i++)
        counts[flz_rng_below(&rng, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(flz_rng_between(&rng, -3, -3), -3);
        assert_in_range(flz_rng_between(&rng, -2, 2) + 2, 0, 4);
        (void)flz_rng_between(&rng, INT64_MIN, INT64_MAX);
        assert_true(flz_rng_between(&rng, INT64_MIN, 0) <= 0);
        assert_int_equal(flz_rng_below(&rng, 1), 0);
    }
}

/* The digest of "abc", RFC 7693 style vector for 32 bytes of output. */
static void digests_are_blake2b(void **state)
{
    static const uint8_t abc[32] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72,
                                    0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
                                    0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42,
                                    0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
    struct flz_digest digest = flz_digest_of(flz_view_str("abc"));
    assert_memory_equal(digest.b, abc, sizeof abc);
    struct flz_hash a, b;
    flz_hash_init(&a);
    flz_hash_add_piece(&a, "ab", 2);
    flz_hash_add_piece(&a, "c", 1);
    flz_hash_init(&b);
    flz_hash_add_piece(&b, "a", 1);
    flz_hash_add_piece(&b, "bc", 2);
    assert_false(flz_digest_equal(flz_hash_digest(&a), flz_hash_digest(&b)));
}

static void ids_have_one_text(void **state)
{
    struct flz_id id, back;
    for (int i = 0; i < 16; i++)
        id.b[i] = (uint8_t)(i * 17);
    assert_string_equal(flz_id_str(id), "00112233445566778899aabbccddeeff");
    assert_int_equal(flz_id_parse(flz_id_str(id), &back), 0);
    assert_true(flz_id_equal(id, back));
    assert_true(flz_id_is_null(FLZ_ID_NULL));
    assert_int_equal(flz_id_parse("00112233445566778899aabbccddee", &back), -EINVAL);
    assert_int_equal(flz_id_parse("00112233445566778899aabbccddeeff0", &back), -EINVAL);
    assert_int_equal(flz_id_parse("0011223344556677 899aabbccddeeff", &back), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_and_shrinks),
        cmocka_unit_test(a_refused_append_is_remembered),
        cmocka_unit_test(an_array_grows_or_stays),
        cmocka_unit_test(arena_memory_is_zero_aligned_and_apart),
        cmocka_unit_test(an_arena_copies_or_says_no),
        cmocka_unit_test(a_map_agrees_with_an_array),
        cmocka_unit_test(a_map_without_memory_is_unchanged),
        cmocka_unit_test(a_heap_gives_what_is_due_in_order),
        cmocka_unit_test(the_same_seed_draws_the_same),
        cmocka_unit_test(draws_are_even_and_within_bounds),
        cmocka_unit_test(digests_are_blake2b),
        cmocka_unit_test(ids_have_one_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
