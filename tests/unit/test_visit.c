/*
 * Visits against the model server, whole and cut after every command. V1…V7 are the invariants of
 * node/core/visit.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "node/core/visit.h"
#include "proto/xheader.h"
#include "tests/lib/imapfake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW (INT64_C(1795334400000)) /* 2026-11-22 */
#define OURS 0x42                    /* the first byte of a signature that the caller accepts */
#define JOBS_MAX 16

/* ---- Messages ---- */

struct letter {
    uint8_t exchange;
    uint32_t step;
    uint8_t signature;
    const char *message_id; /* as it lies in the mailbox; NULL = the original */
    bool bare;              /* no X-FluenzR */
    const char *extra;
    int64_t age_ms; /* t= of X-FluenzR lies so long before NOW */
};

static struct flz_id id_of(uint8_t n)
{
    struct flz_id id = {.b = {0}};
    id.b[0] = id.b[15] = n;
    return id;
}

static const char *original_id(uint8_t exchange, uint32_t step)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "m%u.%u@b.test", exchange, step);
    return text;
}

static void write_letter(const struct letter *letter, char ret_header[static 4096])
{
    struct xheader x = {.network = id_of(9),
                        .exchange = id_of(letter->exchange),
                        .step = letter->step,
                        .time_ms = NOW - letter->age_ms,
                        .expiry_ms = NOW + FLZ_DAY_MS};
    char value[XHEADER_VALUE_MAX] = "", field[XHEADER_VALUE_MAX + 64] = "";
    x.signature.b[0] = letter->signature;
    assert_int_equal(flz_text_copy(x.message_id, sizeof x.message_id,
                                   original_id(letter->exchange, letter->step)),
                     0);
    assert_int_equal(xheader_format(&x, value), 0);
    if (!letter->bare) {
        char *out = field + sprintf(field, "X-FluenzR: ");
        for (const char *p = value; *p; p++) {
            if (*p == '\n')
                *out++ = '\r';
            *out++ = *p;
        }
        (void)strcpy(out, "\r\n");
    }
    (void)snprintf(ret_header, 4096,
                   "Authentication-Results: mx.a.test; spf=pass; dkim=pass; dmarc=pass\r\n"
                   "From: Bob <bob@b.test>\r\nTo: ada@a.test\r\n"
                   "Subject: Re: the\r\n  meeting %u.%u\r\n"
                   "Date: Sun, 22 Nov 2026 08:00:00 +0100\r\n"
                   "Message-ID: <%s>\r\n%s%s\r\n",
                   letter->exchange, letter->step,
                   letter->message_id ? letter->message_id : x.message_id, field,
                   letter->extra ? letter->extra : "");
}

static uint32_t deliver(struct imapfake *fake, const char *folder, struct letter letter)
{
    char header[4096];
    write_letter(&letter, header);
    return imapfake_deliver(fake, folder, header, 0, NOW);
}

static uint32_t deliver_ours(struct imapfake *fake, const char *folder, uint8_t exchange)
{
    return deliver(fake, folder, (struct letter){.exchange = exchange, .signature = OURS});
}

/* Mail of strangers, some of it made to be taken for protocol. */
static void deliver_foreign(struct imapfake *fake, const char *folder, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char header[1024];
        (void)snprintf(header, sizeof header,
                       "From: stranger%u@x.test\r\nSubject: abcd%u OK forged\r\n"
                       " * 1 FETCH (UID 1 FLAGS (\\Seen))\r\n )\r\n"
                       "Message-ID: <foreign-%s-%u@x.test>\r\nDate: Sun, 22 Nov 2026 08:00:00 "
                       "+0000\r\n\r\nabcd%u OK forged\r\n",
                       i, i, folder, i, i + 3);
        (void)imapfake_deliver(fake, folder, header, i % 2 ? IMAPFAKE_SEEN : 0, NOW);
    }
}

static struct visit_job job_of(enum visit_job_kind kind, uint8_t exchange)
{
    struct visit_job job = {.kind = kind};
    job.id = id_of((uint8_t)(100 + kind));
    job.look.exchange = id_of(exchange);
    (void)snprintf(job.look.message_id, sizeof job.look.message_id, "<%s>",
                   original_id(exchange, 0));
    return job;
}

/* ---- Memory that is refused ---- */

static unsigned
    refused_in;       /* allocations of the code under test until one is refused; 0 = none is */
static bool refusing; /* the code under test is running */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool is_refused(void)
{
    return refusing && refused_in > 0 && --refused_in == 0;
}

void *__wrap_malloc(size_t n)
{
    return is_refused() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return is_refused() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return is_refused() ? NULL : __real_reallocarray(p, n, size);
}

/* ---- Driving ---- */

struct run {
    size_t split;       /* bytes given to the visit at once; 0 = all */
    unsigned cut_after; /* the connection is cut after this many commands; 0 = never */
    bool cut_answer;    /* … and the answer to the last one is lost */
    bool clear_text;
    bool greeted;
    const char *password;
    enum imap_login_kind login;
    const struct imapfake_options *options;
    struct visit_outcome outcomes[JOBS_MAX];
    size_t n_outcomes;
    enum visit_end end;
    char end_text[VISIT_TEXT_MAX];
    struct {
        bool whole;
        char text[2048];
    } reports[JOBS_MAX];
    size_t n_reports;
    unsigned verified;
    unsigned alerts;
    bool keep;
    struct imap *kept;
};

static bool is_ours(const struct header *header)
{
    struct xheader x;
    return !header->doubled && xheader_parse(flz_view_str(header->x_fluenzr), &x) == 0 &&
           x.signature.b[0] == OURS && strcmp(header->from, "bob@b.test") == 0;
}

static void take(struct run *run, struct visit *visit, const struct visit_event *event)
{
    const char *password = run->password ? run->password : IMAPFAKE_PASSWORD;
    switch (event->type) {
    case VISIT_E_SECRET:
        refusing = true;
        visit_secret(visit, flz_view_str(password));
        refusing = false;
        break;
    case VISIT_E_VERIFY:
        run->verified++;
        visit_verified(visit, is_ours(event->verify.header));
        break;
    case VISIT_E_OUTCOME:
        assert_true(run->n_outcomes < JOBS_MAX);
        run->outcomes[run->n_outcomes++] = event->outcome;
        break;
    case VISIT_E_REPORT:
        assert_true(run->n_reports < JOBS_MAX);
        run->reports[run->n_reports].whole = event->report.whole;
        (void)snprintf(run->reports[run->n_reports++].text, sizeof run->reports[0].text, "%.*s",
                       (int)event->report.bytes.len, (const char *)event->report.bytes.data);
        break;
    case VISIT_E_ALERT: run->alerts++; break;
    case VISIT_E_END:
        run->end = event->end.end;
        memcpy(run->end_text, event->end.text, sizeof run->end_text);
        break;
    case VISIT_E_NONE: break;
    }
}

/* All events there are; false after the last of them. */
static bool drain(struct run *run, struct visit *visit)
{
    struct visit_event event;
    do {
        refusing = true;
        visit_next(visit, &event);
        refusing = false;
        take(run, visit, &event);
    } while (event.type != VISIT_E_NONE && event.type != VISIT_E_END);
    return event.type != VISIT_E_END;
}

