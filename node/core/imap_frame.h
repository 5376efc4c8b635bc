/*
 * Cuts the bytes of an IMAP server into responses: lines, and the literals inside them, which are
 * counted and never looked into. Literals that are too long are read past and leave "NIL" in their
 * place.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imap_frame {
    struct flz_buf response; /* owned: lines with their CRLF, literals behind their "{n}" CRLF */
    size_t piece;            /* where the line piece being read begins */
    size_t line_len;         /* bytes outside literals */
    uint64_t literal_left;
    bool skipping; /* the literal is read past */
};

#define IMAP_FRAME_NULL ((struct imap_frame){.piece = 0})

void imap_frame_deinit(struct imap_frame *frame);

/* Forgets the response, keeps the memory. */
void imap_frame_reset(struct imap_frame *frame);

#define IMAP_FRAME_COMPLETE 1

/*
 * Takes bytes up to the end of one response; *ret_used says how many. `session_left` is how many
 * bytes may still come: a literal longer than that is refused at once. IMAP_FRAME_COMPLETE when
 * frame->response is whole, 0 when more is needed, -EMSGSIZE (line too long, literal above the
 * limit), -EPROTO (NUL, a bare CR or LF, a malformed literal) or -ENOMEM.
 */
int imap_frame_feed(struct imap_frame *frame, struct flz_view bytes, uint64_t session_left,
                    size_t *ret_used);
