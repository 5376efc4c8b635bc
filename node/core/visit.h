/*
 * One visit to one account's mailboxes: logs in, looks for the messages of the network, has each
 * one found verified by the caller, acts on it, reads it again, and says what happened. Drives an
 * imap machine; bytes in, bytes out, time as data.
 *
 *     visit_new(options, jobs)
 *     loop: visit_next() → SECRET  → visit_secret()       visit_output() → send → visit_sent()
 *                        → VERIFY  → visit_verified()     received       → visit_feed()
 *                        → OUTCOME → record it            closed         → visit_closed()
 *                        → END                            silent too long → visit_timed_out()
 *     visit_take_imap() when the connection shall serve the next visit, visit_free()
 *
 *  login ─► folders ─► look: search ─► look: scan ─► look everywhere ─► act ─► probe ─► logout
 *          (NAMESPACE,  INBOX, Junk,    the newest    (final looks)      │
 *           LIST)       own folder      headers                          └ unspam, open, answered,
 *                                                                          sweep, tidy; each is
 *                                                                          re-read; then reports
 * Invariants
 *  V1  A message is acted on only when the caller said yes to its header block in this visit.
 *  V2  Foreign mail is seen by PEEK of the named header fields, in a folder opened by EXAMINE (or
 *      open already for an action), and in no other way; a multipart/report by PEEK of the whole.
 *  V3  A UID is used only under the UIDVALIDITY it was found with, in this visit; when the validity
 *      changed the message is looked for again.
 *  V4  On one message: out of Junk, \Seen, \Answered, and the filing move last.
 *  V5  `done` and `noop` are said only after reading the mailbox again.
 *  V6  Repeating a visit that was cut at any byte leads to the same mailboxes.
 *  V7  `missing` is said only when every folder was looked through; any doubt is `unobserved`.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/id.h"
#include "node/core/folder.h"
#include "node/core/header.h"
#include "node/core/imap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VISIT_JOBS_MAX 128               /* jobs of one visit */
#define VISIT_FOLDER_MAX FOLDER_NAME_MAX /* a folder's name on the wire, bytes with the NUL */
#define VISIT_TEXT_MAX IMAP_TEXT_MAX
#define VISIT_SCAN_DEFAULT 200 /* newest headers read per folder when searching found nothing */
#define VISIT_SCAN_FINAL 2000  /* the same for a final look */
#define VISIT_INPUT_FINAL_MAX (32 * 1024 * 1024) /* bytes of a visit with a final look */
#define VISIT_SWEEP_MAX 50        /* messages that one visit removes */
#define VISIT_SWEEP_SCAN_MAX 2000 /* headers it reads for that */
#define VISIT_WALL_MS_MAX (120 * 1000) /* real time a visit may take; the shell watches it */

enum visit_job_kind {
    VISIT_FIND,     /* look, say where the message lies; changes nothing */
    VISIT_SENTFIND, /* look in the Sent folder (for a send of unknown outcome); changes nothing */
    VISIT_UNSPAM,   /* Junk → INBOX, $NotJunk */
    VISIT_OPEN,     /* +\Seen */
    VISIT_ANSWERED, /* +\Answered: the message named is the one that was replied to */
    VISIT_TIDY,     /* file into our own folder */
    VISIT_EXPIRE,   /* out of our own folder: into Trash, or removed when `may_delete` */
    VISIT_SWEEP,    /* removes the old messages of the network that were filed into our folder, with
                       the owner's consent; one of a visit. Without UIDPLUS nothing is removed */
    VISIT_REPORTS,  /* what came since the last look and is a report, or a machine's answer, is told
                       of (VISIT_E_REPORT); one of a visit, changes nothing */
    VISIT_PROBE,    /* login, folders, capabilities, quota; needs no message */
};

/* How to know a message. Message-IDs with or without angle brackets. */
struct visit_look {
    struct flz_id exchange; /* x= and n= of X-FluenzR; null = not known */
    uint32_t step;
    char message_id[HEADER_MESSAGE_ID_MAX];      /* the one we gave it */
    char message_id_seen[HEADER_MESSAGE_ID_MAX]; /* as rewritten, from an earlier outcome; or "" */
    char from[FLZ_ADDRESS_MAX];                  /* last resort, together: From, */
    struct flz_digest subject; /* header_subject_digest(); all zero = not known, */
    int64_t date_first_ms;     /* and Date in [first, last] */
    int64_t date_last_ms;
    int64_t arrived_after_ms; /* real time: nothing older need be read (a day of slack is added);
                                 0 = not known */
};

