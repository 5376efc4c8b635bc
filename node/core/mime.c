#include "node/core/mime.h"

#include "common/base/text.h"
#include "node/core/base64.h"
#include "node/core/header.h"

#include <string.h>
#include <strings.h>

#define VALUE_MAX 1024 /* a Content-Type; the rest of a longer one is not read */

/* ---- Content-Type ---- */

/* The value of `name` behind a type (RFC 2045 5.1): a token or a quoted string. */
static void find_parameter(const char *p, const char *name, char *ret_value, size_t size)
{
    size_t name_len = strlen(name);
    ret_value[0] = '\0';
    for (p = strchr(p, ';'); p; p = strchr(p, ';')) {
        p += 1 + strspn(p + 1, " \t");
        size_t len = strcspn(p, " \t=;");
        bool wanted = len == name_len && strncasecmp(p, name, len) == 0;
        p += len;
        p += strspn(p, " \t");
        if (*p != '=')
            continue;
        p += 1 + strspn(p + 1, " \t");
        bool quoted = *p == '"';
        size_t n = 0;
        for (p += quoted; *p && (quoted ? *p != '"' : !strchr(" \t;(", *p)); p++) {
            p += quoted && *p == '\\' && p[1];
            if (n + 1 < size)
                ret_value[n] = *p;
            n++;
        }
        ret_value[wanted && n < size ? n : 0] = '\0';
        if (wanted)
            return;
    }
}

static bool take_type(const char *text, char ret_type[static MIME_TYPE_MAX])
{
    size_t n = strcspn(text, " \t;(");
    ret_type[0] = '\0';
    if (n == 0 || n >= MIME_TYPE_MAX || !memchr(text, '/', n))
        return false;
    memcpy(ret_type, text, n);
    ret_type[n] = '\0';
    flz_ascii_lower_str(ret_type);
    return true;
}

bool mime_type(struct flz_view value, const char *parameter, char ret_type[static MIME_TYPE_MAX],
               char ret_value[static MIME_TYPE_MAX])
{
    char text[VALUE_MAX];
    (void)header_unfold(value, text, sizeof text);
    find_parameter(text, parameter, ret_value, MIME_TYPE_MAX);
    flz_ascii_lower_str(ret_value);
    return take_type(text, ret_type);
}

/* ---- Parts ---- */

/* Reads a part's header; `ret_value`: its whole Content-Type, or "". */
static void read_part(struct flz_view bytes, struct mime_part *ret_part,
                      char ret_value[static VALUE_MAX])
{
    struct flz_view rest = bytes, name, value;
    char encoding[32] = "";
    *ret_part = (struct mime_part){.encoding = MIME_PLAIN};
    ret_value[0] = '\0';
    for (unsigned n = 0; n < HEADER_FIELDS_MAX && header_field_next(&rest, &name, &value); n++) {
        if (header_name_is(name, "Content-Type") && !ret_value[0])
            (void)header_unfold(value, ret_value, VALUE_MAX);
        else if (header_name_is(name, "Content-Transfer-Encoding") && !encoding[0])
            (void)header_unfold(value, encoding, sizeof encoding);
    }
    (void)take_type(ret_value, ret_part->type);
    if (flz_ascii_equal_nocase(encoding, "quoted-printable"))
        ret_part->encoding = MIME_QUOTED_PRINTABLE;
    else if (flz_ascii_equal_nocase(encoding, "base64"))
        ret_part->encoding = MIME_BASE64;
    ret_part->header = (struct flz_view){bytes.data, bytes.len - rest.len};
    ret_part->body = rest;
}

/* A line that begins with "--boundary" (RFC 2046 5.1.1). */
struct delimiter {
    size_t start; /* of the line end before it, which belongs to it */
    size_t end;   /* behind its own line end */
    bool last;
};

