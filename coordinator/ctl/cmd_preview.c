/* What a ramp would mean, day by day: of an account that is warmed, before anybody consents, or of
 * a domain's real mail, without any warming. Asks nobody: it is the planner's own ramp, run ahead.
 */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "coordinator/core/domain.h"
#include "coordinator/core/forecast.h"
#include "coordinator/words.h"

#include <stdio.h>
#include <stdlib.h>

#define DAYS_DEFAULT 60
#define DAYS_MAX 366
#define VOLUME_MAX 100000
#define TARGET_MAX 1000000

struct preview {
    struct forecast forecast;
    int32_t end; /* the first date behind it */
    uint32_t volume;
};

/* An option as a number from `low` to `high`; untouched when absent. 0, or an exit code. */
static int take_number(const struct ctl *ctl, const struct ctl_arguments *arguments,
                       const char *name, uint32_t low, uint32_t high, uint32_t *ret_value)
{
    const char *text = arguments_get(arguments, name);
    uint64_t value;
    if (!text)
        return 0;
    if (flz_parse_u64(text, high, &value) < 0 || value < low)
        return talk_usage(ctl, "", "--%s '%s' is not a number from %u to %u", name, text, low,
                          high);
    *ret_value = (uint32_t)value;
    return 0;
}

/* A preset, or messages a day. */
static int take_intensity(const struct ctl *ctl, const struct ctl_arguments *arguments,
                          struct ramp_settings *settings)
{
    const char *text = arguments_get(arguments, "intensity");
    uint64_t target;
    settings->intensity = words_find(words_intensity, text ? text : "medium");
    if (settings->intensity)
        return 0;
    if (flz_parse_u64(text, 40, &target) < 0 || target == 0)
        return talk_usage(ctl, "intensities: low (10 a day), medium (20), high (30), or 1 to 40",
                          "there is no intensity '%s'", text);
    settings->target = (uint32_t)target;
    return 0;
}

static int take_days(const struct ctl *ctl, const struct ctl_arguments *arguments,
                     uint32_t *ret_mask)
{
    const char *days = arguments_get(arguments, "days");
    if (flz_weekdays_parse(days ? days : "Mon-Fri", ret_mask) < 0)
        return talk_usage(ctl, "write Mon-Fri or Mon,Wed", "--days '%s' is not a list of days",
                          days);
    return 0;
}

static int take_settings(const struct ctl *ctl, const struct ctl_arguments *arguments,
                         struct ramp_settings *settings)
{
    const char *profile = arguments_get(arguments, "profile");
    settings->profile = words_find(words_profile, profile ? profile : "new");
    /* "new" is also the word for 0, which stands for it. */
    if (profile && words_find(words_profile, profile) == 0)
        return talk_usage(ctl, "profiles: new, existing, low_use, recovery",
                          "there is no profile '%s'", profile);
    int code = take_days(ctl, arguments, &settings->days);
    return code ? code : take_intensity(ctl, arguments, settings);
}

/* The first date, and the first one behind the last. */
static int take_dates(const struct ctl *ctl, const struct ctl_arguments *arguments,
                      int32_t *ret_date, int32_t *ret_end)
{
    const char *from = arguments_get(arguments, "from");
    uint32_t count = DAYS_DEFAULT;
    *ret_date = (int32_t)(flz_realtime_ms() / FLZ_DAY_MS);
    if (from && flz_date_parse(from, ret_date) < 0)
        return talk_usage(ctl, "dates: 2026-11-30", "--from '%s' is not a date", from);
    int code = take_number(ctl, arguments, "for", 1, DAYS_MAX, &count);
    *ret_end = *ret_date + (int32_t)count;
    return code;
}

static json_t *band_json(struct ramp_band band)
{
    return json_pack("{s:I, s:I}", "low", (json_int_t)band.low, "high", (json_int_t)band.high);
}

static json_t *day_json(const struct forecast_day *day)
{
    char date[FLZ_TIME_TEXT_MAX];
    flz_date_format(day->date, date);
    return json_pack("{s:s, s:I, s:s, s:o, s:I, s:o}", "date", date, "sendingDay",
                     (json_int_t)day->number, "phase", words_phase(day->phase), "band",
                     band_json(day->band), "warming", (json_int_t)day->quota, "prospecting",
                     band_json(day->prospecting));
}

/* What is declared may be more than what is advised: from when to when. */
struct excess {
    uint32_t days;
    int32_t last;
    uint32_t advised; /* on the first of them */
};

static void warn(const struct ctl *ctl, const struct preview *preview, const struct excess *excess)
{
    char last[FLZ_TIME_TEXT_MAX];
    if (excess->days == 0)
        return;
    flz_date_format(excess->last, last);
    talk(ctl,
         "warning: %u messages a day of its own are more than advised on %u of these days, the "
         "last on %s (at first %u are advised). Warming goes on all the same; send less of your "
         "own until then, or its reputation may suffer more than warming mends",
         preview->volume, excess->days, last, excess->advised);
}

