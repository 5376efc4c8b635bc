/* Audits: verbs that walk the log. They are answered when the walk is done. */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "coordinator/desk_private.h"
#include "coordinator/identity.h"
#include "coordinator/view_json.h"
#include "proto/codec.h"
#include "proto/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audit {
    struct admin_call *call;
    struct server *server;
    struct audit_request request;
};

/* ---- Documents ---- */

static void put_base64(json_t *json, const char *key, struct flz_view bytes)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    flz_base64url_encode(bytes, &text);
    view_put_text(json, key, flz_buf_str(&text));
}

/* The coordinator's word, signed, that its log holds this segment. */
static int put_head(const struct audit *audit, const struct flz_log_head *said, json_t *json)
{
    const struct coordinator_identity *identity = server_identity(audit->server);
    struct flz_signer signer = coordinator_identity_signer(identity);
    _cleanup_(flz_buf_deinit) struct flz_buf payload = FLZ_BUF_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    struct flz_log_head head = *said;
    head.network = identity->trust.network;
    head.at = flz_realtime_ms();
    head.issuer_certificate = flz_buf_view(&identity->issuer_cert);
    int r = flz_encode(&flz_codec_log_head, &head, &payload);
    if (r == 0)
        r = flz_seal_signed(FLZ_KIND_LOG_HEAD, flz_buf_view(&payload), &signer, &bytes);
    if (r < 0)
        return r;
    view_put_int(json, "headSegment", (int64_t)head.segment);
    view_put_int(json, "headEvent", (int64_t)head.last_event);
    view_put(json, "headDigest", view_digest(head.digest));
    put_base64(json, "logHead", flz_buf_view(&bytes));
    return 0;
}

static int put_bounds(const struct audit *audit, const struct rlog_bounds *bounds, json_t *item)
{
    uint64_t first = bounds->last > 0 ? bounds->forgotten.seq + 1 : 0;
    struct flz_log_head head = {.generation = bounds->generation,
                                .segment = bounds->last,
                                .last_event = bounds->last_event,
                                .digest = bounds->head};
    view_put_text(item, "result", "whole");
    view_put_int(item, "firstSegment", (int64_t)first);
    view_put_int(item, "firstEvent", first ? (int64_t)bounds->forgotten.last_event + 1 : 0);
    view_put_int(item, "archivedSegments", (int64_t)(bounds->trimmed.seq - bounds->forgotten.seq));
    return put_head(audit, &head, item);
}

static json_t *path_of(const struct segment_proof *path)
{
    json_t *json = json_array();
    for (uint32_t i = 0; i < path->path_count; i++)
        (void)json_array_append_new(json, view_digest(path->path[i]));
    return json;
}

static int put_proof(const struct audit *audit, const struct proof *proof, json_t *item)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct segment last;
    struct event event;
    if (proof_check(proof, &last))
        return flz_fail(-EUCLEAN);
    int r = flz_decode_event(flz_buf_view(&proof->bytes), &arena, &event);
    if (r < 0)
        return r;
    struct flz_log_head head = {.generation = last.generation,
                                .segment = last.seq,
                                .last_event = last.first_event + last.count - 1,
                                .digest = last.digest};
    view_put_int(item, "event", (int64_t)proof->event);
    view_put_text(item, "type", flz_event_name(event.type));
    view_put(item, "at", view_time(event.at));
    put_base64(item, "bytes", flz_buf_view(&proof->bytes));
    view_put_int(item, "index", proof->path.index);
    view_put_int(item, "count", proof->path.count);
    view_put(item, "path", path_of(&proof->path));
    put_base64(item, "headers", flz_buf_view(&proof->headers));
    return put_head(audit, &head, item);
}

/* ---- Answers ---- */

