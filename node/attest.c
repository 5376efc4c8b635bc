#include "node/attest.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "proto/cert.h"
#include "proto/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The header that the task's fields make. */
static struct xheader header_of(const struct identity *identity, const struct flz_task *task)
{
    struct xheader header = {
        .network = identity->trust.network,
        .exchange = task->exchange,
        .step = task->turn,
        .time_ms = task->mail_time,
        .expiry_ms = task->expires,
        .key = task->mail_key,
        .signature = task->mail_signature,
    };
    (void)flz_text_copy(header.message_id, sizeof header.message_id, task->message_id);
    return header;
}

/*
 * The coordinator whose key has this name, by a certificate that was valid at t: a retired one
 * vouches for the mail of its time and for no other. A renewed certificate may name the same key
 * again.
 */
static const struct flz_certificate *issuer_at(const struct identity *identity,
                                               const struct xheader *header,
                                               struct attest_time time, struct flz_msg *msg)
{
    flz_msg_set(msg, "the header's key is no coordinator's of this network");
    for (size_t i = 0; i < identity->issuers_count; i++) {
        const struct flz_certificate *issuer = &identity->issuers[i];
        struct flz_key_id id = flz_key_id_of(&issuer->key);
        if (memcmp(id.b, header->key.b, sizeof id.b) != 0)
            continue;
        if (!time.civil ||
            (header->time_ms >= issuer->not_before && header->time_ms < issuer->not_after))
            return issuer;
        flz_msg_set(msg, "the certificate of the header's key was not valid at its time");
    }
    return NULL;
}

/* Signed by a coordinator of this network, for these two addresses. */
static int check_mail_signature(const struct identity *identity, const struct xheader *header,
                                const struct flz_address *from, const struct flz_address *to,
                                struct attest_time time, struct flz_msg *msg)
{
    const struct flz_certificate *issuer = issuer_at(identity, header, time, msg);
    if (!issuer)
        return flz_fail(-EKEYREJECTED);
    struct flz_digest digest;
    if (xheader_digest(header, from, to, &digest) < 0) {
        flz_msg_set(msg, "a field of the header is out of its range");
        return flz_fail(-EINVAL);
    }
    if (flz_verify_digest(digest, &header->signature, &issuer->key) < 0) {
        flz_msg_set(msg, "the header's signature does not verify for this From and To");
        return flz_fail(-EKEYREJECTED);
    }
    return 0;
}

int attest_mail_header(const struct identity *identity, const struct flz_task *task,
                       const struct flz_address *from, const struct flz_address *to,
                       struct attest_time time, char ret_value[static XHEADER_VALUE_MAX],
                       struct flz_msg *msg)
{
    struct xheader header = header_of(identity, task);
    int r = check_mail_signature(identity, &header, from, to, time, msg);
    if (r < 0)
        return r;
    return xheader_format(&header, ret_value);
}

/* ---- Certificates of nodes ---- */

#define NODES_MAX 4096 /* then all are forgotten, and checked again */

struct attest_nodes {
    struct flz_node_identity *all; /* owned */
    size_t count;
    size_t capacity;
    struct flz_map by_digest; /* under its first 16 bytes; the whole one is compared */
};

struct attest_nodes *attest_nodes_new(void)
{
    return calloc(1, sizeof(struct attest_nodes));
}

struct attest_nodes *attest_nodes_free(struct attest_nodes *nodes)
{
    if (!nodes)
        return NULL;
    flz_map_deinit(&nodes->by_digest);
    free(nodes->all);
    free(nodes);
    return NULL;
}

size_t attest_nodes_count(const struct attest_nodes *nodes)
{
    return nodes->count;
}

static struct flz_id key_of(struct flz_digest digest)
{
    struct flz_id key;
    memcpy(key.b, digest.b, sizeof key.b);
    return key;
}

static void remember(struct attest_nodes *nodes, const struct flz_node_identity *node)
{
    if (nodes->count == NODES_MAX) {
        flz_map_deinit(&nodes->by_digest);
        nodes->by_digest = FLZ_MAP_NULL;
        nodes->count = 0;
    }
    /* Without memory it is checked again the next time. */
    if (flz_grow((void **)&nodes->all, &nodes->capacity, nodes->count + 1, sizeof *nodes->all) <
            0 ||
        flz_map_set(&nodes->by_digest, key_of(node->digest), (uint32_t)nodes->count) < 0)
        return;
    nodes->all[nodes->count++] = *node;
}

/* flz_cert_check_node(), which verifies three signatures, for what is not known yet. */
static int check_node(struct attest_nodes *nodes, const struct flz_trust *trust,
                      struct flz_view certificate, struct flz_node_identity *ret_node,
                      struct flz_msg *msg)
{
    struct flz_digest digest = flz_digest_of(certificate);
    uint32_t known = flz_map_get(&nodes->by_digest, key_of(digest));
    if (known != FLZ_MAP_NONE && flz_digest_equal(nodes->all[known].digest, digest)) {
        *ret_node = nodes->all[known];
        return 0;
    }
    int r = flz_cert_check_node(trust, certificate, ret_node, msg);
    if (r == 0)
        remember(nodes, ret_node);
    return r;
}

/* ---- Tasks ---- */

static const struct flz_view *find_certificate(const struct flz_tasks *frame,
                                               struct flz_digest digest)
{
    for (size_t i = 0; i < frame->certificates_count; i++)
        if (flz_digest_equal(flz_digest_of(frame->certificates[i]), digest))
            return &frame->certificates[i];
    return NULL;
}

enum flz_reason attest_signer(const struct flz_task *task, struct flz_id *ret_node)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    struct flz_attestation attestation;
    if (flz_open_signed(task->attestation, &arena, &message) < 0 ||
        flz_decode(&flz_codec_attestation, message.payload, &arena, &attestation) < 0)
        return FLZ_REASON_NO_ATTESTATION;
    *ret_node = attestation.node;
    return FLZ_REASON_NONE;
}

