#include "tests/sim/world/post.h"

#include "common/base/text.h"
#include "node/io/conn.h"
#include "tests/lib/imapfake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAILS_MAX 4000
#define LINE_MAX_LEN 4096
#define ADDRESS_LEN 128

struct conn_pool {
    size_t count;
};

enum smtp_at { AT_COMMANDS, AT_BODY };

/* Both ends of a connection. It is kept for as long as the world stands: what is under way names
 * it. */
struct conn {
    struct conn_pool *pool;
    struct proc *proc;
    const struct conn_events *events;
    void *userdata;
    size_t account;
    bool imap;
    bool open;   /* the client's end */
    bool closed; /* by the client, or told to it */
    bool gone;   /* the server's end: it hears and says nothing more */
    bool hangs;
    int64_t last[2]; /* when the newest octets of each direction arrive */
    /* The client's end. */
    struct flz_buf body; /* of the message under way, as far as it was handed over */
    bool in_body;
    /* The server's end. */
    enum smtp_at at;
    struct flz_buf in;
    struct flz_buf mail; /* headers and body read so far */
    char sender[ADDRESS_LEN];
    char recipient[ADDRESS_LEN];
    unsigned session;
};

struct account {
    char address[ADDRESS_LEN];
    struct imapfake *boxes;
    unsigned session; /* the newest; an older one has nothing more to say */
    bool copies_sent; /* the server puts what it accepts into Sent */
    struct proc *holder;
};

struct post_trouble post_trouble;
void (*post_on_dot)(struct proc *proc, const char *message_id);

static struct account accounts[POST_ACCOUNTS_MAX];
static size_t accounts_count;
static struct post_mail mails[MAILS_MAX];
static size_t mails_count;

/* ---- Accounts and the book ---- */

size_t post_add(const char *address)
{
    WORLD_MUST(accounts_count < POST_ACCOUNTS_MAX, "too many accounts");
    struct account *account = &accounts[accounts_count];
    struct imapfake_options options = {.no_move = world_chance(250)};
    (void)snprintf(account->address, sizeof account->address, "%s", address);
    account->boxes = imapfake_new(&options);
    account->copies_sent = world_chance(600);
    imapfake_add_folder(account->boxes, "Junk", "\\Junk");
    imapfake_add_folder(account->boxes, "Sent", "\\Sent");
    imapfake_add_folder(account->boxes, "Trash", "\\Trash");
    return accounts_count++;
}

size_t post_count(void)
{
    return accounts_count;
}

const char *post_address(size_t account)
{
    return accounts[account].address;
}

static size_t account_named(const char *address)
{
    size_t i = 0;
    while (i < accounts_count && strcasecmp(accounts[i].address, address) != 0)
        i++;
    return i;
}

size_t post_mails(void)
{
    return mails_count;
}

struct post_mail *post_mail_at(size_t i)
{
    return &mails[i];
}

struct post_mail *post_find(const char *message_id)
{
    for (size_t i = 0; i < mails_count; i++)
        if (strcmp(mails[i].message_id, message_id) == 0)
            return &mails[i];
    return NULL;
}

void post_put_foreign(size_t account, const char *folder, const char *header)
{
    (void)imapfake_deliver(accounts[account].boxes, folder, header, 0, world.now);
}

unsigned post_have(size_t account, const char *folder, const char *text)
{
    return imapfake_count(accounts[account].boxes, folder, text);
}

const char *post_violation(size_t account)
{
    return imapfake_violation(accounts[account].boxes);
}

void post_dump(size_t account, struct flz_buf *text)
{
    imapfake_dump(accounts[account].boxes, text);
}

/* The Message-ID of a message's beginning, without its brackets; "" when there is none. */
static void message_id_of(struct flz_buf *mail, char ret_id[static 320])
{
    const char *text = flz_buf_str(mail);
    const char *field = strcasestr(text, "Message-ID:");
    const char *begin = field ? strchr(field, '<') : NULL;
    const char *end = begin ? strchr(begin, '>') : NULL;
    ret_id[0] = '\0';
    if (end && end - begin < 319)
        (void)snprintf(ret_id, 320, "%.*s", (int)(end - begin - 1), begin + 1);
}

/* ---- Delivery ---- */

struct delivery {
    size_t account;
    bool junk;
    struct post_mail *mail;
    char header[];
};

static void on_delivery(void *data)
{
    struct delivery *delivery = data;
    (void)imapfake_deliver(accounts[delivery->account].boxes, delivery->junk ? "Junk" : "INBOX",
                           delivery->header, 0, world.now);
    delivery->mail->lies_there = true;
    free(delivery);
}

