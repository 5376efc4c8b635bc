#include "common/sys/dns.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <ares.h>
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define TIMEOUT_MS 3000
#define TRIES 3
#define TICK_MS 100
#define EDNS_SIZE 1232 /* fits one packet on every path (DNS flag day 2020) */

#define CLASS_IN 1
#define TYPE_NS 2
#define TYPE_SOA 6
#define HEADER_SIZE 12
#define RCODE_NXDOMAIN 3
#define LABEL_MAX 63

/* ---- Reading a message (RFC 1035 4.1) ---- */

struct reader {
    struct flz_view message;
    size_t pos;
};

struct rr {
    char owner[FLZ_DOMAIN_MAX];
    uint16_t type;
    uint16_t class;
    uint32_t ttl;
    size_t data; /* where the RDATA stands in the message */
    size_t len;
};

struct header {
    uint16_t flags;
    uint16_t counts[4]; /* question, answer, authority, additional */
};

static bool read_u16(struct reader *in, uint16_t *ret_value)
{
    if (in->message.len - in->pos < 2)
        return false;
    const uint8_t *p = in->message.data + in->pos;
    *ret_value = (uint16_t)(p[0] << 8 | p[1]);
    in->pos += 2;
    return true;
}

/* A name in lower case without the final dot; one that needs more room than a real one is
 * damage. */
static bool read_name(struct reader *in, char ret_name[static FLZ_DOMAIN_MAX])
{
    char *name = NULL;
    long len = 0;
    if (in->pos >= in->message.len ||
        ares_expand_name(in->message.data + in->pos, in->message.data, (int)in->message.len, &name,
                         &len) != ARES_SUCCESS)
        return false;
    int r = flz_text_copy(ret_name, FLZ_DOMAIN_MAX, name);
    ares_free_string(name);
    if (r < 0)
        return false;
    flz_ascii_lower_str(ret_name);
    in->pos += (size_t)len;
    return true;
}

static bool read_header(struct reader *in, struct header *ret_header)
{
    uint16_t id;
    if (in->message.len < HEADER_SIZE || in->message.len > UINT16_MAX || !read_u16(in, &id) ||
        !read_u16(in, &ret_header->flags))
        return false;
    for (int i = 0; i < 4; i++)
        (void)read_u16(in, &ret_header->counts[i]);
    return true;
}

static bool read_rr(struct reader *in, struct rr *ret_rr)
{
    uint16_t high, low, len;
    if (!read_name(in, ret_rr->owner) || !read_u16(in, &ret_rr->type) ||
        !read_u16(in, &ret_rr->class) || !read_u16(in, &high) || !read_u16(in, &low) ||
        !read_u16(in, &len) || in->message.len - in->pos < len)
        return false;
    /* RFC 2181 8: a TTL with its top bit set is zero. */
    ret_rr->ttl = high & 0x8000 ? 0 : (uint32_t)high << 16 | low;
    ret_rr->data = in->pos;
    ret_rr->len = len;
    in->pos += len;
    return true;
}

static const char *rcode_reason(unsigned rcode)
{
    switch (rcode) {
    case 1: return "the server could not read the question";
    case 2: return "server failure";
    case 4: return "the server does not know this kind of question";
    case 5: return "refused by the server";
    default: return "the server answered with an error";
    }
}

/* A name that fills the rest of the record's data, `skip` bytes into it. */
static bool rdata_name(struct flz_view message, const struct rr *rr, size_t skip,
                       char ret_name[static FLZ_DOMAIN_MAX])
{
    if (rr->len <= skip)
        return false;
    struct reader in = {.message = message, .pos = rr->data + skip};
    return read_name(&in, ret_name) && in.pos == rr->data + rr->len;
}

static bool rdata_mx(struct flz_view message, const struct rr *rr, struct dns_record *record)
{
    struct reader in = {.message = message, .pos = rr->data};
    return rr->len > 2 && read_u16(&in, &record->preference) &&
           rdata_name(message, rr, 2, record->host);
}

static bool rdata_srv(struct flz_view message, const struct rr *rr, struct dns_record *record)
{
    struct reader in = {.message = message, .pos = rr->data};
    return rr->len > 6 && read_u16(&in, &record->preference) && read_u16(&in, &record->weight) &&
           read_u16(&in, &record->port) && rdata_name(message, rr, 6, record->host);
}

