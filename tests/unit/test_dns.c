#include "common/sys/dns.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define QR_RD_RA 0x8180

/* ---- Building messages ---- */

static void add_u16(struct flz_buf *buf, unsigned v)
{
    flz_buf_add_byte(buf, (uint8_t)(v >> 8));
    flz_buf_add_byte(buf, (uint8_t)v);
}

static void add_name(struct flz_buf *buf, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        flz_buf_add_byte(buf, (uint8_t)n);
        flz_buf_add(buf, name, n);
        name += n + (name[n] == '.');
    }
    flz_buf_add_byte(buf, 0);
}

static void begin(struct flz_buf *buf, unsigned flags, unsigned answers, unsigned authority,
                  const char *name, enum dns_type type)
{
    flz_buf_reset(buf);
    unsigned words[] = {0x1234, flags, 1, answers, authority, 0};
    for (int i = 0; i < 6; i++)
        add_u16(buf, words[i]);
    add_name(buf, name);
    add_u16(buf, type);
    add_u16(buf, 1);
}

static void add_rr(struct flz_buf *buf, const char *owner, unsigned type, uint32_t ttl,
                   struct flz_view data)
{
    add_name(buf, owner);
    add_u16(buf, type);
    add_u16(buf, 1);
    flz_buf_add_be32(buf, ttl);
    add_u16(buf, (unsigned)data.len);
    flz_buf_add_view(buf, data);
}

static void add_named(struct flz_buf *buf, const char *owner, unsigned type, uint32_t ttl,
                      int preference, const char *host)
{
    _cleanup_(flz_buf_deinit) struct flz_buf data = FLZ_BUF_NULL;
    if (preference >= 0)
        add_u16(&data, (unsigned)preference);
    add_name(&data, host);
    add_rr(buf, owner, type, ttl, flz_buf_view(&data));
}

static void add_srv(struct flz_buf *buf, const char *owner, unsigned priority, unsigned port,
                    const char *host)
{
    _cleanup_(flz_buf_deinit) struct flz_buf data = FLZ_BUF_NULL;
    add_u16(&data, priority);
    add_u16(&data, 5);
    add_u16(&data, port);
    add_name(&data, host);
    add_rr(buf, owner, DNS_SRV, 300, flz_buf_view(&data));
}

static struct flz_view bytes(const char *data, size_t len)
{
    return (struct flz_view){(const uint8_t *)data, len};
}

#define BYTES(literal) bytes((literal), sizeof(literal) - 1)

static struct flz_buf message;
static struct dns_answer answer;

static void parse(enum dns_type type)
{
    dns_answer_deinit(&answer);
    dns_answer_parse(flz_buf_view(&message), type, &answer);
}

/* ---- Parsing ---- */

static void exchangers_are_sorted_and_lower_case(void **state)
{
    begin(&message, QR_RD_RA, 4, 0, "Example.Test", DNS_MX);
    add_named(&message, "example.test", DNS_MX, 300, 20, "C.example.test");
    add_named(&message, "EXAMPLE.test", DNS_MX, 200, 10, "b.example.test");
    add_named(&message, "example.test", DNS_MX, 400, 10, "a.example.test");
    add_named(&message, "other.test", DNS_MX, 1, 1, "never.example.test");
    parse(DNS_MX);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.count, 3);
    assert_int_equal(answer.ttl_s, 200);
    assert_string_equal(answer.records[0].host, "a.example.test");
    assert_string_equal(answer.records[1].host, "b.example.test");
    assert_string_equal(answer.records[2].host, "c.example.test");
    assert_int_equal(answer.records[2].preference, 20);
    assert_string_equal(answer.reason, "");
    assert_false(answer.cut);
}

