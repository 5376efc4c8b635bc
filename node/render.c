#include "node/render.h"

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/content/utf8.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <string.h>

#define ZONE_MINUTES_MAX (14 * 60)
/* RFC 5322 2.1.1: a line SHOULD stay below 78 columns; longer ones are sent as quoted-printable. */
#define PLAIN_COLUMNS_MAX 78

static inline void object_unrefp(void *p)
{
    if (*(void **)p)
        g_object_unref(*(void **)p);
}

static inline void options_freep(GMimeFormatOptions **options)
{
    if (*options)
        g_mime_format_options_free(*options);
}

static inline void date_unrefp(GDateTime **date)
{
    if (*date)
        g_date_time_unref(*date);
}

void render_init(void)
{
    g_mime_init();
}

static int refuse(struct flz_msg *msg, const char *field)
{
    flz_msg_set(msg, "%s must not stand in a message as it is", field);
    return flz_fail(-EINVAL);
}

static bool line_is_valid(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    return len < size && utf8_is_line((struct flz_view){.data = (const uint8_t *)text, .len = len});
}

static bool address_is_valid(const struct flz_address *address)
{
    struct flz_address parsed;
    return strnlen(address->text, sizeof address->text) < sizeof address->text &&
           flz_address_parse(address->text, &parsed) == 0;
}

/* As xheader_format() writes it: printable ASCII, folded by LF and a space before more of it. */
static bool folded_is_valid(const char *value, size_t size)
{
    size_t len = strnlen(value, size);
    if (len == 0 || len == size || value[0] == '\n' || value[len - 1] == '\n')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\n' && (value[i + 1] != ' ' || value[i + 2] <= ' '))
            return false;
        if (value[i] != '\n' && (value[i] < ' ' || value[i] > '~'))
            return false;
    }
    return true;
}

/* Lines of text, each with its LF. */
static bool body_is_valid(const char *body, size_t size)
{
    size_t len = strnlen(body, size);
    if (len == 0 || len == size || body[len - 1] != '\n')
        return false;
    for (const char *line = body; *line;) {
        size_t n = strcspn(line, "\n");
        if (!utf8_is_line((struct flz_view){.data = (const uint8_t *)line, .len = n}))
            return false;
        line += n + 1;
    }
    return true;
}

static bool thread_is_valid(const struct message_fields *fields)
{
    if (fields->n_references > MESSAGE_REFERENCES_MAX ||
        (fields->in_reply_to[0] && !xheader_message_id_is_valid(fields->in_reply_to)))
        return false;
    for (uint32_t i = 0; i < fields->n_references; i++)
        if (!xheader_message_id_is_valid(fields->references[i]))
            return false;
    return true;
}

/* The last gate before a field is bytes: no CR, LF or NUL can make a header of its own. */
static int check(const struct message_fields *fields, struct flz_msg *msg)
{
    if (!address_is_valid(&fields->from) || !address_is_valid(&fields->to))
        return refuse(msg, "an address");
    if (!line_is_valid(fields->from_name, sizeof fields->from_name) ||
        !line_is_valid(fields->to_name, sizeof fields->to_name))
        return refuse(msg, "a display name");
    if (!fields->subject[0] || !line_is_valid(fields->subject, sizeof fields->subject))
        return refuse(msg, "the subject");
    if (!xheader_message_id_is_valid(fields->message_id) || !thread_is_valid(fields))
        return refuse(msg, "a Message-ID");
    if (fields->utc_offset_minutes < -ZONE_MINUTES_MAX ||
        fields->utc_offset_minutes > ZONE_MINUTES_MAX)
        return refuse(msg, "the time zone");
    if (!fields->auto_submitted || (strcmp(fields->auto_submitted, "auto-generated") != 0 &&
                                    strcmp(fields->auto_submitted, "auto-replied") != 0))
        return refuse(msg, "Auto-Submitted");
    if (!folded_is_valid(fields->x_fluenzr, sizeof fields->x_fluenzr))
        return refuse(msg, XHEADER_NAME);
    if (!body_is_valid(fields->body, sizeof fields->body))
        return refuse(msg, "the body");
    return 0;
}

/* Date in the sender's own zone, as people's programs write it. */
static int set_date(GMimeMessage *message, const struct message_fields *fields)
{
    _cleanup_(date_unrefp) GDateTime *utc =
        g_date_time_new_from_unix_utc(fields->date_ms / FLZ_SECOND_MS);
    GTimeZone *zone = g_time_zone_new_offset(fields->utc_offset_minutes * 60);
    _cleanup_(date_unrefp) GDateTime *local = utc ? g_date_time_to_timezone(utc, zone) : NULL;
    g_time_zone_unref(zone);
    if (!local)
        return flz_fail(-EINVAL);
    g_mime_message_set_date(message, local);
    return 0;
}

