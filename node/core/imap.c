#include "node/core/imap.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "node/core/base64.h"
#include "node/core/imap_frame.h"
#include "node/core/imap_parse.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TAG_MAX (IMAP_TAG_PREFIX_MAX + 12)
#define QUOTED_MAX 1000 /* longer strings leave as literals */
#define LITERALS_MAX 4  /* of one command */
#define SECRET_MAX (16 * 1024)
#define USER_MAX 320
#define HOST_MAX 256

/*
 *  GREETING ──* OK──► CAPABILITY ──OK──► LOGIN_WANTED ──login OK──► LOGGED_IN ──LOGOUT──► ENDED
 *     (greet)           (capability_done)     (login_done)                (also: * BYE, anywhere)
 *  a violation, anywhere ──► dead: `failure` is set (die)
 */
enum state {
    STATE_GREETING,
    STATE_CAPABILITY,
    STATE_LOGIN_WANTED,
    STATE_LOGGED_IN,
    STATE_ENDED,
};

enum verb {
    VERB_NONE,
    VERB_CAPABILITY, /* before login */
    VERB_LOGIN,
    VERB_LOGIN_CAPABILITY, /* after it, by the machine itself */
    VERB_SELECT,
    VERB_OTHER,
    VERB_LOGOUT,
};

/* Where a login stands; the order of the arrows differs by mechanism. */
enum login_step {
    LOGIN_STEP_NONE,
    LOGIN_STEP_CONTINUE, /* "+" must come before the secret may be asked for */
    LOGIN_STEP_SECRET,   /* the secret is wanted */
    LOGIN_STEP_LITERAL,  /* LOGIN: "{n}" left, "+" must come, then the secret again */
    LOGIN_STEP_LITERAL_SECRET,
    LOGIN_STEP_ANSWER, /* the secret left */
    LOGIN_STEP_FAILED, /* the error challenge was answered; a tagged NO follows */
};

enum mechanism { MECHANISM_LOGIN, MECHANISM_PLAIN, MECHANISM_XOAUTH2, MECHANISM_OAUTHBEARER };

struct login {
    enum login_step step;
    enum mechanism mechanism;
    char user[USER_MAX];
    char host[HOST_MAX];
    uint16_t port;
    bool asked;                    /* IMAP_EVENT_SECRET was given */
    char challenge[IMAP_TEXT_MAX]; /* why a bearer token was refused */
    struct imap_result result;     /* held while capabilities are asked for */
};

struct imap {
    bool tls;
    uint64_t input_max;
    uint64_t input_taken; /* bytes fed */
    uint64_t input_read;  /* bytes cut into responses */
    char tag_prefix[IMAP_TAG_PREFIX_MAX];
    uint32_t tag_number;
    char tag[TAG_MAX]; /* in flight */

    enum state state;
    enum verb verb;
    int failure; /* 0, or the code of a dead machine */
    char error[IMAP_TEXT_MAX];

    struct flz_buf input; /* owned */
    size_t input_pos;
    struct imap_frame frame; /* owned; the last response, until the next is wanted */
    bool frame_used;
    struct flz_buf output; /* owned; grown by output_reserve() alone */

    struct flz_buf command;        /* owned; the command being written, never a secret */
    size_t literals[LITERALS_MAX]; /* where in it the server's "+" must be waited for */
    size_t n_literals;
    size_t literals_passed;
    size_t command_sent;

    uint32_t untagged; /* responses to the command in flight */
    bool capabilities_fresh;
    uint32_t capabilities;
    struct login login;
    struct imap_mailbox mailbox;
    struct imap_result result; /* of the command in flight, gathered */
    uint32_t *numbers;         /* owned; of one SEARCH response */
    size_t n_numbers;
    size_t numbers_capacity;
};

/* ---- Birth and death ---- */

static int die(struct imap *imap, int code, const char *why)
{
    if (imap->failure == 0) {
        imap->failure = flz_fail(code);
        (void)snprintf(imap->error, sizeof imap->error, "%s", why);
    }
    return imap->failure;
}

static int capability_begin(struct imap *imap, enum verb verb);

struct imap *imap_new(const struct imap_options *options)
{
    assert(strnlen(options->tag_prefix, IMAP_TAG_PREFIX_MAX) < IMAP_TAG_PREFIX_MAX);
    assert(strlen(options->tag_prefix) >= 4);
    struct imap *imap = calloc(1, sizeof *imap);
    if (!imap)
        return NULL;
    imap->tls = options->tls;
    imap->input_max = options->input_max ? options->input_max : IMAP_INPUT_MAX;
    memcpy(imap->tag_prefix, options->tag_prefix, sizeof imap->tag_prefix);
    for (const char *p = imap->tag_prefix; *p; p++)
        assert(isalnum((unsigned char)*p));
    if (options->greeted && capability_begin(imap, VERB_CAPABILITY) < 0)
        return imap_free(imap);
    return imap;
}

static void output_deinit(struct imap *imap)
{
    if (imap->output.data)
        explicit_bzero(imap->output.data, imap->output.size);
    flz_buf_deinit(&imap->output);
}

struct imap *imap_free(struct imap *imap)
{
    if (!imap)
        return NULL;
    output_deinit(imap);
    flz_buf_deinit(&imap->input);
    flz_buf_deinit(&imap->command);
    imap_frame_deinit(&imap->frame);
    free(imap->numbers);
    free(imap);
    return NULL;
}

