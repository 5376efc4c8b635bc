/* Cites the invariants S1 … S6 of node/core/smtp.h. */
#include "node/core/smtp.h"

#include "common/base/rng.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * A scenario: what the client must have said before each answer, and the events that follow. Each
 * letter of `plan` is the order given at the next idle moment: A auth, S send, N noop, R reset,
 * Q quit; D in place of the release means the dot is dropped.
 */
struct turn {
    const char *out;
    const char *in;
};

struct scenario {
    const char *plan;
    struct turn turns[16];
    const char *trace;
    const char *body;
    enum smtp_mechanism mechanism;
    bool clear;
    bool greeted;
    bool drop;
    bool whole_only; /* the outcome depends on octets that come in one piece */
};

struct player {
    const struct scenario *scenario;
    struct smtp smtp;
    const char *plan;
    char trace[512];
};

#define SECRET "pass"
#define BODY "Subject: t\r\n\r\nx\r\n"
#define EHLO "EHLO client.test\r\n"

static void note(struct player *player, const char *word)
{
    size_t n = strlen(player->trace);
    (void)snprintf(player->trace + n, sizeof(player->trace) - n, "%s%s", n ? " " : "", word);
}

static void note_result(struct player *player, const char *word)
{
    const struct smtp_result *result = smtp_result(&player->smtp);
    char text[128];
    (void)snprintf(text, sizeof(text), "%s:%s@%s/%d", word, smtp_verdict_str(result->verdict),
                   smtp_stage_str(result->stage), result->reply.code);
    note(player, text);
}

static int send_body(struct smtp *smtp, struct flz_view body)
{
    static const struct flz_address from = {"a@a.test"};
    static const struct flz_address to = {"b@b.test"};
    return smtp_send(smtp, &(struct smtp_message){.from = &from, .to = &to, .body = body});
}

static void give_order(struct player *player)
{
    struct smtp *smtp = &player->smtp;
    const char *body = player->scenario->body ? player->scenario->body : BODY;
    int r = 0;
    switch (*player->plan) {
    case 'A': r = smtp_auth(smtp, player->scenario->mechanism, "user"); break;
    case 'S': r = send_body(smtp, flz_view_str(body)); break;
    case 'N': r = smtp_noop(smtp); break;
    case 'R': r = smtp_reset(smtp); break;
    case 'Q': r = smtp_quit(smtp); break;
    default: return;
    }
    player->plan++;
    if (r < 0)
        note(player, r == -EPIPE ? "EPIPE" : "EINVAL");
    else if (r > 0)
        note(player, r == SMTP_E_8BIT ? "8bit" : "too-big");
}

static void on_event(struct player *player, int event)
{
    struct smtp *smtp = &player->smtp;
    switch (event) {
    case SMTP_E_READY: note(player, "ready"); break;
    case SMTP_E_REFUSED: note_result(player, "refused"); break;
    case SMTP_E_SECRET:
        note(player, "secret");
        assert_int_equal(smtp_secret(smtp, flz_view_str(SECRET), "h.test", 587), 0);
        break;
    case SMTP_E_DOT:
        note(player, "dot");
        if (!player->scenario->drop) {
            assert_int_equal(smtp_release_dot(smtp), 0);
        } else {
            assert_int_equal(smtp_drop(smtp), SMTP_E_DONE);
            note_result(player, "done");
        }
        break;
    case SMTP_E_DONE: note_result(player, "done"); break;
    case SMTP_E_CLOSED: note(player, "closed"); break;
    default: fail_msg("event %d", event);
    }
    if (smtp_idle(smtp) && event != SMTP_E_CLOSED)
        give_order(player);
}

static void feed(struct player *player, struct flz_view in)
{
    for (int event; (event = smtp_step(&player->smtp, &in)) != SMTP_E_MORE;)
        on_event(player, event);
    assert_int_equal(in.len, 0);
}

/* Plays the scenario; the answers come cut at `cut`, or octet by octet for cut 0. */
static void play(const struct scenario *scenario, size_t cut)
{
    struct player player = {.scenario = scenario, .plan = scenario->plan};
    smtp_init(&player.smtp, &(struct smtp_options){.ehlo_name = "client.test",
                                                   .encrypted = !scenario->clear,
                                                   .greeted = scenario->greeted});
    for (const struct turn *turn = scenario->turns; turn->out; turn++) {
        struct flz_view out = smtp_output(&player.smtp);
        char text[4096];
        (void)snprintf(text, sizeof(text), "%.*s", (int)out.len, (const char *)out.data);
        assert_string_equal(text, turn->out);
        smtp_taken(&player.smtp, out.len);

        size_t len = strlen(turn->in);
        for (size_t at = 0; at < len;) {
            size_t n = cut == 0 ? 1 : at == 0 && cut < len ? cut : len - at;
            feed(&player, (struct flz_view){.data = (const uint8_t *)turn->in + at, .len = n});
            at += n;
        }
    }
    assert_int_equal(smtp_output(&player.smtp).len, 0);
    assert_string_equal(player.trace, scenario->trace);
    smtp_deinit(&player.smtp);
}

