/* Data on stdout. */
#include "coordinator/ctl/ctl.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CELL_MAX 512
#define INDENT 2
#define KEY_WIDTH 18

void show_json(const json_t *document)
{
    (void)json_dumpf(document, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
}

void show_text(const char *text)
{
    for (; *text; text++)
        (void)fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stdout);
}

const json_t *show_path(const json_t *json, const char *path)
{
    char key[64];
    while (json && *path) {
        size_t len = strcspn(path, ".");
        (void)snprintf(key, sizeof key, "%.*s", (int)len, path);
        json = json_object_get(json, key);
        path += len + (path[len] == '.');
    }
    return json;
}

const char *show_string(const json_t *json, const char *path)
{
    const char *text = json_string_value(show_path(json, path));
    return text ? text : "";
}

int64_t show_integer(const json_t *json, const char *path)
{
    return json_integer_value(show_path(json, path));
}

/* ---- Cells ---- */

static void put_scalar(const json_t *value, char *ret_text, size_t size)
{
    if (json_is_string(value))
        (void)snprintf(ret_text, size, "%s",
                       json_string_length(value) ? json_string_value(value) : "-");
    else if (json_is_integer(value))
        (void)snprintf(ret_text, size, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(ret_text, size, "%.1f", json_real_value(value));
    else if (json_is_boolean(value))
        (void)snprintf(ret_text, size, "%s", json_is_true(value) ? "yes" : "no");
    else
        (void)snprintf(ret_text, size, "-");
}

/* Lists of words are joined by commas. */
static void put_value(const json_t *value, char *ret_text, size_t size)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value) || json_array_size(value) == 0) {
        put_scalar(value, ret_text, size);
        return;
    }
    size_t len = 0;
    json_array_foreach((json_t *)(uintptr_t)value, i, item)
    {
        char text[CELL_MAX];
        put_scalar(item, text, sizeof text);
        int n = snprintf(ret_text + len, size - len, "%s%s", i ? "," : "", text);
        if (n < 0 || (size_t)n >= size - len)
            return;
        len += (size_t)n;
    }
}

/* "2026-11-22T08:15:00.000Z" is read more easily as "2026-11-22 08:15Z". */
static void put_time(const json_t *value, char *ret_text, size_t size)
{
    const char *text = json_string_value(value);
    if (text && strlen(text) > 16)
        (void)snprintf(ret_text, size, "%.10s %.5sZ", text, text + 11);
    else
        put_scalar(value, ret_text, size);
}

/* "5-10", or "20" where both ends are the same. */
static void put_band(const json_t *value, char *ret_text, size_t size)
{
    int64_t low = show_integer(value, "low"), high = show_integer(value, "high");
    if (low == high)
        (void)snprintf(ret_text, size, "%lld", (long long)low);
    else
        (void)snprintf(ret_text, size, "%lld-%lld", (long long)low, (long long)high);
}

static void put_cell(const struct show_column *column, const json_t *value, char *ret_text,
                     size_t size)
{
    if (column->cell == SHOW_TIME)
        put_time(value, ret_text, size);
    else if (column->cell == SHOW_PERCENT && json_is_number(value))
        (void)snprintf(ret_text, size, "%.1f%%", 100 * json_number_value(value));
    else if (column->cell == SHOW_BAND)
        put_band(value, ret_text, size);
    else
        put_value(value, ret_text, size);
}

/* ---- Tables ---- */

static bool is_shown(const struct ctl *ctl, const struct show_column *column)
{
    return !column->wide || ctl->output == CTL_WIDE;
}

static void add_line(struct libscols_table *table, const struct ctl *ctl, const json_t *item,
                     const struct show_column *columns)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);
    size_t at = 0;
    for (; line && columns->title; columns++) {
        char text[CELL_MAX];
        if (!is_shown(ctl, columns))
            continue;
        put_cell(columns, show_path(item, columns->path), text, sizeof text);
        (void)scols_line_set_data(line, at++, text);
    }
}

