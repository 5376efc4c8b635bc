/*
 * A small network for tests of the coordinator's core: two nodes, three accounts (0 and 2 at node
 * 0, 1 at node 1), all ready, and exchanges planned by hand. Every committed event also goes,
 * encoded and decoded, to a follower, and `fx_same` holds the rows of both against each other.
 */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/time.h"
#include "coordinator/core/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FX_DATE 20500
#define FX_MIDNIGHT (FX_DATE * FLZ_DAY_MS)
#define AT(hour, minute) (FX_MIDNIGHT + (hour)*FLZ_HOUR_MS + (minute)*FLZ_MINUTE_MS)

struct fx {
    struct coord *core;
    struct coord *follower;
    struct coord_update update; /* of the newest step */
    struct flz_id incarnations[2];
    uint64_t seqs[2];
    int64_t now;
    uint32_t exchange;
    bool reopens; /* plans have second hours */
    const struct flz_voucher *voucher; /* of the reports that follow */
    /* Hears each event as it is committed; may be NULL. */
    void (*on_event)(const struct event *event, void *data);
    void *data;
};

static inline struct flz_digest fx_digest(uint32_t kind, uint32_t n)
{
    uint8_t bytes[8];
    flz_put_be32(bytes, kind);
    flz_put_be32(bytes + 4, n);
    return flz_digest_of((struct flz_view){.data = bytes, .len = sizeof bytes});
}

static inline struct flz_id fx_id(uint32_t n)
{
    struct flz_id id = flz_id_of_u64(n);
    id.b[0] = 1;
    return id;
}

static inline struct coord *fx_core(void)
{
    struct policy policy = policy_default();
    struct coord *core;
    assert_int_equal(coord_new(fx_id(9), flz_view_str("key"), &policy, &core), 0);
    return core;
}

static inline void fx_follow(struct fx *fx, const struct event *event)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event back;
    assert_int_equal(flz_encode_event(event, &bytes), 0);
    assert_int_equal(flz_decode_event(flz_buf_view(&bytes), &arena, &back), 0);
    assert_int_equal(coord_apply(fx->follower, &back), 0);
    if (fx->on_event)
        fx->on_event(event, fx->data);
}

static inline int fx_add_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    struct flz_buf *rows = data;
    flz_buf_add_byte(rows, (uint8_t)kind);
    flz_buf_add_byte(rows, deleted);
    flz_row_key(kind, row, rows);
    return flz_encode_row(kind, row, rows);
}

static inline void fx_same(struct fx *fx)
{
    _cleanup_(flz_buf_deinit) struct flz_buf a = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf b = FLZ_BUF_NULL;
    assert_int_equal(coord_take_rows(fx->core, fx_add_row, &a), 0);
    assert_int_equal(coord_take_rows(fx->follower, fx_add_row, &b), 0);
    assert_true(flz_view_equal(flz_buf_view(&a), flz_buf_view(&b)));
}

/* Steps at fx->now. */
static inline void fx_step(struct fx *fx, struct coord_command command)
{
    command.now = fx->now;
    assert_int_equal(coord_step(fx->core, &command, &fx->update), 0);
    for (size_t i = 0; i < fx->update.events_count; i++)
        fx_follow(fx, &fx->update.events[i]);
    fx_same(fx);
}

static inline void fx_tick(struct fx *fx, int64_t now)
{
    fx->now = now;
    fx_step(fx, (struct coord_command){.kind = COORD_TICK});
}

/* How many events of a type the newest step made. */
static inline size_t fx_events(const struct fx *fx, uint32_t type)
{
    size_t n = 0;
    for (size_t i = 0; i < fx->update.events_count; i++)
        n += fx->update.events[i].type == type;
    return n;
}

static inline bool fx_ordered(const struct fx *fx, uint32_t kind, uint32_t turn)
{
    for (size_t i = 0; i < fx->update.orders_count; i++)
        if (fx->update.orders[i].kind == kind && fx->update.orders[i].turn == turn)
            return true;
    return false;
}

/* Each of the first accounts has a domain of its own; from the tenth on ten share one. */
static inline uint32_t fx_domain(uint32_t n)
{
    return n < 10 ? n : 1000 + n / 10;
}

