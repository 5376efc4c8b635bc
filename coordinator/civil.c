#include "coordinator/civil.h"

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What accounts of one zone, with the same hours, days and days off, share. */
struct kind {
    char zone[sizeof(((struct row_account *)0)->zone)];
    struct tz_hours hours;
    struct flz_days_off days_off;
    struct civil_unit unit;
    int64_t day_end;
    int32_t date; /* of `windows`, when has_windows */
    bool has_windows;
    struct coord_window windows[COORD_WINDOW_DAYS];
};

struct civil {
    struct tz *tz;
    int64_t at;
    struct kind *kinds; /* owned */
    size_t count;
    size_t capacity;
    struct flz_map index; /* hash of a kind, and a number against collisions → its place */
};

int civil_new(struct tz *tz, struct civil **ret_civil)
{
    struct civil *civil = calloc(1, sizeof *civil);
    if (!civil)
        return flz_fail(-ENOMEM);
    civil->tz = tz;
    civil->index = FLZ_MAP_NULL;
    *ret_civil = civil;
    return 0;
}

struct civil *civil_free(struct civil *civil)
{
    if (!civil)
        return NULL;
    free(civil->kinds);
    flz_map_deinit(&civil->index);
    free(civil);
    return NULL;
}

void civil_look(struct civil *civil, int64_t at)
{
    civil->at = at;
    civil->count = 0;
    flz_map_deinit(&civil->index);
    civil->index = FLZ_MAP_NULL;
}

static struct tz_hours hours_of(const struct row_account *account)
{
    return (struct tz_hours){.start_minute = (int)account->start_minute,
                             .end_minute = (int)account->end_minute,
                             .days = account->days};
}

/* FNV-1a: quick, and good enough for what is compared afterwards. */
static uint64_t hash_of(const struct row_account *account)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *c = account->zone; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    const uint32_t numbers[] = {account->start_minute, account->end_minute, account->days};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        hash = (hash ^ numbers[i]) * 1099511628211u;
    const struct flz_days_off *off = &account->days_off;
    for (const char *c = off->holidays; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    for (size_t i = 0; i < FLZ_AWAY_MAX; i++)
        hash =
            ((hash ^ (uint32_t)off->away[i].first) * 1099511628211u ^ (uint32_t)off->away[i].last) *
            1099511628211u;
    return hash;
}

static bool is_of(const struct kind *kind, const struct row_account *account)
{
    return kind->hours.start_minute == (int)account->start_minute &&
           kind->hours.end_minute == (int)account->end_minute &&
           kind->hours.days == account->days && strcmp(kind->zone, account->zone) == 0 &&
           strcmp(kind->days_off.holidays, account->days_off.holidays) == 0 &&
           memcmp(kind->days_off.away, account->days_off.away, sizeof kind->days_off.away) == 0;
}

static int add_kind(struct civil *civil, const struct row_account *account, struct flz_id key,
                    struct kind **ret_kind)
{
    struct kind kind = {.hours = hours_of(account), .days_off = account->days_off};
    struct tz_window day;
    memcpy(kind.zone, account->zone, sizeof kind.zone);
    int r = tz_local_day(civil->tz, kind.zone, civil->at, &kind.unit.date);
    if (r == 0)
        r = tz_offset_minutes(civil->tz, kind.zone, civil->at, &kind.unit.offset_minutes);
    if (r == 0)
        r = tz_day(civil->tz, kind.zone, kind.unit.date, &day);
    if (r == 0)
        r = flz_grow((void **)&civil->kinds, &civil->capacity, civil->count + 1,
                     sizeof *civil->kinds);
    if (r == 0)
        r = flz_map_set(&civil->index, key, (uint32_t)civil->count);
    if (r < 0)
        return r;
    kind.day_end = day.end;
    civil->kinds[civil->count] = kind;
    *ret_kind = &civil->kinds[civil->count++];
    return 0;
}

static int kind_of(struct civil *civil, const struct row_account *account, struct kind **ret_kind)
{
    struct flz_id key = FLZ_ID_NULL;
    flz_put_be64(key.b, hash_of(account));
    for (uint64_t n = 0;; n++) {
        flz_put_be64(key.b + 8, n);
        uint32_t i = flz_map_get(&civil->index, key);
        if (i == FLZ_MAP_NONE)
            return add_kind(civil, account, key, ret_kind);
        if (is_of(&civil->kinds[i], account)) {
            *ret_kind = &civil->kinds[i];
            return 0;
        }
    }
}

int civil_unit_of(struct civil *civil, const struct row_account *account,
                  struct civil_unit *ret_unit, int64_t *ret_day_end)
{
    struct kind *kind;
    int r = kind_of(civil, account, &kind);
    if (r < 0)
        return r;
    *ret_unit = kind->unit;
    *ret_day_end = kind->day_end;
    return 0;
}

static void fill_windows(struct civil *civil, struct kind *kind, int32_t date)
{
    for (int i = 0; i < COORD_WINDOW_DAYS; i++) {
        struct tz_window window;
        kind->windows[i] = (struct coord_window){.start = 0};
        if (!flz_is_day_off(&kind->days_off, date + i) &&
            tz_window(civil->tz, kind->zone, date + i, kind->hours, &window) == 0)
            kind->windows[i] = (struct coord_window){.start = window.start, .end = window.end};
    }
    kind->date = date;
    kind->has_windows = true;
}

int civil_windows(struct civil *civil, const struct row_account *account, int32_t date,
                  struct coord_window ret_windows[COORD_WINDOW_DAYS])
{
    struct kind *kind;
    int r = kind_of(civil, account, &kind);
    if (r < 0)
        return r;
    if (!kind->has_windows || kind->date != date)
        fill_windows(civil, kind, date);
    memcpy(ret_windows, kind->windows, sizeof kind->windows);
    return 0;
}

size_t civil_kinds(const struct civil *civil)
{
    return civil->count;
}
