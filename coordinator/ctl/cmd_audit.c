/* Audits of the log: it is verified and proved where it is; proofs are checked here. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/fsutil.h"
#include "coordinator/rlog/proof.h"
#include "coordinator/words.h"
#include "proto/codec.h"
#include "proto/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROOF_FILE_MAX (4u << 20)
#define POLICY_FILE_MAX (16u << 10)

/* ---- Verifying ---- */

int cmd_audit_verify(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    static const char *const skip[] = {"logHead", NULL};
    bool aggregates = arguments_get(arguments, "aggregates") != NULL;
    struct ask ask = {.verb = aggregates ? "audit aggregates" : "audit verify",
                      .timeout_ms = CTL_TIMEOUT_AUDIT_MS};
    int code = ask_do(ctl, &ask, &answer);
    if (!answer.json)
        return code;
    if (ctl->output == CTL_JSON)
        show_json(answer.json);
    else if (!ctl->quiet)
        show_item(json_object_get(answer.json, "item"), skip);
    return code;
}

/* ---- Replaying ---- */

int cmd_policy_replay(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    static const char *const skip[] = {"differences", NULL};
    static const struct show_column columns[] = {
        {"AT", "at", SHOW_TIME, false},
        {"ADDRESS", "address", SHOW_PLAIN, false},
        {"DECISION", "decision", SHOW_PLAIN, false},
        {"TOWARDS", "provider", SHOW_PLAIN, false},
        {"STATE", "state", SHOW_PLAIN, false},
        {"RULE", "rule", SHOW_PLAIN, false},
        {"OTHER", "otherState", SHOW_PLAIN, false},
        {"OTHER RULE", "otherRule", SHOW_PLAIN, false},
        {"LEVEL", "level", SHOW_RIGHT, false},
        {"OTHER LEVEL", "otherLevel", SHOW_RIGHT, false},
        {"EVENT", "event", SHOW_RIGHT, true},
        {NULL, NULL, SHOW_PLAIN, false},
    };
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    _cleanup_(flz_buf_deinit) struct flz_buf policy = FLZ_BUF_NULL;
    struct flz_msg msg = FLZ_MSG_NULL;
    struct ask ask = {.verb = "policy replay", .timeout_ms = CTL_TIMEOUT_AUDIT_MS};
    const char *path = arguments_get(arguments, "policy");
    if (path && fsutil_read(path, POLICY_FILE_MAX, &policy, &msg) < 0)
        return talk_fail(ctl, ADMIN_USAGE, "NOT_READ", msg.text, "");
    ask.body = flz_buf_view(&policy);
    ask_add_option(&ask, arguments, "since");
    int code = ask_do(ctl, &ask, &answer);
    if (!answer.json)
        return code;
    if (ctl->output == CTL_JSON) {
        show_json(answer.json);
        return code;
    }
    const json_t *differences = show_path(answer.json, "item.differences");
    show_item(json_object_get(answer.json, "item"), skip);
    if (json_array_size(differences) > 0)
        show_table(ctl, differences, columns);
    return code;
}

/* ---- Proving ---- */

static int write_proof(const struct ctl *ctl, const char *path, const json_t *document)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    char *text = json_dumps(document, JSON_INDENT(2));
    int r = text ? fsutil_write_new(path, 0644, flz_view_str(text), &msg) : flz_fail(-ENOMEM);
    free(text);
    if (r < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NOT_WRITTEN",
                         msg.text[0] ? msg.text : strerror(-r), "name another --out");
    talk(ctl, "%s: proof of event %" PRId64 "; check it with: fluenzrctl audit check %s", path,
         show_integer(document, "item.event"), path);
    return 0;
}