/* ---- What the shell asks ---- */

bool imap_is_idle(const struct imap *imap)
{
    return imap->failure == 0 && imap->verb == VERB_NONE &&
           (imap->state == STATE_LOGIN_WANTED || imap->state == STATE_LOGGED_IN);
}

bool imap_is_reusable(const struct imap *imap)
{
    return imap_is_idle(imap) && imap->state == STATE_LOGGED_IN && imap->output.len == 0;
}

void imap_rearm(struct imap *imap, uint64_t input_max)
{
    imap->input_taken -= imap->input_read;
    imap->input_read = 0;
    imap->input_max = input_max ? input_max : IMAP_INPUT_MAX;
    if (imap->output.len == 0)
        output_deinit(imap); /* a connection that waits shall be small */
    if (imap->input_pos == imap->input.len) {
        flz_buf_deinit(&imap->input);
        imap->input_pos = 0;
    }
    if (imap->frame_used) {
        imap_frame_deinit(&imap->frame);
        imap->frame_used = false;
    }
}

int64_t imap_timeout_ms(const struct imap *imap)
{
    return imap->verb == VERB_LOGOUT ? 5 * FLZ_SECOND_MS : 60 * FLZ_SECOND_MS;
}

uint64_t imap_input_left(const struct imap *imap)
{
    return imap->input_max - imap->input_taken;
}

const char *imap_error(const struct imap *imap)
{
    return imap->error;
}

uint32_t imap_capabilities(const struct imap *imap)
{
    return imap->capabilities;
}

const struct imap_mailbox *imap_mailbox(const struct imap *imap)
{
    return &imap->mailbox;
}

struct flz_view imap_output(const struct imap *imap)
{
    return flz_buf_view(&imap->output);
}

void imap_sent(struct imap *imap, size_t n)
{
    size_t before = imap->output.len;
    if (n == 0)
        return;
    flz_buf_consume(&imap->output, n);
    explicit_bzero(imap->output.data + imap->output.len, before - imap->output.len);
}

/* ---- Writing commands ---- */

/* Room for `n` more bytes. When the output moves, the bytes left behind are wiped (M5). */
static int output_reserve(struct imap *imap, size_t n)
{
    struct flz_buf *output = &imap->output;
    if (output->len + n > IMAP_OUTPUT_MAX)
        return flz_fail(-EMSGSIZE);
    if (output->len + n + 1 <= output->size)
        return 0;
    struct flz_buf larger = FLZ_BUF_NULL;
    if (!flz_buf_reserve(&larger, output->len + n > 1000 ? output->len + n : 1000))
        return flz_fail(-ENOMEM);
    flz_buf_add_view(&larger, flz_buf_view(output));
    output_deinit(imap);
    *output = larger;
    return 0;
}

static int output_add(struct imap *imap, const void *data, size_t n)
{
    int r = output_reserve(imap, n);
    if (r == 0)
        flz_buf_add(&imap->output, data, n);
    return r;
}

static void put(struct imap *imap, const char *text)
{
    flz_buf_add_str(&imap->command, text);
}

static void command_begin(struct imap *imap)
{
    assert(imap->verb == VERB_NONE && imap->failure == 0);
    flz_buf_reset(&imap->command);
    imap->n_literals = 0;
    imap->literals_passed = 0;
    imap->command_sent = 0;
    (void)snprintf(imap->tag, sizeof imap->tag, "%s%u", imap->tag_prefix, ++imap->tag_number);
    put(imap, imap->tag);
    put(imap, " ");
}

/* A string of ours (M4): quoted when it is short printable ASCII, else a literal. 0 or -EINVAL. */
static int put_string(struct imap *imap, const char *s)
{
    size_t len = strlen(s);
    bool quoted = len <= QUOTED_MAX;
    for (const char *p = s; *p; p++) {
        if (*p == '\r' || *p == '\n')
            return flz_fail(-EINVAL);
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            quoted = false;
    }
    if (quoted) {
        put(imap, "\"");
        for (const char *p = s; *p; p++) {
            if (*p == '"' || *p == '\\')
                put(imap, "\\");
            flz_buf_add_byte(&imap->command, (uint8_t)*p);
        }
        put(imap, "\"");
        return 0;
    }
    if (imap->n_literals == LITERALS_MAX || len > IMAP_LINE_MAX)
        return flz_fail(-EINVAL);
    flz_buf_printf(&imap->command, "{%zu}\r\n", len);
    imap->literals[imap->n_literals++] = imap->command.len;
    put(imap, s);
    return 0;
}

/* Sends the command up to its next literal, or to its end. */
static int command_continue(struct imap *imap)
{
    size_t end = imap->literals_passed < imap->n_literals ? imap->literals[imap->literals_passed]
                                                          : imap->command.len;
    int r = output_add(imap, imap->command.data + imap->command_sent, end - imap->command_sent);
    imap->command_sent = end;
    return r;
}

static int command_send(struct imap *imap, enum verb verb)
{
    if (flz_buf_error(&imap->command) < 0)
        return die(imap, -ENOMEM, "out of memory");
    int r = command_continue(imap);
    if (r < 0)
        return die(imap, r, "out of memory");
    imap->verb = verb;
    imap->untagged = 0;
    imap->result = (struct imap_result){.status = IMAP_STATUS_BAD};
    return 0;
}

