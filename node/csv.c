#include "node/csv.h"

#include <string.h>

void csv_init(struct csv *csv, char *text)
{
    /* A byte order mark, as spreadsheets write it, is no part of the first name. */
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    *csv = (struct csv){.at = text, .line = 0, .next_line = 1};
}

/* Cuts out a quoted field; `at` stands behind the opening quote. NULL when it never closes. */
static char *cut_quoted(struct csv *csv, char *at, char **ret_rest)
{
    char *field = at, *out = at;
    for (;; at++) {
        if (*at == '\0')
            return NULL;
        if (*at == '"' && at[1] != '"')
            break;
        if (*at == '"')
            at++;
        csv->next_line += *at == '\n';
        *out++ = *at;
    }
    *ret_rest = at + 1;
    *out = '\0';
    return field;
}

static char *cut_plain(char *at, char **ret_rest)
{
    *ret_rest = at + strcspn(at, ",\r\n");
    return at;
}

int csv_next(struct csv *csv, char *ret_fields[static CSV_FIELDS_MAX], size_t *ret_count)
{
    while (*csv->at == '\r' || *csv->at == '\n')
        csv->next_line += *csv->at++ == '\n';
    csv->line = csv->next_line;
    if (*csv->at == '\0')
        return CSV_E_END;

    for (size_t n = 0;;) {
        if (n == CSV_FIELDS_MAX)
            return CSV_E_MALFORMED;
        char *rest;
        char *field =
            *csv->at == '"' ? cut_quoted(csv, csv->at + 1, &rest) : cut_plain(csv->at, &rest);
        if (!field)
            return CSV_E_MALFORMED;
        char end = *rest;
        if (end != ',' && end != '\r' && end != '\n' && end != '\0')
            return CSV_E_MALFORMED;
        ret_fields[n++] = field;
        *rest = '\0';
        csv->at = end ? rest + 1 : rest;
        if (end == ',')
            continue;
        csv->next_line += end == '\n';
        *ret_count = n;
        return 0;
    }
}
