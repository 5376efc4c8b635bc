#include "node/tokens.h"

#include "common/base/cleanup.h"
#include "common/sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISCONFIGURED_WAIT_MS 300000
#define RETRY_AFTER_MS_MAX 3600000

/* Of one account. Freed when the account has gone and the journal owes it nothing more. */
struct token {
    struct tokens *tokens; /* NULL: all of them have gone */
    struct member *member; /* NULL: it has gone */
    struct flz_secret access;
    struct flz_secret coming; /* the access token that waits for its refresh token's commit (T2) */
    int64_t ends_boot;        /* of `access`, margin taken off; of `coming` while that waits */
    int64_t used_boot;
    struct oauth_call *call;
    int64_t asked_boot;
    uint64_t age;     /* counts sign-ins and removals (T4) */
    unsigned storing; /* answers of the journal still to come */
    int64_t wait_boot;
    int64_t backoff_ms;
};

struct tokens {
    struct tokens_parts parts;
    size_t kept; /* access tokens in memory */
    struct tokens_stats stats;
};

/* What the journal calls back with. */
struct storing {
    struct token *token;
    uint64_t age;
    void (*on_durable)(int r, void *data);
    void *data;
};

static struct token *token_of(struct tokens *tokens, struct member *member)
{
    if (member->token)
        return member->token;
    struct token *token = calloc(1, sizeof *token);
    if (token)
        *token = (struct token){.tokens = tokens, .member = member};
    member->token = token;
    return token;
}

static void drop_access(struct token *token)
{
    if (token->access.data && token->tokens)
        token->tokens->kept--;
    flz_secret_deinit(&token->access);
}

static void release(struct token *token)
{
    if (!token->member && token->storing == 0)
        free(token);
}

/* ---- Keeping ---- */

/* The token used longest ago gives way: its account fetches another when it needs one. */
static void make_room(struct tokens *tokens)
{
    struct token *oldest = NULL;
    for (size_t i = 0; i < members_count(tokens->parts.members); i++) {
        struct token *token = members_at(tokens->parts.members, i)->token;
        if (token && token->access.data && (!oldest || token->used_boot < oldest->used_boot))
            oldest = token;
    }
    if (oldest)
        drop_access(oldest);
}

static void publish(struct token *token)
{
    struct tokens *tokens = token->tokens;
    drop_access(token);
    if (tokens->kept >= TOKENS_KEPT_MAX)
        make_room(tokens);
    token->access = token->coming;
    token->coming = FLZ_SECRET_NULL;
    token->used_boot = flz_boottime_ms();
    token->wait_boot = token->backoff_ms = 0;
    tokens->kept++;
    tokens->parts.on_news(token->member, FLZ_REASON_NONE, "", tokens->parts.data);
}

static void on_stored(int r, void *data)
{
    struct storing *storing = data;
    struct token *token = storing->token;
    bool live = r == 0 && token->tokens && token->member && token->age == storing->age;
    token->storing--;
    if (live && token->coming.data)
        publish(token);
    if (storing->on_durable)
        storing->on_durable(r, storing->data);
    release(token);
    free(storing);
}

/* The refresh token to the journal, and only then the access token into use (T2). */
static int store(struct token *token, struct grant *grant, void (*on_durable)(int r, void *data),
                 void *data)
{
    struct tokens *tokens = token->tokens;
    struct journal_member record = token->member->record;
    struct storing *storing = calloc(1, sizeof *storing);
    if (!storing)
        return flz_fail(-ENOMEM);
    *storing =
        (struct storing){.token = token, .age = token->age, .on_durable = on_durable, .data = data};
    record.login = MEMBER_LOGIN_TOKEN;
    record.needs_auth[0] = '\0';
    record.token_at = flz_realtime_ms();
    flz_secret_deinit(&token->coming);
    token->coming = grant->access;
    grant->access = FLZ_SECRET_NULL;
    token->storing++;
    int r = members_put(tokens->parts.members, &record, &grant->refresh, on_stored, storing);
    if (r < 0) {
        token->storing--;
        flz_secret_deinit(&token->coming);
        free(storing);
    }
    return r;
}

