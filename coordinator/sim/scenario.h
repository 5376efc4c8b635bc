/*
 * A scenario: the network that a forecast is made for. Who is in it (in shares, from which
 * crowd.h draws accounts), how its mail providers judge (mailsim.h), what goes wrong, and which
 * policy is in force. The defaults are one network of small companies; a YAML file changes what it
 * names and leaves the rest (deploy/conf/scenario.yaml has every key).
 */
#pragma once

#include "common/base/error.h"
#include "common/sys/tz.h"
#include "coordinator/core/policy.h"
#include "proto/vocab.h"

#define SCENARIO_SHARES_MAX 32
#define SCENARIO_PROVIDERS_MAX 8
#define SCENARIO_OUTAGES_MAX 64
#define SCENARIO_NODES_MAX 1000
#define SCENARIO_NOBODY UINT32_MAX

/* One word of a share, as "Europe/Paris: 45": its part of the sum of all. */
struct scenario_share {
    char word[TZ_NAME_MAX];
    uint32_t value; /* what the word stands for: an enum, a mask; unused for texts */
    uint32_t weight;
};

struct scenario_shares {
    struct scenario_share items[SCENARIO_SHARES_MAX];
    size_t count; /* at least 1, with a sum of weights above 0 */
};

/* How a mail provider judges what comes in. A model: no real provider says how it does. */
struct scenario_provider {
    char name[FLZ_NAME_MAX];
    int64_t weight;               /* its share of domains */
    int64_t junk_unknown_percent; /* chance of Junk for a sender that it has never seen */
    int64_t junk_known_percent;   /* the same for one that it knows well */
    int64_t engagements;          /* opened messages that bring a sender two thirds of the way */
    int64_t forget_days;          /* without mail, after which it knows a sender no more */
    int64_t growth_percent;       /* of a domain's mail from one day to the next; more overshoots */
    int64_t growth_floor;         /* messages of a domain a day that never overshoot */
    int64_t block_hours;          /* how long a domain is refused that has overshot */
    int64_t rate_per_minute;      /* messages it takes from all; more are deferred. 0: no limit */
    int64_t refuse_permille;      /* messages refused for no reason told */
    int64_t lose_permille;        /* messages taken and never seen again */
};

/* Nobody reaches the provider's servers, or the node is down. */
struct scenario_outage {
    uint32_t provider; /* index, or SCENARIO_NOBODY */
    uint32_t node;     /* index, or SCENARIO_NOBODY */
    int64_t from;      /* UTC */
    int64_t until;
};

struct scenario {
    int32_t from; /* the first date; plans are made for it and the days after it */
    int64_t nodes;

    int64_t accounts_per_domain; /* on average; a domain has 1 to twice that, less 1 */
    int64_t domains_per_owner;   /* the same of an owner */
    int64_t big_owner_percent;   /* of all accounts that one owner holds, on many domains */
    int64_t big_domain_percent;  /* of all accounts that are in one domain, of many owners */

    int64_t first_day_percent; /* of all accounts that take part from the first day on */
    int64_t growth_days;       /* the others join evenly over so many days */

    int64_t login_fails_permille; /* of accounts, a day: not reachable until the next look */
    int64_t leave_permille;       /* of accounts, a day: their owner says stop */

    int start_minute; /* of everybody's hours */
    int end_minute;
    struct scenario_shares languages;
    struct scenario_shares zones;
    struct scenario_shares weeks; /* value: mask of sending days */
    struct scenario_shares intensities;
    struct scenario_shares profiles;

    struct policy policy;
    struct scenario_provider providers[SCENARIO_PROVIDERS_MAX];
    uint32_t providers_count;
    struct scenario_outage outages[SCENARIO_OUTAGES_MAX];
    size_t outages_count;
};

void scenario_default(struct scenario *ret_scenario);

/* The defaults, changed by the file. 0; -ENOENT and the like; -EINVAL with "file:line:col: …" for
 * what it says. On failure *ret_scenario is undefined. `tz` knows which zones there are. */
int scenario_load(const char *path, struct tz *tz, struct scenario *ret_scenario,
                  struct flz_msg *msg);

/* Which item of the shares a lot of [0, sum) falls to. */
uint32_t scenario_pick(const struct scenario_shares *shares, uint64_t lot);
uint32_t scenario_sum(const struct scenario_shares *shares);
