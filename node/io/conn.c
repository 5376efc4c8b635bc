#include "node/io/conn.h"

#include "common/base/cleanup.h"
#include "node/io/curlmem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

/*
 * Invariants
 *   N1 User callbacks are made from the loop only, never from inside a call of libcurl or of ours.
 *   N2 A descriptor has at most one watch, and none after it is closed: libcurl may close one
 *      behind our back (on_close_socket), and the number may be given out again at once.
 *   N3 A connection whose scheme asks for TLS is open only after a TLS handshake was seen.
 *   N4 Octets that waited are wiped when they leave, when the buffer grows and when it is dropped.
 */

#define READ_SIZE ((size_t)64 * 1024)
#define READS_PER_TURN 8                     /* then the other connections get their turn */
#define SETUP_OCTETS_MAX ((size_t)64 * 1024) /* what a server may say before on_open */
#define SERVER_TEXT_MAX 512
#define HOST_MAX 254
#define CONNS_MAX 100000

struct watch {
    uv_poll_t poll;
    struct shard *shard; /* set: libcurl's, during the set-up */
    struct conn *conn;   /* set: ours, after it */
    curl_socket_t fd;
};

struct shard {
    struct conn_pool *pool;
    struct shard *next;
    CURLM *multi;
    uv_timer_t timer;
    size_t count;
};

struct conn_pool {
    uv_loop_t *loop;
    char *ca_file;
    struct conn_limits limits;
    bool (*denies)(const char *name); /* of a certificate; NULL: none is denied */
    const char *denied_why;
    struct shard *shards;
    struct conn *ready; /* connections that go on in the next turn, a list */
    uv_idle_t kick;     /* runs that turn; a timer of 0 ms would run for ever within one turn */
    size_t count;
    size_t handles; /* uv handles not yet closed; the last one frees the pool */
    bool freed;
    uint8_t *read_buf;
    char error[CURL_ERROR_SIZE]; /* libcurl's words about the call that just failed */
};

enum conn_state {
    CONN_OPENING,
    CONN_OPEN,
    CONN_ENDED,
};

/* What only the set-up needs; freed when it succeeds. */
struct setup {
    char error[CURL_ERROR_SIZE];
    char text[SERVER_TEXT_MAX]; /* the server's last line */
    size_t octets;
    char denied[HOST_MAX]; /* a name of the server's certificate, "": none is denied */
    bool smtp;
    bool garbage;
    struct curl_slist *connect_to;
};

struct conn {
    struct shard *shard;
    CURL *easy;
    const struct conn_events *events;
    void *userdata;
    struct setup *setup; /* owned, NULL once open */
    struct watch *watch;
    curl_socket_t fd;
    enum conn_state state;
    bool tls_required;
    bool send_failed;
    bool lost;    /* libcurl closed the socket */
    bool closing; /* we are closing it */
    bool queued;
    bool *gone; /* set true when the conn is freed below a callback */
    struct conn *ready_next;
    uint8_t *out; /* octets out_head … out_len wait */
    size_t out_head;
    size_t out_len;
    size_t out_size;
    struct conn_peer peer;
};

static void conn_serve(struct conn *conn);

/* ---- uv handles ---- */

static void pool_release(struct conn_pool *pool)
{
    if (--pool->handles > 0 || !pool->freed)
        return;
    for (struct shard *shard = pool->shards, *next; shard; shard = next) {
        next = shard->next;
        free(shard);
    }
    free(pool->ca_file);
    free(pool->read_buf);
    free(pool);
    curlmem_stop();
}

static void on_pool_handle_closed(uv_handle_t *handle)
{
    pool_release(handle->data);
}

static void on_shard_timer_closed(uv_handle_t *handle)
{
    struct shard *shard = handle->data;
    pool_release(shard->pool);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct conn_pool *pool = handle->data;
    free(handle); /* `poll` is the first member */
    pool_release(pool);
}

