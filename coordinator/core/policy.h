/*
 * The network's policy: the numbers by which the planner and the exchange decide. Defaults are the
 * published ones (mission tables, DESIGN 5). Each key can be set by an administrator within its
 * bounds; the change is an event. All integers; times in network milliseconds.
 */
#pragma once

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define POLICY_DAILY_CEILING 50 /* compiled in: no policy can pass it */

struct policy {
    int64_t cooldown_days;            /* sending days before a new first message the same way */
    int64_t ceiling_per_day;          /* absolute, per account */
    int64_t spacing_ms;               /* between two messages of one account */
    int64_t reply_percent;            /* chance of a planned next turn, 0–50 */
    int64_t inbound_percent;          /* of own quota, 150 */
    int64_t growth_percent;           /* 25: most change from one sending day to the next */
    int64_t same_owner_percent;       /* 0–20 */
    int64_t arrival_deadline_ms;      /* after which absence is `missing` */
    int64_t action_deadline_ms;       /* OPEN, UNSPAM, REPLY end this long after the find (72 h) */
    int64_t send_slot_ms;             /* how long after its planned time a message may still go */
    int64_t probe_age_ms_max;         /* a recipient's node must have logged in within this */
    int64_t tidy_delay_ms;            /* after the last planned action */
    int64_t find_delay_ms;            /* first look after the send's planned time */
    int64_t cross_language;           /* 0: same language only */
    int64_t provider_other_floor;     /* percent of partners at other providers, as far as */
    int64_t provider_other_ceiling;   /* the pool allows */
    int64_t domain_start;             /* messages a new domain may send on its first day: 20 */
    int64_t domain_starts;            /* accounts of a domain that begin on one day: 3 */
    int64_t domain_inbound;           /* messages that a domain may receive on one day: 5000 */
    int64_t grace_ms;                 /* how long reports of due work may take: 10 s real */
    int64_t health_acts;              /* 0: states of health are told, and change no volume */
    int64_t health_seen_min;          /* observations below which only `few-in-junk` decides */
    int64_t health_watch_percent;     /* lower bounds of the share in Junk; health.h */
    int64_t health_throttle_percent;
    int64_t health_quarantine_percent;
    int64_t health_block_percent;
    int64_t health_floor;             /* messages a day that placement never cuts below */
};

/* The defaults for network time at rate 1. */
struct policy policy_default(void);

/*
 * The same for a lab whose network time runs `rate_milli / 1000` times as fast: deadlines, looks
 * and ages are at least their real floors (DESIGN 9) expressed in network time.
 */
struct policy policy_for_rate(struct policy policy, int64_t rate_milli);

/* Sets one key by name (policy_keys). 0; -ENOENT (msg says which was meant) or -ERANGE (msg says
 * the bounds); on failure the policy is unchanged. `msg` may be NULL. */
int policy_set(struct policy *policy, const char *key, int64_t value, struct flz_msg *msg);

/* Whether the values fit together: 0, or -EINVAL with msg saying which two contradict one another,
 * and what to set first. Each key's own bounds are policy_set()'s. */
int policy_check(const struct policy *policy, struct flz_msg *msg);

/* The keys, for listing: name, where the value stands, bounds (inclusive) and one sentence. */
struct policy_key {
    const char *name; /* the field's name */
    size_t offset;    /* of an int64_t within struct policy */
    int64_t low;
    int64_t high;
    const char *text;
};
/* All keys in the order of the struct; static. */
const struct policy_key *policy_keys(size_t *ret_count);

/* The value of `key`, one of policy_keys(), in `policy`. */
int64_t policy_get(const struct policy *policy, const struct policy_key *key);
