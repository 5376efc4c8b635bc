/*
 * DNS look-ups on a libuv loop: what the zone says, what it does not have, and when nobody could
 * tell, kept apart. A failed look-up is never a finding.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_RECORDS_MAX 16      /* of the asked type; more are cut and `cut` says so */
#define DNS_TEXT_MAX 2048       /* bytes of one TXT record with its NUL */
#define DNS_CHAIN_MAX 8         /* CNAMEs */
#define DNS_QUERIES_MAX 256     /* in flight */
#define DNS_ADDRESS_TEXT_MAX 46

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
};

enum dns_outcome {
    DNS_FOUND,
    DNS_ABSENT, /* NXDOMAIN, or no record of this type */
    DNS_FAILED, /* refused, server failure, timeout, damaged answer */
};

struct dns_record {
    uint16_t preference;                 /* MX, SRV */
    uint16_t weight, port;               /* SRV (RFC 2782) */
    char host[FLZ_DOMAIN_MAX];           /* MX, PTR, CNAME, SRV: lower case; "" for "." */
    char address[DNS_ADDRESS_TEXT_MAX];  /* A, AAAA */
    char *text;                          /* TXT: strings joined; owned by the answer */
};

struct dns_answer {
    enum dns_outcome outcome;
    bool nxdomain;      /* DNS_ABSENT because the name does not exist at all */
    bool cut;           /* there were more records, or a longer text */
    uint32_t ttl_s;     /* smallest of the records used; 0 unless found */
    const char *reason; /* DNS_FAILED: static text; else "" */
    size_t count;
    struct dns_record records[DNS_RECORDS_MAX]; /* MX, SRV by preference, then host */
    size_t chain_count;
    char chain[DNS_CHAIN_MAX][FLZ_DOMAIN_MAX]; /* names the question was led to, in order */
};

struct uv_loop_s;
struct dns;

/* The answer is borrowed until the callback returns. */
typedef void (*dns_on_answer)(const struct dns_answer *answer, void *data);

struct dns_options {
    const char *servers; /* "127.0.0.1:5353,[::1]:53"; NULL or "": as the system says */
    int timeout_ms;      /* per try; 0 means 3000 */
    int tries;           /* 0 means 3 */
};

int dns_new(struct uv_loop_s *loop, struct dns_options options, struct dns **ret_dns,
            struct flz_msg *msg);

/* Open questions are answered DNS_FAILED ("cancelled") within the call. The loop must be run once
 * more before it is closed. */
struct dns *dns_free(struct dns *dns);

enum {
    DNS_E_FULL = 1, /* DNS_QUERIES_MAX are in flight */
};

/*
 * Asks. The callback comes exactly once, later or within the call. 0; DNS_E_FULL or -EINVAL (not a
 * name): then it does not come.
 */
int dns_query(struct dns *dns, const char *name, enum dns_type type, dns_on_answer on_answer,
              void *data);

/* "192.0.2.1" → "1.2.0.192.in-addr.arpa", IPv6 likewise; with another suffix for DNS lists.
 * `suffix` NULL: the arpa zone. 0 or -EINVAL. */
int dns_reverse_name(const char *address, const char *suffix, char ret_name[static FLZ_DOMAIN_MAX]);

/* Reads a DNS message as the answer to (name, type). Always fills the answer, which is deinited by
 * the caller. For dns.c and its fuzzer. */
void dns_answer_parse(struct flz_view message, enum dns_type type, struct dns_answer *ret_answer);
void dns_answer_deinit(struct dns_answer *answer);
