#include "node/core/mutf7.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 3501: base64 with "," in the place of "/". */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* A bounded text being written. */
struct output {
    char *text;
    size_t len;
    size_t size;
    bool full;
};

static void put(struct output *out, char c)
{
    if (out->len + 1 >= out->size)
        out->full = true;
    else
        out->text[out->len++] = c;
}

static int finish(struct output *out)
{
    if (out->full)
        return flz_fail(-ENAMETOOLONG);
    out->text[out->len] = '\0';
    return 0;
}

/* The next code point of a UTF-8 text, or -1 when it is none; *p moves behind it. */
static int32_t utf8_next(const char **p)
{
    const uint8_t *s = (const uint8_t *)*p;
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;
    if (n == 0)
        return -1;
    int32_t code = n == 1 ? s[0] : s[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | (s[i] & 0x3f);
    }
    static const int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[n] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
        return -1;
    *p += n;
    return code;
}

/* One run of base64 being written: 16-bit units, packed. */
struct run {
    struct output *out;
    uint32_t bits;
    unsigned count; /* bits held, < 6 between units */
};

static void run_unit(struct run *run, uint32_t unit)
{
    run->bits = run->bits << 16 | unit;
    run->count += 16;
    while (run->count >= 6) {
        run->count -= 6;
        put(run->out, digits[run->bits >> run->count & 63]);
    }
}

static void run_code(struct run *run, int32_t code)
{
    if (code >= 0x10000) {
        uint32_t v = (uint32_t)code - 0x10000;
        run_unit(run, 0xd800 | v >> 10);
        run_unit(run, 0xdc00 | (v & 0x3ff));
    } else {
        run_unit(run, (uint32_t)code);
    }
}

static void run_end(struct run *run)
{
    if (run->count > 0)
        put(run->out, digits[run->bits << (6 - run->count) & 63]);
    put(run->out, '-');
    *run = (struct run){.out = run->out};
}

int mutf7_encode(const char *utf8, char *ret_wire, size_t size)
{
    struct output out = {.text = ret_wire, .size = size};
    struct run run = {.out = &out};
    bool in_run = false;
    while (*utf8) {
        int32_t code = utf8_next(&utf8);
        if (code < 0x20 || code == 0x7f)
            return flz_fail(-EINVAL);
        if (code >= 0x80) {
            if (!in_run)
                put(&out, '&');
            in_run = true;
            run_code(&run, code);
            continue;
        }
        if (in_run)
            run_end(&run);
        in_run = false;
        put(&out, (char)code);
        if (code == '&')
            put(&out, '-');
    }
    if (in_run)
        run_end(&run);
    return finish(&out);
}

static void put_utf8(struct output *out, uint32_t code)
{
    if (code < 0x800) {
        put(out, (char)(0xc0 | code >> 6));
    } else if (code < 0x10000) {
        put(out, (char)(0xe0 | code >> 12));
        put(out, (char)(0x80 | (code >> 6 & 0x3f)));
    } else {
        put(out, (char)(0xf0 | code >> 18));
        put(out, (char)(0x80 | (code >> 12 & 0x3f)));
        put(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    put(out, (char)(0x80 | (code & 0x3f)));
}

/* One 16-bit unit of a run; `high` remembers the first half of a pair. */
static int take_unit(struct output *out, uint32_t unit, uint32_t *high)
{
    bool is_low = unit >= 0xdc00 && unit < 0xe000;
    if (is_low != (*high != 0))
        return flz_fail(-EINVAL);
    if (is_low) {
        put_utf8(out, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
        *high = 0;
    } else if (unit >= 0xd800 && unit < 0xdc00) {
        *high = unit;
    } else if (unit < 0x80) {
        return flz_fail(-EINVAL); /* RFC 3501: printable ASCII stands for itself, never in a run */
    } else {
        put_utf8(out, unit);
    }
    return 0;
}

/* A run behind its "&", up to and with the "-". */
static int decode_run(const char **wire, struct output *out)
{
    uint32_t bits = 0, high = 0;
    unsigned count = 0;
    const char *p = *wire;
    for (; *p != '-'; p++) {
        const char *d = *p ? strchr(digits, *p) : NULL;
        if (!d)
            return flz_fail(-EINVAL);
        bits = (bits << 6 | (uint32_t)(d - digits)) & 0x3fffff;
        count += 6;
        if (count < 16)
            continue;
        count -= 16;
        int r = take_unit(out, bits >> count & 0xffff, &high);
        if (r < 0)
            return r;
    }
    if (high != 0 || count >= 6 || (bits & ((1u << count) - 1)) != 0)
        return flz_fail(-EINVAL);
    *wire = p + 1;
    return 0;
}

int mutf7_decode(const char *wire, char *ret_utf8, size_t size)
{
    struct output out = {.text = ret_utf8, .size = size};
    while (*wire) {
        char c = *wire++;
        if (c < 0x20 || c == 0x7f)
            return flz_fail(-EINVAL);
        if (c != '&') {
            put(&out, c);
        } else if (*wire == '-') {
            put(&out, '&');
            wire++;
        } else {
            int r = decode_run(&wire, &out);
            if (r < 0)
                return r;
        }
    }
    return finish(&out);
}
