/*
 * The vocabulary: plain structs of everything that coordinator and node say to each other
 * (PROTOCOL.md says who says what when). All fields are bounded; nothing here opens a socket, and
 * no generated code is seen. proto/codec.h turns them into bytes and back.
 *
 * Times are network time, int64 milliseconds UTC, unless the name says `boot`. Views are borrowed:
 * when encoding, from the caller; after decoding, from the arena given to the decoder.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/buf.h"
#include "common/base/dayoff.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLZ_NAME_MAX 64         /* node, provider, pack, owner labels; bytes with the NUL */
#define FLZ_OWNER_MAX 128       /* owner as the operator wrote it */
#define FLZ_ZONE_MAX 64         /* IANA time zone */
#define FLZ_MESSAGE_ID_MAX 320  /* a Message-ID without its angle brackets */
#define FLZ_REPLY_TEXT_MAX 256  /* a server's words, addresses blanked */
#define FLZ_LOGIN_TRIES_MAX 3   /* refused logins in a row; a fourth might lock the account */
#define FLZ_ENHANCED_MAX 12     /* "5.7.515" */
#define FLZ_RULE_MAX 32         /* id of the rule that classed a server's words */
#define FLZ_TURNS_MAX 5         /* a first message and up to 4 replies */
#define FLZ_FRAME_TASKS_MAX 200 /* tasks in one frame */
#define FLZ_FRAME_REPORTS_MAX 200
#define FLZ_FRAME_SIZE_MAX (256 * 1024)
#define FLZ_OPEN_TASKS_MAX 20000 /* tasks a node may hold open, all accounts together */
#define FLZ_PACKS_MAX 16
#define FLZ_SUPPRESSED_MAX 2048 /* accounts in one pulse */
#define FLZ_VOUCHER_MAX 1024 /* an encoded voucher */
#define FLZ_MSG_BYTES_MAX 512
#define FLZ_REVOCATION_BYTES_MAX 1024 /* one Signed(REVOCATION) */
#define FLZ_LOG_HEAD_BYTES_MAX 1024   /* one Signed(LOG_HEAD) */
#define FLZ_REVOCATIONS_MAX 65536     /* of one network, ever */
#define FLZ_FRAME_REVOCATIONS_MAX 200

/* ---- Tasks ---- */

struct flz_text {
    char text[FLZ_MESSAGE_ID_MAX];
};

enum flz_task_kind {
    FLZ_TASK_SEND = 1,   /* the first message of an exchange */
    FLZ_TASK_REPLY = 2,  /* a later message, by the one who opened the last */
    FLZ_TASK_FIND = 3,   /* look for a message and say where it lies; changes nothing */
    FLZ_TASK_UNSPAM = 4, /* take a found message out of Junk */
    FLZ_TASK_OPEN = 5,   /* mark it \Seen */
    FLZ_TASK_TIDY = 6,   /* file both mailboxes' copies */
};
#define FLZ_TASK_KIND_MAX FLZ_TASK_TIDY

/* Does a task of this kind send a message? */
static inline bool flz_task_kind_sends(uint32_t kind)
{
    return kind == FLZ_TASK_SEND || kind == FLZ_TASK_REPLY;
}

/* What a task did. The node's last word on it, except AMBIGUOUS, which is followed by another. */
enum flz_outcome {
    FLZ_OUTCOME_SENT = 1,       /* SEND, REPLY: 250 after the dot */
    FLZ_OUTCOME_REJECTED = 2,   /* the server refused; nothing was delivered */
    FLZ_OUTCOME_EXPIRED = 3,    /* the slot ended before it could be done; nothing happened */
    FLZ_OUTCOME_WITHDRAWN = 4,  /* stopped at the last gate (pause, lease, cap, revocation) */
    FLZ_OUTCOME_AMBIGUOUS = 5,  /* the dot may have left and no answer came */
    FLZ_OUTCOME_INDETERMINATE = 6, /* looked for and never found; counted as sent, never credited */
    FLZ_OUTCOME_DECLINED = 7,   /* the node refuses the task: see reason */
    FLZ_OUTCOME_FOUND = 8,      /* FIND: see placement */
    FLZ_OUTCOME_MISSING = 9,    /* FIND: a full search past the deadline saw nothing */
    FLZ_OUTCOME_UNOBSERVED = 10, /* FIND: nobody could look */
    FLZ_OUTCOME_DONE = 11,      /* UNSPAM, OPEN, TIDY: done and re-read */
    FLZ_OUTCOME_NOOP = 12,      /* was already so */
    FLZ_OUTCOME_FAILED = 13,    /* tried and not so afterwards */
};

