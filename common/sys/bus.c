#include "common/sys/bus.h"

#include "common/base/cleanup.h"
#include "common/sys/clock.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include <zmq.h>

/* A DRAFT constant, hidden in Debian's zmq.h but honoured by its library: without it a CURVE server
 * whose ZAP handler is not there accepts every key. */
#define OPTION_ZAP_ENFORCE_DOMAIN 93

#define IPC "ipc://"
#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define WATCHDOG_MS 1000
#define WATCHDOG_MISSES_MAX 3
#define SELFTEST_MS 2000
#define SELFTEST_TRIES 4
#define RECONNECT_MS 100
#define RECONNECT_MS_MAX 5000
#define REFUSED_RETRY_MS 2000
#define HEARTBEAT_MS 5000
#define CURVE_OVERHEAD_MAX 64 /* what CURVE adds to a frame, and ZeroMQ counts as its size */
#define HEARTBEAT_TIMEOUT_MS 15000

/* ---- Who may connect where: shared between the loop and the ZAP thread ---- */

struct domain {
    char name[32];
    bool open;                     /* any key */
    struct flz_curve_public *keys; /* owned, sorted */
    size_t n;
    atomic_uint_fast64_t refused;
    struct domain *next;
};

struct zap {
    void *context; /* borrowed */
    void *socket;  /* REP; the thread's own once it runs */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* over `domains` and what they hold */
    struct domain *domains;
};

struct bus {
    struct uv_loop_s *loop;
    void *context;
    bus_on_fault on_fault;
    void *data;
    struct zap zap;
    void *control; /* DEALER to the ZAP thread: pings and the order to stop */
    unsigned misses;
    unsigned serial;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t watchdog;
    int users; /* own handles and sockets not yet closed; the last to go frees the bus */
    struct bus_socket *sockets;
};

enum kind { KIND_CURVE, KIND_OPEN, KIND_IPC, KIND_CONNECT };

struct bus_socket {
    struct bus *bus;
    enum kind kind;
    void *socket;
    void *monitor; /* connecting sockets: PAIR of connection events */
    uv_poll_t poll;
    uv_poll_t monitor_poll; /* connecting sockets */
    uv_timer_t retry;       /* connecting sockets: after a refusal */
    int handles;            /* those of the three that are open, in their order */
    struct bus_callbacks callbacks;
    struct domain *domain; /* owned by the table; KIND_CURVE and KIND_OPEN */
    char endpoint[BUS_ENDPOINT_MAX];
    enum bus_state state;
    struct bus_stats stats;
    double tokens; /* KIND_OPEN: messages it may take now */
    int64_t tokens_boot;
    bool closed;
    struct bus_socket *next;
};

static int fail_zmq(struct flz_msg *msg, const char *what, const char *endpoint)
{
    int code = zmq_errno();
    flz_msg_set(msg, "%s: %s: %s", endpoint, what, zmq_strerror(code));
    return flz_fail(code > 0 && code < 4096 ? -code : -EIO);
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct flz_curve_public));
}

static bool domain_allows(const struct domain *domain, const uint8_t *key)
{
    return domain->open || (domain->n > 0 && bsearch(key, domain->keys, domain->n,
                                                     sizeof *domain->keys, compare_keys) != NULL);
}

/* ---- The ZAP thread (ZeroMQ RFC 27) ---- */

#define ZAP_FRAMES 7 /* version, request id, domain, address, identity, mechanism, key */
#define ZAP_FRAME_MAX 256

struct zap_request {
    char frames[ZAP_FRAMES][ZAP_FRAME_MAX];
    size_t lengths[ZAP_FRAMES];
    size_t count;
};

/* 0, or -1 when the context ends. */
static int zap_receive(void *socket, struct zap_request *request)
{
    int more = 1;
    request->count = 0;
    while (more) {
        char frame[ZAP_FRAME_MAX];
        int n = zmq_recv(socket, frame, sizeof frame, 0);
        if (n < 0) {
            if (zmq_errno() == EINTR)
                continue;
            return -1;
        }
        size_t len = (size_t)n < sizeof frame ? (size_t)n : sizeof frame;
        if (request->count < ZAP_FRAMES) {
            memcpy(request->frames[request->count], frame, len);
            request->lengths[request->count++] = len;
        }
        size_t size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) < 0)
            return -1;
    }
    return 0;
}

static bool frame_is(const struct zap_request *request, size_t i, const char *text)
{
    return i < request->count && request->lengths[i] == strlen(text) &&
           memcmp(request->frames[i], text, strlen(text)) == 0;
}

static bool zap_allows(struct zap *zap, const struct zap_request *request)
{
    if (request->count != ZAP_FRAMES || !frame_is(request, 5, "CURVE") || request->lengths[6] != 32)
        return false;
    bool allowed = false;
    (void)pthread_mutex_lock(&zap->lock);
    for (struct domain *domain = zap->domains; domain; domain = domain->next) {
        if (!frame_is(request, 2, domain->name))
            continue;
        allowed = domain_allows(domain, (const uint8_t *)request->frames[6]);
        if (!allowed)
            atomic_fetch_add(&domain->refused, 1);
    }
    (void)pthread_mutex_unlock(&zap->lock);
    return allowed;
}

