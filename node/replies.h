/*
 * What servers' answers mean, as data: the list `replies` of the providers file becomes the rules
 * of node/core/classify.h. Nothing is guessed: a rule that cannot be read refuses the file by line.
 *
 *     replies:
 *       - {id: no-mailbox, enhanced: [5.1.1], class: unknown-recipient, spoils: mailbox,
 *          hard: true, do: suspend}
 */
#pragma once

#include "common/sys/config.h"
#include "node/core/classify.h"

/* Reads the sequence `node`. 0; -EINVAL (msg with file:line:col) or -ENOMEM. *ret_rules is owned by
 * the caller, and given back by replies_free(). */
int replies_read(const struct config_doc *doc, struct config_node node,
                 struct classify_rules *ret_rules, struct flz_msg *msg);

/* Empties it; accepts an empty one. */
void replies_free(struct classify_rules *rules);
