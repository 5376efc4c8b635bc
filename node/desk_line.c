#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/desk.h"

#define DESK_BACKOFF_MS_MAX 900000
#define LOGIN_BACKOFF_FLOOR_MS 500 /* real time after a refused login, however fast a lab is */

/* Network time after the first, second … refused login in a row. Somebody waits for the word on an
 * account that never worked here; one that did is more likely to meet its server's bad day. */
static const int64_t login_backoff_ms[2][FLZ_LOGIN_TRIES_MAX - 1] = {
    {FLZ_MINUTE_MS, 5 * FLZ_MINUTE_MS},
    {5 * FLZ_MINUTE_MS, 15 * FLZ_MINUTE_MS},
};

/* How long a server is left alone that has just failed. */
static int64_t next_backoff_ms(struct desk *desk, const struct line *line, enum flz_reason reason)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    uint32_t tries = member ? member->record.login_failures : 0;
    if (reason == FLZ_REASON_LOGIN)
        return worker_real_ms(
            desk->worker,
            login_backoff_ms[desk->worked][tries < FLZ_LOGIN_TRIES_MAX - 1 ? tries : 1],
            LOGIN_BACKOFF_FLOOR_MS);
    int64_t backoff = line->backoff_ms == 0 ? DESK_BACKOFF_MS : line->backoff_ms * 2;
    return backoff < DESK_BACKOFF_MS_MAX ? backoff : DESK_BACKOFF_MS_MAX;
}

void desk_line_failed(struct desk *desk, struct line *line, enum flz_reason reason,
                      const char *text)
{
    const struct member *member = members_find(desk->worker->parts.members, desk->account);
    bool imap = line == &desk->imap;
    line->backoff_ms = next_backoff_ms(desk, line, reason);
    line->wait_boot = flz_boottime_ms() + line->backoff_ms;
    line->ok = false;
    line->refused = reason == FLZ_REASON_LOGIN;
    line->no_token = false;
    line->trouble = reason;
    struct flz_msg msg;
    flz_msg_set(&msg, "%s", text);
    if (member) {
        struct endpoint endpoint = imap ? member_imap(member) : member_smtp(member);
        flz_msg_wrap(&msg, "%s %.100s:%u", imap ? "IMAP" : "SMTP", endpoint.host, endpoint.port);
    }
    job_set_words(line->text, sizeof line->text, msg.text);
}

/* A login succeeded. The count of refused ones starts again when neither server refuses: one good
 * server must not hide that the other is asked in vain. */
void desk_line_worked(struct desk *desk, struct line *line)
{
    *line = (struct line){.ok = true, .ok_boot = flz_boottime_ms()};
    desk->worked = true;
    struct member *member = members_find(desk->worker->parts.members, desk->account);
    if (member && member->record.login_failures > 0 && !desk->smtp.refused && !desk->imap.refused) {
        member->record.login_failures = 0;
        (void)members_save(desk->worker->parts.members, member);
    }
}

bool desk_forgive_token(struct desk *desk, struct line *line, enum flz_reason *reason)
{
    struct worker *worker = desk->worker;
    struct member *member = members_find(worker->parts.members, desk->account);
    if (*reason != FLZ_REASON_LOGIN || !member || member->record.login != MEMBER_LOGIN_TOKEN)
        return false;
    tokens_refused(worker->parts.tokens, member);
    if (line->doubted)
        return false;
    line->doubted = true;
    *reason = FLZ_REASON_NETWORK;
    flz_log(worker->parts.log, FLZ_LOG_NOTICE, "token_refused", "account=%s",
            flz_id_str(desk->account));
    return true;
}

void desk_login_failed(struct desk *desk, const struct line *line)
{
    struct member *member = members_find(desk->worker->parts.members, desk->account);
    if (!member || !line->refused)
        return;
    member->record.login_failures++;
    (void)members_save(desk->worker->parts.members, member);
    flz_log(desk->worker->parts.log, FLZ_LOG_WARNING, "login_refused",
            "account=%s tries=%u text=%s", flz_id_str(desk->account), member->record.login_failures,
            line->text);
}
