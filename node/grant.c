#include "node/grant.h"

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "node/grant_advice.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_MAX ((size_t)48 * 1024)
#define SCOPE_IMAP "https://outlook.office.com/IMAP.AccessAsUser.All"
#define SCOPE_SMTP "https://outlook.office.com/SMTP.Send"
/* One resource a request (AADSTS28000); the words of OpenID are of none. */
#define SCOPES SCOPE_IMAP " " SCOPE_SMTP " offline_access"
#define SCOPES_SIGN_IN SCOPES " openid profile email"
#define AUTHORITY "https://login.microsoftonline.com"
#define EXPIRES_S_DEFAULT 600
#define EXPIRES_S_MAX 86400
#define DEVICE_S_MAX 1800
#define INTERVAL_S_MAX 60
#define VERIFIER_BYTES 48 /* 64 characters: RFC 7636 4.1 asks for 43 to 128 */

/* ---- Settings ---- */

static bool is_word(const char *text, const char *more)
{
    for (const char *p = text; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr(more, *p)))
            return false;
    return *text && strlen(text) < GRANT_WORD_MAX;
}

static bool is_guid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
            return false;
    return true;
}

static bool is_tenant(const char *tenant)
{
    return strcmp(tenant, "common") == 0 || strcmp(tenant, "organizations") == 0 ||
           strcmp(tenant, "consumers") == 0 || is_guid(tenant) ||
           (is_word(tenant, ".-") && strchr(tenant, '.') && flz_domain_check(tenant) == 0);
}

/* Only a lab has an authorization server of its own. */
static bool is_authority(const char *authority)
{
    static const char *const loopback[] = {"https://127.0.0.1", "https://localhost",
                                           "https://[::1]"};
    if (strcmp(authority, AUTHORITY) == 0)
        return true;
    for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++) {
        size_t n = strlen(loopback[i]);
        uint64_t port;
        if (strncmp(authority, loopback[i], n) == 0 &&
            (authority[n] == '\0' ||
             (authority[n] == ':' && flz_parse_u64(authority + n + 1, 65535, &port) == 0)))
            return true;
    }
    return false;
}

int grant_settings_check(const struct grant_settings *settings, struct flz_msg *msg)
{
    if (settings->client_id[0] && !is_guid(settings->client_id)) {
        flz_msg_set(msg,
                    "oauth.microsoft.client_id: '%.60s' is not an application id; it is the "
                    "'Application (client) ID' of the app registration, like "
                    "11111111-2222-3333-4444-555555555555",
                    settings->client_id);
        return flz_fail(-EINVAL);
    }
    if (!is_tenant(settings->tenant)) {
        flz_msg_set(msg,
                    "oauth.microsoft.tenant: '%.60s' is no tenant; write the directory's id, one "
                    "of its domains, organizations, consumers or common",
                    settings->tenant);
        return flz_fail(-EINVAL);
    }
    if (!is_authority(settings->authority)) {
        flz_msg_set(msg,
                    "oauth.microsoft.authority: '%.80s' is neither " AUTHORITY " nor, for a lab, "
                    "an https address of this host's loopback",
                    settings->authority);
        return flz_fail(-EINVAL);
    }
    return 0;
}

/* ---- Forms ---- */

struct form {
    struct flz_secret bytes;
    size_t len;
    int error;
};

static void add_byte(struct form *form, char byte)
{
    if (form->len == form->bytes.len)
        form->error = form->error ? form->error : -EMSGSIZE;
    else
        form->bytes.data[form->len++] = (uint8_t)byte;
}

/* Unreserved characters (RFC 3986 2.3) stay; whatever else is spelt in hex. */
static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_encoded(struct form *form, struct flz_view value)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (is_unreserved(c)) {
            add_byte(form, (char)c);
            continue;
        }
        add_byte(form, '%');
        add_byte(form, hex[c >> 4]);
        add_byte(form, hex[c & 15]);
    }
}

