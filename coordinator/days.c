#include "coordinator/days.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "common/content/content.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAD_MS FLZ_HOUR_MS /* before midnight */
#define TRIED_MAX 64
/* Real time before a unit that left accounts without a plan is tried again. */
#define TRIED_MS 60000

struct unit {
    int32_t date;
    int offset_minutes;
};

struct tried {
    struct unit unit;
    int64_t boot; /* 0: free */
};

struct days {
    struct server *server;
    struct coord_pack packs[FLZ_PACKS_MAX];
    size_t packs_count;
    int64_t changed_boot; /* newest change not yet looked at; 0 = none */
    int64_t waiting_boot; /* the first of them */
    int64_t look_at;      /* network time of the next day to be planned; 0: look now */
    int64_t retry_boot;   /* accounts were left without a plan: look again then; 0 = none */
    struct tried *tried;  /* owned ring: units planned lately */
    size_t tried_next;
};

/* ---- Content ---- */

static int add_pack(struct days *days, const char *path, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    _cleanup_(content_freep) struct content_pack *content = NULL;
    int r = fsutil_read(path, CONTENT_PACK_BYTES_MAX, &bytes, msg);
    if (r == 0)
        r = content_parse(flz_buf_view(&bytes), path, &content, msg);
    if (r < 0)
        return r;
    struct coord_pack *pack = &days->packs[days->packs_count];
    *pack = (struct coord_pack){.digest = content_id(content),
                                .scenarios = content_scenarios(content)};
    if (days->packs_count == FLZ_PACKS_MAX || pack->scenarios > sizeof pack->turns ||
        flz_text_copy(pack->language, sizeof pack->language, content_language(content)) < 0) {
        flz_msg_set(msg, "%s: too many packs or scenarios", path);
        return flz_fail(-E2BIG);
    }
    for (uint32_t i = 0; i < pack->scenarios; i++)
        pack->turns[i] = (uint8_t)content_turns(content, i);
    days->packs_count++;
    return 0;
}

static int load_packs(struct days *days, const char *dir, struct flz_msg *msg)
{
    char pattern[4200];
    (void)snprintf(pattern, sizeof pattern, "%s/*.pack", dir);
    _cleanup_(globfree) glob_t found = {0};
    if (glob(pattern, 0, NULL, &found) != 0) {
        flz_msg_set(msg, "%s: no content pack (*.pack) there", dir);
        return flz_fail(-ENOENT);
    }
    for (size_t i = 0; i < found.gl_pathc && i < FLZ_PACKS_MAX; i++) {
        int r = add_pack(days, found.gl_pathv[i], msg);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- One unit ---- */

static struct tz_hours hours_of(const struct row_account *account)
{
    return (struct tz_hours){.start_minute = (int)account->start_minute,
                             .end_minute = (int)account->end_minute,
                             .days = account->days};
}

/* The date to be planned now for an account, and its cohort. */
static int unit_of(struct days *days, const struct row_account *account, int64_t now,
                   struct unit *ret_unit)
{
    struct tz *tz = days->server->tz;
    int r = tz_local_day(tz, account->zone, now + LEAD_MS, &ret_unit->date);
    return r < 0 ? r
                 : tz_offset_minutes(tz, account->zone, now + LEAD_MS, &ret_unit->offset_minutes);
}

static bool is_live(const struct row_account *account)
{
    return account && account->state == ACCOUNT_LIVE;
}

/* Its servers were seen to work: an account is planned from then on, not with nothing before. */
static bool is_ready(const struct row_account *account)
{
    return is_live(account) && account->probe_at > 0 && account->login_ok;
}

static void fill_civil(struct days *days, const struct row_account *account, int32_t date,
                       bool sends, struct coord_civil *civil)
{
    *civil = (struct coord_civil){.account = account->handle, .sends = sends};
    for (int i = 0; i < COORD_WINDOW_DAYS; i++) {
        struct tz_window window;
        if (tz_window(days->server->tz, account->zone, date + i, hours_of(account), &window) == 0)
            civil->windows[i] =
                (struct coord_window){.start = window.start, .end = window.end};
    }
}

static bool sends_in(struct days *days, const struct row_account *account, struct unit unit,
                     int64_t now)
{
    struct unit own;
    return is_ready(account) && account->planned_date < unit.date &&
           unit_of(days, account, now, &own) == 0 && own.date == unit.date &&
           own.offset_minutes == unit.offset_minutes;
}

static uint64_t seed_of(const struct server *server, struct unit unit)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, flz_secret_view(&server->identity.network_key), "fluenzr/plan/v1");
    flz_hash_add_u64(&hash, (uint64_t)(int64_t)unit.date);
    flz_hash_add_u64(&hash, (uint64_t)(int64_t)unit.offset_minutes);
    return flz_be64(flz_hash_id(&hash).b);
}

