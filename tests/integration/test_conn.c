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
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define PASSWORD "s3cret-pass"
#define PLAIN_B64 "AGFsaWNlAHMzY3JldC1wYXNz" /* \0alice\0s3cret-pass */

static char certs[64];
static uv_loop_t loop;
static struct conn_pool *pool;

static int set_up(void **state)
{
    testcert_make(certs);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(conn_pool_new(&loop, testcert_path(certs, TESTCERT_CA), NULL, &pool), 0);
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
#define CURL_TLS MS_SAY("220 hi\r\n"), MS_HEAR("EHLO client.test"), MS_SAY("250-mail.test\r\n250 AUTH PLAIN\r\n")
#define CURL_STARTTLS                                                                              \
    MS_SAY("220 hi\r\n"), MS_HEAR("EHLO client.test"),                                             \
        MS_SAY("250-mail.test\r\n250 STARTTLS\r\n"), MS_HEAR("STARTTLS"), MS_SAY("220 go\r\n"), MS_TLS, \
        MS_HEAR("EHLO client.test"), MS_SAY("250-mail.test\r\n250 AUTH PLAIN\r\n")
#define OURS_EHLO                                                                                  \
    MS_HEAR("EHLO client.test"),                                                                   \
        MS_SAY("250-mail.test\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n")
#define OURS_AUTH MS_HEAR("AUTH PLAIN " PLAIN_B64), MS_SAY("235 2.7.0 in\r\n")
#define OURS_SEND                                                                                  \
    MS_HEAR("MAIL FROM:<alice@a.test> SIZE=22 RET=HDRS ENVID=task-1"),                             \
        MS_HEAR("RCPT TO:<bob@b.test> NOTIFY=FAILURE,DELAY"), MS_HEAR("DATA"),                     \
        MS_SAY("250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"), MS_HEAR("Subject: x"), MS_HEAR(""),   \
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
    static const struct mailserver_step script[] = {CURL_TLS,  OURS_EHLO, OURS_AUTH,
                                                    OURS_SEND, OURS_QUIT};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_accepted_over_tls),
        cmocka_unit_test(a_message_is_accepted_over_starttls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
