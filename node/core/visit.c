#include "node/core/visit_private.h"

#include "common/base/cleanup.h"
#include "common/base/error.h"
#include "common/base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Birth: jobs become targets ---- */

static bool same_id(const char *a, const char *b)
{
    char left[HEADER_MESSAGE_ID_MAX], right[HEADER_MESSAGE_ID_MAX];
    return header_parse_message_id(flz_view_str(a), left) == 0 &&
           header_parse_message_id(flz_view_str(b), right) == 0 && strcmp(left, right) == 0;
}

static bool same_message(const struct visit_look *a, const struct visit_look *b)
{
    if (!flz_id_is_null(a->exchange) && !flz_id_is_null(b->exchange))
        return flz_id_equal(a->exchange, b->exchange) && a->step == b->step;
    return same_id(a->message_id, b->message_id);
}

static struct target *target_of(struct visit *visit, size_t job, bool in_sent)
{
    const struct visit_look *look = &visit->jobs[job].look;
    for (size_t i = 0; i < visit->n_targets; i++)
        if (visit->targets[i].in_sent == in_sent && same_message(&visit->targets[i].look, look))
            return &visit->targets[i];
    struct target *target = &visit->targets[visit->n_targets++];
    target->look = *look;
    target->job = job;
    target->in_sent = in_sent;
    return target;
}

static void add_job(struct visit *visit, size_t i)
{
    const struct visit_job *job = &visit->jobs[i];
    visit->job_targets[i] = FOLDER_NONE;
    if (job->kind == VISIT_SWEEP)
        visit->sweep = i;
    if (job->kind == VISIT_REPORTS) {
        visit->reports = i;
        memcpy(visit->marks, job->marks, sizeof visit->marks);
    }
    if (job->kind == VISIT_PROBE || job->kind == VISIT_SWEEP || job->kind == VISIT_REPORTS)
        return;
    struct target *target = target_of(visit, i, job->in_sent || job->kind == VISIT_SENTFIND);
    visit->job_targets[i] = (uint32_t)(target - visit->targets);
    target->wants |= 1u << job->kind;
    target->search_all |= job->search_all;
    target->may_delete |= job->may_delete;
    if (!target->folder[0])
        memcpy(target->folder, job->folder, sizeof target->folder);
    if (!target->look.message_id_seen[0])
        memcpy(target->look.message_id_seen, job->look.message_id_seen,
               sizeof target->look.message_id_seen);
}

static uint64_t input_max_of(const struct visit *visit, uint64_t wanted)
{
    for (size_t i = 0; i < visit->n_jobs && wanted == 0; i++)
        if (visit->jobs[i].search_all)
            return VISIT_INPUT_FINAL_MAX;
    return wanted ? wanted : IMAP_INPUT_MAX;
}

static int take_options(struct visit *visit, const struct visit_options *options)
{
    const struct imap_login *login = &options->login;
    struct imap_options imap = options->imap;
    visit->login = *login;
    visit->login.user = visit->user;
    visit->login.host = visit->host;
    /* Texts that do not fit are refused by imap_login(), which sees them empty. */
    if (login->user)
        (void)flz_text_copy(visit->user, sizeof visit->user, login->user);
    if (login->host)
        (void)flz_text_copy(visit->host, sizeof visit->host, login->host);
    (void)snprintf(visit->own_name, sizeof visit->own_name, "%s",
                   options->own_folder ? options->own_folder : "FluenzR");
    (void)snprintf(visit->version, sizeof visit->version, "%s",
                   options->version ? options->version : "0");
    visit->scan_max = options->scan_max ? options->scan_max : VISIT_SCAN_DEFAULT;
    visit->keep = options->keep;
    imap.input_max = input_max_of(visit, imap.input_max);
    if (visit->imap)
        imap_rearm(visit->imap, imap.input_max);
    else
        visit->imap = imap_new(&imap);
    return visit->imap ? 0 : flz_fail(-ENOMEM);
}

static void push_session(struct visit *visit)
{
    visit->session = SESSION_WORK;
    visit_push(visit, (struct op){.kind = OP_LIST});
    visit_push(visit, (struct op){.kind = OP_NAMESPACE});
    visit_push(visit, (struct op){.kind = OP_ID});
}

