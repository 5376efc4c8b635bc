#include "coordinator/ctl/options.h"

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"

#include <string.h>

#define DAYS_DEFAULT 60
#define DAYS_MAX 366

int options_number(const struct ctl *ctl, const struct ctl_arguments *arguments, const char *name,
                   uint32_t low, uint32_t high, uint32_t *ret_value)
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

static int take_days(const struct ctl *ctl, const struct ctl_arguments *arguments,
                     uint32_t *ret_mask)
{
    const char *days = arguments_get(arguments, "days");
    if (flz_weekdays_parse(days ? days : "Mon-Fri", ret_mask) < 0)
        return talk_usage(ctl, "write Mon-Fri or Mon,Wed", "--days '%s' is not a list of days",
                          days);
    return 0;
}

static int take_days_off(const struct ctl *ctl, const struct ctl_arguments *arguments,
                         struct flz_days_off *ret_off)
{
    const char *holidays = arguments_get(arguments, "holidays");
    const char *blackout = arguments_get(arguments, "blackout");
    struct flz_days_off off = {.holidays = ""};
    struct flz_msg msg = FLZ_MSG_NULL;
    if (holidays && flz_holidays_check(holidays, &msg) < 0)
        return talk_usage(ctl, "", "--holidays: %s", msg.text);
    if (holidays)
        (void)flz_text_copy(off.holidays, sizeof off.holidays, holidays);
    if (blackout && flz_away_parse(blackout, off.away, &msg) < 0)
        return talk_usage(ctl, "", "--blackout: %s", msg.text);
    *ret_off = off;
    return 0;
}

static int take_dates(const struct ctl *ctl, const struct ctl_arguments *arguments,
                      struct options_calendar *calendar)
{
    const char *from = arguments_get(arguments, "from");
    uint32_t count = DAYS_DEFAULT;
    calendar->date = (int32_t)(flz_realtime_ms() / FLZ_DAY_MS);
    if (from && flz_date_parse(from, &calendar->date) < 0)
        return talk_usage(ctl, "dates: 2026-11-30", "--from '%s' is not a date", from);
    int code = options_number(ctl, arguments, "for", 1, DAYS_MAX, &count);
    calendar->end = calendar->date + (int32_t)count;
    return code;
}

int options_calendar(const struct ctl *ctl, const struct ctl_arguments *arguments,
                     struct options_calendar *ret_calendar)
{
    int code = take_days(ctl, arguments, &ret_calendar->days);
    if (code == 0)
        code = take_days_off(ctl, arguments, &ret_calendar->days_off);
    return code ? code : take_dates(ctl, arguments, ret_calendar);
}

bool options_is_sending_day(const struct options_calendar *calendar, int32_t date)
{
    return calendar->days >> flz_date_weekday(date) & 1 &&
           !flz_is_day_off(&calendar->days_off, date);
}
