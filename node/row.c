#include "node/row.h"

#include "common/base/text.h"
#include "common/base/time.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum row_column {
    COLUMN_ADDRESS,
    COLUMN_OWNER,
    COLUMN_PROVIDER,
    COLUMN_SMTP,
    COLUMN_IMAP,
    COLUMN_USER,
    COLUMN_PASSWORD,
    COLUMN_TIMEZONE,
    COLUMN_HOURS,
    COLUMN_DAYS,
    COLUMN_INTENSITY,
    COLUMN_PROFILE,
    COLUMN_LANGUAGE,
    COLUMN_VOLUME,
    COLUMN_HOLIDAYS,
    COLUMN_BLACKOUT,
    COLUMNS,
};

static const char *const names[COLUMNS] = {
    "address", "owner", "provider",  "smtp",    "imap",     "user",   "password", "timezone",
    "hours",   "days",  "intensity", "profile", "language", "volume", "holidays", "blackout",
};

static_assert(COLUMNS <= sizeof((struct row_columns *)0)->index / sizeof(int), "columns fit");

void row_deinit(struct row *row)
{
    flz_secret_deinit(&row->password);
}

static int find_column(const char *name)
{
    for (int i = 0; i < COLUMNS; i++)
        if (flz_ascii_equal_nocase(names[i], name))
            return i;
    return -1;
}

