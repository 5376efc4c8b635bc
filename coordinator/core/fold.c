/*
 * The folding door: one event into memory. It never decides and never looks at volatile facts; a
 * log that does not fit the state is refused with -EPROTO before anything that matters is changed.
 */
#include "coordinator/core/plan.h"
#include "coordinator/core/state.h"

#include "common/base/hash.h"
#include "common/base/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNFIT flz_fail(-EPROTO)

static int touch_node(struct coord *core, struct node_state *node)
{
    return state_touch(core, ROW_NODE, node->row.handle, &node->dirty);
}

static int touch_account(struct coord *core, struct account_state *account)
{
    return state_touch(core, ROW_ACCOUNT, account->row.handle, &account->dirty);
}

static int touch_live(struct coord *core, struct live *x)
{
    return state_touch(core, ROW_EXCHANGE, x->row.handle, &x->dirty);
}

/* What an event lists, for a row that outlives it: owned by the row; NULL for nothing. */
static int copy_items(const void *items, size_t bytes, void **ret_copy)
{
    void *copy = NULL;
    if (bytes > 0) {
        copy = malloc(bytes);
        if (!copy)
            return flz_fail(-ENOMEM);
        memcpy(copy, items, bytes);
    }
    *ret_copy = copy;
    return 0;
}

/* ---- Office, invites, nodes ---- */

int fold_forgotten_set(struct coord *core, const struct row_forgotten *forgotten, size_t count)
{
    void *copy = NULL;
    if (count > FLZ_FORGOTTEN_MAX)
        return UNFIT;
    int r = copy_items(forgotten, count * sizeof *forgotten, &copy);
    if (r < 0)
        return r;
    free((void *)(uintptr_t)core->network.forgotten);
    core->network.forgotten = copy;
    core->network.forgotten_count = count;
    return 0;
}

/* The generation in force until now went on behind its backup, unknown to this log. */
static int forget_generation(struct coord *core, int64_t at)
{
    struct row_forgotten list[FLZ_FORGOTTEN_MAX];
    size_t n = core->network.forgotten_count;
    size_t drop = n == FLZ_FORGOTTEN_MAX;
    if (n > drop)
        memcpy(list, core->network.forgotten + drop, (n - drop) * sizeof *list);
    list[n - drop] = (struct row_forgotten){
        .generation = core->network.generation,
        .from = core->network.now,
        .restored_at = at,
        .until = at + STATE_RECOVERY_MS,
    };
    return fold_forgotten_set(core, list, n - drop + 1);
}

static int fold_lead(struct coord *core, const struct event *event)
{
    const struct event_lead *e = &event->lead;
    if (e->epoch <= core->network.epoch)
        return UNFIT;
    if (!flz_id_is_null(core->network.generation) &&
        !flz_id_equal(core->network.generation, e->generation)) {
        int r = forget_generation(core, event->at);
        if (r < 0)
            return r;
    }
    core->network.epoch = e->epoch;
    core->network.generation = e->generation;
    core->network.quiet_until = e->quiet_until;
    return 0;
}

static int fold_invited(struct coord *core, const struct event *event)
{
    const struct event_invited *e = &event->invited;
    if (e->invite != core->invites_count)
        return UNFIT;
    int r = flz_grow((void **)&core->invites, &core->invites_capacity, core->invites_count + 1,
                     sizeof *core->invites);
    if (r == 0)
        r = flz_map_set(&core->invites_by_token, state_digest_key(e->token, 0), e->invite);
    if (r < 0)
        return r;
    struct invite_state *invite = &core->invites[core->invites_count++];
    *invite = (struct invite_state){.row = {.handle = e->invite,
                                            .state = INVITE_OPEN,
                                            .node = e->node,
                                            .token = e->token,
                                            .not_after = e->not_after,
                                            .at = event->at}};
    memcpy(invite->row.name, e->name, sizeof invite->row.name);
    return state_touch(core, ROW_INVITE, e->invite, &invite->dirty);
}

static int node_index(struct coord *core, const struct row_node *row)
{
    struct flz_id curve;
    memcpy(curve.b, row->curve_key.b, sizeof curve.b);
    int r = flz_map_set(&core->nodes_by_id, row->id, row->handle);
    return r < 0 ? r : flz_map_set(&core->nodes_by_curve, curve, row->handle);
}

int fold_node_add(struct coord *core, const struct row_node *row)
{
    if (row->handle != core->nodes_count)
        return UNFIT;
    int r = flz_grow((void **)&core->nodes, &core->nodes_capacity, core->nodes_count + 1,
                     sizeof *core->nodes);
    if (r == 0)
        r = node_index(core, row);
    if (r < 0)
        return r;
    core->nodes[core->nodes_count++] =
        (struct node_state){.row = *row, .waiting = FLZ_HEAP_NULL, .held = FLZ_MAP_NULL};
    return 0;
}

static int fold_joined(struct coord *core, const struct event *event)
{
    const struct event_joined *e = &event->joined;
    if (e->invite >= core->invites_count || core->invites[e->invite].row.state != INVITE_OPEN)
        return UNFIT;
    struct invite_state *invite = &core->invites[e->invite];
    struct row_node row = {
        .handle = e->node,
        .state = NODE_JOINED,
        .id = invite->row.node,
        .token = invite->row.token,
        .certificate = e->certificate,
        .sign_key = e->sign_key,
        .curve_key = e->curve_key,
        .joined_at = event->at,
    };
    memcpy(row.name, invite->row.name, sizeof row.name);
    int r = fold_node_add(core, &row);
    if (r < 0)
        return r;
    invite->row.state = INVITE_USED;
    r = state_touch(core, ROW_INVITE, e->invite, &invite->dirty);
    return r < 0 ? r : touch_node(core, &core->nodes[e->node]);
}

int fold_node_packs(struct node_state *node, const struct flz_digest *packs, size_t count)
{
    void *copy = NULL;
    if (count > FLZ_PACKS_MAX)
        return UNFIT;
    int r = copy_items(packs, count * sizeof *packs, &copy);
    if (r < 0)
        return r;
    free((void *)(uintptr_t)node->row.packs);
    node->row.packs = copy;
    node->row.packs_count = count;
    return 0;
}

int fold_node_revocation(struct node_state *node, struct flz_view revocation)
{
    void *copy = NULL;
    if (revocation.len > FLZ_REVOCATION_BYTES_MAX)
        return UNFIT;
    int r = copy_items(revocation.data, revocation.len, &copy);
    if (r < 0)
        return r;
    free((void *)(uintptr_t)node->row.revocation.data);
    node->row.revocation = (struct flz_view){.data = copy, .len = revocation.len};
    return 0;
}

