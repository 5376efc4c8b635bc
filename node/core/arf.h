/*
 * Complaints: what a provider's feedback loop sends when a person calls one of our messages spam.
 * Reads RFC 5965 (multipart/report; report-type=feedback-report), as Yahoo and most others write
 * it, and Microsoft's older form, the message itself with X-HmXmrOriginalRecipient.
 *
 * As with dsn.h: a report is a claim, whose ids the caller checks. Never fails on hostile bytes.
 */
#pragma once

#include "common/base/address.h"
#include "node/core/dsn.h"
#include "node/core/header.h"

#include <stdbool.h>

enum arf_type {
    ARF_OTHER, /* and those we do not know */
    ARF_ABUSE,
    ARF_FRAUD,
    ARF_VIRUS,
    ARF_OPT_OUT,
    ARF_NOT_SPAM,     /* RFC 6430: the opposite of a complaint */
    ARF_AUTH_FAILURE, /* RFC 6591: about SPF and DKIM, no person's word */
};

struct arf {
    enum arf_type type;
    char user_agent[HEADER_TOKEN_MAX];
    char recipient[FLZ_ADDRESS_MAX]; /* who complains; "" = not told (loops blank it) */
    char reporter[FLZ_DOMAIN_MAX];   /* Reporting-MTA, else Reported-Domain; "" = not told */
    char envelope_id[DSN_ID_MAX];
    bool has_original;
    struct header original;
};

/* True when it is a feedback report. */
bool arf_parse(struct flz_view message, struct arf *ret_arf);

/* Does a person complain? */
bool arf_is_complaint(const struct arf *arf);

const char *arf_type_str(enum arf_type type);
