#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "proto/xheader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct xheader sample(void)
{
    struct xheader header;
    memset(&header, 0, sizeof header);
    memset(header.network.b, 0x11, sizeof header.network.b);
    memset(header.exchange.b, 0xab, sizeof header.exchange.b);
    memset(header.key.b, 0x0c, sizeof header.key.b);
    memset(header.signature.b, 0xfe, sizeof header.signature.b);
    header.step = 2;
    header.time_ms = INT64_C(1790000000123);
    header.expiry_ms = INT64_C(1790600000123);
    strcpy(header.message_id, "abcdefghijklmnopqrstuvwxyz234567@exemple.fr");
    return header;
}

static struct flz_address address(const char *text)
{
    struct flz_address parsed;
    assert_int_equal(flz_address_parse(text, &parsed), 0);
    return parsed;
}

static int parse(const char *text, struct xheader *ret_header)
{
    return xheader_parse(flz_view_str(text), ret_header);
}

#define GOLDEN                                                                                     \
    "v=1; net=11111111111111111111111111111111;\n"                                                 \
    " x=abababababababababababababababab; n=2; t=1790000000123; e=1790600000123;\n"                \
    " m=abcdefghijklmnopqrstuvwxyz234567@exemple.fr; k=0c0c0c0c0c0c0c0c;\n"                        \
    " s=_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7\n"             \
    " -_v7-_v7-_g"

static void the_golden_header_is_written_and_read(void **state)
{
    struct xheader header = sample(), back;
    char value[XHEADER_VALUE_MAX];
    assert_int_equal(xheader_format(&header, value), 0);
    assert_string_equal(value, GOLDEN);
    memset(&back, 0, sizeof back);
    assert_int_equal(parse(value, &back), 0);
    assert_memory_equal(&back.network, &header.network, sizeof back.network);
    assert_memory_equal(&back.signature, &header.signature, sizeof back.signature);
    assert_string_equal(back.message_id, header.message_id);
    assert_int_equal(back.step, 2);
    assert_int_equal(back.time_ms, header.time_ms);
}

/* The digest was computed from the bytes in xheader.h's comment by another program. */
static void the_signed_bytes_are_those_of_the_manual(void **state)
{
    static const char want[] =
        "fluenzr/mail/v1\0v=1;net=11111111111111111111111111111111;"
        "x=abababababababababababababababab;n=2;t=1790000000123;e=1790600000123;"
        "m=abcdefghijklmnopqrstuvwxyz234567@exemple.fr;k=0c0c0c0c0c0c0c0c\0"
        "camille.durand@exemple.fr\0paul@example.org";
    struct xheader header = sample();
    struct flz_address from = address("Camille.Durand@Exemple.FR"),
                       to = address("paul@example.org");
    uint8_t bytes[XHEADER_SIGNED_MAX];
    size_t len = 0;
    assert_int_equal(xheader_signed_bytes(&header, &from, &to, bytes, &len), 0);
    assert_int_equal(len, sizeof want);
    assert_memory_equal(bytes, want, sizeof want);

    struct flz_digest digest;
    char hex[65];
    assert_int_equal(xheader_digest(&header, &from, &to, &digest), 0);
    flz_hex_encode(digest.b, sizeof digest.b, hex);
    assert_string_equal(hex, "664f0ca37b2794495dc3225a88ea1254ffd6dd91b4d19a29b6430e5cd5c45b5a");
}

static void each_field_and_both_addresses_are_signed(void **state)
{
    struct flz_address from = address("a@example.org"), to = address("b@example.org");
    struct flz_digest first, other;
    struct xheader header = sample();
    assert_int_equal(xheader_digest(&header, &from, &to, &first), 0);
    for (int i = 0; i < 8; i++) {
        struct xheader changed = header;
        changed.network.b[0] ^= i == 0;
        changed.exchange.b[15] ^= i == 1;
        changed.step += i == 2;
        changed.time_ms += i == 3;
        changed.expiry_ms += i == 4;
        changed.message_id[0] = i == 5 ? 'z' : changed.message_id[0];
        changed.key.b[7] ^= i == 6;
        assert_int_equal(
            xheader_digest(&changed, i == 7 ? &to : &from, i == 7 ? &from : &to, &other), 0);
        assert_false(flz_digest_equal(first, other));
    }
}

/* As a hostile or clumsy server would fold it: white space after any byte. */
static void white_space_anywhere_changes_nothing(void **state)
{
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("fold"), 0);
    struct xheader want, back;
    assert_int_equal(parse(GOLDEN, &want), 0);
    for (int round = 0; round < 500; round++) {
        _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
        for (const char *p = GOLDEN; *p; p++) {
            flz_buf_add_byte(&text, (uint8_t)*p);
            if (flz_rng_below(&rng, 12) == 0)
                flz_buf_add_str(&text, flz_rng_below(&rng, 2) ? "\r\n\t" : "  ");
        }
        memset(&back, 0, sizeof back);
        assert_int_equal(xheader_parse(flz_buf_view(&text), &back), 0);
        assert_string_equal(back.message_id, want.message_id);
        assert_memory_equal(&back.signature, &want.signature, sizeof back.signature);
    }
}

