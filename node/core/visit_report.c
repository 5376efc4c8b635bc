/*
 * Reports in INBOX and Junk: the headers of what came since the last look, by PEEK and EXAMINE, and
 * whole the few that call themselves multipart/report. A message that answers another one and says
 * that a machine wrote it is told of by these header fields alone. Nothing is changed.
 */
#include "node/core/visit_private.h"

#include "common/base/error.h"
#include "node/core/mime.h"

#include <stdlib.h>
#include <string.h>

#define REPORT_BATCH 100
#define REPORT_SCAN_MAX 200        /* newest headers of a folder; what lies below was never new */
#define REPORT_SIZE_MAX (48 * 1024) /* of one report; the rest of it is not read */
#define INPUT_RESERVE (256 * 1024)

static const enum folder_role places[VISIT_PLACES] = {FOLDER_INBOX, FOLDER_JUNK};

bool report_plan(struct visit *visit)
{
    if (visit->reports == visit->n_jobs || visit->settled[visit->reports])
        return false;
    while (visit->cursor < VISIT_PLACES) {
        visit->report_place = visit->cursor++;
        uint32_t f = folder_list_find(&visit->folders, places[visit->report_place]);
        if (f == FOLDER_NONE || !visit->folders.folders[f].selectable)
            continue;
        look_forget(visit);
        visit->open = FOLDER_NONE; /* opened anew: what came meanwhile is counted */
        visit_push(visit, (struct op){.kind = OP_READ, .folder = f});
        visit_push(visit, (struct op){.kind = OP_REPORTS, .folder = f});
        visit_push(visit, (struct op){.kind = OP_OPEN, .folder = f});
        return true;
    }
    return false;
}

/* ---- Headers ---- */

int report_scan(struct visit *visit, struct op *op)
{
    const struct imap_mailbox *mailbox = imap_mailbox(visit->imap);
    struct visit_mark *mark = &visit->marks[visit->report_place];
    if (!visit_is_open(visit, op->folder, false))
        return OP_E_DROP;
    if (op->number == 0) {
        op->number = mailbox->exists;
        if (mark->uidvalidity != mailbox->uidvalidity)
            *mark = (struct visit_mark){.uidvalidity = mailbox->uidvalidity};
        visit->report_newest = mark->uid;
        if (mailbox->uidnext > 0 && mailbox->uidnext - 1 == mark->uid)
            return OP_E_DROP;
    }
    if (op->number == 0 || imap_input_left(visit->imap) < INPUT_RESERVE)
        return OP_E_DROP;
    uint32_t first = op->number > REPORT_BATCH ? op->number - REPORT_BATCH + 1 : 1;
    visit->report_old = false;
    visit->scanned += op->number - first + 1;
    return imap_fetch_range(visit->imap, first, op->number, HEADER_FIELDS_REPORT);
}

static bool is_report(const struct header *header)
{
    char type[MIME_TYPE_MAX], report_type[MIME_TYPE_MAX];
    return mime_type(flz_view_str(header->content_type), "report-type", type, report_type) &&
           strcmp(type, "multipart/report") == 0;
}

/* Keeps a copy for the caller; without memory it is not told. */
static void keep(struct visit *visit, struct flz_view bytes, bool whole)
{
    uint8_t *copy = malloc(bytes.len + 1);
    if (!copy)
        return;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    free((void *)visit->report.data);
    visit->report = (struct flz_view){copy, bytes.len};
    visit->report_whole = whole;
    visit->has_report = true;
}

static void scan_heard(struct visit *visit, const struct imap_fetch *fetch)
{
    const struct visit_job *job = &visit->jobs[visit->reports];
    struct header header;
    if (!fetch->has_header || fetch->uid == 0)
        return;
    bool old =
        fetch->internaldate_ms != INT64_MIN && fetch->internaldate_ms < job->look.arrived_after_ms;
    if (old || fetch->uid <= visit->marks[visit->report_place].uid) {
        visit->report_old = true;
        return;
    }
    if (fetch->uid > visit->report_newest)
        visit->report_newest = fetch->uid;
    header_parse(fetch->header, &header);
    if (job->search_all || is_report(&header)) {
        if (visit->n_uids < VISIT_REPORTS_MAX)
            visit->uids[visit->n_uids++] = fetch->uid;
    } else if (header.automatic[0] && header.in_reply_to[0] && !header.x_fluenzr[0]) {
        keep(visit, fetch->header, false);
    }
}

static void scan_ended(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    if (result->status != IMAP_STATUS_OK)
        return;
    if (op->number > REPORT_BATCH && !visit->report_old && visit->scanned < REPORT_SCAN_MAX)
        visit_push(visit, (struct op){.kind = OP_REPORTS,
                                      .folder = op->folder,
                                      .number = op->number - REPORT_BATCH});
    else
        visit->marks[visit->report_place].uid = visit->report_newest;
}

/* ---- Reports, whole ---- */

int report_read(struct visit *visit, struct op *op)
{
    if (!visit_is_open(visit, op->folder, false) || op->number >= visit->n_uids ||
        imap_input_left(visit->imap) < INPUT_RESERVE)
        return OP_E_DROP;
    return imap_fetch_body(visit->imap, visit->uids[op->number++], REPORT_SIZE_MAX);
}

void report_heard(struct visit *visit, const struct op *op, const struct imap_fetch *fetch)
{
    if (op->kind == OP_REPORTS)
        scan_heard(visit, fetch);
    else if (fetch->has_header && fetch->uid == visit->uids[op->number - 1])
        keep(visit, fetch->header, true);
}

void report_ended(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    if (op->kind == OP_REPORTS)
        scan_ended(visit, op, result);
    else
        visit_push(visit, *op); /* the next one */
}
