/*
 * How long one day's plan takes: `bench_plan [ACCOUNTS [QUOTA [SHARE [FILE]]]]`, SHARE percent of
 * the accounts in one domain; FILE gets the told day's pool for bench_lemon. Six days are planned,
 * each with what those before it left: contacts, replies promised for later days, times that are
 * busy, messages still to be received. The last day is the one told, in one line: accounts,
 * messages, CPU seconds, nanoseconds a message, fill, how many MB the process held at most while it
 * was planned (its input included); and the time of writing the plan's records once more to fresh
 * memory, in order, what no planner can be faster than, with the ratio of both.
 */
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/rng.h"
#include "common/base/time.h"
#include "coordinator/core/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DATE 20780
#define DAYS 6
#define CANDIDATES 90  /* each, for bench_lemon */
#define HISTORY_DAYS 4 /* with the default cooldown, older contacts bar nobody */

/* Something of a later day: a reply that will be sent, or a message that will be opened. */
struct promise {
    uint32_t account;
    int32_t date;
    int64_t at;
};

struct promises {
    struct promise *list;
    size_t count, capacity;
};

struct world {
    uint32_t accounts_count, quota, share;
    struct policy policy;
    struct plan_account *accounts;
    struct plan_contact *contacts;
    size_t contacts_count;
    struct promises sends, opens;
    int64_t *busy;
    const char *graph; /* where it goes; NULL: nowhere */
};

static void need(bool fine)
{
    if (fine)
        return;
    fprintf(stderr, "bench_plan: out of memory\n");
    exit(1);
}

