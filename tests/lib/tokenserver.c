#include "tests/lib/tokenserver.h"

#include "common/base/buf.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20
#define REQUEST_MAX 65536
#define TOKENS_MAX 256
#define TOKEN_LEN 1500 /* as long as Microsoft's */
#define SCOPE_ALL                                                                                  \
    "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send"
#define CLIENT "11111111-2222-3333-4444-555555555555"

struct issued {
    char access[TOKEN_LEN + 64];
    char name[320];
    int64_t until;
};

struct tokenserver {
    pthread_mutex_t lock; /* of all below */
    SSL_CTX *tls;
    int fd;
    uint16_t port;
    pthread_t thread;
    bool stopping;
    unsigned threads;
    struct tokenserver_faults faults;
    struct tokenserver_counts counts;
    char person[320];
    int ttl_s;
    bool refreshes;
    bool rotates;
    char scope[512];
    char refresh[256]; /* the good one */
    char owner[320];   /* whose it is */
    char spent[TOKENS_MAX][256];
    size_t spent_count;
    struct issued issued[TOKENS_MAX];
    size_t issued_count;
    char code[64], challenge[128], redirect[128];
    char device[64];
    bool approved;
};

struct client {
    struct tokenserver *server;
    int fd;
    SSL *ssl;
};

