/*
 * The domain's own ramp: what all of a domain's accounts may send on a day together. Receivers
 * judge a domain as well as an address; ten addresses of a new domain that each begin softly are
 * not a soft beginning.
 *
 *  D1  a domain's day: at most domain_start messages, or its level and growth_percent of it, at
 *      least one, more; whichever is larger. Its level is what its accounts came to send on their
 *      latest day, within a week, and what their owners declared to send besides; these send that
 *      of it themselves. What they declare never takes from domain_start: no account is put below
 *      its band for it.
 *  D2  at most domain_starts of its accounts send their first message on one day
 *  D3  it holds growth back and nothing else: an account that has sent before keeps the level it
 *      has reached, and an answer that is promised is given, though it be an account's first
 *      message. Who has not sent waits, with a quota of 0, which moves no ramp.
 *  D4  what all of a domain's accounts receive on a day, from whomever, is domain_inbound messages
 *      at most; what is promised already stands
 */
#pragma once

#include "coordinator/core/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long an account's level counts as its domain's, in days. */
#define DOMAIN_LEVEL_DAYS 7

/* What a domain has come to, and what is promised for the day already (by other units). */
struct domain_level {
    uint64_t sent;     /* sum of its accounts' levels */
    uint64_t declared; /* messages a day of its owners' own */
    uint64_t planned;  /* quotas of the day that stand */
    uint32_t starts;   /* accounts among these that start on it */
    uint32_t waiting;  /* accounts that were not let begin */
};

/* An account whose quota of the day is to be set. */
struct domain_share {
    uint32_t domain;   /* index into the levels */
    uint32_t level;    /* its own, which it keeps; 0: it has not sent yet */
    uint32_t promised; /* answers planned earlier for the day, which stand */
    uint32_t quota;    /* what its own ramp and pool allow, at least what is promised */
    uint32_t given;    /* of that, what its domain leaves it: set by domain_divide() */
    uint32_t waits;    /* likewise: days until its turn at the earliest; 0: nothing was withheld */
};

/* Messages that the domain may send on the day, all accounts together (D1). */
uint64_t domain_limit(const struct domain_level *level, const struct policy *policy);

/* Divides each domain's day among the shares, in their order, and adds to the levels what was
 * given: first levels and promises, then growth, then new beginnings. */
void domain_divide(struct domain_share *shares, size_t count, struct domain_level *levels,
                   const struct policy *policy);

/* An account that may be written to on a day. */
struct domain_mailbox {
    uint32_t domain; /* index into the sums */
    uint32_t room;   /* messages it may still receive: lowered by domain_receive() */
};

/* What a domain receives on a day. */
struct domain_inbound {
    uint64_t taken; /* promised to its accounts */
    uint64_t room;  /* sum of their rooms: set by domain_receive() */
    uint64_t given; /* scratch of domain_receive() */
};

/* Lowers the rooms of each domain that may not receive as much (D4), each in proportion. What
 * rounding leaves falls on others with another `turn`. */
void domain_receive(struct domain_mailbox *mailboxes, size_t count, struct domain_inbound *sums,
                    uint32_t turn, const struct policy *policy);
