/*
 * The forecast simulator: it breaks no rule, repeats itself to the bit, and says today what it said
 * when the golden hashes were written.
 *
 *     sim_forecast GOLDEN            as in ctest
 *     sim_forecast --renew GOLDEN    writes the hashes anew, after a change of the planner's that
 *                                    was meant: rules are checked all the same
 *
 * A line of GOLDEN: network, accounts, days, seed, hash. Every plan that is drawn passes
 * plan_check(); the linker puts it between the planning and plan_day(). What is sent is held
 * against the rules once more, across plans.
 */
#include "common/base/cleanup.h"
#include "common/base/map.h"
#include "common/base/time.h"
#include "coordinator/sim/sim.h"
#include "tests/sim/plan_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 32

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s: %s:%d: %s: ", checking, __FILE__, __LINE__, #condition);    \
            (void)fprintf(stderr, __VA_ARGS__);                                                    \
            (void)fputc('\n', stderr);                                                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static char checking[128] = "sim_forecast"; /* the network under way */
static size_t plans;

int __real_plan_day(const struct plan_input *input, struct plan_output *ret_output);
int __wrap_plan_day(const struct plan_input *input, struct plan_output *ret_output);

int __wrap_plan_day(const struct plan_input *input, struct plan_output *ret_output)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    int r = __real_plan_day(input, ret_output);
    plans++;
    CHECK(r == 0, "the plan was not drawn: %d", r);
    _cleanup_(plan_read_deinit) struct plan_read read = PLAN_READ_NULL;
    plan_read_of(input, ret_output, &read);
    CHECK(plan_check(input, &read, &msg) == 0, "%s", msg.text);
    return r;
}

/* ---- What is sent ---- */

struct ledger {
    struct flz_map firsts; /* (from, to) → date of the newest first message */
    size_t sent;
    int64_t cooldown_days;
};

static void check_hours(const struct row_day *day, int64_t now)
{
    CHECK(now >= day->window_start && now <= day->window_end, "%u sends out of hours",
          day->account);
    CHECK(day->committed + day->reserved <= day->quota, "%u sends %u + %u of %u", day->account,
          day->committed, day->reserved, day->quota);
}

static void check_first(struct ledger *ledger, const struct row_account *from, uint32_t to,
                        int32_t date)
{
    struct flz_id pair = flz_id_of_u64((uint64_t)from->handle << 32 | to);
    uint32_t last = flz_map_get(&ledger->firsts, pair);
    CHECK(last == FLZ_MAP_NONE ||
              plan_check_sending_days(from->days, (int32_t)last, date) >= ledger->cooldown_days,
          "%u writes to %u again too soon", from->handle, to);
    CHECK(flz_map_set(&ledger->firsts, pair, (uint32_t)date) == 0, "memory");
}

static void on_send(void *data, const struct coord *core, const struct flz_receipt *receipt,
                    int64_t now)
{
    struct ledger *ledger = data;
    const struct row_exchange *x =
        coord_exchange(core, coord_find_exchange(core, receipt->exchange));
    CHECK(x && receipt->turn < x->turns_count, "a message of no exchange");
    bool back = receipt->turn % 2;
    const struct row_account *from = coord_account(core, back ? x->to : x->from);
    const struct row_account *to = coord_account(core, back ? x->from : x->to);
    const struct row_turn *turn = &x->turns[receipt->turn];
    CHECK(from != to && from->domain != to->domain && from->owner != to->owner,
          "%u writes to its own", from->handle);
    CHECK(now >= turn->send_at && now <= turn->send_until, "%u sends out of its slot",
          from->handle);
    const struct row_day *day = coord_day(core, from->handle, turn->date);
    CHECK(day, "%u sends on a day that nobody counts", from->handle);
    if (day->planned_day)
        check_hours(day, now);
    if (receipt->turn == 0)
        check_first(ledger, from, to->handle, turn->date);
    ledger->sent++;
}

/* ---- Networks ---- */

static void usual(struct scenario *s)
{
}

/* Grows, loses people, and much goes down. */
static void stormy(struct scenario *s)
{
    s->nodes = 4;
    s->first_day_percent = 50;
    s->growth_days = 4;
    s->leave_permille = 10;
    s->login_fails_permille = 40;
    s->providers[0].rate_per_minute = 3;
    s->policy.cooldown_days = 2;
    s->outages_count = 2;
    s->outages[0] = (struct scenario_outage){.provider = 1,
                                             .node = SCENARIO_NOBODY,
                                             .from = (s->from + 2) * FLZ_DAY_MS + 10 * FLZ_HOUR_MS,
                                             .until = (s->from + 3) * FLZ_DAY_MS};
    s->outages[1] =
        (struct scenario_outage){.provider = SCENARIO_NOBODY,
                                 .node = 2,
                                 .from = (s->from + 1) * FLZ_DAY_MS + 15 * FLZ_HOUR_MS,
                                 .until = (s->from + 1) * FLZ_DAY_MS + 18 * FLZ_HOUR_MS};
}

/* One owner has a third, one domain another: most cannot write to most. */
static void lopsided(struct scenario *s)
{
    s->big_owner_percent = 35;
    s->big_domain_percent = 35;
    s->policy.cooldown_days = 3;
}

