/*
 * Makes proofs (proof.h) of what is in the log and its archive.
 */
#pragma once

#include "coordinator/rlog/proof.h"
#include "coordinator/rlog/rlog.h"

enum {
    PROVE_E_ABSENT = 1, /* no such event is kept */
    PROVE_E_OLD = 2,    /* its segment is of version 1, whose header proves nothing */
    PROVE_E_LARGE = 3,  /* the event is larger than PROOF_EVENT_MAX */
};

struct proving {
    uint64_t event;
    const atomic_bool *stop; /* may be NULL: ends it with -ECANCELED */
};

/*
 * With headers up to the newest segment, or PROOF_HEADERS_MAX of them. 0; PROVE_E_…; -EUCLEAN (msg
 * names the damage), -EIO, -ECANCELED, -ENOMEM. *ret_proof is the caller's to end.
 */
int prove_event(struct rlog *log, const struct proving *proving, struct proof *ret_proof,
                struct flz_msg *msg);
