/*
 * Usage: test_render [LANGUAGE]. With a language, only its ten thousand seeds per scenario. The
 * golden messages in tests/data/render/ are written anew when UPDATE_GOLDEN is set.
 */
#include "tests/unit/content_fixture.h"

#include "node/core/compose.h"
#include "node/render.h"

#include <errno.h>
#include <gmime/gmime.h>

#define SEEDS 10000

static const char *arg_language;

static struct flz_address address(const char *text)
{
    struct flz_address parsed;
    assert_int_equal(flz_address_parse(text, &parsed), 0);
    return parsed;
}

/* A composed and "signed" message of a conversation between Camille and Paul. */
static void compose(const struct content_pack *pack, uint32_t scenario, uint32_t step,
                    uint64_t seed, struct message_fields *ret_fields)
{
    struct flz_address camille = address("camille.durand@exemple.fr");
    struct flz_address paul = address("paul.martin@example.org");
    struct message_parent parent = {.message_id = "parent@example.org", .n_references = 1};
    struct xheader header = {.step = step, .time_ms = 1, .expiry_ms = 2};
    struct compose_input input = {
        .pack = pack,
        .scenario = scenario,
        .step = step,
        .seed = seed,
        .from = step % 2 ? &paul : &camille,
        .to = step % 2 ? &camille : &paul,
        .message_id = "abcdefghijklmnopqrstuvwxyz234567@exemple.fr",
        .parent = step > 0 ? &parent : NULL,
        .date_ms = INT64_C(1790000000000),
        .utc_offset_minutes = step % 2 ? -210 : 120,
        .quote = true,
        .footer = true,
        .network = "Essai",
        .contact = "contact@example.net",
    };
    strcpy(parent.references[0], "first@exemple.fr");
    strcpy(header.message_id, input.message_id);
    assert_int_equal(compose_message(&input, ret_fields, NULL), 0);
    assert_int_equal(xheader_format(&header, ret_fields->x_fluenzr), 0);
}

static void render(const struct message_fields *fields, struct flz_buf *ret_bytes)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    if (render_message(fields, ret_bytes, &msg) < 0)
        fail_msg("%s", msg.text);
}

/* Lines end with CRLF and nothing else does; all is printable ASCII; none is too long. */
static void check_wire(struct flz_view bytes)
{
    size_t column = 0;
    bool in_header = true;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];
        if (c == '\r') {
            assert_true(i + 1 < bytes.len && bytes.data[i + 1] == '\n');
            in_header = in_header && column > 0;
            column = 0;
            i++;
            continue;
        }
        assert_true((c >= ' ' && c <= '~') || (c == '\t' && column == 0));
        assert_true(++column <= 78);
    }
    assert_int_equal(column, 0);
    assert_false(in_header);
}

