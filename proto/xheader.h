/*
 * The header every network message carries:
 *
 *   X-FluenzR: v=1; net=<32 hex>; x=<32 hex>; n=<step>; t=<ms>; e=<ms>; m=<Message-ID>;
 *    k=<16 hex>; s=<86 base64url>
 *
 * network, exchange, step, time and expiry (network time, ms), the original Message-ID without
 * angle brackets (providers may rewrite the field of that name), the signing key's short name, and
 * the signature. Building and strict parsing of the text; keys and clocks stay outside.
 *
 * The signature is Ed25519 over BLAKE2b-256 (xheader_digest) of
 *
 *   "fluenzr/mail/v1" NUL  "v=1;net=…;x=…;n=…;t=…;e=…;m=…;k=…" NUL  from NUL  to NUL
 *
 * with the fields in that order, without white space, and the lower-case addr-specs of From and To.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stdint.h>

#define XHEADER_NAME "X-FluenzR"
#define XHEADER_MESSAGE_ID_MAX 320 /* bytes with the NUL */
#define XHEADER_VALUE_MAX 1024     /* a value, folds and the NUL included; more is refused */
#define XHEADER_SIGNED_MAX 1280    /* bytes that are signed */
#define XHEADER_STEP_MAX 4

struct xheader {
    struct flz_id network;
    struct flz_id exchange;
    uint32_t step; /* 0 = first message .. XHEADER_STEP_MAX */
    int64_t time_ms;
    int64_t expiry_ms; /* > time_ms */
    char message_id[XHEADER_MESSAGE_ID_MAX];
    struct flz_key_id key;
    struct flz_signature signature;
};

/* True for a Message-ID we are willing to write: printable ASCII, one "@" with something on both
 * sides, none of < > ( ) [ ] ; , " \ : and no space. */
bool xheader_message_id_is_valid(const char *message_id);

/*
 * Writes the bytes to be signed (all fields but the signature count). 0 (*ret_len says how many of
 * XHEADER_SIGNED_MAX), or -EINVAL when a field is out of its range.
 */
int xheader_signed_bytes(const struct xheader *header, const struct flz_address *from,
                         const struct flz_address *to, uint8_t ret_bytes[static XHEADER_SIGNED_MAX],
                         size_t *ret_len);

/* BLAKE2b-256 of those bytes: what is signed and verified. Same results. */
int xheader_digest(const struct xheader *header, const struct flz_address *from,
                   const struct flz_address *to, struct flz_digest *ret_digest);

/*
 * The header's value for a message, folded by LF + space so that no line is longer than 78 columns
 * with the field's name before the first; no LF at its end. 0 or -EINVAL (a field out of range).
 */
int xheader_format(const struct xheader *header, char ret_value[static XHEADER_VALUE_MAX]);

/*
 * Reads a value as found in a mailbox, folded anywhere or not; all spaces, tabs, CR and LF are
 * dropped first. Each key exactly once, in any order; an unknown version or key, an unwelcome
 * character, a number with leading zeros or out of range: -EINVAL. Says nothing about the
 * signature's validity. *ret_header is untouched on failure.
 */
int xheader_parse(struct flz_view value, struct xheader *ret_header);

/* Message-ID of a task: base32(BLAKE2b-160 keyed with `key`, over "fluenzr/mid/v1" ‖ task id) "@"
 * domain. `key` 16..64 bytes; `domain` is the sender's and has been checked (FLZ_DOMAIN_MAX). */
void xheader_message_id_of(struct flz_view key, struct flz_id task, const char *domain,
                   char ret_id[static XHEADER_MESSAGE_ID_MAX]);
