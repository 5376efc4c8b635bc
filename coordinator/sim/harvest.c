#include "coordinator/sim/harvest.h"

#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/sim/lot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int harvest_init(struct harvest *harvest, struct crowd *crowd, int32_t from, uint32_t days)
{
    *harvest = (struct harvest){.from = from, .days_count = days};
    harvest->days = calloc(days, sizeof *harvest->days);
    harvest->phases = calloc((size_t)crowd->count + 1, days);
    if (!harvest->days || !harvest->phases) {
        harvest_deinit(harvest);
        return flz_fail(-ENOMEM);
    }
    for (uint32_t i = 0; i < days; i++)
        harvest->days[i].date = from + (int32_t)i;
    harvest->crowd = *crowd;
    *crowd = CROWD_NULL;
    return 0;
}

void harvest_deinit(struct harvest *harvest)
{
    crowd_deinit(&harvest->crowd);
    free(harvest->days);
    free(harvest->phases);
    free(harvest->pairs);
    *harvest = HARVEST_NULL;
}

struct harvest_day *harvest_day(const struct harvest *harvest, int32_t date)
{
    if (date < harvest->from || date - harvest->from >= (int32_t)harvest->days_count)
        return NULL;
    return &harvest->days[date - harvest->from];
}

/* ---- Pairs ---- */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void drop_repeated(struct harvest *harvest)
{
    size_t kept = 0;
    if (harvest->pairs_count > 0)
        qsort(harvest->pairs, harvest->pairs_count, sizeof *harvest->pairs, compare_u64);
    for (size_t i = 0; i < harvest->pairs_count; i++)
        if (kept == 0 || harvest->pairs[kept - 1] != harvest->pairs[i])
            harvest->pairs[kept++] = harvest->pairs[i];
    harvest->pairs_count = kept;
}

static int add_pair(struct harvest *harvest, uint32_t a, uint32_t b)
{
    if (harvest->pairs_count == harvest->pairs_capacity) {
        drop_repeated(harvest);
        int r =
            flz_grow((void **)&harvest->pairs, &harvest->pairs_capacity,
                     harvest->pairs_count + harvest->pairs_count / 2 + 1, sizeof *harvest->pairs);
        if (r < 0)
            return r;
    }
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    harvest->pairs[harvest->pairs_count++] = low << 32 | high;
    return 0;
}

/* ---- Events ---- */

static void mix(struct harvest *harvest, uint64_t value)
{
    harvest->mixed = lot_mix(harvest->mixed ^ value);
}

static enum ramp_phase phase_of(const struct row_account *row, int32_t date)
{
    struct ramp_state state = ramp_state_on(row, date);
    struct ramp_settings settings = ramp_settings_of(row);
    return ramp_phase(&state, &settings);
}

static bool was_in(const struct harvest *harvest, uint32_t account, int32_t date, uint8_t phase)
{
    const uint8_t *days = &harvest->phases[(size_t)account * harvest->days_count];
    for (int32_t i = date - harvest->from - 1; i >= 0; i--)
        if (days[i])
            return days[i] == phase;
    return false;
}

static void plan_account(struct harvest *harvest, const struct coord *core,
                         const struct event_plan_account *e, int32_t date)
{
    struct harvest_day *day = harvest_day(harvest, date);
    mix(harvest, (uint64_t)e->account << 32 | e->quota << 16 | e->possible);
    if (!day)
        return;
    enum ramp_phase phase = phase_of(coord_account(core, e->account), date);
    size_t at = (size_t)e->account * harvest->days_count + (size_t)(date - harvest->from);
    harvest->phases[at] = (uint8_t)phase;
    day->entered[phase] += !was_in(harvest, e->account, date, (uint8_t)phase);
    if (e->shortfall > 0 && e->shortfall_reason < HARVEST_REASONS)
        day->shortfalls[e->shortfall_reason] += e->shortfall;
}

