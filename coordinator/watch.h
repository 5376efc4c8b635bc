/*
 * The watch: looks at nodes, accounts and this host again and again, and tells the core what people
 * should look at (core/alert.h). What holds for a moment only is no alert; nor is what follows from
 * another one: accounts of a node that is not heard have none of their own.
 *
 *     code          noticed when                                          after      over for
 *     node-lost     a joined node is not connected                        5 min      1 min
 *     login         a person is asked (critical)                          at once    at once
 *                   refused, or its servers do not answer                 15 min     at once
 *     mailbox-full  the node's newest look said so                        at once    at once
 *     dns           MX changed, domain or provider says no                at once    at once
 *     idle          its newest closed day: planned, possible, none sent   at once    at once
 *     health        quarantine or block cuts its level, or stops it (crit.) at once    at once
 *     disk          nothing new is decided                                30 s       5 min
 *     clock         a step of the host's clock waits for confirmation     at once    at once
 *
 * Times are real; in a lab with a fast clock none is longer than 5 s. More than 10 accounts of one
 * node with one code are one alert, of the node.
 */
#pragma once

#include "coordinator/server.h"

struct watch;

/* `server` is borrowed and outlives it. 0 or -ENOMEM. */
int watch_new(struct server *server, struct watch **ret_watch);
struct watch *watch_free(struct watch *watch);

/*
 * One piece of a look, bounded (20,000 accounts), at this boot time. *ret_wait: real ms until the
 * next one. 0, -ENOMEM, or what server_submit() says but -ENOSPC, which is waited out.
 */
int watch_step(struct watch *watch, int64_t boot_ms, int64_t *ret_wait);
