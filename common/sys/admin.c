#include "common/sys/admin.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "proto/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_MAX 4096 /* ids of requests remembered within their skew */

struct admin_call {
    struct admin *admin;
    struct bus_peer peer;
    struct flz_arena arena;
    struct flz_admin_request request;
    struct flz_certificate certificate; /* role 0: a local caller */
    char *texts[64];                    /* owned: arguments with their NUL, as asked for */
    size_t texts_count;
    struct admin_call *next;
};

struct admin {
    struct bus_socket *socket;
    struct flz_log *log;
    struct admin_options options;
    admin_on_call on_call;
    void *data;
    struct admin_call *calls; /* open */
    size_t calls_count;
    struct flz_id seen[REPLAY_MAX]; /* a ring */
    size_t seen_next;
};

static void free_call(struct admin_call *call)
{
    for (size_t i = 0; i < call->texts_count; i++)
        free(call->texts[i]);
    flz_arena_deinit(&call->arena);
    free(call);
}

static void unlink_call(struct admin_call *call)
{
    struct admin_call **at = &call->admin->calls;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at) {
        *at = call->next;
        call->admin->calls_count--;
    }
}

static void send_reply(struct admin_call *call, const struct flz_admin_reply *reply)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    int r = flz_encode(&flz_codec_admin_reply, reply, &payload);
    if (r == 0)
        r = flz_seal_signed(FLZ_KIND_ADMIN_REPLY, flz_buf_view(&payload),
                            &call->admin->options.signer, &bytes);
    if (r == 0)
        r = bus_send(call->admin->socket, &call->peer, flz_buf_view(&bytes));
    if (r != 0)
        flz_log(call->admin->log, FLZ_LOG_WARNING, "admin_answer_lost", "verb=%s result=%d",
                call->request.verb, r);
}

static void end_call(struct admin_call *call, const struct flz_admin_reply *reply)
{
    flz_log(call->admin->log, FLZ_LOG_INFO, "admin_call", "verb=%s who=%s exit=%u error=%s",
            call->request.verb, admin_who(call), reply->exit_code, reply->error);
    send_reply(call, reply);
    unlink_call(call);
    free_call(call);
}

void admin_answer(struct admin_call *call, enum admin_exit code, json_t *json, const char *message)
{
    struct flz_admin_reply reply = {.id = call->request.id, .exit_code = code};
    _cleanup_(flz_freep) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text)
        reply.json = flz_view_str(text);
    (void)snprintf(reply.message, sizeof reply.message, "%s", message ? message : "");
    json_decref(json);
    end_call(call, &reply);
}

void admin_refuse(struct admin_call *call, enum admin_exit code, const char *error,
                  const char *message, const char *hint)
{
    struct flz_admin_reply reply = {.id = call->request.id, .exit_code = code};
    (void)snprintf(reply.error, sizeof reply.error, "%s", error);
    (void)snprintf(reply.message, sizeof reply.message, "%s", message);
    (void)snprintf(reply.hint, sizeof reply.hint, "%s", hint);
    end_call(call, &reply);
}

/* ---- Checking ---- */

static bool is_replay(struct admin *admin, struct flz_id id)
{
    for (size_t i = 0; i < REPLAY_MAX; i++)
        if (flz_id_equal(admin->seen[i], id))
            return true;
    admin->seen[admin->seen_next++ % REPLAY_MAX] = id;
    return false;
}

/* NULL when the request may be handled; else why not, for its sender. */
static const char *check_caller(struct admin_call *call, const struct flz_signed *message,
                                struct flz_msg *msg)
{
    struct admin *admin = call->admin;
    int64_t now = flz_realtime_ms();
    if (!admin->options.trust)
        return NULL;
    if (flz_cert_check(admin->options.trust, call->request.certificate, now, &call->certificate,
                       msg) < 0)
        return msg->text;
    if (call->certificate.role != FLZ_ROLE_ADMIN && call->certificate.role != FLZ_ROLE_OPERATOR &&
        call->certificate.role != FLZ_ROLE_VIEWER)
        return "this certificate is not an administrator's, operator's or viewer's";
    if (flz_verify_signed(message, &call->certificate.key) < 0)
        return "the request's signature does not verify";
    if (call->request.sent < now - ADMIN_SKEW_MS || call->request.sent > now + ADMIN_SKEW_MS)
        return "the request's time is more than five minutes off; set the clock of one of the two "
               "machines";
    if (is_replay(admin, call->request.id))
        return "this very request was made before";
    return NULL;
}

