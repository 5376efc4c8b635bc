#include "common/base/time.h"
#include "node/core/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1803880800000) /* 2027-03-01T06:00Z */
#define BOOT INT64_C(5000000)

static struct flz_task task_of(enum flz_task_kind kind)
{
    return (struct flz_task){
        .id = {.b = {1}},
        .exchange = {.b = {2}},
        .account = {.b = {3}},
        .kind = kind,
        .turn = kind == FLZ_TASK_REPLY ? 1 : 0,
        .not_before = NOW - FLZ_HOUR_MS,
        .not_after = NOW + FLZ_HOUR_MS,
        .deadline = NOW + FLZ_HOUR_MS / 2,
        .expires = NOW + 7 * FLZ_DAY_MS,
        .from = "ada@a.test",
        .to = "bob@b.test",
        .message_id = "one@a.test",
        .in_reply_to = "zero@b.test",
        .local_date = (int32_t)(NOW / FLZ_DAY_MS),
        .day_cap = 5,
    };
}

static struct job job_of(enum flz_task_kind kind)
{
    return (struct job){
        .record = {.version = JOURNAL_VERSION, .task = task_of(kind), .state = JOB_ACCEPTED},
        .since_boot = BOOT - FLZ_HOUR_MS};
}

static struct job_clock clock_at(int64_t network)
{
    return (struct job_clock){.network_now = network, .boot_now = BOOT, .rate_milli = 1000};
}

static struct job_gate open_gate(void)
{
    return (struct job_gate){
        .clock = clock_at(NOW),
        .clock_known = true,
        .lease_end_boot = BOOT + 1,
        .accepted = true,
        .in_hours = true,
        .local_date = (int32_t)(NOW / FLZ_DAY_MS),
        .dots_today = 4,
        .consent = {.until = NOW + 1,
                    .actions =
                        FLZ_ACTION_SEND | FLZ_ACTION_OPEN | FLZ_ACTION_REPLY | FLZ_ACTION_MOVE},
    };
}

static struct smtp_result result_of(enum smtp_verdict verdict, int code)
{
    return (struct smtp_result){.verdict = verdict,
                                .stage = SMTP_STAGE_DOT,
                                .reply = {.code = code, .text = "says <ada@a.test> no"}};
}

static struct visit_outcome outcome_of(enum visit_result result, enum visit_reason reason,
                                       enum visit_placement placement)
{
    return (struct visit_outcome){
        .result = result, .reason = reason, .placement = placement, .text = "words"};
}

/* ---- The gate ---- */

static void gate_lets_a_good_task_through_and_stops_at_each_bar(void **state)
{
    struct flz_task send = task_of(FLZ_TASK_SEND);
    assert_int_equal(job_gate_check(&send, &(struct job_gate){.clock = clock_at(NOW)}),
                     FLZ_REASON_LEASE);
    struct job_gate gate = open_gate();
    assert_int_equal(job_gate_check(&send, &gate), FLZ_REASON_NONE);
#define BARRED(change, want)                                                                       \
    do {                                                                                           \
        gate = open_gate();                                                                        \
        change;                                                                                    \
        assert_int_equal(job_gate_check(&send, &gate), want);                                      \
    } while (0)
    BARRED(gate.clock_known = false, FLZ_REASON_LEASE);
    BARRED(gate.given_up = true, FLZ_REASON_RESTORED);
    BARRED(gate.accepted = false, FLZ_REASON_LEASE);
    BARRED(gate.lease_end_boot = BOOT, FLZ_REASON_LEASE);
    BARRED(gate.paused = true, FLZ_REASON_PAUSED);
    BARRED(gate.clock.network_now = send.not_before - 1, FLZ_REASON_SLOT);
    BARRED(gate.clock.network_now = send.not_after, FLZ_REASON_SLOT);
    BARRED(gate.consent.until = NOW, FLZ_REASON_NO_CONSENT);
    BARRED(gate.consent.actions = FLZ_ACTION_REPLY, FLZ_REASON_NO_CONSENT);
    BARRED(gate.own_refused = true, FLZ_REASON_POLICY);
    BARRED(gate.peer_refused = true, FLZ_REASON_POLICY);
    BARRED(gate.peer_revoked = true, FLZ_REASON_REVOKED);
    BARRED(gate.peer_suppressed = true, FLZ_REASON_SUPPRESSED);
    BARRED(gate.revocations_lacking = true, FLZ_REASON_LEASE);
    BARRED(gate.in_hours = false, FLZ_REASON_SLOT);
    BARRED(gate.local_date++, FLZ_REASON_SLOT);
    BARRED(gate.dots_today = 5, FLZ_REASON_CAP);
    send.day_cap = 1000;
    BARRED(gate.dots_today = JOB_DAY_CEILING, FLZ_REASON_CAP);
    BARRED(gate.dots_today = JOB_DAY_CEILING - 1, FLZ_REASON_NONE);
}

