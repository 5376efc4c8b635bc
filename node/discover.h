/*
 * Where an address's servers are, for `account add`: what DNS says of its domain (the MX, by which
 * the providers table knows many hosts; RFC 6186 and RFC 8314: SRV records of submission and IMAP),
 * and what the table says of that provider. A suggestion that a person confirms, never more: an SRV
 * record may be forged, and names whom it likes.
 */
#pragma once

#include "common/sys/admin.h"
#include "common/sys/dns.h"
#include "node/domains.h"
#include "node/providers.h"

struct discover;

/* Everything is borrowed. */
struct discover_parts {
    struct uv_loop_s *loop;
    struct dns *dns;
    struct domains *domains;
    const struct providers *providers;
    struct discover **running; /* under way, linked; owned by themselves */
};

/*
 * Serves one call with the argument `address`; answers
 *     {kind: "AccountServers", address, domain, mx, provider, policy, reason, login,
 *      smtp, smtp_by, imap, imap_by}
 * where *_by says how a server was found: "srv", "provider", or "" (it was not). An SRV record of
 * the domain comes before the provider's own.
 */
void discover_start(const struct discover_parts *parts, struct admin_call *call);

/* The daemon stops: ends all that are under way, with an answer that says so. */
void discover_cancel_all(struct discover **running);
