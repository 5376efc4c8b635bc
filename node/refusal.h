/*
 * What the mail engines' refusals mean in the words of the protocol (enum flz_reason): a thin
 * bridge from node/core/classify to receipts.
 */
#pragma once

#include "node/core/classify.h"
#include "node/core/smtp.h"
#include "node/core/visit.h"
#include "node/io/conn.h"
#include "proto/vocab.h"

/* A transaction's end; `provider`: the account's. */
struct classify_verdict refusal_of_result(const struct classify_rules *rules, const char *provider,
                                          const struct smtp_result *result);

/* A session that never came to a transaction. */
enum flz_reason refusal_of_session(const struct classify_rules *rules, const char *provider,
                                   enum conn_end end, const struct smtp_result *result);

/* A visit's end; FLZ_REASON_NONE when it went well. */
enum flz_reason refusal_of_visit(enum visit_end end, enum conn_end conn);
