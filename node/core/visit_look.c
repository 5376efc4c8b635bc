#include "node/core/visit_private.h"

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "proto/xheader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bytes kept free for the actions that follow a long scan. */
#define INPUT_RESERVE (256 * 1024)

/* ---- Which folders for whom ---- */

static bool is_usual(const struct target *target, const struct folder *folder)
{
    if (target->folder[0] && strcmp(target->folder, folder->name) == 0)
        return true;
    switch (folder->role) {
    case FOLDER_INBOX:
    case FOLDER_JUNK: return !target->in_sent;
    case FOLDER_SENT: return target->in_sent;
    case FOLDER_OWN: return true;
    case FOLDER_TRASH: return visit_wants(target, VISIT_EXPIRE);
    case FOLDER_OTHER:
    case FOLDER_DRAFTS:
    case FOLDER_ALL: break;
    }
    return false;
}

/* A move looks for all copies: one may be left from a visit that was cut between COPY and EXPUNGE
 * (V6). */
static bool wants_every_copy(const struct target *target)
{
    return visit_wants(target, VISIT_UNSPAM) || visit_wants(target, VISIT_TIDY) ||
           visit_wants(target, VISIT_EXPIRE);
}

static bool wants_look(enum phase phase, struct target *target, const struct folder *folder)
{
    bool found = visit_copy(target) != NULL;
    switch (phase) {
    case PHASE_SEARCH: return is_usual(target, folder) && (!found || wants_every_copy(target));
    case PHASE_SCAN:
        return is_usual(target, folder) && !target->searched &&
               (!found || wants_every_copy(target));
    case PHASE_ALL: return target->search_all && !is_usual(target, folder) && !found;
    case PHASE_FOUND:
    case PHASE_UNSPAM:
    case PHASE_UNSPAMMED:
    case PHASE_MARK:
    case PHASE_SWEEP:
    case PHASE_REPORTS:
    case PHASE_TIDY:
    case PHASE_TIDIED:
    case PHASE_PROBE:
    case PHASE_END: break;
    }
    return false;
}

/* INBOX first, since most mail is there; \All last, since it shows everything once more. */
static const enum folder_role look_order[] = {FOLDER_INBOX,  FOLDER_JUNK,  FOLDER_OWN,
                                              FOLDER_SENT,   FOLDER_OTHER, FOLDER_TRASH,
                                              FOLDER_DRAFTS, FOLDER_ALL};

/* The folder at a place in that order, or FOLDER_NONE behind the last. */
static uint32_t folder_at(const struct visit *visit, uint32_t place)
{
    for (size_t i = 0; i < sizeof look_order / sizeof *look_order; i++)
        for (size_t f = 0; f < visit->folders.count; f++)
            if (visit->folders.folders[f].role == look_order[i] && place-- == 0)
                return (uint32_t)f;
    return FOLDER_NONE;
}

/* Pushes a look in one folder for the targets that are marked `looking`. The stack is last in,
 * first out: what comes last is pushed first. */
static void push_look(struct visit *visit, uint32_t folder, bool search, bool scan)
{
    look_forget(visit);
    visit_push(visit, (struct op){.kind = OP_VERIFY, .folder = folder});
    visit_push(visit, (struct op){.kind = OP_FETCH, .folder = folder});
    if (scan)
        visit_push(visit, (struct op){.kind = OP_SCAN, .folder = folder});
    if (search)
        visit_push(visit, (struct op){.kind = OP_SEARCH, .folder = folder});
    visit_push(visit, (struct op){.kind = OP_OPEN, .folder = folder});
}

bool look_plan(struct visit *visit)
{
    for (;;) {
        uint32_t f = folder_at(visit, visit->cursor++);
        if (f == FOLDER_NONE)
            return false;
        bool any = false;
        for (size_t i = 0; i < visit->n_targets; i++) {
            struct target *target = &visit->targets[i];
            target->looking = visit->folders.folders[f].selectable &&
                              wants_look(visit->phase, target, &visit->folders.folders[f]);
            any |= target->looking;
        }
        if (!any)
            continue;
        push_look(visit, f, visit->phase != PHASE_SCAN, visit->phase != PHASE_SEARCH);
        return true;
    }
}

void look_forget(struct visit *visit)
{
    for (size_t i = 0; i < visit->n_candidates; i++)
        free((void *)visit->candidates[i].block.data);
    visit->n_candidates = 0;
    visit->n_uids = 0;
    visit->scanned = 0;
    visit->asking = false;
}

