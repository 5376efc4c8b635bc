/* Changes: pause, resume, suppress, policy, removal of accounts, revocation of nodes. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"

#include <stdio.h>

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

/* What cannot be undone is confirmed. */
static int confirmed(const struct ctl *ctl, const struct ctl_arguments *arguments,
                     const struct ask *ask, const char *question)
{
    char text[FLZ_MSG_MAX];
    (void)snprintf(text, sizeof text, "%s: %s (yes/no)", arguments->words[0], question);
    if (!talk_confirm(arguments, text))
        return talk_fail(ctl, ADMIN_USAGE, "NOT_CONFIRMED", "aborted, no changes made",
                         "without a terminal: --yes");
    return change(ctl, ask);
}

int cmd_account_erase(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "account erase"};
    ask_add(&ask, "account", arguments->words[0]);
    return confirmed(ctl, arguments, &ask, "erase this person for good?");
}

int cmd_account_rm(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "account rm"};
    ask_add(&ask, "account", arguments->words[0]);
    return confirmed(ctl, arguments, &ask, "end the consent and remove the account?");
}

int cmd_node_revoke(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ask ask = {.verb = "node revoke"};
    ask_add(&ask, "name", arguments->words[0]);
    return confirmed(ctl, arguments, &ask, "revoke this node for good?");
}