enum flz_placement {
    FLZ_PLACEMENT_NONE = 0,
    FLZ_PLACEMENT_INBOX = 1,
    FLZ_PLACEMENT_JUNK = 2,
    FLZ_PLACEMENT_OTHER = 3,
};

/* Why a task was declined, withdrawn, rejected or failed; whose trouble it is. */
enum flz_reason {
    FLZ_REASON_NONE = 0,
    FLZ_REASON_UNKNOWN_ACCOUNT = 1, /* this node does not hold the account */
    FLZ_REASON_NO_CONSENT = 2,      /* the account's consent does not cover it */
    FLZ_REASON_NO_ATTESTATION = 3,  /* the recipient's membership is not proven */
    FLZ_REASON_CAP = 4,             /* the node's own cap */
    FLZ_REASON_SLOT = 5,            /* outside the slot */
    FLZ_REASON_LEASE = 6,           /* the node's lease ended */
    FLZ_REASON_PAUSED = 7,
    FLZ_REASON_REVOKED = 8,
    FLZ_REASON_CONTENT = 9,         /* the content pack is not here */
    FLZ_REASON_POLICY = 10,         /* provider policy: Gmail, opt-out, role address */
    FLZ_REASON_LOGIN = 11,          /* credentials refused */
    FLZ_REASON_MAILBOX_FULL = 12,
    FLZ_REASON_RECIPIENT = 13,      /* the recipient does not exist or refuses */
    FLZ_REASON_SPAM_BLOCK = 14,     /* refused for what it is or who sent it */
    FLZ_REASON_RATE = 15,           /* too much, too fast */
    FLZ_REASON_NETWORK = 16,        /* no connection, TLS, time-out */
    FLZ_REASON_PROTOCOL = 17,       /* the server does not follow its protocol */
    FLZ_REASON_JOURNAL = 18,        /* the node's journal was lost or rolled back */
    FLZ_REASON_GONE = 19,           /* the message is no longer there */
    FLZ_REASON_SUPPRESSED = 20,     /* address on the suppression list */
    FLZ_REASON_REPEATED = 21,       /* this message was acted on before */
    FLZ_REASON_RESTORED = 22,       /* ordered by a log that was given up since */
};

/* How final a server's refusal is, and what follows from it at once (node/core/classify.h). */
enum flz_refusal {
    FLZ_REFUSAL_NONE = 0,
    FLZ_REFUSAL_SOFT = 1,    /* it may pass by itself */
    FLZ_REFUSAL_HARD = 2,    /* waiting alone will not help */
    FLZ_REFUSAL_SUSPEND = 3, /* hard: the recipient's address is gone; nobody writes to it */
    FLZ_REFUSAL_STOP = 4,    /* hard: the sending account stops until a person has looked */
};
#define FLZ_REFUSAL_MAX FLZ_REFUSAL_STOP

/*
 * A signed order to one node for one account. Which fields are set depends on the kind; the table
 * stands in PROTOCOL.md. id = BLAKE2b-128(exchange ‖ turn ‖ kind ‖ attempt).
 */