/* INBOX and Junk, up to which UID each was read. */
#define VISIT_PLACES 2
#define VISIT_REPORTS_MAX 50 /* read whole in one folder and visit; more of them are passed over */

struct visit_mark {
    uint32_t uidvalidity;
    uint32_t uid; /* 0 = none */
};

struct visit_job {
    struct flz_id id; /* the task's; copied into the outcome */
    enum visit_job_kind kind;
    struct visit_look look;        /* unused by SWEEP and PROBE; REPORTS: arrived_after_ms alone, to
                                      the point */
    struct visit_mark marks[VISIT_PLACES]; /* REPORTS: what is not above these was read before */
    int64_t before_ms;             /* SWEEP: what is older, by the t= of X-FluenzR, goes */
    char folder[VISIT_FOLDER_MAX]; /* where an earlier look saw it, or "": looked at as well */
    bool in_sent;                  /* TIDY, EXPIRE: the sender's own copy, in the Sent folder */
    bool search_all;               /* FIND: the final look, past the deadline: all folders.
                                      REPORTS: every message is read whole (a mailbox of ours) */
    bool may_delete;               /* EXPIRE: the owner's consent covers removal */
};

enum visit_placement {
    VISIT_PLACEMENT_UNOBSERVED, /* not seen, and not everything was looked through */
    VISIT_PLACEMENT_INBOX,
    VISIT_PLACEMENT_JUNK,
    VISIT_PLACEMENT_OTHER,   /* see folder */
    VISIT_PLACEMENT_MISSING, /* search_all: every folder was looked through, it is in none */
};

enum visit_result {
    VISIT_DONE,   /* FIND: seen. Actions: done now, and so when read again */
    VISIT_NOOP,   /* already so before */
    VISIT_FAILED, /* not so; see reason and text */
};

enum visit_reason {
    VISIT_REASON_NONE,
    VISIT_REASON_ABSENT,        /* no such message was found (FIND: not yet) */
    VISIT_REASON_UNVERIFIED,    /* one that looks like it was found, the caller said no */
    VISIT_REASON_VANISHED,      /* it was there and went away between two steps */
    VISIT_REASON_REFUSED,       /* the server said NO or BAD: text */
    VISIT_REASON_NOT_SO,        /* the server said OK, and it is not so when read again */
    VISIT_REASON_NO_UIDPLUS,    /* no MOVE and no UID EXPUNGE: a copy cannot be removed safely */
    VISIT_REASON_NO_FOLDER,     /* no Sent, no Trash, or ours cannot be made */
    VISIT_REASON_NO_PERMISSION, /* the mailbox is read-only or the flag is not permanent */
    VISIT_REASON_SESSION,       /* the visit ended before its turn: see the end */
};

/* PROBE's facts. Folder names as on the wire, "" = none. */
struct visit_probe {
    uint32_t capabilities; /* enum imap_capability */
    char junk[VISIT_FOLDER_MAX];
    char sent[VISIT_FOLDER_MAX];
    char trash[VISIT_FOLDER_MAX];
    char own[VISIT_FOLDER_MAX]; /* where ours is or would be made */
    bool own_exists;
    bool has_quota;
    uint64_t quota_used_kib;
    uint64_t quota_limit_kib;
};

/* What became of one job. Plain data; all texts are bounded and in place. */
struct visit_outcome {
    size_t job; /* its index */
    struct flz_id id;
    enum visit_job_kind kind;
    enum visit_result result;
    enum visit_reason reason;
    char text[VISIT_TEXT_MAX];      /* the server's words, "" = none */
    enum visit_placement placement; /* where it lies now (FIND: where it was found) */
    char folder[VISIT_FOLDER_MAX];
    uint32_t uidvalidity;
    uint32_t uid;   /* 0 = not known */
    uint32_t flags; /* enum imap_flag, as last read */
    uint32_t size;
    int64_t internaldate_ms;                /* INT64_MIN = not told */
    char message_id[HEADER_MESSAGE_ID_MAX]; /* as found, when it is not ours any more; else "" */
    char authentication[HEADER_AUTHENTICATION_MAX]; /* topmost Authentication-Results; or "" */
    struct visit_probe probe;                       /* PROBE only */
    uint32_t removed;                               /* SWEEP: messages, re-read and gone */
    bool more;                                      /* SWEEP: more of them may be there */
    struct visit_mark marks[VISIT_PLACES];          /* REPORTS: for the next look */
};

