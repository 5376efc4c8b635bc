/* The tables of admin.proto; see codec_table.h. */
#include "proto/admin.pb-c.h"
#include "proto/codec_table.h"
#include "proto/envelope.h"
#include "proto/vocab.h"

#define ARGUMENTS_MAX 64

static const struct flz_field argument_fields[] = {
    TEXT(flz_argument, key), VIEW(flz_argument, value, FLZ_CODEC_VIEW_MAX)};
static const struct flz_codec codec_argument = {
    .descriptor = &flz__argument__descriptor,
    .fields = argument_fields,
    .fields_count = 2,
    .size = sizeof(struct flz_argument),
};

CODEC(admin_request, flz__admin_request, flz_admin_request,
      FIXED_REQUIRED(flz_admin_request, id), S64(flz_admin_request, sent),
      TEXT(flz_admin_request, verb),
      MESSAGES(flz_admin_request, arguments, ARGUMENTS_MAX, codec_argument),
      VIEW(flz_admin_request, body, FLZ_ADMIN_BODY_MAX),
      VIEW(flz_admin_request, certificate, FLZ_CODEC_VIEW_MAX));

CODEC(admin_reply, flz__admin_reply, flz_admin_reply,
      FIXED_REQUIRED(flz_admin_reply, id), U32(flz_admin_reply, exit_code),
      TEXT(flz_admin_reply, error), TEXT(flz_admin_reply, message), TEXT(flz_admin_reply, hint),
      VIEW(flz_admin_reply, json, FLZ_SIGNED_PAYLOAD_MAX));
