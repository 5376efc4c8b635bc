/*
 * The coordinator's desk and HTTP door over a world of the tests (world.h): what fluenzrctl is
 * tested against. deskd IDENTITY_DIR ADMIN_ENDPOINT [one-owner|empty]; prints its HTTP port when it
 * is ready; ends by SIGTERM.
 */
#include "common/base/cleanup.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "coordinator/desk.h"
#include "coordinator/meters.h"
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

/* Three owners at two nodes, the second of which is away; one conversation begun. */
static void populate(struct server *world, const char *kind)
{
    if (strcmp(kind, "empty") == 0)
        return;
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
    world_plan(world);
    if (!one && coord_exchange_limit(server_core(world)) > 0)
        world_settle_first(world, 0, FLZ_PLACEMENT_JUNK);
}

static int serve(struct deskd *deskd, const char *endpoint, struct flz_msg *msg)
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
        r = web_new(&deskd->loop, "127.0.0.1:0", deskd->world, deskd->metrics, &deskd->web, msg);
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
    if (serve(&deskd, argv[2], &msg) < 0) {
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
