/* Backups of the coordinator's state: made and read where it lies. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"

#include <stdio.h>

static int ask_for(const struct ctl *ctl, const struct ask *ask, struct answer *answer)
{
    int code = ask_do(ctl, ask, answer);
    if (!answer->json)
        return code;
    if (ctl->output == CTL_JSON)
        show_json(answer->json);
    else if (ctl->quiet)
        (void)puts(show_string(answer->json, "item.path"));
    else
        show_item(json_object_get(answer->json, "item"), NULL);
    return code;
}

int cmd_backup_create(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "backup create", .timeout_ms = CTL_TIMEOUT_AUDIT_MS};
    ask_add_option(&ask, arguments, "keep");
    int code = ask_for(ctl, &ask, &answer);
    if (code == 0)
        talk(ctl, "Copy this folder to another disk: cp -a %s DISK/",
             show_string(answer.json, "item.path"));
    return code;
}

int cmd_backup_verify(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "backup verify", .timeout_ms = CTL_TIMEOUT_AUDIT_MS};
    ask_add(&ask, "name", arguments->words[0]);
    return ask_for(ctl, &ask, &answer);
}
