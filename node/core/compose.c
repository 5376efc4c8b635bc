#include "node/core/compose.h"

#include "common/base/rng.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/content/utf8.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define QUOTE_LINES_MAX 5
#define ZONE_MINUTES_MAX (14 * 60)
/* A four-digit year is all that a Date field can hold. */
#define DATE_MS_MAX (INT64_C(253402300800) * FLZ_SECOND_MS - ZONE_MINUTES_MAX * FLZ_MINUTE_MS)

static void add_reference(char references[][XHEADER_MESSAGE_ID_MAX], uint32_t *n, const char *id)
{
    for (uint32_t i = 0; i < *n; i++)
        if (strcmp(references[i], id) == 0)
            return;
    if (*n == MESSAGE_REFERENCES_MAX) {
        memmove(references[0], references[1],
                (MESSAGE_REFERENCES_MAX - 1) * sizeof references[0]);
        --*n;
    }
    int r = flz_text_copy(references[*n], XHEADER_MESSAGE_ID_MAX, id);
    assert(r == 0);
    ++*n;
}

void message_parent_add(struct message_parent *parent, struct flz_view id)
{
    char text[XHEADER_MESSAGE_ID_MAX];
    if (id.len >= sizeof text || (id.len > 0 && memchr(id.data, '\0', id.len)))
        return;
    if (id.len > 0)
        memcpy(text, id.data, id.len);
    text[id.len] = '\0';
    if (xheader_message_id_is_valid(text))
        add_reference(parent->references, &parent->n_references, text);
}

static bool is_letter(char c)
{
    return flz_ascii_lower(c) >= 'a' && flz_ascii_lower(c) <= 'z';
}

static bool is_vowel(char c)
{
    return strchr("aeiouy", flz_ascii_lower(c)) != NULL;
}

/* Letters, 2 to 20 of them, with single hyphens or apostrophes inside, and a vowel. */
static bool is_name_part(const char *part, size_t len)
{
    bool vowel = false;
    if (len < 2 || len > 20 || !is_letter(part[0]) || !is_letter(part[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(part[i]) && ((part[i] != '-' && part[i] != '\'') || !is_letter(part[i - 1])))
            return false;
        vowel = vowel || (is_letter(part[i]) && is_vowel(part[i]));
    }
    return vowel;
}

/*
 * "camille@" is a given name, "cdurand@" is not: a lone part must begin as names are spoken, with
 * a vowel within its first two letters or after a usual group of consonants.
 */
static bool is_lone_name(const char *part, size_t len)
{
    static const char *const onsets[] = {"bl", "br", "ch", "chr", "cl", "cr", "dr", "fl", "fr",
                                         "gl", "gr", "gw", "kl",  "kr", "ph", "pl", "pr", "sch",
                                         "sh", "st", "sv", "th",  "tr", "vl", "wr"};
    if (len < 3 || len > 10)
        return false;
    if (is_vowel(part[0]) || is_vowel(part[1]))
        return true;
    for (size_t i = 0; i < sizeof onsets / sizeof *onsets; i++) {
        size_t n = strlen(onsets[i]);
        if (n < len && strncasecmp(part, onsets[i], n) == 0 && is_vowel(part[n]))
            return true;
    }
    return false;
}

/* What stands before an "@" without being anybody's name. */
static bool is_function(const char *part, size_t len)
{
    static const char *const words[] = {
        "account", "accueil",  "achats",  "adresse", "agence", "atelier", "bureau", "client",
        "compta",  "comptes",  "contact", "demo",    "direction", "email", "equipe", "garage",
        "hello",   "bonjour",  "home",    "inbox",   "joueur", "mail",    "mailbox", "mairie",
        "member",  "membre",   "node",    "person",  "personne", "reception", "salon",
        "secretariat",
        "sender",  "studio",   "team",    "test",    "user",   "utilisateur", "vente", "warm",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], part, len) == 0)
            return true;
    return false;
}

/* Appends one part, capitals after hyphens and apostrophes too: "Jean-Pierre", "O'Neil". */
static void add_name_part(char *name, const char *part, size_t len)
{
    size_t n = strlen(name);
    assert(n + len < MESSAGE_NAME_MAX);
    for (size_t i = 0; i < len; i++) {
        char lower = flz_ascii_lower(part[i]);
        bool first = i == 0 || !is_letter(part[i - 1]);
        name[n + i] = first && is_letter(lower) ? (char)(lower - 'a' + 'A') : lower;
    }
    name[n + len] = '\0';
}

/* The part of the address that may be a name: no "+tag", no year or number at its end. */
static size_t name_len(const char *address)
{
    size_t len = strcspn(address, "@+");
    size_t digits = 0;
    while (digits < len && address[len - 1 - digits] >= '0' && address[len - 1 - digits] <= '9')
        digits++;
    return digits <= 4 ? len - digits : len;
}

