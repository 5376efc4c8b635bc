#include "tests/sim/plan_world.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "common/base/time.h"
#include "coordinator/core/ramp.h"
#include "tests/sim/plan_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_DATE 20780 /* a Monday: 2026-11-23 */
#define OFFSETS_MAX 26
#define MONDAY_TO_FRIDAY 0x1f
#define EVERY_DAY 0x7f

/* A resident: the account, its civil time, its ramp and its books by day of the run. */
struct resident {
    uint32_t node, domain, owner, language, days;
    int offset; /* minutes east of UTC */
    int start_minute;
    int minutes; /* length of its hours */
    struct ramp_settings settings;
    struct ramp_state ramp;
    bool away; /* today neither sends nor receives */
    uint32_t *quota;    /* as planned, by day */
    uint32_t *sent;     /* by day */
    uint32_t *received; /* by day */
    bool *planned;
    int64_t *busy;
    size_t busy_count, busy_capacity;
};

struct first {
    uint32_t from, to;
    int32_t date;
};

struct world {
    const struct world_settings *settings;
    struct flz_rng rng;
    struct policy policy;
    struct resident *residents;
    size_t count;
    int offsets[OFFSETS_MAX];
    size_t offsets_count;
    struct plan_contact *contacts; /* newest, sorted */
    size_t contacts_count, contacts_capacity;
    struct first *firsts; /* all, in order */
    size_t firsts_count, firsts_capacity;
    struct plan_account *accounts; /* scratch: the input of one unit */
    struct plan_pack packs[3];
    uint8_t turns[3][8];
    struct flz_hash hash;
    struct world_result result;
};

const char *world_shape_name(enum world_shape shape)
{
    static const char *const names[] = {"easy", "lab", "big-owner", "big-domain", "two-domains",
                                        "earth", "tiny", "odd-one", "hopeless", "narrow"};
    return shape < WORLD_SHAPES ? names[shape] : "?";
}

static void world_deinit(struct world *w)
{
    for (size_t i = 0; w->residents && i < w->count; i++) {
        struct resident *r = &w->residents[i];
        free(r->quota);
        free(r->sent);
        free(r->received);
        free(r->planned);
        free(r->busy);
    }
    free(w->residents);
    free(w->contacts);
    free(w->firsts);
    free(w->accounts);
}

static uint32_t below(struct world *w, uint32_t bound)
{
    return (uint32_t)flz_rng_below(&w->rng, bound);
}

/* ---- The pool ---- */

static size_t draw_size(struct world *w)
{
    if (w->settings->accounts)
        return w->settings->accounts;
    if (w->settings->shape == WORLD_LAB)
        return 48;
    if (w->settings->shape == WORLD_TINY)
        return 2 + below(w, 11);
    return 30 + below(w, 120);
}

static void set_offsets(struct world *w)
{
    static const int few[] = {60, 120, 0};
    if (w->settings->shape != WORLD_ROUND_THE_EARTH) {
        memcpy(w->offsets, few, sizeof(few));
        w->offsets_count = 3;
        return;
    }
    for (int i = 0; i < 24; i++)
        w->offsets[w->offsets_count++] = (13 - i) * 60 + (i % 5 == 2 ? 30 : 0);
}

static void set_owner_and_domain(struct world *w, struct resident *r, uint32_t i)
{
    uint32_t n = (uint32_t)w->count;
    uint32_t domains = 4 + n / 6;
    r->domain = below(w, domains);
    r->owner = r->domain;
    switch (w->settings->shape) {
    case WORLD_LAB:
        r->domain = r->owner = i % 12;
        break;
    case WORLD_BIG_OWNER:
        r->owner = i * 100 < n * 45 ? 1000 : r->domain;
        r->domain += i * 100 < n * 45 ? 500 : 0;
        break;
    case WORLD_BIG_DOMAIN: /* of many owners, as a freemail provider is; they have others as well */
        r->domain = i * 100 < n * 45 ? 1000 : r->domain;
        r->owner = 2000 + i % 9;
        break;
    case WORLD_TWO_DOMAINS:
        r->domain = r->owner = i % 2;
        break;
    case WORLD_ODD_ONE:
        r->owner = i % 3 ? r->domain : 77;
        break;
    case WORLD_HOPELESS:
        r->domain = w->settings->seed % 2 ? 5 : r->domain;
        r->owner = w->settings->seed % 2 ? i : 5;
        break;
    case WORLD_EASY:
    case WORLD_ROUND_THE_EARTH:
    case WORLD_TINY:
    case WORLD_NARROW:
    case WORLD_SHAPES:
        break;
    }
}

