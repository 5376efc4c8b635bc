/*
 * A message as the bytes that go behind DATA: RFC 5322 and MIME by GMime, one text/plain part,
 * CRLF line ends, no dot-stuffing (SMTP's own business). The same fields give the same bytes.
 * Nothing is added that the fields do not name: no X-Mailer, no User-Agent, no random part.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "node/core/compose.h"

/* Once per process before the first render; GMime's tables. Not needed after a fork. */
void render_init(void);

/*
 * Appends the message to `ret_bytes`. 0, or -EINVAL when a field holds what must not stand in a
 * message: CR, LF or NUL in a header field, invalid UTF-8, a control character, a malformed
 * Message-ID, a zone beyond 14 h (msg names the field; nothing is appended), or -ENOMEM.
 */
int render_message(const struct message_fields *fields, struct flz_buf *ret_bytes,
                   struct flz_msg *msg);
