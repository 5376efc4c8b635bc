/*
 * Tallies: counters of messages by who sent them and where they went. As in aggregate.c a turn's
 * part is a function of its state alone, taken out before a change and put in after it, so that the
 * sums equal the fold of the log in whatever order receipts and corrections come.
 *
 * Days stay as long as the sender's day (or, without an account, the network's) stays in memory.
 * What leaves then is immutable: it is added to its week and its month, and its row is deleted.
 * Weeks and months stay while the score may ask for them, then go to the archive.
 *
 *     day ──► week, from Monday ──► archive
 *       └───► month ──────────────► archive
 */
#include "coordinator/core/state.h"

#include "common/base/buf.h"
#include "common/base/time.h"

#include <errno.h>

#define COUNTERS                                                                                   \
    ((offsetof(struct row_tally, dmarc) - offsetof(struct row_tally, planned)) /                   \
         sizeof(uint32_t) +                                                                        \
     1)

/* ---- What a turn counts ---- */

static bool is_known_refusal(const struct row_task *send)
{
    return send->reply_code >= 500 && send->reply_code < 600 &&
           (send->reason == FLZ_REASON_RECIPIENT || send->reason == FLZ_REASON_SPAM_BLOCK ||
            send->reason == FLZ_REASON_POLICY);
}

static void count_send(const struct row_turn *t, struct row_tally *part)
{
    if (aggregate_sent(t)) {
        part->issued = part->sent = 1;
    } else if (t->send.state == TASK_OPEN) {
        part->issued = 1;
    } else if (t->send.state == TASK_ENDED) {
        switch (t->send.outcome) {
        case FLZ_OUTCOME_AMBIGUOUS: part->issued = 1; break;
        case FLZ_OUTCOME_INDETERMINATE: part->issued = part->indeterminate = 1; break;
        case FLZ_OUTCOME_REJECTED:
            part->refused_hard = is_known_refusal(&t->send);
            part->refused_soft = !part->refused_hard;
            break;
        default: break;
        }
    }
}

static void count_act(const struct row_task *task, struct row_tally *part)
{
    bool done = task->state == TASK_ENDED &&
                (task->outcome == FLZ_OUTCOME_DONE || task->outcome == FLZ_OUTCOME_NOOP);
    part->due += task->state == TASK_ENDED || task->state == TASK_VOID;
    part->done += done;
}

static void count_found(const struct row_turn *t, struct row_tally *part)
{
    part->inbox = t->placement == FLZ_PLACEMENT_INBOX;
    part->junk = t->placement == FLZ_PLACEMENT_JUNK;
    part->other = t->placement == FLZ_PLACEMENT_OTHER;
    part->verdicts = t->authentication != 0;
    part->spf = (t->authentication & FLZ_AUTH_SPF_PASS) != 0;
    part->dkim = (t->authentication & FLZ_AUTH_DKIM_PASS) != 0;
    part->dmarc = (t->authentication & FLZ_AUTH_DMARC_PASS) != 0;
    if (part->junk)
        count_act(&t->unspam, part);
    count_act(&t->open, part);
    part->rescued = t->unspam.state == TASK_ENDED && t->unspam.outcome == FLZ_OUTCOME_DONE;
    part->opened = t->open.state == TASK_ENDED && (t->open.outcome == FLZ_OUTCOME_DONE ||
                                                   t->open.outcome == FLZ_OUTCOME_NOOP);
}

void tally_turn(const struct row_turn *t, bool is_reply, struct row_tally *ret_part)
{
    struct row_tally part = {.planned = 1};
    count_send(t, &part);
    part.replied = part.sent && is_reply;
    part.bounced = part.sent && t->bounce == BOUNCE_HARD;
    part.complaints = part.sent && t->complained;
    if (part.sent && t->find.state == TASK_ENDED) {
        if (t->find.outcome == FLZ_OUTCOME_FOUND)
            count_found(t, &part);
        else if (t->find.outcome == FLZ_OUTCOME_MISSING)
            part.missing = t->bounce == BOUNCE_NONE;
        else
            part.unobserved = 1;
    }
    *ret_part = part;
}

/* ---- Sums ---- */

static void add(struct row_tally *sum, const struct row_tally *part, bool minus)
{
    uint32_t *to = &sum->planned;
    const uint32_t *from = &part->planned;
    for (size_t i = 0; i < COUNTERS; i++)
        to[i] = minus ? to[i] - from[i] : to[i] + from[i];
}

void tally_add(struct row_tally *sum, const struct row_tally *part)
{
    add(sum, part, false);
}

