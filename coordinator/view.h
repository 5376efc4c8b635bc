/*
 * Views: what the coordinator knows, as JSON documents. One builder for each document; the
 * administration verbs and the HTTP API give out the same. A document is
 *
 *     {"apiVersion":"fluenzr/v1","kind":"NodeList","revision":SEQ,"items":[…]}   a list
 *     {"apiVersion":"fluenzr/v1","kind":"Node","revision":SEQ,"item":{…}}        one thing
 *
 * Times are RFC 3339 UTC, network time unless the name says otherwise; null = never or unknown.
 * Fields may be added; they are never changed or taken away. Builders return a new reference, or
 * NULL when memory is refused (or, where said, when there is no such thing).
 */
#pragma once

#include "coordinator/server.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_LIMIT_DEFAULT 100
#define VIEW_LIMIT_MAX 2000
#define VIEW_STATS_DAYS_MAX 400
#define VIEW_RECENT_DAYS 14

struct tz;

/* Whose eyes: what is outside of the scope does not appear. */
struct view {
    struct server *server;    /* borrowed */
    const struct coord *core; /* borrowed: the server's, until its next step */
    const char *scope;        /* "" = everything, "node/N", "owner/O"; borrowed */
    bool names;               /* addresses and owners are told */
    int64_t now;              /* network time */
    struct tz *tz;            /* owned */
};

/* 0 or -ENOMEM. */
int view_init(struct view *view, struct server *server, const char *scope, bool names);
void view_deinit(struct view *view);

bool view_sees_all(const struct view *view);
bool view_sees_node(const struct view *view, uint32_t node);
bool view_sees_account(const struct view *view, uint32_t account);

/* Finds by id or address, within the scope. COORD_NONE: none. */
uint32_t view_find_account(const struct view *view, const char *text);
/* Finds by name or id, within the scope; the newest of several with that name. */
uint32_t view_find_node(const struct view *view, const char *text);

/* Today on an account's own calendar. */
int32_t view_today(const struct view *view, uint32_t account);

/* ---- May it be written to? ---- */

enum view_readiness {
    VIEW_READY,
    VIEW_GONE,      /* released or removed */
    VIEW_NODE_GONE, /* its node was revoked */
    VIEW_CONSENT,   /* ended, over, or not covering it */
    VIEW_SUPPRESSED,
    VIEW_ANSWERS, /* a machine answers there */
    VIEW_PAUSED,
    VIEW_NODE_AWAY,  /* its node is not connected */
    VIEW_UNPROBED,   /* its node has not logged in yet */
    VIEW_STALE,      /* the newest login is too old */
    VIEW_TROUBLE,    /* the login failed, but was not refused: network, certificate, protocol */
    VIEW_LOGIN,      /* the login was refused; the node tries again */
    VIEW_NEEDS_AUTH, /* refused as often as may be: a person is asked */
    VIEW_FULL,       /* the mailbox is full */
    VIEW_MX_CHANGED,
    VIEW_OPT_OUT, /* the domain's owner refuses */
    VIEW_DENIED,  /* the provider is refused */
    VIEW_READINESS_COUNT,
};

enum view_readiness view_readiness(const struct view *view, uint32_t account);
const char *view_readiness_word(enum view_readiness readiness);

/* ---- Documents ---- */

/* Wraps what the caller built (stolen, may be NULL). */
json_t *view_document(const struct view *view, const char *kind, json_t *item);
json_t *view_list(const struct view *view, const char *kind, json_t *items);

/* *ret_critical (may be NULL): problems that keep the network from working. */
json_t *view_status(const struct view *view, size_t *ret_critical);
/* Alerts (core/alert.h), newest first: open and not silenced ones; `all`: the others as well. */
json_t *view_alerts(const struct view *view, bool all);
/* One of them by its number; NULL: none such in the scope. */
json_t *view_alert(const struct view *view, uint32_t alert);
json_t *view_version(const struct view *view);