static int fold_hello(struct coord *core, const struct event *event)
{
    const struct event_hello *e = &event->hello;
    struct node_state *node = state_node(core, e->node);
    if (!node || node->row.state != NODE_JOINED)
        return UNFIT;
    int r = fold_node_packs(node, e->packs, e->packs_count);
    if (r < 0)
        return r;
    node->row.incarnation = e->incarnation;
    node->row.report_seq = e->report_seq;
    node->row.losses += e->lost;
    node->row.seen_at = event->at;
    return touch_node(core, node);
}

static int fold_revoked(struct coord *core, const struct event *event)
{
    struct node_state *node = state_node(core, event->revoked.node);
    if (!node || node->row.state != NODE_JOINED)
        return UNFIT;
    int r = fold_node_revocation(node, event->revoked.revocation);
    if (r < 0)
        return r;
    node->row.state = NODE_REVOKED;
    node->row.revoked_at = event->at;
    node->row.revocation_version = ++core->network.revocation_version;
    return touch_node(core, node);
}

/* The report that this event takes: dense, so that each is taken once. */
static int fold_report_seq(struct coord *core, const struct event *event)
{
    if (event->report_seq == 0)
        return 0;
    struct node_state *node = state_node(core, event->report_node);
    if (!node || event->report_seq != node->row.report_seq + 1)
        return UNFIT;
    node->row.report_seq = event->report_seq;
    node->row.seen_at = event->at;
    return touch_node(core, node);
}

/* ---- Accounts ---- */

static int name_add(struct coord *core, const struct row_name *row)
{
    struct name_list *list = &core->names[row->kind];
    if (row->handle < list->count)
        return 0;
    if (row->handle != list->count)
        return UNFIT;
    int r = flz_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items);
    if (r == 0)
        r = flz_map_set(&core->names_by_digest, state_digest_key(row->digest, row->kind),
                        row->handle);
    if (r < 0)
        return r;
    list->items[list->count++] = (struct name_state){.row = *row};
    return 0;
}

int fold_name_add(struct coord *core, const struct row_name *row)
{
    return row->kind < NAME_DOMAIN || row->kind > NAME_PROVIDER ? UNFIT : name_add(core, row);
}

static int fold_names(struct coord *core, const struct event_account *e)
{
    struct row_name rows[] = {
        {.kind = NAME_DOMAIN, .handle = e->domain, .digest = e->domain_digest},
        {.kind = NAME_OWNER, .handle = e->owner, .digest = e->owner_digest},
        {.kind = NAME_PROVIDER,
         .handle = e->provider,
         .digest = flz_digest_of(flz_view_str(e->provider_name))},
    };
    memcpy(rows[0].text, e->domain_name, sizeof e->domain_name);
    memcpy(rows[2].text, e->provider_name, sizeof e->provider_name);
    for (size_t i = 0; i < 3; i++) {
        size_t before = core->names[rows[i].kind].count;
        int r = name_add(core, &rows[i]);
        if (r == 0 && core->names[rows[i].kind].count > before)
            r = state_touch(core, ROW_NAME, rows[i].handle << 2 | rows[i].kind,
                            &core->names[rows[i].kind].items[rows[i].handle].dirty);
        if (r < 0)
            return r;
    }
    return 0;
}

int fold_account_add(struct coord *core, const struct row_account *row)
{
    if (row->handle != core->accounts_count)
        return UNFIT;
    int r = flz_grow((void **)&core->accounts, &core->accounts_capacity, core->accounts_count + 1,
                     sizeof *core->accounts);
    if (r == 0)
        r = flz_map_set(&core->accounts_by_id, row->id, row->handle);
    if (r == 0 && row->state != ACCOUNT_FORGOTTEN)
        r = flz_map_set(&core->accounts_by_address, state_digest_key(row->address, 0), row->handle);
    if (r < 0)
        return r;
    core->accounts[core->accounts_count++] =
        (struct account_state){.row = *row, .contacts = COORD_NONE};
    return 0;
}

/* What a registration says of the account, over what was known of it. */
static void account_set(struct row_account *row, const struct event_account *e)
{
    /* A new profile begins its own curve, climbed from the level reached (ramp.h). */
    if (row->profile != e->profile)
        row->ramp_day = 0;
    row->node = e->node;
    row->generation = e->generation;
    row->domain = e->domain;
    row->owner = e->owner;
    row->provider = e->provider;
    memcpy(row->zone, e->zone, sizeof row->zone);
    row->start_minute = e->start_minute;
    row->end_minute = e->end_minute;
    row->days = e->days;
    row->intensity = e->intensity;
    row->target = e->target;
    row->profile = e->profile;
    memcpy(row->language, e->language, sizeof row->language);
    row->volume = e->volume;
    row->days_off = e->days_off;
    row->consent_given = e->consent_given;
    row->consent_until = e->consent_until;
    row->consent_actions = e->consent_actions;
    row->begins_at = e->begins_at;
}

/* Trouble lasts from its first failed login to the next good one. */
static void account_trouble(struct row_account *row, const struct event_probe *e)
{
    row->tries = e->tries;
    row->next_try_at = e->login_ok ? 0 : e->next_at;
    memset(row->trouble, 0, sizeof row->trouble);
    if (e->login_ok) {
        row->trouble_at = 0;
        return;
    }
    if (!row->trouble_at)
        row->trouble_at = e->at;
    memcpy(row->trouble, e->text, sizeof row->trouble);
}

static void account_bind(struct row_account *row, int64_t at)
{
    row->state = ACCOUNT_LIVE;
    row->bound_at = at;
    row->consent_ended = 0;
    row->probe_at = 0;
    row->login_ok = false;
    row->mx_changed = false;
    account_trouble(row, &(struct event_probe){.login_ok = true});
}