static void set_hours(struct world *w, struct resident *r, uint32_t i)
{
    r->offset = w->offsets[below(w, (uint32_t)w->offsets_count)];
    r->start_minute = 9 * 60;
    r->minutes = 9 * 60;
    r->days = EVERY_DAY;
    if (w->settings->shape == WORLD_EASY && i % 2)
        r->days = MONDAY_TO_FRIDAY;
    if (w->settings->shape == WORLD_ROUND_THE_EARTH && i % 7 == 0) {
        r->start_minute = 20 * 60; /* until 05:00 */
    }
    if (w->settings->shape == WORLD_NARROW) {
        r->minutes = 30 + (int)below(w, 240);
        r->start_minute = (int)below(w, 24 * 60);
        r->days = 1 + below(w, EVERY_DAY);
    }
}

static void set_ramp(struct world *w, struct resident *r)
{
    r->settings = (struct ramp_settings){.intensity = 2, .profile = 1, .days = r->days};
    if (w->settings->shape != WORLD_LAB) {
        r->settings.intensity = 1 + below(w, 3);
        r->settings.profile = 1 + below(w, 4);
        r->settings.target = below(w, 4) ? 0 : 1 + below(w, 40);
    }
    if (w->settings->steady) {
        struct ramp_settings *s = &r->settings;
        r->ramp.day = 100;
        r->ramp.reference = ramp_target(&r->ramp, s);
    }
}

static void make_residents(struct world *w)
{
    w->count = draw_size(w);
    w->residents = calloc(w->count, sizeof(*w->residents));
    w->accounts = calloc(w->count, sizeof(*w->accounts));
    for (uint32_t i = 0; i < w->count; i++) {
        struct resident *r = &w->residents[i];
        size_t days = (size_t)w->settings->days + PLAN_DAYS + 1;
        set_owner_and_domain(w, r, i);
        set_hours(w, r, i);
        r->node = r->owner % 3;
        r->language = w->settings->shape == WORLD_LAB ? i / 12 % 2 : below(w, 2);
        if (w->settings->shape == WORLD_ODD_ONE && i == 0)
            r->language = 2;
        if (w->settings->shape == WORLD_TINY || w->settings->shape == WORLD_TWO_DOMAINS)
            r->language = 0;
        set_ramp(w, r);
        r->quota = calloc(days, sizeof(*r->quota));
        r->sent = calloc(days, sizeof(*r->sent));
        r->received = calloc(days, sizeof(*r->received));
        r->planned = calloc(days, sizeof(*r->planned));
    }
}

static void make_packs(struct world *w)
{
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t s = 0; s < 8; s++)
            w->turns[i][s] = (uint8_t)(i == 2 ? s : 3 + s % 3);
        w->packs[i] = (struct plan_pack){
            .language = i, .scenarios = 8, .turns = w->turns[i], .digest.b = {(uint8_t)(i + 1)}};
    }
}

/* ---- One unit ---- */

static bool works(const struct resident *r, int32_t date)
{
    return r->days >> flz_date_weekday(date) & 1;
}

static int64_t midnight(const struct resident *r, int32_t date)
{
    return date * FLZ_DAY_MS - r->offset * FLZ_MINUTE_MS;
}

/* The most first messages the pool can carry for it: eligible ÷ cooldown. */
static uint32_t pool_max(const struct world *w, uint32_t i)
{
    const struct resident *a = &w->residents[i];
    uint32_t eligible = 0;
    for (size_t j = 0; j < w->count; j++) {
        const struct resident *b = &w->residents[j];
        eligible += b->language == a->language && b->domain != a->domain && b->owner != a->owner;
    }
    return plan_pool_max(&w->policy, eligible);
}

