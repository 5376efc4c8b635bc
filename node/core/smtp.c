#include "node/core/smtp.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "node/core/base64.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Where AUTH stands (RFC 4954). */
enum {
    AUTH_WANT_SECRET, /* SMTP_E_SECRET was or will be reported; the server waits for us */
    AUTH_BARE,        /* the mechanism alone was sent: an empty 334 asks for the rest */
    AUTH_LOGIN_USER,  /* "AUTH LOGIN" sent: 334 asks for the user name */
    AUTH_LOGIN_PASS,  /* user name sent: 334 asks for the password */
    AUTH_FINAL,       /* the secret was sent */
    AUTH_CHALLENGED,  /* the error challenge of a token mechanism was answered: a refusal follows */
};

#define COMMAND_LINE_MAX 512             /* RFC 5321 4.5.3.1.4, CRLF included */
#define OUT_KEPT_MAX ((size_t)64 * 1024) /* a buffer grown larger is given back when empty */

static const char UNASKED[] = "reply nobody asked for";

static const struct {
    const char *name;
    enum smtp_mechanism bit;
} mechanisms[] = {
    {"PLAIN", SMTP_AUTH_PLAIN},
    {"LOGIN", SMTP_AUTH_LOGIN},
    {"XOAUTH2", SMTP_AUTH_XOAUTH2},
    {"OAUTHBEARER", SMTP_AUTH_OAUTHBEARER},
};

/* ---- output ---- */

static void wipe_out(struct smtp *smtp)
{
    if (smtp->out.data && smtp->secret_in_out)
        explicit_bzero(smtp->out.data, smtp->out.size);
    smtp->secret_in_out = false;
    smtp->dot_in_out = false;
    flz_buf_reset(&smtp->out);
    if (smtp->out.size > OUT_KEPT_MAX)
        flz_buf_deinit(&smtp->out);
}

struct flz_view smtp_output(const struct smtp *smtp)
{
    return flz_buf_view(&smtp->out);
}

void smtp_taken(struct smtp *smtp, size_t n)
{
    assert(n <= smtp->out.len);
    if (n == smtp->out.len) {
        wipe_out(smtp);
        return;
    }
    flz_buf_consume(&smtp->out, n);
    /* S4: what was moved to the front still stands behind the end. */
    if (smtp->secret_in_out)
        explicit_bzero(smtp->out.data + smtp->out.len, smtp->out.size - smtp->out.len);
}

/* S5: every command line goes through here. `line` carries no CR or LF of its own. */
static void put_line(struct smtp *smtp, const char *line)
{
    assert(!strpbrk(line, "\r\n"));
    flz_buf_add_str(&smtp->out, line);
    flz_buf_add(&smtp->out, "\r\n", 2);
}

/* ---- how things end ---- */

static void set_result(struct smtp *smtp, enum smtp_verdict verdict, const char *reason)
{
    smtp->result.verdict = verdict;
    smtp->result.stage = smtp->stage;
    smtp->result.reply = REPLY_NULL;
    smtp->result.reason = reason;
}

static void set_result_reply(struct smtp *smtp)
{
    const struct reply *reply = &smtp->parser.reply;
    set_result(smtp,
               reply->code / 100 == 4   ? SMTP_REFUSED_TEMP
               : reply->code / 100 == 5 ? SMTP_REFUSED_PERM
                                        : SMTP_NONE,
               NULL);
    smtp->result.reply = *reply;
}

/* The verdict of a transaction that no reply decided. S2. */
static enum smtp_verdict verdict_without_reply(const struct smtp *smtp)
{
    return smtp->stage == SMTP_STAGE_DOT && !smtp->dot_in_out ? SMTP_UNKNOWN : SMTP_NOT_SENT;
}

/* Ends the session, whose result has been set, and a transaction if one is open. */
static enum smtp_event close_session(struct smtp *smtp)
{
    bool in_transaction = smtp->in_transaction;
    smtp->in_transaction = false;
    smtp->stage = SMTP_STAGE_CLOSED;
    smtp->pending = SMTP_E_MORE;
    wipe_out(smtp);
    flz_buf_deinit(&smtp->body);
    return in_transaction ? SMTP_E_DONE : SMTP_E_CLOSED;
}

/* Ends the session for a reason that is no decisive reply. */
static enum smtp_event break_session(struct smtp *smtp, const char *reason)
{
    /* A refusal already read stands, whatever happens behind it. */
    if (!(smtp->in_transaction && smtp->refused))
        set_result(smtp, smtp->in_transaction ? verdict_without_reply(smtp) : SMTP_NONE, reason);
    return close_session(smtp);
}

