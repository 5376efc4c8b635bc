#include "coordinator/core/forecast.h"

#include "common/base/time.h"

static bool is_sending_day(const struct forecast *forecast)
{
    return forecast->settings.days >> flz_date_weekday(forecast->date) & 1 &&
           !flz_is_day_off(&forecast->days_off, forecast->date);
}

struct forecast_day forecast_next(struct forecast *forecast)
{
    const struct ramp_settings *settings = &forecast->settings;
    for (int i = 0; i < FLZ_AWAY_MAX * FLZ_AWAY_DAYS_MAX && !is_sending_day(forecast); i++)
        forecast->date++;

    const struct ramp_state resumed = ramp_resume(&forecast->state, settings, forecast->date);
    const struct ramp_state *state = &resumed;
    struct forecast_day day = {
        .date = forecast->date++,
        .number = state->day + 1,
        .phase = ramp_phase(state, settings),
        .band = ramp_band(state, settings),
        .quota = ramp_quota(state, settings, &forecast->policy, UINT32_MAX),
        .prospecting = ramp_prospecting(state, settings),
    };
    day.inbound = ramp_inbound(state, settings, &forecast->policy, day.quota);
    bool met;
    forecast->state = ramp_close(state, settings, &forecast->policy, day.date, day.quota,
                                 day.quota, day.quota, &met);
    return day;
}
