#include "node/signin.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/http.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TICK_MS 250
#define POLL_MORE_MS 5000 /* RFC 8628 3.5: what slow_down adds to the interval */

struct signin {
    struct signins *signins; /* NULL: all of them have gone */
    struct flz_id id;
    struct flz_address address; /* whose; its id may change meanwhile, the address does not */
    char user[FLZ_ADDRESS_MAX]; /* who has to sign in */
    struct signin_view view;
    struct grant_browser browser;
    struct grant_device device;
    struct http *http; /* where the browser comes back to */
    struct oauth_call *call;
    int64_t asked_boot;
    int64_t poll_boot; /* device: the next question */
    int64_t interval_ms;
    int64_t until_boot; /* then it fails; once ended: is forgotten */
    bool stored;        /* the journal still owes an answer */
};

struct signins {
    struct signin_parts parts;
    uv_timer_t *timer; /* owned; freed in its close callback */
    struct signin *all[SIGNIN_MAX];
    size_t count;
};

static const char *const state_words[] = {
    [SIGNIN_STARTING] = "starting", [SIGNIN_WAITING] = "waiting", [SIGNIN_TRADING] = "trading",
    [SIGNIN_STORING] = "storing",   [SIGNIN_DONE] = "done",       [SIGNIN_FAILED] = "failed",
};

const char *signin_state_str(enum signin_state state)
{
    return state_words[state];
}

static bool has_ended(const struct signin *signin)
{
    return signin->view.state == SIGNIN_DONE || signin->view.state == SIGNIN_FAILED;
}

static void drop_secrets(struct signin *signin)
{
    signin->call = oauth_cancel(signin->call);
    grant_browser_deinit(&signin->browser);
    grant_device_deinit(&signin->device);
}

static void end(struct signin *signin, enum signin_state state, const char *text)
{
    struct signins *signins = signin->signins;
    const struct member *member = members_find_address(signins->parts.members, &signin->address);
    drop_secrets(signin);
    signin->view.state = state;
    signin->until_boot = flz_boottime_ms() + SIGNIN_KEPT_MS;
    (void)snprintf(signin->view.text, sizeof signin->view.text, "%s", text);
    flz_log(signins->parts.log, FLZ_LOG_NOTICE, "sign_in", "account=%s by=%s state=%s",
            member ? flz_id_str(member->record.account.id) : "gone",
            signin->view.device ? "device" : "browser", signin_state_str(state));
}

static void fail(struct signin *signin, const char *text)
{
    end(signin, SIGNIN_FAILED, text);
}

/* ---- What came of it ---- */

static void on_durable(int r, void *data)
{
    struct signin *signin = data;
    signin->stored = false;
    if (!signin->signins) {
        free(signin);
        return;
    }
    if (signin->view.state != SIGNIN_STORING)
        return;
    struct signins *signins = signin->signins;
    const struct member *member = members_find_address(signins->parts.members, &signin->address);
    if (r < 0 || !member) {
        fail(signin,
             r < 0 ? "the node's journal could not store it" : "the account was removed meanwhile");
        return;
    }
    end(signin, SIGNIN_DONE, "");
    signins->parts.on_done(member->record.account.id, signins->parts.data);
}

/* G1. By the names in the id token alone: an access token is not ours to read. */
static bool is_expected(const struct signin *signin, const struct grant *grant)
{
    for (size_t i = 0; i < GRANT_NAMES_MAX; i++)
        if (grant->names[i][0] && flz_ascii_equal_nocase(grant->names[i], signin->user))
            return true;
    return false;
}

