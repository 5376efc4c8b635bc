/*
 * The days over a real core and a real loop, with the pool thread drawing meanwhile: a server of
 * ours takes the decisions of all comers and commits when it is told to. Run with the thread
 * sanitizer, this is where the two threads meet.
 */
#include "coordinator/civil.h"
#include "coordinator/core/planning.h"
#include "coordinator/days.h"
#include "coord_fixture.h"

#include "common/sys/secret.h"

#include <unistd.h>

#define ACCOUNTS 60

struct world {
    struct server server; /* first: what the days know */
    struct config config;
    struct fx fx;
    void (*on_release)(void *data, int r); /* waits for its commit */
    void *release_data;
    bool held_back;
    bool commits;
    size_t steps;
    size_t steps_while_drawing;
    size_t seals;
};

/* ---- The server that the days see ---- */

static struct world *world_of(const struct server *server)
{
    return (struct world *)(uintptr_t)server;
}

int server_step(struct server *server, struct coord_command *command,
                struct coord_update *ret_update)
{
    struct world *world = world_of(server);
    fx_step(&world->fx, *command);
    world->steps++;
    world->seals += fx_events(&world->fx, EVENT_PLAN_SEAL);
    *ret_update = world->fx.update;
    return 0;
}

bool server_admits(const struct server *server, enum coord_command_kind kind)
{
    assert_int_equal(kind, COORD_PLAN);
    return !world_of(server)->held_back;
}

int server_after_commit(struct server *server, void (*on_release)(void *data, int r), void *data)
{
    struct world *world = world_of(server);
    assert_null(world->on_release);
    world->on_release = on_release;
    world->release_data = data;
    return 0;
}

void server_wake(struct server *server)
{
    (void)server;
}

int64_t server_now(struct server *server)
{
    return world_of(server)->fx.now;
}

static void commit(struct world *world, int r)
{
    void (*on_release)(void *data, int r) = world->on_release;
    world->on_release = NULL;
    if (on_release)
        on_release(world->release_data, r);
}

/* ---- A world ---- */

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct flz_msg msg;
    fx_init(&world->fx);
    for (uint32_t n = 3; n < ACCOUNTS; n++) {
        fx_report(&world->fx, n % 2, fx_account(n));
        fx_report(&world->fx, n % 2, fx_probe(&world->fx, n));
    }
    world->commits = true;
    struct server *server = &world->server;
    server->core = world->fx.core;
    server->config = &world->config;
    (void)snprintf(world->config.content_dir, sizeof world->config.content_dir, "deploy/content");
    assert_int_equal(uv_loop_init(&server->loop), 0);
    assert_int_equal(tz_new(&server->tz), 0);
    assert_int_equal(flz_secret_random(32, &server->identity.network_key), 0);
    if (days_open(server, &server->days, &msg) < 0)
        fail_msg("%s", msg.text);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    days_stop(world->server.days);
    commit(world, -ECANCELED);
    world->server.days = days_close(world->server.days);
    (void)uv_run(&world->server.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->server.loop), 0);
    world->server.tz = tz_free(world->server.tz);
    flz_secret_deinit(&world->server.identity.network_key);
    fx_deinit(&world->fx);
    free(world);
    return 0;
}

/* Meanwhile others are served: probes come in. */
static void serve(struct world *world, uint32_t account)
{
    fx_report(&world->fx, account % 2, fx_probe(&world->fx, account));
    fx_step(&world->fx, (struct coord_command){.kind = COORD_TICK});
    world->steps_while_drawing++;
}

/* Turns of the loop until the days have nothing to do, or `seals` instalments are sealed. */
static void run(struct world *world, size_t seals)
{
    for (uint32_t i = 0; i < 200000; i++) {
        (void)uv_run(&world->server.loop, UV_RUN_NOWAIT);
        if (days_is_idle(world->server.days) || world->seals >= seals)
            return;
        serve(world, i % ACCOUNTS);
        if (world->commits)
            commit(world, 0);
    }
    fail_msg("it does not come to an end");
}

static size_t planned(const struct world *world, int32_t date)
{
    size_t n = 0;
    for (uint32_t i = 0; i < ACCOUNTS; i++)
        n += coord_account(world->fx.core, i)->planned_date == date;
    return n;
}

/* ---- Claims ---- */

static void a_day_is_planned_while_others_are_served(void **state)
{
    struct world *world = *state;
    days_run(world->server.days, world->fx.now);
    assert_int_equal(world->steps, 0); /* not in this turn */
    run(world, SIZE_MAX);
    assert_int_equal(planned(world, FX_DATE), ACCOUNTS);
    assert_true(world->steps_while_drawing > 5);
    assert_true(coord_exchange_limit(world->fx.core) > 0);

    /* Its day has a plan: the next look is an hour before midnight. */
    size_t steps = world->steps;
    world->fx.now = AT(22, 59);
    days_run(world->server.days, world->fx.now);
    run(world, SIZE_MAX);
    assert_int_equal(world->steps, steps);
    world->fx.now = AT(23, 0);
    days_run(world->server.days, world->fx.now);
    run(world, SIZE_MAX);
    assert_int_equal(planned(world, FX_DATE + 1), ACCOUNTS);
}

