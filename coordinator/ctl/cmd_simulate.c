/* The forecast of a whole network, from the simulator. Asks nobody, and leaves nothing behind. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "coordinator/sim/sim.h"
#include "coordinator/words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNTS_DEFAULT 1000
#define DAYS_DEFAULT 30
#define SEED_DEFAULT 1

/* ---- The command line ---- */

struct wanted {
    uint32_t accounts;
    uint32_t days;
    uint64_t seed;
    const char *path; /* of the scenario; NULL: the usual network */
};

static int take_number(const struct ctl *ctl, const struct ctl_arguments *arguments,
                       const char *name, uint64_t low, uint64_t high, uint64_t *ret_value)
{
    const char *text = arguments_get(arguments, name);
    uint64_t value;
    if (!text)
        return 0;
    if (flz_parse_u64(text, high, &value) < 0 || value < low)
        return talk_usage(ctl, "", "--%s '%s' is not a number from %llu to %llu", name, text,
                          (unsigned long long)low, (unsigned long long)high);
    *ret_value = value;
    return 0;
}

static int take_wanted(const struct ctl *ctl, const struct ctl_arguments *arguments,
                       struct wanted *ret_wanted)
{
    uint64_t accounts = ACCOUNTS_DEFAULT, days = DAYS_DEFAULT, seed = SEED_DEFAULT;
    int code = take_number(ctl, arguments, "accounts", 2, SIM_ACCOUNTS_MAX, &accounts);
    if (code == 0)
        code = take_number(ctl, arguments, "days", 1, SIM_DAYS_MAX, &days);
    if (code == 0)
        code = take_number(ctl, arguments, "seed", 0, INT64_MAX, &seed);
    if (code == 0 && accounts * days > SIM_ACCOUNT_DAYS_MAX)
        code = talk_usage(ctl, "", "%llu accounts for %llu days are more than %d account-days",
                          (unsigned long long)accounts, (unsigned long long)days,
                          SIM_ACCOUNT_DAYS_MAX);
    *ret_wanted = (struct wanted){.accounts = (uint32_t)accounts,
                                  .days = (uint32_t)days,
                                  .seed = seed,
                                  .path = arguments_get(arguments, "scenario")};
    return code;
}

/* ---- The run ---- */

/* A signal can reach nothing else. */
static atomic_bool interrupted;

static void on_interrupt(int number)
{
    atomic_store(&interrupted, true);
}

/* A second one ends the program at once. */
static void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void show_date(void *data, int32_t date)
{
    char text[FLZ_TIME_TEXT_MAX];
    flz_date_format(date, text);
    (void)fprintf(stderr, "\r%s", text);
}

static int simulate(const struct ctl *ctl, const struct wanted *wanted,
                    const struct scenario *scenario, struct tz *tz, struct harvest *ret_harvest)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    bool shows = !ctl->quiet && ctl->output != CTL_JSON && isatty(STDERR_FILENO);
    struct sim_options options = {.scenario = scenario,
                                  .accounts = wanted->accounts,
                                  .days = wanted->days,
                                  .seed = wanted->seed,
                                  .stop = &interrupted,
                                  .on_date = shows ? show_date : NULL};
    catch_interrupt();
    int r = sim_run(&options, tz, ret_harvest, &msg);
    if (shows)
        (void)fputs("\r          \r", stderr);
    if (r == -ECANCELED)
        return talk_fail(ctl, ADMIN_FAILED, "INTERRUPTED", "interrupted: nothing is foreseen", "");
    if (r == -ENOMEM)
        return talk_fail(ctl, ADMIN_FAILED, "NO_MEMORY", "so large a network needs more memory",
                         "fewer accounts, or fewer days");
    return r < 0 ? talk_fail(ctl, ADMIN_FAILED, "SIMULATION", msg.text[0] ? msg.text : strerror(-r),
                             "")
                 : 0;
}

/* ---- The document ---- */

