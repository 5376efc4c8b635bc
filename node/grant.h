/*
 * What authorization servers are asked and what they answer: OAuth 2.0 (RFC 6749), the device grant
 * (RFC 8628), PKCE (RFC 7636), and Microsoft's ways with them. Texts in, texts out: node/io/oauth.h
 * carries them, node/tokens.h and node/signin.h decide.
 */
#pragma once

#include "common/base/address.h"
#include "common/base/error.h"
#include "common/sys/secret.h"
#include "node/io/oauth.h"
#include "proto/vocab.h"

#include <stdbool.h>
#include <stdint.h>

#define GRANT_URL_MAX 1024 /* bytes of an address, parameters included, with its NUL */
#define GRANT_WORD_MAX 300 /* client, tenant, authority */
#define GRANT_NAMES_MAX 3  /* names that an identity goes by */
#define GRANT_STATE_MAX 64
#define GRANT_CODE_MAX 4096 /* octets of an authorization code */

/* Who we are there. Borrowed texts. */
struct grant_settings {
    const char *client_id; /* of the app registration; "": this node signs nobody in */
    const char *tenant;    /* directory id or domain, "organizations", "common", "consumers" */
    const char *authority; /* "https://login.microsoftonline.com" */
};

/* Checks them: words that may stand in an address; another authority than Microsoft's only on
 * loopback, and by https only. No client is good: nobody is signed in then. 0 or -EINVAL (msg). */
int grant_settings_check(const struct grant_settings *settings, struct flz_msg *msg);

enum grant_class {
    GRANT_OK,
    GRANT_PENDING,       /* device: the person has not finished yet */
    GRANT_SLOW_DOWN,     /* device: ask less often */
    GRANT_NEEDS_AUTH,    /* a person has to sign in (again) */
    GRANT_MISCONFIGURED, /* the app registration or its settings are wrong, not the account */
    GRANT_TEMPORARY,     /* busy, failing, or saying what nobody understands: later again */
    GRANT_NETWORK,       /* no answer */
};

/* An answer of the token endpoint. */
struct grant {
    enum grant_class class;
    struct flz_secret access;  /* GRANT_OK; owned */
    struct flz_secret refresh; /* GRANT_OK; null when none came; owned */
    int64_t expires_in_s;      /* GRANT_OK: 1 … 86,400 */
    bool scoped;               /* the server said what it granted … */
    bool may_imap;             /* … and IMAP is of it */
    bool may_smtp;
    char names[GRANT_NAMES_MAX][FLZ_ADDRESS_MAX]; /* who signed in, from the id token; "" */
    int64_t retry_after_ms;                       /* GRANT_TEMPORARY; 0: it did not say */
    char text[FLZ_REPLY_TEXT_MAX];                /* otherwise: why, and what next; no address */
};

#define GRANT_NULL ((struct grant){.class = GRANT_OK})

/* Reads an answer. Never fails: what cannot be understood is GRANT_TEMPORARY. */
void grant_read(const struct oauth_answer *answer, struct grant *ret_grant);
void grant_deinit(struct grant *grant);

/* An answer of the device endpoint (RFC 8628 3.2). */
struct grant_device {
    struct flz_secret device_code; /* owned */
    char user_code[64];
    char url[256]; /* where the person goes */
    int64_t interval_s;
    int64_t expires_in_s;
};

/* GRANT_OK, or as grant_read() classifies it, with `ret_text` for people. */
enum grant_class grant_device_read(const struct oauth_answer *answer,
                                   struct grant_device *ret_device,
                                   char ret_text[static FLZ_REPLY_TEXT_MAX]);
void grant_device_deinit(struct grant_device *device);

/* ---- Addresses ---- */

/* "token" or "devicecode" of the tenant. 0 or -ENAMETOOLONG. */
int grant_endpoint(const struct grant_settings *settings, const char *name,
                   char ret_url[static GRANT_URL_MAX]);

/* What a sign-in by browser is made of; `verifier` stays here, its digest goes there (S256). */
struct grant_browser {
    char state[GRANT_STATE_MAX];
    char redirect[64];          /* "http://localhost:PORT" */
    struct flz_secret verifier; /* owned */
};

int grant_browser_init(uint16_t port, struct grant_browser *ret_browser); /* 0 or -ENOMEM */
void grant_browser_deinit(struct grant_browser *browser);

/* Where the person goes. 0 or -ENAMETOOLONG. */
int grant_authorize_url(const struct grant_settings *settings, const struct grant_browser *browser,
                        const char *user, char ret_url[static GRANT_URL_MAX]);

/*
 * Takes the code out of the address that the browser was sent back to, whole or its query alone.
 * 0; -EINVAL with words: it carries an error, no code, or the state of another sign-in.
 */
int grant_redirect_read(const struct grant_browser *browser, const char *address,
                        struct flz_secret *ret_code, struct flz_msg *msg);

/* ---- Forms; each is owned by the caller. 0, -ENOMEM or -EMSGSIZE. ---- */

int grant_refresh_form(const struct grant_settings *settings, const struct flz_secret *refresh,
                       struct flz_secret *ret_form);
int grant_device_form(const struct grant_settings *settings, struct flz_secret *ret_form);
int grant_poll_form(const struct grant_settings *settings, const struct flz_secret *device_code,
                    struct flz_secret *ret_form);
int grant_code_form(const struct grant_settings *settings, const struct grant_browser *browser,
                    const struct flz_secret *code, struct flz_secret *ret_form);

/* For logs: "needs-auth". Static. */
const char *grant_class_str(enum grant_class class);
