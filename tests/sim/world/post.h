/*
 * Mail: what stands in for libcurl's connections (node/io/conn.h), and the servers behind them. An
 * account K has its SMTP server at smtpK.test and its mailboxes, over the model of imapfake.h, at
 * imapK.test. What an SMTP server accepts lies in the recipient's mailbox after a while, in INBOX
 * or Junk. Servers fail at each step, in each way; but their answer to a final dot is the truth,
 * when they give one.
 *
 * It keeps its own book of what was really sent, against which the ledger is held.
 */
#pragma once

#include "tests/sim/world/world.h"

#define POST_ACCOUNTS_MAX 24

/* Of a million steps each. */
struct post_trouble {
    uint32_t refused;    /* connections: nobody listens, TLS fails, a greeting that refuses */
    uint32_t unreached;  /* connections: no answer for ever */
    uint32_t smtp_later; /* 4xx */
    uint32_t smtp_never; /* 5xx */
    uint32_t smtp_drop;  /* the server closes, before or after it has done what was asked */
    uint32_t smtp_hang;
    uint32_t smtp_garbage;
    uint32_t dot_doubt; /* behind the dot: the answer is lost, taken or not */
    uint32_t imap_no;
    uint32_t imap_drop;
    uint32_t imap_hang;
    uint32_t imap_garbage;
    uint32_t reset;     /* of a connection in mid-way */
    uint32_t login;     /* refused for now */
    uint32_t swallowed; /* accepted, and never seen again */
    uint32_t delayed;   /* arrives hours later */
};

extern struct post_trouble post_trouble;

/* One message of the world, by its Message-ID. */
struct post_mail {
    char message_id[320];
    size_t from; /* accounts */
    size_t to;
    unsigned dots;     /* final dots that a server read */
    unsigned accepted; /* … and took */
    unsigned answered; /* … and said so */
    int64_t accepted_at;
    bool lies_there; /* it was put into the recipient's mailbox */
};

size_t post_add(const char *address); /* an account's index */
size_t post_count(void);
const char *post_address(size_t account);

size_t post_mails(void);
struct post_mail *post_mail_at(size_t i);
struct post_mail *post_find(const char *message_id); /* NULL: never seen */

/* A stranger's message, which nobody of ours may touch. */
void post_put_foreign(size_t account, const char *folder, const char *header);
/* Messages of a folder whose header contains the text; what a client did that it must not. */
unsigned post_have(size_t account, const char *folder, const char *text);
const char *post_violation(size_t account);
/* The whole state of the account's mailboxes, one message a line. */
void post_dump(size_t account, struct flz_buf *text);

/* Called when a process hands a final dot over to its connection. */
extern void (*post_on_dot)(struct proc *proc, const char *message_id);
