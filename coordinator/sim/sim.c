#include "coordinator/sim/sim.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/civil.h"
#include "coordinator/core/planning.h"
#include "coordinator/sim/lot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAD_MS FLZ_HOUR_MS     /* before its midnight a day is planned */
#define JOIN_HOUR 6             /* UTC, of the day before an account's first */
#define PROBE_MINUTES (20 * 60) /* each account is looked at once in so many */
#define TICK_MS FLZ_SECOND_MS   /* the core is asked at whole seconds, as by the server */
#define TAKE_MS FLZ_HOUR_MS     /* changed rows are taken, as a store would */
#define CREDIT FLZ_OPEN_TASKS_MAX
#define CREDIT_LOW (CREDIT / 2)
#define TOKEN_END INT64_MAX
#define SCENARIOS 8 /* of each language's content pack */

struct node {
    uint64_t reports; /* newest written */
    bool down;
};

struct sim {
    const struct sim_options *options;
    const struct scenario *scenario;
    struct tz *tz;
    struct civil *civil;     /* owned */
    struct harvest *harvest; /* borrowed, as is the crowd in it */
    const struct crowd *crowd;
    struct coord *core;        /* owned */
    struct mailsim *mail;      /* owned */
    struct fleetsim *fleet;    /* owned */
    struct node *nodes;        /* owned */
    struct flz_report *report; /* owned: the one that is being written */
    struct coord_pack packs[FLZ_PACKS_MAX];
    int64_t now;
    int64_t next_minute;
    int64_t next_take;
    int64_t next_plan;
    int32_t plan_dates[SCENARIO_SHARES_MAX]; /* of each zone: the next date to be planned */
    uint32_t registered;
    uint32_t probes; /* of the minute under way: the next account */
    struct flz_msg *msg;
};

static void sim_deinit(struct sim *sim)
{
    sim->civil = civil_free(sim->civil);
    sim->core = coord_free(sim->core);
    sim->fleet = fleetsim_free(sim->fleet);
    sim->mail = mailsim_free(sim->mail);
    free(sim->nodes);
    free(sim->report);
}

static struct flz_digest digest_of(uint32_t kind, uint32_t n)
{
    uint8_t bytes[8];
    flz_put_be32(bytes, kind);
    flz_put_be32(bytes + 4, n);
    return flz_digest_of((struct flz_view){.data = bytes, .len = sizeof bytes});
}

static struct flz_id account_id(uint32_t place)
{
    return flz_id_of_u64((uint64_t)1 << 40 | place);
}

static struct flz_id node_id(uint32_t node)
{
    return flz_id_of_u64((uint64_t)2 << 40 | node);
}

/* ---- Steps ---- */

static int refused(const struct sim *sim, const char *what, const char *why)
{
    flz_msg_set(sim->msg, "%s: %s", what, why);
    return flz_fail(-EPROTO);
}

static int take_orders(struct sim *sim, const struct coord_update *update)
{
    int r = 0;
    for (size_t i = 0; i < update->orders_count && r == 0; i++)
        r = fleetsim_order(sim->fleet, sim->core, &update->orders[i]);
    return r;
}

static int step(struct sim *sim, struct coord_command *command, struct coord_update *ret_update)
{
    command->now = sim->now;
    int r = coord_step(sim->core, command, ret_update);
    for (size_t i = 0; i < ret_update->events_count && r == 0; i++)
        r = harvest_event(sim->harvest, sim->core, &ret_update->events[i]);
    return r < 0 ? r : take_orders(sim, ret_update);
}

static int must(struct sim *sim, struct coord_command *command, const char *what)
{
    struct coord_update update = {.events_count = 0};
    int r = step(sim, command, &update);
    return r == 0 && update.refused ? refused(sim, what, update.message.text) : r;
}

static int say(struct sim *sim, uint32_t node, uint32_t kind, struct coord_command *command)
{
    sim->report->kind = kind;
    sim->report->seq = ++sim->nodes[node].reports;
    command->kind = COORD_REPORT;
    command->node = node;
    command->report.incarnation = node_id(node);
    command->report.report = sim->report;
    struct coord_update update = {.events_count = 0};
    int r = step(sim, command, &update);
    if (r == 0 && (update.refused || update.report_known || update.report_gap))
        return refused(sim, "a report was refused", update.message.text);
    return r;
}