static void must(int fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void random_hex(char *text, size_t bytes)
{
    uint8_t raw[32];
    must(bytes <= sizeof raw && RAND_bytes(raw, (int)bytes) == 1, "RAND_bytes");
    flz_hex_encode(raw, bytes, text);
}

/* ---- Texts ---- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : 0;
}

/* The decoded value of a field of a form or query; "" when absent. */
static void field(const char *form, const char *name, char *value, size_t size)
{
    size_t n = strlen(name), len = 0;
    const char *at = form;
    value[0] = '\0';
    while (at && !(strncmp(at, name, n) == 0 && at[n] == '='))
        at = (at = strchr(at, '&')) ? at + 1 : NULL;
    if (!at)
        return;
    for (at += n + 1; *at && *at != '&' && len + 1 < size; at++) {
        char c = *at == '+' ? ' ' : *at;
        if (c == '%') {
            c = (char)(hex_of(at[1]) * 16 + hex_of(at[2]));
            at += 2;
        }
        value[len++] = c;
    }
    value[len] = '\0';
}

static void add_id_token(struct flz_buf *json, const char *name)
{
    char claims[512];
    (void)snprintf(claims, sizeof claims, "{\"preferred_username\":\"%s\",\"sub\":\"x\"}", name);
    flz_buf_add_str(json, ",\"id_token\":\"eyJhbGciOiJub25lIn0.");
    flz_base64url_encode(flz_view_str(claims), json);
    flz_buf_add_str(json, ".c2ln\"");
}

/* ---- Answers; the lock is held ---- */

static void issue(struct tokenserver *server, bool with_refresh, bool with_id, struct flz_buf *json)
{
    struct issued *issued = &server->issued[server->issued_count++ % TOKENS_MAX];
    char word[65];
    random_hex(word, 32);
    (void)snprintf(issued->access, sizeof issued->access, "at.%s.", word);
    size_t len = strlen(issued->access);
    memset(issued->access + len, 'x', TOKEN_LEN - len);
    issued->access[TOKEN_LEN] = '\0';
    (void)snprintf(issued->name, sizeof issued->name, "%s", server->owner);
    issued->until = now_ms() + (int64_t)server->ttl_s * 1000;
    flz_buf_printf(json, "{\"token_type\":\"Bearer\",\"expires_in\":%d,\"scope\":\"%s\"",
                   server->ttl_s, server->scope);
    flz_buf_printf(json, ",\"access_token\":\"%s\"", issued->access);
    if (with_refresh) {
        if (server->refresh[0])
            memcpy(server->spent[server->spent_count++ % TOKENS_MAX], server->refresh, 256);
        random_hex(word, 32);
        (void)snprintf(server->refresh, sizeof server->refresh, "rt.%s", word);
        flz_buf_printf(json, ",\"refresh_token\":\"%s\"", server->refresh);
    }
    if (with_id)
        add_id_token(json, server->owner);
    flz_buf_add_str(json, "}");
}

static int refuse(struct flz_buf *json, const char *error, const char *words)
{
    flz_buf_printf(json, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error, words);
    return 400;
}

static int sign_in(struct tokenserver *server, struct flz_buf *json)
{
    memcpy(server->owner, server->person, sizeof server->owner);
    issue(server, server->refreshes, true, json);
    return 200;
}

static int answer_refresh(struct tokenserver *server, const char *form, struct flz_buf *json)
{
    char token[512];
    field(form, "refresh_token", token, sizeof token);
    for (size_t i = 0; i < server->spent_count && i < TOKENS_MAX; i++)
        server->counts.replayed += strcmp(server->spent[i], token) == 0;
    if (!server->refresh[0] || strcmp(token, server->refresh) != 0)
        return refuse(json, "invalid_grant",
                      "AADSTS700082: The refresh token has expired due to inactivity.");
    server->counts.refreshes++;
    issue(server, server->rotates, false, json);
    return 200;
}

static int answer_code(struct tokenserver *server, const char *form, struct flz_buf *json)
{
    char code[512], verifier[256], redirect[128];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct flz_buf challenge = FLZ_BUF_NULL;
    field(form, "code", code, sizeof code);
    field(form, "code_verifier", verifier, sizeof verifier);
    field(form, "redirect_uri", redirect, sizeof redirect);
    (void)SHA256((const uint8_t *)verifier, strlen(verifier), digest);
    flz_base64url_encode((struct flz_view){.data = digest, .len = sizeof digest}, &challenge);
    bool fine = server->code[0] && strcmp(code, server->code) == 0 && strlen(verifier) >= 43 &&
                strcmp(flz_buf_str(&challenge), server->challenge) == 0 &&
                strcmp(redirect, server->redirect) == 0;
    flz_buf_deinit(&challenge);
    server->code[0] = '\0';
    server->counts.unsound += !fine;
    return fine ? sign_in(server, json) : refuse(json, "invalid_grant", "AADSTS70000: no");
}

static int answer_poll(struct tokenserver *server, const char *form, struct flz_buf *json)
{
    char device[128];
    field(form, "device_code", device, sizeof device);
    if (!server->device[0] || strcmp(device, server->device) != 0)
        return refuse(json, "expired_token", "AADSTS70020: gone");
    if (!server->approved)
        return refuse(json, "authorization_pending", "AADSTS70016: pending");
    server->device[0] = '\0';
    return sign_in(server, json);
}

static int answer_token(struct tokenserver *server, const char *form, struct flz_buf *json)
{
    char type[128];
    field(form, "grant_type", type, sizeof type);
    if (strcmp(type, "refresh_token") == 0)
        return answer_refresh(server, form, json);
    if (strcmp(type, "authorization_code") == 0)
        return answer_code(server, form, json);
    if (strcmp(type, "urn:ietf:params:oauth:grant-type:device_code") == 0)
        return answer_poll(server, form, json);
    return refuse(json, "unsupported_grant_type", "AADSTS70003: no");
}

static int answer_device(struct tokenserver *server, struct flz_buf *json)
{
    random_hex(server->device, 16);
    server->approved = false;
    flz_buf_printf(json,
                   "{\"device_code\":\"%s\",\"user_code\":\"ABCD-1234\",\"interval\":1,"
                   "\"verification_uri\":\"https://login.test/device\",\"expires_in\":900}",
                   server->device);
    return 200;
}

/* What a mail server asks by RFC 7662, or Dovecot's introspection_mode = post. */
static int answer_introspect(struct tokenserver *server, const char *form, struct flz_buf *json)
{
    static char token[TOKEN_LEN + 64];
    field(form, "token", token, sizeof token);
    for (size_t i = 0; i < server->issued_count && i < TOKENS_MAX; i++)
        if (strcmp(server->issued[i].access, token) == 0 && now_ms() < server->issued[i].until) {
            flz_buf_printf(json, "{\"active\":true,\"username\":\"%s\",\"email\":\"%s\"}",
                           server->issued[i].name, server->issued[i].name);
            return 200;
        }
    flz_buf_add_str(json, "{\"active\":false}");
    return 200;
}

static int answer_good(struct tokenserver *server, const char *request, const char *body,
                       struct flz_buf *json)
{
    char client[128];
    bool post = strncmp(request, "POST ", 5) == 0;
    if (strncmp(request, "POST /introspect", 16) == 0)
        return answer_introspect(server, body, json);
    field(body, "client_id", client, sizeof client);
    server->counts.unsound += !post || strcmp(client, CLIENT) != 0;
    if (post && strstr(request, "/organizations/oauth2/v2.0/token "))
        return answer_token(server, body, json);
    if (post && strstr(request, "/organizations/oauth2/v2.0/devicecode "))
        return answer_device(server, json);
    server->counts.unsound++;
    return 404;
}

/* ---- Connections ---- */

static bool is_stopping(struct tokenserver *server)
{
    (void)pthread_mutex_lock(&server->lock);
    bool stopping = server->stopping;
    (void)pthread_mutex_unlock(&server->lock);
    return stopping;
}

/* Waits for octets; false when the server stops or the client has gone. */
static bool read_more(struct client *client, char *request, size_t *len)
{
    while (SSL_pending(client->ssl) == 0) {
        struct pollfd fd = {.fd = client->fd, .events = POLLIN};
        if (is_stopping(client->server))
            return false;
        if (poll(&fd, 1, POLL_MS) > 0)
            break;
    }
    int n = *len < REQUEST_MAX - 1
                ? SSL_read(client->ssl, request + *len, (int)(REQUEST_MAX - 1 - *len))
                : 0;
    if (n <= 0)
        return false;
    *len += (size_t)n;
    request[*len] = '\0';
    return true;
}

/* The whole request; its body, or NULL. */
static char *read_request(struct client *client, char *request)
{
    size_t len = 0;
    unsigned long long body_len = 0;
    char *body = NULL;
    request[0] = '\0';
    while (!body || strlen(body) < body_len) {
        if (!read_more(client, request, &len))
            return NULL;
        char *end = strstr(request, "\r\n\r\n");
        char *length = strcasestr(request, "Content-Length:");
        body = end ? end + 4 : NULL;
        body_len = length ? strtoull(length + 15, NULL, 10) : 0;
    }
    return body;
}

static void write_answer(struct client *client, int status, const char *header,
                         struct flz_view body)
{
    char head[512];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "%sConnection: close\r\n\r\n",
                     status, body.len, header ? header : "");
    if (SSL_write(client->ssl, head, n) > 0 && body.len > 0)
        (void)SSL_write(client->ssl, body.data, (int)body.len);
    (void)SSL_shutdown(client->ssl);
}

