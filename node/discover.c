#include "node/discover.h"

#include "common/base/address.h"
#include "common/base/text.h"
#include "common/sys/clock.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define WAIT_MS 6000 /* less than fluenzrctl waits */
#define POLL_MS 50
#define DISCOVERS_MAX 8

/* What is asked for, best first: a server that speaks TLS from its first octet (RFC 8314 3.3). */
enum service { SERVICE_SUBMISSIONS, SERVICE_SUBMISSION, SERVICE_IMAPS, SERVICE_IMAP, SERVICES };
static const struct {
    const char *name;
    const char *scheme;
} services[SERVICES] = {
    [SERVICE_SUBMISSIONS] = {"_submissions._tcp", "smtps"},
    [SERVICE_SUBMISSION] = {"_submission._tcp", "smtp"},
    [SERVICE_IMAPS] = {"_imaps._tcp", "imaps"},
    [SERVICE_IMAP] = {"_imap._tcp", "imap"},
};

struct question {
    struct discover *discover;
    enum service service;
};

struct discover {
    struct discover_parts parts;
    struct admin_call *call; /* NULL: answered */
    struct discover *next;
    uv_timer_t timer;
    bool timer_closed;
    int64_t until_boot;
    int open; /* questions that have no answer yet */
    struct question questions[SERVICES];
    char urls[SERVICES][MEMBER_URL_MAX]; /* "" = none */
    char address[FLZ_ADDRESS_MAX];
    char domain[FLZ_DOMAIN_MAX];
};

/* It goes when nobody holds it any more: the name server's answers, the timer. */
static void free_unheld(struct discover *discover)
{
    if (discover->open == 0 && discover->timer_closed)
        free(discover);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct discover *discover = handle->data;
    discover->timer_closed = true;
    free_unheld(discover);
}

static void close_discover(struct discover *discover)
{
    struct discover **at = discover->parts.running;
    while (*at != discover)
        at = &(*at)->next;
    *at = discover->next;
    discover->call = NULL;
    uv_close((uv_handle_t *)&discover->timer, on_timer_closed);
}

/* The target "." says that the service is not offered (RFC 6186 3.4). */
static void on_srv(const struct dns_answer *answer, void *data)
{
    const struct question *question = data;
    struct discover *discover = question->discover;
    const struct dns_record *record = &answer->records[0];
    struct flz_msg why;
    struct endpoint endpoint;
    char *url = discover->urls[question->service];
    discover->open--;
    if (answer->outcome == DNS_FOUND && record->host[0]) {
        (void)snprintf(url, MEMBER_URL_MAX, "%s://%s:%u", services[question->service].scheme,
                       record->host, record->port);
        if (endpoint_parse(url, &endpoint, &why) < 0)
            url[0] = '\0';
    }
    if (!discover->call)
        free_unheld(discover);
}

/* A server and how it was found. */
struct finding {
    const char *url;
    const char *by;
};

static struct finding find_server(const struct discover *discover, enum service secure,
                                  enum service starttls, const char *preset)
{
    if (discover->urls[secure][0])
        return (struct finding){discover->urls[secure], "srv"};
    if (discover->urls[starttls][0])
        return (struct finding){discover->urls[starttls], "srv"};
    return (struct finding){preset, preset[0] ? "provider" : ""};
}

/* The provider goes by the MX, and by the servers that were found. */
static const struct provider *find_provider(const struct discover *discover,
                                            const struct domain_facts *facts)
{
    struct endpoint smtp = {.port = 0}, imap = {.port = 0};
    struct flz_msg why;
    struct finding found = find_server(discover, SERVICE_SUBMISSIONS, SERVICE_SUBMISSION, "");
    (void)endpoint_parse(found.url, &smtp, &why);
    found = find_server(discover, SERVICE_IMAPS, SERVICE_IMAP, "");
    (void)endpoint_parse(found.url, &imap, &why);
    return providers_find(discover->parts.providers, "", discover->domain, facts, &smtp, &imap);
}

static void answer_call(struct discover *discover, const struct domain_facts *facts)
{
    static const char *const policies[] = {"allow", "ask", "deny"};
    const struct provider *provider = find_provider(discover, facts);
    struct finding smtp =
        find_server(discover, SERVICE_SUBMISSIONS, SERVICE_SUBMISSION, provider->smtp);
    struct finding imap = find_server(discover, SERVICE_IMAPS, SERVICE_IMAP, provider->imap);
    admin_answer(discover->call, ADMIN_OK,
                 json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "apiVersion",
                           "fluenzr/v1", "kind", "AccountServers", "address", discover->address,
                           "domain", discover->domain, "mx", facts ? facts->mx_first : "",
                           "provider", provider->name, "policy", policies[provider->policy],
                           "reason", provider->reason, "login",
                           provider->login == PROVIDER_MICROSOFT ? "microsoft" : "password", "smtp",
                           smtp.url, "smtp_by", smtp.by, "imap", imap.url, "imap_by", imap.by),
                 NULL);
    close_discover(discover);
}

static void on_timer(uv_timer_t *timer)
{
    struct discover *discover = timer->data;
    const struct domain_facts *facts;
    int r = domains_look(discover->parts.domains, discover->domain, &facts);
    bool waits = discover->open > 0 || r == DOMAINS_E_ASKED;
    if (waits && flz_boottime_ms() < discover->until_boot)
        (void)uv_timer_start(timer, on_timer, POLL_MS, 0);
    else
        answer_call(discover, r == 0 ? facts : NULL);
}

static void ask_all(struct discover *discover)
{
    for (int i = 0; i < SERVICES; i++) {
        char name[FLZ_DOMAIN_MAX + 32];
        discover->questions[i] = (struct question){discover, (enum service)i};
        (void)snprintf(name, sizeof name, "%s.%s", services[i].name, discover->domain);
        discover->open++;
        if (dns_query(discover->parts.dns, name, DNS_SRV, on_srv, &discover->questions[i]) != 0)
            discover->open--;
    }
}

void discover_start(const struct discover_parts *parts, struct admin_call *call)
{
    const char *text = admin_argument(call, "address");
    struct flz_address address;
    size_t running = 0;
    if (!text || flz_address_parse(text, &address) < 0) {
        admin_refuse(call, ADMIN_USAGE, "NOT_AN_ADDRESS", "an address is needed", "");
        return;
    }
    for (const struct discover *other = *parts->running; other; other = other->next)
        running++;
    struct discover *discover = running < DISCOVERS_MAX ? calloc(1, sizeof *discover) : NULL;
    if (!discover) {
        admin_refuse(call, ADMIN_TRY_AGAIN, "BUSY", "other addresses are being looked up", "");
        return;
    }
    *discover = (struct discover){.parts = *parts,
                                  .call = call,
                                  .next = *parts->running,
                                  .until_boot = flz_boottime_ms() + WAIT_MS};
    *parts->running = discover;
    (void)flz_text_copy(discover->address, sizeof discover->address, address.text);
    (void)flz_text_copy(discover->domain, sizeof discover->domain, strchr(address.text, '@') + 1);
    flz_ascii_lower_str(discover->domain);
    (void)uv_timer_init(parts->loop, &discover->timer);
    discover->timer.data = discover;
    ask_all(discover);
    (void)uv_timer_start(&discover->timer, on_timer, 0, 0);
}

void discover_cancel_all(struct discover **running)
{
    while (*running) {
        admin_refuse((*running)->call, ADMIN_TRY_AGAIN, "STOPPING", "the node is stopping", "");
        close_discover(*running);
    }
}