static void who_is_suppressed_asks_for_no_plan(void **state)
{
    struct world *world = *state;
    days_run(world->server.days, world->fx.now);
    run(world, SIZE_MAX);
    struct coord_command suppress = {
        .kind = COORD_SUPPRESS,
        .suppress = {.address = coord_account(world->fx.core, 0)->address}};
    fx_step(&world->fx, suppress);
    world->fx.now = AT(23, 0);
    days_run(world->server.days, world->fx.now);
    run(world, SIZE_MAX);
    assert_int_equal(planned(world, FX_DATE + 1), ACCOUNTS - 1);

    /* As soon as something changes, whoever lacks a plan is looked for again: nobody does. */
    size_t steps = world->steps;
    days_changed(world->server.days);
    (void)usleep((DAYS_SETTLE_MS + 50) * 1000);
    days_run(world->server.days, world->fx.now);
    run(world, SIZE_MAX);
    assert_int_equal(world->steps, steps);
}

static void what_is_held_back_goes_on_when_there_is_room(void **state)
{
    struct world *world = *state;
    days_run(world->server.days, world->fx.now);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&world->server.loop, UV_RUN_NOWAIT);
    world->held_back = true;
    size_t steps = world->steps;
    for (int i = 0; i < 50; i++) {
        days_run(world->server.days, world->fx.now);
        (void)uv_run(&world->server.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(world->steps, steps);
    assert_int_equal(world->seals, 0);
    world->held_back = false;
    days_run(world->server.days, world->fx.now);
    run(world, SIZE_MAX);
    assert_int_equal(planned(world, FX_DATE), ACCOUNTS);
}

/* One instalment a commit, however long that takes. */
static void no_instalment_follows_one_that_is_not_committed(void **state)
{
    struct world *world = *state;
    world->commits = false;
    days_run(world->server.days, world->fx.now);
    run(world, 1);
    size_t steps = world->steps;
    for (int i = 0; i < 50; i++) {
        days_run(world->server.days, world->fx.now);
        (void)uv_run(&world->server.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(world->steps, steps);
    assert_false(days_is_idle(world->server.days));
    commit(world, 0);
    world->commits = true;
    run(world, SIZE_MAX);
    assert_true(days_is_idle(world->server.days));
}

/* Wherever it is met by the end: nothing is sealed any more, and no thread is left behind. */
static void the_end_comes_at_any_moment(void **state)
{
    (void)state;
    for (int turns = 0; turns < 14; turns++) {
        void *one;
        (void)setup(&one);
        struct world *world = one;
        days_run(world->server.days, world->fx.now);
        for (int i = 0; i < turns; i++) {
            (void)uv_run(&world->server.loop, UV_RUN_NOWAIT);
            serve(world, (uint32_t)i);
        }
        days_stop(world->server.days);
        size_t seals = world->seals;
        for (int i = 0; i < 200; i++) {
            (void)usleep(200); /* another thread would have its time */
            commit(world, 0);
            days_run(world->server.days, world->fx.now);
            (void)uv_run(&world->server.loop, UV_RUN_NOWAIT);
        }
        assert_int_equal(world->seals, seals);
        (void)teardown(&one);
    }
}

static void a_zone_is_asked_once_for_all_who_share_it(void **state)
{
    struct world *world = *state;
    _cleanup_(civil_freep) struct civil *civil = NULL;
    struct row_account rows[3] = {{.zone = "Europe/Paris", .start_minute = 540, .end_minute = 1080,
                                   .days = 31}};
    struct coord_window windows[COORD_WINDOW_DAYS];
    struct civil_unit unit;
    int64_t end;
    rows[1] = rows[2] = rows[0];
    rows[2].end_minute = 1020;
    assert_int_equal(civil_new(world->server.tz, &civil), 0);
    civil_look(civil, AT(23, 30));
    for (int i = 0; i < 30; i++) {
        assert_int_equal(civil_unit_of(civil, &rows[i % 3], &unit, &end), 0);
        assert_int_equal(unit.date, FX_DATE + 1); /* an hour or two ahead of UTC */
        assert_int_equal(civil_windows(civil, &rows[i % 3], FX_DATE, windows), 0);
        struct tz_window window = {.start = 0};
        struct tz_hours hours = {540, i % 3 == 2 ? 1020 : 1080, 31};
        for (int day = 0; day < COORD_WINDOW_DAYS; day++) {
            bool on =
                tz_window(world->server.tz, "Europe/Paris", FX_DATE + day, hours, &window) == 0;
            assert_true(windows[day].start == (on ? window.start : 0));
            assert_true(windows[day].end == (on ? window.end : 0));
        }
    }
    assert_int_equal(civil_kinds(civil), 2);
    assert_int_equal(civil_windows(civil, &rows[0], FX_DATE + 1, windows), 0);
    civil_look(civil, AT(12, 0));
    assert_int_equal(civil_unit_of(civil, &rows[0], &unit, &end), 0);
    assert_int_equal(unit.date, FX_DATE);
    (void)snprintf(rows[0].zone, sizeof rows[0].zone, "Nowhere/Land");
    assert_true(civil_unit_of(civil, &rows[0], &unit, &end) < 0);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    struct flz_msg msg;
    if (flz_secret_harden(true, &msg) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        CLAIM(a_day_is_planned_while_others_are_served),
        CLAIM(who_is_suppressed_asks_for_no_plan),
        CLAIM(what_is_held_back_goes_on_when_there_is_room),
        CLAIM(no_instalment_follows_one_that_is_not_committed),
        cmocka_unit_test(the_end_comes_at_any_moment),
        CLAIM(a_zone_is_asked_once_for_all_who_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
