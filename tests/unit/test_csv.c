#include "node/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void records_come_field_by_field(void **state)
{
    char text[] = "\xef\xbb\xbf"
                  "a,b,c\r\n\r\n\"x, \"\"y\"\"\",,last\n\"two\nlines\",z\nend";
    char *fields[CSV_FIELDS_MAX];
    size_t n;
    struct csv csv;
    csv_init(&csv, text);
    assert_int_equal(csv_next(&csv, fields, &n), 0);
    assert_int_equal(n, 3);
    assert_string_equal(fields[0], "a");
    assert_int_equal(csv.line, 1);
    assert_int_equal(csv_next(&csv, fields, &n), 0);
    assert_int_equal(n, 3);
    assert_string_equal(fields[0], "x, \"y\"");
    assert_string_equal(fields[1], "");
    assert_string_equal(fields[2], "last");
    assert_int_equal(csv.line, 3);
    assert_int_equal(csv_next(&csv, fields, &n), 0);
    assert_string_equal(fields[0], "two\nlines");
    assert_int_equal(csv.line, 4);
    assert_int_equal(csv_next(&csv, fields, &n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(fields[0], "end");
    assert_int_equal(csv.line, 6);
    assert_int_equal(csv_next(&csv, fields, &n), CSV_E_END);
}

static void malformed_records_are_named(void **state)
{
    char open[] = "a\n\"never closed", behind[] = "\"a\"b,c\n", many[64] = "";
    char *fields[CSV_FIELDS_MAX];
    size_t n;
    struct csv csv;
    csv_init(&csv, open);
    assert_int_equal(csv_next(&csv, fields, &n), 0);
    assert_int_equal(csv_next(&csv, fields, &n), CSV_E_MALFORMED);
    assert_int_equal(csv.line, 2);
    csv_init(&csv, behind);
    assert_int_equal(csv_next(&csv, fields, &n), CSV_E_MALFORMED);
    memset(many, ',', CSV_FIELDS_MAX);
    csv_init(&csv, many);
    assert_int_equal(csv_next(&csv, fields, &n), CSV_E_MALFORMED);
    many[CSV_FIELDS_MAX - 1] = '\0';
    memset(many, ',', CSV_FIELDS_MAX - 1);
    csv_init(&csv, many);
    assert_int_equal(csv_next(&csv, fields, &n), 0);
    assert_int_equal(n, CSV_FIELDS_MAX);
}

static void nothing_is_no_record(void **state)
{
    char none[] = "", blank[] = "\r\n\n\r\n";
    char *fields[CSV_FIELDS_MAX];
    size_t n;
    struct csv csv;
    csv_init(&csv, none);
    assert_int_equal(csv_next(&csv, fields, &n), CSV_E_END);
    csv_init(&csv, blank);
    assert_int_equal(csv_next(&csv, fields, &n), CSV_E_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_field_by_field),
        cmocka_unit_test(malformed_records_are_named),
        cmocka_unit_test(nothing_is_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