static int plan_unit(struct days *days, struct unit unit, int64_t now)
{
    struct server *server = days->server;
    size_t n = coord_account_count(server->core), count = 0;
    _cleanup_(flz_freep) struct coord_civil *civil = calloc(n ? n : 1, sizeof *civil);
    if (!civil)
        return flz_fail(-ENOMEM);
    for (uint32_t i = 0; i < n; i++) {
        const struct row_account *account = coord_account(server->core, i);
        if (is_live(account))
            fill_civil(days, account, unit.date, sends_in(days, account, unit, now),
                       &civil[count++]);
    }
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.date = unit.date;
    command.plan.civil = civil;
    command.plan.civil_count = count;
    command.plan.packs = days->packs;
    command.plan.packs_count = days->packs_count;
    command.plan.seed = seed_of(server, unit);
    struct coord_update update;
    int r = server_step(server, &command, &update);
    if (r < 0)
        return r;
    char date[FLZ_TIME_TEXT_MAX];
    flz_date_format(unit.date, date);
    flz_log(server->log, FLZ_LOG_INFO, "day_planned",
            "date=%s offset_minutes=%d events=%zu text=%s", date, unit.offset_minutes,
            update.events_count, update.message.text);
    return (int)update.events_count;
}

/* ---- All units ---- */

void days_changed(struct days *days)
{
    days->changed_boot = flz_boottime_ms();
    if (!days->waiting_boot)
        days->waiting_boot = days->changed_boot;
    memset(days->tried, 0, TRIED_MAX * sizeof *days->tried);
}

/* An account that found no partner stays without a plan: its unit is tried again, but not in each
 * turn of the loop. */
static bool was_tried(const struct days *days, struct unit unit, int64_t boot)
{
    for (size_t i = 0; i < TRIED_MAX; i++) {
        const struct tried *tried = &days->tried[i];
        if (tried->boot && boot - tried->boot < TRIED_MS && tried->unit.date == unit.date &&
            tried->unit.offset_minutes == unit.offset_minutes)
            return true;
    }
    return false;
}

/* A unit whose accounts wait for a plan at `now`; false when there is none. */
static bool next_unit(struct days *days, int64_t now, int64_t boot, struct unit *ret_unit)
{
    const struct coord *core = days->server->core;
    for (uint32_t i = 0; i < coord_account_count(core); i++) {
        const struct row_account *account = coord_account(core, i);
        struct unit unit;
        if (is_ready(account) && unit_of(days, account, now, &unit) == 0 &&
            account->planned_date < unit.date && !was_tried(days, unit, boot)) {
            *ret_unit = unit;
            return true;
        }
    }
    return false;
}

/* When the next account's next day comes up for planning. */
static int64_t next_look(struct days *days, int64_t now)
{
    const struct coord *core = days->server->core;
    int64_t next = now + FLZ_DAY_MS;
    for (uint32_t i = 0; i < coord_account_count(core); i++) {
        const struct row_account *account = coord_account(core, i);
        struct unit unit;
        struct tz_window day;
        if (is_live(account) && unit_of(days, account, now, &unit) == 0 &&
            tz_day(days->server->tz, account->zone, unit.date, &day) == 0 &&
            day.end - LEAD_MS < next)
            next = day.end - LEAD_MS;
    }
    return next;
}

/* Looking is work for each account: it is done when a day comes up or something changed. */
static bool has_reason(struct days *days, int64_t now, int64_t boot)
{
    if (days->changed_boot && (boot - days->changed_boot >= DAYS_SETTLE_MS ||
                               boot - days->waiting_boot >= DAYS_SETTLE_MS_MAX))
        return true;
    return now >= days->look_at || (days->retry_boot && boot >= days->retry_boot);
}

int days_run(struct days *days, int64_t now)
{
    int64_t boot = flz_boottime_ms();
    if (!has_reason(days, now, boot))
        return 0;
    days->changed_boot = days->waiting_boot = 0;
    days->retry_boot = 0;
    int planned = 0;
    struct unit unit;
    while (next_unit(days, now, boot, &unit)) {
        days->tried[days->tried_next++ % TRIED_MAX] = (struct tried){.unit = unit, .boot = boot};
        int r = plan_unit(days, unit, now);
        if (r < 0)
            return r;
        planned += r;
        days->retry_boot = boot + TRIED_MS;
    }
    days->look_at = next_look(days, now);
    return planned;
}

/* ---- Life ---- */

FLZ_DEFINE_FREEP(struct days, days_close)

int days_open(struct server *server, struct days **ret_days, struct flz_msg *msg)
{
    _cleanup_(days_closep) struct days *days = calloc(1, sizeof *days);
    if (!days)
        return flz_fail(-ENOMEM);
    days->server = server;
    days->tried = calloc(TRIED_MAX, sizeof *days->tried);
    if (!days->tried)
        return flz_fail(-ENOMEM);
    int r = load_packs(days, server->config->content_dir, msg);
    if (r < 0)
        return r;
    *ret_days = steal_ptr(&days);
    return 0;
}

struct days *days_close(struct days *days)
{
    if (days)
        free(days->tried);
    free(days);
    return NULL;
}
