#include "node/core/header.h"

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "node/core/base64.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A bounded text being gathered. */
struct field {
    char *text;
    size_t size;
    size_t len;
    bool cut;
};

static void field_add(struct field *field, char c)
{
    if (field->len + 1 < field->size)
        field->text[field->len++] = c;
    else
        field->cut = true;
    field->text[field->len] = '\0';
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct flz_view trim(struct flz_view text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Unfolds: line ends go, other controls become spaces. */
bool header_unfold(struct flz_view value, char *ret_text, size_t size)
{
    struct field field = {.text = ret_text, .size = size};
    ret_text[0] = '\0';
    value = trim(value);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c != '\r' && c != '\n')
            field_add(&field, c < ' ' || c == 0x7f ? ' ' : (char)c);
    }
    return !field.cut;
}

int header_parse_message_id(struct flz_view text, char ret_id[static HEADER_MESSAGE_ID_MAX])
{
    text = trim(text);
    if (text.len >= 2 && text.data[0] == '<' && text.data[text.len - 1] == '>') {
        text.data++;
        text.len -= 2;
    }
    if (text.len == 0 || text.len >= HEADER_MESSAGE_ID_MAX)
        return flz_fail(-EINVAL);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || strchr("<>\"\\", text.data[i]))
            return flz_fail(-EINVAL);
    memcpy(ret_id, text.data, text.len);
    ret_id[text.len] = '\0';
    return 0;
}

/* ---- Addresses: the one mailbox of From or To ---- */

/* Where a scan of an address list stands (RFC 5322 3.4, comments and quoted strings included). */
struct scan {
    struct flz_view text;
    size_t i;
};

/* Passes over what cannot be part of an addr-spec. False when something never closes. */
static bool skip_quoted(struct scan *scan)
{
    for (scan->i++; scan->i < scan->text.len; scan->i++) {
        if (scan->text.data[scan->i] == '\\')
            scan->i++;
        else if (scan->text.data[scan->i] == '"')
            return true;
    }
    return false;
}

static bool skip_comment(struct scan *scan)
{
    unsigned depth = 0;
    for (; scan->i < scan->text.len; scan->i++) {
        uint8_t c = scan->text.data[scan->i];
        if (c == '\\')
            scan->i++;
        else if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            return true;
    }
    return false;
}

/*
 * One address: "Name <a@b>", "a@b", "a@b (Name)". More than one, or a group, is none of ours. The
 * text in angle brackets counts, else all the text outside quotes and comments.
 */
static bool one_address(struct flz_view value, char ret_text[static FLZ_ADDRESS_MAX])
{
    char bare[FLZ_ADDRESS_MAX] = "", angled[FLZ_ADDRESS_MAX] = "";
    struct field out_bare = {.text = bare, .size = sizeof bare};
    struct field out_angled = {.text = angled, .size = sizeof angled};
    bool inside = false, has_angled = false;
    for (struct scan scan = {.text = value}; scan.i < value.len; scan.i++) {
        uint8_t c = value.data[scan.i];
        if ((c == '"' && !skip_quoted(&scan)) || (c == '(' && !skip_comment(&scan)))
            return false;
        if (c == '"' || c == '(' || is_blank(c))
            continue;
        if (c == ',' || c == ';' || c == '\0' || (c == '<' && has_angled) || (c == '>' && !inside))
            return false;
        if (c == '<')
            has_angled = inside = true;
        else if (c == '>')
            inside = false;
        else
            field_add(inside ? &out_angled : &out_bare, (char)c);
    }
    struct flz_address address;
    const struct field *chosen = has_angled ? &out_angled : &out_bare;
    if (inside || chosen->cut || flz_address_parse(chosen->text, &address) < 0)
        return false;
    memcpy(ret_text, address.text, sizeof address.text);
    return true;
}

/* ---- Dates ---- */

struct zone {
    const char *name;
    int minutes;
};

/* RFC 5322 4.3; unknown words count as UTC, as it says. */
static int zone_minutes(const char *word)
{
    static const struct zone zones[] = {{"EST", -300}, {"EDT", -240}, {"CST", -360}, {"CDT", -300},
                                        {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420}};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (strcasecmp(zones[i].name, word) == 0)
            return zones[i].minutes;
    int n;
    if ((word[0] == '+' || word[0] == '-') && strlen(word) == 5 &&
        strspn(word + 1, "0123456789") == 4 && sscanf(word + 1, "%4d", &n) == 1)
        return (word[0] == '-' ? -1 : 1) * (n / 100 * 60 + n % 100);
    return 0;
}

