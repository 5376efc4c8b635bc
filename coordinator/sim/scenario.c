#include "coordinator/sim/scenario.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FROM 20458 /* 2026-01-05, a Monday: a forecast does not depend on the day it is made on */
#define WEIGHT_MAX 1000000

/* ---- Defaults ---- */

static const struct {
    const char *words[4];
    uint32_t values[4];
} known[] = {
    {{"low", "medium", "high"}, {FLZ_INTENSITY_LOW, FLZ_INTENSITY_MEDIUM, FLZ_INTENSITY_HIGH}},
    {{"new", "existing", "low_use", "recovery"},
     {FLZ_PROFILE_NEW, FLZ_PROFILE_EXISTING, FLZ_PROFILE_LOW_USE, FLZ_PROFILE_RECOVERY}},
};
#define KNOWN_INTENSITIES 0
#define KNOWN_PROFILES 1

static void share(struct scenario_shares *shares, const char *word, uint32_t value, uint32_t weight)
{
    struct scenario_share *item = &shares->items[shares->count++];
    *item = (struct scenario_share){.value = value, .weight = weight};
    (void)flz_text_copy(item->word, sizeof item->word, word);
}

static void default_shares(struct scenario *s)
{
    share(&s->languages, "en", 0, 60);
    share(&s->languages, "fr", 0, 40);
    share(&s->zones, "Europe/Paris", 0, 45);
    share(&s->zones, "Europe/London", 0, 15);
    share(&s->zones, "America/New_York", 0, 30);
    share(&s->zones, "America/Los_Angeles", 0, 10);
    share(&s->weeks, "Mon-Fri", 0x1f, 85);
    share(&s->weeks, "Mon-Sun", 0x7f, 15);
    share(&s->intensities, "low", FLZ_INTENSITY_LOW, 20);
    share(&s->intensities, "medium", FLZ_INTENSITY_MEDIUM, 60);
    share(&s->intensities, "high", FLZ_INTENSITY_HIGH, 20);
    share(&s->profiles, "new", FLZ_PROFILE_NEW, 60);
    share(&s->profiles, "existing", FLZ_PROFILE_EXISTING, 20);
    share(&s->profiles, "low_use", FLZ_PROFILE_LOW_USE, 12);
    share(&s->profiles, "recovery", FLZ_PROFILE_RECOVERY, 8);
}

static const struct scenario_provider default_providers[] = {
    {.name = "smtp",
     .weight = 70,
     .junk_unknown_percent = 55,
     .junk_known_percent = 2,
     .engagements = 12,
     .forget_days = 30,
     .growth_percent = 100,
     .growth_floor = 20,
     .block_hours = 24,
     .rate_per_minute = 0,
     .refuse_permille = 2,
     .lose_permille = 2},
    {.name = "microsoft365",
     .weight = 30,
     .junk_unknown_percent = 70,
     .junk_known_percent = 4,
     .engagements = 18,
     .forget_days = 30,
     .growth_percent = 80,
     .growth_floor = 20,
     .block_hours = 48,
     .rate_per_minute = 0,
     .refuse_permille = 3,
     .lose_permille = 4},
};
#define DEFAULT_PROVIDERS (sizeof default_providers / sizeof *default_providers)

void scenario_default(struct scenario *s)
{
    *s = (struct scenario){
        .from = FROM,
        .nodes = 20,
        .accounts_per_domain = 4,
        .domains_per_owner = 2,
        .first_day_percent = 100,
        .growth_days = 14,
        .login_fails_permille = 2,
        .start_minute = 8 * 60,
        .end_minute = 18 * 60,
        .policy = policy_default(),
        .providers_count = DEFAULT_PROVIDERS,
    };
    default_shares(s);
    memcpy(s->providers, default_providers, sizeof default_providers);
}

uint32_t scenario_sum(const struct scenario_shares *shares)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < shares->count; i++)
        sum += shares->items[i].weight;
    return sum;
}

uint32_t scenario_pick(const struct scenario_shares *shares, uint64_t lot)
{
    uint32_t i = 0;
    while (i + 1 < shares->count && lot >= shares->items[i].weight)
        lot -= shares->items[i++].weight;
    return i;
}

/* ---- The file ---- */

struct reader {
    const struct config_doc *doc;
    struct tz *tz;
    struct scenario *scenario;
    struct flz_msg *msg;
};