static inline void fx_report(struct fx *fx, uint32_t node, struct flz_report report)
{
    report.seq = ++fx->seqs[node];
    struct coord_command command = {
        .kind = COORD_REPORT,
        .node = node,
        .report = {.incarnation = fx->incarnations[node],
                   .report = &report,
                   .voucher = fx->voucher},
    };
    if (report.kind == FLZ_REPORT_ACCOUNT) {
        uint32_t n = (uint32_t)flz_be64(report.account.id.b + 8) - 100;
        command.report.address = fx_digest(1, n);
        command.report.domain = fx_digest(2, fx_domain(n));
        command.report.owner = fx_digest(3, n);
        (void)snprintf(command.report.domain_name, sizeof command.report.domain_name, "d%u.example",
                       fx_domain(n));
    }
    fx_step(fx, command);
}

static inline struct flz_report fx_account(uint32_t n)
{
    return (struct flz_report){
        .kind = FLZ_REPORT_ACCOUNT,
        .account = {.id = fx_id(100 + n),
                    .provider = "smtp",
                    .zone = "Etc/UTC",
                    .start_minute = 0,
                    .end_minute = 1440,
                    .days = 127,
                    .intensity = FLZ_INTENSITY_MEDIUM,
                    .profile = FLZ_PROFILE_NEW,
                    .language = "en",
                    .consent = {.given = 1, .until = FLZ_NEVER, .actions = 31}},
    };
}

static inline struct flz_report fx_probe(const struct fx *fx, uint32_t n)
{
    return (struct flz_report){
        .kind = FLZ_REPORT_PROBE,
        .probe = {.account = fx_id(100 + n),
                  .at = fx->now,
                  .login_ok = true,
                  .quota_permille = 1001,
                  .mx = fx_digest(4, n)},
    };
}

static inline void fx_hello(struct fx *fx, uint32_t node, uint32_t credit)
{
    fx_step(fx, (struct coord_command){
                    .kind = COORD_HELLO,
                    .node = node,
                    .hello = {.incarnation = fx->incarnations[node],
                              .report_seq = fx->seqs[node],
                              .credit = credit},
                });
}

static inline struct coord_command fx_invite(uint32_t node)
{
    struct coord_command command = {
        .kind = COORD_INVITE,
        .invite = {.node = fx_id(node),
                   .token = fx_digest(7, node),
                   .not_after = 100,
                   .real_now = 1},
    };
    (void)snprintf(command.invite.name, sizeof command.invite.name, "n%u", node);
    return command;
}

static inline struct coord_command fx_join(uint32_t node)
{
    struct coord_command command = {
        .kind = COORD_JOIN,
        .join = {.node = fx_id(node),
                 .token = fx_digest(7, node),
                 .certificate = fx_digest(8, node),
                 .real_now = 2},
    };
    (void)snprintf(command.join.name, sizeof command.join.name, "n%u", node);
    memcpy(command.join.curve_key.b, fx_digest(6, node).b, sizeof command.join.curve_key.b);
    return command;
}

static inline void fx_init_heard(struct fx *fx,
                                 void (*on_event)(const struct event *event, void *data),
                                 void *data)
{
    *fx = (struct fx){.core = fx_core(),
                      .follower = fx_core(),
                      .now = AT(0, 0),
                      .on_event = on_event,
                      .data = data};
    fx_step(fx, (struct coord_command){.kind = COORD_LEAD,
                                       .lead = {.epoch = 1, .generation = fx_id(50)}});
    for (uint32_t node = 0; node < 2; node++) {
        fx->incarnations[node] = fx_id(60 + node);
        fx_step(fx, fx_invite(node));
        fx_step(fx, fx_join(node));
        assert_false(fx->update.refused);
        fx_hello(fx, node, 100);
    }
    for (uint32_t n = 0; n < 3; n++) {
        fx_report(fx, n % 2, fx_account(n));
        assert_false(fx->update.refused);
        assert_int_equal(fx->update.handle, n);
        fx_report(fx, n % 2, fx_probe(fx, n));
    }
}

static inline void fx_init(struct fx *fx)
{
    fx_init_heard(fx, NULL, NULL);
}

static inline void fx_deinit(struct fx *fx)
{
    fx->core = coord_free(fx->core);
    fx->follower = coord_free(fx->follower);
}

/* An exchange from one account to another: turn i is sent at hour 1 + 4 i and opened an hour later,
 * within two hours; where fx->reopens is set, else from hour 26 to 30. */
