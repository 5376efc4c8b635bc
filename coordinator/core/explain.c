/* Why an account sends or does not, and what its pool can carry: in words, with numbers. */
#include "coordinator/core/state.h"

#include "common/base/time.h"
#include "coordinator/core/health.h"
#include "coordinator/core/plan.h"
#include "coordinator/core/ramp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct explaining {
    const struct coord *core;
    const struct account_state *account;
    const struct row_account *row;
    int64_t now;
    struct coord_why *why;
};

void why_say(struct coord_why *why, const char *format, ...)
{
    if (why->lines_count == sizeof why->lines / sizeof *why->lines)
        return;
    va_list args;
    va_start(args, format);
    struct flz_msg *line = &why->lines[why->lines_count++];
    (void)vsnprintf(line->text, sizeof line->text, format, args);
    va_end(args);
}

static void ask_again(struct explaining *e, int64_t at)
{
    if (at > e->now && at < e->why->ask_again)
        e->why->ask_again = at;
}

static void say_suppressed(struct explaining *e)
{
    static const char *const who[] = {[SUPPRESSED_OPERATOR] = "an administrator",
                                      [SUPPRESSED_BOUNCE] = "a hard bounce",
                                      [SUPPRESSED_COMPLAINT] = "a complaint",
                                      [SUPPRESSED_OWNER] = "its owner"};
    const struct row_suppression *row = state_suppression(e->core, e->row->address);
    why_say(e->why,
            "its address is on the suppression list, by %s: %s; 'fluenzrctl suppress rm' ends that",
            who[row->kind <= SUPPRESSED_MAX ? row->kind : SUPPRESSED_OPERATOR], row->reason);
}

/* What keeps it from sending, told most telling first; false when something does. */
static bool say_binding(struct explaining *e)
{
    char text[FLZ_TIME_TEXT_MAX];
    const struct row_account *row = e->row;
    if (row->state == ACCOUNT_FORGOTTEN) {
        why_say(e->why,
                "the log was restored from a backup, and its node has not registered it again");
        return false;
    }
    const struct row_node *node = &e->core->nodes[row->node].row;
    if (row->state == ACCOUNT_RELEASED)
        why_say(e->why, "its node %s gave it up: register it at a node again", node->name);
    else if (row->state == ACCOUNT_REMOVED)
        why_say(e->why, "it was removed from the network");
    else if (node->state == NODE_REVOKED)
        why_say(e->why, "its node %s was revoked: register it at another node", node->name);
    else if (state_is_suppressed(e->core, row->address))
        say_suppressed(e);
    else if (row->consent_ended)
        why_say(e->why, "its owner ended the consent");
    else if (e->now > row->consent_until) {
        flz_time_format(row->consent_until, text);
        why_say(e->why, "its owner's consent ended at %s", text);
    } else if (!(row->consent_actions & FLZ_ACTION_SEND))
        why_say(e->why, "its owner's consent does not cover sending: it answers, and receives");
    else if (e->now < row->consent_given) {
        flz_time_format(row->consent_given, text);
        why_say(e->why, "its owner's consent begins at %s", text);
        ask_again(e, row->consent_given);
    } else
        return true;
    return false;
}

static bool say_pause(struct explaining *e)
{
    uint32_t handle = pause_of_account(e->core, e->account);
    const struct pause_state *pause = handle ? state_pause(e->core, handle - 1) : NULL;
    if (!pause)
        return true;
    static const char *const scopes[] = {"",           "the network", "its provider",
                                         "its domain", "it",          "its node"};
    char text[FLZ_TIME_TEXT_MAX] = "resumed";
    if (pause->row.until != FLZ_NEVER)
        flz_time_format(pause->row.until, text);
    why_say(e->why, "%s is paused by %s until %s: %s", scopes[pause->row.target.scope],
            pause->row.by, text, pause->row.reason);
    ask_again(e, pause->row.until);
    return false;
}

static const char *reason_words(uint32_t reason)
{
    switch (reason) {
    case FLZ_REASON_LOGIN: return "its credentials are refused";
    case FLZ_REASON_MAILBOX_FULL: return "its mailbox is full";
    case FLZ_REASON_NETWORK: return "no connection to its servers, or none that is safe";
    case FLZ_REASON_PROTOCOL: return "its servers do not follow their protocol";
    case FLZ_REASON_POLICY: return "its provider is refused by policy";
    default: return "its servers were not usable";
    }
}