/* A header whose value stands as it is, already folded. */
static void add_raw(GMimeHeaderList *headers, const char *name, const char *value)
{
    g_autofree char *raw = g_strdup_printf(" %s\n", value);
    g_mime_header_list_append(headers, name, "", NULL);
    g_mime_header_set_raw_value(
        g_mime_header_list_get_header_at(headers, g_mime_header_list_get_count(headers) - 1), raw);
}

/* RFC 5322 3.6.4: one id a line; a folded list is read as one by everybody. */
static void add_references(GMimeHeaderList *headers, const struct message_fields *fields)
{
    g_autoptr(GString) value = g_string_new(NULL);
    for (uint32_t i = 0; i < fields->n_references; i++)
        g_string_append_printf(value, "%s<%s>", i > 0 ? "\n " : "", fields->references[i]);
    if (value->len > 0)
        add_raw(headers, "References", value->str);
}

static void add_message_id(GMimeHeaderList *headers, const char *name, const char *message_id)
{
    g_autofree char *value = g_strdup_printf("<%s>", message_id);
    add_raw(headers, name, value);
}

/* Without a charset of its own a name would be encoded in the "best" one, iso-8859-1. */
static void add_mailbox(GMimeMessage *message, GMimeAddressType type, const char *name,
                        const struct flz_address *address)
{
    _cleanup_(object_unrefp) InternetAddress *mailbox =
        internet_address_mailbox_new(name[0] ? name : NULL, address->text);
    internet_address_set_charset(mailbox, "utf-8");
    internet_address_list_add(g_mime_message_get_addresses(message, type), mailbox);
}

static void set_headers(GMimeMessage *message, const struct message_fields *fields)
{
    GMimeHeaderList *headers = g_mime_object_get_header_list(GMIME_OBJECT(message));
    add_mailbox(message, GMIME_ADDRESS_TYPE_FROM, fields->from_name, &fields->from);
    add_mailbox(message, GMIME_ADDRESS_TYPE_TO, fields->to_name, &fields->to);
    g_mime_message_set_subject(message, fields->subject, "utf-8");
    add_message_id(headers, "Message-ID", fields->message_id);
    if (fields->in_reply_to[0])
        add_message_id(headers, "In-Reply-To", fields->in_reply_to);
    add_references(headers, fields);
    add_raw(headers, "Auto-Submitted", fields->auto_submitted);
    add_raw(headers, XHEADER_NAME, fields->x_fluenzr);
}

/* ASCII of ordinary width goes as it is, all else as quoted-printable. */
static bool is_plain(const char *body)
{
    for (const char *line = body; *line;) {
        size_t n = strcspn(line, "\n");
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)line[i] >= 0x80)
                return false;
        if (n > PLAIN_COLUMNS_MAX)
            return false;
        line += n + 1;
    }
    return true;
}

/*
 * The text goes in as content with a charset of our own: g_mime_text_part_set_text() would choose
 * the "best" one, iso-8859-1 for French.
 */
static GMimePart *make_part(const char *body)
{
    GMimePart *part = g_mime_part_new_with_type("text", "plain");
    _cleanup_(object_unrefp) GMimeStream *stream =
        g_mime_stream_mem_new_with_buffer(body, strlen(body));
    _cleanup_(object_unrefp) GMimeDataWrapper *content =
        g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);
    g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "charset", "utf-8");
    g_mime_part_set_content(part, content);
    g_mime_part_set_content_encoding(part, is_plain(body) ? GMIME_CONTENT_ENCODING_7BIT
                                                          : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    return part;
}

static int write_message(GMimeMessage *message, struct flz_buf *ret_bytes)
{
    _cleanup_(options_freep) GMimeFormatOptions *options = g_mime_format_options_new();
    _cleanup_(object_unrefp) GMimeStream *stream = g_mime_stream_mem_new();
    g_mime_format_options_set_newline_format(options, GMIME_NEWLINE_FORMAT_DOS);
    if (g_mime_object_write_to_stream(GMIME_OBJECT(message), options, stream) < 0)
        return flz_fail(-ENOMEM);
    const GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
    flz_buf_add(ret_bytes, bytes->data, bytes->len);
    return flz_buf_error(ret_bytes);
}

int render_message(const struct message_fields *fields, struct flz_buf *ret_bytes,
                   struct flz_msg *msg)
{
    int r = check(fields, msg);
    if (r < 0)
        return r;
    _cleanup_(object_unrefp) GMimeMessage *message = g_mime_message_new(FALSE);
    r = set_date(message, fields);
    if (r < 0)
        return refuse(msg, "the date");
    set_headers(message, fields);
    _cleanup_(object_unrefp) GMimePart *part = make_part(fields->body);
    g_mime_message_set_mime_part(message, GMIME_OBJECT(part));
    return write_message(message, ret_bytes);
}
