/*
 * The books, compared at the end of a run: the coordinator's log and rows as they lie on its disk,
 * with each other and with what the mail servers know (I2, I4, I10, I17, I18, I20).
 */
#pragma once

#include <stddef.h>

struct books_counts {
    size_t turns;
    size_t sent;
    size_t found;
    size_t credited;
    size_t replies;
    size_t rescued;
    size_t ambiguous;
    size_t presumed;
    size_t events;
    size_t recovered;
};

extern struct books_counts books_counts;

/* Ends the run when they do not agree. */
void books_check(void);
