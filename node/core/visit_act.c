#include "node/core/visit_private.h"

#include "common/base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define KEYWORDS (IMAP_FLAG_JUNK | IMAP_FLAG_NOTJUNK)

static void fail(struct target *target, enum visit_reason reason, const char *text)
{
    if (target->progress.reason != VISIT_REASON_NONE)
        return;
    target->progress.reason = reason;
    (void)snprintf(target->progress.text, sizeof target->progress.text, "%s", text);
}

static enum visit_reason absent_reason(const struct target *target)
{
    return target->relooks > 0  ? VISIT_REASON_VANISHED
           : target->unverified ? VISIT_REASON_UNVERIFIED
                                : VISIT_REASON_ABSENT;
}

static bool has_capability(const struct visit *visit, enum imap_capability capability)
{
    return imap_capabilities(visit->imap) & capability;
}

/* ---- Plans, one target at a time ---- */

/*
 * Says to filters that it is no junk, before it is moved: the flags travel with it, and a visit cut
 * in between finds it in Junk and says so again.
 */
static void push_ham(struct visit *visit, uint32_t target)
{
    struct op op = {.kind = OP_UNSTORE, .target = target, .slot = SLOT_JUNK};
    op.number = IMAP_FLAG_JUNK;
    visit_push(visit, op);
    op.kind = OP_STORE;
    op.number = IMAP_FLAG_NOTJUNK;
    visit_push(visit, op);
}

/*
 * Takes a copy from its place to `folder`. Without MOVE: COPY, read it there, and only then remove
 * this one by UID EXPUNGE. A copy that a cut visit has left there is found first and not made again
 * (V6).
 */
static void push_transfer(struct visit *visit, uint32_t target, enum slot slot, uint32_t folder)
{
    struct target *t = &visit->targets[target];
    struct op op = {.target = target, .slot = slot, .folder = folder};
    bool move = has_capability(visit, IMAP_CAP_MOVE);
    t->progress.began = true;
    t->copy_uid = 0;
    if (!move && !has_capability(visit, IMAP_CAP_UIDPLUS)) {
        fail(t, VISIT_REASON_NO_UIDPLUS, "the server has neither MOVE nor UIDPLUS");
        return;
    }
    const enum op_kind by_move[] = {OP_SOURCE, OP_HAM, OP_MOVE, OP_GONE};
    const enum op_kind by_copy[] = {OP_SOURCE, OP_HAM,  OP_COPY,    OP_LOOK,
                                    OP_SOURCE, OP_MARK, OP_EXPUNGE, OP_GONE};
    const enum op_kind *kinds = move ? by_move : by_copy;
    size_t n = move ? sizeof by_move / sizeof *by_move : sizeof by_copy / sizeof *by_copy;
    for (size_t i = n; i-- > 0;) {
        op.kind = kinds[i];
        if (op.kind != OP_HAM)
            visit_push(visit, op);
        else if (slot == SLOT_JUNK)
            push_ham(visit, target);
    }
    if (!move)
        look_push_one(visit, target, folder, true);
}

static void push_settle(struct visit *visit, uint32_t target, enum visit_job_kind kind)
{
    visit_push(visit, (struct op){.kind = OP_SETTLE, .target = target, .number = kind});
}

static void plan_unspam(struct visit *visit, uint32_t i)
{
    struct target *target = &visit->targets[i];
    if (!target->copies[SLOT_JUNK].present) {
        if (!visit_copy(target))
            fail(target, absent_reason(target), "");
        visit_settle(visit, target, VISIT_UNSPAM);
        return;
    }
    push_transfer(visit, i, SLOT_JUNK, folder_list_find(&visit->folders, FOLDER_INBOX));
}

/* Reads in INBOX what was moved there. */
static void plan_unspammed(struct visit *visit, uint32_t i)
{
    struct target *target = &visit->targets[i];
    if (!target->progress.began)
        return;
    push_settle(visit, i, VISIT_UNSPAM);
    visit_push(visit, (struct op){.kind = OP_LOOK,
                                  .target = i,
                                  .folder = folder_list_find(&visit->folders, FOLDER_INBOX)});
}