void look_push_one(struct visit *visit, uint32_t target, uint32_t folder, bool scan)
{
    struct target *t = &visit->targets[target];
    for (size_t i = 0; i < visit->n_targets; i++)
        visit->targets[i].looking = i == target;
    push_look(visit, folder, true, scan);
    if (t->copy_uid)
        visit->uids[visit->n_uids++] = t->copy_uid;
}

/* ---- Recognising ---- */

static struct flz_view id_of(const char *text, char ret_id[static HEADER_MESSAGE_ID_MAX])
{
    ret_id[0] = '\0';
    (void)header_parse_message_id(flz_view_str(text), ret_id);
    return flz_view_str(ret_id);
}

static bool id_matches(const char *wanted, const char *found)
{
    char id[HEADER_MESSAGE_ID_MAX];
    return id_of(wanted, id).len > 0 && strcmp(id, found) == 0;
}

static bool fields_match(const struct visit_look *look, const struct header *header)
{
    static const struct flz_digest none = {.b = {0}};
    return look->from[0] && strcasecmp(look->from, header->from) == 0 &&
           !flz_digest_equal(look->subject, none) &&
           flz_digest_equal(look->subject, header_subject_digest(flz_view_str(header->subject))) &&
           header->has_date && header->date_ms >= look->date_first_ms &&
           header->date_ms <= look->date_last_ms;
}

/* Best match first: enum visit_match is in that order. */
static bool matches(const struct visit_look *look, const struct header *header,
                    enum visit_match *ret_match)
{
    struct xheader x;
    if (header->x_fluenzr[0] && !flz_id_is_null(look->exchange) &&
        xheader_parse(flz_view_str(header->x_fluenzr), &x) == 0 &&
        flz_id_equal(x.exchange, look->exchange)) {
        *ret_match = VISIT_MATCH_X;
        return x.step == look->step;
    }
    if (id_matches(look->message_id, header->message_id) ||
        id_matches(look->message_id_seen, header->message_id))
        *ret_match = VISIT_MATCH_MESSAGE_ID;
    else if (id_matches(look->message_id, header->original_message_id))
        *ret_match = VISIT_MATCH_ORIGINAL_ID;
    else if (fields_match(look, header))
        *ret_match = VISIT_MATCH_FIELDS;
    else
        return false;
    return true;
}

/* ---- SEARCH ---- */

static size_t add_key(struct imap_search_key *keys, size_t n, const char *field, const char *value)
{
    if (value[0])
        keys[n++] = (struct imap_search_key){field, value};
    return n;
}

#define KEYS_PER_TARGET 3
#define TARGETS_PER_SEARCH (IMAP_SEARCH_KEYS_MAX / KEYS_PER_TARGET)

/* Texts that keys of one command point to. */
struct key_texts {
    char id[HEADER_MESSAGE_ID_MAX];
    char seen[HEADER_MESSAGE_ID_MAX];
    char exchange[3 + FLZ_ID_HEX_LEN];
};

static size_t keys_of(const struct visit_look *look, struct key_texts *texts,
                      struct imap_search_key *keys, size_t n)
{
    texts->exchange[0] = '\0';
    if (!flz_id_is_null(look->exchange))
        (void)snprintf(texts->exchange, sizeof texts->exchange, "x=%s", flz_id_str(look->exchange));
    (void)id_of(look->message_id, texts->id);
    (void)id_of(look->message_id_seen, texts->seen);
    n = add_key(keys, n, "Message-ID", texts->id);
    if (strcmp(texts->id, texts->seen) != 0)
        n = add_key(keys, n, "Message-ID", texts->seen);
    return add_key(keys, n, XHEADER_NAME, texts->exchange);
}

int look_search(struct visit *visit, struct op *op)
{
    struct key_texts texts[TARGETS_PER_SEARCH];
    struct imap_search_key keys[IMAP_SEARCH_KEYS_MAX];
    size_t n_targets = 0, n = 0;
    uint32_t i = op->number;
    if (!visit_is_open(visit, op->folder, false) || imap_mailbox(visit->imap)->exists == 0)
        return OP_E_DROP;
    for (; i < visit->n_targets && n_targets < TARGETS_PER_SEARCH; i++) {
        if (!visit->targets[i].looking)
            continue;
        size_t before = n;
        n = keys_of(&visit->targets[i].look, &texts[n_targets], keys, n);
        n_targets += n > before;
    }
    op->number = i;
    return n > 0 ? imap_search(visit->imap, keys, n) : OP_E_DROP;
}

static void doubt(struct visit *visit)
{
    for (size_t i = 0; i < visit->n_targets; i++)
        visit->targets[i].in_doubt |= visit->targets[i].looking;
}

