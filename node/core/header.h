/*
 * A message's header block as fetched: the fields we look at, unfolded and bounded. Reads bytes
 * written by strangers: never fails, at worst sees less.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stdint.h>

#define HEADER_MESSAGE_ID_MAX 320      /* bytes with the NUL; longer ones count as absent */
#define HEADER_SUBJECT_MAX 1024        /* unfolded, as written; longer ones are cut */
#define HEADER_X_MAX 1024              /* X-FluenzR; longer ones count as absent */
#define HEADER_AUTHENTICATION_MAX 1024 /* Authentication-Results; longer ones are cut */
#define HEADER_TOKEN_MAX 64
#define HEADER_TYPE_MAX 256 /* Content-Type */
#define HEADER_FIELDS_MAX 2000 /* later ones are not read */

/*
 * Where a field stands several times the first is taken, except that two X-FluenzR, From, To or
 * Message-ID fields are `doubled`: such a message is not one of ours.
 */
struct header {
    char message_id[HEADER_MESSAGE_ID_MAX];          /* without angle brackets; "" = none */
    char original_message_id[HEADER_MESSAGE_ID_MAX]; /* X-Microsoft-Original-Message-ID, likewise */
    char from[FLZ_ADDRESS_MAX]; /* the only address, or "" for none, several or a strange one */
    char to[FLZ_ADDRESS_MAX];
    char subject[HEADER_SUBJECT_MAX];
    bool has_date;
    int64_t date_ms;
    char auto_submitted[HEADER_TOKEN_MAX]; /* first word, lower case */
    char content_type[HEADER_TYPE_MAX]; /* as written; longer ones are cut */
    char in_reply_to[HEADER_MESSAGE_ID_MAX]; /* the first of them, likewise without brackets */
    /* The field that says that a machine wrote it (RFC 3834, and those before it), "Precedence:
     * auto_reply"; "" = none does. */
    char automatic[HEADER_TOKEN_MAX];
    char x_fluenzr[HEADER_X_MAX];
    char authentication[HEADER_AUTHENTICATION_MAX]; /* the topmost: the last server's own */
    bool doubled;
};

/* The names of these fields, as HEADER.FIELDS wants them. */
#define HEADER_FIELDS                                                                              \
    "Message-ID X-Microsoft-Original-Message-ID X-FluenzR From To Subject Date Auto-Submitted "    \
    "Authentication-Results"

/* Enough to recognise a message without reading more of a stranger's than that. */
#define HEADER_FIELDS_NARROW                                                                       \
    "Message-ID X-Microsoft-Original-Message-ID X-FluenzR From Subject Date"

/* What a report, or an automatic answer, is known by: all that is read of a stranger's mail. */
#define HEADER_FIELDS_REPORT                                                                       \
    "Content-Type In-Reply-To X-FluenzR Auto-Submitted Precedence X-Autoreply X-Autorespond"

/* Fills *ret_header from any bytes. */
void header_parse(struct flz_view block, struct header *ret_header);

/*
 * The next field of a block, with the lines it is folded over; lines that are none are passed over.
 * *block is moved behind it. False at the block's end, or at an empty line, which is consumed: what
 * *block holds then is the body. Name and value are views of the block, as they stand there.
 */
bool header_field_next(struct flz_view *block, struct flz_view *ret_name,
                       struct flz_view *ret_value);
bool header_name_is(struct flz_view name, const char *word);

/* A value without its folds and outer blanks, controls as spaces, cut to `size`. False: cut. */
bool header_unfold(struct flz_view value, char *ret_text, size_t size);

/*
 * By which subjects are compared: BLAKE2b-256 of the text with RFC 2047 words decoded (UTF-8,
 * US-ASCII, ISO-8859-1) and white space squeezed. For a plain UTF-8 subject and for the same one
 * encoded and folded by a mailer the digest is the same.
 */
struct flz_digest header_subject_digest(struct flz_view subject);

/* "Fri, 21 Nov 1997 09:55:06 -0600" (RFC 5322 3.3, obsolete zones too). 0 or -EINVAL. */
int header_parse_date(struct flz_view text, int64_t *ret_ms);

/* A Message-ID without its angle brackets and outer white space into `ret_id`; 0 or -EINVAL. */
int header_parse_message_id(struct flz_view text, char ret_id[static HEADER_MESSAGE_ID_MAX]);

/*
 * Verdicts of one Authentication-Results value (RFC 8601): bits HEADER_AUTH_*.
 */
enum header_auth {
    HEADER_AUTH_SPF_PASS = 1,
    HEADER_AUTH_SPF_FAIL = 2,
    HEADER_AUTH_DKIM_PASS = 4,
    HEADER_AUTH_DKIM_FAIL = 8,
    HEADER_AUTH_DMARC_PASS = 16,
    HEADER_AUTH_DMARC_FAIL = 32,
};
uint32_t header_authentication(const char *value);
