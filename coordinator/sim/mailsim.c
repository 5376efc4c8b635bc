#include "coordinator/sim/mailsim.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "coordinator/sim/lot.h"

#include <errno.h>
#include <stdlib.h>

#define KNOWN_WELL 1000
#define OVERSHOOT_COST 250 /* of the standing */
#define TRAVEL_MS (3 * FLZ_MINUTE_MS)
#define TRAVEL_SLOW_MS (2 * FLZ_HOUR_MS)
#define TRAVEL_SLOW_PERMILLE 10

/* What one provider thinks of one account, or one domain. */
struct standing {
    uint16_t known;
    uint16_t day; /* of the newest mail, from DAY_ZERO on; 0: none yet */
};

/* A domain's volume at one provider. */
struct volume {
    uint32_t level;
    uint32_t count; /* of `day` */
    int32_t day;
    int64_t blocked_until;
};

/* What a provider took in the minute. */
struct minute {
    int64_t minute;
    int64_t count;
};

struct mailsim {
    const struct scenario *scenario;
    const struct crowd *crowd;
    struct standing *accounts; /* [account][provider] */
    struct standing *domains;  /* [domain][provider] */
    struct volume *volumes;    /* [domain][provider] */
    struct minute minutes[SCENARIO_PROVIDERS_MAX];
};

FLZ_DEFINE_FREEP(struct mailsim, mailsim_free)

int mailsim_new(const struct scenario *scenario, const struct crowd *crowd,
                struct mailsim **ret_mail)
{
    _cleanup_(mailsim_freep) struct mailsim *mail = calloc(1, sizeof *mail);
    if (!mail)
        return flz_fail(-ENOMEM);
    size_t n = scenario->providers_count;
    mail->scenario = scenario;
    mail->crowd = crowd;
    mail->accounts = calloc((crowd->count + 1u) * n, sizeof *mail->accounts);
    mail->domains = calloc((crowd->domains + 1u) * n, sizeof *mail->domains);
    mail->volumes = calloc((crowd->domains + 1u) * n, sizeof *mail->volumes);
    if (!mail->accounts || !mail->domains || !mail->volumes)
        return flz_fail(-ENOMEM);
    *ret_mail = steal_ptr(&mail);
    return 0;
}

struct mailsim *mailsim_free(struct mailsim *mail)
{
    if (!mail)
        return NULL;
    free(mail->accounts);
    free(mail->domains);
    free(mail->volumes);
    free(mail);
    return NULL;
}

/* ---- Standing ---- */

/* Who sends to which provider. */
struct path {
    const struct scenario_provider *provider;
    struct standing *account;
    struct standing *domain;
    struct volume *volume;
};

static struct path path_of(const struct mailsim *mail, uint32_t from, uint32_t to)
{
    size_t n = mail->scenario->providers_count, provider = mail->crowd->accounts[to].provider;
    size_t domain = mail->crowd->accounts[from].domain;
    return (struct path){.provider = &mail->scenario->providers[provider],
                         .account = &mail->accounts[from * n + provider],
                         .domain = &mail->domains[domain * n + provider],
                         .volume = &mail->volumes[domain * n + provider]};
}

static int32_t day_of(const struct mailsim *mail, int64_t at)
{
    return (int32_t)(at / FLZ_DAY_MS) - mail->scenario->from + 8;
}

/* What is left of the standing after the days without mail. */
static void fade(struct standing *standing, int32_t day, int64_t forget_days)
{
    int64_t idle = standing->day ? day - standing->day : 0;
    if (idle > forget_days)
        idle = forget_days;
    if (idle > 1)
        standing->known -= (uint16_t)(standing->known * idle / forget_days);
    if (day > standing->day)
        standing->day = (uint16_t)day;
}

static void rise(struct standing *standing, int64_t engagements, uint32_t weight)
{
    int64_t step = (KNOWN_WELL - standing->known) * (int64_t)weight / engagements;
    standing->known = (uint16_t)(standing->known + (step > 0 ? step : 0));
}

void mailsim_engage(struct mailsim *mail, uint32_t from, uint32_t to, int64_t at, uint32_t weight)
{
    struct path path = path_of(mail, from, to);
    int32_t day = day_of(mail, at);
    fade(path.account, day, path.provider->forget_days);
    fade(path.domain, day, path.provider->forget_days);
    rise(path.account, path.provider->engagements, weight);
    rise(path.domain, path.provider->engagements, weight);
}

/* ---- Volume ---- */