static void zap_reply(void *socket, const struct zap_request *request, bool allowed)
{
    char user[KEYS_Z85_LEN + 1] = "";
    if (allowed) {
        struct flz_curve_public key;
        memcpy(key.b, request->frames[6], sizeof key.b);
        keys_curve_to_z85(key, user);
    }
    (void)zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq_send(socket, request->frames[1], request->count > 1 ? request->lengths[1] : 0,
                   ZMQ_SNDMORE);
    (void)zmq_send(socket, allowed ? "200" : "400", 3, ZMQ_SNDMORE);
    (void)zmq_send(socket, allowed ? "OK" : "refused", allowed ? 2 : 7, ZMQ_SNDMORE);
    (void)zmq_send(socket, user, strlen(user), ZMQ_SNDMORE);
    (void)zmq_send(socket, "", 0, 0);
}

static void *zap_run(void *data)
{
    struct zap *zap = data;
    struct zap_request request;
    while (zap_receive(zap->socket, &request) == 0) {
        if (frame_is(&request, 0, "stop"))
            break;
        if (frame_is(&request, 0, "ping"))
            (void)zmq_send(zap->socket, "pong", 4, 0);
        else
            zap_reply(zap->socket, &request, zap_allows(zap, &request));
    }
    int linger = 0;
    (void)zmq_setsockopt(zap->socket, ZMQ_LINGER, &linger, sizeof linger);
    (void)zmq_close(zap->socket);
    return NULL;
}

static struct domain *zap_add(struct zap *zap, unsigned serial, bool open)
{
    struct domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        return NULL;
    (void)snprintf(domain->name, sizeof domain->name, "fluenzr-%u", serial);
    domain->open = open;
    (void)pthread_mutex_lock(&zap->lock);
    domain->next = zap->domains;
    zap->domains = domain;
    (void)pthread_mutex_unlock(&zap->lock);
    return domain;
}

static void zap_remove(struct zap *zap, struct domain *domain)
{
    if (!domain)
        return;
    (void)pthread_mutex_lock(&zap->lock);
    struct domain **at = &zap->domains;
    while (*at != domain)
        at = &(*at)->next;
    *at = domain->next;
    (void)pthread_mutex_unlock(&zap->lock);
    free(domain->keys);
    free(domain);
}

static int zap_start(struct zap *zap, void *context, struct flz_msg *msg)
{
    zap->context = context;
    zap->socket = zmq_socket(context, ZMQ_REP);
    if (!zap->socket || zmq_bind(zap->socket, ZAP_ENDPOINT) < 0)
        return fail_zmq(msg, "cannot bind", ZAP_ENDPOINT);
    int r = pthread_create(&zap->thread, NULL, zap_run, zap);
    if (r != 0) {
        flz_msg_set(msg, "cannot start the ZAP thread: %s", strerror(r));
        return flz_fail(-r);
    }
    zap->running = true;
    return 0;
}

/* ---- Socket options ---- */

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int set_int64(void *socket, int option, int64_t value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int set_common(void *socket, const char *endpoint, int64_t message_max)
{
    if (strchr(endpoint, '[') && set_int(socket, ZMQ_IPV6, 1) < 0)
        return -1;
    if (set_int(socket, ZMQ_LINGER, 0) < 0 || set_int(socket, ZMQ_SNDHWM, BUS_HWM) < 0 ||
        set_int(socket, ZMQ_RCVHWM, BUS_HWM) < 0 ||
        set_int64(socket, ZMQ_MAXMSGSIZE, message_max + CURVE_OVERHEAD_MAX) < 0 ||
        set_int(socket, ZMQ_HANDSHAKE_IVL, BUS_HANDSHAKE_MS) < 0)
        return -1;
    return 0;
}

static int set_liveness(void *socket)
{
    if (set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) < 0 ||
        set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) < 0 ||
        set_int(socket, ZMQ_HEARTBEAT_TTL, 2 * HEARTBEAT_TIMEOUT_MS) < 0 ||
        set_int(socket, ZMQ_TCP_KEEPALIVE, 1) < 0)
        return -1;
    return 0;
}

static int set_curve_server(void *socket, const struct keys_curve_pair *own,
                            const struct domain *domain)
{
    if (set_int(socket, ZMQ_CURVE_SERVER, 1) < 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret.data, 32) < 0 ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain->name, strlen(domain->name)) < 0 ||
        set_int(socket, OPTION_ZAP_ENFORCE_DOMAIN, 1) < 0 ||
        set_int(socket, ZMQ_BACKLOG, 512) < 0 || set_int(socket, ZMQ_ROUTER_MANDATORY, 1) < 0)
        return -1;
    return set_liveness(socket);
}

