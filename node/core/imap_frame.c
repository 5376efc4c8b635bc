#include "node/core/imap_frame.h"

#include "common/base/error.h"
#include "node/core/imap.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

void imap_frame_deinit(struct imap_frame *frame)
{
    flz_buf_deinit(&frame->response);
    *frame = IMAP_FRAME_NULL;
}

void imap_frame_reset(struct imap_frame *frame)
{
    flz_buf_reset(&frame->response);
    frame->piece = 0;
    frame->line_len = 0;
    frame->literal_left = 0;
    frame->skipping = false;
}

/* Responses that end in free text: a "{3}" at its end is no literal (RFC 3501 resp-text). */
static bool is_text(const uint8_t *line, size_t len)
{
    if (len < 2 || line[0] != '*' || line[1] != ' ')
        return true; /* tagged, or a continuation */
    static const char *const conditions[] = {"OK", "NO", "BAD", "BYE", "PREAUTH"};
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        size_t n = strlen(conditions[i]);
        if (len > 2 + n && strncasecmp((const char *)line + 2, conditions[i], n) == 0 &&
            (line[2 + n] == ' ' || line[2 + n] == '\r'))
            return true;
    }
    return false;
}

/* Starts the literal announced as "{n}" at `open`, the CRLF behind it being the last bytes. */
static int literal_begin(struct imap_frame *frame, size_t open, uint64_t session_left)
{
    struct flz_buf *response = &frame->response;
    uint64_t n = 0;
    size_t end = response->len - 3; /* the "}" */
    if (end > open + 1 && response->data[end - 1] == '+')
        end--;
    if (end == open + 1 || end - open > 11)
        return flz_fail(-EPROTO);
    for (size_t i = open + 1; i < end; i++)
        n = n * 10 + (uint64_t)(response->data[i] - '0');
    if (n > session_left)
        return flz_fail(-EMSGSIZE);

    frame->literal_left = n;
    frame->skipping = n > IMAP_LITERAL_MAX || response->len + n > IMAP_RESPONSE_MAX;
    if (frame->skipping) {
        response->len = open;
        flz_buf_add_str(response, "NIL");
    }
    frame->piece = response->len;
    return flz_buf_error(response);
}

/* The "{" of a literal at the end of the line piece, or SIZE_MAX. */
static size_t literal_open(const struct imap_frame *frame)
{
    const uint8_t *data = frame->response.data;
    size_t i = frame->response.len - 2;
    if (i == frame->piece || data[i - 1] != '}')
        return SIZE_MAX;
    i--;
    if (i > frame->piece && data[i - 1] == '+')
        i--;
    while (i > frame->piece && isdigit(data[i - 1]))
        i--;
    return i > frame->piece && data[i - 1] == '{' ? i - 1 : SIZE_MAX;
}

static int line_end(struct imap_frame *frame, uint64_t session_left)
{
    const struct flz_buf *response = &frame->response;
    const uint8_t *piece = response->data + frame->piece;
    size_t len = response->len - frame->piece;
    if (len < 2 || piece[len - 2] != '\r' || memchr(piece, '\r', len - 2) ||
        memchr(piece, '\0', len))
        return flz_fail(-EPROTO);

    size_t open = is_text(response->data, response->len) ? SIZE_MAX : literal_open(frame);
    if (open == SIZE_MAX)
        return IMAP_FRAME_COMPLETE;
    return literal_begin(frame, open, session_left);
}

static size_t literal_take(struct imap_frame *frame, struct flz_view bytes)
{
    size_t n = frame->literal_left < bytes.len ? (size_t)frame->literal_left : bytes.len;
    frame->literal_left -= n;
    if (!frame->skipping) {
        flz_buf_add(&frame->response, bytes.data, n);
        frame->piece = frame->response.len;
    }
    return n;
}

int imap_frame_feed(struct imap_frame *frame, struct flz_view bytes, uint64_t session_left,
                    size_t *ret_used)
{
    size_t used = 0;
    int r = 0;
    while (used < bytes.len && r == 0) {
        struct flz_view rest = {bytes.data + used, bytes.len - used};
        if (frame->literal_left > 0) {
            used += literal_take(frame, rest);
            r = flz_buf_error(&frame->response);
            continue;
        }
        const uint8_t *lf = memchr(rest.data, '\n', rest.len);
        size_t n = lf ? (size_t)(lf - rest.data) + 1 : rest.len;
        if (frame->line_len + n > IMAP_LINE_MAX)
            return flz_fail(-EMSGSIZE);
        flz_buf_add(&frame->response, rest.data, n);
        frame->line_len += n;
        used += n;
        r = flz_buf_error(&frame->response);
        if (lf && r == 0)
            r = line_end(frame, session_left - (used < session_left ? used : session_left));
    }
    if (r < 0)
        return r;
    *ret_used = used;
    return r;
}
