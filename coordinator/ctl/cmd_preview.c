/* What warming would mean for an account, day by day, before anybody consents. Asks nobody: it is
 * the planner's own ramp, run ahead. */
#include "coordinator/ctl/options.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/core/forecast.h"
#include "coordinator/words.h"

#include <stdio.h>

#define VOLUME_MAX 100000

struct preview {
    struct forecast forecast;
    int32_t end; /* the first date behind it */
    uint32_t volume;
};

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

static int take_settings(const struct ctl *ctl, const struct ctl_arguments *arguments,
                         struct ramp_settings *settings)
{
    const char *profile = arguments_get(arguments, "profile");
    settings->profile = words_find(words_profile, profile ? profile : "new");
    /* "new" is also the word for 0, which stands for it. */
    if (profile && words_find(words_profile, profile) == 0)
        return talk_usage(ctl, "profiles: new, existing, low_use, recovery",
                          "there is no profile '%s'", profile);
    return take_intensity(ctl, arguments, settings);
}

static json_t *band_json(struct ramp_band band)
{
    return json_pack("{s:I, s:I}", "low", (json_int_t)band.low, "high", (json_int_t)band.high);
}

static json_t *day_json(const struct forecast_day *day)
{
    char date[FLZ_TIME_TEXT_MAX];
    flz_date_format(day->date, date);
    return json_pack("{s:s, s:I, s:s, s:o, s:I, s:I, s:o}", "date", date, "sendingDay",
                     (json_int_t)day->number, "phase", words_phase(day->phase), "band",
                     band_json(day->band), "warming", (json_int_t)day->quota, "received",
                     (json_int_t)day->inbound, "prospecting", band_json(day->prospecting));
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

static json_t *profile_json(const struct ramp_profile *profile, uint32_t days_a_week)
{
    uint32_t days = profile->days ? profile->days : profile->weeks * days_a_week;
    return json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "profile", words_profile(profile->profile),
                     "begins", (json_int_t)profile->from, "sendingDays", (json_int_t)days, "atMost",
                     (json_int_t)(profile->target_max ? profile->target_max : 40), "text",
                     profile->text, "source", profile->source);
}

int cmd_plan_preview(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"DATE", "date", SHOW_PLAIN, false},
        {"DAY", "sendingDay", SHOW_RIGHT, false},
        {"PHASE", "phase", SHOW_PLAIN, false},
        {"BAND", "band", SHOW_BAND, false},
        {"WARMING", "warming", SHOW_RIGHT, false},
        {"RECEIVED", "received", SHOW_RIGHT, true},
        {"PROSPECTING", "prospecting", SHOW_BAND, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    struct preview preview = {.forecast = {.policy = policy_default()}};
    struct forecast *forecast = &preview.forecast;
    struct options_calendar calendar;
    int code = take_settings(ctl, arguments, &forecast->settings);
    if (code == 0)
        code = options_calendar(ctl, arguments, &calendar);
    if (code == 0)
        code = options_number(ctl, arguments, "volume", 0, VOLUME_MAX, &preview.volume);
    if (code != 0)
        return code;
    forecast->settings.days = calendar.days;
    forecast->days_off = calendar.days_off;
    forecast->date = calendar.date;
    preview.end = calendar.end;

    _cleanup_(json_decrefp) json_t *items = foresee(ctl, &preview);
    if (ctl->output != CTL_JSON) {
        show_table(ctl, items, columns);
        return 0;
    }
    uint32_t days_a_week = (uint32_t)__builtin_popcount(calendar.days);
    _cleanup_(json_decrefp) json_t *document = json_pack(
        "{s:s, s:s, s:o, s:O}", "apiVersion", "fluenzr/v1", "kind", "PlanPreview", "profile",
        profile_json(ramp_profile(&forecast->settings), days_a_week), "items", items);
    show_json(document);
    return 0;
}

int cmd_plan_profiles(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const struct show_column columns[] = {
        {"PROFILE", "profile", SHOW_PLAIN, false},
        {"BEGINS", "begins", SHOW_RIGHT, true},
        {"DAYS", "sendingDays", SHOW_RIGHT, false},
        {"AT MOST", "atMost", SHOW_RIGHT, false},
        {"FOR", "text", SHOW_PLAIN, false},
        {"SOURCE", "source", SHOW_PLAIN, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    size_t count;
    const struct ramp_profile *profiles = ramp_profiles(&count);
    _cleanup_(json_decrefp) json_t *items = json_array();
    (void)arguments;
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(items, profile_json(&profiles[i], 5));
    if (ctl->output != CTL_JSON) {
        show_table(ctl, items, columns);
        return 0;
    }
    _cleanup_(json_decrefp) json_t *document = json_pack(
        "{s:s, s:s, s:O}", "apiVersion", "fluenzr/v1", "kind", "ProfileList", "items", items);
    show_json(document);
    return 0;
}
