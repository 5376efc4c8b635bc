/*
 * The codec: vocabulary structs to protobuf bytes and back, driven by one table per message. A
 * table's row i describes field number i + 1 of its .proto message (a unit test holds names,
 * numbers and types of both against each other), so a field is added in three places: .proto,
 * struct, row.
 *
 * Encoding leaves out what is zero or empty: equal structs give equal bytes. Decoding refuses what
 * breaks a bound (a text too long or with a NUL, bytes of a wrong length, too many items, a missing
 * required field) with -EBADMSG, and ignores fields it does not know.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define FLZ_CODEC_VIEW_MAX (64 * 1024) /* one item of a repeated bytes field */

struct flz_codec; /* one message's table */

/* ---- Messages of the network (structs of proto/vocab.h) ---- */
extern const struct flz_codec flz_codec_signed; /* struct flz_signed of proto/envelope.h */
extern const struct flz_codec flz_codec_certificate;
extern const struct flz_codec flz_codec_invite;
extern const struct flz_codec flz_codec_node_certificate;
extern const struct flz_codec flz_codec_attestation;
extern const struct flz_codec flz_codec_revocation;
extern const struct flz_codec flz_codec_log_head;
extern const struct flz_codec flz_codec_task;
extern const struct flz_codec flz_codec_receipt;
extern const struct flz_codec flz_codec_days_off;
extern const struct flz_codec flz_codec_account;
extern const struct flz_codec flz_codec_probe;
extern const struct flz_codec flz_codec_notice;
extern const struct flz_codec flz_codec_report;
extern const struct flz_codec flz_codec_hello;
extern const struct flz_codec flz_codec_welcome;
extern const struct flz_codec flz_codec_heartbeat;
extern const struct flz_codec flz_codec_pulse;
extern const struct flz_codec flz_codec_revocations;
extern const struct flz_codec flz_codec_tasks;
extern const struct flz_codec flz_codec_reports;
extern const struct flz_codec flz_codec_ack;
extern const struct flz_codec flz_codec_join_token;
extern const struct flz_codec flz_codec_join;
extern const struct flz_codec flz_codec_joined;
extern const struct flz_codec flz_codec_admin_request;
extern const struct flz_codec flz_codec_admin_reply;

/* Appends the encoding of `object` (the codec's struct). 0, -ENOMEM, or -EINVAL when a field breaks
 * its own bound (a count above its maximum, a text without an end). */
int flz_encode(const struct flz_codec *codec, const void *object, struct flz_buf *buf);

/*
 * Decodes `bytes` into `ret_object` (the codec's struct, written whole). Arrays and views go to
 * `arena` and live as long as it. 0, -EBADMSG or -ENOMEM; on failure *ret_object is unchanged.
 */
int flz_decode(const struct flz_codec *codec, struct flz_view bytes, struct flz_arena *arena,
               void *ret_object);

/* The size of the codec's struct. */
size_t flz_codec_size(const struct flz_codec *codec);
