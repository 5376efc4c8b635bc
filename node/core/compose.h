/*
 * The fields of one message of an exchange, from its task's numbers and the content pack: decides
 * every field and every byte of text, renders nothing (node/render.h does). Pure and deterministic:
 * a retry composes the same message.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/content/content.h"
#include "proto/xheader.h"

#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_NAME_MAX 64       /* bytes of a display name with the NUL */
#define MESSAGE_REFERENCES_MAX 8  /* the newest ones are kept */
#define MESSAGE_CONTACT_MAX 128   /* bytes with the NUL: network name, contact */

/*
 * A message before it is bytes. All texts are in place: nothing to free. Message-IDs stand without
 * angle brackets everywhere in our structs.
 */
struct message_fields {
    struct flz_address from;
    struct flz_address to;
    char from_name[MESSAGE_NAME_MAX]; /* display names, UTF-8; "" = none */
    char to_name[MESSAGE_NAME_MAX];
    char subject[CONTENT_SUBJECT_MAX]; /* UTF-8, with "Re: " on a reply */
    char message_id[XHEADER_MESSAGE_ID_MAX];
    char in_reply_to[XHEADER_MESSAGE_ID_MAX]; /* "" on a first message */
    char references[MESSAGE_REFERENCES_MAX][XHEADER_MESSAGE_ID_MAX]; /* oldest first */
    uint32_t n_references;
    int64_t date_ms;            /* network time */
    int32_t utc_offset_minutes; /* of the sender, -14 h .. 14 h: how Date is written */
    const char *auto_submitted; /* static: "auto-generated", or "auto-replied" on a reply */
    char x_fluenzr[XHEADER_VALUE_MAX]; /* value of X-FluenzR, by xheader_format(); set by the
                                          caller once it has signed, "" until then */
    char body[CONTENT_BODY_MAX + 1];   /* UTF-8, LF line ends */
};

/* What a reply answers, as it was found in the mailbox (a provider may have rewritten the id). */
struct message_parent {
    char message_id[XHEADER_MESSAGE_ID_MAX];
    char references[MESSAGE_REFERENCES_MAX][XHEADER_MESSAGE_ID_MAX]; /* oldest first */
    uint32_t n_references;
};

#define MESSAGE_PARENT_NULL ((struct message_parent){.n_references = 0})

/* All views and pointers are borrowed for the call. */
struct compose_input {
    const struct content_pack *pack;
    uint32_t scenario;
    uint32_t step; /* 0 = first message */
    uint64_t seed; /* of the exchange: the same on all its steps */
    const struct flz_address *from;
    const struct flz_address *to;
    const char *message_id;              /* by xheader_message_id_of(), in the task */
    const struct message_parent *parent; /* set exactly when step > 0 */
    int64_t date_ms;
    int32_t utc_offset_minutes;
    bool quote;          /* replies may quote up to 5 lines of their parent (the seed decides) */
    bool footer;         /* the default is to say what the message is */
    const char *network; /* name of the network and whom to write to to stop it; needed by footer */
    const char *contact;
};

/*
 * Fills *ret_fields, x_fluenzr left "". 0, -ERANGE (scenario or step not in the pack), -EINVAL (a
 * field that must not stand in a message; msg names it), -EMSGSIZE (text above the limits), or
 * -ENOMEM. `msg` may be NULL.
 */
int compose_message(const struct compose_input *input, struct message_fields *ret_fields,
                    struct flz_msg *msg);

/* Adds one id at the end of a parent's references when it is well formed; else it is skipped. Used
 * while reading the References header of a message found. */
void message_parent_add(struct message_parent *parent, struct flz_view id);

/*
 * Names of the person behind an address, read from its local part: "camille.durand@…" gives
 * "Camille Durand" and "Camille". Both are "" when it does not look like a person's name (digits,
 * initials, a function); "" is always safe.
 */
void compose_names_of(const struct flz_address *address, char ret_full[static MESSAGE_NAME_MAX],
                      char ret_given[static MESSAGE_NAME_MAX]);
