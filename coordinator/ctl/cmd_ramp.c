/* How a domain's own, real mail may grow: the published tables, applied to dates. Asks nobody. */
#include "coordinator/ctl/options.h"

#include "common/base/address.h"
#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "coordinator/core/plain.h"

#define TARGET_MAX 1000000
#define BULK_MESSAGES 5000 /* a day, to one of the large providers (Google, Yahoo, Microsoft) */

struct plain_ramp {
    const struct plain_table *table;
    struct options_calendar calendar;
    uint32_t level; /* messages of the sending day before */
    uint32_t target;
};

/* What holds whatever the table says, and what is right before the first message. */
static const char *const advice[] = {
    "first SPF, DKIM and DMARC that align, and a postmaster@ and abuse@ that somebody reads",
    "the next day's number only after a day with less than 3 % bounces and at most 0.1 % "
    "complaints, "
    "the same number again otherwise; above 5 % bounces or 0.3 % complaints stop, and clean the "
    "list",
    "a pause of 30 days or more means to begin again",
};
static const char bulk_advice[] =
    "from 5000 messages a day to one provider on it asks for DMARC and one-click unsubscription";

static json_t *climb(struct plain_ramp *ramp)
{
    struct policy policy = policy_default();
    json_t *items = json_array();
    uint32_t number = 0, days_a_week = (uint32_t)__builtin_popcount(ramp->calendar.days);
    for (int32_t at = ramp->calendar.date; at < ramp->calendar.end; at++) {
        char date[FLZ_TIME_TEXT_MAX];
        if (!options_is_sending_day(&ramp->calendar, at))
            continue;
        uint64_t next = plain_next(ramp->table, ramp->level, &policy);
        ramp->level = next < ramp->target ? (uint32_t)next : ramp->target;
        number++;
        flz_date_format(at, date);
        (void)json_array_append_new(items, json_pack("{s:s, s:I, s:I, s:s}", "date", date,
                                                     "sendingDay", (json_int_t)number, "messages",
                                                     (json_int_t)ramp->level, "audience",
                                                     plain_audience(number, days_a_week)));
    }
    return items;
}

static json_t *advice_json(const struct plain_ramp *ramp)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
        (void)json_array_append_new(list, json_string(advice[i]));
    if (ramp->target >= BULK_MESSAGES)
        (void)json_array_append_new(list, json_string(bulk_advice));
    return list;
}

static void tell(const struct ctl *ctl, const struct plain_ramp *ramp, const json_t *list)
{
    size_t i;
    json_t *line;
    talk(ctl, "table %s: %s (%s)", ramp->table->name, ramp->table->text, ramp->table->source);
    json_array_foreach((json_t *)(uintptr_t)list, i, line)
        talk(ctl, "note: %s", json_string_value(line));
}

static int take_table(const struct ctl *ctl, const struct ctl_arguments *arguments,
                      const struct plain_table **ret_table)
{
    const char *name = arguments_get(arguments, "table");
    size_t count;
    *ret_table = name ? plain_find(name) : plain_tables(&count);
    return *ret_table
               ? 0
               : talk_usage(ctl, "tables: steady, daily, stages", "there is no table '%s'", name);
}

static int take_options(const struct ctl *ctl, const struct ctl_arguments *arguments,
                        struct plain_ramp *ramp)
{
    const char *domain = arguments_get(arguments, "domain");
    if (domain && flz_domain_check(domain) < 0)
        return talk_usage(ctl, "", "--domain '%s' is not a domain", domain);
    int code = options_number(ctl, arguments, "target", 1, TARGET_MAX, &ramp->target);
    if (code == 0 && ramp->target == 0)
        code = talk_usage(ctl, "messages a day in the end", "'plan ramp' needs --target N");
    if (code == 0)
        code = options_number(ctl, arguments, "sent", 0, TARGET_MAX, &ramp->level);
    if (code == 0)
        code = take_table(ctl, arguments, &ramp->table);
    return code ? code : options_calendar(ctl, arguments, &ramp->calendar);
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
    const char *domain = arguments_get(arguments, "domain");
    struct plain_ramp ramp = {.table = NULL};
    int code = take_options(ctl, arguments, &ramp);
    if (code != 0)
        return code;

    _cleanup_(json_decrefp) json_t *items = climb(&ramp);
    _cleanup_(json_decrefp) json_t *list = advice_json(&ramp);
    if (ctl->output == CTL_JSON) {
        _cleanup_(json_decrefp) json_t *document = json_pack(
            "{s:s, s:s, s:s?, s:{s:s, s:s, s:s}, s:O, s:O}", "apiVersion", "fluenzr/v1", "kind",
            "PlanRamp", "domain", domain, "table", "name", ramp.table->name, "text",
            ramp.table->text, "source", ramp.table->source, "advice", list, "items", items);
        show_json(document);
    } else {
        show_table(ctl, items, columns);
        tell(ctl, &ramp, list);
    }
    if (ramp.level < ramp.target)
        talk(ctl, "note: %u messages a day are not reached within these days; --for shows more",
             ramp.target);
    return 0;
}