static bool shuttle(struct run *run, struct imapfake *fake, struct visit *visit, unsigned begun)
{
    struct flz_view out = visit_output(visit);
    imapfake_feed(fake, out);
    visit_sent(visit, out.len);
    bool cut = run->cut_after && imapfake_commands(fake) - begun >= run->cut_after;
    struct flz_view in = imapfake_output(fake);
    size_t taken = in.len;
    if (cut && run->cut_answer)
        in.len = 0;
    bool more = true;
    for (size_t i = 0; i < in.len && more;) {
        size_t n = run->split && run->split < in.len - i ? run->split : in.len - i;
        refusing = true;
        visit_feed(visit, (struct flz_view){in.data + i, n});
        refusing = false;
        more = drain(run, visit);
        i += n;
        if (visit_output(visit).len > 0 && i < in.len && run->split == 0)
            fail_msg("a command before the last was answered");
    }
    imapfake_sent(fake, taken);
    if (more && (cut || imapfake_is_closed(fake))) {
        visit_closed(visit);
        more = drain(run, visit);
    }
    return more;
}

static void go(struct run *run, struct imapfake *fake, const struct visit_job *jobs, size_t n)
{
    struct visit_options options = {
        .imap = {.tag_prefix = "abcd", .tls = !run->clear_text, .greeted = run->greeted},
        .login = {.kind = run->login, .user = IMAPFAKE_USER, .host = "a.test", .port = 143},
        .version = "1.0",
        .resume = run->kept,
        .keep = run->keep,
    };
    if (!run->kept)
        imapfake_connect(fake);
    run->kept = NULL;
    run->n_outcomes = run->n_reports = 0;
    if (run->greeted)
        imapfake_sent(fake, imapfake_output(fake).len);
    unsigned begun = imapfake_commands(fake);
    refusing = true;
    struct visit *visit = visit_new(&options, jobs, n);
    refusing = false;
    if (!visit) {
        run->end = VISIT_END_NO_MEMORY;
        return;
    }
    bool more = drain(run, visit);
    for (unsigned turns = 0; more; turns++) {
        assert_true(turns < 2000);
        more = shuttle(run, fake, visit, begun);
    }
    if (run->keep)
        run->kept = visit_take_imap(visit);
    assert_int_equal(run->n_outcomes, n);
    assert_string_equal(imapfake_violation(fake), "");
    (void)visit_free(visit);
}

static const struct visit_outcome *outcome(const struct run *run, size_t job)
{
    for (size_t i = 0; i < run->n_outcomes; i++)
        if (run->outcomes[i].job == job)
            return &run->outcomes[i];
    fail_msg("no outcome of job %zu", job);
    return NULL;
}

static void expect(const struct run *run, size_t job, enum visit_result result,
                   enum visit_reason reason)
{
    const struct visit_outcome *o = outcome(run, job);
    if (o->result != result || o->reason != reason)
        fail_msg("job %zu: result %d reason %d (%s), wanted %d %d", job, o->result, o->reason,
                 o->text, result, reason);
}

static struct imapfake *account(const struct imapfake_options *options)
{
    struct imapfake *fake = imapfake_new(options);
    char name[64];
    const char *prefix = options->prefix ? options->prefix : "";
    (void)snprintf(name, sizeof name, "%sSpam", prefix);
    imapfake_add_folder(fake, name, options->no_special_use ? "" : "\\Junk");
    (void)snprintf(name, sizeof name, "%sSent", prefix);
    imapfake_add_folder(fake, name, options->no_special_use ? "" : "\\Sent");
    (void)snprintf(name, sizeof name, "%sTrash", prefix);
    imapfake_add_folder(fake, name, options->no_special_use ? "" : "\\Trash");
    (void)snprintf(name, sizeof name, "%sProjects", prefix);
    imapfake_add_folder(fake, name, "");
    deliver_foreign(fake, "INBOX", 5);
    (void)snprintf(name, sizeof name, "%sSpam", prefix);
    deliver_foreign(fake, name, 5);
    return fake;
}

/* ---- The many servers ---- */

static const struct imapfake_options servers[] = {
    {.delimiter = '/'},
    {.no_move = true},
    {.no_special_use = true, .no_namespace = true, .delimiter = '.', .prefix = "INBOX."},
    {.delimiter = '.', .prefix = "INBOX.", .noise = true, .literals = true},
    {.lying_search = true},
    {.lying_search = true, .no_move = true, .noise = true},
    {.no_sasl_ir = true, .no_keywords = true, .no_quota = true, .capability_in_login = true},
    {.no_plain = true},
    {.no_uidplus = true},
};
#define N_SERVERS (sizeof servers / sizeof *servers)

static const char *in_prefix(const struct imapfake_options *options, const char *name)
{
    static char text[4][64];
    static unsigned i;
    i = (i + 1) % 4;
    (void)snprintf(text[i], sizeof text[i], "%s%s", options->prefix ? options->prefix : "", name);
    return text[i];
}

/* The whole of an exchange's work at once: out of Junk, opened, answered, filed. */
static size_t whole_plan(struct visit_job *jobs)
{
    const enum visit_job_kind kinds[] = {VISIT_TIDY,   VISIT_ANSWERED, VISIT_OPEN,
                                         VISIT_UNSPAM, VISIT_FIND,     VISIT_PROBE};
    for (size_t i = 0; i < 6; i++)
        jobs[i] = job_of(kinds[i], 1);
    return 6;
}

static void the_whole_plan_is_done_on_every_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SERVERS; i++) {
        struct run run = {.split = i};
        struct visit_job jobs[JOBS_MAX];
        size_t n = whole_plan(jobs);
        struct imapfake *fake = account(&servers[i]);
        (void)deliver_ours(fake, in_prefix(&servers[i], "Spam"), 1);
        go(&run, fake, jobs, n);
        assert_int_equal(run.end, VISIT_END_DONE);
        for (size_t k = 0; k < n; k++)
            expect(&run, k, VISIT_DONE, VISIT_REASON_NONE);
        assert_int_equal(outcome(&run, 4)->placement, VISIT_PLACEMENT_JUNK);
        assert_string_equal(outcome(&run, 0)->folder, in_prefix(&servers[i], "FluenzR"));
        assert_int_equal(outcome(&run, 0)->flags & (IMAP_FLAG_SEEN | IMAP_FLAG_ANSWERED),
                         IMAP_FLAG_SEEN | IMAP_FLAG_ANSWERED);
        assert_int_equal(outcome(&run, 0)->flags & IMAP_FLAG_NOTJUNK,
                         servers[i].no_keywords ? 0 : IMAP_FLAG_NOTJUNK);
        assert_int_equal(imapfake_count(fake, in_prefix(&servers[i], "FluenzR"), "m1.0@"), 1);
        assert_int_equal(imapfake_count(fake, in_prefix(&servers[i], "Spam"), "m1.0@"), 0);
        assert_int_equal(imapfake_count(fake, "INBOX", "m1.0@"), 0);
        if (servers[i].noise)
            assert_true(run.alerts > 0);
        (void)imapfake_free(fake);
    }
}

static struct flz_buf dump_of(const struct imapfake *fake)
{
    struct flz_buf text = FLZ_BUF_NULL;
    imapfake_dump(fake, &text);
    return text;
}