static json_t *foresee(const struct ctl *ctl, struct preview *preview)
{
    json_t *items = json_array();
    struct excess excess = {0};
    for (;;) {
        struct forecast_day day = forecast_next(&preview->forecast);
        if (day.date >= preview->end)
            break;
        (void)json_array_append_new(items, day_json(&day));
        if (preview->volume <= day.prospecting.high)
            continue;
        if (excess.days++ == 0)
            excess.advised = day.prospecting.high;
        excess.last = day.date;
    }
    warn(ctl, preview, &excess);
    return items;
}

static int show(const struct ctl *ctl, const char *kind, const struct show_column *columns,
                json_t *items)
{
    if (ctl->output != CTL_JSON) {
        show_table(ctl, items, columns);
        return 0;
    }
    _cleanup_(json_decrefp) json_t *document =
        json_pack("{s:s, s:s, s:O}", "apiVersion", "fluenzr/v1", "kind", kind, "items", items);
    show_json(document);
    return 0;
}

int cmd_plan_preview(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"DATE", "date", SHOW_PLAIN, false},
        {"DAY", "sendingDay", SHOW_RIGHT, false},
        {"PHASE", "phase", SHOW_PLAIN, false},
        {"BAND", "band", SHOW_BAND, false},
        {"WARMING", "warming", SHOW_RIGHT, false},
        {"PROSPECTING", "prospecting", SHOW_BAND, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct preview preview = {.forecast = {.policy = policy_default()}};
    int code = take_settings(ctl, arguments, &preview.forecast.settings);
    if (code == 0)
        code = take_dates(ctl, arguments, &preview.forecast.date, &preview.end);
    if (code == 0)
        code = take_number(ctl, arguments, "volume", 0, VOLUME_MAX, &preview.volume);
    if (code != 0)
        return code;

    _cleanup_(json_decrefp) json_t *items = foresee(ctl, &preview);
    return show(ctl, "PlanPreview", columns, items);
}

/* ---- A domain's real mail ---- */

struct plain_ramp {
    uint32_t days; /* mask of sending days */
    int32_t date;
    int32_t end;
    uint32_t level; /* messages of the sending day before */
    uint32_t target;
};

/* Whom to write to first: receivers judge the first weeks by what these do with the mail. */
static const char *audience(uint32_t number, uint32_t days_a_week)
{
    if (number <= days_a_week)
        return "who answered or clicked within 30 days";
    if (number <= 2 * days_a_week)
        return "who answered or clicked within 90 days";
    return "who consented and was active within 180 days";
}

static json_t *climb(struct plain_ramp *ramp)
{
    struct policy policy = policy_default();
    json_t *items = json_array();
    uint32_t number = 0, days_a_week = (uint32_t)__builtin_popcount(ramp->days);
    for (; ramp->date < ramp->end; ramp->date++) {
        char date[FLZ_TIME_TEXT_MAX];
        if (!(ramp->days >> flz_date_weekday(ramp->date) & 1))
            continue;
        struct domain_level level = {.sent = ramp->level};
        uint64_t limit = domain_limit(&level, &policy);
        ramp->level = limit < ramp->target ? (uint32_t)limit : ramp->target;
        number++;
        flz_date_format(ramp->date, date);
        (void)json_array_append_new(
            items, json_pack("{s:s, s:I, s:I, s:s}", "date", date, "sendingDay",
                             (json_int_t)number, "messages", (json_int_t)ramp->level, "audience",
                             audience(number, days_a_week)));
    }
    return items;
}

int cmd_plan_ramp(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"DATE", "date", SHOW_PLAIN, false},
        {"DAY", "sendingDay", SHOW_RIGHT, false},
        {"MESSAGES", "messages", SHOW_RIGHT, false},
        {"TO", "audience", SHOW_PLAIN, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct plain_ramp ramp = {0};
    int code = take_number(ctl, arguments, "target", 1, TARGET_MAX, &ramp.target);
    if (code == 0 && ramp.target == 0)
        code = talk_usage(ctl, "messages a day in the end", "'plan ramp' needs --target N");
    if (code == 0)
        code = take_number(ctl, arguments, "sent", 0, TARGET_MAX, &ramp.level);
    if (code == 0)
        code = take_days(ctl, arguments, &ramp.days);
    if (code == 0)
        code = take_dates(ctl, arguments, &ramp.date, &ramp.end);
    if (code != 0)
        return code;

    _cleanup_(json_decrefp) json_t *items = climb(&ramp);
    if (ramp.level < ramp.target)
        talk(ctl, "note: %u messages a day are not reached within these days; --for shows more",
             ramp.target);
    return show(ctl, "PlanRamp", columns, items);
}