void compose_names_of(const struct flz_address *address, char ret_full[static MESSAGE_NAME_MAX],
                      char ret_given[static MESSAGE_NAME_MAX])
{
    char full[MESSAGE_NAME_MAX] = "", given[MESSAGE_NAME_MAX] = "";
    const char *part = address->text;
    const char *end = part + name_len(part);
    int parts = 0;
    ret_full[0] = ret_given[0] = '\0';
    for (; part <= end && parts < 3; parts++) {
        size_t len = strcspn(part, "._");
        if (len > (size_t)(end - part))
            len = (size_t)(end - part);
        if (!is_name_part(part, len) || is_function(part, len))
            return;
        if (parts == 0 && part + len == end && !is_lone_name(part, len))
            return;
        if (parts > 0)
            add_name_part(full, " ", 1);
        add_name_part(full, part, len);
        if (parts == 0)
            add_name_part(given, part, len);
        part += len + 1;
    }
    if (part <= end)
        return; /* more parts than people have names */
    memcpy(ret_full, full, sizeof full);
    memcpy(ret_given, given, sizeof given);
}

static int refuse(struct flz_msg *msg, int code, const char *what)
{
    flz_msg_set(msg, "%s", what);
    return flz_fail(code);
}

static bool line_is_valid(const char *text)
{
    return text && text[0] && strnlen(text, MESSAGE_CONTACT_MAX) < MESSAGE_CONTACT_MAX &&
           utf8_is_line(flz_view_str(text));
}

static int check_input(const struct compose_input *input, struct flz_msg *msg)
{
    if (input->step >= content_turns(input->pack, input->scenario))
        return refuse(msg, -ERANGE, "no such scenario or step in the content pack");
    if (!xheader_message_id_is_valid(input->message_id))
        return refuse(msg, -EINVAL, "malformed Message-ID");
    if ((input->step > 0) != (input->parent != NULL))
        return refuse(msg, -EINVAL, "a reply, and only a reply, has a parent");
    if (input->parent && !xheader_message_id_is_valid(input->parent->message_id))
        return refuse(msg, -EINVAL, "malformed Message-ID of the parent");
    if (input->parent && input->parent->n_references > MESSAGE_REFERENCES_MAX)
        return refuse(msg, -EINVAL, "too many references");
    if (input->date_ms < 0 || input->date_ms > DATE_MS_MAX ||
        input->utc_offset_minutes < -ZONE_MINUTES_MAX ||
        input->utc_offset_minutes > ZONE_MINUTES_MAX)
        return refuse(msg, -EINVAL, "date or time zone out of range");
    if (input->footer && (!line_is_valid(input->network) || !line_is_valid(input->contact)))
        return refuse(msg, -EINVAL, "network name or contact is not a line of text");
    return 0;
}

/* Names of both ends, and the view of them that the one who writes has. */
struct people {
    char from_full[MESSAGE_NAME_MAX], from_given[MESSAGE_NAME_MAX];
    char to_full[MESSAGE_NAME_MAX], to_given[MESSAGE_NAME_MAX];
    struct content_names writing, written; /* of this message; of the one it answers */
};

static void people_init(struct people *people, const struct compose_input *input)
{
    compose_names_of(input->from, people->from_full, people->from_given);
    compose_names_of(input->to, people->to_full, people->to_given);
    people->writing = (struct content_names){
        .from_name = people->from_given,
        .from_full = people->from_full,
        .to_name = people->to_given,
        .to_full = people->to_full,
    };
    people->written = (struct content_names){
        .from_name = people->to_given,
        .from_full = people->to_full,
        .to_name = people->from_given,
        .to_full = people->from_full,
    };
}

static bool wants_quote(const struct compose_input *input)
{
    static const char domain[] = "fluenzr/compose/v1";
    uint8_t bytes[sizeof domain + 8];
    memcpy(bytes, domain, sizeof domain);
    flz_put_be64(bytes + sizeof domain, input->seed);
    struct flz_rng rng;
    flz_rng_init(&rng, (struct flz_view){.data = bytes, .len = sizeof bytes}, input->step);
    return input->quote && input->step > 0 && flz_rng_below(&rng, 2) == 1;
}

/* Where the first paragraph behind the greeting starts. */
static const char *skip_greeting(const char *body)
{
    const char *gap = strstr(body, "\n\n");
    return gap ? gap + 2 : body;
}

