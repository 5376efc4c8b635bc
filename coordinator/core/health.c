#include "coordinator/core/health.h"

#include "common/base/time.h"
#include "coordinator/core/wilson.h"

#include <string.h>

#define FEW_IN_JUNK 2
#define FEW_PERCENT 20
#define CATASTROPHE_PERCENT 80
#define PERCENT (SHARE_ONE / 100)

struct target {
    uint32_t state;
    uint32_t rule;
};

static const struct target none = {HEALTH_HEALTHY, RULE_NONE};

uint32_t health_junk_low(uint32_t junk, uint32_t seen)
{
    return wilson_interval(junk * WILSON_ONE, seen * WILSON_ONE).low;
}

static struct target by_spam(const struct health_facts *facts, const struct policy *policy)
{
    if (facts->seen < policy->health_seen_min) {
        bool few = facts->junk_recent >= FEW_IN_JUNK &&
                   (uint64_t)facts->junk_recent * 100 >= (uint64_t)facts->seen_recent * FEW_PERCENT;
        return few ? (struct target){HEALTH_WATCH, RULE_FEW_IN_JUNK} : none;
    }
    int64_t low = health_junk_low(facts->junk, facts->seen);
    if (low >= CATASTROPHE_PERCENT * PERCENT)
        return (struct target){HEALTH_BLOCKED, RULE_SPAM_CATASTROPHE};
    if (low >= policy->health_block_percent * PERCENT)
        return (struct target){HEALTH_BLOCKED, RULE_SPAM_BLOCK};
    if (low >= policy->health_quarantine_percent * PERCENT)
        return (struct target){HEALTH_QUARANTINED, RULE_SPAM_QUARANTINE};
    if (low >= policy->health_throttle_percent * PERCENT)
        return (struct target){HEALTH_THROTTLED, RULE_SPAM_THROTTLE};
    if (low >= policy->health_watch_percent * PERCENT)
        return (struct target){HEALTH_WATCH, RULE_SPAM_WATCH};
    return none;
}

static struct target target_of(const struct health_facts *facts, const struct policy *policy)
{
    if (facts->code)
        return (struct target){HEALTH_BLOCKED, RULE_PROVIDER_CODE};
    struct target target = by_spam(facts, policy);
    if (facts->complaints >= 2 && target.state <= HEALTH_QUARANTINED)
        return (struct target){HEALTH_QUARANTINED, RULE_COMPLAINTS};
    if (facts->complaints == 1 && target.state <= HEALTH_WATCH)
        return (struct target){HEALTH_WATCH, RULE_COMPLAINT};
    return target;
}

static int64_t stay_of(uint32_t state, uint32_t rule)
{
    if (rule == RULE_PROVIDER_CODE)
        return FLZ_NEVER;
    if (rule == RULE_SPAM_CATASTROPHE)
        return 90 * FLZ_DAY_MS;
    if (rule == RULE_COMPLAINT)
        return 3 * FLZ_DAY_MS;
    switch ((enum row_health_state)state) {
    case HEALTH_HEALTHY: return 0;
    case HEALTH_WATCH: return 2 * FLZ_DAY_MS;
    case HEALTH_THROTTLED: return 3 * FLZ_DAY_MS;
    case HEALTH_QUARANTINED: return 7 * FLZ_DAY_MS;
    case HEALTH_BLOCKED: return 30 * FLZ_DAY_MS;
    }
    return 0;
}

static int64_t until(int64_t now, uint32_t state, uint32_t rule)
{
    int64_t stay = stay_of(state, rule);
    return stay == FLZ_NEVER ? FLZ_NEVER : now + stay;
}

static bool is_way_back(uint32_t rule)
{
    return rule == RULE_FRESH || rule == RULE_EXPIRED || rule == RULE_CLEARED;
}

static bool is_of_placement(uint32_t rule)
{
    return rule != RULE_COMPLAINT && rule != RULE_COMPLAINTS && rule != RULE_PROVIDER_CODE;
}

