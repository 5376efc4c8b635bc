#include "node/core/dsn.h"

#include "common/base/text.h"

#include <string.h>
#include <strings.h>

#define TEXT_MAX (32 * 1024)  /* of a report without fields; the rest is not read */
#define BLOCK_MAX (16 * 1024) /* of a part that is encoded; the rest is not read */

/* ---- Words ---- */

/* Printable ASCII, and one blank for many: a line that was folded within "user unknown" still says
 * so. */
static void make_plain(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        bool blank = *p == ' ' || *p == '\t';
        if (blank && to > text && to[-1] == ' ')
            continue;
        *to++ = blank ? ' ' : (unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f ? '?' : *p;
    }
    *to = '\0';
}

const char *dsn_behind_type(const char *text)
{
    size_t n = strcspn(text, "; \t");
    n += strspn(text + n, " \t");
    if (text[n] != ';')
        return text;
    text += n + 1;
    return text + strspn(text, " \t");
}

void dsn_take_address(const char *text, char ret_address[static FLZ_ADDRESS_MAX])
{
    char copy[FLZ_ADDRESS_MAX];
    struct flz_address address;
    text += strspn(text, " \t<");
    size_t n = strcspn(text, "> \t;,(");
    ret_address[0] = '\0';
    if (n >= sizeof copy)
        return;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (flz_address_parse(copy, &address) == 0)
        memcpy(ret_address, address.text, sizeof address.text);
}

void dsn_take_host(const char *text, char ret_host[static FLZ_DOMAIN_MAX])
{
    size_t n = strcspn(text, " \t(");
    ret_host[0] = '\0';
    if (n == 0 || n >= FLZ_DOMAIN_MAX)
        return;
    memcpy(ret_host, text, n);
    ret_host[n - (text[n - 1] == '.')] = '\0';
    flz_ascii_lower_str(ret_host);
    if (flz_domain_check(ret_host) < 0)
        ret_host[0] = '\0';
}

static void take_words(struct dsn_recipient *recipient, const char *text)
{
    (void)header_unfold(flz_view_str(text), recipient->text, sizeof recipient->text);
    make_plain(recipient->text);
}

/* The numbers: those of the words count before Status, which is often a general one. */
static void conclude(struct dsn_recipient *recipient)
{
    struct reply_enhanced quoted;
    int code;
    reply_quoted(recipient->text, &code, &quoted);
    recipient->code = code;
    if (quoted.class == 4 || quoted.class == 5)
        recipient->enhanced = quoted;
}

/* ---- RFC 3464 ---- */

static enum dsn_action action_of(const char *text)
{
    static const char *const words[] = {[DSN_FAILED] = "failed",
                                        [DSN_DELAYED] = "delayed",
                                        [DSN_DELIVERED] = "delivered",
                                        [DSN_RELAYED] = "relayed",
                                        [DSN_EXPANDED] = "expanded"};
    size_t n = strcspn(text, " \t(");
    for (size_t i = DSN_FAILED; i < sizeof words / sizeof *words; i++)
        if (n == strlen(words[i]) && strncasecmp(text, words[i], n) == 0)
            return (enum dsn_action)i;
    return DSN_ACTION_NONE;
}

static void take_message_field(struct dsn *dsn, struct flz_view name, const char *text)
{
    if (header_name_is(name, "Original-Envelope-Id") && !dsn->envelope_id[0])
        (void)flz_text_copy(dsn->envelope_id, sizeof dsn->envelope_id, text);
    else if (header_name_is(name, "Reporting-MTA") && !dsn->reporting_mta[0])
        dsn_take_host(dsn_behind_type(text), dsn->reporting_mta);
}

static void take_recipient_field(struct dsn_recipient *recipient, struct flz_view name,
                                 const char *text)
{
    int code;
    if (header_name_is(name, "Final-Recipient"))
        dsn_take_address(dsn_behind_type(text), recipient->address);
    else if (header_name_is(name, "Original-Recipient"))
        dsn_take_address(dsn_behind_type(text), recipient->original);
    else if (header_name_is(name, "Action"))
        recipient->action = action_of(text);
    else if (header_name_is(name, "Status") && recipient->enhanced.class == 0)
        reply_quoted(text, &code, &recipient->enhanced);
    else if (header_name_is(name, "Diagnostic-Code") && !recipient->text[0])
        take_words(recipient, dsn_behind_type(text));
    else if (header_name_is(name, "Remote-MTA"))
        dsn_take_host(dsn_behind_type(text), recipient->remote_mta);
}

/* Groups of fields, empty lines between: the first is about the message, each other about one
 * recipient (RFC 3464 2.1). */
static void read_status(struct dsn *dsn, struct flz_view block)
{
    struct flz_view name, value;
    char text[DSN_TEXT_MAX];
    for (unsigned fields = 0, group = 0; block.len > 0 && fields < HEADER_FIELDS_MAX; group++) {
        struct dsn_recipient recipient = {.action = DSN_ACTION_NONE};
        bool any = false;
        while (fields++ < HEADER_FIELDS_MAX && header_field_next(&block, &name, &value)) {
            (void)header_unfold(value, text, sizeof text);
            any = true;
            if (group == 0)
                take_message_field(dsn, name, text);
            /* Some put everything into one group. */
            take_recipient_field(&recipient, name, text);
        }
        conclude(&recipient);
        if (any && recipient.action != DSN_ACTION_NONE &&
            dsn->recipients_count < DSN_RECIPIENTS_MAX)
            dsn->recipients[dsn->recipients_count++] = recipient;
    }
}

