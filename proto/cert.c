#include "proto/cert.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/time.h"
#include "proto/codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct flz_msg *msg, const char *why)
{
    flz_msg_set(msg, "%s", why);
    return flz_fail(-EKEYREJECTED);
}

/* Opens Signed bytes of one kind and verifies them with `key`; the payload lives in `arena`. */
static int open_verified(struct flz_view bytes, enum flz_kind kind,
                         const struct flz_sign_public *key, struct flz_arena *arena,
                         struct flz_signed *ret_signed, struct flz_msg *msg)
{
    struct flz_signed message;
    if (flz_open_signed(bytes, arena, &message) < 0)
        return refuse(msg, "not a signed message");
    if (message.kind != kind)
        return refuse(msg, "signed for another purpose");
    if (flz_verify_signed(&message, key) < 0)
        return refuse(msg, "the signature does not verify");
    *ret_signed = message;
    return 0;
}

int flz_cert_check_any_time(const struct flz_trust *trust, struct flz_view bytes,
                            struct flz_certificate *ret_certificate, struct flz_msg *msg)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    int r = open_verified(bytes, FLZ_KIND_CERTIFICATE, &trust->root, &arena, &message, msg);
    if (r < 0)
        return r;
    struct flz_certificate certificate;
    if (flz_decode(&flz_codec_certificate, message.payload, &arena, &certificate) < 0)
        return refuse(msg, "the certificate cannot be read");
    if (!flz_id_equal(certificate.network, trust->network))
        return refuse(msg, "the certificate belongs to another network");
    *ret_certificate = certificate;
    return 0;
}

int flz_cert_check(const struct flz_trust *trust, struct flz_view bytes, int64_t now,
                   struct flz_certificate *ret_certificate, struct flz_msg *msg)
{
    struct flz_certificate certificate;
    int r = flz_cert_check_any_time(trust, bytes, &certificate, msg);
    if (r < 0)
        return r;
    if (now < certificate.not_before || now >= certificate.not_after) {
        char from[FLZ_TIME_TEXT_MAX], until[FLZ_TIME_TEXT_MAX], is[FLZ_TIME_TEXT_MAX];
        flz_time_format(certificate.not_before, from);
        flz_time_format(certificate.not_after, until);
        flz_time_format(now, is);
        flz_msg_set(msg, "the certificate '%s' is valid from %s to %s only, and it is %s now",
                    certificate.name, from, until, is);
        return flz_fail(-EKEYREJECTED);
    }
    *ret_certificate = certificate;
    return 0;
}

bool flz_cert_covers(const struct flz_certificate *certificate, const char *target)
{
    return strcmp(certificate->scope, "network") == 0 || strcmp(certificate->scope, target) == 0;
}

static int check_invite(const struct flz_trust *trust, const struct flz_node_certificate *node,
                        struct flz_arena *arena, struct flz_invite *ret_invite,
                        struct flz_msg *msg)
{
    struct flz_certificate admin;
    int r = flz_cert_check_any_time(trust, node->admin_certificate, &admin, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "administrator's certificate");
        return r;
    }
    struct flz_signed message;
    r = open_verified(node->invite, FLZ_KIND_INVITE, &admin.key, arena, &message, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "invite");
        return r;
    }
    struct flz_invite invite;
    if (flz_decode(&flz_codec_invite, message.payload, arena, &invite) < 0)
        return refuse(msg, "the invite cannot be read");
    char target[FLZ_NAME_MAX + 8];
    (void)snprintf(target, sizeof target, "node/%s", invite.name);
    if (admin.role != FLZ_ROLE_ADMIN || !flz_cert_covers(&admin, target))
        return refuse(msg, "the invite was signed by a key that may not invite this node");
    if (!flz_id_equal(invite.network, trust->network))
        return refuse(msg, "the invite belongs to another network");
    /* The administrator's certificate counts at the time the node was made, not today. */
    if (node->created < admin.not_before || node->created >= admin.not_after ||
        node->created >= invite.not_after)
        return refuse(msg, "the invite had ended when the node used it");
    *ret_invite = invite;
    return 0;
}

