/*
 * A hostile SMTP server against the engine. The input: one octet of options, then the server's
 * octets, cut where an octet 0xff stands; the orders are given as the session becomes idle. After
 * each step the invariants of smtp.h are checked on what the client would have sent.
 */
#include "node/core/smtp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX 65536

struct session {
    struct smtp smtp;
    uint8_t options;
    unsigned orders;
    bool in_body; /* between SMTP_E_DOT and the end of the transaction */
    bool released;
    bool taken; /* the released dot was taken */
    bool over;
    char body[SENT_MAX];
    size_t body_len;
};

static const char BODY[] = "Subject: x\r\n\r\n.\r\n..\r\nmore";

static void begin_message(struct session *s)
{
    static const struct flz_address from = {"a@a.test"};
    static const struct flz_address to = {"b@b.test"};
    struct smtp_message message = {
        .from = &from, .to = &to, .body = flz_view_str(BODY), .envid = "task-1"};
    s->released = s->taken = s->in_body = false;
    int r = smtp_send(&s->smtp, &message);
    assert(r == 0 || r == -32 || r == SMTP_E_TOO_BIG);
}

static void give_order(struct session *s)
{
    switch ((s->options >> 4) + s->orders++ % 4) {
    case 0:
    case 4:
        if (smtp_choose(&s->smtp, s->options & 4) != 0) {
            (void)smtp_auth(&s->smtp, smtp_choose(&s->smtp, s->options & 4), "user");
            return;
        }
        begin_message(s);
        return;
    case 2: (void)smtp_noop(&s->smtp); return;
    case 3: (void)smtp_reset(&s->smtp); return;
    case 9: (void)smtp_quit(&s->smtp); return;
    default: begin_message(s); return;
    }
}

static void check_result(struct session *s)
{
    const struct smtp_result *result = smtp_result(&s->smtp);
    assert(result->verdict != SMTP_NONE);
    assert(result->verdict != SMTP_UNKNOWN || s->taken); /* S2 */
    assert(result->verdict != SMTP_ACCEPTED || s->taken);
    assert(result->verdict != SMTP_NOT_SENT || !s->taken);
    assert(strlen(result->reply.text) < sizeof(result->reply.text));
    s->in_body = s->released = s->taken = false;
    s->body_len = 0;
}

/* Too long for the line of its command. */
static const char long_secret[] =
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt";

static void on_event(struct session *s, int event)
{
    switch (event) {
    case SMTP_E_SECRET:
        assert(s->options & 1); /* S3 */
        (void)smtp_secret(&s->smtp, flz_view_str(s->options & 64 ? long_secret : "secret"),
                          "h.test", 465);
        return;
    case SMTP_E_DOT:
        s->in_body = true;
        s->body_len = 2;
        memcpy(s->body, "\r\n", 2);
        if (s->options & 8)
            s->released = smtp_release_dot(&s->smtp) == 0;
        return;
    case SMTP_E_DONE: check_result(s); break;
    case SMTP_E_CLOSED: s->over = true; return;
    default: break;
    }
    if (smtp_idle(&s->smtp))
        give_order(s);
}

/* Everything the client sends passes here. */
static void take(struct session *s)
{
    struct flz_view out = smtp_output(&s->smtp);
    if (s->in_body && s->body_len + out.len <= SENT_MAX) {
        memcpy(s->body + s->body_len, out.data, out.len);
        s->body_len += out.len;
        assert(s->released || !memmem(s->body, s->body_len, "\r\n.\r\n", 5)); /* S1 */
        s->taken = s->released;
    } else {
        assert(out.len == 0 || !memmem(out.data, out.len, "\r\n.\r\n", 5));
    }
    smtp_taken(&s->smtp, out.len);
}

static void feed(struct session *s, struct flz_view in)
{
    for (int event; (event = smtp_step(&s->smtp, &in)) != SMTP_E_MORE;) {
        assert(event > 0);
        on_event(s, event);
    }
    assert(in.len == 0);
    take(s);
    if (s->in_body && !s->released) { /* the journal has come back */
        s->released = smtp_release_dot(&s->smtp) == 0;
        take(s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct session *s = calloc(1, sizeof(*s));
    assert(s);
    s->options = data[0];
    smtp_init(&s->smtp, &(struct smtp_options){.ehlo_name = "client.test",
                                               .encrypted = s->options & 1,
                                               .greeted = s->options & 2});
    take(s);
    for (const uint8_t *p = data + 1, *end = data + size; p < end && !s->over;) {
        const uint8_t *cut = memchr(p, 0xff, (size_t)(end - p));
        size_t len = (size_t)((cut ? cut : end) - p);
        feed(s, (struct flz_view){.data = p, .len = len});
        p += len + (cut ? 1 : 0);
    }
    if (smtp_lost(&s->smtp, "end of input") == SMTP_E_DONE)
        check_result(s);
    smtp_deinit(&s->smtp);
    free(s);
    return 0;
}
