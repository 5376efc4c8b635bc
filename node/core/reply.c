#include "node/core/reply.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    AT_CODE_1,
    AT_CODE_2,
    AT_CODE_3,
    AT_SEPARATOR,
    AT_TEXT,
};

void reply_parser_init(struct reply_parser *parser)
{
    *parser = (struct reply_parser){.begin = true};
}

bool reply_parser_inside(const struct reply_parser *parser)
{
    return !parser->begin || parser->line_octets > 0;
}

void reply_enhanced_format(struct reply_enhanced enhanced, char ret_text[static 16])
{
    ret_text[0] = '\0';
    if (enhanced.class != 0)
        (void)snprintf(ret_text, 16, "%u.%u.%u", (unsigned)enhanced.class,
                       (unsigned)enhanced.subject, (unsigned)enhanced.detail);
}

/* One to three digits at *p; moves it behind them. */
static bool take_number(const char **p, uint16_t *ret_number)
{
    unsigned n = 0;
    int digits = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (++digits > 3)
            return false;
        n = n * 10 + (unsigned)(**p - '0');
    }
    *ret_number = (uint16_t)n;
    return digits > 0;
}

/* RFC 3463: class "." subject "." detail at the start of the text. A code whose class is not that
 * of the reply is a server's slip and counts as none (RFC 2034 section 4). */
static bool parse_enhanced(const char *text, int code, struct reply_enhanced *ret_enhanced)
{
    const char *p = text;
    struct reply_enhanced e = {.class = 0};
    uint16_t class = 0;
    if (!take_number(&p, &class) || *p++ != '.' || !take_number(&p, &e.subject) || *p++ != '.' ||
        !take_number(&p, &e.detail) || (*p != ' ' && *p != '\0'))
        return false;
    if (class != code / 100 || class == 3)
        return false;

    e.class = (uint8_t) class;
    *ret_enhanced = e;
    return true;
}

/* The same where it stands among words: anything but a digit or a dot may follow. */
static bool quoted_enhanced(const char *p, struct reply_enhanced *ret_enhanced)
{
    struct reply_enhanced e = {.class = 0};
    uint16_t class = 0;
    if (!take_number(&p, &class) || *p++ != '.' || !take_number(&p, &e.subject) || *p++ != '.' ||
        !take_number(&p, &e.detail) || *p == '.')
        return false;
    if (class != 2 && class != 4 && class != 5)
        return false;

    e.class = (uint8_t) class;
    *ret_enhanced = e;
    return true;
}

void reply_quoted(const char *text, int *ret_code, struct reply_enhanced *ret_enhanced)
{
    *ret_code = 0;
    *ret_enhanced = (struct reply_enhanced){.class = 0};
    text += strspn(text, " \t");
    if (text[0] >= '2' && text[0] <= '5' && strspn(text, "0123456789") == 3 &&
        (text[3] == ' ' || text[3] == '-' || text[3] == '\0')) {
        *ret_code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + text[2] - '0';
        text += text[3] ? 4 : 3;
    }
    text += text[0] == '#';
    const char *marked = strstr(text, "(#");
    if (!quoted_enhanced(text, ret_enhanced) && marked)
        (void)quoted_enhanced(marked + 2, ret_enhanced);
}

/* The length of the UTF-8 sequence at `p` of at most `n` octets, or 0. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                 : (p[0] & 0xf0) == 0xe0        ? 3
                 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF, and the C1 controls. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ||
        (p[0] == 0xc2 && p[1] < 0xa0))
        return 0;
    return len;
}

/* What a person or a log will see: printable UTF-8 only. */
static void make_printable(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint8_t c = (uint8_t)text[i];
        size_t n = c >= 0x80 ? utf8_sequence((const uint8_t *)text + i, len - i) : 0;
        if (n == 0) {
            if (c < 0x20 || c >= 0x7f)
                text[i] = '?';
            n = 1;
        }
        i += n;
    }
}

