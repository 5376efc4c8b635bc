/*
 * An authorization server on loopback, for tests: the token and device endpoints of Microsoft's
 * form over HTTPS, in threads of the test, with one person whose consent it grants. Refresh tokens
 * are replaced at each use, and a used one is refused. It fails where it is told to.
 *
 *     struct tokenserver *server = tokenserver_start(testcert_path(folder, TESTCERT_GOOD));
 *     tokenserver_browse(server, url, redirect)        the person follows the address and consents
 *     tokenserver_approve(server)                      the person types the code of a device
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKENSERVER_ADDRESS_MAX 2048

/* What the next answers of both endpoints are instead; all zero: good ones. */
struct tokenserver_faults {
    unsigned times;     /* how many; then it is good again */
    int status;         /* with `body` (JSON), and `header` ("Retry-After: 7\r\n") or NULL */
    const char *body;   /* static */
    const char *header; /* static */
    size_t huge;        /* a body of this many octets */
    bool hang;          /* says nothing until the client goes */
    bool drop;          /* closes without an answer */
    unsigned slow_ms;   /* waits before a good answer */
};

struct tokenserver_counts {
    unsigned requests;  /* POSTs read */
    unsigned refreshes; /* refresh tokens replaced */
    unsigned replayed;  /* refresh tokens that had been replaced before */
    unsigned unsound;   /* requests that break a rule: no POST, wrong client, bad verifier … */
};

struct tokenserver;

struct tokenserver *tokenserver_start(const char *cert);
struct tokenserver *tokenserver_stop(struct tokenserver *server);
uint16_t tokenserver_port(const struct tokenserver *server);

/* Who signs in (a name in the id token), and how long access tokens last. */
void tokenserver_person(struct tokenserver *server, const char *name, int ttl_s);
/* Answers to a sign-in: without a refresh token, with the scope given (NULL: all of it). */
void tokenserver_grants(struct tokenserver *server, bool refresh, const char *scope);
/* Replaces the refresh token in its answers (true, as at the start), or leaves it out. */
void tokenserver_rotates(struct tokenserver *server, bool rotates);
void tokenserver_faults(struct tokenserver *server, struct tokenserver_faults faults);
struct tokenserver_counts tokenserver_counts(struct tokenserver *server);

/* The person at a browser: consents at an authorize address and is sent back; false: the address
 * is not sound. `declines`: is sent back with an error. */
bool tokenserver_browse(struct tokenserver *server, const char *url, bool declines,
                        char ret_redirect[static TOKENSERVER_ADDRESS_MAX]);
/* The person at a device. */
void tokenserver_approve(struct tokenserver *server);

/* What a mail server asks: is this access token good, for this mailbox? */
bool tokenserver_is_good(struct tokenserver *server, const char *user, const char *token);
/* Takes all access tokens back at once; refresh tokens stay good. */
void tokenserver_revoke(struct tokenserver *server);
/* Makes the refresh token in use worthless, as a changed password does. */
void tokenserver_expel(struct tokenserver *server);
/* Whether bytes hold a token that another one has replaced. */
bool tokenserver_finds_spent(struct tokenserver *server, const void *bytes, size_t len);
/* True when a text is a secret that this server has given out. */
bool tokenserver_gave(struct tokenserver *server, const char *text);
/* The refresh token that is good now. */
const char *tokenserver_refresh(struct tokenserver *server);