static struct post_mail *mail_of(struct conn *conn)
{
    char id[320];
    message_id_of(&conn->mail, id);
    WORLD_MUST(id[0], "a message without Message-ID: %.200s", flz_buf_str(&conn->mail));
    struct post_mail *mail = post_find(id);
    if (mail)
        return mail;
    WORLD_MUST(mails_count < MAILS_MAX, "too many messages");
    mail = &mails[mails_count++];
    *mail = (struct post_mail){.from = account_named(conn->sender),
                               .to = account_named(conn->recipient)};
    memcpy(mail->message_id, id, sizeof id);
    if (mail->from == accounts_count || mail->to == accounts_count || mail->from != conn->account)
        world_fail("I20", "mail from %s to %s, by account %zu", conn->sender, conn->recipient,
                   conn->account);
    return mail;
}

static void accept_mail(struct conn *conn, struct post_mail *mail)
{
    const char *text = flz_buf_str(&conn->mail);
    const char *end = strstr(text, "\r\n\r\n");
    size_t len = end ? (size_t)(end - text) + 4 : strlen(text);
    struct delivery *delivery = calloc(1, sizeof *delivery + len + 1);
    WORLD_MUST(delivery, "memory");
    *delivery = (struct delivery){.account = mail->to, .junk = world_chance(350), .mail = mail};
    memcpy(delivery->header, text, len);
    mail->accepted++;
    mail->accepted_at = world.now;
    if (accounts[conn->account].copies_sent)
        (void)imapfake_deliver(accounts[conn->account].boxes, "Sent", delivery->header,
                               IMAPFAKE_SEEN, world.now);
    if (world_mishap(post_trouble.swallowed)) {
        free(delivery);
        return;
    }
    int64_t after = world_between(200, 4 * FLZ_MINUTE_MS);
    if (world_mishap(post_trouble.delayed))
        after = world_between(FLZ_HOUR_MS, 9 * FLZ_HOUR_MS);
    world_at(world.now + after, on_delivery, delivery);
}

/* ---- Octets on their way ---- */

struct octets {
    struct conn *conn;
    struct flz_buf bytes;
    enum conn_end end; /* to the client: it ends */
};

static struct octets *octets_new(struct conn *conn, struct flz_view bytes)
{
    struct octets *octets = calloc(1, sizeof *octets);
    WORLD_MUST(octets, "memory");
    octets->conn = conn;
    flz_buf_add_view(&octets->bytes, bytes);
    return octets;
}

static void octets_free(struct octets *octets)
{
    flz_buf_deinit(&octets->bytes);
    free(octets);
}

static int64_t arrival(struct conn *conn, int direction)
{
    int64_t at = world.now + world_between(1, 30);
    at = at > conn->last[direction] ? at : conn->last[direction];
    conn->last[direction] = at;
    return at;
}

static void end_client(struct conn *conn, enum conn_end end)
{
    struct flz_msg msg;
    conn->open = false;
    conn->closed = true;
    flz_msg_set(&msg, "the connection: %s", conn_end_str(end));
    conn->events->on_closed(conn, end, &msg, conn->userdata);
}

static void on_octets_down(void *data)
{
    struct octets *octets = data;
    struct conn *conn = octets->conn;
    if (conn->open && octets->end)
        end_client(conn, octets->end);
    else if (conn->open)
        conn->events->on_data(conn, flz_buf_view(&octets->bytes), conn->userdata);
    octets_free(octets);
}

static void say_view(struct conn *conn, struct flz_view text)
{
    if (conn->gone || conn->hangs || text.len == 0)
        return;
    /* In pieces, cut anywhere, as a network does. */
    size_t cut = world_chance(200) ? (size_t)world_between(1, (int64_t)text.len) : text.len;
    world_post(conn->proc, arrival(conn, 1), on_octets_down,
               octets_new(conn, (struct flz_view){.data = text.data, .len = cut}));
    if (cut < text.len)
        world_post(
            conn->proc, arrival(conn, 1), on_octets_down,
            octets_new(conn, (struct flz_view){.data = text.data + cut, .len = text.len - cut}));
}

static void say(struct conn *conn, const char *text)
{
    say_view(conn, flz_view_str(text));
}

static void hang_up(struct conn *conn, enum conn_end end)
{
    if (conn->gone)
        return;
    conn->gone = true;
    struct octets *octets = octets_new(conn, FLZ_VIEW_NULL);
    octets->end = end;
    world_post(conn->proc, arrival(conn, 1), on_octets_down, octets);
}

/* ---- SMTP ---- */

