/* A request and its answer. */
#include "coordinator/ctl/ctl.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/sys/bus.h"
#include "common/sys/clock.h"
#include "common/sys/secret.h"
#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define REQUEST_OVERHEAD 16384 /* of a request beside its body */

void ask_add(struct ask *ask, const char *key, const char *value)
{
    assert(ask->arguments_count < ASK_ARGUMENTS_MAX);
    if (!value)
        return;
    ask->arguments[ask->arguments_count].key = key;
    ask->arguments[ask->arguments_count].value = value;
    ask->arguments_count++;
}

void ask_add_option(struct ask *ask, const struct ctl_arguments *arguments, const char *name)
{
    ask_add(ask, name, arguments_get(arguments, name));
}

void answer_deinit(struct answer *answer)
{
    json_decref(answer->json);
    *answer = ANSWER_NULL;
}

/* One request under way. */
struct exchange {
    const struct ctl *ctl;
    const struct ask *ask;
    const struct context *context; /* NULL: to a node */
    const char *endpoint;
    struct flz_id id;
    struct flz_msg msg;
};

static int encode(struct exchange *x, const struct flz_signer *signer, struct flz_buf *ret_bytes)
{
    const struct ask *ask = x->ask;
    struct flz_argument arguments[ASK_ARGUMENTS_MAX];
    for (size_t i = 0; i < ask->arguments_count; i++) {
        (void)snprintf(arguments[i].key, sizeof arguments[i].key, "%s", ask->arguments[i].key);
        arguments[i].value = flz_view_str(ask->arguments[i].value);
    }
    struct flz_admin_request request = {.id = x->id,
                                        .sent = flz_realtime_ms(),
                                        .arguments = arguments,
                                        .arguments_count = ask->arguments_count,
                                        .body = ask->body};
    (void)snprintf(request.verb, sizeof request.verb, "%s", ask->verb);
    if (x->context)
        request.certificate = flz_buf_view(&x->context->certificate);
    _cleanup_(flz_wipe_buf) struct flz_buf payload = FLZ_BUF_NULL;
    if (!flz_buf_reserve(&payload, ask->body.len + REQUEST_OVERHEAD) ||
        !flz_buf_reserve(ret_bytes, ask->body.len + 2 * REQUEST_OVERHEAD))
        return flz_fail(-ENOMEM);
    int r = flz_encode(&flz_codec_admin_request, &request, &payload);
    return r < 0 ? r : flz_seal_signed(FLZ_KIND_ADMIN, flz_buf_view(&payload), signer, ret_bytes);
}

/* The channel says who answers: a socket file that only its owner opens, or the pinned CURVE key.
 * The id ties the answer to this request. */
static int decode(struct exchange *x, struct flz_view bytes, struct answer *ret_answer)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_signed message;
    struct flz_admin_reply reply;
    if (flz_open_signed(bytes, &arena, &message) < 0 || message.kind != FLZ_KIND_ADMIN_REPLY ||
        flz_decode(&flz_codec_admin_reply, message.payload, &arena, &reply) < 0 ||
        !flz_id_equal(reply.id, x->id)) {
        flz_msg_set(&x->msg, "%s: the answer cannot be read", x->endpoint);
        return flz_fail(-EBADMSG);
    }
    ret_answer->code = (int)reply.exit_code;
    memcpy(ret_answer->error, reply.error, sizeof reply.error);
    memcpy(ret_answer->message, reply.message, sizeof reply.message);
    if (reply.json.len)
        ret_answer->json = json_loadb((const char *)reply.json.data, reply.json.len, 0, NULL);
    if (reply.error[0] && !x->ask->silent)
        (void)talk_fail(x->ctl, reply.exit_code, reply.error, reply.message, reply.hint);
    return 0;
}