static int month_of(const char *word)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; i < 12; i++)
        if (strncasecmp(months + 3 * i, word, 3) == 0)
            return i + 1;
    return 0;
}

int header_parse_date(struct flz_view text, int64_t *ret_ms)
{
    char copy[128], month[4] = "", zone[8] = "";
    int day, year, hour, minute, second = 0;
    (void)header_unfold(text, copy, sizeof copy);
    const char *p = strchr(copy, ',') ? strchr(copy, ',') + 1 : copy;
    if (sscanf(p, " %2d %3[A-Za-z] %4d %2d:%2d:%2d %7s", &day, month, &year, &hour, &minute,
               &second, zone) < 6) {
        second = 0;
        if (sscanf(p, " %2d %3[A-Za-z] %4d %2d:%2d %7s", &day, month, &year, &hour, &minute, zone) <
            5)
            return flz_fail(-EINVAL);
    }
    if (year >= 0 && year < 50) /* RFC 5322 4.3: two and three digits */
        year += 2000;
    else if (year >= 50 && year < 1000)
        year += 1900;
    int m = strlen(month) == 3 ? month_of(month) : 0;
    if (m == 0 || day < 1 || day > 31 || year < 1970 || year > 9999 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return flz_fail(-EINVAL);
    *ret_ms = flz_date_of_civil(year, m, day) * FLZ_DAY_MS + hour * FLZ_HOUR_MS +
              (minute - zone_minutes(zone)) * FLZ_MINUTE_MS + second * FLZ_SECOND_MS;
    return 0;
}

/* ---- Subjects ---- */

static void add_utf8(struct flz_buf *out, const char *charset, const uint8_t *data, size_t n)
{
    bool latin = strcasecmp(charset, "iso-8859-1") == 0;
    for (size_t i = 0; i < n; i++) {
        if (latin && data[i] >= 0x80) {
            flz_buf_add_byte(out, (uint8_t)(0xc0 | data[i] >> 6));
            flz_buf_add_byte(out, 0x80 | (data[i] & 0x3f));
        } else {
            flz_buf_add_byte(out, data[i]);
        }
    }
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The Q encoding (RFC 2047 4.2); returns how many bytes the text stands for. */
static size_t decode_q(struct flz_view text, uint8_t *ret_data)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '=' && i + 2 < text.len && hex_digit(text.data[i + 1]) >= 0 &&
            hex_digit(text.data[i + 2]) >= 0) {
            c = (uint8_t)(hex_digit(text.data[i + 1]) << 4 | hex_digit(text.data[i + 2]));
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        ret_data[len++] = c;
    }
    return len;
}

/* Takes the part before `c` out of *text. */
static bool take_until(struct flz_view *text, char c, struct flz_view *ret_part)
{
    const uint8_t *end = text->len ? memchr(text->data, c, text->len) : NULL;
    if (!end)
        return false;
    *ret_part = (struct flz_view){text->data, (size_t)(end - text->data)};
    text->len -= ret_part->len + 1;
    text->data = end + 1;
    return true;
}

#define WORD_MAX 512 /* RFC 2047 says 75; be lenient */

/*
 * An encoded word "=?charset?B?text?=" at the start of `text`: appends its bytes as UTF-8 and
 * returns its length, or 0 when it is none that we read.
 */
static size_t decode_word(struct flz_view text, struct flz_buf *out)
{
    struct flz_view rest = text, charset, encoding, body;
    uint8_t data[WORD_MAX];
    char name[24];
    size_t n;
    if (text.len < 2 || text.data[0] != '=' || text.data[1] != '?')
        return 0;
    rest.data += 2;
    rest.len -= 2;
    if (!take_until(&rest, '?', &charset) || !take_until(&rest, '?', &encoding) ||
        !take_until(&rest, '?', &body) || rest.len == 0 || rest.data[0] != '=' ||
        charset.len >= sizeof name || encoding.len != 1 || body.len > WORD_MAX - 4)
        return 0;
    memcpy(name, charset.data, charset.len);
    name[charset.len] = '\0';
    name[strcspn(name, "*")] = '\0'; /* RFC 2231: a language may follow */
    if (strcasecmp(name, "utf-8") != 0 && strcasecmp(name, "us-ascii") != 0 &&
        strcasecmp(name, "iso-8859-1") != 0)
        return 0;
    if (flz_ascii_lower((char)encoding.data[0]) == 'q')
        n = decode_q(body, data);
    else if (flz_ascii_lower((char)encoding.data[0]) != 'b' || base64_decode(body, data, &n) < 0)
        return 0;
    add_utf8(out, name, data, n);
    return (size_t)(rest.data + 1 - text.data);
}