struct visit *visit_new(const struct visit_options *options, const struct visit_job *jobs, size_t n)
{
    assert(n > 0 && n <= VISIT_JOBS_MAX);
    struct visit *visit = calloc(1, sizeof *visit);
    if (!visit) {
        (void)imap_free(options->resume);
        return NULL;
    }
    visit->imap = options->resume;
    visit->open = FOLDER_NONE;
    visit->jobs = calloc(n, sizeof *visit->jobs);
    visit->job_targets = calloc(n, sizeof *visit->job_targets);
    visit->targets = calloc(n, sizeof *visit->targets);
    visit->outcomes = calloc(n, sizeof *visit->outcomes);
    visit->settled = calloc(n, sizeof *visit->settled);
    if (!visit->jobs || !visit->job_targets || !visit->targets || !visit->outcomes ||
        !visit->settled)
        return visit_free(visit);
    memcpy(visit->jobs, jobs, n * sizeof *jobs);
    visit->n_jobs = visit->sweep = visit->reports = visit->targets_capacity = n;
    if (take_options(visit, options) < 0)
        return visit_free(visit);
    for (size_t i = 0; i < n; i++)
        add_job(visit, i);
    if (options->resume)
        push_session(visit);
    return visit;
}

struct visit *visit_free(struct visit *visit)
{
    if (!visit)
        return NULL;
    look_forget(visit);
    folder_list_deinit(&visit->folders);
    free((void *)visit->report.data);
    (void)imap_free(visit->imap);
    free(visit->jobs);
    free(visit->job_targets);
    free(visit->targets);
    free(visit->outcomes);
    free(visit->settled);
    free(visit);
    return NULL;
}

/* ---- What the other files use ---- */

void visit_push(struct visit *visit, struct op op)
{
    assert(visit->n_ops < VISIT_OPS_MAX);
    visit->ops[visit->n_ops++] = op;
}

uint32_t visit_wants(const struct target *target, enum visit_job_kind kind)
{
    return target->wants & 1u << kind;
}

struct copy *visit_copy(struct target *target)
{
    for (size_t i = 0; i < SLOT_COUNT; i++)
        if (target->copies[i].present)
            return &target->copies[i];
    return NULL;
}

bool visit_is_open(const struct visit *visit, uint32_t folder, bool write)
{
    return visit->open == folder && (!write || !imap_mailbox(visit->imap)->read_only);
}

/* ---- Outcomes ---- */

static void describe(struct visit *visit, struct target *target, struct visit_outcome *outcome)
{
    const struct copy *copy = visit_copy(target);
    if (!copy)
        return;
    const struct folder *folder = &visit->folders.folders[copy->folder];
    outcome->placement = folder->role == FOLDER_INBOX  ? VISIT_PLACEMENT_INBOX
                         : folder->role == FOLDER_JUNK ? VISIT_PLACEMENT_JUNK
                                                       : VISIT_PLACEMENT_OTHER;
    memcpy(outcome->folder, folder->name, sizeof outcome->folder);
    outcome->uidvalidity = copy->uidvalidity;
    outcome->uid = copy->uid;
    outcome->flags = copy->flags;
    outcome->size = copy->size;
    outcome->internaldate_ms = copy->internaldate_ms;
    memcpy(outcome->message_id, target->message_id, sizeof outcome->message_id);
    memcpy(outcome->authentication, target->authentication, sizeof outcome->authentication);
}

static void conclude_find(struct visit *visit, struct target *target, struct visit_outcome *outcome)
{
    if (visit_copy(target)) {
        outcome->result = VISIT_DONE;
        return;
    }
    outcome->result = VISIT_FAILED;
    outcome->reason = target->unverified ? VISIT_REASON_UNVERIFIED : VISIT_REASON_ABSENT;
    if (target->in_sent && folder_list_find(&visit->folders, FOLDER_SENT) == FOLDER_NONE)
        outcome->reason = VISIT_REASON_NO_FOLDER;
    else if (target->search_all && !target->in_doubt && !target->unverified &&
             !visit->folders.incomplete)
        outcome->placement = VISIT_PLACEMENT_MISSING; /* V7 */
}

static void conclude_mark(struct target *target, uint32_t flag, struct visit_outcome *outcome)
{
    const struct copy *copy = visit_copy(target);
    outcome->reason = target->progress.reason;
    if (copy && (copy->flags & flag)) {
        outcome->result = target->progress.flags_before & flag ? VISIT_NOOP : VISIT_DONE;
        outcome->reason = VISIT_REASON_NONE;
        return;
    }
    outcome->result = VISIT_FAILED;
    if (outcome->reason == VISIT_REASON_NONE)
        outcome->reason = VISIT_REASON_NOT_SO;
}

