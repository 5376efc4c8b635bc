/*
 * Access tokens from an authorization server on loopback: the client over libcurl, and what the
 * node keeps of its answers, over a real journal.
 */
#include "common/sys/clock.h"
#include "node/io/oauth.h"
#include "node/tokens.h"
#include "tests/lib/testcert.h"
#include "tests/lib/tokenserver.h"
#include "tests/unit/node_fixture.h"

#include <errno.h>

#define CLIENT "11111111-2222-3333-4444-555555555555"
#define ADA "ada@a.test"

struct fx {
    struct nfx *nfx;
    char certs[64];
    struct tokenserver *server;
    struct oauth_client *client;
    struct seal_key kek;
    struct members *members;
    struct tokens *tokens;
    char authority[64];
    struct grant_settings settings;
    unsigned news;
    enum flz_reason reason;
    char text[FLZ_REPLY_TEXT_MAX];
    bool watches;           /* the news must find … */
    struct flz_buf durable; /* … another sealed secret than this one on the disk */
};

static int copy_value(struct flz_view key, struct flz_view value, void *data)
{
    flz_buf_reset(data);
    flz_buf_add_view(data, value);
    return 0;
}

/* The sealed secret as a restart would find it, gathered writes left out. */
static void read_durable(struct fx *fx, struct flz_buf *buf)
{
    assert_int_equal(journal_each(fx->nfx->journal, JOURNAL_SECRETS, copy_value, buf), 0);
}

static void on_news(struct member *member, enum flz_reason reason, const char *text, void *data)
{
    struct fx *fx = data;
    fx->news++;
    fx->reason = reason;
    (void)snprintf(fx->text, sizeof fx->text, "%s", text);
    if (fx->watches) {
        struct flz_buf now = FLZ_BUF_NULL;
        read_durable(fx, &now);
        assert_false(flz_view_equal(flz_buf_view(&now), flz_buf_view(&fx->durable)));
        flz_buf_deinit(&now);
    }
}

static void open_members(struct fx *fx)
{
    struct flz_msg msg;
    struct tokens_parts parts = {
        .client = fx->client, .settings = &fx->settings, .on_news = on_news, .data = fx};
    if (members_open(fx->nfx->journal, &fx->kek, (struct flz_id){.b = {9}}, &fx->members, &msg) < 0)
        fail_msg("%s", msg.text);
    parts.members = fx->members;
    assert_int_equal(tokens_new(&parts, &fx->tokens), 0);
}

static void close_members(struct fx *fx)
{
    fx->tokens = tokens_free(fx->tokens);
    fx->members = members_free(fx->members);
}