static const struct {
    const char *name;
    void (*set)(struct scenario *scenario);
} networks[] = {{"usual", usual}, {"stormy", stormy}, {"lopsided", lopsided}};

struct line {
    char network[16];
    uint32_t accounts;
    uint32_t days;
    unsigned long long seed;
    char hash[33];
};

static void set_network(struct scenario *scenario, const char *name)
{
    scenario_default(scenario);
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        if (strcmp(networks[i].name, name) != 0)
            continue;
        networks[i].set(scenario);
        return;
    }
    CHECK(false, "there is no network %s", name);
}

static void run(struct tz *tz, const struct line *line, uint64_t seed, struct harvest *ret_harvest)
{
    static struct scenario scenario;
    struct ledger ledger = {.firsts = FLZ_MAP_NULL};
    struct flz_msg msg = FLZ_MSG_NULL;
    set_network(&scenario, line->network);
    ledger.cooldown_days = scenario.policy.cooldown_days;
    struct sim_options options = {.scenario = &scenario,
                                  .accounts = line->accounts,
                                  .days = line->days,
                                  .seed = seed,
                                  .on_send = on_send,
                                  .data = &ledger};
    int r = sim_run(&options, tz, ret_harvest, &msg);
    CHECK(r == 0, "%d %s", r, msg.text);
    CHECK(ledger.sent > 0 && ledger.sent == ret_harvest->all.sent, "%zu left, %llu are counted",
          ledger.sent, (unsigned long long)ret_harvest->all.sent);
    flz_map_deinit(&ledger.firsts);
}

/* What is planned has become of something. */
static void check_sums(const struct harvest *harvest)
{
    const struct harvest_volume *v = &harvest->all;
    CHECK(v->inbox + v->junk + v->other + v->missing + v->unobserved <= v->sent,
          "more was seen than sent");
    CHECK(v->sent + v->rejected + v->expired + v->dropped + v->ambiguous <= v->planned,
          "more was done than planned");
    CHECK(v->planned - (v->sent + v->rejected + v->expired + v->dropped + v->ambiguous) <=
              v->planned / 50,
          "too much of %llu came to nothing that is counted", (unsigned long long)v->planned);
    CHECK(harvest->partners.same_owner == 0, "same owner");
}

/* ---- Golden hashes ---- */

static size_t read_lines(const char *path, struct line lines[LINES_MAX])
{
    size_t n = 0;
    char text[256];
    FILE *file = fopen(path, "re");
    CHECK(file, "%s cannot be read", path);
    while (n < LINES_MAX && fgets(text, sizeof text, file)) {
        struct line *line = &lines[n];
        n += sscanf(text, "%15s %u %u %llu %32s", line->network, &line->accounts, &line->days,
                    &line->seed, line->hash) == 5;
    }
    (void)fclose(file);
    return n;
}

static void write_lines(const char *path, const struct line *lines, size_t n)
{
    FILE *file = fopen(path, "we");
    CHECK(file, "%s cannot be written", path);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(file, "%s %u %u %llu %s\n", lines[i].network, lines[i].accounts,
                      lines[i].days, lines[i].seed, lines[i].hash);
    (void)fclose(file);
}

static int compare(const char *path, const struct line *line, const struct harvest *harvest)
{
    if (strcmp(line->hash, harvest->hash) == 0)
        return 0;
    (void)fprintf(stderr,
                  "%s: hash %s, golden %s. If the plans were meant to change: %s --renew %s\n",
                  checking, harvest->hash, line->hash, program_invocation_name, path);
    return 1;
}

static void check_repeats(struct tz *tz, const struct line *line)
{
    _cleanup_(harvest_deinit) struct harvest again = HARVEST_NULL, other = HARVEST_NULL,
                                             first = HARVEST_NULL;
    run(tz, line, line->seed, &first);
    run(tz, line, line->seed, &again);
    run(tz, line, line->seed + 1000, &other);
    CHECK(strcmp(first.hash, again.hash) == 0, "the same seed gave %s and %s", first.hash,
          again.hash);
    CHECK(strcmp(first.hash, other.hash) != 0, "two seeds gave %s", first.hash);
}

int main(int argc, char **argv)
{
    bool renew = argc == 3 && strcmp(argv[1], "--renew") == 0;
    const char *path = argc > 1 ? argv[argc - 1] : "";
    struct line lines[LINES_MAX];
    struct tz *tz;
    int failed = 0;
    size_t n = read_lines(path, lines);
    CHECK(n > 0 && tz_new(&tz) == 0, "%s has no line", path);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(harvest_deinit) struct harvest harvest = HARVEST_NULL;
        (void)snprintf(checking, sizeof checking, "%s seed %llu", lines[i].network, lines[i].seed);
        run(tz, &lines[i], lines[i].seed, &harvest);
        check_sums(&harvest);
        (void)printf("%s: %llu sent, %llu in junk, hash %s\n", checking,
                     (unsigned long long)harvest.all.sent, (unsigned long long)harvest.all.junk,
                     harvest.hash);
        if (renew)
            memcpy(lines[i].hash, harvest.hash, sizeof lines[i].hash);
        else
            failed |= compare(path, &lines[i], &harvest);
    }
    check_repeats(tz, &lines[0]);
    if (renew)
        write_lines(path, lines, n);
    (void)printf("%zu plans checked\n", plans);
    (void)tz_free(tz);
    return failed;
}
