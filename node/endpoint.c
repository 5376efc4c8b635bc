#include "node/endpoint.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct scheme {
    const char *prefix;
    enum conn_scheme scheme;
    uint16_t port;
} schemes[] = {
    {"smtps://", CONN_SMTPS, 465},
    {"smtp://", CONN_SMTP, 587},
    {"imaps://", CONN_IMAPS, 993},
    {"imap://", CONN_IMAP, 143},
};

static int refuse_scheme(const char *url, struct flz_msg *msg)
{
    if (strncmp(url, "pop3", 4) == 0)
        flz_msg_set(msg,
                    "'%s': POP3 cannot move messages out of Junk; give the IMAP server: "
                    "imaps://HOST:993",
                    url);
    else
        flz_msg_set(msg,
                    "'%s' is not a mail server; write smtps://HOST:465, smtp://HOST:587, "
                    "imaps://HOST:993 or imap://HOST:143",
                    url);
    return flz_fail(-EINVAL);
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static int take_host(const char *host, size_t len, struct endpoint *endpoint)
{
    if (len == 0 || len >= sizeof endpoint->host)
        return -EINVAL;
    memcpy(endpoint->host, host, len);
    endpoint->host[len] = '\0';
    flz_ascii_lower_str(endpoint->host);
    if (is_address(endpoint->host)) {
        (void)snprintf(endpoint->ip, sizeof endpoint->ip, "%.45s", endpoint->host);
        return 0;
    }
    return strcmp(endpoint->host, "localhost") == 0 ? 0 : flz_domain_check(endpoint->host);
}

int endpoint_parse(const char *url, struct endpoint *ret_endpoint, struct flz_msg *msg)
{
    const struct scheme *scheme = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            scheme = &schemes[i];
    if (!scheme)
        return refuse_scheme(url, msg);

    struct endpoint endpoint = {.scheme = scheme->scheme, .port = scheme->port};
    const char *host = url + strlen(scheme->prefix);
    /* An IPv6 address stands in brackets (RFC 3986 3.2.2). */
    bool bracketed = host[0] == '[';
    size_t len = bracketed ? strcspn(++host, "]") : strcspn(host, ":");
    bool closed = !bracketed || host[len] == ']';
    const char *rest = host + len + (bracketed && closed);
    if (!closed || take_host(host, len, &endpoint) < 0 || (bracketed && !endpoint.ip[0]) ||
        (*rest && *rest != ':')) {
        flz_msg_set(msg, "'%s': '%.*s' is not a host name", url, (int)len, host);
        return flz_fail(-EINVAL);
    }
    uint64_t port = endpoint.port;
    if (*rest && (flz_parse_u64(rest + 1, 65535, &port) < 0 || port == 0)) {
        flz_msg_set(msg, "'%s': '%s' is not a port (1 to 65535)", url, rest + 1);
        return flz_fail(-EINVAL);
    }
    endpoint.port = (uint16_t)port;
    *ret_endpoint = endpoint;
    return 0;
}

bool endpoint_is_loopback(const struct endpoint *endpoint)
{
    return strcmp(endpoint->host, "localhost") == 0 || strcmp(endpoint->host, "::1") == 0 ||
           (is_address(endpoint->host) && strncmp(endpoint->host, "127.", 4) == 0);
}
