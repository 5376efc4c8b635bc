/* Old messages of the network in our own folder, received and sent ones alike. Each one becomes a
 * target of the visit, is verified by the caller, and removed like any other that expires. */
#include "node/core/visit_private.h"

#include "common/base/error.h"
#include "proto/xheader.h"

#include <stdio.h>
#include <string.h>

/* Bytes kept free for the removals that follow. */
#define INPUT_RESERVE (256 * 1024)

void sweep_plan(struct visit *visit)
{
    uint32_t own = folder_list_named(&visit->folders, visit->folders.own);
    visit->sweep_first = visit->n_targets;
    if (visit->sweep == visit->n_jobs || own == FOLDER_NONE ||
        !(imap_capabilities(visit->imap) & IMAP_CAP_UIDPLUS))
        return;
    visit_push(visit, (struct op){.kind = OP_SWEEP, .folder = own, .number = 1});
    visit_push(visit, (struct op){.kind = OP_OPEN, .folder = own});
}

/* Forged ones take no place from others. Nothing refers to a target of the sweep yet. */
static void drop_unverified(struct visit *visit)
{
    size_t kept = visit->sweep_first;
    for (size_t i = visit->sweep_first; i < visit->n_targets; i++)
        if (visit_copy(&visit->targets[i]))
            visit->targets[kept++] = visit->targets[i];
    visit->n_targets = kept;
}

/* What was filed first has the lowest numbers. */
int sweep_begin(struct visit *visit, struct op *op)
{
    uint32_t exists = imap_mailbox(visit->imap)->exists;
    drop_unverified(visit);
    visit->sweep_refused |= !visit_is_open(visit, op->folder, false);
    if (visit->sweep_refused || op->number > exists)
        return OP_E_DROP;
    if (op->number > VISIT_SWEEP_SCAN_MAX || visit->sweep_more ||
        imap_input_left(visit->imap) < INPUT_RESERVE) {
        visit->sweep_more = true;
        return OP_E_DROP;
    }
    look_forget(visit);
    for (size_t i = 0; i < visit->n_targets; i++)
        visit->targets[i].looking = false;
    visit->sweep_old = visit->sweep_young = false;
    uint32_t last = op->number + VISIT_SWEEP_BATCH - 1;
    return imap_fetch_range(visit->imap, op->number, last < exists ? last : exists,
                            HEADER_FIELDS_NARROW);
}

static bool is_known(const struct visit *visit, const struct xheader *x)
{
    for (size_t i = visit->sweep_first; i < visit->n_targets; i++)
        if (visit->targets[i].look.step == x->step &&
            flz_id_equal(visit->targets[i].look.exchange, x->exchange))
            return true;
    return false;
}

/* One more to be verified; what does not fit now is left to another visit. */
static void add_target(struct visit *visit, const struct xheader *x, uint32_t uid)
{
    if (visit->n_targets - visit->sweep_first >= VISIT_SWEEP_MAX || is_known(visit, x) ||
        flz_grow((void **)&visit->targets, &visit->targets_capacity, visit->n_targets + 1,
                 sizeof *visit->targets) < 0) {
        visit->sweep_more = true;
        return;
    }
    visit->targets[visit->n_targets++] =
        (struct target){.look = {.exchange = x->exchange, .step = x->step},
                        .job = visit->sweep,
                        .wants = 1u << VISIT_EXPIRE,
                        .may_delete = true,
                        .looking = true};
    visit->uids[visit->n_uids++] = uid;
}

void sweep_heard(struct visit *visit, const struct imap_fetch *fetch)
{
    struct header header;
    struct xheader x;
    if (!fetch->has_header || fetch->uid == 0)
        return;
    header_parse(fetch->header, &header);
    if (xheader_parse(flz_view_str(header.x_fluenzr), &x) < 0)
        return; /* somebody put it here: no business of ours */
    if (x.time_ms >= visit->jobs[visit->sweep].before_ms) {
        visit->sweep_young = true;
        return;
    }
    visit->sweep_old = true;
    if (visit->n_uids < VISIT_UIDS_MAX)
        add_target(visit, &x, fetch->uid);
}

void sweep_ended(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    visit->sweep_refused |= result->status != IMAP_STATUS_OK;
    if (visit->sweep_refused)
        return;
    /* Filed in the order of their time: behind a batch of young ones there are no old ones. */
    if (visit->sweep_old || !visit->sweep_young)
        visit_push(visit, (struct op){.kind = OP_SWEEP,
                                      .folder = op->folder,
                                      .number = op->number + VISIT_SWEEP_BATCH});
    visit_push(visit, (struct op){.kind = OP_VERIFY, .folder = op->folder});
    visit_push(visit, (struct op){.kind = OP_FETCH, .folder = op->folder});
}

void sweep_conclude(struct visit *visit, struct visit_outcome *outcome)
{
    outcome->more = visit->sweep_more;
    if (!(imap_capabilities(visit->imap) & IMAP_CAP_UIDPLUS)) {
        outcome->reason = VISIT_REASON_NO_UIDPLUS;
        (void)snprintf(outcome->text, sizeof outcome->text,
                       "the server has no UIDPLUS: nothing can be removed safely");
    } else if (visit->sweep_refused) {
        outcome->reason = VISIT_REASON_REFUSED;
        (void)snprintf(outcome->text, sizeof outcome->text, "our folder cannot be read");
    }
    for (size_t i = visit->sweep_first; i < visit->n_targets; i++) {
        const struct target *target = &visit->targets[i];
        if (!target->progress.began)
            continue; /* not ours after all */
        outcome->removed += target->progress.reason == VISIT_REASON_NONE;
        if (target->progress.reason == VISIT_REASON_NONE ||
            outcome->reason != VISIT_REASON_NONE)
            continue;
        outcome->reason = target->progress.reason;
        memcpy(outcome->text, target->progress.text, sizeof outcome->text);
    }
    outcome->result = outcome->reason != VISIT_REASON_NONE ? VISIT_FAILED
                      : outcome->removed > 0               ? VISIT_DONE
                                                           : VISIT_NOOP;
}
