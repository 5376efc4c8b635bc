#include "coordinator/core/seat.h"

#include "common/base/error.h"
#include "common/base/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Nothing is planned for the last moments of a day's hours: the least of this and a tenth. */
#define TAIL_MS (5 * FLZ_MINUTE_MS)
/* People do not open at once; at least the first look has been taken by then. */
#define OPEN_DELAY_MS_MIN (5 * FLZ_MINUTE_MS)
#define OPEN_DELAY_MS_SPREAD (3 * FLZ_HOUR_MS)
/* What came too late for one day is looked at early on the next. */
#define REOPEN_MS_SPREAD FLZ_HOUR_MS
#define REPLY_DELAY_MS_MIN (10 * FLZ_MINUTE_MS)
#define REPLY_DELAY_MS_MAX (6 * FLZ_HOUR_MS)
/* Of a day's quota, how much may be replies: most messages of a day begin something. */
#define REPLIES_DIVISOR 2
/* The epoch lies before the first local midnight on earth, and all days within this of it. */
#define EPOCH_DAYS 2
#define TIME_MAX (30 * FLZ_DAY_MS)

#define FETCH_AHEAD 8

_Static_assert(sizeof(struct seat) == 64, "a candidate is one cache line");
_Static_assert(POLICY_DAILY_CEILING <= 64, "a day's slots are the bits of a word");

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static const struct plan_account *account_at(const struct seats *seats, uint32_t place)
{
    return &seats->input->accounts[seats->pool->account[place]];
}

static const struct seat_hours *hours_of(const struct seats *seats, uint32_t place)
{
    return &seats->hours[seats->seats[place].hours];
}

/* ---- Hours ---- */

static struct seat_hours make_hours(const struct seats *seats, const struct plan_account *a)
{
    struct seat_hours hours;
    int64_t now = max_i64(0, seats->input->now - seats->epoch);
    for (int day = 0; day < PLAN_DAYS; day++) {
        int64_t start = a->window_start[day] - seats->epoch;
        int64_t end = a->window_end[day] - seats->epoch;
        int64_t last = end - 1 - min_i64(TAIL_MS, (end - start) / 10);
        bool any = start >= 0 && start < end && end <= TIME_MAX && max_i64(start, now) <= last;
        hours.first[day] = any ? (uint32_t)max_i64(start, now) : 1;
        hours.last[day] = any ? (uint32_t)last : 0;
        hours.end[day] = any ? (uint32_t)end : 0;
    }
    return hours;
}

static size_t hash_hours(const struct seat_hours *hours)
{
    uint64_t hash = 0;
    for (int day = 0; day < PLAN_DAYS; day++)
        hash = (hash ^ ((uint64_t)hours->first[day] << 32 | hours->last[day])) *
               UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 32);
}

/* Finds equal hours. Open-addressed; of indexes plus one. */
struct hours_table {
    uint32_t *places; /* owned */
    size_t mask;
};

static int init_table(struct hours_table *table, uint32_t count)
{
    size_t size = 64;
    while (size < 2 * (size_t)count)
        size *= 2;
    table->places = calloc(size, sizeof *table->places);
    table->mask = size - 1;
    return table->places ? 0 : flz_fail(-ENOMEM);
}

/* The index of these hours; they are added where nobody had them before. */
static int share_hours(struct seats *seats, const struct seat_hours *hours,
                       struct hours_table *table, uint32_t *ret_index)
{
    size_t i = hash_hours(hours) & table->mask;
    for (; table->places[i] != 0; i = (i + 1) & table->mask)
        if (memcmp(&seats->hours[table->places[i] - 1], hours, sizeof *hours) == 0) {
            *ret_index = table->places[i] - 1;
            return 0;
        }
    int r = flz_grow((void **)&seats->hours, &seats->hours_capacity, seats->hours_count + 1,
                     sizeof *seats->hours);
    if (r < 0)
        return r;
    seats->hours[seats->hours_count++] = *hours;
    table->places[i] = (uint32_t)seats->hours_count;
    *ret_index = table->places[i] - 1;
    return 0;
}

/* ---- Quotas and slots ---- */

static uint8_t minus(uint64_t a, uint64_t b)
{
    uint64_t left = a > b ? a - b : 0;
    return left < UINT8_MAX ? (uint8_t)left : UINT8_MAX;
}

