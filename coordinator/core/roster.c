/* Accounts: registration, binding, consent, readiness; who may act and who may be written to. */
#include "coordinator/core/state.h"

#include "common/base/hash.h"
#include "common/base/time.h"
#include "coordinator/core/ramp.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUOTA_PERMILLE_MAX                                                                         \
    950 /* a mailbox this full is not written to; 1001: the server tells none */
#define QUOTA_UNTOLD 1001

/* ---- Gates ---- */

static struct gate lasting(uint32_t reason, uint32_t fault)
{
    return (struct gate){.reason = reason, .fault = fault, .lasting = true};
}

/* `own` is the fault when the trouble lies with the account's node: sender's or recipient's. */
static struct gate may_act(const struct coord *core, uint32_t handle, uint32_t actions,
                           uint32_t own)
{
    const struct account_state *account = &core->accounts[handle];
    const struct row_account *row = &account->row;
    /* Named by receipts; its node has yet to register it again with this restored log. */
    if (row->state == ACCOUNT_FORGOTTEN && recovery_is_on(core))
        return (struct gate){.reason = VOID_GONE, .fault = own, .until = FLZ_NEVER};
    if (row->state != ACCOUNT_LIVE)
        return lasting(VOID_GONE, FAULT_OWNER);
    if (core->nodes[row->node].row.state != NODE_JOINED)
        return lasting(VOID_REVOKED, own);
    if (row->consent_ended || core->clock > row->consent_until ||
        (row->consent_actions & actions) != actions)
        return lasting(VOID_CONSENT, FAULT_OWNER);
    if (state_is_suppressed(core, row->address))
        return lasting(VOID_SUPPRESSED, FAULT_OWNER);
    if (core->clock < row->consent_given)
        return (struct gate){
            .reason = VOID_CONSENT, .fault = FAULT_OWNER, .until = row->consent_given};
    uint32_t pause = pause_of_account(core, account);
    if (pause)
        return (struct gate){.reason = VOID_PAUSED,
                             .fault = FAULT_OWNER,
                             .until = state_pause(core, pause - 1)->row.until};
    return (struct gate){.reason = VOID_NONE};
}

struct gate roster_may_act(const struct coord *core, uint32_t account, uint32_t actions)
{
    return may_act(core, account, actions, FAULT_RECIPIENT_NODE);
}

struct gate roster_ready(const struct coord *core, const struct account_state *account)
{
    const struct row_account *row = &account->row;
    bool full = row->quota_permille >= QUOTA_PERMILLE_MAX && row->quota_permille < QUOTA_UNTOLD;
    bool stale = !row->probe_at || core->clock - row->probe_at > core->policy.probe_age_ms_max;
    if (!stale && row->login_ok && !full && !row->mx_changed && !row->opt_out && !row->denied)
        return (struct gate){.reason = VOID_NONE};
    return (struct gate){.reason = VOID_UNREADY,
                         .fault = stale ? FAULT_RECIPIENT_NODE : FAULT_RECIPIENT,
                         .until = FLZ_NEVER};
}

struct gate roster_may_send(const struct coord *core, uint32_t from, uint32_t to, uint32_t action)
{
    struct gate sender = may_act(core, from, action, FAULT_SENDER_NODE);
    if (sender.reason && sender.lasting)
        return sender;
    struct gate recipient = may_act(core, to, FLZ_ACTION_OPEN, FAULT_RECIPIENT_NODE);
    if (recipient.reason && recipient.lasting)
        return recipient;
    if (sender.reason)
        return sender;
    if (recipient.reason)
        return recipient;
    if (core->accounts[to].row.answers_until > core->clock)
        return (struct gate){.reason = VOID_UNREADY,
                             .fault = FAULT_RECIPIENT,
                             .until = core->accounts[to].row.answers_until};
    struct gate ready = roster_ready(core, &core->accounts[from]);
    if (ready.reason) {
        ready.fault = ready.fault == FAULT_RECIPIENT ? FAULT_SENDER : FAULT_SENDER_NODE;
        return ready;
    }
    return roster_ready(core, &core->accounts[to]);
}