static void wait_ms(struct client *client, unsigned ms)
{
    for (int64_t until = now_ms() + ms; now_ms() < until && !is_stopping(client->server);)
        (void)usleep(POLL_MS * 1000);
}

static struct tokenserver_faults next_fault(struct tokenserver *server, bool introspects)
{
    (void)pthread_mutex_lock(&server->lock);
    struct tokenserver_faults faults = server->faults;
    if (introspects || faults.times == 0)
        faults = (struct tokenserver_faults){.times = 0};
    else
        server->faults.times--;
    server->counts.requests += !introspects;
    (void)pthread_mutex_unlock(&server->lock);
    return faults;
}

static void answer(struct client *client, const char *request, const char *body)
{
    struct tokenserver *server = client->server;
    struct flz_buf json = FLZ_BUF_NULL;
    bool introspects = strncmp(request, "POST /introspect", 16) == 0;
    struct tokenserver_faults faults = next_fault(server, introspects);
    int status = faults.status ? faults.status : 200;
    if (faults.drop)
        return;
    wait_ms(client, faults.hang ? 3600000 : faults.slow_ms);
    if (faults.hang)
        return;
    if (faults.huge && flz_buf_reserve(&json, faults.huge)) {
        memset(json.data, ' ', faults.huge);
        json.len = faults.huge;
    } else if (faults.body) {
        flz_buf_add_str(&json, faults.body);
    } else if (!faults.status) {
        (void)pthread_mutex_lock(&server->lock);
        status = answer_good(server, request, body, &json);
        (void)pthread_mutex_unlock(&server->lock);
    }
    write_answer(client, status, faults.header, flz_buf_view(&json));
    flz_buf_deinit(&json);
}