static bool rdata_address(struct flz_view message, const struct rr *rr, struct dns_record *record)
{
    bool v6 = rr->type == DNS_AAAA;
    return rr->len == (v6 ? 16 : 4) &&
           inet_ntop(v6 ? AF_INET6 : AF_INET, message.data + rr->data, record->address,
                     sizeof record->address);
}

static void add_text(char *text, size_t *len, const uint8_t *bytes, size_t n, bool *cut)
{
    for (size_t i = 0; i < n; i++) {
        if (*len + 1 >= DNS_TEXT_MAX) {
            *cut = true;
            return;
        }
        /* A C string has no place for a NUL; nothing that we read for has one. */
        text[(*len)++] = bytes[i] ? (char)bytes[i] : '?';
    }
}

/* The strings of a TXT record joined, as SPF and DKIM want them (RFC 7208 3.3, RFC 6376
 * 3.6.2.2). */
static bool rdata_txt(struct flz_view message, const struct rr *rr, struct dns_record *record,
                      bool *cut)
{
    record->text = malloc(DNS_TEXT_MAX);
    if (!record->text)
        return false;
    const uint8_t *p = message.data + rr->data, *end = p + rr->len;
    size_t len = 0;
    while (p < end) {
        size_t n = *p++;
        if (n > (size_t)(end - p))
            return false;
        add_text(record->text, &len, p, n, cut);
        p += n;
    }
    record->text[len] = '\0';
    return rr->len > 0;
}

static bool take_record(struct flz_view message, const struct rr *rr, struct dns_answer *answer)
{
    if (answer->count == DNS_RECORDS_MAX) {
        answer->cut = true;
        return true;
    }
    struct dns_record *record = &answer->records[answer->count++];
    if (answer->ttl_s > rr->ttl)
        answer->ttl_s = rr->ttl;
    switch ((enum dns_type)rr->type) {
    case DNS_A:
    case DNS_AAAA: return rdata_address(message, rr, record);
    case DNS_CNAME:
    case DNS_PTR: return rdata_name(message, rr, 0, record->host);
    case DNS_MX: return rdata_mx(message, rr, record);
    case DNS_TXT: return rdata_txt(message, rr, record, &answer->cut);
    case DNS_SRV: return rdata_srv(message, rr, record);
    default: return false;
    }
}

enum look {
    LOOK_NONE,
    LOOK_DONE,
    LOOK_ALIAS, /* a CNAME, not itself asked for, stands at the name */
    LOOK_DAMAGED,
};

/* Takes the records of `type` at `name`, or puts the alias that stands there into `name`. */
static enum look look_at(struct reader in, unsigned n, enum dns_type type,
                         char name[static FLZ_DOMAIN_MAX], struct dns_answer *answer)
{
    enum look found = LOOK_NONE;
    struct rr rr;
    for (unsigned i = 0; i < n; i++) {
        if (!read_rr(&in, &rr))
            return LOOK_DAMAGED;
        if (rr.class != CLASS_IN || strcmp(rr.owner, name) != 0)
            continue;
        if (rr.type == type) {
            if (!take_record(in.message, &rr, answer))
                return LOOK_DAMAGED;
            found = LOOK_DONE;
        } else if (rr.type == DNS_CNAME && found == LOOK_NONE) {
            if (answer->ttl_s > rr.ttl)
                answer->ttl_s = rr.ttl;
            if (!rdata_name(in.message, &rr, 0, name))
                return LOOK_DAMAGED;
            return LOOK_ALIAS;
        }
    }
    return found;
}

/* Leaves `in` behind the section. */
static bool section_has(struct reader *in, unsigned n, uint16_t type, bool *ret_has)
{
    struct rr rr;
    for (unsigned i = 0; i < n; i++) {
        if (!read_rr(in, &rr))
            return false;
        *ret_has = *ret_has || rr.type == type;
    }
    return true;
}

/*
 * Whether an empty answer means that nothing is there (RFC 2308 2.2). A referral, or an alias into
 * a zone which this server neither holds nor looks up, says nothing about the end of the way.
 */
