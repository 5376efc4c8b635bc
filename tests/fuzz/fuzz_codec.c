/*
 * Bytes that others send, and bytes of the log and store: the first byte chooses the reader. What
 * decodes must encode again and decode to the same bytes.
 */
#include "common/base/cleanup.h"
#include "proto/codec.h"
#include "proto/envelope.h"
#include "proto/record.h"
#include "proto/tables_record.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct flz_codec *const codecs[] = {
    &flz_codec_certificate, &flz_codec_invite,        &flz_codec_node_certificate,
    &flz_codec_attestation, &flz_codec_hello,         &flz_codec_welcome,
    &flz_codec_heartbeat,   &flz_codec_pulse,         &flz_codec_tasks,
    &flz_codec_reports,     &flz_codec_ack,           &flz_codec_join,
    &flz_codec_joined,      &flz_codec_admin_request, &flz_codec_admin_reply,
    &flz_codec_revocation,  &flz_codec_revocations, &flz_codec_log_head,
    &flz_codec_voucher,
};
#define CODECS (sizeof codecs / sizeof *codecs)

static void must(int r)
{
    if (r < 0)
        abort();
}

static void read_message(const struct flz_codec *codec, struct flz_view bytes)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf first = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf second = FLZ_BUF_NULL;
    void *object = flz_arena_alloc(&arena, flz_codec_size(codec));
    if (!object || flz_decode(codec, bytes, &arena, object) < 0)
        return;
    must(flz_encode(codec, object, &first));
    must(flz_decode(codec, flz_buf_view(&first), &arena, object));
    must(flz_encode(codec, object, &second));
    if (!flz_view_equal(flz_buf_view(&first), flz_buf_view(&second)))
        abort();
}

static void read_event(struct flz_view bytes)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct event event;
    if (flz_decode_event(bytes, &arena, &event) < 0)
        return;
    must(flz_encode_event(&event, &buf));
    must(flz_decode_event(flz_buf_view(&buf), &arena, &event));
}

static void read_row(enum row_kind kind, struct flz_view bytes)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    union row row;
    if (flz_decode_row(kind, bytes, &arena, &row) < 0)
        return;
    flz_row_key(kind, &row, &buf);
    flz_buf_reset(&buf);
    must(flz_encode_row(kind, &row, &buf));
    must(flz_decode_row(kind, flz_buf_view(&buf), &arena, &row));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct flz_view bytes = {.data = data + 1, .len = size - 1};
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    if (data[0] == 0)
        (void)flz_open_signed(bytes, &arena, &message);
    else if (data[0] == 1)
        read_event(bytes);
    else if (data[0] < 2 + ROW_KIND_MAX)
        read_row(data[0] - 1, bytes);
    else if (data[0] >= 32)
        read_message(codecs[(size_t)(data[0] - 32) % CODECS], bytes);
    return 0;
}