static void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct watch *watch_new(struct conn_pool *pool, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    if (uv_poll_init_socket(pool->loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = pool;
    watch->fd = fd;
    pool->handles++;
    return watch;
}

/* ---- libcurl's events ---- */

static void take_messages(struct shard *shard);

static void on_setup_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = (struct watch *)poll;
    struct shard *shard = watch->shard;
    int mask = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        mask |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        mask |= CURL_CSELECT_OUT;
    int running = 0;
    (void)curl_multi_socket_action(shard->multi, watch->fd, mask, &running);
    take_messages(shard);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userp, void *socketp)
{
    struct shard *shard = userp;
    struct watch *watch = socketp;
    if (what == CURL_POLL_REMOVE) {
        (void)curl_multi_assign(shard->multi, fd, NULL);
        watch_close(watch);
        return 0;
    }
    if (!watch) {
        /* Without memory for it the connection meets its time-out. */
        watch = watch_new(shard->pool, fd);
        if (!watch)
            return 0;
        watch->shard = shard;
        (void)curl_multi_assign(shard->multi, fd, watch);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    (void)uv_poll_start(&watch->poll, events, on_setup_poll);
    return 0;
}

static void shard_arm(struct shard *shard, long timeout_ms);

static void on_shard_timer(uv_timer_t *timer)
{
    struct shard *shard = timer->data;
    int running = 0;
    (void)curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    /* libcurl does not ask twice for the same moment; should the timer have come early, the moment
     * is still ahead. */
    long ms = -1;
    if (!uv_is_active((uv_handle_t *)timer) && curl_multi_timeout(shard->multi, &ms) == CURLM_OK &&
        ms >= 0)
        shard_arm(shard, ms);
    take_messages(shard);
}

static void shard_arm(struct shard *shard, long timeout_ms)
{
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&shard->timer);
        return;
    }
    /* The loop's time is that of the turn's beginning, in whole milliseconds. */
    uv_update_time(shard->pool->loop);
    (void)uv_timer_start(&shard->timer, on_shard_timer,
                         timeout_ms > 0 ? (uint64_t)timeout_ms + 1 : 0, 0);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *userp)
{
    shard_arm(userp, timeout_ms);
    return 0;
}

/* ---- pool ---- */

static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &now, NULL);
    }
}

static void on_kick(uv_idle_t *idle);

int conn_pool_new(struct uv_loop_s *loop, const char *ca_file, const struct conn_limits *limits,
                  struct conn_pool **ret_pool)
{
    if (access(ca_file, R_OK) < 0)
        return flz_fail(-errno);
    struct conn_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return flz_fail(-ENOMEM);
    pool->loop = loop;
    pool->ca_file = strdup(ca_file);
    pool->read_buf = malloc(READ_SIZE);
    if (!pool->ca_file || !pool->read_buf || curlmem_start() < 0) {
        free(pool->ca_file);
        free(pool->read_buf);
        free(pool);
        return flz_fail(-ENOMEM);
    }
    if (limits)
        pool->limits = *limits;
    if (pool->limits.conns_max == 0)
        pool->limits.conns_max = CONNS_MAX;
    if (pool->limits.shard_max == 0)
        pool->limits.shard_max = CONN_SHARD_MAX;
    (void)uv_idle_init(loop, &pool->kick);
    pool->kick.data = pool;
    pool->handles = 1;
    ignore_sigpipe();
    *ret_pool = pool;
    return 0;
}

struct conn_pool *conn_pool_free(struct conn_pool *pool)
{
    if (!pool)
        return NULL;
    assert(pool->count == 0);
    for (struct shard *shard = pool->shards; shard; shard = shard->next) {
        (void)curl_multi_cleanup(shard->multi);
        uv_close((uv_handle_t *)&shard->timer, on_shard_timer_closed);
    }
    uv_close((uv_handle_t *)&pool->kick, on_pool_handle_closed);
    pool->freed = true;
    return NULL;
}

void conn_pool_deny(struct conn_pool *pool, bool (*denies)(const char *name), const char *why)
{
    pool->denies = denies;
    pool->denied_why = why;
}

size_t conn_pool_count(const struct conn_pool *pool)
{
    return pool->count;
}

static struct shard *shard_new(struct conn_pool *pool)
{
    struct shard *shard = calloc(1, sizeof(*shard));
    if (!shard)
        return NULL;
    shard->multi = curl_multi_init();
    if (!shard->multi) {
        free(shard);
        return NULL;
    }
    shard->pool = pool;
    (void)uv_timer_init(pool->loop, &shard->timer);
    shard->timer.data = shard;
    pool->handles++;
    (void)curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
    (void)curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
    /* Connections that are open count as cached ones: none may be pushed out. */
    (void)curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)pool->limits.shard_max + 1);
    shard->next = pool->shards;
    pool->shards = shard;
    return shard;
}

/* libcurl walks the connections of a multi at each send and receive of one, hence the limit; a
 * shard also holds a CA store of its own, hence no more shards than needed. */
static struct shard *shard_with_room(struct conn_pool *pool)
{
    for (struct shard *shard = pool->shards; shard; shard = shard->next)
        if (shard->count < pool->limits.shard_max)
            return shard;
    return shard_new(pool);
}

