/* Nodes and their invites. */
#include "common/base/cleanup.h"
#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/sys/clock.h"
#include "coordinator/desk_private.h"
#include "coordinator/identity.h"
#include "proto/codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INVITE_MAX_MS (30 * FLZ_DAY_MS)

void desk_node_ls(struct desk *desk)
{
    desk_answer(desk, view_nodes(&desk->view));
}

void desk_node_show(struct desk *desk)
{
    uint32_t node = desk_need_node(desk, "name");
    if (node != COORD_NONE)
        desk_answer(desk, view_node(&desk->view, node));
}

/* ---- Invites ---- */

/* The administrator whose key signed the invite: its certificate comes as an argument. */
static int read_admin(struct desk *desk, struct flz_certificate *ret_admin, struct flz_msg *msg)
{
    const struct coordinator_identity *identity = server_identity(desk->server);
    _cleanup_(flz_buf_deinit) struct flz_buf bytes = FLZ_BUF_NULL;
    const char *text = admin_argument(desk->call, "certificate");
    if (!text || flz_base64url_decode(flz_view_str(text), &bytes) < 0) {
        flz_msg_set(msg, "the certificate of the key that signed the invite is missing");
        return flz_fail(-EINVAL);
    }
    return flz_cert_check(&identity->trust, flz_buf_view(&bytes), flz_realtime_ms(), ret_admin,
                          msg);
}

static int check_invite(struct desk *desk, const struct flz_certificate *admin,
                        const struct flz_invite *invite, struct flz_msg *msg)
{
    char target[FLZ_NAME_MAX + 8];
    int64_t now = flz_realtime_ms();
    const char *name = admin_argument(desk->call, "name");
    (void)snprintf(target, sizeof target, "node/%s", invite->name);
    if (admin->role != FLZ_ROLE_ADMIN || !flz_cert_covers(admin, target)) {
        flz_msg_set(msg, "%s may not invite %s", admin->name, target);
        return flz_fail(-EPERM);
    }
    if (!flz_id_equal(invite->network, server_identity(desk->server)->trust.network))
        flz_msg_set(msg, "the invite belongs to another network");
    else if (flz_label_check(invite->name) < 0)
        flz_msg_set(msg, "a node's name is made of letters, digits and hyphens");
    else if (name && strcmp(name, invite->name) != 0)
        flz_msg_set(msg, "the invite names node %s", invite->name);
    else if (invite->not_after <= now || invite->not_after > now + INVITE_MAX_MS)
        flz_msg_set(msg, "an invite lasts from now on, for 30 days at most");
    else
        return 0;
    return flz_fail(-EINVAL);
}

/* The body is Signed(INVITE). The name is copied out; nothing else of it lies in the arena. */
static int read_invite(struct desk *desk, struct flz_invite *ret_invite, struct flz_msg *msg)
{
    _cleanup_(flz_arena_deinit) struct flz_arena arena = FLZ_ARENA_NULL;
    struct flz_certificate admin;
    struct flz_signed message;
    int r = read_admin(desk, &admin, msg);
    if (r < 0)
        return r;
    if (flz_open_signed(admin_body(desk->call), &arena, &message) < 0 ||
        message.kind != FLZ_KIND_INVITE || flz_verify_signed(&message, &admin.key) < 0 ||
        flz_decode(&flz_codec_invite, message.payload, &arena, ret_invite) < 0) {
        flz_msg_set(msg, "the invite cannot be read, or %s did not sign it", admin.name);
        return flz_fail(-EKEYREJECTED);
    }
    return check_invite(desk, &admin, ret_invite, msg);
}

void desk_node_invite(struct desk *desk)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    struct flz_invite invite;
    int r = read_invite(desk, &invite, &msg);
    if (r == -EINVAL) {
        desk_bad_input(desk, msg.text, "see fluenzrctl node invite --help");
        return;
    }
    if (r < 0) {
        admin_refuse(desk->call, ADMIN_NOT_PERMITTED, "NOT_PERMITTED", msg.text,
                     "an administrator's key signs invites (-i ADMIN_DIR)");
        return;
    }
    char target[FLZ_NAME_MAX + 8];
    (void)snprintf(target, sizeof target, "node/%s", invite.name);
    if (!desk_may(desk, target, true))
        return;

    struct flz_view token = {.data = invite.token_key.b, .len = sizeof invite.token_key.b};
    struct coord_command command = {.kind = COORD_INVITE,
                                    .invite = {.node = invite.node,
                                               .token = flz_digest_of(token),
                                               .not_after = invite.not_after,
                                               .real_now = flz_realtime_ms()}};
    memcpy(command.invite.name, invite.name, sizeof command.invite.name);
    struct desk_change change = {.remove = COORD_NONE, .done = "the invite is recorded"};
    (void)snprintf(change.subject, sizeof change.subject, "%s", target);
    desk_change(desk, &command, &change);
}

/* The body is Signed(REVOCATION), by an administrator's key: what nodes believe, whoever leads. */
static bool is_revocation_of(struct desk *desk, uint32_t node, struct flz_msg *msg)
{
    struct flz_revocation revocation;
    const struct flz_trust *trust = &server_identity(desk->server)->trust;
    if (flz_cert_check_revocation(trust, admin_body(desk->call), &revocation, msg) < 0)
        return false;
    if (!flz_id_equal(revocation.node, coord_node(desk->view.core, node)->id)) {
        flz_msg_set(msg, "the revocation names another node");
        return false;
    }
    return true;
}

void desk_node_revoke(struct desk *desk)
{
    struct flz_msg msg = FLZ_MSG_NULL;
    uint32_t node = desk_need_node(desk, "name");
    if (node == COORD_NONE || !desk_may(desk, "network", true))
        return;
    if (!is_revocation_of(desk, node, &msg)) {
        admin_refuse(desk->call, ADMIN_NOT_PERMITTED, "NOT_PERMITTED", msg.text,
                     "an administrator's key signs revocations (-i ADMIN_DIR); fluenzrctl and "
                     "coordinator must be of the same version");
        return;
    }
    struct desk_change change = {
        .remove = COORD_NONE,
        .done = "revoked: it is not heard any more; what it may have sent is being looked for"};
    (void)snprintf(change.subject, sizeof change.subject, "node/%s",
                   coord_node(desk->view.core, node)->name);
    struct coord_command command = {
        .kind = COORD_REVOKE, .node = node, .revocation = admin_body(desk->call)};
    desk_change(desk, &command, &change);
}
