/*
 * What the files of a visit share: visit.c (session, jobs, outcomes), visit_look.c (finding
 * messages), visit_act.c (changing them), visit_sweep.c (old ones of our folder become targets),
 * visit_report.c (what others say of messages).
 * Nobody else includes this.
 *
 * A visit keeps a small stack of operations. The top one begins (gives a command, or finds that
 * there is nothing to do and is dropped), hears what the server says, and ends with its command's
 * result; any of these may push further operations. When the stack is empty, the plan pushes those
 * of the next step (visit_plan).
 */
#pragma once

#include "node/core/visit.h"

#define VISIT_OPS_MAX 64
#define VISIT_UIDS_MAX 512      /* of one look in one folder */
#define VISIT_CANDIDATES_MAX 64 /* headers kept for verification */
#define VISIT_SCAN_BATCH 100
#define VISIT_FETCH_BATCH 50
#define VISIT_SWEEP_BATCH 50
#define VISIT_RELOOKS_MAX 2 /* a mailbox that changes its validity more often is left alone */

enum op_kind {
    OP_ID,
    OP_NAMESPACE,
    OP_LIST,
    OP_OPEN,      /* folder; write: SELECT, else EXAMINE */
    OP_SEARCH,    /* from target `number` on */
    OP_SCAN,      /* sequence numbers up to `number`; 0 = from the end */
    OP_FETCH,     /* the headers of the UIDs gathered, from index `number` on */
    OP_VERIFY,    /* the candidates gathered */
    OP_SWEEP,     /* our folder's headers, by sequence numbers from `number` on */
    OP_REPORTS,   /* headers of what came since the last look, up to `number`; 0 = from the end */
    OP_READ,      /* the reports gathered, whole, from index `number` on */
    OP_LOOK,      /* for target in `folder`, anew */
    OP_CREATE,    /* our folder */
    OP_SUBSCRIBE, /* our folder */
    OP_SOURCE,    /* opens the place of target's copy in `slot`, for writing; the validity holds */
    OP_HAM,       /* in plans only: stands for OP_STORE $NotJunk and OP_UNSTORE $Junk */
    OP_MOVE,      /* moves it to `folder` */
    OP_COPY,      /* copies it to `folder`, unless a copy is there */
    OP_MARK,      /* \Deleted; only when a copy is in `folder`, which FOLDER_NONE waives */
    OP_EXPUNGE,
    OP_GONE,    /* reads whether it is gone from there */
    OP_STORE,   /* adds `number` (flags) to it */
    OP_UNSTORE, /* removes them */
    OP_FLAGS,   /* reads its flags, `number` of which are wanted */
    OP_QUOTA,
    OP_SETTLE, /* tells the outcomes of target's jobs of kind `number` */
};

struct op {
    enum op_kind kind;
    bool write;
    uint32_t target;
    uint32_t folder;
    uint32_t slot;
    uint32_t number;
};

/* Where a verified copy of a message may be known to lie. */
enum slot { SLOT_INBOX, SLOT_OWN, SLOT_ELSE, SLOT_JUNK, SLOT_TRASH, SLOT_COUNT };

struct copy {
    bool present;
    uint32_t folder;
    uint32_t uidvalidity;
    uint32_t uid;
    uint32_t flags;
    uint32_t size;
    int64_t internaldate_ms;
};

/* How one target's actions of one kind are going. */
struct progress {
    bool began; /* something was done, and has to be read again */
    uint32_t flags_before;
    enum visit_reason reason; /* NONE = no failure so far */
    char text[VISIT_TEXT_MAX];
};

/* One message that jobs are about; jobs that look for the same one share it. */
struct target {
    struct visit_look look;
    size_t job;     /* the first of its jobs */
    uint32_t wants; /* bits 1 << enum visit_job_kind */
    bool in_sent;
    bool search_all;
    bool may_delete;
    char folder[VISIT_FOLDER_MAX];
    struct copy copies[SLOT_COUNT];
    bool looking;    /* part of the look that is going on */
    bool searched;   /* SEARCH found one: it can be believed, and no scan is needed */
    bool unverified; /* one was seen that the caller did not know */
    bool in_doubt;   /* something was not looked through */
    unsigned relooks;
    char message_id[HEADER_MESSAGE_ID_MAX];
    char authentication[HEADER_AUTHENTICATION_MAX];
    uint32_t copy_uid; /* where a transfer put it, by COPYUID; 0 = not told */
    struct progress progress;
};

/* A message whose header looks like a target's, waiting for the caller's word. */
struct candidate {
    uint32_t target;
    enum visit_match match;
    bool asked;
    struct copy copy;
    struct flz_view block; /* owned */
};

/* The order of a visit; each step runs over folders or targets. */
enum phase {
    PHASE_SEARCH, /* usual folders, by SEARCH */
    PHASE_SCAN,   /* usual folders, by reading the newest headers: those not found */
    PHASE_ALL,    /* all other folders, both ways: final looks not found */
    PHASE_FOUND,  /* tells the finds */
    PHASE_UNSPAM,
    PHASE_UNSPAMMED, /* looks in INBOX for what was moved */
    PHASE_MARK,
    PHASE_SWEEP, /* finds what PHASE_TIDY removes */
    PHASE_TIDY,
    PHASE_TIDIED,
    PHASE_REPORTS,
    PHASE_PROBE,
    PHASE_END,
};

enum session {
    SESSION_GREET,
    SESSION_LOGIN,
    SESSION_WORK,
    SESSION_LOGOUT,
    SESSION_END,
};

