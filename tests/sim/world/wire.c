#include "tests/sim/world/wire.h"

#include "common/base/cleanup.h"
#include "common/sys/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 64 /* connections alive at once */
#define SOCKETS_MAX 32
#define ALLOWED_MAX 64
#define RECONNECT_MS 800
#define KEPT 64 /* old frames that may come again */

struct bus {
    struct uv_loop_s *loop;
};

struct bus_socket {
    struct bus *bus;
    struct proc *proc;
    char endpoint[BUS_ENDPOINT_MAX];
    struct bus_callbacks callbacks;
    bool listens;
    bool open; /* anybody may connect */
    struct flz_curve_public allowed[ALLOWED_MAX];
    size_t allowed_count;
    struct flz_curve_public key; /* of a connecting socket */
    enum bus_state state;
    uint64_t link; /* of a connecting socket; 0: none */
    bool closed;
};

/* A connection: from a node's socket, or a request that waits for its answer, to a listener. */
struct link {
    uint64_t id; /* 0: free */
    struct bus_socket *near;
    struct bus_socket *far;
    struct flz_curve_public key;
    int64_t last[2];        /* when the newest frame of each direction arrives */
    struct flz_buf *answer; /* of a request */
    struct proc *asker;
    bool answered;
};

struct parcel {
    uint64_t link;
    bool up; /* to the listener */
    struct flz_buf bytes;
};

struct wire_trouble wire_trouble;
struct wire_watch wire_watch;

static struct bus_socket *sockets[SOCKETS_MAX]; /* alive */
static size_t sockets_count;
static struct link links[LINKS_MAX];
static uint64_t links_made;
static struct {
    int64_t until;
    bool silent;
} cuts[WORLD_PROCS_MAX];
static struct {
    struct proc *from, *to;
    struct flz_buf bytes;
} kept[KEPT];
static size_t kept_count;

static struct link *find_link(uint64_t id)
{
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (id > 0 && links[i].id == id)
            return &links[i];
    return NULL;
}

static struct proc *near_proc(const struct link *link)
{
    return link->near ? link->near->proc : link->asker;
}

static bool is_cut(const struct link *link)
{
    return world.now < cuts[near_proc(link) - world.procs].until;
}

/* ---- Connecting ---- */

static struct bus_socket *find_listener(const char *endpoint)
{
    for (size_t i = 0; i < sockets_count; i++)
        if (sockets[i]->listens && strcmp(sockets[i]->endpoint, endpoint) == 0)
            return sockets[i];
    return NULL;
}

static bool is_allowed(const struct bus_socket *listener, const struct flz_curve_public *key)
{
    for (size_t i = 0; i < listener->allowed_count; i++)
        if (memcmp(listener->allowed[i].b, key->b, sizeof key->b) == 0)
            return true;
    return listener->open;
}

static struct link *make_link(struct bus_socket *near, struct bus_socket *far)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (links[i].id > 0)
            continue;
        links[i] = (struct link){.id = ++links_made, .near = near, .far = far};
        return &links[i];
    }
    WORLD_MUST(false, "too many connections");
    return NULL;
}

static void set_state(struct bus_socket *socket, enum bus_state state)
{
    if (socket->state == state)
        return;
    socket->state = state;
    if (socket->callbacks.on_state)
        socket->callbacks.on_state(socket, state, socket->callbacks.data);
}

static void try_connect(void *data);

static void connect_later(struct bus_socket *socket)
{
    world_post(socket->proc, world.now + RECONNECT_MS + world_between(0, RECONNECT_MS), try_connect,
               socket);
}

static void try_connect(void *data)
{
    struct bus_socket *socket = data;
    if (socket->closed || socket->link)
        return;
    struct bus_socket *listener = find_listener(socket->endpoint);
    if (!listener || world.now < cuts[socket->proc - world.procs].until) {
        connect_later(socket);
        return;
    }
    if (!is_allowed(listener, &socket->key)) {
        set_state(socket, BUS_REFUSED);
        connect_later(socket);
        return;
    }
    struct link *link = make_link(socket, listener);
    link->key = socket->key;
    socket->link = link->id;
    set_state(socket, BUS_UP);
}

static void tell_down(void *data)
{
    struct bus_socket *socket = data;
    if (socket->closed || socket->link)
        return;
    set_state(socket, BUS_DOWN);
    connect_later(socket);
}

static void break_link(struct link *link)
{
    struct bus_socket *near = link->near;
    link->id = 0;
    if (!near || near->closed)
        return;
    near->link = 0;
    world_post(near->proc, world.now + world_between(1, 20), tell_down, near);
}

void wire_cut(struct proc *node, int64_t until, bool silent)
{
    cuts[node - world.procs].until = until;
    for (size_t i = 0; i < LINKS_MAX && !silent; i++)
        if (links[i].id > 0 && near_proc(&links[i]) == node)
            break_link(&links[i]);
}

