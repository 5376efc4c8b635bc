/* Rows out of memory and back into it. */
#include "coordinator/core/state.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Taking ---- */

struct taking {
    enum row_kind kind;
    const void *row;
    bool deleted;
    size_t key_offset;
    size_t key_len;
};

struct takings {
    struct taking *items;
    size_t count;
    size_t capacity;
    struct flz_buf keys;
};

static void takings_deinit(struct takings *takings)
{
    free(takings->items);
    flz_buf_deinit(&takings->keys);
}

static int gather(struct takings *takings, enum row_kind kind, const void *row, bool deleted)
{
    int r = flz_grow((void **)&takings->items, &takings->capacity, takings->count + 1,
                     sizeof *takings->items);
    if (r < 0)
        return r;
    size_t offset = takings->keys.len;
    flz_row_key(kind, row, &takings->keys);
    takings->items[takings->count++] = (struct taking){
        .kind = kind,
        .row = row,
        .deleted = deleted,
        .key_offset = offset,
        .key_len = takings->keys.len - offset,
    };
    return flz_buf_error(&takings->keys);
}

static struct live *live_slot(const struct coord *core, uint32_t exchange)
{
    return core->live[exchange - core->live_base];
}

static int gather_change(struct coord *core, const struct change *change, struct takings *takings)
{
    uint32_t i = change->index;
    switch (change->kind) {
    case ROW_NETWORK: return gather(takings, ROW_NETWORK, &core->network, false);
    case ROW_SETTING: return gather(takings, ROW_SETTING, &core->settings[i].row, false);
    case ROW_NAME: return gather(takings, ROW_NAME, &core->names[i & 3].items[i >> 2].row, false);
    case ROW_INVITE: return gather(takings, ROW_INVITE, &core->invites[i].row, false);
    case ROW_NODE: return gather(takings, ROW_NODE, &core->nodes[i].row, false);
    case ROW_ACCOUNT: return gather(takings, ROW_ACCOUNT, &core->accounts[i].row, false);
    case ROW_PAUSE: return gather(takings, ROW_PAUSE, &core->pauses[i].row, !core->pauses[i].live);
    case ROW_SUPPRESSION:
        return gather(takings, ROW_SUPPRESSION, &core->suppressions[i].row,
                      !core->suppressions[i].live);
    case ROW_CONTACT:
        return gather(takings, ROW_CONTACT, &core->contacts[i].row, !core->contacts[i].live);
    case ROW_DAY: {
        const struct day_state *day = &core->days[i];
        int r = gather(takings, ROW_DAY, &day->row, !day->live);
        return r < 0 || day->live ? r : gather(takings, ROW_DAY_OLD, &day->row, false);
    }
    case ROW_EXCHANGE: {
        const struct live *x = live_slot(core, i);
        bool ended = x->row.state == EXCHANGE_ENDED;
        int r = gather(takings, ROW_EXCHANGE, &x->row, ended);
        return r < 0 || !ended ? r : gather(takings, ROW_EXCHANGE_OLD, &x->row, false);
    }
    case ROW_TALLY: {
        const struct tally_state *tally = &core->tallies[i];
        int r = gather(takings, ROW_TALLY, &tally->row, !tally->live);
        bool archived = !tally->live && tally->row.span != TALLY_DAY;
        return r < 0 || !archived ? r : gather(takings, ROW_TALLY_OLD, &tally->row, false);
    }
    case ROW_STANDING: return gather(takings, ROW_STANDING, &core->standings[i].row, false);
    case ROW_ALERT: return gather(takings, ROW_ALERT, &core->alerts[i].row, !core->alerts[i].live);
    case ROW_DAY_OLD:
    case ROW_EXCHANGE_OLD:
    case ROW_TALLY_OLD: break;
    }
    return flz_fail(-ENOTRECOVERABLE);
}

static int compare_keys(const struct taking *a, const struct taking *b, const uint8_t *keys)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int r = len ? memcmp(keys + a->key_offset, keys + b->key_offset, len) : 0;
    return r ? r : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* A row that was deleted and made anew since the last taking stands twice: its deletion first. */
