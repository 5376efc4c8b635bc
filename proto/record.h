/*
 * Records: what the coordinator's log and store are made of. An event says what happened, with its
 * results, so that folding needs no deciding; a row is the state of one thing as the fold of the
 * events left it. PROTOCOL.md, "Records", has the exchange's whole state table.
 *
 * Times are network time. Handles are dense u32 numbers given by the event that registers a thing
 * and never used twice. Names of the log are digests and ids: addresses and owners stand elsewhere.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/id.h"
#include "proto/vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLZ_RECORD_VERSION 1
#define FLZ_EVENT_SIZE_MAX (1024 * 1024) /* one encoded event */
#define FLZ_PLAN_EXCHANGES_MAX 2000      /* in one PLAN_PART */
#define FLZ_PLAN_ACCOUNTS_MAX 4000       /* in one PLAN_PART */
#define FLZ_FORGOTTEN_MAX 256            /* generations remembered as given up */

/* ---- Parts of rows and events ---- */

/* Whose trouble it was that something did not happen. */
enum row_fault {
    FAULT_NONE = 0,
    FAULT_SENDER = 1,         /* the sending account: login, refused content, rate */
    FAULT_SENDER_NODE = 2,    /* its node: silent, no credit, journal lost, revoked */
    FAULT_RECIPIENT = 3,      /* the receiving account: unknown, full, unready */
    FAULT_RECIPIENT_NODE = 4, /* its node */
    FAULT_OWNER = 5,          /* somebody's decision: consent, removal, pause, suppression */
    FAULT_NETWORK = 6,        /* the coordinator: outage, restored backup */
};

/* Why a planned step will never be done. */
enum row_void {
    VOID_NONE = 0,
    VOID_LATE = 1,       /* its slot passed before the node could take it */
    VOID_PAUSED = 2,     /* its slot passed during a pause */
    VOID_CONSENT = 3,    /* consent ended or does not cover it */
    VOID_REVOKED = 4,    /* a node was revoked */
    VOID_GONE = 5,       /* an account was released or removed */
    VOID_UNREADY = 6,    /* no fresh login, a full mailbox, a changed or denying domain */
    VOID_SUPPRESSED = 7, /* an address is on the suppression list */
    VOID_EARLIER = 8,    /* the message before it failed, or was not opened in time */
    VOID_NEEDLESS = 9,   /* nothing to do (was not in Junk, nothing was sent) */
    VOID_RESTORED = 10,  /* the log was restored from a backup: a day of silence */
    VOID_SPACING = 11,   /* its slot passed while another message of the account was too near */
    VOID_HEALTH = 12,    /* its sender's health leaves no room for it (health.h) */
};
#define ROW_VOID_MAX VOID_HEALTH

/*
 * One task of an exchange, as the coordinator knows it.
 *
 *     WAITS --issue--> OPEN --receipt, or presumed--> ENDED
 *     WAITS --void---> VOID
 */
enum row_task_state { TASK_WAITS = 0, TASK_OPEN = 1, TASK_ENDED = 2, TASK_VOID = 3 };

struct row_task {
    uint32_t state;   /* enum row_task_state */
    uint32_t outcome; /* ENDED: enum flz_outcome */
    uint32_t reason;  /* ENDED: enum flz_reason; VOID: enum row_void */
    uint32_t fault;   /* enum row_fault */
    uint32_t node;    /* it was issued to */
    uint32_t attempt;
    uint32_t reply_code; /* the server's, if it told one */
    bool presumed; /* ENDED by the coordinator: the node has not spoken (or is not believed) */
    int64_t issued_at;
    int64_t ended_at;
};

/* A message that was taken and came back. */
enum row_bounce {
    BOUNCE_NONE = 0,
    BOUNCE_SOFT = 1, /* the next one may arrive */
    BOUNCE_HARD = 2, /* it will not: refused for what it is, or who sent it */
    BOUNCE_GONE = 3, /* it will not: the recipient's address is no good */
};

/* One message of an exchange. Turn 0, 2, 4 go from `from` to `to`, turns 1, 3 back. */
struct row_turn {
    int64_t send_at;
    int64_t send_until;
    int64_t open_at;
    int64_t open_until;
    int32_t date;         /* the sender's local date on which it counts */
    int32_t open_date;    /* the recipient's local date on which it is received */
    uint32_t day_cap;     /* the sender's quota of that day, as last known */
    struct row_task send; /* SEND (turn 0) or REPLY, at the sender's node */
    struct row_task find; /* at the recipient's node, as the next two */
    struct row_task unspam;
    struct row_task open;
    uint32_t placement;      /* enum flz_placement */
    uint32_t authentication; /* enum flz_auth_result bits */
    int64_t arrival_ms;      /* -1 or 0: unknown */
    bool sender_witness;     /* the sender's node itself said that it was, or may have been, sent */
    bool contradicted;       /* found, though the sender's node said it was never sent */
    uint32_t bounce;         /* enum row_bounce */
    bool complained;         /* its recipient called it spam */
    int64_t reopen_at;       /* the recipient's next hours, for what the first ones were too */
    int64_t reopen_until;    /* short for; 0: none, or in use (open_at, open_until) already */
};

