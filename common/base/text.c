#include "common/base/text.h"

#include "common/base/error.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

void flz_hex_encode(const uint8_t *data, size_t len, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        ret_hex[2 * i] = digits[data[i] >> 4];
        ret_hex[2 * i + 1] = digits[data[i] & 15];
    }
    ret_hex[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = flz_ascii_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int flz_hex_decode(const char *hex, size_t len, uint8_t *ret_data)
{
    if (len % 2)
        return flz_fail(-EINVAL);
    for (size_t i = 0; i < len; i++)
        if (hex_value(hex[i]) < 0)
            return flz_fail(-EINVAL);
    for (size_t i = 0; i < len / 2; i++)
        ret_data[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    return 0;
}

void flz_base32_encode(const uint8_t *data, size_t len, char *ret_text)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    unsigned n = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        for (n += 8; n >= 5; n -= 5)
            *ret_text++ = alphabet[bits >> (n - 5) & 31];
    }
    if (n > 0)
        *ret_text++ = alphabet[bits << (5 - n) & 31];
    *ret_text = '\0';
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void flz_base64url_encode(struct flz_view data, struct flz_buf *buf)
{
    uint32_t bits = 0;
    unsigned n = 0;
    for (size_t i = 0; i < data.len; i++) {
        bits = bits << 8 | data.data[i];
        for (n += 8; n >= 6; n -= 6)
            flz_buf_add_byte(buf, (uint8_t)base64url[bits >> (n - 6) & 63]);
    }
    if (n > 0)
        flz_buf_add_byte(buf, (uint8_t)base64url[bits << (6 - n) & 63]);
}

int flz_base64url_decode(struct flz_view text, struct flz_buf *buf)
{
    uint32_t bits = 0;
    unsigned n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] ? strchr(base64url, text.data[i]) : NULL;
        if (!at)
            return flz_fail(-EINVAL);
        bits = bits << 6 | (uint32_t)(at - base64url);
        n += 6;
        if (n >= 8) {
            n -= 8;
            flz_buf_add_byte(buf, (uint8_t)(bits >> n));
        }
    }
    /* One text has one meaning: left-over bits must be fewer than a character's, and zero. */
    if (n >= 6 || (bits & ((1u << n) - 1)) != 0)
        return flz_fail(-EINVAL);
    return flz_buf_error(buf);
}

int flz_text_copy(char *ret_field, size_t size, const char *s)
{
    size_t len = strlen(s);
    if (len >= size)
        return flz_fail(-ENAMETOOLONG);
    memcpy(ret_field, s, len + 1);
    return 0;
}

char flz_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void flz_ascii_lower_str(char *s)
{
    for (; *s; s++)
        *s = flz_ascii_lower(*s);
}

bool flz_ascii_equal_nocase(const char *a, const char *b)
{
    while (*a && flz_ascii_lower(*a) == flz_ascii_lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

size_t flz_utf8_len(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    if (n == 0 || p[0] < 0x80)
        return n > 0;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

int flz_parse_u64(const char *s, uint64_t max, uint64_t *ret_value)
{
    uint64_t v = 0;
    if (*s == '\0')
        return flz_fail(-EINVAL);
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return flz_fail(-EINVAL);
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (UINT64_MAX - digit) / 10 || v * 10 + digit > max)
            return flz_fail(-ERANGE);
        v = v * 10 + digit;
    }
    *ret_value = v;
    return 0;
}

int flz_parse_duration_ms(const char *s, int64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(s, "0123456789");
    if (digits == 0 || digits > 12)
        return flz_fail(-EINVAL);
    int64_t n = 0;
    for (size_t i = 0; i < digits; i++)
        n = n * 10 + (s[i] - '0');
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(s + digits, units[i].suffix) != 0)
            continue;
        if (n > INT64_MAX / 4 / units[i].ms)
            return flz_fail(-ERANGE);
        *ret_ms = n * units[i].ms;
        return 0;
    }
    return flz_fail(-EINVAL);
}

#define WORD_MAX 64

static unsigned edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX)
        return UINT_MAX;
    unsigned row[WORD_MAX + 1];
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *flz_did_you_mean(const char *word, const char *const *words, size_t n)
{
    const char *nearest = NULL;
    unsigned best = (unsigned)strlen(word) / 3 + 2;
    for (size_t i = 0; i < n; i++) {
        unsigned distance = edit_distance(word, words[i]);
        if (distance < best) {
            best = distance;
            nearest = words[i];
        }
    }
    return nearest;
}
