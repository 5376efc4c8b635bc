#include "coordinator/core/replay.h"

#include "common/base/text.h"
#include "coordinator/core/health.h"
#include "coordinator/core/ramp.h"
#include "coordinator/core/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_EVERY 1000 /* events after which changed rows are let go */
#define KEYS_MAX 64

/* What would have been decided right after the newest question; what was, comes next in the log. */
struct expected {
    uint64_t number;
    int64_t at;
    struct event_health health;
    bool met; /* by an event of the log */
};

struct replay {
    struct coord *core; /* as recorded */
    int64_t since;
    struct {
        char name[FLZ_NAME_MAX];
        int64_t value;
    } keys[KEYS_MAX];
    size_t keys_count;
    struct health_state *own; /* by the other policy */
    size_t own_count;
    size_t own_capacity;
    struct flz_map own_by_key; /* account and provider */
    struct expected *expected;
    size_t expected_count;
    size_t expected_capacity;
    struct replay_result result;
};

int replay_new(const struct replay_options *options, struct replay **ret_replay)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return flz_fail(-ENOMEM);
    replay->since = options->since;
    int r = coord_new(options->network, FLZ_VIEW_NULL, options->base, &replay->core);
    if (r < 0) {
        free(replay);
        return r;
    }
    *ret_replay = replay;
    return 0;
}

struct replay *replay_free(struct replay *replay)
{
    if (!replay)
        return NULL;
    replay->core = coord_free(replay->core);
    flz_map_deinit(&replay->own_by_key);
    free(replay->own);
    free(replay->expected);
    free(replay);
    return NULL;
}

int replay_policy(struct replay *replay, const char *key, int64_t value, struct flz_msg *msg)
{
    struct policy scratch = replay->core->policy;
    int r = policy_set(&scratch, key, value, msg);
    if (r < 0)
        return r;
    if (replay->keys_count == KEYS_MAX) {
        flz_msg_set(msg, "more than %d keys", KEYS_MAX);
        return flz_fail(-ERANGE);
    }
    (void)flz_text_copy(replay->keys[replay->keys_count].name, FLZ_NAME_MAX, key);
    replay->keys[replay->keys_count++].value = value;
    return 0;
}

/* The policy as it was at this point of the log, and what is asked about. */
static struct policy policy_now(const struct replay *replay)
{
    struct policy policy = replay->core->policy;
    for (size_t i = 0; i < replay->keys_count; i++)
        (void)policy_set(&policy, replay->keys[i].name, replay->keys[i].value, NULL);
    return policy;
}

/* ---- States by the other policy ---- */

static struct health_state own_state(const struct replay *replay, uint32_t account,
                                     uint32_t provider)
{
    uint32_t i = flz_map_get(&replay->own_by_key, state_pair_key(account, provider));
    return i == FLZ_MAP_NONE ? (struct health_state){.state = HEALTH_HEALTHY} : replay->own[i];
}

static int set_own(struct replay *replay, const struct event_health *e)
{
    struct row_standing row = {.state = e->state,
                               .rule = e->rule,
                               .until = e->until,
                               .window_date = e->window_date,
                               .fresh_date = e->fresh_date,
                               .level = e->level};
    struct flz_id key = state_pair_key(e->account, e->provider);
    uint32_t i = flz_map_get(&replay->own_by_key, key);
    if (i == FLZ_MAP_NONE) {
        i = (uint32_t)replay->own_count;
        int r = flz_grow((void **)&replay->own, &replay->own_capacity, replay->own_count + 1,
                         sizeof *replay->own);
        if (r == 0)
            r = flz_map_set(&replay->own_by_key, key, i);
        if (r < 0)
            return r;
        replay->own_count++;
    }
    replay->own[i] = standing_state(&row);
    return 0;
}

/* ---- Differences ---- */

static void differ(struct replay *replay, const struct replay_difference *difference)
{
    struct replay_result *result = &replay->result;
    result->differences_all++;
    if (result->differences_count < REPLAY_DIFFERENCES_MAX)
        result->differences[result->differences_count++] = *difference;
}

static bool is_same(const struct event_health *a, const struct event_health *b)
{
    return a->before == b->before && a->state == b->state && a->rule == b->rule &&
           a->until == b->until && a->window_date == b->window_date &&
           a->fresh_date == b->fresh_date && a->level == b->level && a->seen == b->seen &&
           a->junk == b->junk && a->low == b->low && a->fresh_seen == b->fresh_seen &&
           a->fresh_junk == b->fresh_junk && a->complaints == b->complaints &&
           flz_id_equal(a->evidence, b->evidence);
}

/* What was expected and never came. */
static void close_question(struct replay *replay)
{
    for (size_t i = 0; i < replay->expected_count; i++) {
        const struct expected *e = &replay->expected[i];
        if (e->met)
            continue;
        struct replay_difference difference = {
            .event = e->number,
            .at = e->at,
            .account = e->health.account,
            .provider = e->health.provider,
            .state = REPLAY_UNDECIDED,
            .other_state = e->health.state,
            .other_rule = e->health.rule,
        };
        differ(replay, &difference);
    }
    replay->expected_count = 0;
}

