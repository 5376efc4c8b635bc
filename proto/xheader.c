#include "proto/xheader.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 78
#define MESSAGE_ID_HASH_BYTES 20
/* Any honest value is far below; more is not worth reading. */
#define FOLDED_BYTES_MAX (4 * XHEADER_VALUE_MAX)

bool xheader_message_id_is_valid(const char *message_id)
{
    /* Fields may come from outside: the length is bounded before anything else is read. */
    if (strnlen(message_id, XHEADER_MESSAGE_ID_MAX) == XHEADER_MESSAGE_ID_MAX)
        return false;
    const char *at = strchr(message_id, '@');
    if (!at || at == message_id || at[1] == '\0' || strchr(at + 1, '@'))
        return false;
    for (const char *p = message_id; *p; p++)
        if (*p <= ' ' || *p > '~' || strchr("<>()[];,\"\\:", *p))
            return false;
    return true;
}

static bool fields_are_valid(const struct xheader *header)
{
    return header->step <= XHEADER_STEP_MAX && header->time_ms >= 0 &&
           header->expiry_ms > header->time_ms && xheader_message_id_is_valid(header->message_id);
}

/* The canonical fields, "; " or ";" between them. */
static int write_fields(const struct xheader *header, const char *separator, char *ret_text,
                        size_t size)
{
    char key[2 * sizeof header->key.b + 1];
    flz_hex_encode(header->key.b, sizeof header->key.b, key);
    int n = snprintf(ret_text, size,
                     "v=1%snet=%s%sx=%s%sn=%" PRIu32 "%st=%" PRId64 "%se=%" PRId64 "%sm=%s%sk=%s",
                     separator, flz_id_str(header->network), separator,
                     flz_id_str(header->exchange), separator, header->step, separator,
                     header->time_ms, separator, header->expiry_ms, separator, header->message_id,
                     separator, key);
    assert(n > 0 && (size_t)n < size);
    return n;
}

int xheader_signed_bytes(const struct xheader *header, const struct flz_address *from,
                         const struct flz_address *to, uint8_t ret_bytes[static XHEADER_SIGNED_MAX],
                         size_t *ret_len)
{
    static const char prefix[] = "fluenzr/mail/v1";
    if (!fields_are_valid(header))
        return flz_fail(-EINVAL);

    char canonical[XHEADER_VALUE_MAX], sender[FLZ_ADDRESS_MAX], recipient[FLZ_ADDRESS_MAX];
    (void)write_fields(header, ";", canonical, sizeof canonical);
    flz_address_normal(from, sender);
    flz_address_normal(to, recipient);

    const char *const pieces[] = {prefix, canonical, sender, recipient};
    size_t len = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t n = strlen(pieces[i]) + 1; /* the NUL is signed too: it ends the piece */
        assert(len + n <= XHEADER_SIGNED_MAX);
        memcpy(ret_bytes + len, pieces[i], n);
        len += n;
    }
    *ret_len = len;
    return 0;
}

int xheader_digest(const struct xheader *header, const struct flz_address *from,
                   const struct flz_address *to, struct flz_digest *ret_digest)
{
    uint8_t bytes[XHEADER_SIGNED_MAX];
    size_t len;
    int r = xheader_signed_bytes(header, from, to, bytes, &len);
    if (r < 0)
        return r;
    *ret_digest = flz_digest_of((struct flz_view){.data = bytes, .len = len});
    return 0;
}

/* Where a folded value is being written. */
struct fold {
    char *out;
    size_t len;
    size_t column; /* columns used on the current line */
};

static void fold_add(struct fold *fold, const char *text, size_t n)
{
    assert(fold->len + n < XHEADER_VALUE_MAX);
    memcpy(fold->out + fold->len, text, n);
    fold->len += n;
    fold->column += n;
}

static void fold_break(struct fold *fold)
{
    fold_add(fold, "\n ", 2);
    fold->column = 1;
}

/* One field with its ";"; a field that fits on no line is broken inside, since white space is not
 * part of a value. */
static void fold_add_field(struct fold *fold, const char *field, size_t n)
{
    if (fold->column + 1 + n <= COLUMNS_MAX && fold->len > 0)
        fold_add(fold, " ", 1);
    else if (fold->len > 0)
        fold_break(fold);
    while (fold->column + n > COLUMNS_MAX) {
        size_t part = COLUMNS_MAX - fold->column;
        fold_add(fold, field, part);
        fold_break(fold);
        field += part;
        n -= part;
    }
    fold_add(fold, field, n);
}

int xheader_format(const struct xheader *header, char ret_value[static XHEADER_VALUE_MAX])
{
    if (!fields_are_valid(header))
        return flz_fail(-EINVAL);

    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    char canonical[XHEADER_VALUE_MAX];
    (void)write_fields(header, ";", canonical, sizeof canonical);
    flz_buf_add_str(&text, canonical);
    flz_buf_add_str(&text, ";s=");
    flz_base64url_encode(
        (struct flz_view){.data = header->signature.b, .len = sizeof header->signature.b}, &text);
    if (flz_buf_error(&text) < 0)
        return flz_buf_error(&text);

    struct fold fold = {.out = ret_value, .column = sizeof XHEADER_NAME - 1 + 2};
    for (const char *field = flz_buf_str(&text); *field;) {
        size_t n = strcspn(field, ";");
        n += field[n] == ';';
        fold_add_field(&fold, field, n);
        field += n;
    }
    ret_value[fold.len] = '\0';
    return 0;
}