#define FAIL(reader, node, ...) config_node_error((reader)->doc, (node), (reader)->msg, __VA_ARGS__)

static int fail_unknown(const struct reader *reader, struct config_node node, const char *what,
                        const char *word, const char *const *words, size_t count)
{
    const char *meant = flz_did_you_mean(word, words, count);
    if (meant)
        return FAIL(reader, node, "unknown %s '%s' (did you mean '%s'?)", what, word, meant);
    return FAIL(reader, node, "unknown %s '%s'", what, word);
}

static int read_date(const struct reader *reader, struct config_node node)
{
    const char *text = config_node_text(reader->doc, node);
    if (!text || flz_date_parse(text, &reader->scenario->from) < 0)
        return FAIL(reader, node, "from is no date (2026-01-05)");
    return 0;
}

static int read_nodes(const struct reader *reader, struct config_node node)
{
    const char *text = config_node_text(reader->doc, node);
    uint64_t value;
    if (!text || flz_parse_u64(text, SCENARIO_NODES_MAX, &value) < 0 || value < 2)
        return FAIL(reader, node, "nodes is a number from 2 to %d", SCENARIO_NODES_MAX);
    reader->scenario->nodes = (int64_t)value;
    return 0;
}

/* "08:00", to "24:00". */
static bool parse_minute(const char *text, int *ret_minute)
{
    static const char form[] = "dd:dd";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    int hour = (text[0] - '0') * 10 + text[1] - '0', minute = (text[3] - '0') * 10 + text[4] - '0';
    *ret_minute = hour * 60 + minute;
    return minute < 60 && *ret_minute <= TZ_DAY_MINUTES;
}

static int read_hours(const struct reader *reader, struct config_node node)
{
    const char *text = config_node_text(reader->doc, node);
    struct scenario *s = reader->scenario;
    if (!text || strlen(text) != 11 || text[5] != '-' || !parse_minute(text, &s->start_minute) ||
        !parse_minute(text + 6, &s->end_minute) || s->start_minute == s->end_minute ||
        s->start_minute >= TZ_DAY_MINUTES || s->end_minute == 0)
        return FAIL(reader, node, "hours are written 08:00-18:00");
    return 0;
}

/* ---- Shares ---- */

typedef int (*word_fn)(const struct reader *reader, struct config_node node,
                       struct scenario_share *share);

static int take_share(const struct reader *reader, struct config_node shares, size_t i,
                      word_fn check, struct scenario_share *ret_share)
{
    struct config_node node;
    const char *word = config_node_pair(reader->doc, shares, i, &node);
    const char *text = config_node_text(reader->doc, node);
    uint64_t weight;
    *ret_share = (struct scenario_share){.weight = 0};
    if (flz_text_copy(ret_share->word, sizeof ret_share->word, word) < 0)
        return FAIL(reader, node, "'%s' is too long", word);
    if (!text || flz_parse_u64(text, WEIGHT_MAX, &weight) < 0)
        return FAIL(reader, node, "the share of '%s' is a number from 0 to %d", word, WEIGHT_MAX);
    ret_share->weight = (uint32_t)weight;
    return check(reader, node, ret_share);
}

static int read_shares(const struct reader *reader, struct config_node node, const char *name,
                       word_fn check, struct scenario_shares *shares)
{
    size_t n = config_node_count(reader->doc, node);
    if (config_node_kind(reader->doc, node) != CONFIG_MAPPING || n == 0 || n > SCENARIO_SHARES_MAX)
        return FAIL(reader, node, "%s is a mapping of 1 to %d words to their shares", name,
                    SCENARIO_SHARES_MAX);
    *shares = (struct scenario_shares){.count = n};
    for (size_t i = 0; i < n; i++) {
        int r = take_share(reader, node, i, check, &shares->items[i]);
        if (r < 0)
            return r;
    }
    return scenario_sum(shares) > 0 ? 0 : FAIL(reader, node, "the shares of %s are all 0", name);
}

static int check_language(const struct reader *reader, struct config_node node,
                          struct scenario_share *item)
{
    size_t len = strlen(item->word);
    return len > 0 && len < 8 ? 0 : FAIL(reader, node, "'%s' is no language (en)", item->word);
}

static int check_zone(const struct reader *reader, struct config_node node,
                      struct scenario_share *item)
{
    struct flz_msg why = FLZ_MSG_NULL;
    return tz_check(reader->tz, item->word, &why) < 0 ? FAIL(reader, node, "%s", why.text) : 0;
}