static void services_tell_host_and_port(void **state)
{
    begin(&message, QR_RD_RA, 3, 0, "_imaps._tcp.example.test", DNS_SRV);
    add_srv(&message, "_imaps._tcp.example.test", 20, 995, "b.example.test");
    add_srv(&message, "_imaps._tcp.example.test", 10, 993, "A.example.test");
    add_srv(&message, "_imaps._tcp.example.test", 30, 0, "");
    parse(DNS_SRV);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.count, 3);
    assert_string_equal(answer.records[0].host, "a.example.test");
    assert_int_equal(answer.records[0].port, 993);
    assert_int_equal(answer.records[0].weight, 5);
    assert_int_equal(answer.records[1].preference, 20);
    assert_string_equal(answer.records[2].host, ""); /* not offered */
    begin(&message, QR_RD_RA, 1, 0, "_imaps._tcp.example.test", DNS_SRV);
    add_rr(&message, "_imaps._tcp.example.test", DNS_SRV, 60, BYTES("\0\1\0\2\3"));
    parse(DNS_SRV);
    assert_int_equal(answer.outcome, DNS_FAILED); /* cut short */
}

static void the_null_exchanger_has_an_empty_host(void **state)
{
    begin(&message, QR_RD_RA, 1, 0, "example.test", DNS_MX);
    add_named(&message, "example.test", DNS_MX, 300, 0, "");
    parse(DNS_MX);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_string_equal(answer.records[0].host, "");
}

static void the_strings_of_a_text_are_joined(void **state)
{
    begin(&message, QR_RD_RA, 1, 0, "example.test", DNS_TXT);
    add_rr(&message, "example.test", DNS_TXT, 60, BYTES("\7v=spf1 \4-all\0\3a\0b"));
    parse(DNS_TXT);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_string_equal(answer.records[0].text, "v=spf1 -alla?b");
}

static void a_long_text_is_cut_and_says_so(void **state)
{
    char data[256 * 9];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i % 256 ? 'x' : (char)255;
    begin(&message, QR_RD_RA, 1, 0, "example.test", DNS_TXT);
    add_rr(&message, "example.test", DNS_TXT, 60, bytes(data, sizeof data));
    parse(DNS_TXT);
    assert_int_equal(strlen(answer.records[0].text), DNS_TEXT_MAX - 1);
    assert_true(answer.cut);
}

static void records_beyond_the_limit_are_cut(void **state)
{
    begin(&message, QR_RD_RA, DNS_RECORDS_MAX + 1, 0, "example.test", DNS_A);
    for (int i = 0; i <= DNS_RECORDS_MAX; i++)
        add_rr(&message, "example.test", DNS_A, 60, BYTES("\300\0\2\1"));
    parse(DNS_A);
    assert_int_equal(answer.count, DNS_RECORDS_MAX);
    assert_true(answer.cut);
    assert_string_equal(answer.records[15].address, "192.0.2.1");
}

static void aliases_are_followed_in_any_order(void **state)
{
    begin(&message, QR_RD_RA, 3, 0, "a.test", DNS_AAAA);
    add_rr(&message, "c.test", DNS_AAAA, 50, BYTES(" \1\r\270\0\0\0\0\0\0\0\0\0\0\0\1"));
    add_named(&message, "b.test", DNS_CNAME, 10, -1, "c.test");
    add_named(&message, "a.test", DNS_CNAME, 20, -1, "b.test");
    parse(DNS_AAAA);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.ttl_s, 10);
    assert_int_equal(answer.chain_count, 2);
    assert_string_equal(answer.chain[0], "b.test");
    assert_string_equal(answer.chain[1], "c.test");
    assert_string_equal(answer.records[0].address, "2001:db8::1");
}

static void a_ring_of_aliases_fails(void **state)
{
    begin(&message, QR_RD_RA, 2, 0, "a.test", DNS_A);
    add_named(&message, "a.test", DNS_CNAME, 20, -1, "b.test");
    add_named(&message, "b.test", DNS_CNAME, 10, -1, "a.test");
    parse(DNS_A);
    assert_int_equal(answer.outcome, DNS_FAILED);
    assert_int_equal(answer.chain_count, 0);
}