struct flz_task {
    struct flz_id id;
    struct flz_id exchange;
    struct flz_id account;      /* acts; must be one of this node's */
    struct flz_id peer_account; /* the other side */
    uint32_t kind;              /* enum flz_task_kind */
    uint32_t turn;              /* 0 … FLZ_TURNS_MAX-1: which message of the exchange it is about */
    uint32_t attempt;
    uint32_t turns; /* planned messages of the exchange */
    int64_t not_before;
    int64_t not_after;
    int64_t deadline; /* FIND: the arrival deadline, after which absence is `missing` */
    int64_t expires;  /* the e= of the message's header: acting on it ends here */
    char from[FLZ_ADDRESS_MAX]; /* sender and recipient of the message of this turn */
    char to[FLZ_ADDRESS_MAX];
    struct flz_digest pack;
    uint32_t scenario;
    uint64_t seed;
    char message_id[FLZ_MESSAGE_ID_MAX];  /* of this turn's message */
    char in_reply_to[FLZ_MESSAGE_ID_MAX]; /* of the turn before; "" in turn 0 */
    const struct flz_text *references;    /* Message-IDs of all earlier turns, oldest first */
    size_t references_count;
    int32_t local_date;  /* SEND, REPLY: the sender's local day the message counts in */
    uint32_t day_cap; /* SEND, REPLY: messages this account may send on that day, this included */
    struct flz_view attestation; /* SEND, REPLY: Signed(ATTESTATION) of the recipient */
    struct flz_digest attestation_signer; /* digest of the signed node certificate in the frame */
    bool search_all; /* FIND: look in all folders */
    /* SEND, REPLY: the message's own header, signed by the coordinator that planned it (DESIGN 7):
     * t=, k= and s= of X-FluenzR; net=, x=, n=, e= and m= are the fields above. */
    int64_t mail_time;
    struct flz_key_id mail_key;
    struct flz_signature mail_signature;
    /* Sealed by the coordinator, for itself (record.h): the receipt hands it back as it is. */
    struct flz_view voucher;
};

/* A node's signed outcome of one task. */
struct flz_receipt {
    struct flz_id task;
    struct flz_id exchange;
    struct flz_id account;
    uint32_t kind;
    uint32_t turn;
    uint32_t attempt;
    uint32_t outcome;   /* enum flz_outcome */
    uint32_t reason;    /* enum flz_reason */
    uint32_t placement; /* enum flz_placement, with FOUND */
    int64_t at;         /* when it happened */
    int64_t dot_at;     /* SEND, REPLY: when the DOT record became durable; 0 = never */
    int32_t local_date; /* SEND, REPLY: the local day it counted in at the node */
    uint32_t reply_code;
    char enhanced[FLZ_ENHANCED_MAX];
    char text[FLZ_REPLY_TEXT_MAX]; /* stage and the server's words, addresses blanked */
    char message_id_seen[FLZ_MESSAGE_ID_MAX]; /* FIND: when the provider rewrote it */
    struct flz_digest evidence; /* FIND: over Received and Authentication-Results; else zero */
    uint32_t authentication; /* FIND: enum flz_auth_result bits seen by the recipient's provider */
    int64_t arrival_ms;      /* FIND: delay between dot and arrival when known, else -1 */
    struct flz_view voucher; /* the task's; empty: it had none */
    uint32_t refusal;        /* REJECTED: enum flz_refusal, */
    char rule[FLZ_RULE_MAX]; /* and the rule of the node's table that says so */
};

/* Bits of flz_receipt.authentication. */
enum flz_auth_result {
    FLZ_AUTH_SPF_PASS = 1,
    FLZ_AUTH_SPF_FAIL = 2,
    FLZ_AUTH_DKIM_PASS = 4,
    FLZ_AUTH_DKIM_FAIL = 8,
    FLZ_AUTH_DMARC_PASS = 16,
    FLZ_AUTH_DMARC_FAIL = 32,
};

/* ---- Accounts ---- */

enum flz_action { /* what an owner consents to; bits */
    FLZ_ACTION_SEND = 1,
    FLZ_ACTION_OPEN = 2,
    FLZ_ACTION_REPLY = 4,
    FLZ_ACTION_MOVE = 8, /* out of Junk, into our folder */
    FLZ_ACTION_DELETE = 16, /* from our folder, after 14 days */
};

enum flz_intensity { FLZ_INTENSITY_LOW = 1, FLZ_INTENSITY_MEDIUM = 2, FLZ_INTENSITY_HIGH = 3 };

enum flz_profile {
    FLZ_PROFILE_NEW = 1,
    FLZ_PROFILE_EXISTING = 2,
    FLZ_PROFILE_LOW_USE = 3,
    FLZ_PROFILE_RECOVERY = 4,
};

/* Who agreed to what, until when. No action outside a live consent. */
struct flz_consent {
    int64_t given;
    int64_t until;
    uint32_t actions;      /* enum flz_action bits */
    char by[FLZ_OWNER_MAX]; /* who gave it, as recorded by the operator */
};

