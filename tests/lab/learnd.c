/*
 * learnd.c - the lab's resident learner.
 *
 * Dovecot's Sieve "pipe" hands each trained message to a unix socket in the protocol of its script
 * service; this program is the other end. A fork of a shell per changed flag would cost more than
 * the rest of the delivery, so one process does all of them, one request at a time:
 *
 *   request   VERSION\tscript\t4\t0\n  options...\n  "-" or "noreply"\n  ARG\n...  \n  message, EOF
 *   args      ham|spam USER            the message was moved out of, or into, the Junk folder
 *             flag USER FLAGS          FLAGS (\Seen, \Answered) have just been set in the inbox
 *   answer    +\n
 *
 * What it does with them is the write side of model.lua, whose head states the keys. The counters
 * stand in redis before the answer leaves; rspamd's Bayes learns right after it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>

#define REQUEST_BYTES_MAX (1U << 20)
#define REPLY_BYTES_MAX 4096U
#define FIELD_BYTES_MAX 320U
#define ARGS_MAX 4U
#define IO_TIMEOUT_S 5
#define EVENT_KEEP_S "2592000"

struct request {
    char *args[ARGS_MAX];
    size_t n_args;
    char *message;
    size_t n_message;
};

struct mail {
    char from[FIELD_BYTES_MAX];
    char message_id[FIELD_BYTES_MAX];
};

struct learner {
    uint16_t controller_port;
    uint16_t redis_port;
    int redis_fd;
};

static volatile sig_atomic_t stop_requested;

static void on_stop(int signo)
{
    (void)signo;
    stop_requested = 1;
}

/* One line per event, with the time, for a person who asks why a sender moved. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    struct timespec now;
    struct tm local;
    char stamp[32];
    va_list ap;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &local);
    (void)strftime(stamp, sizeof stamp, "%H:%M:%S", &local);
    printf("%s.%03ld ", stamp, now.tv_nsec / 1000000);
    va_start(ap, format);
    (void)vprintf(format, ap);
    va_end(ap);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, data, n, MSG_NOSIGNAL);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -EIO;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

static void set_timeouts(int fd)
{
    struct timeval limit = {.tv_sec = IO_TIMEOUT_S};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static int connect_port(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    set_timeouts(fd);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        int r = -errno;

        (void)close(fd);
        return r;
    }
    return fd;
}

/* ---- redis: one command out, one reply line in ---- */

static int redis_command(struct learner *l, const char *const *words, size_t n_words,
                         char *ret_line, size_t n_line)
{
    char out[2048];
    int used = snprintf(out, sizeof out, "*%zu\r\n", n_words);

    for (size_t i = 0; i < n_words; i++) {
        int more = snprintf(out + used, sizeof out - (size_t)used, "$%zu\r\n%s\r\n",
                            strlen(words[i]), words[i]);

        used += more;
        if (used >= (int)sizeof out)
            return -EMSGSIZE;
    }
    if (l->redis_fd < 0)
        l->redis_fd = connect_port(l->redis_port);
    if (l->redis_fd < 0)
        return l->redis_fd;
    if (write_all(l->redis_fd, out, (size_t)used) < 0)
        return -EPIPE;
    /* The replies used here ("+OK", ":7", "$-1") are one short line each. */
    for (size_t at = 0; at + 1 < n_line;) {
        ssize_t got = recv(l->redis_fd, ret_line + at, n_line - 1 - at, 0);

        if (got <= 0)
            return -EPIPE;
        at += (size_t)got;
        if (ret_line[at - 1] == '\n') {
            ret_line[at] = '\0';
            return 0;
        }
    }
    return -EMSGSIZE;
}

/* A connection that redis closed meanwhile is opened again once. */
static int redis(struct learner *l, const char *const *words, size_t n_words, char *ret_line,
                 size_t n_line)
{
    for (int attempt = 0;; attempt++) {
        int r = redis_command(l, words, n_words, ret_line, n_line);

        if (r == 0 || attempt > 0)
            return r;
        if (l->redis_fd >= 0)
            (void)close(l->redis_fd);
        l->redis_fd = -1;
    }
}

