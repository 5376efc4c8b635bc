/*
 * The watch: what must hold, looked at from outside, at each frame, each final dot, each hour and
 * at the end. It believes no program: what was ordered it reads on the wire, what is durable on the
 * disks, what was sent at the mail servers.
 *
 * Invariant (DESIGN 10)             where it is looked at
 *  I1  one final dot per task       watch_dot: handed over once; post.c: read once
 *  I2  ledger = mailboxes           books_check: each turn against post.c's book
 *  I3  acknowledged = durable       an ACK or WELCOME that leaves, against the coordinator's disk;
 *                                   a report that leaves, against its node's
 *  I4  aggregates = fold            books_check: counters against the exchanges they are of
 *  I5  committed before sent        a TASKS frame that leaves, against the coordinator's disk
 *  I6  epochs are fenced            a frame's epoch against the log's; the log's epochs rise
 *  I7  inside slot and lease        watch_dot, by the pulses that arrived
 *  I8  caps                         each hour: reserved + committed ≤ quota; dots of a day ≤ cap
 *  I9  replay changes nothing       frames come again all the time: I1, I2, I4 and I18 tell
 *  I10 same log, same rows          books_check: the log folded from nothing
 *  I11 revocation holds             TASKS to a revoked node; its words in the log; watch_dot
 *  I12 no secret leaks              each log line, each frame, both disks
 *  I13 everything ends              watch_end
 *  I14 bounds                       connections and open jobs, each hour
 *  I15 ready soon                   each start of a process
 *  I17 the log is dense, chained    books_check
 *  I18 no credit from one side      books_check, by the receipts in the log
 *  I19 a full disk holds back       no write is taken meanwhile (disk.c); no process ends of it
 *  I20 hours, cooldown, spacing,    TASKS frames and watch_dot; books_check: quotas grow by a
 *      ±25 %, members only          quarter; post.c: no stranger
 *  I21 foreign mail untouched       watch_end: it lies where it lay, unread
 * Not seen here: I16 (a flipped bit on the disk) is tests/crash and tests/unit.
 */
#pragma once

#include "common/base/id.h"
#include "tests/sim/world/world.h"

/* What the coordinator ordered, by the wire. */
struct watch_order {
    struct flz_id task;
    struct flz_id exchange;
    uint32_t kind;
    uint32_t turn;
    uint32_t attempt;
    size_t node;
    size_t account;  /* acts */
    size_t from, to; /* of the message */
    int64_t not_before;
    int64_t not_after;
    int32_t local_date;
    uint32_t day_cap;
    char message_id[320];
    unsigned dots; /* handed over */
};

void watch_init(void);

/* From now on the log is restored from a backup: nothing new is sent until then. */
void watch_restored(int64_t quiet_until);
/* This node's frames are forged from now on: no more is promised of what it says. */
void watch_liar(size_t node);
bool watch_is_liar(size_t node);
/* What it says in the place of a frame of reports; borrowed until the next call. */
struct flz_reports;
extern struct flz_view (*watch_tamper)(size_t node, const struct flz_reports *frame,
                                       struct flz_view bytes);
/* This node's journal was lost or set back: the node has its excuses. */
void watch_lost(size_t node);

/* A task by its id; NULL: it was never ordered. */
const struct watch_order *watch_task(struct flz_id task);
/* The order of a message; NULL: nobody ordered it. */
const struct watch_order *watch_sent_by(const char *message_id);
const struct watch_order *watch_message(struct flz_id exchange, uint32_t turn);

/* Each hour. */
void watch_hour(void);
/* Is everything over? */
bool watch_is_over(void);
void watch_end(void);

/* What was done, for the summary. */
struct watch_counts {
    size_t orders;
    size_t dots;
    size_t acks;
};
extern struct watch_counts watch_counts;
