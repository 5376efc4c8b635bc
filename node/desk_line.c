#include "common/base/hash.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/desk.h"
#include "node/providers.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_WAIT_MS 2000 /* until the token is there that comes in the place of a refused one */

/* Network time after the first and the second refused login in a row. Somebody waits for the word
 * on an account that never worked here; one that did is more likely to meet its server's bad day,
 * and outlives one of an hour. */
static const int64_t login_wait_ms[2][FLZ_LOGIN_TRIES_MAX - 1] = {
    {FLZ_MINUTE_MS, 5 * FLZ_MINUTE_MS},
    {5 * FLZ_MINUTE_MS, FLZ_HOUR_MS},
};

/* ---- Services ---- */

/* The servers of a provider that has its own are one service; any other host is one for itself. */
static struct flz_id service_key(const struct worker *worker, const struct member *member,
                                 bool imap)
{
    const struct endpoint smtp = member_smtp(member), own_imap = member_imap(member);
    const struct endpoint *endpoint = imap ? &own_imap : &smtp;
    const char *name = member->record.account.provider;
    const struct provider *provider = providers_named(worker->parts.providers, name);
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, imap ? "imap service" : "smtp service");
    if (provider && providers_owns_host(worker->parts.providers, provider, &smtp, &own_imap)) {
        flz_hash_add_piece(&hash, name, strlen(name));
    } else {
        flz_hash_add_piece(&hash, endpoint->host, strlen(endpoint->host));
        flz_hash_add_u64(&hash, endpoint->port);
    }
    return flz_hash_id(&hash);
}

const struct shaping_limits *desk_limits(const struct desk *desk, const struct member *member)
{
    const struct provider *provider =
        providers_named(desk->worker->parts.providers, member->record.account.provider);
    return provider ? &provider->shaping : &shaping_limits_default;
}

void desk_shape(struct desk *desk, const struct member *member)
{
    const struct shaping_limits *limits = desk_limits(desk, member);
    struct shaping_line *lines[] = {&desk->smtp.shape, &desk->imap.shape};
    for (size_t i = 0; i < 2; i++)
        if (lines[i]->service)
            lines[i]->service->limits = *limits;
    const struct domain_facts *facts;
    const char *domain = worker_domain_of(member->record.account.address);
    bool known = domains_look(desk->worker->parts.domains, domain, &facts) == 0;
    desk->denied = desk_is_denied(desk, member, known ? facts : NULL);
}

void desk_join_services(struct desk *desk, const struct member *member)
{
    struct shaping *shaping = &desk->worker->shaping;
    shaping_leave(&desk->smtp.shape);
    shaping_leave(&desk->imap.shape);
    desk->smtp = (struct line){.shape.owner = desk};
    desk->imap = (struct line){.shape.owner = desk};
    /* Without memory a line stands alone, and climbs its ladder all the same. */
    (void)shaping_join(shaping, service_key(desk->worker, member, false), &desk->smtp.shape);
    (void)shaping_join(shaping, service_key(desk->worker, member, true), &desk->imap.shape);
    desk_shape(desk, member);
}

bool desk_may_open(struct desk *desk, struct line *line, const struct member *member, size_t open)
{
    bool last_try = member->record.login_failures + 1 >= FLZ_LOGIN_TRIES_MAX;
    return open < WORKER_SESSIONS_MAX &&
           shaping_may_connect(&line->shape, last_try, worker_shaping_clock(desk->worker)) ==
               SHAPING_YES;
}

bool desk_line_incident(const struct line *line, char *text, size_t size)
{
    const struct shaping_service *service = line->shape.service;
    if (!service || !service->incident)
        return false;
    (void)snprintf(text, size, "provider incident, %u of %u accounts fail", service->failing.count,
                   service->failing.count + service->well.count);
    return true;
}

/* ---- What became of a try ---- */

static void log_incident(struct desk *desk, const struct line *line, const char *what)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    const struct shaping_service *service = line->shape.service;
    flz_log(desk->worker->parts.log, FLZ_LOG_WARNING, what,
            "provider=%s protocol=%s account=%s failing=%u accounts=%u text=%s",
            member ? member->record.account.provider : "", line == &desk->imap ? "IMAP" : "SMTP",
            flz_id_str(desk->account), service->failing.count,
            service->failing.count + service->well.count, line->text);
}

