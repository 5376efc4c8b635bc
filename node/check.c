#include "node/check.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "node/core/mutf7.h"
#include "node/sender.h"
#include "node/visitor.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define POLL_MS 50

#define STAGES_MAX 24
#define STAGE_TEXT_MAX 512

struct stage {
    const char *name; /* static */
    bool ok;
    int64_t ms;
    char text[STAGE_TEXT_MAX];
};

/* Where it stands. Each part begins when the one before has ended, well or not. */
enum part { PART_DNS, PART_TOKEN, PART_SMTP, PART_IMAP, PART_OVER };

struct check {
    struct check_parts parts;
    struct admin_call *call;
    struct check *next;
    struct flz_id account;
    bool ok;
    size_t count;
    struct stage stages[STAGES_MAX];
    uv_timer_t timer; /* its close callback frees the check */
    enum part part;
    int64_t part_boot;  /* it began */
    int64_t stage_boot; /* the stage that is under way began */
    bool peer_told;
    bool mail_tried, reset_tried, reset_done;
    struct sender *sender;
    struct visitor *visitor;
};

static struct member *member_of(const struct check *check)
{
    return members_find(check->parts.members, check->account);
}

static bool uses_token(const struct member *member)
{
    return member->record.login == MEMBER_LOGIN_TOKEN;
}

/* ---- Telling ---- */

/* Servers say what they like; JSON takes UTF-8 alone. */
static void make_utf8(char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        size_t len = flz_utf8_len(text, n);
        if (len == 0 || (unsigned char)*text < ' ')
            *text = '?';
        text += len ? len : 1;
        n -= len ? len : 1;
    }
}

/* Adds a stage that took `ms`. */
__attribute__((format(printf, 5, 6))) static void
tell_ms(struct check *check, const char *name, bool ok, int64_t ms, const char *format, ...)
{
    if (check->count == STAGES_MAX)
        return;
    struct stage *stage = &check->stages[check->count++];
    *stage = (struct stage){.name = name, .ok = ok, .ms = ms};
    check->ok = check->ok && ok;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(stage->text, sizeof stage->text, format, args);
    va_end(args);
    make_utf8(stage->text);
}

/* The time since the stage before it ended. */
static int64_t lap(struct check *check)
{
    int64_t now = flz_boottime_ms(), ms = now - check->stage_boot;
    check->stage_boot = now;
    return ms;
}

/* The stages of a connection, by their server's name. */
struct names {
    const char *dns, *tcp, *tls, *greeting;
};

static void tell_peer(struct check *check, const struct names *names, const char *host,
                      const struct conn_peer *peer)
{
    char until[FLZ_TIME_TEXT_MAX];
    int64_t days = (peer->expires_ms - flz_realtime_ms()) / FLZ_DAY_MS;
    check->peer_told = true;
    if (strcmp(host, peer->address) != 0)
        tell_ms(check, names->dns, true, peer->resolve_ms, "%s is %s", host, peer->address);
    tell_ms(check, names->tcp, true, peer->connect_ms, "connected to %s", peer->address);
    if (peer->tls) {
        flz_time_format(peer->expires_ms, until);
        tell_ms(check, names->tls, true, peer->tls_ms,
                "%s; certificate of %s, issued by %s, good until %s (%lld days)", peer->tls,
                peer->subject, peer->issuer, until, (long long)days);
    }
    check->stage_boot += peer->resolve_ms + peer->connect_ms + peer->tls_ms;
}

/* Which stage of a connection failed that never opened. */
static const char *stage_of_end(enum conn_end end, const struct names *names)
{
    switch (end) {
    case CONN_END_RESOLVE: return names->dns;
    case CONN_END_NONE:
    case CONN_END_REFUSED:
    case CONN_END_TIMEOUT:
    case CONN_END_CLOSED:
    case CONN_END_RESET:
    case CONN_END_LOCAL: return names->tcp;
    case CONN_END_EXPIRED:
    case CONN_END_NAME:
    case CONN_END_UNTRUSTED:
    case CONN_END_DENIED:
    case CONN_END_TLS:
    case CONN_END_STARTTLS: return names->tls;
    case CONN_END_GREETING:
    case CONN_END_PROTOCOL: break;
    }
    return names->greeting;
}

/* ---- Parts ---- */

static void begin(struct check *check, enum part part);

static void begin_next(struct check *check)
{
    begin(check, (enum part)(check->part + 1));
}

