/*
 * libcurl's global state, with memory that is wiped when it is given back: what libcurl read or
 * wrote does not stay in the heap. Used by each file that speaks through libcurl.
 */
#pragma once

/* Counted; the first one starts libcurl. 0 or -ENOMEM. */
int curlmem_start(void);
void curlmem_stop(void);
