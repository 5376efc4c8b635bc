#include "coordinator/watch.h"

#include "common/base/cleanup.h"
#include "common/base/map.h"
#include "common/base/time.h"
#include "common/sys/netclock.h"
#include "coordinator/view.h"

#include <errno.h>
#include <stdlib.h>

#define EVERY_MS 10000
#define SOON_MS 20 /* between two pieces of one look */
#define SLICE 20000
#define EACH_MAX 10 /* accounts of a node told one by one */
#define LAB_MS_MAX 5000

/* Something that was noticed; kept from then on until it has been over long enough. */
struct sight {
    struct alert_notice notice;
    int64_t since; /* boot time it was first noticed */
    int64_t seen;  /* and last */
    uint64_t look; /* number of that look */
};

/* What accounts of one node have in common in one look. */
struct group {
    uint32_t count;
    bool critical;
    struct alert_notice first[EACH_MAX];
};

struct watch {
    struct server *server;
    struct sight *sights; /* owned, at most ALERTS_OPEN_MAX */
    size_t sights_count;
    size_t sights_capacity;
    struct flz_map by_key; /* code, scope and subject → sight */
    struct group *groups;  /* owned: of each node and code */
    size_t groups_nodes;   /* nodes they were made for; 0: no look is under way */
    uint32_t account;      /* looked at next */
    uint64_t look;
};

struct span {
    int64_t hold;
    int64_t over;
};

static struct span span_of(const struct server *server, const struct alert_notice *notice)
{
    struct span span = {.hold = 0, .over = 0};
    switch ((enum row_alert_code)notice->code) {
    case ALERT_NODE_LOST: span = (struct span){5 * FLZ_MINUTE_MS, FLZ_MINUTE_MS}; break;
    case ALERT_LOGIN:
        span.hold = notice->severity == ALERT_CRITICAL ? 0 : 15 * FLZ_MINUTE_MS;
        break;
    case ALERT_DISK: span = (struct span){FLZ_MINUTE_MS / 2, 5 * FLZ_MINUTE_MS}; break;
    case ALERT_MAILBOX_FULL:
    case ALERT_IDLE:
    case ALERT_CLOCK:
    case ALERT_DNS:
    case ALERT_HEALTH: break;
    }
    if (server_rate_milli(server) != NETCLOCK_RATE_ONE) {
        span.hold = span.hold < LAB_MS_MAX ? span.hold : LAB_MS_MAX;
        span.over = span.over < LAB_MS_MAX ? span.over : LAB_MS_MAX;
    }
    return span;
}

int watch_new(struct server *server, struct watch **ret_watch)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return flz_fail(-ENOMEM);
    watch->server = server;
    watch->by_key = FLZ_MAP_NULL;
    *ret_watch = watch;
    return 0;
}

struct watch *watch_free(struct watch *watch)
{
    if (watch) {
        flz_map_deinit(&watch->by_key);
        free(watch->sights);
        free(watch->groups);
        free(watch);
    }
    return NULL;
}

/* ---- Noticing ---- */

static struct flz_id key_of(const struct alert_notice *notice)
{
    struct flz_id key = {.b = {0}};
    flz_put_be32(key.b, notice->code);
    flz_put_be32(key.b + 4, notice->scope);
    flz_put_be32(key.b + 8, notice->subject);
    return key;
}

static int add_sight(struct watch *watch, const struct sight *sight)
{
    int r = flz_grow((void **)&watch->sights, &watch->sights_capacity, watch->sights_count + 1,
                     sizeof *watch->sights);
    if (r == 0)
        r = flz_map_set(&watch->by_key, key_of(&sight->notice), (uint32_t)watch->sights_count);
    if (r == 0)
        watch->sights[watch->sights_count++] = *sight;
    return r;
}

static void drop_sight(struct watch *watch, size_t index)
{
    flz_map_remove(&watch->by_key, key_of(&watch->sights[index].notice));
    struct sight *last = &watch->sights[--watch->sights_count];
    if (index == watch->sights_count)
        return;
    watch->sights[index] = *last;
    /* Setting a key that is there allocates nothing. */
    (void)flz_map_set(&watch->by_key, key_of(&last->notice), (uint32_t)index);
}

static int see(struct watch *watch, const struct alert_notice *notice, int64_t boot)
{
    uint32_t index = flz_map_get(&watch->by_key, key_of(notice));
    struct sight sight = {.notice = *notice, .since = boot, .seen = boot, .look = watch->look};
    if (index == FLZ_MAP_NONE)
        return watch->sights_count < ALERTS_OPEN_MAX ? add_sight(watch, &sight) : 0;
    /* What gets worse has not been worse for long. */
    if (watch->sights[index].notice.severity >= notice->severity)
        sight.since = watch->sights[index].since;
    watch->sights[index] = sight;
    return 0;
}

static struct group *group_of(struct watch *watch, uint32_t node, uint32_t code)
{
    return &watch->groups[node * (ROW_ALERT_CODE_MAX + 1) + code];
}

