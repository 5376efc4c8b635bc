/*
 * Alerts: what a person should look at, each once, from when it was noticed until it is over. They
 * stand in the log, so that what an operator was told can be looked up; who says that he looks at
 * one, or wants to hear of it no more for a while, stands there too.
 *
 * An alert is of a code and a subject, and there is one open alert of each. Whoever watches says
 * what holds and what holds no more (COORD_ALERT); how long something must hold before it is an
 * alert, and how long it must be over, is the watcher's business (watch.h).
 *
 *     (nothing) ─ holds ──► open ─ holds no more ──► resolved ──► forgotten with the 1,024th later
 *                            │ ▲
 *                            └─┴ updated: more or fewer accounts, another severity, acknowledged
 *
 * What `value` is, by code:
 *     NODE_LOST     real ms since it was heard; 0: not in this life of the coordinator
 *     LOGIN         logins refused in a row; 0: none, its servers do not answer
 *     MAILBOX_FULL  permille used
 *     IDLE          the account's local date (days since 1970)
 *     CLOCK         the step in ms, signed
 *     HEALTH        messages a day that its health leaves it
 *     DISK, DNS     0
 */
#pragma once

#include "proto/record.h"

#include <stdbool.h>
#include <stdint.h>

/* Open alerts there can be; what is noticed beyond is not opened. Resolved ones are kept for
 * looking back as long as there are no more than so many of them. */
#define ALERTS_OPEN_MAX 4096
#define ALERTS_RESOLVED_KEPT 1024

/* What is noticed of one code and subject. */
struct alert_notice {
    uint32_t code;
    uint32_t scope;   /* enum flz_scope */
    uint32_t subject; /* its handle; 0 for the network */
    bool holds;
    uint32_t severity; /* the rest: when it holds */
    uint32_t count;
    uint32_t example; /* handle + 1 */
    int64_t value;
};

struct coord;

/* The open alert of this code and subject, or NULL. */
const struct row_alert *coord_alert_open(const struct coord *core, uint32_t code, uint32_t scope,
                                         uint32_t subject);

/* Whether COORD_ALERT would make an event of it: what is measured may change without. */
bool coord_alert_is_news(const struct coord *core, const struct alert_notice *notice);

/* All in memory, by index, oldest first: open ones and the newest resolved ones. */
size_t coord_alert_count(const struct coord *core);
const struct row_alert *coord_alert(const struct coord *core, size_t index);
/* By number; NULL: it was never given, or is forgotten. */
const struct row_alert *coord_alert_by_handle(const struct coord *core, uint32_t alert);

/* "node-lost" …: static; "?" for none. */
const char *alert_name(uint32_t code);
