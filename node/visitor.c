#include "node/visitor.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct visitor {
    struct visit *visit; /* owned */
    struct conn *conn;
    uv_timer_t silence; /* the server's silence */
    uv_timer_t wall;    /* the whole visit */
    int timers;         /* open; the last one's close callback frees the visitor, so one freed in a
                           callback of its own is still there when the callback returns */
    const struct visitor_events *events;
    void *userdata;
    struct visitor_options options;
    char user[FLZ_ADDRESS_MAX];
    bool opened;
    bool ended;
    bool stepping;
};

static void end(struct visitor *visitor, enum visit_end visit_end, enum conn_end conn_end,
                const char *text)
{
    if (visitor->ended)
        return;
    visitor->ended = true;
    (void)uv_timer_stop(&visitor->silence);
    (void)uv_timer_stop(&visitor->wall);
    visitor->events->on_end(visitor, visit_end, conn_end, text, visitor->userdata);
}

static void give_secret(struct visitor *visitor)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    if (visitor->events->on_secret(visitor, &secret, visitor->userdata) < 0) {
        end(visitor, VISIT_END_NO_MECHANISM, CONN_END_LOCAL,
            "login: this account's secret cannot be used");
        return;
    }
    visit_secret(visitor->visit, flz_secret_view(&secret));
}

/* Handles all events the visit has now. */
static void drain(struct visitor *visitor)
{
    struct visit_event event;
    for (visit_next(visitor->visit, &event); event.type != VISIT_E_NONE && !visitor->ended;
         visit_next(visitor->visit, &event)) {
        switch (event.type) {
        case VISIT_E_SECRET: give_secret(visitor); break;
        case VISIT_E_VERIFY:
            visit_verified(visitor->visit,
                           visitor->events->on_verify(visitor, event.verify.job,
                                                      event.verify.header, visitor->userdata));
            break;
        case VISIT_E_REPORT:
            visitor->events->on_report(visitor, event.report.whole, event.report.bytes,
                                       visitor->userdata);
            break;
        case VISIT_E_OUTCOME:
            visitor->events->on_outcome(visitor, &event.outcome, visitor->userdata);
            break;
        case VISIT_E_END: end(visitor, event.end.end, CONN_END_NONE, event.end.text); return;
        case VISIT_E_ALERT:
        case VISIT_E_NONE: break;
        }
        if (visitor->ended)
            return;
    }
}

static void on_silence(uv_timer_t *timer);

static void flush(struct visitor *visitor)
{
    struct flz_view out = visit_output(visitor->visit);
    if (out.len > 0) {
        int r = conn_send(visitor->conn, out);
        visit_sent(visitor->visit, out.len);
        if (r < 0)
            visit_closed(visitor->visit);
    }
    int64_t timeout = visit_timeout_ms(visitor->visit);
    (void)uv_timer_start(&visitor->silence, on_silence, timeout > 0 ? (uint64_t)timeout : 1, 0);
}

static void pump(struct visitor *visitor)
{
    if (visitor->stepping || visitor->ended)
        return;
    visitor->stepping = true;
    do {
        drain(visitor);
        if (!visitor->ended)
            flush(visitor);
    } while (!visitor->ended && visit_output(visitor->visit).len > 0);
    /* A failed send made an end of it: its outcomes are still to be told. */
    if (!visitor->ended)
        drain(visitor);
    visitor->stepping = false;
}

static void on_silence(uv_timer_t *timer)
{
    struct visitor *visitor = timer->data;
    visit_timed_out(visitor->visit);
    pump(visitor);
}

static void on_wall(uv_timer_t *timer)
{
    on_silence(timer);
}

/* An unpredictable tag prefix: mail cannot forge the answer to a tag it cannot know (imap.h, M2).
 */
static void make_prefix(char ret_prefix[static IMAP_TAG_PREFIX_MAX])
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ";
    for (int i = 0; i < 8; i++)
        ret_prefix[i] = letters[randombytes_uniform(sizeof letters - 1)];
    ret_prefix[8] = '\0';
}