/* A move: where it should lie now, or SLOT_COUNT for nowhere. */
static void conclude_move(struct target *target, enum slot slot, struct visit_outcome *outcome)
{
    bool there = slot == SLOT_COUNT || target->copies[slot].present;
    outcome->reason = target->progress.reason;
    if (outcome->reason != VISIT_REASON_NONE) {
        outcome->result = VISIT_FAILED;
    } else if (!target->progress.began) {
        outcome->result = VISIT_NOOP;
    } else if (there) {
        outcome->result = VISIT_DONE;
    } else {
        outcome->result = VISIT_FAILED;
        outcome->reason = VISIT_REASON_VANISHED;
    }
}

static void conclude(struct visit *visit, struct target *target, struct visit_outcome *outcome)
{
    memcpy(outcome->text, target->progress.text, sizeof outcome->text);
    switch (outcome->kind) {
    case VISIT_FIND:
    case VISIT_SENTFIND: conclude_find(visit, target, outcome); break;
    case VISIT_UNSPAM: conclude_move(target, SLOT_INBOX, outcome); break;
    case VISIT_OPEN: conclude_mark(target, IMAP_FLAG_SEEN, outcome); break;
    case VISIT_ANSWERED: conclude_mark(target, IMAP_FLAG_ANSWERED, outcome); break;
    case VISIT_TIDY: conclude_move(target, SLOT_OWN, outcome); break;
    case VISIT_EXPIRE:
        conclude_move(target,
                      target->may_delete && (imap_capabilities(visit->imap) & IMAP_CAP_UIDPLUS)
                          ? SLOT_COUNT
                          : SLOT_TRASH,
                      outcome);
        break;
    case VISIT_SWEEP:
    case VISIT_REPORTS:
    case VISIT_PROBE: break;
    }
    if (outcome->result != VISIT_FAILED)
        outcome->text[0] = '\0';
}

static struct visit_outcome *outcome_of(struct visit *visit, size_t job)
{
    struct visit_outcome *outcome = &visit->outcomes[visit->n_outcomes++];
    *outcome = (struct visit_outcome){.job = job,
                                      .id = visit->jobs[job].id,
                                      .kind = visit->jobs[job].kind,
                                      .internaldate_ms = INT64_MIN};
    visit->settled[job] = true;
    return outcome;
}

void visit_settle(struct visit *visit, struct target *target, enum visit_job_kind kind)
{
    for (size_t i = 0; i < visit->n_jobs; i++) {
        if (visit->settled[i] || visit->jobs[i].kind != kind ||
            visit->job_targets[i] != target - visit->targets)
            continue;
        struct visit_outcome *outcome = outcome_of(visit, i);
        describe(visit, target, outcome);
        conclude(visit, target, outcome);
    }
}

static void settle_sweep(struct visit *visit)
{
    if (visit->sweep < visit->n_jobs && !visit->settled[visit->sweep])
        sweep_conclude(visit, outcome_of(visit, visit->sweep));
}

static void settle_reports(struct visit *visit)
{
    if (visit->reports == visit->n_jobs || visit->settled[visit->reports])
        return;
    struct visit_outcome *outcome = outcome_of(visit, visit->reports);
    memcpy(outcome->marks, visit->marks, sizeof outcome->marks);
}

static void copy_folder(const struct visit *visit, enum folder_role role,
                        char ret_name[static VISIT_FOLDER_MAX])
{
    uint32_t f = folder_list_find(&visit->folders, role);
    if (f != FOLDER_NONE)
        memcpy(ret_name, visit->folders.folders[f].name, VISIT_FOLDER_MAX);
}

static void settle_probes(struct visit *visit)
{
    for (size_t i = 0; i < visit->n_jobs; i++) {
        if (visit->settled[i] || visit->jobs[i].kind != VISIT_PROBE)
            continue;
        struct visit_probe *probe = &outcome_of(visit, i)->probe;
        probe->capabilities = imap_capabilities(visit->imap);
        copy_folder(visit, FOLDER_JUNK, probe->junk);
        copy_folder(visit, FOLDER_SENT, probe->sent);
        copy_folder(visit, FOLDER_TRASH, probe->trash);
        memcpy(probe->own, visit->folders.own, sizeof probe->own);
        probe->own_exists = folder_list_named(&visit->folders, probe->own) != FOLDER_NONE;
        probe->has_quota = visit->has_quota;
        probe->quota_used_kib = visit->quota_used_kib;
        probe->quota_limit_kib = visit->quota_limit_kib;
    }
}

