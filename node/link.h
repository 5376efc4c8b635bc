/*
 * The link: the node's connection to its coordinator (PROTOCOL.md). Says hello, beats, reports;
 * gets its authority, the network's time, its tasks and acknowledgements. Believes a frame only if
 * a live issuer signed it, for this network and node, in an epoch not below the newest seen, of a
 * log generation not given up, and with a sequence number above the last one.
 *
 * Two clocks of authority (DESIGN 6): the lease, in real time, counted from the moment the answered
 * heartbeat was sent; and network time, which slots are written in.
 */
#pragma once

#include "common/sys/bus.h"
#include "common/sys/keys.h"
#include "common/sys/log.h"
#include "common/sys/netclock.h"
#include "node/identity.h"
#include "node/journal.h"
#include "node/outbox.h"
#include "node/revocations.h"
#include "proto/vocab.h"

#include <stdbool.h>

#define LINK_LEASE_MAX_MS (15 * 60 * 1000) /* whatever a pulse says */

struct link;

struct link_events {
    /* Tasks of a believed frame; borrowed. */
    void (*on_tasks)(const struct flz_tasks *tasks, void *data);
    void (*on_verdict)(const struct flz_verdict *verdict, void *data);
    /* A log generation is given up: called before it is journalled that another took its place. */
    void (*on_given_up)(void *data);
    /* The lease, the clock or the pauses changed. */
    void (*on_pulse)(void *data);
    /* What HELLO and HEARTBEAT say: open task ids (borrowed until the next call) and credit. */
    size_t (*on_open)(const struct flz_id **ret_open, void *data);
    uint32_t (*on_credit)(void *data);
    /* Content pack digests this node holds; borrowed. */
    size_t (*on_packs)(const struct flz_digest **ret_packs, void *data);
    bool (*on_loopback)(void *data); /* every endpoint is loopback */
};

struct link_options {
    const char *endpoint;
    struct flz_curve_public coordinator_key;
    const struct identity *identity; /* borrowed */
    int64_t heartbeat_ms;            /* real time */
    const char *version;
};

/* Starts to connect. Everything is borrowed while the link lives. 0 or negative (msg). */
int link_new(struct bus *bus, struct uv_loop_s *loop, struct flz_log *log, struct journal *journal,
             struct outbox *outbox, const struct link_options *options,
             const struct link_events *events, void *data, struct link **ret_link,
             struct flz_msg *msg);
struct link *link_free(struct link *link);

/* Sends what the outbox has ready, as far as the socket takes it. */
void link_flush(struct link *link);

/* Network time now: 0 and *ret_now, or NETCLOCK_E_UNKNOWN before the first pulse. */
int link_now(struct link *link, int64_t *ret_now);
int64_t link_rate_milli(const struct link *link);
/* True while this connection stands and its HELLO was welcomed. */
bool link_welcomed(const struct link *link);
/* True when the coordinator's newest WELCOME, in this process's life, took us in, and no
 * administrator has revoked this node: together with the lease, this is the authority to act, and
 * it outlives a short loss of the connection. */
bool link_accepted(const struct link *link);
/* True when all revocations that the newest pulse spoke of are here: without them nothing is
 * sent. */
bool link_knows_revocations(const struct link *link);
/* True when an administrator has cut this node off; stays so. */
bool link_is_revoked(const struct link *link, struct flz_id node);
int64_t link_lease_end_boot(const struct link *link);

/* True when a pause in force covers this account. */
bool link_paused(const struct link *link, struct flz_id account, const char *provider,
                 const char *domain);

/* True when nobody writes to this account any more, as the newest pulse says. */
bool link_suppressed(const struct link *link, struct flz_id account);

/* For status: words on how it stands ("welcomed", "connecting", why it was refused). */
const char *link_state_text(const struct link *link);