static void *make(size_t count, size_t size)
{
    void *p = calloc(count + 1, size);
    need(p != NULL);
    return p;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* other work on the machine does not count */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- The day's input ---- */

static void fill_account(const struct world *w, uint32_t i, int32_t date)
{
    uint32_t n = w->accounts_count;
    bool shared = i * UINT64_C(100) < (uint64_t)n * w->share;
    uint32_t domain = shared ? 0 : 1 + i % (n / 8 + 1);
    struct plan_account *a = &w->accounts[i];
    *a = (struct plan_account){
        .handle = i,
        .node = i % 50,
        .domain = domain,
        .owner = domain,
        .provider = i % 3,
        .language = i / 8 % 2,
        .sends = true,
        .receives = true,
        .inbound_max = w->quota * 3 / 2,
    };
    for (int day = 0; day < PLAN_DAYS; day++) {
        a->quota[day] = w->quota;
        a->window_start[day] = (date + day) * FLZ_DAY_MS + (8 + i % 3) * FLZ_HOUR_MS;
        a->window_end[day] = a->window_start[day] + 9 * FLZ_HOUR_MS;
    }
}

static int compare_promises(const void *left, const void *right)
{
    const struct promise *a = left, *b = right;
    if (a->account != b->account)
        return a->account < b->account ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static void drop_past(struct promises *promises, int32_t date)
{
    size_t kept = 0;
    for (size_t i = 0; i < promises->count; i++)
        if (promises->list[i].date >= date)
            promises->list[kept++] = promises->list[i];
    promises->count = kept;
}

static void fill_promised(struct world *w, int32_t date)
{
    drop_past(&w->sends, date);
    drop_past(&w->opens, date);
    if (w->sends.count > 0)
        qsort(w->sends.list, w->sends.count, sizeof *w->sends.list, compare_promises);
    free(w->busy);
    w->busy = make(w->sends.count, sizeof *w->busy);
    for (size_t i = 0; i < w->sends.count; i++) {
        const struct promise *p = &w->sends.list[i];
        struct plan_account *a = &w->accounts[p->account];
        w->busy[i] = p->at;
        if (a->busy_count++ == 0)
            a->busy = &w->busy[i];
        a->reserved[p->date - date]++;
    }
    for (size_t i = 0; i < w->opens.count; i++) {
        struct plan_account *a = &w->accounts[w->opens.list[i].account];
        int32_t day = w->opens.list[i].date - date;
        a->inbound_taken[day]++;
        a->inbound_max -= day == 0 && a->inbound_max > 0;
    }
}

/* What only further days would need does not count as memory of the plan. */
static void forget(struct world *w)
{
    free(w->sends.list);
    free(w->opens.list);
    w->sends = w->opens = (struct promises){.list = NULL};
}

/* ---- What a day leaves ---- */

static void promise(struct promises *promises, uint32_t account, int32_t date, int64_t at)
{
    need(flz_grow((void **)&promises->list, &promises->capacity, promises->count + 1,
                  sizeof *promises->list) == 0);
    promises->list[promises->count++] = (struct promise){account, date, at};
}

static void remember_promises(struct world *w, const struct plan_output *output, int32_t date)
{
    for (size_t i = 0; i < output->exchanges_count; i++) {
        const struct plan_packed *x = &output->exchanges[i];
        for (uint32_t n = 0; n < x->turns_count; n++) {
            const struct plan_packed_turn *t = &output->turns[x->turns + n];
            if (t->day > 0)
                promise(&w->sends, n % 2 ? x->to : x->from, date + t->day, output->epoch + t->send);
            if (t->open_day > 0)
                promise(&w->opens, n % 2 ? x->from : x->to, date + t->open_day, 0);
        }
    }
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Today's recipients of each sender, ascending: those of account i are [begins[i], begins[i+1]). */
static uint32_t *recipients(const struct world *w, const struct plan_output *output,
                            uint32_t *begins)
{
    uint32_t n = w->accounts_count;
    uint32_t *list = make(output->exchanges_count, sizeof *list);
    for (size_t i = 0; i < output->exchanges_count; i++)
        begins[output->exchanges[i].from + 2]++;
    for (uint32_t i = 0; i < n; i++)
        begins[i + 2] += begins[i + 1];
    for (size_t i = 0; i < output->exchanges_count; i++)
        list[begins[output->exchanges[i].from + 1]++] = output->exchanges[i].to;
    for (uint32_t i = 0; i < n; i++)
        if (begins[i + 1] > begins[i])
            qsort(list + begins[i], begins[i + 1] - begins[i], sizeof *list, compare_u32);
    return list;
}

/* Merges one sender's contacts with its recipients of the day; whom it met is told newest only. */
static size_t merge(const struct plan_contact *old, size_t old_count, const uint32_t *today,
                    size_t today_count, struct plan_contact now, struct plan_contact *ret_merged)
{
    size_t i = 0, j = 0, count = 0;
    while (i < old_count || j < today_count) {
        if (j == today_count || (i < old_count && old[i].to < today[j])) {
            if (old[i].date > now.date - HISTORY_DAYS)
                ret_merged[count++] = old[i];
            i++;
        } else {
            i += i < old_count && old[i].to == today[j];
            now.to = today[j++];
            ret_merged[count++] = now;
        }
    }
    return count;
}

static void remember_contacts(struct world *w, const struct plan_output *output, int32_t date)
{
    uint32_t n = w->accounts_count;
    _cleanup_(flz_freep) uint32_t *begins = make(n + (size_t)2, sizeof *begins);
    _cleanup_(flz_freep) uint32_t *today = recipients(w, output, begins);
    struct plan_contact *merged = make(w->contacts_count + output->exchanges_count, sizeof *merged);
    size_t count = 0, at = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t first = at;
        while (at < w->contacts_count && w->contacts[at].from == i)
            at++;
        count +=
            merge(w->contacts + first, at - first, today + begins[i], begins[i + 1] - begins[i],
                  (struct plan_contact){.from = i, .date = date}, merged + count);
    }
    free(w->contacts);
    w->contacts = merged;
    w->contacts_count = count;
}

/* ---- What is told ---- */

/* Of this process, in MB, since the last call of reset_peak(). */
static long peak_mb(void)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib / 1024;
}

static void reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f)
        return;
    (void)fputs("5", f); /* proc(5) */
    (void)fclose(f);
}

static double time_copy(const struct plan_output *output)
{
    size_t exchanges = output->exchanges_count * sizeof *output->exchanges;
    size_t turns = output->turns_count * sizeof *output->turns;
    double begin = cpu_seconds();
    char *copy = malloc(exchanges + turns + 1);
    need(copy != NULL);
    if (exchanges > 0) {
        memcpy(copy, output->exchanges, exchanges);
        memcpy(copy + exchanges, output->turns, turns);
    }
    __asm__ volatile("" : : "r"(copy) : "memory"); /* it is read by nobody, and done all the same */
    double taken = cpu_seconds() - begin;
    free(copy);
    return taken;
}