static int setup(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    if (!fx || nfx_setup((void **)&fx->nfx) < 0 || seal_key_generate(&fx->kek) < 0)
        return -1;
    testcert_make(fx->certs);
    fx->server = tokenserver_start(testcert_path(fx->certs, TESTCERT_GOOD));
    tokenserver_person(fx->server, ADA, 3600);
    (void)snprintf(fx->authority, sizeof fx->authority, "https://127.0.0.1:%u",
                   tokenserver_port(fx->server));
    fx->settings = (struct grant_settings){
        .client_id = CLIENT, .tenant = "organizations", .authority = fx->authority};
    if (oauth_client_new(&fx->nfx->loop, testcert_path(fx->certs, TESTCERT_CA), 2000, &fx->client) <
        0)
        return -1;
    open_members(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    close_members(fx);
    fx->client = oauth_client_free(fx->client);
    seal_key_deinit(&fx->kek);
    (void)nfx_teardown((void **)&fx->nfx);
    fx->server = tokenserver_stop(fx->server);
    testcert_remove(fx->certs);
    free(fx);
    return 0;
}

#define RUN_UNTIL(fx, ms, condition)                                                               \
    do {                                                                                           \
        int64_t until_ = flz_boottime_ms() + (ms);                                                 \
        while (!(condition) && flz_boottime_ms() < until_) {                                       \
            (void)uv_run(&(fx)->nfx->loop, UV_RUN_NOWAIT);                                         \
            (void)usleep(1000);                                                                    \
        }                                                                                          \
        if (!(condition))                                                                          \
            fail_msg("%s:%d: not within %d ms: %s", __FILE__, __LINE__, (int)(ms), #condition);    \
    } while (0)

/* ---- The client ---- */

struct got {
    unsigned count;
    int status;
    int64_t retry_after_ms;
    size_t len;
    char text[256];
};

static void on_answer(const struct oauth_answer *answer, void *data)
{
    struct got *got = data;
    got->count++;
    got->status = answer->status;
    got->retry_after_ms = answer->retry_after_ms;
    got->len = answer->body.len;
    (void)snprintf(got->text, sizeof got->text, "%s", answer->text);
}

static int post(struct fx *fx, const char *url, struct got *got, struct oauth_call **ret_call)
{
    struct flz_secret form;
    assert_int_equal(flz_secret_copy(flz_view_str("client_id=" CLIENT "&grant_type=x"), &form), 0);
    *got = (struct got){.count = 0};
    int r = oauth_post(fx->client, url, &form, on_answer, got, ret_call);
    assert_null(form.data); /* taken over, whatever happened */
    return r;
}

static struct got ask(struct fx *fx, struct tokenserver_faults faults)
{
    struct got got;
    struct oauth_call *call;
    char url[GRANT_URL_MAX];
    tokenserver_faults(fx->server, faults);
    assert_int_equal(grant_endpoint(&fx->settings, "token", url), 0);
    assert_int_equal(post(fx, url, &got, &call), 0);
    assert_int_equal(got.count, 0); /* never from inside the call */
    RUN_UNTIL(fx, 5000, got.count > 0);
    assert_int_equal(got.count, 1);
    return got;
}

static void answers_come_whole_or_not_at_all(void **state)
{
    struct fx *fx = *state;
    struct got got = ask(fx, (struct tokenserver_faults){.times = 0});
    assert_int_equal(got.status, 400);
    assert_true(got.len > 10);
    got = ask(
        fx, (struct tokenserver_faults){.times = 1, .status = 429, .header = "Retry-After: 7\r\n"});
    assert_int_equal(got.status, 429);
    assert_int_equal(got.retry_after_ms, 7000);
    got = ask(fx, (struct tokenserver_faults){.times = 1, .huge = OAUTH_ANSWER_MAX});
    assert_int_equal(got.len, OAUTH_ANSWER_MAX);
    got = ask(fx, (struct tokenserver_faults){.times = 1, .huge = OAUTH_ANSWER_MAX + 1});
    assert_int_equal(got.status, 0);
    assert_non_null(strstr(got.text, "larger"));
    got = ask(fx, (struct tokenserver_faults){.times = 1, .drop = true});
    assert_int_equal(got.status, 0);
    assert_true(got.text[0] != '\0');
    int64_t before = flz_boottime_ms();
    got = ask(fx, (struct tokenserver_faults){.times = 1, .hang = true});
    assert_int_equal(got.status, 0);
    assert_true(flz_boottime_ms() - before < 4000);
}

static void redirect_is_not_followed(void **state)
{
    struct fx *fx = *state;
    char header[160];
    (void)snprintf(header, sizeof header, "Location: %s/elsewhere\r\n", fx->authority);
    struct got got =
        ask(fx, (struct tokenserver_faults){.times = 1, .status = 302, .header = header});
    assert_int_equal(got.status, 302);
    assert_int_equal(tokenserver_counts(fx->server).requests, 1);
}

static void only_https_with_a_trusted_name_is_spoken_to(void **state)
{
    struct fx *fx = *state;
    struct got got;
    struct oauth_call *call;
    char url[128];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/token", tokenserver_port(fx->server));
    assert_int_equal(post(fx, url, &got, &call), -EINVAL);
    static const char *const certs[] = {TESTCERT_EXPIRED, TESTCERT_WRONG_HOST, TESTCERT_FOREIGN,
                                        TESTCERT_SELF};
    for (size_t i = 0; i < 4; i++) {
        struct tokenserver *bad = tokenserver_start(testcert_path(fx->certs, certs[i]));
        (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/token", tokenserver_port(bad));
        assert_int_equal(post(fx, url, &got, &call), 0);
        RUN_UNTIL(fx, 5000, got.count == 1);
        assert_int_equal(got.status, 0);
        assert_int_equal(tokenserver_counts(bad).requests, 0); /* the form never left */
        (void)tokenserver_stop(bad);
    }
}

static unsigned answered(const struct got *got, size_t n)
{
    unsigned count = 0;
    for (size_t i = 0; i < n; i++)
        count += got[i].count;
    return count;
}

static void many_wait_for_their_turn_and_some_are_cancelled(void **state)
{
    enum { ALL = 3 * OAUTH_RUNNING_MAX };
    struct fx *fx = *state;
    struct got got[ALL];
    struct oauth_call *calls[ALL];
    bool cancelled[ALL] = {false};
    unsigned cancels = 0;
    char url[GRANT_URL_MAX];
    assert_int_equal(grant_endpoint(&fx->settings, "token", url), 0);
    tokenserver_faults(fx->server, (struct tokenserver_faults){.times = 100, .slow_ms = 300});
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(post(fx, url, &got[i], &calls[i]), 0);
    for (int i = 0; i < 5; i++)
        (void)uv_run(&fx->nfx->loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < ALL; i += 2)
        if (got[i].count == 0) { /* of those that run, and of those that wait */
            calls[i] = oauth_cancel(calls[i]);
            cancelled[i] = true;
            cancels++;
        }
    assert_true(cancels > OAUTH_RUNNING_MAX);
    RUN_UNTIL(fx, 10000, answered(got, ALL) == ALL - cancels);
    for (int i = 0; i < 100; i++)
        (void)uv_run(&fx->nfx->loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(got[i].count, !cancelled[i]);
}

/* ---- The tokens ---- */

static struct member *add(struct fx *fx, const char *address, uint8_t id)
{
    struct nfx_answer answer = {.count = 0};
    struct flz_address parsed;
    struct journal_member record = {.version = JOURNAL_VERSION,
                                    .login = MEMBER_LOGIN_TOKEN,
                                    .smtp_url = "smtps://127.0.0.1:465",
                                    .imap_url = "imaps://127.0.0.1:993",
                                    .needs_auth = "nobody has signed in yet",
                                    .account = {.id = {.b = {id}}, .zone = "Etc/UTC"}};
    (void)snprintf(record.account.address, sizeof record.account.address, "%s", address);
    (void)snprintf(record.user, sizeof record.user, "%s", address);
    assert_int_equal(members_put(fx->members, &record, NULL, nfx_on_durable, &answer), 0);
    RUN_UNTIL(fx, 5000, answer.count == 1);
    assert_int_equal(flz_address_parse(address, &parsed), 0);
    return members_find_address(fx->members, &parsed);
}

/* Signs in by a device, of which the server thinks what it likes. */
static struct member *sign_in(struct fx *fx, int ttl_s)
{
    struct member *member = add(fx, ADA, 1);
    struct nfx_answer answer = {.count = 0};
    struct grant grant = {.class = GRANT_OK, .expires_in_s = 1};
    char redirect[TOKENSERVER_ADDRESS_MAX], url[GRANT_URL_MAX];
    struct grant_browser browser;
    struct flz_msg msg;
    struct flz_secret code, form;
    tokenserver_person(fx->server, ADA, ttl_s);
    assert_int_equal(grant_browser_init(1, &browser), 0);
    assert_int_equal(grant_authorize_url(&fx->settings, &browser, ADA, url), 0);
    assert_true(tokenserver_browse(fx->server, url, false, redirect));
    assert_int_equal(grant_redirect_read(&browser, redirect, &code, &msg), 0);
    assert_int_equal(grant_code_form(&fx->settings, &browser, &code, &form), 0);
    struct got got = {.count = 0};
    struct oauth_call *call;
    assert_int_equal(grant_endpoint(&fx->settings, "token", url), 0);
    assert_int_equal(oauth_post(fx->client, url, &form, on_answer, &got, &call), 0);
    RUN_UNTIL(fx, 5000, got.count == 1);
    assert_int_equal(got.status, 200);
    grant_browser_deinit(&browser);
    flz_secret_deinit(&code);
    assert_int_equal(flz_secret_copy(flz_view_str("at.first"), &grant.access), 0);
    assert_int_equal(flz_secret_copy(flz_view_str(tokenserver_refresh(fx->server)), &grant.refresh),
                     0);
    assert_int_equal(tokens_signed_in(fx->tokens, member, &grant, flz_boottime_ms() - 1000,
                                      nfx_on_durable, &answer),
                     0);
    grant_deinit(&grant);
    RUN_UNTIL(fx, 5000, answer.count == 1);
    assert_int_equal(answer.r, 0);
    assert_string_equal(member->record.needs_auth, "");
    fx->news = 0;
    return member;
}

static char *token_text(struct fx *fx, struct member *member)
{
    static char text[4096];
    struct flz_secret secret;
    assert_int_equal(tokens_get(fx->tokens, member, &secret), 0);
    assert_true(secret.len < sizeof text);
    memcpy(text, secret.data, secret.len);
    text[secret.len] = '\0';
    flz_secret_deinit(&secret);
    return text;
}

static void fetch(struct fx *fx, struct member *member)
{
    fx->news = 0;
    assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_WAIT);
    RUN_UNTIL(fx, 5000, fx->news > 0);
    assert_int_equal(fx->news, 1);
}

static void expect_stored(struct fx *fx, struct member *member, const char *want)
{
    struct flz_secret secret;
    assert_int_equal(members_secret(fx->members, member->record.account.id, &secret), 0);
    assert_int_equal(secret.len, strlen(want));
    assert_memory_equal(secret.data, want, secret.len);
    flz_secret_deinit(&secret);
}

static void wanted_token_is_fetched_once_and_kept(void **state)
{
    struct fx *fx = *state;
    struct flz_secret secret;
    struct member *member = sign_in(fx, 3600);
    assert_int_equal(tokens_get(fx->tokens, member, &secret), -EAGAIN); /* its second has passed */
    assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_WAIT);
    for (int i = 0; i < 10; i++) /* T1 */
        assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_WAIT);
    RUN_UNTIL(fx, 5000, fx->news > 0);
    assert_int_equal(fx->reason, FLZ_REASON_NONE);
    assert_int_equal(tokens_want(fx->tokens, member), 0);
    assert_true(tokenserver_is_good(fx->server, ADA, token_text(fx, member)));
    assert_int_equal(tokenserver_counts(fx->server).refreshes, 1);
    assert_int_equal(tokenserver_counts(fx->server).unsound, 0);
    expect_stored(fx, member, tokenserver_refresh(fx->server));
    assert_true(member->record.token_at > 0);
    assert_int_equal(tokens_stats_of(fx->tokens).refreshed, 1);
}

static void token_runs_out_before_its_end(void **state)
{
    struct fx *fx = *state;
    struct member *member = sign_in(fx, 2);
    fetch(fx, member);
    int64_t got = flz_boottime_ms();
    assert_int_equal(tokens_want(fx->tokens, member), 0);
    char first[4096];
    (void)snprintf(first, sizeof first, "%s", token_text(fx, member));
    RUN_UNTIL(fx, 3000, tokens_want(fx->tokens, member) == TOKENS_E_WAIT);
    int64_t kept = flz_boottime_ms() - got; /* T3: a second of its two, or somewhat less */
    assert_true(kept < 1900);
    assert_true(tokenserver_is_good(fx->server, ADA, first));
    RUN_UNTIL(fx, 5000, tokens_want(fx->tokens, member) == 0);
    assert_string_not_equal(first, token_text(fx, member));
    assert_int_equal(tokenserver_counts(fx->server).replayed, 0);
}

static void refused_token_is_used_no_more(void **state)
{
    struct fx *fx = *state;
    struct flz_secret secret;
    struct member *member = sign_in(fx, 3600);
    fetch(fx, member);
    tokens_refused(fx->tokens, member);
    assert_int_equal(tokens_get(fx->tokens, member, &secret), -EAGAIN);
    fetch(fx, member);
    assert_int_equal(tokenserver_counts(fx->server).refreshes, 2);
}

static void server_that_keeps_its_refresh_token_is_good_as_well(void **state)
{
    struct fx *fx = *state;
    struct member *member = sign_in(fx, 3600);
    tokenserver_rotates(fx->server, false);
    for (int i = 0; i < 3; i++) {
        fetch(fx, member);
        assert_int_equal(fx->reason, FLZ_REASON_NONE);
        tokens_refused(fx->tokens, member);
    }
    expect_stored(fx, member, tokenserver_refresh(fx->server));
}

/* T2: what the server has replaced is on the disk before the new access token is given out. */
static void replaced_refresh_token_is_durable_before_use(void **state)
{
    struct fx *fx = *state;
    struct member *member = sign_in(fx, 3600);
    read_durable(fx, &fx->durable);
    assert_true(fx->durable.len > 0);
    fx->watches = true;
    fetch(fx, member);
    fx->watches = false;
    flz_buf_deinit(&fx->durable);
    /* What a restart finds is the one that the server knows. */
    struct flz_id id = member->record.account.id;
    close_members(fx);
    nfx_close(fx->nfx);
    nfx_open(fx->nfx);
    open_members(fx);
    member = members_find(fx->members, id);
    assert_non_null(member);
    fetch(fx, member);
    assert_int_equal(fx->reason, FLZ_REASON_NONE);
    assert_int_equal(tokenserver_counts(fx->server).replayed, 0);
}

static void expelled_account_needs_a_person_and_asks_no_more(void **state)
{
    struct fx *fx = *state;
    struct member *member = sign_in(fx, 3600);
    tokenserver_expel(fx->server);
    fetch(fx, member);
    assert_int_equal(fx->reason, FLZ_REASON_LOGIN);
    assert_non_null(strstr(fx->text, "AADSTS700082"));
    assert_int_equal(tokens_stats_of(fx->tokens).refused, 1);
    unsigned requests = tokenserver_counts(fx->server).requests;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_NEEDS_AUTH);
        (void)uv_run(&fx->nfx->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(tokenserver_counts(fx->server).requests, requests);
    /* And it stays so. */
    nfx_sync(fx->nfx);
    struct flz_id id = member->record.account.id;
    close_members(fx);
    nfx_close(fx->nfx);
    nfx_open(fx->nfx);
    open_members(fx);
    member = members_find(fx->members, id);
    assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_NEEDS_AUTH);
    assert_non_null(strstr(member->record.needs_auth, "AADSTS700082"));
}

