#include "tests/lib/imapfake.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FOLDERS_MAX 64
#define TOKENS_MAX 600

struct message {
    uint32_t uid;
    uint32_t flags;
    int64_t date_ms;
    char *header; /* owned */
};

struct fake_folder {
    char name[256];
    char attributes[128];
    uint32_t uidvalidity;
    uint32_t uidnext;
    struct message *messages; /* owned */
    size_t count;
    size_t capacity;
};

struct imapfake {
    struct imapfake_options options;
    struct fake_folder folders[FOLDERS_MAX];
    size_t n_folders;
    uint32_t validity_next;
    imapfake_on_command on_command;
    bool (*on_bearer)(const char *user, const char *token, void *userdata);
    void *bearer_userdata;
    void *userdata;
    unsigned commands;
    struct flz_buf transcript;
    char violation[256];

    /* the session */
    struct flz_buf in;
    struct flz_buf out;
    size_t literal_at; /* where in `in` an announced literal begins; 0 = none is awaited */
    size_t literal_len;
    bool authenticated;
    bool awaits_sasl;
    char sasl_tag[64];
    bool closed;
    struct fake_folder *open;
    bool read_only;
    size_t known; /* messages the client knows of */
};

static void say(struct imapfake *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct imapfake *fake, const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof line);
    flz_buf_add(&fake->out, line, (size_t)n);
    flz_buf_add_str(&fake->out, "\r\n");
}

static void violate(struct imapfake *fake, const char *what, const char *line)
{
    if (!fake->violation[0])
        (void)snprintf(fake->violation, sizeof fake->violation, "%s: %.150s", what, line);
}

/* ---- The account ---- */

struct imapfake *imapfake_new(const struct imapfake_options *options)
{
    struct imapfake *fake = calloc(1, sizeof *fake);
    assert(fake);
    fake->options = *options;
    if (!fake->options.delimiter)
        fake->options.delimiter = '/';
    if (!fake->options.prefix)
        fake->options.prefix = "";
    fake->validity_next = 1000;
    imapfake_add_folder(fake, "INBOX", "");
    return fake;
}

static void folder_clear(struct fake_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        free(folder->messages[i].header);
    free(folder->messages);
}

struct imapfake *imapfake_free(struct imapfake *fake)
{
    if (!fake)
        return NULL;
    for (size_t i = 0; i < fake->n_folders; i++)
        folder_clear(&fake->folders[i]);
    flz_buf_deinit(&fake->in);
    flz_buf_deinit(&fake->out);
    flz_buf_deinit(&fake->transcript);
    free(fake);
    return NULL;
}

static struct fake_folder *find_folder(const struct imapfake *fake, const char *name)
{
    for (size_t i = 0; i < fake->n_folders; i++)
        if (strcmp(fake->folders[i].name, name) == 0 ||
            (strcasecmp(name, "INBOX") == 0 && strcmp(fake->folders[i].name, "INBOX") == 0))
            return (struct fake_folder *)&fake->folders[i];
    return NULL;
}

void imapfake_add_folder(struct imapfake *fake, const char *name, const char *attributes)
{
    assert(fake->n_folders < FOLDERS_MAX);
    struct fake_folder *folder = &fake->folders[fake->n_folders++];
    *folder = (struct fake_folder){.uidvalidity = fake->validity_next++, .uidnext = 1};
    assert(flz_text_copy(folder->name, sizeof folder->name, name) == 0);
    assert(flz_text_copy(folder->attributes, sizeof folder->attributes, attributes) == 0);
}

static uint32_t append(struct fake_folder *folder, const char *header, uint32_t flags,
                       int64_t date_ms)
{
    int r = flz_grow((void **)&folder->messages, &folder->capacity, folder->count + 1,
                     sizeof *folder->messages);
    assert(r == 0);
    folder->messages[folder->count++] = (struct message){
        .uid = folder->uidnext, .flags = flags, .date_ms = date_ms, .header = strdup(header)};
    return folder->uidnext++;
}

uint32_t imapfake_deliver(struct imapfake *fake, const char *folder, const char *header,
                          uint32_t flags, int64_t internaldate_ms)
{
    struct fake_folder *f = find_folder(fake, folder);
    assert(f);
    return append(f, header, flags, internaldate_ms);
}

