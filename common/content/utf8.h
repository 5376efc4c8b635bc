/*
 * The little UTF-8 that message texts need: is it text, and how wide is it.
 */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Valid UTF-8 (RFC 3629) without control characters, line ends and bidirectional overrides
 * included: what may stand in one line that a person reads. */
bool utf8_is_line(struct flz_view text);

/* Code points of a valid text; for French and English that is columns. */
size_t utf8_columns(struct flz_view text);
