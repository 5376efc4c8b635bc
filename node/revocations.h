/*
 * The nodes that were cut off for good, each by an administrator's signature (PROTOCOL.md
 * "Revocations"). The list only grows: no coordinator can make an entry or take one back. Kept in
 * the journal's meta family; the log's numbering is remembered for one log generation.
 */
#pragma once

#include "common/base/error.h"
#include "node/journal.h"
#include "proto/cert.h"

#include <stdbool.h>

struct revocations;

/* Reads what the journal has. `journal` and `trust` are borrowed. 0 or negative (msg). */
int revocations_open(struct journal *journal, const struct flz_trust *trust,
                     struct revocations **ret_revocations, struct flz_msg *msg);
struct revocations *revocations_free(struct revocations *revocations);

/* How many of this log generation's revocations are known, from the first on. */
uint64_t revocations_version(const struct revocations *revocations);

/* The log's generation is another one: its numbers count from the first. Nothing is forgotten. */
void revocations_restart(struct revocations *revocations);

/*
 * Takes the numbers from + 1 … of this generation. What is known already is passed over, an empty
 * one (signed by nobody) is counted and believed by nobody. All or none: 0 and gathered for the
 * journal; REVOCATIONS_E_GAP when earlier ones are lacking; negative (msg) when one does not
 * verify or there are more than FLZ_REVOCATIONS_MAX.
 */
enum { REVOCATIONS_E_GAP = 1 };
int revocations_take(struct revocations *revocations, const struct flz_revocations *frame,
                     struct flz_msg *msg);

bool revocations_has(const struct revocations *revocations, struct flz_id node);
