#include "coordinator/core/pair.h"

#include "common/base/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define EVERY_DAY 0x7fu

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

static uint64_t pair_key(uint32_t a, uint32_t b)
{
    uint64_t low = a < b ? a : b;
    uint64_t high = a < b ? b : a;
    return high << 32 | (low + 1);
}

/* Where the key stands, or the free place where it would. */
static size_t today_place(const struct pair_history *history, uint64_t key)
{
    size_t mask = history->today_size - 1;
    uint64_t hash = (key ^ key >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 32 ^ hash) & mask;
    while (history->today[i] != 0 && history->today[i] != key)
        i = (i + 1) & mask;
    return i;
}

void pair_start(struct pair_history *history, uint32_t from, uint32_t to)
{
    uint64_t key = pair_key(from, to);
    history->today[today_place(history, key)] = key;
}

/* Later keys of the same run move up, so that no search ends at the hole. */
void pair_undo(struct pair_history *history, uint32_t from, uint32_t to)
{
    size_t mask = history->today_size - 1;
    size_t hole = today_place(history, pair_key(from, to));
    assert(history->today[hole] != 0);
    history->today[hole] = 0;
    for (size_t i = (hole + 1) & mask; history->today[i] != 0; i = (i + 1) & mask) {
        uint64_t key = history->today[i];
        history->today[i] = 0;
        history->today[today_place(history, key)] = key;
    }
}

/* Contacts and accounts are both ascending by handle: one walk over both. */
static void index_contacts(struct pair_history *history)
{
    const struct plan_input *input = history->input;
    size_t c = 0;
    for (size_t i = 0; i < input->accounts_count; i++) {
        while (c < input->contacts_count && input->contacts[c].from < input->accounts[i].handle)
            c++;
        history->begins[2 * i] = c;
        while (c < input->contacts_count && input->contacts[c].from == input->accounts[i].handle)
            c++;
        history->begins[2 * i + 1] = c;
    }
}

int pair_history_init(struct pair_history *history, const struct plan_input *input,
                      size_t starts_max)
{
    *history = PAIR_HISTORY_NULL;
    history->input = input;
    history->today_size = 16;
    while (history->today_size < 2 * starts_max)
        history->today_size *= 2;
    history->today = calloc(history->today_size, sizeof(*history->today));
    history->begins = calloc(2 * input->accounts_count + 1, sizeof(*history->begins));
    if (!history->today || !history->begins) {
        pair_history_deinit(history);
        return flz_fail(-ENOMEM);
    }
    index_contacts(history);
    return 0;
}

void pair_history_deinit(struct pair_history *history)
{
    free(history->begins);
    free(history->today);
    *history = PAIR_HISTORY_NULL;
}

static int32_t wrote_on(const struct pair_history *history, uint32_t from, uint32_t to)
{
    const struct plan_contact *contacts = history->input->contacts;
    uint32_t handle = history->input->accounts[to].handle;
    size_t low = history->begins[2 * (size_t)from];
    size_t end = history->begins[2 * (size_t)from + 1];
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
    struct pair_fact fact = {
        .state = PAIR_FREE,
        .wrote = wrote_on(history, from, to),
        .answered = wrote_on(history, to, from),
    };
    /* What cools cannot be freed by moving today's exchange: it is told first. */
    if (fact.wrote != PAIR_NEVER && !plan_cooled(input->accounts[from].days, fact.wrote,
                                                 input->date, input->policy->cooldown_days))
        fact.state = PAIR_COOLING;
    else if (fact.answered == input->date ||
             history->today[today_place(history, pair_key(from, to))] != 0)
        fact.state = PAIR_STARTED;
    return fact;
}