static void gate_of_a_mailbox_task_asks_less(void **state)
{
    struct flz_task open = task_of(FLZ_TASK_OPEN);
    struct job_gate gate = open_gate();
    gate.in_hours = false;
    gate.dots_today = 1000;
    gate.peer_refused = true;
    gate.revocations_lacking = true;
    assert_int_equal(job_gate_check(&open, &gate), FLZ_REASON_NONE);
    gate.consent.actions = FLZ_ACTION_SEND;
    assert_int_equal(job_gate_check(&open, &gate), FLZ_REASON_NO_CONSENT);
    open.kind = FLZ_TASK_FIND; /* looking needs a live consent, whatever it is for */
    assert_int_equal(job_gate_check(&open, &gate), FLZ_REASON_NONE);
    gate.consent.until = NOW;
    assert_int_equal(job_gate_check(&open, &gate), FLZ_REASON_NO_CONSENT);
}

static void admission_refuses_what_is_not_ours(void **state)
{
    struct journal_member member = {
        .account = {.address = "ada@a.test",
                    .consent = {.until = NOW + FLZ_DAY_MS, .actions = 31}}};
    struct flz_task task = task_of(FLZ_TASK_SEND);
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_NONE);
    assert_int_equal(job_admit(&task, NULL, NOW), FLZ_REASON_UNKNOWN_ACCOUNT);
    (void)snprintf(task.from, sizeof task.from, "ADA@a.test");
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_NONE);
    (void)snprintf(task.from, sizeof task.from, "eve@a.test");
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_UNKNOWN_ACCOUNT);
    task = task_of(FLZ_TASK_OPEN); /* to bob: not this mailbox */
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_UNKNOWN_ACCOUNT);
    task = task_of(FLZ_TASK_SEND);
    task.turn = FLZ_TURNS_MAX;
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_PROTOCOL);
    task = task_of(FLZ_TASK_SEND);
    task.kind = FLZ_TASK_KIND_MAX + 1;
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_PROTOCOL);
    task = task_of(FLZ_TASK_SEND);
    task.not_after = task.not_before + JOB_SLOT_MAX_MS + 1;
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_SLOT);
    task = task_of(FLZ_TASK_SEND);
    assert_int_equal(job_admit(&task, &member, task.not_after), FLZ_REASON_SLOT);
    member.account.consent.until = NOW;
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_NO_CONSENT);
    member.released = true;
    assert_int_equal(job_admit(&task, &member, NOW), FLZ_REASON_UNKNOWN_ACCOUNT);
}

/* ---- Sending: each arrow of the diagram in proto/journal.h ---- */

