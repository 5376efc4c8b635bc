#include "coordinator/core/plan.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "coordinator/core/pair.h"
#include "coordinator/core/pool.h"
#include "coordinator/core/scarcity.h"
#include "coordinator/core/seat.h"
#include "coordinator/core/weigh.h"

#include <errno.h>
#include <stdlib.h>

#define NO_EXCHANGE SEAT_NO_EXCHANGE

/* Up to so many candidates are all weighed; of more, a few are looked at. */
#define WEIGH_ALL_MAX 64
#define WEIGH_SOME 4
#define WEIGH_SOME_SCARCE                                                                          \
    12 /* where some can be written to by few, who must be met to be chosen                        \
        */
/* When none of the few will do, so many are asked in turn. */
#define ASK_MAX 512
/* To tell a full pool from an empty one, so many accounts are looked at. */
#define EXPLAIN_MAX 4096
/* Work for making room by moving earlier exchanges: so many candidates looked at, all together.
 * In a pool that cannot carry its quotas every sender would search in vain; it is not let. */
#define REPAIR_BUDGET_EACH 600
#define REPAIR_BUDGET_LEAST 400000
/* Of these, so many exchanges are tried that may go to one who has room left. */
#define SWAPS_MAX 128
/* A pool this large is read in its own order, some messages a visit, and drops who can receive no
 * more before each round. In a smaller one all is near, and who comes first is drawn. */
#define VISIT_DRAWS 4
/* Who can receive no more is dropped when fewer than this part of the pool have room today. */
#define COMPACT_DIVISOR 2
/* There, one message in so many looks at somebody who wrote lately. */
#define OWED_EACH 3
/* What the sender so many places on will look at is fetched while this one draws. */
#define FETCH_AHEAD 6

struct drawing {
    const struct plan_input *input; /* borrowed */
    struct flz_rng rng;
    struct pool pool;
    struct seats seats;
    struct pair_history history;
    struct plan_output output;  /* until the end, `from` and `to` are places */
    struct weigh_habit *habits; /* owned, one a place */
    uint32_t *spare;        /* owned: who could still receive today as the round began, by bucket */
    uint32_t *spare_begins; /* owned: as pool.bucket_begins */
    uint32_t *senders;      /* owned: still drawing, ascending */
    uint32_t senders_count;
    uint8_t *reasons;         /* owned, one a place: enum plan_reason */
    uint8_t *same_owner_left; /* owned, one a place */
    uint32_t *received_next;  /* owned, one an exchange: the next older towards the same */
    size_t received_capacity;
    uint64_t repair_budget;
    bool large;
    bool scarce;                                      /* some can be written to by few */
    uint32_t shares[VISIT_DRAWS * WEIGH_SOME_SCARCE]; /* offsets of this round (pool_ahead) */
};

/* What a candidate is, for a first message at a given time. */
enum verdict {
    VERDICT_FIT,
    VERDICT_STRANGER, /* itself, its domain or owner, or never in its hours in time */
    VERDICT_UNSURE,   /* its history was not looked up */
    VERDICT_COOLING,
    VERDICT_STARTED,
    VERDICT_FULL,
};

/* A candidate, and what is known of it. */
struct candidate {
    uint32_t place;
    bool sure;       /* look its history up, instead of leaving who may be barred */
    bool same_owner; /* wanted, or not wanted */
    int open_day;    /* set by judge(): from here on */
    int64_t opens;
    struct pair_fact fact;
};

/* Candidates met in vain, by verdict. */
struct tally {
    size_t counts[VERDICT_FULL + 1];
};

static void drawing_deinit(struct drawing *drawing)
{
    seats_deinit(&drawing->seats);
    pool_deinit(&drawing->pool);
    pair_history_deinit(&drawing->history);
    plan_output_deinit(&drawing->output);
    free(drawing->habits);
    free(drawing->spare);
    free(drawing->spare_begins);
    free(drawing->senders);
    free(drawing->reasons);
    free(drawing->same_owner_left);
    free(drawing->received_next);
}

/* ---- The list of exchanges ---- */

static void link_received(struct drawing *drawing, uint32_t to, uint32_t exchange)
{
    struct seat *seat = &drawing->seats.seats[to];
    drawing->received_next[exchange] = seat->received;
    seat->received = exchange;
}

static void unlink_received(struct drawing *drawing, uint32_t to, uint32_t exchange)
{
    uint32_t *link = &drawing->seats.seats[to].received;
    while (*link != exchange)
        link = &drawing->received_next[*link];
    *link = drawing->received_next[exchange];
}

