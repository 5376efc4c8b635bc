/*
 * The providers table (deploy/providers.yaml): who a domain's mail is served by, and whether
 * warming is allowed there. Data, not code: limits and policies differ by provider, by MX and host,
 * never by the address's text alone.
 */
#pragma once

#include "common/base/error.h"
#include "node/core/classify.h"
#include "node/core/shaping.h"
#include "node/domains.h"
#include "node/endpoint.h"
#include "proto/journal.h"
#include "proto/vocab.h"

#include <stdbool.h>

enum provider_policy { PROVIDER_ALLOW, PROVIDER_ASK, PROVIDER_DENY };

enum provider_login {
    PROVIDER_PASSWORD,
    PROVIDER_MICROSOFT, /* OAuth by Microsoft's authorization server; its own hosts take no
                           password */
};

struct providers;

/* What is known of a provider. Borrowed from the table. */
struct provider {
    char name[FLZ_NAME_MAX];
    enum provider_policy policy;
    char reason[FLZ_REPLY_TEXT_MAX]; /* why ask or deny; for people */
    enum provider_login login;
    char smtp[MEMBER_URL_MAX]; /* where an account's row names none; "" = it must */
    char imap[MEMBER_URL_MAX];
    struct shaping_limits shaping;
};

/* Of the entries, and of `replies`: what their servers' answers mean. 0 or negative (msg with
 * file:line:col). */
int providers_load(const char *path, struct providers **ret_providers, struct flz_msg *msg);
/* Reads the file again: what it says takes the place of what was known, or nothing changes. What
 * was borrowed from the table before is no longer valid. The same results. */
int providers_reload(struct providers *providers, const char *path, struct flz_msg *msg);
struct providers *providers_free(struct providers *providers);

/* The entry of that name, or NULL. */
const struct provider *providers_named(const struct providers *providers, const char *name);

/* The entry whose `mx` or `hosts` this host is below, or NULL. */
const struct provider *providers_of_host(const struct providers *providers, const char *host);

/* Borrowed from the table. */
const struct classify_rules *providers_replies(const struct providers *providers);

/* True when one of the account's servers is the provider's own. */
bool providers_owns_host(const struct providers *providers, const struct provider *provider,
                         const struct endpoint *smtp, const struct endpoint *imap);

/*
 * The provider of an account: `named` as the operator wrote it ("" = find it), the address's
 * domain, what DNS says (NULL: not known), and its servers. A deny by any of them wins: the name in
 * the table, the domain, an MX host, a submission or IMAP host. Unknown is the entry "unknown":
 * ask.
 */
const struct provider *providers_find(const struct providers *providers, const char *named,
                                      const char *domain, const struct domain_facts *facts,
                                      const struct endpoint *smtp, const struct endpoint *imap);