/* Why this grant is of no use; NULL when it is. */
static const char *fault_of(const struct signin *signin, const struct grant *grant,
                            struct flz_msg *msg)
{
    if (!is_expected(signin, grant)) {
        const char *who = grant->names[0][0] ? grant->names[0] : grant->names[1];
        if (who[0])
            flz_msg_set(msg,
                        "%.80s signed in, but this account's login is %.80s; nothing was "
                        "changed. Sign out there, or use a private window, and begin again",
                        who, signin->user);
        else
            flz_msg_set(msg, "the server did not say who signed in; nothing was changed. Is the "
                             "permission 'openid' blocked in the directory?");
        return msg->text;
    }
    if (!grant->refresh.data)
        return "the server gave no refresh token, so this would end within the hour; allow "
               "offline_access for the app, and begin again";
    if (grant->scoped && (!grant->may_imap || !grant->may_smtp))
        return "the app was not granted both IMAP.AccessAsUser.All and SMTP.Send; add them to the "
               "app registration, and begin again";
    return NULL;
}

static void take(struct signin *signin, struct grant *grant)
{
    struct signins *signins = signin->signins;
    struct member *member = members_find_address(signins->parts.members, &signin->address);
    struct flz_msg msg;
    const char *fault =
        member ? fault_of(signin, grant, &msg) : "the account was removed meanwhile";
    if (fault) {
        fail(signin, fault);
        return;
    }
    signin->view.state = SIGNIN_STORING;
    signin->stored = true;
    int r = tokens_signed_in(signins->parts.tokens, member, grant, signin->asked_boot, on_durable,
                             signin);
    if (r < 0) {
        signin->stored = false;
        fail(signin, "the node could not store it");
    }
}

static void on_token(const struct oauth_answer *answer, void *data)
{
    struct signin *signin = data;
    _cleanup_(grant_deinit) struct grant grant = GRANT_NULL;
    signin->call = NULL;
    grant_read(answer, &grant);
    bool device = signin->view.device;
    if (grant.class == GRANT_OK) {
        take(signin, &grant);
        return;
    }
    if (grant.class == GRANT_SLOW_DOWN)
        signin->interval_ms += POLL_MORE_MS;
    /* A device asks again, whatever kept the answer away, until its code runs out. */
    bool goes_on = device && grant.class != GRANT_NEEDS_AUTH && grant.class != GRANT_MISCONFIGURED;
    if (!goes_on) {
        fail(signin, grant.text);
        return;
    }
    int64_t wait =
        signin->interval_ms > grant.retry_after_ms ? signin->interval_ms : grant.retry_after_ms;
    signin->view.state = SIGNIN_WAITING;
    signin->poll_boot = flz_boottime_ms() + wait;
}

/* Sends a form that was made with result `r`; takes it over. */
static void post(struct signin *signin, const char *endpoint, int r, struct flz_secret *form,
                 oauth_on_answer on_answer)
{
    const struct signin_parts *parts = &signin->signins->parts;
    char url[GRANT_URL_MAX];
    if (r == 0)
        r = grant_endpoint(parts->settings, endpoint, url);
    signin->asked_boot = flz_boottime_ms();
    if (r == 0)
        r = oauth_post(parts->client, url, form, on_answer, signin, &signin->call);
    flz_secret_deinit(form);
    if (r < 0)
        fail(signin, "this host could not ask the sign-in server; is its memory full?");
}

/* ---- By device ---- */

static void on_device(const struct oauth_answer *answer, void *data)
{
    struct signin *signin = data;
    char text[FLZ_REPLY_TEXT_MAX];
    signin->call = NULL;
    if (grant_device_read(answer, &signin->device, text) != GRANT_OK) {
        fail(signin, text);
        return;
    }
    int64_t now = flz_boottime_ms();
    signin->view.state = SIGNIN_WAITING;
    memcpy(signin->view.user_code, signin->device.user_code, sizeof signin->view.user_code);
    (void)snprintf(signin->view.url, sizeof signin->view.url, "%s", signin->device.url);
    signin->interval_ms = signin->device.interval_s * 1000;
    signin->poll_boot = now + signin->interval_ms;
    if (signin->until_boot > now + signin->device.expires_in_s * 1000)
        signin->until_boot = now + signin->device.expires_in_s * 1000;
}

static void begin_device(struct signin *signin)
{
    struct flz_secret form = FLZ_SECRET_NULL;
    int r = grant_device_form(signin->signins->parts.settings, &form);
    post(signin, "devicecode", r, &form, on_device);
}