/* ---- Reports about accounts ---- */

int roster_refuse(struct coord *core, const struct flz_report *report, struct coord_update *update,
                  const char *format, ...)
{
    struct event event = {.type = EVENT_REPORT_REFUSED, .report_refused = {.kind = report->kind}};
    switch (report->kind) {
    case FLZ_REPORT_ACCOUNT: event.report_refused.account = report->account.id; break;
    case FLZ_REPORT_PROBE: event.report_refused.account = report->probe.account; break;
    case FLZ_REPORT_RELEASE: event.report_refused.account = report->released; break;
    default: event.report_refused.account = report->receipt.account; break;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(update->message.text, sizeof update->message.text, format, args);
    va_end(args);
    (void)snprintf(event.report_refused.text, sizeof event.report_refused.text, "%.*s",
                   FLZ_REPLY_TEXT_MAX - 1, update->message.text);
    update->refused = true;
    return coord_emit(core, event);
}

/* A range that no flz_away_parse() would make. */
static bool has_bad_range(const struct flz_days_off *off)
{
    for (size_t i = 0; i < FLZ_AWAY_MAX; i++) {
        const struct flz_date_range *range = &off->away[i];
        if (range->first < 0 || range->last < range->first ||
            range->last - range->first >= FLZ_AWAY_DAYS_MAX)
            return true;
    }
    return false;
}

/* What is wrong with the settings, in words; "" when nothing is. */
static void check_settings(const struct coord *core, const struct flz_account *a,
                           struct flz_msg *message)
{
    if (a->start_minute >= 1440 || a->end_minute > 1440 || a->start_minute == a->end_minute)
        flz_msg_set(message, "hours: minutes %u to %u are no window of a day", a->start_minute,
                    a->end_minute);
    else if (a->days == 0 || a->days > 127)
        flz_msg_set(message, "days: at least one of the week's seven is needed");
    else if (a->target > 40)
        flz_msg_set(message, "target: %u messages a day; at most 40", a->target);
    else if (a->intensity > FLZ_INTENSITY_HIGH || (a->intensity == 0 && a->target == 0))
        flz_msg_set(message, "intensity: low, medium or high, or a target of 1 to 40 a day");
    else if (a->profile < FLZ_PROFILE_NEW || a->profile > FLZ_PROFILE_RECOVERY)
        flz_msg_set(message, "profile: new, existing, low_use or recovery");
    else if (!a->language[0] || !a->zone[0] || !a->provider[0])
        flz_msg_set(message, "language, time zone and provider are needed");
    else if (has_bad_range(&a->days_off))
        flz_msg_set(message, "blackout: a range of dates ends before it begins, or after a year");
    else if (a->days_off.holidays[0] && flz_holidays_check(a->days_off.holidays, message) < 0)
        flz_msg_wrap(message, "holidays");
    else if (!(a->consent.actions & (FLZ_ACTION_SEND | FLZ_ACTION_OPEN)))
        flz_msg_set(message, "consent: it covers neither sending nor opening");
    else if (a->consent.until <= core->clock || a->consent.until <= a->consent.given)
        flz_msg_set(message, "consent: it has ended; ask the owner again");
}

static const char *node_name(const struct coord *core, uint32_t node)
{
    return core->nodes[node].row.name;
}

/* Whether this node may register the known account, in words; "" when it may. */
static void check_binding(const struct coord *core, const struct coord_command *command,
                          const struct row_account *row, struct flz_msg *message)
{
    int64_t given = command->report.report->account.consent.given;
    bool elsewhere = row->state == ACCOUNT_LIVE && row->node != command->node &&
                     core->nodes[row->node].row.state == NODE_JOINED;
    if (elsewhere)
        flz_msg_set(message,
                    "this address belongs to node %s: give it up there first (on that node's host: "
                    "fluenzrctl account release ADDRESS; another socket than the usual one: -e "
                    "ENDPOINT), or have the administrator revoke that node",
                    node_name(core, row->node));
    else if (row->consent_ended && given <= row->consent_ended)
        flz_msg_set(message, "its owner said stop after this consent was given: a new consent is "
                             "needed");
    else if (row->state == ACCOUNT_REMOVED && given <= row->bound_at)
        flz_msg_set(message, "it was removed by the administrator: a new consent is needed");
}

/* A name's handle: known, or the next of its kind. */
static uint32_t name_handle(const struct coord *core, enum row_name_kind kind,
                            struct flz_digest digest)
{
    uint32_t handle = state_find_name(core, kind, digest);
    return handle == COORD_NONE ? (uint32_t)core->names[kind].count : handle;
}

static void fill_account(const struct coord *core, const struct coord_command *command,
                         struct event_account *e)
{
    const struct flz_account *a = &command->report.report->account;
    e->node = command->node;
    e->address = command->report.address;
    e->domain = name_handle(core, NAME_DOMAIN, command->report.domain);
    e->owner = name_handle(core, NAME_OWNER, command->report.owner);
    e->provider = name_handle(core, NAME_PROVIDER, flz_digest_of(flz_view_str(a->provider)));
    e->domain_digest = command->report.domain;
    e->owner_digest = command->report.owner;
    memcpy(e->domain_name, command->report.domain_name, sizeof e->domain_name);
    memcpy(e->provider_name, a->provider, sizeof e->provider_name);
    memcpy(e->zone, a->zone, sizeof e->zone);
    e->start_minute = a->start_minute;
    e->end_minute = a->end_minute;
    e->days = a->days;
    e->intensity = a->intensity;
    e->target = a->target;
    e->profile = a->profile;
    memcpy(e->language, a->language, sizeof e->language);
    e->volume = a->volume;
    e->days_off = a->days_off;
    e->consent_given = a->consent.given;
    e->consent_until = a->consent.until;
    e->consent_actions = a->consent.actions;
}

/* The end of the newest slot that the account's old node may still use. */
static int64_t old_slots_end(const struct coord *core, uint32_t account)
{
    int64_t end = 0;
    for (size_t i = 0; i < core->live_count; i++) {
        const struct live *x = core->live[i];
        for (uint32_t turn = 0; x && turn < x->row.turns_count; turn++)
            if (x->turns[turn].send.state == TASK_OPEN &&
                exchange_sender(&x->row, turn) == account && x->turns[turn].send_until > end)
                end = x->turns[turn].send_until;
    }
    return end;
}

/* It waits at its old node no more. */
static void forget_waiting(struct coord *core, uint32_t account)
{
    for (size_t i = 0; i < core->live_count; i++) {
        struct live *x = core->live[i];
        if (x && x->row.from == account)
            x->waiting[0] = false;
        if (x && x->row.to == account)
            x->waiting[1] = false;
    }
}

static void bind_known(struct coord *core, const struct row_account *row, struct event_account *e)
{
    bool binds = row->state != ACCOUNT_LIVE || row->node != e->node;
    e->account = row->handle;
    e->id = row->id;
    e->generation = row->generation + binds;
    e->begins_at = row->begins_at;
    if (!binds)
        return;
    int64_t end = old_slots_end(core, row->handle);
    if (end > e->begins_at)
        e->begins_at = end;
    forget_waiting(core, row->handle);
}

/* Whether the change may end what is planned: another node, less consent. */
static bool is_narrower(const struct row_account *row, const struct event_account *e)
{
    return row->generation != e->generation || (row->consent_actions & ~e->consent_actions) ||
           e->consent_until < row->consent_until || e->consent_given > row->consent_given;
}

/* The account that is registered: known by its address, or, forgotten, by its id alone. */
static uint32_t known_as(const struct coord *core, const struct coord_command *command)
{
    uint32_t known = coord_find_address(core, command->report.address);
    if (known != COORD_NONE)
        return known;
    known = coord_find_account(core, command->report.report->account.id);
    return known != COORD_NONE && core->accounts[known].row.state == ACCOUNT_FORGOTTEN
               ? known
               : COORD_NONE;
}

uint32_t roster_hours_room(const struct coord *core, const struct row_account *row)
{
    uint32_t minutes = row->end_minute > row->start_minute
                           ? row->end_minute - row->start_minute
                           : row->end_minute + 1440 - row->start_minute;
    if (core->policy.spacing_ms == 0)
        return UINT32_MAX; /* no policy's value, but a benchmark's */
    return (uint32_t)((minutes * FLZ_MINUTE_MS - 1) / core->policy.spacing_ms) + 1;
}

/* What its owner should know of an account that was taken. */
static void advise(const struct coord *core, uint32_t handle, struct flz_msg *message)
{
    const struct row_account *row = &core->accounts[handle].row;
    struct ramp_settings settings = ramp_settings_of(row);
    struct ramp_state state = ramp_state_on(row, (int32_t)(core->clock / FLZ_DAY_MS));
    uint32_t advised = ramp_prospecting(&state, &settings).high;
    uint32_t room = roster_hours_room(core, row);
    uint32_t goal = ramp_goal(&settings);
    if (row->volume > advised)
        flz_msg_set(message,
                    "warning: %u own messages a day are declared, at most %u are advised in this "
                    "phase; warming goes on all the same",
                    row->volume, advised);
    else if (room < goal)
        flz_msg_set(message,
                    "warning: its hours have room for %u messages a day at a spacing of %lld "
                    "minutes; %u are wanted in the end",
                    room, (long long)(core->policy.spacing_ms / FLZ_MINUTE_MS), goal);
}

int roster_register(struct coord *core, const struct coord_command *command,
                    struct coord_update *update)
{
    const struct flz_report *report = command->report.report;
    uint32_t known = known_as(core, command);
    struct flz_msg message = FLZ_MSG_NULL;
    check_settings(core, &report->account, &message);
    if (!message.text[0] && known != COORD_NONE)
        check_binding(core, command, &core->accounts[known].row, &message);
    else if (!message.text[0] && coord_find_account(core, report->account.id) != COORD_NONE)
        flz_msg_set(&message, "this account id belongs to another address");
    if (!message.text[0] && state_is_suppressed(core, command->report.address))
        flz_msg_set(&message, "this address is on the suppression list");
    if (message.text[0])
        return roster_refuse(core, report, update, "%s", message.text);

    struct event event = {.type = EVENT_ACCOUNT};
    struct event_account *e = &event.account;
    fill_account(core, command, e);
    bool narrower = false;
    if (known != COORD_NONE) {
        bind_known(core, &core->accounts[known].row, e);
        narrower = is_narrower(&core->accounts[known].row, e);
    } else {
        e->account = (uint32_t)core->accounts_count;
        e->id = report->account.id;
        e->generation = 1;
    }
    update->handle = e->account;
    int r = coord_emit(core, event);
    if (r < 0)
        return r;
    advise(core, update->handle, &update->message);
    return narrower ? exchange_advance_all(core, known) : 0;
}

/* The account of a report, if it is this node's. */
static struct account_state *of_node(struct coord *core, const struct coord_command *command,
                                     struct flz_id id)
{
    struct account_state *account = state_account(core, coord_find_account(core, id));
    if (!account || account->row.state != ACCOUNT_LIVE || account->row.node != command->node)
        return NULL;
    return account;
}

int roster_probe(struct coord *core, const struct coord_command *command,
                 struct coord_update *update)
{
    const struct flz_report *report = command->report.report;
    const struct flz_probe *probe = &report->probe;
    const struct account_state *account = of_node(core, command, probe->account);
    if (!account)
        return roster_refuse(core, report, update, "this account is not of this node");

    static const struct flz_digest none;
    const struct row_account *row = &account->row;
    bool known = memcmp(row->mx.b, none.b, sizeof none.b) != 0;
    struct event event = {
        .type = EVENT_PROBE,
        .probe = {.account = row->handle,
                  /* A node's clock may run ahead; nothing stays fresh longer for it. */
                  .at = probe->at < core->clock ? probe->at : core->clock,
                  .login_ok = probe->login_ok,
                  .reason = probe->reason,
                  .quota_permille = probe->quota_permille,
                  .mx = probe->mx,
                  .mx_changed = known && memcmp(row->mx.b, probe->mx.b, sizeof none.b) != 0,
                  .opt_out = probe->opt_out,
                  .denied = probe->denied,
                  .tries = probe->tries,
                  .next_at = probe->next_at},
    };
    memcpy(event.probe.text, probe->text, sizeof event.probe.text);
    update->handle = row->handle;
    return coord_emit(core, event);
}

int roster_release(struct coord *core, const struct coord_command *command,
                   struct coord_update *update)
{
    const struct flz_report *report = command->report.report;
    const struct account_state *account = of_node(core, command, report->released);
    if (!account)
        return roster_refuse(core, report, update, "this account is not of this node");
    update->handle = account->row.handle;
    struct event event = {.type = EVENT_RELEASED, .released = {.account = update->handle}};
    int r = coord_emit(core, event);
    return r < 0 ? r : exchange_advance_all(core, update->handle);
}

/* ---- Owners and administrators ---- */

static bool refuse(struct coord_update *update, const char *text)
{
    flz_msg_set(&update->message, "%s", text);
    update->refused = true;
    return true;
}

static bool is_forgotten(const struct account_state *account, struct coord_update *update)
{
    return account->row.state == ACCOUNT_FORGOTTEN &&
           refuse(update, "it is known from receipts alone: its node has not registered it again");
}

int roster_end_consent(struct coord *core, const struct coord_command *command,
                       struct coord_update *update)
{
    const struct account_state *account = state_account(core, command->account);
    if ((!account && refuse(update, "no such account")) || is_forgotten(account, update) ||
        (account->row.consent_ended && refuse(update, "its consent has ended already")))
        return 0;
    update->handle = command->account;
    struct event event = {.type = EVENT_CONSENT_ENDED,
                          .consent_ended = {.account = command->account}};
    int r = coord_emit(core, event);
    return r < 0 ? r : exchange_advance_all(core, command->account);
}

int roster_remove(struct coord *core, const struct coord_command *command,
                  struct coord_update *update)
{
    const struct account_state *account = state_account(core, command->account);
    if ((!account && refuse(update, "no such account")) || is_forgotten(account, update) ||
        (account->row.state == ACCOUNT_REMOVED && refuse(update, "it is removed already")))
        return 0;
    update->handle = command->account;
    struct event event = {.type = EVENT_REMOVED, .removed = {.account = command->account}};
    int r = coord_emit(core, event);
    return r < 0 ? r : exchange_advance_all(core, command->account);
}

int roster_suppress(struct coord *core, const struct coord_command *command,
                    struct coord_update *update)
{
    if (state_is_suppressed(core, command->suppress.address) &&
        refuse(update, "this address is on the suppression list already"))
        return 0;
    struct event event = {
        .type = EVENT_SUPPRESSED,
        .suppressed = {.address = command->suppress.address, .kind = command->suppress.kind}};
    memcpy(event.suppressed.reason, command->suppress.reason, sizeof event.suppressed.reason);
    memcpy(event.suppressed.by, command->suppress.by, sizeof event.suppressed.by);
    int r = coord_emit(core, event);
    uint32_t account = coord_find_address(core, command->suppress.address);
    return r < 0 || account == COORD_NONE ? r : exchange_advance_all(core, account);
}

int roster_unsuppress(struct coord *core, const struct coord_command *command,
                      struct coord_update *update)
{
    if (!state_is_suppressed(core, command->suppress.address) &&
        refuse(update, "this address is not on the suppression list"))
        return 0;
    struct event event = {.type = EVENT_UNSUPPRESSED,
                          .unsuppressed = {.address = command->suppress.address}};
    memcpy(event.unsuppressed.by, command->suppress.by, sizeof event.unsuppressed.by);
    return coord_emit(core, event);
}
