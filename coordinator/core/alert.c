#include "coordinator/core/alert.h"

#include "coordinator/core/state.h"

#include <errno.h>
#include <string.h>

const char *alert_name(uint32_t code)
{
    static const char *const names[ROW_ALERT_CODE_MAX + 1] = {
        [ALERT_NODE_LOST] = "node-lost",
        [ALERT_LOGIN] = "login",
        [ALERT_MAILBOX_FULL] = "mailbox-full",
        [ALERT_IDLE] = "idle",
        [ALERT_DISK] = "disk",
        [ALERT_CLOCK] = "clock",
        [ALERT_DNS] = "dns",
        [ALERT_HEALTH] = "health",
    };
    return code <= ROW_ALERT_CODE_MAX && names[code] ? names[code] : "?";
}

/* ---- Looking ---- */

static struct flz_id key_of(uint32_t code, uint32_t scope, uint32_t subject)
{
    return state_pair_key(code << 8 | scope, subject);
}

/* Handles are given in order, and what is forgotten leaves the order as it was. */
static struct alert_state *find(const struct coord *core, uint32_t alert)
{
    size_t low = 0;
    size_t high = core->alerts_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (core->alerts[middle].row.handle < alert)
            low = middle + 1;
        else
            high = middle;
    }
    bool there = low < core->alerts_count && core->alerts[low].row.handle == alert;
    return there && core->alerts[low].live ? &core->alerts[low] : NULL;
}

const struct row_alert *coord_alert_by_handle(const struct coord *core, uint32_t alert)
{
    const struct alert_state *state = find(core, alert);
    return state ? &state->row : NULL;
}

const struct row_alert *coord_alert_open(const struct coord *core, uint32_t code, uint32_t scope,
                                         uint32_t subject)
{
    uint32_t alert = flz_map_get(&core->alerts_open, key_of(code, scope, subject));
    return alert == FLZ_MAP_NONE ? NULL : coord_alert_by_handle(core, alert);
}

size_t coord_alert_count(const struct coord *core)
{
    return core->alerts_count;
}

const struct row_alert *coord_alert(const struct coord *core, size_t index)
{
    return index < core->alerts_count && core->alerts[index].live ? &core->alerts[index].row : NULL;
}

/* ---- Deciding ---- */

static int emit(struct coord *core, uint32_t type, uint32_t alert,
                const struct alert_notice *notice)
{
    struct event event = {.type = type, .alert = {.alert = alert}};
    if (notice->holds) {
        event.alert.code = notice->code;
        event.alert.severity = notice->severity;
        event.alert.scope = notice->scope;
        event.alert.subject = notice->subject;
        event.alert.count = notice->count;
        event.alert.example = notice->example;
        event.alert.value = notice->value;
    }
    return coord_emit(core, event);
}

/* What is worth an event: not each tick of what is measured. */
static bool has_changed(const struct row_alert *row, const struct alert_notice *notice)
{
    uint32_t more =
        row->count > notice->count ? row->count - notice->count : notice->count - row->count;
    return row->severity != notice->severity || more * 4 > row->count;
}

/* The event that a notice makes, or 0. */
static uint32_t event_of(const struct coord *core, const struct row_alert *open,
                         const struct alert_notice *notice)
{
    if (!open)
        return notice->holds && core->alerts_open.count < ALERTS_OPEN_MAX ? EVENT_ALERT_OPENED : 0;
    if (!notice->holds)
        return EVENT_ALERT_RESOLVED;
    return has_changed(open, notice) ? EVENT_ALERT_UPDATED : 0;
}

static const struct row_alert *open_of(const struct coord *core, const struct alert_notice *notice)
{
    return coord_alert_open(core, notice->code, notice->scope, notice->subject);
}

bool coord_alert_is_news(const struct coord *core, const struct alert_notice *notice)
{
    return event_of(core, open_of(core, notice), notice) != 0;
}

int alert_notice(struct coord *core, const struct alert_notice *notice)
{
    const struct row_alert *open = open_of(core, notice);
    uint32_t type = event_of(core, open, notice);
    return type == 0 ? 0 : emit(core, type, open ? open->handle : core->network.alerts + 1, notice);
}

