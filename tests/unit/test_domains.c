/* What a domain's DNS means, over a zone of the test: dns_query() and the clock stand here. */
#include "node/domains.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/sys/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RECORDS_MAX 16
#define QUESTIONS_MAX 64
#define START_MS 1000000

/* ---- The zone ---- */

/* One record, or one word about a name: it is served badly (SERVFAIL), or does not exist. */
struct record {
    const char *name;
    enum dns_type type;
    const char *value; /* MX: host; TXT: text; A: what it is an alias of, "" for none */
    bool fails;
};

struct question {
    char name[FLZ_DOMAIN_MAX];
    enum dns_type type;
    dns_on_answer on_answer;
    void *data;
};

static struct record zone[RECORDS_MAX];
static size_t zone_count;
static struct question questions[QUESTIONS_MAX];
static size_t questions_count, asked_count;
static bool queue_full;
static int64_t now_ms;

int64_t flz_boottime_ms(void)
{
    return now_ms;
}

int dns_query(struct dns *dns, const char *name, enum dns_type type, dns_on_answer on_answer,
              void *data)
{
    if (queue_full)
        return DNS_E_FULL;
    if (name[0] == '\0')
        return flz_fail(-EINVAL); /* the null MX */
    assert_true(questions_count < QUESTIONS_MAX);
    struct question *question = &questions[questions_count++];
    *question = (struct question){.type = type, .on_answer = on_answer, .data = data};
    (void)snprintf(question->name, sizeof question->name, "%s", name);
    asked_count++;
    return 0;
}

static void add(const char *name, enum dns_type type, const char *value)
{
    zone[zone_count++] = (struct record){.name = name, .type = type, .value = value};
}

static void serve_badly(const char *name, enum dns_type type)
{
    zone[zone_count++] = (struct record){.name = name, .type = type, .fails = true};
}

static void take(const struct record *record, struct dns_answer *answer)
{
    struct dns_record *slot = &answer->records[answer->count++];
    if (record->fails) {
        answer->outcome = DNS_FAILED;
        answer->count = 0;
        return;
    }
    answer->outcome = DNS_FOUND;
    if (record->type == DNS_MX)
        (void)snprintf(slot->host, sizeof slot->host, "%s", record->value);
    else if (record->type == DNS_TXT)
        slot->text = (char *)(uintptr_t)record->value; /* borrowed: nobody deinits this answer */
    else if (record->value[0])
        (void)snprintf(answer->chain[answer->chain_count++], sizeof answer->chain[0], "%s",
                       record->value);
}

static bool exists(const char *name)
{
    for (size_t i = 0; i < zone_count; i++)
        if (strcmp(zone[i].name, name) == 0)
            return true;
    return false;
}

/* Answers all questions, and those that follow from the answers. */
static void answer_all(void)
{
    while (questions_count > 0) {
        struct question question = questions[0];
        memmove(questions, questions + 1, --questions_count * sizeof *questions);
        _cleanup_(flz_freep) struct dns_answer *answer = calloc(1, sizeof *answer);
        assert_non_null(answer);
        answer->outcome = DNS_ABSENT;
        answer->nxdomain = !exists(question.name);
        for (size_t i = 0; i < zone_count; i++)
            if (zone[i].type == question.type && strcmp(zone[i].name, question.name) == 0)
                take(&zone[i], answer);
        question.on_answer(answer, question.data);
    }
}

/* ---- Looking ---- */

static void on_known(void *data)
{
    ++*(unsigned *)data;
}

static int setup(void **state)
{
    static unsigned known;
    struct domains *domains;
    zone_count = questions_count = asked_count = 0;
    queue_full = false;
    now_ms = START_MS;
    known = 0;
    assert_int_equal(domains_new(NULL, on_known, &known, &domains), 0);
    *state = domains;
    return 0;
}

static int teardown(void **state)
{
    (void)domains_free(*state);
    return 0;
}

