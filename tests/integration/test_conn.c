/*
 * node/io/conn and node/core/smtp against a scripted server: what libcurl says, every way a
 * connection can end, and each stage of SMTP failing in each way. E-20, E-25, E-27.
 */
#include "common/base/address.h"
#include "node/io/conn.h"
#include "tests/lib/mailserver.h"
#include "tests/lib/smtpdrive.h"
#include "tests/lib/testcert.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define PASSWORD "s3cret-pass"
#define PLAIN_B64 "AGFsaWNlAHMzY3JldC1wYXNz" /* \0alice\0s3cret-pass */

static char certs[64];
static uv_loop_t loop;
static struct conn_pool *pool;

static bool is_denied(const char *name)
{
    return strcmp(name, "imap.gmail.com") == 0 || strcmp(name, "google.com") == 0;
}

static int set_up(void **state)
{
    testcert_make(certs);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(conn_pool_new(&loop, testcert_path(certs, TESTCERT_CA), NULL, &pool), 0);
    conn_pool_deny(pool, is_denied, "not talked to");
    return 0;
}

static int tear_down(void **state)
{
    assert_int_equal(conn_pool_count(pool), 0);
    pool = conn_pool_free(pool);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    testcert_remove(certs);
    return 0;
}

static struct mailserver *serve(const struct mailserver_step *script, size_t steps, bool tls,
                                const char *cert)
{
    return mailserver_start(&(struct mailserver_options){
        .script = script, .steps = steps, .tls = tls, .cert = testcert_path(certs, cert)});
}

static struct smtpdrive drive_to(const struct mailserver *server, enum conn_scheme scheme)
{
    return (struct smtpdrive){
        .target = {.scheme = scheme,
                   .host = "mail.test",
                   .port = mailserver_port(server),
                   .ip = "127.0.0.1",
                   .ehlo_name = "client.test",
                   .connect_timeout_ms = 1500},
        .user = "alice",
        .password = PASSWORD,
        .from = "alice@a.test",
        .to = "bob@b.test",
        .body = "Subject: x\r\n\r\n.hello\r\n",
        .timeout_ms = 400,
    };
}

static void run(const struct smtpdrive *drive, struct smtpdrive_outcome *outcome)
{
    smtpdrive_run(&loop, pool, drive, outcome);
}

/* What libcurl says by itself, and then one message. */
#define CURL_TLS                                                                                   \
    MS_SAY("220 hi\r\n"), MS_HEAR("EHLO client.test"), MS_SAY("250-mail.test\r\n250 AUTH PLAIN\r\n")
#define CURL_STARTTLS                                                                              \
    MS_SAY("220 hi\r\n"), MS_HEAR("EHLO client.test"),                                             \
        MS_SAY("250-mail.test\r\n250 STARTTLS\r\n"), MS_HEAR("STARTTLS"), MS_SAY("220 go\r\n"),    \
        MS_TLS, MS_HEAR("EHLO client.test"), MS_SAY("250-mail.test\r\n250 AUTH PLAIN\r\n")
#define OURS_EHLO                                                                                  \
    MS_HEAR("EHLO client.test"), MS_SAY("250-mail.test\r\n250-PIPELINING\r\n250-SIZE "             \
                                        "100000\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n")
#define OURS_AUTH MS_HEAR("AUTH PLAIN " PLAIN_B64), MS_SAY("235 2.7.0 in\r\n")
#define OURS_SEND                                                                                  \
    MS_HEAR("MAIL FROM:<alice@a.test> SIZE=22 RET=HDRS ENVID=task-1"),                             \
        MS_HEAR("RCPT TO:<bob@b.test> NOTIFY=FAILURE,DELAY"), MS_HEAR("DATA"),                     \
        MS_SAY("250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"), MS_HEAR("Subject: x"), MS_HEAR(""),  \
        MS_HEAR("..hello"), MS_HEAR("."), MS_SAY("250 2.0.0 queued\r\n")
#define OURS_QUIT MS_HEAR("QUIT"), MS_SAY("221 bye\r\n")

static void assert_accepted(const struct mailserver *server, const struct smtpdrive_outcome *out)
{
    assert_null(mailserver_failure(server));
    assert_string_equal(out->words, "");
    assert_true(out->opened);
    assert_int_equal(out->result.verdict, SMTP_ACCEPTED);
    assert_int_equal(out->result.reply.code, 250);
    assert_string_equal(out->result.reply.text, "2.0.0 queued");
    assert_true(out->quit);
    assert_int_equal(out->dones, 1);
}

static void a_message_is_accepted_over_tls(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, OURS_EHLO, OURS_AUTH, OURS_SEND,
                                                    OURS_QUIT};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    run(&drive, &out);
    assert_accepted(server, &out);
    assert_string_equal(out.peer.tls, "TLSv1.3");
    assert_string_equal(out.peer.address, "127.0.0.1");
    assert_string_equal(out.peer.issuer, "/CN=FluenzR test CA");
    assert_true(out.peer.expires_ms > 1700000000000);
    assert_int_equal(mailserver_connections(server), 1);
    server = mailserver_stop(server);
}

