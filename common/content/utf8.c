#include "common/content/utf8.h"

/* Length of the sequence that starts with `lead`; 0 when none does. */
static size_t sequence_len(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* The code point at `p`, which holds `n` = sequence_len() readable bytes, or -1. */
static int32_t decode(const uint8_t *p, size_t n)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (n == 1)
        return *p;
    int32_t code = *p & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? -1 : code;
}

static bool is_control(int32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||
           (code >= 0x200b && code <= 0x200f) || /* zero width, direction marks */
           (code >= 0x2028 && code <= 0x202e) || /* line separators, direction overrides */
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

bool utf8_is_line(struct flz_view text)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = sequence_len(text.data[i]);
        if (n == 0 || n > text.len - i || is_control(decode(text.data + i, n)))
            return false;
        i += n;
    }
    return true;
}

size_t utf8_columns(struct flz_view text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.len; i++)
        columns += (text.data[i] & 0xc0) != 0x80;
    return columns;
}