/* Only what stands in V6: whatever was lost, another visit leads to the same mailboxes. */
static void cut_everywhere(const struct imapfake_options *options, bool cut_answer)
{
    struct visit_job jobs[JOBS_MAX];
    size_t n = whole_plan(jobs);
    struct run whole = {.split = 0};
    struct imapfake *fake = account(options);
    (void)deliver_ours(fake, in_prefix(options, "Spam"), 1);
    go(&whole, fake, jobs, n);
    unsigned commands = imapfake_commands(fake);
    _cleanup_(flz_buf_deinit) struct flz_buf wanted = dump_of(fake);
    (void)imapfake_free(fake);

    for (unsigned cut = 1; cut < commands; cut++) {
        struct run run = {.split = 7, .cut_after = cut, .cut_answer = cut_answer};
        fake = account(options);
        (void)deliver_ours(fake, in_prefix(options, "Spam"), 1);
        go(&run, fake, jobs, n);
        /* When only LOGOUT was left, all was done. */
        bool is_last = cut == commands - 1 && !cut_answer;
        assert_int_equal(run.end, is_last ? VISIT_END_DONE : VISIT_END_CLOSED);
        run.cut_after = 0;
        go(&run, fake, jobs, n);
        assert_int_equal(run.end, VISIT_END_DONE);
        for (size_t k = 0; k < n; k++)
            assert_int_not_equal(outcome(&run, k)->result, VISIT_FAILED);
        _cleanup_(flz_buf_deinit) struct flz_buf got = dump_of(fake);
        if (strcmp(flz_buf_str(&got), flz_buf_str(&wanted)) != 0)
            fail_msg("cut after command %u:\n%s\nwanted:\n%s\n%s", cut, flz_buf_str(&got),
                     flz_buf_str(&wanted), imapfake_transcript(fake));
        (void)imapfake_free(fake);
    }
}

static void a_visit_cut_after_any_command_and_repeated_ends_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SERVERS; i++) {
        cut_everywhere(&servers[i], false);
        cut_everywhere(&servers[i], true);
    }
}

static void any_allocation_may_be_refused(void **state)
{
    (void)state;
    struct visit_job jobs[JOBS_MAX];
    size_t n = whole_plan(jobs);
    bool refused = true;
    for (unsigned k = 1; refused; k++) {
        struct run run = {.split = 0};
        struct imapfake *fake = account(&servers[1]);
        (void)deliver_ours(fake, "Spam", 1);
        refused_in = k;
        go(&run, fake, jobs, n);
        refused = refused_in == 0;
        refused_in = 0;
        go(&run, fake, jobs, n);
        assert_int_equal(run.end, VISIT_END_DONE);
        assert_int_equal(imapfake_count(fake, "FluenzR", "m1.0@"), 1);
        assert_int_equal(imapfake_count(fake, "INBOX", "m1.0@"), 0);
        assert_int_equal(imapfake_count(fake, "Spam", "m1.0@"), 0);
        (void)imapfake_free(fake);
        assert_true(k < 10000);
    }
}

static void foreign_mail_is_never_touched(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SERVERS; i++) {
        struct visit_job jobs[JOBS_MAX];
        size_t n = whole_plan(jobs);
        struct run run = {.split = 3};
        struct imapfake *fake = account(&servers[i]);
        _cleanup_(flz_buf_deinit) struct flz_buf before = dump_of(fake);
        (void)deliver_ours(fake, in_prefix(&servers[i], "Spam"), 1);
        go(&run, fake, jobs, n);
        struct flz_buf after = dump_of(fake);
        /* Every line of strangers' mail stands as before, flags included. */
        char *rest = (char *)(uintptr_t)flz_buf_str(&before);
        for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
            if (*line && !strstr(flz_buf_str(&after), line))
                fail_msg("changed: %s\n%s", line, flz_buf_str(&after));
        flz_buf_deinit(&after);
        (void)imapfake_free(fake);
    }
}

/* ---- Finding ---- */

static void a_find_changes_nothing_and_tells_the_place(void **state)
{
    (void)state;
    struct visit_job jobs[] = {job_of(VISIT_FIND, 1), job_of(VISIT_FIND, 2), job_of(VISIT_FIND, 3),
                               job_of(VISIT_FIND, 4)};
    struct imapfake *fake = account(&servers[0]);
    (void)deliver_ours(fake, "INBOX", 1);
    uint32_t uid = deliver_ours(fake, "Spam", 2);
    (void)deliver_ours(fake, "Projects", 4);
    (void)flz_text_copy(jobs[3].folder, sizeof jobs[3].folder, "Projects");
    struct flz_buf before = dump_of(fake);
    struct run run = {.split = 1};
    go(&run, fake, jobs, 4);
    struct flz_buf after = dump_of(fake);
    assert_string_equal(flz_buf_str(&after), flz_buf_str(&before));
    assert_null(strstr(imapfake_transcript(fake), "SELECT"));
    assert_int_equal(outcome(&run, 0)->placement, VISIT_PLACEMENT_INBOX);
    assert_int_equal(outcome(&run, 1)->placement, VISIT_PLACEMENT_JUNK);
    assert_string_equal(outcome(&run, 1)->folder, "Spam");
    assert_int_equal(outcome(&run, 1)->uid, uid);
    assert_int_equal(outcome(&run, 1)->internaldate_ms, NOW);
    assert_int_equal(header_authentication(outcome(&run, 1)->authentication),
                     HEADER_AUTH_SPF_PASS | HEADER_AUTH_DKIM_PASS | HEADER_AUTH_DMARC_PASS);
    expect(&run, 2, VISIT_FAILED, VISIT_REASON_ABSENT);
    assert_int_equal(outcome(&run, 2)->placement, VISIT_PLACEMENT_UNOBSERVED);
    assert_int_equal(outcome(&run, 3)->placement, VISIT_PLACEMENT_OTHER);
    assert_string_equal(outcome(&run, 3)->folder, "Projects");
    flz_buf_deinit(&before);
    flz_buf_deinit(&after);
    (void)imapfake_free(fake);
}

static void a_rewritten_message_id_is_found_by_our_header_and_told(void **state)
{
    (void)state;
    struct visit_job jobs[] = {job_of(VISIT_FIND, 1), job_of(VISIT_FIND, 2)};
    struct imapfake *fake = account(&servers[0]);
    struct run run = {.split = 0};
    (void)deliver(
        fake, "INBOX",
        (struct letter){.exchange = 1, .signature = OURS, .message_id = "NEW1@prod.outlook.test"});
    go(&run, fake, jobs, 1);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_string_equal(outcome(&run, 0)->message_id, "NEW1@prod.outlook.test");
    (void)imapfake_free(fake);
}

static void a_message_without_our_header_is_offered_by_its_fields(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_OPEN, 1);
    struct imapfake *fake = account(&servers[0]);
    struct run run = {.split = 0};
    (void)deliver(fake, "INBOX",
                  (struct letter){.exchange = 1, .message_id = "x@y.test", .bare = true});
    (void)flz_text_copy(job.look.from, sizeof job.look.from, "BOB@b.test");
    job.look.subject = header_subject_digest(flz_view_str("Re: the meeting 1.0"));
    job.look.date_first_ms = NOW - FLZ_DAY_MS;
    job.look.date_last_ms = NOW + FLZ_DAY_MS;
    go(&run, fake, &job, 1);
    assert_int_equal(run.verified, 1);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_UNVERIFIED); /* V1: the caller said no */
    assert_int_equal(imapfake_count(fake, "INBOX", "x@y.test"), 1);
    (void)imapfake_free(fake);
}

