#include "node/providers.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/config.h"
#include "node/replies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct provider provider;
    struct config_list domains; /* addresses' domains */
    struct config_list mx;      /* suffixes of MX hosts */
    struct config_list hosts;   /* suffixes of submission and IMAP hosts */
};

struct providers {
    struct entry *entries; /* owned */
    size_t count;
    struct classify_rules replies; /* owned */
};

struct row {
    int policy;
    char reason[CONFIG_TEXT_MAX];
    int login;
    char smtp[CONFIG_TEXT_MAX];
    char imap[CONFIG_TEXT_MAX];
    struct config_list domains, mx, hosts;
    int64_t connections, messages;
    struct config_list back_off;
    struct row_rate {
        int64_t minute, hour, day;
    } account, domain, provider;
};

#define BACK_OFF_MS_MIN (10 * FLZ_SECOND_MS)
#define BACK_OFF_MS_MAX FLZ_DAY_MS
#define SHAPE_MAX 100000 /* of any number; 0 = as many as come */
#define SHAPE_KEY(name, field)                                                                     \
    {                                                                                              \
        "shape." name, CONFIG_INT, offsetof(struct row, field), .fallback = "0", .min = 0,         \
                                                                .max = SHAPE_MAX                   \
    }
#define RATE_KEYS(name)                                                                            \
    SHAPE_KEY(#name ".minute", name.minute), SHAPE_KEY(#name ".hour", name.hour),                  \
        SHAPE_KEY(#name ".day", name.day)

static const char *const policy_words[] = {"allow", "ask", "deny", NULL};
static const char *const login_words[] = {"password", "microsoft", NULL};

static const struct config_key row_keys[] = {
    {"policy", CONFIG_ENUM, offsetof(struct row, policy), .words = policy_words},
    {"reason", CONFIG_TEXT, offsetof(struct row, reason), .fallback = ""},
    {"login", CONFIG_ENUM, offsetof(struct row, login), .fallback = "password",
     .words = login_words},
    {"smtp", CONFIG_TEXT, offsetof(struct row, smtp), .fallback = ""},
    {"imap", CONFIG_TEXT, offsetof(struct row, imap), .fallback = ""},
    {"domains", CONFIG_LIST, offsetof(struct row, domains), .fallback = ""},
    {"mx", CONFIG_LIST, offsetof(struct row, mx), .fallback = ""},
    {"hosts", CONFIG_LIST, offsetof(struct row, hosts), .fallback = ""},
    SHAPE_KEY("connections", connections),
    SHAPE_KEY("messages", messages),
    {"shape.back_off", CONFIG_LIST, offsetof(struct row, back_off), .fallback = "1m, 5m, 15m, 1h"},
    RATE_KEYS(account),
    RATE_KEYS(domain),
    RATE_KEYS(provider),
};

static bool is_server(const char *url, bool smtp, struct flz_msg *why)
{
    struct endpoint endpoint;
    if (endpoint_parse(url, &endpoint, why) < 0)
        return false;
    bool is_smtp = endpoint.scheme == CONN_SMTP || endpoint.scheme == CONN_SMTPS;
    flz_msg_set(why, "'%s' is the other kind of server", url);
    return is_smtp == smtp;
}

static int read_servers(const struct config_doc *doc, struct config_node node,
                        const struct row *row, struct provider *provider, struct flz_msg *msg)
{
    struct flz_msg why = FLZ_MSG_NULL;
    if ((row->smtp[0] && !is_server(row->smtp, true, &why)) ||
        (row->imap[0] && !is_server(row->imap, false, &why)))
        return config_node_error(doc, node, msg, "%s", why.text);
    (void)flz_text_copy(provider->smtp, sizeof provider->smtp, row->smtp);
    (void)flz_text_copy(provider->imap, sizeof provider->imap, row->imap);
    return 0;
}

static struct meter_limits rate_of(const struct row_rate *rate)
{
    return (struct meter_limits){.most = {[METER_MINUTE] = (uint32_t)rate->minute,
                                          [METER_HOUR] = (uint32_t)rate->hour,
                                          [METER_DAY] = (uint32_t)rate->day}};
}

/* Four waits, none shorter than the one before. */
static int read_shape(const struct config_doc *doc, struct config_node node, const struct row *row,
                      struct shaping_limits *shaping, struct flz_msg *msg)
{
    *shaping = (struct shaping_limits){.connections = (uint32_t)row->connections,
                                       .messages = (uint32_t)row->messages,
                                       .account = rate_of(&row->account),
                                       .domain = rate_of(&row->domain),
                                       .provider = rate_of(&row->provider)};
    bool good = row->back_off.count == SHAPING_STEPS;
    for (size_t i = 0; good && i < SHAPING_STEPS; i++)
        good = flz_parse_duration_ms(row->back_off.items[i], &shaping->ladder_ms[i]) == 0 &&
               shaping->ladder_ms[i] >= BACK_OFF_MS_MIN &&
               shaping->ladder_ms[i] <= BACK_OFF_MS_MAX &&
               (i == 0 || shaping->ladder_ms[i] >= shaping->ladder_ms[i - 1]);
    if (good)
        return 0;
    return config_node_error(
        doc, config_node_get(doc, config_node_get(doc, node, "shape"), "back_off"), msg,
        "back_off: four waits from 10s to 1d, each as long as the one "
        "before or longer, such as [1m, 5m, 15m, 1h]");
}

static int read_entry(const struct config_doc *doc, const char *name, struct config_node node,
                      struct entry *ret_entry, struct flz_msg *msg)
{
    _cleanup_(flz_freep) struct row *row = calloc(1, sizeof *row);
    if (!row)
        return flz_fail(-ENOMEM);
    int r =
        config_node_read(doc, node, row_keys, sizeof row_keys / sizeof *row_keys, row, NULL, msg);
    if (r < 0)
        return r;
    struct provider *provider = &ret_entry->provider;
    if (flz_text_copy(provider->name, sizeof provider->name, name) < 0 ||
        flz_text_copy(provider->reason, sizeof provider->reason, row->reason) < 0)
        return config_node_error(doc, node, msg, "the name or reason of a provider is too long");
    provider->policy = (enum provider_policy)row->policy;
    provider->login = (enum provider_login)row->login;
    r = read_servers(doc, node, row, provider, msg);
    if (r == 0)
        r = read_shape(doc, node, row, &provider->shaping, msg);
    if (r < 0)
        return r;
    ret_entry->domains = row->domains;
    ret_entry->mx = row->mx;
    ret_entry->hosts = row->hosts;
    return 0;
}

static int read_all(const struct config_doc *doc, struct providers *providers, struct flz_msg *msg)
{
    struct config_node root = config_node_get(doc, config_doc_root(doc), "providers");
    size_t n = config_node_count(doc, root);
    if (config_node_kind(doc, root) != CONFIG_MAPPING || n == 0)
        return config_node_error(doc, config_doc_root(doc), msg,
                                 "a mapping 'providers' with at least one entry is needed");
    providers->entries = calloc(n, sizeof *providers->entries);
    if (!providers->entries)
        return flz_fail(-ENOMEM);
    for (size_t i = 0; i < n; i++) {
        struct config_node node;
        const char *name = config_node_pair(doc, root, i, &node);
        int r = read_entry(doc, name, node, &providers->entries[i], msg);
        if (r < 0)
            return r;
        providers->count++;
    }
    return 0;
}

static int read_replies(const struct config_doc *doc, struct providers *providers,
                        struct flz_msg *msg)
{
    struct config_node node = config_node_get(doc, config_doc_root(doc), "replies");
    if (config_node_kind(doc, node) == CONFIG_NONE)
        return config_node_error(doc, config_doc_root(doc), msg,
                                 "a sequence 'replies' is needed: what servers' answers mean; the "
                                 "providers.yaml that comes with the program has it");
    return replies_read(doc, node, &providers->replies, msg);
}

static void free_doc(struct config_doc **doc)
{
    (void)config_doc_free(*doc);
}

FLZ_DEFINE_FREEP(struct providers, providers_free)

static const struct entry *find_named(const struct providers *providers, const char *name)
{
    for (size_t i = 0; i < providers->count; i++)
        if (strcmp(providers->entries[i].provider.name, name) == 0)
            return &providers->entries[i];
    return NULL;
}

int providers_load(const char *path, struct providers **ret_providers, struct flz_msg *msg)
{
    _cleanup_(providers_freep) struct providers *providers = calloc(1, sizeof *providers);
    _cleanup_(free_doc) struct config_doc *doc = NULL;
    if (!providers)
        return flz_fail(-ENOMEM);
    int r = config_doc_open(path, &doc, msg);
    if (r == 0)
        r = read_all(doc, providers, msg);
    if (r == 0)
        r = read_replies(doc, providers, msg);
    if (r < 0)
        return r;
    if (!find_named(providers, "unknown"))
        return config_node_error(doc, config_doc_root(doc), msg,
                                 "an entry 'unknown' is needed: what applies to all others");
    *ret_providers = steal_ptr(&providers);
    return 0;
}

int providers_reload(struct providers *providers, const char *path, struct flz_msg *msg)
{
    struct providers *fresh;
    int r = providers_load(path, &fresh, msg);
    if (r < 0)
        return r;
    struct providers old = *providers;
    *providers = *fresh;
    *fresh = old;
    (void)providers_free(fresh);
    return 0;
}

struct providers *providers_free(struct providers *providers)
{
    if (!providers)
        return NULL;
    free(providers->entries);
    replies_free(&providers->replies);
    free(providers);
    return NULL;
}

static bool has_suffix(const char *host, const struct config_list *suffixes)
{
    size_t h = strlen(host);
    for (size_t i = 0; i < suffixes->count; i++) {
        const char *suffix = suffixes->items[i];
        size_t s = strlen(suffix);
        if (s > 0 && h >= s && flz_ascii_equal_nocase(host + h - s, suffix) &&
            (h == s || suffix[0] == '.' || host[h - s - 1] == '.'))
            return true;
    }
    return false;
}

const struct provider *providers_named(const struct providers *providers, const char *name)
{
    const struct entry *entry = find_named(providers, name);
    return entry ? &entry->provider : NULL;
}

const struct provider *providers_of_host(const struct providers *providers, const char *host)
{
    for (size_t i = 0; i < providers->count; i++)
        if (has_suffix(host, &providers->entries[i].mx) ||
            has_suffix(host, &providers->entries[i].hosts))
            return &providers->entries[i].provider;
    return NULL;
}

const struct classify_rules *providers_replies(const struct providers *providers)
{
    return &providers->replies;
}

bool providers_owns_host(const struct providers *providers, const struct provider *provider,
                         const struct endpoint *smtp, const struct endpoint *imap)
{
    const struct entry *entry = find_named(providers, provider->name);
    return entry &&
           (has_suffix(smtp->host, &entry->hosts) || has_suffix(imap->host, &entry->hosts));
}

static bool matches(const struct entry *entry, const char *domain, const struct domain_facts *facts,
                    const struct endpoint *smtp, const struct endpoint *imap)
{
    return has_suffix(domain, &entry->domains) ||
           (facts && has_suffix(facts->mx_first, &entry->mx)) ||
           has_suffix(smtp->host, &entry->hosts) || has_suffix(imap->host, &entry->hosts);
}

const struct provider *providers_find(const struct providers *providers, const char *named,
                                      const char *domain, const struct domain_facts *facts,
                                      const struct endpoint *smtp, const struct endpoint *imap)
{
    const struct entry *found = NULL;
    for (size_t i = 0; i < providers->count; i++) {
        const struct entry *entry = &providers->entries[i];
        if (!matches(entry, domain, facts, smtp, imap))
            continue;
        if (entry->provider.policy == PROVIDER_DENY)
            return &entry->provider;
        if (!found)
            found = entry;
    }
    const struct entry *by_name = find_named(providers, named);
    if (by_name && by_name->provider.policy == PROVIDER_DENY)
        return &by_name->provider;
    if (!found)
        found = by_name ? by_name : find_named(providers, "unknown");
    return &found->provider;
}
