#include "node/domains.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct domain {
    struct domains *domains;
    char name[FLZ_DOMAIN_MAX];
    struct domain_facts facts; /* in force */
    struct domain_facts draft; /* of the questions under way */
    unsigned open;             /* questions still unanswered */
    unsigned hosts;            /* mail hosts that were answered for */
    unsigned hosts_failed;     /* of them */
    bool failed;               /* TXT or MX could not be asked */
    bool known;
    bool busy; /* too many questions were in flight */
    int64_t asked_boot;
};

/* So few that their questions fit into DNS_QUERIES_MAX, or many would be asked in vain. */
#define ASKING_MAX 40

struct domains {
    struct dns *dns;
    void (*on_known)(void *data);
    void *data;
    struct domain **all; /* owned */
    size_t count;
    size_t capacity;
    struct flz_map by_name;
    unsigned asking; /* domains with open questions */
};

static bool ends_with_label(const char *host, const char *suffix)
{
    size_t h = strlen(host), s = strlen(suffix);
    if (h > 0 && host[h - 1] == '.')
        h--;
    return h >= s && strncasecmp(host + h - s, suffix, s) == 0 &&
           (h == s || host[h - s - 1] == '.');
}

bool domains_is_google_host(const char *host)
{
    return ends_with_label(host, "google.com") || ends_with_label(host, "googlemail.com") ||
           ends_with_label(host, "gmail.com");
}

bool domains_is_google_address(const char *domain)
{
    return flz_ascii_equal_nocase(domain, "gmail.com") ||
           flz_ascii_equal_nocase(domain, "googlemail.com");
}

static struct flz_id key_of(const char *name)
{
    struct flz_hash hash;
    flz_hash_init_id(&hash, FLZ_VIEW_NULL, "fluenzr/domain/v1");
    flz_hash_add_piece(&hash, name, strlen(name));
    return flz_hash_id(&hash);
}

/* All questions are answered. A failure leaves the older facts as they were; that of one mail host
 * among others is none, since hosts of one domain are served alike. */
static void conclude(struct domain *domain)
{
    domain->domains->asking--;
    domain->failed =
        domain->failed || (domain->hosts > 0 && domain->hosts == domain->hosts_failed);
    if (domain->busy) {
        /* Not asked at all: whoever looks again, asks again. */
        domain->asked_boot = INT64_MIN / 2;
        return;
    }
    if (!domain->failed) {
        domain->facts = domain->draft;
        domain->facts.checked_boot = flz_boottime_ms();
        domain->known = true;
    }
    domain->domains->on_known(domain->domains->data);
}

static void answered(struct domain *domain)
{
    if (--domain->open == 0)
        conclude(domain);
}

/* To be called while another question is open: the answer may come within the call. 0, or -EINVAL
 * when there can be no such name. */
static int put_question(struct domain *domain, const char *name, enum dns_type type,
                        dns_on_answer on_answer)
{
    domain->open++;
    int r = dns_query(domain->domains->dns, name, type, on_answer, domain);
    if (r == 0)
        return 0;
    domain->open--;
    domain->busy = domain->busy || r == DNS_E_FULL;
    return r == DNS_E_FULL ? 0 : r;
}

/* "v=flz1; p=deny", in any case and spacing. */
static bool says_deny(const char *text)
{
    char squeezed[128];
    size_t n = 0;
    for (; *text && n + 1 < sizeof squeezed; text++)
        if (*text != ' ' && *text != '\t')
            squeezed[n++] = flz_ascii_lower(*text);
    squeezed[n] = '\0';
    return strncmp(squeezed, "v=flz1;", 7) == 0 && strstr(squeezed, "p=deny") != NULL;
}

static void on_txt(const struct dns_answer *answer, void *data)
{
    struct domain *domain = data;
    domain->failed = domain->failed || answer->outcome == DNS_FAILED;
    for (size_t i = 0; i < answer->count; i++)
        if (answer->records[i].text && says_deny(answer->records[i].text))
            domain->draft.opt_out = true;
    answered(domain);
}