/* The same from inside a step, whose caller learns of the closed session by a second event. */
static enum smtp_event closed_by_step(struct smtp *smtp, enum smtp_event event)
{
    if (event == SMTP_E_DONE)
        smtp->pending = SMTP_E_CLOSED;
    return event;
}

static enum smtp_event violated(struct smtp *smtp, const char *reason)
{
    return closed_by_step(smtp, break_session(smtp, reason));
}

/* A violation that a whole reply shows: the reply is kept for whoever looks. */
static enum smtp_event violated_by_reply(struct smtp *smtp, const char *reason)
{
    bool kept = smtp->in_transaction && smtp->refused;
    enum smtp_event event = violated(smtp, reason);
    if (!kept)
        smtp->result.reply = smtp->parser.reply;
    return event;
}

enum smtp_event smtp_lost(struct smtp *smtp, const char *reason)
{
    if (smtp->stage == SMTP_STAGE_CLOSED) {
        smtp->pending = SMTP_E_MORE;
        return SMTP_E_CLOSED;
    }
    return break_session(smtp, smtp->stage == SMTP_STAGE_QUIT ? NULL : reason);
}

enum smtp_event smtp_drop(struct smtp *smtp)
{
    return smtp_lost(smtp, "given up");
}

/* ---- session ---- */

static void start_ehlo(struct smtp *smtp)
{
    char line[SMTP_NAME_MAX + 8];
    (void)snprintf(line, sizeof(line), "EHLO %s", smtp->ehlo_name);
    smtp->capabilities = (struct smtp_capabilities){.pipelining = false};
    smtp->stage = SMTP_STAGE_EHLO;
    put_line(smtp, line);
}

/* A host name, or an address literal: nothing that could end the line. */
static bool name_is_sane(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= SMTP_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    return true;
}

void smtp_init(struct smtp *smtp, const struct smtp_options *options)
{
    assert(name_is_sane(options->ehlo_name));
    *smtp = (struct smtp){
        .stage = SMTP_STAGE_GREETING,
        .timeout_ms_max = options->timeout_ms_max,
        .encrypted = options->encrypted,
    };
    reply_parser_init(&smtp->parser);
    (void)flz_text_copy(smtp->ehlo_name, sizeof(smtp->ehlo_name), options->ehlo_name);
    if (options->greeted)
        start_ehlo(smtp);
}

void smtp_deinit(struct smtp *smtp)
{
    smtp->secret_in_out = true;
    wipe_out(smtp);
    flz_buf_deinit(&smtp->out);
    flz_buf_deinit(&smtp->body);
}

bool smtp_alive(const struct smtp *smtp)
{
    return smtp->stage != SMTP_STAGE_CLOSED && smtp->stage != SMTP_STAGE_QUIT;
}

bool smtp_idle(const struct smtp *smtp)
{
    return smtp->stage == SMTP_STAGE_IDLE;
}

bool smtp_authenticated(const struct smtp *smtp)
{
    return smtp->authenticated;
}

const struct smtp_result *smtp_result(const struct smtp *smtp)
{
    return &smtp->result;
}

const struct smtp_capabilities *smtp_capabilities(const struct smtp *smtp)
{
    return &smtp->capabilities;
}

/* RFC 5321 4.5.3.2; AUTH, NOOP and RSET as MAIL. Nobody needs an answer to QUIT. */
static int64_t stage_timeout_ms(const struct smtp *smtp)
{
    switch (smtp->stage) {
    case SMTP_STAGE_GREETING:
    case SMTP_STAGE_EHLO:
    case SMTP_STAGE_MAIL:
    case SMTP_STAGE_RCPT:
    case SMTP_STAGE_COMMAND: return 5 * FLZ_MINUTE_MS;
    case SMTP_STAGE_AUTH: return smtp->auth_step == AUTH_WANT_SECRET ? -1 : 5 * FLZ_MINUTE_MS;
    case SMTP_STAGE_DATA: return 2 * FLZ_MINUTE_MS;
    case SMTP_STAGE_BODY: return 3 * FLZ_MINUTE_MS;
    case SMTP_STAGE_DOT: return 10 * FLZ_MINUTE_MS;
    case SMTP_STAGE_QUIT: return 10 * FLZ_SECOND_MS;
    case SMTP_STAGE_CONNECT:
    case SMTP_STAGE_IDLE:
    case SMTP_STAGE_CLOSED: break;
    }
    return -1;
}

int64_t smtp_timeout_ms(const struct smtp *smtp)
{
    int64_t ms = stage_timeout_ms(smtp);
    bool shorter = smtp->timeout_ms_max > 0 && ms > smtp->timeout_ms_max;
    return shorter ? smtp->timeout_ms_max : ms;
}

/* ---- EHLO ---- */