static void refuse(struct admin_call *call, const struct audit_result *result, const char *what)
{
    static const char hint[] = "fluenzrctl events --type receipt shows what can be proved";
    switch (result->outcome) {
    case AUDIT_ABSENT: admin_refuse(call, ADMIN_FAILED, "NOT_FOUND", what, hint); return;
    case AUDIT_OLD:
        admin_refuse(call, ADMIN_FAILED, "NOT_PROVABLE",
                     "this was written by an older version, whose log proves nothing without all "
                     "of itself",
                     "fluenzrctl audit verify holds the whole log against its chain");
        return;
    case AUDIT_LARGE:
        admin_refuse(call, ADMIN_FAILED, "NOT_PROVABLE", "this event is too large for a proof", "");
        return;
    case AUDIT_DAMAGED:
        admin_refuse(call, ADMIN_DIFFERENCE, "DAMAGED", result->msg.text,
                     "put the file back from a backup; fluenzrctl audit verify");
        return;
    case AUDIT_DONE:
    case AUDIT_FAILED: break;
    }
    admin_refuse(call, ADMIN_TRY_AGAIN, "NOT_READ", result->msg.text,
                 "look at the coordinator's log and its disk");
}

static void answer(const struct audit *audit, const char *kind, json_t *item, int r)
{
    struct view view = {.server = audit->server};
    if (r == 0) {
        admin_answer(audit->call, ADMIN_OK, view_document(&view, kind, item), NULL);
        return;
    }
    json_decref(item);
    admin_refuse(audit->call, ADMIN_FAILED, "NOT_MADE", strerror(-r), "");
}

static void on_verified(const struct audit_result *result, void *data)
{
    struct audit *audit = data;
    json_t *item = json_object();
    if (result->outcome == AUDIT_DONE) {
        answer(audit, "Audit", item, put_bounds(audit, &result->bounds, item));
    } else {
        json_decref(item);
        refuse(audit->call, result, "");
    }
    free(audit);
}

static void on_proved(const struct audit_result *result, void *data)
{
    struct audit *audit = data;
    json_t *item = json_object();
    if (result->outcome == AUDIT_DONE) {
        answer(audit, "Proof", item, put_proof(audit, &result->proof, item));
    } else {
        json_decref(item);
        refuse(audit->call, result,
               audit->request.kind == AUDIT_TASK
                   ? "no receipt of this task is kept: it has not been reported, or too long ago"
                   : "no such event is kept");
    }
    free(audit);
}

/* ---- Verbs ---- */

static void start(struct desk *desk, const struct audit_request *request,
                  void (*on_done)(const struct audit_result *result, void *data))
{
    struct audit *audit = malloc(sizeof *audit);
    if (!audit) {
        admin_refuse(desk->call, ADMIN_FAILED, "NO_MEMORY", "out of memory", "");
        return;
    }
    *audit = (struct audit){.call = desk->call, .server = desk->server, .request = *request};
    if (server_audit(desk->server, request, on_done, audit) < 0) {
        free(audit);
        admin_refuse(desk->call, ADMIN_TRY_AGAIN, "BUSY", "another audit or backup is under way",
                     "one walks the log at a time: try again when it is done");
    }
}

void desk_audit_verify(struct desk *desk)
{
    if (desk_may(desk, "network", false))
        start(desk, &(struct audit_request){.kind = AUDIT_VERIFY}, on_verified);
}

void desk_audit_prove(struct desk *desk)
{
    static const char hint[] = "fluenzrctl events --type receipt -o json shows both";
    struct audit_request request = {.kind = AUDIT_TASK};
    if (!desk_may(desk, "network", false))
        return;
    const char *what = desk_need(desk, "what", hint);
    if (!what)
        return;
    if (flz_id_parse(what, &request.task) < 0) {
        request.kind = AUDIT_EVENT;
        if (flz_parse_u64(what, INT64_MAX, &request.event) < 0) {
            desk_bad_input(desk, "a task is named by its id, 32 hex digits; an event by its number",
                           hint);
            return;
        }
    }
    start(desk, &request, on_proved);
}
