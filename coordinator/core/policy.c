#include "coordinator/core/policy.h"

#include "common/base/text.h"
#include "common/base/time.h"

#include <errno.h>
#include <string.h>

#define KEY(field, low_, high_, text_)                                                             \
    {                                                                                              \
        .name = #field, .offset = offsetof(struct policy, field), .low = (low_), .high = (high_),  \
        .text = (text_)                                                                            \
    }

/* The upper bounds of ceiling, reply, inbound, growth and same owner, and the lower ones of
 * cooldown and spacing, are promises to people and providers, not tuning: no administrator can
 * pass them. */
static const struct policy_key keys[] = {
    KEY(cooldown_days, 1, 30,
        "sending days before a new first message from the same account to the same one"),
    KEY(ceiling_per_day, 1, POLICY_DAILY_CEILING, "messages an account may ever send on one day"),
    KEY(spacing_ms, 10 * FLZ_MINUTE_MS, 4 * FLZ_HOUR_MS,
        "least time between two messages of one account, replies included"),
    KEY(reply_percent, 0, 50, "chance that a message is answered"),
    KEY(inbound_percent, 50, 150, "messages an account may receive a day, of its own quota"),
    KEY(growth_percent, 1, 25,
        "most change of an account's volume from one sending day to the next"),
    KEY(same_owner_percent, 0, 20,
        "of an account's quota that may go to its own owner's accounts when no others are left"),
    KEY(arrival_deadline_ms, 5 * FLZ_MINUTE_MS, 3 * FLZ_DAY_MS,
        "after this a message found nowhere is missing"),
    KEY(action_deadline_ms, FLZ_HOUR_MS, 3 * FLZ_DAY_MS,
        "opening, rescuing and answering end this long after the message was found"),
    KEY(send_slot_ms, FLZ_MINUTE_MS, 6 * FLZ_HOUR_MS,
        "how long after its planned time a message may still go"),
    KEY(probe_age_ms_max, FLZ_HOUR_MS, FLZ_DAY_MS,
        "nobody is written to whose node has not logged in within this"),
    KEY(tidy_delay_ms, FLZ_MINUTE_MS, 7 * FLZ_DAY_MS,
        "from the last planned action to the filing of both copies"),
    KEY(find_delay_ms, FLZ_SECOND_MS, FLZ_HOUR_MS,
        "from a message's planned time to the first look for it"),
    KEY(cross_language, 0, 1, "1: accounts of different languages may write to each other"),
    KEY(provider_other_floor, 0, 100,
        "percent of an account's partners at other providers, at least, as far as there are any"),
    KEY(provider_other_ceiling, 0, 100,
        "percent of an account's partners at other providers, at most, as far as there are others"),
    KEY(domain_start, 1, 500,
        "messages that a new domain's accounts may send on its first day, all together"),
    KEY(domain_starts, 1, 100,
        "accounts of one domain that may send their first message on one day"),
    KEY(domain_inbound, 1, 1000000,
        "messages that a domain's accounts may receive on one day, all together"),
    KEY(grace_ms, FLZ_SECOND_MS, FLZ_HOUR_MS, "how long reports of due work may take"),
    KEY(health_acts, 0, 1, "0: states of health are computed and told, and change no volume"),
    KEY(health_seen_min, 10, 1000, "messages seen in 7 days before their share in Junk decides"),
    KEY(health_watch_percent, 1, 100,
        "lower bound of the share in Junk from which a sender is watched: three quarters"),
    KEY(health_throttle_percent, 1, 100, "from which it is throttled: half"),
    KEY(health_quarantine_percent, 1, 100, "from which it is quarantined: the floor, 7 days"),
    KEY(health_block_percent, 1, 100, "from which it is blocked: the floor, 30 days or more"),
    KEY(health_floor, 1, 10, "messages a day below which placement never cuts"),
};

#define KEYS_COUNT (sizeof(keys) / sizeof(keys[0]))