static int failed(struct exchange *x, int r, struct answer *ret_answer)
{
    const char *hint = x->context ? "is fluenzr-coordinator running? systemctl status "
                                    "fluenzr-coordinator; another endpoint: -e ENDPOINT"
                                  : "is fluenzr-node running on this host? systemctl status "
                                    "fluenzr-node; another socket: -e ENDPOINT";
    char text[2 * FLZ_MSG_MAX];
    ret_answer->code = ADMIN_UNREACHABLE;
    (void)snprintf(text, sizeof text, "cannot reach the %s: %s",
                   x->context ? "coordinator" : "node", x->msg.text[0] ? x->msg.text : x->endpoint);
    if (r == BUS_E_TIMEOUT) {
        (void)snprintf(text, sizeof text,
                       "no answer from %s in time; whether it was done is unknown", x->endpoint);
        hint = "look with fluenzrctl status; a longer wait: --timeout 60s";
    } else if (r == -EINVAL || r == -EMSGSIZE) {
        ret_answer->code = ADMIN_USAGE;
        (void)snprintf(text, sizeof text, "%s: %s", x->endpoint,
                       x->msg.text[0] ? x->msg.text : strerror(-r));
        hint = r == -EINVAL ? "endpoints: ipc:///path, tcp://host:port"
                            : "the request is too large: split the file";
    }
    (void)snprintf(ret_answer->error, sizeof ret_answer->error, "%s",
                   ret_answer->code == ADMIN_USAGE ? "USAGE" : "UNREACHABLE");
    if (x->ask->silent)
        return ret_answer->code;
    return talk_fail(x->ctl, (enum admin_exit)ret_answer->code, ret_answer->error, text, hint);
}

static int send_over(struct exchange *x, const struct flz_signer *signer, struct flz_buf *ret_bytes)
{
    _cleanup_(flz_wipe_buf) struct flz_buf request = FLZ_BUF_NULL;
    _cleanup_(keys_curve_deinit) struct keys_curve_pair own = KEYS_CURVE_NULL;
    int r = encode(x, signer, &request);
    if (r == 0)
        r = keys_curve_generate(&own);
    if (r < 0)
        return r;
    struct bus_target target = {.endpoint = x->endpoint, .own = &own};
    if (x->context)
        target.server = &x->context->coordinator_key;
    int timeout =
        x->ask->timeout_ms && !x->ctl->timeout_given ? x->ask->timeout_ms : x->ctl->timeout_ms;
    return bus_request(&target, flz_buf_view(&request), timeout, ret_bytes, &x->msg);
}

static int run(struct exchange *x, const struct flz_signer *signer, struct answer *ret_answer)
{
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    bool known = strncmp(x->endpoint, "ipc://", 6) == 0 || strncmp(x->endpoint, "tcp://", 6) == 0;
    randombytes_buf(x->id.b, sizeof x->id.b);
    if (!known)
        flz_msg_set(&x->msg, "not an endpoint");
    int r = known ? send_over(x, signer, &bytes) : flz_fail(-EINVAL);
    if (r == 0)
        r = decode(x, flz_buf_view(&bytes), ret_answer);
    return r == 0 ? ret_answer->code : failed(x, r, ret_answer);
}

/* A node's socket asks for no certificate: a key of the moment signs. */
static int ask_node(const struct ctl *ctl, const struct ask *ask, struct answer *ret_answer)
{
    _cleanup_(keys_sign_deinit) struct keys_sign_pair key = KEYS_SIGN_NULL;
    struct exchange x = {.ctl = ctl, .ask = ask, .endpoint = ask->node_endpoint};
    if (keys_sign_generate(&key) < 0)
        return talk_fail(ctl, ADMIN_FAILED, "NO_MEMORY", "out of secret memory", "");
    struct flz_signer signer = {.key = key.public_key, .on_sign = keys_on_sign, .data = &key};
    return run(&x, &signer, ret_answer);
}

int ask_do(const struct ctl *ctl, const struct ask *ask, struct answer *ret_answer)
{
    *ret_answer = ANSWER_NULL;
    if (ask->node_endpoint)
        return ask_node(ctl, ask, ret_answer);
    _cleanup_(context_deinit) struct context own = CONTEXT_NULL;
    if (!ask->context) {
        int code = context_load(ctl, &own);
        if (code != 0) {
            ret_answer->code = code;
            return code;
        }
    }
    struct exchange x = {.ctl = ctl, .ask = ask, .context = ask->context ? ask->context : &own};
    const char *environment = getenv("FLUENZR_ENDPOINT");
    x.endpoint = ctl->endpoint ? ctl->endpoint
                 : environment ? environment
                               : x.context->admin_endpoint;
    struct flz_signer signer = context_signer(x.context);
    return run(&x, &signer, ret_answer);
}
