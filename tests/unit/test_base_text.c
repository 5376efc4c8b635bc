#include "common/base/text.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hex_goes_there_and_back(void **state)
{
    uint8_t bytes[256], back[256];
    char hex[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    flz_hex_encode(bytes, sizeof bytes, hex);
    assert_int_equal(strlen(hex), 512);
    assert_memory_equal(hex + 2 * 0xab, "abac", 4);
    assert_int_equal(flz_hex_decode(hex, 512, back), 0);
    assert_memory_equal(bytes, back, sizeof bytes);
    assert_int_equal(flz_hex_decode("AbCd", 4, back), 0);
    assert_memory_equal(back, "\xab\xcd", 2);
    back[0] = 7;
    assert_int_equal(flz_hex_decode("abc", 3, back), -EINVAL);
    assert_int_equal(flz_hex_decode("abcg", 4, back), -EINVAL);
    assert_int_equal(back[0], 7);
}

/* RFC 4648 10. */
static void encodings_give_the_vectors_of_the_rfc(void **state)
{
    static const struct {
        const char *plain, *base32, *base64;
    } vectors[] = {
        {"", "", ""},
        {"f", "my", "Zg"},
        {"fo", "mzxq", "Zm8"},
        {"foo", "mzxw6", "Zm9v"},
        {"foob", "mzxw6yq", "Zm9vYg"},
        {"fooba", "mzxw6ytb", "Zm9vYmE"},
        {"foobar", "mzxw6ytboi", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char text[32];
        _cleanup_(flz_buf_deinit) struct flz_buf encoded = FLZ_BUF_NULL;
        _cleanup_(flz_buf_deinit) struct flz_buf decoded = FLZ_BUF_NULL;
        struct flz_view plain = flz_view_str(vectors[i].plain);
        flz_base32_encode(plain.data, plain.len, text);
        assert_string_equal(text, vectors[i].base32);
        flz_base64url_encode(plain, &encoded);
        assert_string_equal(flz_buf_str(&encoded), vectors[i].base64);
        assert_int_equal(flz_base64url_decode(flz_buf_view(&encoded), &decoded), 0);
        assert_true(flz_view_equal(flz_buf_view(&decoded), plain));
    }
}

static void base64url_has_one_text_for_each_value(void **state)
{
    static const char *const bad[] = {"Z", "Zh", "Zm9", "Zg==", "Z+8", "Z/8", "Zg ", "Zm9vY"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf out = FLZ_BUF_NULL;
        assert_int_equal(flz_base64url_decode(flz_view_str(bad[i]), &out), -EINVAL);
    }
    _cleanup_(flz_buf_deinit) struct flz_buf out = FLZ_BUF_NULL;
    assert_int_equal(flz_base64url_decode(flz_view_str("-_8"), &out), 0);
    assert_memory_equal(out.data, "\xfb\xff", 2);
    struct flz_view nul = {(const uint8_t *)"Z\0", 2};
    assert_int_equal(flz_base64url_decode(nul, &out), -EINVAL);
}

static void a_text_is_copied_whole_or_not_at_all(void **state)
{
    char field[4] = "old";
    assert_int_equal(flz_text_copy(field, sizeof field, "four"), -ENAMETOOLONG);
    assert_string_equal(field, "old");
    assert_int_equal(flz_text_copy(field, sizeof field, "new"), 0);
    assert_string_equal(field, "new");
}

static void case_is_that_of_ascii(void **state)
{
    char text[] = "AZaz[`{\303\211";
    flz_ascii_lower_str(text);
    assert_string_equal(text, "azaz[`{\303\211");
    assert_true(flz_ascii_equal_nocase("Content-Type", "content-tYPE"));
    assert_false(flz_ascii_equal_nocase("a", "ab"));
    assert_false(flz_ascii_equal_nocase("ab", "a"));
    assert_false(flz_ascii_equal_nocase("@", "`"));
}

static void numbers_are_digits_alone(void **state)
{
    uint64_t v = 7;
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(flz_parse_u64(bad[i], 100, &v), -EINVAL);
    assert_int_equal(flz_parse_u64("101", 100, &v), -ERANGE);
    assert_int_equal(flz_parse_u64("18446744073709551616", UINT64_MAX, &v), -ERANGE);
    assert_int_equal(flz_parse_u64("99999999999999999999999", UINT64_MAX, &v), -ERANGE);
    assert_int_equal(v, 7);
    assert_int_equal(flz_parse_u64("18446744073709551615", UINT64_MAX, &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(flz_parse_u64("007", 7, &v), 0);
    assert_int_equal(v, 7);
}

static void durations_need_their_unit(void **state)
{
    int64_t ms = 7;
    static const char *const bad[] = {"", "90", "s", "1.5s", "-1s", "1 s", "1sec", "1S", "1w"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(flz_parse_duration_ms(bad[i], &ms), -EINVAL);
    assert_int_equal(flz_parse_duration_ms("999999999999d", &ms), -ERANGE);
    assert_int_equal(ms, 7);
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"250ms", 250}, {"90s", 90000}, {"15m", 900000}, {"2h", 7200000}, {"3d", 259200000},
                {"0s", 0}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(flz_parse_duration_ms(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
}

static void only_a_slip_is_meant(void **state)
{
    static const char *const words[] = {"lease_seconds", "listen", "log_level"};
    assert_string_equal(flz_did_you_mean("lease_secnds", words, 3), "lease_seconds");
    assert_string_equal(flz_did_you_mean("lsiten", words, 3), "listen");
    assert_null(flz_did_you_mean("database", words, 3));
    assert_null(flz_did_you_mean("listen", words, 0));
    char large[300];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_null(flz_did_you_mean(large, words, 3));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(encodings_give_the_vectors_of_the_rfc),
        cmocka_unit_test(base64url_has_one_text_for_each_value),
        cmocka_unit_test(a_text_is_copied_whole_or_not_at_all),
        cmocka_unit_test(case_is_that_of_ascii),
        cmocka_unit_test(numbers_are_digits_alone),
        cmocka_unit_test(durations_need_their_unit),
        cmocka_unit_test(only_a_slip_is_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