static unsigned mechanisms_of(char *words)
{
    unsigned bits = 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, " =", &rest); word; word = strtok_r(NULL, " =", &rest))
        for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
            if (flz_ascii_equal_nocase(word, mechanisms[i].name))
                bits |= (unsigned)mechanisms[i].bit;
    return bits;
}

/* One line of the EHLO answer (RFC 5321 4.1.1.1); "AUTH=" is what servers older than RFC 2554 say.
 */
static void take_keyword(struct smtp *smtp, char *line)
{
    struct smtp_capabilities *cap = &smtp->capabilities;
    size_t n = strcspn(line, " =");
    char *words = line[n] == '\0' ? line + n : line + n + 1;
    line[n] = '\0';

    if (flz_ascii_equal_nocase(line, "PIPELINING")) {
        cap->pipelining = true;
    } else if (flz_ascii_equal_nocase(line, "8BITMIME")) {
        cap->eight_bit = true;
    } else if (flz_ascii_equal_nocase(line, "DSN")) {
        cap->dsn = true;
    } else if (flz_ascii_equal_nocase(line, "ENHANCEDSTATUSCODES")) {
        cap->enhanced = true;
    } else if (flz_ascii_equal_nocase(line, "SIZE")) {
        cap->size = true;
        if (flz_parse_u64(words, UINT64_MAX, &cap->size_max) < 0)
            cap->size_max = 0;
    } else if (flz_ascii_equal_nocase(line, "AUTH")) {
        cap->offered |= mechanisms_of(words);
        cap->mechanisms = smtp->encrypted ? cap->offered : 0; /* S3 */
    }
}

static enum smtp_event refused(struct smtp *smtp)
{
    set_result_reply(smtp);
    smtp->stage = SMTP_STAGE_IDLE;
    return SMTP_E_REFUSED;
}

static enum smtp_event ready(struct smtp *smtp)
{
    set_result_reply(smtp);
    smtp->stage = SMTP_STAGE_IDLE;
    return SMTP_E_READY;
}

static enum smtp_event take_greeting(struct smtp *smtp)
{
    if (smtp->parser.reply.code / 100 != 2) {
        set_result_reply(smtp);
        return close_session(smtp);
    }
    start_ehlo(smtp);
    return SMTP_E_MORE;
}

static enum smtp_event take_ehlo(struct smtp *smtp)
{
    int class = smtp->parser.reply.code / 100;
    smtp->ehlo_ok = class == 2;
    if (class == 3)
        return violated_by_reply(smtp, "unexpected answer to EHLO");
    return class == 2 ? ready(smtp) : refused(smtp);
}

/* ---- AUTH ---- */

enum smtp_mechanism smtp_choose(const struct smtp *smtp, bool token)
{
    unsigned bits = smtp->capabilities.mechanisms;
    enum smtp_mechanism first = token ? SMTP_AUTH_XOAUTH2 : SMTP_AUTH_PLAIN;
    enum smtp_mechanism second = token ? SMTP_AUTH_OAUTHBEARER : SMTP_AUTH_LOGIN;
    return bits & first ? first : bits & second ? second : (enum smtp_mechanism)0;
}

/* Whether an order may be given: 0 or -EPIPE. */
static int check_idle(struct smtp *smtp)
{
    if (smtp->stage == SMTP_STAGE_CLOSED)
        return flz_fail(-EPIPE);
    assert(smtp->stage == SMTP_STAGE_IDLE);
    assert(smtp->out.len == 0);
    if (reply_parser_inside(&smtp->parser)) { /* S6: half a reply, before there was a question */
        smtp->pending = break_session(smtp, UNASKED);
        return flz_fail(-EPIPE);
    }
    smtp->result.challenge[0] = '\0';
    return 0;
}

static bool user_is_sane(const char *user)
{
    size_t n = strlen(user);
    if (n == 0 || n >= SMTP_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)user[i] < ' ' || user[i] == 0x7f)
            return false;
    return true;
}

int smtp_auth(struct smtp *smtp, enum smtp_mechanism mechanism, const char *user)
{
    int r = check_idle(smtp);
    if (r < 0)
        return r;
    if (!smtp->ehlo_ok)
        return flz_fail(-EPIPE);
    if (!(smtp->capabilities.mechanisms & (unsigned)mechanism) || !user_is_sane(user))
        return flz_fail(-EINVAL);

    assert(smtp->encrypted); /* S3 */
    (void)flz_text_copy(smtp->user, sizeof(smtp->user), user);
    smtp->mechanism = mechanism;
    smtp->auth_bare = false;
    smtp->stage = SMTP_STAGE_AUTH;
    if (mechanism == SMTP_AUTH_LOGIN) {
        smtp->auth_step = AUTH_LOGIN_USER;
        put_line(smtp, "AUTH LOGIN");
        return flz_buf_error(&smtp->out);
    }
    smtp->auth_step = AUTH_WANT_SECRET;
    smtp->pending = SMTP_E_SECRET;
    return 0;
}

