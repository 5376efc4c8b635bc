/*
 * Who this coordinator is: the folder that `fluenzrctl init` makes as DIR/coordinator, and nothing
 * that can sign for the root or for an administrator. Files, all 0600 in a folder of 0700:
 *
 *     network.yaml       network's id, name, contact and root public key
 *     issuer.sign        Ed25519 key that signs frames and messages
 *     issuer.cert        its certificate by the root: Signed(CERTIFICATE), one base64url line
 *     coordinator.curve  X25519 key of the public endpoints
 *     network.key        32 bytes, kind "network": exchange ids and Message-IDs derive from it
 *     persons.key        32 bytes, kind "seal": wraps the keys of the persons table
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/keys.h"
#include "common/sys/seal.h"
#include "common/sys/secret.h"
#include "proto/cert.h"
#include "proto/vocab.h"

#include <stdint.h>

#define IDENTITY_NETWORK_KEY "network" /* kind of network.key */
#define IDENTITY_NETWORK_KEY_LEN 32

struct coordinator_identity {
    struct flz_trust trust; /* network id and root key */
    char name[FLZ_NAME_MAX];
    char contact[FLZ_ADDRESS_MAX]; /* how to stop; stands in each message */
    struct keys_sign_pair issuer;
    struct flz_buf issuer_cert;                /* Signed(CERTIFICATE), as nodes get it; owned */
    struct flz_certificate issuer_certificate; /* the same, read */
    struct keys_curve_pair curve;
    struct flz_secret network_key; /* IDENTITY_NETWORK_KEY_LEN bytes */
    struct seal_key persons_key;
};

#define COORDINATOR_IDENTITY_NULL ((struct coordinator_identity){.name = ""})

/*
 * Reads and checks all of it: modes, kinds, and that the root gave this issuer key and this CURVE
 * key an ISSUER certificate that is valid at `real_now` (ms UTC). The secrets lie in guarded
 * memory: call flz_secret_harden() before. 0, -ENOENT, -EPERM, -EINVAL, -EKEYREJECTED, -errno; msg
 * says which file, why, and what to do. On failure *ret_identity is unchanged.
 */
int coordinator_identity_load(const char *dir, int64_t real_now,
                              struct coordinator_identity *ret_identity, struct flz_msg *msg);
void coordinator_identity_deinit(struct coordinator_identity *identity);

/* Signs with the issuer's key; borrows `identity`, which must not move. */
struct flz_signer coordinator_identity_signer(const struct coordinator_identity *identity);
