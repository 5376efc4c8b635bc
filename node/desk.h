/*
 * What the files of the worker share: worker.c (time, accepting, the loop), worker_records.c (what
 * is kept and reported), worker_gate.c (what a job may do), and those of a desk, which serves one
 * account: desk.c, desk_line.c (its servers), desk_rate.c, desk_send.c, desk_visit.c, desk_probe.c,
 * desk_report.c. feedback.c looks into the node's own mailbox. Nobody else includes this.
 */
#pragma once

#include "node/attest.h"
#include "node/core/shaping.h"
#include "node/sender.h"
#include "node/visitor.h"
#include "node/worker.h"

#include <uv.h>

#define DESK_FLOOR_MS 500  /* real time after a failure, however fast a lab is */
#define GATE_WAIT_MS 2000  /* until a job is looked at again whose gate may open */
#define DOMAIN_WAIT_MS 300 /* until DNS may have answered */

/* Jobs waiting for one session. */
struct queue {
    struct job **jobs; /* owned array, borrowed jobs */
    size_t count;
    size_t capacity;
};

/* Which job the visit jobs [first, first + n) of the running visit belong to. */
struct errand {
    struct job *job; /* NULL: the probe, the sweep, or settled */
    bool sweep;
    bool reports;
    size_t first;
    size_t n;
    size_t settled;
    uint32_t turns[FLZ_TURNS_MAX];  /* the message that each of them is about */
    struct visit_outcome *outcomes; /* n of them, owned */
};

/* One of an account's two servers, and how it has been of late. */
struct line {
    struct shaping_line shape;
    bool token_doubted;  /* one access token was refused since: the next refusal counts */
    bool token_forgiven; /* it was in the try that is just being told of */
    bool no_token;       /* the trouble is that there is no access token: no server was asked */
    enum flz_reason trouble;
    char text[FLZ_REPLY_TEXT_MAX]; /* protocol, host, port, stage, and the server's words */
};

/* A dot that waits for its record; the journal holds the pointer, the worker the list. */
struct dot_wait {
    struct worker *worker; /* NULL: the worker has gone */
    struct flz_id account;
    uint64_t token;
    struct dot_wait *next;
};

/* Serves one account. */
struct desk {
    struct worker *worker;
    struct flz_id account;
    struct queue send;
    struct queue visit;

    struct sender *sender;
    struct job *sending; /* the transaction under way */
    uint64_t dot_token;  /* of the DOT record asked for last; tells a late answer */
    bool dot_waits;      /* the engine holds a dot until the record is durable */
    bool login_only;     /* the session was opened to see whether it logs in */

    struct visitor *visitor;
    struct errand *errands; /* owned */
    size_t errands_count;
    bool probing;         /* the visit ends with a look at the account itself */
    int64_t sweep_before; /* what is older is removed by this visit */
    int32_t sweep_today;
    int64_t reports_boot; /* boot time from which reports are looked for again */
    struct visit_mark marks[VISIT_PLACES]; /* what was read of INBOX and Junk in this process */
    int32_t sweep_date; /* the local date on which our folder was swept last, in this process */

    struct line smtp;
    struct line imap;
    uint32_t session_messages; /* begun in the session that is open */
    bool rate_recalled;        /* what it sent before this process began is counted */
    bool denied;               /* the providers table forbids it, as far as is known */
    int64_t stop_boot;         /* no message is begun before it */
    bool worked;               /* a server of it has taken a login since this process began */
    int64_t probe_boot;        /* when its servers were last looked at; 0 = never */
    uint32_t probes_failed;    /* in a row */
};

struct worker {
    struct worker_parts parts;
    struct link *link;
    struct attest_nodes *nodes; /* owned */
    struct book book;
    struct desk **desks; /* owned */
    size_t desks_count;
    size_t desks_capacity;
    struct flz_map desk_of;
    struct shaping shaping;
    struct meters meters;
    uv_timer_t *timer;       /* owned; freed in its close callback */
    uv_idle_t *soon;         /* owned likewise: a wake asked for within a callback */
    struct flz_id *open_ids; /* owned; for HELLO */
    size_t open_ids_capacity;
    struct dot_wait *waits; /* owned by the journal's callbacks */
    uint64_t dot_tokens;
    bool draining; /* nothing new is begun */
    struct worker_stats stats;
};

/* ---- The worker (worker.c) ---- */

struct job_clock worker_clock(struct worker *worker);
struct shaping_clock worker_shaping_clock(struct worker *worker);
struct attest_time worker_attest_time(struct worker *worker);
bool worker_has_authority(struct worker *worker, struct job_clock clock);

/* Network time as the real time that it takes. */
int64_t worker_real_ms(struct worker *worker, int64_t network_ms, int64_t floor_ms);

/* Leaves a job alone for so long. */
void worker_wait_for(struct worker *worker, struct job *job, int64_t ms);

/* ---- What is kept and told (worker_records.c) ---- */

/* DOT records of an account on one of its local dates. */
uint32_t worker_dots_on(struct worker *worker, struct flz_id account, int32_t date);
void worker_count_dot(struct worker *worker, const struct job *job, int change);

struct flz_view worker_id_view(const struct flz_id *id);

/* Gathers the job's record. 0 or negative. */
int worker_save_job(struct worker *worker, const struct job *job);

/* Gathers the report of a receipt. */
void worker_report(struct worker *worker, const struct flz_receipt *receipt);

