/*
 * Every table against its .proto message, every message, event and row there and back and against
 * its golden bytes, and hostile bytes. After a deliberate change of format run once with
 * FLZ_GOLDEN_WRITE=1 and look at the difference.
 */
#include "proto/codec.h"

#include "common/base/cleanup.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "proto/codec_table.h"
#include "proto/envelope.h"
#include "proto/journal.h"
#include "proto/record.h"
#include "proto/tables_record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/data/golden/"

static const struct flz_codec *const messages[] = {
    &flz_codec_signed,      &flz_codec_certificate,
    &flz_codec_invite,      &flz_codec_node_certificate,
    &flz_codec_attestation, &flz_codec_task,
    &flz_codec_receipt,     &flz_codec_account,
    &flz_codec_probe,       &flz_codec_report,
    &flz_codec_hello,       &flz_codec_welcome,
    &flz_codec_heartbeat,   &flz_codec_pulse,
    &flz_codec_tasks,       &flz_codec_reports,
    &flz_codec_ack,         &flz_codec_join,
    &flz_codec_joined,      &flz_codec_admin_request,
    &flz_codec_admin_reply, &flz_codec_job,
    &flz_codec_member,      &flz_codec_day_count,
    &flz_codec_event_shell, &flz_codec_row_shell,
    &flz_codec_revocation,  &flz_codec_revocations,
    &flz_codec_log_head,    &flz_codec_voucher,
    &flz_codec_notice,
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Tables against descriptors ---- */

static ProtobufCType type_of(enum flz_field_kind kind, ProtobufCType said)
{
    switch (kind) {
    case FIELD_U32: return PROTOBUF_C_TYPE_UINT32;
    case FIELD_U64: return PROTOBUF_C_TYPE_UINT64;
    case FIELD_S32: return PROTOBUF_C_TYPE_SINT32;
    /* Times are never negative and stay int64; differences may be and are sint64. */
    case FIELD_S64:
        return said == PROTOBUF_C_TYPE_SINT64 ? PROTOBUF_C_TYPE_SINT64 : PROTOBUF_C_TYPE_INT64;
    case FIELD_BOOL: return PROTOBUF_C_TYPE_BOOL;
    case FIELD_TEXT: return PROTOBUF_C_TYPE_STRING;
    case FIELD_FIXED:
    case FIELD_VIEW:
    case FIELD_FIXEDS:
    case FIELD_VIEWS: return PROTOBUF_C_TYPE_BYTES;
    case FIELD_MESSAGE:
    case FIELD_MESSAGES: return PROTOBUF_C_TYPE_MESSAGE;
    }
    return PROTOBUF_C_TYPE_ENUM;
}

static bool repeats(enum flz_field_kind kind)
{
    return kind == FIELD_MESSAGES || kind == FIELD_FIXEDS || kind == FIELD_VIEWS;
}

static void check_table(const struct flz_codec *codec)
{
    const ProtobufCMessageDescriptor *d = codec->descriptor;
    if (codec->fields_count != d->n_fields)
        fail_msg("%s: %zu rows, %u fields", d->name, codec->fields_count, d->n_fields);
    for (size_t i = 0; i < codec->fields_count; i++) {
        const struct flz_field *row = &codec->fields[i];
        const ProtobufCFieldDescriptor *field = &d->fields[i];
        if (strcmp(row->name, field->name) != 0 || field->id != i + 1)
            fail_msg("%s: row %zu is %s, field %u is %s", d->name, i, row->name, field->id,
                     field->name);
        if (field->type != type_of(row->kind, field->type))
            fail_msg("%s.%s: another type", d->name, row->name);
        if ((field->label == PROTOBUF_C_LABEL_REPEATED) != repeats(row->kind))
            fail_msg("%s.%s: another label", d->name, row->name);
        if (row->offset >= codec->size ||
            (!row->bound && row->kind >= FIELD_FIXED && row->kind != FIELD_MESSAGE))
            fail_msg("%s.%s: no bound", d->name, row->name);
        if (row->nested) {
            if (row->nested->descriptor != field->descriptor)
                fail_msg("%s.%s: another message", d->name, row->name);
            check_table(row->nested);
        }
    }
}

static void tables_match_their_messages(void **state)
{
    for (size_t i = 0; i < COUNT(messages); i++)
        check_table(messages[i]);
    for (uint32_t type = 1; type <= EVENT_TYPE_MAX; type++)
        if (flz_event_codec(type))
            check_table(flz_event_codec(type));
    for (uint32_t kind = 1; kind <= ROW_KIND_MAX; kind++)
        check_table(flz_row_codec(kind));
    assert_null(flz_event_codec(0));
    assert_null(flz_event_codec(EVENT_TYPE_MAX + 1));
    assert_null(flz_row_codec(ROW_KIND_MAX + 1));
}

/* ---- Filling a struct by its table ---- */

struct filler {
    struct flz_arena arena;
    uint32_t n; /* grows with each field, so that no two hold the same */
};

static void *room(struct filler *f, size_t n)
{
    void *p = flz_arena_alloc(&f->arena, n);
    assert_non_null(p);
    return p;
}

static void fill(struct filler *f, const struct flz_codec *codec, uint8_t *object);

static struct flz_view fill_view(struct filler *f)
{
    uint8_t *p = room(f, 5);
    memset(p, (int)(++f->n & 0xff), 5);
    return (struct flz_view){.data = p, .len = 5};
}

static void fill_items(struct filler *f, const struct flz_field *row, uint8_t *object)
{
    size_t count = 2;
    size_t size = row->kind == FIELD_MESSAGES ? row->nested->size
                  : row->kind == FIELD_VIEWS  ? sizeof(struct flz_view)
                                              : row->item_size;
    uint8_t *items = room(f, count * size);
    for (size_t i = 0; i < count; i++) {
        if (row->kind == FIELD_MESSAGES)
            fill(f, row->nested, items + i * size);
        else if (row->kind == FIELD_VIEWS)
            ((struct flz_view *)(void *)items)[i] = fill_view(f);
        else
            memset(items + i * size, (int)(++f->n & 0xff), size);
    }
    memcpy(object + row->offset, &items, sizeof items);
    memcpy(object + row->count_offset, &count, sizeof count);
}

static void fill_field(struct filler *f, const struct flz_field *row, uint8_t *object)
{
    uint8_t *at = object + row->offset;
    uint32_t n = ++f->n;
    switch (row->kind) {
    case FIELD_U32: *(uint32_t *)(void *)at = n * 1000; break;
    case FIELD_U64: *(uint64_t *)(void *)at = (uint64_t)n << 40; break;
    case FIELD_S32: *(int32_t *)(void *)at = -(int32_t)n; break;
    case FIELD_S64: *(int64_t *)(void *)at = INT64_C(1790000000000) + n; break;
    case FIELD_BOOL: *(bool *)at = true; break;
    case FIELD_FIXED: memset(at, (int)(n & 0xff) | 1, row->bound); break;
    case FIELD_TEXT: (void)snprintf((char *)at, row->bound, "t%u", n); break;
    case FIELD_VIEW: *(struct flz_view *)(void *)at = fill_view(f); break;
    case FIELD_MESSAGE: fill(f, row->nested, at); break;
    case FIELD_MESSAGES:
    case FIELD_FIXEDS:
    case FIELD_VIEWS: fill_items(f, row, object); break;
    }
}

static void fill(struct filler *f, const struct flz_codec *codec, uint8_t *object)
{
    for (size_t i = 0; i < codec->fields_count; i++)
        fill_field(f, &codec->fields[i], object);
}

/* ---- Golden bytes ---- */

static void write_golden(const char *path, const char *hex)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "%s\n", hex);
    assert_int_equal(fclose(file), 0);
}