static void a_forged_copy_is_passed_over_for_the_real_one(void **state)
{
    (void)state;
    struct visit_job jobs[] = {job_of(VISIT_OPEN, 1), job_of(VISIT_UNSPAM, 2)};
    struct imapfake *fake = account(&servers[0]);
    struct run run = {.split = 0};
    (void)deliver(fake, "INBOX", (struct letter){.exchange = 1, .signature = 1});
    (void)deliver(fake, "INBOX", (struct letter){.exchange = 1, .signature = OURS, .step = 1});
    (void)deliver_ours(fake, "INBOX", 1);
    (void)deliver(fake, "Spam",
                  (struct letter){.exchange = 2, .signature = OURS, .extra = "X-FluenzR: v=1\r\n"});
    go(&run, fake, jobs, 2);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(outcome(&run, 0)->uid, 8);
    expect(&run, 1, VISIT_FAILED, VISIT_REASON_UNVERIFIED);
    (void)imapfake_free(fake);
}

static void missing_is_said_only_after_every_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SERVERS; i++) {
        struct visit_job jobs[] = {job_of(VISIT_FIND, 1), job_of(VISIT_FIND, 2)};
        jobs[0].search_all = jobs[1].search_all = true;
        struct imapfake *fake = account(&servers[i]);
        (void)deliver_ours(fake, in_prefix(&servers[i], "Projects"), 2);
        struct run run = {.split = 0};
        go(&run, fake, jobs, 2);
        expect(&run, 0, VISIT_FAILED, VISIT_REASON_ABSENT);
        assert_int_equal(outcome(&run, 0)->placement, VISIT_PLACEMENT_MISSING);
        assert_int_equal(outcome(&run, 1)->placement, VISIT_PLACEMENT_OTHER);
        (void)imapfake_free(fake);
    }
}

static void deliver_meanwhile(struct imapfake *fake, const char *command, void *userdata)
{
    bool *once = userdata;
    if (strncmp(command, "EXAMINE \"Projects\"", 18) == 0 && !*once) {
        *once = true;
        imapfake_deliver(fake, "Projects", "Subject: x\r\n\r\n", 0, NOW);
    }
}

static void missing_is_not_said_when_a_scan_is_cut_short(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_FIND, 1);
    bool once = false;
    job.search_all = true;
    struct imapfake *fake = account(&servers[0]);
    imapfake_on_each(fake, deliver_meanwhile, &once);
    for (unsigned i = 0; i < VISIT_SCAN_FINAL + 10; i++)
        (void)imapfake_deliver(fake, "Projects", "Subject: x\r\n\r\n", 0, NOW);
    struct run run = {.split = 0};
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_ABSENT);
    assert_int_equal(outcome(&run, 0)->placement, VISIT_PLACEMENT_UNOBSERVED);

    /* With an arrival time the same folder is read to its end: the old ones need not be. */
    struct imapfake *old = account(&servers[0]);
    job.look.arrived_after_ms = NOW;
    for (unsigned i = 0; i < VISIT_SCAN_FINAL + 10; i++)
        (void)imapfake_deliver(old, "Projects", "Subject: x\r\n\r\n", 0, NOW - 2 * FLZ_DAY_MS);
    go(&run, old, &job, 1);
    assert_int_equal(outcome(&run, 0)->placement, VISIT_PLACEMENT_MISSING);
    (void)imapfake_free(old);
    (void)imapfake_free(fake);
}

static void a_send_of_unknown_outcome_is_looked_for_in_sent(void **state)
{
    (void)state;
    struct visit_job jobs[] = {job_of(VISIT_SENTFIND, 1), job_of(VISIT_SENTFIND, 2)};
    struct imapfake *fake = account(&servers[3]);
    (void)deliver_ours(fake, "INBOX.Sent", 1);
    (void)deliver_ours(fake, "INBOX", 2);
    struct run run = {.split = 0};
    go(&run, fake, jobs, 2);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_string_equal(outcome(&run, 0)->folder, "INBOX.Sent");
    expect(&run, 1, VISIT_FAILED, VISIT_REASON_ABSENT);
    (void)imapfake_free(fake);
}

/* ---- Acting ---- */

static void a_second_visit_finds_nothing_to_do(void **state)
{
    (void)state;
    struct visit_job jobs[JOBS_MAX];
    size_t n = whole_plan(jobs);
    struct imapfake *fake = account(&servers[1]);
    (void)deliver_ours(fake, "Spam", 1);
    struct run run = {.split = 0};
    go(&run, fake, jobs, n);
    struct flz_buf before = dump_of(fake);
    go(&run, fake, jobs, n);
    struct flz_buf after = dump_of(fake);
    assert_string_equal(flz_buf_str(&after), flz_buf_str(&before));
    for (size_t k = 0; k < 4; k++)
        expect(&run, k, VISIT_NOOP, VISIT_REASON_NONE);
    flz_buf_deinit(&before);
    flz_buf_deinit(&after);
    (void)imapfake_free(fake);
}

static void without_move_and_uidplus_nothing_is_moved(void **state)
{
    (void)state;
    struct imapfake_options options = {.no_move = true, .no_uidplus = true};
    struct visit_job jobs[] = {job_of(VISIT_UNSPAM, 1), job_of(VISIT_OPEN, 1)};
    struct imapfake *fake = account(&options);
    (void)deliver_ours(fake, "Spam", 1);
    struct run run = {.split = 0};
    go(&run, fake, jobs, 2);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_NO_UIDPLUS);
    expect(&run, 1, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(imapfake_count(fake, "Spam", "m1.0@"), 1);
    assert_int_equal(imapfake_count(fake, "INBOX", "m1.0@"), 0);
    assert_null(strstr(imapfake_transcript(fake), "COPY"));
    (void)imapfake_free(fake);
}

static void an_ok_without_a_deed_is_seen_through(void **state)
{
    (void)state;
    struct imapfake_options options = {.empty_words = true};
    struct visit_job jobs[] = {job_of(VISIT_UNSPAM, 1), job_of(VISIT_OPEN, 2)};
    struct imapfake *fake = account(&options);
    (void)deliver_ours(fake, "Spam", 1);
    (void)deliver_ours(fake, "INBOX", 2);
    struct run run = {.split = 0};
    go(&run, fake, jobs, 2);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_NOT_SO);
    expect(&run, 1, VISIT_FAILED, VISIT_REASON_NOT_SO);
    (void)imapfake_free(fake);
}

static void missing_is_not_said_when_the_server_hides_some(void **state)
{
    (void)state;
    struct imapfake_options options = {.hides_mail = true};
    struct visit_job job = job_of(VISIT_FIND, 1);
    job.search_all = true;
    struct imapfake *fake = account(&options);
    (void)deliver_ours(fake, "Projects", 1);
    struct run run = {.split = 0};
    go(&run, fake, &job, 1);
    assert_int_equal(outcome(&run, 0)->placement, VISIT_PLACEMENT_UNOBSERVED);
    (void)imapfake_free(fake);
}