/* Since when, in whose words, and what comes next. */
static void say_trouble(struct explaining *e)
{
    const struct row_account *row = e->row;
    const char *node = e->core->nodes[row->node].row.name;
    char text[FLZ_TIME_TEXT_MAX];
    flz_time_format(row->trouble_at, text);
    why_say(e->why, "the newest login failed, as all have since %s: %s", text,
            reason_words(row->probe_reason));
    if (row->trouble[0])
        why_say(e->why, "what was said: %s", row->trouble);
    flz_time_format(row->next_try_at, text);
    if (row->tries >= FLZ_LOGIN_TRIES_MAX)
        why_say(
            e->why,
            "%u logins were refused, and another might lock the account: node %s waits for you. "
            "Correct user or password and import the row again; or have the same tried again, on "
            "that node's host: fluenzrctl account retry ADDRESS",
            row->tries, node);
    else if (row->probe_reason == FLZ_REASON_LOGIN && row->next_try_at == 0)
        why_say(
            e->why,
            "node %s waits for you: somebody has to sign in as this mailbox, on that node's host: "
            "fluenzrctl account reauth ADDRESS",
            node);
    else if (row->tries > 0)
        why_say(e->why, "login refused %u of %u; node %s tries again at %s", row->tries,
                FLZ_LOGIN_TRIES_MAX, node, text);
    else if (row->next_try_at)
        why_say(e->why, "node %s tries again at %s", node, text);
    ask_again(e, row->next_try_at);
}

static bool say_ready(struct explaining *e)
{
    const struct row_account *row = e->row;
    int64_t age = e->now - row->probe_at;
    if (!row->probe_at)
        why_say(e->why, "node %s has not yet logged in to it", e->core->nodes[row->node].row.name);
    else if (!row->login_ok)
        say_trouble(e);
    else if (age > e->core->policy.probe_age_ms_max)
        why_say(e->why, "node %s last logged in to it %lld hours ago; at most %lld are allowed",
                e->core->nodes[row->node].row.name, (long long)(age / FLZ_HOUR_MS),
                (long long)(e->core->policy.probe_age_ms_max / FLZ_HOUR_MS));
    else if (row->denied)
        why_say(e->why, "its provider is refused by policy");
    else if (row->opt_out)
        why_say(e->why, "its domain's _fluenzr TXT record says deny");
    else if (row->mx_changed)
        why_say(
            e->why,
            "its domain's MX hosts changed at the newest look: one more look must see the same");
    else if (row->quota_permille >= 950 && row->quota_permille <= 1000)
        why_say(e->why, "its mailbox is %u.%u %% full; 95 %% is the limit",
                row->quota_permille / 10, row->quota_permille % 10);
    else
        return true;
    return false;
}

/* It sends; it is not written to. */
static void say_answers(struct explaining *e)
{
    char text[FLZ_TIME_TEXT_MAX];
    if (e->row->answers_until <= e->now)
        return;
    flz_time_format(e->row->answers_until, text);
    why_say(
        e->why,
        "nobody writes to it until %s: a machine answered there (%s); 'fluenzrctl resume' of the "
        "account ends that",
        text, e->row->answers);
}

static void say_shortfall(struct explaining *e, const struct row_day *day)
{
    static const char *const words[] = {
        [PLAN_FULL] = "",
        [PLAN_NO_WINDOW] = "no hours were left that day",
        [PLAN_NO_PARTNER] = "no eligible partner",
        [PLAN_COOLDOWN] = "all partners were written to within the cooldown, or today",
        [PLAN_INBOUND_FULL] = "partners may receive no more that day",
        [PLAN_NO_ROOM] = "no free time at the spacing",
        [PLAN_NO_CONTENT] = "no content pack of its language",
        [PLAN_DOMAIN] = "its domain ramps as well (policy domain_start, domain_starts)",
        [PLAN_HEALTH] = "its health holds it back",
    };
    char until[FLZ_TIME_TEXT_MAX] = "";
    if (day->shortfall == 0 || day->shortfall_reason >= sizeof words / sizeof *words)
        return;
    if (day->waits_until)
        flz_date_format(day->waits_until, until);
    why_say(e->why, "%u fewer messages than the quota allows were planned: %s%s%s", day->shortfall,
            words[day->shortfall_reason], until[0] ? "; its turn comes not before " : "", until);
}