static void add_field(struct form *form, const char *name, struct flz_view value)
{
    if (form->len > 0)
        add_byte(form, '&');
    for (const char *p = name; *p; p++)
        add_byte(form, *p);
    add_byte(form, '=');
    add_encoded(form, value);
}

static void form_begin(struct form *form, const struct grant_settings *settings)
{
    *form = (struct form){.len = 0};
    form->error = flz_secret_new(FORM_MAX, &form->bytes);
    if (form->error == 0)
        add_field(form, "client_id", flz_view_str(settings->client_id));
}

static int form_end(struct form *form, struct flz_secret *ret_form)
{
    if (form->error < 0) {
        flz_secret_deinit(&form->bytes);
        return flz_fail(form->error);
    }
    /* A copy of the right size: the arena is everyone's. */
    flz_secret_truncate(&form->bytes, form->len);
    int r = flz_secret_copy(flz_secret_view(&form->bytes), ret_form);
    flz_secret_deinit(&form->bytes);
    return r;
}

int grant_refresh_form(const struct grant_settings *settings, const struct flz_secret *refresh,
                       struct flz_secret *ret_form)
{
    struct form form;
    form_begin(&form, settings);
    add_field(&form, "grant_type", flz_view_str("refresh_token"));
    add_field(&form, "scope", flz_view_str(SCOPES));
    add_field(&form, "refresh_token", flz_secret_view(refresh));
    return form_end(&form, ret_form);
}

int grant_device_form(const struct grant_settings *settings, struct flz_secret *ret_form)
{
    struct form form;
    form_begin(&form, settings);
    add_field(&form, "scope", flz_view_str(SCOPES_SIGN_IN));
    return form_end(&form, ret_form);
}

int grant_poll_form(const struct grant_settings *settings, const struct flz_secret *device_code,
                    struct flz_secret *ret_form)
{
    struct form form;
    form_begin(&form, settings);
    add_field(&form, "grant_type", flz_view_str("urn:ietf:params:oauth:grant-type:device_code"));
    add_field(&form, "device_code", flz_secret_view(device_code));
    return form_end(&form, ret_form);
}

int grant_code_form(const struct grant_settings *settings, const struct grant_browser *browser,
                    const struct flz_secret *code, struct flz_secret *ret_form)
{
    struct form form;
    form_begin(&form, settings);
    add_field(&form, "grant_type", flz_view_str("authorization_code"));
    add_field(&form, "scope", flz_view_str(SCOPES_SIGN_IN));
    add_field(&form, "redirect_uri", flz_view_str(browser->redirect));
    add_field(&form, "code_verifier", flz_secret_view(&browser->verifier));
    add_field(&form, "code", flz_secret_view(code));
    return form_end(&form, ret_form);
}

/* ---- Addresses ---- */

int grant_endpoint(const struct grant_settings *settings, const char *name,
                   char ret_url[static GRANT_URL_MAX])
{
    int n = snprintf(ret_url, GRANT_URL_MAX, "%s/%s/oauth2/v2.0/%s", settings->authority,
                     settings->tenant, name);
    return n < GRANT_URL_MAX ? 0 : flz_fail(-ENAMETOOLONG);
}

static int random_word(size_t bytes, char *ret_word, size_t size)
{
    uint8_t raw[VERIFIER_BYTES];
    _cleanup_(flz_wipe_buf) struct flz_buf text = FLZ_BUF_NULL;
    randombytes_buf(raw, bytes);
    if (flz_buf_reserve(&text, 2 * bytes))
        flz_base64url_encode((struct flz_view){.data = raw, .len = bytes}, &text);
    sodium_memzero(raw, sizeof raw);
    int r = flz_buf_error(&text);
    return r < 0 ? r : flz_text_copy(ret_word, size, flz_buf_str(&text));
}

int grant_browser_init(uint16_t port, struct grant_browser *ret_browser)
{
    struct grant_browser browser = {.state = ""};
    char verifier[2 * VERIFIER_BYTES];
    (void)snprintf(browser.redirect, sizeof browser.redirect, "http://localhost:%u",
                   (unsigned)port);
    int r = random_word(32, browser.state, sizeof browser.state);
    if (r == 0)
        r = random_word(VERIFIER_BYTES, verifier, sizeof verifier);
    if (r == 0)
        r = flz_secret_copy(flz_view_str(verifier), &browser.verifier);
    sodium_memzero(verifier, sizeof verifier);
    if (r == 0)
        *ret_browser = browser;
    return r;
}