static int fold_account(struct coord *core, const struct event *event)
{
    const struct event_account *e = &event->account;
    if (!state_node(core, e->node) || e->account > core->accounts_count)
        return UNFIT;
    int r = fold_names(core, e);
    if (r < 0)
        return r;
    if (e->account == core->accounts_count) {
        struct row_account row = {
            .handle = e->account,
            .id = e->id,
            .address = e->address,
            .profile = e->profile,
            .registered_at = event->at,
        };
        r = fold_account_add(core, &row);
        if (r < 0)
            return r;
    }

    struct account_state *account = &core->accounts[e->account];
    account->changes++;
    bool bound = account->row.state == ACCOUNT_LIVE;
    if (account->row.state == ACCOUNT_FORGOTTEN) {
        account->row.address = e->address;
        account->row.profile = e->profile;
        account->row.registered_at = event->at;
        r = flz_map_set(&core->accounts_by_address, state_digest_key(e->address, 0), e->account);
        if (r < 0)
            return r;
    }
    if (bound)
        r = state_presence_add(core, &account->row, -1);
    if (r < 0)
        return r;
    bool binds = !bound || account->row.generation != e->generation;
    account_set(&account->row, e);
    if (binds)
        account_bind(&account->row, event->at);
    else if (account->row.consent_ended && e->consent_given > account->row.consent_ended)
        account->row.consent_ended = 0;
    r = state_presence_add(core, &account->row, 1);
    return r < 0 ? r : touch_account(core, account);
}

static int fold_probe(struct coord *core, const struct event_probe *e)
{
    struct account_state *account = state_account(core, e->account);
    if (!account)
        return UNFIT;
    struct row_account *row = &account->row;
    row->probe_at = e->at;
    row->login_ok = e->login_ok;
    row->probe_reason = e->reason;
    row->quota_permille = e->quota_permille;
    row->mx = e->mx;
    row->mx_changed = e->mx_changed;
    row->opt_out = e->opt_out;
    row->denied = e->denied;
    account_trouble(row, e);
    return touch_account(core, account);
}

static int fold_leaving(struct coord *core, uint32_t handle, enum row_account_state state)
{
    struct account_state *account = state_account(core, handle);
    if (!account)
        return UNFIT;
    int r = account->row.state == ACCOUNT_LIVE ? state_presence_add(core, &account->row, -1) : 0;
    account->row.state = state;
    return r < 0 ? r : touch_account(core, account);
}

static int fold_consent_ended(struct coord *core, const struct event *event)
{
    struct account_state *account = state_account(core, event->consent_ended.account);
    if (!account)
        return UNFIT;
    account->row.consent_ended = event->at;
    return touch_account(core, account);
}

static int fold_day_closed(struct coord *core, const struct event_day_closed *e)
{
    struct account_state *account = state_account(core, e->account);
    if (!account)
        return UNFIT;
    struct day_state *day = state_day(core, e->account, e->date);
    if (!day)
        return flz_fail(-ENOMEM);
    day->row.closed = true;
    day->row.met = e->met;
    struct row_account *row = &account->row;
    row->ramp_day = e->ramp_day;
    row->ramp_reference = e->ramp_reference;
    row->ramp_last_quota = e->ramp_last_quota;
    row->ramp_last_date = e->ramp_last_date;
    row->ramp_sent_date = e->ramp_sent_date;
    row->closed_date = e->date;
    int r = touch_account(core, account);
    return r < 0 ? r : state_touch(core, ROW_DAY, (uint32_t)(day - core->days), &day->dirty);
}

/* ---- Pauses, suppressions, settings ---- */

/* Where the subject of a target remembers its pause. */
static uint32_t *paused_of(struct coord *core, const struct flz_pause *target, uint32_t subject)
{
    struct node_state *node = state_node(core, subject);
    struct account_state *account = state_account(core, subject);
    struct name_state *domain = state_name(core, NAME_DOMAIN, subject);
    struct name_state *provider = state_name(core, NAME_PROVIDER, subject);
    switch (target->scope) {
    case FLZ_SCOPE_NETWORK: return &core->network_paused;
    case FLZ_SCOPE_NODE: return node ? &node->paused : NULL;
    case FLZ_SCOPE_ACCOUNT: return account ? &account->paused : NULL;
    case FLZ_SCOPE_DOMAIN: return domain ? &domain->paused : NULL;
    case FLZ_SCOPE_PROVIDER: return provider ? &provider->paused : NULL;
    default: return NULL;
    }
}

int fold_pause_add(struct coord *core, const struct row_pause *row)
{
    uint32_t *paused = paused_of(core, &row->target, row->subject);
    if (!paused || *paused)
        return UNFIT;
    int r = flz_grow((void **)&core->pauses, &core->pauses_capacity, core->pauses_count + 1,
                     sizeof *core->pauses);
    if (r < 0)
        return r;
    core->pauses[core->pauses_count++] = (struct pause_state){.row = *row, .live = true};
    *paused = row->handle + 1;
    return 0;
}

static int fold_paused(struct coord *core, const struct event *event)
{
    const struct event_paused *e = &event->paused;
    if (e->pause != core->network.pauses)
        return UNFIT;
    struct row_pause row = {
        .handle = e->pause,
        .target = e->target,
        .subject = e->subject,
        .at = event->at,
        .until = e->until,
    };
    memcpy(row.reason, e->reason, sizeof row.reason);
    memcpy(row.by, e->by, sizeof row.by);
    int r = fold_pause_add(core, &row);
    if (r < 0)
        return r;
    core->network.pauses++;
    size_t i = core->pauses_count - 1;
    return state_touch(core, ROW_PAUSE, (uint32_t)i, &core->pauses[i].dirty);
}

static int fold_resumed(struct coord *core, const struct event_resumed *e)
{
    struct pause_state *pause = state_pause(core, e->pause);
    if (!pause)
        return UNFIT;
    *paused_of(core, &pause->row.target, pause->row.subject) = 0;
    pause->live = false;
    return state_touch(core, ROW_PAUSE, (uint32_t)(pause - core->pauses), &pause->dirty);
}

int fold_suppression_add(struct coord *core, const struct row_suppression *row)
{
    struct flz_id key = state_digest_key(row->address, 0);
    if (flz_map_get(&core->suppressed, key) != FLZ_MAP_NONE)
        return UNFIT;
    int r = flz_grow((void **)&core->suppressions, &core->suppressions_capacity,
                     core->suppressions_count + 1, sizeof *core->suppressions);
    if (r == 0)
        r = flz_map_set(&core->suppressed, key, (uint32_t)core->suppressions_count);
    if (r < 0)
        return r;
    core->suppressions[core->suppressions_count++] =
        (struct suppression_state){.row = *row, .live = true};
    return 0;
}