/* Has it asked, answers, and looks again. */
static int look(struct domains *domains, const char *name, struct domain_facts *ret_facts)
{
    const struct domain_facts *facts;
    int r = domains_look(domains, name, &facts);
    answer_all();
    if (r == DOMAINS_E_ASKED)
        r = domains_look(domains, name, &facts);
    if (r == 0)
        *ret_facts = *facts;
    return r;
}

static struct domain_facts known(struct domains *domains, const char *name)
{
    struct domain_facts facts = {0};
    assert_int_equal(look(domains, name, &facts), 0);
    return facts;
}

/* ---- Claims ---- */

static void a_mail_host_of_googles_is_found_behind_its_aliases(void **state)
{
    add("plain.test", DNS_MX, "mx.plain.test");
    add("mx.plain.test", DNS_A, "");
    assert_false(known(*state, "plain.test").google);
    assert_true(known(*state, "plain.test").has_mx);
    add("direct.test", DNS_MX, "ASPMX.L.Google.com");
    assert_true(known(*state, "direct.test").google);
    add("alias.test", DNS_MX, "mail.alias.test");
    add("mail.alias.test", DNS_A, "aspmx.l.google.com");
    assert_true(known(*state, "alias.test").google);
    add("second.test", DNS_MX, "mx1.second.test");
    add("second.test", DNS_MX, "mx2.second.test");
    add("mx2.second.test", DNS_A, "alt1.gmail-smtp-in.l.googlemail.com.");
    assert_true(known(*state, "second.test").google);
    add("alike.test", DNS_MX, "mx.notgoogle.com");
    add("alike.test", DNS_MX, "google.com.alike.test");
    assert_false(known(*state, "alike.test").google);
}

static void a_domain_without_mx_is_where_its_address_leads(void **state)
{
    add("implicit.test", DNS_A, "ghs.googlehosted.com");
    assert_true(known(*state, "implicit.test").has_mx);
    assert_false(known(*state, "implicit.test").google);
    add("www.test", DNS_A, "mail.google.com");
    assert_true(known(*state, "www.test").google);
}

static void a_name_that_does_not_exist_is_a_finding(void **state)
{
    struct domain_facts facts = known(*state, "nowhere.test");
    assert_false(facts.has_mx);
    assert_false(facts.google);
    assert_int_equal(asked_count, 2); /* TXT and MX: its own address cannot exist */
    add("null.test", DNS_MX, "");     /* the null MX leads nowhere either */
    (void)known(*state, "null.test");
    assert_int_equal(asked_count, 4);
}

static void an_owner_refuses_by_a_record_of_ours_alone(void **state)
{
    static const struct {
        const char *text;
        bool deny;
    } texts[] = {{"v=flz1; p=deny", true},
                 {" V=FLZ1 ;p = Deny ; c=x", true},
                 {"v=flz1; p=allow", false},
                 {"v=flz10; p=deny", false},
                 {"p=deny", false},
                 {"v=spf1 -all", false}};
    static char names[6][32], owners[6][48];
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(names[i], sizeof names[i], "d%zu.test", i);
        (void)snprintf(owners[i], sizeof owners[i], "_fluenzr.%s", names[i]);
        add(owners[i], DNS_TXT, texts[i].text);
        if (known(*state, names[i]).opt_out != texts[i].deny)
            fail_msg("\"%s\"", texts[i].text);
    }
    add("elsewhere.test", DNS_TXT, "v=flz1; p=deny"); /* not below _fluenzr */
    assert_false(known(*state, "elsewhere.test").opt_out);
}

static void a_resolvers_failure_never_counts(void **state)
{
    struct domain_facts facts;
    static const enum dns_type types[] = {DNS_TXT, DNS_MX};
    static const char *const names[] = {"_fluenzr.dead.test", "dead.test"};
    for (size_t i = 0; i < 2; i++) {
        zone_count = 0;
        serve_badly(names[i], types[i]);
        now_ms += DOMAINS_RETRY_MS;
        assert_int_equal(look(*state, "dead.test", &facts), DOMAINS_E_FAILED);
    }
    /* It is asked again, but not at once. */
    zone_count = 0;
    size_t before = asked_count;
    now_ms += DOMAINS_RETRY_MS - 1;
    assert_int_equal(look(*state, "dead.test", &facts), DOMAINS_E_FAILED);
    assert_int_equal(asked_count, before);
    now_ms++;
    (void)known(*state, "dead.test");
}