void grant_browser_deinit(struct grant_browser *browser)
{
    flz_secret_deinit(&browser->verifier);
    *browser = (struct grant_browser){.state = ""};
}

static void add_parameter(struct flz_buf *url, const char *name, const char *value)
{
    flz_buf_printf(url, "&%s=", name);
    for (const char *p = value; *p; p++)
        flz_buf_printf(url, is_unreserved((uint8_t)*p) ? "%c" : "%%%02X", (unsigned)(uint8_t)*p);
}

int grant_authorize_url(const struct grant_settings *settings, const struct grant_browser *browser,
                        const char *user, char ret_url[static GRANT_URL_MAX])
{
    _cleanup_(flz_buf_deinit) struct flz_buf url = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf challenge = FLZ_BUF_NULL;
    char endpoint[GRANT_URL_MAX];
    uint8_t digest[crypto_hash_sha256_BYTES];
    int r = grant_endpoint(settings, "authorize", endpoint);
    if (r < 0)
        return r;
    (void)crypto_hash_sha256(digest, browser->verifier.data, browser->verifier.len);
    flz_base64url_encode((struct flz_view){.data = digest, .len = sizeof digest}, &challenge);
    flz_buf_printf(&url, "%s?response_type=code&response_mode=query", endpoint);
    add_parameter(&url, "client_id", settings->client_id);
    add_parameter(&url, "redirect_uri", browser->redirect);
    add_parameter(&url, "scope", SCOPES_SIGN_IN);
    add_parameter(&url, "state", browser->state);
    add_parameter(&url, "code_challenge", flz_buf_str(&challenge));
    add_parameter(&url, "code_challenge_method", "S256");
    /* Whoever is signed in already in that browser is asked all the same. */
    add_parameter(&url, "prompt", "select_account");
    add_parameter(&url, "login_hint", user);
    r = flz_buf_error(&url);
    return r < 0 ? r : flz_text_copy(ret_url, GRANT_URL_MAX, flz_buf_str(&url));
}

