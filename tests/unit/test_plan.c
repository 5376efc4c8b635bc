#include "coordinator/core/plan.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "coordinator/core/slot.h"
#include "tests/sim/plan_check.h"
#include "tests/sim/plan_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MONDAY 20780 /* 2026-11-23 */
#define MIDNIGHT (MONDAY * FLZ_DAY_MS)
#define ACCOUNTS_MAX 64

/* A pool in one zone, each account its own domain, owner and node, hours 9–18 every day. */
struct fixture {
    struct policy policy;
    struct plan_account accounts[ACCOUNTS_MAX];
    struct plan_contact contacts[ACCOUNTS_MAX];
    struct plan_pack packs[1];
    struct plan_input input;
    struct plan_read output;
};

static const uint8_t five_turns[] = {5, 5, 5, 5, 5, 5, 5, 5};

static struct plan_account account_of(uint32_t i, uint32_t quota)
{
    struct plan_account account = {
        .handle = i + 1,
        .node = i,
        .domain = i,
        .owner = i,
        .sends = true,
        .receives = true,
        .inbound_max = quota * 3 / 2,
    };
    for (int day = 0; day < PLAN_DAYS; day++) {
        account.quota[day] = quota;
        account.window_start[day] = MIDNIGHT + day * FLZ_DAY_MS + 9 * FLZ_HOUR_MS;
        account.window_end[day] = account.window_start[day] + 9 * FLZ_HOUR_MS;
    }
    return account;
}

static void setup(struct fixture *f, size_t count, uint32_t quota)
{
    *f = (struct fixture){.policy = policy_default()};
    for (uint32_t i = 0; i < count; i++)
        f->accounts[i] = account_of(i, quota);
    f->packs[0] = (struct plan_pack){.digest.b = {1}, .scenarios = 8, .turns = five_turns};
    f->input = (struct plan_input){
        .date = MONDAY,
        .now = MIDNIGHT - FLZ_HOUR_MS,
        .policy = &f->policy,
        .accounts = f->accounts,
        .accounts_count = count,
        .contacts = f->contacts,
        .packs = f->packs,
        .packs_count = 1,
        .seed = 42,
    };
}

/* Plans, and has the plan checked. */
static void draw(struct fixture *f)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    plan_read_deinit(&f->output);
    assert_int_equal(plan_read_day(&f->input, &f->output), 0);
    int rule = plan_check(&f->input, &f->output, &msg);
    if (rule != 0)
        print_error("%s\n", msg.text);
    assert_int_equal(rule, 0);
}

static size_t planned_of(const struct fixture *f)
{
    size_t planned = 0;
    for (size_t i = 0; i < f->output.shortfalls_count; i++)
        planned += f->output.shortfalls[i].planned;
    return planned;
}

static void an_easy_pool_is_filled_to_the_last_message(void **state)
{
    struct fixture f;
    setup(&f, 40, 10);
    draw(&f);
    assert_int_equal(planned_of(&f), 400);
    plan_read_deinit(&f.output);
}

static void nobody_and_one_alone_get_an_answer(void **state)
{
    struct fixture f;
    setup(&f, 0, 10);
    draw(&f);
    assert_int_equal(f.output.exchanges_count + f.output.shortfalls_count, 0);
    setup(&f, 1, 10);
    draw(&f);
    assert_int_equal(f.output.shortfalls[0].reason, PLAN_NO_PARTNER);
    assert_int_equal(f.output.shortfalls[0].wanted, 10);
    plan_read_deinit(&f.output);
}

static void two_accounts_exchange_once_a_day(void **state)
{
    struct fixture f;
    setup(&f, 2, 5);
    draw(&f);
    assert_int_equal(f.output.exchanges_count, 1);
    plan_read_deinit(&f.output);
}

/* The first account of a small pool, changed by one thing, and the reason it is given. */
static enum plan_reason reason_after(void (*change)(struct fixture *f))
{
    struct fixture f;
    setup(&f, 4, 5);
    f.policy.reply_percent = 0;
    for (int i = 1; i < 4; i++)
        f.accounts[i].sends = false;
    change(&f);
    draw(&f);
    enum plan_reason reason = f.output.shortfalls[0].reason;
    plan_read_deinit(&f.output);
    return reason;
}

