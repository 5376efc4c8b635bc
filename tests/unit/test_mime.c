#include "node/core/mime.h"

#include "common/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void types_and_parameters_are_read_as_written(void **state)
{
    static const struct {
        const char *value;
        bool is;
        const char *type;
        const char *parameter;
    } rows[] = {
        {" multipart/report; report-type=delivery-status; boundary=x", true, "multipart/report",
         "delivery-status"},
        {"Multipart/Report;\r\n\tboundary=\"a;report-type=no\";\r\n REPORT-TYPE = "
         "\"Feedback\\-Report\"",
         true, "multipart/report", "feedback-report"},
        {"text/plain", true, "text/plain", ""},
        {"multipart/report; x-report-type=a", true, "multipart/report", ""},
        {"multipart/report; report-type", true, "multipart/report", ""},
        {"multipart/report; report-type=\"open", true, "multipart/report", "open"},
        {"report", false, "", ""},
        {"", false, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char type[MIME_TYPE_MAX], value[MIME_TYPE_MAX];
        assert_int_equal(mime_type(flz_view_str(rows[i].value), "report-type", type, value),
                         rows[i].is);
        assert_string_equal(type, rows[i].type);
        assert_string_equal(value, rows[i].parameter);
    }
}

static void parts_end_where_their_boundary_stands_at_a_line(void **state)
{
    static const char text[] = "Content-Type: multipart/mixed; boundary=ab\r\n\r\n"
                               "prologue --ab not here\r\n"
                               "--ab\r\n\r\none --ab\r\n--abc\r\n"
                               "--ab \r\nContent-Type: a/b\r\n\r\ntwo\r\n\r\n"
                               "--ab--\r\nepilogue\r\n--ab\r\n\r\nthree\r\n";
    struct mime mime;
    char body[64];
    mime_split(flz_view_str(text), &mime);
    assert_int_equal(mime.parts_count, 2);
    assert_int_equal(mime_decode(&mime.parts[0], body, sizeof body), 15);
    assert_string_equal(body, "one --ab\r\n--abc");
    assert_string_equal(mime.parts[0].type, "");
    (void)mime_decode(&mime.parts[1], body, sizeof body);
    assert_string_equal(body, "two\r\n");
    assert_ptr_equal(mime_find(&mime, "a/b"), &mime.parts[1]);
    assert_null(mime_find(&mime, "a/c"));
}

static void encodings_are_undone_and_bounded(void **state)
{
    static const struct {
        enum mime_encoding encoding;
        const char *text;
        const char *decoded;
    } rows[] = {
        {MIME_PLAIN, "as it =41 is", "as it =41 is"},
        {MIME_QUOTED_PRINTABLE, "a=3Db=\r\nc=\nd=4", "a=bcd=4"},
        {MIME_QUOTED_PRINTABLE, "=C3=A9=zz=", "\xc3\xa9=zz="},
        {MIME_BASE64, "SGVs\r\nbG8s\r\n IHdv cmxkIQ==\r\n", "Hello, world!"},
        {MIME_BASE64, "SGVs!bG8s", "Hel"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mime_part part = {.encoding = rows[i].encoding, .body = flz_view_str(rows[i].text)};
        char text[64], little[4];
        assert_int_equal(mime_decode(&part, text, sizeof text), strlen(rows[i].decoded));
        assert_string_equal(text, rows[i].decoded);
        assert_true(mime_decode(&part, little, sizeof little) <= 3);
        assert_memory_equal(little, rows[i].decoded, 3);
    }
}

static void ten_thousand_parts_are_a_few(void **state)
{
    struct flz_buf text = FLZ_BUF_NULL;
    struct mime mime;
    flz_buf_add_str(&text, "Content-Type: multipart/mixed; boundary=x\n\n");
    for (int i = 0; i < 10000; i++)
        flz_buf_add_str(&text, "--x\n\n");
    mime_split(flz_buf_view(&text), &mime);
    assert_int_equal(mime.parts_count, MIME_PARTS_MAX);
    flz_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_parameters_are_read_as_written),
        cmocka_unit_test(parts_end_where_their_boundary_stands_at_a_line),
        cmocka_unit_test(encodings_are_undone_and_bounded),
        cmocka_unit_test(ten_thousand_parts_are_a_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
