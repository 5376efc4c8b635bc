/*
 * An IMAP4rev1 client (RFC 3501) as a pure machine: bytes in, bytes out. It opens no socket, reads
 * no clock and has no global; the shell moves the bytes and watches the time.
 *
 *     imap_feed() what the server sent  →  imap_next() events  →  one command at a time
 *     imap_output() what to send        →  imap_sent() when it left (the bytes are wiped)
 *
 * Invariants
 *  M1  Bytes of a literal are counted, never read as protocol: mail cannot forge an answer.
 *  M2  A tagged answer is believed only when its tag is the one in flight; the tag begins with a
 *      prefix the shell chose at random. Any other tag ends the session.
 *  M3  Untagged data may come at any time and is bounded: line, literal, nesting, responses of one
 *      command, bytes of the session.
 *  M4  Strings leave quoted or as literals; CR, LF and NUL never leave inside one.
 *  M5  No secret is kept: it passes once, through the output buffer, and only under TLS.
 *  M6  Mail is read by BODY.PEEK only, and EXPUNGE is UID EXPUNGE only.
 *  M7  After any violation of the protocol the machine is dead and the connection not reusable;
 *      NO and BAD harm nothing.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAP_LINE_MAX (16 * 1024)        /* a response without its literals */
#define IMAP_LITERAL_MAX (64 * 1024)     /* a longer one is read past and shows as absent */
#define IMAP_RESPONSE_MAX (256 * 1024)   /* a response with its literals */
#define IMAP_UNTAGGED_MAX 10000          /* responses to one command */
#define IMAP_DEPTH_MAX 8                 /* nested parentheses */
#define IMAP_INPUT_MAX (4 * 1024 * 1024) /* bytes of a session; the options may set another */
#define IMAP_OUTPUT_MAX (32 * 1024)      /* a command, an access token included */
#define IMAP_MAILBOX_MAX 512             /* a mailbox name as on the wire, bytes with the NUL */
#define IMAP_TEXT_MAX 256                /* a server's words, bytes with the NUL */
#define IMAP_TAG_PREFIX_MAX 16           /* bytes with the NUL */
#define IMAP_SET_MAX 256                 /* numbers in one UID set */
#define IMAP_SEARCH_KEYS_MAX 16          /* header fields of one search */

/* What CAPABILITY announced; bits. */
enum imap_capability {
    IMAP_CAP_IMAP4REV1 = 1 << 0,
    IMAP_CAP_STARTTLS = 1 << 1,
    IMAP_CAP_LOGINDISABLED = 1 << 2,
    IMAP_CAP_AUTH_PLAIN = 1 << 3,
    IMAP_CAP_AUTH_XOAUTH2 = 1 << 4,
    IMAP_CAP_AUTH_OAUTHBEARER = 1 << 5,
    IMAP_CAP_SASL_IR = 1 << 6,
    IMAP_CAP_MOVE = 1 << 7,
    IMAP_CAP_UIDPLUS = 1 << 8,
    IMAP_CAP_SPECIAL_USE = 1 << 9,
    IMAP_CAP_NAMESPACE = 1 << 10,
    IMAP_CAP_ID = 1 << 11,
    IMAP_CAP_QUOTA = 1 << 12,
    IMAP_CAP_LITERAL_PLUS = 1 << 13,
    IMAP_CAP_IDLE = 1 << 14,
    IMAP_CAP_CONDSTORE = 1 << 15,
    IMAP_CAP_GMAIL = 1 << 16, /* X-GM-EXT-1: Google's servers */
};

/* Message flags; bits. */
enum imap_flag {
    IMAP_FLAG_SEEN = 1 << 0,
    IMAP_FLAG_ANSWERED = 1 << 1,
    IMAP_FLAG_FLAGGED = 1 << 2,
    IMAP_FLAG_DELETED = 1 << 3,
    IMAP_FLAG_DRAFT = 1 << 4,
    IMAP_FLAG_RECENT = 1 << 5,
    IMAP_FLAG_JUNK = 1 << 6,     /* $Junk (RFC 9051) */
    IMAP_FLAG_NOTJUNK = 1 << 7,  /* $NotJunk */
    IMAP_FLAG_WILDCARD = 1 << 8, /* \*, in PERMANENTFLAGS: new keywords may be made */
};

