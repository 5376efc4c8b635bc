/*
 * The bus: ZeroMQ sockets on a libuv loop. A listening socket is a ROUTER, a connecting one a
 * DEALER; a message is one frame of bytes, which this file does not read.
 *
 * Who a peer is: over CURVE, the public key that its handshake proved and that our ZAP handler put
 * into the User-Id of every message. A peer handle is only a way back along the connection that a
 * message came by; it identifies nobody, and dies with the connection.
 *
 * The ZAP handler is a thread of its own, so that it answers while the loop is busy. Each CURVE
 * listener has an allow-list, looked at in the handshake and again at every message, so that a
 * removal holds at once. A listener opens only after a random key has been refused by a socket
 * with the very same options; should the handler stop answering, listeners close and on_fault says
 * so.
 *
 * One bus belongs to the thread of its loop.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/sys/keys.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_MESSAGE_MAX (1 << 20)     /* bytes of a message between members */
#define BUS_ENROL_MESSAGE_MAX 2048    /* bytes of a message on an open listener */
#define BUS_HWM 64                    /* messages queued per peer and direction */
#define BUS_HANDSHAKE_MS 5000
#define BUS_DRAIN_MAX 64              /* messages delivered per turn and socket */
#define BUS_ALLOWED_MAX 65536         /* keys in an allow-list */
#define BUS_ENDPOINT_MAX 256
#define BUS_ENROL_BURST 10            /* open listener: messages at once, then one a second */

/* Positive outcomes of sending and requesting. */
enum {
    BUS_E_FULL = 1,    /* the peer's queue is full; nothing was queued: keep it and try later */
    BUS_E_GONE,        /* no such connection (any more); nothing was queued */
    BUS_E_TIMEOUT,     /* sent, no answer in time: the outcome is unknown */
    BUS_E_UNREACHABLE, /* nobody there (or our key was refused): nothing was sent */
};

struct uv_loop_s;
struct bus;
struct bus_socket;

/* The way back to whoever sent a message. Plain data; may be kept and compared. */
struct bus_peer {
    uint8_t len;
    uint8_t id[15];
};

struct bus_message {
    struct bus_peer peer;           /* on a connecting socket: empty */
    bool has_key;                   /* false on ipc, and on a connecting socket */
    struct flz_curve_public key;    /* the proved key, when has_key */
    struct flz_view bytes;          /* borrowed until the callback returns */
};

enum bus_state {
    BUS_DOWN,    /* not connected; reconnecting by itself */
    BUS_UP,      /* the handshake is done */
    BUS_REFUSED, /* the other side refused our key, or is not who it should be; still trying */
};

typedef void (*bus_on_message)(struct bus_socket *socket, const struct bus_message *message,
                               void *data);
typedef void (*bus_on_state)(struct bus_socket *socket, enum bus_state state, void *data);
typedef void (*bus_on_fault)(struct bus *bus, const char *what, void *data);

/* Starts the ZeroMQ context and the ZAP thread. `loop` is borrowed; on_fault may be NULL.
 * 0 or -errno. */
int bus_new(struct uv_loop_s *loop, bus_on_fault on_fault, void *data, struct bus **ret_bus,
            struct flz_msg *msg);

/*
 * Closes all sockets (what is unsent is dropped) and ends the ZAP thread. The loop must be run once
 * more (uv_run until it has no handles) before it is closed. Not from within a bus callback.
 */
struct bus *bus_free(struct bus *bus);

struct bus_callbacks {
    bus_on_message on_message;
    bus_on_state on_state; /* connecting sockets; may be NULL */
    void *data;
};

/*
 * Members: CURVE, allow-list empty at first. `own` is borrowed during the call. The endpoint is
 * "tcp://ADDRESS:PORT", port "*" for any. 0; -EADDRINUSE …; -EPROTO when the self-test let a random
 * key pass or ZeroMQ refused an option: nothing is open then.
 */