/* Appends the first lines of `paragraph` behind "> "; a longer one ends with "> [...]". */
static void add_quoted(const char *paragraph, struct flz_buf *out)
{
    int lines = 0;
    for (const char *p = paragraph; *p && *p != '\n'; p += strcspn(p, "\n") + 1)
        lines++;
    int shown = lines <= QUOTE_LINES_MAX ? lines : QUOTE_LINES_MAX - 1;
    for (int i = 0; i < shown; i++) {
        size_t len = strcspn(paragraph, "\n");
        flz_buf_add_str(out, "> ");
        flz_buf_add(out, paragraph, len + 1);
        paragraph += len + 1;
    }
    if (shown < lines)
        flz_buf_add_str(out, "> [...]\n");
}

/* The parent's words, said again from pack and seed. */
static int add_quote(const struct compose_input *input, const struct people *people,
                     struct flz_buf *out)
{
    _cleanup_(flz_buf_deinit) struct flz_buf parent = FLZ_BUF_NULL;
    int r = content_body(input->pack, input->scenario, input->step - 1, input->seed,
                         &people->written, &parent);
    if (r < 0)
        return r;
    r = content_attribution(input->pack, &people->writing, out);
    if (r < 0)
        return r;
    add_quoted(skip_greeting(flz_buf_str(&parent)), out);
    flz_buf_add_byte(out, '\n');
    return flz_buf_error(out);
}

static int write_body(const struct compose_input *input, const struct people *people, bool quote,
                      struct flz_buf *out)
{
    int r = quote ? add_quote(input, people, out) : 0;
    if (r < 0)
        return r;
    r = content_body(input->pack, input->scenario, input->step, input->seed, &people->writing, out);
    if (r < 0 || !input->footer)
        return r;
    flz_buf_add_byte(out, '\n');
    return content_footer(input->pack, input->network, input->contact, out);
}

/* The body, without its quotation where that would make it too long. */
static int set_body(const struct compose_input *input, const struct people *people, char *ret_body)
{
    _cleanup_(flz_buf_deinit) struct flz_buf body = FLZ_BUF_NULL;
    bool quote = wants_quote(input);
    int r = write_body(input, people, quote, &body);
    if (r == 0 && quote && body.len > CONTENT_BODY_MAX) {
        flz_buf_reset(&body);
        r = write_body(input, people, false, &body);
    }
    if (r < 0)
        return r;
    return flz_text_copy(ret_body, CONTENT_BODY_MAX + 1, flz_buf_str(&body)) < 0
               ? flz_fail(-EMSGSIZE)
               : flz_buf_error(&body);
}

static int set_subject(const struct compose_input *input, char *ret_subject)
{
    _cleanup_(flz_buf_deinit) struct flz_buf subject = FLZ_BUF_NULL;
    if (input->step > 0)
        flz_buf_add_str(&subject, "Re: ");
    int r = content_subject(input->pack, input->scenario, input->seed, &subject);
    if (r < 0)
        return r;
    return flz_text_copy(ret_subject, CONTENT_SUBJECT_MAX, flz_buf_str(&subject)) < 0
               ? flz_fail(-EMSGSIZE)
               : 0;
}

/* RFC 5322 3.6.4: In-Reply-To is the parent, References the parent's references and the parent. */
static void set_thread(const struct compose_input *input, struct message_fields *fields)
{
    if (!input->parent)
        return;
    memcpy(fields->in_reply_to, input->parent->message_id, sizeof fields->in_reply_to);
    for (uint32_t i = 0; i < input->parent->n_references; i++)
        if (xheader_message_id_is_valid(input->parent->references[i]) &&
            strcmp(input->parent->references[i], input->parent->message_id) != 0)
            add_reference(fields->references, &fields->n_references, input->parent->references[i]);
    add_reference(fields->references, &fields->n_references, input->parent->message_id);
}

int compose_message(const struct compose_input *input, struct message_fields *ret_fields,
                    struct flz_msg *msg)
{
    int r = check_input(input, msg);
    if (r < 0)
        return r;

    struct people people;
    people_init(&people, input);
    struct message_fields fields;
    memset(&fields, 0, sizeof fields);
    fields.from = *input->from;
    fields.to = *input->to;
    memcpy(fields.from_name, people.from_full, sizeof fields.from_name);
    memcpy(fields.to_name, people.to_full, sizeof fields.to_name);
    fields.date_ms = input->date_ms;
    fields.utc_offset_minutes = input->utc_offset_minutes;
    /* RFC 3834 5: nothing that answers mail by itself is to answer this. */
    fields.auto_submitted = input->step > 0 ? "auto-replied" : "auto-generated";
    (void)flz_text_copy(fields.message_id, sizeof fields.message_id, input->message_id);
    set_thread(input, &fields);

    r = set_subject(input, fields.subject);
    if (r == 0)
        r = set_body(input, &people, fields.body);
    if (r < 0)
        return refuse(msg, r, r == -EMSGSIZE ? "text above the limits" : "out of memory");
    *ret_fields = fields;
    return 0;
}