static void absence_and_failure_are_told_apart(void **state)
{
    begin(&message, QR_RD_RA | 3, 0, 0, "example.test", DNS_A);
    parse(DNS_A);
    assert_int_equal(answer.outcome, DNS_ABSENT);
    assert_true(answer.nxdomain);
    assert_int_equal(answer.ttl_s, 0);

    begin(&message, QR_RD_RA, 0, 0, "example.test", DNS_A);
    parse(DNS_A);
    assert_int_equal(answer.outcome, DNS_ABSENT);
    assert_false(answer.nxdomain);

    static const unsigned rcodes[] = {1, 2, 4, 5, 9};
    for (size_t i = 0; i < 5; i++) {
        begin(&message, QR_RD_RA | rcodes[i], 0, 0, "example.test", DNS_A);
        parse(DNS_A);
        assert_int_equal(answer.outcome, DNS_FAILED);
        assert_true(strlen(answer.reason) > 0);
    }
}

static void a_referral_is_not_absence(void **state)
{
    begin(&message, 0x8000, 0, 1, "example.test", DNS_A);
    add_named(&message, "test", 2, 60, -1, "ns.test");
    parse(DNS_A);
    assert_int_equal(answer.outcome, DNS_FAILED);

    begin(&message, 0x8400, 1, 0, "example.test", DNS_A);
    add_named(&message, "example.test", DNS_CNAME, 60, -1, "elsewhere.invalid");
    parse(DNS_A);
    assert_int_equal(answer.outcome, DNS_FAILED);

    /* The same from a server that looks further: nothing is there. */
    begin(&message, 0x8480, 1, 0, "example.test", DNS_A);
    add_named(&message, "example.test", DNS_CNAME, 60, -1, "elsewhere.invalid");
    parse(DNS_A);
    assert_int_equal(answer.outcome, DNS_ABSENT);
    assert_int_equal(answer.chain_count, 1);
}

static void each_cut_and_flip_of_a_message_is_survived(void **state)
{
    begin(&message, QR_RD_RA, 3, 0, "a.test", DNS_MX);
    add_named(&message, "a.test", DNS_CNAME, 20, -1, "b.test");
    add_named(&message, "b.test", DNS_MX, 20, 1, "c.test");
    add_rr(&message, "b.test", DNS_MX, 20, BYTES("\0\2\1d\300\14"));
    parse(DNS_MX);
    assert_int_equal(answer.count, 2);
    assert_string_equal(answer.records[1].host, "d.a.test");
    _cleanup_(flz_buf_deinit) struct flz_buf whole = FLZ_BUF_NULL;
    flz_buf_add_view(&whole, flz_buf_view(&message));
    for (size_t n = 0; n < whole.len; n++) {
        /* A copy of its own, so that a read past the end is seen. */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, whole.data, n);
        cut = realloc(cut, n ? n : 1);
        dns_answer_deinit(&answer);
        dns_answer_parse((struct flz_view){cut, n}, DNS_MX, &answer);
        assert_int_equal(answer.outcome, DNS_FAILED);
        free(cut);
    }
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        flz_buf_reset(&message);
        flz_buf_add_view(&message, flz_buf_view(&whole));
        message.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        parse(DNS_MX);
        assert_true(answer.outcome == DNS_FAILED || !*answer.reason);
    }
}

