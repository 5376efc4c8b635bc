/*
 * CSV as in RFC 4180, read in place: one record at a time, quoted fields, "" for a quote inside
 * one.
 */
#pragma once

#include <stddef.h>

#define CSV_FIELDS_MAX 32

struct csv {
    char *at; /* borrowed, writable, ends with a NUL: fields are cut out of it in place */
    int line; /* of the newest record */
    int next_line;
};

enum { CSV_E_END = 1, CSV_E_MALFORMED = 2 };

void csv_init(struct csv *csv, char *text);

/* The next record that is not empty: its fields in ret_fields (borrowed from the text), how many in
 * *ret_count. 0, CSV_E_END, or CSV_E_MALFORMED (an open quote, text behind a quote, too many
 * fields); csv->line names the line in each case. */
int csv_next(struct csv *csv, char *ret_fields[static CSV_FIELDS_MAX], size_t *ret_count);