/* The exchange that `from` started towards `to` in this plan, or NO_EXCHANGE. */
static uint32_t find_started(const struct drawing *drawing, uint32_t from, uint32_t to)
{
    uint32_t index = drawing->seats.seats[to].received;
    while (index != NO_EXCHANGE && drawing->output.exchanges[index].from != from)
        index = drawing->received_next[index];
    return index;
}

static bool started(const struct drawing *drawing, uint32_t a, uint32_t b)
{
    return find_started(drawing, a, b) != NO_EXCHANGE || find_started(drawing, b, a) != NO_EXCHANGE;
}

/* ---- Whom ---- */

/* FIT, COOLING, STARTED or UNSURE, with what is known of the pair. */
static enum verdict judge_history(const struct drawing *drawing, uint32_t from, struct candidate *c)
{
    bool barred =
        pair_may_be_barred(&drawing->history, from, drawing->seats.seats[c->place].handle);
    if (barred && !c->sure)
        return VERDICT_UNSURE;
    /* In a large pool nearly all are strangers: dates are not worth the way to memory. */
    if (!barred && drawing->large)
        return VERDICT_FIT;
    c->fact = pair_look(&drawing->history, from, c->place);
    if (c->fact.state == PAIR_COOLING)
        return VERDICT_COOLING;
    if (c->fact.state == PAIR_STARTED || (barred && started(drawing, from, c->place)))
        return VERDICT_STARTED;
    return VERDICT_FIT;
}

static enum verdict judge(const struct drawing *drawing, uint32_t from, uint32_t at,
                          struct candidate *c)
{
    const struct seat *a = &drawing->seats.seats[from];
    const struct seat *b = &drawing->seats.seats[c->place];
    if (from == c->place || a->domain == b->domain || (a->owner == b->owner) != c->same_owner)
        return VERDICT_STRANGER;
    if (!seat_can_open(&drawing->seats, c->place, at, &c->open_day, &c->opens))
        return VERDICT_STRANGER;
    enum verdict verdict = judge_history(drawing, from, c);
    if (verdict != VERDICT_FIT)
        return verdict;
    return b->inbound[c->open_day] > 0 ? VERDICT_FIT : VERDICT_FULL;
}

/* The best so far of the candidates met. */
struct choice {
    uint32_t place;
    int64_t weight;
};

static void consider(struct drawing *drawing, uint32_t from, uint32_t at, struct candidate c,
                     struct choice *choice, struct tally *tally)
{
    enum verdict verdict = judge(drawing, from, at, &c);
    tally->counts[verdict]++;
    if (verdict != VERDICT_FIT)
        return;
    struct weigh_case weighed = {
        .policy = drawing->input->policy,
        .date = drawing->input->date,
        .from = &drawing->seats.seats[from],
        .to = &drawing->seats.seats[c.place],
        .habit = &drawing->habits[from],
        .fact = c.fact,
        .open_day = c.open_day,
        .open_wait_ms = c.opens - at,
    };
    int64_t weight = weigh(&weighed, &drawing->rng);
    if (choice->place == POOL_NOBODY || weight < choice->weight) {
        *choice = (struct choice){.place = c.place, .weight = weight};
        __builtin_prefetch(drawing->history.filters[c.place]);
        __builtin_prefetch(&drawing->seats.agendas[c.place]);
    }
}

static struct candidate candidate_of(uint32_t place, bool sure)
{
    return (struct candidate){
        .place = place,
        .sure = sure,
        .fact = {.state = PAIR_FREE, .wrote = PAIR_NEVER, .answered = PAIR_NEVER},
    };
}

/* The one of those who wrote to the sender lately whose turn comes with its next message, or
 * POOL_NOBODY: in a large pool, where each of them is far away, with some messages only. */
static uint32_t owed_next(const struct drawing *drawing, uint32_t from, uint32_t firsts)
{
    if (drawing->large && firsts % OWED_EACH != 0)
        return POOL_NOBODY;
    uint32_t n = drawing->large ? firsts / OWED_EACH : firsts;
    return drawing->history.owed[from].places[n % PAIR_OWED];
}

static void consider_owed(struct drawing *drawing, uint32_t from, uint32_t at,
                          struct choice *choice, struct tally *tally)
{
    uint32_t owed = owed_next(drawing, from, drawing->habits[from].firsts);
    if (owed == POOL_NOBODY || drawing->pool.bucket[owed] != drawing->pool.bucket[from])
        return;
    struct candidate c = candidate_of(owed, !drawing->large);
    c.fact.answered = drawing->input->date - 1;
    consider(drawing, from, at, c, choice, tally);
}

