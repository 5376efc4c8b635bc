#include "common/sys/http.h"

#include "common/base/cleanup.h"
#include "common/sys/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct http *http;
static unsigned calls;

static void on_request(const struct http_request *request, struct http_response *response,
                       void *data)
{
    calls++;
    assert_int_equal(response->status, 404);
    if (strcmp(request->path, "/hello world") == 0) {
        const char *name = http_query(request, "name");
        const char *flag = http_query(request, "verbose");
        response->status = 200;
        flz_buf_printf(&response->body, "name=%s flag=%s", name ? name : "-", flag ? flag : "-");
    } else if (strcmp(request->path, "/big") == 0) {
        response->status = 200;
        response->content_type = "application/json";
        response->cache_control = "max-age=60";
        uint8_t *p = flz_buf_reserve(&response->body, 1000000);
        assert_non_null(p);
        memset(p, 'x', 1000000);
        response->body.len = 1000000;
    } else if (strcmp(request->path, "/fixed") == 0) {
        static const char bytes[] = "fixed bytes";
        response->status = 200;
        response->fixed = flz_view_str(bytes);
        response->etag = "\"v1\"";
        response->cache_control = "no-cache";
    } else if (strcmp(request->path, "/unready") == 0) {
        response->status = 503;
    } else if (strcmp(request->path, "/failed") == 0) {
        response->status = 200;
        (void)flz_buf_reserve(&response->body, SIZE_MAX / 2);
    }
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Turns the loop and reads until the other end closes, or `timeout_ms` are over. */
static bool read_until_closed(int fd, struct flz_buf *buf, int timeout_ms)
{
    int64_t end = flz_boottime_ms() + timeout_ms;
    while (flz_boottime_ms() < end) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        uint8_t *p = flz_buf_reserve(buf, 65536);
        ssize_t n = recv(fd, p, 65536, 0);
        if (n > 0)
            buf->len += (size_t)n;
        else if (n == 0)
            return true;
        else if (errno != EAGAIN)
            return errno == ECONNRESET;
        else
            (void)usleep(500);
    }
    return false;
}

/* One exchange: "Connection: close" ends it. `head` is the request line and headers before that. */
static const char *ask(const char *head)
{
    static struct flz_buf answer;
    flz_buf_deinit(&answer);
    if (!head)
        return NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf request = FLZ_BUF_NULL;
    flz_buf_printf(&request, "%s\r\nConnection: close\r\n\r\n", head);
    int fd = connect_to(http_port(http));
    assert_int_equal(send(fd, request.data, request.len, MSG_NOSIGNAL), (int)request.len);
    assert_true(read_until_closed(fd, &answer, 3000));
    (void)close(fd);
    return flz_buf_str(&answer);
}

static void assert_status(const char *answer, int status)
{
    char line[32];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0)
        fail_msg("expected %d: %.200s", status, answer);
}

static int setup(void **state)
{
    calls = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    return http_new(&loop, "127.0.0.1:0", on_request, NULL, &http, NULL);
}

static int teardown(void **state)
{
    (void)ask(NULL);
    http = http_free(http);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void a_request_is_answered(void **state)
{
    const char *answer = ask("GET /hello%20world?name=a%26b&verbose HTTP/1.1\r\nHost: localhost");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "\r\n\r\nname=a&b flag="));
    assert_null(strstr(answer, "flag=-"));
    assert_non_null(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'self'"));
    assert_int_equal(http_count(http, 2), 1);
    assert_non_null(strstr(ask("GET /hello%20world HTTP/1.1\r\nHost: [::1]"), "name=- flag=-"));
}

static void a_large_body_arrives_whole(void **state)
{
    const char *answer = ask("GET /big HTTP/1.1\r\nHost: 127.0.0.1:7480");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Cache-Control: max-age=60\r\n"));
    assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), 1000000);
}

static void who_has_this_version_is_told_so(void **state)
{
    const char *answer = ask("GET /fixed HTTP/1.1\r\nHost: localhost");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "ETag: \"v1\"\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nfixed bytes"));
    static const char *const same[] = {"\"v1\"", "W/\"v1\"", "\"v0\", \"v1\"", "\"v1\",\"v2\"",
                                       "*"};
    static const char *const other[] = {"\"v2\"", "v1", "\"v1\"x", ""};
    char head[128];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        (void)snprintf(head, sizeof head,
                       "GET /fixed HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: %s", same[i]);
        answer = ask(head);
        assert_status(answer, 304);
        assert_non_null(strstr(answer, "ETag: \"v1\"\r\n"));
        assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        (void)snprintf(head, sizeof head,
                       "GET /fixed HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: %s", other[i]);
        assert_status(ask(head), 200);
    }
    assert_int_equal(http_count(http, 3), sizeof same / sizeof *same);
}

