#include "node/grant.h"

#include "common/base/buf.h"
#include "common/base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "11111111-2222-3333-4444-555555555555"
#define AUTHORITY "https://login.microsoftonline.com"

static const struct grant_settings good = {
    .client_id = CLIENT, .tenant = "organizations", .authority = AUTHORITY};

static struct oauth_answer answer_of(int status, const char *body)
{
    return (struct oauth_answer){.status = status, .body = flz_view_str(body), .text = ""};
}

static struct grant read_answer(int status, const char *body)
{
    struct grant grant;
    struct oauth_answer answer = answer_of(status, body);
    grant_read(&answer, &grant);
    return grant;
}

static void settings_are_checked(void **state)
{
    static const struct {
        struct grant_settings settings;
        const char *words; /* NULL: good */
    } cases[] = {
        {{"", "organizations", AUTHORITY}, NULL},
        {{CLIENT, "common", AUTHORITY}, NULL},
        {{CLIENT, "contoso.onmicrosoft.com", AUTHORITY}, NULL},
        {{CLIENT, CLIENT, "https://127.0.0.1:14443"}, NULL},
        {{CLIENT, "consumers", "https://localhost"}, NULL},
        {{"my app", "common", AUTHORITY}, "client_id"},
        {{CLIENT "0", "common", AUTHORITY}, "client_id"},
        {{CLIENT, "", AUTHORITY}, "tenant"},
        {{CLIENT, "contoso", AUTHORITY}, "tenant"},
        {{CLIENT, "contoso.com/x", AUTHORITY}, "tenant"},
        {{CLIENT, "common", "http://127.0.0.1:14443"}, "authority"},
        {{CLIENT, "common", "https://127.0.0.1:14443/x"}, "authority"},
        {{CLIENT, "common", "https://127.0.0.1.evil.test"}, "authority"},
        {{CLIENT, "common", "https://localhost@evil.test"}, "authority"},
        {{CLIENT, "common", "https://login.evil.test"}, "authority"},
        {{CLIENT, "common", AUTHORITY "/"}, "authority"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct flz_msg msg = FLZ_MSG_NULL;
        int r = grant_settings_check(&cases[i].settings, &msg);
        if (r != (cases[i].words ? -EINVAL : 0) ||
            (cases[i].words && !strstr(msg.text, cases[i].words)))
            fail_msg("case %zu: %d %s", i, r, msg.text);
    }
}

static void good_answer_gives_tokens_scopes_and_names(void **state)
{
    char body[1024];
    struct flz_buf claims = FLZ_BUF_NULL;
    flz_base64url_encode(
        flz_view_str("{\"preferred_username\":\"Ada@A.test\",\"email\":\"a@b.test\"}"), &claims);
    (void)snprintf(body, sizeof body,
                   "{\"access_token\":\"at\",\"refresh_token\":\"rt\",\"expires_in\":3599,"
                   "\"scope\":\"https://outlook.office365.com/IMAP.AccessAsUser.All "
                   "https://outlook.office365.com/SMTP.Send openid\",\"id_token\":\"h.%s.s\"}",
                   flz_buf_str(&claims));
    flz_buf_deinit(&claims);
    struct grant grant = read_answer(200, body);
    assert_int_equal(grant.class, GRANT_OK);
    assert_memory_equal(grant.access.data, "at", 2);
    assert_memory_equal(grant.refresh.data, "rt", 2);
    assert_int_equal(grant.expires_in_s, 3599);
    assert_true(grant.scoped && grant.may_imap && grant.may_smtp);
    assert_string_equal(grant.names[0], "Ada@A.test");
    assert_string_equal(grant.names[1], "a@b.test");
    grant_deinit(&grant);
}

static void what_is_left_out_is_not_made_up(void **state)
{
    struct grant grant = read_answer(200, "{\"access_token\":\"at\",\"expires_in\":\"60\"}");
    assert_int_equal(grant.class, GRANT_OK);
    assert_null(grant.refresh.data);
    assert_int_equal(grant.expires_in_s, 60);
    assert_false(grant.scoped);
    assert_string_equal(grant.names[0], "");
    grant_deinit(&grant);
    grant = read_answer(200, "{\"access_token\":\"at\",\"scope\":\"x/XIMAP.AccessAsUser.All "
                             "y/SMTP.Send.Not\",\"expires_in\":-5,\"id_token\":\"a.b\"}");
    assert_true(grant.scoped && !grant.may_imap && !grant.may_smtp);
    assert_int_equal(grant.expires_in_s, 1);
    grant_deinit(&grant);
}

static void each_refusal_has_its_class_and_advice(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum grant_class class;
        const char *words;
    } cases[] = {
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS700082: gone\"}",
         GRANT_NEEDS_AUTH, "unused for 90 days"},
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS53003: no\"}",
         GRANT_NEEDS_AUTH, "Conditional Access"},
        {400, "{\"error\":\"interaction_required\",\"error_description\":\"AADSTS50076: mfa\"}",
         GRANT_NEEDS_AUTH, "second factor"},
        {400, "{\"error\":\"consent_required\"}", GRANT_NEEDS_AUTH, "consent"},
        {400, "{\"error\":\"access_denied\"}", GRANT_NEEDS_AUTH, "declined"},
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000218: x\"}",
         GRANT_MISCONFIGURED, "public client"},
        {400, "{\"error\":\"unauthorized_client\",\"error_description\":\"AADSTS700016: x\"}",
         GRANT_MISCONFIGURED, "client_id"},
        {400, "{\"error\":\"authorization_pending\"}", GRANT_PENDING, "waiting"},
        {400, "{\"error\":\"slow_down\"}", GRANT_SLOW_DOWN, "waiting"},
        {400, "{\"error\":\"temporarily_unavailable\"}", GRANT_TEMPORARY, "busy"},
        {400, "{\"error\":\"something_new\"}", GRANT_TEMPORARY, "nobody understands"},
        {503, "{\"error\":\"invalid_grant\"}", GRANT_TEMPORARY, "503"},
        {429, "", GRANT_TEMPORARY, "429"},
        {302, "", GRANT_TEMPORARY, "302"},
        {200, "", GRANT_TEMPORARY, "nobody understands"},
        {200, "<html>", GRANT_TEMPORARY, "nobody understands"},
        {200, "[]", GRANT_TEMPORARY, "nobody understands"},
        {200, "{}", GRANT_TEMPORARY, "no usable token"},
        {200, "{\"access_token\":7}", GRANT_TEMPORARY, "no usable token"},
        {200, "{\"access_token\":\"a\\r\\nb\"}", GRANT_TEMPORARY, "no usable token"},
        {200, "{\"access_token\":\"a\",\"access_token\":\"b\"}", GRANT_TEMPORARY, "nobody"},
        {200, "{\"error\":\"x\",\"access_token\":\"a\"}", GRANT_TEMPORARY, "nobody"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grant grant = read_answer(cases[i].status, cases[i].body);
        if (grant.class != cases[i].class || !strstr(grant.text, cases[i].words) ||
            grant.access.data || grant.refresh.data)
            fail_msg("case %zu: %s, \"%s\"", i, grant_class_str(grant.class), grant.text);
    }
}

