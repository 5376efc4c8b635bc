/*
 * The node's configuration: fluenzr-node.yaml (deploy/conf has a sample with every key). Unknown
 * keys refuse to start (exit 78).
 */
#pragma once

#include "common/sys/daemon.h"
#include "node/grant.h"

struct config {
    char state_dir[CONFIG_TEXT_MAX];
    char join_token_file[CONFIG_TEXT_MAX]; /* read once, when the node is not enrolled yet */
    char content_dir[CONFIG_TEXT_MAX];
    char providers_file[CONFIG_TEXT_MAX];
    char ca_file[CONFIG_TEXT_MAX]; /* whom mail servers' certificates are verified against */
    char ehlo_name[CONFIG_TEXT_MAX];
    char listen_admin[CONFIG_TEXT_MAX];
    char listen_http[CONFIG_TEXT_MAX];
    char dns_servers[CONFIG_TEXT_MAX]; /* "": the system's */
    int vault_source;                  /* enum seal_source_kind */
    char vault_name[CONFIG_TEXT_MAX];  /* credential name, key file, or parameter file */
    int64_t heartbeat_ms;
    int64_t connect_timeout_ms;
    int64_t reply_timeout_ms;
    int64_t probe_age_ms;
    char feedback_imap[CONFIG_TEXT_MAX]; /* URL of the node's own mailbox of reports; "": none */
    char feedback_user[CONFIG_TEXT_MAX];
    char feedback_password_file[CONFIG_TEXT_MAX];
    int64_t feedback_every_ms;
    int64_t credit;
    char oauth_client_id[CONFIG_TEXT_MAX]; /* of the app registration; "": nobody signs in */
    char oauth_tenant[CONFIG_TEXT_MAX];
    char oauth_authority[CONFIG_TEXT_MAX];
    struct daemon_settings daemon;
};

/* For config_load() and config_dump(). */
extern const struct config_key node_config_keys[];
extern const size_t node_config_keys_count;

/* What no table of keys can say. 0 or -EINVAL (msg). */
int node_config_check(const struct config *config, struct flz_msg *msg);

/* The settings of sign-ins; borrowed from the configuration. */
struct grant_settings node_config_grant(const struct config *config);
