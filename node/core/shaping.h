/*
 * Shaping: when a server may be tried, by what it did of late. A *line* is one server of one
 * account; a *service* is what the lines of one provider's SMTP servers, or of its IMAP servers,
 * have in common. Pure: the shell tells what happened and when, and asks before it connects.
 *
 * Each line climbs a ladder of waits, a minute after the first failure in a row up to an hour, and
 * steps off it with the first login that succeeds. A refused login is also *charged*: at the third
 * in a row a person is asked. Two rules keep a provider's trouble from being charged to accounts:
 *
 *   S1 When a fifth of a service's lines, and five at least, fail within 15 minutes, that is an
 *      incident of the provider. What was charged since they last succeeded is given back, nothing
 *      more is charged, and one line at a time tries for all: every minute, then every 5, 15
 * and 60. Its first success ends the incident, and all go on by themselves. S2 In a service of five
 * lines or more, the last try before a person is asked waits, for a day at most, until the service
 * has let another account in: by then the fault is the account's.
 *
 *            fifth of the lines fails: S1              a line gets in
 *     WELL ───────────────────────────► INCIDENT ───────────────────────► WELL, failing lines
 * doubted shaping_failed()             │  ▲         shaping_worked() └──┘ the line that tries
 * fails: the next one, a step later
 *
 * A doubted line that is refused again is charged, and is no sign of a new incident: what opens and
 * ends incidents without end would else be a few accounts with wrong passwords.
 */
#pragma once

#include "common/base/id.h"
#include "common/base/map.h"
#include "node/core/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHAPING_STEPS 4
#define SHAPING_WINDOW_MS (15 * 60000)
#define SHAPING_INCIDENT_LINES_MIN 5
#define SHAPING_INCIDENT_PERMILLE 200
#define SHAPING_DOUBT_MS (24 * 3600000LL)
#define SHAPING_TURN_MS 60000 /* in which the line that is to try for all must have begun */

/* Waits and windows are network time, run off in real time with a floor: labs are fast. */
struct shaping_clock {
    int64_t boot_now;
    int64_t rate_milli;
};

/* What a provider is shaped by. 0 = as many as come. */
struct shaping_limits {
    uint32_t connections;             /* at a time, of one service */
    uint32_t messages;                /* of one SMTP session; then a new one is opened */
    int64_t ladder_ms[SHAPING_STEPS]; /* network time */
    struct meter_limits account, domain, provider; /* messages begun, of each of them */
};

extern const struct shaping_limits shaping_limits_default;

struct shaping_service;

/* Lies in the account's desk; plain, empty when zeroed. */
struct shaping_line {
    void *owner;                     /* borrowed; whoever it belongs to */
    struct shaping_service *service; /* borrowed; NULL: none yet, or it has left */
    struct shaping_line *prev, *next;
    bool failing;         /* stands among those that failed of late */
    bool connected;       /* a connection of it is open */
    bool ok;              /* its newest try succeeded … */
    int64_t ok_boot;      /* … at this boot time; 0 = never */
    bool refused;         /* its newest try was a refused login */
    bool doubted;         /* it failed in an incident that is over, and has not succeeded since */
    bool urged;           /* a person wants it tried now */
    uint32_t step;        /* failures in a row, up to SHAPING_STEPS */
    uint32_t charged;     /* refused logins charged since it last succeeded */
    int64_t failed_boot;  /* the newest failure */
    int64_t refused_boot; /* the first refused login in a row; 0 = none */
    int64_t wait_boot;    /* nothing is tried before it */
};

/* A list of lines. */
struct shaping_list {
    struct shaping_line *first, *last;
    uint32_t count;
};

struct shaping_service {
    struct flz_id key;
    struct shaping_limits limits;
    struct shaping_list well;    /* those that worked last come first */
    struct shaping_list failing; /* by their newest failure, the oldest first */
    uint32_t open;               /* connections */
    int64_t ok_boot;             /* the newest success of any line; 0 = none */
    bool incident;
    int64_t since_boot;        /* it began */
    int64_t ended_boot;        /* the one before ended; 0 = none */
    uint32_t step;             /* tries that failed for all, up to SHAPING_STEPS */
    int64_t turn_boot;         /* the next try for all */
    struct shaping_line *turn; /* whose it is … */
    int64_t turn_until_boot;   /* … until then, unless it has begun */
    uint32_t turns_missed;     /* so many did not begin in time */
};

struct shaping {
    struct shaping_service **services; /* owned array of owned */
    size_t count, capacity;
    struct flz_map by_key;
};

void shaping_deinit(struct shaping *shaping);

/* The line belongs to the service of that key, which is made if it is new; the line is forgotten
 * what it was. 0 or -ENOMEM (it belongs to none). */
int shaping_join(struct shaping *shaping, struct flz_id key, struct shaping_line *line);

/* It belongs to none any more. Its connection, if one is open, is no longer counted. */
void shaping_leave(struct shaping_line *line);

/* A person has changed the account or wants it tried: neither an incident nor its own past keeps
 * its next connection back. */
void shaping_urge(struct shaping_line *line);

/* May this line connect now? `last_try`: a refusal would be the one at which a person is asked. */
enum shaping_answer {
    SHAPING_YES,
    SHAPING_WAITS,    /* for its ladder */
    SHAPING_FULL,     /* the service has its connections */
    SHAPING_INCIDENT, /* another line tries for all, or will */
    SHAPING_DOUBTS,   /* S2 */
};
enum shaping_answer shaping_may_connect(struct shaping_line *line, bool last_try,
                                        struct shaping_clock clock);

/* Is it this line's turn to try for all, whether it has work or not? */
bool shaping_has_turn(struct shaping_line *line, struct shaping_clock clock);

/* Around each connection. */
void shaping_opened(struct shaping_line *line);
void shaping_closed(struct shaping_line *line);

/* Its login succeeded. True when this ends an incident. */
bool shaping_worked(struct shaping_line *line, struct shaping_clock clock);

struct shaping_failure {
    bool refused;     /* the login: it counts against the account, unless S1 says otherwise */
    int64_t floor_ms; /* real time that the wait takes at least */
    int64_t wait_ms;  /* network time in place of the ladder's step; 0 = the ladder's */
};

enum shaping_blame {
    SHAPING_NOT_CHARGED,
    SHAPING_CHARGED,
    SHAPING_OPENED, /* not charged, and an incident begins: each failing line's `charged` is to be
                       given back (shaping_forgive) */
};
enum shaping_blame shaping_failed(struct shaping_line *line, struct shaping_failure failure,
                                  struct shaping_clock clock);

/* It is to be tried again so much real time later, whatever its ladder says; nothing is held
 * against it. */
void shaping_put_off(struct shaping_line *line, int64_t wait_ms, struct shaping_clock clock);

/* Takes what was charged to the line. */
uint32_t shaping_forgive(struct shaping_line *line);

/* Boot time at which it may be tried, as far as that is known. */
int64_t shaping_next(const struct shaping_line *line);
