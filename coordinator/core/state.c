#include "coordinator/core/state.h"

#include "common/base/hash.h"
#include "common/base/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node_state *state_node(const struct coord *core, uint32_t node)
{
    return node < core->nodes_count ? &core->nodes[node] : NULL;
}

struct account_state *state_account(const struct coord *core, uint32_t account)
{
    return account < core->accounts_count ? &core->accounts[account] : NULL;
}

struct name_state *state_name(const struct coord *core, enum row_name_kind kind, uint32_t handle)
{
    if (kind < NAME_DOMAIN || kind > NAME_PROVIDER || handle >= core->names[kind].count)
        return NULL;
    return &core->names[kind].items[handle];
}

struct live *state_live(const struct coord *core, uint32_t exchange)
{
    if (exchange < core->live_base || exchange - core->live_base >= core->live_count)
        return NULL;
    struct live *x = core->live[exchange - core->live_base];
    return x && x->row.state != EXCHANGE_ENDED ? x : NULL;
}

struct pause_state *state_pause(const struct coord *core, uint32_t pause)
{
    for (size_t i = 0; i < core->pauses_count; i++)
        if (core->pauses[i].live && core->pauses[i].row.handle == pause)
            return &core->pauses[i];
    return NULL;
}

struct flz_id state_digest_key(struct flz_digest digest, uint32_t kind)
{
    struct flz_id id;
    memcpy(id.b, digest.b, sizeof id.b);
    id.b[0] ^= (uint8_t)kind;
    return id;
}

struct flz_id state_pair_key(uint32_t high, uint32_t low)
{
    return flz_id_of_u64((uint64_t)high << 32 | low);
}

uint32_t state_find_name(const struct coord *core, enum row_name_kind kind,
                         struct flz_digest digest)
{
    return flz_map_get(&core->names_by_digest, state_digest_key(digest, kind));
}

uint32_t state_find_text(const struct coord *core, enum row_name_kind kind, const char *text)
{
    for (uint32_t i = 0; i < core->names[kind].count; i++)
        if (strcmp(core->names[kind].items[i].row.text, text) == 0)
            return i;
    return COORD_NONE;
}

uint32_t state_find_node_name(const struct coord *core, const char *name)
{
    uint32_t found = COORD_NONE;
    for (uint32_t i = 0; i < core->nodes_count; i++)
        if (strcmp(core->nodes[i].row.name, name) == 0)
            found = i;
    return found;
}

bool state_is_suppressed(const struct coord *core, struct flz_digest address)
{
    return flz_map_get(&core->suppressed, state_digest_key(address, 0)) != FLZ_MAP_NONE;
}

static struct flz_id presence_key(enum row_name_kind kind, uint32_t name, uint32_t node)
{
    struct flz_id id = state_pair_key(name, node);
    id.b[0] = (uint8_t)kind;
    return id;
}

const struct row_suppression *state_suppression(const struct coord *core, struct flz_digest address)
{
    uint32_t i = flz_map_get(&core->suppressed, state_digest_key(address, 0));
    return i == FLZ_MAP_NONE ? NULL : &core->suppressions[i].row;
}

uint32_t state_presence(const struct coord *core, enum row_name_kind kind, uint32_t name,
                        uint32_t node)
{
    uint32_t n = flz_map_get(&core->presence, presence_key(kind, name, node));
    return n == FLZ_MAP_NONE ? 0 : n;
}

