#include "node/core/imap_parse.h"

#include "common/base/error.h"
#include "common/base/time.h"
#include "common/content/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct imap_reader imap_reader_of(struct flz_buf *response)
{
    assert(response->len >= 2);
    return (struct imap_reader){.p = response->data, .end = response->data + response->len - 2};
}

bool imap_read_char(struct imap_reader *reader, char c)
{
    if (reader->p == reader->end || *reader->p != (uint8_t)c)
        return false;
    reader->p++;
    return true;
}

static bool peek(const struct imap_reader *reader, char c)
{
    return reader->p < reader->end && *reader->p == (uint8_t)c;
}

/* atom-char, and those that servers put into flags, sections and codes besides. */
static bool is_atom_char(uint8_t c)
{
    return c > ' ' && c != 0x7f && !strchr("(){\"", c);
}

bool imap_read_atom(struct imap_reader *reader, struct flz_view *ret_atom)
{
    uint8_t *start = reader->p;
    while (reader->p < reader->end && is_atom_char(*reader->p))
        reader->p++;
    *ret_atom = (struct flz_view){.data = start, .len = (size_t)(reader->p - start)};
    return ret_atom->len > 0;
}

bool imap_read_number64(struct imap_reader *reader, uint64_t *ret_number)
{
    uint64_t v = 0;
    uint8_t *start = reader->p;
    for (; reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9'; reader->p++)
        if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(*reader->p - '0'), &v))
            return false;
    *ret_number = v;
    return reader->p > start;
}

bool imap_read_number(struct imap_reader *reader, uint32_t *ret_number)
{
    uint64_t v;
    if (!imap_read_number64(reader, &v) || v > UINT32_MAX)
        return false;
    *ret_number = (uint32_t)v;
    return true;
}

bool imap_atom_is(struct flz_view atom, const char *word)
{
    return atom.len == strlen(word) && strncasecmp((const char *)atom.data, word, atom.len) == 0;
}

/* Behind the opening quote; unescapes in place. */
static bool read_quoted(struct imap_reader *reader, struct flz_view *ret_text)
{
    uint8_t *start = reader->p, *out = reader->p;
    while (reader->p < reader->end && *reader->p != '"') {
        if (*reader->p == '\\')
            reader->p++;
        if (reader->p == reader->end || *reader->p == '\r' || *reader->p == '\n')
            return false;
        *out++ = *reader->p++;
    }
    *ret_text = (struct flz_view){.data = start, .len = (size_t)(out - start)};
    return imap_read_char(reader, '"');
}

/* Behind the "{". The frame has counted the bytes already; a lie cannot be told here. */
static bool read_literal(struct imap_reader *reader, struct flz_view *ret_text)
{
    uint32_t n;
    if (!imap_read_number(reader, &n))
        return false;
    (void)imap_read_char(reader, '+');
    if (!imap_read_char(reader, '}') || !imap_read_char(reader, '\r') ||
        !imap_read_char(reader, '\n') || (size_t)(reader->end - reader->p) < n)
        return false;
    *ret_text = (struct flz_view){.data = reader->p, .len = n};
    reader->p += n;
    return true;
}

bool imap_read_string(struct imap_reader *reader, struct flz_view *ret_text, bool *ret_nil)
{
    *ret_nil = false;
    if (imap_read_char(reader, '"'))
        return read_quoted(reader, ret_text);
    if (imap_read_char(reader, '{'))
        return read_literal(reader, ret_text);
    *ret_nil = true;
    return imap_read_atom(reader, ret_text) && imap_atom_is(*ret_text, "NIL");
}

bool imap_read_astring(struct imap_reader *reader, struct flz_view *ret_text)
{
    if (imap_read_char(reader, '"'))
        return read_quoted(reader, ret_text);
    if (imap_read_char(reader, '{'))
        return read_literal(reader, ret_text);
    return imap_read_atom(reader, ret_text);
}