/* What a node registers of an account: everything but its credentials. */
struct flz_account {
    struct flz_id id;
    char address[FLZ_ADDRESS_MAX];
    char owner[FLZ_OWNER_MAX]; /* empty in the CSV means the domain: filled in by the node */
    char provider[FLZ_NAME_MAX];
    char zone[FLZ_ZONE_MAX];
    uint32_t start_minute; /* of the local day */
    uint32_t end_minute;   /* exclusive; below start_minute: across midnight */
    uint32_t days;         /* bit 0 = Monday … bit 6 = Sunday */
    uint32_t intensity;    /* enum flz_intensity, or 0 with target set */
    uint32_t target;       /* messages a day, 1–40; 0 = by intensity */
    uint32_t profile;      /* enum flz_profile */
    char language[8];      /* "fr", "en" */
    uint32_t volume;       /* the owner's declared own messages a day */
    struct flz_consent consent;
    struct flz_view attestation;  /* Signed(ATTESTATION) by this node */
    struct flz_days_off days_off; /* of its own: it neither sends nor opens on them */
};

/* What a node last saw of an account's servers and DNS. */
struct flz_probe {
    struct flz_id account;
    int64_t at;
    bool login_ok;       /* SMTP and IMAP both */
    uint32_t reason;     /* enum flz_reason when not */
    char text[FLZ_REPLY_TEXT_MAX];
    uint32_t quota_permille; /* of the mailbox, 1001 = the server tells none */
    struct flz_digest mx;    /* digest of the sorted MX hosts */
    bool opt_out;        /* `_fluenzr` TXT says deny */
    bool denied;         /* provider policy says deny (Gmail …) */
    uint32_t tries;      /* refused logins in a row; at FLZ_LOGIN_TRIES_MAX a person is asked */
    int64_t next_at;     /* not login_ok: network time of the next try; 0 = none by itself */
};

/* ---- What nodes report: a dense, acknowledged sequence ---- */

enum flz_report_kind {
    FLZ_REPORT_RECEIPT = 1,
    FLZ_REPORT_ACCOUNT = 2, /* registers or changes one */
    FLZ_REPORT_PROBE = 3,
    FLZ_REPORT_RELEASE = 4,   /* the node gives an account up; `account` holds the id */
    FLZ_REPORT_BOUNCE = 5,    /* a message that had been taken came back: `notice`, as with */
    FLZ_REPORT_COMPLAINT = 6, /* its recipient called it spam */
    FLZ_REPORT_AUTOREPLY = 7, /* it was answered by a machine */
};

/*
 * What was said of one of our messages after a server had taken it: by a delivery report, a
 * provider's feedback loop, or a machine that answers. The node has found the message by ids that
 * the network issued; what is said of it is the other server's claim.
 */
struct flz_notice {
    struct flz_id exchange;
    struct flz_id account; /* sent it; one of this node's */
    struct flz_id peer;    /* its recipient */
    uint32_t turn;
    int64_t at;       /* when it was read */
    uint32_t refusal; /* BOUNCE: enum flz_refusal, */
    uint32_t reason;  /* enum flz_reason, */
    uint32_t reply_code;
    char enhanced[FLZ_ENHANCED_MAX];
    char rule[FLZ_RULE_MAX];
    char text[FLZ_REPLY_TEXT_MAX]; /* its words, addresses blanked */
};

struct flz_report {
    uint64_t seq; /* dense from 1 within an incarnation */
    uint32_t kind;
    struct flz_receipt receipt;
    struct flz_account account;
    struct flz_probe probe;
    struct flz_id released;
    struct flz_notice notice;
};

/* The coordinator's answer to a report that asks for one (ACCOUNT, RELEASE). */
struct flz_verdict {
    uint64_t seq;
    bool accepted;
    struct flz_id account; /* the id to use: an address known before keeps its id */
    char text[FLZ_REPLY_TEXT_MAX]; /* why not; or when the first slot is */
};

/* ---- Frames between node and coordinator; each is the payload of one Signed ---- */

/* In every frame. `seq` grows by one per sender, kind of channel and epoch (or incarnation). */
struct flz_frame_header {
    struct flz_id network;
    struct flz_id node;
    uint64_t epoch;
    struct flz_id generation; /* of the log; all zero before the first WELCOME */
    uint64_t seq;
};

