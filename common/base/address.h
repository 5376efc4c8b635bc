/*
 * Mail addresses, in the strict subset we are willing to write to:
 * [A-Za-z0-9._%+'-]{1,64} "@" a host name of at least two labels, at most 253 octets (RFC 5321
 * 4.5.3.1). Everything else, quoted local parts and address literals included, is refused here, so
 * that no CR, LF, space, angle bracket or 8-bit octet ever reaches a protocol line. International
 * domains come in their A-label form.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/id.h"

#define FLZ_ADDRESS_MAX 320 /* bytes with the final NUL */
#define FLZ_DOMAIN_MAX 254

/* A checked address. `text` keeps the local part's case; the domain is lower case. */
struct flz_address {
    char text[FLZ_ADDRESS_MAX];
};

/* Checks and takes an address. 0 or -EINVAL (nothing written). */
int flz_address_parse(const char *text, struct flz_address *ret_address);

/* The part behind the "@"; borrowed from `address`. */
const char *flz_address_domain(const struct flz_address *address);

/*
 * The address by which two spellings are the same account: all lower case. `ret_text` may be the
 * field itself.
 */
void flz_address_normal(const struct flz_address *address, char ret_text[static FLZ_ADDRESS_MAX]);

/* BLAKE2b-256 over "fluenzr/address/v1" and the normal form: how the log names an address. */
struct flz_digest flz_address_digest(const struct flz_address *address);

/* A host name: labels of letters, digits and inner hyphens. 0 or -EINVAL. */
int flz_domain_check(const char *domain);

/* One label of a host name, as nodes are named by: "n1", "mail-paris". 0 or -EINVAL. */
int flz_label_check(const char *label);

/* True when the local part is a role, never a person (RFC 2142 and the like): such addresses are
 * refused. */
bool flz_address_is_role(const struct flz_address *address);