static void on_open(struct conn *conn, void *userdata)
{
    struct visitor *visitor = userdata;
    visitor->opened = true;
    pump(visitor);
}

static void on_data(struct conn *conn, struct flz_view data, void *userdata)
{
    struct visitor *visitor = userdata;
    if (visitor->ended)
        return;
    visit_feed(visitor->visit, data);
    pump(visitor);
}

static void on_closed(struct conn *conn, enum conn_end conn_end, const struct flz_msg *msg,
                      void *userdata)
{
    struct visitor *visitor = userdata;
    if (visitor->opened) {
        visit_closed(visitor->visit);
        pump(visitor);
    }
    end(visitor, VISIT_END_CLOSED, conn_end, msg->text);
}

static const struct conn_events conn_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_closed = on_closed,
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct visitor *visitor = handle->data;
    if (--visitor->timers > 0)
        return;
    (void)visit_free(visitor->visit);
    free(visitor);
}

static void make_timer(struct visitor *visitor, struct uv_loop_s *loop, uv_timer_t *timer)
{
    (void)uv_timer_init(loop, timer);
    timer->data = visitor;
    visitor->timers++;
}

static int start(struct visitor *visitor, struct conn_pool *pool, struct uv_loop_s *loop,
                 const struct visit_job *jobs, size_t n)
{
    const struct endpoint *endpoint = &visitor->options.endpoint;
    make_timer(visitor, loop, &visitor->silence);
    make_timer(visitor, loop, &visitor->wall);
    struct visit_options options = {
        .imap = {.tls = true, .greeted = true},
        .login = {.kind = visitor->options.token ? IMAP_LOGIN_BEARER : IMAP_LOGIN_PASSWORD,
                  .user = visitor->user,
                  .host = endpoint->host,
                  .port = endpoint->port},
        .version = visitor->options.version,
    };
    make_prefix(options.imap.tag_prefix);
    visitor->visit = visit_new(&options, jobs, n);
    if (!visitor->visit)
        return flz_fail(-ENOMEM);
    struct conn_options conn = {
        .scheme = endpoint->scheme,
        .host = endpoint->host,
        .port = endpoint->port,
        .ip = endpoint->ip[0] ? endpoint->ip : NULL,
        .connect_timeout_ms = visitor->options.connect_timeout_ms,
    };
    int64_t wall = visitor->options.wall_ms_max ? visitor->options.wall_ms_max : VISIT_WALL_MS_MAX;
    (void)uv_timer_start(&visitor->wall, on_wall, (uint64_t)wall, 0);
    return conn_open(pool, &conn, &conn_events, visitor, &visitor->conn);
}

FLZ_DEFINE_FREEP(struct visitor, visitor_free)

int visitor_new(struct conn_pool *pool, struct uv_loop_s *loop,
                const struct visitor_options *options, const struct visit_job *jobs, size_t n,
                const struct visitor_events *events, void *userdata, struct visitor **ret_visitor)
{
    _cleanup_(visitor_freep) struct visitor *visitor = calloc(1, sizeof *visitor);
    if (!visitor)
        return flz_fail(-ENOMEM);
    visitor->events = events;
    visitor->userdata = userdata;
    visitor->options = *options;
    int r = flz_text_copy(visitor->user, sizeof visitor->user, options->user);
    if (r == 0)
        r = start(visitor, pool, loop, jobs, n);
    if (r < 0)
        return r;
    *ret_visitor = steal_ptr(&visitor);
    return 0;
}

int visitor_peer(const struct visitor *visitor, struct conn_peer *ret_peer)
{
    return visitor->conn ? conn_peer_info(visitor->conn, ret_peer) : -ENOTCONN;
}

struct visitor *visitor_free(struct visitor *visitor)
{
    if (!visitor)
        return NULL;
    visitor->ended = true;
    (void)conn_close(steal_ptr(&visitor->conn));
    if (visitor->timers > 0) {
        uv_close((uv_handle_t *)&visitor->silence, on_timer_closed);
        uv_close((uv_handle_t *)&visitor->wall, on_timer_closed);
    } else {
        free(visitor);
    }
    return NULL;
}
