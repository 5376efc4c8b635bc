#include "tests/lib/mailworld.h"

#include "common/base/buf.h"
#include "node/core/base64.h"
#include "tests/lib/imapfake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 4096
#define POLL_MS 20
#define FLOOD_MAX ((size_t)64 << 20)

struct account {
    char address[320];
    struct imapfake *fake;
    unsigned session; /* the newest one; older ones have nothing more to say */
};

/* A listening socket and its thread. */
struct listener {
    struct mailworld *world;
    int fd;
    uint16_t port;
    size_t account; /* IMAP: whose */
    void *(*serve)(void *conn);
    pthread_t thread;
};

struct mailworld {
    pthread_mutex_t lock; /* of all below */
    SSL_CTX *tls;
    bool stopping;
    unsigned threads; /* of connections */
    struct account accounts[MAILWORLD_ACCOUNTS_MAX];
    size_t accounts_count;
    struct mailworld_faults faults;
    struct mailworld_counts counts;
    char opt_out[256];
    bool dns_dead;
    bool (*on_token)(const char *user, const char *token, void *data);
    void *token_data;
    struct listener smtp;
    struct listener imap[MAILWORLD_ACCOUNTS_MAX];
    int dns_fd;
    uint16_t dns_port;
    pthread_t dns_thread;
    char text[65536];
};

/* One connection, in its thread. */
struct client {
    struct mailworld *world;
    size_t account;
    unsigned session;
    int fd;
    SSL *ssl;
    char in[16384];
    size_t in_count;
};