static int plan_part(struct harvest *harvest, const struct coord *core,
                     const struct event_plan_part *e)
{
    for (size_t i = 0; i < e->accounts_count; i++)
        plan_account(harvest, core, &e->accounts[i], e->date);
    for (size_t i = 0; i < e->exchanges_count; i++) {
        const struct event_plan_exchange *x = &e->exchanges[i];
        harvest->partners.exchanges++;
        harvest->partners.one_node += x->one_node;
        harvest->partners.same_owner += x->same_owner;
        int r = add_pair(harvest, x->from, x->to);
        if (r < 0)
            return r;
    }
    return 0;
}

static void mix_bytes(struct harvest *harvest, const uint8_t bytes[32])
{
    for (size_t i = 0; i < 32; i += 8)
        mix(harvest, flz_be64(bytes + i));
}

static void mix_body(struct harvest *harvest, const struct event *event)
{
    const struct flz_receipt *receipt = &event->receipt.receipt;
    switch (event->type) {
    case EVENT_RECEIPT:
        mix(harvest, (uint64_t)event->receipt.exchange << 32 | event->receipt.effect);
        mix(harvest, (uint64_t)receipt->turn << 48 | (uint64_t)receipt->kind << 32 |
                         receipt->outcome << 16 | receipt->placement);
        break;
    case EVENT_ISSUED:
        mix(harvest,
            (uint64_t)event->issued.exchange << 32 | event->issued.turn << 16 | event->issued.kind);
        break;
    case EVENT_VOID:
        mix(harvest, (uint64_t)event->voided.exchange << 32 | event->voided.turn << 16 |
                         event->voided.kind << 8 | event->voided.reason);
        break;
    case EVENT_DAY_CLOSED:
        mix(harvest, (uint64_t)event->day_closed.account << 32 | event->day_closed.ramp_reference);
        mix(harvest, (uint64_t)event->day_closed.committed << 32 | event->day_closed.ramp_day);
        break;
    case EVENT_HEALTH:
        mix(harvest, (uint64_t)event->health.account << 32 | event->health.provider);
        mix(harvest, (uint64_t)event->health.state << 32 | event->health.rule);
        break;
    case EVENT_PLAN_SEAL: mix_bytes(harvest, event->plan_seal.hash.b); break;
    default: break;
    }
}

static void note_health(const struct harvest *harvest, const struct event *event)
{
    const struct event_health *e = &event->health;
    struct harvest_day *day = harvest_day(harvest, (int32_t)(event->at / FLZ_DAY_MS));
    if (day && e->provider == COORD_NONE && e->state != e->before && e->state < HARVEST_STATES)
        day->health[e->state]++;
}

int harvest_event(struct harvest *harvest, const struct coord *core, const struct event *event)
{
    if (event->type <= EVENT_TYPE_MAX)
        harvest->events[event->type]++;
    mix(harvest, event->type);
    mix(harvest, (uint64_t)event->at);
    mix_body(harvest, event);
    if (event->type == EVENT_HEALTH)
        note_health(harvest, event);
    return event->type == EVENT_PLAN_PART ? plan_part(harvest, core, &event->plan_part) : 0;
}

/* ---- Days ---- */

static void add_row(struct harvest_volume *sum, const struct row_day *day)
{
    sum->accounts += day->planned_day;
    sum->quota += day->quota;
    sum->planned += day->planned;
    sum->sent += day->sent;
    sum->replied += day->replied;
    sum->inbox += day->inbox;
    sum->junk += day->junk;
    sum->other += day->other;
    sum->missing += day->missing;
    sum->unobserved += day->unobserved;
    sum->rejected += day->rejected;
    sum->expired += day->expired;
    sum->dropped += day->dropped;
    sum->ambiguous += day->ambiguous + day->indeterminate;
    sum->rescued += day->rescued;
    sum->opened += day->opened;
    sum->credited += day->credited;
    sum->shortfall += day->shortfall;
}

