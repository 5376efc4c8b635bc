#include "coordinator/core/seat.h"

#include "common/base/error.h"
#include "common/base/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

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

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When messages may be sent, or opened, on a day. */
static struct slot_range day_range(const struct seats *seats, uint32_t account, int day)
{
    const struct plan_account *a = &seats->input->accounts[account];
    int64_t length = a->window_end[day] - a->window_start[day];
    if (length <= 0)
        return (struct slot_range){.first = 0, .last = -1};
    return (struct slot_range){
        .first = max_i64(a->window_start[day], seats->input->now),
        .last = a->window_end[day] - 1 - min_i64(TAIL_MS, length / 10),
    };
}

static uint32_t minus(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0;
}

static void init_days(struct seat *seat, const struct plan_account *account,
                      const struct policy *policy)
{
    for (int day = 0; day < PLAN_DAYS; day++) {
        uint32_t quota = account->quota[day];
        uint32_t half = quota > 1 ? quota / REPLIES_DIVISOR : quota;
        uint64_t inbound = (uint64_t)quota * (uint64_t)policy->inbound_percent / 100;
        seat->room[day] = minus(quota, account->reserved[day]);
        seat->replies[day] = minus(half, account->reserved[day]);
        seat->inbound[day] = day == 0 ? account->inbound_max
                                      : minus((uint32_t)inbound, account->inbound_taken[day]);
        if (!account->receives)
            seat->inbound[day] = 0;
    }
    seat->wanted = account->sends ? seat->room[0] : 0;
}