/* RFC 5801: "," and "=" are spelt otherwise in the name of a GS2 header. */
static void add_gs2_name(struct flz_buf *buf, const char *name)
{
    for (; *name; name++) {
        if (*name == ',')
            flz_buf_add_str(buf, "=2C");
        else if (*name == '=')
            flz_buf_add_str(buf, "=3D");
        else
            flz_buf_add_byte(buf, (uint8_t)*name);
    }
}

/* The clear form of what AUTH sends: RFC 4616, the password alone, Google's XOAUTH2, RFC 7628. */
static void add_response(const struct smtp *smtp, struct flz_view secret, const char *host,
                         uint16_t port, struct flz_buf *buf)
{
    switch (smtp->mechanism) {
    case SMTP_AUTH_PLAIN:
        flz_buf_add_byte(buf, 0);
        flz_buf_add_str(buf, smtp->user);
        flz_buf_add_byte(buf, 0);
        flz_buf_add_view(buf, secret);
        return;
    case SMTP_AUTH_LOGIN: flz_buf_add_view(buf, secret); return;
    case SMTP_AUTH_XOAUTH2:
        flz_buf_add_str(buf, "user=");
        flz_buf_add_str(buf, smtp->user);
        flz_buf_add_byte(buf, 1);
        break;
    case SMTP_AUTH_OAUTHBEARER:
        flz_buf_add_str(buf, "n,a=");
        add_gs2_name(buf, smtp->user);
        flz_buf_add_str(buf, ",\x01");
        if (host)
            flz_buf_printf(buf, "host=%s\x01", host);
        if (port != 0)
            flz_buf_printf(buf, "port=%u\x01", (unsigned)port);
        break;
    }
    flz_buf_add_str(buf, "auth=Bearer ");
    flz_buf_add_view(buf, secret);
    flz_buf_add_str(buf, "\x01\x01");
}

/* No octet that the encoding would give another meaning: NUL ends a field of PLAIN, and a token is
 * what RFC 6750 2.1 (b64token) allows. */
static bool secret_is_sane(enum smtp_mechanism mechanism, struct flz_view secret)
{
    bool token = mechanism == SMTP_AUTH_XOAUTH2 || mechanism == SMTP_AUTH_OAUTHBEARER;
    for (size_t i = 0; i < secret.len; i++) {
        uint8_t c = secret.data[i];
        if (c == 0 || (token && (c <= ' ' || c > '~')))
            return false;
    }
    return secret.len > 0;
}

static const char *auth_command(enum smtp_mechanism mechanism)
{
    switch (mechanism) {
    case SMTP_AUTH_PLAIN: return "AUTH PLAIN ";
    case SMTP_AUTH_XOAUTH2: return "AUTH XOAUTH2 ";
    case SMTP_AUTH_OAUTHBEARER: return "AUTH OAUTHBEARER ";
    case SMTP_AUTH_LOGIN: break;
    }
    return "";
}

static void wipe_buf(struct flz_buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->size);
    flz_buf_deinit(buf);
}

/* AUTH is a command like others: one whose line would be too long goes without its initial response
 * (RFC 4954 section 4). Postfix cuts such a line. */
static int put_bare_command(struct smtp *smtp, const char *command)
{
    char line[32];
    (void)snprintf(line, sizeof(line), "%s", command);
    line[strlen(line) - 1] = '\0'; /* its last blank */
    smtp->auth_bare = true;
    put_line(smtp, line);
    return flz_buf_error(&smtp->out);
}

static int put_secret(struct smtp *smtp, struct flz_view secret, const char *host, uint16_t port)
{
    if (!secret_is_sane(smtp->mechanism, secret) || (host && !name_is_sane(host)))
        return flz_fail(-EINVAL);
    if (secret.len > SMTP_AUTH_LINE_MAX)
        return flz_fail(-EMSGSIZE);

    /* Room for all of it first: a buffer that grows leaves copies behind (S4). */
    _cleanup_(wipe_buf) struct flz_buf clear = FLZ_BUF_NULL;
    const char *command = auth_command(smtp->mechanism);
    (void)flz_buf_reserve(&clear, secret.len + 3 * SMTP_NAME_MAX + SMTP_NAME_MAX + 64);
    add_response(smtp, secret, host, port, &clear);
    int r = flz_buf_error(&clear);
    if (r < 0)
        return r;
    size_t len = strlen(command) + BASE64_LEN(clear.len) + 2;
    if (len > SMTP_AUTH_LINE_MAX)
        return flz_fail(-EMSGSIZE);
    if (*command && !smtp->auth_bare && len > COMMAND_LINE_MAX)
        return put_bare_command(smtp, command);
    if (smtp->auth_bare)
        command = "";
    if (!flz_buf_reserve(&smtp->out, len))
        return flz_fail(-ENOMEM);

    smtp->secret_in_out = true;
    flz_buf_add_str(&smtp->out, command);
    base64_encode(flz_buf_view(&clear), (char *)smtp->out.data + smtp->out.len);
    smtp->out.len += BASE64_LEN(clear.len);
    flz_buf_add(&smtp->out, "\r\n", 2);
    return 0;
}

