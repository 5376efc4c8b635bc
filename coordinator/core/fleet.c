/* Office, invites, nodes: who may speak, what a node holds, and what is done when it is lost. */
#include "coordinator/core/state.h"

#include "common/base/time.h"

#include <errno.h>
#include <string.h>

/* After a restored backup nothing is sent before the next local day, wherever an account lives. */
#define QUIET_MS (25 * FLZ_HOUR_MS)

static int refuse(struct coord_update *update)
{
    update->refused = true;
    return 0;
}

int fleet_lead(struct coord *core, const struct coord_command *command, struct coord_update *update)
{
    if (command->lead.epoch <= core->network.epoch) {
        flz_msg_set(&update->message, "epoch %llu is not above %llu: another coordinator led since",
                    (unsigned long long)command->lead.epoch,
                    (unsigned long long)core->network.epoch);
        return refuse(update);
    }
    bool restored = !flz_id_is_null(core->network.generation) &&
                    !flz_id_equal(core->network.generation, command->lead.generation);
    struct event event = {
        .type = EVENT_LEAD,
        .lead = {.epoch = command->lead.epoch,
                 .generation = command->lead.generation,
                 .quiet_until = restored ? core->clock + QUIET_MS : core->network.quiet_until},
    };
    return coord_emit(core, event);
}

/* ---- Invites ---- */

static uint32_t live_node_named(const struct coord *core, const char *name)
{
    uint32_t node = state_find_node_name(core, name);
    return node != COORD_NONE && core->nodes[node].row.state == NODE_JOINED ? node : COORD_NONE;
}

int fleet_invite(struct coord *core, const struct coord_command *command,
                 struct coord_update *update)
{
    const char *name = command->invite.name;
    struct flz_id token = state_digest_key(command->invite.token, 0);
    if (name[0] == '\0')
        flz_msg_set(&update->message, "a node needs a name");
    else if (live_node_named(core, name) != COORD_NONE)
        flz_msg_set(&update->message, "a node named %s has joined already: revoke it first", name);
    else if (coord_find_node(core, command->invite.node) != COORD_NONE)
        flz_msg_set(&update->message, "this node id has joined already");
    else if (flz_map_get(&core->invites_by_token, token) != FLZ_MAP_NONE)
        flz_msg_set(&update->message, "this invite is known already");
    else if (command->invite.not_after <= command->invite.real_now)
        flz_msg_set(&update->message, "the invite would have ended before it began");
    if (update->message.text[0])
        return refuse(update);

    struct event event = {
        .type = EVENT_INVITED,
        .invited = {.invite = (uint32_t)core->invites_count,
                    .node = command->invite.node,
                    .token = command->invite.token,
                    .not_after = command->invite.not_after},
    };
    memcpy(event.invited.name, name, sizeof event.invited.name);
    update->handle = event.invited.invite;
    return coord_emit(core, event);
}

static void join_check(const struct coord *core, const struct coord_command *command,
                       uint32_t invite, struct flz_msg *message)
{
    if (invite == FLZ_MAP_NONE) {
        flz_msg_set(message,
                    "this join token is not known here: ask the administrator for a new "
                    "one (fluenzrctl node invite %s)",
                    command->join.name);
        return;
    }
    const struct row_invite *row = &core->invites[invite].row;
    if (row->state == INVITE_USED)
        flz_msg_set(message, "this join token was used already: each one joins one node once; ask "
                             "for a new one (fluenzrctl node invite NAME)");
    else if (command->join.real_now > row->not_after)
        flz_msg_set(message,
                    "this join token has ended: ask the administrator for a new one "
                    "(fluenzrctl node invite %s)",
                    row->name);
    else if (!flz_id_equal(row->node, command->join.node) ||
             strcmp(row->name, command->join.name) != 0)
        flz_msg_set(message, "the certificate names node %s, the invite node %s",
                    command->join.name, row->name);
    else if (live_node_named(core, row->name) != COORD_NONE)
        flz_msg_set(message, "a node named %s has joined already: revoke it first", row->name);
    else if (coord_find_node(core, row->node) != COORD_NONE)
        flz_msg_set(message, "node %s has joined already", row->name);
    else if (coord_find_node_by_curve(core, command->join.curve_key) != COORD_NONE)
        flz_msg_set(message, "another node has this transport key: each node makes its own keys");
}

int fleet_join(struct coord *core, const struct coord_command *command, struct coord_update *update)
{
    uint32_t known = coord_find_node(core, command->join.node);
    if (known != COORD_NONE &&
        memcmp(core->nodes[known].row.certificate.b, command->join.certificate.b,
               sizeof command->join.certificate.b) == 0) {
        /* The answer to its first attempt was lost. */
        update->handle = known;
        update->refused = core->nodes[known].row.state != NODE_JOINED;
        if (update->refused)
            flz_msg_set(&update->message, "node %s was revoked", core->nodes[known].row.name);
        return 0;
    }

    uint32_t invite =
        flz_map_get(&core->invites_by_token, state_digest_key(command->join.token, 0));
    join_check(core, command, invite, &update->message);
    if (update->message.text[0])
        return refuse(update);
    struct event event = {
        .type = EVENT_JOINED,
        .joined = {.node = (uint32_t)core->nodes_count,
                   .invite = invite,
                   .certificate = command->join.certificate,
                   .sign_key = command->join.sign_key,
                   .curve_key = command->join.curve_key},
    };
    update->handle = event.joined.node;
    return coord_emit(core, event);
}