/* ---- Rows ---- */

enum row_kind {
    ROW_NETWORK = 1, /* one */
    ROW_SETTING = 2, /* a key of the policy that an administrator set */
    ROW_NAME = 3,    /* a domain, owner or provider and its handle */
    ROW_INVITE = 4,
    ROW_NODE = 5,
    ROW_ACCOUNT = 6,
    ROW_PAUSE = 7,
    ROW_SUPPRESSION = 8,
    ROW_CONTACT = 9, /* the newest first message from one account to another */
    ROW_DAY = 10,
    ROW_EXCHANGE = 11, /* live ones */
    /* Archives: written once, never loaded into a core again. */
    ROW_DAY_OLD = 12,      /* struct row_day */
    ROW_EXCHANGE_OLD = 13, /* struct row_exchange */
    ROW_TALLY = 14,
    ROW_TALLY_OLD = 15, /* archive, as those two: struct row_tally of a week or a month */
    ROW_STANDING = 16,
    ROW_ALERT = 17,
};
#define ROW_KIND_MAX ROW_ALERT

struct row_network {
    struct flz_id id;
    int64_t now; /* of the newest event */
    uint64_t epoch;
    struct flz_id generation;
    uint64_t revocation_version;
    uint32_t exchanges;  /* handles given so far; the next one's */
    uint32_t plans;      /* sealed so far */
    uint32_t pauses;     /* handles given so far */
    uint32_t alerts;     /* likewise */
    int32_t newest_date; /* newest date planned */
    int64_t quiet_until; /* after a restored backup: no SEND or REPLY before it */
    /* Log generations given up when a backup was put back, oldest first; owned by the core. */
    const struct row_forgotten *forgotten;
    size_t forgotten_count;
};

/*
 * A log generation that was given up: it went on behind the backup, and this log does not know how.
 * Receipts tell (PROTOCOL.md, "A restored log").
 */
struct row_forgotten {
    struct flz_id generation;
    int64_t from;        /* of the newest event that this log has of it */
    int64_t restored_at; /* when its successor began */
    int64_t until;       /* receipts that come later are evidence only */
};

struct row_setting {
    char key[FLZ_NAME_MAX];
    int64_t value;
    int64_t at;
    char by[FLZ_NAME_MAX];
};

enum row_name_kind { NAME_DOMAIN = 1, NAME_OWNER = 2, NAME_PROVIDER = 3 };

struct row_name {
    uint32_t kind; /* enum row_name_kind; handles are dense within a kind */
    uint32_t handle;
    struct flz_digest digest;  /* domains and owners; providers: of the text */
    char text[FLZ_DOMAIN_MAX]; /* domains and providers; owners have none here */
};

enum row_invite_state { INVITE_OPEN = 1, INVITE_USED = 2 };

struct row_invite {
    uint32_t handle;
    uint32_t state;
    struct flz_id node;
    char name[FLZ_NAME_MAX];
    struct flz_digest token;
    int64_t not_after; /* real time */
    int64_t at;
};

enum row_node_state { NODE_JOINED = 1, NODE_REVOKED = 2 };

struct row_node {
    uint32_t handle;
    uint32_t state;
    struct flz_id id;
    char name[FLZ_NAME_MAX];
    struct flz_digest token;
    struct flz_digest certificate;
    struct flz_sign_public sign_key;
    struct flz_curve_public curve_key;
    int64_t joined_at;
    int64_t seen_at; /* newest HELLO or report; 0 = never */
    int64_t revoked_at;
    struct flz_id incarnation;
    uint64_t report_seq;            /* newest taken: what is acknowledged */
    uint32_t losses;                /* journals lost or rolled back */
    uint32_t equivocations;         /* second, different words on one task */
    const struct flz_digest *packs; /* as its newest HELLO said; owned by the core */
    size_t packs_count;
    uint64_t revocation_version; /* revoked: the network's with it; 0 = not revoked */
    struct flz_view revocation;  /* Signed(REVOCATION); owned by the core */
};

enum row_account_state {
    ACCOUNT_LIVE = 1,
    ACCOUNT_RELEASED = 2,
    ACCOUNT_REMOVED = 3,
    ACCOUNT_FORGOTTEN = 4, /* named by a recovered exchange; its node may still register it */
};