static void set_end(struct token *token, const struct grant *grant)
{
    int64_t life_ms = grant->expires_in_s * 1000, margin_ms = life_ms / 4;
    if (margin_ms > TOKENS_MARGIN_MS_MAX)
        margin_ms = TOKENS_MARGIN_MS_MAX;
    token->ends_boot = token->asked_boot + life_ms - margin_ms;
}

/* ---- Fetching ---- */

static void put_off(struct token *token, int64_t ms_least)
{
    token->backoff_ms = token->backoff_ms ? token->backoff_ms * 2 : TOKENS_BACKOFF_MS;
    if (token->backoff_ms > TOKENS_BACKOFF_MS_MAX)
        token->backoff_ms = TOKENS_BACKOFF_MS_MAX;
    int64_t ms = token->backoff_ms > ms_least ? token->backoff_ms : ms_least;
    /* Those that failed together do not come back together. */
    ms += randombytes_uniform((uint32_t)(ms / 4) + 1);
    token->wait_boot = flz_boottime_ms() + ms;
}

static void failed(struct token *token, enum grant_class class, int64_t retry_after_ms,
                   const char *text)
{
    struct tokens *tokens = token->tokens;
    struct member *member = token->member;
    enum flz_reason reason = FLZ_REASON_NETWORK;
    bool person = class == GRANT_NEEDS_AUTH;
    flz_log(tokens->parts.log, FLZ_LOG_WARNING, person ? "account_needs_auth" : "token_not_renewed",
            "account=%s class=%s text=%s", flz_id_str(member->record.account.id),
            grant_class_str(class), text);
    if (person) {
        tokens->stats.refused++;
        reason = FLZ_REASON_LOGIN;
        (void)snprintf(member->record.needs_auth, sizeof member->record.needs_auth, "%s", text);
        (void)members_save(tokens->parts.members, member);
    } else {
        tokens->stats.failed++;
        reason = class == GRANT_MISCONFIGURED ? FLZ_REASON_LOGIN
                 : class == GRANT_TEMPORARY   ? FLZ_REASON_RATE
                                              : FLZ_REASON_NETWORK;
        if (retry_after_ms > RETRY_AFTER_MS_MAX)
            retry_after_ms = RETRY_AFTER_MS_MAX;
        put_off(token, class == GRANT_MISCONFIGURED ? MISCONFIGURED_WAIT_MS : retry_after_ms);
    }
    tokens->parts.on_news(member, reason, text, tokens->parts.data);
}

static void take(struct token *token, struct grant *grant)
{
    set_end(token, grant);
    token->tokens->stats.refreshed++;
    if (!grant->refresh.data) { /* the old one stays good */
        flz_secret_deinit(&token->coming);
        token->coming = grant->access;
        grant->access = FLZ_SECRET_NULL;
        publish(token);
        return;
    }
    int r = store(token, grant, NULL, NULL);
    if (r < 0)
        failed(token, GRANT_TEMPORARY, 0, "this host could not store the new token");
}

static void on_answer(const struct oauth_answer *answer, void *data)
{
    struct token *token = data;
    _cleanup_(grant_deinit) struct grant grant = GRANT_NULL;
    token->call = NULL;
    grant_read(answer, &grant);
    if (grant.class == GRANT_OK)
        take(token, &grant);
    else
        failed(token, grant.class, grant.retry_after_ms, grant.text);
}

