/*
 * The content packs of this node: every *.pack of a folder, by the digest of its bytes.
 */
#pragma once

#include "common/base/error.h"
#include "common/content/content.h"
#include "proto/vocab.h"

struct packs;

/* Reads the folder (at most FLZ_PACKS_MAX packs). 0, -ENOENT (no pack at all), negative (msg). */
int packs_load(const char *dir, struct packs **ret_packs, struct flz_msg *msg);
struct packs *packs_free(struct packs *packs);

/* NULL: not here. Borrowed. */
const struct content_pack *packs_find(const struct packs *packs, struct flz_digest digest);

/* All digests; borrowed. */
size_t packs_digests(const struct packs *packs, const struct flz_digest **ret_digests);