/* "VERB" or "VERB string". */
static int simple(struct imap *imap, enum verb verb, const char *words, const char *string)
{
    command_begin(imap);
    put(imap, words);
    int r = 0;
    if (string) {
        put(imap, " ");
        r = put_string(imap, string);
    }
    if (r < 0)
        return r;
    put(imap, "\r\n");
    return command_send(imap, verb);
}

static int capability_begin(struct imap *imap, enum verb verb)
{
    if (verb == VERB_CAPABILITY)
        imap->state = STATE_CAPABILITY;
    return simple(imap, verb, "CAPABILITY", NULL);
}

/* ---- The commands ---- */

int imap_id(struct imap *imap, const char *name, const char *version)
{
    command_begin(imap);
    put(imap, "ID (\"name\" ");
    int r = put_string(imap, name);
    if (r < 0)
        return r;
    put(imap, " \"version\" ");
    r = put_string(imap, version);
    if (r < 0)
        return r;
    put(imap, ")\r\n");
    return command_send(imap, VERB_OTHER);
}

int imap_namespace(struct imap *imap)
{
    return simple(imap, VERB_OTHER, "NAMESPACE", NULL);
}

int imap_list(struct imap *imap, bool ask_use)
{
    return simple(imap, VERB_OTHER,
                  ask_use ? "LIST \"\" \"*\" RETURN (SPECIAL-USE)" : "LIST \"\" \"*\"", NULL);
}

int imap_select(struct imap *imap, const char *mailbox, bool read_only)
{
    size_t len = strlen(mailbox);
    if (len >= IMAP_MAILBOX_MAX)
        return flz_fail(-EINVAL);
    int r = simple(imap, VERB_SELECT, read_only ? "EXAMINE" : "SELECT", mailbox);
    if (r < 0)
        return r;
    imap->mailbox = (struct imap_mailbox){
        .read_only = read_only,
        .permanent_flags = IMAP_FLAG_SEEN | IMAP_FLAG_ANSWERED | IMAP_FLAG_FLAGGED |
                           IMAP_FLAG_DELETED | IMAP_FLAG_DRAFT,
    };
    memcpy(imap->mailbox.name, mailbox, len + 1);
    return 0;
}

int imap_mailbox_status(struct imap *imap, const char *mailbox)
{
    command_begin(imap);
    put(imap, "STATUS ");
    int r = put_string(imap, mailbox);
    if (r < 0)
        return r;
    put(imap, " (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n");
    return command_send(imap, VERB_OTHER);
}

int imap_search(struct imap *imap, const struct imap_search_key *keys, size_t n)
{
    assert(n > 0 && n <= IMAP_SEARCH_KEYS_MAX);
    command_begin(imap);
    put(imap, "UID SEARCH");
    for (size_t i = 0; i < n; i++) {
        put(imap, i + 1 < n ? " OR HEADER " : " HEADER ");
        int r = put_string(imap, keys[i].field);
        put(imap, " ");
        if (r == 0)
            r = put_string(imap, keys[i].value);
        if (r < 0)
            return r;
    }
    put(imap, "\r\n");
    return command_send(imap, VERB_OTHER);
}

int imap_search_since(struct imap *imap, int32_t day)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int year, month, mday;
    flz_date_civil(day, &year, &month, &mday);
    command_begin(imap);
    flz_buf_printf(&imap->command, "UID SEARCH SINCE %d-%s-%04d\r\n", mday, months[month - 1],
                   year);
    return command_send(imap, VERB_OTHER);
}

static int put_items(struct imap *imap, const char *fields)
{
    put(imap, " (UID FLAGS INTERNALDATE RFC822.SIZE");
    if (fields)
        flz_buf_printf(&imap->command, " BODY.PEEK[HEADER.FIELDS (%s)]", fields);
    put(imap, ")\r\n");
    return command_send(imap, VERB_OTHER);
}

int imap_fetch_uids(struct imap *imap, const uint32_t *uids, size_t n, const char *fields)
{
    assert(n > 0 && n <= IMAP_SET_MAX);
    command_begin(imap);
    put(imap, "UID FETCH ");
    for (size_t i = 0; i < n; i++)
        flz_buf_printf(&imap->command, "%s%u", i ? "," : "", uids[i]);
    return put_items(imap, fields);
}

int imap_fetch_body(struct imap *imap, uint32_t uid, uint32_t size)
{
    command_begin(imap);
    flz_buf_printf(&imap->command, "UID FETCH %u (UID BODY.PEEK[]<0.%u>)\r\n", uid, size);
    return command_send(imap, VERB_OTHER);
}

int imap_fetch_range(struct imap *imap, uint32_t first, uint32_t last, const char *fields)
{
    command_begin(imap);
    flz_buf_printf(&imap->command, "FETCH %u:%u", first, last);
    return put_items(imap, fields);
}