static void want_nothing(struct fixture *f)
{
    f->accounts[0].quota[0] = 0;
}
static void want_what_there_is(struct fixture *f)
{
    f->accounts[0].quota[0] = 3;
}
static void have_no_hours(struct fixture *f)
{
    f->accounts[0].window_end[0] = f->accounts[0].window_start[0];
}
static void come_after_hours(struct fixture *f)
{
    f->input.now = f->accounts[0].window_end[0];
}
static void come_from_abroad(struct fixture *f)
{
    f->accounts[0].language = 3;
}
static void have_nothing_to_say(struct fixture *f)
{
    f->input.packs_count = 0;
}
static void have_everything(struct fixture *f)
{
    for (int i = 0; i < 4; i++)
        f->accounts[i].owner = 5;
}
static void write_to_all(struct fixture *f)
{
}
static void have_written_to_all(struct fixture *f)
{
    for (uint32_t i = 0; i < 3; i++)
        f->contacts[i] = (struct plan_contact){.from = 1, .to = 2 + i, .date = MONDAY - 1};
    f->input.contacts_count = 3;
}
static void find_them_full(struct fixture *f)
{
    for (int i = 1; i < 4; i++)
        f->accounts[i].inbound_max = 0;
    for (int day = 1; day < PLAN_DAYS; day++)
        for (int i = 1; i < 4; i++)
            f->accounts[i].quota[day] = 0;
}
static void be_in_a_hurry(struct fixture *f)
{
    f->accounts[0].quota[0] = 2;
    f->accounts[0].window_end[0] = f->accounts[0].window_start[0] + 9 * FLZ_MINUTE_MS;
}

static void every_shortfall_says_why(void **state)
{
    assert_int_equal(reason_after(want_nothing), PLAN_FULL);
    assert_int_equal(reason_after(want_what_there_is), PLAN_FULL);
    assert_int_equal(reason_after(have_no_hours), PLAN_NO_WINDOW);
    assert_int_equal(reason_after(come_after_hours), PLAN_NO_WINDOW);
    assert_int_equal(reason_after(come_from_abroad), PLAN_NO_CONTENT);
    assert_int_equal(reason_after(have_nothing_to_say), PLAN_NO_CONTENT);
    assert_int_equal(reason_after(have_everything), PLAN_NO_PARTNER);
    assert_int_equal(reason_after(write_to_all), PLAN_COOLDOWN);
    assert_int_equal(reason_after(have_written_to_all), PLAN_COOLDOWN);
    assert_int_equal(reason_after(find_them_full), PLAN_INBOUND_FULL);
    assert_int_equal(reason_after(be_in_a_hurry), PLAN_NO_ROOM);
}

static void too_little_time_for_the_spacing_is_no_room(void **state)
{
    struct fixture f;
    setup(&f, 40, 20);
    for (int i = 0; i < 40; i++)
        f.accounts[i].window_end[0] = f.accounts[i].window_start[0] + 2 * FLZ_HOUR_MS;
    draw(&f);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(f.output.shortfalls[i].reason, PLAN_NO_ROOM);
        assert_int_equal(f.output.shortfalls[i].planned, 12);
    }
    plan_read_deinit(&f.output);
}

static void cooldown_counts_sending_days(void **state)
{
    /* Monday to Monday are five sending days at Monday–Friday, seven at every day. */
    assert_true(plan_cooled(0x1f, MONDAY - 7, MONDAY, 5));
    assert_false(plan_cooled(0x1f, MONDAY - 4, MONDAY, 5)); /* Thursday */
    assert_true(plan_cooled(0x1f, MONDAY - 4, MONDAY, 2));
    assert_true(plan_cooled(0, MONDAY - 5, MONDAY, 5));
    assert_false(plan_cooled(0, MONDAY - 4, MONDAY, 5));
    assert_false(plan_cooled(0, MONDAY, MONDAY, 1));
    assert_true(plan_cooled(0, MONDAY - 1, MONDAY, 1));
    for (uint32_t mask = 0; mask < 128; mask++)
        for (int32_t apart = 1; apart < 60; apart++)
            for (int cooldown = 1; cooldown < 12; cooldown++)
                assert_int_equal(plan_cooled(mask, MONDAY + 3 - apart, MONDAY + 3, cooldown),
                                 plan_check_sending_days(mask, MONDAY + 3 - apart, MONDAY + 3) >=
                                     cooldown);
}

/* With a cooldown of one day a pair is still begun by one of its two only. */
static void a_pool_carries_each_partner_once_a_cooldown_and_every_other_day_at_most(void **state)
{
    struct fixture f;
    setup(&f, 21, 20);
    f.policy.cooldown_days = 1;
    f.policy.reply_percent = 0;
    assert_int_equal(plan_pool_max(&f.policy, 20), 10);
    draw(&f);
    assert_int_equal(planned_of(&f), 21 * 10);
    f.policy.cooldown_days = 5;
    assert_int_equal(plan_pool_max(&f.policy, 20), 4);
    assert_int_equal(plan_pool_max(&f.policy, 4), 1);
    assert_int_equal(plan_pool_max(&f.policy, 0), 0);
    plan_read_deinit(&f.output);
}

