#include "coordinator/core/pair.h"

#include "common/base/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_DAY 0x7fu
/* Who wrote within so many days may wait for a turn; of many, one in so many. */
#define OWED_DAYS 3
#define OWED_PART 8

bool plan_cooled(uint32_t days, int32_t contact_date, int32_t date, int64_t cooldown_days)
{
    uint32_t mask = days & EVERY_DAY ? days & EVERY_DAY : EVERY_DAY;
    int64_t apart = (int64_t)date - contact_date;
    if (apart <= 0)
        return false;

    /* Sending days after the contact, up to and with `date`: whole weeks, then the days over. */
    int64_t sending = apart / 7 * __builtin_popcount(mask);
    for (int64_t i = 0; i < apart % 7; i++)
        sending += mask >> flz_date_weekday(date - (int32_t)i) & 1;
    return sending >= cooldown_days;
}

/* First messages one way are at least so many days apart. */
static uint32_t days_apart(const struct policy *policy)
{
    return policy->cooldown_days > 2 ? (uint32_t)policy->cooldown_days : 2;
}

uint32_t plan_pool_max(const struct policy *policy, uint32_t partners)
{
    uint32_t max = partners / days_apart(policy);
    return max == 0 && partners > 0 ? 1 : max;
}

uint32_t plan_pool_need(const struct policy *policy, uint32_t messages)
{
    return messages > 1 ? messages * days_apart(policy) : messages;
}

/* ---- Filters ---- */

/* Two of the 512 bits for each account. */
static void filter_bits(uint32_t handle, uint32_t ret_bits[2])
{
    uint64_t hash = (handle + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    ret_bits[0] = (uint32_t)(hash >> 55);
    ret_bits[1] = (uint32_t)(hash >> 46) & 511;
}

static void filter_add(uint64_t filter[PAIR_FILTER_WORDS], uint32_t handle)
{
    uint32_t bits[2];
    filter_bits(handle, bits);
    for (int i = 0; i < 2; i++)
        filter[bits[i] / 64] |= UINT64_C(1) << (bits[i] % 64);
}

bool pair_may_be_barred(const struct pair_history *history, uint32_t from, uint32_t handle)
{
    const uint64_t *filter = history->filters[from];
    uint32_t bits[2];
    filter_bits(handle, bits);
    return (filter[bits[0] / 64] >> (bits[0] % 64) & 1) &&
           (filter[bits[1] / 64] >> (bits[1] % 64) & 1);
}

void pair_start(struct pair_history *history, struct pair_end from, struct pair_end to)
{
    filter_add(history->filters[from.place], to.handle);
    filter_add(history->filters[to.place], from.handle);
}

/* ---- Contacts ---- */

/* The index of an account by its handle. Handles are dense: the guess is right, or nearly. */
static uint32_t index_of(const struct plan_input *input, uint32_t handle)
{
    size_t low = 0, high = input->accounts_count;
    size_t guess = handle - input->accounts[0].handle;
    if (handle >= input->accounts[0].handle && guess < high &&
        input->accounts[guess].handle == handle)
        return (uint32_t)guess;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (input->accounts[middle].handle < handle)
            low = middle + 1;
        else
            high = middle;
    }
    return low < input->accounts_count && input->accounts[low].handle == handle ? (uint32_t)low
                                                                                : POOL_NOBODY;
}

/* The newest date on which a first message no longer bars another today. */
static int32_t cooled_date(const struct plan_input *input, uint32_t days)
{
    int32_t date = input->date;
    while (!plan_cooled(days, date, input->date, input->policy->cooldown_days))
        date--;
    return date;
}

/* What a first message within the last days leaves besides: whom it waits for (P4: today's bars the
 * other way as well). Some of them must do: each is a way to another end of memory. */