static bool skip_list(struct imap_reader *reader)
{
    if (reader->depth == IMAP_DEPTH_MAX)
        return false;
    reader->depth++;
    while (!peek(reader, ')')) {
        if (reader->p == reader->end)
            return false;
        if (!imap_read_char(reader, ' ') && !imap_skip_value(reader))
            return false;
    }
    reader->depth--;
    return imap_read_char(reader, ')');
}

bool imap_skip_value(struct imap_reader *reader)
{
    struct flz_view ignored;
    if (imap_read_char(reader, '('))
        return skip_list(reader);
    return imap_read_astring(reader, &ignored);
}

struct word {
    const char *word;
    uint32_t bit;
};

static uint32_t word_bit(const struct word *words, size_t n, struct flz_view atom)
{
    for (size_t i = 0; i < n; i++)
        if (imap_atom_is(atom, words[i].word))
            return words[i].bit;
    return 0;
}

#define WORD_BIT(words, atom) word_bit(words, sizeof(words) / sizeof *(words), atom)

static const struct word flag_words[] = {
    {"\\Seen", IMAP_FLAG_SEEN},       {"\\Answered", IMAP_FLAG_ANSWERED},
    {"\\Flagged", IMAP_FLAG_FLAGGED}, {"\\Deleted", IMAP_FLAG_DELETED},
    {"\\Draft", IMAP_FLAG_DRAFT},     {"\\Recent", IMAP_FLAG_RECENT},
    {"$Junk", IMAP_FLAG_JUNK},        {"$NotJunk", IMAP_FLAG_NOTJUNK},
    {"\\*", IMAP_FLAG_WILDCARD},
};

static const struct word attribute_words[] = {
    {"\\Noselect", IMAP_ATTR_NOSELECT},
    {"\\NonExistent", IMAP_ATTR_NOSELECT},
    {"\\Noinferiors", IMAP_ATTR_NOINFERIORS},
    {"\\All", IMAP_ATTR_ALL},
    {"\\AllMail", IMAP_ATTR_ALL},
    {"\\Archive", IMAP_ATTR_ARCHIVE},
    {"\\Drafts", IMAP_ATTR_DRAFTS},
    {"\\Flagged", IMAP_ATTR_FLAGGED},
    {"\\Junk", IMAP_ATTR_JUNK},
    {"\\Spam", IMAP_ATTR_JUNK},
    {"\\Sent", IMAP_ATTR_SENT},
    {"\\Trash", IMAP_ATTR_TRASH},
};

static const struct word capability_words[] = {
    {"IMAP4rev1", IMAP_CAP_IMAP4REV1},
    {"STARTTLS", IMAP_CAP_STARTTLS},
    {"LOGINDISABLED", IMAP_CAP_LOGINDISABLED},
    {"AUTH=PLAIN", IMAP_CAP_AUTH_PLAIN},
    {"AUTH=XOAUTH2", IMAP_CAP_AUTH_XOAUTH2},
    {"AUTH=OAUTHBEARER", IMAP_CAP_AUTH_OAUTHBEARER},
    {"SASL-IR", IMAP_CAP_SASL_IR},
    {"MOVE", IMAP_CAP_MOVE},
    {"UIDPLUS", IMAP_CAP_UIDPLUS},
    {"SPECIAL-USE", IMAP_CAP_SPECIAL_USE},
    {"NAMESPACE", IMAP_CAP_NAMESPACE},
    {"ID", IMAP_CAP_ID},
    {"QUOTA", IMAP_CAP_QUOTA},
    {"LITERAL+", IMAP_CAP_LITERAL_PLUS},
    {"IDLE", IMAP_CAP_IDLE},
    {"CONDSTORE", IMAP_CAP_CONDSTORE},
    {"X-GM-EXT-1", IMAP_CAP_GMAIL},
};

/* A list of atoms, each adding its bit. */
static bool read_words(struct imap_reader *reader, const struct word *words, size_t n,
                       uint32_t *ret_bits)
{
    uint32_t bits = 0;
    if (!imap_read_char(reader, '('))
        return false;
    while (!imap_read_char(reader, ')')) {
        struct flz_view atom;
        if (imap_read_char(reader, ' '))
            continue;
        if (!imap_read_atom(reader, &atom))
            return false;
        bits |= word_bit(words, n, atom);
    }
    *ret_bits = bits;
    return true;
}

