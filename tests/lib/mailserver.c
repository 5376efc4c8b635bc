#include "tests/lib/mailserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFETIME_S 60
#define KEPT_MAX ((size_t)1024 * 1024)
#define LINE_MAX_OCTETS ((size_t)64 * 1024)
#define FLOOD_MAX ((size_t)256 * 1024 * 1024)

/* Between the test and its children. */
struct shared {
    atomic_uint connections;
    atomic_uint bodies;
    atomic_uint failures;
    atomic_size_t kept;
    char failure[256];
    char transcript[KEPT_MAX + 1];
};

struct mailserver {
    pid_t pid;
    uint16_t port;
    struct shared *shared;
};

/* One connection, in the child. */
struct link {
    int fd;
    SSL *ssl;
    struct shared *shared;
    char tag[64];
};

static void must(int fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "mailserver: %s: %s\n", what, strerror(errno));
    abort();
}

static void fail(struct link *link, const char *wanted, const char *got)
{
    if (atomic_fetch_add(&link->shared->failures, 1) == 0)
        (void)snprintf(link->shared->failure, sizeof(link->shared->failure),
                       "expected \"%s\", got \"%.150s\"", wanted, got);
}

static void keep(struct shared *shared, const char *data, size_t n)
{
    size_t at = atomic_fetch_add(&shared->kept, n);
    if (at + n <= KEPT_MAX)
        memcpy(shared->transcript + at, data, n);
}

static bool put(struct link *link, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t r = link->ssl ? SSL_write(link->ssl, data, (int)n) : write(link->fd, data, n);
        if (r <= 0)
            return false;
        data += r;
        n -= (size_t)r;
    }
    return true;
}

static bool get(struct link *link, char *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = link->ssl ? SSL_read(link->ssl, data + done, (int)(n - done))
                              : read(link->fd, data + done, n - done);
        if (r <= 0)
            return false;
        keep(link->shared, data + done, (size_t)r);
        done += (size_t)r;
    }
    return true;
}

/* A line without its CRLF. */
static bool get_line(struct link *link, char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        char c;
        if (!get(link, &c, 1))
            return false;
        if (c == '\n')
            break;
        if (n < size - 1)
            line[n++] = c;
    }
    if (n > 0 && line[n - 1] == '\r')
        n--;
    line[n] = '\0';
    return true;
}

static bool say(struct link *link, const char *text, size_t n)
{
    char *out = malloc(n * 64 + 1);
    must(out != NULL, "malloc");
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%' && i + 1 < n && text[i + 1] == 'T') {
            len += (size_t)sprintf(out + len, "%s", link->tag);
            i++;
        } else {
            out[len++] = text[i];
        }
    }
    bool fine = put(link, out, len);
    free(out);
    return fine;
}

static bool drip(struct link *link, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!put(link, text + i, 1))
            return false;
        (void)usleep(1000);
    }
    return true;
}

static bool flood(struct link *link, const char *text, size_t n)
{
    for (size_t done = 0; done < FLOOD_MAX; done += n)
        if (!put(link, text, n))
            return false;
    return true;
}

static bool hear(struct link *link, const char *wanted)
{
    static char line[LINE_MAX_OCTETS];
    if (!get_line(link, line, sizeof(line)))
        return false;
    if (strncasecmp(line, wanted, strlen(wanted)) == 0)
        return true;
    fail(link, wanted, line);
    return false;
}

/* The size of the literal that the line ends with, or 0; *ret_plus for the kind without a wait. */
static size_t literal_of(const char *line, bool *ret_plus)
{
    const char *brace = strrchr(line, '{');
    char *end = NULL;
    if (!brace)
        return 0;
    size_t n = strtoul(brace + 1, &end, 10);
    *ret_plus = *end == '+';
    return end[*ret_plus ? 1 : 0] == '}' && end[*ret_plus ? 2 : 1] == '\0' ? n : 0;
}

static bool hear_literals(struct link *link, char *line, size_t size)
{
    bool plus = false;
    for (size_t n; (n = literal_of(line, &plus)) > 0;) {
        if (!plus && !put(link, "+ go ahead\r\n", 12))
            return false;
        for (char c; n > 0; n--)
            if (!get(link, &c, 1))
                return false;
        if (!get_line(link, line, size))
            return false;
    }
    return true;
}

static bool hear_tagged(struct link *link, const char *wanted)
{
    static char line[LINE_MAX_OCTETS];
    if (!get_line(link, line, sizeof(line)))
        return false;
    size_t n = strcspn(line, " ");
    if (n == 0 || n >= sizeof(link->tag) || line[n] != ' ' ||
        strncasecmp(line + n + 1, wanted, strlen(wanted)) != 0) {
        fail(link, wanted, line);
        return false;
    }
    memcpy(link->tag, line, n);
    link->tag[n] = '\0';
    return hear_literals(link, line, sizeof(line));
}

static bool hear_body(struct link *link)
{
    static char line[LINE_MAX_OCTETS];
    do {
        if (!get_line(link, line, sizeof(line)))
            return false;
    } while (strcmp(line, ".") != 0);
    (void)atomic_fetch_add(&link->shared->bodies, 1);
    return true;
}

static bool hear_octets(struct link *link, size_t n)
{
    for (char c; n > 0; n--)
        if (!get(link, &c, 1))
            return false;
    return true;
}

static bool start_tls(struct link *link, SSL_CTX *ctx)
{
    must(ctx != NULL, "TLS without a certificate");
    link->ssl = SSL_new(ctx);
    must(link->ssl != NULL && SSL_set_fd(link->ssl, link->fd), "SSL_new");
    return SSL_accept(link->ssl) == 1;
}