static void poll_device(struct signin *signin)
{
    struct flz_secret form = FLZ_SECRET_NULL;
    int r = grant_poll_form(signin->signins->parts.settings, &signin->device.device_code, &form);
    signin->view.state = SIGNIN_TRADING;
    post(signin, "token", r, &form, on_token);
}

/* ---- By browser ---- */

static int take_redirect(struct signin *signin, const char *address, struct flz_msg *msg)
{
    _cleanup_(flz_secret_deinit) struct flz_secret code = FLZ_SECRET_NULL;
    struct flz_secret form = FLZ_SECRET_NULL;
    if (signin->view.state != SIGNIN_WAITING) {
        flz_msg_set(msg, "this sign-in waits for nobody any more");
        return flz_fail(-EINVAL);
    }
    int r = grant_redirect_read(&signin->browser, address, &code, msg);
    if (r < 0)
        return r;
    r = grant_code_form(signin->signins->parts.settings, &signin->browser, &code, &form);
    signin->view.state = SIGNIN_TRADING;
    post(signin, "token", r, &form, on_token);
    return 0;
}

static void add_query(const struct http_request *request, const char *name, struct flz_buf *query)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *value = http_query(request, name);
    if (!value)
        return;
    flz_buf_printf(query, "&%s=", name);
    for (; *value; value++) {
        flz_buf_add_byte(query, '%');
        flz_buf_add_byte(query, (uint8_t)hex[(uint8_t)*value >> 4]);
        flz_buf_add_byte(query, (uint8_t)hex[(uint8_t)*value & 15]);
    }
}

/* The browser has come back. */
static void on_request(const struct http_request *request, struct http_response *response,
                       void *data)
{
    struct signin *signin = data;
    struct flz_msg msg = FLZ_MSG_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf query = FLZ_BUF_NULL;
    if (strcmp(request->path, "/") != 0)
        return;
    add_query(request, "state", &query);
    add_query(request, "error", &query);
    add_query(request, "error_description", &query);
    add_query(request, "code", &query);
    response->status = 200;
    if (take_redirect(signin, flz_buf_str(&query), &msg) == 0)
        flz_buf_add_str(&response->body, "Signed in. You may close this window; fluenzrctl says "
                                         "how it went.\n");
    else
        flz_buf_printf(&response->body, "Not signed in: %s\n", msg.text);
    if (query.data)
        explicit_bzero(query.data, query.size);
}

static int begin_browser(struct signin *signin, struct flz_msg *msg)
{
    const struct signin_parts *parts = &signin->signins->parts;
    int r = http_new(parts->loop, "127.0.0.1:0", on_request, signin, &signin->http, msg);
    if (r < 0)
        return r;
    signin->view.port = http_port(signin->http);
    r = grant_browser_init(signin->view.port, &signin->browser);
    if (r == 0)
        r = grant_authorize_url(parts->settings, &signin->browser, signin->user, signin->view.url);
    if (r == 0)
        signin->view.state = SIGNIN_WAITING;
    else
        flz_msg_set(msg, "the sign-in cannot begin: %s", strerror(-r));
    return r;
}

int signin_paste(struct signins *signins, struct flz_id id, const char *address,
                 struct flz_msg *msg)
{
    for (size_t i = 0; i < signins->count; i++)
        if (flz_id_equal(signins->all[i]->id, id))
            return take_redirect(signins->all[i], address, msg);
    return flz_fail(-ENOENT);
}

/* ---- All of them ---- */

/* Not from within a callback of its own: the HTTP server's, above all. */
static void free_signin(struct signin *signin)
{
    drop_secrets(signin);
    signin->http = http_free(signin->http);
    signin->signins = NULL;
    if (!signin->stored)
        free(signin);
}

static void forget(struct signins *signins, size_t index)
{
    free_signin(signins->all[index]);
    signins->all[index] = signins->all[--signins->count];
}

static void tick_one(struct signin *signin, int64_t now)
{
    if (has_ended(signin)) {
        signin->http = http_free(signin->http);
        return;
    }
    if (now >= signin->until_boot && signin->view.state != SIGNIN_STORING)
        fail(signin, "nobody signed in in time; begin again");
    else if (signin->view.device && signin->view.state == SIGNIN_WAITING &&
             now >= signin->poll_boot)
        poll_device(signin);
}

