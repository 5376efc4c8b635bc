/* The keys of this administrator; certificates for others. No daemon is asked. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAYS_DEFAULT 400
#define DAYS_MAX 3650

static const struct {
    uint32_t role;
    const char *word;
    const char *scope; /* what the scope of this role begins with */
} roles[] = {
    {FLZ_ROLE_ADMIN, "admin", "network"},
    {FLZ_ROLE_OPERATOR, "operator", "node/"},
    {FLZ_ROLE_VIEWER, "viewer", "owner/"},
};

#define ROLES_COUNT (sizeof roles / sizeof *roles)

static const char *role_word(uint32_t role)
{
    for (size_t i = 0; i < ROLES_COUNT; i++)
        if (roles[i].role == role)
            return roles[i].word;
    return "?";
}

int cmd_key_show(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(context_deinit) struct context context = CONTEXT_NULL;
    int code = context_load(ctl, &context);
    if (code != 0)
        return code;
    const struct flz_certificate *facts = &context.facts;
    char from[FLZ_TIME_TEXT_MAX];
    char until[FLZ_TIME_TEXT_MAX];
    char key[KEYS_TEXT_MAX];
    char root[KEYS_TEXT_MAX];
    char curve[KEYS_TEXT_MAX];
    flz_time_format(facts->not_before, from);
    flz_time_format(facts->not_after, until);
    keys_sign_format(facts->key, key);
    keys_sign_format(context.trust.root, root);
    keys_curve_format(context.coordinator_key, curve);
    json_t *item = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:s,s:s}", "folder", context.dir, "name",
        facts->name, "role", role_word(facts->role), "scope", facts->scope, "key", key, "serial",
        (json_int_t)facts->serial, "validFrom", from, "validUntil", until, "network", context.name,
        "networkId", flz_id_str(context.trust.network), "rootKey", root, "coordinatorKey", curve);
    if (ctl->output == CTL_JSON) {
        json_t *json = json_pack("{s:s,s:s,s:i,s:O}", "apiVersion", "fluenzr/v1", "kind", "Key",
                                 "revision", 0, "item", item);
        show_json(json);
        json_decref(json);
    } else {
        show_item(item, NULL);
    }
    json_decref(item);
    return 0;
}

/* ---- Certificates for others ---- */

struct certifying {
    const struct ctl *ctl;
    struct context context;
    struct keys_sign_pair root;
    struct keys_sign_pair key;
    struct folder_certificate wanted;
    const char *out;
    struct flz_msg msg;
};

static void deinit(struct certifying *certifying)
{
    context_deinit(&certifying->context);
    keys_sign_deinit(&certifying->root);
    keys_sign_deinit(&certifying->key);
}

/* An administrator's scope is the network or one node; an operator's one node; a viewer's one
 * owner. */
static bool scope_fits(uint32_t role, const char *scope)
{
    for (size_t i = 0; i < ROLES_COUNT; i++) {
        size_t len = strlen(roles[i].scope);
        if (roles[i].role == role && strcmp(roles[i].scope, "network") == 0)
            return strcmp(scope, "network") == 0;
        if (roles[i].role == role)
            return strncmp(scope, roles[i].scope, len) == 0 && scope[len];
    }
    return false;
}