static enum flz_reason check_recipient(const struct identity *identity, struct attest_nodes *nodes,
                                       const struct flz_tasks *frame, const struct flz_task *task,
                                       const struct flz_address *to, int64_t network_now,
                                       struct flz_msg *msg)
{
    const struct flz_view *certificate = find_certificate(frame, task->attestation_signer);
    struct flz_node_identity node;
    struct flz_attestation attestation;
    if (!certificate) {
        flz_msg_set(msg, "the certificate of the recipient's node is missing");
        return FLZ_REASON_NO_ATTESTATION;
    }
    if (check_node(nodes, &identity->trust, *certificate, &node, msg) < 0) {
        flz_msg_wrap(msg, "certificate of the recipient's node");
        return FLZ_REASON_NO_ATTESTATION;
    }
    /* Whoever is written to must have agreed to have our messages opened. */
    if (flz_cert_check_attestation(&identity->trust, task->attestation, &node, to, FLZ_ACTION_OPEN,
                                   network_now, &attestation, msg) < 0) {
        flz_msg_wrap(msg, "recipient's membership");
        return FLZ_REASON_NO_ATTESTATION;
    }
    if (!flz_id_equal(attestation.account, task->peer_account)) {
        flz_msg_set(msg, "the attestation is another account's");
        return FLZ_REASON_NO_ATTESTATION;
    }
    return FLZ_REASON_NONE;
}

enum flz_reason attest_task(const struct identity *identity, struct attest_nodes *nodes,
                            const struct flz_tasks *frame, const struct flz_task *task,
                            struct attest_time time, struct flz_msg *msg)
{
    if (!flz_task_kind_sends(task->kind))
        return FLZ_REASON_NONE;
    struct flz_address from, to;
    if (flz_address_parse(task->from, &from) < 0 || flz_address_parse(task->to, &to) < 0) {
        flz_msg_set(msg, "the addresses are malformed");
        return FLZ_REASON_PROTOCOL;
    }
    if (flz_address_is_role(&to)) {
        flz_msg_set(msg, "the recipient is a role address");
        return FLZ_REASON_POLICY;
    }
    struct xheader header = header_of(identity, task);
    if (check_mail_signature(identity, &header, &from, &to, time, msg) < 0)
        return FLZ_REASON_PROTOCOL;
    return check_recipient(identity, nodes, frame, task, &to, time.now, msg);
}

/* The X-FluenzR of a header block; false (msg) when there is none to believe in. */
static bool read_found(const struct header *header, struct xheader *ret_found, struct flz_msg *msg)
{
    if (header->doubled) {
        flz_msg_set(msg, "a field stands twice that must stand once");
        return false;
    }
    if (xheader_parse(flz_view_str(header->x_fluenzr), ret_found) < 0) {
        flz_msg_set(msg, "no X-FluenzR that can be read");
        return false;
    }
    return true;
}

/* Signed for the From and To that stand there. */
static bool check_found(const struct identity *identity, const struct xheader *found,
                        const struct header *header, struct attest_time time,
                        struct flz_address *ret_from, struct flz_address *ret_to,
                        struct flz_msg *msg)
{
    if (flz_address_parse(header->from, ret_from) < 0 ||
        flz_address_parse(header->to, ret_to) < 0) {
        flz_msg_set(msg, "From or To is not one plain address");
        return false;
    }
    return check_mail_signature(identity, found, ret_from, ret_to, time, msg) == 0;
}

bool attest_found_header(const struct identity *identity, const struct flz_task *task,
                         uint32_t turn, const struct header *header, struct attest_time time,
                         struct flz_msg *msg)
{
    struct xheader found;
    struct flz_address from, to;
    if (!read_found(header, &found, msg))
        return false;
    if (!flz_id_equal(found.network, identity->trust.network) ||
        !flz_id_equal(found.exchange, task->exchange) || found.step != turn) {
        flz_msg_set(msg, "another exchange's message");
        return false;
    }
    if (found.expiry_ms <= time.now) {
        flz_msg_set(msg, "the message has expired");
        return false;
    }
    if (!check_found(identity, &found, header, time, &from, &to, msg))
        return false;
    /* A copied header passes its own signature: the message must also be the one announced. */
    bool to_us =
        task->kind == FLZ_TASK_FIND || task->kind == FLZ_TASK_UNSPAM || task->kind == FLZ_TASK_OPEN;
    if (to_us && (!flz_ascii_equal_nocase(from.text, task->from) ||
                  !flz_ascii_equal_nocase(to.text, task->to) ||
                  strcmp(found.message_id, task->message_id) != 0)) {
        flz_msg_set(msg, "From, To or the original Message-ID are not the announced ones");
        return false;
    }
    return true;
}

bool attest_kept_header(const struct identity *identity, const char *address, int64_t before,
                        const struct header *header, struct attest_time time, struct flz_msg *msg)
{
    struct xheader found;
    struct flz_address from, to;
    if (!read_found(header, &found, msg))
        return false;
    if (!flz_id_equal(found.network, identity->trust.network)) {
        flz_msg_set(msg, "another network's message");
        return false;
    }
    if (found.time_ms >= before || found.expiry_ms > time.now) {
        flz_msg_set(msg, "the message is to be kept for now");
        return false;
    }
    if (!check_found(identity, &found, header, time, &from, &to, msg))
        return false;
    if (!flz_ascii_equal_nocase(from.text, address) && !flz_ascii_equal_nocase(to.text, address)) {
        flz_msg_set(msg, "neither From nor To is this account");
        return false;
    }
    return true;
}
