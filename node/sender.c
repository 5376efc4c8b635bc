#include "node/sender.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct sender {
    struct smtp smtp;
    struct conn *conn;
    uv_timer_t timer; /* its close callback frees the sender: one freed in a callback of its own is
                         still there when the callback returns */
    bool timed;       /* the timer was made */
    const struct sender_events *events;
    void *userdata;
    struct sender_options options;
    char ehlo_name[SMTP_NAME_MAX];
    char user[SMTP_NAME_MAX];
    bool ready;          /* came to on_ready once */
    bool quitting;       /* QUIT was said: what ends now ends well */
    bool ended;          /* on_end was called */
    bool stepping;       /* inside pump(): events are handled there */
    bool in_transaction; /* from sender_send() to on_result */
};

static void pump(struct sender *sender, struct flz_view input);

static void end(struct sender *sender, enum conn_end conn_end, const struct flz_msg *msg)
{
    if (sender->ended)
        return;
    sender->ended = true;
    (void)uv_timer_stop(&sender->timer);
    sender->events->on_end(sender, sender->ready, conn_end, smtp_result(&sender->smtp), msg,
                           sender->userdata);
}

/* The words for a session that ended by what the server, or the engine, said. */
static void session_text(const struct sender *sender, struct flz_msg *msg)
{
    const struct smtp_result *result = smtp_result(&sender->smtp);
    if (result->reply.code)
        flz_msg_set(msg, "%s: %d %s%s%s", smtp_stage_str(result->stage), result->reply.code,
                    result->reply.text, result->challenge[0] ? ": " : "", result->challenge);
    else
        flz_msg_set(msg, "%s: %s", smtp_stage_str(result->stage),
                    result->reason ? result->reason : "the session ended");
}

static void end_session(struct sender *sender)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    session_text(sender, &msg);
    end(sender, CONN_END_NONE, &msg);
}

static int authenticate(struct sender *sender)
{
    enum smtp_mechanism mechanism = smtp_choose(&sender->smtp, sender->options.token);
    if (!mechanism)
        return -EOPNOTSUPP;
    return smtp_auth(&sender->smtp, mechanism, sender->user);
}

static void on_session_ready(struct sender *sender)
{
    if (smtp_authenticated(&sender->smtp)) {
        sender->ready = true;
        sender->events->on_ready(sender, sender->userdata);
        return;
    }
    if (authenticate(sender) < 0) {
        struct flz_msg msg;
        flz_msg_set(&msg, "auth: the server offers no mechanism for %s",
                    sender->options.token ? "a token (XOAUTH2, OAUTHBEARER)" : "a password");
        end(sender, CONN_END_NONE, &msg);
    }
}

static void give_secret(struct sender *sender)
{
    _cleanup_(flz_secret_deinit) struct flz_secret secret = FLZ_SECRET_NULL;
    int r = sender->events->on_secret(sender, &secret, sender->userdata);
    if (r == 0)
        r = smtp_secret(&sender->smtp, flz_secret_view(&secret), sender->options.endpoint.host,
                        sender->options.endpoint.port);
    if (r < 0) {
        struct flz_msg msg;
        flz_msg_set(&msg, "auth: this account's secret cannot be used (%s)", strerror(-r));
        end(sender, CONN_END_LOCAL, &msg);
    }
}

/* A transaction's end; a session that lives on is ready for the next message. One that is over says
 * so by SMTP_E_CLOSED at the next step. */
static void done(struct sender *sender)
{
    sender->events->on_result(sender, smtp_result(&sender->smtp), sender->userdata);
    if (!sender->ended && smtp_alive(&sender->smtp) && smtp_idle(&sender->smtp))
        sender->events->on_ready(sender, sender->userdata);
}

/* The engine was told, or found out, that the session is lost: a transaction under way gets its
 * verdict first, NOT_SENT or, behind the dot, UNKNOWN. */