static int hex_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, flz_ascii_lower(c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The decoded value of a parameter in a query. False: it is not there, malformed or too long. */
static bool query_value(const char *query, const char *name, char *ret_value, size_t size)
{
    size_t n = strlen(name), len = 0;
    const char *at = query;
    while (at && !(strncmp(at, name, n) == 0 && at[n] == '='))
        at = (at = strchr(at, '&')) ? at + 1 : NULL;
    if (!at)
        return false;
    for (at += n + 1; *at && *at != '&' && *at != '#' && (uint8_t)*at > ' '; at++) {
        int c = *at == '+' ? ' ' : (uint8_t)*at;
        if (c == '%') {
            int high = hex_of(at[1]), low = high < 0 ? -1 : hex_of(at[2]);
            if (low < 0)
                return false;
            c = high * 16 + low;
            at += 2;
        }
        if (c < ' ' || c == 0x7f || len + 1 >= size)
            return false;
        ret_value[len++] = (char)c;
    }
    ret_value[len] = '\0';
    return len > 0;
}

int grant_redirect_read(const struct grant_browser *browser, const char *address,
                        struct flz_secret *ret_code, struct flz_msg *msg)
{
    char state[GRANT_STATE_MAX] = "", error[64] = "", words[FLZ_REPLY_TEXT_MAX] = "";
    char code[GRANT_CODE_MAX];
    const char *mark = strchr(address, '?');
    const char *query = mark ? mark + 1 : address;
    bool ours = query_value(query, "state", state, sizeof state) &&
                strlen(state) == strlen(browser->state) &&
                sodium_memcmp(state, browser->state, strlen(state)) == 0;
    if (!ours) {
        flz_msg_set(msg, "this address is not the end of this sign-in: its state is another's. "
                         "Copy the whole address that the browser shows at the end");
        return flz_fail(-EINVAL);
    }
    if (query_value(query, "error", error, sizeof error)) {
        struct grant grant = GRANT_NULL;
        (void)query_value(query, "error_description", words, sizeof words);
        (void)grant_advice(error, words, grant.text);
        flz_msg_set(msg, "%s", grant.text);
        return flz_fail(-EINVAL);
    }
    if (!query_value(query, "code", code, sizeof code)) {
        flz_msg_set(msg, "this address carries no code; copy it whole");
        return flz_fail(-EINVAL);
    }
    int r = flz_secret_copy(flz_view_str(code), ret_code);
    sodium_memzero(code, sizeof code);
    return r;
}

/* ---- Answers ---- */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* Numbers; some servers write them as text. */
static int64_t number_of(const json_t *json, const char *key, int64_t fallback, int64_t max)
{
    const json_t *value = json_object_get(json, key);
    uint64_t number = 0;
    if (json_is_integer(value))
        number = json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
    else if (!json_is_string(value) ||
             flz_parse_u64(json_string_value(value), (uint64_t)max, &number) < 0)
        return fallback;
    return number == 0 ? 1 : number > (uint64_t)max ? max : (int64_t)number;
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

/* Refuses what no grammar of tokens allows (RFC 6749 A.12): it goes into protocol lines later. */
static int take_token(const char *text, struct flz_secret *ret_secret)
{
    for (const char *p = text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            return -EBADMSG;
    return flz_secret_copy(flz_view_str(text), ret_secret);
}

/* Scopes come back under other prefixes: only their last part is compared. */
static void take_scopes(const char *scopes, struct grant *grant)
{
    grant->scoped = scopes[0] != '\0';
    for (const char *at = scopes; *at;) {
        size_t len = strcspn(at, " "), start = len;
        while (start > 0 && at[start - 1] != '/')
            start--;
        size_t n = len - start;
        grant->may_imap |= n == 21 && strncasecmp(at + start, "IMAP.AccessAsUser.All", 21) == 0;
        grant->may_smtp |= n == 9 && strncasecmp(at + start, "SMTP.Send", 9) == 0;
        at += len;
        at += strspn(at, " ");
    }
}

/* The middle part of an id token. It came by TLS from the authorization server itself, which is
 * proof enough of where it is from (OpenID Connect Core 3.1.3.7, 6). */
static void take_names(const char *id_token, struct grant *grant)
{
    static const char *const claims[GRANT_NAMES_MAX] = {"preferred_username", "email", "upn"};
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    const char *first = strchr(id_token, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    if (!second || flz_base64url_decode((struct flz_view){.data = (const uint8_t *)first + 1,
                                                          .len = (size_t)(second - first - 1)},
                                        &text) < 0)
        return;
    _cleanup_(free_json) json_t *json =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    for (size_t i = 0; i < GRANT_NAMES_MAX; i++)
        (void)flz_text_copy(grant->names[i], sizeof grant->names[i], text_of(json, claims[i]));
}

static void set_class(struct grant *grant, enum grant_class class, const char *text)
{
    grant_deinit(grant);
    grant->class = class;
    (void)snprintf(grant->text, sizeof grant->text, "%s", text);
}

static void take_tokens(const json_t *json, struct grant *grant)
{
    const char *access = text_of(json, "access_token");
    int r = access[0] ? take_token(access, &grant->access) : -EBADMSG;
    if (r == 0 && text_of(json, "refresh_token")[0])
        r = take_token(text_of(json, "refresh_token"), &grant->refresh);
    if (r < 0) {
        set_class(grant, GRANT_TEMPORARY,
                  r == -ENOMEM ? "this host has no memory left for secrets"
                               : "the sign-in server's answer holds no usable token");
        return;
    }
    grant->expires_in_s = number_of(json, "expires_in", EXPIRES_S_DEFAULT, EXPIRES_S_MAX);
    take_scopes(text_of(json, "scope"), grant);
    take_names(text_of(json, "id_token"), grant);
}

static enum grant_class class_of(const struct oauth_answer *answer, const json_t *json,
                                 char text[static FLZ_REPLY_TEXT_MAX])
{
    const char *error = text_of(json, "error");
    if (answer->status == 0) {
        (void)snprintf(text, FLZ_REPLY_TEXT_MAX, "the sign-in server cannot be reached: %.160s",
                       answer->text);
        return GRANT_NETWORK;
    }
    if (answer->status == 429 || answer->status / 100 == 5) {
        (void)snprintf(text, FLZ_REPLY_TEXT_MAX, "the sign-in server is busy or failing (%d)",
                       answer->status);
        return GRANT_TEMPORARY;
    }
    if (answer->status / 100 == 4 && error[0])
        return grant_advice(error, text_of(json, "error_description"), text);
    if (answer->status / 100 == 2 && json_is_object(json) && !error[0])
        return GRANT_OK;
    (void)snprintf(text, FLZ_REPLY_TEXT_MAX, "the sign-in server says what nobody understands (%d)",
                   answer->status);
    return GRANT_TEMPORARY;
}

static json_t *load(const struct oauth_answer *answer)
{
    return answer->body.len == 0 ? NULL
                                 : json_loadb((const char *)answer->body.data, answer->body.len,
                                              JSON_REJECT_DUPLICATES, NULL);
}

void grant_read(const struct oauth_answer *answer, struct grant *ret_grant)
{
    _cleanup_(free_json) json_t *json = load(answer);
    *ret_grant = GRANT_NULL;
    ret_grant->class = class_of(answer, json, ret_grant->text);
    if (ret_grant->class == GRANT_OK)
        take_tokens(json, ret_grant);
    if (ret_grant->class == GRANT_TEMPORARY)
        ret_grant->retry_after_ms = answer->retry_after_ms;
}

void grant_deinit(struct grant *grant)
{
    flz_secret_deinit(&grant->access);
    flz_secret_deinit(&grant->refresh);
}

/* A word for a terminal: nothing that moves its cursor. */
static bool take_word(const char *text, char *field, size_t size)
{
    for (const char *p = text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return false;
    return *text && flz_text_copy(field, size, text) == 0;
}

enum grant_class grant_device_read(const struct oauth_answer *answer,
                                   struct grant_device *ret_device,
                                   char ret_text[static FLZ_REPLY_TEXT_MAX])
{
    _cleanup_(free_json) json_t *json = load(answer);
    struct grant_device device = {.interval_s = 5};
    enum grant_class class = class_of(answer, json, ret_text);
    if (class != GRANT_OK)
        return class;
    /* Older servers spell it verification_url. */
    const char *url = text_of(json, "verification_uri");
    if (!take_word(url[0] ? url : text_of(json, "verification_url"), device.url,
                   sizeof device.url) ||
        !take_word(text_of(json, "user_code"), device.user_code, sizeof device.user_code) ||
        !text_of(json, "device_code")[0] ||
        take_token(text_of(json, "device_code"), &device.device_code) < 0) {
        (void)snprintf(ret_text, FLZ_REPLY_TEXT_MAX,
                       "the sign-in server's answer holds no usable code");
        return GRANT_TEMPORARY;
    }
    device.interval_s = number_of(json, "interval", 5, INTERVAL_S_MAX);
    device.expires_in_s = number_of(json, "expires_in", 300, DEVICE_S_MAX);
    *ret_device = device;
    return GRANT_OK;
}

void grant_device_deinit(struct grant_device *device)
{
    flz_secret_deinit(&device->device_code);
}

const char *grant_class_str(enum grant_class class)
{
    switch (class) {
    case GRANT_OK: return "ok";
    case GRANT_PENDING: return "pending";
    case GRANT_SLOW_DOWN: return "slow-down";
    case GRANT_NEEDS_AUTH: return "needs-auth";
    case GRANT_MISCONFIGURED: return "misconfigured";
    case GRANT_TEMPORARY: return "temporary";
    case GRANT_NETWORK: return "network";
    }
    return "unknown";
}
