#include "coordinator/web.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/http.h"
#include "coordinator/keep.h"
#include "coordinator/meters.h"
#include "coordinator/view.h"
#include "coordinator/web_files.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATS_DAYS_DEFAULT VIEW_RECENT_DAYS
#define LOOKS_MAX 20000 /* accounts, or exchanges, that one request looks at */
#define KEPT_MAX 3      /* the first documents of the table */
#define JSON_TYPE "application/json"

struct web {
    struct http *http; /* owned */
    struct server *server;
    struct metrics *metrics;
    bool names; /* the door is on a loopback address: persons may be named */
    struct meters_walk walk;
    struct keep kept[KEPT_MAX]; /* by the index of the document */
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
    page->response->content_type = JSON_TYPE;
    flz_buf_add_str(&page->response->body, text);
    flz_buf_add_byte(&page->response->body, '\n');
}

static void put_error(struct page *page, int status, const char *code, const char *message,
                      const char *hint)
{
    put_json(page, json_pack("{s:{s:s,s:s,s:s}}", "error", "code", code, "message", message, "hint",
                             hint));
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
    static const char *const classes[] = {[2] = "2xx", [3] = "3xx", [4] = "4xx", [5] = "5xx"};
    for (int i = 2; i <= 5; i++)
        metrics_set_total(web->metrics, METER_HTTP_REQUESTS, METRICS_LABELS(classes[i]),
                          http_count(web->http, i));
    meters_collect(web->metrics, web->server, &web->walk);
    page->response->status = 200;
    page->response->content_type = METRICS_CONTENT_TYPE;
    metrics_expose(web->metrics, &page->response->body);
}

/* ---- The API: lists ---- */

static json_t *api_status(const struct view *view, const struct http_request *request)
{
    return view_status(view, NULL);
}

static json_t *api_nodes(const struct view *view, const struct http_request *request)
{
    return view_nodes(view);
}

static uint64_t number_of(const struct http_request *request, const char *name, uint64_t max,
                          uint64_t fallback)
{
    const char *text = http_query(request, name);
    uint64_t value;
    return text && flz_parse_u64(text, max, &value) == 0 && value > 0 ? value : fallback;
}

static size_t limit_of(const struct http_request *request, size_t max, size_t fallback)
{
    return (size_t)number_of(request, "limit", max, fallback);
}

/* The account that a query names; COORD_NONE: none is named, or there is none. */
static uint32_t account_of(const struct view *view, const struct http_request *request,
                           const char *name)
{
    const char *text = http_query(request, name);
    return text ? view_find_account(view, text) : COORD_NONE;
}

static struct view_page page_of(const struct view *view, const struct http_request *request)
{
    return (struct view_page){.after = account_of(view, request, "after"),
                              .limit = limit_of(request, WEB_PAGE_MAX, WEB_PAGE_MAX),
                              .looks = LOOKS_MAX};
}

static json_t *api_accounts(const struct view *view, const struct http_request *request)
{
    struct view_account_filter filter = {.node = COORD_NONE,
                                         .domain = http_query(request, "domain"),
                                         .phase = http_query(request, "phase"),
                                         .readiness = http_query(request, "readiness"),
                                         .text = http_query(request, "text"),
                                         .unready = http_query(request, "unready") != NULL,
                                         .all = http_query(request, "all") != NULL,
                                         .recent = http_query(request, "recent") != NULL,
                                         .page = page_of(view, request)};
    const char *node = http_query(request, "node");
    if (node)
        filter.node = view_find_node(view, node);
    if (node && filter.node == COORD_NONE)
        return view_list(view, "AccountList", json_array());
    return view_accounts(view, &filter);
}

/* Archives are for fluenzrctl: reading them takes longer than the loop may wait. */
static json_t *api_exchanges(const struct view *view, const struct http_request *request)
{
    struct view_exchange_filter filter = {.account = account_of(view, request, "account"),
                                          .limit =
                                              limit_of(request, VIEW_LIMIT_MAX, VIEW_LIMIT_DEFAULT),
                                          .before = COORD_NONE,
                                          .looks = LOOKS_MAX};
    const char *before = http_query(request, "before");
    struct flz_id id;
    if (before && flz_id_parse(before, &id) == 0)
        filter.before = coord_find_exchange(view->core, id);
    return view_exchanges(view, &filter);
}

static json_t *api_alerts(const struct view *view, const struct http_request *request)
{
    return view_alerts(view, http_query(request, "all") != NULL);
}

static json_t *api_plan(const struct view *view, const struct http_request *request)
{
    struct view_plan_query query = {.account = account_of(view, request, "account"),
                                    .page = page_of(view, request)};
    const char *text = http_query(request, "date");
    if (text)
        (void)flz_date_parse(text, &query.date);
    return view_plan(view, &query);
}

/* Over all accounts only what is in memory: the archive of one account's days is short. */
static json_t *api_stats(const struct view *view, const struct http_request *request)
{
    const char *by = http_query(request, "by");
    struct view_stats_query query = {.to = (int32_t)(view->now / FLZ_DAY_MS),
                                     .account = account_of(view, request, "account"),
                                     .page = page_of(view, request)};
    if (by && strcmp(by, "account") == 0)
        query.by = VIEW_BY_ACCOUNT;
    uint64_t max = query.by == VIEW_BY_DAY ? VIEW_STATS_DAYS_MAX : STATS_DAYS_DEFAULT;
    query.from = query.to - (int32_t)number_of(request, "days", max, STATS_DAYS_DEFAULT) + 1;
    return view_stats(view, &query);
}

/* ---- The API: one thing, named by the path ---- */

