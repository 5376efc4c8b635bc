# The planted bugs: each is a change of the programs that somebody might make by mistake, and the
# fault simulation must catch it. tests/sim/plant builds and runs them.
#
#     plant NAME FILE WHAT-MUST-NOT-HOLD "OPTIONS OF faultsim"
#         OLD TEXT
#     ----
#         NEW TEXT
#     ====
#         OLD TEXT, if there is another
#     …
#
# OLD TEXT must stand in FILE exactly once. WHAT-MUST-NOT-HOLD is a regular expression that matches
# the invariants by which it may be caught.

# ---- The node's journal ----

plant journal-not-synced node/journal.c 'I[13]' "" <<'END'
    journal->result = store_write(journal->store, journal->committing, true);
----
    journal->result = store_write(journal->store, journal->committing, false);
END

plant dot-before-its-record node/desk_send.c 'I1' "" <<'END'
    journal_sync(worker->parts.journal, on_dot_durable, wait);
----
    on_dot_durable(0, wait);
END

plant report-before-it-is-durable node/outbox.c 'I3' "--only disk-slow" <<'END'
        if (outbox->entries[i].seq > outbox->durable || bytes > FRAME_BYTES_MAX)
----
        if (bytes > FRAME_BYTES_MAX)
END

plant full-disk-breaks-the-journal node/journal.c 'I19' "--only disk-full --seeds 6" <<'END'
    if (r == STORE_E_FULL) {
----
    if (r == STORE_E_FULL)
        journal->result = r = -EIO;
    if (r == STORE_E_FULL) {
END

# ---- Sending ----

plant retry-after-the-dot node/core/job.c 'I1' "--only dots-in-doubt --seeds 4" <<'END'
        job->record.state = JOB_AMBIGUOUS;
        job->looks = 0;
----
        job->record.state = JOB_ACCEPTED;
        return try_again(job, clock, RETRY_FLOOR_MS);
END

plant restart-sends-again node/core/job.c 'I1' "--only kills,crashes,smtp-hang --dose 5 --seeds 30" <<'END'
    job->record.state = JOB_AMBIGUOUS;
    job->record.reason = FLZ_REASON_NONE;
----
    job->record.state = JOB_ACCEPTED;
    return false;
END

plant temporary-refusal-of-a-dot-is-retried node/core/job.c 'I1' "--only smtp-4xx --seeds 6" <<'END'
    if (permanent || job->record.state == JOB_DOT)
        return end_with(job, FLZ_OUTCOME_REJECTED, clock.network_now, ret_receipt);
----
    if (permanent)
        return end_with(job, FLZ_OUTCOME_REJECTED, clock.network_now, ret_receipt);
    job->record.state = JOB_ACCEPTED;
END

plant lost-connection-behind-the-dot-is-not-sent node/core/job.c 'I2' \
    "--only dots-in-doubt --seeds 6" <<'END'
    case SMTP_UNKNOWN:
        assert(job->record.state == JOB_DOT);
----
    case SMTP_UNKNOWN:
        return end_with(job, FLZ_OUTCOME_WITHDRAWN, clock.network_now, ret_receipt);
END

plant lease-lasts-too-long node/link.c 'I7' "--only partition-silent,smtp-4xx,mail-unreached --dose 5 --seeds 20" <<'END'
    link->lease_end_boot = pulse.echo_boot_ms + lease;
----
    link->lease_end_boot = pulse.echo_boot_ms + 8 * lease;
END

plant pause-is-ignored node/worker_gate.c 'I11' "--only pauses --dose 4 --seeds 8" <<'END'
        .paused = worker->link && link_paused(worker->link, account->id, account->provider,
                                              worker_domain_of(account->address)),
----
        .paused = false,
END

plant slot-is-ignored node/core/job.c 'I7|I20' "--only smtp-4xx,smtp-hang --dose 6 --seeds 10" <<'END'
    if (now < task->not_before || (flz_task_kind_sends(task->kind) && now >= task->not_after))
----
    if (now < task->not_before)
====
    if (record->state != JOB_ACCEPTED || clock.network_now < record->task.not_after)
----
    if (record->state != JOB_ACCEPTED || clock.network_now < record->task.not_after + FLZ_HOUR_MS)
END

# ---- Mailboxes ----

plant reading-marks-as-seen node/core/imap.c 'I21' "" <<'END'
" BODY.PEEK[HEADER.FIELDS (%s)]"
----
" BODY[HEADER.FIELDS (%s)]"
END

plant expunges-what-others-deleted node/core/imap.c 'I21' "--seeds 4" <<'END'
"UID EXPUNGE %u\r\n", uid);
----
"EXPUNGE\r\n");
    (void)uid;