/* ---- turns ---- */

static void conn_queue(struct conn *conn)
{
    struct conn_pool *pool = conn->shard->pool;
    if (conn->queued)
        return;
    conn->queued = true;
    conn->ready_next = pool->ready;
    pool->ready = conn;
    (void)uv_idle_start(&pool->kick, on_kick);
}

static void conn_unqueue(struct conn *conn)
{
    if (!conn->queued)
        return;
    struct conn **p = &conn->shard->pool->ready;
    while (*p != conn)
        p = &(*p)->ready_next;
    *p = conn->ready_next;
    conn->queued = false;
}

/* Each connection that is queued now is served once; whoever queues again comes in the next turn.
 */
static void on_kick(uv_idle_t *idle)
{
    struct conn_pool *pool = idle->data;
    size_t n = 0;
    for (struct conn *conn = pool->ready; conn; conn = conn->ready_next)
        n++;
    for (; n > 0 && pool->ready; n--) {
        /* The list is a stack: its bottom has waited longest. */
        struct conn *conn = pool->ready;
        while (conn->ready_next)
            conn = conn->ready_next;
        conn_unqueue(conn);
        conn_serve(conn);
    }
    if (!pool->ready)
        (void)uv_idle_stop(&pool->kick);
}

/* ---- waiting octets (N4) ---- */

static void out_wipe(struct conn *conn)
{
    if (conn->out)
        explicit_bzero(conn->out, conn->out_len);
    free(conn->out);
    conn->out = NULL;
    conn->out_head = conn->out_len = conn->out_size = 0;
}

static int out_add(struct conn *conn, struct flz_view data)
{
    size_t waiting = conn->out_len - conn->out_head;
    if (conn->out_len + data.len > conn->out_size) {
        size_t size = 4096;
        while (size < waiting + data.len)
            size *= 2;
        uint8_t *out = malloc(size);
        if (!out)
            return flz_fail(-ENOMEM);
        if (waiting > 0)
            memcpy(out, conn->out + conn->out_head, waiting);
        out_wipe(conn);
        conn->out = out;
        conn->out_size = size;
        conn->out_len = waiting;
    }
    memcpy(conn->out + conn->out_len, data.data, data.len);
    conn->out_len += data.len;
    return 0;
}

size_t conn_pending(const struct conn *conn)
{
    return conn->out_len - conn->out_head;
}

/* ---- how a connection ends ---- */

static const struct {
    enum conn_end end;
    const char *word;
} end_words[] = {
    {CONN_END_NONE, "none"},           {CONN_END_RESOLVE, "resolve"},
    {CONN_END_REFUSED, "refused"},     {CONN_END_TIMEOUT, "timeout"},
    {CONN_END_EXPIRED, "expired"},     {CONN_END_NAME, "wrong-name"},
    {CONN_END_UNTRUSTED, "untrusted"}, {CONN_END_DENIED, "denied"},
    {CONN_END_TLS, "tls"},             {CONN_END_STARTTLS, "starttls"},
    {CONN_END_GREETING, "greeting"},   {CONN_END_PROTOCOL, "protocol"},
    {CONN_END_CLOSED, "closed"},       {CONN_END_RESET, "reset"},
    {CONN_END_LOCAL, "local"},
};

const char *conn_end_str(enum conn_end end)
{
    for (size_t i = 0; i < sizeof(end_words) / sizeof(end_words[0]); i++)
        if (end_words[i].end == end)
            return end_words[i].word;
    return "none";
}

const char *conn_server_text(const struct conn *conn)
{
    return conn->setup ? conn->setup->text : "";
}

/* Frees what reaches into libcurl and the loop; the conn itself stays. */
static void conn_disconnect(struct conn *conn)
{
    conn->closing = true;
    conn_unqueue(conn);
    watch_close(conn->watch); /* N2: before the descriptor */
    conn->watch = NULL;
    if (conn->easy) {
        (void)curl_multi_remove_handle(conn->shard->multi, conn->easy);
        curl_easy_cleanup(conn->easy);
        conn->easy = NULL;
    }
    if (conn->setup) {
        curl_slist_free_all(conn->setup->connect_to);
        conn->setup->connect_to = NULL;
    }
    out_wipe(conn);
}

static void conn_finish(struct conn *conn, enum conn_end end, const struct flz_msg *msg)
{
    conn_disconnect(conn);
    conn->state = CONN_ENDED;
    conn->events->on_closed(conn, end, msg, conn->userdata);
}