int bus_listen_curve(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                     struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                     struct flz_msg *msg);

/* Enrolment: CURVE, any key, messages up to BUS_ENROL_MESSAGE_MAX, rate limited. */
int bus_listen_open_curve(struct bus *bus, const char *endpoint, const struct keys_curve_pair *own,
                          struct bus_callbacks callbacks, struct bus_socket **ret_socket,
                          struct flz_msg *msg);

/* Admin on this machine: "ipc:///path" whose socket file is made 0600. */
int bus_listen_ipc(struct bus *bus, const char *endpoint, struct bus_callbacks callbacks,
                   struct bus_socket **ret_socket, struct flz_msg *msg);

/* Replaces the allow-list of a CURVE listener. The keys are copied. 0, -E2BIG, -ENOMEM. */
int bus_allow(struct bus_socket *socket, const struct flz_curve_public *keys, size_t n);

/*
 * A member's side: connects, and reconnects with jitter for ever. Messages are queued only for a
 * connection that stands. `own` is borrowed during the call.
 */
int bus_connect_curve(struct bus *bus, const char *endpoint, struct flz_curve_public server,
                      const struct keys_curve_pair *own, struct bus_callbacks callbacks,
                      struct bus_socket **ret_socket, struct flz_msg *msg);

/* Closes one socket, and removes the file of a local one; also allowed within its own callback.
 * Returns NULL. */
struct bus_socket *bus_close(struct bus_socket *socket);

/*
 * Queues a message (copied): to `peer` on a listening socket, NULL on a connecting one. 0,
 * BUS_E_FULL, BUS_E_GONE, -EMSGSIZE, -ENOMEM. Queued is not delivered: what matters is
 * acknowledged by the layer above.
 */
int bus_send(struct bus_socket *socket, const struct bus_peer *peer, struct flz_view bytes);

/* The endpoint as bound, with the real port; borrowed. */
const char *bus_endpoint(const struct bus_socket *socket);

enum bus_state bus_state_of(const struct bus_socket *socket);

/* Counted since the socket was opened. */
struct bus_stats {
    uint64_t received;
    uint64_t sent;
    uint64_t full;       /* BUS_E_FULL */
    uint64_t gone;       /* BUS_E_GONE */
    uint64_t malformed;  /* more than one frame, too long, or no User-Id: dropped */
    uint64_t denied;     /* messages from a key that is no longer allowed: dropped */
    uint64_t limited;    /* above the rate of an open listener: dropped */
    uint64_t refused;    /* handshakes refused by the ZAP handler */
};

struct bus_stats bus_stats_of(const struct bus_socket *socket);

/* ---- without a loop: the command line ---- */

/* Where to, and as whom; for "ipc://" only the endpoint is looked at. Borrowed pointers. */
struct bus_target {
    const char *endpoint;
    const struct flz_curve_public *server;
    const struct keys_curve_pair *own;
    size_t message_max; /* largest answer; 0 means BUS_MESSAGE_MAX */
};

struct bus_client;

/* Connects within the time. 0, BUS_E_UNREACHABLE, -EINVAL (endpoint), -errno; `msg` says why. */
int bus_client_open(const struct bus_target *target, int timeout_ms, struct bus_client **ret_client,
                    struct flz_msg *msg);
struct bus_client *bus_client_close(struct bus_client *client);

/* 0, BUS_E_FULL, -errno. */
int bus_client_send(struct bus_client *client, struct flz_view bytes);

/* Waits for one message and appends it. 0, BUS_E_TIMEOUT, -EINTR, -errno. */
int bus_client_receive(struct bus_client *client, int timeout_ms, struct flz_buf *buf);

/* Open, send, receive, close, all within the time. 0, BUS_E_UNREACHABLE, BUS_E_TIMEOUT, -errno. */
int bus_request(const struct bus_target *target, struct flz_view bytes, int timeout_ms,
                struct flz_buf *ret_answer, struct flz_msg *msg);
