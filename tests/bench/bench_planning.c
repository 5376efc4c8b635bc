/*
 * bench_planning - how long planning a day holds whoever steps the core: in one step, and in the
 * pieces that the coordinator's loop takes, the draw being another thread's. CPU time, with the
 * events encoded and the changed rows taken, as the loop does it.
 *
 *     bench_planning [ACCOUNTS [pieces|whole [EACH]]]
 *
 * EACH accounts share a domain and an owner; default 20.
 *
 * The third day is told: contacts and live exchanges of two days lie behind it.
 */
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/time.h"
#include "coordinator/core/planning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define DATE 20500
#define NODES 50
#define DOMAINS_EACH 20

struct bench {
    struct coord *core;
    uint32_t accounts;
    uint32_t each; /* accounts of one domain, and owner */
    int64_t now;
    uint64_t seqs[NODES];
    struct flz_buf bytes; /* scratch */
    uint64_t rows;
};

struct spent {
    const char *name;
    size_t steps;
    double total;
    double longest;
};

static double cpu_seconds(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct flz_digest digest_of(uint32_t kind, uint32_t n)
{
    uint32_t words[2] = {kind, n};
    return flz_digest_of((struct flz_view){.data = (const uint8_t *)words, .len = sizeof words});
}

static int add_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct bench *bench = data;
    flz_buf_reset(&bench->bytes);
    bench->rows++;
    return deleted ? 0 : flz_encode_row(kind, row, &bench->bytes);
}

/* A step as the loop takes it: decided, encoded, its rows taken. */
static int step(struct bench *bench, struct coord_command *command)
{
    struct coord_update update;
    command->now = bench->now;
    int r = coord_step(bench->core, command, &update);
    for (size_t i = 0; i < update.events_count && r == 0; i++) {
        flz_buf_reset(&bench->bytes);
        r = flz_encode_event(&update.events[i], &bench->bytes);
    }
    return r < 0 ? r : coord_take_rows(bench->core, add_row, bench);
}

/* ---- A network ---- */

static int report(struct bench *bench, uint32_t node, struct flz_report *report, uint32_t n)
{
    struct coord_command command = {.kind = COORD_REPORT, .node = node};
    report->seq = ++bench->seqs[node];
    command.report.incarnation = flz_id_of_u64(1 + node);
    command.report.report = report;
    command.report.address = digest_of(1, n);
    command.report.domain = digest_of(2, n / bench->each);
    command.report.owner = digest_of(3, n / bench->each);
    (void)snprintf(command.report.domain_name, sizeof command.report.domain_name, "d%u.example",
                   n / bench->each);
    return step(bench, &command);
}

static int add_node(struct bench *bench, uint32_t node)
{
    struct coord_command invite = {.kind = COORD_INVITE}, join = {.kind = COORD_JOIN};
    struct coord_command hello = {.kind = COORD_HELLO, .node = node};
    invite.invite.node = join.join.node = flz_id_of_u64(1000 + node);
    invite.invite.token = join.join.token = digest_of(4, node);
    invite.invite.not_after = 2;
    invite.invite.real_now = join.join.real_now = 1;
    (void)snprintf(invite.invite.name, sizeof invite.invite.name, "n%u", node);
    memcpy(join.join.name, invite.invite.name, sizeof join.join.name);
    join.join.certificate = digest_of(5, node);
    memcpy(join.join.curve_key.b, digest_of(6, node).b, sizeof join.join.curve_key.b);
    hello.hello.incarnation = flz_id_of_u64(1 + node);
    int r = step(bench, &invite);
    if (r == 0)
        r = step(bench, &join);
    return r < 0 ? r : step(bench, &hello);
}

static int probe(struct bench *bench, uint32_t n)
{
    struct flz_report probe = {.kind = FLZ_REPORT_PROBE,
                               .probe = {.account = flz_id_of_u64(5000 + n),
                                         .at = bench->now,
                                         .login_ok = true,
                                         .quota_permille = 1001}};
    return report(bench, n % NODES, &probe, n);
}

static int add_account(struct bench *bench, uint32_t n)
{
    struct flz_report account = {.kind = FLZ_REPORT_ACCOUNT,
                                 .account = {.id = flz_id_of_u64(5000 + n),
                                             .provider = "smtp",
                                             .zone = "Europe/Paris",
                                             .start_minute = 480,
                                             .end_minute = 1080,
                                             .days = 127,
                                             .target = 20,
                                             .profile = FLZ_PROFILE_EXISTING,
                                             .language = "en",
                                             .consent = {.until = FLZ_NEVER, .actions = 31}}};
    return report(bench, n % NODES, &account, n);
}

