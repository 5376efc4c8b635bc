#include "node/providers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char table[] = "providers:\n"
                            "  acme:\n    policy: allow\n    domains: [acme.test]\n"
                            "    mx: [mx.acme.test]\n"
                            "  sure:\n    policy: ask\n    reason: ask them\n"
                            "    hosts: [smtp.sure.test]\n"
                            "  never:\n    policy: deny\n    reason: their terms\n"
                            "    mx: [never.test]\n    hosts: [never.test]\n"
                            "  unknown:\n    policy: ask\n    reason: nobody knows\n";

static struct providers *load(const char *text, struct flz_msg *msg)
{
    char path[] = "/tmp/fluenzr-providers-XXXXXX";
    struct providers *providers = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    int r = providers_load(path, &providers, msg);
    (void)unlink(path);
    assert_true((r == 0) == (providers != NULL));
    return providers;
}

static const char *name_of(const struct providers *providers, const char *named, const char *domain,
                           const char *mx, const char *host)
{
    struct domain_facts facts = {.has_mx = true};
    struct endpoint smtp = {.port = 465}, imap = {.port = 993};
    (void)snprintf(facts.mx_first, sizeof facts.mx_first, "%s", mx);
    (void)snprintf(smtp.host, sizeof smtp.host, "%s", host);
    (void)snprintf(imap.host, sizeof imap.host, "imap.other.test");
    return providers_find(providers, named, domain, *mx ? &facts : NULL, &smtp, &imap)->name;
}

static void provider_is_found_by_where_mail_goes(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = load(table, &msg);
    assert_non_null(providers);
    assert_string_equal(name_of(providers, "", "x.test", "", "h.test"), "unknown");
    assert_string_equal(name_of(providers, "", "acme.test", "", "h.test"), "acme");
    assert_string_equal(name_of(providers, "", "sub.acme.test", "", "h.test"), "acme");
    assert_string_equal(name_of(providers, "", "notacme.test", "", "h.test"), "unknown");
    assert_string_equal(name_of(providers, "", "x.test", "mx.acme.test", "h.test"), "acme");
    assert_string_equal(name_of(providers, "", "x.test", "", "smtp.sure.test"), "sure");
    assert_string_equal(name_of(providers, "acme", "x.test", "", "h.test"), "acme");
    (void)providers_free(providers);
}

static void deny_wins_wherever_it_is_seen(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = load(table, &msg);
    assert_non_null(providers);
    assert_string_equal(name_of(providers, "acme", "acme.test", "mx1.never.test", "h.test"),
                        "never");
    assert_string_equal(name_of(providers, "acme", "acme.test", "", "smtp.never.test"), "never");
    assert_string_equal(name_of(providers, "never", "acme.test", "", "h.test"), "never");
    (void)providers_free(providers);
}

static void wrong_tables_are_refused_with_their_line(void **state)
{
    static const char *const wrong[] = {
        "",
        "providers: 3\n",
        "providers:\n  a:\n    policy: allow\n", /* no unknown */
        "providers:\n  unknown:\n    policy: perhaps\n",
        "providers:\n  unknown:\n    polcy: allow\n",
        "providers:\n  unknown:\n    reason: none\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        assert_null(load(wrong[i], &msg));
        assert_true(strchr(msg.text, ':') != NULL);
    }
}

static void shipped_table_refuses_google(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = NULL;
    int r = providers_load("deploy/providers.yaml", &providers, &msg);
    if (r < 0)
        fail_msg("%s", msg.text);
    assert_string_equal(name_of(providers, "", "gmail.com", "", "h.test"), "google");
    assert_string_equal(name_of(providers, "", "x.test", "aspmx.l.google.com", "h.test"), "google");
    (void)providers_free(providers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(provider_is_found_by_where_mail_goes),
        cmocka_unit_test(deny_wins_wherever_it_is_seen),
        cmocka_unit_test(wrong_tables_are_refused_with_their_line),
        cmocka_unit_test(shipped_table_refuses_google),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