struct row_account {
    uint32_t handle;
    uint32_t state;
    struct flz_id id;
    struct flz_digest address;
    uint32_t node;
    uint32_t generation; /* of the binding: 1, 2, … */
    uint32_t domain;     /* handles of ROW_NAME, each within its kind */
    uint32_t owner;
    uint32_t provider;
    char zone[FLZ_ZONE_MAX];
    uint32_t start_minute;
    uint32_t end_minute;
    uint32_t days;
    uint32_t intensity;
    uint32_t target;
    uint32_t profile;
    char language[8];
    uint32_t volume;
    int64_t consent_given;
    int64_t consent_until;
    int64_t consent_ended; /* the owner said stop at; 0 = did not */
    uint32_t consent_actions;
    int64_t registered_at;
    int64_t bound_at;
    int64_t begins_at; /* after a new binding: nothing is issued before the old slots ended */
    /* Newest probe; probe_at 0 = none since it was bound. */
    int64_t probe_at;
    uint32_t probe_reason;
    uint32_t quota_permille;
    bool login_ok;
    bool mx_changed; /* other MX than the probe before saw */
    bool opt_out;
    bool denied;
    struct flz_digest mx;
    /* While the newest login failed: since when, in whose words, refused how often in a row, and
     * when the node tries again (0 = it asks a person). */
    int64_t trouble_at;
    char trouble[FLZ_REPLY_TEXT_MAX];
    uint32_t tries;
    int64_t next_try_at;
    /* A machine answered a message to it: nobody writes to it until then, for these words. */
    int64_t answers_until;
    char answers[FLZ_REPLY_TEXT_MAX];
    /* The ramp (coordinator/core/ramp.h). */
    uint32_t ramp_day;
    uint32_t ramp_reference;
    uint32_t ramp_last_quota;
    int32_t ramp_last_date;
    int32_t ramp_sent_date;
    int32_t planned_date; /* newest date planned for it as a sender; 0 = none */
    int32_t closed_date;  /* newest date closed */
    int64_t issued_at;    /* newest SEND or REPLY issued for it */
    struct flz_days_off days_off;
};

struct row_pause {
    uint32_t handle;
    struct flz_pause target;
    uint32_t subject; /* handle of the node, account, domain or provider */
    char reason[FLZ_REPLY_TEXT_MAX];
    int64_t at;
    int64_t until;
    char by[FLZ_NAME_MAX];
};

/* Who or what put an address on the suppression list. */
enum row_suppressed {
    SUPPRESSED_OPERATOR = 0, /* an administrator */
    SUPPRESSED_BOUNCE = 1,   /* a hard bounce: the mailbox is not there */
    SUPPRESSED_COMPLAINT = 2,
    SUPPRESSED_OWNER = 3, /* its owner wanted it */
};
#define SUPPRESSED_MAX SUPPRESSED_OWNER

struct row_suppression {
    struct flz_digest address;
    char reason[FLZ_REPLY_TEXT_MAX];
    int64_t at;
    char by[FLZ_NAME_MAX];
    uint32_t kind; /* enum row_suppressed */
};

enum row_alert_code {
    ALERT_NODE_LOST = 1,    /* a node is not heard */
    ALERT_LOGIN = 2,        /* an account's servers do not let it in, or do not answer */
    ALERT_MAILBOX_FULL = 3,
    ALERT_IDLE = 4,         /* an account sent nothing on a day that was planned for it */
    ALERT_DISK = 5,         /* the coordinator's disk is nearly full: nothing new is decided */
    ALERT_CLOCK = 6,        /* a step of the coordinator's clock waits for confirmation */
    ALERT_DNS = 7,          /* an account's MX changed, or its domain says no */
    ALERT_HEALTH = 8,       /* an account is quarantined or blocked, and that cuts it (health.h) */
};
#define ROW_ALERT_CODE_MAX ALERT_HEALTH

enum row_alert_severity { ALERT_WARNING = 1, ALERT_CRITICAL = 2 };

/* Something that a person should look at, from when it was noticed until it is over. Of whom or
 * what it speaks are handles, never words: those are made where it is shown. */
struct row_alert {
    uint32_t handle; /* its number, counted from 1 */
    uint32_t code;
    uint32_t severity;
    uint32_t scope;   /* enum flz_scope */
    uint32_t subject; /* handle of the node, account or provider; 0 for the network */
    uint32_t count;   /* accounts that it is about; 0: it is about none */
    uint32_t example; /* handle + 1 of one of them; 0: none */
    int64_t value;    /* what was measured: see alert.h */
    int64_t opened_at;
    int64_t updated_at;
    int64_t resolved_at; /* 0: it is open */
    int64_t acked_at;    /* 0: nobody said that he looks at it */
    int64_t silent_until; /* nobody is told of it until then */
    char acked_by[FLZ_NAME_MAX];
    char reason[FLZ_REPLY_TEXT_MAX]; /* of who acknowledged or silenced it */
};

