/*
 * The whole of one SMTP session on a real connection, as a shell drives it: connect, EHLO, AUTH,
 * one message, QUIT. For tests; bounded in time.
 */
#pragma once

#include "node/core/smtp.h"
#include "node/io/conn.h"

struct smtpdrive {
    struct conn_options target;
    const char *user;     /* NULL: no AUTH */
    const char *password; /* password or token */
    bool token;
    const char *from; /* addresses; NULL: no message */
    const char *to;
    const char *body;
    bool drop;          /* drop instead of releasing the dot */
    bool hold;          /* neither: hold the dot until something happens */
    bool noop;          /* NOOP and RSET before the message */
    int64_t timeout_ms; /* of each SMTP stage */
};

struct smtpdrive_outcome {
    bool opened;           /* on_open came */
    enum conn_end end;     /* how the connection ended, NONE when we closed it */
    char words[512];       /* its message */
    char server_text[512]; /* conn_server_text() */
    struct conn_peer peer;
    struct smtp_capabilities capabilities;
    bool auth_refused;
    bool quit;                 /* QUIT was answered */
    bool dot;                  /* SMTP_E_DOT came */
    struct smtp_result result; /* of the message if one was begun, else the last */
    unsigned dones;            /* SMTP_E_DONE seen: at most one is right */
};

/* Runs the loop until the session has ended, 20 s at most (then the process aborts). */
void smtpdrive_run(struct uv_loop_s *loop, struct conn_pool *pool, const struct smtpdrive *drive,
                   struct smtpdrive_outcome *ret_outcome);