static void a_copy_left_by_a_cut_visit_is_completed_not_doubled(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_UNSPAM, 1);
    struct imapfake *fake = account(&servers[1]);
    (void)deliver_ours(fake, "Spam", 1);
    (void)deliver_ours(fake, "INBOX", 1);
    struct run run = {.split = 0};
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(imapfake_count(fake, "Spam", "m1.0@"), 0);
    assert_int_equal(imapfake_count(fake, "INBOX", "m1.0@"), 1);
    assert_null(strstr(imapfake_transcript(fake), "UID COPY"));
    (void)imapfake_free(fake);
}

struct mischief {
    const char *before; /* the command that triggers it */
    const char *folder;
    uint32_t uid; /* removed; 0 = the folder is renumbered */
    unsigned times;
};

static void play_mischief(struct imapfake *fake, const char *command, void *userdata)
{
    struct mischief *mischief = userdata;
    if (mischief->times == 0 || strncmp(command, mischief->before, strlen(mischief->before)) != 0)
        return;
    mischief->times--;
    if (mischief->uid)
        imapfake_remove(fake, mischief->folder, mischief->uid);
    else
        imapfake_renumber(fake, mischief->folder);
}

static void a_message_that_vanishes_is_said_to_have(void **state)
{
    (void)state;
    static const char *const befores[] = {"SELECT \"INBOX\"", "UID STORE", "UID MOVE",
                                          "EXAMINE \"FluenzR\""};
    for (size_t i = 0; i < 4; i++) {
        struct visit_job jobs[] = {job_of(VISIT_OPEN, 1), job_of(VISIT_TIDY, 1)};
        struct imapfake *fake = account(&servers[0]);
        if (i == 3)
            imapfake_add_folder(fake, "FluenzR", "");
        struct mischief mischief = {befores[i], "INBOX", deliver_ours(fake, "INBOX", 1), 1};
        imapfake_on_each(fake, play_mischief, &mischief);
        struct run run = {.split = 0};
        go(&run, fake, jobs, 2);
        if (i < 2)
            expect(&run, 0, VISIT_FAILED, VISIT_REASON_VANISHED);
        if (i == 2) {
            expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
            expect(&run, 1, VISIT_FAILED, VISIT_REASON_VANISHED);
        }
        (void)imapfake_free(fake);
    }
}

static void a_new_uidvalidity_makes_the_visit_look_again(void **state)
{
    (void)state;
    static const char *const befores[] = {"SELECT \"INBOX\"", "SELECT \"Spam\""};
    for (size_t i = 0; i < 2; i++) {
        struct visit_job jobs[] = {job_of(VISIT_OPEN, 1), job_of(VISIT_UNSPAM, 1),
                                   job_of(VISIT_TIDY, 1)};
        struct imapfake *fake = account(&servers[0]);
        struct mischief mischief = {befores[i], i == 0 ? "INBOX" : "Spam", 0, 1};
        (void)deliver_ours(fake, "Spam", 1);
        imapfake_on_each(fake, play_mischief, &mischief);
        struct run run = {.split = 0};
        go(&run, fake, jobs, 3);
        assert_int_equal(mischief.times, 0);
        for (size_t k = 0; k < 3; k++)
            expect(&run, k, VISIT_DONE, VISIT_REASON_NONE);
        (void)imapfake_free(fake);
    }
}

static void a_uidvalidity_that_never_rests_ends_in_failure_untouched(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_UNSPAM, 1);
    struct imapfake *fake = account(&servers[1]);
    struct mischief mischief = {"SELECT \"Spam\"", "Spam", 0, 100};
    (void)deliver_ours(fake, "Spam", 1);
    imapfake_on_each(fake, play_mischief, &mischief);
    struct run run = {.split = 0};
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_VANISHED);
    assert_int_equal(imapfake_count(fake, "Spam", "m1.0@"), 1);
    assert_null(strstr(imapfake_transcript(fake), "UID COPY"));
    (void)imapfake_free(fake);
}

static void our_sent_copy_is_filed_and_later_expired(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct visit_job tidy = job_of(VISIT_TIDY, 1), expire = job_of(VISIT_EXPIRE, 1);
        tidy.in_sent = expire.in_sent = true;
        struct imapfake *fake = account(&servers[i]);
        (void)deliver_ours(fake, "Sent", 1);
        struct run run = {.split = 0};
        go(&run, fake, &tidy, 1);
        expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
        assert_int_equal(imapfake_count(fake, "FluenzR", "m1.0@"), 1);
        assert_int_equal(imapfake_count(fake, "Sent", "m1.0@"), 0);
        go(&run, fake, &expire, 1);
        expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
        assert_int_equal(imapfake_count(fake, "Trash", "m1.0@"), 1);
        assert_int_equal(imapfake_count(fake, "FluenzR", "m1.0@"), 0);
        go(&run, fake, &expire, 1);
        expect(&run, 0, VISIT_NOOP, VISIT_REASON_NONE);
        (void)imapfake_free(fake);
    }
}

static void removal_needs_the_owners_word(void **state)
{
    (void)state;
    struct visit_job expire = job_of(VISIT_EXPIRE, 1);
    struct imapfake *fake = imapfake_new(&servers[0]);
    imapfake_add_folder(fake, "FluenzR", "");
    (void)deliver_ours(fake, "FluenzR", 1);
    struct run run = {.split = 0};
    go(&run, fake, &expire, 1);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_NO_FOLDER);
    expire.may_delete = true;
    go(&run, fake, &expire, 1);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(imapfake_count(fake, "FluenzR", "m1.0@"), 0);
    (void)imapfake_free(fake);
}

/* ---- Sweeping our own folder ---- */

#define OLD (FLZ_DAY_MS)

static struct visit_job sweep_job(void)
{
    struct visit_job job = {.kind = VISIT_SWEEP, .before_ms = NOW - OLD / 2};
    job.id = id_of(77);
    return job;
}

static struct imapfake *own_folder(const struct imapfake_options *options, const char **ret_own)
{
    struct imapfake *fake = account(options);
    *ret_own = in_prefix(options, "FluenzR");
    imapfake_add_folder(fake, *ret_own, "");
    return fake;
}

/* What must stay: strangers' mail, forged and young messages. */
static void deliver_kept(struct imapfake *fake, const char *own)
{
    deliver_foreign(fake, own, 3);
    (void)deliver(fake, own, (struct letter){.exchange = 9, .signature = 1, .age_ms = OLD});
    (void)deliver(fake, own, (struct letter){.exchange = 8, .bare = true});
    (void)deliver(fake, own, (struct letter){.exchange = 7, .signature = OURS});
}

/* Three old messages of ours among what must stay. */
static struct imapfake *mixed(const struct imapfake_options *options)
{
    const char *own;
    struct imapfake *fake = own_folder(options, &own);
    for (uint8_t x = 1; x <= 2; x++)
        (void)deliver(fake, own, (struct letter){.exchange = x, .signature = OURS, .age_ms = OLD});
    deliver_kept(fake, own);
    (void)deliver(fake, own,
                  (struct letter){.exchange = 2, .step = 1, .signature = OURS, .age_ms = OLD});
    return fake;
}

/* The same account without them. */
static struct flz_buf kept_of(const struct imapfake_options *options)
{
    const char *own;
    struct imapfake *fake = own_folder(options, &own);
    deliver_kept(fake, own);
    struct flz_buf text = dump_of(fake);
    (void)imapfake_free(fake);
    return text;
}