static GMimeMessage *parse(struct flz_view bytes)
{
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer((const char *)bytes.data, bytes.len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
    assert_non_null(message);
    return message;
}

static void assert_header(GMimeMessage *message, const char *name, const char *want)
{
    const char *value = g_mime_object_get_header(GMIME_OBJECT(message), name);
    if (want[0] == '\0')
        assert_null(value);
    else
        assert_string_equal(value, want);
}

static void assert_body(GMimeMessage *message, const char *want)
{
    GMimePart *part = GMIME_PART(g_mime_message_get_mime_part(message));
    GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
    assert_true(g_mime_content_type_is_type(type, "text", "plain"));
    assert_string_equal(g_mime_content_type_get_parameter(type, "charset"), "utf-8");

    GMimeStream *stream = g_mime_stream_mem_new();
    (void)g_mime_data_wrapper_write_to_stream(g_mime_part_get_content(part), stream);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
    size_t n = 0;
    for (guint i = 0; i < bytes->len; i++)
        if (bytes->data[i] != '\r')
            bytes->data[n++] = bytes->data[i];
    assert_int_equal(n, strlen(want));
    assert_memory_equal(bytes->data, want, n);
    g_object_unref(stream);
}

/* Reads the bytes as a mail program would and compares with what was meant. */
static void check_parsed(const struct message_fields *fields, struct flz_view bytes)
{
    GMimeMessage *message = parse(bytes);
    assert_string_equal(g_mime_message_get_subject(message), fields->subject);
    assert_string_equal(g_mime_message_get_message_id(message), fields->message_id);
    InternetAddress *from = internet_address_list_get_address(g_mime_message_get_from(message), 0);
    assert_string_equal(internet_address_get_name(from), fields->from_name);
    assert_string_equal(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(from)),
                        fields->from.text);
    GDateTime *date = g_mime_message_get_date(message);
    assert_int_equal(g_date_time_to_unix(date), fields->date_ms / 1000);
    assert_int_equal(g_date_time_get_utc_offset(date) / 60000000, fields->utc_offset_minutes);
    assert_header(message, "Auto-Submitted", fields->auto_submitted);
    assert_header(message, "X-Mailer", "");
    assert_header(message, "User-Agent", "");
    assert_body(message, fields->body);

    struct xheader header;
    const char *value = g_mime_object_get_header(GMIME_OBJECT(message), XHEADER_NAME);
    assert_int_equal(xheader_parse(flz_view_str(value), &header), 0);
    assert_string_equal(header.message_id, fields->message_id);
    g_object_unref(message);
}

static void check_language(const char *language)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack(language);
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    for (uint32_t scenario = 0; scenario < content_scenarios(pack); scenario++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct message_fields fields;
            compose(pack, scenario, (uint32_t)(seed % content_turns(pack, scenario)), seed,
                    &fields);
            flz_buf_reset(&bytes);
            render(&fields, &bytes);
            check_wire(flz_buf_view(&bytes));
            check_parsed(&fields, flz_buf_view(&bytes));
        }
}

static void ten_thousand_seeds_of_each_scenario_are_read_back(void **state)
{
    check_language(arg_language);
}

