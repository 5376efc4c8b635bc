/* `init`: makes a network's keys: DIR/root, DIR/admin, DIR/coordinator. Never overwrites. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/fsutil.h"
#include "coordinator/identity.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAYS_DEFAULT 400
#define DAYS_MAX 3650
#define PATHS_MAX 8 /* that one call may name */

struct making {
    const struct ctl *ctl;
    const char *dir;
    struct folder_network network;
    int64_t days;
    struct keys_sign_pair root;
    struct keys_sign_pair issuer;
    struct keys_sign_pair admin;
    struct keys_curve_pair curve;
    struct flz_msg msg;
};

static void deinit(struct making *making)
{
    keys_sign_deinit(&making->root);
    keys_sign_deinit(&making->issuer);
    keys_sign_deinit(&making->admin);
    keys_curve_deinit(&making->curve);
}

/* ---- What is asked for ---- */

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static int read_endpoint(const struct ctl_arguments *arguments, struct making *making,
                         const char *option, const char *fallback, const char **ret_endpoint)
{
    const char *given = arguments_get(arguments, option);
    const char *endpoint = given ? given : fallback;
    bool tcp = strncmp(endpoint, "tcp://", 6) == 0 && strrchr(endpoint, ':') > endpoint + 6 &&
               strncmp(endpoint, "tcp://*", 7) != 0;
    bool ipc = strncmp(endpoint, "ipc:///", 7) == 0 && strcmp(option, "admin-endpoint") == 0;
    if ((!tcp && !ipc) || has_control(endpoint) || strlen(endpoint) >= FLZ_ENDPOINT_MAX)
        return talk_usage(making->ctl,
                          "tcp://HOST:PORT as others reach it; for administrators "
                          "also ipc:///path",
                          "--%s '%s' is not such an endpoint", option, endpoint);
    *ret_endpoint = endpoint;
    return 0;
}

static int read_endpoints(const struct ctl_arguments *arguments, struct making *making)
{
    struct folder_network *network = &making->network;
    int code = read_endpoint(arguments, making, "nodes-endpoint", "tcp://127.0.0.1:7400",
                             &network->node_endpoint);
    if (code == 0)
        code = read_endpoint(arguments, making, "enrol-endpoint", "tcp://127.0.0.1:7401",
                             &network->enrol_endpoint);
    if (code == 0)
        code = read_endpoint(arguments, making, "admin-endpoint",
                             "ipc:///run/fluenzr/coordinator.sock", &network->admin_endpoint);
    return code;
}

static int read_words(const struct ctl_arguments *arguments, struct making *making)
{
    struct flz_address address;
    uint64_t days = DAYS_DEFAULT;
    const char *text = arguments_get(arguments, "days");
    struct folder_network *network = &making->network;
    making->dir = arguments_get(arguments, "dir");
    network->name = arguments_get(arguments, "name");
    network->contact = arguments_get(arguments, "contact");
    if (!making->dir || !network->name || !network->contact)
        return talk_usage(making->ctl,
                          "the contact address stands in each message: how to make it stop",
                          "init needs --dir DIR, --name NAME and --contact ADDRESS");
    if (!*network->name || strlen(network->name) >= FLZ_NAME_MAX || has_control(network->name))
        return talk_usage(making->ctl, "", "--name has 1 to %d bytes", FLZ_NAME_MAX - 1);
    if (flz_address_parse(network->contact, &address) < 0)
        return talk_usage(making->ctl, "", "--contact '%s' is not an address", network->contact);
    if (strlen(making->dir) > PATH_MAX - 64)
        return talk_usage(making->ctl, "", "--dir is too long");
    if (text && (flz_parse_u64(text, DAYS_MAX, &days) < 0 || days == 0))
        return talk_usage(making->ctl, "", "--days is a number from 1 to %d", DAYS_MAX);
    making->days = (int64_t)days;
    return read_endpoints(arguments, making);
}

/* ---- Making ---- */

static const char *const folders[] = {"root", "admin", "coordinator"};

/* A path that is used at once: DIR/NAME, in a ring of texts. */
static const char *path_of(const struct making *making, const char *name)
{
    static char ring[PATHS_MAX][PATH_MAX];
    static unsigned next;
    char *path = ring[next++ % PATHS_MAX];
    (void)folder_path(making->dir, name, path, PATH_MAX);
    return path;
}

/* Nothing is begun when any of it is there already. */
static int check_absent(struct making *making)
{
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (access(path_of(making, folders[i]), F_OK) != 0)
            continue;
        flz_msg_set(&making->msg, "%s exists; init never overwrites keys",
                    path_of(making, folders[i]));
        return flz_fail(-EEXIST);
    }
    return 0;
}