static void roll_volume(struct volume *volume, int32_t day)
{
    if (day <= volume->day)
        return;
    if (volume->count > volume->level)
        volume->level = volume->count;
    else
        volume->level -= (volume->level - volume->count) / 4;
    volume->count = 0;
    volume->day = day;
}

static bool overshoots(const struct volume *volume, const struct scenario_provider *provider)
{
    int64_t most = volume->level + volume->level * provider->growth_percent / 100;
    return volume->count > most && volume->count > provider->growth_floor;
}

static void punish(const struct path *path, int64_t at)
{
    struct standing *punished[] = {path->account, path->domain};
    for (size_t i = 0; i < 2; i++)
        punished[i]->known -=
            punished[i]->known < OVERSHOOT_COST ? punished[i]->known : OVERSHOOT_COST;
    path->volume->blocked_until = at + path->provider->block_hours * FLZ_HOUR_MS;
}

static bool over_rate(struct mailsim *mail, const struct mailsim_message *message)
{
    uint32_t provider = mail->crowd->accounts[message->to].provider;
    int64_t most = mail->scenario->providers[provider].rate_per_minute;
    struct minute *minute = &mail->minutes[provider];
    if (minute->minute != message->at / FLZ_MINUTE_MS)
        *minute = (struct minute){.minute = message->at / FLZ_MINUTE_MS};
    return most > 0 && ++minute->count > most;
}

/* ---- A message ---- */

static int64_t travel(uint64_t lot)
{
    uint64_t draw = lot_draw(lot, LOT_TRAVEL, 0);
    bool slow = lot_permille(lot_mix(draw), TRAVEL_SLOW_PERMILLE);
    return FLZ_SECOND_MS + (int64_t)lot_below(draw, slow ? TRAVEL_SLOW_MS : TRAVEL_MS);
}

static bool into_junk(const struct path *path, uint64_t lot)
{
    int64_t unknown = path->provider->junk_unknown_percent * 10;
    int64_t known = path->provider->junk_known_percent * 10;
    int64_t standing = (2 * path->account->known + path->domain->known) / 3;
    int64_t permille = unknown + (known - unknown) * standing / KNOWN_WELL;
    return lot_permille(lot_draw(lot, LOT_PLACE, 0), permille);
}

static struct mailsim_answer deliver(const struct path *path, const struct mailsim_message *message)
{
    bool lost = lot_permille(lot_draw(message->lot, LOT_LOST, 0), path->provider->lose_permille);
    return (struct mailsim_answer){
        .verdict = MAILSIM_TAKEN,
        .arrives = lost ? FLZ_NEVER : message->at + travel(message->lot),
        .placement = into_junk(path, message->lot) ? FLZ_PLACEMENT_JUNK : FLZ_PLACEMENT_INBOX,
    };
}

struct mailsim_answer mailsim_send(struct mailsim *mail, const struct mailsim_message *message)
{
    struct path path = path_of(mail, message->from, message->to);
    int32_t day = day_of(mail, message->at);
    if (message->at < path.volume->blocked_until)
        return (struct mailsim_answer){.verdict = MAILSIM_BLOCKED};
    if (over_rate(mail, message))
        return (struct mailsim_answer){.verdict = MAILSIM_DEFERRED};
    if (lot_permille(lot_draw(message->lot, LOT_REFUSED, 0), path.provider->refuse_permille))
        return (struct mailsim_answer){.verdict = MAILSIM_REFUSED};

    roll_volume(path.volume, day);
    fade(path.account, day, path.provider->forget_days);
    fade(path.domain, day, path.provider->forget_days);
    path.volume->count++;
    if (overshoots(path.volume, path.provider)) {
        punish(&path, message->at);
        return (struct mailsim_answer){.verdict = MAILSIM_BLOCKED};
    }
    return deliver(&path, message);
}

/* ---- Outages ---- */

int64_t mailsim_provider_down(const struct mailsim *mail, uint32_t provider, int64_t at)
{
    int64_t until = 0;
    for (size_t i = 0; i < mail->scenario->outages_count; i++) {
        const struct scenario_outage *o = &mail->scenario->outages[i];
        if (o->provider == provider && at >= o->from && at < o->until && o->until > until)
            until = o->until;
    }
    return until;
}

int64_t mailsim_node_down(const struct mailsim *mail, uint32_t node, int64_t at)
{
    int64_t until = 0;
    for (size_t i = 0; i < mail->scenario->outages_count; i++) {
        const struct scenario_outage *o = &mail->scenario->outages[i];
        if (o->node == node && at >= o->from && at < o->until && o->until > until)
            until = o->until;
    }
    return until;
}