int flz_cert_check_node(const struct flz_trust *trust, struct flz_view bytes,
                        struct flz_node_identity *ret_identity, struct flz_msg *msg)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    struct flz_node_certificate node;
    if (flz_open_signed(bytes, &arena, &message) < 0 || message.kind != FLZ_KIND_NODE ||
        flz_decode(&flz_codec_node_certificate, message.payload, &arena, &node) < 0)
        return refuse(msg, "not a node certificate");

    struct flz_invite invite;
    int r = check_invite(trust, &node, &arena, &invite, msg);
    if (r < 0)
        return r;
    if (flz_verify_signed(&message, &invite.token_key) < 0)
        return refuse(msg, "the node certificate was not made with its invite's token");

    struct flz_node_identity identity = {
        .node = invite.node,
        .sign_key = node.sign_key,
        .curve_key = node.curve_key,
        .token_key = invite.token_key,
        .digest = flz_digest_of(bytes),
    };
    memcpy(identity.name, invite.name, sizeof identity.name);
    *ret_identity = identity;
    return 0;
}

int flz_cert_check_attestation(const struct flz_trust *trust, struct flz_view bytes,
                               const struct flz_node_identity *identity,
                               const struct flz_address *address, uint32_t actions,
                               int64_t network_now, struct flz_attestation *ret_attestation,
                               struct flz_msg *msg)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    int r = open_verified(bytes, FLZ_KIND_ATTESTATION, &identity->sign_key, &arena, &message, msg);
    if (r < 0)
        return r;
    struct flz_attestation attestation;
    if (flz_decode(&flz_codec_attestation, message.payload, &arena, &attestation) < 0)
        return refuse(msg, "the attestation cannot be read");
    if (!flz_id_equal(attestation.network, trust->network) ||
        !flz_id_equal(attestation.node, identity->node))
        return refuse(msg, "the attestation belongs to another network or node");
    if (!flz_digest_equal(attestation.address, flz_address_digest(address)))
        return refuse(msg, "the attestation is for another address");
    if (attestation.consent_until <= network_now)
        return refuse(msg, "the recipient's consent has ended");
    if ((attestation.actions & actions) != actions)
        return refuse(msg, "the recipient's consent does not cover this");
    *ret_attestation = attestation;
    return 0;
}

int flz_cert_check_revocation(const struct flz_trust *trust, struct flz_view bytes,
                              struct flz_revocation *ret_revocation, struct flz_msg *msg)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    struct flz_revocation revocation;
    struct flz_certificate admin;
    if (bytes.len > FLZ_REVOCATION_BYTES_MAX || flz_open_signed(bytes, &arena, &message) < 0 ||
        message.kind != FLZ_KIND_REVOCATION ||
        flz_decode(&flz_codec_revocation, message.payload, &arena, &revocation) < 0)
        return refuse(msg, "not a revocation");
    int r = flz_cert_check_any_time(trust, revocation.admin_certificate, &admin, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "administrator's certificate");
        return r;
    }
    if (flz_verify_signed(&message, &admin.key) < 0)
        return refuse(msg, "the signature does not verify");
    if (admin.role != FLZ_ROLE_ADMIN || !flz_cert_covers(&admin, "network"))
        return refuse(msg, "the revocation was signed by a key that may not revoke nodes");
    if (!flz_id_equal(revocation.network, trust->network))
        return refuse(msg, "the revocation belongs to another network");
    if (revocation.at < admin.not_before || revocation.at >= admin.not_after)
        return refuse(msg, "the administrator's certificate was not valid when it was signed");
    revocation.admin_certificate = FLZ_VIEW_NULL;
    *ret_revocation = revocation;
    return 0;
}

int flz_cert_check_log_head(const struct flz_trust *trust, struct flz_view bytes,
                            struct flz_log_head *ret_head, struct flz_msg *msg)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    struct flz_log_head head;
    struct flz_certificate issuer;
    if (bytes.len > FLZ_LOG_HEAD_BYTES_MAX || flz_open_signed(bytes, &arena, &message) < 0 ||
        message.kind != FLZ_KIND_LOG_HEAD ||
        flz_decode(&flz_codec_log_head, message.payload, &arena, &head) < 0)
        return refuse(msg, "not a log head");
    int r = flz_cert_check_any_time(trust, head.issuer_certificate, &issuer, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "coordinator's certificate");
        return r;
    }
    if (flz_verify_signed(&message, &issuer.key) < 0)
        return refuse(msg, "the signature does not verify");
    if (issuer.role != FLZ_ROLE_ISSUER)
        return refuse(msg, "the log head was signed by a key that is no coordinator's");
    if (!flz_id_equal(head.network, trust->network))
        return refuse(msg, "the log head belongs to another network");
    if (head.at < issuer.not_before || head.at >= issuer.not_after)
        return refuse(msg, "the coordinator's certificate was not valid when it was signed");
    head.issuer_certificate = FLZ_VIEW_NULL;
    *ret_head = head;
    return 0;
}