static const char *empty_reason(struct reader answers, const struct header *header,
                                const struct dns_answer *answer)
{
    bool soa = false, ns = false, any = false;
    struct reader authority = answers;
    if (!section_has(&authority, header->counts[1], 0, &any))
        return "damaged answer";
    struct reader again = authority;
    if (!section_has(&authority, header->counts[2], TYPE_SOA, &soa) ||
        !section_has(&again, header->counts[2], TYPE_NS, &ns))
        return "damaged answer";
    bool recursive = header->flags & 0x0080;
    if (!soa && ns)
        return "the server only refers to others";
    if (!soa && answer->chain_count > 0 && !recursive)
        return "an alias leads beyond what the server knows";
    return NULL;
}

/* Follows the aliases from the question's name to the records. NULL, or why the answer is no
 * use. */
static const char *follow(struct reader in, const struct header *header, enum dns_type type,
                          char name[static FLZ_DOMAIN_MAX], struct dns_answer *answer)
{
    for (;;) {
        switch (look_at(in, header->counts[1], type, name, answer)) {
        case LOOK_DONE: answer->outcome = DNS_FOUND; return NULL;
        case LOOK_DAMAGED: return "damaged answer";
        case LOOK_NONE:
            answer->outcome = DNS_ABSENT;
            answer->nxdomain = (header->flags & 0xf) == RCODE_NXDOMAIN;
            return answer->nxdomain ? NULL : empty_reason(in, header, answer);
        case LOOK_ALIAS:
            if (answer->chain_count == DNS_CHAIN_MAX)
                return "too many aliases, or a ring of them";
            memcpy(answer->chain[answer->chain_count++], name, FLZ_DOMAIN_MAX);
            break;
        }
    }
}

static const char *read_message(struct flz_view message, enum dns_type type,
                                struct dns_answer *answer)
{
    struct reader in = {.message = message};
    struct header header;
    char name[FLZ_DOMAIN_MAX];
    uint16_t asked_type, asked_class;
    if (!read_header(&in, &header) || header.counts[0] != 1 || (header.flags & 0xf800) != 0x8000 ||
        !read_name(&in, name) || !read_u16(&in, &asked_type) || !read_u16(&in, &asked_class))
        return "damaged answer";
    if (asked_type != type || asked_class != CLASS_IN)
        return "answer to another question";
    if (header.flags & 0x0200)
        return "truncated answer";
    unsigned rcode = header.flags & 0xf;
    if (rcode != 0 && rcode != RCODE_NXDOMAIN)
        return rcode_reason(rcode);
    return follow(in, &header, type, name, answer);
}

static int compare_mx(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;
    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return strcmp(x->host, y->host);
}

void dns_answer_deinit(struct dns_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        free(answer->records[i].text);
        answer->records[i].text = NULL;
    }
    answer->count = 0;
}

static void set_failed(struct dns_answer *answer, const char *reason)
{
    dns_answer_deinit(answer);
    *answer = (struct dns_answer){.outcome = DNS_FAILED, .reason = reason};
}

void dns_answer_parse(struct flz_view message, enum dns_type type, struct dns_answer *ret_answer)
{
    *ret_answer = (struct dns_answer){.outcome = DNS_FAILED, .ttl_s = UINT32_MAX, .reason = ""};
    const char *reason = read_message(message, type, ret_answer);
    if (reason) {
        set_failed(ret_answer, reason);
        return;
    }
    if (ret_answer->outcome != DNS_FOUND)
        ret_answer->ttl_s = 0;
    if (type == DNS_MX || type == DNS_SRV)
        qsort(ret_answer->records, ret_answer->count, sizeof ret_answer->records[0], compare_mx);
}

/* ---- Names ---- */

/* What we ask for: host names, and names with underscores (_dmarc, selector._domainkey). */
static bool name_is_usable(const char *name)
{
    size_t len = strlen(name), label = 0;
    if (len == 0 || len >= FLZ_DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = flz_ascii_lower(name[i]);
        if (c == '.' && label == 0)
            return false;
        label = c == '.' ? 0 : label + 1;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (label > LABEL_MAX || (c != '.' && !plain))
            return false;
    }
    return true;
}

static bool add_piece(char name[static FLZ_DOMAIN_MAX], const char *piece)
{
    size_t len = strlen(name);
    return flz_text_copy(name + len, FLZ_DOMAIN_MAX - len, piece) == 0;
}