static uint32_t wanted_marks(const struct target *target)
{
    return (visit_wants(target, VISIT_OPEN) ? IMAP_FLAG_SEEN : 0) |
           (visit_wants(target, VISIT_ANSWERED) ? IMAP_FLAG_ANSWERED : 0);
}

static void plan_mark(struct visit *visit, uint32_t i)
{
    struct target *target = &visit->targets[i];
    struct copy *copy = visit_copy(target);
    push_settle(visit, i, VISIT_ANSWERED);
    push_settle(visit, i, VISIT_OPEN);
    if (!copy) {
        fail(target, absent_reason(target), "");
        return;
    }
    target->progress.flags_before = copy->flags;
    struct op op = {.target = i, .slot = (uint32_t)(copy - target->copies)};
    op.number = wanted_marks(target);
    op.kind = OP_FLAGS;
    visit_push(visit, op);
    op.kind = OP_STORE;
    visit_push(visit, op);
    op.kind = OP_SOURCE;
    visit_push(visit, op);
}

/* Where the copy lies that TIDY files; SLOT_COUNT = none. Junk is no place to file from. */
static enum slot tidy_slot(const struct target *target)
{
    if (target->copies[SLOT_INBOX].present)
        return SLOT_INBOX;
    return target->copies[SLOT_ELSE].present ? SLOT_ELSE : SLOT_COUNT;
}

static void plan_tidy(struct visit *visit, uint32_t i)
{
    struct target *target = &visit->targets[i];
    enum slot slot = tidy_slot(target);
    uint32_t own = folder_list_named(&visit->folders, visit->folders.own);
    if (slot == SLOT_COUNT) {
        if (target->copies[SLOT_JUNK].present)
            fail(target, VISIT_REASON_NOT_SO, "it lies in Junk");
        else if (!visit_copy(target))
            fail(target, absent_reason(target), "");
        visit_settle(visit, target, VISIT_TIDY);
        return;
    }
    if (target->progress.reason != VISIT_REASON_NONE) {
        visit_settle(visit, target, VISIT_TIDY); /* the folder could not be made */
        return;
    }
    if (own == FOLDER_NONE) {
        visit->cursor--; /* again, once it is made */
        target->progress.began = true;
        visit_push(visit, (struct op){.kind = OP_CREATE, .target = i});
        return;
    }
    push_transfer(visit, i, slot, own);
}

static void plan_expire(struct visit *visit, uint32_t i)
{
    struct target *target = &visit->targets[i];
    uint32_t trash = folder_list_find(&visit->folders, FOLDER_TRASH);
    if (!target->copies[SLOT_OWN].present) {
        /* Gone, or the owner has put it elsewhere: both are how it shall be. */
        visit_settle(visit, target, VISIT_EXPIRE);
        return;
    }
    if (target->may_delete && has_capability(visit, IMAP_CAP_UIDPLUS)) {
        const enum op_kind kinds[] = {OP_GONE, OP_EXPUNGE, OP_MARK, OP_SOURCE};
        target->progress.began = true;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            visit_push(visit,
                       (struct op){
                           .kind = kinds[k], .target = i, .slot = SLOT_OWN, .folder = FOLDER_NONE});
        return;
    }
    if (trash != FOLDER_NONE) {
        push_transfer(visit, i, SLOT_OWN, trash);
        return;
    }
    fail(target, VISIT_REASON_NO_FOLDER, "there is no Trash");
    visit_settle(visit, target, VISIT_EXPIRE);
}

