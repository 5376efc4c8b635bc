/*
 * `account import` and `account add`: takes accounts into the node, row by row, each with a verdict
 * of its own. A row passes: reading (node/row.h), DNS of its domain, provider policy and opt-out,
 * then the journal, then the coordinator. Idempotent by address: the same row again changes what
 * differs and keeps the account's id. An address that stands in the file twice is refused on both
 * lines. The answer's "note" says when the node's accounts cannot be paired with one another.
 */
#pragma once

#include "common/sys/admin.h"
#include "common/sys/tz.h"
#include "node/domains.h"
#include "node/identity.h"
#include "node/link.h"
#include "node/members.h"
#include "node/outbox.h"
#include "node/providers.h"
#include "node/tokens.h"

#define IMPORT_DNS_WAIT_MS 10000
#define IMPORT_VERDICT_WAIT_MS 10000
#define IMPORT_ROWS_MAX 20000

/* Everything is borrowed. */
struct import_parts {
    struct uv_loop_s *loop;
    struct members *members;
    struct outbox *outbox;
    struct domains *domains;
    const struct providers *providers;
    struct tokens *tokens;
    struct tz *tz;
    const struct identity *identity;
    struct link *link;
    void (*on_member)(struct flz_id account, void *data); /* one was taken in, or changed */
    void *data;
    struct import **running; /* imports under way, linked; owned by themselves */
};

/*
 * Serves one call; answers it when every row has its verdict. The body is the CSV. Arguments:
 * `consent-by` (required: who gave the owners' consent), `consent-until` (RFC 3339 date, default
 * 180 days), `consent` (actions, default send,open,reply,move), `accept` ("ask": the operator has
 * the mail provider's permission where policy asks for it), `dry-run`. Each row that is taken tells
 * by `firstSlot` from when on its hours let it send: network time, "" when that is not known.
 */
void import_start(const struct import_parts *parts, struct admin_call *call);

/* The daemon stops: ends all that are under way, with an answer that says so. What they have stored
 * stays stored. */
void import_cancel_all(struct import **running);

/* Makes the account's report with a fresh attestation and puts it into the outbox. 0 or
 * negative. */
int import_report(const struct import_parts *parts, struct member *member);
