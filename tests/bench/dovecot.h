/*
 * A Dovecot of the bench's own: IMAP over TLS on loopback, below one folder. Every name logs in
 * with DOVECOT_PASSWORD and has the Maildir `mail/NAME` with INBOX, Junk, Sent and Trash. Set up
 * for many short sessions: processes are used again, nothing is synced. It must be started as root,
 * because it changes to its users.
 */
#pragma once

#include "tests/bench/bench.h"

#define DOVECOT_PASSWORD "warm"

struct dovecot {
    char folder[BENCH_PATH_MAX];
    uint16_t port;
    pid_t pid;
};

/* `cert`: PEM of certificate and key. False, with words on stderr: it cannot be had here. */
bool dovecot_start(struct dovecot *dovecot, const char *cert);
void dovecot_stop(struct dovecot *dovecot);

/* Puts a message into the INBOX of a name before its first login; `serial` makes it unique. */
void dovecot_deliver(const struct dovecot *dovecot, const char *name, unsigned serial,
                     const char *message);
/* Gives what was delivered to the server's user. After the last dovecot_deliver(). */
void dovecot_delivered(const struct dovecot *dovecot);