static int ask(struct token *token)
{
    struct tokens *tokens = token->tokens;
    _cleanup_(flz_secret_deinit) struct flz_secret refresh = FLZ_SECRET_NULL;
    struct flz_secret form = FLZ_SECRET_NULL;
    char url[GRANT_URL_MAX];
    int r = members_secret(tokens->parts.members, token->member->record.account.id, &refresh);
    if (r == 0)
        r = grant_endpoint(tokens->parts.settings, "token", url);
    if (r == 0)
        r = grant_refresh_form(tokens->parts.settings, &refresh, &form);
    if (r < 0)
        return r;
    token->asked_boot = flz_boottime_ms();
    return oauth_post(tokens->parts.client, url, &form, on_answer, token, &token->call);
}

int tokens_want(struct tokens *tokens, struct member *member)
{
    struct token *token = token_of(tokens, member);
    int64_t now = flz_boottime_ms();
    if (!token)
        return TOKENS_E_LATER;
    if (member->record.needs_auth[0])
        return TOKENS_E_NEEDS_AUTH;
    if (token->access.data && now < token->ends_boot)
        return 0;
    if (token->call || token->coming.data) /* T1 */
        return TOKENS_E_WAIT;
    if (now < token->wait_boot)
        return TOKENS_E_LATER;
    drop_access(token);
    if (!tokens->parts.settings->client_id[0]) {
        failed(token, GRANT_MISCONFIGURED, 0,
               "this node signs nobody in: oauth.microsoft.client_id is not set");
        return TOKENS_E_LATER;
    }
    int r = ask(token);
    if (r == 0)
        return TOKENS_E_WAIT;
    if (r == -ENOKEY || r == -EBADMSG || r == -ENOENT)
        failed(token, GRANT_NEEDS_AUTH, 0, "this node holds no usable sign-in; sign in again");
    else
        failed(token, GRANT_TEMPORARY, 0, "this host could not ask for a token");
    return TOKENS_E_LATER;
}

int tokens_get(struct tokens *tokens, struct member *member, struct flz_secret *ret_secret)
{
    struct token *token = member->token;
    int64_t now = flz_boottime_ms();
    if (!token || !token->access.data || now >= token->ends_boot)
        return flz_fail(-EAGAIN);
    token->used_boot = now;
    return flz_secret_copy(flz_secret_view(&token->access), ret_secret);
}

void tokens_refused(struct tokens *tokens, struct member *member)
{
    if (member->token)
        drop_access(member->token);
}

/* What was asked for before belongs to what is over now (T4). */
static void forget_asked(struct token *token)
{
    token->age++;
    token->call = oauth_cancel(token->call);
    flz_secret_deinit(&token->coming);
    drop_access(token);
    token->wait_boot = token->backoff_ms = 0;
}

int tokens_signed_in(struct tokens *tokens, struct member *member, struct grant *grant,
                     int64_t asked_boot, void (*on_durable)(int r, void *data), void *data)
{
    struct token *token = token_of(tokens, member);
    if (!token)
        return flz_fail(-ENOMEM);
    forget_asked(token);
    token->asked_boot = asked_boot;
    set_end(token, grant);
    member->record.login_failures = 0;
    return store(token, grant, on_durable, data);
}

void tokens_forget(struct tokens *tokens, struct member *member)
{
    struct token *token = member->token;
    if (!token)
        return;
    forget_asked(token);
    member->token = NULL;
    token->member = NULL;
    release(token);
}

/* ---- Life ---- */

int tokens_new(const struct tokens_parts *parts, struct tokens **ret_tokens)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens)
        return flz_fail(-ENOMEM);
    tokens->parts = *parts;
    *ret_tokens = tokens;
    return 0;
}

struct tokens *tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return NULL;
    for (size_t i = 0; i < members_count(tokens->parts.members); i++) {
        struct member *member = members_at(tokens->parts.members, i);
        if (member->token && member->token->storing > 0)
            member->token->tokens = NULL;
        tokens_forget(tokens, member);
    }
    free(tokens);
    return NULL;
}

struct tokens_stats tokens_stats_of(const struct tokens *tokens)
{
    return tokens->stats;
}
