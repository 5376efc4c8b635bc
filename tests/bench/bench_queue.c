/*
 * The same life cycle through a work queue:
 * `bench_queue beanstalkd|redis PORT PID [CONNECTIONS [WINDOW [SECONDS]]]`.
 *
 * 200 bytes are put, delivered, acknowledged and deleted, every reply awaited; WINDOW requests are
 * pipelined in each phase, one thread a connection, each with a tube or stream of its own. PID is
 * the server's, whose CPU time is told apart. bench_lifecycle has the rest.
 *
 * redis: XADD (pipelined), one XREADGROUP COUNT window, one XACK and one XDEL of all its ids.
 * beanstalkd has no such: put, reserve and delete are pipelined one by one.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD 200
#define CONNECTIONS_MAX 64
#define WINDOW_MAX 200
#define WARM_S 1

static uint16_t port;
static unsigned window = 100;
static atomic_bool stopping;

struct connection {
    unsigned number;
    int fd;
    char in[1 << 16];
    size_t head, tail;
    char out[1 << 17];
    size_t out_len;
    char ids[WINDOW_MAX][32];
    atomic_ulong halves; /* put; deleted */
    pthread_t thread;
};

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_queue: %s failed\n", what);
    exit(1);
}

/* ---- Bytes ---- */

__attribute__((format(printf, 2, 3))) static void say(struct connection *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(c->out + c->out_len, sizeof c->out - c->out_len, format, args);
    va_end(args);
    need(n > 0 && (size_t)n < sizeof c->out - c->out_len, "writing a request");
    c->out_len += (size_t)n;
}

static void flush(struct connection *c)
{
    for (size_t at = 0; at < c->out_len;) {
        ssize_t n = write(c->fd, c->out + at, c->out_len - at);
        need(n > 0, "sending");
        at += (size_t)n;
    }
    c->out_len = 0;
}

static char next(struct connection *c)
{
    if (c->head == c->tail) {
        ssize_t n = read(c->fd, c->in, sizeof c->in);
        need(n > 0, "receiving");
        c->head = 0;
        c->tail = (size_t)n;
    }
    return c->in[c->head++];
}

static void line(struct connection *c, char *ret, size_t size)
{
    size_t n = 0;
    for (char byte; (byte = next(c)) != '\n';)
        if (byte != '\r' && n + 1 < size)
            ret[n++] = byte;
    ret[n] = '\0';
}

static void skip(struct connection *c, long n)
{
    while (n-- > 0)
        (void)next(c);
}

static const char *payload(void)
{
    static char text[PAYLOAD + 1];
    if (!text[0])
        memset(text, 'x', PAYLOAD);
    return text;
}

/* ---- beanstalkd ---- */

static void begin_beanstalkd(struct connection *c)
{
    char reply[64];
    say(c, "use t%u\r\nwatch t%u\r\nignore default\r\n", c->number, c->number);
    flush(c);
    for (int i = 0; i < 3; i++)
        line(c, reply, sizeof reply);
    need(strncmp(reply, "WATCHING", 8) == 0, "watching a tube");
}

static void cycle_beanstalkd(struct connection *c)
{
    char reply[64];
    for (unsigned i = 0; i < window; i++)
        say(c, "put 0 0 60 %d\r\n%s\r\n", PAYLOAD, payload());
    flush(c);
    for (unsigned i = 0; i < window; i++) {
        line(c, reply, sizeof reply);
        need(strncmp(reply, "INSERTED", 8) == 0, reply);
        atomic_fetch_add(&c->halves, 1);
    }
    for (unsigned i = 0; i < window; i++)
        say(c, "reserve\r\n");
    flush(c);
    for (unsigned i = 0; i < window; i++) {
        line(c, reply, sizeof reply);
        need(sscanf(reply, "RESERVED %31s", c->ids[i]) == 1, reply);
        skip(c, PAYLOAD + 2);
    }
    for (unsigned i = 0; i < window; i++)
        say(c, "delete %s\r\n", c->ids[i]);
    flush(c);
    for (unsigned i = 0; i < window; i++) {
        line(c, reply, sizeof reply);
        need(strcmp(reply, "DELETED") == 0, reply);
        atomic_fetch_add(&c->halves, 1);
    }
}

/* ---- redis ---- */

/* Reads one reply of any kind; a bulk string's text goes to `ret`, of a nested one the last. */
static long reply_of(struct connection *c, char *ret, size_t size)
{
    char text[64];
    line(c, text, sizeof text);
    need(text[0] != '-' || strncmp(text, "-BUSYGROUP", 10) == 0, text);
    long n = strtol(text + 1, NULL, 10);
    if (text[0] == '$' && n >= 0) {
        for (long i = 0; i < n; i++) {
            char byte = next(c);
            if ((size_t)i + 1 < size)
                ret[i] = byte;
        }
        ret[(size_t)n < size ? (size_t)n : size - 1] = '\0';
        skip(c, 2);
    }
    for (long i = 0; text[0] == '*' && i < n; i++)
        (void)reply_of(c, ret, size);
    return n;
}