static void put_flags(struct imap *imap, uint32_t flags)
{
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = {
        {IMAP_FLAG_SEEN, "\\Seen"},       {IMAP_FLAG_ANSWERED, "\\Answered"},
        {IMAP_FLAG_FLAGGED, "\\Flagged"}, {IMAP_FLAG_DELETED, "\\Deleted"},
        {IMAP_FLAG_JUNK, "$Junk"},        {IMAP_FLAG_NOTJUNK, "$NotJunk"},
    };
    const char *separator = "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(flags & words[i].bit))
            continue;
        put(imap, separator);
        put(imap, words[i].word);
        separator = " ";
    }
}

static int store(struct imap *imap, uint32_t uid, const char *sign, uint32_t flags)
{
    command_begin(imap);
    flz_buf_printf(&imap->command, "UID STORE %u %sFLAGS (", uid, sign);
    put_flags(imap, flags);
    put(imap, ")\r\n");
    return command_send(imap, VERB_OTHER);
}

int imap_store_add(struct imap *imap, uint32_t uid, uint32_t flags)
{
    return store(imap, uid, "+", flags);
}

int imap_store_remove(struct imap *imap, uint32_t uid, uint32_t flags)
{
    return store(imap, uid, "-", flags);
}

static int transfer(struct imap *imap, const char *verb, uint32_t uid, const char *mailbox)
{
    command_begin(imap);
    flz_buf_printf(&imap->command, "UID %s %u ", verb, uid);
    int r = put_string(imap, mailbox);
    if (r < 0)
        return r;
    put(imap, "\r\n");
    return command_send(imap, VERB_OTHER);
}

int imap_move(struct imap *imap, uint32_t uid, const char *mailbox)
{
    return transfer(imap, "MOVE", uid, mailbox);
}

int imap_copy(struct imap *imap, uint32_t uid, const char *mailbox)
{
    return transfer(imap, "COPY", uid, mailbox);
}

int imap_expunge(struct imap *imap, uint32_t uid)
{
    command_begin(imap);
    flz_buf_printf(&imap->command, "UID EXPUNGE %u\r\n", uid);
    return command_send(imap, VERB_OTHER);
}

int imap_create(struct imap *imap, const char *mailbox)
{
    return simple(imap, VERB_OTHER, "CREATE", mailbox);
}

int imap_subscribe(struct imap *imap, const char *mailbox)
{
    return simple(imap, VERB_OTHER, "SUBSCRIBE", mailbox);
}

int imap_quota(struct imap *imap, const char *mailbox)
{
    return simple(imap, VERB_OTHER, "GETQUOTAROOT", mailbox);
}

int imap_noop(struct imap *imap)
{
    return simple(imap, VERB_OTHER, "NOOP", NULL);
}

int imap_logout(struct imap *imap)
{
    return simple(imap, VERB_LOGOUT, "LOGOUT", NULL);
}

/* ---- Login ---- */

static bool choose_mechanism(const struct imap *imap, enum imap_login_kind kind,
                             enum mechanism *ret_mechanism)
{
    static const struct {
        enum imap_login_kind kind;
        uint32_t capability;
        enum mechanism mechanism;
    } by_preference[] = {
        {IMAP_LOGIN_PASSWORD, IMAP_CAP_AUTH_PLAIN, MECHANISM_PLAIN},
        {IMAP_LOGIN_BEARER, IMAP_CAP_AUTH_XOAUTH2, MECHANISM_XOAUTH2},
        {IMAP_LOGIN_BEARER, IMAP_CAP_AUTH_OAUTHBEARER, MECHANISM_OAUTHBEARER},
    };
    for (size_t i = 0; i < sizeof by_preference / sizeof *by_preference; i++) {
        if (by_preference[i].kind != kind || !(imap->capabilities & by_preference[i].capability))
            continue;
        *ret_mechanism = by_preference[i].mechanism;
        return true;
    }
    *ret_mechanism = MECHANISM_LOGIN;
    return kind == IMAP_LOGIN_PASSWORD && !(imap->capabilities & IMAP_CAP_LOGINDISABLED);
}

/* What names a user or a host must not bring into a SASL message. */
static bool is_plain_word(const char *s)
{
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return *s != '\0';
}

int imap_login(struct imap *imap, const struct imap_login *login)
{
    static const char *const names[] = {"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER"};
    struct login l = {.step = LOGIN_STEP_SECRET, .port = login->port};
    assert(imap_is_idle(imap) && imap->state == STATE_LOGIN_WANTED);
    if (!imap->tls)
        return IMAP_E_NO_TLS;
    if (!choose_mechanism(imap, login->kind, &l.mechanism))
        return IMAP_E_NO_MECHANISM;
    const char *host = login->host ? login->host : "localhost";
    if (!is_plain_word(login->user) || !is_plain_word(host) || strpbrk(host, ",=") ||
        flz_text_copy(l.user, sizeof l.user, login->user) < 0 ||
        flz_text_copy(l.host, sizeof l.host, host) < 0)
        return flz_fail(-EINVAL);
    /* RFC 5801 4 would escape them; no address that we take has any. */
    if (l.mechanism == MECHANISM_OAUTHBEARER && strpbrk(l.user, ",="))
        return flz_fail(-EINVAL);

    int r = 0;
    command_begin(imap);
    if (l.mechanism == MECHANISM_LOGIN) {
        put(imap, "LOGIN ");
        r = put_string(imap, l.user);
        put(imap, " ");
        if (imap->n_literals > 0)
            l.step = LOGIN_STEP_CONTINUE;
    } else {
        bool initial = imap->capabilities & IMAP_CAP_SASL_IR;
        flz_buf_printf(&imap->command, "AUTHENTICATE %s%s", names[l.mechanism],
                       initial ? " " : "\r\n");
        if (!initial)
            l.step = LOGIN_STEP_CONTINUE;
    }
    if (r < 0)
        return r;
    imap->login = l;
    imap->capabilities_fresh = false;
    return command_send(imap, VERB_LOGIN);
}