/* ---- Each task open at a node ---- */

static const uint32_t kinds[] = {FLZ_TASK_SEND,   FLZ_TASK_REPLY, FLZ_TASK_FIND,
                                 FLZ_TASK_UNSPAM, FLZ_TASK_OPEN,  FLZ_TASK_TIDY};

typedef int (*on_task_fn)(struct coord *core, struct live *x, uint32_t turn, uint32_t kind,
                          struct row_task *task);

static int each_of_exchange(struct coord *core, struct live *x, uint32_t node, on_task_fn on_task)
{
    for (uint32_t turn = 0; turn < FLZ_TURNS_MAX; turn++) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            struct row_task *task = state_task(x, turn, kinds[k]);
            if (!task || task->state != TASK_OPEN || task->node != node)
                continue;
            int r = on_task(core, x, turn, kinds[k], task);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int each_open(struct coord *core, uint32_t node, on_task_fn on_task)
{
    for (size_t i = 0; i < core->live_count; i++) {
        struct live *x = core->live[i];
        if (!x || x->row.state == EXCHANGE_ENDED)
            continue;
        int r = each_of_exchange(core, x, node, on_task);
        if (r < 0)
            return r;
    }
    return 0;
}

static int order_again(struct coord *core, struct live *x, uint32_t turn, uint32_t kind,
                       struct row_task *task)
{
    struct node_state *node = &core->nodes[task->node];
    struct flz_id id = coord_task_id(x->row.id, turn, kind, task->attempt);
    if (flz_map_get(&node->held, id) != FLZ_MAP_NONE)
        return 0;
    /* A restored log sends nothing, not even again. */
    bool send = flz_task_kind_sends(kind);
    if (send && core->clock < core->network.quiet_until)
        return 0;
    if (node->credit > 0)
        node->credit--;
    struct coord_order order = {
        .node = task->node,
        .exchange = x->row.handle,
        .turn = turn,
        .kind = kind,
        .side = kind == FLZ_TASK_TIDY ? turn : 0,
    };
    return coord_order(core, order);
}

static int maybe_sent(struct coord *core, const struct live *x, uint32_t turn, uint32_t kind,
                      enum flz_reason reason)
{
    struct event_presumed presumed = {
        .turn = turn,
        .kind = kind,
        .outcome = FLZ_OUTCOME_AMBIGUOUS,
        .reason = reason,
        .fault = FAULT_SENDER_NODE,
    };
    return exchange_presume(core, x, presumed);
}

/* ---- Connecting ---- */

/* A journal was lost: what may have been sent counts as sent and is looked for, never issued again;
 * the rest repeats without harm. */
static int lose_journal(struct coord *core, struct live *x, uint32_t turn, uint32_t kind,
                        struct row_task *task)
{
    if (!flz_task_kind_sends(kind))
        return 0;
    int r = maybe_sent(core, x, turn, kind, FLZ_REASON_JOURNAL);
    return r < 0 ? r : state_wake(core, x, core->clock);
}

static int hold(struct node_state *node, const struct flz_id *open, size_t count)
{
    flz_map_deinit(&node->held);
    for (size_t i = 0; i < count; i++) {
        int r = flz_map_set(&node->held, open[i], 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_packs(struct coord *core, const struct coord_command *command,
                      struct event_hello *hello)
{
    size_t count = command->hello.packs_count;
    count = count < FLZ_PACKS_MAX ? count : FLZ_PACKS_MAX;
    if (count == 0)
        return 0;
    struct flz_digest *packs = flz_arena_alloc(&core->step_arena, count * sizeof *packs);
    if (!packs)
        return flz_fail(-ENOMEM);
    memcpy(packs, command->hello.packs, count * sizeof *packs);
    hello->packs = packs;
    hello->packs_count = count;
    return 0;
}

/*
 * Orders what the node lacks. While it still has reports to hand in, a task that it names no more
 * may be one that those reports end: nothing is ordered again before they are taken.
 */
int fleet_caught_up(struct coord *core, uint32_t handle)
{
    struct node_state *node = &core->nodes[handle];
    if (node->resync_seq == 0 || node->row.report_seq + 1 < node->resync_seq)
        return 0;
    node->resync_seq = 0;
    int r = each_open(core, handle, order_again);
    flz_map_deinit(&node->held);
    return r;
}

/*
 * Behind which report the node goes on. What it has forgotten, 30 days after it was acknowledged by
 * a log that has since been restored from an older backup, nobody waits for.
 */
static uint64_t taken_before(const struct row_node *row, const struct coord_command *command,
                             bool lost, bool same)
{
    uint64_t newest = command->hello.report_seq;
    uint64_t first = command->hello.report_first;
    uint64_t taken = lost && same ? newest : same ? row->report_seq : 0;
    return first > 0 && first <= newest + 1 && first - 1 > taken ? first - 1 : taken;
}

int fleet_hello(struct coord *core, const struct coord_command *command,
                struct coord_update *update)
{
    struct node_state *node = state_node(core, command->node);
    if (!node || node->row.state != NODE_JOINED) {
        flz_msg_set(&update->message,
                    node ? "node %s was revoked" : "this node is not known here%s",
                    node ? node->row.name : "");
        return refuse(update);
    }
    bool first = flz_id_is_null(node->row.incarnation);
    bool same = flz_id_equal(node->row.incarnation, command->hello.incarnation);
    bool lost = !first && (!same || command->hello.report_seq < node->row.report_seq);
    struct event event = {
        .type = EVENT_HELLO,
        .hello = {.node = command->node,
                  .incarnation = command->hello.incarnation,
                  .report_seq = taken_before(&node->row, command, lost, same),
                  .lost = lost},
    };
    /* Nothing new goes to it before it is known what it lacks. */
    node->credit = 0;
    int r = copy_packs(core, command, &event.hello);
    if (r == 0)
        r = coord_emit(core, event);
    if (r == 0 && lost)
        r = each_open(core, command->node, lose_journal);
    if (r < 0)
        return r;

    node->credit = command->hello.credit;
    r = hold(node, command->hello.open, command->hello.open_count);
    if (r < 0)
        return r;
    /* + 1, so that 0 can mean "nothing to catch up". */
    node->resync_seq = command->hello.report_seq + 1;
    r = fleet_caught_up(core, command->node);
    return r < 0 ? r
                 : fleet_credit(core, &(struct coord_command){.kind = COORD_CREDIT,
                                                              .node = command->node,
                                                              .credit = node->credit});
}

/* Wakes as many waiting exchanges as the node can take tasks, oldest first. */
int fleet_credit(struct coord *core, const struct coord_command *command)
{
    struct node_state *node = state_node(core, command->node);
    if (!node || node->row.state != NODE_JOINED)
        return 0;
    uint32_t room = node->open < FLZ_OPEN_TASKS_MAX ? FLZ_OPEN_TASKS_MAX - node->open : 0;
    node->credit = command->credit < room ? command->credit : room;
    struct flz_heap_entry entry;
    for (uint32_t n = 0; n < node->credit && flz_heap_pop_due(&node->waiting, FLZ_NEVER, &entry);) {
        struct live *x = state_live(core, (uint32_t)entry.item);
        if (!x)
            continue;
        if (core->accounts[x->row.from].row.node == command->node)
            x->waiting[0] = false;
        if (core->accounts[x->row.to].row.node == command->node)
            x->waiting[1] = false;
        int r = state_wake(core, x, core->clock);
        if (r < 0)
            return r;
        n++;
    }
    return 0;
}

/* ---- Revocation ---- */

/* Nothing more is believed from the node. */
static int revoke_task(struct coord *core, struct live *x, uint32_t turn, uint32_t kind,
                       struct row_task *task)
{
    if (flz_task_kind_sends(kind))
        return maybe_sent(core, x, turn, kind, FLZ_REASON_REVOKED);
    struct event_presumed presumed = {
        .turn = turn,
        .kind = kind,
        .outcome = kind == FLZ_TASK_FIND ? FLZ_OUTCOME_UNOBSERVED : FLZ_OUTCOME_WITHDRAWN,
        .reason = FLZ_REASON_REVOKED,
        .fault = FAULT_RECIPIENT_NODE,
    };
    return exchange_presume(core, x, presumed);
}

static int copy_revocation(struct coord *core, struct flz_view revocation,
                           struct flz_view *ret_copy)
{
    uint8_t *copy = revocation.len > 0 ? flz_arena_alloc(&core->step_arena, revocation.len) : NULL;
    if (revocation.len > 0 && !copy)
        return flz_fail(-ENOMEM);
    if (copy)
        memcpy(copy, revocation.data, revocation.len);
    *ret_copy = (struct flz_view){.data = copy, .len = revocation.len};
    return 0;
}

int fleet_revoke(struct coord *core, const struct coord_command *command,
                 struct coord_update *update)
{
    struct node_state *node = state_node(core, command->node);
    if (!node || node->row.state == NODE_REVOKED)
        flz_msg_set(&update->message, node ? "node %s is revoked already" : "no such node%s",
                    node ? node->row.name : "");
    else if (core->network.revocation_version >= FLZ_REVOCATIONS_MAX)
        flz_msg_set(&update->message, "%d nodes were revoked, and nodes remember no more of them",
                    FLZ_REVOCATIONS_MAX);
    if (update->message.text[0])
        return refuse(update);
    struct event event = {.type = EVENT_REVOKED, .revoked = {.node = command->node}};
    int r = copy_revocation(core, command->revocation, &event.revoked.revocation);
    if (r == 0)
        r = coord_emit(core, event);
    if (r == 0)
        r = each_open(core, command->node, revoke_task);
    if (r < 0)
        return r;
    node->credit = 0;
    return exchange_advance_all(core, COORD_NONE);
}