/* A neighbour looks at the neighbours of what is looked at here. */
static void fetch_seat(const struct drawing *drawing, const struct pool_view *view,
                       uint32_t position)
{
    if (position + FETCH_AHEAD < view->count)
        __builtin_prefetch(&drawing->seats.seats[pool_at(view, position + FETCH_AHEAD)]);
}

static uint32_t looks_of(const struct drawing *drawing)
{
    return drawing->scarce ? WEIGH_SOME_SCARCE : WEIGH_SOME;
}

static void draw_shares(struct drawing *drawing, uint32_t *ret_shares, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ret_shares[i] = (uint32_t)(flz_rng_next(&drawing->rng) >> 32);
}

/* Those of its language who could still receive today as the round began: few in the end, when
 * nearly everybody else is full. */
static struct pool_view spare_of(const struct drawing *drawing, uint32_t from)
{
    const uint32_t *begins = &drawing->spare_begins[drawing->pool.bucket[from]];
    uint32_t count = begins[1] - begins[0];
    return (struct pool_view){
        .places = drawing->spare + begins[0], .before = count, .count = count};
}

/* The first in turn who fits, from anywhere on. */
static void ask(struct drawing *drawing, uint32_t from, uint32_t at, const struct pool_view *view,
                struct choice *choice, struct tally *tally)
{
    uint32_t start = view->count ? (uint32_t)flz_rng_below(&drawing->rng, view->count) : 0;
    for (uint32_t i = 0; i < view->count && i < ASK_MAX && choice->place == POOL_NOBODY; i++) {
        uint32_t place = pool_at(view, (start + i) % view->count);
        consider(drawing, from, at, candidate_of(place, true), choice, tally);
    }
}

/* A partner for a first message at a time, or POOL_NOBODY; `tally` says what was met. `shares`:
 * where to look, looks_of() of them; NULL: anywhere. */
static uint32_t pick(struct drawing *drawing, uint32_t from, uint32_t at, const uint32_t *shares,
                     struct tally *tally)
{
    struct pool_view view = pool_candidates(&drawing->pool, from);
    struct choice choice = {.place = POOL_NOBODY};
    if (view.count <= WEIGH_ALL_MAX) {
        for (uint32_t i = 0; i < view.count; i++)
            consider(drawing, from, at, candidate_of(pool_at(&view, i), true), &choice, tally);
        return choice.place;
    }

    uint32_t anywhere[WEIGH_SOME_SCARCE];
    uint32_t looks = looks_of(drawing);
    if (!shares)
        draw_shares(drawing, anywhere, looks);
    consider_owed(drawing, from, at, &choice, tally);
    for (uint32_t i = 0; i < looks; i++) {
        uint32_t position = pool_ahead(&view, shares ? shares[i] : anywhere[i]);
        fetch_seat(drawing, &view, position);
        struct candidate c = candidate_of(pool_at(&view, position), !drawing->large);
        consider(drawing, from, at, c, &choice, tally);
    }
    if (choice.place != POOL_NOBODY)
        return choice.place;
    struct pool_view spare = spare_of(drawing, from);
    ask(drawing, from, at, &spare, &choice, tally);
    if (choice.place == POOL_NOBODY)
        ask(drawing, from, at, &view, &choice, tally);
    return choice.place;
}

/* ---- What is said, and when ---- */

static uint32_t scenarios_of(const struct drawing *drawing, uint32_t language)
{
    uint64_t count = 0;
    for (size_t i = 0; i < drawing->input->packs_count; i++)
        if (drawing->input->packs[i].language == language)
            count += drawing->input->packs[i].scenarios;
    return count <= UINT16_MAX ? (uint32_t)count : UINT16_MAX;
}

static uint32_t language_of(const struct drawing *drawing, uint32_t place)
{
    return drawing->input->accounts[drawing->pool.account[place]].language;
}

/* Draws the scenario; returns its turns. The language has at least one scenario. */
static uint32_t draw_content(struct drawing *drawing, uint32_t language, uint16_t *ret_scenario)
{
    uint32_t at = (uint32_t)flz_rng_below(&drawing->rng, scenarios_of(drawing, language));
    *ret_scenario = (uint16_t)at;
    const struct plan_pack *pack = drawing->input->packs;
    for (; pack->language != language || at >= pack->scenarios; pack++)
        if (pack->language == language)
            at -= pack->scenarios;
    uint32_t turns = pack->turns[at] > 1 ? pack->turns[at] : 1;
    return turns < FLZ_TURNS_MAX ? turns : FLZ_TURNS_MAX;
}

/* Who sends a turn, and who opens it. */
struct direction {
    uint32_t from;
    uint32_t to;
};

static struct direction direction_of(const struct plan_packed *x, uint32_t turn)
{
    if (turn % 2 == 0)
        return (struct direction){.from = x->from, .to = x->to};
    return (struct direction){.from = x->to, .to = x->from};
}