struct policy policy_default(void)
{
    return (struct policy){
        .cooldown_days = 5,
        .ceiling_per_day = 40,
        .spacing_ms = 10 * FLZ_MINUTE_MS,
        .reply_percent = 30,
        .inbound_percent = 150,
        .growth_percent = 25,
        .same_owner_percent = 0,
        .arrival_deadline_ms = 6 * FLZ_HOUR_MS,
        .action_deadline_ms = 72 * FLZ_HOUR_MS,
        .send_slot_ms = 45 * FLZ_MINUTE_MS,
        .probe_age_ms_max = FLZ_DAY_MS,
        .tidy_delay_ms = 30 * FLZ_MINUTE_MS,
        .find_delay_ms = 60 * FLZ_SECOND_MS,
        .cross_language = 0,
        .provider_other_floor = 20,
        .provider_other_ceiling = 80,
        .domain_start = 20,
        .domain_starts = 3,
        .domain_inbound = 5000, /* a sender of more is a bulk sender for the large providers */
        .grace_ms = 10 * FLZ_SECOND_MS,
        .health_acts = 1,
        .health_seen_min = 20,
        .health_watch_percent = 10,
        .health_throttle_percent = 15,
        .health_quarantine_percent = 20,
        .health_block_percent = 40,
        .health_floor = 5,
    };
}

/* The larger of the network value and a real floor, in network milliseconds (rounded up). */
static int64_t floor_at_rate(int64_t network_ms, int64_t real_ms, int64_t rate_milli)
{
    int64_t least = (real_ms * rate_milli + 999) / 1000;
    return network_ms < least ? least : network_ms;
}

struct policy policy_for_rate(struct policy policy, int64_t rate_milli)
{
    const struct {
        int64_t *field;
        int64_t real_ms;
    } floors[] = {
        {&policy.arrival_deadline_ms, 45 * FLZ_SECOND_MS},
        {&policy.action_deadline_ms, 60 * FLZ_SECOND_MS},
        {&policy.send_slot_ms, 8 * FLZ_SECOND_MS},
        {&policy.probe_age_ms_max, 120 * FLZ_SECOND_MS},
        {&policy.find_delay_ms, 300},
        {&policy.grace_ms, 10 * FLZ_SECOND_MS},
    };
    for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++)
        *floors[i].field = floor_at_rate(*floors[i].field, floors[i].real_ms, rate_milli);
    return policy;
}

static const struct policy_key *find_key(const char *name)
{
    for (size_t i = 0; i < KEYS_COUNT; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static int fail_unknown(const char *name, struct flz_msg *msg)
{
    const char *names[KEYS_COUNT];
    for (size_t i = 0; i < KEYS_COUNT; i++)
        names[i] = keys[i].name;

    const char *meant = flz_did_you_mean(name, names, KEYS_COUNT);
    if (meant)
        flz_msg_set(msg, "unknown policy key '%s': did you mean '%s'?", name, meant);
    else
        flz_msg_set(msg, "unknown policy key '%s'", name);
    return flz_fail(-ENOENT);
}

int policy_set(struct policy *policy, const char *name, int64_t value, struct flz_msg *msg)
{
    const struct policy_key *key = find_key(name);
    if (!key)
        return fail_unknown(name, msg);
    if (value < key->low || value > key->high) {
        flz_msg_set(msg, "%s must be between %lld and %lld, not %lld", name, (long long)key->low,
                    (long long)key->high, (long long)value);
        return flz_fail(-ERANGE);
    }
    memcpy((char *)policy + key->offset, &value, sizeof(value));
    return 0;
}

int policy_check(const struct policy *policy, struct flz_msg *msg)
{
    if (policy->find_delay_ms >= policy->arrival_deadline_ms)
        flz_msg_set(msg, "find_delay_ms must be below arrival_deadline_ms: a message would be "
                         "missing before anybody looked for it");
    else if (policy->send_slot_ms >= policy->action_deadline_ms)
        flz_msg_set(msg, "send_slot_ms must be below action_deadline_ms: a message could be sent "
                         "when the time to open it is over");
    else if (policy->arrival_deadline_ms > policy->action_deadline_ms)
        flz_msg_set(msg, "arrival_deadline_ms must not be above action_deadline_ms: a message "
                         "would be waited for that nobody may open any more");
    else if (policy->spacing_ms * (policy->ceiling_per_day - 1) >= FLZ_DAY_MS)
        flz_msg_set(msg,
                    "ceiling_per_day %lld does not fit into a day at spacing_ms %lld: at most "
                    "%lld messages do; lower ceiling_per_day first",
                    (long long)policy->ceiling_per_day, (long long)policy->spacing_ms,
                    (long long)((FLZ_DAY_MS - 1) / policy->spacing_ms + 1));
    else
        return 0;
    return flz_fail(-EINVAL);
}

const struct policy_key *policy_keys(size_t *ret_count)
{
    *ret_count = KEYS_COUNT;
    return keys;
}

int64_t policy_get(const struct policy *policy, const struct policy_key *key)
{
    int64_t value;
    memcpy(&value, (const char *)policy + key->offset, sizeof(value));
    return value;
}
