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
                            "  unknown:\n    policy: ask\n    reason: nobody knows\n"
                            "replies: []\n";

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
        "providers:\n  unknown:\n    policy: ask\n", /* no replies */
#define RULES "providers:\n  unknown:\n    policy: ask\nreplies:\n"
        RULES "  {}\n",
        RULES "  - {id: a, class: spam}\n",
        RULES "  - {id: a, class: spam, spoils: nothing}\n",
        RULES "  - {id: a, class: spam, spoils: message, code: 650}\n",
        RULES "  - {id: a, class: spam, spoils: message, code: 55}\n",
        RULES "  - {id: a, class: spam, spoils: message, enhanced: [5.1]}\n",
        RULES "  - {id: a, class: spam, spoils: message, enhanced: [5.1.1.1]}\n",
        RULES "  - {id: a, class: spam, spoils: message, enhanced: [6.1.1]}\n",
        RULES "  - {id: a, class: spam, spoils: message, enhanced: [5.-1.1]}\n",
        RULES "  - {id: a, class: spam, spoils: message, stage: [rcp]}\n",
        RULES "  - {id: a, class: spam, spoils: message, words: ['']}\n",
        RULES "  - {id: a, class: spam, spoils: message, words: [a|b]}\n",
        RULES "  - {id: a, class: spam, spoils: message, do: stop, hard: true}\n",
        RULES "  - {id: a, class: spam, spoils: account, do: stop}\n",
        RULES "  - {id: a, class: spam, spoils: account, hard: true, do: suspend}\n",
#undef RULES
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        assert_null(load(wrong[i], &msg));
        assert_true(strchr(msg.text, ':') != NULL);
    }
}

static void shapes_are_read_and_default_to_no_limit(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = load("providers:\n"
                                       "  acme:\n    policy: allow\n    shape:\n"
                                       "      connections: 7\n      messages: 20\n"
                                       "      back_off: [2m, 2m, 10m, 2h]\n"
                                       "      account: {minute: 3, day: 40}\n"
                                       "      domain: {hour: 200}\n"
                                       "      provider: {day: 9000}\n"
                                       "  unknown:\n    policy: ask\nreplies: []\n",
                                       &msg);
    assert_non_null(providers);
    const struct shaping_limits *shape = &providers_named(providers, "acme")->shaping;
    assert_int_equal(shape->connections, 7);
    assert_int_equal(shape->messages, 20);
    assert_int_equal(shape->ladder_ms[0], 120000);
    assert_int_equal(shape->ladder_ms[3], 7200000);
    assert_int_equal(shape->account.most[METER_MINUTE], 3);
    assert_int_equal(shape->account.most[METER_HOUR], 0);
    assert_int_equal(shape->account.most[METER_DAY], 40);
    assert_int_equal(shape->domain.most[METER_HOUR], 200);
    assert_int_equal(shape->provider.most[METER_DAY], 9000);
    shape = &providers_named(providers, "unknown")->shaping;
    assert_int_equal(shape->connections, 0);
    assert_memory_equal(shape->ladder_ms, shaping_limits_default.ladder_ms,
                        sizeof shape->ladder_ms);
    (void)providers_free(providers);
}

static void wrong_shapes_are_refused_with_their_line(void **state)
{
    static const char *const wrong[] = {
        "connections: -1",
        "connections: many",
        "conections: 3",
        "account: {minute: x}",
        "account: {second: 1}",
        "provider: 4",
        "back_off: [1m, 5m]",
        "back_off: [1m, 5m, 4m, 1h]",
        "back_off: [1, 5, 15, 60]",
        "back_off: [1s, 5m, 15m, 1h]",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        char text[512];
        (void)snprintf(text, sizeof text,
                       "providers:\n  unknown:\n    policy: ask\n    shape:\n      %s\n", wrong[i]);
        assert_null(load(text, &msg));
        if (!strstr(msg.text, ":5:"))
            fail_msg("%s: no line: %s", wrong[i], msg.text);
    }
}

static void write_table(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_bad_file_leaves_what_was_known(void **state)
{
    char path[] = "/tmp/fluenzr-providers-XXXXXX";
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = load(table, &msg);
    int fd = mkstemp(path);
    assert_true(providers && fd >= 0);
    (void)close(fd);
    write_table(path, "providers:\n  unknown:\n    policy: perhaps\n");
    assert_int_equal(providers_reload(providers, path, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, ":3:"));
    assert_string_equal(name_of(providers, "", "acme.test", "", "h.test"), "acme");
    write_table(path, "providers:\n  other:\n    policy: deny\n    domains: [acme.test]\n"
                      "  unknown:\n    policy: ask\nreplies: []\n");
    assert_int_equal(providers_reload(providers, path, &msg), 0);
    assert_string_equal(name_of(providers, "", "acme.test", "", "h.test"), "other");
    (void)unlink(path);
    (void)providers_free(providers);
}

static void every_shipped_mailbox_host_of_note_is_shaped(void **state)
{
    static const char *const names[] = {"microsoft365", "outlook",  "yahoo", "ovh",   "ionos",
                                        "infomaniak",   "fastmail", "zoho",  "gandi", "unknown"};
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = NULL;
    assert_int_equal(providers_load("deploy/providers.yaml", &providers, &msg), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct provider *provider = providers_named(providers, names[i]);
        assert_non_null(provider);
        assert_true(provider->shaping.connections > 0 && provider->shaping.messages > 0);
        assert_true(provider->shaping.account.most[METER_DAY] > 0);
    }
    (void)providers_free(providers);
}

static void host_belongs_to_the_entry_it_lies_below(void **state)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct providers *providers = load(table, &msg);
    assert_non_null(providers);
    assert_string_equal(providers_of_host(providers, "in1.MX.acme.test")->name, "acme");
    assert_string_equal(providers_of_host(providers, "smtp.sure.test")->name, "sure");
    assert_null(providers_of_host(providers, "notmx.acme.test"));
    assert_null(providers_of_host(providers, ""));
    (void)providers_free(providers);
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
        cmocka_unit_test(shapes_are_read_and_default_to_no_limit),
        cmocka_unit_test(wrong_shapes_are_refused_with_their_line),
        cmocka_unit_test(a_bad_file_leaves_what_was_known),
        cmocka_unit_test(every_shipped_mailbox_host_of_note_is_shaped),
        cmocka_unit_test(host_belongs_to_the_entry_it_lies_below),
        cmocka_unit_test(shipped_table_refuses_google),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