static int open_bench(struct bench *bench)
{
    struct policy policy = policy_default();
    struct coord_command lead = {.kind = COORD_LEAD};
    lead.lead.epoch = 1;
    int r = coord_new(flz_id_of_u64(9), FLZ_VIEW_NULL, &policy, &bench->core);
    if (r == 0)
        r = step(bench, &lead);
    for (uint32_t node = 0; node < NODES && r == 0; node++)
        r = add_node(bench, node);
    for (uint32_t n = 0; n < bench->accounts && r == 0; n++)
        r = add_account(bench, n);
    return r;
}

/* ---- Planning ---- */

static void fill_civil(struct coord_civil *civil, uint32_t account, int32_t date)
{
    *civil = (struct coord_civil){.account = account, .sends = true};
    for (int day = 0; day < COORD_WINDOW_DAYS; day++)
        civil->windows[day] =
            (struct coord_window){.start = (date + day) * FLZ_DAY_MS + 8 * FLZ_HOUR_MS,
                                  .end = (date + day) * FLZ_DAY_MS + 18 * FLZ_HOUR_MS};
}

static const struct coord_pack pack = {
    .language = "en", .scenarios = 8, .turns = {3, 3, 4, 4, 5, 5, 3, 3}};

static int timed(struct bench *bench, struct coord_command *command, struct spent *spent)
{
    double begin = cpu_seconds();
    int r = step(bench, command);
    double taken = cpu_seconds() - begin;
    spent->steps++;
    spent->total += taken;
    spent->longest = taken > spent->longest ? taken : spent->longest;
    return r;
}

static int draw(struct planning *planning, struct spent *spent)
{
    double begin = cpu_seconds();
    int r = planning_draw(planning);
    spent->steps = 1;
    spent->total = spent->longest = cpu_seconds() - begin;
    return r;
}

static int in_pieces(struct bench *bench, int32_t date, struct spent spent[PLANNING_OVER])
{
    struct planning_options options = {.date = date, .packs = &pack, .packs_count = 1, .seed = 1};
    struct coord_civil civil[PLANNING_ACCOUNTS_STEP];
    struct coord_command command = {.kind = COORD_PLAN};
    uint32_t next = 0;
    int r = planning_new(&options, &command.plan.planning);
    command.plan.civil = civil;
    while (r == 0 && planning_phase(command.plan.planning) != PLANNING_OVER) {
        enum planning_phase phase = planning_phase(command.plan.planning);
        size_t n = 0;
        while (phase == PLANNING_ACCOUNTS && n < PLANNING_ACCOUNTS_STEP && next < bench->accounts)
            fill_civil(&civil[n++], next++, date);
        command.plan.civil_count = n;
        r = phase == PLANNING_DRAW ? draw(command.plan.planning, &spent[phase])
                                   : timed(bench, &command, &spent[phase]);
    }
    (void)planning_free(command.plan.planning);
    return r;
}

static int whole(struct bench *bench, int32_t date, struct spent *spent)
{
    _cleanup_(flz_freep) struct coord_civil *civil = calloc(bench->accounts, sizeof *civil);
    if (!civil)
        return flz_fail(-ENOMEM);
    for (uint32_t i = 0; i < bench->accounts; i++)
        fill_civil(&civil[i], i, date);
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.date = date;
    command.plan.civil = civil;
    command.plan.civil_count = bench->accounts;
    command.plan.packs = &pack;
    command.plan.packs_count = 1;
    command.plan.seed = 1;
    return timed(bench, &command, spent);
}

int main(int argc, char **argv)
{
    struct bench bench = {.accounts = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000,
                          .each = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : DOMAINS_EACH,
                          .now = DATE * FLZ_DAY_MS - FLZ_HOUR_MS};
    if (bench.each == 0)
        return 64;
    bool pieces = argc < 3 || strcmp(argv[2], "whole") != 0;
    struct spent spent[PLANNING_OVER + 1];
    int r = open_bench(&bench);
    for (int32_t date = DATE; date < DATE + 3 && r == 0; date++) {
        memcpy(spent,
               (const struct spent[]){{"accounts"}, {"exchanges"}, {"contacts"}, {"draw"},
                                      {"seal"}, {"whole"}},
               sizeof spent);
        bench.now = date * FLZ_DAY_MS - FLZ_HOUR_MS;
        for (uint32_t n = 0; n < bench.accounts && r == 0; n++)
            r = probe(&bench, n);
        if (r == 0)
            r = pieces ? in_pieces(&bench, date, spent)
                       : whole(&bench, date, &spent[PLANNING_OVER]);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    for (size_t i = 0; i <= PLANNING_OVER && r == 0; i++)
        if (spent[i].steps > 0)
            printf("accounts %u %-9s steps %5zu total_ms %8.1f longest_ms %8.2f\n", bench.accounts,
                   spent[i].name, spent[i].steps, spent[i].total * 1e3, spent[i].longest * 1e3);
    printf("live %zu rows %llu peak_MB %ld\n", coord_exchange_limit(bench.core),
           (unsigned long long)bench.rows, usage.ru_maxrss / 1024);
    bench.core = coord_free(bench.core);
    flz_buf_deinit(&bench.bytes);
    return r < 0;
}