struct flz_hello {
    struct flz_frame_header header;
    struct flz_id incarnation; /* random, made with the node's journal */
    uint64_t report_seq;       /* newest report written */
    uint64_t report_acked;     /* newest acknowledged, as the node knows it */
    uint32_t credit;           /* tasks it can still take */
    const struct flz_id *open; /* task ids accepted and not yet reported as ended */
    size_t open_count;
    const struct flz_digest *packs;
    size_t packs_count;
    char version[FLZ_NAME_MAX];
    int64_t boot_ms;
    bool endpoints_loopback; /* every endpoint of its accounts is loopback: may run a lab's clock */
    uint64_t report_first;   /* the oldest report it still has, or would write next; 0: untold */
};

struct flz_welcome {
    struct flz_frame_header header;
    bool accepted;
    char text[FLZ_REPLY_TEXT_MAX]; /* why not */
    uint64_t report_acked;
    struct flz_id incarnation; /* echoed */
};

struct flz_heartbeat {
    struct flz_frame_header header;
    int64_t boot_ms; /* the node's boot clock when it sent this */
    uint32_t credit;
    uint32_t open_count;
    uint64_t revocation_version; /* how many of this log generation's revocations it has */
};

enum flz_scope {
    FLZ_SCOPE_NETWORK = 1,
    FLZ_SCOPE_PROVIDER = 2,
    FLZ_SCOPE_DOMAIN = 3,
    FLZ_SCOPE_ACCOUNT = 4,
    FLZ_SCOPE_NODE = 5,
};

struct flz_pause {
    uint32_t scope;
    char name[FLZ_DOMAIN_MAX]; /* provider, domain or node name; "" for network and account */
    struct flz_id account;
};

/* The signed answer to a heartbeat: authority until boot_ms + lease_ms, and the clock. */
struct flz_pulse {
    struct flz_frame_header header;
    int64_t echo_boot_ms;
    int64_t lease_ms;
    int64_t network_now;
    int64_t rate_milli; /* network ms per real second: 1000 except in a lab */
    int64_t horizon;    /* network time not to be passed before the next pulse */
    uint64_t revocation_version; /* how many there are */
    const struct flz_pause *pauses;
    size_t pauses_count;
    const struct flz_id *suppressed; /* accounts nobody writes to, as of lately */
    size_t suppressed_count;
};

/* Revocations number from + 1, from + 2 … of the network. */
struct flz_revocations {
    struct flz_frame_header header;
    uint64_t from;
    const struct flz_view *revocations; /* Signed(REVOCATION); empty: one that nobody signed */
    size_t revocations_count;
};

struct flz_tasks {
    struct flz_frame_header header;
    const struct flz_task *tasks;
    size_t tasks_count;
    const struct flz_view *certificates; /* Signed(NODE) of the attestations' signers */
    size_t certificates_count;
};

struct flz_reports {
    struct flz_frame_header header;
    struct flz_id incarnation;
    const struct flz_report *reports;
    size_t reports_count;
};

struct flz_ack {
    struct flz_frame_header header;
    struct flz_id incarnation;
    uint64_t report_seq; /* cumulative: durable up to here */
    const struct flz_verdict *verdicts;
    size_t verdicts_count;
};

/* ---- Certificates (proto/cert.h checks them) ---- */

enum flz_role {
    FLZ_ROLE_ISSUER = 1,   /* a coordinator: signs frames of tasks */
    FLZ_ROLE_ADMIN = 2,    /* administrator: everything */
    FLZ_ROLE_OPERATOR = 3, /* of node N: scope "node/N" */
    FLZ_ROLE_VIEWER = 4,   /* of owner O: scope "owner/O" */
};

/* Signed by the root. */
struct flz_certificate {
    struct flz_id network;
    struct flz_sign_public key;
    struct flz_curve_public curve_key; /* ISSUER: the coordinator's; else zero */
    uint32_t role;
    char scope[FLZ_OWNER_MAX + 8]; /* "network", "node/NAME", "owner/NAME" */
    char name[FLZ_NAME_MAX];
    uint64_t serial;
    int64_t not_before; /* real time, ms UTC */
    int64_t not_after;
};