struct row_contact {
    uint32_t from;
    uint32_t to;
    int32_t date;
};

/* Why an account got fewer messages than its quota left room for: enum plan_reason of plan.h. */

/*
 * The counters of one account on one of its local dates, or of the network on a date (account =
 * UINT32_MAX: each message once). They are always the sum over the turns that count on that date.
 */
struct row_day {
    uint32_t account;
    int32_t date;
    /* Set by the plan. */
    bool planned_day; /* a sending day of the account, planned */
    bool closed;      /* taken into the ramp */
    bool met;
    uint32_t quota;     /* messages it may send that day, replies included; 0 until planned */
    uint32_t possible;  /* of these, what partners, hours and content allowed */
    uint32_t shortfall; /* messages wanted and not planned */
    uint32_t shortfall_reason;
    int32_t waits_until;  /* what is short waits for this date at the earliest; 0 = no such wait */
    int64_t window_start; /* its hours that day */
    int64_t window_end;
    /* As the sender. */
    uint32_t planned;   /* turns planned */
    uint32_t reserved;  /* of the quota: planned or under way */
    uint32_t committed; /* of the quota: sent, or not known not to be */
    uint32_t dropped;   /* planned turns that became void */
    uint32_t issued;
    uint32_t sent; /* 250, or found */
    uint32_t rejected;
    uint32_t withdrawn;
    uint32_t expired;
    uint32_t declined;
    uint32_t ambiguous;
    uint32_t indeterminate;
    uint32_t inbox; /* where its messages were found */
    uint32_t junk;
    uint32_t other;
    uint32_t missing;
    uint32_t unobserved;
    uint32_t rescued; /* its messages taken out of Junk by the recipient */
    uint32_t opened;  /* its messages opened by the recipient */
    uint32_t replied; /* sent messages of it that were replies */
    uint32_t credited;
    /* As the recipient. */
    uint32_t inbound;  /* messages planned for it and not void */
    uint32_t received; /* found in its mailbox */
    uint32_t opens;    /* messages it opened */
    uint32_t rescues;  /* messages it took out of Junk */
    /* As the sender, of what was sent: neither is held against it by being counted. */
    uint32_t bounced_hard; /* came back: the recipient's address is no good, or refuses for good */
    uint32_t bounced_soft; /* came back, for what may pass */
    uint32_t complaints;   /* called spam by their recipients */
};

enum row_exchange_state {
    EXCHANGE_LIVE = 1,
    EXCHANGE_SETTLED = 2, /* all turns are over; the mailboxes wait to be tidied */
    EXCHANGE_ENDED = 3,
};

struct row_exchange {
    uint32_t handle;
    uint32_t state;
    struct flz_id id;
    uint32_t from;
    uint32_t to;
    bool one_node;   /* both accounts at one node when planned: earns no credit */
    bool same_owner; /* allowed by policy, and flagged */
    struct flz_digest pack;
    uint32_t scenario;
    uint64_t seed;
    int64_t expires; /* the e= of its messages' headers */
    int64_t planned_at;
    int64_t tidy_at; /* SETTLED */
    int64_t ended_at;
    struct row_task tidy_from;
    struct row_task tidy_to;
    const struct row_turn *turns; /* owned by the core */
    size_t turns_count;           /* planned: 1 … FLZ_TURNS_MAX */
    bool recovered; /* some of it is known from receipts of a forgotten generation alone */
    /* The accounts' providers when it was planned, each + 1; 0 = not known: no tally counts it. */
    uint32_t from_provider;
    uint32_t to_provider;
};

/* Whose messages a tally counts, by where they went. */
enum row_tally_scope {
    TALLY_ACCOUNT = 1,  /* subject: the sending account; object: the recipients' provider */
    TALLY_DOMAIN = 2,   /* the sender's domain; the recipients' provider */
    TALLY_PAIR = 3,     /* the sender's provider; the recipients' provider */
    TALLY_SCENARIO = 4, /* the first four bytes of the content pack's digest; the scenario */
    TALLY_NODE = 5,     /* the node that sent (once ordered); the recipients' provider */
};
#define TALLY_SCOPE_MAX TALLY_NODE

enum row_tally_span { TALLY_DAY = 1, TALLY_WEEK = 2, TALLY_MONTH = 3 };

/*
 * Counters of messages, on the sender's local date of their slots. Like a day's they are the sum
 * over the turns; days that close for good are added up in their week (from Monday) and their month
 * and leave (coordinator/core/tally.c).
 */