static int init_agenda(struct seat *seat, const struct plan_account *account)
{
    for (size_t i = 0; i < account->busy_count; i++) {
        int r = slot_take(&seat->agenda, account->busy[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Spreads a sender's date over its hours. */
static int init_slots(struct seats *seats, uint32_t account, struct flz_rng *rng)
{
    struct seat *seat = &seats->seats[account];
    int64_t times[POLICY_DAILY_CEILING];
    size_t want = seat->wanted < POLICY_DAILY_CEILING ? seat->wanted : POLICY_DAILY_CEILING;
    seat->slots_begin = seats->slots_count;
    seat->slots_count =
        (uint32_t)slot_spread(&seat->agenda, day_range(seats, account, 0),
                              seats->input->policy->spacing_ms, want, rng, times);
    for (uint32_t i = 0; i < seat->slots_count; i++) {
        seats->slots[seats->slots_count++] = (struct seat_slot){.at = times[i], .used = false};
        int r = slot_take(&seat->agenda, times[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static size_t slots_max(const struct seats *seats)
{
    size_t total = 1;
    for (size_t i = 0; i < seats->input->accounts_count; i++) {
        uint32_t wanted = seats->seats[i].wanted;
        total += wanted < POLICY_DAILY_CEILING ? wanted : POLICY_DAILY_CEILING;
    }
    return total;
}

static int fill(struct seats *seats, struct flz_rng *rng)
{
    const struct plan_input *input = seats->input;
    for (size_t i = 0; i < input->accounts_count; i++)
        init_days(&seats->seats[i], &input->accounts[i], input->policy);
    seats->slots = calloc(slots_max(seats), sizeof(*seats->slots));
    if (!seats->slots)
        return flz_fail(-ENOMEM);

    for (size_t i = 0; i < input->accounts_count; i++) {
        int r = init_agenda(&seats->seats[i], &input->accounts[i]);
        if (r == 0)
            r = init_slots(seats, (uint32_t)i, rng);
        if (r < 0)
            return r;
    }
    return 0;
}

int seats_init(struct seats *seats, const struct plan_input *input, struct flz_rng *rng)
{
    *seats = SEATS_NULL;
    seats->input = input;
    seats->seats = calloc(input->accounts_count + 1, sizeof(*seats->seats));
    if (!seats->seats)
        return flz_fail(-ENOMEM);
    int r = fill(seats, rng);
    if (r < 0)
        seats_deinit(seats);
    return r;
}

void seats_deinit(struct seats *seats)
{
    for (size_t i = 0; seats->seats && i < seats->input->accounts_count; i++)
        slot_agenda_deinit(&seats->seats[i].agenda);
    free(seats->seats);
    free(seats->slots);
    *seats = SEATS_NULL;
}

static int64_t open_first(const struct seats *seats, int64_t send_at)
{
    return send_at + max_i64(OPEN_DELAY_MS_MIN, seats->input->policy->find_delay_ms);
}

int seat_open_day(const struct seats *seats, uint32_t account, int64_t send_at)
{
    int64_t first = open_first(seats, send_at);
    int64_t deadline = send_at + seats->input->policy->action_deadline_ms;
    for (int day = 0; day < PLAN_DAYS; day++) {
        struct slot_range range = day_range(seats, account, day);
        if (range.first <= range.last && first <= range.last)
            return max_i64(range.first, first) < deadline ? day : -1;
    }
    return -1;
}

static void reopen(const struct seats *seats, uint32_t account, int day, struct flz_rng *rng,
                   struct plan_turn *turn)
{
    int64_t deadline = turn->send_at + seats->input->policy->action_deadline_ms;
    turn->reopen_at = 0;
    turn->reopen_until = 0;
    while (++day < PLAN_DAYS) {
        struct slot_range range = day_range(seats, account, day);
        if (range.first > range.last || range.first < turn->open_until)
            continue;
        if (range.first >= deadline)
            return;
        int64_t last = min_i64(min_i64(range.last, deadline - 1), range.first + REOPEN_MS_SPREAD);
        turn->reopen_at = flz_rng_between(rng, range.first, last);
        turn->reopen_until = min_i64(seats->input->accounts[account].window_end[day], deadline);
        return;
    }
}

void seat_open(const struct seats *seats, uint32_t account, int day, struct flz_rng *rng,
               struct plan_turn *turn)
{
    struct slot_range range = day_range(seats, account, day);
    int64_t deadline = turn->send_at + seats->input->policy->action_deadline_ms;
    int64_t first = max_i64(range.first, open_first(seats, turn->send_at));
    int64_t last = min_i64(min_i64(range.last, deadline - 1), first + OPEN_DELAY_MS_SPREAD);
    turn->open_at = flz_rng_between(rng, first, last);
    turn->open_until = min_i64(seats->input->accounts[account].window_end[day], deadline);
    turn->open_date = seats->input->date + day;
    reopen(seats, account, day, rng, turn);
}

void seat_open_before(const struct seats *seats, uint32_t account, const struct plan_turn *answer,
                      struct flz_rng *rng, struct plan_turn *turn)
{
    struct slot_range range = day_range(seats, account, answer->date - seats->input->date);
    int64_t last = answer->send_at - REPLY_DELAY_MS_MIN;
    bool same_day = turn->reopen_at >= range.first && turn->reopen_at <= range.last;
    if (same_day && turn->reopen_at > last && last >= range.first)
        turn->reopen_at = flz_rng_between(rng, range.first, last);
}

struct seat_slot *seat_next_slot(struct seats *seats, uint32_t account)
{
    struct seat *seat = &seats->seats[account];
    struct seat_slot *slots = seats->slots + seat->slots_begin;
    while (seat->slots_next < seat->slots_count && slots[seat->slots_next].used)
        seat->slots_next++;
    return seat->slots_next < seat->slots_count ? &slots[seat->slots_next] : NULL;
}

void seat_turn(const struct seats *seats, uint32_t account, int day, int64_t at,
               struct plan_turn *turn)
{
    const struct plan_account *a = &seats->input->accounts[account];
    turn->send_at = at;
    turn->send_until = min_i64(at + seats->input->policy->send_slot_ms, a->window_end[day]);
    turn->date = seats->input->date + day;
    turn->day_cap = a->quota[day];
}

static bool find_unused_slot(const struct seats *seats, uint32_t account, struct slot_range range,
                             int64_t *ret_at)
{
    const struct seat *seat = &seats->seats[account];
    const struct seat_slot *slots = seats->slots + seat->slots_begin;
    for (uint32_t i = seat->slots_next; i < seat->slots_count; i++)
        if (!slots[i].used && slots[i].at >= range.first && slots[i].at <= range.last) {
            *ret_at = slots[i].at;
            return true;
        }
    return false;
}

static bool has_slots(const struct seats *seats, uint32_t account, int day)
{
    return day == 0 && seats->input->accounts[account].sends;
}

bool seat_reply(const struct seats *seats, uint32_t account, const struct plan_turn *previous,
                struct flz_rng *rng, struct plan_turn *ret_turn)
{
    const struct seat *seat = &seats->seats[account];
    const struct policy *policy = seats->input->policy;
    int64_t wish =
        previous->open_at + flz_rng_between(rng, REPLY_DELAY_MS_MIN, REPLY_DELAY_MS_MAX);
    int64_t deadline = previous->send_at + policy->action_deadline_ms;
    for (int day = 0; day < PLAN_DAYS; day++) {
        struct slot_range range = day_range(seats, account, day);
        if (range.first > range.last || wish > range.last)
            continue;
        /* A morning's answers do not all go out as the hours begin. */
        if (range.first < wish)
            range.first = wish;
        else
            range.first +=
                (int64_t)flz_rng_below(rng, (uint64_t)(range.last - range.first) / 2 + 1);
        range.last = min_i64(range.last, deadline - 1);
        if (seat->room[day] == 0 || seat->replies[day] == 0)
            continue;

        int64_t at = 0;
        bool found = has_slots(seats, account, day)
                         ? find_unused_slot(seats, account, range, &at)
                         : slot_find(&seat->agenda, range, policy->spacing_ms, &at);
        if (found) {
            seat_turn(seats, account, day, at, ret_turn);
            return true;
        }
    }
    return false;
}

static struct seat_slot *slot_at(struct seats *seats, uint32_t account, int64_t at)
{
    struct seat *seat = &seats->seats[account];
    struct seat_slot *slots = seats->slots + seat->slots_begin;
    for (uint32_t i = 0; i < seat->slots_count; i++)
        if (slots[i].at == at)
            return &slots[i];
    assert(!"a slot of this sender");
    return NULL;
}

int seat_reserve(struct seats *seats, uint32_t from, uint32_t to, const struct plan_turn *turn,
                 bool reply)
{
    struct seat *sender = &seats->seats[from];
    struct seat *recipient = &seats->seats[to];
    int day = turn->date - seats->input->date;
    int open_day = turn->open_date - seats->input->date;
    assert(sender->room[day] > 0);
    assert(recipient->inbound[open_day] > 0);

    if (has_slots(seats, from, day)) {
        struct seat_slot *slot = slot_at(seats, from, turn->send_at);
        assert(!slot->used);
        slot->used = true;
        sender->sent++;
    } else {
        int r = slot_take(&sender->agenda, turn->send_at);
        if (r < 0)
            return r;
    }
    sender->room[day]--;
    sender->replies[day] -= reply;
    recipient->inbound[open_day]--;
    return 0;
}

void seat_give_back(struct seats *seats, uint32_t from, uint32_t to, const struct plan_turn *turn,
                    bool reply)
{
    struct seat *sender = &seats->seats[from];
    int day = turn->date - seats->input->date;
    if (has_slots(seats, from, day)) {
        struct seat_slot *slot = slot_at(seats, from, turn->send_at);
        slot->used = false;
        sender->sent--;
        uint32_t index = (uint32_t)(slot - (seats->slots + sender->slots_begin));
        if (index < sender->slots_next)
            sender->slots_next = index;
    } else {
        slot_release(&sender->agenda, turn->send_at);
    }
    sender->room[day]++;
    sender->replies[day] += reply;
    seats->seats[to].inbound[turn->open_date - seats->input->date]++;
}
