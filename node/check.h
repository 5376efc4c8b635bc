/*
 * A check of one account, stage by stage, for a person who wants to know what works and what does
 * not: DNS, access token, then SMTP (connection, TLS, EHLO, AUTH, MAIL and RSET) and IMAP
 * (connection, TLS, login, folders, quota). No message is sent and no mailbox is changed. It tells
 * how long each stage took and what was said; a stage that fails ends its server's part, not the
 * other's. It is held back by no back-off, and what it finds counts for nothing else.
 */
#pragma once

#include "common/sys/admin.h"
#include "node/domains.h"
#include "node/io/conn.h"
#include "node/members.h"
#include "node/tokens.h"

#define CHECK_WAIT_MS 15000  /* for DNS, and for an access token */
#define CHECK_WALL_MS 120000 /* of the IMAP part; each answer of SMTP has CHECK_REPLY_MS */
#define CHECK_REPLY_MS 30000
#define CHECKS_MAX 8 /* at a time */

struct check;

/* Everything is borrowed. */
struct check_parts {
    struct uv_loop_s *loop;
    struct conn_pool *pool;
    struct members *members;
    struct domains *domains;
    struct tokens *tokens;
    const char *ehlo_name;
    int64_t connect_timeout_ms;
    struct check **running; /* under way, linked; owned by themselves */
};

/*
 * Serves one call about this account; answers it when all is over, ADMIN_OK when every stage went
 * well, with
 *     {kind: "AccountTest", address, ok, stages: [{stage, ok, ms, text}]}
 */
void check_start(const struct check_parts *parts, const struct member *member,
                 struct admin_call *call);

/* The daemon stops: ends all that are under way, with an answer that says so. */
void check_cancel_all(struct check **running);