/* LOGIN's last string. One that cannot be quoted goes as a literal, after the server's "+". */
static int send_password(struct imap *imap, struct flz_view secret)
{
    struct login *login = &imap->login;
    char announced[32];
    int r = 0;
    bool quoted = login->step == LOGIN_STEP_SECRET && secret.len <= QUOTED_MAX;
    for (size_t i = 0; i < secret.len; i++)
        if (secret.data[i] < ' ' || secret.data[i] > '~')
            quoted = false;
    if (quoted) {
        r = output_add(imap, "\"", 1);
        for (size_t i = 0; i < secret.len && r == 0; i++) {
            if (secret.data[i] == '"' || secret.data[i] == '\\')
                r = output_add(imap, "\\", 1);
            if (r == 0)
                r = output_add(imap, &secret.data[i], 1);
        }
        if (r == 0)
            r = output_add(imap, "\"\r\n", 3);
    } else if (login->step == LOGIN_STEP_SECRET) {
        (void)snprintf(announced, sizeof announced, "{%zu}\r\n", secret.len);
        login->step = LOGIN_STEP_LITERAL;
        return output_add(imap, announced, strlen(announced));
    } else {
        r = output_add(imap, secret.data, secret.len);
        if (r == 0)
            r = output_add(imap, "\r\n", 2);
    }
    login->step = LOGIN_STEP_ANSWER;
    return r;
}

/* The SASL message into `ret_text`, which the caller wipes. */
static size_t write_sasl(const struct login *login, struct flz_view secret, char *ret_text,
                         size_t size)
{
    int n = 0;
    if (login->mechanism == MECHANISM_PLAIN) /* RFC 4616: no authorization identity */
        n = snprintf(ret_text, size, "%c%s%c", 0, login->user, 0);
    else if (login->mechanism == MECHANISM_XOAUTH2)
        n = snprintf(ret_text, size, "user=%s\001auth=Bearer ", login->user);
    else /* RFC 7628 3.1 */
        n = snprintf(ret_text, size, "n,a=%s,\001host=%s\001port=%u\001auth=Bearer ", login->user,
                     login->host, login->port);
    assert(n > 0 && (size_t)n + secret.len + 2 <= size);
    memcpy(ret_text + n, secret.data, secret.len);
    size_t len = (size_t)n + secret.len;
    if (login->mechanism != MECHANISM_PLAIN) {
        ret_text[len++] = '\001';
        ret_text[len++] = '\001';
    }
    return len;
}

static int send_sasl(struct imap *imap, struct flz_view secret)
{
    char plain[SECRET_MAX + 2 * USER_MAX + 128];
    size_t len = write_sasl(&imap->login, secret, plain, sizeof plain);
    int r = output_reserve(imap, BASE64_LEN(len) + 2);
    if (r == 0) {
        base64_encode((struct flz_view){(const uint8_t *)plain, len},
                      (char *)imap->output.data + imap->output.len);
        imap->output.len += BASE64_LEN(len);
        r = output_add(imap, "\r\n", 2);
    }
    explicit_bzero(plain, sizeof plain);
    imap->login.step = LOGIN_STEP_ANSWER;
    return r;
}

int imap_login_secret(struct imap *imap, struct flz_view secret)
{
    struct login *login = &imap->login;
    assert(imap->verb == VERB_LOGIN);
    assert(login->step == LOGIN_STEP_SECRET || login->step == LOGIN_STEP_LITERAL_SECRET);
    if (secret.len == 0 || secret.len > SECRET_MAX || memchr(secret.data, '\0', secret.len) ||
        memchr(secret.data, '\r', secret.len) || memchr(secret.data, '\n', secret.len) ||
        memchr(secret.data, '\001', secret.len))
        return flz_fail(-EINVAL);
    return login->mechanism == MECHANISM_LOGIN ? send_password(imap, secret)
                                               : send_sasl(imap, secret);
}

/* A bearer token was refused: the challenge says why, in base64, and must be answered before the
 * tagged NO comes (RFC 7628 3.2.3; XOAUTH2 wants an empty line). */
static int answer_challenge(struct imap *imap, struct imap_reader *reader)
{
    struct login *login = &imap->login;
    struct flz_view text = {reader->p, (size_t)(reader->end - reader->p)};
    uint8_t json[IMAP_LINE_MAX];
    size_t len;
    if (text.len < sizeof json && base64_decode(text, json, &len) == 0) {
        size_t n = len < sizeof login->challenge - 1 ? len : sizeof login->challenge - 1;
        for (size_t i = 0; i < n; i++)
            login->challenge[i] = json[i] >= ' ' && json[i] <= '~' ? (char)json[i] : '?';
        login->challenge[n] = '\0';
    }
    login->step = LOGIN_STEP_FAILED;
    if (login->mechanism == MECHANISM_XOAUTH2)
        return output_add(imap, "\r\n", 2);
    if (login->mechanism == MECHANISM_OAUTHBEARER)
        return output_add(imap, "AQ==\r\n", 6);
    return output_add(imap, "*\r\n", 3); /* PLAIN has no second step: cancel */
}

