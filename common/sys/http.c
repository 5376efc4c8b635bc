#include "common/sys/http.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define BACKLOG 64
#define CONNECTION_MEMORY (32 * 1024) /* request line, headers and the answer's headers */
#define HOST_MAX 256
#define STATUS_CLASSES 6

struct http {
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles; /* not yet closed */
    struct MHD_Daemon *daemon;
    http_on_request on_request;
    void *data;
    uint64_t counts[STATUS_CLASSES];
    uint16_t port;
    bool loopback;
    bool full;
};

/* Sent with each answer: our pages load nothing from elsewhere and stand in no one's frame. */
static const struct {
    const char *name;
    const char *value;
} headers[] = {
    {"Content-Security-Policy",
     "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
};

/* ---- Answering ---- */

static struct MHD_Response *make_response(struct http_response *response)
{
    if (flz_buf_error(&response->body) < 0) {
        flz_buf_deinit(&response->body);
        response->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (response->fixed.len > 0)
        return MHD_create_response_from_buffer(
            response->fixed.len, (void *)(uintptr_t)response->fixed.data, MHD_RESPMEM_PERSISTENT);
    size_t len = response->body.len;
    uint8_t *bytes = steal_ptr(&response->body.data);
    if (!bytes)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *made =
        MHD_create_response_from_buffer_with_free_callback(len, bytes, free);
    if (!made)
        free(bytes);
    return made;
}

static enum MHD_Result answer(struct http *http, struct MHD_Connection *connection,
                              struct http_response *response)
{
    struct MHD_Response *made = make_response(response);
    if (!made)
        return MHD_NO;
    assert(response->status >= 200 && response->status < 600);
    (void)MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    (void)MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, response->cache_control);
    if (response->etag)
        (void)MHD_add_response_header(made, MHD_HTTP_HEADER_ETAG, response->etag);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        (void)MHD_add_response_header(made, headers[i].name, headers[i].value);
    if (response->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(made, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)response->status, made);
    MHD_destroy_response(made);
    if (queued == MHD_YES)
        http->counts[response->status / 100]++;
    return queued;
}

static struct http_response empty_response(int status)
{
    return (struct http_response){
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = FLZ_BUF_NULL,
        .cache_control = "no-store",
    };
}

static enum MHD_Result refuse(struct http *http, struct MHD_Connection *connection, int status,
                              const char *text)
{
    struct http_response response = empty_response(status);
    flz_buf_add_str(&response.body, text);
    return answer(http, connection, &response);
}

static bool is_address(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* "localhost", "127.0.0.1:7480", "[::1]:7480". A name that anybody may point at us is none. */
static bool host_is_ours(const char *value)
{
    char host[HOST_MAX];
    bool v6 = value[0] == '[';
    if (flz_text_copy(host, sizeof host, value + v6) < 0)
        return false;
    char *end = strchr(host, v6 ? ']' : ':');
    if (end)
        *end = '\0';
    return is_address(host) || flz_ascii_equal_nocase(host, "localhost") ||
           flz_ascii_equal_nocase(host, "localhost.");
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* What is wrong with the request, in the order in which a client should hear it; 0 = nothing. */
static int check_request(struct http *http, struct MHD_Connection *connection, const char *path,
                         const char *method, const char **ret_text)
{
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        *ret_text = "only GET and HEAD\n";
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (strlen(path) >= HTTP_PATH_MAX) {
        *ret_text = "the path is too long\n";
        return MHD_HTTP_URI_TOO_LONG;
    }
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
        (length && strcmp(length, "0") != 0)) {
        *ret_text = "a GET request has no body\n";
        return MHD_HTTP_BAD_REQUEST;
    }
    const char *host = header(connection, MHD_HTTP_HEADER_HOST);
    if (http->loopback && host && !host_is_ours(host)) {
        *ret_text = "this host name is not ours; use localhost\n";
        return MHD_HTTP_MISDIRECTED_REQUEST;
    }
    return 0;
}

/* RFC 9110 13.1.2: a list of tags or "*", compared weakly. Our tags hold no comma. */
static bool has_version(const char *asked, const char *etag)
{
    if (!asked)
        return false;
    if (strcmp(asked, "*") == 0)
        return true;
    const char *found = strstr(asked, etag);
    char behind = found ? found[strlen(etag)] : '\0';
    return found && (behind == '\0' || behind == ',' || behind == ' ');
}

/* MHD calls twice: with the headers, where a refusal may go out, and when the request is whole. */
static enum MHD_Result on_access(void *data, struct MHD_Connection *connection, const char *path,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **state)
{
    struct http *http = data;
    const char *text = NULL;
    if (!*state) {
        *state = http;
        int status = check_request(http, connection, path, method, &text);
        return status ? refuse(http, connection, status, text) : MHD_YES;
    }
    struct http_request request = {.path = path, .connection = connection};
    struct http_response response = empty_response(MHD_HTTP_NOT_FOUND);
    http->on_request(&request, &response, http->data);
    if (response.etag && has_version(header(connection, "If-None-Match"), response.etag)) {
        response.status = MHD_HTTP_NOT_MODIFIED;
        response.fixed = FLZ_VIEW_NULL;
        flz_buf_deinit(&response.body);
    }
    if (response.status == MHD_HTTP_NOT_FOUND && response.body.len == 0)
        flz_buf_add_str(&response.body, "not found\n");
    return answer(http, connection, &response);
}

const char *http_query(const struct http_request *request, const char *name)
{
    const char *value = NULL;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &value, NULL) != MHD_YES)
        return NULL;
    return value ? value : "";
}

