/*
 * The coordinator's desk and HTTP door over a world of the tests (world.h): what fluenzrctl is
 * and the dashboard are tested against. deskd IDENTITY_DIR ADMIN_ENDPOINT [KIND [HTTP_ADDRESS]];
 * prints its HTTP port when it is ready; ends by SIGTERM. KIND: "" three accounts, one-owner,
 * refused (two accounts' logins are), jumped (the host's clock, by two days), empty, lively (two
 * weeks of a network of 18 accounts), hostile (the same with names that are HTML), damaged (a log).
 */
#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "coordinator/desk.h"
#include "coordinator/meters.h"
#include "coordinator/watch.h"
#include "coordinator/web.h"
#include "tests/cli/world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

struct deskd {
    uv_loop_t loop;
    uv_signal_t signal;
    struct bus *bus;
    struct admin *admin;
    struct web *web;
    struct metrics *metrics;
    struct server *world;
};

static void on_signal(uv_signal_t *signal, int number)
{
    struct deskd *deskd = signal->data;
    (void)web_free(deskd->web);
    (void)admin_free(deskd->admin);
    uv_close((uv_handle_t *)signal, NULL);
    uv_stop(&deskd->loop);
}

/* Two weeks; then a node is lost, a login fails and an administrator pauses a domain. */
static void populate_lively(struct server *world, bool hostile)
{
    static const char *const names[] = {"lyon", "oslo", "paris"};
    static const char *const domains[] = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"};
    static const char *const people[] = {"ann", "bob", "cleo"};
    for (uint32_t i = 0; i < 3; i++)
        (void)world_add_node(world, hostile && i == 2 ? "<b onclick=x>" : names[i], true);
    for (uint32_t i = 0; i < 18; i++) {
        char address[FLZ_ADDRESS_MAX];
        (void)snprintf(address, sizeof address, "%s@%s.test", people[i / 6], domains[i % 6]);
        world_probe(world, world_add_account(world, i % 3, address, domains[i % 6]), true);
    }
    world_live(world, 14, 15);
    world_probe(world, 4, false);
    world_disconnect(world, 2);
    struct coord_command pause = {
        .kind = COORD_PAUSE,
        .pause = {.target = {.scope = FLZ_SCOPE_DOMAIN, .name = "zeta.test"},
                  .reason = "DNS is being changed",
                  .until = FLZ_NEVER,
                  .by = "duty"}};
    if (hostile) {
        (void)snprintf(pause.pause.reason, sizeof pause.pause.reason,
                       "<img src=x onerror=document.title='owned'>");
        world_rename(world, 0, "\"><script>document.title='owned'</script>",
                     "<svg onload=document.title='owned'>");
    }
    (void)server_submit(world, &pause, NULL, NULL);
}

/* What is to be told of it at once, is told. */
static void look_once(struct server *world)
{
    struct watch *watch;
    int64_t wait;
    if (watch_new(world, &watch) == 0)
        (void)watch_step(watch, flz_boottime_ms(), &wait);
    (void)watch_free(watch);
}

/* Three owners at two nodes, the second of which is away; one conversation begun. */
static void populate(struct server *world, const char *kind)
{
    if (strcmp(kind, "empty") == 0)
        return;
    if (strcmp(kind, "lively") == 0 || strcmp(kind, "hostile") == 0) {
        populate_lively(world, strcmp(kind, "hostile") == 0);
        return;
    }
    bool one = strcmp(kind, "one-owner") == 0;
    uint32_t n1 = world_add_node(world, "n1", true);
    uint32_t n2 = world_add_node(world, "n2", one);
    static const char *const addresses[] = {"ann@alpha.test", "bob@beta.test", "cleo@gamma.test"};
    static const char *const owners[] = {"Alpha", "Beta", "Gamma"};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t account =
            world_add_account(world, i == 2 ? n2 : n1, addresses[i], one ? "Alpha" : owners[i]);
        world_probe(world, account, true);
    }
    if (strcmp(kind, "refused") == 0) {
        world_refuse(world, 0, 1);
        world_refuse(world, 1, FLZ_LOGIN_TRIES_MAX);
    }
    world_plan(world);
    if (strcmp(kind, "jumped") == 0)
        world_refuse_step(world, 2 * FLZ_DAY_MS);
    if (strcmp(kind, "damaged") == 0)
        world_damage(world);
    if (!one && coord_exchange_limit(server_core(world)) > 0)
        world_settle_first(world, 0, FLZ_PLACEMENT_JUNK);
    look_once(world);
}

static int serve(struct deskd *deskd, const char *endpoint, const char *http, struct flz_msg *msg)
{
    const struct coordinator_identity *identity = server_identity(deskd->world);
    struct admin_options options = {.trust = &identity->trust,
                                    .signer = coordinator_identity_signer(identity)};
    int r = meters_new(&deskd->metrics);
    if (r == 0)
        r = bus_new(&deskd->loop, NULL, NULL, &deskd->bus, msg);
    if (r == 0)
        r = admin_new(deskd->bus, endpoint, &identity->curve, NULL, &options, desk_on_call,
                      deskd->world, &deskd->admin, msg);
    if (r == 0)
        r = web_new(&deskd->loop, http, deskd->world, deskd->metrics, &deskd->web, msg);
    return r;
}

int main(int argc, char **argv)
{
    struct deskd deskd = {.bus = NULL};
    struct coordinator_identity identity = COORDINATOR_IDENTITY_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (argc < 3 || flz_secret_harden(true, &msg) < 0 ||
        coordinator_identity_load(argv[1], flz_realtime_ms(), &identity, &msg) < 0) {
        (void)fprintf(stderr, "deskd: %s\n", msg.text);
        return 78;
    }
    deskd.world = world_new(&identity);
    populate(deskd.world, argc > 3 ? argv[3] : "");
    (void)uv_loop_init(&deskd.loop);
    (void)uv_signal_init(&deskd.loop, &deskd.signal);
    deskd.signal.data = &deskd;
    (void)uv_signal_start(&deskd.signal, on_signal, SIGTERM);
    if (serve(&deskd, argv[2], argc > 4 ? argv[4] : "127.0.0.1:0", &msg) < 0) {
        (void)fprintf(stderr, "deskd: %s\n", msg.text);
        return 1;
    }
    (void)printf("%u\n", web_port(deskd.web));
    (void)fflush(stdout);
    (void)uv_run(&deskd.loop, UV_RUN_DEFAULT);
    (void)bus_free(deskd.bus);
    (void)uv_run(&deskd.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&deskd.loop);
    (void)metrics_free(deskd.metrics);
    (void)world_free(deskd.world);
    return 0;
}