bool tally_is_empty(const struct row_tally *tally)
{
    const uint32_t *counters = &tally->planned;
    for (size_t i = 0; i < COUNTERS; i++)
        if (counters[i] != 0)
            return false;
    return true;
}

/* ---- The cells ---- */

static struct flz_id key_of(const struct row_tally *cell)
{
    struct flz_id id = {.b = {0}};
    id.b[0] = (uint8_t)(cell->scope << 4 | cell->span);
    flz_put_be32(id.b + 4, (uint32_t)cell->date);
    flz_put_be32(id.b + 8, cell->subject);
    flz_put_be32(id.b + 12, cell->object);
    return id;
}

const struct row_tally *tally_find(const struct coord *core, const struct row_tally *cell)
{
    uint32_t i = flz_map_get(&core->tallies_by_key, key_of(cell));
    return i == FLZ_MAP_NONE ? NULL : &core->tallies[i].row;
}

/* The cell's row; made with zeros when it is not there. NULL: -ENOMEM. */
static struct tally_state *get(struct coord *core, const struct row_tally *cell)
{
    struct flz_id key = key_of(cell);
    uint32_t i = flz_map_get(&core->tallies_by_key, key);
    if (i != FLZ_MAP_NONE)
        return &core->tallies[i];

    bool reuse = core->tallies_free_count > 0;
    if (!reuse && flz_grow((void **)&core->tallies, &core->tallies_capacity,
                           core->tallies_count + 1, sizeof *core->tallies) < 0)
        return NULL;
    i = reuse ? core->tallies_free[core->tallies_free_count - 1] : (uint32_t)core->tallies_count;
    if (flz_map_set(&core->tallies_by_key, key, i) < 0)
        return NULL;
    if (reuse)
        core->tallies_free_count--;
    else
        core->tallies_count++;
    core->tallies[i] = (struct tally_state){.row = *cell, .live = true};
    return &core->tallies[i];
}

static int touch(struct coord *core, struct tally_state *tally)
{
    return state_touch(core, ROW_TALLY, (uint32_t)(tally - core->tallies), &tally->dirty);
}

int tally_load(struct coord *core, const struct row_tally *row)
{
    struct row_tally cell = {.scope = row->scope,
                             .subject = row->subject,
                             .object = row->object,
                             .span = row->span,
                             .date = row->date};
    if (row->scope < TALLY_ACCOUNT || row->scope > TALLY_SCOPE_MAX || row->span < TALLY_DAY ||
        row->span > TALLY_MONTH)
        return flz_fail(-EPROTO);
    struct tally_state *tally = get(core, &cell);
    if (!tally)
        return flz_fail(-ENOMEM);
    tally->row = *row;
    return 0;
}

void tally_free(struct coord *core, uint32_t index)
{
    core->tallies[index].dirty = false;
    if (flz_grow((void **)&core->tallies_free, &core->tallies_free_capacity,
                 core->tallies_free_count + 1, sizeof *core->tallies_free) == 0)
        core->tallies_free[core->tallies_free_count++] = index;
}

/* ---- A turn's cells ---- */

size_t tally_cells(const struct row_exchange *x, uint32_t turn, uint32_t sender_domain,
                   struct row_tally ret_cells[static TALLY_SCOPE_MAX])
{
    const struct row_turn *t = &x->turns[turn];
    uint32_t from = turn % 2 == 0 ? x->from_provider : x->to_provider;
    uint32_t to = turn % 2 == 0 ? x->to_provider : x->from_provider;
    size_t n = 0;
    if (from == 0 || to == 0)
        return 0;
    ret_cells[n++] = (struct row_tally){
        .scope = TALLY_ACCOUNT, .subject = exchange_sender(x, turn), .object = to - 1};
    ret_cells[n++] =
        (struct row_tally){.scope = TALLY_DOMAIN, .subject = sender_domain, .object = to - 1};
    ret_cells[n++] = (struct row_tally){.scope = TALLY_PAIR, .subject = from - 1, .object = to - 1};
    ret_cells[n++] = (struct row_tally){
        .scope = TALLY_SCENARIO, .subject = flz_be32(x->pack.b), .object = x->scenario};
    if (t->send.issued_at != 0)
        ret_cells[n++] =
            (struct row_tally){.scope = TALLY_NODE, .subject = t->send.node, .object = to - 1};
    for (size_t i = 0; i < n; i++) {
        ret_cells[i].span = TALLY_DAY;
        ret_cells[i].date = t->date;
    }
    return n;
}