/* ---- The loop ---- */

static void on_timer(uv_timer_t *timer);

static bool is_full(struct http *http)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info && info->num_connections >= HTTP_CONNECTIONS_MAX;
}

static void run(struct http *http)
{
    (void)MHD_run(http->daemon);
    /* At its limit MHD stops listening, and begins again only in a run after the one that made
     * room; nothing else would bring that run about. */
    bool was_full = http->full;
    http->full = is_full(http);
    if (was_full && !http->full)
        (void)MHD_run(http->daemon);
    MHD_UNSIGNED_LONG_LONG timeout;
    if (MHD_get_timeout(http->daemon, &timeout) == MHD_YES)
        (void)uv_timer_start(&http->timer, on_timer, timeout, 0);
    else
        (void)uv_timer_stop(&http->timer);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    run(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    if (--http->handles == 0)
        free(http);
}

/* ---- Listening ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const char *text, union address *ret_address)
{
    char copy[128];
    if (flz_text_copy(copy, sizeof copy, text) < 0)
        return false;
    char *colon = strrchr(copy, ':');
    uint64_t port;
    if (!colon || flz_parse_u64(colon + 1, UINT16_MAX, &port) < 0)
        return false;
    *colon = '\0';
    *ret_address = (union address){.v6 = {.sin6_family = AF_UNSPEC}};
    if (copy[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, copy + 1, &ret_address->v6.sin6_addr) == 1;
    }
    const char *host = strcmp(copy, "localhost") == 0 ? "127.0.0.1" : copy;
    ret_address->v4.sin_family = AF_INET;
    ret_address->v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1;
}

static bool address_is_loopback(const union address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

static socklen_t address_len(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* A listening socket, and the port it got. Negative: -errno. */
static int listen_on(const union address *address, uint16_t *ret_port)
{
    int one = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    union address bound = {.any = {0}};
    socklen_t len = sizeof bound;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              (address->any.sa_family != AF_INET6 ||
               setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
              bind(fd, &address->any, address_len(address)) == 0 && listen(fd, BACKLOG) == 0 &&
              getsockname(fd, &bound.any, &len) == 0;
    if (!ok) {
        int code = errno;
        (void)close(fd);
        return -code;
    }
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return fd;
}

static int start_daemon(struct http *http, int fd)
{
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_access, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)HTTP_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return http->daemon ? 0 : -ENOMEM;
}

static int start_poll(struct http *http, uv_loop_t *loop)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return -EPROTO;
    int r = uv_poll_init(loop, &http->poll, info->epoll_fd);
    if (r < 0)
        return r;
    (void)uv_timer_init(loop, &http->timer);
    http->poll.data = http->timer.data = http;
    http->handles = 2;
    (void)uv_poll_start(&http->poll, UV_READABLE, on_poll);
    return 0;
}

static int start(struct http *http, uv_loop_t *loop, const union address *address)
{
    int fd = listen_on(address, &http->port);
    if (fd < 0)
        return fd;
    int r = start_daemon(http, fd);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    r = start_poll(http, loop);
    if (r < 0)
        MHD_stop_daemon(http->daemon);
    return r;
}

int http_new(struct uv_loop_s *loop, const char *address, http_on_request on_request, void *data,
             struct http **ret_http, struct flz_msg *msg)
{
    union address parsed;
    if (!parse_address(address, &parsed)) {
        flz_msg_set(msg, "\"%s\": not an address to listen on (127.0.0.1:PORT or [::1]:PORT)",
                    address);
        return flz_fail(-EINVAL);
    }
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return flz_fail(-ENOMEM);
    http->on_request = on_request;
    http->data = data;
    http->loopback = address_is_loopback(&parsed);
    int r = start(http, loop, &parsed);
    if (r < 0) {
        free(http);
        flz_msg_set(msg, "%s: cannot listen: %s", address, strerror(-r));
        return flz_fail(r);
    }
    *ret_http = http;
    return 0;
}

struct http *http_free(struct http *http)
{
    if (!http)
        return NULL;
    (void)uv_poll_stop(&http->poll);
    (void)uv_timer_stop(&http->timer);
    uv_close((uv_handle_t *)&http->poll, on_closed);
    uv_close((uv_handle_t *)&http->timer, on_closed);
    MHD_stop_daemon(http->daemon);
    return NULL;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

uint64_t http_count(const struct http *http, int status_class)
{
    return status_class >= 0 && status_class < STATUS_CLASSES ? http->counts[status_class] : 0;
}
