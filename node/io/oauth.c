#include "node/io/oauth.h"

#include "common/base/cleanup.h"
#include "node/io/curlmem.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define RETRY_AFTER_S_MAX 86400

struct oauth_call {
    struct oauth_client *client;
    struct oauth_call *next;
    CURL *easy; /* NULL: waits for its turn */
    char *url;
    struct flz_secret form;
    struct flz_secret body; /* OAUTH_ANSWER_MAX, from its turn on */
    size_t body_len;
    size_t headers_len;
    bool too_big;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    oauth_on_answer on_answer;
    void *data;
};

struct watch {
    uv_poll_t poll; /* first: freed as one */
    struct oauth_client *client;
    curl_socket_t fd;
};

struct oauth_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer; /* libcurl's */
    uv_timer_t soon;  /* begins what waits */
    char *ca_file;
    int64_t timeout_ms;
    struct oauth_call *running; /* in no order */
    struct oauth_call *waiting; /* the oldest first */
    size_t running_count;
    size_t handles; /* of the loop, not yet closed; the last one frees the client */
    bool freed;
};

/* ---- Handles of the loop ---- */

static void release(struct oauth_client *client)
{
    if (--client->handles > 0 || !client->freed)
        return;
    free(client->ca_file);
    free(client);
    curlmem_stop();
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)handle;
    release(watch->client);
    free(watch);
}

static void take_messages(struct oauth_client *client);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = (struct watch *)poll;
    struct oauth_client *client = watch->client;
    int mask = status < 0 ? CURL_CSELECT_ERR : 0;
    mask |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    mask |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    int running = 0;
    (void)curl_multi_socket_action(client->multi, watch->fd, mask, &running);
    take_messages(client);
}

static struct watch *watch_new(struct oauth_client *client, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch || uv_poll_init_socket(client->loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    watch->client = client;
    watch->fd = fd;
    client->handles++;
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userp, void *socketp)
{
    struct oauth_client *client = userp;
    struct watch *watch = socketp;
    if (what == CURL_POLL_REMOVE) {
        (void)curl_multi_assign(client->multi, fd, NULL);
        if (watch)
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        return 0;
    }
    if (!watch)
        watch = watch_new(client, fd);
    if (!watch)
        return 0; /* without memory for it the request meets its time-out */
    (void)curl_multi_assign(client->multi, fd, watch);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    (void)uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

static void arm(struct oauth_client *client, long timeout_ms);

static void on_timer(uv_timer_t *timer)
{
    struct oauth_client *client = timer->data;
    int running = 0;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    /* libcurl does not ask twice for the same moment, should the timer have come early. */
    long ms = -1;
    if (!uv_is_active((uv_handle_t *)timer) && curl_multi_timeout(client->multi, &ms) == CURLM_OK &&
        ms >= 0)
        arm(client, ms);
    take_messages(client);
}

static void arm(struct oauth_client *client, long timeout_ms)
{
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&client->timer);
        return;
    }
    uv_update_time(client->loop);
    (void)uv_timer_start(&client->timer, on_timer, timeout_ms > 0 ? (uint64_t)timeout_ms + 1 : 0,
                         0);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *userp)
{
    arm(userp, timeout_ms);
    return 0;
}

/* ---- One request ---- */

static size_t on_body(char *data, size_t size, size_t n, void *userp)
{
    struct oauth_call *call = userp;
    size_t len = size * n;
    if (len > call->body.len - call->body_len) {
        call->too_big = true;
        return 0;
    }
    memcpy(call->body.data + call->body_len, data, len);
    call->body_len += len;
    return len;
}

static size_t on_header(char *data, size_t size, size_t n, void *userp)
{
    struct oauth_call *call = userp;
    call->headers_len += size * n;
    call->too_big = call->too_big || call->headers_len > OAUTH_HEADERS_MAX;
    return call->too_big ? 0 : size * n;
}

static CURLcode on_tls_context(CURL *easy, void *context, void *userp)
{
    (void)SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
    return CURLE_OK;
}

/* Each of these guards; one that cannot be set ends the request before it begins. */
static bool set_options(struct oauth_call *call)
{
    const struct oauth_client *client = call->client;
    CURL *easy = call->easy;
#define SET(option, value) (curl_easy_setopt(easy, CURLOPT_##option, value) == CURLE_OK)
    return SET(URL, call->url) && SET(PROTOCOLS_STR, "https") && SET(CAINFO, client->ca_file) &&
           SET(CAPATH, NULL) && SET(SSL_VERIFYPEER, 1L) && SET(SSL_VERIFYHOST, 2L) &&
           SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(PROXY, "") && SET(NOPROXY, "*") &&
           SET(NETRC, (long)CURL_NETRC_IGNORED) && SET(FOLLOWLOCATION, 0L) && SET(VERBOSE, 0L) &&
           SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) && SET(FRESH_CONNECT, 1L) &&
           SET(FORBID_REUSE, 1L) && SET(SSL_SESSIONID_CACHE, 0L) && SET(NOSIGNAL, 1L) &&
           SET(QUICK_EXIT, 1L) && SET(CONNECTTIMEOUT_MS, (long)OAUTH_CONNECT_TIMEOUT_MS) &&
           SET(TIMEOUT_MS, (long)client->timeout_ms) && SET(HTTPHEADER, call->headers) &&
           SET(POSTFIELDSIZE, (long)call->form.len) && SET(POSTFIELDS, call->form.data) &&
           SET(ERRORBUFFER, call->error) && SET(PRIVATE, call) && SET(WRITEFUNCTION, on_body) &&
           SET(WRITEDATA, call) && SET(HEADERFUNCTION, on_header) && SET(HEADERDATA, call) &&
           SET(SSL_CTX_FUNCTION, on_tls_context);