/* Draws the next turn of an exchange and reserves it. 0, -ENOMEM, or 1: there is no room for it. */
static int add_reply(struct drawing *drawing, struct plan_packed *x)
{
    struct plan_packed_turn *previous = &drawing->output.turns[x->turns + x->turns_count - 1];
    struct direction way = direction_of(x, x->turns_count);
    struct plan_packed_turn turn = {0};
    if (!seat_reply(&drawing->seats, way.from, previous, &drawing->rng, &turn))
        return 1;
    int day;
    int64_t first;
    if (!seat_can_open(&drawing->seats, way.to, turn.send, &day, &first) ||
        drawing->seats.seats[way.to].inbound[day] == 0)
        return 1;

    seat_open(&drawing->seats, way.to, day, &drawing->rng, &turn);
    int r = seat_reserve(&drawing->seats, way.from, way.to, &turn, true);
    if (r < 0)
        return r;
    seat_open_before(&drawing->seats, way.from, &turn, &drawing->rng, previous);
    previous[1] = turn;
    x->turns_count++;
    return 0;
}

static int add_replies(struct drawing *drawing, struct plan_packed *x, uint32_t turns_max)
{
    uint64_t percent = (uint64_t)drawing->input->policy->reply_percent;
    while (x->turns_count < turns_max && flz_rng_below(&drawing->rng, 100) < percent) {
        int r = add_reply(drawing, x);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    return 0;
}

/* Draws a whole exchange whose first message goes at `at` on the sender's date; `to` fits. */
static int draw_exchange(struct drawing *drawing, uint32_t from, uint32_t to, uint32_t at,
                         struct plan_packed *ret_exchange)
{
    struct plan_output *output = &drawing->output;
    const struct seat *sender = &drawing->seats.seats[from];
    int r = flz_grow((void **)&output->turns, &output->turns_capacity,
                     output->turns_count + FLZ_TURNS_MAX, sizeof(*output->turns));
    if (r < 0)
        return r;
    struct plan_packed x = {
        .from = from,
        .to = to,
        .turns = (uint32_t)output->turns_count,
        .turns_count = 1,
        .same_owner = sender->owner == drawing->seats.seats[to].owner,
    };
    uint32_t turns_max = draw_content(drawing, language_of(drawing, from), &x.scenario);
    struct plan_packed_turn *first = &output->turns[x.turns];
    *first = (struct plan_packed_turn){.send = at};
    int day = 0;
    int64_t opens;
    (void)seat_can_open(&drawing->seats, to, at, &day, &opens);
    seat_open(&drawing->seats, to, day, &drawing->rng, first);
    r = seat_reserve(&drawing->seats, from, to, first, false);
    if (r < 0)
        return r;

    pair_start(&drawing->history, (struct pair_end){from, sender->handle},
               (struct pair_end){to, drawing->seats.seats[to].handle});
    r = add_replies(drawing, &x, turns_max);
    if (r < 0)
        return r;
    output->turns_count += x.turns_count;
    *ret_exchange = x;
    return 0;
}

static int add_exchange(struct drawing *drawing, uint32_t from, uint32_t to, uint32_t at)
{
    struct plan_output *output = &drawing->output;
    size_t need = output->exchanges_count + 1;
    int r = flz_grow((void **)&output->exchanges, &output->exchanges_capacity, need,
                     sizeof(*output->exchanges));
    if (r == 0)
        r = flz_grow((void **)&drawing->received_next, &drawing->received_capacity, need,
                     sizeof(*drawing->received_next));
    if (r == 0)
        r = draw_exchange(drawing, from, to, at, &output->exchanges[output->exchanges_count]);
    if (r < 0)
        return r;
    link_received(drawing, to, (uint32_t)output->exchanges_count++);
    weigh_note(&drawing->habits[from], &drawing->seats.seats[from], &drawing->seats.seats[to]);
    return 0;
}

/* Takes an exchange back from both, and draws it again towards `other` at its time. */
static int move_exchange(struct drawing *drawing, uint32_t index, uint32_t other)
{
    struct plan_packed x = drawing->output.exchanges[index];
    uint32_t at = drawing->output.turns[x.turns].send;
    for (uint32_t turn = 0; turn < x.turns_count; turn++) {
        struct direction way = direction_of(&x, turn);
        seat_give_back(&drawing->seats, way.from, way.to, &drawing->output.turns[x.turns + turn],
                       turn > 0);
    }
    unlink_received(drawing, x.to, index);

    int r = draw_exchange(drawing, x.from, other, at, &drawing->output.exchanges[index]);
    if (r < 0)
        return r;
    link_received(drawing, other, index);
    return 0;
}

/* ---- Making room ---- */

static uint64_t tally_total(const struct tally *tally)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= VERDICT_FULL; i++)
        total += tally->counts[i];
    return total;
}

