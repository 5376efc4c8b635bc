#include "common/sys/log.h"

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const flz_log_level_words[] = {"error", "warning", "notice", "info", "debug", NULL};
const char *const flz_log_format_words[] = {"logfmt", "json", NULL};

/* syslog(3) priorities, as the journal reads them. */
static const int priorities[FLZ_LOG_LEVELS] = {3, 4, 5, 6, 7};

#define KEY_MAX 64
#define PLAIN_MAX 1024 /* longer values stand in quotes, which are cut where they must be */

/* ---- Building a line ---- */

struct line {
    char text[FLZ_LOG_LINE_MAX];
    size_t len;
    bool cut;
};

/* Room for a closing quote, ` truncated=true` or `,"truncated":true}`, and the newline is kept. */
#define LINE_END 24

/* All of it or nothing; behind the first piece that had no room, nothing more. */
static void put(struct line *line, const char *text, size_t n)
{
    line->cut = line->cut || n > sizeof line->text - LINE_END - line->len;
    if (line->cut)
        return;
    memcpy(line->text + line->len, text, n);
    line->len += n;
}

static void put_str(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* U+0080 to U+009F, which some terminals obey as they do ESC sequences. */
static bool is_c1(const char *text, size_t len)
{
    return len == 2 && (uint8_t)text[0] == 0xc2 && (uint8_t)text[1] < 0xa0;
}

/* The character that `text` begins with, escaped where it is not printable; its length. */
static size_t put_escaped(struct line *line, const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];
    size_t len = flz_utf8_len(text, n);
    char escaped[8];
    if (len == 0)
        put_str(line, "\\ufffd");
    else if (is_c1(text, len))
        put(line, escaped,
            (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned char)text[1]));
    else if (c == '"' || c == '\\')
        put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\%c", c));
    else if (c == '\n')
        put(line, "\\n", 2);
    else if (c == '\r')
        put(line, "\\r", 2);
    else if (c == '\t')
        put(line, "\\t", 2);
    else if (c < 0x20 || c == 0x7f)
        put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
    else
        put(line, text, len);
    return len ? len : 1;
}

/*
 * A quoted value: what is not printable is escaped, so that no value can end the line or its
 * quotes. The closing quote has its place even in a line that is cut.
 */
static void put_quoted(struct line *line, const char *text, size_t n)
{
    put(line, "\"", 1);
    if (line->cut)
        return;
    for (size_t i = 0; i < n && !line->cut;)
        i += put_escaped(line, text + i, n - i);
    line->text[line->len++] = '"';
}

static bool is_plain(const char *text, size_t n)
{
    size_t len = 1;
    for (size_t i = 0; i < n && len > 0; i += len) {
        len = flz_utf8_len(text + i, n - i);
        if ((unsigned char)text[i] <= 0x20 || strchr("\"\\=\x7f", text[i]) ||
            is_c1(text + i, len))
            return false;
    }
    return n > 0 && len > 0;
}