struct row_tally {
    uint32_t scope; /* enum row_tally_scope; subject and object are handles where not said above */
    uint32_t subject;
    uint32_t object;
    uint32_t span; /* enum row_tally_span */
    int32_t date;  /* its first */
    uint32_t planned;
    uint32_t issued; /* ordered, and not known not to be sent */
    uint32_t sent;
    uint32_t refused_hard; /* 5xx, for the message or its recipient */
    uint32_t refused_soft; /* any other refusal of the server */
    uint32_t indeterminate;
    uint32_t bounced;    /* sent, and come back for good; not for the recipient's address */
    uint32_t complaints; /* sent, and complained about */
    uint32_t inbox;
    uint32_t junk;
    uint32_t other;
    uint32_t missing;
    uint32_t unobserved;
    uint32_t rescued;
    uint32_t opened;
    uint32_t replied;  /* of the sent, those that were replies themselves */
    uint32_t due;      /* rescues and openings of found messages that are over … */
    uint32_t done;     /* … and of these, carried out */
    uint32_t verdicts; /* found messages whose provider said how they authenticate … */
    uint32_t spf;      /* … and of these, passed */
    uint32_t dkim;
    uint32_t dmarc;
};

enum row_health_state {
    HEALTH_HEALTHY = 0,
    HEALTH_WATCH = 1,
    HEALTH_THROTTLED = 2,
    HEALTH_QUARANTINED = 3,
    HEALTH_BLOCKED = 4,
};
#define HEALTH_STATE_MAX HEALTH_BLOCKED

/* Why a sender is in its state of health (coordinator/core/health.h has the table). */
enum row_health_rule {
    RULE_NONE = 0,
    RULE_FEW_IN_JUNK = 1,
    RULE_COMPLAINT = 2,
    RULE_SPAM_WATCH = 3,
    RULE_SPAM_THROTTLE = 4,
    RULE_SPAM_QUARANTINE = 5,
    RULE_SPAM_BLOCK = 6,
    RULE_SPAM_CATASTROPHE = 7,
    RULE_COMPLAINTS = 8,
    RULE_PROVIDER_CODE = 9,
    RULE_FRESH = 10,   /* a step back: newer observations are good */
    RULE_EXPIRED = 11, /* a step back: its time is over */
    RULE_CLEARED = 12, /* a person's word */
};
#define HEALTH_RULE_MAX RULE_CLEARED

/* A sender's health towards the recipients of a provider, or (UINT32_MAX) towards all. None: it has
 * always been healthy. */
struct row_standing {
    uint32_t account;
    uint32_t provider;
    uint32_t state;      /* enum row_health_state */
    uint32_t rule;       /* enum row_health_rule: the newest decision's */
    int64_t since;
    int64_t until;       /* FLZ_NEVER: until a person clears it */
    int32_t window_date; /* observations of messages before it are judged */
    int32_t fresh_date;  /* those since then may lead back */
    uint32_t level;      /* messages a day when it was healthy last */
    /* What the newest decision saw. */
    uint32_t seen;
    uint32_t junk;
    uint32_t low; /* bound of the share in Junk, in millionths */
    uint32_t complaints;
    struct flz_id evidence; /* the exchange of the message that was seen last; none: time passed */
};

/* ---- Events ---- */

enum event_type {
    EVENT_LEAD = 1,
    EVENT_INVITED = 2,
    EVENT_JOINED = 3,
    EVENT_HELLO = 4,
    EVENT_ACCOUNT = 5,
    EVENT_PROBE = 6,
    EVENT_RELEASED = 7,
    EVENT_REPORT_REFUSED = 8, /* taken and acknowledged, without effect */
    EVENT_RECEIPT = 9,
    EVENT_PLAN_PART = 10,
    EVENT_PLAN_SEAL = 11,
    EVENT_ISSUED = 12,
    EVENT_PRESUMED = 13, /* the coordinator ends a task whose node does not speak */
    EVENT_VOID = 14,
    EVENT_SETTLED = 15,
    EVENT_ENDED = 16,
    EVENT_DAY_CLOSED = 17,
    EVENT_PAUSED = 18,
    EVENT_RESUMED = 19,
    EVENT_REVOKED = 20,
    EVENT_CONSENT_ENDED = 21,
    EVENT_REMOVED = 22,
    EVENT_SUPPRESSED = 23,
    EVENT_UNSUPPRESSED = 24,
    EVENT_SETTING = 25,
    EVENT_RESLOTTED = 26, /* a turn's opening moves to its second hours */
    EVENT_RECOVERED = 27, /* a receipt of a task ordered in a forgotten generation */
    EVENT_HEALTH = 28,    /* a sender's health changed, or its time was prolonged */
    EVENT_BOUNCED = 32,   /* reports of notices: what became of each */
    EVENT_COMPLAINED = 33,
    EVENT_ANSWERED = 34, /* by a machine: its account is not written to for a while */
    EVENT_OPENED = 35,   /* it is written to again: an administrator's word */
    EVENT_ALERT_OPENED = 36,
    EVENT_ALERT_UPDATED = 37,
    EVENT_ALERT_RESOLVED = 38,
    EVENT_ALERT_ACKED = 39, /* somebody looks at it, or wants to hear of it no more for a while */
};
#define EVENT_TYPE_MAX EVENT_ALERT_ACKED