int alert_ack(struct coord *core, const struct coord_command *command, struct coord_update *update)
{
    const struct row_alert *row = coord_alert_by_handle(core, command->alert_ack.alert);
    int64_t until = command->alert_ack.silent_until;
    if (!row)
        flz_msg_set(&update->message, "there is no alert %u", command->alert_ack.alert);
    else if (row->resolved_at)
        flz_msg_set(&update->message, "alert %u is over", command->alert_ack.alert);
    else if (until != 0 && until <= core->clock)
        flz_msg_set(&update->message, "the silence would end before it begins");
    update->refused = update->message.text[0] != '\0';
    if (update->refused)
        return 0;
    struct event event = {
        .type = EVENT_ALERT_ACKED,
        .alert_acked = {.alert = row->handle, .silent_until = until},
    };
    memcpy(event.alert_acked.by, command->alert_ack.by, sizeof event.alert_acked.by);
    memcpy(event.alert_acked.reason, command->alert_ack.reason, sizeof event.alert_acked.reason);
    return coord_emit(core, event);
}

/* ---- Folding ---- */

static int touch(struct coord *core, struct alert_state *state)
{
    return state_touch(core, ROW_ALERT, (uint32_t)(state - core->alerts), &state->dirty);
}

int alert_load(struct coord *core, const struct row_alert *row)
{
    const struct alert_state *last =
        core->alerts_count > 0 ? &core->alerts[core->alerts_count - 1] : NULL;
    struct flz_id key = key_of(row->code, row->scope, row->subject);
    bool open = row->resolved_at == 0;
    if ((last && last->row.handle >= row->handle) ||
        (open && flz_map_get(&core->alerts_open, key) != FLZ_MAP_NONE))
        return flz_fail(-EPROTO);
    int r = flz_grow((void **)&core->alerts, &core->alerts_capacity, core->alerts_count + 1,
                     sizeof *core->alerts);
    if (r == 0 && open)
        r = flz_map_set(&core->alerts_open, key, row->handle);
    if (r < 0)
        return r;
    core->alerts[core->alerts_count++] = (struct alert_state){.row = *row, .live = true};
    core->alerts_resolved += !open;
    return 0;
}

/* The oldest of too many that are over. */
static int forget_one(struct coord *core)
{
    for (size_t i = 0; i < core->alerts_count; i++) {
        struct alert_state *state = &core->alerts[i];
        if (!state->live || state->row.resolved_at == 0)
            continue;
        state->live = false;
        core->alerts_resolved--;
        return touch(core, state);
    }
    return 0;
}

static int fold_opened(struct coord *core, const struct event *event)
{
    const struct event_alert *e = &event->alert;
    if (e->alert != core->network.alerts + 1 || e->code == 0 || e->code > ROW_ALERT_CODE_MAX)
        return flz_fail(-EPROTO);
    struct row_alert row = {
        .handle = e->alert,
        .code = e->code,
        .severity = e->severity,
        .scope = e->scope,
        .subject = e->subject,
        .count = e->count,
        .example = e->example,
        .value = e->value,
        .opened_at = event->at,
        .updated_at = event->at,
    };
    int r = alert_load(core, &row);
    if (r < 0)
        return r;
    core->network.alerts++;
    return touch(core, &core->alerts[core->alerts_count - 1]);
}

static int fold_resolved(struct coord *core, const struct event *event, struct alert_state *state)
{
    flz_map_remove(&core->alerts_open,
                   key_of(state->row.code, state->row.scope, state->row.subject));
    state->row.resolved_at = event->at;
    core->alerts_resolved++;
    int r = touch(core, state);
    return r == 0 && core->alerts_resolved > ALERTS_RESOLVED_KEPT ? forget_one(core) : r;
}

static void fold_acked(const struct event *event, struct row_alert *row)
{
    const struct event_alert_acked *e = &event->alert_acked;
    row->acked_at = event->at;
    row->silent_until = e->silent_until;
    memcpy(row->acked_by, e->by, sizeof row->acked_by);
    memcpy(row->reason, e->reason, sizeof row->reason);
}

int alert_fold(struct coord *core, const struct event *event)
{
    if (event->type == EVENT_ALERT_OPENED)
        return fold_opened(core, event);
    bool acked = event->type == EVENT_ALERT_ACKED;
    struct alert_state *state = find(core, acked ? event->alert_acked.alert : event->alert.alert);
    if (!state || state->row.resolved_at != 0)
        return flz_fail(-EPROTO);
    if (event->type == EVENT_ALERT_RESOLVED)
        return fold_resolved(core, event, state);
    if (acked) {
        fold_acked(event, &state->row);
        return touch(core, state);
    }
    state->row.severity = event->alert.severity;
    state->row.count = event->alert.count;
    state->row.example = event->alert.example;
    state->row.value = event->alert.value;
    state->row.updated_at = event->at;
    return touch(core, state);
}

void alert_sweep(struct coord *core)
{
    size_t kept = 0;
    for (size_t i = 0; i < core->alerts_count; i++)
        if (core->alerts[i].live)
            core->alerts[kept++] = core->alerts[i];
    core->alerts_count = kept;
}
