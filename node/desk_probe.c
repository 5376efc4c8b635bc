#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/desk.h"

#include <stdio.h>
#include <string.h>

#define PROBE_FLOOR_MS 2000  /* real time between looks at an account's servers */
#define LOGIN_FLOOR_MS 60000 /* real time between SMTP logins for a probe's sake */

/* The trouble a probe tells: the server that refuses the login, else whichever fails. */
static const struct line *troubled_line(const struct desk *desk)
{
    if (desk->imap.shape.refused || desk->smtp.trouble == FLZ_REASON_NONE)
        return &desk->imap;
    return &desk->smtp;
}

static int64_t probe_every_ms(struct worker *worker, int64_t floor_ms)
{
    return worker_real_ms(worker, worker->parts.probe_age_ms_max / 2, floor_ms);
}

/* Boot time from which its servers are looked at again. A server that refused the login sets the
 * time itself. */
static int64_t probe_due_boot(struct desk *desk)
{
    const struct line *line = troubled_line(desk);
    if (desk->probe_boot == 0)
        return 0;
    if (desk->probes_failed == 0)
        return desk->probe_boot + probe_every_ms(desk->worker, PROBE_FLOOR_MS);
    /* Without a token no server has failed: the looks climb the ladder that a line would. */
    uint32_t step = desk->probes_failed < SHAPING_STEPS ? desk->probes_failed : SHAPING_STEPS;
    if (line->no_token)
        return desk->probe_boot + worker_real_ms(desk->worker,
                                                 shaping_limits_default.ladder_ms[step - 1],
                                                 PROBE_FLOOR_MS);
    int64_t next = shaping_next(&line->shape), floor = desk->probe_boot + PROBE_FLOOR_MS;
    return next > floor ? next : floor;
}

/* Network time of the next look after one that failed; 0 = none by itself. */
static int64_t next_try(struct desk *desk, const struct member *member, struct job_clock clock)
{
    if (desk->probes_failed == 0 || member->record.login_failures >= FLZ_LOGIN_TRIES_MAX ||
        member->record.needs_auth[0])
        return 0;
    int64_t wait = probe_due_boot(desk) - clock.boot_now;
    return clock.network_now + (wait > 0 ? wait : 0) * clock.rate_milli / 1000;
}

bool desk_is_denied(const struct desk *desk, const struct member *member,
                    const struct domain_facts *facts)
{
    struct endpoint smtp = member_smtp(member), imap = member_imap(member);
    const struct flz_account *account = &member->record.account;
    return providers_find(desk->worker->parts.providers, account->provider,
                          worker_domain_of(account->address), facts, &smtp, &imap)
               ->policy == PROVIDER_DENY;
}

void desk_report_probe(struct desk *desk, bool login_ok, const struct visit_outcome *outcome)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    struct job_clock clock = worker_clock(worker);
    const struct domain_facts *facts;
    if (!member || clock.network_now == 0)
        return;
    const char *domain = worker_domain_of(member->record.account.address);
    if (domains_look(worker->parts.domains, domain, &facts) != 0)
        return;
    const struct line *line = troubled_line(desk);
    desk->denied = desk_is_denied(desk, member, facts);
    struct flz_report entry = {.kind = FLZ_REPORT_PROBE};
    struct flz_probe *probe = &entry.probe;
    *probe = (struct flz_probe){
        .account = desk->account,
        .at = clock.network_now,
        .login_ok = login_ok && outcome,
        .reason = line->trouble,
        .quota_permille = 1001,
        .mx = facts->mx,
        .opt_out = facts->opt_out,
        .denied = desk->denied || facts->google || domains_is_google_address(domain),
        .tries = member->record.login_failures,
    };
    char incident[64];
    if (!probe->login_ok && desk_line_incident(line, incident, sizeof incident))
        (void)snprintf(probe->text, sizeof probe->text, "%s: %s", incident, line->text);
    else
        memcpy(probe->text, line->text, sizeof probe->text);
    if (outcome && outcome->probe.has_quota && outcome->probe.quota_limit_kib > 0) {
        uint64_t permille = outcome->probe.quota_used_kib * 1000 / outcome->probe.quota_limit_kib;
        probe->quota_permille = permille > 1000 ? 1000 : (uint32_t)permille;
    }
    desk->probe_boot = clock.boot_now;
    desk->probes_failed = probe->login_ok ? 0 : desk->probes_failed + 1;
    probe->next_at = next_try(desk, member, clock);
    member->probe = *probe;
    int r = outbox_add(worker->parts.outbox, &entry);
    if (r < 0)
        flz_log_failure(worker->parts.log, "report_failed", r, NULL);
    flz_log(worker->parts.log, FLZ_LOG_INFO, "account_probed",
            "account=%s login_ok=%d quota_permille=%u opt_out=%d denied=%d text=%s",
            flz_id_str(desk->account), probe->login_ok, probe->quota_permille, probe->opt_out,
            probe->denied, probe->text);
}

bool desk_wants_probe(struct desk *desk, const struct member *member)
{
    const struct domain_facts *facts;
    const char *domain = worker_domain_of(member->record.account.address);
    if (member->record.released || desk->probing || desk->login_only ||
        domains_look(desk->worker->parts.domains, domain, &facts) != 0)
        return false;
    return flz_boottime_ms() >= probe_due_boot(desk);
}

bool desk_wants_login(const struct desk *desk)
{
    return !desk->smtp.shape.ok || flz_boottime_ms() - desk->smtp.shape.ok_boot >=
                                       probe_every_ms(desk->worker, LOGIN_FLOOR_MS);
}

/* ---- Access tokens ---- */

/* No server can be asked: what is told of both of them is that there is no token. */
static void token_failed(struct desk *desk, enum flz_reason reason, const char *text)
{
    struct line *lines[] = {&desk->smtp, &desk->imap};
    struct flz_msg msg;
    flz_msg_set(&msg, "sign-in: %s", text);
    for (size_t i = 0; i < 2; i++) {
        lines[i]->shape.ok = false;
        lines[i]->no_token = true;
        lines[i]->trouble = reason;
        job_set_words(lines[i]->text, sizeof lines[i]->text, msg.text);
    }
    desk_report_probe(desk, false, NULL);
}

void worker_token_news(struct worker *worker, struct member *member, enum flz_reason reason,
                       const char *text)
{
    struct desk *desk = desk_find(worker, member->record.account.id);
    if (desk && reason != FLZ_REASON_NONE)
        token_failed(desk, reason, text);
    else if (desk && desk->imap.no_token)
        desk->probe_boot = 0; /* what was told is over */
    worker_wake(worker);
}

bool desk_has_secret(struct desk *desk, struct member *member, bool probe)
{
    if (member->record.login != MEMBER_LOGIN_TOKEN)
        return true;
    int r = tokens_want(desk->worker->parts.tokens, member);
    /* Known before this start, or since the row was taken: told once, and again as probes are. */
    if (r == TOKENS_E_NEEDS_AUTH && probe)
        token_failed(desk, FLZ_REASON_LOGIN, member->record.needs_auth);
    return r == 0;
}

int desk_secret(struct desk *desk, struct flz_secret *ret_secret)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    if (member && member->record.login == MEMBER_LOGIN_TOKEN)
        return tokens_get(worker->parts.tokens, member, ret_secret);
    return members_secret(worker->parts.members, desk->account, ret_secret);
}
