/*
 * Who this node is: its keys and certificate, the network it belongs to, and the coordinators it
 * believes. Files below `state_dir`/identity: node.sign, node.curve (keys), node.cert, trust
 * (network id, root key, coordinator's endpoint and CURVE key, network name, contact), issuers
 * (their certificates). Made by node/enrol.h from a join token.
 */
#pragma once

#include "common/sys/keys.h"
#include "proto/cert.h"

#define IDENTITY_ISSUERS_MAX 16
#define IDENTITY_ENDPOINT_MAX 256

struct identity {
    struct flz_trust trust;
    struct flz_id node;
    char name[FLZ_NAME_MAX];
    struct keys_sign_pair sign;
    struct keys_curve_pair curve;
    struct flz_buf certificate; /* Signed(NODE); owned */
    char network_name[FLZ_NAME_MAX];
    char contact[FLZ_ADDRESS_MAX];
    char endpoint[IDENTITY_ENDPOINT_MAX];/* of the coordinator, for nodes */
    struct flz_curve_public coordinator_key;
    struct flz_certificate issuers[IDENTITY_ISSUERS_MAX]; /* retired ones too, 400 days */
    size_t issuers_count;
};

/* Loads and checks all of it. 0; IDENTITY_E_ABSENT when this node was never enrolled; negative. */
enum { IDENTITY_E_ABSENT = 1 };
int identity_load(const char *state_dir, struct identity *ret_identity, struct flz_msg *msg);
void identity_deinit(struct identity *identity);

/* The issuer certificate whose key has this short name; NULL: none. */
const struct flz_certificate *identity_issuer(const struct identity *identity,
                                              struct flz_key_id key);

/* Signs with the node's key. */
struct flz_signer identity_signer(const struct identity *identity);