void wire_crashed(struct proc *proc)
{
    for (size_t i = 0; i < sockets_count;) {
        if (sockets[i]->proc == proc) {
            sockets[i]->closed = true;
            sockets[i] = sockets[--sockets_count];
        } else {
            i++;
        }
    }
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (links[i].id == 0)
            continue;
        if (near_proc(&links[i]) == proc)
            links[i].id = 0;
        else if (links[i].far->proc == proc)
            break_link(&links[i]);
    }
}

/* ---- Frames ---- */

static void free_parcel(struct parcel *parcel)
{
    flz_buf_deinit(&parcel->bytes);
    free(parcel);
}

static struct bus_peer peer_of(const struct link *link)
{
    struct bus_peer peer = {.len = 8};
    flz_put_be64(peer.id, link->id);
    return peer;
}

static void hand_up(struct link *link, struct flz_view bytes)
{
    struct bus_socket *far = link->far;
    struct bus_message message = {
        .peer = peer_of(link), .has_key = true, .key = link->key, .bytes = bytes};
    if (!is_allowed(far, &link->key))
        return;
    struct proc *from = near_proc(link);
    if (!far->open)
        wire_watch.on_arrives(from, far->proc, bytes);
    far->callbacks.on_message(far, &message, far->callbacks.data);
    if (!far->open)
        wire_watch.on_taken(from, far->proc, bytes);
}

static void hand_down(struct link *link, struct flz_view bytes)
{
    struct bus_socket *near = link->near;
    if (!near) {
        flz_buf_add_view(link->answer, bytes);
        link->answered = true;
        return;
    }
    struct bus_message message = {.bytes = bytes};
    struct proc *from = link->far->proc;
    wire_watch.on_arrives(from, near->proc, bytes);
    near->callbacks.on_message(near, &message, near->callbacks.data);
    wire_watch.on_taken(from, near->proc, bytes);
}

static void on_arrival(void *data)
{
    struct parcel *parcel = data;
    struct link *link = find_link(parcel->link);
    if (link && !is_cut(link)) {
        if (parcel->up)
            hand_up(link, flz_buf_view(&parcel->bytes));
        else
            hand_down(link, flz_buf_view(&parcel->bytes));
    }
    free_parcel(parcel);
}

static void dispatch(struct link *link, bool up, struct flz_view bytes, int64_t at)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    WORLD_MUST(parcel, "memory");
    parcel->link = link->id;
    parcel->up = up;
    flz_buf_add_view(&parcel->bytes, bytes);
    world_post(up ? link->far->proc : near_proc(link), at, on_arrival, parcel);
}

static void keep(struct proc *from, struct proc *to, struct flz_view bytes)
{
    size_t i = kept_count < KEPT ? kept_count++ : (size_t)world_between(0, KEPT - 1);
    kept[i].from = from;
    kept[i].to = to;
    flz_buf_reset(&kept[i].bytes);
    flz_buf_add_view(&kept[i].bytes, bytes);
}

static void change_a_byte(struct link *link, bool up, struct flz_view bytes, int64_t at)
{
    _cleanup_(flz_buf_deinit) struct flz_buf other = FLZ_BUF_NULL;
    flz_buf_add_view(&other, bytes);
    other.data[world_between(0, (int64_t)other.len - 1)] ^= (uint8_t)world_between(1, 255);
    dispatch(link, up, flz_buf_view(&other), at);
}

static void replay(struct link *link, bool up, struct proc *from, struct proc *to)
{
    size_t i = kept_count > 0 ? (size_t)world_between(0, (int64_t)kept_count - 1) : 0;
    if (i < kept_count && kept[i].from == from && kept[i].to == to)
        dispatch(link, up, flz_buf_view(&kept[i].bytes), world.now + world_between(1, 20000));
}

/* A frame between members, and what becomes of it on its way. */
static void carry(struct link *link, bool up, struct flz_view bytes)
{
    struct proc *from = up ? near_proc(link) : link->far->proc;
    struct proc *to = up ? link->far->proc : near_proc(link);
    bytes = wire_watch.on_sent(from, to, bytes);
    int64_t at = world.now + world_between(1, 25);
    at = at > link->last[up] ? at : link->last[up];
    if (world_chance(60))
        keep(from, to, bytes);
    if (world_mishap(wire_trouble.replayed))
        replay(link, up, from, to);
    if (world_mishap(wire_trouble.lost))
        return;
    if (world_mishap(wire_trouble.changed)) {
        change_a_byte(link, up, bytes, at);
        return;
    }
    if (world_mishap(wire_trouble.late)) {
        dispatch(link, up, bytes, at + world_between(100, 40000));
        return;
    }
    link->last[up] = at;
    dispatch(link, up, bytes, at);
    if (world_mishap(wire_trouble.doubled))
        dispatch(link, up, bytes, at + world_between(0, 30000));
    if (world_mishap(wire_trouble.broken))
        break_link(link);
}

void wire_forge(struct proc *node, struct flz_view bytes)
{
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (links[i].id > 0 && links[i].near && near_proc(&links[i]) == node) {
            dispatch(&links[i], true, bytes, world.now + 1);
            return;
        }
}