/* Adds one to a counter of the sender, once per message, recipient and kind of event. */
static bool count_once(struct learner *l, const struct mail *mail, const char *user,
                       const char *kind)
{
    const char *domain = strrchr(user, '@');
    char event[3 * FIELD_BYTES_MAX];
    char key[FIELD_BYTES_MAX + 8];
    char field[FIELD_BYTES_MAX];
    char line[128];

    domain = domain ? domain + 1 : user;
    (void)snprintf(event, sizeof event, "ev:%s:%s:%s", kind, user, mail->message_id);
    const char *const first[] = {"SET", event, "1", "NX", "EX", EVENT_KEEP_S};

    if (redis(l, first, 6, line, sizeof line) < 0) {
        say("error redis unreachable");
        return false;
    }
    if (line[0] != '+')
        return false;
    (void)snprintf(key, sizeof key, "rep:%s", mail->from);
    (void)snprintf(field, sizeof field, "%s@%s", kind, domain);
    const char *const here[] = {"HINCRBY", key, field, "1"};
    const char *const pool[] = {"HINCRBY", key, kind, "1"};

    if (redis(l, here, 4, line, sizeof line) < 0 || redis(l, pool, 4, line, sizeof line) < 0) {
        say("error redis did not count %s for %s", kind, mail->from);
        return false;
    }
    return true;
}

/* ---- rspamd's controller: POST /learnham or /learnspam ---- */