static void save_failures(struct desk *desk, struct member *member, uint32_t failures)
{
    if (member->record.login_failures == failures)
        return;
    member->record.login_failures = failures;
    (void)members_save(desk->worker->parts.members, member);
}

/* A login succeeded. The count of refused ones starts again when neither server refuses: one good
 * server must not hide that the other is asked in vain. */
void desk_line_worked(struct desk *desk, struct line *line)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    line->token_doubted = line->no_token = false;
    line->trouble = FLZ_REASON_NONE;
    line->text[0] = '\0';
    desk->worked = true;
    if (shaping_worked(&line->shape, worker_shaping_clock(worker))) {
        log_incident(desk, line, "provider_incident_over");
        worker_wake(worker);
    }
    if (member && !desk->smtp.shape.refused && !desk->imap.shape.refused)
        save_failures(desk, member, 0);
}

/* An incident begins: what it cost the accounts that failed in it is given back to them. */
static void give_back(struct desk *desk, const struct line *line)
{
    struct worker *worker = desk->worker;
    struct shaping_line *failing = line->shape.service->failing.first;
    for (; failing; failing = failing->next) {
        struct desk *other = failing->owner;
        struct member *member = members_find(worker->parts.members, other->account);
        uint32_t charged = shaping_forgive(failing);
        uint32_t failures = member ? member->record.login_failures : 0;
        if (member)
            save_failures(other, member, failures > charged ? failures - charged : 0);
    }
    worker->stats.incidents++;
    log_incident(desk, line, "provider_incident");
}

static void set_trouble(struct desk *desk, struct line *line, enum flz_reason reason,
                        const char *text)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    bool imap = line == &desk->imap;
    struct flz_msg msg;
    line->no_token = false;
    line->trouble = reason;
    flz_msg_set(&msg, "%s", text);
    if (member) {
        struct endpoint endpoint = imap ? member_imap(member) : member_smtp(member);
        flz_msg_wrap(&msg, "%s %.100s:%u", imap ? "IMAP" : "SMTP", endpoint.host, endpoint.port);
    }
    job_set_words(line->text, sizeof line->text, msg.text);
}

void desk_line_failed(struct desk *desk, struct line *line, enum flz_reason reason,
                      const char *text)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    uint32_t tries = member ? member->record.login_failures : 0;
    bool refused = reason == FLZ_REASON_LOGIN;
    set_trouble(desk, line, reason, text);
    if (line->token_forgiven) {
        line->token_forgiven = false;
        shaping_put_off(&line->shape, TOKEN_WAIT_MS, worker_shaping_clock(worker));
        return;
    }
    struct shaping_failure failure = {.refused = refused, .floor_ms = DESK_FLOOR_MS};
    if (refused)
        failure.wait_ms = login_wait_ms[desk->worked][tries < FLZ_LOGIN_TRIES_MAX - 1 ? tries : 1];
    switch (shaping_failed(&line->shape, failure, worker_shaping_clock(worker))) {
    case SHAPING_OPENED: give_back(desk, line); break;
    case SHAPING_CHARGED:
        if (member)
            save_failures(desk, member, tries + 1);
        break;
    case SHAPING_NOT_CHARGED: break;
    }
    if (refused && member)
        flz_log(worker->parts.log, FLZ_LOG_WARNING, "login_refused", "account=%s tries=%u text=%s",
                flz_id_str(desk->account), member->record.login_failures, line->text);
}

bool desk_forgive_token(struct desk *desk, struct line *line, enum flz_reason *reason)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    if (*reason != FLZ_REASON_LOGIN || !member || member->record.login != MEMBER_LOGIN_TOKEN)
        return false;
    tokens_refused(worker->parts.tokens, member);
    if (line->token_doubted)
        return false;
    line->token_doubted = line->token_forgiven = true;
    *reason = FLZ_REASON_NETWORK;
    flz_log(worker->parts.log, FLZ_LOG_NOTICE, "token_refused", "account=%s",
            flz_id_str(desk->account));
    return true;
}