/* What is left when the visit ends before its time. */
static void settle_rest(struct visit *visit)
{
    for (size_t i = 0; i < visit->n_jobs; i++) {
        if (visit->settled[i])
            continue;
        struct visit_outcome *outcome = outcome_of(visit, i);
        outcome->result = VISIT_FAILED;
        outcome->reason = VISIT_REASON_SESSION;
        memcpy(outcome->text, visit->end_text, sizeof outcome->text);
    }
}

void visit_finish(struct visit *visit, enum visit_end end, const char *text)
{
    if (visit->session >= SESSION_LOGOUT) {
        visit->session = SESSION_END;
        return;
    }
    visit->end = end;
    (void)snprintf(visit->end_text, sizeof visit->end_text, "%s", text);
    settle_rest(visit);
    look_forget(visit);
    visit->n_ops = 0;
    visit->running = false;
    visit->wants_secret = false;
    bool stay = end == VISIT_END_DONE && visit->keep;
    if (!stay && imap_is_idle(visit->imap) && end != VISIT_END_CLOSED &&
        end != VISIT_END_TIMED_OUT && imap_logout(visit->imap) == 0)
        visit->session = SESSION_LOGOUT;
    else
        visit->session = SESSION_END;
}

/* ---- The plan ---- */

static void enter(struct visit *visit, enum phase phase)
{
    visit->phase = phase;
    visit->cursor = 0;
    if (phase != PHASE_UNSPAM && phase != PHASE_MARK && phase != PHASE_TIDY)
        return;
    for (size_t i = 0; i < visit->n_targets; i++)
        visit->targets[i].progress = (struct progress){.began = false};
}

static bool wants_probe(const struct visit *visit)
{
    for (size_t i = 0; i < visit->n_jobs; i++)
        if (visit->jobs[i].kind == VISIT_PROBE && !visit->settled[i])
            return true;
    return false;
}

/* Pushes the next operations, or settles what needs none; false when all is done. */
static bool plan(struct visit *visit)
{
    switch (visit->phase) {
    case PHASE_SEARCH:
    case PHASE_SCAN:
    case PHASE_ALL:
        if (!look_plan(visit))
            enter(visit, visit->phase + 1);
        return true;
    case PHASE_FOUND:
        for (size_t i = 0; i < visit->n_targets; i++) {
            visit_settle(visit, &visit->targets[i], VISIT_FIND);
            visit_settle(visit, &visit->targets[i], VISIT_SENTFIND);
        }
        enter(visit, PHASE_UNSPAM);
        return true;
    case PHASE_UNSPAM:
    case PHASE_UNSPAMMED:
    case PHASE_MARK:
    case PHASE_TIDY:
    case PHASE_TIDIED:
        if (!act_plan(visit))
            enter(visit, visit->phase + 1);
        return true;
    case PHASE_SWEEP:
        enter(visit, PHASE_TIDY);
        sweep_plan(visit);
        return true;
    case PHASE_REPORTS:
        settle_sweep(visit);
        if (!report_plan(visit)) {
            settle_reports(visit);
            enter(visit, PHASE_PROBE);
        }
        return true;
    case PHASE_PROBE:
        if (wants_probe(visit) && visit->cursor++ == 0) {
            visit_push(visit, (struct op){.kind = OP_QUOTA});
            return true;
        }
        settle_probes(visit);
        enter(visit, PHASE_END);
        return true;
    case PHASE_END: break;
    }
    return false;
}

/* ---- Operations of the session ---- */

static int begin_id(struct visit *visit)
{
    if (!(imap_capabilities(visit->imap) & IMAP_CAP_ID))
        return OP_E_DROP;
    return imap_id(visit->imap, "FluenzR", visit->version);
}

static int begin_open(struct visit *visit, const struct op *op)
{
    if (visit_is_open(visit, op->folder, op->write))
        return OP_E_DROP;
    visit->open = FOLDER_NONE;
    return imap_select(visit->imap, visit->folders.folders[op->folder].name, !op->write);
}