static void add_volume(struct harvest_volume *sum, const struct harvest_volume *part)
{
    uint64_t *to = &sum->accounts;
    const uint64_t *from = &part->accounts;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

void harvest_row(struct harvest *harvest, const struct row_day *row)
{
    struct harvest_day *day = harvest_day(harvest, row->date);
    if (row->account >= harvest->crowd.count)
        return;
    if (!day) {
        add_row(&harvest->all, row); /* answers given behind the last date */
        return;
    }
    size_t at = (size_t)row->account * harvest->days_count + (size_t)(row->date - harvest->from);
    add_row(&day->phases[harvest->phases[at]], row);
}

void harvest_message(struct harvest *harvest, const struct fleetsim_event *what, uint32_t placement,
                     int64_t at)
{
    struct harvest_provider *p = &harvest->providers[harvest->crowd.accounts[what->to].provider];
    int32_t day = (int32_t)(at / FLZ_DAY_MS) - harvest->from;
    p->taken += what->sent;
    p->blocked += what->blocked;
    p->refused += !what->sent && !what->blocked && !what->found;
    if (!what->found)
        return;
    bool junk = placement == FLZ_PLACEMENT_JUNK;
    p->inbox += !junk;
    p->junk += junk;
    if (day < HARVEST_WEEK)
        p->weeks[0][junk]++;
    if (day >= (int32_t)harvest->days_count - HARVEST_WEEK)
        p->weeks[1][junk]++;
}

/* ---- The end ---- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int count_partners(struct harvest *harvest)
{
    uint32_t *counts = calloc(harvest->crowd.count + 1u, sizeof *counts);
    if (!counts)
        return flz_fail(-ENOMEM);
    drop_repeated(harvest);
    for (size_t i = 0; i < harvest->pairs_count; i++) {
        counts[harvest->pairs[i] >> 32]++;
        counts[(uint32_t)harvest->pairs[i]]++;
    }
    qsort(counts, harvest->crowd.count, sizeof *counts, compare_u32);
    harvest->partners.least = counts[0];
    harvest->partners.median = counts[harvest->crowd.count / 2];
    harvest->partners.most = counts[harvest->crowd.count - 1];
    free(counts);
    return 0;
}

static void mix_volume(struct flz_hash *hash, const struct harvest_volume *volume)
{
    const uint64_t *numbers = &volume->accounts;
    for (size_t i = 0; i < sizeof *volume / sizeof *numbers; i++)
        flz_hash_add_u64(hash, numbers[i]);
}

static void set_hash(struct harvest *harvest)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "fluenzr/forecast/v1");
    flz_hash_add_u64(&hash, harvest->mixed);
    for (uint32_t i = 0; i < harvest->days_count; i++)
        for (int phase = 0; phase < HARVEST_PHASES; phase++)
            mix_volume(&hash, &harvest->days[i].phases[phase]);
    mix_volume(&hash, &harvest->all);
    struct flz_id id = flz_hash_id(&hash);
    flz_hex_encode(id.b, sizeof id.b, harvest->hash);
}

static uint32_t count_unplanned(const struct harvest *harvest)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < harvest->crowd.count; i++) {
        const uint8_t *days = &harvest->phases[(size_t)i * harvest->days_count];
        uint32_t day = 0;
        while (day < harvest->days_count && !days[day])
            day++;
        n += day == harvest->days_count;
    }
    return n;
}

int harvest_finish(struct harvest *harvest)
{
    for (uint32_t i = 0; i < harvest->days_count; i++) {
        struct harvest_day *day = &harvest->days[i];
        for (int phase = 0; phase < HARVEST_PHASES; phase++)
            add_volume(&day->all, &day->phases[phase]);
        add_volume(&harvest->all, &day->all);
    }
    harvest->unplanned = count_unplanned(harvest);
    set_hash(harvest);
    return count_partners(harvest);
}

void harvest_phases(const struct harvest *harvest,
                    struct harvest_volume ret_volumes[HARVEST_PHASES])
{
    memset(ret_volumes, 0, HARVEST_PHASES * sizeof *ret_volumes);
    for (uint32_t i = 0; i < harvest->days_count; i++)
        for (int phase = 0; phase < HARVEST_PHASES; phase++)
            add_volume(&ret_volumes[phase], &harvest->days[i].phases[phase]);
}