struct conn *conn_close(struct conn *conn)
{
    if (!conn)
        return NULL;
    conn_disconnect(conn);
    conn->shard->count--;
    conn->shard->pool->count--;
    if (conn->gone)
        *conn->gone = true;
    free(conn->setup);
    free(conn);
    return NULL;
}

/* ---- set-up ---- */

static bool looks_like_reply(const char *line, size_t len)
{
    return len >= 4 && line[0] >= '1' && line[0] <= '5' && line[1] >= '0' && line[1] <= '9' &&
           line[2] >= '0' && line[2] <= '9';
}

/* Each line the server says during the set-up. libcurl skips what is no reply and waits on; we do
 * not. */
static size_t on_setup_line(char *line, size_t size, size_t n, void *userp)
{
    struct setup *setup = ((struct conn *)userp)->setup;
    size_t len = size * n;
    if (!setup)
        return 0;
    setup->octets += len;
    setup->garbage =
        setup->octets > SETUP_OCTETS_MAX || (setup->smtp && !looks_like_reply(line, len));

    size_t kept = 0;
    for (size_t i = 0; i < len && kept < sizeof(setup->text) - 1; i++)
        if (line[i] != '\r' && line[i] != '\n')
            setup->text[kept++] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
    setup->text[kept] = '\0';
    return setup->garbage ? 0 : len;
}

static size_t on_setup_body(char *data, size_t size, size_t n, void *userp)
{
    return size * n;
}

/* N2: libcurl closes a socket on our order, or on its own: until the first octet of ours a
 * connection is an idle one in its cache, which is looked through for dead ones when another is
 * opened. */
static int on_close_socket(void *userp, curl_socket_t fd)
{
    struct conn *conn = userp;
    if (!conn->closing && conn->watch && conn->fd == fd) {
        watch_close(conn->watch);
        conn->watch = NULL;
        conn->lost = true;
        conn_queue(conn);
    }
    return close(fd);
}

static int64_t asn1_time_ms(const ASN1_TIME *t)
{
    struct tm tm = {.tm_year = 0};
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * 1000;
}

/* ---- names of the certificate ---- */

static void look_at_name(struct conn *conn, const ASN1_STRING *name)
{
    char text[HOST_MAX];
    const char *p = (const char *)ASN1_STRING_get0_data(name);
    int len = ASN1_STRING_length(name);
    if (len > 2 && memcmp(p, "*.", 2) == 0) {
        p += 2;
        len -= 2;
    }
    if (len <= 0 || len >= HOST_MAX || memchr(p, '\0', (size_t)len))
        return;
    memcpy(text, p, (size_t)len);
    text[len] = '\0';
    if (conn->shard->pool->denies(text))
        memcpy(conn->setup->denied, text, sizeof text);
}

