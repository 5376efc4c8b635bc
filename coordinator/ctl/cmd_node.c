/* `node invite`: the administrator's key is here, not at the coordinator, so the invite is made and
 * signed here; the coordinator only records the digest of its token. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "proto/codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INVITE_DEFAULT "24h"

struct invitation {
    struct context context;
    struct keys_sign_pair token;
    struct flz_invite invite;
    struct flz_buf bytes; /* Signed(INVITE) */
    struct flz_buf text;  /* the join token; secret until it is used */
};

static void deinit(struct invitation *invitation)
{
    context_deinit(&invitation->context);
    keys_sign_deinit(&invitation->token);
    flz_buf_deinit(&invitation->bytes);
    flz_wipe_buf(&invitation->text);
}

static int make_invite(struct invitation *invitation, const char *name, int64_t lasts_ms)
{
    struct flz_invite *invite = &invitation->invite;
    invite->network = invitation->context.trust.network;
    invite->not_after = flz_realtime_ms() + lasts_ms;
    randombytes_buf(invite->node.b, sizeof invite->node.b);
    int r = flz_text_copy(invite->name, sizeof invite->name, name);
    if (r == 0)
        r = keys_sign_generate(&invitation->token);
    if (r < 0)
        return r;
    invite->token_key = invitation->token.public_key;
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = context_signer(&invitation->context);
    r = flz_encode(&flz_codec_invite, invite, &payload);
    return r < 0 ? r
                 : flz_seal_signed(FLZ_KIND_INVITE, flz_buf_view(&payload), &signer,
                                   &invitation->bytes);
}

static int make_token(struct invitation *invitation)
{
    const struct context *context = &invitation->context;
    struct flz_join_token token = {.network = context->trust.network,
                                   .root = context->trust.root,
                                   .admin_certificate = flz_buf_view(&context->certificate),
                                   .invite = flz_buf_view(&invitation->bytes),
                                   .coordinator_key = context->coordinator_key};
    /* An Ed25519 secret of libsodium begins with its seed. */
    memcpy(token.token_seed, invitation->token.secret.data, sizeof token.token_seed);
    memcpy(token.enrol_endpoint, context->enrol_endpoint, sizeof token.enrol_endpoint);
    memcpy(token.node_endpoint, context->node_endpoint, sizeof token.node_endpoint);
    memcpy(token.network_name, context->name, sizeof token.network_name);
    memcpy(token.contact, context->contact, sizeof token.contact);
    _cleanup_(flz_wipe_buf) struct flz_buf payload = FLZ_BUF_NULL;
    int r = flz_buf_reserve(&payload, 8192) && flz_buf_reserve(&invitation->text, 16384)
                ? flz_encode(&flz_codec_join_token, &token, &payload)
                : flz_fail(-ENOMEM);
    sodium_memzero(&token, sizeof token);
    if (r < 0)
        return r;
    flz_buf_add_str(&invitation->text, FLZ_JOIN_TOKEN_PREFIX);
    flz_base64url_encode(flz_buf_view(&payload), &invitation->text);
    return flz_buf_error(&invitation->text);
}

static int record(const struct ctl *ctl, const struct invitation *invitation)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf certificate = FLZ_BUF_NULL;
    flz_base64url_encode(flz_buf_view(&invitation->context.certificate), &certificate);
    struct ask ask = {.verb = "node invite",
                      .body = flz_buf_view(&invitation->bytes),
                      .context = &invitation->context};
    ask_add(&ask, "name", invitation->invite.name);
    ask_add(&ask, "certificate", flz_buf_str(&certificate));
    return ask_do(ctl, &ask, &answer);
}

static int give_out(const struct ctl *ctl, struct invitation *invitation, const char *out)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    char ends[FLZ_TIME_TEXT_MAX];
    flz_time_format(invitation->invite.not_after, ends);
    if (ctl->output == CTL_JSON) {
        json_t *json =
            json_pack("{s:s,s:s,s:i,s:{s:s,s:s,s:s,s:s?,s:s?}}", "apiVersion", "fluenzr/v1", "kind",
                      "JoinToken", "revision", 0, "item", "node", invitation->invite.name, "id",
                      flz_id_str(invitation->invite.node), "ends", ends, "token",
                      out ? NULL : flz_buf_str(&invitation->text), "file", out);
        show_json(json);
        json_decref(json);
    } else if (!out) {
        (void)puts(flz_buf_str(&invitation->text));
    }
    if (out) {
        flz_buf_add_byte(&invitation->text, '\n');
        if (fsutil_write_new(out, 0600, flz_buf_view(&invitation->text), &msg) < 0)
            return talk_fail(ctl, ADMIN_FAILED, "NOT_WRITTEN", msg.text,
                             "the token is lost; invite the node again with another --out");
    }
    talk(ctl,
         "node %s is invited until %s; on its host: join_token_file: TOKEN_FILE. Whoever has "
         "the token can take the node's place until it is used",
         invitation->invite.name, ends);
    return 0;
}

static int check_words(const struct ctl *ctl, const struct ctl_arguments *arguments,
                       int64_t *ret_lasts_ms)
{
    const char *name = arguments->words[0];
    const char *lasts = arguments_get(arguments, "for");
    const char *out = arguments_get(arguments, "out");
    if (flz_label_check(name) < 0 || strlen(name) >= FLZ_NAME_MAX)
        return talk_usage(ctl, "letters, digits and hyphens: n1, mail-paris",
                          "'%s' is no node name", name);
    if (flz_parse_duration_ms(lasts ? lasts : INVITE_DEFAULT, ret_lasts_ms) < 0 ||
        *ret_lasts_ms <= 0 || *ret_lasts_ms > 30 * FLZ_DAY_MS)
        return talk_usage(ctl, "durations: 30m, 24h, 7d; 30 days at most",
                          "--for '%s' is not a duration of an invite", lasts ? lasts : "");
    if (out && access(out, F_OK) == 0) {
        char text[FLZ_MSG_MAX];
        (void)snprintf(text, sizeof text, "%s exists and is not overwritten", out);
        return talk_fail(ctl, ADMIN_FAILED, "EXISTS", text, "name another file");
    }
    return 0;
}

int cmd_node_invite(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(deinit) struct invitation invitation = {.context = CONTEXT_NULL,
                                                      .token = KEYS_SIGN_NULL};
    int64_t lasts_ms;
    int code = check_words(ctl, arguments, &lasts_ms);
    if (code == 0)
        code = context_load(ctl, &invitation.context);
    if (code != 0)
        return code;
    int r = make_invite(&invitation, arguments->words[0], lasts_ms);
    if (r == 0)
        r = make_token(&invitation);
    if (r < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NOT_MADE", strerror(-r), "");
    code = record(ctl, &invitation);
    return code ? code : give_out(ctl, &invitation, arguments_get(arguments, "out"));
}
