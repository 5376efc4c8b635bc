/*
 * A hostile IMAP server against the machine and against a whole visit. The first byte chooses the
 * size of the pieces and the kind of login, the rest is what the server says; "%T" stands for the
 * tag in flight, so that deep states are reached.
 */
#include "node/core/mutf7.h"
#include "node/core/visit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the client says, whatever it is told: never an EXPUNGE without UID, never a body. Quoted
 * strings may hold such words, since folders may be called so, and so may the piece that follows an
 * announced literal. */
static void check_output(struct flz_view out, bool *literal)
{
    static const char *const never[] = {"BODY[", "RFC822 ", "RFC822.TEXT", "CLOSE", "\r\r"};
    char *bare = calloc(1, out.len + 1);
    size_t n = 0;
    bool quoted = false, skip = *literal;
    assert(bare);
    *literal = out.len > 3 && memcmp(out.data + out.len - 3, "}\r\n", 3) == 0;
    for (size_t i = 0; i < out.len && !skip; i++) {
        if (quoted && out.data[i] == '\\')
            i++;
        else if (out.data[i] == '"')
            quoted = !quoted;
        else if (!quoted)
            bare[n++] = (char)out.data[i];
    }
    assert(!quoted);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert(!strstr(bare, never[i]));
    const char *expunge = strstr(bare, "EXPUNGE");
    assert(!expunge || (expunge - bare > 4 && memcmp(expunge - 4, "UID ", 4) == 0));
    free(bare);
}

/* Replaces "%T" by the newest tag seen in the output. */
struct server {
    char tag[32];
    const uint8_t *data;
    size_t size;
    size_t at;
};

static void see_tag(struct server *server, struct flz_view out)
{
    if (out.len < 5 || memcmp(out.data, "abcd", 4) != 0)
        return;
    size_t n = 0;
    while (n < out.len && n < sizeof server->tag - 1 && out.data[n] > ' ')
        n++;
    memcpy(server->tag, out.data, n);
    server->tag[n] = '\0';
}

/* The next piece, at most `max` bytes; empty at the end. */
static struct flz_view next_piece(struct server *server, size_t max)
{
    const uint8_t *p = server->data + server->at;
    size_t left = server->size - server->at;
    if (left >= 2 && p[0] == '%' && p[1] == 'T') {
        server->at += 2;
        return flz_view_str(server->tag);
    }
    size_t n = 0;
    while (n < left && n < max && (n == 0 || p[n] != '%'))
        n++;
    server->at += n;
    return (struct flz_view){p, n};
}

static void take_events(struct visit *visit, bool yes)
{
    struct visit_event event;
    do {
        visit_next(visit, &event);
        if (event.type == VISIT_E_SECRET)
            visit_secret(visit, flz_view_str("secret"));
        else if (event.type == VISIT_E_VERIFY)
            visit_verified(visit, yes);
        else if (event.type == VISIT_E_OUTCOME)
            assert(event.outcome.result == VISIT_FAILED || yes ||
                   event.outcome.kind == VISIT_PROBE || event.outcome.kind == VISIT_EXPIRE);
    } while (event.type != VISIT_E_NONE && event.type != VISIT_E_END);
}

static void run_visit(const uint8_t *data, size_t size, size_t max, bool yes, bool bearer)
{
    static const enum visit_job_kind kinds[] = {VISIT_FIND, VISIT_UNSPAM,   VISIT_OPEN,
                                                VISIT_TIDY, VISIT_SENTFIND, VISIT_EXPIRE,
                                                VISIT_PROBE};
    struct visit_job jobs[7];
    struct visit_options options = {.imap = {.tag_prefix = "abcd", .tls = true},
                                    .login = {.user = "u@a.test", .host = "a.test"}};
    options.login.kind = bearer ? IMAP_LOGIN_BEARER : IMAP_LOGIN_PASSWORD;
    memset(jobs, 0, sizeof jobs);
    for (size_t i = 0; i < 7; i++) {
        jobs[i].kind = kinds[i];
        jobs[i].search_all = true;
        memcpy(jobs[i].look.message_id, "m@b", 4);
    }
    struct visit *visit = visit_new(&options, jobs, 7);
    struct server server = {.tag = "abcd1", .data = data, .size = size};
    bool literal = false;
    assert(visit);
    take_events(visit, yes);
    for (;;) {
        struct flz_view piece = next_piece(&server, max);
        if (piece.len == 0)
            break;
        visit_feed(visit, piece);
        take_events(visit, yes);
        struct flz_view out = visit_output(visit);
        if (out.len > 0)
            check_output(out, &literal);
        see_tag(&server, out);
        visit_sent(visit, out.len);
    }
    visit_closed(visit);
    take_events(visit, yes);
    (void)visit_free(visit);
}

static void run_mutf7(const uint8_t *data, size_t size)
{
    char text[256], utf8[1024], again[1024];
    size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    if (mutf7_decode(text, utf8, sizeof utf8) == 0)
        assert(mutf7_encode(utf8, again, sizeof again) < 0 || strlen(again) <= strlen(text) + 256);
    if (mutf7_encode(text, utf8, sizeof utf8) == 0)
        assert(mutf7_decode(utf8, again, sizeof again) == 0 && strcmp(again, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t max = data[0] % 64 + 1;
    run_visit(data + 1, size - 1, max, data[0] & 64, data[0] & 128);
    run_mutf7(data + 1, size - 1);
    return 0;
}