/* Whatever the operator calls a server, its certificate says whose it is. */
static void look_at_names(struct conn *conn, X509 *cert)
{
    if (!conn->setup || !conn->shard->pool->denies)
        return;
    X509_NAME *subject = X509_get_subject_name(cert);
    int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (i >= 0)
        look_at_name(conn, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            look_at_name(conn, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
}

static void on_tls_info(const SSL *ssl, int where, int ret)
{
    if (!(where & SSL_CB_HANDSHAKE_DONE))
        return;
    struct conn *conn = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    X509 *cert = SSL_get0_peer_certificate(ssl);
    conn->peer.tls = SSL_get_version(ssl);
    if (!cert)
        return;
    conn->peer.expires_ms = asn1_time_ms(X509_get0_notAfter(cert));
    (void)X509_NAME_oneline(X509_get_subject_name(cert), conn->peer.subject,
                            (int)sizeof(conn->peer.subject));
    (void)X509_NAME_oneline(X509_get_issuer_name(cert), conn->peer.issuer,
                            (int)sizeof(conn->peer.issuer));
    look_at_names(conn, cert);
}

static CURLcode on_tls_context(CURL *easy, void *context, void *userp)
{
    SSL_CTX *ctx = context;
    SSL_CTX_set_app_data(ctx, userp);
    SSL_CTX_set_info_callback(ctx, on_tls_info);
    /* A write that has to wait is tried again from a buffer that may have moved; idle connections
     * give their record buffers back. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    return CURLE_OK;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-';
}

/* A name or a numeric v4 address; v6 is recognised by its colons. */
static bool host_is_sane(const char *host)
{
    uint8_t address[16];
    size_t n = strlen(host);
    if (n == 0 || n >= HOST_MAX)
        return false;
    if (strchr(host, ':'))
        return inet_pton(AF_INET6, host, address) == 1;
    for (size_t i = 0; i < n; i++)
        if (!is_host_char(host[i]))
            return false;
    return host[0] != '-' && host[0] != '.';
}

static bool ip_is_sane(const char *ip, bool *ret_loopback)
{
    uint8_t a[16];
    if (inet_pton(AF_INET, ip, a) == 1) {
        *ret_loopback = a[0] == 127;
        return true;
    }
    if (inet_pton(AF_INET6, ip, a) != 1)
        return false;
    struct in6_addr in6;
    memcpy(&in6, a, sizeof(in6));
    *ret_loopback = IN6_IS_ADDR_LOOPBACK(&in6);
    return true;
}

static bool ehlo_is_sane(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= HOST_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_host_char(name[i]) && !strchr("[]:", name[i]))
            return false;
    return true;
}

static int check_options(const struct conn_options *options)
{
    bool loopback = false;
    if (!options->host || !host_is_sane(options->host) || options->port == 0 ||
        options->connect_timeout_ms < 1 || options->connect_timeout_ms > 600000)
        return flz_fail(-EINVAL);
    if (options->ip && !ip_is_sane(options->ip, &loopback))
        return flz_fail(-EINVAL);
    if (options->ehlo_name && !ehlo_is_sane(options->ehlo_name))
        return flz_fail(-EINVAL);
    if (options->scheme == CONN_SMTP_PLAIN && !loopback)
        return flz_fail(-EPERM);
    return 0;
}

static const char *scheme_url(enum conn_scheme scheme)
{
    switch (scheme) {
    case CONN_SMTPS: return "smtps";
    case CONN_IMAPS: return "imaps";
    case CONN_IMAP: return "imap";
    case CONN_SMTP:
    case CONN_SMTP_PLAIN: break;
    }
    return "smtp";
}

static bool scheme_is_smtp(enum conn_scheme scheme)
{
    return scheme == CONN_SMTPS || scheme == CONN_SMTP || scheme == CONN_SMTP_PLAIN;
}

/* scheme://host:port/ehlo-name; libcurl takes the name for its own EHLO from the path. */
static void make_url(const struct conn_options *options, char *url, size_t size)
{
    bool v6 = strchr(options->host, ':');
    int n = snprintf(url, size, "%s://%s%s%s:%u/", scheme_url(options->scheme), v6 ? "[" : "",
                     options->host, v6 ? "]" : "", (unsigned)options->port);
    if (!scheme_is_smtp(options->scheme))
        return;
    const char *name = options->ehlo_name ? options->ehlo_name : "localhost";
    for (size_t at = (size_t)n; *name && at < size; name++)
        at += (size_t)snprintf(url + at, size - at, is_host_char(*name) ? "%c" : "%%%02X",
                               (unsigned)(unsigned char)*name);
}

static int set_target(struct conn *conn, const struct conn_options *options)
{
    char url[4 * HOST_MAX + 32];
    make_url(options, url, sizeof(url));
    if (curl_easy_setopt(conn->easy, CURLOPT_URL, url) != CURLE_OK)
        return flz_fail(-ENOMEM);
    if (!options->ip)
        return 0;

    /* The name stays what is verified; only where the packets go is pinned. */
    bool v6 = strchr(options->ip, ':');
    (void)snprintf(url, sizeof(url), "::%s%s%s:%u", v6 ? "[" : "", options->ip, v6 ? "]" : "",
                   (unsigned)options->port);
    conn->setup->connect_to = curl_slist_append(NULL, url);
    if (!conn->setup->connect_to)
        return flz_fail(-ENOMEM);
    (void)curl_easy_setopt(conn->easy, CURLOPT_CONNECT_TO, conn->setup->connect_to);
    return 0;
}

/* libcurl copies strings; each of these can fail for want of memory only, and then the connection
 * is not begun: an option left out could be one that guards. */
static int set_strings(CURL *easy, const struct conn_pool *pool, enum conn_scheme scheme)
{
    bool fine = curl_easy_setopt(easy, CURLOPT_CAINFO, pool->ca_file) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme_url(scheme)) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK;
    return fine ? 0 : flz_fail(-ENOMEM);
}

static void set_numbers(CURL *easy, const struct conn_options *options)
{
    bool starttls = options->scheme == CONN_SMTP || options->scheme == CONN_IMAP;
    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USE_SSL,
                           starttls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* A path makes libcurl 7.88 load the CA store anew for each connection: 870 KB and 20 ms. */
    (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    /* Closing does not wait for a resolver thread. */
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void set_callbacks(struct conn *conn)
{
    CURL *easy = conn->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, conn);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, conn->setup->error);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_setup_line);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, conn);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_setup_body);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, conn);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, conn);
}

