/*
 * Access tokens of the accounts that sign in by OAuth: kept in guarded memory until they run out,
 * fetched anew with the account's refresh token when one is wanted.
 *
 *            tokens_want          answer           durable
 *     NONE ───────────────► ASKED ─────────► STORING ───────► GOOD
 *     ▲  ▲                    │ (a refresh token comes too)     │
 *     │  └─ back-off ◄────────┤ no answer                       │
 *     └───────────────────────┼──────────── runs out, or refused by a mail server
 *                             └─ refused: the account needs a person (record.needs_auth)
 *
 *   T1 At most one request of an account is under way.
 *   T2 An access token is given out only when the refresh token that came with it is durable: what
 *      the server has replaced is never what is left after a crash.
 *   T3 Tokens run out early by their margin, measured on the boot clock from the moment at which
 *      they were asked for: no step of a wall clock matters.
 *   T4 What belongs to an older sign-in than the newest is thrown away.
 */
#pragma once

#include "common/sys/log.h"
#include "node/grant.h"
#include "node/members.h"

struct tokens;

#define TOKENS_KEPT_MAX 512 /* access tokens in memory; the one used longest ago gives way */
#define TOKENS_MARGIN_MS_MAX                                                                       \
    300000                     /* before its end it is used no more; or a quarter of its life */
#define TOKENS_BACKOFF_MS 5000 /* after a request that failed; doubles up to */
#define TOKENS_BACKOFF_MS_MAX 900000

/* Everything is borrowed while it lives. */
struct tokens_parts {
    struct flz_log *log;
    struct members *members;
    struct oauth_client *client;
    const struct grant_settings *settings;
    /* A token has come (FLZ_REASON_NONE), or why none has: FLZ_REASON_LOGIN when a person is
     * needed. From the loop. The member is borrowed. */
    void (*on_news)(struct member *member, enum flz_reason reason, const char *text, void *data);
    void *data;
};

int tokens_new(const struct tokens_parts *parts, struct tokens **ret_tokens); /* 0 or -ENOMEM */
/* Before the members, and before the journal is closed. */
struct tokens *tokens_free(struct tokens *tokens);

enum {
    TOKENS_E_WAIT = 1,   /* one is being fetched; on_news follows */
    TOKENS_E_LATER,      /* fetching failed; tried again by a later call */
    TOKENS_E_NEEDS_AUTH, /* a person has to sign in: record.needs_auth says why */
};

/* Sees to it that the account has an access token: 0, it has, or one of the above. Cheap. */
int tokens_want(struct tokens *tokens, struct member *member);

/* A copy of the access token. 0, -EAGAIN (it has run out: tokens_want() again), -ENOMEM. */
int tokens_get(struct tokens *tokens, struct member *member, struct flz_secret *ret_secret);

/* A mail server did not take it: it is used no more. */
void tokens_refused(struct tokens *tokens, struct member *member);

/*
 * A person has signed in as this account: its refresh token replaces the old one, durably, and what
 * it needed a person for is over. The grant, asked for at `asked_boot`, is taken over. on_durable
 * comes when it is done; the member may have gone by then. 0 or negative at once.
 */
int tokens_signed_in(struct tokens *tokens, struct member *member, struct grant *grant,
                     int64_t asked_boot, void (*on_durable)(int r, void *data), void *data);

/* The account goes, or was given another secret. */
void tokens_forget(struct tokens *tokens, struct member *member);

struct tokens_stats {
    uint64_t refreshed;
    uint64_t refused; /* a person is needed */
    uint64_t failed;  /* to be tried again */
};
struct tokens_stats tokens_stats_of(const struct tokens *tokens);
