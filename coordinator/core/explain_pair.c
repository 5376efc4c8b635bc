/* Why one account may, or may not, begin an exchange with one other: rule by rule, in words. */
#include "coordinator/core/state.h"

#include "common/base/time.h"
#include "coordinator/core/plan.h"

#include <string.h>

struct pairing {
    const struct coord *core;
    const struct row_account *from;
    const struct row_account *to;
    int64_t now;
    int32_t date; /* of the day that the sender last had planned, or UTC's */
    struct coord_why *why;
    bool barred;
};

/* What no waiting changes (P1, P2, P7). */
static void say_kinship(struct pairing *p)
{
    const struct policy *policy = &p->core->policy;
    if (p->from->handle == p->to->handle)
        why_say(p->why, "barred: nobody writes to himself");
    if (p->from->handle != p->to->handle && p->from->domain == p->to->domain)
        why_say(p->why, "barred: both are of one domain");
    p->barred = p->why->lines_count > 0;
    if (p->from->owner == p->to->owner && policy->same_owner_percent > 0)
        why_say(
            p->why,
            "both are of one owner: only when nobody else is left, at most %lld %% of its quota, "
            "and flagged (policy same_owner_percent)",
            (long long)policy->same_owner_percent);
    else if (p->from->owner == p->to->owner) {
        why_say(p->why, "barred: both are of one owner (policy same_owner_percent is 0)");
        p->barred = true;
    }
    if (!policy->cross_language && strcmp(p->from->language, p->to->language) != 0) {
        why_say(p->why, "barred: one writes %s, the other %s (policy cross_language is 0)",
                p->from->language, p->to->language);
        p->barred = true;
    }
}

static void say_acting(struct pairing *p)
{
    uint32_t from = p->from->handle, to = p->to->handle;
    bool sends = !roster_may_act(p->core, from, FLZ_ACTION_SEND).reason &&
                 !roster_ready(p->core, &p->core->accounts[from]).reason;
    bool receives = !roster_may_act(p->core, to, FLZ_ACTION_OPEN).reason &&
                    !roster_ready(p->core, &p->core->accounts[to]).reason;
    if (!sends)
        why_say(p->why, "barred now: it may not send: 'account why' of it says more");
    if (!receives)
        why_say(p->why,
                "barred now: the other may not be written to: 'account why' of that one says more");
    p->barred = p->barred || !sends || !receives;
}

static const struct row_contact *contact(const struct pairing *p, uint32_t from, uint32_t to)
{
    uint32_t index = flz_map_get(&p->core->contacts_by_pair, state_pair_key(from, to));
    return index == FLZ_MAP_NONE ? NULL : &p->core->contacts[index].row;
}

/* The first date on which it may begin again (P3). */
static int32_t cooled_on(const struct pairing *p, int32_t wrote)
{
    int32_t date = wrote + 1;
    while (!plan_cooled(p->from->days, wrote, date, p->core->policy.cooldown_days))
        date++;
    return date;
}

static void say_cooldown(struct pairing *p, const struct row_contact *wrote)
{
    char on[FLZ_TIME_TEXT_MAX], again[FLZ_TIME_TEXT_MAX];
    int32_t date = cooled_on(p, wrote->date);
    flz_date_format(wrote->date, on);
    flz_date_format(date, again);
    if (date <= p->date) {
        why_say(p->why, "it last began an exchange with it on %s: the cooldown is over", on);
        return;
    }
    why_say(
        p->why,
        "barred until %s: it began an exchange with it on %s (cooldown: %lld sending days of its "
        "own)",
        again, on, (long long)p->core->policy.cooldown_days);
    p->barred = true;
    p->why->ask_again = date * FLZ_DAY_MS;
}

static void say_history(struct pairing *p)
{
    const struct row_contact *wrote = contact(p, p->from->handle, p->to->handle);
    const struct row_contact *answered = contact(p, p->to->handle, p->from->handle);
    char on[FLZ_TIME_TEXT_MAX];
    if (wrote)
        say_cooldown(p, wrote);
    else
        why_say(p->why, "it began no exchange with it within the days that are remembered");
    if (!answered)
        return;
    flz_date_format(answered->date, on);
    bool today = answered->date >= p->date;
    if (today)
        why_say(p->why, "barred that day: the other began one on %s, and a pair begins one a day",
                on);
    else if (!wrote || answered->date > wrote->date)
        why_say(p->why, "the other wrote last, on %s: it is preferred as its turn has come", on);
    p->barred = p->barred || today;
}

/* P5, on the day that is planned for the other. */
static void say_inbound(struct pairing *p)
{
    const struct day_state *day = state_find_day(p->core, p->to->handle, p->date);
    if (!day)
        return;
    int64_t most = day->row.quota * p->core->policy.inbound_percent / 100;
    why_say(p->why, "the other was given %u of the %lld messages that it may receive that day",
            day->row.inbound, (long long)most);
    if (day->row.inbound >= most) {
        why_say(p->why, "barred that day: it may receive no more");
        p->barred = true;
    }
}

static void say_preferences(struct pairing *p)
{
    if (p->from->node == p->to->node)
        why_say(
            p->why,
            "both are at one node: others are preferred, since such an exchange earns no score");
    if (p->from->provider == p->to->provider)
        why_say(p->why,
                "both are at one provider: at least %lld %% of its partners are to be at others",
                (long long)p->core->policy.provider_other_floor);
}

void coord_explain_pair(const struct coord *core, uint32_t from, uint32_t to, int64_t now,
                        struct coord_why *ret_why)
{
    *ret_why = (struct coord_why){.ask_again = FLZ_NEVER};
    const struct account_state *a = state_account(core, from);
    const struct account_state *b = state_account(core, to);
    struct pairing p = {.core = core, .now = now, .why = ret_why};
    if (!a || !b) {
        why_say(p.why, "no such account");
        return;
    }
    p.from = &a->row;
    p.to = &b->row;
    p.date = a->row.planned_date ? a->row.planned_date : (int32_t)(now / FLZ_DAY_MS);
    say_kinship(&p);
    bool strangers = p.barred;
    if (!strangers) {
        say_acting(&p);
        say_history(&p);
        say_inbound(&p);
        say_preferences(&p);
    }
    ret_why->sends = !p.barred;
    if (!p.barred)
        why_say(p.why,
                "nothing bars it: whether they meet is weighed anew each day against all other "
                "partners");
}