static void words_of_an_unknown_refusal_name_nobody(void **state)
{
    struct grant grant =
        read_answer(400, "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS999999: User "
                         "ada@a.test is odd.\\r\\nTrace ID: 1 \\u001b[2J\"}");
    assert_int_equal(grant.class, GRANT_NEEDS_AUTH);
    assert_non_null(strstr(grant.text, "AADSTS999999: User (address) is odd."));
    assert_null(strstr(grant.text, "ada@"));
    assert_null(strstr(grant.text, "Trace"));
}

static void no_answer_is_told_from_a_refusal(void **state)
{
    struct grant grant;
    struct oauth_answer none = {.text = "Could not resolve host"};
    grant_read(&none, &grant);
    assert_int_equal(grant.class, GRANT_NETWORK);
    assert_non_null(strstr(grant.text, "resolve"));
    struct oauth_answer busy = answer_of(429, "");
    busy.retry_after_ms = 7000;
    grant_read(&busy, &grant);
    assert_int_equal(grant.retry_after_ms, 7000);
}

static void device_answer_is_read_or_refused(void **state)
{
    struct grant_device device;
    char text[FLZ_REPLY_TEXT_MAX];
    struct oauth_answer answer =
        answer_of(200, "{\"device_code\":\"dc\",\"user_code\":\"AB-CD\",\"expires_in\":900,"
                       "\"verification_uri\":\"https://microsoft.com/devicelogin\"}");
    assert_int_equal(grant_device_read(&answer, &device, text), GRANT_OK);
    assert_string_equal(device.user_code, "AB-CD");
    assert_string_equal(device.url, "https://microsoft.com/devicelogin");
    assert_int_equal(device.interval_s, 5);
    grant_device_deinit(&device);
    /* What would move a terminal's cursor is no code. */
    answer =
        answer_of(200, "{\"device_code\":\"dc\",\"user_code\":\"A\\u001b[2J\",\"expires_in\":9,"
                       "\"verification_uri\":\"https://x.test\"}");
    assert_int_equal(grant_device_read(&answer, &device, text), GRANT_TEMPORARY);
    answer = answer_of(400, "{\"error\":\"invalid_client\",\"error_description\":"
                            "\"AADSTS7000218: x\"}");
    assert_int_equal(grant_device_read(&answer, &device, text), GRANT_MISCONFIGURED);
    assert_non_null(strstr(text, "public client"));
}

