/*
 * The door for nodes: two listeners. Members (CURVE, allow-list of the joined nodes' keys) say
 * hello, beat and report, and get their authority, tasks and acknowledgements; strangers may enrol
 * with a join token, nothing else. Each frame is believed for the key that its handshake proved and
 * the signature it carries, both of the same node (PROTOCOL.md).
 */
#pragma once

#include "coordinator/core/coord.h"
#include "coordinator/server_private.h"

int door_open(struct server *server, struct door **ret_door, struct flz_msg *msg);
struct door *door_close(struct door *door);

/* Orders whose events are committed: dressed, framed and sent to their nodes as these take them. */
void door_order(struct door *door, const struct coord_order *orders, size_t n);

/* Takes reports that waited until something may be decided again, some of them at a time. 0 or
 * negative. */
int door_go_on(struct door *door);
bool door_has_backlog(const struct door *door);

/* The set of joined nodes changed. */
void door_refresh(struct door *door);

bool door_connected(const struct door *door, uint32_t node);
int64_t door_heard_boot(const struct door *door, uint32_t node);