static void a_message_is_accepted_over_starttls(void **state)
{
    static const struct mailserver_step script[] = {CURL_STARTTLS, OURS_EHLO, OURS_AUTH, OURS_SEND,
                                                    OURS_QUIT};
    struct mailserver *server = serve(script, MS_COUNT(script), false, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTP);
    struct smtpdrive_outcome out;
    run(&drive, &out);
    assert_accepted(server, &out);
    assert_non_null(out.peer.tls);
    server = mailserver_stop(server);
}

/* ---- each stage of SMTP failing in each way (E-20) ---- */

enum fault { TEMP, PERM, DROP, RESET, HANG, GARBAGE, FLOOD, DRIP, FAULTS };
static const char *const fault_names[] = {"4xx",  "5xx",     "drop",  "reset",
                                          "hang", "garbage", "flood", "drip"};

enum place {
    CONNECT,
    BANNER,
    CURL_EHLO,
    STARTTLS,
    EHLO,
    AUTH,
    MAIL,
    RCPT,
    DATA,
    BODY,
    DOT,
    QUIT,
    PLACES
};
static const struct {
    const char *name;
    struct mailserver_step hear;
    struct mailserver_step say;
    struct mailserver_step drip;
} places[] = {
#define PLACE(name, hear, text)                                                                    \
    {                                                                                              \
        name, hear, MS_SAY(text), MS_DRIP(text)                                                    \
    }
    [CONNECT] = {"connect"},
    [BANNER] = PLACE("banner", {0}, "220-hi\r\n220 there\r\n"),
    [CURL_EHLO] = PLACE("libcurl's ehlo", MS_HEAR("EHLO"), "250-mail.test\r\n250 STARTTLS\r\n"),
    [STARTTLS] = PLACE("starttls", MS_HEAR("STARTTLS"), "220 go\r\n"),
    [EHLO] = PLACE("ehlo", MS_HEAR("EHLO"), "250-mail.test\r\n250 AUTH PLAIN\r\n"),
    [AUTH] = PLACE("auth", MS_HEAR("AUTH PLAIN " PLAIN_B64), "235 2.7.0 in\r\n"),
    [MAIL] = PLACE("mail", MS_HEAR("MAIL"), "250 2.1.0 ok\r\n"),
    [RCPT] = PLACE("rcpt", MS_HEAR("RCPT"), "250 2.1.5 ok\r\n"),
    [DATA] = PLACE("data", MS_HEAR("DATA"), "354 go\r\n"),
    [BODY] = {"body", MS_HEAR_OCTETS(10)},
    [DOT] = PLACE("dot", MS_HEAR_BODY, "250 2.0.0 queued\r\n"),
    [QUIT] = PLACE("quit", MS_HEAR("QUIT"), "221 bye\r\n"),
#undef PLACE
};

static struct mailserver_step step_of(enum fault fault, enum place place)
{
    switch (fault) {
    case TEMP: return MS_SAY("450 4.2.0 not now\r\n");
    case PERM: return MS_SAY("550 5.7.1 no\r\n");
    case DROP: return MS_CLOSE;
    case RESET: return MS_RESET;
    case HANG: return MS_HANG;
    case GARBAGE: return MS_SAY("SSH-2.0-OpenSSH_9.2\r\n");
    case FLOOD: return MS_FLOOD("250-and so on\r\n");
    case DRIP:
    case FAULTS: break;
    }
    return places[place].drip;
}

/* The dialogue up to the fault and, for the one that is none, behind it. */
static size_t make_script(enum place at, enum fault fault, bool starttls, bool pipelining,
                          struct mailserver_step *script)
{
    size_t n = 0;
    for (int place = BANNER; place < PLACES; place++) {
        if ((place == STARTTLS && !starttls) || (place == BODY && at != BODY))
            continue;
        bool later = pipelining && (place == RCPT || place == DATA);
        if (places[place].hear.op != MS_OP_END && !later)
            script[n++] = places[place].hear;
        if (pipelining && place == MAIL) {
            script[n++] = places[RCPT].hear;
            script[n++] = places[DATA].hear;
        }
        if ((int)at == place) {
            script[n++] = step_of(fault, at);
            if (fault != DRIP)
                return n;
        } else if (place == EHLO && pipelining) {
            script[n++] = MS_SAY("250-mail.test\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n");
        } else {
            script[n++] = places[place].say;
        }
        if (place == STARTTLS) {
            script[n++] = MS_TLS;
            script[n++] = places[CURL_EHLO].hear;
            script[n++] = MS_SAY("250 mail.test\r\n");
        }
    }
    return n;
}