static void begin_line(struct reply_parser *parser)
{
    parser->state = AT_CODE_1;
    parser->code = 0;
    parser->more = false;
    parser->cr = false;
    parser->line_octets = 0;
    parser->line_len = 0;
}

static void begin_reply(struct reply_parser *parser)
{
    parser->begin = false;
    parser->reply.code = 0;
    parser->reply.enhanced = (struct reply_enhanced){.class = 0};
    parser->reply.lines = 0;
    parser->reply.cut = false;
    parser->reply.text[0] = '\0';
    parser->text_len = 0;
}

static void keep_text(struct reply_parser *parser, const char *text, size_t len)
{
    size_t room = sizeof(parser->reply.text) - 1 - parser->text_len;
    if (len > room) {
        parser->reply.cut = true;
        len = room;
    }
    memcpy(parser->reply.text + parser->text_len, text, len);
    parser->text_len += len;
    parser->reply.text[parser->text_len] = '\0';
}

static int wrong(struct reply_parser *parser, const char *error)
{
    parser->error = error;
    return flz_fail(-EPROTO);
}

/* A line has ended: joins it to the reply. */
static int end_line(struct reply_parser *parser)
{
    struct reply *reply = &parser->reply;
    if (parser->state < AT_SEPARATOR)
        return wrong(parser, "reply line without a code");
    if (reply->lines > 0 && reply->code != parser->code)
        return wrong(parser, "another code inside a reply of several lines");
    if (++reply->lines > REPLY_LINES_MAX)
        return wrong(parser, "reply of too many lines");

    reply->code = parser->code;
    make_printable(parser->line, parser->line_len);
    parser->line[parser->line_len] = '\0';
    if (reply->enhanced.class == 0)
        (void)parse_enhanced(parser->line, reply->code, &reply->enhanced);
    if (reply->lines > 1)
        keep_text(parser, "\n", 1);
    keep_text(parser, parser->line, parser->line_len);

    bool more = parser->more;
    begin_line(parser);
    if (!more)
        parser->begin = true;
    return more ? REPLY_LINE : REPLY_DONE;
}

static int take_digit(struct reply_parser *parser, uint8_t c)
{
    if (c < '0' || c > '9')
        return wrong(parser, "reply line without a code");
    /* RFC 5321 4.2.1: the first digit is 2 to 5; the others are not ours to judge. */
    if (parser->state == AT_CODE_1 && (c < '2' || c > '5'))
        return wrong(parser, "reply code out of range");
    parser->code = (uint16_t)(parser->code * 10 + (c - '0'));
    parser->state++;
    return REPLY_MORE;
}

static int take_byte(struct reply_parser *parser, uint8_t c)
{
    if (c == '\0')
        return wrong(parser, "NUL in a reply");
    if (++parser->line_octets > REPLY_LINE_MAX)
        return wrong(parser, "reply line too long");
    if (c == '\n')
        return end_line(parser);
    if (parser->cr)
        return wrong(parser, "CR inside a reply line");
    if (c == '\r') {
        parser->cr = true;
        return REPLY_MORE;
    }

    if (parser->state < AT_SEPARATOR)
        return take_digit(parser, c);
    if (parser->state == AT_SEPARATOR) {
        if (c != ' ' && c != '-')
            return wrong(parser, "reply line without a code");
        parser->more = c == '-';
        parser->state = AT_TEXT;
        return REPLY_MORE;
    }
    if (parser->line_len < sizeof(parser->line) - 1)
        parser->line[parser->line_len++] = (char)c;
    else
        parser->reply.cut = true;
    return REPLY_MORE;
}

int reply_parser_step(struct reply_parser *parser, struct flz_view *input)
{
    while (input->len > 0) {
        if (parser->begin)
            begin_reply(parser);
        uint8_t c = *input->data;
        input->data++;
        input->len--;
        int r = take_byte(parser, c);
        if (r != REPLY_MORE)
            return r;
    }
    return REPLY_MORE;
}