/* Mailbox attributes (RFC 3501 7.2.2, RFC 6154); bits. */
enum imap_attribute {
    IMAP_ATTR_NOSELECT = 1 << 0, /* \Noselect or \NonExistent */
    IMAP_ATTR_NOINFERIORS = 1 << 1,
    IMAP_ATTR_ALL = 1 << 2,
    IMAP_ATTR_ARCHIVE = 1 << 3,
    IMAP_ATTR_DRAFTS = 1 << 4,
    IMAP_ATTR_FLAGGED = 1 << 5,
    IMAP_ATTR_JUNK = 1 << 6,
    IMAP_ATTR_SENT = 1 << 7,
    IMAP_ATTR_TRASH = 1 << 8,
};

/* Response codes a caller may act on (RFC 3501 7.1, 4315, 5530). */
enum imap_code {
    IMAP_CODE_NONE,
    IMAP_CODE_OTHER, /* one not listed here */
    IMAP_CODE_ALERT,
    IMAP_CODE_ALREADYEXISTS,
    IMAP_CODE_AUTHENTICATIONFAILED,
    IMAP_CODE_AUTHORIZATIONFAILED,
    IMAP_CODE_CANNOT,
    IMAP_CODE_CONTACTADMIN,
    IMAP_CODE_COPYUID,
    IMAP_CODE_EXPIRED,
    IMAP_CODE_INUSE,
    IMAP_CODE_LIMIT,
    IMAP_CODE_NONEXISTENT,
    IMAP_CODE_NOPERM,
    IMAP_CODE_OVERQUOTA,
    IMAP_CODE_PRIVACYREQUIRED,
    IMAP_CODE_READ_ONLY,
    IMAP_CODE_SERVERBUG,
    IMAP_CODE_TRYCREATE,
    IMAP_CODE_UIDNOTSTICKY,
    IMAP_CODE_UNAVAILABLE,
};

/* "AUTHENTICATIONFAILED" …; "" for none and for those we do not know. */
const char *imap_code_str(enum imap_code code);

enum imap_status {
    IMAP_STATUS_OK,
    IMAP_STATUS_NO,
    IMAP_STATUS_BAD,
};

/* How a command ended. */
struct imap_result {
    enum imap_status status;
    enum imap_code code;
    char text[IMAP_TEXT_MAX]; /* the server's words, printable, cut when longer */
    /* COPYUID (RFC 4315) of a UID COPY or UID MOVE of one message; 0 = not told. */
    uint32_t copy_uidvalidity;
    uint32_t copy_uid;
};

/* The open mailbox, from SELECT or EXAMINE and what came since. */
struct imap_mailbox {
    char name[IMAP_MAILBOX_MAX]; /* as on the wire; "" = none is open */
    bool read_only;
    bool uid_not_sticky;
    uint32_t exists;
    uint32_t uidvalidity;     /* 0 = not told */
    uint32_t uidnext;         /* 0 = not told */
    uint32_t permanent_flags; /* enum imap_flag; system flags when the server did not say */
};

enum imap_event_type {
    IMAP_EVENT_NONE,   /* nothing more: feed bytes, or give a command */
    IMAP_EVENT_READY,  /* greeted and capabilities known: log in now */
    IMAP_EVENT_SECRET, /* imap_login_secret() is wanted now */
    IMAP_EVENT_DONE,   /* the command in flight ended: result */
    IMAP_EVENT_LIST,
    IMAP_EVENT_NAMESPACE,
    IMAP_EVENT_SEARCH, /* may come in several pieces */
    IMAP_EVENT_FETCH,
    IMAP_EVENT_EXPUNGE,
    IMAP_EVENT_MAILBOX_STATUS,
    IMAP_EVENT_QUOTA,
    IMAP_EVENT_ALERT, /* words the server wants a person to see: result.text */
    IMAP_EVENT_BYE,   /* the server ends the session: result */
};