static int op_begin(struct visit *visit, struct op *op)
{
    uint32_t capabilities = imap_capabilities(visit->imap);
    switch (op->kind) {
    case OP_ID: return begin_id(visit);
    case OP_NAMESPACE:
        return capabilities & IMAP_CAP_NAMESPACE ? imap_namespace(visit->imap) : OP_E_DROP;
    case OP_LIST:
        return imap_list(visit->imap, (capabilities & IMAP_CAP_SPECIAL_USE) && !visit->list_plain);
    case OP_OPEN: return begin_open(visit, op);
    case OP_SEARCH: return look_search(visit, op);
    case OP_SCAN: return look_scan(visit, op);
    case OP_FETCH: return look_fetch(visit, op);
    case OP_VERIFY: return look_verify(visit, op);
    case OP_SWEEP: return sweep_begin(visit, op);
    case OP_REPORTS: return report_scan(visit, op);
    case OP_READ: return report_read(visit, op);
    case OP_LOOK:
    case OP_CREATE:
    case OP_SUBSCRIBE:
    case OP_SOURCE:
    case OP_HAM:
    case OP_MOVE:
    case OP_COPY:
    case OP_MARK:
    case OP_EXPUNGE:
    case OP_GONE:
    case OP_STORE:
    case OP_UNSTORE:
    case OP_FLAGS:
    case OP_QUOTA:
    case OP_SETTLE: break;
    }
    return act_begin(visit, op);
}

static void end_list(struct visit *visit, const struct imap_result *result)
{
    if (result->status != IMAP_STATUS_OK && !visit->list_plain) {
        visit->list_plain = true;
        visit_push(visit, (struct op){.kind = OP_LIST});
        return;
    }
    if (result->status != IMAP_STATUS_OK)
        visit_finish(visit, VISIT_END_NO_FOLDERS, result->text);
    else if (folder_list_settle(&visit->folders, visit->own_name) < 0)
        visit_finish(visit, VISIT_END_NO_FOLDERS, "our folder's name is impossible here");
    else if (folder_list_find(&visit->folders, FOLDER_INBOX) == FOLDER_NONE)
        visit_finish(visit, VISIT_END_NO_FOLDERS, "the server lists no INBOX");
}

static void end_open(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    if (result->status == IMAP_STATUS_OK) {
        visit->open = op->folder;
        return;
    }
    /* A folder that is gone, or closed to us, holds no mail of ours. */
    if (result->code == IMAP_CODE_NONEXISTENT || result->code == IMAP_CODE_NOPERM)
        return;
    for (size_t i = 0; i < visit->n_targets; i++)
        visit->targets[i].in_doubt |= visit->targets[i].looking;
}

static void op_ended(struct visit *visit, const struct imap_result *result)
{
    struct op op = visit->current;
    visit->running = false;
    if (op.kind == OP_LIST)
        end_list(visit, result);
    else if (op.kind == OP_OPEN)
        end_open(visit, &op, result);
    else if (op.kind == OP_SEARCH || op.kind == OP_SCAN || op.kind == OP_FETCH)
        look_ended(visit, &op, result);
    else if (op.kind == OP_SWEEP)
        sweep_ended(visit, &op, result);
    else if (op.kind == OP_REPORTS || op.kind == OP_READ)
        report_ended(visit, &op, result);
    else if (op.kind != OP_ID && op.kind != OP_NAMESPACE)
        act_ended(visit, &op, result);
}

/* Begins the next operation. */
static void run(struct visit *visit)
{
    if (visit->n_ops == 0) {
        if (!plan(visit))
            visit_finish(visit, VISIT_END_DONE, "");
        return;
    }
    visit->current = visit->ops[--visit->n_ops];
    int r = op_begin(visit, &visit->current);
    visit->running = r == 0;
    if (r < 0) {
        /* A string that may not leave (a folder named by a hostile server), or no memory: as if
         * the server had refused. */
        struct imap_result refused = {.status = IMAP_STATUS_BAD};
        (void)snprintf(refused.text, sizeof refused.text, "the command cannot be written");
        op_ended(visit, &refused);
    }
}

/* ---- The session ---- */

static bool is_gmail(const struct visit *visit)
{
    return imap_capabilities(visit->imap) & IMAP_CAP_GMAIL;
}

