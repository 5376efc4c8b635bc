/*
 * Delivery reports: what a server says later of a message it had taken. Reads RFC 3464 (in the
 * multipart/report of RFC 6522) as Postfix, Exim, Exchange and others write it, and the texts of
 * those that write none: qmail's and Yahoo's "<address>:" paragraphs, Exim's older form.
 *
 * Anybody can send a mail that looks like a report. What stands in one is a claim; whether it is
 * about a message of ours is for the caller to find out, by the ids in it (attest.h).
 *
 * Never fails on hostile bytes, allocates nothing, sees less at worst. What it keeps is bounded.
 */
#pragma once

#include "common/base/address.h"
#include "node/core/header.h"
#include "node/core/mime.h"
#include "node/core/reply.h"

#include <stdbool.h>
#include <stddef.h>

#define DSN_RECIPIENTS_MAX 8 /* our messages have one; later ones are not read */
#define DSN_TEXT_MAX 512     /* a server's words, bytes with the NUL; the rest is cut */
#define DSN_ID_MAX 128       /* an envelope id; longer ones count as absent */

enum dsn_action {
    DSN_ACTION_NONE, /* none that RFC 3464 2.3.3 names */
    DSN_FAILED,
    DSN_DELAYED, /* no failure: it is still being tried */
    DSN_DELIVERED,
    DSN_RELAYED,
    DSN_EXPANDED,
};

struct dsn_recipient {
    char address[FLZ_ADDRESS_MAX];  /* whom it could not be delivered to; "" = none we can read */
    char original[FLZ_ADDRESS_MAX]; /* as the sender had written it; "" = not told */
    enum dsn_action action;
    int code;                        /* SMTP code; 0 = none is quoted */
    struct reply_enhanced enhanced;  /* that of the words, else Status; class 0 = none */
    char text[DSN_TEXT_MAX];         /* the words, unfolded, printable ASCII */
    char remote_mta[FLZ_DOMAIN_MAX]; /* the server that said so; "" = not told */
};

struct dsn {
    bool standard; /* RFC 3464; else it was read from text */
    char envelope_id[DSN_ID_MAX];
    char reporting_mta[FLZ_DOMAIN_MAX];
    struct dsn_recipient recipients[DSN_RECIPIENTS_MAX];
    size_t recipients_count;
    bool has_original; /* the message it is about came back, or its header */
    struct header original;
};

/* True when it is a delivery report with at least one recipient; else *ret_dsn is of no use. */
bool dsn_parse(struct flz_view message, struct dsn *ret_dsn);

/* Fields of reports. "type; rest" (RFC 3464 2.1.2): the rest, and without a type all of it. */
const char *dsn_behind_type(const char *text);
/* An address, bare, in angle brackets, or with words behind it; "" for what is none. */
void dsn_take_address(const char *text, char ret_address[static FLZ_ADDRESS_MAX]);
/* A host's name in lower case; "" for what is none. */
void dsn_take_host(const char *text, char ret_host[static FLZ_DOMAIN_MAX]);

/* The header of the message that a report carries along (RFC 6522 3): false when there is none. */
bool dsn_original(const struct mime *mime, struct header *ret_header);