/* Reads where it was moved to. A removal needs no more than that it is gone. */
static void plan_tidied(struct visit *visit, uint32_t i)
{
    struct target *target = &visit->targets[i];
    bool tidy = visit_wants(target, VISIT_TIDY);
    if (!target->progress.began)
        return;
    push_settle(visit, i, tidy ? VISIT_TIDY : VISIT_EXPIRE);
    uint32_t folder = tidy ? folder_list_named(&visit->folders, visit->folders.own)
                           : folder_list_find(&visit->folders, FOLDER_TRASH);
    bool removed = !tidy && target->may_delete && has_capability(visit, IMAP_CAP_UIDPLUS);
    if (target->progress.reason == VISIT_REASON_NONE && !removed)
        visit_push(visit, (struct op){.kind = OP_LOOK, .target = i, .folder = folder});
}

static bool concerns(const struct target *target, enum phase phase)
{
    switch (phase) {
    case PHASE_UNSPAM:
    case PHASE_UNSPAMMED: return visit_wants(target, VISIT_UNSPAM);
    case PHASE_MARK: return wanted_marks(target) != 0;
    case PHASE_TIDY:
    case PHASE_TIDIED: return visit_wants(target, VISIT_TIDY) || visit_wants(target, VISIT_EXPIRE);
    case PHASE_SEARCH:
    case PHASE_SCAN:
    case PHASE_ALL:
    case PHASE_FOUND:
    case PHASE_SWEEP:
    case PHASE_REPORTS:
    case PHASE_PROBE:
    case PHASE_END: break;
    }
    return false;
}

bool act_plan(struct visit *visit)
{
    while (visit->cursor < visit->n_targets) {
        uint32_t i = visit->cursor++;
        struct target *target = &visit->targets[i];
        if (!concerns(target, visit->phase))
            continue;
        if (visit->phase == PHASE_UNSPAM)
            plan_unspam(visit, i);
        else if (visit->phase == PHASE_UNSPAMMED)
            plan_unspammed(visit, i);
        else if (visit->phase == PHASE_MARK)
            plan_mark(visit, i);
        else if (visit->phase == PHASE_TIDIED)
            plan_tidied(visit, i);
        else if (visit_wants(target, VISIT_TIDY))
            plan_tidy(visit, i);
        else
            plan_expire(visit, i);
        return true;
    }
    return false;
}

/* ---- Operations ---- */

/*
 * The folder is open for writing. Its UIDs are those of the look only while UIDVALIDITY is the
 * same (V3); else everything planned for the target is dropped, and it is looked for again.
 */
static void source_open(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    struct copy *copy = &target->copies[op->slot];
    const struct imap_mailbox *mailbox = imap_mailbox(visit->imap);
    if (mailbox->read_only || mailbox->uid_not_sticky) {
        fail(target, VISIT_REASON_NO_PERMISSION, "the folder is read-only");
        return;
    }
    if (mailbox->uidvalidity == copy->uidvalidity)
        return;
    copy->present = false;
    if (target->relooks++ == VISIT_RELOOKS_MAX) {
        fail(target, VISIT_REASON_VANISHED, "UIDVALIDITY keeps changing");
        return;
    }
    bool second = visit->phase == PHASE_UNSPAMMED || visit->phase == PHASE_TIDIED;
    visit->n_ops = 0;
    visit->cursor--;
    if (!second)
        target->progress = (struct progress){.began = false};
    target->copy_uid = 0;
    look_push_one(visit, op->target, copy->folder, true);
}

static int begin_source(struct visit *visit, const struct op *op)
{
    const struct target *target = &visit->targets[op->target];
    const struct copy *copy = &target->copies[op->slot];
    if (target->progress.reason != VISIT_REASON_NONE || !copy->present)
        return OP_E_DROP;
    if (visit_is_open(visit, copy->folder, true)) {
        source_open(visit, op);
        return OP_E_DROP;
    }
    visit->open = FOLDER_NONE;
    return imap_select(visit->imap, visit->folders.folders[copy->folder].name, false);
}

static void end_source(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    struct target *target = &visit->targets[op->target];
    if (result->status != IMAP_STATUS_OK) {
        fail(target, VISIT_REASON_REFUSED, result->text);
        return;
    }
    visit->open = target->copies[op->slot].folder;
    source_open(visit, op);
}

