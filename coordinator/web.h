/*
 * The coordinator's HTTP door: the dashboard at /, /metrics, /livez, /readyz[?verbose] and the JSON
 * API. It only looks. The documents are those of fluenzrctl (coordinator/view.h); beyond a loopback
 * address they name no person: addresses and owners are left out.
 *
 *     /api/v1/{status,nodes,alerts}
 *     /api/v1/accounts    ?text= &phase= &readiness= &node= &domain= &unready &all &recent
 *                         &limit= &after=
 *     /api/v1/plan        ?date= &account= &limit= &after=
 *     /api/v1/stats       ?by=day|account &days= &account= &limit= &after=
 *     /api/v1/exchanges   ?account= &limit= &before=
 *     /api/v1/nodes/NAME  /api/v1/accounts/ID  /api/v1/accounts/ID/why  /api/v1/exchanges/ID
 *
 * One answer holds at most WEB_PAGE_MAX accounts, or VIEW_LIMIT_MAX exchanges, and looks at a
 * bounded number of them: its "next" is what `after` (or `before`) asks for to go on, null at the
 * end. A page may be empty and still have a next one.
 */
#pragma once

#include "common/base/error.h"

#include <stdint.h>

#define WEB_PAGE_MAX 1000

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
