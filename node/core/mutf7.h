/*
 * Modified UTF-7 (RFC 3501 5.1.3): mailbox names between UTF-8 and the wire.
 */
#pragma once

#include <stddef.h>

/*
 * UTF-8 to the wire form. 0, -EINVAL (not UTF-8, or a control character), or -ENAMETOOLONG (more
 * than `size` bytes with the NUL). Nothing usable is written on failure.
 */
int mutf7_encode(const char *utf8, char *ret_wire, size_t size);

/*
 * The wire form to UTF-8. 0, -EINVAL (not what an encoder writes: a server that sends 8-bit names
 * or a stray "&"), or -ENAMETOOLONG.
 */
int mutf7_decode(const char *wire, char *ret_utf8, size_t size);
