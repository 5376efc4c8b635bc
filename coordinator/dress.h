/*
 * Dressing: turns an order of the core (handles and times) into a task of the protocol (addresses,
 * Message-IDs, the mail header's signature, the recipient's attestation).
 */
#pragma once

#include "common/base/arena.h"
#include "coordinator/core/coord.h"
#include "coordinator/identity.h"
#include "coordinator/persons.h"

struct dresser {
    const struct coord *core;
    const struct persons *persons;
    const struct coordinator_identity *identity;
    /* The certificate of a node, Signed(NODE); a null view when there is none. */
    struct flz_view (*on_certificate)(uint32_t node, void *data);
    void *data;
};

/*
 * Fills *ret_task; its arrays live in `arena`. `ret_certificate` is the signer's certificate that
 * must go with it (null view: none). 0; -ENOENT: the exchange has ended or a person was erased, the
 * order is void; negative.
 */
int dress_task(const struct dresser *dresser, const struct coord_order *order,
               struct flz_arena *arena, struct flz_task *ret_task,
               struct flz_view *ret_certificate);