int row_columns_read(char *const *fields, size_t count, struct row_columns *ret_columns,
                     struct flz_msg *msg)
{
    struct row_columns columns;
    for (size_t i = 0; i < sizeof columns.index / sizeof *columns.index; i++)
        columns.index[i] = -1;
    for (size_t i = 0; i < count; i++) {
        int column = find_column(fields[i]);
        if (column < 0) {
            const char *near = flz_did_you_mean(fields[i], names, COLUMNS);
            flz_msg_set(msg, "unknown column '%.40s'%s%s%s", fields[i],
                        near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
            return flz_fail(-EINVAL);
        }
        if (columns.index[column] >= 0) {
            flz_msg_set(msg, "the column '%s' stands twice", names[column]);
            return flz_fail(-EINVAL);
        }
        columns.index[column] = (int)i;
    }
    static const int required[] = {COLUMN_ADDRESS, COLUMN_SMTP, COLUMN_IMAP, COLUMN_PASSWORD};
    size_t needed = columns.index[COLUMN_PROVIDER] < 0 ? sizeof required / sizeof *required : 1;
    for (size_t i = 0; i < needed; i++)
        if (columns.index[required[i]] < 0) {
            flz_msg_set(msg, "the column '%s' is missing; the first line must name the columns",
                        names[required[i]]);
            return flz_fail(-EINVAL);
        }
    *ret_columns = columns;
    return 0;
}

/* ---- The single columns; each says what is wrong ---- */

static int bad(struct flz_msg *msg, enum row_column column, const char *value, const char *want)
{
    flz_msg_set(msg, "%s: '%.60s' %s", names[column], value, want);
    return flz_fail(-EINVAL);
}

static int take_text(struct flz_msg *msg, enum row_column column, const char *value, char *field,
                     size_t size)
{
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return bad(msg, column, value, "has a control character");
    if (flz_text_copy(field, size, value) < 0)
        return bad(msg, column, value, "is too long");
    return 0;
}

static int take_clock(const char **at, uint32_t *ret_minute)
{
    unsigned hour, minute;
    int used = 0;
    if (sscanf(*at, "%2u:%2u%n", &hour, &minute, &used) != 2 || hour > 24 || minute > 59 ||
        hour * 60 + minute > TZ_DAY_MINUTES)
        return -EINVAL;
    *at += used;
    *ret_minute = hour * 60 + minute;
    return 0;
}

static int take_zone(const char *value, struct tz *tz, struct flz_account *account,
                     struct flz_msg *msg)
{
    int r = take_text(msg, COLUMN_TIMEZONE, value, account->zone, sizeof account->zone);
    if (r < 0)
        return r;
    r = tz_check(tz, account->zone, msg);
    if (r < 0)
        flz_msg_wrap(msg, "timezone");
    return r;
}

static int take_hours(const char *value, struct tz *tz, struct flz_account *account,
                      struct flz_msg *msg)
{
    const char *at = value;
    (void)tz;
    if (take_clock(&at, &account->start_minute) < 0 || *at++ != '-' ||
        take_clock(&at, &account->end_minute) < 0 || *at || account->end_minute == 0 ||
        account->start_minute >= TZ_DAY_MINUTES || account->start_minute == account->end_minute)
        return bad(msg, COLUMN_HOURS, value, "is not a window; write 09:00-18:00");
    return 0;
}

static int take_days(const char *value, struct tz *tz, struct flz_account *account,
                     struct flz_msg *msg)
{
    (void)tz;
    if (flz_weekdays_parse(value, &account->days) < 0)
        return bad(msg, COLUMN_DAYS, value, "is not a list of days; write Mon-Fri or Mon,Wed");
    return 0;
}

static int word_index(const char *value, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (flz_ascii_equal_nocase(value, words[i]))
            return (int)i;
    return -1;
}

static int take_intensity(const char *value, struct tz *tz, struct flz_account *account,
                          struct flz_msg *msg)
{
    (void)tz;
    static const char *const words[] = {"low", "medium", "high"};
    int index = word_index(value, words, 3);
    uint64_t target;
    if (index >= 0) {
        account->intensity = (uint32_t)index + FLZ_INTENSITY_LOW;
        account->target = 0;
        return 0;
    }
    if (flz_parse_u64(value, 40, &target) < 0 || target == 0)
        return bad(msg, COLUMN_INTENSITY, value,
                   "is neither low, medium, high nor a number of messages a day (1 to 40)");
    account->intensity = 0;
    account->target = (uint32_t)target;
    return 0;
}

static int take_profile(const char *value, struct tz *tz, struct flz_account *account,
                        struct flz_msg *msg)
{
    (void)tz;
    static const char *const words[] = {"new", "existing", "low_use", "recovery"};
    int index = word_index(value, words, 4);
    if (index < 0)
        return bad(msg, COLUMN_PROFILE, value, "is none of new, existing, low_use, recovery");
    account->profile = (uint32_t)index + FLZ_PROFILE_NEW;
    return 0;
}

static int take_language(const char *value, struct tz *tz, struct flz_account *account,
                         struct flz_msg *msg)
{
    (void)tz;
    size_t len = strlen(value);
    if (len < 2 || len > 3 || strspn(value, "abcdefghijklmnopqrstuvwxyz") != len)
        return bad(msg, COLUMN_LANGUAGE, value, "is not a language code; write en or fr");
    return flz_text_copy(account->language, sizeof account->language, value);
}

static int take_volume(const char *value, struct tz *tz, struct flz_account *account,
                       struct flz_msg *msg)
{
    uint64_t volume;
    (void)tz;
    if (flz_parse_u64(value, 100000, &volume) < 0)
        return bad(msg, COLUMN_VOLUME, value, "is not a number of own messages a day");
    account->volume = (uint32_t)volume;
    return 0;
}

static int take_holidays(const char *value, struct tz *tz, struct flz_account *account,
                         struct flz_msg *msg)
{
    char country[FLZ_COUNTRY_MAX] = "";
    (void)tz;
    if (flz_ascii_equal_nocase(value, "none"))
        value = "";
    for (size_t i = 0; value[i] && i + 1 < sizeof country; i++)
        country[i] = value[i] >= 'a' && value[i] <= 'z' ? (char)(value[i] - 'a' + 'A') : value[i];
    int r =
        value[0] ? flz_holidays_check(strlen(value) < sizeof country ? country : value, msg) : 0;
    if (r < 0) {
        flz_msg_wrap(msg, "holidays");
        return r;
    }
    memcpy(account->days_off.holidays, country, sizeof country);
    return 0;
}

static int take_blackout(const char *value, struct tz *tz, struct flz_account *account,
                         struct flz_msg *msg)
{
    (void)tz;
    int r = flz_away_parse(value, account->days_off.away, msg);
    if (r < 0)
        flz_msg_wrap(msg, "blackout");
    return r;
}

/* What an account's owner may change at any time: the columns that say when, how much, and in which
 * language it writes. */
static const struct setting {
    enum row_column column;
    const char *fallback;
    int (*take)(const char *value, struct tz *tz, struct flz_account *account, struct flz_msg *msg);
} settings[] = {
    {COLUMN_TIMEZONE, "Etc/UTC", take_zone}, {COLUMN_HOURS, "09:00-18:00", take_hours},
    {COLUMN_DAYS, "Mon-Fri", take_days},     {COLUMN_INTENSITY, "medium", take_intensity},
    {COLUMN_PROFILE, "new", take_profile},   {COLUMN_LANGUAGE, "en", take_language},
    {COLUMN_VOLUME, "0", take_volume},       {COLUMN_HOLIDAYS, "", take_holidays},
    {COLUMN_BLACKOUT, "", take_blackout},
};

#define SETTINGS_COUNT (sizeof settings / sizeof *settings)
static_assert(SETTINGS_COUNT == ROW_SETTINGS, "row_settings() names each");

void row_settings(const char *ret_names[static ROW_SETTINGS])
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        ret_names[i] = names[settings[i].column];
}

int row_set(const char *setting, const char *value, struct tz *tz, struct flz_account *account,
            struct flz_msg *msg)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(names[settings[i].column], setting) == 0)
            return settings[i].take(value, tz, account, msg);
    flz_msg_set(msg, "'%.40s' is no setting of an account", setting);
    return flz_fail(-ENOENT);
}