static void failing_server_is_left_alone_for_a_while(void **state)
{
    static const struct tokenserver_faults faults[] = {
        {.times = 1, .status = 503},
        {.times = 1, .status = 429, .header = "Retry-After: 60\r\n"},
        {.times = 1, .status = 200, .body = "<html>down for maintenance</html>"},
        {.times = 1, .status = 400, .body = "{\"error\":\"temporarily_unavailable\"}"},
        {.times = 1, .status = 302, .header = "Location: https://evil.test/\r\n"},
        {.times = 1, .huge = 1000000},
        {.times = 1, .drop = true},
        {.times = 1, .status = 401, .body = "{\"error\":\"invalid_client\"}"},
    };
    struct fx *fx = *state;
    struct member *member = sign_in(fx, 3600);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        tokenserver_faults(fx->server, faults[i]);
        fetch(fx, member);
        if (fx->reason == FLZ_REASON_NONE || !fx->text[0])
            fail_msg("fault %zu: reason %u \"%s\"", i, fx->reason, fx->text);
        assert_string_equal(member->record.needs_auth, ""); /* it is not the account's fault */
        assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_LATER);
        /* A new start forgets the wait; nothing was lost by the failure. */
        tokens_forget(fx->tokens, member);
    }
    assert_int_equal(tokens_stats_of(fx->tokens).failed, sizeof faults / sizeof *faults);
    fetch(fx, member);
    assert_int_equal(fx->reason, FLZ_REASON_NONE);
    assert_int_equal(tokenserver_counts(fx->server).replayed, 0);
}