int smtp_secret(struct smtp *smtp, struct flz_view secret, const char *host, uint16_t port)
{
    assert(smtp->stage == SMTP_STAGE_AUTH);
    assert(smtp->auth_step == AUTH_WANT_SECRET);
    assert(smtp->encrypted); /* S3 */
    int r = reply_parser_inside(&smtp->parser) ? flz_fail(-EPROTO) : 0;
    if (r == 0)
        r = put_secret(smtp, secret, host, port);
    if (r < 0) {
        smtp->pending = break_session(smtp, r == -EPROTO ? UNASKED : "unusable secret");
        return r;
    }
    smtp->auth_step = smtp->secret_in_out ? AUTH_FINAL : AUTH_BARE;
    return 0;
}

/* The decoded error challenge of a refused token (JSON with a status), for whoever explains it. */
static void keep_challenge(struct smtp *smtp)
{
    uint8_t clear[REPLY_WORDS_MAX];
    size_t n = 0;
    char *to = smtp->result.challenge;
    size_t max = sizeof(smtp->result.challenge) - 1;
    if (base64_decode(flz_view_str(smtp->parser.line), clear, &n) < 0)
        n = 0;
    if (n > max)
        n = max;
    for (size_t i = 0; i < n; i++)
        to[i] = clear[i] >= ' ' && clear[i] <= '~' ? (char)clear[i] : '?';
    to[n] = '\0';
}

/* 334 (RFC 4954 section 4): the server asks for the next piece. */
static enum smtp_event take_challenge(struct smtp *smtp)
{
    char line[BASE64_LEN(SMTP_NAME_MAX) + 1];
    switch (smtp->auth_step) {
    case AUTH_LOGIN_USER:
        base64_encode(flz_view_str(smtp->user), line);
        line[BASE64_LEN(strlen(smtp->user))] = '\0';
        put_line(smtp, line);
        smtp->auth_step = AUTH_LOGIN_PASS;
        return SMTP_E_MORE;
    case AUTH_BARE:
    case AUTH_LOGIN_PASS: smtp->auth_step = AUTH_WANT_SECRET; return SMTP_E_SECRET;
    case AUTH_FINAL:
        if (smtp->mechanism != SMTP_AUTH_XOAUTH2 && smtp->mechanism != SMTP_AUTH_OAUTHBEARER)
            break;
        keep_challenge(smtp);
        /* An empty answer for XOAUTH2; %x01 for OAUTHBEARER (RFC 7628 3.2.3). */
        put_line(smtp, smtp->mechanism == SMTP_AUTH_XOAUTH2 ? "" : "AQ==");
        smtp->auth_step = AUTH_CHALLENGED;
        return SMTP_E_MORE;
    default: break;
    }
    return violated_by_reply(smtp, "challenge that the mechanism does not have");
}

static enum smtp_event take_auth(struct smtp *smtp, bool early)
{
    int code = smtp->parser.reply.code;
    if (code / 100 == 4 || code / 100 == 5)
        return refused(smtp);
    if (code == 334)
        return early ? violated_by_reply(smtp, UNASKED) : take_challenge(smtp);
    if (code / 100 == 2 && smtp->auth_step == AUTH_FINAL) {
        smtp->authenticated = true;
        return ready(smtp);
    }
    return violated_by_reply(smtp, "unexpected answer to AUTH");
}

/* ---- a transaction ---- */

/*
 * Checks a body and appends it dot-stuffed (RFC 5321 4.5.2), with its last CRLF. A CR or LF alone
 * is refused: receivers disagree about them, and between two that do a message can be smuggled.
 */
static int stuff_body(struct flz_view body, struct flz_buf *buf)
{
    const uint8_t *p = body.data;
    const uint8_t *end = body.len > 0 ? body.data + body.len : body.data;
    if (body.len > SMTP_BODY_MAX || (body.len > 0 && memchr(p, 0, body.len)))
        return flz_fail(-EINVAL);

    while (p < end) {
        const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *text_end = lf ? lf - 1 : end;
        if (lf && (lf == p || *text_end != '\r'))
            return flz_fail(-EINVAL);
        size_t len = (size_t)(text_end - p);
        if (memchr(p, '\r', len) || len + 2 > SMTP_BODY_LINE_MAX)
            return flz_fail(-EINVAL);
        if (*p == '.')
            flz_buf_add_byte(buf, '.');
        flz_buf_add(buf, p, len);
        flz_buf_add(buf, "\r\n", 2);
        p = lf ? lf + 1 : end;
    }
    return flz_buf_error(buf);
}