static void a_failure_leaves_what_was_known(void **state)
{
    add("_fluenzr.a.test", DNS_TXT, "v=flz1; p=deny");
    assert_true(known(*state, "a.test").opt_out);
    zone_count = 0;
    serve_badly("_fluenzr.a.test", DNS_TXT);
    now_ms += DOMAINS_TTL_MS;
    assert_true(known(*state, "a.test").opt_out);
    assert_true(known(*state, "a.test").opt_out);
    zone_count = 0; /* the record was taken away */
    now_ms += DOMAINS_RETRY_MS;
    const struct domain_facts *facts;
    assert_int_equal(domains_look(*state, "a.test", &facts), 0);
    assert_true(facts->opt_out); /* the old answer, while it is asked again */
    answer_all();
    assert_false(known(*state, "a.test").opt_out);
}

static void one_mail_host_among_several_may_fail(void **state)
{
    struct domain_facts facts;
    add("a.test", DNS_MX, "mx1.a.test");
    add("a.test", DNS_MX, "mx2.a.test");
    serve_badly("mx1.a.test", DNS_A);
    assert_true(known(*state, "a.test").has_mx);
    add("b.test", DNS_MX, "mx1.b.test");
    serve_badly("mx1.b.test", DNS_A); /* where it leads is not known: Google's it might be */
    assert_int_equal(look(*state, "b.test", &facts), DOMAINS_E_FAILED);
}

static void a_full_queue_is_no_failure(void **state)
{
    const struct domain_facts *facts;
    queue_full = true;
    assert_int_equal(domains_look(*state, "a.test", &facts), DOMAINS_E_ASKED);
    assert_int_equal(domains_look(*state, "a.test", &facts), DOMAINS_E_ASKED);
    queue_full = false;
    (void)known(*state, "a.test"); /* at once, without waiting for a retry */
}

static void a_change_of_mail_hosts_shows_whatever_their_order(void **state)
{
    add("a.test", DNS_MX, "mx1.x.test");
    add("a.test", DNS_MX, "mx2.x.test");
    add("b.test", DNS_MX, "mx2.x.test");
    add("b.test", DNS_MX, "mx1.x.test");
    add("c.test", DNS_MX, "mx1.x.test");
    struct flz_digest a = known(*state, "a.test").mx;
    assert_true(flz_digest_equal(a, known(*state, "b.test").mx));
    assert_false(flz_digest_equal(a, known(*state, "c.test").mx));
    assert_string_equal(known(*state, "b.test").mx_first, "mx2.x.test");
}

static void googles_own_domains_are_known_by_name(void **state)
{
    assert_true(domains_is_google_address("gmail.com"));
    assert_true(domains_is_google_address("GoogleMail.com"));
    assert_false(domains_is_google_address("mail.gmail.com.test"));
    assert_true(domains_is_google_host("smtp.gmail.com."));
    assert_true(domains_is_google_host("google.com"));
    assert_false(domains_is_google_host("xgoogle.com"));
    assert_false(domains_is_google_host(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mail_host_of_googles_is_found_behind_its_aliases),
        TEST(a_domain_without_mx_is_where_its_address_leads),
        TEST(a_name_that_does_not_exist_is_a_finding),
        TEST(an_owner_refuses_by_a_record_of_ours_alone),
        TEST(a_resolvers_failure_never_counts),
        TEST(a_failure_leaves_what_was_known),
        TEST(one_mail_host_among_several_may_fail),
        TEST(a_full_queue_is_no_failure),
        TEST(a_change_of_mail_hosts_shows_whatever_their_order),
        TEST(googles_own_domains_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