static int read_words(const struct ctl_arguments *arguments, struct certifying *certifying)
{
    const struct ctl *ctl = certifying->ctl;
    const char *role = arguments_get(arguments, "role");
    const char *days = arguments_get(arguments, "days");
    const char *scope = arguments_get(arguments, "scope");
    struct folder_certificate *wanted = &certifying->wanted;
    uint64_t number = DAYS_DEFAULT;
    certifying->out = arguments_get(arguments, "out");
    wanted->name = arguments_get(arguments, "name");
    wanted->scope = scope ? scope : "network";
    for (size_t i = 0; role && i < ROLES_COUNT; i++)
        if (strcmp(roles[i].word, role) == 0)
            wanted->role = roles[i].role;
    if (!certifying->out || !wanted->name || !arguments_get(arguments, "root") || !wanted->role)
        return talk_usage(ctl, "roles: admin, operator, viewer",
                          "key certify needs --root DIR, --role ROLE, --name NAME and --out DIR");
    if (!scope_fits(wanted->role, wanted->scope) || strlen(wanted->scope) >= FLZ_OWNER_MAX + 8)
        return talk_usage(ctl, "admin: network; operator: node/NAME; viewer: owner/NAME",
                          "the scope '%s' does not fit the role", wanted->scope);
    if (strlen(wanted->name) >= FLZ_NAME_MAX ||
        (days && (flz_parse_u64(days, DAYS_MAX, &number) < 0 || number == 0)))
        return talk_usage(ctl, "", "--name has at most %d bytes, --days is from 1 to %d",
                          FLZ_NAME_MAX - 1, DAYS_MAX);
    wanted->days = (int64_t)number;
    return 0;
}

static int write_folder(struct certifying *certifying)
{
    const struct context *context = &certifying->context;
    struct folder_network network = {.trust = context->trust,
                                     .name = context->name,
                                     .contact = context->contact,
                                     .admin_endpoint = context->admin_endpoint,
                                     .node_endpoint = context->node_endpoint,
                                     .enrol_endpoint = context->enrol_endpoint,
                                     .coordinator_key = context->coordinator_key};
    char path[PATH_MAX];
    int r = fsutil_mkdir(certifying->out, 0700, &certifying->msg);
    if (r == 0)
        r = folder_path(certifying->out, "admin.sign", path, sizeof path);
    if (r == 0)
        r = keys_sign_save(path, &certifying->key, &certifying->msg);
    if (r == 0)
        r = folder_path(certifying->out, "admin.cert", path, sizeof path);
    if (r == 0)
        r = folder_write_certificate(path, &certifying->wanted, &certifying->msg);
    return r < 0 ? r : folder_write_context(certifying->out, &network, &certifying->msg);
}

static int certify(const struct ctl_arguments *arguments, struct certifying *certifying)
{
    char path[PATH_MAX];
    int r = folder_path(arguments_get(arguments, "root"), "root.sign", path, sizeof path);
    if (r == 0)
        r = keys_sign_load(path, &certifying->root, &certifying->msg);
    if (r == 0)
        r = keys_sign_generate(&certifying->key);
    if (r < 0)
        return r;
    if (memcmp(certifying->root.public_key.b, certifying->context.trust.root.b,
               sizeof certifying->root.public_key.b) != 0) {
        flz_msg_set(&certifying->msg, "%s is not the root key of network %s", path,
                    certifying->context.name);
        return flz_fail(-EINVAL);
    }
    certifying->wanted.root = &certifying->root;
    certifying->wanted.network = certifying->context.trust.network;
    certifying->wanted.key = certifying->key.public_key;
    return write_folder(certifying);
}

int cmd_key_certify(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(deinit) struct certifying certifying = {
        .ctl = ctl, .context = CONTEXT_NULL, .root = KEYS_SIGN_NULL, .key = KEYS_SIGN_NULL};
    int code = read_words(arguments, &certifying);
    if (code == 0)
        code = context_load(ctl, &certifying.context);
    if (code != 0)
        return code;
    if (access(certifying.out, F_OK) == 0) {
        flz_msg_set(&certifying.msg, "%s exists; keys are never overwritten", certifying.out);
        return talk_fail(ctl, ADMIN_FAILED, "EXISTS", certifying.msg.text, "name another --out");
    }
    int r = certify(arguments, &certifying);
    if (r < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NOT_MADE",
                         certifying.msg.text[0] ? certifying.msg.text : strerror(-r), "");
    if (!ctl->quiet && ctl->output != CTL_JSON)
        (void)printf("%s: admin folder of %s (%s, %s); hand it over safely\n", certifying.out,
                     certifying.wanted.name, role_word(certifying.wanted.role),
                     certifying.wanted.scope);
    return 0;
}