/* ---- Nodes ---- */

static int hello(struct sim *sim, uint32_t node)
{
    struct coord_command command = {
        .kind = COORD_HELLO,
        .node = node,
        .hello = {.incarnation = node_id(node),
                  .report_seq = sim->nodes[node].reports,
                  .credit = CREDIT},
    };
    return must(sim, &command, "hello");
}

static int join(struct sim *sim, uint32_t node)
{
    struct coord_command invite = {.kind = COORD_INVITE};
    struct coord_command join = {.kind = COORD_JOIN};
    invite.invite.node = join.join.node = node_id(node);
    invite.invite.token = join.join.token = digest_of(1, node);
    invite.invite.not_after = TOKEN_END;
    (void)snprintf(invite.invite.name, sizeof invite.invite.name, "n%u", node + 1);
    memcpy(join.join.name, invite.invite.name, sizeof join.join.name);
    join.join.certificate = digest_of(2, node);
    memcpy(join.join.curve_key.b, digest_of(3, node).b, sizeof join.join.curve_key.b);
    int r = must(sim, &invite, "invite");
    if (r == 0)
        r = must(sim, &join, "join");
    return r < 0 ? r : hello(sim, node);
}

static int credit(struct sim *sim, uint32_t node, uint32_t count)
{
    struct coord_command command = {.kind = COORD_CREDIT, .node = node, .credit = count};
    return must(sim, &command, "credit");
}

/* A node that is down takes nothing; one that comes back says hello, and still has its tasks. */
static int look_at_node(struct sim *sim, uint32_t node)
{
    struct node *n = &sim->nodes[node];
    bool down = mailsim_node_down(sim->mail, node, sim->now) > 0;
    bool was_down = n->down;
    n->down = down;
    if (down != was_down)
        return down ? credit(sim, node, 0) : credit(sim, node, CREDIT);
    return !down && coord_node_credit(sim->core, node) < CREDIT_LOW ? credit(sim, node, CREDIT) : 0;
}

/* ---- Accounts ---- */

static void fill_account(const struct sim *sim, uint32_t place, struct flz_account *ret_account)
{
    const struct scenario *s = sim->scenario;
    const struct crowd_account *c = &sim->crowd->accounts[place];
    *ret_account = (struct flz_account){
        .id = account_id(place),
        .start_minute = (uint32_t)s->start_minute,
        .end_minute = (uint32_t)s->end_minute,
        .days = s->weeks.items[c->week].value,
        .intensity = s->intensities.items[c->intensity].value,
        .profile = s->profiles.items[c->profile].value,
        .consent = {.given = 1,
                    .until = FLZ_NEVER,
                    .actions =
                        FLZ_ACTION_SEND | FLZ_ACTION_OPEN | FLZ_ACTION_REPLY | FLZ_ACTION_MOVE},
    };
    (void)flz_text_copy(ret_account->provider, sizeof ret_account->provider,
                        s->providers[c->provider].name);
    (void)flz_text_copy(ret_account->zone, sizeof ret_account->zone, s->zones.items[c->zone].word);
    (void)flz_text_copy(ret_account->language, sizeof ret_account->language,
                        s->languages.items[c->language].word);
}

static int probe(struct sim *sim, uint32_t place)
{
    uint32_t node = sim->crowd->accounts[place].node;
    int32_t date = (int32_t)(sim->now / FLZ_DAY_MS);
    uint64_t lot = lot_draw(sim->options->seed, LOT_LOGIN, (uint64_t)place << 32 | (uint32_t)date);
    bool fails = lot_permille(lot, sim->scenario->login_fails_permille);
    struct coord_command command = {.kind = COORD_REPORT};
    struct harvest_day *day = harvest_day(sim->harvest, date);
    if (sim->nodes[node].down || coord_account(sim->core, place)->state != ACCOUNT_LIVE)
        return 0;
    if (day)
        day->unready += fails;
    sim->report->probe = (struct flz_probe){
        .account = account_id(place),
        .at = sim->now,
        .login_ok = !fails,
        .reason = fails ? FLZ_REASON_LOGIN : FLZ_REASON_NONE,
        .quota_permille = 1001,
        .tries = fails,
    };
    return say(sim, node, FLZ_REPORT_PROBE, &command);
}