static void fill_day(const struct world *w, struct plan_account *a, const struct resident *r,
                     int day, int32_t date)
{
    int index = date - FIRST_DATE + day;
    if (!works(r, date + day) || r->away)
        return;
    a->window_start[day] = midnight(r, date + day) + r->start_minute * FLZ_MINUTE_MS;
    a->window_end[day] = a->window_start[day] + r->minutes * FLZ_MINUTE_MS;
    uint32_t i = (uint32_t)(r - w->residents);
    a->quota[day] = r->planned[index] ? r->quota[index]
                                      : ramp_quota(&r->ramp, &r->settings, &w->policy,
                                                   pool_max(w, i));
    a->reserved[day] = r->sent[index];
    uint32_t most = a->quota[day] * (uint32_t)w->policy.inbound_percent / 100;
    a->inbound_taken[day] = r->received[index];
    if (day == 0)
        a->inbound_max = most > r->received[index] ? most - r->received[index] : 0;
}

static void fill_account(const struct world *w, uint32_t i, int offset, int32_t date)
{
    const struct resident *r = &w->residents[i];
    struct plan_account *a = &w->accounts[i];
    *a = (struct plan_account){
        .handle = 10 + 3 * i,
        .node = r->node,
        .domain = r->domain,
        .owner = r->owner,
        .language = r->language,
        .days = r->days == EVERY_DAY ? 0 : r->days,
        .sends = r->offset == offset && !r->away && works(r, date),
        .receives = !r->away,
        .busy = r->busy,
        .busy_count = r->busy_count,
    };
    for (int day = 0; day < PLAN_DAYS; day++)
        fill_day(w, a, r, day, date);
}

/* Puts a time into a resident's ascending list; most come near its end. */
static void add_busy(struct resident *r, int64_t at)
{
    (void)flz_grow((void **)&r->busy, &r->busy_capacity, r->busy_count + 1, sizeof(*r->busy));
    size_t i = r->busy_count++;
    for (; i > 0 && r->busy[i - 1] > at; i--)
        r->busy[i] = r->busy[i - 1];
    r->busy[i] = at;
}

static int compare_contacts(const void *left, const void *right)
{
    const struct plan_contact *a = left;
    const struct plan_contact *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

static void book_contact(struct world *w, struct plan_contact contact)
{
    size_t low = 0;
    size_t high = w->contacts_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_contacts(&w->contacts[middle], &contact) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < w->contacts_count && compare_contacts(&w->contacts[low], &contact) == 0) {
        w->contacts[low].date = contact.date;
        return;
    }
    (void)flz_grow((void **)&w->contacts, &w->contacts_capacity, w->contacts_count + 1,
                   sizeof(contact));
    memmove(w->contacts + low + 1, w->contacts + low,
            (w->contacts_count++ - low) * sizeof(contact));
    w->contacts[low] = contact;
}

static void book_first(struct world *w, const struct plan_exchange *x, int32_t date)
{
    (void)flz_grow((void **)&w->firsts, &w->firsts_capacity, w->firsts_count + 1,
                   sizeof(*w->firsts));
    w->firsts[w->firsts_count++] = (struct first){.from = x->from, .to = x->to, .date = date};
    w->result.same_owner += x->same_owner;
    book_contact(w, (struct plan_contact){.from = x->from, .to = x->to, .date = date});
}

static void book_turn(struct world *w, const struct plan_exchange *x, uint32_t n)
{
    const struct plan_turn *t = &x->turns[n];
    struct resident *s = &w->residents[((n % 2 ? x->to : x->from) - 10) / 3];
    struct resident *r = &w->residents[((n % 2 ? x->from : x->to) - 10) / 3];
    int index = t->date - FIRST_DATE;
    if (!s->planned[index] && s->quota[index] < t->day_cap)
        s->quota[index] = t->day_cap;
    s->sent[index]++;
    r->received[t->open_date - FIRST_DATE]++;
    add_busy(s, t->send_at);
}

