/* Pauses and the policy: what an administrator sets. */
#include "coordinator/core/state.h"

#include "common/base/time.h"

#include <stdio.h>
#include <string.h>

/* The handle + 1 of the pause that holds the account, the widest first; 0: none. */
uint32_t pause_of_account(const struct coord *core, const struct account_state *account)
{
    const struct row_account *row = &account->row;
    if (core->network_paused)
        return core->network_paused;
    if (row->state == ACCOUNT_FORGOTTEN)
        return account->paused;
    if (core->nodes[row->node].paused)
        return core->nodes[row->node].paused;
    if (core->names[NAME_PROVIDER].items[row->provider].paused)
        return core->names[NAME_PROVIDER].items[row->provider].paused;
    if (core->names[NAME_DOMAIN].items[row->domain].paused)
        return core->names[NAME_DOMAIN].items[row->domain].paused;
    return account->paused;
}

static uint32_t subject_of(const struct coord *core, const struct flz_pause *target)
{
    switch (target->scope) {
    case FLZ_SCOPE_NETWORK: return 0;
    case FLZ_SCOPE_NODE: return state_find_node_name(core, target->name);
    case FLZ_SCOPE_ACCOUNT: return coord_find_account(core, target->account);
    case FLZ_SCOPE_DOMAIN: return state_find_text(core, NAME_DOMAIN, target->name);
    case FLZ_SCOPE_PROVIDER: return state_find_text(core, NAME_PROVIDER, target->name);
    default: return COORD_NONE;
    }
}

static const struct pause_state *find(const struct coord *core, const struct flz_pause *target,
                                      uint32_t subject)
{
    for (size_t i = 0; i < core->pauses_count; i++)
        if (core->pauses[i].live && core->pauses[i].row.target.scope == target->scope &&
            core->pauses[i].row.subject == subject)
            return &core->pauses[i];
    return NULL;
}

static int resume(struct coord *core, uint32_t pause, const char *by)
{
    struct event event = {.type = EVENT_RESUMED, .resumed = {.pause = pause}};
    memcpy(event.resumed.by, by, sizeof event.resumed.by);
    return coord_emit(core, event);
}

static int no_target(struct coord_update *update, const struct flz_pause *target)
{
    update->refused = true;
    flz_msg_set(&update->message, "no such %s%s%s",
                target->scope == FLZ_SCOPE_NODE       ? "node: "
                : target->scope == FLZ_SCOPE_DOMAIN   ? "domain: "
                : target->scope == FLZ_SCOPE_PROVIDER ? "provider: "
                : target->scope == FLZ_SCOPE_ACCOUNT  ? "account"
                                                      : "target",
                target->name, "");
    return 0;
}

int pause_set(struct coord *core, const struct coord_command *command, struct coord_update *update)
{
    const struct flz_pause *target = &command->pause.target;
    uint32_t subject = subject_of(core, target);
    if (subject == COORD_NONE)
        return no_target(update, target);
    if (command->pause.until <= core->clock) {
        update->refused = true;
        flz_msg_set(&update->message, "the pause would end before it begins");
        return 0;
    }
    /* A second pause of the same target takes the first one's place. */
    const struct pause_state *old = find(core, target, subject);
    int r = old ? resume(core, old->row.handle, command->pause.by) : 0;
    if (r < 0)
        return r;
    struct event event = {
        .type = EVENT_PAUSED,
        .paused = {.pause = core->network.pauses,
                   .target = *target,
                   .subject = subject,
                   .until = command->pause.until},
    };
    memcpy(event.paused.reason, command->pause.reason, sizeof event.paused.reason);
    memcpy(event.paused.by, command->pause.by, sizeof event.paused.by);
    update->handle = event.paused.pause;
    return coord_emit(core, event);
}

/* Is nobody writing to it since a machine answered? Resuming the account ends that too. */
static bool answers(const struct coord *core, const struct flz_pause *target, uint32_t subject)
{
    return target->scope == FLZ_SCOPE_ACCOUNT &&
           core->accounts[subject].row.answers_until > core->clock;
}

static int open_inbound(struct coord *core, uint32_t account, const char *by)
{
    struct event event = {.type = EVENT_OPENED, .opened = {.account = account}};
    memcpy(event.opened.by, by, sizeof event.opened.by);
    int r = coord_emit(core, event);
    return r < 0 ? r : exchange_advance_all(core, account);
}

