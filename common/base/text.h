/*
 * Texts: encodings, bounded copies, numbers from text, and "did you mean".
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * len lower-case digits and a NUL. */
void flz_hex_encode(const uint8_t *data, size_t len, char *ret_hex);
/* `len` digits (even) into len / 2 bytes. 0 or -EINVAL. */
int flz_hex_decode(const char *hex, size_t len, uint8_t *ret_data);

/* Lower-case base32 of RFC 4648 without padding, with a NUL; needs (len * 8 + 4) / 5 + 1 bytes. */
void flz_base32_encode(const uint8_t *data, size_t len, char *ret_text);

/* base64url of RFC 4648 without padding, appended to `buf`. */
void flz_base64url_encode(struct flz_view data, struct flz_buf *buf);
/* The reverse; appends the bytes. 0 or -EINVAL (a character outside the alphabet, or a stray
 * bit). */
int flz_base64url_decode(struct flz_view text, struct flz_buf *buf);

/* Copies a C string into a field of `size` bytes. 0, or -ENAMETOOLONG when it does not fit whole
 * (the field is unchanged). */
int flz_text_copy(char *ret_field, size_t size, const char *s);

/* ASCII only, whatever the locale. */
char flz_ascii_lower(char c);
void flz_ascii_lower_str(char *s);
bool flz_ascii_equal_nocase(const char *a, const char *b);

/* Bytes of the UTF-8 character that `s` begins with, of `n` bytes; 0 when it begins with none
 * (RFC 3629 4: no overlong form, no surrogate, nothing beyond U+10FFFF) or n is 0. */
size_t flz_utf8_len(const char *s, size_t n);

/* Decimal digits only, the whole text. 0, -EINVAL, or -ERANGE above `max`. */
int flz_parse_u64(const char *s, uint64_t max, uint64_t *ret_value);

/* "90s", "15m", "2h", "3d", "250ms" → milliseconds. 0, -EINVAL (the unit is required) or
 * -ERANGE. */
int flz_parse_duration_ms(const char *s, int64_t *ret_ms);

/* The nearest of `n` words by edit distance, or NULL when none is near enough to be a slip. */
const char *flz_did_you_mean(const char *word, const char *const *words, size_t n);