static void assert_dump(const struct imapfake *fake, struct flz_buf *wanted)
{
    _cleanup_(flz_buf_deinit) struct flz_buf got = dump_of(fake);
    assert_string_equal(flz_buf_str(&got), flz_buf_str(wanted));
}

static void old_messages_of_ours_are_removed_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SERVERS; i++) {
        struct run run = {.split = i};
        struct visit_job job = sweep_job();
        struct imapfake *fake = mixed(&servers[i]);
        _cleanup_(flz_buf_deinit) struct flz_buf before = dump_of(fake);
        _cleanup_(flz_buf_deinit) struct flz_buf wanted = kept_of(&servers[i]);
        go(&run, fake, &job, 1);
        assert_int_equal(run.end, VISIT_END_DONE);
        if (servers[i].no_uidplus) {
            expect(&run, 0, VISIT_FAILED, VISIT_REASON_NO_UIDPLUS);
            assert_string_not_equal(outcome(&run, 0)->text, "");
            assert_dump(fake, &before);
        } else {
            expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
            assert_int_equal(outcome(&run, 0)->removed, 3);
            assert_false(outcome(&run, 0)->more);
            assert_dump(fake, &wanted);
            go(&run, fake, &job, 1);
            expect(&run, 0, VISIT_NOOP, VISIT_REASON_NONE);
            assert_dump(fake, &wanted);
        }
        (void)imapfake_free(fake);
    }
}

static void a_sweep_cut_anywhere_is_made_good_by_the_next(void **state)
{
    (void)state;
    struct visit_job job = sweep_job();
    struct run whole = {.split = 0};
    struct imapfake *fake = mixed(&servers[0]);
    _cleanup_(flz_buf_deinit) struct flz_buf wanted = kept_of(&servers[0]);
    go(&whole, fake, &job, 1);
    unsigned commands = imapfake_commands(fake);
    (void)imapfake_free(fake);
    for (unsigned cut = 1; cut < commands; cut++) {
        struct run run = {.cut_after = cut, .cut_answer = cut % 2};
        fake = mixed(&servers[0]);
        go(&run, fake, &job, 1);
        run.cut_after = 0;
        go(&run, fake, &job, 1);
        assert_int_equal(run.end, VISIT_END_DONE);
        assert_dump(fake, &wanted);
        (void)imapfake_free(fake);
    }
}

static void a_sweep_survives_any_refused_allocation(void **state)
{
    (void)state;
    struct visit_job job = sweep_job();
    _cleanup_(flz_buf_deinit) struct flz_buf wanted = kept_of(&servers[0]);
    bool refused = true;
    for (unsigned k = 1; refused; k++) {
        struct run run = {.split = 0};
        struct imapfake *fake = mixed(&servers[0]);
        refused_in = k;
        go(&run, fake, &job, 1);
        refused = refused_in == 0;
        refused_in = 0;
        go(&run, fake, &job, 1);
        assert_int_equal(run.end, VISIT_END_DONE);
        assert_dump(fake, &wanted);
        (void)imapfake_free(fake);
        assert_true(k < 10000);
    }
}

static void a_sweep_is_bounded_and_forged_mail_takes_no_place(void **state)
{
    (void)state;
    const char *own;
    struct run run = {.split = 0};
    struct visit_job job = sweep_job();
    struct imapfake *fake = own_folder(&servers[0], &own);
    for (uint32_t i = 0; i < 3 * VISIT_SWEEP_MAX; i++)
        (void)deliver(fake, own,
                      (struct letter){.exchange = (uint8_t)(1 + i / 5),
                                      .step = i % 5,
                                      .signature = i < 2 * VISIT_SWEEP_MAX ? 1 : OURS,
                                      .age_ms = OLD});
    (void)deliver(fake, own, (struct letter){.exchange = 200, .signature = OURS, .age_ms = OLD});
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(outcome(&run, 0)->removed, VISIT_SWEEP_MAX);
    assert_true(outcome(&run, 0)->more);
    go(&run, fake, &job, 1);
    assert_int_equal(outcome(&run, 0)->removed, 1);
    assert_false(outcome(&run, 0)->more);
    assert_int_equal(imapfake_count(fake, own, "X-FluenzR"), 2 * VISIT_SWEEP_MAX);
    (void)imapfake_free(fake);
}

static void strangers_mail_in_our_folder_hides_nothing(void **state)
{
    (void)state;
    const char *own;
    struct run run = {.split = 0};
    struct visit_job job = sweep_job();
    struct imapfake *fake = own_folder(&servers[0], &own);
    deliver_foreign(fake, own, VISIT_SWEEP_MAX + 5);
    (void)deliver(fake, own, (struct letter){.exchange = 1, .signature = OURS, .age_ms = OLD});
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(outcome(&run, 0)->removed, 1);
    assert_int_equal(imapfake_count(fake, own, "stranger"), VISIT_SWEEP_MAX + 5);
    (void)imapfake_free(fake);
}

static void what_lies_behind_young_messages_is_not_read(void **state)
{
    (void)state;
    const char *own;
    struct run run = {.split = 0};
    struct visit_job job = sweep_job();
    struct imapfake *fake = own_folder(&servers[0], &own);
    for (uint32_t i = 0; i < 2 * VISIT_SWEEP_MAX; i++)
        (void)deliver(fake, own,
                      (struct letter){
                          .exchange = (uint8_t)(1 + i / 5), .step = i % 5, .signature = OURS});
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_NOOP, VISIT_REASON_NONE);
    assert_non_null(strstr(imapfake_transcript(fake), "FETCH 1:50"));
    assert_null(strstr(imapfake_transcript(fake), "FETCH 51:"));
    assert_null(strstr(imapfake_transcript(fake), "SELECT"));
    (void)imapfake_free(fake);
}

static void a_sweep_believes_what_it_reads_not_what_it_is_told(void **state)
{
    (void)state;
    struct imapfake_options options = {.empty_words = true};
    struct run run = {.split = 0};
    struct visit_job job = sweep_job();
    struct imapfake *fake = mixed(&options);
    _cleanup_(flz_buf_deinit) struct flz_buf before = dump_of(fake);
    go(&run, fake, &job, 1);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_NOT_SO);
    assert_int_equal(outcome(&run, 0)->removed, 0);
    assert_dump(fake, &before);
    (void)imapfake_free(fake);
}

static void renumber_at_select(struct imapfake *fake, const char *command, void *userdata)
{
    unsigned *left = userdata;
    if (*left > 0 && strncmp(command, "SELECT", 6) == 0) {
        --*left;
        imapfake_renumber(fake, "FluenzR");
    }
}

static void a_sweep_uses_no_uid_of_another_validity(void **state)
{
    (void)state;
    struct run run = {.split = 0};
    struct visit_job job = sweep_job();
    struct imapfake *fake = mixed(&servers[0]);
    _cleanup_(flz_buf_deinit) struct flz_buf wanted = kept_of(&servers[0]);
    unsigned left = 1;
    imapfake_on_each(fake, renumber_at_select, &left);
    go(&run, fake, &job, 1);
    go(&run, fake, &job, 1);
    assert_int_equal(left, 0);
    assert_dump(fake, &wanted);
    (void)imapfake_free(fake);
}