static void same_owner_serves_only_when_allowed_and_is_flagged(void **state)
{
    struct fixture f;
    setup(&f, 20, 10);
    for (int i = 0; i < 20; i++)
        f.accounts[i].owner = 7;
    draw(&f);
    assert_int_equal(f.output.exchanges_count, 0);
    f.policy.same_owner_percent = 20;
    draw(&f);
    assert_int_equal(f.output.exchanges_count, 40); /* 2 of 10 each */
    for (size_t i = 0; i < 40; i++)
        assert_true(f.output.exchanges[i].same_owner);

    for (int i = 0; i < 20; i++)
        f.accounts[i].owner = (uint32_t)i;
    draw(&f);
    for (size_t i = 0; i < f.output.exchanges_count; i++)
        assert_false(f.output.exchanges[i].same_owner);
    plan_read_deinit(&f.output);
}

static void replies_come_at_the_rate_of_policy(void **state)
{
    for (int64_t percent = 0; percent <= 50; percent += 25) {
        struct fixture f;
        setup(&f, 60, 10);
        f.policy.reply_percent = percent;
        size_t answered = 0;
        size_t exchanges = 0;
        for (f.input.seed = 0; f.input.seed < 10; f.input.seed++) {
            draw(&f);
            exchanges += f.output.exchanges_count;
            for (size_t i = 0; i < f.output.exchanges_count; i++)
                answered += f.output.exchanges[i].turns_count > 1;
        }
        assert_in_range(100 * answered / exchanges, percent > 4 ? percent - 4 : 0, percent + 2);
        plan_read_deinit(&f.output);
    }
}

/* Mail found after the day's hours is opened on the next morning, and answered after that. */
static void a_late_opening_comes_before_the_answer(void **state)
{
    struct fixture f;
    size_t same_day = 0;
    setup(&f, 60, 10);
    f.policy.reply_percent = 50;
    draw(&f);
    for (size_t i = 0; i < f.output.exchanges_count; i++) {
        const struct plan_exchange *x = &f.output.exchanges[i];
        for (uint32_t n = 1; n < x->turns_count; n++) {
            const struct plan_turn *before = &x->turns[n - 1];
            int64_t begins = MIDNIGHT + (x->turns[n].date - MONDAY) * FLZ_DAY_MS + 9 * FLZ_HOUR_MS;
            if (before->reopen_at < begins || before->reopen_at > begins + 9 * FLZ_HOUR_MS ||
                x->turns[n].send_at < begins + 10 * FLZ_MINUTE_MS)
                continue;
            same_day++;
            assert_true(before->reopen_at < x->turns[n].send_at);
        }
    }
    assert_true(same_day > 20);
    plan_read_deinit(&f.output);
}

static void the_last_day_known_has_no_second_hours(void **state)
{
    struct fixture f;
    setup(&f, 40, 10);
    for (size_t i = 0; i < 40; i++)
        for (int day = 1; day < PLAN_DAYS; day++)
            f.accounts[i].window_end[day] = f.accounts[i].window_start[day];
    draw(&f);
    assert_true(f.output.exchanges_count > 0);
    for (size_t i = 0; i < f.output.exchanges_count; i++)
        assert_int_equal(f.output.exchanges[i].turns[0].reopen_at, 0);
    plan_read_deinit(&f.output);
}

static void a_full_day_keeps_no_room_for_replies(void **state)
{
    struct fixture f;
    setup(&f, 40, 10);
    f.policy.reply_percent = 50;
    for (int i = 0; i < 40; i++)
        for (int day = 1; day < PLAN_DAYS; day++)
            f.accounts[i].reserved[day] = 10;
    draw(&f);
    for (size_t i = 0; i < f.output.exchanges_count; i++)
        for (uint32_t n = 0; n < f.output.exchanges[i].turns_count; n++)
            assert_int_equal(f.output.exchanges[i].turns[n].date, MONDAY);
    assert_int_equal(planned_of(&f), 400);
    plan_read_deinit(&f.output);
}

static void a_late_plan_uses_what_is_left_of_the_day(void **state)
{
    struct fixture f;
    setup(&f, 40, 10);
    f.input.now = f.accounts[0].window_start[0] + 7 * FLZ_HOUR_MS;
    draw(&f); /* the checker sees that nothing is before now */
    assert_int_equal(planned_of(&f), 400);
    f.input.now = f.accounts[0].window_end[0];
    draw(&f);
    assert_int_equal(f.output.exchanges_count, 0);
    assert_int_equal(f.output.shortfalls[0].reason, PLAN_NO_WINDOW);
    plan_read_deinit(&f.output);
}