static int register_account(struct sim *sim, uint32_t place)
{
    const struct crowd_account *c = &sim->crowd->accounts[place];
    struct coord_command command = {.kind = COORD_REPORT};
    fill_account(sim, place, &sim->report->account);
    command.report.address = digest_of(4, place);
    command.report.domain = digest_of(5, c->domain);
    command.report.owner = digest_of(6, c->owner);
    (void)snprintf(command.report.domain_name, sizeof command.report.domain_name, "d%u.example",
                   c->domain + 1);
    int r = say(sim, c->node, FLZ_REPORT_ACCOUNT, &command);
    if (r == 0 && coord_account_count(sim->core) != place + 1u)
        return refused(sim, "an account was registered", "under another's handle");
    struct harvest_day *day = harvest_day(sim->harvest, sim->scenario->from + (int32_t)c->joins);
    if (day)
        day->joined++;
    return r < 0 ? r : probe(sim, place);
}

/* Those whose time has come. */
static int register_due(struct sim *sim)
{
    int r = 0;
    while (r == 0 && sim->registered < sim->crowd->count) {
        uint32_t day = sim->crowd->accounts[sim->registered].joins;
        int64_t at =
            (sim->scenario->from + (int64_t)day - 1) * FLZ_DAY_MS + JOIN_HOUR * FLZ_HOUR_MS;
        if (at > sim->now)
            return 0;
        r = register_account(sim, sim->registered);
        sim->registered++;
    }
    return r;
}

static int leave(struct sim *sim, uint32_t place)
{
    int32_t date = (int32_t)(sim->now / FLZ_DAY_MS);
    uint64_t lot = lot_draw(sim->options->seed, LOT_LEAVE, (uint64_t)place << 32 | (uint32_t)date);
    struct coord_command command = {.kind = COORD_END_CONSENT, .account = place};
    if (!lot_permille(lot, sim->scenario->leave_permille) ||
        coord_account(sim->core, place)->consent_ended)
        return 0;
    struct harvest_day *day = harvest_day(sim->harvest, date);
    if (day)
        day->left++;
    return must(sim, &command, "end of consent");
}

/* ---- Each minute ---- */

/* All accounts are looked at in turn, evenly over PROBE_MINUTES. */
static int probe_some(struct sim *sim)
{
    uint32_t each = (sim->registered + PROBE_MINUTES - 1) / PROBE_MINUTES;
    uint32_t turns = sim->registered < PROBE_MINUTES ? PROBE_MINUTES : 0;
    uint32_t minute = (uint32_t)(sim->now / FLZ_MINUTE_MS);
    if (turns)
        return minute % PROBE_MINUTES < sim->registered ? probe(sim, minute % PROBE_MINUTES) : 0;
    int r = 0;
    for (uint32_t i = 0; i < each && r == 0; i++) {
        sim->probes = sim->probes + 1 < sim->registered ? sim->probes + 1 : 0;
        r = probe(sim, sim->probes);
    }
    return r;
}

static int at_midnight(struct sim *sim)
{
    int r = 0;
    if (sim->options->on_date)
        sim->options->on_date(sim->options->data, (int32_t)(sim->now / FLZ_DAY_MS));
    for (uint32_t i = 0; i < sim->registered && r == 0 && sim->scenario->leave_permille > 0; i++)
        r = leave(sim, i);
    return r;
}

static int minute(struct sim *sim)
{
    int r = register_due(sim);
    if (r == 0 && sim->now % FLZ_DAY_MS == 0)
        r = at_midnight(sim);
    for (uint32_t i = 0; i < (uint32_t)sim->scenario->nodes && r == 0; i++)
        r = look_at_node(sim, i);
    sim->next_minute = sim->now + FLZ_MINUTE_MS;
    return r < 0 ? r : probe_some(sim);
}