static int compare_hosts(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct flz_digest digest_hosts(const struct dns_answer *answer)
{
    char hosts[DNS_RECORDS_MAX][FLZ_DOMAIN_MAX];
    for (size_t i = 0; i < answer->count; i++)
        memcpy(hosts[i], answer->records[i].host, sizeof hosts[i]);
    qsort(hosts, answer->count, sizeof hosts[0], compare_hosts);
    struct flz_hash hash;
    flz_hash_init(&hash);
    for (size_t i = 0; i < answer->count; i++)
        flz_hash_add_piece(&hash, hosts[i], strlen(hosts[i]));
    return flz_hash_digest(&hash);
}

static void look_for_google(struct domain *domain, const struct dns_answer *answer)
{
    for (size_t i = 0; i < answer->chain_count; i++)
        if (domains_is_google_host(answer->chain[i]))
            domain->draft.google = true;
}

/* Where a mail host leads: an MX may be an alias, in spite of RFC 5321 5.1. */
static void on_host(const struct dns_answer *answer, void *data)
{
    struct domain *domain = data;
    domain->hosts++;
    domain->hosts_failed += answer->outcome == DNS_FAILED;
    look_for_google(domain, answer);
    answered(domain);
}

/* Without MX the domain's own address is where its mail goes. */
static void on_implicit_host(const struct dns_answer *answer, void *data)
{
    struct domain *domain = data;
    domain->draft.has_mx = answer->count > 0;
    on_host(answer, data);
}

static void on_mx(const struct dns_answer *answer, void *data)
{
    struct domain *domain = data;
    struct domain_facts *draft = &domain->draft;
    domain->failed = domain->failed || answer->outcome == DNS_FAILED;
    draft->has_mx = answer->count > 0;
    draft->mx = digest_hosts(answer);
    if (answer->count > 0)
        (void)snprintf(draft->mx_first, sizeof draft->mx_first, "%s", answer->records[0].host);
    look_for_google(domain, answer);
    for (size_t i = 0; i < answer->count; i++) {
        const char *host = answer->records[i].host;
        draft->google = draft->google || domains_is_google_host(host);
        /* What is no name, the null MX among them, leads nowhere. */
        (void)put_question(domain, host, DNS_A, on_host);
    }
    if (answer->outcome == DNS_ABSENT && !answer->nxdomain)
        (void)put_question(domain, domain->name, DNS_A, on_implicit_host);
    answered(domain);
}

static void ask(struct domain *domain)
{
    char name[FLZ_DOMAIN_MAX + 16];
    domain->busy = domain->domains->asking == ASKING_MAX;
    if (domain->busy)
        return;
    domain->domains->asking++;
    domain->asked_boot = flz_boottime_ms();
    domain->draft = (struct domain_facts){0};
    domain->failed = false;
    domain->hosts = domain->hosts_failed = 0;
    domain->open = 1; /* until both are asked */
    (void)snprintf(name, sizeof name, "_fluenzr.%s", domain->name);
    if (put_question(domain, name, DNS_TXT, on_txt) < 0 ||
        put_question(domain, domain->name, DNS_MX, on_mx) < 0)
        domain->failed = true;
    answered(domain);
}

static struct domain *add_domain(struct domains *domains, const char *name)
{
    if (domains->count == DOMAINS_MAX)
        return NULL;
    struct domain *domain = calloc(1, sizeof *domain);
    if (!domain || flz_text_copy(domain->name, sizeof domain->name, name) < 0 ||
        flz_grow((void **)&domains->all, &domains->capacity, domains->count + 1,
                 sizeof *domains->all) < 0 ||
        flz_map_set(&domains->by_name, key_of(name), (uint32_t)domains->count) < 0) {
        free(domain);
        return NULL;
    }
    domain->domains = domains;
    domain->asked_boot = INT64_MIN / 2;
    domains->all[domains->count++] = domain;
    return domain;
}

int domains_look(struct domains *domains, const char *name, const struct domain_facts **ret_facts)
{
    uint32_t index = flz_map_get(&domains->by_name, key_of(name));
    struct domain *domain = index == FLZ_MAP_NONE ? add_domain(domains, name) : domains->all[index];
    if (!domain)
        return DOMAINS_E_FAILED;

    int64_t now = flz_boottime_ms();
    bool stale = !domain->known || now - domain->facts.checked_boot >= DOMAINS_TTL_MS;
    if (stale && !domain->open && now - domain->asked_boot >= DOMAINS_RETRY_MS)
        ask(domain);
    if (domain->known) {
        *ret_facts = &domain->facts;
        return 0;
    }
    return domain->open || domain->busy ? DOMAINS_E_ASKED : DOMAINS_E_FAILED;
}

int domains_new(struct dns *dns, void (*on_known)(void *data), void *data,
                struct domains **ret_domains)
{
    struct domains *domains = calloc(1, sizeof *domains);
    if (!domains)
        return flz_fail(-ENOMEM);
    domains->dns = dns;
    domains->on_known = on_known;
    domains->data = data;
    *ret_domains = domains;
    return 0;
}

struct domains *domains_free(struct domains *domains)
{
    if (!domains)
        return NULL;
    for (size_t i = 0; i < domains->count; i++)
        free(domains->all[i]);
    free(domains->all);
    flz_map_deinit(&domains->by_name);
    free(domains);
    return NULL;
}