static void check_golden(const char *kind, const char *name, struct flz_view bytes)
{
    char path[256];
    (void)snprintf(path, sizeof path, GOLDEN "%s-%s.hex", kind, name);
    char *hex = calloc(1, bytes.len * 2 + 2);
    char *line = calloc(1, bytes.len * 2 + 4);
    assert_true(hex && line);
    flz_hex_encode(bytes.data, bytes.len, hex);
    if (getenv("FLZ_GOLDEN_WRITE"))
        write_golden(path, hex);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing", path);
    assert_non_null(fgets(line, (int)(bytes.len * 2 + 4), file));
    assert_int_equal(fclose(file), 0);
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, hex) != 0)
        fail_msg("%s: the bytes are others now:\n%s\n%s", path, line, hex);
    free(hex);
    free(line);
}

/* There and back: the second encoding gives the first one's bytes. */
static void round_trip(const struct flz_codec *codec, const void *object, struct flz_buf *bytes)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf again = FLZ_BUF_NULL;
    _cleanup_(flz_freep) void *back = calloc(1, codec->size);
    assert_int_equal(flz_encode(codec, object, bytes), 0);
    assert_int_equal(flz_decode(codec, flz_buf_view(bytes), &arena, back), 0);
    assert_int_equal(flz_encode(codec, back, &again), 0);
    assert_true(flz_view_equal(flz_buf_view(bytes), flz_buf_view(&again)));
}

