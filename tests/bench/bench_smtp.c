/*
 * Figures of the node's mail connections.
 *
 *   bench_smtp send [--messages N] [--rounds R] [--octets L]
 *       Messages per second over one connection to Debian's smtp-sink: our engine (pipelined, the
 * dot released at once) beside smtp-source -d, interleaved; medians and the ratio inside each
 * round. bench_smtp idle [--connections N] Resident memory of the client per idle TLS connection,
 * after EHLO, against a local server.
 *
 * One line of JSON on stdout each; talk on stderr. Loopback only.
 */
#include "node/core/smtp.h"
#include "node/io/conn.h"
#include "tests/lib/mailserver.h"
#include "tests/lib/testcert.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define ROUNDS_MAX 51

struct options {
    unsigned messages;
    unsigned rounds;
    unsigned octets;
    unsigned connections;
};

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, unsigned n)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, n * sizeof(values[0]));
    qsort(sorted, n, sizeof(sorted[0]), by_value);
    return sorted[n / 2];
}

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    exit(1);
}

static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
             getsockname(fd, (struct sockaddr *)&address, &len) == 0,
         "port");
    (void)close(fd);
    return ntohs(address.sin_port);
}

static pid_t spawn(const char *const argv[])
{
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null, STDOUT_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv); /* execv() changes nothing, whatever it says */
    perror(argv[0]);
    _exit(127);
}

/* ---- send ---- */

struct sender {
    struct conn *conn;
    struct smtp smtp;
    struct flz_view body;
    unsigned left;
    bool over;
};

static void next_message(struct sender *sender)
{
    static const struct flz_address from = {"bench@a.test"};
    static const struct flz_address to = {"bench@b.test"};
    struct smtp_message message = {.from = &from, .to = &to, .body = sender->body};
    if (sender->left > 0)
        must(smtp_send(&sender->smtp, &message) == 0, "smtp_send");
    else
        must(smtp_quit(&sender->smtp) == 0, "smtp_quit");
}

static void on_event(struct sender *sender, int event)
{
    switch (event) {
    case SMTP_E_READY: next_message(sender); return;
    case SMTP_E_DOT: (void)smtp_release_dot(&sender->smtp); return;
    case SMTP_E_DONE:
        must(smtp_result(&sender->smtp)->verdict == SMTP_ACCEPTED, "message refused");
        sender->left--;
        next_message(sender);
        return;
    case SMTP_E_CLOSED:
        sender->over = true;
        sender->conn = conn_close(sender->conn);
        return;
    default: must(false, "unexpected event");
    }
}

static void step(struct sender *sender, struct flz_view in)
{
    for (int event; (event = smtp_step(&sender->smtp, &in)) != SMTP_E_MORE;)
        on_event(sender, event);
    struct flz_view out = smtp_output(&sender->smtp);
    if (sender->over || out.len == 0)
        return;
    must(conn_send(sender->conn, out) == 0, "conn_send");
    smtp_taken(&sender->smtp, out.len);
}

static void on_open(struct conn *conn, void *userdata)
{
    struct sender *sender = userdata;
    smtp_init(&sender->smtp, &(struct smtp_options){.ehlo_name = "bench.test", .greeted = true});
    step(sender, FLZ_VIEW_NULL);
}

static void on_data(struct conn *conn, struct flz_view data, void *userdata)
{
    step(userdata, data);
}

static void on_closed(struct conn *conn, enum conn_end end, const struct flz_msg *msg,
                      void *userdata)
{
    (void)fprintf(stderr, "%s: %s\n", conn_end_str(end), msg->text);
    exit(1);
}

static const struct conn_events sender_events = {
    .on_open = on_open, .on_data = on_data, .on_closed = on_closed};

static double send_ours(uv_loop_t *loop, struct conn_pool *pool, uint16_t port,
                        struct flz_view body, unsigned messages, double *ret_cpu_s)
{
    struct sender sender = {.body = body, .left = messages};
    struct conn_options options = {.scheme = CONN_SMTP_PLAIN,
                                   .host = "localhost",
                                   .ip = "127.0.0.1",
                                   .port = port,
                                   .connect_timeout_ms = 5000};
    double begin = now_s();
    double cpu = cpu_s();
    must(conn_open(pool, &options, &sender_events, &sender, &sender.conn) == 0, "conn_open");
    while (!sender.over)
        (void)uv_run(loop, UV_RUN_ONCE);
    double wall = now_s() - begin;
    *ret_cpu_s = cpu_s() - cpu;
    smtp_deinit(&sender.smtp);
    return wall;
}