bool imap_read_flags(struct imap_reader *reader, uint32_t *ret_flags)
{
    return read_words(reader, flag_words, sizeof flag_words / sizeof *flag_words, ret_flags);
}

/* A mailbox name into its field: without line ends, whole. */
static bool take_mailbox(struct flz_view text, char ret_name[static IMAP_MAILBOX_MAX])
{
    if (text.len == 0 || text.len >= IMAP_MAILBOX_MAX || memchr(text.data, '\0', text.len) ||
        memchr(text.data, '\r', text.len) || memchr(text.data, '\n', text.len))
        return false;
    memcpy(ret_name, text.data, text.len);
    ret_name[text.len] = '\0';
    return true;
}

/* A delimiter: a quoted character, or NIL (0). */
static bool read_delimiter(struct imap_reader *reader, char *ret_delimiter)
{
    struct flz_view text;
    bool nil;
    if (!imap_read_string(reader, &text, &nil) || (!nil && text.len > 1))
        return false;
    *ret_delimiter = nil || text.len == 0 ? '\0' : (char)text.data[0];
    return true;
}

int imap_parse_list(struct imap_reader *reader, struct imap_list *ret_list)
{
    struct flz_view name;
    *ret_list = (struct imap_list){.attributes = 0};
    if (!read_words(reader, attribute_words, sizeof attribute_words / sizeof *attribute_words,
                    &ret_list->attributes) ||
        !imap_read_char(reader, ' ') || !read_delimiter(reader, &ret_list->delimiter) ||
        !imap_read_char(reader, ' ') || !imap_read_astring(reader, &name))
        return flz_fail(-EPROTO);
    return take_mailbox(name, ret_list->name) ? 0 : IMAP_PARSE_E_UNUSABLE;
}

/* BODY[HEADER.FIELDS (…)] and the like: from the "[" to the "]" (and "<0>"), strings passed over.
 */
static bool skip_section(struct imap_reader *reader)
{
    while (!peek(reader, ']')) {
        struct flz_view text;
        if (reader->p == reader->end)
            return false;
        if (imap_read_char(reader, '"')) {
            if (!read_quoted(reader, &text))
                return false;
        } else if (imap_read_char(reader, '{')) {
            if (!read_literal(reader, &text))
                return false;
        } else {
            reader->p++;
        }
    }
    reader->p++;
    while (reader->p < reader->end && *reader->p != ' ')
        reader->p++;
    return true;
}

static bool read_header(struct imap_reader *reader, struct imap_fetch *fetch)
{
    struct flz_view text;
    bool nil;
    if (!skip_section(reader) || !imap_read_char(reader, ' ') ||
        !imap_read_string(reader, &text, &nil))
        return false;
    fetch->has_header = !nil;
    fetch->header = nil ? FLZ_VIEW_NULL : text;
    return true;
}

static bool read_internaldate(struct imap_reader *reader, struct imap_fetch *fetch)
{
    struct flz_view text;
    bool nil;
    if (!imap_read_string(reader, &text, &nil))
        return false;
    if (nil || imap_parse_internaldate(text, &fetch->internaldate_ms) < 0)
        fetch->internaldate_ms = INT64_MIN;
    return true;
}

/* The name of a fetch item, up to a space or the "[" of a section. */
static struct flz_view read_item_name(struct imap_reader *reader)
{
    uint8_t *start = reader->p;
    while (reader->p < reader->end && is_atom_char(*reader->p) && *reader->p != '[')
        reader->p++;
    return (struct flz_view){.data = start, .len = (size_t)(reader->p - start)};
}