static void assert_golden(const char *name, struct flz_buf *bytes)
{
    char path[128], want[8192];
    (void)snprintf(path, sizeof path, "tests/data/render/%s.eml", name);
    FILE *file = fopen(path, getenv("UPDATE_GOLDEN") ? "wb+" : "rb");
    assert_non_null(file);
    if (getenv("UPDATE_GOLDEN")) {
        assert_int_equal(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
        rewind(file);
    }
    size_t n = fread(want, 1, sizeof want - 1, file);
    want[n] = '\0';
    (void)fclose(file);
    assert_string_equal(flz_buf_str(bytes), want);
}

static void golden_messages_keep_their_bytes(void **state)
{
    static const char *const languages[] = {"fr", "en"};
    for (size_t i = 0; i < 2; i++)
        for (uint32_t step = 0; step < 2; step++) {
            _cleanup_(content_freep) struct content_pack *pack = fixture_pack(languages[i]);
            _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL, again = FLZ_BUF_NULL;
            struct message_fields fields;
            char name[32];
            compose(pack, 0, step, 2, &fields);
            render(&fields, &bytes);
            render(&fields, &again);
            assert_true(flz_view_equal(flz_buf_view(&bytes), flz_buf_view(&again)));
            (void)snprintf(name, sizeof name, "%s-%u", languages[i], (unsigned)step);
            assert_golden(name, &bytes);
        }
}

static void set(struct message_fields *fields, int which)
{
    switch (which) {
    case 0: strcpy(fields->subject, "Hello\r\nBcc: x@example.org"); break;
    case 1: strcpy(fields->subject, "Hello\nBcc: x@example.org"); break;
    case 2: strcpy(fields->from_name, "Paul\r\nBcc: x@example.org"); break;
    case 3: strcpy(fields->to_name, "Paul\rx"); break;
    case 4: strcpy(fields->to.text, "a@example.org>, <b@example.org"); break;
    case 5: strcpy(fields->from.text, "a@example.org\r\nX: y"); break;
    case 6: strcpy(fields->message_id, "a@b>\r\nX: y"); break;
    case 7: strcpy(fields->in_reply_to, "a@b> <c@d"); break;
    case 8: strcpy(fields->references[0], "a@b\nX: y"); break;
    case 9: fields->n_references = MESSAGE_REFERENCES_MAX + 1; break;
    case 10: strcpy(fields->x_fluenzr, "v=1;\nX: y"); break;
    case 11: strcpy(fields->x_fluenzr, "v=1;\n \nX: y"); break;
    case 12: strcpy(fields->x_fluenzr, "v=1;\r\n x"); break;
    case 13: fields->x_fluenzr[0] = '\0'; break; /* never without it */
    case 14: fields->auto_submitted = "no"; break;
    case 15: fields->auto_submitted = NULL; break;
    case 16: strcpy(fields->body, "one\r\n"); break;
    case 17: strcpy(fields->body, "no end"); break;
    case 18: strcpy(fields->body, "\xff\n"); break;
    case 19: fields->body[0] = '\0'; break;
    case 20: memset(fields->body, 'x', sizeof fields->body); break;
    case 21: memset(fields->subject, 'x', sizeof fields->subject); break;
    case 22: fields->subject[0] = '\0'; break;
    case 23: fields->utc_offset_minutes = 900; break;
    case 24: memset(fields->x_fluenzr, 'x', sizeof fields->x_fluenzr); break;
    case 25: strcpy(fields->subject, "wrong \xc3("); break;
    case 26: memset(fields->from.text, 'a', sizeof fields->from.text); break;
    case 27: strcpy(fields->x_fluenzr, "v=1;\n \n x"); break;
    case 28: fields->auto_submitted = "auto-replied\r\nX: y"; break;
    default: fields->date_ms = INT64_MAX; break;
    }
}

static void no_field_can_make_a_header_of_its_own(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("en");
    for (int i = 0; i < 30; i++) {
        _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
        struct message_fields fields;
        struct flz_msg msg = FLZ_MSG_NULL;
        compose(pack, 0, 1, 1, &fields);
        set(&fields, i);
        if (render_message(&fields, &bytes, &msg) != -EINVAL)
            fail_msg("case %d is rendered:\n%s", i, flz_buf_str(&bytes));
        assert_int_equal(bytes.len, 0);
        assert_true(msg.text[0] != '\0');
    }
}

/* Words and names beyond ASCII, and long ones, come back as they went in. */
static void foreign_words_come_back(void **state)
{
    _cleanup_(content_freep) struct content_pack *pack = fixture_pack("en");
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct message_fields fields;
    compose(pack, 0, 1, 1, &fields);
    strcpy(fields.from_name, "Zo\u00e9");
    render(&fields, &bytes);
    assert_null(strstr(flz_buf_str(&bytes), "iso-8859"));
    check_parsed(&fields, flz_buf_view(&bytes));

    flz_buf_reset(&bytes);
    strcpy(fields.from_name, "Zo\u00e9 \"d'Arc\" \u0141ukasz, (fils)");
    strcpy(fields.subject, "Re: \u00e9\u00e8\u00ea \u4f60\u597d =?utf-8?q?no?= \U0001f331 and on "
                           "and on, until it does not fit any more on one line of a header");
    strcpy(fields.body, ".\n..\nFrom here = there\n\u4f60\u597d \u00e9t\u00e9\n");
    render(&fields, &bytes);
    check_wire(flz_buf_view(&bytes));
    check_parsed(&fields, flz_buf_view(&bytes));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_messages_keep_their_bytes),
        cmocka_unit_test(no_field_can_make_a_header_of_its_own),
        cmocka_unit_test(foreign_words_come_back),
    };
    const struct CMUnitTest seeds[] = {
        cmocka_unit_test(ten_thousand_seeds_of_each_scenario_are_read_back),
    };
    render_init();
    arg_language = argc > 1 ? argv[1] : NULL;
    return arg_language ? cmocka_run_group_tests(seeds, NULL, NULL)
                        : cmocka_run_group_tests(tests, NULL, NULL);
}