static enum smtp_verdict wanted_verdict(enum place at, enum fault fault)
{
    if (fault == DRIP || at == QUIT)
        return SMTP_ACCEPTED;
    if (at >= MAIL && at != BODY && (fault == TEMP || fault == PERM))
        return fault == TEMP ? SMTP_REFUSED_TEMP : SMTP_REFUSED_PERM;
    return at == DOT ? SMTP_UNKNOWN : SMTP_NOT_SENT;
}

static void check_case(enum place at, enum fault fault, bool starttls, bool pipelining)
{
    struct mailserver_step script[64];
    size_t steps = make_script(at, fault, starttls, pipelining, script);
    struct mailserver *server = serve(script, steps, !starttls, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, starttls ? CONN_SMTP : CONN_SMTPS);
    struct smtpdrive_outcome out;
    drive.target.connect_timeout_ms = 700;
    drive.timeout_ms = 250;
    drive.hold = at == BODY;
    run(&drive, &out);

    bool begun = at >= MAIL || fault == DRIP;
    enum smtp_verdict wanted = wanted_verdict(at, fault);
    if ((begun && out.result.verdict != wanted) || mailserver_failure(server))
        print_error("%s at %s%s%s: %s, end %s (%s), server: %s\n", fault_names[fault],
                    places[at].name, starttls ? ", STARTTLS" : "", pipelining ? ", pipelined" : "",
                    smtp_verdict_str(out.result.verdict), conn_end_str(out.end), out.words,
                    mailserver_failure(server) ? mailserver_failure(server) : "-");
    assert_null(mailserver_failure(server));
    assert_int_equal(mailserver_connections(server), 1);
    assert_int_equal(out.dones, begun ? 1 : 0);
    if (begun)
        assert_int_equal(out.result.verdict, wanted);
    else
        assert_true(out.result.verdict != SMTP_ACCEPTED && out.result.verdict != SMTP_UNKNOWN);
    assert_int_equal(mailserver_bodies(server), at >= DOT || fault == DRIP ? 1 : 0);
    assert_int_equal(out.opened, at >= EHLO || fault == DRIP);
    if (at < AUTH && fault != DRIP)
        assert_false(mailserver_heard(server, PLAIN_B64));
    server = mailserver_stop(server);
}

static void only_a_fault_at_the_dot_leaves_the_outcome_unknown(void **state)
{
    for (int at = BANNER; at < PLACES; at++)
        for (int fault = 0; fault < FAULTS; fault++) {
            if (at == BODY && fault == DRIP)
                continue;
            if (at <= EHLO)
                check_case((enum place)at, (enum fault)fault, true, false);
            if (at != STARTTLS)
                check_case((enum place)at, (enum fault)fault, false, false);
            if (at >= MAIL)
                check_case((enum place)at, (enum fault)fault, false, true);
        }
}

static void a_recipient_refused_behind_a_pipeline_costs_the_connection_not_a_dot(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS,
                                                    OURS_EHLO,
                                                    OURS_AUTH,
                                                    MS_HEAR("MAIL"),
                                                    MS_HEAR("RCPT"),
                                                    MS_HEAR("DATA"),
                                                    MS_SAY("250 ok\r\n550 5.1.1 no\r\n354 go\r\n"),
                                                    MS_HEAR("anything"),
                                                    MS_SAY("250 queued\r\n")};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    run(&drive, &out);
    assert_null(mailserver_failure(server));
    assert_int_equal(out.result.verdict, SMTP_REFUSED_PERM);
    assert_int_equal(out.result.stage, SMTP_STAGE_RCPT);
    assert_false(out.quit);
    assert_false(mailserver_heard(server, "Subject"));
    server = mailserver_stop(server);
}

static void a_dropped_dot_never_reaches_the_server(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS,
                                                    OURS_EHLO,
                                                    OURS_AUTH,
                                                    MS_HEAR("MAIL"),
                                                    MS_HEAR("RCPT"),
                                                    MS_HEAR("DATA"),
                                                    MS_SAY("250 ok\r\n250 ok\r\n354 go\r\n"),
                                                    MS_HEAR_BODY};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    drive.drop = true;
    run(&drive, &out);
    assert_true(out.dot);
    assert_int_equal(out.result.verdict, SMTP_NOT_SENT);
    assert_int_equal(mailserver_bodies(server), 0);
    server = mailserver_stop(server);
}