/* Flags that may be set here: keywords quietly, others by name of the failure. */
static uint32_t permitted(struct visit *visit, struct target *target, uint32_t flags)
{
    uint32_t permanent = imap_mailbox(visit->imap)->permanent_flags;
    uint32_t allowed = flags & permanent;
    if (permanent & IMAP_FLAG_WILDCARD)
        allowed |= flags & KEYWORDS;
    if (flags & ~allowed & ~(uint32_t)KEYWORDS)
        fail(target, VISIT_REASON_NO_PERMISSION, "the flag is not permanent here");
    return allowed;
}

static int begin_store(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    const struct copy *copy = &target->copies[op->slot];
    uint32_t flags = op->kind == OP_STORE ? op->number & ~copy->flags : op->number & copy->flags;
    if (flags)
        flags = permitted(visit, target, flags);
    if (!flags)
        return OP_E_DROP;
    return op->kind == OP_STORE ? imap_store_add(visit->imap, copy->uid, flags)
                                : imap_store_remove(visit->imap, copy->uid, flags);
}

static int begin_copy(struct visit *visit, const struct op *op)
{
    const struct target *target = &visit->targets[op->target];
    if (target->copies[look_slot(visit, op->folder)].present)
        return OP_E_DROP;
    return imap_copy(visit->imap, target->copies[op->slot].uid,
                     visit->folders.folders[op->folder].name);
}

static int begin_mark(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    if (op->folder != FOLDER_NONE && !target->copies[look_slot(visit, op->folder)].present) {
        fail(target, VISIT_REASON_NOT_SO, "the copy is not where it was copied to");
        return OP_E_DROP;
    }
    return imap_store_add(visit->imap, target->copies[op->slot].uid, IMAP_FLAG_DELETED);
}

/* Operations on the copy in the folder that is open. */
static int begin_on_copy(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    const struct copy *copy = &target->copies[op->slot];
    if (target->progress.reason != VISIT_REASON_NONE || !copy->present)
        return OP_E_DROP;
    if (!visit_is_open(visit, copy->folder, true) ||
        imap_mailbox(visit->imap)->uidvalidity != copy->uidvalidity) {
        fail(target, VISIT_REASON_VANISHED, "the folder changed under our hands");
        return OP_E_DROP;
    }
    if (op->kind == OP_MOVE)
        return imap_move(visit->imap, copy->uid, visit->folders.folders[op->folder].name);
    if (op->kind == OP_COPY)
        return begin_copy(visit, op);
    if (op->kind == OP_MARK)
        return begin_mark(visit, op);
    if (op->kind == OP_EXPUNGE)
        return imap_expunge(visit->imap, copy->uid);
    if (op->kind == OP_STORE || op->kind == OP_UNSTORE)
        return begin_store(visit, op);
    visit->seen = false;
    return imap_fetch_uids(visit->imap, &copy->uid, 1, NULL);
}

static int begin_look(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    if (target->progress.reason != VISIT_REASON_NONE || op->folder == FOLDER_NONE)
        return OP_E_DROP;
    target->copies[look_slot(visit, op->folder)].present = false;
    visit->open = FOLDER_NONE; /* opened anew: what was just put there is counted */
    look_push_one(visit, op->target, op->folder, target->copy_uid == 0);
    return OP_E_DROP;
}