json_t *view_nodes(const struct view *view);
json_t *view_node(const struct view *view, uint32_t node);

/*
 * A part of a list over the accounts, in the order of their registration. The document then says
 * under "next" behind which account the next part begins; null = this was the last. VIEW_WHOLE is
 * the whole list.
 */
struct view_page {
    uint32_t after; /* COORD_NONE: from the first */
    size_t limit;   /* items; 0 = any number */
    size_t looks;   /* accounts looked at, so that a rare word costs no more; 0 = any number */
};
#define VIEW_WHOLE ((struct view_page){.after = COORD_NONE})

struct view_account_filter {
    uint32_t node;      /* COORD_NONE: any */
    const char *domain; /* NULL: any; so below */
    const char *phase;
    const char *readiness; /* a view_readiness_word() */
    const char *health;    /* flz_health_name() */
    const char *text;      /* stands in id, address, owner, domain, provider or node; any case */
    bool unready;          /* only live ones that are not ready */
    bool all;              /* released and removed ones too */
    bool recent;           /* with the sums of the last VIEW_RECENT_DAYS days */
    struct view_page page;
};

json_t *view_accounts(const struct view *view, const struct view_account_filter *filter);
json_t *view_account(const struct view *view, uint32_t account);
/* Why it sends or does not, what its pool can carry. */
json_t *view_account_pair(const struct view *view, uint32_t account, uint32_t with);
json_t *view_account_why(const struct view *view, uint32_t account);
/* May it be written to, and by how many. */
json_t *view_account_reachable(const struct view *view, uint32_t account);
/* All that is held of it, archives included. */
json_t *view_account_export(const struct view *view, uint32_t account);

struct view_plan_query {
    int32_t date;     /* 0: each account's own today */
    uint32_t account; /* COORD_NONE: all in the scope */
    struct view_page page;
};

/* The day's plan of each account. With an account: its messages too. */
json_t *view_plan(const struct view *view, const struct view_plan_query *query);

struct view_exchange_filter {
    uint32_t account; /* COORD_NONE: any */
    bool ended;       /* archived ones too */
    size_t limit;     /* newest first */
    uint32_t before;  /* only live ones with a lower handle; COORD_NONE: from the newest */
    size_t looks;     /* as in view_page */
};

/* "next" names the exchange before which the next part of the live ones begins; null = none. */
json_t *view_exchanges(const struct view *view, const struct view_exchange_filter *filter);
/* Live or archived. NULL also when there is none within the scope. */
json_t *view_exchange(const struct view *view, struct flz_id exchange);

enum view_stats_by {
    VIEW_BY_DAY,
    VIEW_BY_ACCOUNT,
    /* Of what was sent, by tallies: */
    VIEW_BY_TOWARDS,  /* the recipients' provider */
    VIEW_BY_PROVIDER, /* the sender's, and the recipients' */
    VIEW_BY_DOMAIN,
    VIEW_BY_OWNER,
    VIEW_BY_NODE,
    VIEW_BY_SCENARIO,
};

struct view_stats_query {
    int32_t from; /* dates, inclusive; at most VIEW_STATS_DAYS_MAX of them */
    int32_t to;
    uint32_t account; /* COORD_NONE: all in the scope */
    enum view_stats_by by;
    struct view_page page; /* BY_ACCOUNT */
};

json_t *view_stats(const struct view *view, const struct view_stats_query *query);
/* BY_TOWARDS and those behind it. Days some two weeks back are kept by the week: of these the weeks
 * count that lie within the dates. */
json_t *view_slices(const struct view *view, const struct view_stats_query *query);

struct view_event_query {
    uint64_t after; /* events behind this seq; 0: the newest `limit` */
    size_t limit;
    uint32_t type; /* enum event_type; 0 = all */
};

/* For those who see everything. */
json_t *view_events(const struct view *view, const struct view_event_query *query);

json_t *view_policy(const struct view *view);
json_t *view_pauses(const struct view *view);
json_t *view_suppressions(const struct view *view);