static bool has_8bit(struct flz_view body)
{
    for (size_t i = 0; i < body.len; i++)
        if (body.data[i] >= 0x80)
            return true;
    return false;
}

static bool envid_is_sane(const char *envid)
{
    return strlen(envid) >= 1 && strlen(envid) <= SMTP_ENVID_MAX &&
           strspn(envid, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@_-") ==
               strlen(envid);
}

/* S5, once more behind flz_address_parse(): no space, bracket or control character. */
static void assert_address(const struct flz_address *address)
{
    assert(strnlen(address->text, sizeof(address->text)) < sizeof(address->text));
    for (const char *p = address->text; *p; p++)
        assert(*p > ' ' && *p <= '~' && *p != '<' && *p != '>');
    assert(strchr(address->text, '@'));
}

static void make_commands(struct smtp *smtp, const struct smtp_message *message, bool eight_bit)
{
    const struct smtp_capabilities *cap = &smtp->capabilities;
    bool dsn = cap->dsn && message->envid;
    char size[40] = "";
    char envid[SMTP_ENVID_MAX + 24] = "";
    if (cap->size)
        (void)snprintf(size, sizeof(size), " SIZE=%zu", message->body.len);
    if (dsn)
        (void)snprintf(envid, sizeof(envid), " RET=HDRS ENVID=%s", message->envid);
    (void)snprintf(smtp->mail_line, sizeof(smtp->mail_line), "MAIL FROM:<%s>%s%s%s",
                   message->from->text, size, eight_bit ? " BODY=8BITMIME" : "", envid);
    (void)snprintf(smtp->rcpt_line, sizeof(smtp->rcpt_line), "RCPT TO:<%s>%s", message->to->text,
                   dsn ? " NOTIFY=FAILURE,DELAY" : "");
}

static void start_transaction(struct smtp *smtp)
{
    smtp->in_transaction = true;
    smtp->refused = false;
    smtp->pipelined = smtp->capabilities.pipelining;
    smtp->stage = smtp->needs_reset ? SMTP_STAGE_COMMAND : SMTP_STAGE_MAIL;
    if (smtp->needs_reset)
        put_line(smtp, "RSET");
    if (!smtp->needs_reset || smtp->pipelined)
        put_line(smtp, smtp->mail_line);
    if (smtp->pipelined) {
        put_line(smtp, smtp->rcpt_line);
        put_line(smtp, "DATA");
    }
    smtp->needs_reset = false;
}

int smtp_send(struct smtp *smtp, const struct smtp_message *message)
{
    int r = check_idle(smtp);
    if (r < 0)
        return r;
    if (!smtp->ehlo_ok)
        return flz_fail(-EPIPE);
    assert_address(message->from);
    assert_address(message->to);
    assert(!message->envid || envid_is_sane(message->envid));

    const struct smtp_capabilities *cap = &smtp->capabilities;
    bool eight_bit = has_8bit(message->body);
    if (cap->size_max > 0 && message->body.len > cap->size_max)
        return SMTP_E_TOO_BIG;
    if (eight_bit && !cap->eight_bit)
        return SMTP_E_8BIT;

    flz_buf_reset(&smtp->body);
    r = stuff_body(message->body, &smtp->body);
    if (r == 0 && !flz_buf_reserve(&smtp->out, 2 * (size_t)SMTP_COMMAND_MAX + 16))
        r = flz_buf_error(&smtp->out);
    if (r < 0) {
        flz_buf_deinit(&smtp->body);
        flz_buf_reset(&smtp->out);
        return r;
    }
    make_commands(smtp, message, eight_bit);
    start_transaction(smtp);
    return 0;
}

static enum smtp_event done(struct smtp *smtp)
{
    smtp->in_transaction = false;
    smtp->stage = SMTP_STAGE_IDLE;
    flz_buf_reset(&smtp->body);
    return SMTP_E_DONE;
}

/* The next command when it was not written with the first one. */
static enum smtp_event proceed(struct smtp *smtp, enum smtp_stage stage, const char *line,
                               bool early)
{
    if (!smtp->pipelined && early)
        return violated(smtp, UNASKED);
    smtp->stage = stage;
    if (!smtp->pipelined)
        put_line(smtp, line);
    return SMTP_E_MORE;
}

/* MAIL, RCPT or DATA was refused: the first refusal is the result; what was pipelined behind it is
 * still answered and has to be read. */
static enum smtp_event take_refusal(struct smtp *smtp)
{
    enum smtp_stage stage = smtp->stage;
    if (!smtp->refused) {
        set_result_reply(smtp);
        smtp->refused = true;
        smtp->needs_reset = stage != SMTP_STAGE_MAIL;
    }
    if (!smtp->pipelined || stage == SMTP_STAGE_DATA)
        return done(smtp);
    smtp->stage = stage == SMTP_STAGE_MAIL ? SMTP_STAGE_RCPT : SMTP_STAGE_DATA;
    return SMTP_E_MORE;
}

static enum smtp_event take_envelope(struct smtp *smtp, bool early)
{
    int class = smtp->parser.reply.code / 100;
    if (class == 4 || class == 5)
        return take_refusal(smtp);
    if (class != 2)
        return violated_by_reply(smtp, "unexpected answer to MAIL or RCPT");
    return smtp->stage == SMTP_STAGE_MAIL ? proceed(smtp, SMTP_STAGE_RCPT, smtp->rcpt_line, early)
                                          : proceed(smtp, SMTP_STAGE_DATA, "DATA", early);
}

static enum smtp_event take_data(struct smtp *smtp, bool early)
{
    int class = smtp->parser.reply.code / 100;
    if (class == 4 || class == 5)
        return take_refusal(smtp);
    if (class != 3)
        return violated_by_reply(smtp, "unexpected answer to DATA");
    /* RFC 2920 3.1: DATA may be accepted though the recipient was not. Even an empty message would
     * be a message: the way out without a dot is to leave. */
    if (smtp->refused)
        return violated(smtp, "DATA accepted without a recipient");
    if (early)
        return violated_by_reply(smtp, UNASKED);

    assert(smtp->out.len == 0);
    struct flz_buf swap = smtp->out;
    smtp->out = smtp->body;
    smtp->body = swap;
    smtp->stage = SMTP_STAGE_BODY;
    return SMTP_E_DOT;
}

int smtp_release_dot(struct smtp *smtp)
{
    if (smtp->stage == SMTP_STAGE_CLOSED)
        return flz_fail(-EPIPE);
    assert(smtp->stage == SMTP_STAGE_BODY); /* S1 */
    if (reply_parser_inside(&smtp->parser)) {
        enum smtp_event event = break_session(smtp, UNASKED);
        smtp->pending = event;
        return flz_fail(-EPIPE);
    }
    if (!flz_buf_reserve(&smtp->out, 3)) {
        smtp->pending = break_session(smtp, "out of memory");
        return flz_fail(-EPIPE);
    }
    flz_buf_add_str(&smtp->out, ".\r\n");
    smtp->dot_in_out = true;
    smtp->stage = SMTP_STAGE_DOT;
    return 0;
}

static enum smtp_event take_dot(struct smtp *smtp)
{
    int class = smtp->parser.reply.code / 100;
    if (class == 3)
        return violated_by_reply(smtp, "unexpected answer to the end of the message");
    set_result_reply(smtp);
    if (class == 2)
        smtp->result.verdict = SMTP_ACCEPTED;
    return done(smtp);
}

/* ---- NOOP, RSET, QUIT ---- */

static int start_command(struct smtp *smtp, enum smtp_stage stage, const char *line)
{
    int r = check_idle(smtp);
    if (r < 0)
        return r;
    smtp->stage = stage;
    put_line(smtp, line);
    return flz_buf_error(&smtp->out);
}

int smtp_try_mail(struct smtp *smtp, const struct flz_address *from)
{
    char line[SMTP_COMMAND_MAX];
    (void)snprintf(line, sizeof line, "MAIL FROM:<%s>", from->text);
    int r = start_command(smtp, SMTP_STAGE_COMMAND, line);
    smtp->needs_reset = smtp->needs_reset || r == 0;
    return r;
}

int smtp_noop(struct smtp *smtp)
{
    return start_command(smtp, SMTP_STAGE_COMMAND, "NOOP");
}

int smtp_reset(struct smtp *smtp)
{
    smtp->needs_reset = false;
    return start_command(smtp, SMTP_STAGE_COMMAND, "RSET");
}

int smtp_quit(struct smtp *smtp)
{
    return start_command(smtp, SMTP_STAGE_QUIT, "QUIT");
}

static enum smtp_event take_command(struct smtp *smtp, bool early)
{
    int class = smtp->parser.reply.code / 100;
    if (class == 3)
        return violated_by_reply(smtp, "unexpected answer to NOOP or RSET");
    if (!smtp->in_transaction)
        return class == 2 ? ready(smtp) : refused(smtp);
    if (class != 2)
        return violated_by_reply(smtp, "RSET refused");
    return proceed(smtp, SMTP_STAGE_MAIL, smtp->mail_line, early);
}

/* ---- input ---- */

/* 421 may come in place of any reply and ends the session (RFC 5321 3.8, 4.2.1). It is a refusal of
 * whatever it answers, of the end of the message too. */
static enum smtp_event take_421(struct smtp *smtp)
{
    bool decided = smtp->in_transaction && smtp->refused;
    if (smtp->dot_in_out) {
        return violated_by_reply(smtp, "closed by the server before the dot left");
    }
    if (!decided)
        set_result_reply(smtp);
    return closed_by_step(smtp, close_session(smtp));
}

static enum smtp_event take_reply(struct smtp *smtp, bool early)
{
    if (smtp->parser.reply.code == 421)
        return take_421(smtp);
    /* S6: as long as something of ours has not left, nothing was asked. */
    if (smtp->out.len > 0)
        return violated_by_reply(smtp, UNASKED);

    switch (smtp->stage) {
    case SMTP_STAGE_GREETING: return early ? violated(smtp, UNASKED) : take_greeting(smtp);
    case SMTP_STAGE_EHLO: return take_ehlo(smtp);
    case SMTP_STAGE_AUTH:
        if (smtp->auth_step == AUTH_WANT_SECRET)
            break;
        return take_auth(smtp, early);
    case SMTP_STAGE_MAIL:
    case SMTP_STAGE_RCPT: return take_envelope(smtp, early);
    case SMTP_STAGE_DATA: return take_data(smtp, early);
    case SMTP_STAGE_DOT: return take_dot(smtp);
    case SMTP_STAGE_COMMAND: return take_command(smtp, early);
    case SMTP_STAGE_QUIT: set_result_reply(smtp); return close_session(smtp);
    case SMTP_STAGE_BODY:
    case SMTP_STAGE_IDLE:
    case SMTP_STAGE_CONNECT:
    case SMTP_STAGE_CLOSED: break;
    }
    return violated_by_reply(smtp, UNASKED);
}

static bool take_pending(struct smtp *smtp, enum smtp_event *ret_event)
{
    if (smtp->pending == SMTP_E_MORE)
        return false;
    *ret_event = smtp->pending;
    smtp->pending =
        *ret_event == SMTP_E_DONE && smtp->stage == SMTP_STAGE_CLOSED ? SMTP_E_CLOSED : SMTP_E_MORE;
    return true;
}

int smtp_step(struct smtp *smtp, struct flz_view *input)
{
    enum smtp_event event = SMTP_E_MORE;
    if (take_pending(smtp, &event))
        return event;

    while (event == SMTP_E_MORE && input->len > 0) {
        if (smtp->stage == SMTP_STAGE_CLOSED) {
            *input = FLZ_VIEW_NULL;
            return SMTP_E_MORE;
        }
        int r = reply_parser_step(&smtp->parser, input);
        if (r < 0)
            return violated(smtp, smtp->parser.error);
        if (r == REPLY_MORE)
            return SMTP_E_MORE;
        /* The first line of the EHLO answer is the server's name. */
        const struct reply *reply = &smtp->parser.reply;
        if (smtp->stage == SMTP_STAGE_EHLO && reply->lines > 1 && reply->code / 100 == 2)
            take_keyword(smtp, smtp->parser.line);
        if (r == REPLY_DONE)
            event = take_reply(smtp, input->len > 0);
    }
    if (flz_buf_error(&smtp->out) < 0) {
        (void)break_session(smtp, "out of memory");
        return flz_fail(-ENOMEM);
    }
    return event;
}

/* ---- words ---- */

const char *smtp_stage_str(enum smtp_stage stage)
{
    switch (stage) {
    case SMTP_STAGE_CONNECT: return "connect";
    case SMTP_STAGE_GREETING: return "greeting";
    case SMTP_STAGE_EHLO: return "ehlo";
    case SMTP_STAGE_AUTH: return "auth";
    case SMTP_STAGE_IDLE: return "idle";
    case SMTP_STAGE_MAIL: return "mail";
    case SMTP_STAGE_RCPT: return "rcpt";
    case SMTP_STAGE_DATA: return "data";
    case SMTP_STAGE_BODY: return "body";
    case SMTP_STAGE_DOT: return "dot";
    case SMTP_STAGE_COMMAND: return "command";
    case SMTP_STAGE_QUIT: return "quit";
    case SMTP_STAGE_CLOSED: break;
    }
    return "closed";
}

const char *smtp_verdict_str(enum smtp_verdict verdict)
{
    switch (verdict) {
    case SMTP_ACCEPTED: return "accepted";
    case SMTP_REFUSED_TEMP: return "refused-temp";
    case SMTP_REFUSED_PERM: return "refused-perm";
    case SMTP_NOT_SENT: return "not-sent";
    case SMTP_UNKNOWN: return "unknown";
    case SMTP_NONE: break;
    }
    return "none";
}
