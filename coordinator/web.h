/*
 * The coordinator's HTTP door: /metrics, /livez, /readyz[?verbose] and the JSON API
 * /api/v1/{status,nodes,accounts,exchanges,alerts,plan,stats}. It only looks. The documents are
 * those of fluenzrctl (coordinator/view.h); beyond a loopback address they name no person:
 * addresses and owners are left out.
 */
#pragma once

#include "common/base/error.h"

#include <stdint.h>

struct metrics;
struct server;
struct uv_loop_s;
struct web;

/*
 * Listens on `address` ("127.0.0.1:7480"). `metrics` is the registry of coordinator/meters.h; it
 * and the server are borrowed while the door is open. 0, -EADDRINUSE, -EINVAL, -errno.
 */
int web_new(struct uv_loop_s *loop, const char *address, struct server *server,
            struct metrics *metrics, struct web **ret_web, struct flz_msg *msg);

/* Stops. The loop must be run once more before it is closed. */
struct web *web_free(struct web *web);

uint16_t web_port(const struct web *web);