static int check_week(const struct reader *reader, struct config_node node,
                      struct scenario_share *item)
{
    return flz_weekdays_parse(item->word, &item->value) < 0
               ? FAIL(reader, node, "'%s' is not a list of days (Mon-Fri)", item->word)
               : 0;
}

static int check_known(const struct reader *reader, struct config_node node, size_t kind,
                       const char *what, struct scenario_share *item)
{
    size_t n = 0;
    for (; n < 4 && known[kind].words[n]; n++)
        if (strcmp(known[kind].words[n], item->word) == 0)
            item->value = known[kind].values[n];
    return item->value ? 0 : fail_unknown(reader, node, what, item->word, known[kind].words, n);
}

static int check_intensity(const struct reader *reader, struct config_node node,
                           struct scenario_share *item)
{
    return check_known(reader, node, KNOWN_INTENSITIES, "intensity", item);
}

static int check_profile(const struct reader *reader, struct config_node node,
                         struct scenario_share *item)
{
    return check_known(reader, node, KNOWN_PROFILES, "profile", item);
}

static int read_languages(const struct reader *reader, struct config_node node)
{
    struct scenario_shares *shares = &reader->scenario->languages;
    int r = read_shares(reader, node, "languages", check_language, shares);
    if (r == 0 && shares->count > FLZ_PACKS_MAX)
        return FAIL(reader, node, "languages: at most %d", FLZ_PACKS_MAX);
    return r;
}

static int read_zones(const struct reader *reader, struct config_node node)
{
    return read_shares(reader, node, "zones", check_zone, &reader->scenario->zones);
}

static int read_weeks(const struct reader *reader, struct config_node node)
{
    return read_shares(reader, node, "weeks", check_week, &reader->scenario->weeks);
}

static int read_intensities(const struct reader *reader, struct config_node node)
{
    return read_shares(reader, node, "intensities", check_intensity,
                       &reader->scenario->intensities);
}

static int read_profiles(const struct reader *reader, struct config_node node)
{
    return read_shares(reader, node, "profiles", check_profile, &reader->scenario->profiles);
}

/* ---- Sections of numbers ---- */

#define NUMBER(type, field, low, high, text)                                                       \
    {                                                                                              \
#field, CONFIG_INT, offsetof(struct type, field), .min = (low), .max = (high),             \
                                                          .fallback = text                         \
    }

static const struct config_key pool_keys[] = {
    NUMBER(scenario, accounts_per_domain, 1, 100000, "4"),
    NUMBER(scenario, domains_per_owner, 1, 100000, "2"),
    NUMBER(scenario, big_owner_percent, 0, 100, "0"),
    NUMBER(scenario, big_domain_percent, 0, 100, "0"),
};

static const struct config_key growth_keys[] = {
    NUMBER(scenario, first_day_percent, 1, 100, "100"),
    NUMBER(scenario, growth_days, 1, 366, "14"),
};

static const struct config_key trouble_keys[] = {
    NUMBER(scenario, login_fails_permille, 0, 1000, "2"),
    NUMBER(scenario, leave_permille, 0, 1000, "0"),
};

#define PROVIDER(field, low, high, text) NUMBER(scenario_provider, field, low, high, text)