static int see_node(struct watch *watch, uint32_t node, int64_t boot)
{
    const struct row_node *row = coord_node(server_core(watch->server), node);
    if (row->state != NODE_JOINED || server_node_connected(watch->server, node))
        return 0;
    const struct group *group = group_of(watch, node, ALERT_NODE_LOST);
    int64_t heard = server_node_heard_boot(watch->server, node);
    struct alert_notice notice = {
        .code = ALERT_NODE_LOST,
        .scope = FLZ_SCOPE_NODE,
        .subject = node,
        .holds = true,
        .severity = ALERT_CRITICAL,
        .count = group->count,
        .example = group->first[0].example,
        .value = heard ? boot - heard : 0,
    };
    return see(watch, &notice, boot);
}

static int see_host(struct watch *watch, int64_t boot)
{
    struct alert_notice notice = {
        .scope = FLZ_SCOPE_NETWORK, .holds = true, .severity = ALERT_CRITICAL};
    int r = 0;
    struct flz_msg why;
    if (server_admission(watch->server, &why) != ADMISSION_OPEN) {
        notice.code = ALERT_DISK;
        r = see(watch, &notice, boot);
    }
    notice.value = server_refused_step_ms(watch->server);
    if (r == 0 && notice.value != 0) {
        notice.code = ALERT_CLOCK;
        r = see(watch, &notice, boot);
    }
    return r;
}

/* Nothing was sent on its newest closed day, though something was planned and possible. */
static bool was_idle(const struct coord *core, const struct row_account *row)
{
    const struct row_day *day = coord_day(core, row->handle, row->closed_date);
    return day && day->planned_day && day->possible > 0 && day->committed == 0;
}

/* Messages a day that a quarantine or block leaves, where it is less than the sender had come to:
 * who only begins is in Junk, and goes on. UINT32_MAX: nothing is cut. */
static uint32_t cut_of(const struct coord *core, uint32_t account, uint32_t provider)
{
    const struct row_standing *row = coord_standing(core, account, provider);
    if (!row || row->state < HEALTH_QUARANTINED)
        return UINT32_MAX;
    uint32_t cap = coord_health_cap(core, account, provider);
    return cap == 0 || cap < row->level ? cap : UINT32_MAX;
}

/* The hardest towards anybody; nobody asks where all are well. */
static uint32_t hardest_cut(const struct coord *core, uint32_t account)
{
    if (coord_standings_in(core, HEALTH_QUARANTINED) + coord_standings_in(core, HEALTH_BLOCKED) ==
        0)
        return UINT32_MAX;
    uint32_t least = cut_of(core, account, COORD_NONE);
    for (uint32_t provider = 0; coord_name(core, NAME_PROVIDER, provider); provider++) {
        uint32_t cut = cut_of(core, account, provider);
        least = cut < least ? cut : least;
    }
    return least;
}

/* What there is to say of an account; nothing: code 0. */
static struct alert_notice look_at(const struct view *view, uint32_t account)
{
    static const uint32_t codes[VIEW_READINESS_COUNT] = {
        [VIEW_TROUBLE] = ALERT_LOGIN,    [VIEW_LOGIN] = ALERT_LOGIN,
        [VIEW_NEEDS_AUTH] = ALERT_LOGIN, [VIEW_FULL] = ALERT_MAILBOX_FULL,
        [VIEW_MX_CHANGED] = ALERT_DNS,   [VIEW_OPT_OUT] = ALERT_DNS,
        [VIEW_DENIED] = ALERT_DNS,
    };
    const struct row_account *row = coord_account(view->core, account);
    enum view_readiness readiness = view_readiness(view, account);
    struct alert_notice notice = {
        .code = codes[readiness],
        .scope = FLZ_SCOPE_ACCOUNT,
        .subject = account,
        .holds = true,
        .severity = readiness == VIEW_NEEDS_AUTH ? ALERT_CRITICAL : ALERT_WARNING,
        .count = 1,
        .example = account + 1,
    };
    uint32_t cut = readiness == VIEW_READY ? hardest_cut(view->core, account) : UINT32_MAX;
    if (cut != UINT32_MAX) {
        notice.code = ALERT_HEALTH;
        notice.value = cut;
        notice.severity = cut == 0 ? ALERT_CRITICAL : ALERT_WARNING;
    } else if (readiness == VIEW_READY && was_idle(view->core, row)) {
        notice.code = ALERT_IDLE;
        notice.value = row->closed_date;
    } else if (notice.code == ALERT_LOGIN) {
        notice.value = row->tries;
    } else if (notice.code == ALERT_MAILBOX_FULL) {
        notice.value = row->quota_permille;
    }
    return notice;
}