static void remove_at(struct imapfake *fake, struct fake_folder *folder, size_t i)
{
    free(folder->messages[i].header);
    memmove(&folder->messages[i], &folder->messages[i + 1],
            (folder->count - i - 1) * sizeof *folder->messages);
    folder->count--;
    if (folder == fake->open && i < fake->known) {
        say(fake, "* %zu EXPUNGE", i + 1);
        fake->known--;
    }
}

void imapfake_remove(struct imapfake *fake, const char *folder, uint32_t uid)
{
    struct fake_folder *f = find_folder(fake, folder);
    assert(f);
    for (size_t i = f->count; i-- > 0;)
        if (f->messages[i].uid == uid)
            remove_at(fake, f, i);
}

void imapfake_renumber(struct imapfake *fake, const char *folder)
{
    struct fake_folder *f = find_folder(fake, folder);
    assert(f);
    f->uidvalidity = fake->validity_next++;
    f->uidnext += 100;
    for (size_t i = 0; i < f->count; i++)
        f->messages[i].uid = f->uidnext++;
}

void imapfake_on_bearer(struct imapfake *fake,
                        bool (*on_bearer)(const char *user, const char *token, void *userdata),
                        void *userdata)
{
    fake->on_bearer = on_bearer;
    fake->bearer_userdata = userdata;
}

void imapfake_on_each(struct imapfake *fake, imapfake_on_command on_command, void *userdata)
{
    fake->on_command = on_command;
    fake->userdata = userdata;
}

/* ---- Header fields ---- */

static const char *line_after(const char *p)
{
    const char *end = strstr(p, "\r\n");
    return end ? end + 2 : p + strlen(p);
}

/* The next field from *p on, folds included; false at the empty line. */
static bool next_field(const char **p, const char **ret_field, size_t *ret_len)
{
    const char *start = *p;
    if (*start == '\0' || strncmp(start, "\r\n", 2) == 0)
        return false;
    const char *end = line_after(start);
    while (*end == ' ' || *end == '\t')
        end = line_after(end);
    *ret_field = start;
    *ret_len = (size_t)(end - start);
    *p = end;
    return true;
}

static bool field_is(const char *field, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(field, name, n) == 0 && field[n] == ':';
}

/* Does a field of that name contain the text, whatever the case? */
static bool header_contains(const char *header, const char *name, const char *text)
{
    const char *field;
    size_t len;
    while (next_field(&header, &field, &len)) {
        if (!field_is(field, name))
            continue;
        char *value = strndup(field, len);
        bool found = strcasestr(value, text) != NULL;
        free(value);
        if (found)
            return true;
    }
    return false;
}

unsigned imapfake_count(const struct imapfake *fake, const char *folder, const char *text)
{
    const struct fake_folder *f = find_folder(fake, folder);
    unsigned n = 0;
    for (size_t i = 0; f && i < f->count; i++)
        n += strstr(f->messages[i].header, text) != NULL;
    return n;
}