static void bayes_learn(struct learner *l, const char *kind, const struct request *q)
{
    char head[256];
    char reply[REPLY_BYTES_MAX];
    size_t at = 0;
    int fd = connect_port(l->controller_port);
    int n_head = snprintf(head, sizeof head,
                          "POST /learn%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          kind, q->n_message);

    if (fd < 0) {
        say("error rspamd controller unreachable");
        return;
    }
    if (write_all(fd, head, (size_t)n_head) == 0 && write_all(fd, q->message, q->n_message) == 0) {
        ssize_t got;

        while (at + 1 < sizeof reply && (got = recv(fd, reply + at, sizeof reply - 1 - at, 0)) > 0)
            at += (size_t)got;
    }
    (void)close(fd);
    reply[at] = '\0';
    char *body = strstr(reply, "\r\n\r\n");

    if (body)
        body[4 + strcspn(body + 4, "\r\n")] = '\0';
    say("bayes %s %s", kind, body ? body + 4 : "no answer");
}

/* ---- one message: the header fields that matter ---- */

static void copy_lower(char *to, const char *from, size_t n)
{
    size_t i = 0;

    for (; i < n && i + 1 < FIELD_BYTES_MAX; i++) {
        char c = from[i];

        to[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    to[i] = '\0';
}

/* "Name <addr>" or "addr"; what stands between the last < and the following >. */
static void take_address(char *to, const char *value, size_t n)
{
    const char *open = memrchr(value, '<', n);

    if (open) {
        const char *close = memchr(open, '>', n - (size_t)(open - value));

        value = open + 1;
        n = close ? (size_t)(close - value) : 0;
    }
    while (n > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        n--;
    }
    while (n > 0 && strchr(" \t\r\n", value[n - 1]))
        n--;
    copy_lower(to, value, n);
}

static void mail_read(struct mail *m, const char *text, size_t n)
{
    const char *end = text + n;

    memset(m, 0, sizeof *m);
    while (text < end && *text != '\r' && *text != '\n') {
        const char *next = text;

        do {
            next = memchr(next, '\n', (size_t)(end - next));
            next = next ? next + 1 : end;
        } while (next < end && (*next == ' ' || *next == '\t'));
        size_t length = (size_t)(next - text);

        if (length > 5 && !strncasecmp(text, "From:", 5) && !m->from[0])
            take_address(m->from, text + 5, length - 5);
        if (length > 11 && !strncasecmp(text, "Message-ID:", 11) && !m->message_id[0])
            take_address(m->message_id, text + 11, length - 11);
        text = next;
    }
}

/* ---- one request ------------------------------------------------------------------------------
 */

/* Splits the request in place; the message is what follows the first empty line. */
static int request_parse(struct request *q, char *data, size_t n)
{
    char *line = data;
    bool in_args = false;

    memset(q, 0, sizeof *q);
    for (;;) {
        char *end = memchr(line, '\n', n - (size_t)(line - data));

        if (!end)
            return -EBADMSG;
        *end = '\0';
        if (line == end)
            break;
        if (in_args && q->n_args < ARGS_MAX)
            q->args[q->n_args++] = line;
        if (!strcmp(line, "-") || !strcmp(line, "noreply"))
            in_args = true;
        line = end + 1;
    }
    q->message = line + 1;
    q->n_message = n - (size_t)(q->message - data);
    return q->n_args >= 2 ? 0 : -EBADMSG;
}

static void count_flags(struct learner *l, const struct mail *m, const struct request *q)
{
    const char *flags = q->n_args > 2 ? q->args[2] : "";

    if (strcasestr(flags, "\\Seen") && count_once(l, m, q->args[1], "seen"))
        say("seen %s at %s", m->from, q->args[1]);
    if (strcasestr(flags, "\\Answered") && count_once(l, m, q->args[1], "answered"))
        say("answered %s at %s", m->from, q->args[1]);
}

/* Counts at once, answers, then lets Bayes learn: nobody's IMAP session waits for the tokenizer. */
static void serve(struct learner *l, int fd, char *data, size_t n)
{
    struct request q;
    struct mail m;

    if (request_parse(&q, data, n) < 0) {
        say("error malformed request of %zu bytes", n);
        (void)write_all(fd, "-\n", 2);
        return;
    }
    mail_read(&m, q.message, q.n_message);
    if (!strcmp(q.args[0], "flag")) {
        count_flags(l, &m, &q);
        (void)write_all(fd, "+\n", 2);
        return;
    }
    bool ham = !strcmp(q.args[0], "ham");

    if (count_once(l, &m, q.args[1], ham ? "ham" : "spam"))
        say("%s %s at %s", q.args[0], m.from, q.args[1]);
    (void)write_all(fd, "+\n", 2);
    (void)shutdown(fd, SHUT_RDWR);
    bayes_learn(l, ham ? "ham" : "spam", &q);
}

static void serve_connection(struct learner *l, int fd, char *buffer)
{
    size_t at = 0;
    ssize_t got;

    set_timeouts(fd);
    while (at < REQUEST_BYTES_MAX &&
           (got = recv(fd, buffer + at, REQUEST_BYTES_MAX - at, 0)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            say("error request not finished: %s", strerror(errno));
            return;
        }
        at += (size_t)got;
    }
    serve(l, fd, buffer, at);
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof at.sun_path)
        return -ENAMETOOLONG;
    (void)strcpy(at.sun_path, path);
    (void)unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || chmod(path, 0666) < 0 ||
        listen(fd, 1024) < 0)
        return -errno;
    return fd;
}

int main(int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_stop};
    struct learner l = {.redis_fd = -1};
    char *buffer = malloc(REQUEST_BYTES_MAX);
    int listener;

    if (argc != 4 || !buffer) {
        (void)fprintf(stderr, "usage: learnd SOCKET CONTROLLER_PORT REDIS_PORT\n");
        return 64;
    }
    l.controller_port = (uint16_t)strtoul(argv[2], NULL, 10);
    l.redis_port = (uint16_t)strtoul(argv[3], NULL, 10);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    listener = listen_at(argv[1]);
    if (listener < 0) {
        (void)fprintf(stderr, "learnd: %s: %s\n", argv[1], strerror(-listener));
        return 1;
    }
    say("ready");
    while (!stop_requested) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        serve_connection(&l, fd, buffer);
        (void)close(fd);
    }
    (void)unlink(argv[1]);
    free(buffer);
    return 0;
}
