/*
 * A small HTTP server on a libuv loop, for the scrape, the health checks, the JSON API and the
 * dashboard: GET and HEAD only, everything else is 405. Not a public server: bind it to loopback,
 * or put a proxy before it.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdint.h>

#define HTTP_CONNECTIONS_MAX 32
#define HTTP_TIMEOUT_S 5
#define HTTP_PATH_MAX 1024

struct uv_loop_s;
struct http;

/* Borrowed until the callback returns. */
struct http_request {
    const char *path;      /* decoded, without the query */
    void *connection;      /* for http_query() */
};

struct http_response {
    int status;                /* 404 before the callback */
    const char *content_type;  /* borrowed, static; "text/plain; charset=utf-8" before it */
    struct flz_buf body;       /* empty before it; taken over by the server */
    struct flz_view fixed;     /* or bytes that live as long as the program; empty before it */
    const char *cache_control; /* borrowed, static; "no-store" before it */
    const char *etag;          /* borrowed, static, with its quotes; NULL before it. Who has this
                                * version already is answered 304, without the body. */
};

/* Fills the response; runs on the loop, so it does not wait for anything. */
typedef void (*http_on_request)(const struct http_request *request, struct http_response *response,
                                void *data);

/* A value from the query ("?verbose" gives ""), decoded; NULL when absent. Borrowed as the
 * request. */
const char *http_query(const struct http_request *request, const char *name);

/*
 * Listens on "127.0.0.1:7480" or "[::1]:7480" (port 0: any). On a loopback address requests must
 * name a loopback host (or be an address), so that no web page of another site reads
 * us through a name of its own. 0, -EADDRINUSE, -EINVAL, -errno.
 */
int http_new(struct uv_loop_s *loop, const char *address, http_on_request on_request, void *data,
             struct http **ret_http, struct flz_msg *msg);

/* Stops. The loop must be run once more before it is closed. Not from within the callback. */
struct http *http_free(struct http *http);

uint16_t http_port(const struct http *http);

/* Answers by status class, for the metrics: index status / 100 (2, 4, 5). */
uint64_t http_count(const struct http *http, int status_class);
