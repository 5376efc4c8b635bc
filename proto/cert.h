/*
 * Who may say what: certificates, from the offline root down (DESIGN 7).
 *
 *     root ──signs──> ISSUER certificate (a coordinator)
 *     root ──signs──> ADMIN certificate ──signs──> invite ──its token key signs──> node certificate
 *     ADMIN ──signs──> revocation ("this node is cut off")
 *     ISSUER ──signs──> log head ("the log holds this, up to here")
 *     node ──signs──> attestation ("this address is a consenting member")
 *
 * Each function checks the whole chain down from the root's public key, on the received bytes, and
 * fills `msg` with the reason in words when it refuses. `now` is real time, ms UTC.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/error.h"
#include "proto/envelope.h"
#include "proto/vocab.h"

/* What all checks start from; pinned by every program. */
struct flz_trust {
    struct flz_id network;
    struct flz_sign_public root;
};

/* A certificate that the root signed, of this network, valid at `now`. 0 or -EKEYREJECTED. */
int flz_cert_check(const struct flz_trust *trust, struct flz_view bytes, int64_t now,
                   struct flz_certificate *ret_certificate, struct flz_msg *msg);

/* The same without looking at the clock: for certificates kept beyond their time, whose signatures
 * of the past still count. */
int flz_cert_check_any_time(const struct flz_trust *trust, struct flz_view bytes,
                            struct flz_certificate *ret_certificate, struct flz_msg *msg);

/* A node's identity as its certificate proves it. */
struct flz_node_identity {
    struct flz_id node;
    char name[FLZ_NAME_MAX];
    struct flz_sign_public sign_key;
    struct flz_curve_public curve_key;
    struct flz_sign_public token_key; /* names the invite: single use */
    struct flz_digest digest;         /* of the certificate's bytes */
};

/*
 * A node certificate: made with the token key of an invite that an ADMIN (scope "network" or
 * "node/<name>") signed, before the invite ended. 0 or -EKEYREJECTED.
 */
int flz_cert_check_node(const struct flz_trust *trust, struct flz_view bytes,
                        struct flz_node_identity *ret_identity, struct flz_msg *msg);

/*
 * An attestation of `address`, by the node `identity`, for consent that lasts beyond
 * `network_now` and covers `actions`. 0 or -EKEYREJECTED.
 */
int flz_cert_check_attestation(const struct flz_trust *trust, struct flz_view bytes,
                               const struct flz_node_identity *identity,
                               const struct flz_address *address, uint32_t actions,
                               int64_t network_now, struct flz_attestation *ret_attestation,
                               struct flz_msg *msg);

/*
 * A revocation, signed by an ADMIN of scope "network" while its certificate was valid. It counts
 * for good: the certificate's end does not end it. The view in *ret_revocation is left empty. 0 or
 * -EKEYREJECTED.
 */
int flz_cert_check_revocation(const struct flz_trust *trust, struct flz_view bytes,
                              struct flz_revocation *ret_revocation, struct flz_msg *msg);

/*
 * A log head, signed by an ISSUER while its certificate was valid. The certificate's end does not
 * end what was stated before. The view in *ret_head is left empty. 0 or -EKEYREJECTED.
 */
int flz_cert_check_log_head(const struct flz_trust *trust, struct flz_view bytes,
                            struct flz_log_head *ret_head, struct flz_msg *msg);

/* True when a certificate of this role and scope may act on `target` ("network", "node/n1",
 * "owner/acme"): a "network" scope covers all, others only themselves. */
bool flz_cert_covers(const struct flz_certificate *certificate, const char *target);