static void accepted_dot_ends_it_as_sent(void **state)
{
    struct job job = job_of(FLZ_TASK_REPLY);
    struct flz_receipt receipt;
    job_begin_dot(&job, clock_at(NOW));
    assert_int_equal(job.record.state, JOB_DOT);
    assert_int_equal(job.record.dot_at, NOW);
    assert_int_equal(job_due(&job), FLZ_NEVER);
    struct smtp_result result = result_of(SMTP_ACCEPTED, 250);
    assert_int_equal(job_sent(&job, &result, FLZ_REASON_NONE, clock_at(NOW + 5), &receipt),
                     JOB_REPORT);
    assert_int_equal(job.record.state, JOB_ENDED);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_SENT);
    assert_int_equal(receipt.dot_at, NOW);
    assert_int_equal(receipt.at, NOW + 5);
    assert_null(strstr(receipt.text, "ada@"));
    assert_non_null(strstr(receipt.text, "[address]"));
    assert_true(job_wants_visit(&job)); /* \Answered on what it replies to */
    assert_false(job_wants_session(&job));
}

static void refusal_after_the_dot_ends_it_whatever_its_digit(void **state)
{
    static const enum smtp_verdict verdicts[] = {SMTP_REFUSED_TEMP, SMTP_REFUSED_PERM};
    for (size_t i = 0; i < 2; i++) {
        struct job job = job_of(FLZ_TASK_SEND);
        struct flz_receipt receipt;
        job_begin_dot(&job, clock_at(NOW));
        struct smtp_result result = result_of(verdicts[i], 450);
        assert_int_equal(job_sent(&job, &result, FLZ_REASON_RATE, clock_at(NOW), &receipt),
                         JOB_REPORT);
        assert_int_equal(receipt.outcome, FLZ_OUTCOME_REJECTED);
        assert_int_equal(receipt.reason, FLZ_REASON_RATE);
    }
}

static void refusal_before_the_dot_waits_if_it_may_pass(void **state)
{
    struct job job = job_of(FLZ_TASK_SEND);
    struct flz_receipt receipt;
    struct smtp_result result = result_of(SMTP_REFUSED_TEMP, 450);
    assert_int_equal(job_sent(&job, &result, FLZ_REASON_RATE, clock_at(NOW), &receipt), JOB_GO_ON);
    assert_int_equal(job.record.state, JOB_ACCEPTED);
    assert_true(job.wait_boot > BOOT);
    result = result_of(SMTP_REFUSED_PERM, 550);
    assert_int_equal(job_sent(&job, &result, FLZ_REASON_RECIPIENT, clock_at(NOW), &receipt),
                     JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_REJECTED);
    assert_int_equal(receipt.dot_at, 0);
}