struct visit {
    struct imap *imap; /* owned */
    bool greeted;
    struct imap_login login; /* its texts are the fields below */
    char user[FLZ_ADDRESS_MAX];
    char host[256];
    char own_name[FOLDER_NAME_MAX];
    char version[32];
    uint32_t scan_max;
    bool keep;
    uint64_t input_max;

    struct visit_job *jobs; /* owned */
    size_t n_jobs;
    uint32_t *job_targets;  /* owned; FOLDER_NONE for a job without message */
    struct target *targets; /* owned; those that a sweep found come last */
    size_t n_targets;
    size_t targets_capacity;
    size_t sweep;       /* the job that sweeps, or n_jobs */
    size_t sweep_first; /* the first target it found */
    bool sweep_old;     /* of the batch: something to remove was seen … */
    bool sweep_young;   /* … and something of ours that stays */
    bool sweep_more;
    bool sweep_refused; /* our folder cannot be read */

    size_t reports; /* the job that looks for reports, or n_jobs */
    struct visit_mark marks[VISIT_PLACES];
    uint32_t report_place;  /* of the folder that is being read */
    uint32_t report_newest; /* UID seen in it */
    bool report_old;        /* the batch has shown what was read before, or is too old */
    bool has_report;        /* to be told: */
    bool report_whole;
    struct flz_view report; /* owned */

    enum session session;
    enum visit_end end;
    char end_text[VISIT_TEXT_MAX];
    bool end_told;
    bool wants_secret;
    bool has_alert;
    char alert[VISIT_TEXT_MAX];
    bool asking; /* VERIFY: the caller's word is waited for */
    struct header asked_header;

    struct visit_outcome *outcomes; /* owned; one per job, in the order they were settled */
    size_t n_outcomes;
    size_t n_outcomes_told;
    bool *settled; /* owned; per job */

    struct op ops[VISIT_OPS_MAX];
    size_t n_ops;
    struct op current; /* taken off the stack */
    bool running;      /* its command is in flight */

    struct folder_list folders;
    bool list_plain; /* RETURN (SPECIAL-USE) was refused */
    uint32_t open;   /* folder, or FOLDER_NONE */

    enum phase phase;
    uint32_t cursor; /* folder or target within the phase */

    uint32_t uids[VISIT_UIDS_MAX]; /* of the look that is going on */
    size_t n_uids;
    struct candidate candidates[VISIT_CANDIDATES_MAX];
    size_t n_candidates;
    size_t asked_candidate;
    uint32_t scanned;
    uint32_t scan_missed; /* of the batch: not shown by the server yet */
    bool scan_old;        /* the batch has shown nothing but messages that are too old */

    bool seen; /* GONE, FLAGS: the message showed up */
    uint32_t seen_flags;

    bool has_quota;
    uint64_t quota_used_kib;
    uint64_t quota_limit_kib;
};

#define OP_E_DROP 1 /* nothing to do, or it pushed others in its place */
#define OP_E_WAIT 2 /* no command; the caller's word is waited for */

/* visit.c */
void visit_push(struct visit *visit, struct op op);
/* Ends the visit's work; the jobs that are left fail. */
void visit_finish(struct visit *visit, enum visit_end end, const char *text);
/* Tells the outcomes of a target's unsettled jobs of this kind. */
void visit_settle(struct visit *visit, struct target *target, enum visit_job_kind kind);
uint32_t visit_wants(const struct target *target, enum visit_job_kind kind);
/* The copy that a reader of the mailbox would meet first; NULL when there is none. */
struct copy *visit_copy(struct target *target);
bool visit_is_open(const struct visit *visit, uint32_t folder, bool write);

/* visit_look.c */
/* Pushes the looks of a phase; false when the phase has no more. */
bool look_plan(struct visit *visit);
enum slot look_slot(const struct visit *visit, uint32_t folder);
/* One target in one folder again; where COPYUID told the UID that is read first. */
void look_push_one(struct visit *visit, uint32_t target, uint32_t folder, bool scan);
int look_search(struct visit *visit, struct op *op);
int look_scan(struct visit *visit, struct op *op);
int look_fetch(struct visit *visit, struct op *op);
int look_verify(struct visit *visit, struct op *op);
void look_heard(struct visit *visit, const struct op *op, const struct imap_event *event);
void look_ended(struct visit *visit, const struct op *op, const struct imap_result *result);
void look_verified(struct visit *visit, bool is_ours);
void look_forget(struct visit *visit);

/* visit_sweep.c */
/* Pushes what begins the sweep, or concludes that there is none. */
void sweep_plan(struct visit *visit);
int sweep_begin(struct visit *visit, struct op *op);
void sweep_heard(struct visit *visit, const struct imap_fetch *fetch);
void sweep_ended(struct visit *visit, const struct op *op, const struct imap_result *result);
/* What became of it, once its targets were removed. */
void sweep_conclude(struct visit *visit, struct visit_outcome *outcome);

/* visit_report.c */
/* Pushes the look into the next folder; false when there is none. */
bool report_plan(struct visit *visit);
int report_scan(struct visit *visit, struct op *op);
int report_read(struct visit *visit, struct op *op);
void report_heard(struct visit *visit, const struct op *op, const struct imap_fetch *fetch);
void report_ended(struct visit *visit, const struct op *op, const struct imap_result *result);

/* visit_act.c */
bool act_plan(struct visit *visit);
int act_begin(struct visit *visit, struct op *op);
void act_heard(struct visit *visit, const struct op *op, const struct imap_event *event);
void act_ended(struct visit *visit, const struct op *op, const struct imap_result *result);