static int take_server(const char *value, enum row_column column, struct endpoint *endpoint,
                       char *url, struct flz_msg *msg)
{
    int r = endpoint_parse(value, endpoint, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "%s", names[column]);
        return r;
    }
    bool smtp = endpoint->scheme == CONN_SMTP || endpoint->scheme == CONN_SMTPS;
    if (smtp != (column == COLUMN_SMTP))
        return bad(msg, column, value, "is the other kind of server");
    return take_text(msg, column, value, url, MEMBER_URL_MAX);
}

/* ---- The row ---- */

static const char *value_of(const struct row_columns *columns, char **fields, size_t count,
                            enum row_column column, const char *fallback)
{
    int index = columns->index[column];
    return index >= 0 && (size_t)index < count && fields[index][0] ? fields[index] : fallback;
}

static int take_address(const char *value, struct row *row, struct flz_msg *msg)
{
    if (flz_address_parse(value, &row->address) < 0)
        return bad(msg, COLUMN_ADDRESS, value, "is not a plain mail address");
    if (flz_address_is_role(&row->address))
        return bad(msg, COLUMN_ADDRESS, value,
                   "is a role, not a person; role addresses are never warmed");
    flz_address_normal(&row->address, row->record.account.address);
    return 0;
}

static int take_password(const struct row_columns *columns, char **fields, size_t count,
                         const struct provider *preset, struct row *row, struct flz_msg *msg)
{
    int index = columns->index[COLUMN_PASSWORD];
    bool empty = index < 0 || (size_t)index >= count || fields[index][0] == '\0';
    if (empty && preset && preset->login == PROVIDER_MICROSOFT) {
        row->record.login = MEMBER_LOGIN_TOKEN;
        return 0;
    }
    if (empty) {
        flz_msg_set(msg, "password: is empty; accounts of Microsoft 365 have none: name the "
                         "provider microsoft365, and sign in afterwards");
        return flz_fail(-EINVAL);
    }
    int r = flz_secret_copy(flz_view_str(fields[index]), &row->password);
    sodium_memzero(fields[index], strlen(fields[index]));
    return r;
}

static int take_settings(const struct row_columns *columns, char **fields, size_t count,
                         struct tz *tz, struct row *row, struct flz_msg *msg)
{
    struct flz_account *account = &row->record.account;
#define VALUE(column, fallback) value_of(columns, fields, count, column, fallback)
    int r = take_text(msg, COLUMN_OWNER, VALUE(COLUMN_OWNER, flz_address_domain(&row->address)),
                      account->owner, sizeof account->owner);
    if (r == 0)
        r = take_text(msg, COLUMN_PROVIDER, VALUE(COLUMN_PROVIDER, ""), account->provider,
                      sizeof account->provider);
    for (size_t i = 0; i < SETTINGS_COUNT && r == 0; i++) {
        const struct setting *s = &settings[i];
        r = s->take(VALUE(s->column, s->fallback), tz, account, msg);
    }
    return r;
}

static int take_servers(const struct row_columns *columns, char **fields, size_t count,
                        const struct provider *preset, struct row *row, struct flz_msg *msg)
{
    const char *smtp = VALUE(COLUMN_SMTP, preset ? preset->smtp : "");
    const char *imap = VALUE(COLUMN_IMAP, preset ? preset->imap : "");
    int r = take_server(smtp, COLUMN_SMTP, &row->smtp, row->record.smtp_url, msg);
    if (r == 0)
        r = take_server(imap, COLUMN_IMAP, &row->imap, row->record.imap_url, msg);
    if (r == 0)
        r = take_text(msg, COLUMN_USER, VALUE(COLUMN_USER, row->address.text), row->record.user,
                      sizeof row->record.user);
    return r;
#undef VALUE
}

int row_read(const struct row_columns *columns, char **fields, size_t count, int line,
             const struct row_tables *tables, struct row *ret_row, struct flz_msg *msg)
{
    const char *named = value_of(columns, fields, count, COLUMN_PROVIDER, "");
    const struct provider *preset =
        tables->providers ? providers_named(tables->providers, named) : NULL;
    struct row *row = ret_row;
    *row = (struct row){.line = line,
                        .record = {.version = JOURNAL_VERSION, .login = MEMBER_LOGIN_PASSWORD}};
    row->keeps_holidays = columns->index[COLUMN_HOLIDAYS] < 0;
    row->keeps_blackout = columns->index[COLUMN_BLACKOUT] < 0;
    int r = take_password(columns, fields, count, preset, row, msg);
    if (r == 0)
        r = take_address(value_of(columns, fields, count, COLUMN_ADDRESS, ""), row, msg);
    if (r == 0)
        r = take_servers(columns, fields, count, preset, row, msg);
    if (r == 0)
        r = take_settings(columns, fields, count, tables->tz, row, msg);
    return r;
}
