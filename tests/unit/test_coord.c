/* The core's doors: each allocation of a whole life refused once, and logs that do not fit. */
#include "coordinator/core/coord.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATE 20500
#define NOW (DATE * FLZ_DAY_MS)

/* Allocations until one is refused; below zero: none is. */
static long countdown = -1;

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool refused(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return refused() ? NULL : __real_reallocarray(p, n, size);
}

static struct flz_digest a_digest(uint8_t kind, uint8_t n)
{
    uint8_t bytes[2] = {kind, n};
    return flz_digest_of((struct flz_view){.data = bytes, .len = 2});
}

static struct flz_id an_id(uint8_t n)
{
    return (struct flz_id){.b = {n, 1}};
}

static int ignore_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    return 0;
}

struct life {
    struct coord *core;
    struct coord_update update;
    uint64_t seqs[2];
    int64_t now;
};

static int step(struct life *life, struct coord_command command)
{
    command.now = life->now;
    int r = coord_step(life->core, &command, &life->update);
    return r < 0 ? r : coord_take_rows(life->core, ignore_row, NULL);
}

static int join(struct life *life, uint8_t node)
{
    struct coord_command invite = {
        .kind = COORD_INVITE,
        .invite = {.node = an_id(node), .token = a_digest(7, node), .not_after = 9, .real_now = 1}};
    invite.invite.name[0] = (char)('a' + node);
    int r = step(life, invite);
    struct coord_command command = {.kind = COORD_JOIN,
                                    .join = {.node = an_id(node),
                                             .token = a_digest(7, node),
                                             .certificate = a_digest(8, node),
                                             .real_now = 2}};
    memcpy(command.join.name, invite.invite.name, sizeof command.join.name);
    command.join.curve_key.b[0] = node;
    if (r == 0)
        r = step(life, command);
    struct flz_digest pack = a_digest(5, 5);
    struct flz_id open = an_id(44);
    struct coord_command hello = {.kind = COORD_HELLO,
                                  .node = node,
                                  .hello = {.incarnation = an_id(60),
                                            .credit = 50,
                                            .packs = &pack,
                                            .packs_count = 1,
                                            .open = &open,
                                            .open_count = 1}};
    return r < 0 ? r : step(life, hello);
}

static int report(struct life *life, uint8_t node, struct flz_report report, uint8_t n)
{
    report.seq = ++life->seqs[node];
    struct coord_command command = {.kind = COORD_REPORT,
                                    .node = node,
                                    .report = {.incarnation = an_id(60),
                                               .report = &report,
                                               .address = a_digest(1, n),
                                               .domain = a_digest(2, n),
                                               .owner = a_digest(3, n),
                                               .domain_name = "example.org"}};
    return step(life, command);
}

static int add(struct life *life, uint8_t n)
{
    struct flz_report account = {.kind = FLZ_REPORT_ACCOUNT,
                                 .account = {.id = an_id((uint8_t)(100 + n)),
                                             .provider = "smtp",
                                             .zone = "Etc/UTC",
                                             .end_minute = 1440,
                                             .days = 127,
                                             .intensity = 2,
                                             .profile = 1,
                                             .language = "en",
                                             .consent = {.until = FLZ_NEVER, .actions = 31}}};
    struct flz_report probe = {.kind = FLZ_REPORT_PROBE,
                               .probe = {.account = account.account.id,
                                         .at = life->now,
                                         .login_ok = true,
                                         .quota_permille = 1001}};
    int r = report(life, n % 2, account, n);
    return r < 0 ? r : report(life, n % 2, probe, n);
}

static int plan(struct life *life)
{
    struct coord_civil civil[4];
    for (uint32_t i = 0; i < 4; i++) {
        civil[i] = (struct coord_civil){.account = i, .sends = true};
        for (int d = 0; d < COORD_WINDOW_DAYS; d++)
            civil[i].windows[d] = (struct coord_window){.start = NOW + d * FLZ_DAY_MS,
                                                        .end = NOW + (d + 1) * FLZ_DAY_MS};
    }
    struct coord_pack pack = {.language = "en", .scenarios = 1, .turns = {3}};
    return step(
        life,
        (struct coord_command){
            .kind = COORD_PLAN,
            .plan = {
                .date = DATE, .civil = civil, .civil_count = 4, .packs = &pack, .packs_count = 1}});
}