static void play_in_every_cut(const struct scenario *scenario)
{
    size_t longest = 0;
    for (const struct turn *turn = scenario->turns; turn->out; turn++)
        longest = strlen(turn->in) > longest ? strlen(turn->in) : longest;
    play(scenario, SIZE_MAX);
    if (scenario->whole_only)
        return;
    for (size_t cut = 0; cut < longest; cut++)
        play(scenario, cut);
}

#define HELLO                                                                                      \
    {                                                                                              \
        "", "220 hi\r\n"                                                                           \
    }
#define PLAIN_EHLO                                                                                 \
    {                                                                                              \
        EHLO, "250 hi\r\n"                                                                         \
    }
#define PIPE_EHLO                                                                                  \
    {                                                                                              \
        EHLO, "250-hi\r\n250 PIPELINING\r\n"                                                       \
    }
#define AUTH_EHLO                                                                                  \
    {                                                                                              \
        EHLO, "250-hi\r\n250-AUTH LOGIN PLAIN XOAUTH2 OAUTHBEARER\r\n250 X\r\n"                    \
    }
#define MAIL "MAIL FROM:<a@a.test>\r\n"
#define RCPT "RCPT TO:<b@b.test>\r\n"
#define DATA "DATA\r\n"

static void dialogues_come_out_the_same_in_every_cut(void **state)
{
    static const struct scenario rows[] = {
        /* one by one, and one session for two messages */
        {"SSQ",
         {HELLO,
          PLAIN_EHLO,
          {MAIL, "250 ok\r\n"},
          {RCPT, "251 will forward\r\n"},
          {DATA, "354 go\r\n"},
          {BODY ".\r\n", "250 2.0.0 queued\r\n"},
          {MAIL, "250 ok\r\n"},
          {RCPT, "250 ok\r\n"},
          {DATA, "354 go\r\n"},
          {BODY ".\r\n", "250-a\r\n250 b\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready dot done:accepted@dot/250 dot done:accepted@dot/250 closed"},
        /* in one write */
        {"SQ",
         {PIPE_EHLO,
          {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n"},
          {BODY ".\r\n", "250 ok\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready dot done:accepted@dot/250 closed",
         .greeted = true},
        /* every announced thing is used, whatever its spelling */
        {"SQ",
         {{EHLO, "250-hi\r\n250-size 1000\r\n250-8BitMime\r\n250 pipelining\r\n"},
          {"MAIL FROM:<a@a.test> SIZE=2 BODY=8BITMIME\r\n" RCPT DATA,
           "250 ok\r\n250 ok\r\n354 go\r\n"},
          {"\xc3\xa9\r\n.\r\n", "250 ok\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready dot done:accepted@dot/250 closed",
         .greeted = true,
         .body = "\xc3\xa9"},
        {"SQ", {PLAIN_EHLO, {"", ""}}, "ready 8bit", .greeted = true, .body = "\xc3\xa9"},
        {"S", {{EHLO, "250-hi\r\n250 SIZE 10\r\n"}}, "ready too-big", .greeted = true},
        /* refusals, one by one: RSET comes before the next message when MAIL was taken */
        {"SSQ",
         {PLAIN_EHLO,
          {MAIL, "451 4.3.0 later\r\n"},
          {MAIL, "250 ok\r\n"},
          {RCPT, "550 5.1.1 no\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready done:refused-temp@mail/451 done:refused-perm@rcpt/550 closed",
         .greeted = true},
        {"SSQ",
         {PLAIN_EHLO,
          {MAIL, "250 ok\r\n"},
          {RCPT, "550 5.1.1 no\r\n"},
          {"RSET\r\n", "250 ok\r\n"},
          {MAIL, "250 ok\r\n"},
          {RCPT, "250 ok\r\n"},
          {DATA, "554 no\r\n"},
          {"QUIT\r\n", "221 \r\n"}},
         "ready done:refused-perm@rcpt/550 done:refused-perm@data/554 closed",
         .greeted = true},
        /* refusals behind a pipeline: the rest is read, the first one counts */
        {"SSQ",
         {PIPE_EHLO,
          {MAIL RCPT DATA, "550 5.7.1 no\r\n503 mail\r\n503 rcpt\r\n"},
          {MAIL RCPT DATA, "250 ok\r\n452 4.2.2 full\r\n554 no valid\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready done:refused-perm@mail/550 done:refused-temp@rcpt/452 closed",
         .greeted = true},
        {"SSQ",
         {PIPE_EHLO,
          {MAIL RCPT DATA, "250 ok\r\n550 no\r\n554 no\r\n"},
          {"RSET\r\n" MAIL RCPT DATA, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
          {BODY ".\r\n", "554 5.7.1 spam\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready done:refused-perm@rcpt/550 dot done:refused-perm@dot/554 closed",
         .greeted = true},
        /* DATA taken without a recipient: away, without a dot */
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n550 5.1.1 no\r\n354 go\r\n"}},
         "ready done:refused-perm@rcpt/550 closed",
         .greeted = true},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n550 5.1.1 no\r\n250 what\r\n"}},
         "ready done:refused-perm@rcpt/550 closed",
         .greeted = true},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n550 5.1.1 no\r\n421 bye\r\n"}},
         "ready done:refused-perm@rcpt/550 closed",
         .greeted = true},
        /* 421 anywhere */
        {"", {{"", "421 4.3.2 busy\r\n"}}, "closed"},
        {"", {{"", "554 5.7.1 no\r\n"}}, "closed"},
        {"", {HELLO, {EHLO, "421 busy\r\n"}}, "closed"},
        {"", {HELLO, {EHLO, "502 what\r\n"}}, "refused:refused-perm@ehlo/502"},
        {"SQ", {HELLO, {EHLO, "502 what\r\n"}, {"", ""}}, "refused:refused-perm@ehlo/502 EPIPE"},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "421 busy\r\n"}},
         "ready done:refused-temp@mail/421 closed",
         .greeted = true},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n421 busy\r\n"}},
         "ready done:refused-temp@rcpt/421 closed",
         .greeted = true},
        {"S",
         {PIPE_EHLO,
          {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n"},
          {BODY ".\r\n", "421 4.3.2 busy\r\n"}},
         "ready dot done:refused-temp@dot/421 closed",
         .greeted = true},
        {"", {PLAIN_EHLO, {"", "421 idle\r\n"}}, "ready closed", .greeted = true},
        /* replies nobody asked for (S6), and codes that answer nothing */
        {"", {PLAIN_EHLO, {"", "250 more\r\n"}}, "ready closed", .greeted = true},
        {"", {{"", "220 hi\r\n250 early\r\n"}}, "closed", .whole_only = true},
        {"S",
         {PLAIN_EHLO, {MAIL, "250 ok\r\n250 early\r\n"}},
         "ready done:not-sent@mail/0 closed",
         .greeted = true,
         .whole_only = true},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n250 early\r\n"}},
         "ready done:not-sent@data/354 closed",
         .greeted = true,
         .whole_only = true},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n2"}},
         "ready done:not-sent@data/354 closed",
         .greeted = true,
         .whole_only = true},
        {"S",
         {PLAIN_EHLO, {MAIL, "354 what\r\n"}},
         "ready done:not-sent@mail/354 closed",
         .greeted = true},
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n250 what\r\n"}},
         "ready done:not-sent@data/250 closed",
         .greeted = true},
        {"S",
         {PIPE_EHLO,
          {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n"},
          {BODY ".\r\n", "354 again\r\n"}},
         "ready dot done:unknown@dot/354 closed",
         .greeted = true},
        {"SN",
         {PIPE_EHLO,
          {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n"},
          {BODY ".\r\n", "250 ok\r\n250 more\r\n"}},
         "ready dot done:accepted@dot/250 closed",
         .greeted = true,
         .whole_only = true},
        /* the dot held, and dropped */
        {"S",
         {PIPE_EHLO, {MAIL RCPT DATA, "250 ok\r\n250 ok\r\n354 go\r\n"}},
         "ready dot done:not-sent@body/0",
         .greeted = true,
         .drop = true},
        /* NOOP and RSET */
        {"NRNQ",
         {PLAIN_EHLO,
          {"NOOP\r\n", "250 ok\r\n"},
          {"RSET\r\n", "250 ok\r\n"},
          {"NOOP\r\n", "500 no\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready ready ready refused:refused-perm@command/500 closed",
         .greeted = true},
        /* AUTH */
        {"ASQ",
         {AUTH_EHLO,
          {"AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "235 2.7.0 in\r\n"},
          {MAIL, "550 no\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready secret ready done:refused-perm@mail/550 closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_PLAIN},
        {"AQ",
         {AUTH_EHLO,
          {"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
          {"dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n"},
          {"cGFzcw==\r\n", "235 in\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready secret ready closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_LOGIN},
        {"AQ",
         {AUTH_EHLO,
          {"AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHBhc3MBAQ==\r\n",
           "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"},
          {"\r\n", "535 5.7.8 no\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready secret refused:refused-perm@auth/535 closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_XOAUTH2},
        {"AQ",
         {AUTH_EHLO,
          {"AUTH OAUTHBEARER "
           "bixhPXVzZXIsAWhvc3Q9aC50ZXN0AXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHBhc3MBAQ==\r\n",
           "334 e30=\r\n"},
          {"AQ==\r\n", "535 no\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready secret refused:refused-perm@auth/535 closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_OAUTHBEARER},
        {"AQ",
         {AUTH_EHLO,
          {"AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "454 4.7.0 later\r\n"},
          {"QUIT\r\n", "221 bye\r\n"}},
         "ready secret refused:refused-temp@auth/454 closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_PLAIN},
        {"A",
         {AUTH_EHLO, {"AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "334 more\r\n"}},
         "ready secret closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_PLAIN},
        {"A",
         {AUTH_EHLO, {"AUTH LOGIN\r\n", "235 in\r\n"}},
         "ready closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_LOGIN},
        {"A",
         {AUTH_EHLO, {"AUTH LOGIN\r\n", "334 a\r\n334 b\r\n"}},
         "ready closed",
         .greeted = true,
         .mechanism = SMTP_AUTH_LOGIN,
         .whole_only = true},
        /* S3: nothing is offered in clear */
        {"A",
         {AUTH_EHLO},
         "ready EINVAL",
         .greeted = true,
         .mechanism = SMTP_AUTH_PLAIN,
         .clear = true},
        {"A", {PLAIN_EHLO}, "ready EINVAL", .greeted = true, .mechanism = SMTP_AUTH_PLAIN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        play_in_every_cut(&rows[i]);
}

/* ---- a session brought to a stage, for the tests below ---- */

static void take_all(struct smtp *smtp)
{
    smtp_taken(smtp, smtp_output(smtp).len);
}

/* Says `in` and expects one event. */
static void expect(struct smtp *smtp, const char *in, int event)
{
    struct flz_view view = flz_view_str(in);
    take_all(smtp);
    assert_int_equal(smtp_step(smtp, &view), event);
    assert_int_equal(view.len, 0);
}

static void open_session(struct smtp *smtp, const char *keywords)
{
    char answer[512];
    (void)snprintf(answer, sizeof(answer), "250-hi\r\n%s250 X\r\n", keywords);
    smtp_init(smtp, &(struct smtp_options){
                        .ehlo_name = "client.test", .encrypted = true, .greeted = true});
    expect(smtp, answer, SMTP_E_READY);
}

static void bring_to(struct smtp *smtp, enum smtp_stage stage, bool pipelining)
{
    open_session(smtp, pipelining ? "250-PIPELINING\r\n" : "");
    assert_int_equal(send_body(smtp, flz_view_str(BODY)), 0);
    take_all(smtp);
    if (stage > SMTP_STAGE_MAIL)
        expect(smtp, "250 ok\r\n", SMTP_E_MORE);
    if (stage > SMTP_STAGE_RCPT)
        expect(smtp, "250 ok\r\n", SMTP_E_MORE);
    if (stage > SMTP_STAGE_DATA)
        expect(smtp, "354 go\r\n", SMTP_E_DOT);
    if (stage > SMTP_STAGE_BODY)
        assert_int_equal(smtp_release_dot(smtp), 0);
    take_all(smtp);
    assert_int_equal(smtp->stage, stage);
}

static void only_behind_the_dot_is_anything_unknown(void **state)
{
    static char flood[8192];
    memset(flood, 'x', sizeof(flood) - 1);
    memcpy(flood, "250 ", 4);
    static char lines[101 * 8 + 16];
    for (int i = 0; i < 101; i++)
        memcpy(lines + (size_t)i * 8, "250-ab\r\n", 8);

    static const char *const faults[] = {
        NULL, /* the connection is lost */
        "garbage\r\n", "250-a\r\n550 b\r\n", flood,
        lines,         "900 what\r\n",       "250 2.0.0 Ok queu", /* and lost */
    };
    for (int stage = SMTP_STAGE_MAIL; stage <= SMTP_STAGE_DOT; stage++)
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
            for (int pipelining = 0; pipelining <= 1; pipelining++) {
                struct smtp smtp;
                bring_to(&smtp, (enum smtp_stage)stage, pipelining);
                struct flz_view in = flz_view_str(faults[i] ? faults[i] : "");
                int event = smtp_step(&smtp, &in);
                if (event == SMTP_E_MORE)
                    event = (int)smtp_lost(&smtp, "lost");
                assert_int_equal(event, SMTP_E_DONE);
                assert_int_equal(smtp_result(&smtp)->verdict,
                                 stage == SMTP_STAGE_DOT ? SMTP_UNKNOWN : SMTP_NOT_SENT); /* S2 */
                assert_int_equal(smtp_result(&smtp)->stage, stage);
                assert_non_null(smtp_result(&smtp)->reason);
                assert_false(smtp_alive(&smtp));
                assert_int_equal(smtp_output(&smtp).len, 0);
                smtp_deinit(&smtp);
            }
}

static void a_released_dot_that_was_not_taken_was_not_sent(void **state)
{
    static const char *const faults[] = {"", "250 too early\r\n", "421 bye\r\n"};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct smtp smtp;
        bring_to(&smtp, SMTP_STAGE_BODY, true);
        assert_int_equal(smtp_release_dot(&smtp), 0);
        struct flz_view in = flz_view_str(faults[i]);
        if (smtp_step(&smtp, &in) == SMTP_E_MORE)
            assert_int_equal(smtp_lost(&smtp, "lost"), SMTP_E_DONE);
        assert_int_equal(smtp_result(&smtp)->verdict, SMTP_NOT_SENT);
        smtp_deinit(&smtp);
    }
}

static void a_reply_while_the_dot_is_held_ends_it_unsent(void **state)
{
    static const struct {
        const char *in;
        enum smtp_verdict verdict;
    } rows[] = {
        {"250 accepted, honestly\r\n", SMTP_NOT_SENT},
        {"554 too slow\r\n", SMTP_NOT_SENT},
        {"421 4.4.2 timeout\r\n", SMTP_REFUSED_TEMP},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct smtp smtp;
        bring_to(&smtp, SMTP_STAGE_BODY, true);
        expect(&smtp, rows[i].in, SMTP_E_DONE);
        assert_int_equal(smtp_result(&smtp)->verdict, rows[i].verdict);
        assert_int_equal(smtp_release_dot(&smtp), -EPIPE);
        assert_int_equal(smtp_output(&smtp).len, 0); /* S1 */
        smtp_deinit(&smtp);
    }
}

static void half_a_reply_before_the_question_ends_the_session(void **state)
{
    struct smtp smtp;
    struct flz_view none = FLZ_VIEW_NULL;
    open_session(&smtp, "");
    expect(&smtp, "25", SMTP_E_MORE);
    assert_int_equal(send_body(&smtp, flz_view_str(BODY)), -EPIPE);
    assert_int_equal(smtp_step(&smtp, &none), SMTP_E_CLOSED);
    assert_int_equal(smtp_step(&smtp, &none), SMTP_E_MORE);
    assert_int_equal(smtp_noop(&smtp), -EPIPE);
    smtp_deinit(&smtp);

    bring_to(&smtp, SMTP_STAGE_BODY, true);
    expect(&smtp, "2", SMTP_E_MORE);
    assert_int_equal(smtp_release_dot(&smtp), -EPIPE);
    assert_int_equal(smtp_step(&smtp, &none), SMTP_E_DONE);
    assert_int_equal(smtp_result(&smtp)->verdict, SMTP_NOT_SENT);
    assert_int_equal(smtp_step(&smtp, &none), SMTP_E_CLOSED);
    smtp_deinit(&smtp);
}

static void after_the_end_everything_is_thrown_away(void **state)
{
    struct smtp smtp;
    bring_to(&smtp, SMTP_STAGE_DOT, true);
    assert_int_equal(smtp_drop(&smtp), SMTP_E_DONE);
    assert_int_equal(smtp_result(&smtp)->verdict, SMTP_UNKNOWN);
    expect(&smtp, "250 late\r\n", SMTP_E_MORE);
    assert_int_equal(smtp_result(&smtp)->verdict, SMTP_UNKNOWN);
    assert_int_equal(smtp_lost(&smtp, "again"), SMTP_E_CLOSED);
    assert_int_equal(smtp_result(&smtp)->verdict, SMTP_UNKNOWN);
    smtp_deinit(&smtp);
    smtp_deinit(&smtp);
}

/* ---- bodies ---- */

static void a_body_that_could_smuggle_is_refused(void **state)
{
    static char line[1100];
    memset(line, 'x', sizeof(line) - 1);
    static char fine[998 + 3];
    memset(fine, 'x', 998);
    memcpy(fine + 998, "\r\n", 3);
    static const struct {
        const char *body;
        size_t len;
        int r;
    } rows[] = {
#define ROW(t, r) {t, sizeof(t) - 1, r}
        ROW("a\nb\r\n", -EINVAL),
        ROW("a\rb\r\n", -EINVAL),
        ROW("a\r", -EINVAL),
        ROW("\n", -EINVAL),
        ROW("\n.\r\n", -EINVAL),
        ROW("\r\n.\r\r\n", -EINVAL),
        ROW("a\r\n.\n", -EINVAL),
        ROW("a\r\n\r.\r\n", -EINVAL),
        ROW("a\0b\r\n", -EINVAL),
        ROW("\r\r\n", -EINVAL),
        ROW("a\n\r\n", -EINVAL),
        ROW(line, -EINVAL),
        ROW(fine, 0),
        ROW("", 0),
        ROW(".", 0),
        ROW("\r\n", 0),
        ROW("\r\n.\r\n", 0),
        ROW("\xff", SMTP_E_8BIT),
#undef ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct smtp smtp;
        open_session(&smtp, "");
        struct flz_view body = {.data = (const uint8_t *)rows[i].body, .len = rows[i].len};
        assert_int_equal(send_body(&smtp, body), rows[i].r);
        assert_int_equal(smtp_output(&smtp).len > 0, rows[i].r == 0);
        assert_int_equal(smtp_idle(&smtp), rows[i].r != 0);
        smtp_deinit(&smtp);
    }
}

static void a_body_above_the_limit_is_refused(void **state)
{
    struct smtp smtp;
    size_t len = SMTP_BODY_MAX + 2;
    uint8_t *body = malloc(len);
    assert_non_null(body);
    for (size_t i = 0; i < len; i++)
        body[i] = (uint8_t)(i % 2 ? '\n' : '\r');
    open_session(&smtp, "");
    assert_int_equal(send_body(&smtp, (struct flz_view){.data = body, .len = len}), -EINVAL);
    assert_int_equal(send_body(&smtp, (struct flz_view){.data = body, .len = len - 2}), 0);
    free(body);
    smtp_deinit(&smtp);
}

/* What a receiver makes of the octets behind 354 (RFC 5321 4.5.2): returns the length of the
 * message, and asserts that the dot ends exactly the input. */
static size_t receive(const uint8_t *in, size_t len, uint8_t *ret_message)
{
    size_t n = 0;
    for (size_t at = 0; at < len;) {
        const uint8_t *lf = memchr(in + at, '\n', len - at);
        assert_non_null(lf);
        size_t line = (size_t)(lf - (in + at)) + 1;
        if (line == 3 && memcmp(in + at, ".\r\n", 3) == 0) {
            assert_int_equal(at + 3, len);
            return n;
        }
        size_t skip = in[at] == '.' ? 1 : 0;
        memcpy(ret_message + n, in + at + skip, line - skip);
        n += line - skip;
        at += line;
    }
    fail_msg("no dot");
    return 0;
}

static size_t random_body(struct flz_rng *rng, uint8_t *body, size_t max)
{
    size_t n = 0;
    uint64_t pieces = flz_rng_below(rng, 40);
    for (uint64_t i = 0; i < pieces && n + 2 <= max; i++)
        switch (flz_rng_below(rng, 4)) {
        case 0: body[n++] = '.'; break;
        case 1: body[n++] = 'x'; break;
        default:
            body[n++] = '\r';
            body[n++] = '\n';
            break;
        }
    return n;
}

static void every_body_arrives_as_it_was_and_none_ends_before_its_dot(void **state)
{
    struct flz_rng rng;
    struct smtp smtp;
    flz_rng_init(&rng, flz_view_str("test_smtp bodies"), 1);
    open_session(&smtp, "250-PIPELINING\r\n");
    for (int i = 0; i < 3000; i++) {
        uint8_t body[128];
        uint8_t wire[512] = "\r\n";
        uint8_t got[512];
        size_t len = random_body(&rng, body, sizeof(body) - 2);
        assert_int_equal(send_body(&smtp, (struct flz_view){.data = body, .len = len}), 0);
        expect(&smtp, "250 ok\r\n250 ok\r\n354 go\r\n", SMTP_E_DOT);
        struct flz_view out = smtp_output(&smtp);
        memcpy(wire + 2, out.data, out.len);
        size_t wired = out.len + 2;
        take_all(&smtp);
        assert_null(memmem(wire, wired, "\r\n.\r\n", 5)); /* S1 */
        assert_int_equal(smtp_release_dot(&smtp), 0);
        out = smtp_output(&smtp);
        memcpy(wire + wired, out.data, out.len);
        wired += out.len;

        if (len > 0 && body[len - 1] != '\n') {
            memcpy(body + len, "\r\n", 2);
            len += 2;
        }
        assert_int_equal(receive(wire + 2, wired - 2, got), len);
        assert_memory_equal(got, body, len);
        expect(&smtp, "250 ok\r\n", SMTP_E_DONE);
    }
    smtp_deinit(&smtp);
}

/* ---- secrets ---- */

static void secrets_are_wiped_when_taken(void **state)
{
    struct smtp smtp;
    struct flz_view none = FLZ_VIEW_NULL;
    open_session(&smtp, "250-AUTH PLAIN\r\n");
    assert_int_equal(smtp_auth(&smtp, SMTP_AUTH_PLAIN, "user"), 0);
    assert_int_equal(smtp_step(&smtp, &none), SMTP_E_SECRET);
    assert_int_equal(smtp_timeout_ms(&smtp), -1);
    assert_int_equal(smtp_secret(&smtp, flz_view_str("correct horse"), NULL, 0), 0);
    /* Taken in two pieces: the tail that moved to the front leaves nothing behind (S4). */
    const uint8_t *data = smtp.out.data;
    size_t size = smtp.out.size;
    smtp_taken(&smtp, 12);
    assert_ptr_equal(smtp.out.data, data);
    for (size_t i = smtp.out.len; i < size; i++)
        assert_int_equal(data[i], 0);
    take_all(&smtp);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], 0);
    expect(&smtp, "235 ok\r\n", SMTP_E_READY);
    assert_true(smtp_authenticated(&smtp));
    smtp_deinit(&smtp);
}

static void secrets_that_would_change_the_message_are_refused(void **state)
{
    static char token[SMTP_AUTH_LINE_MAX];
    memset(token, 't', sizeof(token) - 1);
    static const struct {
        enum smtp_mechanism mechanism;
        const char *secret;
        size_t len;
        int r;
    } rows[] = {
        {SMTP_AUTH_PLAIN, "a\0b", 3, -EINVAL},
        {SMTP_AUTH_PLAIN, "", 0, -EINVAL},
        {SMTP_AUTH_XOAUTH2, "a\x01z", 3, -EINVAL},
        {SMTP_AUTH_XOAUTH2, "a b", 3, -EINVAL},
        {SMTP_AUTH_XOAUTH2, "a\r\n", 3, -EINVAL},
        {SMTP_AUTH_OAUTHBEARER, "\xc3\xa9", 2, -EINVAL},
        {SMTP_AUTH_XOAUTH2, token, 9184, -EMSGSIZE},
        {SMTP_AUTH_XOAUTH2, token, 9170, 0},
        {SMTP_AUTH_PLAIN, "p\xc3\xa4 ss", 6, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct smtp smtp;
        struct flz_view none = FLZ_VIEW_NULL;
        open_session(&smtp, "250-AUTH PLAIN XOAUTH2 OAUTHBEARER\r\n");
        assert_int_equal(smtp_auth(&smtp, rows[i].mechanism, "user"), 0);
        assert_int_equal(smtp_step(&smtp, &none), SMTP_E_SECRET);
        struct flz_view secret = {.data = (const uint8_t *)rows[i].secret, .len = rows[i].len};
        assert_int_equal(smtp_secret(&smtp, secret, NULL, 0), rows[i].r);
        assert_true(smtp_output(&smtp).len <= SMTP_AUTH_LINE_MAX);
        if (rows[i].r < 0) {
            assert_int_equal(smtp_output(&smtp).len, 0);
            assert_int_equal(smtp_step(&smtp, &none), SMTP_E_CLOSED);
        }
        smtp_deinit(&smtp);
    }
}

static void user_names_cannot_inject(void **state)
{
    static const char *const names[] = {"", "a\r\nMAIL", "a\nb", "a\001auth=", "a\x7f"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct smtp smtp;
        open_session(&smtp, "250-AUTH LOGIN\r\n");
        assert_int_equal(smtp_auth(&smtp, SMTP_AUTH_LOGIN, names[i]), -EINVAL);
        assert_int_equal(smtp_output(&smtp).len, 0);
        assert_true(smtp_idle(&smtp));
        smtp_deinit(&smtp);
    }
}

static void the_challenge_of_a_refused_token_is_kept(void **state)
{
    struct smtp smtp;
    struct flz_view none = FLZ_VIEW_NULL;
    open_session(&smtp, "250-AUTH XOAUTH2\r\n");
    assert_int_equal(smtp_choose(&smtp, true), SMTP_AUTH_XOAUTH2);
    assert_int_equal(smtp_choose(&smtp, false), 0);
    assert_int_equal(smtp_auth(&smtp, SMTP_AUTH_XOAUTH2, "user"), 0);
    assert_int_equal(smtp_step(&smtp, &none), SMTP_E_SECRET);
    assert_int_equal(smtp_secret(&smtp, flz_view_str("t"), NULL, 0), 0);
    expect(&smtp, "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n", SMTP_E_MORE);
    expect(&smtp, "535 5.7.8 no\r\n", SMTP_E_REFUSED);
    assert_string_equal(smtp_result(&smtp)->challenge, "{\"status\":\"401\"}");
    assert_int_equal(smtp_result(&smtp)->reply.enhanced.detail, 8);
    smtp_deinit(&smtp);
}

/* RFC 4954 section 4: a command line ends at 512 octets, a response may have 12,288. */
static void a_long_token_goes_behind_its_command(void **state)
{
    static char token[3001];
    memset(token, 't', sizeof(token) - 1);
    static const struct {
        enum smtp_mechanism mechanism;
        size_t len;
        const char *command; /* NULL: with its initial response */
    } rows[] = {
        {SMTP_AUTH_XOAUTH2, 3000, "AUTH XOAUTH2\r\n"},
        {SMTP_AUTH_OAUTHBEARER, 3000, "AUTH OAUTHBEARER\r\n"},
        {SMTP_AUTH_PLAIN, 1000, "AUTH PLAIN\r\n"},
        {SMTP_AUTH_XOAUTH2, 300, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct smtp smtp;
        struct flz_view none = FLZ_VIEW_NULL;
        struct flz_view secret = {.data = (const uint8_t *)token, .len = rows[i].len};
        open_session(&smtp, "250-AUTH PLAIN XOAUTH2 OAUTHBEARER\r\n");
        assert_int_equal(smtp_auth(&smtp, rows[i].mechanism, "user"), 0);
        assert_int_equal(smtp_step(&smtp, &none), SMTP_E_SECRET);
        assert_int_equal(smtp_secret(&smtp, secret, NULL, 0), 0);
        if (rows[i].command) {
            struct flz_view out = smtp_output(&smtp);
            assert_int_equal(out.len, strlen(rows[i].command));
            assert_memory_equal(out.data, rows[i].command, out.len);
            smtp_taken(&smtp, out.len);
            expect(&smtp, "334 \r\n", SMTP_E_SECRET);
            assert_int_equal(smtp_secret(&smtp, secret, NULL, 0), 0);
            assert_true(smtp_output(&smtp).len > rows[i].len);
            assert_null(memmem(smtp_output(&smtp).data, smtp_output(&smtp).len, "AUTH", 4));
        }
        assert_true(rows[i].command || smtp_output(&smtp).len <= 512);
        smtp_taken(&smtp, smtp_output(&smtp).len);
        expect(&smtp, "235 in\r\n", SMTP_E_READY);
        assert_true(smtp_authenticated(&smtp));
        smtp_deinit(&smtp);
        /* A server that takes the bare command for the whole of it is none. */
        if (!rows[i].command)
            continue;
        open_session(&smtp, "250-AUTH PLAIN XOAUTH2 OAUTHBEARER\r\n");
        assert_int_equal(smtp_auth(&smtp, rows[i].mechanism, "user"), 0);
        assert_int_equal(smtp_step(&smtp, &none), SMTP_E_SECRET);
        assert_int_equal(smtp_secret(&smtp, secret, NULL, 0), 0);
        smtp_taken(&smtp, smtp_output(&smtp).len);
        expect(&smtp, "235 in\r\n", SMTP_E_CLOSED);
        smtp_deinit(&smtp);
    }
}

/* ---- time ---- */

static void time_outs_are_those_of_rfc_5321_or_the_shorter_ones_asked_for(void **state)
{
    static const struct {
        enum smtp_stage stage;
        int64_t ms;
    } rows[] = {
        {SMTP_STAGE_MAIL, 300000}, {SMTP_STAGE_RCPT, 300000}, {SMTP_STAGE_DATA, 120000},
        {SMTP_STAGE_BODY, 180000}, {SMTP_STAGE_DOT, 600000},
    };
    struct smtp smtp;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bring_to(&smtp, rows[i].stage, true);
        assert_int_equal(smtp_timeout_ms(&smtp), rows[i].ms);
        smtp.timeout_ms_max = 7;
        assert_int_equal(smtp_timeout_ms(&smtp), 7);
        smtp_deinit(&smtp);
    }
    smtp_init(&smtp, &(struct smtp_options){.ehlo_name = "x", .timeout_ms_max = 9});
    assert_int_equal(smtp_timeout_ms(&smtp), 9);
    expect(&smtp, "220 hi\r\n", SMTP_E_MORE);
    expect(&smtp, "250 hi\r\n", SMTP_E_READY);
    assert_int_equal(smtp_timeout_ms(&smtp), -1);
    smtp_deinit(&smtp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues_come_out_the_same_in_every_cut),
        cmocka_unit_test(only_behind_the_dot_is_anything_unknown),
        cmocka_unit_test(a_released_dot_that_was_not_taken_was_not_sent),
        cmocka_unit_test(a_reply_while_the_dot_is_held_ends_it_unsent),
        cmocka_unit_test(half_a_reply_before_the_question_ends_the_session),
        cmocka_unit_test(after_the_end_everything_is_thrown_away),
        cmocka_unit_test(a_body_that_could_smuggle_is_refused),
        cmocka_unit_test(a_body_above_the_limit_is_refused),
        cmocka_unit_test(every_body_arrives_as_it_was_and_none_ends_before_its_dot),
        cmocka_unit_test(secrets_are_wiped_when_taken),
        cmocka_unit_test(secrets_that_would_change_the_message_are_refused),
        cmocka_unit_test(user_names_cannot_inject),
        cmocka_unit_test(the_challenge_of_a_refused_token_is_kept),
        cmocka_unit_test(a_long_token_goes_behind_its_command),
        cmocka_unit_test(time_outs_are_those_of_rfc_5321_or_the_shorter_ones_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