static void show_names(const json_t *items, const struct show_column *columns)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)items, i, item)
    {
        char text[CELL_MAX];
        put_value(show_path(item, columns->path), text, sizeof text);
        show_text(text);
        (void)fputc('\n', stdout);
    }
}

void show_table(const struct ctl *ctl, const json_t *items, const struct show_column *columns)
{
    if (ctl->quiet) {
        show_names(items, columns);
        return;
    }
    struct libscols_table *table = scols_new_table();
    if (!table)
        return;
    for (const struct show_column *column = columns; column->title; column++)
        if (is_shown(ctl, column))
            (void)scols_table_new_column(
                table, column->title, 0,
                column->cell == SHOW_PLAIN || column->cell == SHOW_TIME ? 0 : SCOLS_FL_RIGHT);
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)items, i, item) add_line(table, ctl, item, columns);
    /* Lines are not folded to the terminal's width: each row stays one line for grep and eyes. */
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    (void)scols_print_table(table);
    scols_unref_table(table);
}

/* A text that a spreadsheet would take for a formula is marked as text. */
static void print_csv_text(const char *text)
{
    (void)fputs(strchr("=+-@", text[0]) && text[0] ? "\"'" : "\"", stdout);
    for (; *text; text++)
        (void)fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, stdout);
    (void)fputc('"', stdout);
}

static void print_csv_cell(const json_t *value)
{
    if (json_is_string(value))
        print_csv_text(json_string_value(value));
    else if (json_is_integer(value))
        (void)printf("%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        (void)printf("%.6g", json_real_value(value));
    else if (json_is_boolean(value))
        (void)fputs(json_is_true(value) ? "true" : "false", stdout);
}

void show_csv(const json_t *items)
{
    json_t *names = json_array_get(items, 0);
    size_t i;
    json_t *item;
    json_t *value;
    const char *key;
    const char *comma = "";
    json_object_foreach(names, key, value)
    {
        (void)printf("%s%s", comma, key);
        comma = ",";
    }
    if (names)
        (void)fputs("\r\n", stdout);
    json_array_foreach((json_t *)(uintptr_t)items, i, item)
    {
        comma = "";
        json_object_foreach(names, key, value)
        {
            (void)fputs(comma, stdout);
            print_csv_cell(json_object_get(item, key));
            comma = ",";
        }
        (void)fputs("\r\n", stdout);
    }
}

/* ---- Things ---- */

static bool is_skipped(const char *key, const char *const *skip)
{
    for (; skip && *skip; skip++)
        if (strcmp(*skip, key) == 0)
            return true;
    return false;
}

/* "firstSlot" is for programs; people read "first slot". */
static void print_key(const char *key, int depth)
{
    int width = 0;
    (void)printf("%*s", depth * INDENT, "");
    for (; *key; key++) {
        bool upper = *key >= 'A' && *key <= 'Z';
        if (upper)
            (void)fputc(' ', stdout);
        (void)fputc(upper ? *key - 'A' + 'a' : *key, stdout);
        width += upper ? 2 : 1;
    }
    (void)printf("%*s", KEY_WIDTH - width > 1 ? KEY_WIDTH - width : 1, "");
}

static void show_object(const json_t *item, const char *const *skip, int depth);

static void show_field(const char *key, const json_t *value, int depth)
{
    char text[CELL_MAX];
    print_key(key, depth);
    if (json_is_object(value)) {
        (void)fputc('\n', stdout);
        show_object(value, NULL, depth + 1);
        return;
    }
    struct show_column column = {.cell = SHOW_PLAIN};
    const char *string = json_string_value(value);
    if (string && strlen(string) == 24 && string[10] == 'T' && string[23] == 'Z')
        column.cell = SHOW_TIME;
    put_cell(&column, value, text, sizeof text);
    show_text(text);
    (void)fputc('\n', stdout);
}

static void show_object(const json_t *item, const char *const *skip, int depth)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)item, key, value) if (!is_skipped(key, skip))
        show_field(key, value, depth);
}

void show_item(const json_t *item, const char *const *skip)
{
    show_object(item, skip, 0);
}
