#include "tests/sim/plan_check.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"

#include <stdlib.h>

#define BROKEN(rule, ...)                                                                          \
    do {                                                                                           \
        flz_msg_set(ret_msg, __VA_ARGS__);                                                         \
        return rule;                                                                               \
    } while (0)

/* A day that ends no later than this after the sender's hours may be too late for its last
 * messages. */
#define LATE_MS FLZ_HOUR_MS

/* One message of one account, as the output has it. */
struct sent {
    size_t from;
    int64_t at;
};

struct checker {
    const struct plan_input *input;
    uint32_t *sent[PLAN_DAYS]; /* messages of this plan, by account and day */
    uint32_t *received[PLAN_DAYS];
    uint32_t *flagged;
    struct sent *times; /* all planned and busy times */
    size_t times_count;
};

static void checker_deinit(struct checker *c)
{
    for (int day = 0; day < PLAN_DAYS; day++) {
        free(c->sent[day]);
        free(c->received[day]);
    }
    free(c->flagged);
    free(c->times);
}

static void checker_init(struct checker *c, const struct plan_input *input,
                         const struct plan_read *output)
{
    size_t n = input->accounts_count + 1;
    size_t times = 1 + output->exchanges_count * FLZ_TURNS_MAX;
    for (size_t i = 0; i < input->accounts_count; i++)
        times += input->accounts[i].busy_count;
    c->input = input;
    for (int day = 0; day < PLAN_DAYS; day++) {
        c->sent[day] = calloc(n, sizeof(uint32_t));
        c->received[day] = calloc(n, sizeof(uint32_t));
    }
    c->flagged = calloc(n, sizeof(uint32_t));
    c->times = calloc(times, sizeof(*c->times));
    for (size_t i = 0; i < input->accounts_count; i++)
        for (size_t j = 0; j < input->accounts[i].busy_count; j++)
            c->times[c->times_count++] =
                (struct sent){.from = i, .at = input->accounts[i].busy[j]};
}

static int compare_handle(const void *key, const void *member)
{
    uint32_t a = *(const uint32_t *)key;
    uint32_t b = ((const struct plan_account *)member)->handle;
    return a < b ? -1 : a > b;
}

static const struct plan_account *find(const struct plan_input *input, uint32_t handle)
{
    return bsearch(&handle, input->accounts, input->accounts_count, sizeof(*input->accounts),
                   compare_handle);
}