static int conn_configure(struct conn *conn, const struct conn_options *options)
{
    conn->easy = curl_easy_init();
    conn->setup = calloc(1, sizeof(*conn->setup));
    if (!conn->easy || !conn->setup)
        return flz_fail(-ENOMEM);
    conn->setup->smtp = scheme_is_smtp(options->scheme);
    conn->tls_required = options->scheme != CONN_SMTP_PLAIN;

    int r = set_strings(conn->easy, conn->shard->pool, options->scheme);
    if (r == 0)
        r = set_target(conn, options);
    if (r < 0)
        return r;
    set_numbers(conn->easy, options);
    set_callbacks(conn);
    if (curl_multi_add_handle(conn->shard->multi, conn->easy) != CURLM_OK)
        return flz_fail(-ENOMEM);
    return 0;
}

int conn_open(struct conn_pool *pool, const struct conn_options *options,
              const struct conn_events *events, void *userdata, struct conn **ret_conn)
{
    int r = check_options(options);
    if (r < 0)
        return r;
    if (pool->count >= pool->limits.conns_max)
        return flz_fail(-EMFILE);
    struct shard *shard = shard_with_room(pool);
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!shard || !conn) {
        free(conn);
        return flz_fail(-ENOMEM);
    }
    conn->shard = shard;
    conn->events = events;
    conn->userdata = userdata;
    conn->fd = CURL_SOCKET_BAD;
    shard->count++;
    pool->count++;
    r = conn_configure(conn, options);
    if (r < 0) {
        (void)conn_close(conn);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

/* ---- the set-up's outcome ---- */

static enum conn_end end_of_verification(const struct conn *conn)
{
    /* A handshake that ended well had a good chain: it was libcurl's own check of the name. */
    if (conn->peer.tls)
        return CONN_END_NAME;
    long verify = X509_V_OK;
    (void)curl_easy_getinfo(conn->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
    if (verify == X509_V_ERR_CERT_HAS_EXPIRED || verify == X509_V_ERR_CERT_NOT_YET_VALID)
        return CONN_END_EXPIRED;
    return CONN_END_UNTRUSTED;
}

/* The server ended or was left while it answered libcurl's greeting and EHLO: did it say why? */
static enum conn_end end_of_talk(const struct conn *conn, enum conn_end otherwise)
{
    const char *text = conn->setup->text;
    bool refusal =
        conn->setup->smtp ? text[0] == '4' || text[0] == '5' : strncmp(text, "* BYE", 5) == 0;
    if (conn->setup->garbage)
        return CONN_END_PROTOCOL;
    return refusal ? CONN_END_GREETING : otherwise;
}

static int os_error(const struct conn *conn, const char *words)
{
    long code = 0;
    (void)curl_easy_getinfo(conn->easy, CURLINFO_OS_ERRNO, &code);
    const char *p = strstr(words, "errno");
    return code != 0 ? (int)code : p ? (int)strtol(p + strcspn(p, "0123456789"), NULL, 10) : 0;
}

static enum conn_end end_of_stream(const struct conn *conn, const char *words)
{
    int code = os_error(conn, words);
    return code == ECONNRESET || code == EPIPE ? CONN_END_RESET : CONN_END_CLOSED;
}

static enum conn_end end_of_setup(const struct conn *conn, CURLcode code)
{
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST: return CONN_END_RESOLVE;
    case CURLE_COULDNT_CONNECT: return CONN_END_REFUSED;
    case CURLE_OPERATION_TIMEDOUT: return CONN_END_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION: return end_of_verification(conn);
    case CURLE_SSL_CONNECT_ERROR: return CONN_END_TLS;
    case CURLE_USE_SSL_FAILED: return CONN_END_STARTTLS;
    case CURLE_REMOTE_ACCESS_DENIED:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR: return end_of_talk(conn, CONN_END_PROTOCOL);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING: return end_of_talk(conn, end_of_stream(conn, conn->setup->error));
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY: return CONN_END_LOCAL;
    default: break;
    }
    return CONN_END_TLS;
}

/* True when it was: the connection has ended. */
static bool setup_denied(struct conn *conn)
{
    struct flz_msg msg;
    if (!conn->setup->denied[0])
        return false;
    flz_msg_set(&msg, "the server's certificate is of %s: %s", conn->setup->denied,
                conn->shard->pool->denied_why);
    conn_finish(conn, CONN_END_DENIED, &msg);
    return true;
}

static void setup_failed(struct conn *conn, CURLcode code)
{
    enum conn_end end = end_of_setup(conn, code);
    if (setup_denied(conn))
        return;
    const char *words = conn->setup->error[0] ? conn->setup->error : curl_easy_strerror(code);
    struct flz_msg msg;
    if (conn->setup->garbage)
        words = "not a mail server's answer";
    bool certificate = end == CONN_END_EXPIRED || end == CONN_END_NAME || end == CONN_END_UNTRUSTED;
    if (conn->setup->text[0] && !certificate)
        flz_msg_set(&msg, "%s (server said: %s)", words, conn->setup->text);
    else
        flz_msg_set(&msg, "%s", words);
    conn_finish(conn, end, &msg);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int64_t curl_ms(struct conn *conn, CURLINFO info)
{
    curl_off_t us = 0;
    return curl_easy_getinfo(conn->easy, info, &us) == CURLE_OK ? (int64_t)us / 1000 : 0;
}

/* libcurl counts each from the beginning. */
static void take_times(struct conn *conn)
{
    int64_t resolved = curl_ms(conn, CURLINFO_NAMELOOKUP_TIME_T);
    int64_t connected = curl_ms(conn, CURLINFO_CONNECT_TIME_T);
    int64_t secured = curl_ms(conn, CURLINFO_APPCONNECT_TIME_T);
    conn->peer.resolve_ms = resolved;
    conn->peer.connect_ms = connected > resolved ? connected - resolved : 0;
    conn->peer.tls_ms = secured > connected ? secured - connected : 0;
}

static bool start_watching(struct conn *conn)
{
    const char *ip = NULL;
    (void)curl_easy_getinfo(conn->easy, CURLINFO_PRIMARY_IP, &ip);
    (void)snprintf(conn->peer.address, sizeof(conn->peer.address), "%s", ip ? ip : "");
    take_times(conn);
    if (curl_easy_getinfo(conn->easy, CURLINFO_ACTIVESOCKET, &conn->fd) != CURLE_OK ||
        conn->fd == CURL_SOCKET_BAD)
        return false;
    conn->watch = watch_new(conn->shard->pool, conn->fd);
    if (!conn->watch)
        return false;
    conn->watch->conn = conn;
    return uv_poll_start(&conn->watch->poll, UV_READABLE | UV_DISCONNECT, on_poll) == 0;
}

static void setup_done(struct conn *conn)
{
    struct flz_msg msg;
    if (setup_denied(conn))
        return;
    if (conn->tls_required && !conn->peer.tls) { /* N3 */
        flz_msg_set(&msg, "no TLS");
        conn_finish(conn, CONN_END_STARTTLS, &msg);
        return;
    }
    if (!start_watching(conn)) {
        flz_msg_set(&msg, "no descriptor or memory for the connection");
        conn_finish(conn, CONN_END_LOCAL, &msg);
        return;
    }
    (void)curl_easy_setopt(conn->easy, CURLOPT_ERRORBUFFER, conn->shard->pool->error);
    (void)curl_easy_setopt(conn->easy, CURLOPT_CONNECT_TO, NULL);
    curl_slist_free_all(conn->setup->connect_to);
    free(conn->setup);
    conn->setup = NULL;
    conn->state = CONN_OPEN;
    /* Something may wait inside the TLS layer already, where poll does not see it. */
    conn_queue(conn);
    conn->events->on_open(conn, conn->userdata);
}

static void take_messages(struct shard *shard)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(shard->multi, &left));) {
        char *private = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        struct conn *conn = (struct conn *)private;
        if (code == CURLE_OK)
            setup_done(conn);
        else
            setup_failed(conn, code);
    }
}