int act_begin(struct visit *visit, struct op *op)
{
    switch (op->kind) {
    case OP_CREATE: return imap_create(visit->imap, visit->folders.own);
    case OP_SUBSCRIBE: return imap_subscribe(visit->imap, visit->folders.own);
    case OP_QUOTA:
        if (!has_capability(visit, IMAP_CAP_QUOTA))
            return OP_E_DROP;
        return imap_quota(visit->imap, "INBOX");
    case OP_SETTLE:
        visit_settle(visit, &visit->targets[op->target], (enum visit_job_kind)op->number);
        return OP_E_DROP;
    case OP_LOOK: return begin_look(visit, op);
    case OP_SOURCE: return begin_source(visit, op);
    case OP_MOVE:
    case OP_COPY:
    case OP_MARK:
    case OP_EXPUNGE:
    case OP_GONE:
    case OP_STORE:
    case OP_UNSTORE:
    case OP_FLAGS: return begin_on_copy(visit, op);
    case OP_HAM:
    case OP_ID:
    case OP_NAMESPACE:
    case OP_LIST:
    case OP_OPEN:
    case OP_SEARCH:
    case OP_SCAN:
    case OP_FETCH:
    case OP_SWEEP:
    case OP_REPORTS:
    case OP_READ:
    case OP_VERIFY: break;
    }
    assert(!"an operation of another file");
    return OP_E_DROP;
}

void act_heard(struct visit *visit, const struct op *op, const struct imap_event *event)
{
    if (event->type == IMAP_EVENT_QUOTA && event->quota.has_storage) {
        visit->has_quota = true;
        visit->quota_used_kib = event->quota.used_kib;
        visit->quota_limit_kib = event->quota.limit_kib;
    }
    if (event->type != IMAP_EVENT_FETCH || (op->kind != OP_GONE && op->kind != OP_FLAGS) ||
        event->fetch.uid != visit->targets[op->target].copies[op->slot].uid)
        return;
    visit->seen = true;
    if (event->fetch.has_flags)
        visit->seen_flags = event->fetch.flags;
}

static void end_flags(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    struct copy *copy = &target->copies[op->slot];
    if (!visit->seen) {
        copy->present = false;
        fail(target, VISIT_REASON_VANISHED, "it is no longer there");
        return;
    }
    copy->flags = visit->seen_flags;
    if (op->number & ~copy->flags)
        fail(target, VISIT_REASON_NOT_SO, "the server said OK, and the flag is not set");
}

static void end_gone(struct visit *visit, const struct op *op)
{
    struct target *target = &visit->targets[op->target];
    if (visit->seen)
        fail(target, VISIT_REASON_NOT_SO, "the server said OK, and it is still there");
    else
        target->copies[op->slot].present = false;
}

static void end_create(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    struct target *target = &visit->targets[op->target];
    struct imap_list made = {.delimiter = visit->folders.namespace.delimiter};
    if (result->status != IMAP_STATUS_OK && result->code != IMAP_CODE_ALREADYEXISTS) {
        fail(target, VISIT_REASON_NO_FOLDER, result->text);
        return;
    }
    memcpy(made.name, visit->folders.own, sizeof visit->folders.own);
    if (folder_list_add(&visit->folders, &made) < 0 ||
        folder_list_named(&visit->folders, made.name) == FOLDER_NONE) {
        fail(target, VISIT_REASON_NO_FOLDER, "there are too many folders");
        return;
    }
    struct folder *folder = &visit->folders.folders[visit->folders.count - 1];
    folder->role = FOLDER_OWN;
    folder->selectable = true;
    visit_push(visit, (struct op){.kind = OP_SUBSCRIBE, .target = op->target});
}

void act_ended(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    struct target *target = &visit->targets[op->target];
    bool ok = result->status == IMAP_STATUS_OK;
    if (op->kind == OP_SOURCE) {
        end_source(visit, op, result);
    } else if (op->kind == OP_CREATE) {
        end_create(visit, op, result);
    } else if (op->kind == OP_SUBSCRIBE || op->kind == OP_QUOTA) {
        return; /* pleasant to have, no more */
    } else if (!ok) {
        if (!(op->number & KEYWORDS) || (op->kind != OP_STORE && op->kind != OP_UNSTORE))
            fail(target, VISIT_REASON_REFUSED, result->text);
    } else if (op->kind == OP_FLAGS) {
        end_flags(visit, op);
    } else if (op->kind == OP_GONE) {
        end_gone(visit, op);
    } else if (op->kind == OP_MOVE || op->kind == OP_COPY) {
        target->copy_uid = result->copy_uid;
    }
}