/* Copies a value without its white space. Control characters and 8-bit bytes are refused. */
static int strip(struct flz_view value, char ret_text[static XHEADER_VALUE_MAX])
{
    size_t n = 0;
    if (value.len > FOLDED_BYTES_MAX)
        return flz_fail(-EINVAL);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        if (c < ' ' || c > '~' || n == XHEADER_VALUE_MAX - 1)
            return flz_fail(-EINVAL);
        ret_text[n++] = (char)c;
    }
    ret_text[n] = '\0';
    return 0;
}

static int parse_id(const char *text, void *ret)
{
    /* Upper-case digits would be a second spelling of the same field. */
    if (strlen(text) != FLZ_ID_HEX_LEN || strspn(text, "0123456789abcdef") != FLZ_ID_HEX_LEN)
        return flz_fail(-EINVAL);
    return flz_id_parse(text, ret);
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return flz_fail(-EINVAL);
    return flz_parse_u64(text, max, ret_number) < 0 ? flz_fail(-EINVAL) : 0;
}

static int parse_version(const char *text, void *ret)
{
    (void)ret;
    return strcmp(text, "1") == 0 ? 0 : flz_fail(-EINVAL);
}

static int parse_step(const char *text, void *ret)
{
    uint64_t number;
    int r = parse_number(text, XHEADER_STEP_MAX, &number);
    if (r == 0)
        *(uint32_t *)ret = (uint32_t)number;
    return r;
}

static int parse_time(const char *text, void *ret)
{
    uint64_t number;
    int r = parse_number(text, INT64_MAX, &number);
    if (r == 0)
        *(int64_t *)ret = (int64_t)number;
    return r;
}

static int parse_message_id(const char *text, void *ret)
{
    if (!xheader_message_id_is_valid(text))
        return flz_fail(-EINVAL);
    return flz_text_copy(ret, XHEADER_MESSAGE_ID_MAX, text);
}

static int parse_key(const char *text, void *ret)
{
    struct flz_key_id *key = ret;
    size_t digits = 2 * sizeof key->b;
    if (strlen(text) != digits || strspn(text, "0123456789abcdef") != digits)
        return flz_fail(-EINVAL);
    return flz_hex_decode(text, digits, key->b);
}

static int parse_signature(const char *text, void *ret)
{
    struct flz_signature *signature = ret;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    int r = flz_base64url_decode(flz_view_str(text), &bytes);
    if (r < 0)
        return r;
    if (flz_buf_error(&bytes) < 0)
        return flz_buf_error(&bytes);
    if (bytes.len != sizeof signature->b)
        return flz_fail(-EINVAL);
    memcpy(signature->b, bytes.data, sizeof signature->b);
    return 0;
}

struct key_rule {
    const char *name;
    size_t offset;
    int (*parse)(const char *text, void *ret);
};

static const struct key_rule rules[] = {
    {"v", 0, parse_version},
    {"net", offsetof(struct xheader, network), parse_id},
    {"x", offsetof(struct xheader, exchange), parse_id},
    {"n", offsetof(struct xheader, step), parse_step},
    {"t", offsetof(struct xheader, time_ms), parse_time},
    {"e", offsetof(struct xheader, expiry_ms), parse_time},
    {"m", offsetof(struct xheader, message_id), parse_message_id},
    {"k", offsetof(struct xheader, key), parse_key},
    {"s", offsetof(struct xheader, signature), parse_signature},
};

#define N_RULES (sizeof rules / sizeof *rules)

/* Reads "key=value" into the header; `seen` has one bit for each rule already met. */
static int parse_field(char *field, struct xheader *header, unsigned *seen)
{
    char *equals = strchr(field, '=');
    if (!equals)
        return flz_fail(-EINVAL);
    *equals = '\0';
    for (size_t i = 0; i < N_RULES; i++) {
        if (strcmp(field, rules[i].name) != 0)
            continue;
        if (*seen & 1U << i)
            return flz_fail(-EINVAL);
        *seen |= 1U << i;
        return rules[i].parse(equals + 1, (uint8_t *)header + rules[i].offset);
    }
    return flz_fail(-EINVAL);
}

int xheader_parse(struct flz_view value, struct xheader *ret_header)
{
    char text[XHEADER_VALUE_MAX];
    int r = strip(value, text);
    if (r < 0)
        return r;

    struct xheader header;
    memset(&header, 0, sizeof header);
    unsigned seen = 0;
    char *rest = text;
    for (char *field; (field = strsep(&rest, ";"));) {
        r = parse_field(field, &header, &seen);
        if (r < 0)
            return r;
    }
    if (seen != (1U << N_RULES) - 1 || !fields_are_valid(&header))
        return flz_fail(-EINVAL);
    *ret_header = header;
    return 0;
}

void xheader_message_id_of(struct flz_view key, struct flz_id task, const char *domain,
                   char ret_id[static XHEADER_MESSAGE_ID_MAX])
{
    static const char label[] = "fluenzr/mid/v1";
    struct flz_hash hash;
    flz_hash_init_keyed(&hash, key, MESSAGE_ID_HASH_BYTES);
    flz_hash_add(&hash, label, sizeof label - 1);
    flz_hash_add(&hash, task.b, sizeof task.b);
    /* A BLAKE2b-160 is the first 20 bytes of a state that was begun for 20. */
    struct flz_digest digest = flz_hash_digest(&hash);

    static_assert(MESSAGE_ID_HASH_BYTES * 8 / 5 + 1 + FLZ_DOMAIN_MAX <= XHEADER_MESSAGE_ID_MAX,
                  "a Message-ID fits its field");
    flz_base32_encode(digest.b, MESSAGE_ID_HASH_BYTES, ret_id);
    size_t len = strlen(ret_id);
    ret_id[len++] = '@';
    int r = flz_text_copy(ret_id + len, FLZ_DOMAIN_MAX, domain);
    assert(r == 0);
}