struct event_lead {
    uint64_t epoch;
    struct flz_id generation;
    int64_t quiet_until;
};

struct event_invited {
    uint32_t invite;
    struct flz_id node;
    char name[FLZ_NAME_MAX];
    struct flz_digest token;
    int64_t not_after;
};

struct event_joined {
    uint32_t node;
    uint32_t invite;
    struct flz_digest certificate;
    struct flz_sign_public sign_key;
    struct flz_curve_public curve_key;
};

struct event_hello {
    uint32_t node;
    struct flz_id incarnation;
    uint64_t report_seq; /* reports go on behind this one */
    bool lost;           /* another incarnation, or a sequence below the acknowledged one */
    const struct flz_digest *packs;
    size_t packs_count;
};

/* An account's registration, change or new binding: the whole of it. */
struct event_account {
    uint32_t account;
    uint32_t node;
    struct flz_id id;
    struct flz_digest address;
    uint32_t generation;
    uint32_t domain;
    uint32_t owner;
    uint32_t provider;
    struct flz_digest domain_digest;
    struct flz_digest owner_digest;
    char domain_name[FLZ_DOMAIN_MAX];
    char provider_name[FLZ_NAME_MAX];
    char zone[FLZ_ZONE_MAX];
    uint32_t start_minute;
    uint32_t end_minute;
    uint32_t days;
    uint32_t intensity;
    uint32_t target;
    uint32_t profile;
    char language[8];
    uint32_t volume;
    int64_t consent_given;
    int64_t consent_until;
    uint32_t consent_actions;
    int64_t begins_at;
    struct flz_days_off days_off;
};

struct event_probe {
    uint32_t account;
    int64_t at;
    bool login_ok;
    uint32_t reason;
    char text[FLZ_REPLY_TEXT_MAX];
    uint32_t quota_permille;
    struct flz_digest mx;
    bool mx_changed;
    bool opt_out;
    bool denied;
    uint32_t tries;
    int64_t next_at;
};

struct event_released {
    uint32_t account;
};

struct event_report_refused {
    uint32_t kind; /* enum flz_report_kind */
    struct flz_id account;
    char text[FLZ_REPLY_TEXT_MAX];
};

/* What a receipt did. */
enum event_effect {
    EFFECT_TAKEN = 1,        /* the node's first word on the task */
    EFFECT_REPEATED = 2,     /* the same word again */
    EFFECT_FOLLOWED = 3,     /* after AMBIGUOUS: SENT or INDETERMINATE */
    EFFECT_CORRECTED = 4,    /* against what was presumed, or a late arrival after MISSING */
    EFFECT_EQUIVOCATION = 5, /* a second, different word: evidence only */
    EFFECT_UNKNOWN = 6,      /* no such task here: evidence only */
    EFFECT_MOOT = 7,         /* of a task that was given up: evidence only */
};

struct event_receipt {
    uint32_t exchange; /* handle, UINT32_MAX when unknown */
    uint32_t effect;
    uint32_t fault;
    struct flz_receipt receipt;
};

struct event_plan_turn {
    int64_t send_at;
    int64_t send_until;
    int64_t open_at;
    int64_t open_until;
    int32_t date;
    int32_t open_date;
    uint32_t day_cap;
    int64_t reopen_at; /* 0: none */
    int64_t reopen_until;
};

struct event_plan_exchange {
    struct flz_id id;
    uint32_t from;
    uint32_t to;
    bool one_node;
    bool same_owner;
    struct flz_digest pack;
    uint32_t scenario;
    uint64_t seed;
    int64_t expires;
    const struct event_plan_turn *turns;
    size_t turns_count;
};

/*
 * What a coordinator needs to remember a task by, should its log be restored from a backup that is
 * older than the task. It travels with the task as bytes, and back with the receipt; the seal is
 * keyed, so that nobody else makes one. OPEN, UNSPAM and TIDY carry no plan: their message's FIND,
 * SEND or REPLY did.
 */
struct flz_voucher {
    struct flz_id generation; /* of the log that ordered the task */
    int64_t issued_at;
    struct flz_id seal; /* over the task, its account, and all of this */
    struct flz_id from; /* accounts: handles are another log's */
    struct flz_id to;
    int64_t planned_at;
    struct event_plan_exchange plan; /* id, from and to stay empty; no turns: not carried */
};

