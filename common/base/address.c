#include "common/base/address.h"

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define LOCAL_MAX 64

static bool is_alnum(char c)
{
    char lower = flz_ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

static bool local_is_valid(const char *local, size_t len)
{
    if (len == 0 || len > LOCAL_MAX || local[0] == '.' || local[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(local[i]) && !strchr("._%+'-", local[i]))
            return false;
        if (local[i] == '.' && local[i + 1] == '.')
            return false;
    }
    return true;
}

static bool label_is_valid(const char *label, size_t len)
{
    if (len == 0 || len > 63 || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(label[i]) && label[i] != '-')
            return false;
    return true;
}

int flz_label_check(const char *label)
{
    return label_is_valid(label, strlen(label)) ? 0 : flz_fail(-EINVAL);
}

int flz_domain_check(const char *domain)
{
    if (strlen(domain) >= FLZ_DOMAIN_MAX)
        return flz_fail(-EINVAL);
    int labels = 0;
    for (const char *label = domain;; labels++) {
        size_t len = strcspn(label, ".");
        if (!label_is_valid(label, len))
            return flz_fail(-EINVAL);
        if (label[len] == '\0')
            break;
        label += len + 1;
    }
    return labels >= 1 ? 0 : flz_fail(-EINVAL);
}

int flz_address_parse(const char *text, struct flz_address *ret_address)
{
    const char *at = strchr(text, '@');
    if (!at || strlen(text) >= FLZ_ADDRESS_MAX || !local_is_valid(text, (size_t)(at - text)) ||
        flz_domain_check(at + 1) < 0)
        return flz_fail(-EINVAL);

    struct flz_address address;
    memset(&address, 0, sizeof address);
    memcpy(address.text, text, strlen(text) + 1);
    flz_ascii_lower_str(strchr(address.text, '@'));
    *ret_address = address;
    return 0;
}

const char *flz_address_domain(const struct flz_address *address)
{
    const char *at = strchr(address->text, '@');
    assert(at);
    return at + 1;
}

void flz_address_normal(const struct flz_address *address, char ret_text[static FLZ_ADDRESS_MAX])
{
    memmove(ret_text, address->text, strlen(address->text) + 1);
    flz_ascii_lower_str(ret_text);
}

struct flz_digest flz_address_digest(const struct flz_address *address)
{
    char normal[FLZ_ADDRESS_MAX];
    flz_address_normal(address, normal);
    static const char domain[] = "fluenzr/address/v1";
    struct flz_hash hash;
    flz_hash_init(&hash);
    flz_hash_add_piece(&hash, domain, sizeof domain - 1);
    flz_hash_add_piece(&hash, normal, strlen(normal));
    return flz_hash_digest(&hash);
}

bool flz_address_is_role(const struct flz_address *address)
{
    static const char *const roles[] = {
        "abuse",      "accounting", "accounts",  "admin",    "administrator", "billing",
        "bounce",     "bounces",    "compliance", "contact",  "daemon",        "dns",
        "do-not-reply", "donotreply", "feedback", "ftp",      "help",          "helpdesk",
        "hostmaster", "info",       "invoice",   "invoices", "jobs",          "legal",
        "list",       "mailer-daemon", "marketing", "news",  "newsletter",    "no-reply",
        "noc",        "noreply",    "office",    "orders",   "postmaster",    "press",
        "privacy",    "root",       "sales",     "security", "service",       "support",
        "sysadmin",   "tech",       "unsubscribe", "usenet", "uucp",          "webmaster",
        "www",
    };
    char normal[FLZ_ADDRESS_MAX];
    flz_address_normal(address, normal);
    /* "support+fr" is the support desk as well. */
    normal[strcspn(normal, "@+")] = '\0';
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(normal, roles[i]) == 0)
            return true;
    return false;
}