static void messages_keep_their_bytes(void **state)
{
    for (size_t i = 0; i < COUNT(messages); i++) {
        struct filler f = {.arena = FLZ_ARENA_NULL};
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        void *object = room(&f, messages[i]->size);
        fill(&f, messages[i], object);
        round_trip(messages[i], object, &bytes);
        check_golden("message", messages[i]->descriptor->short_name, flz_buf_view(&bytes));
        flz_arena_deinit(&f.arena);
    }
}

static void events_keep_their_bytes(void **state)
{
    for (uint32_t type = 1; type <= EVENT_TYPE_MAX; type++) {
        if (!flz_event_codec(type))
            continue; /* a number that was never given */
        struct filler f = {.arena = FLZ_ARENA_NULL};
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf again = FLZ_BUF_NULL;
        struct event event = {.type = type, .at = 1790000000000, .report_node = 3, .report_seq = 9};
        fill(&f, flz_event_codec(type), (uint8_t *)&event.lead);
        assert_int_equal(flz_encode_event(&event, &bytes), 0);
        struct event back;
        assert_int_equal(flz_decode_event(flz_buf_view(&bytes), &arena, &back), 0);
        assert_int_equal(flz_encode_event(&back, &again), 0);
        assert_true(flz_view_equal(flz_buf_view(&bytes), flz_buf_view(&again)));
        assert_string_not_equal(flz_event_name(type), "?");
        check_golden("event", flz_event_name(type), flz_buf_view(&bytes));
        flz_arena_deinit(&f.arena);
    }
}

static void rows_keep_their_bytes(void **state)
{
    for (uint32_t kind = 1; kind <= ROW_KIND_MAX; kind++) {
        struct filler f = {.arena = FLZ_ARENA_NULL};
        _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf again = FLZ_BUF_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf key = FLZ_BUF_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf key_again = FLZ_BUF_NULL;
        union row row = {.network = {.epoch = 0}};
        memset(&row, 0, sizeof row);
        fill(&f, flz_row_codec(kind), (uint8_t *)&row);
        assert_int_equal(flz_encode_row(kind, &row, &bytes), 0);
        union row back;
        assert_int_equal(flz_decode_row(kind, flz_buf_view(&bytes), &arena, &back), 0);
        assert_int_equal(flz_encode_row(kind, &back, &again), 0);
        assert_true(flz_view_equal(flz_buf_view(&bytes), flz_buf_view(&again)));
        flz_row_key(kind, &row, &key);
        flz_row_key(kind, &back, &key_again);
        assert_true(flz_view_equal(flz_buf_view(&key), flz_buf_view(&key_again)));
        char name[32];
        (void)snprintf(name, sizeof name, "%02u-%s", kind,
                       flz_row_codec(kind)->descriptor->short_name);
        check_golden("row", name, flz_buf_view(&bytes));
        flz_arena_deinit(&f.arena);
    }
}