static void book(struct world *w, const struct plan_read *output, int32_t date)
{
    for (size_t i = 0; i < output->exchanges_count; i++) {
        const struct plan_exchange *x = &output->exchanges[i];
        book_first(w, x, date);
        for (uint32_t n = 0; n < x->turns_count; n++) {
            book_turn(w, x, n);
            flz_hash_add_u64(&w->hash, (uint64_t)x->turns[n].send_at);
            flz_hash_add_u64(&w->hash, (uint64_t)x->turns[n].open_at);
        }
        flz_hash_add_u64(&w->hash, (uint64_t)x->from << 32 | x->to);
        flz_hash_add_u64(&w->hash, x->seed ^ x->scenario);
        w->result.firsts++;
        w->result.replies += x->turns_count - 1;
        w->result.answered += x->turns_count > 1;
    }
}

/* Everyone of the unit has its day fixed now, whoever writes to it later today. */
static void fix_quotas(struct world *w, int32_t date)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct resident *r = &w->residents[i];
        if (!w->accounts[i].sends)
            continue;
        r->quota[date - FIRST_DATE] = w->accounts[i].quota[0];
        r->planned[date - FIRST_DATE] = true;
    }
}

static int same_bytes(const struct plan_read *a, const struct plan_read *b)
{
    return a->exchanges_count == b->exchanges_count &&
           a->shortfalls_count == b->shortfalls_count &&
           (a->exchanges_count == 0 ||
            memcmp(a->exchanges, b->exchanges, a->exchanges_count * sizeof(*a->exchanges)) == 0) &&
           (a->shortfalls_count == 0 ||
            memcmp(a->shortfalls, b->shortfalls,
                   a->shortfalls_count * sizeof(*a->shortfalls)) == 0);
}

static int run_unit(struct world *w, int offset, int32_t date, int64_t now, struct flz_msg *ret_msg)
{
    for (uint32_t i = 0; i < w->count; i++)
        fill_account(w, i, offset, date);
    struct plan_input input = {
        .date = date,
        .now = now,
        .policy = &w->policy,
        .accounts = w->accounts,
        .accounts_count = w->count,
        .contacts = w->contacts,
        .contacts_count = w->contacts_count,
        .packs = w->packs,
        .packs_count = w->settings->shape == WORLD_ODD_ONE && w->settings->seed % 3 == 0 ? 1 : 3,
        .seed = w->settings->seed + (uint64_t)(int64_t)offset,
    };
    _cleanup_(plan_read_deinit) struct plan_read output = PLAN_READ_NULL;
    _cleanup_(plan_read_deinit) struct plan_read again = PLAN_READ_NULL;
    int r = plan_read_day(&input, &output);
    if (r == 0)
        r = plan_read_day(&input, &again);
    if (r < 0)
        return r;
    if (!same_bytes(&output, &again)) {
        flz_msg_set(ret_msg, "the same input gave two plans");
        return -EPROTO;
    }
    if (plan_check(&input, &output, ret_msg) != 0)
        return -EPROTO;
    fix_quotas(w, date);
    book(w, &output, date);
    return 0;
}

/* ---- Days ---- */

static int run_date(struct world *w, int32_t date, struct flz_msg *ret_msg)
{
    for (size_t i = 0; i < w->count; i++)
        w->residents[i].away = w->settings->faults && below(w, 12) == 0;
    for (size_t i = 0; i < w->offsets_count; i++) {
        int64_t now = date * FLZ_DAY_MS - w->offsets[i] * FLZ_MINUTE_MS - FLZ_HOUR_MS;
        if (w->settings->faults && below(w, 4) == 0)
            now += below(w, 20) * FLZ_HOUR_MS;
        int r = run_unit(w, w->offsets[i], date, now, ret_msg);
        if (r < 0) {
            flz_msg_wrap(ret_msg, "shape %s seed %llu day %d offset %d",
                         world_shape_name(w->settings->shape),
                         (unsigned long long)w->settings->seed, date - FIRST_DATE, w->offsets[i]);
            return r;
        }
    }
    return 0;
}