/* What may go wrong at a command. True: it did, and the command is not to be answered. */
static bool smtp_fails(struct conn *conn, const char *word)
{
    char text[160];
    if (world_mishap(post_trouble.smtp_later)) {
        (void)snprintf(text, sizeof text, "%s 4.3.2 %s: not now\r\n",
                       strcasecmp(word, "AUTH") == 0 ? "454" : "451", word);
        say(conn, text);
        return true;
    }
    if (world_mishap(post_trouble.smtp_never) && strcasecmp(word, "AUTH") != 0 &&
        strcasecmp(word, "EHLO") != 0) {
        (void)snprintf(text, sizeof text, "550 5.7.1 %s: never\r\n", word);
        say(conn, text);
        return true;
    }
    if (world_mishap(post_trouble.smtp_drop)) {
        if (world_chance(500))
            say(conn, "421 4.3.2 closing\r\n");
        hang_up(conn, world_chance(500) ? CONN_END_CLOSED : CONN_END_RESET);
        return true;
    }
    if (world_mishap(post_trouble.smtp_hang)) {
        conn->hangs = true;
        return true;
    }
    if (world_mishap(post_trouble.smtp_garbage)) {
        say(conn, world_chance(500) ? "\x01\x02 what?\r\n" : "250-and so\r\n999 on\r\n");
        return true;
    }
    return false;
}

static void take_address(const char *line, char ret_address[static ADDRESS_LEN])
{
    const char *begin = strchr(line, '<');
    const char *end = begin ? strchr(begin, '>') : NULL;
    ret_address[0] = '\0';
    if (end)
        (void)snprintf(ret_address, ADDRESS_LEN, "%.*s", (int)(end - begin - 1), begin + 1);
}

static void answer_auth(struct conn *conn)
{
    if (world_mishap(post_trouble.login))
        say(conn, "454 4.7.0 temporary authentication failure\r\n");
    else
        say(conn, "235 2.7.0 welcome\r\n");
}

static void on_smtp_command(struct conn *conn, const char *line)
{
    char word[8];
    (void)snprintf(word, sizeof word, "%.4s", line);
    if (smtp_fails(conn, word))
        return;
    if (strcasecmp(word, "EHLO") == 0) {
        say(conn, "250-mail.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n"
                  "250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN\r\n");
    } else if (strcasecmp(word, "AUTH") == 0) {
        answer_auth(conn);
    } else if (strcasecmp(word, "MAIL") == 0) {
        take_address(line, conn->sender);
        conn->recipient[0] = '\0';
        say(conn, "250 2.1.0 ok\r\n");
    } else if (strcasecmp(word, "RCPT") == 0) {
        take_address(line, conn->recipient);
        say(conn, "250 2.1.5 ok\r\n");
    } else if (strcasecmp(word, "DATA") == 0) {
        /* After a refused MAIL or RCPT there is nobody to send to. */
        if (!conn->sender[0] || !conn->recipient[0]) {
            say(conn, "503 5.5.1 no recipient\r\n");
            return;
        }
        conn->at = AT_BODY;
        flz_buf_reset(&conn->mail);
        say(conn, "354 go ahead\r\n");
    } else if (strcasecmp(word, "QUIT") == 0) {
        say(conn, "221 2.0.0 bye\r\n");
        hang_up(conn, CONN_END_CLOSED);
    } else {
        say(conn, "250 2.0.0 ok\r\n");
    }
    if (strcasecmp(word, "RSET") == 0)
        conn->sender[0] = conn->recipient[0] = '\0';
}

/* The answer is lost: nobody but this server knows whether the message was taken. */
static void leave_in_doubt(struct conn *conn, struct post_mail *mail)
{
    bool taken = world_chance(500);
    if (taken)
        accept_mail(conn, mail);
    world_say("behind the dot of <%.16s…> the answer is lost; it was %s", mail->message_id,
              taken ? "taken" : "not taken");
    if (world_chance(300))
        conn->hangs = true;
    else
        hang_up(conn, world_chance(500) ? CONN_END_CLOSED : CONN_END_RESET);
}

static void on_final_dot(struct conn *conn)
{
    struct post_mail *mail = mail_of(conn);
    conn->at = AT_COMMANDS;
    mail->dots++;
    if (mail->dots > 1)
        world_fail("I1", "a second final dot of <%s>, from %s", mail->message_id, conn->sender);
    if (world_mishap(post_trouble.dot_doubt)) {
        leave_in_doubt(conn, mail);
    } else if (world_mishap(post_trouble.smtp_later * 2)) {
        say(conn, "451 4.3.0 not taken\r\n");
    } else if (world_mishap(post_trouble.smtp_never * 2)) {
        say(conn, "554 5.7.1 refused as spam\r\n");
    } else {
        accept_mail(conn, mail);
        mail->answered++;
        say(conn, "250 2.0.0 taken\r\n");
    }
    conn->sender[0] = conn->recipient[0] = '\0';
}