/* First messages of the hours 9 to 18 come about as often in each hour, and not at its
 * beginning. */
static void messages_are_spread_evenly_and_not_on_the_hour(void **state)
{
    struct fixture f;
    size_t hours[9] = {0};
    size_t minutes[6] = {0};
    size_t total = 0;
    setup(&f, 60, 9);
    f.policy.reply_percent = 0;
    for (f.input.seed = 0; f.input.seed < 10; f.input.seed++) {
        draw(&f);
        for (size_t i = 0; i < f.output.exchanges_count; i++) {
            int64_t at = f.output.exchanges[i].turns[0].send_at - MIDNIGHT - 9 * FLZ_HOUR_MS;
            hours[at / FLZ_HOUR_MS]++;
            minutes[at / FLZ_MINUTE_MS % 60 / 10]++;
            total++;
        }
    }
    for (int i = 0; i < 9; i++)
        assert_in_range(hours[i], total / 9 * 8 / 10, total / 9 * 12 / 10);
    for (int i = 0; i < 6; i++)
        assert_in_range(minutes[i], total / 6 * 8 / 10, total / 6 * 12 / 10);
    plan_read_deinit(&f.output);
}

static void a_spread_goes_around_what_is_busy(void **state)
{
    struct flz_rng rng;
    flz_rng_init(&rng, flz_view_str("slot"), 1);
    _cleanup_(slot_agenda_deinit) struct slot_agenda agenda = SLOT_AGENDA_NULL;
    int64_t times[10];
    struct slot_range range = {.first = 0, .last = 90};
    assert_int_equal(slot_take(&agenda, 50), 0);
    assert_int_equal(slot_take(&agenda, 20), 0);
    /* 10-spacing leaves 0–10, 30–40 and 60–90. */
    assert_int_equal(slot_spread(&agenda, range, 10, 10, &rng, times), 8);
    const int64_t packed[] = {0, 10, 30, 40, 60, 70, 80, 90};
    assert_memory_equal(times, packed, sizeof(packed));
    int64_t at;
    range.first = 12;
    assert_true(slot_find(&agenda, range, 10, &at));
    assert_int_equal(at, 30);
    range.last = 29;
    assert_false(slot_find(&agenda, range, 10, &at));
    slot_release(&agenda, 20);
    assert_true(slot_find(&agenda, range, 10, &at));
    assert_int_equal(at, 12);
    range = (struct slot_range){.first = 5, .last = 4};
    assert_int_equal(slot_spread(&agenda, range, 10, 3, &rng, times), 0);
}

static void partners_are_spread_and_the_longest_unwritten_come_first(void **state)
{
    struct fixture f;
    setup(&f, 12, 5);
    f.policy.reply_percent = 0;
    f.accounts[0].sends = true;
    for (int i = 1; i < 12; i++)
        f.accounts[i].sends = false;
    /* Account 1 wrote to 2–7 last week, not to 8–12. */
    for (uint32_t i = 0; i < 6; i++)
        f.contacts[i] = (struct plan_contact){.from = 1, .to = 2 + i, .date = MONDAY - 7};
    f.input.contacts_count = 6;
    draw(&f);
    assert_int_equal(f.output.exchanges_count, 5);
    for (int i = 0; i < 5; i++)
        assert_in_range(f.output.exchanges[i].to, 8, 12);
    plan_read_deinit(&f.output);
}

/* Accounts 1 and 3 share a domain: 1 can write to 2 only, and 2 to both. Whatever the chance, both
 * get their message. */
static void who_has_others_leaves_the_only_partner_alone(void **state)
{
    struct fixture f;
    setup(&f, 3, 1);
    f.policy.reply_percent = 0;
    f.accounts[2].domain = f.accounts[0].domain;
    f.accounts[2].sends = false;
    for (f.input.seed = 0; f.input.seed < 50; f.input.seed++) {
        draw(&f);
        assert_int_equal(f.output.exchanges_count, 2);
    }
    plan_read_deinit(&f.output);
}

/* Account 2 may receive one message a day; 3 could write to 4 as well, 1 to nobody else. */
static void who_has_others_leaves_the_last_place_to_who_has_none(void **state)
{
    struct fixture f;
    setup(&f, 4, 1);
    f.policy.reply_percent = 0;
    f.accounts[0].domain = f.accounts[3].domain;
    f.accounts[1].sends = f.accounts[3].sends = false;
    f.accounts[2].receives = false;
    for (f.input.seed = 0; f.input.seed < 50; f.input.seed++) {
        draw(&f);
        assert_int_equal(f.output.exchanges_count, 2);
    }
    plan_read_deinit(&f.output);
}

/* ---- What is preferred where the rules allow both ---- */

#define MANY 400