int state_presence_add(struct coord *core, const struct row_account *account, int32_t change)
{
    const struct {
        enum row_name_kind kind;
        uint32_t name;
    } names[] = {{NAME_DOMAIN, account->domain}, {NAME_PROVIDER, account->provider}};
    for (size_t i = 0; i < 2; i++) {
        uint32_t n = state_presence(core, names[i].kind, names[i].name, account->node);
        int r =
            flz_map_set(&core->presence, presence_key(names[i].kind, names[i].name, account->node),
                        n + (uint32_t)change);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- Days ---- */

const struct day_state *state_find_day(const struct coord *core, uint32_t account, int32_t date)
{
    uint32_t i = flz_map_get(&core->days_by_key, state_pair_key(account, (uint32_t)date));
    return i == FLZ_MAP_NONE ? NULL : &core->days[i];
}

struct day_state *state_day(struct coord *core, uint32_t account, int32_t date)
{
    struct flz_id key = state_pair_key(account, (uint32_t)date);
    uint32_t i = flz_map_get(&core->days_by_key, key);
    if (i != FLZ_MAP_NONE)
        return &core->days[i];

    bool reuse = core->days_free_count > 0;
    if (!reuse && flz_grow((void **)&core->days, &core->days_capacity, core->days_count + 1,
                           sizeof *core->days) < 0)
        return NULL;
    i = reuse ? core->days_free[core->days_free_count - 1] : (uint32_t)core->days_count;
    if (flz_map_set(&core->days_by_key, key, i) < 0)
        return NULL;
    if (reuse)
        core->days_free_count--;
    else
        core->days_count++;
    core->days[i] = (struct day_state){.row = {.account = account, .date = date}, .live = true};
    return &core->days[i];
}

/* Gives the slot of an archived day back; without memory for the list it stays unused. */
void state_day_free(struct coord *core, uint32_t index)
{
    core->days[index].dirty = false;
    if (flz_grow((void **)&core->days_free, &core->days_free_capacity, core->days_free_count + 1,
                 sizeof *core->days_free) == 0)
        core->days_free[core->days_free_count++] = index;
}

int state_touch(struct coord *core, enum row_kind kind, uint32_t index, bool *dirty)
{
    if (*dirty)
        return 0;
    int r = flz_grow((void **)&core->changes, &core->changes_capacity, core->changes_count + 1,
                     sizeof *core->changes);
    if (r < 0)
        return r;
    core->changes[core->changes_count++] = (struct change){.kind = kind, .index = index};
    *dirty = true;
    return 0;
}

/* ---- Exchanges ---- */

struct row_task *state_task(struct live *x, uint32_t turn, uint32_t kind)
{
    if (kind == FLZ_TASK_TIDY)
        return turn == 0 ? &x->row.tidy_from : turn == 1 ? &x->row.tidy_to : NULL;
    if (turn >= x->row.turns_count)
        return NULL;
    struct row_turn *t = &x->turns[turn];
    switch (kind) {
    case FLZ_TASK_SEND: return turn == 0 ? &t->send : NULL;
    case FLZ_TASK_REPLY: return turn > 0 ? &t->send : NULL;
    case FLZ_TASK_FIND: return &t->find;
    case FLZ_TASK_UNSPAM: return &t->unspam;
    case FLZ_TASK_OPEN: return &t->open;
    default: return NULL;
    }
}

/* Room for the handle: the window over live handles moves up as the oldest end. */
static int live_room(struct coord *core, uint32_t exchange)
{
    /* Whoever has ended stays so: the count goes on where it was. */
    size_t ended = core->live_ended;
    while (ended < core->live_count && !core->live[ended])
        ended++;
    core->live_ended = ended;
    if (core->live_count == 0)
        core->live_base = exchange;
    if (ended > 0 && (ended == core->live_count || ended > core->live_count / 2)) {
        memmove(core->live, core->live + ended, (core->live_count - ended) * sizeof *core->live);
        core->live_count -= ended;
        core->live_ended = 0;
        core->live_base = core->live_count > 0 ? core->live_base + (uint32_t)ended : exchange;
    }
    if (exchange < core->live_base)
        return flz_fail(-EPROTO);
    size_t need = (size_t)(exchange - core->live_base) + 1;
    int r = flz_grow((void **)&core->live, &core->live_capacity, need, sizeof *core->live);
    if (r < 0)
        return r;
    while (core->live_count < need)
        core->live[core->live_count++] = NULL;
    return 0;
}

int state_live_add(struct coord *core, const struct row_exchange *row)
{
    int r = live_room(core, row->handle);
    if (r < 0)
        return r;
    struct live **slot = &core->live[row->handle - core->live_base];
    if (*slot || row->turns_count == 0 || row->turns_count > FLZ_TURNS_MAX)
        return flz_fail(-EPROTO);
    struct live *x = calloc(1, sizeof *x + row->turns_count * sizeof *x->turns);
    if (!x)
        return flz_fail(-ENOMEM);
    x->row = *row;
    memcpy(x->turns, row->turns, row->turns_count * sizeof *x->turns);
    x->row.turns = x->turns;
    x->wake = FLZ_NEVER;
    *slot = x;
    return flz_map_set(&core->live_by_id, row->id, row->handle);
}

void state_live_free(struct coord *core, uint32_t exchange)
{
    struct live **slot = &core->live[exchange - core->live_base];
    flz_map_remove(&core->live_by_id, (*slot)->row.id);
    free(*slot);
    *slot = NULL;
}

int state_wake(struct coord *core, struct live *x, int64_t at)
{
    if (x->wake == at)
        return 0;
    x->wake = at;
    return at == FLZ_NEVER ? 0 : flz_heap_push(&core->due, at, x->row.handle);
}
