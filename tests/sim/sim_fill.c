/*
 * How much of what could be filled is filled: pools of every shape through days, each plan's first
 * messages beside the exact maximum of the same day (plan_flow.h). Without replies, since these
 * fill quota as well.
 *
 *     sim_fill                     the short form, as in ctest
 *     sim_fill --accounts N --days D --cooldown C --quota Q --seed S [--shape NAME]
 *
 * Fails where a shape's fill over its days is below 99.9 % of the maximum.
 */
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/rng.h"
#include "common/base/time.h"
#include "tests/sim/plan_check.h"
#include "tests/sim/plan_flow.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATE 20780
#define LEAST_PERMYRIAD 9990

enum shape {
    SHAPE_EVEN,      /* domains of eight */
    SHAPE_DOMAIN_30, /* 30 % in one domain */
    SHAPE_DOMAIN_45,
    SHAPE_OWNER_45,    /* 45 % are of one owner, on domains of their own */
    SHAPE_TWO_DOMAINS, /* half and half */
    SHAPE_PROVIDER_80, /* 80 % on four domains of twenty per cent each */
    SHAPE_TIGHT,       /* inbound no larger than quota */
    SHAPE_TIGHT_45,    /* the same, and 45 % in one domain */
    SHAPE_MIXED,       /* quotas from 1 to twice the usual */
    SHAPE_OFFICE,      /* hours from 9 to 17 in two zones, inbound no larger than quota */
    SHAPES,
};

static const char *const names[SHAPES] = {"even",        "domain-30",   "domain-45", "owner-45",
                                          "two-domains", "provider-80", "tight",     "tight-45",
                                          "mixed",       "office"};

struct settings {
    uint32_t accounts, quota;
    int32_t days, cooldown;
    uint64_t seed;
    int shape; /* -1: all */
};

struct pool {
    const struct settings *settings;
    enum shape shape;
    struct plan_account *accounts;
    uint32_t *late; /* messages that each opens on the next day */
    struct plan_contact *contacts;
    size_t contacts_count, contacts_capacity;
};

static void place(const struct pool *pool, uint32_t i, struct plan_account *a)
{
    uint32_t n = pool->settings->accounts, percent = (uint32_t)(i * UINT64_C(100) / n);
    a->domain = a->owner = 10 + i / 8;
    switch (pool->shape) {
    case SHAPE_DOMAIN_30: a->domain = percent < 30 ? 0 : a->domain; break;
    case SHAPE_TIGHT_45:
    case SHAPE_DOMAIN_45: a->domain = percent < 45 ? 0 : a->domain; break;
    case SHAPE_OWNER_45: a->owner = percent < 45 ? 0 : a->owner; break;
    case SHAPE_TWO_DOMAINS: a->domain = i % 2; break;
    case SHAPE_PROVIDER_80: a->domain = percent < 80 ? percent / 20 : a->domain; break;
    case SHAPE_OFFICE:
    case SHAPE_EVEN:
    case SHAPE_TIGHT:
    case SHAPE_MIXED:
    case SHAPES: break;
    }
}

/* What its phase wants of it, before the pool's own bound. */
static uint32_t wish_of(const struct pool *pool, uint32_t i)
{
    struct flz_rng rng;
    if (pool->shape != SHAPE_MIXED)
        return pool->settings->quota;
    flz_rng_init(&rng, flz_view_str("quota"), i);
    uint32_t quota = 1 + (uint32_t)flz_rng_below(&rng, 2 * pool->settings->quota);
    return quota < POLICY_DAILY_CEILING ? quota : POLICY_DAILY_CEILING;
}

/* No pool carries more than each eligible partner once a cooldown; the ramp asks for no more. */
static uint32_t quota_of(const struct pool *pool, uint32_t i)
{
    const struct plan_account *a = &pool->accounts[i];
    uint32_t eligible = 0, wish = wish_of(pool, i);
    for (uint32_t j = 0; j < pool->settings->accounts; j++) {
        const struct plan_account *b = &pool->accounts[j];
        eligible += a->domain != b->domain && a->owner != b->owner;
    }
    uint32_t most = eligible / (uint32_t)pool->settings->cooldown;
    return wish < most ? wish : most;
}

static uint32_t inbound_percent(enum shape shape)
{
    bool tight = shape == SHAPE_TIGHT || shape == SHAPE_TIGHT_45 || shape == SHAPE_OFFICE;
    return tight ? 100 : 150;
}

static void fill_accounts(struct pool *pool, int32_t date)
{
    uint32_t percent = inbound_percent(pool->shape);
    for (uint32_t i = 0; i < pool->settings->accounts; i++) {
        struct plan_account *a = &pool->accounts[i];
        *a = (struct plan_account){.handle = i, .node = i % 50, .sends = true, .receives = true};
        place(pool, i, a);
    }
    for (uint32_t i = 0; i < pool->settings->accounts; i++) {
        struct plan_account *a = &pool->accounts[i];
        uint32_t quota = quota_of(pool, i);
        for (int day = 0; day < PLAN_DAYS; day++) {
            a->quota[day] = quota;
            a->window_start[day] = (date + day) * FLZ_DAY_MS;
            a->window_end[day] = a->window_start[day] + FLZ_DAY_MS;
            if (pool->shape != SHAPE_OFFICE)
                continue;
            a->window_start[day] += (9 + i % 2) * FLZ_HOUR_MS;
            a->window_end[day] = a->window_start[day] + 8 * FLZ_HOUR_MS;
        }
        uint32_t most = a->quota[0] * percent / 100;
        a->inbound_max = most - (pool->late[i] < most ? pool->late[i] : most);
    }
}