int plan_check_sending_days(uint32_t mask, int32_t from, int32_t to)
{
    int count = 0;
    for (int32_t d = from + 1; d <= to; d++) {
        int weekday = ((d + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        count += mask == 0 || (mask >> weekday & 1);
    }
    return count;
}

static int compare_contact(const void *key, const void *member)
{
    const struct plan_contact *a = key;
    const struct plan_contact *b = member;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

static const struct plan_contact *find_contact(const struct plan_input *input, uint32_t from,
                                               uint32_t to)
{
    struct plan_contact key = {.from = from, .to = to};
    return input->contacts_count ? bsearch(&key, input->contacts, input->contacts_count,
                                           sizeof(key), compare_contact)
                                 : NULL;
}

static int check_pair(struct checker *c, const struct plan_exchange *x, struct flz_msg *ret_msg)
{
    const struct plan_input *input = c->input;
    const struct plan_account *a = find(input, x->from);
    const struct plan_account *b = find(input, x->to);
    if (!a || !b || a == b || !a->sends || !b->receives || a->domain == b->domain)
        BROKEN(1, "P1: %u must not write to %u", x->from, x->to);
    if ((a->owner == b->owner) != x->same_owner)
        BROKEN(2, "P2: %u to %u: same owner %d, flagged %d", x->from, x->to, a->owner == b->owner,
               x->same_owner);
    c->flagged[a - input->accounts] += x->same_owner;
    if (c->flagged[a - input->accounts] * 100 >
        a->quota[0] * (uint32_t)input->policy->same_owner_percent)
        BROKEN(2, "P2: %u writes to its own owner more than policy allows", x->from);

    const struct plan_contact *contact = find_contact(input, x->from, x->to);
    if (contact && plan_check_sending_days(a->days, contact->date, input->date) <
                       (int)input->policy->cooldown_days)
        BROKEN(3, "P3: %u wrote to %u on day %d, again on %d", x->from, x->to, contact->date,
               input->date);
    const struct plan_contact *back = find_contact(input, x->to, x->from);
    if (back && back->date == input->date)
        BROKEN(4, "P4: %u wrote to %u today, the answer begins anew", x->to, x->from);
    return 0;
}

static int check_content(const struct checker *c, const struct plan_exchange *x,
                         struct flz_msg *ret_msg)
{
    const struct plan_input *input = c->input;
    const struct plan_account *a = find(input, x->from);
    const struct plan_account *b = find(input, x->to);
    if (a->language != b->language && !input->policy->cross_language)
        BROKEN(7, "P7: %u and %u speak different languages", x->from, x->to);
    for (size_t i = 0; i < input->packs_count; i++) {
        const struct plan_pack *pack = &input->packs[i];
        if (pack->language != a->language || x->scenario >= pack->scenarios ||
            !flz_view_equal((struct flz_view){.data = pack->digest.b, .len = 32},
                            (struct flz_view){.data = x->pack.b, .len = 32}))
            continue;
        uint32_t most = pack->turns[x->scenario] ? pack->turns[x->scenario] : 1;
        if (x->turns_count >= 1 && x->turns_count <= most && x->turns_count <= FLZ_TURNS_MAX)
            return 0;
    }
    BROKEN(7, "P7: %u to %u: pack, scenario or %u turns do not exist", x->from, x->to,
           x->turns_count);
}

static bool inside(const struct plan_account *a, int day, int64_t at)
{
    return day >= 0 && day < PLAN_DAYS && at >= a->window_start[day] && at < a->window_end[day];
}

/* The recipient's next hours that begin before the deadline; -1: none. */
static int next_open_day(const struct plan_input *input, const struct plan_account *r,
                         const struct plan_turn *t)
{
    for (int day = t->open_date - input->date + 1; day < PLAN_DAYS; day++) {
        int64_t start = r->window_start[day] > input->now ? r->window_start[day] : input->now;
        if (start >= r->window_end[day] || start < t->open_until)
            continue;
        return start < t->send_at + input->policy->action_deadline_ms ? day : -1;
    }
    return -1;
}

static int check_reopen(const struct plan_input *input, const struct plan_account *r,
                        const struct plan_turn *t, struct flz_msg *ret_msg)
{
    int day = next_open_day(input, r, t);
    int64_t deadline = t->send_at + input->policy->action_deadline_ms;
    bool right = day < 0
                     ? t->reopen_at == 0 && t->reopen_until == 0
                     : inside(r, day, t->reopen_at) && t->reopen_at >= t->open_until &&
                           t->reopen_until > t->reopen_at &&
                           t->reopen_until <= r->window_end[day] && t->reopen_until <= deadline;
    if (!right)
        BROKEN(6, "P6: %u's second hours for a message are wrong, or missing", r->handle);
    return 0;
}

static int check_turn(struct checker *c, const struct plan_exchange *x, uint32_t n,
                      struct flz_msg *ret_msg)
{
    const struct plan_input *input = c->input;
    const struct plan_turn *t = &x->turns[n];
    const struct plan_account *s = find(input, n % 2 ? x->to : x->from);
    const struct plan_account *r = find(input, n % 2 ? x->from : x->to);
    int day = t->date - input->date;
    int open_day = t->open_date - input->date;
    if (day < 0 || day >= PLAN_DAYS || open_day < 0 || open_day >= PLAN_DAYS)
        BROKEN(10, "P10: turn %u of %u to %u is %d days away", n, x->from, x->to, day);
    if (n == 0 && day != 0)
        BROKEN(10, "P10: the first message of %u is not on its date", x->from);
    if (!inside(s, day, t->send_at) || t->send_at < input->now || t->send_until <= t->send_at ||
        t->send_until > s->window_end[day] ||
        t->send_until > t->send_at + input->policy->send_slot_ms)
        BROKEN(6, "P6: turn %u of %u to %u is sent out of hours", n, x->from, x->to);
    if (!inside(r, open_day, t->open_at) || t->open_at <= t->send_at ||
        t->open_until <= t->open_at || t->open_until > r->window_end[open_day] ||
        t->open_until > t->send_at + input->policy->action_deadline_ms)
        BROKEN(6, "P6: turn %u of %u to %u is opened out of hours", n, x->from, x->to);
    if (check_reopen(input, r, t, ret_msg) != 0)
        return 6;
    if (n > 0 && (t->send_at <= x->turns[n - 1].open_at ||
                  t->send_at > x->turns[n - 1].send_at + input->policy->action_deadline_ms))
        BROKEN(6, "P6: turn %u of %u to %u answers out of time", n, x->from, x->to);
    if (n > 0 && !r->receives)
        BROKEN(1, "P1: %u does not receive", r->handle);
    if (t->day_cap != s->quota[day])
        BROKEN(9, "P9: turn %u of %u to %u carries cap %u", n, x->from, x->to, t->day_cap);
    c->sent[day][s - input->accounts]++;
    c->received[open_day][r - input->accounts]++;
    c->times[c->times_count++] =
        (struct sent){.from = (size_t)(s - input->accounts), .at = t->send_at};
    return 0;
}

static int compare_sent(const void *left, const void *right)
{
    const struct sent *a = left;
    const struct sent *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static int check_spacing(struct checker *c, struct flz_msg *ret_msg)
{
    qsort(c->times, c->times_count, sizeof(*c->times), compare_sent);
    for (size_t i = 1; i < c->times_count; i++)
        if (c->times[i].from == c->times[i - 1].from &&
            c->times[i].at - c->times[i - 1].at < c->input->policy->spacing_ms)
            BROKEN(8, "P8: account #%zu sends twice within %lld ms", c->times[i].from,
                   (long long)(c->times[i].at - c->times[i - 1].at));
    return 0;
}

static int check_counts(struct checker *c, struct flz_msg *ret_msg)
{
    const struct plan_input *input = c->input;
    for (size_t i = 0; i < input->accounts_count; i++) {
        const struct plan_account *a = &input->accounts[i];
        for (int day = 0; day < PLAN_DAYS; day++) {
            uint64_t most = day == 0 ? a->inbound_max
                                     : (uint64_t)a->quota[day] *
                                           (uint64_t)input->policy->inbound_percent / 100;
            uint32_t taken = day == 0 ? 0 : a->inbound_taken[day];
            if (c->received[day][i] > 0 && c->received[day][i] + taken > most)
                BROKEN(5, "P5: %u receives %u on day %d", a->handle, c->received[day][i], day);
            if (c->sent[day][i] > 0 && c->sent[day][i] + a->reserved[day] > a->quota[day])
                BROKEN(9, "P9: %u sends %u + %u of %u on day %d", a->handle, c->sent[day][i],
                       a->reserved[day], a->quota[day], day);
        }
    }
    return 0;
}

/* Unordered pairs, low handle first. */
static int compare_pairs(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    if (a[0] != b[0])
        return a[0] < b[0] ? -1 : 1;
    return a[1] < b[1] ? -1 : a[1] > b[1];
}

static int check_started_once(const struct plan_read *output, struct flz_msg *ret_msg)
{
    _cleanup_(flz_freep) uint32_t(*pairs)[2] = calloc(output->exchanges_count + 1, sizeof(*pairs));
    for (size_t i = 0; i < output->exchanges_count; i++) {
        uint32_t a = output->exchanges[i].from;
        uint32_t b = output->exchanges[i].to;
        pairs[i][0] = a < b ? a : b;
        pairs[i][1] = a < b ? b : a;
    }
    qsort(pairs, output->exchanges_count, sizeof(*pairs), compare_pairs);
    for (size_t i = 1; i < output->exchanges_count; i++)
        if (compare_pairs(pairs[i], pairs[i - 1]) == 0)
            BROKEN(4, "P4: %u and %u start twice", pairs[i][0], pairs[i][1]);
    return 0;
}

/* Whether anybody at all could be written to, whatever the day's history. */
static bool has_partner(const struct plan_input *input, const struct plan_account *a)
{
    for (size_t i = 0; i < input->accounts_count; i++) {
        const struct plan_account *b = &input->accounts[i];
        bool speaks = b->language == a->language || input->policy->cross_language;
        if (!b->receives || !speaks || b->owner == a->owner || b->domain == a->domain)
            continue;
        for (int day = 0; day < PLAN_DAYS; day++)
            if (b->window_end[day] > b->window_start[day] && b->window_end[day] > input->now &&
                b->window_end[day] > a->window_start[0] &&
                b->window_end[day] - LATE_MS > a->window_end[0] && b->quota[day] > 0)
                return true;
    }
    return false;
}

static int check_reason(const struct plan_input *input, const struct plan_account *a,
                        const struct plan_shortfall *s, struct flz_msg *ret_msg)
{
    bool content = false;
    for (size_t i = 0; i < input->packs_count; i++)
        content |= input->packs[i].language == a->language && input->packs[i].scenarios > 0;
    bool window = a->window_end[0] > a->window_start[0] && a->window_end[0] > input->now;
    bool lies = (s->reason == PLAN_FULL) != (s->planned == s->wanted) ||
                (s->reason == PLAN_NO_CONTENT && content) ||
                (s->reason == PLAN_NO_WINDOW && window) ||
                (s->reason == PLAN_NO_PARTNER && has_partner(input, a));
    if (lies)
        BROKEN(PLAN_CHECK_SHORTFALL, "%u: reason %d for %u of %u is not true", a->handle,
               (int)s->reason, s->planned, s->wanted);
    return 0;
}

static int check_shortfalls(struct checker *c, const struct plan_read *output,
                            struct flz_msg *ret_msg)
{
    const struct plan_input *input = c->input;
    size_t at = 0;
    for (size_t i = 0; i < input->accounts_count; i++) {
        const struct plan_account *a = &input->accounts[i];
        if (!a->sends)
            continue;
        const struct plan_shortfall *s = &output->shortfalls[at++];
        uint32_t wanted = a->quota[0] > a->reserved[0] ? a->quota[0] - a->reserved[0] : 0;
        if (at > output->shortfalls_count || s->account != a->handle || s->wanted != wanted ||
            s->planned != c->sent[0][i])
            BROKEN(PLAN_CHECK_SHORTFALL, "%u: the shortfall says otherwise", a->handle);
        int r = check_reason(input, a, s, ret_msg);
        if (r != 0)
            return r;
    }
    if (at != output->shortfalls_count)
        BROKEN(PLAN_CHECK_SHORTFALL, "%zu shortfalls", output->shortfalls_count);
    return 0;
}

int plan_check(const struct plan_input *input, const struct plan_read *output,
               struct flz_msg *ret_msg)
{
    _cleanup_(checker_deinit) struct checker c = {.input = NULL};
    checker_init(&c, input, output);
    for (size_t i = 0; i < output->exchanges_count; i++) {
        const struct plan_exchange *x = &output->exchanges[i];
        int r = check_pair(&c, x, ret_msg);
        if (r == 0)
            r = check_content(&c, x, ret_msg);
        for (uint32_t n = 0; r == 0 && n < x->turns_count; n++)
            r = check_turn(&c, x, n, ret_msg);
        if (r != 0)
            return r;
    }
    int r = check_started_once(output, ret_msg);
    if (r == 0)
        r = check_counts(&c, ret_msg);
    if (r == 0)
        r = check_spacing(&c, ret_msg);
    return r == 0 ? check_shortfalls(&c, output, ret_msg) : r;
}