int tally_count(struct coord *core, const struct live *x, uint32_t turn, bool minus)
{
    struct row_tally cells[TALLY_SCOPE_MAX];
    struct row_tally part;
    uint32_t domain = core->accounts[exchange_sender(&x->row, turn)].row.domain;
    size_t n = tally_cells(&x->row, turn, domain, cells);
    tally_turn(&x->turns[turn], turn > 0, &part);
    for (size_t i = 0; i < n; i++) {
        struct tally_state *tally = get(core, &cells[i]);
        if (!tally)
            return flz_fail(-ENOMEM);
        add(&tally->row, &part, minus);
        int r = touch(core, tally);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- Days become weeks and months ---- */

int32_t tally_first(enum row_tally_span span, int32_t date)
{
    int year, month, day;
    switch (span) {
    case TALLY_DAY: break;
    case TALLY_WEEK: return date - flz_date_weekday(date);
    case TALLY_MONTH:
        flz_date_civil(date, &year, &month, &day);
        return flz_date_of_civil(year, month, 1);
    }
    return date;
}

static int roll_up(struct coord *core, const struct row_tally *day, enum row_tally_span span)
{
    struct row_tally cell = {.scope = day->scope,
                             .subject = day->subject,
                             .object = day->object,
                             .span = span,
                             .date = tally_first(span, day->date)};
    struct tally_state *tally = get(core, &cell);
    if (!tally)
        return flz_fail(-ENOMEM);
    tally_add(&tally->row, day);
    return touch(core, tally);
}

static int leave(struct coord *core, uint32_t index)
{
    struct row_tally row = core->tallies[index].row; /* rolling up may move them */
    int r = 0;
    if (row.span == TALLY_DAY && !tally_is_empty(&row)) {
        r = roll_up(core, &row, TALLY_WEEK);
        if (r == 0)
            r = roll_up(core, &row, TALLY_MONTH);
    }
    if (r < 0)
        return r;
    flz_map_remove(&core->tallies_by_key, key_of(&row));
    core->tallies[index].live = false;
    return touch(core, &core->tallies[index]);
}

/* Whether one of its days is still a row of its own. */
static bool has_days(const struct coord *core, struct row_tally cell, int32_t days)
{
    cell.span = TALLY_DAY;
    for (int32_t i = 0; i < days; i++, cell.date++)
        if (tally_find(core, &cell))
            return true;
    return false;
}

/* Whether nothing can be counted in it any more: the day it belongs to has left. */
static bool day_is_over(const struct coord *core, const struct row_tally *row, int32_t first)
{
    uint32_t keeper = row->scope == TALLY_ACCOUNT ? row->subject : COORD_NONE;
    return row->date < first && !state_find_day(core, keeper, row->date);
}

static bool span_is_over(const struct coord *core, const struct row_tally *row, int32_t first)
{
    int32_t days = row->span == TALLY_WEEK ? 7 : 31;
    return row->date + days <= first - TALLY_SPANS_SPARE && !has_days(core, *row, days);
}

static int archive(struct coord *core, bool days, int32_t first,
                   bool (*is_over)(const struct coord *core, const struct row_tally *row,
                                   int32_t first))
{
    size_t count = core->tallies_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct tally_state *tally = &core->tallies[i];
        if (!tally->live || (tally->row.span == TALLY_DAY) != days ||
            !is_over(core, &tally->row, first))
            continue;
        int r = leave(core, i);
        if (r < 0)
            return r;
    }
    return 0;
}

int tally_archive(struct coord *core, int32_t first)
{
    int r = archive(core, true, first, day_is_over);
    return r < 0 ? r : archive(core, false, first, span_is_over);
}

/* ---- Looking ---- */

void tally_sum(const struct coord *core, struct row_tally cell, int32_t from, int32_t to,
               struct row_tally *sum)
{
    cell.span = TALLY_DAY;
    for (cell.date = from; cell.date <= to; cell.date++) {
        const struct row_tally *day = tally_find(core, &cell);
        if (day)
            tally_add(sum, day);
    }
}

void tally_sum_weeks(const struct coord *core, struct row_tally cell, int32_t from, int32_t to,
                     struct row_tally *sum)
{
    cell.span = TALLY_WEEK;
    for (cell.date = tally_first(TALLY_WEEK, from); cell.date <= to; cell.date += 7) {
        const struct row_tally *week = tally_find(core, &cell);
        if (week)
            tally_add(sum, week);
    }
}

const struct row_tally *coord_tally(const struct coord *core, size_t index)
{
    return core->tallies[index].live ? &core->tallies[index].row : NULL;
}

size_t coord_tally_limit(const struct coord *core)
{
    return core->tallies_count;
}

void coord_tally_add(struct row_tally *sum, const struct row_tally *part)
{
    tally_add(sum, part);
}