static void add_uid(struct visit *visit, uint32_t uid)
{
    for (size_t i = 0; i < visit->n_uids; i++)
        if (visit->uids[i] == uid)
            return;
    if (uid == 0)
        return;
    if (visit->n_uids == VISIT_UIDS_MAX)
        doubt(visit);
    else
        visit->uids[visit->n_uids++] = uid;
}

/* ---- The newest headers, without trusting SEARCH ---- */

/* How many headers may be read in this folder now. What was moved a moment ago is among the newest.
 */
static uint32_t scan_limit(const struct visit *visit)
{
    bool final = false;
    if (visit->phase > PHASE_FOUND)
        return VISIT_SCAN_BATCH;
    for (size_t i = 0; i < visit->n_targets; i++)
        final |= visit->targets[i].looking && visit->targets[i].search_all;
    return final ? VISIT_SCAN_FINAL : visit->scan_max;
}

int look_scan(struct visit *visit, struct op *op)
{
    uint32_t exists = imap_mailbox(visit->imap)->exists;
    if (!visit_is_open(visit, op->folder, false) || exists == 0)
        return OP_E_DROP;
    if (op->number == 0 || op->number > exists)
        op->number = exists;
    if (visit->scanned >= scan_limit(visit) || imap_input_left(visit->imap) < INPUT_RESERVE) {
        doubt(visit);
        return OP_E_DROP;
    }
    uint32_t first = op->number > VISIT_SCAN_BATCH ? op->number - VISIT_SCAN_BATCH + 1 : 1;
    visit->scan_old = true;
    visit->scan_missed = op->number - first + 1;
    visit->scanned += visit->scan_missed;
    return imap_fetch_range(visit->imap, first, op->number, HEADER_FIELDS_NARROW);
}

/* Nothing that arrived before this can be looked for now. */
static int64_t oldest_wanted(const struct visit *visit)
{
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < visit->n_targets; i++) {
        const struct visit_look *look = &visit->targets[i].look;
        if (!visit->targets[i].looking)
            continue;
        int64_t first =
            look->arrived_after_ms > 0 ? look->arrived_after_ms - FLZ_DAY_MS : INT64_MIN;
        oldest = first < oldest ? first : oldest;
    }
    return oldest;
}

static void scan_heard(struct visit *visit, const struct imap_fetch *fetch)
{
    struct header header;
    enum visit_match match;
    visit->scan_missed -= visit->scan_missed > 0;
    if (fetch->internaldate_ms == INT64_MIN || fetch->internaldate_ms >= oldest_wanted(visit))
        visit->scan_old = false;
    if (!fetch->has_header || fetch->uid == 0)
        return;
    header_parse(fetch->header, &header);
    for (size_t i = 0; i < visit->n_targets; i++)
        if (visit->targets[i].looking && matches(&visit->targets[i].look, &header, &match))
            add_uid(visit, fetch->uid);
}

static void scan_ended(struct visit *visit, const struct op *op)
{
    if (visit->scan_missed > 0)
        doubt(visit);
    /* A message moved here lately has an old date but a high number: one whole batch of old ones
     * ends the scan, not the first. */
    if (op->number > VISIT_SCAN_BATCH && !visit->scan_old)
        visit_push(visit, (struct op){.kind = OP_SCAN,
                                      .folder = op->folder,
                                      .number = op->number - VISIT_SCAN_BATCH});
}

/* ---- Candidates ---- */

int look_fetch(struct visit *visit, struct op *op)
{
    if (!visit_is_open(visit, op->folder, false) || op->number >= visit->n_uids)
        return OP_E_DROP;
    size_t n = visit->n_uids - op->number;
    if (n > VISIT_FETCH_BATCH)
        n = VISIT_FETCH_BATCH;
    const uint32_t *uids = visit->uids + op->number;
    op->number += (uint32_t)n;
    return imap_fetch_uids(visit->imap, uids, n, HEADER_FIELDS);
}

static void add_candidate(struct visit *visit, uint32_t target, enum visit_match match,
                          const struct imap_fetch *fetch)
{
    for (size_t i = 0; i < visit->n_candidates; i++)
        if (visit->candidates[i].target == target && visit->candidates[i].copy.uid == fetch->uid)
            return;
    uint8_t *block =
        visit->n_candidates < VISIT_CANDIDATES_MAX ? malloc(fetch->header.len + 1) : NULL;
    if (!block) {
        visit->targets[target].in_doubt = true;
        return;
    }
    memcpy(block, fetch->header.data, fetch->header.len);
    visit->candidates[visit->n_candidates++] = (struct candidate){
        .target = target,
        .match = match,
        .copy = {.present = true,
                 .folder = visit->open,
                 .uidvalidity = imap_mailbox(visit->imap)->uidvalidity,
                 .uid = fetch->uid,
                 .flags = fetch->flags,
                 .size = fetch->size,
                 .internaldate_ms = fetch->internaldate_ms},
        .block = {block, fetch->header.len},
    };
}