static int login_continue(struct imap *imap, struct imap_reader *reader)
{
    switch (imap->login.step) {
    case LOGIN_STEP_CONTINUE:
        if (imap->literals_passed == imap->n_literals) {
            imap->login.step = LOGIN_STEP_SECRET;
            return 0;
        }
        imap->literals_passed++;
        if (imap->literals_passed == imap->n_literals)
            imap->login.step = LOGIN_STEP_SECRET;
        return command_continue(imap);
    case LOGIN_STEP_LITERAL:
        imap->login.step = LOGIN_STEP_LITERAL_SECRET;
        imap->login.asked = false;
        return 0;
    case LOGIN_STEP_ANSWER:
        if (imap->login.mechanism != MECHANISM_LOGIN)
            return answer_challenge(imap, reader);
        break;
    case LOGIN_STEP_NONE:
    case LOGIN_STEP_SECRET:
    case LOGIN_STEP_LITERAL_SECRET:
    case LOGIN_STEP_FAILED: break;
    }
    return die(imap, -EPROTO, "the server asks to continue a login that has ended");
}

/* ---- Reading responses ---- */

/* Puts the reason of a refused token behind the server's words, as far as there is room. */
static void add_challenge(struct imap *imap, struct imap_result *result)
{
    size_t len = strlen(result->text), n = strlen(imap->login.challenge);
    if (result->status == IMAP_STATUS_OK || n == 0 || len + 3 >= sizeof result->text)
        return;
    if (len > 0) {
        memcpy(result->text + len, ": ", 2);
        len += 2;
    }
    if (n > sizeof result->text - 1 - len)
        n = sizeof result->text - 1 - len;
    memcpy(result->text + len, imap->login.challenge, n);
    result->text[len + n] = '\0';
}

/* The command in flight ended; says whether DONE (or READY) is to be told now. */
static int command_done(struct imap *imap, struct imap_event *event)
{
    enum verb verb = imap->verb;
    bool ok = imap->result.status == IMAP_STATUS_OK;
    imap->verb = VERB_NONE;
    event->type = IMAP_EVENT_DONE;
    event->result = imap->result;
    if (verb == VERB_CAPABILITY) {
        if (!ok || !(imap->capabilities & IMAP_CAP_IMAP4REV1))
            return die(imap, -EPROTO, "the server does not speak IMAP4rev1");
        imap->state = STATE_LOGIN_WANTED;
        event->type = IMAP_EVENT_READY;
    } else if (verb == VERB_LOGIN) {
        add_challenge(imap, &event->result);
        imap->login.step = LOGIN_STEP_NONE;
        if (!ok)
            return 0;
        imap->state = STATE_LOGGED_IN;
        if (!imap->capabilities_fresh) {
            imap->login.result = event->result;
            event->type = IMAP_EVENT_NONE;
            return capability_begin(imap, VERB_LOGIN_CAPABILITY);
        }
    } else if (verb == VERB_LOGIN_CAPABILITY) {
        event->result = imap->login.result;
    } else if (verb == VERB_SELECT && !ok) {
        imap->mailbox = (struct imap_mailbox){.name = ""};
    } else if (verb == VERB_LOGOUT) {
        imap->state = STATE_ENDED;
    }
    return 0;
}

/* Facts that ride in response codes, tagged or not. */
static void take_code(struct imap *imap, const struct imap_status_text *status)
{
    if (status->has_capabilities) {
        imap->capabilities = status->capabilities;
        imap->capabilities_fresh = imap->verb == VERB_LOGIN;
    }
    if (status->has_permanent_flags)
        imap->mailbox.permanent_flags = status->permanent_flags;
    if (status->uidvalidity)
        imap->mailbox.uidvalidity = status->uidvalidity;
    if (status->uidnext)
        imap->mailbox.uidnext = status->uidnext;
    if (status->code == IMAP_CODE_READ_ONLY)
        imap->mailbox.read_only = true;
    if (status->code == IMAP_CODE_UIDNOTSTICKY)
        imap->mailbox.uid_not_sticky = true;
    if (status->copy_uid) {
        imap->result.copy_uidvalidity = status->copy_uidvalidity;
        imap->result.copy_uid = status->copy_uid;
    }
}

static int read_condition(struct flz_view word, enum imap_status *ret_status)
{
    static const char *const words[] = {"OK", "NO", "BAD"};
    for (int i = 0; i < 3; i++) {
        if (!imap_atom_is(word, words[i]))
            continue;
        *ret_status = (enum imap_status)i;
        return 0;
    }
    return flz_fail(-EPROTO);
}