struct imap_list {
    uint32_t attributes;         /* enum imap_attribute */
    char delimiter;              /* 0 = flat */
    char name[IMAP_MAILBOX_MAX]; /* as on the wire, modified UTF-7 */
};

/* The first personal namespace, and whether a prefix is somebody else's (RFC 2342). */
#define IMAP_FOREIGN_MAX 4
struct imap_namespace {
    char prefix[IMAP_MAILBOX_MAX]; /* as on the wire, with its delimiter: "INBOX." */
    char delimiter;
    char foreign[IMAP_FOREIGN_MAX][IMAP_MAILBOX_MAX]; /* other users' and shared prefixes */
    size_t n_foreign;
};

/* What a FETCH response told; unsolicited ones carry flags alone. */
struct imap_fetch {
    uint32_t sequence;
    uint32_t uid; /* 0 = not told */
    bool has_flags;
    uint32_t flags; /* enum imap_flag */
    bool has_size;
    uint32_t size;
    int64_t internaldate_ms; /* UTC; INT64_MIN = not told */
    bool has_header;
    struct flz_view header; /* borrowed until the next call of imap_next() or imap_feed() */
};

struct imap_quota {
    bool has_storage;
    uint64_t used_kib;
    uint64_t limit_kib;
};

struct imap_mailbox_status {
    char name[IMAP_MAILBOX_MAX];
    uint32_t messages;
    uint32_t uidnext;
    uint32_t uidvalidity;
    uint32_t unseen;
};

struct imap_event {
    enum imap_event_type type;
    union {
        struct imap_result result; /* DONE, ALERT, BYE */
        struct imap_list list;
        struct imap_namespace namespace;
        struct imap_fetch fetch;
        struct imap_quota quota;
        struct imap_mailbox_status mailbox_status;
        uint32_t expunged; /* a sequence number */
        struct {
            const uint32_t *numbers; /* borrowed until the next call */
            size_t count;
        } search;
    };
};

struct imap_options {
    char tag_prefix[IMAP_TAG_PREFIX_MAX]; /* 4 or more random letters and digits */
    bool tls;           /* the connection is encrypted; without it no login is tried (M5) */
    bool greeted;       /* the transport consumed the greeting (and CAPABILITY, STARTTLS) */
    uint64_t input_max; /* bytes of the session; 0 = IMAP_INPUT_MAX */
};

struct imap;

/* A machine, owned by the caller; NULL when memory is refused. */
struct imap *imap_new(const struct imap_options *options);
struct imap *imap_free(struct imap *imap);

/*
 * Takes all `bytes`. 0; -EPROTO or -EMSGSIZE or -ENOMEM once the machine is dead (M7). The same
 * code comes back from every later call, and imap_error() says what was wrong.
 */
int imap_feed(struct imap *imap, struct flz_view bytes);

/* The next event, IMAP_EVENT_NONE when there is none. 0 or negative as above. */
int imap_next(struct imap *imap, struct imap_event *ret_event);

/* Bytes to send, borrowed until the next call; and the note that the first `n` of them have left.
 */
struct flz_view imap_output(const struct imap *imap);
void imap_sent(struct imap *imap, size_t n);

/* True when a command may be given: none in flight, nothing wrong, not ended. */
bool imap_is_idle(const struct imap *imap);

/* True when the session is sound, logged in and idle: the connection can serve another visit. */
bool imap_is_reusable(const struct imap *imap);

/* Starts the count of the session's bytes again, for another visit on the same connection. */
void imap_rearm(struct imap *imap, uint64_t input_max);

/* How long, in real milliseconds, the server may be silent in the present state. */
int64_t imap_timeout_ms(const struct imap *imap);

/* Bytes that may still come before the session's limit. */
uint64_t imap_input_left(const struct imap *imap);

/* Why the machine is dead; "" while it is not. */
const char *imap_error(const struct imap *imap);

uint32_t imap_capabilities(const struct imap *imap);
const struct imap_mailbox *imap_mailbox(const struct imap *imap);

