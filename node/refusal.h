/*
 * What the mail engines' refusals mean in the words of the protocol (enum flz_reason): a thin
 * bridge from node/core/classify to receipts.
 */
#pragma once

#include "node/core/smtp.h"
#include "node/core/visit.h"
#include "node/io/conn.h"
#include "proto/vocab.h"

#include <stdbool.h>

/* A transaction's end. */
enum flz_reason refusal_of_result(const char *provider, const struct smtp_result *result);

/* A session that never came to a transaction; `*ret_permanent`: trying again unchanged is
 * useless. */
enum flz_reason refusal_of_session(const char *provider, enum conn_end end,
                                   const struct smtp_result *result, bool *ret_permanent);

/* A visit's end; FLZ_REASON_NONE when it went well. */
enum flz_reason refusal_of_visit(enum visit_end end, enum conn_end conn);