/* How the visit ended. Worse ones come with jobs failed for VISIT_REASON_SESSION. */
enum visit_end {
    VISIT_END_DONE,
    VISIT_END_GMAIL,         /* X-GM-EXT-1: refused by policy, nothing was done */
    VISIT_END_CLEAR_TEXT,    /* no TLS: nothing was sent */
    VISIT_END_NO_MECHANISM,  /* the server offers no login we can do */
    VISIT_END_LOGIN_REFUSED, /* the credentials: do not try again unchanged */
    VISIT_END_UNAVAILABLE,   /* the server cannot now ([UNAVAILABLE], [INUSE], [LIMIT], BYE) */
    VISIT_END_NO_FOLDERS,    /* LIST failed or showed no INBOX */
    VISIT_END_PROTOCOL,      /* it broke the protocol or a limit */
    VISIT_END_CLOSED,        /* the connection went away */
    VISIT_END_TIMED_OUT,
    VISIT_END_NO_MEMORY,
};

enum visit_event_type {
    VISIT_E_NONE,    /* send, receive, wait at most visit_timeout_ms() */
    VISIT_E_SECRET,  /* visit_secret() now */
    VISIT_E_VERIFY,  /* visit_verified() now */
    VISIT_E_REPORT,  /* a message that may be a report; no answer is waited for */
    VISIT_E_OUTCOME, /* a job is settled */
    VISIT_E_ALERT,   /* words the server wants a person to see */
    VISIT_E_END,     /* all outcomes were given; nothing follows */
};

/* By what a candidate was recognised, best first. */
enum visit_match {
    VISIT_MATCH_X,           /* x= and n= of X-FluenzR */
    VISIT_MATCH_MESSAGE_ID,  /* Message-ID, ours or the rewritten one */
    VISIT_MATCH_ORIGINAL_ID, /* X-Microsoft-Original-Message-ID */
    VISIT_MATCH_FIELDS,      /* From, Subject and Date */
};

struct visit_event {
    enum visit_event_type type;
    union {
        struct {
            size_t job; /* the first job that looks for it */
            enum visit_match match;
            const struct header *header; /* parsed; borrowed until visit_verified() */
            struct flz_view block;       /* as fetched (named fields only); borrowed as well */
        } verify;
        struct {
            bool whole; /* the message itself, or as much of it as is read; else the named
                           fields of one that a machine wrote in answer to another */
            struct flz_view bytes; /* borrowed until the next call */
        } report;
        struct visit_outcome outcome;
        struct {
            enum visit_end end;
            bool reusable;             /* logged in, idle and sound: visit_take_imap() */
            char text[VISIT_TEXT_MAX]; /* the server's words, or what was wrong */
        } end;
        char alert[VISIT_TEXT_MAX];
    };
};

/* Borrowed for visit_new() alone; texts are copied. */
struct visit_options {
    struct imap_options imap; /* for a new machine; input_max 0 = by the jobs */
    struct imap *resume;      /* or a logged-in one from visit_take_imap(): taken over */
    struct imap_login login;
    const char *own_folder; /* UTF-8, one level; NULL = "FluenzR" */
    const char *version;    /* of the program, for ID */
    uint32_t scan_max;      /* 0 = VISIT_SCAN_DEFAULT */
    bool keep;              /* no LOGOUT at the end: the connection will be used again */
};

struct visit;

/*
 * A visit for `n` jobs (1 … VISIT_JOBS_MAX, copied). Owned by the caller. NULL when memory is
 * refused (`resume` is then freed).
 */
struct visit *visit_new(const struct visit_options *options, const struct visit_job *jobs,
                        size_t n);
struct visit *visit_free(struct visit *visit);

/* Bytes from the server; its end; no byte within visit_timeout_ms() of the last one (or the shell's
 * own limit reached). What follows from them comes by visit_next(). */
void visit_feed(struct visit *visit, struct flz_view bytes);
void visit_closed(struct visit *visit);
void visit_timed_out(struct visit *visit);

/* The next event; VISIT_E_NONE until something arrives. Call until NONE after each call above. */
void visit_next(struct visit *visit, struct visit_event *ret_event);

/* The answers to VISIT_E_SECRET and VISIT_E_VERIFY. The secret is borrowed for the call. */
void visit_secret(struct visit *visit, struct flz_view secret);
void visit_verified(struct visit *visit, bool is_ours);

/* Bytes to send, borrowed until the next call; the first `n` have left, and are wiped. */
struct flz_view visit_output(const struct visit *visit);
void visit_sent(struct visit *visit, size_t n);

/* How long the server may be silent now, real milliseconds. */
int64_t visit_timeout_ms(const struct visit *visit);

/* After END with `reusable`: the machine, now owned by the caller; else NULL. */
struct imap *visit_take_imap(struct visit *visit);