static void lost(struct sender *sender, const char *reason, enum conn_end conn_end,
                 const struct flz_msg *msg)
{
    if (sender->ended)
        return;
    sender->stepping = true;
    if (smtp_lost(&sender->smtp, reason) == SMTP_E_DONE)
        sender->events->on_result(sender, smtp_result(&sender->smtp), sender->userdata);
    end(sender, conn_end, msg);
}

/* Memory was refused inside the engine, which has closed the session as smtp_lost() does. */
static void failed(struct sender *sender, int r)
{
    struct flz_msg msg;
    flz_msg_set(&msg, "session: %s", strerror(-r));
    if (smtp_result(&sender->smtp)->verdict != SMTP_NONE && sender->in_transaction)
        sender->events->on_result(sender, smtp_result(&sender->smtp), sender->userdata);
    end(sender, CONN_END_LOCAL, &msg);
}

static void handle(struct sender *sender, int event)
{
    if (event < 0) {
        failed(sender, event);
        return;
    }
    switch ((enum smtp_event)event) {
    case SMTP_E_MORE: break;
    case SMTP_E_READY: on_session_ready(sender); break;
    case SMTP_E_SECRET: give_secret(sender); break;
    case SMTP_E_DOT: sender->events->on_dot(sender, sender->userdata); break;
    case SMTP_E_DONE:
        sender->in_transaction = false;
        done(sender);
        break;
    case SMTP_E_REFUSED:
    case SMTP_E_CLOSED: end_session(sender); break;
    }
}

static void on_timeout(uv_timer_t *timer);

/* Sends what the engine has, and arms its clock. Octets that the connection did not take have not
 * left, and the engine is not told that they have: a dot among them was never sent. */
static void flush(struct sender *sender)
{
    struct flz_view out = smtp_output(&sender->smtp);
    if (out.len > 0) {
        if (conn_send(sender->conn, out) < 0) {
            struct flz_msg msg;
            flz_msg_set(&msg, "%s: the connection takes no more",
                        smtp_stage_str(sender->smtp.stage));
            lost(sender, "the connection takes no more", CONN_END_CLOSED, &msg);
            return;
        }
        smtp_taken(&sender->smtp, out.len);
    }
    int64_t timeout = smtp_timeout_ms(&sender->smtp);
    if (timeout < 0)
        (void)uv_timer_stop(&sender->timer);
    else
        (void)uv_timer_start(&sender->timer, on_timeout, (uint64_t)timeout, 0);
}

static void pump(struct sender *sender, struct flz_view input)
{
    if (sender->stepping || sender->ended)
        return; /* the loop below, further up the stack, goes on */
    sender->stepping = true;
    while (!sender->ended) {
        int event = smtp_step(&sender->smtp, &input);
        if (event == SMTP_E_MORE && smtp_output(&sender->smtp).len == 0)
            break;
        if (event != SMTP_E_MORE)
            handle(sender, event);
        if (sender->ended)
            break;
        flush(sender);
    }
    sender->stepping = false;
}

static void on_timeout(uv_timer_t *timer)
{
    struct sender *sender = timer->data;
    struct flz_msg msg;
    flz_msg_set(&msg, "%s: no answer in time", smtp_stage_str(sender->smtp.stage));
    lost(sender, "no answer in time", CONN_END_TIMEOUT, &msg);
}

static void on_open(struct conn *conn, void *userdata)
{
    struct sender *sender = userdata;
    struct smtp_options options = {
        .ehlo_name = sender->ehlo_name,
        .encrypted = sender->options.endpoint.scheme != CONN_SMTP_PLAIN,
        .greeted = true,
        .timeout_ms_max = sender->options.timeout_ms_max,
    };
    smtp_init(&sender->smtp, &options);
    pump(sender, FLZ_VIEW_NULL);
}

static void on_data(struct conn *conn, struct flz_view data, void *userdata)
{
    pump(userdata, data);
}

static void on_closed(struct conn *conn, enum conn_end conn_end, const struct flz_msg *msg,
                      void *userdata)
{
    lost(userdata, "the connection ended", conn_end, msg);
}

static const struct conn_events conn_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_closed = on_closed,
};

