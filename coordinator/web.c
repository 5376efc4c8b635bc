#include "coordinator/web.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/http.h"
#include "coordinator/meters.h"
#include "coordinator/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATS_DAYS_DEFAULT 14

struct web {
    struct http *http; /* owned */
    struct server *server;
    struct metrics *metrics;
    bool names; /* the door is on a loopback address: persons may be named */
};

struct page {
    struct web *web;
    const struct http_request *request;
    struct http_response *response;
};

/* ---- Answers ---- */

static void put_json(struct page *page, json_t *document)
{
    _cleanup_(flz_freep) char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    if (!text) {
        page->response->status = 500;
        flz_buf_add_str(&page->response->body, "out of memory\n");
        return;
    }
    page->response->status = 200;
    page->response->content_type = "application/json";
    flz_buf_add_str(&page->response->body, text);
    flz_buf_add_byte(&page->response->body, '\n');
}

static void put_error(struct page *page, int status, const char *code, const char *message)
{
    put_json(page,
             json_pack("{s:{s:s,s:s,s:s}}", "error", "code", code, "message", message, "hint", ""));
    if (page->response->status == 200)
        page->response->status = status;
}

/* ---- Health ---- */

static void serve_livez(struct page *page)
{
    page->response->status = 200;
    flz_buf_add_str(&page->response->body, "ok\n");
}

/* Machines look at the status, people at the lines. */
static void serve_readyz(struct page *page)
{
    struct web *web = page->web;
    struct flz_msg msg = FLZ_MSG_NULL;
    bool ready = server_ready(web->server, &msg) == 0;
    if (ready)
        msg = FLZ_MSG_NULL;
    bool leads = coord_network(server_core(web->server))->epoch > 0;
    struct flz_buf *body = &page->response->body;
    page->response->status = ready && leads ? 200 : 503;
    if (http_query(page->request, "verbose")) {
        flz_buf_printf(body, "%s%s\n", ready ? "[+]store ok" : "[-]store failed: ", msg.text);
        flz_buf_add_str(body, leads ? "[+]leader ok\n" : "[-]leader failed: not in office yet\n");
    }
    flz_buf_add_str(body, ready && leads ? "ok\n" : "not ready\n");
}

static void serve_metrics(struct page *page)
{
    struct web *web = page->web;
    static const char *const classes[] = {[2] = "2xx", [4] = "4xx", [5] = "5xx"};
    for (int i = 2; i <= 5; i++)
        if (classes[i])
            metrics_set_total(web->metrics, METER_HTTP_REQUESTS, METRICS_LABELS(classes[i]),
                              http_count(web->http, i));
    meters_collect(web->metrics, web->server);
    page->response->status = 200;
    page->response->content_type = METRICS_CONTENT_TYPE;
    metrics_expose(web->metrics, &page->response->body);
}

/* ---- The API ---- */

static json_t *api_status(const struct view *view, const struct http_request *request)
{
    return view_status(view, NULL);
}

static json_t *api_nodes(const struct view *view, const struct http_request *request)
{
    return view_nodes(view);
}

static json_t *api_accounts(const struct view *view, const struct http_request *request)
{
    struct view_account_filter filter = {.node = COORD_NONE,
                                         .domain = http_query(request, "domain"),
                                         .phase = http_query(request, "phase"),
                                         .unready = http_query(request, "unready") != NULL,
                                         .all = http_query(request, "all") != NULL};
    const char *node = http_query(request, "node");
    if (node)
        filter.node = view_find_node(view, node);
    if (node && filter.node == COORD_NONE)
        return view_list(view, "AccountList", json_array());
    return view_accounts(view, &filter);
}

static uint64_t number_of(const struct http_request *request, const char *name, uint64_t max,
                          uint64_t fallback)
{
    const char *text = http_query(request, name);
    uint64_t value;
    return text && flz_parse_u64(text, max, &value) == 0 && value > 0 ? value : fallback;
}

static uint32_t account_of(const struct view *view, const struct http_request *request)
{
    const char *text = http_query(request, "account");
    return text ? view_find_account(view, text) : COORD_NONE;
}