static void dot_not_sent_is_withdrawn_and_not_tried_again(void **state)
{
    struct job job = job_of(FLZ_TASK_SEND);
    struct flz_receipt receipt;
    struct smtp_result result = result_of(SMTP_NOT_SENT, 0);
    assert_int_equal(job_sent(&job, &result, FLZ_REASON_NETWORK, clock_at(NOW), &receipt),
                     JOB_GO_ON);
    job_begin_dot(&job, clock_at(NOW));
    assert_int_equal(job_sent(&job, &result, FLZ_REASON_NETWORK, clock_at(NOW), &receipt),
                     JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_WITHDRAWN);
    assert_false(job_wants_session(&job));

    job = job_of(FLZ_TASK_SEND);
    assert_int_equal(job_withdraw(&job, FLZ_REASON_PAUSED, clock_at(NOW), &receipt), JOB_GO_ON);
    assert_int_equal(job_withdraw(&job, FLZ_REASON_LEASE, clock_at(NOW), &receipt), JOB_GO_ON);
    job_begin_dot(&job, clock_at(NOW));
    assert_int_equal(job_withdraw(&job, FLZ_REASON_PAUSED, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_WITHDRAWN);
    job = job_of(FLZ_TASK_SEND);
    assert_int_equal(job_withdraw(&job, FLZ_REASON_CAP, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.reason, FLZ_REASON_CAP);
}

static struct job in_doubt(void)
{
    struct job job = job_of(FLZ_TASK_SEND);
    struct flz_receipt receipt;
    job_begin_dot(&job, clock_at(NOW));
    struct smtp_result result = result_of(SMTP_UNKNOWN, 0);
    assert_int_equal(job_sent(&job, &result, FLZ_REASON_NETWORK, clock_at(NOW), &receipt),
                     JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_AMBIGUOUS);
    assert_int_equal(job.record.state, JOB_AMBIGUOUS);
    assert_false(job_wants_session(&job));
    assert_true(job_wants_visit(&job));
    return job;
}

static void doubt_ends_with_a_find_or_with_time(void **state)
{
    struct job job = in_doubt();
    struct visit_job visit;
    struct flz_receipt receipt;
    assert_int_equal(job_visits(&job, clock_at(NOW), &visit, 1), 1);
    assert_int_equal(visit.kind, VISIT_SENTFIND);
    struct visit_outcome none =
        outcome_of(VISIT_FAILED, VISIT_REASON_ABSENT, VISIT_PLACEMENT_UNOBSERVED);
    for (int i = 0; i < JOB_AMBIGUOUS_LOOKS_MIN; i++) {
        assert_int_equal(job_expire(&job, clock_at(NOW + JOB_AMBIGUOUS_MS), &receipt), JOB_GO_ON);
        assert_int_equal(job_visited(&job, &none, 1, clock_at(NOW), &receipt), JOB_GO_ON);
    }
    struct job found = job;
    assert_int_equal(job_expire(&job, clock_at(NOW + JOB_AMBIGUOUS_MS - 1), &receipt), JOB_GO_ON);
    assert_int_equal(job_expire(&job, clock_at(NOW + JOB_AMBIGUOUS_MS), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_INDETERMINATE);
    struct visit_outcome seen = outcome_of(VISIT_DONE, VISIT_REASON_NONE, VISIT_PLACEMENT_OTHER);
    assert_int_equal(job_visited(&found, &seen, 1, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_SENT);
}

static void doubt_that_nobody_can_look_into_ends_too(void **state)
{
    struct job job = in_doubt();
    struct flz_receipt receipt;
    assert_int_equal(job_expire(&job, clock_at(NOW + 2 * JOB_AMBIGUOUS_MS - 1), &receipt),
                     JOB_GO_ON);
    assert_int_equal(job_expire(&job, clock_at(NOW + 2 * JOB_AMBIGUOUS_MS), &receipt), JOB_REPORT);
}

static void restart_in_dot_is_doubt_and_in_no_other_state(void **state)
{
    for (uint32_t s = JOB_ACCEPTED; s <= JOB_ENDED; s++) {
        struct job job = job_of(FLZ_TASK_SEND);
        struct flz_receipt receipt;
        job.record.state = s;
        job.record.dot_at = NOW - 5;
        struct job_clock none = {.boot_now = BOOT, .rate_milli = 1000};
        assert_int_equal(job_resume(&job, none, &receipt), s == JOB_DOT);
        if (s != JOB_DOT)
            continue;
        assert_int_equal(job.record.state, JOB_AMBIGUOUS);
        assert_int_equal(receipt.outcome, FLZ_OUTCOME_AMBIGUOUS);
        assert_int_equal(receipt.at, NOW - 5);
        assert_true(job.wait_boot - BOOT <= 5000);
    }
}

static void a_log_given_up_withdraws_what_has_not_left(void **state)
{
    struct flz_receipt receipt;
    struct job job = job_of(FLZ_TASK_SEND);
    job.record.task.not_before = NOW + 1;
    job.record.task.voucher = flz_view_str("voucher");
    assert_true(job_give_up(&job));
    assert_false(job_give_up(&job));
    assert_true(job_due(&job) <= NOW); /* at once: the ledger waits to hear it */
    assert_int_equal(job_withdraw(&job, FLZ_REASON_RESTORED, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_WITHDRAWN);
    assert_true(flz_view_equal(receipt.voucher, flz_view_str("voucher")));
    assert_false(job_give_up(&job));

    job = job_of(FLZ_TASK_REPLY);
    job_begin_dot(&job, clock_at(NOW));
    assert_true(job_give_up(&job)); /* its second check stops it, if it waits for one */
    job.record.state = JOB_AMBIGUOUS;
    job.record.given_up = false;
    assert_false(job_give_up(&job));
    job = job_of(FLZ_TASK_FIND);
    assert_false(job_give_up(&job));
}

static void slot_that_ends_ends_it(void **state)
{
    struct flz_receipt receipt;
    struct job job = job_of(FLZ_TASK_SEND);
    int64_t end = job.record.task.not_after;
    assert_int_equal(job_expire(&job, clock_at(end - 1), &receipt), JOB_GO_ON);
    assert_int_equal(job_expire(&job, clock_at(end), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_EXPIRED);
    assert_int_equal(receipt.reason, FLZ_REASON_SLOT);
    job = job_of(FLZ_TASK_FIND);
    assert_int_equal(job_expire(&job, clock_at(end), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_UNOBSERVED);
}

static void fast_clock_leaves_a_mailbox_task_its_real_floor(void **state)
{
    struct flz_receipt receipt;
    struct job job = job_of(FLZ_TASK_OPEN);
    int64_t end = job.record.task.not_after;
    job.since_boot = BOOT - JOB_REAL_FLOOR_MS + 1;
    assert_int_equal(job_expire(&job, clock_at(end), &receipt), JOB_GO_ON);
    job.since_boot--;
    assert_int_equal(job_expire(&job, clock_at(end), &receipt), JOB_REPORT);
    job = job_of(FLZ_TASK_SEND); /* a dot outside its slot is never right */
    job.since_boot = BOOT;
    assert_int_equal(job_expire(&job, clock_at(end), &receipt), JOB_REPORT);

    job = job_of(FLZ_TASK_FIND);
    job.since_boot = BOOT;
    struct visit_outcome missing =
        outcome_of(VISIT_FAILED, VISIT_REASON_ABSENT, VISIT_PLACEMENT_MISSING);
    struct job_clock clock = clock_at(job.record.task.deadline);
    clock.rate_milli = 10000000;
    assert_int_equal(job_visited(&job, &missing, 1, clock, &receipt), JOB_GO_ON);
    assert_true(job.wait_boot - BOOT >= 400);
    job.since_boot = BOOT - JOB_REAL_FLOOR_MS;
    assert_int_equal(job_visited(&job, &missing, 1, clock, &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_MISSING);
}

/* ---- Mailboxes ---- */

static void find_says_missing_only_after_a_full_look_past_the_deadline(void **state)
{
    struct job job = job_of(FLZ_TASK_FIND);
    struct flz_receipt receipt;
    struct visit_job visit;
    int64_t deadline = job.record.task.deadline;
    assert_int_equal(job_visits(&job, clock_at(deadline - 1), &visit, 1), 1);
    assert_false(visit.search_all);
    assert_int_equal(job_visits(&job, clock_at(deadline), &visit, 1), 1);
    assert_true(visit.search_all);
    struct visit_outcome missing =
        outcome_of(VISIT_FAILED, VISIT_REASON_ABSENT, VISIT_PLACEMENT_MISSING);
    struct visit_outcome unobserved =
        outcome_of(VISIT_FAILED, VISIT_REASON_ABSENT, VISIT_PLACEMENT_UNOBSERVED);
    assert_int_equal(job_visited(&job, &missing, 1, clock_at(deadline - 1), &receipt), JOB_GO_ON);
    assert_int_equal(job_visited(&job, &unobserved, 1, clock_at(deadline), &receipt), JOB_GO_ON);
    assert_int_equal(job_visited(&job, &missing, 1, clock_at(deadline), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_MISSING);
}

static void find_says_where_it_lies(void **state)
{
    static const struct {
        enum visit_placement seen;
        uint32_t want;
    } places[] = {{VISIT_PLACEMENT_INBOX, FLZ_PLACEMENT_INBOX},
                  {VISIT_PLACEMENT_JUNK, FLZ_PLACEMENT_JUNK},
                  {VISIT_PLACEMENT_OTHER, FLZ_PLACEMENT_OTHER}};
    for (size_t i = 0; i < 3; i++) {
        struct job job = job_of(FLZ_TASK_FIND);
        struct flz_receipt receipt;
        struct visit_outcome seen = outcome_of(VISIT_DONE, VISIT_REASON_NONE, places[i].seen);
        assert_int_equal(job_visited(&job, &seen, 1, clock_at(NOW), &receipt), JOB_REPORT);
        assert_int_equal(receipt.outcome, FLZ_OUTCOME_FOUND);
        assert_int_equal(receipt.placement, places[i].want);
    }
}

static void action_is_done_noop_or_failed(void **state)
{
    struct flz_receipt receipt;
    struct job job = job_of(FLZ_TASK_OPEN);
    struct visit_outcome done = outcome_of(VISIT_DONE, VISIT_REASON_NONE, VISIT_PLACEMENT_INBOX);
    assert_int_equal(job_visited(&job, &done, 1, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_DONE);
    job = job_of(FLZ_TASK_UNSPAM);
    done.result = VISIT_NOOP;
    assert_int_equal(job_visited(&job, &done, 1, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_NOOP);
    job = job_of(FLZ_TASK_OPEN);
    struct visit_outcome gone =
        outcome_of(VISIT_FAILED, VISIT_REASON_ABSENT, VISIT_PLACEMENT_UNOBSERVED);
    for (int i = 0; i < JOB_ACTION_TRIES_MAX; i++)
        assert_int_equal(job_visited(&job, &gone, 1, clock_at(NOW), &receipt), JOB_GO_ON);
    assert_int_equal(job_visited(&job, &gone, 1, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_FAILED);
    assert_int_equal(receipt.reason, FLZ_REASON_GONE);
}

static void tidy_visits_each_message_and_leaves_junk_alone(void **state)
{
    static const struct flz_text messages[3] = {{"a@x"}, {"b@x"}, {"c@x"}};
    struct job job = job_of(FLZ_TASK_TIDY);
    struct flz_receipt receipt;
    struct visit_job visits[FLZ_TURNS_MAX];
    job.record.task.references = messages;
    job.record.task.references_count = 3;
    assert_int_equal(job_visits(&job, clock_at(NOW), visits, FLZ_TURNS_MAX), 3);
    assert_true(visits[0].in_sent && !visits[1].in_sent && visits[2].in_sent);
    assert_string_equal(visits[1].look.message_id, "b@x");
    assert_int_equal(visits[2].look.step, 2);
    struct visit_outcome outcomes[3] = {
        outcome_of(VISIT_DONE, VISIT_REASON_NONE, VISIT_PLACEMENT_OTHER),
        outcome_of(VISIT_FAILED, VISIT_REASON_NOT_SO, VISIT_PLACEMENT_JUNK),
        outcome_of(VISIT_FAILED, VISIT_REASON_NO_FOLDER, VISIT_PLACEMENT_UNOBSERVED)};
    assert_int_equal(job_visited(&job, outcomes, 3, clock_at(NOW), &receipt), JOB_REPORT);
    assert_int_equal(receipt.outcome, FLZ_OUTCOME_DONE);
    job = job_of(FLZ_TASK_TIDY);
    outcomes[0] = outcome_of(VISIT_FAILED, VISIT_REASON_REFUSED, VISIT_PLACEMENT_INBOX);
    assert_int_equal(job_visited(&job, outcomes, 3, clock_at(NOW), &receipt), JOB_GO_ON);
}

static void answered_mark_is_given_up_in_the_end(void **state)
{
    struct job job = job_of(FLZ_TASK_REPLY);
    struct flz_receipt receipt;
    struct visit_job visit;
    job_begin_dot(&job, clock_at(NOW));
    struct smtp_result result = result_of(SMTP_ACCEPTED, 250);
    (void)job_sent(&job, &result, FLZ_REASON_NONE, clock_at(NOW), &receipt);
    job.reported = true;
    assert_int_equal(job_visits(&job, clock_at(NOW), &visit, 1), 1);
    assert_int_equal(visit.kind, VISIT_ANSWERED);
    assert_int_equal(visit.look.step, 0);
    assert_string_equal(visit.look.message_id, "zero@b.test");
    struct job idle = job;
    struct visit_outcome failed =
        outcome_of(VISIT_FAILED, VISIT_REASON_ABSENT, VISIT_PLACEMENT_UNOBSERVED);
    for (int i = 0; job_wants_visit(&job); i++) {
        assert_true(i < 20);
        assert_int_equal(job_visited(&job, &failed, 1, clock_at(NOW), &receipt), JOB_GO_ON);
    }
    assert_int_equal(job_due(&job), FLZ_NEVER);
    /* Nobody ever visits: its exchange's end is its own. */
    assert_int_equal(job_expire(&idle, clock_at(idle.record.task.expires), &receipt), JOB_GO_ON);
    assert_false(job_wants_visit(&idle));
    assert_true(job_is_past(&idle, idle.record.task.expires + JOB_AMBIGUOUS_MS + 1));
}

/* ---- The property: at most one dot, and every job ends ---- */

struct life {
    struct job job;
    int64_t network, boot;
    unsigned dots; /* that may have left */
    unsigned reports, last_words;
};

static uint32_t seed_now;

static uint32_t draw(uint32_t n)
{
    seed_now = seed_now * 1664525u + 1013904223u;
    return (seed_now >> 8) % n;
}

static void note(struct life *life, enum job_next next, const struct flz_receipt *receipt)
{
    if (next != JOB_REPORT)
        return;
    life->reports++;
    life->last_words += receipt->outcome != FLZ_OUTCOME_AMBIGUOUS;
    life->job.reported = true;
}

static void try_to_send(struct life *life, struct job_clock clock)
{
    struct flz_receipt receipt;
    struct smtp_result result = result_of(SMTP_NOT_SENT, 0);
    switch (draw(6)) {
    case 0:
        note(life,
             job_withdraw(&life->job, draw(2) ? FLZ_REASON_LEASE : FLZ_REASON_CAP, clock, &receipt),
             &receipt);
        return;
    case 1:
        note(life,
             job_no_session(&life->job, FLZ_REASON_NETWORK, draw(9) == 0, "down", clock, &receipt),
             &receipt);
        return;
    case 2:
        result.verdict = draw(2) ? SMTP_REFUSED_TEMP : SMTP_NOT_SENT;
        note(life, job_sent(&life->job, &result, FLZ_REASON_RATE, clock, &receipt), &receipt);
        return;
    default: break;
    }
    job_begin_dot(&life->job, clock);
    if (draw(5) == 0) { /* the process dies; the dot may have left or not */
        life->dots += draw(2);
        if (job_resume(&life->job, clock, &receipt))
            note(life, JOB_REPORT, &receipt);
        return;
    }
    if (draw(5) == 0) {
        note(life, job_withdraw(&life->job, FLZ_REASON_PAUSED, clock, &receipt), &receipt);
        return;
    }
    static const enum smtp_verdict verdicts[] = {SMTP_ACCEPTED, SMTP_REFUSED_TEMP,
                                                 SMTP_REFUSED_PERM, SMTP_UNKNOWN, SMTP_NOT_SENT};
    result.verdict = verdicts[draw(5)];
    life->dots += result.verdict != SMTP_NOT_SENT;
    note(life, job_sent(&life->job, &result, FLZ_REASON_RATE, clock, &receipt), &receipt);
}

static void visit_it(struct life *life, struct job_clock clock)
{
    struct flz_receipt receipt;
    struct visit_job visits[FLZ_TURNS_MAX];
    struct visit_outcome outcomes[FLZ_TURNS_MAX];
    size_t n = job_visits(&life->job, clock, visits, FLZ_TURNS_MAX);
    if (draw(4) == 0) {
        note(life, job_no_session(&life->job, FLZ_REASON_NETWORK, false, "down", clock, &receipt),
             &receipt);
        return;
    }
    for (size_t i = 0; i < n; i++)
        outcomes[i] = outcome_of(draw(8) == 0 ? VISIT_DONE : VISIT_FAILED,
                                 draw(2) ? VISIT_REASON_ABSENT : VISIT_REASON_REFUSED,
                                 (enum visit_placement)draw(5));
    note(life, job_visited(&life->job, outcomes, n, clock, &receipt), &receipt);
}

static bool is_over(const struct job *job)
{
    return job->record.state == JOB_ENDED && !job->record.answer_pending;
}

static void every_life_ends_with_one_dot_at_most(void **state)
{
    static const int64_t rates[] = {1000, 100000, 10000000};
    for (uint32_t seed = 1; seed < 400000; seed += 97) {
        seed_now = seed;
        struct life life = {
            .job = job_of(FLZ_TASK_SEND + draw(FLZ_TASK_KIND_MAX)), .network = NOW, .boot = BOOT};
        int64_t rate = rates[draw(3)];
        int steps = 0;
        for (; !is_over(&life.job) && steps < 3000; steps++) {
            struct job_clock clock = {life.network, life.boot, rate};
            struct flz_receipt receipt;
            enum job_next next = job_expire(&life.job, clock, &receipt);
            note(&life, next, &receipt);
            if (next == JOB_GO_ON && job_due(&life.job) <= clock.network_now &&
                life.job.wait_boot <= clock.boot_now) {
                if (job_wants_session(&life.job))
                    try_to_send(&life, clock);
                else if (job_wants_visit(&life.job))
                    visit_it(&life, clock);
            }
            int64_t step = 1 + draw(600000) * 1000 / (uint32_t)(rate / 1000 + 1) / 100;
            life.boot += step;
            life.network += step * rate / 1000;
        }
        if (!is_over(&life.job) || life.dots > 1 || life.last_words != 1 || life.reports > 2)
            fail_msg("seed %u: over %d after %d steps, dots %u, reports %u, last words %u", seed,
                     is_over(&life.job), steps, life.dots, life.reports, life.last_words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_lets_a_good_task_through_and_stops_at_each_bar),
        cmocka_unit_test(gate_of_a_mailbox_task_asks_less),
        cmocka_unit_test(admission_refuses_what_is_not_ours),
        cmocka_unit_test(accepted_dot_ends_it_as_sent),
        cmocka_unit_test(refusal_after_the_dot_ends_it_whatever_its_digit),
        cmocka_unit_test(refusal_before_the_dot_waits_if_it_may_pass),
        cmocka_unit_test(dot_not_sent_is_withdrawn_and_not_tried_again),
        cmocka_unit_test(doubt_ends_with_a_find_or_with_time),
        cmocka_unit_test(doubt_that_nobody_can_look_into_ends_too),
        cmocka_unit_test(restart_in_dot_is_doubt_and_in_no_other_state),
        cmocka_unit_test(a_log_given_up_withdraws_what_has_not_left),
        cmocka_unit_test(slot_that_ends_ends_it),
        cmocka_unit_test(fast_clock_leaves_a_mailbox_task_its_real_floor),
        cmocka_unit_test(find_says_missing_only_after_a_full_look_past_the_deadline),
        cmocka_unit_test(find_says_where_it_lies),
        cmocka_unit_test(action_is_done_noop_or_failed),
        cmocka_unit_test(tidy_visits_each_message_and_leaves_junk_alone),
        cmocka_unit_test(answered_mark_is_given_up_in_the_end),
        cmocka_unit_test(every_life_ends_with_one_dot_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