static void *serve(void *data)
{
    struct client *client = data;
    struct tokenserver *server = client->server;
    char *request = malloc(REQUEST_MAX);
    client->ssl = SSL_new(server->tls);
    must(request && client->ssl && SSL_set_fd(client->ssl, client->fd) == 1, "SSL_new");
    if (SSL_accept(client->ssl) == 1) {
        char *body = read_request(client, request);
        if (body)
            answer(client, request, body);
    }
    SSL_free(client->ssl);
    (void)close(client->fd);
    free(request);
    free(client);
    (void)pthread_mutex_lock(&server->lock);
    server->threads--;
    (void)pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void *listen_on(void *data)
{
    struct tokenserver *server = data;
    while (!is_stopping(server)) {
        struct pollfd fd = {.fd = server->fd, .events = POLLIN};
        if (poll(&fd, 1, POLL_MS) <= 0)
            continue;
        struct client *client = calloc(1, sizeof *client);
        pthread_t thread;
        must(client != NULL, "calloc");
        *client = (struct client){.server = server, .fd = accept(server->fd, NULL, NULL)};
        (void)pthread_mutex_lock(&server->lock);
        server->threads++;
        (void)pthread_mutex_unlock(&server->lock);
        must(pthread_create(&thread, NULL, serve, client) == 0, "pthread_create");
        (void)pthread_detach(thread);
    }
    return NULL;
}

/* ---- Life ---- */

static void bind_loopback(struct tokenserver *server, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int one = 1;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(server->fd >= 0, "socket");
    (void)setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    must(bind(server->fd, (struct sockaddr *)&address, len) == 0, "bind");
    must(getsockname(server->fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
    must(listen(server->fd, 64) == 0, "listen");
    server->port = ntohs(address.sin_port);
}

struct tokenserver *tokenserver_start(const char *cert)
{
    struct tokenserver *server = calloc(1, sizeof *server);
    must(server != NULL, "calloc");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)pthread_mutex_init(&server->lock, NULL);
    server->tls = SSL_CTX_new(TLS_server_method());
    must(server->tls && SSL_CTX_use_certificate_chain_file(server->tls, cert) == 1 &&
             SSL_CTX_use_PrivateKey_file(server->tls, cert, SSL_FILETYPE_PEM) == 1,
         "certificate");
    server->ttl_s = 3600;
    server->refreshes = server->rotates = true;
    (void)snprintf(server->scope, sizeof server->scope, "%s", SCOPE_ALL);
    bind_loopback(server, 0);
    must(pthread_create(&server->thread, NULL, listen_on, server) == 0, "pthread_create");
    return server;
}

struct tokenserver *tokenserver_stop(struct tokenserver *server)
{
    if (!server)
        return NULL;
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
    for (bool busy = true; busy;) {
        (void)pthread_mutex_lock(&server->lock);
        busy = server->threads > 0;
        (void)pthread_mutex_unlock(&server->lock);
        (void)usleep(2000);
    }
    SSL_CTX_free(server->tls);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}

uint16_t tokenserver_port(const struct tokenserver *server)
{
    return server->port;
}

void tokenserver_person(struct tokenserver *server, const char *name, int ttl_s)
{
    (void)pthread_mutex_lock(&server->lock);
    (void)snprintf(server->person, sizeof server->person, "%s", name);
    server->ttl_s = ttl_s;
    (void)pthread_mutex_unlock(&server->lock);
}

void tokenserver_grants(struct tokenserver *server, bool refresh, const char *scope)
{
    (void)pthread_mutex_lock(&server->lock);
    server->refreshes = refresh;
    (void)snprintf(server->scope, sizeof server->scope, "%s", scope ? scope : SCOPE_ALL);
    (void)pthread_mutex_unlock(&server->lock);
}

void tokenserver_rotates(struct tokenserver *server, bool rotates)
{
    (void)pthread_mutex_lock(&server->lock);
    server->rotates = rotates;
    (void)pthread_mutex_unlock(&server->lock);
}

void tokenserver_faults(struct tokenserver *server, struct tokenserver_faults faults)
{
    (void)pthread_mutex_lock(&server->lock);
    server->faults = faults;
    (void)pthread_mutex_unlock(&server->lock);
}

struct tokenserver_counts tokenserver_counts(struct tokenserver *server)
{
    (void)pthread_mutex_lock(&server->lock);
    struct tokenserver_counts counts = server->counts;
    (void)pthread_mutex_unlock(&server->lock);
    return counts;
}

/* ---- The person ---- */

bool tokenserver_browse(struct tokenserver *server, const char *url, bool declines,
                        char ret_redirect[static TOKENSERVER_ADDRESS_MAX])
{
    char client[128], method[16], type[16], state[128], scope[512];
    const char *query = strchr(url, '?');
    if (!query)
        return false;
    query++;
    field(query, "client_id", client, sizeof client);
    field(query, "code_challenge_method", method, sizeof method);
    field(query, "response_type", type, sizeof type);
    field(query, "state", state, sizeof state);
    field(query, "scope", scope, sizeof scope);
    (void)pthread_mutex_lock(&server->lock);
    field(query, "code_challenge", server->challenge, sizeof server->challenge);
    field(query, "redirect_uri", server->redirect, sizeof server->redirect);
    random_hex(server->code, 16);
    bool fine = strcmp(client, CLIENT) == 0 && strcmp(method, "S256") == 0 &&
                strcmp(type, "code") == 0 && strlen(state) >= 20 &&
                strstr(scope, "offline_access") &&
                strncmp(server->redirect, "http://localhost:", 17) == 0;
    if (declines)
        (void)snprintf(ret_redirect, TOKENSERVER_ADDRESS_MAX,
                       "%s/?error=access_denied&error_description=AADSTS65004%%3a+no&state=%s",
                       server->redirect, state);
    else
        (void)snprintf(ret_redirect, TOKENSERVER_ADDRESS_MAX, "%s/?code=%s&state=%s&session=x",
                       server->redirect, server->code, state);
    (void)pthread_mutex_unlock(&server->lock);
    return fine;
}

void tokenserver_approve(struct tokenserver *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->approved = true;
    (void)pthread_mutex_unlock(&server->lock);
}

/* ---- What a mail server asks ---- */

bool tokenserver_is_good(struct tokenserver *server, const char *user, const char *token)
{
    bool good = false;
    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->issued_count && i < TOKENS_MAX; i++)
        good = good ||
               (strcmp(server->issued[i].access, token) == 0 &&
                strcmp(server->issued[i].name, user) == 0 && now_ms() < server->issued[i].until);
    (void)pthread_mutex_unlock(&server->lock);
    return good;
}

void tokenserver_revoke(struct tokenserver *server)
{
    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < TOKENS_MAX; i++)
        server->issued[i].until = 0;
    (void)pthread_mutex_unlock(&server->lock);
}

