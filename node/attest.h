/*
 * What a node checks itself, whoever asks (DESIGN 7): that a task's recipient is a consenting
 * member, that the header it would send was signed by a coordinator, and that a message found in a
 * mailbox truly is the one that was announced.
 */
#pragma once

#include "common/base/error.h"
#include "node/core/header.h"
#include "proto/xheader.h"
#include "node/identity.h"
#include "proto/vocab.h"

#include <stdbool.h>

/*
 * The network's time. `civil`: it runs at the world's pace, so that certificates, which are dated
 * in real time, can be held against it; a lab's time can be any, and its certificates count always.
 */
struct attest_time {
    int64_t now;
    bool civil;
};

/*
 * Certificates of nodes that were checked once. What was found good stays good: the check depends
 * on the certificate's bytes and the network's root alone. Who was revoked is asked elsewhere, each
 * time.
 */
struct attest_nodes;

struct attest_nodes *attest_nodes_new(void); /* NULL: no memory */
struct attest_nodes *attest_nodes_free(struct attest_nodes *nodes);
size_t attest_nodes_count(const struct attest_nodes *nodes);

/*
 * A task of a believed frame. Sends: the recipient's attestation, signed by a node whose
 * certificate is in the frame; role addresses are refused; and the mail header's signature is that
 * of a coordinator whose certificate is valid at its t. FLZ_REASON_NONE, or why not.
 */
enum flz_reason attest_task(const struct identity *identity, struct attest_nodes *nodes,
                            const struct flz_tasks *frame, const struct flz_task *task,
                            struct attest_time time, struct flz_msg *msg);

/* The node that signed the attestation of a task that attest_task() found good. NONE, or
 * NO_ATTESTATION when there is none to read. */
enum flz_reason attest_signer(const struct flz_task *task, struct flz_id *ret_node);

/* The value of X-FluenzR for a send, with the signature the task carries; checked. 0 or
 * negative. */
int attest_mail_header(const struct identity *identity, const struct flz_task *task,
                       const struct flz_address *from, const struct flz_address *to,
                       struct attest_time time, char ret_value[static XHEADER_VALUE_MAX],
                       struct flz_msg *msg);

/*
 * Is this message `turn` of the task's exchange? Its X-FluenzR must name this network, that
 * exchange and turn, be signed by a coordinator whose certificate was valid at t for the From and
 * To that stand there, and not be expired. True, or false with the reason in msg.
 */
bool attest_found_header(const struct identity *identity, const struct flz_task *task,
                         uint32_t turn, const struct header *header, struct attest_time time,
                         struct flz_msg *msg);

/*
 * Is this a message of the network that this account sent or received, and is it older than
 * `before`, and expired, so that no task can be about it any more? By its X-FluenzR alone, whatever
 * its exchange. True, or false with the reason in msg.
 */
bool attest_kept_header(const struct identity *identity, const char *address, int64_t before,
                        const struct header *header, struct attest_time time, struct flz_msg *msg);