int pause_end(struct coord *core, const struct coord_command *command, struct coord_update *update)
{
    const struct flz_pause *target = &command->pause.target;
    uint32_t subject = subject_of(core, target);
    if (subject == COORD_NONE)
        return no_target(update, target);
    const struct pause_state *pause = find(core, target, subject);
    if (!pause && answers(core, target, subject))
        return open_inbound(core, subject, command->pause.by);
    if (!pause) {
        update->refused = true;
        flz_msg_set(&update->message, "it is not paused");
        return 0;
    }
    return resume(core, pause->row.handle, command->pause.by);
}

int pause_stop_account(struct coord *core, uint32_t account, const char *reason, const char *by)
{
    struct event event = {
        .type = EVENT_PAUSED,
        .paused = {.pause = core->network.pauses,
                   .target = {.scope = FLZ_SCOPE_ACCOUNT,
                              .account = core->accounts[account].row.id},
                   .subject = account,
                   .until = FLZ_NEVER},
    };
    if (find(core, &event.paused.target, account))
        return 0;
    (void)snprintf(event.paused.reason, sizeof event.paused.reason, "%s", reason);
    (void)snprintf(event.paused.by, sizeof event.paused.by, "%s", by);
    return coord_emit(core, event);
}

int pause_expire(struct coord *core)
{
    static const char nobody[FLZ_NAME_MAX];
    for (size_t i = 0; i < core->pauses_count; i++) {
        const struct pause_state *pause = &core->pauses[i];
        if (!pause->live || pause->row.until > core->clock)
            continue;
        int r = resume(core, pause->row.handle, nobody);
        if (r < 0)
            return r;
    }
    return 0;
}

int64_t pause_next(const struct coord *core)
{
    int64_t next = FLZ_NEVER;
    for (size_t i = 0; i < core->pauses_count; i++)
        if (core->pauses[i].live && core->pauses[i].row.until < next)
            next = core->pauses[i].row.until;
    return next;
}

/* A node hears of the pauses that hold accounts of its own, not of its neighbours'. */
static bool touches(const struct coord *core, const struct row_pause *row, uint32_t node)
{
    switch (row->target.scope) {
    case FLZ_SCOPE_NETWORK: return true;
    case FLZ_SCOPE_NODE: return row->subject == node;
    case FLZ_SCOPE_ACCOUNT: return core->accounts[row->subject].row.node == node;
    case FLZ_SCOPE_DOMAIN: return state_presence(core, NAME_DOMAIN, row->subject, node) > 0;
    case FLZ_SCOPE_PROVIDER: return state_presence(core, NAME_PROVIDER, row->subject, node) > 0;
    default: return false;
    }
}

size_t coord_node_pauses(const struct coord *core, uint32_t node, int64_t now,
                         struct flz_pause *ret_pauses, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < core->pauses_count && n < max; i++) {
        const struct row_pause *row = &core->pauses[i].row;
        if (core->pauses[i].live && row->until > now && touches(core, row, node))
            ret_pauses[n++] = row->target;
    }
    return n;
}

#define SUPPRESSED_TOLD_MS (8 * FLZ_DAY_MS) /* the longest slot of an order */

size_t coord_suppressed_accounts(const struct coord *core, struct flz_id *ret_accounts, size_t max)
{
    size_t n = 0;
    for (size_t i = core->suppressions_count; i-- > 0 && n < max;) {
        const struct suppression_state *s = &core->suppressions[i];
        if (s->row.at < core->clock - SUPPRESSED_TOLD_MS)
            break; /* they stand in the order of their time */
        uint32_t account = s->live ? coord_find_address(core, s->row.address) : COORD_NONE;
        if (account != COORD_NONE)
            ret_accounts[n++] = core->accounts[account].row.id;
    }
    return n;
}

int pause_policy(struct coord *core, const struct coord_command *command,
                 struct coord_update *update)
{
    struct policy policy = core->policy;
    int r = policy_set(&policy, command->policy.key, command->policy.value, &update->message);
    if (r == 0)
        r = policy_check(&policy, &update->message);
    if (r < 0) {
        update->refused = true;
        return 0;
    }
    struct event event = {.type = EVENT_SETTING, .setting = {.value = command->policy.value}};
    memcpy(event.setting.key, command->policy.key, sizeof event.setting.key);
    memcpy(event.setting.by, command->policy.by, sizeof event.setting.by);
    return coord_emit(core, event);
}
