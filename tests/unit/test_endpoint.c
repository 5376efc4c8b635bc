#include "node/endpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void servers_are_read(void **state)
{
    static const struct {
        const char *url;
        enum conn_scheme scheme;
        const char *host, *ip;
        uint16_t port;
        bool loopback;
    } servers[] = {
        {"smtps://Mail.A.test", CONN_SMTPS, "mail.a.test", "", 465, false},
        {"smtp://mail.a.test", CONN_SMTP, "mail.a.test", "", 587, false},
        {"imaps://mail.a.test", CONN_IMAPS, "mail.a.test", "", 993, false},
        {"imap://mail.a.test:10143", CONN_IMAP, "mail.a.test", "", 10143, false},
        {"smtp://127.0.0.1:2525", CONN_SMTP, "127.0.0.1", "127.0.0.1", 2525, true},
        {"imaps://[::1]:993", CONN_IMAPS, "::1", "::1", 993, true},
        {"imaps://[2001:db8::1]", CONN_IMAPS, "2001:db8::1", "2001:db8::1", 993, false},
        {"imaps://localhost", CONN_IMAPS, "localhost", "", 993, true},
        {"imaps://127.evil.test", CONN_IMAPS, "127.evil.test", "", 993, false},
        {"imaps://localhost.evil.test", CONN_IMAPS, "localhost.evil.test", "", 993, false},
    };
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        struct endpoint endpoint;
        struct flz_msg msg = FLZ_MSG_NULL;
        if (endpoint_parse(servers[i].url, &endpoint, &msg) != 0)
            fail_msg("%s: %s", servers[i].url, msg.text);
        assert_int_equal(endpoint.scheme, servers[i].scheme);
        assert_string_equal(endpoint.host, servers[i].host);
        assert_string_equal(endpoint.ip, servers[i].ip);
        assert_int_equal(endpoint.port, servers[i].port);
        assert_int_equal(endpoint_is_loopback(&endpoint), servers[i].loopback);
    }
}

static void others_are_refused_in_words(void **state)
{
    static const char *const urls[] = {
        "",
        "mail.a.test",
        "http://mail.a.test",
        "pop3s://mail.a.test",
        "smtp://",
        "smtp://:25",
        "smtp://mail.a.test:",
        "smtp://mail.a.test:0",
        "smtp://mail.a.test:65536",
        "smtp://mail.a.test:25x",
        "smtp://mail.a.test/path",
        "smtp://user@mail.a.test",
        "smtp://ma il.test",
        "smtp://mail.a.test\r\nQUIT",
        "imaps://[::1",
        "imaps://[::1]x",
        "imaps://[mail.a.test]",
        "imaps://-bad.test",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct endpoint endpoint;
        struct flz_msg msg = FLZ_MSG_NULL;
        if (endpoint_parse(urls[i], &endpoint, &msg) != -EINVAL || !msg.text[0])
            fail_msg("'%s' was taken", urls[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_read),
        cmocka_unit_test(others_are_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