static struct expected *find_expected(struct replay *replay, const struct event_health *e)
{
    for (size_t i = 0; i < replay->expected_count; i++)
        if (replay->expected[i].health.account == e->account &&
            replay->expected[i].health.provider == e->provider)
            return &replay->expected[i];
    return NULL;
}

static void compare_health(struct replay *replay, uint64_t number, const struct event *event)
{
    const struct event_health *e = &event->health;
    struct expected *expected = find_expected(replay, e);
    replay->result.health++;
    replay->result.entered[e->state]++;
    if (expected)
        expected->met = true;
    if (expected && is_same(e, &expected->health)) {
        replay->result.health_same++;
        return;
    }
    struct replay_difference difference = {
        .event = number,
        .at = event->at,
        .account = e->account,
        .provider = e->provider,
        .state = e->state,
        .rule = e->rule,
        .other_state = expected ? expected->health.state : REPLAY_UNDECIDED,
        .other_rule = expected ? expected->health.rule : RULE_NONE,
    };
    differ(replay, &difference);
}

/* ---- Deciding again ---- */

static int ask(struct replay *replay, uint64_t number, const struct standing_question *question)
{
    struct policy policy = policy_now(replay);
    struct health_state before = own_state(replay, question->account, question->provider);
    struct expected expected = {.number = number, .at = question->now};
    if (!standing_judge(replay->core, question, &policy, &before, &expected.health))
        return 0;
    int r = flz_grow((void **)&replay->expected, &replay->expected_capacity,
                     replay->expected_count + 1, sizeof *replay->expected);
    if (r < 0)
        return r;
    replay->expected[replay->expected_count++] = expected;
    replay->result.health_other++;
    replay->result.entered_other[expected.health.state]++;
    return set_own(replay, &expected.health);
}

static int ask_after(struct replay *replay, uint64_t number, const struct event *event)
{
    struct standing_question q;
    if (standing_question_of(replay->core, event, &q))
        return ask(replay, number, &q);
    if (event->type != EVENT_DAY_CLOSED)
        return 0;
    q = (struct standing_question){.account = event->day_closed.account, .now = event->at};
    for (uint32_t n = 0; standing_nth(replay->core, n, &q.provider); n++) {
        int r = own_state(replay, q.account, q.provider).state != HEALTH_HEALTHY
                    ? ask(replay, number, &q)
                    : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* A closed day's place in the ramp, by the quota and what was committed as recorded. */
static void close_again(struct replay *replay, uint64_t number, const struct event *event)
{
    const struct event_day_closed *e = &event->day_closed;
    const struct account_state *account = state_account(replay->core, e->account);
    if (!account)
        return;
    struct policy policy = policy_now(replay);
    struct ramp_settings settings = ramp_settings_of(&account->row);
    struct ramp_state state = ramp_state_on(&account->row, e->date);
    bool met;
    struct ramp_state next = ramp_close(&state, &settings, &policy, e->date, e->quota,
                                        e->committed, e->possible, &met);
    replay->result.days++;
    if (met == e->met && next.day == e->ramp_day && next.reference == e->ramp_reference &&
        next.last_quota == e->ramp_last_quota && next.last_date == e->ramp_last_date &&
        next.sent_date == e->ramp_sent_date) {
        replay->result.days_same++;
        return;
    }
    struct replay_difference difference = {
        .event = number,
        .at = event->at,
        .account = e->account,
        .is_day = true,
        .date = e->date,
        .met = e->met,
        .other_met = met,
        .level = e->ramp_reference,
        .other_level = next.reference,
    };
    differ(replay, &difference);
}

/* A person cleared it: that is no decision of the policy, and holds for both. */
static int follow(struct replay *replay, uint64_t number, const struct event *event)
{
    bool own = event->health.rule != RULE_CLEARED;
    if (own && event->at >= replay->since)
        compare_health(replay, number, event);
    return own && event->at >= replay->since ? 0 : set_own(replay, &event->health);
}

static int drop_row(void *data, enum row_kind kind, const void *row, bool deleted)
{
    (void)data;
    (void)kind;
    (void)row;
    (void)deleted;
    return 0;
}

int replay_event(struct replay *replay, uint64_t number, const struct event *event)
{
    bool counts = event->at >= replay->since;
    int r = 0;
    if (event->type == EVENT_HEALTH)
        r = follow(replay, number, event);
    else
        close_question(replay);
    if (r == 0 && event->type == EVENT_DAY_CLOSED && counts)
        close_again(replay, number, event);
    if (r == 0)
        r = coord_apply(replay->core, event);
    if (r == 0 && counts)
        r = ask_after(replay, number, event);
    if (r == 0 && ++replay->result.events % ROWS_EVERY == 0)
        r = coord_take_rows(replay->core, drop_row, NULL);
    return r;
}

const struct replay_result *replay_result(struct replay *replay)
{
    close_question(replay);
    return &replay->result;
}