/* A larger pool, and the contacts of a day on which each wrote to the next five. */
struct many {
    struct fixture f;
    struct plan_account accounts[MANY];
    struct plan_contact contacts[5 * MANY];
};

static void setup_many(struct many *m, uint32_t quota)
{
    setup(&m->f, 0, 0);
    for (uint32_t i = 0; i < MANY; i++)
        m->accounts[i] = account_of(i, quota);
    m->f.policy.reply_percent = 0;
    m->f.input.accounts = m->accounts;
    m->f.input.accounts_count = MANY;
    m->f.input.contacts = m->contacts;
}

/* How many percent of the exchanges are such. */
static size_t percent_of(const struct many *m,
                         bool (*such)(const struct many *m, const struct plan_exchange *x))
{
    size_t count = 0;
    for (size_t i = 0; i < m->f.output.exchanges_count; i++)
        count += such(m, &m->f.output.exchanges[i]);
    return 100 * count / m->f.output.exchanges_count;
}

static bool between_providers(const struct many *m, const struct plan_exchange *x)
{
    return m->accounts[x->from - 1].provider != m->accounts[x->to - 1].provider;
}

static bool between_tiers(const struct many *m, const struct plan_exchange *x)
{
    return m->accounts[x->from - 1].tier != m->accounts[x->to - 1].tier;
}

static bool answers_yesterday(const struct many *m, const struct plan_exchange *x)
{
    uint32_t ahead = (x->from + MANY - x->to) % MANY;
    return ahead >= 1 && ahead <= 5;
}

static bool opens_on_a_later_day(const struct many *m, const struct plan_exchange *x)
{
    return x->turns[0].open_date > MONDAY;
}

/* Nine of ten accounts are at one provider: its own would meet each other nine times of ten. */
static void
partners_at_other_providers_come_to_their_floor_and_stay_below_their_ceiling(void **state)
{
    struct many m;
    setup_many(&m, 10);
    for (uint32_t i = 0; i < MANY; i++)
        m.accounts[i].provider = i % 10 == 0;
    m.f.policy.provider_other_floor = 0;
    m.f.policy.provider_other_ceiling = 100;
    draw(&m.f);
    size_t free_share = percent_of(&m, between_providers);
    m.f.policy.provider_other_ceiling = 20;
    draw(&m.f);
    assert_true(percent_of(&m, between_providers) < free_share);
    for (uint32_t i = 0; i < MANY; i++)
        m.accounts[i].provider = i % 5 == 0;
    m.f.policy.provider_other_ceiling = 100;
    draw(&m.f);
    free_share = percent_of(&m, between_providers);
    m.f.policy.provider_other_floor = 50;
    draw(&m.f);
    assert_true(percent_of(&m, between_providers) >= free_share + 5);
    plan_read_deinit(&m.f.output);
}

static void near_tiers_meet_first(void **state)
{
    struct many m;
    setup_many(&m, 10);
    for (uint32_t i = 0; i < MANY; i++)
        m.accounts[i].tier = i % 2 * 3;
    draw(&m.f);
    assert_true(percent_of(&m, between_tiers) < 15);
    assert_int_equal(planned_of(&m.f), 10 * MANY);
    plan_read_deinit(&m.f.output);
}

static void who_wrote_yesterday_is_written_to(void **state)
{
    struct many m;
    setup_many(&m, 10);
    for (uint32_t i = 0; i < MANY; i++)
        for (uint32_t n = 0; n < 5; n++)
            m.contacts[5 * i + n] = (struct plan_contact){
                .from = i + 1, .to = (i + 1 + n) % MANY + 1, .date = MONDAY - 1};
    draw(&m.f);
    assert_true(percent_of(&m, answers_yesterday) < 5);
    m.f.input.contacts_count = 5 * (MANY - 5); /* the last ones are not in order */
    draw(&m.f);
    assert_true(percent_of(&m, answers_yesterday) > 30);
    plan_read_deinit(&m.f.output);
}

/* Half of the accounts end their day at noon: what is sent to them later is opened tomorrow. */
static void those_who_open_today_come_first(void **state)
{
    struct many m;
    setup_many(&m, 10);
    for (uint32_t i = 0; i < MANY; i += 2)
        for (int day = 0; day < PLAN_DAYS; day++)
            m.accounts[i].window_end[day] -= 6 * FLZ_HOUR_MS;
    draw(&m.f);
    assert_true(percent_of(&m, opens_on_a_later_day) < 20);
    plan_read_deinit(&m.f.output);
}