static void a_zero_struct_with_no_required_fields_is_no_bytes(void **state)
{
    struct row_day day = {.account = 0};
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    assert_int_equal(flz_encode(flz_row_codec(ROW_DAY), &day, &bytes), 0);
    assert_int_equal(bytes.len, 0);
}

static void keys_sort_as_handles_and_dates_do(void **state)
{
    const struct row_day days[] = {
        {.account = 1, .date = -2}, {.account = 1, .date = -1},   {.account = 1, .date = 0},
        {.account = 1, .date = 1},  {.account = 256, .date = -9}, {.account = UINT32_MAX},
    };
    for (size_t i = 1; i < COUNT(days); i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf a = FLZ_BUF_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf b = FLZ_BUF_NULL;
        flz_row_key(ROW_DAY, &days[i - 1], &a);
        flz_row_key(ROW_DAY, &days[i], &b);
        assert_int_equal(a.len, b.len);
        assert_true(memcmp(a.data, b.data, a.len) < 0);
    }
}

/* ---- Hostile bytes ---- */

static int decode(const struct flz_codec *codec, const void *bytes, size_t len)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    _cleanup_(flz_freep) void *object = malloc(codec->size);
    assert_non_null(object);
    memset(object, 0x5a, codec->size);
    int r = flz_decode(codec, (struct flz_view){.data = bytes, .len = len}, &arena, object);
    for (size_t i = 0; r < 0 && i < codec->size; i++)
        assert_int_equal(((uint8_t *)object)[i], 0x5a); /* unchanged on failure */
    return r;
}

static void broken_bytes_never_hurt(void **state)
{
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("hostile"), 1);
    for (size_t i = 0; i < COUNT(messages); i++) {
        struct filler f = {.arena = FLZ_ARENA_NULL};
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        void *object = room(&f, messages[i]->size);
        fill(&f, messages[i], object);
        assert_int_equal(flz_encode(messages[i], object, &bytes), 0);
        flz_arena_deinit(&f.arena);
        for (size_t len = 0; len < bytes.len; len++)
            (void)decode(messages[i], bytes.data, len);
        for (int n = 0; n < 500; n++) {
            size_t at = flz_rng_below(&rng, bytes.len);
            uint8_t old = bytes.data[at];
            bytes.data[at] = (uint8_t)flz_rng_next(&rng);
            (void)decode(messages[i], bytes.data, bytes.len);
            bytes.data[at] = old;
        }
    }
}

static void bounds_are_kept_when_decoding(void **state)
{
    /* Heartbeat: header (1) must be there. */
    assert_int_equal(decode(&flz_codec_heartbeat, "\x10\x05", 2), -EBADMSG);
    /* Invite: network (1) of 15 bytes. */
    uint8_t bytes[400] = {0x0a, 15};
    assert_int_equal(decode(&flz_codec_invite, bytes, 17), -EBADMSG);
    /* Join: version (2) of 64 letters: one too many with its end; 63 will do. */
    memset(bytes, 'v', sizeof bytes);
    bytes[0] = 0x12;
    bytes[1] = 64;
    assert_int_equal(decode(&flz_codec_join, bytes, 66), -EBADMSG);
    bytes[1] = 63;
    assert_int_equal(decode(&flz_codec_join, bytes, 65), 0);
    /* A length that runs past the end, and one of 2 GiB. */
    assert_int_equal(decode(&flz_codec_join, "\x12\x05v", 3), -EBADMSG);
    assert_int_equal(decode(&flz_codec_join, "\x12\xff\xff\xff\xff\x07v", 7), -EBADMSG);
    /* Unknown fields are passed over. */
    assert_int_equal(decode(&flz_codec_join, "\xa2\x06\x01x", 4), 0);
}