static void log_in(struct visit *visit)
{
    if (is_gmail(visit)) {
        visit_finish(visit, VISIT_END_GMAIL, "the server is Google's (X-GM-EXT-1)");
        return;
    }
    visit->session = SESSION_LOGIN;
    int r = imap_login(visit->imap, &visit->login);
    if (r == IMAP_E_NO_TLS)
        visit_finish(visit, VISIT_END_CLEAR_TEXT, "the connection is not encrypted");
    else if (r == IMAP_E_NO_MECHANISM)
        visit_finish(visit, VISIT_END_NO_MECHANISM, "the server offers no login that fits");
    else if (r == -EINVAL)
        visit_finish(visit, VISIT_END_LOGIN_REFUSED, "the user's name cannot be sent");
}

/* RFC 5530: which refusals are about the server's day, not the credentials. */
static bool is_temporary(enum imap_code code)
{
    return code == IMAP_CODE_UNAVAILABLE || code == IMAP_CODE_INUSE || code == IMAP_CODE_LIMIT ||
           code == IMAP_CODE_SERVERBUG;
}

/* "login: NO [AUTHENTICATIONFAILED] the server's words" */
static void refused_login(struct visit *visit, const struct imap_result *result)
{
    bool bad = result->status == IMAP_STATUS_BAD;
    const char *code = imap_code_str(result->code);
    char text[VISIT_TEXT_MAX + 64];
    (void)snprintf(text, sizeof text, "login: %s %s%s%s%s", bad ? "BAD" : "NO", code[0] ? "[" : "",
                   code, code[0] ? "] " : "", result->text);
    visit_finish(visit,
                 bad                          ? VISIT_END_PROTOCOL
                 : is_temporary(result->code) ? VISIT_END_UNAVAILABLE
                                              : VISIT_END_LOGIN_REFUSED,
                 text);
}

static void logged_in(struct visit *visit, const struct imap_result *result)
{
    if (result->status == IMAP_STATUS_OK && is_gmail(visit))
        visit_finish(visit, VISIT_END_GMAIL, "the server is Google's (X-GM-EXT-1)");
    else if (result->status == IMAP_STATUS_OK)
        push_session(visit);
    else
        refused_login(visit, result);
}

static void heard(struct visit *visit, const struct imap_event *event)
{
    if (event->type == IMAP_EVENT_NAMESPACE && visit->folders.count == 0)
        visit->folders.namespace = event->namespace;
    if (!visit->running)
        return;
    if (event->type == IMAP_EVENT_LIST && visit->current.kind == OP_LIST) {
        if (folder_list_add(&visit->folders, &event->list) < 0)
            visit->folders.incomplete = true;
        return;
    }
    if (event->type == IMAP_EVENT_FETCH && visit->current.kind == OP_SWEEP)
        sweep_heard(visit, &event->fetch);
    if (event->type == IMAP_EVENT_FETCH &&
        (visit->current.kind == OP_REPORTS || visit->current.kind == OP_READ))
        report_heard(visit, &visit->current, &event->fetch);
    look_heard(visit, &visit->current, event);
    act_heard(visit, &visit->current, event);
}

static void done(struct visit *visit, const struct imap_result *result)
{
    if (visit->session == SESSION_LOGOUT)
        visit->session = SESSION_END;
    else if (visit->session == SESSION_LOGIN)
        logged_in(visit, result);
    else if (visit->running)
        op_ended(visit, result);
}

static void take_event(struct visit *visit, const struct imap_event *event)
{
    switch (event->type) {
    case IMAP_EVENT_READY: log_in(visit); break;
    case IMAP_EVENT_SECRET: visit->wants_secret = true; break;
    case IMAP_EVENT_DONE: done(visit, &event->result); break;
    case IMAP_EVENT_BYE: visit_finish(visit, VISIT_END_UNAVAILABLE, event->result.text); break;
    case IMAP_EVENT_ALERT:
        visit->has_alert = true;
        memcpy(visit->alert, event->result.text, sizeof visit->alert);
        break;
    case IMAP_EVENT_LIST:
    case IMAP_EVENT_NAMESPACE:
    case IMAP_EVENT_SEARCH:
    case IMAP_EVENT_FETCH:
    case IMAP_EVENT_EXPUNGE:
    case IMAP_EVENT_MAILBOX_STATUS:
    case IMAP_EVENT_QUOTA: heard(visit, event); break;
    case IMAP_EVENT_NONE: break;
    }
}

