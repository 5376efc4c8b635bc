/*
 * The coordinator's configuration: fluenzr-coordinator.yaml (deploy/conf has a sample with every
 * key). Unknown keys refuse to start (exit 78).
 */
#pragma once

#include "common/sys/daemon.h"

struct config {
    char state_dir[CONFIG_TEXT_MAX];    /* log and store */
    /* issuer.sign, issuer.cert, coordinator.curve, network.yaml, network.key, persons.key: made by
     * `fluenzrctl init` */
    char identity_dir[CONFIG_TEXT_MAX];
    char listen_nodes[CONFIG_TEXT_MAX];  /* tcp://ADDRESS:7400 */
    char listen_enrol[CONFIG_TEXT_MAX];  /* tcp://ADDRESS:7401 */
    char listen_admin[CONFIG_TEXT_MAX];  /* ipc:///run/fluenzr/coordinator.sock */
    char listen_http[CONFIG_TEXT_MAX];   /* 127.0.0.1:7480 */
    char content_dir[CONFIG_TEXT_MAX];   /* *.pack */
    int64_t lease_ms;                    /* at most 15 min */
    int64_t heartbeat_ms;                /* that nodes are told to keep; for `connected` */
    int64_t lab_clock_rate_milli;        /* 1000 = real time */
    char lab_start[CONFIG_TEXT_MAX]; /* RFC 3339: network time at the first start of a lab; "" */
    int64_t keep_log_ms;     /* network time, that an event stays in the log */
    int64_t keep_archive_ms; /* … and in the archive, from the event on; 0: for ever */
    struct daemon_settings daemon;
};

/* For config_load() and config_dump(). */
extern const struct config_key coordinator_config_keys[];
extern const size_t coordinator_config_keys_count;
