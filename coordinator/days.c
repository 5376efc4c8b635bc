#include "coordinator/days.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "common/content/content.h"
#include "coordinator/civil.h"
#include "coordinator/core/planning.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAD_MS FLZ_HOUR_MS /* before midnight */
#define TRIED_MAX 64
/* Real time before a unit that left accounts without a plan is tried again. */
#define TRIED_MS 60000
#define LOOK_SLICE 2000 /* accounts looked at in one turn of the loop */

struct tried {
    struct civil_unit unit;
    int64_t boot; /* 0: free */
    int64_t at;   /* network time */
};

/*
 *            a reason             a unit without a plan
 *     IDLE ───────────► LOOKS ◄─────────────────────────► PLANS
 *       ▲  days_run       │ all accounts have theirs        │ sealed, or in vain
 *       └─────────────────┘                                 └ days_run, on_soon
 */
enum doing { DAYS_IDLE, DAYS_LOOKS, DAYS_PLANS };

struct days {
    struct server *server;
    struct coord_pack packs[FLZ_PACKS_MAX];
    size_t packs_count;
    struct civil *civil;  /* owned */
    int64_t changed_boot; /* newest change not yet looked at; 0 = none */
    int64_t waiting_boot; /* the first of them */
    int64_t look_at;      /* network time of the next day to be planned; 0: look now */
    int64_t retry_boot;   /* accounts were left without a plan: look again then; 0 = none */
    struct tried *tried;  /* owned ring: units planned lately */
    size_t tried_next;

    enum doing doing;
    uint32_t next;    /* account to be looked at, or to be given to the planning */
    int64_t next_day; /* the earliest next day that this look has found */
    struct civil_unit unit;
    struct planning *planning; /* owned; the pool thread's while `drawing` */
    uv_work_t work;
    int drawn;        /* what the draw answered */
    bool drawing;
    bool committing;  /* an instalment */
    bool stopping;
    uv_idle_t *soon; /* owned, freed in its close callback: the next slice, in the next turn */
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

/* ---- Who waits for a plan ---- */

static bool is_live(const struct row_account *account)
{
    return account && account->state == ACCOUNT_LIVE;
}

/* Its servers were seen to work: an account is planned from then on, not with nothing before. Who
 * is suppressed gets no plan, and must not ask for one each minute. */
static bool is_ready(const struct days *days, const struct row_account *account)
{
    return is_live(account) && account->probe_at > 0 && account->login_ok &&
           !coord_is_suppressed(days->server->core, account->address);
}

/* It may send on the date at all: its week says so, and it is no day off. */
static bool has_hours(struct days *days, const struct row_account *account, int32_t date)
{
    struct coord_window windows[COORD_WINDOW_DAYS];
    return civil_windows(days->civil, account, date, windows) == 0 &&
           windows[0].start < windows[0].end;
}

static bool is_unit(struct civil_unit a, struct civil_unit b)
{
    return a.date == b.date && a.offset_minutes == b.offset_minutes;
}

/* An account that found no partner stays without a plan: its unit is tried again, but not in each
 * turn of the loop. An hour of network time later it may be another zone's day that comes up, one
 * whose clocks were put forward at its midnight. */
static bool was_tried(const struct days *days, struct civil_unit unit, int64_t boot)
{
    int64_t now = server_now(days->server);
    for (size_t i = 0; i < TRIED_MAX; i++) {
        const struct tried *tried = &days->tried[i];
        if (tried->boot && boot - tried->boot < TRIED_MS && now - tried->at < FLZ_HOUR_MS &&
            is_unit(tried->unit, unit))
            return true;
    }
    return false;
}

/* ---- The next slice ---- */

static void on_soon(uv_idle_t *idle);

static void go_on(struct days *days)
{
    if (days->doing != DAYS_IDLE && !days->drawing && !days->committing && !days->stopping)
        (void)uv_idle_start(days->soon, on_soon);
}

static void begin_look(struct days *days)
{
    int64_t now = server_now(days->server);
    days->doing = DAYS_LOOKS;
    days->next = 0;
    days->next_day = now + FLZ_DAY_MS;
    civil_look(days->civil, now + LEAD_MS);
}

/* In vain, or for the last time: whoever has no plan yet is looked at again after a while. */
static void end_planning(struct days *days)
{
    days->planning = planning_free(days->planning);
    days->retry_boot = flz_boottime_ms() + TRIED_MS;
    begin_look(days);
}

/* ---- One unit ---- */

static uint64_t seed_of(const struct server *server, struct civil_unit unit)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, flz_secret_view(&server->identity.network_key), "fluenzr/plan/v1");
    flz_hash_add_u64(&hash, (uint64_t)(int64_t)unit.date);
    flz_hash_add_u64(&hash, (uint64_t)(int64_t)unit.offset_minutes);
    return flz_be64(flz_hash_id(&hash).b);
}