/* False: nobody has answered yet. */
static bool look_dns(struct check *check, const struct member *member, bool last)
{
    char domain[FLZ_DOMAIN_MAX];
    const struct domain_facts *facts;
    const char *at = strchr(member->record.account.address, '@');
    (void)flz_text_copy(domain, sizeof domain, at ? at + 1 : "");
    flz_ascii_lower_str(domain);
    int r = domains_look(check->parts.domains, domain, &facts);
    if (r == DOMAINS_E_ASKED && !last)
        return false;
    if (r != 0)
        tell_ms(check, "DNS", false, lap(check), "the MX of %s could not be asked for", domain);
    else if (!facts->has_mx)
        tell_ms(check, "DNS", false, lap(check),
                "%s has no MX and no address: nobody can write to "
                "it",
                domain);
    else
        tell_ms(check, "DNS", !facts->opt_out && !facts->google, lap(check), "MX of %s: %s%s%s",
                domain, facts->mx_first[0] ? facts->mx_first : domain,
                facts->opt_out ? "; its owner refuses (_fluenzr TXT p=deny)" : "",
                facts->google ? "; Google's, which is refused" : "");
    return true;
}

static bool look_token(struct check *check, struct member *member, bool last)
{
    if (!uses_token(member))
        return true;
    int r = tokens_want(check->parts.tokens, member);
    if ((r == TOKENS_E_WAIT || r == TOKENS_E_LATER) && !last)
        return false;
    if (r == 0)
        tell_ms(check, "access token", true, lap(check), "the sign-in server has given one");
    else
        tell_ms(check, "access token", false, lap(check), "%s",
                r == TOKENS_E_NEEDS_AUTH ? member->record.needs_auth
                                         : "the sign-in server gives none now");
    return true;
}

static int read_secret(struct check *check, struct flz_secret *ret_secret)
{
    struct member *member = member_of(check);
    if (member && uses_token(member))
        return tokens_get(check->parts.tokens, member, ret_secret);
    return members_secret(check->parts.members, check->account, ret_secret);
}

/* ---- SMTP ---- */

static const struct names smtp_names = {"SMTP DNS", "SMTP TCP", "SMTP TLS", "SMTP greeting"};
static const struct names imap_names = {"IMAP DNS", "IMAP TCP", "IMAP TLS", "IMAP greeting"};

/* Tells of the connection once, while it is there. */
static void tell_sender_peer(struct check *check, const struct sender *sender)
{
    const struct member *member = member_of(check);
    struct conn_peer peer;
    if (check->peer_told || !member || sender_peer(sender, &peer) < 0)
        return;
    struct endpoint endpoint = member_smtp(member);
    tell_peer(check, &smtp_names, endpoint.host, &peer);
}

static void tell_visitor_peer(struct check *check, const struct visitor *visitor)
{
    const struct member *member = member_of(check);
    struct conn_peer peer;
    if (check->peer_told || !member || visitor_peer(visitor, &peer) < 0)
        return;
    struct endpoint endpoint = member_imap(member);
    tell_peer(check, &imap_names, endpoint.host, &peer);
}

static void tell_ehlo(struct check *check, const struct smtp_capabilities *offers)
{
    char size[32] = "";
    unsigned m = offers->offered;
    if (offers->size)
        (void)snprintf(size, sizeof size, " SIZE %llu", (unsigned long long)offers->size_max);
    tell_ms(check, "SMTP EHLO", true, lap(check), "AUTH%s%s%s%s;%s%s%s%s",
            m & SMTP_AUTH_PLAIN ? " PLAIN" : "", m & SMTP_AUTH_LOGIN ? " LOGIN" : "",
            m & SMTP_AUTH_XOAUTH2 ? " XOAUTH2" : "",
            m & SMTP_AUTH_OAUTHBEARER ? " OAUTHBEARER" : "",
            offers->pipelining ? " PIPELINING" : "", offers->eight_bit ? " 8BITMIME" : "",
            offers->dsn ? " DSN" : "", size);
}

static int on_sender_secret(struct sender *sender, struct flz_secret *ret_secret, void *userdata)
{
    struct check *check = userdata;
    bool first = !check->peer_told; /* a long secret is asked for twice */
    tell_sender_peer(check, sender);
    if (first)
        tell_ehlo(check, sender_capabilities(sender));
    return read_secret(check, ret_secret);
}