/* Reads lines; in a body until the dot. */
static void on_smtp_octets(struct conn *conn)
{
    for (;;) {
        uint8_t *end = conn->in.len ? memchr(conn->in.data, '\n', conn->in.len) : NULL;
        char line[LINE_MAX_LEN];
        if (!end || conn->gone || conn->hangs)
            return;
        size_t len = (size_t)(end - conn->in.data) + 1;
        size_t keep = len < sizeof line ? len : sizeof line - 1;
        memcpy(line, conn->in.data, keep);
        line[keep] = '\0';
        flz_buf_consume(&conn->in, len);
        if (conn->at == AT_COMMANDS)
            on_smtp_command(conn, line);
        else if (strcmp(line, ".\r\n") == 0)
            on_final_dot(conn);
        else
            flz_buf_add(&conn->mail, line, keep);
        if (conn->at == AT_BODY && world_mishap(post_trouble.smtp_drop / 20))
            hang_up(conn, CONN_END_RESET);
    }
}

/* ---- IMAP ---- */

static bool imap_fails(struct conn *conn)
{
    char tag[40] = "";
    if (world_mishap(post_trouble.imap_drop)) {
        if (world_chance(300))
            say(conn, "* BYE not now\r\n");
        hang_up(conn, world_chance(500) ? CONN_END_CLOSED : CONN_END_RESET);
        return true;
    }
    if (world_mishap(post_trouble.imap_hang)) {
        conn->hangs = true;
        return true;
    }
    if (world_mishap(post_trouble.imap_garbage)) {
        say(conn, world_chance(500) ? "* ( (what\r\n" : "* 7 FETCH (UID {99999999}\r\n");
        return true;
    }
    if (!world_mishap(post_trouble.imap_no))
        return false;
    (void)sscanf(flz_buf_str(&conn->in), "%39s", tag);
    char text[80];
    (void)snprintf(text, sizeof text, "%s NO [UNAVAILABLE] not now\r\n", tag);
    say(conn, text);
    return true;
}

static void on_imap_octets(struct conn *conn)
{
    struct account *account = &accounts[conn->account];
    if (account->session != conn->session) {
        hang_up(conn, CONN_END_CLOSED);
        return;
    }
    bool failed = imap_fails(conn);
    /* A server that closes may have done before what was asked. */
    if (!failed || (conn->gone && world_chance(500)))
        imapfake_feed(account->boxes, flz_buf_view(&conn->in));
    flz_buf_reset(&conn->in);
    struct flz_view out = imapfake_output(account->boxes);
    say_view(conn, out);
    imapfake_sent(account->boxes, out.len);
    if (imapfake_is_closed(account->boxes))
        hang_up(conn, CONN_END_CLOSED);
}

static void on_octets_up(void *data)
{
    struct octets *octets = data;
    struct conn *conn = octets->conn;
    if (!conn->gone && !conn->hangs) {
        flz_buf_add_view(&conn->in, flz_buf_view(&octets->bytes));
        if (conn->imap)
            on_imap_octets(conn);
        else
            on_smtp_octets(conn);
    }
    octets_free(octets);
}

/* The client's end is closed, behind what it has sent. */
static void on_client_gone(void *data)
{
    ((struct conn *)data)->gone = true;
}

void post_crashed(struct proc *proc)
{
    (void)proc; /* what it had sent arrives; what is for it has nobody to be handed to */
}

/* ---- node/io/conn.h ---- */

int conn_pool_new(struct uv_loop_s *loop, const char *ca_file, const struct conn_limits *limits,
                  struct conn_pool **ret_pool)
{
    (void)loop, (void)ca_file, (void)limits;
    *ret_pool = calloc(1, sizeof **ret_pool);
    return *ret_pool ? 0 : flz_fail(-ENOMEM);
}

struct conn_pool *conn_pool_free(struct conn_pool *pool)
{
    free(pool);
    return NULL;
}

void conn_pool_deny(struct conn_pool *pool, bool (*denies)(const char *name), const char *why)
{
    (void)pool, (void)denies, (void)why;
}

size_t conn_pool_count(const struct conn_pool *pool)
{
    return pool->count;
}