static int take_tagged(struct imap *imap, struct imap_reader *reader, struct imap_event *event)
{
    struct flz_view tag, word;
    struct imap_status_text status;
    enum imap_status condition = IMAP_STATUS_BAD;
    if (!imap_read_atom(reader, &tag) || imap->verb == VERB_NONE ||
        !flz_view_equal(tag, flz_view_str(imap->tag))) /* M2 */
        return die(imap, -EPROTO, "an answer with a tag that is not in flight");
    if (!imap_read_char(reader, ' ') || !imap_read_atom(reader, &word) ||
        read_condition(word, &condition) < 0)
        return die(imap, -EPROTO, "a tagged answer that is none of OK, NO, BAD");
    bool whole = imap->command_sent == imap->command.len &&
                 (imap->verb != VERB_LOGIN || imap->login.step == LOGIN_STEP_ANSWER);
    if (condition == IMAP_STATUS_OK && !whole)
        return die(imap, -EPROTO, "OK to a command that was not sent whole");

    imap_parse_status_text(reader, &status);
    take_code(imap, &status);
    imap->result.status = condition;
    imap->result.code = status.code;
    memcpy(imap->result.text, status.text, sizeof status.text);
    return command_done(imap, event);
}

static int take_continuation(struct imap *imap, struct imap_reader *reader)
{
    reader->p++;
    (void)imap_read_char(reader, ' ');
    int r;
    if (imap->verb == VERB_LOGIN) {
        r = login_continue(imap, reader);
    } else if (imap->verb != VERB_NONE && imap->literals_passed < imap->n_literals) {
        imap->literals_passed++;
        r = command_continue(imap);
    } else {
        return die(imap, -EPROTO, "a continuation that was not asked for");
    }
    return r < 0 ? die(imap, r, imap->error[0] ? imap->error : "the command is too long") : 0;
}

static int take_greeting(struct imap *imap, struct flz_view word)
{
    if (imap_atom_is(word, "OK"))
        return capability_begin(imap, VERB_CAPABILITY);
    if (imap_atom_is(word, "PREAUTH"))
        return die(imap, -EPROTO, "the server calls the session logged in before any login");
    return die(imap, -EPROTO, "not an IMAP greeting");
}

static int take_condition(struct imap *imap, struct flz_view word, struct imap_reader *reader,
                          struct imap_event *event)
{
    struct imap_status_text status;
    imap_parse_status_text(reader, &status);
    bool bye = imap_atom_is(word, "BYE");
    if (imap->state == STATE_GREETING && !bye)
        return take_greeting(imap, word);
    take_code(imap, &status);
    if (bye && imap->verb != VERB_LOGOUT) {
        imap->state = STATE_ENDED;
        imap->verb = VERB_NONE;
        event->type = IMAP_EVENT_BYE;
    } else if (status.code == IMAP_CODE_ALERT) {
        event->type = IMAP_EVENT_ALERT;
    }
    event->result = (struct imap_result){.status = IMAP_STATUS_NO, .code = status.code};
    memcpy(event->result.text, status.text, sizeof status.text);
    return 0;
}

static int take_search(struct imap *imap, struct imap_reader *reader, struct imap_event *event)
{
    imap->n_numbers = 0;
    while (imap_read_char(reader, ' ')) {
        uint32_t number;
        if (reader->p == reader->end || *reader->p == '(')
            break; /* a trailing space, or (MODSEQ n) */
        if (!imap_read_number(reader, &number))
            return die(imap, -EPROTO, "a malformed SEARCH response");
        int r = flz_grow((void **)&imap->numbers, &imap->numbers_capacity, imap->n_numbers + 1,
                         sizeof *imap->numbers);
        if (r < 0)
            return die(imap, r, "out of memory");
        imap->numbers[imap->n_numbers++] = number;
    }
    event->type = IMAP_EVENT_SEARCH;
    event->search.numbers = imap->numbers;
    event->search.count = imap->n_numbers;
    return 0;
}

/* "* 12 EXISTS", "* 3 EXPUNGE", "* 5 FETCH (…)". */
static int take_numbered(struct imap *imap, struct imap_reader *reader, struct imap_event *event)
{
    uint32_t number;
    struct flz_view word;
    if (!imap_read_number(reader, &number) || !imap_read_char(reader, ' ') ||
        !imap_read_atom(reader, &word))
        return die(imap, -EPROTO, "a malformed numbered response");
    if (imap_atom_is(word, "EXISTS")) {
        imap->mailbox.exists = number;
    } else if (imap_atom_is(word, "EXPUNGE")) {
        if (imap->verb == VERB_SELECT)
            return 0; /* still of the mailbox that was open before */
        if (number == 0 || number > imap->mailbox.exists)
            return die(imap, -EPROTO, "EXPUNGE of a message that is not there");
        imap->mailbox.exists--;
        event->type = IMAP_EVENT_EXPUNGE;
        event->expunged = number;
    } else if (imap_atom_is(word, "FETCH")) {
        if (!imap_read_char(reader, ' ') || imap_parse_fetch(reader, number, &event->fetch) < 0)
            return die(imap, -EPROTO, "a malformed FETCH response");
        event->type = IMAP_EVENT_FETCH;
    }
    return 0;
}

/* A response read by one of the parsers: told when usable, passed over when not. */
static int told(struct imap *imap, int r, enum imap_event_type type, struct imap_event *event)
{
    if (r < 0)
        return die(imap, r, "a malformed untagged response");
    if (r == 0)
        event->type = type;
    return 0;
}