static const struct config_key provider_keys[] = {
    PROVIDER(weight, 0, WEIGHT_MAX, "1"),         PROVIDER(junk_unknown_percent, 0, 100, "55"),
    PROVIDER(junk_known_percent, 0, 100, "2"),    PROVIDER(engagements, 1, 1000, "12"),
    PROVIDER(forget_days, 1, 366, "30"),          PROVIDER(growth_percent, 0, 10000, "100"),
    PROVIDER(growth_floor, 0, 1000000, "20"),     PROVIDER(block_hours, 0, 720, "24"),
    PROVIDER(rate_per_minute, 0, 100000000, "0"), PROVIDER(refuse_permille, 0, 1000, "2"),
    PROVIDER(lose_permille, 0, 1000, "2"),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int read_numbers(const struct reader *reader, struct config_node node,
                        const struct config_key *keys, size_t n)
{
    return config_node_read(reader->doc, node, keys, n, reader->scenario, NULL, reader->msg);
}

static int read_pool(const struct reader *reader, struct config_node node)
{
    int r = read_numbers(reader, node, pool_keys, COUNT(pool_keys));
    const struct scenario *s = reader->scenario;
    if (r == 0 && s->big_owner_percent + s->big_domain_percent > 100)
        return FAIL(reader, node, "big_owner_percent and big_domain_percent are more than 100");
    return r;
}

static int read_growth(const struct reader *reader, struct config_node node)
{
    return read_numbers(reader, node, growth_keys, COUNT(growth_keys));
}

static int read_troubles(const struct reader *reader, struct config_node node)
{
    return read_numbers(reader, node, trouble_keys, COUNT(trouble_keys));
}

/* ---- Policy ---- */

static int read_rule(const struct reader *reader, struct config_node node, const char *key)
{
    const char *text = config_node_text(reader->doc, node);
    struct flz_msg why = FLZ_MSG_NULL;
    uint64_t number = 0;
    int64_t value = 0;
    if (!text ||
        (flz_parse_u64(text, INT64_MAX, &number) < 0 && flz_parse_duration_ms(text, &value) < 0))
        return FAIL(reader, node, "%s is a number, or a duration (15m)", key);
    value = value ? value : (int64_t)number;
    return policy_set(&reader->scenario->policy, key, value, &why) < 0
               ? FAIL(reader, node, "%s", why.text)
               : 0;
}

static int read_policy(const struct reader *reader, struct config_node policy)
{
    if (config_node_kind(reader->doc, policy) != CONFIG_MAPPING)
        return FAIL(reader, policy, "policy is a mapping of rules ('fluenzrctl policy ls')");
    for (size_t i = 0; i < config_node_count(reader->doc, policy); i++) {
        struct config_node node;
        const char *key = config_node_pair(reader->doc, policy, i, &node);
        int r = read_rule(reader, node, key);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- Providers ---- */

static int read_provider(const struct reader *reader, struct config_node providers, uint32_t i)
{
    struct config_node node;
    struct scenario_provider *provider = &reader->scenario->providers[i];
    const char *name = config_node_pair(reader->doc, providers, i, &node);
    int r = config_node_read(reader->doc, node, provider_keys, COUNT(provider_keys), provider, NULL,
                             reader->msg);
    if (r == 0 && (!name[0] || flz_text_copy(provider->name, sizeof provider->name, name) < 0))
        return FAIL(reader, node, "'%s' is no name of a provider", name);
    return r;
}

static int read_providers(const struct reader *reader, struct config_node node)
{
    size_t n = config_node_count(reader->doc, node);
    struct scenario *s = reader->scenario;
    if (config_node_kind(reader->doc, node) != CONFIG_MAPPING || n == 0 ||
        n > SCENARIO_PROVIDERS_MAX)
        return FAIL(reader, node, "providers is a mapping of 1 to %d names to how they judge",
                    SCENARIO_PROVIDERS_MAX);
    memset(s->providers, 0, sizeof s->providers);
    s->providers_count = (uint32_t)n;
    int64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        int r = read_provider(reader, node, i);
        if (r < 0)
            return r;
        sum += s->providers[i].weight;
    }
    return sum > 0 ? 0 : FAIL(reader, node, "the weights of all providers are 0");
}

/* ---- Outages ---- */

struct outage_row {
    char provider[CONFIG_TEXT_MAX];
    int64_t node;
    int64_t day;
    int64_t hour;
    int64_t duration_ms;
};

static const struct config_key outage_keys[] = {
    {"provider", CONFIG_TEXT, offsetof(struct outage_row, provider), .fallback = ""},
    {"node", CONFIG_INT, offsetof(struct outage_row, node), .fallback = "0",
     .max = SCENARIO_NODES_MAX},
    {"day", CONFIG_INT, offsetof(struct outage_row, day), .min = 1, .max = 366},
    {"hour", CONFIG_INT, offsetof(struct outage_row, hour), .fallback = "0", .max = 23},
    {"for", CONFIG_DURATION, offsetof(struct outage_row, duration_ms), .min = FLZ_MINUTE_MS,
     .max = 30 * FLZ_DAY_MS},
};

static uint32_t find_provider(const struct scenario *s, const char *name)
{
    for (uint32_t i = 0; i < s->providers_count; i++)
        if (strcmp(s->providers[i].name, name) == 0)
            return i;
    return SCENARIO_NOBODY;
}

static int unknown_provider(const struct reader *reader, struct config_node node, const char *name)
{
    const char *names[SCENARIO_PROVIDERS_MAX];
    for (uint32_t i = 0; i < reader->scenario->providers_count; i++)
        names[i] = reader->scenario->providers[i].name;
    return fail_unknown(reader, node, "provider", name, names, reader->scenario->providers_count);
}

static int read_outage(const struct reader *reader, struct config_node node)
{
    struct scenario *s = reader->scenario;
    struct outage_row row = {.node = 0};
    int r = config_node_read(reader->doc, node, outage_keys, COUNT(outage_keys), &row, NULL,
                             reader->msg);
    if (r < 0)
        return r;
    struct scenario_outage *outage = &s->outages[s->outages_count++];
    outage->provider = find_provider(s, row.provider);
    outage->node = row.node ? (uint32_t)row.node - 1 : SCENARIO_NOBODY;
    outage->from = (s->from + row.day - 1) * FLZ_DAY_MS + row.hour * FLZ_HOUR_MS;
    outage->until = outage->from + row.duration_ms;
    if ((row.provider[0] != '\0') == (row.node != 0))
        return FAIL(reader, node, "an outage names a provider or a node");
    if (row.provider[0] && outage->provider == SCENARIO_NOBODY)
        return unknown_provider(reader, node, row.provider);
    return row.node <= s->nodes ? 0
                                : FAIL(reader, node, "node %lld: there are %lld",
                                       (long long)row.node, (long long)s->nodes);
}

static int read_outages(const struct reader *reader, struct config_node node)
{
    size_t n = config_node_count(reader->doc, node);
    if (config_node_kind(reader->doc, node) != CONFIG_SEQUENCE || n > SCENARIO_OUTAGES_MAX)
        return FAIL(reader, node, "outages is a list of at most %d", SCENARIO_OUTAGES_MAX);
    for (size_t i = 0; i < n; i++) {
        int r = read_outage(reader, config_node_item(reader->doc, node, i));
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- The whole ---- */

/* Outages come last: they name what the others have said. */
static const struct {
    const char *name;
    int (*read)(const struct reader *reader, struct config_node node);
} sections[] = {
    {"from", read_date},           {"nodes", read_nodes},
    {"hours", read_hours},         {"pool", read_pool},
    {"growth", read_growth},       {"troubles", read_troubles},
    {"languages", read_languages}, {"zones", read_zones},
    {"weeks", read_weeks},         {"intensities", read_intensities},
    {"profiles", read_profiles},   {"policy", read_policy},
    {"providers", read_providers}, {"outages", read_outages},
};

static int check_sections(const struct reader *reader, struct config_node root)
{
    const char *names[COUNT(sections)];
    for (size_t i = 0; i < COUNT(sections); i++)
        names[i] = sections[i].name;
    for (size_t i = 0; i < config_node_count(reader->doc, root); i++) {
        struct config_node node;
        const char *name = config_node_pair(reader->doc, root, i, &node);
        size_t at = 0;
        while (at < COUNT(sections) && strcmp(names[at], name) != 0)
            at++;
        if (at == COUNT(sections))
            return fail_unknown(reader, node, "key", name, names, COUNT(sections));
    }
    return 0;
}

static int read_all(const struct reader *reader)
{
    struct config_node root = config_doc_root(reader->doc);
    enum config_kind kind = config_node_kind(reader->doc, root);
    if (kind == CONFIG_NONE)
        return 0;
    if (kind != CONFIG_MAPPING)
        return FAIL(reader, root, "a mapping of keys is needed");
    int r = check_sections(reader, root);
    for (size_t i = 0; i < COUNT(sections) && r == 0; i++) {
        struct config_node node = config_node_get(reader->doc, root, sections[i].name);
        if (config_node_kind(reader->doc, node) != CONFIG_NONE)
            r = sections[i].read(reader, node);
    }
    return r;
}

static void free_doc(struct config_doc **doc)
{
    (void)config_doc_free(*doc);
}

int scenario_load(const char *path, struct tz *tz, struct scenario *ret_scenario,
                  struct flz_msg *msg)
{
    _cleanup_(free_doc) struct config_doc *doc = NULL;
    int r = config_doc_open(path, &doc, msg);
    if (r < 0)
        return r;
    scenario_default(ret_scenario);
    struct reader reader = {.doc = doc, .tz = tz, .scenario = ret_scenario, .msg = msg};
    return read_all(&reader);
}