static int on_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct sim *sim = data;
    if (kind == ROW_DAY_OLD && !deleted)
        harvest_row(sim->harvest, row);
    return 0;
}

static int take_rows(struct sim *sim)
{
    sim->next_take = sim->now + TAKE_MS;
    return coord_take_rows(sim->core, on_row, sim);
}

/* ---- Planning ---- */

/* The instant at which the zone's next date is planned; FLZ_NEVER: all are. */
static int plan_time(const struct sim *sim, size_t zone, int64_t *ret_at)
{
    struct tz_window day;
    *ret_at = FLZ_NEVER;
    if (sim->plan_dates[zone] - sim->scenario->from >= (int32_t)sim->options->days)
        return 0;
    int r = tz_day(sim->tz, sim->scenario->zones.items[zone].word, sim->plan_dates[zone], &day);
    if (r == 0)
        *ret_at = day.start - LEAD_MS;
    return r < 0 ? r : 0;
}

static int set_next_plan(struct sim *sim)
{
    sim->next_plan = FLZ_NEVER;
    for (size_t i = 0; i < sim->scenario->zones.count; i++) {
        int64_t at;
        int r = plan_time(sim, i, &at);
        if (r < 0)
            return r;
        if (at < sim->next_plan)
            sim->next_plan = at;
    }
    return 0;
}

static bool is_ready(const struct row_account *account)
{
    return account->state == ACCOUNT_LIVE && account->probe_at > 0 && account->login_ok;
}

/* As the coordinator's days.c asks for them. */
static int fill_civil(struct sim *sim, const struct row_account *account, struct civil_unit unit,
                      struct coord_civil *ret_civil)
{
    struct civil_unit own;
    int64_t day_end;
    *ret_civil = (struct coord_civil){.account = account->handle};
    int r = civil_unit_of(sim->civil, account, &own, &day_end);
    if (r == 0)
        r = civil_windows(sim->civil, account, unit.date, ret_civil->windows);
    ret_civil->sends = is_ready(account) && account->planned_date < unit.date &&
                       own.date == unit.date && own.offset_minutes == unit.offset_minutes;
    return r;
}

static int give_accounts(struct sim *sim, struct planning *planning, struct civil_unit unit,
                         uint32_t *next)
{
    struct coord_civil civil[PLANNING_ACCOUNTS_STEP];
    struct coord_command command = {.kind = COORD_PLAN};
    size_t n = 0;
    int r = 0;
    for (; n < PLANNING_ACCOUNTS_STEP && *next < sim->registered && r == 0; (*next)++) {
        const struct row_account *account = coord_account(sim->core, *next);
        if (account->state == ACCOUNT_LIVE)
            r = fill_civil(sim, account, unit, &civil[n++]);
    }
    command.plan.planning = planning;
    command.plan.civil = civil;
    command.plan.civil_count = n;
    if (r < 0 || (n == 0 && *next < sim->registered))
        return r;
    return must(sim, &command, "plan");
}

static int plan_step(struct sim *sim, struct planning *planning)
{
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.planning = planning;
    return must(sim, &command, "plan");
}

FLZ_DEFINE_FREEP(struct planning, planning_free)

static bool stopped(const struct sim *sim)
{
    return sim->options->stop && atomic_load(sim->options->stop);
}

static int plan_unit(struct sim *sim, struct civil_unit unit)
{
    uint64_t about = (uint64_t)(uint32_t)unit.date << 32 | (uint32_t)unit.offset_minutes;
    struct planning_options options = {.date = unit.date,
                                       .packs = sim->packs,
                                       .packs_count = sim->scenario->languages.count,
                                       .seed = lot_draw(sim->options->seed, LOT_PLAN, about)};
    _cleanup_(planning_freep) struct planning *planning = NULL;
    uint32_t next = 0;
    int r = planning_new(&options, &planning);
    while (r == 0 && planning_phase(planning) != PLANNING_OVER) {
        enum planning_phase phase = planning_phase(planning);
        if (stopped(sim))
            return flz_fail(-ECANCELED);
        if (phase == PLANNING_ACCOUNTS)
            r = give_accounts(sim, planning, unit, &next);
        else
            r = phase == PLANNING_DRAW ? planning_draw(planning) : plan_step(sim, planning);
    }
    return r;
}