enum imap_login_kind {
    IMAP_LOGIN_PASSWORD, /* AUTHENTICATE PLAIN, else LOGIN */
    IMAP_LOGIN_BEARER,   /* AUTHENTICATE XOAUTH2, else OAUTHBEARER */
};

struct imap_login {
    enum imap_login_kind kind;
    const char *user; /* borrowed for the call; printable */
    const char *host; /* of OAUTHBEARER; borrowed for the call */
    uint16_t port;
};

#define IMAP_E_NO_TLS 1       /* the connection is clear text */
#define IMAP_E_NO_MECHANISM 2 /* the server offers none that fits */

/*
 * Logs in. The secret is asked for by IMAP_EVENT_SECRET at the moment it can be written to the
 * output. DONE tells the result; after OK the capabilities are asked for again by the machine
 * itself before DONE is given. 0, IMAP_E_NO_TLS, IMAP_E_NO_MECHANISM, -EINVAL (user or host with
 * characters that may not leave), or -ENOMEM, and the machine is dead.
 */
int imap_login(struct imap *imap, const struct imap_login *login);

/*
 * The password or access token, in answer to IMAP_EVENT_SECRET (which may come twice). Borrowed for
 * the call. 0; -EINVAL when it is empty, too long or has CR, LF or NUL: nothing was written and the
 * session must be given up; or -ENOMEM, likewise.
 */
int imap_login_secret(struct imap *imap, struct flz_view secret);

/*
 * Commands. Each needs imap_is_idle(), and ends with IMAP_EVENT_DONE. Mailbox names are as on the
 * wire (mutf7.h makes one from UTF-8). 0; -EINVAL for a string that may not leave (nothing was
 * written); or -ENOMEM, and the machine is dead.
 */
int imap_id(struct imap *imap, const char *name, const char *version);
int imap_namespace(struct imap *imap);
/*
 * LIST "" "*": every mailbox the account sees. Special-use attributes come with it where the server
 * gives them unasked; `ask_use` asks for them (RETURN (SPECIAL-USE), RFC 6154).
 */
int imap_list(struct imap *imap, bool ask_use);
int imap_select(struct imap *imap, const char *mailbox, bool read_only);
int imap_mailbox_status(struct imap *imap, const char *mailbox);

/* UID SEARCH for messages in which any of the header fields contains its value. */
struct imap_search_key {
    const char *field; /* borrowed for the call */
    const char *value;
};
int imap_search(struct imap *imap, const struct imap_search_key *keys, size_t n);
/* UID SEARCH SINCE a day (days since 1970, the server's own zone). */
int imap_search_since(struct imap *imap, int32_t day);

/*
 * FETCH (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (fields)]); without `fields`
 * the header is left out. By UIDs (1 … IMAP_SET_MAX), or by a range of sequence numbers.
 */
int imap_fetch_uids(struct imap *imap, const uint32_t *uids, size_t n, const char *fields);
int imap_fetch_range(struct imap *imap, uint32_t first, uint32_t last, const char *fields);

/* UID FETCH uid (UID BODY.PEEK[]<0.size>): the message itself, at most `size` bytes of it, shows as
 * imap_fetch.header. */
int imap_fetch_body(struct imap *imap, uint32_t uid, uint32_t size);

/* UID STORE uid ±FLAGS (flags). */
int imap_store_add(struct imap *imap, uint32_t uid, uint32_t flags);
int imap_store_remove(struct imap *imap, uint32_t uid, uint32_t flags);

int imap_move(struct imap *imap, uint32_t uid, const char *mailbox);
int imap_copy(struct imap *imap, uint32_t uid, const char *mailbox);
/* UID EXPUNGE (RFC 4315): this one alone, never everyone's deleted messages (M6). */
int imap_expunge(struct imap *imap, uint32_t uid);
int imap_create(struct imap *imap, const char *mailbox);
int imap_subscribe(struct imap *imap, const char *mailbox);
int imap_quota(struct imap *imap, const char *mailbox);
int imap_noop(struct imap *imap);
int imap_logout(struct imap *imap);