/* ---- an open connection ---- */

static void watch_events(struct conn *conn)
{
    if (conn->watch)
        (void)uv_poll_start(
            &conn->watch->poll,
            UV_READABLE | UV_DISCONNECT | (conn_pending(conn) > 0 ? UV_WRITABLE : 0), on_poll);
}

/* The peer is gone for writing. What it said before it went is still read: a server that refuses
 * and closes while we send deserves to be heard. */
static void send_broken(struct conn *conn)
{
    conn->send_failed = true;
    out_wipe(conn);
    conn_queue(conn);
}

/* Gives octets to libcurl until it has no more room. Returns how many went. */
static size_t send_some(struct conn *conn, struct flz_view data)
{
    size_t done = 0;
    while (done < data.len) {
        size_t n = 0;
        CURLcode code = curl_easy_send(conn->easy, data.data + done, data.len - done, &n);
        if (code == CURLE_AGAIN)
            break;
        if (code != CURLE_OK) {
            send_broken(conn);
            break;
        }
        done += n;
    }
    return done;
}

int conn_send(struct conn *conn, struct flz_view data)
{
    if (conn->state != CONN_OPEN || conn->send_failed || conn->lost)
        return flz_fail(-ENOTCONN);
    if (data.len > CONN_SEND_MAX - conn_pending(conn))
        return flz_fail(-ENOBUFS);
    size_t done = 0;
    if (conn_pending(conn) == 0) {
        done = send_some(conn, data);
        if (conn->send_failed)
            return done > 0 ? 0 : flz_fail(-ENOTCONN);
    }
    if (done == data.len)
        return 0;

    struct flz_view rest = {.data = data.data + done, .len = data.len - done};
    int r = out_add(conn, rest);
    if (r < 0 && done > 0) { /* half of it has left: only an end is honest now */
        send_broken(conn);
        return 0;
    }
    if (r == 0)
        watch_events(conn);
    return r;
}