static void other_mechanisms_and_session_commands_work(void **state)
{
    static const struct mailserver_step login[] = {CURL_TLS,
                                                   MS_HEAR("EHLO"),
                                                   MS_SAY("250-hi\r\n250 AUTH LOGIN XOAUTH2\r\n"),
                                                   MS_HEAR("AUTH LOGIN"),
                                                   MS_SAY("334 VXNlcm5hbWU6\r\n"),
                                                   MS_HEAR("YWxpY2U="),
                                                   MS_SAY("334 UGFzc3dvcmQ6\r\n"),
                                                   MS_HEAR("czNjcmV0LXBhc3M="),
                                                   MS_SAY("235 in\r\n"),
                                                   MS_HEAR("NOOP"),
                                                   MS_SAY("250 ok\r\n"),
                                                   MS_HEAR("RSET"),
                                                   MS_SAY("250 ok\r\n"),
                                                   OURS_QUIT};
    static const struct mailserver_step token[] = {
        CURL_TLS,
        MS_HEAR("EHLO"),
        MS_SAY("250-hi\r\n250 AUTH LOGIN XOAUTH2\r\n"),
        MS_HEAR("AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciBzM2NyZXQtcGFzcwEB"),
        MS_SAY("334 eyJzdGF0dXMiOiI0MDAifQ==\r\n"),
        MS_HEAR(""),
        MS_SAY("535 5.7.3 no\r\n"),
        OURS_QUIT};
    struct smtpdrive_outcome out;
    struct mailserver *server = serve(login, MS_COUNT(login), true, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    drive.noop = true;
    drive.from = NULL;
    run(&drive, &out);
    assert_null(mailserver_failure(server));
    assert_true(out.quit);
    server = mailserver_stop(server);

    server = serve(token, MS_COUNT(token), true, TESTCERT_GOOD);
    drive = drive_to(server, CONN_SMTPS);
    drive.token = true;
    run(&drive, &out);
    assert_null(mailserver_failure(server));
    assert_true(out.auth_refused);
    assert_string_equal(out.result.challenge, "{\"status\":\"400\"}");
    server = mailserver_stop(server);
}

/* ---- certificates and STARTTLS (E-27) ---- */

static void a_wrong_certificate_is_refused_and_no_credential_leaves(void **state)
{
    static const struct mailserver_step tls[] = {CURL_TLS, OURS_EHLO, OURS_AUTH, OURS_SEND,
                                                 OURS_QUIT};
    static const struct mailserver_step starttls[] = {CURL_STARTTLS, OURS_EHLO, OURS_AUTH,
                                                      OURS_SEND, OURS_QUIT};
    static const struct {
        const char *cert;
        enum conn_end end;
        const char *words;
    } rows[] = {
        {TESTCERT_EXPIRED, CONN_END_EXPIRED, "certificate has expired"},
        {TESTCERT_WRONG_HOST, CONN_END_NAME, "mail.test"},
        {TESTCERT_FOREIGN, CONN_END_UNTRUSTED, "unable to get local issuer certificate"},
        {TESTCERT_SELF, CONN_END_UNTRUSTED, "self-signed certificate"},
        /* A name of our own for somebody else's server, and a certificate that has both. */
        {TESTCERT_GOOGLE, CONN_END_DENIED, "certificate is of imap.gmail.com: not talked to"},
        {TESTCERT_BOTH, CONN_END_DENIED, "certificate is of google.com: not talked to"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int implicit = 0; implicit <= 1; implicit++) {
            struct mailserver *server =
                implicit ? serve(tls, MS_COUNT(tls), true, rows[i].cert)
                         : serve(starttls, MS_COUNT(starttls), false, rows[i].cert);
            struct smtpdrive drive = drive_to(server, implicit ? CONN_SMTPS : CONN_SMTP);
            struct smtpdrive_outcome out;
            run(&drive, &out);
            if (out.end != rows[i].end || !strstr(out.words, rows[i].words))
                print_error("%s: %s: %s\n", rows[i].cert, conn_end_str(out.end), out.words);
            assert_false(out.opened);
            assert_int_equal(out.end, rows[i].end);
            assert_non_null(strstr(out.words, rows[i].words));
            assert_false(mailserver_heard(server, "AUTH"));
            assert_false(mailserver_heard(server, PLAIN_B64));
            assert_false(mailserver_heard(server, "MAIL"));
            server = mailserver_stop(server);
        }
}

static void starttls_cannot_be_stripped(void **state)
{
    static const struct mailserver_step absent[] = {
        MS_SAY("220 hi\r\n"), MS_HEAR("EHLO"), MS_SAY("250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"),
        MS_HANG};
    static const struct mailserver_step refused[] = {
        MS_SAY("220 hi\r\n"),
        MS_HEAR("EHLO"),
        MS_SAY("250-mail.test\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
        MS_HEAR("STARTTLS"),
        MS_SAY("454 4.7.0 TLS not available\r\n"),
        MS_HANG};
    static const struct mailserver_step injected[] = {
        MS_SAY("220 hi\r\n"),
        MS_HEAR("EHLO"),
        MS_SAY("250-mail.test\r\n250 STARTTLS\r\n"),
        MS_HEAR("STARTTLS"),
        MS_SAY("220 go\r\n250-mail.test\r\n250 AUTH PLAIN\r\n"),
        MS_TLS,
        MS_HANG};
    static const struct {
        const struct mailserver_step *script;
        size_t steps;
        enum conn_end end;
        const char *server_text;
    } rows[] = {
        {absent, MS_COUNT(absent), CONN_END_STARTTLS, "250 AUTH PLAIN LOGIN"},
        {refused, MS_COUNT(refused), CONN_END_STARTTLS, "454 4.7.0 TLS not available"},
        {injected, MS_COUNT(injected), CONN_END_PROTOCOL, "220 go"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mailserver *server = serve(rows[i].script, rows[i].steps, false, TESTCERT_GOOD);
        struct smtpdrive drive = drive_to(server, CONN_SMTP);
        struct smtpdrive_outcome out;
        run(&drive, &out);
        assert_false(out.opened);
        assert_int_equal(out.end, rows[i].end);
        assert_string_equal(out.server_text, rows[i].server_text);
        assert_false(mailserver_heard(server, "AUTH"));
        server = mailserver_stop(server);
    }
}

static void tls_older_than_1_2_is_refused(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, OURS_EHLO};
    struct mailserver *server =
        mailserver_start(&(struct mailserver_options){.script = script,
                                                      .steps = MS_COUNT(script),
                                                      .tls = true,
                                                      .tls_old = true,
                                                      .cert = testcert_path(certs, TESTCERT_GOOD)});
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    run(&drive, &out);
    assert_false(out.opened);
    assert_int_equal(out.end, CONN_END_TLS);
    server = mailserver_stop(server);
}

static void a_clear_server_on_a_tls_port_is_no_tls(void **state)
{
    static const struct mailserver_step script[] = {MS_SAY("220 hi\r\n"), MS_HANG};
    struct mailserver *server = serve(script, MS_COUNT(script), false, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    run(&drive, &out);
    assert_int_equal(out.end, CONN_END_TLS);
    server = mailserver_stop(server);
}

/* ---- other ends ---- */

static void a_greeting_that_refuses_is_told_in_the_servers_words(void **state)
{
    static const struct mailserver_step busy[] = {MS_SAY("421 4.7.0 too many connections\r\n")};
    static const struct mailserver_step ehlo[] = {MS_SAY("220 hi\r\n"), MS_HEAR("EHLO"),
                                                  MS_SAY("550 5.7.1 not you\r\n"), MS_HEAR("HELO"),
                                                  MS_SAY("550 5.7.1 nor so\r\n")};
    static const struct {
        const struct mailserver_step *script;
        size_t steps;
        const char *text;
    } rows[] = {{busy, MS_COUNT(busy), "421 4.7.0 too many connections"},
                {ehlo, MS_COUNT(ehlo), "550 5.7.1 nor so"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mailserver *server = serve(rows[i].script, rows[i].steps, true, TESTCERT_GOOD);
        struct smtpdrive drive = drive_to(server, CONN_SMTPS);
        struct smtpdrive_outcome out;
        run(&drive, &out);
        assert_int_equal(out.end, CONN_END_GREETING);
        assert_string_equal(out.server_text, rows[i].text);
        assert_non_null(strstr(out.words, rows[i].text));
        server = mailserver_stop(server);
    }
}

static void nobody_there_and_no_such_name_are_told_apart(void **state)
{
    static const struct mailserver_step script[] = {MS_CLOSE};
    struct mailserver *server = serve(script, MS_COUNT(script), false, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    server = mailserver_stop(server);
    run(&drive, &out);
    assert_int_equal(out.end, CONN_END_REFUSED);

    /* A label of more than 63 octets: no resolver asks anybody for it. */
    drive.target.ip = NULL;
    drive.target.host =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test";
    run(&drive, &out);
    assert_int_equal(out.end, CONN_END_RESOLVE);
}

static void names_are_resolved_when_no_address_is_given(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, OURS_EHLO, OURS_AUTH, OURS_SEND,
                                                    OURS_QUIT};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct smtpdrive drive = drive_to(server, CONN_SMTPS);
    struct smtpdrive_outcome out;
    drive.target.host = "localhost";
    drive.target.ip = NULL;
    run(&drive, &out);
    assert_accepted(server, &out);
    server = mailserver_stop(server);
}

static void options_that_could_inject_are_refused(void **state)
{
    static const struct conn_events events;
    static const struct {
        struct conn_options options;
        int r;
    } rows[] = {
        {{CONN_SMTPS, "", 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, NULL, 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test/x", 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "u:p@a.test", 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test\r\nX", 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test#", 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "[::1]", 465, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test", 0, NULL, NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test", 465, "b.test", NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test", 465, "127.0.0.1:25", NULL, 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test", 465, NULL, "a\r\nMAIL", 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test", 465, NULL, "a%0d", 1000}, -EINVAL},
        {{CONN_SMTPS, "a.test", 465, NULL, NULL, 0}, -EINVAL},
        {{CONN_SMTPS, "a.test", 465, NULL, NULL, 600001}, -EINVAL},
        {{CONN_SMTP_PLAIN, "a.test", 25, NULL, NULL, 1000}, -EPERM},
        {{CONN_SMTP_PLAIN, "a.test", 25, "192.0.2.1", NULL, 1000}, -EPERM},
        {{CONN_SMTP_PLAIN, "a.test", 25, "::2", NULL, 1000}, -EPERM},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conn *conn = NULL;
        assert_int_equal(conn_open(pool, &rows[i].options, &events, NULL, &conn), rows[i].r);
        assert_null(conn);
    }
    struct conn_pool *other = NULL;
    assert_int_equal(conn_pool_new(&loop, "/nonexistent/ca.pem", NULL, &other), -ENOENT);
    assert_null(other);
}

/* ---- bytes ---- */

struct raw {
    struct conn *conn;
    bool opened;
    bool closed;
    bool close_at_data;
    enum conn_end end;
    size_t got;
    size_t enough;
    bool full; /* got >= enough */
    char data[256];
    unsigned drained;
};

static void raw_on_open(struct conn *conn, void *userdata)
{
    ((struct raw *)userdata)->opened = true;
}

static void raw_on_data(struct conn *conn, struct flz_view data, void *userdata)
{
    struct raw *raw = userdata;
    for (size_t i = 0; i < data.len && raw->got + i < sizeof(raw->data) - 1; i++)
        raw->data[raw->got + i] = (char)data.data[i];
    raw->got += data.len;
    raw->full = raw->got >= raw->enough;
    if (raw->close_at_data)
        raw->conn = conn_close(raw->conn);
}

static void raw_on_drained(struct conn *conn, void *userdata)
{
    ((struct raw *)userdata)->drained++;
}

static void raw_on_closed(struct conn *conn, enum conn_end end, const struct flz_msg *msg,
                          void *userdata)
{
    struct raw *raw = userdata;
    assert_false(raw->closed);
    raw->closed = true;
    raw->end = end;
}

static const struct conn_events raw_events = {.on_open = raw_on_open,
                                              .on_data = raw_on_data,
                                              .on_drained = raw_on_drained,
                                              .on_closed = raw_on_closed};

static void raw_open(struct raw *raw, const struct mailserver *server, enum conn_scheme scheme)
{
    struct conn_options options = drive_to(server, scheme).target;
    *raw = (struct raw){.opened = false};
    assert_int_equal(conn_open(pool, &options, &raw_events, raw, &raw->conn), 0);
}

static void on_give_up(uv_timer_t *timer)
{
    fail_msg("nothing happened for 10 s");
}

/* Runs the loop until the flag is set. */
static void run_until(const bool *flag)
{
    uv_timer_t timer;
    (void)uv_timer_init(&loop, &timer);
    (void)uv_timer_start(&timer, on_give_up, 10000, 0);
    while (!*flag)
        (void)uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void run_until_got(struct raw *raw, size_t n)
{
    raw->enough = n;
    raw->full = raw->got >= n;
    run_until(&raw->full);
}

/* What libcurl says to an IMAP server, and that nothing of ours is lost behind it. */
static void an_imap_connection_begins_behind_libcurls_capability(void **state)
{
    static const struct mailserver_step imaps[] = {
        MS_SAY("* OK hi\r\n"),
        MS_HEAR_TAGGED("CAPABILITY"),
        MS_SAY("* CAPABILITY IMAP4rev1\r\n%T OK done\r\n"),
        MS_HEAR("x1 NOOP"),
        MS_SAY("* 1 EXISTS\r\nx1 OK done\r\n"),
        MS_HANG};
    static const struct mailserver_step imap[] = {
        MS_SAY("* OK hi\r\n"),
        MS_HEAR_TAGGED("CAPABILITY"),
        MS_SAY("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n%T OK done\r\n"),
        MS_HEAR_TAGGED("STARTTLS"),
        MS_SAY("%T OK go\r\n"),
        MS_TLS,
        MS_HEAR_TAGGED("CAPABILITY"),
        MS_SAY("* CAPABILITY IMAP4rev1\r\n%T OK done\r\n"),
        MS_HEAR("x1 NOOP"),
        MS_SAY("* 1 EXISTS\r\nx1 OK done\r\n"),
        MS_HANG};
    for (int implicit = 0; implicit <= 1; implicit++) {
        struct mailserver *server = implicit ? serve(imaps, MS_COUNT(imaps), true, TESTCERT_GOOD)
                                             : serve(imap, MS_COUNT(imap), false, TESTCERT_GOOD);
        struct raw raw;
        raw_open(&raw, server, implicit ? CONN_IMAPS : CONN_IMAP);
        run_until(&raw.opened);
        assert_int_equal(conn_send(raw.conn, flz_view_str("x1 NOOP\r\n")), 0);
        run_until_got(&raw, 24);
        assert_string_equal(raw.data, "* 1 EXISTS\r\nx1 OK done\r\n");
        assert_null(mailserver_failure(server));
        raw.conn = conn_close(raw.conn);
        server = mailserver_stop(server);
    }
}

static void an_imap_server_without_starttls_is_not_talked_to(void **state)
{
    static const struct mailserver_step absent[] = {
        MS_SAY("* OK hi\r\n"), MS_HEAR_TAGGED("CAPABILITY"),
        MS_SAY("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%T OK done\r\n"), MS_HANG};
    static const struct mailserver_step preauth[] = {
        MS_SAY("* PREAUTH hi\r\n"), MS_HEAR_TAGGED("CAPABILITY"),
        MS_SAY("* CAPABILITY IMAP4rev1 STARTTLS\r\n%T OK done\r\n"), MS_HANG};
    static const struct mailserver_step bye[] = {MS_SAY("* BYE too many\r\n")};
    static const struct {
        const struct mailserver_step *script;
        size_t steps;
        enum conn_end end;
    } rows[] = {{absent, MS_COUNT(absent), CONN_END_STARTTLS},
                {preauth, MS_COUNT(preauth), CONN_END_STARTTLS},
                {bye, MS_COUNT(bye), CONN_END_GREETING}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mailserver *server = serve(rows[i].script, rows[i].steps, false, TESTCERT_GOOD);
        struct raw raw;
        raw_open(&raw, server, CONN_IMAP);
        run_until(&raw.closed);
        assert_int_equal(raw.end, rows[i].end);
        raw.conn = conn_close(raw.conn);
        server = mailserver_stop(server);
    }
}

static void eight_mebibytes_wait_for_a_slow_server_and_no_more(void **state)
{
    static const struct mailserver_step script[] = {
        CURL_TLS, MS_PAUSE_MS(300), MS_HEAR_OCTETS(5 * 1024 * 1024), MS_SAY("all\r\n"), MS_HANG};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    size_t size = 5 * 1024 * 1024;
    uint8_t *data = calloc(1, CONN_SEND_MAX + 1);
    assert_non_null(data);
    struct raw raw;
    raw_open(&raw, server, CONN_SMTPS);
    assert_int_equal(conn_send(raw.conn, flz_view_str("x")), -ENOTCONN);
    run_until(&raw.opened);
    assert_int_equal(conn_send(raw.conn, (struct flz_view){data, CONN_SEND_MAX + 1}), -ENOBUFS);
    /* In two pieces, so that waiting octets move while a TLS record is being tried again. */
    assert_int_equal(conn_send(raw.conn, (struct flz_view){data, size - 7}), 0);
    assert_true(conn_pending(raw.conn) > 0);
    assert_int_equal(conn_send(raw.conn, (struct flz_view){data, 7}), 0);
    assert_int_equal(conn_send(raw.conn, (struct flz_view){data, CONN_SEND_MAX}), -ENOBUFS);
    run_until_got(&raw, 5);
    assert_string_equal(raw.data, "all\r\n");
    assert_int_equal(raw.drained, 1);
    assert_int_equal(conn_pending(raw.conn), 0);
    free(data);
    raw.conn = conn_close(raw.conn);
    server = mailserver_stop(server);
}

static void a_flood_is_read_without_starving_the_loop_and_can_be_closed_inside(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, MS_FLOOD("0123456789abcdef")};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct raw raw;
    struct raw other;
    raw_open(&raw, server, CONN_SMTPS);
    run_until(&raw.opened);
    raw_open(&other, server, CONN_SMTPS);
    run_until(&other.opened);
    assert_true(raw.got > 0);
    other.close_at_data = true;
    run_until_got(&other, other.got + 1);
    assert_null(other.conn);
    assert_false(raw.closed);
    raw.conn = conn_close(raw.conn);
    server = mailserver_stop(server);
}

/* The words of a server that refuses and goes while we still send are read (send_broken). */
static void a_last_word_is_heard_although_the_server_does_not_read(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, MS_SAY("554 no more\r\n"),
                                                    MS_PAUSE_MS(100), MS_CLOSE};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct raw raw;
    raw_open(&raw, server, CONN_SMTPS);
    run_until(&raw.opened);
    usleep(200000);
    static uint8_t data[256 * 1024];
    for (int i = 0; i < 20; i++) {
        int r = conn_send(raw.conn, (struct flz_view){data, sizeof(data)});
        assert_true(r == 0 || r == -ENOTCONN);
        usleep(1000);
    }
    run_until(&raw.closed);
    assert_string_equal(raw.data, "554 no more\r\n");
    assert_true(raw.end == CONN_END_RESET || raw.end == CONN_END_CLOSED);
    assert_int_equal(conn_send(raw.conn, flz_view_str("x")), -ENOTCONN);
    raw.conn = conn_close(raw.conn);
    server = mailserver_stop(server);
}

/* libcurl looks for dead connections when it opens another, at most once a second, and closes those
 * that have not carried an octet of ours: the loop must not go on watching the descriptor, whose
 * number the next connection gets (N2). */
static struct raw late;
static const struct mailserver *late_server;

static void on_open_late(struct conn *conn, void *userdata)
{
    usleep(1200000);
    raw_open(&late, late_server, CONN_SMTPS);
    usleep(5000); /* libcurl's turn is due before the loop sees the end by itself */
    raw_on_open(conn, userdata);
}

static void a_connection_that_libcurl_finds_dead_is_reported_closed(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, MS_CLOSE};
    static const struct conn_events events = {
        .on_open = on_open_late, .on_data = raw_on_data, .on_closed = raw_on_closed};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct conn_options options = drive_to(server, CONN_SMTPS).target;
    struct raw raw = {.opened = false};
    late_server = server;
    assert_int_equal(conn_open(pool, &options, &events, &raw, &raw.conn), 0);
    run_until(&raw.closed);
    assert_int_equal(raw.end, CONN_END_CLOSED);
    run_until(&late.opened);
    run_until(&late.closed);
    assert_int_equal(late.end, CONN_END_CLOSED);
    raw.conn = conn_close(raw.conn);
    late.conn = conn_close(late.conn);
    server = mailserver_stop(server);
}

static void closing_while_opening_is_silent(void **state)
{
    static const struct mailserver_step script[] = {MS_HANG};
    struct mailserver *server = serve(script, MS_COUNT(script), false, TESTCERT_GOOD);
    for (int turns = 0; turns < 4; turns++) {
        struct raw raw;
        raw_open(&raw, server, CONN_SMTPS);
        for (int i = 0; i < turns; i++)
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        raw.conn = conn_close(raw.conn);
        for (int i = 0; i < 3; i++)
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        assert_false(raw.opened);
        assert_false(raw.closed);
    }
    server = mailserver_stop(server);
}

static void the_pool_refuses_more_connections_than_its_limit(void **state)
{
    static const struct mailserver_step script[] = {CURL_TLS, MS_HANG};
    struct mailserver *server = serve(script, MS_COUNT(script), true, TESTCERT_GOOD);
    struct conn_options options = drive_to(server, CONN_SMTPS).target;
    struct conn_pool *small = NULL;
    struct raw raws[5];
    struct conn *more = NULL;
    /* Two connections a shard: five are three shards. */
    assert_int_equal(conn_pool_new(&loop, testcert_path(certs, TESTCERT_CA),
                                   &(struct conn_limits){.conns_max = 5, .shard_max = 2}, &small),
                     0);
    for (int i = 0; i < 5; i++) {
        raws[i] = (struct raw){.opened = false};
        assert_int_equal(conn_open(small, &options, &raw_events, &raws[i], &raws[i].conn), 0);
    }
    assert_int_equal(conn_open(small, &options, &raw_events, NULL, &more), -EMFILE);
    for (int i = 0; i < 5; i++)
        run_until(&raws[i].opened);
    assert_int_equal(conn_pool_count(small), 5);
    for (int i = 0; i < 5; i++)
        raws[i].conn = conn_close(raws[i].conn);
    small = conn_pool_free(small);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    server = mailserver_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_accepted_over_tls),
        cmocka_unit_test(a_message_is_accepted_over_starttls),
        cmocka_unit_test(only_a_fault_at_the_dot_leaves_the_outcome_unknown),
        cmocka_unit_test(a_recipient_refused_behind_a_pipeline_costs_the_connection_not_a_dot),
        cmocka_unit_test(a_dropped_dot_never_reaches_the_server),
        cmocka_unit_test(other_mechanisms_and_session_commands_work),
        cmocka_unit_test(a_wrong_certificate_is_refused_and_no_credential_leaves),
        cmocka_unit_test(starttls_cannot_be_stripped),
        cmocka_unit_test(tls_older_than_1_2_is_refused),
        cmocka_unit_test(a_clear_server_on_a_tls_port_is_no_tls),
        cmocka_unit_test(a_greeting_that_refuses_is_told_in_the_servers_words),
        cmocka_unit_test(nobody_there_and_no_such_name_are_told_apart),
        cmocka_unit_test(names_are_resolved_when_no_address_is_given),
        cmocka_unit_test(options_that_could_inject_are_refused),
        cmocka_unit_test(an_imap_connection_begins_behind_libcurls_capability),
        cmocka_unit_test(an_imap_server_without_starttls_is_not_talked_to),
        cmocka_unit_test(eight_mebibytes_wait_for_a_slow_server_and_no_more),
        cmocka_unit_test(a_flood_is_read_without_starving_the_loop_and_can_be_closed_inside),
        cmocka_unit_test(a_last_word_is_heard_although_the_server_does_not_read),
        cmocka_unit_test(a_connection_that_libcurl_finds_dead_is_reported_closed),
        cmocka_unit_test(closing_while_opening_is_silent),
        cmocka_unit_test(the_pool_refuses_more_connections_than_its_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