static void see_account(struct watch *watch, const struct view *view, uint32_t account)
{
    const struct row_account *row = coord_account(view->core, account);
    if (row->state != ACCOUNT_LIVE || row->node >= watch->groups_nodes)
        return;
    struct alert_notice notice = look_at(view, account);
    if (!server_node_connected(watch->server, row->node))
        notice.code = ALERT_NODE_LOST; /* the cause of whatever else there is */
    if (notice.code == 0)
        return;
    struct group *group = group_of(watch, row->node, notice.code);
    if (group->count < EACH_MAX)
        group->first[group->count] = notice;
    group->critical = group->critical || notice.severity == ALERT_CRITICAL;
    group->count++;
}

static int see_group(struct watch *watch, uint32_t node, uint32_t code, int64_t boot)
{
    if (code == ALERT_NODE_LOST)
        return see_node(watch, node, boot);
    const struct group *group = group_of(watch, node, code);
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < group->count && group->count <= EACH_MAX; i++)
        r = see(watch, &group->first[i], boot);
    if (r < 0 || group->count <= EACH_MAX)
        return r;
    struct alert_notice notice = group->first[0];
    notice.scope = FLZ_SCOPE_NODE;
    notice.subject = node;
    notice.count = group->count;
    notice.severity = group->critical ? ALERT_CRITICAL : ALERT_WARNING;
    return see(watch, &notice, boot);
}

/* ---- Telling ---- */

static int tell(struct watch *watch, const struct alert_notice *notice)
{
    struct coord_command command = {.kind = COORD_ALERT, .alert = *notice};
    int r = server_submit(watch->server, &command, NULL, NULL);
    return r == -ENOSPC ? 0 : r;
}

/* A sight of this look: is it an alert, and if it is one already, has it changed? */
static int tell_of(struct watch *watch, const struct sight *sight)
{
    bool open = coord_alert_open(server_core(watch->server), sight->notice.code,
                                 sight->notice.scope, sight->notice.subject) != NULL;
    if (!open && sight->seen - sight->since < span_of(watch->server, &sight->notice).hold)
        return 0;
    return coord_alert_is_news(server_core(watch->server), &sight->notice)
               ? tell(watch, &sight->notice)
               : 0;
}

/* Sights of earlier looks are over, or will be. */
static int tell_all(struct watch *watch, int64_t boot)
{
    for (size_t i = watch->sights_count; i-- > 0;) {
        struct sight *sight = &watch->sights[i];
        if (sight->look == watch->look) {
            int r = tell_of(watch, sight);
            if (r < 0)
                return r;
            continue;
        }
        if (boot - sight->seen < span_of(watch->server, &sight->notice).over)
            continue;
        sight->notice.holds = false;
        int r = coord_alert_is_news(server_core(watch->server), &sight->notice)
                    ? tell(watch, &sight->notice)
                    : 0;
        if (r < 0)
            return r;
        drop_sight(watch, i);
    }
    return 0;
}

/* Alerts that were opened in an earlier life count as seen just before this look. */
static int recall(struct watch *watch, int64_t boot)
{
    const struct coord *core = server_core(watch->server);
    for (size_t i = 0; i < coord_alert_count(core); i++) {
        const struct row_alert *row = coord_alert(core, i);
        if (!row || row->resolved_at != 0)
            continue;
        struct sight sight = {
            .notice = {.code = row->code,
                       .scope = row->scope,
                       .subject = row->subject,
                       .severity = row->severity},
            .since = boot,
            .seen = boot,
        };
        if (flz_map_get(&watch->by_key, key_of(&sight.notice)) != FLZ_MAP_NONE)
            continue;
        int r = add_sight(watch, &sight);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- A look ---- */

static int begin(struct watch *watch, int64_t boot)
{
    size_t nodes = coord_node_count(server_core(watch->server));
    struct group *groups = calloc(nodes * (ROW_ALERT_CODE_MAX + 1) + 1, sizeof *groups);
    if (!groups)
        return flz_fail(-ENOMEM);
    free(watch->groups);
    watch->groups = groups;
    watch->groups_nodes = nodes;
    watch->account = 0;
    watch->look++;
    int r = recall(watch, boot);
    return r < 0 ? r : see_host(watch, boot);
}

static int end(struct watch *watch, int64_t boot)
{
    int r = 0;
    for (uint32_t node = 0; node < watch->groups_nodes; node++)
        for (uint32_t code = 1; r == 0 && code <= ROW_ALERT_CODE_MAX; code++)
            r = see_group(watch, node, code, boot);
    free(watch->groups);
    watch->groups = NULL;
    return r < 0 ? r : tell_all(watch, boot);
}

int watch_step(struct watch *watch, int64_t boot_ms, int64_t *ret_wait)
{
    int r = watch->groups ? 0 : begin(watch, boot_ms);
    if (r < 0)
        return r;
    _cleanup_(view_deinit) struct view view;
    r = view_init(&view, watch->server, "", false);
    if (r < 0)
        return r;
    size_t last = coord_account_count(view.core);
    for (int n = 0; n < SLICE && watch->account < last; n++)
        see_account(watch, &view, watch->account++);
    bool over = watch->account >= last;
    *ret_wait = over ? EVERY_MS : SOON_MS;
    return over ? end(watch, boot_ms) : 0;
}