/* Returns false when the conn is gone. */
static bool flush(struct conn *conn)
{
    if (conn_pending(conn) == 0 || conn->send_failed || conn->lost)
        return true;
    struct flz_view rest = {.data = conn->out + conn->out_head, .len = conn_pending(conn)};
    size_t n = send_some(conn, rest);
    if (conn->send_failed)
        return true;
    explicit_bzero(conn->out + conn->out_head, n);
    conn->out_head += n;
    if (conn_pending(conn) > 0)
        return true;

    out_wipe(conn);
    watch_events(conn);
    if (!conn->events->on_drained)
        return true;
    bool gone = false;
    conn->gone = &gone;
    conn->events->on_drained(conn, conn->userdata);
    if (!gone)
        conn->gone = NULL;
    return !gone;
}

static void conn_ended(struct conn *conn, CURLcode code)
{
    struct conn_pool *pool = conn->shard->pool;
    struct flz_msg msg;
    if (code == CURLE_OK) {
        flz_msg_set(&msg, "closed by the server");
        conn_finish(conn, CONN_END_CLOSED, &msg);
        return;
    }
    enum conn_end end = end_of_stream(conn, pool->error);
    /* OpenSSL speaks of what is in a record; how the stream ended it tells by number or as an
     * unexpected end. */
    if (end == CONN_END_CLOSED && strstr(pool->error, "SSL_read") &&
        !strstr(pool->error, "unexpected eof") && os_error(conn, pool->error) == 0)
        end = CONN_END_TLS;
    flz_msg_set(&msg, "%s", pool->error[0] ? pool->error : curl_easy_strerror(code));
    conn_finish(conn, end, &msg);
}

/* Reads what is there, a bounded piece of it per turn. */
static void conn_serve(struct conn *conn)
{
    struct conn_pool *pool = conn->shard->pool;
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t n = 0;
        pool->error[0] = '\0';
        CURLcode code =
            conn->lost ? CURLE_OK : curl_easy_recv(conn->easy, pool->read_buf, READ_SIZE, &n);
        if (code == CURLE_AGAIN && !conn->send_failed)
            return;
        if (code == CURLE_AGAIN) {
            struct flz_msg msg;
            flz_msg_set(&msg, "the server does not read any more");
            conn_finish(conn, CONN_END_RESET, &msg);
            return;
        }
        if (code != CURLE_OK || n == 0) {
            conn_ended(conn, code);
            return;
        }
        bool gone = false;
        conn->gone = &gone;
        conn->events->on_data(conn, (struct flz_view){.data = pool->read_buf, .len = n},
                              conn->userdata);
        if (gone)
            return;
        conn->gone = NULL;
    }
    conn_queue(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *conn = ((struct watch *)poll)->conn;
    if (status < 0) { /* libuv has stopped watching: what there is to read says why */
        conn->send_failed = true;
        out_wipe(conn);
    }
    if (!(events & UV_WRITABLE) || flush(conn))
        conn_serve(conn);
}

int conn_peer_info(const struct conn *conn, struct conn_peer *ret_peer)
{
    if (conn->state != CONN_OPEN)
        return flz_fail(-ENOTCONN);
    *ret_peer = conn->peer;
    return 0;
}