static void say_day(struct explaining *e)
{
    char text[FLZ_TIME_TEXT_MAX];
    const struct day_state *day =
        state_find_day(e->core, e->account->row.handle, e->row->planned_date);
    if (!e->row->planned_date || !day) {
        why_say(e->why, "no day of it was planned yet");
        return;
    }
    flz_date_format(e->row->planned_date, text);
    const struct row_day *row = &day->row;
    why_say(e->why, "%s: quota %u, %u sent, %u under way or planned, %u dropped", text, row->quota,
            row->committed, row->reserved, row->dropped);
    say_shortfall(e, row);
    if (e->now > row->window_end)
        why_say(e->why, "its hours of that day are over");
    ask_again(e, row->window_start);
    ask_again(e, row->window_end);
    e->why->sends = e->now < row->window_end && row->reserved > 0;
}

/* What a long silence takes back of the ramp. */
static void say_silence(struct explaining *e, const struct ramp_state *state)
{
    char text[FLZ_TIME_TEXT_MAX];
    uint32_t idle = ramp_idle_days(state, (int32_t)(e->now / FLZ_DAY_MS));
    if (idle <= RAMP_IDLE_FREE_DAYS || e->row->ramp_reference == 0)
        return;
    flz_date_format(state->sent_date ? state->sent_date : state->last_date, text);
    if (state->reference == 0)
        why_say(e->why,
                "nothing was sent since %s, %u days: its ramp starts again (%u days or more)", text,
                idle, RAMP_IDLE_RESTART_DAYS);
    else
        why_say(
            e->why,
            "nothing was sent since %s, %u days: it goes on at %u a day instead of %u (after %u "
            "days its ramp would start again)",
            text, idle, state->reference, e->row->ramp_reference, RAMP_IDLE_RESTART_DAYS);
}

static void say_prospecting(struct explaining *e, const struct ramp_state *state,
                            const struct ramp_settings *settings)
{
    struct ramp_band advised = ramp_prospecting(state, settings);
    if (e->row->volume > advised.high)
        why_say(
            e->why,
            "its owner sends %u messages a day of his own; in this phase %u are advised. Warming "
            "goes on all the same: send fewer, or reputation may suffer more than warming mends",
            e->row->volume, advised.high);
}

static void say_room(struct explaining *e, const struct ramp_settings *settings)
{
    uint32_t room = roster_hours_room(e->core, e->row);
    if (room < ramp_goal(settings))
        why_say(
            e->why,
            "its hours have room for %u messages a day at a spacing of %lld minutes; %u are wanted "
            "in the end",
            room, (long long)(e->core->policy.spacing_ms / FLZ_MINUTE_MS), ramp_goal(settings));
}

/* "towards smtp: throttled since … (spam-throttle: 12 of 40 in Junk, at least 18.1 %)" */
static void say_standing(struct explaining *e, const struct row_standing *row, const char *whom)
{
    char since[FLZ_TIME_TEXT_MAX];
    char until[FLZ_TIME_TEXT_MAX] = "an administrator clears it";
    uint32_t cap = standing_cap(e->core, row->account, row->provider);
    flz_time_format(row->since, since);
    if (row->until != FLZ_NEVER)
        flz_time_format(row->until, until);
    if (row->provider == COORD_NONE)
        why_say(e->why, "health: %s since %s (%s, %u complaints in 7 days)",
                flz_health_name(row->state), since, flz_rule_name(row->rule), row->complaints);
    else
        why_say(e->why, "health towards %s: %s since %s (%s: %u of %u in Junk, at least %u.%u %%)",
                whom, flz_health_name(row->state), since, flz_rule_name(row->rule), row->junk,
                row->seen, row->low / 10000, row->low / 1000 % 10);
    if (cap == HEALTH_NO_CAP)
        why_say(e->why, "it changes no volume (policy health_acts is 0)");
    else if (cap == 0)
        why_say(e->why, "nothing is sent until %s: fluenzrctl account clear", until);
    else
        why_say(e->why,
                "at most %u new messages a day until %s; a step back before that after %lld newer "
                "observations with less than %lld %% in Junk",
                cap, until, (long long)e->core->policy.health_seen_min,
                (long long)e->core->policy.health_watch_percent);
    ask_again(e, row->until);
}

