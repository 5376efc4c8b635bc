/*
 * What DNS says of mail domains, asked when needed and remembered for DOMAINS_TTL_MS of real time:
 * whether the owner refuses (`_fluenzr.<domain>` TXT "v=flz1; p=deny"), whether Google serves it
 * (an MX, or what it is an alias of, below google.com or googlemail.com), and a digest of its MX
 * hosts, by which a change shows. A failed look-up is never a finding: the last answer stays, or
 * nothing is known.
 */
#pragma once

#include "common/base/error.h"
#include "common/base/id.h"
#include "common/sys/dns.h"

#include <stdbool.h>
#include <stdint.h>

#define DOMAINS_TTL_MS (60 * 60 * 1000)
#define DOMAINS_RETRY_MS (30 * 1000) /* after a failure */
#define DOMAINS_MAX 100000

struct domains;

struct domain_facts {
    bool opt_out;
    bool google;
    bool has_mx;            /* MX, or an address as the implicit one */
    struct flz_digest mx;   /* over the sorted host names */
    char mx_first[256];     /* most preferred host, "" = none */
    int64_t checked_boot;   /* when this was learnt */
};

/* `on_known` comes when an asked domain became known or its question failed. */
int domains_new(struct dns *dns, void (*on_known)(void *data), void *data,
                struct domains **ret_domains);
struct domains *domains_free(struct domains *domains);

enum {
    DOMAINS_E_ASKED = 1,  /* being asked, or waiting for its turn to be: look again */
    DOMAINS_E_FAILED = 2, /* could not be asked; asked again after DOMAINS_RETRY_MS */
};

/* The facts of a domain (lower case). 0 and a view valid until the next call; or a named outcome.
 * An answer past its time is given while it is asked again. */
int domains_look(struct domains *domains, const char *domain,
                 const struct domain_facts **ret_facts);

/* Google's own names: gmail.com, googlemail.com, and hosts below google.com or googlemail.com. */
bool domains_is_google_host(const char *host);
bool domains_is_google_address(const char *domain);
