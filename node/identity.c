#include "node/identity.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/config.h"
#include "common/sys/fsutil.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CERTIFICATE_TEXT_MAX (64 * 1024)

/* The trust file: what the join token said, in words. */
struct trust_file {
    char network[CONFIG_TEXT_MAX];
    char root[CONFIG_TEXT_MAX];
    char name[CONFIG_TEXT_MAX];
    char contact[CONFIG_TEXT_MAX];
    char endpoint[CONFIG_TEXT_MAX];
    char coordinator[CONFIG_TEXT_MAX];
};

static const struct config_key trust_keys[] = {
    {"network", CONFIG_TEXT, offsetof(struct trust_file, network), .help = "id of the network"},
    {"root", CONFIG_TEXT, offsetof(struct trust_file, root), .help = "its root key"},
    {"name", CONFIG_TEXT, offsetof(struct trust_file, name), .help = "its name"},
    {"contact", CONFIG_TEXT, offsetof(struct trust_file, contact), .help = "how to stop"},
    {"endpoint", CONFIG_TEXT, offsetof(struct trust_file, endpoint), .help = "its coordinator"},
    {"coordinator", CONFIG_TEXT, offsetof(struct trust_file, coordinator),
     .help = "CURVE key of the coordinator"},
};
#define TRUST_KEYS_COUNT (sizeof trust_keys / sizeof *trust_keys)

static void path_of(const char *state_dir, const char *name, char path[static 4096])
{
    (void)snprintf(path, 4096, "%s/identity/%s", state_dir, name);
}

static int load_trust(const char *state_dir, struct identity *identity, struct flz_msg *msg)
{
    char path[4096];
    struct trust_file file;
    path_of(state_dir, "trust.yaml", path);
    int r = config_load(path, trust_keys, TRUST_KEYS_COUNT, &file, NULL, msg);
    if (r < 0)
        return r;
    if (flz_id_parse(file.network, &identity->trust.network) < 0 ||
        keys_sign_parse(file.root, &identity->trust.root) < 0 ||
        keys_curve_parse(file.coordinator, &identity->coordinator_key) < 0 ||
        flz_text_copy(identity->network_name, sizeof identity->network_name, file.name) < 0 ||
        flz_text_copy(identity->contact, sizeof identity->contact, file.contact) < 0 ||
        flz_text_copy(identity->endpoint, sizeof identity->endpoint, file.endpoint) < 0) {
        flz_msg_set(msg, "%s: a value cannot be read; enrol this node again", path);
        return flz_fail(-EINVAL);
    }
    return 0;
}

/* Reads lines of base64url; each is handed over as bytes. */
static int each_line(const char *path, int (*on_bytes)(struct flz_view bytes, void *data),
                     void *data, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    int r = fsutil_read(path, CERTIFICATE_TEXT_MAX, &text, msg);
    if (r < 0)
        return r;
    const char *line = flz_buf_str(&text);
    while (*line) {
        size_t len = strcspn(line, "\n");
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        struct flz_view view = {.data = (const uint8_t *)line, .len = len};
        if (len > 0) {
            r = flz_base64url_decode(view, &bytes);
            if (r == 0)
                r = on_bytes(flz_buf_view(&bytes), data);
        }
        if (r < 0) {
            flz_msg_wrap(msg, "%s", path);
            return r;
        }
        line += len + (line[len] == '\n');
    }
    return 0;
}

struct load {
    struct identity *identity;
    struct flz_msg *msg;
};

static int on_certificate(struct flz_view bytes, void *data)
{
    struct load *load = data;
    struct identity *identity = load->identity;
    struct flz_node_identity node;
    int r = flz_cert_check_node(&identity->trust, bytes, &node, load->msg);
    if (r < 0)
        return r;
    if (memcmp(node.sign_key.b, identity->sign.public_key.b, 32) != 0 ||
        memcmp(node.curve_key.b, identity->curve.public_key.b, 32) != 0) {
        flz_msg_set(load->msg, "the certificate is not for this node's keys");
        return flz_fail(-EKEYREJECTED);
    }
    identity->node = node.node;
    memcpy(identity->name, node.name, sizeof identity->name);
    flz_buf_reset(&identity->certificate);
    flz_buf_add_view(&identity->certificate, bytes);
    return flz_buf_error(&identity->certificate);
}

static int on_issuer(struct flz_view bytes, void *data)
{
    struct load *load = data;
    struct identity *identity = load->identity;
    struct flz_certificate certificate;
    if (identity->issuers_count == IDENTITY_ISSUERS_MAX)
        return flz_fail(-E2BIG);
    /* A retired issuer still vouches for the mail it signed: the time is looked at when it is
     * used, so here only the signature and the network are. */
    int r = flz_cert_check_any_time(&identity->trust, bytes, &certificate, load->msg);
    if (r < 0)
        return r;
    if (certificate.role != FLZ_ROLE_ISSUER) {
        flz_msg_set(load->msg, "'%s' is no coordinator's certificate", certificate.name);
        return flz_fail(-EKEYREJECTED);
    }
    identity->issuers[identity->issuers_count++] = certificate;
    return 0;
}

static int load_all(const char *state_dir, struct identity *identity, struct flz_msg *msg)
{
    char path[4096];
    struct load load = {.identity = identity, .msg = msg};
    int r = load_trust(state_dir, identity, msg);
    if (r < 0)
        return r;
    path_of(state_dir, "node.sign", path);
    r = keys_sign_load(path, &identity->sign, msg);
    if (r < 0)
        return r;
    path_of(state_dir, "node.curve", path);
    r = keys_curve_load(path, &identity->curve, msg);
    if (r < 0)
        return r;
    path_of(state_dir, "node.cert", path);
    r = each_line(path, on_certificate, &load, msg);
    if (r < 0)
        return r;
    path_of(state_dir, "issuers", path);
    r = each_line(path, on_issuer, &load, msg);
    if (r == 0 && (identity->issuers_count == 0 || identity->certificate.len == 0)) {
        flz_msg_set(msg, "%s: no certificate there", path);
        r = flz_fail(-EINVAL);
    }
    return r;
}

int identity_load(const char *state_dir, struct identity *ret_identity, struct flz_msg *msg)
{
    char path[4096];
    path_of(state_dir, "trust.yaml", path);
    if (access(path, F_OK) != 0)
        return IDENTITY_E_ABSENT;
    struct identity identity = {.sign = KEYS_SIGN_NULL, .curve = KEYS_CURVE_NULL};
    int r = load_all(state_dir, &identity, msg);
    if (r < 0) {
        identity_deinit(&identity);
        return r;
    }
    *ret_identity = identity;
    return 0;
}

void identity_deinit(struct identity *identity)
{
    keys_sign_deinit(&identity->sign);
    keys_curve_deinit(&identity->curve);
    flz_buf_deinit(&identity->certificate);
}

const struct flz_certificate *identity_issuer(const struct identity *identity,
                                              struct flz_key_id key)
{
    for (size_t i = 0; i < identity->issuers_count; i++) {
        struct flz_key_id id = flz_key_id_of(&identity->issuers[i].key);
        if (memcmp(id.b, key.b, sizeof id.b) == 0)
            return &identity->issuers[i];
    }
    return NULL;
}

struct flz_signer identity_signer(const struct identity *identity)
{
    /* keys_on_sign() only reads the pair. */
    return (struct flz_signer){.key = identity->sign.public_key,
                               .on_sign = keys_on_sign,
                               .data = (void *)(uintptr_t)&identity->sign};
}