static int make_folders(struct making *making)
{
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        int r = fsutil_mkdir(path_of(making, folders[i]), 0700, &making->msg);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_keys(struct making *making)
{
    int r = keys_sign_generate(&making->root);
    if (r == 0)
        r = keys_sign_generate(&making->issuer);
    if (r == 0)
        r = keys_sign_generate(&making->admin);
    if (r == 0)
        r = keys_curve_generate(&making->curve);
    if (r < 0) {
        flz_msg_set(&making->msg, "no locked memory for keys: raise ulimit -l");
        return r;
    }
    randombytes_buf(making->network.trust.network.b, sizeof making->network.trust.network.b);
    making->network.trust.root = making->root.public_key;
    making->network.coordinator_key = making->curve.public_key;
    return 0;
}

static int save_keys(struct making *making)
{
    struct flz_msg *msg = &making->msg;
    int r = keys_sign_save(path_of(making, "root/root.sign"), &making->root, msg);
    if (r == 0)
        r = keys_sign_save(path_of(making, "admin/admin.sign"), &making->admin, msg);
    if (r == 0)
        r = keys_sign_save(path_of(making, "coordinator/issuer.sign"), &making->issuer, msg);
    if (r == 0)
        r = keys_curve_save(path_of(making, "coordinator/coordinator.curve"), &making->curve, msg);
    return r;
}

static int save_secrets(struct making *making)
{
    _cleanup_(flz_secret_deinit) struct flz_secret network = FLZ_SECRET_NULL;
    struct seal_source persons = {.kind = SEAL_SOURCE_FILE,
                                  .name = path_of(making, "coordinator/persons.key")};
    int r = flz_secret_random(IDENTITY_NETWORK_KEY_LEN, &network);
    if (r == 0)
        r = keys_secret_save(path_of(making, "coordinator/network.key"), IDENTITY_NETWORK_KEY,
                             &network, &making->msg);
    return r < 0 ? r : seal_key_create(&persons, &making->msg);
}

static int save_certificates(struct making *making)
{
    struct folder_certificate wanted = {.root = &making->root,
                                        .network = making->network.trust.network,
                                        .key = making->issuer.public_key,
                                        .curve_key = making->curve.public_key,
                                        .role = FLZ_ROLE_ISSUER,
                                        .scope = "network",
                                        .name = "coordinator",
                                        .days = making->days};
    int r =
        folder_write_certificate(path_of(making, "coordinator/issuer.cert"), &wanted, &making->msg);
    if (r < 0)
        return r;
    wanted.key = making->admin.public_key;
    wanted.curve_key = (struct flz_curve_public){.b = {0}};
    wanted.role = FLZ_ROLE_ADMIN;
    wanted.name = "administrator";
    return folder_write_certificate(path_of(making, "admin/admin.cert"), &wanted, &making->msg);
}

static int make(struct making *making)
{
    int r = check_absent(making);
    if (r == 0)
        r = make_folders(making);
    if (r == 0)
        r = make_keys(making);
    if (r == 0)
        r = save_keys(making);
    if (r == 0)
        r = save_secrets(making);
    if (r == 0)
        r = save_certificates(making);
    if (r == 0)
        r = folder_write_network(path_of(making, "coordinator"), &making->network, &making->msg);
    if (r == 0)
        r = folder_write_context(path_of(making, "admin"), &making->network, &making->msg);
    return r;
}

/* ---- Telling ---- */

static void tell(const struct making *making)
{
    const char *network = flz_id_str(making->network.trust.network);
    if (making->ctl->output == CTL_JSON) {
        json_t *json =
            json_pack("{s:s,s:s,s:i,s:{s:s,s:s,s:s,s:s,s:s}}", "apiVersion", "fluenzr/v1", "kind",
                      "Network", "revision", 0, "item", "id", network, "name", making->network.name,
                      "rootDir", path_of(making, "root"), "adminDir", path_of(making, "admin"),
                      "coordinatorDir", path_of(making, "coordinator"));
        show_json(json);
        json_decref(json);
        return;
    }
    if (making->ctl->quiet)
        return;
    (void)printf("network %s, id %s\n\n"
                 "%-28s the root key. Move this folder offline now: it is needed only to renew\n"
                 "%-28s certificates and for new administrators. Who has it owns the network.\n"
                 "%-28s for administrators: fluenzrctl -i %s status\n"
                 "%-28s for the coordinator: identity_dir in its configuration\n\n"
                 "Certificates last %lld days.\n\nnext:\n"
                 "  1. start the coordinator with identity_dir: %s\n"
                 "  2. fluenzrctl -i %s node invite NAME --out token\n"
                 "  3. on the node's host: fluenzr-node enrols with that token\n"
                 "  4. there: fluenzrctl account import FILE.csv --consent-by NAME\n",
                 making->network.name, network, path_of(making, "root"), "",
                 path_of(making, "admin"), path_of(making, "admin"), path_of(making, "coordinator"),
                 (long long)making->days, path_of(making, "coordinator"), path_of(making, "admin"));
}

int cmd_init(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(deinit) struct making making = {.ctl = ctl,
                                              .root = KEYS_SIGN_NULL,
                                              .issuer = KEYS_SIGN_NULL,
                                              .admin = KEYS_SIGN_NULL,
                                              .curve = KEYS_CURVE_NULL};
    int code = read_words(arguments, &making);
    if (code != 0)
        return code;
    int r = make(&making);
    if (r < 0 && !making.msg.text[0])
        flz_msg_set(&making.msg, "%s: %s", making.dir, strerror(-r));
    if (r == -EEXIST)
        return talk_fail(ctl, ADMIN_FAILED, "EXISTS", making.msg.text,
                         "name another --dir, or remove the old folders yourself");
    if (r < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NOT_MADE", making.msg.text, "");
    tell(&making);
    return 0;
}