static void a_large_pool_is_filled_and_keeps_every_rule(void **state)
{
    enum { LARGE = 5000 };
    struct fixture f;
    struct plan_account *accounts = calloc(LARGE, sizeof *accounts);
    assert_non_null(accounts);
    setup(&f, 0, 0);
    for (uint32_t i = 0; i < LARGE; i++) {
        accounts[i] = account_of(i, 12);
        accounts[i].domain = i % 10 < 4 ? LARGE : i / 8; /* 40 % in one */
        accounts[i].inbound_max = 12;
    }
    f.input.accounts = accounts;
    f.input.accounts_count = LARGE;
    f.policy.reply_percent = 0;
    draw(&f);
    assert_true(planned_of(&f) * 1000 >= (size_t)LARGE * 12 * 999);
    plan_read_deinit(&f.output);
    free(accounts);
}

/* ---- The checker catches each broken rule ---- */

typedef void (*break_fn)(struct fixture *f);

static struct plan_exchange *answered(struct fixture *f)
{
    for (size_t i = 0; i < f->output.exchanges_count; i++)
        if (f->output.exchanges[i].turns_count > 1)
            return &f->output.exchanges[i];
    fail_msg("no exchange has a reply");
    return NULL;
}

static void to_itself(struct fixture *f)
{
    f->output.exchanges[0].to = f->output.exchanges[0].from;
}
static void to_a_stranger(struct fixture *f)
{
    f->output.exchanges[0].to = 9999;
}
static void to_its_domain(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].to - 1].domain =
        f->accounts[f->output.exchanges[0].from - 1].domain;
}
static void to_one_who_does_not_receive(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].to - 1].receives = false;
}
static void from_another_unit(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].from - 1].sends = false;
}
static void to_its_owner(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].to - 1].owner =
        f->accounts[f->output.exchanges[0].from - 1].owner;
}
static void again_too_soon(struct fixture *f)
{
    f->contacts[0] = (struct plan_contact){
        .from = f->output.exchanges[0].from, .to = f->output.exchanges[0].to, .date = MONDAY - 4};
    f->input.contacts_count = 1;
}
static void after_the_other_began(struct fixture *f)
{
    f->contacts[0] = (struct plan_contact){
        .from = f->output.exchanges[0].to, .to = f->output.exchanges[0].from, .date = MONDAY};
    f->input.contacts_count = 1;
}
static void twice_a_day(struct fixture *f)
{
    struct plan_exchange *x = f->output.exchanges;
    for (size_t i = 1; i < f->output.exchanges_count; i++)
        if (x[i].from == x[0].from && x[i].turns_count == 1)
            x[i].to = x[0].to;
}
static void more_than_it_may_receive(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].to - 1].inbound_max = 0;
}
static void more_than_a_later_day_may_receive(struct fixture *f)
{
    struct plan_exchange *x = answered(f);
    int day = x->turns[1].open_date - MONDAY;
    f->accounts[x->from - 1].inbound_taken[day] = 100;
    f->accounts[x->from - 1].inbound_max = day == 0 ? 0 : f->accounts[x->from - 1].inbound_max;
}
static void before_its_hours(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].from - 1].window_start[0] =
        f->output.exchanges[0].turns[0].send_at + 1;
}
static void before_now(struct fixture *f)
{
    f->input.now = f->output.exchanges[0].turns[0].send_at + 1;
}
static void with_a_slot_beyond_its_hours(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].from - 1].window_end[0] =
        f->output.exchanges[0].turns[0].send_until - 1;
}
static void opened_before_it_was_sent(struct fixture *f)
{
    f->output.exchanges[0].turns[0].send_at = f->output.exchanges[0].turns[0].open_at;
    f->output.exchanges[0].turns[0].send_until = f->output.exchanges[0].turns[0].open_at + 1;
}
static void opened_out_of_hours(struct fixture *f)
{
    f->output.exchanges[0].turns[0].open_at = MIDNIGHT + 8 * FLZ_HOUR_MS;
}
static void opened_past_the_deadline(struct fixture *f)
{
    f->policy.action_deadline_ms = 1;
}
static void opened_again_on_the_same_day(struct fixture *f)
{
    struct plan_turn *t = &f->output.exchanges[0].turns[0];
    t->reopen_at = t->open_at;
    t->reopen_until = t->open_until;
}
static void opened_again_past_its_hours(struct fixture *f)
{
    f->output.exchanges[0].turns[0].reopen_until += 9 * FLZ_HOUR_MS;
}
static void opened_again_days_later(struct fixture *f)
{
    f->output.exchanges[0].turns[0].reopen_at += FLZ_DAY_MS;
    f->output.exchanges[0].turns[0].reopen_until += FLZ_DAY_MS;
}
static void never_opened_again(struct fixture *f)
{
    f->output.exchanges[0].turns[0].reopen_at = 0;
    f->output.exchanges[0].turns[0].reopen_until = 0;
}
static void answered_before_it_was_opened(struct fixture *f)
{
    struct plan_exchange *x = answered(f);
    x->turns[0].open_at = x->turns[1].send_at + 1;
}
static void in_another_language(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].to - 1].language = 3;
}
static void by_a_pack_that_is_not_there(struct fixture *f)
{
    f->output.exchanges[0].pack.b[3] ^= 1;
}
static void by_a_scenario_that_is_not_there(struct fixture *f)
{
    f->output.exchanges[0].scenario = 8;
}
static void with_more_turns_than_the_scenario(struct fixture *f)
{
    static const uint8_t one_turn[] = {1, 1, 1, 1, 1, 1, 1, 1};
    f->packs[0].turns = one_turn;
}
static void within_the_spacing(struct fixture *f)
{
    static int64_t busy;
    busy = f->output.exchanges[0].turns[0].send_at + 10 * FLZ_MINUTE_MS - 1;
    f->accounts[f->output.exchanges[0].from - 1].busy = &busy;
    f->accounts[f->output.exchanges[0].from - 1].busy_count = 1;
}
static void beyond_its_quota(struct fixture *f)
{
    f->accounts[f->output.exchanges[0].from - 1].reserved[0] = 1;
}
static void a_reply_beyond_its_quota(struct fixture *f)
{
    struct plan_exchange *x = answered(f);
    f->accounts[x->to - 1].reserved[x->turns[1].date - MONDAY] = 10;
}
static void with_a_cap_of_its_own(struct fixture *f)
{
    f->output.exchanges[0].turns[0].day_cap++;
}
static void days_away(struct fixture *f)
{
    f->output.exchanges[0].turns[0].date += PLAN_DAYS;
}
static void first_messages_tomorrow(struct fixture *f)
{
    f->output.exchanges[0].turns[0].date++;
}
static void a_false_count(struct fixture *f)
{
    f->output.shortfalls[3].planned--;
}
static void a_false_reason(struct fixture *f)
{
    f->output.shortfalls[3].reason = PLAN_NO_PARTNER;
}
static void a_missing_shortfall(struct fixture *f)
{
    f->output.shortfalls_count--;
}

