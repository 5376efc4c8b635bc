#include "proto/envelope.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

const char *flz_kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [FLZ_KIND_HELLO] = "hello",
        [FLZ_KIND_WELCOME] = "welcome",
        [FLZ_KIND_HEARTBEAT] = "heartbeat",
        [FLZ_KIND_PULSE] = "pulse",
        [FLZ_KIND_TASKS] = "tasks",
        [FLZ_KIND_REPORTS] = "reports",
        [FLZ_KIND_ACK] = "ack",
        [FLZ_KIND_JOIN] = "join",
        [FLZ_KIND_JOINED] = "joined",
        [FLZ_KIND_CERTIFICATE] = "certificate",
        [FLZ_KIND_INVITE] = "invite",
        [FLZ_KIND_NODE] = "node",
        [FLZ_KIND_ATTESTATION] = "attestation",
        [FLZ_KIND_ADMIN] = "admin",
        [FLZ_KIND_ADMIN_REPLY] = "admin-reply",
        [FLZ_KIND_REVOCATION] = "revocation",
        [FLZ_KIND_REVOCATIONS] = "revocations",
        [FLZ_KIND_LOG_HEAD] = "log-head",
    };
    return kind <= FLZ_KIND_MAX ? names[kind] : NULL;
}

struct flz_key_id flz_key_id_of(const struct flz_sign_public *key)
{
    struct flz_digest digest = flz_digest_of((struct flz_view){.data = key->b, .len = 32});
    struct flz_key_id id;
    memcpy(id.b, digest.b, sizeof id.b);
    return id;
}

struct flz_digest flz_signed_digest(enum flz_kind kind, struct flz_view payload)
{
    const char *name = flz_kind_name(kind);
    assert(name);
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add(&hash, "fluenzr/", 8);
    flz_hash_add(&hash, name, strlen(name));
    flz_hash_add(&hash, "/v1", 4); /* with its NUL, which ends the prefix */
    flz_hash_add(&hash, payload.data, payload.len);
    return flz_hash_digest(&hash);
}

int flz_seal_signed(enum flz_kind kind, struct flz_view payload, const struct flz_signer *signer,
                    struct flz_buf *buf)
{
    if (payload.len > FLZ_SIGNED_PAYLOAD_MAX)
        return flz_fail(-EMSGSIZE);
    struct flz_signed message = {
        .kind = kind, .payload = payload, .key = flz_key_id_of(&signer->key)};
    struct flz_digest digest = flz_signed_digest(kind, payload);
    int r = signer->on_sign(&digest, &message.signature, signer->data);
    if (r < 0)
        return r;

    return flz_encode(&flz_codec_signed, &message, buf);
}

int flz_open_signed(struct flz_view bytes, struct flz_arena *arena, struct flz_signed *ret_signed)
{
    struct flz_signed message;
    int r = flz_decode(&flz_codec_signed, bytes, arena, &message);
    if (r < 0)
        return r;
    if (!flz_kind_name(message.kind))
        return flz_fail(-EBADMSG);
    *ret_signed = message;
    return 0;
}

int flz_verify_digest(struct flz_digest digest, const struct flz_signature *signature,
                      const struct flz_sign_public *key)
{
    if (crypto_sign_verify_detached(signature->b, digest.b, sizeof digest.b, key->b) != 0)
        return flz_fail(-EKEYREJECTED);
    return 0;
}

int flz_verify_signed(const struct flz_signed *message, const struct flz_sign_public *key)
{
    struct flz_key_id id = flz_key_id_of(key);
    if (memcmp(id.b, message->key.b, sizeof id.b) != 0)
        return flz_fail(-EKEYREJECTED);
    return flz_verify_digest(flz_signed_digest(message->kind, message->payload),
                             &message->signature, key);
}