static bool find_delimiter(struct flz_view body, size_t from, const char *dashed,
                           struct delimiter *ret)
{
    size_t len = strlen(dashed);
    while (from < body.len) {
        const uint8_t *p = memmem(body.data + from, body.len - from, dashed, len);
        if (!p)
            return false;
        size_t at = (size_t)(p - body.data);
        from = at + 1;
        size_t behind = at + len;
        bool last = behind + 1 < body.len && p[len] == '-' && p[len + 1] == '-';
        if (at > 0 && p[-1] != '\n')
            continue;
        if (!last && behind < body.len && !strchr(" \t\r\n", p[len]))
            continue; /* a longer boundary that begins with ours */
        const uint8_t *lf = memchr(p, '\n', body.len - at);
        size_t start = at - (at > 0);
        start -= start > 0 && body.data[start - 1] == '\r';
        *ret = (struct delimiter){
            .start = start, .end = lf ? (size_t)(lf - body.data) + 1 : body.len, .last = last};
        return true;
    }
    return false;
}

static void split(struct mime *mime, const char *boundary)
{
    struct flz_view body = mime->top.body;
    char dashed[MIME_BOUNDARY_MAX + 2] = "--", value[VALUE_MAX];
    struct delimiter at, next;
    memcpy(dashed + 2, boundary, strlen(boundary) + 1);
    bool more = find_delimiter(body, 0, dashed, &at);
    while (more && !at.last && mime->parts_count < MIME_PARTS_MAX) {
        more = find_delimiter(body, at.end, dashed, &next);
        size_t end = more ? next.start : body.len; /* a part that was cut ends where we stop */
        if (end < at.end)
            end = at.end;
        read_part((struct flz_view){body.data + at.end, end - at.end},
                  &mime->parts[mime->parts_count++], value);
        at = next;
    }
}

void mime_split(struct flz_view message, struct mime *ret_mime)
{
    char value[VALUE_MAX], boundary[MIME_BOUNDARY_MAX];
    ret_mime->parts_count = 0;
    read_part(message, &ret_mime->top, value);
    find_parameter(value, "report-type", ret_mime->report_type, sizeof ret_mime->report_type);
    flz_ascii_lower_str(ret_mime->report_type);
    find_parameter(value, "boundary", boundary, sizeof boundary);
    if (boundary[0] && strncmp(ret_mime->top.type, "multipart/", 10) == 0)
        split(ret_mime, boundary);
}

const struct mime_part *mime_find(const struct mime *mime, const char *type)
{
    for (size_t i = 0; i < mime->parts_count; i++)
        if (strcmp(mime->parts[i].type, type) == 0)
            return &mime->parts[i];
    return NULL;
}

/* ---- Encodings ---- */

/* RFC 2045 6.7; what is no escape stands for itself. */
static size_t decode_quoted(struct flz_view text, char *ret_text, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < size; i++) {
        uint8_t c = text.data[i];
        size_t left = text.len - i - 1;
        const uint8_t *p = text.data + i + 1;
        if (c == '=' && left >= 1 && p[0] == '\n') {
            i += 1;
            continue;
        }
        if (c == '=' && left >= 2 && p[0] == '\r' && p[1] == '\n') {
            i += 2;
            continue;
        }
        if (c == '=' && left >= 2 && flz_hex_decode((const char *)p, 2, &c) == 0)
            i += 2;
        ret_text[len++] = (char)c;
    }
    return len;
}

/* RFC 2045 6.8, four characters at a time; white space is passed over, anything else ends it. */
static size_t decode_base64(struct flz_view text, char *ret_text, size_t size)
{
    uint8_t four[4], three[6];
    size_t len = 0, n = 0, got;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \t\r\n", text.data[i]) && text.data[i])
            continue;
        four[n++] = text.data[i];
        if (n < 4)
            continue;
        n = 0;
        if (base64_decode((struct flz_view){four, 4}, three, &got) < 0 || len + got + 1 > size)
            break;
        memcpy(ret_text + len, three, got);
        len += got;
    }
    return len;
}

size_t mime_decode(const struct mime_part *part, char *ret_text, size_t size)
{
    struct flz_view body = part->body;
    size_t len = body.len < size - 1 ? body.len : size - 1;
    switch (part->encoding) {
    case MIME_QUOTED_PRINTABLE: len = decode_quoted(body, ret_text, size); break;
    case MIME_BASE64: len = decode_base64(body, ret_text, size); break;
    case MIME_PLAIN:
        if (len > 0)
            memcpy(ret_text, body.data, len);
        break;
    }
    ret_text[len] = '\0';
    return len;
}
