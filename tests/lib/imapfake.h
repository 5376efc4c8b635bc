/*
 * A model IMAP server: one account's folders in memory, bytes in and bytes out, no socket and no
 * clock. Mailboxes outlive sessions, so that a visit can be cut anywhere and repeated. It does what
 * RFC 3501 says, and by its options what servers do that make clients fail.
 *
 *     imapfake_connect() a new session: greeting in the output
 *     imapfake_feed() what the client sent → imapfake_output() what it gets → imapfake_sent()
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAPFAKE_USER "ada@a.test"
#define IMAPFAKE_PASSWORD "warm \"pass\\1"

enum imapfake_flag {
    IMAPFAKE_SEEN = 1,
    IMAPFAKE_ANSWERED = 2,
    IMAPFAKE_DELETED = 4,
    IMAPFAKE_JUNK = 8,
    IMAPFAKE_NOTJUNK = 16,
};

struct imapfake_options {
    bool no_move;
    bool no_uidplus;
    bool no_special_use;
    bool no_namespace;
    bool no_sasl_ir;
    bool no_plain;    /* LOGIN only */
    bool no_keywords; /* PERMANENTFLAGS without \* */
    bool no_quota;
    bool bearer;              /* AUTH=XOAUTH2 in the place of PLAIN */
    bool gmail;               /* X-GM-EXT-1 */
    bool noise;               /* untagged data between everything */
    bool literals;            /* strings as literals where they may be */
    bool empty_words;         /* says OK to STORE and MOVE and does nothing */
    bool hides_mail;          /* SEARCH finds nothing, FETCH by number leaves out what is ours */
    bool no_others;           /* a mailbox of the client's own: all of it may be read */
    bool lying_search;        /* SEARCH finds the wrong ones */
    bool capability_in_login; /* the code in the OK to the login */
    char delimiter;           /* 0 = '/' */
    const char *prefix;       /* NULL = "": of the personal namespace, e.g. "INBOX." */
};

struct imapfake;

/* Called before a command is carried out, with its text without the tag. */
typedef void (*imapfake_on_command)(struct imapfake *fake, const char *command, void *userdata);

struct imapfake *imapfake_new(const struct imapfake_options *options);
struct imapfake *imapfake_free(struct imapfake *fake);

/* `attributes` as in LIST: "\\Junk"; "" for none. Name on the wire. */
void imapfake_add_folder(struct imapfake *fake, const char *name, const char *attributes);

/* A message with this header block (CRLF, with its empty line). Returns its UID. */
uint32_t imapfake_deliver(struct imapfake *fake, const char *folder, const char *header,
                          uint32_t flags, int64_t internaldate_ms);

/* What happens behind the client's back. */
void imapfake_remove(struct imapfake *fake, const char *folder, uint32_t uid);
void imapfake_renumber(struct imapfake *fake, const char *folder); /* a new UIDVALIDITY */

void imapfake_on_each(struct imapfake *fake, imapfake_on_command on_command, void *userdata);

/* Who decides about bearer tokens (options.bearer) in the place of the one password. */
void imapfake_on_bearer(struct imapfake *fake,
                        bool (*on_bearer)(const char *user, const char *token, void *userdata),
                        void *userdata);

/* A new session; what was left of the old one is gone. */
void imapfake_connect(struct imapfake *fake);
void imapfake_feed(struct imapfake *fake, struct flz_view bytes);
struct flz_view imapfake_output(const struct imapfake *fake);
void imapfake_sent(struct imapfake *fake, size_t n);
/* The server has closed the session (after LOGOUT or nonsense). */
bool imapfake_is_closed(const struct imapfake *fake);

/* Commands carried out since imapfake_new(). */
unsigned imapfake_commands(const struct imapfake *fake);

/* All that the clients sent since imapfake_new(), secrets blanked. */
const char *imapfake_transcript(struct imapfake *fake);

/* "" or the first thing a client did that it must never do: EXPUNGE without UID, BODY without PEEK,
 * raw 8-bit, a bare LF, a command before the last was answered. */
const char *imapfake_violation(const struct imapfake *fake);

/* The state of the account: each folder, each message by its Message-ID with its flags, in order.
 * No UIDs: the same state whichever way it was reached. */
void imapfake_dump(const struct imapfake *fake, struct flz_buf *text);

/* Messages in a folder whose header contains `text`. */
unsigned imapfake_count(const struct imapfake *fake, const char *folder, const char *text);