static void spend(struct drawing *drawing, uint64_t looks)
{
    drawing->repair_budget -= looks < drawing->repair_budget ? looks : drawing->repair_budget;
}

/* Moves an exchange elsewhere. 0, -ENOMEM, or 1: its sender has nobody else. */
static int try_move(struct drawing *drawing, uint32_t index)
{
    const struct plan_packed *x = &drawing->output.exchanges[index];
    if (x->same_owner)
        return 1;
    struct tally tally = {0};
    uint32_t other = pick(drawing, x->from, drawing->output.turns[x->turns].send, NULL, &tally);
    spend(drawing, tally_total(&tally));
    return other == POOL_NOBODY ? 1 : move_exchange(drawing, index, other);
}

/* Frees one place of `to`, which can receive no more on that day. */
static int free_inbound(struct drawing *drawing, uint32_t to, int day)
{
    uint32_t index = drawing->seats.seats[to].received;
    while (index != NO_EXCHANGE && drawing->repair_budget > 0) {
        uint32_t next = drawing->received_next[index];
        const struct plan_packed *x = &drawing->output.exchanges[index];
        if (drawing->output.turns[x->turns].open_day == day) {
            int r = try_move(drawing, index);
            if (r <= 0)
                return r;
        }
        index = next;
    }
    return 1;
}

/* Makes `to` fit for a first message from `from`, if one move can. 0, -ENOMEM, or 1. */
static int make_fit(struct drawing *drawing, uint32_t from, uint32_t to, uint32_t at)
{
    struct candidate c = candidate_of(to, true);
    enum verdict verdict = judge(drawing, from, at, &c);
    int r = 1;
    if (verdict == VERDICT_FULL) {
        r = free_inbound(drawing, to, c.open_day);
    } else if (verdict == VERDICT_STARTED) {
        /* It wrote first today: it may write to somebody else instead. */
        uint32_t index = find_started(drawing, to, from);
        if (index != NO_EXCHANGE)
            r = try_move(drawing, index);
    }
    if (r != 0)
        return r;
    /* The move may have taken what it freed, or the cooldown bars this way as well. */
    return judge(drawing, from, at, &c) == VERDICT_FIT ? 0 : 1;
}

/* Whether this exchange can go to `spare`, and leave the sender its place with its recipient. */
static bool may_swap(const struct drawing *drawing, uint32_t from, uint32_t at,
                     const struct plan_packed *x, uint32_t spare)
{
    const struct plan_packed_turn *first = &drawing->output.turns[x->turns];
    struct candidate freed = candidate_of(x->to, true);
    struct candidate other = candidate_of(spare, true);
    return !x->same_owner && drawing->pool.bucket[x->to] == drawing->pool.bucket[from] &&
           judge(drawing, from, at, &freed) == VERDICT_FULL && freed.open_day == first->open_day &&
           judge(drawing, x->from, first->send, &other) == VERDICT_FIT;
}

/* Finds a partner who is full, and an exchange towards it that somebody takes who has room left.
 * 0, -ENOMEM, or 1: none was found. */
static int swap(struct drawing *drawing, uint32_t from, uint32_t at, uint32_t *ret_to)
{
    struct pool_view spare = spare_of(drawing, from);
    size_t count = drawing->output.exchanges_count;
    for (int i = 0; i < SWAPS_MAX && spare.count > 0 && count > 0 && drawing->repair_budget > 0;
         i++) {
        uint32_t index = (uint32_t)flz_rng_below(&drawing->rng, count);
        uint32_t other = pool_at(&spare, (uint32_t)flz_rng_below(&drawing->rng, spare.count));
        uint32_t to = drawing->output.exchanges[index].to;
        spend(drawing, 2);
        if (!may_swap(drawing, from, at, &drawing->output.exchanges[index], other))
            continue;
        int r = move_exchange(drawing, index, other);
        struct candidate c = candidate_of(to, true);
        /* Its first answer may have taken the room again. */
        if (r == 0 && judge(drawing, from, at, &c) != VERDICT_FIT)
            continue;
        *ret_to = to;
        return r;
    }
    return 1;
}

/* Finds a partner for a sender that has none left, by moving one earlier exchange of others.
 * 0 or -ENOMEM; *ret_to is POOL_NOBODY when there is none. */
