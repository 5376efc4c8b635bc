#include "common/sys/tz.h"

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ZONES "/usr/share/zoneinfo"
#define ZONES_INDEX ZONES "/tzdata.zi"
#define INDEX_SIZE_MAX (1024 * 1024)
#define NAMES_MAX 1024

#define DAY_S 86400
#define MINUTE_S 60

/* Years 1 to 9999: what GLib reckons with, and far from the ends of int64. */
#define DAY_MIN (-719162)
#define DAY_MAX 2932896

/* What tells one installed set of zones from the next. */
struct stamp {
    int64_t dir_s, dir_ns;
    int64_t index_s, index_ns, index_size;
    uint64_t index_inode;
};

struct tz {
    GHashTable *zones; /* name → GTimeZone, both owned: a zone without a reference is read anew */
    struct stamp stamp;
};

static struct stamp look(void)
{
    struct stamp stamp = {0};
    struct stat st;
    if (stat(ZONES, &st) == 0) {
        stamp.dir_s = st.st_mtim.tv_sec;
        stamp.dir_ns = st.st_mtim.tv_nsec;
    }
    if (stat(ZONES_INDEX, &st) == 0) {
        stamp.index_s = st.st_mtim.tv_sec;
        stamp.index_ns = st.st_mtim.tv_nsec;
        stamp.index_size = st.st_size;
        stamp.index_inode = st.st_ino;
    }
    return stamp;
}

static void unref_zone(gpointer zone)
{
    g_time_zone_unref(zone);
}

int tz_new(struct tz **ret_tz)
{
    struct tz *tz = calloc(1, sizeof *tz);
    if (!tz)
        return flz_fail(-ENOMEM);
    tz->zones = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, unref_zone);
    tz->stamp = look();
    *ret_tz = tz;
    return 0;
}

struct tz *tz_free(struct tz *tz)
{
    if (!tz)
        return NULL;
    g_hash_table_destroy(tz->zones);
    free(tz);
    return NULL;
}

bool tz_refresh(struct tz *tz)
{
    struct stamp stamp = look();
    if (memcmp(&stamp, &tz->stamp, sizeof stamp) == 0)
        return false;
    g_hash_table_remove_all(tz->zones);
    tz->stamp = stamp;
    return true;
}

/* ---- Names ---- */

/* A name of the IANA list, not an offset or a rule (which GLib reads too), nor a path elsewhere,
 * nor a zone that is another one on the next machine or counts leap seconds. */
static bool name_is_plain(const char *zone)
{
    static const char *const others[] = {"posix/", "right/", "localtime", "posixrules"};
    size_t len = strlen(zone);
    if (len == 0 || len >= TZ_NAME_MAX || zone[0] == '/' || strstr(zone, ".."))
        return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strncmp(zone, others[i], strlen(others[i])) == 0)
            return false;
    return strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
           len;
}

/* True when a zone file of that name is there, whole enough for GLib to accept it. */
static bool zone_file_exists(const char *zone)
{
    char path[sizeof ZONES + 1 + TZ_NAME_MAX];
    (void)snprintf(path, sizeof path, ZONES "/%s", zone);
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char magic[4] = "";
    bool ok = fread(magic, sizeof magic, 1, file) == 1 && memcmp(magic, "TZif", 4) == 0;
    (void)fclose(file);
    return ok;
}

static GTimeZone *load(struct tz *tz, const char *zone)
{
    GTimeZone *found = g_hash_table_lookup(tz->zones, zone);
    if (found || !name_is_plain(zone) || !zone_file_exists(zone))
        return found;
    found = g_time_zone_new_identifier(zone);
    if (found)
        g_hash_table_insert(tz->zones, g_strdup(zone), found);
    return found;
}

/* The name that a line of tzdata.zi defines ("Z NAME offset …", "L TARGET NAME"), cut out in
 * place; NULL for any other line. */
static const char *defined_name(char *line)
{
    char *rest = line;
    const char *kind = strsep(&rest, " ");
    if (!rest || (strcmp(kind, "Z") != 0 && strcmp(kind, "L") != 0))
        return NULL;
    const char *name = strsep(&rest, " ");
    return kind[0] == 'L' ? strsep(&rest, " ") : name;
}

static void say_unknown(const char *zone, struct flz_msg *msg)
{
    flz_msg_set(msg, "unknown time zone \"%s\"", zone);
    _cleanup_(flz_buf_deinit) struct flz_buf index = FLZ_BUF_NULL;
    if (!msg || fsutil_read(ZONES_INDEX, INDEX_SIZE_MAX, &index, NULL) < 0)
        return;
    flz_buf_add_byte(&index, '\0');
    if (flz_buf_error(&index) < 0)
        return;
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (char *rest = (char *)index.data; rest && n < NAMES_MAX;) {
        const char *name = defined_name(strsep(&rest, "\n"));
        if (name)
            names[n++] = name;
    }
    const char *near = flz_did_you_mean(zone, names, n);
    if (near)
        flz_msg_set(msg, "unknown time zone \"%s\" (did you mean \"%s\"?)", zone, near);
}

int tz_check(struct tz *tz, const char *zone, struct flz_msg *msg)
{
    if (load(tz, zone))
        return 0;
    say_unknown(zone, msg);
    return flz_fail(-EINVAL);
}