#undef SET
}

static int begin(struct oauth_call *call)
{
    int r = flz_secret_new(OAUTH_ANSWER_MAX, &call->body);
    if (r < 0)
        return r;
    call->headers = curl_slist_append(NULL, "Accept: application/json");
    call->easy = curl_easy_init();
    if (!call->headers || !call->easy || !set_options(call) ||
        curl_multi_add_handle(call->client->multi, call->easy) != CURLM_OK)
        return flz_fail(-ENOMEM);
    return 0;
}

/* Takes it out of its list; what it had of libcurl and of secrets is gone. */
static void detach(struct oauth_call *call)
{
    struct oauth_client *client = call->client;
    bool running = call->easy != NULL;
    struct oauth_call **at = running ? &client->running : &client->waiting;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    if (running) {
        client->running_count--;
        (void)curl_multi_remove_handle(client->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
}

static void free_call(struct oauth_call *call)
{
    curl_slist_free_all(call->headers);
    flz_secret_deinit(&call->form);
    flz_secret_deinit(&call->body);
    free(call->url);
    free(call);
}

static const char *words_of(const struct oauth_call *call, CURLcode code)
{
    if (call->too_big)
        return "its answer is larger than an answer may be";
    return call->error[0] ? call->error : curl_easy_strerror(code);
}

static void start_waiting(struct oauth_client *client);

static void finish(struct oauth_call *call, CURLcode code)
{
    struct oauth_client *client = call->client;
    struct oauth_answer answer = {.text = words_of(call, code)};
    long status = 0;
    curl_off_t after = 0;
    if (code == CURLE_OK) {
        (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after);
        answer.text = "";
        answer.body = (struct flz_view){.data = call->body.data, .len = call->body_len};
    }
    answer.status = (int)status;
    answer.retry_after_ms = (after > RETRY_AFTER_S_MAX ? RETRY_AFTER_S_MAX : after) * 1000;
    detach(call);
    call->on_answer(&answer, call->data);
    free_call(call);
    start_waiting(client);
}

static void take_messages(struct oauth_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct oauth_call *call = NULL;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK)
            finish(call, message->data.result);
    }
}

/* Moves calls whose turn has come; one that cannot begin is answered so. */
static void start_waiting(struct oauth_client *client)
{
    while (client->waiting && client->running_count < OAUTH_RUNNING_MAX) {
        struct oauth_call *call = client->waiting;
        client->waiting = call->next;
        call->next = client->running;
        client->running = call;
        client->running_count++;
        if (begin(call) == 0)
            continue;
        struct oauth_answer answer = {.text = "this host has no memory left for the request"};
        client->running = call->next;
        client->running_count--;
        curl_easy_cleanup(call->easy);
        call->on_answer(&answer, call->data);
        free_call(call);
    }
}

static void on_soon(uv_timer_t *timer)
{
    start_waiting(timer->data);
}

/* Callbacks come from the loop: the request begins in its next turn. */
static void start_soon(struct oauth_client *client)
{
    (void)uv_timer_start(&client->soon, on_soon, 0, 0);
}

int oauth_post(struct oauth_client *client, const char *url, struct flz_secret *form,
               oauth_on_answer on_answer, void *data, struct oauth_call **ret_call)
{
    struct flz_secret taken = *form;
    *form = FLZ_SECRET_NULL;
    struct oauth_call *call = strncmp(url, "https://", 8) == 0 ? calloc(1, sizeof *call) : NULL;
    if (call)
        call->url = strdup(url);
    if (!call || !call->url) {
        int code = strncmp(url, "https://", 8) == 0 ? -ENOMEM : -EINVAL;
        free(call);
        flz_secret_deinit(&taken);
        return flz_fail(code);
    }
    call->client = client;
    call->form = taken;
    call->on_answer = on_answer;
    call->data = data;
    struct oauth_call **at = &client->waiting;
    while (*at)
        at = &(*at)->next;
    *at = call;
    start_soon(client);
    *ret_call = call;
    return 0;
}

struct oauth_call *oauth_cancel(struct oauth_call *call)
{
    if (!call)
        return NULL;
    struct oauth_client *client = call->client;
    detach(call);
    free_call(call);
    if (client->waiting)
        start_soon(client);
    return NULL;
}

/* ---- Life ---- */

int oauth_client_new(struct uv_loop_s *loop, const char *ca_file, int64_t timeout_ms,
                     struct oauth_client **ret_client)
{
    struct oauth_client *client = calloc(1, sizeof *client);
    if (!client || curlmem_start() < 0) {
        free(client);
        return flz_fail(-ENOMEM);
    }
    client->loop = loop;
    client->timeout_ms = timeout_ms ? timeout_ms : OAUTH_TIMEOUT_MS;
    client->ca_file = strdup(ca_file);
    client->multi = curl_multi_init();
    if (!client->ca_file || !client->multi) {
        (void)curl_multi_cleanup(client->multi);
        free(client->ca_file);
        free(client);
        curlmem_stop();
        return flz_fail(-ENOMEM);
    }
    (void)uv_timer_init(loop, &client->timer);
    (void)uv_timer_init(loop, &client->soon);
    client->timer.data = client->soon.data = client;
    client->handles = 2;
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    *ret_client = client;
    return 0;
}

struct oauth_client *oauth_client_free(struct oauth_client *client)
{
    if (!client)
        return NULL;
    while (client->waiting)
        (void)oauth_cancel(client->waiting);
    while (client->running)
        (void)oauth_cancel(client->running);
    (void)curl_multi_cleanup(client->multi);
    client->freed = true;
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
    uv_close((uv_handle_t *)&client->soon, on_timer_closed);
    return NULL;
}
