/*
 * The days: which accounts' local day is planned when. A planning unit is one local date of one
 * UTC-offset cohort, planned about an hour before its midnight; accounts that become ready within a
 * day that has no plan for them yet get what is left of it.
 */
#pragma once

#include "coordinator/server_private.h"

int days_open(struct server *server, struct days **ret_days, struct flz_msg *msg);
struct days *days_close(struct days *days);

/* Plans what is due at `now`. Returns how many exchanges were planned, or negative. */
int days_run(struct days *days, int64_t now);

/* An account came, changed, or became ready: accounts without a plan are looked at again, once no
 * more such changes have come for DAYS_SETTLE_MS of real time, or DAYS_SETTLE_MS_MAX after the
 * first. */
#define DAYS_SETTLE_MS 1500
#define DAYS_SETTLE_MS_MAX 5000
void days_changed(struct days *days);