static int repair(struct drawing *drawing, uint32_t from, uint32_t at, uint32_t *ret_to)
{
    *ret_to = POOL_NOBODY;
    int swapped = swap(drawing, from, at, ret_to);
    if (swapped <= 0)
        return swapped;
    struct pool_view view = pool_candidates(&drawing->pool, from);
    uint32_t start = view.count ? (uint32_t)flz_rng_below(&drawing->rng, view.count) : 0;
    for (uint32_t i = 0; i < view.count && i < ASK_MAX && drawing->repair_budget > 0; i++) {
        spend(drawing, 1);
        uint32_t to = pool_at(&view, (start + i) % view.count);
        int r = make_fit(drawing, from, to, at);
        if (r < 0)
            return r;
        if (r == 0) {
            *ret_to = to;
            return 0;
        }
    }
    return 0;
}

static uint32_t pick_same_owner(struct drawing *drawing, uint32_t from, uint32_t at)
{
    if (drawing->same_owner_left[from] == 0)
        return POOL_NOBODY;
    struct pool_view view = pool_same_owner(&drawing->pool, from);
    uint32_t start = view.count ? (uint32_t)flz_rng_below(&drawing->rng, view.count) : 0;
    for (uint32_t i = 0; i < view.count && i < ASK_MAX; i++) {
        struct candidate c = candidate_of(pool_at(&view, (start + i) % view.count), true);
        c.same_owner = true;
        if (judge(drawing, from, at, &c) == VERDICT_FIT) {
            drawing->same_owner_left[from]--;
            return c.place;
        }
    }
    return POOL_NOBODY;
}

/* ---- Rounds ---- */

/* Whether somebody it could write to can receive no more today, or has left the pool for that. */
static bool met_full(struct drawing *drawing, uint32_t from, uint32_t at)
{
    const struct pool *pool = &drawing->pool;
    if (pool->dropped == 0 && pool_candidates(pool, from).count == 0)
        return false;
    uint32_t begin = pool->bucket_begins[pool->bucket[from]];
    uint32_t n = pool->bucket_begins[pool->bucket[from] + 1] - begin;
    uint32_t start = (uint32_t)flz_rng_below(&drawing->rng, n);
    for (uint32_t i = 0; i < n && i < EXPLAIN_MAX; i++) {
        struct candidate c = candidate_of(begin + (start + i) % n, true);
        if (drawing->input->accounts[pool->account[c.place]].receives &&
            judge(drawing, from, at, &c) == VERDICT_FULL)
            return true;
    }
    return false;
}

static enum plan_reason reason_of(struct drawing *drawing, uint32_t from, uint32_t at,
                                  const struct tally *tally)
{
    if (tally->counts[VERDICT_FULL] > 0)
        return PLAN_INBOUND_FULL;
    if (tally->counts[VERDICT_COOLING] + tally->counts[VERDICT_STARTED] > 0)
        return PLAN_COOLDOWN;
    return met_full(drawing, from, at) ? PLAN_INBOUND_FULL : PLAN_NO_PARTNER;
}

/* One first message of one sender. 0 or -ENOMEM; *ret_more says whether it may draw again. */
static int draw_one(struct drawing *drawing, uint32_t from, const uint32_t *shares, bool *ret_more)
{
    *ret_more = false;
    uint32_t at = seat_next_slot(&drawing->seats, from);
    if (at == UINT32_MAX)
        return 0;

    struct tally tally = {0};
    uint32_t to = pick(drawing, from, at, shares, &tally);
    if (to == POOL_NOBODY) {
        int r = repair(drawing, from, at, &to);
        if (r < 0)
            return r;
        /* What was moved may now be answered by this very sender, in this slot. */
        if (seat_slot_used(&drawing->seats, from, at)) {
            *ret_more = true;
            return 0;
        }
    }
    if (to == POOL_NOBODY)
        to = pick_same_owner(drawing, from, at);
    if (to == POOL_NOBODY) {
        drawing->reasons[from] = (uint8_t)reason_of(drawing, from, at, &tally);
        return 0;
    }
    *ret_more = true;
    return add_exchange(drawing, from, to, at);
}

static void fetch(const struct drawing *drawing, uint32_t from)
{
    const struct seats *seats = &drawing->seats;
    __builtin_prefetch(&seats->slots[seats->seats[from].slots_begin]);
    __builtin_prefetch(drawing->history.filters[from]);
    for (uint32_t i = 0; i < VISIT_DRAWS; i++) {
        uint32_t owed = owed_next(drawing, from, drawing->habits[from].firsts + i);
        if (owed == POOL_NOBODY)
            continue;
        __builtin_prefetch(&seats->seats[owed]);
        __builtin_prefetch(&seats->agendas[owed]);
        __builtin_prefetch(drawing->history.filters[owed]);
    }
}