static int take_named(struct imap *imap, struct flz_view word, struct imap_reader *reader,
                      struct imap_event *event)
{
    static const char *const conditions[] = {"OK", "NO", "BAD", "BYE", "PREAUTH"};
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        if (imap_atom_is(word, conditions[i]))
            return take_condition(imap, word, reader, event);
    if (imap->state == STATE_GREETING)
        return die(imap, -EPROTO, "not an IMAP greeting");
    if (imap_atom_is(word, "CAPABILITY")) {
        imap->capabilities = imap_parse_capabilities(reader);
        imap->capabilities_fresh = imap->verb == VERB_LOGIN;
        return 0;
    }
    if (imap_atom_is(word, "SEARCH"))
        return take_search(imap, reader, event);
    if (!imap_read_char(reader, ' '))
        return 0;
    if (imap_atom_is(word, "LIST"))
        return told(imap, imap_parse_list(reader, &event->list), IMAP_EVENT_LIST, event);
    if (imap_atom_is(word, "NAMESPACE"))
        return told(imap, imap_parse_namespace(reader, &event->namespace), IMAP_EVENT_NAMESPACE,
                    event);
    if (imap_atom_is(word, "QUOTA"))
        return told(imap, imap_parse_quota(reader, &event->quota), IMAP_EVENT_QUOTA, event);
    if (imap_atom_is(word, "STATUS"))
        return told(imap, imap_parse_mailbox_status(reader, &event->mailbox_status),
                    IMAP_EVENT_MAILBOX_STATUS, event);
    return 0; /* RFC 3501 2.2.2: a client must accept any response at any time */
}

static int take_untagged(struct imap *imap, struct imap_reader *reader, struct imap_event *event)
{
    struct flz_view word;
    if (++imap->untagged > IMAP_UNTAGGED_MAX)
        return die(imap, -EMSGSIZE, "too many untagged responses");
    if (!imap_read_char(reader, ' ') || reader->p == reader->end)
        return die(imap, -EPROTO, "a malformed untagged response");
    if (imap->state != STATE_GREETING && *reader->p >= '0' && *reader->p <= '9')
        return take_numbered(imap, reader, event);
    if (!imap_read_atom(reader, &word))
        return die(imap, -EPROTO, "a malformed untagged response");
    return take_named(imap, word, reader, event);
}

static int take_response(struct imap *imap, struct imap_event *event)
{
    struct imap_reader reader = imap_reader_of(&imap->frame.response);
    if (imap_read_char(&reader, '*'))
        return take_untagged(imap, &reader, event);
    if (imap->state == STATE_GREETING)
        return die(imap, -EPROTO, "not an IMAP greeting");
    if (reader.p < reader.end && *reader.p == '+')
        return take_continuation(imap, &reader);
    return take_tagged(imap, &reader, event);
}

int imap_feed(struct imap *imap, struct flz_view bytes)
{
    if (imap->failure < 0)
        return imap->failure;
    if (imap->state == STATE_ENDED)
        return 0; /* nothing it says counts any more */
    if (bytes.len > imap_input_left(imap))
        return die(imap, -EMSGSIZE, "the session's limit of bytes is reached");
    if (imap->input_pos == imap->input.len) {
        flz_buf_reset(&imap->input);
        imap->input_pos = 0;
    }
    flz_buf_add_view(&imap->input, bytes);
    imap->input_taken += bytes.len;
    return flz_buf_error(&imap->input) < 0 ? die(imap, -ENOMEM, "out of memory") : 0;
}

/* Cuts the next response. IMAP_FRAME_COMPLETE, 0, or dead. */
static int next_response(struct imap *imap)
{
    if (imap->frame_used)
        imap_frame_reset(&imap->frame);
    imap->frame_used = false;
    size_t used = 0;
    if (imap->input_pos == imap->input.len)
        return 0;
    struct flz_view rest = {imap->input.data + imap->input_pos, imap->input.len - imap->input_pos};
    int r = imap_frame_feed(&imap->frame, rest, imap->input_max - imap->input_read, &used);
    if (r < 0)
        return die(imap, r,
                   r == -EMSGSIZE ? "a line or literal above the limit"
                                  : "a line with NUL, bare CR or LF, or a bad literal");
    imap->input_pos += used;
    imap->input_read += used;
    imap->frame_used = r == IMAP_FRAME_COMPLETE;
    return r;
}

static bool wants_secret(const struct imap *imap)
{
    return imap->verb == VERB_LOGIN && !imap->login.asked &&
           (imap->login.step == LOGIN_STEP_SECRET || imap->login.step == LOGIN_STEP_LITERAL_SECRET);
}

int imap_next(struct imap *imap, struct imap_event *ret_event)
{
    ret_event->type = IMAP_EVENT_NONE;
    while (imap->failure == 0 && ret_event->type == IMAP_EVENT_NONE) {
        if (wants_secret(imap)) {
            imap->login.asked = true;
            ret_event->type = IMAP_EVENT_SECRET;
            return 0;
        }
        if (imap->state == STATE_ENDED)
            return 0;
        int r = next_response(imap);
        if (r == 0)
            return 0;
        if (r == IMAP_FRAME_COMPLETE)
            (void)take_response(imap, ret_event);
    }
    if (imap->failure < 0)
        ret_event->type = IMAP_EVENT_NONE;
    return imap->failure;
}