static void say_health(struct explaining *e)
{
    uint32_t provider;
    for (uint32_t n = 0; standing_nth(e->core, n, &provider); n++) {
        const struct row_standing *row = standing_find(e->core, e->row->handle, provider);
        const struct name_state *name = state_name(e->core, NAME_PROVIDER, provider);
        if (row && row->state != HEALTH_HEALTHY)
            say_standing(e, row, name ? name->row.text : "all");
    }
}

/* The sum of a score, part by part; false: there is none. */
static bool say_score(struct explaining *e, const struct coord_score_query *query,
                      const char *label)
{
    struct score s;
    struct flz_msg sum = FLZ_MSG_NULL;
    size_t len = 0;
    coord_score(e->core, query, &s);
    if (!s.known)
        return false;
    for (enum score_part i = 0; i < SCORE_PARTS && len < sizeof sum.text; i++)
        if (s.has_part[i])
            len += (size_t)snprintf(sum.text + len, sizeof sum.text - len, "%s%s %u.%03u × %u",
                                    len ? " + " : "", score_part_name(i), s.part[i] / SHARE_ONE,
                                    s.part[i] / 1000 % 1000, score_weight(i));
    why_say(e->why, "score, %s: %u (%u seen, inbox %u–%u %%): %s; at most %u by placement", label,
            s.value, s.seen, s.inbox.low / 10000, s.inbox.high / 10000, sum.text, s.cap / 100);
    return true;
}

static void say_scores(struct explaining *e)
{
    struct coord_score_query query = {
        .account = e->row->handle, .provider = COORD_NONE, .date = (int32_t)(e->now / FLZ_DAY_MS)};
    struct score own;
    if (say_score(e, &query, "7 days"))
        return;
    coord_score(e->core, &query, &own);
    if (own.seen == 0 && e->row->issued_at == 0)
        return; /* it never sent */
    why_say(e->why, "score, 7 days: none, %u of the %u messages that make one were seen", own.seen,
            SCORE_SEEN_MIN);
    query.basis = COORD_SCORE_LONG;
    (void)say_score(e, &query, "28 days");
    query.basis = COORD_SCORE_DOMAIN;
    (void)say_score(e, &query, "its domain's 7 days");
}

/* What would help an account that has nobody to write to. */
static void say_nobody(struct explaining *e, const struct coord_pool *pool)
{
    if (pool->eligible > 0 || pool->excluded_unready > 0)
        return;
    if (pool->excluded_owner > 0 && e->core->policy.same_owner_percent == 0)
        why_say(e->why,
                "only accounts of the same owner are left: an administrator may set the policy key "
                "same_owner_percent");
    else
        why_say(e->why,
                "nobody is left to write to: it is planned as soon as another owner's account of "
                "another domain and the same language is ready");
}

/* By how much the pool is too small, and what would help. */
static void say_shortage(struct explaining *e, const struct coord_pool *pool, uint32_t wanted)
{
    if (pool->eligible == 0 || pool->ceiling >= wanted)
        return;
    why_say(
        e->why,
        "the pool is too small by %u messages a day: %u more such partners would do (another owner "
        "and domain, the same language, hours that meet); %u are only not ready",
        wanted - pool->ceiling, plan_pool_need(&e->core->policy, wanted) - pool->eligible,
        pool->excluded_unready);
}