/* One sender's day. */
struct event_plan_account {
    uint32_t account;
    uint32_t quota;
    uint32_t possible;
    uint32_t shortfall;
    uint32_t shortfall_reason;
    int32_t waits_until; /* 0: nothing of it waits for a date that is known */
    int64_t window_start;
    int64_t window_end;
};

/* Takes effect with the seal only; part 0 drops parts left without one. */
struct event_plan_part {
    uint32_t plan; /* number */
    uint32_t part;
    int32_t date;
    const struct event_plan_account *accounts;
    size_t accounts_count;
    const struct event_plan_exchange *exchanges; /* handles follow in this order */
    size_t exchanges_count;
};

struct event_plan_seal {
    uint32_t plan;
    uint32_t parts;
    int32_t date;
    struct flz_digest hash; /* over what was planned */
    uint32_t accounts;
    uint32_t exchanges;
    uint32_t messages;
    bool more; /* other seals of the same unit follow: old days are archived with the last */
};

struct event_issued {
    uint32_t exchange;
    uint32_t turn; /* TIDY: the side */
    uint32_t kind; /* enum flz_task_kind */
    uint32_t node;
    uint32_t attempt;
    uint32_t day_cap; /* SEND, REPLY */
};

struct event_presumed {
    uint32_t exchange;
    uint32_t turn;
    uint32_t kind;
    uint32_t outcome; /* enum flz_outcome */
    uint32_t reason;  /* enum flz_reason */
    uint32_t fault;
};

/* Of SEND or REPLY: this turn and all later ones. */
struct event_void {
    uint32_t exchange;
    uint32_t turn;
    uint32_t kind;
    uint32_t reason; /* enum row_void */
    uint32_t fault;
};

struct event_settled {
    uint32_t exchange;
    int64_t tidy_at;
};

/* The turn's UNSPAM and OPEN, where they wait or expired, are to be done in these hours. */
struct event_reslotted {
    uint32_t exchange;
    uint32_t turn;
    int64_t open_at;
    int64_t open_until;
};

/*
 * A receipt of a task that this log never ordered, but a forgotten generation did. With a plan, the
 * exchange was unknown too, and begins here: `from` and `to` are the ids of its accounts, whose
 * handles stand in the plan; the next free handles are given to accounts that are not known yet.
 */
struct event_recovered {
    uint32_t exchange;
    uint32_t node; /* that did the task */
    uint32_t fault;
    int64_t issued_at;
    struct flz_receipt receipt;
    struct flz_id from;
    struct flz_id to;
    int64_t planned_at;
    struct event_plan_exchange plan;
};

struct event_ended {
    uint32_t exchange;
};

struct event_day_closed {
    uint32_t account;
    int32_t date;
    uint32_t quota;
    uint32_t committed;
    uint32_t possible;
    bool met;
    uint32_t ramp_day;
    uint32_t ramp_reference;
    uint32_t ramp_last_quota;
    int32_t ramp_last_date;
    int32_t ramp_sent_date;
};

struct event_paused {
    uint32_t pause;
    struct flz_pause target;
    uint32_t subject;
    char reason[FLZ_REPLY_TEXT_MAX];
    int64_t until;
    char by[FLZ_NAME_MAX];
};

struct event_resumed {
    uint32_t pause;
    char by[FLZ_NAME_MAX]; /* "" when its time was over */
};

struct event_revoked {
    uint32_t node;
    struct flz_view revocation; /* Signed(REVOCATION): what other nodes believe */
};

struct event_consent_ended {
    uint32_t account;
};

struct event_removed {
    uint32_t account;
};

/* What a notice did. */
enum event_notice {
    NOTICE_TAKEN = 1,
    NOTICE_REPEATED = 2,     /* this was known of the message */
    NOTICE_LATE = 3,         /* its exchange has ended: it is counted nowhere, its address heeded */
    NOTICE_CONTRADICTED = 4, /* a bounce of a message that its recipient's node found: evidence */
    NOTICE_UNKNOWN = 5,      /* of no message that this node was asked to send: evidence */
};

struct event_noticed {
    uint32_t exchange;  /* handle, UINT32_MAX when it is not live */
    uint32_t recipient; /* account; UINT32_MAX with UNKNOWN */
    uint32_t effect;    /* enum event_notice */
    int64_t until;      /* ANSWERED: nobody writes to the recipient before it */
    struct flz_notice notice;
};

struct event_opened {
    uint32_t account;
    char by[FLZ_NAME_MAX];
};

struct event_suppressed {
    struct flz_digest address;
    char reason[FLZ_REPLY_TEXT_MAX];
    char by[FLZ_NAME_MAX];
    uint32_t kind; /* enum row_suppressed */
};