static void init_seat(struct seat *seat, const struct plan_account *a, const struct policy *policy)
{
    seat->domain = a->domain;
    seat->owner = a->owner;
    seat->node = a->node;
    seat->provider = a->provider;
    seat->handle = a->handle;
    seat->tier = a->tier < UINT8_MAX ? (uint8_t)a->tier : UINT8_MAX;
    seat->sends = a->sends;
    seat->received = SEAT_NO_EXCHANGE;
    for (int day = 0; day < PLAN_DAYS; day++) {
        uint32_t quota = a->quota[day];
        uint32_t half = quota > 1 ? quota / REPLIES_DIVISOR : quota;
        uint64_t inbound = (uint64_t)quota * (uint64_t)policy->inbound_percent / 100;
        seat->room[day] = minus(quota, a->reserved[day]);
        seat->replies[day] = minus(half, a->reserved[day]);
        seat->inbound[day] =
            day == 0 ? minus(a->inbound_max, 0) : minus(inbound, a->inbound_taken[day]);
        if (!a->receives)
            seat->inbound[day] = 0;
        seat->inbound_most[day] = day == 0 || !a->receives ? seat->inbound[day] : minus(inbound, 0);
    }
    seat->wanted = a->sends ? seat->room[0] : 0;
}

static int init_agenda(struct seats *seats, uint32_t place)
{
    const struct plan_account *a = account_at(seats, place);
    for (size_t i = 0; i < a->busy_count; i++) {
        int r = slot_take(&seats->agendas[place], a->busy[i] - seats->epoch);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Spreads a sender's date over its hours. */
static void init_slots(struct seats *seats, uint32_t place, struct flz_rng *rng)
{
    struct seat *seat = &seats->seats[place];
    const struct seat_hours *hours = hours_of(seats, place);
    struct slot_range range = {.first = hours->first[0], .last = hours->last[0]};
    int64_t times[POLICY_DAILY_CEILING];
    size_t want = seat->wanted < POLICY_DAILY_CEILING ? seat->wanted : POLICY_DAILY_CEILING;
    seat->slots_begin = (uint32_t)seats->slots_count;
    seat->slots_count = (uint8_t)slot_spread(&seats->agendas[place], range,
                                             seats->input->policy->spacing_ms, want, rng, times);
    for (uint32_t i = 0; i < seat->slots_count; i++)
        seats->slots[seats->slots_count++] = (uint32_t)times[i];
}

/* No fewer than all slots; before anybody has a seat. */
static size_t slots_max(const struct plan_input *input)
{
    size_t total = 1;
    for (size_t i = 0; i < input->accounts_count; i++) {
        uint32_t quota = input->accounts[i].sends ? input->accounts[i].quota[0] : 0;
        total += quota < POLICY_DAILY_CEILING ? quota : POLICY_DAILY_CEILING;
    }
    return total;
}

/* The accounts of neighbours are anywhere in the input: they are fetched ahead. */
static void fetch(const struct seats *seats, uint32_t place)
{
    if (place >= seats->pool->count)
        return;
    const char *account = (const char *)account_at(seats, place);
    for (size_t line = 0; line < sizeof(struct plan_account); line += 64)
        __builtin_prefetch(account + line);
}

static int fill(struct seats *seats, struct hours_table *table, struct flz_rng *rng)
{
    for (uint32_t place = 0; place < seats->pool->count; place++) {
        struct seat *seat = &seats->seats[place];
        fetch(seats, place + FETCH_AHEAD);
        struct seat_hours hours = make_hours(seats, account_at(seats, place));
        init_seat(seat, account_at(seats, place), seats->input->policy);
        int r = share_hours(seats, &hours, table, &seat->hours);
        if (r == 0)
            r = init_agenda(seats, place);
        if (r < 0)
            return r;
        init_slots(seats, place, rng);
    }
    return 0;
}

int seats_init(struct seats *seats, const struct pool *pool, struct flz_rng *rng)
{
    *seats = SEATS_NULL;
    seats->input = pool->input;
    seats->pool = pool;
    seats->epoch = (pool->input->date - EPOCH_DAYS) * FLZ_DAY_MS;
    seats->seats = calloc(pool->count + (size_t)1, sizeof *seats->seats);
    seats->agendas = calloc(pool->count + (size_t)1, sizeof *seats->agendas);
    seats->slots = calloc(slots_max(pool->input), sizeof *seats->slots);
    struct hours_table table = {.places = NULL};
    int r = seats->seats && seats->agendas && seats->slots ? init_table(&table, pool->count)
                                                           : flz_fail(-ENOMEM);
    if (r == 0)
        r = fill(seats, &table, rng);
    free(table.places);
    if (r < 0)
        seats_deinit(seats);
    return r;
}

void seats_deinit(struct seats *seats)
{
    for (uint32_t place = 0; seats->agendas && place < seats->pool->count; place++)
        slot_agenda_deinit(&seats->agendas[place]);
    free(seats->agendas);
    free(seats->seats);
    free(seats->slots);
    free(seats->hours);
    *seats = SEATS_NULL;
}

/* ---- Openings ---- */

bool seat_can_open(const struct seats *seats, uint32_t place, int64_t send, int *ret_day,
                   int64_t *ret_first)
{
    const struct seat_hours *hours = hours_of(seats, place);
    const struct policy *policy = seats->input->policy;
    int64_t first = send + max_i64(OPEN_DELAY_MS_MIN, policy->find_delay_ms);
    for (int day = 0; day < PLAN_DAYS; day++) {
        if (hours->first[day] > hours->last[day] || first > hours->last[day])
            continue;
        *ret_day = day;
        *ret_first = max_i64(hours->first[day], first);
        return *ret_first < send + policy->action_deadline_ms;
    }
    return false;
}

static void reopen(const struct seats *seats, uint32_t place, int day, struct flz_rng *rng,
                   struct plan_packed_turn *turn)
{
    const struct seat_hours *hours = hours_of(seats, place);
    int64_t deadline = turn->send + seats->input->policy->action_deadline_ms;
    int64_t open_until = min_i64(hours->end[day], deadline);
    turn->reopen = 0;
    turn->reopen_day = 0;
    while (++day < PLAN_DAYS) {
        if (hours->first[day] > hours->last[day] || hours->first[day] < open_until)
            continue;
        if (hours->first[day] >= deadline)
            return;
        int64_t last =
            min_i64(min_i64(hours->last[day], deadline - 1), hours->first[day] + REOPEN_MS_SPREAD);
        turn->reopen = (uint32_t)flz_rng_between(rng, hours->first[day], last);
        turn->reopen_day = (uint8_t)day;
        return;
    }
}

void seat_open(const struct seats *seats, uint32_t place, int day, struct flz_rng *rng,
               struct plan_packed_turn *turn)
{
    const struct seat_hours *hours = hours_of(seats, place);
    const struct policy *policy = seats->input->policy;
    int64_t delay = max_i64(OPEN_DELAY_MS_MIN, policy->find_delay_ms);
    int64_t first = max_i64(hours->first[day], turn->send + delay);
    int64_t last = min_i64(hours->last[day], turn->send + policy->action_deadline_ms - 1);
    turn->open = (uint32_t)flz_rng_between(rng, first, min_i64(last, first + OPEN_DELAY_MS_SPREAD));
    turn->open_day = (uint8_t)day;
    reopen(seats, place, day, rng, turn);
}

void seat_open_before(const struct seats *seats, uint32_t place,
                      const struct plan_packed_turn *answer, struct flz_rng *rng,
                      struct plan_packed_turn *turn)
{
    const struct seat_hours *hours = hours_of(seats, place);
    int day = answer->day;
    int64_t last = (int64_t)answer->send - REPLY_DELAY_MS_MIN;
    bool same_day = turn->reopen >= hours->first[day] && turn->reopen <= hours->last[day];
    if (same_day && turn->reopen > last && last >= hours->first[day])
        turn->reopen = (uint32_t)flz_rng_between(rng, hours->first[day], last);
}

/* ---- Slots ---- */

uint32_t seat_next_slot(struct seats *seats, uint32_t place)
{
    struct seat *seat = &seats->seats[place];
    while (seat->slots_next < seat->slots_count && seat->used >> seat->slots_next & 1)
        seat->slots_next++;
    return seat->slots_next < seat->slots_count ? seats->slots[seat->slots_begin + seat->slots_next]
                                                : UINT32_MAX;
}

/* The slot of this sender at this time, from `first` on. */
static uint32_t slot_at(const struct seats *seats, uint32_t place, uint32_t first, uint32_t at)
{
    const struct seat *seat = &seats->seats[place];
    uint32_t i = first;
    while (i < seat->slots_count && seats->slots[seat->slots_begin + i] != at)
        i++;
    assert(i < seat->slots_count);
    return i;
}

bool seat_slot_used(const struct seats *seats, uint32_t place, uint32_t at)
{
    return seats->seats[place].used >> slot_at(seats, place, 0, at) & 1;
}

static bool find_unused_slot(const struct seats *seats, uint32_t place, struct slot_range range,
                             int64_t *ret_at)
{
    const struct seat *seat = &seats->seats[place];
    const uint32_t *slots = seats->slots + seat->slots_begin;
    for (uint32_t i = seat->slots_next; i < seat->slots_count; i++)
        if (!(seat->used >> i & 1) && slots[i] >= range.first && slots[i] <= range.last) {
            *ret_at = slots[i];
            return true;
        }
    return false;
}

/* A free time of a day without slots. Those of the date come first, and stand apart from it. */
static bool find_free_time(const struct seats *seats, uint32_t place, struct slot_range range,
                           int64_t *ret_at)
{
    const struct seat *seat = &seats->seats[place];
    int64_t spacing = seats->input->policy->spacing_ms;
    if (seat->slots_count > 0) {
        int64_t newest = seats->slots[seat->slots_begin + seat->slots_count - 1];
        range.first = max_i64(range.first, newest + spacing);
    }
    return slot_find(&seats->agendas[place], range, spacing, ret_at);
}

/* ---- Replies ---- */

/* When a reply with this wish may be sent on a day: a morning's answers do not all go out as the
 * hours begin. */
static struct slot_range reply_range(const struct seat_hours *hours, int day, int64_t wish,
                                     int64_t deadline, struct flz_rng *rng)
{
    int64_t first = hours->first[day];
    int64_t last = hours->last[day];
    if (first < wish)
        first = wish;
    else
        first += (int64_t)flz_rng_below(rng, (uint64_t)(last - first) / 2 + 1);
    return (struct slot_range){.first = first, .last = min_i64(last, deadline - 1)};
}

bool seat_reply(const struct seats *seats, uint32_t place, const struct plan_packed_turn *previous,
                struct flz_rng *rng, struct plan_packed_turn *ret_turn)
{
    const struct seat *seat = &seats->seats[place];
    const struct seat_hours *hours = hours_of(seats, place);
    int64_t wish = previous->open + flz_rng_between(rng, REPLY_DELAY_MS_MIN, REPLY_DELAY_MS_MAX);
    int64_t deadline = previous->send + seats->input->policy->action_deadline_ms;
    for (int day = 0; day < PLAN_DAYS; day++) {
        if (hours->first[day] > hours->last[day] || wish > hours->last[day])
            continue;
        struct slot_range range = reply_range(hours, day, wish, deadline, rng);
        if (seat->room[day] == 0 || seat->replies[day] == 0)
            continue;
        int64_t at = 0;
        bool found = day == 0 && seat->sends ? find_unused_slot(seats, place, range, &at)
                                             : find_free_time(seats, place, range, &at);
        if (found) {
            ret_turn->send = (uint32_t)at;
            ret_turn->day = (uint8_t)day;
            return true;
        }
    }
    return false;
}

int seat_reserve(struct seats *seats, uint32_t from, uint32_t to,
                 const struct plan_packed_turn *turn, bool reply)
{
    struct seat *sender = &seats->seats[from];
    struct seat *recipient = &seats->seats[to];
    assert(sender->room[turn->day] > 0);
    assert(recipient->inbound[turn->open_day] > 0);

    if (turn->day == 0 && sender->sends) {
        uint64_t bit = UINT64_C(1) << slot_at(seats, from, sender->slots_next, turn->send);
        assert(!(sender->used & bit));
        sender->used |= bit;
        sender->sent++;
    } else {
        int r = slot_take(&seats->agendas[from], turn->send);
        if (r < 0)
            return r;
    }
    sender->room[turn->day]--;
    sender->replies[turn->day] -= reply;
    recipient->inbound[turn->open_day]--;
    return 0;
}

void seat_give_back(struct seats *seats, uint32_t from, uint32_t to,
                    const struct plan_packed_turn *turn, bool reply)
{
    struct seat *sender = &seats->seats[from];
    if (turn->day == 0 && sender->sends) {
        uint32_t index = slot_at(seats, from, 0, turn->send);
        sender->used &= ~(UINT64_C(1) << index);
        sender->sent--;
        if (index < sender->slots_next)
            sender->slots_next = (uint8_t)index;
    } else {
        slot_release(&seats->agendas[from], turn->send);
    }
    sender->room[turn->day]++;
    sender->replies[turn->day] += reply;
    seats->seats[to].inbound[turn->open_day]++;
}