static void say_ramp(struct explaining *e)
{
    static const char *const phases[] = {"", "start", "ramp", "maintain", "recovery"};
    struct ramp_settings settings = ramp_settings_of(e->row);
    struct ramp_state state = ramp_state_on(e->row, (int32_t)(e->now / FLZ_DAY_MS));
    struct coord_pool pool;
    say_silence(e, &state);
    coord_pool_of(e->core, e->row->handle, e->now, &pool);
    why_say(e->why, "phase %s: %u sending days met, reference %u a day, the curve wants %u",
            phases[ramp_phase(&state, &settings)], state.day, state.reference,
            ramp_target(&state, &settings));
    say_prospecting(e, &state, &settings);
    say_room(e, &settings);
    why_say(
        e->why,
        "%u eligible partners carry %u messages a day (cooldown %lld sending days); not eligible: "
        "%u same owner, %u same domain, %u other language, %u hours apart, %u not ready",
        pool.eligible, pool.ceiling, (long long)e->core->policy.cooldown_days, pool.excluded_owner,
        pool.excluded_domain, pool.excluded_language, pool.excluded_hours, pool.excluded_unready);
    say_shortage(e, &pool, ramp_target(&state, &settings));
    say_scores(e);
    say_nobody(e, &pool);
}

void coord_explain(const struct coord *core, uint32_t account, int64_t now,
                   struct coord_why *ret_why)
{
    *ret_why = (struct coord_why){.ask_again = FLZ_NEVER};
    struct explaining e = {.core = core, .now = now, .why = ret_why};
    e.account = state_account(core, account);
    if (!e.account) {
        why_say(e.why, "no such account");
        return;
    }
    e.row = &e.account->row;
    bool open = say_binding(&e);
    if (open) {
        bool running = say_pause(&e);
        open = say_ready(&e) && running;
    }
    if (open)
        say_answers(&e);
    if (now < core->network.quiet_until) {
        why_say(e.why, "the log was restored from a backup: nothing is sent for a day");
        ask_again(&e, core->network.quiet_until);
        open = false;
    }
    if (now < e.row->begins_at) {
        why_say(e.why, "it moved to node %s: the slots at its old node must end first",
                core->nodes[e.row->node].row.name);
        ask_again(&e, e.row->begins_at);
        open = false;
    }
    say_day(&e);
    say_health(&e);
    say_ramp(&e);
    ret_why->sends = ret_why->sends && open;
}

/* ---- The pool ---- */

static bool hours_meet(const struct account_state *a, const struct account_state *b)
{
    if (a->hours.start == a->hours.end || b->hours.start == b->hours.end)
        return true; /* not known yet */
    return a->hours.start < b->hours.end && b->hours.start < a->hours.end;
}

static bool is_ready(const struct coord *core, const struct account_state *b, int64_t now)
{
    const struct row_account *row = &b->row;
    return core->nodes[row->node].row.state == NODE_JOINED && !row->consent_ended &&
           now >= row->consent_given && now <= row->consent_until &&
           (row->consent_actions & FLZ_ACTION_OPEN) && !state_is_suppressed(core, row->address) &&
           now >= row->answers_until && !pause_of_account(core, b) && row->probe_at &&
           now - row->probe_at <= core->policy.probe_age_ms_max && row->login_ok &&
           !row->mx_changed && !row->opt_out && !row->denied &&
           (row->quota_permille < 950 || row->quota_permille > 1000);
}

static void count_partner(const struct coord *core, const struct account_state *a,
                          const struct account_state *b, int64_t now, struct coord_pool *pool)
{
    if (!core->policy.cross_language && strcmp(a->row.language, b->row.language) != 0)
        pool->excluded_language++;
    else if (a->row.owner == b->row.owner)
        pool->excluded_owner++;
    else if (a->row.domain == b->row.domain)
        pool->excluded_domain++;
    else if (!is_ready(core, b, now))
        pool->excluded_unready++;
    else if (!hours_meet(a, b))
        pool->excluded_hours++;
    else
        pool->eligible++;
}

void coord_pool_of(const struct coord *core, uint32_t account, int64_t now,
                   struct coord_pool *ret_pool)
{
    struct coord_pool pool = {.eligible = 0};
    const struct account_state *a = state_account(core, account);
    for (size_t i = 0; a && i < core->accounts_count; i++)
        if (i != account && core->accounts[i].row.state == ACCOUNT_LIVE)
            count_partner(core, a, &core->accounts[i], now, &pool);
    pool.ceiling = plan_pool_max(&core->policy, pool.eligible);
    *ret_pool = pool;
}
