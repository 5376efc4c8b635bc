#include "coordinator/watch.h"

#include "common/base/time.h"
#include "coordinator/view.h"
#include "coordinator/view_json.h"
#include "tests/cli/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Twelve accounts at n1 and two at n2, all ready. */
struct fixture {
    struct server *world;
    struct watch *watch;
    uint32_t nodes[2];
    int64_t boot;
};

static int setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);
    fx->world = world_new(NULL);
    fx->nodes[0] = world_add_node(fx->world, "n1", true);
    fx->nodes[1] = world_add_node(fx->world, "n2", true);
    for (int i = 0; i < 14; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "ann@d%d.test", i);
        world_probe(fx->world, world_add_account(fx->world, fx->nodes[i / 12], address, address),
                    true);
    }
    assert_int_equal(watch_new(fx->world, &fx->watch), 0);
    fx->boot = FLZ_DAY_MS;
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    (void)watch_free(fx->watch);
    (void)world_free(fx->world);
    free(fx);
    return 0;
}

/* Looks again and again for so long. */
static void watch_for(struct fixture *fx, int64_t ms)
{
    int64_t wait;
    for (int64_t end = fx->boot + ms; fx->boot <= end; fx->boot += wait) {
        assert_int_equal(watch_step(fx->watch, fx->boot, &wait), 0);
        assert_true(wait > 0);
    }
}

static const struct row_alert *alert(const struct fixture *fx, uint32_t code, uint32_t scope,
                                     uint32_t subject)
{
    return coord_alert_open(server_core(fx->world), code, scope, subject);
}

static void a_network_that_is_well_has_no_alert(void **state)
{
    struct fixture *fx = *state;
    watch_for(fx, FLZ_HOUR_MS);
    assert_int_equal(coord_alert_count(server_core(fx->world)), 0);
}

static void a_node_is_lost_after_five_minutes_and_speaks_for_its_accounts(void **state)
{
    struct fixture *fx = *state;
    world_probe(fx->world, 12, false);
    world_disconnect(fx->world, fx->nodes[1]);
    watch_for(fx, 4 * FLZ_MINUTE_MS);
    assert_int_equal(coord_alert_count(server_core(fx->world)), 0);
    watch_for(fx, 90 * FLZ_SECOND_MS);
    const struct row_alert *lost = alert(fx, ALERT_NODE_LOST, FLZ_SCOPE_NODE, fx->nodes[1]);
    assert_non_null(lost);
    assert_int_equal(lost->severity, ALERT_CRITICAL);
    assert_int_equal(lost->count, 2);
    watch_for(fx, FLZ_HOUR_MS);
    assert_int_equal(coord_alert_count(server_core(fx->world)), 1);
}

static void a_refused_login_is_told_when_it_lasts_and_a_lock_at_once(void **state)
{
    struct fixture *fx = *state;
    world_refuse(fx->world, 3, 1);
    watch_for(fx, 14 * FLZ_MINUTE_MS);
    assert_null(alert(fx, ALERT_LOGIN, FLZ_SCOPE_ACCOUNT, 3));
    watch_for(fx, 2 * FLZ_MINUTE_MS);
    assert_int_equal(alert(fx, ALERT_LOGIN, FLZ_SCOPE_ACCOUNT, 3)->severity, ALERT_WARNING);
    world_refuse(fx->world, 3, 3);
    watch_for(fx, 20 * FLZ_SECOND_MS);
    assert_int_equal(alert(fx, ALERT_LOGIN, FLZ_SCOPE_ACCOUNT, 3)->severity, ALERT_CRITICAL);
    world_probe(fx->world, 3, true);
    watch_for(fx, 20 * FLZ_SECOND_MS);
    assert_null(alert(fx, ALERT_LOGIN, FLZ_SCOPE_ACCOUNT, 3));
    assert_int_equal(coord_alert_count(server_core(fx->world)), 1);
}

static void what_many_accounts_of_a_node_have_is_one_alert(void **state)
{
    struct fixture *fx = *state;
    for (uint32_t i = 0; i < 10; i++)
        world_refuse(fx->world, i, 3);
    watch_for(fx, FLZ_SECOND_MS);
    assert_int_equal(coord_alert_count(server_core(fx->world)), 10);
    world_refuse(fx->world, 10, 3);
    watch_for(fx, FLZ_MINUTE_MS);
    const struct row_alert *many = alert(fx, ALERT_LOGIN, FLZ_SCOPE_NODE, fx->nodes[0]);
    assert_non_null(many);
    assert_int_equal(many->count, 11);
    assert_null(alert(fx, ALERT_LOGIN, FLZ_SCOPE_ACCOUNT, 0));
}