static void the_checker_catches_each_broken_rule(void **state)
{
    static const struct {
        break_fn break_it;
        int rule;
    } breaks[] = {
        {to_itself, 1},
        {to_a_stranger, 1},
        {to_its_domain, 1},
        {to_one_who_does_not_receive, 1},
        {from_another_unit, 1},
        {to_its_owner, 2},
        {again_too_soon, 3},
        {after_the_other_began, 4},
        {twice_a_day, 4},
        {more_than_it_may_receive, 5},
        {more_than_a_later_day_may_receive, 5},
        {before_its_hours, 6},
        {before_now, 6},
        {with_a_slot_beyond_its_hours, 6},
        {opened_before_it_was_sent, 6},
        {opened_out_of_hours, 6},
        {opened_past_the_deadline, 6},
        {answered_before_it_was_opened, 6},
        {opened_again_on_the_same_day, 6},
        {opened_again_past_its_hours, 6},
        {opened_again_days_later, 6},
        {never_opened_again, 6},
        {in_another_language, 7},
        {by_a_pack_that_is_not_there, 7},
        {by_a_scenario_that_is_not_there, 7},
        {with_more_turns_than_the_scenario, 7},
        {within_the_spacing, 8},
        {beyond_its_quota, 9},
        {a_reply_beyond_its_quota, 9},
        {with_a_cap_of_its_own, 9},
        {days_away, 10},
        {first_messages_tomorrow, 10},
        {a_false_count, PLAN_CHECK_SHORTFALL},
        {a_false_reason, PLAN_CHECK_SHORTFALL},
        {a_missing_shortfall, PLAN_CHECK_SHORTFALL},
    };
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        struct fixture f;
        struct flz_msg msg = FLZ_MSG_NULL;
        setup(&f, 40, 10);
        draw(&f);
        breaks[i].break_it(&f);
        int rule = plan_check(&f.input, &f.output, &msg);
        if (rule != breaks[i].rule)
            print_error("break %zu: %s\n", i, msg.text);
        assert_int_equal(rule, breaks[i].rule);
        plan_read_deinit(&f.output);
    }
}

/* ---- Refused memory ---- */

static int allocations_left = -1; /* -1: as many as there are */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static bool refused(void)
{
    if (allocations_left > 0)
        allocations_left--;
    return allocations_left == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return refused() ? NULL : __real_reallocarray(old, count, size);
}

