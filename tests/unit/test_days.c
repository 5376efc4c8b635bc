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

#include <time.h>
#include <unistd.h>

#define ACCOUNTS 60

struct around;
static void watch(struct around *around, const struct coord_update *update);

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
    struct around *around; /* watches what is planned; NULL: nobody does */
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
    if (world->around)
        watch(world->around, &world->fx.update);
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

/* Samoa went from the 29th to the 31st of December 2011. */
static void a_date_that_a_zone_skips_is_never_planned(void **state)
{
    struct world *world = *state;
    _cleanup_(civil_freep) struct civil *civil = NULL;
    struct row_account row = {
        .zone = "Pacific/Apia", .start_minute = 540, .end_minute = 1080, .days = 127};
    int32_t skipped = flz_date_of_civil(2011, 12, 30), before = skipped - 4;
    struct coord_window windows[COORD_WINDOW_DAYS];
    struct civil_unit unit;
    int64_t end;
    assert_int_equal(civil_new(world->server.tz, &civil), 0);
    for (int64_t at = (skipped - 3) * FLZ_DAY_MS; at < (skipped + 4) * FLZ_DAY_MS;
         at += FLZ_HOUR_MS) {
        civil_look(civil, at);
        assert_int_equal(civil_unit_of(civil, &row, &unit, &end), 0);
        assert_int_not_equal(unit.date, skipped);
        assert_true(unit.date == before || unit.date == before + 1 + (before + 1 == skipped));
        before = unit.date;
    }
    assert_int_equal(civil_windows(civil, &row, skipped - 1, windows), 0);
    assert_true(windows[0].start < windows[0].end);
    assert_true(windows[1].start == windows[1].end);
    assert_true(windows[2].start < windows[2].end);
    assert_int_equal(windows[2].start - windows[0].start, FLZ_DAY_MS);
}

/* ---- Around the world ---- */

/* Zones of whole, half and three-quarter hours, with summer time by one hour, by half an hour and
 * by two, at midnight, on either side of the equator and of the date line, and with none. */
static const char *const zones[] = {
    "Europe/Paris",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Moscow",
    "America/New_York",
    "America/St_Johns",
    "America/Los_Angeles",
    "America/Havana",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Phoenix",
    "America/Caracas",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Asia/Yangon",
    "Asia/Jerusalem",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Eucla",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Pacific/Marquesas",
    "Pacific/Niue",
    "Antarctica/Troll",
    "Atlantic/Azores",
    "Etc/UTC",
    "America/Nuuk",
};
#define ZONES (sizeof zones / sizeof *zones)

/* None ends or begins in the hours in which clocks are put: what a time that comes twice means is
 * told by tz.h, and its test. */
static const struct {
    uint32_t start;
    uint32_t end;
} hours[] = {{540, 1080}, {1320, 360}, {0, 1440}, {375, 885}};

#define AROUND_DAYS 330

struct around {
    struct world *world;
    int32_t first; /* date */
    uint8_t planned[ACCOUNTS][AROUND_DAYS];
    size_t turns;
};

static struct flz_account around_account(uint32_t n)
{
    static const uint32_t days[] = {0x1f, 0x7f, 0x15, 0x60};
    static const char countries[][FLZ_COUNTRY_MAX] = {"FR", "", "US", "GB", ""};
    struct flz_account account = fx_account(n).account;
    (void)snprintf(account.zone, sizeof account.zone, "%s", zones[n % ZONES]);
    account.start_minute = hours[n % 4].start;
    account.end_minute = hours[n % 4].end;
    account.days = days[n / 4 % 4];
    memcpy(account.days_off.holidays, countries[n % 5], FLZ_COUNTRY_MAX);
    if (n % 3 == 0)
        account.days_off.away[1] = (struct flz_date_range){.first = FX_DATE + 30 + (int32_t)n % 7,
                                                           .last = FX_DATE + 36 + (int32_t)n % 9};
    return account;
}

/* What the C library's clocks show there, which know nothing of ours. */
static void clock_there(uint32_t n, int64_t at, int32_t *ret_date, uint32_t *ret_minute)
{
    time_t seconds = (time_t)(at / FLZ_SECOND_MS);
    struct tm tm;
    assert_int_equal(setenv("TZ", zones[n % ZONES], 1), 0);
    tzset();
    assert_non_null(localtime_r(&seconds, &tm));
    *ret_date = flz_date_of_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    *ret_minute = (uint32_t)(tm.tm_hour * 60 + tm.tm_min);
}

static bool works_on(const struct flz_account *account, int32_t date)
{
    return (account->days >> flz_date_weekday(date) & 1) &&
           !flz_is_day_off(&account->days_off, date);
}

