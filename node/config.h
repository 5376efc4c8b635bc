/*
 * The node's configuration: fluenzr-node.yaml (deploy/conf has a sample with every key). Unknown
 * keys refuse to start (exit 78).
 */
#pragma once

#include "common/sys/config.h"

#include <stdbool.h>

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
    int64_t probe_age_ms;
    int64_t credit;
    int log_level;
    int log_format;
    bool allow_unlocked_memory;
};

/* 0 or negative (msg with file:line:col). */
int node_config_load(const char *path, struct config *ret_config, struct flz_msg *msg);
/* The effective values with their sources, as YAML. */
int node_config_show(const char *path, struct flz_buf *buf, struct flz_msg *msg);