static int compare(const void *a, const void *b, void *keys)
{
    const struct taking *x = a;
    const struct taking *y = b;
    int r = compare_keys(x, y, keys);
    return r ? r : (int)y->deleted - (int)x->deleted;
}

static int yield(const struct takings *takings, coord_row_fn on_row, void *data)
{
    for (size_t i = 0; i < takings->count; i++) {
        const struct taking *item = &takings->items[i];
        if (i + 1 < takings->count && compare_keys(item, item + 1, takings->keys.data) == 0)
            continue;
        int r = on_row(data, item->kind, item->row, item->deleted);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Entries whose deletion was taken leave memory; no index into them is noted any more. */
static void sweep_pauses(struct coord *core)
{
    size_t kept = 0;
    for (size_t i = 0; i < core->pauses_count; i++)
        if (core->pauses[i].live)
            core->pauses[kept++] = core->pauses[i];
    core->pauses_count = kept;
}

static int sweep_suppressions(struct coord *core)
{
    size_t kept = 0;
    int r = 0;
    for (size_t i = 0; i < core->suppressions_count; i++) {
        if (!core->suppressions[i].live)
            continue;
        if (r == 0)
            r = flz_map_set(&core->suppressed,
                            state_digest_key(core->suppressions[i].row.address, 0), (uint32_t)kept);
        core->suppressions[kept++] = core->suppressions[i];
    }
    core->suppressions_count = kept;
    return r;
}

/* Kinds of which something is to leave memory. */
struct leaving {
    bool pauses;
    bool suppressions;
    bool alerts;
};

static void clean(struct coord *core, const struct change *change, struct leaving *leaving)
{
    uint32_t i = change->index;
    switch (change->kind) {
    case ROW_NETWORK: core->network_dirty = false; break;
    case ROW_SETTING: core->settings[i].dirty = false; break;
    case ROW_NAME: core->names[i & 3].items[i >> 2].dirty = false; break;
    case ROW_INVITE: core->invites[i].dirty = false; break;
    case ROW_NODE: core->nodes[i].dirty = false; break;
    case ROW_ACCOUNT: core->accounts[i].dirty = false; break;
    case ROW_PAUSE:
        core->pauses[i].dirty = false;
        leaving->pauses |= !core->pauses[i].live;
        break;
    case ROW_SUPPRESSION:
        core->suppressions[i].dirty = false;
        leaving->suppressions |= !core->suppressions[i].live;
        break;
    case ROW_ALERT:
        core->alerts[i].dirty = false;
        leaving->alerts |= !core->alerts[i].live;
        break;
    case ROW_CONTACT:
        core->contacts[i].dirty = false;
        if (!core->contacts[i].live) {
            core->contacts[i].next = core->contacts_free;
            core->contacts_free = i;
        }
        break;
    case ROW_DAY:
        if (core->days[i].live)
            core->days[i].dirty = false;
        else
            state_day_free(core, i);
        break;
    case ROW_EXCHANGE:
        live_slot(core, i)->dirty = false;
        if (live_slot(core, i)->row.state == EXCHANGE_ENDED)
            state_live_free(core, i);
        break;
    case ROW_TALLY:
        if (core->tallies[i].live)
            core->tallies[i].dirty = false;
        else
            tally_free(core, i);
        break;
    case ROW_STANDING: core->standings[i].dirty = false; break;
    case ROW_DAY_OLD:
    case ROW_EXCHANGE_OLD:
    case ROW_TALLY_OLD: break;
    }
}

int coord_take_rows(struct coord *core, coord_row_fn on_row, void *data)
{
    _cleanup_(takings_deinit) struct takings takings = {.keys = FLZ_BUF_NULL};
    for (size_t i = 0; i < core->changes_count; i++) {
        int r = gather_change(core, &core->changes[i], &takings);
        if (r < 0)
            return r;
    }
    if (takings.count > 1)
        qsort_r(takings.items, takings.count, sizeof *takings.items, compare, takings.keys.data);
    int r = yield(&takings, on_row, data);
    if (r < 0)
        return r;

    struct leaving leaving = {.pauses = false};
    for (size_t i = 0; i < core->changes_count; i++)
        clean(core, &core->changes[i], &leaving);
    core->changes_count = 0;
    if (leaving.pauses)
        sweep_pauses(core);
    if (leaving.alerts)
        alert_sweep(core);
    return leaving.suppressions ? sweep_suppressions(core) : 0;
}

/* ---- Loading ---- */

static int load_invite(struct coord *core, const struct row_invite *row)
{
    if (row->handle != core->invites_count)
        return flz_fail(-EPROTO);
    int r = flz_grow((void **)&core->invites, &core->invites_capacity, core->invites_count + 1,
                     sizeof *core->invites);
    if (r == 0)
        r = flz_map_set(&core->invites_by_token, state_digest_key(row->token, 0), row->handle);
    if (r < 0)
        return r;
    core->invites[core->invites_count++] = (struct invite_state){.row = *row};
    return 0;
}

static int load_node(struct coord *core, const struct row_node *row)
{
    struct row_node bare = *row;
    bare.packs = NULL;
    bare.packs_count = 0;
    bare.revocation = FLZ_VIEW_NULL;
    int r = fold_node_add(core, &bare);
    if (r == 0)
        r = fold_node_packs(&core->nodes[row->handle], row->packs, row->packs_count);
    return r < 0 ? r : fold_node_revocation(&core->nodes[row->handle], row->revocation);
}

static int load_account(struct coord *core, const struct row_account *row)
{
    bool bound = row->node < core->nodes_count || row->state == ACCOUNT_FORGOTTEN;
    int r = bound ? fold_account_add(core, row) : flz_fail(-EPROTO);
    return r < 0 || row->state != ACCOUNT_LIVE ? r : state_presence_add(core, row, 1);
}

static int load_day(struct coord *core, const struct row_day *row)
{
    struct day_state *day = state_day(core, row->account, row->date);
    if (!day)
        return flz_fail(-ENOMEM);
    day->row = *row;
    return 0;
}

static void load_open(struct coord *core, const struct row_task *task)
{
    if (task->state == TASK_OPEN && task->node < core->nodes_count)
        core->nodes[task->node].open++;
}

static int load_exchange(struct coord *core, const struct row_exchange *row)
{
    int r = row->from < core->accounts_count && row->to < core->accounts_count
                ? state_live_add(core, row)
                : flz_fail(-EPROTO);
    if (r < 0)
        return r;
    for (size_t i = 0; i < row->turns_count; i++) {
        load_open(core, &row->turns[i].send);
        load_open(core, &row->turns[i].find);
        load_open(core, &row->turns[i].unspam);
        load_open(core, &row->turns[i].open);
    }
    load_open(core, &row->tidy_from);
    load_open(core, &row->tidy_to);
    struct live *x = state_live(core, row->handle);
    r = aggregate_hold(core, x, 1);
    return r < 0 ? r : state_wake(core, x, core->network.now);
}

static int load_network(struct coord *core, const struct row_network *row)
{
    if (!flz_id_equal(row->id, core->network.id))
        return flz_fail(-EPROTO);
    core->network = *row;
    core->network.forgotten = NULL;
    core->network.forgotten_count = 0;
    return fold_forgotten_set(core, row->forgotten, row->forgotten_count);
}

int coord_load_row(struct coord *core, enum row_kind kind, const void *row)
{
    uint32_t i;
    switch (kind) {
    case ROW_NETWORK: return load_network(core, row);
    case ROW_SETTING: return fold_setting_add(core, row, &i);
    case ROW_NAME: return fold_name_add(core, row);
    case ROW_INVITE: return load_invite(core, row);
    case ROW_NODE: return load_node(core, row);
    case ROW_ACCOUNT: return load_account(core, row);
    case ROW_PAUSE: return fold_pause_add(core, row);
    case ROW_SUPPRESSION: return fold_suppression_add(core, row);
    case ROW_CONTACT: return fold_contact_add(core, row, &i);
    case ROW_DAY: return load_day(core, row);
    case ROW_EXCHANGE: return load_exchange(core, row);
    case ROW_TALLY: return tally_load(core, row);
    case ROW_STANDING: return standing_set(core, row, &i);
    case ROW_ALERT: return alert_load(core, row);
    case ROW_DAY_OLD:
    case ROW_EXCHANGE_OLD:
    case ROW_TALLY_OLD: return 0;
    }
    return flz_fail(-EPROTO);
}
