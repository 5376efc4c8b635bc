/*
 * Sign-ins: a person lets this node act for a mailbox, by a browser (authorization code with PKCE,
 * RFC 7636, back to a loopback address or pasted) or by a code typed in elsewhere (device grant,
 * RFC 8628). The node runs it from end to end, so that no token leaves it; fluenzrctl shows the
 * address and asks how it goes.
 *
 *     STARTING ──────► WAITING ──────► TRADING ──────► STORING ──────► DONE
 *        │    (a code is    │ (the person     │               │ (durable)
 *        │     there)       │  signed in)     │               │
 *        └──────────────────┴─────────────────┴───────────────┴──────► FAILED
 *
 *   G1 Who signs in must be the account's login name, by the name that the server itself gives.
 *      Another identity changes nothing.
 *   G2 One sign-in an account; a new one ends the old one. Each ends by itself.
 */
#pragma once

#include "common/base/id.h"
#include "common/sys/log.h"
#include "node/grant.h"
#include "node/members.h"
#include "node/tokens.h"

struct signins;

#define SIGNIN_MAX 16                  /* at a time, ended ones that are still told of included */
#define SIGNIN_MS_MAX (15 * 60 * 1000) /* then it has failed */
#define SIGNIN_KEPT_MS (2 * 60 * 1000) /* how long its end is told of */

enum signin_state {
    SIGNIN_STARTING,
    SIGNIN_WAITING,
    SIGNIN_TRADING,
    SIGNIN_STORING,
    SIGNIN_DONE,
    SIGNIN_FAILED,
};

/* Everything is borrowed while it lives. */
struct signin_parts {
    struct uv_loop_s *loop;
    struct flz_log *log;
    struct members *members;
    struct tokens *tokens;
    struct oauth_client *client;
    const struct grant_settings *settings;
    void (*on_done)(struct flz_id account, void *data); /* its login works anew */
    void *data;
};

/* What may be told of one. */
struct signin_view {
    struct flz_id id;
    enum signin_state state;
    bool device;
    char url[GRANT_URL_MAX]; /* WAITING: where the person goes; "" before */
    char user_code[64];      /* device: what is typed in there */
    uint16_t port;           /* browser: on 127.0.0.1, where the browser comes back to */
    char text[FLZ_MSG_MAX];  /* FAILED: why, and what next */
};

int signins_new(const struct signin_parts *parts, struct signins **ret_signins);
/* Drops all. Before the tokens. The loop must run once more before it is closed. */
struct signins *signins_free(struct signins *signins);

/* Begins. 0; -EBUSY (SIGNIN_MAX); -EINVAL, -ENOMEM … with words. */
int signin_begin(struct signins *signins, const struct member *member, bool device,
                 struct flz_id *ret_id, struct flz_msg *msg);

/* 0, or -ENOENT: there is none of that id. */
int signin_look(struct signins *signins, struct flz_id id, struct signin_view *ret_view);

/* The address at which the browser ended, brought by hand. 0; -ENOENT; -EINVAL with words: it goes
 * on waiting. */
int signin_paste(struct signins *signins, struct flz_id id, const char *address,
                 struct flz_msg *msg);

const char *signin_state_str(enum signin_state state); /* "waiting". Static. */