static void must(int fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

static bool is_stopping(struct mailworld *world)
{
    (void)pthread_mutex_lock(&world->lock);
    bool stopping = world->stopping;
    (void)pthread_mutex_unlock(&world->lock);
    return stopping;
}

/* Waits for octets; false when the world stops or the client has gone. */
static bool read_some(struct client *client)
{
    if (client->in_count == sizeof client->in)
        return false;
    while (SSL_pending(client->ssl) == 0) {
        struct pollfd fd = {.fd = client->fd, .events = POLLIN};
        if (is_stopping(client->world))
            return false;
        if (poll(&fd, 1, POLL_MS) > 0)
            break;
    }
    int n = SSL_read(client->ssl, client->in + client->in_count,
                     (int)(sizeof client->in - client->in_count));
    if (n <= 0)
        return false;
    client->in_count += (size_t)n;
    return true;
}

static bool read_line(struct client *client, char line[static LINE_SIZE])
{
    for (;;) {
        char *end = memchr(client->in, '\n', client->in_count);
        if (end) {
            size_t len = (size_t)(end - client->in) + 1;
            size_t keep = len < LINE_SIZE ? len : LINE_SIZE - 1;
            memcpy(line, client->in, keep);
            line[keep] = '\0';
            client->in_count -= len;
            memmove(client->in, end + 1, client->in_count);
            return true;
        }
        if (!read_some(client))
            return false;
    }
}

static bool say(struct client *client, const char *text)
{
    return SSL_write(client->ssl, text, (int)strlen(text)) > 0;
}

/* ---- SMTP ---- */

static struct mailworld_faults faults_of(struct mailworld *world)
{
    (void)pthread_mutex_lock(&world->lock);
    struct mailworld_faults faults = world->faults;
    (void)pthread_mutex_unlock(&world->lock);
    return faults;
}

enum strike { STRIKE_NONE, STRIKE_REPLIED, STRIKE_CLOSE };

/* Until the client goes; a client that reads for ever gets what no engine should take. */
static void flood(struct client *client)
{
    static const char text[] = "250-and so on, and so on\r\n";
    for (size_t n = 0; n < FLOOD_MAX && say(client, text); n += sizeof text)
        continue;
}

static enum strike drip(struct client *client, const char *text)
{
    for (; *text; text++) {
        char octet[2] = {*text, '\0'};
        if (!say(client, octet))
            return STRIKE_CLOSE;
        (void)usleep(1000);
    }
    return STRIKE_REPLIED;
}

static void reset(struct client *client)
{
    struct linger linger = {.l_onoff = 1};
    (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* Does the fault strike here? `good`: what a good server would answer; NULL: nothing yet. */
static enum strike strike(struct client *client, enum mailworld_stage stage, const char *good)
{
    struct mailworld *world = client->world;
    (void)pthread_mutex_lock(&world->lock);
    struct mailworld_faults faults = world->faults;
    bool hit = faults.drop_at == stage && faults.times > 0;
    if (hit)
        world->faults.times--;
    (void)pthread_mutex_unlock(&world->lock);
    if (!hit)
        return STRIKE_NONE;
    if (faults.hang) {
        while (read_some(client))
            client->in_count = 0;
        return STRIKE_CLOSE;
    }
    if (faults.flood)
        flood(client);
    if (faults.drip && good)
        return drip(client, good);
    if (faults.reset)
        reset(client);
    if (!faults.reply)
        return STRIKE_CLOSE;
    (void)say(client, faults.reply);
    return STRIKE_REPLIED;
}

static struct account *find_account(struct mailworld *world, const char *command)
{
    for (size_t i = 0; i < world->accounts_count; i++)
        if (strstr(command, world->accounts[i].address))
            return &world->accounts[i];
    return NULL;
}

static int64_t now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

static void deliver(struct mailworld *world, const char *mail, const char *rcpt, const char *header)
{
    (void)pthread_mutex_lock(&world->lock);
    struct account *from = find_account(world, mail), *to = find_account(world, rcpt);
    world->counts.accepted++;
    if (to && !world->faults.swallow)
        (void)imapfake_deliver(to->fake, world->faults.to_junk ? "Junk" : "INBOX", header, 0,
                               now_ms());
    if (from && world->faults.copy_to_sent)
        (void)imapfake_deliver(from->fake, "Sent", header, IMAPFAKE_SEEN, now_ms());
    (void)pthread_mutex_unlock(&world->lock);
}

static void count(struct mailworld *world, unsigned *counter)
{
    (void)pthread_mutex_lock(&world->lock);
    (*counter)++;
    (void)pthread_mutex_unlock(&world->lock);
}

/* Reads to the dot; keeps the header block. */
static enum strike read_body(struct client *client, char *header, size_t size)
{
    char line[LINE_SIZE];
    bool in_header = true;
    size_t n = 0;
    unsigned lines = 0;
    while (read_line(client, line)) {
        if (strcmp(line, ".\r\n") == 0) {
            count(client->world, &client->world->counts.dots);
            return STRIKE_NONE;
        }
        size_t len = strlen(line);
        if (in_header && n + len + 1 < size) {
            memcpy(header + n, line, len + 1);
            n += len;
        }
        in_header = in_header && strcmp(line, "\r\n") != 0;
        if (++lines == 3 && strike(client, MAILWORLD_BODY, NULL) == STRIKE_CLOSE)
            return STRIKE_CLOSE;
    }
    return STRIKE_CLOSE;
}

/* False: the connection is to be closed. */
static bool take_data(struct client *client, const char *mail, const char *rcpt)
{
    static const char taken[] = "250 2.0.0 taken\r\n";
    char header[16384] = "";
    if (!say(client, "354 go ahead\r\n"))
        return false;
    if (read_body(client, header, sizeof header) == STRIKE_CLOSE)
        return false;
    struct mailworld_faults faults = faults_of(client->world);
    bool struck = faults.drop_at == MAILWORLD_DOT && faults.times > 0;
    if (!struck || faults.accept || faults.drip)
        deliver(client->world, mail, rcpt, header);
    switch (strike(client, MAILWORLD_DOT, taken)) {
    case STRIKE_NONE: return say(client, taken);
    case STRIKE_REPLIED: return true;
    case STRIKE_CLOSE: break;
    }
    return false;
}

static bool answer(struct client *client, enum mailworld_stage stage, const char *text)
{
    switch (strike(client, stage, text)) {
    case STRIKE_NONE: return say(client, text);
    case STRIKE_REPLIED: return true;
    case STRIKE_CLOSE: break;
    }
    return false;
}

static bool answer_ehlo(struct client *client, unsigned *ehlos)
{
    static const char text[] = "250-mail.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n"
                               "250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 %s\r\n";
    char line[LINE_SIZE];
    (void)snprintf(line, sizeof line, text,
                   client->world->on_token ? "AUTH PLAIN XOAUTH2 OAUTHBEARER" : "AUTH PLAIN");
    return ++*ehlos == 2 ? answer(client, MAILWORLD_EHLO, line) : say(client, line);
}

/* base64 of user=NAME^Aauth=Bearer TOKEN^A^A, to the end of the line */
static bool token_is_good(struct client *client, const char *response)
{
    uint8_t clear[LINE_SIZE];
    char text[LINE_SIZE];
    size_t n = 0;
    const char *end = strpbrk(response, "\r\n");
    struct flz_view words = {.data = (const uint8_t *)response,
                             .len = end ? (size_t)(end - response) : 0};
    if (base64_decode(words, clear, &n) < 0 || n >= sizeof text)
        return false;
    memcpy(text, clear, n);
    text[n] = '\0';
    char *user = text + 5, *token = strchr(text, '\001');
    if (strncmp(text, "user=", 5) != 0 || !token || strncmp(token + 1, "auth=Bearer ", 12) != 0)
        return false;
    *token = '\0';
    token += 13;
    token[strcspn(token, "\001")] = '\0';
    return client->world->on_token(user, token, client->world->token_data);
}

static bool answer_token(struct client *client, const char *line)
{
    char empty[LINE_SIZE], response[LINE_SIZE];
    count(client->world, &client->world->counts.tokens);
    /* A command line is no longer than this (RFC 5321 4.5.3.1.4); real servers cut it. */
    if (strlen(line) > 512)
        return say(client, "500 5.5.2 Line too long\r\n");
    memcpy(response, line[12] == ' ' ? line + 13 : "", line[12] == ' ' ? strlen(line + 13) + 1 : 1);
    if (!response[0] && (!say(client, "334 \r\n") || !read_line(client, response)))
        return false;
    if (token_is_good(client, response) && !faults_of(client->world).refuse_login)
        return answer(client, MAILWORLD_AUTH, "235 2.7.0 welcome\r\n");
    count(client->world, &client->world->counts.tokens_refused);
    /* {"status":"401"}, to be answered by an empty line. */
    return say(client, "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n") && read_line(client, empty) &&
           strcmp(empty, "\r\n") == 0 && say(client, "535 5.7.3 Authentication unsuccessful\r\n");
}

static bool answer_auth(struct client *client, const char *line)
{
    count(client->world, &client->world->counts.logins);
    if (client->world->on_token && strncasecmp(line, "AUTH XOAUTH2", 12) == 0)
        return answer_token(client, line);
    if (faults_of(client->world).refuse_login)
        return say(client, "535 5.7.8 authentication failed\r\n");
    return answer(client, MAILWORLD_AUTH, "235 2.7.0 welcome\r\n");
}

static void speak_smtp(struct client *client)
{
    char line[LINE_SIZE], mail[LINE_SIZE] = "", rcpt[LINE_SIZE] = "";
    unsigned ehlos = 0;
    bool open = answer(client, MAILWORLD_GREETING, "220 mail.test ESMTP\r\n");
    while (open && read_line(client, line)) {
        if (strncasecmp(line, "EHLO", 4) == 0) {
            open = answer_ehlo(client, &ehlos);
        } else if (strncasecmp(line, "AUTH", 4) == 0) {
            open = answer_auth(client, line);
        } else if (strncasecmp(line, "MAIL", 4) == 0) {
            memcpy(mail, line, sizeof mail);
            count(client->world, &client->world->counts.mails);
            open = answer(client, MAILWORLD_MAIL, "250 2.1.0 ok\r\n");
        } else if (strncasecmp(line, "RCPT", 4) == 0) {
            memcpy(rcpt, line, sizeof rcpt);
            open = answer(client, MAILWORLD_RCPT, "250 2.1.5 ok\r\n");
        } else if (strncasecmp(line, "DATA", 4) == 0) {
            enum strike hit = strike(client, MAILWORLD_DATA, NULL);
            open = hit == STRIKE_NONE ? take_data(client, mail, rcpt) : hit == STRIKE_REPLIED;
        } else if (strncasecmp(line, "QUIT", 4) == 0) {
            (void)answer(client, MAILWORLD_QUIT, "221 2.0.0 bye\r\n");
            open = false;
        } else {
            open = say(client, "250 2.0.0 ok\r\n");
        }
    }
}

/* ---- IMAP ---- */

/* What the model has to say; the lock is held. */
static size_t take_output(struct imapfake *fake, char *out, size_t size)
{
    struct flz_view view = imapfake_output(fake);
    size_t n = view.len < size ? view.len : size;
    if (n > 0)
        memcpy(out, view.data, n);
    imapfake_sent(fake, n);
    return n;
}

static bool flush_output(struct client *client)
{
    struct mailworld *world = client->world;
    char out[32768];
    for (;;) {
        (void)pthread_mutex_lock(&world->lock);
        struct account *account = &world->accounts[client->account];
        bool mine = account->session == client->session;
        size_t n = mine ? take_output(account->fake, out, sizeof out) : 0;
        (void)pthread_mutex_unlock(&world->lock);
        if (n == 0)
            return mine;
        if (SSL_write(client->ssl, out, (int)n) <= 0)
            return false;
    }
}

static void refuse_imap(struct client *client)
{
    char line[LINE_SIZE];
    (void)say(client, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] mail.test\r\n");
    while (read_line(client, line)) {
        char text[LINE_SIZE + 128];
        char *verb = strchr(line, ' ');
        if (!verb)
            return;
        *verb++ = '\0';
        if (strncasecmp(verb, "CAPABILITY", 10) == 0)
            (void)snprintf(text, sizeof text,
                           "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n%s OK done\r\n", line);
        else if (strncasecmp(verb, "LOGOUT", 6) == 0)
            (void)snprintf(text, sizeof text, "* BYE\r\n%s OK done\r\n", line);
        else
            (void)snprintf(text, sizeof text, "%s NO [AUTHENTICATIONFAILED] wrong\r\n", line);
        if (strncasecmp(verb, "AUTHENTICATE", 12) == 0 || strncasecmp(verb, "LOGIN", 5) == 0)
            count(client->world, &client->world->counts.imap_refused);
        if (!say(client, text))
            return;
    }
}

static void speak_imap(struct client *client)
{
    struct mailworld *world = client->world;
    struct imapfake *fake = world->accounts[client->account].fake;
    if (faults_of(world).refuse_imap_login) {
        refuse_imap(client);
        return;
    }
    (void)pthread_mutex_lock(&world->lock);
    world->counts.imap_sessions++;
    client->session = ++world->accounts[client->account].session;
    imapfake_connect(fake);
    (void)pthread_mutex_unlock(&world->lock);
    bool closed = false;
    while (flush_output(client) && !closed && read_some(client)) {
        (void)pthread_mutex_lock(&world->lock);
        closed = world->accounts[client->account].session != client->session;
        if (!closed)
            imapfake_feed(fake, (struct flz_view){.data = (const uint8_t *)client->in,
                                                  .len = client->in_count});
        closed = closed || imapfake_is_closed(fake);
        (void)pthread_mutex_unlock(&world->lock);
        client->in_count = 0;
    }
}

/* ---- Connections ---- */

static void serve(struct client *client, void (*speak)(struct client *client))
{
    struct mailworld *world = client->world;
    client->ssl = SSL_new(world->tls);
    must(client->ssl != NULL && SSL_set_fd(client->ssl, client->fd) == 1, "SSL_new");
    if (SSL_accept(client->ssl) == 1)
        speak(client);
    SSL_free(client->ssl);
    (void)close(client->fd);
    free(client);
    (void)pthread_mutex_lock(&world->lock);
    world->threads--;
    (void)pthread_mutex_unlock(&world->lock);
}

static void *serve_smtp(void *data)
{
    struct client *client = data;
    count(client->world, &client->world->counts.connections);
    serve(client, speak_smtp);
    return NULL;
}

static void *serve_imap(void *data)
{
    serve(data, speak_imap);
    return NULL;
}

static void *listen_on(void *data)
{
    struct listener *listener = data;
    struct mailworld *world = listener->world;
    while (!is_stopping(world)) {
        struct pollfd fd = {.fd = listener->fd, .events = POLLIN};
        if (poll(&fd, 1, POLL_MS) <= 0)
            continue;
        struct client *client = calloc(1, sizeof *client);
        must(client != NULL, "calloc");
        *client = (struct client){.world = world, .account = listener->account};
        client->fd = accept(listener->fd, NULL, NULL);
        /* Each reply is a write of its own: none shall wait for the client's delayed ACK. */
        (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        pthread_t thread;
        (void)pthread_mutex_lock(&world->lock);
        world->threads++;
        (void)pthread_mutex_unlock(&world->lock);
        must(pthread_create(&thread, NULL, listener->serve, client) == 0, "pthread_create");
        (void)pthread_detach(thread);
    }
    return NULL;
}

static int bind_any(int type, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void start_listener(struct mailworld *world, struct listener *listener,
                           void *(*serve_conn)(void *))
{
    listener->world = world;
    listener->serve = serve_conn;
    listener->fd = bind_any(SOCK_STREAM, &listener->port);
    must(listen(listener->fd, 64) == 0, "listen");
    must(pthread_create(&listener->thread, NULL, listen_on, listener) == 0, "pthread_create");
}

/* ---- DNS ---- */

/* The question's name in dots; the offset behind it, or 0. */
static size_t read_name(const uint8_t *packet, size_t len, char name[static 256])
{
    size_t at = 12, n = 0;
    while (at < len && packet[at] != 0) {
        size_t label = packet[at];
        if (label > 63 || at + 1 + label >= len || n + label + 1 >= 256)
            return 0;
        memcpy(name + n, packet + at + 1, label);
        n += label;
        name[n++] = '.';
        at += 1 + label;
    }
    name[n > 0 ? n - 1 : 0] = '\0';
    return at + 1 + 4 <= len ? at + 1 : 0;
}

static size_t append_record(uint8_t *packet, size_t at, uint16_t type, const uint8_t *data,
                            size_t n)
{
    const uint8_t head[] = {0xc0, 12, 0,  (uint8_t)type,     0,         1, 0,
                            0,    0,  60, (uint8_t)(n >> 8), (uint8_t)n};
    memcpy(packet + at, head, sizeof head);
    memcpy(packet + at + sizeof head, data, n);
    packet[7] = 1;
    return at + sizeof head + n;
}

static size_t answer_dns(struct mailworld *world, uint8_t *packet, size_t len)
{
    char name[256];
    size_t end = len > 12 ? read_name(packet, len, name) : 0;
    if (end == 0)
        return 0;
    uint16_t type = (uint16_t)(packet[end] << 8 | packet[end + 1]);
    size_t at = end + 4;
    packet[2] = 0x84;
    packet[3] = 0;
    memset(packet + 6, 0, 6);
    (void)pthread_mutex_lock(&world->lock);
    bool dead = world->dns_dead;
    bool refuses = world->opt_out[0] && strncmp(name, "_fluenzr.", 9) == 0 &&
                   strcasecmp(name + 9, world->opt_out) == 0;
    (void)pthread_mutex_unlock(&world->lock);
    if (dead) {
        packet[3] = 2; /* SERVFAIL */
    } else if (type == 15) {
        static const uint8_t mx[] = {0, 10, 4, 'm', 'a', 'i', 'l', 0xc0, 12};
        at = append_record(packet, at, 15, mx, sizeof mx);
    } else if (type == 33 && (strncmp(name, "_imaps._tcp.", 12) == 0 ||
                              strncmp(name, "_submission._tcp.", 17) == 0)) {
        /* mail.example.test, at 993 or 587 */
        static const uint8_t host[] = "\4mail\7example\4test";
        uint8_t srv[6 + sizeof host] = {0, 1, 0, 1, name[1] == 'i' ? 993 >> 8 : 587 >> 8,
                                        name[1] == 'i' ? 993 & 0xff : 587 & 0xff};
        memcpy(srv + 6, host, sizeof host);
        at = append_record(packet, at, 33, srv, sizeof srv);
    } else if (type == 16 && refuses) {
        static const uint8_t txt[] = "\x0fv=flz1; p=deny ";
        at = append_record(packet, at, 16, txt, 16);
    } else {
        packet[3] = 3; /* NXDOMAIN */
    }
    return at;
}

static void *serve_dns(void *data)
{
    struct mailworld *world = data;
    while (!is_stopping(world)) {
        uint8_t packet[1024];
        struct sockaddr_in peer;
        socklen_t peer_len = sizeof peer;
        struct pollfd fd = {.fd = world->dns_fd, .events = POLLIN};
        if (poll(&fd, 1, POLL_MS) <= 0)
            continue;
        ssize_t n = recvfrom(world->dns_fd, packet, 512, 0, (struct sockaddr *)&peer, &peer_len);
        size_t len = n > 0 ? answer_dns(world, packet, (size_t)n) : 0;
        if (len > 0)
            (void)sendto(world->dns_fd, packet, len, 0, (struct sockaddr *)&peer, peer_len);
    }
    return NULL;
}

/* ---- Life ---- */

struct mailworld *mailworld_start(const char *cert)
{
    struct mailworld *world = calloc(1, sizeof *world);
    must(world != NULL, "calloc");
    (void)signal(SIGPIPE, SIG_IGN); /* clients are killed */
    (void)pthread_mutex_init(&world->lock, NULL);
    world->tls = SSL_CTX_new(TLS_server_method());
    must(world->tls && SSL_CTX_use_certificate_chain_file(world->tls, cert) == 1 &&
             SSL_CTX_use_PrivateKey_file(world->tls, cert, SSL_FILETYPE_PEM) == 1,
         "certificate");
    start_listener(world, &world->smtp, serve_smtp);
    world->dns_fd = bind_any(SOCK_DGRAM, &world->dns_port);
    must(pthread_create(&world->dns_thread, NULL, serve_dns, world) == 0, "pthread_create");
    return world;
}

struct mailworld *mailworld_stop(struct mailworld *world)
{
    if (!world)
        return NULL;
    (void)pthread_mutex_lock(&world->lock);
    world->stopping = true;
    (void)pthread_mutex_unlock(&world->lock);
    (void)pthread_join(world->smtp.thread, NULL);
    (void)close(world->smtp.fd);
    (void)pthread_join(world->dns_thread, NULL);
    (void)close(world->dns_fd);
    for (size_t i = 0; i < world->accounts_count; i++) {
        (void)pthread_join(world->imap[i].thread, NULL);
        (void)close(world->imap[i].fd);
    }
    for (bool busy = true; busy;) {
        (void)pthread_mutex_lock(&world->lock);
        busy = world->threads > 0;
        (void)pthread_mutex_unlock(&world->lock);
        (void)usleep(2000);
    }
    for (size_t i = 0; i < world->accounts_count; i++)
        (void)imapfake_free(world->accounts[i].fake);
    SSL_CTX_free(world->tls);
    (void)pthread_mutex_destroy(&world->lock);
    free(world);
    return NULL;
}

static size_t add(struct mailworld *world, const char *address,
                  const struct imapfake_options *options)
{
    size_t i = world->accounts_count;
    must(i < MAILWORLD_ACCOUNTS_MAX, "too many accounts");
    struct account *account = &world->accounts[i];
    (void)snprintf(account->address, sizeof account->address, "%s", address);
    account->fake = imapfake_new(options);
    must(account->fake != NULL, "imapfake_new");
    (void)pthread_mutex_lock(&world->lock);
    imapfake_add_folder(account->fake, "Junk", "\\Junk");
    imapfake_add_folder(account->fake, "Sent", "\\Sent");
    imapfake_add_folder(account->fake, "Trash", "\\Trash");
    world->accounts_count++;
    (void)pthread_mutex_unlock(&world->lock);
    world->imap[i].account = i;
    if (options->bearer)
        imapfake_on_bearer(account->fake, world->on_token, world->token_data);
    start_listener(world, &world->imap[i], serve_imap);
    return i;
}

size_t mailworld_add(struct mailworld *world, const char *address)
{
    return add(world, address, &(struct imapfake_options){.no_move = false});
}

size_t mailworld_add_own(struct mailworld *world, const char *address)
{
    return add(world, address, &(struct imapfake_options){.no_others = true});
}

size_t mailworld_add_token(struct mailworld *world, const char *address,
                           bool (*on_token)(const char *user, const char *token, void *data),
                           void *data)
{
    world->on_token = on_token;
    world->token_data = data;
    return add(world, address, &(struct imapfake_options){.bearer = true});
}

uint16_t mailworld_smtp_port(const struct mailworld *world)
{
    return world->smtp.port;
}

uint16_t mailworld_imap_port(const struct mailworld *world, size_t account)
{
    return world->imap[account].port;
}

uint16_t mailworld_dns_port(const struct mailworld *world)
{
    return world->dns_port;
}

void mailworld_faults(struct mailworld *world, struct mailworld_faults faults)
{
    (void)pthread_mutex_lock(&world->lock);
    world->faults = faults;
    (void)pthread_mutex_unlock(&world->lock);
}

struct mailworld_counts mailworld_counts(struct mailworld *world)
{
    (void)pthread_mutex_lock(&world->lock);
    struct mailworld_counts counts = world->counts;
    (void)pthread_mutex_unlock(&world->lock);
    return counts;
}

void mailworld_dns(struct mailworld *world, const char *opt_out_domain, bool dead)
{
    (void)pthread_mutex_lock(&world->lock);
    (void)snprintf(world->opt_out, sizeof world->opt_out, "%s",
                   opt_out_domain ? opt_out_domain : "");
    world->dns_dead = dead;
    (void)pthread_mutex_unlock(&world->lock);
}

void mailworld_deliver(struct mailworld *world, size_t account, const char *folder,
                       const char *header)
{
    (void)pthread_mutex_lock(&world->lock);
    (void)imapfake_deliver(world->accounts[account].fake, folder, header, 0, now_ms());
    (void)pthread_mutex_unlock(&world->lock);
}

unsigned mailworld_count(struct mailworld *world, size_t account, const char *folder,
                         const char *text)
{
    (void)pthread_mutex_lock(&world->lock);
    unsigned n = imapfake_count(world->accounts[account].fake, folder, text);
    (void)pthread_mutex_unlock(&world->lock);
    return n;
}

const char *mailworld_dump(struct mailworld *world, size_t account)
{
    struct flz_buf text = FLZ_BUF_NULL;
    (void)pthread_mutex_lock(&world->lock);
    imapfake_dump(world->accounts[account].fake, &text);
    (void)pthread_mutex_unlock(&world->lock);
    (void)snprintf(world->text, sizeof world->text, "%s", flz_buf_str(&text));
    flz_buf_deinit(&text);
    return world->text;
}

const char *mailworld_violation(struct mailworld *world, size_t account)
{
    (void)pthread_mutex_lock(&world->lock);
    (void)snprintf(world->text, sizeof world->text, "%s",
                   imapfake_violation(world->accounts[account].fake));
    (void)pthread_mutex_unlock(&world->lock);
    return world->text;
}