static void damaged_data_fails(void **state)
{
    static const struct {
        enum dns_type type;
        const char *data;
        size_t len;
    } cases[] = {
        {DNS_A, "\1\2\3", 3},         {DNS_AAAA, "\1\2\3\4", 4}, {DNS_MX, "\0\1", 2},
        {DNS_MX, "\0\1\1a\0\0", 6},   {DNS_TXT, "", 0},          {DNS_TXT, "\5abc", 4},
        {DNS_PTR, "\1a\0\0", 4},      {DNS_PTR, "\300\377", 2},  {DNS_CNAME, "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&message, QR_RD_RA, 1, 0, "example.test", cases[i].type);
        add_rr(&message, "example.test", cases[i].type, 60, bytes(cases[i].data, cases[i].len));
        parse(cases[i].type);
        assert_int_equal(answer.outcome, DNS_FAILED);
        assert_int_equal(answer.count, 0);
    }
    begin(&message, QR_RD_RA, 0, 0, "example.test", DNS_A);
    parse(DNS_MX);
    assert_string_equal(answer.reason, "answer to another question");
}

static void reverse_names(void **state)
{
    char name[FLZ_DOMAIN_MAX];
    assert_int_equal(dns_reverse_name("192.0.2.1", NULL, name), 0);
    assert_string_equal(name, "1.2.0.192.in-addr.arpa");
    assert_int_equal(dns_reverse_name("192.0.2.1", "zen.example.test", name), 0);
    assert_string_equal(name, "1.2.0.192.zen.example.test");
    assert_int_equal(dns_reverse_name("2001:db8::1", NULL, name), 0);
    assert_string_equal(
        name, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    assert_int_equal(dns_reverse_name("192.0.2", NULL, name), -EINVAL);
    assert_int_equal(dns_reverse_name("192.0.2.1", "a b", name), -EINVAL);
}

/* ---- A name server on the loop ---- */

struct server {
    uv_udp_t udp;
    char address[64];
    struct flz_buf answer; /* sent with the id of the question; empty: silence */
    unsigned questions;
    uint8_t room[2048];
};

static uv_loop_t loop;
static struct server server;
static struct dns *dns;

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    *buf = uv_buf_init((char *)server.room, sizeof server.room);
}

static void on_question(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    if (n <= 0)
        return;
    server.questions++;
    if (server.answer.len == 0)
        return;
    memcpy(server.answer.data, server.room, 2);
    uv_buf_t out = uv_buf_init((char *)server.answer.data, (unsigned)server.answer.len);
    assert_int_equal(uv_udp_try_send(udp, &out, 1, from), (int)server.answer.len);
}

static int setup(void **state)
{
    struct sockaddr_in at;
    int len = sizeof at;
    memset(&server, 0, sizeof server);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_udp_init(&loop, &server.udp), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
    assert_int_equal(uv_udp_bind(&server.udp, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_udp_getsockname(&server.udp, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(server.address, sizeof server.address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(uv_udp_recv_start(&server.udp, on_alloc, on_question), 0);
    uv_unref((uv_handle_t *)&server.udp);
    struct dns_options options = {server.address, .timeout_ms = 150, .tries = 2};
    return dns_new(&loop, options, &dns, NULL);
}

static int teardown(void **state)
{
    dns = dns_free(dns);
    uv_close((uv_handle_t *)&server.udp, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    flz_buf_deinit(&server.answer);
    return uv_loop_close(&loop);
}

struct seen {
    unsigned calls;
    enum dns_outcome outcome;
    char host[FLZ_DOMAIN_MAX];
    const char *reason;
};

static void on_answer(const struct dns_answer *got, void *data)
{
    struct seen *seen = data;
    seen->calls++;
    seen->outcome = got->outcome;
    seen->reason = got->reason;
    if (got->count > 0)
        memcpy(seen->host, got->records[0].host, sizeof seen->host);
}

static void a_question_is_answered_over_the_loop(void **state)
{
    struct seen seen = {0};
    begin(&server.answer, QR_RD_RA, 1, 0, "example.test", DNS_MX);
    add_named(&server.answer, "example.test", DNS_MX, 300, 0, "mx.example.test");
    assert_int_equal(dns_query(dns, "example.test", DNS_MX, on_answer, &seen), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.outcome, DNS_FOUND);
    assert_string_equal(seen.host, "mx.example.test");
}

static void a_missing_name_is_absent_and_a_refusal_is_not(void **state)
{
    struct seen seen = {0};
    begin(&server.answer, QR_RD_RA | 3, 0, 0, "example.test", DNS_TXT);
    assert_int_equal(dns_query(dns, "example.test", DNS_TXT, on_answer, &seen), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.outcome, DNS_ABSENT);

    begin(&server.answer, QR_RD_RA | 5, 0, 0, "example.test", DNS_TXT);
    assert_int_equal(dns_query(dns, "example.test", DNS_TXT, on_answer, &seen), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 2);
    assert_int_equal(seen.outcome, DNS_FAILED);
    assert_true(strlen(seen.reason) > 0);
}

static void silence_fails_after_the_tries(void **state)
{
    struct seen seen = {0};
    uint64_t start = uv_hrtime();
    assert_int_equal(dns_query(dns, "example.test", DNS_A, on_answer, &seen), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.outcome, DNS_FAILED);
    assert_int_equal(server.questions, 2);
    assert_true(uv_hrtime() - start < UINT64_C(3000000000));
}

static void open_questions_are_cancelled_when_it_is_freed(void **state)
{
    struct seen seen = {0};
    for (int i = 0; i < DNS_QUERIES_MAX; i++)
        assert_int_equal(dns_query(dns, "example.test", DNS_A, on_answer, &seen), 0);
    assert_int_equal(dns_query(dns, "example.test", DNS_A, on_answer, &seen), DNS_E_FULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    dns = dns_free(dns);
    assert_int_equal(seen.calls, DNS_QUERIES_MAX);
    assert_int_equal(seen.outcome, DNS_FAILED);
    assert_string_equal(seen.reason, "cancelled");
}

static void free_it(const struct dns_answer *got, void *data)
{
    on_answer(got, data);
    dns = dns_free(dns);
}

static void it_may_be_freed_from_an_answer(void **state)
{
    struct seen first = {0}, others = {0};
    begin(&server.answer, QR_RD_RA, 0, 0, "example.test", DNS_A);
    assert_int_equal(dns_query(dns, "example.test", DNS_A, free_it, &first), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(dns_query(dns, "example.test", DNS_A, on_answer, &others), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(first.calls, 1);
    assert_int_equal(others.calls, 10);
    assert_null(dns);
}

static void names_that_are_none_are_refused(void **state)
{
    struct seen seen = {0};
    static const char *const names[] = {
        "", ".", "a..b", ".a", "a b", "a\r\nb", "a\\.b", "caf\303\251.test",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(dns_query(dns, names[i], DNS_A, on_answer, &seen), -EINVAL);
    assert_int_equal(seen.calls, 0);
}

static void a_bad_list_of_servers_is_refused(void **state)
{
    static const char *const lists[] = {
        "nonsense", "127.0.0.1:99999999", "127.0.0.1:0", "127.0.0.1,,127.0.0.2", "[::1", "[::1]53",
        "::1:x",
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        struct dns *none = NULL;
        struct dns_options options = {.servers = lists[i]};
        assert_int_equal(dns_new(&loop, options, &none, &msg), -EINVAL);
        assert_non_null(strstr(msg.text, lists[i]));
    }
}

static int cleanup(void **state)
{
    flz_buf_deinit(&message);
    dns_answer_deinit(&answer);
    return 0;
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchangers_are_sorted_and_lower_case),
        cmocka_unit_test(services_tell_host_and_port),
        cmocka_unit_test(the_null_exchanger_has_an_empty_host),
        cmocka_unit_test(the_strings_of_a_text_are_joined),
        cmocka_unit_test(a_long_text_is_cut_and_says_so),
        cmocka_unit_test(records_beyond_the_limit_are_cut),
        cmocka_unit_test(aliases_are_followed_in_any_order),
        cmocka_unit_test(a_ring_of_aliases_fails),
        cmocka_unit_test(absence_and_failure_are_told_apart),
        cmocka_unit_test(a_referral_is_not_absence),
        cmocka_unit_test(each_cut_and_flip_of_a_message_is_survived),
        cmocka_unit_test(damaged_data_fails),
        cmocka_unit_test(reverse_names),
        ON_LOOP(a_question_is_answered_over_the_loop),
        ON_LOOP(a_missing_name_is_absent_and_a_refusal_is_not),
        ON_LOOP(silence_fails_after_the_tries),
        ON_LOOP(open_questions_are_cancelled_when_it_is_freed),
        ON_LOOP(it_may_be_freed_from_an_answer),
        ON_LOOP(names_that_are_none_are_refused),
        ON_LOOP(a_bad_list_of_servers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