static void on_message(struct bus_socket *socket, const struct bus_message *bytes, void *data)
{
    struct admin *admin = data;
    struct flz_signed message;
    if (admin->calls_count >= ADMIN_CALLS_MAX)
        return;
    struct admin_call *call = calloc(1, sizeof *call);
    if (!call)
        return;
    call->admin = admin;
    call->peer = bytes->peer;
    if (flz_open_signed(bytes->bytes, &call->arena, &message) < 0 ||
        message.kind != FLZ_KIND_ADMIN ||
        flz_decode(&flz_codec_admin_request, message.payload, &call->arena, &call->request) < 0) {
        flz_log(admin->log, FLZ_LOG_WARNING, "admin_request_refused", "reason=%s",
                "not readable");
        free_call(call);
        return;
    }
    call->next = admin->calls;
    admin->calls = call;
    admin->calls_count++;
    struct flz_msg msg = FLZ_MSG_NULL;
    const char *why = check_caller(call, &message, &msg);
    if (why)
        admin_refuse(call, ADMIN_NOT_PERMITTED, "NOT_PERMITTED", why, "");
    else
        admin->on_call(call, admin->data);
}

/* ---- A call ---- */

const char *admin_verb(const struct admin_call *call)
{
    return call->request.verb;
}

const char *admin_argument(const struct admin_call *call, const char *key)
{
    /* The text is made when asked for; it belongs to the call. */
    struct admin_call *own = (struct admin_call *)(uintptr_t)call;
    for (size_t i = 0; i < call->request.arguments_count; i++) {
        const struct flz_argument *argument = &call->request.arguments[i];
        if (strcmp(argument->key, key) != 0 || own->texts_count == 64)
            continue;
        /* The data of an empty value may be NULL. */
        char *text = argument->value.len
                         ? strndup((const char *)argument->value.data, argument->value.len)
                         : strdup("");
        own->texts[own->texts_count] = text;
        own->texts_count += text != NULL;
        return text;
    }
    return NULL;
}

struct flz_view admin_body(const struct admin_call *call)
{
    return call->request.body;
}

const char *admin_who(const struct admin_call *call)
{
    return call->certificate.role ? call->certificate.name : "local";
}

const char *admin_scope(const struct admin_call *call)
{
    return strcmp(call->certificate.scope, "network") == 0 ? "" : call->certificate.scope;
}

bool admin_may(const struct admin_call *call, const char *target, bool changes)
{
    if (!call->certificate.role)
        return true;
    if (changes && call->certificate.role == FLZ_ROLE_VIEWER)
        return false;
    return flz_cert_covers(&call->certificate, target);
}

/* ---- Life ---- */

int admin_new(struct bus *bus, const char *endpoint, const struct keys_curve_pair *curve,
              struct flz_log *log, const struct admin_options *options, admin_on_call on_call,
              void *data, struct admin **ret_admin, struct flz_msg *msg)
{
    _cleanup_(flz_freep) struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return flz_fail(-ENOMEM);
    admin->log = log;
    admin->options = *options;
    admin->on_call = on_call;
    admin->data = data;
    struct bus_callbacks callbacks = {.on_message = on_message, .data = admin};
    bool ipc = strncmp(endpoint, "ipc://", 6) == 0;
    if (!ipc && !curve) {
        flz_msg_set(msg, "%s: an administration endpoint beyond this machine needs CURVE keys",
                    endpoint);
        return flz_fail(-EINVAL);
    }
    /* Beyond this machine any CURVE key may connect: the certificate in each request decides. */
    int r = ipc ? bus_listen_ipc(bus, endpoint, callbacks, &admin->socket, msg)
                : bus_listen_open_curve(bus, endpoint, curve, callbacks, &admin->socket, msg);
    if (r < 0)
        return r;
    *ret_admin = steal_ptr(&admin);
    return 0;
}

struct admin *admin_free(struct admin *admin)
{
    if (!admin)
        return NULL;
    while (admin->calls)
        admin_refuse(admin->calls, ADMIN_TRY_AGAIN, "STOPPING", "the daemon is stopping",
                     "try again when it is back");
    (void)bus_close(admin->socket);
    free(admin);
    return NULL;
}