/* T4 */
static void sign_in_outlives_what_was_asked_before(void **state)
{
    struct fx *fx = *state;
    struct nfx_answer answer = {.count = 0};
    struct member *member = sign_in(fx, 3600);
    tokenserver_faults(fx->server, (struct tokenserver_faults){.times = 1, .slow_ms = 300});
    assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_WAIT);
    for (int i = 0; i < 50; i++) {
        (void)uv_run(&fx->nfx->loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
    struct grant grant = {.class = GRANT_OK, .expires_in_s = 3600};
    assert_int_equal(flz_secret_copy(flz_view_str("at.new"), &grant.access), 0);
    assert_int_equal(flz_secret_copy(flz_view_str("rt.new"), &grant.refresh), 0);
    assert_int_equal(
        tokens_signed_in(fx->tokens, member, &grant, flz_boottime_ms(), nfx_on_durable, &answer),
        0);
    grant_deinit(&grant);
    RUN_UNTIL(fx, 5000, answer.count == 1);
    for (int i = 0; i < 500; i++) {
        (void)uv_run(&fx->nfx->loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
    expect_stored(fx, member, "rt.new");
    assert_string_equal(token_text(fx, member), "at.new");
}

static void removed_account_leaves_no_token(void **state)
{
    struct fx *fx = *state;
    struct member *member = sign_in(fx, 3600);
    struct flz_id id = member->record.account.id;
    struct flz_secret secret;
    assert_int_equal(tokens_want(fx->tokens, member), TOKENS_E_WAIT);
    tokens_forget(fx->tokens, member);
    assert_int_equal(members_remove(fx->members, id), 0);
    nfx_sync(fx->nfx);
    for (int i = 0; i < 200; i++) {
        (void)uv_run(&fx->nfx->loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
    assert_int_equal(fx->news, 0);
    assert_int_equal(members_secret(fx->members, id, &secret), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(answers_come_whole_or_not_at_all),
        TEST(redirect_is_not_followed),
        TEST(only_https_with_a_trusted_name_is_spoken_to),
        TEST(many_wait_for_their_turn_and_some_are_cancelled),
        TEST(wanted_token_is_fetched_once_and_kept),
        TEST(token_runs_out_before_its_end),
        TEST(refused_token_is_used_no_more),
        TEST(server_that_keeps_its_refresh_token_is_good_as_well),
        TEST(replaced_refresh_token_is_durable_before_use),
        TEST(expelled_account_needs_a_person_and_asks_no_more),
        TEST(failing_server_is_left_alone_for_a_while),
        TEST(sign_in_outlives_what_was_asked_before),
        TEST(removed_account_leaves_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