/* Signed by an admin. Its token is the secret half of token_key, handed to the node's operator. */
struct flz_invite {
    struct flz_id network;
    struct flz_id node;
    char name[FLZ_NAME_MAX];
    struct flz_sign_public token_key;
    int64_t not_after; /* real time */
};

/* Signed with the invite's token key: binds the node's own keys to the admin's invitation. */
struct flz_node_certificate {
    struct flz_view admin_certificate; /* Signed(CERTIFICATE) by the root */
    struct flz_view invite;            /* Signed(INVITE) by that admin */
    struct flz_sign_public sign_key;
    struct flz_curve_public curve_key;
    int64_t created; /* real time */
};

/* Signed by a node: this address is a consenting member. */
struct flz_attestation {
    struct flz_id network;
    struct flz_id node;
    struct flz_id account;
    struct flz_digest address; /* flz_address_digest() */
    int64_t consent_until;
    uint32_t actions;
};

/* What a coordinator states of its log: that this segment, with all before it, is in it. */
struct flz_log_head {
    struct flz_id network;
    struct flz_id generation; /* of the segment */
    uint64_t segment;
    uint64_t last_event;
    struct flz_digest digest;
    int64_t at;                         /* real time of the statement */
    struct flz_view issuer_certificate; /* Signed(CERTIFICATE) by the root */
};

/*
 * Signed by an administrator of the network: this node is cut off, for good. Complete in itself, so
 * that every node can check it, whoever hands it on, and no coordinator can make one or take one
 * back.
 */
struct flz_revocation {
    struct flz_id network;
    struct flz_id node;
    int64_t at;                        /* real time */
    struct flz_view admin_certificate; /* Signed(CERTIFICATE) by the root */
};

#define FLZ_ENDPOINT_MAX 256

/*
 * What `node invite` prints, and a node is enrolled with: everything it needs to trust and find its
 * network, and the secret half of the invite's token key. One line, FLZ_JOIN_TOKEN_PREFIX and
 * base64url; worth a node's place in the network, so it is handled as a secret until it is used.
 */
#define FLZ_JOIN_TOKEN_PREFIX "flzjoin1_"

struct flz_join_token {
    struct flz_id network;
    struct flz_sign_public root;
    uint8_t token_seed[32]; /* Ed25519 seed */
    struct flz_view admin_certificate;
    struct flz_view invite;
    char enrol_endpoint[FLZ_ENDPOINT_MAX];
    char node_endpoint[FLZ_ENDPOINT_MAX];
    struct flz_curve_public coordinator_key;
    char network_name[FLZ_NAME_MAX];
    char contact[FLZ_ADDRESS_MAX]; /* how to stop; stands in each message */
};

struct flz_join {
    struct flz_view node_certificate; /* Signed(NODE) */
    char version[FLZ_NAME_MAX];
};

struct flz_joined {
    bool accepted;
    char text[FLZ_REPLY_TEXT_MAX];
    const struct flz_view *issuers; /* Signed(CERTIFICATE) of each coordinator */
    size_t issuers_count;
    char network_name[FLZ_NAME_MAX];
    char contact[FLZ_ADDRESS_MAX]; /* how to stop; stands in each message */
};

/* ---- Administration ---- */

struct flz_argument {
    char key[FLZ_NAME_MAX];
    struct flz_view value;
};

#define FLZ_ADMIN_BODY_MAX (768 * 1024) /* a CSV of some thousand accounts; frames end at 1 MiB */

struct flz_admin_request {
    struct flz_id id; /* random; echoed */
    int64_t sent;     /* real time */
    char verb[FLZ_NAME_MAX]; /* "account ls" */
    const struct flz_argument *arguments;
    size_t arguments_count;
    struct flz_view body;        /* a file's content, when the verb takes one */
    struct flz_view certificate; /* Signed(CERTIFICATE) of the admin key that signed this */
};

struct flz_admin_reply {
    struct flz_id id;
    uint32_t exit_code; /* the documented exit code for fluenzrctl */
    char error[FLZ_NAME_MAX]; /* "" or a machine word: "NOT_PERMITTED" */
    char message[FLZ_MSG_BYTES_MAX];
    char hint[FLZ_REPLY_TEXT_MAX];
    struct flz_view json; /* the answer, the same as the HTTP API's */
};