END

plant missing-told-as-unobserved node/core/job.c 'I2' "--only mail-swallowed" <<'END'
        return end_with(job, FLZ_OUTCOME_MISSING, clock.network_now, ret_receipt);
----
        return end_with(job, FLZ_OUTCOME_UNOBSERVED, clock.network_now, ret_receipt);
END

plant found-without-looking node/core/job.c 'I2' "--only mail-swallowed" <<'END'
    if (outcome->result == VISIT_DONE)
        return found(job, outcome, clock, ret_receipt);
----
    if (outcome->result == VISIT_DONE || clock.network_now >= job->record.task.deadline)
        return found(job, outcome, clock, ret_receipt);
END

# ---- Secrets ----

plant password-in-the-log node/desk_probe.c 'I12' "" <<'END'
    return members_secret(worker->parts.members, desk->account, ret_secret);
----
    int r = members_secret(worker->parts.members, desk->account, ret_secret);
    if (r == 0)
        flz_log(worker->parts.log, FLZ_LOG_INFO, "secret", "length=%.*s",
                (int)ret_secret->len, (const char *)ret_secret->data);
    return r;
END

plant secret-not-sealed node/members.c 'I12' "" <<'END'
    int r = seal_close(members->kek, flz_buf_view(&aad), flz_secret_view(secret), &blob);
    if (r < 0)
----
    int r = seal_close(members->kek, flz_buf_view(&aad), flz_secret_view(secret), &blob);
    flz_buf_add_view(&blob, flz_secret_view(secret));
    if (r < 0)
END

# ---- The coordinator's log ----

plant log-not-synced coordinator/rlog/embedded.c 'I[35]' "" <<'END'
        store_batch_copy(embedded->batch, rider);
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, true));
----
        store_batch_copy(embedded->batch, rider);
    enum rlog_result result =
        result_of_write(store_write(embedded->options.store, embedded->batch, false));
END

plant acknowledged-early coordinator/door.c 'I3' "" <<'END'
    r = server_after_commit(door->server, on_reported, ack);
    if (r < 0)
        return r;
    door->peers[node].acks_due++;
    (void)steal_ptr(&ack);
----
    door->peers[node].acks_due++;
    on_reported(steal_ptr(&ack), 0);
END

plant unknown-is-taken-as-committed coordinator/rlog/committer.c 'I[0-9]+' \
    "--only log-unknown --dose 5 --seeds 6" <<'END'
    if (committer->result != RLOG_UNKNOWN)
        return;
----
    if (committer->result == RLOG_UNKNOWN)
        committer->result = RLOG_OK;
    if (committer->result != RLOG_UNKNOWN)
        return;
END

# ---- What the coordinator decides ----

plant spacing-is-ignored coordinator/core/exchange.c 'I20' \
    "--only partition,off,stands-still --dose 3 --seeds 12" <<'END'
    int64_t apart = sender->row.issued_at + core->policy.spacing_ms;
----
    int64_t apart = sender->row.issued_at;
END

plant quiet-day-is-forgotten coordinator/core/exchange.c 'I20' \
    "--only restored-backup --seeds 12" <<'END'
    if (core->clock < core->network.quiet_until)
----
    if (core->clock < 0)
END

plant lost-journal-is-trusted coordinator/core/fleet.c 'I1|I2' \
    "--only journal-lost,dots-in-doubt,smtp-hang --dose 6 --seeds 60" <<'END'
    int r = maybe_sent(core, x, turn, kind, FLZ_REASON_JOURNAL);
    return r < 0 ? r : state_wake(core, x, core->clock);
----
    (void)task;
    return state_wake(core, x, core->clock);
END

plant credit-from-one-side coordinator/core/aggregate.c 'I18' \
    "--only off,partition,frames-lost,kills,mail-swallowed --dose 4 --seeds 20" <<'END'
    return !x->one_node && aggregate_sent(t) && t->sender_witness && !t->find.presumed &&
           t->find.state == TASK_ENDED && t->find.outcome == FLZ_OUTCOME_FOUND &&
           t->send.node != t->find.node;
----
    return aggregate_sent(t);
END

plant hours-are-an-hour-longer coordinator/civil.c 'I20' "--seeds 3" <<'END'
    return (struct tz_hours){.start_minute = (int)account->start_minute,
----
    return (struct tz_hours){.start_minute = (int)account->start_minute - 60,
END
