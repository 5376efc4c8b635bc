#include "node/config.h"

#include "common/base/time.h"
#include "common/sys/seal.h"
#include "node/endpoint.h"
#include "node/grant.h"

#include <errno.h>
#include <stddef.h>

const struct config_key node_config_keys[] = {
    {"state_dir", CONFIG_PATH, offsetof(struct config, state_dir),
     .fallback = "/var/lib/fluenzr-node", .help = "journal, identity"},
    {"join_token_file", CONFIG_PATH, offsetof(struct config, join_token_file), .fallback = "",
     .help = "the line of 'fluenzrctl node invite', mode 0600; used once"},
    {"content_dir", CONFIG_PATH, offsetof(struct config, content_dir),
     .fallback = "/usr/share/fluenzr/content", .help = "content packs, *.pack"},
    {"providers_file", CONFIG_PATH, offsetof(struct config, providers_file),
     .fallback = "/etc/fluenzr/providers.yaml", .help = "who may be warmed where"},
    {"ca_file", CONFIG_PATH, offsetof(struct config, ca_file),
     .fallback = "/etc/ssl/certs/ca-certificates.crt",
     .help = "certificates of mail servers are verified against these"},
    {"ehlo_name", CONFIG_TEXT, offsetof(struct config, ehlo_name), .fallback = "localhost",
     .help = "this host's name, as EHLO says it"},
    {"admin.listen", CONFIG_TEXT, offsetof(struct config, listen_admin),
     .fallback = "ipc:///run/fluenzr/node.sock", .help = "socket of fluenzrctl, mode 0600"},
    {"http.listen", CONFIG_TEXT, offsetof(struct config, listen_http), .fallback = "127.0.0.1:7481",
     .help = "/metrics, /livez, /readyz"},
    {"dns.servers", CONFIG_TEXT, offsetof(struct config, dns_servers), .fallback = "",
     .help = "ADDRESS:PORT, comma separated; empty: the system's"},
    {"vault.source", CONFIG_ENUM, offsetof(struct config, vault_source), .fallback = "file",
     .words = seal_source_words, .help = "where the key that seals mailbox secrets comes from"},
    {"vault.name", CONFIG_TEXT, offsetof(struct config, vault_name),
     .fallback = "/etc/fluenzr/vault/node.key",
     .help = "credential name, key file, or argon2id parameter file"},
    {"bus.heartbeat", CONFIG_DURATION, offsetof(struct config, heartbeat_ms), .fallback = "5s",
     .min = 100, .max = FLZ_MINUTE_MS, .help = "to the coordinator; authority lasts 15 minutes"},
    {"mail.connect_timeout", CONFIG_DURATION, offsetof(struct config, connect_timeout_ms),
     .fallback = "30s", .min = 100, .max = 10 * FLZ_MINUTE_MS, .help = "to a mail server"},
    {"mail.reply_timeout", CONFIG_DURATION, offsetof(struct config, reply_timeout_ms),
     .fallback = "10m", .min = FLZ_SECOND_MS, .max = 10 * FLZ_MINUTE_MS,
     .help = "of an SMTP server, at most; less leaves more messages in doubt"},
    {"mail.probe_age", CONFIG_DURATION, offsetof(struct config, probe_age_ms), .fallback = "1d",
     .min = FLZ_MINUTE_MS, .max = FLZ_DAY_MS,
     .help = "accounts are looked at again after half of it"},
    {"feedback.imap", CONFIG_TEXT, offsetof(struct config, feedback_imap), .fallback = "",
     .help = "imaps://HOST:993 of this node's own mailbox of complaints and bounces; empty: none"},
    {"feedback.user", CONFIG_TEXT, offsetof(struct config, feedback_user), .fallback = "",
     .help = "who logs in there"},
    {"feedback.password_file", CONFIG_PATH, offsetof(struct config, feedback_password_file),
     .fallback = "", .help = "one line, mode 0600"},
    {"feedback.every", CONFIG_DURATION, offsetof(struct config, feedback_every_ms),
     .fallback = "15m", .min = 100, .max = FLZ_DAY_MS, .help = "how often it is looked into"},
    {"credit", CONFIG_INT, offsetof(struct config, credit), .fallback = "5000", .min = 1,
     .max = 20000, .help = "open tasks this node takes at most"},
    {"oauth.microsoft.client_id", CONFIG_TEXT, offsetof(struct config, oauth_client_id),
     .fallback = "", .help = "application id in Entra; empty: nobody signs in to Microsoft 365"},
    {"oauth.microsoft.tenant", CONFIG_TEXT, offsetof(struct config, oauth_tenant),
     .fallback = "organizations", .help = "directory id or domain, organizations, common"},
    {"oauth.microsoft.authority", CONFIG_TEXT, offsetof(struct config, oauth_authority),
     .fallback = "https://login.microsoftonline.com", .help = "another one: loopback, for labs"},
    DAEMON_KEYS(struct config),
};

const size_t node_config_keys_count = sizeof node_config_keys / sizeof *node_config_keys;

struct grant_settings node_config_grant(const struct config *config)
{
    return (struct grant_settings){.client_id = config->oauth_client_id,
                                   .tenant = config->oauth_tenant,
                                   .authority = config->oauth_authority};
}

static int check_feedback(const struct config *config, struct flz_msg *msg)
{
    struct endpoint endpoint;
    if (!config->feedback_imap[0])
        return 0;
    int r = endpoint_parse(config->feedback_imap, &endpoint, msg);
    if (r < 0) {
        flz_msg_wrap(msg, "feedback.imap");
        return r;
    }
    if (endpoint.scheme != CONN_IMAP && endpoint.scheme != CONN_IMAPS)
        flz_msg_set(msg, "feedback.imap: imaps://HOST:993 or imap://HOST:143 is wanted");
    else if (!config->feedback_user[0] || !config->feedback_password_file[0])
        flz_msg_set(msg, "feedback.imap needs feedback.user and feedback.password_file");
    else
        return 0;
    return flz_fail(-EINVAL);
}

int node_config_check(const struct config *config, struct flz_msg *msg)
{
    int r = check_feedback(config, msg);
    if (r < 0)
        return r;
    struct grant_settings settings = node_config_grant(config);
    return grant_settings_check(&settings, msg);
}
