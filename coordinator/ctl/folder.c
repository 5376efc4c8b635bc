/* Folders of keys and certificates: written once, read by the programs. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "common/sys/fsutil.h"
#include "coordinator/certfile.h"
#include "proto/codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_SLACK_MS (5 * FLZ_MINUTE_MS) /* of a certificate's begin */

int folder_path(const char *dir, const char *name, char *ret_path, size_t size)
{
    int n = snprintf(ret_path, size, "%s/%s", dir, name);
    return n < 0 || (size_t)n >= size ? flz_fail(-ENAMETOOLONG) : 0;
}

/* A YAML double-quoted scalar; the caller has refused control characters. */
static void add_value(struct flz_buf *buf, const char *key, const char *value)
{
    flz_buf_printf(buf, "%s: \"", key);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            flz_buf_add_byte(buf, '\\');
        flz_buf_add_byte(buf, (uint8_t)*value);
    }
    flz_buf_add_str(buf, "\"\n");
}

static int write_text(const char *dir, const char *name, struct flz_buf *text, struct flz_msg *msg)
{
    char path[1024];
    int r = folder_path(dir, name, path, sizeof path);
    if (r == 0)
        r = flz_buf_error(text);
    return r < 0 ? r : fsutil_write_new(path, 0600, flz_buf_view(text), msg);
}

int folder_write_network(const char *dir, const struct folder_network *network, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    char root[KEYS_TEXT_MAX];
    keys_sign_format(network->trust.root, root);
    flz_buf_add_str(&text, "# The network this coordinator serves; made by fluenzrctl init.\n");
    add_value(&text, "id", flz_id_str(network->trust.network));
    add_value(&text, "name", network->name);
    add_value(&text, "contact", network->contact);
    add_value(&text, "root", root);
    return write_text(dir, "network.yaml", &text, msg);
}

int folder_write_context(const char *dir, const struct folder_network *network, struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    char root[KEYS_TEXT_MAX];
    char curve[KEYS_TEXT_MAX];
    keys_sign_format(network->trust.root, root);
    keys_curve_format(network->coordinator_key, curve);
    flz_buf_add_str(&text, "# Who fluenzrctl talks to; made by fluenzrctl init.\nnetwork:\n");
    add_value(&text, "  id", flz_id_str(network->trust.network));
    add_value(&text, "  name", network->name);
    add_value(&text, "  contact", network->contact);
    add_value(&text, "  root", root);
    flz_buf_add_str(&text, "coordinator:\n");
    add_value(&text, "  key", curve);
    add_value(&text, "  admin", network->admin_endpoint);
    add_value(&text, "  nodes", network->node_endpoint);
    add_value(&text, "  enrol", network->enrol_endpoint);
    return write_text(dir, "context.yaml", &text, msg);
}

static int make_certificate(const struct folder_certificate *wanted, struct flz_buf *bytes)
{
    int64_t now = flz_realtime_ms();
    struct flz_certificate certificate = {.network = wanted->network,
                                          .key = wanted->key,
                                          .curve_key = wanted->curve_key,
                                          .role = wanted->role,
                                          .not_before = now - CLOCK_SLACK_MS,
                                          .not_after = now + wanted->days * FLZ_DAY_MS};
    randombytes_buf(&certificate.serial, sizeof certificate.serial);
    certificate.serial >>= 11; /* every JSON reader keeps 53 bits */
    int r = flz_text_copy(certificate.scope, sizeof certificate.scope, wanted->scope);
    if (r == 0)
        r = flz_text_copy(certificate.name, sizeof certificate.name, wanted->name);
    if (r < 0)
        return r;
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    struct flz_signer signer = {.key = wanted->root->public_key,
                                .on_sign = keys_on_sign,
                                .data = (void *)(uintptr_t)wanted->root};
    r = flz_encode(&flz_codec_certificate, &certificate, &payload);
    return r < 0 ? r
                 : flz_seal_signed(FLZ_KIND_CERTIFICATE, flz_buf_view(&payload), &signer, bytes);
}

int folder_write_certificate(const char *path, const struct folder_certificate *wanted,
                             struct flz_msg *msg)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    int r = make_certificate(wanted, &bytes);
    if (r < 0) {
        flz_msg_set(msg, "%s: the certificate could not be made: %s", path, strerror(-r));
        return r;
    }
    return certfile_save(path, flz_buf_view(&bytes), msg);
}
