/*
 * The signed envelope: every message between programs, and every certificate, is one Signed.
 *
 * The signature is Ed25519 over BLAKE2b-256("fluenzr/<kind>/v1\0" ‖ payload). The kind is part of
 * what is signed, so a message of one kind can never be taken for another. Verification works on
 * the received bytes, before they are parsed; nothing is ever parsed, re-encoded and then verified.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/id.h"

/* Bytes of a payload; frames are at most FLZ_FRAME_SIZE_MAX, an admin's CSV or answer may be
 * larger, up to the 1 MiB at which sockets end messages. */
#define FLZ_SIGNED_PAYLOAD_MAX (960 * 1024)

enum flz_kind {
    FLZ_KIND_HELLO = 1,
    FLZ_KIND_WELCOME = 2,
    FLZ_KIND_HEARTBEAT = 3,
    FLZ_KIND_PULSE = 4,
    FLZ_KIND_TASKS = 5,
    FLZ_KIND_REPORTS = 6,
    FLZ_KIND_ACK = 7,
    FLZ_KIND_JOIN = 8,
    FLZ_KIND_JOINED = 9,
    FLZ_KIND_CERTIFICATE = 10,
    FLZ_KIND_INVITE = 11,
    FLZ_KIND_NODE = 12,
    FLZ_KIND_ATTESTATION = 13,
    FLZ_KIND_ADMIN = 14,
    FLZ_KIND_ADMIN_REPLY = 15,
    FLZ_KIND_REVOCATION = 16,
    FLZ_KIND_REVOCATIONS = 17,
    FLZ_KIND_LOG_HEAD = 18,
};
#define FLZ_KIND_MAX FLZ_KIND_LOG_HEAD

struct flz_signed {
    uint32_t kind;             /* enum flz_kind */
    struct flz_view payload;   /* borrowed */
    struct flz_key_id key;
    struct flz_signature signature;
};

/* Who signs: the public key, and a function that puts the Ed25519 signature of a digest into *ret
 * (0 or negative). The secret key stays in guarded memory behind it (keys_on_sign()). */
struct flz_signer {
    struct flz_sign_public key;
    int (*on_sign)(const struct flz_digest *digest, struct flz_signature *ret_signature,
                   void *data);
    void *data;
};

/* The word of a kind in its prefix ("hello"), or NULL when `kind` is none. */
const char *flz_kind_name(uint32_t kind);

/* Short name of a key: the first 8 bytes of BLAKE2b-256 over it. */
struct flz_key_id flz_key_id_of(const struct flz_sign_public *key);

/* What is signed for a payload of this kind. `kind` must be a valid one. */
struct flz_digest flz_signed_digest(enum flz_kind kind, struct flz_view payload);

/* Appends Signed(kind, payload). 0 or negative. */
int flz_seal_signed(enum flz_kind kind, struct flz_view payload, const struct flz_signer *signer,
                    struct flz_buf *buf);

/*
 * Takes a Signed apart without believing it: sizes and kind are checked, the signature is not. The
 * payload lives in `arena`. 0, -EBADMSG or -ENOMEM.
 */
int flz_open_signed(struct flz_view bytes, struct flz_arena *arena, struct flz_signed *ret_signed);

/* 0 when `key` made this signature; -EKEYREJECTED otherwise. */
int flz_verify_signed(const struct flz_signed *message, const struct flz_sign_public *key);

/* Ed25519 over a digest, for signatures outside an envelope (the mail header). 0 or
 * -EKEYREJECTED. */
int flz_verify_digest(struct flz_digest digest, const struct flz_signature *signature,
                      const struct flz_sign_public *key);