static json_t *api_node(const struct view *view, const char *name)
{
    uint32_t node = view_find_node(view, name);
    return node == COORD_NONE ? NULL : view_node(view, node);
}

static json_t *api_account(const struct view *view, const char *name)
{
    uint32_t account = view_find_account(view, name);
    return account == COORD_NONE ? NULL : view_account(view, account);
}

static json_t *api_why(const struct view *view, const char *name)
{
    uint32_t account = view_find_account(view, name);
    return account == COORD_NONE ? NULL : view_account_why(view, account);
}

static json_t *api_exchange(const struct view *view, const char *name)
{
    struct flz_id id;
    if (flz_id_parse(name, &id) < 0 || coord_find_exchange(view->core, id) == COORD_NONE)
        return NULL;
    return view_exchange(view, id);
}

/* A path that ends in "/" is followed by a name, and may have a tail behind it. Those that look at
 * all accounts are kept for a while when they were dear. */
static const struct document {
    const char *path;
    const char *tail;
    json_t *(*list)(const struct view *view, const struct http_request *request);
    json_t *(*thing)(const struct view *view, const char *name);
    const char *hint; /* when there is no such thing */
    bool kept;
} documents[] = {
    {"/api/v1/status", "", .list = api_status, .kept = true},
    {"/api/v1/nodes", "", .list = api_nodes, .kept = true},
    {"/api/v1/alerts", "", .list = api_alerts, .kept = true},
    {"/api/v1/accounts", "", .list = api_accounts},
    {"/api/v1/exchanges", "", .list = api_exchanges},
    {"/api/v1/plan", "", .list = api_plan},
    {"/api/v1/stats", "", .list = api_stats},
    {"/api/v1/nodes/", "", .thing = api_node, .hint = "fluenzrctl node ls"},
    {"/api/v1/accounts/", "/why", .thing = api_why, .hint = "fluenzrctl account ls --all"},
    {"/api/v1/accounts/", "", .thing = api_account, .hint = "fluenzrctl account ls --all"},
    {"/api/v1/exchanges/", "", .thing = api_exchange,
     .hint = "if it has ended: fluenzrctl exchange show ID"},
};

#define DOCUMENTS_COUNT (sizeof documents / sizeof *documents)

/* The name in the path of a thing, or "" for a list; NULL when this is another path. */
static const char *match(const struct document *document, const char *path,
                         char name[HTTP_PATH_MAX])
{
    size_t head = strlen(document->path);
    size_t tail = strlen(document->tail);
    size_t len = strlen(path);
    if (document->list)
        return strcmp(document->path, path) == 0 ? "" : NULL;
    if (strncmp(document->path, path, head) != 0 || len <= head + tail ||
        strcmp(path + len - tail, document->tail) != 0)
        return NULL;
    (void)flz_text_copy(name, HTTP_PATH_MAX, path + head);
    name[len - head - tail] = '\0';
    return name;
}

static void put_document(struct page *page, const struct document *document, const char *name)
{
    struct view view;
    json_t *json = NULL;
    if (view_init(&view, page->web->server, "", page->web->names) < 0) {
        put_error(page, 500, "NO_MEMORY", "out of memory", "");
    } else if (http_query(page->request, "account") &&
               account_of(&view, page->request, "account") == COORD_NONE) {
        put_error(page, 404, "NOT_FOUND", "no such account", "/api/v1/accounts lists them");
    } else if (document->list) {
        put_json(page, document->list(&view, page->request));
    } else if (!(json = document->thing(&view, name))) {
        put_error(page, 404, "NOT_FOUND", "nothing with that name is known here", document->hint);
    } else {
        put_json(page, json);
    }
    view_deinit(&view);
}

static void serve_kept(struct page *page, size_t i)
{
    assert(i < KEPT_MAX);
    struct keep *keep = &page->web->kept[i];
    int64_t began = flz_boottime_ms();
    if (keep_get(keep, began, &page->response->body)) {
        page->response->status = 200;
        page->response->content_type = JSON_TYPE;
        return;
    }
    put_document(page, &documents[i], "");
    if (page->response->status == 200)
        keep_put(keep, flz_buf_view(&page->response->body), began, flz_boottime_ms());
}

static void serve_api(struct page *page)
{
    char name[HTTP_PATH_MAX];
    for (size_t i = 0; i < DOCUMENTS_COUNT; i++) {
        const char *thing = match(&documents[i], page->request->path, name);
        if (!thing)
            continue;
        if (documents[i].kept)
            serve_kept(page, i);
        else
            put_document(page, &documents[i], thing);
        return;
    }
    put_error(page, 404, "NOT_FOUND",
              "documents: status nodes accounts exchanges alerts plan stats; nodes/NAME, "
              "accounts/ID, accounts/ID/why, exchanges/ID",
              "");
}

/* ---- The dashboard ---- */

/* A browser asks each time whether its copy is still the newest: after an update the page and the
 * documents belong together again. */
static void serve_file(struct page *page)
{
    for (size_t i = 0; i < web_files_count; i++) {
        if (strcmp(web_files[i].path, page->request->path) != 0)
            continue;
        page->response->status = 200;
        page->response->content_type = web_files[i].content_type;
        page->response->cache_control = "no-cache";
        page->response->etag = web_files[i].etag;
        page->response->fixed = web_files[i].bytes;
    }
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
    else
        serve_file(&page);
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
    web->walk = METERS_WALK_NULL;
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
    for (size_t i = 0; i < KEPT_MAX; i++)
        keep_deinit(&web->kept[i]);
    meters_walk_deinit(&web->walk);
    free(web);
    return NULL;
}

uint16_t web_port(const struct web *web)
{
    return http_port(web->http);
}