static void fetch_heard(struct visit *visit, const struct imap_fetch *fetch)
{
    struct header header;
    enum visit_match match;
    if (!fetch->has_header || fetch->header.len == 0 || fetch->uid == 0)
        return; /* somebody else's flags, or a header too long to be ours */
    /* An answer about a message that was not asked for may be right, but is not taken. */
    bool asked = false;
    for (size_t i = 0; i < visit->n_uids; i++)
        asked |= visit->uids[i] == fetch->uid;
    if (!asked)
        return;
    header_parse(fetch->header, &header);
    for (size_t i = 0; i < visit->n_targets; i++)
        if (visit->targets[i].looking && matches(&visit->targets[i].look, &header, &match))
            add_candidate(visit, (uint32_t)i, match, fetch);
}

static enum slot slot_of(enum folder_role role)
{
    switch (role) {
    case FOLDER_INBOX: return SLOT_INBOX;
    case FOLDER_JUNK: return SLOT_JUNK;
    case FOLDER_OWN: return SLOT_OWN;
    case FOLDER_TRASH: return SLOT_TRASH;
    case FOLDER_OTHER:
    case FOLDER_SENT:
    case FOLDER_DRAFTS:
    case FOLDER_ALL: break;
    }
    return SLOT_ELSE;
}

enum slot look_slot(const struct visit *visit, uint32_t folder)
{
    return slot_of(visit->folders.folders[folder].role);
}

static struct copy *copy_slot(struct visit *visit, const struct candidate *candidate)
{
    enum slot slot = look_slot(visit, candidate->copy.folder);
    return &visit->targets[candidate->target].copies[slot];
}

/* The next one to ask about: the best match first, then the oldest. One yes per target and folder
 * is enough. */
static struct candidate *next_candidate(struct visit *visit)
{
    struct candidate *best = NULL;
    for (size_t i = 0; i < visit->n_candidates; i++) {
        struct candidate *c = &visit->candidates[i];
        const struct copy *known = copy_slot(visit, c);
        if (c->asked || (known->present && known->folder == c->copy.folder))
            continue;
        if (!best || c->match < best->match ||
            (c->match == best->match && c->copy.uid < best->copy.uid))
            best = c;
    }
    return best;
}

int look_verify(struct visit *visit, struct op *op)
{
    struct candidate *next = next_candidate(visit);
    if (!next) {
        look_forget(visit);
        return OP_E_DROP;
    }
    next->asked = true;
    visit->asked_candidate = (size_t)(next - visit->candidates);
    header_parse(next->block, &visit->asked_header);
    visit->asking = true;
    visit_push(visit, *op);
    return OP_E_WAIT;
}

void look_verified(struct visit *visit, bool is_ours)
{
    struct candidate *c = &visit->candidates[visit->asked_candidate];
    struct target *target = &visit->targets[c->target];
    assert(visit->asking);
    visit->asking = false;
    if (!is_ours) {
        target->unverified = true;
        return;
    }
    *copy_slot(visit, c) = c->copy;
    target->searched |= visit->phase == PHASE_SEARCH;
    const struct header *header = &visit->asked_header;
    target->message_id[0] = '\0';
    if (!id_matches(target->look.message_id, header->message_id))
        memcpy(target->message_id, header->message_id, sizeof target->message_id);
    memcpy(target->authentication, header->authentication, sizeof target->authentication);
}

/* ---- What the server says ---- */

void look_heard(struct visit *visit, const struct op *op, const struct imap_event *event)
{
    if (event->type == IMAP_EVENT_SEARCH && op->kind == OP_SEARCH)
        for (size_t i = 0; i < event->search.count; i++)
            add_uid(visit, event->search.numbers[i]);
    else if (event->type == IMAP_EVENT_FETCH && op->kind == OP_SCAN)
        scan_heard(visit, &event->fetch);
    else if (event->type == IMAP_EVENT_FETCH && op->kind == OP_FETCH)
        fetch_heard(visit, &event->fetch);
}

void look_ended(struct visit *visit, const struct op *op, const struct imap_result *result)
{
    if (op->kind == OP_SEARCH) {
        /* A search that is refused is made good by the scan. */
        if (op->number < visit->n_targets)
            visit_push(visit, *op);
        return;
    }
    if (result->status != IMAP_STATUS_OK)
        doubt(visit);
    else if (op->kind == OP_SCAN)
        scan_ended(visit, op);
    else if (op->number < visit->n_uids)
        visit_push(visit, *op);
}