static int fold_suppressed(struct coord *core, const struct event *event)
{
    struct row_suppression row = {.address = event->suppressed.address, .at = event->at};
    memcpy(row.reason, event->suppressed.reason, sizeof row.reason);
    memcpy(row.by, event->suppressed.by, sizeof row.by);
    row.kind = event->suppressed.kind;
    int r = fold_suppression_add(core, &row);
    size_t i = core->suppressions_count - 1;
    return r < 0 ? r
                 : state_touch(core, ROW_SUPPRESSION, (uint32_t)i, &core->suppressions[i].dirty);
}

static int fold_unsuppressed(struct coord *core, const struct event_unsuppressed *e)
{
    struct flz_id key = state_digest_key(e->address, 0);
    uint32_t i = flz_map_get(&core->suppressed, key);
    if (i == FLZ_MAP_NONE)
        return UNFIT;
    flz_map_remove(&core->suppressed, key);
    core->suppressions[i].live = false;
    return state_touch(core, ROW_SUPPRESSION, i, &core->suppressions[i].dirty);
}

int fold_setting_add(struct coord *core, const struct row_setting *row, uint32_t *ret_index)
{
    int r = policy_set(&core->policy, row->key, row->value, NULL);
    if (r < 0)
        return UNFIT;
    uint32_t i = 0;
    while (i < core->settings_count && strcmp(core->settings[i].row.key, row->key) != 0)
        i++;
    if (i == core->settings_count) {
        r = flz_grow((void **)&core->settings, &core->settings_capacity, core->settings_count + 1,
                     sizeof *core->settings);
        if (r < 0)
            return r;
        core->settings[core->settings_count++] = (struct setting_state){.dirty = false};
    }
    core->settings[i].row = *row;
    *ret_index = i;
    return 0;
}

static int fold_setting(struct coord *core, const struct event *event)
{
    struct row_setting row = {.value = event->setting.value, .at = event->at};
    memcpy(row.key, event->setting.key, sizeof row.key);
    memcpy(row.by, event->setting.by, sizeof row.by);
    uint32_t i;
    int r = fold_setting_add(core, &row, &i);
    return r < 0 ? r : state_touch(core, ROW_SETTING, i, &core->settings[i].dirty);
}

/* ---- Contacts ---- */

int fold_contact_add(struct coord *core, const struct row_contact *row, uint32_t *ret_index)
{
    struct account_state *from = state_account(core, row->from);
    if (!from)
        return UNFIT;
    struct flz_id key = state_pair_key(row->from, row->to);
    uint32_t i = flz_map_get(&core->contacts_by_pair, key);
    if (i != FLZ_MAP_NONE) {
        core->contacts[i].row.date = row->date;
        *ret_index = i;
        return 0;
    }

    i = core->contacts_free;
    if (i == COORD_NONE) {
        int r = flz_grow((void **)&core->contacts, &core->contacts_capacity,
                         core->contacts_count + 1, sizeof *core->contacts);
        if (r < 0)
            return r;
    }
    int r = flz_map_set(&core->contacts_by_pair, key,
                        i == COORD_NONE ? (uint32_t)core->contacts_count : i);
    if (r < 0)
        return r;
    if (i == COORD_NONE)
        i = (uint32_t)core->contacts_count++;
    else
        core->contacts_free = core->contacts[i].next;
    core->contacts[i] = (struct contact_state){.row = *row, .live = true, .next = from->contacts};
    from->contacts = i;
    *ret_index = i;
    return 0;
}

bool fold_contact_bars(const struct coord *core, const struct row_contact *contact, int32_t date)
{
    const struct account_state *from = &core->accounts[contact->from];
    return !plan_cooled(from->row.days, contact->date, date, core->policy.cooldown_days);
}

