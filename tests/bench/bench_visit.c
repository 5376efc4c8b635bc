/*
 * IMAP visits a second of one node's engine: `bench_visit [ROUNDS [VISITS]]`, from the top of the
 * tree. Beside it, in the same rounds, Python's imaplib on the same server, once with the same
 * steps and once with the least that moves the message (visits.py; left out, with words, when there
 * is no python3).
 *
 * The server is a Dovecot of the bench's own. A visit is a connection of its own: TLS, login, find
 * one message among twenty-odd by its header, read it, \Seen, file it into a folder, look that both
 * are so, log out. Each session visits a mailbox of its own VISITS times, one visit after the
 * other; the engine's sessions share one thread, imaplib's have a process each. A mailbox is new in
 * each round, and the same for both.
 *
 * Samples: visits a second, CPU of the client and of the server per visit.
 */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/sys/keys.h"
#include "node/visitor.h"
#include "proto/xheader.h"
#include "tests/bench/dovecot.h"
#include "tests/lib/testcert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define SESSIONS_MAX 10
#define FOREIGN 20 /* messages in each mailbox that are none of ours */
#define TABLE "IMAP visits, %u session%s"

static unsigned visits = 40; /* of each session */

struct bench {
    struct dovecot dovecot;
    uv_loop_t loop;
    struct conn_pool *pool;
    const char *ca;
    struct keys_sign_pair issuer;
    struct flz_digest signed_digest; /* stands for the header of each message */
    struct flz_signature signature;
    unsigned running;
};

struct session {
    struct bench *bench;
    struct visitor *visitor;
    char name[32];
    unsigned done;
    unsigned outcomes;
};

/* ---- Mailboxes ---- */

static struct flz_id exchange_of(const char *name, unsigned n)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "bench/exchange");
    flz_hash_add(&hash, name, strlen(name));
    flz_hash_add_u64(&hash, n);
    return flz_hash_id(&hash);
}

static void deliver_ours(const struct bench *bench, const char *name, unsigned n)
{
    char text[4096], value[XHEADER_VALUE_MAX];
    struct xheader header = {.network = flz_id_of_u64(1),
                             .exchange = exchange_of(name, n),
                             .time_ms = 1,
                             .expiry_ms = 2,
                             .key = bench->issuer.id,
                             .signature = bench->signature};
    (void)snprintf(header.message_id, sizeof header.message_id, "m%u.%s@b.test", n, name);
    bench_need(xheader_format(&header, value) == 0, "a header");
    (void)snprintf(text, sizeof text,
                   "From: Bo <bo@b.test>\nTo: %s@a.test\nSubject: The minutes of Monday %u\n"
                   "Date: Mon, 1 Mar 2027 06:00:00 +0000\nMessage-ID: <%s>\n" XHEADER_NAME
                   ": %s\nAuto-Submitted: auto-generated\n\nHello,\n\nhere they are.\n",
                   name, n, header.message_id, value);
    dovecot_deliver(&bench->dovecot, name, n, text);
}

static void fill_mailbox(const struct bench *bench, const char *name)
{
    char text[2048];
    for (unsigned i = 0; i < FOREIGN; i++) {
        (void)snprintf(text, sizeof text,
                       "From: Someone <s%u@c.test>\nTo: %s@a.test\nSubject: Foreign %u\n"
                       "Date: Mon, 1 Mar 2027 05:00:00 +0000\nMessage-ID: <f%u.%s@c.test>\n\nHi.\n",
                       i, name, i, i, name);
        dovecot_deliver(&bench->dovecot, name, 900000 + i, text);
    }
    for (unsigned n = 0; n < visits; n++)
        deliver_ours(bench, name, n);
}

/* The mailboxes NAME0 … of a round. */
static void fill(const struct bench *bench, const char *prefix, unsigned sessions)
{
    char name[32];
    for (unsigned i = 0; i < sessions; i++) {
        (void)snprintf(name, sizeof name, "%s%u", prefix, i);
        fill_mailbox(bench, name);
    }
    dovecot_delivered(&bench->dovecot);
}

/* ---- The engine ---- */

static void begin(struct session *session);

static int on_secret(struct visitor *visitor, struct flz_secret *ret_secret, void *userdata)
{
    return flz_secret_copy(flz_view_str(DOVECOT_PASSWORD), ret_secret);
}

/* The node checks the signature of what was found; so it is paid for here. */
static bool on_verify(struct visitor *visitor, size_t job, const struct header *header,
                      void *userdata)
{
    const struct session *session = userdata;
    const struct bench *bench = session->bench;
    struct xheader read;
    return xheader_parse(flz_view_str(header->x_fluenzr), &read) == 0 &&
           keys_verify_digest(bench->issuer.public_key, bench->signed_digest, read.signature);
}

static void on_outcome(struct visitor *visitor, const struct visit_outcome *outcome, void *userdata)
{
    struct session *session = userdata;
    bench_need(outcome->result == VISIT_DONE, outcome->text[0] ? outcome->text : "a visit's job");
    session->outcomes++;
}

static void on_end(struct visitor *visitor, enum visit_end end, enum conn_end conn,
                   const char *text, void *userdata)
{
    struct session *session = userdata;
    bench_need(end == VISIT_END_DONE && session->outcomes == 3, text);
    session->visitor = visitor_free(visitor);
    if (++session->done < visits)
        begin(session);
    else
        session->bench->running--;
}

static const struct visitor_events events = {
    .on_secret = on_secret, .on_verify = on_verify, .on_outcome = on_outcome, .on_end = on_end};

