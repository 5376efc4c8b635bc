/*
 * The members: the accounts this node serves, with their sealed credentials. In memory by id and by
 * address; every change is in the journal before it is acted upon. Secrets lie sealed
 * (common/sys/seal.h) in a column family of their own and are opened into guarded memory only for
 * the moment of a login.
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/seal.h"
#include "common/sys/secret.h"
#include "node/endpoint.h"
#include "node/journal.h"
#include "proto/journal.h"

#include <stddef.h>

struct members;

/* An account. Borrowed until the table changes. A node holds thousands: what can be read from the
 * record when it is needed is not kept beside it. */
struct member {
    struct journal_member record; /* its URLs were read once: they are right */
    bool is_loopback;             /* both endpoints */
    /* Volatile facts. */
    struct flz_probe probe; /* newest; at == 0: none since the start */
    struct token *token;    /* what node/tokens.h knows of it; owned there */
};

/* Loads all from the journal. `kek` is borrowed while the table lives. 0 or negative (msg). */
int members_open(struct journal *journal, const struct seal_key *kek, struct flz_id node,
                 struct members **ret_members, struct flz_msg *msg);
struct members *members_free(struct members *members);

size_t members_count(const struct members *members);
struct member *members_at(struct members *members, size_t index); /* index < count */
struct member *members_find(struct members *members, struct flz_id account); /* NULL: none */
/* By the normal form: spellings of one address find the same. */
struct member *members_find_address(struct members *members, const struct flz_address *address);

/* Where its servers are. */
struct endpoint member_smtp(const struct member *member);
struct endpoint member_imap(const struct member *member);

/* True when every endpoint of every account is loopback (a lab's clock is then allowed). */
bool members_all_loopback(const struct members *members);

/*
 * Adds or changes one, with its secret, durably: on_durable comes when the journal has it (negative
 * r: it has not). `secret` NULL: it keeps the one it has, unless that is of another kind of login,
 * and then it has none. 0 or negative at once.
 */
int members_put(struct members *members, const struct journal_member *record,
                const struct flz_secret *secret, void (*on_durable)(int r, void *data), void *data);

/* Writes the record's present content (login failures, verdict …); nobody waits for it. */
int members_save(struct members *members, const struct member *member);
/* The same, left to the commit of what is gathered next. */
int members_gather(struct members *members, const struct member *member);

/* Opens the secret of an account into guarded memory. 0, -ENOKEY (sealed under another key),
 * -EBADMSG (damaged), -ENOENT. */
int members_secret(struct members *members, struct flz_id account, struct flz_secret *ret_secret);

/* Removes the account, its secret and its day counts; gathered, durable with the next
 * journal_sync(). 0 or -ENOENT. */
int members_remove(struct members *members, struct flz_id account);

/*
 * Gives an account another id, the one the network knows its address by. Gathered likewise. The
 * member stays where it is in memory. 0, -EEXIST (another account has that id), or negative: then
 * nothing has changed.
 */
int members_rename(struct members *members, struct flz_id account, struct flz_id other);