/* Drops what can bar nothing any more on `date` or later. */
static int contacts_prune(struct coord *core, struct account_state *account, int32_t date)
{
    uint32_t *link = &account->contacts;
    while (*link != COORD_NONE) {
        uint32_t i = *link;
        struct contact_state *contact = &core->contacts[i];
        if (fold_contact_bars(core, &contact->row, date)) {
            link = &contact->next;
            continue;
        }
        *link = contact->next;
        contact->live = false;
        flz_map_remove(&core->contacts_by_pair, state_pair_key(contact->row.from, contact->row.to));
        int r = state_touch(core, ROW_CONTACT, i, &contact->dirty);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- The plan ---- */

static void pending_clear(struct coord *core)
{
    flz_arena_deinit(&core->pending.arena);
    free(core->pending.accounts);
    free(core->pending.exchanges);
    core->pending = (struct pending_plan){.arena = FLZ_ARENA_NULL};
}

void fold_pending_deinit(struct coord *core)
{
    pending_clear(core);
}

static int pending_turns(struct coord *core, struct event_plan_exchange *x)
{
    if (x->turns_count == 0 || x->turns_count > FLZ_TURNS_MAX || x->from == x->to ||
        x->from >= core->accounts_count || x->to >= core->accounts_count)
        return UNFIT;
    size_t size = x->turns_count * sizeof *x->turns;
    struct event_plan_turn *turns = flz_arena_alloc(&core->pending.arena, size);
    if (!turns)
        return flz_fail(-ENOMEM);
    memcpy(turns, x->turns, size);
    x->turns = turns;
    return 0;
}

static int fold_plan_part(struct coord *core, const struct event_plan_part *e)
{
    if (e->part == 0)
        pending_clear(core);
    struct pending_plan *p = &core->pending;
    if (e->plan != core->network.plans || e->part != p->parts || (p->parts && e->date != p->date))
        return UNFIT;
    int r = flz_grow((void **)&p->accounts, &p->accounts_capacity,
                     p->accounts_count + e->accounts_count, sizeof *p->accounts);
    if (r == 0)
        r = flz_grow((void **)&p->exchanges, &p->exchanges_capacity,
                     p->exchanges_count + e->exchanges_count, sizeof *p->exchanges);
    if (r < 0)
        return r;

    for (size_t i = 0; i < e->accounts_count; i++) {
        if (e->accounts[i].account >= core->accounts_count)
            return UNFIT;
        p->accounts[p->accounts_count++] = e->accounts[i];
    }
    for (size_t i = 0; i < e->exchanges_count; i++) {
        struct event_plan_exchange x = e->exchanges[i];
        r = pending_turns(core, &x);
        if (r < 0)
            return r;
        p->exchanges[p->exchanges_count++] = x;
    }
    p->parts++;
    p->plan = e->plan;
    p->date = e->date;
    return 0;
}

/* What was recovered on a planned date had room in the forgotten plan's quota. */
static void make_room(struct day_state *day)
{
    uint32_t used = day->row.reserved + day->row.committed;
    if (day->row.planned_day && used > day->row.quota)
        day->row.quota = used;
}

static int seal_account(struct coord *core, const struct event_plan_account *e, int32_t date)
{
    struct account_state *account = &core->accounts[e->account];
    struct day_state *day = state_day(core, e->account, date);
    if (!day)
        return flz_fail(-ENOMEM);
    day->row.planned_day = true;
    day->row.quota = e->quota;
    day->row.possible = e->possible;
    day->row.shortfall = e->shortfall;
    day->row.shortfall_reason = e->shortfall_reason;
    day->row.waits_until = e->waits_until;
    day->row.window_start = e->window_start;
    day->row.window_end = e->window_end;
    account->row.planned_date = date;
    make_room(day);
    int r = contacts_prune(core, account, date);
    if (r == 0)
        r = touch_account(core, account);
    if (r == 0)
        r = state_touch(core, ROW_DAY, (uint32_t)(day - core->days), &day->dirty);
    return r;
}

static void seal_turns(const struct event_plan_exchange *e, struct row_turn *ret_turns)
{
    for (size_t i = 0; i < e->turns_count; i++)
        ret_turns[i] = (struct row_turn){
            .send_at = e->turns[i].send_at,
            .send_until = e->turns[i].send_until,
            .open_at = e->turns[i].open_at,
            .open_until = e->turns[i].open_until,
            .date = e->turns[i].date,
            .open_date = e->turns[i].open_date,
            .day_cap = e->turns[i].day_cap,
            .reopen_at = e->turns[i].reopen_at,
            .reopen_until = e->turns[i].reopen_until,
        };
}

/* Nothing of it is to be done: receipts have yet to tell what was. */
static void void_turns(struct row_turn *turns, size_t n)
{
    struct row_task task = {.state = TASK_VOID, .reason = VOID_RESTORED, .fault = FAULT_NETWORK};
    for (size_t i = 0; i < n; i++)
        turns[i].send = turns[i].find = turns[i].unspam = turns[i].open = task;
}

/* The newest first message that way. */
static int note_contact(struct coord *core, struct row_contact contact)
{
    uint32_t i =
        flz_map_get(&core->contacts_by_pair, state_pair_key(contact.from, contact.to));
    if (i != FLZ_MAP_NONE && core->contacts[i].row.date >= contact.date)
        return 0;
    int r = fold_contact_add(core, &contact, &i);
    return r < 0 ? r : state_touch(core, ROW_CONTACT, i, &core->contacts[i].dirty);
}

/* An exchange begins, with the plan, or, recovered, long after it. */
static int begin_exchange(struct coord *core, const struct event_plan_exchange *e,
                          int64_t planned_at, bool recovered)
{
    struct row_turn turns[FLZ_TURNS_MAX];
    seal_turns(e, turns);
    if (recovered)
        void_turns(turns, e->turns_count);
    struct row_exchange row = {
        .handle = core->network.exchanges,
        .state = EXCHANGE_LIVE,
        .id = e->id,
        .from = e->from,
        .to = e->to,
        .one_node = e->one_node,
        .same_owner = e->same_owner,
        .pack = e->pack,
        .scenario = e->scenario,
        .seed = e->seed,
        .expires = e->expires,
        .planned_at = planned_at,
        .turns = turns,
        .turns_count = e->turns_count,
        .recovered = recovered,
        .from_provider = core->accounts[e->from].row.provider + 1,
        .to_provider = core->accounts[e->to].row.provider + 1,
    };
    int r = state_live_add(core, &row);
    if (r < 0)
        return r;
    core->network.exchanges++;

    struct live *x = state_live(core, row.handle);
    for (uint32_t i = 0; i < row.turns_count && r == 0; i++)
        r = aggregate_put(core, x, i);
    if (r == 0)
        r = aggregate_hold(core, x, 1);
    struct row_contact contact = {.from = e->from, .to = e->to, .date = e->turns[0].date};
    if (r == 0)
        r = note_contact(core, contact);
    if (r == 0)
        r = touch_live(core, x);
    return r < 0 ? r : state_wake(core, x, planned_at);
}

/* The first date on which a receipt may still be recovered; INT32_MAX: none. */
static int32_t first_forgotten(const struct coord *core, int64_t at)
{
    int32_t first = INT32_MAX;
    for (size_t i = 0; i < core->network.forgotten_count; i++) {
        const struct row_forgotten *f = &core->network.forgotten[i];
        int32_t date = (int32_t)(f->from / FLZ_DAY_MS) - 2;
        if (at < f->until && date < first)
            first = date;
    }
    return first;
}

/* Closing it moves the account's ramp, at its next sending day, however far that is. */
static bool is_to_be_closed(const struct coord *core, const struct row_day *day)
{
    const struct account_state *account = state_account(core, day->account);
    return account && day->planned_day && !day->closed && account->row.state == ACCOUNT_LIVE &&
           account->row.planned_date == day->date;
}

/* Days far behind the newest plan, in which no live exchange counts, go to the archive. */
static int archive_days(struct coord *core, int64_t at)
{
    int32_t first = core->network.newest_date - STATE_DAYS_KEPT;
    int32_t forgotten = first_forgotten(core, at);
    first = first < forgotten ? first : forgotten;
    for (uint32_t i = 0; i < core->days_count; i++) {
        struct day_state *day = &core->days[i];
        if (!day->live || day->turns > 0 || day->row.date >= first ||
            is_to_be_closed(core, &day->row))
            continue;
        flz_map_remove(&core->days_by_key,
                       state_pair_key(day->row.account, (uint32_t)day->row.date));
        day->live = false;
        int r = state_touch(core, ROW_DAY, i, &day->dirty);
        if (r < 0)
            return r;
    }
    return tally_archive(core, first);
}

static int fold_plan_seal(struct coord *core, const struct event *event)
{
    const struct event_plan_seal *e = &event->plan_seal;
    const struct pending_plan *p = &core->pending;
    if (e->plan != core->network.plans || e->parts != p->parts ||
        e->accounts != p->accounts_count || e->exchanges != p->exchanges_count ||
        (p->parts && e->date != p->date))
        return UNFIT;
    int r = 0;
    for (size_t i = 0; i < p->accounts_count && r == 0; i++)
        r = seal_account(core, &p->accounts[i], e->date);
    for (size_t i = 0; i < p->exchanges_count && r == 0; i++)
        r = begin_exchange(core, &p->exchanges[i], event->at, false);
    if (r < 0)
        return r;
    pending_clear(core);
    core->network.plans++;
    if (e->date > core->network.newest_date)
        core->network.newest_date = e->date;
    return e->more ? 0 : archive_days(core, event->at);
}

/* ---- Exchanges ---- */

static void close_open(struct coord *core, const struct row_task *task)
{
    if (task->state == TASK_OPEN)
        core->nodes[task->node].open--;
}

static int fold_issued(struct coord *core, const struct event *event)
{
    const struct event_issued *e = &event->issued;
    struct live *x = state_live(core, e->exchange);
    struct row_task *task = x ? state_task(x, e->turn, e->kind) : NULL;
    if (!task || task->state != TASK_WAITS || !state_node(core, e->node))
        return UNFIT;
    bool tidy = e->kind == FLZ_TASK_TIDY;
    int r = tidy ? 0 : aggregate_take(core, x, e->turn);
    if (r < 0)
        return r;
    task->state = TASK_OPEN;
    task->node = e->node;
    task->attempt = e->attempt;
    task->issued_at = event->at;
    core->nodes[e->node].open++;
    if (flz_task_kind_sends(e->kind)) {
        struct account_state *sender = &core->accounts[exchange_sender(&x->row, e->turn)];
        sender->row.issued_at = event->at;
        x->turns[e->turn].day_cap = e->day_cap;
        r = touch_account(core, sender);
    }
    if (r == 0 && !tidy)
        r = aggregate_put(core, x, e->turn);
    return r < 0 ? r : touch_live(core, x);
}

/* How a task ended, by its node's word or by presumption. */
struct ending {
    uint32_t exchange;
    uint32_t turn;
    uint32_t kind;
    uint32_t outcome;
    uint32_t reason;
    uint32_t fault;
    uint32_t reply_code;
    bool presumed;
    int64_t at;
    const struct flz_receipt *receipt; /* NULL when presumed */
};

static void end_send(struct row_turn *t, const struct ending *e)
{
    bool maybe = e->outcome == FLZ_OUTCOME_SENT || e->outcome == FLZ_OUTCOME_AMBIGUOUS ||
                 e->outcome == FLZ_OUTCOME_INDETERMINATE;
    if (!e->presumed)
        t->sender_witness = maybe;
    t->contradicted = !maybe && t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND;
}

static void end_find(struct row_turn *t, const struct ending *e)
{
    if (!e->receipt || e->outcome != FLZ_OUTCOME_FOUND)
        return;
    t->placement = e->receipt->placement;
    t->authentication = e->receipt->authentication;
    t->arrival_ms = e->receipt->arrival_ms;
    if (t->unspam.state == TASK_WAITS && t->placement != FLZ_PLACEMENT_JUNK) {
        t->unspam.state = TASK_VOID;
        t->unspam.reason = VOID_NEEDLESS;
    }
}

static int end_task(struct coord *core, const struct ending *e)
{
    struct live *x = state_live(core, e->exchange);
    struct row_task *task = x ? state_task(x, e->turn, e->kind) : NULL;
    if (!task || task->state == TASK_VOID)
        return UNFIT;
    bool tidy = e->kind == FLZ_TASK_TIDY;
    int r = tidy ? 0 : aggregate_take(core, x, e->turn);
    if (r < 0)
        return r;
    close_open(core, task);
    task->state = TASK_ENDED;
    task->outcome = e->outcome;
    task->reason = e->reason;
    task->fault = e->fault;
    task->reply_code = e->reply_code;
    task->presumed = e->presumed;
    task->ended_at = e->at;
    if (flz_task_kind_sends(e->kind))
        end_send(&x->turns[e->turn], e);
    if (e->kind == FLZ_TASK_FIND)
        end_find(&x->turns[e->turn], e);
    if (!tidy)
        r = aggregate_put(core, x, e->turn);
    return r < 0 ? r : touch_live(core, x);
}

static int fold_receipt(struct coord *core, const struct event *event)
{
    const struct event_receipt *e = &event->receipt;
    if (e->effect == EFFECT_EQUIVOCATION && event->report_seq)
        core->nodes[event->report_node].row.equivocations++;
    if (e->effect != EFFECT_TAKEN && e->effect != EFFECT_FOLLOWED && e->effect != EFFECT_CORRECTED)
        return 0;
    struct ending ending = {
        .exchange = e->exchange,
        .turn = e->receipt.turn,
        .kind = e->receipt.kind,
        .outcome = e->receipt.outcome,
        .reason = e->receipt.reason,
        .fault = e->fault,
        .reply_code = e->receipt.reply_code,
        .at = event->at,
        .receipt = &e->receipt,
    };
    return end_task(core, &ending);
}

/* ---- What a restored log had forgotten ---- */

static int forgotten_account(struct coord *core, uint32_t handle, struct flz_id id)
{
    if (handle != core->accounts_count)
        return handle < core->accounts_count ? 0 : UNFIT;
    struct row_account row = {
        .handle = handle,
        .state = ACCOUNT_FORGOTTEN,
        .id = id,
        .node = COORD_NONE,
        .domain = COORD_NONE,
        .owner = COORD_NONE,
        .provider = COORD_NONE,
    };
    int r = fold_account_add(core, &row);
    return r < 0 ? r : touch_account(core, &core->accounts[handle]);
}

static int rebuild(struct coord *core, const struct event_recovered *e)
{
    struct event_plan_exchange plan = e->plan;
    if (e->exchange != core->network.exchanges || plan.turns_count > FLZ_TURNS_MAX)
        return UNFIT;
    plan.id = e->receipt.exchange;
    int r = forgotten_account(core, plan.from, e->from);
    if (r == 0)
        r = forgotten_account(core, plan.to, e->to);
    return r < 0 ? r : begin_exchange(core, &plan, e->planned_at, true);
}

/* A void task that was never ordered waits again. */
static void revive(struct row_task *task)
{
    if (task->state == TASK_VOID && task->issued_at == 0)
        *task = (struct row_task){.attempt = task->attempt};
}

/*
 * What the receipt says of the rest of its turn. All else is ordered after the message only: so it
 * was ordered too, and may have been sent. And what was given up while nobody knew of the message
 * is to be done.
 */
static void revive_turn(struct row_turn *t, const struct flz_receipt *receipt, int64_t at)
{
    bool send = flz_task_kind_sends(receipt->kind);
    if (!send && (t->send.state == TASK_WAITS || t->send.state == TASK_VOID) &&
        t->send.issued_at == 0)
        t->send = (struct row_task){
            .state = TASK_ENDED,
            .outcome = FLZ_OUTCOME_AMBIGUOUS,
            .reason = FLZ_REASON_RESTORED,
            .fault = FAULT_NETWORK,
            .presumed = true,
            .ended_at = at,
        };
    bool found = receipt->kind == FLZ_TASK_FIND && receipt->outcome == FLZ_OUTCOME_FOUND;
    if (found || (send && t->find.state == TASK_VOID)) {
        revive(&t->unspam);
        revive(&t->open);
    }
    if (receipt->kind == FLZ_TASK_UNSPAM)
        revive(&t->open);
    revive(&t->find);
}

/* The task as if this log had ordered it: its receipt then ends it. */
static int recover_order(struct coord *core, struct live *x, const struct event_recovered *e,
                         int64_t at)
{
    const struct flz_receipt *receipt = &e->receipt;
    struct row_task *task = state_task(x, receipt->turn, receipt->kind);
    bool tidy = receipt->kind == FLZ_TASK_TIDY;
    int r = tidy ? 0 : aggregate_take(core, x, receipt->turn);
    if (r < 0)
        return r;
    if (!tidy)
        revive_turn(&x->turns[receipt->turn], receipt, at);
    close_open(core, task);
    *task = (struct row_task){.state = TASK_OPEN,
                              .node = e->node,
                              .attempt = receipt->attempt,
                              .issued_at = e->issued_at};
    core->nodes[e->node].open++;
    x->row.recovered = true;
    if (!tidy && x->row.state == EXCHANGE_SETTLED)
        x->row.state = EXCHANGE_LIVE;
    return tidy ? 0 : aggregate_put(core, x, receipt->turn);
}

/* What the message means for its sender's day. */
static int recover_sender(struct coord *core, const struct live *x, const struct event_recovered *e)
{
    const struct row_turn *t = &x->turns[e->receipt.turn];
    uint32_t handle = exchange_sender(&x->row, e->receipt.turn);
    struct account_state *sender = &core->accounts[handle];
    struct day_state *day = state_day(core, handle, t->date);
    if (!day)
        return flz_fail(-ENOMEM);
    make_room(day);
    bool send = flz_task_kind_sends(e->receipt.kind);
    if (!send || e->issued_at <= sender->row.issued_at)
        return 0;
    sender->row.issued_at = e->issued_at;
    return touch_account(core, sender);
}

static int fold_recovered(struct coord *core, const struct event *event)
{
    const struct event_recovered *e = &event->recovered;
    int r = e->plan.turns_count > 0 ? rebuild(core, e) : 0;
    if (r < 0)
        return r;
    struct live *x = state_live(core, e->exchange);
    if (!x || !state_task(x, e->receipt.turn, e->receipt.kind) || !state_node(core, e->node) ||
        x->row.state == EXCHANGE_ENDED)
        return UNFIT;
    r = recover_order(core, x, e, event->at);
    if (r < 0)
        return r;
    struct ending ending = {
        .exchange = e->exchange,
        .turn = e->receipt.turn,
        .kind = e->receipt.kind,
        .outcome = e->receipt.outcome,
        .reason = e->receipt.reason,
        .fault = e->fault,
        .reply_code = e->receipt.reply_code,
        .at = event->at,
        .receipt = &e->receipt,
    };
    r = end_task(core, &ending);
    return r < 0 || e->receipt.kind == FLZ_TASK_TIDY ? r : recover_sender(core, x, e);
}

static int fold_presumed(struct coord *core, const struct event *event)
{
    const struct event_presumed *e = &event->presumed;
    struct ending ending = {
        .exchange = e->exchange,
        .turn = e->turn,
        .kind = e->kind,
        .outcome = e->outcome,
        .reason = e->reason,
        .fault = e->fault,
        .presumed = true,
        .at = event->at,
    };
    return end_task(core, &ending);
}

static void void_task(struct coord *core, struct row_task *task, uint32_t reason, uint32_t fault)
{
    if (task->state != TASK_WAITS && task->state != TASK_OPEN)
        return;
    close_open(core, task);
    task->state = TASK_VOID;
    task->reason = reason;
    task->fault = fault;
}

static void void_turn(struct coord *core, struct row_turn *t, uint32_t reason, uint32_t fault)
{
    void_task(core, &t->send, reason, fault);
    void_task(core, &t->find, reason, fault);
    void_task(core, &t->unspam, reason, fault);
    void_task(core, &t->open, reason, fault);
}

/* The named task, and what cannot be without it: of a SEND, REPLY or FIND the rest of its turn and
 * the turns after it; of an OPEN the rescue not begun and the turns after it. */
static void void_from(struct coord *core, struct live *x, const struct event_void *e)
{
    struct row_turn *t = &x->turns[e->turn];
    if (e->kind == FLZ_TASK_UNSPAM) {
        void_task(core, &t->unspam, e->reason, e->fault);
        return;
    }
    if (flz_task_kind_sends(e->kind))
        void_task(core, &t->send, e->reason, e->fault);
    if (e->kind != FLZ_TASK_OPEN)
        void_task(core, &t->find, e->reason, e->fault);
    void_task(core, &t->unspam, e->reason, e->fault);
    void_task(core, &t->open, e->reason, e->fault);
    for (uint32_t i = e->turn + 1; i < x->row.turns_count; i++)
        void_turn(core, &x->turns[i], VOID_EARLIER, e->fault);
}

static int fold_void(struct coord *core, const struct event *event)
{
    const struct event_void *e = &event->voided;
    struct live *x = state_live(core, e->exchange);
    struct row_task *task = x ? state_task(x, e->turn, e->kind) : NULL;
    if (!task)
        return UNFIT;
    if (e->kind == FLZ_TASK_TIDY) {
        void_task(core, task, e->reason, e->fault);
        return touch_live(core, x);
    }
    int r = 0;
    for (uint32_t i = e->turn; i < x->row.turns_count && r == 0; i++)
        r = aggregate_take(core, x, i);
    if (r < 0)
        return r;
    void_from(core, x, e);
    for (uint32_t i = e->turn; i < x->row.turns_count && r == 0; i++)
        r = aggregate_put(core, x, i);
    return r < 0 ? r : touch_live(core, x);
}

/* What expired in the first hours waits again, as another attempt. */
static void wait_again(struct row_task *task)
{
    if (task->state == TASK_ENDED && task->outcome == FLZ_OUTCOME_EXPIRED)
        *task = (struct row_task){.attempt = task->attempt + 1};
}

static int fold_reslotted(struct coord *core, const struct event_reslotted *e)
{
    struct live *x = state_live(core, e->exchange);
    if (!x || x->row.state != EXCHANGE_LIVE || e->turn >= x->row.turns_count)
        return UNFIT;
    struct row_turn *t = &x->turns[e->turn];
    if (t->reopen_at == 0 || t->unspam.state == TASK_OPEN || t->open.state == TASK_OPEN)
        return UNFIT;
    int r = aggregate_take(core, x, e->turn);
    if (r < 0)
        return r;
    t->open_at = e->open_at;
    t->open_until = e->open_until;
    t->reopen_at = 0;
    t->reopen_until = 0;
    wait_again(&t->unspam);
    wait_again(&t->open);
    r = aggregate_put(core, x, e->turn);
    return r < 0 ? r : touch_live(core, x);
}

static int fold_settled(struct coord *core, const struct event_settled *e)
{
    struct live *x = state_live(core, e->exchange);
    if (!x || x->row.state != EXCHANGE_LIVE)
        return UNFIT;
    x->row.state = EXCHANGE_SETTLED;
    x->row.tidy_at = e->tidy_at;
    return touch_live(core, x);
}

static int fold_ended(struct coord *core, const struct event *event)
{
    struct live *x = state_live(core, event->ended.exchange);
    if (!x)
        return UNFIT;
    int r = aggregate_hold(core, x, -1);
    if (r < 0)
        return r;
    x->row.state = EXCHANGE_ENDED;
    x->row.ended_at = event->at;
    return touch_live(core, x);
}
/* ---- Notices ---- */

/* What a bounce or complaint says of its turn. */
static int fold_turn_notice(struct coord *core, uint32_t type, const struct event_noticed *e)
{
    struct live *x = state_live(core, e->exchange);
    if (!x || e->notice.turn >= x->row.turns_count)
        return UNFIT;
    struct row_turn *t = &x->turns[e->notice.turn];
    int r = aggregate_take(core, x, e->notice.turn);
    if (r < 0)
        return r;
    if (type == EVENT_BOUNCED)
        t->bounce = notice_bounce(&e->notice);
    else
        t->complained = true;
    r = aggregate_put(core, x, e->notice.turn);
    return r < 0 ? r : touch_live(core, x);
}

static int fold_noticed(struct coord *core, uint32_t type, const struct event_noticed *e)
{
    if (e->effect != NOTICE_TAKEN && e->effect != NOTICE_LATE)
        return 0;
    if (type != EVENT_ANSWERED)
        return e->effect == NOTICE_TAKEN ? fold_turn_notice(core, type, e) : 0;
    struct account_state *account = state_account(core, e->recipient);
    if (!account)
        return UNFIT;
    account->row.answers_until = e->until;
    memcpy(account->row.answers, e->notice.text, sizeof account->row.answers);
    return touch_account(core, account);
}

static int fold_opened(struct coord *core, const struct event_opened *e)
{
    struct account_state *account = state_account(core, e->account);
    if (!account)
        return UNFIT;
    account->row.answers_until = 0;
    account->row.answers[0] = '\0';
    return touch_account(core, account);
}


/* ---- The door ---- */

static int fold_body(struct coord *core, const struct event *event)
{
    switch (event->type) {
    case EVENT_LEAD: return fold_lead(core, event);
    case EVENT_INVITED: return fold_invited(core, event);
    case EVENT_JOINED: return fold_joined(core, event);
    case EVENT_HELLO: return fold_hello(core, event);
    case EVENT_ACCOUNT: return fold_account(core, event);
    case EVENT_PROBE: return fold_probe(core, &event->probe);
    case EVENT_RELEASED: return fold_leaving(core, event->released.account, ACCOUNT_RELEASED);
    case EVENT_REPORT_REFUSED: return 0;
    case EVENT_RECEIPT: return fold_receipt(core, event);
    case EVENT_PLAN_PART: return fold_plan_part(core, &event->plan_part);
    case EVENT_PLAN_SEAL: return fold_plan_seal(core, event);
    case EVENT_ISSUED: return fold_issued(core, event);
    case EVENT_PRESUMED: return fold_presumed(core, event);
    case EVENT_VOID: return fold_void(core, event);
    case EVENT_SETTLED: return fold_settled(core, &event->settled);
    case EVENT_ENDED: return fold_ended(core, event);
    case EVENT_DAY_CLOSED: return fold_day_closed(core, &event->day_closed);
    case EVENT_PAUSED: return fold_paused(core, event);
    case EVENT_RESUMED: return fold_resumed(core, &event->resumed);
    case EVENT_REVOKED: return fold_revoked(core, event);
    case EVENT_CONSENT_ENDED: return fold_consent_ended(core, event);
    case EVENT_REMOVED: return fold_leaving(core, event->removed.account, ACCOUNT_REMOVED);
    case EVENT_SUPPRESSED: return fold_suppressed(core, event);
    case EVENT_UNSUPPRESSED: return fold_unsuppressed(core, &event->unsuppressed);
    case EVENT_SETTING: return fold_setting(core, event);
    case EVENT_RESLOTTED: return fold_reslotted(core, &event->reslotted);
    case EVENT_BOUNCED:
    case EVENT_COMPLAINED:
    case EVENT_ANSWERED: return fold_noticed(core, event->type, &event->noticed);
    case EVENT_OPENED: return fold_opened(core, &event->opened);
    case EVENT_RECOVERED: return fold_recovered(core, event);
    case EVENT_HEALTH: return standing_fold(core, event);
    case EVENT_ALERT_OPENED:
    case EVENT_ALERT_UPDATED:
    case EVENT_ALERT_RESOLVED:
    case EVENT_ALERT_ACKED: return alert_fold(core, event);
    default: return UNFIT;
    }
}

int fold_event(struct coord *core, const struct event *event)
{
    if (event->at < core->network.now)
        return UNFIT;
    int r = fold_report_seq(core, event);
    if (r == 0)
        r = fold_body(core, event);
    if (r < 0)
        return r;
    core->network.now = event->at;
    return state_touch(core, ROW_NETWORK, 0, &core->network_dirty);
}