int cmd_audit_prove(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(answer_deinit) struct answer answer = ANSWER_NULL;
    struct ask ask = {.verb = "audit prove", .timeout_ms = CTL_TIMEOUT_AUDIT_MS};
    const char *out = arguments_get(arguments, "out");
    ask_add(&ask, "what", arguments->words[0]);
    if (out && access(out, F_OK) == 0)
        return talk_fail(ctl, ADMIN_FAILED, "EXISTS", "the file of --out is there already",
                         "name another one");
    int code = ask_do(ctl, &ask, &answer);
    if (code != 0 || !answer.json)
        return code;
    if (out)
        return write_proof(ctl, out, answer.json);
    show_json(answer.json);
    return 0;
}

/* ---- Checking ---- */

struct checking {
    const struct ctl *ctl;
    struct flz_trust trust;
    json_t *document; /* owned */
    struct proof proof;
    struct flz_buf head; /* Signed(LOG_HEAD); owned */
    struct segment last;
    struct flz_log_head said;
    struct flz_msg msg;
};

static void deinit(struct checking *checking)
{
    json_decref(checking->document);
    proof_deinit(&checking->proof);
    flz_buf_deinit(&checking->head);
}

static int read_trust(const struct ctl_arguments *arguments, struct checking *checking)
{
    const char *network = arguments_get(arguments, "network");
    const char *root = arguments_get(arguments, "root");
    if (!network && !root) {
        _cleanup_(context_deinit) struct context context = CONTEXT_NULL;
        int code = context_load(checking->ctl, &context);
        checking->trust = context.trust;
        return code;
    }
    if (!network || !root || flz_id_parse(network, &checking->trust.network) < 0 ||
        keys_sign_parse(root, &checking->trust.root) < 0)
        return talk_usage(checking->ctl, "both stand in 'fluenzrctl key show': networkId, rootKey",
                          "--network is an id of 32 hex digits and --root a public key");
    return 0;
}

static bool read_base64(const json_t *item, const char *key, struct flz_buf *buf)
{
    return flz_base64url_decode(flz_view_str(show_string(item, key)), buf) == 0 && buf->len > 0;
}

static bool read_path(const json_t *item, struct segment_proof *path)
{
    const json_t *list = json_object_get(item, "path");
    int64_t index = show_integer(item, "index"), count = show_integer(item, "count");
    if (!json_is_array(list) || json_array_size(list) > SEGMENT_PATH_MAX || index < 0 ||
        count <= 0 || count > SEGMENT_EVENTS_MAX || index >= count)
        return false;
    path->index = (uint32_t)index;
    path->count = (uint32_t)count;
    path->path_count = (uint32_t)json_array_size(list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        if (!hex || strlen(hex) != 64 || flz_hex_decode(hex, 64, path->path[i].b) < 0)
            return false;
    }
    return true;
}

/* 0 or an exit code. */
static int read_proof(struct checking *checking, const char *path)
{
    _cleanup_(flz_buf_deinit) struct flz_buf text = FLZ_BUF_NULL;
    struct proof *proof = &checking->proof;
    if (fsutil_read(path, PROOF_FILE_MAX, &text, &checking->msg) < 0)
        return talk_fail(checking->ctl, ADMIN_FAILED, "NOT_READ", checking->msg.text, "");
    checking->document = json_loadb((const char *)text.data, text.len, 0, NULL);
    const json_t *item = json_object_get(checking->document, "item");
    int64_t event = show_integer(item, "event");
    proof->event = event > 0 ? (uint64_t)event : 0;
    if (item && event > 0 && read_base64(item, "bytes", &proof->bytes) &&
        read_base64(item, "headers", &proof->headers) &&
        read_base64(item, "logHead", &checking->head) && read_path(item, &proof->path))
        return 0;
    return talk_fail(checking->ctl, ADMIN_DIFFERENCE, "NO_PROOF", "this is not a whole proof",
                     "fluenzrctl audit prove makes one");
}

static bool is_head(const struct flz_log_head *said, const struct segment *last)
{
    return said->segment == last->seq && said->last_event == last->first_event + last->count - 1 &&
           flz_id_equal(said->generation, last->generation) &&
           flz_digest_equal(said->digest, last->digest);
}