static void on_ready(struct sender *sender, void *userdata)
{
    struct check *check = userdata;
    const struct member *member = member_of(check);
    struct flz_address from;
    if (!check->mail_tried) {
        check->mail_tried = true;
        tell_ms(check, "SMTP AUTH", true, lap(check), "logged in as %s",
                member ? member->record.user : "");
        if (member && flz_address_parse(member->record.account.address, &from) == 0 &&
            sender_try_mail(sender, &from) == 0)
            return;
    } else if (!check->reset_tried) {
        check->reset_tried = true;
        tell_ms(check, "SMTP MAIL", true, lap(check), "the address may send");
        if (sender_reset(sender) == 0)
            return;
    } else {
        check->reset_done = true;
        tell_ms(check, "SMTP RSET", true, lap(check), "nothing was sent");
    }
    sender_quit(sender);
}

static void on_sender_end(struct sender *sender, bool ready, enum conn_end end,
                          const struct smtp_result *result, const struct flz_msg *msg,
                          void *userdata)
{
    struct check *check = userdata;
    bool authenticating = check->peer_told;
    tell_sender_peer(check, sender);
    if (!check->reset_done) {
        const char *name = check->reset_tried                 ? "SMTP RSET"
                           : check->mail_tried                ? "SMTP MAIL"
                           : authenticating                   ? "SMTP AUTH"
                           : result->stage == SMTP_STAGE_EHLO ? "SMTP EHLO"
                           : check->peer_told || end == CONN_END_NONE
                               ? "SMTP AUTH"
                               : stage_of_end(end, &smtp_names);
        tell_ms(check, name, false, lap(check), "%s", msg->text);
    }
    check->sender = sender_free(sender);
    begin_next(check);
}

static void on_no_dot(struct sender *sender, void *userdata)
{
    sender_withdraw(sender);
}

static void on_no_result(struct sender *sender, const struct smtp_result *result, void *userdata)
{
}

static const struct sender_events sender_events = {.on_ready = on_ready,
                                                   .on_secret = on_sender_secret,
                                                   .on_dot = on_no_dot,
                                                   .on_result = on_no_result,
                                                   .on_end = on_sender_end};

static int begin_smtp(struct check *check, const struct member *member)
{
    struct sender_options options = {
        .endpoint = member_smtp(member),
        .ehlo_name = check->parts.ehlo_name,
        .user = member->record.user,
        .token = uses_token(member),
        .connect_timeout_ms = check->parts.connect_timeout_ms,
        .timeout_ms_max = CHECK_REPLY_MS,
    };
    return sender_new(check->parts.pool, check->parts.loop, &options, &sender_events, check,
                      &check->sender);
}

/* ---- IMAP ---- */

static int on_visitor_secret(struct visitor *visitor, struct flz_secret *ret_secret, void *userdata)
{
    struct check *check = userdata;
    tell_visitor_peer(check, visitor);
    return read_secret(check, ret_secret);
}

static bool on_verify(struct visitor *visitor, size_t job, const struct header *header,
                      void *userdata)
{
    return false; /* no message is looked for */
}

static const char *readable(const char *wire, char text[static VISIT_FOLDER_MAX * 2])
{
    if (!wire[0])
        return "none";
    return mutf7_decode(wire, text, VISIT_FOLDER_MAX * 2) == 0 ? text : wire;
}

static void on_outcome(struct visitor *visitor, const struct visit_outcome *outcome, void *userdata)
{
    struct check *check = userdata;
    const struct visit_probe *probe = &outcome->probe;
    char junk[VISIT_FOLDER_MAX * 2], sent[VISIT_FOLDER_MAX * 2], own[VISIT_FOLDER_MAX * 2];
    if (outcome->reason == VISIT_REASON_SESSION)
        return; /* on_end says why */
    int64_t ms = lap(check);
    tell_ms(check, "IMAP login", true, ms, "logged in; this time includes reading folders");
    tell_ms(check, "folders", probe->sent[0] != '\0', 0, "Sent: %s; ours: %s%s",
            readable(probe->sent, sent), readable(probe->own, own),
            probe->own_exists ? "" : " (made when it is needed)");
    tell_ms(check, "Junk", probe->junk[0] != '\0', 0, "%s",
            probe->junk[0] ? readable(probe->junk, junk)
                           : "no folder for it was found, by attribute or name: nothing can be "
                             "rescued from it");
    if (!probe->has_quota)
        tell_ms(check, "quota", true, 0, "the server tells none");
    else
        tell_ms(check, "quota", probe->quota_used_kib < probe->quota_limit_kib, 0,
                "%llu of %llu MiB used", (unsigned long long)probe->quota_used_kib / 1024,
                (unsigned long long)probe->quota_limit_kib / 1024);
}

static void on_visitor_end(struct visitor *visitor, enum visit_end end, enum conn_end conn,
                           const char *text, void *userdata)
{
    struct check *check = userdata;
    tell_visitor_peer(check, visitor);
    if (end != VISIT_END_DONE)
        tell_ms(check, check->peer_told ? "IMAP login" : stage_of_end(conn, &imap_names), false,
                lap(check), "%s", text);
    check->visitor = visitor_free(visitor);
    begin_next(check);
}