static int set_curve_client(void *socket, const struct keys_curve_pair *own,
                            const struct flz_curve_public *server)
{
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server->b, 32) < 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own->public_key.b, 32) < 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret.data, 32) < 0)
        return -1;
    return 0;
}

/* ---- Connection events ---- */

static void *open_monitor(void *context, void *socket, unsigned serial)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "inproc://fluenzr-monitor-%u-%p", serial, socket);
    if (zmq_socket_monitor(socket, endpoint,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_CONNECT_RETRIED) < 0)
        return NULL;
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (monitor && zmq_connect(monitor, endpoint) == 0)
        return monitor;
    (void)zmq_socket_monitor(socket, NULL, 0);
    if (monitor)
        (void)zmq_close(monitor);
    return NULL;
}

/* The events end before their reader goes: ZeroMQ's own thread would wait for ever for a reader. */
static void close_monitor(void *socket, void *monitor)
{
    if (!monitor)
        return;
    (void)zmq_socket_monitor(socket, NULL, 0);
    (void)zmq_close(monitor);
}

/* The next event's number, or 0 when there is none. */
static int next_event(void *monitor)
{
    uint8_t frame[6];
    char address[BUS_ENDPOINT_MAX];
    int n = zmq_recv(monitor, frame, sizeof frame, ZMQ_DONTWAIT);
    if (n < 2)
        return 0;
    (void)zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT);
    uint16_t event;
    memcpy(&event, frame, sizeof event);
    return event;
}

static enum bus_state state_after(int event, enum bus_state state)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return BUS_UP;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: return BUS_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_DISCONNECTED: return state == BUS_REFUSED ? BUS_REFUSED : BUS_DOWN;
    default: return state;
    }
}

/* Waits for a handshake to succeed or fail; BUS_DOWN when nobody listens, or the time ran out. */
static enum bus_state await_handshake(void *monitor, int timeout_ms)
{
    int64_t end = flz_boottime_ms() + timeout_ms;
    for (;;) {
        int64_t left = end - flz_boottime_ms();
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        if (left <= 0 || zmq_poll(&item, 1, left) <= 0)
            return BUS_DOWN;
        int event = next_event(monitor);
        enum bus_state state = state_after(event, BUS_DOWN);
        if (state != BUS_DOWN || event == ZMQ_EVENT_CONNECT_RETRIED)
            return state;
    }
}

/* ---- The self-test: a random key must be refused by the very same options ---- */

static int selftest_client(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                           enum bus_state *ret_state)
{
    _cleanup_(keys_curve_deinit) struct keys_curve_pair random = KEYS_CURVE_NULL;
    int r = keys_curve_generate(&random);
    void *client = r == 0 ? zmq_socket(bus->context, ZMQ_DEALER) : NULL;
    if (!client)
        return flz_fail(-ENOMEM);
    void *monitor = NULL;
    r = -1;
    if (set_common(client, endpoint, BUS_MESSAGE_MAX) == 0 &&
        set_curve_client(client, &random, &own->public_key) == 0 &&
        (monitor = open_monitor(bus->context, client, ++bus->serial)) &&
        zmq_connect(client, endpoint) == 0) {
        *ret_state = await_handshake(monitor, SELFTEST_MS);
        r = 0;
    }
    close_monitor(client, monitor);
    (void)zmq_close(client);
    return r;
}

static int selftest_once(struct bus *bus, const struct keys_curve_pair *own,
                         enum bus_state *ret_state, struct flz_msg *msg)
{
    struct domain *domain = zap_add(&bus->zap, ++bus->serial, false);
    void *server = zmq_socket(bus->context, ZMQ_ROUTER);
    char endpoint[BUS_ENDPOINT_MAX];
    size_t size = sizeof endpoint;
    enum bus_state state = BUS_UP;
    int r = -1;
    if (domain && server && set_common(server, "", BUS_MESSAGE_MAX) == 0 &&
        set_curve_server(server, own, domain) == 0 && zmq_bind(server, "tcp://127.0.0.1:*") == 0 &&
        zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0)
        r = selftest_client(bus, endpoint, own, &state);
    if (server)
        (void)zmq_close(server);
    /* Refused for the right reason: by our handler, asked about this very domain. */
    bool refused = domain && state == BUS_REFUSED && atomic_load(&domain->refused) > 0;
    zap_remove(&bus->zap, domain);
    if (r < 0 || !refused) {
        flz_msg_set(msg, "self-test: a random key was %s; nothing is opened",
                    r < 0             ? "not tried, since ZeroMQ refused an option"
                    : state == BUS_UP ? "accepted"
                                      : "not refused by our handler in time");
        *ret_state = state;
        return flz_fail(-EPROTO);
    }
    return 0;
}

/* A refusal may be lost on a busy machine: it is asked for again. An acceptance is final. */
static int selftest(struct bus *bus, const struct keys_curve_pair *own, struct flz_msg *msg)
{
    int r = 0;
    for (int i = 0; i < SELFTEST_TRIES; i++) {
        enum bus_state state = BUS_UP;
        r = selftest_once(bus, own, &state, msg);
        if (r == 0 || state == BUS_UP)
            return r;
    }
    return r;
}