static struct xheader draw_header(struct flz_rng *rng)
{
    struct xheader header;
    memset(&header, 0, sizeof header);
    for (size_t i = 0; i < 16; i++) {
        header.network.b[i] = (uint8_t)flz_rng_next(rng);
        header.exchange.b[i] = (uint8_t)flz_rng_next(rng);
    }
    for (size_t i = 0; i < 64; i++)
        header.signature.b[i] = (uint8_t)flz_rng_next(rng);
    header.step = (uint32_t)flz_rng_below(rng, XHEADER_STEP_MAX + 1);
    header.time_ms = flz_rng_between(rng, 0, INT64_MAX - 1);
    header.expiry_ms = flz_rng_between(rng, header.time_ms + 1, INT64_MAX);
    size_t len = 3 + flz_rng_below(rng, XHEADER_MESSAGE_ID_MAX - 3);
    for (size_t i = 0; i < len; i++)
        header.message_id[i] = (char)('a' + flz_rng_below(rng, 26));
    header.message_id[1] = '@';
    return header;
}

static void any_header_survives_the_round_trip_in_78_columns(void **state)
{
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("round trip"), 0);
    for (int round = 0; round < 5000; round++) {
        struct xheader header = draw_header(&rng), back;
        char value[XHEADER_VALUE_MAX], again[XHEADER_VALUE_MAX];
        assert_int_equal(xheader_format(&header, value), 0);
        size_t column = strlen("X-FluenzR: ");
        for (const char *p = value; *p; p += strspn(p, "\n")) {
            size_t n = strcspn(p, "\n");
            assert_true(n > 0 && column + n <= 78);
            assert_true(p == value || (p[0] == ' ' && p[1] != ' '));
            column = 0;
            p += n;
        }
        assert_int_equal(parse(value, &back), 0);
        assert_int_equal(xheader_format(&back, again), 0);
        assert_string_equal(again, value);
    }
}

static char *replaced(const char *from, const char *to)
{
    static char text[2048];
    const char *at = strstr(GOLDEN, from);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - GOLDEN), GOLDEN, to,
                   at + strlen(from));
    return text;
}

static void a_header_that_is_not_exactly_ours_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"v=1;", "v=2;"},
        {"v=1;", ""},
        {"v=1;", "v=1; v=1;"},
        {"v=1;", "v=1; q=1;"},
        {"v=1;", "v;"},
        {"v=1;", "v=1;;"},
        {"v=1;", "V=1;"},
        {"n=2;", "n=02;"},
        {"n=2;", "n=5;"},
        {"n=2;", "n=;"},
        {"n=2;", "n=-1;"},
        {"n=2;", "n=+2;"},
        {"n=2;", "n=99999999999999999999;"},
        {"t=1790000000123", "t=1790600000123"}, /* not before its expiry */
        {"t=1790000000123", "t=9223372036854775808"},
        {"e=1790600000123", "e=0"},
        {"net=1", "net="},
        {"net=1", "net=11"},
        {"net=1", "net=g"},
        {"x=ab", "x=AB"},
        {"k=0c", "k=0C"},
        {"k=0c", "k="},
        {"@exemple.fr", ""},
        {"@exemple.fr", "@"},
        {"@exemple.fr", "@a@b"},
        {"@exemple.fr", "@exem<ple"},
        {"@exemple.fr", "@exempl\xc3\xa9.fr"},
        {"@exemple.fr", "@exemple.\x7f"},
        {"s=_", "s="},
        {"s=_", "s=__"},
        {"s=_", "s=+"},
        {"_g", "_h"}, /* bits behind the last byte */
        {"_g", "_g;"},
        {"_g", "_g=="},
    };
    struct xheader header, before;
    memset(&header, 7, sizeof header);
    before = header;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse(replaced(cases[i][0], cases[i][1]), &header) != -EINVAL)
            fail_msg("'%s' instead of '%s' is taken", cases[i][1], cases[i][0]);
        assert_memory_equal(&header, &before, sizeof header);
    }
    assert_int_equal(parse("", &header), -EINVAL);
    assert_int_equal(
        xheader_parse((struct flz_view){.data = (const uint8_t *)"v=1\0", .len = 4}, &header),
        -EINVAL);
}

static void a_value_above_its_bound_is_refused(void **state)
{
    char text[8192];
    struct xheader header;
    memset(text, ' ', sizeof text);
    memcpy(text, GOLDEN, strlen(GOLDEN));
    assert_int_equal(xheader_parse((struct flz_view){(const uint8_t *)text, 4096}, &header), 0);
    assert_int_equal(xheader_parse((struct flz_view){(const uint8_t *)text, 4097}, &header),
                     -EINVAL);
    memset(text, 'a', sizeof text);
    assert_int_equal(xheader_parse((struct flz_view){(const uint8_t *)text, 1024}, &header),
                     -EINVAL);
}

static void a_field_out_of_range_is_not_written(void **state)
{
    char value[XHEADER_VALUE_MAX];
    for (int i = 0; i < 5; i++) {
        struct xheader header = sample();
        if (i == 0)
            header.step = 5;
        if (i == 1)
            header.expiry_ms = header.time_ms;
        if (i == 2)
            header.time_ms = -1;
        if (i == 3)
            strcpy(header.message_id, "a@b\r\nBcc: c");
        if (i == 4)
            memset(header.message_id, 'a', sizeof header.message_id);
        assert_int_equal(xheader_format(&header, value), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_header_is_written_and_read),
        cmocka_unit_test(the_signed_bytes_are_those_of_the_manual),
        cmocka_unit_test(each_field_and_both_addresses_are_signed),
        cmocka_unit_test(white_space_anywhere_changes_nothing),
        cmocka_unit_test(any_header_survives_the_round_trip_in_78_columns),
        cmocka_unit_test(a_header_that_is_not_exactly_ours_is_refused),
        cmocka_unit_test(a_value_above_its_bound_is_refused),
        cmocka_unit_test(a_field_out_of_range_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