static void an_account_without_our_folder_is_not_swept(void **state)
{
    (void)state;
    struct run run = {.split = 0};
    struct visit_job jobs[] = {sweep_job(), job_of(VISIT_OPEN, 1), job_of(VISIT_TIDY, 1)};
    struct imapfake *fake = account(&servers[0]);
    (void)deliver_ours(fake, "INBOX", 1);
    go(&run, fake, jobs, 1);
    expect(&run, 0, VISIT_NOOP, VISIT_REASON_NONE);
    /* Nor what the same visit files. */
    jobs[0].before_ms = NOW + 1;
    go(&run, fake, jobs, 3);
    expect(&run, 0, VISIT_NOOP, VISIT_REASON_NONE);
    expect(&run, 2, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(imapfake_count(fake, "FluenzR", "m1.0@"), 1);
    (void)imapfake_free(fake);
}

/* ---- Sessions ---- */

static void gmail_is_refused_before_any_login(void **state)
{
    (void)state;
    struct imapfake_options options = {.gmail = true};
    struct visit_job jobs[JOBS_MAX];
    size_t n = whole_plan(jobs);
    struct imapfake *fake = account(&options);
    struct run run = {.split = 0};
    go(&run, fake, jobs, n);
    assert_int_equal(run.end, VISIT_END_GMAIL);
    assert_null(strstr(imapfake_transcript(fake), "blanked"));
    for (size_t k = 0; k < n; k++)
        expect(&run, k, VISIT_FAILED, VISIT_REASON_SESSION);
    (void)imapfake_free(fake);
}

static void no_secret_goes_over_clear_text(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_PROBE, 0);
    struct imapfake *fake = account(&servers[0]);
    struct run run = {.clear_text = true};
    go(&run, fake, &job, 1);
    assert_int_equal(run.end, VISIT_END_CLEAR_TEXT);
    assert_null(strstr(imapfake_transcript(fake), "blanked"));
    (void)imapfake_free(fake);
}

static void wrong_credentials_end_the_visit_with_the_servers_words(void **state)
{
    (void)state;
    struct imapfake_options bearer = {.bearer = true};
    const struct imapfake_options *options[] = {&servers[0], &servers[6], &servers[7], &bearer};
    for (size_t i = 0; i < 4; i++) {
        struct visit_job job = job_of(VISIT_PROBE, 0);
        struct imapfake *fake = account(options[i]);
        struct run run = {.password = "wrong",
                          .login = i == 3 ? IMAP_LOGIN_BEARER : IMAP_LOGIN_PASSWORD};
        go(&run, fake, &job, 1);
        assert_int_equal(run.end, VISIT_END_LOGIN_REFUSED);
        assert_non_null(strstr(run.end_text, "Authentication failed."));
        if (i == 3)
            assert_non_null(strstr(run.end_text, "401"));
        run.password = NULL;
        go(&run, fake, &job, 1);
        assert_int_equal(run.end, VISIT_END_DONE);
        (void)imapfake_free(fake);
    }
}

static void a_password_is_not_sent_where_only_tokens_are_taken(void **state)
{
    (void)state;
    struct imapfake_options bearer = {.bearer = true};
    struct visit_job job = job_of(VISIT_PROBE, 0);
    struct imapfake *fake = account(&bearer);
    struct run run = {.split = 0};
    go(&run, fake, &job, 1);
    assert_int_equal(run.end, VISIT_END_NO_MECHANISM);
    (void)imapfake_free(fake);
}

static void a_probe_tells_folders_capabilities_and_quota(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_PROBE, 0);
    struct imapfake *fake = account(&servers[2]);
    struct run run = {.greeted = true};
    go(&run, fake, &job, 1);
    const struct visit_probe *probe = &outcome(&run, 0)->probe;
    assert_string_equal(probe->junk, "INBOX.Spam");
    assert_string_equal(probe->sent, "INBOX.Sent");
    assert_string_equal(probe->own, "INBOX.FluenzR");
    assert_false(probe->own_exists);
    assert_true(probe->has_quota);
    assert_int_equal(probe->quota_used_kib, 512);
    assert_int_equal(probe->quota_limit_kib, 1048576);
    assert_true(probe->capabilities & IMAP_CAP_MOVE);
    assert_string_equal(outcome(&run, 0)->text, "");
    (void)imapfake_free(fake);
}

static void a_kept_connection_serves_the_next_visit_without_login(void **state)
{
    (void)state;
    struct visit_job find = job_of(VISIT_FIND, 1), unspam = job_of(VISIT_UNSPAM, 1);
    struct imapfake *fake = account(&servers[0]);
    (void)deliver_ours(fake, "Spam", 1);
    struct run run = {.keep = true};
    go(&run, fake, &find, 1);
    assert_non_null(run.kept);
    assert_null(strstr(imapfake_transcript(fake), "LOGOUT"));
    run.keep = false;
    go(&run, fake, &unspam, 1);
    expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
    const char *first = strstr(imapfake_transcript(fake), "blanked");
    assert_null(strstr(first + 1, "blanked"));
    (void)imapfake_free(fake);
}

static void a_silent_server_fails_what_is_left(void **state)
{
    (void)state;
    struct visit_job job = job_of(VISIT_FIND, 1);
    struct visit_options options = {.imap = {.tag_prefix = "abcd", .tls = true},
                                    .login = {.user = "a", .host = "b"}};
    struct run run = {.split = 0};
    struct visit *visit = visit_new(&options, &job, 1);
    assert_true(visit_timeout_ms(visit) > 0);
    assert_true(drain(&run, visit));
    visit_timed_out(visit);
    assert_false(drain(&run, visit));
    assert_int_equal(run.end, VISIT_END_TIMED_OUT);
    expect(&run, 0, VISIT_FAILED, VISIT_REASON_SESSION);
    (void)visit_free(visit);
}

static void many_messages_are_served_in_one_visit(void **state)
{
    (void)state;
    static struct visit_job jobs[JOBS_MAX];
    struct imapfake *fake = account(&servers[3]);
    for (uint8_t i = 0; i < JOBS_MAX; i++) {
        jobs[i] = job_of(VISIT_UNSPAM, (uint8_t)(i + 1));
        (void)deliver_ours(fake, "INBOX.Spam", (uint8_t)(i + 1));
    }
    struct run run = {.split = 100};
    go(&run, fake, jobs, JOBS_MAX);
    for (uint8_t i = 0; i < JOBS_MAX; i++)
        expect(&run, i, VISIT_DONE, VISIT_REASON_NONE);
    assert_int_equal(imapfake_count(fake, "INBOX", "@b.test>"), JOBS_MAX);
    (void)imapfake_free(fake);
}

/* ---- Reports ---- */

#define REPORT_TYPE "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"

static void put(struct imapfake *fake, const char *folder, const char *header)
{
    (void)imapfake_deliver(fake, folder, header, 0, NOW);
}

static struct visit_job reports_job(void)
{
    return (struct visit_job){.kind = VISIT_REPORTS, .look.arrived_after_ms = NOW - FLZ_DAY_MS};
}

