/*
 * A scripted SMTP or IMAP server on loopback, in a child process: it says and expects what a script
 * tells it, in clear, over TLS, or with STARTTLS in the middle, and fails where it is told to. What
 * clients send is kept, so that a test can prove what was never sent.
 *
 *     static const struct mailserver_step script[] = {
 *         MS_SAY("220 hi\r\n"), MS_HEAR("EHLO"), MS_SAY("250 hi\r\n"), MS_CLOSE,
 *     };
 *     struct mailserver *server = mailserver_start(&(struct mailserver_options){
 *         .script = script, .steps = MS_COUNT(script)});
 *     … connect to 127.0.0.1, mailserver_port(server) …
 *     assert_null(mailserver_failure(server));
 *     server = mailserver_stop(server);
 *
 * Each connection is served by a process of its own and runs the script from its start. Everything
 * ends with the test: at mailserver_stop(), when the test dies, or after 60 seconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mailserver_op {
    MS_OP_END, /* close in order, as the end of the script does */
    MS_OP_SAY,
    MS_OP_HEAR,
    MS_OP_HEAR_TAGGED,
    MS_OP_HEAR_BODY,
    MS_OP_HEAR_OCTETS,
    MS_OP_DRIP,
    MS_OP_FLOOD,
    MS_OP_TLS,
    MS_OP_CLOSE,
    MS_OP_RESET,
    MS_OP_HANG,
    MS_OP_PAUSE,
    MS_OP_REPEAT,
    MS_OP_PARK,
};

struct mailserver_step {
    enum mailserver_op op;
    const char *text;
    size_t n;
};

/* Says the text; "%T" stands for the tag of the newest MS_HEAR_TAGGED. */
#define MS_SAY(t) ((struct mailserver_step){MS_OP_SAY, (t), sizeof(t) - 1})
/* The same for a text that is no literal. */
#define MS_SAY_STR(t) ((struct mailserver_step){MS_OP_SAY, (t), SIZE_MAX})
/* Reads a line; it must begin with the text, whatever the case. Else the failure is noted and the
 * connection closed. */
#define MS_HEAR(t) ((struct mailserver_step){MS_OP_HEAR, (t), 0})
/* Reads an IMAP line "tag SP text…" and keeps the tag; an announced literal is read along with
 * it, after a "+ go ahead" when it is not of the {n+} kind. */
#define MS_HEAR_TAGGED(t) ((struct mailserver_step){MS_OP_HEAR_TAGGED, (t), 0})
/* Reads up to and including the line of a dot. */
#define MS_HEAR_BODY ((struct mailserver_step){MS_OP_HEAR_BODY, NULL, 0})
#define MS_HEAR_OCTETS(k) ((struct mailserver_step){MS_OP_HEAR_OCTETS, NULL, (k)})
/* Says the text octet by octet, a write each, a millisecond apart. */
#define MS_DRIP(t) ((struct mailserver_step){MS_OP_DRIP, (t), sizeof(t) - 1})
/* Says the text again and again until the client has gone (or 256 MB). */
#define MS_FLOOD(t) ((struct mailserver_step){MS_OP_FLOOD, (t), sizeof(t) - 1})
/* TLS handshake now; later steps are encrypted. */
#define MS_TLS ((struct mailserver_step){MS_OP_TLS, NULL, 0})
/* Closes without close_notify and without reading; RESET by an RST. */
#define MS_CLOSE ((struct mailserver_step){MS_OP_CLOSE, NULL, 0})
#define MS_RESET ((struct mailserver_step){MS_OP_RESET, NULL, 0})
/* Reads nothing and says nothing until the client has gone. */
#define MS_HANG ((struct mailserver_step){MS_OP_HANG, NULL, 0})
#define MS_PAUSE_MS(k) ((struct mailserver_step){MS_OP_PAUSE, NULL, (k)})
/* Goes on with step k of the script, for ever. */
#define MS_REPEAT(k) ((struct mailserver_step){MS_OP_REPEAT, NULL, (k)})
/* Leaves the connection open and serves the next one; only with `sequential`. */
#define MS_PARK ((struct mailserver_step){MS_OP_PARK, NULL, 0})
#define MS_COUNT(script) (sizeof(script) / sizeof((script)[0]))

struct mailserver_options {
    const struct mailserver_step *script; /* borrowed until mailserver_stop() */
    size_t steps;
    const char *cert; /* PEM with certificate and key; needed for TLS */
    bool tls;         /* TLS from the first octet */
    bool tls_old;     /* offers TLS 1.1 at most */
    bool sequential;  /* one process for all connections, one after the other */
};

struct mailserver;

/* Aborts the test when the server cannot be started. */
struct mailserver *mailserver_start(const struct mailserver_options *options);

/* Kills the server and frees. Accepts NULL; returns NULL. */
struct mailserver *mailserver_stop(struct mailserver *server);

uint16_t mailserver_port(const struct mailserver *server);

/* Connections accepted, and bodies read to their dot, so far. */
unsigned mailserver_connections(const struct mailserver *server);
unsigned mailserver_bodies(const struct mailserver *server);

/* The first thing that was not as the script expected, or NULL. */
const char *mailserver_failure(const struct mailserver *server);

/* True if the clients' octets (after decryption), as far as they are kept (1 MiB), contain the
 * text. */
bool mailserver_heard(const struct mailserver *server, const char *text);
/* The octets themselves; they end with a NUL. */
const char *mailserver_transcript(const struct mailserver *server, size_t *ret_len);
