/*
 * The network that lives in the world: its keys, the coordinator, the nodes and their accounts, all
 * made as people make them: `init`, `node invite`, enrolment, `account import`.
 */
#pragma once

#include "common/sys/keys.h"
#include "proto/cert.h"
#include "tests/sim/world/world.h"

#define NETWORK_NODES 3
#define NETWORK_ACCOUNTS 15
#define NETWORK_COOLDOWN_DAYS 2

struct network {
    struct flz_trust trust;
    struct keys_sign_pair root, admin, issuer;
    struct keys_curve_pair curve;
    struct flz_buf admin_certificate; /* Signed(CERTIFICATE) */
    struct flz_buf issuer_certificate;
    struct proc *coordinator;
    struct proc *nodes[NETWORK_NODES];
    struct flz_id node_ids[NETWORK_NODES];
    bool restored; /* the coordinator's next start is from a backup */
};

extern struct network network;

/* Makes keys, processes and mailboxes, starts all, and waits until every account is accepted. */
void network_begin(void);

/* The node that holds an account (by its mail index). */
struct proc *network_node_of(size_t account);
/* Index of a node's process; NETWORK_NODES: it is none. */
size_t network_index_of(const struct proc *proc);

/* ---- What people ask for; asked again until it is answered ---- */

/* At the coordinator: a verb with a target or account and a reason. */
void network_order(const char *verb, const char *key, const char *value, const char *duration);
void network_revoke(size_t node);
/* At a node: its accounts are imported (again). */
void network_import(size_t node);
/* At a node: login failures are forgotten. */
void network_retry(size_t account);
/* Are there requests that were not answered yet? */
bool network_waits(void);
/* The node's signing key, read from its folder. */
void network_node_key(size_t node, struct keys_sign_pair *ret_key);