/* Some first messages of one sender. */
static int draw_visit(struct drawing *drawing, uint32_t from, bool *ret_more)
{
    if (!drawing->large)
        return draw_one(drawing, from, NULL, ret_more);
    *ret_more = true;
    int r = 0;
    for (uint32_t i = 0; i < VISIT_DRAWS && r == 0 && *ret_more; i++)
        r = draw_one(drawing, from, drawing->shares + i * looks_of(drawing), ret_more);
    return r;
}

static void shuffle_senders(struct drawing *drawing)
{
    for (uint32_t i = drawing->senders_count; i > 1; i--) {
        size_t j = flz_rng_below(&drawing->rng, i);
        uint32_t swap = drawing->senders[i - 1];
        drawing->senders[i - 1] = drawing->senders[j];
        drawing->senders[j] = swap;
    }
}

static bool can_receive(void *data, uint32_t place)
{
    const struct drawing *drawing = data;
    for (int day = 0; day < PLAN_DAYS; day++)
        if (drawing->seats.seats[place].inbound[day] > 0)
            return true;
    return false;
}

static void find_spare(struct drawing *drawing)
{
    const struct pool_order *order = &drawing->pool.orders[POOL_BY_DOMAIN];
    const uint32_t *groups = drawing->pool.bucket_groups[POOL_BY_DOMAIN];
    uint32_t count = 0;
    for (uint32_t bucket = 0; bucket < drawing->pool.buckets; bucket++) {
        drawing->spare_begins[bucket] = count;
        uint32_t end = order->begins[groups[bucket + 1]];
        for (uint32_t i = order->begins[groups[bucket]]; i < end; i++)
            if (drawing->seats.seats[order->places[i]].inbound[0] > 0)
                drawing->spare[count++] = order->places[i];
    }
    drawing->spare_begins[drawing->pool.buckets] = count;
}

static void begin_round(struct drawing *drawing)
{
    find_spare(drawing);
    if (!drawing->large) {
        shuffle_senders(drawing);
        return;
    }
    draw_shares(drawing, drawing->shares, VISIT_DRAWS * looks_of(drawing));
    const struct pool_order *order = &drawing->pool.orders[POOL_BY_DOMAIN];
    uint32_t spare = drawing->spare_begins[drawing->pool.buckets];
    if (spare < order->begins[order->groups] / COMPACT_DIVISOR)
        pool_compact(&drawing->pool, can_receive, drawing);
}

/* First messages of each sender that has one left to draw. */
static int draw_round(struct drawing *drawing)
{
    const atomic_bool *cancelled = drawing->input->cancelled;
    uint32_t count = drawing->senders_count;
    uint32_t kept = 0;
    begin_round(drawing);
    for (uint32_t i = 0; i < count; i++) {
        bool more;
        if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
            return -ECANCELED;
        if (drawing->large && i + FETCH_AHEAD < count)
            fetch(drawing, drawing->senders[i + FETCH_AHEAD]);
        int r = draw_visit(drawing, drawing->senders[i], &more);
        if (r < 0)
            return r;
        if (more)
            drawing->senders[kept++] = drawing->senders[i];
    }
    drawing->senders_count = kept;
    return 0;
}

/* Why a sender cannot begin at all, or PLAN_FULL. */
static enum plan_reason bar_of(const struct drawing *drawing, uint32_t place)
{
    const struct plan_account *a = &drawing->input->accounts[drawing->pool.account[place]];
    const struct seat *seat = &drawing->seats.seats[place];
    if (seat->wanted == 0)
        return PLAN_FULL;
    if (a->window_end[0] <= a->window_start[0] || a->window_end[0] <= drawing->input->now)
        return PLAN_NO_WINDOW;
    if (scenarios_of(drawing, a->language) == 0)
        return PLAN_NO_CONTENT;
    return seat->slots_count < seat->wanted ? PLAN_NO_ROOM : PLAN_FULL;
}

static bool begins(const struct drawing *drawing, uint32_t place)
{
    return drawing->reasons[place] == PLAN_FULL || drawing->reasons[place] == PLAN_NO_ROOM;
}

static void find_senders(struct drawing *drawing)
{
    const struct plan_input *input = drawing->input;
    for (uint32_t place = 0; place < drawing->pool.count; place++) {
        const struct seat *seat = &drawing->seats.seats[place];
        if (!seat->sends)
            continue;
        uint64_t quota = input->accounts[drawing->pool.account[place]].quota[0];
        uint64_t share = quota * (uint64_t)input->policy->same_owner_percent / 100;
        drawing->reasons[place] = (uint8_t)bar_of(drawing, place);
        drawing->same_owner_left[place] = share < UINT8_MAX ? (uint8_t)share : UINT8_MAX;
        if (begins(drawing, place) && seat->slots_count > 0)
            drawing->senders[drawing->senders_count++] = place;
    }
}