void tokenserver_expel(struct tokenserver *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->refresh[0] = '\0';
    (void)pthread_mutex_unlock(&server->lock);
}

bool tokenserver_gave(struct tokenserver *server, const char *text)
{
    bool gave = false;
    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->issued_count && i < TOKENS_MAX; i++)
        gave = gave || strstr(text, server->issued[i].access);
    for (size_t i = 0; i < server->spent_count && i < TOKENS_MAX; i++)
        gave = gave || strstr(text, server->spent[i]);
    gave = gave || (server->refresh[0] && strstr(text, server->refresh));
    (void)pthread_mutex_unlock(&server->lock);
    return gave;
}

/* The first letters of a token tell it from all others. */
bool tokenserver_finds_spent(struct tokenserver *server, const void *bytes, size_t len)
{
    bool found = false;
    (void)pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->spent_count && i < TOKENS_MAX; i++)
        found = found || memmem(bytes, len, server->spent[i], 40);
    for (size_t i = 0; i + 1 < server->issued_count && i < TOKENS_MAX; i++)
        found = found || memmem(bytes, len, server->issued[i].access, 40);
    (void)pthread_mutex_unlock(&server->lock);
    return found;
}

const char *tokenserver_refresh(struct tokenserver *server)
{
    return server->refresh;
}