/* Plans the cohort of this zone, and takes the other zones of the same cohort as planned. */
static int plan_zone(struct sim *sim, size_t zone)
{
    const struct scenario_share *zones = sim->scenario->zones.items;
    struct civil_unit unit = {.date = sim->plan_dates[zone]};
    int r = tz_offset_minutes(sim->tz, zones[zone].word, sim->now + LEAD_MS, &unit.offset_minutes);
    if (r == 0)
        r = plan_unit(sim, unit);
    for (size_t i = 0; i < sim->scenario->zones.count && r == 0; i++) {
        int64_t at;
        int offset;
        r = plan_time(sim, i, &at);
        if (r == 0)
            r = tz_offset_minutes(sim->tz, zones[i].word, sim->now + LEAD_MS, &offset);
        sim->plan_dates[i] += r == 0 && at == sim->now && sim->plan_dates[i] == unit.date &&
                              offset == unit.offset_minutes;
    }
    return r;
}

static int plan_due(struct sim *sim)
{
    int r = 0;
    civil_look(sim->civil, sim->now + LEAD_MS);
    for (size_t i = 0; i < sim->scenario->zones.count && r == 0; i++) {
        int64_t at;
        r = plan_time(sim, i, &at);
        if (r == 0 && at == sim->now)
            r = plan_zone(sim, i);
    }
    return r < 0 ? r : set_next_plan(sim);
}

/* ---- Acting ---- */

static int act(struct sim *sim)
{
    uint32_t node;
    struct fleetsim_event event;
    struct coord_command command = {.kind = COORD_REPORT};
    struct flz_receipt *receipt = &sim->report->receipt;
    int r = fleetsim_act(sim->fleet, sim->core, sim->now, &node, receipt, &event);
    if (r != 0)
        return r < 0 ? r : 0;
    if (flz_task_kind_sends(receipt->kind) || event.found)
        harvest_message(sim->harvest, &event, receipt->placement, sim->now);
    if (event.sent && sim->options->on_send)
        sim->options->on_send(sim->options->data, sim->core, receipt, sim->now);
    return say(sim, node, FLZ_REPORT_RECEIPT, &command);
}

static int tick(struct sim *sim)
{
    struct coord_command command = {.kind = COORD_TICK};
    return must(sim, &command, "tick");
}

/* At whole seconds, so that one look serves all that is due within one. */
static int64_t tick_time(const struct sim *sim)
{
    int64_t at = coord_next(sim->core);
    if (at == FLZ_NEVER)
        return at;
    at = (at + TICK_MS - 1) / TICK_MS * TICK_MS;
    return at > sim->now ? at : sim->now;
}

/* ---- A run ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One thing that happens next, in virtual time. */
static int advance(struct sim *sim, int64_t ticks)
{
    int64_t acts = fleetsim_next(sim->fleet);
    int64_t at = earlier(earlier(ticks, acts), earlier(sim->next_minute, sim->next_plan));
    if (at > sim->now)
        sim->now = at;
    if (sim->now >= sim->next_take)
        return take_rows(sim);
    if (at == sim->next_minute)
        return minute(sim);
    if (at == sim->next_plan)
        return plan_due(sim);
    return at == ticks ? tick(sim) : act(sim);
}

/* Until all days are planned, and all that was planned is over. */
static int run(struct sim *sim)
{
    for (uint64_t n = 0;; n++) {
        int64_t ticks = tick_time(sim);
        if (sim->next_plan == FLZ_NEVER && ticks == FLZ_NEVER)
            return take_rows(sim);
        if (n % 1024 == 0 && stopped(sim))
            return flz_fail(-ECANCELED);
        int r = advance(sim, ticks);
        if (r < 0)
            return r;
    }
}