/* ---- Receiving ---- */

static bool take_token(struct bus_socket *socket)
{
    int64_t now = flz_boottime_ms();
    socket->tokens += (double)(now - socket->tokens_boot) / 1000.0;
    socket->tokens_boot = now;
    if (socket->tokens > BUS_ENROL_BURST)
        socket->tokens = BUS_ENROL_BURST;
    if (socket->tokens < 1.0)
        return false;
    socket->tokens -= 1.0;
    return true;
}

static bool has_more(zmq_msg_t *frame)
{
    return zmq_msg_more(frame) != 0;
}

/* Reads away the rest of a message with more frames than one. */
static void drop_rest(void *socket)
{
    zmq_msg_t frame;
    bool more = true;
    while (more) {
        (void)zmq_msg_init(&frame);
        more = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0 && has_more(&frame);
        (void)zmq_msg_close(&frame);
    }
}

/* Who sent it: by the key its handshake proved, never by the routing id. */
static bool identify(struct bus_socket *socket, zmq_msg_t *payload, struct bus_message *message)
{
    if (socket->kind != KIND_CURVE && socket->kind != KIND_OPEN)
        return true;
    const char *user = zmq_msg_gets(payload, "User-Id");
    if (!user || keys_curve_of_z85(user, &message->key) < 0) {
        socket->stats.malformed++;
        return false;
    }
    message->has_key = true;
    bool allowed = domain_allows(socket->domain, message->key.b);
    socket->stats.denied += !allowed;
    return allowed;
}

static size_t message_max(const struct bus_socket *socket)
{
    return socket->kind == KIND_OPEN ? BUS_ENROL_MESSAGE_MAX : BUS_MESSAGE_MAX;
}

static void deliver(struct bus_socket *socket, zmq_msg_t *payload, struct bus_message *message)
{
    if (zmq_msg_size(payload) > message_max(socket)) {
        socket->stats.malformed++;
        return;
    }
    if (!identify(socket, payload, message))
        return;
    if (socket->kind == KIND_OPEN && !take_token(socket)) {
        socket->stats.limited++;
        return;
    }
    message->bytes = (struct flz_view){.data = zmq_msg_data(payload), .len = zmq_msg_size(payload)};
    socket->stats.received++;
    socket->callbacks.on_message(socket, message, socket->callbacks.data);
}

/* One message, if there is one. */
static bool receive_one(struct bus_socket *socket)
{
    struct bus_message message = {.has_key = false};
    if (socket->kind != KIND_CONNECT) {
        int n = zmq_recv(socket->socket, message.peer.id, sizeof message.peer.id, ZMQ_DONTWAIT);
        if (n < 0)
            return false;
        if ((size_t)n > sizeof message.peer.id) {
            socket->stats.malformed++;
            drop_rest(socket->socket);
            return true;
        }
        message.peer.len = (uint8_t)n;
    }
    zmq_msg_t payload;
    (void)zmq_msg_init(&payload);
    if (zmq_msg_recv(&payload, socket->socket, ZMQ_DONTWAIT) < 0) {
        (void)zmq_msg_close(&payload);
        return false;
    }
    if (has_more(&payload)) {
        socket->stats.malformed++;
        drop_rest(socket->socket);
    } else {
        deliver(socket, &payload, &message);
    }
    (void)zmq_msg_close(&payload);
    return true;
}

/* ZeroMQ gives a connection up for good when its key was refused. Ours may be allowed later: the
 * other side may not have read its members yet. */
static void on_retry(uv_timer_t *timer)
{
    struct bus_socket *socket = timer->data;
    if (socket->state != BUS_REFUSED)
        return;
    (void)zmq_disconnect(socket->socket, socket->endpoint);
    (void)zmq_connect(socket->socket, socket->endpoint);
}

static void retry_later(struct bus_socket *socket)
{
    uint64_t wait_ms = REFUSED_RETRY_MS + randombytes_uniform(REFUSED_RETRY_MS);
    (void)uv_timer_start(&socket->retry, on_retry, wait_ms, 0);
}