static void head_is_answered_without_a_body(void **state)
{
    const char *answer = ask("HEAD /big HTTP/1.1\r\nHost: localhost");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Length: 1000000\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void what_is_not_there_is_not_found(void **state)
{
    const char *answer = ask("GET /nothing HTTP/1.1\r\nHost: localhost");
    assert_status(answer, 404);
    assert_non_null(strstr(answer, "\r\n\r\nnot found\n"));
    assert_status(ask("GET /unready HTTP/1.1\r\nHost: localhost"), 503);
    assert_int_equal(http_count(http, 4), 1);
    assert_int_equal(http_count(http, 5), 1);
    assert_int_equal(http_count(http, 99), 0);
}

static void a_failed_buffer_is_a_server_error(void **state)
{
    assert_status(ask("GET /failed HTTP/1.1\r\nHost: localhost"), 500);
}

static void other_methods_are_refused(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char head[128];
        (void)snprintf(head, sizeof head,
                       "%s /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5", methods[i]);
        const char *answer = ask(head);
        assert_status(answer, 405);
        assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    }
    assert_status(ask("GET /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5"), 400);
    assert_status(ask("GET /big HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"), 400);
    assert_int_equal(calls, 0);
}

static void names_of_other_sites_are_refused(void **state)
{
    static const char *const hosts[] = {"evil.example", "localhost.evil.example:7480",
                                        "127.0.0.1.evil.example", "[::1].evil", "", "[evil]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char head[128];
        (void)snprintf(head, sizeof head, "GET /big HTTP/1.1\r\nHost: %s", hosts[i]);
        const char *answer = ask(head);
        if (strncmp(answer, "HTTP/1.1 400 ", 13) != 0 && strncmp(hosts[i], "[::1]", 5) != 0)
            assert_status(answer, 421);
    }
    assert_status(ask("GET /unready HTTP/1.1\r\nHost: LOCALHOST:7480"), 503);
    assert_status(ask("GET /unready HTTP/1.1\r\nHost: 192.0.2.7"), 503);
}

static void long_requests_are_refused(void **state)
{
    char head[HTTP_PATH_MAX + 100];
    (void)snprintf(head, sizeof head, "GET /%0*d HTTP/1.1\r\nHost: localhost", HTTP_PATH_MAX, 0);
    assert_status(ask(head), 414);
    _cleanup_(flz_buf_deinit) struct flz_buf huge = FLZ_BUF_NULL;
    flz_buf_printf(&huge, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %0*d", 100000, 0);
    const char *answer = ask(flz_buf_str(&huge));
    assert_int_equal(strncmp(answer, "HTTP/1.1 4", 10) == 0 || !*answer, 1);
    assert_int_equal(calls, 0);
}

static void a_silent_client_is_let_go(void **state)
{
    _cleanup_(flz_buf_deinit) struct flz_buf answer = FLZ_BUF_NULL;
    int fd = connect_to(http_port(http));
    assert_int_equal(send(fd, "GET / HT", 8, MSG_NOSIGNAL), 8);
    assert_true(read_until_closed(fd, &answer, (HTTP_TIMEOUT_S + 3) * 1000));
    (void)close(fd);
}

static void many_clients_do_not_stop_the_server(void **state)
{
    int fds[HTTP_CONNECTIONS_MAX + 8];
    for (int i = 0; i < HTTP_CONNECTIONS_MAX + 8; i++) {
        fds[i] = connect_to(http_port(http));
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < HTTP_CONNECTIONS_MAX + 8; i++)
        (void)close(fds[i]);
    assert_status(ask("GET /unready HTTP/1.1\r\nHost: localhost"), 503);
}

static void it_may_be_freed_with_clients_connected(void **state)
{
    int fd = connect_to(http_port(http));
    static const char request[] = "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    for (int i = 0; i < 3; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    http = http_free(http);
    (void)close(fd);
}

static void addresses_are_checked(void **state)
{
    static const char *const addresses[] = {"",         "7480",        "127.0.0.1", "::1:7480",
                                            "[::1]",    "127.0.0.1:x", "[::1:7480", "host.test:80",
                                            "127.0.0.1:65536"};
    struct http *other = NULL;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        int r = http_new(&loop, addresses[i], on_request, NULL, &other, &msg);
        assert_int_equal(r, -EINVAL);
        assert_true(strlen(msg.text) > 0);
    }
    char taken[64];
    struct flz_msg msg = FLZ_MSG_NULL;
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", http_port(http));
    assert_int_equal(http_new(&loop, taken, on_request, NULL, &other, &msg), -EADDRINUSE);
    assert_non_null(strstr(msg.text, taken));
    assert_null(other);
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ON_LOOP(a_request_is_answered),
        ON_LOOP(a_large_body_arrives_whole),
        ON_LOOP(who_has_this_version_is_told_so),
        ON_LOOP(head_is_answered_without_a_body),
        ON_LOOP(what_is_not_there_is_not_found),
        ON_LOOP(a_failed_buffer_is_a_server_error),
        ON_LOOP(other_methods_are_refused),
        ON_LOOP(names_of_other_sites_are_refused),
        ON_LOOP(long_requests_are_refused),
        ON_LOOP(a_silent_client_is_let_go),
        ON_LOOP(many_clients_do_not_stop_the_server),
        ON_LOOP(it_may_be_freed_with_clients_connected),
        ON_LOOP(addresses_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