static void flags_text(uint32_t flags, char ret_text[static 128])
{
    (void)snprintf(ret_text, 128, "%s%s%s%s%s", flags & IMAPFAKE_SEEN ? "\\Seen " : "",
                   flags & IMAPFAKE_ANSWERED ? "\\Answered " : "",
                   flags & IMAPFAKE_DELETED ? "\\Deleted " : "",
                   flags & IMAPFAKE_JUNK ? "$Junk " : "",
                   flags & IMAPFAKE_NOTJUNK ? "$NotJunk " : "");
    if (ret_text[0])
        ret_text[strlen(ret_text) - 1] = '\0';
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void imapfake_dump(const struct imapfake *fake, struct flz_buf *text)
{
    char *lines[1024];
    size_t n = 0;
    for (size_t f = 0; f < fake->n_folders; f++) {
        for (size_t i = 0; i < fake->folders[f].count; i++) {
            const struct message *m = &fake->folders[f].messages[i];
            const char *p = m->header, *field, *id = "?";
            size_t len, id_len = 1;
            char flags[128];
            while (next_field(&p, &field, &len))
                if (field_is(field, "Message-ID")) {
                    id = field;
                    id_len = len - 2;
                }
            flags_text(m->flags, flags);
            assert(n < 1024 && asprintf(&lines[n], "%s | %.*s | %s\n", fake->folders[f].name,
                                        (int)id_len, id, flags) > 0);
            n++;
        }
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    for (size_t i = 0; i < n; i++) {
        flz_buf_add_str(text, lines[i]);
        free(lines[i]);
    }
}

/* ---- The session ---- */

void imapfake_connect(struct imapfake *fake)
{
    flz_buf_reset(&fake->in);
    flz_buf_reset(&fake->out);
    fake->literal_at = fake->literal_len = 0;
    fake->authenticated = fake->awaits_sasl = fake->closed = false;
    fake->open = NULL;
    flz_buf_add_str(&fake->transcript, "--- connect\n");
    say(fake, "* OK [CAPABILITY IMAP4rev1] model server ready {3}");
}

struct flz_view imapfake_output(const struct imapfake *fake)
{
    return flz_buf_view(&fake->out);
}

void imapfake_sent(struct imapfake *fake, size_t n)
{
    flz_buf_consume(&fake->out, n);
}

bool imapfake_is_closed(const struct imapfake *fake)
{
    return fake->closed;
}

unsigned imapfake_commands(const struct imapfake *fake)
{
    return fake->commands;
}

const char *imapfake_transcript(struct imapfake *fake)
{
    return flz_buf_str(&fake->transcript);
}

const char *imapfake_violation(const struct imapfake *fake)
{
    return fake->violation;
}

/* ---- Commands as tokens ---- */

struct tokens {
    char *words[TOKENS_MAX]; /* into `text`; parentheses are words of their own */
    size_t n;
    size_t i;
    char *text; /* owned */
};

static void tokens_deinit(struct tokens *tokens)
{
    free(tokens->text);
}

/* Cuts a command; what was quoted or a literal is one word. */
static void tokenize(struct flz_view command, struct tokens *tokens)
{
    const char *p = (const char *)command.data, *end = p + command.len;
    char *out = tokens->text = calloc(1, 2 * command.len + 16);
    assert(out);
    while (p < end && tokens->n < TOKENS_MAX) {
        if (*p == ' ' || *p == '\r' || *p == '\n') {
            p++;
            continue;
        }
        tokens->words[tokens->n++] = out;
        size_t len;
        if (*p == '(' || *p == ')') {
            *out++ = *p++;
        } else if (*p == '"') {
            for (p++; p < end && *p != '"'; p++) {
                p += *p == '\\';
                *out++ = *p;
            }
            p++;
        } else if (*p == '{' && sscanf(p, "{%zu}", &len) == 1) {
            p = memchr(p, '\n', (size_t)(end - p));
            assert(p && (size_t)(end - p - 1) >= len);
            memcpy(out, p + 1, len);
            out += len;
            p += 1 + len;
        } else {
            bool section = false;
            while (p < end && *p != ' ' && *p != '\r' && (section || (*p != '(' && *p != ')'))) {
                section = *p == '[' ? true : *p == ']' ? false : section;
                *out++ = *p++;
                while (section && p < end && *p == ' ')
                    *out++ = *p++;
            }
        }
        *out++ = '\0';
    }
}

static const char *next_word(struct tokens *tokens)
{
    return tokens->i < tokens->n ? tokens->words[tokens->i++] : "";
}

static bool in_set(const char *set, uint32_t number, uint32_t last)
{
    for (const char *p = set; *p; p += *p == ',') {
        uint32_t range[2];
        for (int k = 0; k < 2; k++) {
            range[k] = *p == '*' ? last : (uint32_t)strtoul(p, NULL, 10);
            p += *p == '*' ? 1 : strspn(p, "0123456789");
            if (k == 0 && *p != ':') {
                range[1] = range[0];
                break;
            }
            p += k == 0;
        }
        uint32_t low = range[0] < range[1] ? range[0] : range[1];
        uint32_t high = range[0] < range[1] ? range[1] : range[0];
        if (number >= low && number <= high)
            return true;
        if (*p != ',' && *p)
            return false;
    }
    return false;
}

/* ---- Answers ---- */

static void noise(struct imapfake *fake)
{
    if (!fake->options.noise)
        return;
    say(fake, "* OK still here {5}");
    say(fake, "* XFANCY (NIL \"quoted ) string\" (1 2 (3)))");
    say(fake, "* NO [ALERT] disk is 93%% full");
    if (fake->open && fake->known > 0)
        say(fake, "* 1 FETCH (FLAGS (\\Flagged $Odd))");
}

static void capability_words(struct imapfake *fake, char ret_text[static 512])
{
    const struct imapfake_options *o = &fake->options;
    (void)snprintf(ret_text, 512, "CAPABILITY IMAP4rev1 LITERAL+ ID%s%s%s%s%s%s%s%s",
                   o->no_move ? "" : " MOVE", o->no_uidplus ? "" : " UIDPLUS",
                   o->no_special_use ? "" : " SPECIAL-USE", o->no_namespace ? "" : " NAMESPACE",
                   o->no_sasl_ir ? "" : " SASL-IR", o->no_quota ? "" : " QUOTA",
                   o->bearer     ? " AUTH=XOAUTH2 LOGINDISABLED"
                   : o->no_plain ? ""
                                 : " AUTH=PLAIN",
                   o->gmail ? " X-GM-EXT-1" : "");
}

static void logged_in(struct imapfake *fake, const char *tag, bool ok)
{
    char words[512];
    fake->authenticated = ok;
    capability_words(fake, words);
    if (!ok)
        say(fake, "%s NO [AUTHENTICATIONFAILED] Authentication failed.", tag);
    else if (fake->options.capability_in_login)
        say(fake, "%s OK [%s] Logged in", tag, words);
    else
        say(fake, "%s OK Logged in", tag);
}

static char base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (char)(p - digits) : 0;
}

/* "user=NAME^Aauth=Bearer TOKEN^A^A" */
static bool ask_bearer(struct imapfake *fake, char *plain)
{
    char *user = plain + 5, *end = strchr(plain, '\001');
    if (strncmp(plain, "user=", 5) != 0 || !end || strncmp(end + 1, "auth=Bearer ", 12) != 0)
        return false;
    *end = '\0';
    char *token = end + 13;
    token[strcspn(token, "\001")] = '\0';
    return fake->on_bearer(user, token, fake->bearer_userdata);
}

static void check_sasl(struct imapfake *fake, const char *tag, const char *text)
{
    char plain[4096] = "";
    size_t n = 0;
    for (const char *p = text; p[0] && p[1] && p[2] && p[3] && n + 3 < sizeof plain; p += 4) {
        uint32_t v = (uint32_t)base64_value(p[0]) << 18 | (uint32_t)base64_value(p[1]) << 12 |
                     (uint32_t)base64_value(p[2]) << 6 | (uint32_t)base64_value(p[3]);
        plain[n++] = (char)(v >> 16);
        plain[n++] = (char)(v >> 8);
        plain[n++] = (char)v;
    }
    static const char password[] = "\0" IMAPFAKE_USER "\0" IMAPFAKE_PASSWORD;
    static const char bearer[] =
        "user=" IMAPFAKE_USER "\001auth=Bearer " IMAPFAKE_PASSWORD "\001\001";
    const char *wanted = fake->options.bearer ? bearer : password;
    size_t len = (fake->options.bearer ? sizeof bearer : sizeof password) - 1;
    bool ok = n >= len && memcmp(plain, wanted, len) == 0;
    if (fake->on_bearer)
        ok = ask_bearer(fake, plain);
    if (!ok && fake->options.bearer && *text) {
        /* {"status":"401"} must be answered by an empty line before NO is said. */
        say(fake, "+ eyJzdGF0dXMiOiI0MDEifQ==");
        fake->awaits_sasl = true;
        (void)snprintf(fake->sasl_tag, sizeof fake->sasl_tag, "%s", tag);
        return;
    }
    logged_in(fake, tag, ok);
}

static void do_authenticate(struct imapfake *fake, const char *tag, struct tokens *tokens)
{
    (void)next_word(tokens);
    if (tokens->i < tokens->n) {
        check_sasl(fake, tag, next_word(tokens));
        return;
    }
    say(fake, "+ ");
    fake->awaits_sasl = true;
    (void)snprintf(fake->sasl_tag, sizeof fake->sasl_tag, "%s", tag);
}

static void list_folder(struct imapfake *fake, const struct fake_folder *folder)
{
    if (fake->options.literals)
        say(fake, "* LIST (\\HasNoChildren %s) \"%c\" {%zu}\r\n%s", folder->attributes,
            fake->options.delimiter, strlen(folder->name), folder->name);
    else
        say(fake, "* LIST (\\HasNoChildren %s) \"%c\" \"%s\"", folder->attributes,
            fake->options.delimiter, folder->name);
}

static void do_list(struct imapfake *fake, const char *tag)
{
    for (size_t i = 0; i < fake->n_folders; i++) {
        list_folder(fake, &fake->folders[i]);
        noise(fake);
    }
    say(fake, "%s OK List completed", tag);
}

static void do_select(struct imapfake *fake, const char *tag, const char *name, bool read_only)
{
    fake->open = find_folder(fake, name);
    fake->known = 0;
    if (!fake->open) {
        say(fake, "%s NO [NONEXISTENT] Mailbox doesn't exist: %s", tag, name);
        return;
    }
    fake->read_only = read_only;
    fake->known = fake->open->count;
    say(fake, "* FLAGS (\\Answered \\Seen \\Deleted $Junk)");
    say(fake, "* OK [PERMANENTFLAGS (%s%s)] Flags", read_only ? "" : "\\Answered \\Seen \\Deleted",
        read_only || fake->options.no_keywords ? "" : " \\*");
    say(fake, "* %zu EXISTS", fake->known);
    say(fake, "* 0 RECENT");
    noise(fake);
    say(fake, "* OK [UIDVALIDITY %u] UIDs valid", fake->open->uidvalidity);
    say(fake, "* OK [UIDNEXT %u] Predicted next UID", fake->open->uidnext);
    say(fake, "%s OK [%s] done", tag, read_only ? "READ-ONLY" : "READ-WRITE");
}

/* One search key; the words that follow are taken. */
static bool search_key(struct tokens *tokens, const struct message *message)
{
    const char *word = next_word(tokens);
    if (strcasecmp(word, "OR") == 0) {
        bool left = search_key(tokens, message);
        return search_key(tokens, message) || left;
    }
    if (strcasecmp(word, "HEADER") == 0) {
        const char *name = next_word(tokens);
        return header_contains(message->header, name, next_word(tokens));
    }
    if (strcasecmp(word, "SINCE") == 0)
        (void)next_word(tokens);
    return true;
}

static void do_search(struct imapfake *fake, const char *tag, struct tokens *tokens)
{
    size_t start = tokens->i;
    _cleanup_(flz_buf_deinit) struct flz_buf line = FLZ_BUF_NULL;
    flz_buf_add_str(&line, "* SEARCH");
    for (size_t i = 0; i < fake->known; i++) {
        const struct message *m = &fake->open->messages[i];
        bool match = true;
        for (tokens->i = start; tokens->i < tokens->n;)
            match &= search_key(tokens, m);
        if (match != fake->options.lying_search && !fake->options.hides_mail)
            flz_buf_printf(&line, " %u", m->uid);
    }
    if (fake->options.lying_search)
        flz_buf_add_str(&line, " 4000000000");
    flz_buf_add_str(&line, "\r\n");
    flz_buf_add_view(&fake->out, flz_buf_view(&line));
    noise(fake);
    say(fake, "%s OK Search completed", tag);
}

static void add_section(struct imapfake *fake, const struct message *m, const char *item)
{
    char names[512];
    _cleanup_(flz_buf_deinit) struct flz_buf block = FLZ_BUF_NULL;
    const char *open = strchr(item, '('), *p = m->header, *field;
    size_t len;
    assert(open && flz_text_copy(names, sizeof names, open + 1) == 0);
    names[strcspn(names, ")")] = '\0';
    while (next_field(&p, &field, &len)) {
        char copy[512], *rest = copy;
        memcpy(copy, names, sizeof copy);
        for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " "))
            if (*name && field_is(field, name)) {
                flz_buf_add(&block, field, len);
                break;
            }
    }
    flz_buf_add_str(&block, "\r\n");
    flz_buf_printf(&fake->out, " BODY[HEADER.FIELDS (%s)] {%zu}\r\n", names, block.len);
    flz_buf_add_view(&fake->out, flz_buf_view(&block));
}

