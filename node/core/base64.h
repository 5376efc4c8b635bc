/*
 * Standard base64 (RFC 4648 4), as SASL, RFC 2047 and modified UTF-7 want it.
 */
#pragma once

#include "common/base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Characters for `n` bytes, padding included. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(data.len) characters, no NUL. No table look-ups by the data's value: it may be
 * a secret. */
void base64_encode(struct flz_view data, char *ret_text);

/*
 * Decodes into `ret_data`, which has room for text.len / 4 * 3 + 3 bytes. Missing padding is
 * accepted. 0 (*ret_len bytes), or -EINVAL for any other character.
 */
int base64_decode(struct flz_view text, uint8_t *ret_data, size_t *ret_len);