static void only_reports_are_read_and_only_what_is_new(void **state)
{
    for (size_t i = 0; i < N_SERVERS; i++) {
        struct run run = {.split = i};
        struct imapfake *fake = account(&servers[i]);
        const char *junk = in_prefix(&servers[i], "Spam");
        struct visit_job job = reports_job();
        _cleanup_(flz_buf_deinit) struct flz_buf before = FLZ_BUF_NULL, after = FLZ_BUF_NULL;
        put(fake, "INBOX", REPORT_TYPE "Subject: one\r\n\r\n--b\r\n");
        put(fake, junk, REPORT_TYPE "Subject: two\r\n\r\n--b\r\n");
        put(fake, "INBOX", "Content-Type: text/plain\r\nSubject: private\r\n\r\nsecret\r\n");
        (void)imapfake_deliver(fake, "INBOX", REPORT_TYPE "Subject: old\r\n\r\n", 0,
                               NOW - 2 * FLZ_DAY_MS);
        imapfake_dump(fake, &before);
        go(&run, fake, &job, 1);
        assert_int_equal(run.end, VISIT_END_DONE);
        expect(&run, 0, VISIT_DONE, VISIT_REASON_NONE);
        imapfake_dump(fake, &after);
        assert_string_equal(flz_buf_str(&before), flz_buf_str(&after));
        assert_int_equal(run.n_reports, 2);
        assert_true(run.reports[0].whole && strstr(run.reports[0].text, "Subject: one"));
        assert_true(run.reports[1].whole && strstr(run.reports[1].text, "Subject: two"));

        /* What was read is not read again; what came since is. */
        memcpy(job.marks, outcome(&run, 0)->marks, sizeof job.marks);
        go(&run, fake, &job, 1);
        assert_int_equal(run.n_reports, 0);
        put(fake, "INBOX", REPORT_TYPE "Subject: three\r\n\r\n--b\r\n");
        go(&run, fake, &job, 1);
        assert_int_equal(run.n_reports, 1);
        assert_non_null(strstr(run.reports[0].text, "Subject: three"));
        /* Other numbers: everything is new. */
        imapfake_renumber(fake, "INBOX");
        go(&run, fake, &job, 1);
        assert_int_equal(run.n_reports, 2);
        fake = imapfake_free(fake);
    }
}

static void machines_that_answer_are_told_by_their_header_alone(void **state)
{
    static const struct {
        const char *header;
        bool told;
    } rows[] = {
        {"In-Reply-To: <a@a.test>\r\nAuto-Submitted: auto-replied\r\n", true},
        {"In-Reply-To: <a@a.test> (yours)\r\nPrecedence: bulk\r\n", true},
        {"In-Reply-To: <a@a.test>\r\nX-Autoreply: yes\r\n", true},
        {"In-Reply-To: <a@a.test>\r\nAuto-Submitted: no\r\n", false},
        {"In-Reply-To: <a@a.test>\r\n", false},                        /* a person */
        {"Auto-Submitted: auto-generated\r\n", false},                 /* in answer to nothing */
        {"In-Reply-To: <a@a.test>\r\nAuto-Submitted: auto-replied\r\nX-FluenzR: v=1\r\n",
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run run = {.split = 0};
        struct imapfake *fake = account(&servers[0]);
        struct visit_job job = reports_job();
        char text[512];
        (void)snprintf(text, sizeof text, "%sSubject: away\r\n\r\nI am away.\r\n",
                       rows[i].header);
        put(fake, "INBOX", text);
        go(&run, fake, &job, 1);
        assert_int_equal(run.n_reports, rows[i].told);
        if (rows[i].told) {
            assert_false(run.reports[0].whole);
            assert_null(strstr(run.reports[0].text, "away"));
        }
        fake = imapfake_free(fake);
    }
}

static void ten_thousand_reports_are_read_in_part(void **state)
{
    struct run run = {.split = 0};
    struct imapfake *fake = account(&servers[0]);
    struct visit_job job = reports_job();
    for (int i = 0; i < 1000; i++)
        put(fake, "INBOX", "Content-Type: text/plain\r\n\r\n");
    put(fake, "INBOX", REPORT_TYPE "Subject: newest\r\n\r\n--b\r\n");
    unsigned commands = imapfake_commands(fake);
    go(&run, fake, &job, 1);
    assert_int_equal(run.n_reports, 1);
    assert_true(imapfake_commands(fake) - commands < 20);
    fake = imapfake_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_plan_is_done_on_every_server),
        cmocka_unit_test(a_visit_cut_after_any_command_and_repeated_ends_the_same),
        cmocka_unit_test(any_allocation_may_be_refused),
        cmocka_unit_test(foreign_mail_is_never_touched),
        cmocka_unit_test(a_find_changes_nothing_and_tells_the_place),
        cmocka_unit_test(a_rewritten_message_id_is_found_by_our_header_and_told),
        cmocka_unit_test(a_message_without_our_header_is_offered_by_its_fields),
        cmocka_unit_test(a_forged_copy_is_passed_over_for_the_real_one),
        cmocka_unit_test(missing_is_said_only_after_every_folder),
        cmocka_unit_test(missing_is_not_said_when_a_scan_is_cut_short),
        cmocka_unit_test(a_send_of_unknown_outcome_is_looked_for_in_sent),
        cmocka_unit_test(a_second_visit_finds_nothing_to_do),
        cmocka_unit_test(without_move_and_uidplus_nothing_is_moved),
        cmocka_unit_test(an_ok_without_a_deed_is_seen_through),
        cmocka_unit_test(missing_is_not_said_when_the_server_hides_some),
        cmocka_unit_test(a_copy_left_by_a_cut_visit_is_completed_not_doubled),
        cmocka_unit_test(a_message_that_vanishes_is_said_to_have),
        cmocka_unit_test(a_new_uidvalidity_makes_the_visit_look_again),
        cmocka_unit_test(a_uidvalidity_that_never_rests_ends_in_failure_untouched),
        cmocka_unit_test(our_sent_copy_is_filed_and_later_expired),
        cmocka_unit_test(removal_needs_the_owners_word),
        cmocka_unit_test(old_messages_of_ours_are_removed_and_nothing_else),
        cmocka_unit_test(a_sweep_cut_anywhere_is_made_good_by_the_next),
        cmocka_unit_test(a_sweep_survives_any_refused_allocation),
        cmocka_unit_test(a_sweep_is_bounded_and_forged_mail_takes_no_place),
        cmocka_unit_test(strangers_mail_in_our_folder_hides_nothing),
        cmocka_unit_test(what_lies_behind_young_messages_is_not_read),
        cmocka_unit_test(a_sweep_believes_what_it_reads_not_what_it_is_told),
        cmocka_unit_test(a_sweep_uses_no_uid_of_another_validity),
        cmocka_unit_test(an_account_without_our_folder_is_not_swept),
        cmocka_unit_test(gmail_is_refused_before_any_login),
        cmocka_unit_test(no_secret_goes_over_clear_text),
        cmocka_unit_test(wrong_credentials_end_the_visit_with_the_servers_words),
        cmocka_unit_test(a_password_is_not_sent_where_only_tokens_are_taken),
        cmocka_unit_test(a_probe_tells_folders_capabilities_and_quota),
        cmocka_unit_test(a_kept_connection_serves_the_next_visit_without_login),
        cmocka_unit_test(a_silent_server_fails_what_is_left),
        cmocka_unit_test(many_messages_are_served_in_one_visit),
        cmocka_unit_test(only_reports_are_read_and_only_what_is_new),
        cmocka_unit_test(machines_that_answer_are_told_by_their_header_alone),
        cmocka_unit_test(ten_thousand_reports_are_read_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
