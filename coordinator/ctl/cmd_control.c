/* Changes: pause, resume, suppress, policy, clock, removal of accounts, revocation of nodes. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/sys/clock.h"
#include "proto/codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Asks for a change and says what became of it. */
static int change(const struct ctl *ctl, const struct ask *ask)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    int code = ask_do(ctl, ask, &answer);
    if (answer.json && ctl->output == CTL_JSON) {
        show_json(answer.json);
    } else if (answer.json && !ctl->quiet) {
        show_text(show_string(answer.json, "item.subject"));
        (void)fputs(": ", stdout);
        show_text(show_string(answer.json, "item.message"));
        (void)fputc('\n', stdout);
        const char *advice = show_string(answer.json, "item.advice");
        if (advice[0])
            talk(ctl, "%s", advice);
    }
    return code;
}

static int need_reason(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    const char *reason = arguments_get(arguments, "reason");
    if (reason && *reason)
        return 0;
    return talk_usage(ctl, "it stands in the log and is shown to others",
                      "'%s' needs --reason TEXT", arguments->command->name);
}

int cmd_pause(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "pause"};
    int code = need_reason(ctl, arguments);
    if (code != 0)
        return code;
    ask_add(&ask, "target", arguments->words[0]);
    ask_add_option(&ask, arguments, "reason");
    ask_add_option(&ask, arguments, "for");
    return change(ctl, &ask);
}

int cmd_alert_ack(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "alert ack"};
    int code = need_reason(ctl, arguments);
    if (code != 0)
        return code;
    ask_add(&ask, "alert", arguments->words[0]);
    ask_add_option(&ask, arguments, "reason");
    ask_add_option(&ask, arguments, "for");
    return change(ctl, &ask);
}

int cmd_resume(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "resume"};
    ask_add(&ask, "target", arguments->words[0]);
    ask_add_option(&ask, arguments, "reason");
    return change(ctl, &ask);
}

int cmd_suppress_add(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "suppress add"};
    int code = need_reason(ctl, arguments);
    if (code != 0)
        return code;
    ask_add(&ask, "address", arguments->words[0]);
    ask_add_option(&ask, arguments, "reason");
    ask_add_option(&ask, arguments, "kind");
    return change(ctl, &ask);
}

int cmd_suppress_rm(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "suppress rm"};
    ask_add(&ask, "address", arguments->words[0]);
    return change(ctl, &ask);
}

int cmd_policy_set(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "policy set"};
    ask_add(&ask, "key", arguments->words[0]);
    ask_add(&ask, "value", arguments->words[1]);
    return change(ctl, &ask);
}

/* What cannot be undone is confirmed. 0, or the exit code of a no. */
static int confirm(const struct ctl *ctl, const struct ctl_arguments *arguments,
                   const char *question)
{
    char text[FLZ_MSG_MAX];
    const char *subject = arguments->words_count ? arguments->words[0] : arguments->command->name;
    (void)snprintf(text, sizeof text, "%s: %s (yes/no)", subject, question);
    if (talk_confirm(arguments, text))
        return 0;
    return talk_fail(ctl, ADMIN_USAGE, "NOT_CONFIRMED", "aborted, no changes made",
                     "without a terminal: --yes");
}

int cmd_account_erase(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "account erase"};
    ask_add(&ask, "account", arguments->words[0]);
    int code = confirm(ctl, arguments, "erase this person for good?");
    return code ? code : change(ctl, &ask);
}

int cmd_account_clear(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "account clear"};
    ask_add(&ask, "account", arguments->words[0]);
    return change(ctl, &ask);
}

int cmd_account_rm(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "account rm"};
    ask_add(&ask, "account", arguments->words[0]);
    int code = confirm(ctl, arguments, "end the consent and remove the account?");
    return code ? code : change(ctl, &ask);
}

int cmd_clock_confirm(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "clock confirm"};
    int code = confirm(ctl, arguments, "is the clock of the coordinator's host right?");
    return code ? code : change(ctl, &ask);
}

/* ---- Revocation: signed here, since nodes believe an administrator and no coordinator ---- */

/* A name may have been another node's before: the id is what is signed. */
static int find_node(const struct ctl *ctl, const struct context *context, const char *name,
                     struct flz_id *ret_node)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "node show", .context = context};
    ask_add(&ask, "name", name);
    int code = ask_do(ctl, &ask, &answer);
    if (code == 0 && flz_id_parse(show_string(answer.json, "item.id"), ret_node) < 0)
        code = talk_fail(ctl, ADMIN_FAILED, "NO_ID", "the coordinator's answer names no node id",
                         "fluenzrctl and coordinator may be of different versions");
    return code;
}

static int sign_revocation(const struct context *context, struct flz_id node,
                           struct flz_buf *bytes)
{
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = context_signer(context);
    struct flz_revocation revocation = {.network = context->trust.network,
                                        .node = node,
                                        .at = flz_realtime_ms(),
                                        .admin_certificate = flz_buf_view(&context->certificate)};
    int r = flz_encode(&flz_codec_revocation, &revocation, &payload);
    return r < 0 ? r
                 : flz_seal_signed(FLZ_KIND_REVOCATION, flz_buf_view(&payload), &signer, bytes);
}

int cmd_node_revoke(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(context_deinit) struct context context = CONTEXT_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_id node;
    int code = confirm(ctl, arguments, "revoke this node for good?");
    if (code == 0)
        code = context_load(ctl, &context);
    if (code == 0)
        code = find_node(ctl, &context, arguments->words[0], &node);
    if (code != 0)
        return code;
    int r = sign_revocation(&context, node, &bytes);
    if (r < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NOT_MADE", strerror(-r), "");
    struct ask ask = {
        .verb = "node revoke", .body = flz_buf_view(&bytes), .context = &context};
    ask_add(&ask, "name", flz_id_str(node));
    return change(ctl, &ask);
}