/* In others' mail only what calls itself a report may be read, and only by EXAMINE. */
static void add_whole(struct imapfake *fake, const struct message *m, size_t max)
{
    size_t len = strlen(m->header);
    if (!header_contains(m->header, "Content-Type", "multipart/report") && !fake->options.no_others)
        violate(fake, "reads what is no report", m->header);
    if (!fake->read_only)
        violate(fake, "reads a report in a folder open for writing", m->header);
    len = len < max ? len : max;
    flz_buf_printf(&fake->out, " BODY[]<0> {%zu}\r\n", len);
    flz_buf_add(&fake->out, m->header, len);
}

static void date_text(int64_t ms, char ret_text[static 64])
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int year, month, day;
    int64_t second = ms / 1000 % 86400;
    flz_date_civil((int32_t)(ms / FLZ_DAY_MS), &year, &month, &day);
    (void)snprintf(ret_text, 64, "%2d-%s-%04d %02d:%02d:%02d +0000", day, months[month - 1], year,
                   (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

static void fetch_one(struct imapfake *fake, size_t i, struct tokens *tokens)
{
    const struct message *m = &fake->open->messages[i];
    char flags[128], date[64];
    flags_text(m->flags, flags);
    date_text(m->date_ms, date);
    flz_buf_printf(&fake->out, "* %zu FETCH (UID %u", i + 1, m->uid);
    while (tokens->i < tokens->n) {
        const char *word = next_word(tokens);
        if (strcasecmp(word, "FLAGS") == 0)
            flz_buf_printf(&fake->out, " FLAGS (%s)", flags);
        else if (strcasecmp(word, "INTERNALDATE") == 0)
            flz_buf_printf(&fake->out, " INTERNALDATE \"%s\"", date);
        else if (strcasecmp(word, "RFC822.SIZE") == 0)
            flz_buf_printf(&fake->out, " RFC822.SIZE %zu", strlen(m->header) + 100);
        else if (strncasecmp(word, "BODY.PEEK[HEADER.FIELDS", 23) == 0)
            add_section(fake, m, word);
        else if (strncasecmp(word, "BODY.PEEK[]<0.", 14) == 0)
            add_whole(fake, m, (size_t)strtoul(word + 14, NULL, 10));
        else if (strncasecmp(word, "BODY", 4) == 0 || strncasecmp(word, "RFC822", 6) == 0)
            violate(fake, "reads more than named fields by PEEK", word);
    }
    flz_buf_add_str(&fake->out, ")\r\n");
}

static void do_fetch(struct imapfake *fake, const char *tag, struct tokens *tokens, bool by_uid)
{
    const char *set = next_word(tokens);
    size_t start = tokens->i;
    uint32_t last = fake->known ? fake->open->messages[fake->known - 1].uid : 0;
    for (size_t i = 0; i < fake->known; i++) {
        tokens->i = start;
        if (fake->options.hides_mail && !by_uid &&
            strstr(fake->open->messages[i].header, "X-FluenzR"))
            continue;
        if (in_set(set, by_uid ? fake->open->messages[i].uid : (uint32_t)i + 1,
                   by_uid ? last : (uint32_t)fake->known))
            fetch_one(fake, i, tokens);
        if (i == 0)
            noise(fake);
    }
    say(fake, "%s OK Fetch completed", tag);
}

static uint32_t flag_of(struct imapfake *fake, const char *word)
{
    return strcasecmp(word, "\\Seen") == 0       ? IMAPFAKE_SEEN
           : strcasecmp(word, "\\Answered") == 0 ? IMAPFAKE_ANSWERED
           : strcasecmp(word, "\\Deleted") == 0  ? IMAPFAKE_DELETED
           : fake->options.no_keywords           ? 0
           : strcasecmp(word, "$Junk") == 0      ? IMAPFAKE_JUNK
           : strcasecmp(word, "$NotJunk") == 0   ? IMAPFAKE_NOTJUNK
                                                 : 0;
}

static void do_store(struct imapfake *fake, const char *tag, struct tokens *tokens)
{
    const char *set = next_word(tokens), *how = next_word(tokens);
    uint32_t flags = 0;
    while (tokens->i < tokens->n)
        flags |= flag_of(fake, next_word(tokens));
    for (size_t i = 0; i < fake->known; i++) {
        struct message *m = &fake->open->messages[i];
        if (!in_set(set, m->uid, 0))
            continue;
        char text[128];
        if (fake->options.empty_words)
            continue;
        m->flags = *how == '+' ? m->flags | flags : m->flags & ~flags;
        flags_text(m->flags, text);
        say(fake, "* %zu FETCH (UID %u FLAGS (%s))", i + 1, m->uid, text);
    }
    say(fake, "%s OK Store completed", tag); /* whether anything was stored or not (RFC 3501) */
}

static void do_copy(struct imapfake *fake, const char *tag, struct tokens *tokens, bool move)
{
    const char *set = next_word(tokens), *name = next_word(tokens);
    struct fake_folder *target = find_folder(fake, name);
    char code[64] = "";
    if (!target) {
        say(fake, "%s NO [TRYCREATE] Mailbox doesn't exist: %s", tag, name);
        return;
    }
    for (size_t i = 0; i < fake->known && !fake->options.empty_words; i++) {
        struct message *m = &fake->open->messages[i];
        if (!in_set(set, m->uid, 0))
            continue;
        uint32_t uid =
            append(target, m->header, m->flags & ~(uint32_t)IMAPFAKE_DELETED, m->date_ms);
        if (!fake->options.no_uidplus)
            (void)snprintf(code, sizeof code, "[COPYUID %u %u %u] ", target->uidvalidity, m->uid,
                           uid);
        if (move && code[0])
            say(fake, "* OK %sMoved", code);
        if (move)
            remove_at(fake, fake->open, i--);
    }
    noise(fake);
    say(fake, "%s OK %sdone", tag, move ? "" : code);
}

static void do_expunge(struct imapfake *fake, const char *tag, const char *set)
{
    for (size_t i = 0; i < fake->known; i++)
        if (in_set(set, fake->open->messages[i].uid, 0) &&
            (fake->open->messages[i].flags & IMAPFAKE_DELETED))
            remove_at(fake, fake->open, i--);
    say(fake, "%s OK Expunge completed", tag);
}

static void do_uid(struct imapfake *fake, const char *tag, struct tokens *tokens)
{
    const char *verb = next_word(tokens);
    bool writes = strcasecmp(verb, "SEARCH") != 0 && strcasecmp(verb, "FETCH") != 0;
    if (!fake->open)
        say(fake, "%s BAD No mailbox selected", tag);
    else if (writes && fake->read_only)
        say(fake, "%s NO [READ-ONLY] Mailbox is read-only", tag);
    else if (strcasecmp(verb, "SEARCH") == 0)
        do_search(fake, tag, tokens);
    else if (strcasecmp(verb, "FETCH") == 0)
        do_fetch(fake, tag, tokens, true);
    else if (strcasecmp(verb, "STORE") == 0)
        do_store(fake, tag, tokens);
    else if (strcasecmp(verb, "COPY") == 0)
        do_copy(fake, tag, tokens, false);
    else if (strcasecmp(verb, "MOVE") == 0 && !fake->options.no_move)
        do_copy(fake, tag, tokens, true);
    else if (strcasecmp(verb, "EXPUNGE") == 0 && !fake->options.no_uidplus)
        do_expunge(fake, tag, next_word(tokens));
    else
        say(fake, "%s BAD Unknown command", tag);
}

static void do_create(struct imapfake *fake, const char *tag, const char *name)
{
    size_t prefix = strlen(fake->options.prefix);
    if (find_folder(fake, name))
        say(fake, "%s NO [ALREADYEXISTS] Mailbox already exists", tag);
    else if (strncmp(name, fake->options.prefix, prefix) != 0)
        say(fake, "%s NO Client tried to access nonexistent namespace", tag);
    else {
        imapfake_add_folder(fake, name, "");
        say(fake, "%s OK Create completed", tag);
    }
}

static void do_other(struct imapfake *fake, const char *tag, const char *verb,
                     struct tokens *tokens)
{
    char words[512];
    if (strcasecmp(verb, "NAMESPACE") == 0) {
        say(fake, "* NAMESPACE ((\"%s\" \"%c\")) NIL ((\"Shared%c\" \"%c\"))", fake->options.prefix,
            fake->options.delimiter, fake->options.delimiter, fake->options.delimiter);
        say(fake, "%s OK Namespace completed", tag);
    } else if (strcasecmp(verb, "CAPABILITY") == 0) {
        capability_words(fake, words);
        say(fake, "* %s", words);
        say(fake, "%s OK Capability completed", tag);
    } else if (strcasecmp(verb, "LOGOUT") == 0) {
        say(fake, "* BYE Logging out");
        say(fake, "%s OK Logout completed", tag);
        fake->closed = true;
    } else if (strcasecmp(verb, "GETQUOTAROOT") == 0) {
        say(fake, "* QUOTAROOT INBOX \"\"");
        say(fake, "* QUOTA \"\" (STORAGE 512 1048576 MESSAGE 3 1000)");
        say(fake, "%s OK Getquotaroot completed", tag);
    } else if (strcasecmp(verb, "ID") == 0 || strcasecmp(verb, "NOOP") == 0 ||
               strcasecmp(verb, "SUBSCRIBE") == 0) {
        say(fake, "%s OK done", tag);
    } else {
        if (strcasecmp(verb, "EXPUNGE") == 0 || strcasecmp(verb, "CLOSE") == 0)
            violate(fake, "removes everyone's deleted messages", verb);
        say(fake, "%s BAD Unknown command", tag);
    }
}

static void carry_out(struct imapfake *fake, struct flz_view command)
{
    _cleanup_(tokens_deinit) struct tokens tokens = {.n = 0};
    tokenize(command, &tokens);
    const char *tag = next_word(&tokens), *verb = next_word(&tokens);
    bool before_login = strcasecmp(verb, "LOGIN") == 0 || strcasecmp(verb, "AUTHENTICATE") == 0;
    fake->commands++;
    if (!before_login) {
        flz_buf_add_str(&fake->transcript, verb);
        for (size_t i = tokens.i; i < tokens.n; i++)
            flz_buf_printf(&fake->transcript, " %s", tokens.words[i]);
    } else {
        flz_buf_printf(&fake->transcript, "%s <blanked>", verb);
    }
    flz_buf_add_str(&fake->transcript, "\n");
    if (fake->on_command) {
        _cleanup_(flz_freep) char *text = strndup((const char *)command.data, command.len);
        fake->on_command(fake, strchr(text, ' ') ? strchr(text, ' ') + 1 : text, fake->userdata);
    }
    noise(fake);
    if (fake->open && fake->known < fake->open->count) {
        fake->known = fake->open->count;
        say(fake, "* %zu EXISTS", fake->known);
    }
    if (strcasecmp(verb, "LOGIN") == 0) {
        bool user = strcmp(next_word(&tokens), IMAPFAKE_USER) == 0;
        logged_in(fake, tag, user && strcmp(next_word(&tokens), IMAPFAKE_PASSWORD) == 0);
    } else if (strcasecmp(verb, "AUTHENTICATE") == 0) {
        do_authenticate(fake, tag, &tokens);
    } else if (!fake->authenticated && strcasecmp(verb, "CAPABILITY") != 0 &&
               strcasecmp(verb, "LOGOUT") != 0) {
        say(fake, "%s BAD Not logged in", tag);
    } else if (strcasecmp(verb, "LIST") == 0) {
        do_list(fake, tag);
    } else if (strcasecmp(verb, "SELECT") == 0 || strcasecmp(verb, "EXAMINE") == 0) {
        do_select(fake, tag, next_word(&tokens), strcasecmp(verb, "EXAMINE") == 0);
    } else if (strcasecmp(verb, "UID") == 0) {
        do_uid(fake, tag, &tokens);
    } else if (strcasecmp(verb, "FETCH") == 0 && fake->open) {
        do_fetch(fake, tag, &tokens, false);
    } else if (strcasecmp(verb, "CREATE") == 0) {
        do_create(fake, tag, next_word(&tokens));
    } else {
        do_other(fake, tag, verb, &tokens);
    }
}

/* A line is whole up to `end`; a literal it announces is asked for first. */
static bool wants_literal(struct imapfake *fake, size_t end)
{
    size_t open = end - 2;
    const char *data = (const char *)fake->in.data;
    if (open < 2 || data[open - 1] != '}')
        return false;
    while (open > 0 && data[open - 1] != '{')
        open--;
    if (open == 0 || sscanf(data + open, "%zu", &fake->literal_len) != 1)
        return false;
    fake->literal_at = end;
    say(fake, "+ go ahead");
    return true;
}

/* Takes one whole command off the input; false when there is none. */
static bool take_command(struct imapfake *fake)
{
    size_t from = 0;
    if (fake->literal_at) {
        if (fake->in.len < fake->literal_at + fake->literal_len)
            return false;
        from = fake->literal_at + fake->literal_len;
    }
    const uint8_t *lf =
        fake->in.len > from ? memchr(fake->in.data + from, '\n', fake->in.len - from) : NULL;
    if (!lf)
        return false;
    size_t end = (size_t)(lf - fake->in.data) + 1;
    if (end < 2 || fake->in.data[end - 2] != '\r')
        violate(fake, "sends a bare LF", "");
    fake->literal_at = 0;
    if (wants_literal(fake, end))
        return true;
    if (fake->awaits_sasl) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%.*s", (int)(end - 2), (const char *)fake->in.data);
        fake->awaits_sasl = false;
        if (text[0])
            check_sasl(fake, fake->sasl_tag, text);
        else
            logged_in(fake, fake->sasl_tag, false);
    } else {
        carry_out(fake, (struct flz_view){fake->in.data, end});
    }
    flz_buf_consume(&fake->in, end);
    return true;
}

void imapfake_feed(struct imapfake *fake, struct flz_view bytes)
{
    if (fake->closed)
        return;
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i] >= 0x80 && !fake->literal_at)
            violate(fake, "sends raw 8-bit", "");
    flz_buf_add_view(&fake->in, bytes);
    while (!fake->closed && take_command(fake))
        ;
}