static void begin(struct session *session)
{
    struct bench *bench = session->bench;
    static const enum visit_job_kind kinds[] = {VISIT_FIND, VISIT_OPEN, VISIT_TIDY};
    struct visit_job jobs[3] = {{.kind = VISIT_FIND}};
    struct visitor_options options = {.endpoint = {.scheme = CONN_IMAPS,
                                                   .host = "localhost",
                                                   .ip = "127.0.0.1",
                                                   .port = bench->dovecot.port},
                                      .user = session->name,
                                      .connect_timeout_ms = 10000};
    for (uint32_t i = 0; i < 3; i++) {
        jobs[i] = (struct visit_job){.id = flz_id_of_u64(i + 1), .kind = kinds[i]};
        jobs[i].look.exchange = exchange_of(session->name, session->done);
        (void)snprintf(jobs[i].look.message_id, sizeof jobs[i].look.message_id, "m%u.%s@b.test",
                       session->done, session->name);
    }
    session->outcomes = 0;
    bench_need(visitor_new(bench->pool, &bench->loop, &options, jobs, 3, &events, session,
                           &session->visitor) == 0,
               "a visit");
}

static double own_cpu(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct cost {
    double wall;
    double client;
};

static struct cost visit_by_engine(struct bench *bench, const char *prefix, unsigned sessions)
{
    struct session all[SESSIONS_MAX] = {{.bench = NULL}};
    double wall = bench_now(), client = own_cpu();
    bench->running = sessions;
    for (unsigned i = 0; i < sessions; i++) {
        all[i].bench = bench;
        (void)snprintf(all[i].name, sizeof all[i].name, "%s%u", prefix, i);
        begin(&all[i]);
    }
    while (bench->running > 0)
        (void)uv_run(&bench->loop, UV_RUN_ONCE);
    return (struct cost){.wall = bench_now() - wall, .client = own_cpu() - client};
}

/* ---- imaplib ---- */

static struct cost visit_by_python(struct bench *bench, const char *prefix, unsigned sessions,
                                   const char *how)
{
    char line[1024];
    struct cost cost = {0};
    (void)snprintf(line, sizeof line, "python3 tests/bench/visits.py %u %s %s %s %u %u %s",
                   (unsigned)bench->dovecot.port, bench->ca, DOVECOT_PASSWORD, prefix, sessions,
                   visits, how);
    FILE *pipe = popen(line, "re");
    bench_need(pipe && fscanf(pipe, "%lf %lf", &cost.wall, &cost.client) == 2, line);
    bench_need(pclose(pipe) == 0, line);
    return cost;
}

static struct cost visit_short(struct bench *bench, const char *prefix, unsigned sessions)
{
    return visit_by_python(bench, prefix, sessions, "short");
}

static struct cost visit_whole(struct bench *bench, const char *prefix, unsigned sessions)
{
    return visit_by_python(bench, prefix, sessions, "whole");
}

/* ---- Rounds ---- */

typedef struct cost (*visit_fn)(struct bench *bench, const char *prefix, unsigned sessions);

static void run(struct bench *bench, const char *who, visit_fn visit, const char *prefix,
                unsigned sessions)
{
    char table[64];
    (void)snprintf(table, sizeof table, TABLE, sessions, sessions == 1 ? "" : "s");
    fill(bench, prefix, sessions);
    double server = bench_cpu(bench->dovecot.pid);
    struct cost cost = visit(bench, prefix, sessions);
    /* What the sessions' ends still cost belongs to them. */
    (void)usleep(200000);
    server = bench_cpu(bench->dovecot.pid) - server;
    double n = (double)visits * sessions;
    bench_sample(table, who, "visits/s", n / cost.wall);
    bench_sample(table, who, "client CPU ms per visit", 1000 * cost.client / n);
    bench_sample(table, who, "server CPU ms per visit", 1000 * server / n);
}

static void run_round(struct bench *bench, unsigned round, bool python)
{
    static const struct {
        const char *who;
        visit_fn visit;
        char letter;
    } all[] = {{"the node's engine", visit_by_engine, 'e'},
               {"imaplib, the same steps", visit_whole, 'w'},
               {"imaplib, nothing read again", visit_short, 's'}};
    static const unsigned sessions[] = {1, SESSIONS_MAX};
    char prefix[32];
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < (python ? 3 : 1); j++) {
            (void)snprintf(prefix, sizeof prefix, "%c%u-%u-", all[j].letter, round, sessions[i]);
            run(bench, all[j].who, all[j].visit, prefix, sessions[i]);
        }
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char certs[64];
    struct flz_msg msg = FLZ_MSG_NULL;
    unsigned rounds = argc > 1 ? bench_number(argv[1], 50) : 5;
    visits = argc > 2 ? bench_number(argv[2], 1000) : visits;
    bool python = bench_has("python3");
    if (!python)
        (void)fprintf(stderr, "bench_visit: no python3, so nothing to compare with\n");
    testcert_make(certs);
    bench.ca = testcert_path(certs, TESTCERT_CA);
    if (!dovecot_start(&bench.dovecot, testcert_path(certs, TESTCERT_GOOD))) {
        testcert_remove(certs);
        return 1;
    }
    bench_need(flz_secret_harden(true, &msg) == 0, msg.text);
    bench_need(keys_sign_generate(&bench.issuer) == 0 && uv_loop_init(&bench.loop) == 0 &&
                   conn_pool_new(&bench.loop, bench.ca, NULL, &bench.pool) == 0,
               "the engine");
    bench.signature = keys_sign_digest(&bench.issuer, bench.signed_digest);
    for (unsigned round = 0; round < rounds; round++)
        run_round(&bench, round, python);
    bench.pool = conn_pool_free(bench.pool);
    (void)uv_run(&bench.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&bench.loop);
    keys_sign_deinit(&bench.issuer);
    dovecot_stop(&bench.dovecot);
    testcert_remove(certs);
    return 0;
}