static void begin_redis(struct connection *c)
{
    char reply[64];
    say(c, "*6\r\n$6\r\nXGROUP\r\n$6\r\nCREATE\r\n$3\r\ns%02u\r\n$1\r\ng\r\n$1\r\n$\r\n$8\r\n"
           "MKSTREAM\r\n",
        c->number);
    flush(c);
    (void)reply_of(c, reply, sizeof reply);
}

static void say_ids(struct connection *c, const char *verb, bool group)
{
    say(c, "*%u\r\n$%zu\r\n%s\r\n$3\r\ns%02u\r\n", window + (group ? 3 : 2), strlen(verb), verb,
        c->number);
    if (group)
        say(c, "$1\r\ng\r\n");
    for (unsigned i = 0; i < window; i++)
        say(c, "$%zu\r\n%s\r\n", strlen(c->ids[i]), c->ids[i]);
}

static void cycle_redis(struct connection *c)
{
    char reply[PAYLOAD + 1], count[12];
    for (unsigned i = 0; i < window; i++)
        say(c, "*5\r\n$4\r\nXADD\r\n$3\r\ns%02u\r\n$1\r\n*\r\n$1\r\nd\r\n$%d\r\n%s\r\n", c->number,
            PAYLOAD, payload());
    flush(c);
    for (unsigned i = 0; i < window; i++)
        (void)reply_of(c, c->ids[i], sizeof c->ids[i]);
    atomic_fetch_add(&c->halves, window);
    (void)snprintf(count, sizeof count, "%u", window);
    say(c, "*9\r\n$10\r\nXREADGROUP\r\n$5\r\nGROUP\r\n$1\r\ng\r\n$1\r\nc\r\n$5\r\nCOUNT\r\n$%zu\r\n"
           "%s\r\n$7\r\nSTREAMS\r\n$3\r\ns%02u\r\n$1\r\n>\r\n",
        strlen(count), count, c->number);
    flush(c);
    need(reply_of(c, reply, sizeof reply) == 1, "reading a stream");
    say_ids(c, "XACK", true);
    say_ids(c, "XDEL", false);
    flush(c);
    need(reply_of(c, reply, sizeof reply) == (long)window, "acknowledging");
    need(reply_of(c, reply, sizeof reply) == (long)window, "deleting");
    atomic_fetch_add(&c->halves, window);
}

/* ---- Measuring ---- */

static void (*begin)(struct connection *c);
static void (*cycle)(struct connection *c);

static void *work(void *data)
{
    struct connection *c = data;
    begin(c);
    while (!atomic_load(&stopping))
        cycle(c);
    return NULL;
}

static int connect_to(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    need(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
             connect(fd, (struct sockaddr *)&address, sizeof address) == 0,
         "connecting");
    return fd;
}

static double cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    const char *rest = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
    if (file)
        (void)fclose(file);
    need(rest && sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &system) == 2,
         "reading the server's CPU time");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double wall(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned long cycles_of(struct connection *const *all, unsigned n)
{
    unsigned long sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += atomic_load(&all[i]->halves);
    return sum / 2;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: bench_queue beanstalkd|redis PORT PID [CONNECTIONS [WINDOW "
                              "[SECONDS]]]\n");
        return 64;
    }
    bool redis = strcmp(argv[1], "redis") == 0;
    begin = redis ? begin_redis : begin_beanstalkd;
    cycle = redis ? cycle_redis : cycle_beanstalkd;
    port = (uint16_t)strtoul(argv[2], NULL, 10);
    int pid = (int)strtol(argv[3], NULL, 10);
    unsigned n = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 32;
    window = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : window;
    unsigned seconds = argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 4;
    need(n > 0 && n <= CONNECTIONS_MAX && window > 0 && window <= WINDOW_MAX, "reading arguments");
    (void)payload();
    static struct connection *all[CONNECTIONS_MAX];
    for (unsigned i = 0; i < n; i++) {
        all[i] = calloc(1, sizeof *all[i]);
        need(all[i] != NULL, "memory");
        all[i]->number = i;
        all[i]->fd = connect_to();
        need(pthread_create(&all[i]->thread, NULL, work, all[i]) == 0, "a thread");
    }
    (void)sleep(WARM_S);
    unsigned long before = cycles_of(all, n);
    double start = wall(), cpu = cpu_of(pid);
    (void)sleep(seconds);
    double took = wall() - start;
    double count = (double)(cycles_of(all, n) - before);
    cpu = cpu_of(pid) - cpu;
    (void)printf("%s connections %u window %u: %.0f life cycles in %.2f s: %.0f/s, %.0f per server "
                 "CPU second\n",
                 argv[1], n, window, count, took, count / took, count / cpu);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(all[i]->thread, NULL);
    return 0;
}