int dns_reverse_name(const char *address, const char *suffix, char ret_name[static FLZ_DOMAIN_MAX])
{
    uint8_t bytes[16];
    char name[FLZ_DOMAIN_MAX] = "", piece[8];
    bool v6 = inet_pton(AF_INET6, address, bytes) == 1;
    if (!v6 && inet_pton(AF_INET, address, bytes) != 1)
        return flz_fail(-EINVAL);
    for (int i = v6 ? 15 : 3; i >= 0; i--) {
        if (v6)
            (void)snprintf(piece, sizeof piece, "%x.%x.", bytes[i] & 0xf, bytes[i] >> 4);
        else
            (void)snprintf(piece, sizeof piece, "%u.", bytes[i]);
        if (!add_piece(name, piece))
            return flz_fail(-EINVAL);
    }
    if (!suffix)
        suffix = v6 ? "ip6.arpa" : "in-addr.arpa";
    if (!add_piece(name, suffix) || !name_is_usable(name))
        return flz_fail(-EINVAL);
    memcpy(ret_name, name, sizeof name);
    return 0;
}

/* ---- The channel on the loop ---- */

struct socket {
    uv_poll_t poll;
    struct dns *dns;
    struct socket *next;
    ares_socket_t fd;
};

struct dns {
    uv_loop_t *loop;
    ares_channel channel;
    struct socket *sockets;     /* owned until their handles are closed */
    struct question *questions; /* not yet answered; owned by the channel, which hands them back */
    uv_timer_t timer;
    unsigned in_flight;
    unsigned depth; /* of calls into c-ares, in which the channel must not go away */
    bool freed;
};

struct question {
    struct dns *dns;
    struct question *next, **link; /* in the list of those not yet answered; NULL after that */
    enum dns_type type;
    dns_on_answer on_answer;
    void *data;
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void enter(struct dns *dns)
{
    dns->depth++;
}

static void leave(struct dns *dns)
{
    if (--dns->depth > 0 || !dns->freed)
        return;
    ares_destroy(dns->channel);
    uv_close((uv_handle_t *)&dns->timer, on_timer_closed);
}

static void process(struct dns *dns, ares_socket_t read_fd, ares_socket_t write_fd)
{
    enter(dns);
    ares_process_fd(dns->channel, read_fd, write_fd);
    if (dns->in_flight == 0)
        (void)uv_timer_stop(&dns->timer);
    leave(dns);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket *socket = poll->data;
    bool failed = status < 0;
    process(socket->dns, failed || events & UV_READABLE ? socket->fd : ARES_SOCKET_BAD,
            failed || events & UV_WRITABLE ? socket->fd : ARES_SOCKET_BAD);
}

static void on_tick(uv_timer_t *timer)
{
    process(timer->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static struct socket *add_socket(struct dns *dns, ares_socket_t fd)
{
    struct socket *socket = calloc(1, sizeof *socket);
    if (!socket || uv_poll_init(dns->loop, &socket->poll, fd) < 0) {
        /* Nobody watches it: the question runs into its time-out and fails as such. */
        free(socket);
        return NULL;
    }
    socket->poll.data = socket;
    socket->dns = dns;
    socket->fd = fd;
    socket->next = dns->sockets;
    dns->sockets = socket;
    return socket;
}

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns *dns = data;
    struct socket **at = &dns->sockets;
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    struct socket *socket = *at;
    if (!readable && !writable) {
        if (!socket)
            return;
        *at = socket->next;
        uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
        return;
    }
    if (!socket)
        socket = add_socket(dns, fd);
    if (socket)
        (void)uv_poll_start(&socket->poll,
                            (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_poll);
}

static bool port_is_usable(const char *text)
{
    uint64_t port;
    return flz_parse_u64(text, UINT16_MAX, &port) == 0 && port > 0;
}

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53"; changes `text`. */
static bool server_is_usable(char *text)
{
    uint8_t bytes[16];
    if (*text == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] && (end[1] != ':' || !port_is_usable(end + 2))))
            return false;
        *end = '\0';
        return inet_pton(AF_INET6, text + 1, bytes) == 1;
    }
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return true;
    char *colon = strchr(text, ':');
    if (colon && !port_is_usable(colon + 1))
        return false;
    if (colon)
        *colon = '\0';
    return inet_pton(AF_INET, text, bytes) == 1;
}