static bool read_item(struct imap_reader *reader, struct imap_fetch *fetch)
{
    struct flz_view name = read_item_name(reader);
    if (name.len == 0)
        return false;
    if (imap_read_char(reader, '[')) {
        if (imap_atom_is(name, "BODY"))
            return read_header(reader, fetch);
        return skip_section(reader) && imap_read_char(reader, ' ') && imap_skip_value(reader);
    }
    if (!imap_read_char(reader, ' '))
        return false;
    if (imap_atom_is(name, "UID"))
        return imap_read_number(reader, &fetch->uid);
    if (imap_atom_is(name, "FLAGS"))
        return fetch->has_flags = imap_read_flags(reader, &fetch->flags);
    if (imap_atom_is(name, "RFC822.SIZE"))
        return fetch->has_size = imap_read_number(reader, &fetch->size);
    if (imap_atom_is(name, "INTERNALDATE"))
        return read_internaldate(reader, fetch);
    return imap_skip_value(reader);
}

int imap_parse_fetch(struct imap_reader *reader, uint32_t sequence, struct imap_fetch *ret_fetch)
{
    *ret_fetch = (struct imap_fetch){.sequence = sequence, .internaldate_ms = INT64_MIN};
    if (!imap_read_char(reader, '('))
        return flz_fail(-EPROTO);
    reader->depth = 1;
    while (!imap_read_char(reader, ')')) {
        if (imap_read_char(reader, ' '))
            continue;
        if (!read_item(reader, ret_fetch))
            return flz_fail(-EPROTO);
    }
    return reader->p == reader->end ? 0 : flz_fail(-EPROTO);
}

/* One of the three lists of NAMESPACE; the first of `personal`, or all of the foreign ones. */
static bool read_namespaces(struct imap_reader *reader, struct imap_namespace *namespace,
                            bool personal)
{
    struct flz_view text;
    if (!imap_read_char(reader, '('))
        return imap_read_atom(reader, &text) && imap_atom_is(text, "NIL");
    for (unsigned i = 0; !imap_read_char(reader, ')'); i++) {
        char delimiter, prefix[IMAP_MAILBOX_MAX] = "";
        (void)imap_read_char(reader, ' ');
        if (!imap_read_char(reader, '(') || !imap_read_astring(reader, &text) ||
            !imap_read_char(reader, ' ') || !read_delimiter(reader, &delimiter))
            return false;
        while (imap_read_char(reader, ' ')) /* extensions */
            if (!imap_skip_value(reader))
                return false;
        if (!imap_read_char(reader, ')') || (text.len > 0 && !take_mailbox(text, prefix)))
            return false;
        if (personal && i == 0) {
            memcpy(namespace->prefix, prefix, sizeof prefix);
            namespace->delimiter = delimiter;
        } else if (!personal && prefix[0] && namespace->n_foreign < IMAP_FOREIGN_MAX) {
            memcpy(namespace->foreign[namespace->n_foreign++], prefix, sizeof prefix);
        }
    }
    return true;
}

int imap_parse_namespace(struct imap_reader *reader, struct imap_namespace *ret_namespace)
{
    memset(ret_namespace, 0, sizeof *ret_namespace);
    if (!read_namespaces(reader, ret_namespace, true) || !imap_read_char(reader, ' ') ||
        !read_namespaces(reader, ret_namespace, false) || !imap_read_char(reader, ' ') ||
        !read_namespaces(reader, ret_namespace, false))
        return flz_fail(-EPROTO);
    return 0;
}

int imap_parse_quota(struct imap_reader *reader, struct imap_quota *ret_quota)
{
    struct flz_view root;
    *ret_quota = (struct imap_quota){.has_storage = false};
    /* The root's name may be empty and quoted: "" (RFC 9208). */
    if (!imap_read_astring(reader, &root) || !imap_read_char(reader, ' ') ||
        !imap_read_char(reader, '('))
        return flz_fail(-EPROTO);
    while (!imap_read_char(reader, ')')) {
        struct flz_view name;
        uint64_t used, limit;
        if (imap_read_char(reader, ' '))
            continue;
        if (!imap_read_atom(reader, &name) || !imap_read_char(reader, ' ') ||
            !imap_read_number64(reader, &used) || !imap_read_char(reader, ' ') ||
            !imap_read_number64(reader, &limit))
            return flz_fail(-EPROTO);
        if (imap_atom_is(name, "STORAGE"))
            *ret_quota = (struct imap_quota){true, used, limit};
    }
    return 0;
}