static void set(json_t *object, const char *key, uint64_t value)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_volume(json_t *object, const struct harvest_volume *v)
{
    const struct {
        const char *key;
        uint64_t value;
    } fields[] = {
        {"accountDays", v->accounts}, {"quota", v->quota},     {"planned", v->planned},
        {"shortfall", v->shortfall},  {"sent", v->sent},       {"replies", v->replied},
        {"rejected", v->rejected},    {"expired", v->expired}, {"dropped", v->dropped},
        {"ambiguous", v->ambiguous},  {"inbox", v->inbox},     {"junk", v->junk},
        {"other", v->other},          {"missing", v->missing}, {"unobserved", v->unobserved},
        {"rescued", v->rescued},      {"opened", v->opened},   {"credited", v->credited},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        set(object, fields[i].key, fields[i].value);
    uint64_t seen = v->inbox + v->junk + v->other;
    if (seen > 0)
        set(object, "junkPermille", v->junk * 1000 / seen);
    else
        (void)json_object_set_new(object, "junkPermille", json_null());
}

static json_t *volume_json(const struct harvest_volume *volume)
{
    json_t *json = json_object();
    set_volume(json, volume);
    return json;
}

static json_t *phases_json(const struct harvest_volume volumes[HARVEST_PHASES])
{
    json_t *json = json_object();
    for (uint32_t phase = RAMP_START; phase < HARVEST_PHASES; phase++)
        (void)json_object_set_new(json, words_phase(phase), volume_json(&volumes[phase]));
    return json;
}

static json_t *shortfalls_json(const struct harvest_day *day)
{
    json_t *json = json_object();
    for (uint32_t reason = 0; reason < HARVEST_REASONS; reason++)
        if (day->shortfalls[reason] > 0)
            set(json, words_shortfall(reason), day->shortfalls[reason]);
    return json;
}

static json_t *health_json(const uint32_t states[HARVEST_STATES])
{
    json_t *json = json_object();
    for (uint32_t state = 0; state < HARVEST_STATES; state++)
        if (states[state] > 0)
            set(json, flz_health_name(state), states[state]);
    return json;
}

static json_t *day_json(const struct harvest_day *day)
{
    char date[FLZ_TIME_TEXT_MAX];
    json_t *json = json_object(), *entered = json_object();
    flz_date_format(day->date, date);
    (void)json_object_set_new(json, "date", json_string(date));
    set_volume(json, &day->all);
    set(json, "joined", day->joined);
    set(json, "left", day->left);
    set(json, "unready", day->unready);
    for (uint32_t phase = RAMP_START; phase < HARVEST_PHASES; phase++)
        set(entered, words_phase(phase), day->entered[phase]);
    (void)json_object_set_new(json, "entered", entered);
    (void)json_object_set_new(json, "health", health_json(day->health));
    (void)json_object_set_new(json, "shortfalls", shortfalls_json(day));
    (void)json_object_set_new(json, "phases", phases_json(day->phases));
    return json;
}

static json_t *week_json(const uint64_t week[2])
{
    json_t *json = json_object();
    set(json, "inbox", week[0]);
    set(json, "junk", week[1]);
    if (week[0] + week[1] > 0)
        set(json, "junkPermille", week[1] * 1000 / (week[0] + week[1]));
    return json;
}

static json_t *providers_json(const struct scenario *scenario, const struct harvest *harvest)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < scenario->providers_count; i++) {
        const struct harvest_provider *p = &harvest->providers[i];
        json_t *json = json_object();
        (void)json_object_set_new(json, "name", json_string(scenario->providers[i].name));
        set(json, "taken", p->taken);
        set(json, "refused", p->refused);
        set(json, "blocked", p->blocked);
        set(json, "inbox", p->inbox);
        set(json, "junk", p->junk);
        (void)json_object_set_new(json, "firstWeek", week_json(p->weeks[0]));
        (void)json_object_set_new(json, "lastWeek", week_json(p->weeks[1]));
        (void)json_array_append_new(items, json);
    }
    return items;
}

static json_t *partners_json(const struct harvest_partners *partners)
{
    json_t *json = json_object();
    set(json, "least", partners->least);
    set(json, "median", partners->median);
    set(json, "most", partners->most);
    set(json, "exchanges", partners->exchanges);
    set(json, "oneNode", partners->one_node);
    set(json, "sameOwner", partners->same_owner);
    return json;
}

static json_t *events_json(const struct harvest *harvest)
{
    json_t *json = json_object();
    for (uint32_t type = 0; type <= EVENT_TYPE_MAX; type++)
        if (harvest->events[type] > 0)
            set(json, flz_event_name(type), harvest->events[type]);
    return json;
}

static json_t *document_of(const struct wanted *wanted, const struct scenario *scenario,
                           const struct harvest *harvest)
{
    struct harvest_volume phases[HARVEST_PHASES];
    json_t *items = json_array(), *json = json_object();
    harvest_phases(harvest, phases);
    for (uint32_t i = 0; i < harvest->days_count; i++)
        (void)json_array_append_new(items, day_json(&harvest->days[i]));
    (void)json_object_set_new(json, "apiVersion", json_string("fluenzr/v1"));
    (void)json_object_set_new(json, "kind", json_string("Forecast"));
    set(json, "accounts", wanted->accounts);
    set(json, "days", wanted->days);
    set(json, "seed", wanted->seed);
    (void)json_object_set_new(json, "items", items);
    (void)json_object_set_new(json, "total", volume_json(&harvest->all));
    (void)json_object_set_new(json, "phases", phases_json(phases));
    (void)json_object_set_new(json, "providers", providers_json(scenario, harvest));
    (void)json_object_set_new(json, "partners", partners_json(&harvest->partners));
    (void)json_object_set_new(json, "events", events_json(harvest));
    set(json, "deferred", harvest->deferred);
    set(json, "unplanned", harvest->unplanned);
    (void)json_object_set_new(json, "hash", json_string(harvest->hash));
    return json;
}

/* ---- For people ---- */

