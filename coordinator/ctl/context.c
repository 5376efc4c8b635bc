/* The admin folder: who asks, which network, where its coordinator is. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/config.h"
#include "coordinator/certfile.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* context.yaml */
struct context_file {
    char id[CONFIG_TEXT_MAX];
    char name[CONFIG_TEXT_MAX];
    char contact[CONFIG_TEXT_MAX];
    char root[CONFIG_TEXT_MAX];
    char key[CONFIG_TEXT_MAX];
    char admin[CONFIG_TEXT_MAX];
    char nodes[CONFIG_TEXT_MAX];
    char enrol[CONFIG_TEXT_MAX];
};

static const struct config_key keys[] = {
    {"network.id", CONFIG_TEXT, offsetof(struct context_file, id), .help = "32 hex digits"},
    {"network.name", CONFIG_TEXT, offsetof(struct context_file, name), .min = 1,
     .max = FLZ_NAME_MAX - 1, .help = "the network's name"},
    {"network.contact", CONFIG_TEXT, offsetof(struct context_file, contact),
     .help = "how to stop; stands in each message"},
    {"network.root", CONFIG_TEXT, offsetof(struct context_file, root), .help = "root public key"},
    {"coordinator.key", CONFIG_TEXT, offsetof(struct context_file, key),
     .help = "CURVE public key of the coordinator"},
    {"coordinator.admin", CONFIG_TEXT, offsetof(struct context_file, admin),
     .help = "endpoint for administrators"},
    {"coordinator.nodes", CONFIG_TEXT, offsetof(struct context_file, nodes),
     .help = "endpoint for nodes, as they reach it"},
    {"coordinator.enrol", CONFIG_TEXT, offsetof(struct context_file, enrol),
     .help = "endpoint for enrolment, as nodes reach it"},
};

static int copy_file(const char *path, const struct context_file *file, struct context *context,
                     struct flz_msg *msg)
{
    if (flz_id_parse(file->id, &context->trust.network) < 0)
        flz_msg_set(msg, "%s: network.id is not 32 hex digits", path);
    else if (keys_sign_parse(file->root, &context->trust.root) < 0)
        flz_msg_set(msg, "%s: network.root is not a public key", path);
    else if (keys_curve_parse(file->key, &context->coordinator_key) < 0)
        flz_msg_set(msg, "%s: coordinator.key is not a public key", path);
    else if (flz_text_copy(context->name, sizeof context->name, file->name) < 0 ||
             flz_text_copy(context->contact, sizeof context->contact, file->contact) < 0 ||
             flz_text_copy(context->admin_endpoint, FLZ_ENDPOINT_MAX, file->admin) < 0 ||
             flz_text_copy(context->node_endpoint, FLZ_ENDPOINT_MAX, file->nodes) < 0 ||
             flz_text_copy(context->enrol_endpoint, FLZ_ENDPOINT_MAX, file->enrol) < 0)
        flz_msg_set(msg, "%s: a value is too long", path);
    else
        return 0;
    return flz_fail(-EINVAL);
}

static int load_key(struct context *context, struct flz_msg *msg)
{
    char path[PATH_MAX];
    int r = folder_path(context->dir, "admin.sign", path, sizeof path);
    if (r == 0)
        r = keys_sign_load(path, &context->key, msg);
    if (r == 0)
        r = folder_path(context->dir, "admin.cert", path, sizeof path);
    if (r == 0)
        r = certfile_load(path, &context->certificate, msg);
    if (r < 0)
        return r;
    r = flz_cert_check(&context->trust, flz_buf_view(&context->certificate), flz_realtime_ms(),
                       &context->facts, msg);
    if (r == 0 &&
        memcmp(context->facts.key.b, context->key.public_key.b, sizeof context->facts.key.b) != 0) {
        flz_msg_set(msg, "names another key than admin.sign");
        r = flz_fail(-EKEYREJECTED);
    }
    if (r < 0)
        flz_msg_wrap(msg, "%s", path);
    return r;
}

static int load(struct context *context, struct flz_msg *msg)
{
    char path[PATH_MAX];
    struct context_file file;
    int r = folder_path(context->dir, "context.yaml", path, sizeof path);
    if (r == 0)
        r = config_load(path, keys, sizeof keys / sizeof *keys, &file, NULL, msg);
    if (r == 0)
        r = copy_file(path, &file, context, msg);
    return r < 0 ? r : load_key(context, msg);
}

static bool is_folder(const char *dir)
{
    char path[PATH_MAX];
    return folder_path(dir, "context.yaml", path, sizeof path) == 0 && access(path, F_OK) == 0;
}

/* The folder that is named, or the first of the usual ones that is there. */
static void choose(const struct ctl *ctl, char *ret_dir, size_t size)
{
    const char *named = ctl->admin_dir ? ctl->admin_dir : getenv("FLUENZR_ADMIN");
    const char *home = getenv("HOME");
    (void)snprintf(ret_dir, size, "%s", named ? named : "");
    if (named)
        return;
    (void)snprintf(ret_dir, size, "%s/.config/fluenzr/admin", home ? home : "");
    if (!is_folder(ret_dir))
        (void)snprintf(ret_dir, size, "/etc/fluenzr/admin");
}

int context_load(const struct ctl *ctl, struct context *ret_context)
{
    _cleanup_(context_deinit) struct context context = CONTEXT_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    choose(ctl, context.dir, sizeof context.dir);
    if (!is_folder(context.dir)) {
        flz_msg_set(&msg, "%s is not an admin folder: it has no context.yaml", context.dir);
        return talk_fail(ctl, ADMIN_CONFIG, "NO_CONTEXT", msg.text,
                         "name it with -i ADMIN_DIR or $FLUENZR_ADMIN; 'fluenzrctl init' makes one "
                         "(DIR/admin)");
    }
    int r = load(&context, &msg);
    if (r < 0 && !msg.text[0])
        flz_msg_set(&msg, "%s: %s", context.dir, strerror(-r));
    if (r < 0)
        return talk_fail(ctl, ADMIN_CONFIG, "BAD_CONTEXT", msg.text,
                         r == -EKEYREJECTED ? "make a new certificate: fluenzrctl key certify"
                                            : "");
    *ret_context = context;
    context = CONTEXT_NULL;
    return 0;
}

void context_deinit(struct context *context)
{
    keys_sign_deinit(&context->key);
    flz_buf_deinit(&context->certificate);
    *context = CONTEXT_NULL;
}

struct flz_signer context_signer(const struct context *context)
{
    return (struct flz_signer){.key = context->key.public_key,
                               .on_sign = keys_on_sign,
                               .data = (void *)(uintptr_t)&context->key};
}