static bool is_worse(const struct target *target, const struct health_state *before)
{
    if (target->state != before->state)
        return target->state > before->state;
    return target->state != HEALTH_HEALTHY &&
           (is_way_back(before->rule) || target->rule > before->rule);
}

static struct health_state enter(const struct health_state *before, struct target target,
                                 const struct health_facts *facts)
{
    return (struct health_state){
        .state = target.state,
        .rule = target.rule,
        .until = until(facts->now, target.state, target.rule),
        .window_date = before->window_date,
        .fresh_date = facts->date + 1,
        .level = before->state == HEALTH_HEALTHY ? facts->level : before->level,
    };
}

static struct health_state step_back(const struct health_state *before, uint32_t rule,
                                     const struct health_facts *facts)
{
    uint32_t state = before->state - 1;
    return (struct health_state){
        .state = state,
        .rule = rule,
        .until = until(facts->now, state, rule),
        .window_date = facts->date + 1,
        .fresh_date = facts->date + 1,
        .level = before->level,
    };
}

/* Enough newer observations, and few of them in Junk. Complaints and a provider's word are not
 * answered by placement. */
static bool is_fresh(const struct health_state *before, const struct health_facts *facts,
                     const struct policy *policy)
{
    return is_of_placement(before->rule) && facts->seen_fresh >= policy->health_seen_min &&
           (int64_t)facts->junk_fresh * 100 < facts->seen_fresh * policy->health_watch_percent;
}

bool health_decide(const struct health_state *before, const struct health_facts *facts,
                   const struct policy *policy, struct health_state *ret_after)
{
    struct target target = target_of(facts, policy);
    struct health_state after = *before;
    if (is_worse(&target, before)) {
        after = enter(before, target, facts);
    } else if (before->state == HEALTH_HEALTHY) {
        return false;
    } else if (is_fresh(before, facts, policy)) {
        after = step_back(before, RULE_FRESH, facts);
    } else if (facts->now >= before->until) {
        if (target.state == before->state && is_of_placement(target.rule))
            after.until = until(facts->now, before->state, before->rule);
        else
            after = step_back(before, RULE_EXPIRED, facts);
    } else {
        return false;
    }
    *ret_after = after;
    return true;
}

struct health_state health_cleared(const struct health_state *before, int32_t date)
{
    return (struct health_state){
        .state = HEALTH_HEALTHY,
        .rule = RULE_CLEARED,
        .window_date = date + 1,
        .fresh_date = date + 1,
        .level = before->level,
    };
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t health_cap(const struct health_state *state, bool tender, const struct policy *policy)
{
    uint32_t floor = (uint32_t)policy->health_floor;
    if (!policy->health_acts || state->state == HEALTH_HEALTHY)
        return HEALTH_NO_CAP;
    if (state->rule == RULE_COMPLAINTS || state->rule == RULE_PROVIDER_CODE)
        return 0;
    if (tender || state->rule == RULE_FEW_IN_JUNK || state->rule == RULE_COMPLAINT)
        return larger(state->level, floor);
    switch ((enum row_health_state)state->state) {
    case HEALTH_HEALTHY: break;
    case HEALTH_WATCH: return larger(state->level * 3 / 4, floor);
    case HEALTH_THROTTLED: return larger(state->level / 2, floor);
    case HEALTH_QUARANTINED:
    case HEALTH_BLOCKED: return floor;
    }
    return floor;
}

/* Microsoft: 5.1.8 bad outbound sender, 5.7.501 and 5.7.708 banned or traffic not accepted,
 * 5.7.515 authentication level not met. */
bool health_is_policy_code(const char *enhanced)
{
    static const char *const codes[] = {"5.1.8", "5.7.501", "5.7.515", "5.7.708"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(enhanced, codes[i]) == 0)
            return true;
    return false;
}