/* A network's first day, with a pause, a suppression, a setting and a revocation in it. */
static int live(struct life *life)
{
    int r = step(life, (struct coord_command){.kind = COORD_LEAD, .lead = {.epoch = 1}});
    for (uint8_t node = 0; node < 2 && r == 0; node++)
        r = join(life, node);
    for (uint8_t n = 0; n < 4 && r == 0; n++)
        r = add(life, n);
    if (r == 0)
        r = plan(life);
    const struct coord_command commands[] = {
        {.kind = COORD_PAUSE,
         .pause = {.target = {.scope = FLZ_SCOPE_NETWORK}, .until = NOW + FLZ_HOUR_MS}},
        {.kind = COORD_SUPPRESS, .suppress = {.address = a_digest(1, 3)}},
        {.kind = COORD_UNSUPPRESS, .suppress = {.address = a_digest(1, 3)}},
        {.kind = COORD_SET_POLICY, .policy = {.key = "cooldown_days", .value = 2}},
        {.kind = COORD_CREDIT, .node = 1, .credit = 1},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands && r == 0; i++)
        r = step(life, commands[i]);
    for (int hour = 0; hour < 24 && r == 0; hour++) {
        life->now += FLZ_HOUR_MS;
        r = step(life, (struct coord_command){.kind = COORD_TICK});
    }
    return r < 0 ? r : step(life, (struct coord_command){.kind = COORD_REVOKE,
                                                        .node = 1,
                                                        .revocation = flz_view_str("signed")});
}

static int whole_life(void)
{
    struct policy policy = policy_default();
    struct life life = {.now = NOW};
    int r = coord_new(an_id(9), FLZ_VIEW_NULL, &policy, &life.core);
    if (r == 0)
        r = live(&life);
    countdown = -1;
    if (r == 0)
        assert_true(coord_exchange_limit(life.core) > 0 && coord_network(life.core)->plans == 1);
    (void)coord_free(life.core);
    return r;
}

static void each_refused_allocation_is_told_and_leaks_nothing(void **state)
{
    assert_int_equal(whole_life(), 0);
    long n = 0;
    int r;
    do {
        countdown = n++;
        r = whole_life();
        assert_true(r == 0 || r == -ENOMEM);
    } while (r == -ENOMEM || n < 100);
    assert_true(n > 100);
}

static void logs_that_do_not_fit_are_refused(void **state)
{
    static const struct event events[] = {
        {.type = 0},
        {.type = 99},
        {.type = EVENT_LEAD},
        {.type = EVENT_JOINED},
        {.type = EVENT_HELLO, .hello = {.node = 3}},
        {.type = EVENT_INVITED, .invited = {.invite = 7}},
        {.type = EVENT_ACCOUNT, .account = {.node = 1}},
        {.type = EVENT_PROBE},
        {.type = EVENT_RELEASED},
        {.type = EVENT_REMOVED, .removed = {.account = COORD_NONE}},
        {.type = EVENT_RECEIPT, .receipt = {.exchange = 3, .effect = EFFECT_TAKEN}},
        {.type = EVENT_ISSUED},
        {.type = EVENT_PRESUMED},
        {.type = EVENT_VOID},
        {.type = EVENT_SETTLED},
        {.type = EVENT_RESLOTTED, .reslotted = {.exchange = COORD_NONE}},
        {.type = EVENT_ENDED, .ended = {.exchange = COORD_NONE}},
        {.type = EVENT_PLAN_PART, .plan_part = {.plan = 1}},
        {.type = EVENT_PLAN_SEAL, .plan_seal = {.parts = 1}},
        {.type = EVENT_DAY_CLOSED},
        {.type = EVENT_PAUSED, .paused = {.target = {.scope = FLZ_SCOPE_NODE}}},
        {.type = EVENT_PAUSED, .paused = {.target = {.scope = 77}}},
        {.type = EVENT_RESUMED},
        {.type = EVENT_REVOKED},
        {.type = EVENT_CONSENT_ENDED},
        {.type = EVENT_UNSUPPRESSED},
        {.type = EVENT_SETTING, .setting = {.key = "nothing"}},
        {.type = EVENT_REPORT_REFUSED, .report_node = 4, .report_seq = 1},
    };
    struct policy policy = policy_default();
    struct coord *core;
    assert_int_equal(coord_new(an_id(9), FLZ_VIEW_NULL, &policy, &core), 0);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (coord_apply(core, &events[i]) != -EPROTO)
            fail_msg("event %zu (%s) was taken", i, flz_event_name(events[i].type));
    struct row_network network = {.epoch = 5};
    assert_int_equal(coord_load_row(core, ROW_NETWORK, &network), -EPROTO); /* another network */
    assert_int_equal(coord_network(core)->now, 0);
    (void)coord_free(core);
}

static void a_tasks_id_names_all_of_it(void **state)
{
    struct flz_id id = coord_task_id(an_id(1), 0, FLZ_TASK_SEND, 0);
    assert_true(flz_id_equal(id, coord_task_id(an_id(1), 0, FLZ_TASK_SEND, 0)));
    assert_false(flz_id_equal(id, coord_task_id(an_id(2), 0, FLZ_TASK_SEND, 0)));
    assert_false(flz_id_equal(id, coord_task_id(an_id(1), 1, FLZ_TASK_SEND, 0)));
    assert_false(flz_id_equal(id, coord_task_id(an_id(1), 0, FLZ_TASK_FIND, 0)));
    assert_false(flz_id_equal(id, coord_task_id(an_id(1), 0, FLZ_TASK_SEND, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refused_allocation_is_told_and_leaks_nothing),
        cmocka_unit_test(logs_that_do_not_fit_are_refused),
        cmocka_unit_test(a_tasks_id_names_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
