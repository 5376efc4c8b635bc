/*
 * The client of an authorization server's endpoints: one form goes there by POST, one answer comes
 * back, nothing is concluded from it (node/grant.h reads it). By libcurl on the libuv loop.
 *
 * This is the only place where libcurl sees a secret. The form and the answer lie in guarded
 * memory; libcurl's own buffers are wiped when they are given back (curlmem.h), those of OpenSSL
 * likewise; the connection serves one request and is closed.
 *
 * Always: https and nothing else, certificate and host name verified against the CA file, TLS 1.2
 * or newer, HTTP/1.1, no redirect, no proxy, no netrc, no cookie, no trace; an answer of at most
 * OAUTH_ANSWER_MAX octets within OAUTH_TIMEOUT_MS.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/secret.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct oauth_client;
struct oauth_call;

#define OAUTH_ANSWER_MAX ((size_t)32 * 1024)
#define OAUTH_HEADERS_MAX ((size_t)32 * 1024)
#define OAUTH_CONNECT_TIMEOUT_MS 10000
#define OAUTH_TIMEOUT_MS 30000
#define OAUTH_RUNNING_MAX 8 /* requests under way; the others wait for their turn */

struct oauth_answer {
    int status;             /* of HTTP; 0: no whole answer came, and text says why */
    int64_t retry_after_ms; /* as the server asks; 0: it does not */
    struct flz_view body;   /* in guarded memory; borrowed */
    const char *text;       /* for people, no secret in it; borrowed */
};

/* Comes from the loop, once, never from inside oauth_post(). */
typedef void (*oauth_on_answer)(const struct oauth_answer *answer, void *data);

/* `ca_file` is copied; the loop is borrowed. `timeout_ms`: for a whole request; 0:
 * OAUTH_TIMEOUT_MS. 0 or -ENOMEM. */
int oauth_client_new(struct uv_loop_s *loop, const char *ca_file, int64_t timeout_ms,
                     struct oauth_client **ret_client);

/* Drops what is under way, without callbacks; not from inside one. The loop must run once more
 * before it is closed. */
struct oauth_client *oauth_client_free(struct oauth_client *client);

/*
 * Sends a form (application/x-www-form-urlencoded; taken over, the caller's becomes null, also on
 * failure). The call is borrowed from the client, until its answer. 0, -EINVAL (no https URL),
 * -ENOMEM.
 */
int oauth_post(struct oauth_client *client, const char *url, struct flz_secret *form,
               oauth_on_answer on_answer, void *data, struct oauth_call **ret_call);

/* No answer will come. Accepts NULL; returns NULL. */
struct oauth_call *oauth_cancel(struct oauth_call *call);
