/*
 * What a node keeps in its journal: the tasks it holds, the accounts it serves, how many dots left
 * on each day. Versioned records; the node alone reads and writes them.
 */
#pragma once

#include "proto/codec.h"
#include "proto/vocab.h"

#define JOURNAL_VERSION 1

/*
 * A job is a task in the node's hands (DESIGN 6):
 *
 *   ACCEPTED* ─ attempt ─► DOT* ─► ENDED* (SENT, REJECTED, WITHDRAWN)
 *      │                     └───► AMBIGUOUS* ─ looked for ─► ENDED* (SENT or INDETERMINATE)
 *      └─ any other outcome ─────► ENDED*
 *
 * A job found in DOT after a restart is AMBIGUOUS: its dot may have left.
 */
enum job_state {
    JOB_ACCEPTED = 1,
    JOB_DOT = 2,
    JOB_AMBIGUOUS = 3,
    JOB_ENDED = 4,
};

struct journal_job {
    uint32_t version;
    struct flz_task task; /* its references and attestation live in the arena of the decoder */
    uint32_t state;       /* enum job_state */
    uint32_t tries;       /* attempts begun that did not end it */
    int64_t dot_at;       /* network time of the DOT record; 0 = none */
    uint32_t reason;      /* enum flz_reason of the last attempt */
    uint32_t reply_code;
    char enhanced[FLZ_ENHANCED_MAX];
    char text[FLZ_REPLY_TEXT_MAX];
    bool answer_pending;  /* REPLY sent: \Answered is still to be set on what it answers */
    char message_id_seen[FLZ_MESSAGE_ID_MAX]; /* FIND: as the provider rewrote it, or "" */
    struct flz_digest content; /* of the rendered message, from the first attempt on */
    int64_t ended_at;                         /* network time */
    uint32_t placement;                       /* FIND: enum flz_placement */
    uint32_t outcome;                         /* ENDED: enum flz_outcome; 0 = not kept */
    bool given_up; /* SEND, REPLY: ordered by a log that was given up before the dot */
};

enum member_login {
    MEMBER_LOGIN_PASSWORD = 1, /* the secret is a password */
    MEMBER_LOGIN_TOKEN = 2,    /* it is a refresh token of Microsoft's; none before the first
                                  sign-in */
};

#define MEMBER_URL_MAX 300

/* An account of this node. Its secret lies sealed in a place of its own. */
struct journal_member {
    uint32_t version;
    struct flz_account account;
    char smtp_url[MEMBER_URL_MAX];
    char imap_url[MEMBER_URL_MAX];
    char user[FLZ_ADDRESS_MAX];
    uint32_t login; /* enum member_login */
    bool released;  /* given up; kept until its report is acknowledged */
    uint64_t report;                  /* seq of the newest ACCOUNT report about it */
    bool accepted;                    /* the coordinator's verdict on that report */
    char verdict[FLZ_REPLY_TEXT_MAX]; /* "" while none came */
    uint32_t login_failures;          /* in a row; at 3 a person is asked (no more tries) */
    char needs_auth[FLZ_REPLY_TEXT_MAX]; /* why a person has to sign in; "" while nobody has to */
    int64_t token_at; /* real time at which the newest refresh token came; 0: none yet */
};

struct journal_day {
    uint32_t dots; /* DOT records of one account on one local date */
};

extern const struct flz_codec flz_codec_job;
extern const struct flz_codec flz_codec_member;
extern const struct flz_codec flz_codec_day_count;