/* One step; false when nothing can be done before something arrives. */
static bool advance(struct visit *visit)
{
    struct imap_event event;
    int r = imap_next(visit->imap, &event);
    if (r < 0) {
        visit_finish(visit, r == -ENOMEM ? VISIT_END_NO_MEMORY : VISIT_END_PROTOCOL,
                     imap_error(visit->imap));
        visit->session = SESSION_END;
        return true;
    }
    if (event.type != IMAP_EVENT_NONE) {
        take_event(visit, &event);
        return true;
    }
    if (visit->session != SESSION_WORK || visit->running || !imap_is_idle(visit->imap))
        return false;
    run(visit);
    return true;
}

static void tell_end(struct visit *visit, struct visit_event *event)
{
    event->type = VISIT_E_END;
    event->end.end = visit->end;
    event->end.reusable =
        visit->end == VISIT_END_DONE && visit->keep && imap_is_reusable(visit->imap);
    memcpy(event->end.text, visit->end_text, sizeof event->end.text);
    visit->end_told = true;
}

static void tell_verify(struct visit *visit, struct visit_event *event)
{
    const struct candidate *c = &visit->candidates[visit->asked_candidate];
    event->type = VISIT_E_VERIFY;
    event->verify.job = visit->targets[c->target].job;
    event->verify.match = c->match;
    event->verify.header = &visit->asked_header;
    event->verify.block = c->block;
}

/* What there is to tell before anything else may happen. */
static bool tell(struct visit *visit, struct visit_event *event)
{
    if (visit->has_report) {
        visit->has_report = false;
        event->type = VISIT_E_REPORT;
        event->report.whole = visit->report_whole;
        event->report.bytes = visit->report;
    } else if (visit->n_outcomes_told < visit->n_outcomes) {
        event->type = VISIT_E_OUTCOME;
        event->outcome = visit->outcomes[visit->n_outcomes_told++];
    } else if (visit->has_alert) {
        visit->has_alert = false;
        event->type = VISIT_E_ALERT;
        memcpy(event->alert, visit->alert, sizeof event->alert);
    } else if (visit->session == SESSION_END) {
        if (!visit->end_told)
            tell_end(visit, event);
    } else if (visit->wants_secret) {
        event->type = VISIT_E_SECRET;
    } else if (visit->asking) {
        tell_verify(visit, event);
    } else {
        return false;
    }
    return true;
}

void visit_next(struct visit *visit, struct visit_event *ret_event)
{
    ret_event->type = VISIT_E_NONE;
    while (!tell(visit, ret_event) && advance(visit))
        ;
}

void visit_feed(struct visit *visit, struct flz_view bytes)
{
    if (visit->session != SESSION_END)
        (void)imap_feed(visit->imap, bytes); /* imap_next() says so as well */
}

void visit_closed(struct visit *visit)
{
    visit_finish(visit, VISIT_END_CLOSED, "the server closed the connection");
    visit->session = SESSION_END;
}

void visit_timed_out(struct visit *visit)
{
    visit_finish(visit, VISIT_END_TIMED_OUT, "no answer in time");
    visit->session = SESSION_END;
}

void visit_secret(struct visit *visit, struct flz_view secret)
{
    assert(visit->wants_secret);
    visit->wants_secret = false;
    int r = imap_login_secret(visit->imap, secret);
    if (r == 0)
        return;
    if (r == -EINVAL)
        visit_finish(visit, VISIT_END_LOGIN_REFUSED, "the stored secret cannot be sent");
    else
        visit_finish(visit, VISIT_END_NO_MEMORY, "out of memory");
    visit->session = SESSION_END;
}

void visit_verified(struct visit *visit, bool is_ours)
{
    assert(visit->asking);
    look_verified(visit, is_ours);
}

struct flz_view visit_output(const struct visit *visit)
{
    return imap_output(visit->imap);
}

void visit_sent(struct visit *visit, size_t n)
{
    imap_sent(visit->imap, n);
}

int64_t visit_timeout_ms(const struct visit *visit)
{
    return imap_timeout_ms(visit->imap);
}

struct imap *visit_take_imap(struct visit *visit)
{
    if (visit->session != SESSION_END || visit->end != VISIT_END_DONE || !visit->keep ||
        !imap_is_reusable(visit->imap))
        return NULL;
    return steal_ptr(&visit->imap);
}