/* A text is what all its octets say: none is read as a shorter one. */
static void a_text_with_a_nul_is_refused(void **state)
{
    assert_int_equal(decode(&flz_codec_join, "\x12\x03" "a\0b", 5), -EBADMSG);
    assert_int_equal(decode(&flz_codec_join, "\x12\x02" "a\0", 4), -EBADMSG);
    assert_int_equal(decode(&flz_codec_join, "\x12\x01\0", 3), -EBADMSG);
    assert_int_equal(decode(&flz_codec_join, "\x12\x00", 2), 0);
    assert_int_equal(decode(&flz_codec_join, "\x12\x03" "a b", 5), 0);
    /* Said twice, the last word counts, and is measured. */
    assert_int_equal(decode(&flz_codec_join, "\x12\x03" "a b" "\x12\x03" "a\0b", 10), -EBADMSG);
}

static void too_many_items_are_refused(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    for (int i = 0; i <= FLZ_PACKS_MAX; i++) {
        flz_buf_add(&bytes, "\x2a\x20", 2); /* event_hello.packs */
        flz_buf_add(&bytes, "01234567890123456789012345678901", 32);
    }
    const struct flz_codec *codec = flz_event_codec(EVENT_HELLO);
    assert_int_equal(decode(codec, bytes.data, bytes.len), -EBADMSG);
    assert_int_equal(decode(codec, bytes.data, bytes.len - 34), 0);
}

static void bounds_are_kept_when_encoding(void **state)
{
    struct flz_joined joined = {.accepted = true, .issuers_count = 1000};
    struct flz_view view = FLZ_VIEW_NULL;
    joined.issuers = &view;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    assert_int_equal(flz_encode(&flz_codec_joined, &joined, &bytes), -EINVAL);
    joined.issuers_count = 0;
    memset(joined.text, 'x', sizeof joined.text);
    assert_int_equal(flz_encode(&flz_codec_joined, &joined, &bytes), -EINVAL);
}

static void an_unknown_record_is_refused_by_name(void **state)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event event = {.type = 4711};
    union row row;
    /* type 127, version 1; type 1, version 2; row kind 127; another kind than asked for */
    assert_int_equal(
        flz_decode_event((struct flz_view){(const uint8_t *)"\x08\x7f\x10\x01", 4}, &arena, &event),
        -EPROTO);
    assert_int_equal(
        flz_decode_event((struct flz_view){(const uint8_t *)"\x08\x01\x10\x02", 4}, &arena, &event),
        -EPROTO);
    assert_int_equal(event.type, 4711);
    assert_int_equal(flz_decode_row(ROW_NODE,
                                    (struct flz_view){(const uint8_t *)"\x08\x7f\x10\x01", 4},
                                    &arena, &row),
                     -EPROTO);
    assert_int_equal(flz_decode_row(ROW_NODE,
                                    (struct flz_view){(const uint8_t *)"\x08\x06\x10\x01", 4},
                                    &arena, &row),
                     -EPROTO);
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    assert_int_equal(flz_encode_event(&event, &bytes), -EINVAL);
    assert_string_equal(flz_event_name(4711), "?");
    assert_string_equal(flz_void_name(4711), "?");
    assert_string_equal(flz_fault_name(4711), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_match_their_messages),
        cmocka_unit_test(messages_keep_their_bytes),
        cmocka_unit_test(events_keep_their_bytes),
        cmocka_unit_test(rows_keep_their_bytes),
        cmocka_unit_test(a_zero_struct_with_no_required_fields_is_no_bytes),
        cmocka_unit_test(keys_sort_as_handles_and_dates_do),
        cmocka_unit_test(broken_bytes_never_hurt),
        cmocka_unit_test(bounds_are_kept_when_decoding),
        cmocka_unit_test(a_text_with_a_nul_is_refused),
        cmocka_unit_test(too_many_items_are_refused),
        cmocka_unit_test(bounds_are_kept_when_encoding),
        cmocka_unit_test(an_unknown_record_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