/* ---- Reckoning, in seconds ---- */

static int32_t offset_at(GTimeZone *zone, int64_t utc)
{
    gint interval = g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, utc);
    return g_time_zone_get_offset(zone, interval);
}

enum reading { EARLIER, LATER };

/* The first second in (low, high] that no longer has the offset of `low`. */
static int64_t find_jump(GTimeZone *zone, int64_t low, int64_t high)
{
    int32_t before = offset_at(zone, low);
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (offset_at(zone, middle) == before)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/*
 * The instant at which clocks show `local`. Only offsets are asked for: which side of a jump is
 * "daylight saving" differs between zones (Dublin's winter is) and decides nothing.
 */
static int64_t to_utc(GTimeZone *zone, int64_t local, enum reading reading)
{
    int32_t before = offset_at(zone, local - DAY_S);
    int32_t after = offset_at(zone, local + DAY_S);
    bool before_fits = offset_at(zone, local - before) == before;
    bool after_fits = offset_at(zone, local - after) == after;
    if (before_fits && (!after_fits || reading == EARLIER))
        return local - before;
    if (after_fits || after <= before)
        return local - after;
    return find_jump(zone, local - after - 1, local - before);
}

static int64_t local_midnight(int32_t day)
{
    return (int64_t)day * DAY_S;
}

static bool day_is_usable(int32_t day)
{
    return day >= DAY_MIN && day < DAY_MAX;
}

static bool instant_is_usable(int64_t at)
{
    return at >= DAY_MIN * FLZ_DAY_MS && at < DAY_MAX * FLZ_DAY_MS;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The end of the window's local time. 24:00 is the edge of the day, and where clocks go back over
 * midnight that is its first reading: a window does not reach into the next day unasked. */
static int64_t window_end(GTimeZone *zone, int32_t day, const struct tz_hours *hours)
{
    if (hours->end_minute == TZ_DAY_MINUTES && hours->start_minute < TZ_DAY_MINUTES)
        return to_utc(zone, local_midnight(day + 1), EARLIER);
    int32_t end_day = hours->end_minute <= hours->start_minute ? day + 1 : day;
    return to_utc(zone, local_midnight(end_day) + (int64_t)hours->end_minute * MINUTE_S, LATER);
}

int tz_window(struct tz *tz, const char *name, int32_t day, struct tz_hours hours,
              struct tz_window *ret_window)
{
    GTimeZone *zone = load(tz, name);
    if (!zone || !day_is_usable(day) || hours.start_minute < 0 ||
        hours.start_minute >= TZ_DAY_MINUTES || hours.end_minute < 1 ||
        hours.end_minute > TZ_DAY_MINUTES)
        return flz_fail(-EINVAL);
    if (!(hours.days & TZ_DAY((unsigned)flz_date_weekday(day))))
        return TZ_E_OFF;

    int64_t local = local_midnight(day) + (int64_t)hours.start_minute * MINUTE_S;
    int64_t start = to_utc(zone, local, LATER);
    int64_t end = window_end(zone, day, &hours);
    if (end <= start)
        return TZ_E_OFF;
    *ret_window = (struct tz_window){.start = start * FLZ_SECOND_MS, .end = end * FLZ_SECOND_MS};
    return 0;
}

int tz_next_window(struct tz *tz, const char *zone, int64_t at, struct tz_hours hours,
                   struct tz_window *ret_window)
{
    int32_t today;
    int r = tz_local_day(tz, zone, at, &today);
    /* One that began yesterday may reach across midnight. */
    for (int32_t day = today - 1; r == 0 && day <= today + 8; day++) {
        struct tz_window window;
        r = tz_window(tz, zone, day, hours, &window);
        if (r == 0 && at < window.end) {
            *ret_window = window;
            return 0;
        }
        r = r == TZ_E_OFF ? 0 : r;
    }
    return r == 0 ? TZ_E_OFF : r;
}

int tz_day(struct tz *tz, const char *name, int32_t day, struct tz_window *ret_window)
{
    GTimeZone *zone = load(tz, name);
    if (!zone || !day_is_usable(day))
        return flz_fail(-EINVAL);
    *ret_window = (struct tz_window){
        .start = to_utc(zone, local_midnight(day), EARLIER) * FLZ_SECOND_MS,
        .end = to_utc(zone, local_midnight(day + 1), EARLIER) * FLZ_SECOND_MS,
    };
    return 0;
}

int tz_local_day(struct tz *tz, const char *name, int64_t at, int32_t *ret_day)
{
    GTimeZone *zone = load(tz, name);
    if (!zone || !instant_is_usable(at))
        return flz_fail(-EINVAL);
    int64_t utc = floor_div(at, FLZ_SECOND_MS);
    *ret_day = (int32_t)floor_div(utc + offset_at(zone, utc), DAY_S);
    return 0;
}

int tz_offset_minutes(struct tz *tz, const char *name, int64_t at, int *ret_minutes)
{
    GTimeZone *zone = load(tz, name);
    if (!zone || !instant_is_usable(at))
        return flz_fail(-EINVAL);
    *ret_minutes = offset_at(zone, floor_div(at, FLZ_SECOND_MS)) / MINUTE_S;
    return 0;
}
