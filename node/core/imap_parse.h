/*
 * Reads one whole IMAP response (as imap_frame cuts them) into facts. The reader walks the
 * response's own bytes and may rewrite them (quoted strings are unescaped in place); views it gives
 * live as long as they do.
 */
#pragma once

#include "common/base/buf.h"
#include "node/core/imap.h"

#include <stdbool.h>
#include <stdint.h>

struct imap_reader {
    uint8_t *p;
    uint8_t *end; /* before the final CRLF */
    unsigned depth;
};

/* A reader of a response that ends in CRLF. */
struct imap_reader imap_reader_of(struct flz_buf *response);

/* Each of these reads one thing and moves on, or is false and then the response is malformed. */
bool imap_read_char(struct imap_reader *reader, char c);
bool imap_read_atom(struct imap_reader *reader, struct flz_view *ret_atom);
bool imap_read_number(struct imap_reader *reader, uint32_t *ret_number); /* u32, no overflow */
bool imap_read_number64(struct imap_reader *reader, uint64_t *ret_number);
/* Quoted, literal or NIL (then *ret_nil). */
bool imap_read_string(struct imap_reader *reader, struct flz_view *ret_text, bool *ret_nil);
/* Quoted, literal or atom. */
bool imap_read_astring(struct imap_reader *reader, struct flz_view *ret_text);
/* Any value: atom, string, or list nested at most IMAP_DEPTH_MAX deep. */
bool imap_skip_value(struct imap_reader *reader);

/* True when the atom is `word`, whatever the case. */
bool imap_atom_is(struct flz_view atom, const char *word);

/* "(\Seen $Junk)": the flags that have a bit. */
bool imap_read_flags(struct imap_reader *reader, uint32_t *ret_flags);

/*
 * The rest of a response behind its name. 0, -EPROTO (malformed), or the positive
 * IMAP_PARSE_E_UNUSABLE: well formed, but nothing we can name (a mailbox with a line end or a name
 * too long).
 */
#define IMAP_PARSE_E_UNUSABLE 1
int imap_parse_list(struct imap_reader *reader, struct imap_list *ret_list);
int imap_parse_fetch(struct imap_reader *reader, uint32_t sequence, struct imap_fetch *ret_fetch);
int imap_parse_namespace(struct imap_reader *reader, struct imap_namespace *ret_namespace);
int imap_parse_quota(struct imap_reader *reader, struct imap_quota *ret_quota);
int imap_parse_mailbox_status(struct imap_reader *reader, struct imap_mailbox_status *ret_status);

/* "IMAP4rev1 AUTH=PLAIN MOVE": the words that have a bit; stops at the end or at "]". */
uint32_t imap_parse_capabilities(struct imap_reader *reader);

/* What a status response says. Codes that carry facts put them where they belong. */
struct imap_status_text {
    enum imap_code code;
    char text[IMAP_TEXT_MAX];
    bool has_capabilities;
    uint32_t capabilities;
    bool has_permanent_flags;
    uint32_t permanent_flags;
    uint32_t uidvalidity; /* 0 = not told */
    uint32_t uidnext;
    uint32_t copy_uidvalidity;
    uint32_t copy_uid; /* 0 = not told, or of more than one message */
};

/* "[CODE args] words", the part behind OK, NO, BAD or BYE. Never fails: a broken code is OTHER. */
void imap_parse_status_text(struct imap_reader *reader, struct imap_status_text *ret_status);

/* "17-Jul-1996 02:44:25 -0700" → ms UTC. 0 or -EINVAL. */
int imap_parse_internaldate(struct flz_view text, int64_t *ret_ms);
