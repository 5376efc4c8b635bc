/*
 * A coordinator for tests of the node: real sockets and signatures with keys of the test, no plan.
 * It enrols a node, welcomes it, gives it its pulse and acknowledges its reports; tasks are made by
 * the test. It says wrong things on demand.
 */
#pragma once

#include "common/base/map.h"
#include "common/sys/bus.h"
#include "common/sys/keys.h"
#include "proto/cert.h"
#include "proto/codec.h"

#include <uv.h>

#define COORDFAKE_NOTICES_MAX 32
#define COORDFAKE_RECEIPTS_MAX 20000
#define COORDFAKE_ACCOUNTS_MAX 20000
#define COORDFAKE_NETWORK_START INT64_C(1803880800000) /* 2027-03-01T06:00:00Z, a Monday */

struct coordfake {
    uv_loop_t loop;
    struct bus *bus;
    struct bus_socket *nodes;
    struct bus_socket *doors; /* enrolment */
    struct keys_sign_pair root, issuer, admin, token;
    struct keys_curve_pair curve;
    struct flz_id network, node;
    struct flz_buf issuer_certificate, admin_certificate, node_certificate;
    struct flz_view issuers[1];

    /* How it behaves; changed by tests at any time. */
    bool refuses;                 /* WELCOME says no */
    bool deaf;                    /* answers no HEARTBEAT */
    bool keeps_reports;           /* acknowledges none */
    const char *refuses_accounts; /* the verdict's text; NULL: accepted */
    struct flz_id renames_to;     /* the id a verdict gives; null: the node's own */
    int64_t lease_ms;
    int64_t rate_milli;
    int64_t jump_ms;        /* added to network time */
    struct flz_pause pause; /* scope 0: none */
    struct flz_id suppressed; /* an account nobody writes to; null: none */
    uint64_t revocations;   /* how many the pulse speaks of */
    uint64_t epoch;
    struct flz_id generation;
    int64_t base_boot;

    /* What it has heard. */
    struct bus_peer peer;
    bool has_peer;
    uint64_t seq; /* of its own frames */
    unsigned hellos, heartbeats, joins;
    struct flz_hello hello; /* the newest; its arrays are gone */
    struct flz_heartbeat heartbeat;
    struct flz_id incarnation;
    uint64_t acked;
    struct flz_receipt *receipts; /* room for COORDFAKE_RECEIPTS_MAX */
    size_t receipts_count; /* their vouchers are not kept, but for the newest: */
    struct flz_buf voucher;
    /* Room for COORDFAKE_ACCOUNTS_MAX each; one index for all three. */
    struct flz_account *accounts; /* newest report by address */
    struct flz_buf *attestations;
    struct flz_probe *probes; /* newest of the account */
    size_t accounts_count;
    struct flz_map accounts_by_id;
    struct flz_map accounts_by_address;
    unsigned probes_count;
    unsigned releases;
    struct flz_report notices[COORDFAKE_NOTICES_MAX]; /* the newest ones; their notices alone */
    unsigned notices_count;
};

/* Makes keys, listens on loopback. Aborts the test on failure. */
struct coordfake *coordfake_new(void);
struct coordfake *coordfake_free(struct coordfake *fake);

/* The line of `node invite`, for the file named by join_token_file. */
void coordfake_token(struct coordfake *fake, struct flz_buf *text);

/* Runs the loop for so long. */
void coordfake_run(struct coordfake *fake, int ms);

/* Runs it until on_true says so; false after `ms`. */
bool coordfake_wait(struct coordfake *fake, int ms, bool (*on_true)(void *data), void *data);

int64_t coordfake_now(const struct coordfake *fake);

/* The account of this address as the node reported it; NULL: none. */
const struct flz_account *coordfake_account(const struct coordfake *fake, const char *address);
const struct flz_probe *coordfake_probe(const struct coordfake *fake, const char *address);

/*
 * A task of an exchange: `turn` is sent by `from` to `to`, and the task is for the account that
 * acts. All fields are set, valid, with a slot from now to eight hours later. Change what shall be
 * wrong, then coordfake_sign_mail() if it concerns the mail header. Views point into the fake.
 */
struct flz_task coordfake_task(struct coordfake *fake, enum flz_task_kind kind,
                               struct flz_id exchange, uint32_t turn, const char *from,
                               const char *to);
void coordfake_sign_mail(struct coordfake *fake, struct flz_task *task);

/* The frame header that is right now; each call takes the next seq. */
struct flz_frame_header coordfake_header(struct coordfake *fake);

/* Sends tasks in one good frame. */
void coordfake_order(struct coordfake *fake, const struct flz_task *tasks, size_t n);

/* Hands on the revocation of a node, as this number, signed by the administrator's key or not. */
void coordfake_revoke(struct coordfake *fake, struct flz_id node, uint64_t number,
                      const struct keys_sign_pair *key);

/* Vouches for the recipient of a send by a node of its own, `node`, and orders it. */
void coordfake_order_elsewhere(struct coordfake *fake, struct flz_task task, struct flz_id node);

/* Sends any frame, signed by any key. */
void coordfake_send(struct coordfake *fake, enum flz_kind kind, const struct flz_codec *codec,
                    const void *frame, const struct keys_sign_pair *key);

/* The n-th receipt of a task, counted from 0; NULL: not yet. */
const struct flz_receipt *coordfake_receipt(const struct coordfake *fake, struct flz_id task,
                                            size_t n);

/* A random id. */
struct flz_id coordfake_id(void);