static void close_date(struct world *w, int32_t date)
{
    for (size_t i = 0; i < w->count; i++) {
        struct resident *r = &w->residents[i];
        int index = date - FIRST_DATE;
        bool met;
        if (!r->planned[index])
            continue;
        w->result.quota += r->quota[index];
        w->result.sent += r->sent[index];
        r->ramp = ramp_close(&r->ramp, &r->settings, &w->policy, date, r->quota[index],
                             r->sent[index], r->quota[index], &met);
    }
}

/* ---- The ledger, across units and days ---- */

static int compare_firsts(const void *left, const void *right)
{
    const struct first *a = left;
    const struct first *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->date < b->date ? -1 : a->date > b->date;
}

static int check_ledger(struct world *w, struct flz_msg *ret_msg)
{
    if (w->firsts_count > 0)
        qsort(w->firsts, w->firsts_count, sizeof(*w->firsts), compare_firsts);
    for (size_t i = 1; i < w->firsts_count; i++) {
        const struct first *a = &w->firsts[i - 1];
        const struct first *b = &w->firsts[i];
        uint32_t days = w->residents[(a->from - 10) / 3].days;
        if (a->from == b->from && a->to == b->to &&
            plan_check_sending_days(days, a->date, b->date) < (int)w->policy.cooldown_days) {
            flz_msg_set(ret_msg, "ledger: %u wrote to %u on %d and on %d", a->from, a->to,
                        a->date - FIRST_DATE, b->date - FIRST_DATE);
            return -EPROTO;
        }
        struct first back = {.from = a->to, .to = a->from, .date = a->date};
        if (bsearch(&back, w->firsts, w->firsts_count, sizeof(back), compare_firsts)) {
            flz_msg_set(ret_msg, "ledger: %u and %u both began on %d", a->from, a->to,
                        a->date - FIRST_DATE);
            return -EPROTO;
        }
    }
    for (size_t i = 0; i < w->count; i++) {
        const struct resident *r = &w->residents[i];
        for (int day = 0; day < w->settings->days; day++)
            if (r->planned[day] && r->sent[day] > r->quota[day]) {
                flz_msg_set(ret_msg, "ledger: #%zu sent %u of %u on day %d", i, r->sent[day],
                            r->quota[day], day);
                return -EPROTO;
            }
        for (size_t j = 1; j < r->busy_count; j++)
            if (r->busy[j] - r->busy[j - 1] < w->policy.spacing_ms) {
                flz_msg_set(ret_msg, "ledger: #%zu sent twice within the spacing", i);
                return -EPROTO;
            }
    }
    return 0;
}

int world_run(const struct world_settings *settings, struct world_result *ret_result,
              struct flz_msg *ret_msg)
{
    _cleanup_(world_deinit) struct world w = {.settings = settings, .policy = policy_default()};
    struct flz_view name = flz_view_str("plan world");
    flz_rng_init(&w.rng, name, settings->seed * WORLD_SHAPES + settings->shape);
    flz_hash_init(&w.hash);
    w.policy.cooldown_days = settings->cooldown ? settings->cooldown : 1 + below(&w, 6);
    if (settings->shape == WORLD_BIG_OWNER || settings->shape == WORLD_HOPELESS)
        w.policy.same_owner_percent = below(&w, 2) * 20;
    set_offsets(&w);
    make_packs(&w);
    make_residents(&w);

    for (int32_t date = FIRST_DATE; date < FIRST_DATE + settings->days; date++) {
        int r = run_date(&w, date, ret_msg);
        if (r < 0)
            return r;
        close_date(&w, date);
    }
    if (check_ledger(&w, ret_msg) < 0) {
        flz_msg_wrap(ret_msg, "shape %s seed %llu", world_shape_name(settings->shape),
                     (unsigned long long)settings->seed);
        return -EPROTO;
    }
    struct flz_digest digest = flz_hash_digest(&w.hash);
    w.result.hash = flz_be64(digest.b);
    w.result.fill = w.result.quota ? (double)w.result.sent / (double)w.result.quota : 1;
    *ret_result = w.result;
    return 0;
}