/* Moving an exchange may have given a slot back to somebody who had drawn all of his. */
static void recall_senders(struct drawing *drawing)
{
    for (uint32_t place = 0; place < drawing->pool.count; place++)
        if (begins(drawing, place) && seat_next_slot(&drawing->seats, place) != UINT32_MAX)
            drawing->senders[drawing->senders_count++] = place;
}

/* Ends: each draw adds an exchange, of which there are no more than slots, or bars its sender, or
 * has spent of what may be spent on repairs. */
static int draw_all(struct drawing *drawing)
{
    do {
        while (drawing->senders_count > 0) {
            int r = draw_round(drawing);
            if (r < 0)
                return r;
        }
        recall_senders(drawing);
    } while (drawing->senders_count > 0);
    return 0;
}

/* ---- The result ---- */

static int list_shortfalls(struct drawing *drawing)
{
    const struct plan_input *input = drawing->input;
    struct plan_output *output = &drawing->output;
    for (size_t i = 0; i < input->accounts_count; i++) {
        uint32_t place = drawing->pool.place[i];
        const struct seat *seat = &drawing->seats.seats[place];
        if (!seat->sends)
            continue;
        int r = flz_grow((void **)&output->shortfalls, &output->shortfalls_capacity,
                         output->shortfalls_count + 1, sizeof(*output->shortfalls));
        if (r < 0)
            return r;
        output->shortfalls[output->shortfalls_count++] = (struct plan_shortfall){
            .account = input->accounts[i].handle,
            .wanted = seat->wanted,
            .planned = seat->sent,
            .reason =
                seat->sent == seat->wanted ? PLAN_FULL : (enum plan_reason)drawing->reasons[place],
        };
    }
    return 0;
}

/* From places to the accounts of the input. */
static void name_accounts(struct drawing *drawing)
{
    struct plan_output *output = &drawing->output;
    for (size_t i = 0; i < output->exchanges_count; i++) {
        struct plan_packed *x = &output->exchanges[i];
        x->from = drawing->pool.account[x->from];
        x->to = drawing->pool.account[x->to];
    }
    output->epoch = drawing->seats.epoch;
}

static int drawing_init(struct drawing *drawing, const struct plan_input *input)
{
    size_t n = input->accounts_count + 1;
    uint8_t seed[8];
    flz_put_be64(seed, input->seed);
    flz_rng_init(&drawing->rng, (struct flz_view){.data = seed, .len = sizeof(seed)},
                 (uint64_t)(int64_t)input->date);
    drawing->input = input;
    drawing->repair_budget = REPAIR_BUDGET_LEAST + (uint64_t)REPAIR_BUDGET_EACH * n;
    drawing->large = input->accounts_count >= POOL_LARGE_MIN;
    drawing->habits = calloc(n, sizeof(*drawing->habits));
    drawing->spare = calloc(n, sizeof(*drawing->spare));
    drawing->spare_begins = calloc(n, sizeof(*drawing->spare_begins));
    drawing->senders = calloc(n, sizeof(*drawing->senders));
    drawing->reasons = calloc(n, sizeof(*drawing->reasons));
    drawing->same_owner_left = calloc(n, sizeof(*drawing->same_owner_left));
    if (!drawing->habits || !drawing->spare || !drawing->spare_begins || !drawing->senders ||
        !drawing->reasons || !drawing->same_owner_left)
        return flz_fail(-ENOMEM);

    int r = pool_init(&drawing->pool, input);
    if (r == 0)
        r = seats_init(&drawing->seats, &drawing->pool, &drawing->rng);
    if (r == 0)
        r = scarcity_set(&drawing->seats, &drawing->scarce);
    if (r == 0)
        r = pair_history_init(&drawing->history, &drawing->pool);
    return r;
}

int plan_day(const struct plan_input *input, struct plan_output *ret_output)
{
    _cleanup_(drawing_deinit) struct drawing drawing = {
        .pool = POOL_NULL,
        .seats = SEATS_NULL,
        .history = PAIR_HISTORY_NULL,
        .output = PLAN_OUTPUT_NULL,
    };
    int r = drawing_init(&drawing, input);
    if (r < 0)
        return r;

    find_senders(&drawing);
    r = draw_all(&drawing);
    if (r == 0)
        r = list_shortfalls(&drawing);
    if (r < 0)
        return r;
    name_accounts(&drawing);
    *ret_output = drawing.output;
    drawing.output = PLAN_OUTPUT_NULL;
    return 0;
}
