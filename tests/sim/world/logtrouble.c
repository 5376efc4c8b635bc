#include "tests/sim/world/logtrouble.h"

#include "coordinator/server_private.h"
#include "tests/sim/world/network.h"
#include "tests/sim/world/stand.h"

#include <stddef.h>

static const struct rlog_ops *real;
static struct rlog_ops bent;
static bool doubtful; /* the next append */

static enum rlog_result append(struct rlog *log, uint64_t epoch, struct flz_view bytes,
                               const struct store_batch *rider)
{
    if (!doubtful)
        return real->append(log, epoch, bytes, rider);
    doubtful = false;
    bool happens = world_chance(500);
    world_say("an append has an unknown outcome; it %s", happens ? "happened" : "did not happen");
    if (happens && real->append(log, epoch, bytes, rider) != RLOG_OK)
        return RLOG_UNAVAILABLE;
    return RLOG_UNKNOWN;
}

static struct server *server_here(void)
{
    return stand_desk_data(network.coordinator);
}

static void on_fence(void *data)
{
    struct server *server = data;
    uint64_t epoch;
    struct flz_msg msg;
    (void)rlog_campaign(server->rlog, "another", &epoch, &msg);
}

void logtrouble_fence(void)
{
    struct server *server = server_here();
    if (server)
        world_post(network.coordinator, world.now, on_fence, server);
}

void logtrouble_unknown(void)
{
    struct server *server = server_here();
    if (!server)
        return;
    if (server->rlog->ops != &bent) {
        real = server->rlog->ops;
        bent = *real;
        bent.append = append;
        server->rlog->ops = &bent;
    }
    doubtful = true;
}
