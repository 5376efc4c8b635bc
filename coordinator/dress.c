#include "coordinator/dress.h"

#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "proto/xheader.h"

#include <errno.h>
#include <string.h>

/* The message of a turn: who sends it, and its Message-ID. */
static int message_id(const struct dresser *dresser, const struct row_exchange *exchange,
                      uint32_t turn, char ret_id[static FLZ_MESSAGE_ID_MAX])
{
    uint32_t sender = turn % 2 ? exchange->to : exchange->from;
    const struct person *person = persons_find(dresser->persons, sender);
    struct flz_address address;
    if (!person || flz_address_parse(person->address, &address) < 0)
        return -ENOENT;
    uint32_t kind = turn == 0 ? FLZ_TASK_SEND : FLZ_TASK_REPLY;
    struct flz_id task =
        coord_task_id(exchange->id, turn, kind, exchange->turns[turn].send.attempt);
    xheader_message_id_of(flz_secret_view(&dresser->identity->network_key), task,
                          flz_address_domain(&address), ret_id);
    return 0;
}

/* Was a message of this turn ever on its way? Only those can be filed or referred to. */
static bool may_exist(const struct row_turn *turn)
{
    return turn->send.state == TASK_OPEN ||
           (turn->send.state == TASK_ENDED && turn->send.outcome != FLZ_OUTCOME_REJECTED &&
            turn->send.outcome != FLZ_OUTCOME_DECLINED &&
            turn->send.outcome != FLZ_OUTCOME_EXPIRED &&
            turn->send.outcome != FLZ_OUTCOME_WITHDRAWN);
}

/* TIDY: all messages, "" where there is none, so that an index is a turn. Others: those before. */
static int fill_references(const struct dresser *dresser, const struct row_exchange *exchange,
                           uint32_t upto, bool only_sent, struct flz_arena *arena,
                           struct flz_task *task)
{
    struct flz_text *references =
        upto > 0 ? flz_arena_alloc(arena, upto * sizeof *references) : NULL;
    if (upto > 0 && !references)
        return -ENOMEM;
    for (uint32_t turn = 0; turn < upto; turn++) {
        if (only_sent && !may_exist(&exchange->turns[turn]))
            continue;
        int r = message_id(dresser, exchange, turn, references[turn].text);
        if (r < 0)
            return r;
    }
    task->references = references;
    task->references_count = upto;
    return 0;
}

/* The header of a message is signed when it is ordered; t= is its planned time. */
static int sign_header(const struct dresser *dresser, struct flz_task *task)
{
    const struct coordinator_identity *identity = dresser->identity;
    struct xheader header = {
        .network = identity->trust.network,
        .exchange = task->exchange,
        .step = task->turn,
        .time_ms = task->mail_time,
        .expiry_ms = task->expires,
        .key = identity->issuer.id,
    };
    struct flz_address from, to;
    struct flz_digest digest;
    memcpy(header.message_id, task->message_id, sizeof header.message_id);
    if (flz_address_parse(task->from, &from) < 0 || flz_address_parse(task->to, &to) < 0)
        return -EINVAL;
    int r = xheader_digest(&header, &from, &to, &digest);
    if (r < 0)
        return r;
    task->mail_key = header.key;
    task->mail_signature = keys_sign_digest(&identity->issuer, digest);
    return 0;
}

static int fill_attestation(const struct dresser *dresser, uint32_t recipient,
                            struct flz_task *task, struct flz_view *ret_certificate)
{
    const struct person *person = persons_find(dresser->persons, recipient);
    const struct row_account *account = coord_account(dresser->core, recipient);
    if (!person || !account)
        return -ENOENT;
    struct flz_view certificate = dresser->on_certificate(account->node, dresser->data);
    if (certificate.len == 0)
        return -ENOENT;
    task->attestation = person->attestation;
    task->attestation_signer = flz_digest_of(certificate);
    *ret_certificate = certificate;
    return 0;
}

static int fill_message(const struct dresser *dresser, const struct row_exchange *exchange,
                        const struct coord_task *plain, struct flz_arena *arena,
                        struct flz_task *task)
{
    const struct person *sender = persons_find(dresser->persons, plain->sender);
    const struct person *recipient = persons_find(dresser->persons, plain->recipient);
    if (!sender || !recipient)
        return -ENOENT;
    memcpy(task->from, sender->address, sizeof task->from);
    memcpy(task->to, recipient->address, sizeof task->to);
    task->mail_time = exchange->turns[task->turn].send_at;
    int r = message_id(dresser, exchange, task->turn, task->message_id);
    if (r == 0 && task->turn > 0)
        r = message_id(dresser, exchange, task->turn - 1, task->in_reply_to);
    if (r == 0)
        r = fill_references(dresser, exchange, task->turn, false, arena, task);
    return r;
}

/* What the receipt will hand back, for a log that has forgotten the task by then. */
static int fill_voucher(const struct dresser *dresser, const struct coord_order *order,
                        struct flz_arena *arena, struct flz_task *task)
{
    _cleanup_(flz_buf_deinit) struct flz_buf buf = FLZ_BUF_NULL;
    struct event_plan_turn turns[FLZ_TURNS_MAX];
    struct flz_voucher voucher;
    int r = coord_voucher(dresser->core, order, turns, &voucher);
    if (r == 0)
        r = flz_encode_voucher(&voucher, &buf);
    if (r < 0)
        return r;
    uint8_t *copy = flz_arena_alloc(arena, buf.len);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, buf.data, buf.len);
    task->voucher = (struct flz_view){.data = copy, .len = buf.len};
    return 0;
}

int dress_task(const struct dresser *dresser, const struct coord_order *order,
               struct flz_arena *arena, struct flz_task *ret_task,
               struct flz_view *ret_certificate)
{
    const struct row_exchange *exchange = coord_exchange(dresser->core, order->exchange);
    struct coord_task plain;
    *ret_certificate = FLZ_VIEW_NULL;
    if (!exchange || !coord_stands(dresser->core, order) ||
        coord_task(dresser->core, order, &plain) < 0)
        return -ENOENT;
    const struct row_account *account = coord_account(dresser->core, plain.account);
    const struct row_account *peer = coord_account(dresser->core, plain.peer);
    struct flz_task task = {
        .id = plain.id,
        .exchange = exchange->id,
        .account = account->id,
        .peer_account = peer->id,
        .kind = order->kind,
        .turn = order->turn,
        .attempt = plain.attempt,
        .turns = (uint32_t)exchange->turns_count,
        .not_before = plain.not_before,
        .not_after = plain.not_after,
        .deadline = plain.deadline,
        .expires = plain.expires,
        .pack = exchange->pack,
        .scenario = exchange->scenario,
        .seed = exchange->seed,
        .local_date = plain.local_date,
        .day_cap = plain.day_cap,
    };
    bool send = flz_task_kind_sends(order->kind);
    int r = fill_voucher(dresser, order, arena, &task);
    if (r < 0)
        return r;
    r = order->kind == FLZ_TASK_TIDY
                ? fill_references(dresser, exchange, (uint32_t)exchange->turns_count, true, arena,
                                  &task)
                : fill_message(dresser, exchange, &plain, arena, &task);
    if (r == 0 && send)
        r = sign_header(dresser, &task);
    if (r == 0 && send)
        r = fill_attestation(dresser, plain.recipient, &task, ret_certificate);
    if (r == 0)
        *ret_task = task;
    return r;
}