static void forms_spell_every_octet(void **state)
{
    struct flz_secret refresh, form;
    assert_int_equal(flz_secret_copy(flz_view_str("a&b=c+d/é~"), &refresh), 0);
    assert_int_equal(grant_refresh_form(&good, &refresh, &form), 0);
    char text[1024] = "";
    assert_true(form.len < sizeof text);
    memcpy(text, form.data, form.len);
    assert_non_null(
        strstr(text, "client_id=" CLIENT "&grant_type=refresh_token&scope=https%3A%2F"));
    assert_non_null(strstr(text, "&refresh_token=a%26b%3Dc%2Bd%2F%C3%A9~"));
    flz_secret_deinit(&form);
    flz_secret_deinit(&refresh);
}

static void longest_refresh_token_has_its_form(void **state)
{
    struct flz_secret refresh, form = FLZ_SECRET_NULL;
    assert_int_equal(flz_secret_new(15000, &refresh), 0);
    memset(refresh.data, '+', refresh.len);
    assert_int_equal(grant_refresh_form(&good, &refresh, &form), 0);
    flz_secret_deinit(&form);
    flz_secret_deinit(&refresh);
    assert_int_equal(flz_secret_new(60000, &refresh), 0);
    memset(refresh.data, '+', refresh.len);
    assert_int_equal(grant_refresh_form(&good, &refresh, &form), -EMSGSIZE);
    flz_secret_deinit(&refresh);
}

static void redirect_is_taken_only_for_its_own_sign_in(void **state)
{
    struct grant_browser browser, other;
    char address[512], url[GRANT_URL_MAX];
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_secret code = FLZ_SECRET_NULL;
    assert_int_equal(grant_browser_init(4711, &browser), 0);
    assert_int_equal(grant_browser_init(4711, &other), 0);
    assert_string_not_equal(browser.state, other.state);
    assert_true(browser.verifier.len >= 43 && browser.verifier.len <= 128);
    assert_int_equal(grant_authorize_url(&good, &browser, "ada@a.test", url), 0);
    assert_non_null(strstr(url, "/organizations/oauth2/v2.0/authorize?"));
    assert_non_null(strstr(url, "redirect_uri=http%3A%2F%2Flocalhost%3A4711&"));
    assert_non_null(strstr(url, "login_hint=ada%40a.test"));
    char verifier[200] = "";
    memcpy(verifier, browser.verifier.data, browser.verifier.len);
    assert_null(strstr(url, verifier)); /* its digest leaves, never itself */

    (void)snprintf(address, sizeof address, "http://localhost:4711/?code=a%%2Fb&state=%s\n",
                   browser.state);
    assert_int_equal(grant_redirect_read(&other, address, &code, &msg), -EINVAL);
    assert_int_equal(grant_redirect_read(&browser, address, &code, &msg), 0);
    assert_int_equal(code.len, 3);
    assert_memory_equal(code.data, "a/b", 3);
    flz_secret_deinit(&code);

    (void)snprintf(address, sizeof address, "?state=%s", browser.state);
    assert_int_equal(grant_redirect_read(&browser, address, &code, &msg), -EINVAL);
    assert_int_equal(grant_redirect_read(&browser, "code=x", &code, &msg), -EINVAL);
    (void)snprintf(address, sizeof address,
                   "?error=access_denied&error_description=AADSTS65004%%3a+x&state=%s",
                   browser.state);
    assert_int_equal(grant_redirect_read(&browser, address, &code, &msg), -EINVAL);
    assert_non_null(strstr(msg.text, "declined"));
    grant_browser_deinit(&browser);
    grant_browser_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(good_answer_gives_tokens_scopes_and_names),
        cmocka_unit_test(what_is_left_out_is_not_made_up),
        cmocka_unit_test(each_refusal_has_its_class_and_advice),
        cmocka_unit_test(words_of_an_unknown_refusal_name_nobody),
        cmocka_unit_test(no_answer_is_told_from_a_refusal),
        cmocka_unit_test(device_answer_is_read_or_refused),
        cmocka_unit_test(forms_spell_every_octet),
        cmocka_unit_test(longest_refresh_token_has_its_form),
        cmocka_unit_test(redirect_is_taken_only_for_its_own_sign_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