static void each_refused_allocation_is_an_ordinary_outcome(void **state)
{
    struct fixture f;
    setup(&f, 12, 6);
    int r = -ENOMEM;
    int countdown = 1;
    for (; r == -ENOMEM; countdown++) {
        struct plan_output output = {.exchanges_count = 77};
        allocations_left = countdown;
        r = plan_day(&f.input, &output);
        allocations_left = -1;
        if (r == -ENOMEM)
            assert_int_equal(output.exchanges_count, 77);
        else
            plan_output_deinit(&output);
    }
    assert_int_equal(r, 0);
    assert_true(countdown > 20);
}

/* ---- Many days ---- */

/* The lab of the demo: 48 accounts, 12 domains, two languages, three zones, cooldown 2. */
static void the_lab_is_filled_through_fourteen_days(void **state)
{
    for (int steady = 0; steady < 2; steady++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct world_settings settings = {
                .shape = WORLD_LAB, .seed = seed, .days = 14, .cooldown = 2, .steady = steady};
            struct world_result result;
            struct flz_msg msg = FLZ_MSG_NULL;
            if (world_run(&settings, &result, &msg) < 0)
                fail_msg("%s", msg.text);
            assert_true(result.sent * 100 >= result.quota * 98);
            assert_in_range(result.answered * 100 / result.firsts, 25, 35);
        }
}

static void the_same_seed_gives_the_same_plans_for_days(void **state)
{
    struct world_settings settings = {
        .shape = WORLD_ROUND_THE_EARTH, .seed = 5, .days = 5, .accounts = 80};
    struct world_result one;
    struct world_result two;
    struct flz_msg msg = FLZ_MSG_NULL;
    assert_int_equal(world_run(&settings, &one, &msg), 0);
    assert_int_equal(world_run(&settings, &two, &msg), 0);
    assert_int_equal(one.hash, two.hash);
    settings.seed = 6;
    assert_int_equal(world_run(&settings, &two, &msg), 0);
    assert_int_not_equal(one.hash, two.hash);
}

/* Found by the campaign: to make room for a sender, an exchange was moved to that sender itself,
 * whose answer took the slot the room was made for. */
static void a_slot_is_used_once_when_a_moved_exchange_is_answered_in_it(void **state)
{
    struct world_settings settings = {
        .shape = WORLD_BIG_DOMAIN, .seed = 1078, .days = 10, .faults = true};
    struct world_result result;
    struct flz_msg msg = FLZ_MSG_NULL;
    if (world_run(&settings, &result, &msg) < 0)
        fail_msg("%s", msg.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_easy_pool_is_filled_to_the_last_message),
        cmocka_unit_test(nobody_and_one_alone_get_an_answer),
        cmocka_unit_test(two_accounts_exchange_once_a_day),
        cmocka_unit_test(every_shortfall_says_why),
        cmocka_unit_test(too_little_time_for_the_spacing_is_no_room),
        cmocka_unit_test(cooldown_counts_sending_days),
        cmocka_unit_test(
            a_pool_carries_each_partner_once_a_cooldown_and_every_other_day_at_most),
        cmocka_unit_test(same_owner_serves_only_when_allowed_and_is_flagged),
        cmocka_unit_test(replies_come_at_the_rate_of_policy),
        cmocka_unit_test(a_late_opening_comes_before_the_answer),
        cmocka_unit_test(the_last_day_known_has_no_second_hours),
        cmocka_unit_test(a_full_day_keeps_no_room_for_replies),
        cmocka_unit_test(a_late_plan_uses_what_is_left_of_the_day),
        cmocka_unit_test(messages_are_spread_evenly_and_not_on_the_hour),
        cmocka_unit_test(a_spread_goes_around_what_is_busy),
        cmocka_unit_test(partners_are_spread_and_the_longest_unwritten_come_first),
        cmocka_unit_test(who_has_others_leaves_the_only_partner_alone),
        cmocka_unit_test(who_has_others_leaves_the_last_place_to_who_has_none),
        cmocka_unit_test(
            partners_at_other_providers_come_to_their_floor_and_stay_below_their_ceiling),
        cmocka_unit_test(near_tiers_meet_first),
        cmocka_unit_test(who_wrote_yesterday_is_written_to),
        cmocka_unit_test(those_who_open_today_come_first),
        cmocka_unit_test(a_large_pool_is_filled_and_keeps_every_rule),
        cmocka_unit_test(the_checker_catches_each_broken_rule),
        cmocka_unit_test(each_refused_allocation_is_an_ordinary_outcome),
        cmocka_unit_test(the_lab_is_filled_through_fourteen_days),
        cmocka_unit_test(a_slot_is_used_once_when_a_moved_exchange_is_answered_in_it),
        cmocka_unit_test(the_same_seed_gives_the_same_plans_for_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