/* c-ares passes over what it cannot read in its list, and asks the rest or nobody. */
static bool servers_are_usable(const char *servers)
{
    _cleanup_(flz_freep) char *copy = strdup(servers);
    char *rest = copy;
    while (rest)
        if (!server_is_usable(strsep(&rest, ",")))
            return false;
    return copy != NULL;
}

static int set_servers(struct dns *dns, const char *servers, struct flz_msg *msg)
{
    if (!servers || !*servers)
        return 0;
    if (servers_are_usable(servers) &&
        ares_set_servers_ports_csv(dns->channel, servers) == ARES_SUCCESS)
        return 0;
    flz_msg_set(msg, "\"%s\": not a list of name servers (ADDRESS[:PORT],...)", servers);
    return flz_fail(-EINVAL);
}

int dns_new(struct uv_loop_s *loop, struct dns_options options, struct dns **ret_dns,
            struct flz_msg *msg)
{
    struct dns *dns = calloc(1, sizeof *dns);
    if (!dns)
        return flz_fail(-ENOMEM);
    struct ares_options ares = {
        .flags = ARES_FLAG_EDNS,
        .ednspsz = EDNS_SIZE,
        .timeout = options.timeout_ms ? options.timeout_ms : TIMEOUT_MS,
        .tries = options.tries ? options.tries : TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = dns,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_SOCK_STATE_CB;
    int r = ares_init_options(&dns->channel, &ares, mask);
    if (r != ARES_SUCCESS) {
        flz_msg_set(msg, "cannot start the resolver: %s", ares_strerror(r));
        free(dns);
        return flz_fail(r == ARES_ENOMEM ? -ENOMEM : -EIO);
    }
    r = set_servers(dns, options.servers, msg);
    if (r < 0) {
        ares_destroy(dns->channel);
        free(dns);
        return r;
    }
    dns->loop = loop;
    (void)uv_timer_init(loop, &dns->timer);
    dns->timer.data = dns;
    *ret_dns = dns;
    return 0;
}

/* Takes the question from the list before it tells, since being told may free all the rest. */
static void tell(struct question *question, const struct dns_answer *answer)
{
    *question->link = question->next;
    if (question->next)
        question->next->link = question->link;
    question->link = NULL;
    question->dns->in_flight--;
    question->on_answer(answer, question->data);
}

static void tell_failed(struct question *question, const char *reason)
{
    struct dns_answer answer = {.outcome = DNS_FAILED, .reason = reason};
    tell(question, &answer);
}

/* Not by ares_cancel(): called from an answer, it answers that question a second time. */
struct dns *dns_free(struct dns *dns)
{
    if (!dns)
        return NULL;
    enter(dns);
    dns->freed = true;
    while (dns->questions)
        tell_failed(dns->questions, "cancelled");
    leave(dns);
    return NULL;
}

static void on_reply(void *data, int status, int timeouts, unsigned char *bytes, int len)
{
    struct question *question = data;
    bool readable = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    if (!question->link) {
        free(question); /* told already, when the resolver was freed */
        return;
    }
    if (readable && bytes && len > 0) {
        struct dns_answer answer;
        dns_answer_parse((struct flz_view){bytes, (size_t)len}, question->type, &answer);
        tell(question, &answer);
        dns_answer_deinit(&answer);
    } else {
        tell_failed(question, ares_strerror(status));
    }
    free(question);
}

static void add_question(struct dns *dns, struct question *question)
{
    question->next = dns->questions;
    question->link = &dns->questions;
    if (question->next)
        question->next->link = &question->next;
    dns->questions = question;
    if (dns->in_flight++ == 0)
        (void)uv_timer_start(&dns->timer, on_tick, TICK_MS, TICK_MS);
}

int dns_query(struct dns *dns, const char *name, enum dns_type type, dns_on_answer on_answer,
              void *data)
{
    if (!name_is_usable(name))
        return flz_fail(-EINVAL);
    if (dns->freed || dns->in_flight == DNS_QUERIES_MAX)
        return DNS_E_FULL;
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return DNS_E_FULL;
    question->dns = dns;
    question->type = type;
    question->on_answer = on_answer;
    question->data = data;
    add_question(dns, question);
    enter(dns);
    ares_query(dns->channel, name, CLASS_IN, (int)type, on_reply, question);
    leave(dns);
    return 0;
}