static int begin_planning(struct days *days, struct civil_unit unit, int64_t boot)
{
    struct planning_options options = {.date = unit.date,
                                       .packs = days->packs,
                                       .packs_count = days->packs_count,
                                       .seed = seed_of(days->server, unit)};
    days->tried[days->tried_next++ % TRIED_MAX] =
        (struct tried){.unit = unit, .boot = boot, .at = server_now(days->server)};
    int r = planning_new(&options, &days->planning);
    if (r < 0)
        return r;
    days->unit = unit;
    days->next = 0;
    days->doing = DAYS_PLANS;
    return 0;
}

static int step(struct days *days, const struct coord_civil *civil, size_t count)
{
    struct coord_command command = {.kind = COORD_PLAN};
    command.plan.planning = days->planning;
    command.plan.civil = civil;
    command.plan.civil_count = count;
    struct coord_update update;
    return server_step(days->server, &command, &update);
}

static bool fill_civil(struct days *days, const struct row_account *account,
                       struct coord_civil *civil)
{
    struct civil_unit unit;
    int64_t day_end;
    *civil = (struct coord_civil){.account = account->handle};
    if (civil_unit_of(days->civil, account, &unit, &day_end) < 0 ||
        civil_windows(days->civil, account, days->unit.date, civil->windows) < 0)
        return false;
    civil->sends = is_ready(days, account) && account->planned_date < days->unit.date &&
                   is_unit(unit, days->unit);
    return true;
}

/* Nothing left to be given ends the phase. */
static int give_accounts(struct days *days)
{
    struct coord_civil civil[PLANNING_ACCOUNTS_STEP];
    size_t n = 0, all = coord_account_count(days->server->core);
    for (; n < PLANNING_ACCOUNTS_STEP && days->next < all; days->next++) {
        const struct row_account *account = coord_account(days->server->core, days->next);
        if (is_live(account))
            n += fill_civil(days, account, &civil[n]);
    }
    return n > 0 || days->next >= all ? step(days, civil, n) : 0;
}

static void on_draw(uv_work_t *work)
{
    struct days *days = work->data;
    days->drawn = planning_draw(days->planning);
}

static void on_drawn(uv_work_t *work, int status)
{
    struct days *days = work->data;
    days->drawing = false;
    if (status == 0 && days->drawn == 0) {
        go_on(days);
        return;
    }
    if (days->stopping)
        return;
    flz_log_failure(days->server->log, "day_not_planned", status < 0 ? status : days->drawn, NULL);
    end_planning(days);
    go_on(days);
}

static int draw(struct days *days)
{
    days->work.data = days;
    if (uv_queue_work(&days->server->loop, &days->work, on_draw, on_drawn) < 0)
        return flz_fail(-EINVAL);
    days->drawing = true;
    return 0;
}

static void on_sealed(void *data, int r)
{
    struct days *days = data;
    days->committing = false;
    if (r == 0)
        go_on(days);
}

/* One instalment a commit: neither a group nor the rows that follow from it grow large. */
static int seal(struct days *days)
{
    int r = step(days, NULL, 0);
    if (r == 0)
        r = server_after_commit(days->server, on_sealed, days);
    if (r < 0)
        return r;
    days->committing = true;
    server_wake(days->server);
    return 0;
}

static void tell(const struct days *days)
{
    char date[FLZ_TIME_TEXT_MAX];
    flz_date_format(days->unit.date, date);
    flz_log(days->server->log, FLZ_LOG_INFO, "day_planned",
            "date=%s offset_minutes=%d exchanges=%zu messages=%u", date, days->unit.offset_minutes,
            planning_sealed_exchanges(days->planning), planning_sealed_messages(days->planning));
}

