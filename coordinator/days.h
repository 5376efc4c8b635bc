/*
 * The days: which accounts' local day is planned when. A planning unit is one local date of one
 * UTC-offset cohort, planned about an hour before its midnight; accounts that become ready within a
 * day that has no plan for them yet get what is left of it.
 */
#pragma once

#include "coordinator/server_private.h"

int days_open(struct server *server, struct days **ret_days, struct flz_msg *msg);
struct days *days_close(struct days *days);

/* Begins to plan what is due at `now`, and goes on with what was held back. The work itself is done
 * in slices, one in a turn of the loop, and the draw on a pool thread. */
void days_run(struct days *days, int64_t now);

/* Nothing is looked for, drawn or sealed at the moment. */
bool days_is_idle(const struct days *days);

/* Nothing more is begun; waits for the pool thread. What is not sealed yet is planned by the next
 * life. */
void days_stop(struct days *days);

/* An account came, changed, or became ready: accounts without a plan are looked at again, once no
 * more such changes have come for DAYS_SETTLE_MS of real time, or DAYS_SETTLE_MS_MAX after the
 * first. */
#define DAYS_SETTLE_MS 1500
#define DAYS_SETTLE_MS_MAX 5000
void days_changed(struct days *days);
