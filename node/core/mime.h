/*
 * The parts of a message, one level deep, as bytes: what reports are read by. Reads bytes written
 * by strangers: never fails, allocates nothing, at worst sees less. Views are borrowed from the
 * message.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define MIME_PARTS_MAX 16     /* later ones are not seen */
#define MIME_TYPE_MAX 64      /* bytes with the NUL; longer ones count as absent */
#define MIME_BOUNDARY_MAX 128 /* RFC 2046 says 70 */

enum mime_encoding { MIME_PLAIN, MIME_QUOTED_PRINTABLE, MIME_BASE64 };

struct mime_part {
    char type[MIME_TYPE_MAX]; /* "message/delivery-status", lower case; "" = none is told */
    enum mime_encoding encoding;
    struct flz_view header;
    struct flz_view body; /* still encoded */
};

struct mime {
    struct mime_part top;
    char report_type[MIME_TYPE_MAX]; /* "delivery-status", lower case; "" = none */
    struct mime_part parts[MIME_PARTS_MAX];
    size_t parts_count; /* 0: not a multipart */
};

void mime_split(struct flz_view message, struct mime *ret_mime);

/* The first part of that type, or NULL. */
const struct mime_part *mime_find(const struct mime *mime, const char *type);

/*
 * A Content-Type value's type and one of its parameters, both in lower case ("" = absent). True
 * when it is a type at all.
 */
bool mime_type(struct flz_view value, const char *parameter, char ret_type[static MIME_TYPE_MAX],
               char ret_value[static MIME_TYPE_MAX]);

/* The body without its encoding, at most size - 1 bytes and a NUL. Returns how many. */
size_t mime_decode(const struct mime_part *part, char *ret_text, size_t size);
