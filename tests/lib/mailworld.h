/*
 * A small world of mail on loopback, for tests that run the node: one SMTP server, an IMAP server
 * per account over the model of imapfake.h, and a DNS server, all in threads of the test. What the
 * SMTP server accepts lies in the recipient's mailbox at once. It fails where it is told to.
 *
 *     struct mailworld *world = mailworld_start(testcert_path(folder, TESTCERT_GOOD));
 *     size_t ada = mailworld_add(world, "ada@a.test");
 *     mailworld_faults(world, (struct mailworld_faults){.drop_at = MAILWORLD_RCPT, .times = 1});
 *
 * Every account's mailboxes are opened by IMAPFAKE_USER and IMAPFAKE_PASSWORD, by SMTP as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILWORLD_ACCOUNTS_MAX 8

/* Where the SMTP server stands when a fault strikes. */
enum mailworld_stage {
    MAILWORLD_NOWHERE,
    MAILWORLD_GREETING,
    MAILWORLD_EHLO, /* the engine's own, behind libcurl's */
    MAILWORLD_AUTH,
    MAILWORLD_MAIL,
    MAILWORLD_RCPT,
    MAILWORLD_DATA,
    MAILWORLD_BODY, /* some of the body was read, not its dot */
    MAILWORLD_DOT,  /* the dot was read */
    MAILWORLD_QUIT,
};

/* All zero: a good server. */
struct mailworld_faults {
    enum mailworld_stage drop_at; /* closes the connection there, without an answer */
    const char *reply;            /* says this there instead of closing (with CRLF; static) */
    unsigned times;               /* how many times; then the server is good again */
    bool accept;                  /* MAILWORLD_DOT: delivers all the same */
    bool hang;                    /* says nothing there instead of closing, until the client goes */
    bool reset;                   /* closes by an RST */
    bool flood;                   /* answers with a reply that has no end */
    bool drip;                    /* gives the good answer, an octet at a time */
    bool refuse_login;            /* SMTP says 535 to every password */
    bool refuse_imap_login;
    bool to_junk;
    bool copy_to_sent; /* what is accepted lies in the sender's Sent folder, too */
    bool swallow;      /* accepts and delivers nowhere */
};

struct mailworld_counts {
    unsigned connections; /* SMTP */
    unsigned logins;      /* SMTP AUTH tried */
    unsigned tokens;      /* … by a token */
    unsigned tokens_refused;
    unsigned mails;    /* MAIL commands */
    unsigned dots;     /* final dots read */
    unsigned accepted; /* 250 decided after one */
    unsigned imap_sessions;
    unsigned imap_refused;
};

struct mailworld;

/* `cert`: PEM of certificate and key. Aborts the test on failure. */
struct mailworld *mailworld_start(const char *cert);
struct mailworld *mailworld_stop(struct mailworld *world);

/* An account with INBOX, Junk, Sent and Trash. Returns its index. */
size_t mailworld_add(struct mailworld *world, const char *address);

/* The node's own: all of it may be read. */
size_t mailworld_add_own(struct mailworld *world, const char *address);

/* The same, opened by access tokens in the place of a password: on_token says which are good. It is
 * asked from the threads of the world. SMTP takes tokens and passwords alike. */
size_t mailworld_add_token(struct mailworld *world, const char *address,
                           bool (*on_token)(const char *user, const char *token, void *data),
                           void *data);

uint16_t mailworld_smtp_port(const struct mailworld *world);
uint16_t mailworld_imap_port(const struct mailworld *world, size_t account);
uint16_t mailworld_dns_port(const struct mailworld *world);

void mailworld_faults(struct mailworld *world, struct mailworld_faults faults);
struct mailworld_counts mailworld_counts(struct mailworld *world);

/* The domain's owner refuses (or not). NULL: nobody. `dead`: DNS answers SERVFAIL to everything. */
void mailworld_dns(struct mailworld *world, const char *opt_out_domain, bool dead);

/* Puts a message there by hand. */
void mailworld_deliver(struct mailworld *world, size_t account, const char *folder,
                       const char *header);

/* Messages of a folder whose header contains `text`. */
unsigned mailworld_count(struct mailworld *world, size_t account, const char *folder,
                         const char *text);

/* imapfake_dump() of an account; a static text until the next call. */
const char *mailworld_dump(struct mailworld *world, size_t account);
/* "" or what a client did to this account's server that it must never do; likewise static. */
const char *mailworld_violation(struct mailworld *world, size_t account);