static bool is_number(const char *text, size_t n)
{
    size_t i = n > 0 && text[0] == '-';
    if (i == n || (text[i] == '0' && n > i + 1 && text[i + 1] != '.'))
        return false;
    size_t dots = 0;
    for (; i < n; i++) {
        if (text[i] == '.' && dots++ == 0 && i + 1 < n)
            continue;
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return true;
}

/* False when no part of the value found room. */
static bool put_value(struct line *line, enum flz_log_format format, const char *value, size_t len,
                      bool number)
{
    size_t start = line->len;
    bool bare = format == FLZ_LOG_JSON ? number && is_number(value, len)
                                       : len < PLAIN_MAX && is_plain(value, len);
    if (bare)
        put(line, value, len);
    else
        put_quoted(line, value, len);
    return line->len > start;
}

static void put_field(struct line *line, enum flz_log_format format, const char *key,
                      size_t key_len, const char *value, size_t value_len, bool number)
{
    bool json = format == FLZ_LOG_JSON;
    size_t start = line->len;
    put_str(line, json ? ",\"" : " ");
    put(line, key, key_len);
    put_str(line, json ? "\":" : "=");
    if (line->cut || !put_value(line, format, value, value_len, number))
        line->len = start; /* a key without a value would break the line */
}

/* ---- The list of fields: key=value with printf conversions inside the value ---- */

/* Formats one conversion into `out`; returns the rest of the format behind it. */
static const char *convert(const char *format, va_list *args, struct flz_buf *out, bool *number)
{
    char spec[32] = "%";
    size_t n = 1;
    format++;
    while (*format && strchr("-+ #0123456789.hljz*", *format) && n < sizeof spec - 2) {
        if (*format == '*') {
            int width = va_arg(*args, int);
            n += (size_t)snprintf(spec + n, sizeof spec - n, "%d", width < 0 ? 0 : width);
            format++;
            continue;
        }
        spec[n++] = *format++;
    }
    char type = *format ? *format++ : '%';
    int longs = (strstr(spec, "ll") != NULL) + (strchr(spec, 'l') != NULL);
    bool wide = strchr(spec, 'z') != NULL || strchr(spec, 'j') != NULL;
    spec[n++] = type;
    spec[n] = '\0';
    *number = strchr("diuf", type) != NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    switch (type) {
    case 's': {
        const char *text = va_arg(*args, const char *);
        flz_buf_printf(out, spec, text ? text : "");
        break;
    }
    case 'c': flz_buf_printf(out, spec, va_arg(*args, int)); break;
    case 'f': flz_buf_printf(out, spec, va_arg(*args, double)); break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
        if (wide || longs == 1)
            flz_buf_printf(out, spec, va_arg(*args, long));
        else if (longs == 2)
            flz_buf_printf(out, spec, va_arg(*args, long long));
        else
            flz_buf_printf(out, spec, va_arg(*args, int));
        break;
    case '%': flz_buf_add_byte(out, '%'); break;
    default: assert(!"a conversion that the log does not know");
    }
#pragma GCC diagnostic pop
    return format;
}

static const char *put_one(struct line *line, enum flz_log_format format, const char *fields,
                           va_list *args, struct flz_buf *value)
{
    const char *key = fields;
    size_t key_len = strcspn(fields, "=");
    bool number = false;
    fields += key_len + (fields[key_len] == '=');
    flz_buf_reset(value);
    bool quoted = *fields == '"';
    fields += quoted;
    while (*fields && (quoted ? *fields != '"' : *fields != ' ')) {
        if (*fields == '%') {
            bool converted_number;
            bool first = value->len == 0;
            fields = convert(fields, args, value, &converted_number);
            number = first && converted_number;
        } else {
            flz_buf_add_byte(value, (uint8_t)*fields++);
            number = false;
        }
    }
    fields += quoted && *fields == '"';
    put_field(line, format, key, key_len < KEY_MAX ? key_len : KEY_MAX, (const char *)value->data,
              value->len, number);
    while (*fields == ' ')
        fields++;
    return fields;
}

static void put_head(struct line *line, const struct flz_log *log, enum flz_log_level level,
                     const char *event)
{
    char time[FLZ_TIME_TEXT_MAX];
    char prefix[8];
    flz_time_format(flz_realtime_ms(), time);
    if (log->priority_prefix)
        put(line, prefix, (size_t)snprintf(prefix, sizeof prefix, "<%d>", priorities[level]));
    if (log->format == FLZ_LOG_JSON)
        put_str(line, "{\"ts\":\"");
    else
        put_str(line, "ts=");
    put_str(line, time);
    put_str(line, log->format == FLZ_LOG_JSON ? "\",\"level\":\"" : " level=");
    put_str(line, flz_log_level_words[level]);
    put_str(line, log->format == FLZ_LOG_JSON ? "\",\"event\":\"" : " event=");
    put_str(line, event);
    if (log->format == FLZ_LOG_JSON)
        put_str(line, "\"");
}

static void write_line(const struct flz_log *log, struct line *line)
{
    bool json = log->format == FLZ_LOG_JSON;
    /* LINE_END bytes were kept back for these. */
    const char *end = line->cut ? (json ? ",\"truncated\":true}\n" : " truncated=true\n")
                                : (json ? "}\n" : "\n");
    memcpy(line->text + line->len, end, strlen(end));
    line->len += strlen(end);
    const char *at = line->text;
    while (line->len > 0) {
        ssize_t n = write(log->fd, at, line->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody can be told */
        at += n;
        line->len -= (size_t)n;
    }
}

static void vlog(struct flz_log *log, enum flz_log_level level, const char *event,
                 const char *fields, va_list *args)
{
    struct line line = {.len = 0};
    struct flz_buf value = FLZ_BUF_NULL;
    put_head(&line, log, level, event);
    while (*fields)
        fields = put_one(&line, log->format, fields, args, &value);
    flz_buf_deinit(&value);
    write_line(log, &line);
}

void flz_log(struct flz_log *log, enum flz_log_level level, const char *event, const char *fields,
             ...)
{
    if (!log)
        return;
    atomic_fetch_add(&log->count[level], 1);
    if (level > log->level)
        return;
    va_list args;
    va_start(args, fields);
    vlog(log, level, event, fields, &args);
    va_end(args);
}

void flz_log_failure(struct flz_log *log, const char *event, int r, const struct flz_msg *msg)
{
    struct flz_origin origin = flz_error_origin();
    bool known = origin.code == r && origin.file;
    flz_log(log, FLZ_LOG_ERROR, event, "error=%s at=%s:%d message=%s", strerror(-r),
            known ? origin.file : "?", known ? origin.line : 0, msg ? msg->text : "");
}

/* ---- Life ---- */

static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    unsigned long long device, inode;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void flz_log_init(struct flz_log *log, int fd, enum flz_log_level level, enum flz_log_format format)
{
    log->fd = fd;
    log->level = level;
    log->format = format;
    log->priority_prefix = is_journal(fd);
    for (int i = 0; i < FLZ_LOG_LEVELS; i++)
        atomic_init(&log->count[i], 0);
}