static inline void fx_plan_pair(struct fx *fx, uint32_t from, uint32_t to, uint32_t turns_count)
{
    struct event_plan_turn turns[FLZ_TURNS_MAX];
    for (uint32_t i = 0; i < turns_count; i++)
        turns[i] = (struct event_plan_turn){
            .send_at = AT(1 + 4 * (int)i, 0),
            .send_until = AT(1 + 4 * (int)i, 45),
            .open_at = AT(2 + 4 * (int)i, 0),
            .open_until = AT(4 + 4 * (int)i, 0),
            .date = FX_DATE,
            .open_date = FX_DATE,
            .day_cap = 5,
            .reopen_at = fx->reopens ? AT(26, 0) : 0,
            .reopen_until = fx->reopens ? AT(30, 0) : 0,
        };
    uint32_t plan = coord_network(fx->core)->plans;
    const struct event_plan_exchange x = {
        .id = fx_id(1000 + plan),
        .from = from,
        .to = to,
        .one_node = from % 2 == to % 2,
        .expires = AT(100, 0),
        .turns = turns,
        .turns_count = turns_count,
    };
    const struct event_plan_account days[] = {{.account = from, .quota = 5, .possible = 1}};
    const struct event events[] = {
        {.type = EVENT_PLAN_PART,
         .at = fx->now,
         .plan_part = {.plan = plan,
                       .date = FX_DATE,
                       .accounts = days,
                       .accounts_count = 1,
                       .exchanges = &x,
                       .exchanges_count = 1}},
        {.type = EVENT_PLAN_SEAL,
         .at = fx->now,
         .plan_seal = {.plan = plan, .parts = 1, .date = FX_DATE, .accounts = 1, .exchanges = 1}},
    };
    fx->exchange = coord_network(fx->core)->exchanges;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(coord_apply(fx->core, &events[i]), 0);
        fx_follow(fx, &events[i]);
    }
    fx_same(fx);
}

static inline void fx_plan(struct fx *fx, uint32_t turns_count)
{
    fx_plan_pair(fx, 0, 1, turns_count);
}

static inline const struct row_turn *fx_turn(const struct fx *fx, uint32_t turn)
{
    const struct row_exchange *x = coord_exchange(fx->core, fx->exchange);
    assert_non_null(x);
    return &x->turns[turn];
}

static inline const struct row_day *fx_day(const struct fx *fx, uint32_t account)
{
    static const struct row_day none;
    const struct row_day *day = coord_day(fx->core, account, FX_DATE);
    return day ? day : &none;
}

/* A receipt of the node that the task was ordered from. */
static inline struct flz_report fx_said(const struct fx *fx, uint32_t kind, uint32_t turn,
                                        uint32_t outcome)
{
    struct coord_order order = {.exchange = fx->exchange, .turn = turn, .kind = kind};
    struct coord_task task;
    assert_int_equal(coord_task(fx->core, &order, &task), 0);
    return (struct flz_report){
        .kind = FLZ_REPORT_RECEIPT,
        .receipt = {.task = task.id,
                    .exchange = coord_exchange(fx->core, fx->exchange)->id,
                    .account = coord_account(fx->core, task.account)->id,
                    .kind = kind,
                    .turn = turn,
                    .attempt = task.attempt,
                    .outcome = outcome,
                    .placement =
                        outcome == FLZ_OUTCOME_FOUND ? FLZ_PLACEMENT_INBOX : FLZ_PLACEMENT_NONE,
                    .at = fx->now},
    };
}

static inline uint32_t fx_effect(const struct fx *fx)
{
    return fx->update.events_count > 0 && fx->update.events[0].type == EVENT_RECEIPT
               ? fx->update.events[0].receipt.effect
               : 0;
}

static inline void fx_say(struct fx *fx, uint32_t node, uint32_t kind, uint32_t turn,
                          uint32_t outcome)
{
    fx_report(fx, node, fx_said(fx, kind, turn, outcome));
}

static inline void fx_say_junk(struct fx *fx, uint32_t node, uint32_t turn)
{
    struct flz_report report = fx_said(fx, FLZ_TASK_FIND, turn, FLZ_OUTCOME_FOUND);
    report.receipt.placement = FLZ_PLACEMENT_JUNK;
    fx_report(fx, node, report);
}