/* Decodes the encoded words of a subject; white space between two of them is not text (6.2). */
static void decode_subject(struct flz_view subject, struct flz_buf *out)
{
    size_t blank_from = SIZE_MAX; /* in `out`: blanks since an encoded word */
    for (size_t i = 0; i < subject.len;) {
        struct flz_view rest = {subject.data + i, subject.len - i};
        size_t before = out->len;
        size_t n = decode_word(rest, out);
        if (n > 0) {
            if (blank_from != SIZE_MAX && before > blank_from) {
                memmove(out->data + blank_from, out->data + before, out->len - before);
                out->len -= before - blank_from;
            }
            blank_from = out->len;
            i += n;
            continue;
        }
        if (!is_blank(rest.data[0]))
            blank_from = SIZE_MAX;
        flz_buf_add_byte(out, rest.data[0]);
        i++;
    }
}

struct flz_digest header_subject_digest(struct flz_view subject)
{
    char squeezed[2 * HEADER_SUBJECT_MAX];
    struct field field = {.text = squeezed, .size = sizeof squeezed};
    struct flz_buf text = FLZ_BUF_NULL;
    if (subject.len >= HEADER_SUBJECT_MAX)
        subject.len = HEADER_SUBJECT_MAX - 1;
    decode_subject(trim(subject), &text);
    for (size_t i = 0; i < text.len; i++) {
        bool blank = is_blank(text.data[i]);
        if (!blank)
            field_add(&field, (char)text.data[i]);
        else if (field.len > 0 && squeezed[field.len - 1] != ' ')
            field_add(&field, ' ');
    }
    flz_buf_deinit(&text);
    while (field.len > 0 && squeezed[field.len - 1] == ' ')
        field.len--;
    return flz_digest_of((struct flz_view){(const uint8_t *)squeezed, field.len});
}

/* ---- The block ---- */

bool header_name_is(struct flz_view name, const char *word)
{
    return name.len == strlen(word) && strncasecmp((const char *)name.data, word, name.len) == 0;
}

static void take_id(struct header *header, char *field, struct flz_view value, bool ours)
{
    if (field[0]) {
        header->doubled |= ours;
        return;
    }
    (void)header_parse_message_id(value, field);
}

static void take_address(struct header *header, bool *seen, char *field, struct flz_view value)
{
    header->doubled |= *seen;
    if (!*seen)
        (void)one_address(value, field);
    *seen = true;
}

/* The first one only: some write several, or words behind it. */
static void take_first_id(char *field, struct flz_view value)
{
    const uint8_t *end = value.len ? memchr(value.data, '>', value.len) : NULL;
    if (end)
        value.len = (size_t)(end - value.data) + 1;
    (void)header_parse_message_id(value, field);
}

/* Auto-Submitted but "no" (RFC 3834 5), Precedence of lists and answering machines, and the fields
 * that some of these add. */
static void take_automatic(struct header *header, struct flz_view name, struct flz_view value)
{
    static const char *const precedences[] = {"bulk", "junk", "auto_reply", "auto-reply"};
    char text[32];
    (void)header_unfold(value, text, sizeof text);
    flz_ascii_lower_str(text);
    text[strcspn(text, " ;(")] = '\0';
    bool says = header_name_is(name, "X-Autoreply") || header_name_is(name, "X-Autorespond");
    if (header_name_is(name, "Auto-Submitted"))
        says = text[0] && strcmp(text, "no") != 0;
    for (size_t i = 0; i < 4 && header_name_is(name, "Precedence"); i++)
        says |= strcmp(text, precedences[i]) == 0;
    if (says && !header->automatic[0])
        (void)snprintf(header->automatic, sizeof header->automatic, "%.*s: %s", (int)name.len,
                       (const char *)name.data, text);
}

/* What was met while a block is read. */
struct progress {
    struct header *header;
    bool from;
    bool to;
    bool x;
};