int imap_parse_mailbox_status(struct imap_reader *reader, struct imap_mailbox_status *ret_status)
{
    struct flz_view mailbox;
    *ret_status = (struct imap_mailbox_status){.messages = 0};
    if (!imap_read_astring(reader, &mailbox) || !imap_read_char(reader, ' ') ||
        !imap_read_char(reader, '('))
        return flz_fail(-EPROTO);
    while (!imap_read_char(reader, ')')) {
        struct flz_view name;
        uint64_t value;
        if (imap_read_char(reader, ' '))
            continue;
        if (!imap_read_atom(reader, &name) || !imap_read_char(reader, ' ') ||
            !imap_read_number64(reader, &value))
            return flz_fail(-EPROTO);
        uint32_t v = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
        if (imap_atom_is(name, "MESSAGES"))
            ret_status->messages = v;
        else if (imap_atom_is(name, "UIDNEXT"))
            ret_status->uidnext = v;
        else if (imap_atom_is(name, "UIDVALIDITY"))
            ret_status->uidvalidity = v;
        else if (imap_atom_is(name, "UNSEEN"))
            ret_status->unseen = v;
    }
    return take_mailbox(mailbox, ret_status->name) ? 0 : IMAP_PARSE_E_UNUSABLE;
}

/* An atom inside a response code, which "]" ends. */
static bool read_code_atom(struct imap_reader *reader, struct flz_view *ret_atom)
{
    uint8_t *start = reader->p;
    while (reader->p < reader->end && is_atom_char(*reader->p) && *reader->p != ']')
        reader->p++;
    *ret_atom = (struct flz_view){.data = start, .len = (size_t)(reader->p - start)};
    return ret_atom->len > 0;
}

uint32_t imap_parse_capabilities(struct imap_reader *reader)
{
    uint32_t capabilities = 0;
    struct flz_view atom;
    do {
        (void)imap_read_char(reader, ' ');
        if (read_code_atom(reader, &atom))
            capabilities |= WORD_BIT(capability_words, atom);
    } while (peek(reader, ' '));
    return capabilities;
}

/* COPYUID validity source target, of one message (RFC 4315 3). */
static void read_copyuid(struct imap_reader *reader, struct imap_status_text *status)
{
    uint32_t validity, source, target;
    if (imap_read_char(reader, ' ') && imap_read_number(reader, &validity) &&
        imap_read_char(reader, ' ') && imap_read_number(reader, &source) &&
        imap_read_char(reader, ' ') && imap_read_number(reader, &target) && peek(reader, ']')) {
        status->copy_uidvalidity = validity;
        status->copy_uid = target;
    }
}

static const struct word code_words[] = {
    {"ALERT", IMAP_CODE_ALERT},
    {"ALREADYEXISTS", IMAP_CODE_ALREADYEXISTS},
    {"AUTHENTICATIONFAILED", IMAP_CODE_AUTHENTICATIONFAILED},
    {"AUTHORIZATIONFAILED", IMAP_CODE_AUTHORIZATIONFAILED},
    {"CANNOT", IMAP_CODE_CANNOT},
    {"CONTACTADMIN", IMAP_CODE_CONTACTADMIN},
    {"COPYUID", IMAP_CODE_COPYUID},
    {"EXPIRED", IMAP_CODE_EXPIRED},
    {"INUSE", IMAP_CODE_INUSE},
    {"LIMIT", IMAP_CODE_LIMIT},
    {"NONEXISTENT", IMAP_CODE_NONEXISTENT},
    {"NOPERM", IMAP_CODE_NOPERM},
    {"OVERQUOTA", IMAP_CODE_OVERQUOTA},
    {"PRIVACYREQUIRED", IMAP_CODE_PRIVACYREQUIRED},
    {"READ-ONLY", IMAP_CODE_READ_ONLY},
    {"SERVERBUG", IMAP_CODE_SERVERBUG},
    {"TRYCREATE", IMAP_CODE_TRYCREATE},
    {"UIDNOTSTICKY", IMAP_CODE_UIDNOTSTICKY},
    {"UNAVAILABLE", IMAP_CODE_UNAVAILABLE},
};