static int compare_contacts(const void *left, const void *right)
{
    const struct plan_contact *a = left, *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->date > b->date ? -1 : a->date < b->date;
}

/* The newest contact of each pair, sorted; and what is opened a day late. */
static int remember(struct pool *pool, const struct plan_read *output, int32_t date)
{
    int r = flz_grow((void **)&pool->contacts, &pool->contacts_capacity,
                     pool->contacts_count + output->exchanges_count, sizeof *pool->contacts);
    if (r < 0)
        return r;
    for (size_t i = 0; i < output->exchanges_count; i++)
        pool->contacts[pool->contacts_count++] = (struct plan_contact){
            .from = output->exchanges[i].from, .to = output->exchanges[i].to, .date = date};
    qsort(pool->contacts, pool->contacts_count, sizeof *pool->contacts, compare_contacts);
    memset(pool->late, 0, pool->settings->accounts * sizeof *pool->late);
    for (size_t i = 0; i < output->exchanges_count; i++)
        pool->late[output->exchanges[i].to] += output->exchanges[i].turns[0].open_date > date;
    size_t kept = 0;
    for (size_t i = 0; i < pool->contacts_count; i++)
        if (kept == 0 || pool->contacts[i].from != pool->contacts[kept - 1].from ||
            pool->contacts[i].to != pool->contacts[kept - 1].to)
            pool->contacts[kept++] = pool->contacts[i];
    pool->contacts_count = kept;
    return 0;
}

struct total {
    uint64_t wanted, most, planned;
};

static int run_day(struct pool *pool, const struct policy *policy, int32_t date,
                   struct total *total)
{
    static const uint8_t turns[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    const struct plan_pack pack = {.scenarios = 8, .turns = turns};
    fill_accounts(pool, date);
    struct plan_input input = {.date = date,
                               .now = date * FLZ_DAY_MS,
                               .policy = policy,
                               .accounts = pool->accounts,
                               .accounts_count = pool->settings->accounts,
                               .contacts = pool->contacts,
                               .contacts_count = pool->contacts_count,
                               .packs = &pack,
                               .packs_count = 1,
                               .seed = pool->settings->seed};
    _cleanup_(plan_read_deinit) struct plan_read output = PLAN_READ_NULL;
    struct flz_msg msg;
    int r = plan_read_day(&input, &output);
    if (r < 0)
        return r;
    r = plan_check(&input, &output, &msg);
    if (r != 0) {
        printf("FAILED %s: rule %d: %s\n", names[pool->shape], r, msg.text);
        return -1;
    }
    for (size_t i = 0; i < input.accounts_count; i++)
        total->wanted += input.accounts[i].quota[0];
    total->most += plan_flow_max(&input);
    total->planned += output.exchanges_count;
    return remember(pool, &output, date);
}

static int run_shape(const struct settings *settings, enum shape shape)
{
    struct policy policy = policy_default();
    policy.reply_percent = 0;
    policy.same_owner_percent = 0;
    policy.cooldown_days = settings->cooldown;
    policy.inbound_percent = inbound_percent(shape);
    struct pool pool = {.settings = settings, .shape = shape};
    pool.accounts = calloc(settings->accounts, sizeof *pool.accounts);
    pool.late = calloc(settings->accounts, sizeof *pool.late);
    struct total total = {0};
    int r = pool.accounts && pool.late ? 0 : -1;
    for (int32_t day = 0; r == 0 && day < settings->days; day++)
        r = run_day(&pool, &policy, DATE + day, &total);
    free(pool.accounts);
    free(pool.late);
    free(pool.contacts);
    if (r < 0)
        return 1;
    uint64_t permyriad = total.most ? total.planned * 10000 / total.most : 10000;
    bool good = permyriad >= LEAST_PERMYRIAD;
    printf("%-12s wanted %llu  possible %llu  planned %llu  %.3f %% of what is possible%s\n",
           names[shape], (unsigned long long)total.wanted, (unsigned long long)total.most,
           (unsigned long long)total.planned,
           total.most ? 100.0 * (double)total.planned / (double)total.most : 100.0,
           good ? "" : "  FAILED: below 99.9 %");
    return good ? 0 : 1;
}

static int find_shape(const char *name)
{
    for (int shape = 0; shape < SHAPES; shape++)
        if (strcmp(name, names[shape]) == 0)
            return shape;
    fprintf(stderr, "unknown shape '%s'\n", name);
    exit(64);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"accounts", required_argument, NULL, 'n'},
        {"days", required_argument, NULL, 'd'},
        {"cooldown", required_argument, NULL, 'c'},
        {"quota", required_argument, NULL, 'q'},
        {"seed", required_argument, NULL, 's'},
        {"shape", required_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct settings settings = {
        .accounts = 300, .quota = 20, .days = 8, .cooldown = 5, .seed = 1, .shape = -1};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'n': settings.accounts = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'd': settings.days = (int32_t)strtol(optarg, NULL, 10); break;
        case 'c': settings.cooldown = (int32_t)strtol(optarg, NULL, 10); break;
        case 'q': settings.quota = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 's': settings.seed = strtoull(optarg, NULL, 10); break;
        case 'h': settings.shape = find_shape(optarg); break;
        default: return 64;
        }
    int failed = 0;
    for (int shape = 0; shape < SHAPES; shape++)
        if (settings.shape < 0 || settings.shape == shape)
            failed |= run_shape(&settings, (enum shape)shape);
    return failed;
}