static double send_theirs(uint16_t port, unsigned octets, unsigned messages)
{
    char count[16];
    char length[16];
    char target[32];
    (void)snprintf(count, sizeof(count), "%u", messages);
    (void)snprintf(length, sizeof(length), "%u", octets);
    (void)snprintf(target, sizeof(target), "inet:127.0.0.1:%u", (unsigned)port);
    const char *const argv[] = {
        "/usr/sbin/smtp-source", "-d", "-s",           "1",    "-m", count, "-l", length, "-f",
        "bench@a.test",          "-t", "bench@b.test", target, NULL};
    int status = 0;
    double begin = now_s();
    pid_t pid = spawn(argv);
    must(waitpid(pid, &status, 0) == pid && status == 0, "smtp-source");
    return now_s() - begin;
}

static char *make_body(unsigned octets)
{
    static const char head[] =
        "From: <bench@a.test>\r\nTo: <bench@b.test>\r\nSubject: bench\r\n\r\n";
    char *body = malloc(octets + 128);
    must(body != NULL, "malloc");
    size_t n = (size_t)sprintf(body, "%s", head);
    while (n + 2 < octets) {
        size_t line = octets - n - 2 < 70 ? octets - n - 2 : 70;
        memset(body + n, 'x', line);
        memcpy(body + n + line, "\r\n", 3);
        n += line + 2;
    }
    return body;
}

static pid_t start_sink(uint16_t port)
{
    char target[32];
    (void)snprintf(target, sizeof(target), "inet:127.0.0.1:%u", (unsigned)port);
    const char *const argv[] = {"/usr/sbin/smtp-sink", "-u", "nobody", target, "1000", NULL};
    const char *const plain[] = {"/usr/sbin/smtp-sink", target, "1000", NULL};
    pid_t pid = spawn(geteuid() == 0 ? argv : plain);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < 100; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        (void)close(fd);
        if (up)
            return pid;
        (void)usleep(50000);
    }
    must(false, "smtp-sink does not answer");
    return pid;
}

static void bench_send(const struct options *o, const char *folder)
{
    uv_loop_t loop;
    struct conn_pool *pool = NULL;
    double ours[ROUNDS_MAX];
    double theirs[ROUNDS_MAX];
    double ratio[ROUNDS_MAX];
    double cpu[ROUNDS_MAX];
    uint16_t port = free_port();
    pid_t sink = start_sink(port);
    char *body = make_body(o->octets);
    must(uv_loop_init(&loop) == 0 &&
             conn_pool_new(&loop, testcert_path(folder, TESTCERT_CA), NULL, &pool) == 0,
         "pool");
    for (unsigned i = 0; i < o->rounds; i++) {
        double cpu_used = 0;
        ours[i] =
            o->messages / send_ours(&loop, pool, port, flz_view_str(body), o->messages, &cpu_used);
        theirs[i] = o->messages / send_theirs(port, o->octets, o->messages);
        ratio[i] = ours[i] / theirs[i];
        cpu[i] = o->messages / cpu_used;
        (void)fprintf(stderr,
                      "round %u: ours %.0f/s (%.0f per CPU s), smtp-source %.0f/s, ratio %.2f\n",
                      i + 1, ours[i], cpu[i], theirs[i], ratio[i]);
    }
    printf(
        "{\"bench\":\"smtp-send\",\"octets\":%u,\"messages\":%u,\"rounds\":%u,\"ours_per_s\":%.0f,"
        "\"ours_per_cpu_s\":%.0f,\"smtp_source_per_s\":%.0f,\"ratio\":%.2f}\n",
        o->octets, o->messages, o->rounds, median(ours, o->rounds), median(cpu, o->rounds),
        median(theirs, o->rounds), median(ratio, o->rounds));
    (void)kill(sink, SIGTERM);
    (void)waitpid(sink, NULL, 0);
    free(body);
    pool = conn_pool_free(pool);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
}

/* ---- idle ---- */

struct idler {
    struct conn *conn;
    bool ready;
    unsigned *ready_count;
};

static void idle_on_open(struct conn *conn, void *userdata)
{
    must(conn_send(conn, flz_view_str("EHLO bench.test\r\n")) == 0, "conn_send");
}

static void idle_on_data(struct conn *conn, struct flz_view data, void *userdata)
{
    struct idler *idler = userdata;
    if (!idler->ready)
        (*idler->ready_count)++;
    idler->ready = true;
}