static void on_opened(void *data)
{
    struct conn *conn = data;
    struct account *account = &accounts[conn->account];
    if (conn->closed)
        return;
    if (conn->imap) {
        conn->session = ++account->session;
        imapfake_connect(account->boxes);
        /* libcurl has read the greeting. */
        imapfake_sent(account->boxes, imapfake_output(account->boxes).len);
    }
    conn->open = true;
    conn->events->on_open(conn, conn->userdata);
}

static void on_unreached(void *data)
{
    struct conn *conn = data;
    if (!conn->closed)
        end_client(conn, CONN_END_TIMEOUT);
}

static void on_refused(void *data)
{
    static const enum conn_end ends[] = {CONN_END_REFUSED, CONN_END_TLS, CONN_END_GREETING,
                                         CONN_END_RESOLVE, CONN_END_STARTTLS};
    struct conn *conn = data;
    if (!conn->closed)
        end_client(conn, ends[world_between(0, 4)]);
}

int conn_open(struct conn_pool *pool, const struct conn_options *options,
              const struct conn_events *events, void *userdata, struct conn **ret_conn)
{
    struct conn *conn = calloc(1, sizeof *conn);
    unsigned account = 0;
    if (!conn)
        return flz_fail(-ENOMEM);
    *conn = (struct conn){.pool = pool,
                          .proc = world.current,
                          .events = events,
                          .userdata = userdata,
                          .imap = strncmp(options->host, "imap", 4) == 0};
    WORLD_MUST(sscanf(options->host + 4, "%u.test", &account) == 1 && account < accounts_count,
               "no such host: %s", options->host);
    conn->account = account;
    pool->count++;
    *ret_conn = conn;
    if (world_mishap(post_trouble.unreached))
        world_post(conn->proc, world.now + options->connect_timeout_ms, on_unreached, conn);
    else if (world_mishap(post_trouble.refused))
        world_post(conn->proc, world.now + world_between(1, 300), on_refused, conn);
    else
        world_post(conn->proc, world.now + world_between(2, 150), on_opened, conn);
    return 0;
}

/* Follows the client's own octets, to know which message's dot it hands over. */
static void follow(struct conn *conn, struct flz_view data)
{
    char id[320];
    flz_buf_add_view(&conn->body, data);
    const char *text = flz_buf_str(&conn->body);
    size_t len = conn->body.len;
    if (len < 5 || memcmp(text + len - 5, "\r\n.\r\n", 5) != 0)
        return;
    message_id_of(&conn->body, id);
    flz_buf_reset(&conn->body);
    post_on_dot(conn->proc, id);
}

int conn_send(struct conn *conn, struct flz_view data)
{
    world_step("before octets are sent");
    if (!conn->open)
        return flz_fail(-ENOTCONN);
    if (!conn->imap && conn->at == AT_BODY)
        follow(conn, data);
    if (world_mishap(post_trouble.reset)) {
        /* Some of it may get there. */
        data.len = (size_t)world_between(0, (int64_t)data.len);
        hang_up(conn, CONN_END_RESET);
        conn->gone = false;
        world_at(arrival(conn, 0), on_octets_up, octets_new(conn, data));
        world_at(arrival(conn, 0), on_client_gone, conn);
    } else {
        world_at(arrival(conn, 0), on_octets_up, octets_new(conn, data));
    }
    world_step("after octets were sent");
    return 0;
}

size_t conn_pending(const struct conn *conn)
{
    (void)conn;
    return 0;
}

int conn_peer_info(const struct conn *conn, struct conn_peer *ret_peer)
{
    if (!conn->open)
        return -ENOTCONN;
    *ret_peer = (struct conn_peer){.tls = "TLSv1.3"};
    return 0;
}

struct conn *conn_close(struct conn *conn)
{
    if (!conn || conn->closed) {
        if (conn)
            conn->pool->count--;
        return NULL;
    }
    conn->pool->count--;
    conn->open = false;
    conn->closed = true;
    world_at(arrival(conn, 0), on_client_gone, conn);
    return NULL;
}

const char *conn_server_text(const struct conn *conn)
{
    (void)conn;
    return "";
}

const char *conn_end_str(enum conn_end end)
{
    static const char *const words[] = {
        [CONN_END_RESOLVE] = "resolve",   [CONN_END_REFUSED] = "refused",
        [CONN_END_TIMEOUT] = "timeout",   [CONN_END_TLS] = "tls",
        [CONN_END_STARTTLS] = "starttls", [CONN_END_GREETING] = "greeting",
        [CONN_END_CLOSED] = "closed",     [CONN_END_RESET] = "reset",
    };
    const char *word = (size_t)end < sizeof words / sizeof *words ? words[end] : NULL;
    return word ? word : "none";
}