static void hang(struct link *link)
{
    struct pollfd p = {.fd = link->fd, .events = POLLRDHUP};
    (void)poll(&p, 1, LIFETIME_S * 1000);
}

static void reset(struct link *link)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Returns false when the connection has to end. */
static bool run_step(struct link *link, const struct mailserver_step *step, SSL_CTX *ctx)
{
    switch (step->op) {
    case MS_OP_SAY:
        return say(link, step->text, step->n == SIZE_MAX ? strlen(step->text) : step->n);
    case MS_OP_HEAR: return hear(link, step->text);
    case MS_OP_HEAR_TAGGED: return hear_tagged(link, step->text);
    case MS_OP_HEAR_BODY: return hear_body(link);
    case MS_OP_HEAR_OCTETS: return hear_octets(link, step->n);
    case MS_OP_DRIP: return drip(link, step->text, step->n);
    case MS_OP_FLOOD: return flood(link, step->text, step->n);
    case MS_OP_TLS: return start_tls(link, ctx);
    case MS_OP_RESET: reset(link); return false;
    case MS_OP_HANG: hang(link); return false;
    case MS_OP_PAUSE: (void)usleep((useconds_t)(step->n * 1000)); return true;
    case MS_OP_REPEAT:
    case MS_OP_PARK:
    case MS_OP_END:
    case MS_OP_CLOSE: break;
    }
    return false;
}

/* In order: our end first, then whatever the client still says, so that no RST destroys our words.
 */
static void close_in_order(struct link *link)
{
    char drain[4096];
    if (link->ssl)
        (void)SSL_shutdown(link->ssl);
    (void)shutdown(link->fd, SHUT_WR);
    struct timeval limit = {.tv_sec = 2};
    (void)setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    while (read(link->fd, drain, sizeof(drain)) > 0)
        continue;
}

static void serve(struct link *link, const struct mailserver_options *options, SSL_CTX *ctx)
{
    bool alive = !options->tls || start_tls(link, ctx);
    size_t at = 0;
    for (; alive && at < options->steps; at++) {
        const struct mailserver_step *step = &options->script[at];
        if (step->op == MS_OP_PARK)
            return;
        if (step->op == MS_OP_REPEAT) {
            at = step->n - 1;
            continue;
        }
        alive = run_step(link, step, ctx);
        if (!alive && step->op != MS_OP_END)
            break;
    }
    if (at >= options->steps || options->script[at].op == MS_OP_END)
        close_in_order(link);
    (void)close(link->fd);
    SSL_free(link->ssl);
}

static SSL_CTX *make_context(const struct mailserver_options *options)
{
    if (!options->cert)
        return NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    must(ctx && SSL_CTX_use_certificate_chain_file(ctx, options->cert) == 1 &&
             SSL_CTX_use_PrivateKey_file(ctx, options->cert, SSL_FILETYPE_PEM) == 1,
         options->cert);
    if (options->tls_old) {
        SSL_CTX_set_security_level(ctx, 0);
        (void)SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    }
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return ctx;
}

static void bound_life(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(LIFETIME_S);
}

static void serve_one(int fd, int listener, struct shared *shared,
                      const struct mailserver_options *options, SSL_CTX *ctx)
{
    struct link link = {.fd = fd, .shared = shared};
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)atomic_fetch_add(&shared->connections, 1);
    if (options->sequential) {
        serve(&link, options, ctx);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        bound_life();
        (void)close(listener);
        serve(&link, options, ctx);
        _exit(0);
    }
    (void)close(fd);
}

static void child_main(int listener, struct shared *shared,
                       const struct mailserver_options *options)
{
    (void)setpgid(0, 0);
    bound_life();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    SSL_CTX *ctx = make_context(options);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            serve_one(fd, listener, shared, options, ctx);
        else if (errno != EINTR && errno != ECONNABORTED)
            _exit(1);
    }
}

static int listen_on_loopback(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
             listen(fd, 512) == 0 && getsockname(fd, (struct sockaddr *)&address, &len) == 0,
         "listen");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

struct mailserver *mailserver_start(const struct mailserver_options *options)
{
    struct mailserver *server = calloc(1, sizeof(*server));
    must(server != NULL, "calloc");
    server->shared = mmap(NULL, sizeof(*server->shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(server->shared != MAP_FAILED, "mmap");
    int listener = listen_on_loopback(&server->port);
    (void)fflush(NULL);
    server->pid = fork();
    must(server->pid >= 0, "fork");
    if (server->pid == 0)
        child_main(listener, server->shared, options);
    (void)setpgid(server->pid, server->pid);
    (void)close(listener);
    return server;
}

struct mailserver *mailserver_stop(struct mailserver *server)
{
    if (!server)
        return NULL;
    (void)kill(-server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
    (void)munmap(server->shared, sizeof(*server->shared));
    free(server);
    return NULL;
}

uint16_t mailserver_port(const struct mailserver *server)
{
    return server->port;
}

unsigned mailserver_connections(const struct mailserver *server)
{
    return atomic_load(&server->shared->connections);
}

unsigned mailserver_bodies(const struct mailserver *server)
{
    return atomic_load(&server->shared->bodies);
}

const char *mailserver_failure(const struct mailserver *server)
{
    return atomic_load(&server->shared->failures) > 0 ? server->shared->failure : NULL;
}

const char *mailserver_transcript(const struct mailserver *server, size_t *ret_len)
{
    size_t n = atomic_load(&server->shared->kept);
    *ret_len = n < KEPT_MAX ? n : KEPT_MAX;
    return server->shared->transcript;
}

bool mailserver_heard(const struct mailserver *server, const char *text)
{
    size_t len = 0;
    const char *octets = mailserver_transcript(server, &len);
    return memmem(octets, len, text, strlen(text)) != NULL;
}
