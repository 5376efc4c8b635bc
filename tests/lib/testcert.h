/*
 * Certificates made at test time, by OpenSSL: a CA that the tests trust and one they do not, and
 * server certificates that are right or wrong in one way each. P-256 keys, valid for a day.
 */
#pragma once

/* Files in the folder given to testcert_make(); NAME.pem holds certificate and key. */
#define TESTCERT_CA "ca.pem"            /* the certificate only */
#define TESTCERT_GOOD "good.pem"        /* DNS:mail.test, DNS:localhost, IP:127.0.0.1 */
#define TESTCERT_EXPIRED "expired.pem"  /* the same names, ended an hour ago */
#define TESTCERT_WRONG_HOST "wrong.pem" /* DNS:other.test */
#define TESTCERT_GOOGLE "google.pem"    /* DNS:other.test, DNS:imap.gmail.com */
#define TESTCERT_BOTH "both.pem"        /* the right names, and DNS:*.google.com */
#define TESTCERT_FOREIGN "foreign.pem"  /* the right names, signed by the other CA */
#define TESTCERT_SELF "self.pem"        /* the right names, signed by itself */

/* Makes a new folder below /tmp with all of them; its path is written to `ret_folder` (64 bytes).
 * Aborts the test on failure. */
void testcert_make(char ret_folder[static 64]);

/* Removes the folder. */
void testcert_remove(const char *folder);

/* folder "/" file; a static ring of four texts. */
const char *testcert_path(const char *folder, const char *file);