static void on_tick(uv_timer_t *timer)
{
    struct signins *signins = timer->data;
    int64_t now = flz_boottime_ms();
    for (size_t i = signins->count; i-- > 0;) {
        tick_one(signins->all[i], now);
        if (has_ended(signins->all[i]) && now >= signins->all[i]->until_boot)
            forget(signins, i);
    }
    if (signins->count == 0)
        (void)uv_timer_stop(timer);
}

/* G2. The oldest that has ended makes room, too. */
static void make_room(struct signins *signins, const struct flz_address *address)
{
    for (size_t i = signins->count; i-- > 0;)
        if (flz_ascii_equal_nocase(signins->all[i]->address.text, address->text))
            forget(signins, i);
    for (size_t i = signins->count; i-- > 0 && signins->count == SIGNIN_MAX;)
        if (has_ended(signins->all[i]))
            forget(signins, i);
}

static struct signin *signin_new(struct signins *signins, const struct member *member, bool device)
{
    struct signin *signin = calloc(1, sizeof *signin);
    if (!signin)
        return NULL;
    signin->signins = signins;
    (void)flz_address_parse(member->record.account.address, &signin->address);
    (void)flz_text_copy(signin->user, sizeof signin->user, member->record.user);
    randombytes_buf(signin->id.b, sizeof signin->id.b);
    signin->view.id = signin->id;
    signin->view.device = device;
    signin->until_boot = flz_boottime_ms() + SIGNIN_MS_MAX;
    return signin;
}

int signin_begin(struct signins *signins, const struct member *member, bool device,
                 struct flz_id *ret_id, struct flz_msg *msg)
{
    struct flz_address address;
    if (!signins->parts.settings->client_id[0]) {
        flz_msg_set(msg, "this node signs nobody in: oauth.microsoft.client_id is not set");
        return flz_fail(-EINVAL);
    }
    if (flz_address_parse(member->record.account.address, &address) < 0)
        return flz_fail(-EINVAL);
    make_room(signins, &address);
    if (signins->count == SIGNIN_MAX) {
        flz_msg_set(msg, "%d sign-ins are under way; end one of them first", SIGNIN_MAX);
        return flz_fail(-EBUSY);
    }
    struct signin *signin = signin_new(signins, member, device);
    if (!signin)
        return flz_fail(-ENOMEM);
    int r = 0;
    if (device)
        begin_device(signin);
    else
        r = begin_browser(signin, msg);
    if (r < 0) {
        free_signin(signin);
        return r;
    }
    signins->all[signins->count++] = signin;
    *ret_id = signin->id;
    (void)uv_timer_start(signins->timer, on_tick, TICK_MS, TICK_MS);
    return 0;
}

int signin_look(struct signins *signins, struct flz_id id, struct signin_view *ret_view)
{
    for (size_t i = 0; i < signins->count; i++)
        if (flz_id_equal(signins->all[i]->id, id)) {
            *ret_view = signins->all[i]->view;
            return 0;
        }
    return flz_fail(-ENOENT);
}

/* ---- Life ---- */

int signins_new(const struct signin_parts *parts, struct signins **ret_signins)
{
    struct signins *signins = calloc(1, sizeof *signins);
    uv_timer_t *timer = calloc(1, sizeof *timer);
    if (!signins || !timer) {
        free(signins);
        free(timer);
        return flz_fail(-ENOMEM);
    }
    signins->parts = *parts;
    signins->timer = timer;
    (void)uv_timer_init(parts->loop, timer);
    timer->data = signins;
    *ret_signins = signins;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

struct signins *signins_free(struct signins *signins)
{
    if (!signins)
        return NULL;
    while (signins->count > 0)
        forget(signins, signins->count - 1);
    (void)uv_timer_stop(signins->timer);
    uv_close((uv_handle_t *)signins->timer, on_timer_closed);
    free(signins);
    return NULL;
}