static void take_recent(struct pair_history *history, uint32_t from,
                        const struct plan_contact *contact)
{
    bool today = contact->date >= history->input->date;
    uint32_t draw = (contact->from ^ contact->to * 5) % OWED_PART;
    if (!today && history->thinned && draw != 0)
        return;
    uint32_t index = index_of(history->input, contact->to);
    if (index == POOL_NOBODY)
        return;
    uint32_t to = history->pool->place[index];
    if (today)
        filter_add(history->filters[to], contact->from);
    else
        history->owed[to].places[(contact->from * UINT32_C(0x9e3779b1) >> 16) % PAIR_OWED] = from;
}

static void take_contact(struct pair_history *history, uint32_t from, int32_t cooled,
                         const struct plan_contact *contact)
{
    if (contact->date > cooled)
        filter_add(history->filters[from], contact->to);
    if (contact->date >= history->input->date - OWED_DAYS)
        take_recent(history, from, contact);
}

/* Contacts and accounts are both ascending by handle: one walk over both. */
static void take_contacts(struct pair_history *history)
{
    const struct plan_input *input = history->input;
    int32_t cooled[EVERY_DAY + 1];
    for (uint32_t days = 0; days <= EVERY_DAY; days++)
        cooled[days] = cooled_date(input, days);
    size_t c = 0;
    for (size_t i = 0; i < input->accounts_count; i++) {
        const struct plan_account *a = &input->accounts[i];
        while (c < input->contacts_count && input->contacts[c].from < a->handle)
            c++;
        history->begins[2 * i] = (uint32_t)c;
        for (; c < input->contacts_count && input->contacts[c].from == a->handle; c++)
            take_contact(history, history->pool->place[i], cooled[a->days & EVERY_DAY],
                         &input->contacts[c]);
        history->begins[2 * i + 1] = (uint32_t)c;
    }
}

int pair_history_init(struct pair_history *history, const struct pool *pool)
{
    size_t n = pool->count + (size_t)1;
    *history = PAIR_HISTORY_NULL;
    history->input = pool->input;
    history->pool = pool;
    history->begins = calloc(2 * n, sizeof *history->begins);
    history->filters = calloc(n, sizeof *history->filters);
    history->owed = calloc(n, sizeof *history->owed);
    if (!history->begins || !history->filters || !history->owed) {
        pair_history_deinit(history);
        return flz_fail(-ENOMEM);
    }
    history->thinned = pool->count >= POOL_LARGE_MIN;
    memset(history->owed, 0xff, n * sizeof *history->owed); /* POOL_NOBODY */
    take_contacts(history);
    return 0;
}

void pair_history_deinit(struct pair_history *history)
{
    free(history->begins);
    free(history->filters);
    free(history->owed);
    *history = PAIR_HISTORY_NULL;
}

static int32_t wrote_on(const struct pair_history *history, uint32_t from, uint32_t to)
{
    const struct plan_contact *contacts = history->input->contacts;
    uint32_t handle = history->input->accounts[history->pool->account[to]].handle;
    size_t account = history->pool->account[from];
    size_t low = history->begins[2 * account];
    size_t end = history->begins[2 * account + 1];
    size_t high = end;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (contacts[middle].to < handle)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && contacts[low].to == handle ? contacts[low].date : PAIR_NEVER;
}

struct pair_fact pair_look(const struct pair_history *history, uint32_t from, uint32_t to)
{
    const struct plan_input *input = history->input;
    uint32_t days = input->accounts[history->pool->account[from]].days;
    struct pair_fact fact = {
        .state = PAIR_FREE,
        .wrote = wrote_on(history, from, to),
        .answered = wrote_on(history, to, from),
    };
    /* What cools cannot be freed by moving today's exchange: it is told first. */
    if (fact.wrote != PAIR_NEVER &&
        !plan_cooled(days, fact.wrote, input->date, input->policy->cooldown_days))
        fact.state = PAIR_COOLING;
    else if (fact.answered == input->date)
        fact.state = PAIR_STARTED;
    return fact;
}