/* The instant lies in the account's hours that begin on `date`, by the clocks there. */
static void expect_in_hours(uint32_t n, int32_t date, int64_t at, const char *what)
{
    struct flz_account account = around_account(n);
    int32_t there;
    uint32_t minute;
    clock_there(n, at, &there, &minute);
    bool across = account.end_minute <= account.start_minute;
    bool early =
        there == date && minute >= account.start_minute && (across || minute < account.end_minute);
    bool late = across && there == date + 1 && minute < account.end_minute;
    if (!works_on(&account, date) || (!early && !late))
        fail_msg("%s, hours from %u to %u: %s on day %d at %02u:%02u of day %d", zones[n % ZONES],
                 account.start_minute, account.end_minute, what, date, minute / 60, minute % 60,
                 there);
}

static void watch_exchange(struct around *around, const struct event_plan_exchange *x)
{
    for (size_t i = 0; i < x->turns_count; i++) {
        const struct event_plan_turn *t = &x->turns[i];
        uint32_t from = i % 2 ? x->to : x->from, to = i % 2 ? x->from : x->to;
        expect_in_hours(from, t->date, t->send_at, "sends");
        expect_in_hours(to, t->open_date, t->open_at, "opens");
        if (t->reopen_at) {
            int32_t there;
            uint32_t minute;
            clock_there(to, t->reopen_at, &there, &minute);
            bool across = hours[to % 4].end <= hours[to % 4].start;
            expect_in_hours(to, across && minute < hours[to % 4].end ? there - 1 : there,
                            t->reopen_at, "opens late");
        }
        around->turns++;
    }
}

static void watch(struct around *around, const struct coord_update *update)
{
    for (size_t i = 0; i < update->events_count; i++) {
        if (update->events[i].type != EVENT_PLAN_PART)
            continue;
        const struct event_plan_part *part = &update->events[i].plan_part;
        for (size_t j = 0; j < part->accounts_count; j++)
            around->planned[part->accounts[j].account][part->date - around->first]++;
        for (size_t j = 0; j < part->exchanges_count; j++)
            watch_exchange(around, &part->exchanges[j]);
    }
}

static void live(struct around *around, int32_t first, int32_t end)
{
    struct world *world = around->world;
    for (int64_t now = first * FLZ_DAY_MS; now < end * FLZ_DAY_MS; now += FLZ_HOUR_MS / 2) {
        world->fx.now = now;
        if (now % (12 * FLZ_HOUR_MS) == 0)
            for (uint32_t n = 0; n < ACCOUNTS; n++)
                fx_report(&world->fx, n % 2, fx_probe(&world->fx, n));
        days_run(world->server.days, now);
        run(world, SIZE_MAX);
    }
    /* Each of its days once, and no other; the edges are cut where the date differs from ours. */
    for (uint32_t n = 0; n < ACCOUNTS; n++) {
        struct flz_account account = around_account(n);
        for (int32_t date = first + 2; date < end - 2; date++)
            if (around->planned[n][date - around->first] != works_on(&account, date))
                fail_msg("%s: day %d is planned %d times", account.zone, date,
                         around->planned[n][date - around->first]);
    }
}

/* Weeks in spring and in autumn, or, as a long form, all in between. What is planned holds by the
 * clocks of each place, whichever way they are put. */
static bool arg_long;

static void around_the_world_every_day_is_planned_once_and_within_its_hours(void **state)
{
    struct world *world = *state;
    struct around *around = calloc(1, sizeof *around);
    assert_non_null(around);
    around->world = world;
    around->first = FX_DATE - 2;
    for (uint32_t n = 0; n < ACCOUNTS; n++) {
        struct flz_report report = fx_account(n);
        report.account = around_account(n);
        fx_report(&world->fx, n % 2, report);
        assert_false(world->fx.update.refused);
    }
    fx_step(&world->fx,
            (struct coord_command){.kind = COORD_SET_POLICY,
                                   .policy = {.key = "cooldown_days", .value = 1, .by = "me"}});
    world->around = around;
    int32_t spring = flz_date_of_civil(2026, 3, 3), autumn = flz_date_of_civil(2026, 9, 22);
    if (arg_long) {
        live(around, spring, autumn + 50);
    } else {
        live(around, spring, spring + 38); /* 8 March in America … 5 April in Australia */
        live(around, autumn, autumn + 45); /* 27 September in New Zealand … 1 November */
    }
    assert_true(around->turns > 5000);
    world->around = NULL;
    free(around);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

int main(int argc, char **argv)
{
    (void)argv;
    arg_long = argc > 1;
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
        CLAIM(a_date_that_a_zone_skips_is_never_planned),
        CLAIM(around_the_world_every_day_is_planned_once_and_within_its_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