static int plan_slice(struct days *days)
{
    switch (planning_phase(days->planning)) {
    case PLANNING_ACCOUNTS: return give_accounts(days);
    case PLANNING_EXCHANGES:
    case PLANNING_CONTACTS: return step(days, NULL, 0);
    case PLANNING_DRAW: return draw(days);
    case PLANNING_SEAL: return seal(days);
    case PLANNING_OVER: break;
    }
    tell(days);
    end_planning(days);
    return 0;
}

/* ---- All units ---- */

void days_changed(struct days *days)
{
    days->changed_boot = flz_boottime_ms();
    if (!days->waiting_boot)
        days->waiting_boot = days->changed_boot;
    memset(days->tried, 0, TRIED_MAX * sizeof *days->tried);
}

/* Looks for a unit whose accounts wait for a plan; without one, for when the next day comes up. */
static int look_slice(struct days *days)
{
    const struct coord *core = days->server->core;
    int64_t boot = flz_boottime_ms();
    size_t all = coord_account_count(core);
    for (size_t i = 0; i < LOOK_SLICE && days->next < all; i++, days->next++) {
        const struct row_account *account = coord_account(core, days->next);
        struct civil_unit unit;
        int64_t day_end;
        if (!is_live(account) || civil_unit_of(days->civil, account, &unit, &day_end) < 0)
            continue;
        if (day_end - LEAD_MS < days->next_day)
            days->next_day = day_end - LEAD_MS;
        if (is_ready(days, account) && account->planned_date < unit.date &&
            has_hours(days, account, unit.date) && !was_tried(days, unit, boot))
            return begin_planning(days, unit, boot);
    }
    if (days->next < all)
        return 0;
    days->look_at = days->next_day;
    days->doing = DAYS_IDLE;
    return 0;
}

/* One slice in a turn of the loop: it hears others in between. */
static void on_soon(uv_idle_t *idle)
{
    struct days *days = idle->data;
    (void)uv_idle_stop(idle);
    if (days->stopping || (days->doing == DAYS_PLANS && !server_admits(days->server, COORD_PLAN)))
        return; /* days_run goes on */
    int r = days->doing == DAYS_PLANS ? plan_slice(days) : look_slice(days);
    if (r < 0) {
        flz_log_failure(days->server->log, "day_not_planned", r, NULL);
        end_planning(days);
        days->doing = DAYS_IDLE;
    }
    go_on(days);
}

/* Looking is work for each account: it is done when a day comes up or something changed. */
static bool has_reason(struct days *days, int64_t now, int64_t boot)
{
    if (days->changed_boot && (boot - days->changed_boot >= DAYS_SETTLE_MS ||
                               boot - days->waiting_boot >= DAYS_SETTLE_MS_MAX))
        return true;
    return now >= days->look_at || (days->retry_boot && boot >= days->retry_boot);
}

void days_run(struct days *days, int64_t now)
{
    if (days->doing == DAYS_IDLE && has_reason(days, now, flz_boottime_ms())) {
        days->changed_boot = days->waiting_boot = 0;
        days->retry_boot = 0;
        begin_look(days);
    }
    go_on(days);
}

bool days_is_idle(const struct days *days)
{
    return days->doing == DAYS_IDLE;
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
    int r = days->tried ? civil_new(server->tz, &days->civil) : flz_fail(-ENOMEM);
    if (r == 0)
        r = load_packs(days, server->config->content_dir, msg);
    if (r < 0)
        return r;
    days->soon = calloc(1, sizeof *days->soon);
    if (!days->soon)
        return flz_fail(-ENOMEM);
    (void)uv_idle_init(&server->loop, days->soon);
    days->soon->data = days;
    *ret_days = steal_ptr(&days);
    return 0;
}

void days_stop(struct days *days)
{
    if (!days)
        return;
    days->stopping = true;
    (void)uv_idle_stop(days->soon);
    if (!days->drawing)
        return;
    planning_cancel(days->planning);
    (void)uv_cancel((uv_req_t *)&days->work);
    while (days->drawing)
        (void)uv_run(&days->server->loop, UV_RUN_ONCE);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

struct days *days_close(struct days *days)
{
    if (!days)
        return NULL;
    days_stop(days->soon ? days : NULL);
    if (days->soon)
        uv_close((uv_handle_t *)days->soon, free_handle);
    (void)planning_free(days->planning);
    (void)civil_free(days->civil);
    free(days->tried);
    free(days);
    return NULL;
}