const char *imap_code_str(enum imap_code code)
{
    for (size_t i = 0; i < sizeof code_words / sizeof *code_words; i++)
        if (code_words[i].bit == (uint32_t)code)
            return code_words[i].word;
    return "";
}

static void read_code(struct imap_reader *reader, struct imap_status_text *status)
{
    struct flz_view name;
    status->code = IMAP_CODE_OTHER;
    if (!read_code_atom(reader, &name))
        return;
    uint32_t code = WORD_BIT(code_words, name);
    if (code != 0)
        status->code = (enum imap_code)code;
    if (status->code == IMAP_CODE_COPYUID)
        read_copyuid(reader, status);
    else if (imap_atom_is(name, "CAPABILITY")) {
        status->capabilities = imap_parse_capabilities(reader);
        status->has_capabilities = true;
    } else if (imap_atom_is(name, "PERMANENTFLAGS")) {
        status->has_permanent_flags =
            imap_read_char(reader, ' ') && imap_read_flags(reader, &status->permanent_flags);
    } else if (imap_atom_is(name, "UIDVALIDITY")) {
        if (!imap_read_char(reader, ' ') || !imap_read_number(reader, &status->uidvalidity))
            status->uidvalidity = 0;
    } else if (imap_atom_is(name, "UIDNEXT")) {
        if (!imap_read_char(reader, ' ') || !imap_read_number(reader, &status->uidnext))
            status->uidnext = 0;
    }
}

/* A server's words into a field: one line that may be shown and logged. */
static void take_text(struct flz_view text, char ret_text[static IMAP_TEXT_MAX])
{
    size_t len = text.len < IMAP_TEXT_MAX - 1 ? text.len : IMAP_TEXT_MAX - 1;
    while (len < text.len && len > 0 && (text.data[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    if (len > 0)
        memcpy(ret_text, text.data, len);
    ret_text[len] = '\0';
    if (utf8_is_line((struct flz_view){(const uint8_t *)ret_text, len}))
        return;
    for (size_t i = 0; i < len; i++)
        if (ret_text[i] < ' ' || ret_text[i] > '~')
            ret_text[i] = '?';
}

void imap_parse_status_text(struct imap_reader *reader, struct imap_status_text *ret_status)
{
    *ret_status = (struct imap_status_text){.code = IMAP_CODE_NONE};
    (void)imap_read_char(reader, ' ');
    if (imap_read_char(reader, '[')) {
        read_code(reader, ret_status);
        while (reader->p < reader->end && !imap_read_char(reader, ']'))
            reader->p++;
        (void)imap_read_char(reader, ' ');
    }
    take_text((struct flz_view){reader->p, (size_t)(reader->end - reader->p)}, ret_status->text);
}

int imap_parse_internaldate(struct flz_view text, int64_t *ret_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char copy[32], month[4], sign;
    int day, year, hour, minute, second, zone, n = 0;
    if (text.len >= sizeof copy)
        return flz_fail(-EINVAL);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "%2d-%3[A-Za-z]-%4d %2d:%2d:%2d %c%4d%n", &day, month, &year, &hour, &minute,
               &second, &sign, &zone, &n) != 8 ||
        (size_t)n != text.len || (sign != '+' && sign != '-'))
        return flz_fail(-EINVAL);

    int index = -1;
    for (int i = 0; i < 12; i++)
        if (strncasecmp(months + 3 * i, month, 3) == 0)
            index = i;
    if (index < 0 || strlen(month) != 3 || day < 1 || day > 31 || year < 1970 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 || zone < 0)
        return flz_fail(-EINVAL);

    int64_t offset = (zone / 100 * 60 + zone % 100) * FLZ_MINUTE_MS;
    int64_t ms = flz_date_of_civil(year, index + 1, day) * FLZ_DAY_MS + hour * FLZ_HOUR_MS +
                 minute * FLZ_MINUTE_MS + second * FLZ_SECOND_MS;
    *ret_ms = sign == '+' ? ms - offset : ms + offset;
    return 0;
}