static const struct conn_events idle_events = {
    .on_open = idle_on_open, .on_data = idle_on_data, .on_closed = on_closed};

static double resident_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    must(f && fscanf(f, "%*d %ld", &pages) == 1, "statm");
    (void)fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void open_idle(uv_loop_t *loop, struct conn_pool *pool, const struct mailserver *server,
                      struct idler *idlers, unsigned from, unsigned to, unsigned *ready)
{
    struct conn_options options = {.scheme = CONN_SMTPS,
                                   .host = "mail.test",
                                   .ip = "127.0.0.1",
                                   .port = mailserver_port(server),
                                   .connect_timeout_ms = 20000};
    for (unsigned i = from; i < to; i++) {
        idlers[i].ready_count = ready;
        must(conn_open(pool, &options, &idle_events, &idlers[i], &idlers[i].conn) == 0,
             "conn_open");
        /* The server takes one after the other: no more than a few at a time. */
        while (i + 1 - *ready > 8)
            (void)uv_run(loop, UV_RUN_ONCE);
    }
    while (*ready < to)
        (void)uv_run(loop, UV_RUN_ONCE);
}

static void bench_idle(const struct options *o, const char *folder)
{
    static const struct mailserver_step script[] = {MS_SAY("220 hi\r\n"),
                                                    MS_HEAR("EHLO"),
                                                    MS_SAY("250-mail.test\r\n250 AUTH PLAIN\r\n"),
                                                    MS_HEAR("EHLO"),
                                                    MS_SAY("250-mail.test\r\n250 AUTH PLAIN\r\n"),
                                                    MS_PARK};
    struct rlimit limit = {.rlim_cur = o->connections + 200, .rlim_max = o->connections + 200};
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "descriptors");
    struct mailserver *server = mailserver_start(
        &(struct mailserver_options){.script = script,
                                     .steps = MS_COUNT(script),
                                     .tls = true,
                                     .sequential = true,
                                     .cert = testcert_path(folder, TESTCERT_GOOD)});
    uv_loop_t loop;
    struct conn_pool *pool = NULL;
    struct idler *idlers = calloc(o->connections, sizeof(*idlers));
    unsigned ready = 0;
    must(idlers && uv_loop_init(&loop) == 0 &&
             conn_pool_new(&loop, testcert_path(folder, TESTCERT_CA), NULL, &pool) == 0,
         "pool");
    /* What the first ones bring along (libraries, tables, the CA store) is no cost per connection.
     */
    unsigned warm = o->connections / 10;
    open_idle(&loop, pool, server, idlers, 0, warm, &ready);
    double before = resident_kb();
    double cpu = cpu_s();
    double begin = now_s();
    open_idle(&loop, pool, server, idlers, warm, o->connections, &ready);
    unsigned n = o->connections - warm;
    printf("{\"bench\":\"smtp-idle-tls\",\"connections\":%u,\"kb_per_connection\":%.1f,"
           "\"open_per_s\":%.0f,\"open_per_cpu_s\":%.0f}\n",
           o->connections, (resident_kb() - before) / n, n / (now_s() - begin),
           n / (cpu_s() - cpu));
    for (unsigned i = 0; i < o->connections; i++)
        (void)conn_close(idlers[i].conn);
    free(idlers);
    pool = conn_pool_free(pool);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    server = mailserver_stop(server);
}

static unsigned number(const char *text, unsigned max)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    must(*text && *end == '\0' && n > 0 && n <= max, text);
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"messages", required_argument, NULL, 'm'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"octets", required_argument, NULL, 'l'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {0}};
    struct options o = {.messages = 20000, .rounds = 5, .octets = 1000, .connections = 1000};
    for (int c; (c = getopt_long(argc, argv, "m:r:l:c:", longs, NULL)) != -1;)
        switch (c) {
        case 'm': o.messages = number(optarg, 10000000); break;
        case 'r': o.rounds = number(optarg, ROUNDS_MAX); break;
        case 'l': o.octets = number(optarg, 1000000); break;
        case 'c': o.connections = number(optarg, 50000); break;
        default: return 64;
        }
    const char *verb = optind < argc ? argv[optind] : "";
    bool send = strcmp(verb, "send") == 0;
    if (!send && strcmp(verb, "idle") != 0) {
        (void)fprintf(stderr, "usage: bench_smtp send|idle [options]\n");
        return 64;
    }
    char folder[64];
    testcert_make(folder);
    if (send)
        bench_send(&o, folder);
    else
        bench_idle(&o, folder);
    testcert_remove(folder);
    return 0;
}
