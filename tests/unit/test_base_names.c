/* Mail addresses, host names, and times. */
#include "common/base/address.h"
#include "common/base/time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void plain_addresses_are_taken(void **state)
{
    static const struct {
        const char *text, *taken, *normal;
    } good[] = {
        {"Ann.Smith@Example.TEST", "Ann.Smith@example.test", "ann.smith@example.test"},
        {"a+b_c%d-e'f@x-1.example", "a+b_c%d-e'f@x-1.example", "a+b_c%d-e'f@x-1.example"},
        {"1@xn--bcher-kva.example", "1@xn--bcher-kva.example", "1@xn--bcher-kva.example"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct flz_address address;
        char normal[FLZ_ADDRESS_MAX];
        assert_int_equal(flz_address_parse(good[i].text, &address), 0);
        assert_string_equal(address.text, good[i].taken);
        flz_address_normal(&address, normal);
        assert_string_equal(normal, good[i].normal);
        flz_address_normal(&address, address.text);
        assert_string_equal(address.text, good[i].normal);
    }
}

static void everything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "@", "a", "a@", "@x.test", "a@x", "a@@x.test", "a@b@x.test", "a b@x.test", ".a@x.test",
        "a.@x.test", "a..b@x.test", "\"a b\"@x.test", "a@[192.0.2.1]", "a@x.test.", "a@.x.test",
        "a@x..test", "a@-x.test", "a@x-.test", "a@x_y.test", "<a@x.test>", "a@x.test\r\nRCPT TO:",
        "a\r\n@x.test", "a@x.test ", " a@x.test", "caf\303\251@x.test", "a@caf\303\251.test",
        "a;b@x.test", "a(c)@x.test", "a\\b@x.test", "a/b@x.test", "a=b@x.test",
    };
    struct flz_address address = {"kept@x.test"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (flz_address_parse(bad[i], &address) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    assert_string_equal(address.text, "kept@x.test");
}

static void lengths_are_those_of_the_rfc(void **state)
{
    struct flz_address address;
    char text[600];
    for (int n = 63; n <= 65; n++) {
        memset(text, 'a', (size_t)n);
        memcpy(text + n, "@x.test", 8);
        assert_int_equal(flz_address_parse(text, &address), n <= 64 ? 0 : -EINVAL);
    }
    /* Labels of 63, then of 64; a domain of 253, then of 254. */
    for (size_t n = 63; n <= 64; n++) {
        memset(text, 'a', n);
        memcpy(text + n, ".test", 6);
        assert_int_equal(flz_domain_check(text), n == 63 ? 0 : -EINVAL);
    }
    for (size_t n = 253; n <= 254; n++) {
        for (size_t i = 0; i < n; i++)
            text[i] = i % 50 == 49 && i + 1 < n ? '.' : 'a';
        text[n] = '\0';
        assert_int_equal(flz_domain_check(text), n == 253 ? 0 : -EINVAL);
    }
}

static void spellings_of_one_account_have_one_digest(void **state)
{
    struct flz_address a, b, c;
    assert_int_equal(flz_address_parse("Ann@X.test", &a), 0);
    assert_int_equal(flz_address_parse("aNN@x.TEST", &b), 0);
    assert_int_equal(flz_address_parse("anne@x.test", &c), 0);
    struct flz_digest da = flz_address_digest(&a), db = flz_address_digest(&b),
                      dc = flz_address_digest(&c);
    assert_memory_equal(da.b, db.b, sizeof da.b);
    assert_memory_not_equal(da.b, dc.b, sizeof da.b);
    assert_string_equal(flz_address_domain(&a), "x.test");
}

static void roles_are_no_persons(void **state)
{
    static const struct {
        const char *text;
        bool role;
    } cases[] = {
        {"info@x.test", true},        {"INFO@x.test", true}, {"support+fr@x.test", true},
        {"no-reply@x.test", true},    {"ann@x.test", false}, {"information@x.test", false},
        {"abuse.desk@x.test", false}, {"www@x.test", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flz_address address;
        assert_int_equal(flz_address_parse(cases[i].text, &address), 0);
        assert_int_equal(flz_address_is_role(&address), cases[i].role);
    }
}

/* ---- Times ---- */

static void times_go_there_and_back(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00.000Z", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2026-11-22T08:15:00.250Z", INT64_C(1795335300250)},
        {"2000-02-29T00:00:00.000Z", INT64_C(951782400000)},
        {"0001-01-01T00:00:00.000Z", INT64_C(-62135596800000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[FLZ_TIME_TEXT_MAX];
        int64_t ms;
        flz_time_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(flz_time_parse(cases[i].text, &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
    int64_t ms;
    assert_int_equal(flz_time_parse("2026-11-22T08:15:00Z", &ms), 0);
    assert_int_equal(ms, INT64_C(1795335300000));
}

static void odd_times_are_refused(void **state)
{
    static const char *const bad[] = {
        "", "2026-11-22", "2026-11-22T08:15:00", "2026-11-22T08:15:00+01:00",
        "2026-11-22 08:15:00Z", "2026-11-22T24:00:00Z", "2026-11-22T08:60:00Z",
        "2026-11-22T08:15:60Z", "2026-02-29T08:15:00Z", "2026-13-01T08:15:00Z",
        "2026-00-01T08:15:00Z", "2026-11-00T08:15:00Z", "2026-11-31T08:15:00Z",
        "2026-11-22T08:15:00.1Z", "2026-11-22T08:15:00Zx", "+026-11-22T08:15:00Z",
    };
    int64_t ms = 7;
    int32_t day = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(flz_time_parse(bad[i], &ms), -EINVAL);
    assert_int_equal(flz_date_parse("2026-11-22T", &day), -EINVAL);
    assert_int_equal(flz_date_parse("2026-1-2", &day), -EINVAL);
    assert_int_equal(ms, 7);
    assert_int_equal(day, 7);
}

/* Every day of twelve centuries, against the day before. */
static void weekdays_are_lists_and_ranges(void **state)
{
    static const struct {
        const char *text;
        uint32_t mask;
    } good[] = {{"Mon", 0x01},     {"Mon-Fri", 0x1f},      {"mon,WED", 0x05},
                {"Sat-Mon", 0x61}, {"Mon-Sun", 0x7f},      {"Fri-Thu", 0x7f},
                {"Sun-Sun", 0x40}, {"Tue,Thu-Fri,", 0x1a}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t mask = 0;
        assert_int_equal(flz_weekdays_parse(good[i].text, &mask), 0);
        assert_int_equal(mask, good[i].mask);
    }
    static const char *const bad[] = {"",       "Mo-Fr",   "Mon-", "-Fri",
                                      "Monday", "Mon Tue", ",",    "Mon-Fri-Sun"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t mask = 7;
        assert_int_equal(flz_weekdays_parse(bad[i], &mask), -EINVAL);
        assert_int_equal(mask, 7);
    }
}

static void dates_follow_one_another(void **state)
{
    int year, month, mday, weekday = -1;
    for (int32_t day = -300000; day < 140000; day++) {
        flz_date_civil(day, &year, &month, &mday);
        assert_int_equal(flz_date_of_civil(year, month, mday), day);
        if (weekday >= 0)
            assert_int_equal(flz_date_weekday(day), (weekday + 1) % 7);
        weekday = flz_date_weekday(day);
    }
    int32_t monday;
    assert_int_equal(flz_date_parse("2026-06-01", &monday), 0);
    assert_int_equal(flz_date_weekday(monday), 0);
    assert_int_equal(flz_date_weekday(0), 3);
}

static void the_ends_of_time_are_survived(void **state)
{
    char text[FLZ_TIME_TEXT_MAX];
    flz_time_format(FLZ_NEVER, text);
    flz_time_format(INT64_MIN, text);
    for (int shift = 0; shift < 64; shift++) {
        flz_time_format((int64_t)(UINT64_MAX >> shift), text);
        flz_time_format((int64_t)(UINT64_MAX << shift), text);
    }
    flz_date_format(INT32_MAX, text);
    flz_date_format(INT32_MIN, text);
    assert_in_range(flz_date_weekday(INT32_MAX), 0, 6);
    assert_in_range(flz_date_weekday(INT32_MIN), 0, 6);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_addresses_are_taken),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(lengths_are_those_of_the_rfc),
        cmocka_unit_test(spellings_of_one_account_have_one_digest),
        cmocka_unit_test(roles_are_no_persons),
        cmocka_unit_test(times_go_there_and_back),
        cmocka_unit_test(odd_times_are_refused),
        cmocka_unit_test(weekdays_are_lists_and_ranges),
        cmocka_unit_test(dates_follow_one_another),
        cmocka_unit_test(the_ends_of_time_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