static void tell(const struct world *w, const struct plan_output *output, double taken, long peak)
{
    uint64_t messages = 0, wanted = 0, planned = 0;
    for (size_t i = 0; i < output->exchanges_count; i++)
        messages += output->exchanges[i].turns_count;
    for (size_t i = 0; i < output->shortfalls_count; i++) {
        wanted += output->shortfalls[i].wanted;
        planned += output->shortfalls[i].planned;
    }
    double copy = time_copy(output);
    printf("accounts %u messages %llu seconds %.3f ns_a_message %.0f fill %.3f%% peak_MB %ld "
           "contacts %zu copy %.3f ratio %.1f\n",
           w->accounts_count, (unsigned long long)messages, taken, taken * 1e9 / (double)messages,
           wanted ? 100.0 * (double)planned / (double)wanted : 100.0, peak, w->contacts_count, copy,
           taken / copy);
}

/* ---- The pool as a graph, for others ---- */

static bool met(const struct world *w, uint32_t from, uint32_t to)
{
    size_t low = 0, high = w->contacts_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct plan_contact *c = &w->contacts[middle];
        if (c->from < from || (c->from == from && c->to < to))
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->contacts_count && w->contacts[low].from == from && w->contacts[low].to == to;
}

static uint32_t candidate(const struct world *w, struct flz_rng *rng, uint32_t from)
{
    const struct plan_account *a = &w->accounts[from];
    for (;;) {
        uint32_t to = (uint32_t)flz_rng_below(rng, w->accounts_count);
        const struct plan_account *b = &w->accounts[to];
        if (a->domain != b->domain && a->language == b->language && !met(w, from, to))
            return to;
    }
}

static void put(FILE *f, uint32_t value)
{
    (void)fwrite(&value, sizeof value, 1, f);
}

/* Accounts and candidates each; of each account what it sends, receives, and its candidates. */
static void write_graph(const struct world *w, const char *path)
{
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("candidates"), 1);
    FILE *f = fopen(path, "w");
    need(f != NULL);
    put(f, w->accounts_count);
    put(f, CANDIDATES);
    for (uint32_t i = 0; i < w->accounts_count; i++) {
        const struct plan_account *a = &w->accounts[i];
        put(f, a->quota[0] - a->reserved[0]);
        put(f, a->inbound_max);
        for (int n = 0; n < CANDIDATES; n++)
            put(f, candidate(w, &rng, i));
    }
    need(fclose(f) == 0);
}

static void run_day(struct world *w, int32_t date)
{
    static const uint8_t turns[] = {3, 3, 4, 4, 5, 5, 3, 3};
    static const struct plan_pack packs[] = {
        {.language = 0, .scenarios = 8, .turns = turns},
        {.language = 1, .scenarios = 8, .turns = turns},
    };
    for (uint32_t i = 0; i < w->accounts_count; i++)
        fill_account(w, i, date);
    fill_promised(w, date);
    if (date == DATE + DAYS - 1)
        forget(w);
    struct plan_input input = {
        .date = date,
        .now = date * FLZ_DAY_MS - FLZ_HOUR_MS,
        .policy = &w->policy,
        .accounts = w->accounts,
        .accounts_count = w->accounts_count,
        .contacts = w->contacts,
        .contacts_count = w->contacts_count,
        .packs = packs,
        .packs_count = 2,
        .seed = 1,
    };
    _cleanup_(plan_output_deinit) struct plan_output output = PLAN_OUTPUT_NULL;
    reset_peak();
    double begin = cpu_seconds();
    need(plan_day(&input, &output) == 0);
    double taken = cpu_seconds() - begin;
    if (date == DATE + DAYS - 1) {
        tell(w, &output, taken, peak_mb());
        if (w->graph)
            write_graph(w, w->graph);
        return;
    }
    remember_promises(w, &output, date);
    remember_contacts(w, &output, date);
}

int main(int argc, char **argv)
{
    struct world w = {
        .accounts_count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000,
        .quota = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20,
        .share = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0,
        .policy = policy_default(),
        .graph = argc > 4 ? argv[4] : NULL,
    };
    w.accounts = make(w.accounts_count, sizeof *w.accounts);
    for (int32_t date = DATE; date < DATE + DAYS; date++)
        run_day(&w, date);
    free(w.accounts);
    free(w.contacts);
    free(w.busy);
    return 0;
}