/* Stores what became of a job, reports it, and puts it where time will find it again. */
void worker_settle(struct worker *worker, struct job *job, enum job_next next, bool was_open,
                   const struct flz_receipt *receipt);

/* ---- The gate (worker_gate.c) ---- */

const char *worker_domain_of(const char *address);

/* Does the domain of this address refuse? 0; DOMAINS_E_ASKED or _FAILED: not known yet. */
int worker_domain_refuses(struct worker *worker, const char *address, bool *ret_refuses);

/* Was the node that vouches for this recipient cut off since? */
bool worker_peer_is_revoked(struct worker *worker, const struct flz_task *task);

/* Fills the gate for a job; DOMAINS_E_ASKED or _FAILED: a domain is not known yet. */
int worker_fill_gate(struct worker *worker, const struct job *job, const struct member *member,
                     struct job_gate *ret_gate);

/* ---- A desk (desk.c) ---- */

/* The account's desk, made when it has none; NULL without memory. */
struct desk *desk_find(struct worker *worker, struct flz_id account);
void desk_free(struct desk *desk);

/* The account was given up, and nothing of it is under way any more. */
bool desk_is_deserted(const struct desk *desk);

int desk_enqueue(struct queue *queue, struct job *job); /* 0 or -ENOMEM */
struct job *desk_dequeue(struct queue *queue);          /* NULL: empty */

/* Gives jobs back to the book without an outcome. */
void desk_put_back(struct worker *worker, struct job *job);
void desk_put_back_all(struct worker *worker, struct queue *queue);

/* Jobs whose account rests (back-off, refused login) still end with their slot. */
void desk_expire_waiting(struct desk *desk, struct queue *queue, const struct line *line,
                         struct job_clock clock);

/* Opens what is due and may be opened. */
void desk_serve(struct desk *desk);

/* ---- Its two servers (desk_line.c) ---- */

/* Both lines belong to the services of the account's present servers, and begin anew. */
void desk_join_services(struct desk *desk, const struct member *member);

/* What the account's provider is shaped by. Borrowed until the providers table is read anew. */
const struct shaping_limits *desk_limits(const struct desk *desk, const struct member *member);

/* The providers table was read anew: its limits apply, and what it forbids. */
void desk_shape(struct desk *desk, const struct member *member);

/* May the line's server be connected to now, with `open` connections of its kind open? */
bool desk_may_open(struct desk *desk, struct line *line, const struct member *member, size_t open);

/* A login succeeded; or no session came of a connection. `text` is words for people. */
void desk_line_worked(struct desk *desk, struct line *line);
void desk_line_failed(struct desk *desk, struct line *line, enum flz_reason reason,
                      const char *text);

/* Words on an incident that keeps the line back, or that its newest failure belongs to. False:
 * there is none. */
bool desk_line_incident(const struct line *line, char *text, size_t size);

/*
 * A refused access token may have run out, or have been taken back, before its time: the first one
 * costs a new token only (true, and the reason is another). When a server refuses that one as well,
 * the login is refused.
 */
bool desk_forgive_token(struct desk *desk, struct line *line, enum flz_reason *reason);

/* ---- Its rates (desk_rate.c) ---- */

/* Network time, from now on, at which its account, domain and provider may begin one more message;
 * and: one is begun. */
int64_t desk_rate_next(struct desk *desk, const struct member *member, int64_t network_now);
void desk_rate_count(struct desk *desk, const struct member *member, int64_t network_now);

/* Once in a process: what the journal says the account sent today counts in the limits of a day. */
void desk_rate_recall(struct desk *desk, const struct member *member, int64_t network_now);

/* ---- Sending (desk_send.c) ---- */

void desk_open_session(struct desk *desk, const struct member *member);

/* An account that was told to stop begins nothing more, until the pause that follows from what is
 * reported comes with a pulse. */
void desk_stop(struct worker *worker, const struct flz_id *account, const char *rule,
               const char *text);

/* ---- What others said of our messages (desk_report.c) ---- */

/* A message that may be a report, and the named fields of one that a machine wrote in answer to
 * another. `account`: in whose mailbox; NULL: in the node's own. */
void desk_take_report(struct worker *worker, const struct flz_id *account, struct flz_view message);
void desk_take_answer(struct worker *worker, const struct flz_id *account, struct flz_view block);

/* ---- Visiting (desk_visit.c) ---- */

void desk_open_visit(struct desk *desk, const struct member *member, bool probe);
int64_t desk_visit_wall_ms(struct worker *worker); /* a visit ends with the lease at the latest */
void desk_free_errands(struct desk *desk);

/* ---- Probes: can the account's servers be used, and does its domain still agree (desk_probe.c) */

bool desk_wants_probe(struct desk *desk, const struct member *member);

/* Does the providers table forbid the account? `facts` of its domain, or NULL: not known. */
bool desk_is_denied(const struct desk *desk, const struct member *member,
                    const struct domain_facts *facts);

/* A probe speaks for both servers; one that has just been logged in to need not be asked again. */
bool desk_wants_login(const struct desk *desk);

/* Reports what was seen. Without DNS nothing is reported: an MX that nobody could ask for is no
 * changed one, and whoever cannot ask is likely cut off himself. */
void desk_report_probe(struct desk *desk, bool login_ok, const struct visit_outcome *outcome);

/* May a server of this account be asked? What it takes is fetched if it is not there. */
bool desk_has_secret(struct desk *desk, struct member *member, bool probe);

/* What the account logs in with: its password, or the access token of the hour. 0 or negative. */
int desk_secret(struct desk *desk, struct flz_secret *ret_secret);