static void drain_monitor(struct bus_socket *socket)
{
    int event;
    while (!socket->closed && socket->monitor && (event = next_event(socket->monitor))) {
        enum bus_state state = state_after(event, socket->state);
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
            event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            retry_later(socket);
        if (state == socket->state && event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            continue;
        socket->state = state;
        if (socket->callbacks.on_state)
            socket->callbacks.on_state(socket, state, socket->callbacks.data);
    }
}

static bool is_readable(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

static bool wants_turn(const struct bus_socket *socket)
{
    return !socket->closed &&
           (is_readable(socket->socket) || (socket->monitor && is_readable(socket->monitor)));
}

/* The descriptor only wakes the loop; what there is to read is asked of ZMQ_EVENTS in each turn. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* keeps the loop from sleeping */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct bus *bus = prepare->data;
    for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
        if (wants_turn(socket)) {
            (void)uv_idle_start(&bus->idle, on_idle);
            return;
        }
}

static void on_check(uv_check_t *check)
{
    struct bus *bus = check->data;
    (void)uv_idle_stop(&bus->idle);
    for (struct bus_socket *socket = bus->sockets, *next; socket; socket = next) {
        drain_monitor(socket);
        for (int i = 0; i < BUS_DRAIN_MAX && !socket->closed && is_readable(socket->socket); i++)
            if (!receive_one(socket))
                break;
        /* A callback may have closed any socket: closed ones stay in the list until their handles
         * are closed, which is never within this turn. */
        next = socket->next;
    }
}

/* ---- Life of a socket ---- */

static void unlink_socket(struct bus_socket *socket)
{
    struct bus_socket **at = &socket->bus->sockets;
    while (*at && *at != socket)
        at = &(*at)->next;
    if (*at)
        *at = socket->next;
}

/* libuv runs close callbacks in no order that we may rely on: the last one frees the bus. */
static void unref_bus(struct bus *bus)
{
    if (--bus->users > 0)
        return;
    (void)pthread_mutex_destroy(&bus->zap.lock);
    free(bus);
}

static void on_part_closed(uv_handle_t *handle)
{
    struct bus_socket *socket = handle->data;
    if (--socket->handles > 0)
        return;
    unlink_socket(socket);
    struct bus *bus = socket->bus;
    zap_remove(&bus->zap, socket->domain);
    free(socket);
    unref_bus(bus);
}

struct bus_socket *bus_close(struct bus_socket *socket)
{
    if (!socket || socket->closed)
        return NULL;
    socket->closed = true;
    socket->state = BUS_DOWN;
    /* The loop lets go of a descriptor before ZeroMQ closes it. */
    uv_close((uv_handle_t *)&socket->poll, on_part_closed);
    if (socket->handles > 1)
        uv_close((uv_handle_t *)&socket->monitor_poll, on_part_closed);
    if (socket->handles > 2)
        uv_close((uv_handle_t *)&socket->retry, on_part_closed);
    close_monitor(socket->socket, socket->monitor);
    (void)zmq_close(socket->socket);
    /* ZeroMQ leaves the file behind. */
    if (socket->kind == KIND_IPC)
        (void)unlink(socket->endpoint + strlen(IPC));
    return NULL;
}

static int start_poll(struct bus_socket *socket, void *zmq, uv_poll_t *poll)
{
    int fd;
    size_t size = sizeof fd;
    if (zmq_getsockopt(zmq, ZMQ_FD, &fd, &size) < 0)
        return flz_fail(-EIO);
    int r = uv_poll_init(socket->bus->loop, poll, fd);
    if (r < 0)
        return flz_fail(r);
    poll->data = socket;
    socket->handles++;
    return uv_poll_start(poll, UV_READABLE, on_poll);
}

static void discard(struct bus_socket *socket)
{
    if (socket->socket) {
        close_monitor(socket->socket, socket->monitor);
        (void)zmq_close(socket->socket);
    }
    zap_remove(&socket->bus->zap, socket->domain);
    free(socket);
}

static struct bus_socket *new_socket(struct bus *bus, enum kind kind, int type,
                                     struct bus_callbacks callbacks)
{
    struct bus_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->bus = bus;
    socket->kind = kind;
    socket->callbacks = callbacks;
    socket->tokens = BUS_ENROL_BURST;
    socket->tokens_boot = flz_boottime_ms();
    socket->socket = zmq_socket(bus->context, type);
    if (kind == KIND_CURVE || kind == KIND_OPEN)
        socket->domain = zap_add(&bus->zap, ++bus->serial, kind == KIND_OPEN);
    if (!socket->socket || ((kind == KIND_CURVE || kind == KIND_OPEN) && !socket->domain)) {
        discard(socket);
        return NULL;
    }
    return socket;
}

/* Puts a bound or connecting socket on the loop; frees it on failure. */
static int adopt(struct bus_socket *socket, struct bus_socket **ret_socket)
{
    size_t size = sizeof socket->endpoint;
    (void)zmq_getsockopt(socket->socket, ZMQ_LAST_ENDPOINT, socket->endpoint, &size);
    int r = start_poll(socket, socket->socket, &socket->poll);
    if (socket->handles == 0) {
        discard(socket);
        return r;
    }
    socket->next = socket->bus->sockets;
    socket->bus->sockets = socket;
    socket->bus->users++;
    if (r == 0 && socket->monitor)
        r = start_poll(socket, socket->monitor, &socket->monitor_poll);
    if (r < 0) {
        (void)bus_close(socket);
        return r;
    }
    if (socket->monitor) {
        (void)uv_timer_init(socket->bus->loop, &socket->retry);
        socket->retry.data = socket;
        socket->handles++;
    }
    *ret_socket = socket;
    return 0;
}

static int listen_curve(struct bus *bus, enum kind kind, const char *endpoint,
                        const struct keys_curve_pair *own, struct bus_callbacks callbacks,
                        struct bus_socket **ret_socket, struct flz_msg *msg)
{
    int r = selftest(bus, own, msg);
    if (r < 0)
        return r;
    struct bus_socket *socket = new_socket(bus, kind, ZMQ_ROUTER, callbacks);
    if (!socket)
        return flz_fail(-ENOMEM);
    if (set_common(socket->socket, endpoint, (int64_t)message_max(socket)) < 0 ||
        set_curve_server(socket->socket, own, socket->domain) < 0) {
        discard(socket);
        flz_msg_set(msg, "%s: ZeroMQ refused an option", endpoint);
        return flz_fail(-EPROTO);
    }
    if (zmq_bind(socket->socket, endpoint) < 0) {
        r = fail_zmq(msg, "cannot listen", endpoint);
        discard(socket);
        return r;
    }
    return adopt(socket, ret_socket);
}

int bus_listen_curve(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                     struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                     struct flz_msg *msg)
{
    return listen_curve(bus, KIND_CURVE, endpoint, own, callbacks, ret_socket, msg);
}

int bus_listen_open_curve(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                          struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                          struct flz_msg *msg)
{
    return listen_curve(bus, KIND_OPEN, endpoint, own, callbacks, ret_socket, msg);
}

int bus_listen_ipc(struct bus *bus, const char *endpoint, struct bus_callbacks callbacks,
                   struct bus_socket **ret_socket, struct flz_msg *msg)
{
    if (strncmp(endpoint, IPC, strlen(IPC)) != 0) {
        flz_msg_set(msg, "%s: not an ipc endpoint", endpoint);
        return flz_fail(-EINVAL);
    }
    struct bus_socket *socket = new_socket(bus, KIND_IPC, ZMQ_ROUTER, callbacks);
    if (!socket)
        return flz_fail(-ENOMEM);
    /* The socket file is made closed to others, not closed afterwards. */
    mode_t mask = umask(0177);
    bool ok = set_common(socket->socket, endpoint, BUS_MESSAGE_MAX) == 0 &&
              set_int(socket->socket, ZMQ_ROUTER_MANDATORY, 1) == 0 &&
              zmq_bind(socket->socket, endpoint) == 0;
    (void)umask(mask);
    if (!ok) {
        int r = fail_zmq(msg, "cannot listen", endpoint);
        discard(socket);
        return r;
    }
    (void)chmod(endpoint + strlen(IPC), 0600);
    return adopt(socket, ret_socket);
}

static int connect_socket(struct bus *bus, const char *endpoint, const struct bus_target *target,
                          struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                          struct flz_msg *msg)
{
    struct bus_socket *socket = new_socket(bus, KIND_CONNECT, ZMQ_DEALER, callbacks);
    if (!socket)
        return flz_fail(-ENOMEM);
    /* Jitter: after an outage not all members come back in the same instant. */
    int jitter = (int)randombytes_uniform(RECONNECT_MS);
    bool ok = set_common(socket->socket, endpoint, BUS_MESSAGE_MAX) == 0 &&
              set_int(socket->socket, ZMQ_IMMEDIATE, 1) == 0 &&
              set_int(socket->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS + jitter) == 0 &&
              set_int(socket->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX + 10 * jitter) == 0 &&
              set_liveness(socket->socket) == 0;
    if (ok && target->own)
        ok = set_curve_client(socket->socket, target->own, target->server) == 0;
    if (ok)
        socket->monitor = open_monitor(bus->context, socket->socket, ++bus->serial);
    if (!ok || !socket->monitor || zmq_connect(socket->socket, endpoint) < 0) {
        int r = fail_zmq(msg, "cannot connect", endpoint);
        discard(socket);
        return r;
    }
    return adopt(socket, ret_socket);
}

int bus_connect_curve(struct bus *bus, const char *endpoint, struct flz_curve_public server,
                      const struct keys_curve_pair *own, struct bus_callbacks callbacks,
                      struct bus_socket **ret_socket, struct flz_msg *msg)
{
    struct bus_target target = {.server = &server, .own = own};
    return connect_socket(bus, endpoint, &target, callbacks, ret_socket, msg);
}

int bus_allow(struct bus_socket *socket, const struct flz_curve_public *keys, size_t n)
{
    if (n > BUS_ALLOWED_MAX)
        return flz_fail(-E2BIG);
    struct flz_curve_public *copy = calloc(n ? n : 1, sizeof *copy);
    if (!copy)
        return flz_fail(-ENOMEM);
    if (n > 0)
        memcpy(copy, keys, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, compare_keys);
    struct zap *zap = &socket->bus->zap;
    (void)pthread_mutex_lock(&zap->lock);
    struct flz_curve_public *old = socket->domain->keys;
    socket->domain->keys = copy;
    socket->domain->n = n;
    (void)pthread_mutex_unlock(&zap->lock);
    free(old);
    return 0;
}

/* ---- Sending ---- */

int bus_send(struct bus_socket *socket, const struct bus_peer *peer, struct flz_view bytes)
{
    if (bytes.len > BUS_MESSAGE_MAX)
        return flz_fail(-EMSGSIZE);
    /* A connection that is lost keeps its queue for a moment: what went there would be lost. */
    if (socket->closed || (!peer && socket->state != BUS_UP)) {
        socket->stats.gone++;
        return BUS_E_GONE;
    }
    int n = 0;
    if (peer)
        n = zmq_send(socket->socket, peer->id, peer->len, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    if (n >= 0)
        n = zmq_send(socket->socket, bytes.data, bytes.len, ZMQ_DONTWAIT);
    if (n >= 0) {
        socket->stats.sent++;
        return 0;
    }
    if (zmq_errno() == EAGAIN) {
        socket->stats.full++;
        return BUS_E_FULL;
    }
    socket->stats.gone++;
    return BUS_E_GONE;
}

const char *bus_endpoint(const struct bus_socket *socket)
{
    return socket->endpoint;
}

enum bus_state bus_state_of(const struct bus_socket *socket)
{
    return socket->state;
}

struct bus_stats bus_stats_of(const struct bus_socket *socket)
{
    struct bus_stats stats = socket->stats;
    if (socket->domain)
        stats.refused = atomic_load(&socket->domain->refused);
    return stats;
}

/* ---- Life of the bus ---- */

static void on_watchdog(uv_timer_t *timer)
{
    struct bus *bus = timer->data;
    char answer[8];
    bool pong = false;
    /* DEALER to REP: an empty frame stands before each message. */
    while (zmq_recv(bus->control, answer, sizeof answer, ZMQ_DONTWAIT) >= 0)
        pong = true;
    bus->misses = pong ? 0 : bus->misses + 1;
    if (bus->misses > WATCHDOG_MISSES_MAX) {
        for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
            if (socket->domain)
                (void)bus_close(socket);
        (void)uv_timer_stop(timer);
        if (bus->on_fault)
            bus->on_fault(bus, "the ZAP handler does not answer; member endpoints are closed",
                          bus->data);
        return;
    }
    (void)zmq_send(bus->control, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    (void)zmq_send(bus->control, "ping", 4, ZMQ_DONTWAIT);
}

static void start_handles(struct bus *bus)
{
    (void)uv_prepare_init(bus->loop, &bus->prepare);
    (void)uv_check_init(bus->loop, &bus->check);
    (void)uv_idle_init(bus->loop, &bus->idle);
    (void)uv_timer_init(bus->loop, &bus->watchdog);
    bus->prepare.data = bus->check.data = bus->idle.data = bus->watchdog.data = bus;
    bus->users = 4;
    (void)uv_prepare_start(&bus->prepare, on_prepare);
    (void)uv_check_start(&bus->check, on_check);
    (void)uv_timer_start(&bus->watchdog, on_watchdog, WATCHDOG_MS, WATCHDOG_MS);
}

static int start(struct bus *bus, struct flz_msg *msg)
{
    bus->context = zmq_ctx_new();
    if (!bus->context)
        return flz_fail(-ENOMEM);
    int r = zap_start(&bus->zap, bus->context, msg);
    if (r < 0)
        return r;
    bus->control = zmq_socket(bus->context, ZMQ_DEALER);
    if (!bus->control || set_int(bus->control, ZMQ_LINGER, 1000) < 0 ||
        zmq_connect(bus->control, ZAP_ENDPOINT) < 0)
        return fail_zmq(msg, "cannot connect", ZAP_ENDPOINT);
    return 0;
}

static void stop(struct bus *bus)
{
    /* Never waits: a thread that has ended takes nothing any more. */
    if (bus->control) {
        (void)zmq_send(bus->control, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE);
        (void)zmq_send(bus->control, "stop", 4, ZMQ_DONTWAIT);
    }
    if (bus->zap.running)
        (void)pthread_join(bus->zap.thread, NULL);
    else if (bus->zap.socket)
        (void)zmq_close(bus->zap.socket);
    if (bus->control)
        (void)zmq_close(bus->control);
    if (bus->context)
        (void)zmq_ctx_term(bus->context);
}

int bus_new(struct uv_loop_s *loop, bus_on_fault on_fault, void *data, struct bus **ret_bus,
            struct flz_msg *msg)
{
    struct bus *bus = calloc(1, sizeof *bus);
    if (!bus)
        return flz_fail(-ENOMEM);
    (void)pthread_mutex_init(&bus->zap.lock, NULL);
    bus->loop = loop;
    bus->on_fault = on_fault;
    bus->data = data;
    int r = start(bus, msg);
    if (r < 0) {
        stop(bus);
        bus->users = 1;
        unref_bus(bus);
        return r;
    }
    start_handles(bus);
    *ret_bus = bus;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    unref_bus(handle->data);
}

struct bus *bus_free(struct bus *bus)
{
    if (!bus)
        return NULL;
    for (struct bus_socket *socket = bus->sockets; socket; socket = socket->next)
        (void)bus_close(socket);
    stop(bus);
    uv_close((uv_handle_t *)&bus->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&bus->check, on_handle_closed);
    uv_close((uv_handle_t *)&bus->idle, on_handle_closed);
    uv_close((uv_handle_t *)&bus->watchdog, on_handle_closed);
    return NULL;
}

/* ---- Without a loop ---- */

struct bus_client {
    void *context;
    void *socket;
};

struct bus_client *bus_client_close(struct bus_client *client)
{
    if (!client)
        return NULL;
    if (client->socket)
        (void)zmq_close(client->socket);
    if (client->context)
        (void)zmq_ctx_term(client->context);
    free(client);
    return NULL;
}

FLZ_DEFINE_FREEP(struct bus_client, bus_client_close)

static int client_connect(struct bus_client *client, const struct bus_target *target,
                          int timeout_ms, struct flz_msg *msg)
{
    int64_t max = target->message_max ? (int64_t)target->message_max : BUS_MESSAGE_MAX;
    bool ipc = strncmp(target->endpoint, IPC, strlen(IPC)) == 0;
    client->context = zmq_ctx_new();
    client->socket = client->context ? zmq_socket(client->context, ZMQ_DEALER) : NULL;
    if (!client->socket || set_common(client->socket, target->endpoint, max) < 0 ||
        set_int(client->socket, ZMQ_IMMEDIATE, 1) < 0 ||
        (!ipc && set_curve_client(client->socket, target->own, target->server) < 0))
        return fail_zmq(msg, "cannot be set up", target->endpoint);
    void *monitor = open_monitor(client->context, client->socket, 0);
    if (!monitor || zmq_connect(client->socket, target->endpoint) < 0) {
        int r = fail_zmq(msg, "cannot connect", target->endpoint);
        close_monitor(client->socket, monitor);
        return r;
    }
    enum bus_state state = await_handshake(monitor, timeout_ms);
    close_monitor(client->socket, monitor);
    if (state == BUS_UP)
        return 0;
    flz_msg_set(msg, "%s: %s", target->endpoint,
                state == BUS_REFUSED ? "our key was refused" : "nobody answers");
    return BUS_E_UNREACHABLE;
}

int bus_client_open(const struct bus_target *target, int timeout_ms, struct bus_client **ret_client,
                    struct flz_msg *msg)
{
    bool ipc = strncmp(target->endpoint, IPC, strlen(IPC)) == 0;
    if (!ipc && (!target->own || !target->server)) {
        flz_msg_set(msg, "%s: keys are needed for an endpoint beyond this machine",
                    target->endpoint);
        return flz_fail(-EINVAL);
    }
    if (ipc && access(target->endpoint + strlen(IPC), F_OK) < 0) {
        flz_msg_set(msg, "%s: there is no such socket", target->endpoint);
        return BUS_E_UNREACHABLE;
    }
    _cleanup_(bus_client_closep) struct bus_client *client = calloc(1, sizeof *client);
    if (!client)
        return flz_fail(-ENOMEM);
    int r = client_connect(client, target, timeout_ms, msg);
    if (r != 0)
        return r;
    *ret_client = steal_ptr(&client);
    return 0;
}

int bus_client_send(struct bus_client *client, struct flz_view bytes)
{
    if (zmq_send(client->socket, bytes.data, bytes.len, ZMQ_DONTWAIT) >= 0)
        return 0;
    return zmq_errno() == EAGAIN ? BUS_E_FULL : flz_fail(-EIO);
}

int bus_client_receive(struct bus_client *client, int timeout_ms, struct flz_buf *buf)
{
    zmq_pollitem_t item = {.socket = client->socket, .events = ZMQ_POLLIN};
    int n = zmq_poll(&item, 1, timeout_ms);
    if (n < 0)
        return flz_fail(zmq_errno() == EINTR ? -EINTR : -EIO);
    if (n == 0)
        return BUS_E_TIMEOUT;
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    int r = zmq_msg_recv(&message, client->socket, 0) < 0 ? flz_fail(-EIO) : 0;
    if (r == 0) {
        flz_buf_add(buf, zmq_msg_data(&message), zmq_msg_size(&message));
        r = flz_buf_error(buf);
    }
    (void)zmq_msg_close(&message);
    return r;
}

int bus_request(const struct bus_target *target, struct flz_view bytes, int timeout_ms,
                struct flz_buf *ret_answer, struct flz_msg *msg)
{
    _cleanup_(bus_client_closep) struct bus_client *client = NULL;
    int64_t end = flz_boottime_ms() + timeout_ms;
    int r = bus_client_open(target, timeout_ms, &client, msg);
    if (r == 0)
        r = bus_client_send(client, bytes);
    if (r != 0)
        return r;
    int64_t left = end - flz_boottime_ms();
    r = bus_client_receive(client, left > 0 ? (int)left : 0, ret_answer);
    if (r == BUS_E_TIMEOUT)
        flz_msg_set(msg, "%s: no answer within %d ms", target->endpoint, timeout_ms);
    return r;
}