static void show_days(const struct ctl *ctl, const json_t *document)
{
    static const struct show_column columns[] = {
        {"DATE", "date", SHOW_PLAIN, false},
        {"ACCOUNTS", "accountDays", SHOW_RIGHT, false},
        {"QUOTA", "quota", SHOW_RIGHT, false},
        {"SHORT", "shortfall", SHOW_RIGHT, false},
        {"SENT", "sent", SHOW_RIGHT, false},
        {"REPLIES", "replies", SHOW_RIGHT, false},
        {"REJECTED", "rejected", SHOW_RIGHT, false},
        {"INBOX", "inbox", SHOW_RIGHT, false},
        {"JUNK", "junk", SHOW_RIGHT, false},
        {"JUNK/1000", "junkPermille", SHOW_RIGHT, false},
        {"MISSING", "missing", SHOW_RIGHT, false},
        {"EXPIRED", "expired", SHOW_RIGHT, true},
        {"DROPPED", "dropped", SHOW_RIGHT, true},
        {"RESCUED", "rescued", SHOW_RIGHT, true},
        {"OPENED", "opened", SHOW_RIGHT, true},
        {"UNREADY", "unready", SHOW_RIGHT, true},
        {"JOINED", "joined", SHOW_RIGHT, true},
        {"LEFT", "left", SHOW_RIGHT, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    show_table(ctl, show_path(document, "items"), columns);
}

static void show_phases(const struct ctl *ctl, const json_t *document)
{
    static const struct show_column columns[] = {
        {"PHASE", "phase", SHOW_PLAIN, false},
        {"ACCOUNT DAYS", "accountDays", SHOW_RIGHT, false},
        {"QUOTA", "quota", SHOW_RIGHT, false},
        {"SENT", "sent", SHOW_RIGHT, false},
        {"INBOX", "inbox", SHOW_RIGHT, false},
        {"JUNK", "junk", SHOW_RIGHT, false},
        {"JUNK/1000", "junkPermille", SHOW_RIGHT, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    _cleanup_(json_decrefp) json_t *items = json_array();
    const char *phase;
    json_t *volume;
    json_object_foreach((json_t *)(uintptr_t)show_path(document, "phases"), phase, volume)
    {
        json_t *item = json_copy(volume);
        (void)json_object_set_new(item, "phase", json_string(phase));
        (void)json_array_append_new(items, item);
    }
    show_table(ctl, items, columns);
}

static void show_providers(const struct ctl *ctl, const json_t *document)
{
    static const struct show_column columns[] = {
        {"PROVIDER", "name", SHOW_PLAIN, false},
        {"TAKEN", "taken", SHOW_RIGHT, false},
        {"REFUSED", "refused", SHOW_RIGHT, false},
        {"BLOCKED", "blocked", SHOW_RIGHT, false},
        {"JUNK", "junk", SHOW_RIGHT, false},
        {"FIRST WEEK/1000", "firstWeek.junkPermille", SHOW_RIGHT, false},
        {"LAST WEEK/1000", "lastWeek.junkPermille", SHOW_RIGHT, false},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    show_table(ctl, show_path(document, "providers"), columns);
}

static void show_rest(const json_t *document)
{
    static const char *const skip[] = {"apiVersion", "kind",      "items",  "total",
                                       "phases",     "providers", "events", NULL};
    show_item(document, skip);
}

static int show(const struct ctl *ctl, const json_t *document)
{
    if (ctl->output == CTL_JSON) {
        show_json(document);
        return 0;
    }
    if (ctl->quiet) {
        (void)printf("%s\n", show_string(document, "hash"));
        return 0;
    }
    show_days(ctl, document);
    (void)fputc('\n', stdout);
    show_phases(ctl, document);
    (void)fputc('\n', stdout);
    show_providers(ctl, document);
    (void)fputc('\n', stdout);
    show_rest(document);
    return 0;
}

static void free_tz(struct tz **tz)
{
    (void)tz_free(*tz);
}

int cmd_simulate(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(flz_freep) struct scenario *scenario = calloc(1, sizeof *scenario);
    _cleanup_(free_tz) struct tz *tz = NULL;
    _cleanup_(harvest_deinit) struct harvest harvest = HARVEST_NULL;
    struct wanted wanted;
    struct flz_msg msg = FLZ_MSG_NULL;
    int code = take_wanted(ctl, arguments, &wanted);
    if (code != 0)
        return code;
    if (!scenario || tz_new(&tz) < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NO_MEMORY", "there is no memory", "");
    scenario_default(scenario);
    if (wanted.path && scenario_load(wanted.path, tz, scenario, &msg) < 0)
        return talk_fail(ctl, ADMIN_CONFIG, "SCENARIO", msg.text,
                         "every key: /usr/share/fluenzr/conf/scenario.yaml");
    code = simulate(ctl, &wanted, scenario, tz, &harvest);
    if (code != 0)
        return code;
    if (harvest.unplanned > 0)
        talk(ctl,
             "note: %u of %u accounts never have anybody to write to: all others are of their "
             "owner or domain, or speak another language",
             harvest.unplanned, wanted.accounts);

    _cleanup_(json_decrefp) json_t *document = document_of(&wanted, scenario, &harvest);
    return show(ctl, document);
}
