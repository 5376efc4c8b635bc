/*
 * Who is behind an account: address, owner, consent in words, and the attestation of its node. The
 * log knows digests only; these stand in a side table of the store, each sealed under a key of the
 * account's own. Erasing a person deletes that key: what is left, backups included, cannot be read.
 * In memory they are plain, since tasks name addresses.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/seal.h"
#include "common/sys/store.h"
#include "proto/vocab.h"

#include <stddef.h>

struct person {
    char address[FLZ_ADDRESS_MAX];
    char owner[FLZ_OWNER_MAX];
    char consent_by[FLZ_OWNER_MAX];
    struct flz_view attestation; /* Signed(ATTESTATION); owned by the table */
};

struct persons;

/* Loads the table. `kek` wraps the accounts' keys; borrowed. 0 or negative (msg). */
int persons_open(struct store *store, const struct seal_key *kek, struct persons **ret_persons,
                 struct flz_msg *msg);
struct persons *persons_free(struct persons *persons);

/* By account handle; NULL: none (or erased). Borrowed until the next change of this account. */
const struct person *persons_find(const struct persons *persons, uint32_t account);

/* Keeps what an ACCOUNT report says, in memory at once and in the batch that the report's events
 * are committed with. 0 or -ENOMEM. */
int persons_put(struct persons *persons, uint32_t account, const struct flz_account *report,
                struct store_batch *batch);

/* Erases: memory at once, the key in the batch. */
void persons_erase(struct persons *persons, uint32_t account, struct store_batch *batch);