/* Archives are for fluenzrctl: reading them takes longer than the loop may wait. */
static json_t *api_exchanges(const struct view *view, const struct http_request *request)
{
    struct view_exchange_filter filter = {
        .account = account_of(view, request),
        .limit = (size_t)number_of(request, "limit", VIEW_LIMIT_MAX, VIEW_LIMIT_DEFAULT)};
    return view_exchanges(view, &filter);
}

static json_t *api_alerts(const struct view *view, const struct http_request *request)
{
    return view_alerts(view);
}

static json_t *api_plan(const struct view *view, const struct http_request *request)
{
    const char *text = http_query(request, "date");
    int32_t date = 0;
    if (text)
        (void)flz_date_parse(text, &date);
    return view_plan(view, date, account_of(view, request));
}

static json_t *api_stats(const struct view *view, const struct http_request *request)
{
    const char *by = http_query(request, "by");
    struct view_stats_query query = {.to = (int32_t)(view->now / FLZ_DAY_MS),
                                     .account = account_of(view, request),
                                     .by = by && strcmp(by, "account") == 0 ? VIEW_BY_ACCOUNT
                                                                            : VIEW_BY_DAY};
    int32_t days = (int32_t)number_of(request, "days", STATS_DAYS_DEFAULT, STATS_DAYS_DEFAULT);
    query.from = query.to - days + 1;
    return view_stats(view, &query);
}

static const struct {
    const char *path;
    json_t *(*document)(const struct view *view, const struct http_request *request);
} documents[] = {
    {"/api/v1/status", api_status},     {"/api/v1/nodes", api_nodes},
    {"/api/v1/accounts", api_accounts}, {"/api/v1/exchanges", api_exchanges},
    {"/api/v1/alerts", api_alerts},     {"/api/v1/plan", api_plan},
    {"/api/v1/stats", api_stats},
};

static void serve_api(struct page *page)
{
    size_t i = 0;
    while (i < sizeof documents / sizeof *documents &&
           strcmp(documents[i].path, page->request->path) != 0)
        i++;
    if (i == sizeof documents / sizeof *documents) {
        put_error(page, 404, "NOT_FOUND",
                  "documents: status nodes accounts exchanges alerts plan stats");
        return;
    }
    struct view view;
    if (view_init(&view, page->web->server, "", page->web->names) < 0)
        put_error(page, 500, "NO_MEMORY", "out of memory");
    else if (http_query(page->request, "account") && account_of(&view, page->request) == COORD_NONE)
        put_error(page, 404, "NOT_FOUND", "no such account");
    else
        put_json(page, documents[i].document(&view, page->request));
    view_deinit(&view);
}

static const struct {
    const char *path;
    void (*serve)(struct page *page);
} pages[] = {
    {"/metrics", serve_metrics},
    {"/livez", serve_livez},
    {"/readyz", serve_readyz},
};

static void on_request(const struct http_request *request, struct http_response *response,
                       void *data)
{
    struct page page = {.web = data, .request = request, .response = response};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(pages[i].path, request->path) == 0) {
            pages[i].serve(&page);
            return;
        }
    }
    if (strncmp(request->path, "/api/", 5) == 0)
        serve_api(&page);
}

/* ---- Life ---- */

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0 ||
           strncmp(address, "localhost:", 10) == 0;
}

int web_new(struct uv_loop_s *loop, const char *address, struct server *server,
            struct metrics *metrics, struct web **ret_web, struct flz_msg *msg)
{
    _cleanup_(flz_freep) struct web *web = calloc(1, sizeof *web);
    if (!web)
        return flz_fail(-ENOMEM);
    web->server = server;
    web->metrics = metrics;
    web->names = is_loopback(address);
    int r = http_new(loop, address, on_request, web, &web->http, msg);
    if (r < 0)
        return r;
    *ret_web = steal_ptr(&web);
    return 0;
}

struct web *web_free(struct web *web)
{
    if (!web)
        return NULL;
    if (web->http)
        (void)http_free(web->http);
    free(web);
    return NULL;
}

uint16_t web_port(const struct web *web)
{
    return http_port(web->http);
}
