/*
 * An answer that was dear to make, kept to be given again. Some documents look at all accounts, on
 * the loop; what is kept is given until it is KEEP_FACTOR times as old as its making took, so that
 * askers, however many, take no more than that part of the loop's time. Cheap answers are never
 * kept.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define KEEP_FACTOR 20
#define KEEP_FROM_MS 5 /* a making that took less is cheap */

struct keep {
    struct flz_buf text; /* owned */
    int64_t until;       /* boot time ms */
};

#define KEEP_NULL ((struct keep){.text = FLZ_BUF_NULL})

/* Appends what is kept to `body`. False: nothing is, or it is too old. */
bool keep_get(const struct keep *keep, int64_t now_boot, struct flz_buf *body);

/* Keeps a copy of an answer that was made from `began_boot` to `ended_boot`, in the place of the
 * one before. A refused allocation keeps nothing. */
void keep_put(struct keep *keep, struct flz_view answer, int64_t began_boot, int64_t ended_boot);

void keep_deinit(struct keep *keep);
