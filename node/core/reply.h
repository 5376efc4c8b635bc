/*
 * SMTP replies (RFC 5321 4.2): bytes in, replies out. The parser keeps no line: it is fed whatever
 * arrives, one byte or many, and stops at each line end, so that the caller sees the lines of a
 * long EHLO answer one by one and nothing a server sends can make it grow.
 *
 * It accepts what RFC 5321 4.2.1 allows (a code of 2xx to 5xx, "-" or " " or nothing behind it, one
 * code for all lines of a reply), and a line end without its CR. Everything else is an error, for
 * good: another code inside a reply, a code out of range, NUL, a CR that is no line end, a line
 * above REPLY_LINE_MAX, a reply above REPLY_LINES_MAX lines.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_LINE_MAX 2048 /* octets of one line, its CRLF included; RFC 5321 allows 512 */
#define REPLY_LINES_MAX 100
#define REPLY_TEXT_MAX 1024 /* kept text of one reply, with a final NUL */
#define REPLY_WORDS_MAX 512 /* kept text of the newest line, with a final NUL */

/* An enhanced status code (RFC 3463), "5.7.1". All zero: the reply had none. */
struct reply_enhanced {
    uint8_t class; /* 2, 4 or 5 */
    uint16_t subject;
    uint16_t detail;
};

/* One reply. code 0: none. */
struct reply {
    int code;                       /* 200 … 599, or 0 */
    struct reply_enhanced enhanced; /* of its first line that has one of the code's class */
    uint32_t lines;
    bool cut;                  /* text was longer than what is kept */
    char text[REPLY_TEXT_MAX]; /* texts of all lines joined by "\n", enhanced code included; UTF-8,
                                  what is none or not printable replaced by "?" */
};

#define REPLY_NULL ((struct reply){.code = 0})

enum reply_step {
    REPLY_MORE, /* the input is used up, the reply is not complete */
    REPLY_LINE, /* a line ended and another one follows; reply_parser.line holds its text */
    REPLY_DONE, /* the reply is complete; reply_parser.line holds the text of its last line */
};

/* Plain data; fields below the line are the parser's own. */
struct reply_parser {
    struct reply reply;         /* valid after REPLY_DONE until the next step */
    char line[REPLY_WORDS_MAX]; /* valid after REPLY_LINE and REPLY_DONE until the next step */
    const char *error;          /* static text after a negative result, else NULL */

    uint8_t state;
    bool more;          /* this line's separator announced another one */
    bool begin;         /* the next byte begins a new reply */
    bool cr;            /* the last byte was a CR */
    uint16_t code;      /* of this line, as far as it was read */
    size_t line_octets; /* of this line */
    size_t line_len;    /* kept in `line` */
    size_t text_len;    /* kept in `reply.text` */
};

void reply_parser_init(struct reply_parser *parser);

/*
 * Reads from *input, which is moved behind the bytes used, up to the next line end. Returns an
 * enum reply_step, or -EPROTO (parser->error says what was wrong; the parser must be given up).
 */
int reply_parser_step(struct reply_parser *parser, struct flz_view *input);

/* True when bytes of an unfinished reply have been read. */
bool reply_parser_inside(const struct reply_parser *parser);

/*
 * What words of a server begin with where others quote them, in logs and bounces: "550 5.1.1 no
 * such user", "550-5.1.1 …", "5.1.1 (bad mailbox)"; qmail's "(#5.1.1)" counts wherever it stands. 0
 * and all zero for what is not there.
 */
void reply_quoted(const char *text, int *ret_code, struct reply_enhanced *ret_enhanced);

/* "5.7.1" (or "" when there is none); at most 16 bytes with the NUL. */
void reply_enhanced_format(struct reply_enhanced enhanced, char ret_text[static 16]);