/* Days whose counters are still in the core's memory. */
static void take_days(struct sim *sim)
{
    int32_t end = sim->scenario->from + (int32_t)sim->options->days + PLAN_DAYS;
    for (uint32_t i = 0; i < sim->registered; i++)
        for (int32_t date = sim->scenario->from - 1; date < end; date++) {
            const struct row_day *day = coord_day(sim->core, i, date);
            if (day)
                harvest_row(sim->harvest, day);
        }
}

/* One pack a language: SCENARIOS conversations of three to five messages. */
static void make_packs(struct sim *sim)
{
    const struct scenario_shares *languages = &sim->scenario->languages;
    for (uint32_t i = 0; i < languages->count; i++) {
        struct coord_pack *pack = &sim->packs[i];
        *pack = (struct coord_pack){.digest = digest_of(7, i), .scenarios = SCENARIOS};
        (void)flz_text_copy(pack->language, sizeof pack->language, languages->items[i].word);
        for (uint32_t j = 0; j < SCENARIOS; j++)
            pack->turns[j] = (uint8_t)(3 + j % 3);
    }
}

static int open_core(struct sim *sim)
{
    struct coord_command lead = {.kind = COORD_LEAD};
    lead.lead.epoch = 1;
    lead.lead.generation = flz_id_of_u64(1);
    uint8_t key[8];
    flz_put_be64(key, sim->options->seed);
    int r = coord_new(flz_id_of_u64(1), (struct flz_view){.data = key, .len = sizeof key},
                      &sim->scenario->policy, &sim->core);
    if (r == 0)
        r = must(sim, &lead, "lead");
    for (uint32_t i = 0; i < (uint32_t)sim->scenario->nodes && r == 0; i++)
        r = join(sim, i);
    return r;
}

static int open_sim(struct sim *sim)
{
    const struct sim_options *o = sim->options;
    _cleanup_(crowd_deinit) struct crowd crowd = CROWD_NULL;
    int r = crowd_make(o->scenario, o->accounts, o->seed, &crowd);
    if (r == 0)
        r = harvest_init(sim->harvest, &crowd, o->scenario->from, o->days);
    if (r == 0)
        r = civil_new(sim->tz, &sim->civil);
    if (r == 0)
        r = mailsim_new(o->scenario, sim->crowd, &sim->mail);
    if (r == 0)
        r = fleetsim_new(sim->mail, sim->crowd, o->seed, &sim->fleet);
    if (r < 0)
        return r;
    sim->nodes = calloc((size_t)o->scenario->nodes, sizeof *sim->nodes);
    sim->report = calloc(1, sizeof *sim->report);
    if (!sim->nodes || !sim->report)
        return flz_fail(-ENOMEM);
    make_packs(sim);
    sim->now = (o->scenario->from - 1) * FLZ_DAY_MS + JOIN_HOUR * FLZ_HOUR_MS;
    sim->next_minute = sim->now;
    sim->next_take = sim->now + TAKE_MS;
    for (size_t i = 0; i < o->scenario->zones.count; i++)
        sim->plan_dates[i] = o->scenario->from;
    r = open_core(sim);
    return r < 0 ? r : set_next_plan(sim);
}

int sim_run(const struct sim_options *options, struct tz *tz, struct harvest *ret_harvest,
            struct flz_msg *msg)
{
    _cleanup_(harvest_deinit) struct harvest harvest = HARVEST_NULL;
    _cleanup_(sim_deinit) struct sim sim = {.options = options,
                                            .scenario = options->scenario,
                                            .tz = tz,
                                            .harvest = &harvest,
                                            .crowd = &harvest.crowd,
                                            .msg = msg};
    int r = open_sim(&sim);
    if (r == 0)
        r = run(&sim);
    if (r < 0)
        return r;
    take_days(&sim);
    harvest.deferred = fleetsim_deferred(sim.fleet);
    r = harvest_finish(&harvest);
    if (r < 0)
        return r;
    *ret_harvest = harvest;
    harvest = HARVEST_NULL;
    return 0;
}
