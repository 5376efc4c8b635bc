/*
 * Scarcity: how few can write to an account. Where one domain, or one owner, holds much of a pool,
 * only the others may write to it; what they spend among themselves is missing there in the end,
 * and its own senders find everybody else's inbound taken. So who can write to few is chosen later,
 * and who can be written to by few is chosen first.
 *
 * For a group (a domain or an owner within a language): what all others may send, over what the
 * group may receive. At one and a half times as much nothing is scarce; an account's value is that
 * of the scarcer of its two groups.
 */
#pragma once

#include "coordinator/core/seat.h"

#define SCARCITY_MAX 1000 /* nobody else can write to it: permille */

/* Sets the seats' `scarcity`, before anything is drawn. 0 or -ENOMEM; *ret_any: somebody's is
 * not 0. */
int scarcity_set(struct seats *seats, bool *ret_any);