int sender_send(struct sender *sender, const struct flz_address *from, const struct flz_address *to,
                struct flz_view bytes, const char *envid)
{
    struct smtp_message message = {.from = from, .to = to, .body = bytes, .envid = envid};
    int r = smtp_send(&sender->smtp, &message);
    if (r > 0)
        r = flz_fail(-EMSGSIZE);
    sender->in_transaction = r == 0;
    pump(sender, FLZ_VIEW_NULL);
    return r;
}

int sender_try_mail(struct sender *sender, const struct flz_address *from)
{
    int r = smtp_try_mail(&sender->smtp, from);
    pump(sender, FLZ_VIEW_NULL);
    return r;
}

int sender_reset(struct sender *sender)
{
    int r = smtp_reset(&sender->smtp);
    pump(sender, FLZ_VIEW_NULL);
    return r;
}

int sender_peer(const struct sender *sender, struct conn_peer *ret_peer)
{
    return sender->conn ? conn_peer_info(sender->conn, ret_peer) : -ENOTCONN;
}

const struct smtp_capabilities *sender_capabilities(const struct sender *sender)
{
    return smtp_capabilities(&sender->smtp);
}

void sender_release(struct sender *sender)
{
    /* A session that was closed since reports so at the next step. */
    (void)smtp_release_dot(&sender->smtp);
    pump(sender, FLZ_VIEW_NULL);
}

void sender_withdraw(struct sender *sender)
{
    struct flz_msg msg;
    flz_msg_set(&msg, "the message was withdrawn before its dot");
    (void)conn_close(steal_ptr(&sender->conn));
    sender->stepping = true;
    if (smtp_drop(&sender->smtp) == SMTP_E_DONE)
        sender->events->on_result(sender, smtp_result(&sender->smtp), sender->userdata);
    end(sender, CONN_END_LOCAL, &msg);
}

void sender_quit(struct sender *sender)
{
    sender->quitting = true;
    if (!smtp_idle(&sender->smtp) || smtp_quit(&sender->smtp) < 0) {
        end_session(sender);
        return;
    }
    pump(sender, FLZ_VIEW_NULL);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sender *sender = handle->data;
    smtp_deinit(&sender->smtp);
    free(sender);
}

static int start(struct sender *sender, struct conn_pool *pool, struct uv_loop_s *loop)
{
    (void)uv_timer_init(loop, &sender->timer);
    sender->timer.data = sender;
    sender->timed = true;
    const struct endpoint *endpoint = &sender->options.endpoint;
    struct conn_options options = {
        .scheme = endpoint->scheme,
        .host = endpoint->host,
        .port = endpoint->port,
        .ip = endpoint->ip[0] ? endpoint->ip : NULL,
        .ehlo_name = sender->ehlo_name,
        .connect_timeout_ms = sender->options.connect_timeout_ms,
    };
    return conn_open(pool, &options, &conn_events, sender, &sender->conn);
}

FLZ_DEFINE_FREEP(struct sender, sender_free)

int sender_new(struct conn_pool *pool, struct uv_loop_s *loop, const struct sender_options *options,
               const struct sender_events *events, void *userdata, struct sender **ret_sender)
{
    _cleanup_(sender_freep) struct sender *sender = calloc(1, sizeof *sender);
    if (!sender)
        return flz_fail(-ENOMEM);
    sender->events = events;
    sender->userdata = userdata;
    sender->options = *options;
    int r = flz_text_copy(sender->ehlo_name, sizeof sender->ehlo_name, options->ehlo_name);
    if (r == 0)
        r = flz_text_copy(sender->user, sizeof sender->user, options->user);
    if (r == 0)
        r = start(sender, pool, loop);
    if (r < 0)
        return r;
    *ret_sender = steal_ptr(&sender);
    return 0;
}

struct sender *sender_free(struct sender *sender)
{
    if (!sender)
        return NULL;
    sender->ended = true;
    (void)conn_close(steal_ptr(&sender->conn));
    if (sender->timed)
        uv_close((uv_handle_t *)&sender->timer, on_timer_closed);
    else
        free(sender);
    return NULL;
}