static const struct visitor_events visitor_events = {.on_secret = on_visitor_secret,
                                                     .on_verify = on_verify,
                                                     .on_outcome = on_outcome,
                                                     .on_end = on_visitor_end};

static int begin_imap(struct check *check, const struct member *member)
{
    struct visit_job job = {.kind = VISIT_PROBE};
    struct visitor_options options = {
        .endpoint = member_imap(member),
        .user = member->record.user,
        .token = uses_token(member),
        .connect_timeout_ms = check->parts.connect_timeout_ms,
        .wall_ms_max = CHECK_WALL_MS,
        .version = FLZ_VERSION,
    };
    return visitor_new(check->parts.pool, check->parts.loop, &options, &job, 1, &visitor_events,
                       check, &check->visitor);
}

/* ---- Life ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_check(struct check *check)
{
    struct check **at = check->parts.running;
    while (*at != check)
        at = &(*at)->next;
    *at = check->next;
    check->sender = sender_free(check->sender);
    check->visitor = visitor_free(check->visitor);
    uv_close((uv_handle_t *)&check->timer, on_timer_closed);
}

static void answer(struct check *check)
{
    const struct member *member = member_of(check);
    json_t *stages = json_array();
    for (size_t i = 0; i < check->count; i++)
        json_array_append_new(stages,
                              json_pack("{s:s,s:b,s:I,s:s}", "stage", check->stages[i].name, "ok",
                                        check->stages[i].ok, "ms", (json_int_t)check->stages[i].ms,
                                        "text", check->stages[i].text));
    admin_answer(check->call, check->ok ? ADMIN_OK : ADMIN_FAILED,
                 json_pack("{s:s,s:s,s:s,s:b,s:o}", "apiVersion", "fluenzr/v1", "kind",
                           "AccountTest", "address", member ? member->record.account.address : "",
                           "ok", check->ok, "stages", stages),
                 NULL);
    close_check(check);
}

static void on_timer(uv_timer_t *timer)
{
    struct check *check = timer->data;
    struct member *member = member_of(check);
    bool last = flz_boottime_ms() - check->part_boot >= CHECK_WAIT_MS;
    bool over = true;
    if (check->part == PART_OVER) {
        answer(check);
        return;
    }
    if (!member)
        tell_ms(check, "account", false, lap(check), "it was removed meanwhile");
    else if (check->part == PART_DNS)
        over = look_dns(check, member, last);
    else if (check->part == PART_TOKEN)
        over = look_token(check, member, last);
    if (!member)
        begin(check, PART_OVER);
    else if (over)
        begin_next(check);
    else
        (void)uv_timer_start(&check->timer, on_timer, POLL_MS, 0);
}

static void begin(struct check *check, enum part part)
{
    const struct member *member = member_of(check);
    check->part = member ? part : PART_OVER;
    check->part_boot = check->stage_boot = flz_boottime_ms();
    check->peer_told = false;
    int r = 0;
    if (check->part == PART_SMTP)
        r = begin_smtp(check, member);
    else if (check->part == PART_IMAP)
        r = begin_imap(check, member);
    else
        (void)uv_timer_start(&check->timer, on_timer, 0, 0);
    if (r < 0) {
        tell_ms(check, part == PART_SMTP ? "SMTP TCP" : "IMAP TCP", false, 0,
                "no connection could be started: %s", strerror(-r));
        begin_next(check);
    }
}

void check_start(const struct check_parts *parts, const struct member *member,
                 struct admin_call *call)
{
    size_t running = 0;
    for (const struct check *check = *parts->running; check; check = check->next)
        running++;
    struct check *check = running < CHECKS_MAX ? calloc(1, sizeof *check) : NULL;
    if (!check) {
        admin_refuse(call, ADMIN_TRY_AGAIN, "BUSY", "other accounts are being tested", "");
        return;
    }
    *check = (struct check){.parts = *parts,
                            .call = call,
                            .next = *parts->running,
                            .account = member->record.account.id,
                            .ok = true};
    *parts->running = check;
    (void)uv_timer_init(parts->loop, &check->timer);
    check->timer.data = check;
    begin(check, PART_DNS);
}

void check_cancel_all(struct check **running)
{
    while (*running) {
        admin_refuse((*running)->call, ADMIN_TRY_AGAIN, "STOPPING", "the node is stopping", "");
        close_check(*running);
    }
}