static void take_field(struct progress *progress, struct flz_view name, struct flz_view value)
{
    struct header *header = progress->header;
    take_automatic(header, name, value);
    if (header_name_is(name, "Message-ID")) {
        take_id(header, header->message_id, value, true);
    } else if (header_name_is(name, "X-Microsoft-Original-Message-ID")) {
        take_id(header, header->original_message_id, value, false);
    } else if (header_name_is(name, "X-FluenzR")) {
        header->doubled |= progress->x;
        if (!progress->x && !header_unfold(value, header->x_fluenzr, sizeof header->x_fluenzr))
            header->x_fluenzr[0] = '\0';
        progress->x = true;
    } else if (header_name_is(name, "From")) {
        take_address(header, &progress->from, header->from, value);
    } else if (header_name_is(name, "To")) {
        take_address(header, &progress->to, header->to, value);
    } else if (header_name_is(name, "Subject") && !header->subject[0]) {
        (void)header_unfold(value, header->subject, sizeof header->subject);
    } else if (header_name_is(name, "Date") && !header->has_date) {
        header->has_date = header_parse_date(value, &header->date_ms) == 0;
    } else if (header_name_is(name, "Content-Type") && !header->content_type[0]) {
        (void)header_unfold(value, header->content_type, sizeof header->content_type);
    } else if (header_name_is(name, "In-Reply-To") && !header->in_reply_to[0]) {
        take_first_id(header->in_reply_to, value);
    } else if (header_name_is(name, "Authentication-Results") && !header->authentication[0]) {
        (void)header_unfold(value, header->authentication, sizeof header->authentication);
    } else if (header_name_is(name, "Auto-Submitted") && !header->auto_submitted[0]) {
        (void)header_unfold(value, header->auto_submitted, sizeof header->auto_submitted);
        header->auto_submitted[strcspn(header->auto_submitted, " ;(")] = '\0';
        flz_ascii_lower_str(header->auto_submitted);
    }
}

/* The length of one line with its end. */
static size_t line_len(const uint8_t *p, size_t left)
{
    const uint8_t *lf = memchr(p, '\n', left);
    return lf ? (size_t)(lf - p) + 1 : left;
}

/* Takes the first `n` bytes off the block. */
static const uint8_t *consume(struct flz_view *block, size_t n)
{
    const uint8_t *taken = block->data;
    block->data += n;
    block->len -= n;
    return taken;
}

bool header_field_next(struct flz_view *block, struct flz_view *ret_name,
                       struct flz_view *ret_value)
{
    while (block->len > 0) {
        size_t n = line_len(block->data, block->len);
        if (trim((struct flz_view){block->data, n}).len == 0) {
            (void)consume(block, n);
            return false;
        }
        while (n < block->len && (block->data[n] == ' ' || block->data[n] == '\t'))
            n += line_len(block->data + n, block->len - n);
        const uint8_t *field = consume(block, n);
        const uint8_t *colon = memchr(field, ':', n);
        if (!colon || field[0] == ' ' || field[0] == '\t')
            continue;
        *ret_name = trim((struct flz_view){field, (size_t)(colon - field)});
        *ret_value = (struct flz_view){colon + 1, n - (size_t)(colon - field) - 1};
        return true;
    }
    return false;
}

void header_parse(struct flz_view block, struct header *ret_header)
{
    struct progress progress = {.header = ret_header};
    struct flz_view name, value;
    memset(ret_header, 0, sizeof *ret_header);
    for (unsigned n = 0; n < HEADER_FIELDS_MAX && header_field_next(&block, &name, &value); n++)
        take_field(&progress, name, value);
}

/* ---- Authentication-Results ---- */

/* The verdict behind "method=" at the start of `p`. */
static bool verdict_is(const char *p, const char *word)
{
    size_t n = strlen(word);
    return strncasecmp(p, word, n) == 0 && !((p[n] >= 'a' && p[n] <= 'z') || p[n] == '-');
}

uint32_t header_authentication(const char *value)
{
    static const struct {
        const char *method;
        uint32_t pass;
    } methods[] = {{"spf=", HEADER_AUTH_SPF_PASS},
                   {"dkim=", HEADER_AUTH_DKIM_PASS},
                   {"dmarc=", HEADER_AUTH_DMARC_PASS}};
    uint32_t bits = 0;
    for (const char *p = strchr(value, ';'); p; p = strchr(p, ';')) {
        p += 1 + strspn(p + 1, " \t");
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
            size_t n = strlen(methods[i].method);
            if (strncasecmp(p, methods[i].method, n) != 0)
                continue;
            if (verdict_is(p + n, "pass"))
                bits |= methods[i].pass;
            else if (verdict_is(p + n, "fail") || verdict_is(p + n, "softfail") ||
                     verdict_is(p + n, "permerror"))
                bits |= methods[i].pass << 1;
        }
    }
    /* RFC 6376 6.1: one good signature is enough. */
    if (bits & HEADER_AUTH_DKIM_PASS)
        bits &= ~(uint32_t)HEADER_AUTH_DKIM_FAIL;
    return bits;
}