/* The event is in the chain, the chain leads to its head, and the coordinator signed the head. */
static int check(struct checking *checking)
{
    const char *why = proof_check(&checking->proof, &checking->last);
    if (!why && flz_cert_check_log_head(&checking->trust, flz_buf_view(&checking->head),
                                        &checking->said, &checking->msg) < 0)
        why = checking->msg.text;
    else if (!why && !is_head(&checking->said, &checking->last))
        why = "the head that the coordinator signed is not where the chain leads";
    if (!why)
        return 0;
    return talk_fail(checking->ctl, ADMIN_DIFFERENCE, "NOT_PROVED", why,
                     "something was changed, or it is of another network");
}

static void put_receipt(json_t *item, const struct flz_receipt *receipt)
{
    char at[FLZ_TIME_TEXT_MAX];
    flz_time_format(receipt->at, at);
    (void)json_object_set_new(item, "taskId", json_string(flz_id_str(receipt->task)));
    (void)json_object_set_new(item, "exchange", json_string(flz_id_str(receipt->exchange)));
    (void)json_object_set_new(item, "accountId", json_string(flz_id_str(receipt->account)));
    (void)json_object_set_new(item, "turn", json_integer(receipt->turn));
    (void)json_object_set_new(item, "task", json_string(words_task_kind(receipt->kind)));
    (void)json_object_set_new(item, "outcome", json_string(words_outcome(receipt->outcome)));
    (void)json_object_set_new(item, "placement", json_string(words_placement(receipt->placement)));
    (void)json_object_set_new(item, "happenedAt", json_string(at));
}

/* What was proved: as the event says it, not as the file's other words do. 0 or negative. */
static int describe(const struct checking *checking, json_t *item)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct event event;
    char at[FLZ_TIME_TEXT_MAX], digest[65];
    int r = flz_decode_event(flz_buf_view(&checking->proof.bytes), &arena, &event);
    if (r < 0)
        return r;
    flz_time_format(event.at, at);
    (void)json_object_set_new(item, "result", json_string("proved"));
    (void)json_object_set_new(item, "event", json_integer((json_int_t)checking->proof.event));
    (void)json_object_set_new(item, "type", json_string(flz_event_name(event.type)));
    (void)json_object_set_new(item, "at", json_string(at));
    if (event.type == EVENT_RECEIPT)
        put_receipt(item, &event.receipt.receipt);
    const struct flz_log_head *said = &checking->said;
    flz_time_format(said->at, at);
    flz_hex_encode(said->digest.b, sizeof said->digest.b, digest);
    (void)json_object_set_new(item, "headSegment", json_integer((json_int_t)said->segment));
    (void)json_object_set_new(item, "headDigest", json_string(digest));
    (void)json_object_set_new(item, "signedAt", json_string(at));
    return 0;
}

static int show(const struct checking *checking)
{
    json_t *item = json_object();
    int r = describe(checking, item);
    if (r < 0) {
        json_decref(item);
        return talk_fail(checking->ctl, ADMIN_FAILED, "NOT_READ",
                         "it is in the log, but of a kind that this program does not know",
                         "use a fluenzrctl that is as new as the coordinator");
    }
    if (checking->ctl->output == CTL_JSON) {
        json_t *json = json_pack("{s:s,s:s,s:i,s:O}", "apiVersion", "fluenzr/v1", "kind",
                                 "CheckedProof", "revision", 0, "item", item);
        show_json(json);
        json_decref(json);
    } else if (!checking->ctl->quiet) {
        show_item(item, NULL);
    }
    json_decref(item);
    return 0;
}

int cmd_audit_check(struct ctl *ctl, const struct ctl_arguments *arguments)
{
    _cleanup_(deinit) struct checking checking = {.ctl = ctl};
    int code = read_trust(arguments, &checking);
    if (code == 0)
        code = read_proof(&checking, arguments->words[0]);
    if (code == 0)
        code = check(&checking);
    return code == 0 ? show(&checking) : code;
}
