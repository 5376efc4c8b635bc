/*
 * A mail server as an operator writes it: "smtps://h:465", "smtp://h:587" (STARTTLS required),
 * "imaps://h:993", "imap://h:143".
 */
#pragma once

#include "common/base/address.h"
#include "common/base/error.h"
#include "node/io/conn.h"

#include <stdbool.h>
#include <stdint.h>

struct endpoint {
    enum conn_scheme scheme;
    char host[FLZ_DOMAIN_MAX]; /* lower case; the name that its certificate must carry */
    char ip[46];               /* numeric address to connect to; "" = resolve the host */
    uint16_t port;
};

/*
 * Reads a URL of these four schemes; the port may be missing (465, 587, 993, 143). POP3, plain http
 * and the like are refused with what to write instead; port 25 is accepted for smtp:// only, whose
 * STARTTLS is required. 0 or -EINVAL (msg says why).
 */
int endpoint_parse(const char *url, struct endpoint *ret_endpoint, struct flz_msg *msg);

/* The host is a loopback address or "localhost". */
bool endpoint_is_loopback(const struct endpoint *endpoint);