static void a_full_disk_and_a_clock_that_jumped_are_told(void **state)
{
    struct fixture *fx = *state;
    world_refuse_step(fx->world, 3 * FLZ_HOUR_MS);
    watch_for(fx, FLZ_SECOND_MS);
    assert_int_equal(alert(fx, ALERT_CLOCK, FLZ_SCOPE_NETWORK, 0)->value, 3 * FLZ_HOUR_MS);
    world_hold_back(fx->world, ADMISSION_RESCUE);
    watch_for(fx, FLZ_MINUTE_MS);
    assert_non_null(alert(fx, ALERT_DISK, FLZ_SCOPE_NETWORK, 0));
    world_hold_back(fx->world, ADMISSION_OPEN);
    watch_for(fx, 4 * FLZ_MINUTE_MS);
    assert_non_null(alert(fx, ALERT_DISK, FLZ_SCOPE_NETWORK, 0));
    watch_for(fx, 2 * FLZ_MINUTE_MS);
    assert_null(alert(fx, ALERT_DISK, FLZ_SCOPE_NETWORK, 0));
}

/* What the core decided about a sender's health. */
static void judge(struct fixture *fx, uint32_t account, uint32_t rule, uint32_t level)
{
    const struct event event = {.type = EVENT_HEALTH,
                                .at = WORLD_NOW,
                                .health = {.account = account,
                                           .provider = COORD_NONE,
                                           .state = HEALTH_BLOCKED,
                                           .rule = rule,
                                           .until = FLZ_NEVER,
                                           .level = level}};
    struct coord *core = (struct coord *)(uintptr_t)server_core(fx->world);
    assert_int_equal(coord_apply(core, &event), 0);
}

static void health_is_told_where_it_stops_and_not_where_one_only_begins(void **state)
{
    struct fixture *fx = *state;
    judge(fx, 3, RULE_SPAM_BLOCK, 7);
    watch_for(fx, FLZ_MINUTE_MS);
    assert_int_equal(coord_alert_count(server_core(fx->world)), 0);
    judge(fx, 3, RULE_PROVIDER_CODE, 7);
    watch_for(fx, FLZ_MINUTE_MS);
    assert_int_equal(alert(fx, ALERT_HEALTH, FLZ_SCOPE_ACCOUNT, 3)->severity, ALERT_CRITICAL);
}

static void another_life_goes_on_with_the_alerts_of_the_last(void **state)
{
    struct fixture *fx = *state;
    world_refuse(fx->world, 3, 3);
    watch_for(fx, FLZ_SECOND_MS);
    world_probe(fx->world, 3, true);
    (void)watch_free(fx->watch);
    assert_int_equal(watch_new(fx->world, &fx->watch), 0);
    fx->boot = FLZ_HOUR_MS; /* another boot */
    watch_for(fx, FLZ_MINUTE_MS);
    assert_null(alert(fx, ALERT_LOGIN, FLZ_SCOPE_ACCOUNT, 3));
}

static void people_read_it_in_words_and_only_their_own(void **state)
{
    struct fixture *fx = *state;
    world_refuse(fx->world, 13, 3);
    watch_for(fx, FLZ_SECOND_MS);
    struct view view;
    assert_int_equal(view_init(&view, fx->world, "node/n2", true), 0);
    json_t *document = view_alerts(&view, false);
    json_t *item = json_array_get(json_object_get(document, "items"), 0);
    assert_string_equal(json_string_value(json_object_get(item, "subject")),
                        "account/ann@d13.test");
    assert_string_equal(json_string_value(json_object_get(item, "state")), "open");
    assert_non_null(strstr(json_string_value(json_object_get(item, "message")), "has to sign in"));
    json_decref(document);
    view.scope = "node/n1";
    document = view_alerts(&view, true);
    assert_int_equal(json_array_size(json_object_get(document, "items")), 0);
    assert_null(view_alert(&view, 1));
    json_decref(document);
    view_deinit(&view);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CLAIM(a_network_that_is_well_has_no_alert),
        CLAIM(a_node_is_lost_after_five_minutes_and_speaks_for_its_accounts),
        CLAIM(a_refused_login_is_told_when_it_lasts_and_a_lock_at_once),
        CLAIM(what_many_accounts_of_a_node_have_is_one_alert),
        CLAIM(a_full_disk_and_a_clock_that_jumped_are_told),
        CLAIM(health_is_told_where_it_stops_and_not_where_one_only_begins),
        CLAIM(another_life_goes_on_with_the_alerts_of_the_last),
        CLAIM(people_read_it_in_words_and_only_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