struct event_unsuppressed {
    struct flz_digest address;
    char by[FLZ_NAME_MAX];
};

struct event_setting {
    char key[FLZ_NAME_MAX];
    int64_t value;
    char by[FLZ_NAME_MAX];
};

/* The state after, and all that it was decided by; row_standing says what the fields mean. */
struct event_health {
    uint32_t account;
    uint32_t provider;
    uint32_t before; /* enum row_health_state */
    uint32_t state;
    uint32_t rule;
    int64_t until;
    int32_t window_date;
    int32_t fresh_date;
    uint32_t level;
    uint32_t seen;
    uint32_t junk;
    uint32_t low;
    uint32_t fresh_seen;
    uint32_t fresh_junk;
    uint32_t complaints;
    struct flz_id evidence;
    char by[FLZ_NAME_MAX]; /* RULE_CLEARED: who */
};

/* OPENED and UPDATED: as in row_alert. RESOLVED: its number alone. */
struct event_alert {
    uint32_t alert;
    uint32_t code;
    uint32_t severity;
    uint32_t scope;
    uint32_t subject;
    uint32_t count;
    uint32_t example;
    int64_t value;
};

struct event_alert_acked {
    uint32_t alert;
    int64_t silent_until; /* 0: only acknowledged */
    char by[FLZ_NAME_MAX];
    char reason[FLZ_REPLY_TEXT_MAX];
};

struct event {
    uint32_t type; /* enum event_type */
    int64_t at;
    /* Born from a report: its node takes `report_seq` as acknowledged with this event. 0 = not. */
    uint32_t report_node;
    uint64_t report_seq;
    union {
        struct event_lead lead;
        struct event_invited invited;
        struct event_joined joined;
        struct event_hello hello;
        struct event_account account;
        struct event_probe probe;
        struct event_released released;
        struct event_report_refused report_refused;
        struct event_receipt receipt;
        struct event_plan_part plan_part;
        struct event_plan_seal plan_seal;
        struct event_issued issued;
        struct event_presumed presumed;
        struct event_void voided;
        struct event_settled settled;
        struct event_ended ended;
        struct event_day_closed day_closed;
        struct event_paused paused;
        struct event_resumed resumed;
        struct event_revoked revoked;
        struct event_consent_ended consent_ended;
        struct event_removed removed;
        struct event_suppressed suppressed;
        struct event_unsuppressed unsuppressed;
        struct event_setting setting;
        struct event_reslotted reslotted;
        struct event_recovered recovered;
        struct event_health health;
        struct event_alert alert;
        struct event_alert_acked alert_acked;
        struct event_noticed noticed; /* BOUNCED, COMPLAINED, ANSWERED */
        struct event_opened opened;
    };
};

/* Any row, for those who decode one. */
union row {
    struct row_network network;
    struct row_setting setting;
    struct row_name name;
    struct row_invite invite;
    struct row_node node;
    struct row_account account;
    struct row_pause pause;
    struct row_suppression suppression;
    struct row_alert alert;
    struct row_contact contact;
    struct row_day day;
    struct row_exchange exchange;
    struct row_tally tally;
    struct row_standing standing;
};

/* ---- Bytes ---- */

/* Appends the encoding. 0, -ENOMEM, or -EINVAL (unknown type, a field beyond its bound). */
int flz_encode_event(const struct event *event, struct flz_buf *buf);

/* Arrays live in `arena`. 0, -EBADMSG, -ENOMEM, or -EPROTO for a type or version that this program
 * does not know: such a log must not be read past. *ret_event is unchanged on failure. */
int flz_decode_event(struct flz_view bytes, struct flz_arena *arena, struct event *ret_event);

/* The same for vouchers; -EMSGSIZE: it would be beyond FLZ_VOUCHER_MAX. */
int flz_encode_voucher(const struct flz_voucher *voucher, struct flz_buf *buf);
int flz_decode_voucher(struct flz_view bytes, struct flz_arena *arena,
                       struct flz_voucher *ret_voucher);

/* The same for rows; `row` is the kind's struct. */
int flz_encode_row(enum row_kind kind, const void *row, struct flz_buf *buf);
int flz_decode_row(enum row_kind kind, struct flz_view bytes, struct flz_arena *arena,
                   union row *ret_row);

/* Appends the row's key within its kind: big-endian, so that the order of bytes is the order of
 * handles and dates. */
void flz_row_key(enum row_kind kind, const void *row, struct flz_buf *buf);

/* "planned", "receipt" …: the words of `events`; "?" for none. */
const char *flz_event_name(uint32_t type);
const char *flz_void_name(uint32_t reason);
const char *flz_fault_name(uint32_t fault);
/* "quarantined"; "spam-quarantine". */
const char *flz_health_name(uint32_t state);
const char *flz_rule_name(uint32_t rule);