bool dsn_original(const struct mime *mime, struct header *ret_header)
{
    static const char *const types[] = {"message/rfc822", "text/rfc822-headers", "message/global",
                                        "message/global-headers"};
    const struct mime_part *part = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types && !part; i++)
        part = mime_find(mime, types[i]);
    if (!part)
        return false;
    char text[BLOCK_MAX];
    struct flz_view block = part->body;
    if (part->encoding != MIME_PLAIN)
        block = (struct flz_view){(const uint8_t *)text, mime_decode(part, text, sizeof text)};
    header_parse(block, ret_header);
    return true;
}

static bool parse_standard(const struct mime *mime, struct dsn *dsn)
{
    const struct mime_part *status = mime_find(mime, "message/delivery-status");
    if (!status)
        status = mime_find(mime, "message/global-delivery-status"); /* RFC 6533 */
    if (!status)
        return false;
    char text[BLOCK_MAX];
    struct flz_view block = status->body;
    if (status->encoding != MIME_PLAIN)
        block = (struct flz_view){(const uint8_t *)text, mime_decode(status, text, sizeof text)};
    dsn->standard = true;
    read_status(dsn, block);
    dsn->has_original = dsn_original(mime, &dsn->original);
    return dsn->recipients_count > 0;
}

/* ---- Texts ---- */

/* Takes the next line off *text, without its end; NULL behind the last. The text is changed. */
static char *take_line(char **text)
{
    char *line = *text;
    if (!line || !*line)
        return NULL;
    char *lf = strchr(line, '\n');
    *text = lf ? lf + 1 : NULL;
    if (lf)
        *lf = '\0';
    line[strcspn(line, "\r")] = '\0';
    return line;
}

/* What the returned message stands behind: qmail, Yahoo, Exim. */
static bool begins_original(const char *line)
{
    static const char *const marks[] = {"copy of the message", "original message follows",
                                        "below this line is a copy"};
    char lower[128];
    bool any = false;
    if (strncmp(line, "---", 3) != 0 || flz_text_copy(lower, sizeof lower, line) < 0)
        return false;
    flz_ascii_lower_str(lower);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        any |= strstr(lower, marks[i]) != NULL;
    return any;
}

/* "<ada@a.test>:" of qmail and Yahoo, "  ada@a.test" of Exim: an address alone on its line. */
static bool names_recipient(const char *line, char ret_address[static FLZ_ADDRESS_MAX])
{
    size_t blanks = strspn(line, " \t"), len = strlen(line);
    bool qmail = line[0] == '<' && len > 3 && strcmp(line + len - 2, ">:") == 0;
    bool exim = blanks > 0 && blanks < 4 && !strpbrk(line + blanks, " \t<>:");
    ret_address[0] = '\0';
    if (qmail || exim)
        dsn_take_address(line, ret_address);
    return ret_address[0];
}

static void add_words(struct dsn_recipient *recipient, const char *line)
{
    size_t len = strlen(recipient->text);
    line += strspn(line, " \t");
    if (len > 0 && len + 1 < sizeof recipient->text)
        recipient->text[len++] = ' ';
    size_t n = strlen(line);
    if (n > sizeof recipient->text - 1 - len)
        n = sizeof recipient->text - 1 - len;
    memcpy(recipient->text + len, line, n);
    recipient->text[len + n] = '\0';
}

/* The server's own words stand behind Exim's "SMTP error from remote mail server after …:". */
static void finish_text(struct dsn_recipient *recipient)
{
    const char *quoted = strstr(recipient->text, "SMTP error from remote mail server");
    int code;
    struct reply_enhanced enhanced;
    make_plain(recipient->text);
    for (const char *p = quoted ? strchr(quoted, ':') : NULL; p; p = strchr(p + 1, ':')) {
        reply_quoted(p + 1, &code, &enhanced);
        if (code == 0)
            continue;
        size_t n = strlen(p + 1 + strspn(p + 1, " "));
        memmove(recipient->text, p + 1 + strspn(p + 1, " "), n + 1);
        break;
    }
    conclude(recipient);
}

static bool parse_text(struct flz_view body, struct dsn *dsn)
{
    char text[TEXT_MAX], address[FLZ_ADDRESS_MAX];
    const struct mime_part plain = {.body = body};
    size_t len = mime_decode(&plain, text, sizeof text);
    struct dsn_recipient *recipient = NULL;
    char *rest = text;
    for (char *line = take_line(&rest); line; line = take_line(&rest)) {
        if (begins_original(line)) {
            char *original = rest ? rest + strspn(rest, "\r\n") : text + len;
            header_parse(flz_view_str(original), &dsn->original);
            dsn->has_original = original[0];
            break;
        }
        if (names_recipient(line, address) && dsn->recipients_count < DSN_RECIPIENTS_MAX) {
            recipient = &dsn->recipients[dsn->recipients_count++];
            *recipient = (struct dsn_recipient){.action = DSN_FAILED};
            memcpy(recipient->address, address, sizeof address);
        } else if (recipient && line[strspn(line, " \t")]) {
            add_words(recipient, line);
        } else if (recipient && recipient->text[0]) {
            recipient = NULL; /* the paragraph is over */
        }
    }
    for (size_t i = 0; i < dsn->recipients_count; i++)
        finish_text(&dsn->recipients[i]);
    return dsn->recipients_count > 0 && dsn->has_original;
}

bool dsn_parse(struct flz_view message, struct dsn *ret_dsn)
{
    struct mime mime;
    memset(ret_dsn, 0, sizeof *ret_dsn);
    mime_split(message, &mime);
    if (strcmp(mime.top.type, "multipart/report") == 0)
        return parse_standard(&mime, ret_dsn);
    if (mime.parts_count > 0)
        return false;
    return parse_text(mime.top.body, ret_dsn);
}
