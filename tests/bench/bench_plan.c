/*
 * How long one day's plan takes: `bench_plan [ACCOUNTS [QUOTA [SHARE]]]`, SHARE percent of the
 * accounts in one domain. Five days are planned, so that the last, which is the one told, meets the
 * history that the default cooldown asks for. One line: accounts, messages, CPU seconds, messages a
 * second, fill, peak memory; the second number is the time of writing the plan's exchanges once
 * more to fresh memory, in order: what no planner can be faster than.
 */
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "coordinator/core/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define DATE 20780
#define DAYS 5

struct history {
    struct plan_contact *contacts;
    size_t count;
    size_t capacity;
};

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* other work on the machine does not count */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill_account(struct plan_account *a, uint32_t i, uint32_t n, uint32_t quota,
                         uint32_t share, int32_t date)
{
    uint32_t domain = i * UINT64_C(100) < (uint64_t)n * share ? 0 : 1 + i % (n / 8 + 1);
    *a = (struct plan_account){
        .handle = i,
        .node = i % 50,
        .domain = domain,
        .owner = domain,
        .language = i / 8 % 2,
        .sends = true,
        .receives = true,
        .inbound_max = quota * 3 / 2,
    };
    for (int day = 0; day < PLAN_DAYS; day++) {
        a->quota[day] = quota;
        a->window_start[day] = (date + day) * FLZ_DAY_MS + (8 + i % 3) * FLZ_HOUR_MS;
        a->window_end[day] = a->window_start[day] + 9 * FLZ_HOUR_MS;
    }
}

static int compare_contacts(const void *left, const void *right)
{
    const struct plan_contact *a = left;
    const struct plan_contact *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->date > b->date ? -1 : a->date < b->date;
}

static int remember(struct history *history, const struct plan_output *output, int32_t date)
{
    int r = flz_grow((void **)&history->contacts, &history->capacity,
                     history->count + output->exchanges_count, sizeof(*history->contacts));
    if (r < 0)
        return r;
    for (size_t i = 0; i < output->exchanges_count; i++)
        history->contacts[history->count++] = (struct plan_contact){
            .from = output->exchanges[i].from, .to = output->exchanges[i].to, .date = date};
    qsort(history->contacts, history->count, sizeof(*history->contacts), compare_contacts);
    size_t kept = 0;
    for (size_t i = 0; i < history->count; i++)
        if (kept == 0 || history->contacts[i].from != history->contacts[kept - 1].from ||
            history->contacts[i].to != history->contacts[kept - 1].to)
            history->contacts[kept++] = history->contacts[i];
    history->count = kept;
    return 0;
}

static double time_copy(const struct plan_output *output)
{
    size_t bytes = output->exchanges_count * sizeof(*output->exchanges);
    void *copy = malloc(bytes + 1);
    double begin = cpu_seconds();
    if (copy && bytes)
        memcpy(copy, output->exchanges, bytes);
    __asm__ volatile("" : : "r"(copy) : "memory"); /* it is read by nobody, and done all the same */
    double taken = cpu_seconds() - begin;
    free(copy);
    return taken;
}

static void tell(const struct plan_output *output, uint32_t accounts, double taken)
{
    uint64_t messages = 0;
    uint64_t wanted = 0;
    uint64_t planned = 0;
    for (size_t i = 0; i < output->exchanges_count; i++)
        messages += output->exchanges[i].turns_count;
    for (size_t i = 0; i < output->shortfalls_count; i++) {
        wanted += output->shortfalls[i].wanted;
        planned += output->shortfalls[i].planned;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("accounts %u messages %llu seconds %.3f copy %.3f per_second %.0f fill %.2f%% "
           "peak_MB %ld\n",
           accounts, (unsigned long long)messages, taken, time_copy(output),
           (double)messages / taken, wanted ? 100.0 * (double)planned / (double)wanted : 100.0,
           usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    uint32_t quota = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20;
    uint32_t share = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    static const uint8_t turns[] = {3, 3, 4, 4, 5, 5, 3, 3};
    const struct plan_pack packs[] = {
        {.language = 0, .scenarios = 8, .turns = turns},
        {.language = 1, .scenarios = 8, .turns = turns},
    };
    struct policy policy = policy_default();
    struct history history = {0};
    _cleanup_(flz_freep) struct plan_account *accounts = calloc(n + (size_t)1, sizeof(*accounts));
    if (!accounts)
        return 1;
    for (int32_t date = DATE; date < DATE + DAYS; date++) {
        for (uint32_t i = 0; i < n; i++)
            fill_account(&accounts[i], i, n, quota, share, date);
        struct plan_input input = {
            .date = date,
            .now = date * FLZ_DAY_MS - FLZ_HOUR_MS,
            .policy = &policy,
            .accounts = accounts,
            .accounts_count = n,
            .contacts = history.contacts,
            .contacts_count = history.count,
            .packs = packs,
            .packs_count = 2,
            .seed = 1,
        };
        _cleanup_(plan_output_deinit) struct plan_output output = PLAN_OUTPUT_NULL;
        double begin = cpu_seconds();
        if (plan_day(&input, &output) < 0)
            return 1;
        double taken = cpu_seconds() - begin;
        if (date == DATE + DAYS - 1)
            tell(&output, n, taken);
        else if (remember(&history, &output, date) < 0)
            return 1;
    }
    free(history.contacts);
    return 0;
}
