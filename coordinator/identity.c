#include "coordinator/identity.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/config.h"
#include "common/sys/fsutil.h"
#include "coordinator/certfile.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* network.yaml */
struct network_file {
    char id[CONFIG_TEXT_MAX];
    char name[CONFIG_TEXT_MAX];
    char contact[CONFIG_TEXT_MAX];
    char root[CONFIG_TEXT_MAX];
};

static const struct config_key network_keys[] = {
    {"id", CONFIG_TEXT, offsetof(struct network_file, id), .help = "network id, 32 hex digits"},
    {"name", CONFIG_TEXT, offsetof(struct network_file, name), .min = 1, .max = FLZ_NAME_MAX - 1,
     .help = "the network's name"},
    {"contact", CONFIG_TEXT, offsetof(struct network_file, contact),
     .help = "how to stop; stands in each message"},
    {"root", CONFIG_TEXT, offsetof(struct network_file, root), .help = "root public key"},
};

static void path_in(const char *dir, const char *name, char ret_path[static PATH_MAX])
{
    (void)snprintf(ret_path, PATH_MAX, "%s/%s", dir, name);
}

static int load_network(const char *dir, struct coordinator_identity *identity, struct flz_msg *msg)
{
    char path[PATH_MAX];
    struct network_file file;
    path_in(dir, "network.yaml", path);
    int r = config_load(path, network_keys, sizeof network_keys / sizeof *network_keys, &file, NULL,
                        msg);
    if (r < 0)
        return r;
    struct flz_address contact;
    if (flz_id_parse(file.id, &identity->trust.network) < 0)
        flz_msg_set(msg, "%s: id is not 32 hex digits", path);
    else if (keys_sign_parse(file.root, &identity->trust.root) < 0)
        flz_msg_set(msg, "%s: root is not a public key", path);
    else if (flz_address_parse(file.contact, &contact) < 0)
        flz_msg_set(msg, "%s: contact is not an address we could be written to", path);
    else {
        (void)flz_text_copy(identity->name, sizeof identity->name, file.name);
        memcpy(identity->contact, contact.text, sizeof identity->contact);
        return 0;
    }
    return flz_fail(-EINVAL);
}

static int load_keys(const char *dir, struct coordinator_identity *identity, struct flz_msg *msg)
{
    char path[PATH_MAX];
    path_in(dir, "issuer.sign", path);
    int r = keys_sign_load(path, &identity->issuer, msg);
    if (r < 0)
        return r;
    path_in(dir, "coordinator.curve", path);
    r = keys_curve_load(path, &identity->curve, msg);
    if (r < 0)
        return r;
    path_in(dir, "network.key", path);
    r = keys_secret_load(path, IDENTITY_NETWORK_KEY, IDENTITY_NETWORK_KEY_LEN,
                         &identity->network_key, msg);
    if (r < 0)
        return r;
    path_in(dir, "persons.key", path);
    struct seal_source source = {.kind = SEAL_SOURCE_FILE, .name = path};
    return seal_key_open(&source, &identity->persons_key, msg);
}

/* The certificate must be the root's word on these very keys, today. */
static int load_certificate(const char *dir, int64_t real_now,
                            struct coordinator_identity *identity, struct flz_msg *msg)
{
    char path[PATH_MAX];
    path_in(dir, "issuer.cert", path);
    int r = certfile_load(path, &identity->issuer_cert, msg);
    if (r < 0)
        return r;
    struct flz_certificate *certificate = &identity->issuer_certificate;
    r = flz_cert_check(&identity->trust, flz_buf_view(&identity->issuer_cert), real_now,
                       certificate, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "%s", path);
        return r;
    }
    if (certificate->role != FLZ_ROLE_ISSUER)
        flz_msg_set(msg, "%s: not an issuer's certificate", path);
    else if (memcmp(certificate->key.b, identity->issuer.public_key.b, sizeof certificate->key.b) !=
             0)
        flz_msg_set(msg, "%s: names another key than issuer.sign", path);
    else if (memcmp(certificate->curve_key.b, identity->curve.public_key.b,
                    sizeof certificate->curve_key.b) != 0)
        flz_msg_set(msg, "%s: names another key than coordinator.curve", path);
    else
        return 0;
    return flz_fail(-EKEYREJECTED);
}

int coordinator_identity_load(const char *dir, int64_t real_now,
                              struct coordinator_identity *ret_identity, struct flz_msg *msg)
{
    _cleanup_(coordinator_identity_deinit) struct coordinator_identity identity =
        COORDINATOR_IDENTITY_NULL;
    int r = load_network(dir, &identity, msg);
    if (r == 0)
        r = load_keys(dir, &identity, msg);
    if (r == 0)
        r = load_certificate(dir, real_now, &identity, msg);
    if (r == -ENOENT)
        flz_msg_wrap(msg, "the identity is not complete ('fluenzrctl init' makes it)");
    if (r < 0)
        return r;
    *ret_identity = identity;
    identity = COORDINATOR_IDENTITY_NULL;
    return 0;
}

void coordinator_identity_deinit(struct coordinator_identity *identity)
{
    keys_sign_deinit(&identity->issuer);
    keys_curve_deinit(&identity->curve);
    flz_buf_deinit(&identity->issuer_cert);
    flz_secret_deinit(&identity->network_key);
    seal_key_deinit(&identity->persons_key);
    *identity = COORDINATOR_IDENTITY_NULL;
}

struct flz_signer coordinator_identity_signer(const struct coordinator_identity *identity)
{
    return (struct flz_signer){.key = identity->issuer.public_key,
                               .on_sign = keys_on_sign,
                               .data = (void *)(uintptr_t)&identity->issuer};
}