/* ---- common/sys/bus.h ---- */

int bus_new(struct uv_loop_s *loop, bus_on_fault on_fault, void *data, struct bus **ret_bus,
            struct flz_msg *msg)
{
    (void)on_fault, (void)data, (void)msg;
    struct bus *bus = calloc(1, sizeof *bus);
    if (!bus)
        return flz_fail(-ENOMEM);
    bus->loop = loop;
    *ret_bus = bus;
    return 0;
}

struct bus *bus_free(struct bus *bus)
{
    for (size_t i = sockets_count; bus && i-- > 0;)
        if (sockets[i]->bus == bus)
            (void)bus_close(sockets[i]);
    free(bus);
    return NULL;
}

static struct bus_socket *new_socket(struct bus *bus, const char *endpoint,
                                     struct bus_callbacks callbacks)
{
    struct bus_socket *socket = calloc(1, sizeof *socket);
    WORLD_MUST(socket && sockets_count < SOCKETS_MAX, "too many sockets");
    *socket = (struct bus_socket){.bus = bus, .proc = world.current, .callbacks = callbacks};
    (void)snprintf(socket->endpoint, sizeof socket->endpoint, "%s", endpoint);
    sockets[sockets_count++] = socket;
    return socket;
}

int bus_listen_curve(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                     struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                     struct flz_msg *msg)
{
    (void)own, (void)msg;
    *ret_socket = new_socket(bus, endpoint, callbacks);
    (*ret_socket)->listens = true;
    return 0;
}

int bus_listen_open_curve(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                          struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                          struct flz_msg *msg)
{
    int r = bus_listen_curve(bus, endpoint, own, callbacks, ret_socket, msg);
    (*ret_socket)->open = true;
    return r;
}

int bus_allow(struct bus_socket *socket, const struct flz_curve_public *keys, size_t n)
{
    WORLD_MUST(n <= ALLOWED_MAX, "too many keys");
    if (n > 0)
        memcpy(socket->allowed, keys, n * sizeof *keys);
    socket->allowed_count = n;
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (links[i].id > 0 && links[i].far == socket && !is_allowed(socket, &links[i].key))
            break_link(&links[i]);
    return 0;
}

int bus_connect_curve(struct bus *bus, const char *endpoint, struct flz_curve_public server,
                      const struct keys_curve_pair *own, struct bus_callbacks callbacks,
                      struct bus_socket **ret_socket, struct flz_msg *msg)
{
    (void)server, (void)msg;
    struct bus_socket *socket = new_socket(bus, endpoint, callbacks);
    socket->key = own->public_key;
    world_post(world.current, world.now + world_between(1, 100), try_connect, socket);
    *ret_socket = socket;
    return 0;
}

struct bus_socket *bus_close(struct bus_socket *socket)
{
    if (!socket || socket->closed)
        return NULL;
    socket->closed = true;
    for (size_t i = 0; i < sockets_count; i++)
        if (sockets[i] == socket)
            sockets[i] = sockets[--sockets_count];
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (links[i].id > 0 && (links[i].near == socket || links[i].far == socket))
            break_link(&links[i]);
    return NULL; /* kept: news of it may be under way */
}

int bus_send(struct bus_socket *socket, const struct bus_peer *peer, struct flz_view bytes)
{
    world_step("before a frame is sent");
    struct link *link = find_link(socket->listens ? flz_be64(peer->id) : socket->link);
    if (bytes.len > BUS_MESSAGE_MAX)
        return flz_fail(-EMSGSIZE);
    if (!link)
        return BUS_E_GONE;
    if (socket->open || !link->near)
        dispatch(link, !socket->listens, bytes, world.now + world_between(1, 25));
    else
        carry(link, !socket->listens, bytes);
    world_step("after a frame was sent");
    return 0;
}

const char *bus_endpoint(const struct bus_socket *socket)
{
    return socket->endpoint;
}

enum bus_state bus_state_of(const struct bus_socket *socket)
{
    return socket->state;
}

int bus_request(const struct bus_target *target, struct flz_view bytes, int timeout_ms,
                struct flz_buf *ret_answer, struct flz_msg *msg)
{
    (void)msg;
    struct bus_socket *listener = find_listener(target->endpoint);
    if (!listener)
        return BUS_E_UNREACHABLE;
    struct link *link = make_link(NULL, listener);
    link->key = target->own->public_key;
    link->asker = world.current;
    link->answer = ret_answer;
    dispatch(link, true, bytes, world.now + world_between(1, 25));
    /* Nothing else runs in the process meanwhile: it has no loop yet, so the answer is looked for
     * in what arrived. */
    int64_t until = world.now + timeout_ms;
    uint64_t id = link->id;
    while (!link->answered && world.now < until && find_link(id))
        loop_drain(until);
    bool answered = link->answered;
    link->id = 0;
    return answered ? 0 : BUS_E_TIMEOUT;
}
